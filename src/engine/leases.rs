//! What head office lent this box, and what sales take of it.
//!
//! A word (`domain::lease`) is taken if it is the next one for this life of the box; any other was heard before or will
//! come again, and is passed over. What it leaves stands in the decision's changes, where head office reads it.
//!
//! A quote sees what is left of each slice, open holds taken off; its commit spends in the decision that is the sale.
//! Slices may expire or be called back in between: then the sale is refused (410) and quoted again without. What a till
//! charged alone is taken as far as slices go. A code of another shop is honoured once its money fits the risk lent,
//! one such code a basket. Points are spent out of the member's pocket here, then out of what may be overdrawn; what is earned
//! here comes into the pocket when head office has counted it.

use std::collections::BTreeMap;

use crate::bundle::Bundle;
use crate::bundle::terms::scopes;
use crate::domain::code::Code;
use crate::domain::ids::{CouponCode, Epoch, MemberId, PromotionId};
use crate::domain::lease::{Heard, Scope, Slices, Word};
use crate::domain::member::{Member, Usage, Used};
use crate::domain::money::Money;
use crate::pricing::outcome::Reason;
use crate::pricing::{Lent, PresentedCode, amount};

use super::decision::{Change, Facts, IssuedCode, Key, Quote, Record};
use super::input::QuoteBody;
use super::quotes::{OpenQuotes, uses};
use super::reply::Refusal;
use super::{Identity, Turn, homes, issue};

/// What hearing a word reads.
pub(super) fn needs(word: &Word) -> Vec<Key> {
    let lease = word.say.scope().map(|scope| Key::Lease(word.epoch, scope.clone()));
    std::iter::once(Key::Heard(word.epoch)).chain(lease).chain(homes::needs(&word.say)).collect()
}

/// What a word changes; nothing if it is not the next one for this life of the box.
pub(super) fn hear(word: &Word, facts: &Facts, identity: &Identity) -> Option<Vec<Change>> {
    let epoch = identity.epoch;
    if word.epoch != epoch || !facts.heard(epoch).is_next(word.id) {
        return None;
    }
    let heard = Change::put(Key::Heard(epoch), Record::Heard(Heard { last: word.id }));
    let held = word.say.scope().map(|scope| {
        let mut slices = facts.slices(epoch, scope);
        slices.follow(word.id, &word.say);
        put(epoch, scope, slices)
    });
    let home = homes::hear(&word.say, facts, &identity.store);
    Some(std::iter::once(heard).chain(held).chain(home).collect())
}

fn put(epoch: Epoch, scope: &Scope, slices: Slices) -> Change {
    Change::put(Key::Lease(epoch, scope.clone()), Record::Slices(slices))
}

/// The slices that pricing a basket looks at.
pub(super) fn needs_of_sale(bundle: &Bundle, asked: &QuoteBody, epoch: Epoch) -> Vec<Key> {
    let limited = bundle.book.limited(&asked.basket);
    let promotions = limited.iter().filter_map(|id| bundle.book.promotion(id));
    let mut keys: Vec<Key> = promotions.flat_map(scopes).map(|(_, scope)| Key::Lease(epoch, scope)).collect();
    if asked.basket.coupons.iter().any(|code| bundle.generic(code).is_none()) {
        keys.push(Key::Lease(epoch, Scope::Risk));
    }
    keys.extend(issue::needs(bundle, asked, epoch));
    keys
}

/// The slices that spending a member's points draws on: their own pocket, then what may be overdrawn here.
pub(super) fn needs_of_member(bundle: &Bundle, member: &MemberId, epoch: Epoch) -> Vec<Key> {
    let scopes = [Scope::Pocket(member.clone()), Scope::Overdraft];
    if bundle.shop.leases.pockets {
        scopes.map(|scope| Key::Lease(epoch, scope)).to_vec()
    } else {
        Vec::new()
    }
}

/// Points of a member that may be spent here; nothing where all of them may.
pub(super) fn pocket(turn: &Turn<'_>, member: &MemberId) -> Option<i64> {
    let own = Scope::Pocket(member.clone());
    let is_lent = turn.is_lent && turn.facts.knows(&Key::Lease(turn.identity.epoch, own.clone()));
    let left = |scope: &Scope| turn.facts.slices(turn.identity.epoch, scope).left(turn.now);
    is_lent.then(|| left(&own) + left(&Scope::Overdraft))
}

/// Is this code's home another shop?
pub(super) fn is_away(turn: &Turn<'_>, code: &IssuedCode) -> bool {
    code.home.as_ref().is_some_and(|home| *home != turn.identity.store)
}

/// What a quote may spend of what was lent; nothing where it touches nothing that is. Of the codes of other shops only
/// the first stays good, while there is something left to risk.
pub(super) fn lent(
    turn: &Turn<'_>,
    quotes: &OpenQuotes,
    member: Option<&Member>,
    codes: &mut [PresentedCode],
) -> Option<Lent> {
    let limits_it = |key: &Key| matches!(key, Key::Lease(_, scope) if scope.series().is_none());
    if !turn.is_lent || !turn.facts.keys().any(limits_it) {
        return None;
    }
    let mut limits: BTreeMap<PromotionId, Used> = BTreeMap::new();
    for key in turn.facts.keys() {
        let Key::Lease(_, scope) = key else { continue };
        let (Scope::Uses(id) | Scope::Units(id) | Scope::Money(id) | Scope::Points(id)) = scope else {
            continue;
        };
        let held = quotes.held_usage(id).copied().unwrap_or_default();
        let Usage { uses, units, money, points, .. } = held;
        let left = turn.facts.slices(turn.identity.epoch, scope).left(turn.now);
        let lent = limits.entry(id.clone()).or_default();
        let count = |held: u32| u32::try_from((left - i64::from(held)).max(0)).unwrap_or(u32::MAX);
        match scope {
            Scope::Uses(_) => lent.uses = count(uses),
            Scope::Units(_) => lent.units = count(units),
            Scope::Money(_) => lent.money = (Money(left) - money).max(Money::ZERO),
            _ => lent.points = (left - points).max(0),
        }
    }
    let risk = Money(turn.facts.slices(turn.identity.epoch, &Scope::Risk).left(turn.now));
    let mut away = None;
    for presented in codes.iter_mut().filter(|presented| presented.right.is_ok()) {
        if !turn.facts.code(&presented.code).is_some_and(|code| is_away(turn, code)) {
            continue;
        }
        if away.is_none() && risk.is_positive() {
            away = Some((presented.code.clone(), risk));
        } else {
            presented.right = Err(Reason::CodeElsewhere);
        }
    }
    let points = member.and_then(|member| {
        let held = quotes.held_points(&member.id);
        pocket(turn, &member.id).map(|points| (points - held).max(0))
    });
    Some(Lent { limits, away, points })
}

/// So much of each thing lent.
pub(super) type Drawn = Vec<(Scope, i64)>;

/// What a sale draws, and what is left then.
///
/// `QuoteExpired` if a slice that its quote counted on is gone; never for what a till has `charged` alone.
pub(super) fn draw(
    turn: &Turn<'_>,
    bundle: &Bundle,
    quote: &Quote,
    is_charged: bool,
) -> Result<(Drawn, Vec<Change>), Refusal> {
    let Some(lent) = &quote.lent else { return Ok(Default::default()) };
    let mut wanted: BTreeMap<Scope, i64> = BTreeMap::new();
    for (applied, (id, used)) in quote.priced.applied.iter().zip(uses(quote)) {
        let of_rule = bundle.book.promotion(id).into_iter().flat_map(scopes);
        for (limit, scope) in of_rule {
            *wanted.entry(scope).or_default() += amount(limit.measure, &used);
        }
        let is_away = |code: &CouponCode| lent.away.as_ref().is_some_and(|(away, _)| away == code);
        if applied.coupon.as_ref().is_some_and(is_away) {
            *wanted.entry(Scope::Risk).or_default() += used.money.0;
        }
    }
    if let (Some(_), Some(member)) = (lent.points, &quote.member) {
        let (pocket, spend) = (Scope::Pocket(member.id.clone()), quote.priced.points.spend);
        let own = turn.facts.slices(turn.identity.epoch, &pocket).left(turn.now).min(spend);
        wanted.insert(pocket, own);
        wanted.insert(Scope::Overdraft, spend - own);
    }
    let (mut drawn, mut changes) = (Drawn::new(), Vec::new());
    for (scope, amount) in wanted.into_iter().filter(|(_, amount)| *amount > 0) {
        let mut slices = turn.facts.slices(turn.identity.epoch, &scope);
        let beyond = slices.spend(amount, turn.now);
        if beyond > 0 && !is_charged {
            let detail = "what head office had lent for it ran out or expired since the quote; quote again";
            return Err(Refusal::new(Code::QuoteExpired, detail));
        }
        if beyond < amount {
            changes.push(put(turn.identity.epoch, &scope, slices));
            drawn.push((scope, amount - beyond));
        }
    }
    Ok((drawn, changes))
}

/// What a sale that did not happen after all gives back of what it drew; nothing of what was sealed since.
pub(super) fn give_back(turn: &Turn<'_>, drawn: &[(Scope, i64)]) -> Vec<Change> {
    let given = drawn.iter().filter_map(|(scope, amount)| {
        let mut slices = turn.facts.slices(turn.identity.epoch, scope);
        (slices.give_back(*amount) < *amount).then(|| put(turn.identity.epoch, scope, slices))
    });
    given.collect()
}
