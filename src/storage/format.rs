//! Which format a data directory has: `<data>/format`, one line, `aisled 3`.
//!
//! ```text
//! 1  the journal names members as they are
//! 2  it holds numbers for them from some decision on, which `names` knows (vault.rs)
//! 3  it may hold decisions about orders that are handed over here
//! ```
//! Invariants: it is looked at after the lock and before anything else; a directory of a later format is refused and left as it
//! is; one without the file is of the format before there was one, which this build reads as it stands; either gets the file.
//! Each file keeps its own version too (segments, checkpoints, records, entries): this is the one that says so before any of
//! them is touched.

use std::path::Path;

use super::disk::{Disk, OsDisk};
use super::error::{Result, StorageError};
use super::journal::FormatVersion;

/// Name of the file.
pub const FORMAT_FILE: &str = "format";
/// The newest format this build reads, and the one it writes.
pub const CURRENT: FormatVersion = FormatVersion(3);
const NAME: &str = "aisled";
const BYTES_MAX: usize = 64;

/// The format of a directory; `None` if it does not say. Errors: the disk's; `VersionUnknown`, also where it says something
/// that no build writes.
pub fn of(dir: &Path) -> Result<Option<FormatVersion>> {
    let path = dir.join(FORMAT_FILE);
    let file = match OsDisk.open_read(&path) {
        Ok(file) => file,
        Err(error) if error.is_absent() => return Ok(None),
        Err(error) => return Err(error),
    };
    let mut bytes = [0; BYTES_MAX];
    let got = file.read_at(0, &mut bytes)?;
    let text = std::str::from_utf8(&bytes[..got]).unwrap_or_default();
    let number = text.strip_prefix(NAME).and_then(|rest| rest.trim().parse().ok());
    match number.map(FormatVersion) {
        Some(found) if found <= CURRENT => Ok(Some(found)),
        found => {
            let found = found.unwrap_or(FormatVersion(u32::MAX));
            Err(StorageError::VersionUnknown { path, found, known: CURRENT })
        }
    }
}

/// Says that a directory is of the newest format from now on.
pub(super) fn mark(dir: &Path) -> Result<()> {
    let draft = dir.join("format.draft");
    if OsDisk.list(dir)?.iter().any(|name| name == "format.draft") {
        OsDisk.remove(&draft)?;
    }
    let file = OsDisk.create(&draft)?;
    file.write_at(0, format!("{NAME} {CURRENT}\n").as_bytes())?;
    file.sync_data()?;
    OsDisk.rename(&draft, &dir.join(FORMAT_FILE))?;
    OsDisk.sync_dir(dir)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn is_a_later_or_strange_format_refused() {
        let dir = tempfile::tempdir().expect("a directory for the test");
        assert_eq!(of(dir.path()).expect("it does not say"), None);
        mark(dir.path()).expect("it is marked");
        assert_eq!(of(dir.path()).expect("it says"), Some(CURRENT));
        let later = format!("{NAME} {}\n", CURRENT.0 + 1);
        for later in [later.as_str(), "aisled", "", "other 1\n"] {
            std::fs::write(dir.path().join(FORMAT_FILE), later).expect("it is written");
            assert_eq!(of(dir.path()).expect_err("it is not ours to touch").code(), "AIS-5005", "{later:?}");
        }
    }
}
