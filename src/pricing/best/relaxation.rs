//! The relaxed packing: columns chosen in part. Its prices are the tightest a bound by prices can have.
//!
//! The revised simplex method on `most value x, rows x <= stock, x >= 0`, begun with nothing chosen, which is always
//! possible. A part of a basket has few rows, so the inverse of the basis is a small dense matrix. Floating point only
//! proposes here: `packing` makes the prices whole and sees to it that no column is worth more than what it takes.

use crate::limits;

const TINY: f64 = 1e-9;
/// A gain that is worth a round.
const ENOUGH: f64 = 1e-6;
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

    /// Solves it. If the rounds run out prices are as far as they came.
    pub(super) fn solved(&self) -> Relaxed {
        let rows = self.stock.len();
        let mut amount = self.stock.clone();
        let mut basis: Vec<Option<u32>> = vec![None; rows];
        let mut inverse = vec![0.0; rows * rows];
        (0..rows).for_each(|at| inverse[at * rows + at] = 1.0);
        let (mut price, mut step, mut pivot_row) = (vec![0.0; rows], vec![0.0; rows], vec![0.0; rows]);
        let mut inclined = Vec::with_capacity(limits::BEST_INCLINED_MAX);
        for _ in 0..limits::BEST_ROUNDS_MAX {
            let Some((gain, entering)) = self.entering(&price, &mut inclined) else { break };
            step.fill(0.0);
            let unused;
            let entries = match entering {
                Entering::Column(at) => self.column(at),
                Entering::Unused(row) => {
                    unused = [(row, 1.0)];
                    &unused
                }
            };
            for (row, n) in entries {
                let of_row = inverse[*row as usize..].iter().step_by(rows);
                step.iter_mut().zip(of_row).for_each(|(step, of)| *step += of * n);
            }
            let mut leaving = None;
            let mut least = f64::INFINITY;
            for (at, (step, amount)) in step.iter().zip(&amount).enumerate() {
                if *step > TINY && amount / step < least {
                    (leaving, least) = (Some(at), amount / step);
                }
            }
            let Some(leaving) = leaving else { break };
            basis[leaving] = match entering {
                Entering::Column(at) => Some(at as u32),
                Entering::Unused(_) => None,
            };
            let pivot = step[leaving];
            let row = &mut inverse[leaving * rows..][..rows];
            row.iter_mut().for_each(|of| *of /= pivot);
            pivot_row.copy_from_slice(row);
            // Its own row is put back below.
            for ((row, amount), factor) in inverse.chunks_exact_mut(rows).zip(&mut amount).zip(&step) {
                if *factor != 0.0 {
                    row.iter_mut().zip(&pivot_row).for_each(|(a, b)| *a -= factor * b);
                    *amount -= factor * least;
                }
            }
            inverse[leaving * rows..][..rows].copy_from_slice(&pivot_row);
            amount[leaving] = least;
            // The row that left carries all of the gain.
            price.iter_mut().zip(&pivot_row).for_each(|(price, of)| *price += gain * of);
        }
        let chosen = basis.iter().zip(&amount).filter_map(|(column, amount)| Some(((*column)?, *amount)));
        let chosen = chosen.filter(|(_, amount)| *amount > ROUGH).collect();
        Relaxed { price, chosen }
    }

    fn gain(&self, at: usize, price: &[f64]) -> f64 {
        let worth: f64 = self.column(at).iter().map(|(row, n)| price[*row as usize] * n).sum();
        self.values[at] - worth
    }

    /// The column, or the row whose unused units, that gains most at these prices: of the `inclined`, those that gained
    /// most when all were looked at last; of all if none of these gains any more.
    fn entering(&self, price: &[f64], inclined: &mut Vec<u32>) -> Option<(f64, Entering)> {
        let mut best = None;
        let mut most = ENOUGH;
        for (row, price) in (0..).zip(price) {
            if -price > most {
                (best, most) = (Some((-price, Entering::Unused(row))), -price);
            }
        }
        inclined.retain(|at| {
            let gain = self.gain(*at as usize, price);
            if gain > most {
                (best, most) = (Some((gain, Entering::Column(*at as usize))), gain);
            }
            gain > ENOUGH
        });
        if best.is_some() {
            return best;
        }
        let gains = (0..self.values.len()).map(|at| (self.gain(at, price), at as u32));
        let mut gaining: Vec<(f64, u32)> = gains.filter(|(gain, _)| *gain > ENOUGH).collect();
        let by_gain = |a: &(f64, u32), b: &(f64, u32)| b.0.total_cmp(&a.0).then(a.1.cmp(&b.1));
        if gaining.len() > limits::BEST_INCLINED_MAX {
            gaining.select_nth_unstable_by(limits::BEST_INCLINED_MAX, by_gain);
            gaining.truncate(limits::BEST_INCLINED_MAX);
        }
        gaining.sort_unstable_by(by_gain);
        inclined.extend(gaining.iter().map(|(_, at)| *at));
        gaining.first().map(|(gain, at)| (*gain, Entering::Column(*at as usize)))
    }
}

/// The relaxed packing, solved.
pub(super) struct Relaxed {
    price: Vec<f64>,
    /// Columns chosen, each so much of it.
    chosen: Vec<(u32, f64)>,
}

impl Relaxed {
    /// A price for each row in so many parts of a whole, rounded up, none below nothing.
    pub(super) fn prices(&self, parts: i64) -> Vec<i64> {
        let whole = |price: &f64| (price * parts as f64 - ROUGH).ceil().max(0.0) as i64;
        self.price.iter().map(whole).collect()
    }

    /// Does it choose more than `most` of something of which a column takes what `of` says?
    pub(super) fn exceeds(&self, most: u32, of: impl Fn(u32) -> u32) -> bool {
        let taken: f64 = self.chosen.iter().map(|(column, amount)| f64::from(of(*column)) * amount).sum();
        taken > f64::from(most) + ROUGH
    }
}

enum Entering {
    Column(usize),
    Unused(u32),
}
