//! Does a week of a grocer's real baskets evaluate to the same bytes again, whatever was voided or brought back?

use std::path::Path;

use aisled::bundle::packed;
use aisled::cli::Exit;
use aisled::cli::bundle::Surroundings;
use aisled::cli::bundle::simulate::{self, SimulateArgs};
use aisled::cli::journey::{Journey, bundle_of};
use aisled::cli::replay::{self, ReplayArgs};
use aisled::cli::tills::Visit;
use aisled::domain::calendar::{Day, UnixMs};
use aisled::pricing::model::ReturnPolicy;
use serde_json::{Value, json};

use crate::shop::{Shop, cash};
use crate::signed::{key, signed_at};
use crate::till::Till;

const POLICIES: [ReturnPolicy; 4] =
    [ReturnPolicy::Keep, ReturnPolicy::ReEvaluate, ReturnPolicy::ClawBack, ReturnPolicy::BlockPartial];

/// Day 0 of the source; the clock of the tests starts before it.
fn first_day() -> Day {
    "2026-11-19".parse().expect("a day")
}

fn week() -> Journey {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/data/complete-journey");
    Journey::open(&folder, 0..7).expect("the extract in the repository")
}

/// The rules such a shop would have had, with every return policy among them.
fn rules(journey: &Journey) -> Vec<u8> {
    let (mut rules, members, codes) = bundle_of(journey, first_day());
    for (promotion, policy) in rules.promotions.iter_mut().zip(POLICIES.iter().cycle()) {
        promotion.returns = *policy;
    }
    packed::pack(2, signed_at(2), &rules, &members, &codes, &key()).expect("it packs")
}

fn surroundings() -> Surroundings {
    Surroundings { trusted: vec![key().public()], ..Surroundings::default() }
}

#[derive(Default)]
struct Counts {
    sales: u64,
    voids: u64,
    returns: u64,
}

/// Rings a basket up; each eleventh sale is voided, each fifth brought back in part, each seventh brought back whole.
async fn visit(till: &mut Till, visit: &Visit, day: Day, seq: u64, counts: &mut Counts) {
    let transaction = |seq: u64| json!({ "business_day": day, "seq": seq });
    let mut sold =
        json!({ "transaction": transaction(seq), "basket": visit.basket(), "tenders": cash(100_000_000) });
    sold["member"] = json!(visit.member);
    sold["coupons"] = json!(visit.coupons);
    let receipt = till.ask("commit", sold).await.data().clone();
    counts.sales += 1;
    let lines = receipt["lines"].as_array().expect("lines").iter();
    let qty = |line: &Value| {
        line["units"].as_array().map_or(1, |units| units.iter().filter_map(|u| u["qty"].as_u64()).sum())
    };
    let all: Vec<Value> = lines.map(|line| json!({ "line": line["line"], "qty": qty(line) })).collect();
    let back = match counts.sales {
        n if n.is_multiple_of(11) => {
            till.ask("void", json!({ "transaction": transaction(seq) })).await.data();
            counts.voids += 1;
            return;
        }
        n if n.is_multiple_of(7) => all,
        n if n.is_multiple_of(5) => vec![json!({ "line": all[0]["line"], "qty": 1 })],
        _ => return,
    };
    let back =
        json!({ "original": transaction(seq), "transaction": transaction(seq + 100_000), "lines": back });
    let answer = till.ask("return", back).await;
    // A promotion that comes back only as a whole says so; that is decided too, and no refund.
    match answer.status() {
        200 => counts.returns += 1,
        _ => assert_eq!(answer.refusal().1, "AIS-2009", "{}", answer.0),
    }
}

#[tokio::test]
async fn does_a_week_of_real_baskets_evaluate_to_the_same_bytes() {
    let journey = week();
    let mut shop = Shop::open().await;
    shop.put("2.aisb", &rules(&journey));
    shop.follows(2).await;
    let mut till = shop.till("till-1").await;
    let mut counts = Counts::default();
    for (seq, basket) in (1..).zip(&journey.baskets) {
        let at = Journey::at(basket, first_day());
        shop.clock.set(UnixMs::parse_rfc3339(&at).expect("a time"));
        let of_day = Journey::business_day(basket, first_day());
        visit(&mut till, &Visit::of_basket(basket, first_day()), of_day, seq, &mut counts).await;
    }
    assert_eq!(counts.sales, journey.baskets.len() as u64);
    assert!(counts.voids > 20 && counts.returns > 50, "{} voids, {} returns", counts.voids, counts.returns);

    let mut found = (0, 0);
    for day in 0..7 {
        let day = first_day().plus_days(day);
        let args = ReplayArgs { decision: None, day: Some(day), under: None, key: Vec::new(), json: true };
        let mut out = Vec::new();
        let exit = replay::run(&args, shop.data(), &surroundings(), &mut out).expect("it runs");
        let report: Value = serde_json::from_slice(&out).expect("one JSON object");
        let number = |key: &str| report[key].as_u64().expect("a number");
        assert_eq!((exit, number("different"), number("unreadable")), (Exit::Ok, 0, 0), "{report:#}");
        assert_eq!(number("same"), number("sales") + number("refunds"), "{report:#}");
        assert!(number("sales") > 0, "{day}: {report:#}");
        found = (found.0 + number("sales"), found.1 + number("refunds"));
    }
    assert_eq!(found, (counts.sales, counts.voids + counts.returns), "each decision is of one day");

    // What was voided was not sold: new rules are not tried on it.
    let args = SimulateArgs {
        new: shop.data().join("bundles/active.aisb"),
        against: None,
        baskets: "last-4-weeks".to_owned(),
        days: 0..7,
        first_day: first_day(),
        data: Some(shop.data().to_owned()),
        key: Vec::new(),
        json: true,
    };
    let mut out = Vec::new();
    assert_eq!(simulate::run(&args, &surroundings(), &mut out).expect("it runs"), Exit::Ok);
    let report: Value = serde_json::from_slice(&out).expect("one JSON object");
    assert_eq!(report["baskets"]["priced"], counts.sales - counts.voids, "{:#}", report["baskets"]);
    shop.stop().await;
}
