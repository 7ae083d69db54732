//! The judge's books of what was lent: every word ever said, and what every box's journal says it holds.
//!
//! Truth is what was said and what was durable, not what head office believes: a slice counts with all that was lent in it
//! from the first time it is said until its box's own journal shows it sealed, then with its final figure.

use std::collections::BTreeMap;

use crate::bundle::terms::Terms;
use crate::domain::ids::{Epoch, StoreId};
use crate::domain::lease::{LeaseId, Say, Scope, Slice, Slices, Word};

type Life = (StoreId, Epoch);

#[derive(Clone, Debug)]
struct Lent {
    scope: Scope,
    /// Said: the grant and every top-up.
    amount: i64,
    used: i64,
    /// Final.
    is_sealed: bool,
}

/// All that was lent.
#[derive(Debug, Default)]
pub(super) struct Escrow {
    words: BTreeMap<(Life, LeaseId), Word>,
    lent: BTreeMap<(Life, LeaseId), Lent>,
    /// What the journal of each box showed last.
    held: BTreeMap<(usize, Scope), Vec<Slice>>,
    /// By scope: lent and not final, plus what is final; and spent.
    burden: BTreeMap<Scope, i64>,
    spent: BTreeMap<Scope, i64>,
    /// The newest request head office served, by life and incarnation.
    served: BTreeMap<(Life, u64), u64>,
    /// Two boxes spend the same slices: what they spend together is bounded by nothing but what was copied.
    pub(super) is_cloned: bool,
}

type Findings = Vec<(&'static str, String)>;

impl Escrow {
    /// Head office says a word.
    pub(super) fn said(&mut self, store: &StoreId, word: &Word, terms: &Terms, found: &mut Findings) {
        let life = (store.clone(), word.epoch);
        let key = (life.clone(), word.id);
        if let Some(before) = self.words.get(&key) {
            if before != word {
                found
                    .push(("I1", format!("{store}: one word was said in two ways: {before:?} and {word:?}")));
            }
            return;
        }
        self.words.insert(key.clone(), word.clone());
        let (lease, scope, more) = match &word.say {
            Say::Grant { scope, amount, .. } => (word.id, scope, *amount),
            Say::TopUp { scope, lease, more, .. } => (*lease, scope, *more),
            Say::Seal { .. } | Say::Greet | Say::Release { .. } | Say::Adopt { .. } => return,
        };
        let lent = self.lent.entry((life, lease)).or_insert(Lent {
            scope: scope.clone(),
            amount: 0,
            used: 0,
            is_sealed: false,
        });
        lent.amount += more;
        if lent.is_sealed {
            // A top-up that came too late is not followed.
            return;
        }
        let burden = self.burden.entry(scope.clone()).or_default();
        *burden += more;
        let budget = terms.budgets.get(scope).map_or(0, |budget| budget.max);
        if *burden > budget && !self.is_cloned {
            found.push((
                "I1",
                format!("{store}: {scope:?} lent and spent {burden} of {budget} with {word:?}"),
            ));
        }
    }

    /// Head office served a request for slices.
    pub(super) fn served(
        &mut self,
        store: &StoreId,
        epoch: Epoch,
        (incarnation, number): (u64, u64),
        found: &mut Findings,
    ) {
        let before = self.served.insert(((store.clone(), epoch), incarnation), number);
        if before.is_some_and(|before| before >= number) {
            found.push(("I10", format!("{store}: request {number} was served after {before:?}")));
        }
    }

    /// Head office starts anew: what it served and granted nothing for it has forgotten.
    pub(super) fn office_started(&mut self) {
        self.served.clear();
    }

    /// A box's journal shows what it holds of a scope now.
    pub(super) fn holds(
        &mut self,
        (of, store, epoch): (usize, &StoreId, Epoch),
        (scope, slices): (&Scope, &Slices),
        terms: &Terms,
        found: &mut Findings,
    ) {
        let before = self.held.insert((of, scope.clone()), slices.0.clone()).unwrap_or_default();
        let name = format!("{store} epoch {}", epoch.0);
        for gone in before.iter().filter(|slice| !slice.sealed) {
            if !slices.0.iter().any(|slice| slice.lease == gone.lease) {
                found.push(("I2", format!("{name}: slice {:?} of {scope:?} vanished open", gone.lease)));
            }
        }
        for slice in &slices.0 {
            let key = ((store.clone(), epoch), slice.lease);
            let Some(lent) = self.lent.get_mut(&key) else {
                found.push(("I2", format!("{name}: holds {:?} of {scope:?}, never lent to it", slice.lease)));
                continue;
            };
            if slice.amount > lent.amount || !(0..=slice.amount).contains(&slice.used) || lent.scope != *scope
            {
                found.push(("I2", format!("{name}: {slice:?} of {scope:?}, lent were {}", lent.amount)));
            }
            if lent.is_sealed && (!slice.sealed || slice.used != lent.used) && !self.is_cloned {
                found.push(("I3", format!("{name}: {slice:?} after it was sealed with {}", lent.used)));
            }
            *self.spent.entry(scope.clone()).or_default() += slice.used - lent.used;
            if slice.sealed && !lent.is_sealed {
                *self.burden.entry(scope.clone()).or_default() += slice.used - lent.amount;
                lent.is_sealed = true;
            } else if lent.is_sealed {
                *self.burden.entry(scope.clone()).or_default() += slice.used - lent.used;
            }
            lent.used = slice.used;
        }
        let budget = terms.budgets.get(scope).map_or(0, |budget| budget.max);
        let spent = self.spent.get(scope).copied().unwrap_or_default();
        if spent > budget && !self.is_cloned {
            found.push(("I4", format!("{name}: {scope:?} spent {spent} of {budget}")));
        }
    }

    /// A box began with a copy of another's disk: it holds the same.
    pub(super) fn cloned(&mut self, of: usize, copy: usize) {
        self.is_cloned = true;
        let held: Vec<_> = self.held.iter().filter(|((by, _), _)| *by == of).collect();
        let copied: Vec<_> =
            held.into_iter().map(|((_, scope), held)| ((copy, scope.clone()), held.clone())).collect();
        self.held.extend(copied);
    }

    /// Spent of a scope, over all boxes that ever were.
    pub(super) fn spent(&self, scope: &Scope) -> i64 {
        self.spent.get(scope).copied().unwrap_or_default()
    }

    /// How much was ever lent, words counted.
    pub(super) fn words(&self) -> u64 {
        self.words.len() as u64
    }
}
