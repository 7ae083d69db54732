//! Orders paid online in a simulated world, and what the judge knows of their hand-overs.
//!
//! The online shop places an order every few hours, for any shop, and cancels some; tills hand over whatever order of their
//! shop comes to their mind, those handed over before included. What is asserted (I16): a box hands an order over once; at rest
//! head office knows of every hand-over that it was handed, and of none that no box made.

use std::collections::{BTreeMap, BTreeSet};

use crate::domain::calendar::UnixMs;
use crate::domain::ids::{Epoch, MemberId, OrderId, RequestId, Seq, Sku, StoreId};
use crate::domain::member::{Token, TokenKind};
use crate::domain::order::{HandOver, Order, OrderLine, OrderState};
use crate::engine::decision::{Entry, Key, Record};
use crate::engine::input::Input;
use crate::hub::lender::orders::Wish;

use super::random::Random;
use super::rules;

const HOUR_MS: u64 = 3_600_000;
/// Between two orders of the chain, in milliseconds.
pub(super) const EVERY_MS: u64 = 2 * HOUR_MS;
/// The online shop.
const PARTNER: &str = "online";

/// One hand-over: of which order, in which life of which shop's box, in which decision.
type Made = (OrderId, StoreId, Epoch, Seq);

/// What online shoppers want.
#[derive(Debug, Default)]
pub(super) struct Desire {
    /// The shop of each order, by number.
    shops: Vec<usize>,
}

pub(super) fn partner() -> StoreId {
    StoreId::new(PARTNER).expect("a store id")
}

fn id(number: usize) -> OrderId {
    OrderId::new(&format!("W-{number}")).expect("an order id")
}

impl Desire {
    /// A new order for one of so many shops.
    pub(super) fn order(&mut self, shops: usize, now: UnixMs, random: &mut Random) -> Wish {
        let shop = usize::try_from(random.below(shops as u64)).unwrap_or(0);
        let number = self.shops.len();
        self.shops.push(shop);
        let keep_ms = random.between(6 * HOUR_MS, 96 * HOUR_MS);
        let code = Token { kind: TokenKind::Qr, value: format!("PICK-{number}") }.hash("chain");
        let member = random.chance(300).then(|| random.between(1, rules::MEMBERS));
        Wish {
            partner: partner(),
            request: RequestId::new(&format!("placing-{number:04}")).expect("a request id"),
            order: Order {
                id: id(number),
                store: rules::store_id(shop),
                member: member.and_then(|member| MemberId::new(&format!("m-{member}")).ok()),
                lines: vec![OrderLine { sku: Sku::new("a-1").expect("a sku"), qty: 1, title: None }],
                ready: random.chance(500),
                placed: now,
                until: now.plus_ms(i64::try_from(keep_ms).unwrap_or(i64::MAX)),
            },
            code: Some(code),
            cancelled: false,
            changes: 1,
        }
    }

    /// An order that a shopper does not want any more, if one does not.
    pub(super) fn regret(&self, random: &mut Random) -> Option<OrderId> {
        let count = self.shops.len() as u64;
        (count > 0 && random.chance(300)).then(|| id(usize::try_from(random.below(count)).unwrap_or(0)))
    }

    /// An order of this shop, whatever became of it.
    pub(super) fn of_shop(&self, shop: usize, random: &mut Random) -> Option<OrderId> {
        let own: Vec<usize> = (0..self.shops.len()).filter(|number| self.shops[*number] == shop).collect();
        let place = usize::try_from(random.below(own.len().max(1) as u64)).unwrap_or(0);
        own.get(place).map(|number| id(*number))
    }
}

/// The order that a decision hands over, and how.
pub(super) fn handed_over(entry: &Entry) -> Option<(&OrderId, &HandOver)> {
    let Input::Request(_) = &entry.input else { return None };
    entry.changes.iter().find_map(|change| match (&change.key, &change.record) {
        (Key::Order(id), Some(Record::Order(pickup))) => match &pickup.state {
            OrderState::Collected(handed) => Some((id, handed)),
            _ => None,
        },
        _ => None,
    })
}

/// Every hand-over that was ever durable.
#[derive(Debug, Default)]
pub(super) struct Pickups {
    by_box: BTreeMap<(usize, OrderId), Seq>,
    made: BTreeSet<Made>,
}

impl Pickups {
    /// Hand-overs, those of boxes that were lost included.
    pub(super) fn count(&self) -> u64 {
        self.made.len() as u64
    }

    /// A box's decision became durable.
    pub(super) fn durable(&mut self, of: usize, store: &StoreId, entry: &Entry) -> Option<String> {
        let (id, handed) = handed_over(entry)?;
        self.made.insert((id.clone(), store.clone(), entry.epoch, entry.seq));
        if (handed.epoch, handed.decision) != (entry.epoch, entry.seq) {
            return Some(format!("{store} decision {}: {id} is handed over by {handed:?}", entry.seq.0));
        }
        let first = self.by_box.insert((of, id.clone()), entry.seq)?;
        Some(format!("{store}: {id} was handed over in decision {} and in {}", first.0, entry.seq.0))
    }

    /// A box begins with a copy of another's disk.
    pub(super) fn cloned(&mut self, from: usize, to: usize) {
        let theirs = self.by_box.iter().filter(|((of, _), _)| *of == from);
        let copies: Vec<_> = theirs.map(|((_, id), seq)| ((to, id.clone()), *seq)).collect();
        self.by_box.extend(copies);
    }

    /// Everything stands still: `known` at head office, `was_booked` which decisions it was handed.
    pub(super) fn at_rest(
        &self,
        known: &BTreeSet<Made>,
        was_booked: impl Fn(&StoreId, Epoch, Seq) -> bool,
    ) -> Vec<String> {
        let lacking =
            self.made.iter().filter(|made| !known.contains(*made) && was_booked(&made.1, made.2, made.3));
        let invented = known.iter().filter(|made| !self.made.contains(*made));
        let lacking = lacking.map(|(id, store, epoch, seq)| {
            format!("{id} was handed over in {store}/{}/{}, and head office does not know", epoch.0, seq.0)
        });
        let invented = invented.map(|(id, store, epoch, seq)| {
            format!(
                "{id}: head office knows of a hand-over in {store}/{}/{} that nobody made",
                epoch.0, seq.0
            )
        });
        lacking.chain(invented).collect()
    }
}
