//! What this box would like to hold of what head office lends: what it spends in an outage at the pace it has seen,
//! and of a member who is here, all their points.
//!
//! Soft state, gathered from the slices that decisions read and change; losing it costs a smaller slice for a while. The pace
//! of a scope is what was spent of it over the time it is watched; both are halved each `LEASE_PACE_MS`, so that an old
//! rush is forgotten. A scope nobody has asked for in `LEASE_WANT_MS` is not wanted any more. Bound: `LEASE_WANTS_MAX`.

use std::collections::BTreeMap;

use crate::bundle::Bundle;
use crate::bundle::terms::scopes;
use crate::domain::calendar::UnixMs;
use crate::domain::lease::{Scope, Slices, Want};
use crate::limits;

use super::decision::{Change, Facts, Key, Record};

#[derive(Default)]
pub(super) struct Demand {
    by_scope: BTreeMap<Scope, Pace>,
}

struct Pace {
    left: i64,
    spent: i64,
    /// The least worth holding: what makes a first use possible.
    least: i64,
    since: UnixMs,
    asked: UnixMs,
}

impl Demand {
    /// Slices were looked at.
    pub(super) fn looked(&mut self, bundle: &Bundle, facts: &Facts, now: UnixMs) {
        for key in facts.keys() {
            if let Key::Lease(epoch, scope) = key {
                let left = facts.slices(*epoch, scope).left(now);
                let pace = self.pace(scope, || least(bundle, scope), now);
                pace.left = left;
                if let Scope::Pocket(member) = scope {
                    pace.least = facts.member(member).map_or(0, |member| member.ledger.points.spendable());
                }
            }
        }
    }

    /// A decision left slices behind.
    pub(super) fn changed(&mut self, changes: &[Change], now: UnixMs) {
        for change in changes {
            if let (Key::Lease(_, scope), Some(Record::Slices(slices))) = (&change.key, &change.record)
                && let Some(pace) = self.by_scope.get_mut(scope)
            {
                pace.change(slices, now);
            }
        }
    }

    fn pace(&mut self, scope: &Scope, least: impl FnOnce() -> i64, now: UnixMs) -> &mut Pace {
        if !self.by_scope.contains_key(scope) {
            if self.by_scope.len() >= limits::LEASE_WANTS_MAX {
                let oldest =
                    self.by_scope.iter().min_by_key(|(_, pace)| pace.asked).map(|(scope, _)| scope.clone());
                self.by_scope.remove(&oldest.expect("a full map has an oldest"));
            }
            let pace = Pace { left: 0, spent: 0, least: least(), since: now, asked: now };
            self.by_scope.insert(scope.clone(), pace);
        }
        let pace = self.by_scope.get_mut(scope).expect("it is there now");
        pace.asked = now;
        pace
    }

    /// What is wanted: everything of which less than half of the need is left.
    pub(super) fn wants(&self, outage_hours: u32, now: UnixMs) -> Vec<Want> {
        let recent =
            self.by_scope.iter().filter(|(_, pace)| now.ms_since(pace.asked).abs() < limits::LEASE_WANT_MS);
        let wants = recent.map(|(scope, pace)| Want {
            scope: scope.clone(),
            left: pace.left,
            need: pace.need(outage_hours, now),
        });
        wants.filter(|want| want.left < want.need.div_euclid(2).max(want.need.min(1))).collect()
    }
}

impl Pace {
    fn change(&mut self, slices: &Slices, now: UnixMs) {
        let left = slices.left(now);
        self.spent = self.spent.saturating_add((self.left - left).max(0));
        self.left = left;
        let watched = now.ms_since(self.since);
        if !(0..=2 * limits::LEASE_PACE_MS).contains(&watched) {
            self.spent /= 2;
            self.since = now.plus_ms(-limits::LEASE_PACE_MS);
        }
    }

    fn need(&self, outage_hours: u32, now: UnixMs) -> i64 {
        let watched = now.ms_since(self.since).max(limits::LEASE_PACE_MS / 24);
        let outage = i128::from(outage_hours) * 3_600_000;
        let expected = i128::from(self.spent) * outage / i128::from(watched);
        rounded(i64::try_from(expected).unwrap_or(i64::MAX)).max(self.least)
    }
}

/// Up to the next eighth of a power of two: what is needed drifts with every second, and is asked for anew when it changes.
fn rounded(need: i64) -> i64 {
    let step = 1 << (need.max(1).ilog2().saturating_sub(3));
    need.saturating_add(step - 1) / step * step
}

/// A part of the whole limit, so that a first use fits.
fn least(bundle: &Bundle, scope: &Scope) -> i64 {
    match scope {
        Scope::Uses(id) | Scope::Units(id) | Scope::Money(id) | Scope::Points(id) => {
            let chain = bundle.book.promotion(id).into_iter().flat_map(scopes);
            let max = chain.filter(|(_, lent)| lent == scope).map(|(limit, _)| limit.max).min();
            (max.unwrap_or_default() / limits::LEASE_FIRST_PART).max(1)
        }
        Scope::Pocket(_) => 0,
        Scope::Series(prefix) => {
            let count =
                bundle.series().find(|series| series.prefix == *prefix).map_or(0, |series| series.count);
            (count / limits::LEASE_FIRST_PART).max(1)
        }
        Scope::Overdraft | Scope::Risk => limits::LEASE_FIRST_NEED,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::domain::ids::Epoch;
    use crate::domain::lease::{LeaseId, Slice};

    fn slices(left: i64) -> Slices {
        let lease = LeaseId { incarnation: 1, number: 1 };
        Slices(vec![Slice {
            lease,
            amount: left,
            used: 0,
            expires: UnixMs(i64::MAX),
            sealed: false,
            first: None,
        }])
    }

    #[test]
    fn is_more_wanted_the_faster_it_goes() {
        let hour = 3_600_000;
        let mut demand = Demand::default();
        demand.pace(&Scope::Risk, || 10, UnixMs(0)).left = 1_000;
        assert!(demand.wants(72, UnixMs(0)).is_empty(), "enough is there");
        let spend = |demand: &mut Demand, left: i64, at: i64| {
            let change = Change::put(Key::Lease(Epoch(1), Scope::Risk), Record::Slices(slices(left)));
            demand.changed(&[change], UnixMs(at));
        };
        spend(&mut demand, 300, hour);
        let slow = demand.wants(72, UnixMs(10 * hour))[0].need;
        spend(&mut demand, 100, 2 * hour);
        let fast = demand.wants(72, UnixMs(10 * hour))[0].need;
        assert_eq!((slow, fast), (5_120, 6_656), "700 and 900 in ten hours, for 72, rounded up");
        assert!(demand.wants(72, UnixMs(limits::LEASE_WANT_MS)).is_empty(), "nobody asked for it any more");
    }
}
