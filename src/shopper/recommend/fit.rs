//! Building a model: sources counted on a history, trees grown on baskets that sources have not seen.
//!
//! Invariant: a round's sources hold neither the wanted basket nor any later one of anybody.

use super::features::{Scratch, Sources, View, WIDTH};
use super::history::{History, Item, Member};
use super::model::{Fitted, Params, Shipped};
use super::neighbours::{Fading, Neighbours};
use super::pairs::{Bounds, Pairs, Unit};
use super::popular::Popular;
use super::ranks::{self, Rows};
use crate::limits::RECOMMEND_ROUNDS_MAX;
use crate::shopper::trees::{Binned, Trees};

/// Counts what every source knows, without the members' last `held` baskets.
pub(super) fn sources(
    history: &History,
    held: usize,
    segments: &[Option<u16>],
    shipped: Shipped,
    params: &Params,
) -> Sources {
    let slow = Fading { group: 7, within: 0.9, between: 0.7, rarity: 0.0 };
    let quick = Fading { group: 1, within: 1.0, between: 0.4, rarity: 0.5 };
    let (counted_max, kept) = (params.pairs_counted_max, params.pairs_kept);
    let pairs = |unit, items_max| Pairs::count(history, held, unit, Bounds { items_max, counted_max, kept });
    // A basket's items beyond so many say little about each other, and cost their square.
    let items_of_basket = params.items_of_member_max.div_ceil(2).min(50);
    Sources {
        taste: Neighbours::build(history, held, slow),
        lately: Neighbours::build(history, held, quick),
        same_member: pairs(Unit::Member, params.items_of_member_max),
        same_basket: pairs(Unit::Basket, items_of_basket),
        basket_after: pairs(Unit::Step, items_of_basket),
        popular: Popular::count(history, held, params.half_life_days, segments, 2 * params.candidates),
        shipped,
    }
}

/// Grows trees on baskets that the sources have not seen.
pub(super) fn fit(history: &History, shipped: &Shipped, params: &Params) -> (Trees, Fitted) {
    let members = history.members();
    let rounds = (params.trained_on_max / members.max(1)).clamp(1, RECOMMEND_ROUNDS_MAX);
    // Every so manieth member, so that a large shop costs no more than a small one.
    let stride = (members * rounds).div_ceil(params.trained_on_max).max(1);
    let mut fitted = Fitted { rounds, ..Fitted::default() };
    let mut rows = Rows { width: WIDTH, ..Rows::default() };
    let mut scratch = Scratch::default();
    let expected = members.div_ceil(stride) * rounds * params.candidates * 3;
    let mut thin = Thin { kept: params.rows_max.min(expected.max(1)), of: expected.max(1), due: 0 };
    for held in 1..=rounds {
        let sources = sources(history, held, &[], shipped.clone(), params);
        for member in (0..members as Member).step_by(stride) {
            let (past, wanted) = (history.past(member, held), history.past(member, held - 1));
            let (Some(wanted), Some(now)) = (wanted.ago(0), wanted.latest()) else { continue };
            if past.is_empty() {
                continue;
            }
            // Every other member is met in the middle of the basket.
            let is_begun = params.begun && (member as usize / stride + held) % 2 == 1;
            let basket: Vec<Item> = wanted.iter().copied().filter(|item| is_begun && item % 2 == 0).collect();
            let view = View { member: Some(member), past, basket: &basket, now, segment: None };
            sources.write(&view, params, &mut scratch);
            push(&mut rows, &scratch, wanted, &mut thin, &mut fitted);
            fitted.wanted += wanted.len() - basket.len();
        }
    }
    fitted.rows = rows.labels.len();
    let every: Vec<u32> = (0..rows.labels.len() as u32).collect();
    let value = |row: usize, column: usize| f64::from(rows.values[row * WIDTH + column]);
    let binned = Binned::of(WIDTH, every.len(), &every, value);
    let slopes = |scores: &[f64], into: &mut [_]| ranks::slopes(&rows, scores, into);
    let trees = Trees::follow(&binned, &every, 0.0, &params.growth, slopes);
    (trees, fitted)
}

/// Lets `kept` of `of` through, evenly.
struct Thin {
    kept: usize,
    of: usize,
    due: usize,
}

impl Thin {
    fn lets_through(&mut self) -> bool {
        self.due += self.kept;
        let lets = self.due >= self.of;
        if lets {
            self.due -= self.of;
        }
        lets
    }
}

fn push(rows: &mut Rows, scratch: &Scratch, wanted: &[Item], thin: &mut Thin, fitted: &mut Fitted) {
    let table = &scratch.table;
    let is_wanted = |item: &Item| wanted.binary_search(item).is_ok();
    let reached = table.items().iter().filter(|item| is_wanted(item)).count();
    // Where nothing can be found there is nothing to learn.
    if reached == 0 {
        return;
    }
    for (slot, item) in table.items().iter().enumerate() {
        let label = is_wanted(item);
        if label || thin.lets_through() {
            rows.labels.push(label);
            rows.values.extend_from_slice(table.row(slot));
        }
    }
    rows.groups.push(rows.labels.len() as u32);
    fitted.baskets += 1;
    fitted.reached += reached;
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::super::history::Moment;
    use super::*;

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(8))]

        /// Weights and sources of round one must not have seen the last basket: with the last baskets of everybody
        /// replaced, what the sources of that round say stays the same.
        #[test]
        fn do_held_out_sources_know_nothing_of_what_they_are_tried_on(
            pasts in prop::collection::vec(prop::collection::vec(prop::collection::vec(0u32..12, 1..4), 2..5), 3..8),
            lasts in prop::collection::vec(prop::collection::vec(0u32..12, 1..4), 8),
        ) {
            let build = |replaced: bool| {
                let mut history = History::default();
                for (baskets, last) in pasts.iter().zip(&lasts) {
                    let mut baskets = baskets.clone();
                    if replaced {
                        baskets.pop();
                        baskets.push(last.clone());
                    }
                    // Every item is known in both, so that the tables are of one size.
                    baskets.insert(0, (0..12).collect());
                    history.push(baskets.iter().enumerate().map(|(day, items)| (Moment { day: day as i32, hour: 0 }, items.as_slice())));
                }
                history
            };
            let rows = |history: &History| {
                let params = Params::shop();
                let sources = sources(history, 1, &[], Shipped::default(), &params);
                let mut scratch = Scratch::default();
                let mut all: Vec<(Vec<Item>, Vec<u32>)> = Vec::new();
                for (member, past) in history.pasts(1) {
                    let now = Moment { day: 99, hour: 0 };
                    sources.write(&View { member: Some(member), past, basket: &[], now, segment: None }, &params, &mut scratch);
                    let table = &scratch.table;
                    let bits = (0..table.items().len()).flat_map(|slot| table.row(slot).iter().map(|value| value.to_bits()));
                    all.push((table.items().to_vec(), bits.collect()));
                }
                all
            };
            prop_assert_eq!(rows(&build(false)), rows(&build(true)));
        }
    }
}
