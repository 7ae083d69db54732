//! Item sets, compiled: names become numbers once, so that asking whether a set holds a unit compares integers.
//!
//! Every set of a book has a number of its own; `near` uses it to add a unit of exactly that set to a basket. Numbers
//! are given in the order of the bundle and never leave the room.

use std::collections::BTreeMap;

use crate::domain::ids::{BrandId, CategoryId, Sku, Tag};
use crate::domain::money::Money;

use super::model::{ItemSet, Reduced};
use super::units::Good;

/// The number of a name that the book does not hold.
pub(super) const UNKNOWN: u32 = u32::MAX;

/// Numbers of names.
#[derive(Debug, Default)]
pub(super) struct Names {
    pub(super) skus: BTreeMap<Sku, u32>,
    pub(super) categories: BTreeMap<CategoryId, u32>,
    pub(super) brands: BTreeMap<BrandId, u32>,
    sets: u32,
}

impl Names {
    /// The number of a name, a new one if it has none yet.
    pub(super) fn number<K: Ord + Clone>(names: &mut BTreeMap<K, u32>, name: &K) -> u32 {
        let next = names.len() as u32;
        *names.entry(name.clone()).or_insert(next)
    }
}

/// An `ItemSet`, compiled.
#[derive(Debug)]
pub(super) struct Set {
    /// Its own number.
    pub(super) number: u32,
    /// Articles, sorted; no restriction if empty (as for the other lists).
    pub(super) skus: Box<[u32]>,
    /// Categories, sorted.
    pub(super) categories: Box<[u32]>,
    /// Brands, sorted.
    pub(super) brands: Box<[u32]>,
    attributes: Box<[(Tag, Box<[Tag]>)]>,
    price_min: Option<Money>,
    price_max: Option<Money>,
    deny_reduced: bool,
    except: Option<Box<Set>>,
    none: bool,
    /// Does it hold every unit there is?
    pub(super) everything: bool,
}

impl Set {
    /// Compiles a set and gives it a number.
    pub(super) fn compile(set: &ItemSet, names: &mut Names) -> Set {
        let number = names.sets;
        names.sets += 1;
        let mut skus: Vec<u32> = set.skus.iter().map(|s| Names::number(&mut names.skus, s)).collect();
        let mut categories: Vec<u32> =
            set.categories.iter().map(|c| Names::number(&mut names.categories, c)).collect();
        let mut brands: Vec<u32> = set.brands.iter().map(|b| Names::number(&mut names.brands, b)).collect();
        for list in [&mut skus, &mut categories, &mut brands] {
            list.sort_unstable();
            list.dedup();
        }
        Set {
            number,
            skus: skus.into(),
            categories: categories.into(),
            brands: brands.into(),
            attributes: set
                .attributes
                .iter()
                .map(|(key, values)| (key.clone(), values.clone().into_boxed_slice()))
                .collect(),
            price_min: set.unit_price_min,
            price_max: set.unit_price_max,
            deny_reduced: set.reduced == Reduced::Deny,
            except: set.except.as_ref().map(|except| Box::new(Set::compile(except, names))),
            none: set.none,
            everything: *set == ItemSet::default(),
        }
    }

    /// Is this unit in the set? A list that is given must match by any of its entries; all given lists must.
    pub(super) fn holds(&self, good: &Good<'_>) -> bool {
        if self.everything {
            return true;
        }
        if let Some(set) = good.only_in {
            return set == self.number;
        }
        let any_of = |list: &[u32], number: u32| list.is_empty() || list.binary_search(&number).is_ok();
        !self.none
            && any_of(&self.skus, good.sku_number)
            && any_of(&self.brands, good.brand)
            && (self.categories.is_empty()
                || good.categories.iter().any(|c| self.categories.binary_search(c).is_ok()))
            && self.price_min.is_none_or(|min| good.shelf >= min)
            && self.price_max.is_none_or(|max| good.shelf <= max)
            && !(self.deny_reduced && good.reduced)
            && self.attributes.iter().all(|(key, values)| {
                good.item.and_then(|item| item.attributes.get(key)).is_some_and(|v| values.contains(v))
            })
            && !self.except.as_ref().is_some_and(|except| except.holds(good))
    }
}
