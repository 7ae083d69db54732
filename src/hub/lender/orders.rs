//! Orders that online shops place to be handed over in a shop: told to it until its journal shows them, and followed there.
//!
//! The log holds what the online shop wants of an order (`Wish`), each time that changes; what became of it stands in the
//! shops' journals alone, which are read here in order. A word is the whole order as it stands and counts its changes, so that one
//! that comes twice or late does nothing (`engine::orders`).
//!
//! Invariants:
//! - Nothing is told of a hand-over, a cancellation or a refusal before the entry that shows it is in the log.
//! - A hand-over stands, whatever was wished: one that comes in after a cancellation is told as `collected`, with `after_cancel`;
//!   two of one order (a box that was lost came back) with `twice`.
//! - Words need not wait for the backup: what a head office restored from it has forgotten, the journals tell. An order that
//!   no shop had heard of is forgotten then, and is placed again.
//! - A new life of a box is told every order anew that is not past its time, those handed over included.
//! - What is forgotten goes by this office's own clock: one that is wrong by half a year forgets what is not over.

use std::collections::{BTreeMap, BTreeSet};

use serde::{Deserialize, Serialize};

use super::{Lender, Record};
use crate::domain::calendar::{DAY_MS, UnixMs};
use crate::domain::code::Code;
use crate::domain::ids::{DeviceId, Epoch, OrderId, RequestId, StoreId};
use crate::domain::member::TokenHash;
use crate::domain::order::{HandOver, Order, OrderState, OrderWord, Pickup};
use crate::engine::decision::{Entry, Key, Record as Kept};
use crate::engine::input::Input;
use crate::limits;
use crate::upstream::wire::{Orders as Frame, PROTOCOL};

/// What an online shop wants of an order.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Wish {
    /// Whose order it is.
    pub partner: StoreId,
    /// The request that placed it: what becomes of it is told under this.
    pub request: RequestId,
    /// The order.
    pub order: Order,
    /// What the shopper shows for it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub code: Option<TokenHash>,
    /// It is not to be handed over any more.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub cancelled: bool,
    /// How many changes of the order it stands for, the placing included: more than 1 in a log that was made shorter.
    #[serde(default = "once", skip_serializing_if = "is_once")]
    pub changes: u32,
}

fn once() -> u32 {
    1
}

fn is_once(changes: &u32) -> bool {
    *changes == 1
}

impl Wish {
    /// This one behind an earlier one under the same number: the two as one. A number that comes again as another order, when
    /// the first is forgotten, stands for itself.
    pub(super) fn behind(self, earlier: &Wish) -> Wish {
        let is_same = earlier.partner == self.partner
            && earlier.code == self.code
            && is_later(&self.order, &earlier.order);
        if !is_same {
            return self;
        }
        Wish {
            request: earlier.request.clone(),
            changes: self.changes.saturating_add(earlier.changes),
            ..self
        }
    }
}

/// Is it the same order as `earlier`, which may not have been ready yet, or kept until another moment?
fn is_later(order: &Order, earlier: &Order) -> bool {
    Order { ready: order.ready, until: order.until, ..earlier.clone() } == *order
}

/// How far an order is.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Stage {
    /// The shop has not answered.
    Placed,
    /// The shop has it and hands it over.
    Waiting,
    /// It is to be cancelled; the shop has not answered: it may be handed over yet.
    Cancelling,
    /// The shop does not hand it over any more.
    Cancelled,
    /// The shop handed it over.
    Collected,
    /// The shop's clock is past its last moment, and it was not handed over.
    Expired,
    /// The shop does not take it.
    Refused,
}

/// One order, for the online shop.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct OrderView {
    /// Which.
    pub order: OrderId,
    /// Where it is handed over.
    pub store: StoreId,
    /// How far it is.
    pub stage: Stage,
    /// When it was handed over, UTC.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub at: Option<String>,
    /// At which device.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub device: Option<DeviceId>,
    /// In which decision.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub decision: Option<String>,
    /// It was handed over although it was to be cancelled: the shop had not heard of that.
    #[serde(skip_serializing_if = "std::ops::Not::not")]
    pub after_cancel: bool,
    /// It was handed over more than once.
    #[serde(skip_serializing_if = "std::ops::Not::not")]
    pub twice: bool,
    /// Why the shop does not take it.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub refusal: Option<Code>,
}

#[derive(Clone, Debug)]
struct Known {
    /// None for an order that only a shop's journal tells of.
    owner: Option<(StoreId, RequestId)>,
    order: Order,
    code: Option<TokenHash>,
    cancelled: bool,
    /// Changes of it that are known here.
    nth: u32,
    /// What the newest life of the box that answered has taken.
    held: Option<(Epoch, u32)>,
    refused: Option<(Epoch, u32, Code)>,
    state: OrderState,
    handed: BTreeSet<HandOver>,
    told: Option<(Epoch, u32, UnixMs)>,
}

impl Known {
    /// Why the shop does not take it as it stands now.
    fn refusal(&self) -> Option<Code> {
        self.refused.filter(|(_, nth, _)| *nth >= self.nth).map(|(.., code)| code)
    }

    fn stage(&self, shop_at: Option<UnixMs>) -> Stage {
        match self.state {
            OrderState::Collected(_) => Stage::Collected,
            OrderState::Cancelled => Stage::Cancelled,
            OrderState::Waiting if self.refusal().is_some() => Stage::Refused,
            OrderState::Waiting if self.cancelled => Stage::Cancelling,
            OrderState::Waiting if shop_at.is_some_and(|at| at > self.order.until) => Stage::Expired,
            OrderState::Waiting if self.held.is_some_and(|(_, nth)| nth >= self.nth) => Stage::Waiting,
            OrderState::Waiting => Stage::Placed,
        }
    }

    fn view(&self, shop_at: Option<UnixMs>) -> OrderView {
        let store = &self.order.store;
        let handed = self.handed.first();
        OrderView {
            order: self.order.id.clone(),
            store: store.clone(),
            stage: self.stage(shop_at),
            at: handed.map(|handed| handed.at.to_string()),
            device: handed.map(|handed| handed.device.clone()),
            decision: handed.map(|handed| format!("{store}/{}/{}", handed.epoch.0, handed.decision.0)),
            after_cancel: self.cancelled && handed.is_some(),
            twice: self.handed.len() > 1,
            refusal: self.refusal(),
        }
    }

    /// What a life of the box has to hear at this moment.
    fn owes(&self, epoch: Epoch, incarnation: u64, now: UnixMs) -> Option<OrderWord> {
        let is_answered =
            |answer: Option<(Epoch, u32)>| answer.is_some_and(|(of, nth)| of == epoch && nth >= self.nth);
        let refused = self.refused.map(|(epoch, nth, _)| (epoch, nth));
        // What is past its time is not handed over whatever the shop knows of it; what is to be cancelled gets an answer.
        let is_over = self.order.until < now && !(self.cancelled && self.state == OrderState::Waiting);
        if is_answered(self.held) || is_answered(refused) || is_over {
            return None;
        }
        let wished = if self.cancelled { OrderState::Cancelled } else { OrderState::Waiting };
        Some(OrderWord {
            incarnation,
            nth: self.nth,
            order: self.order.clone(),
            code: self.code,
            state: self.state.after(&wished),
        })
    }

    /// Was it told so lately that the answer may be on its way?
    fn is_told(&self, epoch: Epoch, now: UnixMs) -> bool {
        self.told.is_some_and(|(of, nth, at)| {
            (of, nth) == (epoch, self.nth) && now.ms_since(at).abs() < limits::ORDER_RESEND_MS
        })
    }
}

/// All orders that are not forgotten.
#[derive(Clone, Debug, Default)]
pub(super) struct Orders {
    known: BTreeMap<OrderId, Known>,
    of_store: BTreeMap<StoreId, BTreeSet<OrderId>>,
    /// By the moment until which they are kept.
    by_end: BTreeSet<(UnixMs, OrderId)>,
    /// The clock of each shop at its last entry read.
    shop_at: BTreeMap<StoreId, UnixMs>,
    /// Shops that may have something to hear.
    due: BTreeSet<StoreId>,
    /// Orders whose online shop has something to hear.
    news: BTreeSet<OrderId>,
}

impl Orders {
    /// Partners hear what is new from now on.
    pub(super) fn drop_news(&mut self) {
        self.news.clear();
    }

    /// The online shop wants something of an order.
    pub(super) fn wish(&mut self, wish: &Wish) {
        let Wish { partner, request, order, code, cancelled, changes } = wish.clone();
        let (id, store) = (order.id.clone(), order.store.clone());
        let is_another = self.known.get(&id).is_some_and(|known| {
            let owner = known.owner.as_ref().map(|(owner, _)| owner);
            owner.is_some_and(|owner| {
                *owner != partner || known.code != code || !is_later(&order, &known.order)
            })
        });
        if is_another {
            self.remove(&id);
        }
        let owner = Some((partner, request));
        match self.known.get_mut(&id) {
            Some(known) => {
                // What becomes of it is told under the request that placed it, whichever changes it later.
                known.owner = known.owner.take().or(owner);
                self.by_end.remove(&(known.order.until, id.clone()));
                self.by_end.insert((order.until, id.clone()));
                (known.order, known.code) = (order, code);
                known.cancelled = cancelled;
                known.nth = known.nth.saturating_add(changes);
            }
            None => {
                self.by_end.insert((order.until, id.clone()));
                let known = Known { owner, code, cancelled, nth: changes, ..Known::of(order) };
                self.known.insert(id.clone(), known);
            }
        }
        self.of_store.entry(store.clone()).or_default().insert(id);
        self.due.insert(store);
    }

    /// Reads what a box made of its orders.
    pub(super) fn read(&mut self, store: &StoreId, epoch: Epoch, entry: &Entry) {
        self.shop_at.insert(store.clone(), entry.at);
        let shop_at = Some(entry.at);
        for change in entry.changes.iter() {
            let (Key::Order(id), Some(Kept::Order(pickup))) = (&change.key, &change.record) else { continue };
            if !self.known.contains_key(id) && self.known.len() >= limits::HUB_ORDERS_MAX {
                continue;
            }
            let known = self.known.entry(id.clone()).or_insert_with(|| {
                self.by_end.insert((pickup.order.until, id.clone()));
                Known::of(pickup.order.clone())
            });
            let before = known.view(shop_at);
            known.read(epoch, pickup);
            if known.view(shop_at) != before {
                self.news.insert(id.clone());
            }
            self.of_store.entry(store.clone()).or_default().insert(id.clone());
            self.due.insert(store.clone());
        }
        if let (Input::Order(word), Err(refusal)) = (&entry.input, &entry.answer)
            && let Some(known) = self.known.get_mut(&word.order.id)
        {
            known.refused = Some((epoch, word.nth, refusal.code));
            self.news.insert(word.order.id.clone());
        }
    }

    /// Forgets what is long over.
    fn forget(&mut self, now: UnixMs) {
        let remembered_ms = i64::from(limits::ORDER_REMEMBERED_DAYS) * DAY_MS;
        while self.by_end.first().is_some_and(|(until, _)| now.ms_since(*until) >= remembered_ms) {
            let Some((_, id)) = self.by_end.first().cloned() else { return };
            self.remove(&id);
        }
    }

    fn remove(&mut self, id: &OrderId) {
        let Some(known) = self.known.remove(id) else { return };
        self.by_end.remove(&(known.order.until, id.clone()));
        if let Some(of_store) = self.of_store.get_mut(&known.order.store) {
            of_store.remove(id);
        }
    }

    /// Are they found by what they are looked up by?
    pub(super) fn is_indexed(&self) -> bool {
        let by_end: BTreeSet<_> =
            self.known.iter().map(|(id, known)| (known.order.until, id.clone())).collect();
        by_end == self.by_end
            && self.known.iter().all(|(id, known)| {
                self.of_store.get(&known.order.store).is_some_and(|of_store| of_store.contains(id))
            })
    }

    /// Is it not forgotten?
    pub(super) fn knows(&self, id: &OrderId) -> bool {
        self.known.contains_key(id)
    }

    /// Would `again` know what every online shop wants?
    pub(super) fn are_told_by(&self, again: &Orders) -> bool {
        let is_alike = |own: &Known, their: &Known| {
            (&own.owner, &own.order, own.code, own.cancelled)
                == (&their.owner, &their.order, their.code, their.cancelled)
        };
        let mut wished = self.known.iter().filter(|(_, known)| known.owner.is_some());
        wished.all(|(id, own)| again.known.get(id).is_some_and(|their| is_alike(own, their)))
    }
}

impl Known {
    fn of(order: Order) -> Known {
        Known {
            owner: None,
            order,
            code: None,
            cancelled: false,
            nth: 1,
            held: None,
            refused: None,
            state: OrderState::Waiting,
            handed: BTreeSet::new(),
            told: None,
        }
    }

    fn read(&mut self, epoch: Epoch, pickup: &Pickup) {
        self.held = self.held.max(Some((epoch, pickup.nth)));
        if let OrderState::Collected(handed) = &pickup.state {
            self.handed.insert(handed.clone());
        }
        self.state = self.state.after(&pickup.state);
        // The shop may have let go of its member.
        let theirs = Order { member: self.order.member.clone(), ..pickup.order.clone() };
        let differs = self.owner.is_some() && (theirs != self.order || self.cancelled);
        if pickup.nth >= self.nth {
            self.nth = pickup.nth + u32::from(differs && pickup.state == OrderState::Waiting);
        }
    }
}

impl Lender {
    /// An online shop places an order, or says of a known one that it is ready or kept until another moment. Asked again with the same it
    /// changes nothing and tells how far it is.
    ///
    /// # Errors
    /// In words, why it is not taken.
    pub fn place_order(&mut self, wish: Wish, now: UnixMs) -> Result<OrderView, String> {
        let id = wish.order.id.clone();
        self.orders.forget(now);
        if !wish.order.is_bounded() {
            return Err("lines, units, titles or the time it is kept are out of bounds".to_owned());
        }
        if wish.code.is_none() && wish.order.member.is_none() {
            return Err("it has neither code nor member, so that nobody could ask for it".to_owned());
        }
        match self.orders.known.get(&id) {
            Some(known) => {
                if known.owner.as_ref().is_some_and(|(partner, _)| *partner != wish.partner) {
                    return Err("this number is another partner's order".to_owned());
                }
                let is_new = known.owner.is_none();
                if !is_new && (!is_later(&wish.order, &known.order) || known.code != wish.code) {
                    return Err(
                        "it is known with other lines, store, member, code or time of placing".to_owned()
                    );
                }
                let is_over = known.cancelled || known.state != OrderState::Waiting;
                // Where there was no room there may be some now.
                let is_shut_out = known.refusal() == Some(Code::OrdersFull);
                if !is_new && (is_over || (known.order == wish.order && !is_shut_out)) {
                    return Ok(self.order_view(&id));
                }
            }
            None if !self.lanes.contains_key(&wish.order.store) => {
                return Err(format!("{} never said hello", wish.order.store));
            }
            None if wish.order.until < now => {
                return Err("it is kept until a moment that has passed".to_owned());
            }
            None if self.orders.known.len() >= limits::HUB_ORDERS_MAX => {
                return Err("head office holds too many orders".to_owned());
            }
            None => {}
        }
        self.wish(wish);
        Ok(self.order_view(&id))
    }

    /// An online shop cancels an order. It is cancelled once the shop's journal shows so; a hand-over that was made before stands.
    ///
    /// # Errors
    /// The partner has no such order.
    pub fn cancel_order(&mut self, partner: &StoreId, id: &OrderId) -> Result<OrderView, String> {
        let known = self.own_order(partner, id)?;
        if let (false, OrderState::Waiting, Some((partner, request))) =
            (known.cancelled, &known.state, &known.owner)
        {
            let (order, code) = (known.order.clone(), known.code);
            let (partner, request) = (partner.clone(), request.clone());
            self.wish(Wish { partner, request, order, code, cancelled: true, changes: once() });
        }
        Ok(self.order_view(id))
    }

    /// How far an order of this partner is.
    ///
    /// # Errors
    /// The partner has no such order.
    pub fn order(&self, partner: &StoreId, id: &OrderId) -> Result<OrderView, String> {
        self.own_order(partner, id).map(|_| self.order_view(id))
    }

    fn own_order(&self, partner: &StoreId, id: &OrderId) -> Result<&Known, String> {
        let is_own = |known: &&Known| known.owner.as_ref().is_some_and(|(owner, _)| owner == partner);
        self.orders.known.get(id).filter(is_own).ok_or_else(|| format!("no order {id} of {partner} is known"))
    }

    fn order_view(&self, id: &OrderId) -> OrderView {
        let known = self.orders.known.get(id).expect("it was just looked up");
        known.view(self.orders.shop_at.get(&known.order.store).copied())
    }

    fn wish(&mut self, wish: Wish) {
        self.orders.wish(&wish);
        self.records.push(Record::Order(Box::new(wish)));
    }

    /// A box is here.
    pub(super) fn tell_orders(&mut self, store: &StoreId, now: UnixMs) {
        self.orders.forget(now);
        self.orders.due.insert(store.clone());
    }

    /// The orders to be told now, those first that are kept for the shortest time. Call after `committed`.
    pub fn order_frames(&mut self, now: UnixMs) -> Vec<(StoreId, Frame)> {
        let mut frames = Vec::new();
        for store in std::mem::take(&mut self.orders.due) {
            let Some(epoch) = self.newest(&store) else { continue };
            let Orders { known, of_store, .. } = &mut self.orders;
            let mut owed: Vec<(UnixMs, &OrderId, OrderWord)> = Vec::new();
            let mut room = limits::ORDERS_UNHEARD_MAX;
            for id in of_store.get(&store).into_iter().flatten() {
                // A number may stand in two shops' journals.
                let Some(it) = known.get(id).filter(|it| it.order.store == store) else { continue };
                let Some(word) = it.owes(epoch, self.incarnation, now) else { continue };
                match it.is_told(epoch, now) {
                    true => room = room.saturating_sub(1),
                    false => owed.push((it.order.until, id, word)),
                }
            }
            owed.sort_by(|a, b| (a.0, a.1).cmp(&(b.0, b.1)));
            owed.truncate(room);
            for told in owed.chunks(limits::ORDERS_TOLD_MAX) {
                for (_, id, word) in told {
                    if let Some(it) = known.get_mut(*id) {
                        it.told = Some((epoch, word.nth, now));
                    }
                }
                let orders = told.iter().map(|(.., word)| word.clone()).collect();
                let incarnation = self.incarnation;
                frames.push((store.clone(), Frame { v: PROTOCOL, incarnation, epoch, orders }));
            }
        }
        frames
    }

    /// Orders that somebody should look at.
    pub fn flagged_orders(&self) -> Vec<OrderView> {
        let views = self.orders.known.keys().map(|id| self.order_view(id));
        let flagged = views.filter(|view| view.after_cancel || view.twice || view.stage == Stage::Refused);
        flagged.take(limits::HUB_FLAGGED_ORDERS_MAX).collect()
    }

    /// Every hand-over that is known, with its order.
    pub fn hand_overs(&self) -> impl Iterator<Item = (&Order, &HandOver)> {
        let known = self.orders.known.values();
        known.flat_map(|known| known.handed.iter().map(move |handed| (&known.order, handed)))
    }

    /// What became of orders since this was asked last, each with the partner and the request that placed it. Call after
    /// `committed`.
    pub fn order_news(&mut self) -> Vec<(StoreId, RequestId, OrderView)> {
        let news = std::mem::take(&mut self.orders.news);
        let told = news.iter().filter_map(|id| {
            let (partner, request) = self.orders.known.get(id)?.owner.clone()?;
            Some((partner, request, self.order_view(id)))
        });
        told.collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::domain::ids::Sku;
    use crate::domain::order::OrderLine;

    fn store(text: &str) -> StoreId {
        StoreId::new(text).expect("an id")
    }

    fn wish(number: u32, until_day: i64) -> Wish {
        let order = Order {
            id: OrderId::new(&format!("o-{number}")).expect("an id"),
            store: store("s01"),
            member: None,
            lines: vec![OrderLine { sku: Sku::new("a-1").expect("a sku"), qty: 1, title: None }],
            ready: false,
            placed: UnixMs(0),
            until: UnixMs(until_day * DAY_MS),
        };
        let request = RequestId::new(&format!("placing-{number}")).expect("an id");
        let code = Some(TokenHash([7; 32]));
        Wish { partner: store("web"), request, order, code, cancelled: false, changes: 1 }
    }

    fn replayed(log: &[Record]) -> Lender {
        let mut again = Lender::new(1, false);
        assert!(log.iter().all(|record| again.replay(record)));
        again
    }

    #[test]
    fn does_a_shorter_log_keep_of_each_order_what_was_wanted_last_and_nothing_of_those_forgotten() {
        let mut lender = Lender::new(1, false);
        lender.hello(&store("s01"), Epoch(1), UnixMs(0));
        for number in 0..10 {
            lender.place_order(wish(number, 20), UnixMs(0)).expect("it is taken");
        }
        for day in 21..40 {
            lender.place_order(wish(3, day), UnixMs(0)).expect("it is kept for longer");
        }
        lender.cancel_order(&store("web"), &wish(4, 20).order.id).expect("it is known");
        let log = lender.take_records();
        let told = |mut of: Lender, at: UnixMs| {
            of.committed();
            of.hello(&store("s01"), Epoch(1), at);
            of.order_frames(at)
        };
        let folded = lender.fold(log.clone());
        assert_eq!((log.len(), folded.len()), (1 + 10 + 19 + 1, 1 + 10));
        assert!(lender.is_told_by(&replayed(&folded)));
        assert_eq!(told(replayed(&folded), UnixMs(1)), told(replayed(&log), UnixMs(1)));
        assert_eq!(lender.fold(folded.clone()), folded, "nothing is left to leave out");
        assert!(!lender.is_told_by(&replayed(&folded[..folded.len() - 1])), "an order is missing");

        // Nobody says hello any more, and still what is long over makes room.
        let later = UnixMs((21 + i64::from(limits::ORDER_REMEMBERED_DAYS)) * DAY_MS);
        assert!(
            lender.place_order(wish(11, 20), later).is_err(),
            "it is kept until a moment that has passed"
        );
        let folded = lender.fold(folded);
        assert_eq!(folded.len(), 2, "the box and the one order that was kept for longer: {folded:?}");
        assert!(lender.is_told_by(&replayed(&folded)));

        // A number that comes again is another order, of whoever places it now.
        let placed = Order { placed: later, until: later, ..wish(4, 20).order };
        let app = Wish { partner: store("app"), order: placed.clone(), ..wish(4, 20) };
        lender.place_order(app, later).expect("nobody remembers the first");
        let log = [log, lender.take_records()].concat();
        let folded = lender.fold(log.clone());
        assert_eq!(folded.len(), 3);
        for again in [replayed(&log), replayed(&folded)] {
            assert!(lender.is_told_by(&again));
            let view = again.order(&store("app"), &placed.id).expect("it is theirs");
            assert_eq!(view.stage, Stage::Placed, "it was the first that was cancelled");
            assert_eq!(again.check(), []);
        }
    }
}
