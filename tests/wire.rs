//! Does the front door take exactly the contract, and does it say what is wrong with everything else?

#[path = "wire/published.rs"]
mod published;
#[path = "wire/refusals.rs"]
mod refusals;

use aisled::devices::topic::Op;
use aisled::devices::wire::{self, Addressed, Format, Refused};
use aisled::domain::basket::{PointsWish, Quantity, TenderKind};
use aisled::domain::calendar::UnixMs;
use aisled::domain::code::Code;
use aisled::domain::ids::{DeviceId, RequestId};
use aisled::domain::member::{Token, TokenKind};
use aisled::domain::money::Money;
use aisled::domain::text::Lang;
use aisled::engine::input::{Body, Request, Sold};
use aisled::engine::reply::Refusal;
use proptest::prelude::*;
use serde_json::{Value, json};

fn till() -> DeviceId {
    DeviceId::new("till-01").expect("an id")
}

fn decode(op: &str, payload: &[u8]) -> Result<(Format, Request), Refused> {
    wire::decode(op, &till(), payload, None, "sunrise")
}

fn json_bytes(document: &Value) -> Vec<u8> {
    serde_json::to_vec(document).expect("a value of the test")
}

fn messagepack_bytes(document: &Value) -> Vec<u8> {
    rmp_serde::to_vec_named(document).expect("a value of the test")
}

fn request(data: Value) -> Value {
    json!({ "v": 1, "id": "till-01-000184", "data": data })
}

fn quote_of(lines: Value) -> Value {
    request(json!({ "basket": { "lines": lines } }))
}

/// A document of each operation with every field it may have.
fn full() -> Vec<(&'static str, Value)> {
    let token = json!({ "kind": "card", "value": "2990000012345" });
    let lines = json!([
        { "line": "1", "sku": "6901234567892", "qty": 2, "unit_price": 1250 },
        { "line": "2", "sku": "2100017", "weight_grams": 756 }
    ]);
    let priced = json!({
        "basket": { "lines": lines }, "member": token, "coupons": ["SAVE-10", "XMAS"], "points": { "spend": 500 },
        "claims": [{ "promotion": "tea-set", "times": 1 }], "gift_cards": [{ "code": "GC-1", "balance": 5000 }],
        "at": "2026-11-21T18:31:07+08:00", "channel": "kiosk", "zone": "checkout-2", "locale": "en-GB"
    });
    let key = json!({ "business_day": "2026-11-21", "seq": 184 });
    let mut commit = priced.clone();
    commit["transaction"] = key.clone();
    commit["tenders"] = json!([{ "kind": "cash", "amount": 3000 }, { "kind": "gift_card", "amount": 100 }]);
    commit["training"] = json!(true);
    commit["charged"] =
        json!({ "total": 3100, "lines": [{ "line": "1", "net": 2400 }], "at": "2026-11-21T18:31:07+08:00" });
    let original = json!({ "device": "till-02", "business_day": "2026-11-20", "seq": 7 });
    vec![
        ("scan", json!({ "token": token, "zone": "entrance", "locale": "zh-CN" })),
        ("quote", priced),
        ("commit", commit),
        ("commit", json!({ "transaction": key, "quote": "q-17-3", "tenders": [] })),
        ("void", json!({ "transaction": key })),
        ("return", json!({ "original": original, "transaction": key, "lines": [{ "line": "1", "qty": 1 }] })),
        ("feedback", json!({ "transaction": original, "score": 9, "topic": "queue", "text": "快" })),
        ("event", json!({ "kind": "try_on", "sku": "6901234567892", "zone": "fitting-1", "member": token })),
        ("enroll", json!({ "token": token, "consent": { "programme": true, "personal": false }, "birthday": "08-15" })),
        ("wallet", json!({ "member": token })),
    ]
    .into_iter()
    .map(|(op, data)| {
        let mut whole = request(data);
        whole["at"] = json!("2026-11-21T10:31:08Z");
        (op, whole)
    })
    .collect()
}

#[test]
fn is_every_field_of_every_operation_taken_in_both_formats() {
    for (op, document) in full() {
        let (format, from_json) =
            decode(op, &json_bytes(&document)).unwrap_or_else(|refused| panic!("{op}: {refused:?}"));
        assert_eq!(format, Format::Json);
        let (format, from_messagepack) =
            decode(op, &messagepack_bytes(&document)).unwrap_or_else(|refused| panic!("{op}: {refused:?}"));
        assert_eq!(format, Format::MessagePack);
        assert_eq!(from_json.digest, from_messagepack.digest, "one document, whatever it is written in");
        assert_ne!(from_json.sent, from_messagepack.sent, "and other bytes");
        assert_eq!(Request { sent: from_json.sent, ..from_messagepack }, from_json, "{op}");
        assert_eq!(from_json.at, UnixMs::parse_rfc3339("2026-11-21T10:31:08Z"));
        assert_eq!((from_json.device, from_json.id.as_str()), (till(), "till-01-000184"));
    }
}

#[test]
fn what_does_a_full_commit_become() {
    let (_, document) = full().remove(2);
    let (_, request) = decode("commit", &json_bytes(&document)).expect("as documented");
    let Body::Commit(commit) = request.body else { panic!("not a commit") };
    assert_eq!((commit.transaction.device, commit.transaction.seq), (till(), 184));
    assert_eq!(commit.transaction.business_day.to_string(), "2026-11-21");
    assert_eq!(commit.tenders[1].kind, TenderKind::GiftCard);
    assert!(commit.training);
    let charged = commit.charged.expect("sent");
    assert_eq!((charged.total, charged.lines.len()), (Money(3100), 1));
    let Sold::Basket(sold) = commit.sold else { panic!("not a basket") };
    let token = Token { kind: TokenKind::Card, value: "2990000012345".to_owned() };
    assert_eq!(sold.member, Some(token.hash("sunrise")));
    assert_eq!(sold.lang, Some(Lang::En));
    assert_eq!(sold.at, Some(charged.at));
    let basket = sold.basket;
    assert_eq!(basket.lines[0].quantity, Quantity::Units(2));
    assert_eq!((basket.lines[1].quantity, basket.lines[1].unit_price), (Quantity::Grams(756), None));
    assert_eq!(basket.points, Some(PointsWish::Spend(500)));
    assert_eq!(basket.zone.map(|zone| zone.to_string()), Some("checkout-2".to_owned()));
}

#[test]
fn whose_sale_is_meant() {
    let sale = |op: &str, data| match decode(op, &json_bytes(&request(data))).expect("as documented").1.body {
        Body::Return(back) => back.original.device.to_string(),
        Body::Feedback(feedback) => feedback.transaction.expect("sent").device.to_string(),
        Body::Void(transaction) => transaction.device.to_string(),
        other => panic!("{other:?}"),
    };
    let own = json!({ "business_day": "2026-11-21", "seq": 1 });
    let other = json!({ "device": "till-09", "business_day": "2026-11-21", "seq": 1 });
    let lines = json!([{ "line": "1", "qty": 1 }]);
    assert_eq!(sale("return", json!({ "original": own, "transaction": own, "lines": lines })), "till-01");
    assert_eq!(sale("return", json!({ "original": other, "transaction": own, "lines": lines })), "till-09");
    assert_eq!(sale("feedback", json!({ "transaction": other, "score": 0 })), "till-09");
    assert_eq!(sale("void", json!({ "transaction": own })), "till-01");
    let refused =
        decode("void", &json_bytes(&request(json!({ "transaction": other })))).expect_err("not its own");
    assert_eq!(refused.refusal.code, Code::UnknownField, "a device cannot void another's sale");
}

#[test]
fn when_was_a_late_sale_rung_up() {
    let late = |envelope: Option<&str>, charged: Option<&str>| {
        let mut document = request(json!({
            "transaction": { "business_day": "2026-11-21", "seq": 1 }, "quote": "q-1", "tenders": [],
            "charged": { "total": 5, "at": charged }
        }));
        document["at"] = json!(envelope);
        match decode("commit", &json_bytes(&document)) {
            Ok((_, Request { body: Body::Commit(commit), .. })) => {
                Ok(commit.charged.expect("sent").at.to_string())
            }
            Ok(other) => panic!("{other:?}"),
            Err(refused) => Err(refused.refusal.detail),
        }
    };
    let (noon, one) = ("2026-11-21T12:00:00Z", "2026-11-21T13:00:00Z");
    assert_eq!(late(Some(noon), None), Ok("2026-11-21T12:00:00.000Z".to_owned()));
    assert_eq!(late(Some(noon), Some(one)), Ok("2026-11-21T13:00:00.000Z".to_owned()));
    assert_eq!(late(None, None), Err("data.charged.at: is missing, and so is the envelope's at".to_owned()));
}

#[test]
fn does_null_mean_absent_and_a_repeated_coupon_once() {
    let document = request(json!({
        "basket": { "lines": [{ "line": "1", "sku": "a", "qty": 1, "weight_grams": null, "unit_price": null }] },
        "member": null, "coupons": [" save-10 ", "SAVE-10"], "points": null, "at": null
    }));
    let (_, request) = decode("quote", &json_bytes(&document)).expect("null is absent");
    let Body::Quote { asked: quote, .. } = request.body else { panic!("not a quote") };
    assert_eq!(quote.basket.coupons.iter().map(|code| code.as_str()).collect::<Vec<_>>(), ["SAVE-10"]);
    assert_eq!((quote.member, quote.basket.points, quote.at), (None, None, None));
}

#[test]
fn are_content_types_taken_as_they_are_written() {
    let json = json_bytes(&full()[0].1);
    let binary = messagepack_bytes(&full()[0].1);
    let bom = [b"\xef\xbb\xbf".as_slice(), &json].concat();
    let spaced = [b" \r\n\t".as_slice(), &json].concat();
    for (bytes, content_type) in [
        (&json, None),
        (&json, Some("application/json")),
        (&json, Some("Application/JSON; charset=\"UTF-8\"")),
        (&bom, None),
        (&bom, Some("application/json")),
        (&spaced, None),
        (&binary, None),
        (&binary, Some("application/msgpack")),
    ] {
        let taken = wire::decode("scan", &till(), bytes, content_type, "sunrise");
        assert!(taken.is_ok(), "{content_type:?}: {taken:?}");
    }
}

#[test]
fn does_a_refusal_or_a_request_repeat_what_a_member_showed() {
    let secret = "13800138000";
    let mut documents = vec![
        request(json!({ "token": { "kind": secret, "value": secret } })),
        request(json!({ "token": secret })),
        request(json!({ "token": { "kind": "phone", "value": secret }, "zone": secret.repeat(4) })),
        request(json!({ "token": { "kind": "phone", "value": 13_800_138_000_u64 } })),
    ];
    documents.push(json!({ "v": 1, "id": "till-01-000184", "at": secret, "data": {} }));
    for document in documents {
        let refused = decode("scan", &json_bytes(&document)).expect_err("not the contract");
        assert!(!refused.refusal.detail.contains(secret), "{}", refused.refusal.detail);
    }
    let taken =
        decode("scan", &json_bytes(&request(json!({ "token": { "kind": "phone", "value": secret } }))));
    assert!(!format!("{:?}", taken.expect("the contract")).contains(secret));
}

#[test]
fn how_does_a_problem_look() {
    let refusal = Refusal::later(Code::Busy, "the disk is slow", 250);
    let re = RequestId::new("till-01-000184").expect("an id");
    let to =
        Addressed { re: Some(&re), format: Format::Json, replayed: false, degraded: false, lang: Lang::En };
    let problem: Value = serde_json::from_slice(&wire::encode(&Err(refusal.clone()), &to)).expect("JSON");
    let expected = json!({
        "v": 1, "re": "till-01-000184", "status": 503, "code": "AIS-2901", "title": "not now",
        "detail": "the disk is slow", "retry_after_ms": 250
    });
    assert_eq!(problem, expected);
    let to = Addressed {
        re: None,
        format: Format::MessagePack,
        replayed: true,
        degraded: false,
        lang: Lang::ZhCn,
    };
    let problem: Value = rmp_serde::from_slice(&wire::encode(&Err(refusal), &to)).expect("MessagePack");
    assert_eq!((&problem["re"], &problem["title"]), (&Value::Null, &json!("暂时繁忙")));
    assert_eq!(problem["replayed"], json!(true));
}

proptest! {
    #[test]
    fn do_arbitrary_bytes_ever_harm(bytes in prop::collection::vec(any::<u8>(), 0..400), op in 0..10_usize) {
        let op = Op::ALL.get(op).map_or("other", |op| op.as_str());
        for content_type in [None, Some("application/json"), Some("application/msgpack")] {
            let _ = wire::decode(op, &till(), &bytes, content_type, "sunrise");
        }
    }

    /// A good document with one byte changed, removed or doubled: close enough to reach every check.
    #[test]
    fn does_a_bent_document_ever_harm(which in 0..10_usize, place in any::<prop::sample::Index>(), byte: u8, how in 0..3, binary: bool) {
        let (op, document) = full().swap_remove(which);
        let mut bytes = if binary { messagepack_bytes(&document) } else { json_bytes(&document) };
        let place = place.index(bytes.len());
        match how {
            0 => bytes[place] = byte,
            1 => { bytes.remove(place); }
            _ => bytes.insert(place, byte),
        }
        if let Err(refused) = decode(op, &bytes) {
            prop_assert!(refused.encode(Lang::En).len() <= 4_096, "a problem is a short document");
        }
    }

    #[test]
    fn is_a_document_the_same_request_in_both_formats(document in quote_like()) {
        let json = decode("quote", &json_bytes(&document)).map(|(_, request)| request.body);
        let binary = decode("quote", &messagepack_bytes(&document)).map(|(_, request)| request.body);
        match (json, binary) {
            (Ok(json), Ok(binary)) => prop_assert_eq!(json, binary),
            (Err(json), Err(binary)) => {
                prop_assert_eq!(json.re, binary.re);
                prop_assert_eq!(json.refusal, binary.refusal);
            }
            (json, binary) => prop_assert!(false, "{:?} and {:?}", json, binary),
        }
    }
}

/// Quotes with odd values among the good ones.
fn quote_like() -> impl Strategy<Value = Value> {
    let odd = prop_oneof![
        8 => (1_i64..2_000).prop_map(Value::from),
        1 => any::<i64>().prop_map(Value::from),
        1 => any::<u64>().prop_map(Value::from),
        1 => any::<f32>().prop_filter("JSON has no NaN", |f| f.is_finite()).prop_map(|f| json!(f64::from(f))),
        1 => "\\PC{0,12}".prop_map(Value::from),
        1 => Just(Value::Null),
        1 => Just(json!([])),
        1 => Just(json!({})),
    ];
    let name = prop_oneof![8 => "[A-Za-z0-9._:/-]{1,12}", 1 => "\\PC{0,70}"];
    let line = (name.clone(), name.clone(), odd.clone(), prop::option::of(odd.clone())).prop_map(
        |(line, sku, qty, price)| json!({ "line": line, "sku": sku, "qty": qty, "unit_price": price }),
    );
    (prop::collection::vec(line, 0..6), prop::collection::vec(name, 0..3), prop::option::of(odd)).prop_map(
        |(lines, coupons, spend)| {
            let points = spend.map(|spend| json!({ "spend": spend }));
            request(json!({ "basket": { "lines": lines }, "coupons": coupons, "points": points }))
        },
    )
}
