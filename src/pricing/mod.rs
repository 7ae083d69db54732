//! Promotions: from a basket, a member and the bundle's rules to figures and reasons.

pub mod model;
pub mod outcome;
pub mod returns;
use crate::domain::{basket::Basket, calendar::*, catalog::Item, ids::*, member::*, text::Lang};
use model::*;
use std::collections::BTreeMap;
/// x
#[derive(Clone, Debug, PartialEq, Eq, serde::Serialize, serde::Deserialize)]
pub struct PresentedCode {
    /// c
    pub code: CouponCode,
    /// r
    pub right: Result<PromotionId, outcome::Reason>,
}
/// x
pub struct Shopper<'a> {
    /// m
    pub member: Option<&'a Member>,
    /// s
    pub segments: &'a [SegmentId],
    /// n
    pub now: UnixMs,
    /// z
    pub zone: Option<&'a Zone>,
}
/// x
pub struct Sale<'a> {
    /// b
    pub basket: &'a Basket,
    /// s
    pub shopper: Shopper<'a>,
    /// c
    pub codes: &'a [PresentedCode],
    /// d
    pub device: &'a DeviceId,
    /// c
    pub channel: Channel,
    /// u
    pub usage: &'a BTreeMap<PromotionId, Usage>,
    /// o
    pub offline_hours: Option<u32>,
}
/// x
pub struct OpenOffer {
    /// p
    pub promotion: PromotionId,
    /// r
    pub reason: String,
    /// c
    pub coupon: Option<CouponCode>,
    /// e
    pub expires: Option<Day>,
}
/// x
pub enum PriceFault {
    /// u
    UnknownSku {
        /// l
        line: LineId,
        /// s
        sku: Sku,
    },
    /// a
    AmountTooLarge {
        /// l
        line: LineId,
    },
}
/// x
pub struct Book;
impl Book {
    /// x
    pub fn item(&self, _: &Sku) -> Option<&Item> {
        None
    }
    /// x
    pub fn promotion(&self, _: &PromotionId) -> Option<&Promotion> {
        None
    }
    /// x
    pub fn limited(&self, _: &Basket) -> Vec<PromotionId> {
        vec![]
    }
    /// x
    pub fn price(&self, _: &Sale<'_>) -> Result<outcome::Priced, PriceFault> {
        Err(PriceFault::AmountTooLarge { line: LineId::new("x").expect("x") })
    }
    /// x
    pub fn offers(&self, _: &Shopper<'_>, _: Lang, _: usize) -> Vec<OpenOffer> {
        vec![]
    }
    /// x
    pub fn audience_matches(&self, _: &Audience, _: &Shopper<'_>) -> bool {
        true
    }
}

impl model::Schedule {
    /// x
    pub fn closed(&self, _: CivilTime) -> Option<outcome::Reason> {
        None
    }
}
