//! From bytes to a verified, validated, indexed bundle.

pub mod document;
<<<<<<< HEAD
use crate::{domain::calendar::Day, domain::ids::*, domain::member::Member, pricing::Book};
use document::*;
/// x
pub struct Segments;
impl Segments {
    /// x
    pub fn of(&self, _: &Member, _: Day) -> Vec<SegmentId> {
        vec![]
    }
}
/// x
pub struct Bundle {
    /// x
    pub reference: BundleRef,
    /// x
    pub shop: Shop,
    /// x
    pub book: Book,
    /// x
    pub segments: Segments,
    /// x
    pub recommendations: Vec<RecommendationList>,
    /// x
    pub care: Vec<CareMessage>,
}
impl Bundle {
    /// x
    pub fn generic(&self, _: &CouponCode) -> Option<&Coupon> {
        None
    }
    /// x
    pub fn coupon(&self, _: &CouponId) -> Option<&Coupon> {
        None
    }
}
=======
pub mod located;
>>>>>>> d2979f2 (Segments as typed predicates, and authored values that remember where they stand)
