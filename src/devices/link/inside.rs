//! The daemon's session inside its own broker: the topics, bounds and queues of any session, without a socket between.
//!
//! ```text
//! device --MQTT--> its connection's task --lane--> Session::next --> loop
//! device <--MQTT-- its connection's task <--lane-- router <-- Session::next <-- Link::publish
//! ```
//! Over a socket each request and each answer costs the box two writes, two reads, two acknowledgements and as many
//! wake-ups, all between two threads of one process. Devices notice nothing: they speak MQTT to the same broker, which
//! asks the same doorman. Only the daemon, which holds the broker anyway, comes in this way.
//!
//! Invariants:
//! - Whoever polls `next` also hands answers to the router, before it hears the next request: an answer waits for no
//!   other task, and the answers of one link stay in order.
//! - A full lane holds back the devices that fill it: the task of the connection waits, and reads no more from its device.
//!   What waited too long comes through the session's queue, after the lane, which is older.
//! - A device that does not take its answers holds nobody back: they go to its own queue, which is bounded.
//! - There is no will: this broker ends with the daemon, and devices lose their connections.
//! - `next` is cancel-safe: what is being handed over is kept and finished by the next call.

use std::collections::VecDeque;
use std::future::Future;
use std::pin::Pin;
use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::Duration;

use mqtt5::QoS;
use mqtt5::broker::router::{
    DeliveryLanes, LaneReceivers, MessageRouter, SubscriptionRequest, TakeoverNotice,
};
use mqtt5::broker::storage::{QueueHandle, QueuedMessage};
use mqtt5::packet::publish::PublishPacket;
use mqtt5::protocol::v5::properties::{PropertyId, PropertyValue};
use tokio::sync::{mpsc, oneshot};
use tokio::time::{Instant, sleep};

use crate::limits;

use super::{Happening, LinkError, Outgoing, Received, Shared};

type Routing = Pin<Box<dyn Future<Output = ()> + Send>>;

/// The receiving half.
pub(super) struct Session {
    router: Arc<MessageRouter>,
    client_id: &'static str,
    generation: u64,
    lanes: LaneReceivers,
    queue: QueueHandle,
    late: VecDeque<QueuedMessage>,
    displaced: oneshot::Receiver<TakeoverNotice>,
    outgoing: mpsc::Receiver<PublishPacket>,
    routing: Option<Routing>,
    /// Any moment that is over: what finds a device's lane full goes to the device's queue at once.
    no_waiting: Instant,
    shared: Arc<Shared>,
    told: Told,
}

/// What the listener knows.
#[derive(PartialEq)]
enum Told {
    Nothing,
    Up,
    Gone,
}

impl Session {
    /// Registers with the router and subscribes with QoS 1. Whatever was there under the id is gone.
    pub(super) async fn open(
        router: Arc<MessageRouter>,
        client_id: &'static str,
        filters: &[String],
        shared: Arc<Shared>,
    ) -> Result<(mpsc::Sender<PublishPacket>, Session), String> {
        let (lanes, received) = DeliveryLanes::channel(usize::from(limits::LINK_UNACKED_MAX));
        let (displace, displaced) = oneshot::channel();
        let queue = router.queue_handle(client_id);
        let id = client_id.to_owned();
        let registered = router.register_session(id, lanes, Arc::clone(&queue), displace, true).await;
        for filter in filters {
            let request = SubscriptionRequest::new(client_id, filter.as_str(), QoS::AtLeastOnce);
            router.subscribe(request).await.map_err(|error| error.to_string())?;
        }
        let bytes_max = u32::try_from(limits::MQTT_PACKET_BYTES_MAX).unwrap_or(u32::MAX);
        shared.packet_bytes_max.store(bytes_max, Ordering::Release);
        shared.up.store(true, Ordering::Release);
        let (sender, outgoing) = mpsc::channel(limits::LINK_QUEUE_MAX);
        let session = Session {
            router,
            client_id,
            generation: registered.generation,
            lanes: received,
            queue,
            late: VecDeque::new(),
            displaced,
            outgoing,
            routing: None,
            no_waiting: sleep(Duration::ZERO).deadline(),
            shared,
            told: Told::Nothing,
        };
        Ok((sender, session))
    }

    /// The next happening; `None` after another session took this one's place.
    pub(super) async fn next(&mut self) -> Option<Happening> {
        match self.told {
            Told::Nothing => {
                self.told = Told::Up;
                return Some(Happening::Up);
            }
            Told::Up => {}
            Told::Gone => return None,
        }
        loop {
            self.hand_over().await;
            if let Some(message) = self.late.pop_front() {
                if self.late.is_empty() {
                    self.queue.finish_drain();
                }
                return Some(Happening::Message(received(message.to_publish_packet())));
            }
            if self.queue.count() > 0 && self.lanes.qos1.is_empty() {
                self.late = self.queue.take(usize::from(limits::LINK_UNACKED_MAX)).await.into();
                continue;
            }
            tokio::select! {
                biased;
                Some(packet) = self.outgoing.recv() => self.begin(packet),
                message = self.lanes.recv() => {
                    let Some(message) = message else { return Some(self.gone()) };
                    return Some(Happening::Message(received(message.publish)));
                }
                () = self.queue.notified() => {}
                _ = &mut self.displaced => return Some(self.gone()),
            }
        }
    }

    /// Hands over what waits, gives the connections a moment to deliver it, and leaves the broker.
    pub(super) async fn close(mut self) {
        self.outgoing.close();
        self.hand_over().await;
        sleep(Duration::from_millis(limits::LINK_FAREWELL_MS)).await;
        self.shared.up.store(false, Ordering::Release);
        self.router.release_client(self.client_id, self.generation, false).await;
    }

    async fn hand_over(&mut self) {
        loop {
            if let Some(routing) = &mut self.routing {
                routing.as_mut().await;
                self.routing = None;
            }
            let Ok(packet) = self.outgoing.try_recv() else { return };
            self.begin(packet);
        }
    }

    fn begin(&mut self, packet: PublishPacket) {
        let (router, from, deadline) = (Arc::clone(&self.router), self.client_id, self.no_waiting);
        self.routing = Some(Box::pin(async move {
            router.route_message_with_deadline(&packet, Some(from), deadline).await;
        }));
    }

    fn gone(&mut self) -> Happening {
        self.told = Told::Gone;
        self.shared.up.store(false, Ordering::Release);
        Happening::Down("another session has taken the daemon's place in its own broker".to_owned())
    }
}

impl Drop for Session {
    fn drop(&mut self) {
        self.shared.up.store(false, Ordering::Release);
    }
}

/// Hands a message to the session, which routes it.
pub(super) fn publish(session: &mpsc::Sender<PublishPacket>, message: Outgoing) -> Result<(), LinkError> {
    let mut packet =
        PublishPacket::new(message.topic, message.payload, QoS::AtLeastOnce).with_retain(message.retain);
    if let Some(content_type) = message.content_type {
        packet.properties.set_content_type(content_type);
    }
    if let Some(data) = message.correlation_data {
        packet.properties.set_correlation_data(data.into());
    }
    if let Some(seconds) = message.expires_s {
        packet.properties.set_message_expiry_interval(seconds);
    }
    session.try_send(packet).map_err(|refused| match refused {
        mpsc::error::TrySendError::Full(_) => LinkError::Full,
        mpsc::error::TrySendError::Closed(_) => LinkError::Down,
    })
}

fn received(packet: PublishPacket) -> Received {
    let text = |id| match packet.properties.get(id) {
        Some(PropertyValue::Utf8String(text)) => Some(text.clone()),
        _ => None,
    };
    let correlation_data = match packet.properties.get(PropertyId::CorrelationData) {
        Some(PropertyValue::BinaryData(data)) => Some(data.to_vec()),
        _ => None,
    };
    Received {
        content_type: text(PropertyId::ContentType),
        response_topic: text(PropertyId::ResponseTopic),
        correlation_data,
        retained: packet.retain,
        qos: packet.qos as u8,
        topic: packet.topic_name,
        payload: packet.payload.into(),
    }
}
