//! How a decision is written down: each fact once.
//!
//! ```text
//! entry = form byte, body
//! 1 plain    the entry as MessagePack with named fields: everything that is not a sale
//! 2 packed   plain, compressed
//! 3 sale     head · input (named) · facts · changes · quote · receipt (lists in a fixed order)
//! 4 packed   sale, compressed
//! 5-8        1-4, with numbers in the place of everything personal (`marks`): what the journal holds
//! ```
//! A sale says the same thing up to five times: what was asked, what was priced, the receipt's lines, the units' shares, and
//! the member read both for the quote and for the sale. In form 3 the lines stand once, promotions are named once, and what
//! the receipt takes from the quote is taken from it again when it is read. That is only done where it gives the very same
//! entry (`is_derived`, `Rows::of`); an entry for which it would not is written plain. So `decode(encode(e)) == e` for every
//! entry the engine makes.
//!
//! Lists are positional: a form never changes, a field more is a form more. A reader refuses a form it does not know, so
//! a box is upgraded before its journal holds what the older version cannot read.
//!
//! An open quote is kept in memory by the same means (`keep`, `Kept`): a fifth of its size as a value.

use std::borrow::Cow;
use std::collections::BTreeMap;

use rmp_serde::decode::ReadRefReader;
use serde::de::DeserializeOwned;
use serde::{Deserialize, Serialize, Serializer};

use crate::domain::basket::{Basket, Claim, GiftCard, Line, PointsWish, Quantity};
use crate::domain::calendar::{Day, UnixMs};
use crate::domain::ids::{
    BundleRef, CouponCode, DeviceId, Epoch, LineId, MemberId, PromotionId, QuoteId, Seq, Sku, Zone,
};
use crate::domain::member::{Member, TokenHash, Usage};
use crate::domain::money::Money;
use crate::domain::points::PointsLine;
use crate::domain::text::Lang;
use crate::limits;
use crate::pricing::PresentedCode;
use crate::pricing::model::{Channel, ReturnPolicy};
use crate::pricing::outcome::{
    Applied, CouponResult, GiftCardUse, GivenGift, Issue, LineDiscount, PointsResult, Priced, PricedLine,
    Reason, Resolution, UnitShare,
};

use super::decision::{Change, Entry, EntryFault, Facts, Key, Quote, Record, UsageOf};
use super::input::{Input, QuoteBody};
use super::marks::{self, Numbers, Values};
use super::pen::Pen;
use super::reply::{ChargedView, DataAge, Figures, IssuedCoupon, LineUnits, Receipt, Reply, TransactionView};

const FORM_PLAIN: u8 = 1;
const FORM_PLAIN_PACKED: u8 = 2;
const FORM_SALE: u8 = 3;
const FORM_SALE_PACKED: u8 = 4;
/// So much more is the form whose personal values are numbers.
const NUMBERED: u8 = 4;

/// Writes entries one after the other, with buffers and tables that it keeps between them.
#[derive(Default)]
pub struct Encoder {
    plain: Vec<u8>,
    packed: Vec<u8>,
    packer: Option<zstd::bulk::Compressor<'static>>,
}

impl Encoder {
    /// See [`Entry::encode`]. The bytes stay until the next entry is written.
    pub fn encode(&mut self, entry: &Entry) -> &[u8] {
        write(&mut self.plain, entry, None);
        self.packed_if_large()
    }

    /// The entry as the journal holds it, with numbers in the place of everything personal.
    pub fn seal(&mut self, entry: &Entry, numbers: &mut dyn Numbers) -> &[u8] {
        write(&mut self.plain, entry, Some(numbers));
        self.packed_if_large()
    }

    /// Sealed bytes with the values put back: what `encode` gives of the same entry. Other forms stay as they are.
    pub fn name(&mut self, sealed: &[u8], values: &dyn Values) -> Result<&[u8], EntryFault> {
        self.plain.clear();
        match unpacked(sealed)? {
            (form @ (FORM_PLAIN | FORM_SALE), true, body) => {
                self.plain.push(form);
                marks::name(&body, values, &mut self.plain).map_err(EntryFault::Malformed)?;
                Ok(self.packed_if_large())
            }
            _ => {
                self.plain.extend(sealed);
                Ok(&self.plain)
            }
        }
    }

    fn packed_if_large(&mut self) -> &[u8] {
        if self.plain.len() > limits::ENTRY_PLAIN_BYTES_MAX {
            self.pack();
            &self.packed
        } else {
            &self.plain
        }
    }

    /// See [`Entry::fits`]: tried, however few lines it has.
    pub(super) fn fits(&mut self, entry: &Entry) -> bool {
        write(&mut self.plain, entry, None);
        self.plain.len() <= limits::ENTRY_BYTES_MAX && {
            self.pack();
            self.packed.len() <= limits::FRAME_PAYLOAD_BYTES_MAX / 2
        }
    }

    fn pack(&mut self) {
        let packer = self
            .packer
            .get_or_insert_with(|| zstd::bulk::Compressor::new(1).expect("level 1 is one of zstd's"));
        let packed = packer.compress(&self.plain[1..]).expect("memory can always be compressed");
        // Each packed form is the number behind its plain one.
        self.packed = [&[self.plain[0] + 1], packed.as_slice()].concat();
    }
}

fn write<'a>(bytes: &'a mut Vec<u8>, entry: &Entry, numbers: Option<&'a mut dyn Numbers>) {
    bytes.clear();
    // One large decision does not keep its room for ever.
    bytes.shrink_to(limits::ENTRY_PLAIN_BYTES_MAX);
    let more = if numbers.is_some() { NUMBERED } else { 0 };
    match Sale::of(entry) {
        Some(sale) => {
            bytes.push(FORM_SALE + more);
            sale.write(&mut Pen::new(bytes, numbers));
        }
        None => {
            bytes.push(FORM_PLAIN + more);
            Pen::new(bytes, numbers).named(entry);
        }
    }
}

/// The form unpacked and without numbers, whether it has numbers, and the body.
fn unpacked(bytes: &[u8]) -> Result<(u8, bool, Cow<'_, [u8]>), EntryFault> {
    let malformed = |why: String| EntryFault::Malformed(why);
    let (form, body) = bytes.split_first().ok_or_else(|| malformed("it is empty".to_owned()))?;
    let numbered = *form > NUMBERED;
    let plain = if numbered { form - NUMBERED } else { *form };
    match plain {
        FORM_PLAIN | FORM_SALE => Ok((plain, numbered, Cow::Borrowed(body))),
        FORM_PLAIN_PACKED | FORM_SALE_PACKED => {
            // What was packed here says how large it becomes.
            let says = zstd::zstd_safe::get_frame_content_size(body).ok().flatten();
            let says = says.and_then(|bytes| usize::try_from(bytes).ok()).unwrap_or(usize::MAX);
            let body = zstd::bulk::decompress(body, says.min(limits::ENTRY_BYTES_MAX))
                .map_err(|error| malformed(error.to_string()))?;
            Ok((plain - 1, numbered, Cow::Owned(body)))
        }
        _ => Err(EntryFault::FormUnknown(*form)),
    }
}

/// Reads what `Encoder::encode` wrote, or `Encoder::seal`: then with the values that `values` knows.
pub(super) fn decode(bytes: &[u8], values: &dyn Values) -> Result<Entry, EntryFault> {
    let malformed = |why: String| EntryFault::Malformed(why);
    let (form, numbered, mut body) = unpacked(bytes)?;
    if numbered {
        let mut named = Vec::with_capacity(body.len() + limits::RECORD_BYTES_USUAL);
        marks::name(&body, values, &mut named).map_err(malformed)?;
        body = Cow::Owned(named);
    }
    match form {
        FORM_PLAIN => rmp_serde::from_slice(&body).map_err(|e| malformed(e.to_string())),
        _ => read_sale(&mut Row::of(&body)).map_err(malformed),
    }
}

pub(super) fn is_numbered(bytes: &[u8]) -> bool {
    bytes.first().is_some_and(|form| *form > NUMBERED)
}

/// Does a decision name the member of this number? Nothing if it was written before there were numbers.
pub(super) fn mentions(bytes: &[u8], number: u32) -> Result<Option<bool>, EntryFault> {
    let (_, numbered, body) = unpacked(bytes)?;
    let found = || marks::mentions(&body, number).map_err(EntryFault::Malformed);
    if numbered { found().map(Some) } else { Ok(None) }
}

/// Values that stand one behind the other.
struct Row<'a>(rmp_serde::Deserializer<ReadRefReader<'a, [u8]>>);

impl<'a> Row<'a> {
    fn of(bytes: &'a [u8]) -> Row<'a> {
        Row(rmp_serde::Deserializer::from_read_ref(bytes))
    }

    fn next<T: DeserializeOwned>(&mut self) -> Result<T, String> {
        T::deserialize(&mut self.0).map_err(|e| e.to_string())
    }
}

/// Writes a sequence without gathering it first.
struct Each<F>(F);

impl<I, F> Serialize for Each<F>
where
    I: IntoIterator,
    I::Item: Serialize,
    F: Fn() -> I,
{
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_seq((self.0)())
    }
}

impl Record {
    /// Writes the record as MessagePack: as lists where every field is always there, by name where one may be left out: a list
    /// would not say which. `Record` reads both.
    pub fn write(&self, out: &mut Vec<u8>) {
        self.write_to(&mut Pen::new(out, None));
    }

    fn write_to(&self, pen: &mut Pen<'_>) {
        match self {
            Record::Token(_) | Record::Redeemed(_) | Record::Usage(_) | Record::Request(_) => pen.list(self),
            Record::Member(_) | Record::Ledger(_) | Record::Code(_) | Record::Order(_) => pen.named(self),
            Record::Sale(_) | Record::Quote(_) | Record::Decision(_) => pen.named(self),
            Record::Slices(_) | Record::Heard(_) | Record::History(_) => pen.list(self),
            Record::Waiting(_) | Record::Shelf(_) => pen.list(self),
        }
    }
}

fn records<'a>(
    pen: &mut Pen<'_>,
    count: usize,
    records: impl Iterator<Item = (&'a Key, Option<&'a Record>)>,
) {
    pen.list(&count);
    for (key, record) in records {
        pen.list(key);
        match record {
            Some(record) => record.write_to(pen),
            None => pen.list(&()),
        }
    }
}

// --- a sale ---

type Head = (Seq, Epoch, UnixMs, Option<BundleRef>);

/// A sale whose receipt its quote tells.
struct Sale<'a> {
    entry: &'a Entry,
    receipt: &'a Receipt,
    quote: QuoteRows<'a>,
}

impl<'a> Sale<'a> {
    /// Nothing if the entry is none.
    fn of(entry: &'a Entry) -> Option<Sale<'a>> {
        let Ok(Reply::Commit(receipt)) = &entry.answer else { return None };
        let quote = entry.facts.settled()?;
        let quote = is_derived(receipt, quote).then(|| QuoteRows::of(quote))??;
        Some(Sale { entry, receipt, quote })
    }

    fn write(&self, pen: &mut Pen<'_>) {
        let Sale { entry, receipt, quote } = self;
        pen.list(&(entry.seq, entry.epoch, entry.at, &entry.bundle));
        pen.named(&entry.input);
        let facts: Vec<_> = entry.facts.others().collect();
        records(pen, facts.len(), facts.into_iter().map(|(key, record)| (key, record.as_ref())));
        records(pen, entry.changes.len(), entry.changes.iter().map(|it| (&it.key, it.record.as_ref())));
        quote.write(pen, Some(&entry.facts));
        let titles = Each(|| receipt.figures.applied.iter().map(|applied| applied.title.as_str()));
        pen.list(&(
            &receipt.decision,
            &receipt.transaction,
            &receipt.member,
            titles,
            receipt.figures.points.balance_after,
            (receipt.figures.data_age.bundle_s, receipt.figures.data_age.member_s),
            &receipt.coupons_burned,
            &receipt.coupons_issued,
            &receipt.texts,
            receipt.training,
            &receipt.charged,
        ));
    }
}

fn read_sale(values: &mut Row<'_>) -> Result<Entry, String> {
    let (seq, epoch, at, bundle): Head = values.next()?;
    let input: Input = values.next()?;
    let mut facts = Facts::default();
    for _ in 0..values.next::<u32>()? {
        facts.add(values.next()?, values.next()?);
    }
    let count: u32 = values.next()?;
    let changes = (0..count).map(|_| Ok(Change { key: values.next()?, record: values.next()? }));
    let changes: Vec<Change> = changes.collect::<Result<_, String>>()?;
    let quote = read_quote(values, Some(&facts))?;
    let answer = Ok(Reply::Commit(Box::new(read_receipt(values, &quote)?)));
    facts.add(Key::Quote(quote.id.clone()), Some(Record::Quote(Box::new(quote))));
    Ok(Entry { seq, epoch, at, bundle, input, facts, answer, changes: changes.into() })
}

type ReceiptRest = (
    String,
    TransactionView,
    Option<MemberId>,
    Vec<String>,
    Option<i64>,
    (i64, Option<i64>),
    Vec<CouponCode>,
    Vec<IssuedCoupon>,
    Vec<String>,
    bool,
    Option<ChargedView>,
);

fn read_receipt(values: &mut Row<'_>, quote: &Quote) -> Result<Receipt, String> {
    let rest: ReceiptRest = values.next()?;
    let (decision, transaction, member, titles, balance_after, age, burned, issued, texts, training, charged) =
        rest;
    let priced = &quote.priced;
    if titles.len() != priced.applied.len() {
        return Err("its titles are not those of what applied".to_owned());
    }
    let units = priced.lines.iter().map(|line| LineUnits {
        line: line.line.clone(),
        sku: line.sku.clone(),
        shares: line.shares.clone(),
    });
    let data_age = DataAge { bundle_s: age.0, member_s: age.1 };
    let mut figures = Figures::of(quote, priced, titles.into_iter(), data_age);
    figures.points.balance_after = balance_after;
    Ok(Receipt {
        decision,
        transaction,
        member,
        figures,
        units: units.collect(),
        points_ledger: priced.points.lines.clone(),
        coupons_burned: burned,
        coupons_issued: issued,
        texts,
        training,
        charged,
        remarks: Vec::new(),
    })
}

/// Does the receipt say of lines, units, codes and sums what its quote says, so that it need not be written again?
fn is_derived(receipt: &Receipt, quote: &Quote) -> bool {
    let (figures, priced) = (&receipt.figures, &quote.priced);
    let lines = figures.lines.len() == priced.lines.len()
        && receipt.units.len() == priced.lines.len()
        && figures.lines.iter().zip(&receipt.units).zip(&priced.lines).all(|((shown, units), line)| {
            shown.line == line.line
                && (shown.gross, shown.net) == (line.gross, line.net)
                && shown.discounts == line.discounts
                && shown.difference == Money::ZERO
                && units.line == line.line
                && units.sku == line.sku
                && units.shares == line.shares
        });
    let applied = figures.applied.len() == priced.applied.len()
        && figures.applied.iter().zip(&priced.applied).all(|(shown, applied)| {
            shown.promotion == applied.promotion
                && shown.amount == applied.amount
                && shown.coupon == applied.coupon
        });
    let coupons = figures.coupons.len() == priced.coupons.len()
        && figures.coupons.iter().zip(&priced.coupons).all(|(shown, coupon)| {
            (&shown.code, shown.outcome, shown.reason, shown.problem)
                == (&coupon.code, coupon.outcome, coupon.reason, coupon.problem())
        });
    let sums = (figures.subtotal, figures.discount_total, figures.total, figures.resolution)
        == (priced.subtotal, priced.discount_total, priced.total, priced.resolution)
        && (figures.points.earn, figures.points.spend) == (priced.points.earn, priced.points.spend);
    lines
        && applied
        && coupons
        && sums
        && figures.gifts == priced.gifts
        && figures.gift_cards == priced.gift_cards
        && figures.shelf == priced.shelf
        && figures.bundle == quote.bundle
        && receipt.points_ledger == priced.points.lines
        && figures.not_applied.is_empty()
        && figures.near.is_empty()
        && receipt.remarks.is_empty()
}

// --- a quote ---

type Asked = (
    Option<TokenHash>,
    Channel,
    Option<UnixMs>,
    Option<Lang>,
    Vec<CouponCode>,
    Option<PointsWish>,
    Vec<Claim>,
    Vec<GiftCard>,
    Option<Zone>,
);
/// Of a promotion that applied, by its place, so much.
type DiscountRow = (u32, Money);
type ShareRow = (u32, Money, Vec<DiscountRow>, i64, i64);
/// A line as asked and as priced.
type LineRow = (LineId, Sku, Quantity, Option<Money>, (Money, Money, Money), Vec<DiscountRow>, Vec<ShareRow>);
type Sums = (Money, Money, Money, Resolution);
type PointsRow = (i64, i64, Money, Option<i64>, Vec<PointsLine>, Option<Reason>);
type QuoteHead = (QuoteId, DeviceId, UnixMs, Day, UnixMs, BundleRef, Option<u32>);
type Applications = Vec<(PromotionId, Money, u32, u32, i64, Option<CouponCode>)>;
type PricedRest = (Sums, Vec<GivenGift>, Vec<CouponResult>, PointsRow, Vec<GiftCardUse>, Vec<Issue>);
type Uses = BTreeMap<PromotionId, Usage>;
/// Uses that are the facts' are left out.
type Seen = (Vec<PresentedCode>, Option<Uses>, Option<Uses>, BTreeMap<PromotionId, ReturnPolicy>);

/// Where the member of a quote is written.
#[derive(Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
enum Whose {
    /// There is none.
    Nobody,
    /// Among the facts.
    Facts,
    /// Behind this.
    Here,
}

/// A line's rows, if its figures can be told by places.
struct Rows<'a> {
    line: &'a Line,
    priced: &'a PricedLine,
    discounts: Vec<DiscountRow>,
    shares: Vec<(u32, Money, Vec<DiscountRow>, i64, i64)>,
}

impl<'a> Rows<'a> {
    /// Nothing unless the priced line is the asked one and each discount is of something that applied.
    fn of(line: &'a Line, priced: &'a PricedLine, applied: &[Applied]) -> Option<Rows<'a>> {
        let is_asked =
            line.line == priced.line && line.sku == priced.sku && line.quantity.units() == priced.units;
        if !is_asked {
            return None;
        }
        let places = |discounts: &[LineDiscount]| -> Option<Vec<DiscountRow>> {
            let place = |discount: &LineDiscount| {
                let place = applied.iter().position(|applied| applied.promotion == discount.promotion)?;
                Some((u32::try_from(place).ok()?, discount.amount))
            };
            discounts.iter().map(place).collect()
        };
        let share = |share: &UnitShare| {
            Some((share.qty, share.net, places(&share.discounts)?, share.points, share.points_spent))
        };
        Some(Rows {
            line,
            priced,
            discounts: places(&priced.discounts)?,
            shares: priced.shares.iter().map(share).collect::<Option<_>>()?,
        })
    }
}

impl Serialize for Rows<'_> {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let Line { line, sku, quantity, unit_price } = self.line;
        let sums = (self.priced.gross, self.priced.net, self.priced.points_amount);
        (line, sku, quantity, unit_price, sums, &self.discounts, &self.shares).serialize(serializer)
    }
}

/// A quote whose priced lines are those asked for.
struct QuoteRows<'a> {
    quote: &'a Quote,
    rows: Vec<Rows<'a>>,
}

impl<'a> QuoteRows<'a> {
    /// Nothing if it is not such a quote, or says what few do: that stands in the plain form only.
    fn of(quote: &'a Quote) -> Option<QuoteRows<'a>> {
        let Quote { asked, priced, .. } = quote;
        if asked.basket.lines.len() != priced.lines.len()
            || !priced.not_applied.is_empty()
            || !priced.near.is_empty()
            || asked.basket.notes.is_some()
            || quote.lent.is_some()
            || !priced.shelf.is_empty()
        {
            return None;
        }
        let rows = asked.basket.lines.iter().zip(&priced.lines);
        let rows = rows.map(|(line, priced_line)| Rows::of(line, priced_line, &priced.applied));
        Some(QuoteRows { quote, rows: rows.collect::<Option<_>>()? })
    }

    /// What the facts say already is left out.
    fn write(&self, pen: &mut Pen<'_>, facts: Option<&Facts>) {
        let QuoteRows { quote, rows } = self;
        let Quote { asked, priced, .. } = quote;
        let of_facts = |of: &dyn Fn(&UsageOf) -> bool| facts.map(|facts| facts.uses(of));
        let in_shop = of_facts(&|of| *of == UsageOf::Shop);
        let on_device = of_facts(&|of| matches!(of, UsageOf::Device(device) if *device == quote.device));
        let unless_same = |own: &Uses, theirs: Option<Uses>| theirs.as_ref() != Some(own);
        let usage = unless_same(&quote.usage, in_shop).then_some(&quote.usage);
        let device_usage = unless_same(&quote.device_usage, on_device).then_some(&quote.device_usage);
        let whose = match &quote.member {
            None => Whose::Nobody,
            Some(member) if facts.and_then(|facts| facts.member(&member.id)).as_ref() == Some(member) => {
                Whose::Facts
            }
            Some(_) => Whose::Here,
        };
        let Quote { id, device, made_at, day, expires, bundle, offline_hours, .. } = quote;
        pen.list(&(id, device, made_at, day, expires, bundle, offline_hours));
        let Basket { lines: _, coupons, points, claims, gift_cards, zone, notes: _ } = &asked.basket;
        let QuoteBody { member, channel, at, lang, .. } = asked;
        pen.list(&(member, channel, at, lang, coupons, points, claims, gift_cards, zone));
        pen.list(&Each(|| {
            priced.applied.iter().map(|applied| {
                let Applied { promotion, amount, units, times, points, coupon } = applied;
                (promotion, amount, units, times, points, coupon)
            })
        }));
        pen.list(rows);
        let PointsResult { earn, spend, spend_amount, balance_after, lines, short } = &priced.points;
        pen.list(&(
            (priced.subtotal, priced.discount_total, priced.total, priced.resolution),
            &priced.gifts,
            &priced.coupons,
            (earn, spend, spend_amount, balance_after, lines, short),
            &priced.gift_cards,
            &priced.issues,
        ));
        pen.list(&(&quote.codes, usage, device_usage, &quote.return_policies));
        let whose_id =
            (whose == Whose::Facts).then(|| quote.member.as_ref().map(|member| &member.id)).flatten();
        pen.list(&(whose, whose_id));
        if let (Whose::Here, Some(member)) = (whose, &quote.member) {
            pen.named(member);
        }
    }
}

fn read_quote(values: &mut Row<'_>, facts: Option<&Facts>) -> Result<Quote, String> {
    let (id, device, made_at, day, expires, bundle, offline_hours): QuoteHead = values.next()?;
    let (token, channel, at, lang, coupons, points, claims, gift_cards, zone): Asked = values.next()?;
    let applied: Applications = values.next()?;
    let applied: Vec<Applied> = applied
        .into_iter()
        .map(|(promotion, amount, units, times, points, coupon)| Applied {
            promotion,
            amount,
            units,
            times,
            points,
            coupon,
        })
        .collect();
    let rows: Vec<LineRow> = values.next()?;
    let (sums, gifts, results, points_row, cards, issues): PricedRest = values.next()?;
    let (codes, usage, device_usage, return_policies): Seen = values.next()?;
    let (whose, member_id): (Whose, Option<MemberId>) = values.next()?;
    let missing = || "it names facts that are not there".to_owned();
    let member = match whose {
        Whose::Nobody => None,
        Whose::Here => Some(values.next::<Member>()?),
        Whose::Facts => {
            let id = member_id.ok_or_else(missing)?;
            Some(facts.and_then(|facts| facts.member(&id)).ok_or_else(missing)?)
        }
    };
    let of_facts = |of: &dyn Fn(&UsageOf) -> bool| facts.map(|facts| facts.uses(of)).ok_or_else(missing);
    let usage = match usage {
        Some(usage) => usage,
        None => of_facts(&|of| *of == UsageOf::Shop)?,
    };
    let device_usage = match device_usage {
        Some(usage) => usage,
        None => of_facts(&|of| matches!(of, UsageOf::Device(other) if *other == device))?,
    };
    let discounts = |rows: Vec<DiscountRow>| -> Result<Vec<LineDiscount>, String> {
        let discount = |(place, amount): DiscountRow| {
            let applied = applied.get(place as usize).ok_or("a discount is of nothing that applied")?;
            Ok(LineDiscount { promotion: applied.promotion.clone(), amount })
        };
        rows.into_iter().map(discount).collect()
    };
    let (mut lines, mut priced_lines) = (Vec::with_capacity(rows.len()), Vec::with_capacity(rows.len()));
    for (line, sku, quantity, unit_price, (gross, net, points_amount), off, shares) in rows {
        let shares = shares.into_iter().map(|(qty, net, off, points, points_spent)| {
            Ok(UnitShare { qty, net, discounts: discounts(off)?, points, points_spent })
        });
        priced_lines.push(PricedLine {
            line: line.clone(),
            sku: sku.clone(),
            units: quantity.units(),
            gross,
            net,
            points_amount,
            discounts: discounts(off)?,
            shares: shares.collect::<Result<_, String>>()?,
        });
        lines.push(Line { line, sku, quantity, unit_price });
    }
    let (subtotal, discount_total, total, resolution) = sums;
    let (earn, spend, spend_amount, balance_after, ledger, short) = points_row;
    let priced = Priced {
        subtotal,
        discount_total,
        total,
        lines: priced_lines,
        gifts,
        applied,
        coupons: results,
        not_applied: Vec::new(),
        near: Vec::new(),
        points: PointsResult { earn, spend, spend_amount, balance_after, lines: ledger, short },
        shelf: Vec::new(),
        gift_cards: cards,
        issues,
        resolution,
    };
    let basket = Basket { lines, coupons, points, claims, gift_cards, zone, notes: None };
    let asked = QuoteBody { basket, member: token, channel, at, lang };
    Ok(Quote {
        id,
        device,
        made_at,
        day,
        expires,
        bundle,
        asked,
        member,
        codes,
        usage,
        device_usage,
        offline_hours,
        lent: None,
        return_policies,
        priced,
    })
}

/// A quote as bytes, for as long as it is open.
#[derive(Clone, Debug)]
pub(super) struct Kept(Box<[u8]>);

impl Kept {
    /// Nothing is lost: a quote that cannot be told by rows is written with named fields.
    pub(super) fn keep(quote: &Quote) -> Kept {
        let mut bytes = Vec::with_capacity(limits::OPEN_QUOTE_BYTES_USUAL);
        match QuoteRows::of(quote) {
            Some(rows) => {
                bytes.push(FORM_SALE);
                rows.write(&mut Pen::new(&mut bytes, None), None);
            }
            None => {
                bytes.push(FORM_PLAIN);
                Pen::new(&mut bytes, None).named(quote);
            }
        }
        Kept(bytes.into_boxed_slice())
    }

    /// The quote again.
    pub(super) fn quote(&self) -> Quote {
        let body = &self.0[1..];
        let quote = match self.0[0] {
            FORM_SALE => read_quote(&mut Row::of(body), None),
            _ => rmp_serde::from_slice(body).map_err(|e| e.to_string()),
        };
        quote.expect("it was written by this process")
    }

    /// Bytes.
    pub(super) fn len(&self) -> usize {
        self.0.len()
    }
}
