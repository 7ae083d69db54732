//! Personal values in a decision's bytes, so marked that who stores the bytes can put a number in the place of each.
//!
//! A decision names its member a dozen times, in a dozen types. Instead of walking those types, the writer looks at what it
//! writes: member ids and token hashes are types of their own, and the few personal fields of others stand in `FIELDS`. Each
//! is written as a MessagePack extension, the kind as its type and the value's own MessagePack as its content:
//!
//! ```text
//! marked   ext kind       the value         while it is written; nowhere on the disk
//! numbered ext kind + 32  number, u32       the vault knows the value; 0, and a number it does not know, is nobody's
//!          ext kind + 64  16 bytes          a token that is no member's, keyed: the same again, and never found out
//! ```
//! Reading puts the values back before anything is parsed, so that everybody else sees the forms they always saw.
//!
//! Invariants: a value that is already what a forgotten one reads as stands there unmarked; bytes that are not marks pass
//! through unchanged; what the vault does not know reads as `Kind::nobodys`, which is of the type that was there.

use serde::ser::{
    Error as _, SerializeMap, SerializeSeq, SerializeStruct, SerializeStructVariant, SerializeTuple,
    SerializeTupleStruct, SerializeTupleVariant,
};
use serde::{Serialize, Serializer};

use crate::domain::ids::MemberId;
use crate::domain::member::TokenHash;

const NUMBERED: u8 = 32;
const KEYED: u8 = 64;

/// What a personal value is.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Kind {
    /// A member's id.
    Member = 1,
    /// A token's hash.
    Token = 2,
    /// Something that may be missing: a birthday, a household.
    Option = 3,
    /// A text that may be empty: a name.
    Text = 4,
    /// What head office computed.
    Map = 5,
}

/// Which fields of which types are personal, beside those that are a type of their own. What pricing needs in order to say
/// the same again (tier, tags, groups, purchases, points) is none of them: under nobody's name it tells of nobody.
const FIELDS: [(&str, &str, Kind); 6] = [
    ("Profile", "name", Kind::Text),
    ("Profile", "household", Kind::Option),
    ("Profile", "birthday", Kind::Option),
    ("Profile", "attributes", Kind::Map),
    ("Enroll", "birthday", Kind::Option),
    ("Feedback", "text", Kind::Option),
];

impl Kind {
    const ALL: [Kind; 5] = [Kind::Member, Kind::Token, Kind::Option, Kind::Text, Kind::Map];

    fn of(tag: u8) -> Option<Kind> {
        Kind::ALL.into_iter().find(|kind| *kind as u8 == tag)
    }

    /// What a forgotten value reads as, as MessagePack.
    pub fn nobodys(self) -> Vec<u8> {
        match self {
            Kind::Member => plain(&MemberId::nobody()),
            Kind::Token => plain(&TokenHash::NOBODYS),
            Kind::Option => plain(&()),
            Kind::Text => plain(""),
            Kind::Map => vec![0x80],
        }
    }
}

fn plain<T: Serialize + ?Sized>(value: &T) -> Vec<u8> {
    rmp_serde::to_vec(value).expect("plain data can always be written")
}

/// What to write in the place of a personal value.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Instead {
    /// The number it is known by; 0 for one that is to be forgotten at once.
    Number(u32),
    /// Sixteen bytes that nobody finds the value from.
    Keyed([u8; 16]),
    /// The value itself: it is of nobody in particular.
    Itself,
}

/// Gives numbers to personal values, in the order in which a decision names them.
pub trait Numbers {
    /// What to write for `value`, MessagePack of its kind.
    fn instead(&mut self, kind: Kind, value: &[u8]) -> Instead;
}

/// Knows personal values by their numbers.
pub trait Values {
    /// Appends the value's MessagePack. Nothing, and false, if it is not known, or not any more.
    fn value(&self, kind: Kind, number: u32, out: &mut Vec<u8>) -> bool;
}

/// Knows nobody: everything personal reads as forgotten.
pub struct Nobody;

impl Values for Nobody {
    fn value(&self, _: Kind, _: u32, _: &mut Vec<u8>) -> bool {
        false
    }
}

/// Copies marked bytes and puts numbers in the place of marked values.
pub(super) fn number(marked: &[u8], numbers: &mut dyn Numbers, out: &mut Vec<u8>) -> Result<(), String> {
    each_mark(marked, out, |tag, value, out| {
        let Some(kind) = Kind::of(tag) else { return false };
        match numbers.instead(kind, value) {
            Instead::Number(number) => {
                out.extend([0xd6, kind as u8 + NUMBERED]);
                out.extend(number.to_be_bytes());
            }
            Instead::Keyed(bytes) => {
                out.extend([0xd8, kind as u8 + KEYED]);
                out.extend(bytes);
            }
            Instead::Itself => out.extend(value),
        }
        true
    })
}

/// Copies numbered bytes and puts the values in the place of the numbers.
pub(super) fn name(numbered: &[u8], values: &dyn Values, out: &mut Vec<u8>) -> Result<(), String> {
    each_mark(numbered, out, |tag, content, out| {
        if let (Some(kind), Ok(number)) = (Kind::of(tag.wrapping_sub(NUMBERED)), content.try_into()) {
            let number = u32::from_be_bytes(number);
            if number == 0 || !values.value(kind, number, out) {
                out.extend(kind.nobodys());
            }
            return true;
        }
        if let (Some(Kind::Token), 16) = (Kind::of(tag.wrapping_sub(KEYED)), content.len()) {
            let mut hash = TokenHash([0; 32]);
            hash.0[..16].copy_from_slice(content);
            out.extend(plain(&hash));
            return true;
        }
        false
    })
}

/// Does a member of this number stand among numbered bytes?
pub(super) fn mentions(numbered: &[u8], number: u32) -> Result<bool, String> {
    let mut found = false;
    each_mark(numbered, &mut Vec::new(), |tag, content, _| {
        found |= tag == Kind::Member as u8 + NUMBERED && content == number.to_be_bytes();
        true
    })?;
    Ok(found)
}

/// Copies MessagePack, token by token; `instead` may write something else in the place of an extension, and says whether it
/// did. Containers need no looking into: their items stand behind them.
fn each_mark(
    bytes: &[u8],
    out: &mut Vec<u8>,
    mut instead: impl FnMut(u8, &[u8], &mut Vec<u8>) -> bool,
) -> Result<(), String> {
    let (mut at, mut copied) = (0, 0);
    while let Some(marker) = bytes.get(at) {
        let number = |width: usize| -> Result<usize, String> {
            let digits = bytes.get(at + 1..at + 1 + width).ok_or("it ends in a length")?;
            Ok(digits.iter().fold(0, |sum, digit| sum << 8 | usize::from(*digit)))
        };
        let behind = |head: usize, length: usize| -> Result<usize, String> {
            let end = at.checked_add(head).and_then(|end| end.checked_add(length));
            end.filter(|end| *end <= bytes.len()).ok_or_else(|| "it ends in a value".to_owned())
        };
        let (head, length) = match marker {
            0xd4..=0xd8 => (2, 1 << (marker - 0xd4)),
            0xc7 => (3, number(1)?),
            0xc8 => (4, number(2)?),
            0xc9 => (6, number(4)?),
            _ => {
                at = match marker {
                    0xa0..=0xbf => behind(1, usize::from(marker & 0x1f))?,
                    0xc4 | 0xd9 => behind(2, number(1)?)?,
                    0xc5 | 0xda => behind(3, number(2)?)?,
                    0xc6 | 0xdb => behind(5, number(4)?)?,
                    0xcc | 0xd0 => behind(2, 0)?,
                    0xcd | 0xd1 | 0xdc | 0xde => behind(3, 0)?,
                    0xca | 0xce | 0xd2 | 0xdd | 0xdf => behind(5, 0)?,
                    0xcb | 0xcf | 0xd3 => behind(9, 0)?,
                    _ => at + 1,
                };
                continue;
            }
        };
        let end = behind(head, length)?;
        out.extend(&bytes[copied..at]);
        copied = end;
        if !instead(bytes[at + head - 1], &bytes[at + head..end], out) {
            copied = at;
        }
        at = end;
    }
    out.extend(&bytes[copied..]);
    Ok(())
}

/// Writes a value with its personal values marked, where they are to be: as MessagePack, by name or as lists.
pub(super) fn write<T: Serialize + ?Sized>(out: &mut Vec<u8>, value: &T, (named, marked): (bool, bool)) {
    let written = match (marked, named) {
        (false, true) => rmp_serde::encode::write_named(out, value),
        (false, false) => rmp_serde::encode::write(out, value),
        (true, true) => {
            let mut inner = rmp_serde::Serializer::new(out).with_struct_map();
            value.serialize(Marking { inner: &mut inner, named })
        }
        (true, false) => value.serialize(Marking { inner: &mut rmp_serde::Serializer::new(out), named }),
    };
    written.expect("plain data can always be written");
}

/// A serializer that marks.
struct Marking<S> {
    inner: S,
    named: bool,
}

/// A value of one that marks.
struct Within<'a, T: ?Sized> {
    value: &'a T,
    named: bool,
}

impl<T: Serialize + ?Sized> Serialize for Within<'_, T> {
    fn serialize<S: Serializer>(&self, inner: S) -> Result<S::Ok, S::Error> {
        self.value.serialize(Marking { inner, named: self.named })
    }
}

/// A personal value.
struct Marked<'a, T: ?Sized> {
    kind: Kind,
    value: &'a T,
    named: bool,
}

struct Content<'a>(&'a [u8]);

impl Serialize for Content<'_> {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.serialize_bytes(self.0)
    }
}

impl<T: Serialize + ?Sized> Serialize for Marked<'_, T> {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let written = match self.named {
            true => rmp_serde::to_vec_named(self.value),
            false => rmp_serde::to_vec(self.value),
        };
        let content = written.map_err(S::Error::custom)?;
        if content == self.kind.nobodys() {
            return self.value.serialize(serializer);
        }
        let name = rmp_serde::MSGPACK_EXT_STRUCT_NAME;
        serializer.serialize_newtype_struct(name, &((self.kind as u8).cast_signed(), Content(&content)))
    }
}

/// A container of one that marks; `of` is the type whose fields it has.
struct Part<C> {
    inner: C,
    named: bool,
    of: &'static str,
}

macro_rules! scalars {
    ($($method:ident: $type:ty),+ $(,)?) => {
        $(fn $method(self, value: $type) -> Result<Self::Ok, Self::Error> { self.inner.$method(value) })+
    };
}

impl<S: Serializer> Serializer for Marking<S> {
    type Ok = S::Ok;
    type Error = S::Error;
    type SerializeSeq = Part<S::SerializeSeq>;
    type SerializeTuple = Part<S::SerializeTuple>;
    type SerializeTupleStruct = Part<S::SerializeTupleStruct>;
    type SerializeTupleVariant = Part<S::SerializeTupleVariant>;
    type SerializeMap = Part<S::SerializeMap>;
    type SerializeStruct = Part<S::SerializeStruct>;
    type SerializeStructVariant = Part<S::SerializeStructVariant>;

    scalars! {
        serialize_bool: bool, serialize_i8: i8, serialize_i16: i16, serialize_i32: i32, serialize_i64: i64,
        serialize_i128: i128, serialize_u8: u8, serialize_u16: u16, serialize_u32: u32, serialize_u64: u64,
        serialize_u128: u128, serialize_f32: f32, serialize_f64: f64, serialize_char: char, serialize_str: &str,
        serialize_bytes: &[u8], serialize_unit_struct: &'static str,
    }

    fn serialize_none(self) -> Result<S::Ok, S::Error> {
        self.inner.serialize_none()
    }

    fn serialize_some<T: Serialize + ?Sized>(self, value: &T) -> Result<S::Ok, S::Error> {
        self.inner.serialize_some(&Within { value, named: self.named })
    }

    fn serialize_unit(self) -> Result<S::Ok, S::Error> {
        self.inner.serialize_unit()
    }

    fn serialize_unit_variant(
        self,
        name: &'static str,
        index: u32,
        variant: &'static str,
    ) -> Result<S::Ok, S::Error> {
        self.inner.serialize_unit_variant(name, index, variant)
    }

    fn serialize_newtype_struct<T: Serialize + ?Sized>(
        self,
        name: &'static str,
        value: &T,
    ) -> Result<S::Ok, S::Error> {
        let named = self.named;
        match name {
            "MemberId" => Marked { kind: Kind::Member, value, named }.serialize(self.inner),
            "TokenHash" => Marked { kind: Kind::Token, value, named }.serialize(self.inner),
            _ => self.inner.serialize_newtype_struct(name, &Within { value, named }),
        }
    }

    fn serialize_newtype_variant<T: Serialize + ?Sized>(
        self,
        name: &'static str,
        index: u32,
        variant: &'static str,
        value: &T,
    ) -> Result<S::Ok, S::Error> {
        self.inner.serialize_newtype_variant(name, index, variant, &Within { value, named: self.named })
    }

    fn serialize_seq(self, length: Option<usize>) -> Result<Self::SerializeSeq, S::Error> {
        Ok(Part { inner: self.inner.serialize_seq(length)?, named: self.named, of: "" })
    }

    fn serialize_tuple(self, length: usize) -> Result<Self::SerializeTuple, S::Error> {
        Ok(Part { inner: self.inner.serialize_tuple(length)?, named: self.named, of: "" })
    }

    fn serialize_tuple_struct(
        self,
        name: &'static str,
        length: usize,
    ) -> Result<Self::SerializeTupleStruct, S::Error> {
        Ok(Part { inner: self.inner.serialize_tuple_struct(name, length)?, named: self.named, of: name })
    }

    fn serialize_tuple_variant(
        self,
        name: &'static str,
        index: u32,
        variant: &'static str,
        length: usize,
    ) -> Result<Self::SerializeTupleVariant, S::Error> {
        let inner = self.inner.serialize_tuple_variant(name, index, variant, length)?;
        Ok(Part { inner, named: self.named, of: "" })
    }

    fn serialize_map(self, length: Option<usize>) -> Result<Self::SerializeMap, S::Error> {
        Ok(Part { inner: self.inner.serialize_map(length)?, named: self.named, of: "" })
    }

    fn serialize_struct(self, name: &'static str, length: usize) -> Result<Self::SerializeStruct, S::Error> {
        Ok(Part { inner: self.inner.serialize_struct(name, length)?, named: self.named, of: name })
    }

    fn serialize_struct_variant(
        self,
        name: &'static str,
        index: u32,
        variant: &'static str,
        length: usize,
    ) -> Result<Self::SerializeStructVariant, S::Error> {
        let inner = self.inner.serialize_struct_variant(name, index, variant, length)?;
        Ok(Part { inner, named: self.named, of: variant })
    }

    fn is_human_readable(&self) -> bool {
        self.inner.is_human_readable()
    }
}

macro_rules! items {
    ($($trait:ident $method:ident),+ $(,)?) => {$(
        impl<C: $trait> $trait for Part<C> {
            type Ok = C::Ok;
            type Error = C::Error;

            fn $method<T: Serialize + ?Sized>(&mut self, value: &T) -> Result<(), C::Error> {
                self.inner.$method(&Within { value, named: self.named })
            }

            fn end(self) -> Result<C::Ok, C::Error> {
                self.inner.end()
            }
        }
    )+};
}

items! {
    SerializeSeq serialize_element,
    SerializeTuple serialize_element,
    SerializeTupleStruct serialize_field,
    SerializeTupleVariant serialize_field,
}

impl<C: SerializeMap> SerializeMap for Part<C> {
    type Ok = C::Ok;
    type Error = C::Error;

    fn serialize_key<T: Serialize + ?Sized>(&mut self, value: &T) -> Result<(), C::Error> {
        self.inner.serialize_key(&Within { value, named: self.named })
    }

    fn serialize_value<T: Serialize + ?Sized>(&mut self, value: &T) -> Result<(), C::Error> {
        self.inner.serialize_value(&Within { value, named: self.named })
    }

    fn end(self) -> Result<C::Ok, C::Error> {
        self.inner.end()
    }
}

macro_rules! fields {
    ($($trait:ident),+) => {$(
        impl<C: $trait> $trait for Part<C> {
            type Ok = C::Ok;
            type Error = C::Error;

            fn serialize_field<T: Serialize + ?Sized>(
                &mut self,
                field: &'static str,
                value: &T,
            ) -> Result<(), C::Error> {
                let named = self.named;
                match FIELDS.iter().find(|(of, its, _)| *of == self.of && *its == field) {
                    Some((.., kind)) => self.inner.serialize_field(field, &Marked { kind: *kind, value, named }),
                    None => self.inner.serialize_field(field, &Within { value, named }),
                }
            }

            fn skip_field(&mut self, field: &'static str) -> Result<(), C::Error> {
                self.inner.skip_field(field)
            }

            fn end(self) -> Result<C::Ok, C::Error> {
                self.inner.end()
            }
        }
    )+};
}

fields! { SerializeStruct, SerializeStructVariant }

#[cfg(test)]
mod tests {
    use std::collections::BTreeMap;

    use proptest::prelude::*;

    use super::*;
    use crate::domain::member::{Attribute, Profile};
    use crate::engine::input::{Enroll, Feedback};

    /// Numbers everything, and knows it again.
    #[derive(Default)]
    struct All(BTreeMap<u32, (Kind, Vec<u8>)>);

    impl Numbers for All {
        fn instead(&mut self, kind: Kind, value: &[u8]) -> Instead {
            let number = u32::try_from(self.0.len() + 1).expect("few");
            self.0.insert(number, (kind, value.to_vec()));
            Instead::Number(number)
        }
    }

    impl Values for All {
        fn value(&self, kind: Kind, number: u32, out: &mut Vec<u8>) -> bool {
            let known = self.0.get(&number).filter(|(of, _)| *of == kind);
            known.inspect(|(_, value)| out.extend(value)).is_some()
        }
    }

    fn said() -> (MemberId, Profile, Enroll, Feedback) {
        let text = |text: &str| text.to_owned();
        let tag = |text: &str| crate::domain::ids::Tag::new(text).expect("a tag");
        let profile = Profile {
            name: text("Wang Xiaoming"),
            household: Some(tag("house-of-wang")),
            birthday: Some("05-17".parse().expect("a day")),
            attributes: [(tag("car"), Attribute::Word(text("red-beetle")))].into(),
            tags: vec![tag("organic")],
            ..Profile::default()
        };
        let token = TokenHash([171; 32]);
        let enroll = Enroll {
            token,
            consent: profile.consent,
            birthday: profile.birthday,
            link: Some(TokenHash([205; 32])),
        };
        let feedback =
            Feedback { transaction: None, score: 3, topic: None, text: Some(text("call 19912345678")) };
        (MemberId::new("m-1234567").expect("an id"), profile, enroll, feedback)
    }

    #[test]
    fn is_anything_personal_left_and_is_it_the_same_again() {
        for named in [true, false] {
            let said = said();
            let (mut plain, mut marked, mut numbered, mut again) = Default::default();
            write(&mut plain, &said, (named, false));
            write(&mut marked, &said, (named, true));
            let mut all = All::default();
            number(&marked, &mut all, &mut numbered).expect("it is whole");
            let secrets: [&[u8]; 8] = [
                b"m-1234567",
                b"Wang",
                b"of-wang",
                b"05-17",
                b"beetle",
                b"1991234",
                &[0xcc, 171, 0xcc, 171],
                &[0xcc, 205, 0xcc, 205],
            ];
            for secret in secrets {
                let holds = |bytes: &[u8]| bytes.windows(secret.len()).any(|window| window == secret);
                assert!(holds(&plain) && !holds(&numbered), "{}", String::from_utf8_lossy(secret));
            }
            name(&numbered, &all, &mut again).expect("it is whole");
            assert_eq!(again, plain, "named: {named}");
            assert!(
                mentions(&numbered, 1).expect("it is whole")
                    && !mentions(&numbered, 99).expect("it is whole")
            );
            if named {
                let mut nobodys = Vec::new();
                name(&numbered, &Nobody, &mut nobodys).expect("it is whole");
                let read: (MemberId, Profile, Enroll, Feedback) =
                    rmp_serde::from_slice(&nobodys).expect("it reads");
                assert_eq!(read.0, MemberId::nobody());
                assert_eq!(read.1, Profile { tags: said.1.tags, ..Profile::default() });
                assert_eq!((read.2.token, read.2.birthday, read.3.text), (TokenHash::NOBODYS, None, None));
            }
        }
    }

    proptest! {
        #[test]
        fn do_damaged_bytes_break_it(bytes in prop::collection::vec(any::<u8>(), 0..200)) {
            let (mut all, mut out) = (All::default(), Vec::new());
            if number(&bytes, &mut all, &mut out).is_ok() {
                // What are no marks passes through.
                prop_assert!(!all.0.is_empty() || out == bytes);
            }
            drop(name(&bytes, &Nobody, &mut Vec::new()));
        }
    }
}
