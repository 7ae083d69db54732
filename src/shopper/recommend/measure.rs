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
    /// Adds a user: the proposed list, best first, and what was bought. Nothing bought: nothing is added.
    pub fn add(&mut self, proposed: &[Item], k: usize, bought: impl Fn(Item) -> bool, bought_count: usize) {
        if bought_count == 0 {
            return;
        }
        let (mut hits, mut gain) = (0usize, 0.0);
        for (rank, &item) in proposed.iter().take(k).enumerate() {
            if bought(item) {
                hits += 1;
                gain += discount(rank);
            }
        }
        self.users += 1;
        self.recall += hits as f64 / bought_count as f64;
        self.ndcg += gain / ideal(k.min(bought_count));
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
