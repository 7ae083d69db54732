//! From bytes to a verified, validated, indexed bundle.
//!
//! ```text
//! folder of TOML or JSON --authoring, check, warnings--> Authored --packed::pack, keys--> signed file
//! signed file --packed::open--> Opened: rules, and members and codes as streams --active--> Bundle
//! ```
//! No I/O here: folders come as (path, bytes), files as readers, seeds of keys as bytes. Nothing of a packed file is
//! read before its signature has verified; nothing of a folder is used before all of it has been checked.

pub mod active;
pub mod authoring;
mod check;
pub mod diff;
pub mod document;
pub mod keys;
pub mod located;
pub mod mandate;
pub mod packed;
pub mod showing;
pub mod terms;
pub mod trials;
pub mod voucher;
mod warnings;

pub use active::{Bundle, CompileError, Plan, plan};
