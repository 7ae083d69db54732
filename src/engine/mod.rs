//! The sans-IO state machine of the shop: facts in, a decision out, nothing waits.
//!
//! The shell asks `needs` which records an input reads, loads them, and calls `handle`. A read (scan, quote, wallet)
//! is answered from what was loaded; a write becomes an `Entry` with everything it changes, which the shell makes
//! durable before the answer is spoken. The engine keeps only soft state: open quotes with their holds, and the last
//! answers to reads. Losing it loses no decision: an open quote is asked for again.
//!
//! Operations, a file each: `scan` (scan, wallet; `showing` chooses what a member is shown, `answers` what came of it) · `sale` (quote, commit; `codes` what is presented, `referral` what the
//! owner of a code gets, `charged` what a till charged alone) · `refund` (void, return) · `membership` (enroll, head
//! office's members) · `learning` (event, feedback, and what sales teach of members) · `issue` (codes and numbers given out) · `leases` (slices of limited things; `demand` how much is
//! wanted) · `orders` (what was bought online and is handed over here). `believed` doubts the clock; `quotes` holds what open quotes hold; `kept` writes
//! decisions down; `replay` decides again; `tally` what one counts for.
//!
//! Order of checks of a write, first hit answers: seen id with another body (409) or with the same (first answer again) ·
//! the same sale under another id (first answer again) · no bundle (503) · the operation's own, in its file's header.

pub mod advice;
pub mod answers;
mod believed;
mod charged;
mod codes;
pub mod decision;
mod demand;
mod homes;
pub mod input;
mod issue;
mod kept;
pub mod labels;
mod lately;
mod learning;
mod leases;
mod marks;
mod membership;
mod orders;
mod pen;
pub mod quotes;
mod referral;
mod refund;
pub mod replay;
pub mod reply;
mod sale;
mod scan;
mod showing;
mod tally;

use std::sync::Arc;

use sha2::{Digest as _, Sha256};

use crate::bundle::Bundle;
use crate::domain::calendar::UnixMs;
use crate::domain::code::Code;
use crate::domain::ids::{BundleRef, CampaignId, CouponCode, Epoch, MemberId, Seq, StoreId};
use crate::domain::lease::Want;
use crate::domain::order;
use crate::domain::text::Lang;
use crate::limits;

use advice::{Advice, Adviser};
use believed::Believed;
use decision::{Change, Entry, Facts, Key, Record, RequestRecord};
use demand::Demand;
use input::{Body, Digest, Forgotten, Input, QuoteBody, Request, Shown, Sold};
use quotes::{FirstAnswer, OpenQuotes, ReadReplays};
use reply::{Answer, DataAge, Noted, Refusal, Reply, ScanReply};

/// Who this box is: constant for one life of its data.
#[derive(Clone, Debug)]
pub struct Identity {
    /// The shop.
    pub store: StoreId,
    /// The life of the box's data.
    pub epoch: Epoch,
    /// Makes issued coupon codes unguessable; never leaves the box.
    pub secret: [u8; 32],
    /// When the engine was started: part of quote ids, so that none of an earlier start is taken for one of this.
    pub started: UnixMs,
}

/// The shop's decisions.
pub struct Engine {
    identity: Identity,
    bundle: Option<Active>,
    next: Seq,
    quotes: OpenQuotes,
    reads: ReadReplays,
    head_office: HeadOffice,
    demand: Demand,
    /// The rules of an earlier sale, for its return.
    past: Option<Arc<Bundle>>,
    adviser: Option<Adviser>,
    /// What members were shown and no decision tells yet.
    shown: Vec<Shown>,
    believed: Believed,
}

struct Active {
    bundle: Arc<Bundle>,
    since: UnixMs,
}

/// The line to head office, as far as rules look at it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum HeadOffice {
    /// None is configured: the shop is the whole chain, nothing is stale and nothing is lent.
    Absent,
    /// The line is up.
    Near,
    /// The line is down since this moment.
    DownSince(UnixMs),
}

/// What became of an input.
#[derive(Debug)]
pub enum Outcome {
    /// Answered; nothing changed.
    Read(Arc<Answer>),
    /// Answered before; the first answer again, to be spoken once decision `after` is durable.
    Again {
        /// The first answer.
        answer: Arc<Answer>,
        /// The decision it came from; absent for reads.
        after: Option<Seq>,
    },
    /// Decided: to be made durable, then spoken.
    Decided(Box<Entry>),
    /// Not now: nothing was decided and nothing is remembered.
    Deferred(Refusal),
    /// A word of head office that is not the next one: heard before, or to come again.
    Passed,
}

/// One decision in the making: what all operations share.
pub(crate) struct Turn<'a> {
    pub(crate) bundle: &'a Arc<Bundle>,
    pub(crate) facts: &'a Facts,
    pub(crate) seq: Seq,
    pub(crate) now: UnixMs,
    pub(crate) identity: &'a Identity,
    pub(crate) since: UnixMs,
    pub(crate) offline_hours: Option<u32>,
    /// Is what the chain shares spent by lease?
    pub(crate) is_lent: bool,
    /// What the shop's own sales say one could propose.
    pub(crate) advice: Option<&'a Adviser>,
}

impl Turn<'_> {
    /// How a device refers to this decision: store, epoch, place.
    pub(crate) fn reference(&self) -> String {
        self.reference_of(self.seq)
    }

    /// How a device refers to a decision of this life of the box.
    pub(crate) fn reference_of(&self, seq: Seq) -> String {
        format!("{}/{}/{}", self.identity.store, self.identity.epoch.0, seq.0)
    }

    pub(crate) fn lang(&self, asked: Option<Lang>, profile: Option<Lang>) -> Lang {
        asked.or(profile).unwrap_or(self.bundle.shop.lang)
    }

    pub(crate) fn data_age(&self, member_as_of: Option<UnixMs>) -> DataAge {
        let seconds_since = |at: UnixMs| (self.now.ms_since(at) / 1_000).max(0);
        DataAge { bundle_s: seconds_since(self.since), member_s: member_as_of.map(seconds_since) }
    }

    pub(crate) fn stamp(&self, at: UnixMs) -> String {
        self.bundle.shop.time_zone.format(at)
    }

    /// A code nobody can guess, the same on each replay: 12 letters and digits that are not mistaken for each other.
    pub(crate) fn secret_code(&self, nth: usize) -> CouponCode {
        const LETTERS: &[u8; 32] = b"23456789ABCDEFGHJKLMNPQRSTUVWXYZ";
        let mut hasher = Sha256::new();
        hasher.update(self.identity.secret);
        hasher.update(self.identity.epoch.0.to_be_bytes());
        hasher.update(self.seq.0.to_be_bytes());
        hasher.update((nth as u64).to_be_bytes());
        let code: String =
            hasher.finalize()[..12].iter().map(|b| char::from(LETTERS[usize::from(b % 32)])).collect();
        CouponCode::new(&code).expect("letters and digits are a code")
    }
}

impl Engine {
    /// An engine that has decided everything before `next`.
    pub fn new(identity: Identity, next: Seq) -> Engine {
        let quotes = OpenQuotes::new(identity.started);
        Engine {
            identity,
            bundle: None,
            next,
            quotes,
            reads: ReadReplays::default(),
            head_office: HeadOffice::Absent,
            demand: Demand::default(),
            past: None,
            adviser: None,
            shown: Vec::new(),
            believed: Believed::default(),
        }
    }

    /// The active rules were signed then: the box's clock is held against it from now on (`believed`).
    pub fn signed_at(&mut self, at: UnixMs) {
        self.believed.signed(at);
    }

    /// The journal ends with this decision.
    pub fn follows(&mut self, last: &Entry) {
        if !last.is_of_doubted_time() {
            self.believed.made(last.at);
        }
    }

    /// The place the next decision will have.
    pub fn next_seq(&self) -> Seq {
        self.next
    }

    /// The rules in force.
    pub fn bundle(&self) -> Option<&Arc<Bundle>> {
        self.bundle.as_ref().map(|active| &active.bundle)
    }

    /// The line to head office came up or went down.
    pub fn head_office_is(&mut self, line: HeadOffice) {
        self.head_office = line;
    }

    /// What this box would like to hold of what head office lends.
    pub fn wants(&self, now: UnixMs) -> Vec<Want> {
        let hours =
            self.bundle().map_or(limits::LEASE_OUTAGE_HOURS, |bundle| bundle.shop.leases.outage_hours);
        self.demand.wants(hours, now)
    }

    /// From now on this is proposed.
    pub fn advise(&mut self, advice: Box<Advice>) {
        let before = self.adviser.take();
        self.adviser = Some(Adviser::new(advice, before));
    }

    /// What the proposals are made from; nothing if there are none yet.
    pub fn advised(&self) -> Option<advice::Counts> {
        self.adviser.as_ref().map(Adviser::counts)
    }

    /// What members were shown since this was asked last, to be decided; nothing if nobody was.
    pub fn shown(&mut self) -> Option<Input> {
        (!self.shown.is_empty()).then(|| Input::Shown(std::mem::take(&mut self.shown)))
    }

    /// Open quotes, for status.
    pub fn open_quotes(&self) -> usize {
        self.quotes.len()
    }

    /// Takes a verified bundle that the journal already says is active. Open quotes keep theirs.
    pub fn resume_bundle(&mut self, bundle: Arc<Bundle>, since: UnixMs) {
        self.bundle = Some(Active { bundle, since });
    }

    /// Decides that a verified bundle is the active one from now on. Open quotes keep theirs.
    pub fn activate(&mut self, bundle: Arc<Bundle>, now: UnixMs) -> Box<Entry> {
        let entry = self.decide_activation(&bundle, now);
        self.resume_bundle(bundle, now);
        entry
    }

    /// Decides that a verified bundle becomes the active one. It is in force once `resume_bundle` hands it over: when
    /// its members and codes can be looked up. Until then the present one stays.
    pub fn decide_activation(&mut self, bundle: &Bundle, now: UnixMs) -> Box<Entry> {
        let reference = bundle.reference.clone();
        let noted = Reply::Noted(Noted::of(self.turn_reference()));
        let input = Input::Activate(reference.clone());
        let mut entry = self.entry(input, Facts::default(), Ok(noted), Vec::new(), now);
        entry.bundle = Some(reference);
        entry
    }

    /// Decides that a member is forgotten: their records are gone, and so is what is open of them here. `number` is what
    /// decisions called them; the vault takes care of what decisions said.
    pub fn forget(&mut self, member: &MemberId, number: Option<u32>, now: UnixMs) -> Box<Entry> {
        self.quotes.forget(member);
        self.reads = ReadReplays::default();
        self.shown.retain(|shown| shown.member != *member);
        let theirs =
            Key::of_member(member).into_iter().chain([Key::Waiting(order::Shown::Member(member.clone()))]);
        let changes = theirs.map(|key| Change { key, record: None }).collect();
        let noted = Reply::Noted(Noted::of(self.turn_reference()));
        self.entry(Input::Forget(Forgotten { number }), Facts::default(), Ok(noted), changes, now)
    }

    /// The records that must be loaded before `handle`, as far as `facts` lets us know; empty when nothing is missing.
    pub fn needs(&self, input: &Input, facts: &Facts) -> Vec<Key> {
        let mut keys = match input {
            Input::Request(request) => self.needs_of_request(request, facts),
            Input::Members(update) => membership::needs(update),
            Input::Activate(_) => Vec::new(),
            Input::Lease(word) => leases::needs(word),
            Input::Shown(shown) => {
                self.bundle().map_or_else(Vec::new, |bundle| showing::needs(bundle, shown))
            }
            Input::Forget(_) => Vec::new(),
            Input::Order(word) => orders::needs(word, facts, &self.identity),
        };
        keys.retain(|key| !facts.knows(key));
        keys.sort();
        keys.dedup();
        keys
    }

    /// Which earlier rules an input is decided with, beside those in force: to be handed over by `recall` before `handle`.
    /// Without them goods come back at their frozen shares.
    pub fn needs_rules(&self, input: &Input, facts: &Facts) -> Option<BundleRef> {
        let Input::Request(request) = input else { return None };
        let wanted = match &request.body {
            Body::Void(original) => refund::past_rules(original, facts)?,
            Body::Return(back) => refund::past_rules(&back.original, facts)?,
            _ => return None,
        };
        let at_hand = self.bundle().into_iter().chain(&self.past).any(|bundle| bundle.reference == *wanted);
        (!at_hand).then(|| wanted.clone())
    }

    /// Hands over the rules of an earlier sale. The last ones stay at hand.
    pub fn recall(&mut self, past: Arc<Bundle>) {
        self.past = Some(past);
    }

    fn needs_of_request(&self, request: &Request, facts: &Facts) -> Vec<Key> {
        if request.body.is_write() {
            let key = Key::Request(request.device.clone(), request.id.clone());
            if !facts.knows(&key) {
                return vec![key];
            }
            if let Some(record) = facts.request(&request.device, &request.id) {
                return vec![Key::Decision(record.decision)];
            }
        }
        let mut keys = Vec::new();
        if let Some(token) = request.body.token() {
            keys.push(Key::Token(token));
            if let Some(owner) = facts.owner(token) {
                keys.extend(Key::of_member(owner));
            }
        }
        let Some(active) = &self.bundle else { return keys };
        if let Some(owner) = request.body.token().and_then(|token| facts.owner(token))
            && self.head_office != HeadOffice::Absent
        {
            keys.extend(leases::needs_of_member(&active.bundle, owner, self.identity.epoch));
        }
        match &request.body {
            Body::Quote { asked: quote, .. } => {
                keys.extend(sale::needs(&active.bundle, quote, &request.device, facts));
                keys.extend(self.lent_to(&active.bundle, quote));
            }
            Body::Commit(commit) => {
                keys.extend(sale::needs_of_commit(
                    &active.bundle,
                    &self.quotes,
                    commit,
                    &request.device,
                    facts,
                ));
                if let Sold::Basket(asked) = &commit.sold {
                    keys.extend(self.lent_to(&active.bundle, asked));
                }
            }
            Body::Void(transaction) => keys.extend(refund::needs(transaction, facts, self.identity.epoch)),
            Body::Return(back) => {
                keys.push(Key::Sale(back.transaction.clone()));
                keys.extend(refund::needs(&back.original, facts, self.identity.epoch));
            }
            Body::Feedback(feedback) => {
                keys.extend(feedback.transaction.iter().map(|key| Key::Sale(key.clone())));
                let sale = feedback.transaction.as_ref().and_then(|key| facts.sale(key));
                keys.extend(sale.and_then(|sale| sale.member.as_ref()).into_iter().flat_map(Key::of_member));
            }
            Body::Event(event) => {
                keys.extend(learning::needs_of_event(event));
                keys.extend(event.order.iter().flat_map(|id| orders::needs_of_pick_up(id, facts)));
            }
            Body::Enroll(enroll) => {
                keys.extend(enroll.link.map(Key::Token));
                let numbers = issue::needs_of_enrolment(&active.bundle, self.identity.epoch);
                keys.extend(numbers.filter(|_| self.head_office != HeadOffice::Absent));
            }
            Body::Scan(scan) => keys.extend(orders::needs_of_scan(scan.token, facts, &self.identity)),
            Body::Wallet(_) => {}
        }
        keys
    }

    fn lent_to(&self, bundle: &Bundle, asked: &QuoteBody) -> Vec<Key> {
        match self.head_office {
            HeadOffice::Absent => Vec::new(),
            HeadOffice::Near | HeadOffice::DownSince(_) => {
                leases::needs_of_sale(bundle, asked, self.identity.epoch)
            }
        }
    }

    /// Decides. `facts` holds what `needs` named; `now` is the box's clock.
    pub fn handle(&mut self, input: Input, facts: Facts, now: UnixMs) -> Outcome {
        self.quotes.expire(now);
        match input {
            Input::Request(request) if request.body.is_write() => self.handle_write(request, facts, now),
            Input::Request(request) => self.handle_read(*request, &facts, now),
            Input::Members(update) => {
                let changes = membership::update(&update, &facts);
                let noted = Reply::Noted(Noted::of(self.turn_reference()));
                Outcome::Decided(self.entry(Input::Members(update), facts, Ok(noted), changes, now))
            }
            Input::Lease(word) => match leases::hear(&word, &facts, &self.identity) {
                Some(changes) => {
                    let noted = Reply::Noted(Noted::of(self.turn_reference()));
                    Outcome::Decided(self.entry(Input::Lease(word), facts, Ok(noted), changes, now))
                }
                None => Outcome::Passed,
            },
            Input::Shown(shown) => {
                let noted = Reply::Noted(Noted::of(self.turn_reference()));
                let bundle = self.bundle();
                let changes = bundle.map(|bundle| showing::written(bundle, &shown, &facts, self.next));
                let changes = changes.unwrap_or_default();
                Outcome::Decided(self.entry(Input::Shown(shown), facts, Ok(noted), changes, now))
            }
            Input::Order(word) => match orders::hear(&word, &facts, (&self.identity, self.next), now) {
                Some(heard) => {
                    let noted = || Reply::Noted(Noted::of(self.turn_reference()));
                    let answer = heard.as_ref().map(|_| noted()).map_err(Clone::clone);
                    let changes = heard.unwrap_or_default();
                    Outcome::Decided(self.entry(Input::Order(word), facts, answer, changes, now))
                }
                None => Outcome::Passed,
            },
            Input::Forget(_) => {
                let detail = "a forgetting comes with the member it is of, not as a request";
                Outcome::Deferred(Refusal::new(Code::UnknownOperation, detail))
            }
            Input::Activate(reference) => {
                let detail = format!("bundle {} comes with its file, not as a request", reference.version);
                Outcome::Deferred(Refusal::new(Code::NoBundle, detail))
            }
        }
    }

    fn handle_read(&mut self, request: Request, facts: &Facts, now: UnixMs) -> Outcome {
        if let Some((sent, first)) = self.reads.find(&request.device, &request.id) {
            if *sent != request.sent {
                return Outcome::Read(Arc::new(Err(id_reused(&request))));
            }
            if let Some(answer) = self.answer_again(first, facts) {
                return Outcome::Again { answer: Arc::new(answer), after: None };
            }
        }
        let Some(turn) = turn(
            &self.bundle,
            &self.identity,
            self.head_office,
            (facts, self.adviser.as_ref()),
            self.next,
            now,
        ) else {
            return Outcome::Deferred(no_bundle());
        };
        self.demand.looked(turn.bundle, facts, now);
        let since = turn.since;
        let mut held = Vec::new();
        let answer = match &request.body {
            Body::Scan(scan) => {
                let (reply, kept_back) = scan::scan(&turn, scan, &self.shown);
                held = kept_back;
                Ok(reply)
            }
            Body::Wallet(token) => Ok(scan::wallet(&turn, *token)),
            Body::Quote { asked, suggest } => {
                sale::quote(&turn, &mut self.quotes, &request.device, asked, *suggest)
            }
            _ => {
                return Outcome::Deferred(Refusal::new(
                    Code::UnknownOperation,
                    "a write is not answered as a read",
                ));
            }
        };
        if let (Body::Scan(_), Ok(Reply::Scan(reply))) = (&request.body, &answer) {
            self.note_shown(&request, (reply, held), facts, now);
        }
        let first = match &answer {
            Ok(Reply::Quote(reply)) if reply.recommendations.is_empty() => {
                FirstAnswer::Quoted { id: reply.quote.clone(), at: now, since }
            }
            answer => FirstAnswer::said(answer),
        };
        self.reads.keep(request.device, request.id, request.sent, first);
        Outcome::Read(Arc::new(answer))
    }

    /// Remembers what a member sees, until it is decided; beyond the bound nothing more is remembered.
    fn note_shown(
        &mut self,
        request: &Request,
        (reply, held): (&ScanReply, Vec<CampaignId>),
        facts: &Facts,
        now: UnixMs,
    ) {
        let Some(id) = reply.member.as_ref().map(|member| &member.id) else { return };
        let agreed = facts.member(id).is_some_and(|member| member.profile.consent.personal);
        if !agreed || self.shown.len() == limits::SHOWN_WAITING_MAX {
            return;
        }
        self.shown.push(Shown {
            member: id.clone(),
            device: request.device.clone(),
            at: now,
            offers: reply.offers.iter().map(|offer| offer.promotion.clone()).collect(),
            suggested: reply.recommendations.iter().map(|suggestion| suggestion.sku.clone()).collect(),
            held,
            cared: {
                let mut cared: Vec<CampaignId> =
                    reply.care.iter().filter_map(|care| care.campaign.clone()).collect();
                cared.sort();
                cared.dedup();
                cared
            },
        });
    }

    /// The first answer to a read; nothing if it was a quote that is not open any more.
    fn answer_again(&self, first: &FirstAnswer, facts: &Facts) -> Option<Answer> {
        match first {
            FirstAnswer::Said(bytes) => rmp_serde::from_slice(bytes).ok(),
            FirstAnswer::Quoted { id, at, since } => {
                let open = self.quotes.get(id)?;
                let turn = Turn {
                    bundle: &open.bundle,
                    facts,
                    seq: self.next,
                    now: *at,
                    identity: &self.identity,
                    since: *since,
                    offline_hours: None,
                    is_lent: false,
                    advice: None,
                };
                Some(sale::quoted(&turn, &open.quote()))
            }
        }
    }

    fn handle_write(&mut self, mut request: Box<Request>, facts: Facts, now: UnixMs) -> Outcome {
        let sent = request.sent.take();
        if let Some(record) = facts.request(&request.device, &request.id) {
            return match facts.decision(record.decision).map(|first| &first.input) {
                Some(Input::Request(first)) if !is_repeated(&request, sent, (record, first)) => {
                    Outcome::Read(Arc::new(Err(id_reused(&request))))
                }
                _ => again(record.decision, &facts),
            };
        }
        if let Body::Commit(commit) = &request.body
            && let Some(decision) = sale::committed_before(commit, &facts)
        {
            return again(decision, &facts);
        }
        let Some(turn) = turn(&self.bundle, &self.identity, self.head_office, (&facts, None), self.next, now)
        else {
            return Outcome::Deferred(no_bundle());
        };
        self.demand.looked(turn.bundle, &facts, now);
        let mut settled = None;
        let decided: Result<(Reply, Vec<Change>), Refusal> = match &mut request.body {
            Body::Commit(commit) => sale::commit(&turn, &mut self.quotes, &request.device, commit).map(
                |(reply, changes, quote)| {
                    settled = quote;
                    (reply, changes)
                },
            ),
            Body::Void(transaction) => refund::void(&turn, self.past.as_ref(), transaction),
            Body::Return(back) => refund::give_back(&turn, self.past.as_ref(), back),
            Body::Enroll(enroll) => membership::enroll(&turn, enroll),
            Body::Feedback(feedback) => Ok(learning::feedback(&turn, request.at, feedback)),
            Body::Event(event) => learning::event(&turn, (&request.device, request.at), event),
            Body::Scan(_) | Body::Quote { .. } | Body::Wallet(_) => {
                Err(Refusal::new(Code::UnknownOperation, "a read is not decided as a write"))
            }
        };
        if let Err(refusal) = &decided
            && refusal.retry_after_ms.is_some()
        {
            return Outcome::Deferred(refusal.clone());
        }
        let (answer, mut changes) = match decided {
            Ok((reply, changes)) => (Ok(reply), changes),
            Err(refusal) => (Err(refusal), Vec::new()),
        };
        let record = RequestRecord { digest: request.digest, decision: self.next, at: now };
        changes.push(Change::put(
            Key::Request(request.device.clone(), request.id.clone()),
            Record::Request(record),
        ));
        let mut facts = facts;
        if let Some(quote) = settled {
            self.quotes.settle(&quote.id);
            facts.add(Key::Quote(quote.id.clone()), Some(Record::Quote(quote)));
        }
        Outcome::Decided(self.entry(Input::Request(request), facts, answer, changes, now))
    }

    fn turn_reference(&self) -> String {
        format!("{}/{}/{}", self.identity.store, self.identity.epoch.0, self.next.0)
    }

    fn entry(
        &mut self,
        input: Input,
        facts: Facts,
        mut answer: Answer,
        changes: Vec<Change>,
        now: UnixMs,
    ) -> Box<Entry> {
        self.believed.mark(&mut answer, now);
        self.believed.made(now);
        let seq = self.next;
        self.next = Seq(seq.0 + 1);
        self.demand.changed(&changes, now);
        let bundle = self.bundle.as_ref().map(|active| active.bundle.reference.clone());
        let (epoch, facts, changes) = (self.identity.epoch, facts.only_kept(), changes.into());
        let entry = Box::new(Entry { seq, epoch, at: now, bundle, input, facts, answer, changes });
        if let (Some(adviser), Some(active)) = (&mut self.adviser, &self.bundle) {
            adviser.hear(&entry, &active.bundle);
        }
        entry
    }
}

fn turn<'a>(
    active: &'a Option<Active>,
    identity: &'a Identity,
    head_office: HeadOffice,
    (facts, advice): (&'a Facts, Option<&'a Adviser>),
    seq: Seq,
    now: UnixMs,
) -> Option<Turn<'a>> {
    let active = active.as_ref()?;
    let offline_hours = match head_office {
        HeadOffice::Absent | HeadOffice::Near => None,
        HeadOffice::DownSince(at) => u32::try_from(now.ms_since(at).max(0) / 3_600_000).ok(),
    };
    let is_lent = head_office != HeadOffice::Absent;
    Some(Turn {
        bundle: &active.bundle,
        facts,
        seq,
        now,
        identity,
        since: active.since,
        offline_hours,
        is_lent,
        advice,
    })
}

fn again(decision: Seq, facts: &Facts) -> Outcome {
    match facts.decision(decision) {
        Some(entry) => Outcome::Again { answer: Arc::new(entry.answer.clone()), after: Some(decision) },
        None => {
            let detail = format!("the first answer is decision {}, which cannot be read now", decision.0);
            Outcome::Deferred(Refusal::later(Code::Busy, detail, 1_000))
        }
    }
}

/// The same request again; versions before 0.1.1 kept the digest of what was sent.
fn is_repeated(request: &Request, sent: Option<Digest>, (record, first): (&RequestRecord, &Request)) -> bool {
    let is_same = record.digest == request.digest && request.body.is_of_the_same(&first.body);
    is_same || sent == Some(record.digest)
}

fn no_bundle() -> Refusal {
    Refusal::later(Code::NoBundle, "this box holds no rules yet", 5_000)
}

fn id_reused(request: &Request) -> Refusal {
    let detail = format!("{} sent id {} before with another body", request.device, request.id);
    Refusal::new(Code::IdReused, detail)
}
