//! Promotions: from a basket, a member and the bundle's rules to figures and reasons.

pub mod model;
pub mod outcome;
