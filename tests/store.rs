//! Is the store's word good: what is committed is durable, found again, and rebuilt from the journal alone?

#[path = "store/backup.rs"]
mod backup;
#[path = "store/copied.rs"]
mod copied;
#[path = "support/counter.rs"]
mod counter;
#[path = "store/damage.rs"]
mod damage;
#[path = "store/faults.rs"]
mod faults;
#[path = "store/privacy.rs"]
mod privacy;
#[path = "store/repair.rs"]
mod repair;
#[path = "support/rules.rs"]
mod rules;
#[path = "support/traces.rs"]
mod traces;
#[path = "store/yesterday.rs"]
mod yesterday;

use std::path::Path;
use std::sync::mpsc::{Receiver, channel};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use aisled::bundle::authoring::Authored;
use aisled::domain::calendar::UnixMs;
use aisled::domain::ids::{BundleRef, DeviceId, Seq, StoreId};
use aisled::engine::decision::{Entry, Key, Record};
use aisled::limits;
use aisled::storage::error::StorageError;
use aisled::storage::store::{Progress, Recovered, Roll, Sizes, Store, StoreOptions};
use counter::{Counter, Done, NOON};
use serde_json::{Value, json};

/// Only a failure reaches it.
const DEADLINE: Duration = Duration::from_secs(90);

/// Brings in members and codes as the daemon does from its kept bundle. While a test holds the gate, the tables wait.
struct Members(Authored, Arc<Mutex<()>>);

impl Roll for Members {
    fn records(&self, _: &BundleRef, at: UnixMs, take: &mut dyn FnMut(Key, Record)) -> Result<(), String> {
        drop(self.1.lock().expect("no test panics while it holds the gate"));
        counter::records(&self.0, at).into_iter().for_each(|(key, record)| take(key, record));
        Ok(())
    }
}

struct Memory {
    store: Store,
    recovered: Recovered,
    counter: Counter,
    news: Receiver<Progress>,
    gate: Arc<Mutex<()>>,
    sent: Vec<Entry>,
}

/// A key and what stands under it.
type Stored = (Key, Option<Record>);

impl Memory {
    fn open(dir: &Path) -> Memory {
        Memory::open_with(dir, limits::CHECKPOINT_EVERY_DECISIONS)
    }

    fn open_with(dir: &Path, checkpoint_every: u64) -> Memory {
        let sizes = Sizes { checkpoint_every, ..Sizes::default() };
        Memory::open_sized(dir, sizes, limits::REPLAY_DAYS_MIN)
    }

    fn open_sized(dir: &Path, sizes: Sizes, request_days: i64) -> Memory {
        Memory::try_open(dir, sizes, request_days).expect("it opens")
    }

    /// On a machine that shows this id, in whatever life of the box that is.
    fn open_on(dir: &Path, machine: Option<&str>) -> Memory {
        Memory::try_open_on(dir, (Sizes::default(), limits::REPLAY_DAYS_MIN), machine).expect("it opens")
    }

    fn try_open(dir: &Path, sizes: Sizes, request_days: i64) -> Result<Memory, StorageError> {
        Memory::try_open_on(dir, (sizes, request_days), None)
    }

    fn try_open_on(
        dir: &Path,
        (sizes, request_days): (Sizes, i64),
        machine: Option<&str>,
    ) -> Result<Memory, StorageError> {
        let authored = rules::authored();
        let bundle = counter::bundle(&authored);
        let (tell, news) = channel();
        let gate = Arc::new(Mutex::new(()));
        let (store, recovered) = Store::open(StoreOptions {
            dir: dir.to_owned(),
            store: StoreId::new("s01").expect("an id"),
            machine: machine.map(str::to_owned),
            cache_bytes: limits::SLED_CACHE_BYTES,
            request_days,
            sizes,
            roll: Box::new(Members(authored, gate.clone())),
            // A test that is over hears nothing.
            tell: Box::new(move |progress| drop(tell.send(progress))),
        })?;
        let epoch = store.identity().epoch;
        let mut counter = Counter::new(bundle.clone(), store.next_seq());
        let mut this = Memory { store, recovered, counter, news, gate, sent: Vec::new() };
        if this.store.active_bundle().is_none() {
            let entry = this.counter.engine.activate(bundle, NOON);
            this.commit(entry);
            this.wait_followed();
        } else {
            counter = Counter::living(bundle, this.store.next_seq(), epoch);
            this.counter = counter;
        }
        Ok(this)
    }

    fn commit(&mut self, entry: Box<Entry>) {
        self.store.commit(&entry).expect("the disk holds");
        self.sent.push(*entry);
    }

    fn ask(&mut self, device: &str, op: &str, data: &Value) -> Done {
        let store = &mut self.store;
        self.counter.ask(&mut |key| store.load(key).expect("it can be read"), device, op, data)
    }

    /// Decides and commits; gives the decision's place.
    fn decide(&mut self, device: &str, op: &str, data: &Value) -> Seq {
        match self.ask(device, op, data) {
            Done::Decided(entry) => {
                let seq = entry.seq;
                self.commit(entry);
                seq
            }
            Done::Answered(answer) => panic!("{op} {data} is not decided: {answer:?}"),
        }
    }

    fn wait(&self, mut is: impl FnMut(&Progress) -> bool) {
        while !is(&self.news.recv_timeout(DEADLINE).expect("news of the store")) {}
    }

    fn wait_followed(&self) {
        let last = Seq(self.store.next_seq().0 - 1);
        if self.store.followed() < last {
            self.wait(|news| matches!(news, Progress::Followed(seq) if *seq >= last));
        }
    }

    /// The commit thread has done what it was asked before a decision that is durable behind it.
    fn wait_upkeep(&mut self) {
        for _ in 0..2 {
            let seq = self.decide("kiosk-1", "event", &serde_json::json!({ "kind": "door" }));
            self.wait(|news| matches!(news, Progress::Followed(at) if *at >= seq));
        }
    }

    /// Every record under a key that the decisions changed.
    fn everything(&mut self) -> Vec<Stored> {
        let mut keys: Vec<Key> = self
            .sent
            .iter()
            .flat_map(|entry| entry.changes.iter().map(|change| change.key.clone()))
            .collect();
        keys.sort();
        keys.dedup();
        keys.into_iter().map(|key| (key.clone(), self.store.load(&key).expect("it can be read"))).collect()
    }
}

fn sale(seq: u64) -> Value {
    json!({ "business_day": "2026-11-18", "seq": seq })
}

fn commit(seq: u64) -> Value {
    json!({
        "transaction": sale(seq),
        "basket": { "lines": [{ "line": "1", "sku": "6901234000086", "qty": 1 + seq % 4 }] },
        "member": { "kind": "card", "value": (2001 + seq % 10).to_string() },
        "coupons": [format!("ONCE-{:02}", 1 + seq % 20)],
        "tenders": [{ "kind": "cash", "amount": 1_000_000 }],
    })
}

/// A day of sales, voids, enrolments and refusals.
fn work(shop: &mut Memory, from: u64, sales: u64) {
    for seq in from..from + sales {
        shop.decide("till-1", "commit", &commit(seq));
        if seq % 3 == 0 {
            shop.decide("till-1", "void", &json!({ "transaction": sale(seq) }));
        }
        if seq % 7 == 0 {
            shop.decide("till-1", "void", &json!({ "transaction": sale(seq + 1_000_000) }));
            let token = json!({ "kind": "card", "value": format!("new{seq}") });
            shop.decide(
                "kiosk-1",
                "enroll",
                &json!({ "token": token, "consent": { "programme": true, "personal": true } }),
            );
        }
    }
}

#[test]
fn is_a_decision_seen_before_it_is_durable() {
    let dir = tempfile::tempdir().expect("a directory for the test");
    let mut shop = Memory::open(dir.path());
    for seq in 1..=200 {
        let place = shop.decide("till-1", "commit", &commit(seq));
        let key = aisled::domain::basket::TransactionKey {
            device: DeviceId::new("till-1").expect("an id"),
            business_day: "2026-11-18".parse().expect("a day"),
            seq,
        };
        match shop.store.load(&Key::Sale(key)).expect("it can be read") {
            Some(Record::Sale(record)) => assert_eq!(record.decision, place),
            other => panic!("{other:?}"),
        }
        let entry = shop.store.decision(place).expect("it can be read").expect("it was made");
        assert_eq!(entry.answer, shop.sent.last().expect("one").answer);
    }
    shop.wait_followed();
    assert!(shop.store.durable() >= shop.store.followed());
}

#[test]
fn does_durable_only_ever_rise_to_the_last_decision() {
    let dir = tempfile::tempdir().expect("a directory for the test");
    let mut shop = Memory::open(dir.path());
    work(&mut shop, 1, 150);
    let last = Seq(shop.store.next_seq().0 - 1);
    let (mut durable, mut followed) = (Seq(0), Seq(0));
    shop.wait(|news| {
        match news {
            Progress::Durable(seq) => {
                assert!(*seq > durable, "{seq:?} after {durable:?}");
                durable = *seq;
            }
            Progress::Followed(seq) => {
                assert!(
                    *seq > followed && *seq <= durable,
                    "{seq:?} after {followed:?}, durable {durable:?}"
                );
                followed = *seq;
            }
            Progress::Failed(why) => panic!("{why}"),
        }
        followed == last
    });
    assert_eq!(durable, last);
}

#[test]
fn is_a_decision_read_back_as_it_was_made() {
    let dir = tempfile::tempdir().expect("a directory for the test");
    let mut shop = Memory::open(dir.path());
    work(&mut shop, 1, 40);
    let sent = shop.sent.clone();
    shop.store.close();
    let mut again = Memory::open(dir.path());
    assert_eq!(again.recovered.applied, 0, "an ordered close leaves nothing to catch up");
    for entry in &sent {
        let read = again.store.decision(entry.seq).expect("it can be read").expect("it is there");
        // Decisions among the facts stand in the journal themselves.
        assert_eq!(read.encode(), entry.encode(), "decision {}", entry.seq.0);
    }
    assert!(again.store.decision(Seq(sent.len() as u64 + 1)).expect("it can be read").is_none());
}

#[test]
fn is_anything_lost_when_the_tables_are() {
    let dir = tempfile::tempdir().expect("a directory for the test");
    let mut shop = Memory::open(dir.path());
    work(&mut shop, 1, 60);
    let mut sent = shop.sent.clone();
    shop.wait_followed();
    let mut before = shop.everything();
    shop.store.close();
    let tables = dir.path().join("tables");
    for harm in ["deleted", "emptied", "scribbled", "flipped"] {
        match harm {
            "deleted" => std::fs::remove_dir_all(&tables).expect("they are there"),
            "emptied" => std::fs::write(tables.join("db"), b"").expect("it is written"),
            "scribbled" => std::fs::write(tables.join("conf"), b"size: many").expect("it is written"),
            _ => {
                let mut bytes = std::fs::read(tables.join("db")).expect("it is there");
                bytes.iter_mut().step_by(97).for_each(|byte| *byte ^= 0x55);
                std::fs::write(tables.join("db"), bytes).expect("it is written");
            }
        }
        let mut again = Memory::open(dir.path());
        assert_eq!(again.recovered.applied, sent.len() as u64, "{harm}: rebuilt from the whole journal");
        again.sent = sent.clone();
        assert_eq!(again.everything(), before, "{harm}");
        assert_eq!(again.store.active_bundle().map(|active| active.reference.version), Some(1), "{harm}");
        let known = again.ask("till-1", "scan", &json!({ "token": { "kind": "card", "value": "2001" } }));
        assert!(matches!(known, Done::Answered(Ok(_))), "{harm}");
        let from = 1_000 * sent.len() as u64;
        work(&mut again, from, 5);
        again.wait_followed();
        (sent, before) = (again.sent.clone(), again.everything());
        again.store.close();
    }
}

#[test]
fn does_a_crash_between_journal_and_tables_lose_anything() {
    let dir = tempfile::tempdir().expect("a directory for the test");
    let copy = tempfile::tempdir().expect("a directory for the test");
    let mut shop = Memory::open(dir.path());
    work(&mut shop, 1, 30);
    shop.wait_followed();
    work(&mut shop, 1_000, 30);
    let last = Seq(shop.store.next_seq().0 - 1);
    shop.wait(|news| matches!(news, Progress::Durable(seq) if *seq >= last));
    // The journal as it is now beside the tables as they were: what a kill at this moment leaves.
    let mut expected = shop.everything();
    let sent = shop.sent.clone();
    shop.store.close();
    for name in ["identity.json", "names", "journal"] {
        let done =
            std::process::Command::new("cp").arg("-r").arg(dir.path().join(name)).arg(copy.path()).status();
        assert!(done.expect("cp runs").success());
    }
    let mut again = Memory::open(copy.path());
    again.sent = sent;
    assert_eq!(again.everything(), {
        expected.sort_by(|a, b| a.0.cmp(&b.0));
        expected
    });
}

#[test]
fn is_the_caller_told_when_the_disk_cannot_keep_up() {
    let dir = tempfile::tempdir().expect("a directory for the test");
    let mut shop = Memory::open(dir.path());
    let gate = shop.gate.clone();
    for _ in 0..2 {
        // The tables cannot keep up: they wait at a bundle's members until the gate is open.
        let closed = gate.lock().expect("nobody panicked");
        let bundle = shop.counter.engine.bundle().expect("it is active").clone();
        let entry = shop.counter.engine.activate(bundle, NOON);
        shop.commit(entry);
        let mut decided = 0;
        while shop.store.has_room() {
            let undurable = shop.store.next_seq().0 - 1 - shop.store.durable().0;
            assert!(undurable <= limits::COMMIT_QUEUE_MAX as u64, "{undurable}");
            assert!(
                decided <= limits::TABLES_BEHIND_DECISIONS_MAX,
                "never refused: the bound is not looked at"
            );
            shop.decide("kiosk-1", "event", &json!({ "kind": "door" }));
            shop.sent.clear();
            decided += 1;
        }
        drop(closed);
        // What waits gets its turn, and then there is room again.
        let last = Seq(shop.store.next_seq().0 - 1);
        shop.wait(|news| matches!(news, Progress::Followed(seq) if *seq >= last));
        assert!(shop.store.has_room());
    }
}

#[test]
fn are_requests_forgotten_because_a_clock_jumped() {
    const DAY_MS: i64 = 86_400_000;
    let dir = tempfile::tempdir().expect("a directory for the test");
    let mut shop = Memory::open(dir.path());
    work(&mut shop, 1, 10);
    // A year ahead, back again, and to where a clock without a battery begins.
    for (round, days) in [400, -400, -20_000, 20_000].into_iter().enumerate() {
        shop.counter.now = shop.counter.now.plus_ms(days * DAY_MS);
        let from = 1_000 * (round as u64 + 1);
        work(&mut shop, from, 3);
        shop.wait_followed();
        work(&mut shop, from + 100, 3);
        shop.wait_followed();
    }
    let is_request = |key: &Key| matches!(key, Key::Request(..));
    let requests: Vec<_> = shop.everything().into_iter().filter(|(key, _)| is_request(key)).collect();
    assert!(requests.len() >= 34, "{}", requests.len());
    for (key, record) in requests {
        assert!(record.is_some(), "{key:?} is forgotten: sent again, it would be done again");
    }
}

#[test]
fn how_many_damaged_tables_are_kept() {
    let dir = tempfile::tempdir().expect("a directory for the test");
    let set_aside = || {
        let entries = std::fs::read_dir(dir.path()).expect("it is there").flatten();
        let names = entries.map(|entry| entry.file_name().to_string_lossy().into_owned());
        let mut names: Vec<String> = names.filter(|name| name.contains("damaged")).collect();
        names.sort();
        names
    };
    for _ in 0..limits::DAMAGED_TABLES_KEPT + 2 {
        Memory::open(dir.path()).store.close();
        std::fs::write(dir.path().join("tables.suspect"), b"for the test").expect("it is written");
    }
    let again = Memory::open(dir.path());
    assert_eq!(set_aside().len(), limits::DAMAGED_TABLES_KEPT);
    let newest =
        again.recovered.tables_set_aside.as_ref().and_then(|path| path.file_name()).expect("one more");
    assert!(
        set_aside().contains(&newest.to_string_lossy().into_owned()),
        "the newest is kept: {:?}",
        set_aside()
    );
    assert!(!set_aside().contains(&"tables.damaged-1".to_owned()));
}
