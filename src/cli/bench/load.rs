//! Fifty devices that ask at a pace, or as fast as they are answered: the load of both sides.
//!
//! A device keeps a fixed number of requests on their way: an answer sends the next one, until the round's time is up. Or
//! it asks at a fixed pace whatever the answers do, so that both sides carry the same load.
//! The same code and the same request bytes go to the daemon and to the echo; answers are counted and weighed but not
//! parsed, so that what differs is the service. Correlation data is four bytes of wanted answer size (the echo's
//! business) and eight of the request's number.

use std::collections::BTreeMap;
use std::net::SocketAddr;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use anyhow::{Context, Result, anyhow, bail};
use hdrhistogram::Histogram;
use rumqttc::NetworkOptions;
use rumqttc::v5::mqttbytes::QoS;
use rumqttc::v5::mqttbytes::v5::{Packet, PublishProperties};
use rumqttc::v5::{AsyncClient, Event, EventLoop, MqttOptions};
use tokio::sync::{oneshot, watch};
use tokio::task::JoinHandle;
use tokio::time::timeout;

use super::child::store;
use super::figures::histogram;
use crate::clock::{Clock, SystemClock, Ticks};
use crate::devices::topic::{Op, Topic, Topics};
use crate::limits;

/// Reply instance of the load.
const INSTANCE: &str = "bench";
/// How the answer to a request that was not refused begins, near enough.
const GOOD: &[u8] = b"\"status\":200";
/// How many bytes of an answer are searched for it.
const GOOD_WITHIN: usize = 160;
/// How long devices may take to connect, and a round to end after its time is up.
const PATIENCE: Duration = Duration::from_secs(30);

/// What a round asks.
pub(super) struct Ask {
    /// Which request.
    pub(super) op: Op,
    /// Its `data`, one after the other; each a JSON object.
    pub(super) bodies: Arc<[String]>,
    /// For each body the size of the answer the echo is to give; 0 for its own payload.
    pub(super) answer_bytes: Arc<[u32]>,
    /// Requests of one device on their way at once, at most.
    pub(super) at_once: usize,
    /// Time between two requests of one device; without it an answer sends the next.
    pub(super) every: Option<Duration>,
    /// Is an answer other than a success a failure of the measurement?
    pub(super) checked: bool,
    /// For how long new requests are sent.
    pub(super) time: Duration,
}

/// What a round gave.
pub(super) struct Round {
    /// Round trips in nanoseconds.
    pub(super) latencies: Histogram<u64>,
    /// Answers a second while requests were sent.
    pub(super) per_second: f64,
    /// Mean bytes of a request's payload.
    pub(super) request_bytes: u64,
    /// Mean bytes of an answer's payload.
    pub(super) answer_bytes: u64,
    /// For each body the size of its last answer.
    pub(super) answers: Vec<u32>,
}

/// Connected devices of one side.
pub(super) struct Devices {
    devices: Vec<Device>,
}

struct Device {
    shared: Arc<Shared>,
    task: JoinHandle<String>,
}

struct Shared {
    client: AsyncClient,
    name: String,
    topics: Topics,
    reply_topic: String,
    up: watch::Sender<bool>,
    state: Mutex<Option<Asking>>,
    numbers: Mutex<u64>,
}

struct Asking {
    ask: Arc<Ask>,
    deadline: Ticks,
    sent: BTreeMap<u64, (Ticks, usize)>,
    latencies: Histogram<u64>,
    in_time: u64,
    request_bytes: u64,
    answer_bytes: u64,
    answers: Vec<u32>,
    refused: Option<String>,
    done: Option<oneshot::Sender<()>>,
}

fn locked<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

impl Devices {
    /// Connects `count` devices and waits until all hear their answers.
    pub(super) async fn connect(broker: SocketAddr, count: usize) -> Result<Devices> {
        Devices::connect_from(broker, 1, count).await
    }

    /// The same with the first device's number.
    pub(super) async fn connect_from(broker: SocketAddr, first: usize, count: usize) -> Result<Devices> {
        let mut devices = Vec::with_capacity(count);
        for number in first..first + count {
            devices.push(Device::connect(broker, format!("till-{number:02}"))?);
        }
        for device in &devices {
            let mut up = device.shared.up.subscribe();
            let heard = timeout(PATIENCE, up.wait_for(|up| *up)).await;
            heard.context("failed to connect in time")?.context("failed to connect")?;
        }
        Ok(Devices { devices })
    }

    /// Asks until the time is up and everything is answered.
    pub(super) async fn round(&self, ask: Ask) -> Result<Round> {
        let ask = Arc::new(ask);
        let start = SystemClock.ticks();
        let deadline = start.plus(ask.time);
        let mut done = Vec::with_capacity(self.devices.len());
        for (index, device) in self.devices.iter().enumerate() {
            let (tell, told) = oneshot::channel();
            device.shared.begin(&ask, deadline, tell, index);
            done.push(told);
            if let Some(every) = ask.every {
                // Devices do not ask in the same moment.
                let offset = every.mul_f64(index as f64 / self.devices.len() as f64);
                tokio::spawn(pace(Arc::clone(&device.shared), start.plus(offset), every));
            }
        }
        for told in done {
            timeout(ask.time + PATIENCE, told)
                .await
                .context("failed to get every answer in time")?
                .context("failed to hear a device")?;
        }
        let mut round = Round {
            latencies: histogram(),
            per_second: 0.0,
            request_bytes: 0,
            answer_bytes: 0,
            answers: vec![0; ask.bodies.len()],
        };
        let mut in_time = 0;
        for device in &self.devices {
            let asked = locked(&device.shared.state).take().context("failed to read a device's figures")?;
            if let Some(refused) = asked.refused {
                bail!("failed to measure: a request was refused: {refused}");
            }
            round.latencies.add(&asked.latencies).map_err(|error| anyhow!("failed to add up: {error}"))?;
            in_time += asked.in_time;
            round.request_bytes += asked.request_bytes;
            round.answer_bytes += asked.answer_bytes;
            for (sum, bytes) in round.answers.iter_mut().zip(asked.answers) {
                *sum = (*sum).max(bytes);
            }
        }
        let count = round.latencies.len().max(1);
        round.request_bytes /= count;
        round.answer_bytes /= count;
        round.per_second = in_time as f64 / ask.time.as_secs_f64();
        Ok(round)
    }
}

impl Drop for Device {
    fn drop(&mut self) {
        self.task.abort();
    }
}

impl Device {
    fn connect(broker: SocketAddr, name: String) -> Result<Device> {
        let topics = Topics::new(&store());
        let mut options = MqttOptions::new(&name, broker.ip().to_string(), broker.port());
        let mut network = NetworkOptions::new();
        network.set_tcp_nodelay(true);
        options
            .set_credentials(&name, "")
            .set_keep_alive(Duration::from_secs(limits::SIMULATED_KEEP_ALIVE_S))
            .set_clean_start(true)
            .set_max_packet_size(u32::try_from(limits::MQTT_PACKET_BYTES_MAX).ok())
            .set_network_options(network);
        let (client, events) = AsyncClient::new(options, limits::SIMULATED_QUEUE_MAX);
        let reply_topic = topics
            .build(Topic::Reply { device: &name, instance: INSTANCE })
            .map_err(|_| anyhow!("failed to name a topic of {name}"))?;
        let shared = Arc::new(Shared {
            client,
            name,
            topics,
            reply_topic,
            up: watch::Sender::new(false),
            state: Mutex::new(None),
            numbers: Mutex::new(0),
        });
        let task = tokio::spawn(serve(Arc::clone(&shared), events));
        Ok(Device { shared, task })
    }
}

impl Shared {
    fn begin(&self, ask: &Arc<Ask>, deadline: Ticks, done: oneshot::Sender<()>, index: usize) {
        let mut asking = Asking {
            ask: Arc::clone(ask),
            deadline,
            sent: BTreeMap::new(),
            latencies: histogram(),
            in_time: 0,
            request_bytes: 0,
            answer_bytes: 0,
            answers: vec![0; ask.bodies.len()],
            refused: None,
            done: Some(done),
        };
        let mut state = locked(&self.state);
        let first = if ask.every.is_none() { ask.at_once } else { 0 };
        for nth in 0..first {
            self.send(&mut asking, index * 7 + nth);
        }
        *state = Some(asking);
    }

    fn send(&self, asking: &mut Asking, salt: usize) {
        let ask = Arc::clone(&asking.ask);
        let number = {
            let mut numbers = locked(&self.numbers);
            *numbers += 1;
            *numbers
        };
        let body = (usize::try_from(number).unwrap_or_default() + salt) % ask.bodies.len();
        let mut payload = format!("{{\"v\":1,\"id\":\"{}.bench.{number}\",\"data\":{{", self.name);
        if ask.op == Op::Commit {
            payload
                .push_str(&format!("\"transaction\":{{\"business_day\":\"2026-03-01\",\"seq\":{number}}},"));
        }
        payload.push_str(ask.bodies[body].trim_start_matches('{'));
        payload.push('}');
        let mut correlation = ask.answer_bytes.get(body).copied().unwrap_or_default().to_be_bytes().to_vec();
        correlation.extend(number.to_be_bytes());
        let properties = PublishProperties {
            response_topic: Some(self.reply_topic.clone()),
            correlation_data: Some(correlation.into()),
            content_type: Some("application/json".to_owned()),
            ..PublishProperties::default()
        };
        let level = Topic::Request { device: &self.name, op: ask.op.as_str() };
        let topic = self.topics.build(level).expect("the device's name made its other topics");
        asking.request_bytes += payload.len() as u64;
        asking.sent.insert(number, (SystemClock.ticks(), body));
        let sent =
            self.client.try_publish_with_properties(topic, QoS::AtLeastOnce, false, payload, properties);
        if sent.is_err() {
            asking.refused.get_or_insert_with(|| "the device's own queue is full".to_owned());
        }
    }

    fn heard(&self, payload: &[u8], correlation: Option<&[u8]>) {
        let now = SystemClock.ticks();
        let mut state = locked(&self.state);
        let Some(asking) = state.as_mut() else { return };
        let number =
            correlation.and_then(|data| data.last_chunk::<8>()).map(|bytes| u64::from_be_bytes(*bytes));
        let Some((at, body)) = number.and_then(|number| asking.sent.remove(&number)) else { return };
        asking.latencies.saturating_record(u64::try_from(now.since(at).as_nanos()).unwrap_or(u64::MAX));
        asking.answer_bytes += payload.len() as u64;
        asking.answers[body] = u32::try_from(payload.len()).unwrap_or(u32::MAX);
        let head = &payload[..payload.len().min(GOOD_WITHIN)];
        if asking.ask.checked && !head.windows(GOOD.len()).any(|window| window == GOOD) {
            asking.refused.get_or_insert_with(|| String::from_utf8_lossy(payload).into_owned());
        }
        let in_time = now <= asking.deadline;
        asking.in_time += u64::from(in_time);
        if in_time && asking.ask.every.is_none() {
            self.send(asking, 0);
        } else if !in_time && asking.sent.is_empty() {
            // The round may have given up; then nobody listens.
            let _ = asking.done.take().map(|done| done.send(()));
        }
    }
}

/// Asks at a pace until the round's time is up.
async fn pace(shared: Arc<Shared>, first: Ticks, every: Duration) {
    let mut interval = tokio::time::interval_at(first.instant().into(), every);
    loop {
        interval.tick().await;
        let mut state = locked(&shared.state);
        let Some(asking) = state.as_mut() else { return };
        if SystemClock.ticks() > asking.deadline {
            if asking.sent.is_empty() {
                // The last answer was in time, so nobody has said that the round is over.
                let _ = asking.done.take().map(|done| done.send(()));
            }
            return;
        }
        if asking.sent.len() < asking.ask.at_once {
            shared.send(asking, 0);
        }
    }
}

/// Serves a device's socket; ends with why it cannot any more.
async fn serve(shared: Arc<Shared>, mut events: EventLoop) -> String {
    loop {
        match events.poll().await {
            Ok(Event::Incoming(Packet::ConnAck(_))) => {
                if shared.client.try_subscribe(shared.reply_topic.clone(), QoS::AtLeastOnce).is_err() {
                    return "the queue is full".to_owned();
                }
            }
            Ok(Event::Incoming(Packet::SubAck(_))) => {
                shared.up.send_replace(true);
            }
            Ok(Event::Incoming(Packet::Publish(publish))) => {
                let properties = publish.properties.as_ref();
                shared.heard(&publish.payload, properties.and_then(|of| of.correlation_data.as_deref()));
            }
            Ok(_) => {}
            Err(error) => {
                if let Some(asking) = locked(&shared.state).as_mut() {
                    asking.refused.get_or_insert_with(|| format!("the connection is lost: {error}"));
                    let _ = asking.done.take().map(|done| done.send(()));
                }
                return error.to_string();
            }
        }
    }
}
