//! Which serials of a series are lent to whom: a slice of a series is a range.
//!
//! Nothing is kept of it beside the lanes: a serial is taken while a slice that holds it is open, on its way, unseen, or
//! written off, and for good once it was given out. What a seal left over is lent again, to anybody.
//!
//! Invariants: no serial is lent to two boxes at a time, nor again after it was given out; a range never grows, because what
//! stands behind it may be another's. So a box that needs more gets another range, and one that is used up is sealed
//! to make room for it. Costs a sort of all ranges of the series for each that is lent: some 120 a shop and year.

use std::collections::BTreeMap;

use crate::domain::calendar::UnixMs;
use crate::domain::ids::{Epoch, StoreId};
use crate::domain::lease::{Say, Scope, Slice};
use crate::limits;

use super::lane::{Lane, Range};
use super::{Breach, Lender, Wrong};

/// Was every serial of it given out?
pub(super) fn is_used_up(slice: &Slice) -> bool {
    slice.first.is_some() && slice.used >= slice.amount
}

impl Lender {
    /// Lends at most `most` serials as one range: the first that is free and long enough, otherwise the longest.
    pub(super) fn grant_range(
        &mut self,
        to: (&StoreId, Epoch),
        scope: &Scope,
        most: i64,
        (now, expires): (UnixMs, UnixMs),
    ) {
        let (store, epoch) = to;
        let Some(lane) = self.lane(store, epoch) else { return };
        if lane.open(scope).count() + lane.coming(scope, self.incarnation).count() >= limits::LEASE_SLICES_MAX
        {
            return;
        }
        let count = self.terms.as_ref().and_then(|terms| terms.budgets.get(scope)).map_or(0, |it| it.max);
        let mut best: Option<Range> = None;
        for gap in gaps(self.taken(scope, now), count) {
            if best.is_none_or(|best| gap.amount > best.amount) {
                best = Some(gap);
            }
            if gap.amount >= most {
                break;
            }
        }
        if let Some(Range { first, amount }) = best {
            let (scope, amount, first) = (scope.clone(), amount.min(most), Some(first));
            self.say(store, epoch, Say::Grant { scope, amount, expires, first });
        }
    }

    /// Ranges that a box has used up go: only so many slices of a scope have room there.
    pub(super) fn seal_used_up(&mut self, store: &StoreId, epoch: Epoch, scope: &Scope) {
        let Some(lane) = self.lane(store, epoch) else { return };
        let used_up = lane.open(scope).filter(|slice| is_used_up(slice)).map(|slice| slice.lease);
        for lease in used_up.collect::<Vec<_>>() {
            self.say(store, epoch, Say::Seal { scope: scope.clone(), lease });
        }
    }

    /// Every range that is not free, or that a mistake takes for free.
    fn taken(&self, scope: &Scope, now: UnixMs) -> Vec<Range> {
        let mut taken: Vec<Range> = Vec::new();
        for lane in self.lanes.values().flat_map(BTreeMap::values) {
            match self.wrong {
                Some(Wrong::GrantTwice) => taken.extend(lane.held_ranges(scope)),
                Some(Wrong::ReclaimAtExpiry) => {
                    let is_good = |slice: &&Slice| slice.expires >= now;
                    taken.extend(lane.open(scope).filter(is_good).filter_map(Range::of));
                    taken.extend(lane.given_out(scope));
                }
                Some(Wrong::LendNumbersAgain) => {
                    let open = lane.open(scope).filter_map(Range::of);
                    taken.extend(open.chain(lane.coming_ranges(scope, 0)));
                }
                _ => taken.extend(lane.held_ranges(scope).chain(lane.coming_ranges(scope, 0))),
            }
        }
        joined(taken)
    }

    /// Serials that two boxes hold. One box may show a range twice, when an entry that comes late answers its word; and what an
    /// older incarnation said to a box that hears a newer one counts as taken, and may be free for all that is known.
    pub(super) fn check_ranges(&self) -> impl Iterator<Item = Breach> {
        let scopes = self.sums.keys().filter(|scope| scope.series().is_some());
        let overlaps = |scope: &&Scope| {
            let lanes = self.lanes.values().flat_map(BTreeMap::values);
            let mut taken: Vec<Range> = lanes
                .flat_map(|lane| {
                    let coming = lane.coming_ranges(scope, lane.heard.incarnation);
                    joined(lane.held_ranges(scope).chain(coming).collect())
                })
                .collect();
            taken.sort_by_key(|range| range.first);
            taken.windows(2).any(|pair| pair[0].end() > pair[1].first)
        };
        scopes.filter(overlaps).map(|scope| Breach::TwiceLent(scope.clone()))
    }
}

/// The same serials in ranges that do not touch.
fn joined(mut ranges: Vec<Range>) -> Vec<Range> {
    ranges.sort_by_key(|range| range.first);
    let mut joined: Vec<Range> = Vec::new();
    for range in ranges.into_iter().filter(|range| range.amount > 0) {
        match joined.last_mut().filter(|last| last.end() >= range.first) {
            Some(last) => last.amount = last.end().max(range.end()) - last.first,
            None => joined.push(range),
        }
    }
    joined
}

/// What is free of serials 1 to `count`, rising.
fn gaps(taken: Vec<Range>, count: i64) -> impl Iterator<Item = Range> {
    let behind = Range { first: count.saturating_add(1), amount: 0 };
    let mut free = 1;
    taken.into_iter().chain([behind]).filter_map(move |range| {
        let gap = Range { first: free, amount: range.first.min(count.saturating_add(1)) - free };
        free = free.max(range.end());
        (gap.amount > 0).then_some(gap)
    })
}

impl Lane {
    /// Ranges of slices the box holds or held unread, and what was given out of those that were sealed.
    fn held_ranges<'a>(&'a self, scope: &'a Scope) -> impl Iterator<Item = Range> + 'a {
        let hold = self.holds.get(scope);
        let slices = hold.into_iter().flat_map(|hold| hold.slices.iter()).filter_map(Range::of);
        let unseen = hold.into_iter().flat_map(|hold| hold.unseen.values());
        let unseen = unseen.filter_map(|unseen| Some(Range { first: unseen.first?, amount: unseen.amount }));
        slices.chain(unseen).chain(self.given_out(scope))
    }

    fn given_out<'a>(&'a self, scope: &'a Scope) -> impl Iterator<Item = Range> + 'a {
        let hold = self.holds.get(scope);
        hold.into_iter()
            .flat_map(|hold| hold.given_out.iter())
            .map(|(first, amount)| Range { first: *first, amount: *amount })
    }

    /// Of words from this incarnation on.
    fn coming_ranges<'a>(&'a self, scope: &'a Scope, since: u64) -> impl Iterator<Item = Range> + 'a {
        let pending = self.pending.iter().filter(move |pending| pending.word.id.incarnation >= since);
        pending.filter_map(move |pending| match &pending.word.say {
            Say::Grant { scope: of, amount, first: Some(first), .. } if of == scope => {
                Some(Range { first: *first, amount: *amount })
            }
            _ => None,
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_free_between_what_is_taken() {
        let free = |taken: &[(i64, i64)], count| -> Vec<(i64, i64)> {
            let taken = taken.iter().map(|(first, amount)| Range { first: *first, amount: *amount });
            gaps(taken.collect(), count).map(|gap| (gap.first, gap.amount)).collect()
        };
        assert_eq!(free(&[], 10), [(1, 10)]);
        assert_eq!(free(&[(1, 4), (7, 2)], 10), [(5, 2), (9, 2)]);
        assert_eq!(free(&[(1, 4), (2, 1), (5, 6)], 10), []);
        assert_eq!(free(&[(3, 20)], 10), [(1, 2)], "the series was larger once");
    }
}
