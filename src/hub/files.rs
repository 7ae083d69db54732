//! Head office's data on disk: one append-only log per line, and what can be lost without harm beside it.
//!
//! ```text
//! <data>/hub.json                    format, incarnation, whether this directory is a backup copy
//! <data>/backup.json                 how far the backup reaches, for people
//! <data>/lender.log                  [magic 16] then frames [length u32][CRC32C u32][record of the lender, MessagePack]
//! <data>/lock                        held by the running head office
//! <data>/stores/<store>/<epoch>.log  [magic 16][base u64][epoch u64] then frames [length u32][CRC32C u32][body]
//! <data>/stores/<store>/quarantine.log  frames of what came under a taken key
//! <data>/stores/<store>/seen.json    the last hello, for people
//! ```
//! A body is `[kind u8][seq u64]` and `[hash 16][bytes]`, `[hash 16]` or `[through u64]`, in the quarantine
//! `[epoch u64][hash 16][bytes]`; integers little-endian.
//!
//! Invariants: `commit` returns after everything appended is written and synced, new files' directories included. A log
//! ends at its first frame that does not check; what is behind it is set aside beside the log (`.tail`), and shops
//! send it again. A backup is a prefix of the logs; a directory that is one says so, and opening it as
//! head office's data makes a new incarnation: one that no head office had before, though the same backup is opened twice,
//! because it is at least the second (of Unix time) it is opened in.

use std::collections::{BTreeMap, BTreeSet};
use std::fmt;
use std::fs::{self, File, OpenOptions};
use std::io::{self, Write};
use std::os::unix::fs::FileExt;
use std::path::{Path, PathBuf};

use serde::{Deserialize, Serialize};

use crate::domain::calendar::UnixMs;
use crate::domain::ids::{Epoch, Seq, StoreId};
use crate::limits;
use crate::upstream::wire::EntryHash;

mod folding;

use super::fold::Fold;
use super::ledger::{self, Conflict, Ledger, Record};
use super::lender::{self, Lender};

const MAGIC: &[u8; 16] = b"aisled-hub-log\0\x01";
const LENDER_MAGIC: &[u8; 16] = b"aisled-hub-lend\x02";
/// Of logs that hold neither numbers of a series nor answered words.
const LENDER_MAGIC_1: &[u8; 16] = b"aisled-hub-lend\x01";
const LENDER_LOG: &str = "lender.log";
const HEAD_BYTES: usize = 32;
const FRAME_HEAD_BYTES: usize = 8;
const FORMAT: u32 = 1;

/// Why head office's data cannot be used. Fits after "failed to".
#[derive(Debug)]
pub enum FilesError {
    /// The system refused an operation on a file.
    Io {
        /// What was tried.
        op: &'static str,
        /// On which file.
        path: PathBuf,
        /// What the system said.
        cause: io::Error,
    },
    /// Another head office runs on this directory.
    Locked(PathBuf),
    /// Written by a newer build, or by something else.
    Format(PathBuf),
}

impl fmt::Display for FilesError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            FilesError::Io { op, path, cause } => write!(f, "{op} {}: {cause}", path.display()),
            FilesError::Locked(dir) => write!(f, "use {}: another head office runs on it", dir.display()),
            FilesError::Format(path) => write!(f, "read {}: not a format this build knows", path.display()),
        }
    }
}

impl std::error::Error for FilesError {}

fn at<'a>(op: &'static str, path: &'a Path) -> impl FnOnce(io::Error) -> FilesError + 'a {
    move |cause| FilesError::Io { op, path: path.to_owned(), cause }
}

/// `hub.json`
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
struct Meta {
    format: u32,
    incarnation: u64,
    copy: bool,
    /// Whether durable means "in the backup" here, and not merely "on disk".
    #[serde(default)]
    backup: bool,
}

/// `backup.json`: through where the backup holds each line, by "<store>/<epoch>". For people; may be behind.
type Covered = BTreeMap<String, Seq>;

/// What a shop last said of itself.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Seen {
    /// The epoch of its box.
    pub epoch: Epoch,
    /// The bundle it runs on.
    pub bundle: Option<u64>,
    /// The program's version.
    pub program: String,
    /// One past its newest entry.
    pub next: Seq,
    /// When it said so.
    pub at: UnixMs,
}

/// What the files say.
#[derive(Debug)]
pub struct Loaded {
    /// Who sent what.
    pub ledger: Ledger,
    /// What it says.
    pub fold: Fold,
    /// The last hellos.
    pub seen: BTreeMap<StoreId, Seen>,
    /// Who was lent what.
    pub lender: Lender,
    /// Conflicting entries kept, by store.
    pub quarantined: BTreeMap<StoreId, u64>,
}

#[derive(Debug)]
struct Log {
    path: PathBuf,
    file: File,
    len: u64,
    pending: Vec<u8>,
}

/// The open files of a running head office.
#[derive(Debug)]
pub struct Files {
    dir: PathBuf,
    /// Held as long as this lives.
    _lock: File,
    backup_follows: bool,
    logs: BTreeMap<(StoreId, Epoch), Log>,
    quarantines: BTreeMap<StoreId, Log>,
    lender: Log,
    dirty_dirs: BTreeSet<PathBuf>,
    /// How far each log was copied to the backup by this process.
    backed: BTreeMap<PathBuf, u64>,
    /// The lender's log is folded once it is so long.
    fold_at: u64,
}

fn read_meta(dir: &Path) -> Result<Option<Meta>, FilesError> {
    let path = dir.join("hub.json");
    let bytes = match fs::read(&path) {
        Ok(bytes) => bytes,
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(None),
        Err(error) => return Err(at("read", &path)(error)),
    };
    match serde_json::from_slice::<Meta>(&bytes) {
        Ok(meta) if meta.format == FORMAT => Ok(Some(meta)),
        _ => Err(FilesError::Format(path)),
    }
}

fn sync_dir(dir: &Path) -> Result<(), FilesError> {
    File::open(dir).and_then(|handle| handle.sync_all()).map_err(at("sync", dir))
}

/// Written beside and moved over, so that there is always a whole one.
fn replace(path: &Path, bytes: &[u8], durable: bool) -> Result<(), FilesError> {
    let new = path.with_extension("new");
    let mut file = File::create(&new).map_err(at("create", &new))?;
    file.write_all(bytes).map_err(at("write", &new))?;
    if durable {
        file.sync_all().map_err(at("sync", &new))?;
    }
    fs::rename(&new, path).map_err(at("replace", path))?;
    match path.parent() {
        Some(parent) if durable => sync_dir(parent),
        _ => Ok(()),
    }
}

fn write_meta(dir: &Path, incarnation: u64, (copy, backup): (bool, bool)) -> Result<(), FilesError> {
    let meta = Meta { format: FORMAT, incarnation, copy, backup };
    let text = serde_json::to_vec(&meta).expect("three plain fields");
    replace(&dir.join("hub.json"), &text, true)
}

fn push_frame(buffer: &mut Vec<u8>, kind: u8, seq: Seq, parts: [&[u8]; 2]) {
    let mut body = Vec::with_capacity(9 + parts[0].len() + parts[1].len());
    body.push(kind);
    body.extend_from_slice(&seq.0.to_le_bytes());
    body.extend_from_slice(parts[0]);
    body.extend_from_slice(parts[1]);
    push_body(buffer, &body);
}

fn push_body(buffer: &mut Vec<u8>, body: &[u8]) {
    buffer.extend_from_slice(&(body.len() as u32).to_le_bytes());
    buffer.extend_from_slice(&crc32c::crc32c(body).to_le_bytes());
    buffer.extend_from_slice(body);
}

fn push_record(buffer: &mut Vec<u8>, record: &Record) {
    match record {
        Record::Entry { seq, hash, bytes } => push_frame(buffer, 0, *seq, [&hash.0, bytes]),
        Record::Withheld { seq, hash } => push_frame(buffer, 1, *seq, [&hash.0, &[]]),
        Record::Hole { from, through } => push_frame(buffer, 2, *from, [&through.0.to_le_bytes(), &[]]),
    }
}

fn read_record(body: &[u8]) -> Option<Record> {
    let (kind, rest) = body.split_first()?;
    let (seq, rest) = rest.split_first_chunk::<8>()?;
    let seq = Seq(u64::from_le_bytes(*seq));
    match kind {
        0 | 1 => {
            let (hash, bytes) = rest.split_first_chunk::<16>()?;
            let hash = EntryHash(*hash);
            Some(match kind {
                0 => Record::Entry { seq, hash, bytes: bytes.to_vec() },
                _ => Record::Withheld { seq, hash },
            })
        }
        2 => {
            let (through, _) = rest.split_first_chunk::<8>()?;
            Some(Record::Hole { from: seq, through: Seq(u64::from_le_bytes(*through)) })
        }
        _ => None,
    }
}

/// Calls `each` with every intact body from `from` on; returns where they end. `each` may refuse one.
fn scan(file: &File, from: u64, mut each: impl FnMut(&[u8]) -> bool) -> io::Result<u64> {
    let mut end = from;
    let mut head = [0; FRAME_HEAD_BYTES];
    let mut body = Vec::new();
    while read_whole(file, &mut head, end)? {
        let length = u32::from_le_bytes([head[0], head[1], head[2], head[3]]) as usize;
        if length > limits::FRAME_PAYLOAD_BYTES_MAX + 64 {
            break;
        }
        body.resize(length, 0);
        let whole = read_whole(file, &mut body, end + FRAME_HEAD_BYTES as u64)?;
        if !whole || crc32c::crc32c(&body).to_le_bytes() != head[4..8] || !each(&body) {
            break;
        }
        end += (FRAME_HEAD_BYTES + length) as u64;
    }
    Ok(end)
}

/// False if the file ends first.
fn read_whole(file: &File, buffer: &mut [u8], offset: u64) -> io::Result<bool> {
    match file.read_exact_at(buffer, offset) {
        Ok(()) => Ok(true),
        Err(error) if error.kind() == io::ErrorKind::UnexpectedEof => Ok(false),
        Err(error) => Err(error),
    }
}

/// The stores' directories, by name.
fn store_dirs(dir: &Path) -> Result<Vec<(StoreId, PathBuf)>, FilesError> {
    let stores = dir.join("stores");
    let entries = match fs::read_dir(&stores) {
        Ok(entries) => entries,
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(Vec::new()),
        Err(error) => return Err(at("list", &stores)(error)),
    };
    let mut found = Vec::new();
    for entry in entries {
        let path = entry.map_err(at("list", &stores))?.path();
        let name = path.file_name().and_then(|name| name.to_str());
        if let Some(store) = name.and_then(|name| StoreId::new(name).ok()) {
            found.push((store, path));
        }
    }
    found.sort();
    Ok(found)
}

/// The epochs that have a log here, rising.
fn epochs(dir: &Path) -> Result<Vec<Epoch>, FilesError> {
    let mut epochs = Vec::new();
    for entry in fs::read_dir(dir).map_err(at("list", dir))? {
        let name = entry.map_err(at("list", dir))?.file_name();
        let number = name.to_str().and_then(|name| name.strip_suffix(".log")).and_then(|n| n.parse().ok());
        epochs.extend(number.map(Epoch));
    }
    epochs.sort();
    Ok(epochs)
}

/// The header's base, if it is a log of this epoch.
fn read_head(file: &File, epoch: Epoch) -> io::Result<Option<Seq>> {
    let mut head = [0; HEAD_BYTES];
    if !read_whole(file, &mut head, 0)? || head[..16] != MAGIC[..] || head[24..32] != epoch.0.to_le_bytes() {
        return Ok(None);
    }
    let base = head[16..24].first_chunk::<8>().map(|base| u64::from_le_bytes(*base));
    Ok(base.map(Seq))
}

/// Reads everything; with `logs`, opens the logs for writing and cuts them where they stop checking.
fn load(
    dir: &Path,
    incarnation: u64,
    mut logs: Option<&mut BTreeMap<(StoreId, Epoch), Log>>,
) -> Result<Loaded, FilesError> {
    let mut loaded = Loaded {
        ledger: Ledger::new(incarnation),
        fold: Fold::default(),
        seen: BTreeMap::new(),
        lender: Lender::new(incarnation, false),
        quarantined: BTreeMap::new(),
    };
    // Words first: an entry answers words that were said before it.
    load_lender(dir, &mut loaded.lender)?;
    for (store, dir) in store_dirs(dir)? {
        for epoch in epochs(&dir)? {
            let path = dir.join(format!("{}.log", epoch.0));
            let file = OpenOptions::new().read(true).write(logs.is_some()).open(&path);
            let file = file.map_err(at("open", &path))?;
            let mut end = 0;
            if let Some(base) = read_head(&file, epoch).map_err(at("read", &path))? {
                loaded.ledger.replay_line(&store, epoch, base);
                let each = |body: &[u8]| {
                    let Some(record) = read_record(body) else { return false };
                    if !loaded.ledger.replay(&store, epoch, &record) {
                        return false;
                    }
                    match &record {
                        Record::Entry { seq, bytes, .. } => match loaded.fold.entry(&store, *seq, bytes) {
                            Some(entry) => loaded.lender.entry(&store, epoch, *seq, &entry),
                            None => {
                                loaded.ledger.park(&store, epoch, *seq);
                                loaded.lender.unread(&store, epoch);
                            }
                        },
                        Record::Withheld { .. } | Record::Hole { .. } => loaded.lender.unread(&store, epoch),
                    }
                    true
                };
                end = scan(&file, HEAD_BYTES as u64, each).map_err(at("read", &path))?;
                if let Some((through, whole)) = loaded.ledger.read_through(&store, epoch) {
                    loaded.lender.line(&store, epoch, through, whole);
                }
            }
            if let Some(logs) = logs.as_deref_mut() {
                set_tail_aside(&file, &path, end)?;
                if end > 0 {
                    let log = Log { path, file, len: end, pending: Vec::new() };
                    logs.insert((store.clone(), epoch), log);
                } else {
                    fs::remove_file(&path).map_err(at("remove", &path))?;
                }
            }
        }
        let path = dir.join("quarantine.log");
        if let Ok(file) = File::open(&path) {
            let mut count = 0;
            scan(&file, 0, |_| {
                count += 1;
                true
            })
            .map_err(at("read", &path))?;
            loaded.quarantined.insert(store.clone(), count);
        }
        if let Some(seen) = fs::read(dir.join("seen.json")).ok().and_then(|t| serde_json::from_slice(&t).ok())
        {
            loaded.seen.insert(store, seen);
        }
    }
    loaded.lender.replayed();
    Ok(loaded)
}

/// Reads the lender's log into it; returns where it ends, 0 if there is none.
fn load_lender(dir: &Path, lender: &mut Lender) -> Result<u64, FilesError> {
    read_lender(&dir.join(LENDER_LOG), |record| lender.replay(&record))
}

/// Calls `each` with every record of a lender's log; returns where they end. `each` may refuse one.
fn read_lender(path: &Path, mut each: impl FnMut(lender::Record) -> bool) -> Result<u64, FilesError> {
    let file = match File::open(path) {
        Ok(file) => file,
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(0),
        Err(error) => return Err(at("open", path)(error)),
    };
    let mut magic = [0; LENDER_MAGIC.len()];
    if !read_whole(&file, &mut magic, 0).map_err(at("read", path))? {
        return Ok(0);
    }
    if magic != *LENDER_MAGIC && magic != *LENDER_MAGIC_1 {
        return Err(FilesError::Format(path.to_owned()));
    }
    let each = |body: &[u8]| rmp_serde::from_slice(body).is_ok_and(&mut each);
    scan(&file, magic.len() as u64, each).map_err(at("read", path))
}

/// Opens the lender's log for writing, cut where it stops checking.
fn open_lender(dir: &Path) -> Result<Log, FilesError> {
    let path = dir.join(LENDER_LOG);
    let end = load_lender(dir, &mut Lender::new(u64::MAX, false))?;
    let file = OpenOptions::new().read(true).write(true).create(true).truncate(false).open(&path);
    let file = file.map_err(at("open", &path))?;
    set_tail_aside(&file, &path, end)?;
    let pending = if end == 0 { LENDER_MAGIC.to_vec() } else { Vec::new() };
    Ok(Log { path, file, len: end, pending })
}

/// What stands behind the last frame that checks goes to a file of its own.
fn set_tail_aside(file: &File, path: &Path, end: u64) -> Result<(), FilesError> {
    let len = file.metadata().map_err(at("read", path))?.len();
    if len <= end {
        return Ok(());
    }
    let mut tail = vec![0; usize::try_from(len - end).unwrap_or(usize::MAX)];
    file.read_exact_at(&mut tail, end).map_err(at("read", path))?;
    replace(&path.with_extension(format!("{end}.tail")), &tail, true)?;
    file.set_len(end).map_err(at("cut", path))?;
    file.sync_all().map_err(at("sync", path))?;
    tracing::warn!(log = %path.display(), bytes = len - end, "cut a log where it stops checking; shops send it again");
    Ok(())
}

/// Reads head office's data while it may be running; changes nothing.
pub fn inspect(dir: &Path) -> Result<Loaded, FilesError> {
    let meta = read_meta(dir)?.ok_or_else(|| FilesError::Io {
        op: "read",
        path: dir.join("hub.json"),
        cause: io::ErrorKind::NotFound.into(),
    })?;
    let mut loaded = load(dir, meta.incarnation, None)?;
    let text = fs::read(dir.join("backup.json")).unwrap_or_default();
    let covered: Covered = serde_json::from_slice(&text).unwrap_or_default();
    let stores: Vec<StoreId> = loaded.ledger.stores().cloned().collect();
    for store in stores {
        for line in loaded.ledger.lines(&store) {
            let through = covered.get(&format!("{store}/{}", line.epoch.0)).copied();
            let through = if meta.backup { through.unwrap_or_default() } else { line.applied_through };
            loaded.ledger.covered(&store, line.epoch, through);
        }
    }
    Ok(loaded)
}

/// Changes what is lent, durably, while head office does not run.
pub fn amend<T>(dir: &Path, now: UnixMs, change: impl FnOnce(&mut Lender) -> T) -> Result<T, FilesError> {
    let meta = read_meta(dir)?.ok_or_else(|| FilesError::Io {
        op: "read",
        path: dir.join("hub.json"),
        cause: io::ErrorKind::NotFound.into(),
    })?;
    let (mut files, mut loaded) = Files::open(dir, meta.backup, now)?;
    let changed = change(&mut loaded.lender);
    files.lend(&loaded.lender.take_records());
    files.commit()?;
    Ok(changed)
}

/// Calls `each` with every entry of one line that its log holds whole, in the file's order, for whoever audits head
/// office against a shop. May run beside head office; changes nothing.
pub fn entries(
    dir: &Path,
    store: &StoreId,
    epoch: Epoch,
    mut each: impl FnMut(Seq, &[u8]),
) -> Result<(), FilesError> {
    let path = dir.join("stores").join(store.as_str()).join(format!("{}.log", epoch.0));
    let file = File::open(&path).map_err(at("open", &path))?;
    let body = |body: &[u8]| {
        let record = read_record(body);
        if let Some(Record::Entry { seq, bytes, .. }) = &record {
            each(*seq, bytes);
        }
        record.is_some()
    };
    scan(&file, HEAD_BYTES as u64, body).map(drop).map_err(at("read", &path))
}

/// Copies to `path` what it lacks of a committed log; true if the file is new there.
fn copy_on(log: &Log, path: &Path, backed: &mut BTreeMap<PathBuf, u64>) -> Result<bool, FilesError> {
    let done = backed.get(path).copied();
    if done == Some(log.len) {
        return Ok(false);
    }
    // What another run copied may be of another history: the first copy of each log begins anew.
    let target = if done.is_some() { path.to_owned() } else { path.with_extension("new") };
    let file = OpenOptions::new().create(true).truncate(done.is_none()).write(true).open(&target);
    let file = file.map_err(at("open", &target))?;
    let mut offset = done.unwrap_or(0);
    let mut piece = vec![0; 1024 * 1024];
    while offset < log.len {
        let wanted = piece.len().min(usize::try_from(log.len - offset).unwrap_or(usize::MAX));
        log.file.read_exact_at(&mut piece[..wanted], offset).map_err(at("read", &log.path))?;
        file.write_all_at(&piece[..wanted], offset).map_err(at("write", &target))?;
        offset += wanted as u64;
    }
    file.sync_all().map_err(at("sync", &target))?;
    if done.is_none() {
        fs::rename(&target, path).map_err(at("replace", path))?;
    }
    backed.insert(path.to_owned(), log.len);
    Ok(done.is_none())
}

impl Files {
    /// Opens or makes head office's data. Without a backup to come, everything on disk counts as durable.
    /// `now` is when: a copy that is opened becomes an incarnation after it.
    pub fn open(dir: &Path, backup_follows: bool, now: UnixMs) -> Result<(Files, Loaded), FilesError> {
        fs::create_dir_all(dir.join("stores")).map_err(at("create", dir))?;
        let lock_path = dir.join("lock");
        let lock = OpenOptions::new().create(true).truncate(false).write(true).open(&lock_path);
        let lock = lock.map_err(at("open", &lock_path))?;
        let exclusive = rustix::fs::FlockOperation::NonBlockingLockExclusive;
        rustix::fs::flock(&lock, exclusive).map_err(|_| FilesError::Locked(dir.to_owned()))?;
        let meta = read_meta(dir)?.unwrap_or(Meta {
            format: FORMAT,
            incarnation: 1,
            copy: false,
            backup: backup_follows,
        });
        let incarnation = if meta.copy { ledger::restored(meta.incarnation, now) } else { meta.incarnation };
        write_meta(dir, incarnation, (false, backup_follows))?;
        let mut logs = BTreeMap::new();
        let mut loaded = load(dir, incarnation, Some(&mut logs))?;
        if !backup_follows || meta.copy {
            for (store, epoch) in logs.keys() {
                loaded.ledger.backed_up(store, *epoch);
            }
        }
        loaded.lender.set_backup(backup_follows);
        let lender = open_lender(dir)?;
        let mut magic = *LENDER_MAGIC;
        read_whole(&lender.file, &mut magic, 0).map_err(at("read", &lender.path))?;
        // An older version must not take what it does not know for damage: the first commit writes the log anew.
        let fold_at = if magic == *LENDER_MAGIC { limits::LENDER_LOG_BYTES } else { 0 };
        sync_dir(dir)?;
        let files = Files {
            lender,
            dir: dir.to_owned(),
            _lock: lock,
            backup_follows,
            logs,
            quarantines: BTreeMap::new(),
            dirty_dirs: BTreeSet::new(),
            backed: BTreeMap::new(),
            fold_at,
        };
        Ok((files, loaded))
    }

    fn store_dir(&mut self, store: &StoreId) -> Result<PathBuf, FilesError> {
        let stores = self.dir.join("stores");
        let dir = stores.join(store.as_str());
        if !dir.is_dir() {
            fs::create_dir_all(&dir).map_err(at("create", &dir))?;
            self.dirty_dirs.insert(stores);
        }
        Ok(dir)
    }

    /// Takes records of a line that begins at `base`; durable after `commit`.
    pub fn append(
        &mut self,
        (store, epoch): (&StoreId, Epoch),
        base: Seq,
        records: &[Record],
    ) -> Result<(), FilesError> {
        let key = (store.clone(), epoch);
        if !self.logs.contains_key(&key) {
            let dir = self.store_dir(store)?;
            let path = dir.join(format!("{}.log", epoch.0));
            let file = OpenOptions::new().read(true).write(true).create_new(true).open(&path);
            let file = file.map_err(at("create", &path))?;
            let mut pending = MAGIC.to_vec();
            pending.extend_from_slice(&base.0.to_le_bytes());
            pending.extend_from_slice(&epoch.0.to_le_bytes());
            self.dirty_dirs.insert(dir);
            self.logs.insert(key.clone(), Log { path, file, len: 0, pending });
        }
        if let Some(log) = self.logs.get_mut(&key) {
            records.iter().for_each(|record| push_record(&mut log.pending, record));
        }
        Ok(())
    }

    /// Keeps conflicting entries for a human; durable after `commit`.
    pub fn quarantine(
        &mut self,
        store: &StoreId,
        epoch: Epoch,
        conflicts: &[Conflict],
    ) -> Result<(), FilesError> {
        if !self.quarantines.contains_key(store) {
            let dir = self.store_dir(store)?;
            let path = dir.join("quarantine.log");
            let file = OpenOptions::new().read(true).write(true).create(true).truncate(false).open(&path);
            let file = file.map_err(at("open", &path))?;
            let len = scan(&file, 0, |_| true).map_err(at("read", &path))?;
            self.dirty_dirs.insert(dir);
            self.quarantines.insert(store.clone(), Log { path, file, len, pending: Vec::new() });
        }
        if let Some(log) = self.quarantines.get_mut(store) {
            for conflict in conflicts {
                let mut key = epoch.0.to_le_bytes().to_vec();
                key.extend_from_slice(&conflict.hash.0);
                push_frame(&mut log.pending, 3, conflict.seq, [&key, &conflict.bytes]);
            }
        }
        Ok(())
    }

    /// Takes records of the lender; durable after `commit`.
    pub fn lend(&mut self, records: &[lender::Record]) {
        for record in records {
            let body = rmp_serde::to_vec_named(record).expect("a record has string keys and known lengths");
            push_body(&mut self.lender.pending, &body);
        }
    }

    /// Writes and syncs what was appended. After an error nothing may be answered any more.
    pub fn commit(&mut self) -> Result<(), FilesError> {
        let logs = self.logs.values_mut().chain(self.quarantines.values_mut());
        for log in logs.chain([&mut self.lender]) {
            if log.pending.is_empty() {
                continue;
            }
            log.file.write_all_at(&log.pending, log.len).map_err(at("write", &log.path))?;
            log.file.sync_data().map_err(at("sync", &log.path))?;
            log.len += log.pending.len() as u64;
            log.pending.clear();
        }
        std::mem::take(&mut self.dirty_dirs).iter().try_for_each(|dir| sync_dir(dir))
    }

    /// Head office is another incarnation from now on.
    pub fn renewed(&self, incarnation: u64) -> Result<(), FilesError> {
        write_meta(&self.dir, incarnation, (false, self.backup_follows))
    }

    /// Keeps a hello for people; may be lost.
    pub fn seen(&mut self, store: &StoreId, seen: &Seen) -> Result<(), FilesError> {
        let path = self.store_dir(store)?.join("seen.json");
        let text = serde_json::to_vec(seen).expect("plain fields");
        replace(&path, &text, false)
    }

    /// Keeps for people how far the backup reaches; may be lost.
    pub fn note_backup(&self, ledger: &Ledger) -> Result<(), FilesError> {
        let mut covered = Covered::new();
        for store in ledger.stores() {
            let lines = ledger.lines(store).into_iter();
            covered.extend(lines.map(|line| (format!("{store}/{}", line.epoch.0), line.durable_through)));
        }
        let text = serde_json::to_vec(&covered).expect("text keys and numbers");
        replace(&self.dir.join("backup.json"), &text, false)
    }

    /// Copies to `to` what it lacks of the committed logs, durably; returns the lines that it covers.
    pub fn backup(&mut self, to: &Path, incarnation: u64) -> Result<Vec<(StoreId, Epoch)>, FilesError> {
        fs::create_dir_all(to).map_err(at("create", to))?;
        let stores = to.join("stores");
        for ((store, epoch), log) in &self.logs {
            let dir = stores.join(store.as_str());
            if !self.backed.contains_key(&dir.join(format!("{}.log", epoch.0))) {
                fs::create_dir_all(&dir).map_err(at("create", &dir))?;
            }
            if copy_on(log, &dir.join(format!("{}.log", epoch.0)), &mut self.backed)? {
                for dir in [&dir, &stores, &to.to_owned()] {
                    sync_dir(dir)?;
                }
            }
        }
        if copy_on(&self.lender, &to.join(LENDER_LOG), &mut self.backed)? {
            sync_dir(to)?;
        }
        write_meta(to, incarnation, (true, true))?;
        Ok(self.logs.keys().cloned().collect())
    }
}
