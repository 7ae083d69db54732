//! Which promotions could touch a basket: by article, category or brand, so that 10,000 promotions cost what the few
//! that touch cost.
//!
//! Each rule is filed under the narrowest list of one set that a basket must meet: its qualifier's, or, if that is
//! everything, the first set that a condition demands units of. Being filed means "may touch", never "does".

use super::book::{Phase, Rule};
use super::conditions::Cond;
use super::model::Benefit;
use super::sets::{Names, Set};
use super::units::Good;

/// Numbers of rules by what must be in the basket.
#[derive(Debug)]
pub(super) struct Index {
    by_sku: Vec<Vec<u32>>,
    by_category: Vec<Vec<u32>>,
    by_brand: Vec<Vec<u32>>,
    always: Vec<u32>,
}

impl Index {
    pub(super) fn new(rules: &[Rule], names: &Names) -> Index {
        let mut index = Index {
            by_sku: vec![Vec::new(); names.skus.len()],
            by_category: vec![Vec::new(); names.categories.len()],
            by_brand: vec![Vec::new(); names.brands.len()],
            always: Vec::new(),
        };
        // Promotions on the shelf are not asked for by basket: their prices are settled before.
        for (number, rule) in (0..).zip(rules).filter(|(_, rule)| rule.phase != Phase::Shelf) {
            index.file(number, anchor(rule));
        }
        index
    }

    fn file(&mut self, number: u32, set: &Set) {
        let (lists, keys) = if !set.skus.is_empty() {
            (&mut self.by_sku, &set.skus)
        } else if !set.brands.is_empty() {
            (&mut self.by_brand, &set.brands)
        } else if !set.categories.is_empty() {
            (&mut self.by_category, &set.categories)
        } else {
            self.always.push(number);
            return;
        };
        for key in keys {
            lists[*key as usize].push(number);
        }
    }

    /// Rules that could touch these goods, in order of application.
    pub(super) fn touching(&self, goods: &[Good<'_>]) -> Vec<u32> {
        let mut found = self.always.clone();
        let mut add = |lists: &[Vec<u32>], key: u32| {
            if let Some(rules) = lists.get(key as usize) {
                found.extend_from_slice(rules);
            }
        };
        let mut categories: Vec<u32> = goods.iter().flat_map(|good| good.categories).copied().collect();
        let mut brands: Vec<u32> = goods.iter().map(|good| good.brand).collect();
        for list in [&mut categories, &mut brands] {
            list.sort_unstable();
            list.dedup();
        }
        goods.iter().for_each(|good| add(&self.by_sku, good.sku_number));
        categories.into_iter().for_each(|category| add(&self.by_category, category));
        brands.into_iter().for_each(|brand| add(&self.by_brand, brand));
        found.sort_unstable();
        found.dedup();
        found
    }
}

/// The set that decides where a rule is filed.
fn anchor(rule: &Rule) -> &Set {
    let filed = |set: &Set| !(set.skus.is_empty() && set.brands.is_empty() && set.categories.is_empty());
    if filed(&rule.set) || matches!(rule.promotion.benefit, Benefit::BuyXGetY(_) | Benefit::AddOn(_)) {
        return &rule.set;
    }
    if let Some(part) = rule.parts.iter().find(|part| filed(part)) {
        return part;
    }
    demanded(&rule.condition).filter(|set| filed(set)).unwrap_or(&rule.set)
}

/// A set that the condition demands units of.
fn demanded(condition: &Cond) -> Option<&Set> {
    match condition {
        Cond::All(all) => all.iter().find_map(demanded),
        Cond::Items { set, qty_min, amount_min, .. } => {
            let needed = qty_min.is_some_and(|n| n > 0) || amount_min.is_some_and(|a| a.is_positive());
            needed.then_some(set)
        }
        Cond::LineQty { set, .. } | Cond::AllIn(set) => Some(set),
        Cond::Any(_)
        | Cond::Not(_)
        | Cond::Channel(_)
        | Cond::Device(_)
        | Cond::Zone(_)
        | Cond::Currency(_) => None,
    }
}
