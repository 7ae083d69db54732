//! The BG/NBD model: purchases at a rate of the customer's own, and after each purchase a chance of their own to leave.
//!
//! Fader, Hardie and Lee (2005), "Counting Your Customers" the Easy Way, Marketing Science 24(2): the likelihood is its
//! equation 6 in the form of their note "Implementing the BG/NBD Model in Microsoft Excel", purchases to come are its
//! equation 10, P(alive) as in "Computing P(alive) Using the BG/NBD Model" (2008).
//!
//! Rates are gamma(r, alpha) and chances beta(a, b) over customers; alpha is in weeks.

use serde::Serialize;

use super::special::{hypergeometric, ln_add, ln_gamma};
use super::{Fit, History, Sample};

/// The parameters: all above 0.
#[derive(Clone, Copy, Debug, PartialEq, Serialize)]
pub struct BgNbd {
    /// Shape of the rates.
    pub r: f64,
    /// Their scale, in weeks.
    pub alpha: f64,
    /// Of the chance to leave, for leaving.
    pub a: f64,
    /// Of the chance to leave, against it.
    pub b: f64,
}

impl BgNbd {
    /// The parameters under which the sample is most likely.
    pub fn fit(sample: &Sample) -> Fit<BgNbd> {
        let scale = sample.mean_age_weeks;
        let model = |at: &[f64; 4]| {
            let [r, alpha, a, b] = at.map(f64::exp);
            BgNbd { r, alpha: alpha * scale, a, b }
        };
        let starts = [[0.0, 0.0, 0.0, 1.0], [-1.5, -2.0, -0.5, 1.0], [1.0, 1.0, -1.0, -1.0]];
        let optimum = sample.maximise(|at, of| model(at).log_likelihood(of), &starts);
        Fit { model: model(&optimum.at), log_likelihood: optimum.value, outcome: optimum.outcome }
    }

    /// The logarithm of the likelihood of a sample.
    pub fn log_likelihood(&self, sample: &Sample) -> f64 {
        let BgNbd { r, alpha, a, b } = *self;
        let of_all = r * alpha.ln() - ln_gamma(r) + ln_gamma(a + b) - ln_gamma(b);
        let per_repeats = |x: f64| {
            let all = of_all + ln_gamma(r + x) + ln_gamma(b + x) - ln_gamma(a + b + x);
            let left = if x > 0.0 { a.ln() - (b + x - 1.0).ln() } else { f64::NEG_INFINITY };
            (all, left)
        };
        sample.total(per_repeats, |history, (all, left)| {
            let rate = r + f64::from(history.repeats);
            let stayed = -rate * (alpha + history.age_weeks).ln();
            // Nobody leaves before the first repeat: there is no second way.
            if left == f64::NEG_INFINITY {
                return all + stayed;
            }
            all + ln_add(stayed, left - rate * (alpha + history.last_weeks).ln())
        })
    }

    /// The chance that the customer still comes.
    pub fn p_alive(&self, history: &History) -> f64 {
        let x = f64::from(history.repeats);
        if history.repeats == 0 {
            return 1.0;
        }
        let waited = ((self.alpha + history.age_weeks) / (self.alpha + history.last_weeks)).ln();
        1.0 / (1.0 + self.a / (self.b + x - 1.0) * ((self.r + x) * waited).exp())
    }

    /// The chance that the customer comes no more.
    pub fn churn_risk(&self, history: &History) -> f64 {
        1.0 - self.p_alive(history)
    }

    /// Repeat purchases expected in the next `weeks`; NaN where its series does not settle.
    pub fn purchases(&self, history: &History, weeks: f64) -> f64 {
        // At a = 1 and a + b + x = 1 the formula is 0/0 while what it means is smooth: the mean of two neighbours.
        let poles = [self.a - 1.0, self.a + self.b + f64::from(history.repeats) - 1.0];
        if poles.iter().any(|distance| distance.abs() < 1e-5) {
            let beside = |a: f64| BgNbd { a, ..*self }.purchases_apart(history, weeks);
            return (beside(self.a * (1.0 - 1e-4)) + beside(self.a * (1.0 + 1e-4))) / 2.0;
        }
        self.purchases_apart(history, weeks)
    }

    fn purchases_apart(&self, history: &History, weeks: f64) -> f64 {
        let BgNbd { r, alpha, a, b } = *self;
        let x = f64::from(history.repeats);
        let end = alpha + history.age_weeks;
        let series = hypergeometric(r + x, b + x, a + b + x - 1.0, weeks / (end + weeks));
        let power = ((r + x) * (end / (end + weeks)).ln()).exp();
        (a + b + x - 1.0) / (a - 1.0) * (1.0 - power * series) * self.p_alive(history)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const CDNOW: BgNbd = BgNbd { r: 0.243, alpha: 4.414, a: 0.793, b: 2.426 };

    fn history(x: f64, last: f64, age: f64) -> History {
        History::new(x, last, age).expect("possible")
    }

    /// Fader, Hardie and Lee's own worked customer: x = 2, t_x = 30.43, T = 38.86 buys 1.226 times in 39 weeks.
    #[test]
    fn are_purchases_to_come_the_published_ones() {
        let found = CDNOW.purchases(&history(2.0, 30.43, 38.86), 39.0);
        assert!((found - 1.226).abs() < 5e-4, "{found}");
    }

    /// What is expected of a customer of whom nothing is known yet is the mean over all customers (equation 9).
    #[test]
    fn does_a_new_customer_buy_what_the_unconditional_mean_says() {
        let BgNbd { r, alpha, a, b } = CDNOW;
        let nobody = History { repeats: 0, last_weeks: 0.0, age_weeks: 1e-12 };
        for weeks in [1.0, 13.0, 52.0] {
            let z = weeks / (alpha + weeks);
            let mean = (a + b - 1.0) / (a - 1.0)
                * (1.0 - (alpha / (alpha + weeks)).powf(r) * hypergeometric(r, b, a + b - 1.0, z));
            let found = CDNOW.purchases(&nobody, weeks);
            assert!((found / mean - 1.0).abs() < 1e-9, "{weeks}: {found}, not {mean}");
        }
    }

    #[test]
    fn is_there_no_hole_where_the_formula_has_one() {
        let seen = history(3.0, 20.0, 30.0);
        let at = |a: f64| BgNbd { a, ..CDNOW }.purchases(&seen, 26.0);
        let (below, hole, above) = (at(0.999), at(1.0), at(1.001));
        assert!(below > hole && hole > above, "{below} {hole} {above}");
        assert!((hole - (below + above) / 2.0).abs() < 1e-6);
        let single = History { repeats: 0, last_weeks: 0.0, age_weeks: 30.0 };
        let low = BgNbd { a: 0.4, b: 0.6, ..CDNOW }.purchases(&single, 26.0);
        let near = BgNbd { a: 0.4, b: 0.61, ..CDNOW }.purchases(&single, 26.0);
        assert!((low - near).abs() < 0.01, "{low} {near}");
    }

    #[test]
    fn does_the_chance_to_have_left_grow_with_silence() {
        let chances: Vec<f64> =
            [10.0, 20.0, 40.0].iter().map(|age| CDNOW.p_alive(&history(5.0, 10.0, *age))).collect();
        assert!(chances.is_sorted_by(|a, b| a > b) && chances[0] < 1.0 && chances[2] > 0.0, "{chances:?}");
        assert_eq!(CDNOW.p_alive(&history(0.0, 0.0, 10.0)), 1.0);
        assert_eq!(CDNOW.churn_risk(&history(0.0, 0.0, 10.0)), 0.0);
    }
}
