//! A shop's transactions as other systems write them down: POSLog-shaped XML, read and written, and what is common to both.
//!
//! Names are those of the OMG retail domain's POSLog (ARTS, version 6): `POSLog/Transaction/RetailTransaction/LineItem` with
//! `Sale`, `Return`, `Tender`. What POSLog has no word for stands in attributes of a namespace of our own, which other
//! readers pass over: the till's own name of a line, the promotion that gave a gift, the decision. A file of somebody
//! else's does without them.
//!
//! One `Ticket` is one transaction. Amounts are minor units here and decimals in the file. `EndDateTime` is the moment a
//! sale is priced as of, so that what is read again prices the same.

pub mod journal;
pub mod read;
pub mod write;

use crate::domain::basket::{Channel, Quantity, TenderKind};
use crate::domain::code::Code;
use crate::domain::money::Money;

/// The namespace of POSLog.
pub const NAMESPACE: &str = "http://www.nrf-arts.org/IXRetail/namespace/";
/// The namespace of what POSLog has no word for.
pub const OWN_NAMESPACE: &str = "urn:aisled:poslog:1";

/// A transaction's name as written: checked at the door, not here.
#[derive(Clone, Debug, Default, PartialEq, Eq, PartialOrd, Ord)]
pub struct Name {
    /// The till: `WorkstationID`.
    pub device: String,
    /// `BusinessDayDate`.
    pub business_day: String,
    /// `SequenceNumber`.
    pub seq: i64,
}

impl std::fmt::Display for Name {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "{} {} {}", self.device, self.business_day, self.seq)
    }
}

/// One transaction.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Ticket {
    /// The shop: `RetailStoreID`.
    pub store: String,
    /// Its name.
    pub name: Name,
    /// The moment it is priced as of, RFC 3339: `EndDateTime`.
    pub at: String,
    /// ISO 4217: `CurrencyCode`.
    pub currency: String,
    /// A reference to our decision; nothing in a file of somebody else's.
    pub decision: Option<String>,
    /// What it is.
    pub kind: Kind,
}

/// What a transaction is.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Kind {
    /// Goods went out.
    Sale(Box<Sale>),
    /// Goods came back.
    Return {
        /// The sale they were bought in.
        original: Name,
        /// What came back.
        lines: Vec<ReturnLine>,
        /// What the shopper got.
        refund: Money,
    },
    /// The sale of this name did not happen after all.
    Void {
        /// What the shopper got.
        refund: Money,
    },
}

/// A sale.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Sale {
    /// Goods.
    pub lines: Vec<SaleLine>,
    /// Units that promotions added. Read over: the rules give them again.
    pub gifts: Vec<Gift>,
    /// Codes that were used.
    pub coupons: Vec<String>,
    /// Rewards that were claimed, and how often.
    pub claims: Vec<(String, u32)>,
    /// Gifts that were chosen: whose, and which articles.
    pub choices: Vec<(String, Vec<String>)>,
    /// Gift articles that could not be handed out.
    pub gone: Vec<String>,
    /// Payments.
    pub tenders: Vec<(TenderKind, Money)>,
    /// Who bought: our id of the member.
    pub member: Option<String>,
    /// Points spent.
    pub points_spent: i64,
    /// Points earned.
    pub points_earned: i64,
    /// Through what it came in.
    pub channel: Channel,
    /// Where in the shop.
    pub zone: Option<String>,
    /// At shelf price.
    pub gross: Money,
    /// What was to pay.
    pub total: Money,
    /// Training: counts for nothing.
    pub training: bool,
}

/// Goods of one line.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct SaleLine {
    /// The till's name for it.
    pub line: String,
    /// What.
    pub sku: String,
    /// How much.
    pub quantity: Quantity,
    /// The till's own price for one piece or 1,000 grams.
    pub unit_price: Option<Money>,
    /// What the line was sold for.
    pub net: Money,
    /// What was taken off, by which promotion; `None` for points and for what the till charged beside the rules.
    pub modifiers: Vec<(Option<String>, Money)>,
    /// The best-before day the label's code carried.
    pub best_before: Option<String>,
}

/// Units that a promotion added.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Gift {
    /// What.
    pub sku: String,
    /// How many.
    pub qty: u32,
    /// What all of them cost.
    pub amount: Money,
    /// Which promotion.
    pub promotion: String,
}

/// Units of one line that came back.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ReturnLine {
    /// The line of the sale.
    pub line: String,
    /// What; unknown where the sale is not in the journal any more.
    pub sku: Option<String>,
    /// How many.
    pub qty: u32,
    /// What they were paid with.
    pub amount: Money,
}

/// A line of the file, or all of it, is not taken.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Fault {
    /// Where, counted from 1.
    pub line: u64,
    /// Its page.
    pub code: Code,
    /// What was seen.
    pub detail: String,
}

const TENDERS: [(TenderKind, &str); 6] = [
    (TenderKind::Cash, "Cash"),
    (TenderKind::Card, "CreditDebit"),
    (TenderKind::Wallet, "MobileWallet"),
    (TenderKind::GiftCard, "StoredValue"),
    (TenderKind::Points, "LoyaltyPoints"),
    (TenderKind::Other, "Other"),
];

const CHANNELS: [(Channel, &str); 3] =
    [(Channel::Till, "Till"), (Channel::Kiosk, "Kiosk"), (Channel::Online, "Online")];
