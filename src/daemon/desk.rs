//! The desk: a message in, the engine asked, an answer out. What each request goes through, in order.
//!
//! 1. who asks (the topic) and where to answer: MQTT 5's response topic, which must be the sender's own, else `rep/v3`
//! 2. pace: a device faster than configured gets 429
//! 3. `wire::decode`: bytes to a checked request, or a problem document
//! 4. what the disk allows: nothing scarce while it is low, no write while it takes nothing
//! 5. room: a write is refused with 503 while the commit queue is full
//! 6. facts: what `engine.needs` names is loaded, until nothing is missing
//! 7. `engine.handle`; a read is spoken at once, a write goes to the store and is spoken when it is durable; where it moves
//!    a member into a segment or out of one, the device that asked is told that as well, on `evt/segments`
//!
//! A panic in 6 or 7 answers 503; the same bytes panicking twice are set aside by name (AIS-9001) and never tried again.

use std::collections::{BTreeMap, VecDeque};
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::Arc;

use serde::Serialize;
use tokio::sync::oneshot;

use crate::bundle::Bundle;
use crate::clock::{Clock, Ticks};
use crate::console::{Lanes, Visit};
use crate::devices::link::{Link, LinkError, Outgoing, Received};
use crate::devices::topic::{INSTANCE_V3, Op, Topic, Topics};
use crate::devices::wire::status::{Push, SegmentMoves};
use crate::devices::wire::{self, Addressed, Format};
use crate::domain::code::Code;
use crate::domain::ids::{BundleRef, DeviceId, Instance, RequestId, Seq};
use crate::domain::text::Lang;
use crate::engine::decision::{Entry, Facts, Key, Record};
use crate::engine::input::{Digest, Input, Request};
use crate::engine::reply::{Answer, Refusal};
use crate::engine::{Engine, Outcome};
use crate::limits;
use crate::storage::error::StorageError;
use crate::storage::store::{Footing, Store};

use super::scarce;
use super::sightings::{self, Watches};

/// The kind of push that tells moves between segments.
const SEGMENTS: &str = "segments";

/// What the desk has done since it was opened.
#[derive(Clone, Copy, Debug, Default, Serialize)]
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
    /// Answers that could not be handed to the broker: the device asks again.
    pub unspoken: u64,
    /// Moves between segments that were told.
    pub pushes: u64,
}

/// Where an answer goes.
pub enum Route {
    /// To a device, over the link.
    Device {
        /// Its reply topic.
        topic: String,
        /// MQTT 5 correlation data, echoed.
        correlation: Option<Vec<u8>>,
        /// MQTT 3.1.1 devices get no properties.
        properties: bool,
        /// Who asked what, and when that was heard.
        visit: (Visit, Ticks),
    },
    /// To a device that did not ask, on this topic.
    Push(String),
    /// To whoever asked through the control socket.
    Control(oneshot::Sender<Vec<u8>>),
}

struct Waiting {
    after: Seq,
    route: Route,
    format: Format,
    payload: Vec<u8>,
    refused: Option<Code>,
}

/// Finds the rules of an earlier sale by the reference it names.
pub type RulesOf = Box<dyn Fn(&BundleRef) -> anyhow::Result<Bundle> + Send>;

/// Everything a request touches.
pub struct Desk {
    /// The decisions.
    pub engine: Engine,
    /// Their memory.
    pub store: Store,
    /// What has been done.
    pub counts: Counts,
    /// For whom, and how fast.
    pub lanes: Lanes,
    /// The devices somebody looks at.
    pub watches: Watches,
    rules_of: RulesOf,
    topics: Topics,
    link: Link,
    clock: Arc<dyn Clock>,
    waiting: VecDeque<Waiting>,
    paces: BTreeMap<DeviceId, Pace>,
    per_second_max: u32,
    panicked: VecDeque<(Digest, u32)>,
    stopping: bool,
    withholding: bool,
}

struct Pace {
    credit_us: i64,
    at: Ticks,
}

impl Desk {
    /// A desk over an engine and its store.
    pub fn new(
        engine: Engine,
        store: Store,
        topics: Topics,
        link: Link,
        clock: Arc<dyn Clock>,
        per_second_max: u32,
    ) -> Desk {
        Desk {
            engine,
            store,
            counts: Counts::default(),
            lanes: Lanes::default(),
            watches: Watches::default(),
            rules_of: Box::new(|_| {
                Err(anyhow::anyhow!("failed to look for earlier rules: nobody keeps them"))
            }),
            topics,
            link,
            clock,
            waiting: VecDeque::new(),
            paces: BTreeMap::new(),
            per_second_max,
            panicked: VecDeque::new(),
            stopping: false,
            withholding: false,
        }
    }

    /// Where the rules of earlier sales are.
    pub fn with_rules_of(self, rules_of: RulesOf) -> Desk {
        Desk { rules_of, ..self }
    }

    /// From now on every request gets 503.
    pub fn stop(&mut self) {
        self.stopping = true;
    }

    /// From now on nothing scarce is spent, or everything as always.
    pub fn withhold(&mut self, withholding: bool) {
        self.withholding = withholding;
    }

    /// Is nothing scarce spent now?
    pub fn withholds(&self) -> bool {
        self.withholding
    }

    /// The shop's topics.
    pub fn topics(&self) -> &Topics {
        &self.topics
    }

    /// The line to the broker.
    pub fn link(&self) -> &Link {
        &self.link
    }

    /// Answers that wait for the disk.
    pub fn waiting(&self) -> usize {
        self.waiting.len()
    }

    /// A message from the broker. An error is the store's and final.
    pub fn message(&mut self, received: Received) -> Result<(), StorageError> {
        if received.retained {
            return Ok(());
        }
        let Some(Topic::Request { device, op }) = self.topics.parse(&received.topic) else { return Ok(()) };
        let Ok(device) = DeviceId::new(device) else { return Ok(()) };
        let op = op.to_owned();
        self.counts.requests += 1;
        if self.watches.has(&device) {
            let topic = received.response_topic.as_deref();
            let own = topic.is_some_and(|topic| self.topics.response_is_own(device.as_str(), topic));
            let seen = sightings::request(&op, &device, &received, own, self.clock.now());
            self.watches.saw(&device, seen);
        }
        let known = Op::ALL.into_iter().map(Op::as_str).find(|known| *known == op);
        let visit = Visit { device: device.clone(), op: known.unwrap_or("other") };
        let visit = (visit, self.clock.ticks());
        let route = self.route(&device, received.response_topic.as_deref(), received.correlation_data, visit);
        let content_type = received.content_type.as_deref();
        match route {
            Ok(route) => self.request(&op, &device, &received.payload, content_type, route),
            Err(refused) => {
                let (route, refusal) = *refused;
                let format = wire::decode(&op, &device, &received.payload, content_type, "").map_or_else(
                    |refused| (refused.format, refused.re),
                    |(format, request)| (format, Some(request.id)),
                );
                self.refuse(route, format, refusal);
                Ok(())
            }
        }
    }

    /// A request of the shell's own, through the same door.
    pub fn ask(
        &mut self,
        op: &str,
        device: &DeviceId,
        payload: &[u8],
        answer: oneshot::Sender<Vec<u8>>,
    ) -> Result<(), StorageError> {
        self.request(op, device, payload, None, Route::Control(answer))
    }

    fn route(
        &self,
        device: &DeviceId,
        response_topic: Option<&str>,
        correlation: Option<Vec<u8>>,
        visit: (Visit, Ticks),
    ) -> Result<Route, Box<(Route, Refusal)>> {
        let v3 = Instance::new(INSTANCE_V3).expect("a constant instance is valid");
        match response_topic {
            None => {
                let properties = correlation.is_some();
                Ok(Route::Device { topic: self.topics.reply(device, &v3), correlation, properties, visit })
            }
            Some(topic) if self.topics.response_is_own(device.as_str(), topic) => {
                Ok(Route::Device { topic: topic.to_owned(), correlation, properties: true, visit })
            }
            Some(_) => {
                let topic = self.topics.reply(device, &v3);
                let own = Route::Device { topic, correlation, properties: true, visit };
                let detail = format!("{device} may be answered only below its own rep/");
                Err(Box::new((own, Refusal::new(Code::ForeignResponseTopic, detail))))
            }
        }
    }

    fn request(
        &mut self,
        op: &str,
        device: &DeviceId,
        payload: &[u8],
        content_type: Option<&str>,
        route: Route,
    ) -> Result<(), StorageError> {
        let too_fast = self.too_fast(device);
        let chain = self.engine.bundle().map(|bundle| bundle.shop.chain.clone()).unwrap_or_default();
        let (format, request) = match wire::decode(op, device, payload, content_type, &chain) {
            Ok(decoded) => decoded,
            Err(refused) => {
                let refusal = too_fast.unwrap_or(refused.refusal);
                self.refuse(route, (refused.format, refused.re), refusal);
                return Ok(());
            }
        };
        let re = request.id.clone();
        if let Some(refusal) = self.not_now(&request, too_fast)? {
            self.refuse(route, (format, Some(re)), refusal);
            return Ok(());
        }
        let digest = request.digest;
        let decided = catch_unwind(AssertUnwindSafe(|| self.decide(Input::Request(Box::new(request)))));
        let outcome = match decided {
            Ok(outcome) => outcome?,
            Err(_) => {
                let refusal = self.note_panic(digest, op, device);
                self.refuse(route, (format, Some(re)), refusal);
                return Ok(());
            }
        };
        match outcome {
            Outcome::Read(answer) => {
                self.speak(route, format, self.encode(&answer, &re, format, false), code_of(&answer))
            }
            Outcome::Again { answer, after } => {
                self.counts.replayed += 1;
                let payload = self.encode(&answer, &re, format, true);
                self.speak_after(after.unwrap_or_default(), route, format, payload, code_of(&answer));
            }
            Outcome::Deferred(refusal) => self.refuse(route, (format, Some(re)), refusal),
            // Only words of head office are passed over, and nobody waits for their answer.
            Outcome::Passed => {}
            Outcome::Decided(entry) => {
                let entry = if entry.fits() {
                    entry
                } else {
                    let detail =
                        "the decision is larger than the journal keeps in one piece; split the basket";
                    Box::new(entry.refused(Refusal::new(Code::PayloadTooLarge, detail)))
                };
                let payload = self.encode(&entry.answer, &re, format, false);
                let (after, refused) = (entry.seq, code_of(&entry.answer));
                let moved = match route {
                    Route::Device { .. } => self.moved(&entry),
                    Route::Push(_) | Route::Control(_) => None,
                };
                self.commit(entry)?;
                self.speak_after(after, route, format, payload, refused);
                let topic = Topic::Event { device: device.as_str(), kind: SEGMENTS };
                if let Some((moves, topic)) = moved.zip(self.topics.build(topic).ok()) {
                    let payload = Push::encode(self.clock.now(), moves);
                    self.speak_after(after, Route::Push(topic), Format::Json, payload, None);
                }
            }
        }
        Ok(())
    }

    /// The member's moves between segments, where this decision made any.
    fn moved(&self, entry: &Entry) -> Option<SegmentMoves> {
        entry.changes.iter().find_map(|change| {
            let (Key::History(member), Some(Record::History(history))) = (&change.key, &change.record) else {
                return None;
            };
            let moves = &history.moves;
            (moves.decision == entry.seq && !(moves.entered.is_empty() && moves.left.is_empty())).then(|| {
                let store = &self.store.identity().store;
                SegmentMoves {
                    member: member.clone(),
                    decision: format!("{store}/{}/{}", entry.epoch.0, entry.seq.0),
                    entered: moves.entered.clone(),
                    left: moves.left.clone(),
                }
            })
        })
    }

    fn not_now(
        &mut self,
        request: &Request,
        too_fast: Option<Refusal>,
    ) -> Result<Option<Refusal>, StorageError> {
        if self.stopping {
            return Ok(Some(Refusal::later(Code::ShuttingDown, "the daemon is being stopped", 2_000)));
        }
        if self.panicked.iter().any(|(digest, times)| *digest == request.digest && *times > 1) {
            return Ok(Some(Refusal::new(Code::Quarantined, "the same request failed inside twice")));
        }
        if too_fast.is_some() {
            return Ok(too_fast);
        }
        if request.body.is_write() {
            // What was answered before is answered again, whatever the disk says now.
            let key = Key::Request(request.device.clone(), request.id.clone());
            let is_hindered = self.withholding || !self.store.has_room();
            if is_hindered && self.store.load(&key)?.is_some() {
                return Ok(None);
            }
            if self.store.footing() == Footing::ReadOnly {
                let code = self.store.hindered().unwrap_or(Code::DiskReadOnly);
                let detail = "the data disk takes nothing, so nothing can be committed; prices are told";
                return Ok(Some(Refusal::later(code, detail, limits::DEGRADED_RETRY_MS)));
            }
        }
        if self.withholding {
            let bundle = self.engine.bundle().map(|bundle| &**bundle);
            if let Some(refusal) = scarce::asks_for_scarce(&request.body, bundle) {
                return Ok(Some(refusal));
            }
        }
        if request.body.is_write() && !self.store.has_room() {
            let detail = "the disk has more decisions waiting than the queue holds";
            return Ok(Some(Refusal::later(Code::Busy, detail, 250)));
        }
        Ok(None)
    }

    /// A token bucket that holds one second: the refusal, if the device is too fast.
    fn too_fast(&mut self, device: &DeviceId) -> Option<Refusal> {
        let now = self.clock.ticks();
        let cost_us = 1_000_000 / i64::from(self.per_second_max.max(1));
        if !self.paces.contains_key(device) && self.paces.len() >= limits::DEVICES_MAX {
            self.paces.pop_first();
        }
        let pace = self.paces.entry(device.clone()).or_insert(Pace { credit_us: 1_000_000, at: now });
        let elapsed = i64::try_from(now.since(pace.at).as_micros()).unwrap_or(i64::MAX);
        if elapsed > 0 {
            pace.credit_us = pace.credit_us.saturating_add(elapsed).min(1_000_000);
            pace.at = now;
        }
        if pace.credit_us < cost_us {
            let wait_ms = u32::try_from((cost_us - pace.credit_us + 999) / 1_000).ok()?;
            let detail = format!("{device} sends more than {} requests a second", self.per_second_max);
            return Some(Refusal::later(Code::SlowDown, detail, wait_ms));
        }
        pace.credit_us -= cost_us;
        None
    }

    fn note_panic(&mut self, digest: Digest, op: &str, device: &DeviceId) -> Refusal {
        let times = match self.panicked.iter_mut().find(|(known, _)| *known == digest) {
            Some((_, times)) => {
                *times += 1;
                *times
            }
            None => {
                self.panicked.push_back((digest, 1));
                if self.panicked.len() > limits::PANICS_REMEMBERED_MAX {
                    self.panicked.pop_front();
                }
                1
            }
        };
        tracing::error!(%device, op, times, "a request broke a rule of our own");
        if times > 1 {
            Refusal::new(Code::Quarantined, "the same request failed inside twice")
        } else {
            Refusal::later(
                Code::Busy,
                "the request failed inside; the same bytes may be tried once more",
                1_000,
            )
        }
    }

    /// Loads what the engine needs and lets it decide.
    pub fn decide(&mut self, input: Input) -> Result<Outcome, StorageError> {
        let mut facts = Facts::default();
        let withholds = self.withholding && scarce::withholds_limits(&input);
        for _ in 0..limits::FACT_ROUNDS_MAX {
            let keys = self.engine.needs(&input, &facts);
            let is_last = !keys.iter().any(Key::leads_on);
            for key in keys {
                let mut record = self.store.load(&key)?;
                if withholds {
                    let bundle = self.engine.bundle().map(|bundle| &**bundle);
                    record = scarce::withheld(&key, record, bundle, self.clock.now());
                }
                facts.add(key, record);
            }
            if is_last {
                break;
            }
        }
        if let Some(wanted) = self.engine.needs_rules(&input, &facts) {
            match (self.rules_of)(&wanted) {
                Ok(past) => self.engine.recall(Arc::new(past)),
                Err(error) => {
                    let error = format!("{error:#}");
                    tracing::warn!(
                        error,
                        "the rules of a sale are gone; its goods come back at their frozen shares"
                    );
                }
            }
        }
        Ok(self.engine.handle(input, facts, self.clock.now()))
    }

    /// Sends a decision on its way to the disk.
    pub fn commit(&mut self, entry: Box<Entry>) -> Result<(), StorageError> {
        self.counts.decisions += 1;
        self.store.commit(&entry)
    }

    /// Everything through `durable` may be spoken.
    pub fn durable(&mut self, durable: Seq) {
        while self.waiting.front().is_some_and(|waiting| waiting.after <= durable) {
            let Waiting { route, format, payload, refused, .. } =
                self.waiting.pop_front().expect("there is a first one");
            self.hand_over(route, format, payload, refused);
        }
    }

    fn speak_after(
        &mut self,
        after: Seq,
        route: Route,
        format: Format,
        payload: Vec<u8>,
        refused: Option<Code>,
    ) {
        self.counts.refusals += u64::from(refused.is_some());
        let place = self.waiting.partition_point(|waiting| waiting.after <= after);
        self.waiting.insert(place, Waiting { after, route, format, payload, refused });
        // One way out: a disk that is quicker than its word changes no order.
        self.durable(self.store.durable());
    }

    fn refuse(&mut self, route: Route, (format, re): (Format, Option<RequestId>), refusal: Refusal) {
        let to = Addressed {
            re: re.as_ref(),
            format,
            replayed: false,
            degraded: self.withholding,
            lang: self.lang(),
        };
        let code = refusal.code;
        let payload = wire::encode(&Err(refusal), &to);
        self.speak(route, format, payload, Some(code));
    }

    fn encode(&self, answer: &Answer, re: &RequestId, format: Format, replayed: bool) -> Vec<u8> {
        let to = Addressed { re: Some(re), format, replayed, degraded: self.withholding, lang: self.lang() };
        wire::encode(answer, &to)
    }

    fn lang(&self) -> Lang {
        self.engine.bundle().map(|bundle| bundle.shop.lang).unwrap_or_default()
    }

    fn speak(&mut self, route: Route, format: Format, payload: Vec<u8>, refused: Option<Code>) {
        self.counts.refusals += u64::from(refused.is_some());
        self.hand_over(route, format, payload, refused);
    }

    fn hand_over(&mut self, route: Route, format: Format, payload: Vec<u8>, refused: Option<Code>) {
        self.counts.replies += u64::from(!matches!(route, Route::Push(_)));
        match route {
            Route::Push(topic) => {
                let message = Outgoing { topic, payload, ..Outgoing::default() };
                match self.link.publish(message) {
                    Ok(()) => self.counts.pushes += 1,
                    Err(error) => tracing::debug!(%error, "a push is not handed over"),
                }
            }
            Route::Device { topic, correlation, properties, visit: (visit, heard) } => {
                let us = self.clock.ticks().since(heard).as_micros();
                let us = u32::try_from(us).unwrap_or(u32::MAX);
                self.lanes.answered(&visit, self.clock.now(), us, refused);
                if let Some(Topic::Reply { device, .. }) = self.topics.parse(&topic)
                    && let Ok(device) = DeviceId::new(device)
                    && self.watches.has(&device)
                {
                    self.watches.saw(&device, sightings::reply(&payload, self.clock.now()));
                }
                let content_type = properties.then(|| format.content_type().to_owned());
                let message = Outgoing {
                    topic,
                    payload,
                    content_type,
                    correlation_data: correlation,
                    ..Outgoing::default()
                };
                match self.link.publish(message) {
                    Ok(()) => {}
                    Err(error @ (LinkError::Down | LinkError::Full)) => {
                        self.counts.unspoken += 1;
                        tracing::debug!(%error, "an answer is not handed over; the device asks again");
                    }
                    Err(error) => {
                        self.counts.unspoken += 1;
                        tracing::warn!(%error, "an answer cannot be handed over");
                    }
                }
            }
            Route::Control(answer) => {
                if answer.send(payload).is_err() {
                    self.counts.unspoken += 1;
                }
            }
        }
    }
}

fn code_of(answer: &Answer) -> Option<Code> {
    answer.as_ref().err().map(|refusal| refusal.code)
}
