//! Who answers an offer: a response learner that is fitted, chosen and averaged without being told how.
//!
//! Learners: ridge logistic regression on plain and on logarithmic inputs, and boosted trees. Penalty, depth, number of
//! trees and the share of each in the average are chosen by log-loss on rows not learned from: those named for it, or, where
//! fewer than `RESPONSE_JUDGED_MIN` of them responded or did not, five folds of these and the rows to learn from: what a
//! handful say is chance. A fold is a run of rows as they stand in the file, within those who responded
//! and those who did not, so that a file in order of time is judged on another time. Then everything is fitted again on
//! all of these rows, and the average is calibrated by two numbers fitted on the rows not learned from (Platt 1999).
//! Inputs are logarithmic unless plain ones do better by more than one standard error.
//! The share of the trees is the first of `RESPONSE_SHARES` whose log-loss is within one standard error of the best
//! (Breiman et al., "Classification and Regression Trees", 1984, 3.4.3): a quarter, unless the rows say otherwise.
//!
//! Invariant: the same table and seed give the same answers.

use super::columns::{Columns, Measure, Ruler};
use super::logistic::{self, Inputs, Weights, log_loss};
use crate::limits;
use crate::shopper::trees::{Binned, Growth, Loss, Trees};

/// How far inputs may go beyond the range learned from, in its widths.
const BEYOND: f64 = 1.0;

/// Which rows are for what.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Parts {
    /// To learn from.
    pub train: Vec<u32>,
    /// To choose by; none: folds of `train`.
    pub valid: Vec<u32>,
    /// To judge by.
    pub test: Vec<u32>,
}

/// There is nothing to learn. Fits after "failed to".
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum NothingToLearn {
    /// Of the rows to learn from too few responded, or too few did not: give more history.
    TooFew {
        /// Rows that responded.
        responded: usize,
        /// Rows that did not.
        did_not: usize,
    },
}

impl std::fmt::Display for NothingToLearn {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let NothingToLearn::TooFew { responded, did_not } = self;
        let least = limits::RESPONSE_CLASS_ROWS_MIN;
        write!(
            f,
            "learn from {responded} rows that responded and {did_not} that did not: at least {least} of each are needed"
        )
    }
}

impl std::error::Error for NothingToLearn {}

/// How one learner was set, and how it did on rows not learned from.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Chosen {
    /// The logistic regression's inputs.
    pub measure: Measure,
    /// The logistic regression's penalty.
    pub ridge: f64,
    /// The trees' depth.
    pub depth: u32,
    /// How many trees.
    pub rounds: usize,
    /// The trees' share of the average, 0 to 1.
    pub trees_share: f64,
    /// Calibration: log-odds are `slope * margin + shift`.
    pub slope: f64,
    /// See `slope`.
    pub shift: f64,
    /// Log-loss on rows not learned from, before calibration: the regression, the trees, the average.
    pub losses: [f64; 3],
}

/// Log-odds of all rows of the table.
#[derive(Clone, Debug, PartialEq)]
pub struct Fitted {
    /// How it was set.
    pub chosen: Chosen,
    /// Of the regression alone.
    pub logistic: Vec<f64>,
    /// Of the trees alone.
    pub trees: Vec<f64>,
    /// Of the calibrated average.
    pub average: Vec<f64>,
}

/// Rows to learn from and rows to choose by.
struct Fold {
    learn: Vec<u32>,
    judge: Vec<u32>,
}

/// Fits on `parts.train`, chooses, and answers for every row. `outcomes` are 0 or 1 by row.
///
/// # Errors
/// Too few of one class.
pub fn fit(columns: &Columns, outcomes: &[f64], parts: &Parts, seed: u64) -> Result<Fitted, NothingToLearn> {
    let responded = parts.train.iter().filter(|row| outcomes[**row as usize] > 0.5).count();
    let did_not = parts.train.len() - responded;
    if responded.min(did_not) < limits::RESPONSE_CLASS_ROWS_MIN {
        return Err(NothingToLearn::TooFew { responded, did_not });
    }
    let folds = folds(parts, outcomes);
    let linear = choose_logistic(columns, outcomes, &folds);
    let grown = choose_trees(columns, outcomes, &folds, seed);
    let judged: Vec<u32> = folds.iter().flat_map(|fold| fold.judge.iter().copied()).collect();
    let happened: Vec<f64> = judged.iter().map(|row| outcomes[*row as usize]).collect();
    let (trees_share, average_loss) = share(&linear.margins, &grown.margins, &happened);
    let averaged = |linear: f64, trees: f64| (1.0 - trees_share) * linear + trees_share * trees;
    let both = linear.margins.iter().zip(&grown.margins);
    let apart: Vec<f64> = both.map(|(linear, trees)| averaged(*linear, *trees)).collect();
    let (slope, shift) = calibrate(&apart, &happened);

    let mut all = parts.train.clone();
    all.extend(&parts.valid);
    all.sort_unstable();
    let every: Vec<u32> = (0..columns.rows() as u32).collect();
    let logistic = regress(columns, outcomes, &all, &every, linear.measure, &[linear.ridge]).swap_remove(0);
    let binned = Binned::new(columns, &all);
    let growth = Growth { rounds: grown.rounds, ..growth(grown.depth, seed) };
    let forest = Trees::grow(&binned, &all, outcomes, Loss::Logistic, &growth);
    let trees: Vec<f64> =
        every.iter().map(|row| forest.path(&binned, *row).last().unwrap_or_default()).collect();
    let both = logistic.iter().zip(&trees);
    let average = both.map(|(linear, trees)| slope * averaged(*linear, *trees) + shift).collect();
    let losses = [linear.loss, grown.loss, average_loss];
    let chosen = Chosen {
        measure: linear.measure,
        ridge: linear.ridge,
        depth: grown.depth,
        rounds: grown.rounds,
        trees_share,
        slope,
        shift,
        losses,
    };
    Ok(Fitted { chosen, logistic, trees, average })
}

fn folds(parts: &Parts, outcomes: &[f64]) -> Vec<Fold> {
    let answered = parts.valid.iter().filter(|row| outcomes[**row as usize] > 0.5).count();
    if answered.min(parts.valid.len() - answered) >= limits::RESPONSE_JUDGED_MIN {
        return vec![Fold { learn: parts.train.clone(), judge: parts.valid.clone() }];
    }
    let mut rows = parts.train.clone();
    rows.extend(&parts.valid);
    rows.sort_unstable();
    let count = limits::RESPONSE_FOLDS;
    let mut fold_of = vec![0; outcomes.len()];
    for class in [true, false] {
        let of_class: Vec<u32> =
            rows.iter().copied().filter(|row| (outcomes[*row as usize] > 0.5) == class).collect();
        for (at, row) in of_class.iter().enumerate() {
            fold_of[*row as usize] = at * count / of_class.len();
        }
    }
    let is_in = |row: &u32, fold: usize| fold_of[*row as usize] == fold;
    let fold = |fold: usize| Fold {
        learn: rows.iter().copied().filter(|row| !is_in(row, fold)).collect(),
        judge: rows.iter().copied().filter(|row| is_in(row, fold)).collect(),
    };
    (0..count).map(fold).collect()
}

fn losses(margins: impl Iterator<Item = f64>, happened: &[f64]) -> Vec<f64> {
    margins.zip(happened).map(|(margin, happened)| log_loss(margin, *happened > 0.5)).collect()
}

fn mean(values: &[f64]) -> f64 {
    values.iter().sum::<f64>() / values.len().max(1) as f64
}

/// Are losses within one standard error of the best ones, row by row?
fn is_near(losses: &[f64], best: &[f64]) -> bool {
    let more: Vec<f64> = losses.iter().zip(best).map(|(a, b)| a - b).collect();
    let (count, mean) = (more.len().max(1) as f64, mean(&more));
    let spread = more.iter().map(|more| (more - mean).powi(2)).sum::<f64>() / count;
    mean <= (spread / count).sqrt()
}

/// Margins of `judge` for each penalty, each fit beginning where the one before ended.
fn regress(
    columns: &Columns,
    outcomes: &[f64],
    learn: &[u32],
    judge: &[u32],
    measure: Measure,
    ridges: &[f64],
) -> Vec<Vec<f64>> {
    let ruler = Ruler::fit(columns, learn, measure, BEYOND);
    let (width, learned) = (ruler.width(), ruler.apply(columns, learn));
    let happened: Vec<f64> = learn.iter().map(|row| outcomes[*row as usize]).collect();
    let judged = ruler.apply(columns, judge);
    let mut weights: Weights = vec![0.0; width + 1];
    let each = ridges.iter().map(|ridge| {
        weights = logistic::fit_logistic(Inputs { values: &learned, width }, &happened, *ridge, &weights);
        logistic::margins(&weights, Inputs { values: &judged, width }, judge.len())
    });
    each.collect()
}

struct Linear {
    measure: Measure,
    ridge: f64,
    loss: f64,
    losses: Vec<f64>,
    margins: Vec<f64>,
}

fn choose_logistic(columns: &Columns, outcomes: &[f64], folds: &[Fold]) -> Linear {
    let happened: Vec<f64> =
        folds.iter().flat_map(|fold| fold.judge.iter().map(|row| outcomes[*row as usize])).collect();
    let best = |measure: Measure| {
        let mut margins = vec![Vec::new(); limits::RESPONSE_RIDGES.len()];
        for Fold { learn, judge } in folds {
            let found = regress(columns, outcomes, learn, judge, measure, &limits::RESPONSE_RIDGES);
            margins.iter_mut().zip(found).for_each(|(all, fold)| all.extend(fold));
        }
        let tried = limits::RESPONSE_RIDGES.into_iter().zip(margins).map(|(ridge, margins)| {
            let losses = losses(margins.iter().copied(), &happened);
            Linear { measure, ridge, loss: mean(&losses), losses, margins }
        });
        tried.min_by(|a, b| a.loss.total_cmp(&b.loss)).expect("there are penalties to choose from")
    };
    let (log, plain) = (best(Measure::Log), best(Measure::Plain));
    // Counts and money are skewed: what speaks for plain inputs must be more than chance.
    if is_near(&log.losses, &plain.losses) { log } else { plain }
}

struct Grown {
    depth: u32,
    rounds: usize,
    loss: f64,
    margins: Vec<f64>,
}

fn growth(depth: u32, seed: u64) -> Growth {
    Growth {
        rounds: limits::RESPONSE_TREES_MAX,
        leaves: usize::MAX,
        depth,
        step: 0.03,
        row_share: 0.7,
        column_share: 0.3,
        leaf_rows_min: 15,
        ridge: 5.0,
        seed,
    }
}

fn choose_trees(columns: &Columns, outcomes: &[f64], folds: &[Fold], seed: u64) -> Grown {
    let mut best: Option<Grown> = None;
    let happened: Vec<f64> =
        folds.iter().flat_map(|fold| fold.judge.iter().map(|row| outcomes[*row as usize])).collect();
    let binned: Vec<Binned> = folds.iter().map(|fold| Binned::new(columns, &fold.learn)).collect();
    for depth in limits::RESPONSE_DEPTHS {
        let grow = |(fold, binned): (&Fold, &Binned)| {
            Trees::grow(binned, &fold.learn, outcomes, Loss::Logistic, &growth(depth, seed))
        };
        let forests: Vec<Trees> = folds.iter().zip(&binned).map(grow).collect();
        let mut losses = vec![0.0; limits::RESPONSE_TREES_MAX];
        for ((fold, binned), forest) in folds.iter().zip(&binned).zip(&forests) {
            for row in &fold.judge {
                let happened = outcomes[*row as usize] > 0.5;
                for (loss, margin) in losses.iter_mut().zip(forest.path(binned, *row)) {
                    *loss += log_loss(margin, happened);
                }
            }
        }
        let least = losses.iter().enumerate().min_by(|a, b| a.1.total_cmp(b.1));
        let (last, loss) = least.map(|(at, loss)| (at, *loss)).expect("there are rounds");
        let loss = loss / happened.len().max(1) as f64;
        if best.as_ref().is_none_or(|best| loss < best.loss) {
            let mut margins = Vec::with_capacity(happened.len());
            for ((fold, binned), forest) in folds.iter().zip(&binned).zip(&forests) {
                let of = |row: &u32| forest.path(binned, *row).nth(last).unwrap_or_default();
                margins.extend(fold.judge.iter().map(of));
            }
            best = Some(Grown { depth, rounds: last + 1, loss, margins });
        }
    }
    best.expect("there are depths to choose from")
}

/// The trees' share and the log-loss of the average with it.
fn share(linear: &[f64], trees: &[f64], happened: &[f64]) -> (f64, f64) {
    let with = |share: f64| {
        let margins = linear.iter().zip(trees).map(|(linear, trees)| (1.0 - share) * linear + share * trees);
        losses(margins, happened)
    };
    let tried: Vec<(f64, Vec<f64>)> =
        limits::RESPONSE_SHARES.into_iter().map(|share| (share, with(share))).collect();
    let best = tried.iter().min_by(|a, b| mean(&a.1).total_cmp(&mean(&b.1))).expect("there are shares");
    let (share, losses) = tried.iter().find(|(_, losses)| is_near(losses, &best.1)).unwrap_or(best);
    (*share, mean(losses))
}

/// Slope and shift of the log-odds; the slope is held near 1 where there is little to tell.
fn calibrate(margins: &[f64], happened: &[f64]) -> (f64, f64) {
    let (mut slope, mut shift) = (1.0, 0.0);
    for _ in 0..limits::RESPONSE_NEWTON_STEPS_MAX {
        let hold = limits::RESPONSE_CALIBRATION_HOLD;
        let (mut pull, mut turn, mut aa, mut ab, mut bb) = (-hold * (slope - 1.0), 0.0, hold, 0.0, 1e-9);
        for (margin, happened) in margins.iter().zip(happened) {
            let p = logistic::probability(slope * margin + shift);
            let weight = p * (1.0 - p);
            pull += (happened - p) * margin;
            turn += happened - p;
            aa += weight * margin * margin;
            ab += weight * margin;
            bb += weight;
        }
        let determinant = aa * bb - ab * ab;
        if determinant <= 0.0 {
            break;
        }
        let (more_slope, more_shift) =
            ((bb * pull - ab * turn) / determinant, (aa * turn - ab * pull) / determinant);
        slope += more_slope.clamp(-0.5, 0.5);
        shift += more_shift.clamp(-1.0, 1.0);
        if more_slope.abs() + more_shift.abs() < 1e-10 {
            break;
        }
    }
    // A learner that is wrong on every fold is no reason to believe the opposite.
    if slope > 0.0 { (slope, shift) } else { (1.0, 0.0) }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::shopper::response::measures::measure;
    use crate::shopper::seeded::Seeded;

    /// Log-odds that grow with the logarithm of a count, and a crossing that only trees see.
    fn table(rows: usize, seed: u64) -> (Columns, Vec<f64>) {
        let mut seeded = Seeded::new(seed);
        let mut values = vec![Vec::new(), Vec::new(), Vec::new(), Vec::new()];
        let mut outcomes = Vec::new();
        for _ in 0..rows {
            let count = (3.0 * seeded.normal()).exp().floor().min(1e6);
            let (a, b) = (seeded.unit(), seeded.unit());
            let crossed = if (a > 0.5) == (b > 0.5) { 1.0 } else { -1.0 };
            let margin = -2.0 + 0.4 * count.ln_1p() + crossed;
            outcomes.push(f64::from(u8::from(seeded.unit() < logistic::probability(margin))));
            values[0].push(count);
            values[1].push(a);
            values[2].push(if seeded.unit() < 0.2 { f64::NAN } else { b });
            values[3].push(7.0);
        }
        (Columns::new(rows, values).expect("of one length"), outcomes)
    }

    #[test]
    fn does_the_average_do_better_than_either_and_the_same_each_time() {
        let (columns, outcomes) = table(3_000, 3);
        let parts = Parts { train: (0..2_000).collect(), valid: Vec::new(), test: (2_000..3_000).collect() };
        let fitted = fit(&columns, &outcomes, &parts, 1).expect("both classes");
        let of = |margins: &[f64]| {
            let happened: Vec<bool> = outcomes[2_000..].iter().map(|outcome| *outcome > 0.5).collect();
            measure(&margins[2_000..], &happened).expect("both classes")
        };
        let (linear, average) = (of(&fitted.logistic), of(&fitted.average));
        assert_eq!(fitted.chosen.measure, Measure::Log);
        assert!(fitted.chosen.trees_share > 0.0);
        assert!(average.auc > linear.auc + 0.02, "{linear:?} {average:?}");
        assert!(average.log_loss < linear.log_loss);
        assert_eq!(fitted, fit(&columns, &outcomes, &parts, 1).expect("both classes"));
    }

    #[test]
    fn is_one_class_refused() {
        let (columns, _) = table(100, 3);
        let parts = Parts { train: (0..100).collect(), ..Parts::default() };
        let answer = fit(&columns, &[0.0; 100], &parts, 1);
        assert_eq!(answer, Err(NothingToLearn::TooFew { responded: 0, did_not: 100 }));
    }

    #[test]
    fn does_it_hold_where_no_column_says_anything() {
        let mut outcomes = vec![0.0; 100];
        outcomes[..20].fill(1.0);
        let columns = Columns::new(100, vec![vec![1.0; 100]]).expect("of one length");
        let parts = Parts { train: (0..100).collect(), ..Parts::default() };
        let fitted = fit(&columns, &outcomes, &parts, 1).expect("both classes");
        let p = logistic::probability(fitted.average[0]);
        assert!((p - 0.2).abs() < 0.02, "{p}");
    }
}
