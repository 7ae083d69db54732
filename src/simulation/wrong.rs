//! Wrong behaviours that can be switched on, each of which the simulation must catch: it shows that the judge sees.
//!
//! They live in the simulated shells around the real parts (box, head office); those of the lender are its own switch
//! (`hub::lender::Wrong`), which production never sets.

use crate::hub::lender;

/// One wrong behaviour.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Wrong {
    /// Head office counts an entry each time it comes.
    NoDedupe,
    /// A box spends of a slice it has sealed.
    SpendAfterSeal,
    /// Head office takes a slice back when it expires, without the box's seal.
    ReclaimAtExpiry,
    /// A box answers before its journal is synced.
    AckBeforeSync,
    /// A box forgets what head office applied, before its backup has it.
    PruneAtApplied,
    /// Head office comes back from a backup as if nothing had happened.
    NaiveRestore,
    /// A spare box takes over the slices of the box it replaces.
    SpareCopiesLeases,
    /// Head office grants again what it has said and not heard of.
    GrantNotIdempotent,
    /// Head office serves a request for slices as often as it comes.
    NoRequestFloor,
    /// Head office forgets which numbers of a series were given out.
    LendNumbersAgain,
    /// A box forgets at each start which requests it has answered.
    ForgetAnswers,
    /// A box counts sales and forgets what was taken back.
    FoldForgetsReturns,
    /// A box goes on where it was when head office was restored.
    NoRewind,
}

/// All of them, with their names and what they do.
pub const ALL: [(Wrong, &str, &str); 13] = [
    (Wrong::NoDedupe, "no-dedupe", "head office counts an entry each time it comes"),
    (Wrong::SpendAfterSeal, "spend-after-seal", "a box spends of a slice it has sealed"),
    (
        Wrong::ReclaimAtExpiry,
        "reclaim-at-expiry",
        "head office takes a slice back when it expires, without the box's seal",
    ),
    (Wrong::AckBeforeSync, "ack-before-sync", "a box answers before its journal is synced"),
    (
        Wrong::PruneAtApplied,
        "prune-at-applied",
        "a box forgets what head office applied, before its backup has it",
    ),
    (Wrong::NaiveRestore, "naive-restore", "head office comes back from a backup as if nothing had happened"),
    (
        Wrong::SpareCopiesLeases,
        "spare-copies-leases",
        "a spare box takes over the slices of the box it replaces",
    ),
    (
        Wrong::GrantNotIdempotent,
        "grant-not-idempotent",
        "head office grants again what it has said and not heard of",
    ),
    (
        Wrong::NoRequestFloor,
        "no-request-floor",
        "head office serves a request for slices as often as it comes",
    ),
    (
        Wrong::LendNumbersAgain,
        "lend-numbers-again",
        "head office forgets which numbers of a series were given out",
    ),
    (Wrong::ForgetAnswers, "forget-answers", "a box forgets at each start which requests it has answered"),
    (Wrong::FoldForgetsReturns, "fold-forgets-returns", "a box counts sales and forgets what was taken back"),
    (Wrong::NoRewind, "no-rewind", "a box goes on where it was when head office was restored"),
];

impl Wrong {
    /// By its name.
    pub fn named(name: &str) -> Option<Wrong> {
        ALL.iter().find(|(_, known, _)| *known == name).map(|(wrong, ..)| *wrong)
    }

    /// Where the lender itself is to make the mistake.
    pub(super) fn of_lender(self) -> Option<lender::Wrong> {
        match self {
            Wrong::ReclaimAtExpiry => Some(lender::Wrong::ReclaimAtExpiry),
            Wrong::NoRequestFloor => Some(lender::Wrong::NoRequestFloor),
            Wrong::NaiveRestore => Some(lender::Wrong::NaiveRestore),
            Wrong::GrantNotIdempotent => Some(lender::Wrong::GrantTwice),
            Wrong::LendNumbersAgain => Some(lender::Wrong::LendNumbersAgain),
            _ => None,
        }
    }

    /// Its name.
    pub fn name(self) -> &'static str {
        ALL.iter().find(|(wrong, ..)| *wrong == self).map_or("unnamed", |(_, name, _)| name)
    }
}
