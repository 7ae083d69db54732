//! Does a day leave the shop as POSLog and CSV, and come into another shop, once, with every count reconciled?

use std::path::{Path, PathBuf};

use aisled::cli::Exit;
use aisled::cli::bundle::Surroundings;
use aisled::cli::export::{self, ExportArgs, OfDay};
use aisled::cli::import::{self, ImportArgs};
use serde_json::{Value, json};

use crate::shop::{Shop, card, cash, line, sale};
use crate::signed::key;
use crate::till::Till;

const MILK: &str = "6901234000017";
const YOGHURT: &str = "6901234000024";
const SPINACH: &str = "6901234000062";
const SHAMPOO: &str = "6901234000079";

fn surroundings() -> Surroundings {
    Surroundings { trusted: vec![key().public()], ..Surroundings::default() }
}

fn exported(shop: &Shop, form: fn(OfDay) -> export::Form) -> (Exit, String) {
    let day = "2026-11-18".parse().expect("a day");
    let args = ExportArgs { form: form(OfDay { day, out: None }) };
    let mut out = Vec::new();
    let exit = export::run(&args, shop.data(), &surroundings(), &mut out).expect("it runs");
    (exit, String::from_utf8(out).expect("text"))
}

fn imported(shop: &Shop, file: &Path, dry_run: bool) -> (Exit, Value) {
    let file = import::File { file: file.to_owned(), dry_run, json: true };
    let args = ImportArgs { form: import::Form::Poslog(file) };
    let mut out = Vec::new();
    let exit = import::run(&args, shop.data(), &surroundings(), &mut out).expect("it runs");
    (exit, serde_json::from_slice(&out).expect("one JSON object"))
}

/// Everything but which decision it was.
fn undecided(poslog: &str) -> String {
    let strip = |line: &str| match line.split_once(" aisle:Decision=\"") {
        Some((before, rest)) => format!("{before}{}", rest.split_once('"').map_or("", |(_, after)| after)),
        None => line.to_owned(),
    };
    poslog.lines().map(strip).collect::<Vec<_>>().join("\n")
}

fn counts(report: &Value) -> Value {
    let field = |name: &str| report[name].clone();
    let names = ["transactions", "taken", "already", "different", "refused", "passed_over"];
    names.iter().map(|name| field(name)).collect()
}

fn put(shop: &Shop, name: &str, text: &str) -> PathBuf {
    let path = shop.data().join(name);
    std::fs::write(&path, text).expect("it is written");
    path
}

fn next_decision(shop: &Shop) -> Value {
    shop.status()["journal"]["next"].clone()
}

/// Of everything a day has: codes, points, claims, gifts, a quote, training, goods that come back and a sale that does not stand.
async fn a_day(shop: &mut Shop, till: &mut Till) {
    let sold = |seq: u64, lines: Value, more: Value| {
        let mut data =
            json!({ "transaction": sale(seq), "basket": { "lines": lines }, "tenders": cash(10_000_000) });
        data.as_object_mut().expect("a map").extend(more.as_object().expect("a map").clone());
        data
    };
    let member = |card_number: &str| json!({ "member": card(card_number) });
    let mut everything = member("2003");
    everything["coupons"] = json!(["once-03", "NOT-A-CODE"]);
    everything["points"] = json!({ "spend": 500 });
    let sales = [
        sold(1, json!([line("a", MILK, 3), line("b", YOGHURT, 2)]), json!({})),
        sold(2, json!([line("1", SHAMPOO, 2), line("2", MILK, 1)]), everything),
        sold(
            3,
            json!([{ "line": "1", "sku": "LOOSE-1", "weight_grams": 350, "unit_price": 2_400 }]),
            json!({}),
        ),
        sold(
            4,
            json!([line("1", SHAMPOO, 4)]),
            json!({ "claims": [{ "promotion": "claim-a-gift", "times": 1 }] }),
        ),
        sold(5, json!([line("1", SPINACH, 2)]), json!({ "training": true, "channel": "kiosk" })),
        sold(6, json!([line("1", MILK, 1)]), member("2004")),
        sold(
            7,
            json!([line("1", MILK, 1)]),
            json!({ "charged": { "total": 1_111, "at": "2026-11-18T09:30:00+08:00" } }),
        ),
    ];
    for data in sales {
        shop.clock.advance_ms(61_234);
        till.ask("commit", data).await.data();
    }
    shop.clock.advance_ms(1_000);
    let quoted = json!({ "basket": { "lines": [line("1", YOGHURT, 1)] }, "member": card("2005") });
    let quote = till.ask("quote", quoted).await.data()["quote"].clone();
    shop.clock.advance_ms(1_000);
    till.ask("commit", json!({ "transaction": sale(8), "quote": quote, "tenders": cash(100_000) }))
        .await
        .data();
    till.ask("void", json!({ "transaction": sale(6) })).await.data();
    let lines = json!([{ "line": "a", "qty": 1 }, { "line": "b", "qty": 2 }]);
    till.ask("return", json!({ "original": sale(1), "transaction": sale(9), "lines": lines })).await.data();
}

#[tokio::test]
async fn does_a_day_come_out_of_another_shop_as_it_went_in() {
    let mut shop = Shop::open().await;
    let mut till = shop.till("till-1").await;
    a_day(&mut shop, &mut till).await;
    let (exit, poslog) = exported(&shop, export::Form::Poslog);
    assert_eq!(exit, Exit::Ok);
    for told in [
        "<RetailStoreID>s01<",
        "<PrimaryLabel>ONCE-03<",
        "\"PointsRedeemed\">500<",
        "Promotion=\"claim-a-gift\"",
        "aisle:Gift=\"claim-a-gift\"",
        "UnitOfMeasureCode=\"GRM\">350<",
        "TrainingModeFlag=\"true\"",
        "PostVoided",
        "<Return ItemType=\"Stock\">",
        "aisle:Channel=\"Kiosk\"",
        "<LoyaltyAccountID>m-2005<",
    ] {
        assert!(poslog.contains(told), "{told} is missing in\n{poslog}");
    }
    assert!(!poslog.contains("NOT-A-CODE"));

    let other = Shop::open().await;
    other.clock.set(aisled::clock::Clock::now(&shop.clock));
    let file = put(&other, "day.xml", &poslog);
    let before = next_decision(&other);
    let (exit, dry) = imported(&other, &file, true);
    assert_eq!((exit, counts(&dry)), (Exit::Ok, json!([10, 10, 0, 0, 0, 0])), "{dry:#}");
    assert_eq!(next_decision(&other), before, "a dry run changes nothing");
    let (exit, report) = imported(&other, &file, false);
    assert_eq!((exit, counts(&report)), (Exit::Ok, json!([10, 10, 0, 0, 0, 0])), "{report:#}");
    let (_, again) = exported(&other, export::Form::Poslog);
    assert_eq!(undecided(&again), undecided(&poslog));

    let before = next_decision(&other);
    let (exit, twice) = imported(&other, &file, false);
    assert_eq!((exit, counts(&twice)), (Exit::Ok, json!([10, 0, 10, 0, 0, 0])), "{twice:#}");
    assert_eq!((next_decision(&other), &twice["total"]), (before, &report["total"]));
    let (exit, home) = imported(&shop, &file, false);
    assert_eq!((exit, counts(&home)), (Exit::Ok, json!([10, 0, 10, 0, 0, 0])), "where it was sold: {home:#}");

    let (exit, table) = exported(&shop, export::Form::Csv);
    assert_eq!(exit, Exit::Ok);
    let mut rows = csv::Reader::from_reader(table.as_bytes());
    let mut total = 0.0;
    for row in rows.records() {
        let row = row.expect("a row");
        let counts = &row[6] == "total" && &row[5] != "training";
        total += if counts { row[11].parse::<f64>().expect("an amount") } else { 0.0 };
    }
    assert_eq!(json!((total * 100.0).round() as i64), report["total"], "{table}");
}

#[tokio::test]
async fn is_every_bad_line_refused_by_its_code_and_the_rest_taken() {
    let mut shop = Shop::open().await;
    let mut till = shop.till("till-1").await;
    a_day(&mut shop, &mut till).await;
    let (_, good) = exported(&shop, export::Form::Poslog);
    let other = Shop::open().await;
    other.clock.set(aisled::clock::Clock::now(&shop.clock));
    // Each changes the first place it finds; the sale it is in is refused, the others are not.
    let table = [
        ("<RetailStoreID>s01<", "<RetailStoreID>s02<", "AIS-8203"),
        ("<WorkstationID>till-1<", "<WorkstationID>Till #1<", "AIS-1004"),
        ("<BusinessDayDate>2026-11-18<", "<BusinessDayDate>18.11.2026<", "AIS-1013"),
        ("<SequenceNumber>1<", "<SequenceNumber>one<", "AIS-8202"),
        ("<CurrencyCode>CNY<", "<CurrencyCode>USD<", "AIS-8202"),
        ("\">3</Quantity>", "\">0</Quantity>", "AIS-8202"),
        ("\">3</Quantity>", "\">4000000</Quantity>", "AIS-1005"),
        ("<EndDateTime>2026", "<EndDateTime>yesterday 2026", "AIS-1013"),
        ("aisle:Line=\"b\"", "aisle:Line=\"a\"", "AIS-1014"),
    ];
    for (there, instead, code) in table {
        let file = put(&other, "bad.xml", &good.replacen(there, instead, 1));
        let (exit, report) = imported(&other, &file, true);
        assert_eq!(
            (exit, &report["refused"], &report["taken"]),
            (Exit::Finding, &json!(1), &json!(9)),
            "{report:#}"
        );
        assert_eq!(report["told"][0]["code"], code, "{there}: {report:#}");
        assert!(report["told"][0]["line"].as_u64().is_some_and(|line| (3..40).contains(&line)), "{report:#}");
    }
    let before = next_decision(&other);
    let torn = put(&other, "torn.xml", &good[..good.len() - 20]);
    let (exit, report) = imported(&other, &torn, false);
    assert_eq!((exit, &report["told"][0]["code"]), (Exit::Finding, &json!("AIS-8201")), "{report:#}");
    assert_eq!(next_decision(&other), before, "a torn file changes nothing");

    // A sale that is here with another total: the shop's stands, and it is said.
    let changed = good.replacen(
        "<Total TotalType=\"TransactionNetAmount\">11.11<",
        "<Total TotalType=\"TransactionNetAmount\">11.12<",
        1,
    );
    assert_ne!(changed, good);
    let (exit, report) = imported(&shop, &put(&shop, "changed.xml", &changed), false);
    assert_eq!((exit, counts(&report)), (Exit::Finding, json!([10, 0, 9, 1, 0, 0])), "{report:#}");
    assert_eq!(report["told"][0]["code"], "AIS-8204");

    // Unknown goods and another's member are sold as charged; what is returned of no sale is refused.
    let strange = good.replacen(SHAMPOO, "NOT-IN-THE-CATALOGUE", 1).replacen(">m-2005<", ">m-9999<", 1);
    let first = strange.find("<Transaction ").expect("a first one");
    let second = first + 1 + strange[first + 1..].find("<Transaction ").expect("a second one");
    let without_the_first = format!("{}{}", &strange[..first], &strange[second..]);
    let (exit, report) = imported(&other, &put(&other, "strange.xml", &without_the_first), false);
    assert_eq!((exit, counts(&report)), (Exit::Finding, json!([9, 7, 0, 1, 1, 0])), "{report:#}");
    let told: Vec<&Value> =
        report["told"].as_array().expect("a list").iter().map(|told| &told["code"]).collect();
    assert_eq!(told, ["AIS-8204", "AIS-2002"], "{report:#}");
}
