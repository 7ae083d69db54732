//! `aisled lab response FILE`: how well a response learner tells those who answer an offer from those who do not.
//!
//! The learner is `shopper::response::fit`; this file reads, splits and prints. What is learned never sees a row whose
//! `split` is `test`.

use std::io::Write;
use std::path::PathBuf;

use anyhow::{Result, bail};
use clap::Args;
use serde::Serialize;
use serde_json::{Value, json};

use super::numbers::{self, Numbers};
use super::table::print_json;
use crate::cli::Exit;
use crate::cli::explain::terminal_lang;
use crate::cli::words::{led, padded, said, word};
use crate::domain::code::Code;
use crate::shopper::response::columns::{Columns, Measure};
use crate::shopper::response::fit::{self, Chosen, Fitted, Parts};
use crate::shopper::response::measures::{Measures, measure};

const KEYS: &[&str] = &["y", "split"];

/// Arguments of `lab response`.
#[derive(Args, Clone, Debug)]
#[command(after_help = "\
Learns from rows with split = train, chooses by split = valid (without such rows: by five folds of train) and measures on
split = test. Every further column is a feature: numbers, empty where unknown. PR-AUC is average precision.")]
pub(crate) struct ResponseArgs {
    /// CSV with the columns y (1 responded, 0 did not), split (train, test, perhaps valid), and numbers to learn from
    file: PathBuf,
    /// A column not to learn from, such as a number that only names; may be given several times
    #[arg(long, value_name = "COLUMN")]
    ignore: Vec<String>,
    /// Seed of the trees' draws
    #[arg(long, default_value_t = 1, value_name = "S")]
    seed: u64,
    /// Print one JSON object
    #[arg(long)]
    json: bool,
}

#[derive(Clone, Copy, PartialEq, Eq)]
enum Split {
    Train,
    Valid,
    Test,
}

#[derive(Clone, Copy)]
struct Key {
    responded: bool,
    split: Split,
}

fn parse(texts: &[&str]) -> Result<Key, (usize, String)> {
    let responded = numbers::yes(texts[0]).map_err(|message| (0, message))?;
    let split = match texts[1].to_ascii_lowercase().as_str() {
        "train" => Split::Train,
        "valid" | "validation" => Split::Valid,
        "test" => Split::Test,
        _ => return Err((1, format!("is {:?}, none of train, valid, test", texts[1]))),
    };
    Ok(Key { responded, split })
}

#[derive(Serialize)]
struct Report<'a> {
    learner: &'a str,
    /// Of the average, which is what the shop would use.
    #[serde(flatten)]
    model: Value,
    learners: Value,
    chosen: Value,
    rows: Value,
    features: &'a [String],
    findings: &'a [super::table::Finding],
    faults: &'a super::table::Faults,
}

/// Learns, measures and prints.
pub(crate) fn run(args: &ResponseArgs, out: &mut dyn Write) -> Result<Exit> {
    let mut read = numbers::read(&args.file, KEYS, &args.ignore, parse)?;
    let of = |wanted: Split| -> Vec<u32> {
        let rows = read.keys.iter().enumerate().filter(|(_, key)| key.split == wanted);
        rows.map(|(row, _)| row as u32).collect()
    };
    let parts = Parts { train: of(Split::Train), valid: of(Split::Valid), test: of(Split::Test) };
    read.tell_constants(&parts.train);
    read.tell_duplicates(|key| u64::from(key.responded));
    let columns = Columns::new(read.keys.len(), std::mem::take(&mut read.columns))
        .expect("every row has every column, and no number is infinite");
    let outcomes: Vec<f64> = read.keys.iter().map(|key| f64::from(u8::from(key.responded))).collect();
    let fitted = match fit::fit(&columns, &outcomes, &parts, args.seed) {
        Ok(fitted) => fitted,
        Err(why) => {
            read.faults.print(&args.file, out)?;
            bail!("failed to {why}: {} with split = train ({})", args.file.display(), Code::LabTooFew);
        }
    };
    let Some(measured) = measured(&read, &parts, &fitted) else {
        read.faults.print(&args.file, out)?;
        let (responded, rows) = (responded(&read, &parts.test), parts.test.len());
        bail!(
            "failed to judge by {responded} of {rows} rows that responded: {} with split = test needs some that did and some \
             that did not ({})",
            args.file.display(),
            Code::LabTooFew
        );
    };
    if args.json {
        let [_, linear, trees, average] = measured;
        print_json(
            &Report {
                learner: "average",
                model: figures(&average),
                learners: json!({
                    "logistic": figures(&linear), "trees": figures(&trees), "average": figures(&average),
                    "base_rate": figures(&measured[0]),
                }),
                chosen: choice(&fitted.chosen),
                rows: json!({
                    "train": part(&read, &parts.train), "valid": part(&read, &parts.valid),
                    "test": part(&read, &parts.test), "left_out": read.faults.total(),
                }),
                features: &read.names,
                findings: &read.findings,
                faults: &read.faults,
            },
            out,
        )?;
    } else {
        print(args, &read, &parts, &fitted.chosen, &measured, out)?;
    }
    Ok(if read.faults.total() == 0 { Exit::Ok } else { Exit::Finding })
}

fn responded(read: &Numbers<Key>, rows: &[u32]) -> usize {
    rows.iter().filter(|row| read.keys[**row as usize].responded).count()
}

fn part(read: &Numbers<Key>, rows: &[u32]) -> Value {
    json!({ "rows": rows.len(), "responded": responded(read, rows) })
}

/// The base rate of the rows learned from, the regression, the trees, their average.
fn measured(read: &Numbers<Key>, parts: &Parts, fitted: &Fitted) -> Option<[Measures; 4]> {
    let happened: Vec<bool> = parts.test.iter().map(|row| read.keys[*row as usize].responded).collect();
    let of = |margins: &[f64]| {
        let judged: Vec<f64> = parts.test.iter().map(|row| margins[*row as usize]).collect();
        measure(&judged, &happened)
    };
    let rate = responded(read, &parts.train) as f64 / parts.train.len() as f64;
    let base = vec![(rate / (1.0 - rate)).ln(); read.keys.len()];
    Some([of(&base)?, of(&fitted.logistic)?, of(&fitted.trees)?, of(&fitted.average)?])
}

fn figures(of: &Measures) -> Value {
    json!({
        "auc": of.auc,
        "pr_auc": of.average_precision,
        "average_precision": of.average_precision,
        "lift_at_10": of.lift_at_10,
        "log_loss": of.log_loss,
    })
}

fn measure_name(measure: Measure) -> &'static str {
    match measure {
        Measure::Plain => "plain",
        Measure::Log => "logarithmic",
    }
}

fn choice(chosen: &Chosen) -> Value {
    let [logistic, trees, average] = chosen.losses;
    json!({
        "inputs": measure_name(chosen.measure), "ridge": chosen.ridge, "depth": chosen.depth, "trees": chosen.rounds,
        "trees_share": chosen.trees_share, "slope": chosen.slope, "shift": chosen.shift,
        "log_loss_not_learned_from": { "logistic": logistic, "trees": trees, "average": average },
    })
}

fn print(
    args: &ResponseArgs,
    read: &Numbers<Key>,
    parts: &Parts,
    chosen: &Chosen,
    measured: &[Measures; 4],
    out: &mut dyn Write,
) -> Result<()> {
    read.faults.print(&args.file, out)?;
    for finding in &read.findings {
        writeln!(out, "{}: {finding}", args.file.display())?;
    }
    let lang = terminal_lang();
    for (line, rows) in [
        ("{} rows learned from, {} responded", &parts.train),
        ("{} rows chosen by, {} responded", &parts.valid),
        ("{} rows judged by, {} responded", &parts.test),
    ] {
        if !rows.is_empty() {
            writeln!(out, "{}", said(lang, line, &[&rows.len(), &responded(read, rows)]))?;
        }
    }
    writeln!(out, "{}\n", said(lang, "{} columns", &[&read.names.len()]))?;
    let headings = [("AUC", 25), ("PR-AUC", 9), ("lift at 10 %", 14), ("log-loss", 10)];
    let headings: String =
        headings.iter().map(|(heading, width)| led(&word(lang, heading), *width)).collect();
    writeln!(out, "{headings}")?;
    for (name, of) in ["base rate", "logistic", "trees", "average"].iter().zip(measured) {
        let Measures { auc, average_precision, lift_at_10, log_loss } = of;
        let name = padded(&word(lang, name), 16);
        writeln!(out, "{name} {auc:8.4} {average_precision:8.4} {lift_at_10:13.2} {log_loss:9.4}")?;
    }
    let Chosen { ridge, depth, rounds, trees_share, .. } = chosen;
    let line = "PR-AUC is average precision. logistic: {} inputs, ridge {}; trees: {} of depth {}, {} % of the average; calibrated";
    let share = format!("{:.0}", 100.0 * trees_share);
    let inputs = word(lang, measure_name(chosen.measure));
    writeln!(out, "\n{}", said(lang, line, &[&inputs, ridge, rounds, depth, &share]))?;
    Ok(())
}
