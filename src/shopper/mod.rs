//! Knowing the shopper: who belongs to which segment, and why not; how they buy, where that leads, and what it is worth.
//!
//! Everything here is a pure function of a member and a civil day. `predicate` is the language segments are written
//! in (a subset of CEL's syntax, type-checked when it is compiled); `segment` is the set of named predicates of a
//! bundle and what it answers; `constant` sees predicates that hold for nobody. The rest takes plain numbers: `rfm` scores
//! and segments in fifths, `lifecycle` stages, `repurchase` what is due, `value` what will be bought and is worth, `groups`
//! of members alike, `rules` between items.

mod constant;
pub mod groups;
pub mod lifecycle;
mod parser;
pub mod predicate;
pub mod repurchase;
pub mod rfm;
pub mod rules;
pub mod segment;
pub mod value;
