//! Leases: slices of limited things that head office lends to one life of one shop's box.
//!
//! A slice is lent for a scope (a chain-wide limit of a promotion, a member's points, a budget for risk) and is spent only in
//! the decisions of the box it was lent to, in the same commit as the sale. Head office says `Word`s, numbered without gaps
//! for each (epoch, incarnation); each is taken once, in order, and becomes a decision of the shop. What the shop then
//! holds stands in that decision's changes, so head office learns it by reading the journal: there is no second protocol
//! that could disagree with the first.
//!
//! Invariants (I1-I4 of the design):
//! - `used <= amount` of every slice, and `used` moves only while the slice is open.
//! - Expiry forbids new spending and nothing else: an expired slice still counts as lent. Only its seal gives back the rest.
//! - After its seal a slice never changes; `used` is then its final figure.

use serde::{Deserialize, Serialize};

use super::calendar::UnixMs;
use super::ids::{CouponCode, CouponId, Epoch, MemberId, Prefix, PromotionId, StoreId};
use crate::limits;

/// What is limited. Amounts are in the unit of the scope.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Scope {
    /// Sales in which a promotion may be applied, in the whole chain.
    Uses(PromotionId),
    /// Units that may receive it (限时抢购).
    Units(PromotionId),
    /// Money it may take off, in minor units: a campaign's budget.
    Money(PromotionId),
    /// Points it may give.
    Points(PromotionId),
    /// Points of one member that may be spent here.
    Pocket(MemberId),
    /// Points that members may spend here beyond their pockets.
    Overdraft,
    /// Money off, in minor units, for single-use codes whose home is another shop.
    Risk,
    /// Numbers of a series: codes of a coupon, or numbers of members. Its slices are ranges.
    Series(Prefix),
}

impl Scope {
    /// Of which series it is a part.
    pub fn series(&self) -> Option<&Prefix> {
        match self {
            Scope::Series(prefix) => Some(prefix),
            _ => None,
        }
    }

    /// Whose points these are.
    pub fn pocket(&self) -> Option<&MemberId> {
        match self {
            Scope::Pocket(member) => Some(member),
            _ => None,
        }
    }
}

/// Names a slice: the word that lent it.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
pub struct LeaseId {
    /// The life of head office's data in which it was lent.
    pub incarnation: u64,
    /// The word's number, from 1.
    pub number: u64,
}

/// What head office says to one life of one box.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Word {
    /// Its place: incarnation and number. The next one taken is the next number, or 1 of a newer incarnation.
    pub id: LeaseId,
    /// To which life of the box.
    pub epoch: Epoch,
    /// What is said.
    pub say: Say,
}

/// The kinds of words.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Say {
    /// A new life of head office's data begins to speak: nothing an older one said is taken from here on, and all that was
    /// taken stands before this in the journal.
    Greet,
    /// Here is a slice, named by this word.
    Grant {
        /// Of what.
        scope: Scope,
        /// How much, more than nothing.
        amount: i64,
        /// Last moment it may be spent, by the box's clock.
        expires: UnixMs,
        /// Of a series: the first serial lent, from 1.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        first: Option<i64>,
    },
    /// An open slice is larger from now on, and good for longer.
    TopUp {
        /// Of what.
        scope: Scope,
        /// Which slice.
        lease: LeaseId,
        /// How much more; nothing to prolong it only.
        more: i64,
        /// Last moment it may be spent from now on.
        expires: UnixMs,
    },
    /// Nothing more may be spent of it: say its final figure.
    Seal {
        /// Of what.
        scope: Scope,
        /// Which slice.
        lease: LeaseId,
    },
    /// A single-use code is to have another home: it is not redeemed here from now on, unless it was before.
    Release {
        /// Which.
        code: CouponCode,
        /// Where its home is then.
        to: StoreId,
        /// The how-manieth move of this code head office takes it to be, from 1.
        nth: u32,
    },
    /// A single-use code has its home here: its old one's journal shows that it was given up and not redeemed.
    Adopt {
        /// Which.
        code: CouponCode,
        /// Of which coupon.
        coupon: CouponId,
        /// Whose, where it is personal.
        member: Option<MemberId>,
        /// Last moment it is good, where it has one.
        expires: Option<UnixMs>,
        /// The how-manieth move of this code it is, as its old home counts.
        nth: u32,
    },
}

impl Say {
    /// Of what it speaks, if of anything.
    pub fn scope(&self) -> Option<&Scope> {
        match self {
            Say::Greet | Say::Release { .. } | Say::Adopt { .. } => None,
            Say::Grant { scope, .. } | Say::TopUp { scope, .. } | Say::Seal { scope, .. } => Some(scope),
        }
    }

    /// How much more it lends.
    pub fn lends(&self) -> i64 {
        match self {
            Say::Grant { amount: more, .. } | Say::TopUp { more, .. } => (*more).max(0),
            Say::Greet | Say::Seal { .. } | Say::Release { .. } | Say::Adopt { .. } => 0,
        }
    }
}

/// What a box would like to hold of something: told to head office whenever the line is up, in place of what it said before.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Want {
    /// Of what.
    pub scope: Scope,
    /// What it may still spend.
    pub left: i64,
    /// What it expects to spend while the line may be away.
    pub need: i64,
}

/// How far a box has listened.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Heard {
    /// The last word taken.
    pub last: LeaseId,
}

impl Heard {
    /// Is this the word to be taken next?
    pub fn is_next(&self, word: LeaseId) -> bool {
        let follows = word.incarnation == self.last.incarnation && word.number == self.last.number + 1;
        follows || (word.incarnation > self.last.incarnation && word.number == 1)
    }
}

/// One slice as its box holds it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Slice {
    /// Which.
    pub lease: LeaseId,
    /// Lent.
    pub amount: i64,
    /// Spent.
    pub used: i64,
    /// Last moment it may be spent.
    pub expires: UnixMs,
    /// `used` is final.
    pub sealed: bool,
    /// Of a series: the first serial lent. So many from there on as `amount` says are this box's, and `used` of them are
    /// given out.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub first: Option<i64>,
}

/// The slices of one scope that a box holds, oldest first. A sealed one is told by the decision that sealed it and
/// leaves with the next.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(transparent)]
pub struct Slices(pub Vec<Slice>);

impl Slices {
    /// What may be spent at this moment.
    pub fn left(&self, now: UnixMs) -> i64 {
        self.0.iter().map(|slice| slice.left(now)).sum()
    }

    /// Spends `amount`, soonest to expire first; what is beyond the slices is returned and stands nowhere.
    #[must_use = "what the slices do not cover has to be refused or covered otherwise"]
    pub fn spend(&mut self, amount: i64, now: UnixMs) -> i64 {
        let mut order: Vec<usize> = (0..self.0.len()).collect();
        order.sort_by_key(|at| (self.0[*at].expires, self.0[*at].lease));
        let mut rest = amount;
        for at in order {
            let part = rest.min(self.0[at].left(now));
            self.0[at].used += part;
            rest -= part;
        }
        rest
    }

    /// The next serial of a series, which nobody else has and nobody gets again; nothing if none is left here.
    pub fn take(&mut self, now: UnixMs) -> Option<i64> {
        let open = self.0.iter_mut().filter(|slice| slice.left(now) > 0);
        let slice = open.min_by_key(|slice| (slice.expires, slice.lease))?;
        let serial = slice.first?.checked_add(slice.used)?;
        slice.used += 1;
        Some(serial)
    }

    /// Takes a use back, latest lent first, into slices that are open, expired ones too: what they were not asked to give
    /// goes back to head office with their seal. Returns what no open slice had given.
    pub fn give_back(&mut self, amount: i64) -> i64 {
        let mut rest = amount;
        for slice in self.0.iter_mut().rev().filter(|slice| !slice.sealed) {
            let part = rest.min(slice.used);
            slice.used -= part;
            rest -= part;
        }
        rest
    }

    /// What a word makes of them. A word that cannot be followed leaves a sealed, unused slice of its grant, or nothing: head
    /// office reads either way what is held.
    pub fn follow(&mut self, word: LeaseId, say: &Say) {
        self.0.retain(|slice| !slice.sealed);
        match say {
            Say::Greet | Say::Release { .. } | Say::Adopt { .. } => {}
            Say::Grant { scope, amount, expires, first } => {
                let is_range = first.is_some_and(|first| first > 0 && first.checked_add(*amount).is_some());
                let misses = scope.series().is_some() != is_range;
                let sealed = *amount <= 0 || self.0.len() >= limits::LEASE_SLICES_MAX || misses;
                let amount = if sealed { 0 } else { *amount };
                self.0.push(Slice { lease: word, amount, used: 0, expires: *expires, sealed, first: *first });
            }
            Say::TopUp { lease, more, expires, .. } => {
                if let Some(slice) = self.0.iter_mut().find(|slice| slice.lease == *lease) {
                    // What stands behind a range may be another shop's.
                    let more = if slice.first.is_none() { (*more).max(0) } else { 0 };
                    slice.amount = slice.amount.saturating_add(more);
                    slice.expires = slice.expires.max(*expires);
                }
            }
            Say::Seal { lease, .. } => {
                if let Some(slice) = self.0.iter_mut().find(|slice| slice.lease == *lease) {
                    slice.sealed = true;
                }
            }
        }
    }
}

impl Slice {
    fn left(&self, now: UnixMs) -> i64 {
        if self.sealed || now > self.expires { 0 } else { (self.amount - self.used).max(0) }
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn id(number: u64) -> LeaseId {
        LeaseId { incarnation: 1, number }
    }

    fn grant(slices: &mut Slices, number: u64, amount: i64, expires: i64) {
        let say = Say::Grant { scope: Scope::Risk, amount, expires: UnixMs(expires), first: None };
        slices.follow(id(number), &say);
    }

    #[test]
    fn what_may_be_spent_and_what_comes_back() {
        let mut slices = Slices::default();
        grant(&mut slices, 1, 10, 2_000);
        grant(&mut slices, 2, 5, 1_000);
        assert_eq!(
            (slices.left(UnixMs(0)), slices.left(UnixMs(1_500)), slices.left(UnixMs(3_000))),
            (15, 10, 0)
        );
        assert_eq!(slices.spend(7, UnixMs(0)), 0, "soonest to expire first");
        assert_eq!((slices.0[0].used, slices.0[1].used), (2, 5));
        assert_eq!(slices.spend(20, UnixMs(1_500)), 12);
        assert_eq!(slices.give_back(6), 0);
        assert_eq!((slices.0[0].used, slices.0[1].used), (9, 0));
        slices.follow(id(3), &Say::Seal { scope: Scope::Risk, lease: id(1) });
        assert_eq!(slices.give_back(9), 9, "a sealed figure is final");
        assert_eq!(slices.0[0].used, 9);
        slices
            .follow(id(4), &Say::TopUp { scope: Scope::Risk, lease: id(2), more: 3, expires: UnixMs(9_000) });
        assert_eq!(
            (slices.0.len(), slices.left(UnixMs(8_000))),
            (1, 8),
            "the sealed one was told and has left"
        );
    }

    #[test]
    fn which_word_is_taken() {
        let heard = Heard { last: LeaseId { incarnation: 2, number: 7 } };
        let word = |incarnation, number| heard.is_next(LeaseId { incarnation, number });
        assert!(word(2, 8) && word(3, 1) && word(9, 1));
        assert!(!word(2, 7) && !word(2, 9) && !word(1, 8) && !word(3, 2));
    }

    #[test]
    fn is_a_slice_too_many_declined() {
        let mut slices = Slices::default();
        for number in 1..=limits::LEASE_SLICES_MAX as u64 {
            grant(&mut slices, number, 1, 1_000);
        }
        grant(&mut slices, 99, 5, 1_000);
        assert_eq!(slices.left(UnixMs(0)), limits::LEASE_SLICES_MAX as i64);
        assert!(slices.0.last().is_some_and(|slice| slice.sealed && slice.amount == 0 && slice.used == 0));
    }

    #[test]
    fn is_a_serial_given_out_twice_or_beyond_what_was_lent() {
        let scope = || Scope::Series(Prefix::new("NX").expect("a prefix"));
        let say =
            |first, amount, expires| Say::Grant { scope: scope(), amount, expires: UnixMs(expires), first };
        let mut slices = Slices::default();
        for (number, said) in (1..).zip([say(Some(11), 3, 2_000), say(Some(31), 2, 1_000)]) {
            slices.follow(id(number), &said);
        }
        slices.follow(id(3), &Say::TopUp { scope: scope(), lease: id(1), more: 9, expires: UnixMs(3_000) });
        let taken: Vec<Option<i64>> = (0..6).map(|_| slices.take(UnixMs(0))).collect();
        assert_eq!(taken, [Some(31), Some(32), Some(11), Some(12), Some(13), None], "a range never grows");
        slices.follow(id(4), &say(Some(41), 2, 1_000));
        assert_eq!((slices.take(UnixMs(1_001)), slices.take(UnixMs(1_000))), (None, Some(41)), "expired");
        for bad in [say(None, 2, 9_000), say(Some(0), 2, 9_000), say(Some(i64::MAX), 2, 9_000)] {
            let mut slices = Slices::default();
            slices.follow(id(1), &bad);
            assert_eq!(slices.take(UnixMs(0)), None, "{bad:?}");
        }
    }

    #[derive(Clone, Debug)]
    enum Event {
        Spend(i64),
        GiveBack(i64),
        Hear(Say),
        Wait(i64),
    }

    /// Anything that head office, tills and clocks may do, in any order, with figures beyond all reason among them.
    fn event() -> impl Strategy<Value = Event> {
        let much = prop_oneof![6 => 0..50_i64, 1 => Just(i64::MAX), 1 => Just(i64::MIN), 1 => -50..0_i64];
        let spent = prop_oneof![6 => 0..50_i64, 1 => Just(i64::MAX)];
        let lease = (0..9_u64).prop_map(id);
        let time = prop_oneof![6 => (-2_000..4_000_i64).prop_map(UnixMs), 1 => any::<i64>().prop_map(UnixMs)];
        let scope = Scope::Risk;
        prop_oneof![
            4 => spent.clone().prop_map(Event::Spend),
            2 => spent.prop_map(Event::GiveBack),
            1 => (-3_000..3_000_i64).prop_map(Event::Wait),
            1 => Just(Event::Hear(Say::Greet)),
            3 => (much.clone(), time.clone()).prop_map({
                let scope = scope.clone();
                move |(amount, expires)| Event::Hear(Say::Grant { scope: scope.clone(), amount, expires, first: None })
            }),
            2 => (lease.clone(), much, time).prop_map({
                let scope = scope.clone();
                move |(lease, more, expires)| {
                    Event::Hear(Say::TopUp { scope: scope.clone(), lease, more, expires })
                }
            }),
            2 => lease.prop_map(move |lease| Event::Hear(Say::Seal { scope: scope.clone(), lease })),
        ]
    }

    proptest! {
        #[test]
        fn is_more_spent_than_lent_or_a_final_figure_changed(events in prop::collection::vec(event(), 0..60)) {
            let (mut slices, mut word, mut now) = (Slices::default(), 0, UnixMs(0));
            for event in events {
                let before = slices.clone();
                let used = |slices: &Slices| slices.0.iter().map(|slice| i128::from(slice.used)).sum::<i128>();
                match event {
                    Event::Spend(amount) => {
                        let rest = slices.spend(amount, now);
                        prop_assert!((0..=amount).contains(&rest));
                        prop_assert_eq!(used(&slices) - used(&before), i128::from(amount) - i128::from(rest));
                        let was_open = |slice: &Slice| !slice.sealed && now <= slice.expires;
                        for (was, is) in before.0.iter().zip(&slices.0) {
                            prop_assert!(was.used == is.used || was_open(was), "{:?} {:?}", was, is);
                        }
                    }
                    Event::GiveBack(amount) => {
                        let rest = slices.give_back(amount);
                        prop_assert!((0..=amount).contains(&rest));
                        prop_assert_eq!(used(&before) - used(&slices), i128::from(amount) - i128::from(rest));
                    }
                    Event::Hear(say) => {
                        word += 1;
                        slices.follow(id(word), &say);
                    }
                    Event::Wait(ms) => now = now.plus_ms(ms),
                }
                prop_assert!(slices.0.len() <= limits::LEASE_SLICES_MAX + 1);
                for slice in &slices.0 {
                    prop_assert!((0..=slice.amount).contains(&slice.used), "{:?}", slice);
                }
                for was in &before.0 {
                    match slices.0.iter().find(|is| is.lease == was.lease) {
                        Some(is) if was.sealed => prop_assert_eq!(is, was, "a sealed figure is final"),
                        Some(is) => prop_assert!(is.amount >= was.amount, "what was lent is not taken away"),
                        None => prop_assert!(was.sealed, "an open slice stays: {:?}", was),
                    }
                }
            }
        }
    }
}
