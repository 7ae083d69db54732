//! Which items go with which: for each item the few others that came with it most, weighed by how common both are.
//!
//! Three sources are the same table counted over different units: bought by the same member (item-item collaborative
//! filtering), bought in the same basket, bought in the basket after. The weight is the cosine of the two items' columns
//! (Linden, Smith and York 2003), pulled towards nothing where few units say so:
//! `both / sqrt(one * other) * both / (both + SHRINK)`.
//!
//! Baskets also give the association rule of a pair (Agrawal, Imielinski and Swami 1993).

use super::history::{History, Item};
use super::tally::{Tally, top};

/// Units that have to say so before a weight is half its cosine.
const SHRINK: f32 = 2.0;

/// What pairs are counted in.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Unit {
    /// Members: each item with every other the member bought; of many items, those bought last.
    Member,
    /// Baskets: each item with every other in it.
    Basket,
    /// A basket and the one after: each item with every item bought next, itself left out.
    Step,
}

/// Another item that goes with one.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Other {
    /// Which.
    pub item: Item,
    /// How much, 0 to 1.
    pub weight: f32,
    /// Weight of the units that hold both.
    both: f32,
}

/// "Who puts `one` in the basket also takes `other`."
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Rule {
    /// Baskets with both, as a part of all.
    pub support: f32,
    /// Baskets with both, as a part of those with the one.
    pub confidence: f32,
    /// The confidence to what it is over all baskets: above 1 the one calls for the other.
    pub lift: f32,
}

/// For each item the others that go with it, best first.
#[derive(Clone, Debug)]
pub struct Pairs {
    ends: Vec<u32>,
    others: Vec<Other>,
    /// Weight of the units that hold an item.
    counts: Vec<f32>,
    /// Weight of all units.
    whole: f32,
}

impl Pairs {
    /// Counts pairs without the members' last `held` baskets, and keeps the `kept` best of each item. A unit gives at
    /// most `items_max` items.
    #[must_use]
    pub fn count(history: &History, held: usize, unit: Unit, items_max: usize, kept: usize) -> Pairs {
        let item_count = history.item_count();
        let units = Units::of(history, held, unit, items_max);
        let (one, other) = units.counts(item_count);
        let (starts, holders) = units.holders(item_count);
        let mut ends = vec![0];
        let mut others: Vec<Other> = Vec::new();
        let (mut tally, mut best) = (Tally::default(), Vec::new());
        for item in 0..item_count {
            tally.clear(item_count);
            for &holder in &holders[starts[item] as usize..starts[item + 1] as usize] {
                let weight = units.weights[holder as usize];
                for &to in units.to(holder as usize) {
                    tally.add(to, weight);
                }
            }
            best.clear();
            for &to in tally.touched().iter().filter(|&&to| to as usize != item) {
                let both = tally.get(to);
                let common = (one[item] * other[to as usize]).sqrt();
                best.push((to, both / common * both / (both + SHRINK)));
            }
            top(&mut best, kept);
            others.extend(best.iter().map(|&(to, weight)| Other { item: to, weight, both: tally.get(to) }));
            ends.push(others.len() as u32);
        }
        Pairs { ends, others, counts: one, whole: units.weights.iter().sum() }
    }

    /// What goes with an item, best first; nothing for an item that was never bought.
    #[must_use]
    pub fn of(&self, item: Item) -> &[Other] {
        let item = item as usize;
        if item + 1 >= self.ends.len() {
            return &[];
        }
        &self.others[self.ends[item] as usize..self.ends[item + 1] as usize]
    }

    /// How much `other` goes with `one`: nothing where it is not among the best.
    #[must_use]
    pub fn weight(&self, one: Item, other: Item) -> f32 {
        self.of(one).iter().find(|found| found.item == other).map_or(0.0, |found| found.weight)
    }

    /// The rule from one item to another, where `other` is among the best of `one`. Only baskets of two items or more
    /// count, and each counts as one.
    #[must_use]
    pub fn rule(&self, one: Item, other: Item) -> Option<Rule> {
        let both = self.of(one).iter().find(|found| found.item == other)?.both;
        let confidence = both / self.counts[one as usize];
        let lift = confidence * self.whole / self.counts[other as usize];
        Some(Rule { support: both / self.whole, confidence, lift })
    }

    /// Bytes held.
    #[must_use]
    pub fn bytes(&self) -> usize {
        size_of_val(&self.ends[..]) + size_of_val(&self.others[..]) + size_of_val(&self.counts[..])
    }
}

/// Units that pairs are counted in: from each item of one list to each other item of another.
struct Units {
    from: Vec<Item>,
    from_ends: Vec<u32>,
    to: Vec<Item>,
    to_ends: Vec<u32>,
    weights: Vec<f32>,
}

impl Units {
    fn of(history: &History, held: usize, unit: Unit, items_max: usize) -> Units {
        let mut units = Units {
            from: Vec::new(),
            from_ends: vec![0],
            to: Vec::new(),
            to_ends: vec![0],
            weights: Vec::new(),
        };
        let (mut seen, mut items) = (Tally::default(), Vec::new());
        let few = |items: &[Item]| items.len().min(items_max);
        for (_, past) in history.pasts(held) {
            match unit {
                Unit::Member => {
                    seen.clear(history.item_count());
                    items.clear();
                    for &item in past.iter().rev().flatten() {
                        if seen.get(item) == 0.0 && items.len() < items_max {
                            seen.add(item, 1.0);
                            items.push(item);
                        }
                    }
                    // Who buys everything says little about any two things.
                    units.push(&items, &items, long(items.len()));
                }
                Unit::Basket => {
                    for basket in past.iter().filter(|basket| basket.len() > 1) {
                        let basket = &basket[..few(basket)];
                        units.push(basket, basket, 1.0);
                    }
                }
                Unit::Step => {
                    for at in 1..past.len() {
                        let (before, after) = (past.basket(at - 1), past.basket(at));
                        units.push(&before[..few(before)], &after[..few(after)], long(before.len()));
                    }
                }
            }
        }
        units
    }

    fn push(&mut self, from: &[Item], to: &[Item], weight: f32) {
        self.from.extend_from_slice(from);
        self.to.extend_from_slice(to);
        self.from_ends.push(self.from.len() as u32);
        self.to_ends.push(self.to.len() as u32);
        self.weights.push(weight);
    }

    fn from(&self, unit: usize) -> &[Item] {
        &self.from[self.from_ends[unit] as usize..self.from_ends[unit + 1] as usize]
    }

    fn to(&self, unit: usize) -> &[Item] {
        &self.to[self.to_ends[unit] as usize..self.to_ends[unit + 1] as usize]
    }

    /// Weight of the units with an item on either side.
    fn counts(&self, item_count: usize) -> (Vec<f32>, Vec<f32>) {
        let (mut one, mut other) = (vec![0.0; item_count], vec![0.0; item_count]);
        for (unit, &weight) in self.weights.iter().enumerate() {
            for &item in self.from(unit) {
                one[item as usize] += weight;
            }
            for &item in self.to(unit) {
                other[item as usize] += weight;
            }
        }
        (one, other)
    }

    /// For each item the units it is in, on the side pairs start from.
    fn holders(&self, item_count: usize) -> (Vec<u32>, Vec<u32>) {
        let mut starts = vec![0u32; item_count + 1];
        for &item in &self.from {
            starts[item as usize + 1] += 1;
        }
        for item in 0..item_count {
            starts[item + 1] += starts[item];
        }
        let mut at = starts.clone();
        let mut holders = vec![0u32; self.from.len()];
        for unit in 0..self.weights.len() {
            for &item in self.from(unit) {
                holders[at[item as usize] as usize] = unit as u32;
                at[item as usize] += 1;
            }
        }
        (starts, holders)
    }
}

/// What a list of so many items weighs.
fn long(items: usize) -> f32 {
    1.0 / (1.0 + items as f32).ln().max(1.0)
}
