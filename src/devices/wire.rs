//! The wire: a device's bytes to a checked request, an answer to bytes. Contract v1, and nothing that is not in it.
//!
//! ```text
//! payload --document::read--> tree --request::*--> shapes --check--> engine::input::Request
//! engine::reply::Answer --reply::encode--> payload, in the request's own format, at most 64 KiB
//! ```
//!
//! A request is refused by the first of these that does not hold; the order is part of the contract:
//! 1. at most 64 KiB (413)
//! 2. a content type we read; without one the first byte tells: a MessagePack map, or else JSON (415)
//! 3. UTF-8, at most 16 open containers, well-formed, an object (400, with the path reached)
//! 4. `v` is 1 (400)
//! 5. `id` is an id (400)
//! 6. the operation exists (404)
//! 7. every field is known, there once, and of its type; nothing needed is missing (400, with the field's path)
//! 8. ids, numbers, lengths, days and times are in range, names are unique (400, with the field's path)
//!
//! Invariants: no bytes make this panic, recurse deeper than 16 or hold more than some MiB; after a refusal the id is
//! returned where it was readable, so that an MQTT 3.1.1 till, which has no correlation data, can tell which request
//! it was; nothing a member showed leaves this room except as its hash, and no refusal repeats a value.
//!
//! The digest that tells a repetition from a reuse is over the payload as sent. It need not cover the operation: no
//! document is valid for two of them.

mod check;
mod document;
mod fault;
pub mod reply;
pub mod request;
pub mod status;

use serde::{Deserialize, Serialize};
use sha2::{Digest as _, Sha256};

use crate::domain::calendar::UnixMs;
use crate::domain::code::Code;
use crate::domain::ids::{DeviceId, RequestId};
use crate::domain::text::Lang;
use crate::engine::input::{Body, Digest, Request};
use crate::engine::reply::Refusal;
use crate::limits;

use super::topic::Op;
use check::{Checked, Sender};
use document::Node;
use fault::{At, Fault};
pub use reply::{Addressed, encode};

/// Version of the contract.
pub const VERSION: u8 = 1;

/// In which of two notations a document is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Format {
    /// `application/json`
    Json,
    /// `application/msgpack`
    MessagePack,
}

impl Format {
    /// As an MQTT 5 content type.
    pub fn content_type(self) -> &'static str {
        match self {
            Format::Json => "application/json",
            Format::MessagePack => "application/msgpack",
        }
    }

    /// The format a content type names; parameters other than a charset are ignored, and a charset must be UTF-8.
    fn named(content_type: &str) -> Option<Format> {
        let mut parts = content_type.split(';').map(str::trim);
        let essence = parts.next().unwrap_or_default();
        let format = [Format::Json, Format::MessagePack]
            .into_iter()
            .find(|format| essence.eq_ignore_ascii_case(format.content_type()))?;
        let foreign = parts.filter_map(|part| part.split_once('=')).any(|(name, value)| {
            name.eq_ignore_ascii_case("charset") && !value.trim_matches('"').eq_ignore_ascii_case("utf-8")
        });
        (!foreign).then_some(format)
    }

    /// The format of the first byte: a MessagePack map begins with one that cannot begin JSON.
    fn of_first_byte(payload: &[u8]) -> Option<Format> {
        match payload.first() {
            Some(0x80..=0x8f | 0xde | 0xdf) => Some(Format::MessagePack),
            Some(0x00..=0x7f) | None => Some(Format::Json),
            Some(_) => payload.starts_with("\u{feff}".as_bytes()).then_some(Format::Json),
        }
    }

    /// The format to answer bytes in that may be neither.
    fn guess(payload: &[u8]) -> Format {
        Format::of_first_byte(payload).unwrap_or(Format::Json)
    }

    /// Writes a document of ours.
    fn write<T: Serialize>(self, document: &T) -> Vec<u8> {
        let mut bytes = Vec::with_capacity(limits::WIRE_REPLY_BYTES_USUAL);
        match self {
            Format::Json => {
                serde_json::to_writer(&mut bytes, document).expect("text keys, written to memory")
            }
            Format::MessagePack => {
                let mut writer = rmp_serde::Serializer::new(&mut bytes).with_struct_map();
                document.serialize(&mut writer).expect("no deep nesting, written to memory");
            }
        }
        bytes
    }
}

/// A request that was not taken, with what is needed to say so.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Refused {
    /// The request's id, where it could be read.
    pub re: Option<RequestId>,
    /// The format to answer in.
    pub format: Format,
    /// Why.
    pub refusal: Refusal,
}

impl Refused {
    /// The problem document.
    pub fn encode(self, lang: Lang) -> Vec<u8> {
        let to =
            Addressed { re: self.re.as_ref(), format: self.format, replayed: false, degraded: false, lang };
        encode(&Err(self.refusal), &to)
    }
}

/// Reads and checks a request of `device` from the topic's operation, the payload and MQTT 5's content type, hashing
/// tokens within `chain`. Refuses as the module says; the format is the one to answer in.
pub fn decode(
    op: &str,
    device: &DeviceId,
    payload: &[u8],
    content_type: Option<&str>,
    chain: &str,
) -> Result<(Format, Request), Refused> {
    let named = match content_type {
        Some(text) => Format::named(text),
        None => Format::of_first_byte(payload),
    };
    let format = named.unwrap_or_else(|| Format::guess(payload));
    let refused = |re, fault: Fault| Refused { re, format, refusal: fault.into() };
    if payload.len() > limits::WIRE_PAYLOAD_BYTES_MAX {
        let reason = format!("{} bytes, at most {}", payload.len(), limits::WIRE_PAYLOAD_BYTES_MAX);
        let re = recover_id(format, &payload[..limits::WIRE_PAYLOAD_BYTES_MAX]);
        return Err(refused(re, Fault::new(Code::PayloadTooLarge, reason)));
    }
    if named.is_none() {
        let reason = match content_type {
            Some(_) => "the content type is neither application/json nor application/msgpack, in UTF-8",
            None => "there is no content type, and the first byte begins neither JSON nor a MessagePack map",
        };
        let re = recover_id(format, payload);
        return Err(refused(re, Fault::new(Code::UnsupportedContentType, reason)));
    }
    let (document, outcome) = document::read(format, payload);
    if let Err(fault) = outcome {
        let re = id_of(&document).or_else(|| recover_id(format, payload));
        return Err(refused(re, fault));
    }
    let refused = |fault| refused(id_of(&document), fault);
    let (id, at, body) = request_of(op, device, chain, &document).map_err(refused)?;
    let (digest, sent) = (document::digest(&document), Some(Digest::of(&Sha256::digest(payload).into())));
    Ok((format, Request { device: device.clone(), id, digest, sent, at, body }))
}

/// From the tree on: steps 4 to 8 of the module's list.
fn request_of(
    op: &str,
    device: &DeviceId,
    chain: &str,
    document: &Node<'_>,
) -> Result<(RequestId, Option<UnixMs>, Body), Fault> {
    match document.get("v") {
        Some(Node::Int(version)) if *version == i64::from(VERSION) => {}
        Some(Node::Int(_) | Node::Huge(_)) => {
            return Err(At::top("v").fault(Code::UnknownVersion, "this daemon speaks version 1"));
        }
        Some(_) => return Err(At::top("v").fault(Code::MalformedPayload, "must be the whole number 1")),
        None => {
            return Err(At::top("v").fault(Code::UnknownVersion, "is missing; this daemon speaks version 1"));
        }
    }
    let id = match document.get("id") {
        Some(Node::Text(text)) => check::request_id(text)?,
        Some(_) => return Err(At::top("id").fault(Code::MalformedPayload, "must be text")),
        None => return Err(At::top("id").fault(Code::MalformedPayload, "is missing")),
    };
    let sender = Sender { device, chain, at: None };
    let Some(op) = Op::from_level(op) else {
        let reason = format!("the topic ends in none of {}", Op::ALL.map(Op::as_str).join(", "));
        return Err(Fault::new(Code::UnknownOperation, reason));
    };
    let (at, body) = match op {
        Op::Scan => body::<request::ScanData<'_>>(document, sender)?,
        Op::Quote => body::<request::QuoteData<'_>>(document, sender)?,
        Op::Commit => body::<request::CommitData<'_>>(document, sender)?,
        Op::Void => body::<request::VoidData<'_>>(document, sender)?,
        Op::Return => body::<request::ReturnData<'_>>(document, sender)?,
        Op::Feedback => body::<request::FeedbackData<'_>>(document, sender)?,
        Op::Event => body::<request::EventData<'_>>(document, sender)?,
        Op::Enroll => body::<request::EnrollData<'_>>(document, sender)?,
        Op::Wallet => body::<request::WalletData<'_>>(document, sender)?,
    };
    Ok((id, at, body))
}

fn body<'t, D: Deserialize<'t> + Checked>(
    document: &'t Node<'_>,
    sender: Sender<'_>,
) -> Result<(Option<UnixMs>, Body), Fault> {
    let envelope = request::Envelope::<D>::deserialize(document)?;
    let at = envelope.at.map(|text| check::time(At::top("at"), text)).transpose()?;
    let body = envelope.data.check(Sender { at, ..sender })?;
    Ok((at, body))
}

fn id_of(document: &Node<'_>) -> Option<RequestId> {
    match document.get("id") {
        Some(Node::Text(text)) => RequestId::new(text).ok(),
        _ => None,
    }
}

/// The id of a payload that does not read whole: of what comes before the fault, with text that is not UTF-8 patched.
fn recover_id(format: Format, payload: &[u8]) -> Option<RequestId> {
    match format {
        Format::Json => id_of(&document::read(format, String::from_utf8_lossy(payload).as_bytes()).0),
        Format::MessagePack => id_of(&document::read(format, payload).0),
    }
}
