//! Knowing the shopper: who belongs to which segment and why not, how they buy and what that is worth, what to propose,
//! what an offer did.
//!
//! Everything here is a pure function of what it is given; chance comes from a seed (`seeded`), days are arguments.
//!
//! - Segments: `scales` is what members are measured by, `measured` what a shop's own say of that, `traits` what follows from a member's history, `field` what a predicate may speak of, `predicate` the
//!   language segments are written in (a subset of CEL's syntax, type-checked when it is compiled), `segment` the set of
//!   named predicates of a bundle and what it answers, `index` how it answers for all of them at once; `constant` sees
//!   predicates that hold for nobody.
//! - Worth: `rfm` scores and segments as R's package does, `lifecycle` stages, `repurchase` what is due, `value` what
//!   customers will buy and are worth, `groups` of members alike, `rules` between items.
//! - Proposals: `recommend`.
//! - Offers: `response` learns who answers, from `trees` and logistic regression; `propensity` says how likely a member does;
//!   `uplift` whom an offer moves; `targeting` ranks; `experiment` draws who gets what and says what came of it, `results` counts.

mod constant;
pub mod experiment;
pub mod field;
pub mod groups;
pub mod index;
pub mod lifecycle;
pub mod measured;
#[cfg(test)]
mod oracle;
mod parser;
pub mod predicate;
pub mod propensity;
pub mod recommend;
pub mod repurchase;
pub mod response;
pub mod results;
pub mod rfm;
pub mod rules;
pub mod scales;
pub mod seeded;
pub mod segment;
pub mod targeting;
pub mod traits;
pub mod trees;
pub mod uplift;
pub mod value;
