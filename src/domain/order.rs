//! Orders placed and paid online that a shop hands over (click and collect).
//!
//! Head office says `OrderWord`s, each the whole of one order as it stands; a shop takes one if it is newer than the last it
//! took, and keeps what it makes of it (`Pickup`) in its own journal, where head office reads it. Nobody else holds the truth.
//!
//! Invariants:
//! - `OrderState` only rises: waiting, cancelled, collected. So whichever of a cancellation and a hand-over is heard of first,
//!   both sides end with the hand-over, and none is undone by a word that comes twice or late.
//! - The code a shopper shows is kept as a hash: head office's of the token, the shop's (`PickUpMark`) keyed with the box's
//!   secret, so that nobody finds a short code out by trying all of them.

use std::collections::BTreeMap;

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use sha2::{Digest, Sha256};

use super::calendar::{DAY_MS, UnixMs};
use super::ids::{DeviceId, Epoch, MemberId, OrderId, Seq, Sku, StoreId};
use super::member::TokenHash;
use crate::limits;

/// What was ordered of one article.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct OrderLine {
    /// Which article; the shop's catalogue need not have it.
    pub sku: Sku,
    /// Units, 1 to `LINE_UNITS_MAX`.
    pub qty: u32,
    /// What the online shop called it, at most `ORDER_TITLE_BYTES_MAX` bytes.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub title: Option<String>,
}

/// An order, paid and to be handed over in one shop.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Order {
    /// Its number, the same at the online shop.
    pub id: OrderId,
    /// Where it is handed over.
    pub store: StoreId,
    /// Whose it is, if a member's; the shop need not know them.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub member: Option<MemberId>,
    /// 1 to `ORDER_LINES_MAX`.
    pub lines: Vec<OrderLine>,
    /// Is it packed and waiting?
    pub ready: bool,
    /// When it was placed.
    pub placed: UnixMs,
    /// Last moment it is handed over, by the box's clock.
    pub until: UnixMs,
}

impl Order {
    /// Is it inside its bounds?
    pub fn is_bounded(&self) -> bool {
        let fits = |line: &OrderLine| {
            (1..=limits::LINE_UNITS_MAX).contains(&line.qty)
                && line.title.as_ref().is_none_or(|title| title.len() <= limits::ORDER_TITLE_BYTES_MAX)
        };
        (1..=limits::ORDER_LINES_MAX).contains(&self.lines.len())
            && self.lines.iter().all(fits)
            && (0..=limits::ORDER_KEEP_MS_MAX).contains(&self.until.ms_since(self.placed))
    }

    /// The same order for nobody in particular.
    pub fn of_nobody(self) -> Order {
        Order { member: None, ..self }
    }
}

/// A hand-over.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
pub struct HandOver {
    /// When, by the box's clock.
    pub at: UnixMs,
    /// At which till or kiosk.
    pub device: DeviceId,
    /// In which life of the box.
    pub epoch: Epoch,
    /// In which decision.
    pub decision: Seq,
}

/// What became of an order; a later one of these never gives way to an earlier.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum OrderState {
    /// It is to be handed over.
    Waiting,
    /// It is not to be handed over any more.
    Cancelled,
    /// It was.
    Collected(HandOver),
}

impl OrderState {
    /// This one after `other` is heard of: the further one, and of two hand-overs the one known here.
    pub fn after(&self, other: &OrderState) -> OrderState {
        match (self, other) {
            (OrderState::Collected(_), _) => self.clone(),
            (_, OrderState::Collected(_)) => other.clone(),
            _ => self.max(other).clone(),
        }
    }
}

/// What head office says of one order to one shop.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct OrderWord {
    /// The life of head office's data that speaks.
    pub incarnation: u64,
    /// Rises with every change of the order, from 1.
    pub nth: u32,
    /// The order.
    pub order: Order,
    /// The token that is shown for it, if one is.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub code: Option<TokenHash>,
    /// What became of it, as far as head office knows.
    pub state: OrderState,
}

/// Finds an order by the token shown for it, on this box only.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
pub struct PickUpMark(pub [u8; 16]);

impl PickUpMark {
    /// Of a token, keyed with the box's secret.
    pub fn of(secret: &[u8; 32], token: TokenHash) -> PickUpMark {
        let mut hasher = Sha256::new();
        hasher.update(b"aisled pick-up 1");
        hasher.update(secret);
        hasher.update(token.0);
        let mut mark = [0; 16];
        mark.copy_from_slice(&hasher.finalize()[..16]);
        PickUpMark(mark)
    }
}

/// An order as its shop holds it.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Pickup {
    /// The order.
    pub order: Order,
    /// What is shown for it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub code: Option<PickUpMark>,
    /// What became of it.
    pub state: OrderState,
    /// The last word taken.
    pub nth: u32,
    /// Whose word that was.
    pub incarnation: u64,
    /// The life of the box that took it.
    pub epoch: Epoch,
    /// The decision that changed it last.
    pub decision: Seq,
}

impl Pickup {
    /// May it be handed over at this moment?
    pub fn is_waiting(&self, now: UnixMs) -> bool {
        self.state == OrderState::Waiting && self.order.until >= now
    }
}

/// By what a waiting order is found.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Shown {
    /// Its pick-up code.
    Code(PickUpMark),
    /// Its member.
    Member(MemberId),
}

/// Orders that wait under one code or member, each with the last moment it is handed over; at most `ORDERS_SHOWN_MAX`.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(transparent)]
pub struct Waiting(pub Vec<(OrderId, UnixMs)>);

impl Waiting {
    /// With this order as well, those out of time left out. False if there is no room.
    pub fn add(&mut self, id: &OrderId, until: UnixMs, now: UnixMs) -> bool {
        self.0.retain(|(known, until)| known != id && *until >= now);
        let has_room = self.0.len() < limits::ORDERS_SHOWN_MAX;
        if has_room {
            self.0.push((id.clone(), until));
        }
        has_room
    }

    /// Without this order.
    pub fn remove(&mut self, id: &OrderId) {
        self.0.retain(|(known, _)| known != id);
    }
}

/// How many orders wait in the shop, by the day (since 1970-01-01, UTC) they are kept until.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(transparent)]
pub struct Shelf(pub BTreeMap<i64, u32>);

impl Shelf {
    /// One more; those of days past are gone. False if the shop has no room for another.
    pub fn put(&mut self, until: UnixMs, now: UnixMs) -> bool {
        self.0.retain(|day, count| *day >= now.0.div_euclid(DAY_MS) && *count > 0);
        let has_room = self.waiting() < limits::ORDERS_WAITING_MAX;
        if has_room {
            *self.0.entry(until.0.div_euclid(DAY_MS)).or_default() += 1;
        }
        has_room
    }

    /// One less.
    pub fn take(&mut self, until: UnixMs) {
        let day = until.0.div_euclid(DAY_MS);
        if let Some(count) = self.0.get_mut(&day) {
            *count = count.saturating_sub(1);
        }
        self.0.retain(|_, count| *count > 0);
    }

    /// How many wait.
    pub fn waiting(&self) -> u32 {
        self.0.values().fold(0, |sum, count| sum.saturating_add(*count))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn which_of_a_cancellation_and_a_hand_over_stands() {
        let handed = |at| {
            let device = DeviceId::new("till-1").expect("an id");
            OrderState::Collected(HandOver { at: UnixMs(at), device, epoch: Epoch(1), decision: Seq(4) })
        };
        let (waiting, cancelled) = (OrderState::Waiting, OrderState::Cancelled);
        assert_eq!(waiting.after(&cancelled), cancelled);
        assert_eq!(cancelled.after(&waiting), cancelled);
        assert_eq!(handed(1).after(&cancelled), handed(1));
        assert_eq!(cancelled.after(&handed(1)), handed(1));
        assert_eq!(handed(2).after(&handed(1)), handed(2), "what is known here");
    }

    #[test]
    fn how_many_orders_does_a_shop_hold() {
        let (mut shelf, now) = (Shelf::default(), UnixMs(10 * DAY_MS));
        for n in 0..limits::ORDERS_WAITING_MAX {
            assert!(shelf.put(now.plus_ms(i64::from(n % 3) * DAY_MS), now));
        }
        assert!(!shelf.put(now, now));
        shelf.take(now);
        assert!(shelf.put(now, now) && !shelf.put(now, now));
        // Those kept until yesterday wait no more.
        assert!(shelf.put(now.plus_ms(DAY_MS), now.plus_ms(DAY_MS)));
        let mut waiting = Waiting::default();
        let id = |n: usize| OrderId::new(&format!("w-{n}")).expect("an id");
        for n in 0..limits::ORDERS_SHOWN_MAX {
            assert!(waiting.add(&id(n), now, now) && waiting.add(&id(n), now, now));
        }
        assert!(!waiting.add(&id(99), now, now));
        assert!(waiting.add(&id(99), now.plus_ms(5), now.plus_ms(5)), "the others are out of time");
    }
}
