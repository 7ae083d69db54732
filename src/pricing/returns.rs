//! What goods that come back are worth: the frozen shares of the sale, never today's rules.
//!
//! Within a line the cheapest units come back first, so that the unit a promotion gave away goes back before the one
//! that was paid for. By the policy the promotion had at the sale:
//! - keep: the frozen share of each unit is refunded;
//! - block partial: once a unit it reached comes back, all of them must, in the same return or before; and what made it hold
//!   stays as long as what it gave does: the rules of the sale must still give as much on the rest alone;
//! - claw back: once a unit it reached comes back, what it gave on the units that stay is taken from the refund, and
//!   those are refunded in full if they come back later;
//! - re-evaluate: what it gave on the units that stay is taken from the refund, less what the rules of the sale give on
//!   them alone: what the rest would have cost then is paid, no more and no less. What other policies settle stays out
//!   of it, and the refund is never above the frozen shares.
//!
//! A gift that is not returned costs its shelf value once the rest does not earn it, unless its promotion says keep; if
//! that blocks, the goods do not come back without it.
//! Its line is named by `gift_line`, and it comes back like any other.
//!
//! Returns add up: refunds of a sale in any number of steps never exceed what was paid, and all of it back gives all
//! money back.

use std::collections::BTreeMap;
use std::fmt;

use crate::domain::basket::{Basket, Quantity};
use crate::domain::ids::{LineId, PromotionId};
use crate::domain::money::{Leftover, Money, allocate};

use super::model::ReturnPolicy;
use super::outcome::{Priced, UnitShare};

/// Prices units left, by line; see [`SoldSale::again`].
pub type PricedAgain<'a> = dyn Fn(&[(LineId, u32)]) -> Option<Priced> + 'a;

/// A sale, as it was frozen.
#[derive(Clone, Copy)]
pub struct SoldSale<'a> {
    /// Its lines.
    pub lines: &'a [SoldLine<'a>],
    /// Its gifts, which are no lines of the basket.
    pub gifts: &'a [SoldGift<'a>],
    /// The money that earlier returns of it paid.
    pub refunded: Money,
    /// What a promotion's policy was when the sale was made.
    pub policy: &'a dyn Fn(&PromotionId) -> ReturnPolicy,
    /// Prices what stays (units left, by line) under the rules of the sale, as if nothing else had been bought then.
    /// Asked at most once, and only where a policy needs it; nothing where those rules are not at hand: then nothing is
    /// taken for what they might say.
    pub again: &'a PricedAgain<'a>,
}

/// A gift of the sale.
#[derive(Clone, Copy, Debug)]
pub struct SoldGift<'a> {
    /// Its line: see `gift_line`.
    pub line: &'a LineId,
    /// Which promotion gave it.
    pub promotion: &'a PromotionId,
    /// Units given.
    pub qty: u32,
    /// What was paid for each: nothing, or a token price.
    pub paid: Money,
    /// What each cost on the shelf.
    pub value: Money,
    /// Units that came back before.
    pub returned: u32,
}

/// The line by which the n-th gift of a receipt comes back, from 1.
pub fn gift_line(nth: usize) -> LineId {
    LineId::new(&format!("gift:{nth}")).expect("letters, a colon and digits are a line id")
}

/// A basket with only these units left of its lines: what stays with the shopper. A weighed line is one unit.
pub fn rest_of(basket: &Basket, left: &[(LineId, u32)]) -> Basket {
    let mut rest = basket.clone();
    for line in &mut rest.lines {
        let units = left.iter().find(|(id, _)| *id == line.line).map_or(0, |(_, units)| *units);
        line.quantity = match line.quantity {
            Quantity::Units(_) => Quantity::Units(units),
            Quantity::Grams(grams) => Quantity::Grams(if units == 0 { 0 } else { grams }),
        };
    }
    rest.lines.retain(|line| !matches!(line.quantity, Quantity::Units(0) | Quantity::Grams(0)));
    rest
}

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

/// Works out a return. `back` names lines (of goods, or of gifts) and units, each line once.
pub fn refund(sale: &SoldSale<'_>, back: &[(LineId, u32)]) -> Result<Refunded, ReturnFault> {
    let sold = sale.lines;
    let mut after: Vec<u32> = sold.iter().map(|line| line.returned).collect();
    let mut gifts: Vec<u32> = sale.gifts.iter().map(|gift| gift.returned).collect();
    let mut places = Vec::with_capacity(back.len());
    for (id, qty) in back {
        let place = match sold.iter().position(|line| line.line == id) {
            Some(place) => Back::Goods(place),
            None => {
                let gift = sale.gifts.iter().position(|gift| gift.line == id);
                Back::Gift(gift.ok_or_else(|| ReturnFault::UnknownLine(id.clone()))?)
            }
        };
        let (sold, returned) = match place {
            Back::Goods(place) => (units(&sold[place]), &mut after[place]),
            Back::Gift(place) => (sale.gifts[place].qty, &mut gifts[place]),
        };
        let left = sold.saturating_sub(*returned);
        if *qty == 0 || *qty > left {
            return Err(ReturnFault::TooMany { line: id.clone(), left });
        }
        *returned += qty;
        places.push(place);
    }
    let before: Vec<u32> = sold.iter().map(|line| line.returned).collect();
    let (was, is) = (due(sold, &before), due(sold, &after));
    let claws = claws(sale, &is, (&after, &gifts))?;
    let tokens: Money = sale.gifts.iter().zip(&gifts).map(|(gift, back)| gift.paid.times(*back)).sum();
    let amount = (is.amount + tokens - claws - sale.refunded).max(Money::ZERO);
    let worth = |(place, qty): (&Back, u32)| match place {
        Back::Goods(place) => (is.nets[*place] - was.nets[*place]).0,
        Back::Gift(place) => sale.gifts[*place].paid.times(qty).0,
    };
    let weights: Vec<i64> = places.iter().zip(back.iter().map(|(_, qty)| *qty)).map(worth).collect();
    let amounts = allocate(amount, &weights, Leftover::LargestRemainder);
    let left = |place: &Back| match place {
        Back::Goods(place) => units(&sold[*place]) - after[*place],
        Back::Gift(place) => sale.gifts[*place].qty - gifts[*place],
    };
    let lines = back.iter().zip(&places).zip(amounts).map(|(((line, qty), place), amount)| RefundedLine {
        line: line.clone(),
        qty: *qty,
        amount,
        left: left(place),
    });
    Ok(Refunded {
        amount,
        lines: lines.collect(),
        points_taken: is.points_earned - was.points_earned,
        points_given: is.points_spent - was.points_spent,
        whole: sold.iter().zip(&after).all(|(line, back)| units(line) == *back),
    })
}

/// A place among the lines, or among the gifts.
enum Back {
    Goods(usize),
    Gift(usize),
}

/// What is taken from the refund for what promotions gave on units and gifts that stay.
fn claws(sale: &SoldSale<'_>, is: &Due, (after, gifts): (&[u32], &[u32])) -> Result<Money, ReturnFault> {
    let (mut claws, mut in_doubt) = (Money::ZERO, Money::ZERO);
    let mut held_to: Vec<(&PromotionId, Money)> = Vec::new();
    let some_back = after.iter().any(|back| *back > 0);
    for (promotion, reach) in &is.reach {
        let is_split = reach.back_units > 0 && reach.stays_units > 0;
        match (sale.policy)(promotion) {
            ReturnPolicy::BlockPartial if is_split => {
                return Err(ReturnFault::PartialBlocked(promotion.clone()));
            }
            ReturnPolicy::BlockPartial if some_back && reach.stays_amount.is_positive() => {
                held_to.push((promotion, reach.stays_amount));
            }
            ReturnPolicy::ClawBack if is_split => claws += reach.stays_amount,
            // What comes back may be what made it hold, though it gave nothing on that.
            ReturnPolicy::ReEvaluate if some_back => in_doubt += reach.stays_amount,
            _ => {}
        }
    }
    let may_cost =
        |gift: &SoldGift<'_>| some_back && !matches!((sale.policy)(gift.promotion), ReturnPolicy::Keep);
    let kept: Vec<(&SoldGift<'_>, u32)> = (sale.gifts.iter().zip(gifts))
        .filter(|(gift, back)| may_cost(gift) && gift.qty > **back)
        .map(|(gift, back)| (gift, gift.qty - back))
        .collect();
    if !in_doubt.is_positive() && kept.is_empty() && held_to.is_empty() {
        return Ok(claws);
    }
    let stays: Vec<(LineId, u32)> = (sale.lines.iter().zip(after))
        .map(|(line, back)| (line.line.clone(), units(line) - back))
        .filter(|(_, left)| *left > 0)
        .collect();
    let again = if stays.is_empty() { Some(Priced::nothing()) } else { (sale.again)(&stays) };
    let Some(again) = again else { return Ok(claws) };
    let gives = |promotion: &PromotionId| -> Money {
        again.applied.iter().filter(|one| one.promotion == *promotion).map(|one| one.amount).sum()
    };
    if let Some((promotion, _)) = held_to.iter().find(|(promotion, stays)| gives(promotion) < *stays) {
        return Err(ReturnFault::PartialBlocked((*promotion).clone()));
    }
    // The other policies have settled theirs.
    let is_settled = |promotion: &PromotionId| {
        is.reach.contains_key(promotion) && (sale.policy)(promotion) != ReturnPolicy::ReEvaluate
    };
    let given: Money =
        again.applied.iter().filter(|one| !is_settled(&one.promotion)).map(|one| one.amount).sum();
    claws += (in_doubt - given).max(Money::ZERO);
    let mut earned: BTreeMap<&PromotionId, u32> = BTreeMap::new();
    for gift in &again.gifts {
        *earned.entry(&gift.promotion).or_default() += gift.qty;
    }
    for (gift, kept) in kept {
        let earned = earned.entry(gift.promotion).or_default();
        let still = kept.min(*earned);
        *earned -= still;
        if still < kept && (sale.policy)(gift.promotion) == ReturnPolicy::BlockPartial {
            return Err(ReturnFault::PartialBlocked(gift.promotion.clone()));
        }
        claws += (gift.value - gift.paid).max(Money::ZERO).times(kept - still);
    }
    Ok(claws)
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

    /// Policies of `keep`, and rules of the sale that give nothing on what stays.
    fn plain<'a>(lines: &'a [SoldLine<'a>]) -> SoldSale<'a> {
        let (policy, again) = (&|_: &PromotionId| ReturnPolicy::Keep, &|_: &[_]| Some(Priced::nothing()));
        SoldSale { lines, gifts: &[], refunded: Money::ZERO, policy, again }
    }

    fn amounts(policy: ReturnPolicy, shares: &[UnitShare]) -> Vec<i64> {
        let line = id("1");
        let (mut paid, mut amounts) = (Money::ZERO, Vec::new());
        for returned in 0..units(&SoldLine { line: &line, shares, returned: 0 }) {
            let sold = [SoldLine { line: &line, shares, returned }];
            let sale = SoldSale { refunded: paid, policy: &|_| policy, ..plain(&sold) };
            let refunded = refund(&sale, &[(line.clone(), 1)]).expect("allowed");
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
        let block = |_: &PromotionId| ReturnPolicy::BlockPartial;
        let ask = |qty| vec![(line.clone(), qty)];
        let too_many = Err(ReturnFault::TooMany { line: line.clone(), left: 1 });
        assert_eq!(refund(&plain(&sold), &ask(2)), too_many);
        assert_eq!(refund(&plain(&sold), &ask(0)), too_many);
        let unknown = Err(ReturnFault::UnknownLine(id("9")));
        assert_eq!(refund(&plain(&sold), &[(id("9"), 1)]), unknown);
        let fresh = [SoldLine { line: &line, shares: &shares, returned: 0 }];
        let blocked = SoldSale { policy: &block, ..plain(&fresh) };
        let p = PromotionId::new("p").expect("an id of the test");
        assert_eq!(refund(&blocked, &ask(1)), Err(ReturnFault::PartialBlocked(p)));
        let whole = refund(&blocked, &ask(2)).expect("all of it may come back");
        assert!(whole.whole && whole.amount == Money(1800));
    }
}
