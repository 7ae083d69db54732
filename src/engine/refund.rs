//! Void and return: what was frozen at the sale is given back, and what it earned is taken back.
//!
//! Both read the sale's own decision from the journal: the receipt holds each unit's share as it was settled, the quote
//! the return policies as they were. Points spent come back in proportion to the money, points earned go
//! with the units that earned them; codes and quotas come back when the whole sale has.
//!
//! Order of checks: sale known (404) · not voided (409) · [void] nothing of it back yet (409) · [return] its own number
//! free (409) · lines known (404) · units left (422) · promotions that allow only a whole return (422).

use crate::bundle::Bundle;
use crate::domain::basket::TransactionKey;
use crate::domain::code::Code;
use crate::domain::ids::{CouponCode, LineId, PromotionId};
use crate::domain::money::Money;
use crate::domain::points::{PointsLine, PointsReason};
use crate::domain::receipt::SaleRecord;
use crate::pricing::returns::{self, Refunded, ReturnFault, SoldLine};

use super::Turn;
use super::decision::{Change, Entry, Facts, Key, Quote, Record};
use super::input::Return;
use super::quotes::uses;
use super::reply::{LineUnits, Receipt, Refund, RefundLine, Refusal, Reply};
use super::sale::{counted, view};

/// What taking back a sale reads.
pub(super) fn needs(bundle: &Bundle, original: &TransactionKey, facts: &Facts) -> Vec<Key> {
    let mut keys = vec![Key::Sale(original.clone())];
    let Some(sale) = facts.sale(original) else { return keys };
    keys.push(Key::Decision(sale.decision));
    if let Some(member) = &sale.member {
        keys.extend([Key::Member(member.clone()), Key::Ledger(member.clone())]);
    }
    if let Some((quote, _)) = facts.decision(sale.decision).and_then(sold) {
        keys.extend(counted(bundle, quote).map(|(of, promotion, _)| Key::Usage(of, promotion.clone())));
    }
    keys
}

fn sold(entry: &Entry) -> Option<(&Quote, &Receipt)> {
    let Ok(Reply::Commit(receipt)) = &entry.answer else { return None };
    let quote = entry.facts.quotes().next()?;
    Some((quote, receipt))
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
            format!("sale {device} {business_day} {seq} was voided"),
        ));
    }
    let (quote, receipt) = turn.facts.decision(record.decision).and_then(sold).ok_or_else(|| {
        Refusal::later(Code::Busy, format!("decision {} cannot be read now", record.decision.0), 1_000)
    })?;
    Ok(Sold { record, quote, receipt })
}

/// Answers `void`.
pub(super) fn void(turn: &Turn<'_>, key: &TransactionKey) -> Result<(Reply, Vec<Change>), Refusal> {
    let sale = find(turn, key)?;
    if !sale.record.returned.is_empty() {
        return Err(Refusal::new(
            Code::VoidAfterReturn,
            "units of it were returned; return the rest line by line",
        ));
    }
    let units = |line: &LineUnits| line.shares.iter().map(|share| share.qty).sum();
    let all = sale.receipt.units.iter().map(|line| (line.line.clone(), units(line))).collect::<Vec<_>>();
    let mut back = worked_out(&sale, &all)?;
    back.amount = sale.record.total;
    let (refund, mut changes) = take_back(turn, key, &sale, &back);
    let record = SaleRecord { voided: true, refunded: back.amount, ..sale.record.clone() };
    changes.push(Change::put(Key::Sale(key.clone()), Record::Sale(record)));
    Ok((Reply::Refund(Box::new(refund)), changes))
}

/// Answers `return`.
pub(super) fn give_back(turn: &Turn<'_>, back: &Return) -> Result<(Reply, Vec<Change>), Refusal> {
    let sale = find(turn, &back.original)?;
    let number = &back.transaction;
    if turn.facts.sale(number).is_some() {
        let detail = format!(
            "{} {} {} is taken by another transaction",
            number.device, number.business_day, number.seq
        );
        return Err(Refusal::new(Code::TransactionExists, detail));
    }
    let mut worked_out = worked_out(&sale, &back.lines)?;
    worked_out.amount = worked_out.amount.min((sale.record.total - sale.record.refunded).max(Money::ZERO));
    let (refund, mut changes) = take_back(turn, &back.original, &sale, &worked_out);
    let mut record = sale.record.clone();
    record.refunded += worked_out.amount;
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
        ..sale.record.clone()
    };
    changes.push(Change::put(Key::Sale(back.original.clone()), Record::Sale(record)));
    changes.push(Change::put(Key::Sale(number.clone()), Record::Sale(own)));
    Ok((Reply::Refund(Box::new(refund)), changes))
}

/// What these units are worth by the sale's frozen shares and policies.
fn worked_out(sale: &Sold<'_>, back: &[(LineId, u32)]) -> Result<Refunded, Refusal> {
    let sold: Vec<SoldLine<'_>> = sale
        .receipt
        .units
        .iter()
        .map(|line| SoldLine {
            line: &line.line,
            shares: &line.shares,
            returned: sale.record.returned_units(&line.line),
        })
        .collect();
    let policy = |id: &PromotionId| sale.quote.return_policies.get(id).copied().unwrap_or_default();
    returns::refund(&sold, back, sale.record.refunded, &policy).map_err(|fault| {
        let code = match &fault {
            ReturnFault::UnknownLine(_) => Code::UnknownLine,
            ReturnFault::TooMany { .. } => Code::NothingLeftToReturn,
            ReturnFault::PartialBlocked(_) => Code::PartialReturnBlocked,
        };
        Refusal::new(code, fault.to_string())
    })
}

/// The refund document and what it changes (the sale records not among it).
fn take_back(
    turn: &Turn<'_>,
    original: &TransactionKey,
    sale: &Sold<'_>,
    back: &Refunded,
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
        (receipt.coupons_burned.clone(), issued.collect())
    } else {
        (Vec::new(), Vec::new())
    };
    let mut changes = Vec::new();
    let mut points_balance_after = None;
    let member = record.member.as_ref().and_then(|id| turn.facts.member(id)).filter(|_| counts);
    if let Some(member) = member {
        let mut ledger = member.ledger;
        ledger.spend -= back.amount;
        ledger.points.book(turn.seq, back.points_given - back.points_taken);
        ledger.coupons.retain(|held| !withdrawn.contains(&held.code));
        if back.whole {
            ledger.visits = ledger.visits.saturating_sub(1);
            ledger.voided += 1;
            for (promotion, used) in uses(quote) {
                if let Some(usage) = ledger.usage.get_mut(promotion) {
                    usage.take_back(quote.day.number(), used);
                }
            }
        }
        points_balance_after = Some(ledger.points.balance());
        changes.push(Change::put(Key::Ledger(member.id), Record::Ledger(Box::new(ledger))));
    }
    if undoes {
        changes.extend(returned.iter().map(|code| Change { key: Key::Redeemed(code.clone()), record: None }));
        changes.extend(withdrawn.iter().map(|code| Change { key: Key::Code(code.clone()), record: None }));
        for (of, promotion, used) in counted(turn.bundle, quote) {
            let mut usage = turn.facts.usage(of.clone(), promotion);
            usage.take_back(quote.day.number(), used);
            changes.push(Change::put(Key::Usage(of, promotion.clone()), Record::Usage(usage)));
        }
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
    };
    (refund, changes)
}
