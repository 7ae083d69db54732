//! Growth: what a quote costs with more members in the tables, and with more active promotions.
//!
//! Measured in this process, from the request to the decision: facts loaded from the tables, then the engine. Members are drawn
//! evenly, so that most are not in sled's cache. The promotions that apply are the same at each size.

use std::path::Path;
use std::sync::Arc;

use anyhow::{Result, bail};
use serde::Serialize;
use serde_json::{Value, json};

use super::figures::{Latency, histogram};
use super::inside::Inside;
use super::shop::{self, MadeRoll, Shop};
use super::{Extent, progress};
use crate::cli::tills::Dice;
use crate::clock::{Stopwatch, SystemClock};
use crate::engine::Outcome;

/// Lines of the basket that is priced with more promotions.
const LINES: usize = 30;
/// Promotions that stay the same.
const KEPT: usize = 10;
/// Quotes before those that count.
const WARM: usize = 200;

/// What a quote costs at one size.
#[derive(Serialize)]
pub(super) struct Growth {
    /// What there is more of: `members` or `promotions`.
    of: &'static str,
    size: usize,
    lines: &'static str,
    quote: Latency,
    /// p50 to that of the smallest size.
    p50_to_smallest: f64,
}

/// For people.
pub(super) fn lines(growth: &[Growth]) -> Vec<String> {
    let line = |one: &Growth| {
        format!(
            "  {:>9} {:<10} {}: quote p50 {} us, p99 {} us, p50 {} times that of the smallest",
            one.size, one.of, one.lines, one.quote.p50_us, one.quote.p99_us, one.p50_to_smallest
        )
    };
    let title = "growth, a quote from its request to its decision, in this process".to_owned();
    std::iter::once(title).chain(growth.iter().map(line)).collect()
}

/// Measures.
pub(super) fn measure(dir: &Path, shop: &Arc<Shop>, extent: Extent) -> Result<Vec<Growth>> {
    let mut growth: Vec<Growth> = Vec::new();
    for (index, size) in extent.members.iter().copied().enumerate() {
        progress(&format!("growth: {size} members"));
        let quote = with_members(&dir.join(format!("members-{index}")), shop, size, extent.quotes)?;
        push(&mut growth, "members", size, "5 to 10 lines, a member each", quote);
    }
    for (index, size) in extent.promotions.iter().copied().enumerate() {
        progress(&format!("growth: {size} promotions"));
        let quote = with_promotions(&dir.join(format!("promotions-{index}")), shop, size, extent.quotes)?;
        push(&mut growth, "promotions", size, "30 lines, the same 10 applicable", quote);
    }
    Ok(growth)
}

fn push(growth: &mut Vec<Growth>, of: &'static str, size: usize, lines: &'static str, quote: Latency) {
    let smallest = growth.iter().find(|one| one.of == of).map_or(quote.p50_us, |one| one.quote.p50_us);
    let p50_to_smallest = super::figures::rounded(quote.p50_us / smallest);
    growth.push(Growth { of, size, lines, quote, p50_to_smallest });
}

fn with_members(dir: &Path, shop: &Arc<Shop>, members: usize, quotes: usize) -> Result<Latency> {
    let made = members.saturating_sub(shop.members.len()).max(1);
    let roll = Box::new(MadeRoll { shop: shop.clone(), members });
    let mut inside = Inside::open(dir, shop::compile(shop.rules.clone())?, roll)?;
    let mut dice = Dice::new(1, "growth");
    let baskets: Vec<Value> = shop
        .baskets(200, 5..=10)
        .into_iter()
        .map(|mut basket| {
            basket["member"] = Value::Null;
            basket
        })
        .collect();
    let latency = run(&mut inside, quotes, |number| {
        let mut basket = baskets[number % baskets.len()].clone();
        let token = if members > shop.members.len() {
            shop::card(usize::try_from(dice.below(made as u64)).unwrap_or_default())
        } else {
            let known = shop.members[number % members.min(shop.members.len())].tokens.first().cloned();
            known.unwrap_or_else(|| shop::card(0))
        };
        basket["member"] = json!({ "kind": token.kind, "value": token.value });
        basket.to_string()
    });
    inside.store.close();
    latency
}

fn with_promotions(dir: &Path, shop: &Arc<Shop>, promotions: usize, quotes: usize) -> Result<Latency> {
    let basket = shop.wide_basket(LINES);
    let rules = shop.rules_with(promotions, KEPT, &basket)?;
    let roll = Box::new(MadeRoll { shop: shop.clone(), members: 0 });
    let mut inside = Inside::open(dir, shop::compile(rules)?, roll)?;
    let basket = basket.to_string();
    let latency = run(&mut inside, quotes, |_| basket.clone());
    inside.store.close();
    latency
}

fn run(inside: &mut Inside, quotes: usize, mut basket: impl FnMut(usize) -> String) -> Result<Latency> {
    let mut latencies = histogram();
    for number in 0..WARM + quotes {
        let input = inside.request("quote", &basket(number))?;
        let watch = Stopwatch::start(&SystemClock);
        let outcome = inside.decide(input)?;
        let elapsed = watch.elapsed(&SystemClock);
        match outcome {
            Outcome::Read(answer) if answer.is_ok() => {}
            other => bail!("failed to price a basket: {other:?}"),
        }
        if number >= WARM {
            latencies.saturating_record(u64::try_from(elapsed.as_nanos()).unwrap_or(u64::MAX));
        }
    }
    Ok(Latency::of(&latencies))
}
