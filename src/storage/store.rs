//! The shop's memory as the engine's shell sees it: load a record, commit a decision, hear when it is durable.
//!
//! Three threads share the work, each the only one to do it:
//! the caller (daemon's loop) decides and loads · `commit` appends groups to the journal and syncs · `tables` follows.
//! A decision is written down by the caller: its bytes go to `commit` and stay for reading until they are durable, its
//! changes go to the overlay and to `tables`, and the entry itself ends there. Writing it costs the caller 4 us; freeing it
//! on another thread, as the overlay's entries once were, costs both threads more and keeps ten times the memory.
//! A group is whatever waits when the last sync returns, as far as one frame holds it. The tables follow `TABLES_FOLLOW_MS` after the first decision
//! they lack, at once after a bundle became active or a batch has gathered. Reads see the overlay (decided, not yet in the tables) first,
//! then the tables; a whole decision comes from the overlay while it is not durable, from the journal after.
//!
//! Invariants: a decision's place in the journal is the `seq` the engine gave it; `Progress::Durable` is told only after
//! its sync; the overlay drops a record only when the tables hold it durably; when the commit thread fails it stops for
//! good and says so, and the caller exits (a failed sync is not retried). Bounds: `COMMIT_QUEUE_MAX` decisions not yet
//! durable, `TABLES_BEHIND_DECISIONS_MAX` not yet in the tables; `has_room` is asked before deciding.

use std::collections::{BTreeMap, VecDeque};
use std::fs;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::mpsc::{Receiver, SyncSender, sync_channel};
use std::thread::{Builder, JoinHandle};
use std::time::Duration;

use crate::domain::calendar::UnixMs;
use crate::domain::ids::{BundleRef, Seq, StoreId};
use crate::engine::decision::{Change, Encoder, Entry, Key, Known, Record};
use crate::engine::input::Input;
use crate::limits;

use super::cache::ReadCache;
use super::disk::OsDisk;
use super::error::{Result, StorageError};
use super::identity::{BoxIdentity, load_or_create};
use super::journal::{Journal, JournalOptions, JournalView, OpenReport, Reader, prefix_that_fits};
use super::lock::DirLock;
use super::tables::{ActiveBundle, Batch, Tables, TablesFault};

/// Beside the tables: they are to be set aside and rebuilt at the next start.
const SUSPECT: &str = "tables.suspect";
/// Beside the tables: such as were set aside, numbered. The newest `DAMAGED_TABLES_KEPT` stay.
const DAMAGED: &str = "tables.damaged-";

/// Where a bundle's members and codes come from when it becomes active. The file is the daemon's; the records are ours.
pub trait Roll: Send {
    /// Hands over each record of a bundle that became active `at`. Its members are as fresh as its signing.
    fn records(
        &self,
        bundle: &BundleRef,
        at: UnixMs,
        take: &mut dyn FnMut(Key, Record),
    ) -> std::result::Result<(), String>;
}

/// What the store tells its owner, from its own threads.
#[derive(Debug)]
pub enum Progress {
    /// Everything through here is durable.
    Durable(Seq),
    /// Everything through here is in the tables.
    Followed(Seq),
    /// The disk failed. Nothing more will become durable: exit.
    Failed(String),
}

/// How to open a store.
pub struct StoreOptions {
    /// The data directory.
    pub dir: PathBuf,
    /// The shop.
    pub store: StoreId,
    /// Bytes of sled's cache.
    pub cache_bytes: u64,
    /// Days for which request ids are remembered.
    pub request_days: i64,
    /// Brings in members and codes.
    pub roll: Box<dyn Roll>,
    /// Hears progress.
    pub tell: Box<dyn Fn(Progress) + Send + Sync>,
}

/// What opening found.
#[derive(Debug, Default)]
pub struct Recovered {
    /// The journal's own report.
    pub journal: OpenReport,
    /// The tables did not open or check and were set aside here; they were rebuilt from the journal.
    pub tables_set_aside: Option<PathBuf>,
    /// Decisions applied to the tables at open.
    pub applied: u64,
}

/// The open store.
pub struct Store {
    dir: PathBuf,
    identity: BoxIdentity,
    tables: Tables,
    view: JournalView,
    reader: Reader,
    overlay: Overlay,
    cache: ReadCache,
    active: Option<ActiveBundle>,
    next: Seq,
    durable: Arc<AtomicU64>,
    followed: Arc<AtomicU64>,
    to_commit: Option<SyncSender<Written>>,
    encoder: Encoder,
    threads: Vec<JoinHandle<()>>,
    _lock: DirLock,
}

impl Store {
    /// Opens a data directory: takes its lock, opens the journal, brings the tables up to it.
    pub fn open(options: StoreOptions) -> Result<(Store, Recovered)> {
        let dir = &options.dir;
        let request_days = usize::try_from(options.request_days).unwrap_or_default();
        prepare(dir)?;
        let lock = DirLock::take(dir)?;
        let identity = load_or_create(dir, &options.store)?;
        let (tables, set_aside) = open_tables(dir, options.cache_bytes)?;
        let applied = tables.applied().map_err(tables_error)?;
        let seed = u64::from_be_bytes(identity.secret[..8].try_into().expect("8 of 32 bytes"));
        let mut journal_options = JournalOptions::new(identity.epoch, seed);
        journal_options.known = applied;
        let (journal, report) = Journal::open(Arc::new(OsDisk), &dir.join("journal"), journal_options)?;
        let view = journal.view();
        let caught_up = catch_up(dir, (&tables, applied), &view, (&*options.roll, request_days))?;
        let active = tables.active().map_err(tables_error)?;
        let next = journal.next_seq();
        let last = Seq(next.0 - 1);
        let durable = Arc::new(AtomicU64::new(last.0));
        let followed = Arc::new(AtomicU64::new(last.0));
        let tell: Arc<dyn Fn(Progress) + Send + Sync> = Arc::from(options.tell);
        let (to_commit, committing) = sync_channel(limits::COMMIT_QUEUE_MAX);
        let (to_tables, following) = sync_channel(limits::TABLES_BEHIND_DECISIONS_MAX);
        let (hurry, hurried) = sync_channel(1);
        let committer = Committer {
            journal,
            queue: committing,
            to_tables,
            hurry,
            sent: 0,
            durable: durable.clone(),
            tell: tell.clone(),
        };
        let follower = Follower {
            dir: dir.clone(),
            tables: tables.clone(),
            queue: following,
            hurry: hurried,
            followed: followed.clone(),
            roll: options.roll,
            tell,
            request_days,
            cursor: Vec::new(),
        };
        let threads =
            vec![spawn("commit", move || committer.run())?, spawn("tables", move || follower.run())?];
        let recovered = Recovered { journal: report, tables_set_aside: set_aside, applied: caught_up };
        let reader = view.reader(Seq(1));
        let store = Store {
            dir: dir.clone(),
            identity,
            tables,
            view,
            reader,
            overlay: Overlay::default(),
            cache: ReadCache::default(),
            active,
            next,
            durable,
            followed,
            to_commit: Some(to_commit),
            encoder: Encoder::default(),
            threads,
            _lock: lock,
        };
        Ok((store, recovered))
    }

    /// Who this box is.
    pub fn identity(&self) -> &BoxIdentity {
        &self.identity
    }

    /// The bundle that was active when the store was opened.
    pub fn active_bundle(&self) -> Option<&ActiveBundle> {
        self.active.as_ref()
    }

    /// The place of the next decision.
    pub fn next_seq(&self) -> Seq {
        self.next
    }

    /// The journal, for reading from other threads.
    pub fn journal(&self) -> JournalView {
        self.view.clone()
    }

    /// The last durable decision.
    pub fn durable(&self) -> Seq {
        Seq(self.durable.load(Ordering::Acquire))
    }

    /// The last decision the tables hold.
    pub fn followed(&self) -> Seq {
        Seq(self.followed.load(Ordering::Acquire))
    }

    /// May one more decision be made? If not, answer 503.
    pub fn has_room(&self) -> bool {
        let last = self.next.0 - 1;
        last - self.durable().0 < limits::COMMIT_QUEUE_MAX as u64
            && last - self.followed().0 < limits::TABLES_BEHIND_DECISIONS_MAX as u64
    }

    /// What stands under a key now, decisions not yet durable included.
    pub fn load(&mut self, key: &Key) -> Result<Option<Record>> {
        self.overlay.forget(self.durable(), self.followed());
        if let Key::Decision(seq) = key {
            return Ok(self.decision(*seq)?.map(|entry| Record::Decision(Box::new(entry))));
        }
        match self.overlay.record(key) {
            Some(record) => Ok(record),
            None => {
                let (followed, tables, dir) = (self.followed(), &self.tables, &self.dir);
                self.cache.load(key, followed, || tables.get(key).map_err(|fault| suspect(dir, fault)))
            }
        }
    }

    /// A decision as it stands in the journal; `None` if it was never made or is gone.
    pub fn decision(&mut self, seq: Seq) -> Result<Option<Entry>> {
        match self.overlay.decision(seq) {
            Some(bytes) => Ok(read_bytes(seq, bytes)),
            None => read_decision(&mut self.reader, seq),
        }
    }

    /// Sends a decision on its way to the disk. It counts at once for `load`; it is durable when told so.
    pub fn commit(&mut self, entry: &Entry) -> Result<()> {
        assert_eq!(entry.seq, self.next, "decisions are committed in the order they were made");
        self.next = Seq(entry.seq.0 + 1);
        match &entry.input {
            Input::Activate(_) => self.cache.close_until(entry.seq),
            _ => self.cache.changed(&entry.changes),
        }
        let bytes: Arc<[u8]> = Arc::from(self.encoder.encode(entry));
        let applying = Applying::of(entry);
        self.overlay.forget(self.durable(), self.followed());
        self.overlay.add(&applying, bytes.clone());
        let sent = self.to_commit.as_ref().map(|queue| queue.send(Written { bytes, applying }));
        match sent {
            Some(Ok(())) => Ok(()),
            _ => Err(StorageError::Poisoned),
        }
    }

    /// Lets everything decided become durable and the tables follow, then lets go of the directory.
    pub fn close(mut self) {
        self.to_commit = None;
        for thread in self.threads.drain(..) {
            if thread.join().is_err() {
                tracing::error!(
                    "a storage thread panicked while closing; the journal is whole, the tables will catch up"
                );
            }
        }
    }
}

/// Reads one decision; `None` if it was never made, was pruned or is damaged (which the log names).
fn read_decision(reader: &mut Reader, seq: Seq) -> Result<Option<Entry>> {
    if reader.position() != seq {
        reader.seek(seq);
    }
    match reader.next() {
        Ok(Some(raw)) if raw.seq == seq => Ok(read_bytes(seq, raw.payload)),
        Ok(_) => Ok(None),
        Err(StorageError::Pruned { .. } | StorageError::Gap { .. } | StorageError::Damaged { .. }) => {
            Ok(None)
        }
        Err(error) => Err(error),
    }
}

fn read_bytes(seq: Seq, bytes: &[u8]) -> Option<Entry> {
    match Entry::decode(bytes) {
        Ok(entry) => Some(entry),
        Err(fault) => {
            tracing::error!(seq = seq.0, %fault, "a decision of the journal cannot be read");
            None
        }
    }
}

/// What the tables take of a decision.
#[derive(Clone)]
struct Applying {
    seq: Seq,
    at: UnixMs,
    /// The bundle that became active with it.
    activation: Option<BundleRef>,
    changes: Arc<[Change]>,
}

impl Applying {
    fn of(entry: &Entry) -> Applying {
        let activation = match &entry.input {
            Input::Activate(reference) => Some(reference.clone()),
            _ => None,
        };
        Applying { seq: entry.seq, at: entry.at, activation, changes: entry.changes.clone() }
    }
}

/// A decision on its way to the disk.
struct Written {
    bytes: Arc<[u8]>,
    applying: Applying,
}

impl AsRef<[u8]> for Written {
    fn as_ref(&self) -> &[u8] {
        &self.bytes
    }
}

#[derive(Default)]
struct Overlay {
    /// The decision that changed a record last, its changes, and which of them it is.
    records: BTreeMap<Key, (Seq, Arc<[Change]>, usize)>,
    /// Decisions not yet in the tables; their changes wait there for the tables' thread anyway.
    touched: VecDeque<(Seq, Arc<[Change]>)>,
    /// Decisions not yet durable.
    written: VecDeque<(Seq, Arc<[u8]>)>,
}

impl Overlay {
    fn add(&mut self, applying: &Applying, bytes: Arc<[u8]>) {
        let Applying { seq, changes, .. } = applying;
        for (place, change) in changes.iter().enumerate() {
            self.records.insert(change.key.clone(), (*seq, changes.clone(), place));
        }
        self.touched.push_back((*seq, changes.clone()));
        self.written.push_back((*seq, bytes));
    }

    /// What a decision made of a record, if one did that is not yet in the tables: `Some(None)` if it removed it.
    fn record(&self, key: &Key) -> Option<Option<Record>> {
        self.records.get(key).map(|(_, changes, place)| changes[*place].record.clone())
    }

    fn decision(&self, seq: Seq) -> Option<&[u8]> {
        let place = self.written.binary_search_by_key(&seq, |(seq, _)| *seq).ok()?;
        self.written.get(place).map(|(_, bytes)| &**bytes)
    }

    fn forget(&mut self, durable: Seq, followed: Seq) {
        while self.written.pop_front_if(|(seq, _)| *seq <= durable).is_some() {}
        while let Some((seq, changes)) = self.touched.pop_front_if(|(seq, _)| *seq <= followed) {
            for change in changes.iter() {
                if self.records.get(&change.key).is_some_and(|(by, ..)| *by <= seq) {
                    self.records.remove(&change.key);
                }
            }
        }
    }
}

struct Committer {
    journal: Journal,
    queue: Receiver<Written>,
    to_tables: SyncSender<Applying>,
    hurry: SyncSender<()>,
    sent: usize,
    durable: Arc<AtomicU64>,
    tell: Arc<dyn Fn(Progress) + Send + Sync>,
}

impl Committer {
    fn run(mut self) {
        let mut waiting: Vec<Written> = Vec::with_capacity(limits::GROUP_DECISIONS_MAX);
        loop {
            if waiting.is_empty() {
                let Ok(first) = self.queue.recv() else { return };
                waiting.push(first);
            }
            let room = limits::GROUP_DECISIONS_MAX - waiting.len();
            waiting.extend(self.queue.try_iter().take(room));
            let group = prefix_that_fits(&waiting).max(1);
            if let Err(error) = self.commit(&waiting[..group]) {
                tracing::error!(%error, code = error.code(), "the disk failed; nothing more is acknowledged");
                (self.tell)(Progress::Failed(format!("{error} ({})", error.code())));
                return;
            }
            self.sent += group;
            let mut is_urgent = self.sent >= limits::TABLES_BATCH_DECISIONS;
            for Written { applying, .. } in waiting.drain(..group) {
                is_urgent |= applying.activation.is_some();
                if self.to_tables.send(applying).is_err() {
                    return;
                }
            }
            if is_urgent {
                self.sent = 0;
                // Full means that the tables were told already.
                self.hurry.try_send(()).ok();
            }
        }
    }

    /// One frame, one sync.
    fn commit(&mut self, group: &[Written]) -> Result<()> {
        let range = self.journal.append(group)?;
        assert_eq!(range.first, group[0].applying.seq, "the journal gives the place the engine decided for");
        self.durable.store(range.last.0, Ordering::Release);
        (self.tell)(Progress::Durable(range.last));
        Ok(())
    }
}

struct Follower {
    dir: PathBuf,
    tables: Tables,
    queue: Receiver<Applying>,
    hurry: Receiver<()>,
    followed: Arc<AtomicU64>,
    roll: Box<dyn Roll>,
    tell: Arc<dyn Fn(Progress) + Send + Sync>,
    request_days: usize,
    cursor: Vec<u8>,
}

impl Follower {
    fn run(mut self) {
        while let Ok(first) = self.queue.recv() {
            // However it ends: told to hurry, waited long enough, or the commit thread is gone.
            self.hurry.recv_timeout(Duration::from_millis(limits::TABLES_FOLLOW_MS)).ok();
            let mut pending = vec![first];
            pending.extend(self.queue.try_iter().take(limits::TABLES_BEHIND_DECISIONS_MAX));
            if let Err(fault) = self.follow(&pending) {
                let error = suspect(&self.dir, fault);
                let code = error.code();
                tracing::error!(%error, code, "the tables failed; the next start rebuilds them from the journal");
                (self.tell)(Progress::Failed(format!("{error} ({code})")));
                return;
            }
        }
    }

    fn follow(&mut self, pending: &[Applying]) -> std::result::Result<(), TablesFault> {
        let Some(last) = pending.last() else { return Ok(()) };
        apply(&self.tables, pending, &*self.roll, self.request_days)?;
        self.followed.store(last.seq.0, Ordering::Release);
        (self.tell)(Progress::Followed(last.seq));
        if pending.len() >= limits::TABLES_BATCH_DECISIONS {
            // In a burst there is something more urgent to do; a quieter batch follows.
            return Ok(());
        }
        let before = self.tables.lived()?.forgets_before(last.seq, self.request_days);
        self.cursor = self.tables.sweep_requests(&self.cursor, before)?;
        Ok(())
    }
}

/// Applies decisions in order. Members and codes of a bundle come in at the place where it became active.
fn apply(
    tables: &Tables,
    decisions: &[Applying],
    roll: &dyn Roll,
    request_days: usize,
) -> std::result::Result<(), TablesFault> {
    let mut batch = Batch::default();
    let mut lived = tables.lived()?;
    for Applying { seq, at, activation, changes } in decisions {
        if let Some(reference) = activation {
            // What was decided before stands before what the bundle brings.
            batch.lived(lived.clone());
            tables.apply(&std::mem::take(&mut batch))?;
            import(tables, reference, *at, roll)?;
            batch.activate(ActiveBundle { reference: reference.clone(), since: *at });
            tables.apply(&std::mem::take(&mut batch))?;
        }
        batch.add(*seq, changes);
        lived.pass(*seq, *at, request_days);
        if batch.decisions() == limits::TABLES_TRANSACTION_DECISIONS {
            batch.lived(lived.clone());
            tables.apply(&std::mem::take(&mut batch))?;
        }
    }
    batch.lived(lived);
    tables.apply(&batch)?;
    tables.sync()
}

fn import(
    tables: &Tables,
    reference: &BundleRef,
    at: UnixMs,
    roll: &dyn Roll,
) -> std::result::Result<(), TablesFault> {
    let mut records = Vec::with_capacity(limits::IMPORT_BATCH_RECORDS);
    let (mut failed, mut listed_at) = (Ok(()), None);
    let outcome = roll.records(reference, at, &mut |key, record| {
        if let Record::Member(known) = &record {
            listed_at = Some(known.as_of);
        }
        records.push((key, record));
        if records.len() == limits::IMPORT_BATCH_RECORDS && failed.is_ok() {
            failed = tables.import(std::mem::take(&mut records), listed_again);
        }
    });
    failed?;
    tables.import(records, listed_again)?;
    match outcome {
        Ok(()) => tables.revise(|record| left_out(record, reference.version, listed_at))?,
        Err(why) => {
            tracing::error!(
                version = reference.version,
                why,
                "members of the bundle could not be read; those read stay"
            );
        }
    }
    tables.sync()
}

/// A record that a bundle lists and that is there already: the fresher half of a member stays.
fn listed_again(known: Record, new: Record) -> Record {
    match (known, new) {
        (Record::Member(known), Record::Member(new)) if known.as_of > new.as_of => {
            Record::Member(Box::new(Known { listed: new.listed, withdrawn: false, ..*known }))
        }
        (_, new) => new,
    }
}

/// What becomes of a record that the bundle `version` leaves out though an earlier one listed it: a code is gone, a member
/// is withdrawn, unless head office spoke of them after the bundle was signed. A bundle without members speaks of none.
fn left_out(record: &Record, version: u64, listed_at: Option<UnixMs>) -> Option<Option<Record>> {
    let is_left_out = |listed: Option<u64>| listed.is_some_and(|listed| listed < version);
    match record {
        Record::Code(code) if is_left_out(code.listed) => Some(None),
        Record::Member(known) if is_left_out(known.listed) && !known.withdrawn => {
            let known = listed_at.filter(|listed_at| known.as_of <= *listed_at).map(|_| known.clone())?;
            Some(Some(Record::Member(Box::new(Known { withdrawn: true, ..*known }))))
        }
        _ => None,
    }
}

/// Brings the tables up to the journal. Returns how many decisions they lacked.
fn catch_up(
    dir: &Path,
    (tables, applied): (&Tables, Seq),
    view: &JournalView,
    (roll, request_days): (&dyn Roll, usize),
) -> Result<u64> {
    let mut reader = view.reader(Seq(applied.0 + 1));
    let mut pending: Vec<Applying> = Vec::new();
    let mut count = 0;
    loop {
        match reader.next() {
            Ok(Some(raw)) => match Entry::decode(raw.payload) {
                Ok(entry) => pending.push(Applying::of(&entry)),
                Err(fault) => return Err(StorageError::Entry { seq: raw.seq, why: fault.to_string() }),
            },
            Ok(None) => break,
            Err(error @ (StorageError::Gap { .. } | StorageError::Pruned { .. })) => {
                tracing::error!(%error, code = error.code(), "decisions are missing; the tables go on behind them");
                if let StorageError::Pruned { first, .. } = error {
                    reader.seek(first);
                }
            }
            Err(error) => return Err(error),
        }
        if pending.len() == limits::TABLES_BATCH_DECISIONS {
            count += pending.len() as u64;
            apply(tables, &pending, roll, request_days).map_err(|fault| suspect(dir, fault))?;
            pending.clear();
        }
    }
    if !pending.is_empty() {
        count += pending.len() as u64;
        apply(tables, &pending, roll, request_days).map_err(|fault| suspect(dir, fault))?;
    }
    Ok(count)
}

fn prepare(dir: &Path) -> Result<()> {
    use super::disk::{Disk, DiskOp};
    OsDisk.create_dir_all(dir)?;
    let probe = dir.join("writable");
    if let Err(error) = fs::write(&probe, vec![b'?'; limits::START_ROOM_BYTES]) {
        // What it took before it failed is given back; the failure itself is what is told.
        drop(fs::remove_file(&probe));
        return Err(StorageError::disk(DiskOp::Write, &probe, error));
    }
    fs::remove_file(&probe).map_err(|e| StorageError::disk(DiskOp::Remove, &probe, e))?;
    OsDisk.sync_dir(dir)?;
    match dir.parent().filter(|parent| !parent.as_os_str().is_empty()) {
        Some(parent) => OsDisk.sync_dir(parent),
        None => Ok(()),
    }
}

/// Opens the tables; what does not open or check is set aside by name and made anew. A full disk is no damage.
fn open_tables(dir: &Path, cache_bytes: u64) -> Result<(Tables, Option<PathBuf>)> {
    use super::disk::DiskOp;
    let path = dir.join("tables");
    let suspected = dir.join(SUSPECT);
    let opened = Tables::open(&path, cache_bytes).and_then(|tables| {
        if suspected.exists() {
            return Err(TablesFault::Record("a record did not check in an earlier run".to_owned()));
        }
        tables.applied()?;
        tables.active()?;
        Ok(tables)
    });
    match opened {
        Ok(tables) => Ok((tables, None)),
        Err(TablesFault::Disk(error)) => Err(StorageError::disk(DiskOp::Open, &path, error)),
        Err(fault) => {
            let damaged = damaged_tables(dir)?;
            let number = damaged.last().map_or(1, |(number, _)| number + 1);
            let aside = dir.join(format!("{DAMAGED}{number}"));
            tracing::error!(%fault, aside = %aside.display(), "the tables are set aside and rebuilt from the journal");
            fs::rename(&path, &aside).map_err(|e| StorageError::disk(DiskOp::Rename, &path, e))?;
            let too_many = (damaged.len() + 1).saturating_sub(limits::DAMAGED_TABLES_KEPT);
            for (_, old) in damaged.iter().take(too_many) {
                if let Err(error) = fs::remove_dir_all(old) {
                    tracing::warn!(%error, old = %old.display(), "tables set aside long ago cannot be removed");
                }
            }
            let tables = Tables::open(&path, cache_bytes).map_err(tables_error)?;
            if suspected.exists() {
                fs::remove_file(&suspected).map_err(|e| StorageError::disk(DiskOp::Remove, &suspected, e))?;
            }
            Ok((tables, Some(aside)))
        }
    }
}

/// Tables set aside in earlier starts, oldest first.
fn damaged_tables(dir: &Path) -> Result<Vec<(u64, PathBuf)>> {
    use super::disk::DiskOp;
    let entries = fs::read_dir(dir).map_err(|e| StorageError::disk(DiskOp::List, dir, e))?;
    let number = |path: &Path| path.file_name()?.to_str()?.strip_prefix(DAMAGED)?.parse::<u64>().ok();
    let paths = entries.filter_map(|entry| Some(entry.ok()?.path()));
    let mut damaged: Vec<(u64, PathBuf)> = paths.filter_map(|path| Some((number(&path)?, path))).collect();
    damaged.sort();
    Ok(damaged)
}

/// Names a file that makes the next start rebuild the tables, so that a damaged record never becomes a crash loop.
fn suspect(dir: &Path, fault: TablesFault) -> StorageError {
    let is_theirs = !matches!(fault, TablesFault::Disk(_));
    if is_theirs && let Err(error) = fs::write(dir.join(SUSPECT), fault.to_string()) {
        tracing::error!(%error, "the tables cannot be marked for rebuilding; remove the folder `tables` by hand");
    }
    tables_error(fault)
}

fn tables_error(fault: TablesFault) -> StorageError {
    use super::disk::DiskOp;
    match fault {
        TablesFault::Disk(error) => StorageError::disk(DiskOp::Write, Path::new("tables"), error),
        fault => StorageError::Tables { why: fault.to_string() },
    }
}

fn spawn(name: &str, body: impl FnOnce() + Send + 'static) -> Result<JoinHandle<()>> {
    use super::disk::DiskOp;
    let failed = |error| StorageError::disk(DiskOp::Create, Path::new(name), error);
    Builder::new().name(name.to_owned()).spawn(body).map_err(failed)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::domain::ids::MemberId;
    use crate::domain::member::Profile;

    /// A bundle's members: who, and when it was signed.
    struct Listed(&'static [&'static str], i64);

    fn id(name: &str) -> MemberId {
        MemberId::new(name).expect("an id")
    }

    fn known(as_of: i64, listed: Option<u64>) -> Record {
        let profile = Profile { orders_elsewhere: 7, ..Profile::default() };
        Record::Member(Box::new(Known { profile, points: 9, as_of: UnixMs(as_of), listed, withdrawn: false }))
    }

    impl Roll for Listed {
        fn records(
            &self,
            bundle: &BundleRef,
            _: UnixMs,
            take: &mut dyn FnMut(Key, Record),
        ) -> std::result::Result<(), String> {
            let Listed(members, signed_at) = self;
            let one = |name: &&str| take(Key::Member(id(name)), known(*signed_at, Some(bundle.version)));
            members.iter().for_each(one);
            Ok(())
        }
    }

    #[test]
    fn whose_word_of_a_member_is_the_newest() {
        let dir = tempfile::tempdir().expect("a directory for the test");
        let tables = Tables::open(dir.path(), limits::SLED_CACHE_BYTES).expect("opens");
        let arrive = |version, roll: Listed| {
            let reference = BundleRef { version, hash: Arc::from("0") };
            import(&tables, &reference, UnixMs(9_999), &roll).expect("it is read");
        };
        let tell = |name: &str, as_of, listed| {
            let change = [crate::engine::decision::Change::put(Key::Member(id(name)), known(as_of, listed))];
            let mut batch = Batch::default();
            batch.add(Seq(1), &change);
            tables.apply(&batch).expect("applies");
        };
        let state = |name: &str| match tables.get(&Key::Member(id(name))).expect("reads") {
            Some(Record::Member(known)) => (known.as_of.0, known.listed, known.withdrawn),
            other => panic!("{other:?}"),
        };
        arrive(1, Listed(&["kept", "told", "told-late", "left"], 100));
        tell("told", 150, Some(1));
        tell("told-late", 350, Some(1));
        tell("told-only", 150, None);
        tell("enrolled", 0, None);
        arrive(2, Listed(&["kept", "told"], 120));
        assert_eq!(state("kept"), (120, Some(2), false));
        assert_eq!(
            state("told"),
            (150, Some(2), false),
            "head office's later word stays; the list names them"
        );
        assert_eq!(state("left"), (100, Some(1), true));
        assert_eq!(
            state("told-late"),
            (350, Some(1), false),
            "head office spoke of them after it was signed"
        );
        arrive(3, Listed(&["left"], 300));
        assert_eq!(state("left"), (300, Some(3), false), "listed again");
        assert_eq!(state("told"), (150, Some(2), true), "the list is newer than the word");
        assert_eq!(state("told-late"), (350, Some(1), false));
        for (name, as_of) in [("told-only", 150), ("enrolled", 0)] {
            assert_eq!(state(name), (as_of, None, false), "{name}: no bundle brought them, none takes them");
        }
        arrive(4, Listed(&[], 400));
        assert_eq!(state("left"), (300, Some(3), false), "a bundle without members speaks of none");
    }
}
