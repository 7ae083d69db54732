//! One life of one box as the lender sees it: words on their way to it, and what its journal says it holds.
//!
//! Invariants:
//! - A word counts as lent from when it is made until an entry shows what became of it: that the box listened past it, and
//!   the slices of its scope after that.
//! - Only a seal that was read closes a slice. One that vanished unread (its entries were withheld, lost, or not understood)
//!   counts in full until they come.
//! - An entry that comes late, because it was withheld before, never takes a scope back to what it was.

use std::collections::{BTreeMap, BTreeSet, VecDeque};

use crate::domain::calendar::UnixMs;
use crate::domain::ids::Seq;
use crate::domain::lease::{Heard, LeaseId, Say, Scope, Slice, Slices, Word};

/// What a scope is burdened with: open may come back, closed never.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) struct Burden {
    pub(super) open: i64,
    pub(super) closed: i64,
}

impl Burden {
    pub(super) fn all(self) -> i64 {
        self.open.saturating_add(self.closed)
    }

    /// This one in place of `before`, in a sum.
    pub(super) fn replace(&mut self, before: Burden, after: Burden) {
        self.open += after.open - before.open;
        self.closed += after.closed - before.closed;
    }
}

/// A word that no entry has answered.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Pending {
    pub(super) word: Word,
    /// The how-manieth record it is: it may be said once the log holds so many.
    pub(super) place: u64,
}

/// Serials of a series: so many from the first on.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Range {
    pub(super) first: i64,
    pub(super) amount: i64,
}

impl Range {
    pub(super) fn of(slice: &Slice) -> Option<Range> {
        Some(Range { first: slice.first?, amount: slice.amount })
    }

    /// The first serial behind it.
    pub(super) fn end(self) -> i64 {
        self.first.saturating_add(self.amount)
    }
}

/// A slice that vanished unread.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Unseen {
    pub(super) amount: i64,
    pub(super) first: Option<i64>,
}

/// The slices of one scope.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(super) struct Hold {
    /// The entry that said so.
    as_of: Seq,
    /// Open ones.
    pub(super) slices: Vec<Slice>,
    /// Sealed ones that this entry still shows: their figures are in `finals`.
    sealed: BTreeSet<LeaseId>,
    /// Sum of final figures; none for pockets.
    pub(super) finals: i64,
    /// Slices that vanished unread, with all that was lent in them.
    pub(super) unseen: BTreeMap<LeaseId, Unseen>,
    /// Of a series: what sealed slices gave out, so many by their first.
    pub(super) given_out: BTreeMap<i64, i64>,
    /// How often in a row nothing but its time changed.
    pub(super) prolonged: u32,
}

#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(super) struct Lane {
    /// The number of the next word in the lender's incarnation.
    pub(super) next: u64,
    /// The highest request that was served, in the lender's incarnation.
    pub(super) floor: u64,
    /// The last word that was ever made for it.
    pub(super) top: LeaseId,
    pub(super) heard: LeaseId,
    /// Words through this one were answered when they left the log: it must have been heard before more is lent.
    pub(super) answered: LeaseId,
    pub(super) applied: Seq,
    newest: Seq,
    /// Every entry through `applied` was read.
    pub(super) whole: bool,
    pub(super) written_off: bool,
    pub(super) pending: VecDeque<Pending>,
    pub(super) holds: BTreeMap<Scope, Hold>,
    /// Words through this number were said since the box last said hello, or the wait for an answer was over.
    pub(super) said: u64,
    pub(super) said_at: Option<UnixMs>,
}

/// Of pockets only what is not spent burdens: what is spent has left the member's balance with the same entry.
fn is_pocket(scope: &Scope) -> bool {
    matches!(scope, Scope::Pocket(_))
}

impl Lane {
    pub(super) fn new() -> Lane {
        Lane { next: 1, whole: true, ..Lane::default() }
    }

    /// Was its journal read so far that nothing said before `blind_below`, or left out of the log, can be missing?
    pub(super) fn is_known(&self, blind_below: u64) -> bool {
        self.heard.incarnation >= blind_below && self.heard >= self.answered
    }

    /// Lent in words that nothing has answered.
    pub(super) fn lends(&self, scope: &Scope) -> i64 {
        let of_scope = |pending: &&Pending| pending.word.say.scope() == Some(scope);
        self.pending.iter().filter(of_scope).map(|pending| pending.word.say.lends()).sum()
    }

    pub(super) fn burden(&self, scope: &Scope) -> Burden {
        let mut burden = Burden { open: self.lends(scope), closed: 0 };
        if let Some(hold) = self.holds.get(scope) {
            let spent = |slice: &Slice| if is_pocket(scope) { slice.used } else { 0 };
            burden.open += hold.slices.iter().map(|slice| slice.amount - spent(slice)).sum::<i64>();
            burden.open += hold.unseen.values().map(|unseen| unseen.amount).sum::<i64>();
            burden.closed = hold.finals;
        }
        if self.written_off {
            burden = Burden { open: 0, closed: burden.all() };
        }
        burden
    }

    /// What is not spent of its open slices.
    pub(super) fn rest(&self, scope: &Scope) -> i64 {
        self.open(scope).map(|slice| (slice.amount - slice.used).max(0)).sum()
    }

    /// Is there, or may there come, a slice of it?
    pub(super) fn may_hold(&self, scope: &Scope) -> bool {
        let of_scope = |pending: &Pending| pending.word.say.scope() == Some(scope);
        self.holds.contains_key(scope) || self.pending.iter().any(of_scope)
    }

    /// Every scope that may burden something.
    pub(super) fn scopes(&self) -> BTreeSet<Scope> {
        let pending = self.pending.iter().filter_map(|pending| pending.word.say.scope());
        pending.chain(self.holds.keys()).cloned().collect()
    }

    pub(super) fn used(&self, scope: &Scope) -> i64 {
        self.holds
            .get(scope)
            .map_or(0, |hold| hold.finals + hold.slices.iter().map(|slice| slice.used).sum::<i64>())
    }

    fn is_being_sealed(&self, of: &Scope, slice: LeaseId) -> bool {
        self.pending.iter().any(
            |pending| matches!(&pending.word.say, Say::Seal { scope, lease } if *lease == slice && scope == of),
        )
    }

    /// Open slices that no word on its way closes.
    pub(super) fn open<'a>(&'a self, scope: &'a Scope) -> impl Iterator<Item = &'a Slice> {
        let slices = self.holds.get(scope).map(|hold| hold.slices.as_slice()).unwrap_or_default();
        slices.iter().filter(|slice| !self.is_being_sealed(scope, slice.lease))
    }

    /// Slices granted by words of `incarnation` on their way that no other word on its way closes.
    pub(super) fn coming<'a>(
        &'a self,
        scope: &'a Scope,
        incarnation: u64,
    ) -> impl Iterator<Item = LeaseId> + 'a {
        let grants = self.pending.iter().filter(move |pending| {
            let is_grant = matches!(&pending.word.say, Say::Grant { scope: of, .. } if of == scope);
            is_grant && pending.word.id.incarnation == incarnation
        });
        grants.map(|pending| pending.word.id).filter(|id| !self.is_being_sealed(scope, *id))
    }

    /// What the box may still spend once it has heard everything.
    pub(super) fn left(&self, scope: &Scope) -> i64 {
        self.rest(scope) + self.lends(scope)
    }

    /// Reads what an entry says of leases.
    pub(super) fn read(&mut self, seq: Seq, heard: Option<Heard>, held: &[(&Scope, Option<&Slices>)]) {
        let in_order = seq > self.newest;
        self.newest = self.newest.max(seq);
        // How far the box had listened then; not known of a late entry that does not say so itself.
        let listened = match heard {
            Some(heard) => Some(heard.last),
            None => in_order.then_some(self.heard),
        };
        self.heard = self.heard.max(listened.unwrap_or_default());
        for (scope, slices) in held {
            let slices = slices.map(|slices| slices.0.as_slice()).unwrap_or_default();
            let hold = self.holds.entry((*scope).clone()).or_default();
            hold.read(seq, slices, is_pocket(scope));
            if let Some(listened) = listened {
                hold.settle(scope, listened, &mut self.pending);
            }
        }
        // A word that only asks for something is answered by listening alone.
        let last = self.heard;
        self.pending.retain(|pending| pending.word.id > last || pending.word.say.lends() > 0);
    }

    /// Is there anything to forget?
    pub(super) fn is_behind(&self) -> bool {
        let is_older = |pending: &Pending| pending.word.id.incarnation < self.heard.incarnation;
        self.whole && (self.pending.iter().any(is_older) || self.holds.values().any(Hold::is_empty))
    }

    /// With every entry read: scopes of which nothing is left; and what was said by an older incarnation than the last one
    /// heard, and is not held now: it was never taken, and never will be.
    pub(super) fn forget(&mut self) {
        if self.whole {
            self.holds.retain(|_, hold| !hold.is_empty());
            let heard = self.heard.incarnation;
            self.pending.retain(|pending| pending.word.id.incarnation >= heard);
        }
    }
}

impl Hold {
    fn is_empty(&self) -> bool {
        *self == Hold { as_of: self.as_of, prolonged: self.prolonged, ..Hold::default() }
    }

    fn read(&mut self, seq: Seq, slices: &[Slice], is_pocket: bool) {
        let closes = |slice: &Slice| if is_pocket { 0 } else { slice.used };
        if seq <= self.as_of {
            for slice in slices.iter().filter(|slice| slice.sealed) {
                if self.unseen.remove(&slice.lease).is_some() {
                    self.finals += closes(slice);
                    self.give_out(slice);
                }
            }
            return;
        }
        self.as_of = seq;
        let mut sealed = BTreeSet::new();
        for slice in slices.iter().filter(|slice| slice.sealed) {
            if !self.sealed.contains(&slice.lease) {
                self.finals += closes(slice);
                self.unseen.remove(&slice.lease);
                self.give_out(slice);
            }
            sealed.insert(slice.lease);
        }
        let open: Vec<Slice> = slices.iter().filter(|slice| !slice.sealed).copied().collect();
        open.iter().for_each(|slice| {
            self.unseen.remove(&slice.lease);
        });
        let figures = |slices: &[Slice]| -> Vec<_> {
            slices.iter().map(|slice| (slice.lease, slice.amount, slice.used)).collect()
        };
        let is_only_longer = figures(&self.slices) == figures(&open);
        self.prolonged = if is_only_longer { self.prolonged.saturating_add(1) } else { 0 };
        for before in std::mem::replace(&mut self.slices, open) {
            if !slices.iter().any(|slice| slice.lease == before.lease) {
                self.unseen.insert(before.lease, Unseen { amount: before.amount, first: before.first });
            }
        }
        self.sealed = sealed;
    }

    fn give_out(&mut self, slice: &Slice) {
        let Some(first) = slice.first.filter(|_| slice.used > 0) else { return };
        // Ranges that were lent one behind the other are one.
        let before = self.given_out.range(..first).next_back().map(|(first, amount)| (*first, *amount));
        match before.filter(|(start, amount)| start + amount == first) {
            Some((start, amount)) => self.given_out.insert(start, amount + slice.used),
            None => self.given_out.insert(first, slice.used),
        };
    }

    /// Takes out the words that this entry answers.
    fn settle(&mut self, scope: &Scope, listened: LeaseId, pending: &mut VecDeque<Pending>) {
        let mut unread = Vec::new();
        pending.retain(|pending| {
            let word = &pending.word;
            let same_life = word.id.incarnation == listened.incarnation;
            if word.say.scope() != Some(scope) || !same_life || word.id > listened {
                return true;
            }
            unread.push((word.id, word.say.clone()));
            false
        });
        for (id, say) in unread {
            let holds = |lease: LeaseId| {
                self.sealed.contains(&lease) || self.slices.iter().any(|slice| slice.lease == lease)
            };
            match say {
                Say::Grant { amount, first, .. } if !holds(id) => {
                    self.unseen.insert(id, Unseen { amount, first });
                }
                Say::TopUp { lease, more, .. } => {
                    if let Some(lent) = self.unseen.get_mut(&lease) {
                        lent.amount += more;
                    }
                }
                _ => {}
            }
        }
    }
}
