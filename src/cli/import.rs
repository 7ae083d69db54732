//! `aisled import poslog FILE`: a day's sales made elsewhere, before the box came or while it was dead, become the shop's.
//!
//! The whole file is read before anything is committed: one that is not well-formed changes nothing. Then each transaction
//! goes to the running daemon through the same door as a device's, as a commit with what the till `charged`, a return or
//! a void. Its request id is made of its content, so the same file twice changes nothing. A sale that is here already in
//! other words (the till told of it itself) is recognised by what was paid. What is refused is told with its line and
//! code, and nothing else is held up by it. `--dry-run` reads, checks each as the door would, and changes nothing.
//!
//! Exit codes: 0 all of it is here now, 1 something was refused or differs, 3 no daemon runs.

use std::io::Write;
use std::path::{Path, PathBuf};
use std::time::Duration;

use anyhow::{Context, Result, bail};
use clap::{Args, Subcommand};
use serde::Serialize;
use serde_json::{Value, json};
use sha2::{Digest, Sha256};

use super::Exit;
use super::ask::not_running;
use super::bundle::Surroundings;
use super::poslog::read::{PosLog, Read};
use super::poslog::{Fault, Kind, Name, Sale, Ticket};
use super::replay::KeptRules;
use crate::bundle::Bundle;
use crate::daemon::control::{self, Ask};
use crate::devices::wire;
use crate::domain::basket::{Quantity, TransactionKey};
use crate::domain::calendar::Day;
use crate::domain::code::Code;
use crate::domain::ids::{BundleRef, DeviceId};
use crate::domain::money::Money;
use crate::domain::text::Lang;
use crate::domain::text::hex;
use crate::limits;

/// Arguments of `import`.
#[derive(Args, Clone, Debug)]
pub struct ImportArgs {
    /// In which form
    #[command(subcommand)]
    pub form: Form,
}

/// In which form.
#[derive(Subcommand, Clone, Debug)]
pub enum Form {
    /// POSLog-shaped XML (OMG retail names)
    Poslog(File),
}

/// What of.
#[derive(Args, Clone, Debug)]
pub struct File {
    /// The file
    pub file: PathBuf,
    /// Read and check it, change nothing
    #[arg(long)]
    pub dry_run: bool,
    /// Print one JSON object
    #[arg(long)]
    pub json: bool,
}

/// One transaction that was not taken, or is not as the file says.
#[derive(Clone, Debug, Serialize)]
struct Told {
    line: u64,
    code: Code,
    /// `device business_day seq`, where it could be read.
    #[serde(skip_serializing_if = "Option::is_none")]
    transaction: Option<String>,
    detail: String,
}

/// What became of the file. `transactions` is the sum of the five below it.
#[derive(Clone, Debug, Default, Serialize)]
struct Report {
    transactions: u64,
    /// Now in the shop (with `--dry-run`: would be).
    taken: u64,
    /// Were here before, with the same figures.
    already: u64,
    refused: u64,
    /// Not a sale, return or void.
    passed_over: u64,
    /// Taken or here already, but the figures are not the file's.
    different: u64,
    /// What the file's sales add up to that are in the shop now, returns and voids taken off, in minor units.
    total: i64,
    told: Vec<Told>,
    /// More of them than are told.
    not_told: u64,
}

enum Fate {
    Taken,
    Already,
    Different(String),
    Refused(Code, String),
}

struct Shop<'a> {
    data_dir: &'a Path,
    store: String,
    bundle: &'a Bundle,
    dry_run: bool,
}

/// Answers `import`, with the daemon that runs on the data directory.
///
/// # Errors
/// A file that cannot be read, a daemon that goes away, rules that cannot be opened.
pub fn run(
    args: &ImportArgs,
    data_dir: &Path,
    surroundings: &Surroundings,
    out: &mut dyn Write,
) -> Result<Exit> {
    let Form::Poslog(file) = &args.form;
    let Some(status) = control::ask(data_dir, &Ask::Status)? else {
        return not_running(data_dir, file.json, out);
    };
    let reference: Option<BundleRef> =
        serde_json::from_value(status["bundle"].clone()).context("failed to read the daemon's status")?;
    let reference =
        reference.context("failed to import: no bundle is active, so nothing has a price (AIS-2903)")?;
    let bundle = KeptRules::new(data_dir, surroundings.trusted.clone()).find(&reference);
    let bundle = bundle.map_err(|why| anyhow::anyhow!("{why}"))?;
    let bytes = read_bounded(&file.file)?;
    let store = status["store"].as_str().unwrap_or_default().to_owned();
    let shop = Shop { data_dir, store, bundle: &bundle, dry_run: file.dry_run };
    let mut report = Report::default();
    if let Err(fault) = whole(&bytes, &bundle) {
        report.tell(fault.line, fault.code, None, fault.detail);
        report.refused = 1;
        tell(&report, surroundings.lang, file, out)?;
        return Ok(Exit::Finding);
    }
    let mut log = PosLog::of(&bytes, &bundle.shop.currency).map_err(broken)?;
    while let Some(next) = log.next_transaction().map_err(broken)? {
        report.transactions += 1;
        match next {
            Read::Other(_) => report.passed_over += 1,
            Read::Bad(fault) => {
                report.refused += 1;
                report.tell(fault.line, fault.code, None, fault.detail);
            }
            Read::Ticket(line, ticket) => {
                let fate = shop.take(&ticket)?;
                report.count(line, &ticket, fate);
            }
        }
    }
    tell(&report, surroundings.lang, file, out)?;
    Ok(if report.refused + report.different == 0 { Exit::Ok } else { Exit::Finding })
}

fn read_bounded(path: &Path) -> Result<Vec<u8>> {
    use std::io::Read as _;
    let file = std::fs::File::open(path).with_context(|| format!("failed to open {}", path.display()))?;
    let mut bytes = Vec::new();
    let bound = limits::POSLOG_BYTES_MAX as u64 + 1;
    file.take(bound).read_to_end(&mut bytes).with_context(|| format!("failed to read {}", path.display()))?;
    Ok(bytes)
}

/// Is all of it well-formed? Before the first commit, so that a torn file changes nothing.
fn whole(bytes: &[u8], bundle: &Bundle) -> Result<(), Fault> {
    let mut log = PosLog::of(bytes, &bundle.shop.currency)?;
    while log.next_transaction()?.is_some() {}
    Ok(())
}

fn broken(fault: Fault) -> anyhow::Error {
    anyhow::anyhow!("failed to read line {}: {} ({})", fault.line, fault.detail, fault.code)
}

impl Report {
    fn tell(&mut self, line: u64, code: Code, transaction: Option<&Name>, detail: String) {
        if self.told.len() >= limits::POSLOG_TOLD_MAX {
            self.not_told += 1;
            return;
        }
        self.told.push(Told { line, code, transaction: transaction.map(Name::to_string), detail });
    }

    fn count(&mut self, line: u64, ticket: &Ticket, fate: Fate) {
        match fate {
            Fate::Taken => self.taken += 1,
            Fate::Already => self.already += 1,
            Fate::Different(detail) => {
                self.different += 1;
                self.tell(line, Code::PoslogDiffers, Some(&ticket.name), detail);
            }
            Fate::Refused(code, detail) => {
                self.refused += 1;
                self.tell(line, code, Some(&ticket.name), detail);
                return;
            }
        }
        // Of a file that lies: what is refused at the door never comes here, what merely differs does.
        let counted = match &ticket.kind {
            Kind::Sale(sale) if sale.training => 0,
            Kind::Sale(sale) => sale.total.0,
            Kind::Return { refund, .. } | Kind::Void { refund } => -refund.0,
        };
        self.total = self.total.saturating_add(counted);
    }
}

impl Shop<'_> {
    fn take(&self, ticket: &Ticket) -> Result<Fate> {
        if ticket.store != self.store {
            let detail = format!("RetailStoreID is {:.32}, this shop is {}", ticket.store, self.store);
            return Ok(Fate::Refused(Code::PoslogOtherShop, detail));
        }
        let Ok(device) = DeviceId::new(&ticket.name.device) else {
            return Ok(Fate::Refused(
                Code::BadId,
                "WorkstationID is no device id: a-z, 0-9 and -".to_owned(),
            ));
        };
        let (op, data) = request(ticket);
        let hash: [u8; 32] = Sha256::digest(format!("{op} {device} {data}").as_bytes()).into();
        let id = hex(&hash[..16]);
        let payload = json!({ "v": 1, "id": format!("poslog-{id}"), "at": ticket.at, "data": data });
        let bytes = serde_json::to_vec(&payload).context("failed to write a request")?;
        if let Err(refused) = wire::decode(op, &device, &bytes, None, &self.bundle.shop.chain) {
            return Ok(Fate::Refused(refused.refusal.code, refused.refusal.detail));
        }
        if let Some(fate) = self.is_here(ticket, &device)? {
            return Ok(fate);
        }
        if self.dry_run {
            return Ok(self.would_be(ticket));
        }
        let reply = self.ask(&device, op, payload)?;
        if reply["status"] != json!(200) {
            let code = reply["code"].as_str().and_then(Code::parse).unwrap_or(Code::Busy);
            let detail = reply["detail"].as_str().or_else(|| reply["title"].as_str()).unwrap_or_default();
            return Ok(Fate::Refused(code, detail.to_owned()));
        }
        let (said, figure) = match &ticket.kind {
            Kind::Sale(sale) => (sale.total, &reply["data"]["total"]),
            Kind::Return { refund, .. } | Kind::Void { refund } => (*refund, &reply["data"]["refund"]),
        };
        if *figure != json!(said) {
            return Ok(Fate::Different(format!("the file says {}, the shop {figure}", said.0)));
        }
        let member = match &ticket.kind {
            Kind::Sale(sale) => sale.member.as_ref(),
            _ => None,
        };
        if let Some(member) = member.filter(|_| reply["data"]["member"].is_null()) {
            return Ok(Fate::Different(format!("member {member:.64} is not known here; the sale has none")));
        }
        Ok(if reply["replayed"] == json!(true) { Fate::Already } else { Fate::Taken })
    }

    /// Asks until the daemon has time: it tells how long to wait.
    fn ask(&self, device: &DeviceId, op: &str, payload: Value) -> Result<Value> {
        let ask = Ask::Import { device: device.clone(), op: op.to_owned(), payload };
        for _ in 0..limits::POSLOG_TRIES_MAX {
            let Some(reply) = control::ask(self.data_dir, &ask)? else {
                bail!("failed to go on: the daemon went away; import the same file again");
            };
            match reply["retry_after_ms"].as_u64() {
                Some(wait_ms) if reply["status"] != json!(200) => {
                    pause(Duration::from_millis(wait_ms.max(1)))
                }
                _ => return Ok(reply),
            }
        }
        bail!("failed to go on: the daemon takes nothing now; import the same file again")
    }

    /// Is a transaction of this name here before the file speaks of it?
    fn is_here(&self, ticket: &Ticket, device: &DeviceId) -> Result<Option<Fate>> {
        let (Ok(business_day), Ok(seq)) =
            (ticket.name.business_day.parse::<Day>(), ticket.name.seq.try_into())
        else {
            return Ok(None);
        };
        let transaction = TransactionKey { device: device.clone(), business_day, seq };
        let Some(known) = control::ask(self.data_dir, &Ask::Sale { transaction })? else {
            bail!("failed to go on: the daemon went away; import the same file again");
        };
        if known.is_null() {
            return Ok(None);
        }
        let same = |figure: &Value, said: Money| {
            Some(if *figure == json!(said) {
                Fate::Already
            } else {
                Fate::Different(format!("the file says {}, the shop {figure}", said.0))
            })
        };
        let is_return = known["is_return"] == json!(true);
        Ok(match &ticket.kind {
            Kind::Void { .. } if known["voided"] != json!(true) => None,
            Kind::Void { refund } => same(&known["refunded"], *refund),
            Kind::Sale(sale) if !is_return => same(&known["total"], sale.total),
            Kind::Return { refund, .. } if is_return => same(&known["total"], -*refund),
            Kind::Sale(_) | Kind::Return { .. } => {
                Some(Fate::Different("a transaction of this name is here and is of another kind".to_owned()))
            }
        })
    }

    /// What `--dry-run` can tell beside what the door's checks say.
    fn would_be(&self, ticket: &Ticket) -> Fate {
        let Kind::Sale(sale) = &ticket.kind else { return Fate::Taken };
        let nets = sale.lines.iter().map(|line| line.net).chain(sale.gifts.iter().map(|gift| gift.amount));
        let sum: i128 = nets.map(|net| i128::from(net.0)).sum();
        if sum != i128::from(sale.total.0) {
            return Fate::Different(format!("its lines come to {sum}, its total is {}", sale.total.0));
        }
        Fate::Taken
    }
}

/// Waits without a sleep: nobody ever sends.
pub(super) fn pause(wait: Duration) {
    let (_kept, never) = std::sync::mpsc::channel::<()>();
    if never.recv_timeout(wait).is_ok() {
        tracing::debug!("woken early");
    }
}

/// The request that a transaction becomes.
fn request(ticket: &Ticket) -> (&'static str, Value) {
    let transaction = |name: &Name| json!({ "business_day": name.business_day, "seq": name.seq });
    let own = transaction(&ticket.name);
    match &ticket.kind {
        Kind::Sale(sale) => ("commit", commit(ticket, sale, own)),
        Kind::Void { .. } => ("void", json!({ "transaction": own })),
        Kind::Return { original, lines, .. } => {
            let mut of = transaction(original);
            of["device"] = json!(original.device);
            let lines = lines.iter().map(|line| json!({ "line": line.line, "qty": line.qty }));
            ("return", json!({ "original": of, "transaction": own, "lines": lines.collect::<Vec<Value>>() }))
        }
    }
}

fn commit(ticket: &Ticket, sale: &Sale, transaction: Value) -> Value {
    let lines = sale.lines.iter().map(|line| {
        let mut told = json!({ "line": line.line, "sku": line.sku });
        match line.quantity {
            Quantity::Units(count) => told["qty"] = json!(count),
            Quantity::Grams(grams) => told["weight_grams"] = json!(grams),
        }
        if let Some(price) = line.unit_price {
            told["unit_price"] = json!(price);
        }
        if let Some(day) = &line.best_before {
            told["best_before"] = json!(day);
        }
        told
    });
    let nets = sale.lines.iter().map(|line| json!({ "line": line.line, "net": line.net }));
    let tenders = sale.tenders.iter().map(|(kind, amount)| json!({ "kind": kind, "amount": amount }));
    let mut data = json!({
        "transaction": transaction,
        "basket": { "lines": lines.collect::<Vec<Value>>() },
        "tenders": tenders.collect::<Vec<Value>>(),
        "charged": { "total": sale.total, "lines": nets.collect::<Vec<Value>>(), "at": ticket.at },
        "channel": sale.channel,
    });
    if let Some(member) = &sale.member {
        data["member"] = json!({ "kind": "member", "value": member });
    }
    if !sale.coupons.is_empty() {
        data["coupons"] = json!(sale.coupons);
    }
    if !sale.claims.is_empty() {
        let claim = |(promotion, times): &(String, u32)| json!({ "promotion": promotion, "times": times });
        data["claims"] = sale.claims.iter().map(claim).collect();
    }
    if !sale.choices.is_empty() {
        let choice =
            |(promotion, skus): &(String, Vec<String>)| json!({ "promotion": promotion, "skus": skus });
        data["gift_choices"] = sale.choices.iter().map(choice).collect();
    }
    if !sale.gone.is_empty() {
        data["gifts_gone"] = json!(sale.gone);
    }
    if sale.points_spent > 0 {
        data["points"] = json!({ "spend": sale.points_spent });
    }
    if let Some(zone) = &sale.zone {
        data["zone"] = json!(zone);
    }
    if sale.training {
        data["training"] = json!(true);
    }
    data
}

fn tell(report: &Report, lang: Lang, file: &File, out: &mut dyn Write) -> Result<()> {
    if file.json {
        let mut object = serde_json::to_value(report)?;
        object["dry_run"] = json!(file.dry_run);
        writeln!(out, "{object:#}")?;
        return Ok(());
    }
    let path = file.file.display();
    for told in &report.told {
        let Told { line, code, transaction, detail } = told;
        let transaction = transaction.as_ref().map_or_else(String::new, |name| format!(" [{name}]"));
        writeln!(out, "{path}:{line}: {code} {}{transaction}: {detail}", code.title(lang))?;
    }
    let Report { transactions, taken, already, refused, passed_over, different, total, not_told, .. } =
        report;
    match lang {
        Lang::En => {
            if *not_told > 0 {
                writeln!(out, "… and {not_told} more")?;
            }
            let would = if file.dry_run { "would be taken" } else { "taken" };
            writeln!(
                out,
                "{transactions} transactions: {taken} {would}, {already} here already, {different} with other figures, \
                 {refused} refused, {passed_over} passed over; {total} in minor units"
            )?;
        }
        Lang::ZhCn => {
            if *not_told > 0 {
                writeln!(out, "……另有 {not_told} 条")?;
            }
            let would = if file.dry_run { "将导入" } else { "已导入" };
            writeln!(
                out,
                "共 {transactions} 笔：{would} {taken}，原已存在 {already}，数字不同 {different}，拒绝 {refused}，略过 {passed_over}；\
                 合计 {total}（最小货币单位）"
            )?;
        }
    }
    Ok(())
}
