//! Writes values as MessagePack, with numbers in the place of what is personal in them (`marks`).
//!
//! The bytes are rmp-serde's, by name or as lists, which reads them. It is written here because sealing a decision is most of
//! what a sale costs: this one goes straight into the buffer, numbers in the same pass, and is one type for every value, where
//! rmp-serde's serializer and one around it that marks made four of each.
//!
//! Invariants: with no numbers, the bytes are those of `rmp_serde::to_vec_named` or `to_vec`; a personal value inside a
//! personal one is part of it.

use std::io::Write as _;

use serde::ser::{
    Error as _, SerializeMap, SerializeSeq, SerializeStruct, SerializeStructVariant, SerializeTuple,
    SerializeTupleStruct, SerializeTupleVariant,
};
use serde::{Serialize, Serializer};

use super::marks::{Kind, Numbers};

/// Serde's own error of a message: the only one is a length of more than 32 bits.
type Error = serde::de::value::Error;
type Result<T = ()> = std::result::Result<T, Error>;

/// Writes behind what is there.
pub(super) struct Pen<'a> {
    out: &'a mut Vec<u8>,
    named: bool,
    /// Nothing: what is personal is written as it is.
    numbers: Option<&'a mut dyn Numbers>,
}

/// The first bytes of a value that has a length: below `short.1` they are one.
struct Head {
    short: (u8, usize),
    /// For lengths of 8, 16 and 32 bits.
    long: [Option<u8>; 3],
}

const TEXT: Head = Head { short: (0xa0, 32), long: [Some(0xd9), Some(0xda), Some(0xdb)] };
const BYTES: Head = Head { short: (0, 0), long: [Some(0xc4), Some(0xc5), Some(0xc6)] };
const LIST: Head = Head { short: (0x90, 16), long: [None, Some(0xdc), Some(0xdd)] };
const MAP: Head = Head { short: (0x80, 16), long: [None, Some(0xde), Some(0xdf)] };

impl Head {
    /// The head of so many, in the first so many of five bytes.
    fn of(&self, length: usize) -> Result<([u8; 5], usize)> {
        let long = u32::try_from(length).map_err(|_| Error::custom("it is longer than 32 bits tell"))?;
        let [a, b, c, d] = long.to_be_bytes();
        Ok(match self.long {
            _ if length < self.short.1 => ([self.short.0 | d, 0, 0, 0, 0], 1),
            [Some(marker), ..] if length < 1 << 8 => ([marker, d, 0, 0, 0], 2),
            [_, Some(marker), _] if length < 1 << 16 => ([marker, c, d, 0, 0], 3),
            [.., marker] => ([marker.unwrap_or_default(), a, b, c, d], 5),
        })
    }
}

impl<'a> Pen<'a> {
    pub(super) fn new(out: &'a mut Vec<u8>, numbers: Option<&'a mut dyn Numbers>) -> Pen<'a> {
        Pen { out, named: false, numbers }
    }

    /// With the names of fields.
    pub(super) fn named<T: Serialize + ?Sized>(&mut self, value: &T) {
        self.write(value, true);
    }

    /// Fields by their places.
    pub(super) fn list<T: Serialize + ?Sized>(&mut self, value: &T) {
        self.write(value, false);
    }

    pub(super) fn write<T: Serialize + ?Sized>(&mut self, value: &T, named: bool) {
        self.named = named;
        value.serialize(self).expect("plain data can always be written");
    }

    fn personal<T: Serialize + ?Sized>(&mut self, kind: Kind, value: &T) -> Result {
        let numbers = self.numbers.take();
        let start = self.out.len();
        value.serialize(&mut *self)?;
        self.numbers = numbers;
        let Some(numbers) = &mut self.numbers else { return Ok(()) };
        let written = &self.out[start..];
        if written != kind.nobodys() {
            numbers.instead(kind, written).write(kind, start, self.out);
        }
        Ok(())
    }

    fn head(&mut self, head: &Head, length: usize) -> Result {
        let (bytes, count) = head.of(length)?;
        self.out.extend(&bytes[..count]);
        Ok(())
    }

    /// The head of what was written from `start` on.
    fn head_before(&mut self, start: usize, head: &Head, length: usize) -> Result {
        let (bytes, count) = head.of(length)?;
        self.out.splice(start..start, bytes[..count].iter().copied());
        Ok(())
    }

    fn unsigned(&mut self, value: u64) {
        let bytes = value.to_be_bytes();
        let (marker, from) = match value {
            0..0x80 => return self.out.push(bytes[7]),
            0x80..0x100 => (0xcc, 7),
            0x100..0x1_0000 => (0xcd, 6),
            0x1_0000..0x1_0000_0000 => (0xce, 4),
            _ => (0xcf, 0),
        };
        self.out.push(marker);
        self.out.extend(&bytes[from..]);
    }

    fn signed(&mut self, value: i64) {
        let bytes = value.to_be_bytes();
        let (marker, from) = match value {
            0.. => return self.unsigned(value.cast_unsigned()),
            -0x20..0 => return self.out.push(bytes[7]),
            -0x80..-0x20 => (0xd0, 7),
            -0x8000..-0x80 => (0xd1, 6),
            -0x8000_0000..-0x8000 => (0xd2, 4),
            _ => (0xd3, 0),
        };
        self.out.push(marker);
        self.out.extend(&bytes[from..]);
    }

    fn items(&mut self, head: &'static Head, count: Option<usize>) -> Result<Items<'_, 'a>> {
        let start = self.out.len();
        if let Some(count) = count {
            self.head(head, count)?;
        }
        let uncounted = count.is_none().then_some((start, head));
        Ok(Items { pen: self, uncounted, count: 0, of: None })
    }

    fn fields(&mut self, of: &'static str, count: usize) -> Result<Items<'_, 'a>> {
        let head = if self.named { &MAP } else { &LIST };
        let of = (self.numbers.is_some() && Kind::is_in(of)).then_some(of);
        Ok(Items { of, ..self.items(head, Some(count))? })
    }

    fn variant(&mut self, variant: &str) -> Result {
        self.head(&MAP, 1)?;
        self.serialize_str(variant)
    }
}

macro_rules! numbers {
    ($($method:ident($type:ty) $write:ident),+ $(,)?) => {
        $(fn $method(self, value: $type) -> Result {
            self.$write(value.into());
            Ok(())
        })+
    };
}

impl<'p, 'a> Serializer for &'p mut Pen<'a> {
    type Ok = ();
    type Error = Error;
    type SerializeSeq = Items<'p, 'a>;
    type SerializeTuple = Items<'p, 'a>;
    type SerializeTupleStruct = Items<'p, 'a>;
    type SerializeTupleVariant = Items<'p, 'a>;
    type SerializeMap = Items<'p, 'a>;
    type SerializeStruct = Items<'p, 'a>;
    type SerializeStructVariant = Items<'p, 'a>;

    numbers! {
        serialize_i8(i8) signed, serialize_i16(i16) signed, serialize_i32(i32) signed, serialize_i64(i64) signed,
        serialize_u8(u8) unsigned, serialize_u16(u16) unsigned, serialize_u32(u32) unsigned,
        serialize_u64(u64) unsigned,
    }

    fn serialize_bool(self, value: bool) -> Result {
        self.out.push(if value { 0xc3 } else { 0xc2 });
        Ok(())
    }

    fn serialize_i128(self, value: i128) -> Result {
        self.serialize_bytes(&value.to_be_bytes())
    }

    fn serialize_u128(self, value: u128) -> Result {
        self.serialize_bytes(&value.to_be_bytes())
    }

    fn serialize_f32(self, value: f32) -> Result {
        self.out.push(0xca);
        self.out.extend(value.to_be_bytes());
        Ok(())
    }

    fn serialize_f64(self, value: f64) -> Result {
        self.out.push(0xcb);
        self.out.extend(value.to_be_bytes());
        Ok(())
    }

    fn serialize_char(self, value: char) -> Result {
        self.serialize_str(value.encode_utf8(&mut [0; 4]))
    }

    fn serialize_str(self, text: &str) -> Result {
        self.head(&TEXT, text.len())?;
        self.out.extend(text.as_bytes());
        Ok(())
    }

    fn collect_str<T: std::fmt::Display + ?Sized>(self, value: &T) -> Result {
        let start = self.out.len();
        write!(self.out, "{value}").map_err(Error::custom)?;
        self.head_before(start, &TEXT, self.out.len() - start)
    }

    fn serialize_bytes(self, bytes: &[u8]) -> Result {
        self.head(&BYTES, bytes.len())?;
        self.out.extend(bytes);
        Ok(())
    }

    fn serialize_none(self) -> Result {
        self.serialize_unit()
    }

    fn serialize_some<T: Serialize + ?Sized>(self, value: &T) -> Result {
        value.serialize(self)
    }

    fn serialize_unit(self) -> Result {
        self.out.push(0xc0);
        Ok(())
    }

    fn serialize_unit_struct(self, _: &'static str) -> Result {
        self.head(&LIST, 0)
    }

    fn serialize_unit_variant(self, _: &'static str, _: u32, variant: &'static str) -> Result {
        self.serialize_str(variant)
    }

    fn serialize_newtype_struct<T: Serialize + ?Sized>(self, name: &'static str, value: &T) -> Result {
        match Kind::of_type(name) {
            Some(kind) if self.numbers.is_some() => self.personal(kind, value),
            _ => value.serialize(self),
        }
    }

    fn serialize_newtype_variant<T: Serialize + ?Sized>(
        self,
        _: &'static str,
        _: u32,
        variant: &'static str,
        value: &T,
    ) -> Result {
        self.variant(variant)?;
        value.serialize(self)
    }

    fn serialize_seq(self, count: Option<usize>) -> Result<Items<'p, 'a>> {
        self.items(&LIST, count)
    }

    fn serialize_tuple(self, count: usize) -> Result<Items<'p, 'a>> {
        self.items(&LIST, Some(count))
    }

    fn serialize_tuple_struct(self, _: &'static str, count: usize) -> Result<Items<'p, 'a>> {
        self.items(&LIST, Some(count))
    }

    fn serialize_tuple_variant(
        self,
        _: &'static str,
        _: u32,
        variant: &'static str,
        count: usize,
    ) -> Result<Items<'p, 'a>> {
        self.variant(variant)?;
        self.items(&LIST, Some(count))
    }

    fn serialize_map(self, count: Option<usize>) -> Result<Items<'p, 'a>> {
        self.items(&MAP, count)
    }

    fn serialize_struct(self, name: &'static str, count: usize) -> Result<Items<'p, 'a>> {
        self.fields(name, count)
    }

    fn serialize_struct_variant(
        self,
        _: &'static str,
        _: u32,
        variant: &'static str,
        count: usize,
    ) -> Result<Items<'p, 'a>> {
        self.variant(variant)?;
        self.fields(variant, count)
    }

    fn is_human_readable(&self) -> bool {
        false
    }
}

/// What stands in a list or a map.
pub(super) struct Items<'p, 'a> {
    pen: &'p mut Pen<'a>,
    /// Where the head of a container goes that did not say how many there will be.
    uncounted: Option<(usize, &'static Head)>,
    count: usize,
    /// The type, if it has personal fields and they are to be numbered.
    of: Option<&'static str>,
}

impl Items<'_, '_> {
    fn item<T: Serialize + ?Sized>(&mut self, value: &T) -> Result {
        self.count += 1;
        value.serialize(&mut *self.pen)
    }

    fn field<T: Serialize + ?Sized>(&mut self, name: &'static str, value: &T) -> Result {
        if self.pen.named {
            self.pen.serialize_str(name)?;
        }
        match self.of.and_then(|of| Kind::of_field(of, name)) {
            Some(kind) => self.pen.personal(kind, value),
            None => value.serialize(&mut *self.pen),
        }
    }

    fn finish(self) -> Result {
        match self.uncounted {
            Some((start, head)) => self.pen.head_before(start, head, self.count),
            None => Ok(()),
        }
    }
}

macro_rules! items {
    ($($trait:ident $method:ident),+ $(,)?) => {$(
        impl $trait for Items<'_, '_> {
            type Ok = ();
            type Error = Error;

            fn $method<T: Serialize + ?Sized>(&mut self, value: &T) -> Result {
                self.item(value)
            }

            fn end(self) -> Result {
                self.finish()
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

impl SerializeMap for Items<'_, '_> {
    type Ok = ();
    type Error = Error;

    fn serialize_key<T: Serialize + ?Sized>(&mut self, key: &T) -> Result {
        self.item(key)
    }

    fn serialize_value<T: Serialize + ?Sized>(&mut self, value: &T) -> Result {
        value.serialize(&mut *self.pen)
    }

    fn end(self) -> Result {
        self.finish()
    }
}

macro_rules! fields {
    ($($trait:ident),+) => {$(
        impl $trait for Items<'_, '_> {
            type Ok = ();
            type Error = Error;

            fn serialize_field<T: Serialize + ?Sized>(&mut self, name: &'static str, value: &T) -> Result {
                self.field(name, value)
            }

            fn end(self) -> Result {
                self.finish()
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

    /// Every shape that serde knows.
    #[derive(Clone, Debug, Serialize)]
    enum Any {
        Nothing,
        Flag(bool),
        Signed(i8, i16, i32, i64),
        Unsigned(u8, u16, u32, u64),
        Large(i128, u128),
        Real { short: f32, long: f64 },
        Letter(char),
        Text(String),
        Shown(Shown),
        Bytes(Bytes),
        Unit(Unit),
        Option(Option<Box<Any>>),
        New(New),
        Pair(Pair),
        List(Vec<Any>),
        Map(BTreeMap<String, Any>),
        Uncounted(Uncounted),
        Record(Record),
    }

    #[derive(Clone, Debug, Serialize)]
    struct Unit;

    #[derive(Clone, Debug, Serialize)]
    struct New(i64);

    #[derive(Clone, Debug, Serialize)]
    struct Pair(u64, ());

    #[derive(Clone, Debug, Serialize)]
    struct Record {
        #[serde(skip_serializing_if = "Option::is_none")]
        left_out: Option<u8>,
        list: Vec<Any>,
        size: (u16, [u8; 3]),
    }

    #[derive(Clone, Debug)]
    struct Bytes(Vec<u8>);

    impl Serialize for Bytes {
        fn serialize<S: Serializer>(&self, serializer: S) -> std::result::Result<S::Ok, S::Error> {
            serializer.serialize_bytes(&self.0)
        }
    }

    #[derive(Clone, Debug)]
    struct Shown(String);

    impl Serialize for Shown {
        fn serialize<S: Serializer>(&self, serializer: S) -> std::result::Result<S::Ok, S::Error> {
            serializer.collect_str(&self.0)
        }
    }

    /// Says of neither its list nor its map how many there are.
    #[derive(Clone, Debug)]
    struct Uncounted(Vec<Any>);

    impl Serialize for Uncounted {
        fn serialize<S: Serializer>(&self, serializer: S) -> std::result::Result<S::Ok, S::Error> {
            struct List<'a>(&'a [Any]);
            impl Serialize for List<'_> {
                fn serialize<S: Serializer>(&self, serializer: S) -> std::result::Result<S::Ok, S::Error> {
                    serializer.collect_seq(self.0.iter().filter(|_| true))
                }
            }
            let mut map = serializer.serialize_map(None)?;
            for (place, item) in self.0.iter().enumerate() {
                map.serialize_entry(&place, item)?;
            }
            map.serialize_entry("list", &List(&self.0))?;
            map.end()
        }
    }

    fn any_value() -> impl Strategy<Value = Any> {
        // Lengths on both sides of where the heads change.
        let text = prop_oneof![".{0,3}", "[a-z]{30,33}", "[a-z]{254,258}", "[a-z]{65534,65537}"];
        let leaf = prop_oneof![
            Just(Any::Nothing),
            any::<bool>().prop_map(Any::Flag),
            (any::<i8>(), any::<i16>(), any::<i32>(), any::<i64>(), 0..64_u32)
                .prop_map(|(a, b, c, d, less)| Any::Signed(a, b, c, d >> less)),
            (any::<u8>(), any::<u16>(), any::<u32>(), any::<u64>(), 0..64_u32)
                .prop_map(|(a, b, c, d, less)| Any::Unsigned(a, b, c, d >> less)),
            (any::<i128>(), any::<u128>()).prop_map(|(a, b)| Any::Large(a, b)),
            (any::<f32>(), any::<f64>()).prop_map(|(short, long)| Any::Real { short, long }),
            any::<char>().prop_map(Any::Letter),
            text.clone().prop_map(Any::Text),
            text.prop_map(|text| Any::Shown(Shown(text))),
            prop::collection::vec(any::<u8>(), 0..300).prop_map(|bytes| Any::Bytes(Bytes(bytes))),
            Just(Any::Unit(Unit)),
            any::<i64>().prop_map(|number| Any::New(New(number))),
            any::<u64>().prop_map(|number| Any::Pair(Pair(number, ()))),
        ];
        leaf.prop_recursive(3, 60, 20, |inner| {
            let list = prop::collection::vec(inner.clone(), 0..20);
            prop_oneof![
                prop::option::of(inner.clone()).prop_map(|it| Any::Option(it.map(Box::new))),
                list.clone().prop_map(Any::List),
                list.clone().prop_map(|items| Any::Uncounted(Uncounted(items))),
                prop::collection::btree_map(".{0,2}", inner, 0..20).prop_map(Any::Map),
                (any::<Option<u8>>(), list, any::<(u16, [u8; 3])>())
                    .prop_map(|(left_out, list, size)| Any::Record(Record { left_out, list, size })),
            ]
        })
    }

    proptest! {
        #[test]
        fn are_its_bytes_those_of_rmp_serde(value in any_value()) {
            let (mut named, mut list) = (Vec::new(), Vec::new());
            Pen::new(&mut named, None).named(&value);
            Pen::new(&mut list, None).list(&value);
            prop_assert_eq!(named, rmp_serde::to_vec_named(&value).expect("it can be written"));
            prop_assert_eq!(list, rmp_serde::to_vec(&value).expect("it can be written"));
        }
    }
}
