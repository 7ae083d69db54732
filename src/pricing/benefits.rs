//! What one promotion would give on the units as earlier promotions left them: a `Proposal`, applied by nobody yet.
//!
//! Precedence of what stands in the way: conditions, units of its set, the qualifier's bounds, limits, the benefit's own
//! threshold, nothing off. Every amount is worked out per unit, bounded by the unit's room (what is left of it above
//! its floor, and the caps), and spread by `allocation`. On a weighed unit a fixed price and a floor are per kilogram;
//! an amount off is for the unit.

mod buying;
mod gifts;
mod lines;
mod multiples;
mod orders;

use std::borrow::Cow;

use crate::domain::ids::Sku;
use crate::domain::money::{Money, Percent};

use super::allocation::{Part, share_out, spread};
use super::book::Rule;
use super::explain::Why;
use super::model::{Base, Benefit, Reward, RoundAt, StackingMode, UnitSort};
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
    /// What is added to the basket.
    pub(super) gifts: Vec<Given<'a>>,
    /// What it would take to be given more.
    pub(super) next: Option<Why<'a>>,
}

/// Units added to the basket.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Given<'a> {
    pub(super) sku: &'a Sku,
    pub(super) qty: u32,
    /// Nothing, or a token price.
    pub(super) unit_price: Money,
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
    if !offer_begun(sitting, state, rule)
        && let Some(why) = rule.condition.failed(sitting, state)
    {
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
    let mut proposal = turn.benefit(&takes)?;
    if rule.promotion.stacking.mode == StackingMode::StopFurther {
        reach_lines(&takes, &mut proposal.marks);
    }
    match allowance.exceeded(proposal.amount, proposal.points) {
        Some(why) => Err(why),
        None => Ok(proposal),
    }
}

/// Was another action of the same offer applied already? Then the offer's conditions held.
fn offer_begun(sitting: &Sitting<'_>, state: &State, rule: &Rule) -> bool {
    let Some(offer) = &rule.promotion.offer else { return false };
    let rules = &sitting.book.rules;
    state.applied().any(|number| rules[number as usize].promotion.offer.as_ref() == Some(offer))
}

/// Marks every unit the promotion looked at, so that what stops later promotions stops them on whole lines.
fn reach_lines(takes: &[Take], marks: &mut Vec<Mark>) {
    for take in takes {
        let marked: u32 = marks.iter().filter(|mark| mark.run == take.run).map(|mark| mark.qty).sum();
        if marked < take.qty {
            marks.push(qualified(&Take { qty: take.qty - marked, ..*take }));
        }
    }
    marks.sort_by_key(|mark| mark.run);
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
    fn benefit(&self, takes: &[Take]) -> Result<Proposal<'a>, Why<'a>> {
        let round_at = self.sitting.book.arithmetic.round_at;
        match &self.rule.promotion.benefit {
            Benefit::LinePercent(percent) => self.on_units(takes, Give::Percent(*percent), round_at),
            Benefit::LineAmount(amount) => self.line_amount(takes, amount),
            Benefit::LineFixedPrice(price) => self.on_units(takes, Give::Price(*price), round_at),
            Benefit::MemberPrice => {
                if self.sitting.sale.shopper.member.is_none() {
                    return Err(Why::NoMember);
                }
                self.on_units(takes, Give::MemberPrice, round_at)
            }
            Benefit::Tiered(tiered) => self.tiered(takes, tiered),
            Benefit::FirstAndFurther(amounts) => self.first_and_further(takes, amounts),
            Benefit::Markdown(markdown) => self.markdown(takes, markdown),
            Benefit::OrderPercent(percent) => self.order_percent(takes, *percent),
            Benefit::OrderAmount(amount) => {
                // A reward that is claimed twice gives twice.
                let times = self.candidate.claim.map_or(1, |_| self.times_max());
                self.on_order(takes, Money(amount.0.saturating_mul(i64::from(times))), times, None)
            }
            Benefit::OrderFixedPrice(price) => {
                let (_, paid) = measure(takes, Base::Running);
                self.on_order(takes, paid - *price, 1, None)
            }
            Benefit::SpendAndSave(save) => self.spend_and_save(takes, save),
            Benefit::BuyXGetY(buy) => self.buy_and_get(takes, buy),
            Benefit::AddOn(add_on) => self.add_on(takes, add_on),
            Benefit::NthItem(nth) => self.nth_item(takes, nth),
            Benefit::Sets(sets) => self.sets(takes, sets),
            Benefit::Combo(combo) => self.combo(takes, combo),
            Benefit::Gift(gift) => self.gift(takes, gift),
            Benefit::IssueCoupon(_) => {
                let marks = takes.iter().map(qualified).collect();
                Ok(Proposal { marks, times: 1, ..Proposal::default() })
            }
            Benefit::PointsFixed(points) => points::fixed(self, takes, *points),
            Benefit::PointsRate(offer) => points::rate(self, takes, offer),
            Benefit::PointsPerUnit(points) => points::per_unit(self, takes, *points),
            Benefit::PointsMultiplier(hundredths) => points::multiplier(self, takes, *hundredths),
            Benefit::PointsRedeem(reward) => points::redeem(self, takes, reward),
        }
    }

    /// An order's percentage is one amount: it is rounded once, or once on each line.
    pub(super) fn order_percent(&self, takes: &[Take], percent: Percent) -> Result<Proposal<'a>, Why<'a>> {
        let at = match self.sitting.book.arithmetic.round_at {
            RoundAt::Line => RoundAt::Line,
            RoundAt::Unit | RoundAt::Total => RoundAt::Total,
        };
        self.on_units(takes, Give::Percent(percent), at)
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
    pub(super) fn receiving<'t>(&self, takes: &'t [Take]) -> Cow<'t, [Take]> {
        let caps = &self.rule.promotion.caps;
        if caps.units_per_line.is_none() && self.units_max().is_none() {
            return Cow::Borrowed(takes);
        }
        let mut takes = takes.to_vec();
        if caps.pick == UnitSort::Cheapest {
            // What costs nothing any more is not the cheapest thing bought.
            takes.retain(|take| take.net.is_positive());
        }
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

    pub(super) fn on_units(
        &self,
        takes: &[Take],
        give: Give,
        round_at: RoundAt,
    ) -> Result<Proposal<'a>, Why<'a>> {
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

    /// Holds the caps per line and order, counts, and refuses what gives nothing. A cap takes money, no unit: all of them
    /// stay marked.
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
            let mut held = spread(cap, &marks.iter().map(part).collect::<Vec<Part>>(), None, leftover);
            // Units that took part are used up even where the cap leaves nothing for them.
            let out = |m: &&Mark| held.binary_search_by_key(&m.good, |held| held.good).is_err();
            let left_out: Vec<Mark> =
                marks.iter().filter(out).map(|m| Mark { amount: Money::ZERO, ..*m }).collect();
            held.extend(left_out);
            held.sort_by_key(|mark| mark.run);
            held
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

pub(super) fn qualified(take: &Take) -> Mark {
    Mark { run: take.run, good: take.good, qty: take.qty, ..Mark::default() }
}

/// Keeps the first `most` units, dearest or cheapest first; the others get a quantity of nothing.
pub(super) fn keep_first(takes: &mut [Take], most: u32, pick: UnitSort) {
    takes.sort_by(|a, b| match pick {
        UnitSort::Dearest => b.net.cmp(&a.net).then(a.run.cmp(&b.run)),
        UnitSort::Cheapest => a.net.cmp(&b.net).then(a.run.cmp(&b.run)),
        UnitSort::Listed => a.run.cmp(&b.run),
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
