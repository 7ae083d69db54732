//! Shopper: what knowing a member costs: a history changed by a sale, and all segments of a bundle asked at once.
//!
//! ```text
//! update    a stored history read, a sale of six categories counted, and written again
//! segments  what follows from the history, and every segment of it, for one member after the other
//! memory    the histories of 200,000 members as stored, and the index of the largest bundle, if all of it were held
//! ```
//! Members visit 1 to 60 times a year, few of them often; segments are one to four conditions on some twenty fields, one in
//! six with `||` or `!`. Both are drawn from a fixed seed.

use std::sync::Arc;

use anyhow::{Result, anyhow};
use serde::Serialize;

use super::figures::{Goal, Latency, histogram, rounded};
use super::progress;
use crate::cli::tills::Dice;
use crate::clock::{Stopwatch, SystemClock};
use crate::domain::basket::Channel;
use crate::domain::calendar::{Day, UnixMs};
use crate::domain::history::{Bought, History, packed};
use crate::domain::ids::{CategoryId, MemberId, SegmentId, Seq, Tag, TierId};
use crate::domain::member::{Consent, Ledger, Member, Profile};
use crate::domain::money::Money;
use crate::shopper::field::Sight;
use crate::shopper::segment::{Scales, Schema, Segments};
use crate::shopper::traits::{Cuts, Stages};

/// Numbers of segments.
const SEGMENTS: [usize; 3] = [1_000, 10_000, 100_000];
/// Members whose segments are asked.
const MEMBERS: usize = 200;
/// Rounds over them.
const ROUNDS: usize = 20;
/// Members whose histories are kept.
const KEPT: usize = 200_000;
/// Different ones of them.
const DRAWN: usize = 2_000;
/// 2026-11-22.
const TODAY: i64 = 20_779;

/// What was measured.
#[derive(Serialize)]
pub(super) struct Shopper {
    update: Latency,
    segments: Vec<Asked>,
    members: usize,
    /// Bytes of a stored history, on average.
    history_bytes: f64,
    /// All of them, and the index of the most segments.
    held_mib: f64,
}

/// All segments asked for one member.
#[derive(Serialize)]
struct Asked {
    segments: usize,
    /// What follows from the history, without the segments.
    traits: Latency,
    /// With them.
    whole: Latency,
    /// Segments a member is in, on average.
    in_segments: f64,
    index_bytes: usize,
    compile_ms: f64,
}

impl Shopper {
    /// For people.
    pub(super) fn lines(&self) -> Vec<String> {
        let Shopper { update, members, history_bytes, held_mib, .. } = self;
        let mut lines = vec![format!(
            "profile update: p50 {} us, p99 {} us; {history_bytes} bytes a member, {members} and the largest index {held_mib} MiB",
            update.p50_us, update.p99_us
        )];
        lines.extend(self.segments.iter().map(|asked| {
            format!(
                "  {:>6} segments of one member: p50 {} us, p99 {} us ({} us of it for the history); in {} of them, index {} bytes, compiled in {} ms",
                asked.segments,
                asked.whole.p50_us,
                asked.whole.p99_us,
                asked.traits.p50_us,
                asked.in_segments,
                asked.index_bytes,
                asked.compile_ms
            )
        }));
        lines
    }

    /// What is promised.
    pub(super) fn goals(&self) -> Vec<Goal> {
        let of = |segments: usize| self.segments.iter().find(|asked| asked.segments == segments);
        let p50 = |segments: usize| of(segments).map_or(f64::INFINITY, |asked| asked.whole.p50_us);
        vec![
            Goal::at_most("profile update, p99 us", self.update.p99_us, 20.0),
            Goal::at_most("1,000 segments of one member, p50 us", p50(1_000), 2.0),
            Goal::at_most("100,000 segments of one member, p50 us", p50(100_000), 100.0),
            Goal::at_most("200,000 histories and the largest index, MiB", self.held_mib, 256.0),
        ]
    }
}

/// Measures.
///
/// # Errors
/// A drawn segment does not compile.
pub(super) fn measure() -> Result<Shopper> {
    let mut dice = Dice::new(1, "shopper");
    progress("shopper: histories");
    let members: Vec<Member> = (0..DRAWN).map(|nth| member(nth, &mut dice)).collect();
    let stored: Vec<Vec<u8>> =
        members.iter().filter_map(|member| member.history.as_deref().map(packed::write)).collect();
    let update = updates(&stored, &mut dice)?;
    let mut segments = Vec::new();
    for size in SEGMENTS {
        progress(&format!("shopper: {size} segments"));
        segments.push(asked(size, &members[..MEMBERS], &mut dice)?);
    }
    let held: Vec<Box<[u8]>> = (0..KEPT).map(|nth| stored[nth % stored.len()].as_slice().into()).collect();
    let bytes: usize = held.iter().map(|history| history.len()).sum();
    let index = segments.iter().map(|asked| asked.index_bytes).max().unwrap_or_default();
    Ok(Shopper {
        update,
        segments,
        members: held.len(),
        history_bytes: rounded(bytes as f64 / held.len() as f64),
        held_mib: rounded((bytes + size_of_val(held.as_slice()) + index) as f64 / f64::from(1 << 20)),
    })
}

fn updates(stored: &[Vec<u8>], dice: &mut Dice) -> Result<Latency> {
    let mut latencies = histogram();
    for nth in 0..ROUNDS * stored.len() {
        let lines = lines(6, dice);
        let watch = Stopwatch::start(&SystemClock);
        let mut history =
            packed::read(&stored[nth % stored.len()]).map_err(|why| anyhow!("failed to read it: {why}"))?;
        let (decision, day) = (Seq(1_000_000 + nth as u64), Day::from_number(TODAY));
        let spend = lines.iter().map(|(_, spend)| *spend).sum();
        history.bought(&Bought { decision, day, channel: Channel::Till, spend, lines: &lines });
        let bytes = packed::write(&history);
        latencies.saturating_record(nanoseconds(watch));
        std::hint::black_box(bytes);
    }
    Ok(Latency::of(&latencies))
}

fn asked(size: usize, members: &[Member], dice: &mut Dice) -> Result<Asked> {
    let sources: Vec<(SegmentId, String)> = (0..size)
        .map(|nth| {
            (SegmentId::new(&format!("s{nth:06}")).expect("a letter and digits are an id"), predicate(dice))
        })
        .collect();
    let named: Vec<(SegmentId, &str)> =
        sources.iter().map(|(id, source)| (id.clone(), source.as_str())).collect();
    let watch = Stopwatch::start(&SystemClock);
    let segments = Segments::compile(&schema(), &named).map_err(|faults| {
        anyhow!("failed to compile: {}", faults.first().map(ToString::to_string).unwrap_or_default())
    })?;
    let compile_ms = rounded(nanoseconds(watch) as f64 / 1e6);
    let today = Day::from_number(TODAY);
    let (mut whole, mut of_history, mut held) = (histogram(), histogram(), 0_usize);
    for round in 0..ROUNDS {
        for member in members {
            let watch = Stopwatch::start(&SystemClock);
            let traits = std::hint::black_box(segments.traits(member, today));
            of_history.saturating_record(nanoseconds(watch));
            let watch = Stopwatch::start(&SystemClock);
            let seen = segments.traits(member, today);
            let bits = std::hint::black_box(segments.bits(&Sight::of(member, &seen, today)));
            whole.saturating_record(nanoseconds(watch));
            drop(traits);
            if round == 0 {
                held += bits.ones().count();
            }
        }
    }
    Ok(Asked {
        segments: size,
        traits: Latency::of(&of_history),
        whole: Latency::of(&whole),
        in_segments: rounded(held as f64 / members.len() as f64),
        index_bytes: segments.index_bytes(),
        compile_ms,
    })
}

fn nanoseconds(watch: Stopwatch) -> u64 {
    u64::try_from(watch.elapsed(&SystemClock).as_nanos()).unwrap_or(u64::MAX)
}

fn schema() -> Schema {
    let cuts = Cuts {
        recency_days: [7, 21, 60, 120],
        visits: [2, 6, 14, 30],
        spend: [5_000, 20_000, 60_000, 150_000],
    };
    let stages = Stages { new_days: 30, active_days: 35, cooling_days: 90 };
    Schema {
        scales: Scales { rfm: Some(cuts), stages: Some(stages), ..Scales::default() },
        ..Schema::default()
    }
}

fn lines(most: u64, dice: &mut Dice) -> Vec<(Option<CategoryId>, Money)> {
    let line = |dice: &mut Dice| {
        let category = CategoryId::new(&format!("category-{:02}", dice.below(24)))
            .expect("letters and digits are an id");
        (Some(category), Money(100 + i64::try_from(dice.below(4_000)).unwrap_or_default()))
    };
    (0..most).map(|_| line(dice)).collect()
}

/// Few visit often: the number of visits is what is left of 60 after two draws.
fn member(nth: usize, dice: &mut Dice) -> Member {
    let below = dice.below(60) + 1;
    let visits = dice.below(below) + 1;
    let mut days: Vec<i64> =
        (0..visits).map(|_| TODAY - i64::try_from(dice.below(364)).unwrap_or_default()).collect();
    days.sort_unstable();
    let mut history = History::beginning(Seq(1));
    for (place, day) in days.iter().enumerate() {
        let parts = 2 + dice.below(9);
        let lines = lines(parts, dice);
        let spend = lines.iter().map(|(_, spend)| *spend).sum();
        let decision = Seq(1 + (place as u64) * 9_000);
        history.bought(&Bought {
            decision,
            day: Day::from_number(*day),
            channel: Channel::Till,
            spend,
            lines: &lines,
        });
    }
    let some = |names: &[&'static str], dice: &mut Dice| {
        names[usize::try_from(dice.below(names.len() as u64)).unwrap_or_default()]
    };
    let tags = (0..dice.below(6)).map(|_| Tag::new(&format!("tag-{}", dice.below(50))).expect("an id"));
    let profile = Profile {
        tags: tags.collect(),
        tier: Some(TierId::new(some(&["silver", "gold", "platinum"], dice)).expect("a word is an id")),
        consent: Consent { programme: true, personal: true },
        ..Profile::default()
    };
    let mut ledger = Ledger { visits: u32::try_from(visits).unwrap_or_default(), ..Ledger::default() };
    ledger.points.settled = i64::try_from(dice.below(5_000)).unwrap_or_default();
    ledger.last_visit = days.last().map(|day| Day::from_number(*day));
    let id = MemberId::new(&format!("m-{nth}")).expect("letters and digits are an id");
    Member { id, profile, ledger, profile_as_of: UnixMs(0), history: Some(Arc::new(history)) }
}

fn predicate(dice: &mut Dice) -> String {
    let count = 1 + dice.below(4);
    let leaves: Vec<String> = (0..count).map(|_| leaf(dice)).collect();
    match dice.below(12) {
        0 if leaves.len() > 1 => format!("({}) && points >= 0", leaves.join(" || ")),
        1 => format!("!({})", leaves.join(" || ")),
        _ => leaves.join(" && "),
    }
}

fn leaf(dice: &mut Dice) -> String {
    let relation = if dice.below(2) == 0 { ">=" } else { "<" };
    let number = |field: &str, most: u64, dice: &mut Dice| format!("{field} {relation} {}", dice.below(most));
    match dice.below(16) {
        0 => format!("tier in [\"gold\", \"{}\"]", if relation == "<" { "platinum" } else { "silver" }),
        1 | 2 => format!("\"tag-{}\" in tags", dice.below(50)),
        3 => number("points", 5_000, dice),
        4 => number("days_since_last", 200, dice),
        5 => number("visits_13w", 30, dice),
        6 => number("spend_13w", 80_000, dice),
        7 => number("spend_52w", 200_000, dice),
        8 => number("rfm.r", 6, dice),
        9 => number("rfm.f", 6, dice),
        10 => number("rfm.m", 6, dice),
        11 => format!("lifecycle == \"{}\"", if relation == "<" { "active" } else { "lapsed" }),
        12 => {
            let field = format!("share[\"category-{:02}\"]", dice.below(8));
            number(&field, 40, dice)
        }
        13 => {
            let field = format!("days_since[\"category-{:02}\"]", dice.below(8));
            number(&field, 90, dice)
        }
        14 => number("basket_average", 20_000, dice),
        _ => number("visits", 60, dice),
    }
}
