//! A shop's data in one folder: taken while the daemon sells, checked as a whole, put back as a new life of the box.
//!
//! Layout of a backup: `identity.json`, `format`, `names` and `forgotten` (vault.rs), `journal/`, the newest good `checkpoints/` file, `bundles/*.aisb`,
//! what lets the shop's devices and people in as before (`devices`, `tls/`, `console-users.json`), the audit log, and
//! `MANIFEST.json`, written last, which lists every other file with its length and SHA-256. Nothing of the tables: they are
//! built from checkpoint and journal. There are keys and names in it: it is its owner's only, folders 0700 and files 0600.
//!
//! Invariants: only files that never change behind what was copied are taken, so that no lock is needed: the checkpoint first,
//! then the journal's segments in their order (what is pruned meanwhile is covered by that checkpoint, a torn end is cut
//! when the copy is opened). The audit log, which grows, is copied under its lock. A backup counts once it was read back. `restore` never writes into a directory that holds
//! anything, holds its lock while it writes, and writes `identity.json` last: a journal without it is refused by every
//! start, so half a restore never sells. What root puts back belongs to whoever the directory belongs to. What it writes there is a later epoch: leases are never those of the former life.

use std::collections::BTreeMap;
use std::fs;
use std::os::unix::fs::{MetadataExt as _, PermissionsExt as _};
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
/// Keys and certificates of the shop's own authority.
const TLS: &str = "tls";
/// Files of other rooms that are replaced whole, and their locks or nothing: who may come in.
const WHO: [&str; 2] = ["devices", "console-users.json"];
/// The audit log, in the order in which its writer works: the head never knows more than the files.
const AUDIT: [&str; 2] = ["audit.head", "audit.log"];
const AUDIT_LOCK: &str = "audit.log.lock";
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
    for dir in DIRS {
        OsDisk.create_dir_all(&to.join(dir))?;
        close_to_others(&to.join(dir), 0o700)?;
    }
    let checkpoint = checkpoint::newest_good(&OsDisk, &data_dir.join(CHECKPOINT_DIR))?;
    if let Some(checkpoint) = &checkpoint {
        let name = checkpoint.path.file_name().unwrap_or_default().to_string_lossy();
        copy(data_dir, to, &format!("{CHECKPOINT_DIR}/{name}"), &mut files)?;
    }
    for (dir, suffixes) in
        [(JOURNAL, &[".journal"][..]), (BUNDLES, &[".aisb"]), (TLS, &[".pem", ".key", ".json"])]
    {
        let names = match OsDisk.list(&data_dir.join(dir)) {
            Err(error) if error.is_absent() => Vec::new(),
            names => names?,
        };
        for name in names.iter().filter(|name| suffixes.iter().any(|suffix| name.ends_with(suffix))) {
            match copy(data_dir, to, &format!("{dir}/{name}"), &mut files) {
                // Pruned since it was listed: the checkpoint covers it.
                Err(error) if error.is_absent() => {}
                copied => copied?,
            }
        }
    }
    copy(data_dir, to, IDENTITY_FILE, &mut files)?;
    // The names after the journal: then it holds no number without a name, but of those who were forgotten.
    let there = OsDisk.list(data_dir)?;
    let once = [FORMAT_FILE, NAMES[0], NAMES[1], FORGOTTEN_FILE].into_iter().chain(WHO);
    for name in once.filter(|name| there.iter().any(|file| file == name)) {
        copy(data_dir, to, name, &mut files)?;
    }
    let held = audit_held(data_dir)?;
    let there = OsDisk.list(data_dir)?;
    let is_earlier = |name: &&String| name.starts_with("audit-") && name.ends_with(".log");
    let earlier = there.iter().filter(is_earlier).map(String::as_str);
    for name in AUDIT.into_iter().filter(|name| there.iter().any(|file| file == name)).chain(earlier) {
        copy(data_dir, to, name, &mut files)?;
    }
    drop(held);
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
    for dir in DIRS {
        OsDisk.create_dir_all(&data_dir.join(dir))?;
    }
    close_to_others(&data_dir.join(TLS), 0o700)?;
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
    give_to_owner(data_dir)?;
    Ok((manifest, epoch))
}

/// Every folder of a backup, and of what is put back.
const DIRS: [&str; 5] = ["", JOURNAL, CHECKPOINT_DIR, BUNDLES, TLS];

fn close_to_others(path: &Path, mode: u32) -> Result<()> {
    let closed = fs::set_permissions(path, fs::Permissions::from_mode(mode));
    closed.map_err(|error| StorageError::disk(DiskOp::Create, path, error))
}

/// Holds whoever writes the audit log off; nothing where there is no log.
fn audit_held(data_dir: &Path) -> Result<Option<fs::File>> {
    let path = data_dir.join(AUDIT_LOCK);
    let failed = |error| StorageError::disk(DiskOp::Open, &path, error);
    let lock = match fs::OpenOptions::new().write(true).open(&path) {
        Err(error) if error.kind() == std::io::ErrorKind::NotFound => return Ok(None),
        lock => lock.map_err(failed)?,
    };
    rustix::fs::flock(&lock, rustix::fs::FlockOperation::LockExclusive)
        .map_err(|error| failed(error.into()))?;
    Ok(Some(lock))
}

/// What root restored is the daemon's: files and folders go to whoever the data directory belongs to.
fn give_to_owner(data_dir: &Path) -> Result<()> {
    let failed = |error| StorageError::disk(DiskOp::Create, data_dir, error);
    let owner = fs::metadata(data_dir).map_err(failed)?;
    if !rustix::process::geteuid().is_root() || owner.uid() == 0 {
        return Ok(());
    }
    for dir in DIRS {
        let dir = data_dir.join(dir);
        let inside = fs::read_dir(&dir).map_err(failed)?.flatten().map(|entry| entry.path());
        for path in inside.chain([dir]) {
            std::os::unix::fs::chown(&path, Some(owner.uid()), Some(owner.gid())).map_err(failed)?;
        }
    }
    Ok(())
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
    close_to_others(&to.join(name), 0o600)?;
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
    close_to_others(path, 0o600)?;
    file.write_at(0, bytes)?;
    file.sync_data()
}

fn sync_dirs(dir: &Path) -> Result<()> {
    for below in DIRS {
        OsDisk.sync_dir(&dir.join(below))?;
    }
    match dir.parent() {
        Some(parent) => OsDisk.sync_dir(parent),
        None => Ok(()),
    }
}

fn bad(path: &Path, why: &str) -> StorageError {
    StorageError::Backup { path: PathBuf::from(path), why: why.to_owned() }
}
