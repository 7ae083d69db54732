//! The nine requests as they go well, in both formats and over both MQTT versions.

use aisled::devices::wire::Format;
use serde_json::{Value, json};

use crate::shop::{Shop, card, cash, line, sale};
use crate::till::{Dialect, Till, soon};

const MILK: &str = "6901234000017";
const OIL: &str = "6901234000048";
const SHAMPOO: &str = "6901234000079";
const CAKE: &str = "6901234000093";
const CIGARETTES: &str = "6901234000109";

/// What a quote and its receipt must say alike.
fn figures(document: &Value) -> Value {
    let keys = [
        "subtotal",
        "discount_total",
        "total",
        "lines",
        "gifts",
        "applied",
        "coupons",
        "points",
        "resolution",
        "bundle",
    ];
    keys.iter().map(|key| ((*key).to_owned(), document[key].clone())).collect()
}

fn sum(list: &Value, key: &str) -> i64 {
    list.as_array().expect("a list").iter().map(|entry| entry[key].as_i64().expect("a number")).sum()
}

fn total(document: &Value) -> i64 {
    document["total"].as_i64().expect("a total")
}

/// Quotes and commits; gives the receipt.
async fn sell(till: &mut Till, seq: u64, basket: Value) -> Value {
    let quote = till.ask("quote", basket).await.data().clone();
    let asked = json!({ "transaction": sale(seq), "quote": quote["quote"], "tenders": cash(total(&quote)) });
    till.ask("commit", asked).await.data().clone()
}

async fn nine_requests(dialect: Dialect, format: Format) {
    let shop = Shop::open().await;
    let mut till = shop.till_of("till-1", dialect, format).await;

    let scan = till.ask("scan", json!({ "token": card("88001001"), "locale": "en" })).await.data().clone();
    assert_eq!(scan["member"]["id"], "m-1001");
    assert_eq!(scan["member"]["points"]["balance"], 2350);
    let offers = scan["offers"].as_array().expect("offers");
    assert!(offers.iter().any(|offer| offer["promotion"] == "birthday-cake"), "{scan}");
    assert!(offers.iter().all(|offer| offer["title"].as_str().is_some_and(|title| !title.is_empty())));
    assert!(scan["recommendations"].as_array().is_some_and(|list| !list.is_empty()), "{scan}");
    assert_eq!(scan["data_age"]["bundle_s"], 0);
    let stranger = till.ask("scan", json!({ "token": card("nobody-knows") })).await.data().clone();
    assert_eq!(stranger["member"], Value::Null);
    assert!(stranger["offers"].as_array().is_some_and(|list| !list.is_empty()), "{stranger}");

    let basket = json!({
        "basket": { "lines": [line("1", MILK, 3), line("2", OIL, 1), line("3", SHAMPOO, 2)] },
        "member": card("88001001"),
        "locale": "en",
    });
    let quote = till.ask("quote", basket.clone()).await.data().clone();
    assert_eq!(quote["subtotal"], 3 * 350 + 12_990 + 2 * 3_990);
    assert_eq!(
        total(&quote),
        quote["subtotal"].as_i64().expect("a number") - sum(&quote["applied"], "amount")
    );
    assert_eq!(sum(&quote["lines"], "net"), total(&quote), "{quote}");
    assert_eq!(quote["bundle"]["version"], 1);
    let asked = json!({ "transaction": sale(1), "quote": quote["quote"], "tenders": cash(total(&quote)) });
    let receipt = till.ask("commit", asked).await.data().clone();
    assert_eq!(figures(&receipt)["applied"], figures(&quote)["applied"]);
    assert_eq!(figures(&receipt), figures(&quote));
    assert_eq!(receipt["member"], "m-1001");
    assert!(receipt["decision"].as_str().is_some_and(|text| text.starts_with("s01/1/")), "{receipt}");
    let units: i64 = receipt["units"]
        .as_array()
        .expect("units")
        .iter()
        .flat_map(|line| line["shares"].as_array().expect("shares").iter())
        .map(|share| share["qty"].as_i64().expect("a number") * share["net"].as_i64().expect("a number"))
        .sum();
    assert_eq!(units, total(&receipt), "what is frozen adds up to what was paid: {receipt}");

    let other = json!({
        "transaction": sale(2),
        "basket": { "lines": [line("1", CIGARETTES, 1)] },
        "tenders": cash(2_300),
    });
    assert_eq!(till.ask("commit", other).await.data()["total"], 2_300);
    let voided = till.ask("void", json!({ "transaction": sale(2) })).await.data().clone();
    assert_eq!((&voided["refund"], &voided["whole"]), (&json!(2_300), &json!(true)));
    assert_eq!(till.ask("void", json!({ "transaction": sale(2) })).await.refusal(), (409, "AIS-2006"));

    let back = json!({ "original": sale(1), "transaction": sale(3), "lines": [{ "line": "1", "qty": 1 }] });
    let refund = till.ask("return", back).await.data().clone();
    assert_eq!((&refund["lines"][0]["qty"], &refund["lines"][0]["left"]), (&json!(1), &json!(2)));
    assert_eq!(refund["whole"], false);

    let feedback = json!({ "transaction": sale(1), "score": 9, "topic": "queue", "text": "很快 👍" });
    assert!(till.ask("feedback", feedback).await.data()["decision"].is_string());
    let event = json!({ "kind": "try_on", "sku": SHAMPOO, "zone": "a-1", "member": card("88001001") });
    assert!(till.ask("event", event).await.data()["decision"].is_string());

    let new = json!({
        "token": { "kind": "phone", "value": "+86 139-0000-0001" },
        "consent": { "programme": true, "personal": false },
        "birthday": "11-20",
    });
    let enrolled = till.ask("enroll", new.clone()).await.data().clone();
    assert_eq!(till.ask("enroll", new).await.refusal(), (409, "AIS-2013"));
    let phone = json!({ "token": { "kind": "phone", "value": "13900000001" } });
    assert_eq!(till.ask("scan", phone).await.data()["member"]["id"], enrolled["member"]);
    let no = json!({ "token": card("5550001"), "consent": { "programme": false, "personal": false } });
    assert_eq!(till.ask("enroll", no).await.refusal(), (422, "AIS-2012"));

    let wallet = till.ask("wallet", json!({ "member": card("88001001") })).await.data().clone();
    assert_eq!(wallet["member"]["id"], "m-1001");
    assert_eq!(wallet["member"]["points"]["balance"], {
        let after = receipt["points"]["balance_after"].as_i64().expect("a balance");
        let moved: i64 = sum(&refund["points_ledger"], "points");
        json!(after + moved)
    });
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn are_the_nine_requests_answered_over_mqtt_5_in_json() {
    nine_requests(Dialect::Five, Format::Json).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn are_the_nine_requests_answered_over_mqtt_5_in_messagepack() {
    nine_requests(Dialect::Five, Format::MessagePack).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn are_the_nine_requests_answered_over_mqtt_3_in_json() {
    nine_requests(Dialect::Three, Format::Json).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn are_the_nine_requests_answered_over_mqtt_3_in_messagepack() {
    nine_requests(Dialect::Three, Format::MessagePack).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn does_a_reply_go_where_it_was_asked_for_and_carry_what_was_sent() {
    let shop = Shop::open().await;
    let mut till = shop.till("till-1").await;
    let payload = till.envelope("till-1.where-to", &json!({ "token": card("2001") }));
    till.send("scan", payload.clone());
    let heard = till.hear().await.expect("a reply");
    assert_eq!(heard.topic, "aisle/1/s01/dev/till-1/rep/test");
    assert_eq!(heard.correlation.as_deref(), Some(&b"mark"[..]));
    assert_eq!(heard.content_type.as_deref(), Some("application/json"));
    till.send_with("scan", payload, None, None);
    let heard = till.hear().await.expect("a reply");
    assert_eq!(heard.topic, "aisle/1/s01/dev/till-1/rep/v3", "without a response topic");

    let mut old = shop.till_of("till-3", Dialect::Three, Format::MessagePack).await;
    old.send("scan", old.envelope("till-3.where-to", &json!({ "token": card("2001") })));
    let heard = old.hear().await.expect("a reply");
    assert_eq!(heard.topic, "aisle/1/s01/dev/till-3/rep/v3");
    assert!(heard.payload[0] & 0x80 != 0, "a MessagePack map, as asked");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn is_the_daemon_discoverable_and_does_it_say_when_it_goes() {
    let mut shop = Shop::open().await;
    let till = shop.till("till-1").await;
    let mut presence = till.presence.clone();
    let is = |state: &'static str| move |document: &Value| document["state"] == state;
    let document = soon("the presence", presence.wait_for(is("ready"))).await.expect("it is told").clone();
    assert_eq!(document["v"], 1);
    assert_eq!((&document["store"], &document["epoch"]), (&json!("s01"), &json!(1)));
    assert_eq!(document["bundle"]["version"], 1);
    assert_eq!(document["content_types"], json!(["application/json", "application/msgpack"]));
    assert_eq!(document["operations"].as_array().map(Vec::len), Some(9));
    assert_eq!(document["limits"]["payload_bytes"], 65_536);
    assert_eq!(document["limits"]["replay_days"], 35);
    shop.stop().await;
    // The broker goes with the daemon: a till hears the farewell, or that its line is cut.
    let gone =
        presence.wait_for(|document| matches!(document["state"].as_str(), Some("stopping" | "offline")));
    drop(soon("the farewell or the end of the line", gone).await);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn does_a_sale_without_a_quote_get_the_figures_of_one_with() {
    let shop = Shop::open().await;
    let mut till = shop.till("till-1").await;
    let basket =
        json!({ "basket": { "lines": [line("a", MILK, 2), line("b", SHAMPOO, 3)] }, "member": card("2001") });
    let receipt = sell(&mut till, 1, basket.clone()).await;
    till.ask("void", json!({ "transaction": sale(1) })).await.data();
    let mut direct = basket;
    direct["transaction"] = sale(2);
    direct["tenders"] = json!([{ "kind": "card", "amount": total(&receipt) }]);
    let second = till.ask("commit", direct).await.data().clone();
    assert_eq!(figures(&second), figures(&receipt));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn does_every_unit_come_back_for_what_was_paid_for_it() {
    let shop = Shop::open().await;
    let mut till = shop.till("till-1").await;
    let basket =
        json!({ "basket": { "lines": [line("1", MILK, 3), line("2", OIL, 2)] }, "member": card("2001") });
    let receipt = sell(&mut till, 1, basket).await;
    let mut back = Vec::new();
    for (seq, name) in [(2, "1"), (3, "1"), (4, "1"), (5, "2"), (6, "2")] {
        let asked =
            json!({ "original": sale(1), "transaction": sale(seq), "lines": [{ "line": name, "qty": 1 }] });
        back.push(till.ask("return", asked).await.data().clone());
    }
    let refunds: i64 = back.iter().map(|refund| refund["refund"].as_i64().expect("a number")).sum();
    assert_eq!(refunds, total(&receipt));
    assert!(back.iter().all(|refund| refund["refund"].as_i64().is_some_and(|amount| amount >= 0)));
    let last = back.last().expect("five");
    assert_eq!(last["whole"], true);
    let wallet = till.ask("wallet", json!({ "member": card("2001") })).await.data().clone();
    assert_eq!(wallet["member"]["points"]["balance"], 1_000, "nothing earned, nothing lost: {wallet}");
    let asked = json!({ "original": sale(1), "transaction": sale(7), "lines": [{ "line": "1", "qty": 1 }] });
    assert_eq!(till.ask("return", asked).await.refusal(), (422, "AIS-2007"));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_cannot_come_back() {
    let shop = Shop::open().await;
    let mut till = shop.till("till-1").await;
    sell(&mut till, 1, json!({ "basket": { "lines": [line("1", CIGARETTES, 2)] } })).await;
    let back = |original: u64, seq: u64, name: &str, qty: i64| json!({ "original": sale(original), "transaction": sale(seq), "lines": [{ "line": name, "qty": qty }] });
    for (asked, code) in [
        (back(1, 2, "1", 3), (422, "AIS-2007")),
        (back(1, 2, "9", 1), (404, "AIS-2008")),
        (back(9, 2, "1", 1), (404, "AIS-2002")),
        (back(1, 1, "1", 1), (409, "AIS-2003")),
        (back(1, 2, "1", 0), (400, "AIS-1005")),
    ] {
        assert_eq!(till.ask("return", asked.clone()).await.refusal(), code, "{asked}");
    }
    assert_eq!(till.ask("return", back(1, 2, "1", 1)).await.data()["refund"], 2_300);
    assert_eq!(till.ask("void", json!({ "transaction": sale(1) })).await.refusal(), (409, "AIS-2014"));
    assert_eq!(till.ask("return", back(1, 3, "1", 2)).await.refusal(), (422, "AIS-2007"));
    let mut other = shop.till("till-2").await;
    let mut elsewhere = back(1, 1, "1", 1);
    assert_eq!(other.ask("return", elsewhere.clone()).await.refusal(), (404, "AIS-2002"));
    elsewhere["original"]["device"] = json!("till-1");
    assert_eq!(other.ask("return", elsewhere).await.data()["whole"], true, "at another till of the shop");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn are_points_of_one_sale_spent_in_the_next() {
    let shop = Shop::open().await;
    let mut till = shop.till("till-1").await;
    let first =
        sell(&mut till, 1, json!({ "basket": { "lines": [line("1", SHAMPOO, 1)] }, "member": card("2002") }))
            .await;
    assert_eq!(first["points"], json!({ "earn": 39 + 50, "spend": 0, "balance_after": 1_089 }));
    let spending = |spend: Value| {
        json!({
            "basket": { "lines": [line("1", CAKE, 1), line("2", SHAMPOO, 1)] },
            "member": card("2002"),
            "points": { "spend": spend },
        })
    };
    let second = sell(&mut till, 2, spending(json!(500))).await;
    assert_eq!(second["points"]["spend"], 500);
    let without = 1_800 - 100 + 3_990;
    assert_eq!(total(&second), without - 500);
    let earned = second["points"]["earn"].as_i64().expect("a number");
    assert_eq!(second["points"]["balance_after"], 1_089 - 500 + earned);
    let third = sell(&mut till, 3, spending(json!("max"))).await;
    assert_eq!(third["points"]["spend"], 600, "whole hundreds of what is left");
    let wallet = till.ask("wallet", json!({ "member": card("2002") })).await.data().clone();
    assert_eq!(wallet["member"]["points"]["balance"], third["points"]["balance_after"]);

    let voided = till.ask("void", json!({ "transaction": sale(3) })).await.data().clone();
    assert_eq!(voided["points_balance_after"], second["points"]["balance_after"]);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn does_training_count_for_nothing() {
    let shop = Shop::open().await;
    let mut till = shop.till("till-1").await;
    let basket = json!({
        "transaction": sale(1),
        "basket": { "lines": [line("1", OIL, 2)] },
        "member": card("2003"),
        "coupons": ["ONCE-01"],
        "tenders": cash(100_000),
        "training": true,
    });
    let receipt = till.ask("commit", basket.clone()).await.data().clone();
    assert_eq!(receipt["training"], true);
    assert!(
        receipt["applied"].as_array().is_some_and(|list| list.iter().any(|one| one["coupon"] == "ONCE-01"))
    );
    assert_eq!(receipt["coupons_issued"], json!([]));
    let wallet = till.ask("wallet", json!({ "member": card("2003") })).await.data().clone();
    assert_eq!(wallet["member"]["points"]["balance"], 1_000);
    let mut real = basket;
    real["transaction"] = sale(2);
    real["training"] = json!(false);
    let receipt = till.ask("commit", real).await.data().clone();
    assert_eq!(receipt["coupons_burned"], json!(["ONCE-01"]), "the training did not use it up");
    let voided = till.ask("void", json!({ "transaction": sale(1) })).await.data().clone();
    assert_eq!(voided["coupons_returned"], json!([]), "nor does voiding the training give it back");
    let again = json!({ "basket": { "lines": [line("1", MILK, 2)] }, "coupons": ["ONCE-01"] });
    assert_eq!(till.ask("quote", again).await.data()["coupons"][0]["reason"], "code_used");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn is_a_sale_of_an_outage_kept_as_it_was_charged() {
    let shop = Shop::open().await;
    let mut till = shop.till("till-1").await;
    let late = json!({
        "transaction": sale(1),
        "basket": { "lines": [line("1", MILK, 2), line("2", "never-heard-of", 1)] },
        "member": card("2004"),
        "coupons": ["OLD10", "NO-SUCH-CODE"],
        "charged": {
            "total": 1_234,
            "lines": [{ "line": "1", "net": 700 }, { "line": "2", "net": 534 }],
            "at": "2026-11-18T09:30:00+08:00",
        },
        "tenders": [],
    });
    let receipt = till.ask("commit", late).await.data().clone();
    assert_eq!(total(&receipt), 1_234);
    assert_eq!(receipt["charged"]["total"], 1_234);
    assert_eq!(receipt["charged"]["flagged"], true);
    assert_eq!(sum(&receipt["lines"], "net"), 1_234);
    let agreed = json!({
        "transaction": sale(2),
        "basket": { "lines": [line("1", CIGARETTES, 1)] },
        "charged": { "total": 2_300, "at": "2026-11-18T09:40:00+08:00" },
        "tenders": cash(2_300),
    });
    assert_eq!(till.ask("commit", agreed).await.data()["charged"]["flagged"], false);
    let back = json!({ "original": sale(1), "transaction": sale(3), "lines": [{ "line": "2", "qty": 1 }] });
    assert_eq!(till.ask("return", back).await.data()["refund"], 534, "what was charged for it");
}
