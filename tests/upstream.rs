//! Does what a shop decides reach head office once and in order, over a real broker, whatever happens to either?
//!
//! A shop here is a journal in memory, the real sender and the real line; head office is the reference one with its
//! broker, files and writer. Nothing sleeps: each test waits for what it asserts, with a generous bound.

#[path = "upstream/certificates.rs"]
mod certificates;
#[path = "upstream/check.rs"]
mod check;

use std::collections::BTreeMap;
use std::net::SocketAddr;
use std::path::Path;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use aisled::bundle::keys::SecretKey;
use aisled::bundle::{authoring, packed};
use aisled::clock::{Clock, SystemClock};
use aisled::domain::basket::{Basket, TransactionKey};
use aisled::domain::calendar::{Day, UnixMs};
use aisled::domain::ids::{BundleRef, DeviceId, Epoch, MemberId, PromotionId, RequestId, Seq, StoreId};
use aisled::domain::lease::{Say, Scope, Slices, Want};
use aisled::domain::money::Money;
use aisled::domain::points::{PointsLine, PointsReason};
use aisled::domain::receipt::SaleRecord;
use aisled::engine::decision::{Change, Entry, Facts, Key, Known, Record};
use aisled::engine::input::{Body, Commit, Digest, Input, MembersUpdate, QuoteBody, Request, Sold};
use aisled::engine::reply::{DataAge, Figures, PointsFigures, Receipt, Reply, TransactionView};
use aisled::engine::{Engine, Identity, Outcome};
use aisled::hub::files::inspect;
use aisled::hub::office::Snapshot;
use aisled::hub::server::{Hub, HubConfig, Running};
use aisled::pricing::model::{Channel, ResolutionMode};
use aisled::pricing::outcome::Resolution;
use aisled::upstream::backlog::{Backlog, BacklogError, Extent};
use aisled::upstream::files::ParkFile;
use aisled::upstream::link::{self, Happening, Inbox, Upstream, UpstreamConfig};
use aisled::upstream::machine::{Status, Trouble};

const PATIENCE: Duration = Duration::from_secs(60);

fn store() -> StoreId {
    StoreId::new("s1").expect("a store id")
}

fn clock() -> Arc<dyn Clock> {
    Arc::new(SystemClock)
}

fn member(seq: u64) -> MemberId {
    MemberId::new(&format!("m{}", seq % 10)).expect("a member id")
}

/// Points every member has from the bundle.
const POINTS: i64 = 100;

/// A sale of `seq` fen by one of ten members, who earns one point.
fn sale(seq: u64) -> Entry {
    let device = DeviceId::new("till-1").expect("a device id");
    let business_day = Day::new(2026, 11, 21).expect("a day");
    let transaction = TransactionKey { device: device.clone(), business_day, seq };
    let quote = QuoteBody {
        basket: Basket::default(),
        member: None,
        channel: Channel::default(),
        at: None,
        lang: None,
    };
    let commit = Commit {
        transaction: transaction.clone(),
        sold: Sold::Basket(quote),
        tenders: Vec::new(),
        training: false,
        charged: None,
    };
    let total = Money(i64::try_from(seq).expect("small"));
    let bundle = BundleRef { version: 1, hash: "0".repeat(16).into() };
    let figures = Figures {
        subtotal: total,
        discount_total: Money(0),
        total,
        lines: Vec::new(),
        gifts: Vec::new(),
        applied: Vec::new(),
        coupons: Vec::new(),
        not_applied: Vec::new(),
        near: Vec::new(),
        shelf: Vec::new(),
        points: PointsFigures::default(),
        gift_cards: Vec::new(),
        resolution: Resolution { mode: ResolutionMode::Sequence, proved: true, gap: Money(0) },
        bundle: bundle.clone(),
        data_age: DataAge::default(),
    };
    let receipt = Receipt {
        remarks: Vec::new(),
        decision: format!("s1/1/{seq}"),
        transaction: TransactionView { device: device.clone(), business_day, seq },
        member: Some(member(seq)),
        figures,
        units: Vec::new(),
        points_ledger: vec![PointsLine { reason: PointsReason::Earn, points: 1, promotion: None }],
        coupons_burned: Vec::new(),
        coupons_issued: Vec::new(),
        texts: Vec::new(),
        training: false,
        charged: None,
    };
    let record = SaleRecord {
        decision: Seq(seq),
        content: [0; 16],
        member: Some(member(seq)),
        total,
        is_return: false,
        voided: false,
        training: false,
        refunded: Money(0),
        returned: Vec::new(),
        taken_back: None,
        referred: None,
        took: Vec::new(),
        held: Vec::new(),
        drawn: Vec::new(),
    };
    let mut facts = Facts::default();
    let known = Known {
        profile: Default::default(),
        points: POINTS,
        as_of: UnixMs(0),
        listed: None,
        withdrawn: false,
        consent_at: None,
    };
    facts.add(Key::Member(member(seq)), Some(Record::Member(Box::new(known))));
    Entry {
        seq: Seq(seq),
        epoch: Epoch(1),
        at: UnixMs(1_700_000_000_000),
        bundle: Some(bundle),
        input: Input::Request(Box::new(Request {
            device,
            id: RequestId::new(&format!("request-{seq}")).expect("a request id"),
            digest: Digest([0; 16]),
            sent: None,
            at: None,
            body: Body::Commit(commit),
        })),
        facts,
        answer: Ok(Reply::Commit(Box::new(receipt))),
        changes: [Change::put(Key::Sale(transaction), Record::Sale(record))].into(),
    }
}

/// A journal in memory that several hands hold.
#[derive(Clone, Default)]
struct Journal(Arc<Mutex<BTreeMap<u64, Vec<u8>>>>, Arc<Mutex<u64>>);

impl Journal {
    fn entries<T>(&self, act: impl FnOnce(&mut BTreeMap<u64, Vec<u8>>) -> T) -> T {
        act(&mut self.0.lock().unwrap_or_else(PoisonError::into_inner))
    }

    fn next(&self) -> u64 {
        self.1.lock().unwrap_or_else(PoisonError::into_inner).max(1)
    }

    fn append(&self, bytes: Vec<u8>) {
        let seq = self.next();
        self.entries(|entries| entries.insert(seq, bytes));
        *self.1.lock().unwrap_or_else(PoisonError::into_inner) = seq + 1;
    }

    fn sell(&self, upstream: &Upstream, count: u64) {
        for _ in 0..count {
            self.append(sale(self.next()).encode());
        }
        upstream.durable(Seq(self.next()));
    }
}

impl Backlog for Journal {
    fn extent(&mut self) -> Result<Extent, BacklogError> {
        let next = self.next();
        let first = self.entries(|entries| entries.first_key_value().map_or(next, |(seq, _)| *seq));
        Ok(Extent { epoch: Epoch(1), first_epoch: Epoch(1), first: Seq(first), next: Seq(next) })
    }

    fn read(&mut self, from: Seq, max: usize, _: usize) -> Result<Vec<(Seq, Epoch, Vec<u8>)>, BacklogError> {
        let entry = |(seq, bytes): (&u64, &Vec<u8>)| (Seq(*seq), Epoch(1), bytes.clone());
        Ok(self.entries(|entries| entries.range(from.0..).take(max).map(entry).collect()))
    }

    fn prune(&mut self, through: Seq) -> Result<(), BacklogError> {
        self.entries(|entries| *entries = entries.split_off(&(through.0 + 1)));
        Ok(())
    }
}

struct Shop {
    journal: Journal,
    upstream: Upstream,
    inbox: Inbox,
}

async fn shop(dir: &Path, journal: Journal, addr: SocketAddr) -> Shop {
    let config = UpstreamConfig {
        store: store(),
        host: addr.ip().to_string(),
        port: addr.port(),
        login: None,
        tls: None,
        dir: dir.to_owned(),
    };
    let (upstream, inbox) =
        link::start(config, journal.clone(), clock(), 7).await.expect("the sender starts");
    Shop { journal, upstream, inbox }
}

impl Shop {
    async fn status_when(&self, what: &str, holds: impl FnMut(&Status) -> bool) -> Status {
        let mut status = self.upstream.status();
        let seen = tokio::time::timeout(PATIENCE, status.wait_for(holds)).await;
        let Ok(found) = seen else {
            panic!("never {what}: {:?}", self.upstream.status().borrow().clone());
        };
        found.expect("the sender runs").clone()
    }

    async fn drained(&self) -> Status {
        let next = self.journal.next();
        self.status_when("drained", |status| {
            status.connected && status.remembered.applied_through.0 + 1 == next
        })
        .await
    }
}

async fn hub(data: &Path, listen: SocketAddr) -> Running {
    Hub::start(HubConfig::new(listen, data.to_owned()), clock()).await.expect("head office starts")
}

fn anywhere() -> SocketAddr {
    SocketAddr::from(([127, 0, 0, 1], 0))
}

/// Waits for head office, looking again after each of its commits.
async fn hub_when(hub: &Running, what: &str, mut holds: impl FnMut(&Snapshot) -> bool) -> Snapshot {
    let mut commits = hub.commits();
    let wait = async {
        loop {
            let snapshot = hub.snapshot().await.expect("head office answers");
            if holds(&snapshot) {
                return snapshot;
            }
            commits.changed().await.expect("head office runs");
        }
    };
    match tokio::time::timeout(PATIENCE, wait).await {
        Ok(snapshot) => snapshot,
        Err(_) => panic!("never {what}: {:?}", hub.snapshot().await),
    }
}

fn reconciles(snapshot: &Snapshot, sales: u64) {
    let view = snapshot.store(&store()).expect("the store is known");
    assert_eq!((view.totals.sales, view.applied_through), (sales, Seq(sales)));
    assert_eq!(view.net_total_minor, i64::try_from(sales * (sales + 1) / 2).expect("small"));
    assert_eq!((view.quarantined, view.parked, view.withheld, view.lost), (0, 0, 0, 0));
}

fn copy_tree(from: &Path, to: &Path) {
    std::fs::create_dir_all(to).expect("makes a directory");
    for entry in std::fs::read_dir(from).expect("lists") {
        let path = entry.expect("an entry").path();
        let target = to.join(path.file_name().expect("a name"));
        if path.is_dir() {
            copy_tree(&path, &target);
        } else {
            std::fs::copy(&path, &target).expect("copies");
        }
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn does_everything_arrive_once_while_head_office_goes_and_returns() {
    let (data, dir) = (tempfile::tempdir().expect("a directory"), tempfile::tempdir().expect("a directory"));
    let mut office = hub(data.path(), anywhere()).await;
    let addr = office.addr();
    let shop = shop(dir.path(), Journal::default(), addr).await;
    for round in 1..=3_u64 {
        shop.journal.sell(&shop.upstream, 1_500);
        // Somewhere in the middle of it.
        hub_when(&office, "some of it", |now| {
            now.store(&store()).is_some_and(|view| view.applied_through.0 > (round - 1) * 1_500)
        })
        .await;
        office.shutdown().await;
        shop.status_when("away", |status| !status.connected).await;
        shop.journal.sell(&shop.upstream, 500);
        office = hub(data.path(), addr).await;
    }
    let status = shop.drained().await;
    assert_eq!((status.backlog, status.remembered.incarnation, status.last_error), (0, 1, None));
    let snapshot = hub_when(&office, "all of it", |now| now.stores[0].applied_through.0 == 6_000).await;
    reconciles(&snapshot, 6_000);
    assert_eq!(office.balance(member(3)).await.expect("answers"), Some(POINTS + 600));
    shop.status_when("durable", |status| status.remembered.durable_through == Seq(6_000)).await;
    shop.inbox.shutdown().await;
    assert_eq!(shop.journal.entries(|entries| entries.len()), 0, "what is durable there may go here");
    office.shutdown().await;
    reconciles(&Snapshot::of(&inspect(data.path()).expect("reads")), 6_000);
}

/// Sells, backs up, sells on, then lets `restore` bring an older state of head office back.
async fn survives_a_restore(restore: impl FnOnce(&Path, &Path, &Path) -> std::path::PathBuf) {
    let (root, dir) = (tempfile::tempdir().expect("a directory"), tempfile::tempdir().expect("a directory"));
    let (data, backup, old) = (root.path().join("data"), root.path().join("backup"), root.path().join("old"));
    let with_backup = |data: &Path, listen| HubConfig {
        backup: Some(backup.clone()),
        ..HubConfig::new(listen, data.to_owned())
    };
    let office = Hub::start(with_backup(&data, anywhere()), clock()).await.expect("head office starts");
    let addr = office.addr();
    let mut shop = shop(dir.path(), Journal::default(), addr).await;
    shop.journal.sell(&shop.upstream, 700);
    shop.drained().await;
    office.back_up().await.expect("backs up");
    shop.status_when("durable", |status| status.remembered.durable_through == Seq(700)).await;
    copy_tree(&backup, &old);
    shop.journal.sell(&shop.upstream, 800);
    shop.drained().await;
    assert!(shop.journal.entries(|entries| entries.len()) >= 800, "what no backup holds stays in the shop");
    office.shutdown().await;
    let restored = restore(&data, &old, root.path());
    let office = Hub::start(with_backup(&restored, addr), clock()).await.expect("head office starts");
    shop.status_when("another incarnation", |status| status.connected && status.remembered.incarnation > 1)
        .await;
    shop.drained().await;
    let snapshot = hub_when(&office, "all of it", |now| now.stores[0].applied_through.0 == 1_500).await;
    reconciles(&snapshot, 1_500);
    assert!(snapshot.incarnation > 1);
    while let Ok(Some(happening)) = tokio::time::timeout(PATIENCE, shop.inbox.next()).await {
        if let Happening::Members(MembersUpdate { settled_through: Seq(1_500), members, .. }) = happening {
            assert_eq!(members.iter().map(|member| member.points).collect::<Vec<_>>(), [POINTS + 150; 10]);
            break;
        }
    }
    office.shutdown().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn do_shops_send_again_what_a_restored_head_office_has_lost() {
    survives_a_restore(|_, old, _| old.to_owned()).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn does_head_office_notice_that_somebody_put_older_files_back() {
    survives_a_restore(|data, old, _| {
        // As a file system's snapshot would: the logs of before, and nothing that says so.
        let meta = std::fs::read(data.join("hub.json")).expect("reads");
        std::fs::write(old.join("hub.json"), meta).expect("writes");
        old.to_owned()
    })
    .await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn is_a_torn_log_cut_and_sent_again() {
    let (data, dir) = (tempfile::tempdir().expect("a directory"), tempfile::tempdir().expect("a directory"));
    let office = hub(data.path(), anywhere()).await;
    let addr = office.addr();
    let journal = Journal::default();
    let first = shop(dir.path(), journal.clone(), addr).await;
    journal.sell(&first.upstream, 300);
    first.drained().await;
    let kept: BTreeMap<u64, Vec<u8>> = (1..=300).map(|seq| (seq, sale(seq).encode())).collect();
    first.inbox.shutdown().await;
    office.shutdown().await;
    let log = data.path().join("stores/s1/1.log");
    let bytes = std::fs::read(&log).expect("reads");
    std::fs::write(&log, &bytes[..bytes.len() - 1_000]).expect("writes");
    // The shop holds it still: nothing was pruned that some other reason keeps.
    journal.entries(|entries| *entries = kept);
    let office = hub(data.path(), addr).await;
    let second = shop(dir.path(), journal, addr).await;
    second
        .status_when("drained anew", |status| status.remembered.incarnation > 1 && status.backlog == 0)
        .await;
    reconciles(&hub_when(&office, "all", |now| now.stores[0].applied_through.0 == 300).await, 300);
    second.inbox.shutdown().await;
    office.shutdown().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn does_one_bad_entry_stop_nobody_and_stay_for_a_human() {
    let (data, dir) = (tempfile::tempdir().expect("a directory"), tempfile::tempdir().expect("a directory"));
    let office = hub(data.path(), anywhere()).await;
    ParkFile { parked: [Seq(2)].into() }.write(dir.path()).expect("writes");
    let journal = Journal::default();
    let shop = shop(dir.path(), journal, office.addr()).await;
    let mut status = shop.upstream.status();
    tokio::time::timeout(PATIENCE, status.wait_for(|status| status.connected))
        .await
        .expect("in time")
        .expect("runs");
    shop.journal.append(sale(1).encode());
    shop.journal.append(sale(2).encode());
    shop.journal.append(b"not a decision".to_vec());
    shop.journal.append(vec![0x55; 200_000]);
    shop.journal.append(sale(5).encode());
    shop.upstream.durable(Seq(6));
    let parked = shop
        .status_when("parked", |status| {
            status.remembered.applied_through == Seq(5) && !status.parked_there.is_empty()
        })
        .await;
    assert_eq!((parked.parked_there, parked.parked_here), (vec![Seq(3), Seq(4)], vec![Seq(2)]));
    let snapshot = office.snapshot().await.expect("answers");
    let view = snapshot.store(&store()).expect("the store is known");
    assert_eq!((view.totals.sales, view.parked, view.withheld), (2, 2, 1));
    ParkFile::default().write(dir.path()).expect("writes");
    shop.status_when("released", |status| status.parked_here.is_empty()).await;
    let snapshot = hub_when(&office, "the released one", |now| now.stores[0].withheld == 0).await;
    assert_eq!(snapshot.stores[0].totals.sales, 3);
    shop.inbox.shutdown().await;
    office.shutdown().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn does_an_offered_bundle_arrive_whole_and_is_it_reported() {
    let (data, dir) = (tempfile::tempdir().expect("a directory"), tempfile::tempdir().expect("a directory"));
    let bundle = data.path().join("bundle");
    let bytes: Vec<u8> = (0..200_000_u32).flat_map(u32::to_le_bytes).collect();
    std::fs::write(&bundle, &bytes).expect("writes");
    let config =
        HubConfig { bundle: Some((bundle, 7)), ..HubConfig::new(anywhere(), data.path().join("hub")) };
    let office = Hub::start(config, clock()).await.expect("head office starts");
    let mut shop = shop(dir.path(), Journal::default(), office.addr()).await;
    let happening = tokio::time::timeout(PATIENCE, shop.inbox.next()).await.expect("in time");
    let Some(Happening::Bundle { version: 7, path }) = happening else { panic!("{happening:?}") };
    assert!(std::fs::read(path).expect("reads") == bytes, "the bytes that were offered");
    shop.upstream.bundle_active(7);
    hub_when(&office, "reported", |now| now.stores.first().is_some_and(|s| s.bundle_reported == Some(7)))
        .await;
    shop.inbox.shutdown().await;
    office.shutdown().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn is_the_reason_named_why_there_is_no_line() {
    let (data, dir) = (tempfile::tempdir().expect("a directory"), tempfile::tempdir().expect("a directory"));
    let config =
        HubConfig { password: Some("right".into()), ..HubConfig::new(anywhere(), data.path().to_owned()) };
    let office = Hub::start(config, clock()).await.expect("head office starts");
    let addr = office.addr();
    let refused = shop(dir.path(), Journal::default(), addr).await;
    let trouble = |wanted: Trouble| {
        move |status: &Status| status.last_error.as_ref().is_some_and(|e| e.trouble == wanted)
    };
    refused.status_when("auth", trouble(Trouble::Auth)).await;
    office.shutdown().await;
    refused.status_when("tcp", trouble(Trouble::Tcp)).await;
    refused.inbox.shutdown().await;
    let nowhere = UpstreamConfig {
        store: store(),
        host: "head-office.invalid".into(),
        port: 1,
        login: None,
        tls: None,
        dir: dir.path().to_owned(),
    };
    let (upstream, inbox) = link::start(nowhere, Journal::default(), clock(), 1).await.expect("starts");
    let lost = Shop { journal: Journal::default(), upstream, inbox };
    lost.status_when("dns", trouble(Trouble::Dns)).await;
    lost.inbox.shutdown().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn does_a_second_head_office_keep_off_the_data_of_the_first() {
    let data = tempfile::tempdir().expect("a directory");
    let office = hub(data.path(), anywhere()).await;
    let second = Hub::start(HubConfig::new(anywhere(), data.path().to_owned()), clock()).await;
    assert!(second.is_err_and(|error| error.to_string().contains("another head office runs on it")));
    office.shutdown().await;
}

/// `cargo test --release --test upstream -- --ignored --nocapture month`
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
#[ignore = "a measurement: 60,000 sales of 4 KiB"]
#[expect(clippy::print_stderr, reason = "its output is what it is run for")]
async fn how_fast_does_a_month_drain() {
    let (data, dir) = (tempfile::tempdir().expect("a directory"), tempfile::tempdir().expect("a directory"));
    let journal = Journal::default();
    let mut random = 1_u64;
    for seq in 1..=60_000 {
        let mut entry = sale(seq);
        if let Ok(Reply::Commit(receipt)) = &mut entry.answer {
            // Words that do not compress much, as receipts of different goods do not.
            receipt.texts = (0..120)
                .map(|_| {
                    random = random.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1);
                    format!("{random:x}")
                })
                .collect();
        }
        journal.append(entry.encode());
    }
    let bytes: usize = journal.entries(|entries| entries.values().map(Vec::len).sum());
    let office = hub(data.path(), anywhere()).await;
    let start = SystemClock.ticks();
    let shop = shop(dir.path(), journal, office.addr()).await;
    shop.drained().await;
    let took = SystemClock.ticks().since(start);
    reconciles(&office.snapshot().await.expect("answers"), 60_000);
    eprintln!(
        "60,000 entries, {bytes} bytes, {} ms: {} entries/s",
        took.as_millis(),
        60_000_000 / took.as_millis().max(1)
    );
    shop.inbox.shutdown().await;
    office.shutdown().await;
}

const LIMITED: &str = r#"
[[promotion]]
id = "flash"
titles = { en = "Flash" }
benefit = { line_fixed_price = 3290 }
limits = [{ scope = "chain", measure = "units", max = 100 }]
"#;

fn flash() -> Scope {
    Scope::Units(PromotionId::new("flash").expect("an id"))
}

/// A bundle with one chain-wide limit of 100.
fn bundle_file(dir: &Path) -> std::path::PathBuf {
    let shop = include_bytes!("../config/bundle-example/shop.toml").to_vec();
    let files = vec![("shop.toml".into(), shop), ("promotions.toml".into(), LIMITED.as_bytes().to_vec())];
    let rules = authoring::read(files).expect("the folder reads").rules;
    let key = SecretKey::from_seed(&[7; 32]);
    let bytes = packed::pack(1, UnixMs(0), &rules, &[], &[], &key).expect("packs");
    let path = dir.join("rules.aisb");
    std::fs::write(&path, bytes).expect("writes");
    path
}

/// What a shop's tables hold.
#[derive(Default)]
struct Tables(BTreeMap<Key, Record>);

impl Tables {
    /// Decides as the daemon does; false if the word is not the next one.
    fn hear(&mut self, shop: &Shop, input: Input) -> bool {
        let identity = Identity { store: store(), epoch: Epoch(1), secret: [0; 32], started: UnixMs(0) };
        let mut engine = Engine::new(identity, Seq(shop.journal.next()));
        let mut facts = Facts::default();
        for key in engine.needs(&input, &facts) {
            let record = self.0.get(&key).cloned();
            facts.add(key, record);
        }
        let Outcome::Decided(entry) = engine.handle(input, facts, UnixMs(0)) else { return false };
        self.commit(shop, *entry);
        true
    }

    fn commit(&mut self, shop: &Shop, entry: Entry) {
        for change in entry.changes.iter() {
            match &change.record {
                Some(record) => self.0.insert(change.key.clone(), record.clone()),
                None => self.0.remove(&change.key),
            };
        }
        shop.journal.append(entry.encode());
        shop.upstream.durable(Seq(shop.journal.next()));
    }

    fn slices(&self) -> Slices {
        match self.0.get(&Key::Lease(Epoch(1), flash())) {
            Some(Record::Slices(slices)) => slices.clone(),
            _ => Slices::default(),
        }
    }

    /// A sale that takes `amount` of what is lent.
    fn spend(&mut self, shop: &Shop, amount: i64) {
        let mut slices = self.slices();
        assert_eq!(slices.spend(amount, UnixMs(0)), 0);
        let mut entry = sale(shop.journal.next());
        let spent = Change::put(Key::Lease(Epoch(1), flash()), Record::Slices(slices));
        entry.changes = entry.changes.iter().cloned().chain([spent]).collect();
        self.commit(shop, entry);
    }

    /// Takes words until `holds`; says how many were taken.
    async fn hear_until(&mut self, shop: &mut Shop, what: &str, holds: impl Fn(&Slices) -> bool) -> u32 {
        let mut taken = 0;
        while !holds(&self.slices()) {
            match tokio::time::timeout(PATIENCE, shop.inbox.next()).await {
                Ok(Some(Happening::Words(words))) => {
                    for word in words {
                        taken += u32::from(self.hear(shop, word.clone()));
                        assert!(!self.hear(shop, word), "heard twice, taken once");
                    }
                }
                Ok(Some(_)) => {}
                Ok(None) | Err(_) => panic!("never {what}: {:?}", self.slices()),
            }
        }
        taken
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn is_a_slice_asked_for_lent_spent_and_given_back_through_the_journal() {
    let (data, dir) = (tempfile::tempdir().expect("a directory"), tempfile::tempdir().expect("a directory"));
    let (hub_dir, backup) = (data.path().join("hub"), data.path().join("backup"));
    let config = |listen| HubConfig {
        bundle: Some((bundle_file(data.path()), 1)),
        backup: Some(backup.clone()),
        ..HubConfig::new(listen, hub_dir.clone())
    };
    let office = Hub::start(config(anywhere()), clock()).await.expect("head office starts");
    let addr = office.addr();
    let mut shop = shop(dir.path(), Journal::default(), addr).await;
    let mut tables = Tables::default();
    shop.upstream.wants(vec![Want { scope: flash(), left: 0, need: 30 }], Seq(0));
    let slice_is =
        |amount: i64| move |slices: &Slices| slices.0.first().is_some_and(|slice| slice.amount == amount);
    assert_eq!(tables.hear_until(&mut shop, "lent", slice_is(30)).await, 1);
    tables.spend(&shop, 12);
    let lease = |now: &Snapshot| now.leases.iter().find(|view| view.scope == flash()).cloned();
    let seen = hub_when(&office, "spent", |now| lease(now).is_some_and(|view| view.spent == 12)).await;
    let view = lease(&seen).expect("it has a budget");
    assert_eq!((view.budget, view.lent, view.closed, view.holders), (Some(100), 30, 0, 1));
    assert!(seen.breaches.is_empty());
    // Head office stops, a human calls the promotion back, head office returns.
    office.shutdown().await;
    let flash_id = PromotionId::new("flash").expect("an id");
    aisled::hub::files::amend(&hub_dir, UnixMs(0), |lender| lender.drain(&flash_id)).expect("is written");
    let office = Hub::start(config(addr), clock()).await.expect("head office starts");
    let is_sealed = |slices: &Slices| slices.0.first().is_some_and(|slice| slice.sealed && slice.used == 12);
    assert_eq!(tables.hear_until(&mut shop, "called back", is_sealed).await, 1);
    let seen = hub_when(&office, "sealed", |now| lease(now).is_some_and(|view| view.lent == 0)).await;
    assert_eq!(lease(&seen).map(|view| (view.spent, view.closed)), Some((12, 12)));
    // The backup alone says the same: it is another incarnation, and still knows what was spent.
    office.back_up().await.expect("backs up");
    office.shutdown().await;
    shop.inbox.shutdown().await;
    let restored = aisled::hub::files::Files::open(&backup, true, UnixMs(0)).expect("opens").1.lender;
    assert_eq!((restored.incarnation(), restored.view()[0].closed), (2, 12));
    assert!(restored.check().is_empty() && !restored.is_outdone());
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn does_a_head_office_that_forgot_its_words_find_out_and_lend_nothing_meanwhile() {
    let (data, dir) = (tempfile::tempdir().expect("a directory"), tempfile::tempdir().expect("a directory"));
    let hub_dir = data.path().join("hub");
    let config = |listen| HubConfig {
        bundle: Some((bundle_file(data.path()), 1)),
        ..HubConfig::new(listen, hub_dir.clone())
    };
    let office = Hub::start(config(anywhere()), clock()).await.expect("head office starts");
    let addr = office.addr();
    let mut shop = shop(dir.path(), Journal::default(), addr).await;
    let mut tables = Tables::default();
    shop.upstream.wants(vec![Want { scope: flash(), left: 0, need: 30 }], Seq(0));
    let lent = |slices: &Slices| slices.0.first().is_some_and(|slice| slice.amount == 30);
    tables.hear_until(&mut shop, "lent", lent).await;
    shop.drained().await;
    office.shutdown().await;
    std::fs::remove_file(hub_dir.join("lender.log")).expect("is removed");
    let office = Hub::start(config(addr), clock()).await.expect("head office starts");
    assert_eq!(office.snapshot().await.expect("answers").incarnation, 2);
    let greeted = async {
        loop {
            match shop.inbox.next().await {
                Some(Happening::Words(words)) => {
                    let is_greeting =
                        |input: &Input| matches!(input, Input::Lease(word) if word.say == Say::Greet);
                    let greets = words.iter().any(is_greeting);
                    for word in words {
                        tables.hear(&shop, word);
                    }
                    if greets {
                        return;
                    }
                }
                Some(_) => {}
                None => panic!("the sender ended"),
            }
        }
    };
    tokio::time::timeout(PATIENCE, greeted).await.expect("a greeting in time");
    let seen = hub_when(&office, "known again", |now| now.unknown.is_empty()).await;
    let view = seen.leases.iter().find(|view| view.scope == flash()).cloned().expect("it has a budget");
    assert_eq!((view.lent, view.ghosts, seen.breaches.len()), (30, 0, 0));
    shop.inbox.shutdown().await;
    office.shutdown().await;
}
