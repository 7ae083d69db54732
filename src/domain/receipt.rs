//! What is remembered of a sale so that goods can come back: where its decision is, and what has come back already.
//!
//! The receipt itself (every unit's frozen share) stands in the journal at `decision`; this record is what the tables
//! hold to find it, to refuse a second void or a return of more than was sold, and to give back what the sale took of
//! limits and of its member's wallet: exactly that, whatever is limited when the goods come back.

use serde::{Deserialize, Serialize};

use super::ids::{CouponCode, LineId, MemberId, PromotionId, Seq};
use super::lease::Scope;
use super::member::{HeldCoupon, Used};
use super::money::Money;

/// A sale as the tables know it.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct SaleRecord {
    /// The decision that committed it.
    pub decision: Seq,
    /// SHA-256 of what was committed, shortened: tells a repetition under a new request id from another sale.
    pub content: [u8; 16],
    /// Who bought.
    pub member: Option<MemberId>,
    /// What was paid.
    pub total: Money,
    /// A return, not a sale.
    pub is_return: bool,
    /// Taken back whole.
    pub voided: bool,
    /// Rung up in training: counts for nothing.
    pub training: bool,
    /// Money given back so far.
    pub refunded: Money,
    /// Units come back so far, by line.
    pub returned: Vec<(LineId, u32)>,
    /// The decision that last took units back.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub taken_back: Option<Seq>,
    /// What it took of limits.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub took: Vec<Took>,
    /// Whom it rewarded for a referral code.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub referred: Option<Referred>,
    /// Coupons it used up that its member held in the wallet.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub held: Vec<HeldCoupon>,
    /// What it drew of what head office lent this box.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub drawn: Vec<(Scope, i64)>,
}

/// What the owner of a referral code got for a sale.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Referred {
    /// Whose code it was.
    pub owner: MemberId,
    /// Points.
    pub points: i64,
    /// A coupon for the next visit.
    pub coupon: Option<CouponCode>,
}

/// What a sale took of one promotion's limits.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Took {
    /// Of which.
    pub promotion: PromotionId,
    /// How much.
    pub used: Used,
    /// Was it counted for the shop?
    pub shop: bool,
    /// For the till?
    pub device: bool,
    /// For the member?
    pub member: bool,
    /// For this code, where it was.
    pub code: Option<CouponCode>,
    /// It stays counted though the whole sale comes back.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub kept: bool,
}

impl SaleRecord {
    /// Units of a line that have come back already.
    pub fn returned_units(&self, line: &LineId) -> u32 {
        self.returned.iter().find(|(id, _)| id == line).map_or(0, |(_, units)| *units)
    }
}
