//! One file per page: from the snapshot or a document to HTML. Managers' words; every empty page says what to do.

pub(super) mod campaigns;
pub(super) mod devices;
pub(super) mod figures;
pub(super) mod health;
pub(super) mod login;
pub(super) mod now;
pub(super) mod segments;
pub(super) mod simulator;
pub(super) mod sync;
pub(super) mod users;
pub(super) mod when;
pub(super) mod why;

use serde_json::Value;

use crate::domain::text::Lang;

/// A text of a document; empty if it is not there.
fn text<'v>(value: &'v Value, path: &str) -> &'v str {
    value.pointer(path).and_then(Value::as_str).unwrap_or_default()
}

/// A whole number of a document; 0 if it is not there.
fn number(value: &Value, path: &str) -> i64 {
    value.pointer(path).and_then(Value::as_i64).unwrap_or_default()
}

/// The parts of a list; none if it is not there.
fn list<'v>(value: &'v Value, path: &str) -> impl Iterator<Item = &'v Value> {
    value.pointer(path).and_then(Value::as_array).into_iter().flatten()
}

/// A text in the reader's language, else in any; a plain text as it is.
fn in_lang(value: Option<&Value>, lang: Lang) -> &str {
    match value {
        Some(Value::String(text)) => text,
        Some(Value::Object(texts)) => {
            let own = texts.get(lang.tag()).or_else(|| texts.values().next());
            own.and_then(Value::as_str).unwrap_or_default()
        }
        _ => "",
    }
}
