//! A shorter log that makes the same lender.
//!
//! Most of a log are words that were answered long ago: what came of them stands in the journals, which are read with the
//! log at each start. Such words leave; in their place stands how far the box had answered. Everything else
//! stays as it was written: what is not answered, every word of a journal with something withheld or unread, what people
//! did, and where codes have their homes.
//!
//! Invariants: the shorter log and the journals make what the log and the journals made. Journals that end earlier than they did
//! when it was made (a damaged disk cuts a log) do not answer the words that left: then that box is not known, as after
//! a restore from nobody knows what, and nothing is lent to anybody until its journal has been read through there again.

use std::collections::{BTreeMap, BTreeSet};

use crate::domain::ids::{Epoch, StoreId};
use crate::domain::lease::{LeaseId, Say};

use super::lane::Lane;
use super::{Lender, Record};

impl Lender {
    /// The same log, shorter. Call with everything of the log committed, and every entry that was read.
    pub fn fold(&self, log: impl IntoIterator<Item = Record>) -> Vec<Record> {
        let mut told: BTreeSet<(StoreId, Epoch)> = BTreeSet::new();
        let mut shorter = Vec::new();
        for record in log {
            let of = match &record {
                Record::Word { store, word, .. } if !is_of_homes(&word.say) => {
                    let lane = self.lane(store, word.epoch).filter(|lane| lane.has_answered(word.id));
                    lane.map(|_| (store, word.epoch))
                }
                Record::Answered { store, epoch, .. } => {
                    self.lane(store, *epoch).filter(|lane| lane.is_settled()).map(|_| (store, *epoch))
                }
                _ => None,
            };
            let Some((store, epoch)) = of else {
                shorter.push(record);
                continue;
            };
            if told.insert((store.clone(), epoch))
                && let Some(lane) = self.lane(store, epoch)
            {
                let (through, top, floor) = (lane.heard, lane.top, lane.floor);
                shorter.push(Record::Answered { store: store.clone(), epoch, through, top, floor });
            }
        }
        shorter
    }

    /// Follows what stands in place of answered words.
    pub(super) fn replay_answered(
        &mut self,
        (store, epoch): (&StoreId, Epoch),
        (through, top, floor): (LeaseId, LeaseId, u64),
    ) -> bool {
        self.begin(store, epoch);
        let incarnation = self.incarnation;
        let Some(lane) = self.lane_mut(store, epoch).filter(|_| top.incarnation <= incarnation) else {
            return false;
        };
        lane.answered = lane.answered.max(through);
        lane.top = lane.top.max(top);
        if top.incarnation == incarnation {
            lane.next = lane.next.max(top.number + 1);
            lane.floor = lane.floor.max(floor);
        }
        true
    }

    /// Would a lender that read nothing but `again`'s log say nothing twice, and hold all that nobody has answered?
    pub fn is_told_by(&self, again: &Lender) -> bool {
        let lanes = |lender: &Lender| -> BTreeMap<(StoreId, Epoch), Lane> {
            let of = lender.lanes.iter();
            let all = of.flat_map(|(store, lanes)| {
                lanes.iter().map(move |(epoch, lane)| ((store.clone(), *epoch), lane.clone()))
            });
            all.collect()
        };
        let (mine, theirs) = (lanes(self), lanes(again));
        let knows = |own: &Lane, their: &Lane| {
            let is_there = |id| their.pending.iter().any(|pending| pending.word.id == id);
            own.top == their.top
                && own.next == their.next
                && own.written_off == their.written_off
                && own.pending.iter().all(|pending| is_there(pending.word.id))
        };
        let was_told = |own: &Lane| own.top != LeaseId::default();
        let mut told = mine.iter().filter(|(_, own)| was_told(own));
        told.all(|(of, own)| theirs.get(of).is_some_and(|their| knows(own, their)))
            && self.drained == again.drained
            && self.blind_below == again.blind_below
    }
}

impl Lane {
    /// Does its journal say of every word it heard what came of it?
    fn is_settled(&self) -> bool {
        self.whole && self.holds.values().all(|hold| hold.unseen.is_empty())
    }

    fn has_answered(&self, word: LeaseId) -> bool {
        let is_open = |id| self.pending.iter().any(|pending| pending.word.id == id);
        self.is_settled() && word <= self.heard && !is_open(word)
    }
}

fn is_of_homes(say: &Say) -> bool {
    matches!(say, Say::Release { .. } | Say::Adopt { .. })
}
