//! The Pareto/NBD model: purchases at a rate of the customer's own until they leave, unseen, at any time.
//!
//! Schmittlein, Morrison and Colombo (1987), Counting Your Customers, Management Science 33(1); the forms used are those of
//! Fader and Hardie (2005), "A Note on Deriving the Pareto/NBD Model and Related Expressions": likelihood in equations 18
//! to 20, P(alive) and purchases to come in sections 4 and 6. Their 2F1 is taken through Euler's transformation, which
//! leaves one parameter 1, all terms positive and no pole where alpha and beta lie far apart.
//!
//! Purchase rates are gamma(r, alpha), rates of leaving gamma(s, beta) over customers; alpha and beta are in weeks.

use serde::Serialize;

use super::special::{hypergeometric_one, ln_gamma};
use super::{Fit, History, Sample};

/// The parameters: all above 0.
#[derive(Clone, Copy, Debug, PartialEq, Serialize)]
pub struct ParetoNbd {
    /// Shape of the purchase rates.
    pub r: f64,
    /// Their scale, in weeks.
    pub alpha: f64,
    /// Shape of the rates of leaving.
    pub s: f64,
    /// Their scale, in weeks.
    pub beta: f64,
}

impl ParetoNbd {
    /// The parameters under which the sample is most likely.
    pub fn fit(sample: &Sample) -> Fit<ParetoNbd> {
        let scale = sample.mean_age_weeks;
        let model = |at: &[f64; 4]| {
            let [r, alpha, s, beta] = at.map(f64::exp);
            ParetoNbd { r, alpha: alpha * scale, s, beta: beta * scale }
        };
        let starts = [[0.0, 0.0, 0.0, 0.0], [-0.6, -1.2, -0.5, -1.0], [1.0, 1.0, -1.0, 2.0]];
        let optimum = sample.maximise(|at, of| model(at).log_likelihood(of), &starts);
        Fit { model: model(&optimum.at), log_likelihood: optimum.value, outcome: optimum.outcome }
    }

    /// The logarithm of the likelihood of a sample.
    pub fn log_likelihood(&self, sample: &Sample) -> f64 {
        let ParetoNbd { r, alpha, s, beta } = *self;
        let of_all = r * alpha.ln() + s * beta.ln() - ln_gamma(r);
        sample.total(
            |x| of_all + ln_gamma(r + x),
            |history, all| {
                let (stayed, left) = self.ways(history);
                all + stayed + left.ln_1p()
            },
        )
    }

    /// The two ways to the history, without what they share: the logarithm of that of a customer who stayed, and how many
    /// times as likely that of one who left is.
    fn ways(&self, history: &History) -> (f64, f64) {
        let ParetoNbd { r, alpha, s, beta } = *self;
        let (rate, end) = (r + f64::from(history.repeats), history.age_weeks);
        let stayed = -rate * (alpha + end).ln() - s * (beta + end).ln();
        // (s / (r + s + x)) (G(t_x) - G(T)): one of the two is above 1 where the history ends in a long silence.
        let ratio = |at: f64| {
            let (series, ln) = if alpha >= beta {
                let series = hypergeometric_one(rate, rate + s + 1.0, (alpha - beta) / (alpha + at));
                (series, -rate * (alpha + at).ln() - s * (beta + at).ln())
            } else {
                let series = hypergeometric_one(s + 1.0, rate + s + 1.0, (beta - alpha) / (beta + at));
                (series, (1.0 - rate) * (alpha + at).ln() - (s + 1.0) * (beta + at).ln())
            };
            series * (ln - stayed).exp()
        };
        let left = s / (rate + s) * (ratio(history.last_weeks) - ratio(end));
        (stayed, left.max(0.0))
    }

    /// The chance that the customer still comes.
    pub fn p_alive(&self, history: &History) -> f64 {
        1.0 / (1.0 + self.ways(history).1)
    }

    /// The chance that the customer comes no more.
    pub fn churn_risk(&self, history: &History) -> f64 {
        1.0 - self.p_alive(history)
    }

    /// Repeat purchases expected in the next `weeks`.
    pub fn purchases(&self, history: &History, weeks: f64) -> f64 {
        let ParetoNbd { r, alpha, s, beta } = *self;
        let end = history.age_weeks;
        let growth = (weeks / (beta + end)).ln_1p();
        // (1 - ((beta + T) / (beta + T + t))^(s - 1)) / (s - 1), which is the logarithm at s = 1.
        let power = (1.0 - s) * growth;
        let stretch = if power == 0.0 { growth } else { growth * power.exp_m1() / power };
        (r + f64::from(history.repeats)) * (beta + end) / (alpha + end) * stretch * self.p_alive(history)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const CDNOW: ParetoNbd = ParetoNbd { r: 0.553, alpha: 10.578, s: 0.606, beta: 11.669 };

    fn history(x: f64, last: f64, age: f64) -> History {
        History::new(x, last, age).expect("possible")
    }

    /// The history of one who left, by adding up every moment they may have left at: no 2F1 at all.
    fn left_by_moments(model: &ParetoNbd, seen: &History) -> f64 {
        let ParetoNbd { r, alpha, s, beta } = *model;
        let rate = r + f64::from(seen.repeats);
        let density = |at: f64| (-rate * (alpha + at).ln() - (s + 1.0) * (beta + at).ln()).exp();
        let (parts, span) = (20_000, seen.age_weeks - seen.last_weeks);
        let step = span / f64::from(parts);
        let sum: f64 = (0..parts)
            .map(|part| {
                let from = seen.last_weeks + f64::from(part) * step;
                (density(from) + 4.0 * density(from + step / 2.0) + density(from + step)) * step / 6.0
            })
            .sum();
        let stayed = (-rate * (alpha + seen.age_weeks).ln() - s * (beta + seen.age_weeks).ln()).exp();
        s * sum / stayed
    }

    #[test]
    fn is_the_chance_to_have_left_the_sum_over_all_moments() {
        let models = [
            CDNOW,
            ParetoNbd { r: 1.4, alpha: 30.0, s: 0.3, beta: 0.5 },
            ParetoNbd { r: 0.2, alpha: 0.5, s: 2.0, beta: 80.0 },
            ParetoNbd { r: 0.7, alpha: 9.0, s: 1.0, beta: 9.0 },
        ];
        for model in models {
            for (x, last, age) in
                [(0.0, 0.0, 38.86), (2.0, 30.43, 38.86), (26.0, 12.0, 39.0), (3.0, 38.86, 38.86)]
            {
                let seen = history(x, last, age);
                let (found, expected) = (model.ways(&seen).1, left_by_moments(&model, &seen));
                assert!(
                    (found - expected).abs() <= 1e-8 * expected.max(1.0),
                    "{model:?} {seen:?}: {found} {expected}"
                );
            }
        }
    }

    #[test]
    fn is_there_no_hole_at_a_shape_of_one() {
        let seen = history(3.0, 20.0, 30.0);
        let at = |s: f64| ParetoNbd { s, ..CDNOW }.purchases(&seen, 26.0);
        assert!((at(1.0) - (at(1.0 - 1e-6) + at(1.0 + 1e-6)) / 2.0).abs() < 1e-9);
        // Far from it by the formula as it is written.
        let growth: f64 = (11.669 + 30.0) / (11.669 + 56.0);
        let rest = (1.0 - growth.powf(0.5)) / 0.5 * ParetoNbd { s: 1.5, ..CDNOW }.p_alive(&seen);
        let expected = 3.553 * (11.669 + 30.0) / (10.578 + 30.0) * rest;
        assert!((at(1.5) - expected).abs() < 1e-9, "{}, not {expected}", at(1.5));
    }

    #[test]
    fn does_the_chance_to_have_left_grow_with_silence() {
        let chances: Vec<f64> =
            [10.0, 20.0, 40.0].iter().map(|age| CDNOW.p_alive(&history(5.0, 10.0, *age))).collect();
        assert!(chances.is_sorted_by(|a, b| a > b) && chances[0] == 1.0 && chances[2] > 0.0, "{chances:?}");
        assert!(CDNOW.churn_risk(&history(0.0, 0.0, 10.0)) > 0.0, "unlike in BG/NBD, one may leave at once");
    }
}
