//! The nine requests as they stand on the wire: shapes only, borrowed from the payload.
//!
//! These types are the contract: `asyncapi` makes the published schemas from them, and `document` reads into them, so
//! the two cannot differ. They hold plain text and numbers; `check` turns them into the engine's types. No object has
//! a field that is not here, and an optional field may also be `null`.

use std::fmt;

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::domain::basket::TenderKind;
use crate::domain::calendar::{Day, MonthDay};
use crate::domain::ids::{
    CouponCode, DeviceId, LineId, OrderId, PromotionId, QuoteId, RequestId, Sku, Tag, Zone,
};
use crate::domain::member::{Consent, TokenKind};
use crate::engine::input::Channel;
use crate::limits;

/// An instant on the wire: RFC 3339 with an offset. Only its schema; the text becomes a `UnixMs` when it is checked.
pub struct Instant;

impl JsonSchema for Instant {
    fn schema_name() -> std::borrow::Cow<'static, str> {
        "Instant".into()
    }
    fn json_schema(_: &mut schemars::SchemaGenerator) -> schemars::Schema {
        schemars::json_schema!({
            "description": "An instant: RFC 3339 with an offset.",
            "type": "string",
            "format": "date-time",
            "maxLength": limits::TIME_BYTES_MAX,
            "examples": ["2026-11-21T18:31:07+08:00"]
        })
    }
}

/// The envelope of every request.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, bound(deserialize = "D: Deserialize<'de>"))]
#[schemars(rename = "{D}Request")]
pub struct Envelope<'a, D> {
    /// Version of the contract: 1.
    #[schemars(range(min = 1, max = 1))]
    pub v: i64,
    /// Your own key of this request, unique within your device. Send the same id with the same bytes to repeat a
    /// request; give every new request a new id.
    #[schemars(with = "RequestId")]
    pub id: &'a str,
    /// When it happened by your clock, where that is not now: it is recorded. Needed for `charged` without an `at`.
    #[serde(borrow, skip_serializing_if = "Option::is_none")]
    #[schemars(with = "Option<Instant>")]
    pub at: Option<&'a str>,
    /// What you ask.
    pub data: D,
}

/// What a member shows to be known. It is hashed on arrival: no card or phone number is stored.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
#[schemars(rename = "Token")]
pub struct TokenData<'a> {
    /// What kind it is.
    pub kind: TokenKind,
    /// What it says. A phone number may be written with or without +86, spaces and hyphens.
    #[schemars(length(min = 1, max = limits::TOKEN_BYTES_MAX))]
    pub value: &'a str,
}

/// A member shows up at a kiosk or till.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
#[schemars(rename = "Scan")]
pub struct ScanData<'a> {
    /// Who.
    #[serde(borrow)]
    pub token: TokenData<'a>,
    /// Where in the shop.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schemars(with = "Option<Zone>")]
    pub zone: Option<&'a str>,
    /// An article they look at: alternatives to it are recommended instead of what they may need.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schemars(with = "Option<Sku>")]
    pub like: Option<&'a str>,
    /// The language of the texts in the reply, for example `zh-CN` or `en`; any other gives the shop's own.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schemars(length(max = limits::LOCALE_BYTES_MAX))]
    pub locale: Option<&'a str>,
}

/// What would this basket cost?
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
#[schemars(rename = "Quote")]
pub struct QuoteData<'a> {
    /// What is bought.
    #[serde(borrow)]
    pub basket: BasketData<'a>,
    /// Who buys.
    #[serde(borrow, skip_serializing_if = "Option::is_none")]
    pub member: Option<TokenData<'a>>,
    /// Codes presented, in order; capitals or not, spaces around them do not matter, a repeated one counts once.
    #[serde(borrow, default, skip_serializing_if = "Vec::is_empty")]
    #[schemars(with = "Vec<CouponCode>", length(max = limits::BASKET_COUPONS_MAX))]
    pub coupons: Vec<&'a str>,
    /// Points the shopper wants to spend.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub points: Option<PointsData>,
    /// Rewards the shopper or cashier chose, each promotion once.
    #[serde(borrow, default, skip_serializing_if = "Vec::is_empty")]
    #[schemars(length(max = limits::BASKET_CLAIMS_MAX))]
    pub claims: Vec<ClaimData<'a>>,
    /// Gift cards presented, each card once.
    #[serde(borrow, default, skip_serializing_if = "Vec::is_empty")]
    #[schemars(length(max = limits::BASKET_CLAIMS_MAX))]
    pub gift_cards: Vec<GiftCardData<'a>>,
    /// Gifts the shopper chose, each promotion once; without a choice the first ones at hand are given. A quote's
    /// `gift_choices` says what there is to choose from, and what a quote gives its sale gives.
    #[serde(borrow, default, skip_serializing_if = "Vec::is_empty")]
    #[schemars(length(max = limits::BASKET_CLAIMS_MAX))]
    pub gift_choices: Vec<GiftChoiceData<'a>>,
    /// Gift articles you cannot hand out: others are given instead.
    #[serde(borrow, default, skip_serializing_if = "Vec::is_empty")]
    #[schemars(with = "Vec<Sku>", length(max = limits::GIFTS_GONE_MAX))]
    pub gifts_gone: Vec<&'a str>,
    /// Price as of this moment instead of now: to look at. Such a quote is sold if it comes to the same now, or as `charged`.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schemars(with = "Option<Instant>")]
    pub at: Option<&'a str>,
    /// Say also what goes with the basket: `recommendations` in the reply.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub suggest: bool,
    /// Through what it comes in; `till` unless you say otherwise.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub channel: Option<Channel>,
    /// Where in the shop.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schemars(with = "Option<Zone>")]
    pub zone: Option<&'a str>,
    /// The language of the titles, for example `zh-CN` or `en`.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schemars(length(max = limits::LOCALE_BYTES_MAX))]
    pub locale: Option<&'a str>,
}

/// Unpaid lines.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
#[schemars(rename = "Basket")]
pub struct BasketData<'a> {
    /// What is bought; each line with its own id, 5,000 units in all.
    #[serde(borrow)]
    #[schemars(length(min = 1, max = limits::BASKET_LINES_MAX))]
    pub lines: Vec<LineData<'a>>,
}

/// One line: `qty` pieces, or `weight_grams` of a weighed article; exactly one of the two.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
#[schemars(rename = "Line")]
pub struct LineData<'a> {
    /// Your name for the line; the reply uses it, and so does a return.
    #[schemars(with = "LineId")]
    pub line: &'a str,
    /// The article as scanned.
    #[schemars(with = "Sku")]
    pub sku: &'a str,
    /// Pieces.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schemars(range(min = 1, max = limits::LINE_UNITS_MAX))]
    pub qty: Option<i64>,
    /// Grams.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schemars(range(min = 1, max = limits::LINE_GRAMS_MAX))]
    pub weight_grams: Option<i64>,
    /// Your price in minor units (fen), for a piece or for 1,000 grams; without it the catalogue's.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schemars(range(min = 0, max = limits::UNIT_PRICE_MINOR_MAX))]
    pub unit_price: Option<i64>,
    /// The last day it is at its best, where the label's code says so: nearer to it, it may cost less.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schemars(with = "Option<Day>")]
    pub best_before: Option<&'a str>,
}

/// Points the shopper wants to spend.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
#[schemars(rename = "PointsWish")]
pub struct PointsData {
    /// So many, or `"max"`: as many as the programme allows.
    pub spend: Spend,
}

/// A number of points, or `"max"`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Spend {
    /// So many.
    Points(i64),
    /// As many as the programme allows.
    Max,
}

impl Serialize for Spend {
    fn serialize<S: serde::Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        match self {
            Spend::Points(points) => serializer.serialize_i64(*points),
            Spend::Max => serializer.serialize_str("max"),
        }
    }
}

impl<'de> Deserialize<'de> for Spend {
    fn deserialize<D: serde::Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct Visitor;
        impl serde::de::Visitor<'_> for Visitor {
            type Value = Spend;
            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("a whole number of points or \"max\"")
            }
            fn visit_i64<E: serde::de::Error>(self, points: i64) -> Result<Spend, E> {
                Ok(Spend::Points(points))
            }
            fn visit_u64<E: serde::de::Error>(self, points: u64) -> Result<Spend, E> {
                let seen = serde::de::Unexpected::Unsigned(points);
                i64::try_from(points).map(Spend::Points).map_err(|_| E::invalid_value(seen, &self))
            }
            fn visit_str<E: serde::de::Error>(self, text: &str) -> Result<Spend, E> {
                let seen = serde::de::Unexpected::Str(text);
                if text == "max" { Ok(Spend::Max) } else { Err(E::invalid_value(seen, &self)) }
            }
        }
        deserializer.deserialize_any(Visitor)
    }
}

impl JsonSchema for Spend {
    fn schema_name() -> std::borrow::Cow<'static, str> {
        "Spend".into()
    }
    fn json_schema(_: &mut schemars::SchemaGenerator) -> schemars::Schema {
        schemars::json_schema!({
            "description": "A number of points, or \"max\": as many as the programme allows.",
            "oneOf": [
                { "type": "integer", "minimum": 1, "maximum": limits::POINTS_MAX },
                { "type": "string", "const": "max" }
            ]
        })
    }
}

/// A reward the shopper or cashier chose.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
#[schemars(rename = "Claim")]
pub struct ClaimData<'a> {
    /// Which promotion.
    #[schemars(with = "PromotionId")]
    pub promotion: &'a str,
    /// How often.
    #[schemars(range(min = 1, max = limits::CLAIM_TIMES_MAX))]
    pub times: i64,
}

/// Which of a promotion's gifts the shopper wants.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
#[schemars(rename = "GiftWish")]
pub struct GiftChoiceData<'a> {
    /// Whose gifts.
    #[schemars(with = "PromotionId")]
    pub promotion: &'a str,
    /// The articles, as many as the promotion lets choose.
    #[serde(borrow)]
    #[schemars(with = "Vec<Sku>", length(min = 1, max = limits::BASKET_CLAIMS_MAX))]
    pub skus: Vec<&'a str>,
}

/// A gift card presented: money owed, so it pays; it never discounts.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
#[schemars(rename = "GiftCard")]
pub struct GiftCardData<'a> {
    /// As printed.
    #[schemars(with = "CouponCode")]
    pub code: &'a str,
    /// What is on it in minor units, as you read it from its issuer.
    #[schemars(range(min = 0, max = limits::AMOUNT_MINOR_MAX))]
    pub balance: i64,
}

/// Your name of a sale, void or return within your device: it lasts for ever.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
#[schemars(rename = "Transaction")]
pub struct TransactionData<'a> {
    /// Your business day.
    #[schemars(with = "Day")]
    pub business_day: &'a str,
    /// Your receipt number of that day.
    #[schemars(range(min = 0, max = limits::TRANSACTION_SEQ_MAX))]
    pub seq: i64,
}

/// A sale, possibly of another device of this shop.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
#[schemars(rename = "OriginalTransaction")]
pub struct OriginalData<'a> {
    /// The till that rang it up; your own device if you leave it out.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schemars(with = "Option<DeviceId>")]
    pub device: Option<&'a str>,
    /// Its business day.
    #[schemars(with = "Day")]
    pub business_day: &'a str,
    /// Its receipt number of that day.
    #[schemars(range(min = 0, max = limits::TRANSACTION_SEQ_MAX))]
    pub seq: i64,
}

/// The sale happened: of a quote, or of a basket with everything a quote may carry; exactly one of the two.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
#[schemars(rename = "Commit")]
pub struct CommitData<'a> {
    /// Your name of the sale.
    #[serde(borrow)]
    pub transaction: TransactionData<'a>,
    /// The quote that was paid. With it, leave out everything from `basket` to `locale`.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schemars(with = "Option<QuoteId>")]
    pub quote: Option<&'a str>,
    /// What was bought, where there is no quote.
    #[serde(borrow, skip_serializing_if = "Option::is_none")]
    pub basket: Option<BasketData<'a>>,
    /// As in a quote.
    #[serde(borrow, skip_serializing_if = "Option::is_none")]
    pub member: Option<TokenData<'a>>,
    /// As in a quote.
    #[serde(borrow, default, skip_serializing_if = "Vec::is_empty")]
    #[schemars(with = "Vec<CouponCode>", length(max = limits::BASKET_COUPONS_MAX))]
    pub coupons: Vec<&'a str>,
    /// As in a quote.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub points: Option<PointsData>,
    /// As in a quote.
    #[serde(borrow, default, skip_serializing_if = "Vec::is_empty")]
    #[schemars(length(max = limits::BASKET_CLAIMS_MAX))]
    pub claims: Vec<ClaimData<'a>>,
    /// As in a quote.
    #[serde(borrow, default, skip_serializing_if = "Vec::is_empty")]
    #[schemars(length(max = limits::BASKET_CLAIMS_MAX))]
    pub gift_cards: Vec<GiftCardData<'a>>,
    /// As in a quote.
    #[serde(borrow, default, skip_serializing_if = "Vec::is_empty")]
    #[schemars(length(max = limits::BASKET_CLAIMS_MAX))]
    pub gift_choices: Vec<GiftChoiceData<'a>>,
    /// As in a quote.
    #[serde(borrow, default, skip_serializing_if = "Vec::is_empty")]
    #[schemars(with = "Vec<Sku>", length(max = limits::GIFTS_GONE_MAX))]
    pub gifts_gone: Vec<&'a str>,
    /// Recorded only: a sale is priced as it arrives, or as of when it was `charged`.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schemars(with = "Option<Instant>")]
    pub at: Option<&'a str>,
    /// As in a quote.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub channel: Option<Channel>,
    /// As in a quote.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schemars(with = "Option<Zone>")]
    pub zone: Option<&'a str>,
    /// As in a quote.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schemars(length(max = limits::LOCALE_BYTES_MAX))]
    pub locale: Option<&'a str>,
    /// How it was paid; empty where there was nothing to pay.
    #[schemars(length(max = limits::BASKET_CLAIMS_MAX))]
    pub tenders: Vec<TenderData>,
    /// A training sale: priced and kept, counts for nothing.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub training: bool,
    /// What you charged while the daemon was away. The sale keeps it; a difference from the rules is flagged, never
    /// refused.
    #[serde(borrow, skip_serializing_if = "Option::is_none")]
    pub charged: Option<ChargedData<'a>>,
}

/// One payment.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
#[schemars(rename = "Tender")]
pub struct TenderData {
    /// How.
    pub kind: TenderKind,
    /// How much, in minor units.
    #[schemars(range(min = 0, max = limits::AMOUNT_MINOR_MAX))]
    pub amount: i64,
}

/// What you charged while the daemon was away.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
#[schemars(rename = "Charged")]
pub struct ChargedData<'a> {
    /// What the shopper paid, in minor units.
    #[schemars(range(min = 0, max = limits::AMOUNT_MINOR_MAX))]
    pub total: i64,
    /// What each line was sold for, where you know.
    #[serde(borrow, default, skip_serializing_if = "Vec::is_empty")]
    #[schemars(length(max = limits::BASKET_LINES_MAX))]
    pub lines: Vec<ChargedLineData<'a>>,
    /// When it was rung up; the envelope's `at` if you leave it out. One of the two must be there.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schemars(with = "Option<Instant>")]
    pub at: Option<&'a str>,
}

/// What a line was sold for.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
#[schemars(rename = "ChargedLine")]
pub struct ChargedLineData<'a> {
    /// Your name for the line.
    #[schemars(with = "LineId")]
    pub line: &'a str,
    /// What it was sold for, in minor units.
    #[schemars(range(min = 0, max = limits::AMOUNT_MINOR_MAX))]
    pub net: i64,
}

/// The sale did not happen after all. A device voids its own sales.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
#[schemars(rename = "Void")]
pub struct VoidData<'a> {
    /// The sale.
    #[serde(borrow)]
    pub transaction: TransactionData<'a>,
}

/// Goods come back.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
#[schemars(rename = "Return")]
pub struct ReturnData<'a> {
    /// The sale they were bought in.
    #[serde(borrow)]
    pub original: OriginalData<'a>,
    /// Your name of the return.
    #[serde(borrow)]
    pub transaction: TransactionData<'a>,
    /// Which lines of the sale, each once.
    #[serde(borrow)]
    #[schemars(length(min = 1, max = limits::BASKET_LINES_MAX))]
    pub lines: Vec<ReturnLineData<'a>>,
}

/// Units of one line that come back.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
#[schemars(rename = "ReturnLine")]
pub struct ReturnLineData<'a> {
    /// The line of the sale.
    #[schemars(with = "LineId")]
    pub line: &'a str,
    /// Units; a weighed line is one.
    #[schemars(range(min = 1, max = limits::LINE_UNITS_MAX))]
    pub qty: i64,
}

/// What the shopper thought of it.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
#[schemars(rename = "Feedback")]
pub struct FeedbackData<'a> {
    /// Of which sale.
    #[serde(borrow, skip_serializing_if = "Option::is_none")]
    pub transaction: Option<OriginalData<'a>>,
    /// 0 (never again) to 10 (gladly).
    #[schemars(range(min = 0, max = limits::FEEDBACK_SCORE_MAX))]
    pub score: i64,
    /// On what, in a word.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schemars(with = "Option<Tag>")]
    pub topic: Option<&'a str>,
    /// In the shopper's words; at most 4,096 bytes of UTF-8.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schemars(length(max = limits::FEEDBACK_TEXT_BYTES_MAX))]
    pub text: Option<&'a str>,
}

/// What a sensor or kiosk saw.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
#[schemars(rename = "Event")]
pub struct EventData<'a> {
    /// What kind: `browse`, `try_on`, `enquiry`, `shelf`, `door`, `pick_up` (an order is handed over), or your own word.
    #[schemars(with = "Tag")]
    pub kind: &'a str,
    /// Of which article.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schemars(with = "Option<Sku>")]
    pub sku: Option<&'a str>,
    /// Where in the shop.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schemars(with = "Option<Zone>")]
    pub zone: Option<&'a str>,
    /// By whom, where that is known.
    #[serde(borrow, skip_serializing_if = "Option::is_none")]
    pub member: Option<TokenData<'a>>,
    /// A mark the member gets: `tags` of segments see it.
    #[serde(borrow, skip_serializing_if = "Option::is_none")]
    pub mark: Option<MarkData<'a>>,
    /// A mark this shop set, taken away again.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schemars(with = "Option<Tag>")]
    pub unmark: Option<&'a str>,
    /// What the member agrees to from now on; without `personal` what was learned of them is forgotten at once.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub consent: Option<Consent>,
    /// A further card, phone or code of the member's.
    #[serde(borrow, skip_serializing_if = "Option::is_none")]
    pub link: Option<TokenData<'a>>,
    /// The order that was handed over, as a scan's `pickups` names it: with kind `pick_up`, and with no other.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schemars(with = "Option<OrderId>")]
    pub order: Option<&'a str>,
}

/// A mark on a member.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
#[schemars(rename = "Mark")]
pub struct MarkData<'a> {
    /// The mark.
    #[schemars(with = "Tag")]
    pub tag: &'a str,
    /// Days it holds, today not counted; for good without it.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schemars(range(min = 1, max = limits::MARK_DAYS_MAX))]
    pub days: Option<i64>,
}

/// A new member; works without a line to head office.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
#[schemars(rename = "Enroll")]
pub struct EnrollData<'a> {
    /// What they will show from now on.
    #[serde(borrow)]
    pub token: TokenData<'a>,
    /// What they agreed to; `programme` must be true.
    pub consent: Consent,
    /// Month and day, for the birthday present.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schemars(with = "Option<MonthDay>")]
    pub birthday: Option<&'a str>,
    /// A second thing they will show, for example the phone beside the card.
    #[serde(borrow, skip_serializing_if = "Option::is_none")]
    pub link: Option<TokenData<'a>>,
}

/// What does the member hold?
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
#[schemars(rename = "Wallet")]
pub struct WalletData<'a> {
    /// Who.
    #[serde(borrow)]
    pub member: TokenData<'a>,
}
