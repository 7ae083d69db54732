//! `aisled lab value FILE`: who will come back, how often, and what that is worth.
//!
//! Three models are fitted to the whole file and stand beside the naive baseline, model by model and customer by customer.
//! A fit that found no optimum is told, and its figures are shown as what they are. The customers are held in memory, up to
//! `limits::LAB_CUSTOMERS_MAX`.

use std::io::Write;
use std::path::PathBuf;

use anyhow::{Result, bail};
use clap::Args;
use serde::Serialize;
use serde_json::json;

use super::table::{Fault, Faults, Finding, Row, Table, print_json};
use crate::cli::Exit;
use crate::cli::explain::terminal_lang;
use crate::cli::words::{led, padded, said, word};
use crate::domain::code::Code;
use crate::limits;
use crate::shopper::rfm::Sum;
use crate::shopper::value::bgnbd::BgNbd;
use crate::shopper::value::optimum::Outcome;
use crate::shopper::value::paretonbd::ParetoNbd;
use crate::shopper::value::spend::{GammaGamma, Spend};
use crate::shopper::value::{Fit, HORIZONS_WEEKS, History, HistoryFault, Sample, naive, present_value};

const COLUMNS: &[&str] = &["id", "x", "t_x", "T", "zbar"];
const NEEDED: usize = 4;
const ID: usize = 0;
const X: usize = 1;
const LAST: usize = 2;
const AGE: usize = 3;
const SPEND: usize = 4;

/// What the baseline is, in words: a reader has to know.
const NAIVE: &str = "repeat purchases of the last 13 weeks again; estimated from x, t_x and T as evenly spread up to t_x, \
                     since the file holds no dates";

/// Arguments of `lab value`.
#[derive(Args, Clone, Debug)]
#[command(after_help = "\
x counts repeat purchases, t_x is the week of the last one, T how many weeks the customer was seen, both from the first
purchase; zbar is the average spend of the repeat purchases. The value of a customer is what their purchases of the next
12 months are expected to bring, discounted month by month; 52 weeks are 12 months.")]
pub(crate) struct ValueArgs {
    /// CSV with the columns id, x, t_x, T and, for values, zbar: a customer a line, times in weeks
    file: PathBuf,
    /// What a month's wait costs: 0.01 is 1 %
    #[arg(long, value_name = "RATE", default_value_t = 0.01, value_parser = rate)]
    discount_monthly: f64,
    /// Print one JSON object, with every customer
    #[arg(long)]
    json: bool,
}

fn rate(text: &str) -> Result<f64, String> {
    match text.parse() {
        Ok(rate) if (0.0..=1.0).contains(&rate) => Ok(rate),
        _ => Err("a rate is a number from 0 to 1".to_owned()),
    }
}

struct Customer {
    id: Box<str>,
    history: History,
    spend: Option<Spend>,
}

struct Read {
    customers: Vec<Customer>,
    has_spend: bool,
    rows: u64,
    faults: Faults,
}

/// What is fitted.
#[derive(Default)]
struct Fits {
    bg_nbd: Option<Fit<BgNbd>>,
    pareto_nbd: Option<Fit<ParetoNbd>>,
    gamma_gamma: Option<Fit<GammaGamma>>,
    /// Customers the spend is known of.
    spends: usize,
    findings: Vec<Finding>,
}

/// What one model says of one customer.
#[derive(Clone, Copy, Serialize)]
struct Outlook {
    p_alive: f64,
    churn_risk: f64,
    purchases: [f64; 3],
    /// In the unit of `zbar`; nothing without a model of the spend.
    value: Option<f64>,
}

/// All that is said of one customer.
#[derive(Clone, Copy, Serialize)]
struct Figures<'a> {
    id: &'a str,
    naive: [f64; 3],
    average_spend: Option<f64>,
    bg_nbd: Option<Outlook>,
    pareto_nbd: Option<Outlook>,
}

/// Computes and prints.
pub(crate) fn run(args: &ValueArgs, out: &mut dyn Write) -> Result<Exit> {
    let read = read(args)?;
    let fits = fit(&read);
    let figures: Vec<Figures<'_>> =
        read.customers.iter().map(|customer| figures(customer, &fits, args.discount_monthly)).collect();
    if args.json {
        print_json(&report(args, &read, &fits, &figures), out)?;
    } else {
        read.faults.print(&args.file, out)?;
        print(args, &read, &fits, &figures, out)?;
    }
    let sound = read.faults.total() == 0 && fits.findings.is_empty();
    Ok(if sound { Exit::Ok } else { Exit::Finding })
}

fn read(args: &ValueArgs) -> Result<Read> {
    let mut table = Table::open(&args.file, COLUMNS, NEEDED)?;
    let has_spend = table.has(SPEND);
    let mut read = Read { customers: Vec::new(), has_spend, rows: 0, faults: Faults::default() };
    while let Some(row) = table.next()? {
        read.rows += 1;
        match customer(&row, has_spend) {
            Ok(_) if read.customers.len() == limits::LAB_CUSTOMERS_MAX => bail!(
                "failed to hold the customers of {}: more than {} ({})",
                args.file.display(),
                limits::LAB_CUSTOMERS_MAX,
                Code::LabTooMuch
            ),
            Ok(customer) => read.customers.push(customer),
            Err(fault) => read.faults.add(fault),
        }
    }
    Ok(read)
}

fn customer(row: &Row<'_>, has_spend: bool) -> Result<Customer, Fault> {
    let id = row.text(ID)?.into();
    let history = History::new(row.number(X)?, row.number(LAST)?, row.number(AGE)?).map_err(|fault| {
        let (column, code) = match fault {
            HistoryFault::Repeats(_) => (X, Code::LabValue),
            HistoryFault::Last(_) => (LAST, Code::LabValue),
            HistoryFault::Age(_) => (AGE, Code::LabValue),
            HistoryFault::LastWithoutRepeats(_)
            | HistoryFault::RepeatsWithoutLast(_)
            | HistoryFault::LastAfterEnd(..) => (LAST, Code::LabContradiction),
        };
        row.fault(column, code, fault)
    })?;
    // Without repeats there is nothing to average, whatever the file says.
    if !has_spend || history.repeats == 0 {
        return Ok(Customer { id, history, spend: None });
    }
    match row.number(SPEND)? {
        average if average < 0.0 => {
            Err(row.fault(SPEND, Code::LabValue, format_args!("is {average}, not a number above 0")))
        }
        0.0 => Err(row.fault(
            SPEND,
            Code::LabContradiction,
            format_args!("is 0 with {} repeat purchases", history.repeats),
        )),
        average => Ok(Customer { id, history, spend: Some(Spend { repeats: history.repeats, average }) }),
    }
}

fn fit(read: &Read) -> Fits {
    let mut findings = Vec::new();
    let nothing = |finding: Finding| Fits { findings: vec![finding], ..Fits::default() };
    let histories: Vec<History> = read.customers.iter().map(|customer| customer.history).collect();
    let needed = limits::LAB_FIT_CUSTOMERS_MIN;
    if histories.len() < needed {
        let count = histories.len();
        return nothing(find(Code::LabTooFew, format!("{count} sound rows, the models need {needed}")));
    }
    let Some(sample) = Sample::of(&histories) else {
        return nothing(find(Code::LabNothingToFit, "nobody came back: x is 0 in every row".to_owned()));
    };
    let bg_nbd = told("BG/NBD", BgNbd::fit(&sample), &mut findings);
    let pareto_nbd = told("Pareto/NBD", ParetoNbd::fit(&sample), &mut findings);
    let spends: Vec<Spend> = read.customers.iter().filter_map(|customer| customer.spend).collect();
    let mut gamma_gamma = None;
    if read.has_spend {
        if spends.len() < needed {
            let count = spends.len();
            findings.push(find(
                Code::LabTooFew,
                format!("{count} customers came back, Gamma-Gamma needs {needed}"),
            ));
        } else if let Some(fit) = GammaGamma::fit(&spends) {
            gamma_gamma = told("Gamma-Gamma", fit, &mut findings);
        } else {
            findings
                .push(find(Code::LabNothingToFit, "zbar is the same for everybody who came back".to_owned()));
        }
    }
    Fits { bg_nbd, pareto_nbd, gamma_gamma, spends: spends.len(), findings }
}

fn find(code: Code, message: String) -> Finding {
    Finding { code, message }
}

/// The fit, and what is to be said of it if it is no maximum; nothing if the file is impossible under every parameter.
fn told<M>(name: &str, fit: Fit<M>, findings: &mut Vec<Finding>) -> Option<Fit<M>> {
    let why = match fit.outcome {
        Outcome::Converged => return Some(fit),
        Outcome::RanOff => "a parameter runs off, the figures are those where the search ended",
        Outcome::Flat => "the likelihood is flat at its top, the figures are those of one of many",
    };
    findings.push(find(Code::LabNoOptimum, format!("{name} found no optimum: {why}")));
    fit.log_likelihood.is_finite().then_some(fit)
}

fn figures<'a>(customer: &'a Customer, fits: &Fits, discount: f64) -> Figures<'a> {
    let history = &customer.history;
    let average = fits.gamma_gamma.map(|fit| fit.model.average(customer.spend)).filter(|a| a.is_finite());
    let outlook = |p_alive: f64, purchases: &dyn Fn(f64) -> f64| Outlook {
        p_alive,
        churn_risk: 1.0 - p_alive,
        purchases: HORIZONS_WEEKS.map(purchases),
        value: average.map(|average| present_value(purchases, average, discount)),
    };
    let bg_nbd = fits
        .bg_nbd
        .map(|fit| outlook(fit.model.p_alive(history), &|weeks| fit.model.purchases(history, weeks)));
    let pareto_nbd = fits
        .pareto_nbd
        .map(|fit| outlook(fit.model.p_alive(history), &|weeks| fit.model.purchases(history, weeks)));
    Figures { id: &customer.id, naive: naive(history), average_spend: average, bg_nbd, pareto_nbd }
}

/// What one way to look ahead says of all customers together.
#[derive(Serialize)]
struct Together {
    purchases: [f64; 3],
    p_alive_mean: Option<f64>,
    value: Option<f64>,
}

fn together<'a>(outlooks: impl Iterator<Item = &'a Outlook>) -> Option<Together> {
    let (mut count, mut sums, mut alive, mut value) = (0_u64, [Sum::default(); 3], Sum::default(), None);
    for outlook in outlooks {
        count += 1;
        alive.add(outlook.p_alive);
        for (sum, purchases) in sums.iter_mut().zip(outlook.purchases) {
            sum.add(purchases);
        }
        if let Some(more) = outlook.value {
            value.get_or_insert_with(Sum::default).add(more);
        }
    }
    (count > 0).then(|| Together {
        purchases: sums.map(Sum::value),
        p_alive_mean: Some(alive.value() / count as f64),
        value: value.map(Sum::value),
    })
}

/// Each way to look ahead, by name; those without a fit are missing.
fn ways(figures: &[Figures<'_>]) -> Vec<(&'static str, Together)> {
    let mut sums = [Sum::default(); 3];
    for (index, sum) in sums.iter_mut().enumerate() {
        figures.iter().for_each(|figures| sum.add(figures.naive[index]));
    }
    let naive = Together { purchases: sums.map(Sum::value), p_alive_mean: None, value: None };
    let bg_nbd = together(figures.iter().filter_map(|figures| figures.bg_nbd.as_ref()));
    let pareto_nbd = together(figures.iter().filter_map(|figures| figures.pareto_nbd.as_ref()));
    let named = [("naive", Some(naive)), ("bg_nbd", bg_nbd), ("pareto_nbd", pareto_nbd)];
    named.into_iter().filter_map(|(name, together)| Some((name, together?))).collect()
}

/// The JSON object.
#[derive(Serialize)]
struct Report<'a> {
    horizons_weeks: [f64; 3],
    monthly_discount: f64,
    naive: &'static str,
    counts: serde_json::Value,
    fits: serde_json::Value,
    all_customers: serde_json::Value,
    findings: &'a [Finding],
    faults: &'a Faults,
    customers: &'a [Figures<'a>],
}

fn report<'a>(args: &ValueArgs, read: &'a Read, fits: &'a Fits, figures: &'a [Figures<'a>]) -> Report<'a> {
    let repeat_customers = read.customers.iter().filter(|customer| customer.history.repeats > 0).count();
    Report {
        horizons_weeks: HORIZONS_WEEKS,
        monthly_discount: args.discount_monthly,
        naive: NAIVE,
        counts: json!({
            "rows": read.rows,
            "left_out": read.faults.total(),
            "customers": figures.len(),
            "repeat_customers": repeat_customers,
            "customers_with_spend": fits.spends,
        }),
        fits: json!({
            "bg_nbd": fits.bg_nbd,
            "pareto_nbd": fits.pareto_nbd,
            "gamma_gamma": fits.gamma_gamma,
        }),
        all_customers: ways(figures).into_iter().map(|(name, all)| (name.to_owned(), json!(all))).collect(),
        findings: &fits.findings,
        faults: &read.faults,
        customers: figures,
    }
}

fn print(
    args: &ValueArgs,
    read: &Read,
    fits: &Fits,
    figures: &[Figures<'_>],
    out: &mut dyn Write,
) -> Result<()> {
    for finding in &fits.findings {
        writeln!(out, "{}: {finding}", args.file.display())?;
    }
    let lang = terminal_lang();
    let line = "{} customers; {} rows left out";
    writeln!(out, "{}", said(lang, line, &[&figures.len(), &read.faults.total()]))?;
    if let Some(Fit { model, log_likelihood, .. }) = &fits.bg_nbd {
        let BgNbd { r, alpha, a, b } = model;
        writeln!(
            out,
            "BG/NBD       r {r:.3}  alpha {alpha:.3}  a {a:.3}  b {b:.3}  log-likelihood {log_likelihood:.2}"
        )?;
    }
    if let Some(Fit { model, log_likelihood, .. }) = &fits.pareto_nbd {
        let ParetoNbd { r, alpha, s, beta } = model;
        writeln!(
            out,
            "Pareto/NBD   r {r:.3}  alpha {alpha:.3}  s {s:.3}  beta {beta:.3}  log-likelihood {log_likelihood:.2}"
        )?;
    }
    if let Some(Fit { model, log_likelihood, .. }) = &fits.gamma_gamma {
        let GammaGamma { p, q, gamma } = model;
        writeln!(
            out,
            "Gamma-Gamma  p {p:.3}  q {q:.3}  gamma {gamma:.3}  log-likelihood {log_likelihood:.2}  on {} customers",
            fits.spends
        )?;
    }
    let headings =
        [("13 weeks", 12), ("26 weeks", 12), ("52 weeks", 12), ("mean P(alive)", 14), ("12 months", 14)];
    let headings: String =
        headings.iter().map(|(heading, width)| led(&word(lang, heading), *width)).collect();
    writeln!(out, "{}{headings}", padded(&word(lang, "expected"), 12))?;
    let figure =
        |figure: Option<f64>, digits: usize| figure.map_or("-".to_owned(), |f| format!("{f:.digits$}"));
    for (name, Together { purchases: [a, b, c], p_alive_mean, value }) in ways(figures) {
        let (alive, value) = (figure(p_alive_mean, 3), figure(value, 2));
        writeln!(out, "{name:<12}{a:>12.1}{b:>12.1}{c:>12.1}{alive:>14}{value:>14}")?;
    }
    writeln!(out, "naive: {NAIVE}")?;
    if fits.gamma_gamma.is_some() {
        writeln!(out, "{}", said(lang, "12 months: discounted by {} a month", &[&args.discount_monthly]))?;
    }
    let rank =
        |figures: &Figures<'_>| figures.bg_nbd.map(|outlook| outlook.value.unwrap_or(outlook.purchases[2]));
    let mut best: Vec<(f64, &Figures<'_>)> = figures.iter().filter_map(|f| Some((rank(f)?, f))).collect();
    best.sort_by(|a, b| b.0.total_cmp(&a.0));
    best.truncate(limits::LAB_LISTED_MAX);
    if best.is_empty() {
        return Ok(());
    }
    let headings = [("52 weeks", 10), ("naive", 10), ("P(alive)", 10), ("spend", 10), ("12 months", 14)];
    let headings: String =
        headings.iter().map(|(heading, width)| led(&word(lang, heading), *width)).collect();
    writeln!(out, "{}{headings}", padded(&word(lang, "best by BG/NBD"), 20))?;
    for (_, figures) in best {
        let Some(outlook) = &figures.bg_nbd else { continue };
        writeln!(
            out,
            "{:<20}{:>10.2}{:>10.2}{:>10.3}{:>10}{:>14}",
            figures.id,
            outlook.purchases[2],
            figures.naive[2],
            outlook.p_alive,
            figure(figures.average_spend, 2),
            figure(outlook.value, 2)
        )?;
    }
    Ok(())
}
