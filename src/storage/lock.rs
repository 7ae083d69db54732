//! One daemon to a directory: an advisory lock on the file `lock` in it, held as long as the value lives.
//!
//! Invariants: the kernel lets go of the lock when the process ends, however it ends, so no stale lock needs clearing;
//! the file stays (removing it would let two processes lock two different files of the same name); its content is the
//! holder's process number and is only for people.

use std::fs::{File, OpenOptions};
use std::io::{self, Read, Seek, SeekFrom, Write};
use std::path::Path;

use rustix::fs::{FlockOperation, flock};
use rustix::io::Errno;

use crate::storage::disk::DiskOp;
use crate::storage::error::{Result, StorageError};

/// Name of the lock file in the data directory.
pub const LOCK_FILE: &str = "lock";

/// The right to write in a directory. Dropping it gives the right back.
#[derive(Debug)]
pub struct DirLock {
    file: File,
}

impl Drop for DirLock {
    fn drop(&mut self) {
        // Closing is not enough: a program being started holds copies of all files until it runs. A failure leaves it to
        // the kernel, at the end of the process.
        if let Err(error) = flock(&self.file, FlockOperation::Unlock) {
            tracing::debug!(%error, "the directory stays locked until this process ends");
        }
    }
}

impl DirLock {
    /// The same for a directory that may never have had a lock: nothing is made there. `None` if nobody could hold it.
    pub fn take_existing(dir: &Path) -> Result<Option<Self>> {
        match dir.join(LOCK_FILE).exists() {
            true => Self::take(dir).map(Some),
            false => Ok(None),
        }
    }

    /// Takes the lock of `dir`, which must exist. Never waits: [`StorageError::Locked`] names who holds it.
    pub fn take(dir: &Path) -> Result<Self> {
        let path = dir.join(LOCK_FILE);
        let failed = |op| {
            let path = path.clone();
            move |source: io::Error| StorageError::disk(op, &path, source)
        };
        let opened = OpenOptions::new().read(true).write(true).create(true).truncate(false).open(&path);
        let (mut file, is_written) = match opened {
            Ok(file) => (file, true),
            // The kernel locks what can only be read as well; who holds it is not told then.
            Err(error) if error.kind() == io::ErrorKind::ReadOnlyFilesystem => {
                (File::open(&path).map_err(|_| failed(DiskOp::Create)(error))?, false)
            }
            Err(error) => return Err(failed(DiskOp::Create)(error)),
        };
        match flock(&file, FlockOperation::NonBlockingLockExclusive) {
            Ok(()) => {}
            Err(Errno::WOULDBLOCK) => {
                let mut text = String::new();
                // The number is a courtesy: a holder that has not written it yet still holds the lock.
                let pid = file.read_to_string(&mut text).ok().and_then(|_| text.trim().parse().ok());
                return Err(StorageError::Locked { dir: dir.to_owned(), pid });
            }
            Err(errno) => return Err(failed(DiskOp::Open)(errno.into())),
        }
        let write = |file: &mut File| -> io::Result<()> {
            file.set_len(0)?;
            file.seek(SeekFrom::Start(0))?;
            writeln!(file, "{}", std::process::id())
        };
        match is_written.then(|| write(&mut file)) {
            Some(Err(error)) if error.kind() != io::ErrorKind::StorageFull => {
                return Err(failed(DiskOp::Write)(error));
            }
            // On a full disk the number is a courtesy too.
            _ => {}
        }
        Ok(Self { file })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_second_to_open_a_directory_is_told_who_holds_it() {
        let dir = tempfile::tempdir().expect("a temporary directory");
        let first = DirLock::take(dir.path()).expect("nobody holds it");
        let second = DirLock::take(dir.path()).expect_err("it is held");
        assert_eq!(second.code(), "AIS-5006");
        assert!(matches!(second, StorageError::Locked { pid: Some(pid), .. } if pid == std::process::id()));
        drop(first);
        DirLock::take(dir.path()).expect("it was given back");
    }

    #[test]
    fn a_directory_is_given_back_though_a_copy_of_the_file_is_open_elsewhere() {
        let dir = tempfile::tempdir().expect("a temporary directory");
        let first = DirLock::take(dir.path()).expect("nobody holds it");
        let copy = first.file.try_clone().expect("a file more");
        drop(first);
        DirLock::take(dir.path()).expect("it was given back");
        drop(copy);
    }

    #[test]
    fn a_directory_that_is_not_there_is_named() {
        let dir = tempfile::tempdir().expect("a temporary directory");
        let error = DirLock::take(&dir.path().join("absent")).expect_err("no such directory");
        assert!(error.to_string().contains("absent"), "{error}");
    }
}
