//! Best: what proving the best combination costs, and what the shopper pays where nobody looks for it.
//!
//! ```text
//! basket      30 lines, mostly of one unit, prices 5 to 45
//! applicable  50 or 200 promotions that could touch it, most of which use units up: half of them a percentage or an
//!             amount off each unit, the others the second one half price, three for two, three for a price; on
//!             categories, on some articles, on one; one in eight on the order, twelve at most: thresholds (one of
//!             them), coupons (one of them), every so much
//! active      10,000, the others on articles that are not in the basket
//! ```
//! Timed is `Book::price` whole: prices, proof, reasons and the additions that would pay. Beside it the same book in
//! `sequence`, which is the greedy pass by declared priority; and best first: the promotions in the order of what each
//! would take off alone. Baskets and promotions are drawn from a fixed seed.

use std::collections::BTreeMap;
use std::path::PathBuf;

use anyhow::{Context, Result, anyhow};
use serde::Serialize;
use serde_json::{Value, json};

use super::figures::{Goal, Latency, histogram, rounded};
use super::progress;
use crate::cli::tills::Dice;
use crate::clock::{Stopwatch, SystemClock};
use crate::domain::basket::Basket;
use crate::domain::calendar::{StoreZone, UnixMs};
use crate::domain::catalog::Item;
use crate::domain::ids::DeviceId;
use crate::domain::money::Currency;
use crate::pricing::model::{Arithmetic, Channel, PointsProgramme, Promotion, ResolutionMode};
use crate::pricing::outcome::Priced;
use crate::pricing::{Book, BookRules, Sale, Shopper};

/// Lines of a basket; the first articles of the catalogue, a line each.
const LINES: usize = 30;
/// Articles beside them.
const OTHERS: usize = 2_000;
/// Promotions in force.
const ACTIVE: usize = 10_000;
/// Baskets priced with one set of promotions.
const BASKETS_A_SHOP: usize = 10;

/// What the best combination costs with so many promotions that could apply.
#[derive(Serialize)]
pub(super) struct Best {
    applicable: usize,
    active: usize,
    baskets: usize,
    best: Latency,
    sequence: Latency,
    /// Baskets whose combination was proved, of all.
    proved: f64,
    /// The largest gap of the others, of what is to pay.
    gap_max: f64,
    /// p50 with 10,000 active promotions to that with the applicable ones only.
    growth: f64,
    /// What is paid more without a search, of the best total: on average and at most.
    declared: Loss,
    best_first: Loss,
}

/// What a greedy choice costs the shopper, of the basket.
#[derive(Serialize)]
struct Loss {
    mean: f64,
    most: f64,
}

impl Loss {
    fn of(losses: &[f64]) -> Loss {
        let mean = losses.iter().sum::<f64>() / losses.len().max(1) as f64;
        Loss { mean: rounded(mean), most: rounded(losses.iter().copied().fold(0.0, f64::max)) }
    }
}

impl Best {
    /// For people.
    pub(super) fn lines(&self) -> Vec<String> {
        let Best {
            applicable,
            active,
            baskets,
            best,
            sequence,
            proved,
            gap_max,
            growth,
            declared,
            best_first,
        } = self;
        vec![
            format!(
                "best combination, {applicable} applicable of {active}, {baskets} baskets of {LINES} lines: p50 {} us, p99 {} us; proved {proved}, gap at most {gap_max}",
                best.p50_us, best.p99_us
            ),
            format!(
                "  the greedy pass: p50 {} us, p99 {} us; with the {applicable} alone the best takes 1/{growth} of that p50",
                sequence.p50_us, sequence.p99_us
            ),
            format!(
                "  without a search the shopper pays more: declared order {} on average, {} at most; best first {} and {}",
                declared.mean, declared.most, best_first.mean, best_first.most
            ),
        ]
    }

    /// What is promised.
    pub(super) fn goals(&self) -> Vec<Goal> {
        if self.applicable <= 50 {
            vec![
                Goal::at_most("best of 50, p50 us", self.best.p50_us, 200.0),
                Goal::at_most("best of 50, p99 us", self.best.p99_us, 2_000.0),
                Goal::at_least("best of 50, proved", self.proved, 0.999),
                Goal::at_most("best of 50, 10,000 active to 50", self.growth, 2.0),
            ]
        } else {
            vec![
                Goal::at_most("best of 200, p50 us", self.best.p50_us, 2_000.0),
                Goal::at_most("best of 200, p99 us", self.best.p99_us, 20_000.0),
                Goal::at_least("best of 200, proved", self.proved, 0.99),
            ]
        }
    }
}

/// Measures; where a file is named, the baskets, their promotions and what we found are written there, a line each, for
/// another solver.
pub(super) fn measure(baskets: usize, dump: Option<&PathBuf>) -> Result<Vec<Best>> {
    let mut dumped = String::new();
    let mut measured = Vec::new();
    for applicable in [50, 200] {
        progress(&format!("best: {applicable} applicable promotions"));
        measured.push(one(applicable, baskets, &mut dumped)?);
    }
    if let Some(path) = dump {
        std::fs::write(path, dumped).with_context(|| format!("failed to write {}", path.display()))?;
    }
    Ok(measured)
}

fn one(applicable: usize, baskets: usize, dumped: &mut String) -> Result<Best> {
    let mut dice = Dice::new(applicable as u64, "best");
    let (mut best, mut greedy, mut few) = (histogram(), histogram(), histogram());
    let (mut proved, mut gap_max) = (0_usize, 0.0_f64);
    let (mut declared, mut best_first) = (Vec::new(), Vec::new());
    for shop in 0..baskets.div_ceil(BASKETS_A_SHOP) {
        let items = items(&mut dice);
        let offers = offers(&mut dice, applicable, &items)?;
        let all = with_others(&offers)?;
        let book = compile(&items, &all, ResolutionMode::Best)?;
        let small = compile(&items, &offers, ResolutionMode::Best)?;
        let sequence = compile(&items, &all, ResolutionMode::Sequence)?;
        for number in 0..BASKETS_A_SHOP.min(baskets - shop * BASKETS_A_SHOP) {
            let basket = basket(&mut dice)?;
            let priced = timed(&book, &basket, &mut best)?;
            timed(&small, &basket, &mut few)?;
            let by_order = timed(&sequence, &basket, &mut greedy)?;
            proved += usize::from(priced.resolution.proved);
            let share = |more: i64| more as f64 / priced.subtotal.0.max(1) as f64;
            gap_max = gap_max.max(share(priced.resolution.gap.0));
            declared.push(share(by_order.total.0 - priced.total.0));
            if number == 0 {
                best_first.push(share(first_by_gain(&items, &offers, &basket)?.total.0 - priced.total.0));
            }
            let line = json!({ "applicable": applicable, "items": items, "promotions": offers, "basket": basket,
                "total": priced.total, "proved": priced.resolution.proved });
            dumped.push_str(&format!("{line}\n"));
        }
    }
    let (latency, alone) = (Latency::of(&best), Latency::of(&few));
    Ok(Best {
        applicable,
        active: ACTIVE,
        baskets,
        best: latency,
        sequence: Latency::of(&greedy),
        proved: rounded(proved as f64 / baskets.max(1) as f64),
        gap_max: rounded(gap_max),
        growth: rounded(latency.p50_us / alone.p50_us),
        declared: Loss::of(&declared),
        best_first: Loss::of(&best_first),
    })
}

fn items(dice: &mut Dice) -> Vec<Item> {
    let item = |number: usize| {
        let category =
            if number < LINES { format!("c{}", dice.below(6)) } else { format!("d{}", number % 50) };
        let price = 500 + dice.below(4_000);
        json!({ "sku": format!("s{number:04}"), "price": price, "categories": [category] })
    };
    let items: Vec<Value> = (0..LINES + OTHERS).map(item).collect();
    serde_json::from_value(Value::Array(items)).expect("articles in the form of a catalogue")
}

/// Promotions that could apply to every basket.
fn offers(dice: &mut Dice, count: usize, items: &[Item]) -> Result<Vec<Promotion>> {
    let offer = |number: usize| {
        let mut offer = json!({ "id": format!("p{number:05}"), "titles": { "en": "an offer" } });
        if number % 8 == 7 && number / 8 < 12 {
            let spend = 5_000 + dice.below(40_000);
            let (benefit, group) = match number / 8 % 4 {
                0 | 1 => (
                    json!({ "spend_and_save": { "tiers": [{ "spend": spend, "save": { "amount": spend / 12 } }] } }),
                    Some("threshold"),
                ),
                2 => (json!({ "order_percent": 3 + dice.below(6) }), Some("coupon")),
                _ => (
                    json!({ "spend_and_save": { "every": { "spend": spend, "save": 300 } } }),
                    Some("threshold"),
                ),
            };
            offer["benefit"] = benefit;
            if let Some(group) = group {
                offer["stacking"] = json!({ "group": group, "mode": "best_of" });
            }
            return serde_json::from_value(offer);
        }
        let several = |dice: &mut Dice, few: u64| -> Vec<String> {
            (0..few).map(|_| format!("s{:04}", dice.below(LINES as u64))).collect()
        };
        let set = match dice.below(10) {
            0..4 => json!({ "categories": [format!("c{}", dice.below(6))] }),
            4..8 => {
                let few = 2 + dice.below(4);
                json!({ "skus": several(dice, few) })
            }
            _ => json!({ "skus": several(dice, 1) }),
        };
        let half = [50, 40, 60, 100][dice.below(4) as usize];
        offer["qualifier"] = json!({ "items": set, "consumes": true });
        offer["benefit"] = match dice.below(8) {
            0 | 1 => json!({ "line_percent": 5 + 5 * dice.below(5) }),
            2 | 3 => json!({ "line_amount": { "amount": 50 + 50 * dice.below(8) } }),
            4 | 5 => json!({ "nth_item": { "n": 2, "reward": { "percent": half } } }),
            6 => json!({ "buy_x_get_y": { "buy": 2, "get": 1 } }),
            _ => {
                let price = items[dice.below(LINES as u64) as usize].price.0 * 24 / 10;
                json!({ "sets": { "sizes": [{ "units": 3, "give": { "price": price } }] } })
            }
        };
        serde_json::from_value(offer)
    };
    (0..count).map(offer).collect::<Result<_, _>>().context("failed to make promotions")
}

/// The same promotions among many that the basket does not touch.
fn with_others(offers: &[Promotion]) -> Result<Vec<Promotion>> {
    let mut all = offers.to_vec();
    for number in offers.len()..ACTIVE {
        let set = match number % 10 {
            0 => json!({ "categories": [format!("d{}", number % 50)] }),
            _ => json!({ "skus": [format!("s{:04}", LINES + number % OTHERS)] }),
        };
        let offer = json!({ "id": format!("q{number:05}"), "titles": { "en": "another" },
            "qualifier": { "items": set, "consumes": true }, "benefit": { "line_percent": 10 } });
        all.push(serde_json::from_value(offer).context("failed to make promotions")?);
    }
    Ok(all)
}

fn basket(dice: &mut Dice) -> Result<Basket> {
    let line = |number: usize| json!({ "line": format!("{number}"), "sku": format!("s{number:04}"), "quantity": { "units": 1 + dice.below(4) / 3 } });
    let lines: Vec<Value> = (0..LINES).map(line).collect();
    serde_json::from_value(json!({ "lines": lines })).context("failed to make a basket")
}

fn compile(items: &[Item], promotions: &[Promotion], resolution: ResolutionMode) -> Result<Book> {
    let rules = BookRules {
        currency: Currency { code: "CNY".into(), minor_units: 2 },
        zone: StoreZone::new("Asia/Shanghai").context("failed to find the time zone")?,
        arithmetic: Arithmetic::default(),
        resolution,
        catalogue: items.to_vec(),
        promotions: promotions.to_vec(),
        points: PointsProgramme::default(),
        coupons: Vec::new(),
    };
    Book::compile(rules).map_err(|faults| anyhow!("failed to compile the promotions: {faults:?}"))
}

fn price(book: &Book, basket: &Basket) -> Result<Priced> {
    let device = DeviceId::new("till-1").map_err(|error| anyhow!("{error:?}"))?;
    let usage = BTreeMap::new();
    let sale = Sale {
        basket,
        shopper: Shopper { member: None, segments: &[], now: UnixMs(1_790_000_000_000), zone: None },
        codes: &[],
        device: &device,
        channel: Channel::Till,
        usage: &usage,
        device_usage: &usage,
        offline_hours: None,
        lent: None,
    };
    book.price(&sale).map_err(|fault| anyhow!("failed to price the basket: {fault}"))
}

fn timed(book: &Book, basket: &Basket, into: &mut hdrhistogram::Histogram<u64>) -> Result<Priced> {
    price(book, basket)?;
    let watch = Stopwatch::start(&SystemClock);
    let priced = price(book, basket)?;
    let elapsed = watch.elapsed(&SystemClock);
    into.saturating_record(u64::try_from(elapsed.as_nanos()).unwrap_or(u64::MAX));
    Ok(priced)
}

/// The greedy pass best first: whatever takes most off alone goes first.
fn first_by_gain(items: &[Item], offers: &[Promotion], basket: &Basket) -> Result<Priced> {
    let items = &items[..LINES];
    let mut by_gain: Vec<(i64, Promotion)> = Vec::with_capacity(offers.len());
    for offer in offers {
        let alone = price(&compile(items, std::slice::from_ref(offer), ResolutionMode::Sequence)?, basket)?;
        by_gain.push((-alone.discount_total.0, offer.clone()));
    }
    by_gain.sort_by_key(|(gain, _)| *gain);
    let ordered: Vec<Promotion> = by_gain.into_iter().map(|(_, offer)| offer).collect();
    price(&compile(items, &ordered, ResolutionMode::Sequence)?, basket)
}
