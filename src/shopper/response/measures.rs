//! How well scores tell those who respond from those who do not.
//!
//! Equal scores are one place in the order: no measure depends on how rows with equal scores stand in the file.

use super::logistic::log_loss;

/// Of one model on one set of rows.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Measures {
    /// The chance that one who responds scores above one who does not (ties count half): the area under the ROC curve.
    pub auc: f64,
    /// Average precision `Σ (Rₙ − Rₙ₋₁) Pₙ` over the distinct scores (Manning, Raghavan and Schütze, "Introduction to
    /// Information Retrieval", 8.4; the sum that scikit-learn calls `average_precision_score`), without interpolation.
    pub average_precision: f64,
    /// How many times the average rate responds among the tenth with the highest scores.
    pub lift_at_10: f64,
    /// The mean of `-ln p` of what happened.
    pub log_loss: f64,
}

/// Measures log-odds against what happened. `None` where all or none responded, or there is no row.
pub fn measure(margins: &[f64], happened: &[bool]) -> Option<Measures> {
    let (rows, positives) = (happened.len(), happened.iter().filter(|happened| **happened).count());
    if positives == 0 || positives == rows {
        return None;
    }
    let mut order: Vec<usize> = (0..rows).collect();
    order.sort_by(|a, b| margins[*b].total_cmp(&margins[*a]));
    let tenth = (rows as f64 / 10.0).max(1.0);
    let (mut above, mut hits, mut concordant, mut precision, mut top) = (0.0, 0.0, 0.0, 0.0, 0.0);
    for group in order.chunk_by(|a, b| margins[*a] == margins[*b]) {
        let found = group.iter().filter(|row| happened[**row]).count() as f64;
        let missed = group.len() as f64 - found;
        let share = ((tenth - above) / group.len() as f64).clamp(0.0, 1.0);
        concordant += missed * (hits + found / 2.0);
        top += share * found;
        above += group.len() as f64;
        hits += found;
        precision += found * hits / above;
    }
    let (rows, positives) = (rows as f64, positives as f64);
    let losses = margins.iter().zip(happened).map(|(margin, happened)| log_loss(*margin, *happened));
    Some(Measures {
        auc: concordant / (positives * (rows - positives)),
        average_precision: precision / positives,
        lift_at_10: top / tenth / (positives / rows),
        log_loss: losses.sum::<f64>() / rows,
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn are_the_measures_those_worked_out_by_hand() {
        let found = measure(&[0.9, 0.8, 0.7, 0.6], &[true, false, true, false]).expect("both happened");
        assert!((found.auc - 0.75).abs() < 1e-12);
        assert!((found.average_precision - (1.0 + 2.0 / 3.0) / 2.0).abs() < 1e-12);
        assert!((found.lift_at_10 - 2.0).abs() < 1e-12);
        // All scores equal: nothing is told apart, whatever the order of the rows.
        let equal = measure(&[0.0; 4], &[true, false, false, false]).expect("both happened");
        assert_eq!((equal.auc, equal.average_precision, equal.lift_at_10), (0.5, 0.25, 1.0));
        assert!((equal.log_loss - 2f64.ln()).abs() < 1e-12);
        assert_eq!(measure(&[0.1, 0.2], &[true, true]), None);
    }
}
