//! A shorter log that makes the same lender.
//!
//! Most of a log are words that were answered long ago: what came of them stands in the journals, which are read with the
//! log at each start. Such words leave; in their place stands how far the box had answered. Of what online shops wanted of an
//! order the last stays, and nothing of orders that are forgotten. Everything else stays as it was written: what is
//! not answered, every word of a journal with something withheld or unread, what people did, and where codes have their homes.
//!
//! Invariants: the shorter log and the journals make what the log and the journals made. Journals that end earlier than they did
//! when it was made (a damaged disk cuts a log) do not answer the words that left: then that box is not known, as after
//! a restore from nobody knows what, and nothing is lent to anybody until its journal has been read through there again.

use std::collections::{BTreeMap, BTreeSet};

use crate::domain::ids::{Epoch, OrderId, StoreId};
use crate::domain::lease::{LeaseId, Say};

use super::lane::Lane;
use super::orders::Wish;
use super::{Lender, Record};

impl Lender {
    /// The same log, shorter. Call with everything of the log committed, and every entry that was read.
    pub fn fold(&self, log: impl IntoIterator<Item = Record>) -> Vec<Record> {
        let mut told: BTreeSet<(StoreId, Epoch)> = BTreeSet::new();
        let mut shorter = Vec::new();
        let settled = self.each_lane().filter(|(.., lane)| lane.is_settled());
        let settled: BTreeMap<(&StoreId, Epoch), &Lane> =
            settled.map(|(store, epoch, lane)| ((store, epoch), lane)).collect();
        let mut wishes: BTreeMap<OrderId, usize> = BTreeMap::new();
        for record in log {
            let record = match record {
                Record::Order(wish) => {
                    self.keep_wish(*wish, &mut wishes, &mut shorter);
                    continue;
                }
                record => record,
            };
            let of = match &record {
                Record::Word { store, word, .. } if !is_of_homes(&word.say) => {
                    let lane = settled.get(&(store, word.epoch)).filter(|lane| lane.has_answered(word.id));
                    lane.map(|lane| (store, word.epoch, *lane))
                }
                Record::Answered { store, epoch, .. } => {
                    settled.get(&(store, *epoch)).map(|lane| (store, *epoch, *lane))
                }
                _ => None,
            };
            let Some((store, epoch, lane)) = of else {
                shorter.push(record);
                continue;
            };
            if told.insert((store.clone(), epoch)) {
                let (through, top, floor) = (lane.heard, lane.top, lane.floor);
                shorter.push(Record::Answered { store: store.clone(), epoch, through, top, floor });
            }
        }
        shorter
    }

    /// One record of each order that is known, where the first of it stood.
    fn keep_wish(&self, wish: Wish, places: &mut BTreeMap<OrderId, usize>, shorter: &mut Vec<Record>) {
        let id = &wish.order.id;
        let earlier = places.get(id).and_then(|place| shorter.get_mut(*place));
        match earlier {
            Some(Record::Order(earlier)) => **earlier = wish.behind(earlier),
            _ if self.orders.knows(id) => {
                places.insert(id.clone(), shorter.len());
                shorter.push(Record::Order(Box::new(wish)));
            }
            _ => {}
        }
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
        let knows = |own: &Lane, their: &Lane| {
            let is_there = |id| their.pending.iter().any(|pending| pending.word.id == id);
            own.top == their.top
                && own.next == their.next
                && own.written_off == their.written_off
                && own.pending.iter().all(|pending| is_there(pending.word.id))
        };
        let mut told = self.each_lane().filter(|(.., own)| own.top != LeaseId::default());
        told.all(|(store, epoch, own)| again.lane(store, epoch).is_some_and(|their| knows(own, their)))
            && self.orders.are_told_by(&again.orders)
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
        word <= self.heard && !is_open(word)
    }
}

fn is_of_homes(say: &Say) -> bool {
    matches!(say, Say::Release { .. } | Say::Adopt { .. })
}
