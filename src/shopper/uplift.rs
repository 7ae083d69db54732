//! Whom an offer moves: learners of the difference it makes, chosen on rows not learned from.
//!
//! Treatment must have been given by chance. Learners, each answering how much more a row's outcome is with treatment:
//! two models (one an arm; Radcliffe and Surry 1999), linear and of trees; one model with the treatment times each input,
//! the products held back (Lo, "The True Lift Model", 2002); the transformed outcome `(y − m(x)) (t − e) / (e (1 − e))`,
//! whose mean is the effect (Athey and Imbens 2016; `m` by regression lowers its spread), linear and of trees; and the
//! average of all after each was brought to one spread. The average is used unless one learner's Qini on folds of the rows
//! to learn from beats it by more than one standard error: Qini on few rows is mostly chance.
//!
//! Invariant: the same table and seed give the same answers.

pub mod qini;

use super::response::columns::{Columns, Measure, Ruler};
use super::response::logistic::{self, Inputs, Weights};
use super::seeded::Seeded;
use super::trees::{Binned, Growth, Loss, Trees};
use crate::limits;

/// What was tried on whom.
#[derive(Clone, Copy, Debug)]
pub struct Tried<'a> {
    /// What is known of each row.
    pub columns: &'a Columns,
    /// Whether it was treated.
    pub treated: &'a [bool],
    /// What came of it: 0/1, or an amount.
    pub outcomes: &'a [f64],
}

/// A way to learn the difference.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Learner {
    /// All others together.
    Average,
    /// A regression for each arm.
    TwoModels,
    /// Trees for each arm.
    TwoForests,
    /// One regression with products.
    Products,
    /// A regression of the transformed outcome.
    Transformed,
    /// Trees of the transformed outcome.
    TransformedForest,
}

impl Learner {
    /// All of them.
    pub const ALL: [Learner; 6] = [
        Learner::Average,
        Learner::TwoModels,
        Learner::TwoForests,
        Learner::Products,
        Learner::Transformed,
        Learner::TransformedForest,
    ];

    /// As reports call it.
    pub fn name(self) -> &'static str {
        match self {
            Learner::Average => "average",
            Learner::TwoModels => "two_models",
            Learner::TwoForests => "two_forests",
            Learner::Products => "products",
            Learner::Transformed => "transformed",
            Learner::TransformedForest => "transformed_forest",
        }
    }
}

/// What came of one split.
#[derive(Clone, Debug, PartialEq)]
pub struct Judged {
    /// The learner chosen on the rows to learn from.
    pub chosen: Learner,
    /// Its coefficient on the rows held back.
    pub qini: f64,
    /// Of each of `Learner::ALL`.
    pub each: Vec<f64>,
    /// Of an order by chance.
    pub by_chance: f64,
    /// Of the chosen learner on the rows held back.
    pub curve: qini::Curve,
    /// Rows held back, and treated among them.
    pub judged: (usize, usize),
}

/// Learns on a random part of the rows and judges on the rest. `None` where an arm is too small or outcomes do not differ.
pub fn split(tried: Tried<'_>, test_share: f64, seed: u64) -> Option<Judged> {
    let mut seeded = Seeded::new(seed);
    let mut rows: Vec<u32> = (0..tried.columns.rows() as u32).collect();
    seeded.shuffle(&mut rows);
    let held = ((rows.len() as f64 * test_share).round() as usize).min(rows.len());
    let (test, train) = rows.split_at_mut(held);
    test.sort_unstable();
    train.sort_unstable();
    let chosen = choose(tried, train, seed)?;
    let scores = learn(tried, train, test, seed)?;
    let (treated, outcomes) = of_rows(tried, test);
    let each: Option<Vec<f64>> =
        scores.iter().map(|scores| qini::coefficient(scores, &treated, &outcomes)).collect();
    let each = each?;
    let place = Learner::ALL.iter().position(|learner| *learner == chosen)?;
    let order: Vec<f64> = test.iter().map(|_| seeded.unit()).collect();
    Some(Judged {
        chosen,
        qini: each[place],
        by_chance: qini::coefficient(&order, &treated, &outcomes)?,
        curve: qini::Curve::of(&scores[place], &treated, &outcomes),
        judged: (test.len(), treated.iter().filter(|treated| **treated).count()),
        each,
    })
}

/// Mean over splits, and the half width of its interval: Student's t on the spread between splits, made wider because
/// splits share rows, by `1/splits + test/train` in place of `1/splits` (Nadeau and Bengio 2003, eq. 9). `None` for one split.
pub fn over_splits(values: &[f64], test_share: f64) -> (f64, Option<f64>) {
    let count = values.len() as f64;
    let mean = values.iter().sum::<f64>() / count;
    if values.len() < 2 {
        return (mean, None);
    }
    let variance = values.iter().map(|value| (value - mean).powi(2)).sum::<f64>() / (count - 1.0);
    let factor = 1.0 / count + test_share / (1.0 - test_share);
    (mean, Some(student_97_5(count - 1.0) * (variance * factor).sqrt()))
}

/// The 97.5 % quantile of Student's t by the expansion of Cornish and Fisher (Abramowitz and Stegun 26.7.5); from 3 degrees of
/// freedom on within 1 %, the first two from the table.
pub fn student_97_5(degrees: f64) -> f64 {
    let z: f64 = 1.959_963_985;
    if degrees < 1.5 {
        return 12.706;
    }
    if degrees < 2.5 {
        return 4.303;
    }
    let first = (z.powi(3) + z) / 4.0;
    let second = (5.0 * z.powi(5) + 16.0 * z.powi(3) + 3.0 * z) / 96.0;
    let third = (3.0 * z.powi(7) + 19.0 * z.powi(5) + 17.0 * z.powi(3) - 15.0 * z) / 384.0;
    z + first / degrees + second / degrees.powi(2) + third / degrees.powi(3)
}

fn of_rows(tried: Tried<'_>, rows: &[u32]) -> (Vec<bool>, Vec<f64>) {
    let treated = rows.iter().map(|row| tried.treated[*row as usize]).collect();
    (treated, rows.iter().map(|row| tried.outcomes[*row as usize]).collect())
}

fn choose(tried: Tried<'_>, train: &[u32], seed: u64) -> Option<Learner> {
    let folds = limits::UPLIFT_FOLDS;
    let mut order: Vec<u32> = train.to_vec();
    Seeded::new(seed ^ 0x5eed).shuffle(&mut order);
    order.truncate(limits::UPLIFT_CHOICE_ROWS_MAX);
    // By learner, then by fold.
    let mut found = vec![Vec::with_capacity(folds); Learner::ALL.len()];
    for fold in 0..folds {
        let is_judged = |at: usize| at % folds == fold;
        let part = |judged: bool| -> Vec<u32> {
            let rows = order.iter().enumerate().filter(|(at, _)| is_judged(*at) == judged);
            rows.map(|(_, row)| *row).collect()
        };
        let (learned, judged) = (part(false), part(true));
        let (treated, outcomes) = of_rows(tried, &judged);
        for (learner, scores) in learn(tried, &learned, &judged, seed)?.iter().enumerate() {
            found[learner].push(qini::coefficient(scores, &treated, &outcomes)?);
        }
    }
    let mean = |values: &[f64]| values.iter().sum::<f64>() / values.len() as f64;
    let beyond = |learner: usize| -> (f64, f64) {
        let more: Vec<f64> =
            found[learner].iter().zip(&found[0]).map(|(own, average)| own - average).collect();
        let variance =
            more.iter().map(|value| (value - mean(&more)).powi(2)).sum::<f64>() / (folds as f64 - 1.0);
        (mean(&more), (variance / folds as f64).sqrt())
    };
    let best = (1..Learner::ALL.len()).max_by(|a, b| mean(&found[*a]).total_cmp(&mean(&found[*b])))?;
    let (more, error) = beyond(best);
    Some(if more > error { Learner::ALL[best] } else { Learner::Average })
}

/// The difference each learner of `Learner::ALL` expects for rows not learned from.
fn learn(tried: Tried<'_>, train: &[u32], judge: &[u32], seed: u64) -> Option<Vec<Vec<f64>>> {
    let arm = |treated: bool| -> Vec<u32> {
        train.iter().copied().filter(|row| tried.treated[*row as usize] == treated).collect()
    };
    let (with, without) = (arm(true), arm(false));
    if with.len().min(without.len()) < limits::UPLIFT_ARM_ROWS_MIN {
        return None;
    }
    let ruler = Ruler::fit(tried.columns, train, Measure::Log, 0.0);
    let linear =
        Linear { tried, ruler: &ruler, judged: ruler.apply(tried.columns, judge), rows: judge.len() };
    let share = with.len() as f64 / train.len() as f64;
    let transformed = linear.transformed(train, share);
    let binned = Binned::new(tried.columns, train);
    let forest = |rows: &[u32], outcomes: &[f64]| -> Vec<f64> {
        let trees = Trees::grow(&binned, rows, outcomes, Loss::Squared, &growth(rows.len(), seed));
        judge.iter().map(|row| trees.path(&binned, *row).last().unwrap_or_default()).collect()
    };
    let minus = |with: Vec<f64>, without: Vec<f64>| with.iter().zip(without).map(|(a, b)| a - b).collect();
    let mut by_row = vec![0.0; tried.columns.rows()];
    train.iter().zip(&transformed).for_each(|(row, value)| by_row[*row as usize] = *value);
    let single = vec![
        minus(linear.expected(&with), linear.expected(&without)),
        minus(forest(&with, tried.outcomes), forest(&without, tried.outcomes)),
        linear.products(train, share),
        linear.fitted(train, &transformed),
        forest(train, &by_row),
    ];
    let mut average = vec![0.0; judge.len()];
    for scores in &single {
        let mean = scores.iter().sum::<f64>() / scores.len() as f64;
        let variance = scores.iter().map(|score| (score - mean).powi(2)).sum::<f64>() / scores.len() as f64;
        if variance > 1e-18 {
            average.iter_mut().zip(scores).for_each(|(sum, score)| *sum += (score - mean) / variance.sqrt());
        }
    }
    Some(std::iter::once(average).chain(single).collect())
}

fn growth(rows: usize, seed: u64) -> Growth {
    Growth {
        rounds: limits::UPLIFT_TREES,
        leaves: usize::MAX,
        depth: 3,
        step: 0.05,
        row_share: 0.5,
        column_share: 0.5,
        // Outcomes are rare and differences rarer: a leaf needs some of each arm.
        leaf_rows_min: (rows / 50).max(20),
        ridge: 20.0,
        seed,
    }
}

/// Regressions on the same inputs.
struct Linear<'a> {
    tried: Tried<'a>,
    ruler: &'a Ruler,
    judged: Vec<f64>,
    rows: usize,
}

impl Linear<'_> {
    fn outcomes(&self, rows: &[u32]) -> Vec<f64> {
        rows.iter().map(|row| self.tried.outcomes[*row as usize]).collect()
    }

    fn weights(&self, values: &[f64], width: usize, outcomes: &[f64]) -> Weights {
        logistic::fit_linear(Inputs { values, width }, outcomes, limits::UPLIFT_RIDGE * outcomes.len() as f64)
    }

    fn fitted(&self, rows: &[u32], outcomes: &[f64]) -> Vec<f64> {
        let (width, values) = (self.ruler.width(), self.ruler.apply(self.tried.columns, rows));
        let weights = self.weights(&values, width, outcomes);
        logistic::margins(&weights, Inputs { values: &self.judged, width }, self.rows)
    }

    /// What is expected of the judged rows by a model of these.
    fn expected(&self, rows: &[u32]) -> Vec<f64> {
        let outcomes = self.outcomes(rows);
        if outcomes.iter().any(|outcome| *outcome != 0.0 && *outcome != 1.0) {
            return self.fitted(rows, &outcomes);
        }
        let (width, values) = (self.ruler.width(), self.ruler.apply(self.tried.columns, rows));
        let inputs = Inputs { values: &values, width };
        let ridge = limits::UPLIFT_LOGISTIC_RIDGE;
        let weights = logistic::fit_logistic(inputs, &outcomes, ridge, &vec![0.0; width + 1]);
        let margins = logistic::margins(&weights, Inputs { values: &self.judged, width }, self.rows);
        margins.into_iter().map(logistic::probability).collect()
    }

    /// `(y − m(x)) (t − e) / (e (1 − e))` of the rows to learn from.
    fn transformed(&self, train: &[u32], share: f64) -> Vec<f64> {
        let (width, values) = (self.ruler.width(), self.ruler.apply(self.tried.columns, train));
        let outcomes = self.outcomes(train);
        let weights = self.weights(&values, width, &outcomes);
        let expected = logistic::margins(&weights, Inputs { values: &values, width }, train.len());
        let of = |((row, outcome), expected): ((&u32, &f64), &f64)| {
            let treated = f64::from(u8::from(self.tried.treated[*row as usize]));
            (outcome - expected) * (treated - share) / (share * (1.0 - share))
        };
        train.iter().zip(&outcomes).zip(&expected).map(of).collect()
    }

    /// One regression on the inputs, the treatment and, held back, the treatment times each input; the difference that the
    /// treatment makes to it is what its products say.
    fn products(&self, train: &[u32], share: f64) -> Vec<f64> {
        let (width, values) = (self.ruler.width(), self.ruler.apply(self.tried.columns, train));
        let mut wide = Vec::with_capacity(train.len() * (2 * width + 1));
        for (at, row) in train.iter().enumerate() {
            let inputs = &values[at * width..][..width];
            let treated = f64::from(u8::from(self.tried.treated[*row as usize])) - share;
            wide.extend(inputs);
            wide.push(treated);
            wide.extend(inputs.iter().map(|input| input * treated));
        }
        let weights = self.weights(&wide, 2 * width + 1, &self.outcomes(train));
        let difference = |row: usize| {
            let inputs = &self.judged[row * width..][..width];
            weights[width]
                + inputs.iter().zip(&weights[width + 1..]).map(|(input, weight)| input * weight).sum::<f64>()
        };
        (0..self.rows).map(difference).collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn table(rows: usize, effect: f64) -> (Columns, Vec<bool>, Vec<f64>) {
        let mut seeded = Seeded::new(11);
        let (mut values, mut treated, mut outcomes) = (vec![Vec::new(); 3], Vec::new(), Vec::new());
        for _ in 0..rows {
            let row: Vec<f64> = (0..3).map(|_| seeded.normal()).collect();
            let treat = seeded.unit() < 0.5;
            // The first column says who buys, the second whom the offer moves.
            let rate = 0.15 + 0.05 * row[0].tanh() + if treat && row[1] > 0.0 { effect } else { 0.0 };
            outcomes.push(f64::from(u8::from(seeded.unit() < rate)));
            treated.push(treat);
            values.iter_mut().zip(row).for_each(|(column, value)| column.push(value));
        }
        (Columns::new(rows, values).expect("of one length"), treated, outcomes)
    }

    fn mean_of_splits(effect: f64) -> (f64, f64) {
        let (columns, treated, outcomes) = table(3_000, effect);
        let tried = Tried { columns: &columns, treated: &treated, outcomes: &outcomes };
        let judged: Vec<f64> = (1..=3).map(|seed| split(tried, 0.5, seed).expect("both arms").qini).collect();
        let (mean, half) = over_splits(&judged, 0.5);
        (mean, half.expect("there are three"))
    }

    #[test]
    fn is_a_known_effect_found_and_none_where_there_is_none() {
        let (found, _) = mean_of_splits(0.25);
        assert!(found > 0.12, "{found}");
        let (nothing, half) = mean_of_splits(0.0);
        assert!(nothing.abs() < 0.06 && nothing - half < 0.0, "{nothing} {half}");
    }

    #[test]
    fn is_one_arm_refused() {
        let (columns, _, outcomes) = table(300, 0.1);
        let tried = Tried { columns: &columns, treated: &[true; 300], outcomes: &outcomes };
        assert_eq!(split(tried, 0.5, 1), None);
    }

    #[test]
    fn is_the_quantile_that_of_the_tables() {
        for (degrees, tabled) in [(1.0, 12.706), (2.0, 4.303), (3.0, 3.182), (9.0, 2.262), (30.0, 2.042)] {
            assert!((student_97_5(degrees) / tabled - 1.0).abs() < 0.01, "{degrees}");
        }
    }
}
