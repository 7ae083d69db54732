//! Points: a balance head office settled, and the movements of this shop it has not seen yet.
//!
//! The balance is always `settled + open`; settling a position moves movements from the second to the first and never
//! changes the sum of what this shop did. Points are integers; a rate's fraction is cut once, per earning rule.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::calendar::UnixMs;
use super::ids::Seq;
use crate::limits;

/// A member's points as this shop knows them.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct PointsAccount {
    /// What head office last said, this shop's decisions through `settled_through` included.
    pub settled: i64,
    /// The last decision of this shop that `settled` includes.
    pub settled_through: Seq,
    /// When head office said so.
    pub as_of: UnixMs,
    /// Movements since, oldest first; bounded, older ones folded into the first.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub open: Vec<(Seq, i64)>,
    /// The last decision folded into the first of `open`: a word of head office older than it cannot be taken apart.
    #[serde(default)]
    pub folded_through: Seq,
}

impl PointsAccount {
    /// Points now.
    pub fn balance(&self) -> i64 {
        self.open.iter().fold(self.settled, |sum, (_, points)| sum.saturating_add(*points))
    }

    /// Points that may be spent: never below zero.
    pub fn spendable(&self) -> i64 {
        self.balance().max(0)
    }

    /// Books a movement of decision `seq`.
    pub fn book(&mut self, seq: Seq, points: i64) {
        if points == 0 {
            return;
        }
        self.open.push((seq, points));
        if self.open.len() > limits::MEMBER_OPEN_POINTS_MAX {
            let oldest = self.open.remove(0);
            self.open[0].1 = self.open[0].1.saturating_add(oldest.1);
            self.folded_through = self.open[0].0;
        }
    }

    /// Takes head office's balance, which includes this shop's decisions through `through`. An older word is ignored.
    pub fn settle(&mut self, settled: i64, through: Seq, as_of: UnixMs) {
        if through < self.settled_through || through < self.folded_through || as_of < self.as_of {
            return;
        }
        self.settled = settled;
        self.settled_through = through;
        self.as_of = as_of;
        self.open.retain(|(seq, _)| *seq > through);
    }
}

/// Why points moved.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum PointsReason {
    /// Earned by a purchase.
    Earn,
    /// Spent on a purchase.
    Burn,
    /// Taken back because goods came back.
    ClawBack,
    /// Given back because goods came back.
    GiveBack,
}

/// One line of a receipt's points ledger.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct PointsLine {
    /// Why.
    pub reason: PointsReason,
    /// Positive in, negative out.
    pub points: i64,
    /// By which promotion, or by the programme's own rate.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub promotion: Option<super::ids::PromotionId>,
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn does_settling_count_anything_twice() {
        let mut account = PointsAccount { settled: 100, ..PointsAccount::default() };
        account.book(Seq(5), 30);
        account.book(Seq(9), -50);
        assert_eq!(account.balance(), 80);
        account.settle(130, Seq(5), UnixMs(1_000));
        assert_eq!((account.balance(), account.open.len()), (80, 1));
        account.settle(999, Seq(3), UnixMs(900));
        assert_eq!(account.balance(), 80, "an older word changes nothing");
    }

    #[test]
    fn are_points_kept_when_the_ledger_is_full() {
        let mut account = PointsAccount::default();
        for seq in 0..1_000 {
            account.book(Seq(seq), 1);
        }
        assert_eq!((account.balance(), account.open.len()), (1_000, limits::MEMBER_OPEN_POINTS_MAX));
        account.settle(500, Seq(499), UnixMs(1));
        assert_eq!(account.balance(), 1_000, "half of a folded movement cannot be settled");
        account.settle(950, Seq(949), UnixMs(2));
        assert_eq!(account.balance(), 1_000);
    }
}
