//! What a watched device was seen to do: for `aisled conform`, which tells which rules of the contract it meets.
//!
//! A watch begins with the first question and ends when nobody asked for a while; devices nobody watches cost one look-up.
//! A sighting holds what the rules need and nothing of the shopper: digests instead of documents, no token, no price.
//! Bounded: so many watches, so many sightings of each; the oldest leave first and are counted.

use std::collections::{BTreeMap, VecDeque};
use std::time::Duration;

use serde::{Deserialize, Serialize};
use serde_json::Value;
use sha2::{Digest, Sha256};

use crate::clock::Ticks;
use crate::devices::link::Received;
use crate::devices::wire;
use crate::devices::wire::status::{DeviceStatus, Presence};
use crate::domain::calendar::UnixMs;
use crate::domain::code::Code;
use crate::domain::ids::DeviceId;
use crate::domain::text::hex;
use crate::limits;

/// Where a request asks to be answered.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum AnswerTo {
    /// Below the device's own `rep/`.
    Own,
    /// Elsewhere.
    Foreign,
    /// It does not say: MQTT 3.1.1.
    Unsaid,
}

/// Something a device did, or was answered.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "saw", rename_all = "snake_case")]
pub enum Sighting {
    /// It asked.
    Request(Asked),
    /// It was answered.
    Reply {
        /// When.
        at: UnixMs,
        /// Which request.
        re: Option<String>,
        /// How it went.
        status: u64,
        /// The problem's code.
        code: Option<String>,
        /// When to come again.
        retry_after_ms: Option<u64>,
        /// The quote it made, and until when it is good.
        quote: Option<(String, String)>,
    },
    /// It said whether it is there.
    Presence {
        /// When.
        at: UnixMs,
        /// Is it?
        online: bool,
        /// What was wrong with the document.
        fault: Option<(Code, String)>,
    },
}

/// A request as seen.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Asked {
    /// When.
    pub at: UnixMs,
    /// What.
    pub op: String,
    /// Its id, where one can be read.
    pub id: Option<String>,
    /// Bytes of the payload.
    pub bytes: usize,
    /// Of the payload.
    pub digest: String,
    /// Of its `data`: the same for the same request under another id.
    pub meaning: String,
    /// MQTT 5 content type.
    pub content_type: Option<String>,
    /// With which quality it was delivered.
    pub qos: u8,
    /// Where the answer goes.
    pub answer_to: AnswerTo,
    /// Why it is refused at the door.
    pub fault: Option<(Code, String)>,
    /// Does it say when it happened?
    pub timed: bool,
    /// The name it gives a sale, void or return: business day and number.
    pub sale: Option<(String, i64)>,
    /// The quote it commits.
    pub quote: Option<String>,
}

/// What is told of a watch at a time.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Watched {
    /// Is the device there, by its own word?
    pub online: bool,
    /// What was seen, from the number asked for.
    pub sightings: Vec<Sighting>,
    /// The number to ask from next time.
    pub next: u64,
    /// Sightings that left before anybody asked.
    pub lost: u64,
}

struct Watch {
    seen: VecDeque<Sighting>,
    /// The number of the first one kept.
    first: u64,
    asked_at: Ticks,
}

/// The devices that are watched.
#[derive(Default)]
pub struct Watches(BTreeMap<DeviceId, Watch>);

impl Watches {
    /// Is the device watched?
    pub fn has(&self, device: &DeviceId) -> bool {
        !self.0.is_empty() && self.0.contains_key(device)
    }

    /// What was seen of a device from `after` on. Begins the watch, if there is room for it.
    pub fn told(&mut self, device: &DeviceId, after: u64, now: Ticks) -> Option<Watched> {
        let patience = Duration::from_millis(limits::WATCH_MS_MAX);
        self.0.retain(|_, watch| now.since(watch.asked_at) < patience);
        if !self.0.contains_key(device) && self.0.len() >= limits::WATCHES_MAX {
            return None;
        }
        let watch =
            self.0.entry(device.clone()).or_insert(Watch { seen: VecDeque::new(), first: 0, asked_at: now });
        watch.asked_at = now;
        let from = after.max(watch.first);
        let skipped = usize::try_from(from - watch.first).unwrap_or(usize::MAX);
        let told = watch.seen.iter().skip(skipped).take(limits::WATCH_TOLD_MAX).cloned();
        let sightings: Vec<Sighting> = told.collect();
        let next = from + sightings.len() as u64;
        Some(Watched { online: false, lost: from - after, sightings, next })
    }

    /// Keeps what was seen of a watched device.
    pub fn saw(&mut self, device: &DeviceId, sighting: Sighting) {
        let Some(watch) = self.0.get_mut(device) else { return };
        if watch.seen.len() >= limits::WATCH_SIGHTINGS_MAX {
            watch.seen.pop_front();
            watch.first += 1;
        }
        watch.seen.push_back(sighting);
    }
}

fn shortened(bytes: &[u8]) -> String {
    let hash: [u8; 32] = Sha256::digest(bytes).into();
    hex(&hash[..12])
}

fn document(payload: &[u8]) -> Value {
    let is_json = payload.trim_ascii_start().first() == Some(&b'{');
    let read =
        if is_json { serde_json::from_slice(payload).ok() } else { rmp_serde::from_slice(payload).ok() };
    read.unwrap_or(Value::Null)
}

fn text(value: &Value) -> Option<String> {
    value.as_str().map(|text| text.chars().take(limits::REQUEST_ID_BYTES_MAX + 1).collect())
}

/// What a request shows.
pub fn request(op: &str, device: &DeviceId, received: &Received, own: bool, at: UnixMs) -> Sighting {
    let payload = &received.payload;
    let refused = wire::decode(op, device, payload, received.content_type.as_deref(), "").err();
    // What is larger is not read; the door says so.
    let document =
        if payload.len() > limits::WIRE_PAYLOAD_BYTES_MAX { Value::Null } else { document(payload) };
    let data = &document["data"];
    let name = &data["transaction"];
    let named =
        matches!(op, "commit" | "return").then(|| text(&name["business_day"]).zip(name["seq"].as_i64()));
    Sighting::Request(Asked {
        at,
        op: op.to_owned(),
        id: text(&document["id"]),
        bytes: payload.len(),
        digest: shortened(payload),
        meaning: shortened(format!("{op} {data}").as_bytes()),
        content_type: received.content_type.clone(),
        qos: received.qos,
        answer_to: match &received.response_topic {
            None => AnswerTo::Unsaid,
            Some(_) if own => AnswerTo::Own,
            Some(_) => AnswerTo::Foreign,
        },
        fault: refused.map(|refused| (refused.refusal.code, refused.refusal.detail)),
        timed: !document["at"].is_null() || !data["at"].is_null(),
        sale: named.flatten(),
        quote: (op == "commit").then(|| text(&data["quote"])).flatten(),
    })
}

/// What an answer shows.
pub fn reply(payload: &[u8], at: UnixMs) -> Sighting {
    let document = document(payload);
    let data = &document["data"];
    Sighting::Reply {
        at,
        re: text(&document["re"]),
        status: document["status"].as_u64().unwrap_or_default(),
        code: text(&document["code"]),
        retry_after_ms: document["retry_after_ms"].as_u64(),
        quote: text(&data["quote"]).zip(text(&data["expires"])),
    }
}

/// What a presence shows.
pub fn presence(payload: &[u8], at: UnixMs) -> Sighting {
    match DeviceStatus::decode(payload) {
        Ok(status) => Sighting::Presence { at, online: status.state == Presence::Online, fault: None },
        Err(refusal) => Sighting::Presence { at, online: false, fault: Some((refusal.code, refusal.detail)) },
    }
}
