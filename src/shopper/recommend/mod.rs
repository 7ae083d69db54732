//! What to propose to a shopper: a few items, each with a score and the reason for it.
//!
//! ```text
//! History --build--> sources --candidates, a row of numbers each--> trees --best k, reasons--> proposals
//!   personal     how often, how lately, is it due
//!   neighbours   what members with a similar taste buy (TIFU-KNN)
//!   pairs        what goes with it: same member, same basket, basket after; rules
//!   popular      in the shop, lately, at this hour, in this segment
//!   factors      head office's matrix factorisation, where the bundle ships one
//!   network      head office's ONNX model, where the bundle ships one
//!   content      same category, price near: alternatives for an item
//! ```
//! A `Model` is a value: built from a `History` off the path of any reply, then only read. Its weights are trees (`trees`)
//! grown so that each member's last basket is found by sources that have not seen it (`model`): how much repeating and how
//! much exploring pays is learnt from the shop's own baskets, never set. Whoever has no past climbs down a ladder: what
//! goes with the basket, the segment, the hour, the shop.
//!
//! No clock and no chance in here: the same history gives the same proposals on the same machine. Scores are floats whose
//! last bits depend on the machine's mathematics; nothing here touches a price.

mod ask;
pub mod content;
pub mod factors;
pub mod features;
mod fit;
pub mod history;
pub mod measure;
pub mod model;
pub mod neighbours;
pub mod network;
pub mod pairs;
mod personal;
pub mod popular;
pub mod ranks;
pub mod tally;
#[cfg(test)]
mod told;

pub use content::{Attributes, Content};
pub use factors::{Factors, FactorsFault};
pub use features::{Scratch, View};
pub use history::{History, Item, Member, Moment, Past};
pub use model::{Model, Params, Proposal, Reason, Shipped, Source};
pub use network::{Network, NetworkFault, Wired};
