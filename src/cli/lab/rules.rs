//! `aisled lab rules FILE --support S --confidence C`: association rules of a file of baskets, as R's `arules` finds them.
//!
//! A line is a basket, its items between commas, quoted as in CSV where a name holds one; there is no header. Blanks around
//! an item do not count, nor does an item without a name; a line without items is a basket all the same, as for R's
//! `read.transactions`. Items are numbered as they are met; names are kept once.

use std::collections::BTreeMap;
use std::fs::File;
use std::io::{BufRead, BufReader, Read as _, Write};
use std::path::PathBuf;

use anyhow::{Context, Result, bail};
use clap::Args;
use serde::Serialize;

use super::super::explain::terminal_lang;
use super::super::words::{led, said, word};
use super::table::{Fault, Faults, Lazily, print_json};
use crate::cli::Exit;
use crate::domain::code::Code;
use crate::limits;
use crate::shopper::rules::{self, Baskets, Bounds, Mined, TooMuch};

/// Arguments of `lab rules`.
#[derive(Args, Clone, Debug)]
#[command(after_help = "\
Rules are those of apriori() of the R package arules: one item on the right, sets of at most 10 items; an empty left side
{} stands for every basket and is left out with --min-len 2.")]
pub(crate) struct RulesArgs {
    /// A basket a line, its items between commas; no header
    file: PathBuf,
    /// The part of all baskets that hold the whole rule: above 0, at most 1
    #[arg(long, value_name = "S", value_parser = support)]
    support: f64,
    /// The part of the baskets with the left side that hold the right one: from 0 to 1
    #[arg(long, value_name = "C", value_parser = confidence)]
    confidence: f64,
    /// Items of a rule, both sides together, at least
    #[arg(long, value_name = "N", default_value_t = 1, value_parser = items)]
    min_len: usize,
    /// Print one JSON object
    #[arg(long)]
    json: bool,
}

fn part(text: &str) -> Option<f64> {
    text.parse().ok().filter(|part| (0.0..=1.0).contains(part))
}

fn support(text: &str) -> Result<f64, String> {
    part(text).filter(|part| *part > 0.0).ok_or_else(|| "a support is above 0 and at most 1".to_owned())
}

fn confidence(text: &str) -> Result<f64, String> {
    part(text).ok_or_else(|| "a confidence is from 0 to 1".to_owned())
}

fn items(text: &str) -> Result<usize, String> {
    let known = text.parse().ok().filter(|items| (1..=limits::LAB_RULE_ITEMS_MAX).contains(items));
    known.ok_or_else(|| format!("a rule has 1 to {} items", limits::LAB_RULE_ITEMS_MAX))
}

#[derive(Default)]
struct Read {
    baskets: Baskets,
    numbers: BTreeMap<Box<str>, u32>,
    empty: u64,
    faults: Faults,
}

/// One rule of the JSON object.
#[derive(Serialize)]
struct Line<'a> {
    lhs: Vec<&'a str>,
    rhs: &'a str,
    support: f64,
    confidence: f64,
    coverage: f64,
    lift: f64,
    count: u32,
}

/// The JSON object.
#[derive(Serialize)]
struct Report<'a, R> {
    baskets: u32,
    empty_baskets: u64,
    items: usize,
    count_min: u32,
    sets: usize,
    rules_total: usize,
    longer_sets_not_looked_for: bool,
    faults: &'a Faults,
    rules: R,
}

/// Computes and prints.
pub(crate) fn run(args: &RulesArgs, out: &mut dyn Write) -> Result<Exit> {
    let read = read(args)?;
    let baskets = read.baskets.count();
    if baskets == 0 {
        read.faults.print(&args.file, out)?;
        let file = args.file.display();
        bail!("failed to find a basket in {file}: 0 sound rows, needs 1 ({})", Code::LabTooFew);
    }
    let items = (args.min_len, limits::LAB_RULE_ITEMS_MAX);
    let bounds = Bounds { support: args.support, confidence: args.confidence, items };
    let mined = rules::mine(&read.baskets, &bounds).map_err(|fault| too_much(args, fault))?;
    let mut names = vec![""; read.numbers.len()];
    read.numbers.iter().for_each(|(name, number)| names[*number as usize] = name);
    let lines = || {
        mined.rules.iter().map(|rule| {
            let mut lhs: Vec<&str> = rule.left.iter().map(|item| names[*item as usize]).collect();
            lhs.sort_unstable();
            Line {
                lhs,
                rhs: names[rule.right as usize],
                support: rule.support(),
                confidence: rule.confidence(),
                coverage: rule.coverage(),
                lift: rule.lift(),
                count: rule.count,
            }
        })
    };
    if args.json {
        let report = Report {
            baskets,
            empty_baskets: read.empty,
            items: names.len(),
            count_min: mined.count_min,
            sets: mined.sets,
            rules_total: mined.rules.len(),
            longer_sets_not_looked_for: mined.is_cut,
            faults: &read.faults,
            rules: Lazily(lines),
        };
        print_json(&report, out)?;
    } else {
        read.faults.print(&args.file, out)?;
        print(&read, &mined, lines(), out)?;
    }
    Ok(if read.faults.total() == 0 { Exit::Ok } else { Exit::Finding })
}

fn print<'a>(
    read: &Read,
    mined: &Mined,
    lines: impl Iterator<Item = Line<'a>>,
    out: &mut dyn Write,
) -> Result<()> {
    let Read { baskets, numbers, empty, faults } = read;
    let (baskets, items, left_out) = (baskets.count(), numbers.len(), faults.total());
    let lang = terminal_lang();
    let line = "{} baskets ({} empty), {} items; {} rows left out";
    writeln!(out, "{}", said(lang, line, &[&baskets, empty, &items, &left_out]))?;
    let line = "{} rules from {} sets in at least {} baskets each";
    writeln!(out, "{}", said(lang, line, &[&mined.rules.len(), &mined.sets, &mined.count_min]))?;
    if mined.is_cut {
        let line = "sets of more than {} items were not looked for";
        writeln!(out, "{}", said(lang, line, &[&limits::LAB_RULE_ITEMS_MAX]))?;
    }
    let headings = [("support", 9), ("confidence", 12), ("coverage", 10), ("lift", 9), ("count", 8)];
    let headings: String =
        headings.iter().map(|(heading, width)| led(&word(lang, heading), *width)).collect();
    writeln!(out, "{headings}  {}", word(lang, "rule"))?;
    for Line { lhs, rhs, support, confidence, coverage, lift, count } in lines {
        let lhs = lhs.join(", ");
        writeln!(
            out,
            "{support:>9.6}{confidence:>12.4}{coverage:>10.6}{lift:>9.4}{count:>8}  {{{lhs}}} => {{{rhs}}}"
        )?;
    }
    Ok(())
}

fn too_much(args: &RulesArgs, TooMuch(what, most): TooMuch) -> anyhow::Error {
    anyhow::anyhow!(
        "failed to hold all of {}: more than {most} {what} ({})",
        args.file.display(),
        Code::LabTooMuch
    )
}

fn read(args: &RulesArgs) -> Result<Read> {
    let file = File::open(&args.file).with_context(|| format!("failed to open {}", args.file.display()))?;
    let mut file = BufReader::new(file);
    let mut read = Read::default();
    let (mut bytes, mut line) = (Vec::new(), 0);
    loop {
        bytes.clear();
        let most = limits::LAB_LINE_BYTES_MAX as u64 + 1;
        if (&mut file).take(most).read_until(b'\n', &mut bytes).context("failed to read a line")? == 0 {
            return Ok(read);
        }
        line += 1;
        let fault = |column: usize, message: &str| Fault {
            line,
            column,
            code: Code::LabValue,
            message: message.to_owned(),
        };
        if bytes.len() as u64 == most && bytes.last() != Some(&b'\n') {
            read.faults.add(fault(1, "the line is too long for a basket"));
            file.skip_until(b'\n').context("failed to read a line")?;
            continue;
        }
        let text = bytes.strip_prefix(b"\xef\xbb\xbf").filter(|_| line == 1).unwrap_or(&bytes);
        let names = match names(text) {
            Ok(names) => names,
            Err((column, message)) => {
                read.faults.add(fault(column, message));
                continue;
            }
        };
        read.empty += u64::from(names.is_empty());
        let mut items = Vec::with_capacity(names.len());
        for name in names {
            let next = read.numbers.len() as u32;
            items.push(match read.numbers.get(name.as_str()) {
                Some(number) => *number,
                None if next as usize == limits::LAB_ITEMS_MAX => {
                    return Err(too_much(args, TooMuch("items", limits::LAB_ITEMS_MAX)));
                }
                None => *read.numbers.entry(name.into()).or_insert(next),
            });
        }
        read.baskets.add(items.into_iter()).map_err(|fault| too_much(args, fault))?;
    }
}

/// The items of a line, or the number of the one that is wrong, and what is wrong with it. A quote opens only where an item
/// begins: one inside stands for itself, as in `5" pizza`.
fn names(line: &[u8]) -> Result<Vec<String>, (usize, &'static str)> {
    let mut names = Vec::new();
    let mut take = |column: usize, field: &[u8]| {
        let name = std::str::from_utf8(field).map_err(|_| (column, "an item is not UTF-8"))?.trim();
        if name.len() > limits::LAB_NAME_BYTES_MAX {
            return Err((column, "an item is too long"));
        }
        if !name.is_empty() {
            names.push(name.to_owned());
        }
        Ok(())
    };
    let (mut field, mut column, mut is_quoted) = (Vec::new(), 1, false);
    let mut bytes = line.iter().copied().peekable();
    while let Some(byte) = bytes.next() {
        match byte {
            b'"' if is_quoted && bytes.peek() == Some(&b'"') => field.extend(bytes.next()),
            b'"' if is_quoted => is_quoted = false,
            b'"' if field.trim_ascii().is_empty() => is_quoted = true,
            b',' if !is_quoted => {
                take(column, &field)?;
                field.clear();
                column += 1;
            }
            byte => field.push(byte),
        }
    }
    if is_quoted {
        return Err((column, "a quote is not closed"));
    }
    take(column, &field)?;
    Ok(names)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn are_the_items_of_a_line_read_as_csv() {
        for (line, expected) in [
            ("milk,bread\n", vec!["milk", "bread"]),
            (" whole milk , rolls/buns\r\n", vec!["whole milk", "rolls/buns"]),
            ("\"milk, whole\",\"the \"\"best\"\" bread\"\n", vec!["milk, whole", "the \"best\" bread"]),
            ("5\" pizza, \"milk, whole\" \n", vec!["5\" pizza", "milk, whole"]),
            ("牛奶,,面包,", vec!["牛奶", "面包"]),
            ("\n", vec![]),
        ] {
            assert_eq!(names(line.as_bytes()).expect(line), expected, "{line}");
        }
        let long = vec![b'x'; limits::LAB_NAME_BYTES_MAX + 1];
        for (line, column, message) in [
            (b"milk,\"bread\n".as_slice(), 2, "a quote is not closed"),
            (b"milk,\xff\n", 2, "an item is not UTF-8"),
            (&long, 1, "an item is too long"),
        ] {
            assert_eq!(names(line), Err((column, message)));
        }
    }
}
