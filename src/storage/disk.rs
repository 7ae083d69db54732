//! The seam to the file system: the few operations that storage needs, and the real implementation of them.
//!
//! Invariants:
//! - A failed operation carries what was tried and on which path.
//! - `write_at` and `set_len` promise nothing until `sync_data` has returned; `create`, `rename` and `remove` promise
//!   nothing until `sync_dir` of the directory has returned (of the target's directory for a rename).
//! - A failed `sync_data` must be taken as data lost: trying again may succeed without having written anything.
//!
//! [`OsDisk`] is the machine's file system; [`MemDisk`] an emulated one that loses, tears and fails on demand.

mod mem;

use std::fs::{self, File, OpenOptions};
use std::os::unix::fs::FileExt;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::{fmt, io};

use crate::storage::error::{Result, StorageError};

pub use mem::{Fault, FaultKind, MemDisk};

/// Bytes that a disk writes whole or not at all. Real ones write 512 or 4,096; the smaller tears more.
pub const SECTOR_BYTES: u64 = 512;

/// What was tried on the disk.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum DiskOp {
    /// Make a directory and its parents.
    CreateDir,
    /// List the files of a directory.
    List,
    /// Make a new file.
    Create,
    /// Open a file that exists.
    Open,
    /// Read from a file.
    Read,
    /// Write into a file.
    Write,
    /// Make a file's content durable.
    SyncData,
    /// Cut or extend a file.
    SetLen,
    /// Reserve room for a file.
    Allocate,
    /// Ask a file's length.
    Length,
    /// Move a file.
    Rename,
    /// Remove a file.
    Remove,
    /// Make a directory's entries durable.
    SyncDir,
    /// Ask how much space is free.
    FreeBytes,
}

impl DiskOp {
    /// Whether the operation changes what is stored.
    pub fn changes(self) -> bool {
        !matches!(self, Self::List | Self::Open | Self::Read | Self::Length | Self::FreeBytes)
    }
}

impl fmt::Display for DiskOp {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::CreateDir => "create directory",
            Self::List => "list",
            Self::Create => "create",
            Self::Open => "open",
            Self::Read => "read",
            Self::Write => "write",
            Self::SyncData => "sync",
            Self::SetLen => "set length of",
            Self::Allocate => "reserve room for",
            Self::Length => "read length of",
            Self::Rename => "rename",
            Self::Remove => "remove",
            Self::SyncDir => "sync directory",
            Self::FreeBytes => "read free space of",
        })
    }
}

/// A file system, as far as storage needs one. All errors are [`StorageError::Disk`].
pub trait Disk: Send + Sync + fmt::Debug {
    /// Makes `dir` and its missing parents; fine if it exists.
    fn create_dir_all(&self, dir: &Path) -> Result<()>;
    /// Names of the files (not directories) in `dir`, sorted.
    fn list(&self, dir: &Path) -> Result<Vec<String>>;
    /// Makes a new, empty file open for reading and writing; fails if the name is taken.
    fn create(&self, path: &Path) -> Result<Arc<dyn DiskFile>>;
    /// Opens an existing file for reading.
    fn open_read(&self, path: &Path) -> Result<Arc<dyn DiskFile>>;
    /// Opens an existing file for reading and writing.
    fn open_write(&self, path: &Path) -> Result<Arc<dyn DiskFile>>;
    /// Moves a file; a file at `to` is replaced.
    fn rename(&self, from: &Path, to: &Path) -> Result<()>;
    /// Removes a file.
    fn remove(&self, path: &Path) -> Result<()>;
    /// Makes the entries of `dir` durable.
    fn sync_dir(&self, dir: &Path) -> Result<()>;
    /// Bytes an unprivileged process may still write below `dir`.
    fn free_bytes(&self, dir: &Path) -> Result<u64>;
}

/// An open file of a [`Disk`]. Offsets and lengths in bytes.
pub trait DiskFile: Send + Sync + fmt::Debug {
    /// Reads up to `buf.len()` bytes at `offset`; fewer only at the end of the file. Returns how many.
    fn read_at(&self, offset: u64, buf: &mut [u8]) -> Result<usize>;
    /// Writes all of `bytes` at `offset`, extending the file where needed. After an error any part may be written.
    fn write_at(&self, offset: u64, bytes: &[u8]) -> Result<()>;
    /// Makes content and length durable.
    fn sync_data(&self) -> Result<()>;
    /// Cuts the file to `len`, or extends it with zeros.
    fn set_len(&self, len: u64) -> Result<()>;
    /// Extends the file with zeros to `len`, with room on the disk for all of it.
    fn allocate(&self, len: u64) -> Result<()>;
    /// The file's length.
    fn len(&self) -> Result<u64>;
    /// Whether the file holds nothing.
    fn is_empty(&self) -> Result<bool> {
        Ok(self.len()? == 0)
    }
}

/// The machine's own file system.
#[derive(Clone, Copy, Debug, Default)]
pub struct OsDisk;

#[derive(Debug)]
struct OsFile {
    file: File,
    path: PathBuf,
}

impl OsDisk {
    fn open_with(op: DiskOp, options: &OpenOptions, path: &Path) -> Result<Arc<dyn DiskFile>> {
        let file = options.open(path).map_err(|e| StorageError::disk(op, path, e))?;
        Ok(Arc::new(OsFile { file, path: path.to_owned() }))
    }
}

impl Disk for OsDisk {
    fn create_dir_all(&self, dir: &Path) -> Result<()> {
        fs::create_dir_all(dir).map_err(|e| StorageError::disk(DiskOp::CreateDir, dir, e))
    }

    fn list(&self, dir: &Path) -> Result<Vec<String>> {
        let read = || -> io::Result<Vec<String>> {
            let mut names = Vec::new();
            for entry in fs::read_dir(dir)? {
                let entry = entry?;
                if entry.file_type()?.is_file() {
                    names.push(entry.file_name().to_string_lossy().into_owned());
                }
            }
            names.sort();
            Ok(names)
        };
        read().map_err(|e| StorageError::disk(DiskOp::List, dir, e))
    }

    fn create(&self, path: &Path) -> Result<Arc<dyn DiskFile>> {
        Self::open_with(DiskOp::Create, OpenOptions::new().read(true).write(true).create_new(true), path)
    }

    fn open_read(&self, path: &Path) -> Result<Arc<dyn DiskFile>> {
        Self::open_with(DiskOp::Open, OpenOptions::new().read(true), path)
    }

    fn open_write(&self, path: &Path) -> Result<Arc<dyn DiskFile>> {
        Self::open_with(DiskOp::Open, OpenOptions::new().read(true).write(true), path)
    }

    fn rename(&self, from: &Path, to: &Path) -> Result<()> {
        fs::rename(from, to).map_err(|e| StorageError::disk(DiskOp::Rename, from, e))
    }

    fn remove(&self, path: &Path) -> Result<()> {
        fs::remove_file(path).map_err(|e| StorageError::disk(DiskOp::Remove, path, e))
    }

    fn sync_dir(&self, dir: &Path) -> Result<()> {
        // An empty parent is what `Path::parent` gives for a bare name: the working directory.
        let open = if dir.as_os_str().is_empty() { Path::new(".") } else { dir };
        File::open(open)
            .and_then(|handle| handle.sync_all())
            .map_err(|e| StorageError::disk(DiskOp::SyncDir, dir, e))
    }

    fn free_bytes(&self, dir: &Path) -> Result<u64> {
        let stat =
            rustix::fs::statvfs(dir).map_err(|e| StorageError::disk(DiskOp::FreeBytes, dir, e.into()))?;
        Ok(stat.f_bavail.saturating_mul(stat.f_frsize))
    }
}

impl OsFile {
    fn error(&self, op: DiskOp, source: io::Error) -> StorageError {
        StorageError::disk(op, &self.path, source)
    }
}

impl DiskFile for OsFile {
    fn read_at(&self, offset: u64, buf: &mut [u8]) -> Result<usize> {
        let mut done = 0;
        while done < buf.len() {
            match self.file.read_at(&mut buf[done..], offset + done as u64) {
                Ok(0) => break,
                Ok(n) => done += n,
                Err(e) if e.kind() == io::ErrorKind::Interrupted => {}
                Err(e) => return Err(self.error(DiskOp::Read, e)),
            }
        }
        Ok(done)
    }

    fn write_at(&self, offset: u64, bytes: &[u8]) -> Result<()> {
        self.file.write_all_at(bytes, offset).map_err(|e| self.error(DiskOp::Write, e))
    }

    fn sync_data(&self) -> Result<()> {
        self.file.sync_data().map_err(|e| self.error(DiskOp::SyncData, e))
    }

    fn set_len(&self, len: u64) -> Result<()> {
        self.file.set_len(len).map_err(|e| self.error(DiskOp::SetLen, e))
    }

    fn allocate(&self, len: u64) -> Result<()> {
        match rustix::fs::fallocate(&self.file, rustix::fs::FallocateFlags::empty(), 0, len) {
            Ok(()) => Ok(()),
            Err(rustix::io::Errno::OPNOTSUPP | rustix::io::Errno::NOSYS) => {
                let zeros = vec![0; crate::limits::SCAN_WINDOW_BYTES];
                let mut at = 0;
                while at < len {
                    let count = (len - at).min(zeros.len() as u64);
                    self.write_at(at, &zeros[..count as usize])?;
                    at += count;
                }
                Ok(())
            }
            Err(errno) => Err(self.error(DiskOp::Allocate, errno.into())),
        }
    }

    fn len(&self) -> Result<u64> {
        self.file.metadata().map(|m| m.len()).map_err(|e| self.error(DiskOp::Length, e))
    }
}
