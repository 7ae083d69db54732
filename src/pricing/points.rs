//! Points in and out: what promotions give beside the programme's rate, and points turned into money.
//!
//! Points are earned on what units are paid with after every promotion and after points turned into money; a unit that
//! costs nothing earns nothing; articles the programme excepts neither earn nor are paid with points. A rate's fraction
//! is cut once, per earning rule. A redeem *promotion* is a discount that costs points; the programme's own redemption
//! stands outside the discounts, as a payment would, and ignores floors. Redemption takes whole multiples only.

use crate::domain::basket::PointsWish;
use crate::domain::money::Money;
use crate::limits;

use super::allocation::{Part, spread};
use super::benefits::{Proposal, Take, Turn, measure, spread_points};
use super::explain::Why;
use super::model::{Base, PointsRate, PointsRedeem};
use super::outcome::Reason;
use super::resolution::Sitting;
use super::units::{Mark, PROGRAMME, State};

/// `amount / per` full amounts, times points; at most what a member may hold.
fn at_rate(amount: Money, rate: &PointsRate) -> i64 {
    (amount.0 / rate.per_amount.0).saturating_mul(i64::from(rate.points)).min(limits::POINTS_MAX)
}

/// Units that earn: not excepted, and paid for.
fn earning(sitting: &Sitting<'_>, takes: &[Take]) -> Vec<Take> {
    let except = sitting.book.programme.except.as_ref();
    let excepted = |take: &Take| except.is_some_and(|set| set.holds(&sitting.goods[take.good as usize]));
    takes.iter().filter(|take| take.net.is_positive() && !excepted(take)).copied().collect()
}

fn earn<'a>(turn: &Turn<'_, 'a>, takes: &[Take], points: i64, times: u32) -> Result<Proposal<'a>, Why<'a>> {
    if points <= 0 || takes.is_empty() {
        return Err(Why::NothingOff);
    }
    let marks = spread_points(points, takes, turn.sitting.book.arithmetic.leftover);
    let (units, _) = measure(takes, Base::Running);
    Ok(Proposal { marks, points, units, times, ..Proposal::default() })
}

/// So many points for the sale.
pub(super) fn fixed<'a>(turn: &Turn<'_, 'a>, takes: &[Take], points: u32) -> Result<Proposal<'a>, Why<'a>> {
    known(turn)?;
    earn(turn, &earning(turn.sitting, takes), i64::from(points), 1)
}

/// So many points for each full amount.
pub(super) fn rate<'a>(
    turn: &Turn<'_, 'a>,
    takes: &[Take],
    rate: &PointsRate,
) -> Result<Proposal<'a>, Why<'a>> {
    known(turn)?;
    let takes = earning(turn.sitting, takes);
    let (_, paid) = measure(&takes, Base::Running);
    let times = u32::try_from(paid.0 / rate.per_amount.0).unwrap_or(u32::MAX).min(turn.times_max());
    let points = i64::from(times).saturating_mul(i64::from(rate.points)).min(limits::POINTS_MAX);
    if times == 0 {
        return Err(Why::Spent { seen: paid, need: rate.per_amount, set: &turn.rule.set });
    }
    earn(turn, &takes, points, times)
}

/// The programme's points on these units, so many hundredths of them in all.
pub(super) fn multiplier<'a>(
    turn: &Turn<'_, 'a>,
    takes: &[Take],
    hundredths: u32,
) -> Result<Proposal<'a>, Why<'a>> {
    known(turn)?;
    let Some(rate) = &turn.sitting.book.programme.earn else { return Err(Why::NothingOff) };
    let takes = earning(turn.sitting, takes);
    let (_, paid) = measure(&takes, Base::Running);
    let more = at_rate(paid, rate).saturating_mul(i64::from(hundredths) - 100) / 100;
    let more = more.min(limits::POINTS_MAX);
    earn(turn, &takes, more, 1)
}

fn known<'a>(turn: &Turn<'_, 'a>) -> Result<(), Why<'a>> {
    turn.sitting.sale.shopper.member.map(|_| ()).ok_or(Why::NoMember)
}

/// A redeem promotion: so many points for so much off, as often as claimed.
pub(super) fn redeem<'a>(
    turn: &Turn<'_, 'a>,
    takes: &[Take],
    redeem: &PointsRedeem,
) -> Result<Proposal<'a>, Why<'a>> {
    known(turn)?;
    let cost = i64::from(redeem.points);
    if turn.spendable < cost {
        return Err(Why::TooFewPoints { seen: turn.spendable, need: cost });
    }
    let takes = earning(turn.sitting, takes);
    let parts: Vec<Part> = takes.iter().map(|take| turn.part(take, take.net)).collect();
    let room: i64 = parts.iter().map(|part| part.room * i64::from(part.qty)).sum();
    let times = (turn.spendable / cost).min(i64::from(turn.times_max()));
    let times = times.min(multiples(turn.sitting, turn.state, redeem).min(room / redeem.amount.0));
    let times = u32::try_from(times).unwrap_or(u32::MAX);
    let amount = redeem.amount.times(times);
    let marks = spread(amount, &parts, None, turn.sitting.book.arithmetic.leftover);
    let mut proposal = turn.finish(marks, times)?;
    proposal.spend = cost * i64::from(times);
    pay(&mut proposal.marks, proposal.spend, turn.sitting);
    Ok(proposal)
}

/// How many multiples fit into the share of what is to pay that may be paid with points.
fn multiples(sitting: &Sitting<'_>, state: &State, redeem: &PointsRedeem) -> i64 {
    let to_pay: Money = state.runs.iter().map(|run| run.net.times(run.qty)).sum();
    debug_assert!(!sitting.goods.is_empty(), "a basket has units");
    let share = i128::from(to_pay.0) * i128::from(redeem.share_max.ppm()) / 1_000_000;
    i64::try_from(share).unwrap_or(i64::MAX) / redeem.amount.0
}

/// Notes on each mark how many points its units were paid with: in proportion to what these took off.
fn pay(marks: &mut Vec<Mark>, points: i64, sitting: &Sitting<'_>) {
    let takes: Vec<Take> = marks
        .iter()
        .map(|m| Take { run: m.run, good: m.good, qty: m.qty, net: m.amount, list: m.amount })
        .collect();
    let paid = spread_points(points, &takes, sitting.book.arithmetic.leftover);
    let mut paid = paid.into_iter();
    let mut split = Vec::with_capacity(marks.len());
    for mark in marks.iter() {
        let mut left = mark.qty;
        while left > 0 {
            let Some(part) = paid.next() else { break };
            split.push(Mark { qty: part.qty, spent: part.points, ..*mark });
            left -= part.qty;
        }
    }
    *marks = split;
}

/// What the programme does in one sale.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) struct Programme {
    /// Points earned at its rate.
    pub(super) earned: i64,
    /// Points spent as wished.
    pub(super) spent: i64,
    /// What these took off.
    pub(super) amount: Money,
    /// Why fewer were spent than wished.
    pub(super) short: Option<Reason>,
}

/// Turns points into money as the shopper wished, after all promotions.
pub(super) fn grant_wish(sitting: &Sitting<'_>, state: &mut State, spendable: i64) -> Programme {
    let mut done = Programme::default();
    let Some(wish) = sitting.sale.basket.points else { return done };
    let Some(redeem) = &sitting.book.programme.redeem else {
        return Programme { short: Some(Reason::Inactive), ..done };
    };
    if sitting.sale.shopper.member.is_none() {
        return Programme { short: Some(Reason::NoMember), ..done };
    }
    let cost = i64::from(redeem.points);
    let wished = match wish {
        PointsWish::Spend(points) => points.max(0),
        PointsWish::Max => spendable,
    };
    if wished > spendable || (wish == PointsWish::Max && spendable < cost) {
        return Programme { short: Some(Reason::TooFewPoints), ..done };
    }
    let takes = earning(sitting, &all_units(sitting, state));
    let part = |t: &Take| Part { run: t.run, good: t.good, qty: t.qty, weight: t.net.0, room: t.net.0 };
    let parts: Vec<Part> = takes.iter().map(part).collect();
    let (_, room) = measure(&takes, Base::Running);
    let times = (wished / cost).min(multiples(sitting, state, redeem)).min(room.0 / redeem.amount.0);
    done.spent = times * cost;
    done.amount = Money(redeem.amount.0 * times);
    if matches!(wish, PointsWish::Spend(points) if points > done.spent) {
        done.short = Some(Reason::NothingOff);
    }
    if times > 0 {
        let mut marks = spread(done.amount, &parts, None, sitting.book.arithmetic.leftover);
        pay(&mut marks, done.spent, sitting);
        state.apply(PROGRAMME, &marks, false, false);
    }
    done
}

/// Gives the programme's points on what the sale is paid with.
pub(super) fn earn_programme(sitting: &Sitting<'_>, state: &mut State) -> i64 {
    let Some(rate) = sitting.book.programme.earn.filter(|_| sitting.sale.shopper.member.is_some()) else {
        return 0;
    };
    let takes = earning(sitting, &all_units(sitting, state));
    let (_, paid) = measure(&takes, Base::Running);
    let points = at_rate(paid, &rate);
    if points > 0 {
        state.apply(
            PROGRAMME,
            &spread_points(points, &takes, sitting.book.arithmetic.leftover),
            false,
            false,
        );
    }
    points
}

fn all_units(sitting: &Sitting<'_>, state: &State) -> Vec<Take> {
    let take = |(run, of): (u32, &super::units::Run)| Take {
        run,
        good: of.good,
        qty: of.qty,
        net: of.net,
        list: sitting.goods[of.good as usize].price,
    };
    (0..).zip(&state.runs).map(take).collect()
}
