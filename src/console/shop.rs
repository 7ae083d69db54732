//! What the daemon hands to the console: a picture of itself once a second, and answers to questions.
//!
//! A `Snapshot` is made by the daemon's loop and never changed; pages, metrics and health read nothing else of a running
//! shop. A `Question` costs more: it is asked from a thread that may wait. Answers are the documents that the verbs of
//! the shell print with `--json`, so that page and verb cannot differ.

use std::sync::Arc;

use serde_json::Value;
use tokio::sync::watch;

use super::lanes::Lane;
use crate::domain::calendar::{StoreZone, UnixMs};
use crate::domain::code::Code;
use crate::domain::ids::DeviceId;
use crate::domain::money::Currency;
use crate::domain::text::Texts;

/// The daemon at one moment.
#[derive(Clone, Debug, Default)]
pub struct Snapshot {
    /// When, by the wall's clock.
    pub at: UnixMs,
    /// The shop's id.
    pub store: String,
    /// What people call it; empty without rules.
    pub names: Texts,
    /// The program's version.
    pub version: &'static str,
    /// The life of the box.
    pub epoch: u64,
    /// Seconds since the start.
    pub up_s: i64,
    /// Nothing scarce is spent now.
    pub degraded: bool,
    /// The session with the broker stands.
    pub broker_up: bool,
    /// The rules in force: version, hash.
    pub bundle: Option<(u64, String)>,
    /// Why head office's network is of no use.
    pub network: Option<(Code, String)>,
    /// The shop's currency, as the rules say.
    pub currency: Option<Currency>,
    /// The shop's time zone, as the rules say.
    pub time_zone: Option<StoreZone>,
    /// Quotes that may still be settled.
    pub open_quotes: u64,
    /// What has been done since the start.
    pub counts: Counts,
    /// Each device that asked something, in order.
    pub lanes: Vec<Lane>,
    /// Answers by operation, in the contract's order.
    pub operations: Vec<super::lanes::Operation>,
    /// Each device that told its presence, in order.
    pub devices: Vec<SnapshotDevice>,
    /// Where the journal stands.
    pub journal: SnapshotJournal,
    /// What the disk has.
    pub disk: SnapshotDisk,
    /// The line to head office; none for a shop on its own.
    pub head_office: Option<SnapshotLine>,
}

/// What has been done since the start.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Counts {
    /// Messages under a request topic.
    pub requests: u64,
    /// Answers given.
    pub replies: u64,
    /// Of them refusals.
    pub refusals: u64,
    /// Of them first answers given again.
    pub replayed: u64,
    /// Decisions sent to the journal.
    pub decisions: u64,
    /// Answers that could not be handed to the broker.
    pub unspoken: u64,
}

/// A device and its presence.
#[derive(Clone, Debug)]
pub struct SnapshotDevice {
    /// Which.
    pub id: DeviceId,
    /// Is it there?
    pub online: bool,
    /// When that was heard.
    pub since: UnixMs,
    /// Its software, as it says.
    pub software: Option<String>,
}

/// The journal's places.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct SnapshotJournal {
    /// The first that is kept.
    pub first: u64,
    /// One past the last that was decided.
    pub next: u64,
    /// The last that is on the disk.
    pub durable: u64,
    /// The last that the tables hold.
    pub followed: u64,
    /// Decisions missing from it.
    pub missing: u64,
    /// Answers that wait for the disk.
    pub waiting: u64,
}

/// The disk.
#[derive(Clone, Debug, Default)]
pub struct SnapshotDisk {
    /// Free; nothing if it does not say.
    pub free_bytes: Option<u64>,
    /// Wanted at least.
    pub min_bytes: u64,
    /// Journal and tables both stand on it.
    pub whole: bool,
    /// Why they do not.
    pub code: Option<Code>,
}

/// The line to head office.
#[derive(Clone, Debug)]
pub struct SnapshotLine {
    /// Head office answers.
    pub connected: bool,
    /// Since when it does, or does not.
    pub since: UnixMs,
    /// Decisions head office has not taken over.
    pub backlog: u64,
    /// How long the oldest of them has waited, in ms.
    pub oldest_ms: Option<u64>,
    /// The last that it applied.
    pub applied: u64,
    /// The last that it holds in its backup.
    pub durable: u64,
    /// Set aside there or here, for a person to look at.
    pub parked: Vec<u64>,
    /// Sent so often in vain.
    pub stuck: Option<(u64, u32)>,
    /// By how many ms its clock is ahead.
    pub clock_ahead_ms: Option<i64>,
    /// Rules being fetched: version, bytes there, bytes in all.
    pub download: Option<(u64, u64, u64)>,
    /// The last trouble.
    pub trouble: Option<(Code, String)>,
    /// Batches sent since the start.
    pub batches: u64,
}

/// What is asked of the daemon beyond its snapshot.
#[derive(Clone, Debug, PartialEq)]
pub enum Question {
    /// All that is kept of a decision, and the reasons found again.
    Decision(String),
    /// The decisions of late, newest first.
    Recent,
    /// What each campaign did.
    Campaigns,
    /// How many members each segment has.
    Segments,
    /// Who is in a segment.
    Who(String),
    /// Members two segments share.
    Overlap(String, String),
    /// Sales by weekday and hour.
    Hours,
    /// A basket priced, as a till would ask: the document of a quote.
    Quote(Value),
    /// The probes of `aisled check`.
    Check,
    /// The devices that may connect.
    Identities,
}

/// A question that has no answer.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Trouble {
    /// Its page.
    pub code: Code,
    /// What was seen.
    pub detail: String,
}

/// The daemon as the console sees it.
pub trait Shop: Send + Sync {
    /// The newest picture, and a way to hear of the next.
    fn snapshots(&self) -> watch::Receiver<Arc<Snapshot>>;

    /// Answers a question. Waits: never called from a thread that serves.
    ///
    /// # Errors
    /// What is asked for is not there, or cannot be read.
    fn ask(&self, question: &Question) -> Result<Value, Trouble>;
}
