//! A request answered before is answered the same, whatever happened in between; another one never takes its place.

use aisled::devices::wire::Format;
use serde_json::{Value, json};

use crate::shop::{Shop, card, cash, line, sale};
use crate::till::Dialect;

const OIL: &str = "6901234000048";
const CIGARETTES: &str = "6901234000109";

fn commit(seq: u64, tender: i64) -> Value {
    json!({
        "transaction": sale(seq),
        "basket": { "lines": [line("1", OIL, 2)] },
        "member": card("2001"),
        "coupons": ["ONCE-01"],
        "tenders": cash(tender),
    })
}

/// One request of each kind, by operation, in an order in which all go well.
fn all() -> Vec<(&'static str, Value)> {
    vec![
        ("scan", json!({ "token": card("2001") })),
        ("quote", json!({ "basket": { "lines": [line("1", CIGARETTES, 1)] } })),
        ("commit", commit(1, 30_000)),
        ("wallet", json!({ "member": card("2001") })),
        ("feedback", json!({ "score": 3 })),
        ("event", json!({ "kind": "door" })),
        ("enroll", json!({ "token": card("9001"), "consent": { "programme": true, "personal": true } })),
        (
            "return",
            json!({ "original": sale(1), "transaction": sale(2), "lines": [{ "line": "1", "qty": 1 }] }),
        ),
        (
            "commit",
            json!({ "transaction": sale(3), "basket": { "lines": [line("1", CIGARETTES, 1)] }, "tenders": cash(2_300) }),
        ),
        ("void", json!({ "transaction": sale(3) })),
        ("void", json!({ "transaction": sale(99) })),
    ]
}

/// Without the mark that it was answered before.
fn bare(mut document: Value) -> Value {
    if let Some(object) = document.as_object_mut() {
        object.remove("replayed");
    }
    document
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn is_a_repeated_request_answered_as_the_first_time() {
    for (dialect, format) in [(Dialect::Five, Format::MessagePack), (Dialect::Three, Format::Json)] {
        let shop = Shop::open().await;
        let mut till = shop.till_of("till-1", dialect, format).await;
        let mut first = Vec::new();
        for (op, data) in all() {
            let id = till.new_id();
            let reply = till.ask_as(op, &id, &data).await;
            assert!(!reply.replayed(), "{op}");
            first.push((op, id, data, reply));
        }
        let next = shop.status()["journal"]["next"].clone();
        for (op, id, data, reply) in &first {
            let again = till.ask_as(op, id, data).await;
            assert!(again.replayed(), "{op}: {}", again.0);
            assert_eq!(bare(again.0), reply.0, "{op}");
        }
        assert_eq!(shop.status()["journal"]["next"], next, "nothing was decided twice");
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn does_a_restart_forget_what_was_answered() {
    let mut shop = Shop::open().await;
    let mut till = shop.till("till-1").await;
    let mut first = Vec::new();
    for (op, data) in all() {
        let id = till.new_id();
        let reply = till.ask_as(op, &id, &data).await;
        first.push((op, id, data, reply));
    }
    for _ in 0..2 {
        shop.restart().await;
        let mut till = shop.till("till-1").await;
        for (op, id, data, reply) in &first {
            let again = till.ask_as(op, id, data).await;
            if matches!(*op, "scan" | "quote" | "wallet") {
                assert_eq!(again.status(), 200, "{op}: a read is only answered anew");
                continue;
            }
            assert!(again.replayed(), "{op}: {}", again.0);
            assert_eq!(bare(again.0), reply.0, "{op}");
        }
        let wallet = till.ask("wallet", json!({ "member": card("2001") })).await.data().clone();
        let moved: i64 = [2, 7]
            .iter()
            .flat_map(|nth: &usize| first[*nth].3.data()["points_ledger"].as_array().expect("a list"))
            .map(|line| line["points"].as_i64().expect("a number"))
            .sum();
        assert_eq!(wallet["member"]["points"]["balance"], 1_000 + moved);
        assert_eq!(
            till.ask("scan", json!({ "token": card("9001") })).await.data()["member"]["id"],
            first[6].3.data()["member"]
        );
        let left =
            json!({ "original": sale(1), "transaction": sale(7), "lines": [{ "line": "1", "qty": 2 }] });
        assert_eq!(
            till.ask("return", left).await.refusal(),
            (422, "AIS-2007"),
            "one of two came back before"
        );
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn is_an_id_good_for_one_body_only() {
    let mut shop = Shop::open().await;
    let mut till = shop.till("till-1").await;
    let mut used = Vec::new();
    for (op, data) in all() {
        let id = till.new_id();
        till.ask_as(op, &id, &data).await;
        used.push(id);
    }
    for (id, (op, _)) in used.iter().zip(all()) {
        let other = match op {
            "scan" => json!({ "token": card("2002") }),
            "quote" => json!({ "basket": { "lines": [line("1", CIGARETTES, 2)] } }),
            "wallet" => json!({ "member": card("2002") }),
            "enroll" => json!({ "token": card("9002"), "consent": { "programme": true, "personal": true } }),
            "feedback" => json!({ "score": 4 }),
            "event" => json!({ "kind": "shelf" }),
            "commit" => commit(50, 30_000),
            _ => json!({ "transaction": sale(1) }),
        };
        if op != "return" {
            assert_eq!(till.ask_as(op, id, &other).await.refusal(), (409, "AIS-1012"), "{op}");
        }
    }
    shop.restart().await;
    let mut till = shop.till("till-1").await;
    assert_eq!(till.ask_as("commit", &used[2], &commit(51, 30_000)).await.refusal(), (409, "AIS-1012"));
    let mut other = shop.till("till-2").await;
    let feedback = json!({ "score": 10 });
    assert_eq!(other.ask_as("feedback", &used[2], &feedback).await.status(), 200, "ids are a device's own");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn is_a_sale_made_once_under_whatever_request_id() {
    let mut shop = Shop::open().await;
    let mut till = shop.till("till-1").await;
    let quote = till
        .ask("quote", json!({ "basket": { "lines": [line("1", OIL, 1)] }, "member": card("2001") }))
        .await;
    let asked = json!({ "transaction": sale(1), "quote": quote.data()["quote"], "tenders": cash(20_000) });
    let first = till.ask("commit", asked.clone()).await;
    let again = till.ask("commit", asked.clone()).await;
    assert_eq!(again.data(), first.data());
    assert!(again.replayed());
    let other = json!({ "transaction": sale(1), "basket": { "lines": [line("1", CIGARETTES, 1)] }, "tenders": cash(2_300) });
    assert_eq!(till.ask("commit", other).await.refusal(), (409, "AIS-2003"));
    shop.restart().await;
    let mut till = shop.till("till-1").await;
    let later = till.ask("commit", asked).await;
    assert_eq!((later.data(), later.replayed()), (first.data(), true));
    let wallet = till.ask("wallet", json!({ "member": card("2001") })).await.data().clone();
    assert_eq!(wallet["member"]["points"]["balance"], first.data()["points"]["balance_after"], "booked once");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn are_many_requests_at_once_all_answered_and_counted_once() {
    let shop = Shop::open().await;
    let before = shop.status()["journal"]["next"].as_u64().expect("a number");
    let mut tills = Vec::new();
    for (number, dialect) in
        [Dialect::Five, Dialect::Three, Dialect::Five, Dialect::Three].into_iter().enumerate()
    {
        tills.push(shop.till_of(&format!("till-{number}"), dialect, Format::Json).await);
    }
    let work = tills.into_iter().map(|mut till| {
        tokio::spawn(async move {
            let payloads: Vec<(String, Vec<u8>)> = (0..60)
                .map(|seq| {
                    let id = till.new_id();
                    let asked = json!({ "transaction": sale(seq), "basket": { "lines": [line("1", CIGARETTES, 1)] }, "tenders": cash(2_300) });
                    let payload = till.envelope(&id, &asked);
                    (id, payload)
                })
                .collect();
            for (_, payload) in &payloads {
                till.send("commit", payload.clone());
            }
            let mut decisions = std::collections::BTreeMap::new();
            while decisions.len() < payloads.len() {
                let heard = till.hear().await.expect("the connection holds");
                let reply = crate::till::Reply::read(&heard.payload);
                let id = reply.0["re"].as_str().expect("an id").to_owned();
                decisions.insert(id, reply.data()["decision"].as_str().expect("a reference").to_owned());
            }
            decisions.into_values().collect::<Vec<_>>()
        })
    });
    let mut decisions = std::collections::BTreeSet::new();
    for worker in work.collect::<Vec<_>>() {
        decisions.extend(worker.await.expect("no panic"));
    }
    assert_eq!(decisions.len(), 240);
    assert_eq!(shop.status()["journal"]["next"], before + 240);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn is_a_daemon_that_is_dropped_stopped_in_order() {
    let mut shop = Shop::open().await;
    let mut till = shop.till("till-1").await;
    let first = till.ask_as("commit", "sale-number-1", &commit(1, 30_000)).await;
    let mut presence = till.presence.clone();
    drop(shop.running.take());
    let told =
        presence.wait_for(|document| document["state"] == "stopping" || document["state"] == "offline");
    crate::till::soon("the farewell", told).await.expect("it is said");
    crate::shop::until("the directory to be free", || {
        aisled::storage::lock::DirLock::take(shop.data()).is_ok()
    })
    .await;
    shop.clock.advance_ms(1);
    shop.start().await;
    let mut till = shop.till("till-1").await;
    let again = till.ask_as("commit", "sale-number-1", &commit(1, 30_000)).await;
    assert_eq!((again.data(), again.replayed()), (first.data(), true));
}
