//! The relaxed packing: columns chosen in part. Its prices are the tightest a bound by prices can have.
//!
//! The revised simplex method on `most value x, rows x <= stock, x >= 0`, begun with nothing chosen, which is always
//! possible. A part of a basket has few rows, so the inverse of the basis is a small dense matrix. Floating point only
//! proposes here: `packing` makes the prices whole and sees to it that no column is worth more than what it takes.

use crate::limits;

const TINY: f64 = 1e-9;
/// What a price may be too high by from rounding alone.
const ROUGH: f64 = 1e-4;

/// What is to be relaxed.
pub(super) struct Relaxation {
    stock: Vec<f64>,
    values: Vec<f64>,
    /// By column: where its entries end.
    ends: Vec<u32>,
    entries: Vec<(u32, f64)>,
}

impl Relaxation {
    /// Rows with what there is of each.
    pub(super) fn new(stock: impl Iterator<Item = u32>) -> Relaxation {
        Relaxation {
            stock: stock.map(f64::from).collect(),
            values: Vec::new(),
            ends: vec![0],
            entries: Vec::new(),
        }
    }

    /// A column: its value and what it takes of which row.
    pub(super) fn add(&mut self, value: i64, entries: impl Iterator<Item = (u32, u32)>) {
        self.values.push(value as f64);
        self.entries.extend(entries.map(|(row, n)| (row, f64::from(n))));
        self.ends.push(self.entries.len() as u32);
    }

    fn column(&self, at: usize) -> &[(u32, f64)] {
        &self.entries[self.ends[at] as usize..self.ends[at + 1] as usize]
    }

    /// A price for each row in so many parts of a whole, rounded up, none below nothing. If the rounds run out they are as
    /// far as they came.
    pub(super) fn prices(&self, parts: i64) -> Vec<i64> {
        let whole = |price: f64| (price * parts as f64 - ROUGH).ceil().max(0.0) as i64;
        self.solve().into_iter().map(whole).collect()
    }

    fn solve(&self) -> Vec<f64> {
        let rows = self.stock.len();
        let mut amount = self.stock.clone();
        let mut inverse = vec![0.0; rows * rows];
        (0..rows).for_each(|at| inverse[at * rows + at] = 1.0);
        let (mut price, mut step) = (vec![0.0; rows], vec![0.0; rows]);
        for _ in 0..limits::BEST_ROUNDS_MAX {
            let Some((gain, entering)) = self.entering(&price) else { break };
            step.fill(0.0);
            let entries = match entering {
                Entering::Column(at) => self.column(at),
                Entering::Unused(row) => &[(row, 1.0)],
            };
            for (row, n) in entries {
                (0..rows).for_each(|i| step[i] += inverse[i * rows + *row as usize] * n);
            }
            let mut leaving = None;
            let mut least = f64::INFINITY;
            for i in 0..rows {
                if step[i] > TINY && amount[i] / step[i] < least {
                    (leaving, least) = (Some(i), amount[i] / step[i]);
                }
            }
            let Some(leaving) = leaving else { break };
            let pivot = step[leaving];
            amount[leaving] /= pivot;
            (0..rows).for_each(|j| inverse[leaving * rows + j] /= pivot);
            let (before, from) = inverse.split_at_mut(leaving * rows);
            let (pivot_row, after) = from.split_at_mut(rows);
            let others = before.chunks_mut(rows).chain(after.chunks_mut(rows));
            let places = (0..leaving).chain(leaving + 1..rows);
            for (i, row) in places.zip(others) {
                let factor = step[i];
                if factor != 0.0 {
                    row.iter_mut().zip(&*pivot_row).for_each(|(a, b)| *a -= factor * b);
                    amount[i] -= factor * amount[leaving];
                }
            }
            // The row that left carries all of the gain.
            price.iter_mut().zip(&*pivot_row).for_each(|(price, of)| *price += gain * of);
        }
        price
    }

    /// The column, or the row whose unused units, that gains most at these prices.
    fn entering(&self, price: &[f64]) -> Option<(f64, Entering)> {
        let mut best = None;
        let mut most = TINY * 1e3;
        for at in 0..self.values.len() {
            let worth: f64 = self.column(at).iter().map(|(row, n)| price[*row as usize] * n).sum();
            let gain = self.values[at] - worth;
            if gain > most {
                (best, most) = (Some((gain, Entering::Column(at))), gain);
            }
        }
        for (row, price) in (0..).zip(price) {
            if -price > most {
                (best, most) = (Some((-price, Entering::Unused(row))), -price);
            }
        }
        best
    }
}

enum Entering {
    Column(usize),
    Unused(u32),
}
