//! Which promotions the argument of `best` covers, by their benefit, and how far the thresholds of one were reached.

use crate::domain::money::Money;

use super::super::benefits::Proposal;
use super::super::explain::Why;
use super::super::model::{Benefit, Caps, Condition, Per, Promotion, Reward, StackingMode};

/// Does a promotion that is applied as a whole take off each unit by itself, whatever was taken off before?
pub(super) fn stacks_plainly(promotion: &Promotion) -> bool {
    let by_unit = match &promotion.benefit {
        Benefit::LinePercent(_) | Benefit::LineFixedPrice(_) | Benefit::MemberPrice => true,
        Benefit::LineAmount(amount) => amount.per == Per::Unit,
        _ => false,
    };
    by_unit
        && promotion.caps == Caps::default()
        && !promotion.qualifier.consumes
        && promotion.qualifier.amount_min.is_none()
        && promotion.conditions == Condition::default()
        && promotion.limits.is_empty()
        && promotion.stacking.mode != StackingMode::StopFurther
}

/// Is it a benefit on what the order comes to?
pub(super) fn is_of_order(benefit: &Benefit) -> bool {
    matches!(
        benefit,
        Benefit::OrderPercent(_)
            | Benefit::OrderAmount(_)
            | Benefit::OrderFixedPrice(_)
            | Benefit::SpendAndSave(_)
            | Benefit::Gift(_)
            | Benefit::IssueCoupon(_)
    )
}

/// How much more an order promotion takes off where more is left, in parts per million.
pub(super) fn rate(benefit: &Benefit) -> i64 {
    match benefit {
        Benefit::OrderPercent(percent) => i64::from(percent.ppm()),
        Benefit::OrderFixedPrice(_) => 1_000_000,
        Benefit::SpendAndSave(save)
            if save.tiers.iter().any(|tier| !matches!(tier.save, Reward::Amount(_))) =>
        {
            1_000_000
        }
        _ => 0,
    }
}

/// How far a promotion's thresholds were reached: how often it applies, and the money its next step needs.
#[derive(Clone, Copy, Default, PartialEq, Eq)]
pub(super) struct Reach {
    times: u32,
    next: Option<Money>,
}

impl Reach {
    pub(super) fn of(proposal: &Proposal<'_>) -> Reach {
        let next = match proposal.next {
            Some(Why::Spent { need, .. }) => Some(need),
            _ => None,
        };
        Reach { times: proposal.times, next }
    }
}
