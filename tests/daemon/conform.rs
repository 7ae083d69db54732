//! Does `aisled conform` tell a till that keeps the contract from one that does not, by what it is seen to do?

use std::path::PathBuf;

use aisled::cli::Exit;
use aisled::cli::conform::{self, ConformArgs};
use aisled::domain::text::Lang;
use serde_json::{Value, json};

use crate::shop::{Shop, card, cash, line, sale, until};
use crate::till::Till;

const MILK: &str = "6901234000017";

fn args(device: &str, json: bool) -> ConformArgs {
    ConformArgs { device: device.to_owned(), seconds: 90, transactions: Some(2), json }
}

/// Watches until two transactions are through; the watch stands when this returns.
async fn watching(shop: &Shop, args: ConformArgs, lang: Lang) -> tokio::task::JoinHandle<(Exit, String)> {
    let (dir, device) = (PathBuf::from(shop.data()), args.device.clone());
    let watch = tokio::task::spawn_blocking(move || {
        let mut out = Vec::new();
        let exit = conform::run(&args, &dir, lang, &mut out).expect("it runs");
        (exit, String::from_utf8(out).expect("text"))
    });
    // The first look of this test would begin the watch as well; both see the same.
    let device = aisled::domain::ids::DeviceId::new(&device).expect("an id");
    let ask = aisled::daemon::control::Ask::Watch { device, after: 0 };
    until("the watch", || !shop.ask(&ask).is_null()).await;
    watch
}

fn rule<'a>(report: &'a Value, name: &str) -> &'a Value {
    let rules = report["rules"].as_array().expect("a list");
    rules
        .iter()
        .find(|rule| rule["rule"] == name)
        .unwrap_or_else(|| panic!("{name} is missing in {report:#}"))
}

async fn sell(till: &mut Till, seq: u64) {
    let basket = json!({ "basket": { "lines": [line("1", MILK, 2)] }, "member": card("2001") });
    let quote = till.ask("quote", basket).await.data().clone();
    let data = json!({ "transaction": sale(seq), "quote": quote["quote"], "tenders": cash(100_000) });
    let id = till.new_id();
    let first = till.ask_as("commit", &id, &data).await;
    assert!(!first.replayed());
    assert!(till.ask_as("commit", &id, &data).await.replayed(), "the same bytes again");
}

#[tokio::test]
async fn does_a_till_that_keeps_the_contract_pass() {
    let shop = Shop::open().await;
    let mut till = shop.till("till-1").await;
    let watch = watching(&shop, args("till-1", true), Lang::En).await;
    till.ask("scan", json!({ "token": card("2001") })).await.data();
    sell(&mut till, 1).await;
    sell(&mut till, 2).await;
    let (exit, report) = watch.await.expect("no panic");
    let report: Value = serde_json::from_str(&report).expect("JSON");
    assert_eq!(exit, Exit::Ok, "{report:#}");
    for met in [
        "document",
        "fields",
        "ids",
        "fresh_id",
        "retry",
        "reply_topic",
        "content_type",
        "qos",
        "numbers",
        "quotes",
    ] {
        assert_eq!(rule(&report, met)["verdict"], "met", "{met}: {report:#}");
    }
    for unseen in ["patience", "last_will", "presence"] {
        assert_eq!(rule(&report, unseen)["verdict"], "not_seen", "{unseen}: {report:#}");
    }
    assert!(!report.to_string().contains("2001\""), "nothing of the shopper is told");
}

#[tokio::test]
async fn is_each_broken_rule_told_with_an_example_and_the_remedy() {
    let shop = Shop::open().await;
    let mut till = shop.till("till-2").await;
    let watch = watching(&shop, args("till-2", false), Lang::ZhCn).await;
    let envelope = |id: &str, more: Value| {
        let mut document = json!({ "v": 1, "id": id, "data": { "token": card("2001") } });
        document.as_object_mut().expect("a map").extend(more.as_object().expect("a map").clone());
        document.to_string().into_bytes()
    };
    let own = format!("{}/dev/till-2/rep/test", till.root);
    till.send("scan", envelope("bad-field", json!({ "extra": 1 })));
    till.send("scan", envelope("id", json!({})));
    till.send("scan", envelope("an-id-used-twice", json!({})));
    till.send("scan", envelope("an-id-used-twice", json!({ "at": "2026-11-18T12:00:00+08:00" })));
    till.send("scan", envelope("a-time-of-its-own", json!({ "at": "noon" })));
    till.send_with("scan", envelope("another-format", json!({})), Some(own), Some("text/plain".to_owned()));
    let elsewhere = Some("aisle/1/s01/dev/till-9/rep/test".to_owned());
    till.send_with("scan", envelope("answer-elsewhere", json!({})), elsewhere, None);
    for seq in [9, 8] {
        let data = json!({ "transaction": sale(seq), "basket": { "lines": [line("1", MILK, 1)] }, "tenders": cash(100_000) });
        till.ask("commit", data).await.data();
    }
    let (exit, told) = watch.await.expect("no panic");
    assert_eq!(exit, Exit::Finding, "{told}");
    let broken: Vec<&str> =
        told.lines().filter_map(|line| line.strip_prefix("违反")).map(str::trim).collect();
    let wanted = [
        "没有未知字段",
        "编号 8–64 个合法字符，名称符合字符集",
        "新请求使用新编号",
        "应答主题在本设备 rep/ 之下",
        "内容类型与报文一致",
        "时间为带时区的 RFC 3339，日期为 YYYY-MM-DD",
        "营业日与流水号唯一且递增",
    ];
    assert_eq!(broken, wanted, "{told}");
    assert!(
        told.contains("2026-11-18 8 after 2026-11-18 9") && told.contains("-> 同一营业日内流水号递增"),
        "{told}"
    );
}
