//! The doors of the shell: the broker that devices come through, and the line to head office.
//!
//! Both are opened at the start and closed in order at the stop, by the loop in `daemon`; nothing here decides.

use std::path::Path;
use std::sync::Arc;

use anyhow::{Context, Result, anyhow, bail};
use tokio::sync::{mpsc, oneshot};

use crate::clock::Clock;
use crate::config::{Broker, Config, DeviceLogin, Login, SecretSource};
use crate::devices::broker::{
    BrokerConfig, DeviceRegistry, DeviceTable, EmbeddedBroker, OpenRegistry, PasswordProof,
    Running as RunningBroker, engine_secret,
};
use crate::devices::link::{Inbox, Link, LinkConfig};
use crate::devices::topic::Topics;
use crate::devices::wire::status::{EngineState, EngineStatus};
use crate::storage::identity::BoxIdentity;
use crate::storage::store::Store;
use crate::upstream::link as head_office;

use super::Command;
use super::outbox::Outbox;

pub(super) type FrontDoor = (Option<RunningBroker>, Link, Inbox);

pub(super) async fn front_door(
    config: &Config,
    topics: &Topics,
    identity: &BoxIdentity,
    clock: &Arc<dyn Clock>,
    credentials_dir: Option<&Path>,
    around: &tokio::runtime::Handle,
) -> Result<FrontDoor> {
    match &config.broker {
        Broker::Embedded { listen, open_on_loopback, devices_file } => {
            let registry: Arc<dyn DeviceRegistry> = match devices_file {
                Some(file) if !open_on_loopback => {
                    let table = DeviceTable::default();
                    for login in
                        DeviceLogin::load(file).map_err(|error| anyhow!("failed to read devices: {error}"))?
                    {
                        table.insert(login.device, PasswordProof::of(login.salt, login.digest));
                    }
                    Arc::new(table)
                }
                _ => Arc::new(OpenRegistry),
            };
            let engine_secret =
                engine_secret().map_err(|error| anyhow!("failed to {error} ({})", error.code()))?;
            let broker = BrokerConfig { listen: *listen, topics: topics.clone(), registry, engine_secret };
            let broker =
                around.spawn(EmbeddedBroker::start(broker)).await.context("failed to start the broker")?;
            let broker = broker.map_err(|error| anyhow!("failed to {error} ({})", error.code()))?;
            let (link, inbox) =
                broker.link().await.map_err(|error| anyhow!("failed to {error} ({})", error.code()))?;
            Ok((Some(broker), link, inbox))
        }
        Broker::External { url, login } => {
            let credentials = login.as_ref().map(|login| secret(login, credentials_dir)).transpose()?;
            let will =
                EngineStatus::new(EngineState::Offline, identity.store.clone(), identity.epoch, clock.now());
            let (link, inbox) = Link::start(LinkConfig {
                host: url.host.clone(),
                port: url.port,
                client_id: format!("aisled-{}", config.store.id),
                credentials,
                subscriptions: vec![topics.requests_filter(), topics.statuses_filter()],
                will: Some((topics.engine_status(), will.encode())),
            });
            Ok((None, link, inbox))
        }
    }
}

fn secret(login: &Login, credentials_dir: Option<&Path>) -> Result<(String, String)> {
    let source: &SecretSource = &login.password;
    let secret =
        source.read(credentials_dir).map_err(|error| anyhow!("failed to read a password: {error}"))?;
    Ok((login.username.clone(), secret.expose().to_owned()))
}

/// The sender to head office.
pub(super) struct Sender {
    pub(super) upstream: head_office::Upstream,
    pub(super) stop: oneshot::Sender<()>,
    pub(super) forward: tokio::task::JoinHandle<head_office::Inbox>,
}

pub(super) async fn start_upstream(
    config: &Config,
    store: &Store,
    clock: &Arc<dyn Clock>,
    credentials_dir: Option<&Path>,
    commands: &mpsc::Sender<Command>,
    around: &tokio::runtime::Handle,
) -> Result<Option<Sender>> {
    let Some(office) = &config.head_office else { return Ok(None) };
    let dir = config.store.data_dir.join("upstream");
    std::fs::create_dir_all(&dir).with_context(|| format!("failed to make {}", dir.display()))?;
    let identity = store.identity();
    if office.url.tls {
        bail!("failed to reach head office over TLS: this build speaks plain TCP only (AIS-4108)");
    }
    let settings = head_office::UpstreamConfig {
        store: identity.store.clone(),
        host: office.url.host.clone(),
        port: office.url.port,
        login: office.login.as_ref().map(|login| secret(login, credentials_dir)).transpose()?,
        tls: None,
        dir,
    };
    let seed = u64::from_be_bytes(identity.secret[8..16].try_into().context("failed to seed the back-off")?);
    let outbox = Outbox::new(store.journal(), store.vault(), store.keeper(), identity.epoch);
    let started = around.spawn(head_office::start(settings, outbox, clock.clone(), seed));
    let (upstream, mut inbox) =
        started.await.context("failed to start the sender")?.map_err(|error| anyhow!("failed to {error}"))?;
    let commands = commands.clone();
    let (stop, mut stopped) = oneshot::channel::<()>();
    let forward = around.spawn(async move {
        loop {
            let happening = tokio::select! {
                _ = &mut stopped => break,
                happening = inbox.next() => happening,
            };
            let Some(happening) = happening else { break };
            if commands.send(Command::HeadOffice(happening)).await.is_err() {
                break;
            }
        }
        inbox
    });
    Ok(Some(Sender { upstream, stop, forward }))
}
