//! A box's tables, as a plain map: a view of its journal that lags behind, can be lost and is built anew.
//!
//! It keeps what `storage::tables` keeps (the last decision it includes, the active bundle, members and codes of a bundle at
//! the place where it became active), without the disk: what survives a power cut here is always whole.

use std::collections::BTreeMap;

use crate::domain::calendar::UnixMs;
use crate::domain::ids::{BundleRef, Epoch, Seq};
use crate::domain::tally::{Tally, Totals};
use crate::engine::decision::{Change, Entry, Key, Known, Record};
use crate::engine::input::Input;

/// The tables.
#[derive(Clone, Debug, Default)]
pub(super) struct Memory {
    records: BTreeMap<Key, Record>,
    applied: Seq,
    active: Option<(BundleRef, UnixMs)>,
    tally: Tally,
}

impl Memory {
    /// What stands under a key.
    pub(super) fn get(&self, key: &Key) -> Option<&Record> {
        self.records.get(key)
    }

    /// The last decision included.
    pub(super) fn applied(&self) -> Seq {
        self.applied
    }

    /// The active bundle, and since when.
    pub(super) fn active(&self) -> Option<&(BundleRef, UnixMs)> {
        self.active.as_ref()
    }

    /// Follows a decision. `listed` says what a bundle brings.
    pub(super) fn follow(&mut self, step: &Followed, listed: impl FnOnce() -> Vec<(Key, Record)>) {
        if let Some((bundle, since)) = &step.activation {
            for (key, record) in listed() {
                let record = match (self.records.remove(&key), record) {
                    (Some(Record::Member(known)), Record::Member(new)) if known.as_of > new.as_of => {
                        Record::Member(Box::new(Known { listed: new.listed, withdrawn: false, ..*known }))
                    }
                    (_, new) => new,
                };
                self.records.insert(key, record);
            }
            self.active = Some((bundle.clone(), *since));
        }
        for Change { key, record } in step.changes.iter() {
            match record {
                Some(record) => self.records.insert(key.clone(), record.clone()),
                None => self.records.remove(key),
            };
        }
        self.applied = step.seq;
        self.tally.pass(step.epoch, step.seq, &step.totals);
    }

    /// What the decisions included come to.
    pub(super) fn tally(&self) -> &Tally {
        &self.tally
    }

    /// Every record that is not a request's, for comparing.
    pub(super) fn records(&self) -> &BTreeMap<Key, Record> {
        &self.records
    }

    /// Takes over what another box was lent: what a wrong spare does.
    pub(super) fn take_leases(&mut self, other: &Memory, own: Epoch) {
        let leases = other.records.iter().filter_map(|(key, record)| match key {
            Key::Lease(_, scope) => Some((Key::Lease(own, scope.clone()), record.clone())),
            Key::Heard(_) => Some((Key::Heard(own), record.clone())),
            _ => None,
        });
        self.records.extend(leases);
    }

    /// Forgets which requests were answered: what one of the wrong boxes does.
    pub(super) fn forget_requests(&mut self) {
        self.records.retain(|key, _| !matches!(key, Key::Request(..)));
    }
}

/// What the tables take of a decision.
#[derive(Clone, Debug)]
pub(super) struct Followed {
    /// Which.
    pub(super) seq: Seq,
    /// The bundle that became active with it, and when.
    pub(super) activation: Option<(BundleRef, UnixMs)>,
    /// What it changes.
    pub(super) changes: std::sync::Arc<[Change]>,
    /// In which life of the box it was made.
    epoch: Epoch,
    /// What it counts for.
    pub(super) totals: Totals,
}

impl Followed {
    /// Of a decision.
    pub(super) fn of(entry: &Entry) -> Followed {
        let activation = match &entry.input {
            Input::Activate(reference) => Some((reference.clone(), entry.at)),
            _ => None,
        };
        let (changes, totals) = (entry.changes.clone(), entry.totals());
        Followed { seq: entry.seq, activation, changes, epoch: entry.epoch, totals }
    }
}
