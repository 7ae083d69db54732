//! A history as bytes: whole numbers of seven bits a byte, days and decisions as steps from the one before.
//!
//! Twice a decision's worth of these stands in the journal (what was read, what it became), so they are small: a visit of
//! six categories takes some 25 bytes. The first byte is the form; a reader refuses one it does not know, and whatever
//! does not end where its bytes do. Use as `#[serde(with = "packed")]`.

use std::fmt;
use std::sync::Arc;

use serde::de::{Error as _, SeqAccess, Visitor};
use serde::{Deserializer, Serializer};

use super::{CouponCounts, DaySum, History, Mark, Moves, Scores, Seen, Shown, Sum, Visit};
use crate::domain::basket::Channel;
use crate::domain::ids::{CampaignId, CategoryId, DeviceId, InvalidId, SegmentId, Seq, Tag};
use crate::domain::money::Money;
use crate::limits;

/// All but what was shown and what left for want of room.
const FORM_PLAIN: u8 = 1;
/// With these behind it.
const FORM_SHOWN: u8 = 2;

/// As bytes.
pub fn write(history: &History) -> Vec<u8> {
    let mut out = Out(Vec::with_capacity(64 + 28 * history.visits.len() + 5 * history.days.len()));
    let is_plain = history.shown.is_empty() && history.dropped == 0;
    out.0.push(if is_plain { FORM_PLAIN } else { FORM_SHOWN });
    out.number(history.since.0);
    out.list(&history.categories, |out, category| out.text(category.as_str()));
    let (mut day, mut decision) = (0, 0_u64);
    out.list(&history.visits, |out, visit| {
        out.step(i64::from(visit.day) - day);
        out.step(visit.decision.0.wrapping_sub(decision).cast_signed());
        (day, decision) = (i64::from(visit.day), visit.decision.0);
        out.0.push(visit.channel as u8);
        out.step(visit.spend.0);
        out.list(&visit.parts, |out, (of, spend)| {
            out.0.push(*of);
            out.step(spend.0);
        });
    });
    let mut day = 0;
    out.list(&history.days, |out, sum| {
        out.step(i64::from(sum.day) - day);
        day = i64::from(sum.day);
        out.sum(sum.sum);
    });
    out.sum(history.older);
    out.number(history.unknown_lines.into());
    let CouponCounts { issued, used, expired } = history.coupons;
    [issued, used, expired].into_iter().for_each(|count| out.number(count.into()));
    let Scores { count, sum, last, last_day } = history.feedback;
    out.number(count.into());
    out.number(sum.into());
    out.0.push(last);
    out.step(last_day.into());
    out.list(&history.seen, |out, seen| {
        out.text(seen.kind.as_str());
        out.number(seen.count.into());
        out.step(seen.last_day.into());
    });
    out.list(&history.marks, |out, mark| {
        out.text(mark.tag.as_str());
        out.text(mark.source.as_str());
        out.0.push(u8::from(mark.until.is_some()));
        out.step(mark.until.unwrap_or_default().into());
    });
    out.number(history.moves.decision.0);
    for segments in [&history.moves.entered, &history.moves.left] {
        out.list(segments, |out, segment| out.text(segment.as_str()));
    }
    if !is_plain {
        out.number(history.dropped.into());
        out.list(&history.shown, |out, shown| {
            out.text(shown.campaign.as_str());
            out.number(shown.ever.into());
            let mut day = 0;
            out.list(&shown.days, |out, shown| {
                out.step(i64::from(*shown) - day);
                day = i64::from(*shown);
            });
        });
    }
    out.0
}

/// Reads what `write` wrote. Errors: in words.
pub fn read(bytes: &[u8]) -> Result<History, String> {
    let mut from = In(bytes);
    let form = from.byte()?;
    if !matches!(form, FORM_PLAIN | FORM_SHOWN) {
        return Err(format!("its form {form} is not known to this version"));
    }
    let since = Seq(from.number()?);
    let categories = from.list(limits::HISTORY_CATEGORIES_MAX, |from| from.name(CategoryId::new))?;
    let (mut day, mut decision) = (0_i64, 0_u64);
    let visits = from.list(limits::HISTORY_VISITS_MAX, |from| {
        day = day.wrapping_add(from.step()?);
        decision = decision.wrapping_add(from.step()?.cast_unsigned());
        let channel = match from.byte()? {
            0 => Channel::Till,
            1 => Channel::Kiosk,
            2 => Channel::Online,
            other => return Err(format!("channel {other} is not known to this version")),
        };
        let spend = Money(from.step()?);
        let parts = from.list(limits::HISTORY_PARTS_MAX, |from| {
            let of = from.byte()?;
            let is_named = usize::from(of) < categories.len();
            is_named.then_some(()).ok_or("a visit names a category that is not there")?;
            Ok((of, Money(from.step()?)))
        })?;
        Ok(Visit { decision: Seq(decision), day: whole(day)?, channel, spend, parts })
    })?;
    let mut day = 0_i64;
    let days = from.list(limits::HISTORY_DAYS_MAX, |from| {
        day = day.wrapping_add(from.step()?);
        Ok(DaySum { day: whole(day)?, sum: from.sum()? })
    })?;
    let mut history = History {
        shown: Vec::new(),
        dropped: 0,
        since,
        visits,
        days,
        categories,
        older: from.sum()?,
        unknown_lines: from.count()?,
        coupons: CouponCounts { issued: from.count()?, used: from.count()?, expired: from.count()? },
        feedback: Scores {
            count: from.count()?,
            sum: from.count()?,
            last: from.byte()?,
            last_day: whole(from.step()?)?,
        },
        seen: from.list(limits::HISTORY_KINDS_MAX, |from| {
            Ok(Seen { kind: from.name(Tag::new)?, count: from.count()?, last_day: whole(from.step()?)? })
        })?,
        marks: from.list(limits::MEMBER_TAGS_MAX, |from| {
            let (tag, source) = (from.name(Tag::new)?, from.name(DeviceId::new)?);
            let (ends, until) = (from.byte()? != 0, whole(from.step()?)?);
            Ok(Mark { tag, source, until: ends.then_some(until) })
        })?,
        moves: Moves {
            decision: Seq(from.number()?),
            entered: from.list(limits::HISTORY_MOVES_MAX, |from| from.name(SegmentId::new))?,
            left: from.list(limits::HISTORY_MOVES_MAX, |from| from.name(SegmentId::new))?,
        },
    };
    if form == FORM_SHOWN {
        history.dropped = from.count()?;
        history.shown = from.list(limits::HISTORY_CAMPAIGNS_MAX, |from| {
            let (campaign, ever) = (from.name(CampaignId::new)?, from.count()?);
            let mut day = 0_i64;
            let days = from.list(limits::HISTORY_SHOWN_MAX, |from| {
                day = day.wrapping_add(from.step()?);
                whole(day)
            })?;
            Ok(Shown { campaign, ever, days })
        })?;
    }
    if from.0.is_empty() { Ok(history) } else { Err("it does not end where it should".to_owned()) }
}

struct Out(Vec<u8>);

impl Out {
    fn number(&mut self, mut number: u64) {
        while number >= 0x80 {
            self.0.push(u8::try_from(number & 0x7f).expect("seven bits") | 0x80);
            number >>= 7;
        }
        self.0.push(u8::try_from(number).expect("seven bits"));
    }

    /// Small steps either way are short.
    fn step(&mut self, step: i64) {
        self.number((step.cast_unsigned() << 1) ^ (step >> 63).cast_unsigned());
    }

    fn text(&mut self, text: &str) {
        self.number(text.len() as u64);
        self.0.extend(text.as_bytes());
    }

    fn sum(&mut self, sum: Sum) {
        self.number(sum.visits.into());
        self.step(sum.spend.0);
    }

    fn list<T>(&mut self, items: &[T], mut write: impl FnMut(&mut Out, &T)) {
        self.number(items.len() as u64);
        items.iter().for_each(|item| write(self, item));
    }
}

struct In<'a>(&'a [u8]);

fn whole(number: i64) -> Result<i32, String> {
    i32::try_from(number).map_err(|_| "a day is beyond any calendar".to_owned())
}

impl In<'_> {
    fn byte(&mut self) -> Result<u8, String> {
        let (first, rest) = self.0.split_first().ok_or("it ends too early")?;
        self.0 = rest;
        Ok(*first)
    }

    fn number(&mut self) -> Result<u64, String> {
        let mut number = 0;
        for shift in (0..64).step_by(7) {
            let byte = self.byte()?;
            number |= u64::from(byte & 0x7f) << shift;
            if byte < 0x80 {
                return Ok(number);
            }
        }
        Err("a number is too long".to_owned())
    }

    fn count(&mut self) -> Result<u32, String> {
        u32::try_from(self.number()?).map_err(|_| "a count is too large".to_owned())
    }

    fn step(&mut self) -> Result<i64, String> {
        let number = self.number()?;
        Ok((number >> 1).cast_signed() ^ -((number & 1).cast_signed()))
    }

    fn name<T>(&mut self, make: impl Fn(&str) -> Result<T, InvalidId>) -> Result<T, String> {
        let length = usize::try_from(self.number()?).map_err(|_| "a name is too long")?;
        let (text, rest) = self.0.split_at_checked(length).ok_or("it ends too early")?;
        self.0 = rest;
        let text = std::str::from_utf8(text).map_err(|_| "a name is not UTF-8")?;
        make(text).map_err(|fault| fault.to_string())
    }

    fn sum(&mut self) -> Result<Sum, String> {
        Ok(Sum { visits: self.count()?, spend: Money(self.step()?) })
    }

    fn list<T>(
        &mut self,
        most: usize,
        mut read: impl FnMut(&mut Self) -> Result<T, String>,
    ) -> Result<Vec<T>, String> {
        let count = self.number()?;
        if count > most as u64 {
            return Err(format!("a list of {count} is longer than {most}"));
        }
        (0..count).map(|_| read(self)).collect()
    }
}

/// For serde: as one run of bytes.
pub fn serialize<S: Serializer>(history: &Arc<History>, serializer: S) -> Result<S::Ok, S::Error> {
    serializer.serialize_bytes(&write(history))
}

/// For serde: from one run of bytes.
pub fn deserialize<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Arc<History>, D::Error> {
    struct Bytes;
    impl<'de> Visitor<'de> for Bytes {
        type Value = History;
        fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
            f.write_str("a history's bytes")
        }
        fn visit_bytes<E: serde::de::Error>(self, bytes: &[u8]) -> Result<History, E> {
            read(bytes).map_err(E::custom)
        }
        fn visit_seq<A: SeqAccess<'de>>(self, mut list: A) -> Result<History, A::Error> {
            let mut bytes = Vec::new();
            while let Some(byte) = list.next_element()? {
                bytes.push(byte);
            }
            read(&bytes).map_err(A::Error::custom)
        }
    }
    deserializer.deserialize_bytes(Bytes).map(Arc::new)
}

/// The same where there may be none.
pub mod optional {
    use std::sync::Arc;

    use serde::{Deserialize, Deserializer, Serialize, Serializer};

    use super::History;

    #[derive(Serialize, Deserialize)]
    #[serde(transparent)]
    struct One(#[serde(with = "super")] Arc<History>);

    /// As bytes, or nothing.
    pub fn serialize<S: Serializer>(
        history: &Option<Arc<History>>,
        serializer: S,
    ) -> Result<S::Ok, S::Error> {
        history.clone().map(One).serialize(serializer)
    }

    /// From bytes, or nothing.
    pub fn deserialize<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Option<Arc<History>>, D::Error> {
        Ok(Option::<One>::deserialize(deserializer)?.map(|one| one.0))
    }
}
