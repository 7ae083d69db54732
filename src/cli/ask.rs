//! `aisled status`, `scan`, `quote` and `explain DECISION`: questions to the running daemon, through its control socket.
//!
//! A decision can also be read while no daemon runs: the journal is opened, which takes the directory's lock.

use std::fmt::Display;
use std::io::Write;
use std::path::{Path, PathBuf};

use anyhow::{Context, Result, bail};
use clap::Args;
use serde::Deserialize as _;
use serde_json::{Value, json};

use super::Exit;
use super::explain::terminal_lang;
use super::words::{Both, in_language, tell, tell_in};
use crate::config::{Config, Environment};
use crate::daemon::control::{self, Ask};
use crate::domain::calendar::UnixMs;
use crate::domain::code::Code;
use crate::domain::ids::Seq;
use crate::domain::text::Lang;
use crate::pricing::outcome::Addition;
use crate::upstream::machine::Fault;

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
    tell_status(&status, terminal_lang(), out)?;
    Ok(Exit::Ok)
}

/// What it can do now.
pub(super) fn state(status: &Value) -> Both {
    match (status["state"].as_str(), status.pointer("/disk/footing").and_then(Value::as_str)) {
        (_, Some("ReadOnly")) => ["read-only: prices are told, nothing is sold", "只读：可报价，不能成交"],
        (Some("ready"), _) => ["ready", "正常"],
        _ => ["degraded: nothing scarce is given", "降级：暂停发放限量优惠"],
    }
}

fn tell_status(status: &Value, lang: Lang, out: &mut dyn Write) -> std::io::Result<()> {
    let text = |path: &str| plain(status.pointer(path));
    let mut say = |both, figures: &[&dyn Display]| tell_in(lang, out, both, figures);
    say(
        [
            "store      {} (epoch {}), {}, version {}, up {} s",
            "门店       {}（epoch {}），{}，版本 {}，已运行 {} 秒",
        ],
        &[
            &text("/store"),
            &text("/epoch"),
            &in_language(state(status), lang),
            &text("/version"),
            &text("/up_s"),
        ],
    )?;
    match status.pointer("/bundle/version") {
        Some(version) => {
            say(["bundle     {} ({})", "规则包     {}（{}）"], &[version, &text("/bundle/hash")])?;
        }
        None => say(
            [
                "bundle     none yet: aisled bundle install FILE",
                "规则包     尚无：aisled bundle install FILE",
            ],
            &[],
        )?,
    }
    if let Some(code) = Code::parse(&text("/network/code")) {
        let both = ["network    failed to {} ({})", "推荐网络   不可用：{}（{}）"];
        say(both, &[&text("/network/cause"), &code])?;
    }
    say(
        [
            "journal    next {}, durable through {}, tables through {}",
            "日志       下一条 {}，已落盘至 {}，数据表至 {}",
        ],
        &[&text("/journal/next"), &text("/journal/durable"), &text("/journal/followed")],
    )?;
    say(
        ["devices    {} online, {} quotes open", "设备       {} 台在线，{} 个未决报价"],
        &[&text("/devices_online"), &text("/open_quotes")],
    )?;
    say(
        [
            "requests   {} heard, {} answered, {} refused, {} answered again",
            "请求       收到 {}，应答 {}，拒绝 {}，重复应答 {}",
        ],
        &[
            &text("/counts/requests"),
            &text("/counts/replies"),
            &text("/counts/refusals"),
            &text("/counts/replayed"),
        ],
    )?;
    // What hindered it at its start, or else what it lacks now.
    let hindered = Code::parse(&text("/disk/code"));
    if let Some(code) = hindered.or((status["state"] == "degraded").then_some(Code::Degraded)) {
        let both = ["disk       {} ({}): {}", "磁盘       {}（{}）：{}"];
        say(both, &[&code.title(lang), &code, &code.remedy(lang)])?;
    }
    match status.get("head_office").filter(|line| !line.is_null()) {
        None => say(["head office  none configured", "总部       未配置"], &[])?,
        Some(line) => {
            let both = match line["connected"] == json!(true) {
                true => [
                    "head office  up since {}, {} decisions to send",
                    "总部       自 {} 起已连接，{} 条决策待发送",
                ],
                false => [
                    "head office  down since {}, {} decisions to send",
                    "总部       自 {} 起未连接，{} 条决策待发送",
                ],
            };
            let since = line["since"].as_i64().map_or_else(String::new, |at| UnixMs(at).to_string());
            say(both, &[&since, &plain(line.get("backlog"))])?;
            let fault = &line["last_error"];
            if let Ok(Fault { trouble, detail, at }) = Fault::deserialize(fault) {
                let code = trouble.code();
                let both = ["             at {}: {} ({}), {}", "           {}：{}（{}），{}"];
                say(both, &[&at, &code.title(lang), &code, &detail])?;
            } else if !fault.is_null() {
                say(["             {}", "           {}"], &[fault])?;
            }
        }
    }
    Ok(())
}

/// Answers `scan`.
pub fn scan(args: &ScanArgs, data_dir: &Path, out: &mut dyn Write) -> Result<Exit> {
    let mut data = json!({ "token": { "kind": args.kind, "value": args.value } });
    if let Some(locale) = &args.locale {
        data["locale"] = json!(locale);
    }
    request("scan", data, data_dir, args.json, out, &|reply, out| {
        match reply.pointer("/data/member").filter(|member| !member.is_null()) {
            Some(member) => tell(
                out,
                ["{} {} tier {} points {}", "{} {} 等级 {} 积分 {}"],
                &[
                    &plain(member.get("id")),
                    &plain(member.get("name")),
                    &plain(member.get("tier")),
                    &plain(member.pointer("/points/balance")),
                ],
            )?,
            None => tell(out, ["nobody known", "不是已知会员"], &[])?,
        }
        for care in list(reply, "/data/care") {
            writeln!(out, "  {}", plain(care.get("text")))?;
        }
        for offer in list(reply, "/data/offers") {
            tell(
                out,
                ["  offer {}: {} ({})", "  优惠 {}：{}（{}）"],
                &[&plain(offer.get("promotion")), &plain(offer.get("title")), &plain(offer.get("reason"))],
            )?;
        }
        for item in list(reply, "/data/recommendations") {
            let figures: [&dyn Display; 2] = [&plain(item.get("sku")), &plain(item.get("because"))];
            tell(out, ["  suggest {}: {}", "  推荐 {}：{}"], &figures)?;
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
            tell(
                out,
                ["  coupon {}: {} {}", "  券 {}：{} {}"],
                &[&plain(coupon.get("code")), &plain(coupon.get("outcome")), &plain(coupon.get("reason"))],
            )?;
        }
        tell(
            out,
            ["total {} of {} (minor units)", "合计 {}，原价 {}（最小货币单位）"],
            &[&plain(reply.pointer("/data/total")), &plain(reply.pointer("/data/subtotal"))],
        )?;
        if args.explain {
            for not in list(reply, "/data/not_applied") {
                tell(
                    out,
                    ["  not {}: {} {}", "  未用 {}：{} {}"],
                    &[&plain(not.get("promotion")), &plain(not.get("reason")), &plain(not.get("detail"))],
                )?;
            }
            for near in list(reply, "/data/near") {
                let (promotion, gain) = (plain(near.get("promotion")), plain(near.get("gain")));
                let both = ["  near {}: add {} of {}, save {} more", "  差一点 {}：加 {} 件 {}，再省 {}"];
                match Addition::deserialize(&near["add"])? {
                    Addition::Units { sku, qty } => tell(out, both, &[&promotion, &qty, &sku, &gain])?,
                    Addition::Set { set, qty } => tell(out, both, &[&promotion, &qty, &set, &gain])?,
                    Addition::Amount { amount } => {
                        let both =
                            ["  near {}: spend {} more, save {} more", "  差一点 {}：再买 {}，再省 {}"];
                        tell(out, both, &[&promotion, &amount.0, &gain])?;
                    }
                    Addition::From { from } => {
                        let both =
                            ["  near {}: once from {}, save {} more", "  差一点 {}：自 {} 起，再省 {}"];
                        tell(out, both, &[&promotion, &from, &gain])?;
                    }
                }
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
        let both = ["no decision {} is in the journal of {}", "{} 号决策不在 {} 的日志中"];
        tell(out, both, &[&seq, &data_dir.display()])?;
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
        let both =
            ["no daemon runs on {}; start it with aisled run", "{} 上没有运行中的服务；请执行 aisled run"];
        tell(out, both, &[&data_dir.display()])?;
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

#[cfg(test)]
mod tests {
    use super::*;

    fn told(status: &Value, lang: Lang) -> String {
        let mut out = Vec::new();
        tell_status(status, lang, &mut out).expect("memory takes it");
        String::from_utf8(out).expect("text")
    }

    #[test]
    fn does_a_hindered_box_say_what_hinders_it() {
        let line = json!({
            "connected": false, "since": 0, "backlog": 7,
            "last_error": { "trouble": "dns", "detail": "office: no address", "at": 1_000 },
        });
        let network = json!({ "code": "AIS-3021", "cause": "use the network: it is empty" });
        let status = |state: &str, footing: &str, code: Option<&str>| {
            json!({
                "state": state, "store": "s01", "epoch": 2, "version": "0.1.0", "head_office": line,
                "disk": { "code": code, "footing": footing }, "network": network,
            })
        };
        let low = told(&status("degraded", "Whole", None), Lang::En);
        for said in
            ["degraded", "(AIS-5016)", "failed to use the network", "7 decisions", "(AIS-6001), office: no"]
        {
            assert!(low.contains(said), "{said}: {low}");
        }
        assert!(!low.contains("ready") && !low.contains('{'), "{low}");
        let full = told(&status("degraded", "ReadOnly", Some("AIS-5003")), Lang::ZhCn);
        for said in ["只读：可报价，不能成交", "（AIS-5003）", "7 条决策待发送", "推荐网络   不可用"]
        {
            assert!(full.contains(said), "{said}: {full}");
        }
        let well = json!({ "state": "ready", "disk": { "code": null, "footing": "Whole" } });
        assert!(told(&well, Lang::En).contains(", ready, ") && !told(&well, Lang::En).contains("AIS-"));
    }
}
