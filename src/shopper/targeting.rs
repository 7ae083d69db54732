//! Which offers a shopper is shown, among those that are theirs anyway: rank, frequency caps, pacing, a bounded bandit.
//!
//! Everything here chooses and orders; nothing makes an offer, a price or a right. Time is a civil day and chance a seed (of
//! the decision's reference, by `seed_of`), so that a decision evaluated again chooses the same.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::experiment::{self, BUCKETS};
use super::seeded::Seeded;
use crate::domain::calendar::Day;
use crate::limits;

/// An offer that may be shown.
#[derive(Clone, Debug, PartialEq)]
pub struct Candidate<T> {
    /// Which; of equally good ones the first.
    pub what: T,
    /// The chance that it is answered, 0 to 1.
    pub probability: f64,
    /// What an answer brings, its cost taken off, in minor units.
    pub margin_minor: i64,
    /// The bundle's weight, 1 where it says nothing: a thousandth is 1.
    pub weight_per_mille: u32,
}

impl<T> Candidate<T> {
    /// Expected margin in minor units, weighted; no chance where it is no number.
    pub fn worth(&self) -> f64 {
        let probability = if self.probability.is_nan() { 0.0 } else { self.probability.clamp(0.0, 1.0) };
        probability * self.margin_minor as f64 * f64::from(self.weight_per_mille) / 1_000.0
    }
}

/// Puts the most worthwhile first; equally good ones stay in their order.
pub fn rank<T>(candidates: &mut [Candidate<T>]) {
    candidates.sort_by(|a, b| b.worth().total_cmp(&a.worth()));
}

/// How often one shopper is shown something, at most; nothing said is no bound.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(default)]
pub struct Caps {
    /// Times a day, at most 16.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schemars(range(max = limits::HISTORY_SHOWN_MAX))]
    pub per_day: Option<u32>,
    /// Times in seven days, today included, at most 16.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schemars(range(max = limits::HISTORY_SHOWN_MAX))]
    pub per_week: Option<u32>,
    /// Times ever, as far as is remembered.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub ever: Option<u32>,
    /// Days that must lie between two times.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub days_apart: Option<u32>,
}

impl Caps {
    /// Is there no bound?
    pub fn is_none(&self) -> bool {
        *self == Caps::default()
    }

    /// Is each bound one that can be kept with the times remembered?
    pub fn can_be_kept(&self) -> bool {
        [self.per_day, self.per_week]
            .into_iter()
            .flatten()
            .all(|times| times as usize <= limits::HISTORY_SHOWN_MAX)
    }

    /// May it be shown today, after `ever` times of which these were the newest days? Days are numbers since 1970-01-01.
    pub fn allow(&self, ever: usize, shown: &[i32], today: i32) -> bool {
        let within = |days: i64| {
            let ago = |day: &i32| i64::from(today) - i64::from(*day);
            shown.iter().filter(|day| (0..days).contains(&ago(day))).count()
        };
        let below = |count: usize, cap: Option<u32>| cap.is_none_or(|cap| count < cap as usize);
        let apart = self.days_apart.map_or(0, i64::from);
        below(within(1), self.per_day)
            && below(within(7), self.per_week)
            && below(ever, self.ever)
            && (apart == 0 || within(apart) == 0)
    }
}

/// A budget that is to last.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Pace {
    /// All there is, in minor units.
    pub budget_minor: i64,
    /// Gone so far.
    pub spent_minor: i64,
    /// What today would take if everybody were shown it: as a day like this one did.
    pub demand_minor: i64,
    /// The first day.
    pub from: Day,
    /// The last day.
    pub to: Day,
}

impl Pace {
    /// How many of `BUCKETS` shoppers are shown it today: all while the budget keeps up with the days, fewer as it runs ahead,
    /// none once it is gone or the day is not one of its own. Whole numbers, rounded down.
    pub fn buckets(&self, today: Day) -> u16 {
        let (days, gone) = (self.to.days_since(self.from) + 1, today.days_since(self.from) + 1);
        if gone < 1 || gone > days || self.spent_minor >= self.budget_minor {
            return 0;
        }
        let due = i128::from(self.budget_minor) * i128::from(gone) / i128::from(days);
        let free = (due - i128::from(self.spent_minor)).max(0);
        let buckets = i128::from(BUCKETS);
        match i128::from(self.demand_minor) {
            demand if demand <= free => BUCKETS,
            demand => u16::try_from((free * buckets / demand).min(buckets)).unwrap_or(BUCKETS),
        }
    }
}

/// One of the things a bandit chooses among.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct BanditArm {
    /// Times shown.
    pub shown: u64,
    /// Times answered; never more than shown.
    pub answered: u64,
    /// Of `BUCKETS` choices at least so many, whatever was seen.
    pub least: u16,
    /// Of `BUCKETS` choices at most so many, over all that was shown.
    pub most: u16,
}

/// The seed of a choice: the same for the same decision and purpose, on every machine.
pub fn seed_of(salt: &str, purpose: &str, decision: &str) -> u64 {
    experiment::number(salt, purpose, decision)
}

/// Chooses by Thompson's rule (1933): the arm whose rate, drawn from what was seen of it, is the highest; Beta(1, 1) before
/// anything was. Only inside the arms' bounds: the least shares are given out first, an arm above its most is out. `None`
/// without an arm inside its bounds, or where the least shares are more than all.
pub fn thompson(arms: &[BanditArm], seed: u64) -> Option<usize> {
    let least: u32 = arms.iter().map(|arm| u32::from(arm.least)).sum();
    if arms.len() > limits::EXPERIMENT_ARMS_MAX || least > u32::from(BUCKETS) {
        return None;
    }
    let mut seeded = Seeded::new(seed);
    let place = seeded.below(usize::from(BUCKETS));
    let mut below = 0;
    for (at, arm) in arms.iter().enumerate() {
        below += usize::from(arm.least);
        if place < below {
            return Some(at);
        }
    }
    let shown: u128 = arms.iter().map(|arm| u128::from(arm.shown)).sum();
    let is_inside = |arm: &BanditArm| {
        let buckets = u128::from(BUCKETS);
        arm.most > 0 && (shown == 0 || u128::from(arm.shown) * buckets <= u128::from(arm.most) * shown)
    };
    let mut best: Option<(usize, f64)> = None;
    for (at, arm) in arms.iter().enumerate() {
        let answered = arm.answered.min(arm.shown) as f64;
        let rate = seeded.beta(1.0 + answered, 1.0 + arm.shown as f64 - answered);
        if is_inside(arm) && best.is_none_or(|(_, highest)| rate > highest) {
            best = Some((at, rate));
        }
    }
    best.map(|(at, _)| at)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn day(number: i64) -> Day {
        Day::new(2026, 11, 1).expect("a day").plus_days(number)
    }

    #[test]
    fn what_is_shown_first() {
        let candidate = |what, probability, margin_minor| Candidate {
            what,
            probability,
            margin_minor,
            weight_per_mille: 1_000,
        };
        let mut all = [
            candidate("often", 0.5, 100),
            candidate("nan", f64::NAN, 9_000),
            candidate("a", 0.1, 1_000),
            candidate("b", 0.1, 1_000),
            candidate("loss", 0.9, -50),
        ];
        rank(&mut all);
        assert_eq!(all.map(|candidate| candidate.what), ["a", "b", "often", "nan", "loss"]);
    }

    #[test]
    fn when_may_it_be_shown_again() {
        let caps = Caps { per_day: Some(1), per_week: Some(2), ever: Some(4), days_apart: Some(2) };
        let table = [
            (vec![], 0, true),
            (vec![0], 0, false),
            (vec![0], 1, false),
            (vec![0], 2, true),
            (vec![0, 3], 6, false),
            (vec![0, 3], 7, true),
            (vec![0, 10, 20, 30], 90, false),
            // A day that lies ahead, of a clock that was wrong, bars nothing but counts for ever.
            (vec![50], 0, true),
        ];
        for (shown, today, allowed) in table {
            assert_eq!(caps.allow(shown.len(), &shown, today), allowed, "{shown:?} on {today}");
        }
        assert!(Caps::default().allow(100, &[0; 16], 0));
    }

    #[test]
    fn does_a_budget_last() {
        let pace = |spent_minor, demand_minor, today| {
            Pace { budget_minor: 1_000, spent_minor, demand_minor, from: day(0), to: day(9) }
                .buckets(day(today))
        };
        assert_eq!([pace(0, 50, 0), pace(0, 400, 0), pace(100, 400, 0)], [10_000, 2_500, 0]);
        assert_eq!([pace(100, 400, 4), pace(1_000, 1, 9), pace(0, 1, 10), pace(0, 1, -1)], [10_000, 0, 0, 0]);
        // Days that each take what the pace lets through never run out before the last.
        let mut spent = 0;
        for today in 0..10 {
            spent += 900 * i64::from(pace(spent, 900, today)) / i64::from(BUCKETS);
            assert!(spent <= 100 * (today + 1), "{spent} after {today}");
        }
        assert!(spent > 950, "{spent}");
    }

    #[test]
    fn does_a_bandit_learn_inside_its_bounds_only() {
        let mut arms = [BanditArm { shown: 0, answered: 0, least: 500, most: 10_000 }; 3];
        arms[0].least = 2_000;
        arms[2].most = 2_000;
        let rates = [0.05, 0.10, 0.30];
        let mut seeded = Seeded::new(1);
        for turn in 0..5_000 {
            let seed = seed_of("sunrise", "tea", &format!("0042/1/{turn}"));
            let chosen = thompson(&arms, seed).expect("some arm is inside");
            assert_eq!(Some(chosen), thompson(&arms, seed));
            arms[chosen].shown += 1;
            arms[chosen].answered += u64::from(seeded.unit() < rates[chosen]);
        }
        // The worst is still tried; the best has no more than its bound, and the least share that comes on top of it.
        assert!(arms[0].shown >= 900 && arms[1].shown > 2_000, "{arms:?}");
        assert!(arms[2].shown <= 5_000 / 4, "{arms:?}");
        assert_eq!(thompson(&[], 1), None);
        assert_eq!(thompson(&[BanditArm { shown: 0, answered: 0, least: 0, most: 0 }], 1), None);
    }
}
