//! What the shop learns of a member from sales, voids, returns, events and feedback: the member's `History`, changed in
//! the decision it comes from.
//!
//! Nobody who did not agree to `consent.personal` is learned of; whoever takes that back is forgotten in the same decision.
//! What cannot be believed (a device's clock that is ahead, news that is too late, an article or a token nobody knows) is
//! kept in the journal, counted nowhere, and said so in the answer, each with its code.

use std::collections::BTreeSet;
use std::sync::Arc;

use crate::bundle::Bundle;
use crate::domain::calendar::{Day, UnixMs};
use crate::domain::code::Code;
use crate::domain::history::{Bought, History, Mark, Moves, Returned, number_of};
use crate::domain::ids::{CategoryId, DeviceId, MemberId, SegmentId, Sku};
use crate::domain::member::{Ledger, Member, TokenHash};
use crate::domain::money::Money;
use crate::domain::receipt::SaleRecord;
use crate::limits;
use crate::pricing::outcome::Priced;
use crate::pricing::returns::Refunded;

use super::decision::{Change, Key, Known, Quote, Record};
use super::input::{Event, Feedback};
use super::reply::{Noted, Receipt, Refusal, Remark, Reply};
use super::{Turn, orders};

type Part = (Option<CategoryId>, Money);

/// Coupons that a decision gives, uses up and lets go.
#[derive(Clone, Copy, Default)]
pub(super) struct Coupons {
    pub(super) issued: usize,
    pub(super) used: usize,
    pub(super) expired: usize,
}

/// What a sale teaches of its member; `ledger` is theirs after it.
pub(super) fn bought(
    turn: &Turn<'_>,
    member: &Member,
    ledger: &Ledger,
    (bundle, quote, settled): (&Bundle, &Quote, &Priced),
    coupons: Coupons,
) -> Option<Change> {
    learned(turn, member, ledger, |history| {
        let lines: Vec<Part> =
            settled.lines.iter().map(|line| (category(bundle, &line.sku), line.net)).collect();
        history.bought(&Bought {
            decision: turn.seq,
            day: quote.day,
            channel: quote.asked.channel,
            spend: settled.total,
            lines: &lines,
        });
        let counts = &mut history.coupons;
        for (count, more) in [
            (&mut counts.issued, coupons.issued),
            (&mut counts.used, coupons.used),
            (&mut counts.expired, coupons.expired),
        ] {
            *count = count.saturating_add(u32::try_from(more).unwrap_or(u32::MAX));
        }
    })
}

/// What goods that come back take out of it; `ledger` is the member's after that, and learns its last visit.
pub(super) fn taken_back(
    turn: &Turn<'_>,
    member: &Member,
    ledger: &mut Ledger,
    (record, quote, receipt): (&SaleRecord, &Quote, &Receipt),
    back: &Refunded,
) -> Option<Change> {
    let skus = &quote.asked.basket.lines;
    let sku = |line: &_| skus.iter().find(|known| known.line == *line).map(|known| &known.sku);
    let lines = back
        .lines
        .iter()
        .map(|line| (sku(&line.line).and_then(|sku| category(turn.bundle, sku)), line.amount));
    let lines: Vec<Part> = lines.collect();
    let left = record.total - record.refunded;
    let returned = Returned {
        decision: record.decision,
        day: quote.day,
        spend: if back.whole { left } else { back.amount },
        lines: &lines,
        whole: back.whole,
    };
    let mut history = member.history.as_deref().filter(|_| member.profile.consent.personal)?.clone();
    history.returned(&returned);
    if back.whole && record.decision >= history.since {
        let counts = &mut history.coupons;
        for (count, less) in [
            (&mut counts.issued, receipt.coupons_issued.len()),
            (&mut counts.used, receipt.coupons_burned.len()),
        ] {
            *count = count.saturating_sub(u32::try_from(less).unwrap_or(u32::MAX));
        }
        ledger.last_visit = match history.newest() {
            Some(day) => Some(Day::from_number(day.into())),
            None => ledger.last_visit.filter(|_| ledger.visits > 0),
        };
    }
    learned(turn, member, ledger, |known| *known = history)
}

/// The member's history once `teach` has taught it, and the segments that moved them; gone where they may not be learned of.
fn learned(
    turn: &Turn<'_>,
    member: &Member,
    ledger: &Ledger,
    teach: impl FnOnce(&mut History),
) -> Option<Change> {
    if !member.profile.consent.personal {
        return forgotten(turn, &member.id);
    }
    let mut history = member.history.as_deref().cloned().unwrap_or_else(|| History::beginning(turn.seq));
    teach(&mut history);
    history.moves = Moves::default();
    let mut after = Member { ledger: ledger.clone(), history: Some(Arc::new(history)), ..member.clone() };
    let moves = moves(turn, member, &after);
    if let Some(history) = &mut after.history {
        Arc::make_mut(history).moves = moves;
    }
    after.history.map(|history| Change::put(Key::History(after.id), Record::History(history)))
}

/// Segments that a decision moves a member into and out of, all of one day.
fn moves(turn: &Turn<'_>, before: &Member, after: &Member) -> Moves {
    let segments = &turn.bundle.segments;
    let today = turn.bundle.shop.time_zone.civil(turn.now).day;
    let [before, after] = [before, after].map(|member| segments.of(member, today));
    let [was, is]: [BTreeSet<&SegmentId>; 2] = [&before, &after].map(|of| of.iter().collect());
    let some = |of: &BTreeSet<&SegmentId>, without: &BTreeSet<&SegmentId>| -> Vec<SegmentId> {
        of.difference(without).take(limits::HISTORY_MOVES_MAX).map(|id| (*id).clone()).collect()
    };
    let (entered, left) = (some(&is, &was), some(&was, &is));
    if entered.is_empty() && left.is_empty() {
        return Moves::default();
    }
    Moves { decision: turn.seq, entered, left }
}

/// What was learned of someone goes, where there is anything.
pub(super) fn forgotten(turn: &Turn<'_>, id: &MemberId) -> Option<Change> {
    let key = Key::History(id.clone());
    turn.facts.get(&key).is_some().then_some(Change { key, record: None })
}

/// Where an article stands: the last of its categories.
fn category(bundle: &Bundle, sku: &Sku) -> Option<CategoryId> {
    bundle.book.item(sku)?.categories.last().cloned()
}

/// What an event reads beside its member.
pub(super) fn needs_of_event(event: &Event) -> Vec<Key> {
    event.link.map(Key::Token).into_iter().collect()
}

/// Answers `event`. Order of checks: an order's own (see `orders`); of one that says something of a member: known (422) · [link] not somebody else's (409),
/// not too many (422) · [mark] they agreed to be learned of (422).
///
/// # Errors
/// See there.
pub(super) fn event(
    turn: &Turn<'_>,
    (device, at): (&DeviceId, Option<UnixMs>),
    event: &Event,
) -> Result<(Reply, Vec<Change>), Refusal> {
    let mut changes = match &event.order {
        Some(order) => orders::pick_up(turn, device, order)?,
        None => Vec::new(),
    };
    let mut remarks = Vec::new();
    let day = believed(turn, at, &mut remarks);
    if let Some(sku) = event.sku.as_ref().filter(|sku| turn.bundle.book.item(sku).is_none()) {
        remarks.push(Remark::new(Code::UnknownSku, format!("{sku} is not in the catalogue")));
    }
    let shopper = event.member.and_then(|token| turn.facts.shopper(token));
    let says =
        event.link.is_some() || event.mark.is_some() || event.unmark.is_some() || event.consent.is_some();
    let Some(mut member) = shopper else {
        if says {
            return Err(Refusal::new(
                Code::MemberNeeded,
                "the event says something of a member nobody knows",
            ));
        }
        if event.member.is_some() {
            remarks.push(Remark::new(Code::TokenUnknown, "the event was counted for nobody"));
        }
        return Ok((noted(turn, remarks), changes));
    };
    let mut ledger = member.ledger.clone();
    if let Some(token) = event.link {
        changes.extend(linked(turn, &member.id, &mut ledger, token)?);
    }
    if let Some(consent) = event.consent
        && let Some(known) = turn.facts.known(&member.id)
    {
        let known = Known {
            withdrawn: !consent.programme,
            consent_at: Some(turn.now),
            profile: crate::domain::member::Profile { consent, ..known.profile.clone() },
            ..known.clone()
        };
        member.profile.consent = consent;
        changes.push(Change::put(Key::Member(member.id.clone()), Record::Member(Box::new(known))));
    }
    if event.mark.is_some() && !member.profile.consent.personal {
        let detail = "a mark is kept of members who agreed to consent.personal";
        return Err(Refusal::new(Code::ConsentNeeded, detail));
    }
    let is_news = day.is_some() || event.mark.is_some() || event.unmark.is_some() || event.consent.is_some();
    if is_news {
        let today = turn.bundle.shop.time_zone.civil(turn.now).day;
        changes.extend(learned(turn, &member, &ledger, |history| {
            if let Some(day) = day {
                history.saw(&event.kind, day);
            }
            if let Some(mark) = &event.mark {
                let until = mark.days.map(|days| number_of(today.plus_days(days.into())));
                history.mark(Mark { tag: mark.tag.clone(), source: device.clone(), until }, today);
            }
            if let Some(tag) = &event.unmark {
                history.unmark(tag);
            }
        }));
    }
    Ok((noted(turn, remarks), changes))
}

/// A further token of a member.
fn linked(
    turn: &Turn<'_>,
    id: &MemberId,
    ledger: &mut Ledger,
    token: TokenHash,
) -> Result<Vec<Change>, Refusal> {
    match turn.facts.owner(token) {
        Some(owner) if owner == id => return Ok(Vec::new()),
        Some(_) => {
            let detail = "the token to be linked belongs to another member";
            return Err(Refusal::new(Code::TokenTaken, detail));
        }
        None => {}
    }
    if ledger.linked >= limits::MEMBER_LINKED_MAX {
        let detail = format!("{} further tokens of this member are linked already", ledger.linked);
        return Err(Refusal::new(Code::TooManyTokens, detail));
    }
    ledger.linked += 1;
    Ok(vec![
        Change::put(Key::Token(token), Record::Token(id.clone())),
        Change::put(Key::Ledger(id.clone()), Record::Ledger(Box::new(ledger.clone()))),
    ])
}

/// Answers `feedback`: the score counts for whoever bought in the sale it names.
pub(super) fn feedback(turn: &Turn<'_>, at: Option<UnixMs>, feedback: &Feedback) -> (Reply, Vec<Change>) {
    let mut remarks = Vec::new();
    let day = believed(turn, at, &mut remarks);
    let sale = feedback.transaction.as_ref().map(|key| (key, turn.facts.sale(key)));
    if let Some((key, None)) = sale {
        let detail = format!("no sale {} {} {} is known in this shop", key.device, key.business_day, key.seq);
        remarks.push(Remark::new(Code::UnknownTransaction, detail));
    }
    let member = sale.and_then(|(_, sale)| turn.facts.member(sale?.member.as_ref()?));
    let change = member.zip(day).and_then(|(member, day)| {
        learned(turn, &member, &member.ledger, |history| history.rated(feedback.score, day))
    });
    (noted(turn, remarks), change.into_iter().collect())
}

fn noted(turn: &Turn<'_>, remarks: Vec<Remark>) -> Reply {
    Reply::Noted(Noted { decision: turn.reference(), remarks })
}

/// The civil day something was seen on, where the device's clock can be believed.
fn believed(turn: &Turn<'_>, at: Option<UnixMs>, remarks: &mut Vec<Remark>) -> Option<Day> {
    let at = at.unwrap_or(turn.now);
    let late = turn.now.ms_since(at);
    if (-limits::EVENT_AHEAD_MS_MAX..=limits::EVENT_LATE_MS_MAX).contains(&late) {
        return Some(turn.bundle.shop.time_zone.civil(at.min(turn.now)).day);
    }
    let detail =
        format!("at is {}, here it is {}: kept, and not counted", turn.stamp(at), turn.stamp(turn.now));
    remarks.push(Remark::new(Code::TimeNotBelieved, detail));
    None
}
