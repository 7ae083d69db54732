//! From a resolved sale to the answer: lines with their shares, reasons, codes, points, gift cards.
//!
//! A good's units go back to its lines in the order of line ids, dearest units first, so that a line's figures do not
//! depend on where the device put it. Figures are checked against each other before they leave: see `outcome`.

use crate::domain::ids::PromotionId;
use crate::domain::money::Money;
use crate::domain::points::{PointsLine, PointsReason};
use crate::limits;

use super::best::{Again, best};
use super::book::{Book, Phase};
use super::explain::{self, Why};
use super::mixed;
use super::model::ResolutionMode;
use super::near::near;
use super::outcome::{
    Applied, CouponOutcome, CouponResult, GiftCardUse, GivenGift, Issue, LineDiscount, NotApplied,
    PointsResult, Priced, PricedLine, Reason, Resolution, UnitShare,
};
use super::resolution::{Done, Resolved, Sitting, sequence};
use super::units::{Off, PROGRAMME, Run};
use super::{PriceFault, Right, Sale};

/// Prices a sale.
pub(super) fn price(book: &Book, sale: &Sale<'_>) -> Result<Priced, PriceFault> {
    let sitting = Sitting::new(book, sale)?;
    let (resolved, resolution, again) = resolve(&sitting, Phase::Earn, limits::BEST_STEPS_MAX);
    let lines = lines(&sitting, &resolved);
    let subtotal: Money = lines.iter().map(|line| line.gross).sum();
    let discount_total = resolved.discount();
    let gifts = gifts(&sitting, &resolved);
    let tokens: Money = gifts.iter().map(|gift| gift.unit_price.times(gift.qty)).sum();
    let net: Money = lines.iter().map(|line| line.net).sum();
    assert_eq!(net, subtotal - discount_total - resolved.programme.amount, "parts sum to the whole");
    let total = net + tokens;
    let cards = gift_cards(sale, total);
    let promotion = |done: &Done<'_>| &sitting.candidates[done.candidate].rule.promotion;
    let applied = resolved.applied.iter().map(|done| Applied {
        promotion: promotion(done).id.clone(),
        amount: done.proposal.amount,
        units: done.proposal.units,
        times: done.proposal.times,
        points: done.proposal.points,
        coupon: sitting.candidates[done.candidate].code.map(|code| sale.codes[code].code.clone()),
    });
    let issues = resolved.applied.iter().filter_map(|done| {
        let promotion = promotion(done);
        let issue = promotion.benefit.issues()?;
        let (coupon, valid_days) = (issue.coupon.clone(), issue.valid_days);
        Some(Issue { promotion: promotion.id.clone(), coupon, valid_days })
    });
    Ok(Priced {
        subtotal,
        discount_total,
        total,
        gifts,
        applied: applied.collect(),
        coupons: coupons(&sitting, &resolved, &cards),
        not_applied: not_applied(&sitting, &resolved),
        near: near(&sitting, &resolved, again.as_ref()),
        points: points(&sitting, &resolved),
        gift_cards: cards,
        shelf: sitting.shelf.changes.clone(),
        issues: issues.collect(),
        resolution,
        lines,
    })
}

/// Resolves a sale as its bundle and its groups say, in `best` within so many steps and with what is kept for one thing
/// more.
pub(super) fn resolve<'a>(
    sitting: &Sitting<'a>,
    last: Phase,
    steps: u32,
) -> (Resolved<'a>, Resolution, Option<Again<'a>>) {
    let mode = match (
        mixed::wants(sitting, ResolutionMode::Best),
        mixed::wants(sitting, ResolutionMode::Sequence),
    ) {
        (true, true) => {
            let (resolved, proof) = mixed::mixed(sitting, last, steps);
            let resolution = Resolution { mode: ResolutionMode::Best, proved: proof.proved, gap: proof.gap };
            return (resolved, resolution, None);
        }
        (true, false) => ResolutionMode::Best,
        (false, true) => ResolutionMode::Sequence,
        (false, false) => sitting.book.resolution,
    };
    match mode {
        ResolutionMode::Sequence => {
            let resolution = Resolution { mode: ResolutionMode::Sequence, proved: true, gap: Money::ZERO };
            (sequence(sitting, last), resolution, None)
        }
        ResolutionMode::Best => {
            let (resolved, proof, again) = best(sitting, last, steps);
            let resolution = Resolution { mode: ResolutionMode::Best, proved: proof.proved, gap: proof.gap };
            (resolved, resolution, again)
        }
    }
}

fn lines(sitting: &Sitting<'_>, resolved: &Resolved<'_>) -> Vec<PricedLine> {
    let basket = sitting.sale.basket;
    let mut lines: Vec<PricedLine> = basket
        .lines
        .iter()
        .map(|line| PricedLine {
            line: line.line.clone(),
            sku: line.sku.clone(),
            units: line.quantity.units(),
            gross: Money::ZERO,
            net: Money::ZERO,
            points_amount: Money::ZERO,
            discounts: Vec::new(),
            shares: Vec::new(),
        })
        .collect();
    let mut totals: Vec<Off> = Vec::new();
    for runs in resolved.state.runs.chunk_by(|a, b| a.good == b.good) {
        let good = &sitting.goods[runs[0].good as usize];
        let mut shares: Vec<(Vec<Off>, Run)> =
            runs.iter().map(|run| (resolved.state.discounts(run), *run)).collect();
        shares.sort_by_key(|(_, run)| std::cmp::Reverse((run.net, run.earned, run.spent)));
        let mut shares = shares.into_iter();
        let mut at = shares.next();
        for (index, units) in &good.lines {
            let line = &mut lines[*index as usize];
            line.gross = good.price.times(*units);
            totals.clear();
            let mut left = *units;
            while left > 0 {
                let (steps, run) = at.as_mut().expect("the runs of a good hold the units of all its lines");
                let qty = run.qty.min(left);
                left -= qty;
                run.qty -= qty;
                line.net += run.net.times(qty);
                for off in steps.iter() {
                    match totals.iter_mut().find(|total| total.promotion == off.promotion) {
                        Some(total) => total.amount += off.amount.times(qty),
                        None => totals.push(Off { amount: off.amount.times(qty), ..*off }),
                    }
                }
                add_share(sitting, line, steps, run, qty);
                if run.qty == 0 {
                    at = shares.next();
                }
            }
            totals.sort_unstable_by_key(|total| total.step);
            let by_points = totals.iter().filter(|total| total.promotion == PROGRAMME);
            line.points_amount = by_points.map(|total| total.amount).sum();
            line.discounts = discounts(sitting, &totals);
        }
    }
    lines
}

fn discounts(sitting: &Sitting<'_>, steps: &[Off]) -> Vec<LineDiscount> {
    let of = |off: &Off| LineDiscount {
        promotion: sitting.book.rules[off.promotion as usize].promotion.id.clone(),
        amount: off.amount,
    };
    steps.iter().filter(|off| off.promotion != PROGRAMME).map(of).collect()
}

fn add_share(sitting: &Sitting<'_>, line: &mut PricedLine, steps: &[Off], run: &Run, qty: u32) {
    let discounts = discounts(sitting, steps);
    if let Some(last) = line.shares.last_mut()
        && (last.net, last.points, last.points_spent) == (run.net, run.earned, run.spent)
        && last.discounts == discounts
    {
        last.qty += qty;
        return;
    }
    let share = UnitShare { qty, net: run.net, discounts, points: run.earned, points_spent: run.spent };
    line.shares.push(share);
}

fn gifts(sitting: &Sitting<'_>, resolved: &Resolved<'_>) -> Vec<GivenGift> {
    let given = resolved.applied.iter().flat_map(|done| {
        let promotion = &sitting.candidates[done.candidate].rule.promotion.id;
        done.proposal.gifts.iter().map(|given| GivenGift {
            sku: given.sku.clone(),
            qty: given.qty,
            unit_price: given.unit_price,
            promotion: promotion.clone(),
        })
    });
    given.collect()
}

fn not_applied(sitting: &Sitting<'_>, resolved: &Resolved<'_>) -> Vec<NotApplied> {
    let candidate = |position: usize| &sitting.candidates[position];
    let mut missed: Vec<&(usize, Why<'_>)> = resolved.missed.iter().collect();
    if missed.len() > limits::NOT_APPLIED_MAX {
        let asked =
            |position: usize| candidate(position).code.is_some() || candidate(position).claim.is_some();
        missed
            .sort_by_key(|(position, why)| (!asked(*position), why.distance(), candidate(*position).number));
        missed.truncate(limits::NOT_APPLIED_MAX);
    }
    missed.sort_by_key(|(position, _)| &candidate(*position).rule.promotion.id);
    let missed = missed.into_iter().map(|(position, why)| (&candidate(*position).rule.promotion.id, why));
    let mut missed: Vec<(&PromotionId, &Why<'_>)> = missed.collect();
    if !sitting.shelf.missed.is_empty() {
        missed.extend(
            sitting
                .shelf
                .missed
                .iter()
                .map(|(number, why)| (&sitting.book.rules[*number as usize].promotion.id, why)),
        );
        missed.sort_by_key(|(id, _)| *id);
    }
    missed.into_iter().map(|(id, why)| explain::not_applied(sitting, id, why)).collect()
}

fn coupons(sitting: &Sitting<'_>, resolved: &Resolved<'_>, cards: &[GiftCardUse]) -> Vec<CouponResult> {
    let outcome = |index: usize, right: &Result<Right, Reason>| {
        let promotion = match right {
            Ok(Right::Promotion(promotion)) => promotion,
            Ok(Right::Value(_)) => {
                let code = &sitting.sale.codes[index].code;
                let pays = cards.iter().any(|card| card.code == *code && card.used.is_positive());
                return match pays {
                    true => (CouponOutcome::Applied, None),
                    false => (CouponOutcome::NotApplied, Some(Reason::NothingOff)),
                };
            }
            Err(reason) => return (CouponOutcome::Refused, Some(*reason)),
        };
        let position = sitting.candidates.iter().position(|c| c.rule.promotion.id == *promotion);
        let Some(position) = position else { return (CouponOutcome::Refused, Some(Reason::CodeUnknown)) };
        if resolved.applied.iter().any(|done| done.candidate == position) {
            return match sitting.candidates[position].code {
                Some(code) if code == index => (CouponOutcome::Applied, None),
                // A second code for the same promotion stays unused.
                _ => (CouponOutcome::NotApplied, Some(Reason::NothingOff)),
            };
        }
        let why = resolved.missed.iter().find(|(missed, _)| *missed == position);
        (CouponOutcome::NotApplied, Some(why.map_or(Reason::NothingOff, |(_, why)| why.reason())))
    };
    let result = |(index, code): (usize, &super::PresentedCode)| {
        let (outcome, reason) = outcome(index, &code.right);
        CouponResult { code: code.code.clone(), outcome, reason }
    };
    sitting.sale.codes.iter().enumerate().map(result).collect()
}

fn points(sitting: &Sitting<'_>, resolved: &Resolved<'_>) -> PointsResult {
    let programme = &resolved.programme;
    let mut lines = Vec::new();
    let mut line = |reason: PointsReason, points: i64, promotion: Option<PromotionId>| {
        if points != 0 {
            lines.push(PointsLine { reason, points, promotion });
        }
    };
    let (mut earn, mut spend) = (programme.earned, programme.spent);
    for done in &resolved.applied {
        let id = &sitting.candidates[done.candidate].rule.promotion.id;
        spend += done.proposal.spend;
        earn += done.proposal.points;
        line(PointsReason::Burn, -done.proposal.spend, Some(id.clone()));
        line(PointsReason::Earn, done.proposal.points, Some(id.clone()));
    }
    line(PointsReason::Burn, -programme.spent, None);
    line(PointsReason::Earn, programme.earned, None);
    PointsResult {
        earn,
        spend,
        spend_amount: programme.amount,
        balance_after: sitting.sale.shopper.member.map(|m| m.ledger.points.balance() + earn - spend),
        lines,
        short: programme.short,
    }
}

/// Vouchers of partners, then gift cards pay what is left, each in order of presentation.
fn gift_cards(sale: &Sale<'_>, total: Money) -> Vec<GiftCardUse> {
    let mut left = total;
    let vouchers = sale.codes.iter().filter_map(|presented| match presented.right {
        Ok(Right::Value(value)) => Some((&presented.code, value)),
        _ => None,
    });
    let cards = sale.basket.gift_cards.iter().map(|card| (&card.code, card.balance));
    let uses = vouchers.chain(cards).map(|(code, value)| {
        let used = value.min(left).max(Money::ZERO);
        left -= used;
        GiftCardUse { code: code.clone(), used, balance: value - used }
    });
    uses.collect()
}
