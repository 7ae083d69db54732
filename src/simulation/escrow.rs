//! The judge's books of what was lent: every word ever said, and what every box's journal says it holds.
//!
//! Truth is what was said and what was durable, not what head office believes. Each word is followed on its own: what it
//! lends counts from the first time it is said until the box's own journal shows the slice sealed (then the final figure
//! counts), or shows that the box can never take it: a word of a newer life of head office was taken before. What a word
//! lent that was taken and not followed (a slice too many, a top-up of a slice that is closed) counts no longer either.

use std::collections::BTreeMap;

use crate::bundle::terms::Terms;
use crate::domain::ids::{Epoch, Seq, StoreId};
use crate::domain::lease::{LeaseId, Say, Scope, Slice, Slices, Word};
use crate::engine::decision::Entry;
use crate::engine::reply::Reply;

type Life = (StoreId, Epoch);

#[derive(Clone, Debug)]
struct Lent {
    scope: Scope,
    /// Of the words the box took.
    amount: i64,
    /// Of the words it may still take.
    coming: BTreeMap<LeaseId, i64>,
    used: i64,
    /// Final.
    is_sealed: bool,
}

impl Lent {
    fn burden(&self) -> i64 {
        if self.is_sealed { self.used } else { self.amount + self.coming.values().sum::<i64>() }
    }
}

/// All that was lent.
#[derive(Debug, Default)]
pub(super) struct Escrow {
    words: BTreeMap<(Life, LeaseId), Word>,
    /// The last word a box took.
    heard: BTreeMap<Life, LeaseId>,
    lent: BTreeMap<(Life, LeaseId), Lent>,
    /// What the journal of each box showed last.
    held: BTreeMap<(usize, Scope), Vec<Slice>>,
    /// By scope: lent and not final, plus what is final; and spent.
    burden: BTreeMap<Scope, i64>,
    spent: BTreeMap<Scope, i64>,
    /// The newest request head office served, by life and incarnation.
    served: BTreeMap<(Life, u64), u64>,
    /// Every number of a series that was given out, and by which decision.
    given: BTreeMap<String, (StoreId, Epoch, Seq)>,
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
        self.words.insert(key, word.clone());
        let heard = self.heard.get(&life).copied().unwrap_or_default();
        let Some((lease, scope)) = lends(word) else { return };
        let lent = self.lent.entry((life, lease)).or_insert(Lent {
            scope: scope.clone(),
            amount: 0,
            coming: BTreeMap::new(),
            used: 0,
            is_sealed: false,
        });
        if word.id.incarnation < heard.incarnation {
            return;
        }
        let before = lent.burden();
        lent.coming.insert(word.id, word.say.lends());
        let burden = self.burden.entry(scope.clone()).or_default();
        *burden += lent.burden() - before;
        let is_overlent = budget(scope, terms).is_some_and(|budget| *burden > budget);
        if lent.burden() > before && is_overlent && !self.is_cloned {
            let budget = budget(scope, terms).unwrap_or_default();
            found.push((
                "I1",
                format!("{store}: {scope:?} lent and spent {burden} of {budget} with {word:?}"),
            ));
        }
    }

    /// A box's journal shows that it took a word, and what it holds of the word's scope then.
    pub(super) fn took(
        &mut self,
        (store, epoch): (&StoreId, Epoch),
        (word, slices): (&Word, Option<&Slices>),
        found: &mut Findings,
    ) {
        let life = (store.clone(), epoch);
        if self.words.get(&(life.clone(), word.id)) != Some(word) {
            found.push(("I2", format!("{store} epoch {}: took {word:?}, never said to it", epoch.0)));
        }
        if let Some((lease, _)) = lends(word) {
            let is_open = |slice: &Slice| slice.lease == lease && !slice.sealed;
            // A copy of the box may hold what this one does not.
            let is_followed = self.is_cloned || slices.is_some_and(|slices| slices.0.iter().any(is_open));
            self.settle(&life, lease, |lent| {
                let more = lent.coming.remove(&word.id).unwrap_or_default();
                lent.amount += if is_followed { more } else { 0 };
            });
        }
        let heard = self.heard.entry(life.clone()).or_default();
        let is_renewed = heard.incarnation < word.id.incarnation;
        *heard = word.id.max(*heard);
        // A copy of the box may not have heard yet what this one has.
        if is_renewed && !self.is_cloned {
            let first = LeaseId::default();
            let of_life = self.lent.range((life.clone(), first)..).take_while(|((of, _), _)| *of == life);
            let leases: Vec<LeaseId> = of_life.map(|((_, lease), _)| *lease).collect();
            for lease in leases {
                self.settle(&life, lease, |lent| {
                    lent.coming.retain(|coming, _| coming.incarnation >= word.id.incarnation);
                });
            }
        }
    }

    /// Changes what is known of a slice, and the sum with it.
    fn settle(&mut self, life: &Life, lease: LeaseId, act: impl FnOnce(&mut Lent)) {
        let Some(lent) = self.lent.get_mut(&(life.clone(), lease)) else { return };
        let before = lent.burden();
        act(lent);
        *self.burden.entry(lent.scope.clone()).or_default() += lent.burden() - before;
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

    /// A box's journal shows what it gave out: of a series, each number once in the whole chain, and none beyond the last.
    pub(super) fn gave_out(&mut self, store: &StoreId, entry: &Entry, terms: &Terms, found: &mut Findings) {
        let numbers: Vec<&str> = match &entry.answer {
            Ok(Reply::Commit(receipt)) => {
                receipt.coupons_issued.iter().map(|coupon| coupon.code.as_str()).collect()
            }
            Ok(Reply::Enroll(enrolled)) => vec![enrolled.member.as_str()],
            _ => return,
        };
        for number in numbers {
            let of_series = terms.budgets.iter().find_map(|(scope, budget)| {
                let rest = number.strip_prefix(scope.series()?.as_str())?;
                Some((rest.get(..rest.len().checked_sub(1)?)?.parse::<i64>().ok()?, budget.max))
            });
            let Some((serial, count)) = of_series else { continue };
            let by = (store.clone(), entry.epoch, entry.seq);
            if !(1..=count).contains(&serial) {
                found.push(("I4", format!("{store}: {number} was given out, of {count}")));
            }
            let before = self.given.insert(number.to_owned(), by.clone());
            if let Some(before) = before.filter(|before| *before != by && !self.is_cloned) {
                found.push(("I4", format!("{number} was given out by {before:?} and by {by:?}")));
            }
        }
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
            let is_as_lent = slice.amount == lent.amount || self.is_cloned && slice.amount < lent.amount;
            let said = self.words.get(&key).map(|word| &word.say);
            let is_its_range = matches!(said, Some(Say::Grant { first, .. }) if *first == slice.first);
            if !is_its_range
                || !is_as_lent
                || !(0..=slice.amount).contains(&slice.used)
                || lent.scope != *scope
            {
                found.push(("I2", format!("{name}: {slice:?} of {scope:?}, lent were {}", lent.amount)));
            }
            if lent.is_sealed && (!slice.sealed || slice.used != lent.used) && !self.is_cloned {
                found.push(("I3", format!("{name}: {slice:?} after it was sealed with {}", lent.used)));
            }
            *self.spent.entry(scope.clone()).or_default() += slice.used - lent.used;
            let before = lent.burden();
            lent.is_sealed |= slice.sealed;
            lent.used = slice.used;
            *self.burden.entry(scope.clone()).or_default() += lent.burden() - before;
        }
        let spent = self.spent.get(scope).copied().unwrap_or_default();
        if let Some(budget) = budget(scope, terms).filter(|budget| spent > *budget && !self.is_cloned) {
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

/// How much there is of something in all; of a member's points there is what they have, which is I13's to judge.
fn budget(scope: &Scope, terms: &Terms) -> Option<i64> {
    match scope {
        Scope::Pocket(_) => None,
        _ => Some(terms.budgets.get(scope).map_or(0, |budget| budget.max)),
    }
}

/// Which slice a word lends in, and of what.
fn lends(word: &Word) -> Option<(LeaseId, &Scope)> {
    match &word.say {
        Say::Grant { scope, .. } => Some((word.id, scope)),
        Say::TopUp { scope, lease, .. } => Some((*lease, scope)),
        Say::Seal { .. } | Say::Greet | Say::Release { .. } | Say::Adopt { .. } => None,
    }
}
