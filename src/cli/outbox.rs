//! `aisled outbox`: what has not reached head office, why, and what a human may do about one entry.
//!
//! Reads the journal and the sender's state file beside a running daemon, changing neither; `park` and `retry` write
//! `outbox.json`, which the daemon reads within a second. Parking sends an entry's hash in its place, so that those behind
//! it go on; its bytes stay in the shop until it is released.

use std::collections::BTreeSet;
use std::io::Write;
use std::path::Path;
use std::sync::Arc;

use anyhow::{Context, Result, bail};
use clap::{Args, Subcommand};
use serde_json::json;

use super::Exit;
use super::explain::terminal_lang;
use super::words::{of, tell};
use crate::domain::ids::Seq;
use crate::engine::decision::Entry;
use crate::engine::input::{Body, Input};
use crate::limits;
use crate::storage::disk::OsDisk;
use crate::storage::error::StorageError;
use crate::storage::journal::JournalView;
use crate::storage::vault::Vault;
use crate::upstream::files::{ParkFile, StateFile};

/// Below the data directory: the sender's files.
pub const SENDER_DIR: &str = "upstream";
/// Below the data directory: the journal.
pub const JOURNAL_DIR: &str = "journal";

/// Arguments of `outbox`.
#[derive(Args, Clone, Debug)]
pub struct OutboxArgs {
    /// What to do
    #[command(subcommand)]
    pub verb: OutboxVerb,
}

/// What to do with the outbox.
#[derive(Subcommand, Clone, Copy, Debug)]
pub enum OutboxVerb {
    /// How much waits, since when, and what is wrong with the line
    Status {
        /// Print one JSON object
        #[arg(long)]
        json: bool,
    },
    /// The entries that head office does not have
    List {
        /// At most so many
        #[arg(long, default_value_t = 20)]
        max: usize,
        /// Print one JSON array
        #[arg(long)]
        json: bool,
    },
    /// One entry, whole
    Show {
        /// Its number in the journal
        seq: u64,
    },
    /// Send a parked entry after all
    Retry {
        /// Its number in the journal
        seq: u64,
    },
    /// Send only an entry's hash, so that those behind it go on
    Park {
        /// Its number in the journal
        seq: u64,
    },
}

/// What head office is known to have.
struct Line {
    applied: Seq,
    parked_there: BTreeSet<Seq>,
    withheld: BTreeSet<Seq>,
}

/// Does it, on the daemon's data directory.
pub fn run(args: &OutboxArgs, data_dir: &Path, out: &mut dyn Write) -> Result<Exit> {
    let sender = data_dir.join(SENDER_DIR);
    let journal = data_dir.join(JOURNAL_DIR);
    if !journal.is_dir() {
        bail!("failed to find a journal in {}: has the daemon ever run here?", data_dir.display());
    }
    let view = JournalView::look(Arc::new(OsDisk), &journal).context("failed to read the journal")?;
    let vault = Vault::beside(data_dir).context("failed to read the names of the journal")?;
    let state = StateFile::read(&sender).context("failed to read the sender's state")?;
    let parked = ParkFile::read(&sender).context("failed to read outbox.json")?;
    let line = Line {
        applied: state.as_ref().map_or(Seq(0), |state| state.status.remembered.applied_through),
        parked_there: state.iter().flat_map(|state| &state.status.parked_there).copied().collect(),
        withheld: state.iter().flat_map(|state| &state.status.parked_here).copied().collect(),
    };
    match args.verb {
        OutboxVerb::Status { json } => status(&view, state.as_ref(), &parked, json, out),
        OutboxVerb::List { max, json } => list(&view, &line, &parked, (max, json), out),
        OutboxVerb::Show { seq } => show((&view, &vault), Seq(seq), out),
        OutboxVerb::Park { seq } => park(&view, &line, parked, (Seq(seq), &sender), out),
        OutboxVerb::Retry { seq } => retry(&line, parked, (Seq(seq), &sender), out),
    }
}

const PARKED_THERE: [&str; 2] = ["parked at head office", "搁置于总部"];
const PARKED_HERE: [&str; 2] = ["parked here", "搁置于本机"];
const WAITING: [&str; 2] = ["waiting", "待发送"];
const NOT_THERE: [&str; 2] = ["no entry {} is in the journal", "日志中没有 {} 号记录"];

fn status(
    view: &JournalView,
    state: Option<&StateFile>,
    parked: &ParkFile,
    json: bool,
    out: &mut dyn Write,
) -> Result<Exit> {
    let durable = view.durable();
    let applied = state.map_or(Seq(0), |state| state.status.remembered.applied_through);
    let waiting = durable.0.saturating_sub(applied.0);
    if json {
        let report =
            json!({ "durable": durable, "waiting": waiting, "parked": parked.parked, "sender": state });
        writeln!(out, "{report:#}")?;
        return Ok(Exit::Ok);
    }
    let both = [
        "journal through {}, head office has it through {}: {} waiting",
        "日志至 {}，总部已有至 {}：{} 条待发送",
    ];
    tell(out, both, &[&durable.0, &applied.0, &waiting])?;
    let Some(state) = state else {
        tell(out, ["nothing was ever sent from here", "尚未发送过任何内容"], &[])?;
        return Ok(Exit::Ok);
    };
    let status = &state.status;
    let both = match status.connected {
        true => ["connected, durable there through {}", "已连接，总部已备份至 {}"],
        false => ["not connected, durable there through {}", "未连接，总部已备份至 {}"],
    };
    tell(out, both, &[&status.remembered.durable_through.0])?;
    if let Some(age) = status.oldest_unsent_ms {
        tell(out, ["the oldest has waited {} s", "最早的已等待 {} 秒"], &[&(age / 1_000)])?;
    }
    if let Some(fault) = &status.last_error {
        let code = fault.trouble.code();
        tell(out, ["{}: {} ({})", "{}：{}（{}）"], &[&code.title(terminal_lang()), &fault.detail, &code])?;
    }
    if let Some((seq, tries)) = status.stuck {
        let both = [
            "entry {} was sent {} times in vain: aisled outbox show {}",
            "{} 号记录已发送 {} 次未果：aisled outbox show {}",
        ];
        tell(out, both, &[&seq.0, &tries, &seq.0])?;
    }
    for (what, seqs) in [(PARKED_THERE, &status.parked_there), (PARKED_HERE, &status.parked_here)] {
        if !seqs.is_empty() {
            let seqs: Vec<String> = seqs.iter().map(|seq| seq.0.to_string()).collect();
            tell(out, ["{}: {}", "{}：{}"], &[&of(what), &seqs.join(" ")])?;
        }
    }
    let well = status.last_error.is_none() && status.stuck.is_none() && status.parked_there.is_empty();
    Ok(if well { Exit::Ok } else { Exit::Finding })
}

/// The bytes of each entry from `from` on that is not beyond the durable end, holes passed over.
fn each(view: &JournalView, from: Seq, mut act: impl FnMut(Seq, &[u8]) -> Result<bool>) -> Result<()> {
    let mut reader = view.reader(from.max(view.first()));
    loop {
        match reader.next() {
            Ok(Some(entry)) => {
                if !act(entry.seq, entry.payload)? {
                    return Ok(());
                }
            }
            Ok(None) => return Ok(()),
            Err(StorageError::Gap { .. }) => {}
            Err(error) => return Err(error).context("failed to read the journal"),
        }
    }
}

/// What an entry is, in a word.
pub(crate) fn word(entry: &Entry) -> &'static str {
    match &entry.input {
        Input::Members(_) => "members",
        Input::Lease(_) => "lease",
        Input::Shown(_) => "shown",
        Input::Forget(_) => "forget",
        Input::Order(_) => "order",
        Input::Activate(_) => "activate",
        Input::Request(request) => match &request.body {
            Body::Scan(_) => "scan",
            Body::Quote { .. } => "quote",
            Body::Commit(_) => "commit",
            Body::Void(_) => "void",
            Body::Return(_) => "return",
            Body::Feedback(_) => "feedback",
            Body::Event(_) => "event",
            Body::Enroll(_) => "enroll",
            Body::Wallet(_) => "wallet",
        },
    }
}

fn list(
    view: &JournalView,
    line: &Line,
    parked: &ParkFile,
    (max, json): (usize, bool),
    out: &mut dyn Write,
) -> Result<Exit> {
    let mut rows = Vec::new();
    let mut row = |seq: Seq, bytes: &[u8]| {
        let fate = match seq {
            seq if line.parked_there.contains(&seq) => PARKED_THERE[0],
            seq if line.withheld.contains(&seq) || parked.parked.contains(&seq) => PARKED_HERE[0],
            _ => WAITING[0],
        };
        let decoded = Entry::decode(bytes);
        let what = decoded.as_ref().map_or("unreadable", word);
        let at = decoded.as_ref().map_or(0, |entry| entry.at.0);
        rows.push(json!({ "seq": seq, "fate": fate, "what": what, "at_ms": at, "bytes": bytes.len() }));
        rows.len() < max
    };
    // Parked ones lie behind what head office has; they come first.
    for seq in line.parked_there.union(&line.withheld).copied() {
        each(view, seq, |found, bytes| {
            let _ = found == seq && row(found, bytes);
            Ok(false)
        })?;
    }
    each(view, Seq(line.applied.0 + 1), |seq, bytes| Ok(row(seq, bytes)))?;
    if json {
        writeln!(out, "{:#}", serde_json::Value::Array(rows))?;
        return Ok(Exit::Ok);
    }
    for row in rows {
        let text = |key: &str| row[key].as_str().unwrap_or_default().to_owned();
        let fate =
            [PARKED_THERE, PARKED_HERE, WAITING].into_iter().find(|[english, _]| *english == row["fate"]);
        writeln!(
            out,
            "{:>10}  {:<8}  {:>7} {}  {}",
            row["seq"],
            text("what"),
            row["bytes"],
            of(["bytes", "字节"]),
            of(fate.unwrap_or(WAITING))
        )?;
    }
    Ok(Exit::Ok)
}

fn show((view, vault): (&JournalView, &Vault), seq: Seq, out: &mut dyn Write) -> Result<Exit> {
    let mut found = None;
    each(view, seq, |at, bytes| {
        found = (at == seq).then(|| bytes.to_vec());
        Ok(false)
    })?;
    let Some(bytes) = found else {
        tell(out, NOT_THERE, &[&seq.0])?;
        return Ok(Exit::Finding);
    };
    match vault.decode(&bytes) {
        Ok(entry) => {
            writeln!(out, "{}", serde_json::to_string_pretty(&entry)?)?;
            Ok(Exit::Ok)
        }
        Err(fault) => {
            let both = ["entry {}: {} bytes, failed to {}", "{} 号记录：{} 字节，无法读取：{}"];
            tell(out, both, &[&seq.0, &bytes.len(), &fault])?;
            Ok(Exit::Finding)
        }
    }
}

fn park(
    view: &JournalView,
    line: &Line,
    mut file: ParkFile,
    (seq, sender): (Seq, &Path),
    out: &mut dyn Write,
) -> Result<Exit> {
    if seq <= line.applied {
        tell(out, ["head office has entry {} already", "总部已有 {} 号记录"], &[&seq.0])?;
        return Ok(Exit::Finding);
    }
    if seq > view.durable() {
        tell(out, NOT_THERE, &[&seq.0])?;
        return Ok(Exit::Finding);
    }
    file.parked.insert(seq);
    if file.parked.len() > limits::UPSTREAM_PARKED_MAX {
        bail!("failed to park another entry: {} are parked", limits::UPSTREAM_PARKED_MAX);
    }
    file.write(sender).with_context(|| format!("failed to write outbox.json in {}", sender.display()))?;
    let both = [
        "entry {} is parked: head office gets its hash, those behind it go on",
        "{} 号记录已搁置：总部得到其哈希，后续记录照常发送",
    ];
    tell(out, both, &[&seq.0])?;
    Ok(Exit::Ok)
}

fn retry(line: &Line, mut file: ParkFile, (seq, sender): (Seq, &Path), out: &mut dyn Write) -> Result<Exit> {
    if !file.parked.remove(&seq) {
        let both = if line.parked_there.contains(&seq) {
            [
                "entry {}: head office holds its bytes and does not understand them: it is to be mended there",
                "{} 号记录：总部持有其内容但无法解读，须在总部处理",
            ]
        } else {
            ["entry {}: it is not parked here", "{} 号记录：未在本机搁置"]
        };
        tell(out, both, &[&seq.0])?;
        return Ok(Exit::Finding);
    }
    file.write(sender).with_context(|| format!("failed to write outbox.json in {}", sender.display()))?;
    let both = ["entry {} is released and goes with the next batch", "{} 号记录已放行，随下一批发送"];
    tell(out, both, &[&seq.0])?;
    Ok(Exit::Ok)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::domain::calendar::UnixMs;
    use crate::domain::ids::{BundleRef, Epoch};
    use crate::engine::decision::Facts;
    use crate::engine::reply::{Noted, Reply};
    use crate::storage::journal::{Journal, JournalOptions};

    fn entry(seq: u64) -> Vec<u8> {
        let bundle = BundleRef { version: 1, hash: "0".repeat(16).into() };
        Entry {
            seq: Seq(seq),
            epoch: Epoch(1),
            at: UnixMs(1),
            bundle: None,
            input: Input::Activate(bundle),
            facts: Facts::default(),
            answer: Ok(Reply::Noted(Noted::of(format!("s1/1/{seq}")))),
            changes: [].into(),
        }
        .encode()
    }

    fn said(dir: &Path, verb: OutboxVerb) -> (String, Exit) {
        let mut out = Vec::new();
        let exit = run(&OutboxArgs { verb }, dir, &mut out).expect("it runs");
        (String::from_utf8(out).expect("text"), exit)
    }

    #[test]
    fn can_an_entry_be_found_parked_and_released_beside_the_writer() {
        let dir = tempfile::tempdir().expect("a directory");
        std::fs::create_dir(dir.path().join(SENDER_DIR)).expect("makes");
        let options = JournalOptions::new(Epoch(1), 1);
        let (mut journal, _) =
            Journal::open(Arc::new(OsDisk), &dir.path().join(JOURNAL_DIR), options).expect("opens");
        journal.append(&[entry(1), entry(2), b"?".to_vec()]).expect("appends");
        let (text, exit) = said(dir.path(), OutboxVerb::Status { json: false });
        assert!(text.contains("journal through 3") && text.contains("3 waiting"), "{text}");
        assert_eq!(exit, Exit::Ok);
        assert_eq!(said(dir.path(), OutboxVerb::Park { seq: 2 }).1, Exit::Ok);
        assert_eq!(said(dir.path(), OutboxVerb::Park { seq: 4 }).1, Exit::Finding);
        let (text, _) = said(dir.path(), OutboxVerb::List { max: 20, json: false });
        let lines: Vec<&str> = text.lines().map(str::trim).collect();
        assert!(lines[0].starts_with("1  activate") && lines[0].ends_with("waiting"), "{text}");
        assert!(lines[1].ends_with("parked here") && lines[2].contains("unreadable"), "{text}");
        assert!(said(dir.path(), OutboxVerb::Show { seq: 2 }).0.contains("\"activate\""));
        assert_eq!(said(dir.path(), OutboxVerb::Retry { seq: 2 }).1, Exit::Ok);
        assert_eq!(said(dir.path(), OutboxVerb::Retry { seq: 2 }).1, Exit::Finding);
        journal.append(&[entry(4)]).expect("the writer goes on");
        assert!(said(dir.path(), OutboxVerb::Status { json: false }).0.contains("4 waiting"));
    }
}
