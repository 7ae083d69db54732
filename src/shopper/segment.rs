//! A bundle's segments: named predicates over the member, compiled once and asked at every scan and quote.
//!
//! `Segments` is immutable. `of` answers in the order of ids, whatever order they were written in; `why` names the
//! part of a predicate that keeps a member out, with the value seen.

use std::collections::{BTreeMap, BTreeSet};
use std::fmt;

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::domain::calendar::Day;
use crate::domain::ids::{SegmentId, Tag, TierId};
use crate::domain::member::Member;
use crate::domain::text::Texts;
use crate::limits;

use super::predicate::{FailedLeaf, Predicate, PredicateFault};

/// What a member's attribute holds.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum AttributeKind {
    /// Yes or no.
    Flag,
    /// A whole number.
    Number,
    /// A word.
    Word,
}

/// What predicates may speak of beside the fields every member has.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Schema {
    /// The programme's tiers; any tier if empty.
    pub tiers: Vec<TierId>,
    /// The attributes head office computes, by name.
    pub attributes: BTreeMap<Tag, AttributeKind>,
}

/// A segment does not compile.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct SegmentFault {
    /// Which.
    pub segment: SegmentId,
    /// Character of its predicate, from 1.
    pub column: u32,
    /// What is wrong there.
    pub message: String,
}

impl fmt::Display for SegmentFault {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "segment {}, column {}: {}", self.segment, self.column, self.message)
    }
}

/// Why a member is not in a segment.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Why {
    /// The member is in it.
    Inside,
    /// The bundle has no such segment.
    Unknown,
    /// Kept out by these leaves, in reading order.
    Outside(Vec<FailedLeaf>),
}

/// The compiled segments of a bundle.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Segments {
    /// By id.
    compiled: Box<[(SegmentId, Predicate)]>,
}

impl Segments {
    /// Compiles every segment.
    ///
    /// # Errors
    /// Every segment that does not compile, repeats an id, or is beyond `limits::BUNDLE_SEGMENTS_MAX`, in the order
    /// given.
    pub fn compile(schema: &Schema, sources: &[(SegmentId, &str)]) -> Result<Segments, Vec<SegmentFault>> {
        let mut compiled = Vec::with_capacity(sources.len().min(limits::BUNDLE_SEGMENTS_MAX));
        let mut faults = Vec::new();
        let mut seen = BTreeSet::new();
        for (index, (segment, source)) in sources.iter().enumerate() {
            let fault = |column, message: String| SegmentFault { segment: segment.clone(), column, message };
            if index >= limits::BUNDLE_SEGMENTS_MAX {
                let message = format!("a bundle has at most {} segments", limits::BUNDLE_SEGMENTS_MAX);
                faults.push(fault(1, message));
                break;
            }
            if !seen.insert(segment) {
                faults.push(fault(1, "stands here a second time".into()));
                continue;
            }
            match Predicate::compile(source, schema) {
                Ok(predicate) => compiled.push((segment.clone(), predicate)),
                Err(PredicateFault { column, message }) => faults.push(fault(column, message)),
            }
        }
        compiled.sort_by(|a, b| a.0.cmp(&b.0));
        if faults.is_empty() { Ok(Segments { compiled: compiled.into() }) } else { Err(faults) }
    }

    /// The segments a member is in on a day, sorted.
    pub fn of(&self, member: &Member, today: Day) -> Vec<SegmentId> {
        self.compiled
            .iter()
            .filter(|(_, predicate)| predicate.holds(member, today))
            .map(|(segment, _)| segment.clone())
            .collect()
    }

    /// Is the member in it, and if not, because of what?
    pub fn why(&self, segment: &SegmentId, member: &Member, today: Day) -> Why {
        match self.get(segment) {
            None => Why::Unknown,
            Some(predicate) => match predicate.failed(member, today) {
                leaves if leaves.is_empty() => Why::Inside,
                leaves => Why::Outside(leaves),
            },
        }
    }

    /// The predicate of a segment.
    pub fn get(&self, segment: &SegmentId) -> Option<&Predicate> {
        let place = self.compiled.binary_search_by(|(id, _)| id.cmp(segment)).ok()?;
        Some(&self.compiled[place].1)
    }

    /// How many there are.
    pub fn len(&self) -> usize {
        self.compiled.len()
    }

    /// Are there none?
    pub fn is_empty(&self) -> bool {
        self.compiled.is_empty()
    }
}

impl FailedLeaf {
    /// For people: `points >= 1000 does not hold: points is 640`.
    pub fn texts(&self) -> Texts {
        let (en, zh) = if self.under_not {
            ("holds but must not", "成立，但要求不成立")
        } else {
            ("does not hold", "不成立")
        };
        let seen = |is: &str, and: &str| {
            let parts: Vec<String> =
                self.seen.iter().map(|(field, value)| format!("{field}{is}{value}")).collect();
            parts.join(and)
        };
        Texts::both(
            &format!("{} {zh}：{}", self.leaf, seen(" 为 ", "，")),
            &format!("{} {en}: {}", self.leaf, seen(" is ", ", ")),
        )
    }
}
