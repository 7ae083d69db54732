//! The console's window into the daemon: the picture the loop hands over each second, and the answers to its questions.
//!
//! The console lives in a thread of its own with a runtime of its own, so that no page shares a worker with the loop. What it
//! asks beyond the picture is read from the journal and the files beside the loop, by the same code as the verbs of the
//! shell; only quotes and counts of members go to the loop, as they do from the control socket.

mod questions;

use std::net::SocketAddr;
use std::sync::{Arc, OnceLock};
use std::thread::JoinHandle;

use anyhow::{Context, Result};
use tokio::sync::{mpsc, watch};

use crate::bundle::Bundle;
use crate::clock::Clock;
use crate::config::Config;
use crate::console::{
    ConsoleConfig, Counts, Snapshot, SnapshotDevice, SnapshotDisk, SnapshotJournal, SnapshotLine,
};
use crate::domain::calendar::UnixMs;
use crate::limits;
use crate::storage::journal::JournalView;
use crate::storage::store::Footing;
use crate::storage::vault::Vault;
use crate::upstream::machine::Status as LineStatus;

use super::{Command, Shop};
use questions::Answers;

/// A device's presence, as the loop heard it.
pub(super) struct Presence {
    pub(super) online: bool,
    pub(super) since: UnixMs,
    pub(super) software: Option<String>,
}

/// The console as the loop sees it.
pub(super) struct Window {
    snapshots: watch::Sender<Arc<Snapshot>>,
    bundle: watch::Sender<Option<Arc<Bundle>>>,
    stop: watch::Sender<bool>,
    address: Arc<OnceLock<SocketAddr>>,
    thread: JoinHandle<()>,
}

impl Window {
    /// Opens the console, if the configuration has one. That its address is taken is its own trouble, not the shop's.
    pub(super) fn open(
        config: &Config,
        clock: Arc<dyn Clock>,
        (journal, vault): (JournalView, Vault),
        commands: mpsc::Sender<Command>,
    ) -> Result<Option<Window>> {
        let Some(console) = config.console.clone() else { return Ok(None) };
        let (snapshots, shown) = watch::channel(Arc::new(Snapshot {
            at: clock.now(),
            store: config.store.id.to_string(),
            version: env!("CARGO_PKG_VERSION"),
            ..Snapshot::default()
        }));
        let (bundle, rules) = watch::channel(None);
        let (stop, stopped) = watch::channel(false);
        let address = Arc::new(OnceLock::new());
        let bound = Arc::clone(&address);
        let data_dir = config.store.data_dir.clone();
        let shop =
            Arc::new(Answers::new(config.clone(), clock.clone(), (journal, vault), commands, shown, rules));
        let runtime = tokio::runtime::Builder::new_current_thread()
            .max_blocking_threads(limits::CONSOLE_THREADS_MAX)
            .thread_name("console")
            .enable_all()
            .build()
            .context("failed to start the console's runtime")?;
        let body = move || {
            // Where the supervisor allows it, the tills come first on a busy processor; the threads it starts inherit it.
            if let Err(error) = rustix::process::setpriority_process(None, limits::CONSOLE_NICE) {
                tracing::debug!(%error, "the console has the tills' priority");
            }
            let config = ConsoleConfig {
                listen: console.listen,
                hosts: console.hosts,
                tls: console.tls,
                metrics_for_all: console.metrics_for_all,
                data_dir: &data_dir,
            };
            let opened = move |at| {
                if bound.set(at).is_err() {
                    tracing::debug!("the console was opened before");
                }
            };
            runtime.block_on(crate::console::serve(config, shop, clock, opened, stopped));
            runtime.shutdown_background();
        };
        let thread = std::thread::Builder::new().name("console".to_owned()).spawn(body);
        let thread = thread.context("failed to start the console's thread")?;
        Ok(Some(Window { snapshots, bundle, stop, address, thread }))
    }

    /// Where it listens, once it does.
    pub(super) fn address(&self) -> Option<SocketAddr> {
        self.address.get().copied()
    }

    /// Hands over a new picture.
    pub(super) fn show(&self, snapshot: Snapshot) {
        self.snapshots.send_replace(Arc::new(snapshot));
    }

    /// These rules are in force.
    pub(super) fn rules(&self, bundle: Arc<Bundle>) {
        self.bundle.send_replace(Some(bundle));
    }

    /// Closes it; a page that still counts is left to itself.
    pub(super) fn close(self) {
        self.stop.send_replace(true);
        if self.thread.join().is_err() {
            tracing::error!("the console's thread panicked");
        }
    }
}

impl Shop {
    /// The daemon at this moment, for the console.
    pub(super) fn picture(&self) -> Snapshot {
        let store = &self.desk.store;
        let engine = &self.desk.engine;
        let bundle = engine.bundle();
        let now = self.clock.now();
        let counts = self.desk.counts;
        let missing =
            store.keeper().missing().iter().map(|gap| gap.to.0.saturating_sub(gap.from.0) + 1).sum();
        let devices = self.present.iter().map(|(id, presence)| SnapshotDevice {
            id: id.clone(),
            online: presence.online,
            since: presence.since,
            software: presence.software.clone(),
        });
        Snapshot {
            at: now,
            store: store.identity().store.to_string(),
            names: bundle.map(|bundle| bundle.shop.names.clone()).unwrap_or_default(),
            version: env!("CARGO_PKG_VERSION"),
            epoch: store.identity().epoch.0,
            up_s: now.ms_since(self.started) / 1_000,
            degraded: self.desk.withholds(),
            broker_up: self.desk.link().is_up(),
            bundle: bundle.map(|bundle| (bundle.reference.version, bundle.reference.hash.to_string())),
            network: bundle.and_then(|bundle| match &bundle.network {
                Some(Err(fault)) => Some((fault.code(), fault.to_string())),
                _ => None,
            }),
            currency: bundle.map(|bundle| bundle.shop.currency.clone()),
            time_zone: bundle.map(|bundle| bundle.shop.time_zone.clone()),
            open_quotes: engine.open_quotes() as u64,
            counts: Counts {
                requests: counts.requests,
                replies: counts.replies,
                refusals: counts.refusals,
                replayed: counts.replayed,
                decisions: counts.decisions,
                unspoken: counts.unspoken,
            },
            lanes: self.desk.lanes.lanes(),
            operations: self.desk.lanes.operations(),
            devices: devices.collect(),
            journal: SnapshotJournal {
                first: store.journal().first().0,
                next: store.next_seq().0,
                durable: store.durable().0,
                followed: store.followed().0,
                missing,
                waiting: self.desk.waiting() as u64,
            },
            disk: SnapshotDisk {
                free_bytes: self.disk.free_bytes,
                min_bytes: self.disk.min_bytes(),
                whole: store.footing() == Footing::Whole,
                code: store.hindered(),
            },
            head_office: self.sender.as_ref().map(|sender| line(&sender.upstream.status().borrow())),
        }
    }
}

fn line(status: &LineStatus) -> SnapshotLine {
    let parked = status.parked_there.iter().chain(&status.parked_here).map(|seq| seq.0);
    SnapshotLine {
        connected: status.connected,
        since: status.since,
        backlog: status.backlog,
        oldest_ms: status.oldest_unsent_ms,
        applied: status.remembered.applied_through.0,
        durable: status.remembered.durable_through.0,
        parked: parked.collect(),
        stuck: status.stuck.map(|(seq, tries)| (seq.0, tries)),
        clock_ahead_ms: status.clock_ahead_ms,
        download: status.download,
        trouble: status.last_error.as_ref().map(|fault| (fault.trouble.code(), fault.detail.clone())),
        batches: status.batches_sent,
    }
}
