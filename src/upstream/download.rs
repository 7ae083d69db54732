//! Fetching an offered bundle piece by piece, going on where the line broke.
//!
//! Invariants: pieces are taken in order and only as asked for; what is complete has the offered hash; a bundle that arrived
//! broken is not fetched again before `UPSTREAM_BUNDLE_RETRY_MS`; a version not above the active one is not fetched at all.
//! The bytes go to the shell as they come; whether they may be trusted is for `bundle` to say.

use sha2::{Digest, Sha256};

use crate::limits;

use super::wire::{Chunk, Get, Offer, PROTOCOL};

/// What the shell is to do with a piece.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Piece {
    /// Write it at its offset; offset 0 begins anew.
    Keep {
        /// Of the bundle.
        version: u64,
        /// In bytes.
        offset: u64,
        /// What.
        bytes: Vec<u8>,
    },
    /// All of it is there and has the offered hash.
    Complete {
        /// Of the bundle.
        version: u64,
    },
    /// It is all there and not what was offered.
    Broken {
        /// Of the bundle.
        version: u64,
    },
}

/// The fetching of one bundle at a time.
#[derive(Debug, Default)]
pub struct Download {
    /// The version in use, or handed over and judged.
    have: u64,
    offer: Option<Offer>,
    hasher: Sha256,
    offset: u64,
    /// Until when to wait for the piece asked for.
    asked_until_ms: Option<u64>,
    /// Not before.
    not_before_ms: u64,
}

impl Download {
    /// The active bundle's version.
    pub fn set_have(&mut self, version: u64) {
        self.have = self.have.max(version);
        if self.offer.as_ref().is_some_and(|offer| offer.version <= self.have) {
            self.forget();
        }
    }

    fn forget(&mut self) {
        self.offer = None;
        self.restart();
    }

    fn restart(&mut self) {
        self.hasher = Sha256::new();
        self.offset = 0;
        self.asked_until_ms = None;
    }

    /// Head office offers a bundle.
    pub fn offered(&mut self, offer: Offer) {
        if offer.version <= self.have || self.offer.as_ref() == Some(&offer) {
            return;
        }
        self.restart();
        self.not_before_ms = 0;
        self.offer = Some(offer);
    }

    /// The line is gone: what was asked for will not come; what is there stays.
    pub fn line_lost(&mut self) {
        self.asked_until_ms = None;
    }

    /// What to ask for now, if anything.
    pub fn ask(&mut self, now_ms: u64) -> Option<Get> {
        let offer = self.offer.as_ref()?;
        if now_ms < self.not_before_ms || self.asked_until_ms.is_some_and(|until| now_ms < until) {
            return None;
        }
        self.asked_until_ms = Some(now_ms + limits::UPSTREAM_CHUNK_WAIT_MS);
        Some(Get { v: PROTOCOL, version: offer.version, offset: self.offset })
    }

    /// When to call `ask` again even if nothing comes.
    pub fn deadline_ms(&self) -> Option<u64> {
        self.offer.as_ref().map(|_| self.asked_until_ms.unwrap_or(0).max(self.not_before_ms))
    }

    /// The version being fetched, how many bytes are there, and of how many.
    pub fn progress(&self) -> Option<(u64, u64, u64)> {
        self.offer.as_ref().map(|offer| (offer.version, self.offset, offer.size))
    }

    /// A piece came.
    pub fn received(&mut self, chunk: Chunk, now_ms: u64) -> Vec<Piece> {
        let Some(offer) = &self.offer else { return Vec::new() };
        let end = chunk.offset + chunk.bytes.0.len() as u64;
        if chunk.version != offer.version || chunk.offset != self.offset || end > offer.size {
            return Vec::new();
        }
        let version = offer.version;
        self.hasher.update(&chunk.bytes.0);
        self.asked_until_ms = None;
        let offset = std::mem::replace(&mut self.offset, end);
        let mut pieces = vec![Piece::Keep { version, offset, bytes: chunk.bytes.0 }];
        if end == offer.size {
            if self.hasher.finalize_reset()[..] == offer.hash.0[..] {
                self.have = version;
                pieces.push(Piece::Complete { version });
                self.forget();
            } else {
                pieces.push(Piece::Broken { version });
                self.restart();
                self.not_before_ms = now_ms + limits::UPSTREAM_BUNDLE_RETRY_MS;
            }
        }
        pieces
    }
}

#[cfg(test)]
mod tests {
    use super::super::wire::Blob;
    use super::*;

    const WHOLE: &[u8] = b"a bundle of several pieces";

    fn offer(version: u64) -> Offer {
        let hash = Blob(Sha256::digest(WHOLE).to_vec());
        Offer { v: PROTOCOL, version, hash, size: WHOLE.len() as u64 }
    }

    fn serve(get: &Get) -> Chunk {
        let from = get.offset as usize;
        let bytes = Blob(WHOLE[from..(from + 10).min(WHOLE.len())].to_vec());
        Chunk { v: PROTOCOL, version: get.version, offset: get.offset, bytes }
    }

    #[test]
    fn does_a_broken_line_cost_only_the_piece_under_way() {
        let mut download = Download::default();
        download.offered(offer(3));
        let mut asked = Vec::new();
        let mut kept = Vec::new();
        let mut complete = 0;
        for round in 0..10 {
            let Some(get) = download.ask(round) else { break };
            asked.push(get.offset);
            if round == 1 {
                download.line_lost();
                continue;
            }
            for piece in download.received(serve(&get), round) {
                match piece {
                    Piece::Keep { bytes, .. } => kept.extend(bytes),
                    Piece::Complete { version: 3 } => complete += 1,
                    other => panic!("{other:?}"),
                }
            }
            assert!(download.received(serve(&get), round).is_empty(), "the same piece again is not taken");
        }
        assert_eq!((asked, kept.as_slice(), complete), (vec![0, 10, 10, 20], WHOLE, 1));
        download.offered(offer(3));
        assert_eq!(download.ask(99), None, "it is not fetched twice");
    }

    #[test]
    fn is_a_broken_bundle_left_alone_for_a_while() {
        let mut download = Download::default();
        let broken = Offer { hash: Blob(vec![0; 32]), ..offer(3) };
        download.offered(broken);
        let mut last = Vec::new();
        while let Some(get) = download.ask(5) {
            last = download.received(serve(&get), 5);
        }
        assert_eq!(last.last(), Some(&Piece::Broken { version: 3 }));
        assert_eq!(download.deadline_ms(), Some(5 + limits::UPSTREAM_BUNDLE_RETRY_MS));
        assert_eq!(download.ask(5 + limits::UPSTREAM_BUNDLE_RETRY_MS).map(|get| get.offset), Some(0));
    }

    #[test]
    fn is_an_older_bundle_not_fetched() {
        let mut download = Download::default();
        download.set_have(4);
        download.offered(offer(4));
        assert_eq!(download.ask(0), None);
        download.offered(offer(5));
        download.set_have(5);
        assert_eq!(download.ask(0), None, "somebody installed it by hand meanwhile");
    }
}
