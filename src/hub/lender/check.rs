//! What must hold of what is lent, looked at by the lender itself.
//!
//! Invariant: a look changes nothing but the list of what was found.

use std::collections::{BTreeMap, BTreeSet};

use serde::Serialize;

use crate::domain::calendar::UnixMs;
use crate::domain::ids::{Epoch, StoreId};
use crate::domain::lease::Scope;
use crate::limits;

use super::lane::Burden;
use super::{Balance, Lender};

/// A broken invariant: a fault of this program, or a mistake switched on.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Breach {
    /// I1, right after a grant.
    Overlent {
        /// Of what.
        scope: Scope,
        /// There is.
        budget: i64,
        /// Lent and spent.
        burden: i64,
    },
    /// I10: a grant to an older life.
    OldEpoch(StoreId, Epoch),
    /// A request was served again.
    ServedTwice(StoreId, u64),
    /// The running sums are not the sums.
    Sums(Scope),
    /// A number of a series is lent to two, or again after it was given out.
    TwiceLent(Scope),
    /// Boxes that owe an answer, or orders, would not be found.
    Index,
}

impl Lender {
    /// I1 and I10, right after a grant.
    pub(super) fn look_at(
        &mut self,
        store: &StoreId,
        epoch: Epoch,
        scope: &Scope,
        now: UnixMs,
        balance: Balance<'_>,
    ) {
        let (budget, burden) =
            (self.budget(scope, now, balance), self.sums.get(scope).map_or(0, |sum| sum.all()));
        if burden > budget {
            self.breach(Breach::Overlent { scope: scope.clone(), budget, burden });
        }
        if self.newest(store) != Some(epoch) {
            self.breach(Breach::OldEpoch(store.clone(), epoch));
        }
    }

    pub(super) fn breach(&mut self, breach: Breach) {
        if self.breaches.len() < limits::LEASE_FINDINGS_MAX {
            self.breaches.push(breach);
        }
    }

    /// Everything that is not as it must be. Costs a walk over all that is lent.
    pub fn check(&self) -> Vec<Breach> {
        let mut sums: BTreeMap<Scope, Burden> = BTreeMap::new();
        for lane in self.lanes.values().flat_map(BTreeMap::values) {
            for scope in lane.scopes() {
                let burden = lane.burden(&scope);
                sums.entry(scope).or_default().replace(Burden::default(), burden);
            }
        }
        sums.retain(|_, sum| *sum != Burden::default());
        let scopes: BTreeSet<&Scope> = sums.keys().chain(self.sums.keys()).collect();
        let differs = |scope: &&Scope| {
            sums.get(*scope).copied().unwrap_or_default()
                != self.sums.get(*scope).copied().unwrap_or_default()
        };
        let off = scopes.into_iter().filter(differs).map(|scope| Breach::Sums(scope.clone()));
        let found = self.breaches.iter().cloned().chain(off).chain(self.check_ranges());
        found.chain((!self.is_indexed()).then_some(Breach::Index)).collect()
    }

    fn is_indexed(&self) -> bool {
        let owing = self.each_lane().filter(|(.., lane)| !lane.pending.is_empty());
        let owing: BTreeSet<(StoreId, Epoch)> =
            owing.map(|(store, epoch, _)| (store.clone(), epoch)).collect();
        owing == self.unanswered && self.orders.is_indexed()
    }
}
