//! Setting a damaged segment aside: the file moves whole into `quarantine/`, its intact frames become segments of their own.
//!
//! Invariants: at every moment, power cut or not, each intact frame is in the journal or in a finished copy beside it;
//! nothing is ever removed or overwritten in `quarantine/`.
//!
//! Order: write each run of intact frames to `<segment>-<first>.salvage`, durable; move the segment to `quarantine/`,
//! durable; give the copies their final names, the highest first, each durable. A copy is worth nothing as long as the
//! segment is in place and is taken over once it is gone; the copy that takes the segment's own name goes last, so that
//! "the segment is in place" never becomes true again too early.

use std::path::{Path, PathBuf};

use super::segment::{self, FRAMES_AT, Scan, SegmentHeader};
use super::{Quarantined, Seq};
use crate::limits::SCAN_WINDOW_BYTES;
use crate::storage::disk::{Disk, DiskFile};
use crate::storage::error::Result;

/// Directory below the journal's that keeps what does not check.
pub const QUARANTINE_DIR: &str = "quarantine";
const SUFFIX: &str = ".salvage";

/// Moves the segment that `scan` was made of out of the way and its intact frames into segments of their own.
pub(super) fn set_aside(
    disk: &dyn Disk,
    dir: &Path,
    file: &dyn DiskFile,
    scan: &Scan,
) -> Result<Quarantined> {
    let aside = dir.join(QUARANTINE_DIR);
    disk.create_dir_all(&aside)?;
    disk.sync_dir(dir)?;
    let first = scan.header.first;
    for run in &scan.runs {
        let header = SegmentHeader {
            salt: scan.header.salt,
            first: run.first,
            epoch: run.epoch,
            previous: run.previous,
        };
        let copy = disk.create(&dir.join(copy_name(first, run.first)))?;
        copy.write_at(0, &header.encode())?;
        let mut buf = vec![0; SCAN_WINDOW_BYTES];
        let mut at = run.from;
        while at < run.to {
            let want = (run.to - at).min(buf.len() as u64) as usize;
            let got = file.read_at(at, &mut buf[..want])?;
            copy.write_at(at - run.from + FRAMES_AT, &buf[..got])?;
            // A file that has become shorter since the scan would turn this for ever.
            at = if got == 0 { run.to } else { at + got as u64 };
        }
        copy.sync_data()?;
    }
    disk.sync_dir(dir)?;
    let segment = dir.join(segment::file_name(first));
    let moved_to = free_name(disk, &aside, first)?;
    disk.rename(&segment, &moved_to)?;
    disk.sync_dir(&aside)?;
    disk.sync_dir(dir)?;
    for run in scan.runs.iter().rev() {
        install(disk, dir, first, run.first)?;
    }
    let damaged = scan.damages.iter().map(|damage| (damage.from, damage.to)).collect();
    Ok(Quarantined { segment, moved_to, damaged, missing: Vec::new() })
}

/// Finishes or takes back what a power cut interrupted. Called before anything else looks at the directory.
pub(super) fn resume(disk: &dyn Disk, dir: &Path) -> Result<()> {
    let names = disk.list(dir)?;
    let mut copies: Vec<(Seq, Seq)> = names.iter().filter_map(|name| parse_copy_name(name)).collect();
    copies.sort();
    for (segment, first) in copies.into_iter().rev() {
        if names.contains(&segment::file_name(segment)) {
            disk.remove(&dir.join(copy_name(segment, first)))?;
            disk.sync_dir(dir)?;
        } else {
            install(disk, dir, segment, first)?;
        }
    }
    for name in
        names.iter().filter(|name| name.strip_suffix(".new").and_then(segment::first_of_name).is_some())
    {
        disk.remove(&dir.join(name))?;
    }
    Ok(())
}

fn install(disk: &dyn Disk, dir: &Path, segment: Seq, first: Seq) -> Result<()> {
    disk.rename(&dir.join(copy_name(segment, first)), &dir.join(segment::file_name(first)))?;
    disk.sync_dir(dir)
}

fn copy_name(segment: Seq, first: Seq) -> String {
    format!("{:020}-{:020}{SUFFIX}", segment.0, first.0)
}

fn parse_copy_name(name: &str) -> Option<(Seq, Seq)> {
    let (segment, first) = name.strip_suffix(SUFFIX)?.split_once('-')?;
    Some((Seq(segment.parse().ok()?), Seq(first.parse().ok()?)))
}

fn free_name(disk: &dyn Disk, aside: &Path, first: Seq) -> Result<PathBuf> {
    let taken = disk.list(aside)?;
    let name = (0..=taken.len())
        .map(|nth| format!("{:020}.{nth}.journal", first.0))
        .find(|name| !taken.contains(name))
        .expect("one more name than there are files is free");
    Ok(aside.join(name))
}
