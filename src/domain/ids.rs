//! Names as types: a store is not a device, a sku is not a code, and none of them can hold what it must not.
//!
//! Each id is an immutable shared string checked once, when it is made (`new`, or while a document is read).
//! Two alphabets: ids that appear in a topic are `[a-z0-9-]`, so that no wildcard or separator can be smuggled
//! in; the others add capitals, `_`, `.`, `:` and `/`. All are ASCII, at most `ID_BYTES_MAX` or as said.

use std::borrow::Borrow;
use std::fmt;
use std::sync::Arc;

use schemars::JsonSchema;
use serde::{Deserialize, Deserializer, Serialize};

use crate::limits;

/// A text is not a valid id of its kind. Fits after "failed to read an id:".
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct InvalidId {
    /// Which kind of id it should have been.
    pub kind: &'static str,
    /// What such an id may hold.
    pub expected: &'static str,
}

impl fmt::Display for InvalidId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "a {} is {}", self.kind, self.expected)
    }
}

impl std::error::Error for InvalidId {}

fn topic_safe(byte: u8) -> bool {
    byte.is_ascii_lowercase() || byte.is_ascii_digit() || byte == b'-'
}

fn capital(byte: u8) -> bool {
    byte.is_ascii_uppercase()
}

fn name_safe(byte: u8) -> bool {
    byte.is_ascii_alphanumeric() || b"-_.:/".contains(&byte)
}

macro_rules! ids {
    ($($(#[$doc:meta])+ $name:ident, $kind:literal, $safe:ident, $min:expr, $max:expr, $pattern:literal;)+) => {$(
        $(#[$doc])+
        #[derive(Clone, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, JsonSchema)]
        #[schemars(transparent)]
        pub struct $name(#[schemars(regex(pattern = $pattern))] Arc<str>);

        impl $name {
            /// Checks and makes the id.
            pub fn new(text: &str) -> Result<$name, InvalidId> {
                let length_fits = ($min..=$max).contains(&text.len());
                if length_fits && text.bytes().all($safe) {
                    Ok($name(Arc::from(text)))
                } else {
                    Err(InvalidId { kind: $kind, expected: concat!("text matching ", $pattern) })
                }
            }

            /// The id as text.
            pub fn as_str(&self) -> &str {
                &self.0
            }
        }

        impl Borrow<str> for $name {
            fn borrow(&self) -> &str {
                &self.0
            }
        }

        impl fmt::Display for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str(&self.0)
            }
        }

        impl fmt::Debug for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                write!(f, "{}({})", stringify!($name), &self.0)
            }
        }

        impl<'de> Deserialize<'de> for $name {
            fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
                struct Visitor;
                impl serde::de::Visitor<'_> for Visitor {
                    type Value = $name;
                    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                        f.write_str(concat!("a ", $kind, " matching ", $pattern))
                    }
                    fn visit_str<E: serde::de::Error>(self, text: &str) -> Result<$name, E> {
                        $name::new(text).map_err(E::custom)
                    }
                }
                deserializer.deserialize_str(Visitor)
            }
        }
    )+};
}

ids! {
    /// A shop of the chain; part of every topic.
    StoreId, "store id", topic_safe, 1, limits::ID_BYTES_MAX, r"^[a-z0-9-]{1,32}$";
    /// A till or kiosk; part of its topics and equal to its MQTT user name.
    DeviceId, "device id", topic_safe, 1, limits::ID_BYTES_MAX, r"^[a-z0-9-]{1,32}$";
    /// One running program of a device: the last part of its reply topic.
    Instance, "instance", topic_safe, 1, limits::ID_BYTES_MAX, r"^[a-z0-9-]{1,32}$";
    /// A place in the shop, for example a department or an entrance.
    Zone, "zone", topic_safe, 1, limits::ID_BYTES_MAX, r"^[a-z0-9-]{1,32}$";
    /// An offer the shopper sees.
    PromotionId, "promotion id", name_safe, 1, limits::NAME_BYTES_MAX, r"^[A-Za-z0-9._:/-]{1,64}$";
    /// A planning container of promotions.
    CampaignId, "campaign id", name_safe, 1, limits::NAME_BYTES_MAX, r"^[A-Za-z0-9._:/-]{1,64}$";
    /// What is sold, as scanned.
    Sku, "sku", name_safe, 1, limits::NAME_BYTES_MAX, r"^[A-Za-z0-9._:/-]{1,64}$";
    /// A node of the assortment.
    CategoryId, "category id", name_safe, 1, limits::NAME_BYTES_MAX, r"^[A-Za-z0-9._:/-]{1,64}$";
    /// A brand of the assortment.
    BrandId, "brand id", name_safe, 1, limits::NAME_BYTES_MAX, r"^[A-Za-z0-9._:/-]{1,64}$";
    /// A named predicate over the member.
    SegmentId, "segment id", name_safe, 1, limits::NAME_BYTES_MAX, r"^[A-Za-z0-9._:/-]{1,64}$";
    /// A rank in the members' programme.
    TierId, "tier id", name_safe, 1, limits::NAME_BYTES_MAX, r"^[A-Za-z0-9._:/-]{1,64}$";
    /// A mark on a member.
    Tag, "tag", name_safe, 1, limits::NAME_BYTES_MAX, r"^[A-Za-z0-9._:/-]{1,64}$";
    /// A member's pseudonymous id.
    MemberId, "member id", name_safe, 1, limits::NAME_BYTES_MAX, r"^[A-Za-z0-9._:/-]{1,64}$";
    /// What is printed on a coupon or typed by the shopper; compared as `CouponCode::normal` makes it.
    CouponCode, "coupon code", name_safe, 1, limits::CODE_BYTES_MAX, r"^[A-Za-z0-9._:/-]{1,240}$";
    /// What every number of a series begins with.
    Prefix, "prefix", capital, 1, limits::PREFIX_BYTES_MAX, r"^[A-Z]{1,8}$";
    /// A coupon definition of the bundle.
    CouponId, "coupon id", name_safe, 1, limits::NAME_BYTES_MAX, r"^[A-Za-z0-9._:/-]{1,64}$";
    /// A line of a basket, named by the device.
    LineId, "line id", name_safe, 1, limits::ID_BYTES_MAX, r"^[A-Za-z0-9._:/-]{1,32}$";
    /// A device's own key of a request: its idempotency key.
    RequestId, "request id", name_safe, limits::REQUEST_ID_BYTES_MIN, limits::REQUEST_ID_BYTES_MAX, r"^[A-Za-z0-9._:/-]{8,64}$";
    /// An order of an online shop, the same number there and here.
    OrderId, "pick-up order id", name_safe, 1, limits::NAME_BYTES_MAX, r"^[A-Za-z0-9._:/-]{1,64}$";
    /// A priced basket with an expiry.
    QuoteId, "quote id", name_safe, 1, limits::NAME_BYTES_MAX, r"^[A-Za-z0-9._:/-]{1,64}$";
}

impl MemberId {
    /// What a decision says in the place of a forgotten member's id: nobody's id at any head office.
    pub const NOBODY: &str = "forgotten";

    /// Whoever was forgotten.
    pub fn nobody() -> MemberId {
        MemberId(Arc::from(MemberId::NOBODY))
    }

    /// Is this somebody who was forgotten?
    pub fn is_nobody(&self) -> bool {
        self.as_str() == MemberId::NOBODY
    }
}

impl CouponCode {
    /// The code as compared: capitals, so that a shopper may type it either way.
    pub fn normal(text: &str) -> Result<CouponCode, InvalidId> {
        CouponCode::new(&text.trim().to_ascii_uppercase())
    }
}

/// Position of a decision in the shop's journal: contiguous from 1.
#[derive(
    Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize, JsonSchema,
)]
#[serde(transparent)]
pub struct Seq(pub u64);

/// One life of one box's data.
#[derive(
    Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize, JsonSchema,
)]
#[serde(transparent)]
pub struct Epoch(pub u64);

/// Which rules priced something: the bundle's version and the first bytes of its SHA-256, as hexadecimal.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct BundleRef {
    /// Goes up with each publication, never down on a box.
    pub version: u64,
    /// First 16 hexadecimal digits of the SHA-256 of the packed bundle.
    pub hash: Arc<str>,
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn which_ids_are_refused() {
        for hostile in ["", "a/b", "a+b", "#", "$sys", "A", "a b", "a\0", "ü", &"a".repeat(33)] {
            assert!(DeviceId::new(hostile).is_err(), "{hostile:?}");
        }
        assert!(DeviceId::new("till-01").is_ok());
        assert!(RequestId::new("short").is_err());
        assert!(Sku::new("690/12.A_b:c-1").is_ok());
        assert!(Sku::new("a b").is_err());
    }

    #[test]
    fn does_reading_check_as_making_does() {
        assert!(serde_json::from_str::<DeviceId>("\"till-1\"").is_ok());
        let error =
            serde_json::from_str::<DeviceId>("\"till/1\"").expect_err("a separator is refused").to_string();
        assert!(error.contains("a device id is text matching ^[a-z0-9-]{1,32}$"), "{error}");
    }

    #[test]
    fn may_a_code_be_typed_in_small_letters() {
        assert_eq!(CouponCode::normal(" save-10 "), CouponCode::new("SAVE-10"));
    }
}
