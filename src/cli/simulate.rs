//! `aisled simulate`: whole chains under every fault we can think of, judged, from seeds that give the same again.
//!
//! Each seed is a world of `--shops` shops for `--days` days, run twice. The report goes to standard output; how long it
//! took, and the progress, to standard error, so that the report of the same seeds is the same to the byte, on however
//! many threads (`--jobs`) they ran: a world is one thread's, and worlds are counted in the order of their seeds.

use std::collections::BTreeMap;
use std::io::{IsTerminal as _, Write};
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Mutex, mpsc};
use std::time::Duration;

use anyhow::Result;
use clap::Args;
use serde::Serialize;
use sha2::{Digest as _, Sha256};

use super::Exit;
use crate::clock::{Stopwatch, SystemClock};
use crate::domain::text::hex;
use crate::limits;
use crate::simulation::wrong::{ALL, Wrong};
use crate::simulation::{ChainRules, Counts, Plan, Violation, run, run_twice};

/// Arguments of `simulate`.
#[derive(Args, Clone, Debug)]
#[command(after_long_help = "\
A world is drawn from its seed: which faults there are, how often, when. To see one violation again:
  aisled simulate --seeds 1 --seed 4711
To see that the judge sees:
  aisled simulate --seeds 50 --wrong ack-before-sync")]
pub struct SimulateArgs {
    /// How many worlds
    #[arg(long, default_value_t = 100, value_name = "N")]
    pub seeds: u64,
    /// Shops in each
    #[arg(long, default_value_t = 5, value_name = "N")]
    pub shops: usize,
    /// Days of each
    #[arg(long, default_value_t = 10, value_name = "N")]
    pub days: u64,
    /// The first seed; the others follow
    #[arg(long, default_value_t = 1, value_name = "S")]
    pub seed: u64,
    /// Switch on a wrong behaviour, which must be found; `list` names them
    #[arg(long, value_name = "VARIANT")]
    pub wrong: Option<String>,
    /// Run each seed once: faster, and says nothing of whether it gives the same again
    #[arg(long)]
    pub once: bool,
    /// Threads to run seeds on; without it, as many as there are processors
    #[arg(long, value_name = "N")]
    pub jobs: Option<usize>,
    /// Print one JSON object
    #[arg(long)]
    pub json: bool,
}

/// What came of all worlds.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize)]
struct Report {
    first_seed: u64,
    seeds: u64,
    shops: usize,
    days: u64,
    wrong: Option<&'static str>,
    store_days: u64,
    #[serde(flatten)]
    counts: Counts,
    violations: u64,
    seeds_with_violations: u64,
    /// The first ones.
    found: Vec<Violation>,
    /// Over the hashes of all worlds, in order.
    trace: String,
}

/// Runs the worlds.
///
/// # Errors
/// Standard output is gone.
pub fn run_worlds(args: &SimulateArgs, out: &mut dyn Write) -> Result<Exit> {
    let wrong = match args.wrong.as_deref() {
        Some("list") => {
            for (_, name, what) in ALL {
                writeln!(out, "{name:20} {what}")?;
            }
            return Ok(Exit::Ok);
        }
        Some(name) => match Wrong::named(name) {
            Some(wrong) => Some(wrong),
            None => {
                writeln!(out, "failed to find the wrong behaviour {name}: --wrong list names them")?;
                return Ok(Exit::Usage);
            }
        },
        None => None,
    };
    let (shops, days) = (args.shops.max(1), args.days.max(1));
    let plan = Plan { shops, days, wrong };
    let rules = ChainRules::new(shops);
    let repeats = if args.once { 1 } else { 2 };
    let progress = Progress::of(args.seeds.saturating_mul(days).saturating_mul(repeats));
    let mut report = Report {
        first_seed: args.seed,
        seeds: args.seeds,
        shops,
        days,
        wrong: wrong.map(Wrong::name),
        ..Report::default()
    };
    let mut traces = Sha256::new();
    let make = if args.once { run } else { run_twice };
    let world = |seed| make(seed, plan, &rules, &|| progress.day_over());
    let jobs = args.jobs.unwrap_or_else(|| std::thread::available_parallelism().map_or(1, usize::from));
    let jobs = jobs.clamp(1, limits::SIMULATE_JOBS_MAX);
    in_order(
        args.seeds,
        jobs,
        |nth| world(args.seed.wrapping_add(nth)),
        |_, ended| {
            report.store_days += shops as u64 * days;
            report.counts.add(&ended.counts);
            report.violations += ended.found;
            report.seeds_with_violations += u64::from(ended.found > 0);
            let room = limits::SIMULATE_LISTED_MAX.saturating_sub(report.found.len());
            report.found.extend(ended.violations.into_iter().take(room));
            traces.update(ended.trace.as_bytes());
            progress.violations.store(report.violations, Ordering::Relaxed);
        },
    );
    report.trace = hex(&traces.finalize());
    let seconds = progress.watch.elapsed(&SystemClock).as_secs_f64().max(0.001);
    let a_second = (report.store_days * repeats) as f64 / seconds;
    tell(&format!(
        "\r{} store-days simulated {repeats} times in {seconds:.1} s: {a_second:.0} store-days a second on {jobs} threads",
        report.store_days
    ));
    if args.json {
        writeln!(out, "{}", serde_json::to_string_pretty(&report)?)?;
    } else {
        report.write(out)?;
    }
    Ok(if report.violations == 0 { Exit::Ok } else { Exit::Finding })
}

/// Does `make` for 0 to `count` - 1 on so many threads, and hands each outcome to `take` in this order.
fn in_order<T: Send>(count: u64, jobs: usize, make: impl Fn(u64) -> T + Sync, mut take: impl FnMut(u64, T)) {
    let next = AtomicU64::new(0);
    std::thread::scope(|scope| {
        let (done, outcomes) = mpsc::sync_channel(jobs);
        for _ in 0..jobs {
            let (done, next, make) = (done.clone(), &next, &make);
            scope.spawn(move || {
                loop {
                    let nth = next.fetch_add(1, Ordering::Relaxed);
                    // Nobody takes outcomes any more only if taking one has panicked.
                    if nth >= count || done.send((nth, make(nth))).is_err() {
                        return;
                    }
                }
            });
        }
        drop(done);
        let (mut early, mut due) = (BTreeMap::new(), 0);
        for (nth, outcome) in outcomes {
            early.insert(nth, outcome);
            while let Some(outcome) = early.remove(&due) {
                take(due, outcome);
                due += 1;
            }
        }
    });
}

impl Report {
    fn write(&self, out: &mut dyn Write) -> Result<()> {
        let Counts { events, decisions, sales, kills, power_cuts, disk_errors, tables_lost, .. } =
            self.counts;
        let Counts { messages, messages_lost, messages_twice, partings, office_crashes, restores, .. } =
            self.counts;
        let Counts { spares, zombies, clones, clock_jumps, segments_pruned, activations, picked_up, .. } =
            self.counts;
        writeln!(
            out,
            "{} seeds from {}, {} shops, {} days: {} store-days",
            self.seeds, self.first_seed, self.shops, self.days, self.store_days
        )?;
        writeln!(
            out,
            "{events} events, {decisions} decisions, {sales} of them sales; {picked_up} orders handed over"
        )?;
        writeln!(
            out,
            "boxes: {kills} killed, {power_cuts} power cuts, {disk_errors} disk errors, {tables_lost} tables lost, {spares} spares, {zombies} came back, {clones} cloned, {clock_jumps} clocks jumped"
        )?;
        writeln!(
            out,
            "lines: {messages} messages, {messages_lost} lost, {messages_twice} twice, {partings} partings"
        )?;
        writeln!(
            out,
            "head office: {office_crashes} crashes, {restores} restores; {segments_pruned} segments forgotten, {activations} bundles active"
        )?;
        for Violation { invariant, seed, step, text } in &self.found {
            writeln!(out, "  {invariant} seed {seed} step {step}: {text}")?;
        }
        writeln!(
            out,
            "{} violations in {} seeds · trace {}",
            self.violations, self.seeds_with_violations, self.trace
        )?;
        Ok(())
    }
}

/// How far all worlds are, told every few seconds to whoever looks.
struct Progress {
    watch: Stopwatch,
    told: Mutex<Duration>,
    days: AtomicU64,
    of: u64,
    violations: AtomicU64,
}

impl Progress {
    fn of(days: u64) -> Progress {
        Progress {
            watch: Stopwatch::start(&SystemClock),
            told: Mutex::new(Duration::ZERO),
            days: AtomicU64::new(0),
            of: days,
            violations: AtomicU64::new(0),
        }
    }

    fn day_over(&self) {
        let done = self.days.fetch_add(1, Ordering::Relaxed) + 1;
        // Whoever cannot have it need not tell: another world is telling.
        let Ok(mut told) = self.told.try_lock() else { return };
        let elapsed = self.watch.elapsed(&SystemClock);
        if elapsed < *told + Duration::from_millis(limits::SIMULATE_LINE_EVERY_MS) {
            return;
        }
        *told = elapsed;
        let (of, violations) = (self.of, self.violations.load(Ordering::Relaxed));
        let line = format!("{done} of {of} days of worlds, {violations} violations, {} s", elapsed.as_secs());
        let mut out = std::io::stderr().lock();
        // Nobody may be listening, which changes nothing.
        if out.is_terminal() {
            drop(write!(out, "\r{line}"));
            drop(out.flush());
        } else {
            drop(writeln!(out, "{line}"));
        }
    }
}

fn tell(text: &str) {
    drop(writeln!(std::io::stderr().lock(), "{text}"));
}
