//! What is wrong with a promotion's benefit, and with where it stands in a sale.

use std::collections::BTreeSet;

use crate::domain::ids::{CouponId, Sku};
use crate::domain::money::Money;
use crate::limits;

use super::super::model::{
    AddOn, Benefit, BuyXGetY, Combo, FirstAndFurther, Gift, IssueCoupon, Markdown, Per, PointsReward,
    Promotion, SetReward, Sets, SpendAndSave, StackingMode, Stage, Tiered, Trigger,
};
use super::Check;

impl<'a> Check<'a> {
    pub(super) fn benefit(
        &mut self,
        promotion: &'a Promotion,
        skus: &BTreeSet<&Sku>,
        coupons: &BTreeSet<&CouponId>,
    ) {
        match &promotion.benefit {
            Benefit::LinePercent(percent) => self.percent("benefit.line_percent", percent.ppm()),
            Benefit::OrderPercent(percent) => self.percent("benefit.order_percent", percent.ppm()),
            Benefit::LineAmount(amount) => self.amount("benefit.line_amount.amount", amount.amount, 1),
            Benefit::OrderAmount(amount) => self.amount("benefit.order_amount", *amount, 1),
            Benefit::LineFixedPrice(price) => self.amount("benefit.line_fixed_price", *price, 0),
            Benefit::OrderFixedPrice(price) => self.amount("benefit.order_fixed_price", *price, 0),
            Benefit::MemberPrice => {}
            Benefit::SpendAndSave(save) => self.spend_and_save(save),
            Benefit::BuyXGetY(buy) => self.buy_and_get(buy),
            Benefit::NthItem(nth) => {
                self.count("benefit.nth_item.n", nth.n, 2);
                self.reward("benefit.nth_item.reward", &nth.reward);
                if !(1..=nth.n).contains(&nth.nth) {
                    let message = format!("a group has no unit number {}", nth.nth);
                    self.fault("benefit.nth_item.nth", &message, &format!("write 1 to {}", nth.n));
                }
            }
            Benefit::Tiered(tiered) => self.tiered(tiered),
            Benefit::FirstAndFurther(amounts) => self.first_and_further(amounts),
            Benefit::Sets(sets) => self.sets(sets),
            Benefit::Combo(combo) => self.combo(combo),
            Benefit::AddOn(add_on) => self.add_on(add_on),
            Benefit::Markdown(markdown) => self.markdown(markdown),
            Benefit::Gift(gift) => self.gift("benefit.gift", gift, skus),
            Benefit::PointsFixed(points) => self.count_points("benefit.points_fixed", *points),
            Benefit::PointsRate(offer) => {
                self.count_points("benefit.points_rate.points", offer.points);
                self.amount("benefit.points_rate.per_amount", offer.per_amount, 1);
            }
            Benefit::PointsPerUnit(points) => self.count_points("benefit.points_per_unit", *points),
            Benefit::PointsMultiplier(hundredths) => {
                if !(101..=10_000).contains(hundredths) {
                    self.fault(
                        "benefit.points_multiplier",
                        &format!("{hundredths} hundredths give nothing more, or too much"),
                        "write hundredths from 101 to 10000: 200 is double points",
                    );
                }
            }
            Benefit::PointsRedeem(reward) => {
                self.points_reward(reward, skus, coupons);
                if promotion.trigger == Trigger::Auto {
                    self.fault(
                        "trigger",
                        "points are not spent unless the shopper asks",
                        "write `trigger = \"claim\"`",
                    );
                }
            }
            Benefit::IssueCoupon(issue) => self.issue("benefit.issue_coupon", issue, coupons),
        }
        self.stage(promotion);
    }

    /// A promotion on the shelf changes the price of whole articles, for every shopper it is for.
    fn stage(&mut self, promotion: &Promotion) {
        let field = "stacking.stage";
        let earns = matches!(
            promotion.benefit,
            Benefit::PointsFixed(_)
                | Benefit::PointsRate(_)
                | Benefit::PointsPerUnit(_)
                | Benefit::PointsMultiplier(_)
        );
        if promotion.stacking.stage.is_some() && earns {
            self.fault(field, "points are earned last, whatever stands here", "remove it");
        }
        if promotion.stacking.stage != Some(Stage::Shelf) {
            return;
        }
        let whole = match &promotion.benefit {
            Benefit::LinePercent(_)
            | Benefit::LineFixedPrice(_)
            | Benefit::MemberPrice
            | Benefit::Markdown(_) => true,
            Benefit::LineAmount(amount) => amount.per == Per::Unit,
            _ => false,
        };
        let caps = &promotion.caps;
        let capped = caps.units.or(caps.units_per_line).or(caps.applications).is_some()
            || caps.per_line.or(caps.per_order).is_some();
        let mode = promotion.stacking.mode;
        if !whole || capped || !promotion.limits.is_empty() {
            self.fault(
                field,
                "a shelf price is the same for every unit, so it takes no caps on units or amounts, no limits, and no \
                 benefit over several units",
                "leave the stage out, or write a percentage, an amount per unit or a price without caps and limits",
            );
        }
        if mode == StackingMode::Exclusive {
            self.fault(
                "stacking.mode",
                "no shelf price stands alone in a sale",
                "write `stop_further` with a high priority",
            );
        }
    }

    fn issue(&mut self, path: &str, issue: &IssueCoupon, coupons: &BTreeSet<&CouponId>) {
        if !coupons.contains(&issue.coupon) {
            let message = format!("no coupon is called {}", issue.coupon);
            self.fault(&format!("{path}.coupon"), &message, "name a coupon of the bundle");
        }
        self.count(&format!("{path}.valid_days"), u32::from(issue.valid_days), 1);
    }

    fn points_reward(&mut self, reward: &PointsReward, skus: &BTreeSet<&Sku>, coupons: &BTreeSet<&CouponId>) {
        let path = "benefit.points_redeem";
        self.count_points(&format!("{path}.points"), reward.points);
        let given = [
            reward.amount.is_some(),
            reward.percent.is_some(),
            reward.free_units.is_some(),
            reward.gift.is_some(),
            reward.coupon.is_some(),
        ];
        if given.into_iter().filter(|given| *given).count() != 1 {
            self.fault(
                path,
                "points are given for exactly one thing",
                "write one of `amount`, `percent`, `free_units`, `gift`, `coupon`",
            );
        }
        reward.amount.into_iter().for_each(|amount| self.amount(&format!("{path}.amount"), amount, 1));
        reward.percent.into_iter().for_each(|of| self.percent(&format!("{path}.percent"), of.ppm()));
        reward.free_units.into_iter().for_each(|units| self.count(&format!("{path}.free_units"), units, 1));
        self.percent(&format!("{path}.share_max"), reward.share_max.ppm());
        if let Some(gift) = &reward.gift {
            self.gift(&format!("{path}.gift"), gift, skus);
        }
        if let Some(issue) = &reward.coupon {
            self.issue(&format!("{path}.coupon"), issue, coupons);
        }
    }

    /// Steps must rise, and there must be some, not too many.
    fn rising(&mut self, path: &str, steps: &[u64]) {
        if steps.is_empty() {
            self.fault(path, "there is no step", "write at least one");
        }
        if steps.len() > limits::SPEND_TIERS_MAX {
            let remedy = format!("write at most {}", limits::SPEND_TIERS_MAX);
            self.fault(path, "there are too many steps", &remedy);
        }
        for (index, pair) in steps.windows(2).enumerate() {
            if pair[0] >= pair[1] {
                let field = format!("{path}[{}]", index + 1);
                self.fault(
                    &field,
                    "it does not rise above the step before it",
                    "write the steps in rising order",
                );
            }
        }
    }

    fn tiered(&mut self, tiered: &Tiered) {
        let path = "benefit.tiered.tiers";
        self.rising(path, &tiered.tiers.iter().map(|tier| tier.from).collect::<Vec<u64>>());
        for (index, tier) in tiered.tiers.iter().enumerate() {
            self.reward(&format!("{path}[{index}].give"), &tier.give);
        }
    }

    fn first_and_further(&mut self, amounts: &FirstAndFurther) {
        let path = "benefit.first_and_further";
        self.amount(&format!("{path}.first"), amounts.first, 0);
        self.amount(&format!("{path}.further"), amounts.further, 0);
        amounts.units.into_iter().for_each(|units| self.count(&format!("{path}.units"), units, 1));
        if amounts.first == Money::ZERO && amounts.further == Money::ZERO {
            self.fault(path, "nothing is taken off", "write an amount for the first or for further units");
        }
    }

    fn sets(&mut self, sets: &Sets) {
        let path = "benefit.sets.sizes";
        let mut units: Vec<u64> = sets.sizes.iter().map(|size| u64::from(size.units)).collect();
        units.sort_unstable();
        self.rising(path, &units);
        for (index, size) in sets.sizes.iter().enumerate() {
            self.count(&format!("{path}[{index}].units"), size.units, 1);
            self.set_reward(&format!("{path}[{index}].give"), size.give);
        }
    }

    fn set_reward(&mut self, field: &str, give: SetReward) {
        match give {
            SetReward::Percent(percent) => self.percent(field, percent.ppm()),
            SetReward::Amount(amount) | SetReward::UnitAmount(amount) => self.amount(field, amount, 1),
            SetReward::Price(price) | SetReward::UnitPrice(price) => self.amount(field, price, 0),
        }
    }

    fn combo(&mut self, combo: &Combo) {
        let path = "benefit.combo";
        if combo.parts.len() < 2 {
            self.fault(
                &format!("{path}.parts"),
                "one part is no combination",
                "write two or more parts, or use `sets`",
            );
        }
        for (index, part) in combo.parts.iter().enumerate() {
            self.set(&format!("{path}.parts[{index}].items"), &part.items, 0);
            self.count(&format!("{path}.parts[{index}].units"), part.units, 1);
        }
        self.set_reward(&format!("{path}.give"), combo.give);
    }

    fn add_on(&mut self, add_on: &AddOn) {
        let path = "benefit.add_on";
        self.set(&format!("{path}.items"), &add_on.items, 0);
        self.reward(&format!("{path}.reward"), &add_on.reward);
        self.count(&format!("{path}.units"), add_on.units, 1);
        add_on.per_qty.into_iter().for_each(|qty| self.count(&format!("{path}.per_qty"), qty, 1));
        add_on.per_amount.into_iter().for_each(|per| self.amount(&format!("{path}.per_amount"), per, 1));
    }

    fn markdown(&mut self, markdown: &Markdown) {
        let path = "benefit.markdown.steps";
        let mut left: Vec<u64> = markdown.steps.iter().map(|step| u64::from(step.left)).collect();
        left.reverse();
        self.rising(path, &left);
        for (index, step) in markdown.steps.iter().enumerate() {
            self.percent(&format!("{path}[{index}].off"), step.off.ppm());
        }
    }

    fn spend_and_save(&mut self, save: &SpendAndSave) {
        let path = "benefit.spend_and_save";
        if save.tiers.is_empty() == save.every.is_none() {
            self.fault(path, "it needs either `tiers` or `every`, and not both", "write exactly one of them");
        }
        if save.tiers.len() > limits::SPEND_TIERS_MAX {
            let remedy = format!("write at most {}", limits::SPEND_TIERS_MAX);
            self.fault(&format!("{path}.tiers"), "there are too many tiers", &remedy);
        }
        for (index, tier) in save.tiers.iter().enumerate() {
            self.amount(&format!("{path}.tiers[{index}].spend"), tier.spend, 1);
            self.reward(&format!("{path}.tiers[{index}].save"), &tier.save);
            if index > 0 && save.tiers[index - 1].spend >= tier.spend {
                self.fault(
                    &format!("{path}.tiers[{index}].spend"),
                    "it does not rise above the tier before it",
                    "write the tiers from the lowest to the highest",
                );
            }
        }
        if let Some(every) = &save.every {
            self.amount(&format!("{path}.every.spend"), every.spend, 1);
            self.amount(&format!("{path}.every.save"), every.save, 1);
        }
    }

    fn buy_and_get(&mut self, buy: &BuyXGetY) {
        let path = "benefit.buy_x_get_y";
        self.count(&format!("{path}.buy"), buy.buy, 1);
        self.count(&format!("{path}.get"), buy.get, 1);
        self.reward(&format!("{path}.reward"), &buy.reward);
        if let Some(set) = &buy.get_items {
            self.set(&format!("{path}.get_items"), set, 0);
        }
    }

    fn gift(&mut self, path: &str, gift: &Gift, skus: &BTreeSet<&Sku>) {
        if gift.choose == 0 || gift.choose as usize > gift.choices.len().max(1) {
            let field = format!("{path}.choose");
            let message = format!("{} of {} articles cannot be chosen", gift.choose, gift.choices.len());
            self.fault(&field, &message, "write a number from 1 to the number of choices");
        }
        self.count(&format!("{path}.qty"), gift.qty, 1);
        self.amount(&format!("{path}.unit_price"), gift.unit_price, 0);
        if gift.choices.is_empty() {
            self.fault(&format!("{path}.choices"), "nothing is given", "name at least one article");
        }
        for (index, sku) in gift.choices.iter().enumerate() {
            if !skus.contains(sku) {
                let field = format!("{path}.choices[{index}]");
                let message = format!("the catalogue does not hold {sku}");
                self.fault(&field, &message, "name an article of the catalogue, or add it there");
            }
        }
        gift.per_qty.into_iter().for_each(|qty| self.count(&format!("{path}.per_qty"), qty, 1));
        gift.per_amount.into_iter().for_each(|per| self.amount(&format!("{path}.per_amount"), per, 1));
    }
}
