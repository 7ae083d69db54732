//! The storage room: what a shop has decided, kept through kill, power cut, full disk and flipped bytes.
//!
//! Invariants of the room:
//! - The journal is the shop's one truth. Nothing is acknowledged before `Journal::append` has returned `Ok`.
//! - Acknowledged means present after any kill or power cut; not acknowledged means all of a group or none of it.
//! - A byte that does not check is never served. It is set aside by name, and what is intact around it stays readable.
//! - An error from a write or a sync is final for that writer: it refuses everything after (fsync errors are not retryable).
//! - Every touch of the file system goes through [`disk::Disk`], so that a seed can cut the power at any operation.
//! - The tables are a view: [`tables::Tables`] follows the journal and can be thrown away and rebuilt from it.
//! - The journal names nobody: it holds the numbers of [`vault::Vault`], and who is taken out of that is forgotten.
//! - Requests are forgotten by [`age::Lived`], days the shop has lived, not by one reading of a clock.
//! - [`store::Store`] puts the two together: load, commit, durable, followed.
//! - One writer to a directory: [`lock::DirLock`].

pub mod age;
pub mod backup;
mod cache;
pub mod checkpoint;
pub mod disk;
pub mod error;
mod follow;
pub mod format;
pub mod identity;
pub mod journal;
pub mod keeper;
pub mod lock;
mod place;
pub mod space;
pub mod store;
pub mod tables;
pub mod vault;
