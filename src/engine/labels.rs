//! What the shelf should say: what one unit of each article costs anybody now.
//!
//! An article's label is the price of one piece, or of 1,000 grams, for nobody in particular: no member, no code, no claim,
//! nothing else in the basket. What promotions on the shelf and on single units take off counts; what needs a whole
//! basket does not, however dear the article. A promotion with a limit is told with `limited`: its price ends with it.
//! Pure: the moment is an argument, so what changes at a minute is known by working out both sides of it.

use std::collections::BTreeMap;

use crate::bundle::Bundle;
use crate::domain::basket::{Basket, Channel, Line, Quantity};
use crate::domain::calendar::UnixMs;
use crate::domain::catalog::{Item, SoldBy};
use crate::domain::ids::{DeviceId, LineId, PromotionId, Sku};
use crate::domain::money::Money;
use crate::pricing::model::Benefit;
use crate::pricing::{Sale, Shopper};

use super::reply::Label;

/// The labels of all articles at a moment, by sku.
pub fn labels(bundle: &Bundle, now: UnixMs) -> Vec<Label> {
    let device = DeviceId::new("shelf").expect("a constant id is valid");
    let mut all: Vec<Label> = bundle.book.items().map(|item| label(bundle, item, &device, now)).collect();
    all.sort_by(|a, b| a.sku.cmp(&b.sku));
    all
}

fn label(bundle: &Bundle, item: &Item, device: &DeviceId, now: UnixMs) -> Label {
    let quantity = match item.sold_by {
        SoldBy::Piece => Quantity::Units(1),
        SoldBy::Kilogram => Quantity::Grams(1_000),
    };
    let line = LineId::new("1").expect("a constant id is valid");
    let line = Line { line, sku: item.sku.clone(), quantity, unit_price: None };
    let basket = Basket { lines: vec![line], ..Basket::default() };
    let nothing = BTreeMap::new();
    let priced = bundle.book.price(&Sale {
        basket: &basket,
        shopper: Shopper { member: None, segments: &[], now, zone: None },
        codes: &[],
        device,
        channel: Channel::default(),
        usage: &nothing,
        device_usage: &nothing,
        offline_hours: None,
        lent: None,
    });
    let mut off: Vec<(&PromotionId, Money)> = Vec::new();
    if let Ok(priced) = &priced {
        off.extend(priced.shelf.iter().map(|change| (&change.promotion, change.amount)));
        let discounts = priced.lines.iter().flat_map(|line| &line.discounts);
        off.extend(
            discounts
                .map(|discount| (&discount.promotion, discount.amount))
                .filter(|(id, _)| is_of_a_unit(bundle, id)),
        );
    }
    let price = item.price - off.iter().map(|(_, amount)| *amount).sum();
    let most = off.iter().max_by_key(|(id, amount)| (*amount, std::cmp::Reverse(*id)));
    let promotion = most.and_then(|(id, _)| bundle.book.promotion(id));
    let otherwise = item.list_price.map_or(item.price, |list| list.max(item.price));
    Label {
        sku: item.sku.clone(),
        price,
        instead_of: (otherwise > price).then_some(otherwise),
        sold_by: item.sold_by,
        promotion: promotion.map(|promotion| promotion.id.clone()),
        title: promotion.map(|promotion| promotion.titles.get(bundle.shop.lang).to_owned()),
        limited: off.iter().filter_map(|(id, _)| bundle.book.promotion(id)).any(|one| !one.limits.is_empty()),
    }
}

/// Does it take off whatever else is in the basket?
fn is_of_a_unit(bundle: &Bundle, id: &PromotionId) -> bool {
    bundle.book.promotion(id).is_some_and(|promotion| {
        matches!(
            promotion.benefit,
            Benefit::LinePercent(_)
                | Benefit::LineAmount(_)
                | Benefit::LineFixedPrice(_)
                | Benefit::FirstAndFurther(_)
                | Benefit::Markdown(_)
        )
    })
}

/// What is new or other in `after`, and which articles are gone; both by sku.
pub fn changes(before: &[Label], after: &[Label]) -> (Vec<Label>, Vec<Sku>) {
    let known: BTreeMap<&Sku, &Label> = before.iter().map(|label| (&label.sku, label)).collect();
    let new: Vec<Label> =
        after.iter().filter(|label| known.get(&label.sku) != Some(label)).cloned().collect();
    let gone =
        before.iter().filter(|label| after.binary_search_by(|other| other.sku.cmp(&label.sku)).is_err());
    (new, gone.map(|label| label.sku.clone()).collect())
}
