//! Alternatives for an item: of the same category, near in price, and bought by the same members on other days.
//!
//! Two items that the same members buy, but not together, stand in for each other; two that meet in baskets go with each
//! other. So an alternative's score is how near the prices are, times one and what members buy instead.

use super::history::Item;
use super::model::{Model, Proposal, Reason};
use super::tally::top;

/// What an item is, by number.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Attributes {
    /// Its category, by number; two items without a category are not alike.
    pub category: Option<u32>,
    /// Its price in minor units; 0 where there is none.
    pub price_minor: i64,
}

/// Items by category.
#[derive(Clone, Debug, Default)]
pub struct Content {
    items: Vec<Attributes>,
    /// Sorted by category, then item.
    by_category: Vec<(u32, Item)>,
}

impl Content {
    /// Of every item, in the order of its number.
    #[must_use]
    pub fn new(items: Vec<Attributes>) -> Content {
        let with = (0u32..).zip(&items).filter_map(|(item, of)| Some((of.category?, item)));
        let mut by_category: Vec<(u32, Item)> = with.collect();
        by_category.sort_unstable();
        Content { items, by_category }
    }

    /// At most `k` alternatives, best first, none of them in the basket. Nothing for an item that is not known or has no
    /// category. The model is asked what members buy instead; without one the price decides.
    #[must_use]
    pub fn alternatives(
        &self,
        item: Item,
        basket: &[Item],
        model: Option<&Model>,
        k: usize,
    ) -> Vec<Proposal> {
        let Some(Attributes { category: Some(category), price_minor }) =
            self.items.get(item as usize).copied()
        else {
            return Vec::new();
        };
        let from = self.by_category.partition_point(|&(other, _)| other < category);
        let same = self.by_category[from..].iter().take_while(|&&(other, _)| other == category);
        let mut scored: Vec<(Item, f32)> = same
            .filter(|&&(_, other)| other != item && !basket.contains(&other))
            .map(|&(_, other)| {
                let near = nearness(price_minor, self.items[other as usize].price_minor);
                (other, near * (1.0 + model.map_or(0.0, |model| model.instead(item, other))))
            })
            .collect();
        top(&mut scored, k);
        let proposal = |(other, score)| Proposal { item: other, score, reason: Reason::SimilarTo(item) };
        scored.into_iter().map(proposal).collect()
    }
}

/// 1 for the same price, a half for twice or half of it; a half where a price is not known.
fn nearness(one: i64, other: i64) -> f32 {
    if one <= 0 || other <= 0 {
        return 0.5;
    }
    let (low, high) = (one.min(other), one.max(other));
    (low as f64 / high as f64) as f32
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn are_alternatives_of_the_category_and_near_in_price() {
        let of = |category, price_minor| Attributes { category, price_minor };
        let content = Content::new(vec![
            of(Some(1), 100),
            of(Some(1), 400),
            of(Some(2), 100),
            of(Some(1), 90),
            of(None, 100),
            of(Some(1), 0),
        ]);
        let items = |item, basket: &[Item], k| -> Vec<Item> {
            content.alternatives(item, basket, None, k).iter().map(|found| found.item).collect()
        };
        assert_eq!(items(0, &[], 9), [3, 5, 1]);
        assert_eq!(items(0, &[3], 1), [5]);
        assert!(items(4, &[], 9).is_empty() && items(2, &[], 9).is_empty() && items(77, &[], 9).is_empty());
        assert_eq!(content.alternatives(0, &[], None, 1)[0].reason, Reason::SimilarTo(0));
    }
}
