//! The contract as a document: AsyncAPI 3.0, with schemas from the types that `wire` reads and writes.
//!
//! `config/asyncapi.yaml` is `yaml()` checked in; a test holds the two together, so what a vendor codes against cannot
//! differ from what the daemon does. Everything in it comes from the code: schemas and their words from the types and
//! their documentation, problems from `domain::code`, bounds from `limits`, examples from `examples` (each of which a
//! test decodes). `guide.md` beside this file is what people read first.

mod examples;
mod yaml;

use schemars::JsonSchema;
use schemars::generate::{SchemaGenerator, SchemaSettings};
use serde_json::{Map, Value, json};

use crate::domain::code::Code;
use crate::domain::text::Lang;
use crate::engine::reply::{Enrolled, Noted, QuoteReply, Receipt, Refund, ScanReply, WalletReply};
use crate::limits;

use super::topic::Op;
use super::wire::reply::{Problem, Success};
use super::wire::request::{
    CommitData, EnrollData, Envelope, EventData, FeedbackData, QuoteData, ReturnData, ScanData, VoidData,
    WalletData,
};
use super::wire::status::{DeviceStatus, EngineStatus, PricePush, Push, SegmentMoves};
use super::wire::{Format, VERSION};
use examples::Example;

/// Root of all topics.
const ROOT: &str = "aisle/1/{store}";

/// The contract as YAML.
pub fn yaml() -> String {
    let head = "# Made from the Rust types: AISLED_WRITE=1 cargo test --test wire asyncapi. Do not edit.\n";
    let document = document();
    format!("{head}{}", document.as_object().map(yaml::write).unwrap_or_default())
}

/// The contract as a value.
pub fn document() -> Value {
    let mut schemas = Schemas::new();
    let mut messages = Map::new();
    let mut channels = Map::new();
    let mut operations = Map::new();
    for op in Op::ALL {
        let (asked, answered, about) = schemas.of_operation(op);
        let level = op.as_str();
        messages.insert(format!("{level}Request"), request_message(op, about, &asked));
        messages.insert(format!("{level}Reply"), reply_message(op, &answered));
        channels.insert(
            format!("{level}Request"),
            json!({
                "address": format!("{ROOT}/dev/{{device}}/req/{level}"),
                "title": format!("Ask: {level}"),
                "description": about,
                "parameters": parameters(&["store", "device"]),
                "messages": { (format!("{level}Request")): reference("messages", &format!("{level}Request")) },
            }),
        );
        operations.insert(level.to_owned(), operation(op, about));
    }
    messages.insert("problem".to_owned(), problem_message(&schemas.reply::<Problem>()));
    let status_messages = [
        (
            "deviceStatus",
            schemas.request::<DeviceStatus>(),
            "A device is there, or is not",
            examples::device_status(),
        ),
        (
            "engineStatus",
            schemas.reply::<EngineStatus>(),
            "The engine is there, or is not, and what it takes",
            examples::engine_status(),
        ),
        (
            "pricePush",
            schemas.reply::<PricePush>(),
            "Prices for the shelf, for a gateway of labels",
            examples::price_push(),
        ),
        (
            "push",
            schemas.reply::<Push<Map<String, Value>>>(),
            "Something for a device that it did not ask for",
            examples::push(),
        ),
        (
            "segmentMoves",
            schemas.reply::<Push<SegmentMoves>>(),
            "A member entered or left segments (kind `segments`)",
            examples::segment_moves(),
        ),
    ];
    for (name, schema, title, shown) in status_messages {
        messages.insert(
            name.to_owned(),
            json!({
                "name": name,
                "title": title,
                "contentType": Format::Json.content_type(),
                "payload": schema,
                "examples": listed(shown),
            }),
        );
    }
    channels.extend(other_channels());
    operations.extend(other_operations());
    json!({
        "asyncapi": "3.0.0",
        "info": {
            "title": "aisled device contract",
            "version": "1.0.0",
            "description": guide(),
            "license": { "name": "Apache-2.0", "url": "https://www.apache.org/licenses/LICENSE-2.0" },
        },
        "defaultContentType": Format::Json.content_type(),
        "servers": servers(),
        "channels": channels,
        "operations": operations,
        "components": {
            "schemas": schemas.all(),
            "messages": messages,
            "parameters": {
                "store": { "description": "The shop: `[a-z0-9-]{1,32}`.", "examples": ["s01"] },
                "device": { "description": "Your device, which is also your MQTT user name: `[a-z0-9-]{1,32}`.", "examples": ["till-01"] },
                "instance": { "description": "Your program, by your own choice: `[a-z0-9-]{1,32}`; `v3` with MQTT 3.1.1.", "default": "v3", "examples": ["v3", "main"] },
                "kind": { "description": "What it is about: `[a-z0-9-]{1,32}`." },
            },
            "securitySchemes": {
                "devicePassword": {
                    "type": "userPassword",
                    "description": "User name: the device id. Password: made for the device by whoever runs the shop's box. A device can only speak for itself: it may publish below its own `dev/{device}/req/` and to its `status`, and hear its own `rep/`, `evt/` and the engine's status.",
                },
            },
        },
    })
}

/// Requests are schemas of what may be sent, replies of what will come: the two differ in what is required.
struct Schemas {
    requests: SchemaGenerator,
    replies: SchemaGenerator,
}

impl Schemas {
    fn new() -> Schemas {
        let settings = || {
            SchemaSettings::draft07()
                .with(|settings| settings.definitions_path = "/components/schemas".into())
        };
        Schemas {
            requests: settings().for_deserialize().into_generator(),
            replies: settings().for_serialize().into_generator(),
        }
    }

    fn request<T: JsonSchema>(&mut self) -> Value {
        self.requests.subschema_for::<T>().into()
    }

    fn reply<T: JsonSchema>(&mut self) -> Value {
        self.replies.subschema_for::<T>().into()
    }

    /// Schemas of an operation's request and reply, and what it is for.
    fn of_operation(&mut self, op: Op) -> (Value, Value, &'static str) {
        match op {
            Op::Scan => (
                self.request::<Envelope<'static, ScanData<'static>>>(),
                self.reply::<Success<ScanReply>>(),
                "A member shows up at a kiosk or till: who is it, what is open to them, what to suggest. An unknown token is no error.",
            ),
            Op::Quote => (
                self.request::<Envelope<'static, QuoteData<'static>>>(),
                self.reply::<Success<QuoteReply>>(),
                "What would this basket cost, why, and what would make it cheaper. Scarce things are held until the quote expires.",
            ),
            Op::Commit => (
                self.request::<Envelope<'static, CommitData<'static>>>(),
                self.reply::<Success<Receipt>>(),
                "The sale happened. The reply is the receipt, and comes only once the sale is on disk.",
            ),
            Op::Void => (
                self.request::<Envelope<'static, VoidData<'static>>>(),
                self.reply::<Success<Refund>>(),
                "A sale of this device did not happen after all: money, points and coupons go back.",
            ),
            Op::Return => (
                self.request::<Envelope<'static, ReturnData<'static>>>(),
                self.reply::<Success<Refund>>(),
                "Goods come back, to any till of the shop, at what was paid for each unit.",
            ),
            Op::Feedback => (
                self.request::<Envelope<'static, FeedbackData<'static>>>(),
                self.reply::<Success<Noted>>(),
                "What the shopper thought of it.",
            ),
            Op::Event => (
                self.request::<Envelope<'static, EventData<'static>>>(),
                self.reply::<Success<Noted>>(),
                "What a sensor or kiosk saw.",
            ),
            Op::Enroll => (
                self.request::<Envelope<'static, EnrollData<'static>>>(),
                self.reply::<Success<Enrolled>>(),
                "A new member, known at once in this shop, with or without a line to head office.",
            ),
            Op::Wallet => (
                self.request::<Envelope<'static, WalletData<'static>>>(),
                self.reply::<Success<WalletReply>>(),
                "What a member holds: coupons, points, and what runs out soon.",
            ),
        }
    }

    fn all(mut self) -> Map<String, Value> {
        let mut all = self.requests.take_definitions(true);
        all.extend(self.replies.take_definitions(true));
        all
    }
}

fn reference(kind: &str, name: &str) -> Value {
    json!({ "$ref": format!("#/components/{kind}/{name}") })
}

fn parameters(names: &[&str]) -> Map<String, Value> {
    names.iter().map(|name| ((*name).to_owned(), reference("parameters", name))).collect()
}

fn listed(examples: Vec<Example>) -> Vec<Value> {
    let shown = |example: Example| json!({ "name": example.name, "summary": example.summary, "payload": example.payload });
    examples.into_iter().map(shown).collect()
}

fn request_message(op: Op, about: &str, schema: &Value) -> Value {
    let level = op.as_str();
    json!({
        "name": format!("{level}Request"),
        "title": format!("Request: {level}"),
        "summary": about,
        "contentType": Format::Json.content_type(),
        "correlationId": { "location": "$message.payload#/id", "description": "Comes back as `re`." },
        "payload": schema,
        "bindings": { "mqtt": {
            "bindingVersion": "0.2.0",
            "contentType": Format::Json.content_type(),
            "responseTopic": { "type": "string", "description": "Below your own `rep/`." },
            "correlationData": { "type": "string", "description": "Comes back unchanged." },
        } },
        "examples": listed(examples::requests(op)),
    })
}

fn reply_message(op: Op, schema: &Value) -> Value {
    let level = op.as_str();
    json!({
        "name": format!("{level}Reply"),
        "title": format!("Reply: {level}"),
        "contentType": Format::Json.content_type(),
        "correlationId": { "location": "$message.payload#/re", "description": "The request's `id`." },
        "payload": schema,
        "examples": listed(examples::replies(op)),
    })
}

fn problem_message(schema: &Value) -> Value {
    let example = |code: &Code| {
        let mut payload = json!({
            "v": VERSION, "re": "till-01-20261121-0184", "status": code.status(), "code": code,
            "title": code.title(Lang::En), "detail": code.cause(Lang::En),
        });
        if [429, 503].contains(&code.status()) && *code != Code::Quarantined {
            payload["retry_after_ms"] = json!(1_000);
        }
        json!({ "name": code.to_string(), "summary": code.remedy(Lang::En), "payload": payload })
    };
    json!({
        "name": "problem",
        "title": "Problem",
        "summary": "Why a request was not answered as asked. Act on the code.",
        "contentType": Format::Json.content_type(),
        "correlationId": { "location": "$message.payload#/re", "description": "The request's `id`, where it could be read." },
        "payload": schema,
        "examples": device_codes().map(example).collect::<Vec<_>>(),
    })
}

/// Codes that a device can be answered with: about the request, the shop's rules, and ours.
fn device_codes() -> impl Iterator<Item = &'static Code> {
    Code::ALL.iter().filter(|code| matches!(code.number(), 1_000..3_000 | 9_000..))
}

fn operation(op: Op, about: &str) -> Value {
    let level = op.as_str();
    let kind = match op {
        Op::Scan | Op::Quote | Op::Wallet => {
            "A read: it changes nothing, and its answer is given again only as long as it is in memory."
        }
        Op::Commit | Op::Void | Op::Return | Op::Feedback | Op::Event | Op::Enroll => {
            "A write: durable before the reply, and its answer is given again for weeks, across restarts."
        }
    };
    json!({
        "action": "receive",
        "title": level,
        "summary": about,
        "description": kind,
        "channel": { "$ref": format!("#/channels/{level}Request") },
        "messages": [{ "$ref": format!("#/channels/{level}Request/messages/{level}Request") }],
        "bindings": qos(false),
        "reply": {
            "channel": { "$ref": "#/channels/reply" },
            "messages": [
                { "$ref": format!("#/channels/reply/messages/{level}Reply") },
                { "$ref": "#/channels/reply/messages/problem" },
            ],
        },
    })
}

fn qos(retain: bool) -> Value {
    json!({ "mqtt": { "bindingVersion": "0.2.0", "qos": 1, "retain": retain } })
}

fn other_channels() -> Map<String, Value> {
    let channel = |address: &str, title: &str, names: &[&str], messages: &[String]| {
        let messages: Map<String, Value> =
            messages.iter().map(|name| (name.clone(), reference("messages", name))).collect();
        json!({ "address": format!("{ROOT}/{address}"), "title": title, "parameters": parameters(names), "messages": messages })
    };
    let mut replies: Vec<String> = Op::ALL.iter().map(|op| format!("{}Reply", op.as_str())).collect();
    replies.push("problem".to_owned());
    [
        (
            "reply",
            channel(
                "dev/{device}/rep/{instance}",
                "Answers to a device",
                &["store", "device", "instance"],
                &replies,
            ),
        ),
        (
            "push",
            channel(
                "dev/{device}/evt/{kind}",
                "Pushes to a device",
                &["store", "device", "kind"],
                &["push".to_owned(), "pricePush".to_owned(), "segmentMoves".to_owned()],
            ),
        ),
        (
            "deviceStatus",
            channel(
                "dev/{device}/status",
                "Presence of a device",
                &["store", "device"],
                &["deviceStatus".to_owned()],
            ),
        ),
        (
            "engineStatus",
            channel("svc/engine/status", "Presence of the engine", &["store"], &["engineStatus".to_owned()]),
        ),
    ]
    .map(|(name, channel)| (name.to_owned(), channel))
    .into_iter()
    .collect()
}

fn other_operations() -> Map<String, Value> {
    let operation = |action: &str, name: &str, summary: &str, retain| {
        json!({
            "action": action,
            "summary": summary,
            "channel": { "$ref": format!("#/channels/{name}") },
            "messages": [{ "$ref": format!("#/channels/{name}/messages/{name}") }],
            "bindings": qos(retain),
        })
    };
    [
        ("hearDevices", operation("receive", "deviceStatus", "Each device says that it is there; its last will says that it is not. Retained.", true)),
        ("beThere", operation("send", "engineStatus", "The engine says that it is there, and what it takes; its last will says that it is not. Retained.", true)),
        ("push", operation("send", "push", "The engine tells a device something it did not ask for. Version 1.0 sends none yet; ignore kinds you do not know.", false)),
    ]
    .map(|(name, operation)| (name.to_owned(), operation))
    .into_iter()
    .collect()
}

fn servers() -> Value {
    let broker = json!({ "description": "The shop's box.", "default": "localhost" });
    let security = json!([reference("securitySchemes", "devicePassword")]);
    json!({
        "shop": {
            "host": "{broker}:1883",
            "protocol": "mqtt",
            "protocolVersion": "5.0 or 3.1.1",
            "description": "The broker inside the engine, or the shop's own Mosquitto: one contract, either way.",
            "variables": { "broker": broker },
            "security": security,
        },
        "shopTls": {
            "host": "{broker}:8883",
            "protocol": "secure-mqtt",
            "protocolVersion": "5.0 or 3.1.1",
            "description": "The shop's own Mosquitto with TLS.",
            "variables": { "broker": broker },
            "security": security,
        },
    })
}

fn guide() -> String {
    let problem = |code: &Code| {
        let (en, zh) = (code.title(Lang::En), code.title(Lang::ZhCn));
        format!("| {code} | {} | {en} | {zh} | {} |", code.status(), code.remedy(Lang::En).replace('|', "/"))
    };
    let problems: Vec<String> = device_codes().map(problem).collect();
    [
        ("@REPLAY_DAYS@", limits::REPLAY_DAYS_MIN.to_string()),
        ("@PAYLOAD_BYTES@", limits::WIRE_PAYLOAD_BYTES_MAX.to_string()),
        ("@DEPTH@", limits::WIRE_DEPTH_MAX.to_string()),
        ("@LINES@", limits::BASKET_LINES_MAX.to_string()),
        ("@LINE_UNITS@", limits::LINE_UNITS_MAX.to_string()),
        ("@BASKET_UNITS@", limits::BASKET_UNITS_MAX.to_string()),
        ("@CODE_BYTES@", limits::CODE_BYTES_MAX.to_string()),
        ("@COUPONS@", limits::BASKET_COUPONS_MAX.to_string()),
        ("@PROBLEMS@", problems.join("\n")),
    ]
    .into_iter()
    .fold(include_str!("asyncapi/guide.md").to_owned(), |text, (mark, value)| text.replace(mark, &value))
}
