//! Who is in which segment, counted over all members of the shop, beside the loop.
//!
//! Reads the tables a page at a time, in a thread of its own: selling never waits for it. The tables are behind the journal by
//! a second at most, and members come and go while they are read, so a count is of that second, not of one moment.
//! Members that head office withdrew, or who left the programme, are not counted.

use std::sync::Arc;

use anyhow::{Result, anyhow};
use serde::{Deserialize, Serialize};
use serde_json::{Value, json};

use crate::bundle::Bundle;
use crate::domain::calendar::Day;
use crate::domain::ids::{MemberId, SegmentId};
use crate::domain::member::Member;
use crate::domain::text::Lang;
use crate::limits;
use crate::shopper::field::Sight;
use crate::shopper::measured::Sampled;
use crate::shopper::segment::Why;
use crate::storage::tables::Tables;

/// What is asked of segments.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "of", rename_all = "snake_case", deny_unknown_fields)]
pub enum Question {
    /// How many members each segment has.
    Count,
    /// Who is in a segment.
    Who {
        /// Which.
        segment: SegmentId,
        /// Members named at most.
        most: usize,
    },
    /// How many members two segments share.
    Overlap {
        /// The one.
        a: SegmentId,
        /// The other.
        b: SegmentId,
    },
    /// By what the shop's own members could be measured.
    Scales {
        /// Groups of members that are alike; none for 0.
        groups: usize,
    },
    /// Why a member is not in a segment.
    Why {
        /// Which.
        segment: SegmentId,
        /// Who.
        member: MemberId,
    },
}

/// The answer's document. Errors: no such segment; the tables cannot be read.
pub fn answer(tables: &Tables, bundle: &Arc<Bundle>, today: Day, question: &Question) -> Result<Value> {
    let segments = &bundle.segments;
    let place = |wanted: &SegmentId| {
        let found = segments.ids().position(|id| id == wanted);
        found.ok_or_else(|| anyhow!("the active bundle has no segment {wanted}"))
    };
    match question {
        Question::Count => {
            let mut counts = vec![0_u64; segments.len()];
            let (mut unknown, mut dropped) = (0_u64, 0_u64);
            let counted = each(tables, |member| {
                if let Some(history) = &member.history {
                    unknown += u64::from(history.unknown_lines);
                    dropped += u64::from(history.dropped);
                }
                let traits = segments.traits(member, today);
                segments.bits(&Sight::of(member, &traits, today)).ones().for_each(|nth| counts[nth] += 1);
            })?;
            let counts = segments.ids().zip(&counts);
            let counts: Vec<Value> =
                counts.map(|(id, members)| json!({ "segment": id, "members": members })).collect();
            Ok(json!({
                "day": today.to_string(), "members": counted.0, "learned_of": counted.1, "segments": counts,
                "dirty": { "unknown_lines": unknown, "details_dropped": dropped },
            }))
        }
        Question::Who { segment, most } => {
            let place = place(segment)?;
            let (mut ids, mut count) = (Vec::new(), 0_u64);
            each(tables, |member| {
                let traits = segments.traits(member, today);
                if segments.bits(&Sight::of(member, &traits, today)).has(place) {
                    count += 1;
                    if ids.len() < (*most).min(limits::SEGMENT_MEMBERS_TOLD_MAX) {
                        ids.push(member.id.clone());
                    }
                }
            })?;
            Ok(json!({ "day": today.to_string(), "segment": segment, "members": count, "ids": ids }))
        }
        Question::Overlap { a, b } => {
            let places = [place(a)?, place(b)?];
            let mut counts = [0_u64; 3];
            each(tables, |member| {
                let traits = segments.traits(member, today);
                let bits = segments.bits(&Sight::of(member, &traits, today));
                let [a, b] = places.map(|place| bits.has(place));
                for (count, is) in counts.iter_mut().zip([a, b, a && b]) {
                    *count += u64::from(is);
                }
            })?;
            let [in_a, in_b, in_both] = counts;
            Ok(
                json!({ "day": today.to_string(), "a": a, "b": b, "in_a": in_a, "in_b": in_b, "in_both": in_both }),
            )
        }
        Question::Scales { groups } => {
            let mut sample = Sampled::new(*groups);
            let counted = each(tables, |member| {
                if let Some(history) = &member.history {
                    sample.take(&segments.traits(member, today), history);
                }
            })?;
            let scales = sample.scales();
            let text = toml::to_string(&json!({ "scales": scales }))
                .map_err(|error| anyhow!("failed to write: {error}"))?;
            Ok(json!({ "day": today.to_string(), "learned_of": counted.1, "scales": scales, "toml": text }))
        }
        Question::Why { segment, member } => {
            let member = tables.member(member).map_err(|fault| anyhow!("failed to {fault}"))?;
            let member = member.ok_or_else(|| anyhow!("nobody is known here by that id"))?;
            let leaves = match segments.why(segment, &member, today) {
                Why::Unknown => return Err(anyhow!("the active bundle has no segment {segment}")),
                Why::Inside => Vec::new(),
                Why::Outside(leaves) => leaves,
            };
            let told = leaves.iter().map(|leaf| {
                let texts = leaf.texts();
                json!({ "leaf": leaf.leaf, "column": leaf.column, "en": texts.get(Lang::En), "zh-CN": texts.get(Lang::ZhCn) })
            });
            let told: Vec<Value> = told.collect();
            Ok(json!({ "segment": segment, "member": member.id, "inside": told.is_empty(), "failed": told }))
        }
    }
}

/// Hands over every member; how many there are, and how many of them are learned of.
fn each(tables: &Tables, mut take: impl FnMut(&Member)) -> Result<(u64, u64)> {
    let (mut from, mut counted) = (Vec::new(), (0, 0));
    loop {
        let page =
            tables.members(&from, limits::SWEEP_RECORDS).map_err(|fault| anyhow!("failed to {fault}"))?;
        for member in &page.members {
            counted.0 += 1;
            counted.1 += u64::from(member.history.is_some());
            take(member);
        }
        match page.next {
            Some(next) => from = next,
            None => return Ok(counted),
        }
    }
}
