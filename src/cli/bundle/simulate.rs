//! `aisled bundle simulate NEW`: what new rules would have done to baskets that were sold, before they are activated.
//!
//! ```text
//! NEW, ACTIVE --two sides--+
//! baskets: JSON lines, the journal, or a grocer's folder --tally--> reach, cost, margin, conflicts, goods below cost,
//!                                                                   baskets whose total changes and why
//! ```
//! The same rules and baskets give the same bytes on standard output; how long it took is said on standard error.
//!
//! Exit codes: 0 it ran, 1 rules or baskets cannot be read, 2 an argument is missing.

use std::io::Write;
use std::ops::Range;
use std::path::{Path, PathBuf};
use std::time::Duration;

use anyhow::{Context, Result, anyhow};
use clap::Args;

use super::{ACTIVE, Surroundings, Whole, open_rules};
use crate::bundle::Bundle;
use crate::cli::Exit;
use crate::clock::{Stopwatch, SystemClock};
use crate::domain::calendar::Day;
use crate::domain::ids::{BundleRef, Sku};
use crate::limits;

mod baskets;
mod tally;
mod words;

use baskets::Recorded;
use tally::{Side, Tally};

/// The shop's own sales.
const OWN_SALES: &str = "last-4-weeks";

/// Arguments of `bundle simulate`.
#[derive(Args, Clone, Debug)]
#[command(after_help = "\
Baskets are lines of JSON, in order of time:
  {\"at\":\"2026-11-18T12:00:00+08:00\",\"member\":\"hh13\",\"lines\":[{\"sku\":\"821083\",\"qty\":2}],\"coupons\":[\"FRESH10\"]}
Lines may have weight_grams instead of qty, and a unit_price; baskets may have device, channel, zone, points.
Instead of a file: last-4-weeks (this shop's own sales), or a folder of The Complete Journey (cj_*.csv.gz).")]
pub struct SimulateArgs {
    /// The new rules: a folder or a signed file
    pub new: PathBuf,
    /// Compared with these: a folder or a signed file; by default the ones in force on this box
    #[arg(long, value_name = "ACTIVE")]
    pub against: Option<PathBuf>,
    /// Recorded baskets: a file, last-4-weeks, or a folder of The Complete Journey
    #[arg(long, value_name = "FILE|last-4-weeks")]
    pub baskets: String,
    /// For a folder of The Complete Journey: days of the source, the last one not included
    #[arg(long, value_name = "A..B", default_value = "0..7", value_parser = crate::cli::drive::days)]
    pub days: Range<u16>,
    /// For a folder of The Complete Journey: the day that stands for day 0 of the source
    #[arg(long, value_name = "DAY", default_value = "2017-01-01")]
    pub first_day: Day,
    /// The daemon's data directory, for last-4-weeks and the rules in force; by default the configured one
    #[arg(long, value_name = "DIR")]
    pub data: Option<PathBuf>,
    /// For signed files: public key to trust, as text or in a file; beside the configured ones
    #[arg(long)]
    pub key: Vec<String>,
    /// Print one JSON object
    #[arg(long)]
    pub json: bool,
}

/// Runs the simulation.
///
/// # Errors
/// Rules or baskets that cannot be read.
pub fn run(args: &SimulateArgs, surroundings: &Surroundings, out: &mut dyn Write) -> Result<Exit> {
    let data = args.data.as_ref().or(surroundings.data_dir.as_ref());
    let against = match (&args.against, data) {
        (Some(path), _) => path.clone(),
        (None, Some(data)) => data.join(ACTIVE),
        (None, None) => {
            writeln!(
                out,
                "failed to find the rules in force: name them with --against, or the box with --data"
            )?;
            return Ok(Exit::Usage);
        }
    };
    let mut sides = Vec::with_capacity(2);
    for path in [&against, &args.new] {
        let Some(whole) = open_rules(path, &args.key, surroundings, out)? else { return Ok(Exit::Finding) };
        sides.push(side(path, whole)?);
    }
    let (Some(mut after), Some(mut before)) = (sides.pop(), sides.pop()) else {
        return Err(anyhow!("failed to keep both rules"));
    };
    let mut run =
        Run { tally: Tally::default(), watch: Stopwatch::start(&SystemClock), told: Duration::ZERO };
    let path = Path::new(&args.baskets);
    if args.baskets == OWN_SALES {
        let data = data.context("failed to find the shop's journal: name the box with --data")?;
        baskets::of_journal(data, &mut |recorded| run.take((&mut before, &mut after), &recorded))?;
    } else if path.is_dir() {
        let articles = |side: &Side, sku: &Sku| side.bundle.book.item(sku).is_some();
        let mut all: Vec<Recorded> = Vec::new();
        let zone = after.bundle.shop.time_zone.clone();
        let days = (args.days.clone(), args.first_day, &zone);
        let known = |sku: &Sku| articles(&before, sku) && articles(&after, sku);
        baskets::of_journey(path, days, &known, &mut |recorded| {
            all.push(recorded);
            Ok(())
        })?;
        for recorded in &all {
            run.take((&mut before, &mut after), recorded)?;
        }
    } else {
        baskets::of_file(path, &mut |recorded| run.take((&mut before, &mut after), &recorded))?;
    }
    let Run { tally, watch, .. } = run;
    let (count, seconds) = (tally.baskets(), watch.elapsed(&SystemClock).as_secs_f64());
    eprint_line(&format!("{count} baskets priced twice in {seconds:.1} s"));
    let report = tally.report((&before, &after));
    if args.json {
        writeln!(out, "{}", serde_json::to_string_pretty(&report)?)?;
    } else {
        for line in report.lines(&after, surroundings.lang) {
            writeln!(out, "{line}")?;
        }
    }
    Ok(Exit::Ok)
}

fn side(path: &Path, whole: Whole) -> Result<Side> {
    let Whole { reference, rules, members, codes } = whole;
    let reference = reference.unwrap_or(BundleRef { version: 0, hash: "not-signed".into() });
    let bundle = Bundle::compile(reference, rules)
        .map_err(|error| anyhow!("failed to compile {}: {error} ({})", path.display(), error.code()))?;
    Ok(Side::new(bundle, members, codes))
}

struct Run {
    tally: Tally,
    watch: Stopwatch,
    told: Duration,
}

impl Run {
    fn take(&mut self, sides: (&mut Side, &mut Side), recorded: &Recorded) -> Result<()> {
        self.tally.take(sides, recorded);
        let elapsed = self.watch.elapsed(&SystemClock);
        if elapsed >= self.told + Duration::from_millis(limits::SIMULATE_LINE_EVERY_MS) {
            self.told = elapsed;
            eprint_line(&format!("{} baskets, {} s", self.tally.baskets(), elapsed.as_secs()));
        }
        Ok(())
    }
}

/// Nobody may be listening on standard error, which changes nothing.
fn eprint_line(text: &str) {
    drop(writeln!(std::io::stderr().lock(), "{text}"));
}
