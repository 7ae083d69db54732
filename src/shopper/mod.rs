//! Knowing the shopper: who belongs to which segment, and why not.
//!
//! Everything here is a pure function of a member and a civil day. `predicate` is the language segments are written
//! in (a subset of CEL's syntax, type-checked when it is compiled); `segment` is the set of named predicates of a
//! bundle and what it answers; `constant` sees predicates that hold for nobody.
//!
//! `response` learns who answers an offer, from `trees` and logistic regression, `uplift` whom it moves; `experiment` draws
//! who gets what and judges what came of it, `targeting` chooses which offers are shown,
//! `results` says what a campaign did. Chance comes from a seed (`seeded`).

mod constant;
pub mod experiment;
mod parser;
pub mod predicate;
pub mod response;
pub mod results;
pub mod rfm;
pub mod seeded;
pub mod segment;
pub mod targeting;
pub mod trees;
pub mod uplift;
