//! From bytes to a verified, validated, indexed bundle.

pub mod document;
