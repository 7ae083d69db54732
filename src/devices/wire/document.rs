//! One payload as a tree of values: the same for JSON and MessagePack, bounded, and able to name its faulty field.
//!
//! Invariants: at most `WIRE_DEPTH_MAX` open containers and `WIRE_VALUES_MAX` values are ever built, both counted while
//! reading, so neither stack nor memory depends on what the bytes claim; a length that a MessagePack header announces
//! reserves nothing. Text borrows from the payload. A whole number is one whichever format or width carried it; `1.0`
//! and `1e3` are none.
//!
//! `read` makes the tree; `Node` then is a serde deserializer that is stricter than either format's own: an object
//! never comes as a list, a word never as a number or a one-key object, a key is text.

use std::borrow::Cow;
use std::fmt::{self, Display};

use serde::de::{
    self, DeserializeSeed, Deserializer, IntoDeserializer, MapAccess, SeqAccess, Unexpected, Visitor,
};

use sha2::{Digest as _, Sha256};

use crate::domain::code::Code;
use crate::engine::input::Digest;
use crate::limits;

use super::Format;
use super::fault::{Fault, Step};

/// A value of a payload.
#[derive(Debug, PartialEq)]
pub(super) enum Node<'p> {
    Null,
    Bool(bool),
    /// A whole number of either sign.
    Int(i64),
    /// A whole number above `i64::MAX`.
    Huge(u64),
    /// A number written with a fraction or an exponent, or beyond 64 bits.
    Float(f64),
    Text(Cow<'p, str>),
    List(Vec<Node<'p>>),
    Object(Vec<(Cow<'p, str>, Node<'p>)>),
}

impl<'p> Node<'p> {
    /// The first entry of that name, if this is an object.
    pub(super) fn get(&self, key: &str) -> Option<&Node<'p>> {
        let Node::Object(entries) = self else { return None };
        entries.iter().find(|(name, _)| name == key).map(|(_, value)| value)
    }

    /// Says the tree to `hash`, each value behind its kind and length, but for what is personal.
    fn say(&self, hash: &mut Sha256) {
        let mut leaf = |kind: u8, bytes: &[u8]| {
            hash.update([kind]);
            hash.update((bytes.len() as u64).to_be_bytes());
            hash.update(bytes);
        };
        match self {
            Node::Null => leaf(0, &[]),
            Node::Bool(is) => leaf(1, &[u8::from(*is)]),
            Node::Int(number) => leaf(2, &number.to_be_bytes()),
            Node::Huge(number) => leaf(3, &number.to_be_bytes()),
            Node::Float(number) => leaf(4, &number.to_bits().to_be_bytes()),
            Node::Text(text) => leaf(5, text.as_bytes()),
            Node::List(items) => {
                leaf(6, &(items.len() as u64).to_be_bytes());
                items.iter().for_each(|item| item.say(hash));
            }
            Node::Object(entries) => {
                leaf(7, &(entries.len() as u64).to_be_bytes());
                for (name, value) in entries {
                    Node::Text(Cow::Borrowed(name)).say(hash);
                    if !PERSONAL.contains(&&**name) {
                        value.say(hash);
                    }
                }
            }
        }
    }
}

/// Names under which a request carries what is personal: what a token says, a birthday, what a shopper wrote.
const PERSONAL: [&str; 3] = ["value", "birthday", "text"];

/// SHA-256 of a document but for what is personal in it, its first 16 bytes. It is kept as long as the decision is, and who
/// has only it cannot try out phone numbers until one fits.
pub(super) fn digest(document: &Node<'_>) -> Digest {
    let mut hash = Sha256::new();
    document.say(&mut hash);
    Digest::of(&hash.finalize().into())
}

/// Reads a payload whose top is an object. What of the top level was read before a fault comes back as well: the
/// request's id is usually in it.
pub(super) fn read(format: Format, payload: &[u8]) -> (Node<'_>, Result<(), Fault>) {
    let mut reading = Reading { values: 0, stopped: None, steps: Vec::new(), top: Vec::new() };
    let outcome = match format {
        Format::Json => read_json(payload, &mut reading),
        Format::MessagePack => read_messagepack(payload, &mut reading),
    };
    let outcome = outcome.map_err(|(code, reason)| {
        let fault = Fault::new(reading.stopped.unwrap_or(code), reason);
        reading.steps.into_iter().fold(fault, Fault::under)
    });
    (Node::Object(reading.top), outcome)
}

fn read_json<'p>(payload: &'p [u8], reading: &mut Reading<'p>) -> Result<(), (Code, String)> {
    let text = std::str::from_utf8(payload).map_err(|error| {
        (Code::BadUtf8, format!("the bytes from offset {} on are not UTF-8", error.valid_up_to()))
    })?;
    // RFC 8259 allows a reader to ignore a byte order mark, and some tills' libraries cannot help writing one.
    let mut reader = serde_json::Deserializer::from_str(text.strip_prefix('\u{feff}').unwrap_or(text));
    let whole = Value { reading, open: 0 }.deserialize(&mut reader).and_then(|_| reader.end());
    whole.map_err(|error| (Code::MalformedPayload, error.to_string()))
}

fn read_messagepack<'p>(payload: &'p [u8], reading: &mut Reading<'p>) -> Result<(), (Code, String)> {
    let mut reader = rmp_serde::Deserializer::from_read_ref(payload);
    Value { reading, open: 0 }.deserialize(&mut reader).map_err(|error| match error {
        rmp_serde::decode::Error::Utf8Error(error) => {
            (Code::BadUtf8, format!("a text is not UTF-8 from its byte {} on", error.valid_up_to()))
        }
        error => (Code::MalformedPayload, error.to_string()),
    })?;
    // The reader does not tell how far it came. With a depth of 1 it refuses to enter any container (0 would wrap), so a
    // marker that cannot be read means exactly that nothing is left.
    reader.set_max_depth(1);
    match serde::Deserialize::deserialize(&mut reader) {
        Err(rmp_serde::decode::Error::InvalidMarkerRead(_)) => Ok(()),
        Ok(de::IgnoredAny) | Err(_) => {
            Err((Code::MalformedPayload, "bytes follow the end of the document".to_owned()))
        }
    }
}

/// What is known while a payload is read.
struct Reading<'p> {
    values: usize,
    /// Our own reason to stop, where it was not the format's.
    stopped: Option<Code>,
    /// Path to where reading stopped, innermost first.
    steps: Vec<Step>,
    /// Entries of the top level so far.
    top: Vec<(Cow<'p, str>, Node<'p>)>,
}

impl Reading<'_> {
    fn stop<E: de::Error>(&mut self, code: Code, reason: impl Display) -> E {
        self.stopped = Some(code);
        E::custom(reason)
    }

    fn count<E: de::Error>(&mut self) -> Result<(), E> {
        self.values += 1;
        if self.values > limits::WIRE_VALUES_MAX {
            let reason = format_args!("more than {} values", limits::WIRE_VALUES_MAX);
            return Err(self.stop(Code::PayloadTooLarge, reason));
        }
        Ok(())
    }
}

/// Reads one value below `open` containers.
struct Value<'r, 'p> {
    reading: &'r mut Reading<'p>,
    open: usize,
}

impl<'p> Value<'_, 'p> {
    fn enter<E: de::Error>(&mut self) -> Result<usize, E> {
        if self.open == limits::WIRE_DEPTH_MAX {
            let reason = format_args!("more than {} containers are open", limits::WIRE_DEPTH_MAX);
            return Err(self.reading.stop(Code::TooDeep, reason));
        }
        Ok(self.open + 1)
    }

    fn scalar<E: de::Error>(self, node: Node<'p>) -> Result<Node<'p>, E> {
        if self.open == 0 {
            return Err(E::custom("a request is an object"));
        }
        Ok(node)
    }
}

impl<'p> DeserializeSeed<'p> for Value<'_, 'p> {
    type Value = Node<'p>;

    fn deserialize<D: Deserializer<'p>>(self, deserializer: D) -> Result<Node<'p>, D::Error> {
        self.reading.count()?;
        deserializer.deserialize_any(self)
    }
}

impl<'p> Visitor<'p> for Value<'_, 'p> {
    type Value = Node<'p>;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a value that JSON can hold")
    }

    fn visit_unit<E: de::Error>(self) -> Result<Node<'p>, E> {
        self.scalar(Node::Null)
    }

    fn visit_bool<E: de::Error>(self, value: bool) -> Result<Node<'p>, E> {
        self.scalar(Node::Bool(value))
    }

    fn visit_i64<E: de::Error>(self, value: i64) -> Result<Node<'p>, E> {
        self.scalar(Node::Int(value))
    }

    fn visit_u64<E: de::Error>(self, value: u64) -> Result<Node<'p>, E> {
        self.scalar(i64::try_from(value).map_or(Node::Huge(value), Node::Int))
    }

    fn visit_f64<E: de::Error>(self, value: f64) -> Result<Node<'p>, E> {
        self.scalar(Node::Float(value))
    }

    fn visit_borrowed_str<E: de::Error>(self, text: &'p str) -> Result<Node<'p>, E> {
        self.scalar(Node::Text(Cow::Borrowed(text)))
    }

    fn visit_str<E: de::Error>(self, text: &str) -> Result<Node<'p>, E> {
        self.scalar(Node::Text(Cow::Owned(text.to_owned())))
    }

    fn visit_bytes<E: de::Error>(self, _: &[u8]) -> Result<Node<'p>, E> {
        Err(E::custom("binary data where the contract has only text"))
    }

    fn visit_newtype_struct<D: Deserializer<'p>>(self, _: D) -> Result<Node<'p>, D::Error> {
        Err(de::Error::custom("an extension type, which the contract has none of"))
    }

    fn visit_seq<A: SeqAccess<'p>>(mut self, mut list: A) -> Result<Node<'p>, A::Error> {
        if self.open == 0 {
            return Err(de::Error::custom("a list where a request is an object"));
        }
        let open = self.enter()?;
        let mut values = Vec::new();
        loop {
            match list.next_element_seed(Value { reading: &mut *self.reading, open }) {
                Ok(Some(value)) => values.push(value),
                Ok(None) => return Ok(Node::List(values)),
                Err(error) => {
                    self.reading.steps.push(Step::Index(values.len()));
                    return Err(error);
                }
            }
        }
    }

    fn visit_map<A: MapAccess<'p>>(mut self, mut map: A) -> Result<Node<'p>, A::Error> {
        let open = self.enter()?;
        let mut entries = Vec::new();
        while let Some(key) = map.next_key_seed(Key)? {
            match map.next_value_seed(Value { reading: &mut *self.reading, open }) {
                Ok(value) if self.open == 0 => self.reading.top.push((key, value)),
                Ok(value) => entries.push((key, value)),
                Err(error) => {
                    self.reading.steps.push(Step::key(&key));
                    return Err(error);
                }
            }
        }
        Ok(Node::Object(entries))
    }
}

/// Reads a key: text and nothing else.
struct Key;

impl<'p> DeserializeSeed<'p> for Key {
    type Value = Cow<'p, str>;

    fn deserialize<D: Deserializer<'p>>(self, deserializer: D) -> Result<Cow<'p, str>, D::Error> {
        deserializer.deserialize_any(self)
    }
}

impl<'p> Visitor<'p> for Key {
    type Value = Cow<'p, str>;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a key that is text")
    }

    fn visit_borrowed_str<E: de::Error>(self, text: &'p str) -> Result<Cow<'p, str>, E> {
        Ok(Cow::Borrowed(text))
    }

    fn visit_str<E: de::Error>(self, text: &str) -> Result<Cow<'p, str>, E> {
        Ok(Cow::Owned(text.to_owned()))
    }
}

impl<'t> Deserializer<'t> for &'t Node<'_> {
    type Error = Fault;

    fn deserialize_any<V: Visitor<'t>>(self, visitor: V) -> Result<V::Value, Fault> {
        match self {
            Node::Null => visitor.visit_unit(),
            Node::Bool(value) => visitor.visit_bool(*value),
            Node::Int(value) => visitor.visit_i64(*value),
            Node::Huge(value) => visitor.visit_u64(*value),
            Node::Float(value) => visitor.visit_f64(*value),
            Node::Text(text) => visitor.visit_borrowed_str(text),
            Node::List(values) => visitor.visit_seq(Elements { values: values.iter(), index: 0 }),
            Node::Object(entries) => visitor.visit_map(Entries { entries: entries.iter(), current: None }),
        }
    }

    /// `null` is the same as leaving the field out: some clients cannot leave out.
    fn deserialize_option<V: Visitor<'t>>(self, visitor: V) -> Result<V::Value, Fault> {
        match self {
            Node::Null => visitor.visit_none(),
            _ => visitor.visit_some(self),
        }
    }

    fn deserialize_struct<V: Visitor<'t>>(
        self,
        _: &'static str,
        _: &'static [&'static str],
        visitor: V,
    ) -> Result<V::Value, Fault> {
        match self {
            Node::List(_) => Err(de::Error::invalid_type(Unexpected::Seq, &"an object")),
            _ => self.deserialize_any(visitor),
        }
    }

    fn deserialize_enum<V: Visitor<'t>>(
        self,
        _: &'static str,
        _: &'static [&'static str],
        visitor: V,
    ) -> Result<V::Value, Fault> {
        match self {
            Node::Text(text) => visitor.visit_enum(text.as_ref().into_deserializer()),
            _ => Err(Fault::new(Code::MalformedPayload, "must be one of the contract's words")),
        }
    }

    serde::forward_to_deserialize_any! {
        <V: Visitor<'t>>
        bool i8 i16 i32 i64 i128 u8 u16 u32 u64 u128 f32 f64 char str string bytes byte_buf unit unit_struct
        newtype_struct seq tuple tuple_struct map identifier ignored_any
    }
}

struct Elements<'t, 'p> {
    values: std::slice::Iter<'t, Node<'p>>,
    index: usize,
}

impl<'t> SeqAccess<'t> for Elements<'t, '_> {
    type Error = Fault;

    fn next_element_seed<S: DeserializeSeed<'t>>(&mut self, seed: S) -> Result<Option<S::Value>, Fault> {
        let Some(value) = self.values.next() else { return Ok(None) };
        let index = self.index;
        self.index += 1;
        seed.deserialize(value).map(Some).map_err(|fault| fault.under(Step::Index(index)))
    }

    fn size_hint(&self) -> Option<usize> {
        Some(self.values.len())
    }
}

struct Entries<'t, 'p> {
    entries: std::slice::Iter<'t, (Cow<'p, str>, Node<'p>)>,
    current: Option<&'t (Cow<'p, str>, Node<'p>)>,
}

impl<'t> MapAccess<'t> for Entries<'t, '_> {
    type Error = Fault;

    fn next_key_seed<S: DeserializeSeed<'t>>(&mut self, seed: S) -> Result<Option<S::Value>, Fault> {
        self.current = self.entries.next();
        let Some((key, _)) = self.current else { return Ok(None) };
        seed.deserialize(de::value::BorrowedStrDeserializer::new(key)).map(Some)
    }

    fn next_value_seed<S: DeserializeSeed<'t>>(&mut self, seed: S) -> Result<S::Value, Fault> {
        let Some((key, value)) = self.current else { return Err(de::Error::custom("a value without a key")) };
        seed.deserialize(value).map_err(|fault| fault.under(Step::key(key)))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::engine::reply::Refusal;

    #[test]
    fn is_what_came_before_a_fault_kept() {
        let (top, outcome) = read(Format::Json, br#"{"v":1,"id":"till-1-0001","data":{"a":[1,{"b":}]}}"#);
        assert_eq!(top.get("id"), Some(&Node::Text("till-1-0001".into())));
        let fault = outcome.expect_err("the value of b is missing");
        assert!(fault.to_string().starts_with("data.a[1].b: expected value at line 1 column"), "{fault}");
    }

    #[test]
    fn does_a_header_that_promises_much_reserve_anything() {
        for huge in [
            &[0xdf, 0xff, 0xff, 0xff, 0xff][..],
            &[0x81, 0xa1, b'a', 0xdd, 0xff, 0xff, 0xff, 0xff],
            &[0x81, 0xdb, 0xff, 0xff, 0xff, 0xff],
        ] {
            let (top, outcome) = read(Format::MessagePack, huge);
            assert_eq!(top, Node::Object(Vec::new()));
            assert!(outcome.is_err());
        }
    }

    #[test]
    fn are_values_counted() {
        let text = format!("{{\"a\":[{}1]}}", "1,".repeat(limits::WIRE_VALUES_MAX));
        let (_, outcome) = read(Format::Json, text.as_bytes());
        assert_eq!(Refusal::from(outcome.expect_err("too many")).code, Code::PayloadTooLarge);
        let (_, outcome) = read(Format::Json, b"{\"a\":[1,1,1,1]}");
        assert_eq!(outcome, Ok(()));
    }

    #[test]
    fn can_a_phone_number_be_found_out_from_a_digest() {
        let of = |text: &str| digest(&read(Format::Json, text.as_bytes()).0);
        let enroll = |phone: &str, day: &str, agreed: bool| {
            let token = format!(r#"{{"kind":"phone","value":"{phone}"}}"#);
            of(&format!(
                r#"{{"data":{{"token":{token},"consent":{{"programme":{agreed}}},"birthday":"{day}"}}}}"#
            ))
        };
        let first = enroll("19912345678", "05-17", true);
        assert_eq!(first, enroll("13800138000", "12-31", true), "it says nothing of the person");
        assert_ne!(first, enroll("19912345678", "05-17", false));
        let lines = [
            r#"{"a":[1,2],"b":[]}"#,
            r#"{"a":[1],"b":[2]}"#,
            r#"{"a":[12],"b":[]}"#,
            r#"{"a":["1",2],"b":[]}"#,
        ];
        let all: std::collections::BTreeSet<_> = lines.iter().map(|line| of(line).0).collect();
        assert_eq!(all.len(), lines.len(), "and what is not personal cannot be pushed to and fro");
        assert_eq!(of(r#"{"a": 1}"#), of(r#"{ "a" :1}"#));
    }
}
