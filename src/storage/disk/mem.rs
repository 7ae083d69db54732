//! An emulated disk: a seed decides what a power cut keeps, tears and loses; any operation can be made to fail.
//!
//! Invariants:
//! - The same seed and the same calls give the same disk, to the byte.
//! - What was synced survives [`MemDisk::crash`]. What was not survives whole, in part (sector by sector, or up to a
//!   point) or not at all. A name made, moved or removed without a `sync_dir` may be as before or as after.
//! - A write that fails may have written a part. A sync that fails loses some of what it was to make durable for good,
//!   while reads still show it and a later sync succeeds: what Linux does.
//! - Handles from before a crash are dead.
//!
//! It keeps each file twice, as it reads now and as the platter has it, and the changes that lie between the two.

use std::collections::{BTreeMap, BTreeSet};
use std::io;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use super::{Disk, DiskFile, DiskOp, SECTOR_BYTES};
use crate::storage::error::{Result, StorageError};

/// How an operation fails.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum FaultKind {
    /// The device reports an error.
    Io,
    /// The disk is full.
    NoSpace,
    /// The file system has turned read-only.
    ReadOnly,
}

/// An operation that is to fail.
#[derive(Clone, Copy, Debug)]
pub struct Fault {
    /// Which operation; `None` is any that changes something.
    pub op: Option<DiskOp>,
    /// The how-many-th of them from now on; 1 is the next.
    pub nth: u64,
    /// How.
    pub kind: FaultKind,
    /// Whether all after it fail too.
    pub sticky: bool,
}

/// The emulated disk. Clones are the same disk.
#[derive(Clone, Debug)]
pub struct MemDisk {
    state: Arc<Mutex<State>>,
}

#[derive(Debug)]
struct State {
    random: u64,
    life: u64,
    changes: u64,
    faults: Vec<Fault>,
    read_only: bool,
    capacity: Option<u64>,
    now: Names,
    durable: Names,
    moves: Vec<Move>,
}

#[derive(Clone, Debug, Default)]
struct Names {
    dirs: BTreeSet<PathBuf>,
    files: BTreeMap<PathBuf, Arc<Mutex<Content>>>,
}

/// A change of names that no `sync_dir` has made durable yet.
#[derive(Clone, Debug)]
enum Move {
    Dir(PathBuf),
    Link(PathBuf, Arc<Mutex<Content>>),
    Unlink(PathBuf),
    Rename(PathBuf, PathBuf),
}

#[derive(Debug, Default)]
struct Content {
    now: Vec<u8>,
    durable: Vec<u8>,
    unsynced: Vec<Change>,
}

#[derive(Clone, Debug)]
enum Change {
    Write(u64, Vec<u8>),
    SetLen(u64),
}

#[derive(Debug)]
struct MemFile {
    disk: MemDisk,
    content: Arc<Mutex<Content>>,
    path: PathBuf,
    life: u64,
    writable: bool,
}

fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

impl MemDisk {
    /// An empty disk whose only directory is `/`.
    pub fn new(seed: u64) -> Self {
        let root = Names { dirs: BTreeSet::from([PathBuf::from("/")]), files: BTreeMap::new() };
        let state = State {
            random: seed,
            life: 0,
            changes: 0,
            faults: Vec::new(),
            read_only: false,
            capacity: None,
            now: root.clone(),
            durable: root,
            moves: Vec::new(),
        };
        Self { state: Arc::new(Mutex::new(state)) }
    }

    /// Cuts the power and gives it back: what was not synced is decided by the seed. Faults are cleared.
    pub fn crash(&self) {
        let mut state = lock(&self.state);
        let state = &mut *state;
        let keep_all = next(&mut state.random) % 4;
        for change in std::mem::take(&mut state.moves) {
            // One disk in four had written all of it, one in four none of it: both are likelier than chance would have it.
            if keep_all == 0 || (keep_all != 1 && heads(&mut state.random)) {
                state.durable.apply(&change);
            }
        }
        let dirs = state.durable.dirs.clone();
        state.durable.dirs.retain(|dir| dir.ancestors().all(|above| dirs.contains(above)));
        let dirs = &state.durable.dirs;
        state.durable.files.retain(|path, _| path.parent().is_some_and(|dir| dirs.contains(dir)));
        for content in state.durable.files.values() {
            lock(content).crash(&mut state.random);
        }
        state.now = state.durable.clone();
        state.faults.clear();
        state.life += 1;
    }

    /// Makes an operation fail.
    pub fn fail(&self, fault: Fault) {
        lock(&self.state).faults.push(fault);
    }

    /// Takes all faults back.
    pub fn heal(&self) {
        lock(&self.state).faults.clear();
    }

    /// Turns the whole disk read-only, or back.
    pub fn set_read_only(&self, read_only: bool) {
        lock(&self.state).read_only = read_only;
    }

    /// Bytes the disk holds at most; `None` is no limit.
    pub fn set_capacity(&self, bytes: Option<u64>) {
        lock(&self.state).capacity = bytes;
    }

    /// How many changing operations were tried so far: the length of a sweep that fails each in turn.
    pub fn changes(&self) -> u64 {
        lock(&self.state).changes
    }

    /// The content of a file as it reads now, if it exists.
    pub fn bytes(&self, path: &Path) -> Option<Vec<u8>> {
        let state = lock(&self.state);
        state.now.files.get(path).map(|content| lock(content).now.clone())
    }

    /// Changes a file behind everyone's back, on the platter too: rot. Nothing happens if it does not exist.
    pub fn rot(&self, path: &Path, change: impl FnOnce(&mut Vec<u8>)) {
        let state = lock(&self.state);
        if let Some(content) = state.now.files.get(path) {
            let mut content = lock(content);
            change(&mut content.now);
            content.durable = content.now.clone();
            content.unsynced.clear();
        }
    }

    /// An independent copy of the disk as it is now, with everything on it durable.
    pub fn fork(&self, seed: u64) -> Self {
        let copy = Self::new(seed);
        let state = lock(&self.state);
        let mut names = Names { dirs: state.now.dirs.clone(), files: BTreeMap::new() };
        for (path, content) in &state.now.files {
            let now = lock(content).now.clone();
            let content = Content { durable: now.clone(), now, unsynced: Vec::new() };
            names.files.insert(path.clone(), Arc::new(Mutex::new(content)));
        }
        {
            let mut into = lock(&copy.state);
            into.durable = names.clone();
            into.now = names;
        }
        copy
    }

    /// Counts an operation and says whether it is to fail.
    fn begin(&self, op: DiskOp, path: &Path) -> Result<MutexGuard<'_, State>> {
        let mut state = lock(&self.state);
        let kind = state.strike(op);
        match kind {
            None => Ok(state),
            Some(kind) => Err(kind.error(op, path)),
        }
    }

    fn open(&self, path: &Path, writable: bool) -> Result<Arc<dyn DiskFile>> {
        let state = self.begin(DiskOp::Open, path)?;
        let Some(content) = state.now.files.get(path) else { return Err(absent(DiskOp::Open, path)) };
        if writable && state.read_only {
            return Err(FaultKind::ReadOnly.error(DiskOp::Open, path));
        }
        Ok(self.handle(&state, content.clone(), path, writable))
    }

    fn handle(
        &self,
        state: &State,
        content: Arc<Mutex<Content>>,
        path: &Path,
        writable: bool,
    ) -> Arc<dyn DiskFile> {
        let life = state.life;
        Arc::new(MemFile { disk: self.clone(), content, path: path.to_owned(), life, writable })
    }
}

impl FaultKind {
    fn error(self, op: DiskOp, path: &Path) -> StorageError {
        let source = match self {
            Self::Io => io::Error::other("input/output error (emulated)"),
            Self::NoSpace => io::ErrorKind::StorageFull.into(),
            Self::ReadOnly => io::ErrorKind::ReadOnlyFilesystem.into(),
        };
        StorageError::disk(op, path, source)
    }
}

fn absent(op: DiskOp, path: &Path) -> StorageError {
    StorageError::disk(op, path, io::ErrorKind::NotFound.into())
}

impl State {
    fn strike(&mut self, op: DiskOp) -> Option<FaultKind> {
        self.changes += u64::from(op.changes());
        if self.read_only && op.changes() && !matches!(op, DiskOp::SyncDir | DiskOp::SyncData) {
            return Some(FaultKind::ReadOnly);
        }
        let mut struck = None;
        self.faults.retain_mut(|fault| {
            let hit = fault.op.map_or(op.changes(), |wanted| wanted == op);
            if hit {
                fault.nth = fault.nth.saturating_sub(1);
                if fault.nth == 0 {
                    struck = Some(fault.kind);
                    return fault.sticky;
                }
            }
            true
        });
        struck
    }

    fn record(&mut self, change: Move) {
        self.now.apply(&change);
        self.moves.push(change);
    }

    fn used(&self) -> u64 {
        self.now.files.values().map(|content| lock(content).now.len() as u64).sum()
    }
}

impl Names {
    fn apply(&mut self, change: &Move) {
        match change {
            Move::Dir(path) => {
                self.dirs.insert(path.clone());
            }
            Move::Link(path, content) => {
                self.files.insert(path.clone(), content.clone());
            }
            Move::Unlink(path) => {
                self.files.remove(path);
            }
            Move::Rename(from, to) => {
                if let Some(content) = self.files.remove(from) {
                    self.files.insert(to.clone(), content);
                }
            }
        }
    }
}

impl Move {
    /// The directory whose sync makes the change durable.
    fn home(&self) -> Option<&Path> {
        match self {
            Self::Dir(path) | Self::Link(path, _) | Self::Unlink(path) | Self::Rename(_, path) => {
                path.parent()
            }
        }
    }
}

impl Content {
    fn sync(&mut self) {
        for change in std::mem::take(&mut self.unsynced) {
            change.apply(&mut self.durable);
        }
    }

    /// What a power cut leaves of the unsynced changes.
    fn crash(&mut self, random: &mut u64) {
        self.lose(random);
        self.now = self.durable.clone();
    }

    fn lose(&mut self, random: &mut u64) {
        let changes = std::mem::take(&mut self.unsynced);
        let manner = next(random) % 4;
        let upto = below(random, changes.len() as u64 + 1);
        for (index, change) in (0u64..).zip(changes) {
            match manner {
                0 => {}
                1 => change.apply(&mut self.durable),
                2 if index < upto => change.apply(&mut self.durable),
                2 if index == upto => change.torn(random).apply(&mut self.durable),
                2 => {}
                _ => change.scatter(random, &mut self.durable),
            }
        }
    }
}

impl Change {
    fn apply(&self, bytes: &mut Vec<u8>) {
        match self {
            Self::Write(offset, data) => {
                let from = *offset as usize;
                let to = from + data.len();
                if bytes.len() < to {
                    bytes.resize(to, 0);
                }
                bytes[from..to].copy_from_slice(data);
            }
            Self::SetLen(len) => bytes.resize(*len as usize, 0),
        }
    }

    /// The first part of a write, up to any pair of bytes: what a write that was interrupted leaves. A disk writes sectors whole
    /// and a kernel pages; a journal that is told less than that must still tell torn from rotten.
    fn torn(self, random: &mut u64) -> Self {
        match self {
            Self::Write(offset, mut data) => {
                data.truncate(below(random, data.len() as u64 + 1) as usize & !1);
                Self::Write(offset, data)
            }
            whole @ Self::SetLen(_) => whole,
        }
    }

    /// Any of a write's sectors, in no order: what a disk with a cache leaves.
    fn scatter(self, random: &mut u64, bytes: &mut Vec<u8>) {
        match self {
            Self::Write(offset, data) => {
                let (mut from, end) = (offset, offset + data.len() as u64);
                while from < end {
                    let to = end.min((from / SECTOR_BYTES + 1) * SECTOR_BYTES);
                    if heads(random) {
                        let part = data[(from - offset) as usize..(to - offset) as usize].to_vec();
                        Self::Write(from, part).apply(bytes);
                    }
                    from = to;
                }
            }
            Self::SetLen(_) if heads(random) => self.apply(bytes),
            Self::SetLen(_) => {}
        }
    }
}

impl Disk for MemDisk {
    fn create_dir_all(&self, dir: &Path) -> Result<()> {
        if lock(&self.state).now.dirs.contains(dir) {
            return Ok(());
        }
        let mut state = self.begin(DiskOp::CreateDir, dir)?;
        let mut missing: Vec<&Path> =
            dir.ancestors().take_while(|above| !state.now.dirs.contains(*above)).collect();
        while let Some(above) = missing.pop() {
            state.record(Move::Dir(above.to_owned()));
        }
        Ok(())
    }

    fn list(&self, dir: &Path) -> Result<Vec<String>> {
        let state = self.begin(DiskOp::List, dir)?;
        if !state.now.dirs.contains(dir) {
            return Err(absent(DiskOp::List, dir));
        }
        let inside = state.now.files.keys().filter(|path| path.parent() == Some(dir));
        Ok(inside.filter_map(|path| Some(path.file_name()?.to_string_lossy().into_owned())).collect())
    }

    fn create(&self, path: &Path) -> Result<Arc<dyn DiskFile>> {
        let mut state = self.begin(DiskOp::Create, path)?;
        if !path.parent().is_some_and(|dir| state.now.dirs.contains(dir)) {
            return Err(absent(DiskOp::Create, path));
        }
        if state.now.files.contains_key(path) {
            return Err(StorageError::disk(DiskOp::Create, path, io::ErrorKind::AlreadyExists.into()));
        }
        let content = Arc::new(Mutex::new(Content::default()));
        state.record(Move::Link(path.to_owned(), content.clone()));
        Ok(self.handle(&state, content, path, true))
    }

    fn open_read(&self, path: &Path) -> Result<Arc<dyn DiskFile>> {
        self.open(path, false)
    }

    fn open_write(&self, path: &Path) -> Result<Arc<dyn DiskFile>> {
        self.open(path, true)
    }

    fn rename(&self, from: &Path, to: &Path) -> Result<()> {
        let mut state = self.begin(DiskOp::Rename, from)?;
        let target = to.parent().is_some_and(|dir| state.now.dirs.contains(dir));
        if !target || !state.now.files.contains_key(from) {
            return Err(absent(DiskOp::Rename, from));
        }
        state.record(Move::Rename(from.to_owned(), to.to_owned()));
        Ok(())
    }

    fn remove(&self, path: &Path) -> Result<()> {
        let mut state = self.begin(DiskOp::Remove, path)?;
        if !state.now.files.contains_key(path) {
            return Err(absent(DiskOp::Remove, path));
        }
        state.record(Move::Unlink(path.to_owned()));
        Ok(())
    }

    fn sync_dir(&self, dir: &Path) -> Result<()> {
        let mut state = self.begin(DiskOp::SyncDir, dir)?;
        let (done, kept): (Vec<_>, Vec<_>) =
            std::mem::take(&mut state.moves).into_iter().partition(|change| change.home() == Some(dir));
        for change in &done {
            state.durable.apply(change);
        }
        state.moves = kept;
        Ok(())
    }

    fn free_bytes(&self, dir: &Path) -> Result<u64> {
        let state = self.begin(DiskOp::FreeBytes, dir)?;
        Ok(state.capacity.map_or(u64::MAX, |capacity| capacity.saturating_sub(state.used())))
    }
}

impl MemFile {
    fn begin(&self, op: DiskOp) -> Result<MutexGuard<'_, State>> {
        let state = self.disk.begin(op, &self.path)?;
        if state.life != self.life || (op.changes() && !self.writable) {
            return Err(FaultKind::Io.error(op, &self.path));
        }
        Ok(state)
    }
}

impl DiskFile for MemFile {
    fn read_at(&self, offset: u64, buf: &mut [u8]) -> Result<usize> {
        let _state = self.begin(DiskOp::Read)?;
        let content = lock(&self.content);
        let from = content.now.len().min(offset as usize);
        let count = buf.len().min(content.now.len() - from);
        buf[..count].copy_from_slice(&content.now[from..from + count]);
        Ok(count)
    }

    fn write_at(&self, offset: u64, bytes: &[u8]) -> Result<()> {
        let mut state = lock(&self.disk.state);
        if state.life != self.life || !self.writable {
            return Err(FaultKind::Io.error(DiskOp::Write, &self.path));
        }
        let mut kind = state.strike(DiskOp::Write);
        let mut written = bytes.len();
        if let Some(kind) = kind {
            written = if kind == FaultKind::ReadOnly {
                0
            } else {
                // Pairs of bytes, as in `torn`.
                below(&mut state.random, written as u64) as usize & !1
            };
        }
        if let Some(capacity) = state.capacity {
            let used = state.used();
            let grows = (offset + written as u64).saturating_sub(lock(&self.content).now.len() as u64);
            if used + grows > capacity {
                written = written.saturating_sub((used + grows - capacity) as usize);
                kind = kind.or(Some(FaultKind::NoSpace));
            }
        }
        if written > 0 {
            let change = Change::Write(offset, bytes[..written].to_vec());
            let mut content = lock(&self.content);
            change.apply(&mut content.now);
            content.unsynced.push(change);
        }
        kind.map_or(Ok(()), |kind| Err(kind.error(DiskOp::Write, &self.path)))
    }

    fn sync_data(&self) -> Result<()> {
        let mut state = lock(&self.disk.state);
        if state.life != self.life || !self.writable {
            return Err(FaultKind::Io.error(DiskOp::SyncData, &self.path));
        }
        match state.strike(DiskOp::SyncData) {
            None => {
                lock(&self.content).sync();
                Ok(())
            }
            Some(kind) => {
                lock(&self.content).lose(&mut state.random);
                Err(kind.error(DiskOp::SyncData, &self.path))
            }
        }
    }

    fn set_len(&self, len: u64) -> Result<()> {
        let _state = self.begin(DiskOp::SetLen)?;
        let mut content = lock(&self.content);
        let change = Change::SetLen(len);
        change.apply(&mut content.now);
        content.unsynced.push(change);
        Ok(())
    }

    fn allocate(&self, len: u64) -> Result<()> {
        let state = self.begin(DiskOp::Allocate)?;
        let used = state.used();
        let mut content = lock(&self.content);
        let grows = len.saturating_sub(content.now.len() as u64);
        if state.capacity.is_some_and(|capacity| used + grows > capacity) {
            return Err(FaultKind::NoSpace.error(DiskOp::Allocate, &self.path));
        }
        let change = Change::SetLen(len.max(content.now.len() as u64));
        change.apply(&mut content.now);
        content.unsynced.push(change);
        Ok(())
    }

    fn len(&self) -> Result<u64> {
        let _state = self.begin(DiskOp::Length)?;
        Ok(lock(&self.content).now.len() as u64)
    }
}

/// One step of splitmix64 (Steele, Lea, Flood 2014): a small generator whose whole state is one number.
fn next(state: &mut u64) -> u64 {
    *state = state.wrapping_add(0x9e37_79b9_7f4a_7c15);
    let mut z = *state;
    z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
    z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
    z ^ (z >> 31)
}

fn heads(state: &mut u64) -> bool {
    next(state) & 1 == 0
}

/// A number below `bound`; 0 where the bound is 0.
fn below(state: &mut u64, bound: u64) -> u64 {
    if bound == 0 { 0 } else { next(state) % bound }
}

#[cfg(test)]
mod tests {
    use super::*;

    const FILE: &str = "/d/f";

    fn written(seed: u64, synced: bool) -> MemDisk {
        let disk = MemDisk::new(seed);
        disk.create_dir_all(Path::new("/d")).expect("made");
        disk.sync_dir(Path::new("/")).expect("synced");
        let file = disk.create(Path::new(FILE)).expect("created");
        file.write_at(0, &[1; 3_000]).expect("written");
        if synced {
            file.sync_data().expect("synced");
            disk.sync_dir(Path::new("/d")).expect("synced");
        }
        disk.crash();
        assert!(file.read_at(0, &mut [0]).is_err(), "a handle from before the cut is dead");
        disk
    }

    #[test]
    fn what_was_synced_survives_and_what_was_not_meets_every_fate() {
        let (mut gone, mut whole, mut part) = (0, 0, 0);
        for seed in 0..200 {
            assert_eq!(written(seed, true).bytes(Path::new(FILE)), Some(vec![1; 3_000]));
            match written(seed, false).bytes(Path::new(FILE)) {
                None => gone += 1,
                Some(bytes) if bytes == [1; 3_000] => whole += 1,
                Some(_) => part += 1,
            }
        }
        assert!(gone > 20 && whole > 20 && part > 20, "{gone} {whole} {part}");
    }

    #[test]
    fn the_same_seed_gives_the_same_disk() {
        for seed in 0..50 {
            assert_eq!(
                written(seed, false).bytes(Path::new(FILE)),
                written(seed, false).bytes(Path::new(FILE))
            );
        }
    }

    #[test]
    fn a_fault_strikes_the_operation_it_was_set_for_and_names_it() {
        let disk = written(1, true);
        disk.fail(Fault { op: Some(DiskOp::Read), nth: 2, kind: FaultKind::Io, sticky: false });
        let file = disk.open_read(Path::new(FILE)).expect("opened");
        file.read_at(0, &mut [0]).expect("the first read");
        let error = file.read_at(0, &mut [0]).expect_err("the second read");
        assert!(error.to_string().starts_with("read /d/f"), "{error}");
        file.read_at(0, &mut [0]).expect("once only");
    }
}
