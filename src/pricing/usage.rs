//! Limits over many sales: how much of one is left for this sale.
//!
//! Uses and units are counted so that a sale takes what is left of the units; money and points are all or nothing: a
//! promotion whose gift is larger than the rest of its budget gives nothing, so that no shopper gets a remnant of what
//! was advertised. A chain-wide limit is what head office lent this shop of it. A limit per member needs a known member. A day is the store's civil day.

use crate::domain::member::{Usage, Used};
use crate::domain::money::Money;

use super::book::Rule;
use super::explain::Why;
use super::model::{Limit, LimitMeasure, LimitScope};
use super::resolution::{Candidate, Sitting};

/// What this sale may still take of a promotion.
#[derive(Clone, Copy, Debug)]
pub(super) struct Allowance<'a> {
    /// Units that may receive.
    pub(super) units: Option<u32>,
    /// The money limit with the least left, and that.
    money: Option<(i64, Why<'a>)>,
    /// The points limit with the least left, and that.
    points: Option<(i64, Why<'a>)>,
}

/// Looks up what is left; or the limit that is used up.
pub(super) fn allowance<'a>(
    sitting: &Sitting<'a>,
    rule: &'a Rule,
    candidate: &Candidate<'a>,
) -> Result<Allowance<'a>, Why<'a>> {
    let promotion = &rule.promotion;
    let mut allowance = Allowance { units: None, money: None, points: None };
    for limit in &promotion.limits {
        let usage = match limit.scope {
            LimitScope::Chain if let Some(lent) = sitting.sale.lent => {
                let left = lent.limits.get(&promotion.id).map_or(0, |lent| amount(limit.measure, lent));
                allowance.take(limit.measure, left, Why::Slice { limit, left })?;
                continue;
            }
            LimitScope::Store | LimitScope::StoreDay | LimitScope::Chain => {
                sitting.sale.usage.get(&promotion.id).copied()
            }
            LimitScope::Device => sitting.sale.device_usage.get(&promotion.id).copied(),
            LimitScope::Member | LimitScope::MemberDay => {
                let member = sitting.sale.shopper.member.ok_or(Why::NoMember)?;
                member.ledger.usage.get(&promotion.id).copied()
            }
            LimitScope::Code => candidate.code.map(|code| sitting.sale.codes[code].used),
        };
        let used = used(limit, &usage.unwrap_or_default(), sitting.moment.number);
        allowance.take(limit.measure, limit.max.saturating_sub(used), Why::Limit { limit, used })?;
    }
    if let Some((away, left)) = sitting.sale.lent.and_then(|lent| lent.away.as_ref())
        && candidate.code.is_some_and(|code| sitting.sale.codes[code].code == *away)
    {
        allowance.take(LimitMeasure::Money, left.0, Why::Elsewhere { left: *left })?;
    }
    if let (Some(hours), Some(most)) = (sitting.sale.offline_hours, promotion.offline.exposure_max) {
        // Without a line the day's money off is all that is known here of what the chain has spent.
        let usage = sitting.sale.usage.get(&promotion.id).copied().unwrap_or_default();
        let today = if usage.day == sitting.moment.number { usage.money_on_day } else { Money::ZERO };
        let left = most.0.saturating_sub(today.0);
        if allowance.money.is_none_or(|(least, _)| left < least) {
            allowance.money = Some((left, Why::Offline { hours }));
        }
    }
    Ok(allowance)
}

impl<'a> Allowance<'a> {
    /// Takes one limit in; or that it is used up.
    fn take(&mut self, measure: LimitMeasure, left: i64, why: Why<'a>) -> Result<(), Why<'a>> {
        if left <= 0 {
            return Err(why);
        }
        let least = |so_far: Option<(i64, Why<'a>)>| match so_far {
            Some(less) if less.0 <= left => Some(less),
            _ => Some((left, why)),
        };
        match measure {
            LimitMeasure::Uses => {}
            LimitMeasure::Units => {
                let left = u32::try_from(left).unwrap_or(u32::MAX);
                self.units = Some(self.units.map_or(left, |least| least.min(left)));
            }
            LimitMeasure::Money => self.money = least(self.money),
            LimitMeasure::Points => self.points = least(self.points),
        }
        Ok(())
    }

    /// Money that may still be taken off.
    pub(super) fn money_left(&self) -> i64 {
        self.money.map_or(i64::MAX, |(left, _)| left)
    }

    /// Why a sale may not take so much; nothing if it may.
    pub(super) fn exceeded(&self, amount: Money, points: i64) -> Option<Why<'a>> {
        let beyond = |left: Option<(i64, Why<'a>)>, wanted: i64| {
            left.filter(|(left, _)| wanted > *left).map(|(_, why)| why)
        };
        beyond(self.money, amount.0).or_else(|| beyond(self.points, points))
    }
}

/// So much of a measure.
pub(crate) fn amount(measure: LimitMeasure, used: &Used) -> i64 {
    match measure {
        LimitMeasure::Uses => i64::from(used.uses),
        LimitMeasure::Units => i64::from(used.units),
        LimitMeasure::Money => used.money.0,
        LimitMeasure::Points => used.points,
    }
}

fn used(limit: &Limit, usage: &Usage, today: i64) -> i64 {
    let by_day = match limit.scope {
        LimitScope::StoreDay | LimitScope::MemberDay | LimitScope::Device => true,
        LimitScope::Store | LimitScope::Chain | LimitScope::Member | LimitScope::Code => false,
    };
    if by_day && usage.day != today {
        return 0;
    }
    match (limit.measure, by_day) {
        (LimitMeasure::Uses, false) => i64::from(usage.uses),
        (LimitMeasure::Uses, true) => i64::from(usage.uses_on_day),
        (LimitMeasure::Units, false) => i64::from(usage.units),
        (LimitMeasure::Units, true) => i64::from(usage.units_on_day),
        (LimitMeasure::Money, false) => usage.money.0,
        (LimitMeasure::Money, true) => usage.money_on_day.0,
        (LimitMeasure::Points, false) => usage.points,
        (LimitMeasure::Points, true) => usage.points_on_day,
    }
}
