//! Do shelf labels hear a price at the minute it changes, whole lists when they come, and nothing in between?

use aisled::bundle::authoring::Authored;
use aisled::bundle::packed;
use aisled::domain::calendar::UnixMs;
use aisled::domain::ids::Sku;
use rumqttc::v5::mqttbytes::QoS;
use serde_json::{Value, json};

use crate::rules;
use crate::shop::{NOON, Shop};
use crate::signed::{key, signed_at};
use crate::till::{Client, Heard, Till};

const SPINACH: &str = "6901234000062";
const MILK: &str = "6901234000017";
const HOUR_MS: i64 = 3_600_000;

/// Hears pushes, and says which it wants, as a device does after each connect.
async fn wants_prices(gateway: &Till) {
    let filter = format!("{}/dev/labels-1/evt/+", gateway.root);
    let topic = format!("{}/dev/labels-1/status", gateway.root);
    let status = json!({ "v": 1, "state": "online", "wants": ["price"] }).to_string();
    let Client::Five(client) = &gateway.client else { panic!("it speaks MQTT 5") };
    client.subscribe(filter, QoS::AtLeastOnce).await.expect("the queue takes it");
    client.publish(topic, QoS::AtLeastOnce, true, status).await.expect("the queue takes it");
}

/// The next push, put together from its parts.
async fn prices(gateway: &mut Till) -> Value {
    let mut all = Value::Null;
    loop {
        let Heard { topic, payload, content_type, .. } = gateway.hear().await.expect("the connection holds");
        assert_eq!(topic, "aisle/1/s01/dev/labels-1/evt/price");
        assert_eq!(content_type.as_deref(), Some("application/json"));
        assert!(payload.len() < 64 * 1024);
        let push: Value = serde_json::from_slice(&payload).expect("JSON");
        let data = push["data"].clone();
        let last = data["part"] == data["parts"];
        match all["prices"].as_array_mut() {
            None => all = data,
            Some(prices) => prices.extend(data["prices"].as_array().expect("a list").clone()),
        }
        if last {
            return all;
        }
    }
}

fn of<'a>(push: &'a Value, sku: &str) -> Option<&'a Value> {
    push["prices"].as_array().expect("a list").iter().find(|label| label["sku"] == sku)
}

#[tokio::test]
async fn does_a_markdown_reach_the_shelf_at_the_minute_it_begins_and_ends() {
    let mut shop = Shop::open().await;
    let mut gateway = shop.till("labels-1").await;
    wants_prices(&gateway).await;
    let list = prices(&mut gateway).await;
    assert_eq!(list["whole"], true);
    let articles = rules::authored().rules.catalogue.len();
    assert_eq!(list["prices"].as_array().map(Vec::len), Some(articles));
    let day = of(&list, SPINACH).expect("spinach").clone();
    assert!(day["promotion"].is_null() && day["sold_by"] == "piece", "{day}");

    // At eight only what is fresh changes.
    shop.clock.set(UnixMs(NOON.0 + 8 * HOUR_MS));
    let evening = prices(&mut gateway).await;
    assert_eq!(evening["whole"], false);
    let label = of(&evening, SPINACH).expect("spinach is cheaper");
    let price = |label: &Value| label["price"].as_i64().expect("an amount");
    assert_eq!(json!(price(label)), json!(price(&day) * 7 / 10), "{label}");
    assert_eq!((&label["instead_of"], &label["promotion"]), (&day["price"], &json!("fresh-evening")));
    assert!(of(&evening, MILK).is_none(), "{evening:#}");

    // Whoever comes back in between is told everything, and only then what changes.
    wants_prices(&gateway).await;
    let again = prices(&mut gateway).await;
    assert_eq!((&again["whole"], of(&again, SPINACH)), (&json!(true), Some(label)));
    shop.clock.set(UnixMs(NOON.0 + 10 * HOUR_MS));
    let night = prices(&mut gateway).await;
    assert_eq!((&night["whole"], of(&night, SPINACH)), (&json!(false), Some(&day)));

    // New rules: an article more and one dearer; then as before.
    let packed = |version: u64, authored: Authored| {
        let Authored { rules, members, codes, .. } = authored;
        packed::pack(version, signed_at(version), &rules, &members, &codes, &key()).expect("it packs")
    };
    let mut authored = rules::authored();
    let milk = authored.rules.catalogue.iter_mut().find(|item| item.sku.as_str() == MILK).expect("milk");
    milk.price.0 += 1;
    let mut extra = milk.clone();
    extra.sku = Sku::new("EXTRA-1").expect("a sku");
    authored.rules.catalogue.push(extra);
    shop.put("2.aisb", &packed(2, authored));
    let changed = prices(&mut gateway).await;
    assert_eq!(changed["prices"].as_array().map(Vec::len), Some(2), "{changed:#}");
    assert_eq!(price(of(&changed, MILK).expect("milk")), 351);
    assert_eq!(price(of(&changed, "EXTRA-1").expect("what is new")), 351);
    shop.put("3.aisb", &packed(3, rules::authored()));
    let back = prices(&mut gateway).await;
    assert_eq!((&back["gone"], &back["whole"]), (&json!(["EXTRA-1"]), &json!(false)), "{back:#}");
    assert_eq!(price(of(&back, MILK).expect("milk")), 350);
    shop.stop().await;
}
