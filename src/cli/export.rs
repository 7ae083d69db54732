//! `aisled export poslog|csv --day D`: a business day's sales, voids and returns for other systems.
//!
//! Reads the journal beside a running daemon, changing nothing. POSLog holds all that `import poslog` needs to ring the day
//! up again; CSV has one row for each line, gift and tender, for a spreadsheet. Neither holds a card or phone number: the
//! shop knows none.
//!
//! Exit codes: 0 all of the day, 1 something could not be read, or its rules are gone.

use std::fs::File;
use std::io::{BufWriter, Write};
use std::path::{Path, PathBuf};

use anyhow::{Context, Result};
use clap::{Args, Subcommand};

use super::Exit;
use super::bundle::Surroundings;
use super::poslog::journal::Transactions;
use super::poslog::write::PosLog;
use super::poslog::{Kind, Ticket};
use super::replay::{KeptRules, journal};
use crate::bundle::Bundle;
use crate::domain::basket::Quantity;
use crate::domain::calendar::Day;
use crate::domain::money::Money;
use crate::domain::text::Lang;
use crate::limits;

/// Arguments of `export`.
#[derive(Args, Clone, Debug)]
pub struct ExportArgs {
    /// In which form
    #[command(subcommand)]
    pub form: Form,
}

/// In which form.
#[derive(Subcommand, Clone, Debug)]
pub enum Form {
    /// POSLog-shaped XML (OMG retail names)
    Poslog(OfDay),
    /// One row for each line, gift and tender
    Csv(OfDay),
}

/// What of.
#[derive(Args, Clone, Debug)]
pub struct OfDay {
    /// The business day, as the tills name it
    #[arg(long, value_name = "DAY")]
    pub day: Day,
    /// Into this file, which must not be there; else to the terminal
    #[arg(long, short, value_name = "FILE")]
    pub out: Option<PathBuf>,
}

#[derive(Default)]
struct Counts {
    sales: u64,
    returns: u64,
    voids: u64,
    total: i64,
}

impl Counts {
    fn count(&mut self, ticket: &Ticket) {
        match &ticket.kind {
            Kind::Sale(sale) => {
                self.sales += 1;
                self.total += if sale.training { 0 } else { sale.total.0 };
            }
            Kind::Return { refund, .. } => {
                self.returns += 1;
                self.total -= refund.0;
            }
            Kind::Void { refund } => {
                self.voids += 1;
                self.total -= refund.0;
            }
        }
    }
}

/// Answers `export`, on the daemon's data directory.
///
/// # Errors
/// A journal that cannot be read, an output that cannot be written.
pub fn run(
    args: &ExportArgs,
    data_dir: &Path,
    surroundings: &Surroundings,
    out: &mut dyn Write,
) -> Result<Exit> {
    let (Form::Poslog(of) | Form::Csv(of)) = &args.form;
    let view = journal(data_dir)?;
    let rules = KeptRules::new(data_dir, surroundings.trusted.clone());
    let mut transactions = Transactions::of(&view, rules, of.day);
    let mut counts = Counts::default();
    match &of.out {
        None => written(&args.form, &mut transactions, &mut counts, &mut *out)?,
        Some(path) => {
            let file =
                File::create_new(path).with_context(|| format!("failed to make {}", path.display()))?;
            let mut file = BufWriter::new(file);
            written(&args.form, &mut transactions, &mut counts, &mut file)?;
            let file = file.into_inner().map_err(|error| error.into_error());
            file.and_then(|file| file.sync_all())
                .with_context(|| format!("failed to write {}", path.display()))?;
            tell(of, &counts, surroundings.lang, out)?;
        }
    }
    // Beside the document, not in it.
    for trouble in transactions.troubles.iter().take(limits::REPLAY_TOLD_MAX) {
        tracing::warn!("{trouble}");
        if of.out.is_some() {
            writeln!(out, "{trouble}")?;
        }
    }
    Ok(if transactions.troubles.is_empty() { Exit::Ok } else { Exit::Finding })
}

fn written(
    form: &Form,
    transactions: &mut Transactions<'_>,
    counts: &mut Counts,
    out: &mut dyn Write,
) -> Result<()> {
    match form {
        Form::Poslog(_) => {
            let mut log = PosLog::begin(out)?;
            transactions.each(&mut |ticket, bundle| {
                counts.count(ticket);
                Ok(log.ticket(ticket, &bundle.shop.currency)?)
            })?;
            log.end()?.flush()?;
        }
        Form::Csv(_) => {
            let mut rows = csv::Writer::from_writer(out);
            rows.write_record(COLUMNS)?;
            transactions.each(&mut |ticket, bundle| {
                counts.count(ticket);
                csv_rows(ticket, bundle, &mut |row| Ok(rows.write_record(row)?))
            })?;
            rows.flush()?;
        }
    }
    Ok(())
}

fn tell(of: &OfDay, counts: &Counts, lang: Lang, out: &mut dyn Write) -> Result<()> {
    let Counts { sales, returns, voids, total } = counts;
    let day = of.day;
    match lang {
        Lang::En => {
            writeln!(out, "{day}: {sales} sales, {returns} returns, {voids} voids, {total} in minor units")?;
        }
        Lang::ZhCn => {
            writeln!(
                out,
                "{day}：{sales} 笔销售、{returns} 笔退货、{voids} 笔作废，合计 {total}（最小货币单位）"
            )?;
        }
    }
    Ok(())
}

const COLUMNS: [&str; 16] = [
    "store",
    "device",
    "business_day",
    "seq",
    "at",
    "kind",
    "row",
    "line",
    "sku",
    "qty",
    "grams",
    "amount",
    "discount",
    "promotion",
    "member",
    "decision",
];

/// The rows of one transaction; `amount` is what it adds to the day's takings, tenders and totals aside, in the currency.
fn csv_rows(ticket: &Ticket, bundle: &Bundle, write: &mut dyn FnMut(&[String]) -> Result<()>) -> Result<()> {
    let money = |amount: Money| bundle.shop.currency.format(amount);
    let (kind, member) = match &ticket.kind {
        Kind::Sale(sale) if sale.training => ("training", sale.member.clone()),
        Kind::Sale(sale) => ("sale", sale.member.clone()),
        Kind::Return { .. } => ("return", None),
        Kind::Void { .. } => ("void", None),
    };
    let mut row = |what: &str, cells: [String; 7]| {
        let name = &ticket.name;
        let mut all = vec![
            ticket.store.clone(),
            name.device.clone(),
            name.business_day.clone(),
            name.seq.to_string(),
            ticket.at.clone(),
            kind.to_owned(),
            what.to_owned(),
        ];
        all.extend(cells);
        all.push(member.clone().unwrap_or_default());
        all.push(ticket.decision.clone().unwrap_or_default());
        write(&all)
    };
    let none = String::new;
    match &ticket.kind {
        Kind::Sale(sale) => {
            for line in &sale.lines {
                let (qty, grams) = match line.quantity {
                    Quantity::Units(count) => (count.to_string(), none()),
                    Quantity::Grams(grams) => ("1".to_owned(), grams.to_string()),
                };
                let off: Money = line.modifiers.iter().map(|(_, amount)| *amount).sum();
                let promotions: Vec<&str> =
                    line.modifiers.iter().filter_map(|(promotion, _)| promotion.as_deref()).collect();
                let cells = [
                    line.line.clone(),
                    line.sku.clone(),
                    qty,
                    grams,
                    money(line.net),
                    money(off),
                    promotions.join(" "),
                ];
                row("line", cells)?;
            }
            for gift in &sale.gifts {
                let (sku, qty, amount) = (gift.sku.clone(), gift.qty.to_string(), money(gift.amount));
                row("gift", [none(), sku, qty, none(), amount, none(), gift.promotion.clone()])?;
            }
            for (tender, amount) in &sale.tenders {
                let tender = serde_json::to_value(tender)?;
                let tender = tender.as_str().unwrap_or_default().to_owned();
                row("tender", [tender, none(), none(), none(), money(*amount), none(), none()])?;
            }
            row("total", [none(), none(), none(), none(), money(sale.total), none(), none()])
        }
        Kind::Return { lines, refund, .. } => {
            for line in lines {
                let sku = line.sku.clone().unwrap_or_default();
                let qty = format!("-{}", line.qty);
                row("line", [line.line.clone(), sku, qty, none(), money(-line.amount), none(), none()])?;
            }
            row("total", [none(), none(), none(), none(), money(-*refund), none(), none()])
        }
        Kind::Void { refund } => {
            row("total", [none(), none(), none(), none(), money(-*refund), none(), none()])
        }
    }
}
