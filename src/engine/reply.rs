//! What the engine answers: the contract's reply documents as types, and refusals as values with a stable code.
//!
//! `devices::wire` writes these as JSON or MessagePack without touching a figure. The serde names here are the wire's
//! names (contract v1); a field is added, never renamed.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::bundle::document::CareKind;
use crate::domain::calendar::Day;
use crate::domain::catalog::SoldBy;
use crate::domain::code::Code;
use crate::domain::ids::{
    BundleRef, CampaignId, CouponCode, LineId, MemberId, OrderId, PromotionId, QuoteId, Sku, TierId,
};
use crate::domain::money::Money;
use crate::domain::order::OrderLine;
use crate::domain::points::PointsLine;
use crate::pricing::outcome::{
    Addition, CouponOutcome, GiftCardUse, GivenGift, LineDiscount, Reason, Resolution, ShelfChange, UnitShare,
};

/// An answer: a document, or a refusal.
pub type Answer = Result<Reply, Refusal>;

/// A refusal: a value, not a failure.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Refusal {
    /// What, with cause and remedy behind it.
    pub code: Code,
    /// Where and with which value: an English sentence, no personal data.
    pub detail: String,
    /// When to try again, where trying again helps.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub retry_after_ms: Option<u32>,
}

impl Refusal {
    /// A refusal that trying again does not change.
    pub fn new(code: Code, detail: impl Into<String>) -> Refusal {
        Refusal { code, detail: detail.into(), retry_after_ms: None }
    }

    /// A refusal for now.
    pub fn later(code: Code, detail: impl Into<String>, retry_after_ms: u32) -> Refusal {
        Refusal { code, detail: detail.into(), retry_after_ms: Some(retry_after_ms) }
    }
}

/// The reply documents, by operation.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Reply {
    /// To `scan`.
    Scan(Box<ScanReply>),
    /// To `quote`.
    Quote(Box<QuoteReply>),
    /// To `commit`.
    Commit(Box<Receipt>),
    /// To `void` and `return`.
    Refund(Box<Refund>),
    /// To `enroll`.
    Enroll(Enrolled),
    /// To `wallet`.
    Wallet(WalletReply),
    /// To `feedback`, `event` and head office's words.
    Noted(Noted),
}

impl Reply {
    /// What is to be said of a decision beside its figures; nothing for what is only read.
    pub fn remarks(&self) -> Option<&[Remark]> {
        Some(match self {
            Reply::Commit(receipt) => &receipt.remarks,
            Reply::Refund(refund) => &refund.remarks,
            Reply::Enroll(enrolled) => &enrolled.remarks,
            Reply::Noted(noted) => &noted.remarks,
            Reply::Scan(_) | Reply::Quote(_) | Reply::Wallet(_) => return None,
        })
    }

    pub(super) fn remarks_mut(&mut self) -> Option<&mut Vec<Remark>> {
        Some(match self {
            Reply::Commit(receipt) => &mut receipt.remarks,
            Reply::Refund(refund) => &mut refund.remarks,
            Reply::Enroll(enrolled) => &mut enrolled.remarks,
            Reply::Noted(noted) => &mut noted.remarks,
            Reply::Scan(_) | Reply::Quote(_) | Reply::Wallet(_) => return None,
        })
    }
}

/// How old what the answer rests on is.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct DataAge {
    /// Seconds since the bundle was activated here.
    pub bundle_s: i64,
    /// Seconds since head office last wrote the member; absent for nobody.
    #[serde(skip_serializing_if = "Option::is_none", default)]
    pub member_s: Option<i64>,
}

/// Points of a member.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct PointsView {
    /// All of them.
    pub balance: i64,
    /// What may be spent now.
    pub spendable: i64,
    /// When head office last confirmed the balance, RFC 3339.
    pub as_of: String,
}

/// The member at a scan.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct MemberView {
    /// Pseudonymous id.
    pub id: MemberId,
    /// What the till may show.
    pub name: String,
    /// Rank.
    pub tier: Option<TierId>,
    /// Points.
    pub points: PointsView,
}

/// To `scan`.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct ScanReply {
    /// Who; null for an unknown token, which is not an error.
    pub member: Option<MemberView>,
    /// Offers that are open to this shopper now.
    pub offers: Vec<Offer>,
    /// What to suggest.
    pub recommendations: Vec<Suggestion>,
    /// Care messages.
    pub care: Vec<Care>,
    /// How old the data are.
    pub data_age: DataAge,
    /// Orders bought online that wait here for whoever shows this, those kept for the shortest time first; absent if none do.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub pickups: Vec<PickupView>,
}

/// An order that waits to be handed over.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct PickupView {
    /// Its number: send it with the hand-over's `event` of kind `pick_up`.
    pub order: OrderId,
    /// What is in it.
    pub lines: Vec<OrderLine>,
    /// Last moment it is handed over, RFC 3339.
    pub until: String,
    /// `placed`, or `ready`: packed and waiting.
    pub state: String,
}

/// An offer open to the shopper.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct Offer {
    /// Which promotion.
    pub promotion: PromotionId,
    /// Its title in the shopper's language.
    pub title: String,
    /// One sentence more.
    pub text: String,
    /// The code to present, where it needs one the member holds.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub coupon: Option<CouponCode>,
    /// Last day, where it has one.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub expires: Option<String>,
    /// Why this shopper sees it.
    pub reason: String,
}

/// An article to suggest.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct Suggestion {
    /// Which.
    pub sku: Sku,
    /// 0 to 1,000.
    pub score: u16,
    /// Why.
    pub because: String,
}

/// A care message.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct Care {
    /// What kind.
    pub kind: CareKind,
    /// What to show.
    pub text: String,
    /// The campaign it belongs to.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub campaign: Option<CampaignId>,
}

/// A line as the contract shows it.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct LineView {
    /// The device's name for it.
    pub line: LineId,
    /// At shelf price.
    pub gross: Money,
    /// To pay.
    pub net: Money,
    /// What was taken off.
    pub discounts: Vec<LineDiscount>,
    /// What the till charged beyond the rules (negative: less), where it charged while the engine was away; `net` has it.
    #[serde(default, skip_serializing_if = "is_nothing")]
    pub difference: Money,
}

/// Serde hands over a reference.
fn is_nothing(amount: &Money) -> bool {
    *amount == Money::ZERO
}

/// A promotion that applied, as the contract shows it.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct AppliedView {
    /// Which.
    pub promotion: PromotionId,
    /// Its title in the shopper's language.
    pub title: String,
    /// Money taken off.
    pub amount: Money,
    /// The code that set it off.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub coupon: Option<CouponCode>,
}

/// What became of a code, as the contract shows it.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct CouponView {
    /// The code.
    pub code: CouponCode,
    /// What became of it.
    pub outcome: CouponOutcome,
    /// Why, unless it applied.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub reason: Option<Reason>,
    /// The stable code of a refused one's page: what, why and how to mend it, by `aisled explain`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(with = "Option<String>", regex(pattern = "^AIS-[0-9]{4}$"))]
    pub problem: Option<Code>,
}

/// A promotion that did not apply, as the contract shows it.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct NotAppliedView {
    /// Which.
    pub promotion: PromotionId,
    /// The kind of reason.
    pub reason: Reason,
    /// The failed leaf with the value seen.
    pub detail: String,
    /// The one that won.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub loses_to: Option<PromotionId>,
    /// By how much.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub by: Option<Money>,
}

/// An addition that would pay, as the contract shows it.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct NearView {
    /// Which promotion.
    pub promotion: PromotionId,
    /// What to add.
    pub add: Addition,
    /// How much more is then taken off.
    pub gain: Money,
}

/// Points of a sale, as the contract shows them.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct PointsFigures {
    /// Earned.
    pub earn: i64,
    /// Spent.
    pub spend: i64,
    /// The balance after; absent for nobody.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub balance_after: Option<i64>,
}

/// To `quote`, and the figures of a receipt.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct Figures {
    /// At shelf price.
    pub subtotal: Money,
    /// Taken off by promotions.
    pub discount_total: Money,
    /// To pay.
    pub total: Money,
    /// In the order of the basket.
    pub lines: Vec<LineView>,
    /// Units added.
    pub gifts: Vec<GivenGift>,
    /// What applied.
    pub applied: Vec<AppliedView>,
    /// What became of each code.
    pub coupons: Vec<CouponView>,
    /// What did not apply and why.
    pub not_applied: Vec<NotAppliedView>,
    /// What would pay.
    pub near: Vec<NearView>,
    /// What promotions on the shelf took off shelf prices before anything else: `subtotal` and the lines begin below it.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub shelf: Vec<ShelfChange>,
    /// Points.
    pub points: PointsFigures,
    /// What gift cards pay.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub gift_cards: Vec<GiftCardUse>,
    /// How the combination was found.
    pub resolution: Resolution,
    /// Under which rules.
    pub bundle: BundleRef,
    /// How old the data are.
    pub data_age: DataAge,
}

/// To `quote`.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct QuoteReply {
    /// Its id.
    pub quote: QuoteId,
    /// Until when a commit of it is honoured, RFC 3339.
    pub expires: String,
    /// What the shopper may choose gifts from; ask again with `gift_choices`.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub gift_choices: Vec<GiftChoice>,
    /// The figures.
    #[serde(flatten)]
    pub figures: Figures,
    /// What goes with it, where you asked with `suggest`.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub recommendations: Vec<Suggestion>,
}

/// Gifts to choose from.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct GiftChoice {
    /// Whose gifts: it applied.
    pub promotion: PromotionId,
    /// Different articles that are given; those given now stand in `gifts`.
    pub choose: u32,
    /// The articles, without those you said are gone.
    pub skus: Vec<Sku>,
}

/// To `commit`.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct Receipt {
    /// A reference to replay the decision and to ask why.
    pub decision: String,
    /// The sale.
    pub transaction: TransactionView,
    /// Who bought.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub member: Option<MemberId>,
    /// The figures as settled.
    #[serde(flatten)]
    pub figures: Figures,
    /// Each unit's frozen share, by line.
    pub units: Vec<LineUnits>,
    /// The points ledger's lines.
    pub points_ledger: Vec<PointsLine>,
    /// Codes used up.
    pub coupons_burned: Vec<CouponCode>,
    /// Coupons for the next visit.
    pub coupons_issued: Vec<IssuedCoupon>,
    /// What the receipt says, in the shopper's language.
    pub texts: Vec<String>,
    /// Training: counts for nothing.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub training: bool,
    /// Where what the till charged differs from what the rules say.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub charged: Option<ChargedView>,
    /// What was odd about the sale and is kept all the same.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub remarks: Vec<Remark>,
}

/// A sale's key on the wire.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct TransactionView {
    /// The till.
    pub device: crate::domain::ids::DeviceId,
    /// Its business day.
    pub business_day: Day,
    /// Its number of that day.
    pub seq: u64,
}

/// The frozen shares of one line.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct LineUnits {
    /// Which line.
    pub line: LineId,
    /// What was bought.
    pub sku: Sku,
    /// Runs of equal units.
    pub shares: Vec<UnitShare>,
}

/// A coupon for the next visit.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct IssuedCoupon {
    /// What to present.
    pub code: CouponCode,
    /// What it is a right to.
    pub promotion: PromotionId,
    /// Its title in the shopper's language.
    pub title: String,
    /// Last moment it is good, RFC 3339.
    pub expires: String,
}

/// Where what the till charged differs from the rules.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct ChargedView {
    /// What the shopper paid; the sale keeps it.
    pub total: Money,
    /// What the rules say.
    pub by_rules: Money,
    /// The first minus the second.
    pub difference: Money,
    /// Is there any?
    pub flagged: bool,
}

/// To `void` and `return`.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct Refund {
    /// A reference to replay the decision and to ask why.
    pub decision: String,
    /// The sale the goods were bought in.
    pub original: TransactionView,
    /// What the shopper gets back.
    pub refund: Money,
    /// Line by line.
    pub lines: Vec<RefundLine>,
    /// Points given back (positive) and clawed back (negative).
    pub points_ledger: Vec<PointsLine>,
    /// The balance after; absent for nobody.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub points_balance_after: Option<i64>,
    /// Codes that are good again.
    pub coupons_returned: Vec<CouponCode>,
    /// Coupons of the sale that are no longer good.
    pub coupons_withdrawn: Vec<CouponCode>,
    /// Was it the whole sale?
    pub whole: bool,
    /// What is otherwise than it should be, and why.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub remarks: Vec<Remark>,
}

/// Refund of one line.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct RefundLine {
    /// Which line.
    pub line: LineId,
    /// Units come back.
    pub qty: u32,
    /// What they were paid with.
    pub amount: Money,
    /// Units of it still with the shopper.
    pub left: u32,
}

/// To `enroll`.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct Enrolled {
    /// The new member's id.
    pub member: MemberId,
    /// A reference to the decision.
    pub decision: String,
    /// What is otherwise than the rules say, and why.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub remarks: Vec<Remark>,
}

/// To `wallet`.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct WalletReply {
    /// Who; null for an unknown token.
    pub member: Option<MemberView>,
    /// Coupons held.
    pub coupons: Vec<IssuedCoupon>,
    /// Those of them that run out within a week.
    pub expiring_soon: Vec<CouponCode>,
    /// How old the data are.
    pub data_age: DataAge,
}

/// To requests that are only kept.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct Noted {
    /// A reference to the decision.
    pub decision: String,
    /// What was kept and not counted, and why.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub remarks: Vec<Remark>,
}

impl Noted {
    /// Kept, with nothing to remark.
    pub fn of(decision: String) -> Noted {
        Noted { decision, remarks: Vec::new() }
    }
}

/// Why something was kept and not counted.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct Remark {
    /// Its page: `aisled explain` prints it.
    #[schemars(with = "String", regex(pattern = "^AIS-[0-9]{4}$"))]
    pub code: Code,
    /// What was seen.
    pub detail: String,
}

impl Remark {
    /// A remark of a code.
    pub fn new(code: Code, detail: impl Into<String>) -> Remark {
        Remark { code, detail: detail.into() }
    }
}

/// The label of one article.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct Label {
    /// Which article.
    pub sku: Sku,
    /// What one piece or 1,000 grams cost now, in minor units.
    pub price: Money,
    /// What they cost otherwise, where that is more: to strike through.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub instead_of: Option<Money>,
    /// By piece or by weight.
    pub sold_by: SoldBy,
    /// The promotion that takes most off.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub promotion: Option<PromotionId>,
    /// Its title in the shop's language.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub title: Option<String>,
    /// It ends when its limit is used up, also before its time.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub limited: bool,
}
