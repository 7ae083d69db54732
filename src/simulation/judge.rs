//! The judge: a slow, obvious model of what was promised, which every step is held against.
//!
//! It believes nobody: what a box made durable is what its journal says when read back; what head office has is what was
//! handed to its books. It keeps one `Fact` for each decision that was durable anywhere, and from these it folds by itself
//! what head office must come to. What it asserts is named by the invariants of the design (I1 to I15; I16 is of `pickups`).

use std::collections::{BTreeMap, BTreeSet};

use crate::bundle::terms::Terms;
use crate::domain::calendar::{DAY_MS, UnixMs};
use crate::domain::ids::{CouponCode, DeviceId, Epoch, MemberId, OrderId, RequestId, Seq, StoreId};
use crate::domain::lease::{Scope, Slices, Word};
use crate::engine::decision::{Entry, Key, Record};
use crate::engine::input::{Body, Input};
use crate::engine::reply::Reply;
use crate::hub::fold::Totals;
use crate::hub::lender::{Breach, ScopeView};

use super::escrow::Escrow;
use super::pickups::Pickups;
use super::rules;

/// Violations kept of one world: the first says what is wrong, the rest follow from it.
const KEPT_MAX: usize = 20;
/// Milliseconds that a box's clock may be before the world began without saying so: what it may be behind, and a day.
const OFF_MS_MAX: i64 = 2 * DAY_MS;

/// A promise that was broken.
#[derive(Clone, Debug, PartialEq, Eq, serde::Serialize)]
pub struct Violation {
    /// Which invariant of the design.
    pub invariant: &'static str,
    /// In which world.
    pub seed: u64,
    /// At which event of it, from 1.
    pub step: u64,
    /// What was seen.
    pub text: String,
}

/// What the judge keeps of one decision.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
struct Fact {
    /// Of its bytes.
    sum: u32,
    what: What,
    /// Of a sale or refund, in minor units.
    amount: i64,
    /// Whose points moved, and by how much.
    points: Option<(MemberId, i64)>,
    /// Of them, how many the member may not have had: drawn on the overdraft, or taken back with the goods that earned them.
    beyond: i64,
    /// It says that its clock is not believed.
    doubted: bool,
}

#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
enum What {
    Sale,
    Refund,
    Refusal,
    Enrolled,
    #[default]
    Other,
}

/// One box's journal as it was ever durable.
#[derive(Debug)]
struct Line {
    store: StoreId,
    epoch: Epoch,
    /// By place; the first is decision 1.
    facts: Vec<Fact>,
    /// How many of them head office must have at the end.
    due: usize,
    /// What was spoken to a till, by decision, with the sum of its bytes.
    spoken: BTreeMap<Seq, u32>,
    /// Which decision answered a request.
    requests: BTreeMap<(DeviceId, RequestId), Seq>,
    /// The first decision still kept.
    first: Seq,
    bundle: u64,
    incarnation: u64,
}

/// What head office was handed of one epoch of one store, by place.
#[derive(Debug, Default)]
struct Booked {
    sums: Vec<u32>,
    backed: u64,
}

/// What head office has booked of one member's points.
#[derive(Debug, Default)]
struct Moves {
    /// How many movements.
    booked: u64,
    /// What they come to.
    points: i64,
    /// Of them, what the member may not have had.
    owed: i64,
}

/// The model.
#[derive(Debug, Default)]
pub(super) struct Judge {
    seed: u64,
    /// The event under way.
    pub(super) step: u64,
    lines: Vec<Line>,
    /// Which boxes wrote under a name: one, but for clones.
    named: BTreeMap<(StoreId, Epoch), Vec<usize>>,
    booked: BTreeMap<(StoreId, Epoch), Booked>,
    /// What head office last said of a line, and as which incarnation.
    said: BTreeMap<(StoreId, Epoch), (u64, Seq)>,
    redeemed: BTreeMap<CouponCode, (usize, Seq)>,
    /// By member, over all that head office has booked.
    moved: BTreeMap<MemberId, Moves>,
    escrow: Escrow,
    pickups: Pickups,
    terms: Terms,
    /// Codes redeemed twice: away from home, or by a spare box that knows nothing of its forerunner.
    pub(super) redeemed_twice: u64,
    /// Decisions that say that their clock is not believed.
    pub(super) doubted: u64,
    /// When the world began, and its rules were signed.
    pub(super) began: UnixMs,
    /// Stores with two boxes that write under one name.
    cloned: BTreeSet<StoreId>,
    /// What was found.
    pub(super) violations: Vec<Violation>,
    /// How many were found, those not kept included.
    pub(super) found: u64,
}

impl Judge {
    /// Judges one world.
    pub(super) fn new(seed: u64, terms: &Terms, began: UnixMs) -> Judge {
        Judge { seed, terms: terms.clone(), began, ..Judge::default() }
    }

    fn accuse_all(&mut self, found: Vec<(&'static str, String)>) {
        for (invariant, text) in found {
            self.accuse(invariant, text);
        }
    }

    /// A promise is broken.
    pub(super) fn accuse(&mut self, invariant: &'static str, text: String) {
        self.found += 1;
        if self.violations.len() < KEPT_MAX {
            self.violations.push(Violation { invariant, seed: self.seed, step: self.step, text });
        }
    }

    /// A new box with an empty disk. Boxes are numbered from 0.
    pub(super) fn new_box(&mut self, store: &StoreId, epoch: Epoch) {
        self.named.entry((store.clone(), epoch)).or_default().push(self.lines.len());
        self.lines.push(Line {
            store: store.clone(),
            epoch,
            facts: Vec::new(),
            due: 0,
            spoken: BTreeMap::new(),
            requests: BTreeMap::new(),
            first: Seq(1),
            bundle: 0,
            incarnation: 0,
        });
    }

    /// A new box with a copy of another's disk.
    pub(super) fn new_clone(&mut self, of: usize) {
        let line = &self.lines[of];
        self.cloned.insert(line.store.clone());
        let copy = Line {
            store: line.store.clone(),
            epoch: line.epoch,
            facts: line.facts.clone(),
            due: 0,
            spoken: BTreeMap::new(),
            requests: line.requests.clone(),
            first: line.first,
            bundle: line.bundle,
            incarnation: line.incarnation,
        };
        self.named.entry((copy.store.clone(), copy.epoch)).or_default().push(self.lines.len());
        self.escrow.cloned(of, self.lines.len());
        self.pickups.cloned(of, self.lines.len());
        self.lines.push(copy);
    }

    /// How many decisions of a box were ever durable.
    pub(super) fn durable_of(&self, of: usize) -> u64 {
        self.lines[of].facts.len() as u64
    }

    /// What the boxes of a name hold at a place.
    fn facts_at(&self, store: &StoreId, epoch: Epoch, place: usize) -> impl Iterator<Item = &Fact> {
        let boxes = self.named.get(&(store.clone(), epoch)).into_iter().flatten();
        boxes.filter_map(move |of| self.lines[*of].facts.get(place))
    }

    // --- the box ---

    /// A decision became durable, or was found durable at a start.
    pub(super) fn durable(&mut self, of: usize, entry: &Entry, bytes: &[u8]) {
        let line = &mut self.lines[of];
        let due = Seq(line.facts.len() as u64 + 1);
        if entry.seq != due || entry.epoch != line.epoch {
            let text = format!(
                "{} epoch {}: decision {} became durable where {} was due",
                line.store, entry.epoch.0, entry.seq.0, due.0
            );
            self.accuse("I6", text);
            return;
        }
        line.facts.push(fact(entry, bytes));
        let doubted = entry.is_of_doubted_time();
        self.doubted += u64::from(doubted);
        // No world lasts longer, and none begins earlier: whatever the box believed, this is wrong.
        let off = entry.at.ms_since(self.began);
        let is_wrong = !(-OFF_MS_MAX..=200 * OFF_MS_MAX).contains(&off) && entry.bundle.is_some();
        let unmarked = is_wrong && !doubted && entry.answer.is_ok();
        if unmarked {
            let text =
                format!("decision {} at {} does not say that its clock is wrong", entry.seq.0, entry.at.0);
            self.accuse("I14", text);
        }
        let line = &mut self.lines[of];
        let text = match &entry.input {
            Input::Activate(to) if to.version < line.bundle => {
                Some(("I11", format!("bundle {} became active after {}", to.version, line.bundle)))
            }
            Input::Activate(to) => {
                line.bundle = to.version;
                None
            }
            Input::Request(request) => {
                let key = (request.device.clone(), request.id.clone());
                let before = line.requests.insert(key, entry.seq);
                before.map(|first| {
                    ("I5", format!("request {} was decided at {} and again", request.id, first.0))
                })
            }
            _ => None,
        };
        if let Some((invariant, text)) = text {
            let text = format!("{} epoch {} decision {}: {text}", line.store, line.epoch.0, entry.seq.0);
            self.accuse(invariant, text);
        }
        self.redeem(of, entry);
        let mut found = Vec::new();
        let twice = self.pickups.durable(of, &self.lines[of].store, entry);
        found.extend(twice.map(|text| ("I16", text)));
        if let Input::Lease(word) = &entry.input {
            let Line { store, epoch, .. } = &self.lines[of];
            let slices = entry.changes.iter().find_map(|change| match (&change.key, &change.record) {
                (Key::Lease(..), Some(Record::Slices(slices))) => Some(slices),
                _ => None,
            });
            self.escrow.took((store, *epoch), (word, slices), &mut found);
        }
        let Line { store, .. } = &self.lines[of];
        self.escrow.gave_out(store, entry, &self.terms, &mut found);
        for change in entry.changes.iter() {
            if let (Key::Lease(of_life, scope), Some(Record::Slices(slices))) = (&change.key, &change.record)
            {
                let Line { store, epoch, .. } = &self.lines[of];
                if of_life != epoch {
                    found.push(("I2", format!("{store} epoch {}: changes slices of {}", epoch.0, of_life.0)));
                }
                self.escrow.holds((of, store, *epoch), (scope, slices), &self.terms, &mut found);
            }
        }
        self.accuse_all(found);
    }

    /// Which single-use codes with a home a sale used up, or gave back.
    fn redeem(&mut self, of: usize, entry: &Entry) {
        for change in entry.changes.iter() {
            let Key::Redeemed(code) = &change.key else { continue };
            match &change.record {
                Some(Record::Redeemed(_)) => {
                    let Some((by, seq)) = self.redeemed.insert(code.clone(), (of, entry.seq)) else {
                        continue;
                    };
                    // Another shop's box draws on the risk lent to it, a spare box knows nothing of what the lost one redeemed.
                    self.redeemed_twice += 1;
                    if by == of {
                        let text = format!(
                            "{code} was redeemed in {} decision {} and again in decision {}",
                            self.lines[of].store, seq.0, entry.seq.0
                        );
                        self.accuse("I8", text);
                    }
                }
                _ => {
                    self.redeemed.remove(code);
                }
            }
        }
    }

    /// An answer that rests on a decision left the box.
    pub(super) fn spoken(&mut self, of: usize, seq: Seq, sum: u32) {
        self.lines[of].spoken.insert(seq, sum);
    }

    /// A box was opened after whatever befell it: what its journal holds, in order, by (place, sum of the bytes).
    pub(super) fn reopened(&mut self, of: usize, first: Seq, held: &[(Seq, u32)]) {
        let line = &self.lines[of];
        let name = format!("{} epoch {}", line.store, line.epoch.0);
        let mut broken = Vec::new();
        if first > line.first {
            broken.push((
                "I5",
                format!("{name}: the journal begins at {}, {} was kept", first.0, line.first.0),
            ));
        }
        // What was to be forgotten may still be there.
        let mut at = held.iter().skip_while(|(seq, _)| *seq < line.first).peekable();
        for (seq, sum) in line.kept_sums() {
            match at.next_if(|(held, _)| *held == seq) {
                Some((_, held)) if *held == sum => {}
                Some(_) => broken.push(("I5", format!("{name}: decision {} is another one now", seq.0))),
                None => broken.push(("I5", format!("{name}: decision {} was durable and is gone", seq.0))),
            }
        }
        for (seq, sum) in line.spoken.range(first.max(line.first)..) {
            let there = held.binary_search_by_key(seq, |(held, _)| *held).ok().map(|at| held[at].1);
            if there != Some(*sum) {
                broken.push(("I5", format!("{name}: decision {} was acknowledged and is gone", seq.0)));
            }
        }
        for (invariant, text) in broken {
            self.accuse(invariant, text);
        }
    }

    /// A till heard that a write was done: it must be durable in the box it names, with these figures.
    pub(super) fn believed(&mut self, store: &StoreId, epoch: Epoch, seq: Seq, amount: Option<i64>) {
        let place = usize::try_from(seq.0.saturating_sub(1)).unwrap_or(usize::MAX);
        let is_it = |fact: &Fact| amount.is_none_or(|amount| fact.amount == amount);
        let stands = self.facts_at(store, epoch, place).any(is_it);
        if !stands {
            let text = format!(
                "{store} epoch {}: a shopper was told decision {}, which is not there",
                epoch.0, seq.0
            );
            self.accuse("I5", text);
        }
    }

    /// A box says something to head office.
    pub(super) fn said_by_box(&mut self, of: usize, incarnation: u64) {
        let line = &mut self.lines[of];
        if incarnation < line.incarnation {
            let text = format!("{}: incarnation {} after {}", line.store, incarnation, line.incarnation);
            self.accuse("I11", text);
        } else {
            line.incarnation = incarnation;
        }
    }

    /// A box runs on these rules from now on.
    pub(super) fn runs_on(&mut self, of: usize, bundle: u64) {
        let line = &self.lines[of];
        if bundle < line.bundle {
            let text = format!("{}: it runs on bundle {bundle} after {}", line.store, line.bundle);
            self.accuse("I11", text);
        }
    }

    /// A box forgot everything before `first`.
    pub(super) fn pruned(&mut self, of: usize, first: Seq) {
        let line = &mut self.lines[of];
        line.first = line.first.max(first);
        let key = (line.store.clone(), line.epoch);
        let backed = self.booked.get(&key).map_or(0, |booked| booked.backed);
        if first.0 > backed + 1 {
            let text = format!(
                "{} epoch {}: forgotten before {}, head office's backup holds it through {backed}",
                key.0, key.1.0, first.0
            );
            self.accuse("I12", text);
        }
    }

    // --- head office ---

    /// Head office handed an entry to its books.
    pub(super) fn booked(&mut self, store: &StoreId, epoch: Epoch, seq: Seq, bytes: &[u8]) {
        let sum = crc32c::crc32c(bytes);
        let booked = self.booked.entry((store.clone(), epoch)).or_default();
        let due = booked.sums.len() as u64 + 1;
        if seq.0 != due {
            let text = format!("{store} epoch {}: entry {} was booked where {due} was due", epoch.0, seq.0);
            self.accuse("I6", text);
            return;
        }
        booked.sums.push(sum);
        let place = usize::try_from(seq.0 - 1).unwrap_or(usize::MAX);
        let Some(fact) = self.facts_at(store, epoch, place).find(|fact| fact.sum == sum) else {
            let text = format!("{store} epoch {}: entry {} was booked, no box ever held it", epoch.0, seq.0);
            self.accuse("I6", text);
            return;
        };
        if let Some((member, points)) = fact.points.clone() {
            self.move_points(member, points, fact.beyond);
        }
    }

    fn move_points(&mut self, member: MemberId, points: i64, beyond: i64) {
        let began = rules::points_at_first(&member);
        let moves = self.moved.entry(member.clone()).or_default();
        moves.booked += 1;
        (moves.points, moves.owed) = (moves.points + points, moves.owed + beyond);
        let (balance, owed) = (began + moves.points, moves.owed);
        if balance < -owed.max(0) && points < 0 && self.cloned.is_empty() {
            let text =
                format!("{member} has {balance} points with this, {owed} were drawn beyond or taken back");
            self.accuse("I13", text);
        }
    }

    /// Head office wrote down that a shop lost numbers. No simulated disk loses any.
    pub(super) fn hole(&mut self, store: &StoreId, epoch: Epoch, from: Seq, through: Seq) {
        let text = format!("{store} epoch {}: {} to {} are booked as lost", epoch.0, from.0, through.0);
        self.accuse("I6", text);
    }

    /// Head office came back with so much of a line.
    pub(super) fn came_back(&mut self, store: &StoreId, epoch: Epoch, entries: usize) {
        let Some(booked) = self.booked.get_mut(&(store.clone(), epoch)) else { return };
        let lost = booked.sums.split_off(entries.min(booked.sums.len()));
        for (place, sum) in (entries..).zip(lost) {
            let fact = self.facts_at(store, epoch, place).find(|fact| fact.sum == sum);
            let points = fact.and_then(|fact| Some((fact.points.clone()?, fact.beyond)));
            if let Some(((member, points), beyond)) = points
                && let Some(moves) = self.moved.get_mut(&member)
            {
                moves.booked -= 1;
                (moves.points, moves.owed) = (moves.points - points, moves.owed - beyond);
            }
        }
    }

    /// Head office's backup holds a line so far.
    pub(super) fn backed(&mut self, store: &StoreId, epoch: Epoch, through: u64) {
        self.booked.entry((store.clone(), epoch)).or_default().backed = through;
    }

    /// Head office tells a shop what it has. `synced`: what its disk has of the line.
    pub(super) fn said_by_office(
        &mut self,
        store: &StoreId,
        (incarnation, epoch): (u64, Epoch),
        (applied, durable): (Seq, Seq),
        synced: u64,
    ) {
        let key = (store.clone(), epoch);
        let backed = self.booked.get(&key).map_or(0, |booked| booked.backed);
        if applied.0 > synced {
            let text = format!("{store} epoch {}: acknowledged {}, on disk {synced}", epoch.0, applied.0);
            self.accuse("I6", text);
        }
        if durable.0 > backed {
            let text = format!("{store} epoch {}: durable {}, in the backup {backed}", epoch.0, durable.0);
            self.accuse("I12", text);
        }
        let before = self.said.insert(key, (incarnation, applied));
        if let Some((as_of, through)) = before {
            if incarnation < as_of {
                let text = format!("{store}: head office speaks as {incarnation} after {as_of}");
                self.accuse("I11", text);
            } else if incarnation == as_of && applied < through {
                let text = format!(
                    "{store} epoch {}: incarnation {incarnation} had {} and has {}",
                    epoch.0, through.0, applied.0
                );
                self.accuse("I6", text);
            }
        }
    }

    /// Head office says a word about leases.
    pub(super) fn said_word(&mut self, store: &StoreId, word: &Word) {
        let mut found = Vec::new();
        self.escrow.said(store, word, &self.terms, &mut found);
        self.accuse_all(found);
    }

    /// Head office served a request for slices.
    pub(super) fn served(&mut self, store: &StoreId, epoch: Epoch, of: (u64, u64)) {
        let mut found = Vec::new();
        self.escrow.served(store, epoch, of, &mut found);
        self.accuse_all(found);
    }

    /// Head office starts anew.
    pub(super) fn office_started(&mut self) {
        self.escrow.office_started();
    }

    /// Words ever said.
    pub(super) fn words(&self) -> u64 {
        self.escrow.words()
    }

    // --- at rest ---

    /// What head office believes of leases. `is_whole`: every box that ever was has told everything.
    pub(super) fn lending(&mut self, view: &[ScopeView], breaches: &[Breach], is_whole: bool) {
        for ScopeView { scope, spent, .. } in view {
            if matches!(scope, Scope::Pocket(_)) {
                // What was spent of it and come back is in the member's balance.
                continue;
            }
            let due = self.escrow.spent(scope);
            if is_whole && !self.escrow.is_cloned && due != *spent {
                self.accuse(
                    "I7",
                    format!("{scope:?}: head office counts {spent} as spent, the journals {due}"),
                );
            }
        }
        for breach in breaches {
            // Of a box and its copy one journal is read: what the other gave out looks left over.
            if self.escrow.is_cloned && matches!(breach, Breach::TwiceLent(_)) {
                continue;
            }
            self.accuse("I1", format!("head office's own check finds {breach:?}"));
        }
    }

    /// Hand-overs ever made.
    pub(super) fn picked_up(&self) -> u64 {
        self.pickups.count()
    }

    /// What head office knows of hand-overs.
    pub(super) fn hand_overs(&mut self, known: &BTreeSet<(OrderId, StoreId, Epoch, Seq)>) {
        let booked = &self.booked;
        let was_booked = |store: &StoreId, epoch: Epoch, seq: Seq| {
            booked.get(&(store.clone(), epoch)).is_some_and(|booked| booked.sums.len() as u64 >= seq.0)
        };
        // Two boxes that write under one name have two decisions of one number.
        let found = self.pickups.at_rest(known, |store, epoch, seq| {
            !self.cloned.contains(store) && was_booked(store, epoch, seq)
        });
        self.accuse_all(found.into_iter().map(|text| ("I16", text)).collect());
    }

    /// Everything stands still: what head office's books say of a store must be the fold of what it was handed.
    pub(super) fn books(&mut self, store: &StoreId, totals: &Totals) {
        let mut due = Totals { unreadable: totals.unreadable, bundle: totals.bundle, ..Totals::default() };
        let lines = self.booked.range((store.clone(), Epoch(0))..).take_while(|((of, _), _)| of == store);
        for ((_, epoch), booked) in lines {
            for (place, sum) in booked.sums.iter().enumerate() {
                let Some(fact) = self.facts_at(store, *epoch, place).find(|fact| fact.sum == *sum) else {
                    continue;
                };
                due.entries += 1;
                due.doubted += u64::from(fact.doubted);
                match fact.what {
                    What::Sale => {
                        due.sales += 1;
                        due.sales_total_minor += fact.amount;
                    }
                    What::Refund => {
                        due.refunds += 1;
                        due.refunds_total_minor += fact.amount;
                    }
                    What::Refusal => due.refusals += 1,
                    What::Enrolled => due.enrolled += 1,
                    What::Other => {}
                }
            }
        }
        if due != *totals {
            self.accuse("I7", format!("{store}: the journals come to {due:?}, head office to {totals:?}"));
        }
    }

    /// What a member's points must be at head office: what they began with and every movement booked.
    pub(super) fn points_due(&self) -> Vec<(MemberId, i64)> {
        // Of whom nothing is booked head office need not know: what was told of them was lost with it, and its shop's box too.
        let moved = self.moved.iter().filter(|(_, moves)| moves.booked > 0);
        moved.map(|(member, moves)| (member.clone(), rules::points_at_first(member) + moves.points)).collect()
    }

    /// A shop and head office found that they count otherwise; of a copied disk both are right.
    pub(super) fn counted_otherwise(&mut self, store: &StoreId, text: String) {
        if !self.cloned.contains(store) {
            self.accuse("I7", text);
        }
    }

    /// All that boxes have decided by now must be at head office when everything stands still.
    pub(super) fn due_at_head_office(&mut self) {
        for line in &mut self.lines {
            line.due = line.facts.len();
        }
    }

    /// A box that runs and reaches head office has told what was due.
    pub(super) fn drained(&mut self, of: usize) {
        let Line { store, epoch, facts, due, .. } = &self.lines[of];
        let has = self.booked.get(&(store.clone(), *epoch)).map_or(0, |booked| booked.sums.len());
        let text =
            format!("{store} epoch {}: faults stopped, head office has {has} of {}", epoch.0, facts.len());
        let (lacks, exceeds) = (has < *due, has > facts.len() && !self.cloned.contains(store));
        if lacks || exceeds {
            self.accuse(if lacks { "I15" } else { "I6" }, text);
        }
    }
}

impl Line {
    fn kept_sums(&self) -> impl Iterator<Item = (Seq, u32)> {
        let first = self.first.0;
        let facts = (1..).zip(&self.facts).map(|(seq, fact)| (Seq(seq), fact.sum));
        facts.skip_while(move |(seq, _)| seq.0 < first)
    }
}

fn fact(entry: &Entry, bytes: &[u8]) -> Fact {
    let doubted = entry.is_of_doubted_time();
    let mut fact = Fact { sum: crc32c::crc32c(bytes), doubted, ..Fact::default() };
    let Input::Request(request) = &entry.input else { return fact };
    let (what, amount, lines) = match (&request.body, &entry.answer) {
        (_, Err(_)) => (What::Refusal, 0, None),
        (Body::Commit(_), Ok(Reply::Commit(receipt))) if !receipt.training => {
            (What::Sale, receipt.figures.total.0, receipt.member.as_ref().zip(Some(&receipt.points_ledger)))
        }
        (_, Ok(Reply::Refund(refund))) => {
            let sale = entry.changes.iter().find_map(|change| match &change.record {
                Some(Record::Sale(sale)) => sale.member.as_ref(),
                _ => None,
            });
            (What::Refund, refund.refund.0, sale.zip(Some(&refund.points_ledger)))
        }
        (_, Ok(Reply::Enroll(_))) => (What::Enrolled, 0, None),
        _ => (What::Other, 0, None),
    };
    (fact.what, fact.amount) = (what, amount);
    let back = |points: i64| if what == What::Refund { (-points).max(0) } else { 0 };
    fact.points = lines.and_then(|(member, lines)| {
        let moved: i64 = lines.iter().map(|line| line.points).sum();
        fact.beyond = overdrawn(entry) + lines.iter().map(|line| back(line.points)).sum::<i64>();
        (moved != 0 || fact.beyond != 0).then(|| (member.clone(), moved))
    });
    fact
}

/// What an entry draws on what may be overdrawn; less than nothing if it gives back.
fn overdrawn(entry: &Entry) -> i64 {
    let used = |slices: &Slices| slices.0.iter().map(|slice| slice.used).sum::<i64>();
    let drawn = entry.changes.iter().filter_map(|change| match (&change.key, &change.record) {
        (Key::Lease(of, Scope::Overdraft), Some(Record::Slices(slices))) => {
            Some(used(slices) - used(&entry.facts.slices(*of, &Scope::Overdraft)))
        }
        _ => None,
    });
    drawn.sum()
}
