//! The sender: what to say to head office, when, and what may be forgotten. No clock, no socket, no file.
//!
//! ```text
//! Waiting --deadline--> Connecting --up--> Greeting --state--> Flowing --lost, silent, refused--> Waiting
//! ```
//! The shell tells what happened (`connected`, `lost`, `received`, `backlog`, `packed`, `tick`), then does what `poll` names
//! until it is empty, and calls `tick` at `deadline_ms`.
//!
//! Invariants:
//! - Nothing counts as delivered but head office's `applied_through`; nothing is pruned beyond its `durable_through`, nor
//!   beyond an entry of which it has only the hash.
//! - Sending is repeatable: after a loss, a timeout or an answer "again", it goes on from `applied_through` + 1; in a
//!   new incarnation (head office was restored) from `durable_through` + 1. The incarnation never goes down.
//! - Fates of an entry: acknowledged; sent again; parked, by head office (kept, not understood) or by a human (sent by hash).
//!   A batch that keeps failing goes entry by entry, so that the status can name the one that is to blame.
//! - Waits before connecting are drawn from 0 to a bound that doubles (full jitter); the bound falls back only when
//!   head office has applied something or nothing is left to send, not when it merely answers.

mod trouble;

use std::collections::{BTreeSet, VecDeque};

use serde::{Deserialize, Serialize};

use crate::domain::calendar::UnixMs;
use crate::domain::ids::{Epoch, Seq, StoreId};
use crate::domain::lease::{Want, Word};
use crate::domain::order::OrderWord;
use crate::domain::tally::Tally;
use crate::engine::input::MembersUpdate;
use crate::limits;

use super::asking::Asking;
use super::backlog::{BacklogError, Extent, PackRequest, Packed};
use super::download::{Download, Piece};
use super::wire::{Ack, Down, Hello, PROTOCOL, Standing, State, Up};

pub use trouble::Trouble;

/// Both clocks, read once per happening.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Now {
    /// Rising milliseconds from any origin.
    pub ticks_ms: u64,
    /// The wall's time.
    pub unix: UnixMs,
}

/// A trouble with its particulars.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Fault {
    /// Which.
    pub trouble: Trouble,
    /// In words, a lowercase fragment.
    pub detail: String,
    /// When it was last seen.
    pub at: UnixMs,
}

/// What survives a restart of the daemon.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
pub struct Remembered {
    /// The highest incarnation heard of; 0 for none.
    pub incarnation: u64,
    /// What it said it had applied.
    pub applied_through: Seq,
    /// What it said its backup covers.
    pub durable_through: Seq,
}

/// What the shell is to do.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Action {
    /// Connect and subscribe; then `connected` or `lost`.
    Connect,
    /// Close the connection.
    Disconnect,
    /// Publish.
    Send(Up),
    /// Read and pack on the reading thread; then `packed`.
    Pack(PackRequest),
    /// The journal may forget everything through this.
    Prune(Seq),
    /// For the engine.
    Members(Box<MembersUpdate>),
    /// About leases, for the engine, in this order.
    Words(Vec<Word>),
    /// About orders to hand over, for the engine.
    Orders(Vec<OrderWord>),
    /// A piece of a bundle, or its end.
    Bundle(Piece),
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Phase {
    Waiting { until_ms: u64 },
    Connecting,
    Greeting { until_ms: u64 },
    Flowing,
}

/// A batch under way.
#[derive(Clone, Copy, Debug)]
struct Flight {
    through: Seq,
    until_ms: u64,
}

/// What is wanted of the reading thread right now.
#[derive(Clone, Copy, Debug)]
enum Packing {
    /// The next batch; it was asked for when the journal reached to `goal`.
    Next { goal: Seq },
    /// One entry that a human parked and released.
    Retry(Seq),
}

/// A snapshot for people.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Status {
    /// Head office answers.
    pub connected: bool,
    /// waiting, connecting, greeting or flowing.
    pub phase: String,
    /// Since when it is connected, or not.
    pub since: UnixMs,
    /// Entries head office has not applied.
    pub backlog: u64,
    /// How long the oldest of them has waited, in milliseconds, as far as this run of the daemon knows.
    pub oldest_unsent_ms: Option<u64>,
    /// What head office is known to have.
    #[serde(flatten)]
    pub remembered: Remembered,
    /// One past the newest durable entry.
    pub next: Seq,
    /// Kept by head office and not understood there.
    pub parked_there: Vec<Seq>,
    /// Known to head office by hash only.
    pub parked_here: Vec<Seq>,
    /// The entry that was sent this often in vain.
    pub stuck: Option<(Seq, u32)>,
    /// By how many milliseconds head office's clock is ahead of this one.
    pub clock_ahead_ms: Option<i64>,
    /// The bundle being fetched: version, bytes there, bytes in all.
    pub download: Option<(u64, u64, u64)>,
    /// The last trouble; `None` once everything went well again.
    pub last_error: Option<Fault>,
    /// Batches sent since the start, repetitions included.
    pub batches_sent: u64,
}

/// The sender's state.
#[derive(Debug)]
pub struct Machine {
    store: StoreId,
    program: String,
    bundle: Option<u64>,
    tally: Option<Tally>,
    extent: Extent,
    known: Remembered,
    phase: Phase,
    attempts: u32,
    /// One after another for hellos; never repeats within a run, and differs between runs by its seed.
    nonce: u64,
    random: u64,
    /// The next entry to send.
    cursor: Seq,
    flights: VecDeque<Flight>,
    packing: Option<Packing>,
    ticket: u64,
    unsent_since_ms: Option<u64>,
    hurry: bool,
    not_before_ms: u64,
    hello_at_ms: u64,
    state_until_ms: Option<u64>,
    timeouts: u32,
    /// How often `applied_through` + 1 was sent without an answer.
    tries: u32,
    rewound: Option<(Seq, u64)>,
    /// Head office has more of this journal than this box: nothing is pruned until a human has looked.
    outrun: bool,
    parked: BTreeSet<Seq>,
    parked_there: BTreeSet<Seq>,
    withheld: BTreeSet<Seq>,
    retrying: Option<(Seq, u64)>,
    pruned: Seq,
    marks: VecDeque<(Seq, u64)>,
    since: UnixMs,
    clock_ahead_ms: Option<i64>,
    fault: Option<Fault>,
    batches_sent: u64,
    download: Download,
    asking: Asking,
    actions: VecDeque<Action>,
}

impl Machine {
    /// A sender that has not connected yet; it asks to at the first `tick`. `seed` decides its jitter.
    pub fn new(store: StoreId, extent: Extent, remembered: Remembered, seed: u64, now: Now) -> Machine {
        let mut machine = Machine {
            store,
            program: env!("CARGO_PKG_VERSION").to_owned(),
            bundle: None,
            tally: None,
            extent,
            known: remembered,
            phase: Phase::Waiting { until_ms: now.ticks_ms },
            attempts: 0,
            nonce: seed,
            random: seed,
            cursor: Seq(remembered.applied_through.0 + 1),
            flights: VecDeque::new(),
            packing: None,
            ticket: 0,
            unsent_since_ms: None,
            hurry: false,
            not_before_ms: 0,
            hello_at_ms: 0,
            state_until_ms: None,
            timeouts: 0,
            tries: 0,
            rewound: None,
            outrun: false,
            parked: BTreeSet::new(),
            parked_there: BTreeSet::new(),
            withheld: BTreeSet::new(),
            retrying: None,
            pruned: Seq(0),
            marks: VecDeque::new(),
            since: now.unix,
            clock_ahead_ms: None,
            fault: None,
            batches_sent: 0,
            download: Download::default(),
            asking: Asking::default(),
            actions: VecDeque::new(),
        };
        if extent.first < extent.next {
            machine.mark(extent.first, now);
        }
        machine
    }

    /// Whose journal it sends.
    pub fn store(&self) -> &StoreId {
        &self.store
    }

    /// What is to survive a restart.
    pub fn remembered(&self) -> Remembered {
        self.known
    }

    /// The next thing to do.
    pub fn poll(&mut self) -> Option<Action> {
        self.actions.pop_front()
    }

    /// The daemon runs on this bundle now.
    pub fn bundle_active(&mut self, version: u64, now: Now) {
        self.download.set_have(version);
        if self.bundle != Some(version) {
            self.bundle = Some(version);
            if self.phase == Phase::Flowing {
                self.greet(now);
            }
        }
    }

    /// What this shop counts in its journal; said with the next hello.
    pub fn set_tally(&mut self, tally: Tally) {
        self.tally = Some(tally);
    }

    /// What this shop would like to hold, counted with every decision through `as_of`.
    pub fn set_wants(&mut self, wants: Vec<Want>, as_of: Seq, now: Now) {
        self.asking.set(wants, as_of);
        self.flow(now);
    }

    /// What a human parked. An entry that leaves the set is sent again with its bytes.
    pub fn set_parked(&mut self, parked: BTreeSet<Seq>, now: Now) {
        self.parked = parked;
        self.flow(now);
    }

    /// The journal reaches so far now.
    pub fn backlog(&mut self, extent: Extent, now: Now) {
        let grown = extent.next > self.extent.next;
        if grown {
            if self.extent.next.0 <= self.known.applied_through.0 + 1 {
                self.marks.clear();
            }
            self.mark(self.extent.next, now);
        }
        self.extent = extent;
        if grown && self.unsent_since_ms.is_none() {
            self.unsent_since_ms = Some(now.ticks_ms);
        }
        self.flow(now);
    }

    /// Connected and subscribed.
    pub fn connected(&mut self, now: Now) {
        if self.phase != Phase::Connecting {
            return;
        }
        self.phase = Phase::Greeting { until_ms: now.ticks_ms + limits::UPSTREAM_STATE_WAIT_MS };
        self.greet(now);
    }

    /// The connection failed or broke.
    pub fn lost(&mut self, trouble: Trouble, detail: impl Into<String>, now: Now) {
        if !matches!(self.phase, Phase::Waiting { .. }) {
            self.give_up(trouble, detail.into(), now);
        }
    }

    /// Head office said something.
    pub fn received(&mut self, frame: Down, now: Now) {
        match frame {
            Down::State(state) => self.on_state(state, now),
            Down::Ack(ack) => self.on_ack(ack, now),
            Down::Offer(offer) => self.download.offered(offer),
            Down::Chunk(chunk) => {
                let pieces = self.download.received(chunk, now.ticks_ms);
                self.actions.extend(pieces.into_iter().map(Action::Bundle));
            }
            Down::Members(members) => {
                if members.incarnation >= self.known.incarnation && self.is_ours(members.epoch) {
                    self.actions.push_back(Action::Members(Box::new(members.update)));
                }
            }
            Down::Words(words) => {
                if words.incarnation >= self.known.incarnation && words.epoch == self.extent.epoch {
                    self.actions.push_back(Action::Words(words.words));
                }
            }
            Down::Orders(orders) => {
                if orders.incarnation >= self.known.incarnation && orders.epoch == self.extent.epoch {
                    self.actions.push_back(Action::Orders(orders.orders));
                }
            }
        }
        self.flow(now);
    }

    /// The reading thread's answer to `Action::Pack`.
    pub fn packed(&mut self, ticket: u64, result: Result<Option<Packed>, BacklogError>, now: Now) {
        if ticket != self.ticket {
            return;
        }
        let Some(packing) = self.packing.take() else { return };
        match result {
            Ok(Some(packed)) => {
                self.fault.take_if(|fault| fault.trouble == Trouble::Journal);
                self.depart(packing, packed, now);
            }
            Ok(None) => {
                self.hurry = false;
                self.unsent_since_ms = Some(now.ticks_ms);
                self.not_before_ms = now.ticks_ms + limits::UPSTREAM_READ_RETRY_MS;
            }
            Err(error) => {
                self.note(Trouble::Journal, error.0, now);
                self.not_before_ms = now.ticks_ms + limits::UPSTREAM_READ_RETRY_MS;
            }
        }
        self.flow(now);
    }

    /// Time passed.
    pub fn tick(&mut self, now: Now) {
        match self.phase {
            Phase::Waiting { until_ms } if until_ms <= now.ticks_ms => {
                self.phase = Phase::Connecting;
                self.actions.push_back(Action::Connect);
            }
            Phase::Waiting { .. } | Phase::Connecting => {}
            Phase::Greeting { until_ms } if until_ms <= now.ticks_ms => {
                let detail = "the broker is there, head office did not answer the hello";
                self.give_up(Trouble::Silent, detail.to_owned(), now);
            }
            Phase::Greeting { .. } => {}
            Phase::Flowing => self.check_answers(now),
        }
        self.flow(now);
    }

    /// When `tick` is due at the latest, in ticks; `None` if only a happening can change anything.
    pub fn deadline_ms(&self) -> Option<u64> {
        match self.phase {
            Phase::Waiting { until_ms } | Phase::Greeting { until_ms } => Some(until_ms),
            Phase::Connecting => None,
            Phase::Flowing => {
                let mut due = self.hello_at_ms;
                let mut sooner = |at: Option<u64>| due = at.map_or(due, |at| due.min(at));
                sooner(self.state_until_ms);
                sooner(self.flights.front().map(|flight| flight.until_ms));
                sooner(self.retrying.map(|(_, until_ms)| until_ms));
                sooner(self.download.deadline_ms());
                sooner(self.asking.deadline_ms());
                if self.packing.is_none() && self.flights.len() < limits::UPSTREAM_WINDOW_BATCHES {
                    let waits = self.unsent_since_ms.map(|since| since + limits::UPSTREAM_BATCH_WAIT_MS);
                    sooner(waits.map(|at| at.max(self.not_before_ms)));
                }
                Some(due)
            }
        }
    }

    /// For people, at this moment.
    pub fn status(&self, now: Now) -> Status {
        let phase = match self.phase {
            Phase::Waiting { .. } => "waiting",
            Phase::Connecting => "connecting",
            Phase::Greeting { .. } => "greeting",
            Phase::Flowing => "flowing",
        };
        let backlog = self.extent.next.0.saturating_sub(self.known.applied_through.0 + 1);
        let oldest = self.marks.front().filter(|_| backlog > 0);
        Status {
            connected: self.phase == Phase::Flowing,
            phase: phase.to_owned(),
            since: self.since,
            backlog,
            oldest_unsent_ms: oldest.map(|(_, at)| now.ticks_ms.saturating_sub(*at)),
            remembered: self.known,
            next: self.extent.next,
            parked_there: self.parked_there.iter().copied().collect(),
            parked_here: self.withheld.iter().copied().collect(),
            stuck: (self.tries > limits::UPSTREAM_TRIES_TOGETHER_MAX)
                .then(|| (Seq(self.known.applied_through.0 + 1), self.tries)),
            clock_ahead_ms: self.clock_ahead_ms,
            download: self.download.progress(),
            last_error: self.fault.clone(),
            batches_sent: self.batches_sent,
        }
    }

    fn is_ours(&self, epoch: Epoch) -> bool {
        (self.extent.first_epoch..=self.extent.epoch).contains(&epoch)
    }

    fn note(&mut self, trouble: Trouble, detail: String, now: Now) {
        self.fault = Some(Fault { trouble, detail, at: now.unix });
    }

    fn greet(&mut self, now: Now) {
        self.nonce = self.nonce.wrapping_add(1);
        self.hello_at_ms = now.ticks_ms + limits::UPSTREAM_HELLO_EVERY_MS;
        self.state_until_ms = Some(now.ticks_ms + limits::UPSTREAM_STATE_WAIT_MS);
        self.actions.push_back(Action::Send(Up::Hello(Hello {
            v: PROTOCOL,
            nonce: self.nonce,
            epoch: self.extent.epoch,
            first_epoch: self.extent.first_epoch,
            first: self.extent.first,
            next: self.extent.next,
            incarnation: self.known.incarnation,
            applied_through: self.known.applied_through,
            bundle: self.bundle,
            program: self.program.clone(),
            tally: self.tally.clone(),
        })));
    }

    fn on_state(&mut self, state: State, now: Now) {
        if state.nonce != self.nonce || !matches!(self.phase, Phase::Greeting { .. } | Phase::Flowing) {
            return;
        }
        self.state_until_ms = None;
        let ahead = state.at.ms_since(now.unix);
        self.clock_ahead_ms = Some(ahead);
        if state.incarnation < self.known.incarnation {
            let detail = format!(
                "head office answers as incarnation {}, {} was here before",
                state.incarnation, self.known.incarnation
            );
            self.give_up(Trouble::Protocol, detail, now);
            return;
        }
        if !self.is_ours(state.standing.epoch) {
            let detail = "head office answers for a journal that is not this one";
            self.give_up(Trouble::Protocol, detail.to_owned(), now);
            return;
        }
        let renewed = state.incarnation > self.known.incarnation;
        if self.phase == Phase::Flowing && !renewed {
            self.learn(&state.standing, now);
            return;
        }
        let standing = &state.standing;
        let heard_before = self.known.incarnation != 0;
        self.known = Remembered {
            incarnation: state.incarnation,
            applied_through: match renewed && heard_before {
                true => standing.durable_through,
                false => standing.applied_through,
            },
            durable_through: standing.durable_through,
        };
        self.asking.line_up(state.asked);
        if self.phase != Phase::Flowing {
            self.phase = Phase::Flowing;
            self.since = now.unix;
        }
        if self.tries == 0 {
            self.fault = None;
        }
        if ahead.unsigned_abs() > limits::UPSTREAM_CLOCK_OFF_MS_MAX {
            self.note(
                Trouble::Clock,
                format!("head office's clock is {} s ahead of this one", ahead / 1_000),
                now,
            );
        }
        self.outrun = standing.applied_through >= self.extent.next;
        if self.outrun {
            let detail = format!(
                "head office has this journal through {}, here it ends before {}: a spare box needs a new epoch",
                standing.applied_through.0, self.extent.next.0
            );
            self.note(Trouble::Protocol, detail, now);
        }
        self.timeouts = 0;
        self.rewind(now);
        self.learn(&state.standing, now);
        if self.cursor >= self.extent.next {
            self.attempts = 0;
        }
    }

    fn on_ack(&mut self, ack: Ack, now: Now) {
        let stale = ack.incarnation < self.known.incarnation || !self.is_ours(ack.standing.epoch);
        if stale || self.phase != Phase::Flowing {
            return;
        }
        if ack.incarnation > self.known.incarnation {
            // Restored while we were connected: only a state tells what it has.
            self.greet(now);
            return;
        }
        self.learn(&ack.standing, now);
        let next = Seq(self.known.applied_through.0 + 1);
        if ack.again && ack.standing.applied_through == self.known.applied_through && next < self.cursor {
            // Each batch behind a lost one is answered with "again": once is enough.
            let done = self.rewound.is_some_and(|(seq, until_ms)| seq == next && now.ticks_ms < until_ms);
            if !done {
                self.rewound = Some((next, now.ticks_ms + limits::UPSTREAM_BATCH_WAIT_MS));
                self.tries += 1;
                self.rewind(now);
            }
        }
    }

    /// Takes what head office says it has, in this incarnation: numbers only rise.
    fn learn(&mut self, standing: &Standing, now: Now) {
        self.parked_there = standing.parked.iter().copied().collect();
        self.withheld = standing.withheld.iter().copied().collect();
        if self.retrying.is_some_and(|(seq, _)| !self.withheld.contains(&seq)) {
            self.retrying = None;
        }
        if standing.applied_through > self.known.applied_through {
            self.known.applied_through = standing.applied_through;
            self.attempts = 0;
            self.timeouts = 0;
            self.tries = 0;
            self.fault.take_if(|fault| fault.trouble.is_over_when_heard());
            self.cursor = self.cursor.max(Seq(standing.applied_through.0 + 1).min(self.extent.next));
            for flight in &mut self.flights {
                flight.until_ms = now.ticks_ms + limits::UPSTREAM_ACK_WAIT_MS;
            }
            let next = Seq(standing.applied_through.0 + 1);
            while self.marks.get(1).is_some_and(|(seq, _)| *seq <= next) {
                self.marks.pop_front();
            }
        }
        while self.flights.front().is_some_and(|flight| flight.through <= self.known.applied_through) {
            self.flights.pop_front();
        }
        self.known.durable_through = self.known.durable_through.max(standing.durable_through);
        let kept = self.withheld.first().map_or(u64::MAX, |seq| seq.0.saturating_sub(1));
        let prunable = Seq(self.known.durable_through.0.min(kept));
        if prunable > self.pruned && !self.outrun {
            self.pruned = prunable;
            self.actions.push_back(Action::Prune(prunable));
        }
    }

    /// Goes back to the first entry head office does not have.
    fn rewind(&mut self, now: Now) {
        self.cursor = Seq(self.known.applied_through.0 + 1).min(self.extent.next);
        self.flights.clear();
        self.packing = None;
        self.retrying = None;
        self.ticket += 1;
        self.hurry = self.cursor < self.extent.next;
        self.unsent_since_ms = self.hurry.then_some(now.ticks_ms);
        self.not_before_ms = 0;
    }

    fn give_up(&mut self, trouble: Trouble, detail: String, now: Now) {
        if self.phase == Phase::Flowing {
            self.since = now.unix;
        }
        if !self.flights.is_empty() {
            self.tries += 1;
        }
        self.note(trouble, detail, now);
        self.rewind(now);
        self.download.line_lost();
        self.state_until_ms = None;
        self.attempts = self.attempts.saturating_add(1);
        let wait_ms = backoff_ms(self.attempts, self.draw());
        self.phase = Phase::Waiting { until_ms: now.ticks_ms + wait_ms };
        self.actions.retain(|action| !matches!(action, Action::Send(_) | Action::Connect | Action::Pack(_)));
        self.actions.push_back(Action::Disconnect);
    }

    fn check_answers(&mut self, now: Now) {
        let late = |until_ms: u64| until_ms <= now.ticks_ms;
        if self.state_until_ms.is_some_and(late) {
            self.give_up(Trouble::Silent, "head office did not answer the hello".to_owned(), now);
            return;
        }
        if self.retrying.is_some_and(|(_, until_ms)| late(until_ms)) {
            self.retrying = None;
        }
        if self.flights.front().is_some_and(|flight| late(flight.until_ms)) {
            self.timeouts += 1;
            if self.timeouts >= limits::UPSTREAM_TIMEOUTS_MAX {
                self.give_up(Trouble::Silent, "head office did not answer a batch".to_owned(), now);
                return;
            }
            self.tries += 1;
            self.rewind(now);
        }
    }

    fn depart(&mut self, packing: Packing, packed: Packed, now: Now) {
        let until_ms = now.ticks_ms + limits::UPSTREAM_ACK_WAIT_MS;
        match packing {
            Packing::Next { goal } => {
                self.cursor = Seq(packed.through.0 + 1);
                self.flights.push_back(Flight { through: packed.through, until_ms });
                // What the batch had no room for has waited as long as what it took.
                self.hurry = self.cursor < goal;
                self.unsent_since_ms = (self.cursor < self.extent.next).then_some(now.ticks_ms);
            }
            Packing::Retry(seq) => self.retrying = Some((seq, until_ms)),
        }
        self.batches_sent += 1;
        self.actions.push_back(Action::Send(Up::Batch(packed.batch)));
    }

    /// Whatever can go, goes.
    fn flow(&mut self, now: Now) {
        if self.phase != Phase::Flowing {
            return;
        }
        if self.hello_at_ms <= now.ticks_ms {
            self.greet(now);
        }
        if let Some(get) = self.download.ask(now.ticks_ms) {
            self.actions.push_back(Action::Send(Up::Get(get)));
        }
        let who = (self.extent.epoch, self.known.incarnation);
        if let Some(ask) = self.asking.ask(now.ticks_ms, self.known.applied_through, who) {
            self.actions.push_back(Action::Send(Up::Ask(ask)));
        }
        if self.packing.is_some()
            || self.flights.len() >= limits::UPSTREAM_WINDOW_BATCHES
            || now.ticks_ms < self.not_before_ms
        {
            return;
        }
        let retry = self.withheld.difference(&self.parked).next().copied();
        if let (Some(seq), None) = (retry, self.retrying) {
            self.ask_for(Packing::Retry(seq), seq, 1);
            return;
        }
        let unsent = self.extent.next.0.saturating_sub(self.cursor.0);
        let waited =
            self.unsent_since_ms.is_some_and(|since| since + limits::UPSTREAM_BATCH_WAIT_MS <= now.ticks_ms);
        if unsent == 0 {
            // A batch may have taken more than the journal was known to hold: nothing waits, so nothing is due.
            (self.unsent_since_ms, self.hurry) = (None, false);
            return;
        }
        if unsent >= limits::UPSTREAM_BATCH_ENTRIES_MAX as u64 || waited || self.hurry {
            let one_by_one = self.tries >= limits::UPSTREAM_TRIES_TOGETHER_MAX;
            let entries_max = if one_by_one { 1 } else { limits::UPSTREAM_BATCH_ENTRIES_MAX };
            self.ask_for(Packing::Next { goal: self.extent.next }, self.cursor, entries_max);
        } else if self.unsent_since_ms.is_none() {
            self.unsent_since_ms = Some(now.ticks_ms);
        }
    }

    fn ask_for(&mut self, packing: Packing, from: Seq, entries_max: usize) {
        self.ticket += 1;
        self.packing = Some(packing);
        let parked = self.parked.clone();
        self.actions.push_back(Action::Pack(PackRequest { ticket: self.ticket, from, entries_max, parked }));
    }

    fn mark(&mut self, from: Seq, now: Now) {
        if self.marks.back().is_some_and(|(_, at)| now.ticks_ms < at + limits::UPSTREAM_BATCH_WAIT_MS) {
            return;
        }
        self.marks.push_back((from, now.ticks_ms));
        if self.marks.len() > limits::UPSTREAM_AGE_MARKS_MAX {
            // The oldest stays exact; the others lose every second one.
            let mut index = 0;
            self.marks.retain(|_| {
                index += 1;
                index % 2 == 1
            });
        }
    }

    /// The next of a fixed sequence of numbers (SplitMix64, Steele, Lea and Flood 2014).
    fn draw(&mut self) -> u64 {
        self.random = self.random.wrapping_add(0x9E37_79B9_7F4A_7C15);
        let mut z = self.random;
        z = (z ^ (z >> 30)).wrapping_mul(0xBF58_476D_1CE4_E5B9);
        z = (z ^ (z >> 27)).wrapping_mul(0x94D0_49BB_1331_11EB);
        z ^ (z >> 31)
    }
}

/// Milliseconds before attempt number `attempts` (from 1): uniform from 0 to a bound that doubles from 1 s to 5 min.
fn backoff_ms(attempts: u32, random: u64) -> u64 {
    let doubled = limits::UPSTREAM_BACKOFF_MS_MIN << attempts.saturating_sub(1).min(20);
    random % (doubled.min(limits::UPSTREAM_BACKOFF_MS_MAX) + 1)
}

#[cfg(test)]
mod tests;
