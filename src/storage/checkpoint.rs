//! Checkpoints: all records of the tables as of one decision, in a file that is believed only after it was read back.
//!
//! Layout: `<dir>/<through seq>.checkpoint`. A head (magic, version, through, epoch, CRC-32C), blocks (raw length, packed
//! length, CRC-32C, zstd), an end (a block of raw length 0 that holds the number of records per tree and the SHA-256 of
//! everything before it, unpacked), and nothing behind it. Numbers are big-endian. A block holds whole records:
//! tree, key length, value length, key, value.
//!
//! Invariants: a file under its final name was written whole, synced, read back and renamed, in this order, and its
//! directory synced after; a draft is never read and goes at the next writing; a file that does not check gives nothing
//! that is kept: `verify` reads all of it before anyone loads it. The newest `CHECKPOINTS_KEPT` stay, and the journal is kept
//! from the oldest of them on: should the newest rot, the one before it does.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use sha2::{Digest, Sha256};

use crate::domain::ids::{Epoch, Seq};
use crate::limits;

use super::disk::{Disk, DiskFile, DiskOp};
use super::error::{Result, StorageError};
use super::journal::FormatVersion;

/// Directory below the data directory.
pub const CHECKPOINT_DIR: &str = "checkpoints";
const SUFFIX: &str = ".checkpoint";
const DRAFT: &str = "draft.checkpoint.new";
const MAGIC: &[u8; 8] = b"AISLCKPT";
const VERSION: FormatVersion = FormatVersion(1);
const HEAD_BYTES: usize = 8 + 4 + 8 + 8 + 4;
const BLOCK_HEAD_BYTES: usize = 12;
const RECORD_HEAD_BYTES: usize = 9;

/// A checkpoint that is there.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Checkpoint {
    /// Its file.
    pub path: PathBuf,
    /// The last decision it includes.
    pub through: Seq,
    /// The life of the box it was made in.
    pub epoch: Epoch,
}

/// What a checkpoint holds.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Content {
    /// Records of each tree.
    pub records: BTreeMap<u8, u64>,
    /// Bytes of all keys and values.
    pub bytes: u64,
}

/// Writes a checkpoint: `begin`, `add` each record, `finish`.
pub struct Writer<'a> {
    disk: &'a dyn Disk,
    dir: PathBuf,
    file: Arc<dyn DiskFile>,
    through: Seq,
    epoch: Epoch,
    at: u64,
    unsynced: u64,
    block: Vec<u8>,
    hash: Sha256,
    content: Content,
}

impl<'a> Writer<'a> {
    /// Begins a checkpoint of everything through `through` in `dir`, which is made if it is not there.
    pub fn begin(disk: &'a dyn Disk, dir: &Path, through: Seq, epoch: Epoch) -> Result<Writer<'a>> {
        disk.create_dir_all(dir)?;
        if let Some(parent) = dir.parent() {
            disk.sync_dir(parent)?;
        }
        if disk.list(dir)?.iter().any(|name| name == DRAFT) {
            disk.remove(&dir.join(DRAFT))?;
        }
        let file = disk.create(&dir.join(DRAFT))?;
        let head = head(through, epoch);
        file.write_at(0, &head)?;
        let mut hash = Sha256::new();
        hash.update(head);
        Ok(Writer {
            disk,
            dir: dir.to_owned(),
            file,
            through,
            epoch,
            at: HEAD_BYTES as u64,
            unsynced: 0,
            block: Vec::with_capacity(limits::CHECKPOINT_BLOCK_BYTES),
            hash,
            content: Content::default(),
        })
    }

    /// Adds a record.
    pub fn add(&mut self, tree: u8, key: &[u8], value: &[u8]) -> Result<()> {
        let bytes = RECORD_HEAD_BYTES + key.len() + value.len();
        if !self.block.is_empty() && self.block.len() + bytes > limits::CHECKPOINT_BLOCK_BYTES {
            self.flush()?;
        }
        self.block.push(tree);
        self.block.extend(length(key.len())?.to_be_bytes());
        self.block.extend(length(value.len())?.to_be_bytes());
        self.block.extend(key);
        self.block.extend(value);
        *self.content.records.entry(tree).or_default() += 1;
        self.content.bytes += (key.len() + value.len()) as u64;
        Ok(())
    }

    /// Ends the checkpoint, reads it back, gives it its name and lets go of those that are too old.
    pub fn finish(mut self) -> Result<(Checkpoint, Content)> {
        self.flush()?;
        let mut end = Vec::new();
        for (tree, count) in &self.content.records {
            end.push(*tree);
            end.extend(count.to_be_bytes());
        }
        end.extend(self.hash.finalize_reset());
        self.put(0, &end)?;
        self.file.sync_data()?;
        let draft = self.dir.join(DRAFT);
        let written = verify(self.disk, &draft)?;
        if written != self.content {
            return Err(damaged(&draft, "it does not hold what was written"));
        }
        let path = self.dir.join(file_name(self.through));
        self.disk.rename(&draft, &path)?;
        self.disk.sync_dir(&self.dir)?;
        forget_old(self.disk, &self.dir)?;
        Ok((Checkpoint { path, through: self.through, epoch: self.epoch }, self.content))
    }

    fn flush(&mut self) -> Result<()> {
        if self.block.is_empty() {
            return Ok(());
        }
        let block = std::mem::take(&mut self.block);
        self.hash.update(&block);
        let packed = zstd::bulk::compress(&block, limits::CHECKPOINT_ZSTD_LEVEL)
            .map_err(|error| StorageError::disk(DiskOp::Write, &self.dir.join(DRAFT), error))?;
        self.put(length(block.len())?, &packed)?;
        self.block = block;
        self.block.clear();
        if self.unsynced >= limits::CHECKPOINT_SYNC_BYTES {
            // In steps, so that the journal's own sync never waits for all of it.
            self.file.sync_data()?;
            self.unsynced = 0;
        }
        Ok(())
    }

    fn put(&mut self, raw_bytes: u32, packed: &[u8]) -> Result<()> {
        let mut block = Vec::with_capacity(BLOCK_HEAD_BYTES + packed.len());
        block.extend(raw_bytes.to_be_bytes());
        block.extend(length(packed.len())?.to_be_bytes());
        block.extend(block_sum(raw_bytes, packed).to_be_bytes());
        block.extend(packed);
        self.file.write_at(self.at, &block)?;
        self.at += block.len() as u64;
        self.unsynced += block.len() as u64;
        Ok(())
    }
}

/// The checkpoints under their final names, oldest first. Only their heads are read; a head that does not check is left out.
pub fn list(disk: &dyn Disk, dir: &Path) -> Result<Vec<Checkpoint>> {
    let names = match disk.list(dir) {
        Ok(names) => names,
        Err(error) if error.is_absent() => return Ok(Vec::new()),
        Err(error) => return Err(error),
    };
    let mut found = Vec::new();
    for name in names {
        let Some(through) = through_of(&name) else { continue };
        let path = dir.join(name);
        match read_head(&*disk.open_read(&path)?, &path) {
            Ok((head, epoch)) if head == through => found.push(Checkpoint { path, through, epoch }),
            Err(error @ StorageError::VersionUnknown { .. }) => return Err(error),
            Ok(_) | Err(StorageError::Checkpoint { .. }) => {
                tracing::error!(path = %path.display(), code = "AIS-5017", "a checkpoint does not check; it is not used");
            }
            Err(error) => return Err(error),
        }
    }
    found.sort_by_key(|checkpoint| checkpoint.through);
    Ok(found)
}

/// The newest checkpoint that checks to its last byte.
pub fn newest_good(disk: &dyn Disk, dir: &Path) -> Result<Option<Checkpoint>> {
    for checkpoint in list(disk, dir)?.into_iter().rev() {
        match verify(disk, &checkpoint.path) {
            Ok(_) => return Ok(Some(checkpoint)),
            Err(error @ StorageError::Checkpoint { .. }) => {
                tracing::error!(%error, code = error.code(), "a checkpoint does not check; the one before it is tried");
            }
            Err(error) => return Err(error),
        }
    }
    Ok(None)
}

/// Reads all of a checkpoint and says what it holds.
pub fn verify(disk: &dyn Disk, path: &Path) -> Result<Content> {
    read(disk, path, |_, _, _| Ok(()))
}

/// Hands over each record: tree, key, value. What was handed over counts only if this returns `Ok`.
pub fn read(
    disk: &dyn Disk,
    path: &Path,
    mut take: impl FnMut(u8, &[u8], &[u8]) -> Result<()>,
) -> Result<Content> {
    let file = disk.open_read(path)?;
    let (through, epoch) = read_head(&*file, path)?;
    let mut hash = Sha256::new();
    hash.update(head(through, epoch));
    let (mut content, mut at) = (Content::default(), HEAD_BYTES as u64);
    loop {
        let mut head = [0; BLOCK_HEAD_BYTES];
        if file.read_at(at, &mut head)? < head.len() {
            return Err(damaged(path, "it ends early"));
        }
        let number =
            |from: usize| u32::from_be_bytes([head[from], head[from + 1], head[from + 2], head[from + 3]]);
        let (raw_bytes, packed_bytes, sum) = (number(0), number(4) as usize, number(8));
        if raw_bytes as usize > limits::CHECKPOINT_RECORD_BYTES_MAX
            || packed_bytes > zstd::zstd_safe::compress_bound(limits::CHECKPOINT_RECORD_BYTES_MAX)
        {
            return Err(damaged(path, "a length does not make sense"));
        }
        let mut packed = vec![0; packed_bytes];
        if file.read_at(at + head.len() as u64, &mut packed)? < packed.len() {
            return Err(damaged(path, "it ends early"));
        }
        if block_sum(raw_bytes, &packed) != sum {
            return Err(damaged(path, "a checksum does not match"));
        }
        at += (head.len() + packed.len()) as u64;
        if raw_bytes == 0 {
            let mut end = Vec::new();
            for (tree, count) in &content.records {
                end.push(*tree);
                end.extend(count.to_be_bytes());
            }
            end.extend(hash.finalize_reset());
            return match end == packed && file.len()? == at {
                true => Ok(content),
                false => Err(damaged(path, "its end is not of its content")),
            };
        }
        let block = zstd::bulk::decompress(&packed, raw_bytes as usize)
            .map_err(|error| damaged(path, &error.to_string()))?;
        hash.update(&block);
        let mut rest = block.as_slice();
        while !rest.is_empty() {
            let Stored { tree, key, value, after } =
                record(rest).ok_or_else(|| damaged(path, "a record does not fit its block"))?;
            take(tree, key, value)?;
            *content.records.entry(tree).or_default() += 1;
            content.bytes += (key.len() + value.len()) as u64;
            rest = after;
        }
    }
}

/// A record in its block, and what follows it.
struct Stored<'a> {
    tree: u8,
    key: &'a [u8],
    value: &'a [u8],
    after: &'a [u8],
}

fn record(bytes: &[u8]) -> Option<Stored<'_>> {
    let (tree, rest) = bytes.split_first()?;
    let (key_bytes, rest) = rest.split_first_chunk::<4>()?;
    let (value_bytes, rest) = rest.split_first_chunk::<4>()?;
    let (key, rest) = rest.split_at_checked(u32::from_be_bytes(*key_bytes) as usize)?;
    let (value, after) = rest.split_at_checked(u32::from_be_bytes(*value_bytes) as usize)?;
    Some(Stored { tree: *tree, key, value, after })
}

fn head(through: Seq, epoch: Epoch) -> [u8; HEAD_BYTES] {
    let mut head = [0; HEAD_BYTES];
    head[..8].copy_from_slice(MAGIC);
    head[8..12].copy_from_slice(&VERSION.0.to_be_bytes());
    head[12..20].copy_from_slice(&through.0.to_be_bytes());
    head[20..28].copy_from_slice(&epoch.0.to_be_bytes());
    let sum = crc32c::crc32c(&head[..28]);
    head[28..].copy_from_slice(&sum.to_be_bytes());
    head
}

fn read_head(file: &dyn DiskFile, path: &Path) -> Result<(Seq, Epoch)> {
    let mut bytes = [0; HEAD_BYTES];
    let got = file.read_at(0, &mut bytes)?;
    let eight = |from: usize| u64::from_be_bytes(bytes[from..from + 8].try_into().expect("eight bytes"));
    let sum = u32::from_be_bytes(bytes[28..].try_into().expect("four bytes"));
    if got < HEAD_BYTES || &bytes[..8] != MAGIC || crc32c::crc32c(&bytes[..28]) != sum {
        return Err(damaged(path, "its head does not check"));
    }
    let found = FormatVersion(u32::from_be_bytes(bytes[8..12].try_into().expect("four bytes")));
    if found != VERSION {
        return Err(StorageError::VersionUnknown { path: path.to_owned(), found, known: VERSION });
    }
    Ok((Seq(eight(12)), Epoch(eight(20))))
}

fn block_sum(raw_bytes: u32, packed: &[u8]) -> u32 {
    crc32c::crc32c_append(crc32c::crc32c(&raw_bytes.to_be_bytes()), packed)
}

/// Lets go of all checkpoints but this one.
pub fn keep_only(disk: &dyn Disk, kept: &Checkpoint) -> Result<()> {
    let dir = kept.path.parent().unwrap_or(Path::new(""));
    for name in disk.list(dir)? {
        if name.ends_with(SUFFIX) && dir.join(&name) != kept.path {
            disk.remove(&dir.join(name))?;
        }
    }
    disk.sync_dir(dir)
}

fn forget_old(disk: &dyn Disk, dir: &Path) -> Result<()> {
    let mut named: Vec<Seq> = disk.list(dir)?.iter().filter_map(|name| through_of(name)).collect();
    named.sort();
    let too_many = named.len().saturating_sub(limits::CHECKPOINTS_KEPT);
    for through in &named[..too_many] {
        disk.remove(&dir.join(file_name(*through)))?;
    }
    if too_many > 0 { disk.sync_dir(dir) } else { Ok(()) }
}

fn file_name(through: Seq) -> String {
    format!("{:020}{SUFFIX}", through.0)
}

fn through_of(name: &str) -> Option<Seq> {
    let digits = name.strip_suffix(SUFFIX).filter(|digits| digits.len() == 20)?;
    digits.parse().ok().map(Seq)
}

fn length(bytes: usize) -> Result<u32> {
    let max = limits::CHECKPOINT_RECORD_BYTES_MAX;
    u32::try_from(bytes)
        .ok()
        .filter(|length| *length as usize <= 2 * max)
        .ok_or(StorageError::GroupTooLarge { bytes, max })
}

fn damaged(path: &Path, why: &str) -> StorageError {
    StorageError::Checkpoint { path: path.to_owned(), why: why.to_owned() }
}

#[cfg(test)]
mod tests {
    use super::super::disk::{Fault, FaultKind, MemDisk};
    use super::*;

    const DIR: &str = "/data/checkpoints";

    fn disk(seed: u64) -> MemDisk {
        let disk = MemDisk::new(seed);
        disk.create_dir_all(Path::new("/data")).expect("made");
        disk.sync_dir(Path::new("/")).expect("synced");
        disk
    }

    fn write(disk: &MemDisk, through: u64, records: u64) -> Result<Checkpoint> {
        let mut writer = Writer::begin(disk, Path::new(DIR), Seq(through), Epoch(3))?;
        for number in 0..records {
            writer.add((number % 9) as u8, &number.to_be_bytes(), &vec![(number % 251) as u8; 700])?;
        }
        Ok(writer.finish()?.0)
    }

    #[test]
    fn is_it_read_as_it_was_written() {
        let disk = disk(1);
        let written = write(&disk, 77, 2_000).expect("written");
        let mut seen = 0;
        let content = read(&disk, &written.path, |tree, key, value| {
            let number = u64::from_be_bytes(key.try_into().expect("eight bytes"));
            assert_eq!((u64::from(tree), number), (seen % 9, seen));
            assert_eq!(value, vec![(number % 251) as u8; 700]);
            seen += 1;
            Ok(())
        });
        assert_eq!(content.expect("it checks").records.values().sum::<u64>(), 2_000);
        assert_eq!(newest_good(&disk, Path::new(DIR)).expect("listed"), Some(written));
    }

    #[test]
    fn is_a_flipped_or_missing_byte_ever_believed() {
        let disk = disk(1);
        let path = write(&disk, 77, 12).expect("written").path;
        let whole = disk.bytes(&path).expect("it is there");
        for at in 0..whole.len() {
            disk.rot(&path, |bytes| bytes[at] ^= 1 << (at % 8));
            assert_eq!(newest_good(&disk, Path::new(DIR)).expect("listed"), None, "byte {at} flipped");
            disk.rot(&path, |bytes| *bytes = whole[..at].to_vec());
            assert_eq!(newest_good(&disk, Path::new(DIR)).expect("listed"), None, "cut at byte {at}");
            disk.rot(&path, |bytes| *bytes = whole.clone());
        }
        disk.rot(&path, |bytes| bytes.push(0));
        assert!(verify(&disk, &path).is_err(), "a byte more");
    }

    #[test]
    fn does_the_one_before_stand_in_for_a_rotten_one_and_how_many_are_kept() {
        let disk = disk(1);
        let kept: Vec<Checkpoint> =
            (1..=4).map(|nth| write(&disk, nth * 10, 40).expect("written")).skip(2).collect();
        assert_eq!(list(&disk, Path::new(DIR)).expect("listed"), kept);
        disk.rot(&kept[1].path, |bytes| bytes[HEAD_BYTES + 20] ^= 1);
        assert_eq!(newest_good(&disk, Path::new(DIR)).expect("listed"), Some(kept[0].clone()));
    }

    #[test]
    fn is_one_of_a_newer_version_refused_and_left_alone() {
        let disk = disk(1);
        let path = write(&disk, 77, 12).expect("written").path;
        disk.rot(&path, |bytes| {
            bytes[11] = 2;
            let sum = crc32c::crc32c(&bytes[..28]);
            bytes[28..32].copy_from_slice(&sum.to_be_bytes());
        });
        let before = disk.bytes(&path);
        let error = newest_good(&disk, Path::new(DIR)).expect_err("it is newer");
        assert_eq!(error.code(), "AIS-5005");
        assert_eq!(disk.bytes(&path), before);
    }

    #[test]
    fn is_a_checkpoint_lost_or_half_believed_when_any_operation_fails_or_the_power_goes() {
        let whole = disk(0);
        write(&whole, 10, 400).expect("written");
        let before = whole.changes();
        write(&whole, 20, 400).expect("written");
        for nth in 1..=whole.changes() - before + 1 {
            for seed in 0..8 {
                let disk = disk(seed * 1_000 + nth);
                write(&disk, 10, 400).expect("written");
                disk.fail(Fault { op: None, nth, kind: FaultKind::Io, sticky: seed % 2 == 0 });
                let second = write(&disk, 20, 400);
                disk.crash();
                let good = newest_good(&disk, Path::new(DIR)).expect("listed").map(|good| good.through.0);
                match second {
                    Ok(_) => assert_eq!(good, Some(20), "operation {nth}, seed {seed}"),
                    Err(_) => {
                        assert!(matches!(good, Some(10 | 20)), "operation {nth}, seed {seed}: {good:?}")
                    }
                }
                write(&disk, 30, 400).expect("the next one is written");
                assert_eq!(
                    newest_good(&disk, Path::new(DIR)).expect("listed").map(|good| good.through),
                    Some(Seq(30))
                );
            }
        }
    }
}
