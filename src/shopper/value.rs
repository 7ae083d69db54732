//! What a customer is worth: how often they will come back, whether they still come at all, and what they spend.
//!
//! `bgnbd` and `paretonbd` model when customers buy and when they leave unseen, `spend` what they spend each time (Gamma-
//! Gamma); each is fitted by maximum likelihood with `optimum`. Beside every model stands `naive`: the last 13 weeks again.
//!
//! Times are in weeks since the customer's first purchase, whatever the calendar. Invariants: a `History` is possible (no
//! purchase after its end, a last one if and only if there are repeats); a fit that is no maximum says so (`Outcome`): small
//! or uniform samples often have none, and its parameters are those where the search ended.

use std::fmt;

use serde::Serialize;

use self::optimum::{Optimum, Outcome};
use crate::limits;

pub mod bgnbd;
pub mod optimum;
pub mod paretonbd;
mod special;
pub mod spend;

/// Weeks a forecast looks ahead, and the window of the naive baseline: a quarter, a half year, a year.
pub const HORIZONS_WEEKS: [f64; 3] = [13.0, 26.0, 52.0];
/// Months a customer's value looks ahead: a year.
pub const VALUE_MONTHS: u32 = 12;
/// Weeks of a month, so that twelve are the longest horizon.
const MONTH_WEEKS: f64 = 52.0 / 12.0;

/// When one customer bought.
#[derive(Clone, Copy, Debug, PartialEq, PartialOrd, Serialize)]
pub struct History {
    /// Repeat purchases: the first one does not count.
    pub repeats: u32,
    /// Weeks from the first purchase to the last one; 0 without repeats.
    pub last_weeks: f64,
    /// Weeks from the first purchase to the end of the observation; 0 for who first came on its last day.
    pub age_weeks: f64,
}

/// Why a history is impossible.
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum HistoryFault {
    /// The number of repeats is no whole number from 0 to 4,294,967,295.
    Repeats(f64),
    /// The time of the last purchase is negative or no number.
    Last(f64),
    /// The length of the observation is negative or no number.
    Age(f64),
    /// There are no repeats, and yet a last one.
    LastWithoutRepeats(f64),
    /// There are repeats, and none was after the first purchase.
    RepeatsWithoutLast(f64),
    /// The last purchase is after the end of the observation.
    LastAfterEnd(f64, f64),
}

impl fmt::Display for HistoryFault {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            HistoryFault::Repeats(x) => write!(f, "is {x}, not a whole number from 0"),
            HistoryFault::Last(last) => write!(f, "is {last}, not a number from 0"),
            HistoryFault::Age(age) => write!(f, "is {age}, not a number from 0"),
            HistoryFault::LastWithoutRepeats(last) => write!(f, "is {last} without repeat purchases (x = 0)"),
            HistoryFault::RepeatsWithoutLast(x) => write!(f, "is 0 with {x} repeat purchases"),
            HistoryFault::LastAfterEnd(last, age) => write!(f, "is {last}, after the end T = {age}"),
        }
    }
}

impl History {
    /// A history from the usual three numbers `x`, `t_x`, `T`.
    ///
    /// # Errors
    /// It is impossible: what is wrong first, in the order of `HistoryFault`.
    pub fn new(x: f64, last_weeks: f64, age_weeks: f64) -> Result<History, HistoryFault> {
        if !(x >= 0.0 && x <= f64::from(u32::MAX) && x.fract() == 0.0) {
            return Err(HistoryFault::Repeats(x));
        }
        if !(last_weeks >= 0.0 && last_weeks.is_finite()) {
            return Err(HistoryFault::Last(last_weeks));
        }
        if !(age_weeks >= 0.0 && age_weeks.is_finite()) {
            return Err(HistoryFault::Age(age_weeks));
        }
        if x == 0.0 && last_weeks > 0.0 {
            return Err(HistoryFault::LastWithoutRepeats(last_weeks));
        }
        if x > 0.0 && last_weeks == 0.0 {
            return Err(HistoryFault::RepeatsWithoutLast(x));
        }
        if last_weeks > age_weeks {
            return Err(HistoryFault::LastAfterEnd(last_weeks, age_weeks));
        }
        Ok(History { repeats: x as u32, last_weeks, age_weeks })
    }
}

/// A fitted model.
#[derive(Clone, Copy, Debug, PartialEq, Serialize)]
pub struct Fit<M> {
    /// Its parameters.
    #[serde(flatten)]
    pub model: M,
    /// The logarithm of the likelihood.
    pub log_likelihood: f64,
    /// Whether it is a maximum.
    pub outcome: Outcome,
}

/// Customers for a fit: equal histories are one, those with equally many repeats stand together.
#[derive(Clone, Debug)]
pub struct Sample {
    groups: Vec<(History, f64)>,
    mean_age_weeks: f64,
}

impl Sample {
    /// A sample of these customers; nothing if nobody came back, which no model explains.
    pub fn of(histories: &[History]) -> Option<Sample> {
        let mut sorted = histories.to_vec();
        sorted.sort_by(|a, b| {
            (a.repeats.cmp(&b.repeats))
                .then(a.last_weeks.total_cmp(&b.last_weeks))
                .then(a.age_weeks.total_cmp(&b.age_weeks))
        });
        if sorted.last()?.repeats == 0 {
            return None;
        }
        let mean_age_weeks =
            sorted.iter().map(|history| history.age_weeks).sum::<f64>() / sorted.len() as f64;
        let mut groups: Vec<(History, f64)> = Vec::new();
        for history in sorted {
            match groups.last_mut() {
                Some((same, weight)) if *same == history => *weight += 1.0,
                _ => groups.push((history, 1.0)),
            }
        }
        Some(Sample { groups, mean_age_weeks })
    }

    /// Every so manieth history, where there are very many: a first look that costs little.
    fn thinned(&self) -> Option<Sample> {
        let step = self.groups.len() / limits::VALUE_FIRST_LOOK;
        let groups = || self.groups.iter().step_by(step).copied().collect();
        (step > 1).then(|| Sample { groups: groups(), mean_age_weeks: self.mean_age_weeks })
    }

    /// Climbs the likelihood of the sample: by way of a part of it where it is large.
    fn maximise<const N: usize>(
        &self,
        likelihood: impl Fn(&[f64; N], &Sample) -> f64,
        starts: &[[f64; N]],
    ) -> Optimum<N> {
        match self.thinned() {
            Some(thin) => optimum::maximise_by(|at| likelihood(at, self), |at| likelihood(at, &thin), starts),
            None => optimum::maximise(|at| likelihood(at, self), starts),
        }
    }

    /// The sum of `each` over all customers; `per_repeats` is asked once for each number of repeats.
    fn total<R: Copy>(&self, per_repeats: impl Fn(f64) -> R, each: impl Fn(&History, R) -> f64) -> f64 {
        let mut known: Option<(u32, R)> = None;
        let mut sum = super::rfm::Sum::default();
        for (history, weight) in &self.groups {
            let shared = match known {
                Some((repeats, shared)) if repeats == history.repeats => shared,
                _ => per_repeats(f64::from(history.repeats)),
            };
            known = Some((history.repeats, shared));
            sum.add(weight * each(history, shared));
        }
        sum.value()
    }
}

/// What the last 13 weeks say without a model.
///
/// The file's four numbers hold no dates, so purchases of the window are estimated as evenly spread from the first
/// purchase to the last: exact for customers without repeats or with the last one before the window, at least one (the
/// last) otherwise. Answers the repeat purchases expected in each of `HORIZONS_WEEKS`: the window's, as often as it fits.
pub fn naive(history: &History) -> [f64; 3] {
    let window = HORIZONS_WEEKS[0].min(history.age_weeks);
    let inside = history.last_weeks - (history.age_weeks - window);
    if history.repeats == 0 || inside <= 0.0 {
        return [0.0; 3];
    }
    let recent = (f64::from(history.repeats) * (inside / history.last_weeks).min(1.0)).max(1.0);
    HORIZONS_WEEKS.map(|weeks| recent * weeks / window)
}

/// The present value of a customer's purchases of the next `VALUE_MONTHS` months, in the unit of `average`.
///
/// `purchases(weeks)` are those expected until then, `average` what one is worth; a month's purchases are paid at its end
/// and discounted by `monthly_rate` (0.01 is 1 %) for each month.
pub fn present_value(purchases: impl Fn(f64) -> f64, average: f64, monthly_rate: f64) -> f64 {
    let mut before = 0.0;
    let mut value = 0.0;
    for month in 1..=VALUE_MONTHS {
        let until = purchases(f64::from(month) * MONTH_WEEKS);
        value += (until - before) * average / (1.0 + monthly_rate).powi(month as i32);
        before = until;
    }
    value
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn is_each_impossible_history_named() {
        for (x, last, age, expected) in [
            (f64::NAN, 0.0, 1.0, "is NaN, not a whole number from 0"),
            (-1.0, 0.0, 1.0, "is -1, not a whole number from 0"),
            (1.5, 1.0, 2.0, "is 1.5, not a whole number from 0"),
            (1.0, f64::NAN, 2.0, "is NaN, not a number from 0"),
            (1.0, -3.0, 2.0, "is -3, not a number from 0"),
            (1.0, 1.0, f64::INFINITY, "is inf, not a number from 0"),
            (0.0, 0.0, -1.0, "is -1, not a number from 0"),
            (0.0, 2.0, 3.0, "is 2 without repeat purchases (x = 0)"),
            (2.0, 0.0, 3.0, "is 0 with 2 repeat purchases"),
            (2.0, 4.0, 3.0, "is 4, after the end T = 3"),
        ] {
            let fault = History::new(x, last, age).expect_err(expected);
            assert_eq!(fault.to_string(), expected);
        }
        assert!(History::new(2.0, 3.0, 3.0).is_ok());
    }

    #[test]
    fn are_the_last_weeks_taken_again() {
        for (x, last, age, expected) in [
            (0.0, 0.0, 40.0, [0.0, 0.0, 0.0]),
            (0.0, 0.0, 0.0, [0.0, 0.0, 0.0]),
            (9.0, 20.0, 40.0, [0.0, 0.0, 0.0]),
            (1.0, 39.0, 40.0, [1.0, 2.0, 4.0]),
            (8.0, 40.0, 40.0, [2.6, 5.2, 10.4]),
            (3.0, 6.0, 6.5, [6.0, 12.0, 24.0]),
        ] {
            let found = naive(&History::new(x, last, age).expect("possible"));
            for (found, expected) in found.iter().zip(expected) {
                assert!((found - expected).abs() < 1e-9, "{x} {last} {age}: {found}, not {expected}");
            }
        }
    }

    #[test]
    fn is_a_year_of_steady_purchases_discounted_month_by_month() {
        let flat = present_value(|weeks| weeks / MONTH_WEEKS, 10.0, 0.0);
        assert!((flat - 120.0).abs() < 1e-9, "{flat}");
        // An annuity: 10 (1 - 1.01^-12) / 0.01.
        let discounted = present_value(|weeks| weeks / MONTH_WEEKS, 10.0, 0.01);
        assert!((discounted - 112.550_774_7).abs() < 1e-6, "{discounted}");
    }
}
