//! The embedded broker behind our own seam: devices find an MQTT broker in the box without anyone installing one.
//!
//! Invariants:
//! - Default deny. A user is the daemon (from loopback, with a secret of this run) or one device; what a device may publish
//!   and hear is `topic.rs`, asked for each publish, subscription (wildcards and `$share` too) and will.
//! - A client id belongs to its user: a device connects as itself (`till-1`), as `till-1.anything`, or lets the
//!   broker name it; so nobody takes over the session of another, nor the daemon's. A session that outlives its
//!   connection exists only under the device's own id: one per device.
//! - Plain text is served on loopback only; so is a registry that asks for no password.
//! - Everything is bounded (`limits.rs`): packets, connections (in all, and per device), sessions, queues, retained messages.
//! - Whoever is refused waits before it is told, and whoever connects in a loop waits longer each time (`pace.rs`);
//!   the log names them. The crate answers a refused 3.1.1 publish by breaking the connection, and libraries
//!   reconnect and resend it.
//!
//! Sessions and queues live in memory, not in the crate's files: its queue and in-flight files are written
//! behind (250 ms) and without a sync, so they promise nothing after a power cut; its session file costs one sync
//! for each connect and subscription, on the disk the journal needs. Nothing rests on them: a device repeats an unanswered request under its
//! id and gets the first answer, presence is published again at each connect, and the broker lives and dies with
//! the daemon. While it lives, a session outlasts its connection for `BROKER_SESSION_EXPIRY_S_MAX`.

mod access;
mod pace;
mod registry;

use std::fmt;
use std::future::Future;
use std::io::Read;
use std::net::{IpAddr, Ipv4Addr, SocketAddr};
use std::sync::Arc;
use std::time::Duration;

use mqtt5::broker::config::{StorageBackend, StorageConfig};
use mqtt5::broker::router::MessageRouter;
use mqtt5::broker::{BrokerShutdownHandle, MqttBroker};
use tokio::task::JoinHandle;
use tokio::time::timeout;

use crate::devices::link::{Inbox, Link};
use crate::devices::topic::Topics;
use crate::domain::code::Code;
use crate::limits;

use access::Doorman;
pub use registry::{DeviceRegistry, DeviceTable, OpenRegistry, PasswordProof};

/// User name of the daemon at its own broker: no device id, because of the underscore.
pub const ENGINE_USER: &str = "_engine";

/// What the embedded broker needs.
pub struct BrokerConfig {
    /// Where to listen; port 0 takes a free one. Loopback only.
    pub listen: SocketAddr,
    /// The topics of the store, from which all rights follow.
    pub topics: Topics,
    /// Who may connect.
    pub registry: Arc<dyn DeviceRegistry>,
    /// What the daemon proves itself with, see [`engine_secret`].
    pub engine_secret: String,
}

impl BrokerConfig {
    /// A broker on a free loopback port that admits every device: for `demo` and tests.
    pub fn open_on_loopback(topics: Topics, engine_secret: String) -> BrokerConfig {
        BrokerConfig {
            listen: SocketAddr::new(IpAddr::V4(Ipv4Addr::LOCALHOST), 0),
            topics,
            registry: Arc::new(OpenRegistry),
            engine_secret,
        }
    }
}

/// Why there is no embedded broker.
#[derive(Debug)]
pub enum BrokerError {
    /// The address is not loopback. Plain text is not served to a network: keep the default, or run a Mosquitto
    /// with TLS and name it in the configuration.
    NotLoopback(SocketAddr),
    /// The address cannot be bound: another broker runs there, or it is not of this machine.
    Bind {
        /// The address asked for.
        listen: SocketAddr,
        /// What the system said.
        cause: String,
    },
    /// The broker did not come up in time or ended while it did.
    Start(String),
    /// The broker ended while it was needed.
    Ended(String),
    /// The system gives no random bytes for the daemon's secret.
    Random(std::io::Error),
}

impl BrokerError {
    /// The stable code of the error.
    pub fn code(&self) -> Code {
        match self {
            BrokerError::NotLoopback(_) => Code::BrokerNotLoopback,
            BrokerError::Bind { .. } => Code::BrokerCannotListen,
            BrokerError::Start(_) => Code::BrokerDidNotStart,
            BrokerError::Ended(_) => Code::BrokerEnded,
            BrokerError::Random(_) => Code::NoRandomness,
        }
    }
}

impl fmt::Display for BrokerError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            BrokerError::NotLoopback(listen) => {
                write!(f, "listen on {listen}: the embedded broker serves loopback addresses only")
            }
            BrokerError::Bind { listen, cause } => write!(f, "listen on {listen}: {cause}"),
            BrokerError::Start(cause) => write!(f, "start the embedded broker: {cause}"),
            BrokerError::Ended(cause) => write!(f, "keep the embedded broker running: {cause}"),
            BrokerError::Random(cause) => write!(f, "draw the daemon's broker secret: {cause}"),
        }
    }
}

impl std::error::Error for BrokerError {}

/// Draws a secret for the daemon: 128 random bits as hexadecimal, for one run.
pub fn engine_secret() -> Result<String, BrokerError> {
    let mut bytes = [0_u8; 16];
    std::fs::File::open("/dev/urandom")
        .and_then(|mut source| source.read_exact(&mut bytes))
        .map_err(BrokerError::Random)?;
    Ok(bytes.iter().map(|byte| format!("{byte:02x}")).collect())
}

/// Starts brokers.
pub struct EmbeddedBroker;

impl EmbeddedBroker {
    /// Binds, starts, and returns once connections are accepted. Needs a tokio runtime with time and I/O.
    pub async fn start(config: BrokerConfig) -> Result<Running, BrokerError> {
        let listen = config.listen;
        if !listen.ip().is_loopback() {
            return Err(BrokerError::NotLoopback(listen));
        }
        let subscriptions = vec![config.topics.requests_filter(), config.topics.statuses_filter()];
        let doorman = Arc::new(Doorman::new(config.topics, config.registry, config.engine_secret));
        let settings = settings(listen).with_event_handler(Arc::clone(&doorman) as Arc<_>);
        let mut broker = MqttBroker::with_config(settings)
            .await
            .map_err(|error| BrokerError::Bind { listen, cause: error.to_string() })?
            .with_auth_provider(Arc::clone(&doorman) as Arc<_>);
        let local_addr =
            broker.local_addr().ok_or_else(|| BrokerError::Start("it has no address".to_owned()))?;
        let mut ready = broker.ready_receiver();
        let (router, stop) = (broker.router(), broker.shutdown_handle());
        let task = tokio::spawn(async move { broker.run().await.map_err(|error| error.to_string()) });
        let ticks = tokio::spawn(doorman.tick_each_second());
        let mut running = Running { local_addr, router, subscriptions, stop, task, ticks };
        tokio::select! {
            up = timeout(Duration::from_millis(limits::BROKER_START_STOP_MS_MAX), ready.wait_for(|up| *up)) => match up {
                Ok(Ok(_)) => {}
                Ok(Err(_)) | Err(_) => return Err(BrokerError::Start("it did not get ready".to_owned())),
            },
            error = running.ended() => return Err(BrokerError::Start(error.to_string())),
        }
        Ok(running)
    }
}

/// Our bounds in the crate's words.
fn settings(listen: SocketAddr) -> mqtt5::broker::BrokerConfig {
    let storage = StorageConfig::new()
        .with_backend(StorageBackend::Memory)
        .with_max_queued_messages_per_client(limits::BROKER_QUEUED_MESSAGES_MAX)
        .with_max_queued_bytes_per_client(limits::BROKER_QUEUED_BYTES_MAX)
        .with_cleanup_interval(Duration::from_secs(60));
    let mut settings = mqtt5::broker::BrokerConfig::new()
        .with_bind_address(listen)
        .with_max_clients(limits::BROKER_CONNECTIONS_MAX)
        .with_session_expiry(Duration::from_secs(limits::BROKER_SESSION_EXPIRY_S_MAX))
        .with_max_packet_size(limits::MQTT_PACKET_BYTES_MAX)
        .with_max_subscriptions_per_client(limits::BROKER_SUBSCRIPTIONS_MAX)
        .with_max_retained_messages(limits::BROKER_RETAINED_MAX)
        .with_max_retained_message_size(limits::BROKER_RETAINED_BYTES_MAX)
        .with_client_channel_capacity(limits::BROKER_LANE_MESSAGES_MAX)
        .with_max_outbound_inflight(limits::LINK_UNACKED_MAX)
        .with_server_receive_maximum(limits::LINK_INFLIGHT_MAX)
        .with_sys_topics_enabled(false)
        .with_storage(storage);
    settings.topic_alias_maximum = limits::BROKER_TOPIC_ALIASES_MAX;
    settings.shared_subscription_available = false;
    settings
}

/// A broker that accepts connections. Dropping it stops it without waiting.
pub struct Running {
    local_addr: SocketAddr,
    router: Arc<MessageRouter>,
    subscriptions: Vec<String>,
    stop: BrokerShutdownHandle,
    task: JoinHandle<Result<(), String>>,
    ticks: JoinHandle<()>,
}

impl Running {
    /// Where it listens, with the port the system chose if 0 was asked for.
    pub fn local_addr(&self) -> SocketAddr {
        self.local_addr
    }

    /// The daemon's own link, without a socket: hears every request and status. There is one; a second takes its place.
    pub async fn link(&self) -> Result<(Link, Inbox), BrokerError> {
        Link::inside(Arc::clone(&self.router), &self.subscriptions).await.map_err(BrokerError::Start)
    }

    /// Waits until the broker ends by itself, which it should not; the daemon selects on this. Cancel-safe.
    pub async fn ended(&mut self) -> BrokerError {
        BrokerError::Ended(match (&mut self.task).await {
            Ok(Ok(())) => "it stopped".to_owned(),
            Ok(Err(cause)) => cause,
            Err(panic) => panic.to_string(),
        })
    }

    /// Tells the connected clients, stops, and waits until it is done, at most `BROKER_START_STOP_MS_MAX`.
    pub async fn shutdown(mut self) {
        self.stop.shutdown();
        let bound = Duration::from_millis(limits::BROKER_START_STOP_MS_MAX);
        if timeout(bound, &mut self.task).await.is_err() {
            tracing::warn!("the embedded broker did not stop in time and is abandoned");
        }
    }
}

impl Drop for Running {
    fn drop(&mut self) {
        self.stop.shutdown();
        self.task.abort();
        self.ticks.abort();
    }
}

/// The crate's interfaces want boxed futures.
type Boxed<'a, T> = std::pin::Pin<Box<dyn Future<Output = T> + Send + 'a>>;
