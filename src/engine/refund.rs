//! Void and return: what was frozen at the sale is given back, and what it earned is taken back.
//!
//! Both read the sale's own decision from the journal: the receipt holds each unit's share as it was settled, the quote
//! the return policies as they were. Points spent come back in proportion to the money, points earned go with the units
//! that earned them. What `re_evaluate` promises is worked out under the rules of the sale, found by the hash the sale
//! names (`past_rules` says which the shell must have at hand); where those are gone, units come back at their frozen
//! shares. A coupon for the next visit is withdrawn once the rest does not earn it, unless its promotion says keep.
//! When the whole sale has come back, so do its codes that are still good, into the wallet they came
//! from, and what it took of limits, but those that count cancelled sales: as its record says, not as today's rules do.
//!
//! Order of checks: sale known (404) · not voided (409) · [void] nothing of it back yet (409) · [return] its own number
//! free (409) · lines known (404) · units left (422) · promotions that allow only a whole return (422).

use std::sync::Arc;

use crate::bundle::Bundle;
use crate::bundle::voucher::used_as;
use crate::domain::basket::TransactionKey;
use crate::domain::code::Code;
use crate::domain::ids::{BundleRef, CouponCode, Epoch, LineId, PromotionId, Seq};
use crate::domain::money::Money;
use crate::domain::points::{PointsLine, PointsReason};
use crate::domain::receipt::SaleRecord;
use crate::pricing::model::ReturnPolicy;
use crate::pricing::outcome::Priced;
use crate::pricing::returns::{self, Refunded, ReturnFault, SoldGift, SoldLine, SoldSale, gift_line};

use super::codes::is_in_time;
use super::decision::{Change, Entry, Facts, Key, Quote, Record};
use super::input::Return;
use super::reply::{LineUnits, Receipt, Refund, RefundLine, Refusal, Reply};
use super::sale::{counted, keep_newest, price_again, view};
use super::{Turn, leases};
use super::{learning, referral};

/// What taking back a sale reads.
pub(super) fn needs(original: &TransactionKey, facts: &Facts, epoch: Epoch) -> Vec<Key> {
    let mut keys = vec![Key::Sale(original.clone())];
    let Some(sale) = facts.sale(original) else { return keys };
    keys.push(Key::Decision(sale.decision));
    if let Some(member) = &sale.member {
        keys.extend(Key::of_member(member));
    }
    keys.extend(sale.referred.iter().flat_map(referral::needs_of_return));
    let took = counted(&sale.took, &original.device);
    keys.extend(took.map(|(of, took)| Key::Usage(of, took.promotion.clone())));
    keys.extend(sale.drawn.iter().map(|(scope, _)| Key::Lease(epoch, scope.clone())));
    if let Some((_, receipt)) = facts.decision(sale.decision).and_then(sold) {
        keys.extend(receipt.coupons_burned.iter().map(|code| Key::Code(code.clone())));
        keys.extend(receipt.coupons_issued.iter().map(|coupon| Key::Code(coupon.code.clone())));
    }
    keys
}

fn sold(entry: &Entry) -> Option<(&Quote, &Receipt)> {
    let Ok(Reply::Commit(receipt)) = &entry.answer else { return None };
    let quote = entry.facts.quotes().next()?;
    Some((quote, receipt))
}

/// The rules that a return of this sale is worked out with, where frozen shares alone do not tell.
pub(super) fn past_rules<'a>(original: &TransactionKey, facts: &'a Facts) -> Option<&'a BundleRef> {
    let sale = facts.sale(original).filter(|sale| !sale.is_return && !sale.voided)?;
    let (quote, _) = facts.decision(sale.decision).and_then(sold)?;
    // Those that keep are not among them.
    let asks = |policy: &ReturnPolicy| !matches!(policy, ReturnPolicy::Keep);
    quote.return_policies.values().any(asks).then_some(&quote.bundle)
}

struct Sold<'a> {
    record: &'a SaleRecord,
    quote: &'a Quote,
    receipt: &'a Receipt,
}

fn find<'a>(turn: &'a Turn<'_>, key: &TransactionKey) -> Result<Sold<'a>, Refusal> {
    let TransactionKey { device, business_day, seq } = key;
    let record = turn.facts.sale(key).filter(|record| !record.is_return).ok_or_else(|| {
        Refusal::new(
            Code::UnknownTransaction,
            format!("no sale {device} {business_day} {seq} is known in this shop"),
        )
    })?;
    if record.voided {
        return Err(Refusal::new(
            Code::AlreadyVoided,
            format!("sale {device} {business_day} {seq} was voided{}", by(turn, record.taken_back)),
        ));
    }
    let (quote, receipt) = turn.facts.decision(record.decision).and_then(sold).ok_or_else(|| {
        Refusal::later(Code::Busy, format!("decision {} cannot be read now", record.decision.0), 1_000)
    })?;
    Ok(Sold { record, quote, receipt })
}

/// Answers `void`.
pub(super) fn void(
    turn: &Turn<'_>,
    past: Option<&Arc<Bundle>>,
    key: &TransactionKey,
) -> Result<(Reply, Vec<Change>), Refusal> {
    let sale = find(turn, key)?;
    if !sale.record.returned.is_empty() {
        return Err(Refusal::new(
            Code::VoidAfterReturn,
            format!(
                "units of it came back{}; return the rest line by line",
                by(turn, sale.record.taken_back)
            ),
        ));
    }
    let units = |line: &LineUnits| line.shares.iter().map(|share| share.qty).sum();
    let goods = sale.receipt.units.iter().map(|line| (line.line.clone(), units(line)));
    let gifts = (1..).zip(&sale.receipt.figures.gifts).map(|(nth, gift)| (gift_line(nth), gift.qty));
    let all: Vec<(LineId, u32)> = goods.chain(gifts).collect();
    let (mut back, _) = worked_out(turn, past, &sale, &all)?;
    back.amount = sale.record.total;
    let (refund, mut changes) = take_back(turn, key, &sale, (&back, &[]));
    let taken_back = Some(turn.seq);
    let record = SaleRecord { voided: true, refunded: back.amount, taken_back, ..sale.record.clone() };
    changes.push(Change::put(Key::Sale(key.clone()), Record::Sale(record)));
    Ok((Reply::Refund(Box::new(refund)), changes))
}

/// Answers `return`.
pub(super) fn give_back(
    turn: &Turn<'_>,
    past: Option<&Arc<Bundle>>,
    back: &Return,
) -> Result<(Reply, Vec<Change>), Refusal> {
    let sale = find(turn, &back.original)?;
    let number = &back.transaction;
    if let Some(known) = turn.facts.sale(number) {
        let TransactionKey { device, business_day, seq } = number;
        let by = by(turn, Some(known.decision));
        let detail = format!("{device} {business_day} {seq} is the number of a transaction that stands{by}");
        return Err(Refusal::new(Code::TransactionExists, detail));
    }
    let (mut worked_out, lost) = worked_out(turn, past, &sale, &back.lines)?;
    worked_out.amount = worked_out.amount.min((sale.record.total - sale.record.refunded).max(Money::ZERO));
    let (refund, mut changes) = take_back(turn, &back.original, &sale, (&worked_out, &lost));
    let mut record = sale.record.clone();
    record.refunded += worked_out.amount;
    record.taken_back = Some(turn.seq);
    for (line, qty) in &back.lines {
        match record.returned.iter_mut().find(|(id, _)| id == line) {
            Some((_, units)) => *units += qty,
            None => record.returned.push((line.clone(), *qty)),
        }
    }
    let own = SaleRecord {
        decision: turn.seq,
        total: -worked_out.amount,
        is_return: true,
        refunded: Money::ZERO,
        returned: Vec::new(),
        took: Vec::new(),
        held: Vec::new(),
        referred: None,
        drawn: Vec::new(),
        ..sale.record.clone()
    };
    changes.push(Change::put(Key::Sale(back.original.clone()), Record::Sale(record)));
    changes.push(Change::put(Key::Sale(number.clone()), Record::Sale(own)));
    Ok((Reply::Refund(Box::new(refund)), changes))
}

/// What these units are worth by the sale's frozen shares and policies, and which coupons for the next visit the rest
/// does not earn any more.
fn worked_out(
    turn: &Turn<'_>,
    past: Option<&Arc<Bundle>>,
    sale: &Sold<'_>,
    back: &[(LineId, u32)],
) -> Result<(Refunded, Vec<CouponCode>), Refusal> {
    let bundle = past
        .into_iter()
        .chain([turn.bundle])
        .find(|bundle| bundle.reference == sale.quote.bundle)
        .map(|bundle| &**bundle);
    let lines: Vec<SoldLine<'_>> = sale
        .receipt
        .units
        .iter()
        .map(|line| SoldLine {
            line: &line.line,
            shares: &line.shares,
            returned: sale.record.returned_units(&line.line),
        })
        .collect();
    let given = &sale.receipt.figures.gifts;
    let gift_lines: Vec<LineId> = (1..=given.len()).map(gift_line).collect();
    let shelf_price = |sku| bundle.and_then(|bundle| bundle.book.item(sku)).map(|item| item.price);
    let gifts: Vec<SoldGift<'_>> = (given.iter().zip(&gift_lines))
        .map(|(gift, line)| SoldGift {
            line,
            promotion: &gift.promotion,
            qty: gift.qty,
            paid: gift.unit_price,
            value: shelf_price(&gift.sku).unwrap_or(gift.unit_price),
            returned: sale.record.returned_units(line),
        })
        .collect();
    let policy = |id: &PromotionId| sale.quote.return_policies.get(id).copied().unwrap_or_default();
    let sold = SoldSale {
        lines: &lines,
        gifts: &gifts,
        refunded: sale.record.refunded,
        policy: &policy,
        again: &|left| rest(bundle?, sale.quote, left),
    };
    let refunded = returns::refund(&sold, back).map_err(|fault| {
        let code = match &fault {
            ReturnFault::UnknownLine(_) => Code::UnknownLine,
            ReturnFault::TooMany { .. } => Code::NothingLeftToReturn,
            ReturnFault::PartialBlocked(_) => Code::PartialReturnBlocked,
        };
        let by = match code {
            Code::NothingLeftToReturn => by(turn, sale.record.taken_back),
            _ => String::new(),
        };
        Refusal::new(code, format!("{fault}{by}"))
    })?;
    let lost = bundle.map_or_else(Vec::new, |bundle| lost_coupons(bundle, sale, back));
    Ok((refunded, lost))
}

/// What the rules of the sale say of what stays, as if nothing else had been bought then.
fn rest(bundle: &Bundle, quote: &Quote, left: &[(LineId, u32)]) -> Option<Priced> {
    let mut quote = quote.clone();
    quote.asked.basket = returns::rest_of(&quote.asked.basket, left);
    if quote.asked.basket.lines.is_empty() {
        return Some(Priced::nothing());
    }
    price_again(bundle, &quote).ok()
}

/// Coupons the sale issued, by promotions whose policy does not keep, that the rest would not have been given.
fn lost_coupons(bundle: &Bundle, sale: &Sold<'_>, back: &[(LineId, u32)]) -> Vec<CouponCode> {
    let (quote, issued) = (sale.quote, &sale.receipt.coupons_issued);
    let keeps = |promotion: &PromotionId| {
        !matches!(
            quote.return_policies.get(promotion),
            Some(ReturnPolicy::ClawBack | ReturnPolicy::ReEvaluate)
        )
    };
    // Of a series one may not have been issued.
    let mut next = issued.iter().peekable();
    let pairs = quote.priced.issues.iter().filter_map(|issue| {
        let sets_off = &bundle.coupon(&issue.coupon)?.promotion;
        Some((issue, next.next_if(|coupon| coupon.promotion == *sets_off)?))
    });
    let pairs: Vec<_> = pairs.collect();
    if pairs.len() != issued.len() || pairs.iter().all(|(issue, _)| keeps(&issue.promotion)) {
        return Vec::new();
    }
    let units = |line: &LineUnits| -> u32 { line.shares.iter().map(|share| share.qty).sum() };
    let now = |line: &LineId| back.iter().find(|(id, _)| id == line).map_or(0, |(_, qty)| *qty);
    let left: Vec<(LineId, u32)> = (sale.receipt.units.iter())
        .map(|line| {
            let gone = sale.record.returned_units(&line.line) + now(&line.line);
            (line.line.clone(), units(line).saturating_sub(gone))
        })
        .collect();
    let Some(again) = rest(bundle, quote, &left) else { return Vec::new() };
    let still = |promotion: &PromotionId| again.issues.iter().any(|issue| issue.promotion == *promotion);
    let lost = pairs.into_iter().filter(|(issue, _)| !keeps(&issue.promotion) && !still(&issue.promotion));
    lost.map(|(_, coupon)| coupon.code.clone()).collect()
}

/// Names the decision that took units back last, so that a till that lost its answer finds it.
fn by(turn: &Turn<'_>, decision: Option<Seq>) -> String {
    decision.map_or_else(String::new, |seq| format!(" (decision {})", turn.reference_of(seq)))
}

/// The refund document and what it changes (the sale records not among it).
fn take_back(
    turn: &Turn<'_>,
    original: &TransactionKey,
    sale: &Sold<'_>,
    (back, lost): (&Refunded, &[CouponCode]),
) -> (Refund, Vec<Change>) {
    let Sold { record, quote, receipt } = sale;
    let counts = !record.training;
    let undoes = back.whole && counts;
    let mut points_ledger = Vec::new();
    for (reason, points) in
        [(PointsReason::ClawBack, -back.points_taken), (PointsReason::GiveBack, back.points_given)]
    {
        if points != 0 && counts {
            points_ledger.push(PointsLine { reason, points, promotion: None });
        }
    }
    let (returned, withdrawn): (Vec<CouponCode>, Vec<CouponCode>) = if undoes {
        let issued = receipt.coupons_issued.iter().map(|coupon| coupon.code.clone());
        let stands = |code: &&CouponCode| is_in_time(turn, code);
        (receipt.coupons_burned.iter().filter(stands).cloned().collect(), issued.collect())
    } else {
        let stands = |code: &&CouponCode| counts && turn.facts.code(code).is_some();
        (Vec::new(), lost.iter().filter(stands).cloned().collect())
    };
    let mut changes = Vec::new();
    let mut points_balance_after = None;
    let member = record.member.as_ref().and_then(|id| turn.facts.member(id)).filter(|_| counts);
    if let Some(member) = member {
        let mut ledger = member.ledger.clone();
        ledger.spend -= back.amount;
        ledger.points.book(turn.seq, back.points_given - back.points_taken);
        ledger.coupons.retain(|held| !withdrawn.contains(&held.code));
        if back.whole {
            ledger.visits = ledger.visits.saturating_sub(1);
            ledger.voided += 1;
            for took in record.took.iter().filter(|took| took.member && !took.kept) {
                if let Some(usage) = ledger.usage.get_mut(&took.promotion) {
                    usage.take_back(quote.day.number(), took.used);
                }
            }
            ledger.coupons.extend(record.held.iter().filter(|held| returned.contains(&held.code)).cloned());
            keep_newest(&mut ledger.coupons);
        }
        points_balance_after = Some(ledger.points.balance());
        let sold = (*record, *quote, *receipt);
        changes.extend(learning::taken_back(turn, &member, &mut ledger, sold, back));
        changes.push(Change::put(Key::Ledger(member.id), Record::Ledger(Box::new(ledger))));
    }
    changes.extend(withdrawn.iter().map(|code| {
        // One that was moved stays known, out of time: no later word or list finds it new here.
        let moved = turn.facts.code(code).filter(|issued| issued.moved > 0);
        let record = moved.map(|issued| Record::Code(issued.clone().out_of_time()));
        Change { key: Key::Code(code.clone()), record }
    }));
    if undoes {
        changes.extend(record.referred.iter().flat_map(|it| referral::take_back(turn.facts, turn.seq, it)));
        let burned = receipt.coupons_burned.iter();
        changes.extend(burned.map(|code| Change { key: Key::Redeemed(used_as(code)), record: None }));
        for (of, took) in counted(&record.took, &original.device).filter(|(_, took)| !took.kept) {
            let mut usage = turn.facts.usage(of.clone(), &took.promotion);
            usage.take_back(quote.day.number(), took.used);
            changes.push(Change::put(Key::Usage(of, took.promotion.clone()), Record::Usage(usage)));
        }
        changes.extend(leases::give_back(turn, &record.drawn));
    }
    let shown = back.lines.iter().map(|line| RefundLine {
        line: line.line.clone(),
        qty: line.qty,
        amount: line.amount,
        left: line.left,
    });
    let refund = Refund {
        decision: turn.reference(),
        original: view(original),
        refund: back.amount,
        lines: shown.collect(),
        points_ledger,
        points_balance_after,
        coupons_returned: returned,
        coupons_withdrawn: withdrawn,
        whole: back.whole,
        remarks: Vec::new(),
    };
    (refund, changes)
}
