//! How long does one price take? Prints, asserts nothing about time:
//! `cargo test --release --test pricing -- --ignored --nocapture`

use std::collections::BTreeMap;
use std::io::Write as _;
use std::time::UNIX_EPOCH;

use aisled::domain::basket::{Basket, Line, Quantity};
use aisled::domain::calendar::{StoreZone, UnixMs};
use aisled::domain::catalog::Item;
use aisled::domain::ids::{DeviceId, LineId, Sku};
use aisled::domain::member::Profile;
use aisled::domain::money::Currency;
use aisled::pricing::model::{Arithmetic, Channel, PointsProgramme, Promotion, ResolutionMode};
use aisled::pricing::{Book, BookRules, Sale, Shopper};
use serde_json::json;

use super::table::member;

/// 2,000 articles in 100 categories.
fn catalogue() -> Vec<Item> {
    let item = |n: i64| json!({ "sku": format!("s{n}"), "price": 500 + n * 37 % 4_000, "categories": [format!("d{}", n % 10), format!("c{}", n % 100)] });
    (0..2_000).map(|n| serde_json::from_value(item(n)).expect("an article")).collect()
}

/// Of `count` promotions every twentieth, 50 at most, could apply to articles 0 to 29; of the others most name articles
/// or categories that are not in the basket, and one in a hundred is for everything, but for another tier.
fn promotions(count: usize) -> Vec<Promotion> {
    let mut applicable = 0;
    let promotion = |n: usize| {
        let mut offer = json!({ "id": format!("p{n}"), "titles": { "en": "an offer" } });
        if (count <= 10 || n.is_multiple_of(count.div_ceil(50).max(2))) && applicable < 50 {
            applicable += 1;
            let category = json!({ "items": { "categories": [format!("c{}", n * 7 % 5)] } });
            let all = json!({});
            let (items, benefit) = match applicable % 6 {
                0 => (category, json!({ "line_percent": 5 })),
                1 => (category, json!({ "nth_item": { "n": 2, "reward": { "percent": 50 } } })),
                2 => (
                    json!({ "items": { "skus": [format!("s{}", n % 5)] } }),
                    json!({ "line_amount": { "amount": 10 } }),
                ),
                3 => (
                    all,
                    json!({ "spend_and_save": { "tiers": [
                    { "spend": 1_000, "save": { "amount": 50 } }, { "spend": 900_000, "save": { "amount": 500 } }] } }),
                ),
                4 => (all, json!({ "order_percent": 1 })),
                _ => (category, json!({ "points_rate": { "points": 1, "per_amount": 100 } })),
            };
            offer["qualifier"] = items;
            offer["benefit"] = benefit;
        } else if n % 100 == 99 {
            offer["audience"] = json!({ "tier": ["gold"] });
            offer["benefit"] = json!({ "order_percent": 1 });
        } else {
            let items = match n % 10 {
                0 => json!({ "categories": [format!("c{}", 40 + n % 60)] }),
                _ => json!({ "skus": [format!("s{}", 100 + n % 1_900)] }),
            };
            offer["qualifier"] = json!({ "items": items });
            offer["benefit"] = json!({ "line_percent": 10 });
        }
        serde_json::from_value(offer).expect("an offer")
    };
    (0..count).map(promotion).collect()
}

fn micros_since_epoch() -> u128 {
    UNIX_EPOCH.elapsed().expect("after 1970").as_micros()
}

#[test]
#[ignore = "a measurement"]
fn how_long_does_one_price_take() {
    let mut out = std::io::stdout().lock();
    for count in [10, 100, 1_000, 10_000] {
        let began = micros_since_epoch();
        let book = Book::compile(BookRules {
            currency: Currency { code: "CNY".into(), minor_units: 2 },
            zone: StoreZone::new("Asia/Shanghai").expect("compiled in"),
            arithmetic: Arithmetic::default(),
            resolution: ResolutionMode::Sequence,
            catalogue: catalogue(),
            promotions: promotions(count),
            points: PointsProgramme::default(),
            coupons: Vec::new(),
        })
        .expect("rules of the test");
        let compiled = micros_since_epoch() - began;
        for lines in [5_u32, 30] {
            let line = |n: u32| Line {
                line: LineId::new(&n.to_string()).expect("an id"),
                sku: Sku::new(&format!("s{n}")).expect("an id"),
                quantity: Quantity::Units(1 + n % 3),
                unit_price: None,
            };
            let basket = Basket { lines: (0..lines).map(line).collect(), ..Basket::default() };
            let member = member("m", Profile::default());
            let device = DeviceId::new("till-1").expect("an id");
            let usage = BTreeMap::new();
            let sale = Sale {
                basket: &basket,
                shopper: Shopper {
                    member: Some(&member),
                    segments: &[],
                    now: UnixMs(1_700_000_000_000),
                    zone: None,
                },
                codes: &[],
                device: &device,
                channel: Channel::Till,
                usage: &usage,
                device_usage: &usage,
                offline_hours: None,
                lent: None,
            };
            let mut times = Vec::new();
            let priced = book.price(&sale).expect("priced");
            for _ in 0..100 {
                let began = micros_since_epoch();
                for _ in 0..20 {
                    std::hint::black_box(book.price(std::hint::black_box(&sale)).expect("priced"));
                }
                times.push((micros_since_epoch() - began) as f64 / 20.0);
            }
            times.sort_by(f64::total_cmp);
            let (applied, missed, near) = (priced.applied.len(), priced.not_applied.len(), priced.near.len());
            writeln!(
                out,
                "{count:>6} promotions, {lines:>2} lines: best {:>7.1} us, p50 {:>7.1} us, p90 {:>7.1} us; {applied} applied, {missed} not, {near} near (compiled in {compiled} us)",
                times[0], times[50], times[90]
            )
            .expect("stdout");
            let began = micros_since_epoch();
            for _ in 0..200 {
                std::hint::black_box(book.offers(&sale.shopper, 10));
            }
            let each = (micros_since_epoch() - began) as f64 / 200.0;
            writeln!(out, "                  offers at a scan: {each:.1} us").expect("stdout");
        }
    }
}
