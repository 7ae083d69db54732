//! From the wire's shapes to the engine's types: names, ranges, days, times, repetitions.
//!
//! Each function is a column of early returns in the order of the fields; the first fault is the answer and names its
//! field. Invariants of what comes out: every id is in its alphabet, every count and amount inside `limits`, line ids,
//! gift cards and claims unique, times instants, and a member only a hash.

use crate::domain::basket::{
    Basket, Charged, Choice, Claim, GiftCard, Line, Notes, PointsWish, Quantity, Tender, TransactionKey,
};
use crate::domain::calendar::{Day, UnixMs};
use crate::domain::code::Code;
use crate::domain::ids::{
    CouponCode, DeviceId, InvalidId, LineId, OrderId, PromotionId, QuoteId, RequestId, Sku, Tag, Zone,
};
use crate::domain::member::{Token, TokenHash, TokenKind};
use crate::domain::money::Money;
use crate::domain::text::Lang;
use crate::engine::input::{Body, Commit, Enroll, Event, Feedback, Marking, QuoteBody, Return, Scan, Sold};
use crate::limits;

use super::fault::{At, Fault};
use super::request::{
    BasketData, ChargedData, ClaimData, CommitData, EnrollData, EventData, FeedbackData, GiftCardData,
    GiftChoiceData, LineData, MarkData, OriginalData, PointsData, QuoteData, ReturnData, ScanData, Spend,
    TokenData, TransactionData, VoidData, WalletData,
};

/// Who sent it, and what is needed to check it.
#[derive(Clone, Copy)]
pub(super) struct Sender<'a> {
    pub(super) device: &'a DeviceId,
    pub(super) chain: &'a str,
    /// The envelope's time.
    pub(super) at: Option<UnixMs>,
}

/// A shape that becomes a request's body.
pub(super) trait Checked {
    fn check(&self, sender: Sender<'_>) -> Result<Body, Fault>;
}

const DATA: &str = "data";
/// The kind of event with which an order is handed over.
const PICK_UP: &str = "pick_up";

impl Checked for ScanData<'_> {
    fn check(&self, sender: Sender<'_>) -> Result<Body, Fault> {
        let data = At::top(DATA);
        let token = token(data.key("token"), &self.token, sender.chain)?;
        let zone = optional(self.zone, |text| name(data.key("zone"), text, Zone::new))?;
        let like = optional(self.like, |text| name(data.key("like"), text, Sku::new))?;
        Ok(Body::Scan(Scan { token, zone, like, lang: lang(data.key("locale"), self.locale)? }))
    }
}

impl Checked for QuoteData<'_> {
    fn check(&self, sender: Sender<'_>) -> Result<Body, Fault> {
        let priced = Priced {
            basket: &self.basket,
            member: self.member.as_ref(),
            coupons: &self.coupons,
            points: self.points,
            claims: &self.claims,
            gift_cards: &self.gift_cards,
            gift_choices: &self.gift_choices,
            gifts_gone: &self.gifts_gone,
        };
        let basket = priced.check()?;
        let asked = QuoteBody {
            basket: Basket { zone: zone(self.zone)?, ..basket },
            member: priced.member(sender.chain)?,
            channel: self.channel.unwrap_or_default(),
            at: optional(self.at, |text| time(At::top(DATA).key("at"), text))?,
            lang: lang(At::top(DATA).key("locale"), self.locale)?,
        };
        Ok(Body::Quote { asked, suggest: self.suggest })
    }
}

impl Checked for CommitData<'_> {
    fn check(&self, sender: Sender<'_>) -> Result<Body, Fault> {
        let data = At::top(DATA);
        let transaction = transaction(data.key("transaction"), &self.transaction, sender.device)?;
        let sold = match (self.quote, &self.basket) {
            (Some(quote), None) => {
                if let Some(field) = self.beside_a_quote() {
                    let reason = "belongs to a basket; a quote carries its own";
                    return Err(data.key(field).fault(Code::MalformedPayload, reason));
                }
                Sold::Quote(name(data.key("quote"), quote, QuoteId::new)?)
            }
            (None, Some(basket)) => Sold::Basket(self.basket(basket, sender)?),
            (Some(_), Some(_)) => {
                return Err(data.fault(Code::MalformedPayload, "holds both quote and basket; send one"));
            }
            (None, None) => {
                return Err(data.fault(Code::MalformedPayload, "holds neither quote nor basket; send one"));
            }
        };
        let tenders_at = data.key("tenders");
        count(tenders_at, self.tenders.len(), 0, limits::BASKET_CLAIMS_MAX)?;
        let mut tenders = Vec::with_capacity(self.tenders.len());
        for (index, tender) in self.tenders.iter().enumerate() {
            let amount = amount(tenders_at.index(index).key("amount"), tender.amount)?;
            tenders.push(Tender { kind: tender.kind, amount });
        }
        let charged = optional(self.charged.as_ref(), |charged| charged_by_till(charged, sender.at))?;
        Ok(Body::Commit(Commit { transaction, sold, tenders, training: self.training, charged }))
    }
}

impl CommitData<'_> {
    /// A field that only a basket may have.
    fn beside_a_quote(&self) -> Option<&'static str> {
        [
            ("member", self.member.is_some()),
            ("coupons", !self.coupons.is_empty()),
            ("points", self.points.is_some()),
            ("claims", !self.claims.is_empty()),
            ("gift_cards", !self.gift_cards.is_empty()),
            ("gift_choices", !self.gift_choices.is_empty()),
            ("gifts_gone", !self.gifts_gone.is_empty()),
            ("at", self.at.is_some()),
            ("channel", self.channel.is_some()),
            ("zone", self.zone.is_some()),
            ("locale", self.locale.is_some()),
        ]
        .into_iter()
        .find_map(|(field, there)| there.then_some(field))
    }

    fn basket(&self, basket: &BasketData<'_>, sender: Sender<'_>) -> Result<QuoteBody, Fault> {
        let priced = Priced {
            basket,
            member: self.member.as_ref(),
            coupons: &self.coupons,
            points: self.points,
            claims: &self.claims,
            gift_cards: &self.gift_cards,
            gift_choices: &self.gift_choices,
            gifts_gone: &self.gifts_gone,
        };
        let basket = priced.check()?;
        Ok(QuoteBody {
            basket: Basket { zone: zone(self.zone)?, ..basket },
            member: priced.member(sender.chain)?,
            channel: self.channel.unwrap_or_default(),
            at: optional(self.at, |text| time(At::top(DATA).key("at"), text))?,
            lang: lang(At::top(DATA).key("locale"), self.locale)?,
        })
    }
}

impl Checked for VoidData<'_> {
    fn check(&self, sender: Sender<'_>) -> Result<Body, Fault> {
        let data = At::top(DATA);
        transaction(data.key("transaction"), &self.transaction, sender.device).map(Body::Void)
    }
}

impl Checked for ReturnData<'_> {
    fn check(&self, sender: Sender<'_>) -> Result<Body, Fault> {
        let data = At::top(DATA);
        let original = original(data.key("original"), &self.original, sender.device)?;
        let transaction = transaction(data.key("transaction"), &self.transaction, sender.device)?;
        let lines_at = data.key("lines");
        count(lines_at, self.lines.len(), 1, limits::BASKET_LINES_MAX)?;
        let mut lines = Vec::with_capacity(self.lines.len());
        for (index, line) in self.lines.iter().enumerate() {
            let at = lines_at.index(index);
            let id = name(at.key("line"), line.line, LineId::new)?;
            lines.push((id, whole(at.key("qty"), line.qty, limits::LINE_UNITS_MAX)?));
        }
        unique(lines_at, "line", self.lines.iter().map(|line| line.line))?;
        Ok(Body::Return(Return { original, transaction, lines }))
    }
}

impl Checked for FeedbackData<'_> {
    fn check(&self, sender: Sender<'_>) -> Result<Body, Fault> {
        let data = At::top(DATA);
        let sale = |sale| original(data.key("transaction"), sale, sender.device);
        let transaction = optional(self.transaction.as_ref(), sale)?;
        range(data.key("score"), self.score, 0, i64::from(limits::FEEDBACK_SCORE_MAX))?;
        let topic = optional(self.topic, |text| name(data.key("topic"), text, Tag::new))?;
        if let Some(text) = self.text {
            length(data.key("text"), text, 0, limits::FEEDBACK_TEXT_BYTES_MAX)?;
        }
        let score = u8::try_from(self.score).unwrap_or(limits::FEEDBACK_SCORE_MAX);
        Ok(Body::Feedback(Feedback { transaction, score, topic, text: self.text.map(str::to_owned) }))
    }
}

impl Checked for EventData<'_> {
    fn check(&self, sender: Sender<'_>) -> Result<Body, Fault> {
        let data = At::top(DATA);
        let kind = name(data.key("kind"), self.kind, Tag::new)?;
        let sku = optional(self.sku, |text| name(data.key("sku"), text, Sku::new))?;
        let zone = zone(self.zone)?;
        let member = |shown| token(data.key("member"), shown, sender.chain);
        let link = |shown| token(data.key("link"), shown, sender.chain);
        let at = data.key("mark");
        let days = |days| range(at.key("days"), days, 1, limits::MARK_DAYS_MAX.into());
        let mark = |sent: &MarkData<'_>| {
            let tag = name(at.key("tag"), sent.tag, Tag::new)?;
            let days = optional(sent.days, days)?.and_then(|days| u32::try_from(days).ok());
            Ok(Marking { tag, days })
        };
        Ok(Body::Event(Event {
            kind,
            sku,
            zone,
            member: optional(self.member.as_ref(), member)?,
            mark: optional(self.mark.as_ref(), mark)?,
            unmark: optional(self.unmark, |text| name(data.key("unmark"), text, Tag::new))?,
            consent: self.consent,
            link: optional(self.link.as_ref(), link)?,
            order: self.handed_over()?,
        }))
    }
}

impl EventData<'_> {
    fn handed_over(&self) -> Result<Option<OrderId>, Fault> {
        let data = At::top(DATA);
        let at = data.key("order");
        match (self.kind == PICK_UP, self.order) {
            (true, None) => Err(at.fault(Code::MalformedPayload, "is missing: a pick_up names its order")),
            (false, Some(_)) => Err(at.fault(Code::MalformedPayload, "goes with kind pick_up only")),
            (_, order) => optional(order, |text| name(at, text, OrderId::new)),
        }
    }
}

impl Checked for EnrollData<'_> {
    fn check(&self, sender: Sender<'_>) -> Result<Body, Fault> {
        let data = At::top(DATA);
        let token = token(data.key("token"), &self.token, sender.chain)?;
        let at = data.key("birthday");
        let birthday = optional(self.birthday, |text| {
            text.parse().map_err(|reason: &str| at.fault(Code::BadTime, reason))
        })?;
        let link = |shown| self::token(data.key("link"), shown, sender.chain);
        let link = optional(self.link.as_ref(), link)?;
        Ok(Body::Enroll(Enroll { token, consent: self.consent, birthday, link }))
    }
}

impl Checked for WalletData<'_> {
    fn check(&self, sender: Sender<'_>) -> Result<Body, Fault> {
        let data = At::top(DATA);
        token(data.key("member"), &self.member, sender.chain).map(Body::Wallet)
    }
}

/// What a quote and a commit of a basket have in common.
struct Priced<'a> {
    basket: &'a BasketData<'a>,
    member: Option<&'a TokenData<'a>>,
    coupons: &'a [&'a str],
    points: Option<PointsData>,
    claims: &'a [ClaimData<'a>],
    gift_cards: &'a [GiftCardData<'a>],
    gift_choices: &'a [GiftChoiceData<'a>],
    gifts_gone: &'a [&'a str],
}

impl Priced<'_> {
    fn check(&self) -> Result<Basket, Fault> {
        Ok(Basket {
            lines: lines(&self.basket.lines)?,
            coupons: coupons(self.coupons)?,
            points: optional(self.points, points)?,
            claims: claims(self.claims)?,
            gift_cards: gift_cards(self.gift_cards)?,
            zone: None,
            notes: self.notes()?,
        })
    }

    fn notes(&self) -> Result<Option<Box<Notes>>, Fault> {
        let choices = gift_choices(self.gift_choices)?;
        let data = At::top(DATA);
        let gone = skus(data.key("gifts_gone"), self.gifts_gone, 0, limits::GIFTS_GONE_MAX)?;
        let best_before = best_before(&self.basket.lines)?;
        let notes = Notes { choices, gone, best_before };
        Ok((notes != Notes::default()).then(|| Box::new(notes)))
    }

    fn member(&self, chain: &str) -> Result<Option<TokenHash>, Fault> {
        optional(self.member, |shown| token(At::top(DATA).key("member"), shown, chain))
    }
}

fn lines(sent: &[LineData<'_>]) -> Result<Vec<Line>, Fault> {
    let data = At::top(DATA);
    let basket = data.key("basket");
    let at = basket.key("lines");
    count(at, sent.len(), 1, limits::BASKET_LINES_MAX)?;
    let mut units = 0_u32;
    let mut lines = Vec::with_capacity(sent.len());
    for (index, sent) in sent.iter().enumerate() {
        let line = line(at.index(index), sent)?;
        units = units.saturating_add(line.quantity.units());
        lines.push(line);
    }
    if units > limits::BASKET_UNITS_MAX {
        let reason = format!("a basket holds at most {} units, this one {units}", limits::BASKET_UNITS_MAX);
        return Err(at.fault(Code::OutOfRange, reason));
    }
    unique(at, "line", sent.iter().map(|line| line.line))?;
    Ok(lines)
}

fn line(at: At<'_>, sent: &LineData<'_>) -> Result<Line, Fault> {
    let line = name(at.key("line"), sent.line, LineId::new)?;
    let sku = name(at.key("sku"), sent.sku, Sku::new)?;
    let quantity = match (sent.qty, sent.weight_grams) {
        (Some(units), None) => Quantity::Units(whole(at.key("qty"), units, limits::LINE_UNITS_MAX)?),
        (None, Some(grams)) => Quantity::Grams(whole(at.key("weight_grams"), grams, limits::LINE_GRAMS_MAX)?),
        (Some(_), Some(_)) => {
            return Err(at.fault(Code::MalformedPayload, "holds both qty and weight_grams; send one"));
        }
        (None, None) => {
            return Err(at.fault(Code::MalformedPayload, "holds neither qty nor weight_grams; send one"));
        }
    };
    let price = |minor| range(at.key("unit_price"), minor, 0, limits::UNIT_PRICE_MINOR_MAX).map(Money);
    Ok(Line { line, sku, quantity, unit_price: optional(sent.unit_price, price)? })
}

fn coupons(sent: &[&str]) -> Result<Vec<CouponCode>, Fault> {
    let data = At::top(DATA);
    let at = data.key("coupons");
    count(at, sent.len(), 0, limits::BASKET_COUPONS_MAX)?;
    let mut codes: Vec<CouponCode> = Vec::with_capacity(sent.len());
    for (index, text) in sent.iter().enumerate() {
        // Bounded before it is copied to capitals; the spaces around it are not part of it.
        let code =
            name(at.index(index), text.trim(), |text| CouponCode::new(text).and(CouponCode::normal(text)))?;
        if !codes.contains(&code) {
            codes.push(code);
        }
    }
    Ok(codes)
}

fn points(sent: PointsData) -> Result<PointsWish, Fault> {
    let data = At::top(DATA);
    match sent.spend {
        Spend::Max => Ok(PointsWish::Max),
        Spend::Points(points) => {
            range(data.key("points").key("spend"), points, 1, limits::POINTS_MAX).map(PointsWish::Spend)
        }
    }
}

fn claims(sent: &[ClaimData<'_>]) -> Result<Vec<Claim>, Fault> {
    let data = At::top(DATA);
    let list = data.key("claims");
    count(list, sent.len(), 0, limits::BASKET_CLAIMS_MAX)?;
    let mut claims = Vec::with_capacity(sent.len());
    for (index, claim) in sent.iter().enumerate() {
        let at = list.index(index);
        let promotion = name(at.key("promotion"), claim.promotion, PromotionId::new)?;
        claims
            .push(Claim { promotion, times: whole(at.key("times"), claim.times, limits::CLAIM_TIMES_MAX)? });
    }
    unique(list, "promotion", sent.iter().map(|claim| claim.promotion))?;
    Ok(claims)
}

fn gift_choices(sent: &[GiftChoiceData<'_>]) -> Result<Vec<Choice>, Fault> {
    let data = At::top(DATA);
    let list = data.key("gift_choices");
    count(list, sent.len(), 0, limits::BASKET_CLAIMS_MAX)?;
    let mut choices = Vec::with_capacity(sent.len());
    for (index, choice) in sent.iter().enumerate() {
        let at = list.index(index);
        let promotion = name(at.key("promotion"), choice.promotion, PromotionId::new)?;
        let skus = skus(at.key("skus"), &choice.skus, 1, limits::BASKET_CLAIMS_MAX)?;
        choices.push(Choice { promotion, skus });
    }
    unique(list, "promotion", sent.iter().map(|choice| choice.promotion))?;
    Ok(choices)
}

fn skus(at: At<'_>, sent: &[&str], least: usize, most: usize) -> Result<Vec<Sku>, Fault> {
    count(at, sent.len(), least, most)?;
    sent.iter().enumerate().map(|(index, text)| name(at.index(index), text, Sku::new)).collect()
}

fn best_before(sent: &[LineData<'_>]) -> Result<Vec<(LineId, Day)>, Fault> {
    let data = At::top(DATA);
    let basket = data.key("basket");
    let lines = basket.key("lines");
    let mut dated = Vec::new();
    for (index, line) in sent.iter().enumerate() {
        let Some(text) = line.best_before else { continue };
        let at = lines.index(index);
        let id = name(at.key("line"), line.line, LineId::new)?;
        dated.push((id, day(at.key("best_before"), text)?));
    }
    Ok(dated)
}

fn gift_cards(sent: &[GiftCardData<'_>]) -> Result<Vec<GiftCard>, Fault> {
    let data = At::top(DATA);
    let list = data.key("gift_cards");
    count(list, sent.len(), 0, limits::BASKET_CLAIMS_MAX)?;
    let mut cards = Vec::with_capacity(sent.len());
    for (index, card) in sent.iter().enumerate() {
        let at = list.index(index);
        let code = name(at.key("code"), card.code, CouponCode::new)?;
        cards.push(GiftCard { code, balance: amount(at.key("balance"), card.balance)? });
    }
    unique(list, "code", sent.iter().map(|card| card.code))?;
    Ok(cards)
}

fn charged_by_till(sent: &ChargedData<'_>, envelope_at: Option<UnixMs>) -> Result<Charged, Fault> {
    let data = At::top(DATA);
    let charged = data.key("charged");
    let total = amount(charged.key("total"), sent.total)?;
    let list = charged.key("lines");
    count(list, sent.lines.len(), 0, limits::BASKET_LINES_MAX)?;
    let mut lines = Vec::with_capacity(sent.lines.len());
    for (index, line) in sent.lines.iter().enumerate() {
        let at = list.index(index);
        lines.push((name(at.key("line"), line.line, LineId::new)?, amount(at.key("net"), line.net)?));
    }
    unique(list, "line", sent.lines.iter().map(|line| line.line))?;
    let at = charged.key("at");
    match optional(sent.at, |text| time(at, text))?.or(envelope_at) {
        Some(at) => Ok(Charged { total, lines, at }),
        None => Err(at.fault(Code::MalformedPayload, "is missing, and so is the envelope's at")),
    }
}

fn day(at: At<'_>, text: &str) -> Result<Day, Fault> {
    text.parse().map_err(|reason: &str| at.fault(Code::BadTime, reason))
}

fn transaction(at: At<'_>, sent: &TransactionData<'_>, device: &DeviceId) -> Result<TransactionKey, Fault> {
    let business_day = day(at.key("business_day"), sent.business_day)?;
    let seq = range(at.key("seq"), sent.seq, 0, limits::TRANSACTION_SEQ_MAX)?.unsigned_abs();
    Ok(TransactionKey { device: device.clone(), business_day, seq })
}

fn original(at: At<'_>, sent: &OriginalData<'_>, own: &DeviceId) -> Result<TransactionKey, Fault> {
    let device = optional(sent.device, |text| name(at.key("device"), text, DeviceId::new))?;
    let key = TransactionData { business_day: sent.business_day, seq: sent.seq };
    transaction(at, &key, device.as_ref().unwrap_or(own))
}

/// The hash, from here on the only trace of what was shown.
fn token(at: At<'_>, shown: &TokenData<'_>, chain: &str) -> Result<TokenHash, Fault> {
    let at = at.key("value");
    length(at, shown.value, 1, limits::TOKEN_BYTES_MAX)?;
    let digits = shown.value.bytes().filter(u8::is_ascii_digit).count();
    if shown.kind == TokenKind::Phone
        && !(limits::PHONE_DIGITS_MIN..=limits::PHONE_DIGITS_MAX).contains(&digits)
    {
        let (min, max) = (limits::PHONE_DIGITS_MIN, limits::PHONE_DIGITS_MAX);
        return Err(
            at.fault(Code::BadId, format!("a phone number has {min} to {max} digits, this one {digits}"))
        );
    }
    if shown.value.trim().is_empty() || shown.value.chars().any(char::is_control) {
        return Err(at.fault(Code::BadId, "a token is text without control characters"));
    }
    Ok(Token { kind: shown.kind, value: shown.value.to_owned() }.hash(chain))
}

fn zone(text: Option<&str>) -> Result<Option<Zone>, Fault> {
    optional(text, |text| name(At::top(DATA).key("zone"), text, Zone::new))
}

/// A locale of neither language is no fault: the shop's own is spoken.
fn lang(at: At<'_>, locale: Option<&str>) -> Result<Option<Lang>, Fault> {
    let Some(locale) = locale else { return Ok(None) };
    length(at, locale, 0, limits::LOCALE_BYTES_MAX)?;
    Ok(Lang::of_locale(locale))
}

/// The request's own key.
pub(super) fn request_id(text: &str) -> Result<RequestId, Fault> {
    name(At::top("id"), text, RequestId::new)
}

/// An instant. Stricter than the calendar's reader, which takes more than RFC 3339.
pub(super) fn time(at: At<'_>, text: &str) -> Result<UnixMs, Fault> {
    let bytes = text.as_bytes();
    let marks = [(4, b'-'), (7, b'-'), (10, b'T'), (13, b':'), (16, b':')];
    let shaped = (20..=limits::TIME_BYTES_MAX).contains(&bytes.len())
        && bytes.iter().all(|byte| byte.is_ascii_digit() || b"-:.+TtZz".contains(byte))
        && marks.iter().all(|(place, mark)| bytes[*place].to_ascii_uppercase() == *mark)
        && (matches!(bytes[bytes.len() - 1], b'Z' | b'z') || bytes[bytes.len() - 3] == b':');
    let instant = if shaped { UnixMs::parse_rfc3339(text) } else { None };
    instant.ok_or_else(|| {
        at.fault(Code::BadTime, "a time is RFC 3339 with an offset, for example 2026-11-21T10:00:00+08:00")
    })
}

fn optional<A, B>(value: Option<A>, check: impl FnOnce(A) -> Result<B, Fault>) -> Result<Option<B>, Fault> {
    value.map(check).transpose()
}

fn name<T>(at: At<'_>, text: &str, make: impl Fn(&str) -> Result<T, InvalidId>) -> Result<T, Fault> {
    make(text).map_err(|invalid| at.fault(Code::BadId, invalid.to_string()))
}

fn range(at: At<'_>, value: i64, min: i64, max: i64) -> Result<i64, Fault> {
    if (min..=max).contains(&value) {
        return Ok(value);
    }
    Err(at.fault(Code::OutOfRange, format!("must be {min} to {max}, is {value}")))
}

/// A count of at least 1.
fn whole(at: At<'_>, value: i64, max: u32) -> Result<u32, Fault> {
    let value = range(at, value, 1, i64::from(max))?;
    Ok(u32::try_from(value).unwrap_or(max))
}

fn amount(at: At<'_>, minor: i64) -> Result<Money, Fault> {
    range(at, minor, 0, limits::AMOUNT_MINOR_MAX).map(Money)
}

fn count(at: At<'_>, entries: usize, min: usize, max: usize) -> Result<(), Fault> {
    if (min..=max).contains(&entries) {
        return Ok(());
    }
    Err(at.fault(Code::OutOfRange, format!("must hold {min} to {max} entries, holds {entries}")))
}

fn length(at: At<'_>, text: &str, min: usize, max: usize) -> Result<(), Fault> {
    if (min..=max).contains(&text.len()) {
        return Ok(());
    }
    Err(at.fault(Code::OutOfRange, format!("must be {min} to {max} bytes long, is {}", text.len())))
}

/// Refuses the second of two entries with the same name.
fn unique<'a>(at: At<'_>, field: &str, names: impl Iterator<Item = &'a str> + Clone) -> Result<(), Fault> {
    let mut sorted: Vec<&str> = names.clone().collect();
    sorted.sort_unstable();
    let Some(pair) = sorted.windows(2).find(|pair| pair[0] == pair[1]) else { return Ok(()) };
    let second = names.enumerate().filter(|(_, name)| *name == pair[0]).nth(1).map_or(0, |(index, _)| index);
    Err(at.index(second).key(field).fault(Code::Duplicate, "an earlier entry of the list has the same"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn which_times_are_taken() {
        let at = At::top("at");
        let instant = time(at, "2026-11-21T10:00:00+08:00").expect("as documented");
        for same in ["2026-11-21T02:00:00Z", "2026-11-21t02:00:00.000z", "2026-11-20T21:00:00-05:00"] {
            assert_eq!(time(at, same), Ok(instant), "{same}");
        }
        for not in [
            "",
            "2026-11-21",
            "2026-11-21T10:00:00",
            "2026-11-21 10:00:00+08:00",
            "2026-11-21T10:00+08:00",
            "2026-11-21T10:00:00+08",
            "2026-11-21T10:00:00+0800",
            "2026-11-21T10:00:00+08:00[Asia/Shanghai]",
            "2026-13-21T10:00:00+08:00",
            "2026-11-21T25:00:00+08:00",
            "20261121T100000+08:00",
            "1763690400000",
            "2026-11-21T10:00:00.000000000000000000000000000000+08:00",
        ] {
            assert!(time(at, not).is_err(), "{not}");
        }
    }

    #[test]
    fn may_two_people_without_a_number_become_one_member() {
        let shown = |kind, value| token(At::top("token"), &TokenData { kind, value }, "sunrise");
        for value in ["-", "n/a", "+86", "1234", "  "] {
            assert!(shown(TokenKind::Phone, value).is_err(), "{value}");
        }
        assert!(shown(TokenKind::Card, "   ").is_err());
        assert_eq!(shown(TokenKind::Phone, "+86 138 0013 8000"), shown(TokenKind::Phone, "13800138000"));
    }
}
