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
use std::sync::mpsc::{Receiver, RecvTimeoutError, SyncSender, sync_channel};
use std::thread::{Builder, JoinHandle};
use std::time::Duration;

use crate::domain::calendar::UnixMs;
use crate::domain::code::Code;
use crate::domain::ids::{BundleRef, Epoch, Seq, StoreId};
use crate::domain::tally::{Tally, Totals};
use crate::engine::decision::{Change, Encoder, Entry, Key, Record};
use crate::engine::input::Input;
use crate::limits;

use super::cache::ReadCache;
use super::disk::{Disk, DiskOp, OsDisk};
use super::error::{Result, StorageError};
use super::follow::{Covered, Follower, catch_up};
use super::identity::{BoxIdentity, load_or_create, on_this_machine};
use super::journal::{
    Journal, JournalOptions, JournalView, OpenReport, Reader, check_versions, prefix_that_fits,
};
use super::keeper::Keeper;
use super::lock::DirLock;
use super::place::{Opened, Place, suspect, tables_error};
use super::space::Space;
use super::tables::{ActiveBundle, Tables};
use super::vault::Vault;

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

/// How large things get before something is done about it.
#[derive(Clone, Copy, Debug)]
pub struct Sizes {
    /// Decisions between two checkpoints.
    pub checkpoint_every: u64,
    /// Bytes of a segment of the journal.
    pub segment_bytes: u64,
    /// Newest decisions that are kept with their requests, whatever clocks say.
    pub requests_kept: u64,
    /// Bytes of the ballast; 0 is none.
    pub ballast_bytes: u64,
    /// Days the tables keep a sale.
    pub sale_days: u32,
    /// Days after which what was learned of a member who does not come any more goes.
    pub profile_idle_days: u32,
}

impl Default for Sizes {
    fn default() -> Sizes {
        Sizes {
            checkpoint_every: limits::CHECKPOINT_EVERY_DECISIONS,
            segment_bytes: limits::SEGMENT_BYTES_MAX,
            requests_kept: limits::REQUESTS_KEPT_MIN,
            ballast_bytes: limits::BALLAST_BYTES,
            sale_days: limits::SALE_DAYS,
            profile_idle_days: limits::PROFILE_IDLE_DAYS,
        }
    }
}

/// How to open a store.
pub struct StoreOptions {
    /// The data directory.
    pub dir: PathBuf,
    /// The shop.
    pub store: StoreId,
    /// What tells this machine from others, where it is to be told: on another one the data begins a new life.
    pub machine: Option<String>,
    /// Bytes of sled's cache.
    pub cache_bytes: u64,
    /// Days for which request ids are remembered and decisions stay in the journal.
    pub request_days: i64,
    /// How large things get; a test takes less.
    pub sizes: Sizes,
    /// Brings in members and codes.
    pub roll: Box<dyn Roll>,
    /// Hears progress.
    pub tell: Box<dyn Fn(Progress) + Send + Sync>,
}

/// What the disk allows.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord)]
pub enum Footing {
    /// Nothing is written: the disk is read-only, or so full that not even the journal has room.
    ReadOnly,
    /// The journal goes on; the tables are in memory.
    JournalOnly,
    /// All is well.
    #[default]
    Whole,
}

/// What opening found.
#[derive(Debug, Default)]
pub struct Recovered {
    /// The journal's own report.
    pub journal: OpenReport,
    /// The tables did not open or check and were set aside here; they were built anew.
    pub tables_set_aside: Option<PathBuf>,
    /// They were built anew from the checkpoint of this decision, 0 from nothing, and the journal behind it.
    pub built_from: Option<Seq>,
    /// The directory was used on another machine before: the life it went on from.
    pub copied_from: Option<Epoch>,
    /// Decisions applied to the tables at open.
    pub applied: u64,
    /// Why the store does not stand on the whole disk, where it does not.
    pub hindered: Option<StorageError>,
}

/// The open store.
pub struct Store {
    dir: PathBuf,
    footing: Footing,
    hindered: Option<Code>,
    space: Space,
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
    vault: Vault,
    keeper: Keeper,
    threads: Vec<JoinHandle<()>>,
    /// Kept where no thread has it: who hears it is to hear that it is there.
    _tell: Option<Tell>,
    _lock: DirLock,
}

type Tell = Box<dyn Fn(Progress) + Send + Sync>;

impl Store {
    /// Opens a data directory: takes its lock, opens the journal, brings the tables up to it.
    pub fn open(options: StoreOptions) -> Result<(Store, Recovered)> {
        let dir = &options.dir;
        let request_days = usize::try_from(options.request_days).unwrap_or_default();
        OsDisk.create_dir_all(dir)?;
        let lock = DirLock::take(dir)?;
        let format = super::format::of(dir)?;
        let space = Space::new(Arc::new(OsDisk), dir, options.sizes.ballast_bytes);
        let mut hindered = footing(dir, &space)?;
        let mut identity = load_or_create(dir, &options.store)?;
        let mut copied_from = None;
        if let (Some(machine), true) = (&options.machine, hindered.is_none()) {
            (identity, copied_from) = on_this_machine(dir, identity, machine)?;
        }
        check_versions(&OsDisk, &dir.join("journal"), identity.epoch)?;
        if hindered.is_none() && format != Some(super::format::CURRENT) {
            super::format::mark(dir)?;
        }
        let place = Place::new(dir, options.cache_bytes);
        let opened = match hindered {
            Some(_) => place.in_memory()?,
            None => match place.open() {
                Err(error) if error.is_full() => {
                    space.drop_ballast()?;
                    hindered = Some((Footing::JournalOnly, error));
                    place.in_memory()?
                }
                opened => opened?,
            },
        };
        let Opened { tables, set_aside, built_from } = opened;
        let applied = tables.applied().map_err(tables_error)?;
        if let Some((Footing::ReadOnly, why)) = hindered {
            return Store::open_to_read(options, (identity, lock, space), (tables, built_from), why);
        }
        let footing = hindered.as_ref().map_or(Footing::Whole, |(footing, _)| *footing);
        let seed = u64::from_be_bytes(identity.secret[..8].try_into().expect("8 of 32 bytes"));
        let mut journal_options = JournalOptions::new(identity.epoch, seed);
        journal_options.known = applied;
        journal_options.segment_bytes = options.sizes.segment_bytes;
        let (journal, report) = Journal::open(Arc::new(OsDisk), &dir.join("journal"), journal_options)?;
        let view = journal.view();
        if view.durable().0 + 1 < journal.next_seq().0 {
            // The disk turned read-only over the last group: tables without it must not go on. The next start only reads.
            let error = std::io::ErrorKind::ReadOnlyFilesystem.into();
            return Err(StorageError::disk(DiskOp::SyncData, &dir.join("journal"), error));
        }
        let keeper = Keeper::default();
        keeper.lost(&report.gaps);
        let mut newest = view.reader(view.durable());
        let newest = newest.next().ok().flatten().map(|raw| (raw.seq, raw.payload));
        let vault = Vault::open(dir, identity.secret, newest)?;
        let caught_up = catch_up(dir, (&tables, applied), &view, (&*options.roll, &vault, request_days))?;
        if vault.is_forgetting() && footing == Footing::Whole {
            super::follow::forget(&place, &tables, identity.epoch, &vault)?;
        }
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
            keeper: keeper.clone(),
            vault: vault.clone(),
            pruned: Seq(0),
            tell: tell.clone(),
        };
        let follower = Follower {
            covered: Covered::of(&place)?,
            sizes: options.sizes,
            place,
            vault: vault.clone(),
            epoch: identity.epoch,
            keeper: keeper.clone(),
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
        let recovered = Recovered {
            journal: report,
            tables_set_aside: set_aside,
            built_from,
            copied_from,
            applied: caught_up,
            hindered: hindered.map(|(_, why)| why),
        };
        let reader = view.reader(Seq(1));
        let store = Store {
            dir: dir.clone(),
            footing,
            hindered: recovered.hindered.as_ref().and_then(|why| Code::parse(why.code())),
            space,
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
            vault,
            keeper,
            threads,
            _tell: None,
            _lock: lock,
        };
        Ok((store, recovered))
    }

    /// Opens what can only be read: the journal as far as it checks, the tables in memory.
    fn open_to_read(
        options: StoreOptions,
        (identity, lock, space): (BoxIdentity, DirLock, Space),
        (tables, built_from): (Tables, Option<Seq>),
        why: StorageError,
    ) -> Result<(Store, Recovered)> {
        let dir = options.dir;
        let request_days = usize::try_from(options.request_days).unwrap_or_default();
        let view = JournalView::look(Arc::new(OsDisk), &dir.join("journal"))?;
        let applied = tables.applied().map_err(tables_error)?;
        let vault = Vault::look(&dir, identity.secret)?;
        let caught_up = catch_up(&dir, (&tables, applied), &view, (&*options.roll, &vault, request_days))?;
        let active = tables.active().map_err(tables_error)?;
        let last = view.durable().max(applied);
        let recovered =
            Recovered { built_from, applied: caught_up, hindered: Some(why), ..Recovered::default() };
        let reader = view.reader(Seq(1));
        let store = Store {
            dir,
            footing: Footing::ReadOnly,
            hindered: recovered.hindered.as_ref().and_then(|why| Code::parse(why.code())),
            space,
            identity,
            tables,
            view,
            reader,
            overlay: Overlay::default(),
            cache: ReadCache::default(),
            active,
            next: Seq(last.0 + 1),
            durable: Arc::new(AtomicU64::new(last.0)),
            followed: Arc::new(AtomicU64::new(last.0)),
            to_commit: None,
            encoder: Encoder::default(),
            vault,
            keeper: Keeper::default(),
            threads: Vec::new(),
            _tell: Some(options.tell),
            _lock: lock,
        };
        Ok((store, recovered))
    }

    /// The tables, for who reads many of their records beside the loop.
    pub fn tables(&self) -> Tables {
        self.tables.clone()
    }

    /// What the disk allows: less than the whole once the tables had to leave it.
    pub fn footing(&self) -> Footing {
        match self.footing {
            Footing::Whole if self.tables.is_memory() => Footing::JournalOnly,
            footing => footing,
        }
    }

    /// Why it does not stand on the whole disk, where it does not since it was opened.
    pub fn hindered(&self) -> Option<Code> {
        self.hindered
    }

    /// The room on its disk.
    pub fn space(&self) -> Space {
        self.space.clone()
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

    /// Who the journal's numbers are, for reading from other threads.
    pub fn vault(&self) -> Vault {
        self.vault.clone()
    }

    /// The journal, for reading from other threads.
    pub fn journal(&self) -> JournalView {
        self.view.clone()
    }

    /// The journal's upkeep, for those who read it from other threads.
    pub fn keeper(&self) -> Keeper {
        self.keeper.clone()
    }

    /// The last durable decision.
    pub fn durable(&self) -> Seq {
        Seq(self.durable.load(Ordering::Acquire))
    }

    /// The last decision the tables hold.
    pub fn followed(&self) -> Seq {
        Seq(self.followed.load(Ordering::Acquire))
    }

    /// What the decisions that the tables include come to; nothing if the tables cannot say.
    pub fn tally(&self) -> Option<Tally> {
        self.tables.tally().ok()
    }

    /// May one more decision be made? If not, answer 503.
    pub fn has_room(&self) -> bool {
        if self.footing == Footing::ReadOnly {
            return false;
        }
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
            Some(bytes) => Ok(read_bytes(seq, bytes, &self.vault)),
            None => read_decision(&mut self.reader, seq, (&self.keeper, &self.vault)),
        }
    }

    /// Sends a decision on its way to the disk. It counts at once for `load`; it is durable when told so.
    pub fn commit(&mut self, entry: &Entry) -> Result<()> {
        assert_eq!(entry.seq, self.next, "decisions are committed in the order they were made");
        self.next = Seq(entry.seq.0 + 1);
        match &entry.input {
            Input::Activate(_) | Input::Forget(_) => self.cache.close_until(entry.seq),
            _ => self.cache.changed(&entry.changes),
        }
        let (bytes, named) = self.vault.seal(&mut self.encoder, entry)?;
        let applying = Applying::of(entry, &self.vault);
        self.overlay.forget(self.durable(), self.followed());
        self.overlay.add(&applying, bytes.clone());
        let Some(queue) = &self.to_commit else { return Err(StorageError::Poisoned) };
        queue.send(Written { bytes, named, applying }).map_err(|_| StorageError::Poisoned)
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
fn read_decision(reader: &mut Reader, seq: Seq, (keeper, vault): (&Keeper, &Vault)) -> Result<Option<Entry>> {
    if reader.position() != seq {
        reader.seek(seq);
    }
    match reader.next() {
        Ok(Some(raw)) if raw.seq == seq => Ok(read_bytes(seq, raw.payload, vault)),
        Ok(_) => Ok(None),
        Err(StorageError::Pruned { .. } | StorageError::Gap { .. }) => Ok(None),
        Err(error @ StorageError::Damaged { .. }) => {
            tracing::error!(%error, code = error.code(), "a decision is not served; its segment is set aside");
            keeper.damaged(seq);
            Ok(None)
        }
        Err(error) => Err(error),
    }
}

fn read_bytes(seq: Seq, bytes: &[u8], vault: &Vault) -> Option<Entry> {
    match vault.decode(bytes) {
        Ok(entry) => Some(entry),
        Err(fault) => {
            tracing::error!(seq = seq.0, %fault, "a decision of the journal cannot be read");
            None
        }
    }
}

/// What the tables take of a decision.
#[derive(Clone)]
pub(super) struct Applying {
    pub(super) seq: Seq,
    pub(super) at: UnixMs,
    /// The bundle that became active with it.
    pub(super) activation: Option<BundleRef>,
    pub(super) changes: Arc<[Change]>,
    pub(super) epoch: Epoch,
    /// What it counts for.
    pub(super) totals: Totals,
    /// Somebody is forgotten with it.
    pub(super) forgets: bool,
}

impl Applying {
    pub(super) fn of(entry: &Entry, vault: &Vault) -> Applying {
        let activation = match &entry.input {
            Input::Activate(reference) => Some(reference.clone()),
            _ => None,
        };
        let (changes, totals) = (vault.without_forgotten(&entry.changes), entry.totals());
        let forgets = matches!(entry.input, Input::Forget(_));
        Applying { seq: entry.seq, at: entry.at, activation, changes, epoch: entry.epoch, totals, forgets }
    }
}

/// A decision on its way to the disk.
struct Written {
    bytes: Arc<[u8]>,
    /// It uses numbers that the vault has given since.
    named: bool,
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
    keeper: Keeper,
    vault: Vault,
    pruned: Seq,
    tell: Arc<dyn Fn(Progress) + Send + Sync>,
}

impl Committer {
    fn run(mut self) {
        let mut waiting: Vec<Written> = Vec::with_capacity(limits::GROUP_DECISIONS_MAX);
        loop {
            if waiting.is_empty() {
                match self.queue.recv_timeout(Duration::from_millis(limits::UPKEEP_EVERY_MS)) {
                    Ok(first) => waiting.push(first),
                    Err(RecvTimeoutError::Disconnected) => return,
                    Err(RecvTimeoutError::Timeout) => match self.upkeep() {
                        Ok(()) => continue,
                        Err(error) => return self.failed(&error),
                    },
                }
            }
            let room = limits::GROUP_DECISIONS_MAX - waiting.len();
            waiting.extend(self.queue.try_iter().take(room));
            let group = prefix_that_fits(&waiting).max(1);
            if let Err(error) = self.commit(&waiting[..group]) {
                return self.failed(&error);
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
            if let Err(error) = self.upkeep() {
                return self.failed(&error);
            }
        }
    }

    fn failed(&self, error: &StorageError) {
        tracing::error!(%error, code = error.code(), "the disk failed; nothing more is acknowledged");
        (self.tell)(Progress::Failed(format!("{error} ({})", error.code())));
    }

    /// Between two groups: what does not check is set aside, what nobody needs goes.
    fn upkeep(&mut self) -> Result<()> {
        if let Some(seq) = self.keeper.take_damaged()
            && let Some(repaired) = self.journal.repair(seq)?
        {
            tracing::error!(?repaired, code = "AIS-5011", "a damaged part of the journal is set aside");
            self.keeper.lost(&repaired.missing);
        }
        let prunable = self.keeper.prunable();
        if prunable > self.pruned {
            self.pruned = prunable;
            let pruned = self.journal.prune(prunable)?;
            if pruned.segments > 0 {
                tracing::info!(segments = pruned.segments, first = pruned.first.0, "the journal is pruned");
            }
        }
        Ok(())
    }

    /// One frame, one sync; before it another, of the vault, where the group met somebody for the first time.
    fn commit(&mut self, group: &[Written]) -> Result<()> {
        if group.iter().any(|written| written.named) {
            self.vault.sync()?;
        }
        let range = self.journal.append(group)?;
        assert_eq!(range.first, group[0].applying.seq, "the journal gives the place the engine decided for");
        self.durable.store(range.last.0, Ordering::Release);
        (self.tell)(Progress::Durable(range.last));
        Ok(())
    }
}

/// What keeps the store from standing on the whole disk; nothing if nothing does. An error is a disk that fails otherwise.
fn footing(dir: &Path, space: &Space) -> Result<Option<(Footing, StorageError)>> {
    let full = || StorageError::disk(DiskOp::Write, dir, std::io::ErrorKind::StorageFull.into());
    match probe(dir, limits::START_ROOM_BYTES) {
        Ok(()) if space.has_ballast()? || space.take_ballast()? => return Ok(None),
        // Without the ballast there is room for the journal, not for the tables beside it.
        Ok(()) => return Ok(Some((Footing::JournalOnly, full()))),
        Err(error) if error.is_read_only() => return Ok(Some((Footing::ReadOnly, error))),
        Err(error) if !error.is_full() => return Err(error),
        Err(_) => {}
    }
    if space.drop_ballast()? {
        tracing::warn!(code = "AIS-5002", "the disk is full: the ballast is dropped for the journal");
    }
    match probe(dir, limits::JOURNAL_ROOM_BYTES) {
        Ok(()) => Ok(Some((Footing::JournalOnly, full()))),
        Err(error) if error.is_full() || error.is_read_only() => Ok(Some((Footing::ReadOnly, error))),
        Err(error) => Err(error),
    }
}

/// Can so many bytes be written? What it took is given back.
fn probe(dir: &Path, bytes: usize) -> Result<()> {
    let probe = dir.join("writable");
    if let Err(error) = fs::write(&probe, vec![b'?'; bytes]) {
        // The failure itself is what is told.
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

fn spawn(name: &str, body: impl FnOnce() + Send + 'static) -> Result<JoinHandle<()>> {
    let failed = |error| StorageError::disk(DiskOp::Create, Path::new(name), error);
    Builder::new().name(name.to_owned()).spawn(body).map_err(failed)
}
