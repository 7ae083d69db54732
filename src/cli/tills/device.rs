//! One simulated device: an MQTT client that keeps to the contract.
//!
//! Invariants:
//! - A request has one id and one body for its life. Without an answer the same bytes go out again, also after the
//!   connection or the daemon came back, until an answer is heard or patience ends. So a sale is done once, whatever is lost.
//! - `request` returns with exactly one of: a document, a problem, silence; each is counted.
//! - A device speaks below its own topics only. MQTT 5 names its reply topic and checks the correlation data that comes
//!   back; MQTT 3.1.1 hears `rep/v3` and goes by `re`.
//!
//! The client library (rumqttc 0.25.1) neither resubscribes nor keeps what was queued when a session is gone: the
//! task subscribes at each connect, and only then requests go out.

use std::collections::BTreeMap;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use rumqttc::v5::mqttbytes as five;
use rumqttc::{AsyncClient, MqttOptions, NetworkOptions, QoS, v5};
use serde_json::{Value, json};
use tokio::sync::{oneshot, watch};
use tokio::task::JoinHandle;
use tokio::time::{sleep, timeout};

use crate::clock::{Clock, Stopwatch};
use crate::devices::topic::{INSTANCE_V3, InvalidLevel, Op, Topic, Topics};
pub use crate::devices::wire::Format;
use crate::domain::ids::{DeviceId, StoreId};
use crate::limits;

use super::Dice;
use super::tally::{Tally, count};

/// Reply instance of the simulated devices that speak MQTT 5.
const INSTANCE: &str = "sim";

/// Which MQTT a device speaks.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Dialect {
    /// MQTT 5.
    Mqtt5,
    /// MQTT 3.1.1: an old till.
    Mqtt311,
}

fn write(format: Format, document: &Value) -> Vec<u8> {
    match format {
        Format::Json => document.to_string().into_bytes(),
        Format::MessagePack => {
            rmp_serde::to_vec_named(document).expect("a JSON value has a MessagePack form")
        }
    }
}

/// JSON or MessagePack, by the first byte.
fn read(payload: &[u8]) -> Option<Value> {
    match payload.first()? {
        b'{' => serde_json::from_slice(payload).ok(),
        _ => rmp_serde::from_slice(payload).ok(),
    }
}

/// How long a device waits.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Patience {
    /// Milliseconds until a request without an answer is sent again.
    pub answer_ms: u32,
    /// Milliseconds until it is given up. Longer than any outage of the daemon that the run contains.
    pub give_up_ms: u32,
}

impl Default for Patience {
    fn default() -> Patience {
        Patience { answer_ms: 2_000, give_up_ms: 120_000 }
    }
}

/// What a device needs to connect.
#[derive(Clone, Debug)]
pub struct DeviceConfig {
    /// Host and port of the broker.
    pub broker: (String, u16),
    /// Which shop.
    pub store: StoreId,
    /// Who it is.
    pub device: DeviceId,
    /// Its password, where the broker asks for one.
    pub password: Option<String>,
    /// Which MQTT it speaks.
    pub dialect: Dialect,
    /// In what it writes.
    pub format: Format,
    /// Part of every request id: 1 to 16 of `[a-z0-9]`, another one for each run.
    pub run: String,
    /// How long it waits.
    pub patience: Patience,
}

/// A request as it went out: what a repetition sends again.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Sent {
    /// What was asked.
    pub op: Op,
    /// Its id.
    pub id: String,
    /// Its bytes.
    pub bytes: Vec<u8>,
}

/// How a request ended.
#[derive(Clone, Debug, PartialEq)]
pub enum Answer {
    /// The reply's `data`.
    Document(Value),
    /// A problem.
    Problem {
        /// Status of the contract, 400 and up.
        status: u16,
        /// Stable code, `AIS-nnnn`.
        code: String,
        /// Where and why.
        detail: String,
    },
    /// No answer before patience ended.
    Silence,
}

/// A request and how it ended.
#[derive(Clone, Debug, PartialEq)]
pub struct Exchange {
    /// What went out.
    pub sent: Sent,
    /// How it ended.
    pub answer: Answer,
    /// Whether the daemon said that it had answered this before.
    pub replayed: bool,
    /// Times it was sent.
    pub tries: u32,
}

/// What came in for a request.
#[derive(Debug)]
struct Heard {
    answer: Answer,
    replayed: bool,
    /// The answer is to try again after so many milliseconds.
    wait_ms: Option<u32>,
}

#[derive(Clone)]
enum Client {
    Five(v5::AsyncClient),
    Four(AsyncClient),
}

/// What device and socket task share.
struct Shared {
    tally: Arc<Tally>,
    waiting: Mutex<BTreeMap<String, oneshot::Sender<Heard>>>,
    /// Number of the connection that is up; 0 while there is none.
    up: watch::Sender<u64>,
    closing: watch::Sender<bool>,
    connections: AtomicU64,
    reply_topic: String,
    status_topic: String,
}

/// A connected (or connecting) device. Dropping it cuts the connection without goodbye: the broker publishes its will.
pub struct Device {
    config: DeviceConfig,
    topics: Topics,
    client: Client,
    shared: Arc<Shared>,
    clock: Arc<dyn Clock>,
    numbers: AtomicU64,
    task: JoinHandle<()>,
}

fn status(state: &str) -> Vec<u8> {
    let software = concat!("aisled simulated device ", env!("CARGO_PKG_VERSION"));
    write(Format::Json, &json!({ "v": 1, "state": state, "software": software }))
}

impl Device {
    /// Starts connecting, and goes on until it is closed or dropped. Needs a tokio runtime with time and I/O.
    ///
    /// # Errors
    /// The store's or device's id makes no topic.
    pub fn connect(
        config: DeviceConfig,
        tally: Arc<Tally>,
        clock: Arc<dyn Clock>,
    ) -> Result<Device, InvalidLevel> {
        let topics = Topics::new(&config.store);
        let device = config.device.as_str();
        let instance = match config.dialect {
            Dialect::Mqtt5 => INSTANCE,
            Dialect::Mqtt311 => INSTANCE_V3,
        };
        let shared = Arc::new(Shared {
            tally,
            waiting: Mutex::default(),
            up: watch::Sender::new(0),
            closing: watch::Sender::new(false),
            connections: AtomicU64::new(0),
            reply_topic: topics.build(Topic::Reply { device, instance })?,
            status_topic: topics.build(Topic::DeviceStatus { device })?,
        });
        let dice = Dice::new(0, device);
        let (client, task) = match config.dialect {
            Dialect::Mqtt5 => {
                let (client, events) =
                    v5::AsyncClient::new(options5(&config, &shared), limits::SIMULATED_QUEUE_MAX);
                let task = tokio::spawn(serve5(Arc::clone(&shared), client.clone(), events, dice));
                (Client::Five(client), task)
            }
            Dialect::Mqtt311 => {
                let (client, mut events) =
                    AsyncClient::new(options4(&config, &shared), limits::SIMULATED_QUEUE_MAX);
                events.set_network_options(network());
                let task = tokio::spawn(serve4(Arc::clone(&shared), client.clone(), events, dice));
                (Client::Four(client), task)
            }
        };
        Ok(Device { config, topics, client, shared, clock, numbers: AtomicU64::new(0), task })
    }

    /// Who it is.
    pub fn id(&self) -> &DeviceId {
        &self.config.device
    }

    /// Waits until it is connected and subscribed.
    pub async fn ready(&self) {
        // The sender lives as long as the device: the wait cannot fail.
        let _ = self.shared.up.subscribe().wait_for(|up| *up > 0).await;
    }

    /// Asks, and asks again with the same bytes until there is an answer or patience ends. `at`: RFC 3339, when it
    /// happened, where that is not now.
    pub async fn request(&self, op: Op, data: Value, at: Option<&str>) -> Exchange {
        let number = self.numbers.fetch_add(1, Ordering::AcqRel) + 1;
        let id = format!("{}.{}.{number}", self.config.device, self.config.run);
        let mut envelope = json!({ "v": 1, "id": id, "data": data });
        if let Some(at) = at {
            envelope["at"] = json!(at);
        }
        let sent = Sent { op, id, bytes: write(self.config.format, &envelope) };
        let counts = &self.shared.tally.counts;
        count(&counts.requests, 1);
        let watch = Stopwatch::start(self.clock.as_ref());
        let exchange = self.exchange(sent).await;
        let elapsed_us = watch.elapsed_us(self.clock.as_ref());
        match &exchange.answer {
            Answer::Document(_) => count(&counts.replies, 1),
            Answer::Problem { code, .. } => {
                count(&counts.refusals, 1);
                self.shared.tally.refusal(code);
            }
            Answer::Silence => count(&counts.silences, 1),
        }
        if exchange.answer != Answer::Silence && exchange.tries == 1 {
            self.shared.tally.latency(op.as_str(), elapsed_us);
        }
        exchange
    }

    /// Sends an answered request again on purpose, and counts whether the first answer came again, marked as replayed.
    pub async fn repeat(&self, first: &Exchange) -> Exchange {
        let counts = &self.shared.tally.counts;
        count(&counts.duplicates_sent, 1);
        let again = self.exchange(first.sent.clone()).await;
        if again.answer == Answer::Silence {
            count(&counts.duplicates_silent, 1);
        } else if again.answer == first.answer && again.replayed {
            count(&counts.duplicates_replayed, 1);
        } else {
            count(&counts.duplicates_differing, 1);
        }
        again
    }

    /// Says goodbye and ends the connection. Waits a bounded time.
    pub async fn close(mut self) {
        self.shared.closing.send_replace(true);
        let topic = self.shared.status_topic.clone();
        let asked = match &self.client {
            Client::Five(client) => {
                let told = client.try_publish(topic, five::QoS::AtLeastOnce, true, status("offline"));
                told.is_ok() && client.try_disconnect().is_ok()
            }
            Client::Four(client) => {
                let told = client.try_publish(topic, QoS::AtLeastOnce, true, status("offline"));
                told.is_ok() && client.try_disconnect().is_ok()
            }
        };
        if asked {
            // If it does not end in time, dropping the device ends it.
            let _ = timeout(Duration::from_millis(limits::SIMULATED_GOODBYE_MS_MAX), &mut self.task).await;
        }
    }

    async fn exchange(&self, sent: Sent) -> Exchange {
        let patience = Duration::from_millis(self.config.patience.give_up_ms.into());
        let deadline = self.clock.ticks().plus(patience);
        let mut up = self.shared.up.subscribe();
        let mut tries = 0;
        loop {
            let left = deadline.since(self.clock.ticks());
            if left.is_zero() || timeout(left, up.wait_for(|up| *up > 0)).await.is_err() {
                return Exchange { sent, answer: Answer::Silence, replayed: false, tries };
            }
            let connection = *up.borrow_and_update();
            let (sender, receiver) = oneshot::channel();
            self.waiting().insert(sent.id.clone(), sender);
            tries += 1;
            if tries > 1 {
                count(&self.shared.tally.counts.resends, 1);
            }
            self.publish(&sent);
            let answer_within = Duration::from_millis(self.config.patience.answer_ms.into()).min(left);
            let heard = tokio::select! {
                heard = receiver => heard.ok(),
                () = sleep(answer_within) => None,
                // The connection is gone or is another one: what was sent may be lost, so it is sent again.
                _ = up.wait_for(|now| *now != connection) => None,
            };
            self.waiting().remove(&sent.id);
            match heard {
                None => {}
                Some(Heard { wait_ms: Some(wait_ms), answer, replayed }) => {
                    count(&self.shared.tally.counts.told_to_wait, 1);
                    let wait = Duration::from_millis(wait_ms.into());
                    if wait >= left {
                        return Exchange { sent, answer, replayed, tries };
                    }
                    sleep(wait).await;
                }
                Some(Heard { wait_ms: None, answer, replayed }) => {
                    return Exchange { sent, answer, replayed, tries };
                }
            }
        }
    }

    fn waiting(&self) -> std::sync::MutexGuard<'_, BTreeMap<String, oneshot::Sender<Heard>>> {
        self.shared.waiting.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Hands the request to the socket. What is not taken is repeated like what is lost.
    fn publish(&self, sent: &Sent) {
        let level = Topic::Request { device: self.config.device.as_str(), op: sent.op.as_str() };
        let topic = self.topics.build(level).expect("the device's id made its other topics");
        let taken = match &self.client {
            Client::Five(client) => {
                let properties = five::v5::PublishProperties {
                    response_topic: Some(self.shared.reply_topic.clone()),
                    correlation_data: Some(sent.id.clone().into()),
                    content_type: Some(self.config.format.content_type().to_owned()),
                    ..five::v5::PublishProperties::default()
                };
                let qos = five::QoS::AtLeastOnce;
                client.try_publish_with_properties(topic, qos, false, sent.bytes.clone(), properties).is_ok()
            }
            Client::Four(client) => {
                client.try_publish(topic, QoS::AtLeastOnce, false, sent.bytes.clone()).is_ok()
            }
        };
        if !taken {
            tracing::debug!(device = %self.config.device, "a simulated device's queue is full");
        }
    }
}

impl Drop for Device {
    fn drop(&mut self) {
        self.task.abort();
        self.shared.went_down();
    }
}

impl Shared {
    fn came_up(&self) {
        let number = self.connections.fetch_add(1, Ordering::AcqRel) + 1;
        if self.up.send_replace(number) == 0 {
            count(&self.tally.counts.connects, 1);
            count(&self.tally.counts.up, 1);
        }
    }

    fn went_down(&self) {
        if self.up.send_replace(0) > 0 {
            count(&self.tally.counts.disconnects, 1);
            self.tally.counts.up.fetch_sub(1, Ordering::AcqRel);
        }
    }

    /// A message on the reply topic; `correlation` as MQTT 5 carried it, `None` for MQTT 3.1.1.
    fn heard(&self, payload: &[u8], correlation: Option<&[u8]>) {
        let counts = &self.tally.counts;
        let Some((id, heard)) = read_reply(payload) else {
            count(&counts.unreadable, 1);
            return;
        };
        if correlation.is_some_and(|data| data != id.as_bytes()) {
            count(&counts.miscorrelated, 1);
            return;
        }
        let waiting = self.waiting.lock().unwrap_or_else(PoisonError::into_inner).remove(&id);
        if waiting.is_none_or(|waiting| waiting.send(heard).is_err()) {
            count(&counts.late, 1);
        }
    }
}

/// A reply or problem of the contract, by its id.
fn read_reply(payload: &[u8]) -> Option<(String, Heard)> {
    let document = read(payload)?;
    let id = document.get("re")?.as_str()?.to_owned();
    let status = u16::try_from(document.get("status")?.as_u64()?).ok()?;
    let replayed = document.get("replayed").and_then(Value::as_bool).unwrap_or(false);
    if status < 300 {
        let answer = Answer::Document(document.get("data")?.clone());
        return Some((id, Heard { answer, replayed, wait_ms: None }));
    }
    let text = |key: &str| document.get(key).and_then(Value::as_str).unwrap_or_default().to_owned();
    let after = document.get("retry_after_ms").and_then(Value::as_u64).and_then(|ms| u32::try_from(ms).ok());
    let wait_ms = matches!(status, 429 | 503).then(|| after.unwrap_or(limits::SIMULATED_WAIT_MS));
    let answer = Answer::Problem { status, code: text("code"), detail: text("detail") };
    Some((id, Heard { answer, replayed, wait_ms }))
}

fn network() -> NetworkOptions {
    let mut network = NetworkOptions::new();
    network.set_tcp_nodelay(true);
    network.set_connection_timeout(limits::LINK_CONNECT_S_MAX);
    network
}

fn options5(config: &DeviceConfig, shared: &Shared) -> v5::MqttOptions {
    let (host, port) = &config.broker;
    let mut options = v5::MqttOptions::new(config.device.as_str(), host, *port);
    let will = five::v5::LastWill::new(
        shared.status_topic.clone(),
        status("offline"),
        five::QoS::AtLeastOnce,
        true,
        None,
    );
    options
        .set_credentials(config.device.as_str(), config.password.as_deref().unwrap_or_default())
        .set_keep_alive(Duration::from_secs(limits::SIMULATED_KEEP_ALIVE_S))
        .set_connection_timeout(limits::LINK_CONNECT_S_MAX)
        .set_clean_start(true)
        .set_max_packet_size(u32::try_from(limits::MQTT_PACKET_BYTES_MAX).ok())
        .set_network_options(network())
        .set_last_will(will);
    options
}

fn options4(config: &DeviceConfig, shared: &Shared) -> MqttOptions {
    let (host, port) = &config.broker;
    let mut options = MqttOptions::new(config.device.as_str(), host, *port);
    let will = rumqttc::LastWill::new(shared.status_topic.clone(), status("offline"), QoS::AtLeastOnce, true);
    options
        .set_credentials(config.device.as_str(), config.password.as_deref().unwrap_or_default())
        .set_keep_alive(Duration::from_secs(limits::SIMULATED_KEEP_ALIVE_S))
        .set_clean_session(true)
        .set_max_packet_size(limits::MQTT_PACKET_BYTES_MAX, limits::MQTT_PACKET_BYTES_MAX)
        .set_last_will(will);
    options
}

/// Full jitter below a bound that doubles with each failed attempt.
async fn back_off(attempts: u32, dice: &mut Dice) {
    let doubled = limits::LINK_BACKOFF_MS_MIN.saturating_mul(1 << attempts.min(16));
    sleep(Duration::from_millis(dice.below(doubled.min(limits::SIMULATED_BACKOFF_MS_MAX)) + 1)).await;
}

async fn serve5(shared: Arc<Shared>, client: v5::AsyncClient, mut events: v5::EventLoop, mut dice: Dice) {
    use five::v5::{Packet, SubscribeReasonCode};
    let mut attempts = 0;
    loop {
        match events.poll().await {
            Ok(v5::Event::Incoming(Packet::ConnAck(_))) => {
                // A queue too full to subscribe keeps the device down until the next connect.
                let _ = client.try_subscribe(shared.reply_topic.clone(), five::QoS::AtLeastOnce);
            }
            Ok(v5::Event::Incoming(Packet::SubAck(ack))) => {
                if ack.return_codes.iter().all(|code| matches!(code, SubscribeReasonCode::Success(_))) {
                    attempts = 0;
                    let topic = shared.status_topic.clone();
                    let _ = client.try_publish(topic, five::QoS::AtLeastOnce, true, status("online"));
                    shared.came_up();
                }
            }
            Ok(v5::Event::Incoming(Packet::Publish(publish))) => {
                let correlation = publish.properties.as_ref().and_then(|of| of.correlation_data.as_deref());
                shared.heard(&publish.payload, Some(correlation.unwrap_or_default()));
            }
            Ok(_) => {}
            Err(error) => {
                shared.went_down();
                if *shared.closing.borrow() {
                    return;
                }
                tracing::debug!(%error, "a simulated device lost its connection");
                back_off(attempts, &mut dice).await;
                attempts += 1;
            }
        }
    }
}

async fn serve4(shared: Arc<Shared>, client: AsyncClient, mut events: rumqttc::EventLoop, mut dice: Dice) {
    use rumqttc::{Event, Packet, SubscribeReasonCode};
    let mut attempts = 0;
    loop {
        match events.poll().await {
            Ok(Event::Incoming(Packet::ConnAck(_))) => {
                let _ = client.try_subscribe(shared.reply_topic.clone(), QoS::AtLeastOnce);
            }
            Ok(Event::Incoming(Packet::SubAck(ack))) => {
                if ack.return_codes.iter().all(|code| matches!(code, SubscribeReasonCode::Success(_))) {
                    attempts = 0;
                    let topic = shared.status_topic.clone();
                    let _ = client.try_publish(topic, QoS::AtLeastOnce, true, status("online"));
                    shared.came_up();
                }
            }
            Ok(Event::Incoming(Packet::Publish(publish))) => shared.heard(&publish.payload, None),
            Ok(_) => {}
            Err(error) => {
                shared.went_down();
                if *shared.closing.borrow() {
                    return;
                }
                tracing::debug!(%error, "a simulated device lost its connection");
                back_off(attempts, &mut dice).await;
                attempts += 1;
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn is_a_reply_read_in_both_formats() {
        let reply =
            json!({ "v": 1, "re": "till-1.a.1", "status": 200, "data": { "total": 5 }, "replayed": true });
        for format in [Format::Json, Format::MessagePack] {
            let (id, heard) = read_reply(&write(format, &reply)).expect("a reply");
            assert_eq!(id, "till-1.a.1");
            assert!(heard.replayed && heard.wait_ms.is_none());
            assert_eq!(heard.answer, Answer::Document(json!({ "total": 5 })));
        }
    }

    #[test]
    fn which_problems_are_to_be_tried_again() {
        let wait = |status: u16, after: Option<u32>| {
            let problem =
                json!({ "v": 1, "re": "x", "status": status, "code": "AIS-2901", "retry_after_ms": after });
            read_reply(&write(Format::Json, &problem)).expect("a problem").1.wait_ms
        };
        assert_eq!((wait(503, Some(40)), wait(429, None)), (Some(40), Some(limits::SIMULATED_WAIT_MS)));
        assert_eq!((wait(409, None), wait(422, Some(40))), (None, None));
    }

    #[test]
    fn what_is_no_reply() {
        for payload in
            [&b""[..], b"{}", b"{\"re\":\"x\"}", b"{\"re\":\"x\",\"status\":200}", &[0xc1, 0, 1], b"\x00"]
        {
            assert!(read_reply(payload).is_none(), "{payload:?}");
        }
    }
}
