//! Packings that are worth a little less than the best: applications of the best one swapped for what takes none but
//! their units and is worth less, or left out.
//!
//! Applications of one packing share no unit, so each is swapped whatever the others are, and what is lost is the sum:
//! which sums there are is a knapsack, and its table tells how each came about. Not every packing is found so, but what
//! loses just as much as a threshold needs mostly is.
//!
//! Only applications of promotions without rules of their own are swapped, and only for such.

use std::cmp::Reverse;

use crate::limits;

use super::packing::{Choice, Owner, Packing};

/// One swap: what was lost before it, the application, and what stands in its place.
#[derive(Clone, Copy)]
struct Swap {
    before: u32,
    item: u32,
    instead: Option<u32>,
}

/// What could be lost. See the header.
pub(super) struct Losses<'p> {
    packing: &'p Packing,
    items: Vec<u32>,
    by_loss: Vec<Option<Swap>>,
    rest: Choice,
}

impl<'p> Losses<'p> {
    /// All sums of swaps up to `most`.
    pub(super) fn of(packing: &'p Packing, choice: &Choice, most: i64) -> Losses<'p> {
        let plain =
            |column: u32| packing.owners[packing.columns[column as usize].owner as usize] == Owner::PLAIN;
        let (own, rest): (Choice, Choice) = choice.iter().copied().partition(|(column, _)| plain(*column));
        let items: Vec<u32> =
            own.iter().flat_map(|(column, times)| std::iter::repeat_n(*column, *times as usize)).collect();
        let most = usize::try_from(most).unwrap_or(0).min(limits::BEST_LOSS_MAX);
        let mut losses = Losses { packing, items, by_loss: vec![None; most + 1], rest };
        let mut by_first: Vec<Vec<u32>> = vec![Vec::new(); packing.stock.len()];
        for column in (0..packing.columns.len() as u32).filter(|column| plain(*column)) {
            by_first[packing.uses(column)[0].0 as usize].push(column);
        }
        let mut reached = vec![0_usize];
        for item in 0..losses.items.len().min(limits::BEST_LOSS_ITEMS_MAX) {
            let swaps = losses.swaps(item, &by_first);
            for at in 0..reached.len() {
                for (loss, instead) in &swaps {
                    let sum = reached[at] + loss;
                    if sum > most {
                        break;
                    }
                    if sum > 0 && losses.by_loss[sum].is_none() {
                        let before = reached[at] as u32;
                        losses.by_loss[sum] = Some(Swap { before, item: item as u32, instead: *instead });
                        reached.push(sum);
                    }
                }
            }
        }
        losses
    }

    /// What it was made of.
    pub(super) fn packing(&self) -> &'p Packing {
        self.packing
    }

    /// What an application could be swapped for, with the loss: the smallest losses, each once, and none at all.
    fn swaps(&self, item: usize, by_first: &[Vec<u32>]) -> Vec<(usize, Option<u32>)> {
        let (column, packing) = (self.items[item], self.packing);
        let (value, uses) = (packing.columns[column as usize].value, packing.uses(column));
        let fits = |other: &u32| {
            packing.uses(*other).iter().all(|(r, n)| uses.iter().any(|(of, most)| of == r && n <= most))
        };
        let others =
            uses.iter().flat_map(|(resource, _)| &by_first[*resource as usize]).copied().filter(fits);
        let loss = |other: u32| usize::try_from(value - packing.columns[other as usize].value).ok();
        let mut swaps: Vec<(usize, Option<u32>)> = others
            .filter_map(|other| Some((loss(other)?, Some(other))))
            .filter(|(loss, _)| *loss > 0)
            .collect();
        swaps.sort_unstable_by_key(|(loss, other)| (*loss, Reverse(*other)));
        swaps.dedup_by_key(|(loss, _)| *loss);
        swaps.truncate(limits::BEST_SWAPS_MAX);
        swaps.extend(usize::try_from(value).ok().filter(|value| *value > 0).map(|value| (value, None)));
        swaps
    }

    /// A packing that loses just so much, if one was found.
    pub(super) fn losing(&self, loss: i64) -> Option<Choice> {
        let mut at = usize::try_from(loss).ok()?;
        let mut items = self.items.iter().copied().map(Some).collect::<Vec<Option<u32>>>();
        while at > 0 {
            let swap = (*self.by_loss.get(at)?)?;
            items[swap.item as usize] = swap.instead;
            at = swap.before as usize;
        }
        let mut columns: Vec<u32> = items.into_iter().flatten().collect();
        columns.sort_unstable();
        let mut choice: Choice =
            columns.chunk_by(|a, b| a == b).map(|same| (same[0], same.len() as u32)).collect();
        choice.extend(&self.rest);
        choice.sort_unstable();
        Some(choice)
    }

    /// Was a packing found that loses just so much?
    pub(super) fn holds(&self, loss: i64) -> bool {
        usize::try_from(loss)
            .is_ok_and(|loss| loss == 0 || self.by_loss.get(loss).is_some_and(Option::is_some))
    }
}
