//! Referral codes: a member's own code, which only others may use; both sides gain.
//!
//! The code is an issued one (`codes.json`, or a coupon for the next visit) of a coupon with `referral`; its owner is the
//! member it was issued to. Whoever presents it gets the coupon's promotion, the owner what `referral` says once the sale
//! stands, and gives it back when the whole sale comes back. How often one code serves is a limit of scope `code`.
//!
//! Order of checks, first hit answers: it has an owner · redeemable in this shop · in time · presented by a known member ·
//! not the owner, nor anybody head office knows to be of the owner's household · new, where it is for new members.
//! A phone or card shown is its member (`Key::Token`), so the owner's own second card is the owner.

use crate::bundle::Bundle;
use crate::bundle::document::Referral;
use crate::domain::calendar::UnixMs;
use crate::domain::code::Code;
use crate::domain::ids::{CouponCode, MemberId, Seq, StoreId};
use crate::domain::member::{HeldCoupon, Member};
use crate::domain::receipt::Referred;
use crate::pricing::outcome::Reason;
use crate::pricing::{PresentedCode, Right};

use super::Turn;
use super::codes::effective;
use super::decision::{Change, Facts, IssuedCode, Key, Quote, Record, UsageOf};
use super::issue::Given;
use super::reply::Refusal;
use super::sale::keep_newest;

/// What a referral code that was found reads further: its owner, and how often it served.
pub(super) fn needs(bundle: &Bundle, code: &CouponCode, facts: &Facts) -> Vec<Key> {
    let Some((issued, _)) = of_code(bundle, code, facts) else { return Vec::new() };
    let promotion = bundle.coupon(&issued.coupon).map(|coupon| coupon.promotion.clone());
    let used = promotion.map(|promotion| Key::Usage(UsageOf::Code(code.clone()), promotion));
    let owner = issued.member.iter().flat_map(|id| [Key::Member(id.clone()), Key::Ledger(id.clone())]);
    used.into_iter().chain(owner).collect()
}

/// A code of a coupon with `referral`.
pub(super) fn of_code<'a>(
    bundle: &'a Bundle,
    code: &CouponCode,
    facts: &'a Facts,
) -> Option<(&'a IssuedCode, &'a Referral)> {
    let issued = facts.code(code)?;
    Some((issued, bundle.coupon(&issued.coupon)?.referral.as_ref()?))
}

/// Who presents a referral code, where and when.
pub(super) struct Presented<'a> {
    pub(super) member: Option<&'a Member>,
    pub(super) store: &'a StoreId,
    pub(super) at: UnixMs,
}

/// Why nobody may use it so; nothing if they may.
pub(super) fn refused(
    facts: &Facts,
    (issued, referral): (&IssuedCode, &Referral),
    by: &Presented<'_>,
) -> Option<Reason> {
    let owner = issued.member.as_ref().filter(|id| facts.known(id).is_some_and(|known| !known.withdrawn));
    let Some(owner) = owner else { return Some(Reason::CodeUnknown) };
    if issued.home.as_ref().is_some_and(|home| home != by.store) {
        return Some(Reason::CodeElsewhere);
    }
    if issued.expires.is_some_and(|expires| by.at > expires) {
        return Some(Reason::Expired);
    }
    let Some(member) = by.member else { return Some(Reason::NoMember) };
    let household = facts.known(owner).and_then(|known| known.profile.household.as_ref());
    if member.id == *owner || (household.is_some() && household == member.profile.household.as_ref()) {
        return Some(Reason::ReferralOwn);
    }
    (referral.new_only && member.orders() > 0).then_some(Reason::ReferralNotNew)
}

/// The referral code that a quote uses.
fn used<'a>(
    turn: &'a Turn<'_>,
    bundle: &'a Bundle,
    quote: &'a Quote,
) -> Option<(&'a CouponCode, &'a IssuedCode, &'a Referral)> {
    effective(quote)
        .find_map(|code| of_code(bundle, code, turn.facts).map(|(issued, rule)| (code, issued, rule)))
}

/// Is the shopper still new when the quote becomes a sale?
///
/// # Errors
/// They have bought since.
pub(super) fn check_still_new(turn: &Turn<'_>, bundle: &Bundle, quote: &Quote) -> Result<(), Refusal> {
    let Some((code, _, referral)) = used(turn, bundle, quote) else { return Ok(()) };
    let member = quote.member.as_ref().and_then(|member| turn.facts.member(&member.id));
    if referral.new_only && member.is_none_or(|member| member.orders() > 0) {
        let detail = format!("{code} is for new members, and this one has bought since the quote");
        return Err(Refusal::new(Code::CodeUsedMeanwhile, detail));
    }
    Ok(())
}

/// What the owner of the code gets for a sale, behind what the sale itself gives out.
pub(super) fn reward(
    turn: &Turn<'_>,
    bundle: &Bundle,
    quote: &Quote,
    given: &mut Given<'_>,
) -> Option<(Referred, Vec<Change>)> {
    let (_, owned, referral) = used(turn, bundle, quote)?;
    let owner = turn.facts.member(owned.member.as_ref()?)?;
    let mut ledger = owner.ledger;
    ledger.points.book(turn.seq, i64::from(referral.points));
    let mut changes = Vec::new();
    let coupon = referral.coupon.as_ref().and_then(|coupon| {
        let promotion = bundle.coupon(&coupon.coupon)?.promotion.clone();
        let what = (&coupon.coupon, coupon.valid_days, Some(&owner.id));
        let (code, kept) = given.coupon(bundle, quote.day, what)?;
        let expires = kept.expires.unwrap_or(turn.now);
        ledger.coupons.push(HeldCoupon { code: code.clone(), promotion, expires });
        keep_newest(&mut ledger.coupons);
        changes.push(Change::put(Key::Code(code.clone()), Record::Code(kept)));
        Some(code)
    });
    changes.push(Change::put(Key::Ledger(owner.id.clone()), Record::Ledger(Box::new(ledger))));
    Some((Referred { owner: owner.id, points: i64::from(referral.points), coupon }, changes))
}

/// What taking a sale back reads of whom it rewarded.
pub(super) fn needs_of_return(referred: &Referred) -> Vec<Key> {
    let owner: &MemberId = &referred.owner;
    vec![Key::Member(owner.clone()), Key::Ledger(owner.clone())]
}

/// The reward taken back, because the whole sale came back.
pub(super) fn take_back(facts: &Facts, seq: Seq, referred: &Referred) -> Vec<Change> {
    let withdrawn = referred.coupon.iter().map(|code| Change { key: Key::Code(code.clone()), record: None });
    let mut changes: Vec<Change> = withdrawn.collect();
    if let Some(owner) = facts.member(&referred.owner) {
        let mut ledger = owner.ledger;
        ledger.points.book(seq, -referred.points);
        ledger.coupons.retain(|held| Some(&held.code) != referred.coupon.as_ref());
        changes.push(Change::put(Key::Ledger(owner.id), Record::Ledger(Box::new(ledger))));
    }
    changes
}

/// Of several referral codes in one basket the first serves.
pub(super) fn first_only(facts: &Facts, bundle: &Bundle, presented: &mut [PresentedCode]) {
    let is_referral = |code: &CouponCode| of_code(bundle, code, facts).is_some();
    let good = presented.iter_mut().filter(|one| matches!(one.right, Ok(Right::Promotion(_))));
    for second in good.filter(|one| is_referral(&one.code)).skip(1) {
        second.right = Err(Reason::ReferralNotNew);
    }
}
