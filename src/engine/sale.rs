//! Quote and commit: a basket priced with what is known, and the sale it becomes.
//!
//! A quote remembers everything pricing saw (`Quote`), so its commit settles the same figures under the same rules,
//! and a replay prices them again. A commit that brings a basket is quoted and settled in one step.
//!
//! Order of checks of a commit: transaction known (first answer again, or 409) · quote known and this device's
//! (410, 403) · basket priced (404, 422) · codes still free and at home here (409) · points still there (422) · payments (422).
//! A sale is priced by the box's clock as it arrives, whatever moment its `at` names: that is only recorded. A quote of
//! another moment tells that moment's price; it is sold if it comes to the same now, else 410.
//! A sale rung up while the daemon was away (`charged`) is never refused for its rules: it is priced as of when it was
//! paid, what the till charged stands, and the difference is flagged.

use std::borrow::Cow;
use std::collections::BTreeMap;
use std::sync::Arc;

use sha2::{Digest as _, Sha256};

use crate::bundle::Bundle;
use crate::bundle::voucher::used_as;
use crate::domain::basket::{Tender, TenderKind, TransactionKey};
use crate::domain::calendar::UnixMs;
use crate::domain::code::Code;
use crate::domain::ids::{CouponCode, DeviceId, PromotionId, Seq, Sku};
use crate::domain::member::{HeldCoupon, Ledger, Member, Usage, Used};
use crate::domain::money::Money;
use crate::domain::receipt::{SaleRecord, Took};
use crate::domain::text::Lang;
use crate::limits;
use crate::pricing::model::{LimitScope, Promotion, ReturnPolicy};
use crate::pricing::outcome::{Applied, Issue, Priced};
use crate::pricing::{PriceFault, Sale, Shopper};

use super::advice::Asked;
use super::charged::{as_charged, name_prices};
use super::codes::{self, LookUp};
use super::decision::{Change, Facts, IssuedCode, Key, Quote, Record, UsageOf};
use super::input::{Commit, QuoteBody, Sold};
use super::issue::Given;
use super::learning::{self, Coupons};
use super::quotes::{OpenQuotes, uses};
use super::referral;
use super::reply::{
    Answer, AppliedView, ChargedView, CouponView, DataAge, Figures, GiftChoice, IssuedCoupon, LineUnits,
    LineView, NearView, NotAppliedView, PointsFigures, QuoteReply, Receipt, Refusal, Remark, Reply,
    Suggestion, TransactionView,
};
use super::{Turn, leases};

/// What pricing a basket reads, beside its member.
pub(super) fn needs(bundle: &Bundle, asked: &QuoteBody, device: &DeviceId, facts: &Facts) -> Vec<Key> {
    let mut keys = codes::needs(bundle, asked, facts);
    for promotion in bundle.book.limited(&asked.basket) {
        if has_limit(bundle.book.promotion(&promotion), &[LimitScope::Device]) {
            keys.push(Key::Usage(UsageOf::Device(device.clone()), promotion.clone()));
        }
        keys.push(Key::Usage(UsageOf::Shop, promotion));
    }
    keys
}

/// What settling a commit reads.
pub(super) fn needs_of_commit(
    bundle: &Bundle,
    quotes: &OpenQuotes,
    commit: &Commit,
    device: &DeviceId,
    facts: &Facts,
) -> Vec<Key> {
    let mut keys = vec![Key::Sale(commit.transaction.clone())];
    if let Some(decision) = committed_before(commit, facts) {
        return vec![Key::Decision(decision)];
    }
    match &commit.sold {
        Sold::Basket(asked) => keys.extend(needs(bundle, asked, device, facts)),
        Sold::Quote(id) => {
            // Read again when it is settled: a superseded quote is priced again, for the same member.
            keys.extend(quotes.get(id).into_iter().flat_map(|open| open.reads.iter().cloned()));
        }
    }
    keys
}

/// Answers `quote`.
pub(super) fn quote(
    turn: &Turn<'_>,
    quotes: &mut OpenQuotes,
    device: &DeviceId,
    asked: &QuoteBody,
    suggest: bool,
) -> Answer {
    quotes.supersede(device, asked);
    let priced = price(turn, turn.bundle, quotes, device, asked, asked.at.unwrap_or(turn.now));
    quotes.conclude(priced.is_ok());
    let (mut quote, reasons) = priced?;
    quote.id = quotes.next_id();
    quotes.open(&quote, turn.bundle.clone(), turn.facts.keys().cloned().collect());
    let mut reply = quote_reply(turn, &quote, &reasons);
    if suggest {
        reply.recommendations = goes_with(turn, &quote);
    }
    Ok(Reply::Quote(Box::new(reply)))
}

/// What goes with the basket, as far as the shop's own sales tell.
fn goes_with(turn: &Turn<'_>, quote: &Quote) -> Vec<Suggestion> {
    let lang = turn.lang(quote.asked.lang, quote.member.as_ref().and_then(|member| member.profile.lang));
    let mut skus = quote.asked.basket.lines.iter().map(|line| &line.sku);
    let Some(advice) = turn.advice else { return Vec::new() };
    let member = quote.member.as_ref();
    let segments = member.map(|member| turn.bundle.segments.of(member, quote.day)).unwrap_or_default();
    let asked = Asked { member, segments: &segments, basket: &mut skus, now: turn.now, lang };
    advice.propose(turn.bundle, asked, limits::QUOTE_SUGGESTIONS_MAX)
}

/// The answer to `quote` that made this quote, found again by pricing again. `turn` is of then, with the quote's rules.
pub(super) fn quoted(turn: &Turn<'_>, quote: &Quote) -> Answer {
    let mut priced = price_again(turn.bundle, quote).map_err(refuse_fault)?;
    let reasons = Reasons::taken_from(&mut priced);
    Ok(Reply::Quote(Box::new(quote_reply(turn, quote, &reasons))))
}

fn quote_reply(turn: &Turn<'_>, quote: &Quote, reasons: &Reasons) -> QuoteReply {
    let lang = turn.lang(quote.asked.lang, quote.member.as_ref().and_then(|member| member.profile.lang));
    let mut figures = figures(turn, turn.bundle, (quote, &quote.priced), lang);
    figures.add_reasons(reasons, lang);
    QuoteReply {
        quote: quote.id.clone(),
        expires: turn.stamp(quote.expires),
        gift_choices: gift_choices(turn.bundle, quote),
        figures,
        recommendations: Vec::new(),
    }
}

/// Where a shopper may choose among gifts of what applied.
fn gift_choices(bundle: &Bundle, quote: &Quote) -> Vec<GiftChoice> {
    let gone = quote.asked.basket.gone();
    let choice = |applied: &Applied| {
        let gift = bundle.book.promotion(&applied.promotion)?.benefit.gift()?;
        let skus: Vec<_> = gift.choices.iter().filter(|sku| !gone.contains(sku)).cloned().collect();
        let is_one = skus.len() > gift.choose as usize;
        is_one.then(|| GiftChoice { promotion: applied.promotion.clone(), choose: gift.choose, skus })
    };
    quote.priced.applied.iter().filter_map(choice).collect()
}

/// Prices a basket as of `at`. The quote's own figures come without the reasons of what did not apply; those follow.
fn price(
    turn: &Turn<'_>,
    bundle: &Arc<Bundle>,
    quotes: &OpenQuotes,
    device: &DeviceId,
    asked: &QuoteBody,
    at: UnixMs,
) -> Result<(Quote, Reasons), Refusal> {
    let member = asked.member.and_then(|token| turn.facts.shopper(token));
    let member = member.map(|member| with_holds(member, quotes));
    let mut codes =
        LookUp { turn, bundle, quotes, member: member.as_ref(), at }.presented(&asked.basket.coupons);
    let lent = leases::lent(turn, quotes, member.as_ref(), &mut codes);
    let (mut usage, mut device_usage) = (BTreeMap::new(), BTreeMap::new());
    let limited = turn.facts.keys().filter_map(|key| match key {
        Key::Usage(UsageOf::Shop, promotion) => Some(promotion),
        _ => None,
    });
    for promotion in limited {
        if has_limit(bundle.book.promotion(promotion), &[LimitScope::Device]) {
            let mut on_device = turn.facts.usage(UsageOf::Device(device.clone()), promotion);
            if let Some(held) = quotes.held_on_device(device, promotion) {
                add_usage(&mut on_device, held);
            }
            if on_device != Usage::default() {
                device_usage.insert(promotion.clone(), on_device);
            }
        }
        let mut used = turn.facts.usage(UsageOf::Shop, promotion);
        if let Some(held) = quotes.held_usage(promotion) {
            add_usage(&mut used, held);
        }
        if used != Usage::default() {
            usage.insert(promotion.clone(), used);
        }
    }
    // Uses count on no day to come: it would hide those of today from every limit per day.
    let day = bundle.shop.time_zone.civil(at.min(turn.now)).day;
    let mut quote = Quote {
        id: crate::domain::ids::QuoteId::new("unnamed").expect("a constant id is valid"),
        device: device.clone(),
        made_at: at,
        day,
        expires: turn.now.plus_ms(i64::from(bundle.shop.quote_seconds) * 1_000),
        bundle: bundle.reference.clone(),
        asked: asked.clone(),
        member,
        codes,
        usage,
        device_usage,
        offline_hours: turn.offline_hours,
        lent,
        return_policies: BTreeMap::new(),
        priced: Priced::nothing(),
    };
    let mut priced = price_again(bundle, &quote).map_err(refuse_fault)?;
    let reasons = Reasons::taken_from(&mut priced);
    let policy =
        |id: &PromotionId| bundle.book.promotion(id).map(|promotion| promotion.returns).unwrap_or_default();
    let policies =
        priced.applied.iter().map(|applied| (applied.promotion.clone(), policy(&applied.promotion)));
    quote.return_policies = policies.filter(|(_, policy)| *policy != ReturnPolicy::Keep).collect();
    quote.priced = priced;
    Ok((quote, reasons))
}

/// Prices what a quote remembers, from nothing else: what `replay` does to the letter.
pub(super) fn price_again(bundle: &Bundle, quote: &Quote) -> Result<Priced, PriceFault> {
    let day = bundle.shop.time_zone.civil(quote.made_at).day;
    let segments = quote.member.as_ref().map(|member| bundle.segments.of(member, day)).unwrap_or_default();
    let shopper = Shopper {
        member: quote.member.as_ref(),
        segments: &segments,
        now: quote.made_at,
        zone: quote.asked.basket.zone.as_ref(),
    };
    bundle.book.price(&Sale {
        basket: &quote.asked.basket,
        shopper,
        codes: &quote.codes,
        device: &quote.device,
        channel: quote.asked.channel,
        usage: &quote.usage,
        device_usage: &quote.device_usage,
        offline_hours: quote.offline_hours,
        lent: quote.lent.as_ref(),
    })
}

struct Reasons {
    not_applied: Vec<crate::pricing::outcome::NotApplied>,
    near: Vec<crate::pricing::outcome::Near>,
}

impl Reasons {
    fn taken_from(priced: &mut Priced) -> Reasons {
        Reasons {
            not_applied: std::mem::take(&mut priced.not_applied),
            near: std::mem::take(&mut priced.near),
        }
    }
}

fn refuse_fault(fault: PriceFault) -> Refusal {
    match fault {
        PriceFault::UnknownSku { line, sku } => Refusal::new(
            Code::UnknownSku,
            format!("line {line}: {sku} is not in the catalogue and the line carries no unit_price"),
        ),
        fault @ PriceFault::AmountTooLarge { .. } => Refusal::new(Code::AmountTooLarge, fault.to_string()),
    }
}

/// The member with what their other open quotes hold already counted.
fn with_holds(mut member: Member, quotes: &OpenQuotes) -> Member {
    member.ledger.points.settled -= quotes.held_points(&member.id);
    if let Some(held) = quotes.held_by_member(&member.id) {
        for (promotion, usage) in held {
            add_usage(member.ledger.usage.entry(promotion.clone()).or_default(), usage);
        }
    }
    member
}

fn add_usage(usage: &mut Usage, held: &Usage) {
    let on_day = held.on_day(held.day);
    let ever = Used { uses: held.uses, units: held.units, money: held.money, points: held.points };
    usage.count(held.day, on_day);
    let before_today = Used {
        uses: ever.uses - on_day.uses,
        units: ever.units - on_day.units,
        money: ever.money - on_day.money,
        points: ever.points - on_day.points,
    };
    usage.count(held.day - 1, before_today);
}

type Committed = (Reply, Vec<Change>, Option<Box<Quote>>);

/// Answers `commit`: the receipt, what changes, and the quote it settles. A refused one leaves all holds as they were.
pub(super) fn commit(
    turn: &Turn<'_>,
    quotes: &mut OpenQuotes,
    device: &DeviceId,
    commit: &Commit,
) -> Result<Committed, Refusal> {
    let settled = settle(turn, quotes, device, commit);
    quotes.conclude(settled.is_ok());
    settled
}

fn settle(
    turn: &Turn<'_>,
    quotes: &mut OpenQuotes,
    device: &DeviceId,
    commit: &Commit,
) -> Result<Committed, Refusal> {
    if let Some(known) = turn.facts.sale(&commit.transaction) {
        let TransactionKey { device, business_day, seq } = &commit.transaction;
        let detail = format!(
            "{device} {business_day} {seq} was committed with another content as decision {}",
            known.decision.0
        );
        return Err(Refusal::new(Code::TransactionExists, detail));
    }
    let (quote, bundle) = settled_quote(turn, quotes, device, commit)?;
    let (settled, charged) = match &commit.charged {
        Some(charged) => {
            let (settled, view) = as_charged(&bundle, &quote.priced, charged);
            (Cow::Owned(settled), Some(view))
        }
        None => (Cow::Borrowed(&quote.priced), None),
    };
    if charged.is_none() {
        check_still_there(turn, &bundle, &quote)?;
        referral::check_still_new(turn, &bundle, &quote)?;
        check_tenders(&quote.priced, &commit.tenders)?;
    }
    let lang = turn.lang(quote.asked.lang, quote.member.as_ref().and_then(|member| member.profile.lang));
    let burned: Vec<CouponCode> = codes::burned(turn, &bundle, &quote).cloned().collect();
    let mut given = Given::of(turn);
    let issued = if commit.training || quote.member.is_none() {
        Vec::new()
    } else {
        issue(&mut given, turn, &bundle, &quote, lang)
    };
    let member = quote.member.as_ref().and_then(|member| turn.facts.member(&member.id));
    let took = if commit.training { Vec::new() } else { taken(&bundle, &quote) };
    let (drawn, lent_after) = if commit.training {
        Default::default()
    } else {
        leases::draw(turn, &bundle, &quote, charged.is_some())?
    };
    let rewarded = (!commit.training).then(|| referral::reward(turn, &bundle, &quote, &mut given)).flatten();
    let (taken_of_series, not_given) = given.done();
    let (referred, rewards) = rewarded.unzip();
    let mut changes: Vec<Change> = rewards.unwrap_or_default();
    let mut balance_after = member.as_ref().map(|member| member.ledger.points.balance());
    if !commit.training {
        if let Some(member) = &member {
            let ledger = ledger_after(turn, member, (&quote, &settled), &took, &issued);
            let expired = member.ledger.coupons.iter().filter(|held| held.expires < turn.now).count();
            let coupons = Coupons { issued: issued.len(), used: burned.len(), expired };
            changes.extend(learning::bought(turn, member, &ledger, (&bundle, &quote, &settled), coupons));
            balance_after = Some(ledger.points.balance());
            changes.push(Change::put(Key::Ledger(member.id.clone()), Record::Ledger(Box::new(ledger))));
        }
        changes.extend(burned.iter().map(|code| {
            Change::put(Key::Redeemed(used_as(code)), Record::Redeemed(commit.transaction.clone()))
        }));
        changes.extend(issued.iter().map(|(coupon, issued)| {
            Change::put(Key::Code(coupon.code.clone()), Record::Code(issued.clone()))
        }));
        changes.extend(usage_after(turn, &quote, &took));
        changes.extend(lent_after.into_iter().chain(taken_of_series));
    }
    changes.push(Change::put(
        Key::Sale(commit.transaction.clone()),
        Record::Sale(SaleRecord {
            decision: turn.seq,
            content: content_of(commit),
            member: member.as_ref().map(|member| member.id.clone()),
            total: settled.total,
            is_return: false,
            voided: false,
            training: commit.training,
            refunded: Money::ZERO,
            returned: Vec::new(),
            taken_back: None,
            held: member.iter().flat_map(|member| burned_of(member, &quote)).cloned().collect(),
            took,
            referred,
            drawn,
        }),
    ));
    let mut figures = figures(turn, &bundle, (&quote, &settled), lang);
    figures.points.balance_after = balance_after;
    let texts = texts(&bundle, &figures, charged.as_ref(), lang);
    let units = settled.lines.iter().map(|line| LineUnits {
        line: line.line.clone(),
        sku: line.sku.clone(),
        shares: line.shares.clone(),
    });
    let receipt = Receipt {
        decision: turn.reference(),
        transaction: view(&commit.transaction),
        member: member.map(|member| member.id),
        units: units.collect(),
        points_ledger: settled.points.lines.clone(),
        coupons_burned: burned,
        coupons_issued: issued.into_iter().map(|(coupon, _)| coupon).collect(),
        texts,
        training: commit.training,
        charged,
        figures,
        remarks: unknown_articles(&bundle, &quote).into_iter().chain(not_given).collect(),
    };
    drop(settled);
    Ok((Reply::Commit(Box::new(receipt)), changes, Some(Box::new(quote))))
}

/// Says which articles of a sale nobody knows: they were sold at the till's price, and count for no category.
fn unknown_articles(bundle: &Bundle, quote: &Quote) -> Option<Remark> {
    let lines = quote.asked.basket.lines.iter();
    let unknown: Vec<&Sku> =
        lines.map(|line| &line.sku).filter(|sku| bundle.book.item(sku).is_none()).collect();
    let first = unknown.first()?;
    let detail =
        format!("{} lines of articles that are not in the catalogue, {first} the first", unknown.len());
    Some(Remark::new(Code::UnknownSku, detail))
}

/// The decision that committed the very same sale before, under another request id.
pub(super) fn committed_before(commit: &Commit, facts: &Facts) -> Option<Seq> {
    facts
        .sale(&commit.transaction)
        .filter(|known| known.content == content_of(commit))
        .map(|known| known.decision)
}

/// What tells one sale from another under the same key, whatever request id it came with.
fn content_of(commit: &Commit) -> [u8; 16] {
    let bytes = rmp_serde::to_vec_named(commit).expect("a commit of plain data can always be written");
    let hash: [u8; 32] = Sha256::digest(&bytes).into();
    hash[..16].try_into().expect("half of 32 bytes is 16")
}

fn settled_quote(
    turn: &Turn<'_>,
    quotes: &mut OpenQuotes,
    device: &DeviceId,
    commit: &Commit,
) -> Result<(Quote, Arc<Bundle>), Refusal> {
    match &commit.sold {
        Sold::Quote(id) => {
            let open = quotes.get(id).ok_or_else(|| {
                Refusal::new(Code::QuoteExpired, format!("quote {id} is not open here any more"))
            })?;
            if open.device != *device {
                return Err(Refusal::new(
                    Code::QuoteOfAnotherDevice,
                    format!("quote {id} is {}'s", open.device),
                ));
            }
            let (quote, bundle) = (open.quote(), open.bundle.clone());
            let is_of_its_moment = quote.asked.at.is_none() || commit.charged.is_some();
            if is_of_its_moment && !quotes.is_superseded(id) {
                return Ok((quote, bundle));
            }
            // Its successor holds the same things for the same basket: one of the two becomes the sale.
            quotes.supersede(device, &quote.asked);
            let at = if is_of_its_moment { quote.made_at } else { turn.now };
            let (again, _) = price(turn, &bundle, quotes, device, &quote.asked, at)?;
            let scarce = |quote: &Quote| {
                let used = quote.priced.applied.iter().map(|one| one.promotion.clone());
                let codes = codes::effective(quote).cloned();
                (used.collect::<Vec<_>>(), codes.collect::<Vec<_>>(), quote.priced.points.spend)
            };
            let same_use = scarce(&again) == scarce(&quote);
            if !same_use || again.priced.total != quote.priced.total {
                let detail = if is_of_its_moment {
                    format!("quote {id} was superseded and what it needed has been used since")
                } else {
                    format!("quote {id} was asked for another moment and comes to something else now")
                };
                return Err(Refusal::new(Code::QuoteExpired, detail));
            }
            Ok((if is_of_its_moment { quote } else { Quote { id: id.clone(), ..again } }, bundle))
        }
        Sold::Basket(asked) => {
            quotes.supersede(device, asked);
            let at = commit.charged.as_ref().map_or(turn.now, |charged| charged.at.min(turn.now));
            let mut asked = asked.clone();
            let mut quote = loop {
                match price(turn, turn.bundle, quotes, device, &asked, at) {
                    Ok((quote, _)) => break quote,
                    Err(refusal) if refusal.code == Code::UnknownSku => match &commit.charged {
                        Some(charged) if name_prices(&mut asked.basket, turn.bundle, charged) => {}
                        _ => return Err(refusal),
                    },
                    Err(refusal) => return Err(refusal),
                }
            };
            quote.id = crate::domain::ids::QuoteId::new(&format!("s{:x}", turn.seq.0))
                .expect("hexadecimal is an id");
            Ok((quote, turn.bundle.clone()))
        }
    }
}

fn check_still_there(turn: &Turn<'_>, bundle: &Bundle, quote: &Quote) -> Result<(), Refusal> {
    codes::check_still_free(turn, quote)?;
    codes::check_still_home(turn, bundle, quote)?;
    let spend = quote.priced.points.spend;
    if spend > 0 {
        let member = quote.member.as_ref().and_then(|member| turn.facts.member(&member.id));
        let Some(member) = member else {
            return Err(Refusal::new(
                Code::MemberNeeded,
                format!("{spend} points were to be spent by nobody known"),
            ));
        };
        let spendable = member.ledger.points.spendable();
        if spendable < spend {
            return Err(Refusal::new(
                Code::TooFewPoints,
                format!("{spend} points were to be spent, {spendable} are there"),
            ));
        }
    }
    Ok(())
}

/// Payments must cover the total; gift cards pay what pricing took from them unless the till lists them itself.
fn check_tenders(priced: &Priced, tenders: &[Tender]) -> Result<(), Refusal> {
    let of = |wanted: &dyn Fn(TenderKind) -> bool| -> Money {
        tenders.iter().filter(|tender| wanted(tender.kind)).map(|tender| tender.amount).sum()
    };
    let gift_cards = of(&|kind| kind == TenderKind::GiftCard);
    let from_cards: Money = priced.gift_cards.iter().map(|card| card.used).sum();
    let paid =
        of(&|kind| !matches!(kind, TenderKind::GiftCard | TenderKind::Points)) + gift_cards.max(from_cards);
    if paid < priced.total {
        let detail = format!("{} is to pay, the tenders come to {} (minor units)", priced.total.0, paid.0);
        return Err(Refusal::new(Code::TendersDoNotAddUp, detail));
    }
    Ok(())
}

fn issue(
    given: &mut Given<'_>,
    turn: &Turn<'_>,
    bundle: &Bundle,
    quote: &Quote,
    lang: Lang,
) -> Vec<(IssuedCoupon, IssuedCode)> {
    let mut issued = Vec::new();
    for Issue { coupon, valid_days, .. } in &quote.priced.issues {
        let Some(definition) = bundle.coupon(coupon) else { continue };
        let to = quote.member.as_ref().map(|member| &member.id);
        let Some((code, kept)) = given.coupon(bundle, quote.day, (coupon, *valid_days, to)) else { continue };
        let expires = kept.expires.unwrap_or(turn.now);
        let title = title(bundle, &definition.promotion, lang);
        let shown = IssuedCoupon {
            code,
            promotion: definition.promotion.clone(),
            title,
            expires: turn.stamp(expires),
        };
        issued.push((shown, kept));
    }
    issued
}

fn ledger_after(
    turn: &Turn<'_>,
    member: &Member,
    (quote, settled): (&Quote, &Priced),
    took: &[Took],
    issued: &[(IssuedCoupon, IssuedCode)],
) -> Ledger {
    let mut ledger = member.ledger.clone();
    ledger.visits += 1;
    ledger.spend += settled.total;
    ledger.last_visit = ledger.last_visit.max(Some(quote.day));
    ledger.points.book(turn.seq, settled.points.earn - settled.points.spend);
    for took in took.iter().filter(|took| took.member) {
        ledger.usage.entry(took.promotion.clone()).or_default().count(quote.day.number(), took.used);
    }
    while ledger.usage.len() > limits::MEMBER_USAGE_MAX {
        let oldest = ledger.usage.iter().min_by_key(|(_, usage)| usage.day).map(|(id, _)| id.clone());
        ledger.usage.remove(&oldest.expect("longer than its bound"));
    }
    ledger
        .coupons
        .retain(|held| held.expires >= turn.now && !codes::effective(quote).any(|code| *code == held.code));
    for (shown, kept) in issued {
        let expires = kept.expires.unwrap_or(turn.now);
        ledger.coupons.push(HeldCoupon {
            code: shown.code.clone(),
            promotion: shown.promotion.clone(),
            expires,
        });
    }
    keep_newest(&mut ledger.coupons);
    ledger
}

/// Coupons of the member's wallet that a sale uses up.
fn burned_of<'a>(member: &'a Member, quote: &'a Quote) -> impl Iterator<Item = &'a HeldCoupon> {
    member.ledger.coupons.iter().filter(|held| codes::effective(quote).any(|code| *code == held.code))
}

/// A wallet holds so many coupons; the oldest leave.
pub(super) fn keep_newest(coupons: &mut Vec<HeldCoupon>) {
    let surplus = coupons.len().saturating_sub(limits::MEMBER_COUPONS_MAX);
    coupons.drain(..surplus);
}

/// Does a promotion count its uses over one of these scopes?
pub(super) fn has_limit(promotion: Option<&Promotion>, scopes: &[LimitScope]) -> bool {
    promotion.is_some_and(|promotion| promotion.limits.iter().any(|limit| scopes.contains(&limit.scope)))
}

fn usage_after(turn: &Turn<'_>, quote: &Quote, took: &[Took]) -> Vec<Change> {
    counted(took, &quote.device)
        .map(|(of, took)| {
            let mut usage = turn.facts.usage(of.clone(), &took.promotion);
            usage.count(quote.day.number(), took.used);
            Change::put(Key::Usage(of, took.promotion.clone()), Record::Usage(usage))
        })
        .collect()
}

/// What a sale takes of limits, by the rules it is sold under: what comes back with it, and what is counted for good.
fn taken(bundle: &Bundle, quote: &Quote) -> Vec<Took> {
    let taken = quote.priced.applied.iter().zip(uses(quote)).flat_map(|(applied, (promotion, used))| {
        let rules = bundle.book.promotion(promotion);
        let exposed = rules.is_some_and(|rules| rules.offline.exposure_max.is_some());
        let is_kept = |scope: LimitScope| -> Option<bool> {
            let limits = rules.into_iter().flat_map(|rules| &rules.limits);
            let kept =
                limits.filter(|limit| limit.scope.shares_count(scope)).map(|limit| limit.count_cancelled);
            kept.reduce(|one, other| one || other)
        };
        let shop = is_kept(LimitScope::Store).or(exposed.then_some(false));
        let member = is_kept(LimitScope::Member).filter(|_| quote.member.is_some());
        let (device, code) = (is_kept(LimitScope::Device), is_kept(LimitScope::Code));
        [false, true].map(|kept| Took {
            promotion: promotion.clone(),
            used,
            shop: shop == Some(kept),
            device: device == Some(kept),
            member: member == Some(kept),
            code: applied.coupon.clone().filter(|_| code == Some(kept)),
            kept,
        })
    });
    taken.filter(|took| took.shop || took.device || took.member || took.code.is_some()).collect()
}

/// Every count a sale adds to, beside its member's.
pub(super) fn counted<'a>(
    took: &'a [Took],
    device: &'a DeviceId,
) -> impl Iterator<Item = (UsageOf, &'a Took)> {
    took.iter().flat_map(move |took| {
        let of_shop = took.shop.then_some(UsageOf::Shop);
        let of_device = took.device.then(|| UsageOf::Device(device.clone()));
        let of_code = took.code.clone().map(UsageOf::Code);
        [of_shop, of_device, of_code].into_iter().flatten().map(move |of| (of, took))
    })
}

/// A sale's key on the wire.
pub(super) fn view(key: &TransactionKey) -> TransactionView {
    TransactionView { device: key.device.clone(), business_day: key.business_day, seq: key.seq }
}

fn title(bundle: &Bundle, promotion: &PromotionId, lang: Lang) -> String {
    bundle
        .book
        .promotion(promotion)
        .map(|promotion| promotion.titles.get(lang).to_owned())
        .unwrap_or_default()
}

/// The figures of a quote, or of the sale it became: as `settled`.
fn figures(turn: &Turn<'_>, bundle: &Bundle, (quote, settled): (&Quote, &Priced), lang: Lang) -> Figures {
    let titles = settled.applied.iter().map(|applied| title(bundle, &applied.promotion, lang));
    let data_age = turn.data_age(quote.member.as_ref().map(|member| member.profile_as_of));
    Figures::of(quote, settled, titles, data_age)
}

impl Figures {
    /// What was `settled` of a quote, without reasons; a title for each promotion that applied.
    pub(super) fn of(
        quote: &Quote,
        settled: &Priced,
        titles: impl Iterator<Item = String>,
        data_age: DataAge,
    ) -> Figures {
        let lines = settled.lines.iter().zip(&quote.priced.lines).map(|(line, by_rules)| LineView {
            line: line.line.clone(),
            gross: line.gross,
            net: line.net,
            discounts: line.discounts.clone(),
            difference: line.net - by_rules.net,
        });
        let applied = settled.applied.iter().zip(titles).map(|(applied, title)| AppliedView {
            promotion: applied.promotion.clone(),
            title,
            amount: applied.amount,
            coupon: applied.coupon.clone(),
        });
        let coupons = settled.coupons.iter().map(|coupon| CouponView {
            code: coupon.code.clone(),
            outcome: coupon.outcome,
            reason: coupon.reason,
            problem: coupon.problem(),
        });
        Figures {
            subtotal: settled.subtotal,
            discount_total: settled.discount_total,
            total: settled.total,
            lines: lines.collect(),
            gifts: settled.gifts.clone(),
            applied: applied.collect(),
            coupons: coupons.collect(),
            not_applied: Vec::new(),
            near: Vec::new(),
            points: PointsFigures {
                earn: settled.points.earn,
                spend: settled.points.spend,
                balance_after: settled.points.balance_after,
            },
            shelf: settled.shelf.clone(),
            gift_cards: settled.gift_cards.clone(),
            resolution: settled.resolution,
            bundle: quote.bundle.clone(),
            data_age,
        }
    }

    fn add_reasons(&mut self, reasons: &Reasons, lang: Lang) {
        let not_applied = reasons.not_applied.iter().map(|not| NotAppliedView {
            promotion: not.promotion.clone(),
            reason: not.reason,
            detail: not.detail.get(lang).to_owned(),
            loses_to: not.loses_to.clone(),
            by: not.by,
        });
        self.not_applied = not_applied.collect();
        let near = reasons.near.iter().map(|near| NearView {
            promotion: near.promotion.clone(),
            add: near.add.clone(),
            gain: near.gain,
        });
        self.near = near.collect();
    }
}

/// What the receipt says: each promotion with what it took off, what the till charged otherwise, the saving, the points.
fn texts(bundle: &Bundle, figures: &Figures, charged: Option<&ChargedView>, lang: Lang) -> Vec<String> {
    let money = |amount: Money| bundle.shop.currency.format(amount);
    let mut texts: Vec<String> = figures
        .applied
        .iter()
        .filter(|applied| applied.amount.is_positive())
        .map(|applied| format!("{} -{}", applied.title, money(applied.amount)))
        .collect();
    let difference = charged.map_or(Money::ZERO, |charged| charged.difference);
    if difference != Money::ZERO {
        let sign = if difference.is_positive() { "+" } else { "" };
        texts.push(match lang {
            Lang::ZhCn => format!("收银实收差额 {sign}{}", money(difference)),
            Lang::En => format!("Charged otherwise at the till {sign}{}", money(difference)),
        });
    }
    let saved = figures.discount_total - difference;
    if figures.discount_total.is_positive() && saved.is_positive() {
        let saved = money(saved);
        texts.push(match lang {
            Lang::ZhCn => format!("本单共优惠 {saved}"),
            Lang::En => format!("You saved {saved}"),
        });
    }
    let PointsFigures { earn, spend, balance_after } = &figures.points;
    if let Some(balance) = balance_after {
        texts.push(match lang {
            Lang::ZhCn => format!("本次积分 +{earn} 使用 {spend} 余额 {balance}"),
            Lang::En => format!("Points +{earn}, spent {spend}, balance {balance}"),
        });
    }
    texts
}
