//! Does a day's journal evaluate to the same bytes again, and can new rules be tried on it?

use aisled::bundle::packed;
use aisled::cli::Exit;
use aisled::cli::bundle::Surroundings;
use aisled::cli::bundle::simulate::{self, SimulateArgs};
use aisled::cli::replay::{self, ReplayArgs};
use aisled::domain::calendar::Day;
use aisled::domain::ids::PromotionId;
use aisled::pricing::model::{Benefit, ReturnPolicy, Reward};
use serde_json::{Value, json};

use crate::rules;
use crate::shop::{Shop, card, cash, line, sale};
use crate::signed::{key, signed_at};
use crate::till::Till;

const MILK: &str = "6901234000017";
const YOGHURT: &str = "6901234000024";
const OIL: &str = "6901234000048";
const SHAMPOO: &str = "6901234000079";

/// The tests' rules as `version`, with a change.
fn changed(version: u64, change: impl Fn(&mut aisled::bundle::document::Rules)) -> Vec<u8> {
    let mut authored = rules::authored();
    change(&mut authored.rules);
    packed::pack(version, signed_at(version), &authored.rules, &authored.members, &authored.codes, &key())
        .expect("it packs")
}

async fn sell(till: &mut Till, seq: u64, lines: Value, member: &str, coupons: Value) -> Value {
    let data = json!({
        "transaction": sale(seq),
        "basket": { "lines": lines },
        "member": card(member),
        "coupons": coupons,
        "tenders": cash(10_000_000),
    });
    till.ask("commit", data).await.data().clone()
}

fn surroundings() -> Surroundings {
    Surroundings { trusted: vec![key().public()], ..Surroundings::default() }
}

fn replayed(shop: &Shop, args: ReplayArgs) -> (Exit, Value) {
    let mut out = Vec::new();
    let exit = replay::run(&args, shop.data(), &surroundings(), &mut out).expect("it runs");
    (exit, serde_json::from_slice(&out).expect("one JSON object"))
}

fn of_the_day() -> ReplayArgs {
    let day: Day = "2026-11-18".parse().expect("a day");
    ReplayArgs { decision: None, day: Some(day), under: None, key: Vec::new(), json: true }
}

#[tokio::test]
async fn does_a_day_evaluate_to_the_same_bytes_and_a_changed_rule_to_others() {
    let offer = PromotionId::new("every-100-minus-15").expect("an id");
    let mut shop = Shop::open().await;
    let mut till = shop.till("till-1").await;
    for seq in 1..=6 {
        let lines = json!([line("1", MILK, 2), line("2", SHAMPOO, 2), line("3", YOGHURT, 3)]);
        sell(&mut till, seq, lines, &format!("200{seq}"), json!([format!("ONCE-0{seq}")])).await;
    }
    till.ask("void", json!({ "transaction": sale(2) })).await.data();
    let back = json!({ "original": sale(1), "transaction": sale(11), "lines": [{ "line": "2", "qty": 1 }] });
    till.ask("return", back).await.data();

    // A sale under rules that work it out again, returned when they are gone from the active bundle.
    let again = changed(2, |rules| {
        let found = rules.promotions.iter_mut().find(|promotion| promotion.id == offer);
        found.expect("of the example").returns = ReturnPolicy::ReEvaluate;
    });
    shop.put("2.aisb", &again);
    shop.follows(2).await;
    let bought =
        sell(&mut till, 7, json!([line("1", OIL, 1), line("2", SHAMPOO, 2)]), "2007", json!([])).await;
    assert_eq!(bought["total"], 11_990 + 2 * 3_990 - 1_500, "{bought}");
    shop.put("3.aisb", &changed(3, |rules| rules.promotions.retain(|promotion| promotion.id != offer)));
    shop.follows(3).await;
    let back = json!({ "original": sale(7), "transaction": sale(12), "lines": [{ "line": "1", "qty": 1 }] });
    let refund = till.ask("return", back).await.data().clone();
    // What stays would have cost 79.80 without the offer; 184.70 was paid.
    assert_eq!(refund["refund"], 11_990 + 2 * 3_990 - 1_500 - 2 * 3_990, "{refund}");
    sell(&mut till, 8, json!([line("1", OIL, 1)]), "2008", json!([])).await;

    let (exit, report) = replayed(&shop, of_the_day());
    assert_eq!(exit, Exit::Ok, "{report:#}");
    assert_eq!((&report["sales"], &report["refunds"], &report["same"]), (&json!(8), &json!(3), &json!(11)));
    assert_eq!(report["same_all"], true);

    let one = bought["decision"].as_str().expect("a reference").to_owned();
    let (exit, report) =
        replayed(&shop, ReplayArgs { decision: Some(one.clone()), day: None, ..of_the_day() });
    assert_eq!((exit, &report["same"]), (Exit::Ok, &json!(1)));
    assert!(report["figures"]["not_applied"].as_array().is_some_and(|list| !list.is_empty()), "reasons too");

    // One byte of a rule: half price for the second becomes 51 % off.
    let other = changed(9, |rules| {
        let half = rules.promotions.iter_mut().find(|promotion| promotion.id.as_str() == "dairy-second-half");
        let Benefit::NthItem(nth) = &mut half.expect("of the example").benefit else { panic!("second one") };
        nth.reward = Reward::Percent(serde_json::from_value(json!(51)).expect("a percentage"));
    });
    let path = shop.data().join("other.aisb");
    std::fs::write(&path, other).expect("it is written");
    let (exit, report) = replayed(&shop, ReplayArgs { under: Some(path.clone()), ..of_the_day() });
    assert_eq!(exit, Exit::Finding, "{report:#}");
    assert!(report["different"].as_u64().is_some_and(|count| count >= 6), "{report:#}");
    let first = &report["differences"][0];
    assert_eq!(first["path"], "applied[1].amount", "{report:#}");

    // A kept bundle that was tampered with is not believed.
    let kept = std::fs::read_dir(shop.data().join("bundles")).expect("a folder");
    let kept = kept.map(|entry| entry.expect("an entry").path());
    let kept: Vec<_> = kept.filter(|path| path.to_string_lossy().contains("/1-")).collect();
    let mut bytes = std::fs::read(&kept[0]).expect("the first bundle");
    let middle = bytes.len() / 2;
    bytes[middle] ^= 1;
    std::fs::remove_file(&kept[0]).expect("another file of that name");
    std::fs::write(&kept[0], bytes).expect("it is written");
    let (exit, report) = replayed(&shop, of_the_day());
    assert_eq!(exit, Exit::Finding);
    assert!(report["without_rules"].as_u64().is_some_and(|count| count >= 6), "{report:#}");

    // The day's own sales, under the rules it ended with and under the changed ones.
    let simulated = || {
        let args = SimulateArgs {
            new: path.clone(),
            against: None,
            baskets: "last-4-weeks".to_owned(),
            days: 0..7,
            first_day: "2017-01-01".parse().expect("a day"),
            data: Some(shop.data().to_owned()),
            key: Vec::new(),
            json: true,
        };
        let mut out = Vec::new();
        assert_eq!(simulate::run(&args, &surroundings(), &mut out).expect("it runs"), Exit::Ok);
        out
    };
    let bytes = simulated();
    assert_eq!(bytes, simulated(), "the same sales, the same bytes");
    let report: Value = serde_json::from_slice(&bytes).expect("one JSON object");
    // Eight were sold, and one of them was voided.
    assert_eq!((&report["baskets"]["priced"], &report["baskets"]["members"]), (&json!(7), &json!(7)));
    assert_eq!(report["promotions"]["every-100-minus-15"]["before"]["baskets"], 0, "gone since version 3");
    assert!(report["promotions"]["every-100-minus-15"]["after"]["baskets"].as_u64() >= Some(2), "{report:#}");
    assert!(report["changes"]["cheaper"].as_u64() >= Some(6), "{report:#}");
    shop.stop().await;
}
