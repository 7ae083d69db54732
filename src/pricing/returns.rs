//! What goods that come back are worth: the frozen shares of the sale, never today's rules.
//!
//! Within a line the cheapest units come back first, so that the unit a promotion gave away goes back before the one
//! that was paid for. By the policy the promotion had at the sale:
//! - keep: the frozen share of each unit is refunded;
//! - block partial: once a unit it reached comes back, all of them must, in the same return or before;
//! - claw back: once a unit it reached comes back, what it gave on the units that stay is taken from the refund, and
//!   those are refunded in full if they come back later;
//! - re-evaluate: not in this version; `Book::compile` refuses it, so it is treated as `keep` here.
//!
//! Returns add up: refunds of a sale in any number of steps never exceed what was paid, and all of it back gives all
//! money back.

use std::collections::BTreeMap;
use std::fmt;

use crate::domain::ids::{LineId, PromotionId};
use crate::domain::money::{Leftover, Money, allocate};

use super::model::ReturnPolicy;
use super::outcome::UnitShare;

/// A line of the sale.
#[derive(Clone, Copy, Debug)]
pub struct SoldLine<'a> {
    /// Which.
    pub line: &'a LineId,
    /// Its frozen shares, dearest first.
    pub shares: &'a [UnitShare],
    /// Units that came back before.
    pub returned: u32,
}

/// What a return pays.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Refunded {
    /// Money back.
    pub amount: Money,
    /// Line by line, in the order asked; the amounts sum to `amount`.
    pub lines: Vec<RefundedLine>,
    /// Points the units earned, taken back.
    pub points_taken: i64,
    /// Points the units were paid with, given back.
    pub points_given: i64,
    /// Is nothing of the sale left with the shopper?
    pub whole: bool,
}

/// What a return pays for one line.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct RefundedLine {
    /// Which.
    pub line: LineId,
    /// Units come back now.
    pub qty: u32,
    /// Money back for them.
    pub amount: Money,
    /// Units still with the shopper.
    pub left: u32,
}

/// Why goods may not come back so.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum ReturnFault {
    /// The sale has no such line.
    UnknownLine(LineId),
    /// Fewer units of the line are left, or none were asked for.
    TooMany {
        /// Which line.
        line: LineId,
        /// Units left.
        left: u32,
    },
    /// This promotion allows its units back only all together.
    PartialBlocked(PromotionId),
}

/// Fits after "failed to take goods back:".
impl fmt::Display for ReturnFault {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            ReturnFault::UnknownLine(line) => write!(f, "the sale has no line {line}"),
            ReturnFault::TooMany { line, left } => {
                write!(f, "line {line} has {left} unit(s) left that may come back")
            }
            ReturnFault::PartialBlocked(promotion) => {
                write!(f, "{promotion} allows its units back only all together")
            }
        }
    }
}

/// One promotion over the whole sale: what it gave on units that are back and on units that stay.
#[derive(Default)]
struct Reach {
    back_units: u32,
    stays_units: u32,
    stays_amount: Money,
}

/// What is due for a set of units back, by line: `(line, units back)`.
struct Due {
    amount: Money,
    reach: BTreeMap<PromotionId, Reach>,
    nets: Vec<Money>,
    points_earned: i64,
    points_spent: i64,
}

/// Works out a return. `back` names lines and units (each line once); `refunded` is the money that earlier returns of
/// the sale paid; `policy` tells what a promotion's policy was when the sale was made.
pub fn refund(
    sold: &[SoldLine<'_>],
    back: &[(LineId, u32)],
    refunded: Money,
    policy: &dyn Fn(&PromotionId) -> ReturnPolicy,
) -> Result<Refunded, ReturnFault> {
    let mut after: Vec<u32> = sold.iter().map(|line| line.returned).collect();
    let mut places = Vec::with_capacity(back.len());
    for (id, qty) in back {
        let place = sold.iter().position(|line| line.line == id);
        let place = place.ok_or_else(|| ReturnFault::UnknownLine(id.clone()))?;
        let left = units(&sold[place]).saturating_sub(after[place]);
        if *qty == 0 || *qty > left {
            return Err(ReturnFault::TooMany { line: id.clone(), left });
        }
        after[place] += qty;
        places.push(place);
    }
    let before: Vec<u32> = sold.iter().map(|line| line.returned).collect();
    let (was, is) = (due(sold, &before), due(sold, &after));
    let touched = is.reach.iter().filter(|(_, reach)| reach.back_units > 0 && reach.stays_units > 0);
    let mut claws = Money::ZERO;
    for (promotion, reach) in touched {
        match policy(promotion) {
            ReturnPolicy::BlockPartial => return Err(ReturnFault::PartialBlocked(promotion.clone())),
            ReturnPolicy::ClawBack => claws += reach.stays_amount,
            ReturnPolicy::Keep | ReturnPolicy::ReEvaluate => {}
        }
    }
    let amount = (is.amount - claws - refunded).max(Money::ZERO);
    let nets: Vec<i64> = places.iter().map(|place| (is.nets[*place] - was.nets[*place]).0).collect();
    let amounts = allocate(amount, &nets, Leftover::LargestRemainder);
    let lines = back.iter().zip(&places).zip(amounts).map(|(((line, qty), place), amount)| RefundedLine {
        line: line.clone(),
        qty: *qty,
        amount,
        left: units(&sold[*place]) - after[*place],
    });
    Ok(Refunded {
        amount,
        lines: lines.collect(),
        points_taken: is.points_earned - was.points_earned,
        points_given: is.points_spent - was.points_spent,
        whole: sold.iter().zip(&after).all(|(line, back)| units(line) == *back),
    })
}

fn units(line: &SoldLine<'_>) -> u32 {
    line.shares.iter().map(|share| share.qty).sum()
}

fn due(sold: &[SoldLine<'_>], back: &[u32]) -> Due {
    let mut due = Due {
        amount: Money::ZERO,
        reach: BTreeMap::new(),
        nets: Vec::with_capacity(sold.len()),
        points_earned: 0,
        points_spent: 0,
    };
    for (line, back) in sold.iter().zip(back) {
        let (mut left, mut net) = (*back, Money::ZERO);
        for share in line.shares.iter().rev() {
            let qty = share.qty.min(left);
            left -= qty;
            net += share.net.times(qty);
            due.points_earned += share.points * i64::from(qty);
            due.points_spent += share.points_spent * i64::from(qty);
            for discount in &share.discounts {
                let reach = due.reach.entry(discount.promotion.clone()).or_default();
                reach.back_units += qty;
                reach.stays_units += share.qty - qty;
                reach.stays_amount += discount.amount.times(share.qty - qty);
            }
        }
        due.amount += net;
        due.nets.push(net);
    }
    due
}

#[cfg(test)]
mod tests {
    use super::super::outcome::LineDiscount;
    use super::*;

    fn id(text: &str) -> LineId {
        LineId::new(text).expect("an id of the test")
    }

    fn share(qty: u32, net: i64, off: i64) -> UnitShare {
        let promotion = PromotionId::new("p").expect("an id of the test");
        let discounts = if off > 0 { vec![LineDiscount { promotion, amount: Money(off) }] } else { vec![] };
        UnitShare { qty, net: Money(net), discounts, points: 2, points_spent: 0 }
    }

    fn amounts(policy: ReturnPolicy, shares: &[UnitShare]) -> Vec<i64> {
        let line = id("1");
        let (mut paid, mut amounts) = (Money::ZERO, Vec::new());
        for returned in 0..units(&SoldLine { line: &line, shares, returned: 0 }) {
            let sold = [SoldLine { line: &line, shares, returned }];
            let refunded = refund(&sold, &[(line.clone(), 1)], paid, &|_| policy).expect("allowed");
            assert_eq!(refunded.points_taken, 2);
            paid += refunded.amount;
            amounts.push(refunded.amount.0);
        }
        amounts
    }

    #[test]
    fn which_unit_comes_back_first() {
        let buy_one_get_one = [share(1, 1000, 0), share(1, 0, 1000)];
        assert_eq!(amounts(ReturnPolicy::Keep, &buy_one_get_one), [0, 1000]);
    }

    #[test]
    fn what_is_clawed_back_once_comes_back_with_the_rest() {
        let spread = [share(3, 900, 100)];
        assert_eq!(amounts(ReturnPolicy::Keep, &spread), [900, 900, 900]);
        assert_eq!(amounts(ReturnPolicy::ClawBack, &spread), [700, 1000, 1000]);
        let large = [share(2, 300, 700)];
        assert_eq!(amounts(ReturnPolicy::ClawBack, &large), [0, 600], "never more than was paid");
    }

    #[test]
    fn which_returns_are_refused() {
        let line = id("1");
        let shares = [share(2, 900, 100)];
        let sold = [SoldLine { line: &line, shares: &shares, returned: 1 }];
        let keep = |_: &PromotionId| ReturnPolicy::Keep;
        let block = |_: &PromotionId| ReturnPolicy::BlockPartial;
        let ask = |qty| vec![(line.clone(), qty)];
        let too_many = Err(ReturnFault::TooMany { line: line.clone(), left: 1 });
        assert_eq!(refund(&sold, &ask(2), Money::ZERO, &keep), too_many);
        assert_eq!(refund(&sold, &ask(0), Money::ZERO, &keep), too_many);
        let unknown = Err(ReturnFault::UnknownLine(id("9")));
        assert_eq!(refund(&sold, &[(id("9"), 1)], Money::ZERO, &keep), unknown);
        let fresh = [SoldLine { line: &line, shares: &shares, returned: 0 }];
        let p = PromotionId::new("p").expect("an id of the test");
        assert_eq!(refund(&fresh, &ask(1), Money::ZERO, &block), Err(ReturnFault::PartialBlocked(p)));
        let whole = refund(&fresh, &ask(2), Money::ZERO, &block).expect("all of it may come back");
        assert!(whole.whole && whole.amount == Money(1800));
    }
}
