//! `aisled lab rfm FILE --as-of DATE`: segments of a file of orders, as the R package `rfm` finds them.
//!
//! Orders are read once, a row at a time; what is kept is a line of totals for each customer, up to
//! `limits::LAB_CUSTOMERS_MAX`. Orders dated after the day of the analysis count, as they do in R, and are told.

use std::collections::BTreeMap;
use std::io::Write;
use std::path::PathBuf;

use anyhow::{Result, bail};
use clap::Args;
use serde::Serialize;
use serde_json::json;

use super::super::explain::terminal_lang;
use super::super::words::{led, padded, said, word};
use super::table::{Faults, Lazily, Row, Table, print_json};
use crate::cli::Exit;
use crate::domain::calendar::Day;
use crate::domain::code::Code;
use crate::limits;
use crate::shopper::rfm::{self, Cuts, SEGMENTS, Scores, Sum, Totals};

const COLUMNS: &[&str] = &["customer_id", "order_date", "revenue"];
const CUSTOMER: usize = 0;
const DATE: usize = 1;
const REVENUE: usize = 2;

/// Arguments of `lab rfm`.
#[derive(Args, Clone, Debug)]
#[command(after_help = "\
Scores and segments are those of the R package rfm 0.3.0 with its defaults: rfm_table_order() with five bins,
rfm_segment() with the ten segments of its documentation.")]
pub(crate) struct RfmArgs {
    /// CSV with the columns customer_id, order_date, revenue: an order a line
    file: PathBuf,
    /// The day of the analysis, YYYY-MM-DD
    #[arg(long, value_name = "DATE")]
    as_of: Day,
    /// Print one JSON object, with every customer
    #[arg(long)]
    json: bool,
}

#[derive(Clone, Copy)]
struct Orders {
    last: Day,
    count: u64,
    revenue: Sum,
}

/// What the file holds.
struct Read {
    customers: BTreeMap<Box<str>, Orders>,
    rows: u64,
    after: u64,
    faults: Faults,
}

/// One line of the table.
#[derive(Clone, Serialize)]
struct Line {
    segment: &'static str,
    customers: u64,
    orders: u64,
    revenue: f64,
    average_order: Option<f64>,
}

/// One customer of the JSON object.
#[derive(Serialize)]
struct Customer<'a> {
    customer_id: &'a str,
    segment: &'static str,
    #[serde(flatten)]
    totals: Totals,
    #[serde(flatten)]
    scores: Scores,
    rfm_score: u32,
}

/// Computes and prints.
pub(crate) fn run(args: &RfmArgs, out: &mut dyn Write) -> Result<Exit> {
    let read = read(args)?;
    let totals: Vec<Totals> = read.customers.values().map(|orders| totals(orders, args.as_of)).collect();
    let Some(cuts) = Cuts::of(&totals) else {
        read.faults.print(&args.file, out)?;
        bail!(
            "failed to find an order in {}: 0 sound rows, needs 1 ({})",
            args.file.display(),
            Code::LabTooFew
        );
    };
    let lines = lines(&cuts, &totals);
    if args.json {
        let customers = Lazily(|| {
            read.customers.keys().zip(&totals).map(|(customer_id, totals)| {
                let scores = cuts.scores(totals);
                let digits = [scores.recency, scores.frequency, scores.monetary];
                Customer {
                    customer_id,
                    segment: rfm::segment_name(rfm::segment_of(scores)),
                    totals: *totals,
                    scores,
                    rfm_score: digits.iter().fold(0, |score, digit| score * 10 + u32::from(*digit)),
                }
            })
        });
        let counts = json!({
            "rows": read.rows,
            "left_out": read.faults.total(),
            "dated_after": read.after,
            "customers": totals.len(),
        });
        let (segments, faults, as_of) = (&lines, &read.faults, args.as_of.to_string());
        print_json(&Report { as_of, counts, segments, cuts, faults, customers }, out)?;
    } else {
        read.faults.print(&args.file, out)?;
        print(args, &read, &lines, out)?;
    }
    Ok(if read.faults.total() == 0 { Exit::Ok } else { Exit::Finding })
}

/// The JSON object.
#[derive(Serialize)]
struct Report<'a, C> {
    as_of: String,
    counts: serde_json::Value,
    segments: &'a [Line],
    cuts: Cuts,
    faults: &'a Faults,
    customers: C,
}

fn read(args: &RfmArgs) -> Result<Read> {
    let mut table = Table::open(&args.file, COLUMNS, COLUMNS.len())?;
    let mut read = Read { customers: BTreeMap::new(), rows: 0, after: 0, faults: Faults::default() };
    while let Some(row) = table.next()? {
        read.rows += 1;
        let order = |row: &Row<'_>| Ok((row.day(DATE)?, row.number(REVENUE)?));
        let (customer, (day, revenue)) = match row.text(CUSTOMER).and_then(|name| Ok((name, order(&row)?))) {
            Ok(order) => order,
            Err(fault) => {
                read.faults.add(fault);
                continue;
            }
        };
        read.after += u64::from(day > args.as_of);
        if let Some(orders) = read.customers.get_mut(customer) {
            orders.last = orders.last.max(day);
            orders.count += 1;
            orders.revenue.add(revenue);
            continue;
        }
        if read.customers.len() == limits::LAB_CUSTOMERS_MAX {
            bail!(
                "failed to hold the customers of {}: more than {} ({})",
                args.file.display(),
                limits::LAB_CUSTOMERS_MAX,
                Code::LabTooMuch
            );
        }
        let mut sum = Sum::default();
        sum.add(revenue);
        read.customers.insert(customer.into(), Orders { last: day, count: 1, revenue: sum });
    }
    Ok(read)
}

fn totals(orders: &Orders, as_of: Day) -> Totals {
    Totals {
        recency_days: as_of.days_since(orders.last),
        orders: orders.count,
        revenue: orders.revenue.value(),
    }
}

/// A line for each segment in the order of their boxes, and one for the others.
fn lines(cuts: &Cuts, customers: &[Totals]) -> Vec<Line> {
    let mut sums = [(0, 0, Sum::default()); SEGMENTS.len() + 1];
    for totals in customers {
        let (count, orders, revenue) = &mut sums[rfm::segment_of(cuts.scores(totals))];
        *count += 1;
        *orders += totals.orders;
        revenue.add(totals.revenue);
    }
    (sums.iter().enumerate())
        .map(|(segment, (customers, orders, revenue))| Line {
            segment: rfm::segment_name(segment),
            customers: *customers,
            orders: *orders,
            revenue: revenue.value(),
            average_order: (*orders > 0).then(|| revenue.value() / *orders as f64),
        })
        .collect()
}

fn print(args: &RfmArgs, read: &Read, lines: &[Line], out: &mut dyn Write) -> Result<()> {
    let (lang, left_out) = (terminal_lang(), read.faults.total());
    let line = "{} customers, {} orders as of {}; {} rows left out";
    writeln!(
        out,
        "{}",
        said(lang, line, &[&read.customers.len(), &(read.rows - left_out), &args.as_of, &left_out])
    )?;
    if read.after > 0 {
        let line = "{} orders are dated after {} and count, as in R";
        writeln!(out, "{}", said(lang, line, &[&read.after, &args.as_of]))?;
    }
    let [segment, customers, orders, revenue, each] =
        ["segment", "customers", "orders", "revenue", "per order"].map(|heading| word(lang, heading));
    let columns = [(customers, 10), (orders, 10), (revenue, 16), (each, 12)];
    let columns: String = columns.iter().map(|(heading, width)| led(heading, *width)).collect();
    writeln!(out, "{}{columns}", padded(&segment, 20))?;
    for line in lines {
        let average = line.average_order.map_or_else(|| "-".to_owned(), |average| format!("{average:.2}"));
        writeln!(
            out,
            "{:<20}{:>10}{:>10}{:>16.2}{average:>12}",
            line.segment, line.customers, line.orders, line.revenue
        )?;
    }
    Ok(())
}
