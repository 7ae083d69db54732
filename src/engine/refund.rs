//! Void and return: what was frozen at the sale is given back, and what it earned is taken back.
//!
//! Both read the sale's own decision from the journal: the receipt holds each unit's share as it was settled, the quote
//! the return policies as they were. Points spent come back in proportion to the money, points earned go with the units
//! that earned them. When the whole sale has come back, so do its codes that are still good, into the wallet they came
//! from, and what it took of limits: as its record says, not as today's rules do.
//!
//! Order of checks: sale known (404) · not voided (409) · [void] nothing of it back yet (409) · [return] its own number
//! free (409) · lines known (404) · units left (422) · promotions that allow only a whole return (422).

use crate::domain::basket::TransactionKey;
use crate::domain::code::Code;
use crate::domain::ids::{CouponCode, LineId, PromotionId, Seq};
use crate::domain::money::Money;
use crate::domain::points::{PointsLine, PointsReason};
use crate::domain::receipt::SaleRecord;
use crate::pricing::returns::{self, Refunded, ReturnFault, SoldLine};

use super::Turn;
use super::decision::{Change, Entry, Facts, Key, Quote, Record};
use super::input::Return;
use super::reply::{LineUnits, Receipt, Refund, RefundLine, Refusal, Reply};
use super::sale::{counted, keep_newest, view};

/// What taking back a sale reads.
pub(super) fn needs(original: &TransactionKey, facts: &Facts) -> Vec<Key> {
    let mut keys = vec![Key::Sale(original.clone())];
    let Some(sale) = facts.sale(original) else { return keys };
    keys.push(Key::Decision(sale.decision));
    if let Some(member) = &sale.member {
        keys.extend([Key::Member(member.clone()), Key::Ledger(member.clone())]);
    }
    let took = counted(&sale.took, &original.device);
    keys.extend(took.map(|(of, took)| Key::Usage(of, took.promotion.clone())));
    if let Some((_, receipt)) = facts.decision(sale.decision).and_then(sold) {
        keys.extend(receipt.coupons_burned.iter().map(|code| Key::Code(code.clone())));
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
            format!("sale {device} {business_day} {seq} was voided{}", by(turn, record.taken_back)),
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
            format!(
                "units of it came back{}; return the rest line by line",
                by(turn, sale.record.taken_back)
            ),
        ));
    }
    let units = |line: &LineUnits| line.shares.iter().map(|share| share.qty).sum();
    let all = sale.receipt.units.iter().map(|line| (line.line.clone(), units(line))).collect::<Vec<_>>();
    let mut back = worked_out(turn, &sale, &all)?;
    back.amount = sale.record.total;
    let (refund, mut changes) = take_back(turn, key, &sale, &back);
    let taken_back = Some(turn.seq);
    let record = SaleRecord { voided: true, refunded: back.amount, taken_back, ..sale.record.clone() };
    changes.push(Change::put(Key::Sale(key.clone()), Record::Sale(record)));
    Ok((Reply::Refund(Box::new(refund)), changes))
}

/// Answers `return`.
pub(super) fn give_back(turn: &Turn<'_>, back: &Return) -> Result<(Reply, Vec<Change>), Refusal> {
    let sale = find(turn, &back.original)?;
    let number = &back.transaction;
    if let Some(known) = turn.facts.sale(number) {
        let TransactionKey { device, business_day, seq } = number;
        let by = by(turn, Some(known.decision));
        let detail = format!("{device} {business_day} {seq} is the number of a transaction that stands{by}");
        return Err(Refusal::new(Code::TransactionExists, detail));
    }
    let mut worked_out = worked_out(turn, &sale, &back.lines)?;
    worked_out.amount = worked_out.amount.min((sale.record.total - sale.record.refunded).max(Money::ZERO));
    let (refund, mut changes) = take_back(turn, &back.original, &sale, &worked_out);
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
        ..sale.record.clone()
    };
    changes.push(Change::put(Key::Sale(back.original.clone()), Record::Sale(record)));
    changes.push(Change::put(Key::Sale(number.clone()), Record::Sale(own)));
    Ok((Reply::Refund(Box::new(refund)), changes))
}

/// What these units are worth by the sale's frozen shares and policies.
fn worked_out(turn: &Turn<'_>, sale: &Sold<'_>, back: &[(LineId, u32)]) -> Result<Refunded, Refusal> {
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
        let by = match code {
            Code::NothingLeftToReturn => by(turn, sale.record.taken_back),
            _ => String::new(),
        };
        Refusal::new(code, format!("{fault}{by}"))
    })
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
        let stands = |code: &&CouponCode| {
            turn.facts.code(code).is_some_and(|code| code.expires.is_none_or(|expires| expires >= turn.now))
        };
        (receipt.coupons_burned.iter().filter(stands).cloned().collect(), issued.collect())
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
            for took in record.took.iter().filter(|took| took.member) {
                if let Some(usage) = ledger.usage.get_mut(&took.promotion) {
                    usage.take_back(quote.day.number(), took.used);
                }
            }
            ledger.coupons.extend(record.held.iter().filter(|held| returned.contains(&held.code)).cloned());
            keep_newest(&mut ledger.coupons);
        }
        points_balance_after = Some(ledger.points.balance());
        changes.push(Change::put(Key::Ledger(member.id), Record::Ledger(Box::new(ledger))));
    }
    if undoes {
        let burned = receipt.coupons_burned.iter();
        changes.extend(burned.map(|code| Change { key: Key::Redeemed(code.clone()), record: None }));
        changes.extend(withdrawn.iter().map(|code| Change { key: Key::Code(code.clone()), record: None }));
        for (of, took) in counted(&record.took, &original.device) {
            let mut usage = turn.facts.usage(of.clone(), &took.promotion);
            usage.take_back(quote.day.number(), took.used);
            changes.push(Change::put(Key::Usage(of, took.promotion.clone()), Record::Usage(usage)));
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
