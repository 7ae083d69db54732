//! What is wrong with a payload, and where: the path of the field, collected from the inside out.
//!
//! Two ways to the path, both free while nothing is wrong: a deserializer adds a `Step` at each level a `Fault` passes
//! on its way out; a check carries an `At`, a list on the stack that is written out only for a fault. Invariant: no
//! value of the sender stands in a fault (it might be a phone number); keys do, shortened, and numbers out of range.

use std::fmt::{self, Display, Write};

use serde::de::{self, Expected, Unexpected};

use crate::domain::code::Code;
use crate::engine::reply::Refusal;
use crate::limits;

/// One step of a path.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Step {
    Key(String),
    Index(usize),
}

impl Step {
    /// A sender's key: shortened, without control characters.
    pub(super) fn key(text: &str) -> Step {
        let clean = |c: char| if c.is_control() { '?' } else { c };
        let end = text.floor_char_boundary(limits::DETAIL_KEY_BYTES_MAX);
        let mut key: String = text[..end].chars().map(clean).collect();
        if end < text.len() {
            key.push('…');
        }
        Step::Key(key)
    }
}

/// What is wrong with a payload, and where.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Fault {
    code: Code,
    /// Innermost first.
    steps: Vec<Step>,
    reason: String,
}

impl Fault {
    pub(super) fn new(code: Code, reason: impl Into<String>) -> Fault {
        Fault { code, steps: Vec::new(), reason: reason.into() }
    }

    /// The same fault, seen from one level further out.
    pub(super) fn under(mut self, step: Step) -> Fault {
        self.steps.push(step);
        self
    }

    fn path(&self) -> String {
        let mut path = String::new();
        for step in self.steps.iter().rev() {
            // Writing to a String cannot fail.
            let _ = match step {
                Step::Key(key) if path.is_empty() => write!(path, "{key}"),
                Step::Key(key) => write!(path, ".{key}"),
                Step::Index(index) => write!(path, "[{index}]"),
            };
        }
        path
    }
}

impl Display for Fault {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.path().as_str() {
            "" => f.write_str(&self.reason),
            path => write!(f, "{path}: {}", self.reason),
        }
    }
}

impl std::error::Error for Fault {}

impl From<Fault> for Refusal {
    fn from(fault: Fault) -> Refusal {
        Refusal::new(fault.code, fault.to_string())
    }
}

/// What was seen, without the value itself.
fn kind(seen: &Unexpected<'_>) -> &'static str {
    match seen {
        Unexpected::Bool(_) => "true or false",
        Unexpected::Unsigned(_) | Unexpected::Signed(_) => "a whole number",
        Unexpected::Float(_) => "a number with a fraction or an exponent",
        Unexpected::Char(_) | Unexpected::Str(_) => "text",
        Unexpected::Unit | Unexpected::Option => "null",
        Unexpected::Seq => "a list",
        Unexpected::Map => "an object",
        Unexpected::Bytes(_) => "binary data",
        _ => "something else",
    }
}

/// serde's names of what it wants, in words of the contract.
fn wanted(expected: &dyn Expected) -> String {
    match expected.to_string().as_str() {
        "i64" | "u64" | "u32" | "u8" => "a whole number".to_owned(),
        "a borrowed string" | "a string" => "text".to_owned(),
        "a boolean" => "true or false".to_owned(),
        "a sequence" => "a list".to_owned(),
        other if other.starts_with("struct ") => "an object".to_owned(),
        other => other.to_owned(),
    }
}

impl de::Error for Fault {
    fn custom<T: Display>(message: T) -> Fault {
        Fault::new(Code::MalformedPayload, message.to_string())
    }

    fn invalid_type(seen: Unexpected<'_>, expected: &dyn Expected) -> Fault {
        let wanted = wanted(expected);
        match seen {
            // Two to the 63rd: what no longer fits is a matter of range, however it was written.
            Unexpected::Float(value) if value.abs() >= 9_223_372_036_854_775_808.0 => {
                Fault::new(Code::OutOfRange, "a number beyond 64 bits")
            }
            seen => Fault::new(Code::MalformedPayload, format!("{} where {wanted} is needed", kind(&seen))),
        }
    }

    fn invalid_value(seen: Unexpected<'_>, expected: &dyn Expected) -> Fault {
        match seen {
            Unexpected::Unsigned(_) | Unexpected::Signed(_) => {
                Fault::new(Code::OutOfRange, "a number beyond 64 bits")
            }
            _ => Fault::new(Code::MalformedPayload, format!("must be {}", wanted(expected))),
        }
    }

    fn unknown_variant(_: &str, expected: &'static [&'static str]) -> Fault {
        Fault::new(Code::MalformedPayload, format!("must be one of {}", expected.join(", ")))
    }

    fn unknown_field(field: &str, expected: &'static [&'static str]) -> Fault {
        let reason = format!("version 1 knows no such field here; it knows {}", expected.join(", "));
        Fault::new(Code::UnknownField, reason).under(Step::key(field))
    }

    fn missing_field(field: &'static str) -> Fault {
        Fault::new(Code::MalformedPayload, "is missing").under(Step::key(field))
    }

    fn duplicate_field(field: &'static str) -> Fault {
        Fault::new(Code::MalformedPayload, "stands there twice").under(Step::key(field))
    }
}

/// Where a check is: borrowed from the stack, written out only for a fault.
#[derive(Clone, Copy)]
pub(super) struct At<'a> {
    above: Option<&'a At<'a>>,
    step: AtStep<'a>,
}

#[derive(Clone, Copy)]
enum AtStep<'a> {
    Key(&'a str),
    Index(usize),
}

impl<'a> At<'a> {
    pub(super) fn top(key: &'a str) -> At<'a> {
        At { above: None, step: AtStep::Key(key) }
    }

    pub(super) fn key(&'a self, key: &'a str) -> At<'a> {
        At { above: Some(self), step: AtStep::Key(key) }
    }

    pub(super) fn index(&'a self, index: usize) -> At<'a> {
        At { above: Some(self), step: AtStep::Index(index) }
    }

    pub(super) fn fault(&self, code: Code, reason: impl Into<String>) -> Fault {
        let mut fault = Fault::new(code, reason);
        let mut here = Some(self);
        while let Some(at) = here {
            fault.steps.push(match at.step {
                AtStep::Key(key) => Step::key(key),
                AtStep::Index(index) => Step::Index(index),
            });
            here = at.above;
        }
        fault
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn does_a_path_shorten_what_the_sender_wrote() {
        let fault =
            Fault::new(Code::UnknownField, "no").under(Step::key(&"名".repeat(100))).under(Step::Index(3));
        let text = fault.under(Step::key("da\nta")).to_string();
        assert_eq!(text, format!("da?ta[3].{}…: no", "名".repeat(16)));
    }
}
