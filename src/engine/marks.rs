//! Personal values in a decision's bytes: a number stands in the place of each.
//!
//! A decision names its member a dozen times, in a dozen types. Instead of walking those types, the writer (`pen`) looks at what
//! it writes: member ids and token hashes are types of their own, and the few personal fields of others stand in `FIELDS`. In
//! the place of each it writes a MessagePack extension:
//!
//! ```text
//! ext kind + 32  number, u32  the vault knows the value; 0, and a number it does not know, is nobody's
//! ext kind + 64  16 bytes     a token that is no member's, keyed: the same again, and never found out
//! ```
//! Reading puts the values back before anything is parsed, so that everybody else sees the forms they always saw.
//!
//! Invariants: a value that is already what a forgotten one reads as stands there itself; bytes that are not marks pass
//! through unchanged; what the vault does not know reads as `Kind::nobodys`, which is of the type that was there.

use std::sync::LazyLock;

use serde::Serialize;

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
    pub fn nobodys(self) -> &'static [u8] {
        static NOBODY: LazyLock<Vec<u8>> = LazyLock::new(|| plain(&MemberId::nobody()));
        static TOKEN: LazyLock<Vec<u8>> = LazyLock::new(|| plain(&TokenHash::NOBODYS));
        match self {
            Kind::Member => &NOBODY,
            Kind::Token => &TOKEN,
            Kind::Option => &[0xc0],
            Kind::Text => &[0xa0],
            Kind::Map => &[0x80],
        }
    }

    /// Of a type whose values are personal wherever they stand.
    pub(super) fn of_type(name: &str) -> Option<Kind> {
        match name {
            "MemberId" => Some(Kind::Member),
            "TokenHash" => Some(Kind::Token),
            _ => None,
        }
    }

    /// Of a field of a type that has such fields.
    pub(super) fn of_field(of: &str, field: &str) -> Option<Kind> {
        FIELDS.iter().find(|(its, name, _)| *its == of && *name == field).map(|(.., kind)| *kind)
    }

    /// Has a type fields that are personal?
    pub(super) fn is_in(of: &str) -> bool {
        FIELDS.iter().any(|(its, ..)| *its == of)
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

impl Instead {
    /// Writes it over the value that stands from `start` on.
    pub(super) fn write(self, kind: Kind, start: usize, out: &mut Vec<u8>) {
        match self {
            Instead::Number(number) => {
                out.truncate(start);
                out.extend([0xd6, kind as u8 + NUMBERED]);
                out.extend(number.to_be_bytes());
            }
            Instead::Keyed(bytes) => {
                out.truncate(start);
                out.extend([0xd8, kind as u8 + KEYED]);
                out.extend(bytes);
            }
            Instead::Itself => {}
        }
    }
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

#[cfg(test)]
mod tests {
    use std::collections::BTreeMap;

    use proptest::prelude::*;

    use super::*;
    use crate::domain::member::{Attribute, Profile};
    use crate::engine::input::{Enroll, Feedback};
    use crate::engine::pen::Pen;

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
            let (mut plain, mut numbered, mut again) = Default::default();
            let mut all = All::default();
            Pen::new(&mut plain, None).write(&said, named);
            Pen::new(&mut numbered, Some(&mut all)).write(&said, named);
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

    /// Says how often it was asked, but for tokens and names.
    struct Counting(u32);

    impl Numbers for Counting {
        fn instead(&mut self, kind: Kind, _: &[u8]) -> Instead {
            self.0 += 1;
            match kind {
                Kind::Token => Instead::Keyed([0xab; 16]),
                Kind::Text => Instead::Itself,
                _ => Instead::Number(self.0),
            }
        }
    }

    /// Journals of the versions before hold these bytes.
    #[test]
    fn do_marks_stand_where_they_always_stood() {
        let mut numbered = Vec::new();
        Pen::new(&mut numbered, Some(&mut Counting(0))).list(&said());
        let token = "ab".repeat(16);
        let profile =
            "97ad57616e67205869616f6d696e6791a76f7267616e6963d62300000003d6230000000492c2c2d6250000000500";
        let expected =
            format!("94d62100000001{profile}94d842{token}92c2c2d62300000007d842{token}9203d62300000009");
        assert_eq!(crate::domain::text::hex(&numbered), expected);
    }

    proptest! {
        #[test]
        fn do_damaged_bytes_break_it(bytes in prop::collection::vec(any::<u8>(), 0..200)) {
            let mut out = Vec::new();
            let has_marks = bytes.iter().any(|byte| matches!(byte, 0xc7..=0xc9 | 0xd4..=0xd8));
            // What are no marks passes through.
            prop_assert!(name(&bytes, &Nobody, &mut out).is_err() || has_marks || out == bytes);
        }
    }
}
