//! The nouns of the shop: what a price, a quantity, a day, a basket, a member and a receipt are.
//!
//! Invariants: money is an integer of minor units; a time is an argument, never read; every string here was
//! checked when it was made (`ids`), so no other room checks it again. Bounds from `limits` keep every sum of a
//! basket inside `i64`. Nothing here knows files, sockets, clocks or random numbers.
//!
//! `money` amounts, percentages and how they round · `ids` checked names · `calendar` the shop's civil time ·
//! `catalog` what is sold · `basket` unpaid lines · `member` who buys, `history` what the shop learned of them ·
//! `points` the programme and its ledger · `receipt` a committed sale with each unit's share frozen · `lease` slices of
//! limited things · `series` numbers that people read · `order` what was bought online and is handed over here ·
//! `tally` what a journal comes to · `code` every stable error code with its remedy.

pub mod basket;
pub mod calendar;
pub mod catalog;
pub mod code;
pub mod history;
pub mod ids;
pub mod lease;
pub mod member;
pub mod money;
pub mod order;
pub mod points;
pub mod receipt;
pub mod series;
pub mod tally;
pub mod text;
