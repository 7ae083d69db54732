//! Is the published contract what the types say, and does every example in it hold?

use aisled::devices::asyncapi;
use aisled::devices::topic::Op;
use aisled::devices::wire::reply::{Problem, Success};
use aisled::devices::wire::status::{DeviceStatus, EngineStatus, PricePush, Push, SegmentMoves};
use aisled::devices::wire::{self, Addressed, Format};
use aisled::domain::code::Code;
use aisled::domain::ids::RequestId;
use aisled::domain::text::Lang;
use aisled::engine::reply::{
    Enrolled, Noted, QuoteReply, Receipt, Refund, Refusal, Reply, ScanReply, WalletReply,
};
use aisled::limits;
use serde_json::{Value, json};

use super::{decode, json_bytes, messagepack_bytes};

/// Every example of a message of the published document.
fn examples(document: &Value, message: &str) -> Vec<Value> {
    let listed = document["components"]["messages"][message]["examples"].as_array();
    let listed = listed.unwrap_or_else(|| panic!("{message} has no examples"));
    assert!(!listed.is_empty(), "{message} has no examples");
    listed.iter().map(|example| example["payload"].clone()).collect()
}

#[test]
fn is_the_published_asyncapi_what_the_types_say() {
    let path = std::path::Path::new(env!("CARGO_MANIFEST_DIR")).join("config/asyncapi.yaml");
    let made = asyncapi::yaml();
    if std::env::var_os("AISLED_WRITE").is_some() {
        std::fs::write(&path, &made).expect("the checked-in file can be written");
    }
    let checked_in = std::fs::read_to_string(&path).expect("the contract is checked in");
    let differs = made.lines().zip(checked_in.lines()).position(|(a, b)| a != b);
    assert!(
        made == checked_in,
        "line {differs:?}: AISLED_WRITE=1 cargo test --test wire asyncapi, and look at the diff"
    );
}

#[test]
fn does_every_request_of_the_asyncapi_decode() {
    let document = asyncapi::document();
    for op in Op::ALL.map(Op::as_str) {
        for payload in examples(&document, &format!("{op}Request")) {
            for bytes in [json_bytes(&payload), messagepack_bytes(&payload)] {
                let (_, request) =
                    decode(op, &bytes).unwrap_or_else(|refused| panic!("{op}: {refused:?} {payload}"));
                let named = serde_json::to_value(&request.body).expect("a body");
                let expected = if op == "void" { "void" } else { op };
                assert!(named.get(expected).is_some(), "{op} became {named}");
            }
        }
    }
}

#[test]
fn does_every_reply_of_the_asyncapi_read_back() {
    fn same<D: serde::Serialize + serde::de::DeserializeOwned>(payload: &Value) {
        let read: Success<D> =
            serde_json::from_value(payload.clone()).unwrap_or_else(|error| panic!("{error}: {payload}"));
        assert_eq!(&serde_json::to_value(read).expect("a reply"), payload);
    }
    let document = asyncapi::document();
    for op in Op::ALL {
        let same = match op {
            Op::Scan => same::<ScanReply>,
            Op::Quote => same::<QuoteReply>,
            Op::Commit => same::<Receipt>,
            Op::Void | Op::Return => same::<Refund>,
            Op::Feedback | Op::Event => same::<Noted>,
            Op::Enroll => same::<Enrolled>,
            Op::Wallet => same::<WalletReply>,
        };
        examples(&document, &format!("{}Reply", op.as_str())).iter().for_each(same);
    }
    for payload in examples(&document, "problem") {
        let read: Problem = serde_json::from_value(payload.clone()).expect("a problem");
        assert_eq!((read.status, read.title.as_str()), (read.code.status(), read.code.title(Lang::En)));
        assert_eq!(serde_json::to_value(read).expect("a problem"), payload);
    }
    for payload in examples(&document, "engineStatus") {
        let read: EngineStatus = serde_json::from_value(payload.clone()).expect("a status");
        assert_eq!(serde_json::from_slice::<Value>(&read.encode()).expect("JSON"), payload);
    }
    for payload in examples(&document, "deviceStatus") {
        for bytes in [json_bytes(&payload), messagepack_bytes(&payload)] {
            let read = DeviceStatus::decode(&bytes).expect("a status");
            assert_eq!(serde_json::to_value(read).expect("a status"), payload);
        }
    }
    for payload in examples(&document, "pricePush") {
        let read: PricePush = serde_json::from_value(payload.clone()).expect("a push of prices");
        assert_eq!(serde_json::to_value(read).expect("a push of prices"), payload);
    }
    for payload in examples(&document, "push") {
        let read: Push<Value> = serde_json::from_value(payload.clone()).expect("a push");
        assert_eq!(serde_json::to_value(read).expect("a push"), payload);
    }
    for payload in examples(&document, "segmentMoves") {
        let read: Push<SegmentMoves> = serde_json::from_value(payload.clone()).expect("a push");
        assert_eq!(serde_json::to_value(read).expect("a push"), payload);
    }
}

#[test]
fn does_every_reference_of_the_asyncapi_lead_somewhere() {
    fn walk<'a>(value: &'a Value, found: &mut Vec<&'a str>) {
        match value {
            Value::Object(map) => {
                found.extend(map.get("$ref").and_then(Value::as_str));
                map.values().for_each(|value| walk(value, found));
            }
            Value::Array(list) => list.iter().for_each(|value| walk(value, found)),
            _ => {}
        }
    }
    let document = asyncapi::document();
    let mut found = Vec::new();
    walk(&document, &mut found);
    assert!(found.len() > 100, "only {} references", found.len());
    for reference in found {
        let pointer = reference.strip_prefix('#').expect("within the document");
        assert!(document.pointer(pointer).is_some(), "{reference} leads nowhere");
    }
}

#[test]
fn which_device_statuses_are_refused() {
    let refused = |payload: &[u8]| DeviceStatus::decode(payload).expect_err("not a status").code;
    assert_eq!(refused(br#"{"v":2,"state":"online"}"#), Code::UnknownVersion);
    assert_eq!(refused(br#"{"v":1,"state":"asleep"}"#), Code::MalformedPayload);
    assert_eq!(refused(br#"{"v":1,"state":"online","x":1}"#), Code::UnknownField);
    assert_eq!(refused(br#"{"v":1,"state":"online","since":"today"}"#), Code::BadTime);
    assert_eq!(refused(b""), Code::MalformedPayload);
    assert_eq!(refused(&[b' '; limits::WIRE_PAYLOAD_BYTES_MAX + 1]), Code::PayloadTooLarge);
    let long = format!(r#"{{"v":1,"state":"online","software":"{}"}}"#, "x".repeat(65));
    assert_eq!(refused(long.as_bytes()), Code::OutOfRange);
}

/// A receipt of so many lines, made from the published example.
fn receipt_of(lines: usize) -> Receipt {
    let document = asyncapi::document();
    let mut data = examples(&document, "commitReply")[0]["data"].clone();
    for list in ["lines", "units", "not_applied"] {
        let pattern = data[list][0].clone();
        data[list] = (0..lines)
            .map(|n| {
                let mut entry = pattern.clone();
                if list != "not_applied" {
                    entry["line"] = json!(format!("line-{n}"));
                }
                entry
            })
            .collect();
    }
    serde_json::from_value(data).expect("still a receipt")
}

#[test]
fn what_gives_way_when_a_reply_is_too_large() {
    let re = RequestId::new("till-01-000184").expect("an id");
    for format in [Format::Json, Format::MessagePack] {
        let to = Addressed { re: Some(&re), format, replayed: true, degraded: false, lang: Lang::En };
        let read = |lines: usize| -> Success<Receipt> {
            let bytes = wire::encode(&Ok(Reply::Commit(Box::new(receipt_of(lines)))), &to);
            assert!(bytes.len() <= limits::WIRE_PAYLOAD_BYTES_MAX, "{lines} lines take {}", bytes.len());
            match format {
                Format::Json => serde_json::from_slice(&bytes).expect("a reply"),
                Format::MessagePack => rmp_serde::from_slice(&bytes).expect("a reply"),
            }
        };
        let whole = read(30);
        assert_eq!((whole.shortened.len(), whole.data), (0, receipt_of(30)));
        let (lines, some) = (30..500)
            .step_by(10)
            .map(|lines| (lines, read(lines)))
            .find(|(_, reply)| !reply.shortened.is_empty())
            .expect("500 lines are too many");
        assert_eq!(some.shortened, ["near", "not_applied"]);
        assert_eq!((some.data.figures.lines.len(), some.data.units.len()), (lines, lines));
        let kept = some.data.figures.not_applied.len();
        assert!(kept > 0 && kept < lines, "the explanations lose their end only: {kept} of {lines}");
        let much = read(500);
        assert_eq!(much.shortened[..3], ["near", "not_applied", "units"]);
        let expected = receipt_of(500);
        assert_eq!(
            (much.data.decision, much.data.figures.total),
            (expected.decision, expected.figures.total)
        );
        assert_eq!(much.data.coupons_issued, expected.coupons_issued);
        assert!(much.replayed);
    }
}

#[test]
fn what_if_nothing_makes_a_reply_small_enough() {
    let mut receipt = receipt_of(1);
    receipt.decision = "x".repeat(limits::WIRE_PAYLOAD_BYTES_MAX);
    let to = Addressed { re: None, format: Format::Json, replayed: false, degraded: false, lang: Lang::En };
    let bytes = wire::encode(&Ok(Reply::Commit(Box::new(receipt))), &to);
    let problem: Problem = serde_json::from_slice(&bytes).expect("a problem");
    assert_eq!(problem.code, Code::PayloadTooLarge);
    let refusal = Refusal::new(Code::MalformedPayload, "快".repeat(limits::WIRE_PAYLOAD_BYTES_MAX));
    assert!(wire::encode(&Err(refusal), &to).len() < 2 * limits::DETAIL_BYTES_MAX);
}
