//! JSON values as YAML 1.2 that people read: deterministic, and careful about what a plain word may be.
//!
//! Mappings list `FIRST` keys first and the others by name. Text of several lines is a literal block; other text is
//! plain only if no YAML reader could take it for anything else, and a JSON string otherwise. What stands under the key
//! `payload` as an object with content of its own is written as JSON, so that it can be copied into a client.

use serde_json::{Map, Value};

/// Keys that come first, in this order.
const FIRST: [&str; 30] = [
    "asyncapi",
    "info",
    "defaultContentType",
    "servers",
    "channels",
    "operations",
    "components",
    "name",
    "title",
    "version",
    "summary",
    "action",
    "address",
    "host",
    "protocol",
    "protocolVersion",
    "pathname",
    "$ref",
    "type",
    "format",
    "v",
    "re",
    "id",
    "at",
    "status",
    "code",
    "detail",
    "line",
    "sku",
    "qty",
];

/// Widest line of JSON within YAML, in bytes.
const JSON_LINE_BYTES_MAX: usize = 110;

/// The document as YAML, with a line end at its end. The top must be a mapping.
pub(super) fn write(document: &Map<String, Value>) -> String {
    let mut out = String::new();
    mapping(&mut out, document, 0);
    out
}

fn ordered(map: &Map<String, Value>) -> Vec<(&String, &Value)> {
    let place = |key: &str| FIRST.iter().position(|first| *first == key).unwrap_or(FIRST.len());
    let mut entries: Vec<_> = map.iter().collect();
    entries.sort_by(|(a, _), (b, _)| (place(a), a).cmp(&(place(b), b)));
    entries
}

fn mapping(out: &mut String, map: &Map<String, Value>, indent: usize) {
    for (key, value) in ordered(map) {
        margin(out, indent);
        out.push_str(&if key == "$ref" { key.clone() } else { scalar(key) });
        out.push(':');
        match value {
            Value::Object(inner) if key == "payload" && !inner.contains_key("$ref") => {
                out.push(' ');
                json(out, value, indent + 2, key.len() + 2);
                out.push('\n');
            }
            _ => after_mark(out, value, indent + 2),
        }
    }
}

/// A value after `key:` or `-`, whose children stand at `indent`.
fn after_mark(out: &mut String, value: &Value, indent: usize) {
    match value {
        Value::Object(map) if !map.is_empty() => {
            out.push('\n');
            mapping(out, map, indent);
        }
        Value::Array(list)
            if !list.is_empty() && list.iter().all(|entry| !entry.is_object() && !entry.is_array()) =>
        {
            let entries: Vec<String> = list.iter().map(flat).collect();
            out.push_str(&format!(" [{}]\n", entries.join(", ")));
        }
        Value::Array(list) if !list.is_empty() => {
            out.push('\n');
            for entry in list {
                margin(out, indent);
                out.push('-');
                let mut inner = String::new();
                after_mark(&mut inner, entry, indent + 2);
                match entry {
                    // The first key stands on the line of the dash.
                    Value::Object(map) if !map.is_empty() => {
                        out.push(' ');
                        out.push_str(inner.trim_start());
                    }
                    _ => out.push_str(&inner),
                }
            }
        }
        Value::String(text) if is_block(text) => block(out, text, indent),
        _ => {
            out.push(' ');
            out.push_str(&flat(value));
            out.push('\n');
        }
    }
}

fn margin(out: &mut String, indent: usize) {
    out.push_str(&" ".repeat(indent));
}

/// May the text be a literal block? Only if no line is strange at either end, so that a block says exactly the text.
fn is_block(text: &str) -> bool {
    text.contains('\n')
        && text
            .lines()
            .all(|line| !line.ends_with(' ') && !line.contains('\t') && !line.chars().any(char::is_control))
        && !text.starts_with([' ', '\n'])
        && !text.ends_with("\n\n")
}

fn block(out: &mut String, text: &str, indent: usize) {
    out.push_str(if text.ends_with('\n') { " |\n" } else { " |-\n" });
    for line in text.lines() {
        if !line.is_empty() {
            margin(out, indent);
            out.push_str(line);
        }
        out.push('\n');
    }
}

/// A value on one line.
fn flat(value: &Value) -> String {
    match value {
        Value::String(text) => scalar(text),
        other => other.to_string(),
    }
}

fn scalar(text: &str) -> String {
    let plain = text.starts_with(|c: char| c.is_ascii_alphabetic())
        && !text.ends_with(' ')
        && text.chars().all(|c| {
            c.is_ascii_alphanumeric() || " _-./()".contains(c) || !c.is_ascii() && c.is_alphanumeric()
        })
        && !["true", "false", "null", "yes", "no", "on", "off", "y", "n"]
            .contains(&text.to_ascii_lowercase().as_str());
    if plain { text.to_owned() } else { Value::from(text).to_string() }
}

/// A value as JSON, broken over lines where one is too long; `used` bytes of the first line are taken.
fn json(out: &mut String, value: &Value, indent: usize, used: usize) {
    let line = json_line(value);
    if indent + used + line.len() <= JSON_LINE_BYTES_MAX {
        out.push_str(&line);
        return;
    }
    match value {
        Value::Object(map) if !map.is_empty() => {
            let entries = ordered(map);
            out.push('{');
            for (index, (key, value)) in entries.iter().enumerate() {
                out.push_str(if index == 0 { "\n" } else { ",\n" });
                margin(out, indent);
                let key = format!("{}: ", Value::from(key.as_str()));
                out.push_str(&key);
                json(out, value, indent + 2, key.len());
            }
            out.push('}');
        }
        Value::Array(list) if !list.is_empty() => {
            out.push('[');
            for (index, value) in list.iter().enumerate() {
                out.push_str(if index == 0 { "\n" } else { ",\n" });
                margin(out, indent);
                json(out, value, indent + 2, 0);
            }
            out.push(']');
        }
        _ => out.push_str(&line),
    }
}

fn json_line(value: &Value) -> String {
    match value {
        Value::Object(map) => {
            let entries: Vec<String> = ordered(map)
                .into_iter()
                .map(|(key, value)| format!("{}: {}", Value::from(key.as_str()), json_line(value)))
                .collect();
            format!("{{{}}}", entries.join(", "))
        }
        Value::Array(list) => {
            let entries: Vec<String> = list.iter().map(json_line).collect();
            format!("[{}]", entries.join(", "))
        }
        other => other.to_string(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    #[test]
    fn how_does_a_document_look() {
        let document = json!({
            "channels": { "a b": [], "x": {}, "no": null },
            "info": { "title": "on", "version": "1.0", "description": "one\n\n  two: #\n", "plain": "as it is" },
            "asyncapi": "3.0.0",
            "list": [{ "name": "m", "of": ["a", 1] }, [1, [true]], "x: y", "multi\nline"],
            "payload": { "data": { "text": "快" }, "v": 1 },
        });
        let expected = r##"asyncapi: "3.0.0"
info:
  title: "on"
  version: "1.0"
  description: |
    one

      two: #
  plain: as it is
channels:
  a b: []
  "no": null
  x: {}
list:
  - name: m
    of: [a, 1]
  -
    - 1
    - [true]
  - "x: y"
  - |-
    multi
    line
payload: {"v": 1, "data": {"text": "快"}}
"##;
        assert_eq!(write(document.as_object().expect("a mapping")), expected);
    }

    #[test]
    fn is_long_json_broken_where_it_may_be() {
        let document = json!({ "payload": { "v": 1, "data": { "first": "a".repeat(60), "second": [{ "third": "b".repeat(60) }, 2] } } });
        let text = write(document.as_object().expect("a mapping"));
        assert!(text.lines().all(|line| line.len() <= JSON_LINE_BYTES_MAX), "{text}");
        let json = text.strip_prefix("payload: ").expect("the key");
        assert_eq!(serde_json::from_str::<Value>(json).expect("still JSON"), document["payload"]);
    }
}
