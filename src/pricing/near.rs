//! The smallest additions that would pay, each checked against the whole basket with it.
//!
//! Looked at are promotions that miss units or money, and applied ones one step below their next; the closest few (by
//! what the addition costs) are tried. Missing money is tried as a made-up unit of exactly the set that misses it;
//! missing units as more of the cheapest article of the set that is in the basket, or, if there is none, of the
//! cheapest the set names. Where `best` left what it found (`best::Again`), the search goes on from there and finds a
//! combination that stands; elsewhere the whole basket is priced again. So a gain may be more than is told, not less. An
//! addition is reported only if the promotion then gives more and the shopper gains: `gain` is how much more the whole
//! basket gets off, gifts at their shelf value included. What gives points or coupons only is not looked at.

use crate::domain::money::Money;
use crate::limits;

use super::answer::resolve;
use super::benefits::{Given, Proposal};
use super::best::{After, Again};
use super::book::Phase;
use super::explain::Why;
use super::model::Benefit;
use super::outcome::{Addition, Near};
use super::resolution::{Resolved, Sitting};
use super::sets::{Set, UNKNOWN};
use super::units::{self, Good};

#[derive(Clone)]
struct Step<'a> {
    candidate: usize,
    good: Good<'a>,
    add: Addition,
    cost: Money,
}

impl Step<'_> {
    fn adds_the_same(&self, other: &Step<'_>) -> bool {
        self.add == other.add
            && self.good.price == other.good.price
            && self.good.only_in == other.good.only_in
    }
}

/// The additions worth telling, best gain first (then: by promotion id).
pub(super) fn near<'a>(
    sitting: &Sitting<'a>,
    resolved: &Resolved<'a>,
    again: Option<&Again<'a>>,
) -> Vec<Near> {
    let missed = resolved.missed.iter().map(|(candidate, why)| (*candidate, *why));
    let next = resolved.applied.iter().filter_map(|done| Some((done.candidate, done.proposal.next?)));
    let pays = |candidate: usize| {
        let rule = sitting.candidates[candidate].rule;
        rule.phase < Phase::Redeem && !matches!(rule.promotion.benefit, Benefit::IssueCoupon(_))
    };
    let asked = missed.chain(next).filter(|(candidate, _)| pays(*candidate));
    let mut steps: Vec<Step<'_>> =
        asked.filter_map(|(candidate, why)| step(sitting, candidate, why)).collect();
    let id = |candidate: usize| &sitting.candidates[candidate].rule.promotion.id;
    steps.sort_by(|a, b| a.cost.cmp(&b.cost).then_with(|| id(a.candidate).cmp(id(b.candidate))));
    let (before, mut near) = (worth(sitting, resolved), Vec::new());
    // Promotions that miss the same are told by pricing the same basket.
    let mut tried: Vec<(Step<'_>, Tried)> = Vec::with_capacity(limits::NEAR_TRIES_MAX);
    for step in &steps {
        if near.len() == limits::NEAR_MAX {
            break;
        }
        let same = tried.iter().position(|(other, ..)| step.adds_the_same(other));
        if same.is_none() && tried.len() == limits::NEAR_TRIES_MAX {
            continue;
        }
        let at = same.unwrap_or_else(|| {
            let asked: Vec<usize> =
                steps.iter().filter(|other| other.adds_the_same(step)).map(|other| other.candidate).collect();
            tried.push((step.clone(), tried_with(sitting, &step.good, &asked, again)));
            tried.len() - 1
        });
        let (_, after) = &tried[at];
        let number = sitting.candidates[step.candidate].number;
        let done = resolved.applied.iter().find(|done| done.candidate == step.candidate);
        let given = done.map(|done| (done.proposal.amount, done.proposal.points, done.proposal.times));
        let then = after.given.iter().find(|(of, _)| *of == number).map(|(_, given)| *given);
        let gain = after.worth - before;
        if then > given && gain.is_positive() {
            near.push(Near { promotion: id(step.candidate).clone(), add: step.add.clone(), gain });
        }
    }
    near.sort_by(|a, b| b.gain.cmp(&a.gain).then_with(|| a.promotion.cmp(&b.promotion)));
    near
}

/// The basket with an addition, priced.
struct Tried {
    worth: Money,
    /// By promotion that gives something: its number, and money, points and applications.
    given: Vec<(u32, (Money, i64, u32))>,
}

/// As far as the promotions `asked` have part in it.
fn tried_with<'a>(
    sitting: &Sitting<'a>,
    good: &Good<'a>,
    asked: &[usize],
    again: Option<&Again<'a>>,
) -> Tried {
    let (with, at) = sitting.with(good.clone());
    if let Some(After { off, given }) = again.and_then(|again| again.with(sitting, &with, at, asked)) {
        let given =
            given.iter().map(|(at, amount, times)| (with.candidates[*at].number, (*amount, 0, *times)));
        return Tried { worth: off, given: given.collect() };
    }
    // Points come after everything that is weighed here.
    let (after, ..) = resolve(&with, Phase::Redeem, limits::BEST_NEAR_STEPS_MAX);
    let given = after.applied.iter().map(|done| {
        let Proposal { amount, points, times, .. } = done.proposal;
        (with.candidates[done.candidate].number, (amount, points, times))
    });
    Tried { worth: worth(&with, &after), given: given.collect() }
}

/// What the shopper gets: money off, and gifts at what they cost on the shelf.
fn worth(sitting: &Sitting<'_>, resolved: &Resolved<'_>) -> Money {
    let worth = |given: &Given<'_>| {
        let shelf = sitting.book.item(given.sku).map_or(Money::ZERO, |item| item.price);
        (shelf - given.unit_price).max(Money::ZERO).times(given.qty)
    };
    let given = resolved.applied.iter().flat_map(|done| &done.proposal.gifts).map(worth);
    resolved.discount() + given.sum::<Money>()
}

/// The addition that what is missing asks for.
fn step<'a>(sitting: &Sitting<'a>, candidate: usize, why: Why<'a>) -> Option<Step<'a>> {
    match why {
        Why::Spent { seen, need, set } => {
            let missing = need - seen;
            let sku = sitting.goods.first()?.sku;
            let fits = (1..=limits::UNIT_PRICE_MINOR_MAX).contains(&missing.0);
            fits.then(|| Step {
                candidate,
                good: made_up(sku, missing, set),
                add: Addition::Amount { amount: missing },
                cost: missing,
            })
        }
        Why::Units { seen, need, set } => {
            let qty = need.checked_sub(seen).filter(|qty| (1..=limits::LINE_UNITS_MAX).contains(qty))?;
            let good = example(sitting, set)?;
            let (sku, cost) = (good.sku.clone(), good.price.times(qty));
            let good = Good { qty, lines: Vec::new(), ..good };
            Some(Step { candidate, good, add: Addition::Units { sku, qty }, cost })
        }
        _ => None,
    }
}

fn made_up<'a>(sku: &'a crate::domain::ids::Sku, price: Money, set: &Set) -> Good<'a> {
    Good {
        sku,
        sku_number: UNKNOWN,
        categories: &[],
        brand: UNKNOWN,
        item: None,
        shelf: price,
        price,
        listed: price,
        qty: 1,
        grams: None,
        reduced: false,
        floor: Money::ZERO,
        member_price: None,
        best_before: None,
        lines: Vec::new(),
        // A unit for everything is the same unit whichever of these sets asks for it.
        only_in: Some(if set.everything { UNKNOWN } else { set.number }),
    }
}

/// The cheapest piece of a set: of those in the basket, or of those the set names.
fn example<'a>(sitting: &Sitting<'a>, set: &Set) -> Option<Good<'a>> {
    let pieces = |good: &&Good<'a>| good.grams.is_none() && good.only_in.is_none();
    let in_basket = sitting.goods.iter().filter(pieces).filter(|good| set.holds(good));
    let cheapest = in_basket.min_by(|a, b| a.price.cmp(&b.price).then_with(|| a.sku.cmp(b.sku)));
    cheapest.cloned().or_else(|| {
        let named = set.skus.iter().filter_map(|number| units::of_catalogue(sitting.book, *number));
        named
            .filter(|good| set.holds(good))
            .min_by(|a, b| a.price.cmp(&b.price).then_with(|| a.sku.cmp(b.sku)))
    })
}
