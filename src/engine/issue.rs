//! What a decision gives out: codes of coupons, and numbers of members.
//!
//! A coupon with a series has codes that people read, out of what head office lent this shop of the series: each serial is
//! taken in the decision that gives it out, and never again, though the sale may come back. Where nothing of it is left the
//! sale goes on without the coupon and says so. Any other coupon, and every one of a shop that has no head office,
//! has a code that nobody can guess. A member is always enrolled: without a number of the series under the form of
//! `membership`.

use std::collections::BTreeMap;

use crate::bundle::Bundle;
use crate::domain::calendar::Day;
use crate::domain::code::Code;
use crate::domain::ids::{CouponCode, CouponId, Epoch, MemberId};
use crate::domain::lease::{Scope, Slices};
use crate::domain::series::Series;

use super::Turn;
use super::decision::{Change, IssuedCode, Key, Record};
use super::input::QuoteBody;
use super::reply::Remark;

/// The series that a sale may take of: what its goods may issue, and what owners of referral codes may get.
pub(super) fn needs(bundle: &Bundle, asked: &QuoteBody, epoch: Epoch) -> Vec<Key> {
    if asked.member.is_none() || !bundle.gives_numbers() {
        return Vec::new();
    }
    let has_codes = asked.basket.coupons.iter().any(|code| bundle.generic(code).is_none());
    let referrals = bundle.coupons().filter_map(|coupon| coupon.referral.as_ref()?.coupon.as_ref());
    let rewards = referrals.filter(|_| has_codes).map(|issue| &issue.coupon);
    let issued = bundle.book.issuing(&asked.basket);
    let coupons = issued.iter().chain(rewards).filter_map(|id| bundle.coupon(id));
    coupons.filter_map(|coupon| Some(key(epoch, coupon.series.as_ref()?))).collect()
}

/// What enrolling reads of numbers.
pub(super) fn needs_of_enrolment(bundle: &Bundle, epoch: Epoch) -> Option<Key> {
    bundle.shop.leases.members.as_ref().map(|series| key(epoch, series))
}

fn key(epoch: Epoch, series: &Series) -> Key {
    Key::Lease(epoch, Scope::Series(series.prefix.clone()))
}

/// What one decision gives out, one after the other.
pub(super) struct Given<'a> {
    turn: &'a Turn<'a>,
    /// How many codes were made that nobody can guess.
    secret: usize,
    taken: BTreeMap<Key, Slices>,
    remarks: Vec<Remark>,
}

impl<'a> Given<'a> {
    pub(super) fn of(turn: &'a Turn<'a>) -> Given<'a> {
        Given { turn, secret: 0, taken: BTreeMap::new(), remarks: Vec::new() }
    }

    /// A coupon, good for so many days, to somebody; nothing if no number of its series is left here.
    pub(super) fn coupon(
        &mut self,
        bundle: &Bundle,
        day: Day,
        (coupon, valid_days, to): (&CouponId, u16, Option<&MemberId>),
    ) -> Option<(CouponCode, IssuedCode)> {
        let series = bundle.coupon(coupon).and_then(|coupon| coupon.series.as_ref());
        let code = match series.filter(|_| self.turn.is_lent) {
            Some(series) => {
                let number = self.number(series, || format!("coupon {coupon} was not issued"))?;
                CouponCode::new(&number).expect("letters and digits are a code")
            }
            None => {
                self.secret += 1;
                self.turn.secret_code(self.secret - 1)
            }
        };
        let last_day = day.plus_days(i64::from(valid_days) + 1);
        let kept = IssuedCode {
            coupon: coupon.clone(),
            member: to.cloned(),
            home: Some(self.turn.identity.store.clone()),
            expires: Some(bundle.shop.time_zone.start_of(last_day).plus_ms(-1)),
            listed: None,
            moved: 0,
        };
        Some((code, kept))
    }

    /// A member's number, where members are numbered and one is left here.
    pub(super) fn member(&mut self) -> Option<MemberId> {
        let series = self.turn.bundle.shop.leases.members.as_ref().filter(|_| self.turn.is_lent)?;
        let number = self.number(series, || "the member's id is the shop's own".to_owned())?;
        Some(MemberId::new(&number).expect("letters and digits are a member id"))
    }

    fn number(&mut self, series: &Series, without: impl FnOnce() -> String) -> Option<String> {
        let (epoch, now) = (self.turn.identity.epoch, self.turn.now);
        let held = || self.turn.facts.slices(epoch, &Scope::Series(series.prefix.clone()));
        let serial = self.taken.entry(key(epoch, series)).or_insert_with(held).take(now);
        if serial.is_none() {
            let detail = format!("{}: no number of {} is left here", without(), series.prefix);
            self.remarks.push(Remark::new(Code::SeriesEmpty, detail));
        }
        serial.map(|serial| series.number(serial))
    }

    /// What is left of each series that something was taken of, and what was not given out.
    pub(super) fn done(self) -> (Vec<Change>, Vec<Remark>) {
        let facts = self.turn.facts;
        let is_new = |key: &Key, slices: &Slices| match key {
            Key::Lease(epoch, scope) => facts.slices(*epoch, scope) != *slices,
            _ => false,
        };
        let changed = self.taken.into_iter().filter(|(key, slices)| is_new(key, slices));
        (changed.map(|(key, slices)| Change::put(key, Record::Slices(slices))).collect(), self.remarks)
    }
}
