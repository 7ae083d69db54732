//! A till as the contract knows one: a real MQTT client, requests with their replies, and repetition of the same bytes.

use std::future::Future;
use std::net::SocketAddr;
use std::time::Duration;

use aisled::devices::wire::Format;
use rumqttc::v5::mqttbytes as five;
use rumqttc::{AsyncClient, MqttOptions, NetworkOptions, QoS, v5};
use serde_json::{Value, json};
use tokio::sync::{mpsc, watch};
use tokio::task::JoinHandle;

/// Only a failure reaches it.
pub(crate) const DEADLINE: Duration = Duration::from_secs(90);
/// After so long the same bytes go out again, as the contract asks of a device.
const AGAIN_AFTER: Duration = Duration::from_secs(10);

/// Waits for something that comes soon, or fails by its name.
pub(crate) async fn soon<T>(what: &str, wait: impl Future<Output = T>) -> T {
    match tokio::time::timeout(DEADLINE, wait).await {
        Ok(done) => done,
        Err(_) => panic!("waited in vain for {what}"),
    }
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Dialect {
    Five,
    Three,
}

/// Subscriptions of a till.
const FILTERS: u32 = 3;

/// A message on one of the till's reply or push topics.
#[derive(Clone, Debug)]
pub(crate) struct Heard {
    pub(crate) topic: String,
    pub(crate) payload: Vec<u8>,
    pub(crate) correlation: Option<Vec<u8>>,
    pub(crate) content_type: Option<String>,
}

/// A reply or problem.
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct Reply(pub(crate) Value);

impl Reply {
    pub(crate) fn read(payload: &[u8]) -> Reply {
        Reply(match payload.first() {
            Some(b'{') => serde_json::from_slice(payload).expect("JSON"),
            _ => rmp_serde::from_slice(payload).expect("MessagePack"),
        })
    }

    pub(crate) fn status(&self) -> u64 {
        self.0["status"].as_u64().unwrap_or_else(|| panic!("a status is missing in {}", self.0))
    }

    /// The document of a request that went well.
    pub(crate) fn data(&self) -> &Value {
        assert_eq!(self.status(), 200, "{}", self.0);
        &self.0["data"]
    }

    /// Status and code of a refusal.
    pub(crate) fn refusal(&self) -> (u64, &str) {
        assert!(self.0["data"].is_null(), "{}", self.0);
        (self.status(), self.0["code"].as_str().unwrap_or_else(|| panic!("a code is missing in {}", self.0)))
    }

    pub(crate) fn replayed(&self) -> bool {
        self.0["replayed"] == json!(true)
    }
}

pub(crate) enum Client {
    Five(v5::AsyncClient),
    Three(AsyncClient),
}

/// A connected till. Its connection ends when it is dropped.
pub(crate) struct Till {
    pub(crate) device: String,
    pub(crate) root: String,
    pub(crate) format: Format,
    pub(crate) client: Client,
    heard: mpsc::UnboundedReceiver<Heard>,
    /// The daemon's retained presence as last heard.
    pub(crate) presence: watch::Receiver<Value>,
    run: String,
    asked: u64,
    task: JoinHandle<()>,
}

impl Drop for Till {
    fn drop(&mut self) {
        self.task.abort();
    }
}

pub(crate) fn write(format: Format, document: &Value) -> Vec<u8> {
    match format {
        Format::Json => document.to_string().into_bytes(),
        Format::MessagePack => {
            rmp_serde::to_vec_named(document).expect("a JSON value has a MessagePack form")
        }
    }
}

struct Ears {
    to: mpsc::UnboundedSender<Heard>,
    presence: watch::Sender<Value>,
}

impl Ears {
    fn hear(&self, heard: Heard) {
        if heard.topic.ends_with("svc/engine/status") {
            self.presence.send_replace(serde_json::from_slice(&heard.payload).unwrap_or(Value::Null));
        } else {
            // A till that is gone hears nothing.
            let _ = self.to.send(heard);
        }
    }
}

impl Till {
    /// Connects to shop `s01` and hears replies, pushes and the daemon's presence. `run` sets its request ids apart from those
    /// of other connections of the device.
    pub(crate) async fn connect(
        addr: SocketAddr,
        device: &str,
        dialect: Dialect,
        format: Format,
        run: &str,
    ) -> Till {
        let root = "aisle/1/s01".to_owned();
        let own = format!("{root}/dev/{device}");
        let filters = [format!("{own}/rep/+"), format!("{own}/evt/+"), format!("{root}/svc/engine/status")];
        let (to, heard) = mpsc::unbounded_channel();
        let (presence, present) = watch::channel(Value::Null);
        let ears = Ears { to, presence };
        let (ready, is_ready) = tokio::sync::oneshot::channel();
        let (client, task) = match dialect {
            Dialect::Five => {
                let mut options = v5::MqttOptions::new(device, addr.ip().to_string(), addr.port());
                options.set_credentials(device, "").set_max_packet_size(Some(1024 * 1024));
                let mut network = NetworkOptions::new();
                network.set_tcp_nodelay(true);
                options.set_network_options(network);
                let (client, events) = v5::AsyncClient::new(options, 256);
                for filter in filters {
                    client.subscribe(filter, five::QoS::AtLeastOnce).await.expect("the queue takes it");
                }
                (Client::Five(client), tokio::spawn(serve_five(events, ears, ready)))
            }
            Dialect::Three => {
                let mut options = MqttOptions::new(device, addr.ip().to_string(), addr.port());
                options.set_credentials(device, "").set_max_packet_size(1024 * 1024, 1024 * 1024);
                let (client, mut events) = AsyncClient::new(options, 256);
                let mut network = NetworkOptions::new();
                network.set_tcp_nodelay(true);
                events.set_network_options(network);
                for filter in filters {
                    client.subscribe(filter, QoS::AtLeastOnce).await.expect("the queue takes it");
                }
                (Client::Three(client), tokio::spawn(serve_three(events, ears, ready)))
            }
        };
        soon("the subscriptions", is_ready).await.expect("the broker takes the till");
        let (device, run) = (device.to_owned(), run.to_owned());
        Till { device, root, format, client, heard, presence: present, run, asked: 0, task }
    }

    /// A request id that was not used before.
    pub(crate) fn new_id(&mut self) -> String {
        self.asked += 1;
        format!("{}.{}.{:04}", self.device, self.run, self.asked)
    }

    pub(crate) fn envelope(&self, id: &str, data: &Value) -> Vec<u8> {
        write(self.format, &json!({ "v": 1, "id": id, "data": data }))
    }

    /// Publishes bytes under one of the till's request topics, with what an MQTT 5 till says of them.
    pub(crate) fn send(&self, op: &str, payload: Vec<u8>) {
        let (response, content_type) = self.usual();
        self.send_with(op, payload, response, content_type);
    }

    /// Response topic and content type.
    fn usual(&self) -> (Option<String>, Option<String>) {
        let response = format!("{}/dev/{}/rep/test", self.root, self.device);
        (Some(response), Some(self.format.content_type().to_owned()))
    }

    /// The same with any response topic and content type; an MQTT 3.1.1 till has neither.
    pub(crate) fn send_with(
        &self,
        op: &str,
        payload: Vec<u8>,
        response_topic: Option<String>,
        content_type: Option<String>,
    ) {
        assert!(self.is_taken(op, payload, response_topic, content_type), "the client takes no more");
    }

    /// False where the client's queue is full, or its connection lost.
    fn is_taken(
        &self,
        op: &str,
        payload: Vec<u8>,
        response_topic: Option<String>,
        content_type: Option<String>,
    ) -> bool {
        let topic = format!("{}/dev/{}/req/{op}", self.root, self.device);
        match &self.client {
            Client::Five(client) => {
                let correlation_data = response_topic.is_some().then(|| "mark".into());
                let properties = five::v5::PublishProperties {
                    response_topic,
                    correlation_data,
                    content_type,
                    ..five::v5::PublishProperties::default()
                };
                let qos = five::QoS::AtLeastOnce;
                client.try_publish_with_properties(topic, qos, false, payload, properties).is_ok()
            }
            Client::Three(client) => client.try_publish(topic, QoS::AtLeastOnce, false, payload).is_ok(),
        }
    }

    /// The next reply or push; `None` once the connection is lost.
    pub(crate) async fn hear(&mut self) -> Option<Heard> {
        soon("a reply", self.heard.recv()).await
    }

    /// Sends a request until it is answered; `None` if the connection is lost before.
    pub(crate) async fn try_send(&mut self, op: &str, id: &str, payload: &[u8]) -> Option<Reply> {
        soon("an answer", async {
            loop {
                // The connection may be lost between an answer and the next request.
                let (response, content_type) = self.usual();
                if !self.is_taken(op, payload.to_vec(), response, content_type) {
                    return None;
                }
                let answered = tokio::time::timeout(AGAIN_AFTER, async {
                    while let Some(heard) = self.heard.recv().await {
                        let reply = Reply::read(&heard.payload);
                        if reply.0["re"] == json!(id) {
                            return Some(reply);
                        }
                    }
                    None
                });
                if let Ok(answer) = answered.await {
                    return answer;
                }
            }
        })
        .await
    }

    /// The same request again, or for the first time, under an id of the caller's choice.
    pub(crate) async fn ask_as(&mut self, op: &str, id: &str, data: &Value) -> Reply {
        let payload = self.envelope(id, data);
        self.try_send(op, id, &payload).await.expect("the connection holds")
    }

    /// A new request and its answer.
    pub(crate) async fn ask(&mut self, op: &str, data: Value) -> Reply {
        let id = self.new_id();
        self.ask_as(op, &id, &data).await
    }
}

async fn serve_five(mut events: v5::EventLoop, ears: Ears, ready: tokio::sync::oneshot::Sender<()>) {
    use five::v5::Packet;
    let (mut ready, mut acks) = (Some(ready), 0);
    while let Ok(event) = events.poll().await {
        match event {
            v5::Event::Incoming(Packet::SubAck(_)) => {
                acks += 1;
                if acks == FILTERS {
                    let _ = ready.take().map(|ready| ready.send(()));
                }
            }
            v5::Event::Incoming(Packet::Publish(publish)) => {
                let properties = publish.properties.unwrap_or_default();
                ears.hear(Heard {
                    topic: String::from_utf8(publish.topic.to_vec()).expect("a topic is text"),
                    payload: publish.payload.to_vec(),
                    correlation: properties.correlation_data.map(|data| data.to_vec()),
                    content_type: properties.content_type,
                });
            }
            _ => {}
        }
    }
}

async fn serve_three(mut events: rumqttc::EventLoop, ears: Ears, ready: tokio::sync::oneshot::Sender<()>) {
    use rumqttc::{Event, Packet};
    let (mut ready, mut acks) = (Some(ready), 0);
    while let Ok(event) = events.poll().await {
        match event {
            Event::Incoming(Packet::SubAck(_)) => {
                acks += 1;
                if acks == FILTERS {
                    let _ = ready.take().map(|ready| ready.send(()));
                }
            }
            Event::Incoming(Packet::Publish(publish)) => ears.hear(Heard {
                topic: publish.topic,
                payload: publish.payload.to_vec(),
                correlation: None,
                content_type: None,
            }),
            _ => {}
        }
    }
}
