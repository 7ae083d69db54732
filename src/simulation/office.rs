//! Head office: the real ledger and books, in a shell that is simulated.
//!
//! What `hub::office` and `hub::files` do on a disk is done here on lists: each line has its log, a part of which is synced
//! and a part of which the backup holds. A crash loses what was not synced; a restore goes back to the backup and is
//! another incarnation. Nothing is answered before the sync.

use std::collections::{BTreeMap, BTreeSet};
use std::rc::Rc;

use crate::domain::ids::{Epoch, OrderId, Seq, StoreId};
use crate::engine::input::MembersUpdate;
use crate::hub::compare::{Compare, Compared};
use crate::hub::fold::Fold;
use crate::hub::ledger::{Ledger, Record, restored};
use crate::hub::lender::{self, Breach, Lender, ScopeView, Served};
use crate::upstream::wire::{
    Ack, Ask, Batch, Blob, Chunk, Down, DownKind, Get, Hello, Members, Offer, PROTOCOL, State, Unpacker, Up,
    UpKind,
};

use super::pickups;
use super::rules::{self, ChainRules};
use super::stage::{Event, Stage};
use super::station::Station;
use super::wrong::Wrong;

/// Bytes of one piece of a bundle: a few of them make one.
const PIECE_BYTES: usize = 1_000;
/// Milliseconds head office waits before it tells members' points.
const TELL_MS: u64 = 2_000;

type Line = (StoreId, Epoch);

#[derive(Default)]
struct Log {
    records: Vec<Record>,
    synced: usize,
    backed: usize,
}

#[derive(Default)]
struct LenderLog {
    records: Vec<lender::Record>,
    backed: usize,
}

/// Head office.
pub(super) struct Office<'r> {
    is_up: bool,
    /// Counts its starts and stops.
    pub(super) life: u64,
    ledger: Ledger,
    fold: Fold,
    compare: Compare,
    unpacker: Unpacker,
    seen: BTreeMap<StoreId, Epoch>,
    logs: BTreeMap<Line, Log>,
    lender: Lender,
    lent: LenderLog,
    rules: &'r ChainRules,
    wrong: Option<Wrong>,
    /// On disk, and in the backup.
    incarnation: u64,
    backed_incarnation: u64,
    /// The bundle it offers.
    version: u64,
    answers: Vec<(StoreId, Down)>,
    acks: BTreeMap<Line, bool>,
    is_syncing: bool,
    is_telling: bool,
    /// Who is connected, by shop: a box and its line.
    connected: BTreeMap<StoreId, BTreeMap<usize, u64>>,
}

impl<'r> Office<'r> {
    /// A new head office that runs.
    pub(super) fn new(wrong: Option<Wrong>, rules: &'r ChainRules) -> Office<'r> {
        Office {
            lender: lender_of(1, wrong, rules),
            lent: LenderLog::default(),
            rules,
            wrong,
            is_up: true,
            life: 1,
            ledger: Ledger::new(1),
            fold: Fold::default(),
            compare: Compare::default(),
            unpacker: Unpacker::default(),
            seen: BTreeMap::new(),
            logs: BTreeMap::new(),
            incarnation: 1,
            backed_incarnation: 1,
            version: 1,
            answers: Vec::new(),
            acks: BTreeMap::new(),
            is_syncing: false,
            is_telling: false,
            connected: BTreeMap::new(),
        }
    }

    /// Does it run?
    pub(super) fn is_up(&self) -> bool {
        self.is_up
    }

    /// Its books.
    pub(super) fn fold(&self) -> &Fold {
        &self.fold
    }

    /// A box has connected.
    pub(super) fn joined(&mut self, store: &StoreId, of: usize, line: u64) {
        self.connected.entry(store.clone()).or_default().insert(of, line);
    }

    /// A box is gone from the line.
    pub(super) fn left(&mut self, store: &StoreId, of: usize) {
        if let Some(boxes) = self.connected.get_mut(store) {
            boxes.remove(&of);
        }
    }

    /// A frame arrives.
    pub(super) fn received(&mut self, station: &Station, kind: UpKind, bytes: &[u8], stage: &mut Stage<'_>) {
        let store = station.store.clone();
        match Up::decode(kind, bytes) {
            Ok(Up::Hello(hello)) => self.hello(store, &hello, stage),
            Ok(Up::Batch(batch)) => self.batch(store, &batch, stage),
            Ok(Up::Ask(ask)) => self.ask(&store, &ask, stage),
            Ok(Up::Get(get)) => {
                let chunk = self.chunk(&get, stage);
                self.answers.extend(chunk.map(|chunk| (store, Down::Chunk(chunk))));
            }
            Err(error) => stage.judge.accuse("wire", format!("{store}: failed to {error}")),
        }
        if !self.is_syncing {
            self.is_syncing = true;
            let wait = 1 + stage.random.below(15);
            stage.after(wait, Event::OfficeSynced { life: self.life });
        }
        if !self.is_telling {
            self.is_telling = true;
            stage.after(TELL_MS, Event::OfficeTells { life: self.life });
        }
    }

    fn hello(&mut self, store: StoreId, hello: &Hello, stage: &mut Stage<'_>) {
        let mut hello = hello.clone();
        if stage.is(Wrong::NaiveRestore) {
            // As if the shop knew nothing that this head office does not.
            hello.incarnation = hello.incarnation.min(self.ledger.incarnation());
            hello.applied_through = Seq(0);
        }
        let Some((standing, renewed)) = self.ledger.hello(&store, &hello) else {
            stage.judge.accuse("wire", format!("{store}: head office has no room for it"));
            return;
        };
        let incarnation = self.ledger.incarnation();
        self.incarnation = incarnation;
        if renewed {
            self.lender.renewed(incarnation, true);
        }
        self.lender.hello(&store, hello.epoch, stage.unix());
        self.seen.insert(store.clone(), hello.epoch);
        if let Some(tally) = hello.tally {
            let through = self.ledger.read_through(&store, tally.epoch);
            let epoch = tally.epoch;
            self.compare.said(&store, tally);
            self.compare((&store, epoch), through.map_or(Seq(0), |(through, _)| through), stage);
        }
        self.fold.tell_again(&store);
        let asked = self.lender.floor(&store, hello.epoch);
        let state = State { v: PROTOCOL, nonce: hello.nonce, incarnation, standing, at: stage.unix(), asked };
        self.answers.push((store.clone(), Down::State(state)));
        self.answers.push((store, Down::Offer(offer(self.version, stage))));
    }

    fn batch(&mut self, store: StoreId, batch: &Batch, stage: &mut Stage<'_>) {
        let line = (store.clone(), batch.epoch);
        let items = match self.unpacker.unpack(batch) {
            Ok(items) => items,
            Err(error) => return stage.judge.accuse("wire", format!("{store}: failed to {error}")),
        };
        if stage.is(Wrong::NoDedupe) {
            for (seq, item) in (batch.first.0..).map(Seq).zip(&items) {
                let is_new = self.ledger.standing(&store, batch.epoch, false).applied_through < seq;
                if let (false, Some(bytes)) = (is_new, &item.bytes) {
                    self.fold.entry(&store, seq, bytes);
                }
            }
        }
        self.lend_by(&store, batch.epoch);
        let outcome = self.ledger.apply(&store, batch, items);
        *self.acks.entry(line.clone()).or_default() |= outcome.again;
        for record in &outcome.records {
            match record {
                Record::Entry { seq, bytes, .. } => {
                    stage.judge.booked(&store, batch.epoch, *seq, bytes);
                    match self.fold.entry(&store, *seq, bytes) {
                        Some(entry) => {
                            self.lender.entry(&store, batch.epoch, *seq, &entry);
                            self.compare((&store, batch.epoch), *seq, stage);
                        }
                        None => {
                            stage.judge.accuse("I7", format!("{store}: entry {} is not understood", seq.0))
                        }
                    }
                }
                Record::Hole { from, through } => stage.judge.hole(&store, batch.epoch, *from, *through),
                Record::Withheld { seq, .. } => {
                    stage.judge.accuse("I6", format!("{store}: entry {} came without its bytes", seq.0));
                }
            }
        }
        self.lend_by(&store, batch.epoch);
        self.renew_if_outdone();
        if !outcome.records.is_empty() {
            self.logs.entry(line).or_default().records.extend(outcome.records);
        }
    }

    fn ask(&mut self, store: &StoreId, ask: &Ask, stage: &mut Stage<'_>) {
        let fold = &self.fold;
        let served = self.lender.ask(store, ask, stage.unix(), &|member| fold.balance(member));
        if served == Served::Yes {
            stage.judge.served(store, ask.epoch, (ask.incarnation, ask.number));
        }
    }

    /// Holds what a shop counts against what is counted here.
    fn compare(&mut self, (store, epoch): (&StoreId, Epoch), through: Seq, stage: &mut Stage<'_>) {
        match self.compare.reached((&self.ledger, &self.fold), store, epoch, through) {
            Compared::Not => {}
            Compared::Alike => stage.counts.compared += 1,
            Compared::Otherwise => {
                let found = self.compare.difference(store);
                stage.judge.counted_otherwise(store, format!("{store}: counts otherwise: {found:?}"));
            }
        }
    }

    /// The lender goes by what the ledger has of a line.
    fn lend_by(&mut self, store: &StoreId, epoch: Epoch) {
        if let Some((through, whole)) = self.ledger.read_through(store, epoch) {
            self.lender.line(store, epoch, through, whole);
        }
    }

    /// A box heard words that are not known here: head office lost data, and nobody told it.
    fn renew_if_outdone(&mut self) {
        if self.lender.is_outdone() && self.wrong != Some(Wrong::NaiveRestore) {
            self.incarnation = self.ledger.renew();
            self.lender.renewed(self.incarnation, true);
        }
    }

    fn words(&mut self, stage: &mut Stage<'_>) -> Vec<(StoreId, Down)> {
        let words = self.lender.words(stage.unix());
        for (store, words) in &words {
            words.words.iter().for_each(|word| stage.judge.said_word(store, word));
        }
        let orders = self.lender.order_frames(stage.unix()).into_iter();
        let orders = orders.map(|(store, orders)| (store, Down::Orders(orders)));
        words.into_iter().map(|(store, words)| (store, Down::Words(words))).chain(orders).collect()
    }

    /// What it believes of leases.
    pub(super) fn lending(&self) -> Vec<ScopeView> {
        self.lender.view()
    }

    /// What the lender's own check finds.
    pub(super) fn breaches(&self) -> Vec<Breach> {
        self.lender.check()
    }

    /// Somebody buys online, and perhaps somebody thinks better of it.
    pub(super) fn order(&mut self, stage: &mut Stage<'_>) {
        if !self.is_up {
            return;
        }
        let now = stage.unix();
        // A shop that never said hello gets none.
        let wish = stage.desire.order(stage.shops, now, &mut stage.random);
        if self.lender.place_order(wish, now).is_ok() {
            stage.trace(10, 0, 1);
        }
        if let Some(id) = stage.desire.regret(&mut stage.random)
            && self.lender.cancel_order(&pickups::partner(), &id).is_ok()
        {
            stage.trace(10, 0, 2);
        }
        self.look(stage);
    }

    /// Every hand-over it knows of: order, shop, life of the box, decision.
    pub(super) fn hand_overs(&self) -> BTreeSet<(OrderId, StoreId, Epoch, Seq)> {
        let all = self.lender.hand_overs();
        all.map(|(order, by)| (order.id.clone(), order.store.clone(), by.epoch, by.decision)).collect()
    }

    fn chunk(&self, get: &Get, stage: &Stage<'_>) -> Option<Chunk> {
        let (bytes, _) = stage.rules.file(get.version);
        let from = usize::try_from(get.offset)
            .ok()
            .filter(|from| get.version == self.version && *from < bytes.len())?;
        let piece = bytes[from..bytes.len().min(from + PIECE_BYTES)].to_vec();
        Some(Chunk { v: PROTOCOL, version: get.version, offset: get.offset, bytes: Blob(piece) })
    }

    /// The disk is done: what was handled may be answered.
    pub(super) fn synced(&mut self, life: u64, stage: &mut Stage<'_>) {
        if life != self.life || !self.is_up {
            return;
        }
        self.is_syncing = false;
        for line in self.acks.keys() {
            if let Some(log) = self.logs.get_mut(line) {
                log.synced = log.records.len();
            }
        }
        self.lent.records.extend(self.lender.take_records());
        self.lender.committed();
        let mut answers = std::mem::take(&mut self.answers);
        for ((store, epoch), again) in std::mem::take(&mut self.acks) {
            answers.push(self.ack(store, epoch, again));
        }
        answers.extend(self.words(stage));
        self.send(answers, stage);
    }

    fn ack(&self, store: StoreId, epoch: Epoch, again: bool) -> (StoreId, Down) {
        let standing = self.ledger.standing(&store, epoch, false);
        let incarnation = self.ledger.incarnation();
        (store, Down::Ack(Ack { v: PROTOCOL, incarnation, standing, again }))
    }

    /// Sends frames to every box that listens under the shop's name.
    fn send(&mut self, frames: Vec<(StoreId, Down)>, stage: &mut Stage<'_>) {
        for (store, frame) in frames {
            let said = match &frame {
                Down::State(state) => Some((state.incarnation, &state.standing)),
                Down::Ack(ack) => Some((ack.incarnation, &ack.standing)),
                _ => None,
            };
            if let Some((incarnation, standing)) = said {
                let line = (store.clone(), standing.epoch);
                let synced = self.logs.get(&line).map_or(0, |log| log.synced as u64);
                let has = (standing.applied_through, standing.durable_through);
                stage.judge.said_by_office(&store, (incarnation, standing.epoch), has, synced);
            }
            let kind = match &frame {
                Down::State(_) => DownKind::State,
                Down::Ack(_) => DownKind::Ack,
                Down::Offer(_) => DownKind::Offer,
                Down::Chunk(_) => DownKind::Chunk,
                Down::Members(_) => DownKind::Members,
                Down::Words(_) => DownKind::Words,
                Down::Orders(_) => DownKind::Orders,
            };
            let bytes: Rc<[u8]> = Rc::from(frame.encode());
            stage.trace(8, 0, u64::from(crc32c::crc32c(&bytes)));
            let loss = stage.weather.line;
            for (of, line) in self.connected.get(&store).into_iter().flatten() {
                let (of, line) = (*of, *line);
                stage.send(loss, || Event::Down { of, line, kind, bytes: bytes.clone() });
            }
        }
    }

    /// Tells shops their members' points.
    pub(super) fn tell(&mut self, life: u64, stage: &mut Stage<'_>) {
        if life != self.life || !self.is_up {
            return;
        }
        self.is_telling = false;
        self.look(stage);
        let mut frames = Vec::new();
        for store in self.fold.to_tell() {
            let Some(epoch) = self.seen.get(&store).copied() else { continue };
            let settled_through = self.ledger.standing(&store, epoch, true).applied_through;
            loop {
                let members = self.fold.tell(&store);
                if members.is_empty() {
                    break;
                }
                let update = MembersUpdate { as_of: stage.unix(), settled_through, members };
                let incarnation = self.ledger.incarnation();
                frames.push((
                    store.clone(),
                    Down::Members(Members { v: PROTOCOL, incarnation, epoch, update }),
                ));
            }
        }
        self.send(frames, stage);
    }

    /// Time passed: what was lent and has ended is called back, what was not answered is said again.
    fn look(&mut self, stage: &mut Stage<'_>) {
        self.lender.tick(stage.unix());
        if !self.is_syncing {
            self.is_syncing = true;
            stage.after(1, Event::OfficeSynced { life: self.life });
        }
    }

    /// Copies what is on disk into the backup; shops are told what they may forget.
    pub(super) fn back_up(&mut self, stage: &mut Stage<'_>) {
        if !self.is_up {
            return;
        }
        stage.counts.backups += 1;
        self.backed_incarnation = self.incarnation;
        let mut frames = Vec::new();
        for ((store, epoch), log) in &mut self.logs {
            if log.backed == log.synced {
                continue;
            }
            log.backed = log.synced;
            stage.judge.backed(store, *epoch, log.backed as u64);
            self.ledger.covered(store, *epoch, Seq(log.backed as u64));
            frames.push((store.clone(), *epoch));
        }
        self.lent.backed = self.lent.records.len();
        self.lender.covered();
        let mut frames: Vec<_> =
            frames.into_iter().map(|(store, epoch)| self.ack(store, epoch, false)).collect();
        frames.extend(self.words(stage));
        self.send(frames, stage);
        self.look(stage);
    }

    /// Offers a newer bundle.
    pub(super) fn publish(&mut self, stage: &mut Stage<'_>) {
        self.version = (self.version + 1).min(rules::VERSIONS);
        if self.is_up {
            let stores: Vec<StoreId> = self.ledger.stores().cloned().collect();
            let offer = offer(self.version, stage);
            self.send(stores.into_iter().map(|store| (store, Down::Offer(offer.clone()))).collect(), stage);
        }
    }

    /// Stops, and loses what was not synced.
    pub(super) fn crash(&mut self, stage: &mut Stage<'_>) {
        self.is_up = false;
        self.life += 1;
        self.answers.clear();
        self.acks.clear();
        (self.is_syncing, self.is_telling) = (false, false);
        self.connected.clear();
        for log in self.logs.values_mut() {
            let unsynced = log.records.len() - log.synced;
            let kept = usize::try_from(stage.random.below(unsynced as u64 + 1)).unwrap_or(0);
            log.records.truncate(log.synced + kept);
            log.synced = log.records.len();
        }
    }

    /// Starts from its disk, or from the backup as a new incarnation.
    pub(super) fn start(&mut self, restore: bool, stage: &mut Stage<'_>) {
        if restore {
            stage.counts.restores += 1;
            for log in self.logs.values_mut() {
                log.records.truncate(log.backed);
                log.synced = log.backed;
            }
            self.lent.records.truncate(self.lent.backed);
            let naive = stage.is(Wrong::NaiveRestore);
            let backed = self.backed_incarnation;
            self.incarnation = if naive { backed } else { restored(backed, stage.unix()) };
        }
        self.life += 1;
        self.is_up = true;
        self.ledger = Ledger::new(self.incarnation);
        self.fold = Fold::default();
        self.compare = Compare::default();
        self.lender = lender_of(self.incarnation, self.wrong, self.rules);
        for record in &self.lent.records {
            if !self.lender.replay(record) {
                stage.judge.accuse("I1", "the lender's own log does not follow".to_owned());
            }
        }
        let mut gone = BTreeSet::new();
        for ((store, epoch), log) in &self.logs {
            stage.judge.came_back(store, *epoch, log.records.len());
            if log.records.is_empty() {
                gone.insert((store.clone(), *epoch));
                continue;
            }
            self.ledger.replay_line(store, *epoch, Seq(1));
            for record in &log.records {
                if !self.ledger.replay(store, *epoch, record) {
                    stage.judge.accuse("I6", format!("{store}: head office's own log does not follow"));
                }
                if let Record::Entry { seq, bytes, .. } = record
                    && let Some(entry) = self.fold.entry(store, *seq, bytes)
                {
                    self.lender.entry(store, *epoch, *seq, &entry);
                }
            }
            if let Some((through, whole)) = self.ledger.read_through(store, *epoch) {
                self.lender.line(store, *epoch, through, whole);
            }
            self.ledger.covered(store, *epoch, Seq(log.backed as u64));
        }
        self.logs.retain(|line, _| !gone.contains(line));
        self.lender.replayed();
        self.renew_if_outdone();
        stage.judge.office_started();
        stage.trace(9, 0, self.incarnation);
    }
}

fn lender_of(incarnation: u64, wrong: Option<Wrong>, rules: &ChainRules) -> Lender {
    let mut lender = Lender::new(incarnation, true).with_wrong(wrong.and_then(Wrong::of_lender));
    lender.set_terms(Some(rules.terms().clone()));
    lender
}

fn offer(version: u64, stage: &Stage<'_>) -> Offer {
    let (bytes, hash) = stage.rules.file(version);
    Offer { v: PROTOCOL, version, hash: Blob(hash.to_vec()), size: bytes.len() as u64 }
}
