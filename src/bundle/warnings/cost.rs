//! Promotions that sell below what the shop pays: the worst basket of each alone, held against the catalogue's costs.
//!
//! The worst basket holds one article in the quantity that the promotion asks for and takes the largest step. Articles
//! that cost more than their price already, or that have no cost, say nothing. What several promotions do together
//! depends on baskets and is `bundle simulate`'s matter; what is free beside another article is meant to be free.

use crate::domain::catalog::Item;
use crate::domain::money::{Money, Percent, Rounding};
use crate::pricing::model::{Benefit, Caps, Condition, Per, Promotion, Reward, SetReward};

use super::{Adviser, Said, path};

/// Off `units` units at `price` each.
struct Worst {
    off: Money,
    units: u32,
}

impl Adviser<'_> {
    /// The article it sells furthest below its cost.
    pub(super) fn below_cost(&self, promotion: &Promotion) -> Option<Said> {
        let items = self.shelves.of(&promotion.qualifier.items, self.fixed_prices).into_iter();
        let under = items.filter_map(|item| {
            let cost = item.cost.filter(|cost| item.price >= *cost)?;
            let lowest = lowest(promotion, item)?;
            (lowest < cost).then_some((cost - lowest, lowest, cost, item))
        });
        let under: Vec<_> = under.collect();
        let (_, lowest, cost, item) = under.iter().max_by_key(|(by, ..)| *by)?;
        let more = match under.len() {
            1 => String::new(),
            count => format!("; so do {} others", count - 1),
        };
        let message =
            format!("sells {} down to {} a unit, and it costs the shop {}{more}", item.sku, lowest.0, cost.0);
        Some((path(&["benefit"]), message))
    }
}

/// What a unit of the article is sold for in the worst basket.
fn lowest(promotion: &Promotion, item: &Item) -> Option<Money> {
    let asked = units_asked(promotion, item.price);
    let worst = worst(&promotion.benefit, item, asked)?;
    let units = worst.units.max(1);
    let off = capped(&promotion.caps, worst.off, units);
    let each = Money(off.0 / i64::from(units));
    let floor = item.floor_price.max(promotion.caps.floor_price).unwrap_or(Money::ZERO);
    Some((item.price - each).max(floor.min(item.price)))
}

/// Units of an article of this price that must be bought before anything is given.
fn units_asked(promotion: &Promotion, price: Money) -> u32 {
    let by_amount = |least: Money| {
        let units =
            if price.is_positive() { least.0.max(0) as u64 / price.0 as u64 } else { u64::from(u32::MAX) };
        let whole = units.saturating_mul(price.0.max(0) as u64) >= least.0.max(0) as u64;
        u32::try_from(units.saturating_add(u64::from(!whole))).unwrap_or(u32::MAX)
    };
    let conditions = super::never::tops(&promotion.conditions);
    let asked = conditions.into_iter().map(|condition| match condition {
        Condition::Items(items) => items.qty_min.unwrap_or(1).max(items.amount_min.map_or(1, by_amount)),
        Condition::LineQty(line) => line.qty_min,
        _ => 1,
    });
    let qualifier = &promotion.qualifier;
    let own = qualifier.qty_min.unwrap_or(1).max(qualifier.amount_min.map_or(1, by_amount));
    asked.fold(own, u32::max).max(1)
}

fn capped(caps: &Caps, off: Money, units: u32) -> Money {
    let per_unit = caps.per_unit.map(|cap| cap.times(units));
    [per_unit, caps.per_line, caps.per_order].into_iter().flatten().fold(off, Money::min)
}

/// The most that a reward takes off a unit.
fn off(reward: &Reward, price: Money) -> Money {
    match reward {
        Reward::Percent(percent) => share(*percent, price),
        Reward::Amount(amount) => (*amount).min(price),
        Reward::Price(fixed) => (price - *fixed).max(Money::ZERO),
    }
}

fn share(percent: Percent, amount: Money) -> Money {
    percent.of(amount, Rounding::HalfUp)
}

fn worst(benefit: &Benefit, item: &Item, asked: u32) -> Option<Worst> {
    let price = item.price;
    let each = |off: Money| Some(Worst { off, units: 1 });
    let once = |off: Money| {
        let worth = price.times(asked);
        Some(Worst { off: off.min(worth), units: asked })
    };
    match benefit {
        Benefit::LinePercent(percent) | Benefit::OrderPercent(percent) => each(share(*percent, price)),
        Benefit::LineAmount(amount) => match amount.per {
            Per::Unit => each(amount.amount.min(price)),
            Per::Line | Per::Group => once(amount.amount),
        },
        Benefit::LineFixedPrice(fixed) => each(off(&Reward::Price(*fixed), price)),
        Benefit::MemberPrice => each(off(&Reward::Price(item.member_price?), price)),
        Benefit::OrderAmount(amount) => once(*amount),
        Benefit::SpendAndSave(save) => {
            // On a basket that just reaches a step.
            let ratio = |spend: Money, saved: Money| {
                Money(
                    i64::try_from(i128::from(price.0) * i128::from(saved.0) / i128::from(spend.0.max(1)))
                        .unwrap_or(price.0),
                )
            };
            let tiers = save.tiers.iter().map(|tier| ratio(tier.spend, off(&tier.save, tier.spend)));
            let every = save.every.iter().map(|every| ratio(every.spend, every.save));
            each(tiers.chain(every).max()?.min(price))
        }
        Benefit::BuyXGetY(buy) if buy.get_items.is_none() => {
            let units = buy.buy.saturating_add(buy.get);
            Some(Worst { off: off(&buy.reward, price).times(buy.get), units })
        }
        Benefit::NthItem(nth) => Some(Worst { off: off(&nth.reward, price), units: nth.n }),
        Benefit::Tiered(tiered) => each(tiered.tiers.iter().map(|tier| off(&tier.give, price)).max()?),
        Benefit::FirstAndFurther(amounts) => each(amounts.first.min(price)),
        Benefit::Sets(sets) => {
            let of = |units: u32, give: &SetReward| {
                let worth = price.times(units);
                let off = match give {
                    SetReward::Price(fixed) => (worth - *fixed).max(Money::ZERO),
                    SetReward::Percent(percent) => share(*percent, worth),
                    SetReward::Amount(amount) => (*amount).min(worth),
                    SetReward::UnitPrice(fixed) => off(&Reward::Price(*fixed), price).times(units),
                    SetReward::UnitAmount(amount) => (*amount).min(price).times(units),
                };
                Worst { off, units }
            };
            let sizes = sets.sizes.iter().map(|size| of(size.units, &size.give));
            sizes.max_by_key(|worst| worst.off.0 / i64::from(worst.units.max(1)))
        }
        Benefit::Markdown(markdown) => each(share(markdown.steps.iter().map(|step| step.off).max()?, price)),
        _ => None,
    }
}
