//! `aisled bench`: what the daemon costs on this machine, as ratios of two sides measured in turns in one run.
//!
//! ```text
//! quote    daemon process <-MQTT- 50 devices -MQTT-> echo process      p50, p99, highest rate
//! commit   engine + store (this process) | raw append + fdatasync      acknowledged p50, durable rate
//! growth   quotes with 1k..1M members, 10..10k promotions              p50, p99
//! memory   daemon process, 200k members, 1k promotions                 resident, ready
//! best     `best` | `sequence` on the same baskets, in this process   p50, p99, proved, what greed costs
//! shopper  a history updated, 1k..100k segments of one member        p50, p99, bytes
//! console  first page with 50 devices and 1,000 campaigns; quotes while it is played with | while nobody looks
//! recommend  proposals at a scan and a rebuild of the model, with more members, in this process
//! ```
//! Absolute figures are of this machine and this minute; the ratios are what is promised. Exit code 1: a goal is missed.

mod best;
mod child;
mod commit;
mod console;
mod figures;
mod growth;
mod inside;
mod load;
mod memory;
mod quote;
mod recommend;
mod shop;
mod shopper;

use std::io::Write;
use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use anyhow::{Context, Result};
use clap::{Args, ValueEnum};
use serde::Serialize;

use super::Exit;
use figures::{Goal, Ratio};
use shop::Shop;

/// Arguments of `bench`.
#[derive(Args, Clone, Debug)]
pub struct BenchArgs {
    /// Print one JSON object
    #[arg(long)]
    pub json: bool,
    /// Shorter rounds and no million members
    #[arg(long)]
    pub quick: bool,
    /// One part only
    #[arg(long, value_name = "NAME")]
    pub only: Option<Part>,
    /// Where to write: a directory on the disk that is to be measured
    #[arg(long, value_name = "DIR")]
    pub dir: Option<PathBuf>,
    /// Write the baskets of `best` with their promotions and totals here, a JSON object a line, for another solver
    #[arg(long, value_name = "FILE")]
    pub baskets: Option<PathBuf>,
    /// The echo's own process
    #[arg(long, hide = true)]
    pub serve_echo: bool,
}

/// A part of the bench.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub enum Part {
    /// Quotes against an echo.
    Quote,
    /// Commits against the raw disk.
    Commit,
    /// Quotes with more members and promotions.
    Growth,
    /// Memory and start-up.
    Memory,
    /// The best combination of promotions.
    Best,
    /// A member's profile and segments.
    Shopper,
    /// Proposals at a scan, and a rebuild of the model.
    Recommend,
    /// The web pages.
    Console,
}

/// How much is measured.
#[derive(Clone, Copy, Debug)]
struct Extent {
    /// Rounds of each side.
    rounds: usize,
    /// Length of a round.
    round: Duration,
    /// Length of a burst.
    burst: Duration,
    /// Sizes of the members' table.
    members: &'static [usize],
    /// Numbers of active promotions.
    promotions: &'static [usize],
    /// Quotes at each size.
    quotes: usize,
    /// Members where memory is looked at.
    memory_members: usize,
    /// Promotions where memory is looked at.
    memory_promotions: usize,
    /// Baskets whose best combination is looked for.
    best_baskets: usize,
    /// Members of the shops in which something is proposed.
    recommend_members: &'static [usize],
    /// Questions in each.
    recommend_questions: usize,
}

const WHOLE: Extent = Extent {
    rounds: 5,
    round: Duration::from_secs(3),
    burst: Duration::from_secs(10),
    members: &[1_000, 10_000, 100_000, 1_000_000],
    promotions: &[10, 100, 1_000, 10_000],
    quotes: 5_000,
    memory_members: 200_000,
    memory_promotions: 1_000,
    best_baskets: 1_000,
    recommend_members: &[5_000, 20_000],
    recommend_questions: 5_000,
};

const QUICK: Extent = Extent {
    rounds: 3,
    round: Duration::from_secs(1),
    burst: Duration::from_secs(3),
    members: &[1_000, 10_000, 100_000],
    quotes: 1_000,
    best_baskets: 200,
    recommend_questions: 2_000,
    ..WHOLE
};

#[derive(Serialize)]
struct Report {
    version: &'static str,
    optimised: bool,
    cpus: usize,
    #[serde(skip_serializing_if = "Option::is_none")]
    quote: Option<quote::Quotes>,
    #[serde(skip_serializing_if = "Option::is_none")]
    commit: Option<commit::Commits>,
    #[serde(skip_serializing_if = "Vec::is_empty")]
    growth: Vec<growth::Growth>,
    #[serde(skip_serializing_if = "Option::is_none")]
    memory: Option<memory::Memory>,
    #[serde(skip_serializing_if = "Vec::is_empty")]
    best: Vec<best::Best>,
    #[serde(skip_serializing_if = "Option::is_none")]
    shopper: Option<shopper::Shopper>,
    #[serde(skip_serializing_if = "Vec::is_empty")]
    recommend: Vec<recommend::Recommend>,
    #[serde(skip_serializing_if = "Option::is_none")]
    console: Option<console::Console>,
    goals: Vec<Goal>,
}

/// Measures and prints to `out`; progress goes to standard error.
///
/// # Errors
/// A process could not be started, a disk or a connection failed, or a request was refused.
pub fn run(args: &BenchArgs, out: &mut dyn Write) -> Result<Exit> {
    if args.serve_echo {
        child::serve_echo(out)?;
        return Ok(Exit::Ok);
    }
    let extent = if args.quick { QUICK } else { WHOLE };
    let wanted = |part| args.only.is_none_or(|only| only == part);
    let place = args.dir.clone().unwrap_or_else(std::env::temp_dir);
    let dir = tempfile::Builder::new().prefix("aisled-bench-").tempdir_in(&place);
    let dir = dir.with_context(|| format!("failed to make a directory in {}", place.display()))?;
    if is_in_memory(dir.path()) {
        progress("this directory lies in memory: commits say nothing about a disk; name one with --dir");
    }
    if cfg!(debug_assertions) {
        progress("this is no release build: the figures say little");
    }
    let shop = Arc::new(Shop::sample()?);
    let mut report = Report {
        version: env!("CARGO_PKG_VERSION"),
        optimised: !cfg!(debug_assertions),
        cpus: std::thread::available_parallelism().map_or(0, std::num::NonZero::get),
        quote: None,
        commit: None,
        growth: Vec::new(),
        memory: None,
        best: Vec::new(),
        shopper: None,
        recommend: Vec::new(),
        console: None,
        goals: Vec::new(),
    };
    if wanted(Part::Quote) {
        report.quote = Some(quote::measure(dir.path(), &shop, extent)?);
    }
    if wanted(Part::Commit) {
        report.commit = Some(commit::measure(dir.path(), &shop, extent)?);
    }
    if wanted(Part::Growth) {
        report.growth = growth::measure(dir.path(), &shop, extent)?;
    }
    if wanted(Part::Memory) {
        report.memory = Some(memory::measure(dir.path(), &shop, extent)?);
    }
    if wanted(Part::Best) {
        report.best = best::measure(extent.best_baskets, args.baskets.as_ref())?;
    }
    if wanted(Part::Shopper) {
        report.shopper = Some(shopper::measure()?);
    }
    if wanted(Part::Recommend) {
        report.recommend = recommend::measure(extent.recommend_members, extent.recommend_questions)?;
    }
    if wanted(Part::Console) {
        report.console = Some(console::measure(dir.path(), &shop, extent)?);
    }
    report.goals.extend(report.quote.iter().flat_map(quote::Quotes::goals));
    report.goals.extend(report.commit.iter().flat_map(commit::Commits::goals));
    report.goals.extend(report.memory.iter().flat_map(memory::Memory::goals));
    report.goals.extend(report.best.iter().flat_map(best::Best::goals));
    report.goals.extend(report.shopper.iter().flat_map(shopper::Shopper::goals));
    report.goals.extend(report.recommend.iter().flat_map(recommend::Recommend::goals));
    report.goals.extend(report.console.iter().flat_map(console::Console::goals));
    write(&report, args.json, out)?;
    Ok(if report.goals.iter().all(|goal| goal.met) { Exit::Ok } else { Exit::Finding })
}

fn write(report: &Report, json: bool, out: &mut dyn Write) -> Result<()> {
    if json {
        writeln!(out, "{}", serde_json::to_string_pretty(report).context("failed to write the report")?)?;
        return Ok(());
    }
    let mut lines = Vec::new();
    lines.extend(report.quote.iter().flat_map(quote::Quotes::lines));
    lines.extend(report.commit.iter().flat_map(commit::Commits::lines));
    if !report.growth.is_empty() {
        lines.extend(growth::lines(&report.growth));
    }
    lines.extend(report.memory.iter().flat_map(memory::Memory::lines));
    lines.extend(report.best.iter().flat_map(best::Best::lines));
    lines.extend(report.shopper.iter().flat_map(shopper::Shopper::lines));
    lines.extend(report.recommend.iter().flat_map(recommend::Recommend::lines));
    lines.extend(report.console.iter().flat_map(console::Console::lines));
    for line in lines {
        writeln!(out, "{line}")?;
    }
    writeln!(out, "goals")?;
    for Goal { name, value, goal, met } in &report.goals {
        writeln!(out, "  {} {name}: {value} ({goal})", if *met { "met   " } else { "MISSED" })?;
    }
    Ok(())
}

/// One ratio for people.
fn ratio_line(name: &str, ratio: &Ratio) -> String {
    let Ratio { ratio, lowest, highest, ours, theirs, unit, against, rounds } = ratio;
    format!(
        "  {name}: {ratio} times ({lowest} to {highest} over {rounds} rounds; {ours} {unit} against {theirs} {unit}: {against})"
    )
}

/// Says on standard error what is being done.
fn progress(what: &str) {
    // Nobody may be listening; the figures do not depend on it.
    let _ = writeln!(std::io::stderr(), "bench: {what}");
}

/// Does the directory lie in a file system without a disk?
fn is_in_memory(dir: &std::path::Path) -> bool {
    const TMPFS_MAGIC: i64 = 0x0102_1994;
    rustix::fs::statfs(dir).is_ok_and(|of| of.f_type == TMPFS_MAGIC)
}
