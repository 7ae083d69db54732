//! `aisled demo`: the main job in one command, with nothing else installed and no file needed.
//!
//! ```text
//! sample shop (in the binary) --packed, signed--> daemon <--MQTT-- tills and kiosks
//!                                                   |  ^
//!                              decisions, once each v  | version 2 of the rules
//!                                               head office, which goes away and returns
//! ```
//! Time line: head office is there for a quarter of the load, away for a third, and returns with an update of the rules.
//! With `--kill N` the daemon is a process of its own and is killed N times in the middle of its work. When the load
//! has ended and the backlog is empty, everything is stopped and both ends' files are reconciled (`report`).
//!
//! Exit codes: 0 every count reconciles, 1 one does not.

mod live;
mod report;

pub(super) mod books;
pub(super) mod premises;
pub(super) mod sample;

use std::io::{IsTerminal, Write};
use std::path::PathBuf;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU32, AtomicU64, Ordering};
use std::time::Duration;

use anyhow::{Context, Result, bail};
use clap::Args;
use serde_json::Value;
use tokio::sync::{Mutex, watch};
use tokio::time::{MissedTickBehavior, interval, sleep};

use super::Exit;
use super::explain::terminal_lang;
use super::tills::{self, Dice, Fleet, Patience, Source, Stock, Tally};
use crate::clock::{Clock, Stopwatch, SystemClock};
use crate::domain::text::Lang;
use crate::hub::files;
use crate::limits;

pub(super) use report::{Check, count, verdict, write_checks};

use books::Books;
use live::{Live, Phase, Scene, Show};
use premises::{HeadOffice, Shop};
use report::{Course, Ends, Report};

/// Arguments of `demo`.
#[derive(Args, Clone, Debug)]
pub struct DemoArgs {
    /// How long the tills are open
    #[arg(long, value_name = "N", default_value_t = 20, value_parser = clap::value_parser!(u32).range(2..=3_600))]
    pub seconds: u32,
    /// Print one JSON object and nothing else
    #[arg(long)]
    pub json: bool,
    /// Tills; each fourth speaks MQTT 3.1.1, each third MessagePack
    #[arg(long, value_name = "N", default_value_t = 12, value_parser = clap::value_parser!(u32).range(1..=99))]
    pub tills: u32,
    /// Kiosks
    #[arg(long, value_name = "N", default_value_t = 4, value_parser = clap::value_parser!(u32).range(0..=99))]
    pub kiosks: u32,
    /// What shoppers and accidents depend on
    #[arg(long, value_name = "S", default_value_t = 1)]
    pub seed: u64,
    /// Milliseconds a device rests between two shoppers, at most; 0 for as fast as it goes
    #[arg(long, value_name = "MS", default_value_t = 40, value_parser = clap::value_parser!(u32).range(0..=60_000))]
    pub rest_ms: u32,
    /// Run the daemon as a process of its own and kill it (SIGKILL) this often in the middle of its work
    #[arg(long, value_name = "N", default_value_t = 0, value_parser = clap::value_parser!(u32).range(0..=1_000))]
    pub kill: u32,
    /// Open the web pages meanwhile; where, and the one-time code of user demo, is told on standard error
    #[arg(long)]
    pub console: bool,
}

/// Version of the rules that head office publishes while the tills are open; they open with version 1.
const UPDATED: u64 = 2;

/// Runs the demonstration.
pub fn run(args: &DemoArgs, out: &mut dyn Write) -> Result<Exit> {
    start_log_if_asked();
    let runtime = tokio::runtime::Builder::new_multi_thread().enable_all().build();
    let runtime = runtime.context("failed to start the demonstration's runtime")?;
    let lang = terminal_lang();
    let outcome = runtime.block_on(play(args, lang, out));
    runtime.shutdown_timeout(Duration::from_millis(limits::STOP_MS_MAX));
    let report = outcome?;
    if args.json {
        writeln!(out, "{}", serde_json::to_string(&report)?)?;
    } else {
        report.write(lang, out)?;
    }
    Ok(if report.reconciled { Exit::Ok } else { Exit::Finding })
}

/// The daemon and head office run in this process: their log would draw over the view, so it is shown only to who asks.
pub(super) fn start_log_if_asked() {
    if std::env::var_os("AISLED_LOG").is_some() {
        super::run::start_log(crate::config::Config::default().log);
    }
}

/// Terminal or not.
fn show(args: &DemoArgs) -> Show {
    match (args.json, std::io::stdout().is_terminal()) {
        (true, _) => Show::Nothing,
        (false, true) => Show::Terminal,
        (false, false) => Show::Lines,
    }
}

/// Waits for Ctrl-C: the temporary directory is removed on the way out.
pub(super) async fn interrupted() -> anyhow::Error {
    match tokio::signal::ctrl_c().await {
        Ok(()) => anyhow::anyhow!("interrupted: nothing was reconciled"),
        Err(error) => anyhow::anyhow!("failed to listen for Ctrl-C: {error}"),
    }
}

/// The terminal's width as the shell tells it.
fn columns() -> usize {
    let told = std::env::var("COLUMNS").ok().and_then(|columns| columns.parse().ok());
    told.unwrap_or(limits::DEMO_COLUMNS)
}

/// What the actors share with whoever watches.
struct Stage {
    clock: SystemClock,
    data: PathBuf,
    tally: Arc<Tally>,
    office: Mutex<HeadOffice>,
    office_is_open: AtomicBool,
    kills: AtomicU32,
    backlog_peak: AtomicU64,
    phase: watch::Sender<Phase>,
    load: Mutex<Option<Stopwatch>>,
}

async fn play(args: &DemoArgs, lang: Lang, out: &mut dyn Write) -> Result<Report> {
    let dir = tempfile::Builder::new().prefix("aisled-demo-").tempdir();
    let dir = dir.context("failed to make a temporary directory")?;
    let key = sample::fresh_key()?;
    let (first, second) = (sample::shop(1, &key)?, sample::shop(UPDATED, &key)?);
    let update = dir.path().join("2.aisb");
    std::fs::write(&update, &second.packed).context("failed to write the update")?;
    let office_addr = premises::free_address()?;
    let mut office = HeadOffice::prepare(dir.path(), office_addr);
    office.open(Arc::new(SystemClock)).await?;
    let mut shop = Shop::prepare(dir.path(), &key, &first.packed, Some(office_addr))?;
    if args.console {
        let (addr, code) = shop.open_console("demo")?;
        writeln!(std::io::stderr(), "console http://{addr}/setup user demo code {code}")?;
    }
    if args.kill > 0 {
        shop.start_child().await?
    } else {
        shop.start_here().await?
    }

    let tally = Arc::new(Tally::default());
    let stage = Stage {
        clock: SystemClock,
        data: shop.data.clone(),
        tally: Arc::clone(&tally),
        office: Mutex::new(office),
        office_is_open: AtomicBool::new(true),
        kills: AtomicU32::new(0),
        backlog_peak: AtomicU64::new(0),
        phase: watch::Sender::new(Phase::Opening),
        load: Mutex::new(None),
    };
    let stock = Stock::new(&first.rules, &first.members, &first.codes, args.seed);
    let fleet = Fleet {
        broker: (shop.addr.ip().to_string(), shop.addr.port()),
        store: shop.store.clone(),
        devices: Fleet::devices(args.tills, args.kiosks),
        source: Source::Stock(Arc::new(stock)),
        business_day: first.rules.shop.time_zone.civil(SystemClock.now()).day,
        seq_from: 1,
        run: "demo".to_owned(),
        seed: args.seed,
        think_ms: (0, args.rest_ms),
        patience: Patience::default(),
        repeats_per_mille: limits::DEMO_REPEATS_PER_MILLE,
        clock: Arc::new(SystemClock),
        tally: Arc::clone(&tally),
    };
    let devices = fleet.devices.len() as u64;
    let titles = second.rules.promotions.iter();
    let titles = titles.map(|of| (of.id.to_string(), of.titles.get(lang).to_owned())).collect();
    let mut live = Live::new(show(args), lang, titles, columns());
    let mut course = {
        let script = direct(args, &stage, &mut shop, fleet, update);
        tokio::select! {
            course = script => course?,
            error = watch_it(args, &stage, &mut live, out) => return Err(error),
            error = interrupted() => return Err(error),
        }
    };
    course.devices = devices;
    live.done();
    shop.stop().await?;
    stage.office.lock().await.close().await;
    reckon(&stage, &shop, &course, lang).await
}

/// Reads both ends' files and compares.
async fn reckon(stage: &Stage, shop: &Shop, course: &Course, lang: Lang) -> Result<Report> {
    let (books, epoch) = Books::of_shop(&shop.data, &shop.store)?;
    let office = stage.office.lock().await;
    let office_books = Books::of_head_office(&office.data, &shop.store, epoch)?;
    let office_says = files::inspect(&office.data).map_err(|error| anyhow::anyhow!("failed to {error}"))?;
    let ends = Ends { store: &shop.store, shop: &books, office: &office_books, office_says: &office_says };
    Ok(Report::of(&stage.tally, &ends, course, lang))
}

/// Everything that happens, in order.
async fn direct(
    args: &DemoArgs,
    stage: &Stage,
    shop: &mut Shop,
    fleet: Fleet,
    update: PathBuf,
) -> Result<Course> {
    let (stop, stopped) = watch::channel(false);
    let load = Stopwatch::start(&stage.clock);
    *stage.load.lock().await = Some(load);
    stage.phase.send_replace(Phase::Load);
    let mut fleet = tokio::spawn(tills::run(fleet, stopped));
    let seconds = f64::from(args.seconds);
    let open = async {
        sleep(Duration::from_secs(args.seconds.into())).await;
        Ok(())
    };
    let (offline, ..) = tokio::try_join!(outage(stage, seconds, update), kills(args, stage, shop), open,)?;
    stop.send_replace(true);
    (&mut fleet).await.context("failed to run the devices")??;
    let seconds = load.elapsed(&stage.clock).as_secs_f64();
    stage.phase.send_replace(Phase::Drain);
    let drain = Stopwatch::start(&stage.clock);
    let drained = drain_backlog(stage, shop).await?;
    Ok(Course {
        seconds: rounded(seconds),
        drain_seconds: rounded(drain.elapsed(&stage.clock).as_secs_f64()),
        offline_seconds: rounded(offline.as_secs_f64()),
        devices: 0,
        kills: stage.kills.load(Ordering::Acquire),
        backlog_peak: stage.backlog_peak.load(Ordering::Acquire),
        drained,
    })
}

fn rounded(seconds: f64) -> f64 {
    (seconds * 1_000.0).round() / 1_000.0
}

/// Head office goes away, and returns with an update of the rules. Answers how long it was away.
async fn outage(stage: &Stage, seconds: f64, update: PathBuf) -> Result<Duration> {
    sleep(Duration::from_secs_f64(seconds * limits::DEMO_AWAY_FROM)).await;
    stage.office.lock().await.close().await;
    stage.office_is_open.store(false, Ordering::Release);
    let away = Stopwatch::start(&stage.clock);
    sleep(Duration::from_secs_f64(seconds * limits::DEMO_AWAY_FOR)).await;
    let mut office = stage.office.lock().await;
    office.publish(update, UPDATED);
    office.open(Arc::new(stage.clock)).await?;
    stage.office_is_open.store(true, Ordering::Release);
    Ok(away.elapsed(&stage.clock))
}

/// Kills the daemon as often as asked: each time it has sold something since the last start, after a random moment.
async fn kills(args: &DemoArgs, stage: &Stage, shop: &mut Shop) -> Result<()> {
    let mut dice = Dice::new(args.seed, "kill");
    for _ in 0..args.kill {
        let before = stage.tally.figures().sales;
        let wait = Stopwatch::start(&stage.clock);
        while stage.tally.figures().sales < before + limits::DEMO_SALES_BETWEEN_KILLS {
            if wait.elapsed(&stage.clock) > Duration::from_millis(limits::DEMO_START_MS_MAX) {
                bail!("failed to sell anything after the daemon was killed");
            }
            sleep(Duration::from_millis(limits::DEMO_LOOK_MS)).await;
        }
        sleep(Duration::from_micros(dice.below(limits::DEMO_KILL_WITHIN_US))).await;
        shop.kill().await?;
        stage.kills.fetch_add(1, Ordering::AcqRel);
        shop.start_child().await?;
    }
    Ok(())
}

/// Waits until the update of the rules is active, head office has everything, and it has nothing more to say (its words
/// on members' points are decisions, too). False when it does not happen in time.
async fn drain_backlog(stage: &Stage, shop: &Shop) -> Result<bool> {
    let wait = Stopwatch::start(&stage.clock);
    let mut steady = (0, Stopwatch::start(&stage.clock));
    while wait.elapsed(&stage.clock) < Duration::from_millis(limits::DEMO_DRAIN_MS_MAX) {
        let status = Shop::status(stage.data.clone()).await.context("failed to ask the daemon")?;
        let durable = status["journal"]["durable"].as_u64().unwrap_or_default();
        let applied = report::applied_through(stage.office.lock().await.snapshot().await, &shop.store).0;
        let updated = status["bundle"]["version"].as_u64() == Some(UPDATED);
        if durable != steady.0 || applied != durable || !updated {
            steady = (durable, Stopwatch::start(&stage.clock));
        } else if steady.1.elapsed(&stage.clock) > Duration::from_millis(limits::DEMO_QUIET_MS) {
            return Ok(true);
        }
        sleep(Duration::from_millis(limits::DEMO_LOOK_MS)).await;
    }
    Ok(false)
}

/// Looks at everything at a steady pace, for the view and for the highest backlog. Ends only with an error.
async fn watch_it(args: &DemoArgs, stage: &Stage, live: &mut Live, out: &mut dyn Write) -> anyhow::Error {
    let mut frames = interval(Duration::from_millis(limits::DEMO_FRAME_MS));
    frames.set_missed_tick_behavior(MissedTickBehavior::Delay);
    let mut scene = Scene { seconds: f64::from(args.seconds), ..Scene::default() };
    loop {
        frames.tick().await;
        look(stage, &mut scene).await;
        stage.backlog_peak.fetch_max(scene.backlog, Ordering::AcqRel);
        if let Err(error) = live.draw(&scene, out) {
            return error;
        }
    }
}

async fn look(stage: &Stage, scene: &mut Scene) {
    let figures = stage.tally.figures();
    scene.phase = *stage.phase.borrow();
    if let Some(load) = *stage.load.lock().await {
        scene.elapsed = load.elapsed(&stage.clock).as_secs_f64();
    }
    (scene.requests, scene.sales, scene.devices_up) = (figures.requests, figures.sales, figures.up);
    scene.offers = stage.tally.offers();
    let latencies = stage.tally.latencies(None);
    scene.p50_us = latencies.value_at_quantile(0.5);
    scene.p99_us = latencies.value_at_quantile(0.99);
    scene.head_office_is_open = stage.office_is_open.load(Ordering::Acquire);
    scene.kills = stage.kills.load(Ordering::Acquire);
    if let Some(status) = Shop::status(stage.data.clone()).await {
        let number = |path: &str| status.pointer(path).and_then(Value::as_u64);
        scene.backlog = number("/head_office/backlog").unwrap_or(scene.backlog);
        scene.bundle = number("/bundle/version").unwrap_or(scene.bundle);
    }
    // Held while head office opens or closes: then what was seen last stays.
    if let Ok(mut office) = stage.office.try_lock()
        && let Some(view) = office.snapshot().await.stores.first()
    {
        scene.sales_at_head_office = view.totals.sales;
    }
}
