//! A shop's box: the real engine, journal and sender, in a shell that is simulated.
//!
//! What the daemon does in threads is done here in events: a request is decided when it arrives, a group becomes durable when
//! `Synced` comes, the tables follow at `Follow`, the sender looks at the time at `Tick`. A box that stops forgets all but
//! its disk, its tables as far as they followed, and what its sender had written down.
//!
//! Order within an event, as in the daemon: journal, then answers, then tables and sender.

use std::collections::{BTreeMap, VecDeque};
use std::path::Path;
use std::rc::Rc;
use std::sync::Arc;

use crate::bundle::{Bundle, Plan, plan};
use crate::devices::wire;
use crate::devices::wire::{Addressed, Format};
use crate::domain::calendar::UnixMs;
use crate::domain::ids::{BundleRef, DeviceId, Epoch, RequestId, Seq, StoreId};
use crate::domain::lease::Want;
use crate::domain::text::Lang;
use crate::engine::decision::{Entry, Facts, Key, Record};
use crate::engine::input::Input;
use crate::engine::reply::{Answer, Reply};
use crate::engine::{Engine, HeadOffice, Identity, Outcome};
use crate::limits;
use crate::storage::disk::{Disk as _, DiskOp, Fault, FaultKind, MemDisk};
use crate::storage::journal::{Journal, JournalOptions, Reader, Verify, prefix_that_fits};
use crate::upstream::machine::{Machine, Remembered};
use crate::upstream::wire::Packer;

use super::memory::{Followed, Memory};
use super::outbox::Outbox;
use super::rules;
use super::stage::{Event, Stage};
use super::wrong::Wrong;

/// Where the journal is on a simulated disk.
const DATA: &str = "/data";
const JOURNAL: &str = "/data/journal";
/// Small segments, so that there is something to prune in a week.
const SEGMENT_BYTES: u64 = 16 * 1024;
const AHEAD_BYTES: u64 = 2 * 1024;
/// Decisions kept though head office has them: what may still be asked again or brought back.
const RETAINED: u64 = 16;
/// Segments are looked over this often: a checkpoint is a copy of all tables.
const PRUNE_EVERY_DECISIONS: u64 = 16;

/// How a box stops.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Stop {
    /// The process ends; what it wrote stays as it is.
    Killed,
    /// What was not synced is decided by chance.
    PowerCut,
}

/// A death that waits in the disk.
#[derive(Clone, Copy, Debug)]
struct Doom {
    stop: Stop,
    /// Not in a write but right after it, before anything is spoken.
    before_speaking: bool,
}

/// One box.
pub(super) struct Station {
    /// Its number.
    pub(super) of: usize,
    /// Its shop's number.
    pub(super) shop: usize,
    /// Its shop.
    pub(super) store: StoreId,
    /// The life of its data.
    pub(super) epoch: Epoch,
    /// The last decision of its journal when it was started.
    last: Option<Entry>,
    /// Its clock's error in milliseconds.
    pub(super) off_ms: i64,
    /// Counts its starts and stops.
    pub(super) life: u64,
    /// It will never run again.
    pub(super) is_gone: bool,
    /// Its line to head office is parted.
    pub(super) is_parted: bool,
    disk: MemDisk,
    secret: [u8; 32],
    pub(super) tables: Memory,
    checkpoint: Memory,
    /// What the sender wrote down, and what of it is synced.
    pub(super) written: Remembered,
    pub(super) synced: Remembered,
    doom: Option<Doom>,
    pub(super) live: Option<Live>,
    pub(super) tick_at: Option<u64>,
    /// How often in a row the sender wanted to look at the time at once.
    pub(super) haste: u64,
    pub(super) lines: u64,
}

struct Written {
    entry: Box<Entry>,
    bytes: Vec<u8>,
}

impl AsRef<[u8]> for Written {
    fn as_ref(&self) -> &[u8] {
        &self.bytes
    }
}

struct Waiting {
    after: Seq,
    till: usize,
    payload: Rc<[u8]>,
}

pub(super) struct Live {
    pub(super) engine: Engine,
    journal: Journal,
    reader: Reader,
    pub(super) outbox: Outbox,
    pub(super) packer: Packer,
    pub(super) machine: Machine,
    overlay: BTreeMap<Key, (Seq, Option<Record>)>,
    touched: VecDeque<Followed>,
    written: VecDeque<Written>,
    waiting: VecDeque<Waiting>,
    is_syncing: bool,
    is_following: bool,
    newest: Option<BundleRef>,
    coming: Option<(Arc<Bundle>, UnixMs, Seq)>,
    /// The connection to head office; 0 for none.
    pub(super) line: u64,
    /// Head office has its backup through here.
    pub(super) prunable: Seq,
    looked_at: Seq,
    pub(super) wants: Vec<Want>,
}

impl Station {
    /// A new box with an empty disk.
    pub(super) fn new(of: usize, (shop, epoch): (usize, Epoch), stage: &mut Stage<'_>) -> Station {
        let disk = MemDisk::new(stage.random.draw());
        Station::with_disk(of, (shop, epoch), disk, stage)
    }

    fn with_disk(of: usize, (shop, epoch): (usize, Epoch), disk: MemDisk, stage: &mut Stage<'_>) -> Station {
        let mut secret = [0; 32];
        secret[..8].copy_from_slice(&stage.random.draw().to_be_bytes());
        Station {
            of,
            shop,
            store: rules::store_id(shop),
            epoch,
            last: None,
            off_ms: 0,
            life: 0,
            is_gone: false,
            is_parted: false,
            disk,
            secret,
            tables: Memory::default(),
            checkpoint: Memory::default(),
            written: Remembered::default(),
            synced: Remembered::default(),
            doom: None,
            live: None,
            tick_at: None,
            haste: 0,
            lines: 0,
        }
    }

    /// A box that begins with a copy of this one's disk and everything on it.
    pub(super) fn cloned(&self, of: usize, stage: &mut Stage<'_>) -> Station {
        let disk = self.disk.fork(stage.random.draw());
        let mut copy = Station::with_disk(of, (self.shop, self.epoch), disk, stage);
        copy.secret = self.secret;
        copy.tables = self.tables.clone();
        copy.checkpoint = self.checkpoint.clone();
        (copy.written, copy.synced) = (self.written, self.written);
        copy.off_ms = self.off_ms;
        copy
    }

    /// Does it run?
    pub(super) fn is_up(&self) -> bool {
        self.live.is_some()
    }

    /// The version it runs on.
    pub(super) fn bundle(&self) -> Option<u64> {
        self.live.as_ref().and_then(|live| live.newest.as_ref()).map(|bundle| bundle.version)
    }

    // --- life and death ---

    /// Starts: opens the journal, brings the tables up to it. On an error of the disk it stays down and tries again.
    pub(super) fn start(&mut self, stage: &mut Stage<'_>) {
        if self.is_gone || self.live.is_some() {
            return;
        }
        self.life += 1;
        stage.counts.starts += 1;
        match self.open(stage) {
            Ok(()) => {
                stage.trace(1, self.of, self.life);
                if self.bundle().is_none() {
                    self.install(1, stage);
                }
                self.tick(stage);
            }
            Err(error) => {
                stage.trace(2, self.of, self.life);
                stage.counts.disk_errors += 1;
                if !error.starts_with("read from disk") && !error.contains("(emulated)") {
                    stage.judge.accuse("I5", format!("{}: it does not start: {error}", self.store));
                }
                self.die(Stop::Killed, stage);
            }
        }
    }

    fn open(&mut self, stage: &mut Stage<'_>) -> Result<(), String> {
        let told = |error: crate::storage::error::StorageError| error.to_string();
        self.disk.create_dir_all(Path::new(DATA)).map_err(told)?;
        self.disk.sync_dir(Path::new("/")).map_err(told)?;
        let mut options = JournalOptions::new(self.epoch, u64::from_be_bytes(first_eight(&self.secret)));
        options.known = self.tables.applied();
        options.segment_bytes = SEGMENT_BYTES;
        options.ahead_bytes = AHEAD_BYTES;
        options.verify = if stage.random.chance(500) { Verify::All } else { Verify::Tail };
        let (journal, report) =
            Journal::open(Arc::new(self.disk.clone()), Path::new(JOURNAL), options).map_err(told)?;
        if !report.quarantined.is_empty() || !report.gaps.is_empty() {
            stage
                .judge
                .accuse("I5", format!("{}: no disk rots here, and the journal found {report:?}", self.store));
        }
        let view = journal.view();
        self.read_back(&journal, stage)?;
        if stage.is(Wrong::ForgetAnswers) {
            self.tables.forget_requests();
        }
        let now = stage.clocks(self.off_ms);
        let identity =
            Identity { store: self.store.clone(), epoch: self.epoch, secret: self.secret, started: now.unix };
        let mut engine = Engine::new(identity, journal.next_seq());
        engine.head_office_is(HeadOffice::DownSince(now.unix));
        let mut newest = None;
        if let Some((reference, since)) = self.tables.active() {
            engine.signed_at(stage.began);
            self.last.iter().for_each(|last| engine.follows(last));
            engine.resume_bundle(stage.rules.bundle(reference.version).clone(), *since);
            stage.judge.runs_on(self.of, reference.version);
            newest = Some(reference.clone());
        }
        let outbox = Outbox::new(view.clone(), self.epoch);
        let mut machine =
            Machine::new(self.store.clone(), outbox.reach(), self.written, stage.random.draw(), now);
        if let Some(reference) = &newest {
            machine.bundle_active(reference.version, now);
        }
        self.tick_at = None;
        self.live = Some(Live {
            engine,
            reader: view.reader(Seq(1)),
            outbox,
            packer: Packer::default(),
            machine,
            overlay: BTreeMap::new(),
            touched: VecDeque::new(),
            written: VecDeque::new(),
            waiting: VecDeque::new(),
            is_syncing: false,
            is_following: false,
            newest,
            coming: None,
            line: 0,
            prunable: Seq(0),
            looked_at: Seq(0),
            wants: Vec::new(),
            journal,
        });
        Ok(())
    }

    /// Reads the whole journal: for the judge, and for the tables what they lack.
    fn read_back(&mut self, journal: &Journal, stage: &mut Stage<'_>) -> Result<(), String> {
        let first = journal.view().first();
        let mut reader = journal.reader(first);
        let mut held = Vec::new();
        let known = stage.judge.durable_of(self.of);
        let mut found = Vec::new();
        loop {
            let raw = match reader.next() {
                Ok(Some(raw)) => raw,
                Ok(None) => break,
                Err(error) => return Err(error.to_string()),
            };
            held.push((raw.seq, crc32c::crc32c(raw.payload)));
            if raw.seq.0 + 1 == journal.next_seq().0 {
                self.last = Some(Entry::decode(raw.payload).map_err(|fault| fault.to_string())?);
            }
            if raw.seq > self.tables.applied() || raw.seq.0 > known {
                let entry = Entry::decode(raw.payload).map_err(|fault| fault.to_string())?;
                if raw.seq.0 > known {
                    found.push((entry.clone(), raw.payload.to_vec()));
                }
                if raw.seq > self.tables.applied() {
                    let (shop, shops, rules) = (self.shop, stage.shops, stage.rules);
                    self.tables.follow(&Followed::of(&entry), || rules.records(shop, shops));
                }
            }
        }
        stage.judge.reopened(self.of, first, &held);
        for (entry, bytes) in found {
            stage.judge.durable(self.of, &entry, &bytes);
        }
        Ok(())
    }

    /// Stops, and is started again by its supervisor or whoever finds it.
    pub(super) fn die(&mut self, stop: Stop, stage: &mut Stage<'_>) {
        self.life += 1;
        self.live = None;
        self.doom = None;
        self.tick_at = None;
        stage.trace(3, self.of, u64::from(stop == Stop::PowerCut));
        match stop {
            Stop::PowerCut => {
                stage.counts.power_cuts += 1;
                self.disk.crash();
                if stage.random.chance(500) {
                    self.written = self.synced;
                }
                self.synced = self.written;
            }
            Stop::Killed => {
                stage.counts.kills += 1;
                self.disk.heal();
            }
        }
        let wait = if stage.random.chance(900) { 5_000 } else { 3_600_000 };
        let wait = 1_000 + stage.random.below(wait);
        stage.after(wait, Event::Start { of: self.of });
    }

    /// It will die in one of its next writes.
    pub(super) fn doom(&mut self, stage: &mut Stage<'_>) {
        if self.live.is_none() {
            return;
        }
        let stop = if stage.random.chance(600) { Stop::PowerCut } else { Stop::Killed };
        let before_speaking = stage.random.chance(300);
        self.doom = Some(Doom { stop, before_speaking });
        if !before_speaking {
            let nth = 1 + stage.random.below(6);
            self.disk.fail(Fault { op: None, nth, kind: FaultKind::Io, sticky: true });
        }
    }

    /// One of its next syncs fails.
    pub(super) fn fail_sync(&mut self, stage: &mut Stage<'_>) {
        let nth = 1 + stage.random.below(3);
        self.disk.fail(Fault { op: Some(DiskOp::SyncData), nth, kind: FaultKind::Io, sticky: false });
    }

    /// Its tables are gone.
    pub(super) fn lose_tables(&mut self, stage: &mut Stage<'_>) {
        stage.counts.tables_lost += 1;
        self.tables = self.checkpoint.clone();
        if self.live.is_some() {
            self.die(Stop::Killed, stage);
        }
    }

    /// It is thrown away.
    pub(super) fn bury(&mut self, stage: &mut Stage<'_>) {
        self.life += 1;
        self.live = None;
        self.is_gone = true;
        stage.trace(4, self.of, 0);
    }

    /// It comes back from wherever it was put.
    pub(super) fn unbury(&mut self, stage: &mut Stage<'_>) {
        self.is_gone = false;
        stage.after(1_000, Event::Start { of: self.of });
    }

    /// Takes over what another box was lent: what a wrong spare does.
    pub(super) fn take_leases(&mut self, of: &Station) {
        self.tables.take_leases(&of.tables, self.epoch);
    }

    /// Nothing of its disk fails any more.
    pub(super) fn heal(&mut self) {
        self.disk.heal();
        self.doom = None;
        self.is_parted = false;
    }

    // --- the desk ---

    /// A request arrives.
    pub(super) fn asked(
        &mut self,
        till: usize,
        device: &DeviceId,
        (op, bytes): (&'static str, &[u8]),
        stage: &mut Stage<'_>,
    ) {
        if self.live.is_none() {
            return;
        }
        let (format, request) = match wire::decode(op, device, bytes, None, stage.rules.chain()) {
            Ok(decoded) => decoded,
            Err(refused) => {
                let text = format!("a till of the simulation sent what is refused: {:?}", refused.refusal);
                stage.judge.accuse("wire", text);
                return;
            }
        };
        let re = request.id.clone();
        match self.decide(Input::Request(Box::new(request)), stage) {
            Outcome::Read(answer) => self.speak(till, encoded(&answer, &re, format, false), stage),
            Outcome::Again { answer, after } => {
                stage.counts.replayed += 1;
                let payload = encoded(&answer, &re, format, true);
                self.speak_after(after.unwrap_or_default(), till, payload, stage);
            }
            Outcome::Deferred(refusal) => {
                self.speak(till, encoded(&Err(refusal), &re, format, false), stage);
            }
            Outcome::Passed => {}
            Outcome::Decided(entry) => {
                let payload = encoded(&entry.answer, &re, format, false);
                let after = entry.seq;
                self.write(entry, stage);
                if stage.is(Wrong::AckBeforeSync) {
                    self.speak(till, payload, stage);
                } else {
                    self.speak_after(after, till, payload, stage);
                }
            }
        }
    }

    fn speak_after(&mut self, after: Seq, till: usize, payload: Rc<[u8]>, stage: &mut Stage<'_>) {
        let Some(live) = &mut self.live else { return };
        if after <= live.journal.view().durable() {
            self.speak(till, payload, stage);
            return;
        }
        let place = live.waiting.partition_point(|waiting| waiting.after <= after);
        live.waiting.insert(place, Waiting { after, till, payload });
    }

    fn speak(&mut self, till: usize, payload: Rc<[u8]>, stage: &mut Stage<'_>) {
        stage.trace(5, self.of, u64::from(crc32c::crc32c(&payload)));
        let loss = stage.weather.tills;
        stage.send(loss, || Event::Answered { till, bytes: payload.clone() });
    }

    pub(super) fn decide(&mut self, input: Input, stage: &mut Stage<'_>) -> Outcome {
        let live = self.live.as_mut().expect("only a box that runs decides");
        let is_unsealing = stage.is(Wrong::SpendAfterSeal);
        let mut facts = Facts::default();
        for _ in 0..limits::FACT_ROUNDS_MAX {
            let keys = live.engine.needs(&input, &facts);
            let is_last = !keys.iter().any(Key::leads_on);
            for key in keys {
                let mut record = live.load(&self.tables, &key);
                if let (true, Some(Record::Slices(slices))) = (is_unsealing, &mut record) {
                    slices.0.iter_mut().for_each(|slice| slice.sealed = false);
                }
                facts.add(key, record);
            }
            if is_last {
                break;
            }
        }
        if let Some(wanted) = live.engine.needs_rules(&input, &facts) {
            live.engine.recall(stage.rules.bundle(wanted.version).clone());
        }
        live.engine.handle(input, facts, stage.clocks(self.off_ms).unix)
    }

    /// Sends a decision on its way to the disk.
    pub(super) fn write(&mut self, entry: Box<Entry>, stage: &mut Stage<'_>) {
        let Some(live) = &mut self.live else { return };
        let bytes = entry.encode();
        stage.trace(6, self.of, u64::from(crc32c::crc32c(&bytes)));
        for change in entry.changes.iter() {
            live.overlay.insert(change.key.clone(), (entry.seq, change.record.clone()));
        }
        let mut followed = Followed::of(&entry);
        if stage.is(Wrong::FoldForgetsReturns) {
            (followed.totals.refunds, followed.totals.refunds_total_minor) = (0, 0);
        }
        live.touched.push_back(followed);
        if stage.is(Wrong::AckBeforeSync) {
            stage.judge.spoken(self.of, entry.seq, crc32c::crc32c(&bytes));
        }
        live.written.push_back(Written { entry, bytes });
        if !live.is_syncing {
            live.is_syncing = true;
            let wait = 1 + stage.random.below(stage.weather.sync_ms);
            stage.after(wait, Event::Synced { of: self.of, life: self.life });
        }
    }

    /// The disk takes the next group.
    pub(super) fn synced(&mut self, life: u64, stage: &mut Stage<'_>) {
        if life != self.life {
            return;
        }
        let Some(live) = &mut self.live else { return };
        live.is_syncing = false;
        let group = live.written.make_contiguous();
        let count = prefix_that_fits(group).max(1).min(group.len());
        if count == 0 {
            return;
        }
        let appended = live.journal.append(&group[..count]);
        let done: Vec<Written> = live.written.drain(..count).collect();
        let through = match appended {
            Ok(range) if range.first == done[0].entry.seq => range.last,
            Ok(range) => {
                let text = format!(
                    "{}: decision {} was written as {}",
                    self.store, done[0].entry.seq.0, range.first.0
                );
                stage.judge.accuse("I6", text);
                range.last
            }
            Err(_) => {
                stage.counts.disk_errors += 1;
                let stop = self.doom.map_or(Stop::Killed, |doom| doom.stop);
                self.die(stop, stage);
                return;
            }
        };
        for Written { entry, bytes } in &done {
            stage.counts.decisions += 1;
            stage.counts.sales += u64::from(matches!(&entry.answer, Ok(Reply::Commit(_))));
            stage.judge.durable(self.of, entry, bytes);
        }
        if let Some(doom) = self.doom.filter(|doom| doom.before_speaking) {
            self.die(doom.stop, stage);
            return;
        }
        while let Some(waiting) = live.waiting.pop_front_if(|waiting| waiting.after <= through) {
            let bytes = waiting.payload;
            stage.trace(5, self.of, u64::from(crc32c::crc32c(&bytes)));
            let (loss, till) = (stage.weather.tills, waiting.till);
            stage.send(loss, || Event::Answered { till, bytes: bytes.clone() });
        }
        if !live.written.is_empty() {
            live.is_syncing = true;
            let wait = 1 + stage.random.below(stage.weather.sync_ms);
            stage.after(wait, Event::Synced { of: self.of, life });
        }
        if !live.is_following {
            live.is_following = true;
            let wait = 500 + stage.random.below(stage.weather.follow_ms);
            stage.after(wait, Event::Follow { of: self.of, life });
        }
        let reach = live.outbox.reach();
        let now = stage.clocks(self.off_ms);
        live.machine.backlog(reach, now);
        live.want(now);
        self.act(stage);
    }

    /// The tables follow what is durable.
    pub(super) fn follow(&mut self, life: u64, stage: &mut Stage<'_>) {
        if life != self.life {
            return;
        }
        let Some(live) = &mut self.live else { return };
        live.is_following = false;
        let durable = live.journal.view().durable();
        let (shop, shops, rules) = (self.shop, stage.shops, stage.rules);
        while let Some(step) = live.touched.pop_front_if(|step| step.seq <= durable) {
            self.tables.follow(&step, || rules.records(shop, shops));
            for change in step.changes.iter() {
                if live.overlay.get(&change.key).is_some_and(|(by, _)| *by <= step.seq) {
                    live.overlay.remove(&change.key);
                }
            }
        }
        if let Some((bundle, since, _)) = live.coming.take_if(|(.., seq)| *seq <= durable) {
            let version = bundle.reference.version;
            live.engine.resume_bundle(bundle, since);
            stage.counts.activations += 1;
            stage.judge.runs_on(self.of, version);
            live.machine.bundle_active(version, stage.clocks(self.off_ms));
        }
        self.forget(stage);
        self.act(stage);
    }

    /// Forgets what head office's backup holds, a checkpoint covers and nobody will ask for.
    fn forget(&mut self, stage: &mut Stage<'_>) {
        let Some(live) = &mut self.live else { return };
        let durable = live.journal.view().durable();
        let mut through = live.prunable;
        if stage.is(Wrong::PruneAtApplied) {
            through = live.machine.remembered().applied_through;
        }
        through = through.min(Seq(durable.0.saturating_sub(RETAINED))).min(self.tables.applied());
        if through.0 < live.looked_at.0 + PRUNE_EVERY_DECISIONS {
            return;
        }
        live.looked_at = through;
        self.checkpoint = self.tables.clone();
        let pruned = live.journal.prune(through);
        // A prune that failed may have taken some.
        stage.judge.pruned(self.of, live.journal.view().first());
        match pruned {
            Ok(pruned) => stage.counts.segments_pruned += pruned.segments as u64,
            Err(_) => {
                stage.counts.disk_errors += 1;
                let stop = self.doom.map_or(Stop::Killed, |doom| doom.stop);
                self.die(stop, stage);
            }
        }
    }

    // --- bundles ---

    /// Somebody installs a bundle, or it came whole from head office.
    pub(super) fn install(&mut self, version: u64, stage: &mut Stage<'_>) {
        let Some(live) = &mut self.live else { return };
        let bundle = stage.rules.bundle(version).clone();
        if live.coming.is_some() {
            return;
        }
        if plan(live.newest.as_ref(), &bundle.reference) != Plan::Activate {
            stage.counts.bundles_refused += 1;
            return;
        }
        let since = stage.clocks(self.off_ms).unix;
        live.engine.signed_at(stage.began);
        let entry = live.engine.decide_activation(&bundle, since);
        live.newest = Some(bundle.reference.clone());
        live.coming = Some((bundle, since, entry.seq));
        self.write(entry, stage);
    }

    /// At rest: the tables must be what the journal makes of nothing, or of the last checkpoint.
    pub(super) fn audit(&mut self, stage: &mut Stage<'_>) {
        let Some(live) = &self.live else { return };
        let mut rebuilt = self.checkpoint.clone();
        let mut reader = live.journal.reader(Seq(rebuilt.applied().0 + 1));
        while let Ok(Some(raw)) = reader.next() {
            if raw.seq > self.tables.applied() {
                break;
            }
            let Ok(entry) = Entry::decode(raw.payload) else { continue };
            let (shop, shops, rules) = (self.shop, stage.shops, stage.rules);
            rebuilt.follow(&Followed::of(&entry), || rules.records(shop, shops));
        }
        if rebuilt.applied() != self.tables.applied() || rebuilt.records() != self.tables.records() {
            let text = format!(
                "{} epoch {}: tables through {} are not what the journal makes (through {})",
                self.store,
                self.epoch.0,
                self.tables.applied().0,
                rebuilt.applied().0
            );
            stage.judge.accuse("I5", text);
        }
    }
}

impl Live {
    fn load(&mut self, tables: &Memory, key: &Key) -> Option<Record> {
        if let Key::Decision(seq) = key {
            return self.decision(*seq).map(|entry| Record::Decision(Box::new(entry)));
        }
        match self.overlay.get(key) {
            Some((_, record)) => record.clone(),
            None => tables.get(key).cloned(),
        }
    }

    fn decision(&mut self, seq: Seq) -> Option<Entry> {
        if let Some(written) = self.written.iter().find(|written| written.entry.seq == seq) {
            return Some((*written.entry).clone());
        }
        if self.reader.position() != seq {
            self.reader.seek(seq);
        }
        match self.reader.next() {
            Ok(Some(raw)) if raw.seq == seq => Entry::decode(raw.payload).ok(),
            _ => None,
        }
    }
}

fn first_eight(secret: &[u8; 32]) -> [u8; 8] {
    let mut first = [0; 8];
    first.copy_from_slice(&secret[..8]);
    first
}

fn encoded(answer: &Answer, re: &RequestId, format: Format, replayed: bool) -> Rc<[u8]> {
    let to = Addressed { re: Some(re), format, replayed, degraded: false, lang: Lang::default() };
    Rc::from(wire::encode(answer, &to))
}
