//! A shop's data in one folder: taken while the daemon sells, checked as a whole, put back as a new life of the box.
//!
//! Layout of a backup: `identity.json`, `format`, `names` and `forgotten` (vault.rs), `journal/`, the newest good `checkpoints/` file, `bundles/*.aisb`, and
//! `MANIFEST.json`, written last, which lists every other file with its length and SHA-256. Nothing of the tables: they are
//! built from checkpoint and journal.
//!
//! Invariants: only files that never change behind what was copied are taken, so that no lock is needed: the checkpoint first,
//! then the journal's segments in their order (what is pruned meanwhile is covered by that checkpoint, a torn end is cut
//! when the copy is opened). A backup counts once it was read back. `restore` never writes into a directory that holds
//! anything, holds its lock while it writes, and writes `identity.json` last: a journal without it is refused by every
//! start, so half a restore never sells. What it writes there is a later epoch: leases are never those of the former life.

use std::collections::BTreeMap;
use std::fs;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use serde::{Deserialize, Serialize};
use sha2::{Digest, Sha256};

use crate::domain::ids::{Epoch, Seq, StoreId};
use crate::domain::text::hex;
use crate::limits;

use super::checkpoint::{self, CHECKPOINT_DIR};
use super::disk::{Disk, DiskOp, OsDisk};
use super::error::{Result, StorageError};
use super::format::{self, FORMAT_FILE};
use super::identity::{self, BoxIdentity, IDENTITY_FILE};
use super::journal::{FormatVersion, JournalView};
use super::lock::DirLock;
use super::vault::{self, FORGOTTEN_FILE, NAMES};

const MANIFEST: &str = "MANIFEST.json";
const JOURNAL: &str = "journal";
const BUNDLES: &str = "bundles";
const VERSION: u32 = 1;

/// Decisions missing from a journal, both ends of each hole included.
pub type Holes = Vec<(Seq, Seq)>;

/// What a backup holds.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Manifest {
    /// Version of the manifest.
    pub version: u32,
    /// The shop.
    pub store: StoreId,
    /// The life of the box it was taken from.
    pub epoch: Epoch,
    /// The first decision in it.
    pub first: Seq,
    /// The last decision in it.
    pub through: Seq,
    /// Through where its checkpoint reaches; 0 is none.
    pub checkpoint: Seq,
    /// Decisions that damage had taken from the journal before.
    pub missing: Holes,
    /// Every file with its length in bytes and SHA-256 in hexadecimal.
    pub files: BTreeMap<String, (u64, String)>,
}

/// Takes a backup of `data_dir` into `to`, which must be empty or not there. A daemon may be running.
pub fn take(data_dir: &Path, to: &Path) -> Result<Manifest> {
    is_empty(to)?;
    format::of(data_dir)?;
    let identity = identity::read(data_dir)?;
    let mut files = BTreeMap::new();
    for dir in [to.to_owned(), to.join(JOURNAL), to.join(CHECKPOINT_DIR), to.join(BUNDLES)] {
        OsDisk.create_dir_all(&dir)?;
    }
    let checkpoint = checkpoint::newest_good(&OsDisk, &data_dir.join(CHECKPOINT_DIR))?;
    if let Some(checkpoint) = &checkpoint {
        let name = checkpoint.path.file_name().unwrap_or_default().to_string_lossy();
        copy(data_dir, to, &format!("{CHECKPOINT_DIR}/{name}"), &mut files)?;
    }
    for (dir, suffix) in [(JOURNAL, ".journal"), (BUNDLES, ".aisb")] {
        let names = match OsDisk.list(&data_dir.join(dir)) {
            Err(error) if error.is_absent() => Vec::new(),
            names => names?,
        };
        for name in names.iter().filter(|name| name.ends_with(suffix)) {
            match copy(data_dir, to, &format!("{dir}/{name}"), &mut files) {
                // Pruned since it was listed: the checkpoint covers it.
                Err(error) if error.is_absent() => {}
                copied => copied?,
            }
        }
    }
    copy(data_dir, to, IDENTITY_FILE, &mut files)?;
    let there = OsDisk.list(data_dir)?;
    // The names after the journal: then it holds no number without a name, but of those who were forgotten.
    for name in [FORMAT_FILE, NAMES[0], NAMES[1], FORGOTTEN_FILE] {
        if there.iter().any(|file| file == name) {
            copy(data_dir, to, name, &mut files)?;
        }
    }
    let (first, through, missing) = journal_in(to)?;
    let manifest = Manifest {
        version: VERSION,
        store: identity.store,
        epoch: identity.epoch,
        first,
        through,
        checkpoint: checkpoint.map_or(Seq(0), |checkpoint| checkpoint.through),
        missing,
        files,
    };
    let bytes = serde_json::to_vec_pretty(&manifest).expect("plain data can always be written");
    write(&to.join(MANIFEST), &bytes)?;
    sync_dirs(to)?;
    check(to)
}

/// Reads all of a backup and holds it to its manifest. Errors: `Backup` names the file that is not as it was.
pub fn check(from: &Path) -> Result<Manifest> {
    let path = from.join(MANIFEST);
    let bytes = fs::read(&path).map_err(|e| bad(&path, &e.to_string()))?;
    let manifest: Manifest = serde_json::from_slice(&bytes).map_err(|e| bad(&path, &e.to_string()))?;
    if manifest.version != VERSION {
        let (found, known) = (FormatVersion(manifest.version), FormatVersion(VERSION));
        return Err(StorageError::VersionUnknown { path, found, known });
    }
    format::of(from)?;
    for (name, expected) in &manifest.files {
        let file = from.join(name);
        let is_inside = Path::new(name).components().all(|c| matches!(c, std::path::Component::Normal(_)));
        if !is_inside {
            return Err(bad(&path, &format!("it names {name}, which is not in the backup")));
        }
        let found = sum(&file).map_err(|error| bad(&file, &error.to_string()))?;
        if found != *expected {
            return Err(bad(&file, "it is not the file that was written"));
        }
    }
    let identity = identity::read(from)?;
    if (&identity.store, identity.epoch) != (&manifest.store, manifest.epoch) {
        return Err(bad(&path, "its identity is another"));
    }
    let checkpoint = checkpoint::newest_good(&OsDisk, &from.join(CHECKPOINT_DIR))?;
    let covered = checkpoint.map_or(Seq(0), |checkpoint| checkpoint.through);
    let (first, through, missing) = journal_in(from)?;
    if (covered, first, through) != (manifest.checkpoint, manifest.first, manifest.through)
        || missing != manifest.missing
    {
        return Err(bad(&path, "the journal reads otherwise"));
    }
    if first.0 > covered.0 + 1 {
        return Err(bad(&path, "decisions are missing between its checkpoint and its journal"));
    }
    Ok(manifest)
}

/// Puts a backup into `data_dir`, which must be empty or not there, as a new life of the box: epoch `epoch`, or one more than
/// the backup's. Whoever was forgotten since it was taken is forgotten again at the first start, as far as the backup, the
/// copy beside `data_dir` or `forgotten` (the former data directory, or its file) tell. Errors: `Backup` if it does not check;
/// `RestoreOver` and `Locked` if there is data or a daemon already.
pub fn restore(
    from: &Path,
    data_dir: &Path,
    epoch: Option<Epoch>,
    forgotten: Option<&Path>,
) -> Result<(Manifest, Epoch)> {
    if data_dir.is_dir() {
        // Told apart from mere data: somebody is at work there.
        drop(DirLock::take_existing(data_dir)?);
    }
    is_empty(data_dir)?;
    let manifest = check(from)?;
    let epoch = epoch.unwrap_or(Epoch(manifest.epoch.0 + 1));
    if epoch <= manifest.epoch {
        let why = format!("epoch {} is not later than the backup's {}", epoch.0, manifest.epoch.0);
        return Err(bad(&from.join(MANIFEST), &why));
    }
    OsDisk.create_dir_all(data_dir)?;
    let _lock = DirLock::take(data_dir)?;
    for dir in [JOURNAL, CHECKPOINT_DIR, BUNDLES] {
        OsDisk.create_dir_all(&data_dir.join(dir))?;
    }
    let mut copied = BTreeMap::new();
    for name in manifest.files.keys().filter(|name| *name != IDENTITY_FILE) {
        copy(from, data_dir, name, &mut copied)?;
        if copied.get(name) != manifest.files.get(name) {
            return Err(bad(&from.join(name), "it changed while it was read"));
        }
    }
    vault::remember_forgotten(data_dir, forgotten)?;
    sync_dirs(data_dir)?;
    let identity = BoxIdentity { epoch, ..identity::read(from)? };
    identity.write(data_dir)?;
    Ok((manifest, epoch))
}

fn is_empty(dir: &Path) -> Result<()> {
    let entries = match fs::read_dir(dir) {
        Ok(entries) => entries,
        Err(error) if error.kind() == std::io::ErrorKind::NotFound => return Ok(()),
        Err(error) => return Err(StorageError::disk(DiskOp::List, dir, error)),
    };
    // What a restore that was cut off before its first file leaves is no data.
    let names = entries.flatten().map(|entry| entry.file_name());
    match names.into_iter().any(|name| name != super::lock::LOCK_FILE) {
        true => Err(StorageError::RestoreOver { dir: dir.to_owned() }),
        false => Ok(()),
    }
}

/// The first and the last decision of a copied journal, each frame between them read, and the holes it names.
fn journal_in(dir: &Path) -> Result<(Seq, Seq, Holes)> {
    let view = JournalView::look(Arc::new(OsDisk), &dir.join(JOURNAL))?;
    let (first, mut missing) = (view.first(), Vec::new());
    let mut reader = view.reader(first);
    loop {
        match reader.next() {
            Ok(Some(_)) => {}
            Ok(None) => return Ok((first, view.durable(), missing)),
            Err(StorageError::Gap { from, to }) => missing.push((from, to)),
            Err(error) => return Err(error),
        }
    }
}

fn copy(from: &Path, to: &Path, name: &str, files: &mut BTreeMap<String, (u64, String)>) -> Result<()> {
    let source = OsDisk.open_read(&from.join(name))?;
    let target = OsDisk.create(&to.join(name))?;
    let mut hash = Sha256::new();
    let (mut at, mut buf) = (0, vec![0; limits::SCAN_WINDOW_BYTES]);
    loop {
        let got = source.read_at(at, &mut buf)?;
        if got == 0 {
            break;
        }
        target.write_at(at, &buf[..got])?;
        hash.update(&buf[..got]);
        at += got as u64;
    }
    target.sync_data()?;
    files.insert(name.to_owned(), (at, hex(&hash.finalize())));
    Ok(())
}

fn sum(path: &Path) -> Result<(u64, String)> {
    let file = OsDisk.open_read(path)?;
    let mut hash = Sha256::new();
    let (mut at, mut buf) = (0, vec![0; limits::SCAN_WINDOW_BYTES]);
    loop {
        let got = file.read_at(at, &mut buf)?;
        if got == 0 {
            return Ok((at, hex(&hash.finalize())));
        }
        hash.update(&buf[..got]);
        at += got as u64;
    }
}

fn write(path: &Path, bytes: &[u8]) -> Result<()> {
    let file = OsDisk.create(path)?;
    file.write_at(0, bytes)?;
    file.sync_data()
}

fn sync_dirs(dir: &Path) -> Result<()> {
    for below in [JOURNAL, CHECKPOINT_DIR, BUNDLES] {
        OsDisk.sync_dir(&dir.join(below))?;
    }
    OsDisk.sync_dir(dir)?;
    match dir.parent() {
        Some(parent) => OsDisk.sync_dir(parent),
        None => Ok(()),
    }
}

fn bad(path: &Path, why: &str) -> StorageError {
    StorageError::Backup { path: PathBuf::from(path), why: why.to_owned() }
}
