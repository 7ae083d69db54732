//! What is wrong with a bundle's promotions: every fault at once, each with the path of its field and what to write.
//!
//! The shape was checked when the document was read; here is what the shape cannot say: names that must exist, numbers
//! that must be in range, tiers that must rise.

use std::collections::BTreeSet;

use crate::domain::ids::{CouponId, PromotionId, Sku};
use crate::domain::money::Money;
use crate::domain::text::Texts;
use crate::limits;

use super::book::{BookRules, RuleFault};
use super::model::{
    Audience, Caps, Condition, ItemSet, Limit, LimitScope, PointsRate, PointsRedeem, Promotion, Reward,
    Schedule, StackingMode, Trigger,
};

mod benefits;

struct Check<'a> {
    promotion: Option<&'a PromotionId>,
    faults: Vec<RuleFault>,
}

/// Every fault, in the order of the bundle.
pub(super) fn faults(rules: &BookRules) -> Vec<RuleFault> {
    let mut check = Check { promotion: None, faults: Vec::new() };
    let mut skus: BTreeSet<&Sku> = BTreeSet::new();
    for (index, item) in rules.catalogue.iter().enumerate() {
        let path = format!("catalogue[{index}]");
        if !skus.insert(&item.sku) {
            check.fault(&format!("{path}.sku"), &format!("{} stands twice", item.sku), "remove one of them");
        }
        for (field, price) in [
            ("price", Some(item.price)),
            ("list_price", item.list_price),
            ("member_price", item.member_price),
            ("floor_price", item.floor_price),
        ] {
            price.into_iter().for_each(|price| check.amount(&format!("{path}.{field}"), price, 0));
        }
    }
    check.points_rate("points.earn", rules.points.earn.as_ref());
    check.points_redeem("points.redeem", rules.points.redeem.as_ref());
    let promotions: Vec<&PromotionId> = rules.promotions.iter().map(|promotion| &promotion.id).collect();
    let mut coupons: BTreeSet<&CouponId> = BTreeSet::new();
    for (index, coupon) in rules.coupons.iter().enumerate() {
        if !coupons.insert(&coupon.id) {
            check.fault(
                &format!("coupons[{index}].id"),
                &format!("{} stands twice", coupon.id),
                "give one of them another id",
            );
        }
        let path = format!("coupons[{index}].promotion");
        match promotions.iter().position(|id| **id == coupon.promotion) {
            None => check.fault(
                &path,
                &format!("no promotion is called {}", coupon.promotion),
                "name a promotion of the bundle",
            ),
            Some(at) if rules.promotions[at].trigger != Trigger::Code => check.fault(
                &path,
                &format!("{} is not set off by a code", coupon.promotion),
                "write `trigger = \"code\"` in the promotion",
            ),
            Some(_) => {}
        }
    }
    let mut seen: BTreeSet<&PromotionId> = BTreeSet::new();
    for promotion in &rules.promotions {
        check.promotion = Some(&promotion.id);
        if !seen.insert(&promotion.id) {
            check.fault("id", &format!("{} stands twice", promotion.id), "give one of them another id");
        }
        check.promotion(promotion, &skus, &coupons);
    }
    check.faults
}

impl<'a> Check<'a> {
    fn fault(&mut self, field: &str, message: &str, remedy: &str) {
        self.faults.push(RuleFault {
            promotion: self.promotion.cloned(),
            field: field.to_owned(),
            message: message.to_owned(),
            remedy: remedy.to_owned(),
        });
    }

    fn amount(&mut self, field: &str, amount: Money, least: i64) {
        if !(least..=limits::UNIT_PRICE_MINOR_MAX).contains(&amount.0) {
            self.fault(
                field,
                &format!("{} is not an amount from {least} up", amount.0),
                &format!("write minor units, {least} to {}", limits::UNIT_PRICE_MINOR_MAX),
            );
        }
    }

    fn count(&mut self, field: &str, count: u32, least: u32) {
        if !(least..=limits::BASKET_UNITS_MAX).contains(&count) {
            self.fault(
                field,
                &format!("{count} is out of range"),
                &format!("write a number from {least} to {}", limits::BASKET_UNITS_MAX),
            );
        }
    }

    fn promotion(&mut self, promotion: &'a Promotion, skus: &BTreeSet<&Sku>, coupons: &BTreeSet<&CouponId>) {
        self.titles(&promotion.titles);
        self.schedule(&promotion.schedule);
        self.audience("audience", &promotion.audience, 0);
        self.condition("conditions", &promotion.conditions, 0);
        let qualifier = &promotion.qualifier;
        self.set("qualifier.items", &qualifier.items, 0);
        qualifier.qty_min.into_iter().for_each(|qty| self.count("qualifier.qty_min", qty, 1));
        qualifier.amount_min.into_iter().for_each(|amount| self.amount("qualifier.amount_min", amount, 1));
        self.caps(&promotion.caps);
        self.benefit(promotion, skus, coupons);
        for (index, limit) in promotion.limits.iter().enumerate() {
            let path = format!("limits[{index}]");
            if limit.max <= 0 {
                self.fault(
                    &format!("{path}.max"),
                    &format!("{} lets nothing through", limit.max),
                    "write a number from 1 up, or `active = false` to switch the promotion off",
                );
            }
            let differs = |other: &Limit| {
                other.scope.shares_count(limit.scope) && other.count_cancelled != limit.count_cancelled
            };
            if promotion.limits[..index].iter().any(differs) {
                self.fault(
                    &format!("{path}.count_cancelled"),
                    "differs from that of an earlier limit over the same count",
                    "write the same for all limits of this shop and chain, and for all of the member",
                );
            }
            if limit.scope == LimitScope::Code && promotion.trigger != Trigger::Code {
                self.fault(
                    &format!("{path}.scope"),
                    "a limit per code needs a code",
                    "write `trigger = \"code\"`, or limit by member or store",
                );
            }
        }
        let mode = promotion.stacking.mode;
        if matches!(mode, StackingMode::BestOf | StackingMode::BestOfLine)
            && promotion.stacking.group.is_none()
        {
            self.fault("stacking.group", "weighed against a group, but none is named", "name the group");
        }
        if let Some(most) = promotion.offline.exposure_max {
            self.amount("offline.exposure_max", most, 1);
        }
    }

    fn titles(&mut self, titles: &Texts) {
        if titles.0.is_empty() || titles.0.values().any(|title| title.trim().is_empty()) {
            self.fault(
                "titles",
                "a promotion needs a title",
                "write `titles = { zh-CN = \"...\", en = \"...\" }`",
            );
        }
    }

    fn schedule(&mut self, schedule: &Schedule) {
        if let (Some(from), Some(to)) = (schedule.from, schedule.to)
            && from > to
        {
            self.fault(
                "schedule.to",
                &format!("it ends on {to}, before it begins on {from}"),
                "write a last day that is not before the first",
            );
        }
        for (index, day) in schedule.month_days.iter().enumerate() {
            if !(1..=31).contains(day) {
                let field = format!("schedule.month_days[{index}]");
                self.fault(&field, &format!("no month has a day {day}"), "write days from 1 to 31");
            }
        }
        for (index, window) in schedule.windows.iter().enumerate() {
            if window.from == window.to || window.from.minutes() == 24 * 60 {
                self.fault(
                    &format!("schedule.windows[{index}]"),
                    &format!("{} to {} is no time at all", window.from, window.to),
                    "write a window such as 18:00 to 20:00, or 00:00 to 24:00 for the whole day",
                );
            }
        }
    }

    fn deep(&mut self, field: &str, depth: usize) -> bool {
        let deep = depth > limits::RULE_DEPTH_MAX;
        if deep {
            let remedy = format!("nest at most {} levels", limits::RULE_DEPTH_MAX);
            self.fault(field, "it is nested too deep", &remedy);
        }
        deep
    }

    fn audience(&mut self, field: &str, audience: &Audience, depth: usize) {
        if self.deep(field, depth) {
            return;
        }
        let empty = match audience {
            Audience::Segment(of) => of.is_empty(),
            Audience::Tier(of) => of.is_empty(),
            Audience::Tag(of) | Audience::Group(of) => of.is_empty(),
            Audience::Is(of) => of.is_empty(),
            Audience::Any(of) => of.is_empty(),
            Audience::NthPurchase(n) => *n == 0,
            Audience::Drawn(draw) => draw.wins == 0 || draw.of == 0 || draw.seed.trim().is_empty(),
            Audience::Everyone
            | Audience::Member
            | Audience::Birthday(_)
            | Audience::FirstVisit
            | Audience::All(_)
            | Audience::Not(_) => false,
        };
        if empty {
            self.fault(
                field,
                "it matches nobody",
                "name at least one (a draw: a seed and what wins), or remove it",
            );
        }
        match audience {
            Audience::Any(of) | Audience::All(of) => {
                let each = of.iter().enumerate();
                each.for_each(|(i, a)| self.audience(&format!("{field}[{i}]"), a, depth + 1));
            }
            Audience::Not(of) => self.audience(&format!("{field}.not"), of, depth + 1),
            _ => {}
        }
    }

    fn condition(&mut self, field: &str, condition: &Condition, depth: usize) {
        if self.deep(field, depth) {
            return;
        }
        match condition {
            Condition::All(of) | Condition::Any(of) => {
                if matches!(condition, Condition::Any(of) if of.is_empty()) {
                    self.fault(field, "it never holds", "name at least one condition, or remove it");
                }
                let each = of.iter().enumerate();
                each.for_each(|(i, c)| self.condition(&format!("{field}[{i}]"), c, depth + 1));
            }
            Condition::Not(of) => self.condition(&format!("{field}.not"), of, depth + 1),
            Condition::Items(items) => {
                self.set(&format!("{field}.items"), &items.items, depth + 1);
                if items.qty_min > items.qty_max.or(items.qty_min) {
                    self.fault(
                        &format!("{field}.qty_max"),
                        "it is below qty_min",
                        "write qty_max from qty_min up",
                    );
                }
                if items.amount_min > items.amount_max.or(items.amount_min) {
                    let field = format!("{field}.amount_max");
                    self.fault(&field, "it is below amount_min", "write amount_max from amount_min up");
                }
            }
            Condition::LineQty(line) => {
                self.set(&format!("{field}.items"), &line.items, depth + 1);
                self.count(&format!("{field}.qty_min"), line.qty_min, 1);
            }
            Condition::AllIn(set) => self.set(field, set, depth + 1),
            Condition::Channel(of) if of.is_empty() => {
                self.fault(field, "it names no channel", "name at least one");
            }
            Condition::Device(of) if of.is_empty() => {
                self.fault(field, "it names no device", "name at least one");
            }
            Condition::Zone(of) if of.is_empty() => {
                self.fault(field, "it names no zone", "name at least one")
            }
            Condition::Channel(_) | Condition::Device(_) | Condition::Zone(_) | Condition::Currency(_) => {}
        }
    }

    fn set(&mut self, field: &str, set: &ItemSet, depth: usize) {
        if self.deep(field, depth) {
            return;
        }
        if set.unit_price_min > set.unit_price_max.or(set.unit_price_min) {
            let field = format!("{field}.unit_price_max");
            self.fault(&field, "it is below unit_price_min", "write unit_price_max from unit_price_min up");
        }
        for (mark, values) in &set.attributes {
            if values.is_empty() {
                let field = format!("{field}.attributes.{mark}");
                self.fault(&field, "it names no value", "name at least one value, or remove it");
            }
        }
        if let Some(except) = &set.except {
            self.set(&format!("{field}.except"), except, depth + 1);
        }
    }

    fn caps(&mut self, caps: &Caps) {
        for (field, cap, least) in [
            ("caps.per_unit", caps.per_unit, 1),
            ("caps.per_line", caps.per_line, 1),
            ("caps.per_order", caps.per_order, 1),
            ("caps.floor_price", caps.floor_price, 0),
        ] {
            cap.into_iter().for_each(|cap| self.amount(field, cap, least));
        }
        for (field, cap) in [
            ("caps.applications", caps.applications),
            ("caps.units", caps.units),
            ("caps.units_per_line", caps.units_per_line),
        ] {
            cap.into_iter().for_each(|cap| self.count(field, cap, 1));
        }
    }

    fn reward(&mut self, field: &str, reward: &Reward) {
        match reward {
            Reward::Percent(percent) => self.percent(field, percent.ppm()),
            Reward::Amount(amount) => self.amount(field, *amount, 1),
            Reward::Price(price) => self.amount(field, *price, 0),
        }
    }

    fn percent(&mut self, field: &str, ppm: u32) {
        if ppm == 0 {
            self.fault(
                field,
                "0% takes nothing off",
                "write how much is taken off, for example 15 or \"8.5折\"",
            );
        }
    }

    fn count_points(&mut self, field: &str, points: u32) {
        if points == 0 {
            self.fault(field, "no points are given", "write a number of points from 1 up");
        }
    }

    fn points_rate(&mut self, field: &str, rate: Option<&PointsRate>) {
        if let Some(rate) = rate {
            self.count_points(&format!("{field}.points"), rate.points);
            self.amount(&format!("{field}.per_amount"), rate.per_amount, 1);
        }
    }

    fn points_redeem(&mut self, field: &str, redeem: Option<&PointsRedeem>) {
        if let Some(redeem) = redeem {
            self.count_points(&format!("{field}.points"), redeem.points);
            self.amount(&format!("{field}.amount"), redeem.amount, 1);
            self.percent(&format!("{field}.share_max"), redeem.share_max.ppm());
        }
    }
}
