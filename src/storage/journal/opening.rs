//! Finding where a journal stands: what is intact, what is torn, what is damaged and missing, and where to go on.
//!
//! Invariants: a version this build does not know stops the opening before anything is changed; damage is set aside at
//! once, so that the same damage is met only once; every hole between two intact decisions is in the report.

use std::path::Path;

use super::frame::{self, ChainHash, Salt};
use super::segment::{self, Opening, Scan, SegmentHeader};
use super::{Active, Epoch, FormatVersion, Gap, OpenReport, Segment, Seq, TornTail, Verify, quarantine};
use crate::limits::SEQ_SKIP;
use crate::storage::disk::{Disk, DiskFile};
use crate::storage::error::{Result, StorageError};

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum TailState {
    Absent,
    /// The last segment can be written on.
    Usable,
    /// The last segment was set aside; a new one must begin at `active.next`.
    Closed,
}

pub(super) struct TailFound {
    pub(super) active: Active,
    pub(super) state: TailState,
    /// The first sequence number of which nothing is here.
    pub(super) missing_from: Seq,
    /// The last decision that does not stand in the last frame.
    pub(super) settled: Seq,
}

/// Refuses what this build must not touch, before it touches anything.
pub(super) fn check_headers(disk: &dyn Disk, dir: &Path, epoch: Epoch) -> Result<()> {
    for name in disk.list(dir)? {
        if segment::first_of_name(&name).is_none() {
            continue;
        }
        let path = dir.join(name);
        let mut head = [0; frame::HEADER_BYTES];
        let got = disk.open_read(&path)?.read_at(0, &mut head)?;
        match SegmentHeader::decode(&head[..got]) {
            Opening::Newer(found) => {
                return Err(StorageError::VersionUnknown { path, found, known: FormatVersion::CURRENT });
            }
            Opening::Known(header) if header.epoch > epoch => {
                return Err(StorageError::EpochOlder { journal: header.epoch, asked: epoch });
            }
            Opening::Known(_) | Opening::Damaged => {}
        }
    }
    Ok(())
}

/// Reads what `verify` asks for, sets damage aside, and finds where to go on.
pub(super) fn read_segments(
    disk: &dyn Disk,
    dir: &Path,
    (verify, epoch): (Verify, Epoch),
    report: &mut OpenReport,
) -> Result<(Vec<Segment>, TailFound)> {
    let mut firsts: Vec<Seq> =
        disk.list(dir)?.iter().filter_map(|name| segment::first_of_name(name)).collect();
    firsts.sort();
    let mut segments = Vec::new();
    // Where the next segment must begin and what it must carry, as far as that is known.
    let mut due: Option<(Seq, ChainHash)> = None;
    let mut tail = TailFound::absent();
    for (index, first) in firsts.iter().copied().enumerate() {
        let last = index + 1 == firsts.len();
        if verify == Verify::Tail && !last {
            segments.push(Segment { first, end: None, marks: Vec::new() });
            due = None;
            continue;
        }
        let path = dir.join(segment::file_name(first));
        let file = disk.open_read(&path)?;
        let overlaps = due.is_some_and(|(next, _)| first < next);
        let mut scan = match due {
            Some((next, _)) if first < next => Scan::out_of_place(first, file.len()?),
            Some((next, hash)) if first == next => segment::scan(&*file, &path, first, Some(hash), last)?,
            _ => segment::scan(&*file, &path, first, None, last)?,
        };
        if let Some(newest) = scan.runs.last().map(|run| run.epoch).filter(|newest| *newest > epoch) {
            return Err(StorageError::EpochOlder { journal: newest, asked: epoch });
        }
        if scan.torn {
            report.cut = Some(TornTail { segment: path.clone(), offset: scan.end });
        }
        let missing_from = due.map_or(first, |(next, _)| next);
        let damaged = !scan.damages.is_empty();
        let before = due.map_or(scan.header.previous, |(_, hash)| hash);
        if damaged {
            if !overlaps {
                scan.hold_place(before);
            }
            report.quarantined.push(quarantine::set_aside(disk, dir, &*file, &scan)?);
            segments.extend(scan.runs.iter().map(Segment::salvaged));
        } else {
            if missing_from < first {
                report.gaps.push(Gap { from: missing_from, to: Seq(first.0 - 1) });
            }
            segments.push(Segment::scanned(&scan));
        }
        let mut next = missing_from;
        for run in scan.runs.iter().filter(|_| damaged) {
            if next < run.first {
                report.gaps.push(Gap { from: next, to: Seq(run.first.0 - 1) });
            }
            next = run.next;
        }
        let end = match scan.runs.last() {
            Some(run) => (run.next, run.hash),
            None if damaged => (next, before),
            None => (first, scan.header.previous),
        };
        due = Some(end);
        if last {
            tail = TailFound::of(&scan, &*file, end)?;
        }
    }
    if let Some(segment) = segments.last_mut().filter(|_| tail.state == TailState::Usable) {
        segment.end = None;
    }
    Ok((segments, tail))
}

impl TailFound {
    fn absent() -> Self {
        let active = Active {
            writer: None,
            first: Seq(0),
            salt: Salt::default(),
            end: 0,
            file_bytes: 0,
            unsettled: None,
            next: Seq(1),
            hash: ChainHash::default(),
            marked_at: 0,
        };
        Self { active, state: TailState::Absent, missing_from: Seq(1), settled: Seq(0) }
    }

    /// `end`: the sequence number behind the last intact decision of the journal and the hash of its frame.
    fn of(scan: &Scan, file: &dyn DiskFile, end: (Seq, ChainHash)) -> Result<Self> {
        let mut tail = Self::absent();
        (tail.active.next, tail.active.hash) = end;
        tail.missing_from = end.0;
        if !scan.damages.is_empty() {
            tail.state = TailState::Closed;
            let hidden = if scan.open_ended { SEQ_SKIP } else { 0 };
            // Numbers below the segment's own name were given out even if nothing of it is left.
            tail.active.next = Seq(end.0.max(scan.header.first).0 + hidden);
            return Ok(tail);
        }
        tail.state = TailState::Usable;
        tail.active.first = scan.header.first;
        tail.active.salt = scan.header.salt;
        tail.active.end = scan.end;
        tail.active.file_bytes = scan.file_bytes;
        tail.settled = Seq(end.0.0 - 1);
        if let Some(run) = scan.runs.last() {
            tail.active.marked_at = run.marks.last().map_or(0, |(_, at)| *at);
            let mut frame = vec![0; (run.to - run.last_at) as usize];
            let got = file.read_at(run.last_at, &mut frame)?;
            let header = frame::Header::decode(&frame[..got], &scan.header.salt);
            tail.settled = Seq(header.map_or(run.first.0, |header| header.first.0) - 1);
            frame.truncate(got);
            tail.active.unsettled = Some((run.last_at, frame));
        }
        Ok(tail)
    }
}
