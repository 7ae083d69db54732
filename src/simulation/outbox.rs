//! A box's journal as its sender reads it.

use crate::domain::ids::{Epoch, Seq};
use crate::storage::journal::{JournalView, Reader};
use crate::upstream::backlog::{Backlog, BacklogError, Extent};

/// Reads behind the durable end.
#[derive(Debug)]
pub(super) struct Outbox {
    view: JournalView,
    reader: Reader,
    epoch: Epoch,
}

impl Outbox {
    /// Of a journal of one epoch.
    pub(super) fn new(view: JournalView, epoch: Epoch) -> Outbox {
        let reader = view.reader(Seq(1));
        Outbox { view, reader, epoch }
    }

    /// How far the journal reaches.
    pub(super) fn reach(&self) -> Extent {
        let next = Seq(self.view.durable().0 + 1);
        Extent { epoch: self.epoch, first_epoch: self.epoch, first: self.view.first().min(next), next }
    }
}

impl Backlog for Outbox {
    fn extent(&mut self) -> Result<Extent, BacklogError> {
        Ok(self.reach())
    }

    fn read(
        &mut self,
        from: Seq,
        entries_max: usize,
        bytes_max: usize,
    ) -> Result<Vec<(Seq, Epoch, Vec<u8>)>, BacklogError> {
        let read = self.reader.read_many(from, (entries_max, bytes_max), |_| {});
        read.map_err(|error| BacklogError(error.to_string()))
    }

    fn prune(&mut self, _through: Seq) -> Result<(), BacklogError> {
        Ok(())
    }
}
