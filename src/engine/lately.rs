//! Sales since the model was made: what a member bought an hour ago is part of their past at the next scan.
//!
//! Kept beside the model in memory, soft like it: the next model brings them in, and what it knows is dropped here. A void takes
//! its sale out; whoever is forgotten is forgotten here as well.
//! Bounds: `limits::LATELY_MEMBERS_MAX` members, beyond which no new ones are kept until the next model, and
//! `limits::LATELY_BASKETS_MAX` baskets of each, the newest.

use std::collections::{BTreeMap, VecDeque};

use crate::domain::ids::{MemberId, Seq};
use crate::limits;
use crate::shopper::recommend::{Item, Moment};

struct Basket {
    decision: Seq,
    time: Moment,
    items: Vec<Item>,
}

/// Baskets that the model does not know yet.
#[derive(Default)]
pub(super) struct Lately(BTreeMap<MemberId, VecDeque<Basket>>);

impl Lately {
    pub(super) fn sold(&mut self, member: &MemberId, decision: Seq, (time, items): (Moment, Vec<Item>)) {
        if items.is_empty() || (self.0.len() >= limits::LATELY_MEMBERS_MAX && !self.0.contains_key(member)) {
            return;
        }
        let baskets = self.0.entry(member.clone()).or_default();
        baskets.push_back(Basket { decision, time, items });
        if baskets.len() > limits::LATELY_BASKETS_MAX {
            baskets.pop_front();
        }
    }

    pub(super) fn voided(&mut self, member: &MemberId, sale: Seq) {
        if let Some(baskets) = self.0.get_mut(member) {
            baskets.retain(|basket| basket.decision != sale);
        }
    }

    pub(super) fn forget(&mut self, member: &MemberId) {
        self.0.remove(member);
    }

    /// A model that knows everything through `known` takes over; items have its numbers from now on.
    pub(super) fn known_through(&mut self, known: Seq) {
        for baskets in self.0.values_mut() {
            baskets.retain(|basket| basket.decision > known);
        }
        self.0.retain(|_, baskets| !baskets.is_empty());
    }

    pub(super) fn of(&self, member: &MemberId) -> impl Iterator<Item = (Moment, &[Item])> {
        self.0.get(member).into_iter().flatten().map(|basket| (basket.time, basket.items.as_slice()))
    }
}
