//! Answers as bytes: the reply and problem documents, and what happens to one that would be too large.
//!
//! A payload is never larger than `WIRE_PAYLOAD_BYTES_MAX`. An answer that would be is shortened in a fixed order
//! (`SHORTENED`): first explanations lose entries from their end, then whole lists become empty, the least needed
//! first; `shortened` names every list that is not complete. Totals, the figures of points, gift cards, the codes burned, issued or
//! given back and the decision's reference always stay, so a committed sale never looks like a failure. Only a basket of some 200 lines or more comes near it.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use serde_json::Value;

use crate::domain::code::Code;
use crate::domain::ids::RequestId;
use crate::domain::text::Lang;
use crate::engine::reply::{Answer, Refusal, Reply};
use crate::limits;

use super::{Format, VERSION};

/// A reply.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[schemars(rename = "{D}Envelope")]
pub struct Success<D> {
    /// Version of the contract: 1.
    pub v: u8,
    /// The request's id.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub re: Option<RequestId>,
    /// 200.
    pub status: u16,
    /// True where this is the first answer to the same request, given again.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub replayed: bool,
    /// True while the shop spends nothing scarce because its disk is low, full or read-only (AIS-5016): offers with limits
    /// do not apply, single-use codes and points get 503.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub degraded: bool,
    /// Lists of `data` that are not complete because the reply would be larger than 64 KiB.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub shortened: Vec<String>,
    /// The answer.
    pub data: D,
}

/// Why a request was not answered as asked (RFC 9457). `aisled explain CODE` prints cause and remedy.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct Problem {
    /// Version of the contract: 1.
    pub v: u8,
    /// The request's id, where it could be read.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub re: Option<RequestId>,
    /// The kind of problem, as in HTTP.
    pub status: u16,
    /// The stable code: act on this, not on the texts.
    #[schemars(with = "String", regex(pattern = "^AIS-[0-9]{4}$"))]
    pub code: Code,
    /// What it is, in a few words, in the shop's language.
    pub title: String,
    /// Where, with which value: the field's path first. In English, for whoever builds the device.
    pub detail: String,
    /// Repeat the same request with the same id after so many milliseconds; absent where that would not help.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub retry_after_ms: Option<u32>,
    /// True where this is the first answer to the same request, given again.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub replayed: bool,
}

/// To whom and how an answer goes.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Addressed<'a> {
    /// The request's id, where it could be read.
    pub re: Option<&'a RequestId>,
    /// The request's own format.
    pub format: Format,
    /// Is it the first answer, given again?
    pub replayed: bool,
    /// Is nothing scarce spent now?
    pub degraded: bool,
    /// The language of a problem's title.
    pub lang: Lang,
}

/// Writes an answer: at most `WIRE_PAYLOAD_BYTES_MAX` bytes.
pub fn encode(answer: &Answer, to: &Addressed<'_>) -> Vec<u8> {
    let reply = match answer {
        Ok(reply) => reply,
        Err(refusal) => return problem(refusal, to),
    };
    let success = Success {
        v: VERSION,
        re: to.re.cloned(),
        status: 200,
        replayed: to.replayed,
        degraded: to.degraded,
        shortened: Vec::new(),
        data: Document(reply),
    };
    let bytes = to.format.write(&success);
    if bytes.len() <= limits::WIRE_PAYLOAD_BYTES_MAX {
        return bytes;
    }
    drop(bytes);
    shorten(&success, to.format).unwrap_or_else(|| {
        let reason =
            format!("the answer is larger than {} bytes; split the basket", limits::WIRE_PAYLOAD_BYTES_MAX);
        problem(&Refusal::new(Code::PayloadTooLarge, reason), to)
    })
}

fn problem(refusal: &Refusal, to: &Addressed<'_>) -> Vec<u8> {
    let mut detail = refusal.detail.clone();
    if detail.len() > limits::DETAIL_BYTES_MAX {
        detail.truncate(detail.floor_char_boundary(limits::DETAIL_BYTES_MAX));
        detail.push('…');
    }
    to.format.write(&Problem {
        v: VERSION,
        re: to.re.cloned(),
        status: refusal.code.status(),
        code: refusal.code,
        title: refusal.code.title(to.lang).to_owned(),
        detail,
        retry_after_ms: refusal.retry_after_ms,
        replayed: to.replayed,
    })
}

/// A reply as the contract shows it: without the name of its kind, which the journal needs and the topic tells.
struct Document<'a>(&'a Reply);

impl Serialize for Document<'_> {
    fn serialize<S: serde::Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        match self.0 {
            Reply::Scan(data) => data.serialize(serializer),
            Reply::Quote(data) => data.serialize(serializer),
            Reply::Commit(data) => data.serialize(serializer),
            Reply::Refund(data) => data.serialize(serializer),
            Reply::Enroll(data) => data.serialize(serializer),
            Reply::Wallet(data) => data.serialize(serializer),
            Reply::Noted(data) => data.serialize(serializer),
        }
    }
}

/// How a list is shortened.
enum Cut {
    /// It loses entries from its end: what is left is still true.
    Tail,
    /// It becomes empty: half of it would mislead.
    Whole,
}

/// Lists of `data` in the order in which they give way.
const SHORTENED: [(&str, Cut); 15] = [
    ("near", Cut::Tail),
    ("not_applied", Cut::Tail),
    ("recommendations", Cut::Tail),
    ("offers", Cut::Tail),
    ("care", Cut::Tail),
    ("gift_choices", Cut::Whole),
    ("shelf", Cut::Whole),
    ("units", Cut::Whole),
    ("texts", Cut::Whole),
    ("points_ledger", Cut::Whole),
    ("lines", Cut::Whole),
    ("applied", Cut::Whole),
    ("gifts", Cut::Whole),
    ("expiring_soon", Cut::Tail),
    ("coupons", Cut::Tail),
];

/// The same reply with less in it; `None` if even the last step does not make it fit.
fn shorten(success: &Success<Document<'_>>, format: Format) -> Option<Vec<u8>> {
    let mut document = serde_json::to_value(success).ok()?;
    let mut named = Vec::new();
    for (list, cut) in SHORTENED {
        while length(&document, list) > 0 {
            if !named.iter().any(|name| name == list) {
                named.push(Value::from(list));
                document["shortened"] = Value::Array(named.clone());
            }
            let keep = match cut {
                Cut::Tail => length(&document, list) / 2,
                Cut::Whole => 0,
            };
            if let Some(entries) = document["data"][list].as_array_mut() {
                entries.truncate(keep);
            }
            let bytes = format.write(&document);
            if bytes.len() <= limits::WIRE_PAYLOAD_BYTES_MAX {
                return Some(bytes);
            }
        }
    }
    None
}

fn length(document: &Value, list: &str) -> usize {
    document["data"][list].as_array().map_or(0, Vec::len)
}
