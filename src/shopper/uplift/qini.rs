//! The Qini curve and coefficient: how much more a model gains by choosing whom to treat than chance would.
//!
//! Rows in order of score, the highest first; after the first `n` of them `Q(n) = Yₜ(n) − Y꜀(n) Nₜ(n) / N꜀(n)`, the outcome of
//! the treated beyond what as many untreated would have shown (Radcliffe, "Using Control Groups to Target on Predicted
//! Lift", 2007). Points only where the score changes. The coefficient is `(A − A₀) / (A* − A₀)`: the area under the curve, under
//! the straight line to its end (chance), and under the curve of the order by `y` of the treated, `−y` of the untreated
//! (the best there is); as `qini_auc_score` of scikit-uplift 0.5 computes it. 0 is chance, 1 the best, below 0 worse than
//! chance.

/// The curve of one order of the rows.
#[derive(Clone, Debug, PartialEq)]
pub struct Curve {
    /// Rows chosen, and the gain among them; begins at (0, 0), ends at all rows.
    pub points: Vec<(usize, f64)>,
}

impl Curve {
    /// Of scores, whether each row was treated, and what came of it.
    pub fn of(scores: &[f64], treated: &[bool], outcomes: &[f64]) -> Curve {
        let mut order: Vec<usize> = (0..scores.len()).collect();
        order.sort_by(|a, b| scores[*b].total_cmp(&scores[*a]));
        let mut points = vec![(0, 0.0)];
        let (mut with, mut without, mut gained, mut lost) = (0usize, 0usize, 0.0, 0.0);
        for group in order.chunk_by(|a, b| scores[*a] == scores[*b]) {
            for row in group {
                if treated[*row] {
                    with += 1;
                    gained += outcomes[*row];
                } else {
                    without += 1;
                    lost += outcomes[*row];
                }
            }
            let beyond = if without == 0 { 0.0 } else { lost * with as f64 / without as f64 };
            points.push((with + without, gained - beyond));
        }
        Curve { points }
    }

    /// By trapezes.
    fn area(&self) -> f64 {
        self.points
            .windows(2)
            .map(|pair| (pair[1].0 - pair[0].0) as f64 * (pair[0].1 + pair[1].1) / 2.0)
            .sum()
    }

    fn chance(&self) -> f64 {
        self.points.last().map_or(0.0, |(rows, gain)| *rows as f64 * gain / 2.0)
    }

    /// The gain after a share of the rows, 0 to 1, by the straight line between points.
    pub fn at(&self, share: f64) -> f64 {
        let rows = share * self.points.last().map_or(0.0, |point| point.0 as f64);
        let after = self.points.partition_point(|point| (point.0 as f64) < rows).min(self.points.len() - 1);
        let ((from, low), (to, high)) = (self.points[after.saturating_sub(1)], self.points[after]);
        if to == from { high } else { low + (high - low) * (rows - from as f64) / (to - from) as f64 }
    }
}

/// The coefficient of scores; `None` where no order is better than chance, as when all outcomes are equal.
pub fn coefficient(scores: &[f64], treated: &[bool], outcomes: &[f64]) -> Option<f64> {
    let curve = Curve::of(scores, treated, outcomes);
    let signed = |(outcome, treated): (&f64, &bool)| if *treated { *outcome } else { -outcome };
    let ideal: Vec<f64> = outcomes.iter().zip(treated).map(signed).collect();
    let best = Curve::of(&ideal, treated, outcomes);
    let room = best.area() - curve.chance();
    (room > 1e-9).then(|| (curve.area() - curve.chance()) / room)
}

#[cfg(test)]
mod tests {
    use super::*;

    const TREATED: [bool; 4] = [true, false, true, false];

    #[test]
    fn are_curve_and_coefficient_those_worked_out_by_hand() {
        // After the treated buyer 1; with the untreated non-buyer still 1; then 1 of 2 treated; then both untreated.
        let (scores, outcomes) = ([4.0, 3.0, 2.0, 1.0], [1.0, 0.0, 0.0, 1.0]);
        let curve = Curve::of(&scores, &TREATED, &outcomes);
        assert_eq!(curve.points, [(0, 0.0), (1, 1.0), (2, 1.0), (3, 1.0), (4, 0.0)]);
        assert_eq!((curve.at(0.0), curve.at(0.125), curve.at(1.0)), (0.0, 0.5, 0.0));
        // The best order has the two zeros as one place: (1, 1), (3, 1), (4, 0): the same area.
        assert_eq!(coefficient(&scores, &TREATED, &outcomes), Some(1.0));
        let worst = coefficient(&[1.0, 2.0, 3.0, 4.0], &TREATED, &outcomes).expect("outcomes differ");
        assert!(worst < 0.0, "{worst}");
        assert_eq!(coefficient(&[0.0; 4], &TREATED, &outcomes), Some(0.0));
        assert_eq!(coefficient(&scores, &TREATED, &[0.0; 4]), None);
        // Two treated, one untreated who bought: as many untreated would have bought twice.
        let uneven = Curve::of(&[3.0, 2.0, 1.0], &[true, true, false], &[1.0, 0.0, 1.0]);
        assert_eq!(uneven.points, [(0, 0.0), (1, 1.0), (2, 1.0), (3, -1.0)]);
    }
}
