//! What the sender needs of the journal, and how entries become a batch.
//!
//! The outbox is the journal beyond what head office has: no second copy. `Backlog` is implemented over the journal's
//! reader; its calls may block on the disk and are made from the reading thread only (link.rs).
//!
//! Invariants: a batch is of one epoch and contiguous; it stands for everything from the number asked for, so numbers that
//! the journal does not have any more are declared and never passed over in silence; an entry always goes, whole or
//! by its hash, so that none can block those behind it.

use std::collections::BTreeSet;
use std::fmt;

use crate::domain::ids::{Epoch, Seq};
use crate::limits;

use super::wire::{Batch, Item, PROTOCOL, Packer};

/// How far a journal reaches.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Extent {
    /// The epoch of new entries.
    pub epoch: Epoch,
    /// The epoch of the oldest entry held; `epoch` in an empty journal.
    pub first_epoch: Epoch,
    /// The oldest entry held; `next` in an empty journal.
    pub first: Seq,
    /// One past the newest durable entry: 1 in an empty journal.
    pub next: Seq,
}

/// Why the journal could not be read or pruned. Fits after "failed to read the journal:".
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct BacklogError(pub String);

impl fmt::Display for BacklogError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

impl std::error::Error for BacklogError {}

/// The journal as the sender sees it.
pub trait Backlog: Send + 'static {
    /// How far it reaches now.
    fn extent(&mut self) -> Result<Extent, BacklogError>;

    /// Durable entries from `from` on, rising, at most so many and, beyond the first, so many bytes. Numbers may be
    /// missing where the journal has a hole. Empty only at the live end.
    fn read(
        &mut self,
        from: Seq,
        entries_max: usize,
        bytes_max: usize,
    ) -> Result<Vec<(Seq, Epoch, Vec<u8>)>, BacklogError>;

    /// Head office has everything through `through` in its backup: it may go when nothing else needs it.
    fn prune(&mut self, through: Seq) -> Result<(), BacklogError>;
}

/// What the machine wants packed.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct PackRequest {
    /// Returned with the result; a result for an older ticket is out of date.
    pub ticket: u64,
    /// From where.
    pub from: Seq,
    /// At most so many entries.
    pub entries_max: usize,
    /// Entries to send by hash only.
    pub parked: BTreeSet<Seq>,
}

/// A batch ready to go.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Packed {
    /// The frame.
    pub batch: Batch,
    /// Its last entry.
    pub through: Seq,
}

/// Reads and packs one batch; `None` at the live end.
pub fn pack(
    packer: &mut Packer,
    backlog: &mut dyn Backlog,
    request: &PackRequest,
) -> Result<Option<Packed>, BacklogError> {
    let entries_max = request.entries_max.clamp(1, limits::UPSTREAM_BATCH_ENTRIES_MAX);
    let entries = backlog.read(request.from, entries_max, limits::UPSTREAM_BATCH_RAW_BYTES_MAX / 2)?;
    let Some((first, epoch)) = entries.first().map(|(seq, epoch, _)| (*seq, *epoch)) else {
        return Ok(None);
    };
    if first < request.from {
        return Err(BacklogError(format!("asked from {}, it gave {}", request.from.0, first.0)));
    }
    let mut items = Vec::with_capacity(entries.len());
    for (index, (seq, of, bytes)) in entries.into_iter().enumerate() {
        if of != epoch || seq.0 != first.0 + index as u64 {
            break;
        }
        // The journal takes nothing larger; should it ever, the entry waits here for a human and the others go.
        let withhold = request.parked.contains(&seq) || bytes.len() > limits::FRAME_PAYLOAD_BYTES_MAX;
        items.push(if withhold { Item::withheld(&bytes) } else { Item::new(bytes) });
    }
    let (body, count) = packer.pack(&items).map_err(|error| BacklogError(error.to_string()))?;
    let through = Seq(first.0 + count as u64 - 1);
    let batch = Batch { v: PROTOCOL, epoch, from: request.from, first, count: count as u32, body };
    Ok(Some(Packed { batch, through }))
}

#[cfg(test)]
mod tests {
    use super::super::wire::Unpacker;
    use super::*;

    struct Fixed(Vec<(Seq, Epoch, Vec<u8>)>);

    impl Backlog for Fixed {
        fn extent(&mut self) -> Result<Extent, BacklogError> {
            Err(BacklogError("not asked".into()))
        }

        fn read(
            &mut self,
            from: Seq,
            entries_max: usize,
            _bytes_max: usize,
        ) -> Result<Vec<(Seq, Epoch, Vec<u8>)>, BacklogError> {
            Ok(self.0.iter().filter(|(seq, ..)| *seq >= from).take(entries_max).cloned().collect())
        }

        fn prune(&mut self, _through: Seq) -> Result<(), BacklogError> {
            Ok(())
        }
    }

    fn fixed(entries: &[(u64, u64)]) -> Fixed {
        Fixed(entries.iter().map(|(seq, epoch)| (Seq(*seq), Epoch(*epoch), vec![*seq as u8; 20])).collect())
    }

    fn packed(backlog: &mut Fixed, from: u64, parked: &[u64]) -> Option<Packed> {
        let parked = parked.iter().map(|seq| Seq(*seq)).collect();
        let request = PackRequest { ticket: 0, from: Seq(from), entries_max: 200, parked };
        pack(&mut Packer::default(), backlog, &request).expect("packs")
    }

    #[test]
    fn is_a_hole_declared_and_an_epoch_kept_apart() {
        let mut journal = fixed(&[(1, 1), (2, 1), (5, 1), (6, 1), (7, 2)]);
        let spans: Vec<_> = [1, 3, 7, 8]
            .map(|from| packed(&mut journal, from, &[]))
            .into_iter()
            .map(|p| p.map(|p| (p.batch.from.0, p.batch.first.0, p.through.0, p.batch.epoch.0)))
            .collect();
        assert_eq!(spans, [Some((1, 1, 2, 1)), Some((3, 5, 6, 1)), Some((7, 7, 7, 2)), None]);
    }

    #[test]
    fn does_an_entry_too_large_for_any_frame_go_by_its_hash() {
        let mut journal = fixed(&[(1, 1), (2, 1), (3, 1)]);
        journal.0[1].2 = vec![1; limits::FRAME_PAYLOAD_BYTES_MAX + 1];
        let packed = packed(&mut journal, 1, &[3]).expect("something to send");
        let items = Unpacker::default().unpack(&packed.batch).expect("unpacks");
        assert_eq!(items.iter().map(|item| item.bytes.is_some()).collect::<Vec<_>>(), [true, false, false]);
    }
}
