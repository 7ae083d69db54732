//! Does the front door take exactly the contract, and does it say what is wrong with everything else?

use aisled::devices::asyncapi;
use aisled::devices::wire::reply::{Problem, Success};
use aisled::devices::wire::status::{DeviceStatus, EngineStatus, Push};
use aisled::devices::wire::{self, Addressed, Format, Refused};
use aisled::domain::basket::{PointsWish, Quantity, TenderKind};
use aisled::domain::calendar::UnixMs;
use aisled::domain::code::Code;
use aisled::domain::ids::{DeviceId, RequestId};
use aisled::domain::member::{Token, TokenKind};
use aisled::domain::money::Money;
use aisled::domain::text::Lang;
use aisled::engine::input::{Body, Request, Sold};
use aisled::engine::reply::{
    Enrolled, Noted, QuoteReply, Receipt, Refund, Refusal, Reply, ScanReply, WalletReply,
};
use aisled::limits;
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
        assert_ne!(from_json.digest, from_messagepack.digest, "the digest is of the bytes");
        assert_eq!(Request { digest: from_json.digest, ..from_messagepack }, from_json, "{op}");
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
    let Body::Quote(quote) = request.body else { panic!("not a quote") };
    assert_eq!(quote.basket.coupons.iter().map(|code| code.as_str()).collect::<Vec<_>>(), ["SAVE-10"]);
    assert_eq!((quote.member, quote.basket.points, quote.at), (None, None, None));
}

/// What is refused, with which code, and how the detail begins.
fn faults() -> Vec<(&'static str, Value, Code, &'static str)> {
    use Code::{
        BadId, BadTime, Duplicate, MalformedPayload, OutOfRange, UnknownField, UnknownOperation,
        UnknownVersion,
    };
    let line = |extra: Value| {
        let mut line = json!({ "line": "1", "sku": "a", "qty": 1 });
        for (key, value) in extra.as_object().expect("an object") {
            line[key] = value.clone();
        }
        quote_of(json!([line]))
    };
    let without = |field: &str| {
        let mut line = json!({ "line": "1", "sku": "a", "qty": 1 });
        line.as_object_mut().expect("an object").remove(field);
        quote_of(json!([line]))
    };
    let with = |field: &str, value: Value| {
        let mut document = quote_of(json!([{ "line": "1", "sku": "a", "qty": 1 }]));
        document["data"][field] = value;
        document
    };
    let envelope = |field: &str, value: Value| {
        let mut document = quote_of(json!([{ "line": "1", "sku": "a", "qty": 1 }]));
        document[field] = value;
        document
    };
    let commit = |field: &str, value: Value| {
        let mut document = request(json!({
            "transaction": { "business_day": "2026-11-21", "seq": 1 }, "quote": "q-1", "tenders": []
        }));
        document["data"][field] = value;
        document
    };
    let units = |count: usize, qty: u32| -> Value {
        quote_of((0..count).map(|n| json!({ "line": n.to_string(), "sku": "a", "qty": qty })).collect())
    };
    let card = |value: &str| json!({ "kind": "card", "value": value });
    vec![
        // the envelope
        ("quote", envelope("v", json!(2)), UnknownVersion, "v: this daemon speaks version 1"),
        ("quote", envelope("v", json!("1")), MalformedPayload, "v: must be the whole number 1"),
        ("quote", envelope("v", json!(1.0)), MalformedPayload, "v: must be the whole number 1"),
        ("quote", json!({ "id": "till-01-000184", "data": {} }), UnknownVersion, "v: is missing"),
        ("quote", envelope("id", json!("short")), BadId, "id: a request id is text matching"),
        ("quote", envelope("id", json!("x".repeat(65))), BadId, "id: a request id is text matching"),
        ("quote", envelope("id", json!("till/+/#\u{0}")), BadId, "id: a request id is text matching"),
        ("quote", envelope("id", json!(12_345_678)), MalformedPayload, "id: must be text"),
        ("quote", json!({ "v": 1, "data": {} }), MalformedPayload, "id: is missing"),
        ("quote", json!({ "v": 1, "id": "till-01-000184" }), MalformedPayload, "data: is missing"),
        ("quote", envelope("data", json!([])), MalformedPayload, "data: a list where an object is needed"),
        ("quote", envelope("data", json!(null)), MalformedPayload, "data: null where an object is needed"),
        (
            "quote",
            envelope("extra", json!(1)),
            UnknownField,
            "extra: version 1 knows no such field here; it knows v, id",
        ),
        ("quote", envelope("at", json!("2026-11-21 10:00")), BadTime, "at: a time is RFC 3339"),
        (
            "quote",
            envelope("at", json!(1_795_000_000)),
            MalformedPayload,
            "at: a whole number where text is needed",
        ),
        ("refund", envelope("at", json!(null)), UnknownOperation, "the topic ends in none of scan"),
        // unknown and missing fields at every level
        ("quote", with("baskets", json!(1)), UnknownField, "data.baskets: version 1 knows no such field"),
        (
            "quote",
            line(json!({ "price": 1 })),
            UnknownField,
            "data.basket.lines[0].price: version 1 knows no such",
        ),
        ("quote", with("points", json!({ "spend": 1, "x": 1 })), UnknownField, "data.points.x: version 1"),
        (
            "enroll",
            request(json!({ "token": card("1"), "consent": { "programme": true, "all": true } })),
            UnknownField,
            "data.consent.all: ",
        ),
        ("quote", request(json!({})), MalformedPayload, "data.basket: is missing"),
        ("quote", without("sku"), MalformedPayload, "data.basket.lines[0].sku: is missing"),
        (
            "quote",
            without("qty"),
            MalformedPayload,
            "data.basket.lines[0]: holds neither qty nor weight_grams",
        ),
        (
            "quote",
            line(json!({ "weight_grams": 5 })),
            MalformedPayload,
            "data.basket.lines[0]: holds both qty and",
        ),
        // types
        (
            "quote",
            line(json!({ "qty": 1.0 })),
            MalformedPayload,
            "data.basket.lines[0].qty: a number with a fraction",
        ),
        (
            "quote",
            line(json!({ "qty": "2" })),
            MalformedPayload,
            "data.basket.lines[0].qty: text where a whole number",
        ),
        (
            "quote",
            line(json!({ "qty": true })),
            MalformedPayload,
            "data.basket.lines[0].qty: true or false where a",
        ),
        (
            "quote",
            line(json!({ "sku": 690 })),
            MalformedPayload,
            "data.basket.lines[0].sku: a whole number where text",
        ),
        (
            "quote",
            line(json!({ "sku": null })),
            MalformedPayload,
            "data.basket.lines[0].sku: null where text",
        ),
        ("quote", with("coupons", json!("A")), MalformedPayload, "data.coupons: text where a list is needed"),
        (
            "quote",
            with("coupons", json!({})),
            MalformedPayload,
            "data.coupons: an object where a list is needed",
        ),
        (
            "quote",
            quote_of(json!([["1", "a", 1, null, null]])),
            MalformedPayload,
            "data.basket.lines[0]: a list where an object",
        ),
        (
            "quote",
            with("channel", json!("web")),
            MalformedPayload,
            "data.channel: must be one of till, kiosk, online",
        ),
        (
            "quote",
            with("channel", json!({ "till": null })),
            MalformedPayload,
            "data.channel: must be one of the",
        ),
        (
            "scan",
            request(json!({ "token": { "kind": "face", "value": "x" } })),
            MalformedPayload,
            "data.token.kind: must be one of card, phone, qr, member",
        ),
        (
            "quote",
            with("points", json!({ "spend": "all" })),
            MalformedPayload,
            "data.points.spend: must be a whole number of points or",
        ),
        (
            "quote",
            with("points", json!({ "spend": 1.5 })),
            MalformedPayload,
            "data.points.spend: a number with",
        ),
        // ranges
        ("quote", line(json!({ "qty": 0 })), OutOfRange, "data.basket.lines[0].qty: must be 1 to 2000, is 0"),
        (
            "quote",
            line(json!({ "qty": -3 })),
            OutOfRange,
            "data.basket.lines[0].qty: must be 1 to 2000, is -3",
        ),
        ("quote", line(json!({ "qty": 2001 })), OutOfRange, "data.basket.lines[0].qty: must be 1 to 2000"),
        (
            "quote",
            line(json!({ "qty": null, "weight_grams": 0 })),
            OutOfRange,
            "data.basket.lines[0].weight_grams: must be 1",
        ),
        (
            "quote",
            line(json!({ "qty": null, "weight_grams": 1_000_001 })),
            OutOfRange,
            "data.basket.lines[0].weight_grams",
        ),
        (
            "quote",
            line(json!({ "unit_price": -1 })),
            OutOfRange,
            "data.basket.lines[0].unit_price: must be 0 to",
        ),
        (
            "quote",
            line(json!({ "unit_price": 100_000_000_001_i64 })),
            OutOfRange,
            "data.basket.lines[0].unit_price: must be",
        ),
        (
            "quote",
            line(json!({ "unit_price": u64::MAX })),
            OutOfRange,
            "data.basket.lines[0].unit_price: a number beyond",
        ),
        (
            "quote",
            line(json!({ "unit_price": 1e30 })),
            OutOfRange,
            "data.basket.lines[0].unit_price: a number beyond",
        ),
        ("quote", quote_of(json!([])), OutOfRange, "data.basket.lines: must hold 1 to 500 entries, holds 0"),
        ("quote", units(501, 1), OutOfRange, "data.basket.lines: must hold 1 to 500 entries, holds 501"),
        (
            "quote",
            units(3, 2000),
            OutOfRange,
            "data.basket.lines: a basket holds at most 5000 units, this one 6000",
        ),
        ("quote", with("coupons", json!(vec!["A"; 33])), OutOfRange, "data.coupons: must hold 0 to 32"),
        (
            "quote",
            with("claims", json!([{ "promotion": "p", "times": 0 }])),
            OutOfRange,
            "data.claims[0].times: must be 1",
        ),
        ("quote", with("points", json!({ "spend": 0 })), OutOfRange, "data.points.spend: must be 1 to"),
        (
            "quote",
            with("gift_cards", json!([{ "code": "G", "balance": -1 }])),
            OutOfRange,
            "data.gift_cards[0].balance",
        ),
        (
            "quote",
            with("locale", json!("x".repeat(36))),
            OutOfRange,
            "data.locale: must be 0 to 35 bytes long, is 36",
        ),
        (
            "commit",
            commit("tenders", json!([{ "kind": "cash", "amount": -5 }])),
            OutOfRange,
            "data.tenders[0].amount",
        ),
        (
            "commit",
            commit("tenders", json!(vec![json!({ "kind": "cash", "amount": 1 }); 17])),
            OutOfRange,
            "data.tenders: ",
        ),
        (
            "commit",
            commit("transaction", json!({ "business_day": "2026-11-21", "seq": -1 })),
            OutOfRange,
            "data.transaction.seq",
        ),
        ("commit", commit("charged", json!({ "total": -1 })), OutOfRange, "data.charged.total: must be 0"),
        ("feedback", request(json!({ "score": 11 })), OutOfRange, "data.score: must be 0 to 10, is 11"),
        ("feedback", request(json!({ "score": -1 })), OutOfRange, "data.score: must be 0 to 10"),
        (
            "feedback",
            request(json!({ "score": 5, "text": "快".repeat(1366) })),
            OutOfRange,
            "data.text: must be 0 to 4096 bytes",
        ),
        (
            "scan",
            request(json!({ "token": card("") })),
            OutOfRange,
            "data.token.value: must be 1 to 128 bytes",
        ),
        (
            "scan",
            request(json!({ "token": card(&"1".repeat(129)) })),
            OutOfRange,
            "data.token.value: must be 1 to 128",
        ),
        // names
        (
            "quote",
            line(json!({ "line": "" })),
            BadId,
            "data.basket.lines[0].line: a line id is text matching",
        ),
        ("quote", line(json!({ "sku": "a b" })), BadId, "data.basket.lines[0].sku: a sku is text matching"),
        ("quote", line(json!({ "sku": "../#\u{202e}" })), BadId, "data.basket.lines[0].sku: a sku is text"),
        ("quote", with("coupons", json!(["OK", "优惠"])), BadId, "data.coupons[1]: a coupon code is text"),
        ("quote", with("coupons", json!(["x".repeat(60_000)])), BadId, "data.coupons[0]: a coupon code"),
        ("scan", request(json!({ "token": card("1"), "zone": "a/+" })), BadId, "data.zone: a zone is text"),
        (
            "scan",
            request(json!({ "token": card("a\nb") })),
            BadId,
            "data.token.value: a token is text without",
        ),
        (
            "scan",
            request(json!({ "token": { "kind": "phone", "value": "n/a" } })),
            BadId,
            "data.token.value: a phone number has 5 to 20",
        ),
        (
            "return",
            request(
                json!({ "original": { "device": "till/2", "business_day": "2026-11-21", "seq": 1 }, "transaction": { "business_day": "2026-11-21", "seq": 1 }, "lines": [] }),
            ),
            BadId,
            "data.original.device: a device id",
        ),
        // said twice, or together with what excludes it
        (
            "quote",
            quote_of(
                json!([{ "line": "1", "sku": "a", "qty": 1 }, { "line": "2", "sku": "a", "qty": 1 }, { "line": "1", "sku": "b", "qty": 1 }]),
            ),
            Duplicate,
            "data.basket.lines[2].line: an earlier entry",
        ),
        (
            "quote",
            with("claims", json!([{ "promotion": "p", "times": 1 }, { "promotion": "p", "times": 1 }])),
            Duplicate,
            "data.claims[1].promotion: ",
        ),
        (
            "quote",
            with("gift_cards", json!([{ "code": "G", "balance": 1 }, { "code": "G", "balance": 1 }])),
            Duplicate,
            "data.gift_cards[1].code: ",
        ),
        ("commit", commit("quote", json!(null)), MalformedPayload, "data: holds neither quote nor basket"),
        (
            "commit",
            commit("basket", json!({ "lines": [] })),
            MalformedPayload,
            "data: holds both quote and basket",
        ),
        ("commit", commit("coupons", json!(["A"])), MalformedPayload, "data.coupons: belongs to a basket"),
        (
            "return",
            request(
                json!({ "original": { "business_day": "2026-11-21", "seq": 1 }, "transaction": { "business_day": "2026-11-21", "seq": 2 }, "lines": [{ "line": "1", "qty": 1 }, { "line": "1", "qty": 1 }] }),
            ),
            Duplicate,
            "data.lines[1].line",
        ),
        // times and days
        (
            "commit",
            commit("transaction", json!({ "business_day": "2026-02-30", "seq": 1 })),
            BadTime,
            "data.transaction.business_day: a day is",
        ),
        (
            "commit",
            commit("transaction", json!({ "business_day": "21.11.2026", "seq": 1 })),
            BadTime,
            "data.transaction.business_day",
        ),
        (
            "quote",
            with("at", json!("2026-11-21T10:00:00")),
            BadTime,
            "data.at: a time is RFC 3339 with an offset",
        ),
        (
            "enroll",
            request(json!({ "token": card("1"), "consent": {}, "birthday": "13-01" })),
            BadTime,
            "data.birthday: a month",
        ),
    ]
}

#[test]
fn does_each_fault_get_its_code_and_path_in_both_formats() {
    for (op, document, code, detail) in faults() {
        for bytes in [json_bytes(&document), messagepack_bytes(&document)] {
            let refused = decode(op, &bytes).map(|taken| panic!("taken: {taken:?}")).unwrap_err();
            assert_eq!(refused.refusal.code, code, "{op} {document}: {}", refused.refusal.detail);
            assert!(
                refused.refusal.detail.starts_with(detail),
                "{}\nis not\n{detail}",
                refused.refusal.detail
            );
            let id = document["id"].as_str().and_then(|text| RequestId::new(text).ok());
            assert_eq!(refused.re, id, "the id comes back where it is one: {document}");
        }
    }
}

/// Bytes that are no document at all, with the content type they came with.
fn broken() -> Vec<(&'static str, Vec<u8>, Option<&'static str>, Code, bool)> {
    use Code::{BadUtf8, MalformedPayload, PayloadTooLarge, TooDeep, UnsupportedContentType};
    let head = r#"{"v":1,"id":"till-01-000184","data":"#;
    let with = |rest: &str| format!("{head}{rest}").into_bytes();
    let good = json_bytes(&quote_of(json!([{ "line": "1", "sku": "a", "qty": 1 }])));
    let binary = messagepack_bytes(&quote_of(json!([{ "line": "1", "sku": "a", "qty": 1 }])));
    let binary_head = {
        let mut bytes = vec![0x83, 0xa1, b'v', 1, 0xa2, b'i', b'd', 0xae];
        bytes.extend(b"till-01-000184\xa4data");
        bytes
    };
    let binary_with = |rest: &[u8]| [binary_head.clone(), rest.to_vec()].concat();
    let large = with(&format!("\"{}\"}}", "x".repeat(limits::WIRE_PAYLOAD_BYTES_MAX + 1 - head.len() - 3)));
    assert_eq!(large.len(), limits::WIRE_PAYLOAD_BYTES_MAX + 1);
    vec![
        ("nothing", Vec::new(), None, MalformedPayload, false),
        ("cut off", with(r#"{"basket":{"lines":[{"line":"1""#), None, MalformedPayload, true),
        ("a comma too many", with(r#"{"basket":{"lines":[1,]}}}"#), None, MalformedPayload, true),
        ("more after the end", [good.clone(), b"{}".to_vec()].concat(), None, MalformedPayload, true),
        ("a list", b"[1,2]".to_vec(), None, MalformedPayload, false),
        ("a word", b"\"hello\"".to_vec(), None, MalformedPayload, false),
        ("single quotes", b"{'v':1}".to_vec(), None, MalformedPayload, false),
        ("not a number", with("NaN}"), None, MalformedPayload, true),
        ("a number without end", with("1e999}"), None, MalformedPayload, true),
        (
            "a key twice",
            with(r#"{"token":{"kind":"card","kind":"qr","value":"1"}}}"#),
            None,
            MalformedPayload,
            true,
        ),
        ("the id twice", with(r#"{},"id":"till-01-000185"}"#), None, MalformedPayload, true),
        ("GBK", [with("\""), vec![0xbf, 0xec], b"\"}".to_vec()].concat(), None, BadUtf8, true),
        (
            "GBK before the id",
            [b"{\"data\":\"".to_vec(), vec![0xbf, 0xec], b"\",\"id\":\"till-01-000184\"}".to_vec()].concat(),
            None,
            BadUtf8,
            true,
        ),
        ("half a surrogate", with(r#""\ud800"}"#), None, MalformedPayload, true),
        ("depth 17", with(&"[".repeat(16)), None, TooDeep, true),
        ("depth 10,000", with(&"[".repeat(10_000)), None, TooDeep, true),
        ("depth 10,000 of objects", with(&"{\"a\":".repeat(10_000)), None, TooDeep, true),
        ("64 KiB + 1", large.clone(), None, PayloadTooLarge, true),
        ("64 KiB + 1 of something else", large, Some("text/plain"), PayloadTooLarge, true),
        ("too many values", with(&format!("[{}1]}}", "1,".repeat(20_000))), None, PayloadTooLarge, true),
        ("text", good.clone(), Some("text/plain"), UnsupportedContentType, true),
        ("JSON in GBK", good.clone(), Some("application/json; charset=GBK"), UnsupportedContentType, true),
        ("XML", good.clone(), Some("application/xml"), UnsupportedContentType, true),
        ("a first byte of neither", vec![0xff, 0xd8, 0xff], None, UnsupportedContentType, false),
        ("JSON that says MessagePack", good, Some("application/msgpack"), MalformedPayload, false),
        ("MessagePack that says JSON", binary.clone(), Some("application/json"), BadUtf8, false),
        ("MessagePack cut off", binary[..binary.len() - 1].to_vec(), None, MalformedPayload, true),
        ("MessagePack and more", [binary.clone(), vec![0xc0]].concat(), None, MalformedPayload, true),
        ("MessagePack and an open map", [binary, vec![0x81]].concat(), None, MalformedPayload, true),
        ("MessagePack depth 17", binary_with(&[0x91; 16]), None, TooDeep, true),
        ("MessagePack depth 10,000", binary_with(&[0x91; 10_000]), None, TooDeep, true),
        ("MessagePack depth 10,000 of maps", binary_with(&[0x81, 0xa0].repeat(10_000)), None, TooDeep, true),
        ("MessagePack not UTF-8", binary_with(&[0xa2, 0xbf, 0xec]), None, BadUtf8, true),
        ("MessagePack binary", binary_with(&[0xc4, 1, 0]), None, MalformedPayload, true),
        ("MessagePack extension", binary_with(&[0xd4, 1, 0]), None, MalformedPayload, true),
        ("MessagePack timestamp", binary_with(&[0xd6, 0xff, 0, 0, 0, 0]), None, MalformedPayload, true),
        ("MessagePack reserved", binary_with(&[0xc1]), None, MalformedPayload, true),
        ("MessagePack key of a number", binary_with(&[0x81, 0x01, 0x01]), None, MalformedPayload, true),
        (
            "MessagePack four billion entries",
            binary_with(&[0xdd, 0xff, 0xff, 0xff, 0xff]),
            None,
            MalformedPayload,
            true,
        ),
        (
            "MessagePack four billion bytes",
            binary_with(&[0xdb, 0xff, 0xff, 0xff, 0xff]),
            None,
            MalformedPayload,
            true,
        ),
        ("MessagePack list", vec![0x93, 1, 2, 3], None, UnsupportedContentType, false),
    ]
}

#[test]
fn does_each_broken_payload_get_its_code_and_its_id_back() {
    for (what, bytes, content_type, code, id) in broken() {
        let refused = wire::decode("scan", &till(), &bytes, content_type, "sunrise")
            .map(|taken| panic!("{what}: taken {taken:?}"))
            .unwrap_err();
        assert_eq!(refused.refusal.code, code, "{what}: {}", refused.refusal.detail);
        assert_eq!(refused.re.as_ref().map(RequestId::as_str), id.then_some("till-01-000184"), "{what}");
        let binary = what.starts_with("MessagePack") && content_type.is_none() && what != "MessagePack list"
            || content_type == Some("application/msgpack");
        assert_eq!(refused.format, if binary { Format::MessagePack } else { Format::Json }, "{what}");
    }
}

#[test]
fn does_a_fault_name_the_place_it_reached() {
    let detail = |bytes: &[u8]| decode("quote", bytes).expect_err("broken").refusal.detail;
    let text = detail(br#"{"v":1,"data":{"basket":{"lines":[{"line":"1"},{"line":x}]}}}"#);
    assert!(text.starts_with("data.basket.lines[1].line: expected value at line 1"), "{text}");
    let nested = format!("{{\"v\":1,\"data\":{}", "[".repeat(10_000));
    assert!(detail(nested.as_bytes()).starts_with("data[0][0][0]"), "the path of the 17th container");
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
    let to = Addressed { re: Some(&re), format: Format::Json, replayed: false, lang: Lang::En };
    let problem: Value = serde_json::from_slice(&wire::encode(&Err(refusal.clone()), &to)).expect("JSON");
    let expected = json!({
        "v": 1, "re": "till-01-000184", "status": 503, "code": "AIS-2901", "title": "not now",
        "detail": "the disk is slow", "retry_after_ms": 250
    });
    assert_eq!(problem, expected);
    let to = Addressed { re: None, format: Format::MessagePack, replayed: true, lang: Lang::ZhCn };
    let problem: Value = rmp_serde::from_slice(&wire::encode(&Err(refusal), &to)).expect("MessagePack");
    assert_eq!((&problem["re"], &problem["title"]), (&Value::Null, &json!("暂时繁忙")));
    assert_eq!(problem["replayed"], json!(true));
}

proptest! {
    #[test]
    fn do_arbitrary_bytes_ever_harm(bytes in prop::collection::vec(any::<u8>(), 0..400), op in 0..10_usize) {
        let op = wire::OPERATIONS.get(op).copied().unwrap_or("other");
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

// --- the published contract ---

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
    for op in wire::OPERATIONS {
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
    let check: [(&str, fn(&Value)); 9] = [
        ("scan", same::<ScanReply>),
        ("quote", same::<QuoteReply>),
        ("commit", same::<Receipt>),
        ("void", same::<Refund>),
        ("return", same::<Refund>),
        ("feedback", same::<Noted>),
        ("event", same::<Noted>),
        ("enroll", same::<Enrolled>),
        ("wallet", same::<WalletReply>),
    ];
    for (op, same) in check {
        examples(&document, &format!("{op}Reply")).iter().for_each(same);
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
    for payload in examples(&document, "push") {
        let read: Push = serde_json::from_value(payload.clone()).expect("a push");
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
        let to = Addressed { re: Some(&re), format, replayed: true, lang: Lang::En };
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
        let some = read(260);
        assert_eq!(some.shortened, ["near", "not_applied"]);
        assert_eq!((some.data.figures.lines.len(), some.data.units.len()), (260, 260));
        let kept = some.data.figures.not_applied.len();
        assert!(kept > 0 && kept < 260, "the explanations lose their end only: {kept}");
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
    let to = Addressed { re: None, format: Format::Json, replayed: false, lang: Lang::En };
    let bytes = wire::encode(&Ok(Reply::Commit(Box::new(receipt))), &to);
    let problem: Problem = serde_json::from_slice(&bytes).expect("a problem");
    assert_eq!(problem.code, Code::PayloadTooLarge);
    let refusal = Refusal::new(Code::MalformedPayload, "快".repeat(limits::WIRE_PAYLOAD_BYTES_MAX));
    assert!(wire::encode(&Err(refusal), &to).len() < 2 * limits::DETAIL_BYTES_MAX);
}
