//! Room on the data disk: how much is left, and a ballast that is thrown overboard before none is.
//!
//! Layout: `<data>/ballast`, a file of `BALLAST_BYTES` that holds nothing. While it is there the journal has that much to go
//! on with, whatever else fills the disk.
//!
//! Invariants: the ballast is dropped when less than `BALLAST_DROP_BYTES` are free, and from then on the tables stay in memory:
//! what it gave is the journal's alone. It is taken up again at a start that finds room for it and for the tables. What is
//! free is asked of the disk each time and never remembered.

use std::path::{Path, PathBuf};
use std::sync::Arc;

use crate::limits;

use super::disk::Disk;
use super::error::Result;

const BALLAST: &str = "ballast";

/// How much room there is.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Room {
    /// Next to nothing: the ballast must go.
    None,
    /// Less than the shop is to have: nothing scarce is spent.
    Low,
    /// Enough.
    Ample,
}

/// The room on the disk of one data directory.
#[derive(Clone, Debug)]
pub struct Space {
    disk: Arc<dyn Disk>,
    dir: PathBuf,
    ballast_bytes: u64,
}

impl Space {
    /// Of a data directory; `ballast_bytes` 0 is no ballast.
    pub fn new(disk: Arc<dyn Disk>, dir: &Path, ballast_bytes: u64) -> Space {
        Space { disk, dir: dir.to_owned(), ballast_bytes }
    }

    /// Bytes free.
    pub fn free_bytes(&self) -> Result<u64> {
        self.disk.free_bytes(&self.dir)
    }

    /// How much room there is, where the shop is to have `min_bytes`.
    pub fn room(&self, min_bytes: u64) -> Result<Room> {
        let free = self.free_bytes()?;
        Ok(if free < limits::BALLAST_DROP_BYTES {
            Room::None
        } else if free < min_bytes {
            Room::Low
        } else {
            Room::Ample
        })
    }

    /// Is the ballast there, or none wanted?
    pub fn has_ballast(&self) -> Result<bool> {
        Ok(self.ballast_bytes == 0 || self.disk.list(&self.dir)?.iter().any(|name| name == BALLAST))
    }

    /// Takes the ballast up if there is room for it and for the tables. True if it is there now.
    pub fn take_ballast(&self) -> Result<bool> {
        if self.has_ballast()? {
            return Ok(true);
        }
        if self.free_bytes()? < self.ballast_bytes + limits::TABLES_ROOM_BYTES {
            return Ok(false);
        }
        let path = self.dir.join(BALLAST);
        let file = self.disk.create(&path)?;
        let taken = file.allocate(self.ballast_bytes).and_then(|()| file.sync_data());
        if let Err(error) = taken {
            self.disk.remove(&path)?;
            return if error.is_full() { Ok(false) } else { Err(error) };
        }
        self.disk.sync_dir(&self.dir)?;
        Ok(true)
    }

    /// Drops the ballast. True if there was one.
    pub fn drop_ballast(&self) -> Result<bool> {
        if self.ballast_bytes == 0 || !self.has_ballast()? {
            return Ok(false);
        }
        self.disk.remove(&self.dir.join(BALLAST))?;
        self.disk.sync_dir(&self.dir)?;
        Ok(true)
    }
}

#[cfg(test)]
mod tests {
    use super::super::disk::MemDisk;
    use super::*;

    const MIB: u64 = 1024 * 1024;

    fn space(disk: &MemDisk) -> Space {
        let dir = Path::new("/data");
        disk.create_dir_all(dir).expect("made");
        Space::new(Arc::new(disk.clone()), dir, 4 * MIB)
    }

    #[test]
    fn does_the_journal_go_on_with_what_the_ballast_gives() {
        let disk = MemDisk::new(1);
        let space = space(&disk);
        let total = 4 * MIB + limits::TABLES_ROOM_BYTES;
        disk.set_capacity(Some(total));
        assert!(space.take_ballast().expect("there is room"));
        let filler = disk.create(Path::new("/data/filler")).expect("made");
        filler.allocate(limits::TABLES_ROOM_BYTES).expect("all of the rest");
        assert_eq!(space.room(64 * MIB).expect("asked"), Room::None);
        assert!(filler.write_at(limits::TABLES_ROOM_BYTES, &[1]).expect_err("full").is_full());
        assert!(space.drop_ballast().expect("dropped"));
        filler.write_at(limits::TABLES_ROOM_BYTES, &[1]).expect("there is room again");
        assert!(!space.take_ballast().expect("asked"), "not before there is room for both");
        assert!(!space.drop_ballast().expect("asked"), "there is none");
    }

    #[test]
    fn when_is_it_low() {
        let disk = MemDisk::new(1);
        let space = space(&disk);
        assert_eq!(space.room(64 * MIB).expect("asked"), Room::Ample);
        disk.set_capacity(Some(63 * MIB));
        assert_eq!(space.room(64 * MIB).expect("asked"), Room::Low);
        disk.set_capacity(Some(limits::BALLAST_DROP_BYTES - 1));
        assert_eq!(space.room(64 * MIB).expect("asked"), Room::None);
    }
}
