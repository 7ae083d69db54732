//! One segment file: its header, its name, and the scan that tells intact frames, a torn tail and damage apart.
//!
//! ```text
//!  0  magic     8   "aisledJ\n"
//!  8  version   4   the place of magic, version and CRC is the same in every version
//! 12  salt      8   the mark of every frame in this segment
//! 20  first seq 8   also the file's name
//! 28  epoch     8   the writer's when the segment was begun
//! 36  previous 24   hash of the last frame before this segment
//! 60  CRC32C    4   over the 60 bytes before it
//! 64  frames, then zeros (filled ahead) or the end of the file
//! ```
//! Invariants: a segment has its final name only once its header is durable; only the last segment may end in a torn
//! frame, because the next one is made after the last sync has returned; a scan holds one window in memory, never a file.

use std::path::Path;
use std::sync::Arc;

use sha2::{Digest, Sha256};

use super::frame::{self, ChainHash, HEADER_BYTES, Header, Salt, is_zeros, u32_at, u64_at};
use super::{Epoch, FormatVersion, Seq};
use crate::limits::{SCAN_WINDOW_BYTES, SEGMENT_MARK_BYTES};
use crate::storage::disk::{Disk, DiskFile, SECTOR_BYTES};
use crate::storage::error::{Result, StorageError};

const MAGIC: &[u8; 8] = b"aisledJ\n";
const SUFFIX: &str = ".journal";
/// Where the first frame begins.
pub(super) const FRAMES_AT: u64 = HEADER_BYTES as u64;
const STEP: u64 = HEADER_BYTES as u64;

/// What a segment says of itself.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct SegmentHeader {
    pub(super) salt: Salt,
    pub(super) first: Seq,
    pub(super) epoch: Epoch,
    pub(super) previous: ChainHash,
}

/// What the first bytes of a segment turned out to be.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Opening {
    Known(SegmentHeader),
    Newer(FormatVersion),
    Damaged,
}

impl SegmentHeader {
    /// A header for a new segment. `seed` keeps the salt from being guessed by those whose payloads we store.
    pub(super) fn new(first: Seq, epoch: Epoch, previous: ChainHash, seed: u64) -> Self {
        let mut hasher = Sha256::new();
        hasher.update(seed.to_le_bytes());
        hasher.update(first.0.to_le_bytes());
        hasher.update(previous);
        let digest = hasher.finalize();
        let mut salt = Salt::default();
        salt.copy_from_slice(&digest[..8]);
        // A mark of zeros would be taken for a place not yet written.
        salt[0] |= 1;
        Self { salt, first, epoch, previous }
    }

    pub(super) fn encode(&self) -> [u8; HEADER_BYTES] {
        let mut bytes = [0; HEADER_BYTES];
        bytes[..8].copy_from_slice(MAGIC);
        bytes[8..12].copy_from_slice(&FormatVersion::CURRENT.0.to_le_bytes());
        bytes[12..20].copy_from_slice(&self.salt);
        bytes[20..28].copy_from_slice(&self.first.0.to_le_bytes());
        bytes[28..36].copy_from_slice(&self.epoch.0.to_le_bytes());
        bytes[36..60].copy_from_slice(&self.previous);
        let crc = crc32c::crc32c(&bytes[..60]);
        bytes[60..].copy_from_slice(&crc.to_le_bytes());
        bytes
    }

    pub(super) fn decode(bytes: &[u8]) -> Opening {
        let Some(bytes) = bytes.first_chunk::<HEADER_BYTES>() else { return Opening::Damaged };
        if bytes[..8] != MAGIC[..] || u32_at(bytes, 60) != crc32c::crc32c(&bytes[..60]) {
            return Opening::Damaged;
        }
        let version = FormatVersion(u32_at(bytes, 8));
        if version != FormatVersion::CURRENT {
            return Opening::Newer(version);
        }
        let mut header = Self {
            salt: raw_salt(bytes),
            first: Seq(u64_at(bytes, 20)),
            epoch: Epoch(u64_at(bytes, 28)),
            previous: ChainHash::default(),
        };
        header.previous.copy_from_slice(&bytes[36..60]);
        Opening::Known(header)
    }
}

fn raw_salt(bytes: &[u8; HEADER_BYTES]) -> Salt {
    let mut salt = Salt::default();
    salt.copy_from_slice(&bytes[12..20]);
    salt
}

/// The name of the segment that begins with `first`.
pub(super) fn file_name(first: Seq) -> String {
    format!("{:020}{SUFFIX}", first.0)
}

/// The first sequence number in a segment's name; `None` for any other file.
pub(super) fn first_of_name(name: &str) -> Option<Seq> {
    let digits = name.strip_suffix(SUFFIX)?;
    let numeric = digits.len() == 20 && digits.bytes().all(|byte| byte.is_ascii_digit());
    numeric.then(|| digits.parse().ok().map(Seq))?
}

/// Makes a segment under a passing name, durable, and then gives it its final one, durable. `frames` are the bytes
/// behind the header.
pub(super) fn create(disk: &dyn Disk, dir: &Path, header: &SegmentHeader) -> Result<Arc<dyn DiskFile>> {
    let name = file_name(header.first);
    let passing = dir.join(format!("{name}.new"));
    let file = disk.create(&passing)?;
    file.write_at(0, &header.encode())?;
    file.sync_data()?;
    disk.rename(&passing, &dir.join(name))?;
    disk.sync_dir(dir)?;
    Ok(file)
}

/// Intact frames without a break between them.
#[derive(Clone, Debug)]
pub(super) struct Run {
    pub(super) from: u64,
    pub(super) to: u64,
    pub(super) first: Seq,
    /// Behind the last decision.
    pub(super) next: Seq,
    pub(super) epoch: Epoch,
    /// What the run's first frame says of the one before it.
    pub(super) previous: ChainHash,
    /// Of the run's last frame.
    pub(super) hash: ChainHash,
    /// Where the run's last frame begins.
    pub(super) last_at: u64,
    pub(super) marks: Vec<(Seq, u64)>,
}

/// Bytes of a segment that are not what was written.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Damage {
    pub(super) from: u64,
    pub(super) to: u64,
}

/// What a segment holds.
#[derive(Debug)]
pub(super) struct Scan {
    /// As read, or as guessed where the header is damaged.
    pub(super) header: SegmentHeader,
    pub(super) runs: Vec<Run>,
    pub(super) damages: Vec<Damage>,
    /// Where frames end and nothing, zeros, a torn tail or the last damage begins.
    pub(super) end: u64,
    /// A torn tail lies behind `end`.
    pub(super) torn: bool,
    /// Damage reaches to the end of the file: how many decisions were there is unknown.
    pub(super) open_ended: bool,
    pub(super) file_bytes: u64,
}

impl Scan {
    /// Of a segment that is not of this journal's chain: its frames have no claim to be read here.
    pub(super) fn out_of_place(named: Seq, file_bytes: u64) -> Self {
        let salt = Salt::default();
        Self {
            header: SegmentHeader { salt, first: named, epoch: Epoch(0), previous: ChainHash::default() },
            runs: Vec::new(),
            damages: vec![Damage { from: 0, to: file_bytes }],
            end: 0,
            torn: false,
            open_ended: true,
            file_bytes,
        }
    }
}

impl Scan {
    /// Where the segment's first decisions are lost, puts an empty run in their place: the segment it becomes keeps the
    /// hole from looking as though everything before it had been pruned. `previous` is what that segment will carry.
    pub(super) fn hold_place(&mut self, previous: ChainHash) {
        let lost = match self.runs.first() {
            Some(run) => run.first > self.header.first,
            None => self.open_ended,
        };
        if lost {
            self.runs.insert(0, Run::empty(&self.header, previous));
        }
    }
}

/// Reads a whole segment. `named` is the first sequence number by its name, `before` the last hash of the segment before
/// it where that is known and contiguous, `last` whether it is the last one and may end torn.
pub(super) fn scan(
    file: &dyn DiskFile,
    path: &Path,
    named: Seq,
    before: Option<ChainHash>,
    last: bool,
) -> Result<Scan> {
    let file_bytes = file.len()?;
    let mut window = Window { file, buf: Vec::new(), start: 0, file_bytes };
    let mut head = [0; HEADER_BYTES];
    let got = window.at(0, HEADER_BYTES)?;
    head[..got.len()].copy_from_slice(got);
    let mut damages = Vec::new();
    let header = match SegmentHeader::decode(&head) {
        Opening::Newer(found) => {
            let known = FormatVersion::CURRENT;
            return Err(StorageError::VersionUnknown { path: path.to_owned(), found, known });
        }
        Opening::Known(header)
            if header.first == named && before.is_none_or(|hash| hash == header.previous) =>
        {
            header
        }
        Opening::Known(_) => {
            return Ok(Scan::out_of_place(named, file_bytes));
        }
        Opening::Damaged => {
            damages.push(Damage { from: 0, to: FRAMES_AT.min(file_bytes) });
            window.guess_header(&head, named)?
        }
    };
    let mut scanner = Scanner { window, salt: header.salt, due: named, epoch: Epoch(0), chain: None };
    scanner.chain = damages.is_empty().then_some(header.previous);
    scanner.frames(header, damages, last)
}

struct Scanner<'a> {
    window: Window<'a>,
    salt: Salt,
    due: Seq,
    epoch: Epoch,
    /// What the next frame must carry; `None` behind damage.
    chain: Option<ChainHash>,
}

impl Scanner<'_> {
    fn frames(mut self, header: SegmentHeader, mut damages: Vec<Damage>, last: bool) -> Result<Scan> {
        let mut runs: Vec<Run> = Vec::new();
        let file_bytes = self.window.file_bytes;
        let (mut at, mut fresh) = (FRAMES_AT, true);
        let (mut torn, mut open_ended) = (false, file_bytes < FRAMES_AT);
        while at < file_bytes {
            if let Some((frame, hash)) = self.window.intact(at, &self.salt)?
                && self.in_place(&frame)
            {
                let to = at + frame.frame_bytes() as u64;
                let begin = || Run {
                    from: at,
                    to,
                    first: frame.first,
                    next: frame.end(),
                    epoch: frame.epoch,
                    previous: frame.previous,
                    hash,
                    last_at: at,
                    marks: vec![(frame.first, at)],
                };
                match runs.last_mut().filter(|_| !fresh) {
                    Some(run) => run.extend(at, &frame, hash),
                    None => runs.push(begin()),
                }
                (self.due, self.epoch, self.chain) = (frame.end(), frame.epoch, Some(hash));
                (at, fresh) = (to, false);
                continue;
            }
            let search = self.search(at)?;
            if let Some(found) = search.intact {
                damages.push(Damage { from: at, to: found });
                (at, fresh, self.chain) = (found, true, None);
                continue;
            }
            let Some(written_to) = search.written_to else { break };
            if last && self.torn(at, written_to)? {
                torn = true;
            } else {
                damages.push(Damage { from: at, to: file_bytes });
                open_ended = true;
            }
            break;
        }
        Ok(Scan { header, runs, damages, end: at.min(file_bytes), torn, open_ended, file_bytes })
    }

    fn in_place(&self, frame: &Header) -> bool {
        frame.epoch >= self.epoch
            && match self.chain {
                Some(chain) => frame.first == self.due && frame.previous == chain,
                None => frame.first >= self.due,
            }
    }

    /// Looks for an intact frame behind a place that does not check. A payload cannot pass for one: it would have to
    /// know the salt.
    fn search(&mut self, bad: u64) -> Result<Search> {
        let mut written_to = None;
        let mut at = bad;
        while at < self.window.file_bytes {
            let chunk = self.window.at(at, HEADER_BYTES)?;
            if !is_zeros(chunk) {
                written_to = Some(at + chunk.len() as u64);
                let marked = at > bad && chunk.starts_with(&self.salt);
                if marked
                    && let Some((frame, _)) = self.window.intact(at, &self.salt)?
                    && frame.first >= self.due
                    && frame.epoch >= self.epoch
                {
                    return Ok(Search { intact: Some(at), written_to });
                }
            }
            at += STEP;
        }
        Ok(Search { intact: None, written_to })
    }

    fn torn(&mut self, at: u64, written_to: u64) -> Result<bool> {
        let bytes = self.window.at(at, frame::FRAME_BYTES_MAX)?;
        let reach = match Header::decode(bytes, &self.salt) {
            Some(header) => header.frame_bytes(),
            None => frame::FRAME_BYTES_MAX,
        };
        Ok(written_to <= at + reach as u64 && frame::looks_torn(bytes, at, &self.salt, SECTOR_BYTES as usize))
    }
}

struct Search {
    intact: Option<u64>,
    /// End of the last 64 bytes that are not all zeros.
    written_to: Option<u64>,
}

impl Run {
    /// No frames at all, only a place.
    fn empty(header: &SegmentHeader, previous: ChainHash) -> Self {
        Self {
            from: FRAMES_AT,
            to: FRAMES_AT,
            first: header.first,
            next: header.first,
            epoch: header.epoch,
            previous,
            hash: previous,
            last_at: FRAMES_AT,
            marks: Vec::new(),
        }
    }

    fn extend(&mut self, at: u64, frame: &Header, hash: ChainHash) {
        if self.marks.last().is_none_or(|(_, marked)| at - marked >= SEGMENT_MARK_BYTES) {
            self.marks.push((frame.first, at));
        }
        self.to = at + frame.frame_bytes() as u64;
        (self.next, self.epoch, self.hash, self.last_at) = (frame.end(), frame.epoch, hash, at);
    }
}

/// A part of a file in memory, moved along as it is read.
struct Window<'a> {
    file: &'a dyn DiskFile,
    buf: Vec<u8>,
    start: u64,
    file_bytes: u64,
}

impl Window<'_> {
    /// Up to `want` bytes at `offset`; fewer only at the end of the file.
    fn at(&mut self, offset: u64, want: usize) -> Result<&[u8]> {
        let want = (want as u64).min(self.file_bytes.saturating_sub(offset)) as usize;
        let held = offset >= self.start && offset + want as u64 <= self.start + self.buf.len() as u64;
        if !held {
            self.buf.resize(SCAN_WINDOW_BYTES, 0);
            let got = self.file.read_at(offset, &mut self.buf)?;
            self.buf.truncate(got);
            self.start = offset;
        }
        let from = (offset - self.start) as usize;
        Ok(&self.buf[from..self.buf.len().min(from + want)])
    }

    /// The frame at `at` and its hash, if it checks on its own.
    fn intact(&mut self, at: u64, salt: &Salt) -> Result<Option<(Header, ChainHash)>> {
        let Some(header) = Header::decode(self.at(at, HEADER_BYTES)?, salt) else { return Ok(None) };
        let bytes = self.at(at, header.frame_bytes())?;
        let checks = header.body_checks(&bytes[HEADER_BYTES..]);
        Ok(checks.then(|| (header, frame::chain_hash(bytes))))
    }

    /// What a damaged header most likely said: the salt from its own bytes, or from the first frame's mark, whichever
    /// the first frame agrees with.
    fn guess_header(&mut self, head: &[u8; HEADER_BYTES], named: Seq) -> Result<SegmentHeader> {
        let first = self.at(FRAMES_AT, HEADER_BYTES)?;
        let mark: Option<Salt> = first.first_chunk().copied();
        let salt =
            mark.filter(|mark| Header::decode(first, mark).is_some()).unwrap_or_else(|| raw_salt(head));
        Ok(SegmentHeader { salt, first: named, epoch: Epoch(0), previous: ChainHash::default() })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_header_comes_back_and_any_changed_bit_is_seen() {
        let header = SegmentHeader::new(Seq(42), Epoch(7), [3; 24], 99);
        let bytes = header.encode();
        assert_eq!(SegmentHeader::decode(&bytes), Opening::Known(header));
        for bit in 0..bytes.len() * 8 {
            let mut bad = bytes;
            bad[bit / 8] ^= 1 << (bit % 8);
            assert_eq!(SegmentHeader::decode(&bad), Opening::Damaged, "bit {bit}");
        }
    }

    #[test]
    fn only_a_segments_own_name_is_taken_for_one() {
        assert_eq!(first_of_name(&file_name(Seq(77))), Some(Seq(77)));
        for other in
            ["77.journal", "00000000000000000077.journal.new", "0000000000000000007x.journal", "lock"]
        {
            assert_eq!(first_of_name(other), None, "{other}");
        }
    }
}
