//! Do shop and head office count alike (I7)? A shop says what its journal comes to through some entry; head office holds
//! against it what it has counted itself when it has read exactly as far.
//!
//! Invariants: compared is only what both counted from the same first entry, with nothing of it withheld, lost or not
//! understood; a tally of more than was read waits until that was read, a tally of less is let go, because the next
//! hello brings another. A difference stops nothing: it is for a human, and is gone when a later tally agrees.

use std::collections::BTreeMap;

use serde::Serialize;

use crate::domain::ids::{Epoch, Seq, StoreId};
use crate::domain::tally::{Tally, Totals};

use super::fold::Fold;
use super::ledger::Ledger;

/// A shop and head office count otherwise.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Difference {
    /// Of which life of the box.
    pub epoch: Epoch,
    /// Both count from the first entry of this epoch through this one.
    pub through: Seq,
    /// What the shop counts.
    pub shop: Totals,
    /// What head office counts.
    pub here: Totals,
}

/// How far head office has read one epoch of one store, and what it counts there.
#[derive(Clone, Debug)]
struct Counted {
    /// Where it begins.
    base: Seq,
    /// The last entry counted.
    through: Seq,
    /// Nothing of it is withheld, lost or not understood.
    whole: bool,
    /// What it comes to.
    totals: Totals,
}

/// What came of a comparison.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Compared {
    /// There was nothing to compare.
    Not,
    /// Both count alike.
    Alike,
    /// They do not.
    Otherwise,
}

/// Tallies that wait, and differences found.
#[derive(Clone, Debug, Default)]
pub struct Compare {
    waiting: BTreeMap<StoreId, Tally>,
    found: BTreeMap<StoreId, Difference>,
}

impl Compare {
    /// A shop said what it counts: its latest word takes the place of an earlier one.
    pub fn said(&mut self, store: &StoreId, tally: Tally) {
        self.waiting.insert(store.clone(), tally);
    }

    /// Does this store wait for head office to read an epoch so far?
    fn is_due(&self, store: &StoreId, epoch: Epoch, through: Seq) -> bool {
        self.waiting.get(store).is_some_and(|tally| tally.epoch == epoch && tally.through <= through)
    }

    /// Head office has read this epoch of the store so far: compares what waits for that, if both are of the same entries.
    pub fn reached(
        &mut self,
        (ledger, fold): (&Ledger, &Fold),
        store: &StoreId,
        epoch: Epoch,
        through: Seq,
    ) -> Compared {
        if !self.is_due(store, epoch, through) {
            return Compared::Not;
        }
        match (ledger.base(store, epoch), ledger.read_through(store, epoch)) {
            (Some(base), Some((_, whole))) => {
                self.compare(store, Counted { base, through, whole, totals: fold.line(store, epoch) })
            }
            _ => Compared::Not,
        }
    }

    /// Head office has read so far: compares what the shop said, if it said it of the same entries.
    fn compare(&mut self, store: &StoreId, counted: Counted) -> Compared {
        let Some(tally) = self.waiting.remove(store) else { return Compared::Not };
        let Counted { base, through, whole, totals } = counted;
        if !whole || (tally.first, tally.through) != (base, through) {
            return Compared::Not;
        }
        let (shop, here) = (Totals { bundle: None, ..tally.totals }, Totals { bundle: None, ..totals });
        if shop == here {
            self.found.remove(store);
            return Compared::Alike;
        }
        self.found.insert(store.clone(), Difference { epoch: tally.epoch, through, shop, here });
        Compared::Otherwise
    }

    /// The difference last found with a store.
    pub fn difference(&self, store: &StoreId) -> Option<&Difference> {
        self.found.get(store)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn store() -> StoreId {
        StoreId::new("s1").expect("a store id")
    }

    fn totals(sales: u64) -> Totals {
        Totals { entries: 9, sales, ..Totals::default() }
    }

    fn said(first: u64, through: u64, sales: u64) -> Compare {
        let mut compare = Compare::default();
        let (first, through) = (Seq(first), Seq(through));
        compare.said(&store(), Tally { epoch: Epoch(1), first, through, totals: totals(sales) });
        compare
    }

    fn read(base: u64, through: u64, whole: bool) -> Counted {
        Counted { base: Seq(base), through: Seq(through), whole, totals: totals(4) }
    }

    #[test]
    fn is_a_difference_found_and_gone_when_it_is_mended() {
        let mut compare = said(1, 9, 5);
        assert!(!compare.is_due(&store(), Epoch(1), Seq(8)) && compare.is_due(&store(), Epoch(1), Seq(9)));
        assert_eq!(compare.compare(&store(), read(1, 9, true)), Compared::Otherwise);
        assert_eq!(
            compare.difference(&store()).map(|found| (found.shop.sales, found.here.sales)),
            Some((5, 4))
        );
        let mended = Tally { epoch: Epoch(1), first: Seq(1), through: Seq(9), totals: totals(4) };
        compare.said(&store(), mended);
        assert_eq!(compare.compare(&store(), read(1, 9, true)), Compared::Alike);
        assert_eq!(compare.difference(&store()), None);
    }

    #[test]
    fn is_only_the_same_compared() {
        for (first, counted) in [(2, read(1, 9, true)), (1, read(1, 10, true)), (1, read(1, 9, false))] {
            let mut compare = said(first, 9, 5);
            assert_eq!(compare.compare(&store(), counted), Compared::Not);
            assert!(!compare.is_due(&store(), Epoch(1), Seq(99)), "it is let go");
        }
    }
}
