//! Tills that sell without pause while something ends their daemon, again and again: is anything lost, done twice or half done?
//!
//! Each sale that was answered must be there afterwards with the same receipt, each that was not must be there wholly or
//! not at all, and what the tables hold must be what the journal says (looked at on a copy, before the daemon comes back).

use std::collections::BTreeMap;
use std::path::Path;

use aisled::devices::wire::Format;
use aisled::domain::calendar::UnixMs;
use aisled::domain::ids::{BundleRef, Seq, StoreId};
use aisled::engine::decision::{Key, Record};
use aisled::limits;
use aisled::storage::store::{Roll, Sizes, Store, StoreOptions};
use serde_json::{Value, json};

use crate::child::Daemon;
use crate::till::{Dialect, Reply, Till, soon};

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

/// Rules whose members are asked for by nobody here.
struct Nobody;

impl Roll for Nobody {
    fn records(&self, _: &BundleRef, _: UnixMs, _: &mut dyn FnMut(Key, Record)) -> Result<(), String> {
        Ok(())
    }
}

/// What a box finds that opens this data directory, which the test looks at on a copy: every decision changed the tables
/// wholly, in the order of the journal, or not at all. Gives the number of decisions.
fn is_whole(data: &Path) -> u64 {
    let copy = tempfile::tempdir().expect("a directory for the copy");
    let done = std::process::Command::new("cp").arg("-a").arg(data.join(".")).arg(copy.path()).status();
    assert!(done.expect("cp runs").success());
    let options = StoreOptions {
        dir: copy.path().to_owned(),
        store: StoreId::new("s01").expect("an id"),
        machine: None,
        cache_bytes: limits::SLED_CACHE_BYTES,
        request_days: limits::REPLAY_DAYS_MIN,
        sizes: Sizes::default(),
        roll: Box::new(Nobody),
        tell: Box::new(|_| {}),
    };
    let (mut store, recovered) = Store::open(options).expect("it opens");
    assert!(recovered.journal.gaps.is_empty(), "{:?}", recovered.journal);
    assert!(recovered.journal.quarantined.is_empty(), "{:?}", recovered.journal);
    let mut said: BTreeMap<Key, Option<Record>> = BTreeMap::new();
    let (view, vault) = (store.journal(), store.vault());
    let mut reader = view.reader(Seq(1));
    let mut decisions = 0;
    while let Some(raw) = reader.next().expect("the journal is read") {
        decisions += 1;
        assert_eq!(raw.seq, Seq(decisions), "no decision is missing");
        let entry = vault.decode(raw.payload).expect("a decision");
        said.extend(entry.changes.iter().map(|change| (change.key.clone(), change.record.clone())));
    }
    assert_eq!(store.next_seq(), Seq(decisions + 1));
    for (key, record) in said {
        assert_eq!(store.load(&key).expect("it can be read"), record, "{key:?} after {decisions} decisions");
    }
    store.close();
    decisions
}

/// What an ordeal came to.
pub(crate) struct Figures {
    /// Sales that were answered.
    sold: u64,
    /// Times the daemon was ended.
    cycles: u64,
    /// Copies of the data that were compared with their journal, each with as many decisions as there were.
    compared: u64,
}

impl std::fmt::Display for Figures {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let Figures { sold, cycles, compared } = self;
        write!(
            f,
            "{cycles} times, {sold} sales answered, lost 0, twice 0; {compared} copies read, half applied 0"
        )
    }
}

/// The loop. `harm` ends the daemon while the tills work; `mend` makes it startable again, without its help.
pub(crate) async fn endure(
    (config, data): (&Path, &Path),
    cycles: u64,
    mut harm: impl FnMut(&mut Option<Daemon>),
    mut mend: impl FnMut(Option<Daemon>),
) -> Figures {
    let mut books: Vec<Book> = (0..TILLS).map(|_| Book::default()).collect();
    let mut daemon = Daemon::start(config).expect("it starts");
    let mut compared = 0;
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
        let mut running = Some(daemon);
        harm(&mut running);
        drop(answers);
        for worker in work {
            books.push(worker.await.expect("no panic"));
        }
        mend(running);
        if is_looked_at(cycle) {
            let decisions = is_whole(data);
            let sold: usize = books.iter().map(|book| book.receipts.len()).sum();
            assert!(decisions > sold as u64, "{decisions} decisions, {sold} sales were answered");
            compared += 1;
        }
        daemon = Daemon::start(config).unwrap_or_else(|ended| panic!("it starts again: {ended:?}"));
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
    Figures { sold: sold as u64, cycles, compared }
}

/// The whole journal is read for it, so not each time: the first thirty cycles, then every tenth, every hundredth.
fn is_looked_at(cycle: u64) -> bool {
    cycle < 30 || (cycle < 200 && cycle.is_multiple_of(10)) || cycle.is_multiple_of(100)
}

/// How often, as the environment says.
pub(crate) fn times(variable: &str, otherwise: u64) -> u64 {
    std::env::var(variable).ok().map_or(otherwise, |text| text.parse().expect("a number"))
}
