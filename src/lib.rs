//! THE MAP.

pub mod bundle;
pub mod clock;
pub mod domain;
pub mod engine;
pub mod hub;
pub mod limits;
pub mod pricing;
pub mod upstream;
