//! Whatever a device sends gets an answer with a code, and nothing else changes: after each of them the daemon prices
//! a good basket as before, and at the end it still has every sale.

use aisled::devices::wire::Format;
use serde_json::{Value, json};

use crate::shop::{Shop, card, cash, line, sale};
use crate::till::{Dialect, Reply, Till, write};

const MILK: &str = "6901234000017";
const CIGARETTES: &str = "6901234000109";

fn good() -> Value {
    json!({ "basket": { "lines": [line("1", CIGARETTES, 1)] } })
}

/// A shop with a sale, a till that sends nonsense, and one that goes on.
struct Siege {
    shop: Shop,
    hostile: Till,
    honest: Till,
}

impl Siege {
    async fn begin(format: Format) -> Siege {
        let shop = Shop::open().await;
        let mut honest = shop.till("till-good").await;
        let asked = json!({ "transaction": sale(1), "basket": good()["basket"], "tenders": cash(2_300) });
        honest.ask_as("commit", "the-first-sale", &asked).await.data();
        let hostile = shop.till_of("till-bad", Dialect::Five, format).await;
        Siege { shop, hostile, honest }
    }

    /// Sends bytes and gives the refusal's status and code.
    async fn refusal(&mut self, name: &str, op: &str, payload: Vec<u8>) -> (u64, String) {
        let before = self.shop.status()["journal"]["next"].clone();
        self.hostile.send(op, payload);
        let heard = self.hostile.hear().await.expect("the connection holds");
        let reply = Reply::read(&heard.payload);
        let (status, code) = reply.refusal();
        assert!(reply.0["title"].is_string() && reply.0["detail"].is_string(), "{name}: {}", reply.0);
        assert_eq!(self.shop.status()["journal"]["next"], before, "{name}: nothing is decided");
        let total = self.honest.ask("quote", good()).await.data()["total"].clone();
        assert_eq!(total, 2_300, "{name}: the shop goes on");
        (status, code.to_owned())
    }

    /// Sends a request with this `data` and gives what it is refused with; decided refusals too.
    async fn refused(&mut self, op: &str, data: Value) -> (u64, String) {
        let reply = self.hostile.ask(op, data).await;
        let (status, code) = reply.refusal();
        assert_eq!(self.honest.ask("quote", good()).await.data()["total"], 2_300, "the shop goes on");
        (status, code.to_owned())
    }

    /// Every sale is still there, also after a restart.
    async fn end(mut self) {
        self.shop.restart().await;
        let mut honest = self.shop.till("till-good").await;
        let asked = json!({ "transaction": sale(1), "basket": good()["basket"], "tenders": cash(2_300) });
        let again = honest.ask_as("commit", "the-first-sale", &asked).await;
        assert!(again.replayed() && again.data()["total"] == 2_300, "{}", again.0);
    }
}

fn is(status: u64, code: &str) -> (u64, String) {
    (status, code.to_owned())
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_json_is_refused_with() {
    let mut siege = Siege::begin(Format::Json).await;
    let envelope = |data: &str| format!(r#"{{"v":1,"id":"till-bad.json","data":{data}}}"#).into_bytes();
    let quote = r#"{"basket":{"lines":[{"line":"1","sku":"6901234000109","qty":1}]}}"#;
    let mut long = envelope(quote);
    long.resize(64 * 1024 + 1, b' ');
    let deep = envelope(&format!("{}{}", "[".repeat(10_000), "]".repeat(10_000)));
    let deep_objects = envelope(&format!("{}1{}", r#"{"a":"#.repeat(10_000), "}".repeat(10_000)));
    let mut bad_utf8 = envelope(quote);
    let place = bad_utf8.windows(4).position(|four| four == b"6901").expect("the article");
    bad_utf8[place] = 0xff;
    for (name, payload, code) in [
        ("nothing", Vec::new(), is(400, "AIS-1001")),
        ("not json", b"{hello".to_vec(), is(400, "AIS-1001")),
        ("cut short", envelope(quote)[..60].to_vec(), is(400, "AIS-1001")),
        ("two documents", [envelope(quote), envelope(quote)].concat(), is(400, "AIS-1001")),
        ("a list", b"[1,2]".to_vec(), is(400, "AIS-1001")),
        ("no data", br#"{"v":1,"id":"till-bad.json"}"#.to_vec(), is(400, "AIS-1001")),
        ("data is a list", envelope("[]"), is(400, "AIS-1001")),
        ("lines is text", envelope(r#"{"basket":{"lines":"6901234000109"}}"#), is(400, "AIS-1001")),
        (
            "qty is text",
            envelope(r#"{"basket":{"lines":[{"line":"1","sku":"a","qty":"1"}]}}"#),
            is(400, "AIS-1001"),
        ),
        (
            "qty has a fraction",
            envelope(r#"{"basket":{"lines":[{"line":"1","sku":"a","qty":1.5}]}}"#),
            is(400, "AIS-1001"),
        ),
        (
            "unknown field",
            envelope(r#"{"basket":{"lines":[{"line":"1","sku":"a","qty":1,"price":1}]}}"#),
            is(400, "AIS-1002"),
        ),
        (
            "unknown field of the envelope",
            [&br#"{"x":1,"v":1,"id":"till-bad.json","data":"#[..], quote.as_bytes(), b"}"].concat(),
            is(400, "AIS-1002"),
        ),
        ("another version", br#"{"v":2,"id":"till-bad.json","data":{}}"#.to_vec(), is(400, "AIS-1003")),
        ("64 KiB and one byte", long, is(413, "AIS-1008")),
        ("10,000 deep", deep, is(400, "AIS-1006")),
        ("10,000 objects deep", deep_objects, is(400, "AIS-1006")),
        ("bad UTF-8", bad_utf8, is(400, "AIS-1007")),
        ("an id too short", br#"{"v":1,"id":"x","data":{}}"#.to_vec(), is(400, "AIS-1004")),
        (
            "an id with a null byte",
            br#"{"v":1,"id":"till-bad\u0000json","data":{}}"#.to_vec(),
            is(400, "AIS-1004"),
        ),
        ("an id of two lines", br#"{"v":1,"id":"till-bad\njson","data":{}}"#.to_vec(), is(400, "AIS-1004")),
    ] {
        assert_eq!(siege.refusal(name, "quote", payload).await, code, "{name}");
    }
    assert_eq!(siege.refusal("unknown operation", "sell", envelope(quote)).await, is(404, "AIS-1011"));
    siege.end().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_messagepack_is_refused_with() {
    let mut siege = Siege::begin(Format::MessagePack).await;
    let whole = write(Format::MessagePack, &json!({ "v": 1, "id": "till-bad.pack", "data": good() }));
    let unknown =
        write(Format::MessagePack, &json!({ "v": 1, "id": "till-bad.pack", "data": { "bskt": 1 } }));
    let mut bad_utf8 = whole.clone();
    let place = bad_utf8.windows(4).position(|four| four == b"6901").expect("the article");
    bad_utf8[place] = 0xff;
    let deep = [&[0x83, 0xa1, b'v', 1, 0xa4][..], b"data", &[0x91; 10_000], &[1]].concat();
    // An object of four thousand million entries, an array as long, a text of 4 GiB: announced, not sent.
    let announced =
        |marker: u8| [&[0x83, 0xa1, b'v', 1, 0xa4][..], b"data", &[marker, 0xff, 0xff, 0xff, 0xff]].concat();
    for (name, payload, code) in [
        ("cut short", whole[..whole.len() - 3].to_vec(), is(400, "AIS-1001")),
        ("bytes behind it", [&whole[..], &[0xc0]].concat(), is(400, "AIS-1001")),
        ("a marker that is none", vec![0x81, 0xc1, 0xc1], is(400, "AIS-1001")),
        ("a huge object", announced(0xdf), is(400, "AIS-1001")),
        ("a huge list", announced(0xdd), is(400, "AIS-1001")),
        ("a huge text", announced(0xdb), is(400, "AIS-1001")),
        ("unknown field", unknown, is(400, "AIS-1002")),
        ("bad UTF-8", bad_utf8, is(400, "AIS-1007")),
        ("10,000 deep", deep, is(400, "AIS-1006")),
        ("64 KiB and one byte", vec![0x80; 64 * 1024 + 1], is(413, "AIS-1008")),
    ] {
        assert_eq!(siege.refusal(name, "quote", payload).await, code, "{name}");
    }
    siege.end().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_values_are_refused_with() {
    let mut siege = Siege::begin(Format::Json).await;
    let one = |line: Value| json!({ "basket": { "lines": [line] } });
    let priced = |qty: i64, unit_price: i64| {
        one(json!({ "line": "1", "sku": "x", "qty": qty, "unit_price": unit_price }))
    };
    let many: Vec<Value> = (0..501).map(|n| line(&n.to_string(), MILK, 1)).collect();
    let dear: Vec<Value> = (0..2)
        .map(
            |n| json!({ "line": n.to_string(), "sku": "x", "qty": 2_000, "unit_price": 100_000_000_000_i64 }),
        )
        .collect();
    for (op, data, code) in [
        ("quote", one(line("1", "no-such-article", 1)), is(404, "AIS-2001")),
        ("quote", one(line("1", MILK, 0)), is(400, "AIS-1005")),
        ("quote", one(line("1", MILK, -1)), is(400, "AIS-1005")),
        ("quote", one(line("1", MILK, i64::MIN)), is(400, "AIS-1005")),
        ("quote", one(line("1", MILK, 2_001)), is(400, "AIS-1005")),
        ("quote", one(line("1", MILK, i64::MAX)), is(400, "AIS-1005")),
        ("quote", one(json!({ "line": "1", "sku": MILK, "weight_grams": -5 })), is(400, "AIS-1005")),
        ("quote", one(json!({ "line": "1", "sku": MILK, "qty": 1, "weight_grams": 5 })), is(400, "AIS-1001")),
        ("quote", one(json!({ "line": "1", "sku": MILK, "qty": u64::MAX })), is(400, "AIS-1005")),
        ("quote", priced(1, -1), is(400, "AIS-1005")),
        ("quote", priced(1, i64::MAX), is(400, "AIS-1005")),
        ("quote", priced(1, 100_000_000_001), is(400, "AIS-1005")),
        ("quote", json!({ "basket": { "lines": many } }), is(400, "AIS-1005")),
        ("quote", json!({ "basket": { "lines": [] } }), is(400, "AIS-1005")),
        (
            "quote",
            json!({ "basket": { "lines": [line("1", MILK, 1), line("1", MILK, 1)] } }),
            is(400, "AIS-1014"),
        ),
        ("quote", one(json!({ "line": "a/+/#", "sku": MILK, "qty": 1 })), is(400, "AIS-1004")),
        (
            "quote",
            one(json!({ "line": "1", "sku": "'; drop table sales; --", "qty": 1 })),
            is(400, "AIS-1004"),
        ),
        ("quote", one(json!({ "line": "1", "sku": "x".repeat(65), "qty": 1 })), is(400, "AIS-1004")),
        ("scan", json!({ "token": { "kind": "card", "value": "" } }), is(400, "AIS-1005")),
        ("scan", json!({ "token": { "kind": "card", "value": "9".repeat(129) } }), is(400, "AIS-1005")),
        ("scan", json!({ "token": { "kind": "tattoo", "value": "1" } }), is(400, "AIS-1001")),
        ("feedback", json!({ "score": 11 }), is(400, "AIS-1005")),
        (
            "enroll",
            json!({ "token": card("77"), "consent": { "programme": true, "personal": true }, "birthday": "02-30" }),
            is(400, "AIS-1013"),
        ),
        (
            "commit",
            json!({ "transaction": { "business_day": "2026-02-30", "seq": 1 }, "basket": good()["basket"], "tenders": [] }),
            is(400, "AIS-1013"),
        ),
        (
            "commit",
            json!({ "transaction": { "business_day": "2026-11-18", "seq": -1 }, "basket": good()["basket"], "tenders": [] }),
            is(400, "AIS-1005"),
        ),
        ("commit", json!({ "transaction": sale(5), "tenders": [] }), is(400, "AIS-1001")),
        (
            "commit",
            json!({ "transaction": sale(5), "basket": good()["basket"], "tenders": cash(2_299) }),
            is(422, "AIS-2010"),
        ),
        (
            "commit",
            json!({ "transaction": sale(5), "basket": good()["basket"], "tenders": cash(-1) }),
            is(400, "AIS-1005"),
        ),
        (
            "commit",
            json!({ "transaction": sale(5), "quote": "q0-0", "tenders": cash(2_300) }),
            is(410, "AIS-2004"),
        ),
        (
            "commit",
            json!({ "transaction": sale(5), "basket": good()["basket"], "tenders": [], "charged": { "total": 1, "at": "yesterday" } }),
            is(400, "AIS-1013"),
        ),
        ("void", json!({ "transaction": sale(77) }), is(404, "AIS-2002")),
    ] {
        assert_eq!(
            siege.refused(op, data.clone()).await,
            code,
            "{op} {}",
            &data.to_string()[..data.to_string().len().min(200)]
        );
    }
    let overflow = siege.hostile.ask("quote", json!({ "basket": { "lines": dear } })).await;
    assert_eq!(
        overflow.data()["subtotal"],
        400_000_000_000_000_i64,
        "the dearest goods add up without overflow"
    );
    siege.end().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn is_an_unknown_member_somebody_and_an_expired_coupon_no_error() {
    let mut siege = Siege::begin(Format::Json).await;
    let mut asked = good();
    asked["member"] = card("nobody");
    asked["coupons"] = json!(["OLD10", "NO-SUCH-CODE"]);
    asked["points"] = json!({ "spend": 1_000_000 });
    let quote = siege.hostile.ask("quote", asked).await.data().clone();
    assert_eq!(quote["total"], 2_300);
    let reasons: Vec<&Value> =
        quote["coupons"].as_array().expect("a list").iter().map(|one| &one["reason"]).collect();
    assert_eq!(reasons, ["expired", "code_unknown"]);
    assert_eq!(quote["points"]["spend"], 0);
    let wallet = siege.hostile.ask("wallet", json!({ "member": card("nobody") })).await.data().clone();
    assert_eq!(wallet["member"], Value::Null);
    let stolen = siege.honest.ask("quote", good()).await.data()["quote"].clone();
    let theirs = json!({ "transaction": sale(1), "quote": stolen, "tenders": cash(2_300) });
    assert_eq!(siege.refused("commit", theirs).await, is(403, "AIS-2005"));
    siege.end().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn where_a_device_may_not_be_answered() {
    let mut siege = Siege::begin(Format::Json).await;
    let payload = siege.hostile.envelope("till-bad.topic", &good());
    for topic in [
        "aisle/1/s01/dev/till-good/rep/test",
        "aisle/1/s01/dev/till-bad/req/commit",
        "aisle/1/s01/svc/engine/status",
        "aisle/1/s02/dev/till-bad/rep/test",
        "aisle/1/s01/dev/till-bad/rep/a/b",
        "aisle/1/s01/dev/till-bad-2/rep/x",
        "elsewhere",
    ] {
        siege.hostile.send_with(
            "quote",
            payload.clone(),
            Some(topic.to_owned()),
            Some("application/json".to_owned()),
        );
        let heard = siege.hostile.hear().await.expect("the connection holds");
        assert_eq!(heard.topic, "aisle/1/s01/dev/till-bad/rep/v3", "{topic}");
        assert_eq!(Reply::read(&heard.payload).refusal(), (403, "AIS-1010"), "{topic}");
    }
    let response = Some("aisle/1/s01/dev/till-bad/rep/test".to_owned());
    siege.hostile.send_with("quote", payload, response, Some("text/xml".to_owned()));
    let heard = siege.hostile.hear().await.expect("the connection holds");
    assert_eq!(Reply::read(&heard.payload).refusal(), (415, "AIS-1009"));
    assert_eq!(siege.honest.ask("quote", good()).await.data()["total"], 2_300);
    siege.end().await;
}

/// More of a good thing than a basket may hold: the refusal names the field, and what just fits is priced.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_is_too_much_of_and_what_just_fits() {
    let mut siege = Siege::begin(Format::Json).await;
    let lines = |count: usize, qty: i64| -> Value {
        (0..count)
            .map(|n| json!({ "line": n.to_string(), "sku": "x", "qty": qty, "unit_price": 1 }))
            .collect()
    };
    let quote = |lines: Value| json!({ "basket": { "lines": lines } });
    let codes = |count: usize| {
        let mut asked = good();
        asked["coupons"] = (0..count).map(|n| format!("{n:04}")).collect();
        asked
    };
    for (what, asked, code, named) in [
        ("8,000 codes", codes(8_000), is(400, "AIS-1005"), "coupons"),
        ("a code too many", codes(257), is(400, "AIS-1005"), "coupons"),
        ("1,000 lines", quote(lines(1_000, 1)), is(400, "AIS-1005"), "lines"),
        ("a million units", quote(lines(1, 1_000_000)), is(400, "AIS-1005"), "lines[0].qty"),
        ("6,000 units", quote(lines(3, 2_000)), is(400, "AIS-1005"), "lines"),
    ] {
        let reply = siege.hostile.ask("quote", asked).await;
        let (status, refused) = reply.refusal();
        assert_eq!((status, refused.to_owned()), code, "{what}");
        let detail = reply.0["detail"].as_str().expect("a text");
        assert!(detail.contains(named), "{what}: {detail}");
    }
    // So many that nobody reads on to find out who asks.
    let payload = siege.hostile.envelope("till-bad.codes", &codes(10_000));
    assert_eq!(siege.refusal("10,000 codes", "quote", payload).await, is(413, "AIS-1008"));
    let most = siege.hostile.ask("quote", codes(256)).await.data().clone();
    assert_eq!(most["total"], 2_300);
    let answered = most["coupons"].as_array().expect("a list");
    assert!(answered.iter().all(|one| one["reason"] == "code_unknown"), "{answered:?}");
    assert_eq!(answered.len(), 256);
    let free = json!([{ "line": "1", "sku": MILK, "qty": 2_000, "unit_price": 0 }]);
    let nothing = siege.hostile.ask("quote", quote(free)).await.data().clone();
    assert_eq!((&nothing["subtotal"], &nothing["total"]), (&json!(0), &json!(0)));
    siege.end().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn which_unknown_names_are_refused_and_which_are_answered() {
    let mut siege = Siege::begin(Format::Json).await;
    let mut claims = good();
    claims["claims"] = json!([{ "promotion": "no-such-offer", "times": 1 }]);
    let claimed = siege.hostile.ask("quote", claims).await.data().clone();
    assert_eq!(claimed["total"], 2_300, "a claim of nothing changes nothing: {claimed}");
    for (op, asked, code) in [
        (
            "commit",
            json!({ "transaction": sale(9), "quote": "q9-9", "tenders": cash(1) }),
            is(410, "AIS-2004"),
        ),
        ("void", json!({ "transaction": sale(9) }), is(404, "AIS-2002")),
        (
            "return",
            json!({ "original": sale(9), "transaction": sale(10), "lines": [{ "line": "1", "qty": 1 }] }),
            is(404, "AIS-2002"),
        ),
    ] {
        assert_eq!(siege.refused(op, asked).await, code, "{op}");
    }
    let original = json!({ "device": "till-good", "business_day": "2026-11-18", "seq": 1 });
    let back = |line: &str, qty: i64| json!({ "original": original, "transaction": sale(11), "lines": [{ "line": line, "qty": qty }] });
    assert_eq!(siege.refused("return", back("7", 1)).await, is(404, "AIS-2008"));
    assert_eq!(siege.refused("return", back("1", 2)).await, is(422, "AIS-2007"));
    let wallet = siege.hostile.ask("wallet", json!({ "member": card("nobody") })).await;
    assert_eq!(wallet.data()["member"], Value::Null);
    siege.end().await;
}

/// A name of 64 bytes that no compression shortens.
fn name(seed: u64) -> String {
    let mut state = seed.wrapping_mul(0x9e37_79b9_7f4a_7c15) | 1;
    let mut letter = || {
        state ^= state << 13;
        state ^= state >> 7;
        state ^= state << 17;
        b"0123456789ABCDEFGHJKLMNPQRSTUVWXYZ"[usize::try_from(state % 34).unwrap_or(0)]
    };
    (0..28).map(|_| char::from(letter())).collect()
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn does_the_largest_sale_that_fits_get_its_answer() {
    let shop = Shop::open().await;
    let mut till = shop.till_of("till-1", Dialect::Five, Format::MessagePack).await;
    let lines: Vec<Value> = (0..500)
        .map(|n| json!({ "line": name(n), "sku": name(n + 1_000), "qty": 7, "unit_price": 100_000_000_000_i64 - 7 * n as i64 }))
        .collect();
    let asked = json!({
        "transaction": sale(1),
        "basket": { "lines": lines },
        "member": card("2001"),
        "coupons": ["ONCE-01", "FLYER3"],
        "tenders": cash(400_000_000_000_000),
    });
    let bytes = till.envelope("till-1.largest", &asked).len();
    assert!((45_000..=65_536).contains(&bytes), "{bytes}");
    let receipt = till.ask_as("commit", "till-1.largest", &asked).await;
    let paid: i64 = (0..500).map(|n| 7 * (100_000_000_000 - 7 * n)).sum();
    assert_eq!(receipt.data()["subtotal"], paid);
    let shortened = receipt.0["shortened"].as_array().expect("it says what it left out");
    assert!(shortened.contains(&json!("units")), "{shortened:?}");
    assert_eq!(receipt.data()["coupons_burned"], json!(["ONCE-01"]));
    let again = till.ask_as("commit", "till-1.largest", &asked).await;
    assert!(again.replayed());
    assert_eq!(till.ask("void", json!({ "transaction": sale(1) })).await.data()["whole"], true);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn is_a_device_that_is_too_fast_told_so_and_nobody_else() {
    let mut shop = Shop::open().await;
    shop.stop().await;
    shop.config.devices.requests_per_second_max = 10;
    shop.clock.advance_ms(1);
    shop.start().await;
    let (mut fast, mut calm) = (shop.till("till-fast").await, shop.till("till-calm").await);
    let scan = json!({ "token": card("2001") });
    let mut slowed = 0;
    for _ in 0..15 {
        let reply = fast.ask("scan", scan.clone()).await;
        if reply.status() != 200 {
            assert_eq!(reply.refusal(), (429, "AIS-2902"));
            assert!(
                reply.0["retry_after_ms"].as_u64().is_some_and(|ms| (1..=100).contains(&ms)),
                "{}",
                reply.0
            );
            slowed += 1;
        }
    }
    assert_eq!(slowed, 5, "ten a second, and the clock stands still");
    assert_eq!(calm.ask("scan", scan.clone()).await.status(), 200);
    shop.clock.advance_ms(100);
    assert_eq!(fast.ask("scan", scan).await.status(), 200);
}
