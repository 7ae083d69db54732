//! Gradient-boosted trees on binned columns: small, seeded, and the same on every run.
//!
//! A column is cut at quantiles into at most `TREES_BINS_MAX` bins; missing values have a bin of their own and go where
//! they gain more. Each tree follows the slopes of whatever loss the caller has, sees a part of the rows and of the columns,
//! drawn from the seed, and is grown leaf by leaf where the loss falls most, within a number of leaves and a depth
//! (Friedman, "Greedy Function Approximation: A Gradient Boosting Machine", 2001; "Stochastic Gradient Boosting", 2002;
//! gains with second derivatives as in Chen and Guestrin, "XGBoost", 2016, eq. 7; leaf by leaf on histograms as in Ke and
//! others, "LightGBM", 2017). Ties go to the lower column and the lower bin.
//! How many trees is for the caller to find out on rows not learned from: `path` answers for any first part.

use super::response::columns::Columns;
use super::response::logistic::probability;
use super::seeded::Seeded;
use crate::limits;

/// What is minimised, where it is a sum over rows.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Loss {
    /// `-ln p` of 0/1 outcomes; the margin is log-odds.
    Logistic,
    /// Half the squared difference; the margin is the value.
    Squared,
}

/// How trees are grown.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Growth {
    /// Trees.
    pub rounds: usize,
    /// Leaves of one tree at most.
    pub leaves: usize,
    /// Questions from root to leaf at most.
    pub depth: u32,
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

/// How the loss of a row changes with its margin.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub struct Slope {
    /// First derivative.
    pub slope: f64,
    /// Second derivative, not below nothing.
    pub curve: f64,
}

/// The bin of missing values, behind all others.
const MISSING: u8 = limits::TREES_BINS_MAX as u8;
/// Cells of a column's histogram.
const CELLS: usize = limits::TREES_BINS_MAX + 1;
const _: () = assert!(limits::TREES_BINS_MAX < u8::MAX as usize);

/// Rows cut into bins, row after row.
#[derive(Clone, Debug)]
pub struct Binned {
    /// By column: bin `b` holds values up to and including `cuts[b]`, the last bin all above.
    cuts: Vec<Vec<f64>>,
    bins: Vec<u8>,
    rows: usize,
}

impl Binned {
    /// Cuts at quantiles of `rows`; all rows of the columns get bins.
    pub fn new(columns: &Columns, rows: &[u32]) -> Binned {
        let values = columns.values();
        Binned::of(values.len(), columns.rows(), rows, |row, column| values[column][row])
    }

    /// The same of a table of `width` columns and so many rows whose numbers `value` knows by row and column.
    pub fn of(width: usize, rows: usize, learned: &[u32], value: impl Fn(usize, usize) -> f64) -> Binned {
        // Quantiles of an even part are as good.
        let step = learned.len().div_ceil(limits::TREES_CUT_ROWS_MAX).max(1);
        let seen: Vec<usize> = learned.iter().step_by(step).map(|row| *row as usize).collect();
        let cut = |column| cuts(seen.iter().map(|row| value(*row, column)).collect());
        let cuts: Vec<Vec<f64>> = (0..width).map(cut).collect();
        let mut bins = Vec::with_capacity(width * rows);
        for row in 0..rows {
            bins.extend(cuts.iter().enumerate().map(|(column, cuts)| match value(row, column) {
                missing if missing.is_nan() => MISSING,
                value => cuts.partition_point(|cut| *cut < value) as u8,
            }));
        }
        Binned { cuts, bins, rows }
    }

    fn row(&self, row: u32) -> &[u8] {
        let width = self.cuts.len();
        &self.bins[row as usize * width..(row as usize + 1) * width]
    }
}

fn cuts(mut seen: Vec<f64>) -> Vec<f64> {
    let whole = seen.len();
    seen.retain(|value| !value.is_nan());
    seen.sort_unstable_by(f64::total_cmp);
    let Some(last) = seen.last().copied() else { return Vec::new() };
    let mut distinct = seen.clone();
    distinct.dedup();
    let few = distinct.len() <= limits::TREES_BINS_MAX;
    let pick = |at: usize| seen[at * seen.len() / limits::TREES_BINS_MAX];
    let mut cuts = if few { distinct } else { (1..limits::TREES_BINS_MAX).map(pick).collect() };
    cuts.dedup();
    cuts.retain(|cut| *cut < last);
    // One more cut, above everything, tells what is there from what is missing.
    cuts.extend((seen.len() < whole).then_some(f64::INFINITY));
    cuts
}

/// A question, or an answer where `column` is `LEAF`.
#[derive(Clone, Copy, Debug, PartialEq)]
struct Node {
    column: u32,
    /// The node for what is at most `value`; the one behind it for what is more.
    below: u32,
    /// The highest value of the bin asked for. The answer of a leaf.
    value: f32,
    bin: u8,
    missing_left: bool,
}

const LEAF: u32 = u32::MAX;

/// Trees in the order they were grown.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Trees {
    base: f64,
    roots: Vec<u32>,
    nodes: Vec<Node>,
}

impl Trees {
    /// Grows them on some rows; `outcomes` are by row of the table.
    pub fn grow(binned: &Binned, rows: &[u32], outcomes: &[f64], loss: Loss, growth: &Growth) -> Trees {
        let count = rows.len().max(1) as f64;
        let mean = rows.iter().map(|row| outcomes[*row as usize]).sum::<f64>() / count;
        let base = match loss {
            Loss::Squared => mean,
            Loss::Logistic => {
                let mean = mean.clamp(1e-6, 1.0 - 1e-6);
                (mean / (1.0 - mean)).ln()
            }
        };
        Trees::follow(binned, rows, base, growth, |margins, slopes| {
            for row in rows {
                let at = *row as usize;
                slopes[at] = match loss {
                    Loss::Squared => Slope { slope: margins[at] - outcomes[at], curve: 1.0 },
                    Loss::Logistic => {
                        let p = probability(margins[at]);
                        Slope { slope: p - outcomes[at], curve: p * (1.0 - p) }
                    }
                };
            }
        })
    }

    /// Grows them on some rows, each down the slopes that `slopes` sets for the margins so far, by row of the table; all
    /// margins begin at `base`.
    pub fn follow(
        binned: &Binned,
        rows: &[u32],
        base: f64,
        growth: &Growth,
        mut slopes: impl FnMut(&[f64], &mut [Slope]),
    ) -> Trees {
        let mut trees = Trees { base, roots: Vec::with_capacity(growth.rounds), nodes: Vec::new() };
        let mut seeded = Seeded::new(growth.seed);
        let mut margins = vec![base; binned.rows];
        let mut downhill = vec![Slope::default(); binned.rows];
        let width = binned.cuts.len();
        let asked = (width as f64 * growth.column_share).ceil() as usize;
        let mut columns: Vec<u32> = (0..width as u32).collect();
        for _ in 0..growth.rounds {
            slopes(&margins, &mut downhill);
            let is_drawn = |_: &&u32| growth.row_share >= 1.0 || seeded.unit() < growth.row_share;
            let mut drawn: Vec<u32> = rows.iter().filter(is_drawn).copied().collect();
            seeded.shuffle(&mut columns);
            let mut columns = columns[..asked].to_vec();
            columns.sort_unstable();
            let root = Growing { binned, slopes: &downhill, growth, columns }.tree(&mut trees, &mut drawn);
            trees.roots.push(root);
            for row in rows {
                margins[*row as usize] += trees.answer(root, binned.row(*row));
            }
        }
        trees
    }

    /// What the first so many trees answer for a row of the binned table, tree after tree.
    pub fn path<'a>(&'a self, binned: &'a Binned, row: u32) -> impl Iterator<Item = f64> + 'a {
        let bins = binned.row(row);
        self.roots.iter().scan(self.base, |margin, root| {
            *margin += self.answer(*root, bins);
            Some(*margin)
        })
    }

    /// The answer for a row of numbers, NaN where missing.
    #[must_use]
    pub fn margin(&self, row: &[f32]) -> f32 {
        let mut sum = self.base as f32;
        for &root in &self.roots {
            let mut node = self.nodes[root as usize];
            while node.column != LEAF {
                let value = row[node.column as usize];
                let is_right = value > node.value || (value.is_nan() && !node.missing_left);
                node = self.nodes[node.below as usize + usize::from(is_right)];
            }
            sum += node.value;
        }
        sum
    }

    fn answer(&self, root: u32, bins: &[u8]) -> f64 {
        let mut node = self.nodes[root as usize];
        while node.column != LEAF {
            let is_left = match bins[node.column as usize] {
                MISSING => node.missing_left,
                bin => bin <= node.bin,
            };
            node = self.nodes[node.below as usize + usize::from(!is_left)];
        }
        f64::from(node.value)
    }

    fn push(&mut self) -> u32 {
        self.nodes.push(Node { column: LEAF, below: 0, value: 0.0, bin: 0, missing_left: false });
        (self.nodes.len() - 1) as u32
    }
}

/// Derivatives and rows of a part.
#[derive(Clone, Copy, Default)]
struct Cell {
    slope: f64,
    curve: f64,
    rows: u32,
}

impl Cell {
    fn plus(self, other: Cell) -> Cell {
        Cell {
            slope: self.slope + other.slope,
            curve: self.curve + other.curve,
            rows: self.rows + other.rows,
        }
    }

    fn minus(self, other: Cell) -> Cell {
        Cell {
            slope: self.slope - other.slope,
            curve: self.curve - other.curve,
            rows: self.rows - other.rows,
        }
    }
}

/// A leaf that may still be split.
struct Leaf {
    from: usize,
    to: usize,
    depth: u32,
    whole: Cell,
    cells: Vec<Cell>,
    node: u32,
    best: Option<Split>,
}

#[derive(Clone, Copy)]
struct Split {
    gain: f64,
    column: u32,
    bin: u8,
    missing_left: bool,
}

struct Growing<'a> {
    binned: &'a Binned,
    slopes: &'a [Slope],
    growth: &'a Growth,
    columns: Vec<u32>,
}

impl Growing<'_> {
    /// Grows one tree and answers its root.
    fn tree(&self, trees: &mut Trees, rows: &mut [u32]) -> u32 {
        let root = trees.push();
        let mut spare: Vec<u32> = Vec::new();
        let mut leaves = vec![self.leaf(0..rows.len(), 0, self.histogram(rows), rows, root)];
        while leaves.len() < self.growth.leaves {
            let mut chosen: Option<(usize, Split)> = None;
            for (at, leaf) in leaves.iter().enumerate() {
                if let Some(split) = leaf.best
                    && chosen.is_none_or(|(_, other)| split.gain > other.gain)
                {
                    chosen = Some((at, split));
                }
            }
            let Some((at, split)) = chosen else { break };
            let Split { column, bin, missing_left, .. } = split;
            let (left, right) = (trees.push(), trees.push());
            let Leaf { from, to, depth, node, .. } = leaves[at];
            let value = self.binned.cuts[column as usize][bin as usize] as f32;
            trees.nodes[node as usize] = Node { column, below: left, value, bin, missing_left };
            let middle = from + self.part(&mut rows[from..to], split, &mut spare);
            let depth = depth + 1;
            let (mut thin, mut thick) = (Vec::new(), std::mem::take(&mut leaves[at].cells));
            if depth < self.growth.depth {
                // The thinner side is counted, the other is what remains.
                let is_left = middle - from <= to - middle;
                thin = self.histogram(if is_left { &rows[from..middle] } else { &rows[middle..to] });
                thick.iter_mut().zip(&thin).for_each(|(cell, counted)| *cell = cell.minus(*counted));
                if !is_left {
                    std::mem::swap(&mut thin, &mut thick);
                }
            }
            leaves[at] = self.leaf(from..middle, depth, thin, rows, left);
            leaves.push(self.leaf(middle..to, depth, thick, rows, right));
        }
        for Leaf { whole, node, .. } in &leaves {
            let weight = whole.curve + self.growth.ridge;
            let answer = if weight > 0.0 { -self.growth.step * whole.slope / weight } else { 0.0 };
            trees.nodes[*node as usize].value = answer as f32;
        }
        root
    }

    fn leaf(
        &self,
        part: std::ops::Range<usize>,
        depth: u32,
        cells: Vec<Cell>,
        rows: &[u32],
        node: u32,
    ) -> Leaf {
        let mut whole = Cell::default();
        for row in &rows[part.clone()] {
            let Slope { slope, curve } = self.slopes[*row as usize];
            whole = whole.plus(Cell { slope, curve, rows: 1 });
        }
        let best = if depth < self.growth.depth { self.best(&cells, whole) } else { None };
        Leaf { from: part.start, to: part.end, depth, whole, cells, node, best }
    }

    fn best(&self, cells: &[Cell], whole: Cell) -> Option<Split> {
        let least = self.growth.leaf_rows_min.max(1);
        let worth = |part: Cell| match part.curve + self.growth.ridge {
            weight if weight > 0.0 => part.slope * part.slope / weight,
            _ => 0.0,
        };
        let before = worth(whole);
        let mut best: Option<Split> = None;
        for (&column, cells) in self.columns.iter().zip(cells.chunks_exact(CELLS)) {
            let missing = cells[usize::from(MISSING)];
            let mut left = Cell::default();
            for (bin, cell) in cells.iter().enumerate().take(self.binned.cuts[column as usize].len()) {
                left = left.plus(*cell);
                for missing_left in [false, true] {
                    if missing_left && missing.rows == 0 {
                        continue;
                    }
                    let left = if missing_left { left.plus(missing) } else { left };
                    let right = whole.minus(left);
                    if (left.rows as usize) < least || (right.rows as usize) < least {
                        continue;
                    }
                    let gain = worth(left) + worth(right) - before;
                    if gain > best.map_or(1e-9, |split| split.gain) {
                        best = Some(Split { gain, column, bin: bin as u8, missing_left });
                    }
                }
            }
        }
        best
    }

    /// For each column a tree sees, the rows of each bin.
    fn histogram(&self, rows: &[u32]) -> Vec<Cell> {
        let mut cells = vec![Cell::default(); self.columns.len() * CELLS];
        for &row in rows {
            let Slope { slope, curve } = self.slopes[row as usize];
            let bins = self.binned.row(row);
            for (&column, cells) in self.columns.iter().zip(cells.chunks_exact_mut(CELLS)) {
                let cell = &mut cells[usize::from(bins[column as usize])];
                cell.slope += slope;
                cell.curve += curve;
                cell.rows += 1;
            }
        }
        cells
    }

    /// Brings rows that go left to the front, both sides in their order; answers how many go left.
    fn part(&self, rows: &mut [u32], split: Split, spare: &mut Vec<u32>) -> usize {
        spare.clear();
        let mut kept = 0;
        for at in 0..rows.len() {
            let row = rows[at];
            let is_left = match self.binned.row(row)[split.column as usize] {
                MISSING => split.missing_left,
                bin => bin <= split.bin,
            };
            if is_left {
                rows[kept] = row;
                kept += 1;
            } else {
                spare.push(row);
            }
        }
        rows[kept..].copy_from_slice(spare);
        kept
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const GROWTH: Growth = Growth {
        rounds: 60,
        leaves: 4,
        depth: 2,
        step: 0.3,
        row_share: 1.0,
        column_share: 1.0,
        leaf_rows_min: 1,
        ridge: 0.0,
        seed: 1,
    };

    fn table() -> (Columns, Vec<f64>) {
        let mut seeded = Seeded::new(5);
        let mut draw = || (0..400).map(|_| f64::from(seeded.unit() as f32)).collect::<Vec<f64>>();
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
        let trees = Trees::grow(&binned, &rows, &outcomes, Loss::Squared, &GROWTH);
        let row_of = |row: u32| -> Vec<f32> {
            columns.row(row as usize).into_iter().map(|value| value as f32).collect()
        };
        let mut error = 0.0;
        for row in &rows {
            let by_bins = trees.path(&binned, *row).last().expect("there are trees");
            let by_numbers = f64::from(trees.margin(&row_of(*row)));
            assert!((by_bins - by_numbers).abs() < 1e-5, "{by_bins} {by_numbers}");
            error += (by_numbers - outcomes[*row as usize]).powi(2) / 400.0;
        }
        assert!(error < 0.02, "{error}");
        assert_eq!(trees, Trees::grow(&binned, &rows, &outcomes, Loss::Squared, &GROWTH));
    }

    #[test]
    fn does_nothing_to_learn_from_give_the_mean() {
        let columns = Columns::new(4, vec![vec![1.0; 4], vec![f64::NAN; 4]]).expect("of one length");
        let rows = [0, 1, 2, 3];
        let binned = Binned::new(&columns, &rows);
        let trees = Trees::grow(&binned, &rows, &[1.0, 2.0, 3.0, 6.0], Loss::Squared, &GROWTH);
        assert!((trees.margin(&[1.0, f32::NAN]) - 3.0).abs() < 1e-6);
        let none = Trees::grow(&binned, &[], &[1.0; 4], Loss::Squared, &GROWTH);
        assert!(none.margin(&[1.0, 2.0]).is_finite());
    }

    #[test]
    fn are_leaves_grown_where_most_is_gained_and_no_more_than_allowed() {
        // Three steps: the highest is worth most, the lowest least.
        let values: Vec<f64> = (0..40).map(f64::from).collect();
        let outcomes: Vec<f64> =
            values.iter().map(|value| [0.0, 1.0, 3.0, 9.0][*value as usize / 10]).collect();
        let columns = Columns::new(40, vec![values, vec![5.0; 40]]).expect("of one length");
        let rows: Vec<u32> = (0..40).collect();
        let binned = Binned::new(&columns, &rows);
        let found = |leaves, depth| {
            let growth = Growth { rounds: 1, step: 1.0, leaves, depth, ..GROWTH };
            let trees = Trees::grow(&binned, &rows, &outcomes, Loss::Squared, &growth);
            [5.0, 15.0, 25.0, 35.0].map(|value: f32| (trees.margin(&[value, f32::NAN]) * 100.0).round())
        };
        let table = [
            ((1, 9), [325.0; 4]),
            ((2, 9), [133.0, 133.0, 133.0, 900.0]),
            ((3, 9), [50.0, 50.0, 300.0, 900.0]),
            ((9, 9), [0.0, 100.0, 300.0, 900.0]),
            ((9, 2), [50.0, 50.0, 300.0, 900.0]),
            ((9, 0), [325.0; 4]),
        ];
        for ((leaves, depth), wanted) in table {
            assert_eq!(found(leaves, depth), wanted, "{leaves} leaves, depth {depth}");
        }
    }
}
