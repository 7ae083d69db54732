//! The embedded broker behind our own seam: devices find an MQTT broker in the box without anyone installing one.
//!
//! Invariants:
//! - Default deny. A user is the daemon (from loopback, with a secret of this run) or one device; what a device may publish
//!   and hear is `topic.rs`, asked for each publish, subscription (wildcards and `$share` too) and will.
//! - A client id belongs to its user: a device connects as itself (`till-1`), as `till-1.anything`, or lets the
//!   broker name it; so nobody takes over the session of another, nor the daemon's. A session that outlives its
//!   connection exists only under the device's own id: one per device.
//! - Plain text is served on loopback only, and only there may a device come in without a proof. Beyond it there is TLS 1.3, and
//!   every device proves who it is: with its password, or with a certificate of the shop's authority.
//! - Everything is bounded (`limits.rs`): packets, connections (in all, of strangers, and per device), sessions, queues, retained
//!   messages.
//! - A device that is removed, or gets another proof or role, loses its rights at once and its connections within a second.
//! - Whoever is refused waits before it is told, and whoever connects in a loop waits longer each time (`pace.rs`);
//!   the log names them, once a minute. The crate answers a refused 3.1.1 publish by breaking the connection, and libraries
//!   reconnect and resend it.
//!
//! Sessions and queues live in memory, not in the crate's files: its queue and in-flight files are written
//! behind (250 ms) and without a sync, so they promise nothing after a power cut; its session file costs one sync
//! for each connect and subscription, on the disk the journal needs. Nothing rests on them: a device repeats an unanswered request under its
//! id and gets the first answer, presence is published again at each connect, and the broker lives and dies with
//! the daemon. While it lives, a session outlasts its connection for `BROKER_SESSION_EXPIRY_S_MAX`.
//!
//! Layout: `access` who may what · `registry` who is known · `pace` loops · `enrol` the door through which a device gets its
//! identity · `mosquitto` the same rights for a broker that the shop runs.

mod access;
pub mod enrol;
pub mod mosquitto;
mod pace;
mod registry;

use std::fmt;
use std::future::Future;
use std::net::{IpAddr, Ipv4Addr, SocketAddr};
use std::sync::Arc;
use std::time::Duration;

use mqtt5::broker::config::{StorageBackend, StorageConfig};
use mqtt5::broker::router::MessageRouter;
use tokio::net::TcpListener;
use tokio::task::JoinHandle;
use tokio::time::timeout;

use crate::chance;
use crate::devices::link::{Inbox, Link};
use crate::devices::topic::Topics;
use crate::domain::code::Code;
use crate::domain::ids::DeviceId;
use crate::domain::text::hex;
use crate::gate::tls::Served;
use crate::gate::{Bounds, Closing, Complaints, Gate, Http, Listening, Porter};
use crate::limits;

use access::Doorman;
use enrol::Enrolling;
pub use registry::{DeviceRegistry, DeviceTable, OpenRegistry, Shown};

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
    /// For devices on the network: where to listen, and with what certificate.
    pub tls: Option<(SocketAddr, Arc<Served>)>,
    /// Gives devices their identity, over TLS.
    pub enrolling: Option<Arc<dyn Enrolling>>,
    /// How many connections it takes.
    pub bounds: Bounds,
    /// How long whoever is refused waits before it is told.
    pub refusal_delay: Duration,
}

impl BrokerConfig {
    /// A broker on a free loopback port that admits every device: for `demo` and tests.
    pub fn open_on_loopback(topics: Topics, engine_secret: String) -> BrokerConfig {
        BrokerConfig {
            listen: SocketAddr::new(IpAddr::V4(Ipv4Addr::LOCALHOST), 0),
            topics,
            registry: Arc::new(OpenRegistry),
            engine_secret,
            tls: None,
            enrolling: None,
            bounds: Bounds::of_a_shop(),
            refusal_delay: Duration::from_millis(limits::REFUSAL_DELAY_MS),
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
    Ok(hex(&chance::bytes::<16>().map_err(BrokerError::Random)?))
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
        let complaints = Arc::new(Complaints::default());
        let doorman =
            Doorman::new(config.topics, config.registry, config.engine_secret, Arc::clone(&complaints));
        let doorman = Arc::new(doorman.telling_after(config.refusal_delay));
        let bind = async |listen: SocketAddr| {
            let failed = |error: std::io::Error| BrokerError::Bind { listen, cause: error.to_string() };
            let listener = TcpListener::bind(listen).await.map_err(failed)?;
            let addr = listener.local_addr().map_err(failed)?;
            Ok::<_, BrokerError>((listener, addr))
        };
        let (plain, local_addr) = bind(listen).await?;
        let mut listeners = vec![(plain, None)];
        let mut tls_addr = None;
        if let Some((listen, served)) = config.tls {
            let (encrypted, addr) = bind(listen).await?;
            listeners.push((encrypted, Some(served)));
            tls_addr = Some(addr);
        }
        let settings = settings().with_event_handler(Arc::clone(&doorman) as Arc<_>);
        let opening = Gate::open(settings, config.bounds, Arc::clone(&complaints));
        let bound = Duration::from_millis(limits::BROKER_START_STOP_MS_MAX);
        let (gate, closing) = timeout(bound, opening)
            .await
            .map_err(|_| BrokerError::Start("it did not get ready".to_owned()))?
            .map_err(BrokerError::Start)?;
        let porter: Porter = {
            let doorman = Arc::clone(&doorman);
            Arc::new(move |caller| Arc::new(doorman.door(caller)) as Arc<_>)
        };
        let http = config.enrolling.map(|desk| -> Http {
            let complaints = Arc::clone(&complaints);
            Arc::new(move |stream, from| {
                Box::pin(enrol::answer(stream, from, Arc::clone(&desk), Arc::clone(&complaints)))
            })
        });
        let listening = gate.listen(listeners, porter, http);
        let ticks = tokio::spawn(Arc::clone(&doorman).tick_each_second());
        let router = gate.router();
        let door = Door { router: Arc::clone(&router), doorman, complaints };
        Ok(Running { local_addr, tls_addr, router, subscriptions, gate, closing, listening, ticks, door })
    }
}

/// Our bounds in the crate's words.
fn settings() -> mqtt5::broker::BrokerConfig {
    let storage = StorageConfig::new()
        .with_backend(StorageBackend::Memory)
        .with_max_queued_messages_per_client(limits::BROKER_QUEUED_MESSAGES_MAX)
        .with_max_queued_bytes_per_client(limits::BROKER_QUEUED_BYTES_MAX)
        .with_cleanup_interval(Duration::from_secs(60));
    let mut settings = mqtt5::broker::BrokerConfig::new()
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
    tls_addr: Option<SocketAddr>,
    router: Arc<MessageRouter>,
    subscriptions: Vec<String>,
    gate: Gate,
    closing: Closing,
    listening: Listening,
    ticks: JoinHandle<()>,
    door: Door,
}

/// A hand on a running broker's door: who is shown out, and what was refused. Cloneable.
#[derive(Clone)]
pub struct Door {
    router: Arc<MessageRouter>,
    doorman: Arc<Doorman>,
    complaints: Arc<Complaints>,
}

impl Door {
    /// Ends the connections and subscriptions of these devices.
    pub async fn show_out(&self, devices: &[DeviceId]) {
        for client_id in self.doorman.connections_of(|user| devices.iter().any(|id| id.as_str() == user)) {
            self.router.unregister_client(&client_id).await;
        }
    }

    /// How often each refusal happened since the start.
    pub fn refusals(&self) -> std::collections::BTreeMap<Code, u64> {
        self.complaints.counts()
    }
}

impl Running {
    /// Where it listens in plain text, with the port the system chose if 0 was asked for.
    pub fn local_addr(&self) -> SocketAddr {
        self.local_addr
    }

    /// Where it listens for devices on the network, if it does.
    pub fn tls_addr(&self) -> Option<SocketAddr> {
        self.tls_addr
    }

    /// Its door.
    pub fn door(&self) -> Door {
        self.door.clone()
    }

    /// The daemon's own link, without a socket: hears every request and status. There is one; a second takes its place.
    pub async fn link(&self) -> Result<(Link, Inbox), BrokerError> {
        Link::inside(Arc::clone(&self.router), &self.subscriptions).await.map_err(BrokerError::Start)
    }

    /// Waits until the broker ends by itself, which it should not; the daemon selects on this. Cancel-safe.
    pub async fn ended(&mut self) -> BrokerError {
        BrokerError::Ended(self.listening.ended().await)
    }

    /// Tells the connected clients, stops, and waits until it is done, at most `BROKER_START_STOP_MS_MAX`.
    pub async fn shutdown(self) {
        let Running { gate, mut closing, listening, ticks, .. } = self;
        drop(listening);
        ticks.abort();
        drop(gate);
        let bound = Duration::from_millis(limits::BROKER_START_STOP_MS_MAX);
        if timeout(bound, closing.closed()).await.is_err() {
            tracing::warn!("the embedded broker did not stop in time and is abandoned");
        }
    }
}

/// The crate's interfaces want boxed futures.
type Boxed<'a, T> = std::pin::Pin<Box<dyn Future<Output = T> + Send + 'a>>;
