//! Where the tables stand: opened, set aside when they do not check, built anew from a checkpoint, copied when they grew.
//!
//! Layout below the data directory: `tables` or `tables-<n>` is in use; `tables.current` names it (without the file it is
//! `tables`); `tables.suspect` asks the next start to build them anew; `tables.damaged-<n>` were set aside, the newest
//! `DAMAGED_TABLES_KEPT` stay; `checkpoints/` is checkpoint.rs's.
//!
//! Invariants: tables are built in a directory that nothing names, made durable to the last name in it, and come into use
//! by the rename of `tables.current` alone: a crash before leaves the former ones in use, a crash after the new ones. What
//! nothing names is removed at the next start. sled writes files by their path, so a directory in use is never renamed.
//! Tables that end before the oldest checkpoint are not ours any more (the journal may begin behind them): they are built
//! anew, as are those that are empty while there is a checkpoint. A full or read-only disk is no damage.

use std::fs::{self, File};
use std::path::{Path, PathBuf};

use crate::domain::ids::{Epoch, Seq};
use crate::limits;

use super::checkpoint::{self, CHECKPOINT_DIR, Checkpoint, Content};
use super::disk::{Disk, DiskOp, OsDisk};
use super::error::{Result, StorageError};
use super::tables::{Tables, TablesFault};
use super::vault::Vault;

/// Asks the next start to build the tables anew.
const SUSPECT: &str = "tables.suspect";
/// Tables that were set aside, numbered.
const DAMAGED: &str = "tables.damaged-";
/// Names the tables in use.
const CURRENT: &str = "tables.current";
const FIRST: &str = "tables";
const NUMBERED: &str = "tables-";

/// The place of the tables of one data directory.
#[derive(Clone, Debug)]
pub(super) struct Place {
    dir: PathBuf,
    cache_bytes: u64,
}

/// Tables that were opened.
pub(super) struct Opened {
    pub(super) tables: Tables,
    /// Where those are that did not open or check.
    pub(super) set_aside: Option<PathBuf>,
    /// They were built anew, from the checkpoint of this decision; 0 is from nothing.
    pub(super) built_from: Option<Seq>,
}

impl Place {
    pub(super) fn new(dir: &Path, cache_bytes: u64) -> Place {
        Place { dir: dir.to_owned(), cache_bytes }
    }

    pub(super) fn checkpoints(&self) -> PathBuf {
        self.dir.join(CHECKPOINT_DIR)
    }

    /// Opens the tables in use, or builds them anew.
    pub(super) fn open(&self) -> Result<Opened> {
        let name = match self.current()? {
            Some(name) => name,
            None => {
                let name = self.free_name()?;
                self.put_in_use(&name)?;
                name
            }
        };
        let path = self.dir.join(&name);
        let oldest = checkpoint::list(&OsDisk, &self.checkpoints())?.first().map_or(Seq(0), |c| c.through);
        match self.try_open(&path, oldest) {
            Ok(Some(tables)) => {
                self.sweep(&name);
                Ok(Opened { tables, set_aside: None, built_from: None })
            }
            Ok(None) => self.build_anew(&name, None),
            Err(TablesFault::Disk(error)) => Err(StorageError::disk(DiskOp::Open, &path, error)),
            Err(fault) => {
                let aside = self.set_aside(&path, &fault)?;
                self.build_anew(&name, Some(aside))
            }
        }
    }

    /// `None` if they are empty though there is a checkpoint.
    fn try_open(&self, path: &Path, oldest: Seq) -> std::result::Result<Option<Tables>, TablesFault> {
        let tables = Tables::open(path, self.cache_bytes)?;
        if self.dir.join(SUSPECT).exists() {
            return Err(TablesFault::Record("a record did not check in an earlier run".to_owned()));
        }
        let applied = tables.applied()?;
        tables.active()?;
        tables.lived()?;
        match applied {
            Seq(0) if oldest > Seq(0) => Ok(None),
            applied if applied < oldest => Err(TablesFault::Record(format!(
                "the tables end at decision {}, before the oldest checkpoint at {}",
                applied.0, oldest.0
            ))),
            _ => Ok(Some(tables)),
        }
    }

    fn build_anew(&self, former: &str, set_aside: Option<PathBuf>) -> Result<Opened> {
        let checkpoint = checkpoint::newest_good(&OsDisk, &self.checkpoints())?;
        let (tables, name) = match &checkpoint {
            Some(checkpoint) => self.build(checkpoint)?,
            None => {
                let tables = Tables::open(&self.dir.join(former), self.cache_bytes).map_err(tables_error)?;
                (tables, former.to_owned())
            }
        };
        let suspected = self.dir.join(SUSPECT);
        if suspected.exists() {
            fs::remove_file(&suspected).map_err(|e| StorageError::disk(DiskOp::Remove, &suspected, e))?;
        }
        self.sweep(&name);
        let built_from = Some(checkpoint.map_or(Seq(0), |checkpoint| checkpoint.through));
        Ok(Opened { tables, set_aside, built_from })
    }

    /// Tables in memory, from the newest checkpoint. Nothing is written.
    pub(super) fn in_memory(&self) -> Result<Opened> {
        let checkpoint = checkpoint::newest_good(&OsDisk, &self.checkpoints())?;
        let tables = Tables::memory();
        if let Some(checkpoint) = &checkpoint {
            fill(&tables, checkpoint)?;
        }
        let built_from = Some(checkpoint.map_or(Seq(0), |checkpoint| checkpoint.through));
        Ok(Opened { tables, set_aside: None, built_from })
    }

    /// Builds tables from a checkpoint and puts them in use for the next start. Returns them and their directory's name.
    fn build(&self, from: &Checkpoint) -> Result<(Tables, String)> {
        let name = self.free_name()?;
        let path = self.dir.join(&name);
        let tables = Tables::open(&path, self.cache_bytes).map_err(tables_error)?;
        fill(&tables, from)?;
        tables.sync().map_err(tables_error)?;
        for file in OsDisk.list(&path)? {
            let file = path.join(file);
            File::open(&file)
                .and_then(|file| file.sync_all())
                .map_err(|e| StorageError::disk(DiskOp::SyncData, &file, e))?;
        }
        OsDisk.sync_dir(&path)?;
        self.put_in_use(&name)?;
        Ok((tables, name))
    }

    fn put_in_use(&self, name: &str) -> Result<()> {
        let draft = self.dir.join(format!("{CURRENT}.new"));
        if draft.exists() {
            OsDisk.remove(&draft)?;
        }
        let file = OsDisk.create(&draft)?;
        file.write_at(0, format!("{name}\n").as_bytes())?;
        file.sync_data()?;
        OsDisk.sync_dir(&self.dir)?;
        OsDisk.rename(&draft, &self.dir.join(CURRENT))?;
        OsDisk.sync_dir(&self.dir)
    }

    /// Writes a checkpoint of everything the tables hold, record by record checked, and reads it back. For the one thread
    /// that writes the tables.
    pub(super) fn checkpoint(&self, tables: &Tables, epoch: Epoch) -> Result<(Checkpoint, Content)> {
        let through = tables.applied().map_err(tables_error)?;
        let mut writer = checkpoint::Writer::begin(&OsDisk, &self.checkpoints(), through, epoch)?;
        tables.each(|tree, key, value| writer.add(tree, key, value))?;
        writer.finish()
    }

    /// Writes tables and checkpoint anew without those who were forgotten, and removes everything else that could name them:
    /// older checkpoints, the former tables, tables set aside. May be begun again at any point. For the one thread that
    /// writes the tables.
    pub(super) fn forget(&self, tables: &Tables, epoch: Epoch, vault: &Vault) -> Result<Checkpoint> {
        let through = tables.applied().map_err(tables_error)?;
        let mut writer = checkpoint::Writer::begin(&OsDisk, &self.checkpoints(), through, epoch)?;
        tables.each(|tree, key, value| match Tables::of_the_living(vault, tree, key, value)? {
            Some(value) => writer.add(tree, key, &value),
            None => Ok(()),
        })?;
        let (made, _) = writer.finish()?;
        self.compact(tables, &made)?;
        checkpoint::keep_only(&OsDisk, &made)?;
        for (_, aside) in self.damaged()? {
            fs::remove_dir_all(&aside).map_err(|e| StorageError::disk(DiskOp::Remove, &aside, e))?;
        }
        Ok(made)
    }

    /// Have the tables grown so far beyond what they hold that a copy is worth its while?
    pub(super) fn is_bloated(&self, tables: &Tables, content: &Content) -> Result<bool> {
        let on_disk = tables.disk_bytes().map_err(tables_error)?;
        let records: u64 = content.records.values().sum();
        let logical = content.bytes + records * limits::TABLES_RECORD_OVERHEAD_BYTES;
        Ok(on_disk > limits::TABLES_FLOOR_BYTES && on_disk / limits::TABLES_RATIO_MAX > logical)
    }

    /// Copies the tables out of the checkpoint just made of them and goes on with the copy. For the one thread that writes
    /// the tables.
    pub(super) fn compact(&self, tables: &Tables, just_made: &Checkpoint) -> Result<()> {
        let (copy, name) = self.build(just_made)?;
        tables.switch(&copy);
        self.sweep(&name);
        Ok(())
    }

    /// The name of the directory in use. Nothing where `tables.current` names none: as good as damaged tables, answered by
    /// a directory that is not there yet.
    fn current(&self) -> Result<Option<String>> {
        let path = self.dir.join(CURRENT);
        match fs::read_to_string(&path) {
            Ok(name) => Ok(Some(name.trim().to_owned()).filter(|name| is_tables(name))),
            Err(error) if error.kind() == std::io::ErrorKind::NotFound => Ok(Some(FIRST.to_owned())),
            Err(error) if error.kind() == std::io::ErrorKind::InvalidData => Ok(None),
            Err(error) => Err(StorageError::disk(DiskOp::Read, &path, error)),
        }
    }

    fn directories(&self) -> Result<Vec<String>> {
        let entries = fs::read_dir(&self.dir).map_err(|e| StorageError::disk(DiskOp::List, &self.dir, e))?;
        let names = entries.filter_map(|entry| entry.ok()?.file_name().into_string().ok());
        let mut names: Vec<String> = names.collect();
        names.sort();
        Ok(names)
    }

    fn free_name(&self) -> Result<String> {
        let number = |name: &String| name.strip_prefix(NUMBERED)?.parse::<u64>().ok();
        let last = self.directories()?.iter().filter_map(number).max().unwrap_or_default();
        Ok(format!("{NUMBERED}{}", last + 1))
    }

    /// Removes tables that nothing names: copies that were not finished, and what a copy has replaced.
    fn sweep(&self, in_use: &str) {
        let Ok(names) = self.directories() else { return };
        for name in names.iter().filter(|name| is_tables(name) && *name != in_use) {
            let path = self.dir.join(name);
            if let Err(error) = fs::remove_dir_all(&path) {
                tracing::warn!(%error, path = %path.display(), "tables that are not in use cannot be removed");
            }
        }
    }

    /// Moves tables that do not check out of the way, and lets go of those set aside long ago.
    fn set_aside(&self, path: &Path, fault: &TablesFault) -> Result<PathBuf> {
        let damaged = self.damaged()?;
        let number = damaged.last().map_or(1, |(number, _)| number + 1);
        let aside = self.dir.join(format!("{DAMAGED}{number}"));
        tracing::error!(%fault, aside = %aside.display(), "the tables are set aside and built anew");
        fs::rename(path, &aside).map_err(|e| StorageError::disk(DiskOp::Rename, path, e))?;
        let too_many = (damaged.len() + 1).saturating_sub(limits::DAMAGED_TABLES_KEPT);
        for (_, old) in damaged.iter().take(too_many) {
            if let Err(error) = fs::remove_dir_all(old) {
                tracing::warn!(%error, old = %old.display(), "tables set aside long ago cannot be removed");
            }
        }
        Ok(aside)
    }

    /// Tables set aside in earlier starts, oldest first.
    fn damaged(&self) -> Result<Vec<(u64, PathBuf)>> {
        let number = |name: &str| name.strip_prefix(DAMAGED)?.parse::<u64>().ok();
        let names = self.directories()?;
        let mut damaged: Vec<(u64, PathBuf)> =
            names.iter().filter_map(|name| Some((number(name)?, self.dir.join(name)))).collect();
        damaged.sort();
        Ok(damaged)
    }

    /// Names a file that makes the next start build the tables anew, so that a damaged record never becomes a crash loop.
    pub(super) fn suspect(&self, fault: TablesFault) -> StorageError {
        suspect(&self.dir, fault)
    }
}

/// Brings in what a checkpoint holds.
fn fill(tables: &Tables, from: &Checkpoint) -> Result<()> {
    let mut records = Vec::with_capacity(limits::IMPORT_BATCH_RECORDS);
    checkpoint::read(&OsDisk, &from.path, |tree, key, value| {
        records.push((tree, key.to_vec(), value.to_vec()));
        if records.len() == limits::IMPORT_BATCH_RECORDS {
            tables.put(std::mem::take(&mut records)).map_err(tables_error)?;
        }
        Ok(())
    })?;
    tables.put(records).map_err(tables_error)?;
    let applied = tables.applied().map_err(tables_error)?;
    if applied == from.through {
        return Ok(());
    }
    let why = format!("it includes decisions through {}", applied.0);
    Err(StorageError::Checkpoint { path: from.path.clone(), why })
}

fn is_tables(name: &str) -> bool {
    let number = |digits: &str| !digits.is_empty() && digits.bytes().all(|byte| byte.is_ascii_digit());
    name == FIRST || name.strip_prefix(NUMBERED).is_some_and(number)
}

/// See [`Place::suspect`].
pub(super) fn suspect(dir: &Path, fault: TablesFault) -> StorageError {
    let is_theirs = !matches!(fault, TablesFault::Disk(_));
    if is_theirs && let Err(error) = fs::write(dir.join(SUSPECT), fault.to_string()) {
        tracing::error!(%error, "the tables cannot be marked for rebuilding; remove the folder `tables` by hand");
    }
    tables_error(fault)
}

pub(super) fn tables_error(fault: TablesFault) -> StorageError {
    match fault {
        TablesFault::Disk(error) => StorageError::disk(DiskOp::Write, Path::new("tables"), error),
        fault => StorageError::Tables { why: fault.to_string() },
    }
}

impl From<TablesFault> for StorageError {
    fn from(fault: TablesFault) -> StorageError {
        tables_error(fault)
    }
}
