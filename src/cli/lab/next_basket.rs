//! `aisled lab next-basket FILE`: how well the next basket is found, by each source and by all together.
//!
//! ```text
//! {"u":"anna","h":[["milk","bread"],["milk"]],"t":["milk","eggs"]}     a user a line
//! ```
//! The model is built from the histories alone; a target is only ever compared with. Weights are fitted on the last
//! baskets of the histories. The file has no times: a basket counts as a day, and all histories end on the same day.

use std::collections::BTreeMap;
use std::fs::File;
use std::io::{BufRead, BufReader, Write};
use std::path::PathBuf;

use anyhow::{Context, Result, bail};
use clap::Args;
use serde::{Deserialize, Serialize};

use crate::cli::Exit;
use crate::cli::explain::terminal_lang;
use crate::cli::words::said;
use crate::clock::{Stopwatch, SystemClock};
use crate::limits;
use crate::shopper::recommend::measure::Measure;
use crate::shopper::recommend::model::Fitted;
use crate::shopper::recommend::{
    History, Item, Member, Model, Moment, Params, Scratch, Shipped, Source, View,
};

/// Lengths of a proposed list.
const LENGTHS: [usize; 2] = [10, 20];

/// Arguments of `lab next-basket`.
#[derive(Args, Clone, Debug)]
#[command(after_help = "\
NDCG is measured against the full ideal: hits at ranks 1 to min(k, items of the basket). \"NDCG of hits\" is measured
against the ideal of the hits alone, as some published code does; the two do not compare. PHR is the part of users with
a hit. Repeat and explore look at the same lists: what of the basket had, and had not, been bought before is found.")]
pub(crate) struct NextBasketArgs {
    /// JSON lines {"u": user, "h": [[item, ..], ..], "t": [item, ..]}: baskets oldest first, and the one to find
    file: PathBuf,
    /// Print one JSON object
    #[arg(long)]
    json: bool,
}

/// A user or an item: a number or a text.
#[derive(Clone, Debug, Deserialize, PartialEq, Eq, PartialOrd, Ord)]
#[serde(untagged)]
enum Name {
    Number(i64),
    Text(Box<str>),
}

#[derive(Deserialize)]
struct Line {
    #[serde(rename = "u")]
    _user: Name,
    #[serde(rename = "h")]
    history: Vec<Vec<Name>>,
    #[serde(rename = "t")]
    target: Vec<Name>,
}

/// A line that does not count.
#[derive(Serialize)]
struct Fault {
    line: u64,
    message: String,
}

/// What the file holds.
#[derive(Default)]
struct Read {
    history: History,
    /// What each member bought in the end, sorted.
    targets: Vec<Vec<Item>>,
    /// What `targets` are made of, until all histories are numbered: ties must not depend on a target.
    wanted: Vec<Vec<Name>>,
    items: BTreeMap<Name, Item>,
    left_out: u64,
    faults: Vec<Fault>,
}

/// The measures of one list.
#[derive(Serialize)]
struct Figures {
    k: usize,
    users: u64,
    recall: f64,
    ndcg: f64,
    ndcg_of_hits: f64,
    phr: f64,
}

/// The measures of one source.
#[derive(Serialize)]
struct Measured {
    source: &'static str,
    all: Vec<Figures>,
    repeat: Vec<Figures>,
    explore: Vec<Figures>,
}

#[derive(Serialize)]
struct Report<'a> {
    users: usize,
    items: usize,
    baskets: usize,
    lines: usize,
    left_out: u64,
    faults: &'a [Fault],
    fitted: Told,
    seconds: Seconds,
    sources: Vec<Measured>,
}

/// What weights were fitted on.
#[derive(Serialize)]
struct Told {
    rounds: usize,
    baskets: usize,
    rows: usize,
    /// Of the items to find, the part that was among the candidates.
    reached: f64,
}

#[derive(Serialize)]
struct Seconds {
    read: f64,
    build: f64,
    answer: f64,
}

/// Computes and prints.
pub(crate) fn run(args: &NextBasketArgs, out: &mut dyn Write) -> Result<Exit> {
    let watch = Stopwatch::start(&SystemClock);
    let read = read(args)?;
    let read_seconds = watch.elapsed(&SystemClock).as_secs_f64();
    if read.targets.is_empty() {
        print_faults(args, &read, out)?;
        bail!("failed to find a user with a history and a target in {}", args.file.display());
    }
    let watch = Stopwatch::start(&SystemClock);
    let model = Model::build(&read.history, &[], Shipped::default(), Params::lab());
    let build = watch.elapsed(&SystemClock).as_secs_f64();
    let watch = Stopwatch::start(&SystemClock);
    let sources = measure(&read, &model);
    let answer = watch.elapsed(&SystemClock).as_secs_f64();
    let Fitted { rounds, baskets, rows, wanted, reached } = model.fitted();
    let report = Report {
        users: read.targets.len(),
        items: read.items.len(),
        baskets: read.history.baskets(),
        lines: read.history.lines(),
        left_out: read.left_out,
        faults: &read.faults,
        fitted: Told { rounds, baskets, rows, reached: reached as f64 / wanted.max(1) as f64 },
        seconds: Seconds { read: read_seconds, build, answer },
        sources,
    };
    if args.json {
        serde_json::to_writer_pretty(&mut *out, &report).context("failed to write the report")?;
        writeln!(out)?;
    } else {
        print_faults(args, &read, out)?;
        print(&report, out)?;
    }
    Ok(if read.left_out == 0 { Exit::Ok } else { Exit::Finding })
}

fn read(args: &NextBasketArgs) -> Result<Read> {
    let file = File::open(&args.file).with_context(|| format!("failed to read {}", args.file.display()))?;
    let mut reader = BufReader::new(file);
    let (mut read, mut text, mut number) = (Read::default(), Vec::new(), 0);
    loop {
        text.clear();
        number += 1;
        let failed = || format!("failed to read {}", args.file.display());
        let most = limits::LAB_MEMBER_BYTES_MAX as u64 + 1;
        let bytes =
            std::io::Read::take(&mut reader, most).read_until(b'\n', &mut text).with_context(failed)?;
        if bytes == 0 {
            read.number_targets();
            return Ok(read);
        }
        if bytes > limits::LAB_MEMBER_BYTES_MAX {
            bail!(
                "failed to read {}:{number}: longer than {} bytes",
                args.file.display(),
                limits::LAB_MEMBER_BYTES_MAX
            );
        }
        if text.iter().all(u8::is_ascii_whitespace) {
            continue;
        }
        if let Err(message) = read.add(&text) {
            read.left_out += 1;
            if read.faults.len() < limits::LAB_LINES_TOLD_MAX {
                read.faults.push(Fault { line: number, message });
            }
        }
        if read.history.lines() > limits::LAB_BOUGHT_MAX {
            bail!("failed to read {}: more than {} items", args.file.display(), limits::LAB_BOUGHT_MAX);
        }
    }
}

impl Read {
    fn add(&mut self, text: &[u8]) -> Result<(), String> {
        let line: Line = serde_json::from_slice(text).map_err(|error| error.to_string())?;
        let baskets: Vec<Vec<Name>> = line.history.into_iter().filter(|basket| !basket.is_empty()).collect();
        if baskets.is_empty() {
            return Err("no basket before the target".to_owned());
        }
        if line.target.is_empty() {
            return Err("nothing to find".to_owned());
        }
        let baskets: Vec<Vec<Item>> = baskets.into_iter().map(|basket| self.numbers(basket)).collect();
        let last = baskets.len() - 1;
        // All histories end on the same day.
        let moment = |at: usize| Moment { day: -((last - at) as i32), hour: 0 };
        let dated = baskets.iter().enumerate().map(|(at, basket)| (moment(at), basket.as_slice()));
        self.history.push(dated);
        self.wanted.push(line.target);
        Ok(())
    }

    fn number_targets(&mut self) {
        for wanted in std::mem::take(&mut self.wanted) {
            let mut target = self.numbers(wanted);
            target.sort_unstable();
            target.dedup();
            self.targets.push(target);
        }
    }

    fn numbers(&mut self, names: Vec<Name>) -> Vec<Item> {
        let number = |name: Name| {
            let next = self.items.len() as Item;
            *self.items.entry(name).or_insert(next)
        };
        names.into_iter().map(number).collect()
    }
}

fn measure(read: &Read, model: &Model) -> Vec<Measured> {
    let mut scratch = Scratch::default();
    let mut sums = vec![[[Measure::default(); LENGTHS.len()]; 3]; Source::ALL.len()];
    for (member, target) in (0 as Member..).zip(&read.targets) {
        let past = read.history.past(member, 0);
        let now = Moment { day: 1, hour: 0 };
        let view = View { member: Some(member), past, basket: &[], now, segment: None };
        let lists = model.by_every_source(&view, LENGTHS[LENGTHS.len() - 1], &mut scratch);
        let mut before: Vec<Item> = past.iter().flatten().copied().collect();
        before.sort_unstable();
        let (repeat, explore): (Vec<Item>, Vec<Item>) =
            target.iter().partition(|item| before.binary_search(item).is_ok());
        for (list, sums) in lists.iter().zip(&mut sums) {
            for (wanted, sums) in [target, &repeat, &explore].into_iter().zip(sums) {
                for (k, sum) in LENGTHS.into_iter().zip(sums) {
                    sum.add(list, k, wanted);
                }
            }
        }
    }
    let figures = |sums: &[Measure; LENGTHS.len()]| {
        let means = LENGTHS.into_iter().zip(sums.map(|sum| sum.mean()));
        let one = |(k, Measure { users, recall, ndcg, ndcg_of_hits, hit })| Figures {
            k,
            users,
            recall,
            ndcg,
            ndcg_of_hits,
            phr: hit,
        };
        means.map(one).collect()
    };
    let measured = Source::ALL.iter().zip(&sums).map(|(source, [all, repeat, explore])| Measured {
        source: source.name(),
        all: figures(all),
        repeat: figures(repeat),
        explore: figures(explore),
    });
    measured.collect()
}

fn print_faults(args: &NextBasketArgs, read: &Read, out: &mut dyn Write) -> Result<()> {
    for Fault { line, message } in &read.faults {
        writeln!(out, "{}:{line}: left out: {message}", args.file.display())?;
    }
    let untold = read.left_out - read.faults.len() as u64;
    if untold > 0 {
        writeln!(out, "{}: {untold} lines more left out", args.file.display())?;
    }
    Ok(())
}

fn print(report: &Report<'_>, out: &mut dyn Write) -> Result<()> {
    let Report { users, items, baskets, fitted, seconds, .. } = report;
    let lang = terminal_lang();
    writeln!(
        out,
        "{}",
        said(lang, "{} users, {} items, {} baskets before the last", &[users, items, baskets])
    )?;
    let line = "weights fitted on {} baskets in {} rounds, {} rows, {} % of their items among the candidates";
    let reached = format!("{:.1}", fitted.reached * 100.0);
    writeln!(out, "{}", said(lang, line, &[&fitted.baskets, &fitted.rounds, &fitted.rows, &reached]))?;
    let [read, build, answer] =
        [seconds.read, seconds.build, seconds.answer].map(|took| format!("{took:.1}"));
    writeln!(out, "{}", said(lang, "seconds: read {}, build {}, answer {}", &[&read, &build, &answer]))?;
    for (at, k) in LENGTHS.into_iter().enumerate() {
        writeln!(
            out,
            "\n{:<16}{:>9}{:>9}{:>14}{:>9}  {:>15}  {:>15}",
            format!("at {k}"),
            "Recall",
            "NDCG",
            "NDCG of hits",
            "PHR",
            "Recall repeat",
            "Recall explore"
        )?;
        for Measured { source, all, repeat, explore } in &report.sources {
            let Figures { recall, ndcg, ndcg_of_hits, phr, .. } = &all[at];
            writeln!(
                out,
                "{source:<16}{recall:>9.4}{ndcg:>9.4}{ndcg_of_hits:>14.4}{phr:>9.4}  {:>15.4}  {:>15.4}",
                repeat[at].recall, explore[at].recall
            )?;
        }
    }
    let wanting =
        |of: fn(&Measured) -> &Vec<Figures>| report.sources.first().map_or(0, |one| of(one)[0].users);
    let line = "repeat: over the {} users who bought again, explore: over the {} who bought something new";
    let (again, new) = (wanting(|one| &one.repeat), wanting(|one| &one.explore));
    writeln!(out, "\n{}", said(lang, line, &[&again, &new]))?;
    Ok(())
}
