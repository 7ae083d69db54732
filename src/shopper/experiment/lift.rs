//! What an offer did, read as often as one likes: lift with an interval that holds at every look at once.
//!
//! A member counts once, when the outcome is complete (bought or not, spent in a fixed number of days after exposure), so that
//! what comes later never changes what was counted. The lift is `mₜ / m꜀ − 1`. Its logarithm `θ` is estimated with variance
//! `V = sₜ² / (nₜ mₜ²) + s꜀² / (n꜀ m꜀²)` (delta method), and mixing over effects `θ ~ N(0, τ²)` gives
//! `|θ̂ − θ| ≤ √( V (V + τ²) / τ² · (ln((V + τ²) / V) + 2 ln(1/α)) )` for all looks together with probability `1 − α`: the mixture
//! sequential probability ratio test (Robbins 1970; Johari, Koomen, Pekelis and Walsh, "Always Valid Inference", 2022, eq. 12),
//! asymptotic in the sense of Waudby-Smith, Arbour, Sinha, Kennedy and Ramdas, "Time-uniform central limit theory and asymptotic
//! confidence sequences" (2024). `τ` is how large lifts usually are; a wrong one makes the interval wider, never wrong.
//! Before `V` is small enough for the approximation, nothing is said.

use crate::limits;

/// Outcomes of one arm in whole numbers: the same in whatever order they came, and one can be taken back.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Outcomes {
    /// Members.
    pub count: u64,
    /// Of their outcomes.
    pub sum: i128,
    /// Of the squares.
    pub squares: i128,
}

impl Outcomes {
    /// One member's outcome: 1 or 0, or an amount in minor units.
    pub fn add(&mut self, outcome: i64) {
        self.count += 1;
        self.sum += i128::from(outcome);
        self.squares += i128::from(outcome) * i128::from(outcome);
    }

    /// So many members of whom so many did it.
    pub fn of_conversions(count: u64, converted: u64) -> Outcomes {
        Outcomes { count, sum: i128::from(converted), squares: i128::from(converted) }
    }

    /// Both together.
    pub fn plus(self, other: Outcomes) -> Outcomes {
        Outcomes {
            count: self.count + other.count,
            sum: self.sum + other.sum,
            squares: self.squares + other.squares,
        }
    }

    /// Mean outcome; 0 without members.
    pub fn mean(&self) -> f64 {
        if self.count == 0 { 0.0 } else { self.sum as f64 / self.count as f64 }
    }

    /// The variance of the mean, in units of the squared mean; `None` without a positive mean or with too few members.
    pub fn relative_variance(&self) -> Option<f64> {
        if self.count < 2 || self.sum <= 0 {
            return None;
        }
        let (count, mean) = (self.count as f64, self.mean());
        // Numerator in whole numbers where it fits: nothing is lost between two large sums.
        let spread = i128::from(self.count)
            .checked_mul(self.squares)
            .zip(self.sum.checked_mul(self.sum))
            .map_or_else(|| count * self.squares as f64 - (self.sum as f64).powi(2), |(a, b)| (a - b) as f64);
        Some(spread / (count * (count - 1.0)) / count / (mean * mean))
    }
}

/// Lift with its interval.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Lift {
    /// `treated mean / control mean - 1`.
    pub lift: f64,
    /// Lower end.
    pub low: f64,
    /// Upper end.
    pub high: f64,
}

/// What can be said today.
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum Verdict {
    /// The interval leaves 0 out.
    Effect,
    /// The interval lies within what is worth knowing: if there is an effect, it is too small to matter.
    NothingWorth,
    /// Not enough data: about so many days more at today's pace, if the lift stays what it looks like, until either of the
    /// others; `None` where it cannot be told or takes longer than `EXPERIMENT_DAYS_MAX`.
    NotYet(Option<u32>),
}

/// A look at an experiment.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Look {
    /// The figure; none while there is too little for any.
    pub lift: Option<Lift>,
    /// What it says.
    pub verdict: Verdict,
}

/// How an experiment is read; the same at every look.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Reading {
    /// Chance of ever showing an effect that is not there, over all looks.
    pub alpha: f64,
    /// The smallest lift worth knowing, above 0.
    pub worth: f64,
}

impl Default for Reading {
    fn default() -> Reading {
        Reading { alpha: limits::EXPERIMENT_ALPHA, worth: limits::EXPERIMENT_WORTH }
    }
}

impl Reading {
    /// What outcomes say after so many days of the experiment.
    pub fn look(&self, treated: &Outcomes, control: &Outcomes, days: u32) -> Look {
        let both = treated.relative_variance().zip(control.relative_variance());
        let Some(variance) = both.map(|(treated, control)| treated + control) else {
            return Look { lift: None, verdict: Verdict::NotYet(None) };
        };
        let ratio = treated.mean() / control.mean();
        let target = ratio.ln().abs().max(self.worth.ln_1p());
        let days_more = Verdict::NotYet(self.days_more(variance, days, target));
        let least = limits::EXPERIMENT_ARM_MEMBERS_MIN;
        if variance > limits::EXPERIMENT_VARIANCE_MAX || treated.count.min(control.count) < least {
            return Look { lift: None, verdict: days_more };
        }
        let half = self.half_width(variance);
        let (low, high) = (ratio * (-half).exp() - 1.0, ratio * half.exp() - 1.0);
        let verdict = if low > 0.0 || high < 0.0 {
            Verdict::Effect
        } else if low > -self.worth && high < self.worth {
            Verdict::NothingWorth
        } else {
            days_more
        };
        Look { lift: Some(Lift { lift: ratio - 1.0, low, high }), verdict }
    }

    /// Of the interval of the lift's logarithm.
    fn half_width(&self, variance: f64) -> f64 {
        // Two outcomes that are all alike have no spread; the bound's limit is no width at all.
        if variance <= 0.0 {
            return 0.0;
        }
        let usual = limits::EXPERIMENT_USUAL_LIFT.powi(2);
        let evidence = ((variance + usual) / variance).ln() - 2.0 * self.alpha.ln();
        (variance * (variance + usual) / usual * evidence).sqrt()
    }

    /// Days until the interval is so narrow, at the pace so far: the variance falls as members grow.
    fn days_more(&self, variance: f64, days: u32, target: f64) -> Option<u32> {
        let after = |more: u32| variance * f64::from(days.max(1)) / f64::from(days.max(1) + more);
        let is_enough = |more: u32| self.half_width(after(more)) <= target;
        let (mut short, mut enough) = (0, limits::EXPERIMENT_DAYS_MAX);
        if !is_enough(enough) {
            return None;
        }
        while enough - short > 1 {
            let middle = short + (enough - short) / 2;
            if is_enough(middle) { enough = middle } else { short = middle }
        }
        Some(enough)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    #[test]
    fn what_is_said_at_a_look() {
        let of = |count: u64, treated: u64, control: u64, days: u32| {
            let arms = (Outcomes::of_conversions(count, treated), Outcomes::of_conversions(count, control));
            Reading { alpha: 0.05, worth: 0.05 }.look(&arms.0, &arms.1, days)
        };
        assert_eq!(of(0, 0, 0, 1), Look { lift: None, verdict: Verdict::NotYet(None) });
        let early = of(200, 24, 16, 2);
        assert!(early.lift.is_none(), "{early:?}");
        let Verdict::NotYet(Some(more)) = early.verdict else { panic!("not yet") };
        let at = |days: u64| of(100 * days, 12 * days, 8 * days, days as u32).verdict;
        assert_eq!(at(u64::from(2 + more)), Verdict::Effect);
        assert!(matches!(at(u64::from(more)), Verdict::NotYet(Some(1 | 2))), "{more}");
        let found = of(10_000, 1_500, 1_000, 10);
        assert_eq!(found.verdict, Verdict::Effect);
        let nothing = of(1_000_000, 200_100, 200_000, 30);
        assert_eq!(nothing.verdict, Verdict::NothingWorth);
        // As many days more as were said give an answer either way.
        let Look { verdict: Verdict::NotYet(Some(more)), .. } = of(50_000, 5_000, 5_000, 10) else {
            panic!("not yet")
        };
        let later = u64::from(10 + more);
        assert_eq!(of(5_000 * later, 500 * later, 500 * later, 10 + more).verdict, Verdict::NothingWorth);
        let before = later - 2;
        assert!(matches!(
            of(5_000 * before, 500 * before, 500 * before, 8 + more).verdict,
            Verdict::NotYet(_)
        ));
    }

    #[test]
    fn is_the_variance_that_of_the_outcomes_whatever_their_size() {
        let mut outcomes = Outcomes::default();
        [1_000_000_000_001, 1_000_000_000_002, 1_000_000_000_003]
            .into_iter()
            .for_each(|value| outcomes.add(value));
        let relative = outcomes.relative_variance().expect("three");
        assert!((relative * 1e24 - 1.0 / 3.0).abs() < 1e-6, "{relative}");
    }
}
