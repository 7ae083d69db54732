//! What the entries say: sales and money by store, points by member. A pure fold of the logs.
//!
//! Invariants: an entry counts once, because the ledger hands it over once; training counts for nothing; money is a sum
//! of the receipts' own integers. A member's balance is known here once an entry shows what head office's last word was
//! before this shop moved anything (the bundle's, or nothing for a new member); until then nothing is said about it.
//!
//! A shop is told a member's settled points after a movement, and again at each hello, until its journal shows that it
//! heard (the update is itself a decision there).

use std::collections::{BTreeMap, BTreeSet};

use crate::domain::ids::{Epoch, MemberId, Seq, StoreId};
use crate::domain::points::PointsLine;
use crate::domain::receipt::SaleRecord;
pub use crate::domain::tally::Totals;
use crate::engine::decision::{Entry, Key, Record};
use crate::engine::input::{Body, Input, MemberUpdate};
use crate::engine::reply::Reply;
use crate::limits;

/// A member's points over all stores.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
struct Points {
    /// Before any movement counted here.
    base: Option<i64>,
    moved: i64,
}

/// A member whose settled points a store has not confirmed.
#[derive(Clone, Copy, Debug)]
struct Touch {
    last: Seq,
    told: bool,
}

/// Everything folded.
#[derive(Clone, Debug, Default)]
pub struct Fold {
    stores: BTreeMap<StoreId, Totals>,
    lines: BTreeMap<(StoreId, Epoch), Totals>,
    members: BTreeMap<MemberId, Points>,
    touched: BTreeMap<StoreId, BTreeMap<MemberId, Touch>>,
    /// Stores that may have somebody to be told about.
    untold: BTreeSet<StoreId>,
}

impl Fold {
    /// Counts an entry; none if it is not a decision this build can read.
    pub fn entry(&mut self, store: &StoreId, seq: Seq, bytes: &[u8]) -> Option<Entry> {
        let totals = self.stores.entry(store.clone()).or_default();
        let Ok(entry) = Entry::decode(bytes) else {
            totals.unreadable += 1;
            return None;
        };
        let counted = entry.totals();
        totals.add(&counted);
        self.lines.entry((store.clone(), entry.epoch)).or_default().add(&counted);
        let sale = entry.changes.iter().find_map(|change| match (&change.key, &change.record) {
            (Key::Sale(_), Some(Record::Sale(sale))) => Some(sale),
            _ => None,
        });
        match (&entry.input, &entry.answer) {
            (Input::Request(_), Err(_)) => {}
            (Input::Request(request), Ok(reply)) => match (&request.body, reply) {
                (Body::Commit(_), Reply::Commit(receipt)) if sale.is_some_and(|sale| !sale.training) => {
                    self.moved(store, seq, &entry, (sale, &receipt.points_ledger));
                    self.referred(store, seq, &entry, (sale, 1));
                }
                (Body::Void(_) | Body::Return(_), Reply::Refund(refund))
                    if sale.is_some_and(|sale| !sale.training) =>
                {
                    self.moved(store, seq, &entry, (sale, &refund.points_ledger));
                    self.referred(store, seq, &entry, (sale, if refund.whole { -1 } else { 0 }));
                }
                (Body::Enroll(_), Reply::Enroll(enrolled)) => {
                    self.members.entry(enrolled.member.clone()).or_default().base.get_or_insert(0);
                }
                _ => {}
            },
            (Input::Members(update), _) => {
                let touched = self.touched.entry(store.clone()).or_default();
                for member in &update.members {
                    if touched.get(&member.id).is_some_and(|touch| touch.last <= update.settled_through) {
                        touched.remove(&member.id);
                    }
                }
            }
            (Input::Activate(_) | Input::Lease(_) | Input::Shown(_) | Input::Forget(_), _)
            | (Input::Order(_), _) => {}
        }
        Some(entry)
    }

    /// Books the points of a sale or of what came back from it.
    fn moved(
        &mut self,
        store: &StoreId,
        seq: Seq,
        entry: &Entry,
        (sale, lines): (Option<&SaleRecord>, &[PointsLine]),
    ) {
        let Some(member) = sale.and_then(|sale| sale.member.as_ref()) else { return };
        let moved = lines.iter().fold(0_i64, |sum, line| sum.saturating_add(line.points));
        self.book(store, seq, entry, (member, moved));
    }

    /// Books what a sale gave the owner of a referral code, or takes it back.
    fn referred(
        &mut self,
        store: &StoreId,
        seq: Seq,
        entry: &Entry,
        (sale, sign): (Option<&SaleRecord>, i64),
    ) {
        if let Some(referred) = sale.and_then(|sale| sale.referred.as_ref()) {
            self.book(store, seq, entry, (&referred.owner, sign * referred.points));
        }
    }

    fn book(&mut self, store: &StoreId, seq: Seq, entry: &Entry, (member, moved): (&MemberId, i64)) {
        let points = self.members.entry(member.clone()).or_default();
        if let Some(read) = entry.facts.member(member).map(|member| member.ledger.points) {
            // Head office's word before any of this shop's decisions: what the bundle brought.
            if read.settled_through == Seq(0) {
                points.base.get_or_insert(read.settled);
            }
        }
        if moved != 0 {
            points.moved = points.moved.saturating_add(moved);
            let touched = self.touched.entry(store.clone()).or_default();
            touched.insert(member.clone(), Touch { last: seq, told: false });
            self.untold.insert(store.clone());
        }
    }

    /// What a store did.
    pub fn totals(&self, store: &StoreId) -> Totals {
        self.stores.get(store).cloned().unwrap_or_default()
    }

    /// What one epoch of a store comes to.
    pub fn line(&self, store: &StoreId, epoch: Epoch) -> Totals {
        self.lines.get(&(store.clone(), epoch)).cloned().unwrap_or_default()
    }

    /// A member's points, if they are known here.
    pub fn balance(&self, member: &MemberId) -> Option<i64> {
        let points = self.members.get(member)?;
        Some(points.base?.saturating_add(points.moved))
    }

    /// Members who are known here, in any store.
    pub fn members(&self) -> usize {
        self.members.len()
    }

    /// The shop may have missed what it was told: tell all of it again.
    pub fn tell_again(&mut self, store: &StoreId) {
        for touch in self.touched.entry(store.clone()).or_default().values_mut() {
            touch.told = false;
        }
        self.untold.insert(store.clone());
    }

    /// Stores that may have somebody to be told about: each is to be `tell`ed until nobody is left.
    pub fn to_tell(&self) -> Vec<StoreId> {
        self.untold.iter().cloned().collect()
    }

    /// The next members to tell a store about, at most `UPSTREAM_MEMBERS_MAX`; empty when all were told.
    pub fn tell(&mut self, store: &StoreId) -> Vec<MemberUpdate> {
        let Some(touched) = self.touched.get_mut(store) else { return Vec::new() };
        let mut updates = Vec::new();
        self.untold.remove(store);
        for (member, touch) in touched.iter_mut().filter(|(_, touch)| !touch.told) {
            if updates.len() == limits::UPSTREAM_MEMBERS_MAX {
                self.untold.insert(store.clone());
                break;
            }
            touch.told = true;
            let points = self.members.get(member).copied().unwrap_or_default();
            if let Some(base) = points.base {
                let points = base.saturating_add(points.moved).clamp(-limits::POINTS_MAX, limits::POINTS_MAX);
                updates.push(MemberUpdate { id: member.clone(), tokens: Vec::new(), profile: None, points });
            }
        }
        updates
    }
}
