//! When a member is due to buy a category again.
//!
//! A member's own intervals are few, so the category's usual one is mixed in as so many intervals of their own (an average
//! shrunk to the shop's). A category is due from the early end of the usual interval until the member has evidently gone
//! elsewhere for it; before and after that, a reminder is noise.
//!
//! Days are civil days as numbers (`domain::calendar::Day::number`), rising; several purchases of one day are one.

use serde::{Deserialize, Serialize};

use crate::limits;

/// What counts as due.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct DueRules {
    /// Intervals of their own that the category's usual one weighs as much as; above 0.
    pub usual_weight: f64,
    /// Due from this part of the interval on, and
    pub from: f64,
    /// up to this many intervals; beyond, the member buys it elsewhere.
    pub until: f64,
}

impl Default for DueRules {
    fn default() -> DueRules {
        DueRules { usual_weight: 2.0, from: 0.9, until: 3.0 }
    }
}

/// A member's rhythm in one category.
#[derive(Clone, Copy, Debug, PartialEq, Serialize)]
pub struct Rhythm {
    /// Days that usually pass between two purchases.
    pub interval_days: f64,
    /// Of the member's own intervals, how many it rests on.
    pub own_intervals: u32,
    /// Days since the last purchase.
    pub since_days: i64,
    /// Whether it is due today.
    pub is_due: bool,
    /// Days until it is due; 0 where it is, or has passed.
    pub due_in_days: i64,
}

/// The usual days between two purchases of a category by one member: the median over these members' rising purchase days;
/// nothing if nobody bought twice.
pub fn usual_interval<'a>(members: impl Iterator<Item = &'a [i64]>) -> Option<f64> {
    let mut intervals: Vec<i64> =
        members.flat_map(intervals).take(limits::REPURCHASE_INTERVALS_MAX).collect();
    intervals.sort_unstable();
    let last = intervals.len().checked_sub(1)?;
    Some((intervals[last / 2] + intervals[last.div_ceil(2)]) as f64 / 2.0)
}

fn intervals(days: &[i64]) -> impl Iterator<Item = i64> + '_ {
    days.windows(2).map(|pair| pair[1] - pair[0]).filter(|interval| *interval > 0)
}

impl DueRules {
    /// What is wrong with the rules, if anything.
    pub fn check(&self) -> Option<&'static str> {
        if !(self.usual_weight.is_finite() && self.usual_weight > 0.0) {
            return Some("usual_weight must be above 0");
        }
        let sound = self.from > 0.0 && self.until > self.from && self.until.is_finite();
        (!sound).then_some("from must be above 0 and until above it")
    }

    /// The rhythm of a member who bought on these rising days, on the day `today`, where `usual_days` usually pass; nothing
    /// if they never bought it, or neither they nor anybody bought it twice.
    pub fn rhythm(&self, days: &[i64], usual_days: Option<f64>, today: i64) -> Option<Rhythm> {
        let since_days = today - *days.last()?;
        let (mut count, mut sum) = (0_u32, 0_i64);
        for interval in intervals(days) {
            count += 1;
            sum += interval;
        }
        let own = f64::from(count);
        let interval_days = match usual_days {
            Some(usual) => (sum as f64 + usual * self.usual_weight) / (own + self.usual_weight),
            None if count > 0 => sum as f64 / own,
            None => return None,
        };
        let since = since_days as f64;
        let from = interval_days * self.from;
        let is_due = since >= from && since <= interval_days * self.until;
        let due_in_days = (from.ceil() as i64 - since_days).max(0);
        Some(Rhythm { interval_days, own_intervals: count, since_days, is_due, due_in_days })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Days of purchase; the shop's usual interval; today; the interval, whether due, days until it is.
    const RHYTHMS: &str = "\
        0,7,14,21 | 7  | 27 | 7.0  | no  | 1
        0,7,14,21 | 7  | 28 | 7.0  | due | 0
        0,7,14,21 | 7  | 42 | 7.0  | due | 0
        0,7,14,21 | 7  | 43 | 7.0  | no  | 0
        0,30      | 10 | 40 | 16.7 | no  | 6
        5         | 10 | 14 | 10.0 | due | 0
        5,5,5     | 10 | 13 | 10.0 | no  | 1
        0,20      | -  | 38 | 20.0 | due | 0
        5         | -  | 40 | -    | -   | -
                  | 10 | 40 | -    | -   | -";

    #[test]
    fn is_each_rhythm_due_when_it_is() {
        for line in RHYTHMS.lines() {
            let cells: Vec<&str> = line.split('|').map(str::trim).collect();
            let days: Vec<i64> = cells[0].split(',').filter_map(|day| day.trim().parse().ok()).collect();
            let rhythm =
                DueRules::default().rhythm(&days, cells[1].parse().ok(), cells[2].parse().expect("a day"));
            let found = rhythm.map_or(vec!["-".to_owned(); 3], |rhythm| {
                let due = if rhythm.is_due { "due" } else { "no" };
                vec![format!("{:.1}", rhythm.interval_days), due.to_owned(), rhythm.due_in_days.to_string()]
            });
            assert_eq!(found, cells[3..], "{line}");
        }
    }

    #[test]
    fn is_the_usual_interval_the_median() {
        let members: [&[i64]; 4] = [&[0, 7, 14], &[0, 10], &[3], &[1, 1, 101]];
        assert_eq!(usual_interval(members.into_iter()), Some(8.5));
        assert_eq!(usual_interval([[3_i64].as_slice()].into_iter()), None);
    }

    #[test]
    fn are_rules_that_make_no_sense_named() {
        let rules = DueRules::default();
        assert_eq!(rules.check(), None);
        assert!(DueRules { usual_weight: 0.0, ..rules }.check().is_some());
        assert!(DueRules { until: 0.5, ..rules }.check().is_some());
        assert!(DueRules { from: f64::NAN, ..rules }.check().is_some());
    }
}
