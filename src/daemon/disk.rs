//! The data disk as the daemon watches it: once a second, what is free decides what is spent.
//!
//! ample: everything · low (`storage.free_space_min_mb`): nothing scarce · none: the ballast goes, the tables go on in memory, the
//! rest is the journal's. A store that stands on less than the whole disk spends nothing scarce either; when the disk could
//! carry it again the daemon ends in order, and its supervisor starts it anew on firm ground.

use std::path::{Path, PathBuf};

use crate::limits;
use crate::storage::space::{Room, Space};
use crate::storage::store::{Footing, Store};

/// What the daemon knows of its disk.
pub(super) struct DiskWatch {
    space: Space,
    data_dir: PathBuf,
    min_bytes: u64,
    /// As last seen; nothing if the disk does not say.
    pub(super) free_bytes: Option<u64>,
}

/// What is to be done.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Verdict {
    /// All as always.
    Fine,
    /// Nothing scarce.
    Withhold,
    /// There is room again for all of it: start anew.
    StartAnew,
}

impl DiskWatch {
    pub(super) fn new(store: &Store, data_dir: &Path, min_mb: u32) -> DiskWatch {
        let min_bytes = u64::from(min_mb) * 1024 * 1024;
        DiskWatch { space: store.space(), data_dir: data_dir.to_owned(), min_bytes, free_bytes: None }
    }

    /// Wanted free at least.
    pub(super) fn min_bytes(&self) -> u64 {
        self.min_bytes
    }

    /// Looks, and throws the ballast overboard where it must.
    pub(super) fn look(&mut self, store: &Store) -> Verdict {
        self.free_bytes = self.space.free_bytes().ok();
        let footing = store.footing();
        let room = self.space.room(self.min_bytes).unwrap_or(Room::Low);
        if footing == Footing::Whole && room == Room::None {
            store.keeper().leave_disk();
            match self.space.drop_ballast() {
                Ok(true) => tracing::warn!(
                    code = "AIS-5002",
                    "the disk is full: the ballast is dropped for the journal"
                ),
                Ok(false) => {}
                Err(error) => tracing::error!(%error, code = error.code(), "the ballast cannot be dropped"),
            }
        }
        if footing != Footing::Whole && self.is_firm(footing) {
            return Verdict::StartAnew;
        }
        match (footing, room) {
            (Footing::Whole, Room::Ample) => Verdict::Fine,
            _ => Verdict::Withhold,
        }
    }

    /// Would a start find more than there was at the last one?
    fn is_firm(&self, footing: Footing) -> bool {
        let free = self.free_bytes.unwrap_or_default();
        let has_ballast = self.space.has_ballast().unwrap_or_default();
        let carries_all =
            free >= limits::TABLES_ROOM_BYTES + if has_ballast { 0 } else { limits::BALLAST_BYTES };
        let takes_bytes = || {
            let lock = self.data_dir.join(crate::storage::lock::LOCK_FILE);
            std::fs::OpenOptions::new().write(true).open(lock).is_ok()
        };
        match footing {
            Footing::Whole => false,
            Footing::JournalOnly => carries_all,
            Footing::ReadOnly => takes_bytes() && free >= 2 * limits::JOURNAL_ROOM_BYTES as u64,
        }
    }
}
