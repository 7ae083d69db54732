//! What recorded baskets come to under two sets of rules, side by side. Pure, and the same for the same baskets.
//!
//! Each side keeps its own count of uses, from zero at the first basket: shop, device, member and code, so that a quota of
//! 200 a day is used up here as it would be there. Points of members are as recorded: a run does not spend them.

use std::collections::{BTreeMap, BTreeSet};

use serde::Serialize;

use crate::bundle::Bundle;
use crate::bundle::document::{CodeRecord, MemberRecord};
use crate::domain::basket::Quantity;
use crate::domain::calendar::UnixMs;
use crate::domain::ids::{CouponCode, DeviceId, MemberId, PromotionId, Sku};
use crate::domain::member::{Ledger, Member, Usage, Used};
use crate::domain::money::Money;
use crate::limits;
use crate::pricing::model::Trigger;
use crate::pricing::outcome::{Priced, Reason};
use crate::pricing::{PresentedCode, PriceFault, Right, Sale, Shopper};

use super::baskets::{Buyer, Recorded};

/// One set of rules, with what was used of it so far.
pub(super) struct Side {
    pub(super) bundle: Bundle,
    members: BTreeMap<MemberId, MemberRecord>,
    codes: BTreeMap<CouponCode, CodeRecord>,
    usage: BTreeMap<PromotionId, Usage>,
    of_device: BTreeMap<DeviceId, BTreeMap<PromotionId, Usage>>,
    of_member: BTreeMap<MemberId, BTreeMap<PromotionId, Usage>>,
    of_code: BTreeMap<CouponCode, Usage>,
    visits: BTreeMap<MemberId, u32>,
}

impl Side {
    pub(super) fn new(bundle: Bundle, members: Vec<MemberRecord>, codes: Vec<CodeRecord>) -> Side {
        let normal = |code: CodeRecord| Some((CouponCode::normal(code.code.as_str()).ok()?, code));
        Side {
            bundle,
            members: members.into_iter().map(|member| (member.id.clone(), member)).collect(),
            codes: codes.into_iter().filter_map(normal).collect(),
            usage: BTreeMap::new(),
            of_device: BTreeMap::new(),
            of_member: BTreeMap::new(),
            of_code: BTreeMap::new(),
            visits: BTreeMap::new(),
        }
    }

    fn member(&self, buyer: &Buyer) -> Member {
        let mut member = match buyer {
            Buyer::Known(member) => (**member).clone(),
            Buyer::Named(id) => {
                let known = self.members.get(id);
                let mut ledger = Ledger::beginning(known.map_or(0, |known| known.points), UnixMs(0));
                ledger.visits = self.visits.get(id).copied().unwrap_or_default();
                Member {
                    id: id.clone(),
                    profile: known.map(|known| known.profile.clone()).unwrap_or_default(),
                    ledger,
                    profile_as_of: UnixMs(0),
                    history: None,
                }
            }
        };
        member.ledger.usage = self.of_member.get(&member.id).cloned().unwrap_or_default();
        member
    }

    fn right(
        &self,
        recorded: &Recorded,
        code: &CouponCode,
        member: Option<&Member>,
    ) -> Result<PromotionId, Reason> {
        let issued = self.codes.get(code);
        let listed = self.bundle.generic(code).or_else(|| self.bundle.coupon(&issued?.coupon));
        let Some(coupon) = listed else {
            let told = recorded.rights.get(code).filter(|promotion| {
                self.bundle.book.promotion(promotion).is_some_and(|p| p.trigger == Trigger::Code)
            });
            return told.cloned().ok_or(Reason::CodeUnknown);
        };
        if issued.is_some() && self.of_code.contains_key(code) {
            return Err(Reason::CodeUsed);
        }
        let owner = issued.and_then(|code| code.member.as_ref());
        if owner.is_some_and(|owner| member.is_none_or(|member| member.id != *owner)) {
            return Err(Reason::CodeNotYours);
        }
        match coupon.schedule.closed(&self.bundle.shop.time_zone, recorded.at) {
            Some(reason) => Err(reason),
            None => Ok(coupon.promotion.clone()),
        }
    }

    /// Prices a basket and counts what it uses.
    pub(super) fn price(&mut self, recorded: &Recorded) -> Result<Priced, PriceFault> {
        let today = self.bundle.shop.time_zone.civil(recorded.at).day;
        let member = recorded.buyer.as_ref().map(|buyer| self.member(buyer));
        let codes: Vec<PresentedCode> = recorded
            .basket
            .coupons
            .iter()
            .map(|code| PresentedCode {
                code: code.clone(),
                right: self.right(recorded, code, member.as_ref()).map(Right::from),
                used: self.of_code.get(code).copied().unwrap_or_default(),
            })
            .collect();
        let segments =
            member.as_ref().map(|member| self.bundle.segments.of(member, today)).unwrap_or_default();
        let none = BTreeMap::new();
        let priced = self.bundle.book.price(&Sale {
            basket: &recorded.basket,
            shopper: Shopper {
                member: member.as_ref(),
                segments: &segments,
                now: recorded.at,
                zone: recorded.basket.zone.as_ref(),
            },
            codes: &codes,
            device: &recorded.device,
            channel: recorded.channel,
            usage: &self.usage,
            device_usage: self.of_device.get(&recorded.device).unwrap_or(&none),
            offline_hours: recorded.offline_hours,
            lent: None,
        })?;
        let day = today.number();
        for applied in &priced.applied {
            let used = Used { uses: 1, units: applied.units, money: applied.amount, points: applied.points };
            let of = |usage: &mut BTreeMap<PromotionId, Usage>| {
                usage.entry(applied.promotion.clone()).or_default().count(day, used);
            };
            of(&mut self.usage);
            of(self.of_device.entry(recorded.device.clone()).or_default());
            if let Some(member) = &member {
                of(self.of_member.entry(member.id.clone()).or_default());
            }
            if let Some(code) = &applied.coupon {
                self.of_code.entry(code.clone()).or_default().count(day, used);
            }
        }
        if let Some(member) = member {
            *self.visits.entry(member.id).or_default() += 1;
        }
        Ok(priced)
    }

    /// What one unit of a line cost the shop, where the catalogue says.
    fn unit_cost(&self, sku: &Sku, quantity: Quantity) -> Option<Money> {
        let cost = self.bundle.book.item(sku)?.cost?;
        Some(quantity.unit_amount(cost, self.bundle.shop.arithmetic.rounding))
    }
}

/// All baskets under one side.
#[derive(Clone, Debug, Default, Serialize)]
pub(super) struct Totals {
    gross_minor: i64,
    discount_minor: i64,
    total_minor: i64,
    points_earned: i64,
    points_spent: i64,
    /// Of goods whose cost the catalogue knows, gifts included: what was paid for them, and what they cost.
    margin_net_minor: i64,
    margin_cost_minor: i64,
    margin_minor: i64,
    units_without_cost: u64,
    /// Baskets for which the best combination was not proved, and the most that one could have been better.
    unproved: u64,
    gap_minor_max: i64,
}

/// One promotion under one side.
#[derive(Clone, Debug, Default, Serialize)]
pub(super) struct Reach {
    baskets: u64,
    members: u64,
    discount_minor: i64,
    units: u64,
    times: u64,
    points: i64,
    gifts: u64,
    gifts_cost_minor: i64,
    coupons_issued: u64,
    #[serde(skip)]
    who: BTreeSet<MemberId>,
}

/// One promotion, before and after.
#[derive(Clone, Debug, Default, Serialize)]
pub(super) struct Both {
    pub(super) before: Reach,
    pub(super) after: Reach,
}

#[derive(Clone, Copy, Debug, Default)]
struct Clash {
    before: u64,
    after: u64,
    by: Money,
}

#[derive(Clone, Copy, Debug, Default)]
struct Loss {
    before_units: u64,
    units: u64,
    loss: Money,
}

/// A basket that comes to something else.
#[derive(Clone, Debug, Serialize)]
struct Changed {
    basket: String,
    at: String,
    before_minor: i64,
    after_minor: i64,
    difference_minor: i64,
    because: Vec<Because>,
}

/// A promotion that takes off something else.
#[derive(Clone, Debug, Serialize)]
struct Because {
    promotion: PromotionId,
    before_minor: i64,
    after_minor: i64,
}

/// Everything counted so far.
#[derive(Default)]
pub(super) struct Tally {
    read: u64,
    priced: u64,
    unpriced: BTreeMap<String, u64>,
    members: BTreeSet<MemberId>,
    first: Option<UnixMs>,
    last: Option<UnixMs>,
    before: Totals,
    after: Totals,
    promotions: BTreeMap<PromotionId, Both>,
    clashes: BTreeMap<(PromotionId, PromotionId), Clash>,
    losses: BTreeMap<(PromotionId, Sku), Loss>,
    touched: u64,
    cheaper: (u64, Money),
    dearer: (u64, Money),
    largest: Vec<Changed>,
}

impl Tally {
    pub(super) fn baskets(&self) -> u64 {
        self.read
    }

    /// Prices a basket under both and counts it.
    pub(super) fn take(&mut self, (before, after): (&mut Side, &mut Side), recorded: &Recorded) {
        self.read += 1;
        let both = (before.price(recorded), after.price(recorded));
        self.count((before, after), recorded, both);
    }

    fn count(
        &mut self,
        (before, after): (&Side, &Side),
        recorded: &Recorded,
        both: (Result<Priced, PriceFault>, Result<Priced, PriceFault>),
    ) {
        let (old, new) = match both {
            (Ok(old), Ok(new)) => (old, new),
            (Err(fault), _) | (_, Err(fault)) => {
                *self.unpriced.entry(fault.to_string()).or_default() += 1;
                return;
            }
        };
        self.priced += 1;
        self.first = Some(self.first.map_or(recorded.at, |first| first.min(recorded.at)));
        self.last = Some(self.last.map_or(recorded.at, |last| last.max(recorded.at)));
        let member = recorded.buyer.as_ref().map(|buyer| match buyer {
            Buyer::Named(id) => id,
            Buyer::Known(member) => &member.id,
        });
        self.members.extend(member.cloned());
        self.before.count(before, recorded, &old);
        self.after.count(after, recorded, &new);
        for (side, priced, is_new) in [(before, &old, false), (after, &new, true)] {
            self.count_promotions(side, priced, (is_new, member));
            self.count_losses(side, recorded, (priced, is_new));
        }
        self.touched += u64::from(!new.applied.is_empty());
        self.compare(after, recorded, (&old, &new));
    }

    fn count_promotions(
        &mut self,
        side: &Side,
        priced: &Priced,
        (is_new, member): (bool, Option<&MemberId>),
    ) {
        let mut reach = |promotion: &PromotionId, count: &dyn Fn(&mut Reach)| {
            let both = self.promotions.entry(promotion.clone()).or_default();
            count(if is_new { &mut both.after } else { &mut both.before });
        };
        for applied in &priced.applied {
            reach(&applied.promotion, &|reach| {
                reach.baskets += 1;
                reach.who.extend(member.cloned());
                reach.discount_minor += applied.amount.0;
                reach.units += u64::from(applied.units);
                reach.times += u64::from(applied.times);
                reach.points += applied.points;
            });
        }
        for gift in &priced.gifts {
            let cost = side.unit_cost(&gift.sku, Quantity::Units(1)).unwrap_or_default();
            reach(&gift.promotion, &|reach| {
                reach.gifts += u64::from(gift.qty);
                reach.gifts_cost_minor += (cost - gift.unit_price).times(gift.qty).0;
            });
        }
        for issue in &priced.issues {
            reach(&issue.promotion, &|reach| reach.coupons_issued += 1);
        }
        for not in &priced.not_applied {
            let Some(winner) = &not.loses_to else { continue };
            let clash = self.clashes.entry((not.promotion.clone(), winner.clone())).or_default();
            if is_new {
                clash.after += 1;
                clash.by += not.by.unwrap_or_default();
            } else {
                clash.before += 1;
            }
        }
    }

    /// Units that promotions take below what they cost the shop, by promotion and article.
    fn count_losses(&mut self, side: &Side, recorded: &Recorded, (priced, is_new): (&Priced, bool)) {
        for (line, sold) in recorded.basket.lines.iter().zip(&priced.lines) {
            let Some(cost) = side.unit_cost(&line.sku, line.quantity) else { continue };
            for share in sold.shares.iter().filter(|share| share.net < cost) {
                for discount in &share.discounts {
                    let key = (discount.promotion.clone(), line.sku.clone());
                    let loss = self.losses.entry(key).or_default();
                    if is_new {
                        loss.units += u64::from(share.qty);
                        loss.loss += (cost - share.net).times(share.qty);
                    } else {
                        loss.before_units += u64::from(share.qty);
                    }
                }
            }
        }
    }

    fn compare(&mut self, side: &Side, recorded: &Recorded, (old, new): (&Priced, &Priced)) {
        let difference = new.total - old.total;
        if difference == Money::ZERO {
            return;
        }
        let (count, sum) = if difference.is_positive() { &mut self.dearer } else { &mut self.cheaper };
        *count += 1;
        *sum += difference;
        let mut because: BTreeMap<PromotionId, (Money, Money)> = BTreeMap::new();
        for applied in &old.applied {
            because.entry(applied.promotion.clone()).or_default().0 += applied.amount;
        }
        for applied in &new.applied {
            because.entry(applied.promotion.clone()).or_default().1 += applied.amount;
        }
        let because = because.into_iter().filter(|(_, (before, after))| before != after);
        self.largest.push(Changed {
            basket: recorded.name.clone(),
            at: side.bundle.shop.time_zone.format(recorded.at),
            before_minor: old.total.0,
            after_minor: new.total.0,
            difference_minor: difference.0,
            because: because
                .map(|(promotion, (before, after))| Because {
                    promotion,
                    before_minor: before.0,
                    after_minor: after.0,
                })
                .collect(),
        });
        if self.largest.len() > 2 * limits::SIMULATE_LISTED_MAX {
            self.keep_largest();
        }
    }

    /// Ties: the earlier basket stays.
    fn keep_largest(&mut self) {
        self.largest.sort_by_key(|changed| std::cmp::Reverse(changed.difference_minor.abs()));
        self.largest.truncate(limits::SIMULATE_LISTED_MAX);
    }

    /// The report, in an order that depends on nothing but the figures.
    pub(super) fn report(mut self, (before, after): (&Side, &Side)) -> Report {
        self.keep_largest();
        for both in self.promotions.values_mut() {
            for reach in [&mut both.before, &mut both.after] {
                reach.members = reach.who.len() as u64;
            }
        }
        let mut conflicts: Vec<Conflict> = self
            .clashes
            .into_iter()
            .map(|((loser, winner), clash)| Conflict {
                loser,
                winner,
                before: clash.before,
                after: clash.after,
                by_minor: clash.by.0,
            })
            .collect();
        conflicts.sort_by_key(|conflict| std::cmp::Reverse((conflict.after, conflict.before)));
        let mut below_cost: Vec<BelowCost> = self
            .losses
            .into_iter()
            .map(|((promotion, sku), loss)| BelowCost {
                promotion,
                sku,
                units_before: loss.before_units,
                units: loss.units,
                loss_minor: loss.loss.0,
            })
            .collect();
        below_cost.sort_by_key(|loss| std::cmp::Reverse((loss.loss_minor, loss.units_before)));
        let stamp = |at: Option<UnixMs>| at.map(|at| after.bundle.shop.time_zone.format(at));
        let reference = |side: &Side| side.bundle.reference.clone();
        Report {
            rules_before: json_reference(&reference(before)),
            rules_after: json_reference(&reference(after)),
            baskets: Baskets {
                read: self.read,
                priced: self.priced,
                unpriced: self.read - self.priced,
                unpriced_because: self.unpriced,
                touched: self.touched,
                members: self.members.len() as u64,
                first: stamp(self.first),
                last: stamp(self.last),
            },
            before: self.before,
            after: self.after,
            changes: Changes {
                same: self.priced - self.cheaper.0 - self.dearer.0,
                cheaper: self.cheaper.0,
                cheaper_minor: self.cheaper.1.0,
                dearer: self.dearer.0,
                dearer_minor: self.dearer.1.0,
                largest: self.largest,
            },
            promotions: self.promotions,
            conflicts,
            below_cost,
        }
    }
}

fn json_reference(reference: &crate::domain::ids::BundleRef) -> String {
    match reference.version {
        0 => "a folder".to_owned(),
        version => format!("version {version} ({})", reference.hash),
    }
}

impl Totals {
    fn count(&mut self, side: &Side, recorded: &Recorded, priced: &Priced) {
        self.gross_minor += priced.subtotal.0;
        self.discount_minor += priced.discount_total.0;
        self.total_minor += priced.total.0;
        self.points_earned += priced.points.earn;
        self.points_spent += priced.points.spend;
        let mut margin = |units: u32, cost: Option<Money>, net: Money| match cost {
            Some(cost) => {
                self.margin_net_minor += net.0;
                self.margin_cost_minor += cost.times(units).0;
            }
            None => self.units_without_cost += u64::from(units),
        };
        for (line, sold) in recorded.basket.lines.iter().zip(&priced.lines) {
            margin(sold.units, side.unit_cost(&line.sku, line.quantity), sold.net);
        }
        for gift in &priced.gifts {
            let cost = side.unit_cost(&gift.sku, Quantity::Units(1));
            margin(gift.qty, cost, gift.unit_price.times(gift.qty));
        }
        self.margin_minor = self.margin_net_minor - self.margin_cost_minor;
        if !priced.resolution.proved {
            self.unproved += 1;
            self.gap_minor_max = self.gap_minor_max.max(priced.resolution.gap.0);
        }
    }
}

/// What a simulation says.
#[derive(Clone, Debug, Serialize)]
pub(super) struct Report {
    pub(super) rules_before: String,
    pub(super) rules_after: String,
    pub(super) baskets: Baskets,
    pub(super) before: Totals,
    pub(super) after: Totals,
    pub(super) changes: Changes,
    pub(super) promotions: BTreeMap<PromotionId, Both>,
    pub(super) conflicts: Vec<Conflict>,
    pub(super) below_cost: Vec<BelowCost>,
}

/// Which baskets.
#[derive(Clone, Debug, Serialize)]
pub(super) struct Baskets {
    pub(super) read: u64,
    pub(super) priced: u64,
    pub(super) unpriced: u64,
    pub(super) unpriced_because: BTreeMap<String, u64>,
    /// Those to which some promotion of the new rules applies.
    pub(super) touched: u64,
    pub(super) members: u64,
    pub(super) first: Option<String>,
    pub(super) last: Option<String>,
}

/// Baskets whose total changes.
#[derive(Clone, Debug, Serialize)]
pub(super) struct Changes {
    pub(super) same: u64,
    pub(super) cheaper: u64,
    pub(super) cheaper_minor: i64,
    pub(super) dearer: u64,
    pub(super) dearer_minor: i64,
    largest: Vec<Changed>,
}

/// A promotion that lost to another.
#[derive(Clone, Debug, Serialize)]
pub(super) struct Conflict {
    pub(super) loser: PromotionId,
    pub(super) winner: PromotionId,
    pub(super) before: u64,
    pub(super) after: u64,
    /// By how much under the new rules, where that can be said.
    by_minor: i64,
}

/// Goods that promotions sell below what they cost.
#[derive(Clone, Debug, Serialize)]
pub(super) struct BelowCost {
    pub(super) promotion: PromotionId,
    pub(super) sku: Sku,
    pub(super) units_before: u64,
    pub(super) units: u64,
    pub(super) loss_minor: i64,
}

impl Report {
    /// For people, in the shop's currency.
    pub(super) fn lines(&self, after: &Side, lang: crate::domain::text::Lang) -> Vec<String> {
        super::words::lines(self, after, lang)
    }
}

impl Changes {
    /// The largest ones: basket, before, after, and the promotions that make the difference.
    pub(super) fn largest(&self) -> impl Iterator<Item = (&str, i64, i64, Vec<(&PromotionId, i64, i64)>)> {
        self.largest.iter().map(|changed| {
            let because = changed.because.iter().map(|b| (&b.promotion, b.before_minor, b.after_minor));
            (&*changed.basket, changed.before_minor, changed.after_minor, because.collect())
        })
    }
}

impl Totals {
    /// What people look at first: goods at shelf prices, taken off, to pay, margin.
    pub(super) fn figures(&self) -> [i64; 4] {
        [self.gross_minor, self.discount_minor, self.total_minor, self.margin_minor]
    }

    /// Goods whose cost is not known, and baskets without a proof.
    pub(super) fn doubts(&self) -> (u64, u64) {
        (self.units_without_cost, self.unproved)
    }
}

impl Reach {
    /// Baskets, members and money off.
    pub(super) fn figures(&self) -> (u64, u64, i64) {
        (self.baskets, self.members, self.discount_minor + self.gifts_cost_minor)
    }
}
