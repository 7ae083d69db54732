//! Orders bought online that are handed over here: what head office says of them, who asks for them, and the hand-over.
//!
//! An order stands once, under its number; under the code and the member it waits for stand numbers only, and on one shelf
//! how many wait in all. All of them change together in one decision, so that a scan finds what is to be handed over and nothing
//! else. What was handed over or cancelled stays under its number, to be refused by name.
//!
//! Order of checks of a hand-over, first hit answers: not known (404) · another shop's (422) · handed over before (409) ·
//! cancelled (410) · kept no longer (410). Of a word of head office: another shop's · not known and out of time · no room.
//!
//! Invariants: an order is handed over in at most one decision of a box; a word that was taken before changes nothing; a word
//! of a new life of head office, or to a new life of the box, is answered again, because whoever asks may have forgotten.

use std::collections::BTreeMap;

use crate::domain::calendar::UnixMs;
use crate::domain::code::Code;
use crate::domain::ids::{DeviceId, OrderId, Seq};
use crate::domain::member::TokenHash;
use crate::domain::order::{HandOver, OrderState, OrderWord, PickUpMark, Pickup, Shelf, Shown, Waiting};

use super::decision::{Change, Facts, Key, Record};
use super::reply::{PickupView, Refusal};
use super::{Identity, Turn};

/// By what an order is found.
fn shown(pickup: &Pickup) -> impl Iterator<Item = Shown> + use<> {
    let member = pickup.order.member.clone().map(Shown::Member);
    pickup.code.map(Shown::Code).into_iter().chain(member)
}

/// What changing an order reads beside it.
fn needs_of_change<'a>(pickups: impl Iterator<Item = &'a Pickup>) -> Vec<Key> {
    let shown = pickups.flat_map(shown).map(Key::Waiting);
    std::iter::once(Key::Shelf).chain(shown).collect()
}

/// The order as a word says it.
fn told(word: &OrderWord, identity: &Identity, decision: Seq) -> Pickup {
    Pickup {
        order: word.order.clone(),
        code: word.code.map(|token| PickUpMark::of(&identity.secret, token)),
        state: word.state.clone(),
        nth: word.nth,
        incarnation: word.incarnation,
        epoch: identity.epoch,
        decision,
    }
}

/// What hearing a word reads.
pub(super) fn needs(word: &OrderWord, facts: &Facts, identity: &Identity) -> Vec<Key> {
    let told = told(word, identity, Seq(0));
    let mut keys = needs_of_change(facts.order(&word.order.id).into_iter().chain([&told]));
    keys.push(Key::Order(word.order.id.clone()));
    keys
}

/// What a hand-over reads.
pub(super) fn needs_of_pick_up(id: &OrderId, facts: &Facts) -> Vec<Key> {
    let known = facts.order(id).map(|known| needs_of_change(std::iter::once(known)));
    std::iter::once(Key::Order(id.clone())).chain(known.into_iter().flatten()).collect()
}

/// What a scan reads: the orders that wait under the token itself, and under its member.
pub(super) fn needs_of_scan(token: TokenHash, facts: &Facts, identity: &Identity) -> Vec<Key> {
    let mut keys = Vec::new();
    for shown in shown_by(token, facts, identity) {
        let waiting = facts.waiting(&shown);
        keys.extend(waiting.into_iter().flat_map(|waiting| &waiting.0).map(|(id, _)| Key::Order(id.clone())));
        keys.push(Key::Waiting(shown));
    }
    keys
}

/// Whoever left the programme still gets what they paid for.
fn shown_by(token: TokenHash, facts: &Facts, identity: &Identity) -> impl Iterator<Item = Shown> {
    let code = Shown::Code(PickUpMark::of(&identity.secret, token));
    std::iter::once(code).chain(facts.owner(token).cloned().map(Shown::Member))
}

/// The orders that wait for whoever shows this token, those kept for the shortest time first.
pub(super) fn pickups(turn: &Turn<'_>, token: TokenHash) -> Vec<PickupView> {
    let shown = shown_by(token, turn.facts, turn.identity);
    let ids = shown.filter_map(|shown| turn.facts.waiting(&shown)).flat_map(|waiting| &waiting.0);
    let known = ids.filter_map(|(id, _)| turn.facts.order(id)).filter(|pickup| pickup.is_waiting(turn.now));
    let found: BTreeMap<_, _> =
        known.map(|pickup| ((pickup.order.until, &pickup.order.id), &pickup.order)).collect();
    let view = |order: &crate::domain::order::Order| PickupView {
        order: order.id.clone(),
        lines: order.lines.clone(),
        until: turn.stamp(order.until),
        state: if order.ready { "ready" } else { "placed" }.to_owned(),
    };
    found.into_values().map(view).collect()
}

/// What becomes of an order, with all under which it is found; `OrdersFull` where there is no room for it.
fn change(
    facts: &Facts,
    before: Option<&Pickup>,
    after: Pickup,
    now: UnixMs,
) -> Result<Vec<Change>, Refusal> {
    let id = &after.order.id;
    let waits = |pickup: &&Pickup| pickup.state == OrderState::Waiting;
    let (was, is) = (before.filter(waits), Some(&after).filter(waits));
    let shelf = facts.shelf();
    let mut now_there = shelf.clone();
    let mut lists: BTreeMap<Shown, Waiting> = BTreeMap::new();
    for pickup in was.into_iter().chain(is) {
        lists.extend(shown(pickup).map(|shown| {
            let list = facts.waiting(&shown).cloned().unwrap_or_default();
            (shown, list)
        }));
    }
    let mut has_room = true;
    if let Some(was) = was {
        now_there.take(was.order.until);
        lists.values_mut().for_each(|list| list.remove(id));
    }
    if let Some(is) = is {
        has_room &= now_there.put(is.order.until, now);
        for shown in shown(is) {
            has_room &= lists.entry(shown).or_default().add(id, is.order.until, now);
        }
    }
    if !has_room {
        let detail = format!("order {id} finds no room: {} wait in this shop", shelf.waiting());
        return Err(Refusal::new(Code::OrdersFull, detail));
    }
    let mut changes = Vec::new();
    for (shown, list) in lists {
        if facts.waiting(&shown) != Some(&list) {
            let record = (!list.0.is_empty()).then_some(Record::Waiting(list));
            changes.push(Change { key: Key::Waiting(shown), record });
        }
    }
    if now_there != shelf {
        changes.push(Change::put(Key::Shelf, Record::Shelf(now_there)));
    }
    changes.push(Change::put(Key::Order(id.clone()), Record::Order(Box::new(after))));
    Ok(changes)
}

/// What a word of head office changes, or why it is not taken; nothing if it was taken before.
pub(super) fn hear(
    word: &OrderWord,
    facts: &Facts,
    (identity, decision): (&Identity, Seq),
    now: UnixMs,
) -> Option<Result<Vec<Change>, Refusal>> {
    let known = facts.order(&word.order.id);
    let was_heard = |known: &Pickup| {
        let speaker = (known.incarnation, known.epoch) == (word.incarnation, identity.epoch);
        known.incarnation > word.incarnation || (speaker && known.nth >= word.nth)
    };
    if known.is_some_and(was_heard) {
        return None;
    }
    Some(take(word, known, facts, (identity, decision), now))
}

fn take(
    word: &OrderWord,
    known: Option<&Pickup>,
    facts: &Facts,
    (identity, decision): (&Identity, Seq),
    now: UnixMs,
) -> Result<Vec<Change>, Refusal> {
    let (id, order) = (&word.order.id, &word.order);
    if order.store != identity.store {
        let detail = format!("order {id} is for {}", order.store);
        return Err(Refusal::new(Code::OrderElsewhere, detail));
    }
    let mut after = told(word, identity, decision);
    match known {
        None if word.state == OrderState::Waiting && order.until < now => {
            return Err(Refusal::new(
                Code::OrderExpired,
                format!("order {id} came when it was kept no longer"),
            ));
        }
        None => {}
        Some(known) => {
            after.state = known.state.after(&word.state);
            // Head office lost some of what it had said: what is newer stands here.
            if known.nth > word.nth {
                (after.order, after.code, after.nth) = (known.order.clone(), known.code, known.nth);
            }
        }
    }
    change(facts, known, after, now)
}

/// Hands an order over.
///
/// # Errors
/// See the file's header.
pub(super) fn pick_up(turn: &Turn<'_>, device: &DeviceId, id: &OrderId) -> Result<Vec<Change>, Refusal> {
    let Some(known) = turn.facts.order(id) else {
        return Err(Refusal::new(Code::OrderUnknown, format!("no order {id} is known in this shop")));
    };
    if known.order.store != turn.identity.store {
        let detail = format!("order {id} is handed over in {}", known.order.store);
        return Err(Refusal::new(Code::OrderElsewhere, detail));
    }
    match &known.state {
        OrderState::Collected(HandOver { at, device, epoch, decision }) => {
            let (store, at) = (&turn.identity.store, turn.stamp(*at));
            let detail = format!(
                "order {id} was handed over at {at} on {device}, decision {store}/{}/{}",
                epoch.0, decision.0
            );
            return Err(Refusal::new(Code::OrderCollected, detail));
        }
        OrderState::Cancelled => {
            return Err(Refusal::new(Code::OrderCancelled, format!("order {id} was cancelled online")));
        }
        OrderState::Waiting if !known.is_waiting(turn.now) => {
            let until = turn.stamp(known.order.until);
            return Err(Refusal::new(Code::OrderExpired, format!("order {id} was kept until {until}")));
        }
        OrderState::Waiting => {}
    }
    let handed =
        HandOver { at: turn.now, device: device.clone(), epoch: turn.identity.epoch, decision: turn.seq };
    let after = Pickup { state: OrderState::Collected(handed), decision: turn.seq, ..known.clone() };
    change(turn.facts, Some(known), after, turn.now)
}

impl Facts {
    /// An order.
    pub fn order(&self, id: &OrderId) -> Option<&Pickup> {
        match self.get(&Key::Order(id.clone())) {
            Some(Record::Order(pickup)) => Some(pickup),
            _ => None,
        }
    }

    /// The orders that wait under a code or member.
    fn waiting(&self, shown: &Shown) -> Option<&Waiting> {
        match self.get(&Key::Waiting(shown.clone())) {
            Some(Record::Waiting(waiting)) => Some(waiting),
            _ => None,
        }
    }

    fn shelf(&self) -> Shelf {
        match self.get(&Key::Shelf) {
            Some(Record::Shelf(shelf)) => shelf.clone(),
            _ => Shelf::default(),
        }
    }
}
