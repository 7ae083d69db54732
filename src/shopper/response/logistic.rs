//! Ridge regression, logistic and linear, on standardised inputs.
//!
//! Logistic: Newton's method with halved steps on the penalised log-likelihood `Σ ln p(yᵢ) − ridge/2 Σ wⱼ²`, the
//! intercept free (Hastie, Tibshirani and Friedman, "The Elements of Statistical Learning", 4.4.1). Convex with one
//! optimum, so that it ends at the same weights wherever it starts. Linear: the normal equations with the same penalty.

use crate::limits;

/// Inputs of rows that a model is fitted on: `width` numbers a row, one row after the other.
#[derive(Clone, Copy, Debug)]
pub struct Inputs<'a> {
    /// Row after row.
    pub values: &'a [f64],
    /// Numbers a row.
    pub width: usize,
}

impl<'a> Inputs<'a> {
    fn row(&self, row: usize) -> &'a [f64] {
        &self.values[row * self.width..][..self.width]
    }
}

/// Weights, one an input, the intercept last.
pub type Weights = Vec<f64>;

/// The log-odds, or the value, of a row.
pub fn margin(weights: &[f64], row: &[f64]) -> f64 {
    let (intercept, weights) = weights.split_last().expect("an intercept is always there");
    intercept + weights.iter().zip(row).map(|(weight, input)| weight * input).sum::<f64>()
}

/// The margins of all rows.
pub fn margins(weights: &[f64], inputs: Inputs<'_>, rows: usize) -> Vec<f64> {
    (0..rows).map(|row| margin(weights, inputs.row(row))).collect()
}

/// The probability of a log-odds, never exactly 0 or 1.
pub fn probability(margin: f64) -> f64 {
    (1.0 + (-margin.clamp(-30.0, 30.0)).exp()).recip()
}

/// `-ln p` of what happened, from log-odds, without overflow.
pub fn log_loss(margin: f64, happened: bool) -> f64 {
    let against = if happened { -margin } else { margin };
    against.max(0.0) + (-against.abs()).exp().ln_1p()
}

/// Fits log-odds to 0/1 outcomes, beginning at `start` (the optimum is the same, a near start is faster).
pub fn fit_logistic(inputs: Inputs<'_>, outcomes: &[f64], ridge: f64, start: &[f64]) -> Weights {
    let mut weights = start.to_vec();
    let mut best = objective(inputs, outcomes, ridge, &weights);
    for _ in 0..limits::RESPONSE_NEWTON_STEPS_MAX {
        let step = newton_step(inputs, outcomes, ridge, &weights);
        let mut length = 1.0;
        let gained = loop {
            let tried: Weights =
                weights.iter().zip(&step).map(|(weight, step)| weight + length * step).collect();
            let value = objective(inputs, outcomes, ridge, &tried);
            if value <= best {
                let gained = best - value;
                (weights, best) = (tried, value);
                break gained;
            }
            length /= 2.0;
            if length < 1e-6 {
                break 0.0;
            }
        };
        if gained <= 1e-9 * (1.0 + best.abs()) {
            break;
        }
    }
    weights
}

fn objective(inputs: Inputs<'_>, outcomes: &[f64], ridge: f64, weights: &[f64]) -> f64 {
    let loss = |(row, outcome): (usize, &f64)| log_loss(margin(weights, inputs.row(row)), *outcome > 0.5);
    let penalty: f64 = weights[..inputs.width].iter().map(|weight| weight * weight).sum();
    outcomes.iter().enumerate().map(loss).sum::<f64>() + ridge / 2.0 * penalty
}

fn newton_step(inputs: Inputs<'_>, outcomes: &[f64], ridge: f64, weights: &[f64]) -> Weights {
    let mut equations = Equations::new(inputs.width, ridge);
    for (row, outcome) in outcomes.iter().enumerate() {
        let at = inputs.row(row);
        let p = probability(margin(weights, at));
        equations.add(at, p * (1.0 - p), outcome - p);
    }
    for (right, weight) in equations.right.iter_mut().zip(&weights[..inputs.width]) {
        *right -= ridge * weight;
    }
    equations.solve()
}

/// Fits values: the weights that minimise `Σ (yᵢ − ŷᵢ)² + ridge Σ wⱼ²`.
pub fn fit_linear(inputs: Inputs<'_>, outcomes: &[f64], ridge: f64) -> Weights {
    let mut equations = Equations::new(inputs.width, ridge);
    for (row, outcome) in outcomes.iter().enumerate() {
        equations.add(inputs.row(row), 1.0, *outcome);
    }
    equations.solve()
}

/// `xᵀ (XᵀX)⁻¹ x` of a row `x`, its intercept last: how much of the spread a least-squares fit carries there.
pub fn leverage(inputs: Inputs<'_>, rows: usize, at: &[f64]) -> f64 {
    let mut equations = Equations::new(inputs.width, 0.0);
    (0..rows).for_each(|row| equations.add(inputs.row(row), 1.0, 0.0));
    equations.right.copy_from_slice(at);
    equations.solve().iter().zip(at).map(|(solved, at)| solved * at).sum()
}

/// A symmetric system of equations, its lower triangle filled, the intercept last.
struct Equations {
    side: usize,
    left: Vec<f64>,
    right: Vec<f64>,
}

impl Equations {
    fn new(width: usize, ridge: f64) -> Equations {
        let side = width + 1;
        let mut left = vec![0.0; side * side];
        for at in 0..width {
            left[at * side + at] = ridge;
        }
        Equations { side, left, right: vec![0.0; side] }
    }

    fn add(&mut self, row: &[f64], weight: f64, pull: f64) {
        let width = row.len();
        for (at, input) in row.iter().enumerate() {
            let weighted = weight * input;
            for (cell, other) in self.left[at * self.side..][..=at].iter_mut().zip(row) {
                *cell += weighted * other;
            }
            self.left[width * self.side + at] += weighted;
            self.right[at] += pull * input;
        }
        self.left[width * self.side + width] += weight;
        self.right[width] += pull;
    }

    /// By Cholesky's decomposition; a direction that nothing determines stays 0.
    fn solve(self) -> Weights {
        let Equations { side, mut left, mut right } = self;
        for j in 0..side {
            let (above, below) = left.split_at_mut((j + 1) * side);
            let row = &mut above[j * side..];
            let squares: f64 = row[..j].iter().map(|value| value * value).sum();
            let pivot = row[j] - squares;
            row[j] = if pivot > 1e-10 { pivot.sqrt() } else { f64::INFINITY };
            for other in below.chunks_exact_mut(side) {
                let product: f64 = other[..j].iter().zip(&row[..j]).map(|(a, b)| a * b).sum();
                other[j] = (other[j] - product) / row[j];
            }
        }
        for j in 0..side {
            let known: f64 = (0..j).map(|k| left[j * side + k] * right[k]).sum();
            right[j] = (right[j] - known) / left[j * side + j];
        }
        for j in (0..side).rev() {
            let known: f64 = (j + 1..side).map(|k| left[k * side + j] * right[k]).sum();
            right[j] = (right[j] - known) / left[j * side + j];
        }
        right
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn are_the_weights_those_of_the_textbook() {
        // ln odds(1) = 0 and ln odds(0) = ln(1/3): intercept -ln 3, slope ln 3.
        let (values, outcomes) = ([0.0, 0.0, 0.0, 0.0, 1.0, 1.0], [1.0, 0.0, 0.0, 0.0, 1.0, 0.0]);
        let weights = fit_logistic(Inputs { values: &values, width: 1 }, &outcomes, 0.0, &[0.0, 0.0]);
        assert!(
            (weights[0] - 3f64.ln()).abs() < 1e-6 && (weights[1] + 3f64.ln()).abs() < 1e-6,
            "{weights:?}"
        );
        let line = fit_linear(Inputs { values: &[0.0, 1.0, 2.0], width: 1 }, &[1.0, 3.0, 5.0], 0.0);
        assert!((line[0] - 2.0).abs() < 1e-9 && (line[1] - 1.0).abs() < 1e-9, "{line:?}");
    }

    #[test]
    fn does_a_column_twice_or_a_perfect_one_end_at_finite_weights() {
        let values = [-1.0, -1.0, -1.0, -1.0, 1.0, 1.0, 1.0, 1.0];
        let twice = Inputs { values: &values, width: 2 };
        let weights = fit_logistic(twice, &[0.0, 0.0, 1.0, 1.0], 1.0, &[0.0; 3]);
        assert!(weights.iter().all(|weight| weight.is_finite()), "{weights:?}");
        assert!((weights[0] - weights[1]).abs() < 1e-6 && weights[0] > 0.3, "{weights:?}");
    }
}
