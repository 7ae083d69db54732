//! Association rules: what baskets that hold some items also hold, as R's `arules` finds them.
//!
//! Frequent sets are found with Eclat (Zaki 2000): each item has the ascending numbers of its baskets, a set has the
//! intersection of its items'. Sets come out in lexicographic order of items sorted by rising frequency, so that the count
//! of any part of a set is a binary search away. Rules have one item on the right.
//!
//! Which sets and rules count is what `apriori` of arules 1.7 does (github mhahsler/arules, `src/rapriori.c`: both bounds
//! are taken one float lower so that rounding never loses a case on the bound; `src/istree.c`, `ist_rule`: a set needs
//! ceil(baskets * support) baskets, a rule a confidence of at least the bound less 1e-12). An empty left side stands for
//! every basket. Lift is confidence times baskets over baskets of the right side.

use std::ops::Range;

use crate::limits;

/// What arules forgives a confidence below its bound.
const CONFIDENCE_SLACK: f64 = 1e-12;

/// Baskets, by item: items are numbers from 0.
#[derive(Clone, Debug, Default)]
pub struct Baskets {
    count: u32,
    of_item: Vec<Vec<u32>>,
    entries: usize,
}

/// Too much for one analysis; what, and how much of it is held.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct TooMuch(pub &'static str, pub usize);

/// What is asked for.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Bounds {
    /// The part of all baskets that hold the whole rule, above 0 and at most 1.
    pub support: f64,
    /// The part of the baskets with the left side that hold the right one, from 0 to 1.
    pub confidence: f64,
    /// Items of a rule, both sides together: at least 1.
    pub items: (usize, usize),
}

/// "Who buys the left side also buys the right one."
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Rule {
    /// Items, rising; empty for every basket.
    pub left: Box<[u32]>,
    /// One item.
    pub right: u32,
    /// Baskets that hold both.
    pub count: u32,
    /// Baskets that hold the left side.
    pub left_count: u32,
    /// Baskets that hold the right side.
    pub right_count: u32,
    /// All baskets.
    pub baskets: u32,
}

impl Rule {
    /// The part of all baskets that hold both sides.
    pub fn support(&self) -> f64 {
        f64::from(self.count) / f64::from(self.baskets)
    }

    /// The part of the left side's baskets that hold the right one.
    pub fn confidence(&self) -> f64 {
        f64::from(self.count) / f64::from(self.left_count)
    }

    /// The part of all baskets that hold the left side.
    pub fn coverage(&self) -> f64 {
        f64::from(self.left_count) / f64::from(self.baskets)
    }

    /// How many times as often as by chance: 1 says nothing.
    pub fn lift(&self) -> f64 {
        self.confidence() * f64::from(self.baskets) / f64::from(self.right_count)
    }
}

/// What was found.
#[derive(Clone, Debug, PartialEq)]
pub struct Mined {
    /// By falling lift, then confidence, then count.
    pub rules: Vec<Rule>,
    /// Frequent sets.
    pub sets: usize,
    /// Baskets a set needed.
    pub count_min: u32,
    /// Whether there may be sets of more items than were allowed.
    pub is_cut: bool,
}

impl Baskets {
    /// Takes one basket; an item in it twice counts once.
    ///
    /// # Errors
    /// There are more baskets or entries than an analysis holds; nothing was taken.
    pub fn add(&mut self, items: impl Iterator<Item = u32>) -> Result<(), TooMuch> {
        if self.count as usize == limits::LAB_BASKETS_MAX {
            return Err(TooMuch("baskets", limits::LAB_BASKETS_MAX));
        }
        for item in items {
            let item = item as usize;
            if self.of_item.len() <= item {
                self.of_item.resize(item + 1, Vec::new());
            }
            let baskets = &mut self.of_item[item];
            if baskets.last() != Some(&self.count) {
                if self.entries == limits::LAB_BASKET_ENTRIES_MAX {
                    return Err(TooMuch("items in all baskets", limits::LAB_BASKET_ENTRIES_MAX));
                }
                self.entries += 1;
                baskets.push(self.count);
            }
        }
        self.count += 1;
        Ok(())
    }

    /// How many there are.
    pub fn count(&self) -> u32 {
        self.count
    }
}

/// Frequent sets in lexicographic order.
#[derive(Default)]
struct Sets {
    items: Vec<u32>,
    /// Where each set's items end, and its count.
    ends: Vec<(usize, u32)>,
}

impl Sets {
    fn push(&mut self, set: &[u32], count: u32) -> Result<(), TooMuch> {
        if self.ends.len() == limits::LAB_ITEMSETS_MAX {
            return Err(TooMuch("frequent sets", limits::LAB_ITEMSETS_MAX));
        }
        self.items.extend_from_slice(set);
        self.ends.push((self.items.len(), count));
        Ok(())
    }

    fn range(&self, index: usize) -> Range<usize> {
        index.checked_sub(1).map_or(0, |before| self.ends[before].0)..self.ends[index].0
    }

    fn count(&self, set: &[u32]) -> Option<u32> {
        let (mut low, mut high) = (0, self.ends.len());
        while low < high {
            let middle = low + (high - low) / 2;
            match self.items[self.range(middle)].cmp(set) {
                std::cmp::Ordering::Less => low = middle + 1,
                std::cmp::Ordering::Equal => return Some(self.ends[middle].1),
                std::cmp::Ordering::Greater => high = middle,
            }
        }
        None
    }
}

/// Finds every rule within the bounds; none if there are no baskets.
///
/// # Errors
/// There are more frequent sets or rules than an analysis holds.
pub fn mine(baskets: &Baskets, bounds: &Bounds) -> Result<Mined, TooMuch> {
    let count_min = (f64::from(baskets.count) * bounds.support.next_down()).ceil().max(1.0) as u32;
    let mut frequent: Vec<(u32, &[u32])> = (baskets.of_item.iter().enumerate())
        .filter(|(_, list)| list.len() >= count_min as usize)
        .map(|(item, list)| (item as u32, list.as_slice()))
        .collect();
    frequent.sort_by_key(|(item, list)| (list.len(), *item));
    let mut search = Search { count_min, items_max: bounds.items.1, sets: Sets::default(), is_cut: false };
    let class: Vec<(u32, &[u32])> =
        frequent.iter().enumerate().map(|(rank, (_, list))| (rank as u32, *list)).collect();
    search.descend(&mut Vec::new(), &class)?;
    let Search { sets, is_cut, .. } = search;
    let mut rules = rules(&sets, &frequent, baskets.count, bounds)?;
    rules.sort_by(|a, b| {
        (b.lift().total_cmp(&a.lift()))
            .then(b.confidence().total_cmp(&a.confidence()))
            .then(b.count.cmp(&a.count))
            .then_with(|| a.cmp(b))
    });
    Ok(Mined { rules, sets: sets.ends.len(), count_min, is_cut })
}

struct Search {
    count_min: u32,
    items_max: usize,
    sets: Sets,
    is_cut: bool,
}

impl Search {
    /// Notes every set that begins with `set` and goes on with one of the class, whose lists are those of the whole sets.
    fn descend(&mut self, set: &mut Vec<u32>, class: &[(u32, &[u32])]) -> Result<(), TooMuch> {
        for (place, (item, list)) in class.iter().enumerate() {
            let later = &class[place + 1..];
            set.push(*item);
            self.sets.push(set, list.len() as u32)?;
            if set.len() < self.items_max {
                let both: Vec<(u32, Vec<u32>)> = (later.iter())
                    .filter_map(|(other, others)| {
                        Some((*other, common(list, others, self.count_min as usize)?))
                    })
                    .collect();
                let next: Vec<(u32, &[u32])> = both.iter().map(|(i, list)| (*i, list.as_slice())).collect();
                self.descend(set, &next)?;
            } else {
                self.is_cut |= !later.is_empty();
            }
            set.pop();
        }
        Ok(())
    }
}

/// What two rising lists share, if that is at least so many.
fn common(a: &[u32], b: &[u32], least: usize) -> Option<Vec<u32>> {
    let (mut shared, mut i, mut j) = (Vec::new(), 0, 0);
    while i < a.len() && j < b.len() {
        // What is left of the shorter one cannot fill the gap.
        if shared.len() + (a.len() - i).min(b.len() - j) < least {
            return None;
        }
        match a[i].cmp(&b[j]) {
            std::cmp::Ordering::Less => i += 1,
            std::cmp::Ordering::Greater => j += 1,
            std::cmp::Ordering::Equal => {
                shared.push(a[i]);
                i += 1;
                j += 1;
            }
        }
    }
    (shared.len() >= least).then_some(shared)
}

/// Each item of each set once on the right, the others on the left.
fn rules(
    sets: &Sets,
    frequent: &[(u32, &[u32])],
    baskets: u32,
    bounds: &Bounds,
) -> Result<Vec<Rule>, TooMuch> {
    let confidence_min = bounds.confidence.next_down() - CONFIDENCE_SLACK;
    let mut rules = Vec::new();
    let mut left = Vec::new();
    for (index, (_, count)) in sets.ends.iter().enumerate() {
        let set = &sets.items[sets.range(index)];
        if set.len() < bounds.items.0 {
            continue;
        }
        for right in set {
            left.clear();
            left.extend(set.iter().filter(|item| *item != right));
            let left_count = if left.is_empty() { baskets } else { sets.count(&left).unwrap_or(baskets) };
            if f64::from(*count) / f64::from(left_count) < confidence_min {
                continue;
            }
            if rules.len() == limits::LAB_RULES_MAX {
                return Err(TooMuch("rules", limits::LAB_RULES_MAX));
            }
            let (right, list) = frequent[*right as usize];
            let mut left: Box<[u32]> = left.iter().map(|rank| frequent[*rank as usize].0).collect();
            left.sort_unstable();
            let right_count = list.len() as u32;
            rules.push(Rule { left, right, count: *count, left_count, right_count, baskets });
        }
    }
    Ok(rules)
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use proptest::prelude::*;

    use super::*;

    fn baskets(rows: &[Vec<u32>]) -> Baskets {
        let mut baskets = Baskets::default();
        rows.iter().for_each(|row| baskets.add(row.iter().copied()).expect("few baskets"));
        baskets
    }

    /// Every left side and every item on the right, counted one basket at a time.
    fn slow(rows: &[Vec<u32>], items: u32, bounds: &Bounds) -> Vec<(Vec<u32>, u32, u32)> {
        let sets: Vec<BTreeSet<u32>> = rows.iter().map(|row| row.iter().copied().collect()).collect();
        let holding = |wanted: u32| {
            let all =
                |basket: &&BTreeSet<u32>| (0..items).all(|i| wanted >> i & 1 == 0 || basket.contains(&i));
            sets.iter().filter(all).count() as f64
        };
        let mut found = Vec::new();
        for set in 1_u32..1 << items {
            let (size, count) = (set.count_ones() as usize, holding(set));
            let enough = (sets.len() as f64 * bounds.support.next_down()).ceil();
            if size < bounds.items.0 || size > bounds.items.1 || count < enough {
                continue;
            }
            for right in (0..items).filter(|i| set >> i & 1 == 1) {
                let left = set & !(1 << right);
                if count / holding(left) >= bounds.confidence - 1e-12 {
                    let left = (0..items).filter(|i| left >> i & 1 == 1).collect();
                    found.push((left, right, count as u32));
                }
            }
        }
        found.sort();
        found
    }

    proptest! {
        #[test]
        fn are_the_rules_those_that_counting_finds(
            rows in prop::collection::vec(prop::collection::vec(0_u32..7, 0..6), 1..40),
            support in 1_u32..20, confidence in 0_u32..=20, least in 1_usize..4, most in 3_usize..8,
        ) {
            let items = (least, most);
            let bounds = Bounds { support: f64::from(support) / 20.0, confidence: f64::from(confidence) / 20.0, items };
            let mined = mine(&baskets(&rows), &bounds).expect("few sets");
            let mut found: Vec<(Vec<u32>, u32, u32)> =
                mined.rules.iter().map(|rule| (rule.left.to_vec(), rule.right, rule.count)).collect();
            found.sort();
            prop_assert_eq!(found, slow(&rows, 7, &bounds));
            prop_assert!(mined.rules.is_sorted_by(|a, b| a.lift() >= b.lift()));
        }
    }

    /// 3 of 10 baskets at a support of 0.3: 10 * 0.3 is exact enough only because the bound is taken one float lower.
    #[test]
    fn does_a_case_on_the_bound_count() {
        for (total, held) in [(10, 3), (10, 7), (1000, 1), (9_835, 59), (300, 33)] {
            let rows: Vec<Vec<u32>> = (0..total).map(|n| if n < held { vec![0] } else { vec![] }).collect();
            let support = f64::from(held) / f64::from(total);
            let bounds = Bounds { support, confidence: support, items: (1, 10) };
            let mined = mine(&baskets(&rows), &bounds).expect("few sets");
            assert_eq!((mined.rules.len(), mined.count_min), (1, held as u32), "{held} of {total}");
        }
    }

    #[test]
    fn are_the_measures_those_of_their_definitions() {
        let rows = [vec![0, 1], vec![0, 1, 1], vec![0], vec![1], vec![]];
        let bounds = Bounds { support: 0.2, confidence: 0.0, items: (2, 2) };
        let mined = mine(&baskets(&rows), &bounds).expect("few sets");
        let rule = mined.rules.iter().find(|rule| rule.right == 1).expect("there is {0} => {1}");
        assert_eq!((rule.count, rule.left_count, rule.right_count, rule.baskets), (2, 3, 3, 5));
        for (found, expected) in [
            (rule.support(), 0.4),
            (rule.confidence(), 2.0 / 3.0),
            (rule.coverage(), 0.6),
            (rule.lift(), 10.0 / 9.0),
        ] {
            assert!((found - expected).abs() < 1e-12, "{found}, not {expected}");
        }
    }

    #[test]
    fn is_it_said_where_longer_sets_were_not_looked_for() {
        let rows = vec![vec![0, 1, 2]; 4];
        let mined = |most| {
            mine(&baskets(&rows), &Bounds { support: 0.5, confidence: 0.5, items: (1, most) })
                .expect("few sets")
        };
        assert!(mined(2).is_cut && !mined(3).is_cut);
        assert_eq!(
            mine(&Baskets::default(), &Bounds { support: 0.5, confidence: 0.5, items: (1, 3) }),
            Ok(Mined { rules: vec![], sets: 0, count_min: 1, is_cut: false })
        );
    }
}
