//! Recorded baskets: from a file of JSON lines, from the shop's own journal, or from a grocer's real ones.
//!
//! ```text
//! {"at":"2026-11-18T12:00:00+08:00","member":"hh13","device":"till-1","channel":"till","zone":"fresh",
//!  "lines":[{"sku":"821083","qty":2},{"sku":"847270","weight_grams":640,"unit_price":699}],
//!  "coupons":["FRESH10"],"points":500}
//! ```
//! One basket a line; `at` and `lines` are needed, all else may be left out (`points` is a number or "max"). Without
//! `unit_price` a line costs what the catalogue says: of the rules it is priced under, so that changed prices show. A
//! member is looked up among those of the rules; one they do not list is a member nobody knows anything about.
//! Baskets must stand in order of time, as they were sold: limits are counted as the run goes on.

use std::collections::{BTreeMap, BTreeSet};
use std::fs::File;
use std::io::{BufRead, BufReader, Read};
use std::ops::Range;
use std::path::Path;

use anyhow::{Context, Result, bail};
use serde::Deserialize;

use crate::cli::journey::Journey;
use crate::cli::replay::journal;
use crate::domain::basket::{Basket, Line, PointsWish, Quantity};
use crate::domain::calendar::{DAY_MS, Day, StoreZone, TimeOfDay, UnixMs};
use crate::domain::ids::{CouponCode, DeviceId, LineId, MemberId, PromotionId, Seq, Sku, Zone};
use crate::domain::member::Member;
use crate::engine::decision::Entry;
use crate::engine::replay;
use crate::engine::reply::Reply;
use crate::limits;
use crate::pricing::model::Channel;
use crate::storage::error::StorageError;
use crate::storage::journal::JournalView;
use crate::storage::vault::Vault;

/// A basket as it was sold.
pub(super) struct Recorded {
    /// Where it was recorded: a line of the file, a decision, a number of the source.
    pub(super) name: String,
    pub(super) at: UnixMs,
    pub(super) device: DeviceId,
    pub(super) channel: Channel,
    pub(super) basket: Basket,
    pub(super) buyer: Option<Buyer>,
    /// What codes were found to be a right to, where that is recorded: a fallback for codes the rules do not list.
    pub(super) rights: BTreeMap<CouponCode, PromotionId>,
    pub(super) offline_hours: Option<u32>,
}

/// Who bought.
pub(super) enum Buyer {
    /// To be looked up.
    Named(MemberId),
    /// As the shop knew them then.
    Known(Box<Member>),
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Written {
    at: String,
    #[serde(default)]
    member: Option<MemberId>,
    #[serde(default)]
    device: Option<DeviceId>,
    #[serde(default)]
    channel: Channel,
    #[serde(default)]
    zone: Option<Zone>,
    lines: Vec<WrittenLine>,
    #[serde(default)]
    coupons: Vec<String>,
    #[serde(default)]
    points: Option<WrittenPoints>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct WrittenLine {
    sku: Sku,
    #[serde(default)]
    qty: Option<u32>,
    #[serde(default)]
    weight_grams: Option<u32>,
    #[serde(default)]
    unit_price: Option<crate::domain::money::Money>,
}

#[derive(Deserialize)]
#[serde(untagged)]
enum WrittenPoints {
    Number(i64),
    Word(String),
}

fn till() -> DeviceId {
    DeviceId::new("till-1").expect("a constant id is valid")
}

fn line_id(nth: usize) -> LineId {
    LineId::new(&nth.to_string()).expect("digits are a line id")
}

type Take<'a> = &'a mut dyn FnMut(Recorded) -> Result<()>;

/// The baskets of a file of JSON lines. What is wrong is named with its line.
pub(super) fn of_file(path: &Path, take: Take<'_>) -> Result<()> {
    let file = File::open(path).with_context(|| format!("failed to open {}", path.display()))?;
    let mut reader = BufReader::new(file);
    let mut bytes = Vec::new();
    for number in 1.. {
        bytes.clear();
        let bound = limits::RECORDED_BASKET_BYTES_MAX as u64 + 1;
        let read = (&mut reader).take(bound).read_until(b'\n', &mut bytes);
        let place = || format!("failed to read {}:{number}", path.display());
        if read.with_context(place)? == 0 {
            return Ok(());
        }
        if bytes.len() > limits::RECORDED_BASKET_BYTES_MAX {
            bail!("{}: longer than {} bytes", place(), limits::RECORDED_BASKET_BYTES_MAX);
        }
        if bytes.trim_ascii().is_empty() {
            continue;
        }
        let written: Written = serde_json::from_slice(&bytes).with_context(place)?;
        take(written.recorded(number).with_context(place)?)?;
    }
    Ok(())
}

impl Written {
    fn recorded(self, number: usize) -> Result<Recorded> {
        let at = UnixMs::parse_rfc3339(&self.at)
            .with_context(|| format!("{:?} is not a time such as 2026-11-18T12:00:00+08:00", self.at))?;
        if self.lines.is_empty() || self.lines.len() > limits::BASKET_LINES_MAX {
            bail!("{} lines, 1 to {} are a basket", self.lines.len(), limits::BASKET_LINES_MAX);
        }
        let mut basket = Basket { zone: self.zone, ..Basket::default() };
        for (nth, line) in (1..).zip(self.lines) {
            let quantity = match (line.qty, line.weight_grams) {
                (Some(qty), None) if (1..=limits::LINE_UNITS_MAX).contains(&qty) => Quantity::Units(qty),
                (None, Some(grams)) if grams > 0 => Quantity::Grams(grams),
                _ => bail!("line {nth}: either qty (1 to {}) or weight_grams", limits::LINE_UNITS_MAX),
            };
            let (line, unit_price) = ((line_id(nth), line.sku), line.unit_price);
            basket.lines.push(Line { line: line.0, sku: line.1, quantity, unit_price });
        }
        for code in &self.coupons {
            basket.coupons.push(CouponCode::normal(code)?);
        }
        basket.points = match self.points {
            None => None,
            Some(WrittenPoints::Number(points)) => Some(PointsWish::Spend(points)),
            Some(WrittenPoints::Word(word)) if word == "max" => Some(PointsWish::Max),
            Some(WrittenPoints::Word(word)) => bail!("points {word:?}: a number, or \"max\""),
        };
        Ok(Recorded {
            name: number.to_string(),
            at,
            device: self.device.unwrap_or_else(till),
            channel: self.channel,
            basket,
            buyer: self.member.map(Buyer::Named),
            rights: BTreeMap::new(),
            offline_hours: None,
        })
    }
}

/// The shop's own sales of the last four weeks, counted back from its last decision. Training is left out, and so is what
/// was voided later: it was never sold. What came back was sold.
pub(super) fn of_journal(data_dir: &Path, take: Take<'_>) -> Result<()> {
    let (view, vault) = journal(data_dir)?;
    let mut reader = view.reader(view.durable());
    let newest = match reader.next() {
        Ok(Some(raw)) => vault.decode(raw.payload).ok().map(|entry| entry.at),
        _ => None,
    };
    let Some(newest) = newest else {
        bail!("failed to find sales in {}: its journal is empty", data_dir.display())
    };
    let since = newest.plus_ms(-limits::SIMULATE_DAYS * DAY_MS);
    let mut voided: BTreeSet<Seq> = BTreeSet::new();
    each_entry((&view, &vault), &mut |entry| {
        voided.extend(replay::voided(&entry));
        Ok(())
    })?;
    each_entry((&view, &vault), &mut |entry| {
        let Ok(Reply::Commit(receipt)) = &entry.answer else { return Ok(()) };
        if entry.at < since || receipt.training || voided.contains(&entry.seq) {
            return Ok(());
        }
        let Some(quote) = entry.facts.quotes().next() else { return Ok(()) };
        let rights = quote.codes.iter();
        let rights = rights.filter_map(|code| Some((code.code.clone(), code.promotion()?.clone())));
        take(Recorded {
            name: receipt.decision.clone(),
            at: quote.made_at,
            device: quote.device.clone(),
            channel: quote.asked.channel,
            basket: quote.asked.basket.clone(),
            buyer: quote.member.clone().map(|member| Buyer::Known(Box::new(member))),
            rights: rights.collect(),
            offline_hours: quote.offline_hours,
        })
    })
}

/// Every decision of a journal that reads, in order.
fn each_entry(
    (view, vault): (&JournalView, &Vault),
    take: &mut dyn FnMut(Entry) -> Result<()>,
) -> Result<()> {
    let mut reader = view.reader(view.first());
    loop {
        match reader.next() {
            Ok(Some(raw)) => {
                if let Ok(entry) = vault.decode(raw.payload) {
                    take(entry)?;
                }
            }
            Ok(None) => return Ok(()),
            Err(StorageError::Gap { .. }) => {}
            Err(error) => return Err(error).context("failed to read the journal"),
        }
    }
}

/// The real baskets of a folder of The Complete Journey. An article that `known` says both rules have costs what they
/// say, any other what the source's till took.
pub(super) fn of_journey(
    folder: &Path,
    (days, first_day, zone): (Range<u16>, Day, &StoreZone),
    known: &dyn Fn(&Sku) -> bool,
    take: Take<'_>,
) -> Result<()> {
    let journey = Journey::open(folder, days).map_err(|error| anyhow::anyhow!("failed to {error:#}"))?;
    for basket in &journey.baskets {
        let mut lines: Vec<Line> = Vec::new();
        for line in &basket.lines {
            let sku = Sku::new(&line.product.to_string()).context("failed to name an article")?;
            let mut add = |quantity, unit_price| {
                let sku = sku.clone();
                lines.push(Line { line: line_id(lines.len() + 1), sku, quantity, unit_price });
            };
            if known(&sku) {
                add(Quantity::Units(line.quantity), None);
            } else {
                let rung_up = line.rung_up();
                rung_up.iter().for_each(|part| add(Quantity::Units(part.quantity), Some(part.unit_price)));
            }
        }
        let minute = basket.minute % (24 * 60);
        let time: TimeOfDay = format!("{:02}:{:02}", minute / 60, minute % 60)
            .parse()
            .map_err(|error| anyhow::anyhow!("failed to read the time of a basket: {error}"))?;
        let coupons: std::result::Result<Vec<CouponCode>, _> =
            basket.coupons.iter().map(|code| CouponCode::normal(code)).collect();
        let coupons = coupons.context("failed to read a coupon of the source")?;
        take(Recorded {
            name: basket.number.to_string(),
            at: zone.at(Journey::business_day(basket, first_day), time),
            device: till(),
            channel: Channel::Till,
            basket: Basket { lines, coupons, ..Basket::default() },
            buyer: MemberId::new(&format!("hh{}", basket.household)).ok().map(Buyer::Named),
            rights: BTreeMap::new(),
            offline_hours: None,
        })?;
    }
    Ok(())
}
