//! The front door: what tills and kiosks speak to, and how.
//!
//! ```text
//! till, kiosk --MQTT 5 or 3.1.1--> broker (ours, embedded, or a shop's Mosquitto) <--MQTT 5-- link --> daemon
//! ```
//!
//! - `topic`: topics as a type, and the rights that follow from them
//! - `wire`: bytes to a checked request, an answer to bytes; the presence documents
//! - `asyncapi`: the contract as a document, generated from the same types
//! - `broker`: the embedded broker: identity, access, bounds
//! - `link`: the daemon's own client: requests in, replies out, whichever broker it is
//! - `echo`: the smallest service on the same link, to measure what the plumbing costs
//!
//! Nothing here prices or stores. A device is identified by its MQTT user name, which is its device id; broker
//! and daemon both hold it to its own topics.

pub mod asyncapi;
pub mod broker;
pub mod echo;
pub mod link;
pub mod topic;
pub mod wire;
