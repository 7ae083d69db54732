//! How good a list of proposed items is, against the basket that was bought.
//!
//! With `hits` the proposed items among the first `k` that were bought, and ranks from 1:
//! - recall: hits / bought
//! - PHR (personal hit ratio): 1 where there is a hit
//! - NDCG, full ideal: sum of 1/log2(rank + 1) over hits, divided by that sum for hits at ranks 1 to min(k, bought)
//!   (Järvelin and Kekäläinen 2002)
//! - NDCG, ideal of the hits: the same sum divided by that for hits at ranks 1 to hits: only the order counts, and a
//!   list that found one of ten at the top is perfect. Some published code measures this; it is not comparable.
//!
//! Each is a mean over users. *Repeat* looks only at bought items the member had bought before, *explore* only at the
//! others; a user without any is left out of that mean. The list is the same list: what is measured is how much of
//! each kind it finds.

use super::history::Item;

/// Sums over users of one measure set at one length of list.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub struct Measure {
    /// Users with something to find.
    pub users: u64,
    /// Sum of recall.
    pub recall: f64,
    /// Sum of NDCG with the full ideal.
    pub ndcg: f64,
    /// Sum of NDCG with the ideal of the hits.
    pub ndcg_of_hits: f64,
    /// Users with a hit.
    pub hit: f64,
}

impl Measure {
    /// Adds a user: the proposed list, best first, and what was bought, sorted. Nothing bought: nothing is added.
    pub fn add(&mut self, proposed: &[Item], k: usize, bought: &[Item]) {
        if bought.is_empty() {
            return;
        }
        let (mut hits, mut gain) = (0usize, 0.0);
        for (rank, &item) in proposed.iter().take(k).enumerate() {
            if bought.binary_search(&item).is_ok() {
                hits += 1;
                gain += discount(rank);
            }
        }
        self.users += 1;
        self.recall += hits as f64 / bought.len() as f64;
        self.ndcg += gain / ideal(k.min(bought.len()));
        if hits > 0 {
            self.hit += 1.0;
            self.ndcg_of_hits += gain / ideal(hits);
        }
    }

    /// The means over users; all nothing without users.
    #[must_use]
    pub fn mean(&self) -> Measure {
        let users = self.users.max(1) as f64;
        Measure {
            users: self.users,
            recall: self.recall / users,
            ndcg: self.ndcg / users,
            ndcg_of_hits: self.ndcg_of_hits / users,
            hit: self.hit / users,
        }
    }
}

/// What a hit at this rank, from 0, is worth.
fn discount(rank: usize) -> f64 {
    1.0 / (rank as f64 + 2.0).log2()
}

fn ideal(hits: usize) -> f64 {
    (0..hits).map(discount).sum()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn near(one: f64, other: f64) -> bool {
        (one - other).abs() < 1e-12
    }

    /// Discounts: 1, 0.6309.., 0.5, 0.4306.. at ranks 1 to 4.
    #[test]
    fn are_the_measures_those_computed_by_hand() {
        let third = 1.0 / 3f64.log2();
        let fourth = 1.0 / 5f64.log2();
        let full = 1.0 + third + 0.5;
        type Case = (&'static [Item], usize, &'static [Item], f64, f64, f64, f64);
        // list, k, bought, recall, NDCG, NDCG of hits, hit
        let table: [Case; 6] = [
            (&[1, 2, 3, 4], 4, &[1, 2, 3], 1.0, 1.0, 1.0, 1.0),
            (&[1, 2, 3, 4], 4, &[1, 8, 9], 1.0 / 3.0, 1.0 / full, 1.0, 1.0),
            (
                &[1, 2, 3, 4],
                4,
                &[3, 4, 9],
                2.0 / 3.0,
                (0.5 + fourth) / full,
                (0.5 + fourth) / (1.0 + third),
                1.0,
            ),
            (&[1, 2, 3, 4], 2, &[3, 4, 9], 0.0, 0.0, 0.0, 0.0),
            // More bought than the list is long: the ideal is a list full of hits.
            (&[1, 2], 2, &[1, 2, 3, 4], 0.5, 1.0, 1.0, 1.0),
            // A list shorter than asked for.
            (&[2], 10, &[1, 2], 0.5, 1.0 / (1.0 + third), 1.0, 1.0),
        ];
        for (list, k, bought, recall, ndcg, ndcg_of_hits, hit) in table {
            let mut sum = Measure::default();
            sum.add(list, k, bought);
            let found = sum.mean();
            assert!(
                near(found.recall, recall)
                    && near(found.ndcg, ndcg)
                    && near(found.ndcg_of_hits, ndcg_of_hits)
                    && near(found.hit, hit),
                "{list:?} at {k} against {bought:?}: {found:?}"
            );
        }
    }

    #[test]
    fn is_a_mean_over_those_with_something_to_find() {
        let mut sum = Measure::default();
        assert_eq!(sum.mean(), Measure::default());
        sum.add(&[1], 10, &[1]);
        sum.add(&[1], 10, &[2]);
        sum.add(&[1], 10, &[]);
        assert_eq!((sum.mean().users, sum.mean().recall, sum.mean().hit), (2, 0.5, 0.5));
    }
}
