//! Recommend: what a proposal at a scan costs, and a rebuild of the model, with more members.
//!
//! ```text
//! shop      30,000 items, few of them sold much; 26 weeks, 13 to 39 baskets a member of 4 to 16 items, most of them from
//!           sixty favourites of the member's own
//! question  a member drawn evenly, 0 to 7 items in the basket: the best 10 with reasons
//! rebuild   sources counted, weights fitted on held-out baskets, sources counted again; off the path of any reply
//! ```

use anyhow::{Result, ensure};
use serde::Serialize;

use super::figures::{Goal, Latency, histogram, rounded};
use super::progress;
use crate::cli::tills::Dice;
use crate::clock::{Stopwatch, SystemClock};
use crate::shopper::recommend::{History, Item, Member, Model, Moment, Params, Scratch, Shipped, View};

/// Items of the shop.
const ITEMS: u64 = 30_000;
/// Favourites of a member.
const FAVOURITES: u64 = 60;
/// Days of the history.
const DAYS: i32 = 182;
/// Proposals of one answer.
const PROPOSED: usize = 10;
/// Questions before those that count.
const WARM: usize = 200;
/// Members of the shop for which something is promised.
const PROMISED: usize = 20_000;

/// What recommending costs with so many members.
#[derive(Serialize)]
pub(super) struct Recommend {
    members: usize,
    items: u64,
    lines: usize,
    question: Latency,
    /// p50 to that of the smallest shop.
    p50_to_smallest: f64,
    rebuild_seconds: f64,
    /// The model, in MiB.
    model_mib: f64,
}

impl Recommend {
    /// For people.
    pub(super) fn lines(&self) -> Vec<String> {
        let Recommend { members, items, lines, question, p50_to_smallest, rebuild_seconds, model_mib } = self;
        vec![format!(
            "recommend, {members} members, {items} items, {lines} lines sold: a scan p50 {} us, p99 {} us, p50 {p50_to_smallest} \
             times that of the smallest; rebuilt in {rebuild_seconds} s, {model_mib} MiB",
            question.p50_us, question.p99_us
        )]
    }

    /// What is promised.
    pub(super) fn goals(&self) -> Vec<Goal> {
        if self.members < PROMISED {
            return Vec::new();
        }
        vec![
            Goal::at_most("recommend of 20,000 members, p99 us", self.question.p99_us, 2_000.0),
            Goal::at_most("recommend of 20,000 members, rebuild s", self.rebuild_seconds, 10.0),
        ]
    }
}

/// Measures with each of these numbers of members.
pub(super) fn measure(members: &[usize], questions: usize) -> Result<Vec<Recommend>> {
    let mut measured: Vec<Recommend> = Vec::new();
    for &members in members {
        progress(&format!("recommend: {members} members"));
        let mut one = with_members(members, questions)?;
        let smallest = measured.first().map_or(one.question.p50_us, |first| first.question.p50_us);
        one.p50_to_smallest = rounded(one.question.p50_us / smallest);
        measured.push(one);
    }
    Ok(measured)
}

fn with_members(members: usize, questions: usize) -> Result<Recommend> {
    let mut dice = Dice::new(members as u64, "recommend");
    let history = history(&mut dice, members);
    let watch = Stopwatch::start(&SystemClock);
    let model = Model::build(&history, &[], Shipped::default(), Params::shop());
    let rebuild_seconds = rounded(watch.elapsed(&SystemClock).as_secs_f64());
    let (mut scratch, mut latencies) = (Scratch::default(), histogram());
    for number in 0..WARM + questions {
        let member = dice.below(members as u64) as Member;
        let basket: Vec<Item> = (0..number % 8).map(|_| item(&mut dice)).collect();
        let view = View {
            member: Some(member),
            past: history.past(member, 0),
            basket: &basket,
            now: Moment { day: DAYS, hour: 12 },
            segment: None,
        };
        let watch = Stopwatch::start(&SystemClock);
        let proposals = model.recommend(&view, PROPOSED, &mut scratch);
        let elapsed = watch.elapsed(&SystemClock);
        ensure!(proposals.len() == PROPOSED, "failed to propose {PROPOSED} items");
        if number >= WARM {
            latencies.saturating_record(u64::try_from(elapsed.as_nanos()).unwrap_or(u64::MAX));
        }
    }
    Ok(Recommend {
        members,
        items: ITEMS,
        lines: history.lines(),
        question: Latency::of(&latencies),
        p50_to_smallest: 1.0,
        rebuild_seconds,
        model_mib: rounded(model.bytes() as f64 / f64::from(1 << 20)),
    })
}

fn history(dice: &mut Dice, members: usize) -> History {
    let mut history = History::default();
    for _ in 0..members {
        let favourites: Vec<Item> = (0..FAVOURITES).map(|_| item(dice)).collect();
        let visits = 13 + dice.below(27) as i32;
        let baskets: Vec<(Moment, Vec<Item>)> = (0..visits)
            .map(|visit| {
                let moment = Moment { day: visit * DAYS / visits, hour: 8 + dice.below(13) as u8 };
                let size = 4 + dice.below(13);
                (moment, (0..size).map(|_| bought(dice, &favourites)).collect())
            })
            .collect();
        history.push(baskets.iter().map(|(moment, items)| (*moment, items.as_slice())));
    }
    history
}

/// Six of ten from the favourites, the first of them more often.
fn bought(dice: &mut Dice, favourites: &[Item]) -> Item {
    if dice.below(10) < 6 {
        favourites[(dice.below(FAVOURITES) * dice.below(FAVOURITES) / FAVOURITES) as usize]
    } else {
        item(dice)
    }
}

/// Few items sell much: the number is the cube of an even draw.
fn item(dice: &mut Dice) -> Item {
    let even = dice.below(1 << 20) as f64 / f64::from(1 << 20);
    (even * even * even * ITEMS as f64) as Item
}
