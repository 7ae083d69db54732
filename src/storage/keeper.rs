//! What those who read the journal tell the thread that writes it: how far head office has it, and where it is damaged.
//!
//! Invariants: a segment goes only up to the least of three words: head office's (durable there), the checkpoints' and the
//! calendar's; a word not spoken yet is 0, so that nothing goes. Damage is mended by the one thread that writes, within a
//! second or with its next group, and only asked for here.

use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::{Arc, Mutex, PoisonError};

use crate::domain::ids::Seq;
use crate::limits;

use super::journal::Gap;

/// A share in the journal's upkeep. Clones are the same.
#[derive(Clone, Debug, Default)]
pub struct Keeper {
    words: Arc<Words>,
}

#[derive(Debug, Default)]
struct Words {
    head_office: AtomicU64,
    here: AtomicU64,
    damaged: AtomicU64,
    leaves_disk: AtomicBool,
    missing: Mutex<Vec<Gap>>,
}

impl Keeper {
    /// Head office has everything through here in its backup.
    pub fn durable_at_head_office(&self, through: Seq) {
        self.words.head_office.store(through.0, Ordering::Release);
    }

    /// Everything through here is covered by checkpoints and past its days.
    pub(super) fn may_go(&self, through: Seq) {
        self.words.here.store(through.0, Ordering::Release);
    }

    /// The last decision that nobody needs here any more.
    pub fn prunable(&self) -> Seq {
        Seq(self.words.head_office.load(Ordering::Acquire).min(self.words.here.load(Ordering::Acquire)))
    }

    /// The frame that is to hold this decision does not check.
    pub fn damaged(&self, seq: Seq) {
        self.words.damaged.store(seq.0, Ordering::Release);
    }

    pub(super) fn take_damaged(&self) -> Option<Seq> {
        // Looked at with every group: it is written only where there is something to take.
        let is_damaged = self.words.damaged.load(Ordering::Acquire) != 0;
        is_damaged.then(|| Seq(self.words.damaged.swap(0, Ordering::AcqRel)))
    }

    /// The disk has next to no room left, and what it has is the journal's: the tables go on in memory.
    pub fn leave_disk(&self) {
        self.words.leaves_disk.store(true, Ordering::Release);
    }

    pub(super) fn leaves_disk(&self) -> bool {
        self.words.leaves_disk.load(Ordering::Acquire)
    }

    pub(super) fn lost(&self, gaps: &[Gap]) {
        let mut missing = self.words.missing.lock().unwrap_or_else(PoisonError::into_inner);
        let room = limits::GAPS_TOLD_MAX.saturating_sub(missing.len());
        missing.extend(gaps.iter().take(room));
    }

    /// The decisions that damage took from the journal, at most `GAPS_TOLD_MAX` ranges.
    pub fn missing(&self) -> Vec<Gap> {
        self.words.missing.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn does_anything_go_before_all_have_spoken() {
        let keeper = Keeper::default();
        assert_eq!(keeper.prunable(), Seq(0));
        keeper.may_go(Seq(70));
        assert_eq!(keeper.prunable(), Seq(0), "head office has not spoken");
        keeper.durable_at_head_office(Seq(50));
        assert_eq!(keeper.prunable(), Seq(50));
        keeper.may_go(Seq(30));
        assert_eq!(keeper.prunable(), Seq(30));
    }

    #[test]
    fn is_damage_mended_once() {
        let keeper = Keeper::default();
        keeper.damaged(Seq(9));
        assert_eq!(keeper.take_damaged(), Some(Seq(9)));
        assert_eq!(keeper.take_damaged(), None);
    }
}
