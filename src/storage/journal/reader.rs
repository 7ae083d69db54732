//! Reading the journal: from any sequence number, in order, across segments, behind the durable end.
//!
//! Invariants: a reader holds one frame in memory; it looks at nothing beyond the durable end, so it may run beside the
//! writer; every frame's CRCs are checked before any of it is shown; a hole is an error once and never passed over in
//! silence. `Ok(None)` is the live end: call again after the next commit.

use std::path::PathBuf;
use std::sync::Arc;
use std::sync::atomic::Ordering;

use super::frame::{self, HEADER_BYTES, Header, Salt};
use super::segment::{FRAMES_AT, Opening, SegmentHeader};
use super::{Epoch, FormatVersion, Seq, Shared};
use crate::storage::disk::DiskFile;
use crate::storage::error::{Result, StorageError};

/// One decision as it stands in the journal.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Entry<'a> {
    /// Its place.
    pub seq: Seq,
    /// The epoch it was decided in.
    pub epoch: Epoch,
    /// Its bytes.
    pub payload: &'a [u8],
}

/// Follows the journal. Made by `Journal::reader` or `JournalView::reader`.
#[derive(Debug)]
pub struct Reader {
    shared: Arc<Shared>,
    next: Seq,
    cursor: Option<Cursor>,
    /// The frame behind its header, once it has checked.
    rest: Vec<u8>,
    at: usize,
    left: u32,
    epoch: Epoch,
}

#[derive(Debug)]
struct Cursor {
    file: Arc<dyn DiskFile>,
    path: PathBuf,
    segment: Seq,
    salt: Salt,
    at: u64,
}

impl Reader {
    pub(super) fn new(shared: Arc<Shared>, from: Seq) -> Self {
        let next = Seq(from.0.max(1));
        Self { shared, next, cursor: None, rest: Vec::new(), at: 0, left: 0, epoch: Epoch(0) }
    }

    /// Entries from `from` on, at most so many and, behind the first, until so many bytes are there. What was pruned is
    /// passed over; each hole is handed to `hole`, and the reading goes on behind it.
    pub fn read_many(
        &mut self,
        from: Seq,
        (entries_max, bytes_max): (usize, usize),
        mut hole: impl FnMut(&StorageError),
    ) -> Result<Vec<(Seq, Epoch, Vec<u8>)>> {
        if self.position() != from {
            self.seek(from);
        }
        let (mut entries, mut bytes) = (Vec::new(), 0);
        while entries.len() < entries_max && (entries.is_empty() || bytes < bytes_max) {
            match self.next() {
                Ok(Some(entry)) => {
                    bytes += entry.payload.len();
                    entries.push((entry.seq, entry.epoch, entry.payload.to_vec()));
                }
                Ok(None) => break,
                Err(StorageError::Pruned { first, .. }) => self.seek(first),
                Err(gap @ StorageError::Gap { .. }) => hole(&gap),
                Err(error) => return Err(error),
            }
        }
        Ok(entries)
    }

    /// The sequence number of the next entry.
    pub fn position(&self) -> Seq {
        self.next
    }

    /// Goes on from `seq`.
    pub fn seek(&mut self, seq: Seq) {
        *self = Self::new(self.shared.clone(), seq);
    }

    /// The next decision; `None` at the live end. Errors: the disk's; `Pruned`; `Gap`, after which the next call goes on
    /// behind it; `Damaged`, which stays until the segment is repaired.
    // Not an iterator: an entry borrows the reader's one frame.
    #[expect(clippy::should_implement_trait, reason = "an entry borrows the reader's one frame")]
    pub fn next(&mut self) -> Result<Option<Entry<'_>>> {
        if self.left == 0 && !self.fill()? {
            return Ok(None);
        }
        let seq = self.next;
        let Some((range, after)) = frame::payload_at(&self.rest, self.at) else { return Err(self.damaged()) };
        self.at = after;
        self.left -= 1;
        self.next = Seq(seq.0 + 1);
        Ok(Some(Entry { seq, epoch: self.epoch, payload: &self.rest[range] }))
    }

    /// Reads the frame that holds `next`. False at the live end.
    fn fill(&mut self) -> Result<bool> {
        loop {
            if self.next.0 > self.shared.durable.load(Ordering::Acquire) {
                return Ok(false);
            }
            let mut cursor = match self.cursor.take() {
                Some(cursor) => cursor,
                None => self.locate()?,
            };
            let mut head = [0; HEADER_BYTES];
            let got = cursor.file.read_at(cursor.at, &mut head)?;
            let Some(header) = Header::decode(&head[..got], &cursor.salt) else {
                self.leave(cursor)?;
                continue;
            };
            if header.end() <= self.next {
                cursor.at += header.frame_bytes() as u64;
                self.cursor = Some(cursor);
                continue;
            }
            self.rest.resize(header.frame_bytes() - HEADER_BYTES, 0);
            let got = cursor.file.read_at(cursor.at + HEADER_BYTES as u64, &mut self.rest)?;
            self.rest.truncate(got);
            if header.first > self.next || !header.body_checks(&self.rest) {
                return Err(self.damaged_at(cursor));
            }
            self.at = 0;
            self.left = header.count;
            self.epoch = header.epoch;
            for _ in header.first.0..self.next.0 {
                let Some((_, after)) = frame::payload_at(&self.rest, self.at) else {
                    return Err(self.damaged_at(cursor));
                };
                self.at = after;
                self.left -= 1;
            }
            cursor.at += header.frame_bytes() as u64;
            self.cursor = Some(cursor);
            return Ok(true);
        }
    }

    /// Where to look for `next`: its segment, from the last mark before it.
    fn locate(&self) -> Result<Cursor> {
        // Held while the file is opened: prune takes a segment off the list before it removes it.
        let segments = self.shared.segments();
        let index = segments.partition_point(|segment| segment.first <= self.next);
        let Some(segment) = index.checked_sub(1).and_then(|index| segments.get(index)) else {
            let first = segments.first().map_or(self.next, |segment| segment.first);
            return Err(StorageError::Pruned { asked: self.next, first });
        };
        let mark = segment.marks.partition_point(|(seq, _)| *seq <= self.next);
        let at = mark.checked_sub(1).map_or(FRAMES_AT, |mark| segment.marks[mark].1);
        let path = self.shared.path(segment.first);
        let file = self.shared.disk.open_read(&path)?;
        let mut head = [0; HEADER_BYTES];
        let got = file.read_at(0, &mut head)?;
        match SegmentHeader::decode(&head[..got]) {
            Opening::Known(header) if header.first == segment.first => {
                Ok(Cursor { file, path, segment: segment.first, salt: header.salt, at })
            }
            Opening::Newer(found) => {
                Err(StorageError::VersionUnknown { path, found, known: FormatVersion::CURRENT })
            }
            Opening::Known(_) | Opening::Damaged => {
                Err(StorageError::Damaged { path, offset: 0, seq: self.next })
            }
        }
    }

    /// No frame at the cursor: on to the next segment, over a gap, or damage.
    fn leave(&mut self, cursor: Cursor) -> Result<()> {
        let (ended, follower) = {
            let segments = self.shared.segments();
            let index = segments.partition_point(|segment| segment.first <= cursor.segment);
            let this = index.checked_sub(1).and_then(|index| segments.get(index));
            let ended = this.is_some_and(|this| this.end.is_some_and(|end| end <= cursor.at));
            (ended, segments.get(index).map(|segment| segment.first))
        };
        match follower {
            Some(first) if first <= self.next => Ok(()),
            Some(first) if ended => {
                let from = std::mem::replace(&mut self.next, first);
                Err(StorageError::Gap { from, to: Seq(first.0 - 1) })
            }
            _ => Err(self.damaged_at(cursor)),
        }
    }

    fn damaged_at(&mut self, cursor: Cursor) -> StorageError {
        self.left = 0;
        StorageError::Damaged { path: cursor.path, offset: cursor.at, seq: self.next }
    }

    fn damaged(&mut self) -> StorageError {
        self.left = 0;
        let (path, offset) = match self.cursor.take() {
            Some(cursor) => (cursor.path, cursor.at),
            None => (self.shared.dir.clone(), 0),
        };
        StorageError::Damaged { path, offset, seq: self.next }
    }
}
