//! `aisled conform --device D`: watches a device and tells which rules of the contract it meets.
//!
//! Asks the running daemon what it sees of the device, as it sells; nothing is sent to the device and nothing of a
//! shopper is told. Ends after so long, or after so many transactions. What was not seen is not judged: pull the plug, and the
//! last will is.
//!
//! Exit codes: 0 no rule was broken, 1 one was, or nothing was seen at all, 3 no daemon runs.

pub mod rules;

use std::io::Write;
use std::path::Path;
use std::time::Duration;

use anyhow::{Context, Result};
use clap::Args;
use serde_json::json;

use super::Exit;
use super::ask::not_running;
use crate::clock::{Clock, SystemClock};
use crate::daemon::control::{self, Ask};
use crate::daemon::sightings::Watched;
use crate::domain::ids::DeviceId;
use crate::domain::text::Lang;
use crate::limits;

use rules::{Finding, Judge, Verdict};

/// Arguments of `conform`.
#[derive(Args, Clone, Debug)]
pub struct ConformArgs {
    /// Which device
    #[arg(long, value_name = "DEVICE")]
    pub device: String,
    /// Watch for so many seconds
    #[arg(long, default_value_t = 60)]
    pub seconds: u64,
    /// Stop after so many transactions
    #[arg(long, value_name = "N")]
    pub transactions: Option<u64>,
    /// Print one JSON object
    #[arg(long)]
    pub json: bool,
}

/// Answers `conform`, with the daemon that runs on the data directory.
///
/// # Errors
/// An argument that is no device id, a daemon that goes away or watches too many already.
pub fn run(args: &ConformArgs, data_dir: &Path, lang: Lang, out: &mut dyn Write) -> Result<Exit> {
    let device = DeviceId::new(&args.device).with_context(|| format!("failed to read {:?}", args.device))?;
    let clock = SystemClock;
    let began = clock.ticks();
    let (mut judge, mut after, mut lost) = (Judge::default(), 0, 0);
    let mut was_online = false;
    loop {
        let Some(told) = control::ask(data_dir, &Ask::Watch { device: device.clone(), after })? else {
            return not_running(data_dir, args.json, out);
        };
        let told: Option<Watched> = serde_json::from_value(told).context("failed to read what was seen")?;
        let told = told.context("failed to watch: other devices are watched, as many as may be at a time")?;
        if told.online && !std::mem::replace(&mut was_online, true) {
            judge.online();
        }
        told.sightings.iter().for_each(|sighting| judge.see(sighting));
        lost += told.lost;
        let more = told.sightings.len() >= limits::WATCH_TOLD_MAX;
        after = told.next;
        let full = judge.requests >= limits::CONFORM_REQUESTS_MAX;
        let enough = full || args.transactions.is_some_and(|wanted| judge.transactions >= wanted);
        if enough || clock.ticks().since(began) >= Duration::from_secs(args.seconds) {
            break;
        }
        if !more {
            super::import::pause(Duration::from_millis(limits::WATCH_LOOK_MS));
        }
    }
    let findings = judge.findings();
    tell(args, (&judge, &findings, lost), lang, out)?;
    let broken = findings.iter().any(|finding| finding.verdict == Verdict::Broken);
    Ok(if broken || judge.requests == 0 { Exit::Finding } else { Exit::Ok })
}

fn tell(
    args: &ConformArgs,
    (judge, findings, lost): (&Judge, &[Finding], u64),
    lang: Lang,
    out: &mut dyn Write,
) -> Result<()> {
    let count = |verdict| findings.iter().filter(|finding| finding.verdict == verdict).count();
    let (met, broken, unseen) = (count(Verdict::Met), count(Verdict::Broken), count(Verdict::NotSeen));
    let unanswered = judge.unanswered();
    if args.json {
        let rules = findings.iter().map(|finding| {
            let mut rule = json!(finding);
            rule["title"] = json!(finding.rule.title(lang));
            rule["remedy"] = json!(finding.rule.remedy(lang));
            rule
        });
        let object = json!({
            "device": args.device, "requests": judge.requests, "transactions": judge.transactions,
            "unanswered": unanswered, "not_watched": lost, "met": met, "broken": broken, "not_seen": unseen,
            "rules": rules.collect::<Vec<_>>(),
        });
        writeln!(out, "{object:#}")?;
        return Ok(());
    }
    for finding in findings {
        let mark = match (finding.verdict, lang) {
            (Verdict::Met, Lang::En) => "met     ",
            (Verdict::Broken, Lang::En) => "BROKEN  ",
            (Verdict::NotSeen, Lang::En) => "not seen",
            (Verdict::Met, Lang::ZhCn) => "符合  ",
            (Verdict::Broken, Lang::ZhCn) => "违反  ",
            (Verdict::NotSeen, Lang::ZhCn) => "未观察",
        };
        writeln!(out, "{mark} {}", finding.rule.title(lang))?;
        if let Some(example) = &finding.example {
            writeln!(out, "         {example}")?;
            writeln!(out, "         -> {}", finding.rule.remedy(lang))?;
        }
    }
    let Judge { requests, transactions, .. } = judge;
    let device = &args.device;
    match lang {
        Lang::En => writeln!(
            out,
            "{device}: {requests} requests, {transactions} transactions, {unanswered} without an answer: {met} rules met, \
             {broken} broken, {unseen} not seen"
        )?,
        Lang::ZhCn => writeln!(
            out,
            "{device}：{requests} 个请求、{transactions} 笔交易、{unanswered} 个无应答：符合 {met}，违反 {broken}，未观察到 {unseen}"
        )?,
    }
    Ok(())
}
