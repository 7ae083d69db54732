//! The first thing a start does: the store with its journal and tables, and the shelf of bundles, each with what was found there.

use std::sync::Arc;

use anyhow::{Result, anyhow};
use tokio::sync::watch;

use crate::bundle::keys::PublicKey;
use crate::config::Config;
use crate::domain::ids::Seq;
use crate::engine::Engine;
use crate::limits;
use crate::storage::identity::this_machine;
use crate::storage::store::{Progress, Recovered, Store, StoreOptions};

use super::bundles::Shelf;
use super::privacy;

/// How far the store's threads are.
#[derive(Clone, Debug, Default)]
pub(super) struct Reached {
    pub(super) durable: Seq,
    pub(super) failed: Option<String>,
}

/// Opens the store and the shelf of bundles, and tells what was found.
pub(super) fn open_store(config: &Config, progress: watch::Sender<Reached>) -> Result<(Store, Shelf)> {
    let keys = config.bundle.trusted_keys.iter().map(|key| key.to_string().parse::<PublicKey>());
    let keys: Vec<PublicKey> =
        keys.collect::<Result<_, _>>().map_err(|error| anyhow!("failed to trust a key: {error}"))?;
    let data_dir = &config.store.data_dir;
    std::fs::create_dir_all(data_dir)
        .map_err(|error| anyhow!("failed to make {}: {error} (AIS-5001)", data_dir.display()))?;
    // Before the shelf makes its folders: a second daemon, or a disk that cannot be written, is told with its code.
    let lock_first = crate::storage::lock::DirLock::take(data_dir)
        .map_err(|error| anyhow!("failed to {error} ({})", error.code()))?;
    drop(lock_first);
    let shelf = Shelf::new(data_dir, keys, config.store.id.clone())?;
    let (store, recovered) = Store::open(StoreOptions {
        dir: data_dir.clone(),
        machine: config.storage.bound_to_machine.then(this_machine).flatten(),
        store: config.store.id.clone(),
        cache_bytes: u64::from(config.storage.sled_cache_mb) * 1024 * 1024,
        request_days: i64::from(config.storage.journal_retention_days).max(limits::REPLAY_DAYS_MIN),
        sizes: crate::storage::store::Sizes {
            sale_days: config.privacy.sale_days,
            profile_idle_days: config.privacy.profile_idle_days,
            ..crate::storage::store::Sizes::default()
        },
        roll: Box::new(shelf.clone()),
        tell: Box::new(move |news| {
            progress.send_modify(|reached| match news {
                Progress::Durable(seq) => reached.durable = seq,
                Progress::Followed(_) => {}
                Progress::Failed(why) => reached.failed = Some(why),
            });
        }),
    })
    .map_err(|error| anyhow!("failed to {error} ({})", error.code()))?;
    tell_recovery(&recovered, &store);
    shelf.store_is_open(&store);
    privacy::resume(&store, &shelf, data_dir)?;
    Ok((store, shelf))
}

fn tell_recovery(recovered: &Recovered, store: &Store) {
    let next = store.next_seq().0;
    tracing::info!(next, applied = recovered.applied, "the journal is open and the tables follow it");
    if let Some(cut) = &recovered.journal.cut {
        tracing::info!(segment = %cut.segment.display(), "a torn tail that was never acknowledged is cut");
    }
    for damaged in &recovered.journal.quarantined {
        tracing::error!(?damaged, code = "AIS-5011", "a damaged part of the journal is set aside");
    }
    for gap in &recovered.journal.gaps {
        tracing::error!(?gap, code = "AIS-5010", "decisions are missing from the journal");
    }
    if let Some(former) = recovered.copied_from {
        let epoch = store.identity().epoch.0;
        tracing::warn!(
            former = former.0,
            epoch,
            code = "AIS-5020",
            "this data was used on another machine: it goes on as a new life, without what head office had lent to the old one"
        );
    }
    if let Some(aside) = &recovered.tables_set_aside {
        tracing::warn!(aside = %aside.display(), code = "AIS-5014", "the tables did not check and were set aside");
    }
    if let Some(why) = &recovered.hindered {
        let footing = store.footing();
        tracing::error!(%why, code = why.code(), ?footing, "the shop sells by its rules and spends nothing scarce");
    }
    if let Some(checkpoint) = recovered.built_from {
        tracing::info!(
            checkpoint = checkpoint.0,
            "the tables were built anew from a checkpoint and the journal"
        );
    }
}

/// Goes on under the bundle that was active, after the last decision that was made.
pub(super) fn resume_bundle(engine: &mut Engine, store: &mut Store, shelf: &Shelf) {
    let last = store.decision(Seq(store.next_seq().0.saturating_sub(1))).ok().flatten();
    let Some(active) = store.active_bundle() else { return };
    if let Some((signed_at, _)) = shelf.times(&active.reference) {
        engine.signed_at(signed_at);
    }
    last.iter().for_each(|last| engine.follows(last));
    match shelf.load(&active.reference) {
        Ok(bundle) => engine.resume_bundle(Arc::new(bundle), active.since),
        Err(error) => {
            tracing::error!(
                error = format!("{error:#}"),
                "the active bundle cannot be read; install it again"
            );
        }
    }
}
