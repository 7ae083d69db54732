//! What a measurement yields: latencies of one side, and two sides measured in turns.
//!
//! A ratio is made of two figures of the same round; what is told is the median of the rounds' ratios and their spread.
//! So a machine that is busy with something else for a while costs a round, not the result.

use hdrhistogram::Histogram;
use serde::Serialize;

/// Longest latency told apart, in nanoseconds: ten minutes.
const LATENCY_NS_MAX: u64 = 600_000_000_000;

/// An empty histogram of nanoseconds with three digits.
pub(super) fn histogram() -> Histogram<u64> {
    Histogram::new_with_bounds(1, LATENCY_NS_MAX, 3)
        .expect("1 ns to ten minutes with 3 digits is a valid range")
}

/// Latencies of one side in one round, or of all rounds.
#[derive(Clone, Copy, Debug, Default, Serialize)]
pub(super) struct Latency {
    /// Measured.
    pub(super) count: u64,
    /// Median, in microseconds.
    pub(super) p50_us: f64,
    /// 99th percentile, in microseconds.
    pub(super) p99_us: f64,
}

impl Latency {
    /// Of a histogram of nanoseconds.
    pub(super) fn of(histogram: &Histogram<u64>) -> Latency {
        let us = |quantile| rounded(histogram.value_at_quantile(quantile) as f64 / 1_000.0);
        Latency { count: histogram.len(), p50_us: us(0.5), p99_us: us(0.99) }
    }
}

/// Two sides of one round, in the same unit.
#[derive(Clone, Copy, Debug)]
pub(super) struct Pair {
    /// Ours.
    pub(super) ours: f64,
    /// What it is compared with.
    pub(super) theirs: f64,
}

/// The rounds of one comparison.
#[derive(Clone, Debug, Serialize)]
pub(super) struct Ratio {
    /// Median of the rounds' ratios, ours to theirs.
    pub(super) ratio: f64,
    /// The lowest.
    pub(super) lowest: f64,
    /// The highest.
    pub(super) highest: f64,
    /// Median of ours.
    pub(super) ours: f64,
    /// Median of theirs.
    pub(super) theirs: f64,
    /// In which unit both are.
    pub(super) unit: &'static str,
    /// What theirs is.
    pub(super) against: &'static str,
    /// How many rounds.
    pub(super) rounds: usize,
}

impl Ratio {
    /// Of at least one round.
    pub(super) fn of(pairs: &[Pair], unit: &'static str, against: &'static str) -> Ratio {
        let mut ratios: Vec<f64> = pairs.iter().map(|pair| pair.ours / pair.theirs).collect();
        ratios.sort_by(f64::total_cmp);
        let side = |of: fn(&Pair) -> f64| rounded(median(pairs.iter().map(of).collect()));
        Ratio {
            ratio: rounded(median(ratios.clone())),
            lowest: rounded(ratios.first().copied().unwrap_or(f64::NAN)),
            highest: rounded(ratios.last().copied().unwrap_or(f64::NAN)),
            ours: side(|pair| pair.ours),
            theirs: side(|pair| pair.theirs),
            unit,
            against,
            rounds: pairs.len(),
        }
    }
}

/// The middle one, or the mean of the two in the middle; not a number of none.
pub(super) fn median(mut values: Vec<f64>) -> f64 {
    values.sort_by(f64::total_cmp);
    match values.len() {
        0 => f64::NAN,
        odd if odd % 2 == 1 => values[odd / 2],
        even => (values[even / 2 - 1] + values[even / 2]) / 2.0,
    }
}

/// To a thousandth: more digits than any of this is true to.
pub(super) fn rounded(value: f64) -> f64 {
    (value * 1_000.0).round() / 1_000.0
}

/// A goal of the specification and what was measured.
#[derive(Clone, Debug, Serialize)]
pub(super) struct Goal {
    /// What is measured.
    pub(super) name: &'static str,
    /// What was measured.
    pub(super) value: f64,
    /// The bound, for example `<= 1.3`.
    pub(super) goal: String,
    /// Whether it is reached.
    pub(super) met: bool,
}

impl Goal {
    /// Reached if the value is at most the bound.
    pub(super) fn at_most(name: &'static str, value: f64, bound: f64) -> Goal {
        Goal { name, value, goal: format!("<= {bound}"), met: value <= bound }
    }

    /// Reached if the value is at least the bound.
    pub(super) fn at_least(name: &'static str, value: f64, bound: f64) -> Goal {
        Goal { name, value, goal: format!(">= {bound}"), met: value >= bound }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn does_one_disturbed_round_move_the_ratio() {
        let pairs = [(10.0, 5.0), (22.0, 10.0), (900.0, 10.0)].map(|(ours, theirs)| Pair { ours, theirs });
        let ratio = Ratio::of(&pairs, "us", "echo");
        assert_eq!((ratio.ratio, ratio.lowest, ratio.highest), (2.2, 2.0, 90.0));
        assert_eq!((ratio.ours, ratio.theirs, ratio.rounds), (22.0, 10.0, 3));
        assert_eq!(median(vec![4.0, 1.0, 2.0, 3.0]), 2.5);
    }

    #[test]
    fn is_a_goal_met_at_its_bound_and_missed_by_what_is_no_number() {
        assert!(Goal::at_most("p50", 1.3, 1.3).met && !Goal::at_most("p50", 1.301, 1.3).met);
        assert!(Goal::at_least("rate", 0.8, 0.8).met && !Goal::at_least("rate", 0.799, 0.8).met);
        assert!(!Goal::at_most("p50", f64::NAN, 1.3).met && !Goal::at_least("rate", f64::NAN, 0.8).met);
    }
}
