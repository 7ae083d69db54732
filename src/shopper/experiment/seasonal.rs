//! Before and after, where nobody was kept back: what the days would have been, had they gone on as before.
//!
//! The days before are fitted by least squares with a trend and an effect of each weekday; the sum of the days after is
//! compared with what the fit expects. Its interval counts that days resemble their neighbours: residuals follow
//! `eₜ = ρ eₜ₋₁ + …` with `ρ` from the residuals, set up by its bias of about `(k + 4ρ) / n` with `k` parameters (after Kendall
//! 1954), so that the sum of `m` days has the variance `σ² (m + 2 Σ (m − j) ρʲ)` and the fit's own error is `(1 + ρ) / (1 − ρ)` times as
//! large (Box, Jenkins and Reinsel, "Time Series Analysis", 2.1). Quantile by Student's t.
//!
//! It says that something changed, not that the campaign did it: a holdout says that.

use crate::limits;
use crate::shopper::response::logistic::{self, Inputs};
use crate::shopper::uplift::student_97_5;

/// Trend, six weekdays beside the seventh, and the intercept.
const INPUTS: usize = 7;
const PARAMETERS: f64 = 8.0;

/// One day: its number since 1970, and what was sold.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Daily {
    /// Days since 1970; days without a figure are left out.
    pub day: i64,
    /// The figure.
    pub value: f64,
}

/// What the days after were, beside what they would have been.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Change {
    /// Expected sum.
    pub expected: f64,
    /// Sum there was.
    pub actual: f64,
    /// Half width of the 95 % interval of `actual - expected`.
    pub half_width: f64,
}

/// Compares days after with days before. `None` with fewer than `SEASONAL_DAYS_MIN` days before, without days after, or where a
/// value is not finite.
pub fn compare(before: &[Daily], after: &[Daily]) -> Option<Change> {
    if before.len() < limits::SEASONAL_DAYS_MIN || after.is_empty() {
        return None;
    }
    if before.iter().chain(after).any(|daily| !daily.value.is_finite()) {
        return None;
    }
    let first = before.iter().map(|daily| daily.day).min()?;
    let span = before.len() as f64;
    let row = |daily: &Daily| -> [f64; INPUTS] {
        let mut row = [0.0; INPUTS];
        row[0] = (daily.day - first) as f64 / span;
        let weekday = daily.day.rem_euclid(7) as usize;
        if weekday > 0 {
            row[weekday] = 1.0;
        }
        row
    };
    let values: Vec<f64> = before.iter().flat_map(&row).collect();
    let sold: Vec<f64> = before.iter().map(|daily| daily.value).collect();
    let inputs = Inputs { values: &values, width: INPUTS };
    let weights = logistic::fit_linear(inputs, &sold, 0.0);
    let fitted = logistic::margins(&weights, inputs, before.len());
    let residuals: Vec<f64> = sold.iter().zip(&fitted).map(|(sold, fitted)| sold - fitted).collect();
    let count = before.len() as f64;
    let freedom = count - PARAMETERS;
    let squares = residuals.iter().map(|residual| residual * residual).sum::<f64>();
    let pairs =
        before.windows(2).zip(residuals.windows(2)).filter(|(days, _)| days[1].day == days[0].day + 1);
    let along: f64 = pairs.map(|(_, pair)| pair[0] * pair[1]).sum();
    let seen = if squares > 0.0 { along / squares } else { 0.0 };
    let rho = (seen + (PARAMETERS + 4.0 * seen) / count).clamp(0.0, limits::SEASONAL_RHO_MAX);
    let days = after.len() as f64;
    let mut sum_row = [0.0; INPUTS + 1];
    let mut expected = 0.0;
    for daily in after {
        let row = row(daily);
        expected += logistic::margin(&weights, &row);
        sum_row.iter_mut().zip(row.iter().chain(&[1.0])).for_each(|(sum, input)| *sum += input);
    }
    let together: f64 = (1..after.len()).map(|lag| (days - lag as f64) * rho.powi(lag as i32)).sum();
    let leverage = logistic::leverage(inputs, before.len(), &sum_row) * (1.0 + rho) / (1.0 - rho);
    // Days that resemble each other say less about their spread.
    let variance = squares / freedom * (days + 2.0 * together + leverage);
    let actual = after.iter().map(|daily| daily.value).sum();
    Some(Change { expected, actual, half_width: student_97_5(freedom) * variance.sqrt() })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::shopper::seeded::Seeded;

    /// Days with a trend, weekdays and a resemblance to the day before.
    fn series(days: i64, rho: f64, seeded: &mut Seeded) -> Vec<Daily> {
        let mut noise = 0.0;
        let day = |day: i64| {
            noise = rho * noise + (1.0 - rho * rho).sqrt() * seeded.normal();
            let weekday = [0.0, -10.0, -12.0, -5.0, 5.0, 40.0, 60.0][day.rem_euclid(7) as usize];
            Daily { day, value: 200.0 + 0.3 * day as f64 + weekday + 10.0 * noise }
        };
        (0..days).map(day).collect()
    }

    #[test]
    fn is_a_change_told_as_large_as_it_is() {
        let mut days = series(84, 0.2, &mut Seeded::new(3));
        days[70..].iter_mut().for_each(|daily| daily.value += 30.0);
        let Change { expected, actual, half_width } = compare(&days[..70], &days[70..]).expect("enough days");
        assert!((actual - expected - 420.0).abs() < half_width, "{actual} {expected} {half_width}");
        assert!(half_width < 200.0, "{half_width}");
        assert_eq!(compare(&days[..20], &days[70..]), None);
        assert_eq!(compare(&days[..70], &[]), None);
    }

    #[test]
    fn does_the_interval_hold_as_often_as_it_says() {
        for rho in [0.0, 0.3, 0.5] {
            let mut seeded = Seeded::new(17);
            let holds = |_: &usize| {
                let days = series(70, rho, &mut seeded);
                let change = compare(&days[..56], &days[56..]).expect("enough days");
                (change.actual - change.expected).abs() <= change.half_width
            };
            let held = (0..600).filter(holds).count();
            assert!((552..=597).contains(&held), "{rho}: {held} of 600");
        }
    }
}
