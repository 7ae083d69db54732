//! `aisled replay DECISION|--day D`: stored decisions evaluated again, which must give the same bytes.
//!
//! Reads the journal beside a running daemon, changing nothing. Each sale is priced again from what its entry holds,
//! under the bundle it names, found by version and hash among those the box keeps; each void and return is worked out
//! again. Everything else has no figures and is only counted. `--under` takes other rules instead, for what they
//! would have said.
//!
//! Exit codes: 0 all the same, 1 something differs, or could not be evaluated: damaged, or its rules are gone.

use std::collections::BTreeMap;
use std::fs::File;
use std::io::{BufReader, Write};
use std::path::{Path, PathBuf};
use std::sync::Arc;

use anyhow::{Context, Result, anyhow, bail};
use clap::Args;
use serde::Serialize;
use serde_json::{Value, json};

use super::Exit;
use super::bundle::{Surroundings, open_rules};
use super::outbox::JOURNAL_DIR;
use crate::bundle::Bundle;
use crate::bundle::keys::PublicKey;
use crate::bundle::packed::{self, Admission};
use crate::daemon::{is_kept, trusted_of_kept};
use crate::domain::calendar::Day;
use crate::domain::code::Code;
use crate::domain::ids::{BundleRef, Seq};
use crate::domain::text::Lang;
use crate::engine::decision::Entry;
use crate::engine::replay;
use crate::limits;
use crate::storage::disk::OsDisk;
use crate::storage::error::StorageError;
use crate::storage::journal::JournalView;
use crate::storage::vault::Vault;

/// Arguments of `replay`.
#[derive(Args, Clone, Debug)]
pub struct ReplayArgs {
    /// A decision, as receipts name it (STORE/EPOCH/SEQ) or its number alone
    #[arg(required_unless_present = "day", conflicts_with = "day")]
    pub decision: Option<String>,
    /// All decisions of a day, by the shop's civil time
    #[arg(long, value_name = "DAY")]
    pub day: Option<Day>,
    /// Other rules instead of those of the sale: a folder or a signed file
    #[arg(long, value_name = "PATH")]
    pub under: Option<PathBuf>,
    /// For a signed file: public key to trust, as text or in a file; beside the configured ones
    #[arg(long)]
    pub key: Vec<String>,
    /// Print one JSON object
    #[arg(long)]
    pub json: bool,
}

/// One decision that is not as it was.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
struct Difference {
    decision: Seq,
    /// Where the two first differ.
    path: String,
    was: Value,
    is: Value,
}

/// What became of the decisions.
#[derive(Clone, Debug, Default, Serialize)]
struct Report {
    decisions: u64,
    sales: u64,
    refunds: u64,
    same: u64,
    different: u64,
    /// Sales of members who were forgotten, and what came back of them, that come out otherwise without what was said of the
    /// member, such as a birthday.
    forgotten: u64,
    /// Decisions without figures: scans of members, feedback, bundles.
    without_figures: u64,
    /// Decisions whose rules the box does not keep any more, or whose sale is not in the journal.
    without_rules: u64,
    unreadable: u64,
    /// The first ones.
    differences: Vec<Difference>,
    /// The first reasons why decisions could not be evaluated.
    troubles: Vec<String>,
}

/// The bundles a box keeps, each compiled once.
pub(crate) struct KeptRules {
    dir: PathBuf,
    trusted: Vec<PublicKey>,
    /// With the box's own key.
    of_kept: Vec<PublicKey>,
    read: BTreeMap<(u64, Arc<str>), Result<Arc<Bundle>, String>>,
}

impl KeptRules {
    /// Those of a data directory, signed by somebody trusted.
    pub(crate) fn new(data_dir: &Path, trusted: Vec<PublicKey>) -> KeptRules {
        let of_kept = trusted_of_kept(data_dir, &trusted);
        KeptRules { dir: data_dir.join("bundles"), trusted, of_kept, read: BTreeMap::new() }
    }

    /// The rules a decision names.
    pub(crate) fn find(&mut self, reference: &BundleRef) -> Result<Arc<Bundle>, String> {
        let (dir, trusted) = (&self.dir, (&*self.trusted, &*self.of_kept));
        let name = (reference.version, reference.hash.clone());
        let read = || open_kept(dir, trusted, reference).map(Arc::new).map_err(|error| format!("{error:#}"));
        self.read.entry(name).or_insert_with(read).clone()
    }
}

impl KeptRules {
    /// These are read already.
    pub(crate) fn know(&mut self, bundle: Arc<Bundle>) {
        let name = (bundle.reference.version, bundle.reference.hash.clone());
        self.read.insert(name, Ok(bundle));
    }

    /// Those that were looked for and found.
    pub(crate) fn known(&self) -> impl Iterator<Item = &Arc<Bundle>> {
        self.read.values().filter_map(|read| read.as_ref().ok())
    }
}

fn open_kept(
    dir: &Path,
    (trusted, of_kept): (&[PublicKey], &[PublicKey]),
    reference: &BundleRef,
) -> Result<Bundle> {
    let path = dir.join(format!("{}-{}.aisb", reference.version, reference.hash));
    let file = File::open(&path).with_context(|| format!("failed to open {}", path.display()))?;
    let admission = Admission { trusted: of_kept, floor: 0, store: None };
    let opened = packed::open(BufReader::new(file), &admission)
        .map_err(|error| anyhow!("failed to open {}: {error} ({})", path.display(), error.code()))?;
    if !is_kept(&opened, reference, trusted) {
        bail!("failed to load bundle {}: {} holds another one", reference.version, path.display());
    }
    Bundle::compile(reference.clone(), opened.rules)
        .map_err(|error| anyhow!("failed to load bundle {}: {error}", reference.version))
}

/// Reads the journal of a data directory, beside a running daemon, and who its numbers are.
pub(super) fn journal(data_dir: &Path) -> Result<(JournalView, Vault)> {
    let journal = data_dir.join(JOURNAL_DIR);
    if !journal.is_dir() {
        bail!("failed to find a journal in {}: has the daemon ever run here?", data_dir.display());
    }
    let view = JournalView::look(Arc::new(OsDisk), &journal).context("failed to read the journal")?;
    Ok((view, Vault::beside(data_dir).context("failed to read the names of the journal")?))
}

/// Answers `replay`, on the daemon's data directory.
///
/// # Errors
/// A journal or a file that cannot be read, an argument that is no decision.
pub fn run(
    args: &ReplayArgs,
    data_dir: &Path,
    surroundings: &Surroundings,
    out: &mut dyn Write,
) -> Result<Exit> {
    let (view, vault) = journal(data_dir)?;
    let under = match &args.under {
        None => None,
        Some(path) => {
            let Some(opened) = open_rules(path, &args.key, surroundings, out)? else {
                return Ok(Exit::Finding);
            };
            let reference = opened.reference.unwrap_or(BundleRef { version: 0, hash: "not-signed".into() });
            let bundle = Bundle::compile(reference, opened.rules);
            Some(Arc::new(bundle.map_err(|error| anyhow!("failed to compile {}: {error}", path.display()))?))
        }
    };
    let mut trusted = surroundings.trusted.clone();
    for key in &args.key {
        trusted.push(super::bundle::public_key(key)?);
    }
    let mut again = Again {
        view: &view,
        vault: &vault,
        rules: KeptRules::new(data_dir, trusted),
        under,
        report: Report::default(),
        figures: None,
    };
    match (&args.decision, args.day) {
        (Some(reference), _) => {
            let number = reference.rsplit('/').next().unwrap_or(reference);
            let seq: u64 =
                number.parse().with_context(|| format!("failed to read {reference:?}: no decision"))?;
            match again.entry(Seq(seq))? {
                Some(Ok(entry)) => again.evaluate(&entry),
                Some(Err(why)) => again.unreadable(Seq(seq), &why),
                None => {
                    writeln!(out, "no decision {seq} is in the journal of {}", data_dir.display())?;
                    return Ok(Exit::Finding);
                }
            }
        }
        (None, Some(day)) => again.day(day)?,
        (None, None) => bail!("failed to replay: name a decision or a day"),
    }
    let Again { report, figures, .. } = again;
    tell(&report, figures, (surroundings.lang, args.json), out)?;
    let well = report.different + report.without_rules + report.unreadable == 0;
    Ok(if well { Exit::Ok } else { Exit::Finding })
}

struct Again<'a> {
    view: &'a JournalView,
    vault: &'a Vault,
    rules: KeptRules,
    under: Option<Arc<Bundle>>,
    report: Report,
    /// Of the decision evaluated last: all figures, reasons included.
    figures: Option<Value>,
}

impl Again<'_> {
    fn entry(&self, seq: Seq) -> Result<Option<Result<Entry, String>>> {
        if seq < self.view.first() || seq > self.view.durable() {
            return Ok(None);
        }
        match self.view.reader(seq).next() {
            Ok(Some(raw)) if raw.seq == seq => {
                Ok(Some(self.vault.decode(raw.payload).map_err(|fault| fault.to_string())))
            }
            Ok(_) | Err(StorageError::Gap { .. } | StorageError::Pruned { .. }) => Ok(None),
            Err(error) => Err(error).context("failed to read the journal"),
        }
    }

    fn day(&mut self, day: Day) -> Result<()> {
        let view = self.view;
        let mut reader = view.reader(view.first());
        loop {
            let (seq, decoded) = match reader.next() {
                Ok(Some(raw)) => (raw.seq, self.vault.decode(raw.payload)),
                Ok(None) => return Ok(()),
                Err(StorageError::Gap { from, to }) => {
                    let why = format!("decisions {} to {} are missing from the journal", from.0, to.0);
                    self.report.unreadable += 1;
                    self.trouble(why);
                    continue;
                }
                Err(error) => return Err(error).context("failed to read the journal"),
            };
            match decoded {
                Ok(entry) if self.is_of(&entry, day) => self.evaluate(&entry),
                Ok(_) => {}
                Err(fault) => self.unreadable(seq, &fault.to_string()),
            }
        }
    }

    /// By the civil time of the shop it was decided in. Before any rules a shop has no civil time.
    fn is_of(&mut self, entry: &Entry, day: Day) -> bool {
        let Some(reference) = &entry.bundle else { return false };
        let bundle = match &self.under {
            Some(bundle) => Ok(bundle.clone()),
            None => self.rules.find(reference),
        };
        // Without its rules it is of every day, so that it is told.
        bundle.map_or(true, |bundle| bundle.shop.time_zone.civil(entry.at).day == day)
    }

    fn trouble(&mut self, why: String) {
        if self.report.troubles.len() < limits::REPLAY_TOLD_MAX {
            self.report.troubles.push(why);
        }
    }

    fn unreadable(&mut self, seq: Seq, why: &str) {
        self.report.decisions += 1;
        self.report.unreadable += 1;
        self.trouble(format!("decision {}: failed to {why}", seq.0));
    }

    fn without_rules(&mut self, seq: Seq, why: String) {
        self.report.without_rules += 1;
        self.trouble(format!("decision {}: {why}", seq.0));
    }

    fn rules_for(&mut self, reference: &BundleRef) -> Result<Arc<Bundle>, String> {
        match &self.under {
            Some(bundle) => Ok(bundle.clone()),
            None => self.rules.find(reference),
        }
    }

    fn evaluate(&mut self, entry: &Entry) {
        self.report.decisions += 1;
        if let Some(quote) = entry.facts.quotes().next() {
            self.report.sales += 1;
            let bundle = match self.rules_for(&quote.bundle) {
                Ok(bundle) => bundle,
                Err(why) => return self.without_rules(entry.seq, why),
            };
            match replay::replay(&bundle, entry) {
                Some(Ok(replayed)) => {
                    self.figures = serde_json::to_value(&replayed.priced).ok();
                    let now = replayed.kept_form();
                    self.judge(entry, replayed.same, &json!(replayed.quote.priced), &json!(now));
                }
                Some(Err(fault)) => {
                    let is = json!(fault.to_string());
                    self.judge(entry, false, &json!(replay_total(entry)), &is);
                }
                None => self.report.without_figures += 1,
            }
        } else if let Some((kept, sale)) = replay::taken_back(entry) {
            self.report.refunds += 1;
            self.evaluate_refund(entry, &json!(kept), sale);
        } else {
            self.report.without_figures += 1;
        }
    }

    fn evaluate_refund(&mut self, entry: &Entry, kept: &Value, sale: Seq) {
        let sale = match self.entry(sale) {
            Ok(Some(Ok(sale))) => sale,
            _ => return self.without_rules(entry.seq, format!("its sale, decision {}, is gone", sale.0)),
        };
        let past = replay::rules_of_the_sale(&sale).cloned();
        let past = past.and_then(|past| self.rules_for(&past).ok());
        let bundle = match &entry.bundle {
            Some(reference) => self.rules_for(reference),
            None => Err("it names no rules".to_owned()),
        };
        // What comes back is worth what it was under the rules of the sale; those of the day name nothing.
        let bundle = match bundle.or_else(|why| past.clone().ok_or(why)) {
            Ok(bundle) => bundle,
            Err(why) => return self.without_rules(entry.seq, why),
        };
        let of_nobody = replay::is_of_nobody(&sale);
        let answer = replay::take_back_again(&bundle, past.as_ref(), entry, sale);
        let is = match answer {
            Some(Ok(crate::engine::reply::Reply::Refund(refund))) => json!(refund),
            Some(Err(refusal)) => json!(refusal.detail),
            _ => Value::Null,
        };
        self.figures = Some(is.clone());
        match of_nobody && is != *kept {
            true => self.report.forgotten += 1,
            false => self.judge(entry, is == *kept, kept, &is),
        }
    }

    fn judge(&mut self, entry: &Entry, same: bool, was: &Value, is: &Value) {
        let decision = entry.seq;
        if same {
            self.report.same += 1;
            return;
        }
        if replay::is_of_nobody(entry) {
            self.report.forgotten += 1;
            return;
        }
        self.report.different += 1;
        if self.report.differences.len() < limits::REPLAY_TOLD_MAX {
            let (path, was, is) = first_difference(was, is)
                .unwrap_or_else(|| ("the bytes".to_owned(), Value::Null, Value::Null));
            self.report.differences.push(Difference { decision, path, was, is });
        }
    }
}

fn replay_total(entry: &Entry) -> Option<i64> {
    entry.facts.quotes().next().map(|quote| quote.priced.total.0)
}

/// The path of the first part in which two documents differ, with both.
fn first_difference(was: &Value, is: &Value) -> Option<(String, Value, Value)> {
    let below = |step: String, found: (String, Value, Value)| {
        let (path, was, is) = found;
        let path = if path.is_empty() || path.starts_with('[') {
            format!("{step}{path}")
        } else {
            format!("{step}.{path}")
        };
        (path, was, is)
    };
    match (was, is) {
        (Value::Object(a), Value::Object(b)) => {
            let mut keys: Vec<&String> = a.keys().chain(b.keys()).collect();
            keys.sort();
            keys.dedup();
            keys.into_iter().find_map(|key| {
                let missing = Value::Null;
                let found = first_difference(a.get(key).unwrap_or(&missing), b.get(key).unwrap_or(&missing))?;
                Some(below(key.clone(), found))
            })
        }
        (Value::Array(a), Value::Array(b)) => {
            let missing = Value::Null;
            (0..a.len().max(b.len())).find_map(|at| {
                let found = first_difference(a.get(at).unwrap_or(&missing), b.get(at).unwrap_or(&missing))?;
                Some(below(format!("[{at}]"), found))
            })
        }
        (was, is) if was == is => None,
        (was, is) => Some((String::new(), was.clone(), is.clone())),
    }
}

fn tell(
    report: &Report,
    figures: Option<Value>,
    (lang, json): (Lang, bool),
    out: &mut dyn Write,
) -> Result<()> {
    if json {
        let mut object = serde_json::to_value(report)?;
        object["same_all"] = json!(report.different + report.without_rules + report.unreadable == 0);
        if report.decisions == 1 {
            object["figures"] = figures.unwrap_or(Value::Null);
        }
        writeln!(out, "{object:#}")?;
        return Ok(());
    }
    for Difference { decision, path, was, is } in &report.differences {
        match lang {
            Lang::En => writeln!(out, "decision {}: {path} was {was}, is {is}", decision.0)?,
            Lang::ZhCn => writeln!(out, "决策 {}：{path} 原为 {was}，现为 {is}", decision.0)?,
        }
    }
    for trouble in &report.troubles {
        writeln!(out, "{trouble}")?;
    }
    if report.forgotten > 0 {
        let (count, code) = (report.forgotten, Code::MemberForgotten);
        match lang {
            Lang::En => writeln!(out, "{count} of members who were forgotten ({code})")?,
            Lang::ZhCn => writeln!(out, "其中 {count} 个属于已被遗忘的会员（{code}）")?,
        }
    }
    let Report { decisions, sales, refunds, same, different, without_rules, unreadable, .. } = report;
    match lang {
        Lang::En => writeln!(
            out,
            "{decisions} decisions, {sales} sales and {refunds} refunds: {same} the same, {different} different, \
             {without_rules} without their rules, {unreadable} unreadable"
        )?,
        Lang::ZhCn => writeln!(
            out,
            "{decisions} 个决策，其中 {sales} 笔销售、{refunds} 笔退款：{same} 一致，{different} 不同，\
             {without_rules} 缺规则，{unreadable} 无法读取"
        )?,
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn where_do_two_documents_first_differ() {
        let was = json!({ "a": 1, "lines": [{ "net": 5 }, { "net": 6, "off": [1, 2] }] });
        let found =
            |is: Value| first_difference(&was, &is).map(|(path, was, is)| format!("{path} {was} {is}"));
        assert_eq!(found(was.clone()), None);
        let mut is = was.clone();
        is["lines"][1]["off"][1] = json!(3);
        assert_eq!(found(is).as_deref(), Some("lines[1].off[1] 2 3"));
        let mut is = was.clone();
        is["lines"].as_array_mut().expect("a list").pop();
        assert!(found(is).expect("shorter").starts_with("lines[1] {"));
        assert_eq!(found(json!({ "a": 1 })).expect("a key less").split(' ').next(), Some("lines"));
    }
}
