//! Which items go with which: for each item the few others that came with it most, weighed by how common both are.
//!
//! Three sources are the same table counted over different units: bought by the same member (item-item collaborative
//! filtering), bought in the same basket, bought in the basket after. The weight is the cosine of the two items' columns
//! (Linden, Smith and York 2003), pulled towards nothing where few units say so:
//! `both / sqrt(one * other) * both / (both + SHRINK)`.
//!
//! Baskets also give the association rule of a pair (Agrawal, Imielinski and Swami 1993).

use super::history::{History, Item};
use super::tally::{Tally, top_of};

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

/// How much is counted and kept.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Bounds {
    /// Items of one unit.
    pub items_max: usize,
    /// Pairs of all units.
    pub counted_max: usize,
    /// Others of one item.
    pub kept: usize,
}

/// Another item that goes with one.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Other {
    /// Which.
    pub item: Item,
    /// How much, 0 to 1.
    pub weight: f32,
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
    /// most `items_max` items; of more than `counted_max` pairs, units are left out evenly.
    #[must_use]
    pub fn count(
        history: &History,
        held: usize,
        unit: Unit,
        Bounds { items_max, counted_max, kept }: Bounds,
    ) -> Pairs {
        let item_count = history.item_count();
        let units = Units::of(history, held, unit, items_max).thinned(counted_max);
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
            let weigh = |&to: &Item| {
                let both = tally.get(to);
                let common = (one[item] * other[to as usize]).sqrt();
                (to, both / common * both / (both + SHRINK))
            };
            let met = tally.touched().iter().filter(|&&to| to as usize != item);
            top_of(met.map(weigh), kept, &mut best);
            others.extend(best.iter().map(|&(to, weight)| Other { item: to, weight }));
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
        let weight = self.of(one).iter().find(|found| found.item == other)?.weight;
        let (first, second) = (self.counts[one as usize], self.counts[other as usize]);
        // The weight solved for the baskets that hold both: both^2 = pulled * (both + SHRINK).
        let pulled = weight * (first * second).sqrt();
        let both = (pulled + (pulled * pulled + 4.0 * pulled * SHRINK).sqrt()) / 2.0;
        let confidence = both / first;
        let lift = confidence * self.whole / second;
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

impl Default for Units {
    fn default() -> Units {
        Units { from: Vec::new(), from_ends: vec![0], to: Vec::new(), to_ends: vec![0], weights: Vec::new() }
    }
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

    /// Every so manieth unit, so that at most `counted_max` pairs are counted.
    fn thinned(self, counted_max: usize) -> Units {
        let units = 0..self.weights.len();
        let pairs: usize = units.clone().map(|unit| self.from(unit).len() * self.to(unit).len()).sum();
        if pairs <= counted_max {
            return self;
        }
        let mut thinned = Units::default();
        for unit in units.step_by(pairs.div_ceil(counted_max.max(1))) {
            thinned.push(self.from(unit), self.to(unit), self.weights[unit]);
        }
        thinned
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

#[cfg(test)]
mod tests {
    use super::super::told::Told;
    use super::*;

    const ALL: Bounds = Bounds { items_max: 100, counted_max: usize::MAX, kept: 10 };

    fn pairs(told: &Told, unit: Unit, held: usize, one: &str) -> String {
        let item = told.names.iter().position(|name| name == one).expect("an item") as Item;
        let pairs = Pairs::count(&told.history, held, unit, ALL);
        told.called(pairs.of(item).iter().map(|other| other.item))
    }

    #[test]
    fn does_each_unit_count_its_own_pairs() {
        let told = Told::of(
            "anna: tea biscuit | milk
             bert: tea biscuit | milk
             carl: tea jam | bread",
        );
        // unit, item, what goes with it, best first
        let table = [
            (Unit::Basket, "tea", "biscuit jam"),
            (Unit::Basket, "milk", ""),
            (Unit::Member, "milk", "biscuit tea"),
            (Unit::Member, "bread", "jam tea"),
            (Unit::Step, "biscuit", "milk"),
            (Unit::Step, "tea", "milk bread"),
            (Unit::Step, "milk", ""),
        ];
        for (unit, item, wanted) in table {
            assert_eq!(pairs(&told, unit, 0, item), wanted, "{unit:?} {item}");
        }
        assert_eq!(pairs(&told, Unit::Member, 1, "milk"), "", "the last baskets are held back");
    }

    #[test]
    fn is_a_rule_what_its_definition_says() {
        // Baskets of one item are no baskets of pairs: 4 count. tea in 3, biscuit in 2, both in 2.
        let mut told = Told::of("anna: tea biscuit | tea biscuit | tea jam | jam milk | tea");
        let (tea, biscuit) = (told.item("tea"), told.item("biscuit"));
        let pairs = Pairs::count(&told.history, 0, Unit::Basket, ALL);
        let rule = pairs.rule(tea, biscuit).expect("they meet");
        let near = |found: f32, wanted: f32| (found - wanted).abs() < 1e-5;
        assert!(near(rule.support, 2.0 / 4.0), "{rule:?}");
        assert!(near(rule.confidence, 2.0 / 3.0), "{rule:?}");
        assert!(near(rule.lift, (2.0 / 3.0) / (2.0 / 4.0)), "{rule:?}");
        let wanted = 2.0 / 6f32.sqrt() * 2.0 / (2.0 + SHRINK);
        assert!(near(pairs.weight(tea, biscuit), wanted), "{pairs:?}");
        assert_eq!(pairs.rule(biscuit, told.item("milk")), None);
        assert!(pairs.of(9_999).is_empty());
    }

    #[test]
    fn are_units_left_out_evenly_where_there_are_too_many_pairs() {
        let told = Told::of("anna: a b | c d | e f | g h");
        let few = Pairs::count(&told.history, 0, Unit::Basket, Bounds { counted_max: 8, ..ALL });
        let counted = (0..8).filter(|&item| !few.of(item).is_empty()).count();
        assert_eq!(counted, 4);
    }
}
