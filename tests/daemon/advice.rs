//! Does the shop propose what its members buy, and only to those who agreed to be known?

use aisled::bundle::document::{Blob, ShippedNetwork};
use aisled::bundle::packed;
use aisled::domain::ids::Sku;
use serde_json::{Value, json};

use crate::shop::{Shop, card, cash, line, sale, until};
use crate::signed::{key, signed_at};
use crate::till::Till;
use crate::{onnx, rules};

const MILK: &str = "6901234000017";
const RICE: &str = "6901234000031";
const OIL: &str = "6901234000048";
const YOGHURT: &str = "6901234000024";

async fn sell(till: &mut Till, seq: u64, member: &str, skus: &[&str]) {
    let lines: Vec<Value> = skus.iter().zip(1..).map(|(sku, nth)| line(&format!("{nth}"), sku, 1)).collect();
    let asked = json!({
        "transaction": sale(seq),
        "basket": { "lines": lines },
        "member": card(member),
        "tenders": cash(1_000_000),
    });
    till.ask("commit", asked).await.data();
}

fn skus(reply: &Value) -> Vec<String> {
    let list = reply["recommendations"].as_array().cloned().unwrap_or_default();
    list.iter().map(|one| one["sku"].as_str().expect("text").to_owned()).collect()
}

/// What the shop itself proposes, told from head office's lists by its words.
fn own<'a>(reply: &'a Value, because: &str) -> Vec<&'a str> {
    let list = reply["recommendations"].as_array().expect("a list").iter();
    list.filter(|one| one["because"] == because).map(|one| one["sku"].as_str().expect("text")).collect()
}

/// A model is made at the start from what the journal holds.
async fn with_proposals(shop: &mut Shop) {
    shop.restart().await;
    until("proposals", || !shop.status()["proposals"].is_null()).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn is_proposed_what_a_member_buys_and_what_goes_with_the_basket() {
    let mut shop = Shop::open().await;
    let mut till = shop.till("till-1").await;
    assert!(shop.status()["proposals"].is_null(), "nothing is known before the first sale");
    for nth in 0..6 {
        sell(&mut till, 10 + nth, "2003", &[OIL, RICE]).await;
        sell(&mut till, 20 + nth, "2004", &[MILK, YOGHURT]).await;
    }
    with_proposals(&mut shop).await;
    assert_eq!(shop.status()["proposals"], json!({ "members": 2, "baskets": 12, "lines": 24 }));
    let mut till = shop.till("till-1").await;
    let scanned = till.ask("scan", json!({ "token": card("2003"), "locale": "zh-CN" })).await.data().clone();
    let mut often = own(&scanned, "您常买");
    often.extend(own(&scanned, "该补货了"));
    assert!(often.contains(&OIL) && often.contains(&RICE), "{scanned}");
    let quoted = till
        .ask("quote", json!({ "basket": { "lines": [line("1", OIL, 1)] }, "suggest": true }))
        .await
        .data()
        .clone();
    assert_eq!(skus(&quoted).first().map(String::as_str), Some(RICE), "{quoted}");
    assert!(!skus(&quoted).iter().any(|sku| sku == OIL), "what is in the basket is not proposed");
    let unasked =
        till.ask("quote", json!({ "basket": { "lines": [line("1", OIL, 1)] } })).await.data().clone();
    assert!(unasked.get("recommendations").is_none(), "a quote says it where it was asked for only");
    let like = json!({ "token": card("2003"), "like": MILK, "locale": "en" });
    let alternatives = till.ask("scan", like).await.data().clone();
    assert_eq!(skus(&alternatives), [YOGHURT], "of the same kind: {alternatives}");
}

/// Version 2 of the rules: with a network that tells whoever bought oil of milk.
fn with_network(cut: bool) -> Vec<u8> {
    let mut authored = rules::authored();
    let mut model = onnx::layer(&[-50.0, 50.0, 0.0, 0.0], &[0.0, 0.0]);
    if cut {
        model.truncate(60);
    }
    let items = [OIL, MILK].map(|sku| Sku::new(sku).expect("an article")).to_vec();
    authored.rules.network = Some(ShippedNetwork { items, model: Blob(model) });
    let version = if cut { 3 } else { 2 };
    packed::pack(version, signed_at(version), &authored.rules, &authored.members, &authored.codes, &key())
        .expect("it packs")
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn does_head_offices_network_propose_and_a_bad_one_stop_nothing() {
    let mut shop = Shop::open().await;
    assert!(shop.status()["network"].is_null());
    let mut till = shop.till("till-1").await;
    for nth in 0..6 {
        sell(&mut till, 10 + nth, "2003", &[OIL, RICE]).await;
        sell(&mut till, 20 + nth, "2004", &[MILK, YOGHURT]).await;
    }
    shop.put("2.aisb", &with_network(false));
    shop.follows(2).await;
    with_proposals(&mut shop).await;
    assert_eq!(shop.status()["network"], json!({ "items": 2 }));
    let mut till = shop.till("till-1").await;
    let scan = json!({ "token": card("2003"), "locale": "en" });
    let scanned = till.ask("scan", scan.clone()).await.data().clone();
    assert_eq!(own(&scanned, "picked for you"), [MILK], "{scanned}");

    shop.put("3.aisb", &with_network(true));
    shop.follows(3).await;
    assert_eq!(shop.status()["network"]["code"], "AIS-3023");
    let known = aisled::cli::check::Known::of(&shop.config).network.expect("`check` is told");
    assert_eq!(known.0, aisled::domain::code::Code::ModelUnreadable);
    with_proposals(&mut shop).await;
    let status = shop.status();
    assert_eq!(status["network"]["code"], "AIS-3023", "{status}");
    let mut till = shop.till("till-1").await;
    let scanned = till.ask("scan", scan).await.data().clone();
    assert!(own(&scanned, "picked for you").is_empty(), "{scanned}");
    assert!(skus(&scanned).iter().any(|sku| sku == RICE), "proposals go on: {scanned}");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn is_what_a_member_saw_written_down_once_a_minute_and_read_nowhere_else() {
    let shop = Shop::open().await;
    let mut till = shop.till("till-1").await;
    let next = |shop: &Shop| shop.status()["journal"]["next"].as_u64().expect("a number");
    let before = next(&shop);
    till.ask("scan", json!({ "token": card("2003") })).await.data();
    till.ask("scan", json!({ "token": card("nobody") })).await.data();
    shop.clock.advance_ms(61_000);
    until("the decision that says what was shown", || next(&shop) == before + 1).await;
    let asked = aisled::daemon::control::Ask::Decision { seq: aisled::domain::ids::Seq(before) };
    let entry = shop.ask(&asked);
    let shown = entry["input"]["shown"].as_array().expect("a list");
    assert_eq!(shown.len(), 1, "strangers are not written down: {entry}");
    assert_eq!(shown[0]["member"], "m-2003");
    assert!(!shown[0]["offers"].as_array().expect("a list").is_empty(), "{entry}");
}
