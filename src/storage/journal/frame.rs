//! One frame: a group of decisions as bytes, and the checks that tell an intact one from anything else.
//!
//! ```text
//!  0  mark        8  the segment's salt: a payload that looks like a frame cannot know it
//!  8  body length 4  bytes of the body, without padding
//! 12  body CRC32C 4  over everything behind the header: body, padding, end mark
//! 16  epoch       8
//! 24  first seq   8  of the group's first decision
//! 32  count       4  decisions in the group
//! 36  previous   24  first bytes of SHA-256 over the previous frame
//! 60  CRC32C      4  over the 60 bytes before it
//! 64  body           count times [length 4, payload]
//!     padding        zeros, to a multiple of 64 with the end mark
//!     end mark    4
//! ```
//! Invariants: numbers are little-endian; a frame starts and ends at a multiple of 64 bytes, so a header never straddles
//! two sectors; neither header nor end mark of a whole frame is zeros, which is what a place not yet written holds; a
//! header is only believed after its own CRC, so a length is never taken from damaged bytes.

use sha2::{Digest, Sha256};

use super::{Epoch, Seq};
use crate::limits::{FRAME_PAYLOAD_BYTES_MAX, GROUP_DECISIONS_MAX};

/// Bytes of a frame's header, and the unit that frames are aligned to.
pub(super) const HEADER_BYTES: usize = 64;
/// Bytes before each payload of a body.
pub(super) const PREFIX_BYTES: usize = 4;
const END_MARK: [u8; 4] = *b"end.";
const CRC_AT: usize = HEADER_BYTES - 4;

/// The largest frame in bytes.
pub(super) const FRAME_BYTES_MAX: usize = frame_bytes(FRAME_PAYLOAD_BYTES_MAX);

/// What makes the frames of one segment its own.
pub(super) type Salt = [u8; 8];
/// The hash that binds a frame to the one before it.
pub(super) type ChainHash = [u8; 24];

/// A header that checks.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Header {
    pub(super) body_bytes: usize,
    pub(super) body_crc: u32,
    pub(super) epoch: Epoch,
    pub(super) first: Seq,
    pub(super) count: u32,
    pub(super) previous: ChainHash,
}

impl Header {
    /// Bytes of the whole frame.
    pub(super) fn frame_bytes(&self) -> usize {
        frame_bytes(self.body_bytes)
    }

    /// The sequence number behind the group.
    pub(super) fn end(&self) -> Seq {
        Seq(self.first.0.saturating_add(u64::from(self.count)))
    }

    /// Reads a header; `None` if it does not check or claims more than a frame may hold.
    pub(super) fn decode(bytes: &[u8], salt: &Salt) -> Option<Self> {
        let bytes: &[u8; HEADER_BYTES] = bytes.first_chunk()?;
        if bytes[..8] != salt[..] || u32_at(bytes, CRC_AT) != crc32c::crc32c(&bytes[..CRC_AT]) {
            return None;
        }
        let mut previous = ChainHash::default();
        previous.copy_from_slice(&bytes[36..CRC_AT]);
        let header = Self {
            body_bytes: u32_at(bytes, 8) as usize,
            body_crc: u32_at(bytes, 12),
            epoch: Epoch(u64_at(bytes, 16)),
            first: Seq(u64_at(bytes, 24)),
            count: u32_at(bytes, 32),
            previous,
        };
        let sane = header.body_bytes <= FRAME_PAYLOAD_BYTES_MAX
            && (1..=GROUP_DECISIONS_MAX).contains(&(header.count as usize))
            && header.body_bytes >= PREFIX_BYTES * header.count as usize
            && header.first.0.checked_add(u64::from(header.count)).is_some();
        sane.then_some(header)
    }

    /// Whether `rest`, all of the frame behind its header, is what the header was written for.
    pub(super) fn body_checks(&self, rest: &[u8]) -> bool {
        rest.len() == self.frame_bytes() - HEADER_BYTES && crc32c::crc32c(rest) == self.body_crc
    }
}

/// Bytes of a frame with a body of `body_bytes`.
pub(super) const fn frame_bytes(body_bytes: usize) -> usize {
    (HEADER_BYTES + body_bytes + END_MARK.len()).next_multiple_of(HEADER_BYTES)
}

/// What a frame is bound to.
#[derive(Clone, Copy, Debug)]
pub(super) struct Place {
    pub(super) salt: Salt,
    pub(super) epoch: Epoch,
    pub(super) first: Seq,
    pub(super) previous: ChainHash,
}

/// Writes the frame of `group` into `frame`, in place of what it held. The caller has checked the group's size.
pub(super) fn encode<P: AsRef<[u8]>>(frame: &mut Vec<u8>, place: Place, group: &[P]) {
    frame.clear();
    frame.resize(HEADER_BYTES, 0);
    for payload in group {
        let payload = payload.as_ref();
        frame.extend_from_slice(&(payload.len() as u32).to_le_bytes());
        frame.extend_from_slice(payload);
    }
    let body_bytes = frame.len() - HEADER_BYTES;
    frame.resize(frame_bytes(body_bytes) - END_MARK.len(), 0);
    frame.extend_from_slice(&END_MARK);
    let body_crc = crc32c::crc32c(&frame[HEADER_BYTES..]);
    frame[..8].copy_from_slice(&place.salt);
    frame[8..12].copy_from_slice(&(body_bytes as u32).to_le_bytes());
    frame[12..16].copy_from_slice(&body_crc.to_le_bytes());
    frame[16..24].copy_from_slice(&place.epoch.0.to_le_bytes());
    frame[24..32].copy_from_slice(&place.first.0.to_le_bytes());
    frame[32..36].copy_from_slice(&(group.len() as u32).to_le_bytes());
    frame[36..CRC_AT].copy_from_slice(&place.previous);
    let crc = crc32c::crc32c(&frame[..CRC_AT]);
    frame[CRC_AT..HEADER_BYTES].copy_from_slice(&crc.to_le_bytes());
}

/// The hash that the next frame will carry.
pub(super) fn chain_hash(frame: &[u8]) -> ChainHash {
    let digest = Sha256::digest(frame);
    let mut hash = ChainHash::default();
    for (to, from) in hash.iter_mut().zip(digest) {
        *to = from;
    }
    hash
}

/// The payload at `at` of a body that checked, and where the next begins. `None` if the lengths do not add up.
pub(super) fn payload_at(body: &[u8], at: usize) -> Option<(std::ops::Range<usize>, usize)> {
    let prefix = body.get(at..at + PREFIX_BYTES)?;
    let from = at + PREFIX_BYTES;
    let to = from.checked_add(u32_at(prefix, 0) as usize)?;
    (to <= body.len()).then_some((from..to, to))
}

/// Whether `bytes`, a header and what follows of it to the end of the file, may be what an interrupted write left. Every
/// sector is written whole or not at all and a place not yet written holds zeros, so a torn frame lacks its end, or a
/// sector of it is zeros. Any other frame that does not check was once whole: it may have been acknowledged.
/// `at` is the frame's offset in the file; `bytes` starts there.
pub(super) fn looks_torn(bytes: &[u8], at: u64, salt: &Salt, sector_bytes: usize) -> bool {
    let Some(head) = bytes.first_chunk::<HEADER_BYTES>() else { return true };
    if is_zeros(head) || is_zeros(&head[CRC_AT..]) {
        return true;
    }
    let Some(header) = Header::decode(head, salt) else {
        // A write that ended within the header: no frame has nothing but zeros behind it.
        return is_zeros(&bytes[HEADER_BYTES..]);
    };
    let Some(frame) = bytes.get(..header.frame_bytes()) else { return true };
    let first_cut = sector_bytes - (at % sector_bytes as u64) as usize;
    let (lead, sectors) = frame.split_at(first_cut.min(frame.len()));
    is_zeros(lead) || sectors.chunks(sector_bytes).any(is_zeros) || is_zeros(&frame[frame.len() - 2..])
}

/// Whether every byte is zero.
pub(super) fn is_zeros(bytes: &[u8]) -> bool {
    bytes.iter().all(|byte| *byte == 0)
}

pub(super) fn u32_at(bytes: &[u8], at: usize) -> u32 {
    let mut raw = [0; 4];
    raw.copy_from_slice(&bytes[at..at + 4]);
    u32::from_le_bytes(raw)
}

pub(super) fn u64_at(bytes: &[u8], at: usize) -> u64 {
    let mut raw = [0; 8];
    raw.copy_from_slice(&bytes[at..at + 8]);
    u64::from_le_bytes(raw)
}

#[cfg(test)]
mod tests {
    use super::*;

    const PLACE: Place = Place { salt: *b"saltsalt", epoch: Epoch(3), first: Seq(7), previous: [9; 24] };

    fn sample() -> Vec<u8> {
        let mut frame = Vec::new();
        encode(&mut frame, PLACE, &[b"one".as_slice(), b"", &[5; 700]]);
        frame
    }

    #[test]
    fn a_group_comes_back_as_it_went_in() {
        let frame = sample();
        let header = Header::decode(&frame, &PLACE.salt).expect("an intact header");
        assert_eq!(
            (header.epoch, header.first, header.end(), header.previous),
            (Epoch(3), Seq(7), Seq(10), [9; 24])
        );
        assert_eq!(header.frame_bytes(), frame.len());
        assert_eq!(frame.len() % HEADER_BYTES, 0);
        assert!(header.body_checks(&frame[HEADER_BYTES..]));
        let body = &frame[HEADER_BYTES..HEADER_BYTES + header.body_bytes];
        let (one, at) = payload_at(body, 0).expect("the first payload");
        let (two, at) = payload_at(body, at).expect("the second payload");
        let (three, at) = payload_at(body, at).expect("the third payload");
        assert_eq!(
            (&body[one], &body[two], &body[three]),
            (b"one".as_slice(), b"".as_slice(), [5; 700].as_slice())
        );
        assert_eq!(at, body.len());
    }

    #[test]
    fn every_changed_bit_is_seen_and_none_looks_torn() {
        let frame = sample();
        for bit in 0..frame.len() * 8 {
            let mut bad = frame.clone();
            bad[bit / 8] ^= 1 << (bit % 8);
            let intact = Header::decode(&bad, &PLACE.salt)
                .is_some_and(|header| header.body_checks(&bad[HEADER_BYTES..]));
            assert!(!intact, "bit {bit} changed unseen");
            assert!(!looks_torn(&bad, 64, &PLACE.salt, 512), "bit {bit} would be cut as a torn tail");
        }
    }

    #[test]
    fn what_lacks_a_sector_or_its_end_looks_torn() {
        let frame = sample();
        for kept in (0..frame.len()).step_by(64) {
            let mut zeros_after = frame.clone();
            zeros_after[kept..].fill(0);
            assert!(looks_torn(&zeros_after, 64, &PLACE.salt, 512), "zeros from {kept}");
            assert!(looks_torn(&frame[..kept], 64, &PLACE.salt, 512), "the file ends at {kept}");
        }
        let mut hole = frame.clone();
        hole[448..frame.len().min(960)].fill(0);
        assert!(looks_torn(&hole, 64, &PLACE.salt, 512));
    }

    #[test]
    fn a_frame_of_another_segment_is_not_taken() {
        assert_eq!(Header::decode(&sample(), b"othersal"), None);
    }
}
