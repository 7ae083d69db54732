//! The journal as the sender to head office sees it: read behind the durable end, holes told and passed.
//!
//! What head office holds in its backup is passed on to the store, which prunes when its checkpoints and the calendar
//! agree. Where a frame does not check, its segment is asked to be set aside; behind it the reading goes on.

use crate::domain::ids::{Epoch, Seq};
use crate::storage::error::StorageError;
use crate::storage::journal::{JournalView, Reader};
use crate::storage::keeper::Keeper;
use crate::storage::vault::Vault;
use crate::upstream::backlog::{Backlog, BacklogError, Extent};

/// A reader of the journal for `upstream`. Head office knows the shop's members by their ids, not by the journal's numbers;
/// whoever was forgotten before a decision of theirs went up is nobody there too.
pub(super) struct Outbox {
    view: JournalView,
    vault: Vault,
    reader: Reader,
    keeper: Keeper,
    epoch: Epoch,
}

impl Outbox {
    /// Reads the journal of this life of the box.
    pub(super) fn new(view: JournalView, vault: Vault, keeper: Keeper, epoch: Epoch) -> Outbox {
        let reader = view.reader(Seq(1));
        Outbox { view, vault, reader, keeper, epoch }
    }
}

fn failed(error: StorageError) -> BacklogError {
    BacklogError(format!("{error} ({})", error.code()))
}

impl Backlog for Outbox {
    fn extent(&mut self) -> Result<Extent, BacklogError> {
        let next = Seq(self.view.durable().0 + 1);
        let first = self.view.first().min(next);
        let oldest = self.read(first, 1, 0)?;
        let (first, first_epoch) =
            oldest.first().map_or((next, self.epoch), |(seq, epoch, _)| (*seq, *epoch));
        Ok(Extent { epoch: self.epoch, first_epoch, first, next })
    }

    fn read(
        &mut self,
        from: Seq,
        entries_max: usize,
        bytes_max: usize,
    ) -> Result<Vec<(Seq, Epoch, Vec<u8>)>, BacklogError> {
        let read = self.reader.read_many(from, (entries_max, bytes_max), |error| {
            tracing::error!(%error, code = error.code(), "head office is told of a hole in the journal");
        });
        let read = read.map_err(|error| {
            if let StorageError::Damaged { seq, .. } = error {
                self.keeper.damaged(seq);
            }
            failed(error)
        })?;
        // What cannot be read here goes up as it is, and head office says so.
        let named = |bytes: Vec<u8>| self.vault.named(&bytes).unwrap_or(bytes);
        Ok(read.into_iter().map(|(seq, epoch, bytes)| (seq, epoch, named(bytes))).collect())
    }

    fn prune(&mut self, through: Seq) -> Result<(), BacklogError> {
        self.keeper.durable_at_head_office(through);
        Ok(())
    }
}
