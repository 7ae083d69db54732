//! Knowing the shopper: who belongs to which segment, and why not.
//!
//! Everything here is a pure function of a member and a civil day. `predicate` is the language segments are written
//! in (a subset of CEL's syntax, type-checked when it is compiled); `segment` is the set of named predicates of a
//! bundle and what it answers; `constant` sees predicates that hold for nobody.

mod constant;
mod parser;
pub mod predicate;
pub mod rfm;
pub mod rules;
pub mod segment;
pub mod value;
