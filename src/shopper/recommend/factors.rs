//! Head office's matrix factorisation: a few numbers for each member and each item whose product says how well they suit.
//!
//! Fitted elsewhere and shipped; here it is only read. Its shape is checked and no number may be missing when it is made,
//! so that scoring cannot fail.

use std::fmt;

use super::history::Member;
use super::tally::Tally;
use crate::domain::code::Code;
use crate::limits;

/// Factors that fit this shop's numbers of members and items.
#[derive(Clone, Debug, PartialEq)]
pub struct Factors {
    rank: usize,
    members: Vec<f32>,
    items: Vec<f32>,
}

/// Why factors are refused.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum FactorsFault {
    /// The numbers are not `rank` for each member and each item.
    Shape {
        /// Which side: `members` or `items`.
        side: &'static str,
        /// Numbers there should be.
        wanted: usize,
        /// Numbers there are.
        found: usize,
    },
    /// A number is NaN or infinite.
    NotFinite {
        /// Which side.
        side: &'static str,
        /// The member or item it belongs to.
        row: usize,
    },
    /// There are no factors, or more than `RECOMMEND_RANK_MAX`.
    Rank(usize),
}

impl fmt::Display for FactorsFault {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            FactorsFault::Shape { side, wanted, found } => {
                write!(out, "use factors: {side} should have {wanted} numbers and have {found}")
            }
            FactorsFault::NotFinite { side, row } => {
                write!(out, "use factors: a number of {side} row {row} is not finite")
            }
            FactorsFault::Rank(rank) => write!(out, "use factors: a rank of {rank}"),
        }
    }
}

impl std::error::Error for FactorsFault {}

impl FactorsFault {
    /// What `aisled explain` has a page about.
    #[must_use]
    pub fn code(self) -> Code {
        match self {
            FactorsFault::Shape { .. } | FactorsFault::Rank(_) => Code::ModelShape,
            FactorsFault::NotFinite { .. } => Code::ModelNotFinite,
        }
    }
}

impl Factors {
    /// Factors row by row: the members' in the order of their numbers, the items' too. A member head office does not
    /// know has a row of nothing.
    ///
    /// # Errors
    /// The shape does not fit, or a number is not finite.
    pub fn new(
        rank: usize,
        (members, member_count): (Vec<f32>, usize),
        (items, item_count): (Vec<f32>, usize),
    ) -> Result<Factors, FactorsFault> {
        if rank == 0 || rank > limits::RECOMMEND_RANK_MAX {
            return Err(FactorsFault::Rank(rank));
        }
        for (side, numbers, count) in [("members", &members, member_count), ("items", &items, item_count)] {
            if numbers.len() != rank * count {
                return Err(FactorsFault::Shape { side, wanted: rank * count, found: numbers.len() });
            }
            if let Some(at) = numbers.iter().position(|number| !number.is_finite()) {
                return Err(FactorsFault::NotFinite { side, row: at / rank });
            }
        }
        Ok(Factors { rank, members, items })
    }

    /// Adds what is above nothing into `into`, for items below `item_count`.
    pub(super) fn score(&self, member: Member, item_count: usize, into: &mut Tally) {
        let start = member as usize * self.rank;
        let Some(own) = self.members.get(start..start + self.rank) else { return };
        for (item, theirs) in (0u32..).zip(self.items.chunks_exact(self.rank)).take(item_count) {
            let suits: f32 = own.iter().zip(theirs).map(|(left, right)| left * right).sum();
            if suits > 0.0 && suits.is_finite() {
                into.add(item, suits);
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn are_wrong_shapes_and_missing_numbers_refused_by_name() {
        let make = |members: Vec<f32>, items: Vec<f32>| Factors::new(2, (members, 1), (items, 2));
        assert!(make(vec![1.0, 0.5], vec![1.0, 0.0, 0.0, 1.0]).is_ok());
        assert_eq!(
            make(vec![1.0], vec![0.0; 4]),
            Err(FactorsFault::Shape { side: "members", wanted: 2, found: 1 })
        );
        assert_eq!(
            make(vec![1.0, 0.5], vec![0.0, 0.0, f32::NAN, 0.0]),
            Err(FactorsFault::NotFinite { side: "items", row: 1 })
        );
        assert_eq!(Factors::new(0, (vec![], 0), (vec![], 0)), Err(FactorsFault::Rank(0)));
        assert_eq!(FactorsFault::Rank(0).code(), Code::ModelShape);
        assert_eq!(FactorsFault::NotFinite { side: "items", row: 1 }.code(), Code::ModelNotFinite);
    }

    #[test]
    fn is_a_score_the_product_of_both_rows() {
        let factors = Factors::new(2, (vec![1.0, 0.5], 1), (vec![1.0, 0.0, 0.0, 4.0, -1.0, 0.0], 3));
        let factors = factors.expect("a good shape");
        let mut tally = Tally::default();
        tally.clear(3);
        factors.score(0, 3, &mut tally);
        assert_eq!([tally.get(0), tally.get(1), tally.get(2)], [1.0, 2.0, 0.0]);
        tally.clear(3);
        factors.score(7, 3, &mut tally);
        assert!(tally.touched().is_empty(), "a member head office does not know");
    }
}
