//! Points in and out: what promotions give beside the programme's rate, and points turned into money.
//!
//! Points are earned on what units are paid with after every promotion and after points turned into money; a unit that
//! costs nothing earns nothing; articles the programme excepts neither earn nor are paid with points. A rate's fraction
//! is cut once, per earning rule; a programme that wants tenths of a point counts in them. A redeem *promotion* is a discount that costs points; the programme's own redemption
//! stands outside the discounts, as a payment would, and ignores floors. Redemption takes whole multiples only.

use crate::domain::basket::PointsWish;
use crate::domain::money::{Money, Percent, Rounding};
use crate::limits;

use super::allocation::{Part, spread};
use super::benefits::{Give, Proposal, Take, Turn, keep_first, measure, propose, qualified, spread_points};
use super::book::{Phase, Rule};
use super::explain::Why;
use super::model::{Base, Benefit, Partial, PointsBasis, PointsOffer, PointsRate, PointsReward, RoundAt};
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

/// So many points for each full amount, or in proportion.
pub(super) fn rate<'a>(
    turn: &Turn<'_, 'a>,
    takes: &[Take],
    offer: &PointsOffer,
) -> Result<Proposal<'a>, Why<'a>> {
    known(turn)?;
    let takes = match offer.basis {
        PointsBasis::Net => earning(turn.sitting, takes),
        PointsBasis::Gross | PointsBasis::GrossOfOrder | PointsBasis::ReducedBy(_) => not_free(turn, takes),
    };
    let paid = basis(turn, &takes, &offer.basis);
    let most = turn.times_max();
    let times = u32::try_from(paid.0.max(0) / offer.per_amount.0).unwrap_or(u32::MAX).min(most);
    let each = i64::from(offer.points);
    let mut points = i64::from(times).saturating_mul(each);
    if offer.fractions && times < most {
        let exact = i128::from(paid.0.max(0)) * i128::from(each) / i128::from(offer.per_amount.0);
        points = i64::try_from(exact).unwrap_or(i64::MAX);
    } else if times == 0 {
        return Err(Why::Spent { seen: paid, need: offer.per_amount, set: &turn.rule.set });
    }
    earn(turn, &takes, points.min(limits::POINTS_MAX), times.max(1))
}

/// Units that earn on more than they are paid with: none that a promotion made a free one. Each counts at its list price.
fn not_free(turn: &Turn<'_, '_>, takes: &[Take]) -> Vec<Take> {
    let except = turn.sitting.book.programme.except.as_ref();
    let excepted = |take: &Take| except.is_some_and(|set| set.holds(&turn.sitting.goods[take.good as usize]));
    let gives_units = |benefit: &Benefit| match benefit {
        Benefit::BuyXGetY(_) | Benefit::NthItem(_) | Benefit::AddOn(_) => true,
        Benefit::PointsRedeem(reward) => reward.free_units.is_some(),
        _ => false,
    };
    let freed = |take: &Take| {
        let steps = turn.state.discounts(&turn.state.runs[take.run as usize]);
        let by = steps.last().filter(|off| off.promotion != PROGRAMME);
        let by = by.map(|off| &turn.sitting.book.rules[off.promotion as usize].promotion.benefit);
        !take.net.is_positive() && by.is_some_and(gives_units)
    };
    let earns = |take: &&Take| take.list.is_positive() && !excepted(take) && !freed(take);
    takes.iter().filter(earns).map(|take| Take { net: take.list, ..*take }).collect()
}

/// What points are earned on.
fn basis(turn: &Turn<'_, '_>, takes: &[Take], basis: &PointsBasis) -> Money {
    let (_, gross) = measure(takes, Base::List);
    let rules = &turn.sitting.book.rules;
    let lowered = |lowers: &dyn Fn(&Rule) -> bool| {
        let off = takes.iter().map(|take| {
            let steps = turn.state.discounts(&turn.state.runs[take.run as usize]);
            let lowering = steps.iter().filter(|off| off.promotion != PROGRAMME);
            let lowering = lowering.filter(|off| lowers(&rules[off.promotion as usize]));
            lowering.map(|off| off.amount).sum::<Money>().times(take.qty)
        });
        gross - off.sum::<Money>()
    };
    match basis {
        PointsBasis::Net => measure(takes, Base::Running).1,
        PointsBasis::Gross => gross,
        PointsBasis::GrossOfOrder => lowered(&|rule| rule.phase == Phase::Unit),
        PointsBasis::ReducedBy(ids) => lowered(&|rule| ids.contains(&rule.promotion.id)),
    }
}

/// So many points for each unit that is paid for.
pub(super) fn per_unit<'a>(
    turn: &Turn<'_, 'a>,
    takes: &[Take],
    points: u32,
) -> Result<Proposal<'a>, Why<'a>> {
    known(turn)?;
    let takes = earning(turn.sitting, takes);
    let takes = turn.receiving(&takes);
    let (units, _) = measure(&takes, Base::Running);
    earn(turn, &takes, i64::from(points) * i64::from(units), units)
}

/// What this sale would earn if it ended as it stands: the programme and every promotion that gives points.
fn earned_so_far(sitting: &Sitting<'_>, state: &State) -> i64 {
    let promotions = sitting.candidates.iter().filter(|c| c.rule.phase == Phase::Earn && c.closed.is_none());
    let given = promotions.filter_map(|c| propose(sitting, state, c, 0).ok()).map(|p| p.points);
    let programme = sitting.book.programme.earn.map_or(0, |rate| {
        let (_, paid) = measure(&earning(sitting, &all_units(sitting, state)), Base::Running);
        at_rate(paid, &rate)
    });
    given.sum::<i64>().saturating_add(programme)
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

/// Points for a reward that was claimed.
pub(super) fn redeem<'a>(
    turn: &Turn<'_, 'a>,
    takes: &[Take],
    reward: &'a PointsReward,
) -> Result<Proposal<'a>, Why<'a>> {
    known(turn)?;
    let cost = i64::from(reward.points);
    let earned = if reward.with_earned { earned_so_far(turn.sitting, turn.state) } else { 0 };
    let spendable = turn.spendable.saturating_add(earned);
    if spendable < cost {
        return Err(Why::TooFewPoints { seen: spendable, need: cost });
    }
    let cap = turn.rule.promotion.caps.applications.unwrap_or(u32::MAX);
    let most = if reward.repeat { cap } else { turn.times_max() };
    let times = u32::try_from(spendable / cost).unwrap_or(u32::MAX).min(most);
    let takes = earning(turn.sitting, takes);
    let mut proposal = if let Some(amount) = reward.amount {
        worth_money(turn, &takes, reward, amount, (times, spendable))?
    } else if let Some(percent) = reward.percent {
        turn.order_percent(&takes, percent)?
    } else if let Some(units) = reward.free_units {
        free_units(turn, takes, units, times)?
    } else {
        let gifts = reward.gift.as_ref().map_or(Ok(Vec::new()), |gift| turn.given(gift, times))?;
        let units = gifts.iter().map(|given| given.qty).sum();
        let times = if reward.coupon.is_some() { 1 } else { times };
        let marks = takes.iter().map(|take| Mark { amount: take.net, ..qualified(take) }).collect();
        Proposal { marks, gifts, units, times, ..Proposal::default() }
    };
    if proposal.spend == 0 {
        proposal.spend = cost * i64::from(proposal.times);
    }
    if reward.use_all {
        proposal.spend = spendable;
    }
    if reward.with_earned && proposal.spend > turn.spendable {
        // The reward may lower what is earned: what is left of it must pay for the reward.
        let mut after = turn.state.clone();
        after.apply(turn.candidate.number, &proposal.marks, false, false);
        let seen = turn.spendable.saturating_add(earned_so_far(turn.sitting, &after));
        if seen < proposal.spend {
            return Err(Why::TooFewPoints { seen, need: proposal.spend });
        }
    }
    pay(&mut proposal.marks, proposal.spend, turn.sitting);
    if !proposal.amount.is_positive() {
        proposal.marks.iter_mut().for_each(|mark| mark.amount = Money::ZERO);
    }
    Ok(proposal)
}

/// So much off, as often as `times`; of the points only part where the reward is worth more than what is left to pay.
fn worth_money<'a>(
    turn: &Turn<'_, 'a>,
    takes: &[Take],
    reward: &PointsReward,
    amount: Money,
    (times, spendable): (u32, i64),
) -> Result<Proposal<'a>, Why<'a>> {
    let parts: Vec<Part> = takes.iter().map(|take| turn.part(take, take.net)).collect();
    let mut room: i64 = parts.iter().map(|part| part.room * i64::from(part.qty)).sum();
    if let Some(most) = turn.rule.promotion.caps.per_order {
        room = room.min(most.0);
    }
    let room = Money(room.min(share_of_sale(turn.sitting, turn.state, reward.share_max)));
    let cost = i64::from(reward.points);
    let fitting = room.0 / amount.0;
    let (times, off, spend) = match reward.partial {
        _ if reward.use_all && reward.repeat => {
            (1, amount.ratio(spendable, cost, Rounding::HalfDown), spendable)
        }
        Partial::No => {
            let times = u32::try_from(fitting).unwrap_or(u32::MAX).min(times);
            (times, amount.times(times), cost * i64::from(times))
        }
        Partial::All | Partial::Share => {
            let needed = u32::try_from((room.0 + amount.0 - 1) / amount.0).unwrap_or(u32::MAX);
            let times = needed.min(times);
            let off = amount.times(times).min(room);
            let spend = if reward.partial == Partial::All {
                cost * i64::from(times)
            } else {
                let share =
                    (i128::from(off.0) * i128::from(cost) + i128::from(amount.0) - 1) / i128::from(amount.0);
                i64::try_from(share).unwrap_or(i64::MAX)
            };
            (times, off, spend)
        }
    };
    let marks = spread(off.min(room), &parts, None, turn.sitting.book.arithmetic.leftover);
    let proposal = turn.finish(marks, times)?;
    Ok(Proposal { spend, ..proposal })
}

/// So many units free, as often as there are units for it.
fn free_units<'a>(
    turn: &Turn<'_, 'a>,
    mut takes: Vec<Take>,
    units: u32,
    times: u32,
) -> Result<Proposal<'a>, Why<'a>> {
    let (there, _) = measure(&takes, Base::Running);
    let times = times.min(there / units);
    if times == 0 {
        return Err(Why::Units { seen: there, need: units, set: &turn.rule.set });
    }
    keep_first(&mut takes, times * units, turn.rule.promotion.caps.pick);
    takes.retain(|take| take.qty > 0);
    takes.sort_unstable_by_key(|take| take.run);
    let proposal = turn.on_units(&takes, Give::Percent(Percent::FULL), RoundAt::Unit)?;
    Ok(Proposal { times, ..proposal })
}

/// How much of what is to pay may be paid with points, in minor units.
fn share_of_sale(sitting: &Sitting<'_>, state: &State, share_max: Percent) -> i64 {
    let to_pay: Money = state.runs.iter().map(|run| run.net.times(run.qty)).sum();
    debug_assert!(!sitting.goods.is_empty(), "a basket has units");
    let share = i128::from(to_pay.0) * i128::from(share_max.ppm()) / 1_000_000;
    i64::try_from(share).unwrap_or(i64::MAX)
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
    let times = (wished / cost)
        .min(share_of_sale(sitting, state, redeem.share_max) / redeem.amount.0)
        .min(room.0 / redeem.amount.0);
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
