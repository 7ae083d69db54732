//! What one promotion would give on the units as earlier promotions left them: a `Proposal`, applied by nobody yet.
//!
//! Precedence of what stands in the way: conditions, units of its set, the qualifier's bounds, limits, the benefit's own
//! threshold, nothing off. Every amount is worked out per unit, bounded by the unit's room (what is left of it above
//! its floor, and the caps), and spread by `allocation`. On a weighed unit a fixed price and a floor are per kilogram;
//! an amount off is for the unit.

use std::borrow::Cow;

use crate::domain::ids::Sku;
use crate::domain::money::{Money, Percent};
use crate::limits;

use super::allocation::{Part, share_out, spread};
use super::book::Rule;
use super::conditions;
use super::explain::Why;
use super::model::{
    Base, Benefit, BuyXGetY, CapPick, Gift, LineAmount, Per, Pick, Reward, RoundAt, SpendAndSave,
};
use super::points;
use super::resolution::{Candidate, Sitting};
use super::sets::Set;
use super::units::{ANYBODY, Good, Mark, State};
use super::usage::{self, Allowance};

/// What a promotion would give.
#[derive(Clone, Debug, Default)]
pub(super) struct Proposal<'a> {
    /// Unit by unit, in the order of runs; also units that only qualified.
    pub(super) marks: Vec<Mark>,
    /// Money off.
    pub(super) amount: Money,
    /// Units that receive, or that are given.
    pub(super) units: u32,
    /// Applications.
    pub(super) times: u32,
    /// Points given.
    pub(super) points: i64,
    /// Points it costs.
    pub(super) spend: i64,
    /// Which article is given, and at what price.
    pub(super) gift: Option<(&'a Sku, Money)>,
    /// What it would take to be given more.
    pub(super) next: Option<Why<'a>>,
}

/// Units of one run that the promotion may look at.
#[derive(Clone, Copy, Debug)]
pub(super) struct Take {
    pub(super) run: u32,
    pub(super) good: u32,
    pub(super) qty: u32,
    /// What each costs now.
    pub(super) net: Money,
    /// What each cost on the shelf.
    pub(super) list: Money,
}

impl Take {
    pub(super) fn value(&self, base: Base) -> Money {
        match base {
            Base::List => self.list,
            Base::Running => self.net,
        }
    }
}

/// How many units, and worth how much.
pub(super) fn measure(takes: &[Take], base: Base) -> (u32, Money) {
    takes.iter().fold((0, Money::ZERO), |(qty, amount), take| {
        (qty + take.qty, amount + take.value(base).times(take.qty))
    })
}

/// One promotion at its turn.
pub(super) struct Turn<'s, 'a> {
    pub(super) sitting: &'s Sitting<'a>,
    pub(super) state: &'s State,
    pub(super) rule: &'a Rule,
    pub(super) candidate: Candidate<'a>,
    pub(super) allowance: Allowance<'a>,
    /// Points the shopper can still spend.
    pub(super) spendable: i64,
}

/// What the candidate would give now, or why nothing.
pub(super) fn propose<'a>(
    sitting: &Sitting<'a>,
    state: &State,
    candidate: &Candidate<'a>,
    spendable: i64,
) -> Result<Proposal<'a>, Why<'a>> {
    let rule = candidate.rule;
    if let Some(why) = rule.condition.failed(sitting, state) {
        return Err(why);
    }
    let qualifier = &rule.promotion.qualifier;
    let takes = units_of(sitting, state, rule, &rule.set)?;
    let (qty, amount) = measure(&takes, qualifier.base);
    if let Some(need) = qualifier.qty_min.filter(|need| qty < *need) {
        return Err(Why::Units { seen: qty, need, set: &rule.set });
    }
    if let Some(need) = qualifier.amount_min.filter(|need| amount < *need) {
        return Err(Why::Spent { seen: amount, need, set: &rule.set });
    }
    let allowance = usage::allowance(sitting, rule, candidate)?;
    let turn = Turn { sitting, state, rule, candidate: *candidate, allowance, spendable };
    let proposal = turn.benefit(takes)?;
    match allowance.exceeded(proposal.amount, proposal.points) {
        Some(why) => Err(why),
        None => Ok(proposal),
    }
}

/// Units of a set that are neither stopped nor, for a promotion that consumes, used up.
pub(super) fn units_of<'a>(
    sitting: &Sitting<'a>,
    state: &State,
    rule: &Rule,
    set: &'a Set,
) -> Result<Vec<Take>, Why<'a>> {
    let consumes = rule.promotion.qualifier.consumes;
    let (mut takes, mut any) = (Vec::with_capacity(state.runs.len()), false);
    let mut first = 0;
    for runs in state.runs.chunk_by(|a, b| a.good == b.good) {
        let good = &sitting.goods[runs[0].good as usize];
        if set.holds(good) {
            any = true;
            for (run, of) in (first..).zip(runs) {
                if !(of.stopped || consumes && (of.taken || ![ANYBODY, rule.number].contains(&of.kept))) {
                    takes.push(Take { run, good: of.good, qty: of.qty, net: of.net, list: good.price });
                }
            }
        }
        first += runs.len() as u32;
    }
    match (takes.is_empty(), any) {
        (false, _) => Ok(takes),
        (true, true) => Err(Why::UnitsTaken),
        (true, false) => {
            let need = rule.promotion.qualifier.qty_min.unwrap_or(1).max(1);
            Err(Why::Units { seen: 0, need, set })
        }
    }
}

/// What a unit receives.
#[derive(Clone, Copy)]
pub(super) enum Give {
    Percent(Percent),
    Amount(Money),
    Price(Money),
    MemberPrice,
}

impl From<Reward> for Give {
    fn from(reward: Reward) -> Give {
        match reward {
            Reward::Percent(percent) => Give::Percent(percent),
            Reward::Amount(amount) => Give::Amount(amount),
            Reward::Price(price) => Give::Price(price),
        }
    }
}

impl<'a> Turn<'_, 'a> {
    fn benefit(&self, takes: Vec<Take>) -> Result<Proposal<'a>, Why<'a>> {
        let round_at = self.sitting.book.arithmetic.round_at;
        match &self.rule.promotion.benefit {
            Benefit::LinePercent(percent) => self.on_units(&takes, Give::Percent(*percent), round_at),
            Benefit::LineAmount(amount) => self.line_amount(&takes, amount),
            Benefit::LineFixedPrice(price) => self.on_units(&takes, Give::Price(*price), round_at),
            Benefit::MemberPrice => {
                if self.sitting.sale.shopper.member.is_none() {
                    return Err(Why::NoMember);
                }
                self.on_units(&takes, Give::MemberPrice, round_at)
            }
            Benefit::OrderPercent(percent) => {
                // An order's percentage is one amount: it is rounded once, or once on each line.
                let at = if round_at == RoundAt::Line { RoundAt::Line } else { RoundAt::Total };
                self.on_units(&takes, Give::Percent(*percent), at)
            }
            Benefit::OrderAmount(amount) => self.on_order(&takes, *amount, 1, None),
            Benefit::OrderFixedPrice(price) => {
                let (_, paid) = measure(&takes, Base::Running);
                self.on_order(&takes, paid - *price, 1, None)
            }
            Benefit::SpendAndSave(save) => self.spend_and_save(&takes, save),
            Benefit::BuyXGetY(buy) => self.buy_and_get(takes, buy),
            Benefit::NthItem(nth) => {
                let buy = BuyXGetY {
                    buy: nth.n - 1,
                    get: 1,
                    get_items: None,
                    reward: nth.reward,
                    pick: Pick::Cheapest,
                    partial: false,
                };
                self.groups(takes, &buy, nth.same_sku)
            }
            Benefit::Gift(gift) => self.gift(&takes, gift),
            Benefit::IssueCoupon(_) => {
                let marks = takes.iter().map(qualified).collect();
                Ok(Proposal { marks, times: 1, ..Proposal::default() })
            }
            Benefit::PointsFixed(points) => points::fixed(self, &takes, *points),
            Benefit::PointsRate(rate) => points::rate(self, &takes, rate),
            Benefit::PointsMultiplier(hundredths) => points::multiplier(self, &takes, *hundredths),
            Benefit::PointsRedeem(redeem) => points::redeem(self, &takes, redeem),
        }
    }

    /// How often it may be applied: its cap, and how often it was claimed.
    pub(super) fn times_max(&self) -> u32 {
        let cap = self.rule.promotion.caps.applications.unwrap_or(u32::MAX);
        self.candidate.claim.map_or(cap, |claim| claim.times.min(cap))
    }

    pub(super) fn units_max(&self) -> Option<u32> {
        let (cap, left) = (self.rule.promotion.caps.units, self.allowance.units);
        cap.map_or(left, |cap| Some(left.map_or(cap, |left| left.min(cap))))
    }

    fn good(&self, take: &Take) -> &Good<'a> {
        &self.sitting.goods[take.good as usize]
    }

    /// What may still be taken off one such unit.
    fn room(&self, take: &Take) -> Money {
        let caps = &self.rule.promotion.caps;
        let good = self.good(take);
        let rounding = self.sitting.book.arithmetic.rounding;
        let floor =
            caps.floor_price.map_or(good.floor, |floor| good.floor.max(good.unit_amount(floor, rounding)));
        let room = (take.net - floor).max(Money::ZERO);
        caps.per_unit.map_or(room, |cap| room.min(cap))
    }

    /// The units that receive where caps or limits bind on units.
    fn receiving<'t>(&self, takes: &'t [Take]) -> Cow<'t, [Take]> {
        let caps = &self.rule.promotion.caps;
        if caps.units_per_line.is_none() && self.units_max().is_none() {
            return Cow::Borrowed(takes);
        }
        let mut takes = takes.to_vec();
        if let Some(most) = caps.units_per_line {
            let by_good = takes.chunk_by_mut(|a, b| a.good == b.good);
            by_good.for_each(|takes| keep_first(takes, most, caps.pick));
        }
        if let Some(most) = self.units_max() {
            keep_first(&mut takes, most, caps.pick);
        }
        takes.retain(|take| take.qty > 0);
        takes.sort_unstable_by_key(|take| take.run);
        Cow::Owned(takes)
    }

    fn base(&self) -> Base {
        self.rule.promotion.stacking.base.unwrap_or(self.sitting.book.arithmetic.percent_base)
    }

    pub(super) fn part(&self, take: &Take, weight: Money) -> Part {
        Part { run: take.run, good: take.good, qty: take.qty, weight: weight.0, room: self.room(take).0 }
    }

    fn on_units(&self, takes: &[Take], give: Give, round_at: RoundAt) -> Result<Proposal<'a>, Why<'a>> {
        let marks = self.give(&self.receiving(takes), give, round_at);
        self.finish(marks, 1)
    }

    /// The marks of units that each receive `give`.
    pub(super) fn give(&self, takes: &[Take], give: Give, round_at: RoundAt) -> Vec<Mark> {
        let arithmetic = &self.sitting.book.arithmetic;
        let (base, rounding) = (self.base(), arithmetic.rounding);
        if let (Give::Percent(percent), RoundAt::Line | RoundAt::Total) = (give, round_at) {
            let parts: Vec<Part> = takes.iter().map(|take| self.part(take, take.value(base))).collect();
            let worth =
                |parts: &[Part]| parts.iter().map(|p| Money(p.weight * i64::from(p.qty))).sum::<Money>();
            let spread =
                |parts: &[Part]| spread(percent.of(worth(parts), rounding), parts, None, arithmetic.leftover);
            return match round_at {
                RoundAt::Total => spread(&parts),
                RoundAt::Unit | RoundAt::Line => {
                    parts.chunk_by(|a, b| a.good == b.good).flat_map(spread).collect()
                }
            };
        }
        let mark = |take: &Take| {
            let off = match give {
                Give::Percent(percent) => percent.of(take.value(base), rounding),
                Give::Amount(amount) => amount,
                Give::Price(price) => take.net - self.good(take).unit_amount(price, rounding),
                Give::MemberPrice => {
                    self.good(take).member_price.map_or(Money::ZERO, |price| take.net - price)
                }
            };
            let amount = off.min(self.room(take)).max(Money::ZERO);
            Mark { run: take.run, good: take.good, qty: take.qty, amount, ..Mark::default() }
        };
        takes.iter().map(mark).collect()
    }

    fn line_amount(&self, takes: &[Take], amount: &LineAmount) -> Result<Proposal<'a>, Why<'a>> {
        let receiving = self.receiving(takes);
        let parts = || receiving.iter().map(|take| self.part(take, take.net)).collect::<Vec<Part>>();
        let leftover = self.sitting.book.arithmetic.leftover;
        let marks = match amount.per {
            Per::Unit => self.give(&receiving, Give::Amount(amount.amount), RoundAt::Unit),
            Per::Line => {
                let spread = |parts: &[Part]| spread(amount.amount, parts, None, leftover);
                parts().chunk_by(|a, b| a.good == b.good).flat_map(spread).collect()
            }
            Per::Group => spread(amount.amount, &parts(), None, leftover),
        };
        self.finish(marks, 1)
    }

    /// One amount off all units together.
    fn on_order(
        &self,
        takes: &[Take],
        amount: Money,
        times: u32,
        next: Option<Why<'a>>,
    ) -> Result<Proposal<'a>, Why<'a>> {
        let parts: Vec<Part> = self.receiving(takes).iter().map(|take| self.part(take, take.net)).collect();
        let leftover = self.sitting.book.arithmetic.leftover;
        let marks = spread(amount.max(Money::ZERO), &parts, self.rule.promotion.caps.per_line, leftover);
        Ok(Proposal { next, ..self.finish(marks, times)? })
    }

    fn spend_and_save(&self, takes: &[Take], save: &SpendAndSave) -> Result<Proposal<'a>, Why<'a>> {
        let set = &self.rule.set;
        let (_, spent) = measure(takes, save.base);
        if let Some(every) = &save.every {
            let full = u32::try_from(spent.0.max(0) / every.spend.0).unwrap_or(u32::MAX);
            let times = full.min(self.times_max());
            let need = Money(every.spend.0 * (i64::from(times) + 1));
            let next = Why::Spent { seen: spent, need, set };
            if times == 0 {
                return Err(next);
            }
            let next = (times < self.times_max()).then_some(next);
            return self.on_order(takes, Money(every.save.0.saturating_mul(i64::from(times))), times, next);
        }
        let reached = save.tiers.iter().take_while(|tier| tier.spend <= spent).count();
        let next = save.tiers.get(reached).map(|tier| Why::Spent { seen: spent, need: tier.spend, set });
        let Some(tier) = reached.checked_sub(1).map(|index| save.tiers[index]) else {
            return Err(next.unwrap_or(Why::NothingOff));
        };
        match tier.save {
            Reward::Percent(percent) => {
                let at = match self.sitting.book.arithmetic.round_at {
                    RoundAt::Line => RoundAt::Line,
                    RoundAt::Unit | RoundAt::Total => RoundAt::Total,
                };
                Ok(Proposal { next, ..self.on_units(takes, Give::Percent(percent), at)? })
            }
            Reward::Amount(amount) => self.on_order(takes, amount, 1, next),
            Reward::Price(price) => {
                let (_, paid) = measure(takes, Base::Running);
                self.on_order(takes, paid - price, 1, next)
            }
        }
    }

    fn buy_and_get(&self, takes: Vec<Take>, buy: &BuyXGetY) -> Result<Proposal<'a>, Why<'a>> {
        match &self.rule.get {
            None => self.groups(takes, buy, false),
            Some(get) => self.other_set(&takes, buy, get),
        }
    }

    /// Groups of `buy + get` units of one set, dearest units first; within each group the cheapest (or dearest) receive.
    fn groups(&self, mut takes: Vec<Take>, buy: &BuyXGetY, same_sku: bool) -> Result<Proposal<'a>, Why<'a>> {
        let size = buy.buy + buy.get;
        let sku = |take: &Take| self.good(take).sku;
        takes.sort_by_key(|take| std::cmp::Reverse(take.net));
        if same_sku {
            takes.sort_by(|a, b| sku(a).cmp(sku(b)));
        }
        let mut left = match self.units_max() {
            Some(units) => self.times_max().min(units / buy.get),
            None => self.times_max(),
        };
        let first = match buy.pick {
            Pick::Cheapest => buy.buy,
            Pick::Dearest => 0,
        };
        let (mut receiving, mut used, mut times) = (Vec::new(), Vec::new(), 0);
        let mut missing = u32::MAX;
        for pool in takes.chunk_by(|a, b| !same_sku || sku(a) == sku(b)) {
            let units: u32 = pool.iter().map(|take| take.qty).sum();
            let groups = (units / size).min(left);
            let rest = units - groups * size;
            let part = buy.partial && groups < left && rest > buy.buy && buy.pick == Pick::Cheapest;
            let end = if part { units } else { groups * size };
            missing = missing.min(size - rest.min(size - 1));
            times += groups + u32::from(part);
            left -= groups + u32::from(part);
            // How many of the first `n` units receive: `get` of each full group, then those beyond `first`.
            let among = |n: u32| n / size * buy.get + (n % size).saturating_sub(first).min(buy.get);
            let mut start = 0;
            for take in pool {
                let stop = (start + take.qty).min(end);
                if start < stop {
                    let get = among(stop) - among(start);
                    receiving.push(Take { qty: get, ..*take });
                    used.push(Take { qty: stop - start - get, ..*take });
                }
                start += take.qty;
            }
        }
        if times == 0 {
            let (seen, _) = measure(&takes, Base::List);
            let short = Why::Units { seen, need: seen.saturating_add(missing), set: &self.rule.set };
            return Err(if missing <= size && left > 0 { short } else { Why::NothingOff });
        }
        let (seen, _) = measure(&takes, Base::List);
        let next = (left > 0).then_some(Why::Units { seen, need: seen + missing, set: &self.rule.set });
        self.rewarded(receiving, used, buy.reward, times, next)
    }

    /// `buy` units of one set for `get` units of another; a unit in both serves as one of them only.
    fn other_set(&self, takes: &[Take], buy: &BuyXGetY, get: &'a Set) -> Result<Proposal<'a>, Why<'a>> {
        let others = units_of(self.sitting, self.state, self.rule, get)?;
        let in_both = |take: &Take| get.holds(self.good(take));
        let (bought, _) = measure(takes, Base::List);
        let (offered, _) = measure(&others, Base::List);
        let both: u32 = takes.iter().filter(|take| in_both(take)).map(|take| take.qty).sum();
        let (only_buy, only_get) = (bought - both, offered - both);
        let receivers = |times: u32| {
            let wanted = times.saturating_mul(buy.get);
            if buy.partial { wanted.min(offered) } else { wanted }
        };
        let fits = |times: u32| {
            let from_both = (times.saturating_mul(buy.buy)).saturating_sub(only_buy);
            from_both.saturating_add(receivers(times).saturating_sub(only_get)) <= both
                && receivers(times) > receivers(times - 1)
        };
        let most = (bought / buy.buy).min(offered.div_ceil(buy.get)).min(self.times_max());
        let most = self.units_max().map_or(most, |units| most.min(units / buy.get));
        let mut times = most;
        while times > 0 && !fits(times) {
            times -= 1;
        }
        if times == 0 {
            return Err(if bought < buy.buy {
                Why::Units { seen: bought, need: buy.buy, set: &self.rule.set }
            } else if offered < buy.get {
                Why::Units { seen: offered, need: buy.get, set: get }
            } else {
                let need = bought + (buy.buy + buy.get).saturating_sub(bought).max(1);
                Why::Units { seen: bought, need, set: &self.rule.set }
            });
        }
        let need_buy = times * buy.buy;
        let mut from_both = both - need_buy.saturating_sub(only_buy);
        let mut wanted = receivers(times);
        let mut choice = others;
        choice.sort_by_key(|take| match buy.pick {
            Pick::Cheapest => take.net,
            Pick::Dearest => -take.net,
        });
        let buys = |run: u32| takes.iter().any(|take| take.run == run);
        let mut receiving = Vec::new();
        for take in &choice {
            let shared = buys(take.run);
            let qty = take.qty.min(wanted).min(if shared { from_both } else { u32::MAX });
            wanted -= qty;
            if shared {
                from_both -= qty;
            }
            receiving.push(Take { qty, ..*take });
        }
        let mut payers = takes.to_vec();
        payers.sort_by_key(|take| std::cmp::Reverse(take.net));
        let (mut used, mut wanted) = (Vec::new(), need_buy);
        // Units that cannot receive pay first, so that the shared ones are left to those that must.
        for only_buys in [true, false] {
            for take in payers.iter().filter(|take| in_both(take) != only_buys) {
                let gets: u32 = receiving.iter().filter(|r| r.run == take.run).map(|r| r.qty).sum();
                let qty = (take.qty - gets).min(wanted);
                wanted -= qty;
                used.push(Take { qty, ..*take });
            }
        }
        self.rewarded(receiving, used, buy.reward, times, None)
    }

    /// Some units receive a reward, others were used to qualify.
    fn rewarded(
        &self,
        mut receiving: Vec<Take>,
        used: Vec<Take>,
        reward: Reward,
        times: u32,
        next: Option<Why<'a>>,
    ) -> Result<Proposal<'a>, Why<'a>> {
        receiving.retain(|take| take.qty > 0);
        receiving.sort_unstable_by_key(|take| take.run);
        let marks = self.give(&receiving, reward.into(), self.sitting.book.arithmetic.round_at);
        let mut proposal = self.finish(marks, times)?;
        proposal.marks.extend(used.iter().filter(|take| take.qty > 0).map(qualified));
        proposal.marks.sort_by_key(|mark| mark.run);
        proposal.next = next;
        Ok(proposal)
    }

    fn gift(&self, takes: &[Take], gift: &'a Gift) -> Result<Proposal<'a>, Why<'a>> {
        let set = &self.rule.set;
        let (qty, amount) =
            conditions::count(self.sitting, self.state, set, self.rule.promotion.qualifier.base);
        let mut times = self.times_max();
        let mut next = None;
        if let Some(per) = gift.per_qty {
            times = times.min(qty / per);
            next = Some(Why::Units { seen: qty, need: (qty / per + 1) * per, set });
        }
        if let Some(per) = gift.per_amount {
            times = times.min(u32::try_from(amount.0.max(0) / per.0).unwrap_or(u32::MAX));
            next = Some(Why::Spent { seen: amount, need: Money((amount.0 / per.0 + 1) * per.0), set });
        }
        if gift.per_qty.is_none() && gift.per_amount.is_none() {
            times = times.min(self.candidate.claim.map_or(1, |claim| claim.times));
        }
        if times == 0 {
            return Err(next.unwrap_or(Why::NothingOff));
        }
        let units = self.units_max().unwrap_or(u32::MAX).min(limits::BASKET_UNITS_MAX);
        times = times.min(units / gift.qty);
        match gift.choices.first() {
            Some(sku) if times > 0 => Ok(Proposal {
                marks: takes.iter().map(qualified).collect(),
                units: times * gift.qty,
                times,
                gift: Some((sku, gift.unit_price)),
                next: next.filter(|_| times < self.times_max()),
                ..Proposal::default()
            }),
            _ => Err(Why::NothingOff),
        }
    }

    /// Holds the caps per line and order, counts, and refuses what gives nothing.
    pub(super) fn finish(&self, mut marks: Vec<Mark>, times: u32) -> Result<Proposal<'a>, Why<'a>> {
        let caps = &self.rule.promotion.caps;
        let leftover = self.sitting.book.arithmetic.leftover;
        let total = |marks: &[Mark]| marks.iter().map(|m| m.amount.times(m.qty)).sum::<Money>();
        let held = |cap: Money, marks: &[Mark]| {
            let part = |m: &Mark| Part {
                run: m.run,
                good: m.good,
                qty: m.qty,
                weight: m.amount.0,
                room: m.amount.0,
            };
            spread(cap, &marks.iter().map(part).collect::<Vec<Part>>(), None, leftover)
        };
        if let Some(cap) = caps.per_line {
            let held = |marks: &[Mark]| if total(marks) > cap { held(cap, marks) } else { marks.to_vec() };
            marks = marks.chunk_by(|a, b| a.good == b.good).flat_map(held).collect();
        }
        let mut amount = total(&marks);
        if let Some(cap) = caps.per_order.filter(|cap| amount > *cap) {
            marks = held(cap, &marks);
            amount = total(&marks);
        }
        if !amount.is_positive() {
            return Err(Why::NothingOff);
        }
        let units = marks.iter().filter(|mark| mark.amount.is_positive()).map(|mark| mark.qty).sum();
        Ok(Proposal { marks, amount, units, times, ..Proposal::default() })
    }
}

fn qualified(take: &Take) -> Mark {
    Mark { run: take.run, good: take.good, qty: take.qty, ..Mark::default() }
}

/// Keeps the first `most` units, dearest or cheapest first; the others get a quantity of nothing.
fn keep_first(takes: &mut [Take], most: u32, pick: CapPick) {
    takes.sort_by(|a, b| match pick {
        CapPick::Dearest => b.net.cmp(&a.net).then(a.run.cmp(&b.run)),
        CapPick::Cheapest => a.net.cmp(&b.net).then(a.run.cmp(&b.run)),
    });
    let mut left = most;
    for take in takes {
        take.qty = take.qty.min(left);
        left -= take.qty;
    }
}

/// Integers in proportion to what each unit was paid with, as marks that carry points.
pub(super) fn spread_points(
    points: i64,
    takes: &[Take],
    leftover: crate::domain::money::Leftover,
) -> Vec<Mark> {
    let weights: Vec<(i64, i64)> = takes
        .iter()
        .map(|take| (take.net.0 * i64::from(take.qty), if take.net.is_positive() { points } else { 0 }))
        .collect();
    let mut marks = Vec::with_capacity(takes.len());
    let mut shares = vec![0; takes.len()];
    share_out(points, &weights, leftover, &mut shares);
    for (take, share) in takes.iter().zip(shares) {
        let (each, more) = (share / i64::from(take.qty), (share % i64::from(take.qty)) as u32);
        for (qty, points) in [(more, each + 1), (take.qty - more, each)] {
            if qty > 0 {
                marks.push(Mark { run: take.run, good: take.good, qty, points, ..Mark::default() });
            }
        }
    }
    marks
}
