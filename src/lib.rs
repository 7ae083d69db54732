//! THE MAP.

pub mod bundle;
pub mod cli;
pub mod clock;
pub mod config;
pub mod daemon;
pub mod devices;
pub mod domain;
pub mod engine;
pub mod hub;
pub mod limits;
pub mod pricing;
pub mod shopper;
pub mod storage;
pub mod upstream;
