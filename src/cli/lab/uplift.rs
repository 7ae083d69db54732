//! `aisled lab uplift FILE`: whom an offer moves, judged by the Qini coefficient over random splits.
//!
//! The learners are `shopper::uplift`; this file reads and prints. Each split learns on its own part of the rows, chooses
//! there, and is judged on the rest; an order by chance is judged beside it.

use std::collections::BTreeMap;
use std::io::Write;
use std::path::PathBuf;

use anyhow::{Result, bail};
use clap::Args;
use serde_json::{Value, json};

use super::numbers::{self, Numbers};
use super::table::print_json;
use crate::cli::Exit;
use crate::cli::explain::terminal_lang;
use crate::cli::words::{led, padded, said, word};
use crate::domain::code::Code;
use crate::limits;
use crate::shopper::response::columns::Columns;
use crate::shopper::uplift::{self, Judged, Learner, Tried};

const KEYS: &[&str] = &["treatment", "outcome"];

/// The coefficient as reports explain it.
const FORMULA: &str = "qini = (A - A0) / (A* - A0); A: area under Q(n) = Yt(n) - Yc(n) Nt(n)/Nc(n) in order of score, A0: under the \
                       straight line to its end (chance), A*: under the order by y of the treated, -y of the untreated \
                       (Radcliffe 2007; scikit-uplift's qini_auc_score)";

/// Arguments of `lab uplift`.
#[derive(Args, Clone, Debug)]
#[command(after_help = "\
Treatment must have been given by chance. The outcome is 0/1 or an amount; every further column is a feature: numbers, empty
where unknown. Qini is 0 for chance and 1 for the best order there is.")]
pub(crate) struct UpliftArgs {
    /// CSV with the columns treatment (1 treated, 0 not), outcome, and numbers to learn from
    file: PathBuf,
    /// A column not to learn from, such as a number that only names; may be given several times
    #[arg(long, value_name = "COLUMN")]
    ignore: Vec<String>,
    /// Random splits
    #[arg(long, default_value_t = 10, value_name = "N", value_parser = clap::value_parser!(u32).range(1..=i64::from(limits::UPLIFT_SPLITS_MAX)))]
    splits: u32,
    /// Per cent of the rows held back to judge by
    #[arg(long, default_value_t = 30, value_name = "PERCENT", value_parser = clap::value_parser!(u32).range(5..=95))]
    test: u32,
    /// Seed of the first split; the others follow
    #[arg(long, default_value_t = 1, value_name = "S")]
    seed: u64,
    /// Print one JSON object, with the curve
    #[arg(long)]
    json: bool,
}

#[derive(Clone, Copy)]
struct Key {
    treated: bool,
    outcome: f64,
}

fn parse(texts: &[&str]) -> Result<Key, (usize, String)> {
    let treated = numbers::yes(texts[0]).map_err(|message| (0, message))?;
    let outcome = numbers::number(texts[1]).map_err(|message| (1, message))?;
    Ok(Key { treated, outcome })
}

/// Learns, judges and prints.
pub(crate) fn run(args: &UpliftArgs, out: &mut dyn Write) -> Result<Exit> {
    let mut read = numbers::read(&args.file, KEYS, &args.ignore, parse)?;
    let every: Vec<u32> = (0..read.keys.len() as u32).collect();
    read.tell_constants(&every);
    read.tell_duplicates(|key| key.outcome.to_bits() ^ u64::from(key.treated));
    let columns = Columns::new(read.keys.len(), std::mem::take(&mut read.columns))
        .expect("every row has every column, and no number is infinite");
    let treated: Vec<bool> = read.keys.iter().map(|key| key.treated).collect();
    let outcomes: Vec<f64> = read.keys.iter().map(|key| key.outcome).collect();
    let tried = Tried { columns: &columns, treated: &treated, outcomes: &outcomes };
    let share = f64::from(args.test) / 100.0;
    let mut splits = Vec::new();
    for split in 0..u64::from(args.splits) {
        let Some(judged) = uplift::split(tried, share, args.seed.wrapping_add(split)) else {
            read.faults.print(&args.file, out)?;
            let with = treated.iter().filter(|treated| **treated).count();
            bail!(
                "failed to judge {}: {with} of {} rows are treated; each part of a split needs {} rows of each arm and outcomes \
                 that differ ({})",
                args.file.display(),
                treated.len(),
                limits::UPLIFT_ARM_ROWS_MIN,
                Code::LabTooFew
            );
        };
        splits.push(judged);
    }
    let report = report(&read, &splits, share);
    if args.json {
        print_json(&report, out)?;
    } else {
        print(args, &read, &report, out)?;
    }
    Ok(if read.faults.total() == 0 { Exit::Ok } else { Exit::Finding })
}

fn over(values: &[f64], share: f64) -> Value {
    let (mean, half) = uplift::over_splits(values, share);
    json!({ "mean": mean, "low": half.map(|half| mean - half), "high": half.map(|half| mean + half) })
}

fn report(read: &Numbers<Key>, splits: &[Judged], share: f64) -> Value {
    let values = |of: &dyn Fn(&Judged) -> f64| -> Vec<f64> { splits.iter().map(of).collect() };
    let mut chosen: BTreeMap<&str, u32> = BTreeMap::new();
    for judged in splits {
        *chosen.entry(judged.chosen.name()).or_default() += 1;
    }
    let each: BTreeMap<&str, Value> = (Learner::ALL.iter().enumerate())
        .map(|(at, learner)| (learner.name(), over(&values(&|judged| judged.each[at]), share)))
        .collect();
    let with = read.keys.iter().filter(|key| key.treated).count();
    let mean = |treated: bool| {
        let arm: Vec<f64> =
            read.keys.iter().filter(|key| key.treated == treated).map(|key| key.outcome).collect();
        arm.iter().sum::<f64>() / arm.len().max(1) as f64
    };
    // Gains per treated row held back, so that splits can be averaged.
    let curve: Vec<Value> = (0..=limits::UPLIFT_CURVE_POINTS)
        .map(|point| {
            let part = f64::from(point) / f64::from(limits::UPLIFT_CURVE_POINTS);
            let gain = |at: f64| {
                let gains = splits.iter().map(|judged| judged.curve.at(at) / judged.judged.1.max(1) as f64);
                gains.sum::<f64>() / splits.len() as f64
            };
            json!({ "share": part, "gain": gain(part), "chance": gain(1.0) * part })
        })
        .collect();
    json!({
        "qini": over(&values(&|judged| judged.qini), share),
        "random": over(&values(&|judged| judged.by_chance), share),
        "formula": FORMULA,
        "splits": splits.iter().map(|judged| json!({
            "chosen": judged.chosen.name(), "qini": judged.qini, "random": judged.by_chance, "judged": judged.judged.0,
        })).collect::<Vec<Value>>(),
        "test_share": share,
        "chosen": chosen,
        "learners": each,
        "curve": curve,
        "rows": {
            "treated": with, "untreated": read.keys.len() - with, "left_out": read.faults.total(),
            "outcome_treated": mean(true), "outcome_untreated": mean(false),
        },
        "features": read.names,
        "findings": read.findings,
        "faults": read.faults,
    })
}

fn print(args: &UpliftArgs, read: &Numbers<Key>, report: &Value, out: &mut dyn Write) -> Result<()> {
    read.faults.print(&args.file, out)?;
    for finding in &read.findings {
        writeln!(out, "{}: {finding}", args.file.display())?;
    }
    let rows = &report["rows"];
    let mean = |arm: &str| rows[arm].as_f64().unwrap_or_default();
    let lang = terminal_lang();
    let [treated, untreated] =
        ["outcome_treated", "outcome_untreated"].map(|arm| format!("{:.4}", mean(arm)));
    writeln!(out, "{}", said(lang, "{} rows treated, outcome {} on average", &[&rows["treated"], &treated]))?;
    writeln!(out, "{}", said(lang, "{} rows untreated, outcome {}", &[&rows["untreated"], &untreated]))?;
    writeln!(out, "{}\n", said(lang, "{} columns", &[&read.names.len()]))?;
    let line = said(lang, "Qini over {} random splits, {} % held back", &[&args.splits, &args.test]);
    let (middle, interval) = (word(lang, "mean"), word(lang, "95 % interval"));
    writeln!(out, "{}{}  {interval}", padded(&line, 46), led(&middle, 8))?;
    let mut line = |name: &str, of: &Value| -> Result<()> {
        let number = |key: &str| of[key].as_f64();
        let interval = match (number("low"), number("high")) {
            (Some(low), Some(high)) => format!("{low:8.4} to {high:.4}"),
            _ => word(lang, "one split tells none"),
        };
        let name = padded(name, 46);
        Ok(writeln!(out, "{name}{:8.4}  {interval}", number("mean").unwrap_or_default())?)
    };
    line(&word(lang, "chosen on the rows to learn from"), &report["qini"])?;
    for learner in Learner::ALL {
        line(&format!("  {}", learner.name()), &report["learners"][learner.name()])?;
    }
    line(&word(lang, "by chance"), &report["random"])?;
    writeln!(out, "\n{FORMULA}")?;
    Ok(())
}
