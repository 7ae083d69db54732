//! The Gamma-Gamma model: what a customer spends at a time, of which few purchases tell little.
//!
//! Fader and Hardie (2013), "The Gamma-Gamma Model of Monetary Value": the likelihood is equation 1a, the expected average
//! equation 5. Purchases of one customer are gamma(p, nu) around their own average, and nu is gamma(q, gamma) over
//! customers; gamma is in the unit of money. The average must not depend on how often one buys.

use serde::Serialize;

use super::Fit;
use super::optimum;
use super::special::ln_gamma;
use crate::shopper::rfm::Sum;

/// What one customer spent.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Spend {
    /// Repeat purchases: at least 1.
    pub repeats: u32,
    /// Their average, above 0.
    pub average: f64,
}

/// The parameters: all above 0.
#[derive(Clone, Copy, Debug, PartialEq, Serialize)]
pub struct GammaGamma {
    /// Shape within a customer.
    pub p: f64,
    /// Shape between customers.
    pub q: f64,
    /// Scale between customers, in the unit of money.
    pub gamma: f64,
}

impl GammaGamma {
    /// The parameters under which these customers' averages are most likely; nothing if there are none, or all are alike.
    pub fn fit(customers: &[Spend]) -> Option<Fit<GammaGamma>> {
        let first = customers.first()?;
        if customers.iter().all(|customer| customer.average == first.average) {
            return None;
        }
        let scale = customers.iter().map(|customer| customer.average).sum::<f64>() / customers.len() as f64;
        let model = |at: &[f64; 3]| {
            let [p, q, gamma] = at.map(f64::exp);
            GammaGamma { p, q, gamma: gamma * scale }
        };
        let starts = [[0.0, 1.0, 0.0], [2.0, 1.0, -1.0], [-0.5, 2.0, 1.5]];
        let optimum = optimum::maximise(|at| model(at).log_likelihood(customers), &starts);
        let model = model(&optimum.at);
        Some(Fit { model, log_likelihood: optimum.value, outcome: optimum.outcome })
    }

    /// The logarithm of the likelihood of these customers' averages.
    pub fn log_likelihood(&self, customers: &[Spend]) -> f64 {
        let GammaGamma { p, q, gamma } = *self;
        let of_all = q * gamma.ln() - ln_gamma(q);
        let mut sum = Sum::default();
        for Spend { repeats, average } in customers {
            let x = f64::from(*repeats);
            let shape = p * x;
            sum.add(
                of_all + ln_gamma(shape + q) - ln_gamma(shape)
                    + (shape - 1.0) * average.ln()
                    + shape * x.ln()
                    - (shape + q) * (gamma + x * average).ln(),
            );
        }
        sum.value()
    }

    /// What the customer spends at a time, on average, given what is known of them; that of all customers if nothing is.
    /// Not finite where nothing is known and the model has no mean (q at most 1).
    pub fn average(&self, known: Option<Spend>) -> f64 {
        let GammaGamma { p, q, gamma } = *self;
        match known {
            None if q <= 1.0 => f64::INFINITY,
            None => p * gamma / (q - 1.0),
            Some(Spend { repeats, average }) => {
                let x = f64::from(repeats);
                p * (gamma + x * average) / (p * x + q - 1.0)
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Of the note: customer 1 with two purchases of 22.35 on average is expected to spend 24.66, one without any 35.19.
    #[test]
    fn are_averages_the_published_ones() {
        let cdnow = GammaGamma { p: 6.25, q: 3.74, gamma: 15.44 };
        let found = cdnow.average(Some(Spend { repeats: 2, average: 22.35 }));
        assert!((found - 24.66).abs() < 0.02, "{found}");
        let found = cdnow.average(None);
        assert!((found - 35.2).abs() < 0.1, "{found}");
        assert_eq!(GammaGamma { q: 0.9, ..cdnow }.average(None), f64::INFINITY);
    }

    #[test]
    fn do_many_purchases_outweigh_the_shop() {
        let model = GammaGamma { p: 6.25, q: 3.74, gamma: 15.44 };
        let off = |repeats| (model.average(Some(Spend { repeats, average: 100.0 })) - 100.0).abs();
        assert!(off(1) > off(5) && off(5) > off(50) && off(50) < 1.0);
    }

    #[test]
    fn is_there_nothing_to_fit_where_all_are_alike() {
        assert_eq!(GammaGamma::fit(&[]), None);
        assert_eq!(GammaGamma::fit(&[Spend { repeats: 2, average: 5.0 }; 20]), None);
    }
}
