//! Who this box is: `identity.json` in the data directory, made once.
//!
//! Invariants: a data directory belongs to one store for ever; the epoch names this life of its data; the secret makes
//! issued codes unguessable and salts the journal. Losing the file means a new life, which is a decision for a person:
//! an existing journal without its identity is refused.
//!
//! `machine` beside it says on which machine the directory was used last, as a hash. On another one it is a copy of a disk, or
//! a disk that moved: the original may still run, so the data goes on as a new life (`on_this_machine`), as a restore does:
//! what head office lent to the old life stays with it. What remains: two copies on machines that show the same id (or none)
//! both go on as the life they were copied from, and two copies that begin on two new machines begin the same new life; head
//! office then sees the same place with two contents, quarantines the second and finds that they count otherwise.

use std::fs;
use std::io::Write as _;
use std::path::Path;

use serde::{Deserialize, Serialize};

use sha2::{Digest as _, Sha256};

use crate::chance;
use crate::domain::ids::{Epoch, StoreId};
use crate::domain::text::hex;
use crate::storage::disk::DiskOp;
use crate::storage::error::{Result, StorageError};

/// Name of the file.
pub const IDENTITY_FILE: &str = "identity.json";
/// Name of the file that holds the machine.
pub const MACHINE_FILE: &str = "machine";

/// Where Linux says which machine this is.
const MACHINE_ID: &str = "/etc/machine-id";

/// What tells this machine from others; none where Linux does not say.
pub fn this_machine() -> Option<String> {
    fs::read_to_string(MACHINE_ID).ok().filter(|id| !id.trim().is_empty())
}

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

/// Reads the identity of a data directory or of a backup.
///
/// # Errors
/// `Identity` if it is not there or not readable.
pub fn read(dir: &Path) -> Result<BoxIdentity> {
    let path = dir.join(IDENTITY_FILE);
    let wrong = |why: String| StorageError::Identity { path: path.clone(), why };
    let bytes = fs::read(&path).map_err(|e| wrong(e.to_string()))?;
    serde_json::from_slice(&bytes).map_err(|e| wrong(e.to_string()))
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

/// The identity to go on with on this machine, and the life it goes on from where the directory was last used on another
/// one. The new life is written before the machine: a crash in between begins one more, never the old one again.
pub(super) fn on_this_machine(
    dir: &Path,
    identity: BoxIdentity,
    machine: &str,
) -> Result<(BoxIdentity, Option<Epoch>)> {
    let path = dir.join(MACHINE_FILE);
    let mark = mark(&identity, machine);
    let known = match fs::read_to_string(&path) {
        Ok(known) => Some(known),
        Err(error) if error.kind() == std::io::ErrorKind::NotFound => None,
        Err(error) => return Err(StorageError::disk(DiskOp::Read, &path, error)),
    };
    let (identity, former) = match known {
        Some(known) if known == mark => return Ok((identity, None)),
        None => (identity, None),
        Some(_) => {
            let former = identity.epoch;
            let renewed = BoxIdentity { epoch: Epoch(former.0 + 1), ..identity };
            renewed.write(dir)?;
            (renewed, Some(former))
        }
    };
    replace(mark.as_bytes(), &path, dir)?;
    Ok((identity, former))
}

/// A machine's id as it is kept: it tells nothing of the id itself.
fn mark(identity: &BoxIdentity, machine: &str) -> String {
    let hash = Sha256::new().chain_update(identity.secret).chain_update(machine.trim()).finalize();
    hex(&hash)
}

fn create(path: &Path, dir: &Path, store: &StoreId) -> Result<BoxIdentity> {
    let failed = |op| move |error| StorageError::disk(op, path, error);
    let secret = chance::bytes().map_err(failed(DiskOp::Read))?;
    let identity = BoxIdentity { store: store.clone(), epoch: Epoch(1), secret };
    identity.write(dir)?;
    Ok(identity)
}

impl BoxIdentity {
    /// Makes this the identity of a data directory: whole or not at all.
    pub(super) fn write(&self, dir: &Path) -> Result<()> {
        let bytes = serde_json::to_vec_pretty(self).expect("plain data can always be written");
        replace(&bytes, &dir.join(IDENTITY_FILE), dir)
    }
}

fn replace(bytes: &[u8], path: &Path, dir: &Path) -> Result<()> {
    let failed = |op| move |error| StorageError::disk(op, path, error);
    let draft = dir.join("identity.draft");
    let mut options = fs::OpenOptions::new();
    options.write(true).create(true).truncate(true);
    std::os::unix::fs::OpenOptionsExt::mode(&mut options, 0o600);
    let mut file = options.open(&draft).map_err(failed(DiskOp::Create))?;
    file.write_all(bytes).map_err(failed(DiskOp::Write))?;
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
    fn does_a_copied_disk_begin_a_new_life() {
        let dir = tempfile::tempdir().expect("a directory for the test");
        let store = StoreId::new("s1").expect("valid");
        let start = |machine: &str| {
            let identity = load_or_create(dir.path(), &store).expect("is read");
            on_this_machine(dir.path(), identity, machine)
                .map(|(is, was)| (is.epoch.0, was))
                .expect("is written")
        };
        assert_eq!(start("aa\n"), (1, None), "first seen");
        assert_eq!(start("aa\n"), (1, None));
        assert_eq!(start("bb\n"), (2, Some(Epoch(1))), "another machine");
        assert_eq!(start("bb\n"), (2, None));
        assert_eq!(start("aa\n"), (3, Some(Epoch(2))), "and back: nobody knows what the other did");
        let kept = fs::read_to_string(dir.path().join(MACHINE_FILE)).expect("is there");
        assert!(!kept.contains("aa\n") && kept.len() == 64);
    }

    #[test]
    fn is_a_journal_without_identity_refused() {
        let dir = tempfile::tempdir().expect("a directory for the test");
        fs::create_dir(dir.path().join("journal")).expect("is made");
        let store = StoreId::new("s1").expect("valid");
        assert!(matches!(load_or_create(dir.path(), &store), Err(StorageError::Identity { .. })));
    }
}
