//! Promotions on the shelf: they change what an article costs before the basket is looked at (换价, 价签促销).
//!
//! Every later promotion takes what they leave for the shelf price: filters by price, `already reduced`, percentages of
//! the list price. They change the price of whole articles, never of some units, so `check` refuses caps on units,
//! limits and benefits over several units for them. Settling prices again from the listed ones gives the same prices.

use super::benefits::propose;
use super::book::Phase;
use super::explain::Why;
use super::model::StackingMode;
use super::outcome::ShelfChange;
use super::resolution::{Sitting, candidate};
use super::units::State;

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
    for number in &book.shelf {
        let candidate = candidate(book, sitting.sale, &sitting.moment, *number);
        debug_assert!(candidate.rule.phase == Phase::Shelf, "the book keeps them apart");
        if candidate.rule.promotion.active || candidate.code.is_some() || candidate.claim.is_some() {
            let turn = match candidate.closed {
                Some(why) => Err(why),
                None => propose(sitting, &state, &candidate, 0),
            };
            match turn {
                Err(why) => shelf.missed.push((*number, why)),
                Ok(proposal) => {
                    let changed = proposal.marks.iter().filter(|mark| mark.amount.is_positive());
                    shelf.changes.extend(changed.map(|mark| ShelfChange {
                        promotion: candidate.rule.promotion.id.clone(),
                        sku: sitting.goods[mark.good as usize].sku.clone(),
                        qty: mark.qty,
                        amount: mark.amount,
                    }));
                    let stop = candidate.rule.promotion.stacking.mode == StackingMode::StopFurther;
                    state.apply(*number, &proposal.marks, stop, false);
                }
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
