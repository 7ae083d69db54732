//! Void and return: what was frozen at the sale is given back, and what it earned is taken back.
//!
//! Both read the sale's own decision from the journal: the quote it settled holds each unit's share, the codes, the
//! points and the return policies as they were. Points spent come back in proportion to the money, points earned go
//! with the units that earned them; codes and quotas come back when the whole sale has.
//!
//! Order of checks: sale known (404) · not voided (409) · [void] nothing of it back yet (409) · [return] its own number
//! free (409) · lines known (404) · units left (422) · promotions that allow only a whole return (422).

use std::collections::BTreeMap;

use crate::domain::basket::TransactionKey;
use crate::domain::code::Code;
use crate::domain::ids::{CouponCode, LineId};
use crate::domain::member::Ledger;
use crate::domain::money::{Money, Rounding};
use crate::domain::points::{PointsLine, PointsReason};
use crate::domain::receipt::SaleRecord;
use crate::pricing::returns::{Owed, blocked_by, owed};

use super::Turn;
use super::decision::{Change, Entry, Facts, Key, Quote, Record};
use super::input::Return;
use super::quotes::uses;
use super::reply::{Receipt, Refund, RefundLine, Refusal, Reply};
use super::sale::{SHOP_SCOPES, has_limit, view};

/// What taking back a sale reads.
pub(super) fn needs(original: &TransactionKey, facts: &Facts) -> Vec<Key> {
    let mut keys = vec![Key::Sale(original.clone())];
    let Some(sale) = facts.sale(original) else { return keys };
    keys.push(Key::Decision(sale.decision));
    if let Some(member) = &sale.member {
        keys.extend([Key::Member(member.clone()), Key::Ledger(member.clone())]);
    }
    if let Some((quote, _)) = facts.decision(sale.decision).and_then(sold) {
        keys.extend(quote.priced.applied.iter().map(|applied| Key::Usage(applied.promotion.clone())));
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
    let all = sale.quote.priced.lines.iter().map(|line| (line.line.clone(), line.units)).collect();
    let mut record = sale.record.clone();
    record.voided = true;
    let (refund, mut changes) = take_back(turn, key, &sale, &BTreeMap::new(), &all);
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
    let before: BTreeMap<LineId, u32> = sale.record.returned.iter().cloned().collect();
    let mut after = before.clone();
    for (id, qty) in &back.lines {
        let line = sale.quote.priced.lines.iter().find(|line| line.line == *id);
        let line =
            line.ok_or_else(|| Refusal::new(Code::UnknownLine, format!("the sale has no line {id}")))?;
        let units = after.entry(id.clone()).or_default();
        if *qty > line.units - *units {
            let left = line.units - *units;
            return Err(Refusal::new(
                Code::NothingLeftToReturn,
                format!("line {id}: {qty} to return, {left} left"),
            ));
        }
        *units += qty;
    }
    if let Some(promotion) = blocked_by(&sale.quote.priced.lines, &after, &sale.quote.return_policies) {
        let detail = format!("{promotion} allows its units back only all at once");
        return Err(Refusal::new(Code::PartialReturnBlocked, detail));
    }
    let (refund, mut changes) = take_back(turn, &back.original, &sale, &before, &after);
    let mut record = sale.record.clone();
    record.returned = after.into_iter().collect();
    let own = SaleRecord {
        decision: turn.seq,
        total: -refund.refund,
        is_return: true,
        returned: Vec::new(),
        ..sale.record.clone()
    };
    changes.push(Change::put(Key::Sale(back.original.clone()), Record::Sale(record)));
    changes.push(Change::put(Key::Sale(number.clone()), Record::Sale(own)));
    Ok((Reply::Refund(Box::new(refund)), changes))
}

/// The refund of going from `before` to `after` units back, and what it changes (the sale records not among it).
fn take_back(
    turn: &Turn<'_>,
    original: &TransactionKey,
    sale: &Sold<'_>,
    before: &BTreeMap<LineId, u32>,
    after: &BTreeMap<LineId, u32>,
) -> (Refund, Vec<Change>) {
    let Sold { record, quote, receipt } = sale;
    let lines = &quote.priced.lines;
    let owed_at = |back: &BTreeMap<LineId, u32>| owed(lines, back, &quote.return_policies);
    let (owed_before, owed_after) = (owed_at(before), owed_at(after));
    let mut shown = Vec::new();
    for line in lines {
        let units = |back: &BTreeMap<LineId, u32>| back.get(&line.line).copied().unwrap_or_default();
        let amount = owed_after[&line.line].amount - owed_before[&line.line].amount;
        if units(after) != units(before) || amount != Money::ZERO {
            let (qty, left) = (units(after) - units(before), line.units - units(after));
            shown.push(RefundLine { line: line.line.clone(), qty, amount, left });
        }
    }
    let total = |owed: &BTreeMap<LineId, Owed>| owed.values().map(|line| line.amount).sum::<Money>();
    let earned = |owed: &BTreeMap<LineId, Owed>| owed.values().map(|line| line.points).sum::<i64>();
    let whole = lines.iter().all(|line| after.get(&line.line).copied().unwrap_or_default() == line.units);
    let clawed = if whole { quote.priced.points.earn } else { earned(&owed_after) } - earned(&owed_before);
    let spent_at = |owed: &BTreeMap<LineId, Owed>, whole: bool| match quote.priced.total {
        _ if whole => quote.priced.points.spend,
        Money(0) => 0,
        Money(paid) => Money(quote.priced.points.spend).ratio(total(owed).0, paid, Rounding::HalfDown).0,
    };
    let given_back = spent_at(&owed_after, whole) - spent_at(&owed_before, false);
    let mut points_ledger = Vec::new();
    if clawed != 0 {
        points_ledger.push(PointsLine { reason: PointsReason::ClawBack, points: -clawed, promotion: None });
    }
    if given_back != 0 {
        points_ledger.push(PointsLine {
            reason: PointsReason::GiveBack,
            points: given_back,
            promotion: None,
        });
    }
    let refund = total(&owed_after) - total(&owed_before);
    let counts = !record.training;
    let (returned, withdrawn): (Vec<CouponCode>, Vec<CouponCode>) = if whole && counts {
        let issued = receipt.coupons_issued.iter().map(|coupon| coupon.code.clone());
        (receipt.coupons_burned.clone(), issued.collect())
    } else {
        (Vec::new(), Vec::new())
    };
    let mut changes = Vec::new();
    let mut points_balance_after = None;
    let member = record.member.as_ref().and_then(|id| turn.facts.member(id)).filter(|_| counts);
    if let Some(member) = member {
        let mut ledger: Ledger = member.ledger;
        ledger.spend -= refund;
        ledger.points.book(turn.seq, given_back - clawed);
        ledger.coupons.retain(|held| !withdrawn.contains(&held.code));
        if whole {
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
    if whole && counts {
        changes.extend(returned.iter().map(|code| Change { key: Key::Redeemed(code.clone()), record: None }));
        changes.extend(withdrawn.iter().map(|code| Change { key: Key::Code(code.clone()), record: None }));
        for (promotion, used) in uses(quote) {
            if has_limit(turn.bundle.book.promotion(promotion), SHOP_SCOPES) {
                let mut usage = turn.facts.usage(promotion);
                usage.take_back(quote.day.number(), used);
                changes.push(Change::put(Key::Usage(promotion.clone()), Record::Usage(usage)));
            }
        }
    }
    let refund = Refund {
        decision: turn.reference(),
        original: view(original),
        refund,
        lines: shown,
        points_ledger,
        points_balance_after,
        coupons_returned: returned,
        coupons_withdrawn: withdrawn,
        whole,
    };
    (refund, changes)
}
