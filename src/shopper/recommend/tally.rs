//! A sum for each item, cleared in the time of what was touched: the scratch space every source counts in.

use std::cmp::Ordering;

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
        top_of(self.touched.iter().map(|&at| (at, self.sums[at as usize])), count, into);
    }
}

/// Keeps the `count` highest, best first; ties go to the lower number.
pub fn top(of: &mut Vec<(Item, f32)>, count: usize) {
    if of.len() > count && count > 0 {
        of.select_nth_unstable_by(count - 1, best_first);
    }
    of.truncate(count);
    of.sort_unstable_by(best_first);
}

/// The `count` highest of many into `into`, best first. Most of many are below what is already held and cost one comparison.
pub fn top_of(of: impl Iterator<Item = (Item, f32)>, count: usize, into: &mut Vec<(Item, f32)>) {
    into.clear();
    let mut last: Option<(Item, f32)> = None;
    for one in of {
        if last.is_some_and(|last| best_first(&one, &last).is_gt()) {
            continue;
        }
        into.push(one);
        if count > 0 && into.len() == 2 * count {
            into.select_nth_unstable_by(count - 1, best_first);
            into.truncate(count);
            last = into.last().copied();
        }
    }
    top(into, count);
}

fn best_first(left: &(Item, f32), right: &(Item, f32)) -> Ordering {
    right.1.total_cmp(&left.1).then(left.0.cmp(&right.0))
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

    #[test]
    fn are_the_best_of_many_those_that_sorting_all_gives() {
        // In any order, with ties.
        let many: Vec<(Item, f32)> = (0..1_000).map(|at| (at * 379 % 1_000, (at * 31 % 97) as f32)).collect();
        for count in [0, 1, 7, 500, 2_000] {
            let (mut all, mut best) = (many.clone(), vec![(9, 9.0)]);
            all.sort_unstable_by(best_first);
            all.truncate(count);
            top_of(many.iter().copied(), count, &mut best);
            assert_eq!(best, all, "{count}");
        }
    }
}
