//! Who this box is: `identity.json` in the data directory, made once.
//!
//! Invariants: a data directory belongs to one store for ever; the epoch names this life of its data; the secret makes
//! issued codes unguessable and salts the journal. Losing the file means a new life, which is a decision for a person:
//! an existing journal without its identity is refused.

use std::fs;
use std::io::{Read as _, Write as _};
use std::path::Path;

use serde::{Deserialize, Serialize};

use crate::domain::ids::{Epoch, StoreId};
use crate::storage::disk::DiskOp;
use crate::storage::error::{Result, StorageError};

/// Name of the file.
pub const IDENTITY_FILE: &str = "identity.json";

/// What the file holds.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct BoxIdentity {
    /// The shop.
    pub store: StoreId,
    /// This life of its data.
    pub epoch: Epoch,
    /// 32 random bytes.
    pub secret: [u8; 32],
}

/// Reads the identity, or makes one if the directory is new.
pub fn load_or_create(dir: &Path, store: &StoreId) -> Result<BoxIdentity> {
    let path = dir.join(IDENTITY_FILE);
    match fs::read(&path) {
        Ok(bytes) => {
            let identity: BoxIdentity = serde_json::from_slice(&bytes)
                .map_err(|e| StorageError::Identity { path: path.clone(), why: e.to_string() })?;
            if identity.store != *store {
                let why = format!("it belongs to store {}, the configuration says {store}", identity.store);
                return Err(StorageError::Identity { path, why });
            }
            Ok(identity)
        }
        Err(error) if error.kind() == std::io::ErrorKind::NotFound => {
            if dir.join("journal").exists() {
                let why = "it is missing, but there is a journal; restore it from a backup".to_owned();
                return Err(StorageError::Identity { path, why });
            }
            create(&path, dir, store)
        }
        Err(error) => Err(StorageError::disk(DiskOp::Read, &path, error)),
    }
}

fn create(path: &Path, dir: &Path, store: &StoreId) -> Result<BoxIdentity> {
    let failed = |op| move |error| StorageError::disk(op, path, error);
    let mut secret = [0; 32];
    fs::File::open("/dev/urandom")
        .and_then(|mut random| random.read_exact(&mut secret))
        .map_err(failed(DiskOp::Read))?;
    let identity = BoxIdentity { store: store.clone(), epoch: Epoch(1), secret };
    identity.write(dir)?;
    Ok(identity)
}

impl BoxIdentity {
    /// Makes this the identity of a data directory: whole or not at all.
    pub(super) fn write(&self, dir: &Path) -> Result<()> {
        write(self, &dir.join(IDENTITY_FILE), dir)
    }
}

fn write(identity: &BoxIdentity, path: &Path, dir: &Path) -> Result<()> {
    let failed = |op| move |error| StorageError::disk(op, path, error);
    let bytes = serde_json::to_vec_pretty(identity).expect("plain data can always be written");
    let draft = dir.join("identity.draft");
    let mut options = fs::OpenOptions::new();
    options.write(true).create(true).truncate(true);
    std::os::unix::fs::OpenOptionsExt::mode(&mut options, 0o600);
    let mut file = options.open(&draft).map_err(failed(DiskOp::Create))?;
    file.write_all(&bytes).map_err(failed(DiskOp::Write))?;
    file.sync_all().map_err(failed(DiskOp::SyncData))?;
    fs::rename(&draft, path).map_err(failed(DiskOp::Rename))?;
    fs::File::open(dir).and_then(|dir| dir.sync_all()).map_err(failed(DiskOp::SyncDir))?;
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn does_a_directory_belong_to_one_store() {
        let dir = tempfile::tempdir().expect("a directory for the test");
        let (mine, other) = (StoreId::new("s1").expect("valid"), StoreId::new("s2").expect("valid"));
        let made = load_or_create(dir.path(), &mine).expect("is made");
        assert_eq!(load_or_create(dir.path(), &mine).expect("is read"), made);
        assert!(matches!(load_or_create(dir.path(), &other), Err(StorageError::Identity { .. })));
    }

    #[test]
    fn is_a_journal_without_identity_refused() {
        let dir = tempfile::tempdir().expect("a directory for the test");
        fs::create_dir(dir.path().join("journal")).expect("is made");
        let store = StoreId::new("s1").expect("valid");
        assert!(matches!(load_or_create(dir.path(), &store), Err(StorageError::Identity { .. })));
    }
}
