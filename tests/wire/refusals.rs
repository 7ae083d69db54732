//! Every malformed input the front door may meet: its code, the path of its field, and the id that comes back.

use aisled::devices::wire::{self, Format};
use aisled::domain::code::Code;
use aisled::domain::ids::RequestId;
use aisled::limits;
use serde_json::{Value, json};

use super::{decode, json_bytes, messagepack_bytes, quote_of, request, till};

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
        ("quote", with("coupons", json!(vec!["A"; 257])), OutOfRange, "data.coupons: must hold 0 to 256"),
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
        (
            "event",
            request(json!({ "kind": "pick_up", "order": "W 1" })),
            BadId,
            "data.order: a pick-up order id is text matching",
        ),
        (
            "event",
            request(json!({ "kind": "pick_up", "order": 7 })),
            MalformedPayload,
            "data.order: a whole number where text",
        ),
        ("event", request(json!({ "kind": "pick_up" })), MalformedPayload, "data.order: is missing"),
        (
            "event",
            request(json!({ "kind": "browse", "order": "W-1" })),
            MalformedPayload,
            "data.order: goes with kind pick_up only",
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

/// What it is, the bytes, their content type, the code, and whether the id comes back.
type Broken = (&'static str, Vec<u8>, Option<&'static str>, Code, bool);

/// Bytes that are no document at all.
fn broken() -> Vec<Broken> {
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
