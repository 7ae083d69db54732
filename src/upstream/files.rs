//! What the sender keeps beside the journal: what head office last said, what a human parked, bundles on their way.
//!
//! Layout, in the directory given: `upstream.json` (written by the daemon, read by `status` and `outbox`), `outbox.json`
//! (written by `aisled outbox park|retry`, read by the daemon each second), `bundle-<version>.part` and `.packed`.
//!
//! Invariants: files are replaced whole, by rename. None of them is needed for the guarantee: without `upstream.json`
//! head office says again what it has; without `outbox.json` nothing is parked. `upstream.json` is synced before a new
//! incarnation is used, so that the incarnation never goes down on a box.

use std::collections::BTreeSet;
use std::fs::{self, File, OpenOptions};
use std::io::{self, Write};
use std::os::unix::fs::FileExt;
use std::path::{Path, PathBuf};

use serde::{Deserialize, Serialize};

use crate::domain::calendar::UnixMs;
use crate::domain::ids::{Seq, StoreId};
use crate::limits;

use super::machine::{Remembered, Status};

/// `upstream.json`
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct StateFile {
    /// Whose.
    pub store: StoreId,
    /// When it was written.
    pub written: UnixMs,
    /// How the line is.
    pub status: Status,
}

/// `outbox.json`
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct ParkFile {
    /// Entries to send by hash only.
    pub parked: BTreeSet<Seq>,
}

fn replace(path: &Path, bytes: &[u8], durable: bool) -> io::Result<()> {
    let new = path.with_extension("new");
    let mut file = File::create(&new)?;
    file.write_all(bytes)?;
    if durable {
        file.sync_all()?;
    }
    fs::rename(&new, path)?;
    match path.parent() {
        Some(parent) if durable => File::open(parent)?.sync_all(),
        _ => Ok(()),
    }
}

impl StateFile {
    /// Reads it; `None` if there is none.
    pub fn read(dir: &Path) -> io::Result<Option<StateFile>> {
        match fs::read(dir.join("upstream.json")) {
            Ok(bytes) => Ok(Some(serde_json::from_slice(&bytes)?)),
            Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(None),
            Err(error) => Err(error),
        }
    }

    /// What a new run begins with; nothing if the file is missing, damaged or another store's.
    pub fn remembered(dir: &Path, store: &StoreId) -> Remembered {
        match StateFile::read(dir) {
            Ok(Some(file)) if file.store == *store => file.status.remembered,
            Ok(Some(_) | None) => Remembered::default(),
            Err(error) => {
                tracing::warn!(%error, "what head office last said cannot be read; it will say it again");
                Remembered::default()
            }
        }
    }

    /// Replaces it.
    pub fn write(&self, dir: &Path, durable: bool) -> io::Result<()> {
        replace(&dir.join("upstream.json"), &serde_json::to_vec_pretty(self)?, durable)
    }
}

impl ParkFile {
    /// Reads it; empty if there is none.
    pub fn read(dir: &Path) -> io::Result<ParkFile> {
        match fs::read(dir.join("outbox.json")) {
            Ok(bytes) => Ok(serde_json::from_slice(&bytes)?),
            Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(ParkFile::default()),
            Err(error) => Err(error),
        }
    }

    /// Replaces it durably. At most `UPSTREAM_PARKED_MAX` entries.
    pub fn write(&self, dir: &Path) -> io::Result<()> {
        if self.parked.len() > limits::UPSTREAM_PARKED_MAX {
            return Err(io::Error::new(io::ErrorKind::InvalidInput, "too many parked entries"));
        }
        replace(&dir.join("outbox.json"), &serde_json::to_vec_pretty(self)?, true)
    }
}

/// Writes a piece of a bundle; offset 0 begins anew.
pub(super) fn keep_piece(dir: &Path, version: u64, offset: u64, bytes: &[u8]) -> io::Result<()> {
    let path = dir.join(format!("bundle-{version}.part"));
    let file = OpenOptions::new().create(true).truncate(offset == 0).write(true).open(path)?;
    file.write_all_at(bytes, offset)
}

/// The bundle is whole: makes it durable under its name, which is returned.
pub(super) fn complete_bundle(dir: &Path, version: u64) -> io::Result<PathBuf> {
    let part = dir.join(format!("bundle-{version}.part"));
    let whole = dir.join(format!("bundle-{version}.packed"));
    File::open(&part)?.sync_all()?;
    fs::rename(&part, &whole)?;
    File::open(dir)?.sync_all()?;
    Ok(whole)
}
