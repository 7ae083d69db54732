//! Lends the chain's limited things to its shops, so that they can be spent without a line and never twice.
//!
//! Downwards go numbered words; what a shop holds and has spent is read from its journal and from nowhere else (`lane`). Pure:
//! no clock, no file. The office appends `take_records` to its log, says `committed`, then `words`; `replay` of the
//! log and `entry` of the journals make the same lender again.
//!
//! Invariants:
//! - I1: after every grant, what is lent (words that nothing has answered included), the final figures of what came back,
//!   and what may be lent without being known here are together at most the budget. Expiry gives nothing back.
//! - I10: only the newest life of a store's box is lent to. An older one that comes back is told to seal everything.
//! - No word is said before the log holds it, nor, where there is a backup, before the backup holds it: head office
//!   restored from its backup has heard of every slice that any shop can hold, and owes nobody a guess.
//! - Restored in any other way it is blind: until every box it ever lent to has heard a word of the new incarnation (from
//!   then on older words are not taken) and its journal was read through that, or a human wrote the box off,
//!   nothing at all is lent.
//! - A request is served once and only in order (`floor`), by what the journal shows and not by what the request says is left.

mod check;
mod folding;
pub mod homes;
mod lane;
mod market;
pub mod orders;
mod ranges;
#[cfg(test)]
mod tests;
mod view;

use std::collections::{BTreeMap, BTreeSet};

use serde::{Deserialize, Serialize};

use crate::bundle::terms::Terms;
use crate::domain::calendar::UnixMs;
use crate::domain::ids::{CouponCode, Epoch, MemberId, PromotionId, Seq, StoreId};
use crate::domain::lease::{Heard, LeaseId, Say, Scope, Slices, Want, Word};
use crate::engine::decision::{Entry, Key, Record as Kept};
use crate::limits;
use crate::upstream::wire::{Ask, PROTOCOL, Words};

pub use check::Breach;
use homes::Homes;
use lane::{Burden, Hold, Lane, Pending};
use market::{Rests, Wanting};
use orders::{Orders, Wish};
pub use view::ScopeView;

/// Mistakes that the simulation switches on to see that it would notice them. Production has none.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Wrong {
    /// What has expired is lent again.
    ReclaimAtExpiry,
    /// A request is served as often as it arrives, whatever its order.
    NoRequestFloor,
    /// Words are said before the backup holds them, and nothing is held back after a restore.
    NaiveRestore,
    /// What was said and not answered is forgotten when the shop asks again.
    GrantTwice,
    /// Which numbers of a series were given out is forgotten.
    LendNumbersAgain,
}

/// What the log holds; in this order it makes the lender again.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Record {
    /// A life of a store's box said hello for the first time.
    Lane {
        /// The store.
        store: StoreId,
        /// The life.
        epoch: Epoch,
    },
    /// A word was made.
    Word {
        /// For whom; the life stands in the word.
        store: StoreId,
        /// The word.
        word: Word,
        /// The request it answers, or the last one answered before.
        floor: u64,
    },
    /// In place of words that a box has answered (`folding`).
    Answered {
        /// The store.
        store: StoreId,
        /// The life.
        epoch: Epoch,
        /// How far it had listened.
        through: LeaseId,
        /// The last word that was ever made for it.
        top: LeaseId,
        /// The last request that was answered.
        floor: u64,
    },
    /// A human gave a box up: what it holds counts as spent.
    WrittenOff {
        /// The store.
        store: StoreId,
        /// The life.
        epoch: Epoch,
    },
    /// A human called everything of a promotion back.
    Drained {
        /// Which.
        promotion: PromotionId,
    },
    /// A human has the home of a single-use code moved.
    Move {
        /// Which code.
        code: CouponCode,
        /// From its home.
        from: StoreId,
        /// To this one.
        to: StoreId,
    },
    /// An online shop wants something of an order.
    Order(Box<Wish>),
    /// Head office was restored by nobody knows what: it may have lent what is not known here.
    Blind {
        /// The incarnation from which on it knows again.
        incarnation: u64,
    },
}

/// What became of a request.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Served {
    /// Served; words may follow.
    Yes,
    /// Answered before, or overtaken by a newer one.
    Stale,
    /// Of another incarnation, of an older life of the box, of one that was written off, or of a box that never said hello.
    Foreign,
    /// The journal it speaks of is not read so far yet.
    Early,
}

/// Points of a member as head office counts them.
pub type Balance<'a> = &'a dyn Fn(&MemberId) -> Option<i64>;

/// Who holds what, and who wants more.
#[derive(Clone, Debug)]
pub struct Lender {
    incarnation: u64,
    has_backup: bool,
    wrong: Option<Wrong>,
    /// None without a bundle: then nothing is lent and nothing is called back.
    terms: Option<Terms>,
    drained: BTreeSet<PromotionId>,
    lanes: BTreeMap<StoreId, BTreeMap<Epoch, Lane>>,
    sums: BTreeMap<Scope, Burden>,
    /// Below this incarnation a box may have heard what is not known here.
    blind_below: u64,
    /// Boxes that have not heard from `blind_below`.
    unknown: BTreeSet<(StoreId, Epoch)>,
    rests: Rests,
    wanting: Wanting,
    /// Boxes that have not answered every word.
    unanswered: BTreeSet<(StoreId, Epoch)>,
    /// When it was last looked for somebody to call something back from.
    looked: BTreeMap<Scope, UnixMs>,
    homes: Homes,
    orders: Orders,
    records: Vec<Record>,
    /// Places of words: made, handed to the log, written, in the backup.
    made: u64,
    taken: u64,
    written: u64,
    covered: u64,
    due: BTreeSet<(StoreId, Epoch)>,
    outdone: bool,
    breaches: Vec<Breach>,
}

impl Lender {
    /// Nothing lent yet. With a backup, words wait until it holds them.
    pub fn new(incarnation: u64, has_backup: bool) -> Lender {
        Lender {
            incarnation: incarnation.max(1),
            has_backup,
            wrong: None,
            terms: None,
            drained: BTreeSet::new(),
            lanes: BTreeMap::new(),
            sums: BTreeMap::new(),
            blind_below: 0,
            unknown: BTreeSet::new(),
            rests: Rests::default(),
            wanting: Wanting::default(),
            unanswered: BTreeSet::new(),
            looked: BTreeMap::new(),
            homes: Homes::default(),
            orders: Orders::default(),
            records: Vec::new(),
            made: 0,
            taken: 0,
            written: 0,
            covered: 0,
            due: BTreeSet::new(),
            outdone: false,
            breaches: Vec::new(),
        }
    }

    /// Makes one mistake from now on; for the simulation.
    pub fn with_wrong(self, wrong: Option<Wrong>) -> Lender {
        Lender { wrong, ..self }
    }

    /// Is there a backup to wait for?
    pub fn set_backup(&mut self, has_backup: bool) {
        self.has_backup = has_backup;
    }

    /// What may be lent from now on.
    pub fn set_terms(&mut self, terms: Option<Terms>) {
        self.terms = terms;
    }

    /// The life of head office's data that speaks.
    pub fn incarnation(&self) -> u64 {
        self.incarnation
    }

    /// Head office was restored. `blind`: not from its own newest backup, so that it may have lent more than it knows.
    pub fn renewed(&mut self, incarnation: u64, blind: bool) {
        if self.wrong == Some(Wrong::NaiveRestore) {
            return;
        }
        self.incarnation = incarnation.max(self.incarnation);
        self.outdone = false;
        for lane in self.lanes.values_mut().flat_map(BTreeMap::values_mut) {
            (lane.next, lane.floor, lane.said, lane.said_at) = (1, 0, 0, None);
        }
        if blind {
            self.records.push(Record::Blind { incarnation: self.incarnation });
            self.blind();
        }
    }

    fn blind(&mut self) {
        self.blind_below = self.incarnation;
        self.doubt();
    }

    /// Which boxes may have heard what is not known here.
    fn doubt(&mut self) {
        let below = |lane: &Lane| !lane.written_off && !lane.is_known(self.blind_below);
        let unknown = self.each_lane().filter(|(.., lane)| below(lane));
        self.unknown = unknown.map(|(store, epoch, _)| (store.clone(), epoch)).collect();
    }

    /// Follows the log. False if the record cannot have been written by this program.
    pub fn replay(&mut self, record: &Record) -> bool {
        match record {
            Record::Lane { store, epoch } => self.begin(store, *epoch),
            Record::Word { store, word, floor } => {
                self.begin(store, word.epoch);
                let incarnation = self.incarnation;
                let place = self.made + 1;
                let Some(lane) = self.lane_mut(store, word.epoch) else { return false };
                if word.id.incarnation > incarnation {
                    return false;
                }
                lane.top = lane.top.max(word.id);
                if word.id.incarnation == incarnation {
                    lane.next = lane.next.max(word.id.number + 1);
                    lane.floor = lane.floor.max(*floor);
                }
                let put = |lane: &mut Lane| lane.pending.push_back(Pending { word: word.clone(), place });
                self.change((store, word.epoch), word.say.scope().into_iter(), put);
                self.homes.said(store, word);
                (self.made, self.taken, self.written) = (place, place, place);
                true
            }
            Record::Answered { store, epoch, through, top, floor } => {
                self.replay_answered((store, *epoch), (*through, *top, *floor))
            }
            Record::WrittenOff { store, epoch } => self.book_off(store, *epoch),
            Record::Drained { promotion } => {
                self.drained.insert(promotion.clone());
                true
            }
            Record::Move { code, from, to } => {
                self.homes.begin(code, from, to);
                true
            }
            Record::Order(wish) => {
                self.orders.wish(wish);
                true
            }
            Record::Blind { incarnation } => {
                self.blind_below = self.blind_below.max(*incarnation);
                true
            }
        }
    }

    /// Log and journals were replayed: what they say together.
    pub fn replayed(&mut self) {
        self.orders.drop_news();
        self.doubt();
    }

    fn lane_mut(&mut self, store: &StoreId, epoch: Epoch) -> Option<&mut Lane> {
        self.lanes.get_mut(store)?.get_mut(&epoch)
    }

    fn lane(&self, store: &StoreId, epoch: Epoch) -> Option<&Lane> {
        self.lanes.get(store)?.get(&epoch)
    }

    fn each_lane(&self) -> impl Iterator<Item = (&StoreId, Epoch, &Lane)> {
        let lanes = self.lanes.iter();
        lanes.flat_map(|(store, lanes)| lanes.iter().map(move |(epoch, lane)| (store, *epoch, lane)))
    }

    /// False if there is no room for another life of this store.
    fn begin(&mut self, store: &StoreId, epoch: Epoch) -> bool {
        let lanes = self.lanes.entry(store.clone()).or_default();
        if lanes.contains_key(&epoch) {
            return true;
        }
        if lanes.len() >= limits::HUB_EPOCHS_MAX {
            return false;
        }
        lanes.insert(epoch, Lane::new());
        if self.blind_below > 0 {
            self.unknown.insert((store.clone(), epoch));
        }
        true
    }

    fn newest(&self, store: &StoreId) -> Option<Epoch> {
        self.lanes.get(store)?.last_key_value().map(|(epoch, _)| *epoch)
    }

    /// Changes what a lane holds of these scopes, and the sums with it.
    fn change<'a>(
        &mut self,
        (store, epoch): (&StoreId, Epoch),
        scopes: impl Iterator<Item = &'a Scope> + Clone,
        act: impl FnOnce(&mut Lane),
    ) {
        let Some(lane) = self.lanes.get_mut(store).and_then(|lanes| lanes.get_mut(&epoch)) else { return };
        let before: Vec<(Burden, i64)> =
            scopes.clone().map(|scope| (lane.burden(scope), lane.rest(scope))).collect();
        let was_waited_for = !lane.pending.is_empty();
        act(lane);
        match (was_waited_for, !lane.pending.is_empty()) {
            (false, true) => drop(self.unanswered.insert((store.clone(), epoch))),
            (true, false) => drop(self.unanswered.remove(&(store.clone(), epoch))),
            _ => {}
        }
        for (scope, (before, rest)) in scopes.zip(before) {
            self.rests.replace(scope, (store, epoch), rest, lane.rest(scope));
            let after = lane.burden(scope);
            let sum = self.sums.entry(scope.clone()).or_default();
            sum.replace(before, after);
            if *sum == Burden::default() {
                self.sums.remove(scope);
            }
        }
    }

    /// A life of a store's box is here: it is told again what it has not answered, and what it holds is made good for
    /// longer before it expires.
    pub fn hello(&mut self, store: &StoreId, epoch: Epoch, now: UnixMs) {
        if self.lane(store, epoch).is_none() {
            if !self.begin(store, epoch) {
                return;
            }
            self.records.push(Record::Lane { store: store.clone(), epoch });
        }
        if self.newest(store) != Some(epoch) || self.lane(store, epoch).is_some_and(|lane| lane.written_off) {
            self.call_back(store, epoch);
        } else {
            self.prolong(store, epoch, now);
        }
        let is_unknown = self.unknown.contains(&(store.clone(), epoch));
        let own = self.incarnation;
        if let Some(lane) = self.lane_mut(store, epoch) {
            let stale = lane.pending.iter().any(|pending| pending.word.id.incarnation < own);
            let owes = lane.next == 1 && lane.heard.incarnation < own && (is_unknown || stale);
            lane.said = 0;
            if owes {
                self.say(store, epoch, Say::Greet);
            }
        }
        self.tell_homes(store);
        self.tell_orders(store, now);
        self.due.insert((store.clone(), epoch));
    }

    fn prolong(&mut self, store: &StoreId, epoch: Epoch, now: UnixMs) {
        let (Some(lane), Some(terms)) = (self.lane(store, epoch), &self.terms) else { return };
        let good_ms = i64::from(terms.outage_hours) * 3_600_000;
        let (soon, expires) = (now.plus_ms(good_ms / limits::LEASE_PROLONG_PART), now.plus_ms(good_ms));
        let idle_max = u32::try_from(limits::LEASE_WANT_MS / (good_ms / limits::LEASE_PROLONG_PART).max(1));
        let is_idle = |hold: &Hold| hold.prolonged >= idle_max.unwrap_or(u32::MAX).max(1);
        let mut says = Vec::new();
        for (scope, hold) in lane.holds.iter().filter(|(scope, _)| !self.is_retired(scope, now)) {
            let is_prolonged = |id: LeaseId| {
                let is_it = |say: &Say| matches!(say, Say::TopUp { scope: of, lease, .. } if of == scope && *lease == id);
                lane.pending.iter().any(|pending| is_it(&pending.word.say))
            };
            let ending = lane.open(scope).filter(|slice| {
                slice.expires < soon && !is_prolonged(slice.lease) && !ranges::is_used_up(slice)
            });
            let goes_home = scope.pocket().is_some() && is_idle(hold);
            says.extend(ending.map(|slice| (scope.clone(), slice.lease, goes_home)));
        }
        for (scope, lease, goes_home) in says {
            let say = match goes_home {
                true => Say::Seal { scope, lease },
                false => Say::TopUp { scope, lease, more: 0, expires },
            };
            self.say(store, epoch, say);
        }
    }

    /// Reads an entry of a journal: once, at the place where the ledger took it.
    pub fn entry(&mut self, store: &StoreId, epoch: Epoch, seq: Seq, entry: &Entry) {
        self.homes.read(store, epoch, entry);
        self.orders.read(store, epoch, entry);
        let heard = entry.changes.iter().find_map(|change| match (&change.key, &change.record) {
            (Key::Heard(_), Some(Kept::Heard(heard))) => Some(*heard),
            _ => None,
        });
        let held = entry.changes.iter().filter_map(|change| match (&change.key, &change.record) {
            (Key::Lease(_, scope), Some(Kept::Slices(slices))) => Some((scope, Some(slices))),
            (Key::Lease(_, scope), _) => Some((scope, None)),
            _ => None,
        });
        let held: Vec<(&Scope, Option<&Slices>)> = held.collect();
        if heard.is_none() && held.is_empty() {
            return;
        }
        self.read(store, epoch, seq, heard, &held);
    }

    fn read(
        &mut self,
        store: &StoreId,
        epoch: Epoch,
        seq: Seq,
        heard: Option<Heard>,
        held: &[(&Scope, Option<&Slices>)],
    ) {
        if !self.begin(store, epoch) {
            return;
        }
        let is_known = !self.unknown.contains(&(store.clone(), epoch));
        let Some(lane) = self.lanes.get_mut(store).and_then(|lanes| lanes.get_mut(&epoch)) else { return };
        self.outdone |= is_known && heard.is_some_and(|heard| heard.last > lane.top);
        let mut answered = false;
        self.change((store, epoch), held.iter().map(|(scope, _)| *scope), |lane| {
            lane.read(seq, heard, held);
            answered = lane.pending.is_empty();
        });
        if !answered {
            self.due.insert((store.clone(), epoch));
        }
    }

    /// Did a box hear words that this head office does not know of? Then it lost data: `renewed`, blind, is due.
    pub fn is_outdone(&self) -> bool {
        self.outdone || self.incarnation < self.blind_below
    }

    /// An entry was kept and not understood.
    pub fn unread(&mut self, store: &StoreId, epoch: Epoch) {
        if let Some(lane) = self.lane_mut(store, epoch) {
            lane.whole = false;
        }
    }

    /// How far a journal was read. `whole`: nothing of it is withheld, lost, or kept without being understood.
    pub fn line(&mut self, store: &StoreId, epoch: Epoch, applied: Seq, whole: bool) {
        let Some(lane) = self.lane_mut(store, epoch) else { return };
        (lane.applied, lane.whole) = (lane.applied.max(applied), whole);
        if lane.is_behind() {
            let scopes = lane.scopes();
            self.change((store, epoch), scopes.iter(), Lane::forget);
        }
        let Some(lane) = self.lane(store, epoch) else { return };
        if whole && lane.is_known(self.blind_below) {
            self.unknown.remove(&(store.clone(), epoch));
        }
    }

    /// Something is not in the bundle any more, has ended, or was called back by a human.
    fn is_retired(&self, scope: &Scope, now: UnixMs) -> bool {
        let Some(terms) = &self.terms else { return false };
        match scope {
            Scope::Pocket(_) => !terms.pockets,
            Scope::Uses(id) | Scope::Units(id) | Scope::Money(id) | Scope::Points(id)
                if self.drained.contains(id) =>
            {
                true
            }
            Scope::Series(prefix)
                if terms.sets_off.get(prefix).is_some_and(|promotion| self.drained.contains(promotion)) =>
            {
                true
            }
            _ => terms.budgets.get(scope).is_none_or(|budget| budget.until.is_some_and(|until| until <= now)),
        }
    }

    fn budget(&self, scope: &Scope, now: UnixMs, balance: Balance<'_>) -> i64 {
        if self.is_retired(scope, now) {
            return 0;
        }
        match (scope, &self.terms) {
            (Scope::Pocket(member), Some(_)) => {
                balance(member).unwrap_or(0).clamp(0, limits::LEASE_BUDGET_MAX)
            }
            (_, Some(terms)) => terms.budgets.get(scope).map_or(0, |budget| budget.max),
            (_, None) => 0,
        }
    }

    /// What may be lent now.
    fn free(&self, scope: &Scope, now: UnixMs, balance: Balance<'_>) -> i64 {
        if !self.unknown.is_empty() && self.wrong != Some(Wrong::NaiveRestore) {
            return 0;
        }
        let burden = self.sums.get(scope).copied().unwrap_or_default().all();
        self.budget(scope, now, balance) - burden + self.mistaken(scope, now)
    }

    /// What a mistake takes for free that is not.
    fn mistaken(&self, scope: &Scope, now: UnixMs) -> i64 {
        let lanes = || self.lanes.values().flat_map(BTreeMap::values);
        match self.wrong {
            Some(Wrong::ReclaimAtExpiry) => {
                let expired = lanes().flat_map(|lane| lane.open(scope)).filter(|slice| slice.expires < now);
                expired.map(|slice| slice.amount - slice.used).sum()
            }
            Some(Wrong::GrantTwice) => lanes().map(|lane| lane.lends(scope)).sum(),
            _ => 0,
        }
    }

    /// A shop says what it would like to hold.
    pub fn ask(&mut self, store: &StoreId, ask: &Ask, now: UnixMs, balance: Balance<'_>) -> Served {
        let newest = self.newest(store);
        let Some(lane) = self.lanes.get_mut(store).and_then(|lanes| lanes.get_mut(&ask.epoch)) else {
            return Served::Foreign;
        };
        if newest != Some(ask.epoch) || lane.written_off {
            self.call_back(store, ask.epoch);
            return Served::Foreign;
        }
        if ask.incarnation != self.incarnation {
            return Served::Foreign;
        }
        if ask.number <= lane.floor {
            if self.wrong != Some(Wrong::NoRequestFloor) {
                return Served::Stale;
            }
            self.breach(Breach::ServedTwice(store.clone(), ask.number));
        } else if lane.applied < ask.as_of {
            return Served::Early;
        } else {
            lane.floor = ask.number;
        }
        self.wanting.said(store, &ask.wants);
        for want in &ask.wants {
            self.serve(store, ask.epoch, want, now, balance);
        }
        Served::Yes
    }

    fn serve(&mut self, store: &StoreId, epoch: Epoch, want: &Want, now: UnixMs, balance: Balance<'_>) {
        let scope = &want.scope;
        let Some(terms) = &self.terms else { return };
        if self.is_retired(scope, now) || want.need <= 0 {
            return;
        }
        let good_ms = i64::from(terms.outage_hours) * 3_600_000;
        let expires = now.plus_ms(good_ms);
        if scope.series().is_some() {
            self.seal_used_up(store, epoch, scope);
        }
        let Some(lane) = self.lane(store, epoch) else { return };
        let left = match self.wrong {
            Some(Wrong::GrantTwice) => lane.left(scope) - lane.lends(scope),
            _ => lane.left(scope),
        };
        let latest =
            lane.open(scope).max_by_key(|slice| (slice.expires, slice.lease)).map(|slice| slice.lease);
        let latest = latest.or_else(|| lane.coming(scope, self.incarnation).last());
        let short = want.need.min(limits::LEASE_BUDGET_MAX).saturating_sub(left);
        if short > 0 {
            let free = self.free(scope, now, balance);
            let share = free / limits::LEASE_KEPT_BACK_PART / self.wanting.asking(scope);
            // A half of a half of it would go on for ever, each a decision in the shop's journal: the last goes whole. Of a
            // member's points the first half is kept for another shop; who has some and asks for more is where they are.
            let is_trickle =
                share <= left / limits::LEASE_TRICKLE_PART || (scope.pocket().is_some() && left > 0);
            let amount = short.min(if is_trickle { free } else { share.max(1) }).min(free);
            if amount > 0 {
                let scope = scope.clone();
                match latest {
                    _ if scope.series().is_some() => {
                        self.grant_range((store, epoch), &scope, amount, (now, expires))
                    }
                    Some(lease) => self.say(store, epoch, Say::TopUp { scope, lease, more: amount, expires }),
                    None => self.say(store, epoch, Say::Grant { scope, amount, expires, first: None }),
                }
                self.look_at(store, epoch, &want.scope, now, balance);
            } else {
                self.recall((store, left), scope, short, now);
            }
        }
    }

    /// Nothing is left for `store`, which holds `has`: of the stores that hold most, the one that holds most beyond what it
    /// needs gives its slices back and asks anew. One that asks for nothing is taken to need half of what it holds. Between
    /// stores that hold about the same nothing moves: it would go to and fro for ever.
    fn recall(&mut self, (store, has): (&StoreId, i64), scope: &Scope, short: i64, now: UnixMs) {
        let waited = |at: &UnixMs| now.ms_since(*at).abs() >= limits::LEASE_RECALL_MS;
        if !self.unknown.is_empty() || !self.looked.get(scope).is_none_or(waited) {
            return;
        }
        self.looked.insert(scope.clone(), now);
        let is_rich = |rest: i64| rest / limits::LEASE_RECALL_PART > has;
        let richest = self.rests.richest(scope).take_while(|(rest, ..)| is_rich(*rest));
        let surplus = |(rest, other, epoch): &(i64, StoreId, Epoch)| {
            let need = self.wanting.need(other, scope);
            let beyond = rest - need.map_or(rest / 2, |need| need.saturating_mul(2));
            let may_give = other != store && beyond > 0 && self.newest(other) == Some(*epoch);
            may_give.then(|| (beyond, other.clone(), *epoch))
        };
        let most = richest.take(limits::LEASE_RECALL_LOOKS_MAX).filter_map(surplus).max();
        if let Some((_, other, epoch)) = most.filter(|(beyond, ..)| *beyond >= short.min(2)) {
            self.seal(&other, epoch, scope);
        }
    }

    /// Says Seal for every slice of a scope that the box holds, or is about to.
    fn seal(&mut self, store: &StoreId, epoch: Epoch, scope: &Scope) {
        let Some(lane) = self.lane(store, epoch) else { return };
        let open: Vec<LeaseId> = lane.open(scope).map(|slice| slice.lease).collect();
        let coming: Vec<LeaseId> = lane.coming(scope, self.incarnation).collect();
        for lease in open.into_iter().chain(coming) {
            self.say(store, epoch, Say::Seal { scope: scope.clone(), lease });
        }
    }

    fn call_back(&mut self, store: &StoreId, epoch: Epoch) {
        for scope in self.lane(store, epoch).map(Lane::scopes).unwrap_or_default() {
            self.seal(store, epoch, &scope);
        }
    }

    /// Makes the next word for a box, if it has answered enough of those before.
    fn say(&mut self, store: &StoreId, epoch: Epoch, say: Say) {
        let incarnation = self.incarnation;
        let Some(lane) = self.lane_mut(store, epoch) else { return };
        if lane.pending.len() >= limits::LEASE_WORDS_UNHEARD_MAX {
            return;
        }
        let id = LeaseId { incarnation, number: lane.next };
        let floor = lane.floor;
        lane.next += 1;
        lane.top = lane.top.max(id);
        let word = Word { id, epoch, say };
        self.made += 1;
        let pending = Pending { word: word.clone(), place: self.made };
        self.records.push(Record::Word { store: store.clone(), word: word.clone(), floor });
        let put = |lane: &mut Lane| lane.pending.push_back(pending);
        self.change((store, epoch), word.say.scope().into_iter(), put);
        self.homes.said(store, &word);
        self.due.insert((store.clone(), epoch));
    }

    /// What is to be written before anything of it is said.
    pub fn take_records(&mut self) -> Vec<Record> {
        self.taken = self.made;
        std::mem::take(&mut self.records)
    }

    /// What was taken is on disk.
    pub fn committed(&mut self) {
        self.written = self.taken;
    }

    /// What is on disk is in the backup.
    pub fn covered(&mut self) {
        self.covered = self.written;
        let waiting = |lane: &Lane| lane.pending.back().is_some_and(|last| last.word.id.number > lane.said);
        let unsaid =
            self.unanswered.iter().filter(|(store, epoch)| self.lane(store, *epoch).is_some_and(waiting));
        let unsaid: Vec<_> = unsaid.cloned().collect();
        self.due.extend(unsaid);
    }

    /// Time passed: what has ended is called back, what was not answered is said again. Every few seconds.
    pub fn tick(&mut self, now: UnixMs) {
        self.go_on_moving();
        let is_ended = |(scope, sum): &(&Scope, &Burden)| sum.open > 0 && self.is_retired(scope, now);
        let ended: Vec<Scope> = self.sums.iter().filter(is_ended).map(|(scope, _)| scope.clone()).collect();
        for scope in &ended {
            let holding = self.each_lane().filter(|(.., lane)| lane.may_hold(scope));
            let holding: Vec<(StoreId, Epoch)> =
                holding.map(|(store, epoch, _)| (store.clone(), epoch)).collect();
            for (store, epoch) in &holding {
                self.seal(store, *epoch, scope);
            }
        }
        self.looked.retain(|_, at| now.ms_since(*at).abs() < limits::LEASE_RECALL_MS);
        let waited = |at: UnixMs| now.ms_since(at).abs() >= limits::LEASE_RESEND_MS;
        for (store, epoch) in &self.unanswered {
            let lane = self.lanes.get_mut(store).and_then(|lanes| lanes.get_mut(epoch));
            // What was never said waits for the log or the backup, and is due when they hold it.
            if let Some(lane) = lane.filter(|lane| lane.said > 0 && lane.said_at.is_some_and(waited)) {
                lane.said = 0;
                self.due.insert((store.clone(), *epoch));
            }
        }
    }

    /// What is to be said now, at most `LEASE_WORDS_MAX` words to a box. Call after `committed`.
    pub fn words(&mut self, now: UnixMs) -> Vec<(StoreId, Words)> {
        let held = self.has_backup && self.wrong != Some(Wrong::NaiveRestore);
        let sayable = if held { self.covered } else { self.written };
        let mut frames = Vec::new();
        for (store, epoch) in std::mem::take(&mut self.due) {
            let incarnation = self.incarnation;
            let Some(lane) = self.lane_mut(&store, epoch) else { continue };
            let answered = if lane.heard.incarnation == incarnation { lane.heard.number } else { 0 };
            let reach = answered + limits::LEASE_WORDS_MAX as u64;
            let from = lane.said.max(answered);
            let fits = |pending: &&Pending| {
                let id = pending.word.id;
                id.incarnation == incarnation
                    && id.number > from
                    && id.number <= reach
                    && pending.place <= sayable
            };
            let words: Vec<Word> =
                lane.pending.iter().filter(fits).map(|pending| pending.word.clone()).collect();
            let Some(last) = words.last() else { continue };
            (lane.said, lane.said_at) = (last.id.number, Some(now));
            frames.push((store, Words { v: PROTOCOL, incarnation, epoch, words }));
        }
        frames
    }

    /// The highest request of a life of a box that was served.
    pub fn floor(&self, store: &StoreId, epoch: Epoch) -> u64 {
        self.lane(store, epoch).map_or(0, |lane| lane.floor)
    }

    /// A human gives a box up: what it holds counts as spent, unless it comes back one day and says less. False if it is not
    /// known or was given up before.
    pub fn write_off(&mut self, store: &StoreId, epoch: Epoch) -> bool {
        let booked = self.book_off(store, epoch);
        if booked {
            self.records.push(Record::WrittenOff { store: store.clone(), epoch });
        }
        booked
    }

    fn book_off(&mut self, store: &StoreId, epoch: Epoch) -> bool {
        let Some(lane) = self.lane_mut(store, epoch).filter(|lane| !lane.written_off) else { return false };
        let scopes = lane.scopes();
        self.change((store, epoch), scopes.iter(), |lane| lane.written_off = true);
        self.unknown.remove(&(store.clone(), epoch));
        true
    }

    /// A human calls everything of a promotion back, for good.
    pub fn drain(&mut self, promotion: &PromotionId) {
        if self.drained.insert(promotion.clone()) {
            self.records.push(Record::Drained { promotion: promotion.clone() });
        }
    }
}
