//! The sans-IO state machine of the shop.

pub mod decision;
pub mod input;
pub mod reply;
