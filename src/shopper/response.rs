//! Who answers an offer.

pub mod columns;
pub mod fit;
pub mod logistic;
pub mod measures;
