//! What one entry counts for: the one rule by which shop and head office count.
//!
//! Invariant: training counts for nothing but as an entry.

use crate::domain::tally::Totals;

use super::decision::{Entry, Key, Record};
use super::input::{Body, Input};
use super::reply::Reply;

impl Entry {
    /// What this entry alone comes to.
    pub fn totals(&self) -> Totals {
        let bundle = self.bundle.as_ref().map(|bundle| bundle.version);
        let doubted = u64::from(self.is_of_doubted_time());
        let mut totals = Totals { entries: 1, bundle, doubted, ..Totals::default() };
        let Input::Request(request) = &self.input else { return totals };
        let is_real = || {
            self.changes.iter().any(|change| match (&change.key, &change.record) {
                (Key::Sale(_), Some(Record::Sale(sale))) => !sale.training,
                _ => false,
            })
        };
        match (&request.body, &self.answer) {
            (_, Err(_)) => totals.refusals = 1,
            (Body::Commit(_), Ok(Reply::Commit(receipt))) if is_real() => {
                (totals.sales, totals.sales_total_minor) = (1, receipt.figures.total.0);
            }
            (Body::Void(_) | Body::Return(_), Ok(Reply::Refund(refund))) if is_real() => {
                (totals.refunds, totals.refunds_total_minor) = (1, refund.refund.0);
            }
            (Body::Enroll(_), Ok(Reply::Enroll(_))) => totals.enrolled = 1,
            _ => {}
        }
        totals
    }
}
