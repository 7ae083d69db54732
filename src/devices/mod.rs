//! The front door: what tills and kiosks speak to, and how.
//!
//! - `wire`: bytes to a checked request, an answer to bytes; the presence documents
//! - `asyncapi`: the contract as a document, generated from the same types
//!
//! Nothing here prices or stores.

pub mod asyncapi;
pub mod wire;
