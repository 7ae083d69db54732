//! Is anything lost or done twice when the daemon is killed in the middle of its work?
//!
//! `AISLED_KILL_CYCLES` (default 5): how often it is killed. Each time tills send sales without pause; each sale that
//! was answered must be there afterwards with the same receipt, each that was not must be there wholly or not at all.

#[path = "support/child.rs"]
mod child;
#[path = "support/rules.rs"]
mod rules;
#[path = "support/signed.rs"]
mod signed;
#[path = "support/till.rs"]
mod till;

use aisled::devices::wire::Format;
use serde_json::{Value, json};

use child::{Daemon, prepare};
use till::{Dialect, Reply, Till, soon};

const TILLS: u64 = 4;

fn sale(seq: u64) -> Value {
    json!({ "business_day": "2026-11-18", "seq": seq })
}

/// Sale `seq` of till `number`: of its own member, now and then with points.
fn commit(number: u64, seq: u64) -> Value {
    let mut asked = json!({
        "transaction": sale(seq),
        "basket": { "lines": [
            { "line": "1", "sku": "6901234000079", "qty": 1 + seq % 3 },
            { "line": "2", "sku": "6901234000086", "qty": 1 },
        ] },
        "member": { "kind": "card", "value": (2001 + number).to_string() },
        "tenders": [{ "kind": "cash", "amount": 1_000_000 }],
    });
    if seq % 5 == 4 {
        asked["points"] = json!({ "spend": "max" });
    }
    asked
}

async fn connect(daemon: &Daemon, number: u64, run: &str) -> Till {
    let (dialect, format) = match number % 2 {
        0 => (Dialect::Five, Format::Json),
        _ => (Dialect::Three, Format::MessagePack),
    };
    let till = Till::connect(daemon.addr, &format!("till-{number}"), dialect, format, run).await;
    let mut presence = till.presence.clone();
    let told = presence.wait_for(|document| document["bundle"]["version"] == 1);
    drop(soon("the bundle in force", told).await.expect("it is told"));
    till
}

/// A till's whole life: what it sent and what it was told.
#[derive(Default)]
struct Book {
    receipts: Vec<Value>,
    balance: Option<i64>,
}

impl Book {
    fn keep(&mut self, receipt: &Reply) {
        let receipt = receipt.data().clone();
        let moved: i64 = receipt["points_ledger"]
            .as_array()
            .expect("a list")
            .iter()
            .map(|line| line["points"].as_i64().expect("a number"))
            .sum();
        let balance = receipt["points"]["balance_after"].as_i64().expect("a balance");
        if let Some(before) = self.balance {
            assert_eq!(balance, before + moved, "a sale counts once: {receipt}");
        }
        self.balance = Some(balance);
        self.receipts.push(receipt);
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn is_every_acknowledged_sale_there_once_however_often_the_daemon_is_killed() {
    let cycles: u64 =
        std::env::var("AISLED_KILL_CYCLES").ok().map_or(5, |text| text.parse().expect("a number"));
    let dir = tempfile::tempdir().expect("a directory for the test");
    let data = dir.path().join("data");
    let config = prepare(dir.path(), &data);
    let mut books: Vec<Book> = (0..TILLS).map(|_| Book::default()).collect();
    let mut daemon = Daemon::start(&config).expect("it starts");
    for cycle in 0..=cycles {
        let mut tills = Vec::new();
        for number in 0..TILLS {
            tills.push(connect(&daemon, number, &format!("c{cycle}")).await);
        }
        // Every sale of the last cycles that was answered, and the one that was not.
        for (number, (till, book)) in (0..).zip(tills.iter_mut().zip(&mut books)) {
            let known = book.receipts.len() as u64;
            let from = if cycle == cycles { 0 } else { known.saturating_sub(20) };
            for seq in from..known {
                let again =
                    till.ask_as("commit", &format!("till-{number}.sale.{seq}"), &commit(number, seq)).await;
                assert!(again.replayed(), "till {number} sale {seq} of {known}: {}", again.0);
                assert_eq!(*again.data(), book.receipts[usize::try_from(seq).expect("small")]);
            }
            if cycle > 0 {
                let open = till
                    .ask_as("commit", &format!("till-{number}.sale.{known}"), &commit(number, known))
                    .await;
                book.keep(&open);
            }
        }
        if cycle == cycles {
            break;
        }
        // The signal to kill comes from the work itself: so many answers in all, another number each time.
        let enough = 20 + cycle * 7 % 60;
        let (told, mut answers) = tokio::sync::mpsc::unbounded_channel();
        let work = (0..).zip(tills.into_iter().zip(std::mem::take(&mut books))).map(
            |(number, (mut till, mut book))| {
                let told = told.clone();
                tokio::spawn(async move {
                    loop {
                        let seq = book.receipts.len() as u64;
                        let id = format!("till-{number}.sale.{seq}");
                        let payload = till.envelope(&id, &commit(number, seq));
                        match till.try_send("commit", &id, &payload).await {
                            Some(reply) => book.keep(&reply),
                            None => return book,
                        }
                        // Nobody counts any more once the daemon is killed.
                        let _ = told.send(());
                    }
                })
            },
        );
        let work: Vec<_> = work.collect();
        for _ in 0..enough {
            soon("an answer", answers.recv()).await.expect("the tills work");
        }
        daemon.kill();
        drop(answers);
        for worker in work {
            books.push(worker.await.expect("no panic"));
        }
        daemon = Daemon::start(&config).expect("it starts again");
    }
    let sold: usize = books.iter().map(|book| book.receipts.len()).sum();
    assert!(sold as u64 >= cycles * 20, "{sold} sales in {cycles} cycles");
    for (number, book) in (0..).zip(&books) {
        let mut till = connect(&daemon, number, "end").await;
        let wallet =
            till.ask("wallet", json!({ "member": commit(number, 0)["member"] })).await.data().clone();
        assert_eq!(wallet["member"]["points"]["balance"], json!(book.balance), "till {number}");
        let other = json!({ "transaction": sale(0), "basket": commit(number, 1)["basket"], "tenders": [] });
        assert_eq!(till.ask("commit", other).await.refusal(), (409, "AIS-2003"), "its number is taken");
        till.send(
            "wallet",
            till.envelope("till.last-words", &json!({ "member": commit(number, 0)["member"] })),
        );
        let heard = till.hear().await.expect("the connection holds");
        let is_five = number % 2 == 0;
        assert_eq!((heard.correlation.is_some(), heard.content_type.is_some()), (is_five, is_five));
    }
    let stopped = daemon.stop();
    assert_eq!(stopped.code, Some(0), "{}", stopped.said);
}
