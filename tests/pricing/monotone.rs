//! Nobody pays more because they joined, presented a coupon, or bought one thing more than an offer asks: in `best`, with
//! offers of every kind, unless `bundle check` warned of it. And offers and codes by the hundred, all weighed.

use aisled::bundle::authoring;
use aisled::domain::basket::{Basket, Line, Quantity};
use aisled::domain::calendar::{StoreZone, UnixMs};
use aisled::domain::catalog::SoldBy;
use aisled::domain::code::Code;
use aisled::domain::ids::{CouponCode, DeviceId, LineId, Sku};
use aisled::domain::money::{Currency, Money};
use aisled::pricing::model::{Arithmetic, Channel, PointsProgramme, Promotion, ResolutionMode};
use aisled::pricing::outcome::{CouponOutcome, Priced};
use aisled::pricing::{Book, BookRules, PresentedCode, Sale, Shopper};
use proptest::prelude::*;
use proptest::test_runner::{RngAlgorithm, TestRng, TestRunner};
use serde_json::{Value, json};
use std::collections::BTreeMap;

use super::properties::{World, world};

/// Offers on which money is asked of shoppers: what is given for points is bought, and a gift at a price is sold.
fn only_money(mut world: World) -> World {
    let sold = |offer: &Value| ["points_redeem", "gift"].iter().any(|kind| !offer["benefit"][kind].is_null());
    // A shelf price that stops others is warned of beside any other offer.
    let shuts =
        |offer: &Value| offer["stacking"]["stage"] == "shelf" && offer["stacking"]["mode"] == "stop_further";
    world.offers.retain(|offer| !sold(offer) && !shuts(offer));
    // Points turned into money come after what is weighed.
    world.basket.points = None;
    // A floor is the merchant's and never traded: one thing more may move what a group gets to a unit nearer to its own.
    world.catalogue.iter_mut().for_each(|item| item.floor_price = None);
    world
        .offers
        .iter_mut()
        .filter(|offer| offer["caps"].is_object())
        .for_each(|offer| offer["caps"]["floor_price"] = Value::Null);
    world
}

fn is_warned_of(world: &World, offers: &[Value]) -> bool {
    let mut promotions = offers.to_vec();
    for (number, promotion) in promotions.iter_mut().enumerate() {
        promotion["id"] = json!(format!("p{number}"));
    }
    let coupons: Vec<Value> = (promotions.iter().filter(|promotion| promotion["trigger"] == "code"))
        .map(|promotion| json!({ "id": promotion["id"], "promotion": promotion["id"], "code": promotion["id"] }))
        .collect();
    let shop = json!({ "chain": "c", "currency": { "code": "CNY" }, "time_zone": "Asia/Shanghai", "resolution": "best" });
    let mut catalogue = json!({ "item": world.catalogue });
    // Tills send prices of their own.
    for line in &world.basket.lines {
        if let Some(price) = line.unit_price {
            let mut item =
                json!(world.catalogue.iter().find(|item| item.sku == line.sku).expect("an article"));
            item["sku"] = json!(format!("till-{}", line.line));
            item["price"] = json!(price);
            catalogue["item"].as_array_mut().expect("a list").push(item);
        }
    }
    let programme = json!({ "earn": { "points": 1, "per_amount": 100 } });
    let files = [
        ("shop.json", shop),
        ("catalogue.json", catalogue),
        ("points.json", programme),
        ("promotions.json", json!({ "promotion": promotions })),
        ("coupons.json", json!({ "coupon": coupons })),
    ];
    let files = files.map(|(name, text)| (name.to_owned(), text.to_string().into_bytes()));
    // An offer on a category that this catalogue does not have is refused, which warns enough.
    let Ok((_, findings)) = authoring::read_and_advise(files.to_vec()) else { return true };
    findings.iter().any(|finding| finding.code == Code::AdviceMonotone)
}

fn best(world: &World, offers: &[Value], basket: &Basket, who: (bool, bool)) -> Priced {
    let mut world = world.clone();
    world.offers = offers.to_vec();
    world.priced_for(ResolutionMode::Best, world.promotions(false), basket, who)
}

/// What is paid may lie above what is possible by the gap that the answer admits, and by what rounding moves between
/// the lines of each offer.
fn at_most(priced: &Priced, most: i64) -> bool {
    let rounded = (priced.applied.len() * priced.lines.len()) as i64;
    priced.total.0 <= most + priced.resolution.gap.0 + rounded
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 400, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn does_anybody_pay_more_because_they_present_their_coupons(world in world().prop_map(only_money)) {
        let offers = &world.offers;
        prop_assume!(!offers.is_empty());
        let with = best(&world, offers, &world.basket, (true, true));
        let without = best(&world, offers, &world.basket, (true, false));
        prop_assert!(at_most(&with, without.total.0), "{:?} with, {:?} without: {:?}", with.total, without.total, with.applied);
    }

    #[test]
    fn does_anybody_pay_more_because_they_joined(world in world().prop_map(only_money), members in 0_u8..64) {
        let mut offers = world.offers.clone();
        prop_assume!(!offers.is_empty());
        for (nth, offer) in offers.iter_mut().enumerate().filter(|(nth, _)| members >> nth & 1 == 1) {
            // A shelf price for members only, beside what leaves reduced goods out, is warned of.
            if offer["stacking"]["stage"] == "shelf" {
                continue;
            }
            offer["audience"] = if nth % 2 == 0 { json!("member") } else { json!("first_visit") };
        }
        let joined = best(&world, &offers, &world.basket, (true, true));
        let stranger = best(&world, &offers, &world.basket, (false, true));
        prop_assert!(at_most(&joined, stranger.total.0), "{:?} as a member, {:?} as a stranger: {:?}", joined.total, stranger.total, joined.applied);
    }
}

/// Chosen once and for all, so that what the check does not see yet is found by whoever looks for it, not by chance.
#[test]
fn does_one_thing_more_cost_more_than_its_price_unless_the_check_says_so() {
    let config = ProptestConfig { cases: 1_000, failure_persistence: None, ..ProptestConfig::default() };
    let mut runner = TestRunner::new_with_rng(config, TestRng::deterministic_rng(RngAlgorithm::ChaCha));
    let worlds = (world().prop_map(only_money), 0..6_usize);
    let outcome = runner.run(&worlds, |(world, which)| one_more(&world, which));
    assert!(outcome.is_ok(), "{}", outcome.map_or_else(|error| error.to_string(), |()| String::new()));
}

fn one_more(world: &World, which: usize) -> Result<(), TestCaseError> {
    let offers = world.offers.iter().filter(|offer| !is_warned_of(world, std::slice::from_ref(offer)));
    let offers: Vec<Value> = offers.cloned().collect();
    prop_assume!(!offers.is_empty());
    let item = &world.catalogue[which];
    prop_assume!(item.sold_by == SoldBy::Piece);
    let before = best(world, &offers, &world.basket, (true, true));
    let mut more = world.basket.clone();
    more.lines.push(Line {
        line: LineId::new("more").expect("an id"),
        sku: item.sku.clone(),
        quantity: Quantity::Units(1),
        unit_price: None,
    });
    let after = best(world, &offers, &more, (true, true));
    prop_assert!(
        at_most(&after, before.total.0 + item.price.0),
        "{:?} before, {:?} with one {} more: {:?} {:?}",
        before.total,
        after.total,
        item.sku,
        before.applied,
        after.applied
    );
    Ok(())
}

/// A book of `count` offers on everything, and one article.
fn shop_of(count: usize, by_code: bool, resolution: ResolutionMode) -> Book {
    let offer = |n: usize| {
        let offer = json!({ "id": format!("p{n}"), "titles": { "en": "an offer" },
            "trigger": if by_code { "code" } else { "auto" },
            "qualifier": { "items": { "skus": ["a"] } },
            "benefit": if n.is_multiple_of(2) { json!({ "line_amount": { "amount": 3 } }) } else { json!({ "order_amount": 7 }) } });
        serde_json::from_value::<Promotion>(offer).expect("an offer")
    };
    Book::compile(BookRules {
        currency: Currency { code: "CNY".into(), minor_units: 2 },
        zone: StoreZone::new("Asia/Shanghai").expect("compiled in"),
        arithmetic: Arithmetic::default(),
        resolution,
        catalogue: vec![serde_json::from_value(json!({ "sku": "a", "price": 100_000 })).expect("an article")],
        promotions: (0..count).map(offer).collect(),
        points: PointsProgramme::default(),
        coupons: Vec::new(),
    })
    .expect("rules of the test")
}

fn price(book: &Book, codes: &[PresentedCode]) -> Priced {
    let line = Line {
        line: LineId::new("1").expect("an id"),
        sku: Sku::new("a").expect("an id"),
        quantity: Quantity::Units(1),
        unit_price: None,
    };
    let basket = Basket { lines: vec![line], ..Basket::default() };
    let none = BTreeMap::new();
    let sale = Sale {
        basket: &basket,
        shopper: Shopper { member: None, segments: &[], now: UnixMs(1_700_000_000_000), zone: None },
        codes,
        device: &DeviceId::new("till-1").expect("an id"),
        channel: Channel::Till,
        usage: &none,
        device_usage: &none,
        offline_hours: None,
        lent: None,
    };
    book.price(&sale).expect("a basket of the test can be priced")
}

/// commercetools: 100 active automatic discounts. Ours: a thousand on one basket, every one of them applied.
#[test]
fn how_many_automatic_offers_are_weighed() {
    for resolution in [ResolutionMode::Sequence, ResolutionMode::Best] {
        let priced = price(&shop_of(1_000, false, resolution), &[]);
        assert_eq!(priced.applied.len(), 1_000, "{resolution:?}");
        assert_eq!(priced.discount_total, Money(500 * 3 + 500 * 7), "{resolution:?}");
    }
}

/// Shopify: 25 codes and 5 of them on an order. Ours: 256, every one of them applied.
#[test]
fn how_many_codes_are_weighed() {
    let count = aisled::limits::BASKET_COUPONS_MAX;
    let codes: Vec<PresentedCode> = (0..count)
        .map(|n| PresentedCode {
            code: CouponCode::normal(&format!("code-{n}")).expect("a code"),
            right: Ok(serde_json::from_value(json!(format!("p{n}"))).expect("an id")),
            used: Default::default(),
        })
        .collect();
    for resolution in [ResolutionMode::Sequence, ResolutionMode::Best] {
        let priced = price(&shop_of(count, true, resolution), &codes);
        assert_eq!(priced.applied.len(), count, "{resolution:?}");
        assert!(priced.coupons.iter().all(|coupon| coupon.outcome == CouponOutcome::Applied));
        assert_eq!(priced.discount_total, Money(128 * 3 + 128 * 7), "{resolution:?}");
    }
}
