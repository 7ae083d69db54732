//! What a scan shows: the promotions open to this shopper now, the most personal first, each with why.
//!
//! Coupons held come first, then by how closely the audience is drawn, then in the order of application. Looked at are
//! schedule, audience and the conditions no basket is needed for (zone, currency); limits per member that are used up
//! hide an offer, limits of the shop do not.

use crate::domain::calendar::Day;
use crate::domain::ids::{CouponCode, PromotionId};
use crate::domain::member::HeldCoupon;
use crate::domain::text::Texts;

use super::Shopper;
use super::book::{Book, Rule};
use super::conditions::Cond;
use super::eligibility::{self, Moment};
use super::model::{Audience, LimitMeasure, LimitScope, Trigger};

/// A promotion open to a shopper.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct OpenOffer {
    /// Which; titles and texts are in the book.
    pub promotion: PromotionId,
    /// The code to present, where the shopper holds one.
    pub coupon: Option<CouponCode>,
    /// The last day it can be had, where it has one.
    pub last_day: Option<Day>,
    /// Why this shopper sees it, in one sentence.
    pub reason: Texts,
}

impl Book {
    /// What a scan shows: at most `max` offers, the most personal first.
    pub fn offers(&self, shopper: &Shopper<'_>, max: usize) -> Vec<OpenOffer> {
        let moment = Moment::new(&self.zone, shopper.now);
        let mut offers = Vec::new();
        let held = shopper.member.map_or(&[][..], |member| &member.ledger.coupons);
        for coupon in held.iter().filter(|coupon| coupon.expires >= shopper.now) {
            let Some(number) = self.number(&coupon.promotion) else { continue };
            let rule = &self.rules[number as usize];
            if rule.promotion.trigger == Trigger::Code && self.open(rule, shopper, &moment) {
                offers.push(self.held_offer(rule, coupon));
            }
        }
        for number in &self.showing {
            if offers.len() >= max {
                break;
            }
            let rule = &self.rules[*number as usize];
            let waits = rule.promotion.trigger == Trigger::Code;
            if !waits && self.open(rule, shopper, &moment) {
                offers.push(OpenOffer {
                    promotion: rule.promotion.id.clone(),
                    coupon: None,
                    last_day: rule.promotion.schedule.to,
                    reason: reason(&rule.promotion.audience),
                });
            }
        }
        offers.truncate(max);
        offers
    }

    /// Is the shopper of this audience?
    pub fn audience_matches(&self, audience: &Audience, shopper: &Shopper<'_>) -> bool {
        let moment = Moment::new(&self.zone, shopper.now);
        eligibility::left_out(audience, shopper, &moment).is_none()
    }

    fn held_offer(&self, rule: &Rule, coupon: &HeldCoupon) -> OpenOffer {
        let expires = self.zone.civil(coupon.expires).day;
        OpenOffer {
            promotion: rule.promotion.id.clone(),
            coupon: Some(coupon.code.clone()),
            last_day: Some(rule.promotion.schedule.to.map_or(expires, |to| to.min(expires))),
            reason: Texts::both("您有一张优惠券", "you hold a coupon for it"),
        }
    }

    fn open(&self, rule: &Rule, shopper: &Shopper<'_>, moment: &Moment) -> bool {
        let promotion = &rule.promotion;
        let used_up = || {
            let usage = shopper.member.and_then(|member| member.ledger.usage.get(&promotion.id));
            promotion.limits.iter().any(|limit| {
                limit.scope == LimitScope::Member
                    && limit.measure == LimitMeasure::Uses
                    && usage.is_some_and(|usage| i64::from(usage.uses) >= limit.max)
            })
        };
        promotion.active
            && eligibility::left_out(&promotion.audience, shopper, moment).is_none()
            && eligibility::schedule_closed(&promotion.schedule, moment).is_none()
            && self.here(&rule.condition, shopper)
            && !used_up()
    }

    /// Do the conditions hold that no basket is needed for?
    fn here(&self, condition: &Cond, shopper: &Shopper<'_>) -> bool {
        match condition {
            Cond::All(all) => all.iter().all(|condition| self.here(condition, shopper)),
            Cond::Zone(zones) => shopper.zone.is_none_or(|zone| zones.contains(zone)),
            Cond::Currency(code) => *code == self.currency.code,
            Cond::Any(_)
            | Cond::Not(_)
            | Cond::Items { .. }
            | Cond::LineQty { .. }
            | Cond::AllIn(_)
            | Cond::Channel(_)
            | Cond::Device(_) => true,
        }
    }
}

fn reason(audience: &Audience) -> Texts {
    match audience {
        Audience::Everyone | Audience::Not(_) => Texts::both("人人可享", "open to everyone"),
        Audience::Member => Texts::both("会员专享", "for members"),
        Audience::Tier(_) => Texts::both("您的会员等级专享", "for your tier"),
        Audience::Segment(_) | Audience::Tag(_) | Audience::Group(_) => {
            Texts::both("根据您的购物习惯推荐", "chosen for shoppers like you")
        }
        Audience::Is(_) => Texts::both("您的专属优惠", "for you alone"),
        Audience::Drawn(_) => Texts::both("恭喜中奖", "you have been drawn"),
        Audience::Birthday(_) => Texts::both("祝您生日快乐", "for your birthday"),
        Audience::FirstVisit => Texts::both("新会员首单礼", "for your first purchase"),
        Audience::NthPurchase(n) => {
            Texts::both(&format!("您的第 {n} 单专享"), &format!("for your purchase number {n}"))
        }
        Audience::Any(of) | Audience::All(of) => {
            of.iter().max_by_key(|a| super::book::personal(a)).map_or_else(Texts::default, reason)
        }
    }
}
