//! Who buys: a profile that head office owns, and a ledger that this shop keeps.
//!
//! The two halves never overwrite each other: a bundle or a member update replaces `profile` and settles points; a
//! sale changes `ledger`, and `history` where the member agreed to that. Ids are pseudonymous; a token (card, phone, QR) is looked up by its hash only.

use std::collections::BTreeMap;
use std::sync::Arc;

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use sha2::{Digest, Sha256};

use super::calendar::{Day, MonthDay, UnixMs};
use super::history::{History, packed};
use super::ids::{MemberId, PromotionId, Tag, TierId};
use super::money::Money;
use super::points::PointsAccount;
use super::text::Lang;

/// What a member shows to be known.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum TokenKind {
    /// A plastic or phone card's number.
    Card,
    /// A phone number; `+86` and separators are ignored.
    Phone,
    /// What a QR code holds.
    Qr,
    /// The member id itself.
    Member,
}

/// The SHA-256 of a token: what the shop stores instead of a card or phone number.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
pub struct TokenHash(pub [u8; 32]);

impl TokenHash {
    /// What a decision says in the place of a forgotten member's token: no token has it.
    pub const NOBODYS: TokenHash = TokenHash([0; 32]);
}

/// A token as shown.
#[derive(Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Token {
    /// Card, phone, QR or member id.
    pub kind: TokenKind,
    /// What it says, 1 to 128 bytes.
    #[schemars(length(min = 1, max = 128))]
    pub value: String,
}

/// Personal values stay out of logs: only the kind is shown.
impl std::fmt::Debug for Token {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "Token({:?})", self.kind)
    }
}

impl Token {
    /// The token's hash within a chain: kind, chain and the value in its normal form.
    pub fn hash(&self, chain: &str) -> TokenHash {
        let kind: &[u8] = match self.kind {
            TokenKind::Card => b"card",
            TokenKind::Phone => b"phone",
            TokenKind::Qr => b"qr",
            TokenKind::Member => b"member",
        };
        let mut hasher = Sha256::new();
        for part in [b"aisled token 1".as_slice(), chain.as_bytes(), kind, self.normal().as_bytes()] {
            hasher.update((part.len() as u64).to_be_bytes());
            hasher.update(part);
        }
        TokenHash(hasher.finalize().into())
    }

    fn normal(&self) -> String {
        match self.kind {
            TokenKind::Phone => {
                let digits: String = self.value.chars().filter(char::is_ascii_digit).collect();
                match digits
                    .strip_prefix("0086")
                    .or_else(|| digits.strip_prefix("86").filter(|rest| rest.len() == 11))
                {
                    Some(local) => local.to_owned(),
                    None => digits,
                }
            }
            TokenKind::Card | TokenKind::Qr | TokenKind::Member => self.value.trim().to_owned(),
        }
    }
}

/// What a member agreed to.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
pub struct Consent {
    /// To be known at all: points and member prices.
    pub programme: bool,
    /// To offers chosen by purchases.
    pub personal: bool,
}

/// The half head office owns.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
pub struct Profile {
    /// What the till may show.
    pub name: String,
    /// Rank in the programme.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub tier: Option<TierId>,
    /// Marks.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub tags: Vec<Tag>,
    /// Groups, for example staff or a club.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub groups: Vec<Tag>,
    /// Who lives together, as far as head office knows: nobody refers their own household.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub household: Option<Tag>,
    /// Month and day.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub birthday: Option<MonthDay>,
    /// First day as a member.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub joined: Option<Day>,
    /// Language for texts.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub lang: Option<Lang>,
    /// What the member agreed to.
    pub consent: Consent,
    /// Numbers and words head office computed, for segments.
    #[serde(skip_serializing_if = "BTreeMap::is_empty")]
    pub attributes: BTreeMap<Tag, Attribute>,
    /// Completed orders in other shops and channels when the profile was made.
    pub orders_elsewhere: u32,
}

/// A value of a member's attribute.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(untagged)]
pub enum Attribute {
    /// Yes or no.
    Flag(bool),
    /// A whole number.
    Number(i64),
    /// A word.
    Word(String),
}

/// Uses of one promotion by one member.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Usage {
    /// Applications ever.
    pub uses: u32,
    /// Units ever.
    pub units: u32,
    /// Money taken off ever.
    pub money: Money,
    /// Points given ever.
    pub points: i64,
    /// The civil day `uses_on_day` and the others count, as days since 1970-01-01.
    pub day: i64,
    /// Applications on that day.
    pub uses_on_day: u32,
    /// Units on that day.
    pub units_on_day: u32,
    /// Money on that day.
    pub money_on_day: Money,
    /// Points on that day.
    pub points_on_day: i64,
}

/// The half this shop keeps.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
pub struct Ledger {
    /// Sales here, voided ones taken off.
    pub visits: u32,
    /// Voided sales here.
    pub voided: u32,
    /// Net spend here, in minor units.
    pub spend: Money,
    /// Day of the last sale here.
    pub last_visit: Option<Day>,
    /// Points.
    pub points: PointsAccount,
    /// How often each promotion with a limit per member was used.
    #[serde(skip_serializing_if = "BTreeMap::is_empty")]
    pub usage: BTreeMap<PromotionId, Usage>,
    /// Coupons issued here and not yet used.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub coupons: Vec<HeldCoupon>,
    /// Further tokens linked here.
    #[serde(skip_serializing_if = "is_zero")]
    pub linked: u8,
}

fn is_zero(count: &u8) -> bool {
    *count == 0
}

impl Ledger {
    /// The ledger of a member nobody has bought anything with, with the points head office knew.
    pub fn beginning(points: i64, as_of: UnixMs) -> Ledger {
        let points = PointsAccount { settled: points, as_of, ..PointsAccount::default() };
        Ledger { points, ..Ledger::default() }
    }
}

impl Usage {
    /// What was used on civil day `day` (days since 1970-01-01): uses, units, money, points.
    pub fn on_day(&self, day: i64) -> Used {
        if day != self.day {
            return Used::default();
        }
        Used {
            uses: self.uses_on_day,
            units: self.units_on_day,
            money: self.money_on_day,
            points: self.points_on_day,
        }
    }

    /// Counts an application on civil day `day`. A day before the newest one counts in the totals only.
    pub fn count(&mut self, day: i64, used: Used) {
        self.uses += used.uses;
        self.units += used.units;
        self.money += used.money;
        self.points += used.points;
        if day > self.day {
            self.day = day;
            (self.uses_on_day, self.units_on_day) = (0, 0);
            (self.money_on_day, self.points_on_day) = (Money::ZERO, 0);
        }
        if day == self.day {
            self.uses_on_day += used.uses;
            self.units_on_day += used.units;
            self.money_on_day += used.money;
            self.points_on_day += used.points;
        }
    }

    /// Takes an application of civil day `day` back; never below nothing.
    pub fn take_back(&mut self, day: i64, used: Used) {
        self.uses = self.uses.saturating_sub(used.uses);
        self.units = self.units.saturating_sub(used.units);
        self.money = (self.money - used.money).max(Money::ZERO);
        self.points = (self.points - used.points).max(0);
        if day == self.day {
            self.uses_on_day = self.uses_on_day.saturating_sub(used.uses);
            self.units_on_day = self.units_on_day.saturating_sub(used.units);
            self.money_on_day = (self.money_on_day - used.money).max(Money::ZERO);
            self.points_on_day = (self.points_on_day - used.points).max(0);
        }
    }
}

/// One application of a promotion, as limits count it.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Used {
    /// Sales.
    pub uses: u32,
    /// Units that received.
    pub units: u32,
    /// Money taken off.
    pub money: Money,
    /// Points given.
    pub points: i64,
}

/// A coupon in a member's wallet.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct HeldCoupon {
    /// What to present.
    pub code: super::ids::CouponCode,
    /// What it is a right to.
    pub promotion: PromotionId,
    /// Last moment it is good.
    pub expires: UnixMs,
}

/// A member as this shop knows them.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Member {
    /// Pseudonymous id.
    pub id: MemberId,
    /// Head office's half.
    pub profile: Profile,
    /// The shop's half.
    pub ledger: Ledger,
    /// When head office last wrote the profile; 1970 for a member enrolled here and not yet confirmed.
    pub profile_as_of: UnixMs,
    /// What the shop learned of them; nothing of those who did not agree to that.
    #[serde(default, skip_serializing_if = "Option::is_none", with = "packed::optional")]
    pub history: Option<Arc<History>>,
}

impl Member {
    /// Completed orders known here: this shop's and those head office reported.
    pub fn orders(&self) -> u32 {
        self.profile.orders_elsewhere.saturating_add(self.ledger.visits)
    }

    /// How a promotion was used so far.
    pub fn usage(&self, promotion: &PromotionId) -> Usage {
        self.ledger.usage.get(promotion).copied().unwrap_or_default()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn phone(value: &str) -> TokenHash {
        Token { kind: TokenKind::Phone, value: value.to_owned() }.hash("sunrise")
    }

    #[test]
    fn is_a_phone_the_same_however_it_is_typed() {
        for same in ["+86 138 0013 8000", "86-13800138000", "138-0013-8000", "008613800138000"] {
            assert_eq!(phone(same), phone("13800138000"), "{same}");
        }
        assert_ne!(phone("13800138001"), phone("13800138000"));
    }

    #[test]
    fn does_a_hash_tell_kinds_and_chains_apart() {
        let card = Token { kind: TokenKind::Card, value: "13800138000".into() };
        assert_ne!(card.hash("sunrise"), phone("13800138000"));
        assert_ne!(card.hash("sunrise"), card.hash("moonrise"));
        assert_eq!(format!("{card:?}"), "Token(Card)", "no personal value in a log");
    }
}
