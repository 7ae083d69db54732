//! Gradient-boosted trees: a sum of small trees that scores something from numbers about it.
//!
//! Fitted to first and second derivatives of whatever loss the caller has, on histograms of quantised features, each tree
//! grown leaf by leaf where the loss falls most (Chen and Guestrin 2016, "XGBoost", equations 5 to 7; Ke and others 2017,
//! "LightGBM", for histograms and leaf-wise growth). Ties go to the lower feature and the lower bin; nothing is random: the same rows give the same trees.
//! A feature that is not a number counts as the lowest value.

/// How trees are grown.
#[derive(Clone, Copy, Debug)]
pub struct Growth {
    /// Trees.
    pub trees: usize,
    /// Leaves of one tree.
    pub leaves: usize,
    /// The part of each tree's answer that is kept.
    pub rate: f64,
    /// What is added to a leaf's weight: pulls answers of thin leaves to nothing.
    pub ridge: f64,
    /// Rows a leaf has at least.
    pub rows_min: u32,
}

/// Rows of features with what came of each.
#[derive(Clone, Debug, Default)]
pub struct Rows {
    /// Features of a row.
    pub width: usize,
    /// Row after row.
    pub values: Vec<f32>,
    /// Was it bought? One for each row.
    pub labels: Vec<bool>,
    /// Where each shopper's rows end.
    pub groups: Vec<u32>,
}
impl Rows {
    /// How many rows there are.
    #[must_use]
    pub fn len(&self) -> usize {
        self.labels.len()
    }

    /// Is there no row?
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.labels.is_empty()
    }
}

/// A node: a question, or an answer where `feature` is `LEAF`.
#[derive(Clone, Copy, Debug)]
struct Node {
    feature: u32,
    /// At most this goes left. The answer of a leaf.
    value: f32,
    left: u32,
    right: u32,
}

const LEAF: u32 = u32::MAX;
/// Bins of a feature at most: one byte, and a histogram of all features stays in the first cache.
const BINS: usize = 64;
/// Rows whose values decide where bins end.
const BIN_ROWS: usize = 50_000;

/// How the loss of a row changes with its score.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub struct Slope {
    /// First derivative.
    pub slope: f32,
    /// Second derivative, not below nothing.
    pub curve: f32,
}

/// Trees that were fitted.
#[derive(Clone, Debug, Default)]
pub struct Trees {
    roots: Vec<u32>,
    nodes: Vec<Node>,
    gains: Vec<f64>,
}

impl Trees {
    /// Fits trees to rows: each follows the slopes that `slopes` tells for the scores so far. Without rows, or where no
    /// slope points anywhere, the answer is nothing for everything.
    #[must_use]
    pub fn fit(rows: &Rows, growth: Growth, mut slopes: impl FnMut(&[f32], &mut [Slope])) -> Trees {
        let mut trees = Trees { gains: vec![0.0; rows.width], ..Trees::default() };
        if rows.is_empty() {
            return trees;
        }
        let bins = Bins::of(rows);
        let binned = bins.apply(rows);
        let mut scores = vec![0.0f32; rows.len()];
        let mut downhill = vec![Slope::default(); rows.len()];
        let mut order: Vec<u32> = Vec::with_capacity(rows.len());
        for _ in 0..growth.trees {
            slopes(&scores, &mut downhill);
            order.clear();
            order.extend(0..rows.len() as u32);
            let grown =
                Growing { bins: &bins, binned: &binned, slopes: &downhill, width: rows.width, growth };
            let root = grown.tree(&mut trees, &mut order, &mut scores);
            trees.roots.push(root);
        }
        trees
    }

    /// The sum of what all trees answer.
    #[must_use]
    pub fn score(&self, row: &[f32]) -> f32 {
        let mut sum = 0.0;
        for &root in &self.roots {
            let mut at = root as usize;
            loop {
                let node = self.nodes[at];
                if node.feature == LEAF {
                    sum += node.value;
                    break;
                }
                // A value that is no number is not greater: it goes left.
                at = if row[node.feature as usize] > node.value { node.right } else { node.left } as usize;
            }
        }
        sum
    }

    /// How much loss each feature's questions took away, as parts of one.
    #[must_use]
    pub fn importance(&self) -> Vec<f64> {
        let whole: f64 = self.gains.iter().sum();
        self.gains.iter().map(|gain| if whole > 0.0 { gain / whole } else { 0.0 }).collect()
    }
}

/// Where the bins of each feature end.
struct Bins {
    edges: Vec<Vec<f32>>,
}

impl Bins {
    fn of(rows: &Rows) -> Bins {
        let step = rows.len().div_ceil(BIN_ROWS).max(1);
        let edges = (0..rows.width)
            .map(|feature| {
                let values = rows.values.iter().skip(feature).step_by(rows.width * step);
                let mut sorted: Vec<f32> =
                    values.map(|&value| if value.is_nan() { f32::MIN } else { value }).collect();
                sorted.sort_unstable_by(f32::total_cmp);
                let mut distinct = sorted.clone();
                distinct.dedup();
                if distinct.len() <= BINS {
                    distinct.pop();
                    return distinct;
                }
                let mut edges: Vec<f32> = (1..BINS).map(|bin| sorted[bin * sorted.len() / BINS]).collect();
                edges.dedup();
                // The greatest value needs no edge of its own.
                if edges.last() == sorted.last() {
                    edges.pop();
                }
                edges
            })
            .collect();
        Bins { edges }
    }

    fn apply(&self, rows: &Rows) -> Vec<u8> {
        let mut binned = Vec::with_capacity(rows.values.len());
        for row in rows.values.chunks_exact(rows.width.max(1)) {
            for (edges, &value) in self.edges.iter().zip(row) {
                // At most an edge is in its bin; a value that is no number is in the first.
                binned.push(edges.partition_point(|&edge| edge < value) as u8);
            }
        }
        binned
    }
}

#[derive(Clone, Copy, Default)]
struct Cell {
    slope: f64,
    curve: f64,
    rows: u32,
}

struct Leaf {
    from: usize,
    to: usize,
    whole: Cell,
    cells: Vec<Cell>,
    node: u32,
    best: Option<Split>,
}

#[derive(Clone, Copy)]
struct Split {
    gain: f64,
    feature: usize,
    bin: usize,
}

struct Growing<'a> {
    bins: &'a Bins,
    binned: &'a [u8],
    slopes: &'a [Slope],
    width: usize,
    growth: Growth,
}

impl Growing<'_> {
    fn tree(&self, trees: &mut Trees, order: &mut [u32], scores: &mut [f32]) -> u32 {
        let root = push(trees);
        let mut spare: Vec<u32> = Vec::new();
        let cells = self.histogram(order);
        let mut leaves = vec![self.leaf(0, order.len(), cells, root)];
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
            let (left, right) = (push(trees), push(trees));
            let leaf = &leaves[at];
            let (from, to) = (leaf.from, leaf.to);
            trees.nodes[leaf.node as usize] = Node {
                feature: split.feature as u32,
                value: self.bins.edges[split.feature][split.bin],
                left,
                right,
            };
            trees.gains[split.feature] += split.gain;
            let middle = from + self.part(&mut order[from..to], split, &mut spare);
            // The thinner side is counted, the other is what remains.
            let thin_left = middle - from <= to - middle;
            let thin = if thin_left {
                self.histogram(&order[from..middle])
            } else {
                self.histogram(&order[middle..to])
            };
            let mut thick = std::mem::take(&mut leaves[at].cells);
            for (cell, counted) in thick.iter_mut().zip(&thin) {
                cell.slope -= counted.slope;
                cell.curve -= counted.curve;
                cell.rows -= counted.rows;
            }
            let (left_cells, right_cells) = if thin_left { (thin, thick) } else { (thick, thin) };
            leaves[at] = self.leaf(from, middle, left_cells, left);
            leaves.push(self.leaf(middle, to, right_cells, right));
        }
        for leaf in &leaves {
            let answer =
                (-leaf.whole.slope / (leaf.whole.curve + self.growth.ridge) * self.growth.rate) as f32;
            trees.nodes[leaf.node as usize].value = answer;
            for &row in &order[leaf.from..leaf.to] {
                scores[row as usize] += answer;
            }
        }
        root
    }

    fn leaf(&self, from: usize, to: usize, cells: Vec<Cell>, node: u32) -> Leaf {
        let mut whole = Cell::default();
        for cell in &cells[..BINS] {
            whole.slope += cell.slope;
            whole.curve += cell.curve;
            whole.rows += cell.rows;
        }
        let best = self.best(&cells, whole);
        Leaf { from, to, whole, cells, node, best }
    }

    fn best(&self, cells: &[Cell], whole: Cell) -> Option<Split> {
        let worth = |cell: &Cell| cell.slope * cell.slope / (cell.curve + self.growth.ridge);
        let before = worth(&whole);
        let mut best: Option<Split> = None;
        for (feature, edges) in self.bins.edges.iter().enumerate() {
            let mut left = Cell::default();
            for bin in 0..edges.len() {
                let cell = cells[feature * BINS + bin];
                left.slope += cell.slope;
                left.curve += cell.curve;
                left.rows += cell.rows;
                let right = Cell {
                    slope: whole.slope - left.slope,
                    curve: whole.curve - left.curve,
                    rows: whole.rows - left.rows,
                };
                if left.rows < self.growth.rows_min || right.rows < self.growth.rows_min {
                    continue;
                }
                let gain = worth(&left) + worth(&right) - before;
                if gain > best.map_or(1e-9, |split| split.gain) {
                    best = Some(Split { gain, feature, bin });
                }
            }
        }
        best
    }

    fn histogram(&self, rows: &[u32]) -> Vec<Cell> {
        let mut cells = vec![Cell::default(); self.width * BINS];
        for &row in rows {
            let Slope { slope, curve } = self.slopes[row as usize];
            let (slope, curve) = (f64::from(slope), f64::from(curve));
            let bins = &self.binned[row as usize * self.width..(row as usize + 1) * self.width];
            for (cells, &bin) in cells.chunks_exact_mut(BINS).zip(bins) {
                let cell = &mut cells[bin as usize % BINS];
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
            if usize::from(self.binned[row as usize * self.width + split.feature]) <= split.bin {
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

fn push(trees: &mut Trees) -> u32 {
    trees.nodes.push(Node { feature: LEAF, value: 0.0, left: 0, right: 0 });
    (trees.nodes.len() - 1) as u32
}

#[cfg(test)]
mod tests {
    use super::*;

    const GROWTH: Growth = Growth { trees: 30, leaves: 4, rate: 0.3, ridge: 0.1, rows_min: 1 };

    /// Squared distance to the label: slope and curve of (score - label)^2 / 2.
    fn squares(rows: &Rows) -> impl FnMut(&[f32], &mut [Slope]) + '_ {
        |scores, slopes| {
            for ((slope, &score), &label) in slopes.iter_mut().zip(scores).zip(&rows.labels) {
                *slope = Slope { slope: score - f32::from(u8::from(label)), curve: 1.0 };
            }
        }
    }

    fn rows(of: impl Fn(f32, f32) -> bool) -> Rows {
        let mut rows = Rows { width: 2, ..Rows::default() };
        for one in 0..10 {
            for other in 0..10 {
                let (one, other) = (one as f32, other as f32);
                rows.values.extend([one, other]);
                rows.labels.push(of(one, other));
            }
        }
        rows
    }

    #[test]
    fn do_trees_learn_what_no_line_tells() {
        let rows = rows(|one, other| (one > 4.0) != (other > 6.0));
        let trees = Trees::fit(&rows, GROWTH, squares(&rows));
        for (row, &label) in rows.values.chunks_exact(2).zip(&rows.labels) {
            assert_eq!(trees.score(row) > 0.5, label, "{row:?}: {}", trees.score(row));
        }
    }

    #[test]
    fn does_only_what_tells_matter() {
        let rows = rows(|one, _| one > 4.0);
        let trees = Trees::fit(&rows, GROWTH, squares(&rows));
        let importance = trees.importance();
        assert!(importance[0] > 0.999, "{importance:?}");
        assert!(trees.score(&[f32::NAN, 0.0]) < 0.5, "what is no number goes with the lowest");
    }

    #[test]
    fn do_the_same_rows_grow_the_same_trees_and_none_say_nothing() {
        let rows = rows(|one, other| one * other > 20.0);
        let score = || Trees::fit(&rows, GROWTH, squares(&rows)).score(&[5.0, 5.0]).to_bits();
        assert_eq!(score(), score());
        let none = Rows { width: 2, ..Rows::default() };
        assert_eq!(Trees::fit(&none, GROWTH, squares(&none)).score(&[1.0, 1.0]), 0.0);
    }
}
