//! Unpaid lines and what the shopper brings to them: member, codes, points, claims, tenders.
//!
//! A `Basket` is checked when it is made from the wire (`devices::wire`): bounded lines and units, unique line ids.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::calendar::{Day, UnixMs};
use super::ids::{CouponCode, DeviceId, LineId, PromotionId, Sku, Zone};
use super::money::{Money, Rounding};

/// How much of an item a line holds.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Quantity {
    /// Pieces, at least 1.
    Units(u32),
    /// Grams of one weighed unit, at least 1.
    Grams(u32),
}

impl Quantity {
    /// How many units promotions see: a weighed line is one.
    pub fn units(self) -> u32 {
        match self {
            Quantity::Units(count) => count,
            Quantity::Grams(_) => 1,
        }
    }

    /// What one such unit costs at a price per piece or per 1,000 grams.
    pub fn unit_amount(self, price: Money, rounding: Rounding) -> Money {
        match self {
            Quantity::Units(_) => price,
            Quantity::Grams(grams) => price.ratio(i64::from(grams), 1_000, rounding),
        }
    }
}

/// One line as the device sent it.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Line {
    /// The device's name for it.
    pub line: LineId,
    /// What is bought.
    pub sku: Sku,
    /// How much.
    pub quantity: Quantity,
    /// The till's price per piece or per 1,000 grams; without one the catalogue's.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub unit_price: Option<Money>,
}

/// How many points the shopper wants to spend.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum PointsWish {
    /// So many.
    Spend(i64),
    /// As many as the programme allows.
    Max,
}

/// A reward the shopper or cashier chose.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Claim {
    /// Which promotion (its trigger is `claim`).
    pub promotion: PromotionId,
    /// How often.
    pub times: u32,
}

/// Unpaid lines with what the shopper presented.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Basket {
    /// At least one; ids unique.
    pub lines: Vec<Line>,
    /// In order of presentation, without repetition.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub coupons: Vec<CouponCode>,
    /// Points to spend.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub points: Option<PointsWish>,
    /// Rewards chosen.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub claims: Vec<Claim>,
    /// Gift cards presented: tenders, applied after all promotions.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub gift_cards: Vec<GiftCard>,
    /// Where in the shop.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub zone: Option<Zone>,
    /// What few baskets have.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub notes: Option<Box<Notes>>,
}

impl Basket {
    /// Gifts chosen by the shopper or at the till.
    pub fn choices(&self) -> &[Choice] {
        self.notes.as_ref().map_or(&[], |notes| &notes.choices)
    }

    /// Gifts that the till cannot hand out.
    pub fn gone(&self) -> &[Sku] {
        self.notes.as_ref().map_or(&[], |notes| &notes.gone)
    }

    /// The best-before day of lines that carry one.
    pub fn best_before(&self) -> &[(LineId, Day)] {
        self.notes.as_ref().map_or(&[], |notes| &notes.best_before)
    }
}

/// What few baskets have.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
pub struct Notes {
    /// Gifts chosen by the shopper or at the till.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub choices: Vec<Choice>,
    /// Gifts that the till cannot hand out: they are not at hand.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub gone: Vec<Sku>,
    /// The best-before day of lines that carry one.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub best_before: Vec<(LineId, Day)>,
}

/// Which of a promotion's gifts the shopper wants.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Choice {
    /// Whose gifts.
    pub promotion: PromotionId,
    /// The articles, as many as the promotion lets choose.
    pub skus: Vec<Sku>,
}

/// Stored value the shopper presents. What it holds is a tender's matter, never a discount's.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct GiftCard {
    /// As printed.
    pub code: CouponCode,
    /// What is on it, as the till read it from the issuer, in minor units.
    pub balance: Money,
}

/// Through what a sale comes in.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum Channel {
    /// A staffed till.
    #[default]
    Till,
    /// Self-service.
    Kiosk,
    /// An order from the chain's shop on the net, picked up here.
    Online,
}

/// A sale's name for all time.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
pub struct TransactionKey {
    /// The till.
    pub device: DeviceId,
    /// The till's business day.
    pub business_day: Day,
    /// The till's receipt number of that day.
    pub seq: u64,
}

/// How a sale was paid.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum TenderKind {
    /// Notes and coins.
    Cash,
    /// A bank card.
    Card,
    /// A phone wallet.
    Wallet,
    /// Stored value of the chain.
    GiftCard,
    /// Points at their value in money.
    Points,
    /// Any other, for example a partner's voucher.
    Other,
}

/// One payment.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Tender {
    /// How.
    pub kind: TenderKind,
    /// How much, in minor units.
    pub amount: Money,
}

/// What a till charged while the daemon was away.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Charged {
    /// The total the shopper paid.
    pub total: Money,
    /// What each line was sold for, where the till knows.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub lines: Vec<(LineId, Money)>,
    /// When it was rung up.
    pub at: UnixMs,
}
