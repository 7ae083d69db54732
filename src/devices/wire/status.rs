//! Presence: what the daemon and each device say of themselves on their retained status topics, always as JSON.
//!
//! The daemon's is the discovery document: a device that knows nothing but the broker's address reads there which
//! contract, operations, formats and bounds hold. The broker publishes the same document with `offline` as last will.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::devices::topic::{Op, is_id};
use crate::domain::calendar::UnixMs;
use crate::domain::code::Code;
use crate::domain::ids::{BundleRef, Epoch, MemberId, SegmentId, Sku, StoreId};
use crate::engine::reply::{Label, Refusal};
use crate::limits;

use super::check::time;
use super::document::read;
use super::fault::{At, Fault};
use super::request::Instant;
use super::{Format, VERSION};

/// How the daemon is.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum EngineState {
    /// It reads its data; requests get 503.
    Starting,
    /// It answers.
    Ready,
    /// It answers reads and prices; what spends something scarce gets 503.
    Degraded,
    /// It finishes what it has; new requests get 503.
    Stopping,
    /// It is not there (its last will, or its farewell).
    Offline,
}

/// The daemon's presence and discovery document, retained on `svc/engine/status`.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct EngineStatus {
    /// Version of the contract: 1.
    pub v: u8,
    /// How it is.
    pub state: EngineState,
    /// The shop.
    pub store: StoreId,
    /// The life of the box's data; a new one means that the box was replaced.
    pub epoch: Epoch,
    /// The daemon's version.
    pub version: String,
    /// Since when it is in this state, RFC 3339.
    #[schemars(with = "Instant")]
    pub since: String,
    /// Content types it takes and answers in.
    pub content_types: Vec<String>,
    /// Operations it answers.
    pub operations: Vec<String>,
    /// The rules it runs on; null before the first bundle.
    pub bundle: Option<BundleRef>,
    /// Bounds of a request.
    pub limits: RequestLimits,
}

/// Bounds of a request.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct RequestLimits {
    /// Bytes of a payload.
    pub payload_bytes: u64,
    /// Open containers of a payload.
    pub depth: u64,
    /// Lines of a basket.
    pub lines: u64,
    /// Units of a line.
    pub line_units: u64,
    /// Units of a basket.
    pub basket_units: u64,
    /// Coupons of a basket.
    pub coupons: u64,
    /// Days for which the answer to a write is given again.
    pub replay_days: u64,
}

impl EngineStatus {
    /// The document as this program fills it.
    pub fn new(state: EngineState, store: StoreId, epoch: Epoch, since: UnixMs) -> EngineStatus {
        EngineStatus {
            v: VERSION,
            state,
            store,
            epoch,
            version: env!("CARGO_PKG_VERSION").to_owned(),
            since: since.to_string(),
            content_types: [Format::Json, Format::MessagePack]
                .map(|format| format.content_type().to_owned())
                .into(),
            operations: Op::ALL.map(|op| op.as_str().to_owned()).into(),
            bundle: None,
            limits: RequestLimits {
                payload_bytes: limits::WIRE_PAYLOAD_BYTES_MAX as u64,
                depth: limits::WIRE_DEPTH_MAX as u64,
                lines: limits::BASKET_LINES_MAX as u64,
                line_units: u64::from(limits::LINE_UNITS_MAX),
                basket_units: u64::from(limits::BASKET_UNITS_MAX),
                coupons: limits::BASKET_COUPONS_MAX as u64,
                replay_days: limits::REPLAY_DAYS_MIN.unsigned_abs(),
            },
        }
    }

    /// The payload to retain.
    pub fn encode(&self) -> Vec<u8> {
        Format::Json.write(self)
    }
}

/// Is a device there?
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum Presence {
    /// It is.
    Online,
    /// It is not: its last will, or its farewell.
    Offline,
}

/// A device's presence, retained on its own `status`: `online` after each connect, `offline` as its last will.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct DeviceStatus {
    /// Version of the contract: 1.
    pub v: u8,
    /// Is it there?
    pub state: Presence,
    /// Since when, by the device's clock, RFC 3339.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(with = "Option<Instant>")]
    pub since: Option<String>,
    /// Name and version of its software, for whoever looks for the till with last year's.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(length(max = limits::SOFTWARE_BYTES_MAX))]
    pub software: Option<String>,
    /// Kinds of pushes it wants on its `evt/`: `price` for a gateway of shelf labels. Each presence brings the whole list.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    #[schemars(length(max = limits::WANTED_KINDS_MAX), inner(regex(pattern = "^[a-z0-9-]{1,32}$")))]
    pub wants: Vec<String>,
}

impl DeviceStatus {
    /// Reads a device's status, JSON or MessagePack by its first byte. Refuses like a request does, but there is nobody
    /// to answer: the caller counts it and says so in the log.
    pub fn decode(payload: &[u8]) -> Result<DeviceStatus, Refusal> {
        if payload.len() > limits::WIRE_PAYLOAD_BYTES_MAX {
            let reason = format!("{} bytes, at most {}", payload.len(), limits::WIRE_PAYLOAD_BYTES_MAX);
            return Err(Refusal::new(Code::PayloadTooLarge, reason));
        }
        let (document, outcome) = read(Format::guess(payload), payload);
        outcome?;
        let status = <DeviceStatus as Deserialize>::deserialize(&document)?;
        if status.v != VERSION {
            return Err(Fault::new(Code::UnknownVersion, "v: this daemon speaks version 1").into());
        }
        if let Some(since) = &status.since {
            time(At::top("since"), since)?;
        }
        if status.software.as_ref().is_some_and(|text| text.len() > limits::SOFTWARE_BYTES_MAX) {
            let reason = format!("software: at most {} bytes", limits::SOFTWARE_BYTES_MAX);
            return Err(Refusal::new(Code::OutOfRange, reason));
        }
        if status.wants.len() > limits::WANTED_KINDS_MAX || !status.wants.iter().all(|kind| is_id(kind)) {
            let reason = format!("wants: at most {} kinds of a-z, 0-9 and -", limits::WANTED_KINDS_MAX);
            return Err(Refusal::new(Code::OutOfRange, reason));
        }
        Ok(status)
    }
}

/// Prices for the shelf, on `evt/price`, for a device whose presence `wants` them: the whole list after each presence, then
/// what changed, at the minute it changes. A whole list comes in parts; what is not in it has no label any more.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct PricePush {
    /// Version of the contract: 1.
    pub v: u8,
    /// When it was said, RFC 3339.
    #[schemars(with = "Instant")]
    pub at: String,
    /// The prices.
    pub data: Prices,
}

impl PricePush {
    /// What is said at a moment.
    pub fn new(at: String, data: Prices) -> PricePush {
        PricePush { v: VERSION, at, data }
    }

    /// The payload to push.
    pub fn encode(&self) -> Vec<u8> {
        Format::Json.write(self)
    }
}

/// Prices for the shelf.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct Prices {
    /// Is it all there is? Else what changed.
    pub whole: bool,
    /// Which part of it, from 1.
    pub part: u32,
    /// Of how many.
    pub parts: u32,
    /// What articles cost from now on.
    pub prices: Vec<Label>,
    /// Articles that are sold here no more.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub gone: Vec<Sku>,
}

/// Something the daemon tells a device that did not ask, on `evt/{kind}`, once, as JSON. A device ignores kinds it does not
/// know.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[schemars(rename = "{D}Push")]
pub struct Push<D> {
    /// Version of the contract: 1.
    pub v: u8,
    /// When it was said, RFC 3339.
    #[schemars(with = "Instant")]
    pub at: String,
    /// What, by the topic's kind.
    pub data: D,
}

impl<D: Serialize> Push<D> {
    /// As it is sent.
    pub fn encode(at: UnixMs, data: D) -> Vec<u8> {
        Format::Json.write(&Push { v: VERSION, at: at.to_string(), data })
    }
}

/// On `evt/segments`, to the device whose request it was: a sale, void, return, event or feedback moved a member into
/// segments or out of some. Sent after it is on disk; whoever misses it sees the same at the next scan.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[schemars(rename = "SegmentMoves")]
pub struct SegmentMoves {
    /// Who.
    pub member: MemberId,
    /// The decision that moved them.
    pub decision: String,
    /// Segments they are in now and were not before, in the order of ids.
    #[schemars(length(max = limits::HISTORY_MOVES_MAX))]
    pub entered: Vec<SegmentId>,
    /// Segments they were in and are not any more.
    #[schemars(length(max = limits::HISTORY_MOVES_MAX))]
    pub left: Vec<SegmentId>,
}
