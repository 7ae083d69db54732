//! Does the main job reconcile: the demonstration, the daemon killed under load, a head office that is away, and real
//! baskets into a daemon that runs.
//!
//! Nothing here sleeps: each test waits for a process to end or for something to be said. `AISLED_KILLS` says how often
//! the daemon is killed (5 without it).

use std::collections::BTreeSet;
use std::io::{BufRead, BufReader};
use std::net::{Ipv4Addr, SocketAddr};
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::sync::Arc;
use std::time::Duration;

use aisled::bundle::keys::SecretKey;
use aisled::bundle::packed;
use aisled::cli::journey::{Basket, Journey, bundle_of};
use aisled::cli::tills::{self, Fleet, Patience, Source, Tally, Visit};
use aisled::clock::SystemClock;
use aisled::config::{Config, Environment};
use aisled::daemon;
use aisled::daemon::control::{self, Ask};
use aisled::domain::calendar::{Day, UnixMs};
use aisled::domain::ids::{Epoch, Seq, StoreId};
use aisled::engine::decision::Entry;
use aisled::engine::reply::Reply;
use aisled::hub::files;
use aisled::hub::server::{Hub, HubConfig, Running as Office};
use serde_json::Value;
use tokio::sync::{Mutex, mpsc, watch};

const DEADLINE: Duration = Duration::from_secs(180);

fn aisled(args: &[&str]) -> (bool, Value) {
    let output = Command::new(env!("CARGO_BIN_EXE_aisled")).args(args).output().expect("the program runs");
    let text = String::from_utf8(output.stdout).expect("text");
    let complaint = String::from_utf8_lossy(&output.stderr).into_owned();
    assert_eq!(text.lines().count(), 1, "one object and nothing else: {text}{complaint}");
    (output.status.success(), serde_json::from_str(&text).expect("JSON"))
}

fn number(report: &Value, key: &str) -> u64 {
    report[key].as_u64().unwrap_or_else(|| panic!("{key} is a number in {report}"))
}

fn assert_reconciled(success: bool, report: &Value) {
    let broken: Vec<&Value> =
        report["checks"].as_array().expect("checks").iter().filter(|check| check["holds"] != true).collect();
    assert!(broken.is_empty(), "{broken:?} in {report}");
    assert!(success && report["reconciled"] == true, "{report}");
}

fn extract() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/data/complete-journey")
}

#[test]
fn does_every_count_of_the_demonstration_reconcile() {
    let (success, report) = aisled(&["demo", "--seconds", "4", "--json"]);
    assert_reconciled(success, &report);
    let n = |key: &str| number(&report, key);
    assert!(n("sales_committed") > 0 && n("duplicates_sent") > 0 && n("backlog_peak") > 0, "{report}");
    assert_eq!(n("sales_committed"), n("sales_at_head_office"));
    assert_eq!(n("requests"), n("replies") + n("refusals"));
    assert_eq!((n("lost"), n("duplicates_applied"), n("unanswered")), (0, 0, 0));
    assert!(report["offline_seconds"].as_f64().expect("a number") > 1.0, "{report}");
    assert_eq!(n("bundle_version"), 2, "head office's update arrives: {report}");
    assert_ne!(report["points_shop"], 0, "members are known from the first sale: {report}");
    assert_eq!(report["points_shop"], report["points_head_office"]);
    assert_eq!(report["net_total_minor_shop"], report["net_total_minor_head_office"]);
    assert!(report["offers_applied"].as_object().expect("an object").len() > 10, "{report}");
    assert!(n("p50_us") > 0 && n("p99_us") >= n("p50_us"));
}

#[test]
fn is_every_acknowledged_sale_there_once_after_kill_9_in_the_middle_of_the_load() {
    let kills = std::env::var("AISLED_KILLS").unwrap_or_else(|_| "5".to_owned());
    let (success, report) = aisled(&["demo", "--seconds", "2", "--kill", &kills, "--json"]);
    assert_reconciled(success, &report);
    assert_eq!(report["kills"].to_string(), kills);
    assert!(number(&report, "resends") > 0, "a kill that nobody noticed: {report}");
    assert_eq!(number(&report, "lost"), 0);
    assert_eq!(number(&report, "duplicates_applied"), 0);
}

#[test]
fn does_a_drive_with_real_baskets_reconcile() {
    let folder = extract();
    let folder = folder.to_str().expect("text");
    let (success, report) = aisled(&["drive", "--data", folder, "--days", "0..7", "--json"]);
    assert_reconciled(success, &report);
    let week = Journey::open(&extract(), 0..7).expect("the extract in the repository");
    let read = week.baskets.len() as u64;
    for key in ["baskets_read", "baskets_sent", "baskets_acknowledged", "baskets_distinct"] {
        assert_eq!(number(&report, key), read, "{key}");
    }
    let gross: i64 = week.baskets.iter().flat_map(|basket| &basket.lines).map(|line| line.gross.0).sum();
    assert_eq!(report["gross_total_minor"], gross);
    let skipped = &report["lines_skipped"];
    let skipped: u64 =
        ["no_quantity", "no_value", "too_many_units"].iter().map(|of| number(skipped, of)).sum();
    assert_eq!(number(&report, "lines_rung_up") + skipped, number(&report, "lines_read"));
    assert!(number(&report, "coupons_applied") > 0);
}

/// A daemon's process that is killed when the test is over.
struct Daemon(std::process::Child);

impl Drop for Daemon {
    fn drop(&mut self) {
        // It may have ended by itself; nothing is left either way.
        drop(self.0.kill());
        drop(self.0.wait());
    }
}

#[test]
fn can_a_running_daemon_be_driven_with_the_rules_written_for_it() {
    let dir = tempfile::tempdir().expect("a directory");
    let path = |name: &str| dir.path().join(name).to_str().expect("text").to_owned();
    let folder = extract();
    let folder = folder.to_str().expect("text");
    let days = ["--days", "0..2", "--first-day", "2026-03-01"];
    let program = || Command::new(env!("CARGO_BIN_EXE_aisled"));
    let written =
        program().args(["drive", "--data", folder, "--write-bundle", &path("out")]).args(days).output();
    let says = String::from_utf8(written.expect("the program runs").stdout).expect("text");
    let key = says.split('"').find(|part| part.starts_with("aisled-ed25519:")).expect("a key").to_owned();
    let config = format!(
        "[store]\nid = \"s01\"\ndata_dir = {:?}\n[broker]\nlisten = \"127.0.0.1:0\"\n[bundle]\ntrusted_keys = [\"{key}\"]\n",
        path("data")
    );
    std::fs::write(path("a.toml"), config).expect("is written");
    std::fs::create_dir(path("data")).expect("is made");
    let install = ["bundle", "install", &path("out/journey.aisb"), "--key", &key, "--data", &path("data")];
    assert!(program().args(install).output().expect("the program runs").status.success());

    let run = program().args(["run", "--config", &path("a.toml")]).stderr(Stdio::piped()).spawn();
    let mut daemon = Daemon(run.expect("the program runs"));
    let mut says = BufReader::new(daemon.0.stderr.take().expect("a pipe")).lines();
    // In either order: ready to be reached, and with rules to sell by.
    let (mut addr, mut has_rules) = (None, false);
    while addr.is_none() || !has_rules {
        let line = says.next().expect("the daemon ended before it was ready").expect("text");
        has_rules |= line.contains("a bundle is active");
        addr = addr.or(line.split("addr=").nth(1).map(|addr| addr.trim().to_owned()));
    }
    let addr = addr.expect("the loop waits for it");
    // What it says from now on is of no interest, but must not fill the pipe.
    let silent = std::thread::spawn(move || says.for_each(drop));
    // Twice: the second run's requests and receipts are others than the first's.
    for _ in 0..2 {
        let drive = ["drive", "--data", folder, "--broker", &addr, "--json"];
        let (success, report) = aisled(&[&drive[..], &days[..]].concat());
        assert_reconciled(success, &report);
        assert!(number(&report, "baskets_distinct") > 0);
    }
    drop(daemon);
    silent.join().expect("the pipe ends with the daemon");
}

fn store() -> StoreId {
    StoreId::new("s01").expect("an id")
}

fn first_day() -> Day {
    "2026-03-01".parse().expect("valid")
}

/// A shop on its own data, as `aisled run` starts it.
struct Shop {
    data: PathBuf,
    addr: SocketAddr,
    running: daemon::Running,
}

async fn shop(dir: &Path, journey: &Journey, office: SocketAddr) -> Shop {
    let data = dir.join("shop");
    let key = SecretKey::from_seed(&[7; 32]);
    let (rules, members, codes) = bundle_of(journey, first_day());
    let packed =
        packed::pack(1, UnixMs(1_794_888_000_000), &rules, &members, &codes, &key).expect("is packed");
    std::fs::create_dir_all(data.join("bundles/inbox")).expect("is made");
    std::fs::write(data.join("bundles/inbox/1.aisb"), packed).expect("is written");
    let text = format!(
        "[store]\nid = \"s01\"\ndata_dir = {data:?}\n[broker]\nlisten = \"127.0.0.1:0\"\n\
         [head_office]\nurl = \"mqtt://{office}\"\n[bundle]\ntrusted_keys = [\"{}\"]\n",
        key.public()
    );
    let config = Config::parse(&dir.join("a.toml"), &text, &Environment::default()).expect("a configuration");
    let start = || daemon::start(config.config, Arc::new(SystemClock), None);
    let running = tokio::task::spawn_blocking(start).await.expect("no panic").expect("a daemon");
    let addr = running.addr.expect("the embedded broker's");
    Shop { data, addr, running }
}

impl Shop {
    async fn status(&self) -> Value {
        let data = self.data.clone();
        let asked = tokio::task::spawn_blocking(move || control::ask(&data, &Ask::Status));
        asked.await.expect("no panic").expect("an answer").expect("a running daemon")
    }

    async fn ring_up(&self, baskets: &[Basket], run: &str, tally: &Arc<Tally>) {
        let (sender, visits) = mpsc::channel(16);
        let fleet = Fleet {
            broker: (self.addr.ip().to_string(), self.addr.port()),
            store: store(),
            devices: Fleet::devices(8, 0),
            source: Source::Visits(Arc::new(Mutex::new(visits))),
            business_day: first_day(),
            seq_from: if run == "near" { 1 } else { 10_000 },
            run: run.to_owned(),
            seed: 7,
            think_ms: (0, 0),
            patience: Patience::default(),
            repeats_per_mille: 100,
            clock: Arc::new(SystemClock),
            tally: Arc::clone(tally),
        };
        let (_stop, stopped) = watch::channel(false);
        let run = tokio::spawn(tills::run(fleet, stopped));
        for basket in baskets {
            sender.send(Visit::of_basket(basket, first_day())).await.expect("tills that listen");
        }
        drop(sender);
        tokio::time::timeout(DEADLINE, run).await.expect("in time").expect("no panic").expect("a fleet");
    }
}

async fn office(addr: SocketAddr, data: &Path) -> Office {
    Hub::start(HubConfig::new(addr, data.to_owned()), Arc::new(SystemClock)).await.expect("a head office")
}

/// Waits until head office has everything through `seq`.
async fn has(office: &Office, seq: u64) {
    let mut commits = office.commits();
    let all = async {
        loop {
            commits.borrow_and_update();
            let snapshot = office.snapshot().await.expect("an answer");
            if snapshot.store(&store()).is_some_and(|view| view.applied_through >= Seq(seq)) {
                return;
            }
            commits.changed().await.expect("head office runs");
        }
    };
    tokio::time::timeout(DEADLINE, all).await.expect("the backlog drains in time");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn is_nothing_lost_or_twice_or_out_of_order_when_head_office_comes_back() {
    let dir = tempfile::tempdir().expect("a directory");
    let week = Journey::open(&extract(), 0..7).expect("the extract in the repository");
    let there = dir.path().join("head-office");
    let head = office(SocketAddr::from((Ipv4Addr::LOCALHOST, 0)), &there).await;
    let addr = head.addr();
    let shop = shop(dir.path(), &week, addr).await;
    // The bundle is the first decision: when head office has it, the shop sells by it.
    has(&head, 1).await;
    let tally = Arc::new(Tally::default());
    let (near, away) = week.baskets.split_at(40);
    shop.ring_up(near, "near", &tally).await;
    let before = shop.status().await["journal"]["durable"].as_u64().expect("a number");
    has(&head, before).await;
    head.shutdown().await;

    shop.ring_up(away, "away", &tally).await;
    let status = shop.status().await;
    let durable = status["journal"]["durable"].as_u64().expect("a number");
    assert!(durable >= before + away.len() as u64, "{status}");
    let view = files::inspect(&there).expect("its files").ledger.lines(&store());
    assert_eq!(view.last().map(|line| line.applied_through), Some(Seq(before)), "it was away");

    let head = office(addr, &there).await;
    has(&head, durable).await;
    let snapshot = head.snapshot().await.expect("an answer");
    head.shutdown().await;
    tokio::task::spawn_blocking(|| shop.running.stop()).await.expect("no panic").expect("in order");

    let figures = tally.figures();
    assert!(figures.adds_up() && figures.silences == 0 && figures.duplicates_sent > 0, "{figures:?}");
    assert_eq!(figures.duplicates_replayed, figures.duplicates_sent);
    let view = snapshot.store(&store()).expect("the shop");
    assert_eq!(view.totals.sales, week.baskets.len() as u64);
    assert_eq!(view.totals.sales_total_minor.unsigned_abs(), figures.sales_minor);
    assert_eq!((view.quarantined, view.parked, view.withheld, view.lost), (0, 0, 0, 0));

    let (mut next, mut sold) = (1, Vec::new());
    files::entries(&there, &store(), Epoch(1), |seq, bytes| {
        assert_eq!(seq, Seq(next), "in order, without a gap and without a repetition");
        next += 1;
        let entry = Entry::decode(bytes).expect("a decision");
        if let Ok(Reply::Commit(receipt)) = entry.answer {
            sold.push(receipt.decision);
        }
    })
    .expect("its log");
    let acknowledged: BTreeSet<String> = tally.sales().into_iter().map(|sale| sale.decision).collect();
    assert_eq!(acknowledged.len(), week.baskets.len());
    assert_eq!(sold.len(), acknowledged.len());
    assert_eq!(sold.into_iter().collect::<BTreeSet<String>>(), acknowledged);
}
