//! A sum for each item, cleared in the time of what was touched: the scratch space every source counts in.

use super::history::Item;

/// Sums by number.
#[derive(Clone, Debug, Default)]
pub struct Tally {
    sums: Vec<f32>,
    touched: Vec<u32>,
}

impl Tally {
    /// Forgets everything and makes room for numbers below `count`.
    pub fn clear(&mut self, count: usize) {
        for &at in &self.touched {
            self.sums[at as usize] = 0.0;
        }
        self.touched.clear();
        if self.sums.len() < count {
            self.sums.resize(count, 0.0);
        }
    }

    /// Adds to one number's sum. An amount of nothing leaves no trace.
    pub fn add(&mut self, at: u32, amount: f32) {
        let sum = &mut self.sums[at as usize];
        if *sum == 0.0 && amount != 0.0 {
            self.touched.push(at);
        }
        *sum += amount;
    }

    /// Raises one number's sum to at least this amount.
    pub fn raise(&mut self, at: u32, amount: f32) {
        let sum = self.get(at);
        if amount > sum {
            self.add(at, amount - sum);
        }
    }

    /// One number's sum; nothing for a number beyond the room there is.
    #[must_use]
    pub fn get(&self, at: u32) -> f32 {
        self.sums.get(at as usize).copied().unwrap_or(0.0)
    }

    /// The numbers with a sum, in the order they came.
    #[must_use]
    pub fn touched(&self) -> &[u32] {
        &self.touched
    }

    /// The `count` highest sums, best first; ties go to the lower number.
    pub fn top(&self, count: usize, into: &mut Vec<(u32, f32)>) {
        into.clear();
        into.extend(self.touched.iter().map(|&at| (at, self.sums[at as usize])));
        top(into, count);
    }
}

/// Keeps the `count` highest, best first; ties go to the lower number.
pub fn top(of: &mut Vec<(Item, f32)>, count: usize) {
    let better =
        |left: &(Item, f32), right: &(Item, f32)| right.1.total_cmp(&left.1).then(left.0.cmp(&right.0));
    if of.len() > count && count > 0 {
        of.select_nth_unstable_by(count - 1, better);
    }
    of.truncate(count);
    of.sort_unstable_by(better);
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn does_clearing_leave_nothing_and_do_ties_go_to_the_lower() {
        let mut tally = Tally::default();
        tally.clear(5);
        for (at, amount) in [(4, 1.0), (0, 2.0), (2, 1.0), (0, 0.5), (3, 0.0)] {
            tally.add(at, amount);
        }
        tally.raise(2, 0.5);
        let mut best = Vec::new();
        tally.top(2, &mut best);
        assert_eq!(best, [(0, 2.5), (2, 1.0)]);
        assert_eq!(tally.touched(), [4, 0, 2]);
        tally.top(0, &mut best);
        assert!(best.is_empty());
        tally.clear(5);
        assert!((0..9).all(|at| tally.get(at) == 0.0) && tally.touched().is_empty());
    }
}
