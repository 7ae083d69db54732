//! Does the front door hold: real clients of both protocol versions against the embedded broker, each on a free
//! port. Every wait is for an event, with a deadline that only a failure reaches.

#[path = "broker/hostile.rs"]
mod hostile;
#[path = "broker/matrix.rs"]
mod matrix;
#[path = "broker/raw.rs"]
mod raw;
#[path = "broker/tls.rs"]
mod tls;

use std::future::Future;
use std::sync::Arc;
use std::time::Duration;

use aisled::config::{DeviceLogin, SALT_BYTES};
use aisled::devices::broker::{
    BrokerConfig, BrokerError, DeviceTable, EmbeddedBroker, Running, engine_secret,
};
use aisled::devices::echo::echo_service;
use aisled::devices::link::{Happening, Inbox, Link, LinkConfig, LinkError, Outgoing, Received};
use aisled::devices::topic::Topics;
use aisled::domain::code::Code;
use aisled::domain::ids::{DeviceId, Instance, StoreId};
use aisled::limits;
use rumqttc::v5::mqttbytes as five;
use rumqttc::{MqttOptions, NetworkOptions, QoS, v5};
use tokio::task::JoinHandle;

const DEADLINE: Duration = Duration::from_secs(20);

async fn soon<T>(what: &str, wait: impl Future<Output = T>) -> T {
    match tokio::time::timeout(DEADLINE, wait).await {
        Ok(done) => done,
        Err(_) => panic!("waited in vain for {what}"),
    }
}

fn topics() -> Topics {
    Topics::new(&StoreId::new("s01").expect("an id"))
}

struct Shop {
    broker: Running,
    secret: String,
}

impl Shop {
    /// A broker that knows two tills, both with the password `secret`.
    async fn open() -> Shop {
        let secret = engine_secret().expect("random bytes");
        let table = DeviceTable::default();
        for device in ["till-1", "till-2"] {
            let device = DeviceId::new(device).expect("an id");
            table.insert(DeviceLogin::with_password(device, b"secret", [3; SALT_BYTES]));
        }
        let config = BrokerConfig {
            registry: Arc::new(table),
            ..BrokerConfig::open_on_loopback(topics(), secret.clone())
        };
        Shop { broker: EmbeddedBroker::start(config).await.expect("a free port"), secret }
    }

    fn port(&self) -> u16 {
        self.broker.local_addr().port()
    }

    fn link_config(&self) -> LinkConfig {
        LinkConfig::embedded(self.broker.local_addr(), &topics(), &self.secret, b"offline")
    }

    /// The daemon's link, up.
    async fn link(&self) -> (Link, Inbox) {
        let (link, mut inbox) = Link::start(self.link_config());
        assert_eq!(soon("the link", inbox.next()).await, Some(Happening::Up));
        (link, inbox)
    }

    /// An echo service that hears requests.
    async fn echo(&self) -> JoinHandle<Result<(), LinkError>> {
        let (ready, is_ready) = tokio::sync::oneshot::channel();
        let config = self.link_config();
        let service = tokio::spawn(async move { echo_service(config, &topics(), ready).await });
        soon("the echo service", is_ready).await.expect("it hears");
        service
    }

    fn till5(&self, device: &str) -> v5::MqttOptions {
        let mut options = v5::MqttOptions::new(device, "127.0.0.1", self.port());
        options.set_credentials(device, "secret");
        options.set_max_packet_size(Some(1024 * 1024));
        let mut network = NetworkOptions::new();
        network.set_tcp_nodelay(true);
        options.set_network_options(network);
        options
    }

    fn till3(&self, device: &str) -> MqttOptions {
        let mut options = MqttOptions::new(device, "127.0.0.1", self.port());
        options.set_credentials(device, "secret");
        options.set_max_packet_size(1024 * 1024, 1024 * 1024);
        options
    }
}

/// A till that speaks MQTT 5.
struct Till5 {
    client: v5::AsyncClient,
    events: v5::EventLoop,
}

impl Till5 {
    fn new(options: v5::MqttOptions) -> Till5 {
        let (client, events) = v5::AsyncClient::new(options, 16);
        Till5 { client, events }
    }

    /// The next packet that `pick` takes.
    async fn packet<T>(&mut self, what: &str, mut pick: impl FnMut(five::v5::Packet) -> Option<T>) -> T {
        soon(what, async {
            loop {
                match self.events.poll().await {
                    Ok(v5::Event::Incoming(packet)) => {
                        if let Some(found) = pick(packet) {
                            return found;
                        }
                    }
                    Ok(v5::Event::Outgoing(_)) => {}
                    Err(error) => panic!("lost the connection while waiting for {what}: {error}"),
                }
            }
        })
        .await
    }

    /// The error that ends the connection.
    async fn loss(&mut self) -> v5::ConnectionError {
        soon("the loss of the connection", async {
            loop {
                if let Err(error) = self.events.poll().await {
                    return error;
                }
            }
        })
        .await
    }

    async fn connect(mut self) -> Till5 {
        self.packet("CONNACK", |packet| matches!(packet, five::v5::Packet::ConnAck(_)).then_some(())).await;
        self
    }

    async fn subscribe(&mut self, filter: &str) -> five::v5::SubscribeReasonCode {
        self.client.subscribe(filter, five::QoS::AtLeastOnce).await.expect("a queue");
        self.packet("SUBACK", |packet| match packet {
            five::v5::Packet::SubAck(ack) => ack.return_codes.first().copied(),
            _ => None,
        })
        .await
    }

    async fn publish(&mut self, topic: &str, payload: Vec<u8>) -> five::v5::PubAckReason {
        self.client.publish(topic, five::QoS::AtLeastOnce, false, payload).await.expect("a queue");
        self.packet("PUBACK", |packet| match packet {
            five::v5::Packet::PubAck(ack) => Some(ack.reason),
            _ => None,
        })
        .await
    }

    async fn message(&mut self) -> five::v5::Publish {
        self.packet("a message", |packet| match packet {
            five::v5::Packet::Publish(publish) => Some(publish),
            _ => None,
        })
        .await
    }
}

/// A till that speaks MQTT 3.1.1.
struct Till3 {
    client: rumqttc::AsyncClient,
    events: rumqttc::EventLoop,
}

impl Till3 {
    fn new(options: MqttOptions) -> Till3 {
        let (client, mut events) = rumqttc::AsyncClient::new(options, 16);
        let mut network = NetworkOptions::new();
        network.set_tcp_nodelay(true);
        events.set_network_options(network);
        Till3 { client, events }
    }

    async fn packet<T>(&mut self, what: &str, mut pick: impl FnMut(rumqttc::Packet) -> Option<T>) -> T {
        soon(what, async {
            loop {
                match self.events.poll().await {
                    Ok(rumqttc::Event::Incoming(packet)) => {
                        if let Some(found) = pick(packet) {
                            return found;
                        }
                    }
                    Ok(rumqttc::Event::Outgoing(_)) => {}
                    Err(error) => panic!("lost the connection while waiting for {what}: {error}"),
                }
            }
        })
        .await
    }

    async fn subscribe(&mut self, filter: &str) -> rumqttc::SubscribeReasonCode {
        self.client.subscribe(filter, QoS::AtLeastOnce).await.expect("a queue");
        self.packet("SUBACK", |packet| match packet {
            rumqttc::Packet::SubAck(ack) => ack.return_codes.first().copied(),
            _ => None,
        })
        .await
    }

    async fn message(&mut self) -> rumqttc::Publish {
        self.packet("a message", |packet| match packet {
            rumqttc::Packet::Publish(publish) => Some(publish),
            _ => None,
        })
        .await
    }
}

/// The next message in the daemon's inbox.
async fn heard(inbox: &mut Inbox) -> Received {
    loop {
        match soon("a message at the daemon", inbox.next()).await {
            Some(Happening::Message(message)) => return message,
            Some(_) => {}
            None => panic!("the inbox closed"),
        }
    }
}

#[tokio::test]
async fn does_an_mqtt5_request_come_back_with_its_properties() {
    let shop = Shop::open().await;
    let _echo = shop.echo().await;
    let mut till = Till5::new(shop.till5("till-1")).connect().await;
    till.subscribe("aisle/1/s01/dev/till-1/rep/+").await;
    let properties = five::v5::PublishProperties {
        response_topic: Some("aisle/1/s01/dev/till-1/rep/app-7".to_owned()),
        correlation_data: Some(b"\x00\xffid".to_vec().into()),
        content_type: Some("application/msgpack".to_owned()),
        ..Default::default()
    };
    till.client
        .publish_with_properties(
            "aisle/1/s01/dev/till-1/req/quote",
            five::QoS::AtLeastOnce,
            false,
            b"basket".to_vec(),
            properties,
        )
        .await
        .expect("a queue");
    let reply = till.message().await;
    assert_eq!(reply.topic, "aisle/1/s01/dev/till-1/rep/app-7");
    assert_eq!(reply.payload, b"basket".as_slice());
    let properties = reply.properties.expect("MQTT 5 properties");
    assert_eq!(properties.correlation_data.as_deref(), Some(b"\x00\xffid".as_slice()));
    assert_eq!(properties.content_type.as_deref(), Some("application/msgpack"));
}

#[tokio::test]
async fn does_an_mqtt3_request_come_back() {
    let shop = Shop::open().await;
    let _echo = shop.echo().await;
    let mut till = Till3::new(shop.till3("till-1"));
    till.subscribe("aisle/1/s01/dev/till-1/rep/v3").await;
    till.client
        .publish("aisle/1/s01/dev/till-1/req/scan", QoS::AtLeastOnce, false, b"card".to_vec())
        .await
        .expect("a queue");
    let reply = till.message().await;
    assert_eq!(
        (reply.topic.as_str(), reply.payload.as_ref()),
        ("aisle/1/s01/dev/till-1/rep/v3", b"card".as_slice())
    );
}

#[tokio::test]
async fn does_a_request_come_back_through_a_link_without_a_socket() {
    let shop = Shop::open().await;
    let (link, mut inbox) = shop.broker.link().await.expect("the router takes it");
    assert_eq!(soon("the link", inbox.next()).await, Some(Happening::Up));
    let mut till = Till5::new(shop.till5("till-1")).connect().await;
    till.subscribe("aisle/1/s01/dev/till-1/rep/+").await;
    let asked = five::v5::PublishProperties {
        response_topic: Some("aisle/1/s01/dev/till-1/rep/app-7".to_owned()),
        correlation_data: Some(b"\x00\xffid".to_vec().into()),
        content_type: Some("application/msgpack".to_owned()),
        ..Default::default()
    };
    let topic = "aisle/1/s01/dev/till-1/req/quote";
    till.client
        .publish_with_properties(topic, five::QoS::AtLeastOnce, false, b"basket".to_vec(), asked)
        .await
        .expect("a queue");
    let message = soon("the request", async {
        tokio::select! {
            message = heard(&mut inbox) => message,
            _ = till.loss() => panic!("the till lost its connection"),
        }
    })
    .await;
    assert_eq!(
        message,
        Received {
            topic: topic.to_owned(),
            payload: b"basket".to_vec(),
            content_type: Some("application/msgpack".to_owned()),
            response_topic: Some("aisle/1/s01/dev/till-1/rep/app-7".to_owned()),
            correlation_data: Some(b"\x00\xffid".to_vec()),
            retained: false,
            qos: 1,
        }
    );
    let reply = Outgoing {
        topic: "aisle/1/s01/dev/till-1/rep/app-7".to_owned(),
        payload: b"priced".to_vec(),
        content_type: message.content_type,
        correlation_data: message.correlation_data,
        ..Outgoing::default()
    };
    link.publish(reply).expect("it is up");
    let reply = tokio::select! {
        reply = till.message() => reply,
        _ = inbox.next() => panic!("nobody asked anything"),
    };
    assert_eq!((reply.payload.as_ref(), reply.retain), (b"priced".as_slice(), false));
    let properties = reply.properties.expect("MQTT 5 properties");
    assert_eq!(properties.correlation_data.as_deref(), Some(b"\x00\xffid".as_slice()));
    assert_eq!(properties.content_type.as_deref(), Some("application/msgpack"));
}

#[tokio::test]
async fn is_a_request_lost_when_the_daemon_does_not_drain_its_lane() {
    let shop = Shop::open().await;
    let (_link, mut inbox) = shop.broker.link().await.expect("the router takes it");
    let Till5 { client, mut events } = Till5::new(shop.till5("till-1")).connect().await;
    // Beyond the lane the connection waits for room, and then the session's queue takes what came meanwhile.
    let count = usize::from(limits::LINK_UNACKED_MAX) + 40;
    let taken = tokio::spawn(async move {
        let mut taken = 0;
        while taken < count {
            let event = events.poll().await.expect("the connection holds");
            taken += usize::from(matches!(event, v5::Event::Incoming(five::v5::Packet::PubAck(_))));
        }
        events
    });
    for number in 0..count {
        let payload = number.to_string().into_bytes();
        let topic = "aisle/1/s01/dev/till-1/req/scan";
        client.publish(topic, five::QoS::AtLeastOnce, false, payload).await.expect("a queue");
    }
    let _connected = soon("the broker to take all", taken).await.expect("no panic");
    assert_eq!(soon("the link", inbox.next()).await, Some(Happening::Up));
    for number in 0..count {
        assert_eq!(heard(&mut inbox).await.payload, number.to_string().into_bytes());
    }
}

#[tokio::test]
async fn is_what_was_published_before_the_goodbye_still_sent() {
    let shop = Shop::open().await;
    let (link, inbox) = shop.broker.link().await.expect("the router takes it");
    let mut till = Till5::new(shop.till5("till-1")).connect().await;
    till.subscribe("aisle/1/s01/svc/engine/status").await;
    let farewell = Outgoing {
        topic: "aisle/1/s01/svc/engine/status".to_owned(),
        payload: b"offline".to_vec(),
        retain: true,
        ..Outgoing::default()
    };
    link.publish(farewell.clone()).expect("it is up");
    inbox.close().await;
    assert_eq!(till.message().await.payload, b"offline".as_slice());
    assert!(!link.is_up());
    assert_eq!(link.publish(farewell), Err(LinkError::Down));
}

#[tokio::test]
async fn does_a_second_link_take_the_place_of_the_first() {
    let shop = Shop::open().await;
    let (first, mut old) = shop.broker.link().await.expect("the router takes it");
    assert_eq!(soon("the link", old.next()).await, Some(Happening::Up));
    let (_second, _inbox) = shop.broker.link().await.expect("the router takes it");
    assert!(matches!(soon("the loss", old.next()).await, Some(Happening::Down(_))));
    assert_eq!(soon("the end", old.next()).await, None, "it does not fight for its place");
    assert!(!first.is_up());
}

#[tokio::test]
async fn can_a_till_speak_as_another_or_as_the_daemon() {
    let shop = Shop::open().await;
    let (_link, mut inbox) = shop.link().await;
    let mut till = Till5::new(shop.till5("till-1")).connect().await;
    for foreign in [
        "aisle/1/s01/dev/till-2/req/commit",
        "aisle/1/s01/dev/till-2/status",
        "aisle/1/s01/dev/till-1/rep/a",
        "aisle/1/s01/svc/engine/status",
        "other",
    ] {
        let answer = till.publish(foreign, b"forged".to_vec()).await;
        assert_eq!(answer, five::v5::PubAckReason::NotAuthorized, "{foreign}");
    }
    assert_eq!(
        till.publish("aisle/1/s01/dev/till-1/req/commit", b"own".to_vec()).await,
        five::v5::PubAckReason::Success
    );
    let first = heard(&mut inbox).await;
    assert_eq!(
        (first.topic.as_str(), first.payload.as_slice()),
        ("aisle/1/s01/dev/till-1/req/commit", b"own".as_slice())
    );
}

#[tokio::test]
async fn can_a_till_listen_to_another() {
    let shop = Shop::open().await;
    let mut till = Till5::new(shop.till5("till-1")).connect().await;
    for foreign in [
        "#",
        "+/#",
        "aisle/#",
        "aisle/1/s01/dev/+/rep/#",
        "aisle/1/s01/dev/till-2/rep/+",
        "aisle/1/s01/dev/till-1/req/#",
        "$share/x/#",
        "$share/x/aisle/1/s01/dev/till-2/rep/+",
        "$SYS/#",
    ] {
        let answer = till.subscribe(foreign).await;
        assert_eq!(answer, five::v5::SubscribeReasonCode::NotAuthorized, "{foreign}");
    }
    for own in
        ["aisle/1/s01/dev/till-1/rep/#", "aisle/1/s01/dev/till-1/evt/+", "aisle/1/s01/svc/engine/status"]
    {
        let answer = till.subscribe(own).await;
        assert_eq!(answer, five::v5::SubscribeReasonCode::Success(five::QoS::AtLeastOnce), "{own}");
    }
    let mut old = Till3::new(shop.till3("till-2"));
    assert_eq!(old.subscribe("#").await, rumqttc::SubscribeReasonCode::Failure);
    assert_eq!(old.subscribe("aisle/1/s01/dev/till-1/rep/#").await, rumqttc::SubscribeReasonCode::Failure);
}

type Change = fn(&mut v5::MqttOptions);

#[tokio::test]
async fn who_is_not_let_in() {
    let shop = Shop::open().await;
    let wrong = |change: Change| {
        let mut options = shop.till5("till-1");
        change(&mut options);
        Till5::new(options)
    };
    let cases: [(&str, Change); 6] = [
        ("a wrong password", |till| {
            till.set_credentials("till-1", "Secret");
        }),
        ("an unknown device", |till| {
            till.set_credentials("till-9", "secret");
        }),
        ("a guess at the daemon", |till| {
            till.set_credentials("_engine", "secret");
        }),
        ("the session of another till", |till| {
            till.set_client_id("till-2".to_owned());
        }),
        ("the session of the daemon", |till| {
            till.set_client_id("_engine".to_owned());
        }),
        ("a will that speaks for another", |till| {
            let will = five::v5::LastWill::new(
                "aisle/1/s01/dev/till-2/status",
                "x",
                five::QoS::AtLeastOnce,
                true,
                None,
            );
            till.set_last_will(will);
        }),
    ];
    for (what, change) in cases {
        let mut till = wrong(change);
        let error = till.loss().await;
        assert!(matches!(error, v5::ConnectionError::ConnectionRefused(_)), "{what}: {error}");
    }
    Till5::new(shop.till5("till-1")).connect().await;
}

#[tokio::test]
async fn does_the_status_stay_and_the_will_follow() {
    let shop = Shop::open().await;
    let (link, inbox) = shop.link().await;
    let status = topics().engine_status();
    link.publish(Outgoing {
        topic: status.clone(),
        payload: b"ready".to_vec(),
        retain: true,
        ..Outgoing::default()
    })
    .expect("up");
    let mut till = Till5::new(shop.till5("till-1")).connect().await;
    till.subscribe(&status).await;
    let seen = till.message().await;
    assert_eq!(seen.payload, b"ready".as_slice());
    drop(inbox);
    let seen = till.message().await;
    assert_eq!(seen.payload, b"offline".as_slice(), "the daemon died without goodbye");

    let (link, inbox) = shop.link().await;
    link.publish(Outgoing {
        topic: status.clone(),
        payload: b"bye".to_vec(),
        retain: true,
        ..Outgoing::default()
    })
    .expect("up");
    inbox.close().await;
    assert_eq!(till.message().await.payload, b"bye".as_slice());
    let mut late = Till5::new(shop.till5("till-2")).connect().await;
    late.subscribe(&status).await;
    let seen = late.message().await;
    assert_eq!((seen.payload.as_ref(), seen.retain), (b"bye".as_slice(), true), "no will after a goodbye");
}

#[tokio::test]
async fn is_the_presence_of_a_till_heard() {
    let shop = Shop::open().await;
    let (_link, mut inbox) = shop.link().await;
    let mut options = shop.till5("till-1");
    options.set_last_will(five::v5::LastWill::new(
        "aisle/1/s01/dev/till-1/status",
        "gone",
        five::QoS::AtLeastOnce,
        true,
        None,
    ));
    let mut till = Till5::new(options).connect().await;
    till.publish("aisle/1/s01/dev/till-1/status", b"here".to_vec()).await;
    assert_eq!(heard(&mut inbox).await.payload, b"here");
    drop(till);
    assert_eq!(heard(&mut inbox).await.payload, b"gone");
}

#[tokio::test]
async fn does_a_payload_beyond_the_contract_reach_the_daemon() {
    let shop = Shop::open().await;
    let (_link, mut inbox) = shop.link().await;
    let mut till = Till5::new(shop.till5("till-1")).connect().await;
    for bytes in [limits::WIRE_PAYLOAD_BYTES_MAX + 1, 200 * 1024] {
        till.publish("aisle/1/s01/dev/till-1/req/quote", vec![b'x'; bytes]).await;
        assert_eq!(heard(&mut inbox).await.payload.len(), bytes);
    }
}

#[tokio::test]
async fn whom_does_a_packet_beyond_the_bound_disconnect() {
    let shop = Shop::open().await;
    let (_link, mut inbox) = shop.link().await;
    let mut other = Till3::new(shop.till3("till-2"));
    other.subscribe("aisle/1/s01/dev/till-2/rep/v3").await;
    let mut till = Till3::new(shop.till3("till-1"));
    till.subscribe("aisle/1/s01/dev/till-1/rep/v3").await;
    let payload = vec![b'x'; limits::MQTT_PACKET_BYTES_MAX];
    till.client
        .publish("aisle/1/s01/dev/till-1/req/quote", QoS::AtLeastOnce, false, payload)
        .await
        .expect("a queue");
    soon("the loss of the connection", async { while till.events.poll().await.is_ok() {} }).await;
    other
        .client
        .publish("aisle/1/s01/dev/till-2/req/quote", QoS::AtLeastOnce, false, b"still here".to_vec())
        .await
        .expect("a queue");
    other.packet("PUBACK", |packet| matches!(packet, rumqttc::Packet::PubAck(_)).then_some(())).await;
    assert_eq!(heard(&mut inbox).await.payload, b"still here");
}

#[tokio::test]
async fn what_does_the_link_refuse_to_send() {
    let shop = Shop::open().await;
    let (link, inbox) = shop.link().await;
    let to = |topic: &str, bytes: usize| Outgoing {
        topic: topic.to_owned(),
        payload: vec![0; bytes],
        ..Outgoing::default()
    };
    assert_eq!(link.publish(to("a/#", 1)), Err(LinkError::Topic));
    assert_eq!(link.publish(to("", 1)), Err(LinkError::Topic));
    assert!(matches!(
        link.publish(to("aisle/1/s01/dev/till-1/rep/a", limits::MQTT_PACKET_BYTES_MAX)),
        Err(LinkError::TooLarge { .. })
    ));
    drop(inbox);
    shop.broker.shutdown().await;
    let (link, _inbox) = Link::start(LinkConfig { host: "127.0.0.1".to_owned(), port: 1, ..dead() });
    assert_eq!(link.publish(to("aisle/1/s01/dev/till-1/rep/a", 1)), Err(LinkError::Down));
}

fn dead() -> LinkConfig {
    LinkConfig {
        host: String::new(),
        port: 0,
        client_id: "x".to_owned(),
        credentials: None,
        subscriptions: vec!["x".to_owned()],
        will: None,
        tls: None,
    }
}

#[tokio::test]
async fn does_the_link_come_back_when_the_broker_does() {
    let shop = Shop::open().await;
    let (link, mut inbox) = shop.link().await;
    let listen = shop.broker.local_addr();
    shop.broker.shutdown().await;
    assert!(matches!(soon("the loss", inbox.next()).await, Some(Happening::Down(_))));
    assert!(!link.is_up());
    let config = BrokerConfig { listen, ..BrokerConfig::open_on_loopback(topics(), shop.secret.clone()) };
    let again = EmbeddedBroker::start(config).await.expect("the port is free again");
    soon("the link", async { while inbox.next().await != Some(Happening::Up) {} }).await;
    let shop = Shop { broker: again, secret: shop.secret };
    let mut till = Till5::new(shop.till5("till-1")).connect().await;
    till.publish("aisle/1/s01/dev/till-1/req/quote", b"again".to_vec()).await;
    assert_eq!(heard(&mut inbox).await.payload, b"again", "it subscribed again");
}

#[tokio::test]
async fn does_the_link_name_a_wrong_password() {
    let shop = Shop::open().await;
    let (_link, mut inbox) = Link::start(LinkConfig {
        credentials: Some(("_engine".to_owned(), "guess".to_owned())),
        ..shop.link_config()
    });
    let Some(Happening::Down(cause)) = soon("the refusal", inbox.next()).await else {
        panic!("it was let in");
    };
    assert_eq!(cause, "the broker refuses the daemon's user name or password");
}

#[tokio::test]
async fn where_does_the_embedded_broker_not_listen() {
    let config = |listen: &str| BrokerConfig {
        listen: listen.parse().expect("an address"),
        ..BrokerConfig::open_on_loopback(topics(), "x".to_owned())
    };
    assert!(matches!(EmbeddedBroker::start(config("0.0.0.0:0")).await, Err(BrokerError::NotLoopback(_))));
    let shop = Shop::open().await;
    let taken = shop.broker.local_addr().to_string();
    let error = EmbeddedBroker::start(config(&taken)).await.err().expect("the port is taken");
    assert_eq!(error.code(), Code::BrokerCannotListen, "{error}");
}

#[tokio::test]
async fn how_many_connections_may_one_till_hold() {
    let shop = Shop::open().await;
    let as_client = |name: String| {
        let mut options = shop.till5("till-1");
        options.set_client_id(name);
        Till5::new(options)
    };
    for _ in 0..2 * limits::CONNECTIONS_PER_DEVICE_MAX {
        as_client("till-1".to_owned()).connect().await;
    }
    let mut held = Vec::new();
    let mut tries = 0;
    while held.len() < limits::CONNECTIONS_PER_DEVICE_MAX as usize {
        // A connection that was just dropped may still be counted; then the broker refuses, and we ask again.
        let mut till = as_client(format!("till-1.{}", held.len()));
        if soon("an answer", till.events.poll()).await.is_ok() {
            held.push(till);
        }
        tries += 1;
        assert!(tries < 30, "dropped connections are counted for ever");
    }
    let error = as_client("till-1.more".to_owned()).loss().await;
    assert!(matches!(error, v5::ConnectionError::ConnectionRefused(_)), "{error}");
    Till5::new(shop.till5("till-2")).connect().await;
}

#[tokio::test]
async fn does_a_reply_wait_for_a_till_that_was_away() {
    let shop = Shop::open().await;
    let (link, _inbox) = shop.link().await;
    let mut options = shop.till3("till-1");
    options.set_clean_session(false);
    let mut till = Till3::new(options.clone());
    till.subscribe("aisle/1/s01/dev/till-1/rep/v3").await;
    drop(till);
    let topic =
        topics().reply(&DeviceId::new("till-1").expect("an id"), &Instance::new("v3").expect("an id"));
    link.publish(Outgoing { topic, payload: b"kept".to_vec(), ..Outgoing::default() }).expect("up");
    let mut till = Till3::new(options);
    assert_eq!(till.message().await.payload, b"kept".as_slice());
}
