//! What a fleet of simulated devices counts, readable while it runs.
//!
//! Invariants, which `Figures::adds_up` checks once a fleet has ended:
//! - requests = replies + refusals + silences: every request ends in exactly one way;
//! - duplicates_sent = duplicates_replayed + duplicates_differing + duplicates_silent;
//! - a sale stands in `sales` if and only if its reply was heard, in `uncertain` if the till gave up waiting for it.
//!
//! Sending the same bytes again because no answer came is a resend; doing so on purpose after the answer is a duplicate.

use std::collections::BTreeMap;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Mutex, MutexGuard, PoisonError};

use hdrhistogram::Histogram;
use serde::Serialize;

use crate::domain::calendar::Day;
use crate::domain::ids::DeviceId;

/// Longest latency that is told apart, in microseconds: ten minutes, longer than any patience.
const LATENCY_US_MAX: u64 = 600_000_000;

macro_rules! counts {
    ($($(#[$doc:meta])+ $name:ident,)+) => {
        /// Counters. Each only rises.
        #[derive(Debug, Default)]
        pub struct Counts {
            $($(#[$doc])+ pub $name: AtomicU64,)+
        }

        /// The counters at one moment.
        #[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize)]
        pub struct Figures {
            $($(#[$doc])+ pub $name: u64,)+
        }

        impl Counts {
            /// The counters now. Not all of the same instant while devices run.
            pub fn figures(&self) -> Figures {
                Figures { $($name: self.$name.load(Ordering::Acquire),)+ }
            }
        }
    };
}

counts! {
    /// Requests begun, each counted once however often it was sent.
    requests,
    /// Requests answered with a document.
    replies,
    /// Requests answered with a problem.
    refusals,
    /// Requests given up without an answer.
    silences,
    /// Times a request was sent again because no answer came or the answer was to wait.
    resends,
    /// Answers that said to wait (429, 503).
    told_to_wait,
    /// Answers nobody waited for any more.
    late,
    /// Answers that are no document of the contract.
    unreadable,
    /// MQTT 5 answers whose correlation data was not the request's.
    miscorrelated,
    /// Answered commits sent again on purpose.
    duplicates_sent,
    /// Duplicates answered as the first time and marked as replayed.
    duplicates_replayed,
    /// Duplicates answered otherwise: a broken promise.
    duplicates_differing,
    /// Duplicates without an answer.
    duplicates_silent,
    /// Visits begun.
    visits,
    /// Baskets quoted.
    quotes,
    /// Sales committed whose reply was heard.
    sales,
    /// Money of those sales, in minor units.
    sales_minor,
    /// Money taken off in those sales, in minor units.
    discounts_minor,
    /// Promotions applied in those sales.
    offers_applied,
    /// Sales voided.
    voids,
    /// Returns taken.
    returns,
    /// Money given back in voids and returns, in minor units.
    refunds_minor,
    /// Sales committed with the basket because the quote had expired.
    requoted,
    /// Members enrolled.
    enrolled,
    /// Codes presented in a sale and applied.
    coupons_applied,
    /// Times a device's connection came up.
    connects,
    /// Times it was lost or refused.
    disconnects,
    /// Devices connected and subscribed now.
    up,
}

/// A sale whose reply was heard.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize)]
pub struct SaleRecord {
    /// The till.
    pub device: DeviceId,
    /// Its business day.
    pub business_day: Day,
    /// Its receipt number.
    pub seq: u64,
    /// What the receipt says was to pay, in minor units.
    pub total: i64,
    /// The daemon's reference of the decision.
    pub decision: String,
}

/// Everything a fleet counts.
#[derive(Debug, Default)]
pub struct Tally {
    /// The counters.
    pub counts: Counts,
    latencies: Mutex<BTreeMap<&'static str, Histogram<u64>>>,
    sales: Mutex<Vec<SaleRecord>>,
    uncertain: Mutex<Vec<(DeviceId, Day, u64)>>,
    refused: Mutex<BTreeMap<String, u64>>,
    offers: Mutex<BTreeMap<String, u64>>,
}

fn locked<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    // A device that panicked left whole values behind: each is changed in one call.
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

/// Adds to a counter.
pub(super) fn count(counter: &AtomicU64, by: u64) {
    counter.fetch_add(by, Ordering::AcqRel);
}

impl Tally {
    /// The counters now.
    pub fn figures(&self) -> Figures {
        self.counts.figures()
    }

    /// Sales whose reply was heard, sorted.
    pub fn sales(&self) -> Vec<SaleRecord> {
        let mut sales = locked(&self.sales).clone();
        sales.sort();
        sales
    }

    /// Sales the tills gave up waiting for: they may or may not have happened. Device, business day, receipt number.
    pub fn uncertain(&self) -> Vec<(DeviceId, Day, u64)> {
        locked(&self.uncertain).clone()
    }

    /// How often each problem code was the answer.
    pub fn refused_by_code(&self) -> BTreeMap<String, u64> {
        locked(&self.refused).clone()
    }

    /// How often each promotion applied in a sale.
    pub fn offers(&self) -> BTreeMap<String, u64> {
        locked(&self.offers).clone()
    }

    /// Round trips in microseconds of requests that were answered at the first sending; of one operation (its level in
    /// the topic), or of all.
    pub fn latencies(&self, op: Option<&str>) -> Histogram<u64> {
        let mut sum = histogram();
        for (of, latencies) in locked(&self.latencies).iter() {
            if op.is_none_or(|op| op == *of) {
                sum.add(latencies).expect("all have the same bounds");
            }
        }
        sum
    }

    pub(super) fn latency(&self, op: &'static str, us: u64) {
        let mut latencies = locked(&self.latencies);
        latencies.entry(op).or_insert_with(histogram).saturating_record(us);
    }

    pub(super) fn sale(&self, sale: SaleRecord) {
        locked(&self.sales).push(sale);
    }

    pub(super) fn unsure_of(&self, device: DeviceId, business_day: Day, seq: u64) {
        locked(&self.uncertain).push((device, business_day, seq));
    }

    pub(super) fn refusal(&self, code: &str) {
        *locked(&self.refused).entry(code.to_owned()).or_default() += 1;
    }

    pub(super) fn offer(&self, promotion: &str) {
        *locked(&self.offers).entry(promotion.to_owned()).or_default() += 1;
    }
}

impl Figures {
    /// Whether every request and duplicate ended in exactly one way. True once a fleet has ended.
    pub fn adds_up(&self) -> bool {
        let duplicates = self.duplicates_replayed + self.duplicates_differing + self.duplicates_silent;
        self.requests == self.replies + self.refusals + self.silences && self.duplicates_sent == duplicates
    }
}

fn histogram() -> Histogram<u64> {
    Histogram::new_with_bounds(1, LATENCY_US_MAX, 3).expect("1 to ten minutes with 3 digits is a valid range")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn do_figures_that_lost_a_request_add_up() {
        let tally = Tally::default();
        count(&tally.counts.requests, 3);
        count(&tally.counts.replies, 2);
        assert!(!tally.figures().adds_up());
        count(&tally.counts.refusals, 1);
        assert!(tally.figures().adds_up());
        count(&tally.counts.duplicates_sent, 1);
        assert!(!tally.figures().adds_up());
    }

    #[test]
    fn are_latencies_told_apart_by_operation() {
        let tally = Tally::default();
        tally.latency("quote", 100);
        tally.latency("commit", 900);
        assert_eq!(tally.latencies(Some("quote")).max(), 100);
        assert_eq!((tally.latencies(None).len(), tally.latencies(None).max()), (2, 900));
        assert_eq!(tally.latencies(Some("scan")).len(), 0);
    }
}
