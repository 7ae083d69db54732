//! Codes that are presented: whose they are, what they give a right to, under which name they are used up.
//!
//! Four kinds: everybody's (`generic`, used as often as limits allow), issued ones (used once, some only by their owner),
//! members' own to hand on (`referral`), and partners' vouchers (signed, used once at this shop; `bundle::voucher`). What is used once is held by open quotes and redeemed
//! under `used_as`, so that a voucher cannot be spent twice under two texts.
//!
//! Order of checks, first hit answers: known or honoured here · not used before · its owner's · redeemable in this shop · not
//! held by another quote · in time. Of two codes of one basket that are the same right, the second is used already.

use std::collections::BTreeSet;

use crate::bundle::Bundle;
use crate::bundle::active::VoucherFault;
use crate::bundle::voucher::{Gives, is_voucher, used_as};
use crate::domain::calendar::UnixMs;
use crate::domain::code::Code;
use crate::domain::ids::{CouponCode, MemberId, PromotionId};
use crate::domain::member::{Member, Usage};
use crate::pricing::outcome::Reason;
use crate::pricing::{PresentedCode, Right};

use super::decision::{Facts, Key, Quote, UsageOf};
use super::input::QuoteBody;
use super::quotes::OpenQuotes;
use super::referral::{self, Presented};
use super::reply::Refusal;
use super::{Turn, leases};

/// What looking up the codes of a basket reads.
pub(super) fn needs(bundle: &Bundle, asked: &QuoteBody, facts: &Facts) -> Vec<Key> {
    let mut keys = Vec::new();
    for code in &asked.basket.coupons {
        match bundle.generic(code) {
            Some(coupon) => keys.push(Key::Usage(UsageOf::Code(code.clone()), coupon.promotion.clone())),
            None if is_voucher(code) => keys.push(Key::Redeemed(used_as(code))),
            None => {
                keys.extend([Key::Code(code.clone()), Key::Redeemed(code.clone())]);
                keys.extend(referral::needs(bundle, code, facts));
            }
        }
    }
    keys
}

/// One sale's codes looked up.
pub(super) struct LookUp<'a> {
    pub(super) turn: &'a Turn<'a>,
    pub(super) bundle: &'a Bundle,
    pub(super) quotes: &'a OpenQuotes,
    pub(super) member: Option<&'a Member>,
    pub(super) at: UnixMs,
}

impl LookUp<'_> {
    /// What each code gives a right to, or why not.
    pub(super) fn presented(&self, codes: &[CouponCode]) -> Vec<PresentedCode> {
        let mut seen = BTreeSet::new();
        let presented = codes.iter().map(|code| {
            let is_first = seen.insert(used_as(code));
            let right = if is_first { self.right(code) } else { Err(Reason::CodeUsed) };
            let used = right.as_ref().ok().and_then(Right::promotion).map(|id| self.used(code, id));
            PresentedCode { code: code.clone(), right, used: used.unwrap_or_default() }
        });
        let mut presented: Vec<PresentedCode> = presented.collect();
        referral::first_only(self.turn.facts, self.bundle, &mut presented);
        presented
    }

    fn right(&self, code: &CouponCode) -> Result<Right, Reason> {
        let Some(coupon) = self.bundle.generic(code) else {
            return if is_voucher(code) { self.voucher(code) } else { self.issued(code) };
        };
        match coupon.schedule.closed(&self.bundle.shop.time_zone, self.at) {
            Some(reason) => Err(reason),
            None => Ok(coupon.promotion.clone().into()),
        }
    }

    fn voucher(&self, code: &CouponCode) -> Result<Right, Reason> {
        let today = self.bundle.shop.time_zone.civil(self.at).day;
        let gives = self.bundle.honours(code, today).map_err(|fault| match fault {
            VoucherFault::Malformed => Reason::VoucherMalformed,
            VoucherFault::KeyUnknown => Reason::VoucherKeyUnknown,
            VoucherFault::SignatureBad => Reason::VoucherSignatureBad,
            VoucherFault::NotAllowed => Reason::VoucherNotAllowed,
            VoucherFault::Expired => Reason::Expired,
        })?;
        let name = used_as(code);
        if self.turn.facts.redeemed(&name).is_some() {
            return Err(Reason::CodeUsed);
        }
        if self.quotes.holding_code(&name) > 0 {
            return Err(Reason::CodeHeld);
        }
        Ok(match gives {
            Gives::Promotion(promotion) => Right::Promotion(promotion),
            Gives::Value(value) => Right::Value(value),
        })
    }

    fn issued(&self, code: &CouponCode) -> Result<Right, Reason> {
        let issued = self.turn.facts.code(code).ok_or(Reason::CodeUnknown)?;
        let coupon = self.bundle.coupon(&issued.coupon).ok_or(Reason::CodeUnknown)?;
        if let Some(rule) = &coupon.referral {
            let by = Presented { member: self.member, store: &self.turn.identity.store, at: self.at };
            let refused = referral::refused(self.turn.facts, (issued, rule), &by);
            let closed = || coupon.schedule.closed(&self.bundle.shop.time_zone, self.at);
            return refused.or_else(closed).map_or_else(|| Ok(coupon.promotion.clone().into()), Err);
        }
        if self.turn.facts.redeemed(code).is_some() {
            return Err(Reason::CodeUsed);
        }
        let is_owner = |owner: &MemberId| self.member.is_some_and(|member| member.id == *owner);
        if !issued.member.as_ref().is_none_or(is_owner) {
            return Err(Reason::CodeNotYours);
        }
        if leases::is_away(self.turn, issued) && !self.turn.is_lent {
            return Err(Reason::CodeElsewhere);
        }
        if self.quotes.holding_code(code) > 0 {
            return Err(Reason::CodeHeld);
        }
        if issued.expires.is_some_and(|expires| self.at > expires) {
            return Err(Reason::Expired);
        }
        match coupon.schedule.closed(&self.bundle.shop.time_zone, self.at) {
            Some(reason) => Err(reason),
            None => Ok(coupon.promotion.clone().into()),
        }
    }

    /// How a code was used so far, open quotes counted.
    fn used(&self, code: &CouponCode, promotion: &PromotionId) -> Usage {
        let mut usage = self.turn.facts.usage(UsageOf::Code(code.clone()), promotion);
        usage.uses += self.quotes.holding_code(&used_as(code));
        usage
    }
}

/// The codes of a quote that do something: set off what applied, or pay.
pub(super) fn effective(quote: &Quote) -> impl Iterator<Item = &CouponCode> {
    let set_off = quote.priced.applied.iter().filter_map(|applied| applied.coupon.as_ref());
    let vouchers = quote.codes.iter().filter(|code| matches!(code.right, Ok(Right::Value(_))));
    let cards = &quote.priced.gift_cards;
    let pays = |code: &CouponCode| cards.iter().any(|card| card.code == *code && card.used.is_positive());
    set_off.chain(vouchers.map(|presented| &presented.code).filter(move |code| pays(code)))
}

/// Those of them that are used up with the sale.
pub(super) fn burned<'a>(
    turn: &'a Turn<'_>,
    bundle: &'a Bundle,
    quote: &'a Quote,
) -> impl Iterator<Item = &'a CouponCode> {
    let is_once = |code: &CouponCode| {
        turn.facts.code(code).is_some() && referral::of_code(bundle, code, turn.facts).is_none()
    };
    effective(quote).filter(move |code| is_voucher(code) || is_once(code))
}

/// Is a code that a sale has used up still in time, so that it is good again when the sale has come back?
pub(super) fn is_in_time(turn: &Turn<'_>, code: &CouponCode) -> bool {
    if is_voucher(code) {
        let today = turn.bundle.shop.time_zone.civil(turn.now).day;
        return turn.bundle.honours(code, today).is_ok();
    }
    turn.facts.code(code).is_some_and(|code| code.expires.is_none_or(|expires| expires >= turn.now))
}

/// Are the codes still free when the quote becomes a sale?
///
/// # Errors
/// One was redeemed by another sale.
pub(super) fn check_still_free(turn: &Turn<'_>, quote: &Quote) -> Result<(), Refusal> {
    for code in effective(quote) {
        if turn.facts.redeemed(&used_as(code)).is_some() {
            let detail = format!("{code} was redeemed by another sale");
            return Err(Refusal::new(Code::CodeUsedMeanwhile, detail));
        }
    }
    Ok(())
}

/// Is this still the home of the codes that it was the home of when the quote was made?
///
/// # Errors
/// Head office has moved one to another shop since.
pub(super) fn check_still_home(turn: &Turn<'_>, bundle: &Bundle, quote: &Quote) -> Result<(), Refusal> {
    let risked = quote.lent.as_ref().and_then(|lent| lent.away.as_ref()).map(|(code, _)| code);
    let has_left = |code: &&CouponCode| {
        Some(*code) != risked && turn.facts.code(code).is_some_and(|issued| leases::is_away(turn, issued))
    };
    match burned(turn, bundle, quote).find(has_left) {
        Some(code) => {
            let detail = format!("{code} is another shop's since the quote was made");
            Err(Refusal::new(Code::CodeMovedMeanwhile, detail))
        }
        None => Ok(()),
    }
}
