//! Head office's end of the wire: the reference implementation that a chain's own can be checked against.
//!
//! `admission` how many may come in at once, pure · `ledger` who has sent what, exactly once and in order, pure · `lender` who was lent what, pure · `fold` what the entries say, pure · `compare` whether shops count alike, pure · `files` the logs on disk ·
//! `office` one frame in, answers out, around one sync · `partner` what an online shop asks · `doorman` who may say what at its broker · `server` broker,
//! line and writer thread.
//!
//! Invariants: nothing is acknowledged before it is on disk; a shop is told that it may forget only what the backup
//! holds, where there is one; what does not fit (another hash under the same key, bytes that are not a decision) is
//! kept for a human and stops nobody. Everything but the logs is a fold of the logs.

pub mod admission;
pub mod compare;
mod doorman;
pub mod files;
pub mod fold;
pub mod ledger;
pub mod lender;
pub mod office;
pub mod partner;
pub mod server;
