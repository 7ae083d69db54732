//! Are the numbers that head office lends two shops given out there, each once, and does a sale go on without?

use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use aisled::bundle::packed;
use aisled::clock::SystemClock;
use aisled::daemon::control;
use aisled::domain::series::Series;
use aisled::hub::server::{Hub, HubConfig};
use serde_json::{Value, json};

use crate::online::open;
use crate::rules;
use crate::shop::{card, cash, line};
use crate::signed::{key, signed_at};
use crate::till::soon;

const OIL: &str = "6901234000048";

/// Three codes for the whole chain, and members by number.
fn bundle() -> Vec<u8> {
    let mut authored = rules::authored();
    let series = |prefix: &str, count: i64| -> Series {
        serde_json::from_value(json!({ "prefix": prefix, "count": count })).expect("a series")
    };
    let next = authored.rules.coupons.iter_mut().find(|coupon| coupon.id.as_str() == "next-five");
    next.expect("it is there").series = Some(series("NX", 3));
    authored.rules.shop.leases.members = Some(series("MB", 1_000));
    packed::pack(1, signed_at(1), &authored.rules, &authored.members, &authored.codes, &key())
        .expect("it packs")
}

async fn ask(dir: PathBuf, op: &str, id: String, data: Value) -> Value {
    let ask = control::Ask::Request { op: op.to_owned(), payload: json!({ "v": 1, "id": id, "data": data }) };
    let asked = tokio::task::spawn_blocking(move || control::ask(&dir, &ask));
    let reply = asked.await.expect("no panic").expect("it answers").expect("it runs");
    assert_eq!(reply["status"], 200, "{reply}");
    reply["data"].clone()
}

/// Sells oil, which brings a coupon: its code, or the remark that there is none.
async fn sell(dir: PathBuf, seq: u64) -> Result<String, Value> {
    let data = json!({
        "transaction": { "business_day": "2026-11-22", "seq": seq }, "member": card("2007"),
        "basket": { "lines": [line("1", OIL, 2)] }, "tenders": cash(1_000_000),
    });
    let receipt = ask(dir, "commit", format!("sale-{seq:05}"), data).await;
    match receipt["coupons_issued"][0]["code"].as_str() {
        Some(code) => Ok(code.to_owned()),
        None => Err(receipt["remarks"][0].clone()),
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn is_every_number_given_out_once_in_two_shops_and_never_one_too_many() {
    let data = tempfile::tempdir().expect("a directory");
    let file = data.path().join("1.aisb");
    std::fs::write(&file, bundle()).expect("it is written");
    let mut settings = HubConfig::new("127.0.0.1:0".parse().expect("an address"), data.path().join("hub"));
    settings.bundle = Some((file, 1));
    let office = Hub::start(settings, Arc::new(SystemClock)).await.expect("head office starts");
    let shops = [open("s01", office.addr(), bundle()).await, open("s02", office.addr(), bundle()).await];
    let mut codes: Vec<String> = Vec::new();
    let mut often = tokio::time::interval(Duration::from_millis(50));
    let mut seq = 0;
    let all = async {
        while codes.len() < 3 {
            for shop in &shops {
                seq += 1;
                match sell(shop.dir.path().to_owned(), seq).await {
                    Ok(code) => codes.push(code),
                    Err(remark) => assert_eq!(remark["code"], "AIS-2024", "{remark}"),
                }
            }
            often.tick().await;
        }
    };
    tokio::time::timeout(Duration::from_secs(120), all).await.expect("three numbers were lent");
    codes.sort();
    assert_eq!(codes.iter().map(|code| &code[..8]).collect::<Vec<_>>(), ["NX000001", "NX000002", "NX000003"]);
    for shop in &shops {
        seq += 1;
        assert_eq!(
            sell(shop.dir.path().to_owned(), seq).await.expect_err("there are no more")["code"],
            "AIS-2024"
        );
    }
    let numbered = async {
        loop {
            seq += 1;
            let token = json!({ "kind": "card", "value": format!("5500{seq:06}") });
            let data = json!({ "token": token, "consent": { "programme": true } });
            let dir = shops[0].dir.path().to_owned();
            let member = ask(dir, "enroll", format!("enroll-{seq:05}"), data).await;
            if member["member"].as_str().is_some_and(|id| id.starts_with("MB")) {
                assert_eq!(member["remarks"], Value::Null, "{member}");
                return;
            }
            assert_eq!(member["remarks"][0]["code"], "AIS-2024", "{member}");
            often.tick().await;
        }
    };
    soon("a member's number", numbered).await;
    for shop in shops {
        shop.stop().await;
    }
    office.shutdown().await;
}
