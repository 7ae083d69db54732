//! What can go wrong in storage, each with when it happens, what to do, and a stable code.
//!
//! Invariants: messages are lowercase fragments that fit after "failed to"; a code, once given out, is never reused;
//! an operation that failed at the disk names the operation and the path.

use std::path::{Path, PathBuf};
use std::{fmt, io};

use crate::domain::ids::{Epoch, Seq};
use crate::storage::disk::DiskOp;
use crate::storage::journal::FormatVersion;

/// Result of every fallible operation of the room.
pub type Result<T> = std::result::Result<T, StorageError>;

/// A failed storage operation.
#[derive(Debug)]
pub enum StorageError {
    /// The file system refused an operation. `code()` tells a full disk (AIS-5002) and a read-only one (AIS-5003) from
    /// the rest (AIS-5001). Stop acknowledging; free space or replace the disk; restart.
    Disk {
        /// What was tried.
        op: DiskOp,
        /// On which file or directory.
        path: PathBuf,
        /// What the operating system said.
        source: io::Error,
    },
    /// An earlier write or sync of this journal failed, so what the disk holds is unknown until it is opened again.
    /// Exit and let the supervisor restart.
    Poisoned,
    /// A segment was written by a format this build does not know: a newer daemon has run here. Install that version
    /// again; nothing was touched.
    VersionUnknown {
        /// The segment.
        path: PathBuf,
        /// The version it carries.
        found: FormatVersion,
        /// The newest version this build reads.
        known: FormatVersion,
    },
    /// Another daemon has this directory. Stop it, or give this one a directory of its own.
    Locked {
        /// The directory.
        dir: PathBuf,
        /// The process that holds it, where its number could be read.
        pid: Option<u32>,
    },
    /// A group is larger than one frame may be. Split it (`prefix_that_fits`) or refuse the decision.
    GroupTooLarge {
        /// Bytes the group takes in a frame.
        bytes: usize,
        /// Bytes a frame may take.
        max: usize,
    },
    /// A group holds no decision, or more than `limits::GROUP_DECISIONS_MAX`. A fault of the caller's grouping.
    GroupCount {
        /// Decisions in the group.
        decisions: usize,
        /// Decisions a group may hold.
        max: usize,
    },
    /// The decision asked for was pruned: it is durable at head office. Start from `first`, or ask head office.
    Pruned {
        /// The sequence number asked for.
        asked: Seq,
        /// The first one still here.
        first: Seq,
    },
    /// Decisions are missing between two intact ones: they were damaged and stand in `quarantine/`. The next call to the
    /// reader goes on behind the gap; tell head office, rebuild the tables from a checkpoint.
    Gap {
        /// First sequence number missing.
        from: Seq,
        /// Last sequence number missing.
        to: Seq,
    },
    /// A frame does not check. Nothing of it was served. Call `Journal::repair`, or open again with `Verify::All`: it is
    /// set aside, and the reader goes on behind it.
    Damaged {
        /// The segment.
        path: PathBuf,
        /// Where in it, in bytes.
        offset: u64,
        /// The sequence number that was due there.
        seq: Seq,
    },
    /// The journal holds decisions of a later epoch than the one it is to be opened with: a copy of an older box is being
    /// started. Find out which box is alive; never start both.
    EpochOlder {
        /// The last epoch in the journal.
        journal: Epoch,
        /// The epoch asked for.
        asked: Epoch,
    },
    /// The data directory's identity is not readable, not this store's, or missing beside a journal. Restore the file, or
    /// correct `store.id` in the configuration.
    Identity {
        /// The file.
        path: PathBuf,
        /// What is wrong with it.
        why: String,
    },
    /// The tables failed. Restart: they are set aside and rebuilt from the journal.
    Tables {
        /// What sled or the record said.
        why: String,
    },
    /// A checkpoint of the tables does not check. Nothing of it was used: the one before it, or the journal, stands in.
    Checkpoint {
        /// The file.
        path: PathBuf,
        /// What is wrong with it.
        why: String,
    },
    /// A file of a backup is not as it was written. Use another backup.
    Backup {
        /// The file.
        path: PathBuf,
        /// What is wrong with it.
        why: String,
    },
    /// A backup was to be taken or put where something is already. Move that away first.
    RestoreOver {
        /// The directory.
        dir: PathBuf,
    },
    /// A decision of the journal is intact but cannot be read: a newer version wrote it. Install that version again.
    Entry {
        /// Its place.
        seq: Seq,
        /// What is wrong with it.
        why: String,
    },
}

impl StorageError {
    /// A failed disk operation, named.
    pub(crate) fn disk(op: DiskOp, path: &Path, source: io::Error) -> Self {
        Self::Disk { op, path: path.to_owned(), source }
    }

    /// The stable code of this failure.
    pub fn code(&self) -> &'static str {
        match self {
            Self::Disk { source, .. } => match source.kind() {
                io::ErrorKind::StorageFull | io::ErrorKind::QuotaExceeded => "AIS-5002",
                io::ErrorKind::ReadOnlyFilesystem => "AIS-5003",
                _ => "AIS-5001",
            },
            Self::Poisoned => "AIS-5004",
            Self::VersionUnknown { .. } => "AIS-5005",
            Self::Locked { .. } => "AIS-5006",
            Self::GroupTooLarge { .. } => "AIS-5007",
            Self::GroupCount { .. } => "AIS-5008",
            Self::Pruned { .. } => "AIS-5009",
            Self::Gap { .. } => "AIS-5010",
            Self::Damaged { .. } => "AIS-5011",
            Self::EpochOlder { .. } => "AIS-5012",
            Self::Identity { .. } => "AIS-5013",
            Self::Tables { .. } => "AIS-5014",
            Self::Entry { .. } => "AIS-5015",
            Self::Checkpoint { .. } => "AIS-5017",
            Self::Backup { .. } => "AIS-5018",
            Self::RestoreOver { .. } => "AIS-5019",
        }
    }

    /// Whether what was to be opened or listed is not there.
    pub fn is_absent(&self) -> bool {
        matches!(self, Self::Disk { source, .. } if source.kind() == io::ErrorKind::NotFound)
    }

    /// Whether the disk said that it is full.
    pub fn is_full(&self) -> bool {
        self.code() == "AIS-5002"
    }

    /// Whether the disk said that it can only be read.
    pub fn is_read_only(&self) -> bool {
        self.code() == "AIS-5003"
    }
}

impl fmt::Display for StorageError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Disk { op, path, source } => write!(f, "{op} {}: {source}", path.display()),
            Self::Poisoned => write!(f, "append: an earlier write or sync of this journal failed"),
            Self::VersionUnknown { path, found, known } => write!(
                f,
                "open {}: it has format version {found}, this build reads up to {known}",
                path.display()
            ),
            Self::Locked { dir, pid: Some(pid) } => {
                write!(f, "lock {}: process {pid} holds it", dir.display())
            }
            Self::Locked { dir, pid: None } => write!(f, "lock {}: another process holds it", dir.display()),
            Self::GroupTooLarge { bytes, max } => {
                write!(f, "append: the group takes {bytes} bytes, a frame holds at most {max}")
            }
            Self::GroupCount { decisions, max } => {
                write!(f, "append: the group has {decisions} decisions, it must have 1 to {max}")
            }
            Self::Pruned { asked, first } => {
                write!(f, "read decision {}: pruned, the journal begins at {}", asked.0, first.0)
            }
            Self::Gap { from, to } => {
                write!(f, "read decisions {} to {}: missing from the journal", from.0, to.0)
            }
            Self::Damaged { path, offset, seq } => {
                write!(f, "read decision {}: {} is damaged at byte {offset}", seq.0, path.display())
            }
            Self::EpochOlder { journal, asked } => {
                write!(f, "open the journal with epoch {}: it already holds epoch {}", asked.0, journal.0)
            }
            Self::Identity { path, why } => write!(f, "read {}: {why}", path.display()),
            Self::Tables { why } => f.write_str(why),
            Self::Backup { path, why } => write!(f, "believe {}: {why}", path.display()),
            Self::RestoreOver { dir } => {
                write!(f, "use {}: it is not empty, and nothing is ever written over", dir.display())
            }
            Self::Checkpoint { path, why } => write!(f, "read {}: {why}", path.display()),
            Self::Entry { seq, why } => write!(f, "apply decision {}: {why}", seq.0),
        }
    }
}

impl std::error::Error for StorageError {
    fn source(&self) -> Option<&(dyn std::error::Error + 'static)> {
        match self {
            Self::Disk { source, .. } => Some(source),
            _ => None,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::domain::code::Code;

    #[test]
    fn has_every_failure_a_page() {
        let path = PathBuf::from("/data");
        let kinds = [io::ErrorKind::Other, io::ErrorKind::StorageFull, io::ErrorKind::ReadOnlyFilesystem];
        let mut errors: Vec<_> =
            kinds.iter().map(|kind| StorageError::disk(DiskOp::Write, &path, (*kind).into())).collect();
        let version = FormatVersion::CURRENT;
        errors.extend([
            StorageError::Poisoned,
            StorageError::VersionUnknown { path: path.clone(), found: FormatVersion(9), known: version },
            StorageError::Locked { dir: path.clone(), pid: None },
            StorageError::GroupTooLarge { bytes: 2, max: 1 },
            StorageError::GroupCount { decisions: 0, max: 1 },
            StorageError::Pruned { asked: Seq(1), first: Seq(2) },
            StorageError::Gap { from: Seq(1), to: Seq(2) },
            StorageError::Damaged { path, offset: 1, seq: Seq(1) },
            StorageError::EpochOlder { journal: Epoch(2), asked: Epoch(1) },
            StorageError::Identity { path: PathBuf::from("/data/identity.json"), why: String::new() },
            StorageError::Tables { why: "use the tables".to_owned() },
            StorageError::Entry { seq: Seq(1), why: String::new() },
            StorageError::Checkpoint { path: PathBuf::from("/data/checkpoints"), why: String::new() },
            StorageError::Backup { path: PathBuf::from("/backup"), why: String::new() },
            StorageError::RestoreOver { dir: PathBuf::from("/data") },
        ]);
        let numbers = (5001..=5015).chain(5017..=5019);
        for (number, error) in numbers.zip(&errors) {
            assert_eq!(Code::parse(error.code()).map(Code::number), Some(number), "{error}");
            assert!(error.to_string().starts_with(|first: char| first.is_lowercase()), "{error}");
        }
    }
}
