//! Promotions on the shelf: they change what an article costs before the basket is looked at (换价, 价签促销).
//!
//! Every later promotion takes what they leave for the shelf price: filters by price, `already reduced`, percentages of
//! the list price. They change the price of whole articles, never of some units, so `check` refuses caps on units,
//! limits and benefits over several units for them. Settling prices again from the listed ones gives the same prices.

use std::collections::BTreeMap;

use crate::domain::ids::Tag;
use crate::domain::money::Money;

use super::benefits::propose;
use super::explain::Why;
use super::model::StackingMode;
use super::outcome::ShelfChange;
use super::resolution::{Candidate, Sitting, candidate};
use super::units::{Mark, State};

/// What promotions on the shelf did.
#[derive(Clone, Debug, Default)]
pub(super) struct Shelf<'a> {
    /// In order of application, then of the goods.
    pub(super) changes: Vec<ShelfChange>,
    /// Why the others did not, by number.
    pub(super) missed: Vec<(u32, Why<'a>)>,
}

/// Settles the shelf prices of all goods of a sale.
pub(super) fn reprice(sitting: &mut Sitting<'_>) {
    let book = sitting.book;
    if book.shelf.is_empty() {
        return;
    }
    for good in &mut sitting.goods {
        good.price = good.listed;
        if good.grams.is_none() {
            good.shelf = good.listed;
        }
        good.reduced = good.item.is_some_and(|item| item.is_reduced(good.shelf));
    }
    let mut shelf = Shelf::default();
    let mut state = State::new(&sitting.goods);
    let mut decided: BTreeMap<&Tag, Vec<Option<(u32, Money)>>> = BTreeMap::new();
    for number in &book.shelf {
        let candidate = candidate(book, sitting.sale, &sitting.moment, *number);
        let promotion = &candidate.rule.promotion;
        if !(promotion.active || candidate.code.is_some() || candidate.claim.is_some()) {
            continue;
        }
        let turn = match candidate.closed {
            Some(why) => Err(why),
            None => propose(sitting, &state, &candidate, 0),
        };
        let turn = match (turn, weighed_in(&candidate)) {
            (Ok(proposal), Some(group)) => {
                let best = decided.entry(group).or_insert_with(|| weigh(sitting, &state, group));
                let kept =
                    proposal.marks.iter().filter(|m| best[m.good as usize].is_some_and(|b| b.0 == *number));
                let kept: Vec<Mark> = kept.copied().collect();
                let winner = best.iter().flatten().map(|best| best.0).find(|winner| winner != number);
                match winner {
                    Some(winner) if kept.is_empty() => {
                        let winner = &book.rules[winner as usize].promotion.id;
                        Err(Why::LostTo { winner, by: None })
                    }
                    _ => Ok(kept),
                }
            }
            (turn, _) => turn.map(|proposal| proposal.marks),
        };
        match turn {
            Err(why) => shelf.missed.push((*number, why)),
            Ok(marks) => {
                let changed = marks.iter().filter(|mark| mark.amount.is_positive());
                shelf.changes.extend(changed.map(|mark| ShelfChange {
                    promotion: promotion.id.clone(),
                    sku: sitting.goods[mark.good as usize].sku.clone(),
                    qty: mark.qty,
                    amount: mark.amount,
                }));
                let stop = promotion.stacking.mode == StackingMode::StopFurther;
                state.apply(*number, &marks, stop, false);
            }
        }
    }
    for run in &state.runs {
        let good = &mut sitting.goods[run.good as usize];
        good.reduced |= run.net < good.listed;
        good.price = run.net;
        // A weighed unit's change is not one per kilogram: filters by price see the listed price.
        if good.grams.is_none() {
            good.shelf = run.net;
        }
    }
    sitting.shelf = shelf;
}

/// The group in which a promotion on the shelf is weighed.
fn weighed_in<'a>(candidate: &Candidate<'a>) -> Option<&'a Tag> {
    let stacking = &candidate.rule.promotion.stacking;
    let weighed = matches!(stacking.mode, StackingMode::BestOf | StackingMode::BestOfLine);
    stacking.group.as_ref().filter(|_| weighed)
}

/// Of a group the promotion that takes most off each good: decided good by good, or for all of them by the sum.
fn weigh(sitting: &Sitting<'_>, state: &State, group: &Tag) -> Vec<Option<(u32, Money)>> {
    let book = sitting.book;
    let mut best: Vec<Option<(u32, Money)>> = vec![None; sitting.goods.len()];
    let mut most: Option<(u32, Money, bool)> = None;
    for number in &book.shelf {
        let candidate = candidate(book, sitting.sale, &sitting.moment, *number);
        if weighed_in(&candidate) != Some(group) || candidate.closed.is_some() {
            continue;
        }
        let Ok(proposal) = propose(sitting, state, &candidate, 0) else { continue };
        let by_good = candidate.rule.promotion.stacking.mode == StackingMode::BestOfLine;
        if most.is_none_or(|(_, amount, _)| proposal.amount > amount) {
            most = Some((*number, proposal.amount, by_good));
        }
        for mark in &proposal.marks {
            let place = &mut best[mark.good as usize];
            if place.is_none_or(|(_, amount)| mark.amount > amount) {
                *place = Some((*number, mark.amount));
            }
        }
    }
    match most {
        Some((winner, amount, false)) => vec![Some((winner, amount)); sitting.goods.len()],
        _ => best,
    }
}
