//! What the shop sells: one `Item` per sku, with the prices and marks promotions look at.

use std::collections::BTreeMap;

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::ids::{BrandId, CategoryId, Sku, Tag};
use super::money::Money;
use super::text::Texts;

/// How an item is sold.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum SoldBy {
    /// By the piece: `price` is for one.
    #[default]
    Piece,
    /// By weight: `price` is for 1,000 grams. A weighed line is one unit.
    Kilogram,
}

/// An article of the assortment.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Item {
    /// As scanned.
    pub sku: Sku,
    /// What people read.
    #[serde(default)]
    pub names: Texts,
    /// Shelf price in minor units, per piece or per kilogram.
    pub price: Money,
    /// Strike-through price, where the shelf price is already reduced.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub list_price: Option<Money>,
    /// Price for members, where there is one.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub member_price: Option<Money>,
    /// Floor: no promotion takes a unit below it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub floor_price: Option<Money>,
    /// What the shop pays, for margins.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub cost: Option<Money>,
    /// By piece or by weight.
    #[serde(default)]
    pub sold_by: SoldBy,
    /// From the root of the assortment to the leaf; a promotion on any of them meets the item.
    #[serde(default)]
    pub categories: Vec<CategoryId>,
    /// Its brand.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub brand: Option<BrandId>,
    /// Further marks, for example `season = "spring-festival"`.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub attributes: BTreeMap<Tag, Tag>,
}

impl Item {
    /// Is the shelf price below the list price?
    pub fn is_reduced(&self, unit_price: Money) -> bool {
        self.list_price.is_some_and(|list| unit_price < list)
    }
}
