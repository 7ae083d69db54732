//! Gradient-boosted shallow trees on binned columns: small, seeded, and the same on every run.
//!
//! A column is cut at quantiles into at most `TREES_BINS_MAX` bins; missing values have a bin of their own and go where
//! they gain more. Each tree sees a part of the rows and of the columns, drawn from the seed, and adds a small step
//! along the gradient (Friedman, "Greedy Function Approximation: A Gradient Boosting Machine", 2001; "Stochastic
//! Gradient Boosting", 2002; gains with second derivatives as in Chen and Guestrin, "XGBoost", 2016, eq. 7).
//! How many trees is for the caller to find out on rows not learned from: `margin_with` answers for any first part.

use super::response::columns::Columns;
use super::response::logistic::probability;
use super::seeded::Seeded;
use crate::limits;

/// What is minimised.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Loss {
    /// `-ln p` of 0/1 outcomes; the margin is log-odds.
    Logistic,
    /// The squared difference; the margin is the value.
    Squared,
}

/// How trees are grown.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Growth {
    /// What is minimised.
    pub loss: Loss,
    /// Questions from root to leaf.
    pub depth: u32,
    /// Trees.
    pub rounds: usize,
    /// The part of each tree's answer that is added.
    pub step: f64,
    /// The part of the rows a tree sees.
    pub row_share: f64,
    /// The part of the columns a tree sees.
    pub column_share: f64,
    /// Rows of a leaf at least.
    pub leaf_rows_min: usize,
    /// Pull of a leaf's answer towards 0, in rows (times the second derivative).
    pub ridge: f64,
    /// Of the draws.
    pub seed: u64,
}

const MISSING: u8 = u8::MAX;
const _: () = assert!(limits::TREES_BINS_MAX < MISSING as usize);

/// Columns cut into bins.
#[derive(Clone, Debug)]
pub struct Binned {
    /// By column: bin `b` holds values up to and including `cuts[b]`, the last bin all above.
    cuts: Vec<Vec<f64>>,
    bins: Vec<Vec<u8>>,
    rows: usize,
}

impl Binned {
    /// Cuts at quantiles of `rows`; all rows of the columns get bins.
    pub fn new(columns: &Columns, rows: &[u32]) -> Binned {
        let cuts: Vec<Vec<f64>> = columns.values().iter().map(|column| cuts(column, rows)).collect();
        let of = |value: f64, cuts: &[f64]| match value.is_nan() {
            true => MISSING,
            false => cuts.partition_point(|cut| *cut < value) as u8,
        };
        let both = columns.values().iter().zip(&cuts);
        let bins = both.map(|(column, cuts)| column.iter().map(|value| of(*value, cuts)).collect()).collect();
        Binned { cuts, bins, rows: columns.rows() }
    }
}

fn cuts(column: &[f64], rows: &[u32]) -> Vec<f64> {
    let learned = rows.iter().map(|row| column[*row as usize]);
    let mut seen: Vec<f64> = learned.filter(|value| !value.is_nan()).collect();
    seen.sort_by(f64::total_cmp);
    let Some(last) = seen.last().copied() else { return Vec::new() };
    let mut distinct = seen.clone();
    distinct.dedup();
    let few = distinct.len() <= limits::TREES_BINS_MAX;
    let pick = |at: usize| seen[at * seen.len() / limits::TREES_BINS_MAX];
    let mut cuts = if few { distinct } else { (1..limits::TREES_BINS_MAX).map(pick).collect() };
    cuts.dedup();
    cuts.retain(|cut| *cut < last);
    // One more cut, above everything, tells what is there from what is missing.
    cuts.extend((seen.len() < rows.len()).then_some(f64::INFINITY));
    cuts
}

#[derive(Clone, Copy, Debug, PartialEq)]
enum Node {
    Ask { column: u32, bin: u8, missing_left: bool, right: u32 },
    Leaf(f64),
}

/// Trees in the order they were grown. A tree's nodes stand with each left child right behind its parent.
#[derive(Clone, Debug, PartialEq)]
pub struct Trees {
    base: f64,
    trees: Vec<Vec<Node>>,
    cuts: Vec<Vec<f64>>,
}

impl Trees {
    /// Grows them on some rows; `outcomes` are by row of the table.
    pub fn grow(binned: &Binned, rows: &[u32], outcomes: &[f64], growth: &Growth) -> Trees {
        let count = rows.len().max(1) as f64;
        let mean = rows.iter().map(|row| outcomes[*row as usize]).sum::<f64>() / count;
        let base = match growth.loss {
            Loss::Squared => mean,
            Loss::Logistic => {
                let mean = mean.clamp(1e-6, 1.0 - 1e-6);
                (mean / (1.0 - mean)).ln()
            }
        };
        let mut seeded = Seeded::new(growth.seed);
        let mut margins = vec![base; binned.rows];
        let mut slopes = vec![(0.0, 0.0); binned.rows];
        let asked = (binned.bins.len() as f64 * growth.column_share).ceil() as usize;
        let mut columns: Vec<u32> = (0..binned.bins.len() as u32).collect();
        let mut trees = Vec::with_capacity(growth.rounds);
        for _ in 0..growth.rounds {
            for row in rows {
                let at = *row as usize;
                slopes[at] = match growth.loss {
                    Loss::Squared => (outcomes[at] - margins[at], 1.0),
                    Loss::Logistic => {
                        let p = probability(margins[at]);
                        (outcomes[at] - p, p * (1.0 - p))
                    }
                };
            }
            let is_drawn = |_: &&u32| seeded.unit() < growth.row_share;
            let mut drawn: Vec<u32> = rows.iter().filter(is_drawn).copied().collect();
            seeded.shuffle(&mut columns);
            let mut tree =
                Tree { binned, slopes: &slopes, growth, columns: &columns[..asked], nodes: Vec::new() };
            tree.branch(&mut drawn, growth.depth);
            let nodes = tree.nodes;
            for row in rows {
                margins[*row as usize] += descend(&nodes, |column, bin, missing_left| {
                    match binned.bins[column as usize][*row as usize] {
                        MISSING => missing_left,
                        found => found <= bin,
                    }
                });
            }
            trees.push(nodes);
        }
        Trees { base, trees, cuts: binned.cuts.clone() }
    }

    /// What the first so many trees answer for a row of the binned table, tree after tree.
    pub fn path<'a>(&'a self, binned: &'a Binned, row: u32) -> impl Iterator<Item = f64> + 'a {
        let step = move |margin: &mut f64, nodes: &Vec<Node>| {
            *margin += descend(nodes, |column, bin, missing_left| {
                match binned.bins[column as usize][row as usize] {
                    MISSING => missing_left,
                    found => found <= bin,
                }
            });
            Some(*margin)
        };
        self.trees.iter().scan(self.base, step)
    }

    /// The answer for a row of numbers, NaN where missing.
    pub fn margin(&self, row: &[f64]) -> f64 {
        let answer = |nodes: &Vec<Node>| {
            descend(nodes, |column, bin, missing_left| {
                let value = row[column as usize];
                if value.is_nan() { missing_left } else { value <= self.cuts[column as usize][bin as usize] }
            })
        };
        self.base + self.trees.iter().map(answer).sum::<f64>()
    }
}

fn descend(nodes: &[Node], goes_left: impl Fn(u32, u8, bool) -> bool) -> f64 {
    let mut at = 0;
    loop {
        match nodes[at] {
            Node::Leaf(answer) => return answer,
            Node::Ask { column, bin, missing_left, right } => {
                at = if goes_left(column, bin, missing_left) { at + 1 } else { right as usize };
            }
        }
    }
}

/// Gradient, second derivative and rows of a part.
#[derive(Clone, Copy, Default)]
struct Sum {
    slope: f64,
    bend: f64,
    rows: usize,
}

impl Sum {
    fn add(&mut self, (slope, bend): (f64, f64)) {
        self.slope += slope;
        self.bend += bend;
        self.rows += 1;
    }

    fn plus(self, other: Sum) -> Sum {
        Sum { slope: self.slope + other.slope, bend: self.bend + other.bend, rows: self.rows + other.rows }
    }

    fn minus(self, other: Sum) -> Sum {
        Sum { slope: self.slope - other.slope, bend: self.bend - other.bend, rows: self.rows - other.rows }
    }
}

struct Tree<'a> {
    binned: &'a Binned,
    slopes: &'a [(f64, f64)],
    growth: &'a Growth,
    columns: &'a [u32],
    nodes: Vec<Node>,
}

struct Split {
    column: u32,
    bin: u8,
    missing_left: bool,
}

impl Tree<'_> {
    fn branch(&mut self, rows: &mut [u32], depth: u32) {
        let mut whole = Sum::default();
        rows.iter().for_each(|row| whole.add(self.slopes[*row as usize]));
        let split = if depth == 0 { None } else { self.best_split(rows, whole) };
        let Some(Split { column, bin, missing_left }) = split else {
            let weight = whole.bend + self.growth.ridge;
            let answer = if weight > 0.0 { self.growth.step * whole.slope / weight } else { 0.0 };
            return self.nodes.push(Node::Leaf(answer));
        };
        let bins = &self.binned.bins[column as usize];
        let is_left = |row: u32| match bins[row as usize] {
            MISSING => missing_left,
            found => found <= bin,
        };
        let mut ordered: Vec<u32> = rows.iter().copied().filter(|row| is_left(*row)).collect();
        let middle = ordered.len();
        ordered.extend(rows.iter().copied().filter(|row| !is_left(*row)));
        rows.copy_from_slice(&ordered);
        let (left, right) = rows.split_at_mut(middle);
        let here = self.nodes.len();
        self.nodes.push(Node::Leaf(0.0));
        self.branch(left, depth - 1);
        self.nodes[here] = Node::Ask { column, bin, missing_left, right: self.nodes.len() as u32 };
        self.branch(right, depth - 1);
    }

    fn best_split(&self, rows: &[u32], whole: Sum) -> Option<Split> {
        let least = self.growth.leaf_rows_min.max(1);
        if rows.len() < 2 * least {
            return None;
        }
        let worth = |part: Sum| match part.bend + self.growth.ridge {
            weight if weight > 0.0 => part.slope * part.slope / weight,
            _ => 0.0,
        };
        let (mut best, mut found) = (worth(whole) + 1e-9, None);
        for &column in self.columns {
            let (bins, cuts) = (&self.binned.bins[column as usize], self.binned.cuts[column as usize].len());
            let mut sums = [Sum::default(); limits::TREES_BINS_MAX];
            let mut missing = Sum::default();
            for row in rows {
                let slope = self.slopes[*row as usize];
                match bins[*row as usize] {
                    MISSING => missing.add(slope),
                    bin => sums[bin as usize].add(slope),
                }
            }
            let mut left = Sum::default();
            for (bin, sum) in sums.iter().enumerate().take(cuts) {
                left = left.plus(*sum);
                for (missing_left, left) in [(false, left), (true, left.plus(missing))] {
                    let right = whole.minus(left);
                    let worth = worth(left) + worth(right);
                    if left.rows >= least && right.rows >= least && worth > best {
                        best = worth;
                        found = Some(Split { column, bin: bin as u8, missing_left });
                    }
                }
            }
        }
        found
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const GROWTH: Growth = Growth {
        loss: Loss::Squared,
        depth: 2,
        rounds: 60,
        step: 0.3,
        row_share: 1.0,
        column_share: 1.0,
        leaf_rows_min: 1,
        ridge: 0.0,
        seed: 1,
    };

    fn table() -> (Columns, Vec<f64>) {
        let mut seeded = Seeded::new(5);
        let mut draw = || (0..400).map(|_| seeded.unit()).collect::<Vec<f64>>();
        let mut values = vec![draw(), draw(), draw()];
        values[2].iter_mut().step_by(3).for_each(|value| *value = f64::NAN);
        let outcome = |row: usize| {
            let crossed = (values[0][row] > 0.5) != (values[1][row] > 0.3);
            f64::from(u8::from(crossed)) + f64::from(u8::from(values[2][row].is_nan())) / 2.0
        };
        let outcomes = (0..400).map(outcome).collect();
        (Columns::new(400, values).expect("of one length"), outcomes)
    }

    #[test]
    fn do_they_learn_what_no_straight_line_can_and_answer_alike_from_bins_and_numbers() {
        let (columns, outcomes) = table();
        let rows: Vec<u32> = (0..400).collect();
        let binned = Binned::new(&columns, &rows);
        let trees = Trees::grow(&binned, &rows, &outcomes, &GROWTH);
        let mut error = 0.0;
        for row in &rows {
            let by_bins = trees.path(&binned, *row).last().expect("there are trees");
            let by_numbers = trees.margin(&columns.row(*row as usize));
            assert!((by_bins - by_numbers).abs() < 1e-9);
            error += (by_numbers - outcomes[*row as usize]).powi(2) / 400.0;
        }
        assert!(error < 0.02, "{error}");
        assert_eq!(trees, Trees::grow(&binned, &rows, &outcomes, &GROWTH));
    }

    #[test]
    fn does_nothing_to_learn_from_give_the_mean() {
        let columns = Columns::new(4, vec![vec![1.0; 4], vec![f64::NAN; 4]]).expect("of one length");
        let rows = [0, 1, 2, 3];
        let binned = Binned::new(&columns, &rows);
        let trees = Trees::grow(&binned, &rows, &[1.0, 2.0, 3.0, 6.0], &GROWTH);
        assert!((trees.margin(&[1.0, f64::NAN]) - 3.0).abs() < 1e-9);
        let none = Trees::grow(&binned, &[], &[1.0; 4], &GROWTH);
        assert!(none.margin(&[1.0, 2.0]).is_finite());
    }
}
