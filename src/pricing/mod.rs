//! Promotions: from a basket, a member and the bundle's rules to figures and reasons.
//!
//! ```text
//! BookRules --check--> faults | compile (sets, conditions, index) --> Book
//! Sale --units--> goods, runs --shelf--> shelf prices --index--> candidates --eligibility--> open | why not
//!      --resolution--> for each, in order: conditions, usage, benefits/points -> Proposal -> State (allocation)
//!      --best--> the same for the best combination of them, with the proof; mixed: where groups differ
//!      --near--> the same again with one addition --answer, explain--> Priced
//! ```
//!
//! Phases are fixed: shelf prices, then promotions on units, then on the order, then points into money, points earned, gift cards. The
//! room is pure: what it may look at is in `Sale`, money is integers, order is total. The same sale gives the same
//! bytes, whatever the order of its lines and however equal lines are split.

pub mod model;
pub mod outcome;
pub mod returns;

mod allocation;
mod answer;
mod benefits;
mod best;
mod book;
mod check;
mod conditions;
mod eligibility;
mod explain;
mod index;
mod mixed;
mod near;
mod offers;
mod points;
mod resolution;
mod sets;
mod shelf;
mod units;
mod usage;

use std::collections::BTreeMap;
use std::fmt;

use crate::domain::basket::Basket;
use crate::domain::calendar::UnixMs;
use crate::domain::ids::{CouponCode, DeviceId, LineId, PromotionId, SegmentId, Sku, Zone};
use crate::domain::member::{Member, Usage, Used};
use crate::domain::money::Money;

use model::Channel;
use outcome::Reason;

pub use book::{Book, BookRules, CouponRule, RuleFault};
pub use offers::OpenOffer;
pub(crate) use usage::amount;

/// All that pricing may look at.
#[derive(Clone, Copy, Debug)]
pub struct Sale<'a> {
    /// What is bought, with points to spend, claims and gift cards. Its `coupons` are not read: `codes` stand for
    /// them, looked up.
    pub basket: &'a Basket,
    /// Who buys, when.
    pub shopper: Shopper<'a>,
    /// The codes presented, in order, each with what the engine found out about it.
    pub codes: &'a [PresentedCode],
    /// On which device.
    pub device: &'a DeviceId,
    /// Through what the sale comes in.
    pub channel: Channel,
    /// How the promotions that `Book::limited` names were used in this shop, open holds included.
    pub usage: &'a BTreeMap<PromotionId, Usage>,
    /// How they were used on this device, open holds included; only for limits of scope `device`.
    pub device_usage: &'a BTreeMap<PromotionId, Usage>,
    /// Whole hours without head office; nothing while the line is up.
    pub offline_hours: Option<u32>,
    /// What head office lent this shop; absent where the shop is the whole chain, and its own counts stand for it.
    pub lent: Option<&'a Lent>,
}

impl Sale<'_> {
    /// Points that may be spent in it.
    pub(crate) fn spendable(&self) -> i64 {
        let own = self.shopper.member.map_or(0, |member| member.ledger.points.spendable());
        self.lent.and_then(|lent| lent.points).map_or(own, |lent| own.min(lent))
    }
}

/// What a shop may still spend of what the chain shares, open holds taken off.
#[derive(Clone, Debug, Default, PartialEq, Eq, serde::Serialize, serde::Deserialize)]
pub struct Lent {
    /// Of chain-wide limits; of a promotion that is not named, nothing.
    pub limits: BTreeMap<PromotionId, Used>,
    /// The presented code whose home is another shop, and money off it may bring here.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub away: Option<(CouponCode, Money)>,
    /// Points of the member that may be spent here; absent where all of them may.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub points: Option<i64>,
}

/// Who looks at an offer, and when.
#[derive(Clone, Copy, Debug)]
pub struct Shopper<'a> {
    /// The member, where one is known.
    pub member: Option<&'a Member>,
    /// The segments the member is in, sorted.
    pub segments: &'a [SegmentId],
    /// The moment prices are asked for.
    pub now: UnixMs,
    /// Where in the shop; `offers` looks at it, a sale has its basket's.
    pub zone: Option<&'a Zone>,
}

/// A code, looked up by the engine.
#[derive(Clone, Debug, PartialEq, Eq, serde::Serialize, serde::Deserialize)]
pub struct PresentedCode {
    /// As presented.
    pub code: CouponCode,
    /// What it gives a right to, or why it is no good.
    pub right: Result<Right, Reason>,
    /// How it was used before, for limits of scope `code`.
    pub used: Usage,
}

/// What a code gives a right to.
#[derive(Clone, Debug, PartialEq, Eq, serde::Serialize, serde::Deserialize)]
#[serde(untagged)]
pub enum Right {
    /// It sets off this promotion.
    Promotion(PromotionId),
    /// It pays so much, after everything, before gift cards: a partner's voucher. What is not used is lost.
    Value(Money),
}

impl Right {
    /// The promotion it sets off.
    pub fn promotion(&self) -> Option<&PromotionId> {
        match self {
            Right::Promotion(promotion) => Some(promotion),
            Right::Value(_) => None,
        }
    }
}

impl From<PromotionId> for Right {
    fn from(promotion: PromotionId) -> Right {
        Right::Promotion(promotion)
    }
}

impl PresentedCode {
    /// The promotion it sets off.
    pub fn promotion(&self) -> Option<&PromotionId> {
        self.right.as_ref().ok().and_then(Right::promotion)
    }
}

/// Why a basket cannot be priced.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum PriceFault {
    /// The catalogue does not hold the article and the line carries no price: send the till's price.
    UnknownSku {
        /// Which line.
        line: LineId,
        /// Which article.
        sku: Sku,
    },
    /// A unit's price is negative or above `UNIT_PRICE_MINOR_MAX`, or the basket holds more than `BASKET_UNITS_MAX`
    /// units from this line on.
    AmountTooLarge {
        /// Which line.
        line: LineId,
    },
}

/// Fits after "failed to price the basket:".
impl fmt::Display for PriceFault {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            PriceFault::UnknownSku { line, sku } => {
                write!(f, "line {line}: the catalogue does not hold {sku} and the line carries no unit_price")
            }
            PriceFault::AmountTooLarge { line } => {
                write!(f, "line {line}: the price or the number of units is outside what a basket may hold")
            }
        }
    }
}
