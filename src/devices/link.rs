//! The daemon's end of the front door: requests in, replies out.
//!
//! At a shop's own broker it is an MQTT 5 client over TCP, which the rest of this file is about. In the embedded broker it
//! is a session without a socket (`inside.rs`). Whoever uses a link does not see which of the two it is.
//!
//! Invariants:
//! - `publish` never waits and never blocks the caller: no connection, a full queue and a packet beyond the broker's limit are errors. So the
//!   daemon's loop, which drains the inbox and publishes, cannot deadlock with the link's task.
//! - `Happening::Up` means: connected, and every subscription granted. It comes again after each loss, since the
//!   session starts clean and nothing is resubscribed by the library; the daemon then publishes its status again.
//! - The inbox is bounded. When the daemon does not drain it, the link stops reading, TCP and MQTT's receive
//!   maximum hold the broker back, and the broker's queue holds the devices back.
//! - The will says that the daemon is gone, also when it is killed.
//!
//! A request is acknowledged to the broker when it is read, not when its decision is durable. Holding the
//! acknowledgement back would buy nothing: the embedded broker dies with the daemon, and in a Mosquitto the clean
//! session is discarded together with what was not acknowledged. The guarantee is the device's: it repeats a
//! request without an answer under the same id, and the journal knows the id. A clean session also means that no stale
//! sale of an hour ago is pushed into a daemon that has just started.
//!
//! Written against rumqttc 0.25.1: it does not set nodelay (40-90 ms a hop), drops what was queued when the session is gone,
//! does not resubscribe, has no back-off, and breaks the connection over a packet larger than the broker takes.

mod inside;

use std::fmt;
use std::hash::{BuildHasher, RandomState};
use std::net::SocketAddr;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU32, Ordering};
use std::time::Duration;

use mqtt5::broker::router::MessageRouter;
use mqtt5::packet::publish::PublishPacket;
use rumqttc::v5::mqttbytes::QoS;
use rumqttc::v5::mqttbytes::v5::{
    ConnAck, ConnectProperties, ConnectReturnCode, Filter, LastWill, Packet, Publish, PublishProperties,
    SubAck, SubscribeReasonCode,
};
use rumqttc::v5::{AsyncClient, ConnectionError, Event, EventLoop, MqttOptions};
use rumqttc::{NetworkOptions, TlsConfiguration, Transport};
use tokio::sync::mpsc;
use tokio::task::JoinHandle;
use tokio::time::{sleep, timeout};

use crate::devices::broker::ENGINE_USER;
use crate::devices::topic::Topics;
use crate::domain::code::Code;
use crate::gate;
use crate::limits;

/// Bytes of a packet besides topic, payload and properties: headers and lengths, rounded up.
const PACKET_OVERHEAD_BYTES: usize = 64;

/// Bytes the embedded broker adds to a forwarded packet (two user properties that name the sender), rounded up.
const FORWARDING_BYTES: u32 = 1_024;

/// How to reach a broker and what to ask of it.
#[derive(Clone)]
pub struct LinkConfig {
    /// Host name or address of the broker.
    pub host: String,
    /// Its port.
    pub port: u16,
    /// Client id; two links with the same one throw each other out.
    pub client_id: String,
    /// User name and password, if the broker asks for them.
    pub credentials: Option<(String, String)>,
    /// Filters to subscribe to at each connect, with QoS 1.
    pub subscriptions: Vec<String>,
    /// Retained last will: topic and payload.
    pub will: Option<(String, Vec<u8>)>,
    /// For an encrypted connection.
    pub tls: Option<Arc<rustls::ClientConfig>>,
}

impl LinkConfig {
    /// A client with the daemon's rights at an embedded broker: hears every request and status, and leaves `will` as its
    /// retained status.
    pub fn embedded(broker: SocketAddr, topics: &Topics, engine_secret: &str, will: &[u8]) -> LinkConfig {
        LinkConfig {
            host: broker.ip().to_string(),
            port: broker.port(),
            client_id: ENGINE_USER.to_owned(),
            credentials: Some((ENGINE_USER.to_owned(), engine_secret.to_owned())),
            subscriptions: vec![topics.requests_filter(), topics.statuses_filter()],
            will: Some((topics.engine_status(), will.to_vec())),
            tls: None,
        }
    }
}

/// A message as it came in.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Received {
    /// Where it was published.
    pub topic: String,
    /// Its bytes, at most a packet (`MQTT_PACKET_BYTES_MAX`); more than the contract's 64 KiB is for the reader to refuse.
    pub payload: Vec<u8>,
    /// MQTT 5 content type.
    pub content_type: Option<String>,
    /// MQTT 5 response topic, unchecked: see `Topics::response_is_own`.
    pub response_topic: Option<String>,
    /// MQTT 5 correlation data, to be echoed.
    pub correlation_data: Option<Vec<u8>>,
    /// Whether it is a retained message of before.
    pub retained: bool,
    /// With which quality it came, at most 1: that of the subscription.
    pub qos: u8,
}

/// A message to go out, with QoS 1.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Outgoing {
    /// Where to publish; no wildcards.
    pub topic: String,
    /// Its bytes.
    pub payload: Vec<u8>,
    /// Whether the broker keeps it for those who subscribe later.
    pub retain: bool,
    /// MQTT 5 content type.
    pub content_type: Option<String>,
    /// MQTT 5 correlation data of the request.
    pub correlation_data: Option<Vec<u8>>,
    /// Seconds after which the broker need not deliver it any more.
    pub expires_s: Option<u32>,
}

/// What the link tells.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Happening {
    /// Connected and subscribed; publish the status now.
    Up,
    /// The connection is lost or was refused, with the cause as a log fragment. The link goes on trying.
    Down(String),
    /// A message under one of the subscriptions.
    Message(Received),
}

/// Why a publish was not taken.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum LinkError {
    /// There is no connection; whoever waits for the reply asks again when there is one.
    Down,
    /// `LINK_QUEUE_MAX` messages wait for the socket already: the broker does not keep up.
    Full,
    /// The packet would be larger than the broker takes.
    TooLarge {
        /// Bytes of the packet, rounded up.
        bytes: usize,
        /// Bytes the broker takes.
        bytes_max: usize,
    },
    /// The topic is empty or holds a wildcard.
    Topic,
}

impl LinkError {
    /// The stable code of the error.
    pub fn code(self) -> Code {
        match self {
            LinkError::Down => Code::BrokerUnreachable,
            LinkError::Full => Code::BrokerTooSlow,
            LinkError::TooLarge { .. } => Code::MessageTooLarge,
            LinkError::Topic => Code::MessageTopic,
        }
    }
}

impl fmt::Display for LinkError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            LinkError::Down => f.write_str("publish: no connection to the broker"),
            LinkError::Full => f.write_str("publish: the queue to the broker is full"),
            LinkError::TooLarge { bytes, bytes_max } => {
                write!(f, "publish: {bytes} bytes where the broker takes {bytes_max}")
            }
            LinkError::Topic => f.write_str("publish: the topic is empty or holds a wildcard"),
        }
    }
}

impl std::error::Error for LinkError {}

/// What link and task share.
#[derive(Default)]
struct Shared {
    up: AtomicBool,
    closing: AtomicBool,
    packet_bytes_max: AtomicU32,
}

/// The sending half. Cloneable; all clones share one connection.
#[derive(Clone)]
pub struct Link {
    way: Way,
    shared: Arc<Shared>,
}

#[derive(Clone)]
enum Way {
    Socket(AsyncClient),
    Inside(mpsc::Sender<PublishPacket>),
}

/// The receiving half. Dropping it ends the connection without goodbye, so that the broker publishes the will.
pub struct Inbox(Hearing);

enum Hearing {
    Socket(Socket),
    Inside(inside::Session),
}

/// What the task that serves the socket tells, and the task.
struct Socket {
    happenings: mpsc::Receiver<Happening>,
    task: JoinHandle<()>,
    client: AsyncClient,
    shared: Arc<Shared>,
}

impl Link {
    /// Starts connecting, and goes on until the inbox is closed or dropped. Needs a tokio runtime with time and I/O.
    pub fn start(config: LinkConfig) -> (Link, Inbox) {
        let (client, events) = AsyncClient::new(options(&config), limits::LINK_QUEUE_MAX);
        let shared = Arc::new(Shared::default());
        let (sender, happenings) = mpsc::channel(usize::from(limits::LINK_UNACKED_MAX));
        let task = Task {
            events,
            client: client.clone(),
            shared: Arc::clone(&shared),
            subscriptions: config.subscriptions,
            inbox: sender,
            attempts: 0,
            random: RandomState::new(),
        };
        let task = tokio::spawn(task.run());
        let link = Link { way: Way::Socket(client.clone()), shared: Arc::clone(&shared) };
        (link, Inbox(Hearing::Socket(Socket { happenings, task, client, shared })))
    }

    /// A link within the process of an embedded broker, up at once. See `broker::Running::link`.
    pub(super) async fn inside(
        router: Arc<MessageRouter>,
        subscriptions: &[String],
    ) -> Result<(Link, Inbox), String> {
        let shared = Arc::new(Shared::default());
        let session = inside::Session::open(router, ENGINE_USER, subscriptions, Arc::clone(&shared));
        let (sender, session) = session.await?;
        Ok((Link { way: Way::Inside(sender), shared }, Inbox(Hearing::Inside(session))))
    }

    /// Whether the last happening was `Up`.
    pub fn is_up(&self) -> bool {
        self.shared.up.load(Ordering::Acquire)
    }

    /// Hands a message to the socket's queue; does not wait for the broker.
    pub fn publish(&self, message: Outgoing) -> Result<(), LinkError> {
        if !self.is_up() {
            return Err(LinkError::Down);
        }
        if message.topic.is_empty() || message.topic.contains(['+', '#', '\0']) {
            return Err(LinkError::Topic);
        }
        let bytes = PACKET_OVERHEAD_BYTES
            + message.topic.len()
            + message.payload.len()
            + message.content_type.as_ref().map_or(0, String::len)
            + message.correlation_data.as_ref().map_or(0, Vec::len);
        let bytes_max = self.shared.packet_bytes_max.load(Ordering::Acquire) as usize;
        if bytes > bytes_max {
            return Err(LinkError::TooLarge { bytes, bytes_max });
        }
        let client = match &self.way {
            Way::Inside(session) => return inside::publish(session, message),
            Way::Socket(client) => client,
        };
        let properties = PublishProperties {
            content_type: message.content_type,
            correlation_data: message.correlation_data.map(Into::into),
            message_expiry_interval: message.expires_s,
            ..PublishProperties::default()
        };
        client
            .try_publish_with_properties(
                message.topic,
                QoS::AtLeastOnce,
                message.retain,
                message.payload,
                properties,
            )
            .map_err(|_| LinkError::Full)
    }
}

impl Inbox {
    /// The next happening; `None` only where the link is lost for good. Cancel-safe. Poll it to have messages sent.
    pub async fn next(&mut self) -> Option<Happening> {
        match &mut self.0 {
            Hearing::Socket(socket) => socket.happenings.recv().await,
            Hearing::Inside(session) => session.next().await,
        }
    }

    /// Sends what is queued and says goodbye, so that the will is not published: publish the own farewell first.
    /// Waits at most `LINK_CONNECT_S_MAX` seconds.
    pub async fn close(self) {
        let bound = Duration::from_secs(limits::LINK_CONNECT_S_MAX);
        let closed = match self.0 {
            Hearing::Socket(socket) => timeout(bound, socket.close()).await,
            Hearing::Inside(session) => timeout(bound, session.close()).await,
        };
        if closed.is_err() {
            tracing::warn!("the broker did not take the daemon's goodbye in time");
        }
    }
}

impl Socket {
    async fn close(mut self) {
        self.shared.closing.store(true, Ordering::Release);
        let asked = self.shared.up.load(Ordering::Acquire) && self.client.try_disconnect().is_ok();
        self.happenings.close();
        if asked && (&mut self.task).await.is_err() {
            tracing::warn!("the link's task panicked while it said goodbye");
        }
    }
}

impl Drop for Socket {
    fn drop(&mut self) {
        self.task.abort();
    }
}

/// Our bounds in rumqttc's words.
fn options(config: &LinkConfig) -> MqttOptions {
    let mut network = NetworkOptions::new();
    network.set_tcp_nodelay(true);
    network.set_connection_timeout(limits::LINK_CONNECT_S_MAX);
    let packet_bytes_max =
        u32::try_from(limits::MQTT_PACKET_BYTES_MAX).unwrap_or(u32::MAX) + FORWARDING_BYTES;
    let mut properties = ConnectProperties::new();
    properties.receive_maximum = Some(limits::LINK_UNACKED_MAX);
    properties.max_packet_size = Some(packet_bytes_max);
    let mut options = MqttOptions::new(&config.client_id, &config.host, config.port);
    options
        .set_network_options(network)
        .set_keep_alive(Duration::from_secs(limits::LINK_KEEP_ALIVE_S))
        .set_connection_timeout(limits::LINK_CONNECT_S_MAX)
        .set_clean_start(true)
        .set_connect_properties(properties)
        .set_outgoing_inflight_upper_limit(limits::LINK_INFLIGHT_MAX);
    if let Some((user, password)) = &config.credentials {
        options.set_credentials(user, password);
    }
    if let Some(tls) = &config.tls {
        options.set_transport(Transport::tls_with_config(TlsConfiguration::Rustls(Arc::clone(tls))));
    }
    if let Some((topic, payload)) = &config.will {
        options.set_last_will(LastWill::new(topic, payload.clone(), QoS::AtLeastOnce, true, None));
    }
    options
}

/// Milliseconds to wait before attempt number `attempts` (from 1): uniform over 0 to a bound that doubles (full jitter).
fn backoff_ms(attempts: u32, random: u64) -> u64 {
    let doubled = limits::LINK_BACKOFF_MS_MIN.saturating_mul(1 << attempts.saturating_sub(1).min(32));
    random % (doubled.min(limits::LINK_BACKOFF_MS_MAX) + 1)
}

/// The cause as a log fragment: what a person can act on.
fn cause(error: &ConnectionError) -> String {
    match error {
        ConnectionError::ConnectionRefused(
            ConnectReturnCode::BadUserNamePassword | ConnectReturnCode::NotAuthorized,
        ) => "the broker refuses the daemon's user name or password".to_owned(),
        ConnectionError::ConnectionRefused(code) => format!("the broker refuses the connection: {code:?}"),
        ConnectionError::Timeout(_) => "the broker does not answer".to_owned(),
        other if let Some((_, why)) = gate::tls::refused(other) => {
            format!("encryption is refused: {why} ({})", Code::BrokerUnreachable)
        }
        ConnectionError::Io(error) => error.to_string(),
        other => other.to_string(),
    }
}

/// Serves the socket.
struct Task {
    events: EventLoop,
    client: AsyncClient,
    shared: Arc<Shared>,
    subscriptions: Vec<String>,
    inbox: mpsc::Sender<Happening>,
    attempts: u32,
    random: RandomState,
}

impl Task {
    async fn run(mut self) {
        loop {
            let lost = match self.events.poll().await {
                Ok(Event::Incoming(packet)) => self.incoming(packet).await,
                Ok(Event::Outgoing(_)) => Ok(()),
                Err(error) => Err(cause(&error)),
            };
            if let Err(cause) = lost {
                self.shared.up.store(false, Ordering::Release);
                if self.shared.closing.load(Ordering::Acquire) || self.inbox.is_closed() {
                    return;
                }
                self.lost(cause).await;
            }
        }
    }

    /// Handles what came in; an error is a reason to connect anew.
    async fn incoming(&mut self, packet: Packet) -> Result<(), String> {
        match packet {
            Packet::ConnAck(ack) => self.connected(&ack),
            Packet::SubAck(ack) => self.subscribed(&ack).await,
            Packet::Publish(publish) => {
                if let Some(message) = received(publish) {
                    self.tell(Happening::Message(message)).await;
                }
                Ok(())
            }
            _ => Ok(()),
        }
    }

    fn connected(&mut self, ack: &ConnAck) -> Result<(), String> {
        let announced = ack.properties.as_ref().and_then(|properties| properties.max_packet_size);
        let ours = u32::try_from(limits::MQTT_PACKET_BYTES_MAX).unwrap_or(u32::MAX);
        self.shared
            .packet_bytes_max
            .store(announced.map_or(ours, |bytes| bytes.min(ours)), Ordering::Release);
        let filters = self.subscriptions.iter().map(|filter| Filter::new(filter, QoS::AtLeastOnce));
        self.client
            .try_subscribe_many(filters)
            .map_err(|_| "the subscriptions do not fit the queue".to_owned())
    }

    async fn subscribed(&mut self, ack: &SubAck) -> Result<(), String> {
        let granted =
            |code: &SubscribeReasonCode| matches!(code, SubscribeReasonCode::Success(QoS::AtLeastOnce));
        if let Some(refused) = ack.return_codes.iter().position(|code| !granted(code)) {
            let filter = self.subscriptions.get(refused).map_or("?", String::as_str);
            return Err(format!("the broker refuses the subscription to {filter}"));
        }
        self.attempts = 0;
        self.shared.up.store(true, Ordering::Release);
        self.tell(Happening::Up).await;
        Ok(())
    }

    async fn lost(&mut self, cause: String) {
        self.events.clean();
        self.attempts = self.attempts.saturating_add(1);
        let wait_ms = backoff_ms(self.attempts, self.random.hash_one(self.attempts));
        tracing::warn!(cause, attempt = self.attempts, wait_ms, "no connection to the broker");
        self.tell(Happening::Down(cause)).await;
        sleep(Duration::from_millis(wait_ms)).await;
    }

    async fn tell(&mut self, happening: Happening) {
        // An error means that the inbox is gone; the next poll or loss ends the task.
        let _ = self.inbox.send(happening).await;
    }
}

/// Takes a publish apart; a topic that is not UTF-8 is against the protocol and is dropped.
fn received(publish: Publish) -> Option<Received> {
    let Ok(topic) = std::str::from_utf8(&publish.topic) else {
        tracing::warn!("a message whose topic is not UTF-8 was dropped");
        return None;
    };
    let properties = publish.properties.unwrap_or_default();
    Some(Received {
        topic: topic.to_owned(),
        payload: publish.payload.into(),
        content_type: properties.content_type,
        response_topic: properties.response_topic,
        correlation_data: properties.correlation_data.map(Into::into),
        retained: publish.retain,
        qos: publish.qos as u8,
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn does_the_wait_double_and_stay_bounded() {
        for attempts in 1..200 {
            let bound =
                (limits::LINK_BACKOFF_MS_MIN << (attempts - 1).min(20)).min(limits::LINK_BACKOFF_MS_MAX);
            assert_eq!(backoff_ms(attempts, bound), bound, "attempt {attempts} may wait its whole bound");
            assert_eq!(backoff_ms(attempts, bound + 1), 0, "attempt {attempts} never waits more");
        }
        assert_eq!(backoff_ms(1, limits::LINK_BACKOFF_MS_MIN), limits::LINK_BACKOFF_MS_MIN);
        assert_eq!(backoff_ms(u32::MAX, limits::LINK_BACKOFF_MS_MAX), limits::LINK_BACKOFF_MS_MAX);
    }

    #[test]
    fn is_a_topic_that_is_no_text_dropped() {
        let mut publish = Publish::new("a", QoS::AtLeastOnce, vec![1], None);
        assert_eq!(received(publish.clone()).map(|message| message.payload), Some(vec![1]));
        publish.topic = vec![0xff].into();
        assert_eq!(received(publish), None);
    }
}
