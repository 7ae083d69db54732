//! What is remembered of a sale so that goods can come back: where its decision is, and what has come back already.
//!
//! The receipt itself (every unit's frozen share) stands in the journal at `decision`; this record is what the tables
//! hold to find it and to refuse a second void or a return of more than was sold.

use serde::{Deserialize, Serialize};

use super::ids::{LineId, MemberId, Seq};
use super::money::Money;

/// A sale as the tables know it.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct SaleRecord {
    /// The decision that committed it.
    pub decision: Seq,
    /// SHA-256 of what was committed, shortened: tells a repetition under a new request id from another sale.
    pub content: [u8; 16],
    /// Who bought.
    pub member: Option<MemberId>,
    /// What was paid.
    pub total: Money,
    /// A return, not a sale.
    pub is_return: bool,
    /// Taken back whole.
    pub voided: bool,
    /// Rung up in training: counts for nothing.
    pub training: bool,
    /// Money given back so far.
    pub refunded: Money,
    /// Units come back so far, by line.
    pub returned: Vec<(LineId, u32)>,
}

impl SaleRecord {
    /// Units of a line that have come back already.
    pub fn returned_units(&self, line: &LineId) -> u32 {
        self.returned.iter().find(|(id, _)| id == line).map_or(0, |(_, units)| *units)
    }
}
