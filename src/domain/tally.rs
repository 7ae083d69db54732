//! What a journal's entries come to: counts and sums that a shop and head office form independently and compare.
//!
//! Invariant: a tally of several entries is the sum of their tallies, in any order but for `bundle`, which is the last one's.

use serde::{Deserialize, Serialize};

use super::ids::{Epoch, Seq};

/// Counts and sums over entries.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
pub struct Totals {
    /// Entries of any kind that were understood.
    pub entries: u64,
    /// Sales, training left out.
    pub sales: u64,
    /// What they came to, in minor units.
    pub sales_total_minor: i64,
    /// Voids and returns.
    pub refunds: u64,
    /// What they gave back, in minor units.
    pub refunds_total_minor: i64,
    /// New members.
    pub enrolled: u64,
    /// Requests a rule refused.
    pub refusals: u64,
    /// Entries that are not decisions this build knows.
    pub unreadable: u64,
    /// Decisions of any kind under a clock that was not believed.
    #[serde(skip_serializing_if = "is_zero")]
    pub doubted: u64,
    /// The bundle of the newest decision.
    pub bundle: Option<u64>,
}

fn is_zero(count: &u64) -> bool {
    *count == 0
}

impl Totals {
    /// Sales less what was given back, in minor units.
    pub fn net_total_minor(&self) -> i64 {
        self.sales_total_minor.saturating_sub(self.refunds_total_minor)
    }

    /// Counts in what comes after.
    pub fn add(&mut self, later: &Totals) {
        for (mine, theirs) in [
            (&mut self.entries, later.entries),
            (&mut self.sales, later.sales),
            (&mut self.refunds, later.refunds),
            (&mut self.enrolled, later.enrolled),
            (&mut self.refusals, later.refusals),
            (&mut self.unreadable, later.unreadable),
            (&mut self.doubted, later.doubted),
        ] {
            *mine = mine.saturating_add(theirs);
        }
        self.sales_total_minor = self.sales_total_minor.saturating_add(later.sales_total_minor);
        self.refunds_total_minor = self.refunds_total_minor.saturating_add(later.refunds_total_minor);
        self.bundle = later.bundle.or(self.bundle);
    }
}

/// A run of a journal's entries, of one epoch and without a gap, as the shop that keeps them counts it.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Tally {
    /// The epoch of all of them.
    pub epoch: Epoch,
    /// The first entry counted.
    pub first: Seq,
    /// The last.
    pub through: Seq,
    /// What they come to.
    pub totals: Totals,
}

impl Tally {
    /// Counts the next entry; one that does not follow begins anew.
    pub fn pass(&mut self, epoch: Epoch, seq: Seq, totals: &Totals) {
        if self.epoch != epoch || seq.0 != self.through.0 + 1 {
            *self = Tally { epoch, first: seq, through: seq, totals: Totals::default() };
        }
        self.through = seq;
        self.totals.add(totals);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn does_a_gap_or_another_epoch_begin_anew() {
        let one = Totals { entries: 1, sales: 1, sales_total_minor: 700, ..Totals::default() };
        let mut tally = Tally::default();
        for seq in 1..=3 {
            tally.pass(Epoch(1), Seq(seq), &one);
        }
        assert_eq!((tally.first, tally.through), (Seq(1), Seq(3)));
        assert_eq!((tally.totals.entries, tally.totals.sales_total_minor), (3, 2_100));
        tally.pass(Epoch(1), Seq(5), &one);
        assert_eq!((tally.first, tally.totals.sales), (Seq(5), 1));
        tally.pass(Epoch(2), Seq(6), &one);
        assert_eq!((tally.epoch, tally.first, tally.totals.sales), (Epoch(2), Seq(6), 1));
    }
}
