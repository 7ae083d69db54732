//! `aisled drive`: a grocer's real baskets, rung up over MQTT by simulated tills, with every count reconciled at the end.
//!
//! ```text
//! cj_*.csv.gz --journey--> baskets --visits--> tills --scan, quote, commit--> daemon
//! ```
//! Without `--broker` a daemon is started in this process on a temporary directory, with the rules that
//! `journey::bundle_of` makes of the same days, and its journal is read when it has stopped. With `--broker` a running
//! daemon is driven, which must have been given those rules (`--write-bundle`); then what it did is counted by the
//! decisions its receipts name.
//!
//! Exit codes: 0 every count reconciles, 1 one does not, 2 the arguments are wrong.

use std::collections::BTreeSet;
use std::io::{IsTerminal, Write};
use std::ops::Range;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use anyhow::{Context, Result, bail};
use clap::Args;
use serde::Serialize;
use tokio::sync::{Mutex, mpsc, watch};
use tokio::time::{interval, sleep};

use super::Exit;
use super::demo::books::Books;
use super::demo::premises::Shop;
use super::demo::{Check, count, interrupted, sample, start_log_if_asked, verdict, write_checks};
use super::explain::terminal_lang;
use super::journey::{Basket, Journey, Skipped, bundle_of};
use super::tills::{self, Fleet, Patience, Source, Tally, Visit};
use crate::clock::{Clock, Stopwatch, SystemClock};
use crate::domain::calendar::{Day, StoreZone};
use crate::domain::ids::StoreId;
use crate::domain::text::Lang;
use crate::limits;

/// Arguments of `drive`.
#[derive(Args, Clone, Debug)]
#[command(after_help = "\
To drive a daemon that is running:
  aisled drive --data DIR --days 0..7 --write-bundle OUT    writes OUT/journey.aisb and says what to do with it
  aisled drive --data DIR --days 0..7 --broker HOST:PORT --first-day DAY")]
pub struct DriveArgs {
    /// Folder with the cj_*.csv.gz files of The Complete Journey
    #[arg(long, value_name = "DIR")]
    pub data: PathBuf,
    /// Days of the source, the last one not included; day 0 is 2017-01-01
    #[arg(long, value_name = "A..B", default_value = "0..7", value_parser = days)]
    pub days: Range<u16>,
    /// A running daemon's broker; without it one is started for this run
    #[arg(long, value_name = "HOST:PORT", value_parser = broker)]
    pub broker: Option<(String, u16)>,
    /// The running daemon's store
    #[arg(long, value_name = "ID", default_value = "s01", value_parser = store)]
    pub store: StoreId,
    /// The day that stands for day 0 of the source; without it the days end yesterday
    #[arg(long, value_name = "DAY")]
    pub first_day: Option<Day>,
    /// How many times faster than it was; without it as fast as it goes
    #[arg(long, value_name = "X", value_parser = clap::value_parser!(u32).range(1..))]
    pub speed_up: Option<u32>,
    /// Tills that ring it up
    #[arg(long, value_name = "N", default_value_t = 8, value_parser = clap::value_parser!(u32).range(1..=99))]
    pub devices: u32,
    /// Write the rules of these days, signed with a key of their own, into a folder, and drive nothing
    #[arg(long, value_name = "DIR", conflicts_with = "broker")]
    pub write_bundle: Option<PathBuf>,
    /// Print one JSON object and nothing else
    #[arg(long)]
    pub json: bool,
}

pub(crate) fn days(text: &str) -> Result<Range<u16>, String> {
    let wrong = || format!("{text:?} is not A..B with A below B");
    let (from, to) = text.split_once("..").ok_or_else(wrong)?;
    let (from, to) = (from.parse().map_err(|_| wrong())?, to.parse().map_err(|_| wrong())?);
    if from < to { Ok(from..to) } else { Err(wrong()) }
}

fn store(text: &str) -> Result<StoreId, String> {
    StoreId::new(text).map_err(|error| error.to_string())
}

fn broker(text: &str) -> Result<(String, u16), String> {
    let wrong = || format!("{text:?} is not HOST:PORT");
    let (host, port) = text.rsplit_once(':').ok_or_else(wrong)?;
    let host = host.trim_start_matches('[').trim_end_matches(']');
    if host.is_empty() { Err(wrong()) } else { Ok((host.to_owned(), port.parse().map_err(|_| wrong())?)) }
}

/// Everything `drive --json` says.
#[derive(Clone, Debug, Serialize)]
struct Report {
    reconciled: bool,
    seconds: f64,
    baskets_per_second: u64,
    devices: u64,
    days: String,
    first_day: Day,
    lines_read: u64,
    lines_rung_up: u64,
    lines_skipped: Lines,
    baskets_read: u64,
    baskets_empty: u64,
    baskets_sent: u64,
    baskets_acknowledged: u64,
    baskets_distinct: u64,
    households: u64,
    coupons_presented: u64,
    coupons_applied: u64,
    redemptions_skipped: u64,
    gross_total_minor: i64,
    discount_total_minor: i64,
    net_total_minor: i64,
    requests: u64,
    replies: u64,
    refusals: u64,
    refused_by_code: std::collections::BTreeMap<String, u64>,
    p50_us: u64,
    p99_us: u64,
    checks: Vec<Check>,
}

/// Lines in no basket, by reason.
#[derive(Clone, Copy, Debug, Serialize)]
struct Lines {
    no_quantity: u64,
    no_value: u64,
    too_many_units: u64,
}

impl Lines {
    fn of(skipped: &Skipped) -> Lines {
        Lines {
            no_quantity: skipped.lines_no_quantity,
            no_value: skipped.lines_no_value,
            too_many_units: skipped.lines_too_many,
        }
    }
}

/// Runs the drive.
pub fn run(args: &DriveArgs, out: &mut dyn Write) -> Result<Exit> {
    start_log_if_asked();
    let lang = terminal_lang();
    let journey = match Journey::open(&args.data, args.days.clone()) {
        Ok(journey) => journey,
        Err(error) => {
            writeln!(out, "failed to {error:#}")?;
            return Ok(Exit::Usage);
        }
    };
    let first_day = args.first_day.unwrap_or_else(|| ends_yesterday(&args.days));
    if let Some(dir) = &args.write_bundle {
        return write_bundle(dir, &journey, first_day, args, out);
    }
    let runtime = tokio::runtime::Builder::new_multi_thread().enable_all().build();
    let runtime = runtime.context("failed to start the drive's runtime")?;
    let outcome = runtime.block_on(play(args, &journey, first_day, lang, out));
    runtime.shutdown_timeout(Duration::from_millis(limits::STOP_MS_MAX));
    let report = outcome?;
    if args.json {
        writeln!(out, "{}", serde_json::to_string(&report)?)?;
    } else {
        report.write(lang, out)?;
    }
    Ok(if report.reconciled { Exit::Ok } else { Exit::Finding })
}

/// Day 0, so that the last of the days was yesterday.
fn ends_yesterday(days: &Range<u16>) -> Day {
    let utc = StoreZone::new("UTC").expect("every table holds it");
    utc.civil(SystemClock.now()).day.plus_days(-i64::from(days.end))
}

fn write_bundle(
    dir: &Path,
    journey: &Journey,
    first_day: Day,
    args: &DriveArgs,
    out: &mut dyn Write,
) -> Result<Exit> {
    let key = sample::fresh_key()?;
    let version = u64::try_from(SystemClock.now().0 / 1_000).context("failed to number the bundle")?;
    let signed = sample::sign(version, bundle_of(journey, first_day), &key)?;
    std::fs::create_dir_all(dir).with_context(|| format!("failed to make {}", dir.display()))?;
    let path = dir.join("journey.aisb");
    std::fs::write(&path, &signed.packed).with_context(|| format!("failed to write {}", path.display()))?;
    let (public, days) = (key.public(), format!("{}..{}", args.days.start, args.days.end));
    writeln!(
        out,
        "wrote {}: version {version}, {} articles, {} promotions, {} members\n\
         1. aisled.toml:  [bundle] trusted_keys = [\"{public}\"], and start the daemon\n\
         2. aisled bundle install {} --key {public} --data DATA_DIR_OF_THE_DAEMON\n\
         3. aisled drive --data {} --days {days} --first-day {first_day} --broker HOST:PORT",
        path.display(),
        signed.rules.catalogue.len(),
        signed.rules.promotions.len(),
        signed.members.len(),
        path.display(),
        args.data.display(),
    )?;
    Ok(Exit::Ok)
}

async fn play(
    args: &DriveArgs,
    journey: &Journey,
    first_day: Day,
    lang: Lang,
    out: &mut dyn Write,
) -> Result<Report> {
    let own = match args.broker {
        Some(_) => None,
        None => Some(own_shop(journey, first_day).await?),
    };
    let (broker, store) = match (&args.broker, &own) {
        (Some(broker), _) => (broker.clone(), args.store.clone()),
        (None, Some((shop, _))) => ((shop.addr.ip().to_string(), shop.addr.port()), shop.store.clone()),
        (None, None) => bail!("failed to find a daemon to drive"),
    };
    let tally = Arc::new(Tally::default());
    let (visits, rung_up) = mpsc::channel(limits::DRIVE_VISITS_AHEAD);
    // The moment is part of every request id and receipt number, so that driving the same daemon twice sells twice.
    let moment = u64::try_from(SystemClock.now().0).context("failed to number the run")?;
    let fleet = Fleet {
        broker,
        store,
        devices: Fleet::devices(args.devices, 0),
        source: Source::Visits(Arc::new(Mutex::new(rung_up))),
        business_day: first_day,
        seq_from: moment,
        run: format!("{moment:x}"),
        seed: moment,
        think_ms: (0, 0),
        patience: Patience { give_up_ms: limits::DRIVE_PATIENCE_MS, ..Patience::default() },
        repeats_per_mille: 0,
        clock: Arc::new(SystemClock),
        tally: Arc::clone(&tally),
    };
    let watch = Stopwatch::start(&SystemClock);
    let (_stop, stopped) = watch::channel(false);
    let mut fleet = tokio::spawn(tills::run(fleet, stopped));
    let feeding = async {
        feed(journey, first_day, args.speed_up, &visits).await;
        drop(visits);
        (&mut fleet).await.context("failed to run the tills")?
    };
    let total = journey.baskets.len() as u64;
    tokio::select! {
        outcome = feeding => outcome?,
        error = progress(args.json, total, &tally, lang, watch, out) => return Err(error),
        error = interrupted() => return Err(error),
    }
    let seconds = watch.elapsed(&SystemClock).as_secs_f64();
    if !args.json && std::io::stdout().is_terminal() {
        write!(out, "\r\x1b[K")?;
    }
    let books = match own {
        None => None,
        Some((mut shop, _dir)) => {
            shop.stop().await?;
            Some(Books::of_shop(&shop.data, &shop.store)?.0)
        }
    };
    Ok(reckon((args, journey, first_day), &tally, books.as_ref(), seconds, lang))
}

async fn own_shop(journey: &Journey, first_day: Day) -> Result<(Shop, tempfile::TempDir)> {
    let dir = tempfile::Builder::new().prefix("aisled-drive-").tempdir();
    let dir = dir.context("failed to make a temporary directory")?;
    let key = sample::fresh_key()?;
    let signed = sample::sign(1, bundle_of(journey, first_day), &key)?;
    let mut shop = Shop::prepare(dir.path(), &key, &signed.packed, None)?;
    shop.start_here().await?;
    Ok((shop, dir))
}

/// Gives the baskets to the tills, in order; with a speed-up each when its time has come.
async fn feed(journey: &Journey, first_day: Day, speed_up: Option<u32>, visits: &mpsc::Sender<Visit>) {
    let minute = |basket: &Basket| u64::from(basket.day) * 24 * 60 + u64::from(basket.minute);
    let start = Stopwatch::start(&SystemClock);
    let first = journey.baskets.first().map_or(0, minute);
    for basket in &journey.baskets {
        if let Some(speed_up) = speed_up {
            let due = Duration::from_secs(60 * (minute(basket) - first)) / speed_up;
            sleep(due.saturating_sub(start.elapsed(&SystemClock))).await;
        }
        if visits.send(Visit::of_basket(basket, first_day)).await.is_err() {
            // The tills have given up; what they did not ring up is missing in the counts.
            return;
        }
    }
}

/// Tells how far it is. Ends only with an error.
async fn progress(
    json: bool,
    total: u64,
    tally: &Tally,
    lang: Lang,
    watch: Stopwatch,
    out: &mut dyn Write,
) -> anyhow::Error {
    let terminal = std::io::stdout().is_terminal();
    let every_ms = if terminal { limits::DEMO_FRAME_MS } else { limits::DRIVE_LINE_EVERY_MS };
    let mut frames = interval(Duration::from_millis(every_ms));
    frames.tick().await;
    loop {
        frames.tick().await;
        if json {
            continue;
        }
        let done = tally.figures().sales;
        let (percent, seconds) = (100 * done / total.max(1), watch.elapsed(&SystemClock).as_secs());
        let text = match lang {
            Lang::ZhCn => format!("{done}/{total} 单（{percent}%），{seconds} 秒"),
            Lang::En => format!("{done} of {total} baskets ({percent}%), {seconds} s"),
        };
        let written = if terminal { write!(out, "\r\x1b[K{text}") } else { writeln!(out, "{text}") };
        if let Err(error) = written.and_then(|()| out.flush()) {
            return error.into();
        }
    }
}

fn reckon(
    (args, journey, first_day): (&DriveArgs, &Journey, Day),
    tally: &Tally,
    books: Option<&Books>,
    seconds: f64,
    lang: Lang,
) -> Report {
    let (figures, sales, skipped) = (tally.figures(), tally.sales(), &journey.skipped);
    let lines: u64 = journey.baskets.iter().map(|basket| basket.lines.len() as u64).sum();
    let gross: i64 = journey.baskets.iter().flat_map(|basket| &basket.lines).map(|line| line.gross.0).sum();
    let read = journey.baskets.len() as u64;
    let named: BTreeSet<&str> = sales.iter().map(|sale| sale.decision.as_str()).collect();
    let distinct = books.map_or(named.len() as u64, Books::distinct_sales);
    let receipts_gross = count(figures.sales_minor) + count(figures.discounts_minor);
    let t = |chinese: &'static str, english: &'static str| if lang == Lang::ZhCn { chinese } else { english };
    let (source, tills, daemon) = (t("数据", "source"), t("收银端", "tills"), t("门店", "shop"));
    let mut checks = vec![
        Check::same(
            "lines",
            t("明细行全部在购物篮中或有跳过原因", "every line is in a basket or skipped for a reason"),
            vec![
                (t("读入", "read"), count(skipped.lines_read)),
                (t("入篮加跳过", "rung up or skipped"), count(lines + skipped.lines())),
            ],
        ),
        Check::same(
            "baskets",
            t("购物篮笔数一致", "the same number of baskets"),
            vec![
                (t("读入", "read"), count(read)),
                (t("发出", "sent"), count(figures.visits)),
                (t("确认", "acknowledged"), count(figures.sales)),
                (t("凭证编号", "decisions named"), count(named.len() as u64)),
                (daemon, count(distinct)),
            ],
        ),
        Check::same(
            "gross_total",
            t("原价总额一致（分）", "the same gross total (minor units)"),
            vec![
                (source, gross),
                (tills, receipts_gross),
                (daemon, books.map_or(receipts_gross, |books| books.gross_minor)),
            ],
        ),
        Check::same(
            "net_total",
            t("净额一致（分）", "the same net total (minor units)"),
            vec![
                (tills, count(figures.sales_minor)),
                (daemon, books.map_or(count(figures.sales_minor), Books::net_minor)),
            ],
        ),
        Check::none(
            "unanswered",
            t("未答复、无法理解或错投", "unanswered, garbled or answers to the wrong question"),
            vec![(tills, count(figures.silences + figures.unreadable + figures.miscorrelated))],
        ),
    ];
    if let Some(books) = books {
        checks.push(Check::none(
            "applied_twice",
            t("重复入账或丢失", "done twice, or acknowledged and missing"),
            vec![
                (t("重复", "twice"), count(books.done_again())),
                (t("缺失", "missing"), count(books.missing(&sales).len() as u64)),
                (t("乱序", "out of order"), count(books.out_of_order + books.unreadable)),
            ],
        ));
    }
    let latencies = tally.latencies(None);
    let per_second = if seconds > 0.0 { figures.sales as f64 / seconds } else { 0.0 };
    Report {
        reconciled: checks.iter().all(|check| check.holds),
        seconds: (seconds * 1_000.0).round() / 1_000.0,
        baskets_per_second: per_second as u64,
        devices: args.devices.into(),
        days: format!("{}..{}", args.days.start, args.days.end),
        first_day,
        lines_read: skipped.lines_read,
        lines_rung_up: lines,
        lines_skipped: Lines::of(skipped),
        baskets_read: read,
        baskets_empty: skipped.baskets_empty,
        baskets_sent: figures.visits,
        baskets_acknowledged: figures.sales,
        baskets_distinct: distinct,
        households: journey.households().len() as u64,
        coupons_presented: journey.baskets.iter().map(|basket| basket.coupons.len() as u64).sum(),
        coupons_applied: figures.coupons_applied,
        redemptions_skipped: skipped.redemptions_without_basket + skipped.redemptions_repeated,
        gross_total_minor: receipts_gross,
        discount_total_minor: count(figures.discounts_minor),
        net_total_minor: count(figures.sales_minor),
        requests: figures.requests,
        replies: figures.replies,
        refusals: figures.refusals,
        refused_by_code: tally.refused_by_code(),
        p50_us: latencies.value_at_quantile(0.5),
        p99_us: latencies.value_at_quantile(0.99),
        checks,
    }
}

impl Report {
    fn write(&self, lang: Lang, out: &mut dyn Write) -> Result<()> {
        let skipped = self.lines_skipped;
        match lang {
            Lang::ZhCn => writeln!(
                out,
                "第 {} 天：{} 单、{} 行、{} 户，用时 {:.1} 秒（每秒 {} 单）；答复时间 p50 {} µs，p99 {} µs\n\
                 跳过的行：无数量 {}，无价值 {}，数量过大 {}；空篮 {}；优惠券出示 {}，生效 {}\n\n对账：",
                self.days,
                self.baskets_read,
                self.lines_rung_up,
                self.households,
                self.seconds,
                self.baskets_per_second,
                self.p50_us,
                self.p99_us,
                skipped.no_quantity,
                skipped.no_value,
                skipped.too_many_units,
                self.baskets_empty,
                self.coupons_presented,
                self.coupons_applied
            )?,
            Lang::En => writeln!(
                out,
                "days {}: {} baskets, {} lines, {} households in {:.1} s ({} baskets/s); round trip p50 {} µs, p99 {} µs\n\
                 lines skipped: {} without quantity, {} without value, {} of too many units; {} baskets without lines; \
                 coupons: {} presented, {} applied\n\nreconciled:",
                self.days,
                self.baskets_read,
                self.lines_rung_up,
                self.households,
                self.seconds,
                self.baskets_per_second,
                self.p50_us,
                self.p99_us,
                skipped.no_quantity,
                skipped.no_value,
                skipped.too_many_units,
                self.baskets_empty,
                self.coupons_presented,
                self.coupons_applied
            )?,
        }
        write_checks(&self.checks, out)?;
        for (code, times) in &self.refused_by_code {
            writeln!(out, "  {code} × {times}")?;
        }
        writeln!(out, "\n{}", verdict(self.reconciled, lang))?;
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn which_days_and_brokers_are_understood() {
        assert_eq!(days("0..7"), Ok(0..7));
        assert_eq!(broker("shop.local:1883"), Ok(("shop.local".to_owned(), 1883)));
        assert_eq!(broker("[::1]:1883"), Ok(("::1".to_owned(), 1883)));
        for wrong in ["", "7", "7..7", "7..0", "a..b", "0..70000"] {
            assert!(days(wrong).is_err(), "{wrong}");
        }
        for wrong in ["", "host", ":1883", "host:port", "host:70000"] {
            assert!(broker(wrong).is_err(), "{wrong}");
        }
    }
}
