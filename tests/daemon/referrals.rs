//! Referral codes at the door: for others than their owner, both gain, and all of it is undone with the sale.

use serde_json::{Value, json};

use crate::shop::{Shop, card, cash, line, sale};
use crate::till::Till;

const CIGARETTES: &str = "6901234000109";

fn referred(member: &str, code: &str) -> Value {
    json!({ "basket": { "lines": [line("1", CIGARETTES, 1)] }, "coupons": [code], "member": card(member) })
}

async fn quote(till: &mut Till, asked: Value) -> Value {
    till.ask("quote", asked).await.data().clone()
}

async fn pay(till: &mut Till, seq: u64, quote: &Value) -> Value {
    let paying = json!({ "transaction": sale(seq), "quote": quote["quote"], "tenders": cash(2_300) });
    till.ask("commit", paying).await.data().clone()
}

/// Points and coupons of a member.
async fn wallet(till: &mut Till, member: &str) -> (i64, usize) {
    let wallet = till.ask("wallet", json!({ "member": card(member) })).await.data().clone();
    let points = wallet["member"]["points"]["balance"].as_i64().expect("a number");
    (points, wallet["coupons"].as_array().expect("a list").len())
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn who_may_use_a_members_own_code() {
    let shop = Shop::open().await;
    let mut till = shop.till("till-1").await;
    let mut nobodys = referred("2003", "FRIEND-1");
    nobodys["member"] = Value::Null;
    let told =
        |quote: &Value| (quote["coupons"][0]["reason"].clone(), quote["coupons"][0]["problem"].clone());
    let nobody = quote(&mut till, nobodys).await;
    assert_eq!(told(&nobody), (json!("no_member"), json!("AIS-2011")));
    let owner = quote(&mut till, referred("2001", "FRIEND-1")).await;
    assert_eq!(told(&owner), (json!("referral_own"), json!("AIS-2107")));
    let housemate = quote(&mut till, referred("2002", "FRIEND-1")).await;
    assert_eq!(told(&housemate), (json!("referral_own"), json!("AIS-2107")));
    let mut two = referred("2003", "FRIEND-1");
    two["coupons"] = json!(["FRIEND-1", "FRIEND-6"]);
    let two = quote(&mut till, two).await;
    assert_eq!((&two["coupons"][0]["outcome"], &two["total"]), (&json!("applied"), &json!(1_900)), "{two}");
    assert_eq!(two["coupons"][1]["reason"], "referral_not_new", "one serves a sale");
    pay(&mut till, 1, &two).await;
    let again = quote(&mut till, referred("2003", "FRIEND-6")).await;
    assert_eq!(told(&again), (json!("referral_not_new"), json!("AIS-2108")));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn do_both_gain_and_is_it_undone_with_the_sale() {
    let mut shop = Shop::open().await;
    let mut till = shop.till("till-1").await;
    for (seq, friend) in [(1, "2003"), (2, "2004")] {
        let asked = quote(&mut till, referred(friend, "FRIEND-1")).await;
        let receipt = pay(&mut till, seq, &asked).await;
        assert_eq!((&receipt["total"], &receipt["coupons_burned"]), (&json!(1_900), &json!([])), "{receipt}");
    }
    shop.restart().await;
    let mut till = shop.till("till-1").await;
    assert_eq!(wallet(&mut till, "2001").await, (1_400, 2), "200 points and a coupon for each friend");
    let third = quote(&mut till, referred("2005", "FRIEND-1")).await;
    assert_eq!(third["coupons"][0]["reason"], "limit_code", "a code serves twice: {third}");
    till.ask("void", json!({ "transaction": sale(1) })).await.data();
    assert_eq!(wallet(&mut till, "2001").await, (1_200, 1), "the reward goes with the sale");
    let back = json!({
        "original": sale(2), "transaction": sale(3), "lines": [{ "line": "1", "qty": 1 }]
    });
    till.ask("return", back).await.data();
    assert_eq!(wallet(&mut till, "2001").await, (1_000, 0));
    let again = quote(&mut till, referred("2003", "FRIEND-1")).await;
    assert_eq!(again["coupons"][0]["outcome"], "applied", "new again, and the code serves again");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn is_a_new_member_new_only_once_over_two_tills() {
    let shop = Shop::open().await;
    let (mut a, mut b) = (shop.till("till-a").await, shop.till("till-b").await);
    let first = quote(&mut a, referred("2005", "FRIEND-1")).await;
    let second = quote(&mut b, referred("2005", "FRIEND-6")).await;
    assert_eq!((&first["total"], &second["total"]), (&json!(1_900), &json!(1_900)), "nothing is sold yet");
    pay(&mut a, 1, &first).await;
    let paying = json!({ "transaction": sale(1), "quote": second["quote"], "tenders": cash(2_300) });
    assert_eq!(b.ask("commit", paying).await.refusal(), (409, "AIS-2017"));
    assert_eq!(wallet(&mut b, "2006").await, (1_000, 0));
}
