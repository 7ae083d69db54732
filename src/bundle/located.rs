//! A tree of authored values that remembers where each stands, and reads typed entries from it with every fault.
//!
//! TOML and JSON both become a `Node` (`from_toml`, `from_json`), so that a fault is reported the same way whatever
//! the folder is written in. `read` deserializes a node; at a fault it notes it, takes the faulty part out and tries
//! again, so that one run names every faulty field of an entry. Invariants: spans are byte ranges of the source;
//! nesting is at most `limits::AUTHORING_DEPTH_MAX`; a fraction is kept as text, because no float may come near money.

use std::collections::BTreeMap;
use std::fmt;
use std::ops::Range;

use serde::de::{
    self, DeserializeOwned, DeserializeSeed, IntoDeserializer, MapAccess, SeqAccess, Unexpected, Visitor,
};
use serde::forward_to_deserialize_any;
use toml::Spanned;
use toml::de::{DeTable, DeValue};

use crate::limits;

/// A value and where it stands.
#[derive(Clone, Debug)]
pub struct Node {
    /// Bytes of the source.
    pub span: Range<usize>,
    /// Numbers nodes of one tree.
    id: u32,
    /// What it is.
    pub value: Value,
}

/// An authored value.
#[derive(Clone, Debug)]
pub enum Value {
    /// JSON's null.
    Null,
    /// Yes or no.
    Flag(bool),
    /// A whole number.
    Number(i64),
    /// A number with a fraction, an exponent or too many digits, as written.
    Fraction(String),
    /// Text; a TOML date too.
    Text(String),
    /// Values in order.
    List(Vec<Node>),
    /// Keys with where each stands, in the order of the source (JSON) or sorted (TOML).
    Table(Vec<(String, Range<usize>, Node)>),
}

/// Something wrong at a place of the source.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Fault {
    /// Bytes of the source.
    pub span: Range<usize>,
    /// What is wrong there.
    pub message: String,
}

/// One step from a node to a part of it.
#[derive(Clone, Debug)]
pub enum Step {
    /// The value of this key.
    Key(&'static str),
    /// The value of this key, made from data.
    Name(String),
    /// This element.
    At(usize),
}

impl PartialEq for Step {
    fn eq(&self, other: &Step) -> bool {
        match (self.key(), other.key()) {
            (Ok(key), Ok(other)) => key == other,
            (Err(index), Err(other)) => index == other,
            _ => false,
        }
    }
}

impl Step {
    fn key(&self) -> Result<&str, usize> {
        match self {
            Step::Key(key) => Ok(key),
            Step::Name(key) => Ok(key),
            Step::At(index) => Err(*index),
        }
    }
}

impl Node {
    /// The part a path leads to, or the last part on the way that exists.
    pub fn part(&self, path: &[Step]) -> &Node {
        let mut node = self;
        for step in path {
            let next = match (&node.value, step.key()) {
                (Value::Table(entries), Ok(key)) => find(entries, key),
                (Value::List(nodes), Err(index)) => nodes.get(index),
                _ => None,
            };
            match next {
                Some(part) => node = part,
                None => break,
            }
        }
        node
    }
}

fn find<'n>(entries: &'n [(String, Range<usize>, Node)], key: &str) -> Option<&'n Node> {
    entries.iter().find(|(name, ..)| name == key).map(|(_, _, node)| node)
}

/// Reads TOML.
///
/// # Errors
/// Every syntax fault.
pub fn from_toml(source: &str) -> Result<Node, Vec<Fault>> {
    let (table, errors) = DeTable::parse_recoverable(source);
    if errors.is_empty() {
        let span = table.span();
        return Tree::default().table(span, table.into_inner(), 0).map_err(|fault| vec![fault]);
    }
    let fault = |error: toml::de::Error| Fault {
        span: error.span().unwrap_or(0..0),
        message: error.message().to_owned(),
    };
    Err(errors.into_iter().map(fault).collect())
}

/// Reads JSON.
///
/// # Errors
/// The first syntax fault.
pub fn from_json(source: &str) -> Result<Node, Vec<Fault>> {
    if let Err(error) = serde_json::from_str::<de::IgnoredAny>(source) {
        let start = byte_at(source, error.line(), error.column());
        let message = error.to_string();
        let message = message.split(" at line ").next().unwrap_or_default().to_owned();
        return Err(vec![Fault { span: start..start, message }]);
    }
    let mut tree = Tree::default();
    let mut json = Json { source, at: 0 };
    tree.json(&mut json, 0).map_err(|fault| vec![fault])
}

/// The byte at which a line and column (both from 1, the column in bytes) stand.
fn byte_at(source: &str, line: usize, column: usize) -> usize {
    let before: usize = source.split_inclusive('\n').take(line.saturating_sub(1)).map(str::len).sum();
    (before + column.saturating_sub(1)).min(source.len())
}

#[derive(Default)]
struct Tree {
    nodes: u32,
}

impl Tree {
    fn node(&mut self, span: Range<usize>, value: Value) -> Node {
        self.nodes += 1;
        Node { span, id: self.nodes, value }
    }

    fn deeper(depth: usize, span: &Range<usize>) -> Result<usize, Fault> {
        if depth < limits::AUTHORING_DEPTH_MAX {
            return Ok(depth + 1);
        }
        let message = format!("is nested deeper than {} levels", limits::AUTHORING_DEPTH_MAX);
        Err(Fault { span: span.clone(), message })
    }

    fn table(&mut self, span: Range<usize>, table: DeTable<'_>, depth: usize) -> Result<Node, Fault> {
        let depth = Tree::deeper(depth, &span)?;
        let mut entries = Vec::with_capacity(table.len());
        for (key, value) in table {
            let key_span = key.span();
            entries.push((key.into_inner().into_owned(), key_span, self.toml(value, depth)?));
        }
        Ok(self.node(span, Value::Table(entries)))
    }

    fn toml(&mut self, value: Spanned<DeValue<'_>>, depth: usize) -> Result<Node, Fault> {
        let span = value.span();
        let value = match value.into_inner() {
            DeValue::Table(table) => return self.table(span, table, depth),
            DeValue::Array(array) => {
                let depth = Tree::deeper(depth, &span)?;
                let nodes: Result<Vec<Node>, Fault> =
                    array.into_iter().map(|value| self.toml(value, depth)).collect();
                Value::List(nodes?)
            }
            DeValue::String(text) => Value::Text(text.into_owned()),
            DeValue::Boolean(flag) => Value::Flag(flag),
            DeValue::Integer(integer) => match i64::from_str_radix(integer.as_str(), integer.radix()) {
                Ok(number) => Value::Number(number),
                Err(_) => Value::Fraction(integer.to_string()),
            },
            DeValue::Float(float) => Value::Fraction(float.to_string()),
            DeValue::Datetime(datetime) => Value::Text(datetime.to_string()),
        };
        Ok(self.node(span, value))
    }

    /// The value at the cursor of a source that is known to be JSON.
    fn json(&mut self, json: &mut Json<'_>, depth: usize) -> Result<Node, Fault> {
        json.skip_space();
        let start = json.at;
        let value = match json.byte() {
            b'{' => {
                let depth = Tree::deeper(depth, &(start..start + 1))?;
                let mut entries: Vec<(String, Range<usize>, Node)> = Vec::new();
                while json.next_part(b'}') {
                    let key_start = json.at;
                    let key = json.text();
                    let key_span = key_start..json.at;
                    if find(&entries, &key).is_some() {
                        return Err(Fault {
                            span: key_span,
                            message: format!("key {key:?} stands here twice"),
                        });
                    }
                    json.skip_space();
                    json.at += 1;
                    entries.push((key, key_span, self.json(json, depth)?));
                }
                Value::Table(entries)
            }
            b'[' => {
                let depth = Tree::deeper(depth, &(start..start + 1))?;
                let mut nodes = Vec::new();
                while json.next_part(b']') {
                    nodes.push(self.json(json, depth)?);
                }
                Value::List(nodes)
            }
            b'"' => Value::Text(json.text()),
            _ => json.scalar(),
        };
        Ok(self.node(start..json.at, value))
    }
}

/// A cursor over text that serde_json has accepted, so that only the places have to be found.
struct Json<'s> {
    source: &'s str,
    at: usize,
}

impl Json<'_> {
    fn byte(&self) -> u8 {
        self.source.as_bytes().get(self.at).copied().unwrap_or_default()
    }

    fn skip_space(&mut self) {
        while matches!(self.byte(), b' ' | b'\t' | b'\n' | b'\r') {
            self.at += 1;
        }
    }

    /// Moves past an opening bracket or comma to the next part; past `close` and `false` at the end.
    fn next_part(&mut self, close: u8) -> bool {
        self.skip_space();
        if matches!(self.byte(), b'{' | b'[' | b',') {
            self.at += 1;
            self.skip_space();
        }
        let more = self.byte() != close;
        self.at += usize::from(!more);
        more
    }

    fn text(&mut self) -> String {
        let start = self.at;
        self.at += 1;
        while self.byte() != b'"' {
            self.at += if self.byte() == b'\\' { 2 } else { 1 };
        }
        self.at += 1;
        serde_json::from_str(&self.source[start..self.at]).expect("serde_json accepted the whole before")
    }

    fn scalar(&mut self) -> Value {
        let start = self.at;
        while matches!(self.byte(), b'a'..=b'z' | b'A'..=b'Z' | b'0'..=b'9' | b'-' | b'+' | b'.') {
            self.at += 1;
        }
        match &self.source[start..self.at] {
            "null" => Value::Null,
            "true" => Value::Flag(true),
            "false" => Value::Flag(false),
            number => number.parse().map_or_else(|_| Value::Fraction(number.to_owned()), Value::Number),
        }
    }
}

/// Reads a `T` from a node.
///
/// # Errors
/// Every fault that can be told apart, in the order of the source: each faulty field is taken out and the rest read
/// again; what is only a consequence of that is not reported.
pub fn read<T: DeserializeOwned>(node: &Node) -> Result<T, Vec<Fault>> {
    let first = match T::deserialize(Reader(node)) {
        Ok(value) => return Ok(value),
        Err(error) => error,
    };
    let mut rest = node.clone();
    let mut faults = Vec::new();
    let mut taken: BTreeMap<u32, Vec<String>> = BTreeMap::new();
    let mut next = Some(first);
    while let Some(error) = next {
        let consequence = match (error.at.as_ref().and_then(|at| taken.get(&at.1)), &error.missing) {
            (Some(keys), Some(missing)) => keys.iter().any(|key| key == missing),
            (Some(_), None) => true,
            (None, _) => false,
        };
        let (span, id) = error.at.unwrap_or((node.span.clone(), node.id));
        if !consequence {
            faults.push(Fault { span, message: error.message });
        }
        match take_out(&mut rest, id) {
            Some((parent, key)) => taken.entry(parent).or_default().push(key),
            None => break,
        }
        next = T::deserialize(Reader(&rest)).err();
    }
    faults.sort_by_key(|fault| fault.span.start);
    Err(faults)
}

/// Reads the entries of a file that is a list under one key; each is read for itself, so that a fault costs no more
/// than its entry. No key at all is an empty list.
///
/// # Errors
/// As `read`, over all entries, until `limits::AUTHORING_FINDINGS_MAX`.
pub fn read_list<T: DeserializeOwned>(root: &Node, key: &str) -> Result<Vec<T>, Vec<Fault>> {
    let Value::Table(entries) = &root.value else {
        let message = format!("expected a table with the key `{key}`");
        return Err(vec![Fault { span: root.span.clone(), message }]);
    };
    let (mut values, mut faults) = (Vec::new(), Vec::new());
    for (name, span, node) in entries {
        match &node.value {
            _ if name != key => {
                let message = format!("unknown key `{name}`, expected `{key}`");
                faults.push(Fault { span: span.clone(), message });
            }
            Value::List(nodes) => {
                for node in nodes {
                    match read(node) {
                        Ok(value) => values.push(value),
                        Err(more) => faults.extend(more),
                    }
                    if faults.len() >= limits::AUTHORING_FINDINGS_MAX {
                        return Err(faults);
                    }
                }
            }
            _ => {
                let message = format!("expected a list; in TOML each entry begins with [[{key}]]");
                faults.push(Fault { span: node.span.clone(), message });
            }
        }
    }
    if faults.is_empty() { Ok(values) } else { Err(faults) }
}

/// Takes the node `id` out of `node`'s parts: whose part it was and under which key.
fn take_out(node: &mut Node, id: u32) -> Option<(u32, String)> {
    let own = node.id;
    match &mut node.value {
        Value::Table(entries) => {
            if let Some(index) = entries.iter().position(|(.., part)| part.id == id) {
                return Some((own, entries.remove(index).0));
            }
            entries.iter_mut().find_map(|(.., part)| take_out(part, id))
        }
        Value::List(nodes) => {
            if let Some(index) = nodes.iter().position(|part| part.id == id) {
                nodes.remove(index);
                return Some((own, String::new()));
            }
            nodes.iter_mut().find_map(|part| take_out(part, id))
        }
        _ => None,
    }
}

/// A serde error with the node it belongs to.
#[derive(Debug)]
struct ReadError {
    at: Option<(Range<usize>, u32)>,
    message: String,
    missing: Option<String>,
}

impl ReadError {
    fn at(mut self, span: &Range<usize>, id: u32) -> ReadError {
        self.at.get_or_insert_with(|| (span.clone(), id));
        self
    }
}

impl fmt::Display for ReadError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.message)
    }
}

impl std::error::Error for ReadError {}

impl de::Error for ReadError {
    fn custom<M: fmt::Display>(message: M) -> ReadError {
        ReadError { at: None, message: message.to_string(), missing: None }
    }

    fn missing_field(field: &'static str) -> ReadError {
        let message = format!("field `{field}` is missing");
        ReadError { at: None, message, missing: Some(field.to_owned()) }
    }
}

/// Deserializes from a node; an error gets the place of the innermost node it came from.
struct Reader<'n>(&'n Node);

impl<'de> de::Deserializer<'de> for Reader<'_> {
    type Error = ReadError;

    fn deserialize_any<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, ReadError> {
        let node = self.0;
        match &node.value {
            Value::Null => visitor.visit_unit(),
            Value::Flag(flag) => visitor.visit_bool(*flag),
            Value::Number(number) => visitor.visit_i64(*number),
            Value::Fraction(_) => Err(de::Error::invalid_type(
                Unexpected::Other("a number with a fraction or too many digits"),
                &visitor,
            )),
            Value::Text(text) => visitor.visit_str(text),
            Value::List(nodes) => visitor.visit_seq(ListReader(nodes.iter())),
            Value::Table(entries) => visitor.visit_map(TableReader { entries: entries.iter(), value: None }),
        }
        .map_err(|error: ReadError| error.at(&node.span, node.id))
    }

    fn deserialize_option<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, ReadError> {
        match self.0.value {
            Value::Null => visitor.visit_none(),
            _ => visitor.visit_some(self),
        }
    }

    fn deserialize_newtype_struct<V: Visitor<'de>>(
        self,
        _: &'static str,
        visitor: V,
    ) -> Result<V::Value, ReadError> {
        visitor.visit_newtype_struct(self)
    }

    fn deserialize_enum<V: Visitor<'de>>(
        self,
        _: &'static str,
        variants: &'static [&'static str],
        visitor: V,
    ) -> Result<V::Value, ReadError> {
        let node = self.0;
        let expected = || {
            let message = format!("expected one of {}", variants.join(", "));
            ReadError { at: None, message, missing: None }.at(&node.span, node.id)
        };
        match &node.value {
            Value::Text(_) => visitor.visit_enum(VariantReader { name: node, content: None, key: None }),
            Value::Table(entries) => match entries.as_slice() {
                [(name, span, content)] => visitor.visit_enum(VariantReader {
                    name: node,
                    content: Some(content),
                    key: Some((name, span)),
                }),
                _ => Err(expected()),
            },
            _ => Err(expected()),
        }
        .map_err(|error: ReadError| error.at(&node.span, node.id))
    }

    forward_to_deserialize_any! {
        bool i8 i16 i32 i64 i128 u8 u16 u32 u64 u128 f32 f64 char str string bytes byte_buf unit unit_struct seq tuple
        tuple_struct map struct identifier ignored_any
    }
}

/// Reads a part; what a type says about its value after reading it belongs to the part too.
fn part<'de, T: DeserializeSeed<'de>>(node: &Node, seed: T) -> Result<T::Value, ReadError> {
    seed.deserialize(Reader(node)).map_err(|error| error.at(&node.span, node.id))
}

struct ListReader<'n>(std::slice::Iter<'n, Node>);

impl<'de> SeqAccess<'de> for ListReader<'_> {
    type Error = ReadError;
    fn next_element_seed<T: DeserializeSeed<'de>>(&mut self, seed: T) -> Result<Option<T::Value>, ReadError> {
        self.0.next().map(|node| part(node, seed)).transpose()
    }
}

struct TableReader<'n> {
    entries: std::slice::Iter<'n, (String, Range<usize>, Node)>,
    value: Option<&'n Node>,
}

impl<'de> MapAccess<'de> for TableReader<'_> {
    type Error = ReadError;

    fn next_key_seed<K: DeserializeSeed<'de>>(&mut self, seed: K) -> Result<Option<K::Value>, ReadError> {
        let Some((key, span, node)) = self.entries.next() else {
            return Ok(None);
        };
        self.value = Some(node);
        let read = seed.deserialize(key.as_str().into_deserializer());
        read.map(Some).map_err(|error: ReadError| error.at(span, node.id))
    }

    fn next_value_seed<S: DeserializeSeed<'de>>(&mut self, seed: S) -> Result<S::Value, ReadError> {
        part(self.value.take().expect("serde asks for a value after its key"), seed)
    }
}

/// A variant: its name as text, or as the only key of a table with the content.
struct VariantReader<'n> {
    name: &'n Node,
    content: Option<&'n Node>,
    key: Option<(&'n String, &'n Range<usize>)>,
}

impl<'n, 'de> de::EnumAccess<'de> for VariantReader<'n> {
    type Error = ReadError;
    type Variant = VariantReader<'n>;

    fn variant_seed<S: DeserializeSeed<'de>>(self, seed: S) -> Result<(S::Value, Self), ReadError> {
        let (name, span) = match (self.key, &self.name.value) {
            (Some((name, span)), _) => (name, span),
            (None, Value::Text(name)) => (name, &self.name.span),
            _ => return Err(de::Error::custom("expected the name of a variant")),
        };
        let read = seed.deserialize(name.as_str().into_deserializer());
        let variant = read.map_err(|error: ReadError| error.at(span, self.name.id))?;
        Ok((variant, self))
    }
}

impl<'de> de::VariantAccess<'de> for VariantReader<'_> {
    type Error = ReadError;

    fn unit_variant(self) -> Result<(), ReadError> {
        match self.content {
            None => Ok(()),
            Some(node) => {
                let error: ReadError = de::Error::custom("takes no value; write its name as text");
                Err(error.at(&node.span, node.id))
            }
        }
    }

    fn newtype_variant_seed<T: DeserializeSeed<'de>>(self, seed: T) -> Result<T::Value, ReadError> {
        match self.content {
            Some(node) => part(node, seed),
            None => Err(de::Error::custom("needs a value: { name = value }")),
        }
    }

    fn tuple_variant<V: Visitor<'de>>(self, _: usize, visitor: V) -> Result<V::Value, ReadError> {
        match self.content {
            Some(node) => de::Deserializer::deserialize_any(Reader(node), visitor),
            None => Err(de::Error::custom("needs a list of values")),
        }
    }

    fn struct_variant<V: Visitor<'de>>(
        self,
        _: &'static [&'static str],
        visitor: V,
    ) -> Result<V::Value, ReadError> {
        match self.content {
            Some(node) => de::Deserializer::deserialize_any(Reader(node), visitor),
            None => Err(de::Error::custom("needs fields")),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::pricing::model::Promotion;

    #[test]
    fn is_each_fault_of_an_entry_named_once_and_no_consequence() {
        let source = r#"[[promotion]]
titles = 5
benefit = { gift = { choices = 3, qty = "x", unit_price = 1.5 } }
schedule = { windows = [{ from = "25:00", to = "19:00" }], month_day = [1] }
colour = "red"
audience = { tier = "gold" }

[[promotion]]
id = "good"
titles = { en = "Good" }
benefit = { gift = { choices = ["a"] } }
"#;
        let root = from_toml(source).expect("TOML");
        let faults = read_list::<Promotion>(&root, "promotion").expect_err("six faults and a missing id");
        let named: Vec<(&str, bool)> = faults
            .iter()
            .map(|fault| {
                (
                    source[fault.span.clone()].lines().next().unwrap_or_default(),
                    fault.message.contains("missing"),
                )
            })
            .collect();
        assert_eq!(
            named,
            [
                ("[[promotion]]", true),
                ("5", false),
                ("3", false),
                ("\"x\"", false),
                ("1.5", false),
                ("\"25:00\"", false),
                ("month_day", false),
                ("colour", false),
                ("\"gold\"", false),
            ]
        );
    }

    #[test]
    fn do_toml_and_json_stand_in_the_same_places() {
        let toml = from_toml("a = [1, { b = \"ü\" }]\nc = true\n").expect("TOML");
        let json =
            from_json("{ \"a\" : [1, {\"b\":\"\\u00fc\\\"\"}] , \"c\":true, \"d\": null}").expect("JSON");
        let text = |node: &Node| match &node.value {
            Value::Text(text) => text.clone(),
            other => panic!("{other:?}"),
        };
        let path = [Step::Key("a"), Step::At(1), Step::Name("b".into())];
        assert_eq!((text(toml.part(&path)), text(json.part(&path))), ("ü".into(), "ü\"".into()));
        assert_eq!(json.part(&path).span, 17..27);
        let beyond = [Step::Key("a"), Step::At(9), Step::Key("x")];
        assert_eq!(json.part(&beyond).span, json.part(&beyond[..1]).span, "the last part that exists");
        for (wrong, start) in [("{ \"a\": 1, \"a\": 2 }", 10), ("{ \"a\": }", 7), ("[1,]", 3), ("", 0)] {
            let faults = from_json(wrong).expect_err(wrong);
            assert_eq!(faults[0].span.start, start, "{wrong}: {}", faults[0].message);
        }
    }
}
