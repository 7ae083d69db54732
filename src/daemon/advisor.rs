//! Makes what is proposed: a thread that follows the journal, and hands the loop a new model every hour and with each bundle.
//!
//! It reads behind the durable end like the sender to head office, so no reply ever waits for it; what it knows it learned
//! from the journal, so a start begins with all that is kept there. It ends when the loop is gone; a model in the making is
//! then dropped.

use std::sync::Arc;
use std::sync::mpsc::{Receiver, RecvTimeoutError, SyncSender, sync_channel};
use std::time::Duration;

use anyhow::{Context, Result};
use tokio::sync::mpsc;

use crate::bundle::Bundle;
use crate::clock::Clock;
use crate::domain::ids::Seq;
use crate::engine::advice::{self, Baskets};
use crate::engine::input::Input;
use crate::limits;
use crate::storage::error::StorageError;
use crate::storage::journal::{JournalView, Reader};
use crate::storage::vault::Vault;

use super::Command;

/// The loop's end of the thread.
pub(super) struct Advisor {
    bundles: SyncSender<Arc<Bundle>>,
}

impl Advisor {
    /// Starts the thread. It waits for a bundle.
    ///
    /// # Errors
    /// The system gives no thread.
    pub(super) fn start(
        (view, vault): (&JournalView, Vault),
        clock: Arc<dyn Clock>,
        commands: mpsc::Sender<Command>,
    ) -> Result<Advisor> {
        let (bundles, heard) = sync_channel(1);
        let reader = view.reader(view.first());
        let body = move || follow((reader, &vault), &heard, &*clock, &commands);
        std::thread::Builder::new()
            .name("advisor".to_owned())
            .spawn(body)
            .context("failed to start the advisor's thread")?;
        Ok(Advisor { bundles })
    }

    /// Proposals are of this bundle's assortment from now on. While one is being made the next hour brings it.
    pub(super) fn bundle(&self, bundle: Arc<Bundle>) {
        if self.bundles.try_send(bundle).is_err() {
            tracing::debug!("the advisor is busy and takes the new bundle with the next model");
        }
    }
}

fn follow(
    (mut reader, vault): (Reader, &Vault),
    bundles: &Receiver<Arc<Bundle>>,
    clock: &dyn Clock,
    commands: &mpsc::Sender<Command>,
) {
    let (mut baskets, mut anew) = (Baskets::default(), false);
    let Ok(mut bundle) = bundles.recv() else { return };
    loop {
        anew |= read((&mut reader, vault), &mut baskets, &bundle);
        if anew && vault.is_erased() {
            // Somebody was forgotten, and who it was is forgotten too.
            (baskets, anew) = (Baskets::default(), false);
            reader.seek(Seq(1));
            read((&mut reader, vault), &mut baskets, &bundle);
        }
        let advice::Counts { members, baskets: count, lines } = baskets.counts();
        if count > 0 {
            let today = bundle.shop.time_zone.civil(clock.now()).day;
            let advice = Box::new(baskets.advice(&bundle, today));
            tracing::info!(members, baskets = count, lines, "proposals are made from the shop's own sales");
            if commands.blocking_send(Command::Advice(advice)).is_err() {
                return;
            }
        }
        match bundles.recv_timeout(Duration::from_millis(limits::ADVICE_EVERY_MS)) {
            Ok(newer) => bundle = newer,
            Err(RecvTimeoutError::Timeout) => {}
            Err(RecvTimeoutError::Disconnected) => return,
        }
    }
}

/// Reads to the durable end; true if somebody was forgotten meanwhile. What cannot be read is told by the sender and by `check`; the next model tries again.
fn read((reader, vault): (&mut Reader, &Vault), baskets: &mut Baskets, bundle: &Bundle) -> bool {
    let mut forgot = false;
    loop {
        let bounds = (limits::ADVICE_READ_ENTRIES, limits::ADVICE_READ_BYTES);
        let from: Seq = reader.position();
        match reader.read_many(from, bounds, |_: &StorageError| {}) {
            Ok(entries) if entries.is_empty() => return forgot,
            Ok(entries) => {
                for (_, _, bytes) in entries {
                    if let Ok(entry) = vault.decode(&bytes) {
                        forgot |= matches!(entry.input, Input::Forget(_));
                        baskets.fold(&entry, bundle);
                    }
                }
            }
            Err(error) => {
                tracing::debug!(%error, "proposals are made without what cannot be read");
                return forgot;
            }
        }
    }
}
