//! Who holds more than they need of something, and who asked for some: looked up at each request of each shop, so by key and
//! never by walking the chain.
//!
//! Invariant: soft state. What is held is made again by replay, what is needed is said anew with the next requests.

use std::collections::{BTreeMap, BTreeSet};

use crate::domain::ids::{Epoch, StoreId};
use crate::domain::lease::{Scope, Want};

/// What boxes hold unspent in open slices, by scope.
#[derive(Clone, Debug, Default)]
pub(super) struct Rests {
    by_scope: BTreeMap<Scope, BTreeSet<(i64, StoreId, Epoch)>>,
}

impl Rests {
    /// A box holds `after` in place of `before`.
    pub(super) fn replace(
        &mut self,
        scope: &Scope,
        (store, epoch): (&StoreId, Epoch),
        before: i64,
        after: i64,
    ) {
        if before == after {
            return;
        }
        if !self.by_scope.contains_key(scope) {
            self.by_scope.insert(scope.clone(), BTreeSet::new());
        }
        let Some(rests) = self.by_scope.get_mut(scope) else { return };
        rests.remove(&(before, store.clone(), epoch));
        if after > 0 {
            rests.insert((after, store.clone(), epoch));
        }
        if rests.is_empty() {
            self.by_scope.remove(scope);
        }
    }

    /// Those who hold most, first.
    pub(super) fn richest(&self, scope: &Scope) -> impl Iterator<Item = &(i64, StoreId, Epoch)> {
        self.by_scope.get(scope).into_iter().flat_map(|rests| rests.iter().rev())
    }
}

/// What stores need, as they last said in this run.
#[derive(Clone, Debug, Default)]
pub(super) struct Wanting {
    by_store: BTreeMap<StoreId, BTreeMap<Scope, i64>>,
    asking: BTreeMap<Scope, i64>,
}

impl Wanting {
    /// A store said what it needs, in place of all it said before.
    pub(super) fn said(&mut self, store: &StoreId, wants: &[Want]) {
        for scope in self.by_store.remove(store).unwrap_or_default().keys() {
            let asking = self.asking.get_mut(scope).expect("whoever asked was counted");
            *asking -= 1;
            if *asking == 0 {
                self.asking.remove(scope);
            }
        }
        let needs: BTreeMap<Scope, i64> =
            wants.iter().filter(|want| want.need > 0).map(|want| (want.scope.clone(), want.need)).collect();
        for scope in needs.keys() {
            *self.asking.entry(scope.clone()).or_default() += 1;
        }
        if !needs.is_empty() {
            self.by_store.insert(store.clone(), needs);
        }
    }

    /// How many stores ask for it, at least 1: whoever wants to know asks.
    pub(super) fn asking(&self, scope: &Scope) -> i64 {
        self.asking.get(scope).copied().unwrap_or(1)
    }

    /// What a store needs of it, if it said so.
    pub(super) fn need(&self, store: &StoreId, scope: &Scope) -> Option<i64> {
        self.by_store.get(store)?.get(scope).copied()
    }
}
