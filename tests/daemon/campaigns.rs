//! Do a campaign's results count what the shop sold, gave back and heard of it?

use aisled::cli::Exit;
use aisled::cli::bundle::Surroundings;
use aisled::cli::campaigns::{self, CampaignsArgs, CampaignsVerb, ResultsArgs};
use serde_json::{Value, json};

use crate::shop::{Shop, card, cash, line, sale};
use crate::signed::key;

const MILK: &str = "6901234000017";
const YOGHURT: &str = "6901234000024";
const SHAMPOO: &str = "6901234000079";
/// Of the example: half price for the second of dairy belongs to it.
const CAMPAIGN: &str = "winter-2026";

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
