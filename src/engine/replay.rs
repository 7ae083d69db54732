//! A past decision decided again, to the same bytes.
//!
//! A sale's entry holds the quote it settled: all that pricing saw. Pricing it again under the bundle it names must give
//! the figures it holds; with them the reasons of what did not apply are found again, which no entry carries. A void or
//! return is worked out again from what its entry read, the sale's own entry beside it, which stands in the same journal.

use std::sync::Arc;

use crate::bundle::Bundle;
use crate::domain::basket::TransactionKey;
use crate::domain::calendar::UnixMs;
use crate::domain::ids::{BundleRef, Seq, StoreId};
use crate::pricing::PriceFault;
use crate::pricing::outcome::Priced;

use super::decision::{Entry, Key, Quote, Record};
use super::input::{Body, Input};
use super::reply::{Answer, Refund, Reply};
use super::sale::price_again;
use super::{Identity, Turn, refund};

/// What pricing a past sale again gave.
pub struct Replayed<'a> {
    /// What the sale settled.
    pub quote: &'a Quote,
    /// The figures now, reasons included.
    pub priced: Priced,
    /// Are they the same, byte for byte, as the ones kept?
    pub same: bool,
}

impl Replayed<'_> {
    /// The figures now as an entry keeps them: without the reasons.
    pub fn kept_form(&self) -> Priced {
        bare(&self.priced)
    }
}

fn bare(priced: &Priced) -> Priced {
    Priced { not_applied: Vec::new(), near: Vec::new(), ..priced.clone() }
}

/// Prices the sale of an entry again. `None` if the entry is not a sale; `bundle` must be the one the quote names.
pub fn replay<'a>(bundle: &Bundle, entry: &'a Entry) -> Option<Result<Replayed<'a>, PriceFault>> {
    let quote = entry.facts.quotes().next()?;
    Some(price_again(bundle, quote).map(|priced| {
        let bytes = |priced: &Priced| rmp_serde::to_vec_named(priced).unwrap_or_default();
        let same = bytes(&bare(&priced)) == bytes(&quote.priced);
        Replayed { quote, priced, same }
    }))
}

/// What a void or return took back, as its entry keeps it, and the sale it took it from.
pub fn taken_back(entry: &Entry) -> Option<(&Refund, Seq)> {
    let Ok(Reply::Refund(refund)) = &entry.answer else { return None };
    Some((refund, entry.facts.sale(original(entry)?)?.decision))
}

/// The sale that an entry voided.
pub fn voided(entry: &Entry) -> Option<Seq> {
    let Input::Request(request) = &entry.input else { return None };
    let is_void = matches!(request.body, Body::Void(_));
    taken_back(entry).filter(|_| is_void).map(|(_, sale)| sale)
}

/// Is it a sale of somebody who was forgotten?
pub fn is_of_nobody(entry: &Entry) -> bool {
    entry.facts.quotes().filter_map(|quote| quote.member.as_ref()).any(|member| member.id.is_nobody())
}

fn original(entry: &Entry) -> Option<&TransactionKey> {
    let Input::Request(request) = &entry.input else { return None };
    match &request.body {
        Body::Void(original) => Some(original),
        Body::Return(back) => Some(&back.original),
        _ => None,
    }
}

/// Which rules a void or return is worked out with beside those in force when it was made.
pub fn rules_of_the_sale(sale: &Entry) -> Option<&BundleRef> {
    sale.facts.quotes().next().map(|quote| &quote.bundle)
}

/// Works a void or return out again: `bundle` is the one its entry names, `past` the one of the sale, `sale` the sale's
/// entry. `None` if the entry is neither.
pub fn take_back_again(
    bundle: &Arc<Bundle>,
    past: Option<&Arc<Bundle>>,
    entry: &Entry,
    sale: Entry,
) -> Option<Answer> {
    let Input::Request(request) = &entry.input else { return None };
    let (kept, _) = taken_back(entry)?;
    let store = StoreId::new(kept.decision.split('/').next()?).ok()?;
    let mut facts = entry.facts.clone();
    facts.add(Key::Decision(sale.seq), Some(Record::Decision(Box::new(sale))));
    // Nothing that a refund says comes from the secret or the start of the box.
    let identity = Identity { store, epoch: entry.epoch, secret: [0; 32], started: UnixMs(0) };
    let turn = Turn {
        advice: None,
        bundle,
        facts: &facts,
        seq: entry.seq,
        now: entry.at,
        identity: &identity,
        since: entry.at,
        offline_hours: None,
        is_lent: false,
    };
    let decided = match &request.body {
        Body::Void(original) => refund::void(&turn, past, original),
        Body::Return(back) => refund::give_back(&turn, past, back),
        _ => return None,
    };
    // What is remarked is of the box and its moment.
    let as_then = |reply| match reply {
        Reply::Refund(refund) => Reply::Refund(Box::new(Refund { remarks: kept.remarks.clone(), ..*refund })),
        other => other,
    };
    Some(decided.map(|(reply, _)| as_then(reply)))
}
