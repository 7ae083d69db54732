//! `aisled status`, `scan`, `quote` and `explain DECISION`: questions to the running daemon, through its control socket.
//!
//! A decision can also be read while no daemon runs: the journal is opened, which takes the directory's lock.

use std::io::Write;
use std::path::{Path, PathBuf};

use anyhow::{Context, Result, bail};
use clap::Args;
use serde_json::{Value, json};

use super::Exit;
use crate::config::{Config, Environment};
use crate::daemon::control::{self, Ask};
use crate::domain::calendar::UnixMs;
use crate::domain::ids::Seq;

/// Arguments of `status`.
#[derive(Args, Clone, Debug)]
pub struct StatusArgs {
    /// Print one JSON object
    #[arg(long, conflicts_with = "watch")]
    pub json: bool,
    /// Show it again each second, until q; once where there is no terminal
    #[arg(long)]
    pub watch: bool,
}

/// Arguments of `scan`.
#[derive(Args, Clone, Debug)]
pub struct ScanArgs {
    /// What the member shows: card, phone, qr or member
    pub kind: String,
    /// What it says
    pub value: String,
    /// zh-CN or en
    #[arg(long)]
    pub locale: Option<String>,
    /// Print the reply document
    #[arg(long)]
    pub json: bool,
}

/// Arguments of `quote`.
#[derive(Args, Clone, Debug)]
pub struct QuoteArgs {
    /// Lines as SKU or SKU*QTY or SKU*QTY@UNIT_PRICE (minor units)
    #[arg(required = true)]
    pub lines: Vec<String>,
    /// The member, as KIND:VALUE, for example phone:13800138000
    #[arg(long)]
    pub member: Option<String>,
    /// A coupon code; may be given several times
    #[arg(long)]
    pub coupon: Vec<String>,
    /// Points to spend: a number or max
    #[arg(long)]
    pub points: Option<String>,
    /// Say of each promotion that did not apply why
    #[arg(long)]
    pub explain: bool,
    /// Print the reply document
    #[arg(long)]
    pub json: bool,
}

/// Answers `status`.
pub fn status(args: &StatusArgs, data_dir: &Path, out: &mut dyn Write) -> Result<Exit> {
    if args.watch
        && let Some(exit) = super::status::watch(data_dir, out)?
    {
        return Ok(exit);
    }
    let Some(status) = control::ask(data_dir, &Ask::Status)? else {
        return not_running(data_dir, args.json, out);
    };
    if args.json {
        writeln!(out, "{status}")?;
        return Ok(Exit::Ok);
    }
    let text = |path: &str| plain(status.pointer(path));
    writeln!(
        out,
        "store      {} (epoch {}), version {}, up {} s",
        text("/store"),
        text("/epoch"),
        text("/version"),
        text("/up_s")
    )?;
    match status.pointer("/bundle/version") {
        Some(version) => writeln!(out, "bundle     {version} ({})", text("/bundle/hash"))?,
        None => writeln!(out, "bundle     none yet: aisled bundle install FILE")?,
    }
    writeln!(
        out,
        "journal    next {}, durable through {}, tables through {}",
        text("/journal/next"),
        text("/journal/durable"),
        text("/journal/followed")
    )?;
    writeln!(out, "devices    {} online, {} quotes open", text("/devices_online"), text("/open_quotes"))?;
    writeln!(
        out,
        "requests   {} heard, {} answered, {} refused, {} answered again",
        text("/counts/requests"),
        text("/counts/replies"),
        text("/counts/refusals"),
        text("/counts/replayed")
    )?;
    match status.get("head_office").filter(|line| !line.is_null()) {
        None => writeln!(out, "head office  none configured")?,
        Some(line) => {
            let up = if line["connected"] == json!(true) { "up" } else { "down" };
            let since = line["since"].as_i64().map_or_else(String::new, |at| UnixMs(at).to_string());
            writeln!(
                out,
                "head office  {up} since {since}, {} decisions to send",
                plain(line.get("backlog"))
            )?;
            if let Some(fault) = line.get("last_error").filter(|fault| !fault.is_null()) {
                writeln!(out, "             last trouble: {fault}")?;
            }
        }
    }
    Ok(Exit::Ok)
}

/// Answers `scan`.
pub fn scan(args: &ScanArgs, data_dir: &Path, out: &mut dyn Write) -> Result<Exit> {
    let mut data = json!({ "token": { "kind": args.kind, "value": args.value } });
    if let Some(locale) = &args.locale {
        data["locale"] = json!(locale);
    }
    request("scan", data, data_dir, args.json, out, &|reply, out| {
        match reply.pointer("/data/member").filter(|member| !member.is_null()) {
            Some(member) => writeln!(
                out,
                "{} {} tier {} points {}",
                plain(member.get("id")),
                plain(member.get("name")),
                plain(member.get("tier")),
                plain(member.pointer("/points/balance"))
            )?,
            None => writeln!(out, "nobody known")?,
        }
        for care in list(reply, "/data/care") {
            writeln!(out, "  {}", plain(care.get("text")))?;
        }
        for offer in list(reply, "/data/offers") {
            writeln!(
                out,
                "  offer {}: {} ({})",
                plain(offer.get("promotion")),
                plain(offer.get("title")),
                plain(offer.get("reason"))
            )?;
        }
        for item in list(reply, "/data/recommendations") {
            writeln!(out, "  suggest {}: {}", plain(item.get("sku")), plain(item.get("because")))?;
        }
        Ok(())
    })
}

/// Answers `quote`.
pub fn quote(args: &QuoteArgs, data_dir: &Path, out: &mut dyn Write) -> Result<Exit> {
    let lines = args.lines.iter().enumerate().map(|(index, text)| line(index, text));
    let mut data = json!({ "basket": { "lines": lines.collect::<Result<Vec<Value>>>()? } });
    if let Some(member) = &args.member {
        let (kind, value) = member.split_once(':').context("failed to read --member: it is KIND:VALUE")?;
        data["member"] = json!({ "kind": kind, "value": value });
    }
    if !args.coupon.is_empty() {
        data["coupons"] = json!(args.coupon);
    }
    match args.points.as_deref() {
        None => {}
        Some("max") => data["points"] = json!({ "spend": "max" }),
        Some(points) => {
            let points: i64 = points.parse().context("failed to read --points: it is a number or max")?;
            data["points"] = json!({ "spend": points });
        }
    }
    request("quote", data, data_dir, args.json, out, &|reply, out| {
        for line in list(reply, "/data/lines") {
            writeln!(
                out,
                "  {:<4} {:>10} -> {:>10}",
                plain(line.get("line")),
                plain(line.get("gross")),
                plain(line.get("net"))
            )?;
        }
        for applied in list(reply, "/data/applied") {
            writeln!(
                out,
                "  - {} {} ({})",
                plain(applied.get("amount")),
                plain(applied.get("title")),
                plain(applied.get("promotion"))
            )?;
        }
        for gift in list(reply, "/data/gifts") {
            writeln!(
                out,
                "  + {} x {} ({})",
                plain(gift.get("qty")),
                plain(gift.get("sku")),
                plain(gift.get("promotion"))
            )?;
        }
        for coupon in list(reply, "/data/coupons") {
            writeln!(
                out,
                "  coupon {}: {} {}",
                plain(coupon.get("code")),
                plain(coupon.get("outcome")),
                plain(coupon.get("reason"))
            )?;
        }
        let total = plain(reply.pointer("/data/total"));
        writeln!(out, "total {total} of {} (minor units)", plain(reply.pointer("/data/subtotal")))?;
        if args.explain {
            for not in list(reply, "/data/not_applied") {
                writeln!(
                    out,
                    "  not {}: {} {}",
                    plain(not.get("promotion")),
                    plain(not.get("reason")),
                    plain(not.get("detail"))
                )?;
            }
            for near in list(reply, "/data/near") {
                writeln!(
                    out,
                    "  near {}: add {} to gain {}",
                    plain(near.get("promotion")),
                    plain(near.get("add")),
                    plain(near.get("gain"))
                )?;
            }
        }
        Ok(())
    })
}

/// Answers `explain DECISION`: `STORE/EPOCH/SEQ` as replies name it, or the number alone.
pub fn decision(reference: &str, data_dir: &Path, out: &mut dyn Write) -> Result<Exit> {
    let number = reference.rsplit('/').next().unwrap_or(reference);
    let seq: u64 = number
        .parse()
        .with_context(|| format!("failed to read {reference:?}: neither a code nor a decision"))?;
    let Some(entry) = control::ask(data_dir, &Ask::Decision { seq: Seq(seq) })? else {
        return not_running(data_dir, false, out);
    };
    if entry.is_null() {
        writeln!(out, "no decision {seq} is in the journal of {}", data_dir.display())?;
        return Ok(Exit::Finding);
    }
    writeln!(out, "{}", serde_json::to_string_pretty(&entry)?)?;
    Ok(Exit::Ok)
}

/// The data directory the configuration names.
pub fn data_dir(file: Option<&Path>, environment: &Environment) -> Result<PathBuf> {
    match Config::load(file, environment) {
        Ok(loaded) => Ok(loaded.config.store.data_dir),
        Err(error) => bail!("failed to read the configuration: {error}"),
    }
}

type Show<'a> = &'a dyn Fn(&Value, &mut dyn Write) -> Result<()>;

fn request(
    op: &str,
    data: Value,
    data_dir: &Path,
    json: bool,
    out: &mut dyn Write,
    show: Show<'_>,
) -> Result<Exit> {
    let id = format!("shell-{}-{}", std::process::id(), op);
    let payload = json!({ "v": 1, "id": id, "data": data });
    let Some(reply) = control::ask(data_dir, &Ask::Request { op: op.to_owned(), payload })? else {
        return not_running(data_dir, json, out);
    };
    let refused = reply["status"] != json!(200);
    if json {
        writeln!(out, "{reply}")?;
    } else if refused {
        writeln!(
            out,
            "{} {}: {}",
            plain(reply.get("code")),
            plain(reply.get("title")),
            plain(reply.get("detail"))
        )?;
    } else {
        show(&reply, out)?;
    }
    Ok(if refused { Exit::Finding } else { Exit::Ok })
}

pub(super) fn not_running(data_dir: &Path, json: bool, out: &mut dyn Write) -> Result<Exit> {
    if json {
        writeln!(out, "{}", json!({ "state": "not_running", "data_dir": data_dir }))?;
    } else {
        writeln!(out, "no daemon runs on {}; start it with aisled run", data_dir.display())?;
    }
    Ok(Exit::NotRunning)
}

fn line(index: usize, text: &str) -> Result<Value> {
    let (text, price) = match text.split_once('@') {
        Some((rest, price)) => {
            (rest, Some(price.parse::<i64>().with_context(|| format!("failed to read the price of {text}"))?))
        }
        None => (text, None),
    };
    let (sku, qty) = match text.split_once('*') {
        Some((sku, qty)) => {
            (sku, qty.parse::<u32>().with_context(|| format!("failed to read the quantity of {text}"))?)
        }
        None => (text, 1),
    };
    let mut line = json!({ "line": (index + 1).to_string(), "sku": sku, "qty": qty });
    if let Some(price) = price {
        line["unit_price"] = json!(price);
    }
    Ok(line)
}

pub(super) fn list<'a>(reply: &'a Value, path: &str) -> impl Iterator<Item = &'a Value> {
    reply.pointer(path).and_then(Value::as_array).into_iter().flatten()
}

pub(super) fn plain(value: Option<&Value>) -> String {
    match value {
        None | Some(Value::Null) => "-".to_owned(),
        Some(Value::String(text)) => text.clone(),
        Some(other) => other.to_string(),
    }
}
