//! Knowing the shopper: who belongs to which segment, and why not.
//!
//! Everything here is a pure function of a member and a civil day. `traits` is what follows from a member's history, `field`
//! what a predicate may speak of; `predicate` is the language segments are written in (a subset of CEL's syntax,
//! type-checked when it is compiled); `segment` is the set of named predicates of a bundle and what it answers, `index` how
//! it answers for all of them at once; `constant` sees predicates that hold for nobody.

mod constant;
pub mod field;
pub mod index;
mod parser;
pub mod predicate;
pub mod recommend;
pub mod segment;
pub mod traits;
