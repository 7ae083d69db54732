//! What is withheld while the disk is low, full or read-only: everything limited. Selling goes on.
//!
//! A request that asks for something scarce by name (a single-use code, points, a reward against points) gets 503 AIS-5016 and
//! is not remembered: without it, or later, it is answered. Offers with limits of the shop, a device or a code do not apply: their
//! limits read as used up, in what the decision read, so that a replay sees the same. A quote given before is honoured, and a
//! sale rung up while the daemon was away is taken as it was charged: both are spent already, in good faith. Limits per member stand
//! in the member's own ledger and are kept as always.

use crate::bundle::Bundle;
use crate::domain::calendar::UnixMs;
use crate::domain::code::Code;
use crate::domain::member::{Usage, Used};
use crate::domain::money::Money;
use crate::engine::decision::{Key, Record};
use crate::engine::input::{Body, Input, QuoteBody, Sold};
use crate::engine::reply::Refusal;
use crate::limits;

/// The basket that a request prices anew.
fn priced_anew(body: &Body) -> Option<&QuoteBody> {
    match body {
        Body::Quote { asked, .. } => Some(asked),
        Body::Commit(commit) if commit.charged.is_none() => match &commit.sold {
            Sold::Basket(asked) => Some(asked),
            Sold::Quote(_) => None,
        },
        _ => None,
    }
}

/// The refusal of a request that asks for something scarce by name.
pub(super) fn asks_for_scarce(body: &Body, bundle: Option<&Bundle>) -> Option<Refusal> {
    let basket = &priced_anew(body)?.basket;
    let is_single_use = |code| bundle.is_none_or(|bundle| bundle.generic(code).is_none());
    let what = if let Some(code) = basket.coupons.iter().find(|code| is_single_use(*code)) {
        format!("the single-use code {code} cannot be redeemed now")
    } else if basket.points.is_some() || !basket.claims.is_empty() {
        "points cannot be spent now".to_owned()
    } else {
        return None;
    };
    Some(Refusal::later(Code::Degraded, format!("{what}; sell without it"), limits::DEGRADED_RETRY_MS))
}

/// Does deciding this input read limits as used up?
pub(super) fn withholds_limits(input: &Input) -> bool {
    matches!(input, Input::Request(request) if priced_anew(&request.body).is_some())
}

/// What a limit's record reads as: used up, today and ever. Anything else reads as it stands.
pub(super) fn withheld(
    key: &Key,
    record: Option<Record>,
    bundle: Option<&Bundle>,
    now: UnixMs,
) -> Option<Record> {
    let (Key::Usage(..), Some(bundle)) = (key, bundle) else { return record };
    let much =
        Used { uses: u32::MAX / 4, units: u32::MAX / 4, money: Money(i64::MAX / 4), points: i64::MAX / 4 };
    let mut usage = Usage::default();
    usage.count(bundle.shop.time_zone.civil(now).day.number(), much);
    Some(Record::Usage(usage))
}
