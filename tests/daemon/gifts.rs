//! Gifts chosen at the till, gifts that are gone, labels with a date and prices cut on the shelf, through the door.

use serde_json::{Value, json};

use crate::shop::{Shop, cash, line, sale};
use crate::till::Till;

const CIGARETTES: &str = "6901234000109";
const SPINACH: &str = "6901234000062";
const CAKE: &str = "6901234000093";
const TISSUES: &str = "6901234000086";

async fn quote(till: &mut Till, more: Value) -> Value {
    let mut asked = json!({ "basket": { "lines": [line("1", CIGARETTES, 1)] } });
    let fields = more.as_object().expect("an object").clone();
    asked.as_object_mut().expect("an object").extend(fields);
    till.ask("quote", asked).await.data().clone()
}

fn claimed(more: Value) -> Value {
    let mut asked = json!({ "claims": [{ "promotion": "claim-a-gift", "times": 1 }] });
    asked.as_object_mut().expect("an object").extend(more.as_object().expect("an object").clone());
    asked
}

fn given(document: &Value) -> Vec<&str> {
    let gifts = document["gifts"].as_array().expect("a list");
    gifts.iter().map(|gift| gift["sku"].as_str().expect("a text")).collect()
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn does_the_chosen_gift_hold_to_the_receipt_and_come_back() {
    let mut shop = Shop::open().await;
    let mut till = shop.till("till-1").await;
    let first = quote(&mut till, claimed(json!({}))).await;
    assert_eq!(given(&first), [SPINACH], "without a choice the first");
    let open = json!([{ "promotion": "claim-a-gift", "choose": 1, "skus": [SPINACH, CAKE, TISSUES] }]);
    assert_eq!(first["gift_choices"], open);
    let wish = json!({ "gift_choices": [{ "promotion": "claim-a-gift", "skus": [TISSUES] }] });
    let chosen = quote(&mut till, claimed(wish)).await;
    assert_eq!(given(&chosen), [TISSUES]);
    let paying = json!({ "transaction": sale(1), "quote": chosen["quote"], "tenders": cash(2_300) });
    let receipt = till.ask("commit", paying).await.data().clone();
    assert_eq!(given(&receipt), [TISSUES], "what the quote gave, its sale gives");
    shop.restart().await;
    let mut till = shop.till("till-1").await;
    let back = json!({
        "original": sale(1), "transaction": sale(2),
        "lines": [{ "line": "1", "qty": 1 }, { "line": "gift:1", "qty": 1 }]
    });
    let refund = till.ask("return", back).await.data().clone();
    assert_eq!((&refund["refund"], &refund["whole"]), (&json!(2_300), &json!(true)), "{refund}");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn which_gift_is_given_where_some_are_gone() {
    let shop = Shop::open().await;
    let mut till = shop.till("till-1").await;
    let wish = json!([{ "promotion": "claim-a-gift", "skus": [SPINACH] }]);
    let asked = claimed(json!({ "gift_choices": wish, "gifts_gone": [SPINACH] }));
    let second = quote(&mut till, asked).await;
    assert_eq!(given(&second), [CAKE], "the chosen one is not there");
    assert_eq!(second["gift_choices"][0]["skus"], json!([CAKE, TISSUES]));
    let none = quote(&mut till, claimed(json!({ "gifts_gone": [SPINACH, CAKE, TISSUES] }))).await;
    assert!(given(&none).is_empty());
    let why =
        none["not_applied"].as_array().expect("a list").iter().find(|one| one["promotion"] == "claim-a-gift");
    assert_eq!(why.expect("it was asked for")["reason"], "gift_gone");
    let mut sold = claimed(json!({ "gifts_gone": [SPINACH] }));
    sold["basket"] = json!({ "lines": [line("1", CIGARETTES, 1)] });
    sold["transaction"] = sale(1);
    sold["tenders"] = cash(2_300);
    assert_eq!(given(till.ask("commit", sold).await.data()), [CAKE], "a commit of a basket says it too");
    let twice = json!({
        "transaction": sale(2), "quote": second["quote"], "tenders": cash(2_300), "gifts_gone": [CAKE]
    });
    assert_eq!(till.ask("commit", twice).await.refusal(), (400, "AIS-1001"), "a quote carries its own");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn is_a_label_with_a_date_cheaper_on_its_last_days() {
    let shop = Shop::open().await;
    let mut till = shop.till("till-1").await;
    let claims = json!([{ "promotion": "claim-last-days", "times": 1 }]);
    let mut total = async |day: Value| {
        let mut line = line("1", CIGARETTES, 1);
        line["best_before"] = day;
        quote(&mut till, json!({ "basket": { "lines": [line] }, "claims": claims })).await["total"].clone()
    };
    assert_eq!(total(json!("2026-11-20")).await, 1_150);
    assert_eq!(total(json!("2026-11-21")).await, 2_300, "three days are left");
    assert_eq!(total(Value::Null).await, 2_300);
    let mut wrong = line("1", CIGARETTES, 1);
    wrong["best_before"] = json!("20.11.2026");
    let refused = till.ask("quote", json!({ "basket": { "lines": [wrong] } })).await;
    assert_eq!(refused.refusal(), (400, "AIS-1013"));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn is_a_price_cut_on_the_shelf_told() {
    let shop = Shop::open().await;
    let mut till = shop.till("till-1").await;
    let cut = quote(&mut till, json!({ "coupons": ["SHELF1"] })).await;
    let change = json!([{ "promotion": "shelf-one", "sku": CIGARETTES, "qty": 1, "amount": 100 }]);
    assert_eq!(
        (&cut["subtotal"], &cut["total"], &cut["shelf"]),
        (&json!(2_200), &json!(2_200), &change),
        "{cut}"
    );
    let paying = json!({ "transaction": sale(1), "quote": cut["quote"], "tenders": cash(2_200) });
    assert_eq!(till.ask("commit", paying).await.data()["shelf"], change);
}
