//! Do a campaign's results count what the shop sold, gave back and heard of it?

use aisled::bundle::authoring::Authored;
use aisled::bundle::packed;
use aisled::cli::Exit;
use aisled::cli::bundle::Surroundings;
use aisled::cli::campaigns::{self, CampaignsArgs, CampaignsVerb, QualityArgs, ResultsArgs};
use serde_json::{Value, json};

use crate::rules::authored;
use crate::shop::{Shop, card, cash, line, sale, until};
use crate::signed::{key, signed_at};

const MILK: &str = "6901234000017";
const YOGHURT: &str = "6901234000024";
const SHAMPOO: &str = "6901234000079";
/// Of the example: half price for the second of dairy belongs to it.
const CAMPAIGN: &str = "winter-2026";
const OFFER: &str = "dairy-second-half";

fn results(shop: &Shop, args: ResultsArgs) -> (Exit, String) {
    let surroundings = Surroundings { trusted: vec![key().public()], ..Surroundings::default() };
    let mut out = Vec::new();
    let args = CampaignsArgs { verb: CampaignsVerb::Results(args) };
    let exit = campaigns::run(&args, shop.data(), &surroundings, &mut out).expect("it runs");
    (exit, String::from_utf8(out).expect("text"))
}

#[tokio::test]
async fn do_results_count_what_was_sold_given_back_and_said() {
    let shop = Shop::open().await;
    let mut till = shop.till("till-1").await;
    // Sales 1 to 4 with yoghurt and milk, 5 without; 2 is voided, of 3 some comes back, 4 is liked.
    let mut totals = Vec::new();
    for seq in 1..=5 {
        let lines = match seq {
            5 => json!([line("1", SHAMPOO, 1)]),
            _ => json!([line("1", MILK, 2), line("2", YOGHURT, 2)]),
        };
        let data = json!({
            "transaction": sale(seq), "basket": { "lines": lines }, "member": card(&format!("200{seq}")),
            "tenders": cash(10_000_000),
        });
        totals.push(till.ask("commit", data).await.data().clone());
    }
    till.ask("void", json!({ "transaction": sale(2) })).await.data();
    let back = json!({ "original": sale(3), "transaction": sale(11), "lines": [{ "line": "1", "qty": 1 }] });
    let back = till.ask("return", back).await.data()["refund"].as_i64().expect("an amount");
    till.ask("feedback", json!({ "transaction": sale(4), "score": 9 })).await.data();
    drop(till);

    let (exit, text) = results(&shop, ResultsArgs { json: true, ..ResultsArgs::default() });
    let report: Value = serde_json::from_str(&text).expect("one JSON object");
    assert_eq!((exit, &report["sales"]), (Exit::Ok, &json!(5)), "{report:#}");
    let of_a_campaign = |id: &str| {
        let all = report["campaigns"].as_array().expect("campaigns");
        all.iter()
            .find(|campaign| campaign["campaign"] == id)
            .cloned()
            .unwrap_or_else(|| panic!("{report:#}"))
    };
    let applied = totals[0]["applied"].as_array().expect("promotions");
    assert!(!applied.is_empty(), "{:#}", totals[0]);
    let found = of_a_campaign(CAMPAIGN);
    let total = |at: usize| totals[at]["total"].as_i64().expect("an amount");
    assert_eq!(found["baskets"], 3, "{found:#}");
    assert_eq!(found["net_minor"].as_i64(), Some(total(0) + total(2) + total(3) - back), "{found:#}");
    assert_eq!(found["participants"], 3);
    assert_eq!(found["participation"]["of"], 4);
    assert_eq!(found["satisfaction"]["value"], 9.0);
    assert_eq!(found["basis"], Value::Null);

    let (_, csv) = results(&shop, ResultsArgs { csv: true, ..ResultsArgs::default() });
    assert!(csv.lines().any(|line| line.starts_with(&format!("{CAMPAIGN},2026-11-18,3,"))), "{csv}");
    let (_, table) = results(&shop, ResultsArgs::default());
    assert!(table.contains("nothing to compare with") && table.contains("reach"), "{table}");
}

fn of_a_campaign(shop: &Shop, id: &str) -> Value {
    let (exit, text) = results(shop, ResultsArgs { json: true, ..ResultsArgs::default() });
    let report: Value = serde_json::from_str(&text).expect("one JSON object");
    assert_eq!(exit, Exit::Ok, "{report:#}");
    let all = report["campaigns"].as_array().expect("campaigns");
    all.iter().find(|campaign| campaign["campaign"] == id).cloned().unwrap_or_else(|| panic!("{report:#}"))
}

/// Version 2 of the rules: the campaign is held back from half of the members.
async fn hold_back_half(shop: &Shop) {
    let mut authored = authored();
    for campaign in authored.rules.campaigns.iter_mut().filter(|campaign| campaign.id.as_str() == CAMPAIGN) {
        campaign.holdout = 5_000;
    }
    let Authored { rules, members, codes } = &authored;
    let packed = packed::pack(2, signed_at(2), rules, members, codes, &key()).expect("it packs");
    shop.put("2.aisb", &packed);
    shop.follows(2).await;
}

#[tokio::test]
async fn are_members_held_out_shown_nothing_pay_the_same_and_compared_with() {
    let shop = Shop::open().await;
    hold_back_half(&shop).await;
    let mut till = shop.till("till-1").await;
    let (mut shown, mut held) = (Vec::new(), Vec::new());
    for member in 2001..=2010 {
        let scanned = till.ask("scan", json!({ "token": card(&member.to_string()) })).await.data().clone();
        let offers = scanned["offers"].as_array().expect("offers");
        assert!(!offers.is_empty(), "offers of no campaign are shown to all: {scanned:#}");
        let sees = offers.iter().any(|offer| offer["promotion"] == OFFER);
        if sees { shown.push(member) } else { held.push(member) }
    }
    let stranger = till.ask("scan", json!({ "token": card("nobody") })).await.data().clone();
    assert!(stranger["offers"].as_array().expect("offers").iter().any(|offer| offer["promotion"] == OFFER));
    assert!(shown.len() > 1 && held.len() > 1, "{shown:?} {held:?}");
    let next = |shop: &Shop| shop.status()["journal"]["next"].as_u64().expect("a number");
    let before = next(&shop);
    shop.clock.advance_ms(61_000);
    until("the note of what was shown", || next(&shop) == before + 1).await;
    let mut totals = Vec::new();
    for (seq, member) in (1..).zip([shown[0], held[0]]) {
        let data = json!({
            "transaction": sale(seq), "basket": { "lines": [line("1", MILK, 2), line("2", YOGHURT, 2)] },
            "member": card(&member.to_string()), "tenders": cash(10_000_000),
        });
        totals.push(till.ask("commit", data).await.data()["total"].clone());
    }
    assert_eq!(totals[0], totals[1], "a basket costs those held out the same");
    let found = of_a_campaign(&shop, CAMPAIGN);
    assert_eq!((&found["reach"], &found["held_out"]), (&json!(shown.len()), &json!(held.len())), "{found:#}");
    assert_eq!((&found["basis"], &found["conversion"]["of"]), (&json!("holdout"), &json!(shown.len())));
}

#[tokio::test]
async fn do_results_say_whom_offers_reached_and_who_came_for_them() {
    let shop = Shop::open().await;
    let mut till = shop.till("till-1").await;
    // 2001 and 2002 look and buy, 2003 only looks, 2004 only buys.
    for member in ["2001", "2002", "2003", "2003"] {
        let scanned = till.ask("scan", json!({ "token": card(member) })).await.data().clone();
        let offers = scanned["offers"].as_array().expect("offers");
        assert!(offers.iter().any(|offer| offer["promotion"] == OFFER), "{scanned:#}");
    }
    let next = |shop: &Shop| shop.status()["journal"]["next"].as_u64().expect("a number");
    let before = next(&shop);
    shop.clock.advance_ms(61_000);
    until("the note of what was shown", || next(&shop) == before + 1).await;
    for (seq, member) in (1..).zip(["2001", "2002", "2004"]) {
        let data = json!({
            "transaction": sale(seq), "basket": { "lines": [line("1", MILK, 2), line("2", YOGHURT, 2)] },
            "member": card(member), "tenders": cash(10_000_000),
        });
        till.ask("commit", data).await.data();
    }
    let found = of_a_campaign(&shop, CAMPAIGN);
    assert_eq!((&found["reach"], &found["participants"]), (&json!(3), &json!(3)), "{found:#}");
    let conversion = &found["conversion"];
    assert_eq!((conversion["of"].as_i64(), &found["held_out"]), (Some(3), &json!(0)), "{found:#}");
    assert!((conversion["value"].as_f64().expect("a share") - 2.0 / 3.0).abs() < 1e-9, "{found:#}");
}

#[tokio::test]
async fn is_it_told_whether_what_was_proposed_was_bought() {
    let mut shop = Shop::open().await;
    let mut till = shop.till("till-1").await;
    let sell = |seq: i64, member: &str, skus: &[&str]| {
        let lines: Vec<Value> =
            skus.iter().zip(1..).map(|(sku, nth)| line(&format!("{nth}"), sku, 1)).collect();
        json!({
            "transaction": sale(seq.unsigned_abs()), "basket": { "lines": lines }, "member": card(member),
            "tenders": cash(1_000_000),
        })
    };
    for seq in 1..=6 {
        till.ask("commit", sell(seq, "2003", &[MILK, YOGHURT])).await.data();
    }
    drop(till);
    shop.restart().await;
    until("proposals", || !shop.status()["proposals"].is_null()).await;
    let mut till = shop.till("till-1").await;
    let scanned = till.ask("scan", json!({ "token": card("2003") })).await.data().clone();
    assert!(
        scanned["recommendations"].as_array().is_some_and(|all| all.iter().any(|one| one["sku"] == MILK)),
        "{scanned}"
    );
    // Bought before it is written down what was shown.
    shop.clock.advance_ms(5_000);
    till.ask("commit", sell(7, "2003", &[MILK])).await.data();
    let next = |shop: &Shop| shop.status()["journal"]["next"].as_u64().expect("a number");
    let before = next(&shop);
    shop.clock.advance_ms(61_000);
    until("the note of what was shown", || next(&shop) == before + 1).await;
    let mut out = Vec::new();
    let args = CampaignsArgs { verb: CampaignsVerb::Quality(QualityArgs { json: true }) };
    let surroundings = Surroundings { trusted: vec![key().public()], ..Surroundings::default() };
    let exit = campaigns::run(&args, shop.data(), &surroundings, &mut out).expect("it runs");
    let told: Value = serde_json::from_slice(&out).expect("one JSON object");
    assert_eq!((exit, &told["scans"], &told["judged"]), (Exit::Ok, &json!(1), &json!(1)), "{told:#}");
    assert_eq!(told["hit_rates"]["hit_rate_at_8"], 1.0, "{told:#}");
    assert_eq!(told["articles"]["repeats"]["bought"], 1, "{told:#}");
}
