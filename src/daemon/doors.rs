//! The doors of the shell: the broker that devices come through, and the line to head office.
//!
//! Both are opened at the start and closed in order at the stop, by the loop in `daemon`; nothing here decides.

use std::path::Path;
use std::sync::Arc;

use anyhow::{Context, Result, anyhow};
use rustls::ClientConfig;
use tokio::sync::{mpsc, oneshot};

use crate::clock::Clock;
use crate::config::{Broker, Config, LineTls, Login, SecretSource, ServerUrl};
use crate::devices::broker::{BrokerConfig, EmbeddedBroker, Running as RunningBroker, engine_secret};
use crate::devices::link::{Inbox, Link, LinkConfig};
use crate::devices::topic::Topics;
use crate::devices::wire::status::{EngineState, EngineStatus};
use crate::gate::tls::{Own, TlsError, client};
use crate::storage::identity::BoxIdentity;
use crate::storage::store::Store;
use crate::upstream::link as head_office;

use super::Command;
use super::outbox::Outbox;
use super::roll::{self, Roll};

/// What devices come through.
pub(super) struct FrontDoor {
    /// The embedded broker, unless the shop runs one.
    pub(super) broker: Option<RunningBroker>,
    /// Its devices.
    pub(super) roll: Option<Arc<Roll>>,
    pub(super) link: Link,
    pub(super) inbox: Inbox,
    /// Looks at the devices file.
    pub(super) watch: Option<tokio::task::JoinHandle<()>>,
}

pub(super) async fn front_door(
    config: &Config,
    topics: &Topics,
    identity: &BoxIdentity,
    clock: &Arc<dyn Clock>,
    credentials_dir: Option<&Path>,
    around: &tokio::runtime::Handle,
) -> Result<FrontDoor> {
    match &config.broker {
        Broker::Embedded { listen, open_on_loopback, devices_file, tls } => {
            let data_dir = &config.store.data_dir;
            let file = roll::devices_file(devices_file.as_ref(), data_dir);
            let roll = Roll::open(
                (file, data_dir, &config.store.id),
                *open_on_loopback,
                tls.as_ref(),
                Arc::clone(clock),
            )?;
            let roll = Arc::new(roll);
            let engine_secret =
                engine_secret().map_err(|error| anyhow!("failed to {error} ({})", error.code()))?;
            let encrypted = tls.as_ref().zip(roll.served());
            let broker = BrokerConfig {
                listen: *listen,
                registry: Arc::clone(&roll.table) as Arc<_>,
                tls: encrypted.map(|(tls, served)| (tls.listen, served)),
                enrolling: tls.as_ref().map(|_| Arc::clone(&roll) as Arc<_>),
                ..BrokerConfig::open_on_loopback(topics.clone(), engine_secret)
            };
            let broker =
                around.spawn(EmbeddedBroker::start(broker)).await.context("failed to start the broker")?;
            let broker = broker.map_err(|error| anyhow!("failed to {error} ({})", error.code()))?;
            let (link, inbox) =
                broker.link().await.map_err(|error| anyhow!("failed to {error} ({})", error.code()))?;
            let watch = Some(around.spawn(Arc::clone(&roll).watch(broker.door())));
            Ok(FrontDoor { broker: Some(broker), roll: Some(roll), link, inbox, watch })
        }
        Broker::External { url, login, tls } => {
            let credentials = login.as_ref().map(|login| secret(login, credentials_dir)).transpose()?;
            let tls = line_tls(url, tls, credentials_dir, clock)?;
            let will =
                EngineStatus::new(EngineState::Offline, identity.store.clone(), identity.epoch, clock.now());
            let (link, inbox) = Link::start(LinkConfig {
                host: url.host.clone(),
                port: url.port,
                client_id: format!("aisled-{}", config.store.id),
                credentials,
                subscriptions: vec![topics.requests_filter(), topics.statuses_filter()],
                will: Some((topics.engine_status(), will.encode())),
                tls,
            });
            Ok(FrontDoor { broker: None, roll: None, link, inbox, watch: None })
        }
    }
}

/// The configuration of an encrypted line; nothing for one in plain text.
fn line_tls(
    url: &ServerUrl,
    tls: &LineTls,
    credentials_dir: Option<&Path>,
    clock: &Arc<dyn Clock>,
) -> Result<Option<Arc<ClientConfig>>> {
    if !url.tls {
        return Ok(None);
    }
    let pem = tls.read(credentials_dir).map_err(|error| anyhow!("failed to read certificates: {error}"))?;
    let made = || {
        let own = pem.own.as_ref().map(|(chain, key)| Own::of_pem(chain, key)).transpose()?;
        client(&pem.authority, own, Arc::clone(clock))
    };
    let config = made().map_err(|error: TlsError| anyhow!("failed to {error} ({})", error.code()))?;
    Ok(Some(Arc::new(config)))
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
    let settings = head_office::UpstreamConfig {
        store: identity.store.clone(),
        host: office.url.host.clone(),
        port: office.url.port,
        login: office.login.as_ref().map(|login| secret(login, credentials_dir)).transpose()?,
        tls: line_tls(&office.url, &office.tls, credentials_dir, clock)?,
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
