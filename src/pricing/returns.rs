//! What goods that come back are worth: from the shares frozen at the sale, never from today's rules.
//!
//! `owed` is cumulative: the refund of a return is what is owed for everything back so far less what was owed before
//! it, so that any sequence of partial returns ends at exactly what was paid. Units of a line come back cheapest
//! first: buying two and returning the dearer one of a second-half-price pair gains nothing.

use std::collections::BTreeMap;

use crate::domain::ids::{LineId, PromotionId};
use crate::domain::money::Money;

use super::model::ReturnPolicy;
use super::outcome::{PricedLine, UnitShare};

/// What is owed for the units of one line.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Owed {
    /// Money, in minor units.
    pub amount: Money,
    /// Points those units had earned.
    pub points: i64,
}

/// What is owed in all for `back` units of each line, under the return policies of the promotions that applied.
/// Lines without units back owe nothing. Money clawed back by a promotion is taken from the lines in their order and
/// never makes one owe less than nothing.
pub fn owed(
    lines: &[PricedLine],
    back: &BTreeMap<LineId, u32>,
    policies: &BTreeMap<PromotionId, ReturnPolicy>,
) -> BTreeMap<LineId, Owed> {
    let mut owed = BTreeMap::new();
    let mut kept_discounts: BTreeMap<&PromotionId, (Money, u32)> = BTreeMap::new();
    for line in lines {
        let count = back.get(&line.line).copied().unwrap_or_default();
        let (returned, kept) = split(&line.shares, count);
        let mut of_line = Owed::default();
        for (share, qty) in returned {
            of_line.amount += share.net.times(qty);
            of_line.points += share.points * i64::from(qty);
        }
        for (share, qty) in kept {
            for discount in &share.discounts {
                let entry = kept_discounts.entry(&discount.promotion).or_default();
                entry.0 += discount.amount.times(qty);
            }
        }
        if count > 0 {
            for share in &line.shares {
                for discount in &share.discounts {
                    kept_discounts.entry(&discount.promotion).or_default().1 += 1;
                }
            }
        }
        owed.insert(line.line.clone(), of_line);
    }
    for (promotion, (kept, touched_by_return)) in kept_discounts {
        if policies.get(promotion) == Some(&ReturnPolicy::ClawBack) && touched_by_return > 0 {
            let mut to_take = kept;
            for line in lines {
                let Some(of_line) = owed.get_mut(&line.line) else { continue };
                let taken = to_take.min(of_line.amount);
                of_line.amount -= taken;
                to_take -= taken;
            }
        }
    }
    owed
}

/// Does a promotion that allows only a whole return hold units of which some, but not all, would be back?
pub fn blocked_by<'a>(
    lines: &'a [PricedLine],
    back: &BTreeMap<LineId, u32>,
    policies: &BTreeMap<PromotionId, ReturnPolicy>,
) -> Option<&'a PromotionId> {
    let reached = |line: &'a PricedLine| line.discounts.iter().map(|discount| &discount.promotion);
    lines.iter().flat_map(reached).find(|promotion| {
        let of_promotion: Vec<&PricedLine> =
            lines.iter().filter(|line| reached(line).any(|id| id == *promotion)).collect();
        let units_back = |line: &&PricedLine| back.get(&line.line).copied().unwrap_or_default();
        policies.get(*promotion) == Some(&ReturnPolicy::BlockPartial)
            && of_promotion.iter().any(|line| units_back(line) > 0)
            && of_promotion.iter().any(|line| units_back(line) < line.units)
    })
}

type Runs<'a> = Vec<(&'a UnitShare, u32)>;

/// The `count` cheapest units of a line, and the rest.
fn split(shares: &[UnitShare], count: u32) -> (Runs<'_>, Runs<'_>) {
    let mut cheapest_first: Vec<&UnitShare> = shares.iter().collect();
    cheapest_first.sort_by_key(|share| (share.net, share.points));
    let (mut returned, mut kept, mut left) = (Vec::new(), Vec::new(), count);
    for share in cheapest_first {
        let taken = share.qty.min(left);
        left -= taken;
        returned.push((share, taken));
        kept.push((share, share.qty - taken));
    }
    (returned, kept)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::domain::ids::Sku;
    use crate::pricing::outcome::LineDiscount;

    fn promotion() -> PromotionId {
        PromotionId::new("second-half-price").expect("valid")
    }

    fn line() -> PricedLine {
        let discount = LineDiscount { promotion: promotion(), amount: Money(500) };
        PricedLine {
            line: LineId::new("1").expect("valid"),
            sku: Sku::new("milk").expect("valid"),
            units: 2,
            gross: Money(2_000),
            net: Money(1_500),
            discounts: vec![discount.clone()],
            shares: vec![
                UnitShare { qty: 1, net: Money(1_000), discounts: Vec::new(), points: 10 },
                UnitShare { qty: 1, net: Money(500), discounts: vec![discount], points: 5 },
            ],
        }
    }

    fn owed_for(units: u32, policy: ReturnPolicy) -> Owed {
        let line = line();
        let back = [(line.line.clone(), units)].into();
        owed(&[line.clone()], &back, &[(promotion(), policy)].into())
            .remove(&line.line)
            .expect("the line is there")
    }

    #[test]
    fn does_returning_one_of_a_pair_gain_anything() {
        assert_eq!(owed_for(1, ReturnPolicy::Keep), Owed { amount: Money(500), points: 5 });
        assert_eq!(owed_for(2, ReturnPolicy::Keep), Owed { amount: Money(1_500), points: 15 });
    }

    #[test]
    fn is_what_a_promotion_gave_on_the_rest_clawed_back() {
        let mut bought = line();
        bought.shares[0].discounts = vec![LineDiscount { promotion: promotion(), amount: Money(200) }];
        let back = [(bought.line.clone(), 1)].into();
        let policies = [(promotion(), ReturnPolicy::ClawBack)].into();
        assert_eq!(owed(&[bought.clone()], &back, &policies)[&bought.line].amount, Money(300));
        let all = [(bought.line.clone(), 2)].into();
        assert_eq!(
            owed(&[bought.clone()], &all, &policies)[&bought.line].amount,
            Money(1_500),
            "all back owes all paid"
        );
    }

    #[test]
    fn is_a_partial_return_blocked_where_the_promotion_says_so() {
        let (one, all) = ([(line().line, 1)].into(), [(line().line, 2)].into());
        let policies = [(promotion(), ReturnPolicy::BlockPartial)].into();
        assert_eq!(blocked_by(&[line()], &one, &policies), Some(&promotion()));
        assert_eq!(blocked_by(&[line()], &all, &policies), None);
        assert_eq!(blocked_by(&[line()], &one, &BTreeMap::new()), None);
    }
}
