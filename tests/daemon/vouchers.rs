//! Partners' vouchers at the door: believed by their signature alone, spent once, given back by a void.

use aisled::bundle::keys::SecretKey;
use aisled::bundle::voucher::{Gives, Voucher};
use aisled::domain::ids::PromotionId;
use aisled::domain::money::Money;
use serde_json::{Value, json};

use crate::rules::partner_key;
use crate::shop::{Shop, card, cash, line, sale};
use crate::till::Till;

const CIGARETTES: &str = "6901234000109";
const OIL: &str = "6901234000048";

fn off(promotion: &str) -> Gives {
    Gives::Promotion(PromotionId::new(promotion).expect("an id"))
}

/// A voucher as a partner prints it, good to a day.
fn printed(secret: &SecretKey, serial: u64, last_day: &str, gives: Gives) -> String {
    let last_day = last_day.parse().expect("a day");
    let voucher = Voucher { key: secret.public().id(), serial, last_day, gives };
    voucher.sign("sunrise", secret).expect("it is written").to_string()
}

fn mall(serial: u64, gives: Gives) -> String {
    printed(&partner_key(), serial, "2026-11-30", gives)
}

fn with_codes(sku: &str, codes: &[&str]) -> Value {
    json!({ "basket": { "lines": [line("1", sku, 1)] }, "coupons": codes })
}

async fn quote(till: &mut Till, asked: Value) -> Value {
    till.ask("quote", asked).await.data().clone()
}

fn paying(seq: u64, quote: &Value, amount: i64) -> Value {
    json!({ "transaction": sale(seq), "quote": quote["quote"], "tenders": cash(amount) })
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn is_a_voucher_spent_once_and_given_back_by_a_void() {
    let mut shop = Shop::open().await;
    let (mut till, mut other) = (shop.till("till-1").await, shop.till("till-2").await);
    let text = mall(1, off("once-five"));
    let first = quote(&mut till, with_codes(CIGARETTES, &[&text.to_lowercase()])).await;
    assert_eq!(first["coupons"], json!([{ "code": text, "outcome": "applied" }]), "{first}");
    assert_eq!(first["total"], 1_800);
    let held = quote(&mut other, with_codes(OIL, &[&text])).await;
    assert_eq!(held["coupons"][0]["reason"], "code_held");
    let same_serial = mall(1, Gives::Value(Money(1_000)));
    let held = quote(&mut other, with_codes(OIL, &[&same_serial])).await;
    assert_eq!(held["coupons"][0]["reason"], "code_held", "a serial is one right, whatever it says");
    let receipt = till.ask("commit", paying(1, &first, 1_800)).await.data().clone();
    assert_eq!(receipt["coupons_burned"], json!([text]));
    shop.restart().await;
    let mut till = shop.till("till-1").await;
    let again = quote(&mut till, with_codes(CIGARETTES, &[&text])).await;
    let refused = json!({ "code": text, "outcome": "refused", "reason": "code_used", "problem": "AIS-2102" });
    assert_eq!((&again["coupons"][0], &again["total"]), (&refused, &json!(2_300)));
    let voided = till.ask("void", json!({ "transaction": sale(1) })).await.data().clone();
    assert_eq!(voided["coupons_returned"], json!([text]));
    let third = quote(&mut till, with_codes(CIGARETTES, &[&text])).await;
    assert_eq!(third["total"], 1_800, "good again");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn does_a_voucher_of_value_pay_and_never_discount() {
    let shop = Shop::open().await;
    let mut till = shop.till("till-1").await;
    let text = mall(7, Gives::Value(Money(1_000)));
    let mut asked = with_codes(CIGARETTES, &[&text]);
    asked["member"] = card("2001");
    let quoted = quote(&mut till, asked).await;
    assert_eq!((&quoted["total"], &quoted["discount_total"]), (&json!(2_300), &json!(0)));
    assert_eq!(quoted["gift_cards"], json!([{ "code": text, "used": 1_000, "balance": 0 }]));
    let short = till.ask("commit", paying(1, &quoted, 1_299)).await;
    assert_eq!(short.refusal(), (422, "AIS-2010"));
    let receipt = till.ask("commit", paying(1, &quoted, 1_300)).await.data().clone();
    assert_eq!(receipt["coupons_burned"], json!([text]));
    let again = quote(&mut till, with_codes(OIL, &[&text])).await;
    assert_eq!((&again["coupons"][0]["reason"], &again["gift_cards"]), (&json!("code_used"), &Value::Null));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn which_vouchers_are_refused_and_with_which_page() {
    let shop = Shop::open().await;
    let mut till = shop.till("till-1").await;
    let stranger = SecretKey::from_seed(&[8; 32]);
    let bank = SecretKey::from_seed(&[6; 32]);
    let good = mall(2, off("once-five"));
    let of_another_chain = Voucher {
        key: partner_key().public().id(),
        serial: 3,
        last_day: "2026-11-30".parse().expect("a day"),
        gives: off("once-five"),
    };
    let foreign = of_another_chain.sign("moonrise", &partner_key()).expect("it is written").to_string();
    let cases = [
        (good[..good.len() - 3].to_owned(), "voucher_malformed", "AIS-2111"),
        ("PV1:HELLO".to_owned(), "voucher_malformed", "AIS-2111"),
        (printed(&stranger, 2, "2026-11-30", off("once-five")), "voucher_key_unknown", "AIS-2112"),
        (foreign, "voucher_signature_bad", "AIS-2113"),
        (mall(4, off("flyer-three")), "voucher_not_allowed", "AIS-2114"),
        (mall(5, Gives::Value(Money(5_001))), "voucher_not_allowed", "AIS-2114"),
        (printed(&bank, 6, "2026-11-30", off("once-five")), "voucher_not_allowed", "AIS-2114"),
        (printed(&partner_key(), 8, "2026-11-17", off("once-five")), "expired", "AIS-2106"),
    ];
    for (text, reason, problem) in cases {
        let asked = quote(&mut till, with_codes(CIGARETTES, &[&text])).await;
        let refused = json!([{ "code": text, "outcome": "refused", "reason": reason, "problem": problem }]);
        assert_eq!((&asked["coupons"], &asked["total"]), (&refused, &json!(2_300)), "{reason}");
    }
    let last_day = printed(&partner_key(), 9, "2026-11-18", off("once-five"));
    let twice = mall(9, Gives::Value(Money(100)));
    let both = quote(&mut till, with_codes(CIGARETTES, &[&last_day, &twice])).await;
    assert_eq!(both["coupons"][0]["outcome"], "applied", "good to the end of its last day");
    assert_eq!(both["coupons"][1]["reason"], "code_used", "one serial under two texts");
}
