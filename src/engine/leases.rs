//! What head office lent this box, and what sales may take of it.
//!
//! A word (`domain::lease`) is taken if it is the next one for this life of the box; any other was heard before or will
//! come again, and is passed over. What it leaves stands in the decision's changes, where head office reads it.

use crate::domain::ids::Epoch;
use crate::domain::lease::{Heard, Word};

use super::decision::{Change, Facts, Key, Record};

/// What hearing a word reads.
pub(super) fn needs(word: &Word) -> Vec<Key> {
    let lease = word.say.scope().map(|scope| Key::Lease(scope.clone()));
    std::iter::once(Key::Heard).chain(lease).collect()
}

/// What a word changes; nothing if it is not the next one for this life of the box.
pub(super) fn hear(word: &Word, facts: &Facts, epoch: Epoch) -> Option<Vec<Change>> {
    if word.epoch != epoch || !facts.heard().is_next(word.id) {
        return None;
    }
    let heard = Change::put(Key::Heard, Record::Heard(Heard { last: word.id }));
    let held = word.say.scope().map(|scope| {
        let mut slices = facts.slices(scope);
        slices.follow(word.id, &word.say);
        Change::put(Key::Lease(scope.clone()), Record::Slices(slices))
    });
    Some(std::iter::once(heard).chain(held).collect())
}
