//! What is lent, for people: one row a scope.
//!
//! Invariant: a view is made of the lender and changes nothing.

use std::collections::{BTreeMap, BTreeSet};

use serde::Serialize;

use super::Lender;
use crate::domain::ids::{Epoch, StoreId};
use crate::domain::lease::Scope;

/// One scope, for people.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct ScopeView {
    /// Which.
    pub scope: Scope,
    /// There is; none for a pocket, and for what is not in the bundle any more.
    pub budget: Option<i64>,
    /// Lent and not come back, what was spent of it included.
    pub lent: i64,
    /// Spent, as far as the journals were read.
    pub spent: i64,
    /// Final: spent and come back with a seal, or written off.
    pub closed: i64,
    /// Held back because a box may hold it without this head office's knowledge.
    pub ghosts: i64,
    /// Boxes that hold some.
    pub holders: u64,
}

impl Lender {
    /// Every scope that has a budget or is lent.
    pub fn view(&self) -> Vec<ScopeView> {
        let budgets = self.terms.iter().flat_map(|terms| terms.budgets.keys());
        let scopes: BTreeSet<&Scope> = budgets.chain(self.sums.keys()).collect();
        let view = |scope: &Scope| {
            let sum = self.sums.get(scope).copied().unwrap_or_default();
            let budget =
                self.terms.as_ref().and_then(|terms| terms.budgets.get(scope)).map(|budget| budget.max);
            let lanes = || self.lanes.values().flat_map(BTreeMap::values);
            let ghosts = if self.unknown.is_empty() { 0 } else { budget.unwrap_or(0) - sum.all() };
            ScopeView {
                scope: scope.clone(),
                budget,
                lent: sum.open,
                spent: lanes().map(|lane| lane.used(scope)).sum(),
                closed: sum.closed,
                ghosts: ghosts.max(0),
                holders: lanes().filter(|lane| lane.burden(scope).open > 0).count() as u64,
            }
        };
        scopes.into_iter().map(view).collect()
    }

    /// Boxes that have to be heard, or written off, before anything is lent again.
    pub fn unknown(&self) -> impl Iterator<Item = &(StoreId, Epoch)> {
        self.unknown.iter()
    }
}
