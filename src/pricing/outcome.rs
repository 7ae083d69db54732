//! What pricing answers: figures, per-unit shares, and a reason for every promotion that was asked.
//!
//! Invariants: `total = subtotal - discount_total - points.spend_amount + gifts' token prices`; for each line
//! `net = gross - sum(discounts) - points_amount` and the shares of its units sum to `net`; the amounts of `applied` sum
//! to `discount_total`, the lines' `points_amount` to `points.spend_amount`, the shares' points to `points.earn`. Lists
//! are in the order of the basket (lines) or by promotion id (reasons), so that the same sale gives the same bytes.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::domain::code::Code;
use crate::domain::ids::{CouponCode, CouponId, LineId, PromotionId, Sku};
use crate::domain::money::Money;
use crate::domain::points::PointsLine;
use crate::domain::text::Texts;

use super::model::ResolutionMode;

/// A basket priced.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Priced {
    /// Sum of the lines at shelf price.
    pub subtotal: Money,
    /// Sum of all that promotions took off, redeem promotions among them (the programme's own redemption and gift cards
    /// are not).
    pub discount_total: Money,
    /// Goods total to pay: after promotions and points turned into money, before tenders.
    pub total: Money,
    /// In the order of the basket.
    pub lines: Vec<PricedLine>,
    /// Units added.
    pub gifts: Vec<GivenGift>,
    /// What applied, in the order of application.
    pub applied: Vec<Applied>,
    /// What became of each code, in order of presentation.
    pub coupons: Vec<CouponResult>,
    /// What did not apply and why, by promotion id: of the promotions that could touch the basket or were asked for by
    /// code or claim, the closest `NOT_APPLIED_MAX`.
    pub not_applied: Vec<NotApplied>,
    /// The smallest additions that would pay, best gain first.
    pub near: Vec<Near>,
    /// Points in and out.
    pub points: PointsResult,
    /// What promotions on the shelf took off shelf prices before the basket was priced: `subtotal` and the lines start
    /// from what they left.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub shelf: Vec<ShelfChange>,
    /// What each gift card pays of `total`, in order of presentation.
    pub gift_cards: Vec<GiftCardUse>,
    /// Coupons for the next visit: which definition, good for how many days.
    pub issues: Vec<Issue>,
    /// How the combination was found.
    pub resolution: Resolution,
}

impl Priced {
    /// An empty basket's figures.
    pub fn nothing() -> Priced {
        Priced {
            subtotal: Money::ZERO,
            discount_total: Money::ZERO,
            total: Money::ZERO,
            lines: Vec::new(),
            gifts: Vec::new(),
            applied: Vec::new(),
            coupons: Vec::new(),
            not_applied: Vec::new(),
            near: Vec::new(),
            points: PointsResult::default(),
            shelf: Vec::new(),
            gift_cards: Vec::new(),
            issues: Vec::new(),
            resolution: Resolution { mode: ResolutionMode::Sequence, proved: true, gap: Money::ZERO },
        }
    }
}

/// A shelf price changed by a promotion before the basket was priced.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct ShelfChange {
    /// By which promotion.
    pub promotion: PromotionId,
    /// Of which article.
    pub sku: Sku,
    /// How many units of the basket.
    pub qty: u32,
    /// Taken off each unit's price.
    pub amount: Money,
}

/// A line priced.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct PricedLine {
    /// The device's name for it.
    pub line: LineId,
    /// What was bought.
    pub sku: Sku,
    /// Units (1 for a weighed line).
    pub units: u32,
    /// At shelf price.
    pub gross: Money,
    /// To pay.
    pub net: Money,
    /// Taken off by the programme's points turned into money.
    pub points_amount: Money,
    /// By which promotion how much, in the order of application.
    pub discounts: Vec<LineDiscount>,
    /// The frozen share of each unit: runs of equal units, dearest first. What a return refunds.
    pub shares: Vec<UnitShare>,
}

/// What one promotion took off a line.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct LineDiscount {
    /// Which.
    pub promotion: PromotionId,
    /// How much, in minor units.
    pub amount: Money,
}

/// Units of a line that cost the same in the end.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct UnitShare {
    /// How many.
    pub qty: u32,
    /// What each was paid with, after everything including points turned into money.
    pub net: Money,
    /// What each had taken off, by promotion.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub discounts: Vec<LineDiscount>,
    /// Points each earned (leftovers are on the first units).
    #[serde(default)]
    pub points: i64,
    /// Points each was paid with (leftovers are on the first units).
    #[serde(default)]
    pub points_spent: i64,
}

/// Units added to the basket.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct GivenGift {
    /// What.
    pub sku: Sku,
    /// How many.
    pub qty: u32,
    /// What each costs: nothing, or a token price.
    pub unit_price: Money,
    /// By which promotion.
    pub promotion: PromotionId,
}

/// A promotion that applied.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Applied {
    /// Which.
    pub promotion: PromotionId,
    /// Money taken off.
    pub amount: Money,
    /// Units that received.
    pub units: u32,
    /// Applications: sets, groups, full amounts.
    pub times: u32,
    /// Points given.
    pub points: i64,
    /// The code that set it off.
    pub coupon: Option<CouponCode>,
}

/// What became of a code.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct CouponResult {
    /// The code.
    pub code: CouponCode,
    /// What became of it.
    pub outcome: CouponOutcome,
    /// Why, unless it applied.
    pub reason: Option<Reason>,
}

impl CouponResult {
    /// The page of a refused code; nothing for one that is good.
    pub fn problem(&self) -> Option<Code> {
        self.reason.filter(|_| self.outcome == CouponOutcome::Refused).and_then(Reason::of_a_code)
    }
}

/// What became of a code.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum CouponOutcome {
    /// Its promotion applied.
    Applied,
    /// It is good, but its promotion gives nothing on this basket.
    NotApplied,
    /// It is no good: unknown, used, expired, another's.
    Refused,
}

/// Why a promotion did not apply: a closed list, stable on the wire.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum Reason {
    /// Switched off in the bundle.
    Inactive,
    /// Begins later.
    NotStarted,
    /// Has ended.
    Expired,
    /// Not on this day or at this hour.
    OutsideSchedule,
    /// Needs a known member.
    NoMember,
    /// The member is not in its audience.
    Audience,
    /// A condition on the sale does not hold.
    Conditions,
    /// Too few units of its set.
    TooFewUnits,
    /// Too little spent on its set.
    TooLittleSpent,
    /// Its code was not presented.
    NoCode,
    /// It was not claimed.
    NotClaimed,
    /// A limit of the shop is used up.
    LimitStore,
    /// A limit of the chain is used up.
    LimitChain,
    /// A limit of the member is used up.
    LimitMember,
    /// The code is used up.
    LimitCode,
    /// A limit of the device is used up.
    LimitDevice,
    /// Another promotion of its group gave more, or an exclusive one stands.
    LostTo,
    /// All its units were taken by earlier promotions.
    UnitsTaken,
    /// It would take nothing off: floor, cap or price already lower.
    NothingOff,
    /// Not enough points.
    TooFewPoints,
    /// None of its gifts is at hand.
    GiftGone,
    /// Its time has not come: too many days to the best-before day, or too long to closing.
    TooEarly,
    /// It does not run without a line to head office.
    Offline,
    /// The code is not known here.
    CodeUnknown,
    /// The code was used before.
    CodeUsed,
    /// The code belongs to another member.
    CodeNotYours,
    /// The code is held by another open quote.
    CodeHeld,
    /// The code may be redeemed in another shop only.
    CodeElsewhere,
    /// The referral code is the shopper's own, or of their household.
    ReferralOwn,
    /// The referral code is for new members, and one serves a sale.
    ReferralNotNew,
    /// The voucher's text is damaged or cut short.
    VoucherMalformed,
    /// No partner of these rules signs with the voucher's key.
    VoucherKeyUnknown,
    /// The voucher's partner did not sign this.
    VoucherSignatureBad,
    /// The voucher's partner may not issue this, or not on this day.
    VoucherNotAllowed,
}

impl Reason {
    /// Its page, where it is why a code was refused.
    fn of_a_code(self) -> Option<Code> {
        Some(match self {
            Reason::CodeUnknown => Code::CodeUnknown,
            Reason::CodeUsed => Code::CodeUsed,
            Reason::CodeNotYours => Code::CodeNotYours,
            Reason::CodeHeld => Code::CodeHeld,
            Reason::CodeElsewhere => Code::CodeElsewhere,
            Reason::NotStarted | Reason::Expired | Reason::OutsideSchedule => Code::CodeOutOfTime,
            Reason::NoMember => Code::MemberNeeded,
            Reason::ReferralOwn => Code::ReferralOwn,
            Reason::ReferralNotNew => Code::ReferralNotNew,
            Reason::VoucherMalformed => Code::VoucherMalformed,
            Reason::VoucherKeyUnknown => Code::VoucherKeyUnknown,
            Reason::VoucherSignatureBad => Code::VoucherSignatureBad,
            Reason::VoucherNotAllowed => Code::VoucherNotAllowed,
            _ => return None,
        })
    }
}

/// A promotion that did not apply, with the value seen.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct NotApplied {
    /// Which.
    pub promotion: PromotionId,
    /// The kind of reason.
    pub reason: Reason,
    /// The failed leaf with the value seen, in both languages.
    pub detail: Texts,
    /// The one that won.
    pub loses_to: Option<PromotionId>,
    /// By how much.
    pub by: Option<Money>,
}

/// The smallest addition that makes a promotion pay, checked by pricing the whole basket with it.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Near {
    /// Which.
    pub promotion: PromotionId,
    /// What to add.
    pub add: Addition,
    /// How much more is taken off the whole basket with it, gifts at their shelf value included.
    pub gain: Money,
}

/// What to add.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(untagged)]
pub enum Addition {
    /// Spend so much more.
    Amount {
        /// In minor units.
        amount: Money,
    },
    /// So many more of an article.
    Units {
        /// Which.
        sku: Sku,
        /// How many.
        qty: u32,
    },
    /// So many more units of the promotion's set.
    Set {
        /// The promotion whose set it is.
        set: PromotionId,
        /// How many.
        qty: u32,
    },
    /// Come back at this time.
    From {
        /// RFC 3339 in the store's offset.
        from: String,
    },
}

/// Points in and out.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct PointsResult {
    /// Earned.
    pub earn: i64,
    /// Spent.
    pub spend: i64,
    /// What points took off under the programme, in minor units (a redeem promotion's money is a discount).
    pub spend_amount: Money,
    /// The balance after; nothing for an unknown member.
    pub balance_after: Option<i64>,
    /// Line by line.
    pub lines: Vec<PointsLine>,
    /// Why fewer were spent than the shopper wished; nothing if the wish was granted or there was none.
    pub short: Option<Reason>,
}

/// What a gift card or a partner's voucher of value pays. What stays on a voucher is lost.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct GiftCardUse {
    /// Which card.
    pub code: CouponCode,
    /// How much of it.
    pub used: Money,
    /// What stays on it.
    pub balance: Money,
}

/// A coupon to be issued.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Issue {
    /// By which promotion.
    pub promotion: PromotionId,
    /// Which coupon definition.
    pub coupon: CouponId,
    /// Days it is good for.
    pub valid_days: u16,
}

/// How the combination was found.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct Resolution {
    /// In declared order, or the best.
    pub mode: ResolutionMode,
    /// Is it certain that no permitted combination is better (in `sequence`: that order was kept)?
    pub proved: bool,
    /// If not: how much better one could be at most.
    pub gap: Money,
}
