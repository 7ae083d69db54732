//! What a book refuses, what it asks the engine for, what a scan shows.

use std::collections::BTreeMap;

use aisled::domain::basket::{Basket, Line, Quantity};
use aisled::domain::calendar::{StoreZone, UnixMs};
use aisled::domain::ids::{CouponCode, DeviceId, LineId, PromotionId, SegmentId, Sku, Zone};
use aisled::domain::member::{HeldCoupon, Member, Profile, Usage};
use aisled::domain::money::{Currency, Money};
use aisled::domain::text::Lang;
use aisled::limits;
use aisled::pricing::model::{Arithmetic, Audience, Channel, PointsProgramme, ResolutionMode};
use aisled::pricing::{Book, BookRules, CouponRule, PriceFault, Sale, Shopper};
use serde_json::{Value, json};

use super::table::member;

fn id<T, E: std::fmt::Debug>(made: Result<T, E>) -> T {
    made.expect("an id of the test")
}

fn rules(promotions: Value) -> BookRules {
    let mut promotions = promotions;
    for offer in promotions.as_array_mut().expect("a list") {
        if offer.get("titles").is_none() {
            offer["titles"] = json!({ "zh-CN": "促销", "en": "an offer" });
        }
    }
    BookRules {
        currency: Currency { code: "CNY".into(), minor_units: 2 },
        zone: StoreZone::new("Asia/Shanghai").expect("compiled in"),
        arithmetic: Arithmetic::default(),
        resolution: ResolutionMode::Sequence,
        catalogue: serde_json::from_value(json!([
            { "sku": "milk", "price": 1000, "categories": ["dairy"] },
            { "sku": "soap", "price": 800, "categories": ["home"] },
        ]))
        .expect("a catalogue"),
        promotions: serde_json::from_value(promotions).expect("promotions of the test"),
        points: PointsProgramme::default(),
        coupons: Vec::new(),
    }
}

fn book(promotions: Value) -> Book {
    Book::compile(rules(promotions)).expect("rules of the test")
}

fn basket(lines: &[(&str, u32, Option<i64>)]) -> Basket {
    let line = |(number, (sku, qty, price)): (usize, &(&str, u32, Option<i64>))| Line {
        line: id(LineId::new(&format!("l{number}"))),
        sku: id(Sku::new(sku)),
        quantity: Quantity::Units(*qty),
        unit_price: price.map(Money),
    };
    Basket { lines: lines.iter().enumerate().map(line).collect(), ..Basket::default() }
}

const NOON: &str = "2026-11-21T12:00:00+08:00";

fn shopper(member: Option<&Member>) -> Shopper<'_> {
    Shopper { member, segments: &[], now: UnixMs::parse_rfc3339(NOON).expect("a time"), zone: None }
}

fn price(book: &Book, basket: &Basket) -> Result<aisled::pricing::outcome::Priced, PriceFault> {
    let usage = BTreeMap::new();
    book.price(&Sale {
        basket,
        shopper: shopper(None),
        codes: &[],
        device: &id(DeviceId::new("till-1")),
        channel: Channel::Till,
        usage: &usage,
        device_usage: &usage,
        offline_hours: None,
        lent: None,
    })
}

#[test]
fn is_every_fault_reported_at_once() {
    let mut rules = rules(json!([
        { "id": "a", "titles": { "en": " " }, "benefit": { "line_percent": 0 } },
        { "id": "a", "benefit": { "line_amount": { "amount": 0 } } },
        { "id": "b", "benefit": { "spend_and_save": {} } },
        { "id": "c", "benefit": { "spend_and_save": { "tiers": [{ "spend": 200, "save": { "amount": 1 } },
            { "spend": 200, "save": { "amount": 2 } }], "every": { "spend": 1, "save": 1 } } } },
        { "id": "d", "benefit": { "gift": { "choices": ["caviar"], "qty": 0, "per_qty": 0 } } },
        { "id": "e", "benefit": { "nth_item": { "n": 1, "reward": { "percent": 50 } } } },
        { "id": "f", "benefit": { "buy_x_get_y": { "buy": 0, "get": 0 } } },
        { "id": "g", "benefit": { "order_amount": 1 }, "limits": [{ "scope": "code", "measure": "uses", "max": 0 }] },
        { "id": "h", "benefit": { "order_amount": 1 },
            "schedule": { "from": "2026-11-02", "to": "2026-11-01", "month_days": [0, 32],
                "windows": [{ "from": "10:00", "to": "10:00" }] } },
        { "id": "i", "benefit": { "points_redeem": { "points": 0, "amount": 0 } } },
        { "id": "j", "benefit": { "issue_coupon": { "coupon": "none", "valid_days": 0 } } },
        { "id": "k", "benefit": { "points_multiplier": 100 }, "stacking": { "mode": "best_of" } },
        { "id": "l", "benefit": { "order_amount": 1 }, "audience": { "tier": [] }, "conditions": { "any": [] },
            "qualifier": { "qty_min": 0, "items": { "unit_price_min": 2, "unit_price_max": 1 } }, "caps": { "units": 0 } },
        { "id": "m", "benefit": { "nth_item": { "n": 2, "nth": 3, "reward": { "percent": 50 } } } },
        { "id": "n", "benefit": { "tiered": { "by": "line_units", "tiers": [{ "from": 2, "give": { "percent": 0 } },
            { "from": 2, "give": { "amount": 0 } }] } } },
        { "id": "o", "benefit": { "sets": { "sizes": [{ "units": 0, "give": { "percent": 0 } }] } } },
        { "id": "p", "benefit": { "add_on": { "items": {}, "reward": { "amount": 0 }, "units": 0, "per_qty": 0,
            "per_amount": 0 } } },
        { "id": "q", "benefit": { "markdown": { "steps": [{ "left": 1, "off": 0 }, { "left": 2, "off": 10 }] } } },
        { "id": "r", "benefit": { "first_and_further": { "first": 0, "further": 0, "units": 0 } } },
        { "id": "s", "trigger": "claim", "benefit": { "points_redeem": { "points": 1, "amount": 1, "free_units": 1 } } },
        { "id": "t", "benefit": { "sets": { "sizes": [] } }, "stacking": { "stage": "shelf", "mode": "exclusive" } },
        { "id": "u", "benefit": { "points_per_unit": 0 }, "stacking": { "stage": "order" } },
        { "id": "v", "benefit": { "order_amount": 1 }, "audience": { "drawn": { "seed": "", "wins": 1, "of": 9 } } },
        { "id": "w", "benefit": { "gift": { "choices": ["milk"], "choose": 2 } } },
        { "id": "x", "benefit": { "combo": { "parts": [{ "items": {}, "units": 0 }], "give": { "amount": 0 } } } },
    ]));
    rules.catalogue.push(rules.catalogue[0].clone());
    rules.coupons = vec![
        CouponRule { id: id(serde_json::from_value(json!("x"))), promotion: id(PromotionId::new("nobody")) },
        CouponRule { id: id(serde_json::from_value(json!("x"))), promotion: id(PromotionId::new("a")) },
    ];
    let faults = Book::compile(rules).expect_err("everything is wrong");
    let found: Vec<String> = faults
        .iter()
        .map(|f| {
            f.promotion.as_ref().map_or(f.field.clone(), |promotion| format!("{promotion}: {}", f.field))
        })
        .collect();
    let expected = [
        "catalogue[2].sku",
        "coupons[0].promotion",
        "coupons[1].id",
        "coupons[1].promotion",
        "a: titles",
        "a: benefit.line_percent",
        "a: id",
        "a: benefit.line_amount.amount",
        "b: benefit.spend_and_save",
        "c: benefit.spend_and_save",
        "c: benefit.spend_and_save.tiers[1].spend",
        "d: benefit.gift.qty",
        "d: benefit.gift.choices[0]",
        "d: benefit.gift.per_qty",
        "e: benefit.nth_item.n",
        "f: benefit.buy_x_get_y.buy",
        "f: benefit.buy_x_get_y.get",
        "g: limits[0].max",
        "g: limits[0].scope",
        "h: schedule.to",
        "h: schedule.month_days[0]",
        "h: schedule.month_days[1]",
        "h: schedule.windows[0]",
        "i: benefit.points_redeem.points",
        "i: benefit.points_redeem.amount",
        "i: trigger",
        "j: benefit.issue_coupon.coupon",
        "j: benefit.issue_coupon.valid_days",
        "k: benefit.points_multiplier",
        "k: stacking.group",
        "l: audience",
        "l: conditions",
        "l: qualifier.items.unit_price_max",
        "l: qualifier.qty_min",
        "l: caps.units",
        "m: benefit.nth_item.nth",
        "n: benefit.tiered.tiers[1]",
        "n: benefit.tiered.tiers[0].give",
        "n: benefit.tiered.tiers[1].give",
        "o: benefit.sets.sizes[0].units",
        "o: benefit.sets.sizes[0].give",
        "p: benefit.add_on.reward",
        "p: benefit.add_on.units",
        "p: benefit.add_on.per_qty",
        "p: benefit.add_on.per_amount",
        "q: benefit.markdown.steps[1]",
        "q: benefit.markdown.steps[0].off",
        "r: benefit.first_and_further.units",
        "r: benefit.first_and_further",
        "s: benefit.points_redeem",
        "t: benefit.sets.sizes",
        "t: stacking.stage",
        "t: stacking.mode",
        "u: benefit.points_per_unit",
        "u: stacking.stage",
        "v: audience",
        "w: benefit.gift.choose",
        "x: benefit.combo.parts",
        "x: benefit.combo.parts[0].units",
        "x: benefit.combo.give",
    ];
    assert_eq!(found, expected);
    assert!(faults.iter().all(|fault| !fault.message.is_empty() && !fault.remedy.is_empty()));
}

#[test]
fn how_deep_may_a_rule_nest() {
    let mut condition = json!({ "channel": ["till"] });
    for _ in 0..40 {
        condition = json!({ "not": condition });
    }
    let faults = Book::compile(rules(json!([
        { "id": "deep", "benefit": { "order_amount": 1 }, "conditions": condition }
    ])))
    .expect_err("too deep");
    assert_eq!(faults.len(), 1, "{faults:?}");
}

#[test]
fn which_baskets_cannot_be_priced() {
    let book = book(json!([]));
    let line = || id(LineId::new("l1"));
    let unknown = price(&book, &basket(&[("milk", 1, None), ("caviar", 1, None)]));
    assert_eq!(unknown, Err(PriceFault::UnknownSku { line: line(), sku: id(Sku::new("caviar")) }));
    for bad in [-1, limits::UNIT_PRICE_MINOR_MAX + 1, i64::MAX, i64::MIN] {
        let priced = price(&book, &basket(&[("milk", 1, None), ("milk", 1, Some(bad))]));
        assert_eq!(priced, Err(PriceFault::AmountTooLarge { line: line() }), "{bad}");
    }
    let many = price(&book, &basket(&[("milk", limits::BASKET_UNITS_MAX, None), ("milk", 1, None)]));
    assert_eq!(many, Err(PriceFault::AmountTooLarge { line: line() }));
    let most = limits::UNIT_PRICE_MINOR_MAX;
    let largest = price(&book, &basket(&[("milk", limits::BASKET_UNITS_MAX, Some(most))])).expect("in range");
    assert_eq!(largest.total, Money(most * i64::from(limits::BASKET_UNITS_MAX)));
}

#[test]
fn does_the_largest_basket_stand_the_largest_offers() {
    let most = limits::UNIT_PRICE_MINOR_MAX;
    let book = book(json!([
        { "id": "a", "benefit": { "line_percent": "33.3333%" } },
        { "id": "b", "benefit": { "nth_item": { "n": 2, "reward": { "percent": 50 } } } },
        { "id": "c", "benefit": { "order_percent": "12.5%" } },
        { "id": "d", "benefit": { "gift": { "choices": ["soap"], "per_amount": 1, "unit_price": most } } },
        { "id": "e", "benefit": { "points_rate": { "points": u32::MAX, "per_amount": 1 } } },
        { "id": "f", "benefit": { "spend_and_save": { "every": { "spend": 1, "save": most } } } },
    ]));
    let lines = [("milk", 1_999, Some(most)), ("soap", 2_000, Some(most)), ("soap", 1_001, Some(1))];
    let priced = price(&book, &basket(&lines)).expect("in range");
    super::table::invariants(&priced);
    assert_eq!(priced.discount_total, priced.subtotal);
    assert_eq!(priced.gifts[0].qty, limits::BASKET_UNITS_MAX);
}

#[test]
fn for_which_promotions_must_use_be_loaded() {
    let limit = |scope: &str| json!([{ "scope": scope, "measure": "uses", "max": 1 }]);
    let dairy = json!({ "items": { "categories": ["dairy"] } });
    let book = book(json!([
        { "id": "store", "qualifier": dairy, "benefit": { "line_percent": 10 }, "limits": limit("store") },
        { "id": "day", "qualifier": dairy, "benefit": { "line_percent": 10 }, "limits": limit("store_day") },
        { "id": "chain", "benefit": { "line_percent": 10 }, "limits": limit("chain") },
        { "id": "device", "benefit": { "line_percent": 10 }, "limits": limit("device") },
        { "id": "exposed", "benefit": { "line_percent": 10 }, "offline": { "exposure_max": 100 } },
        { "id": "member", "benefit": { "line_percent": 10 }, "limits": limit("member") },
        { "id": "free", "benefit": { "line_percent": 10 } },
        { "id": "off", "active": false, "benefit": { "line_percent": 10 }, "limits": limit("store") },
    ]));
    let limited = |lines: &[(&str, u32, Option<i64>)]| {
        book.limited(&basket(lines)).iter().map(ToString::to_string).collect::<Vec<String>>()
    };
    assert_eq!(limited(&[("milk", 1, None)]), ["store", "day", "chain", "device", "exposed"]);
    assert_eq!(limited(&[("soap", 1, None)]), ["chain", "device", "exposed"]);
    assert!(limited(&[("caviar", 1, None)]).is_empty(), "a basket that cannot be priced needs nothing");
}

#[test]
fn how_many_reasons_are_told() {
    let offer = |n: usize| {
        let spend = if n == 150 { 1_500 } else { 90_000 };
        let member = if n == 150 { json!("everyone") } else { json!("member") };
        json!({ "id": format!("p{n}"), "audience": member, "benefit":
            { "spend_and_save": { "tiers": [{ "spend": spend, "save": { "amount": 100 } }] } } })
    };
    let book = book((0..200).map(offer).collect());
    let priced = price(&book, &basket(&[("milk", 1, None)])).expect("priced");
    assert_eq!(priced.not_applied.len(), limits::NOT_APPLIED_MAX);
    assert!(priced.not_applied.iter().any(|n| n.promotion.as_str() == "p150"), "the closest is among them");
    assert!(priced.not_applied.is_sorted_by(|a, b| a.promotion < b.promotion));
    assert_eq!(priced.near.len(), 1);
}

#[test]
fn what_does_a_scan_show() {
    let book = book(json!([
        { "id": "all", "benefit": { "order_amount": 1 }, "stacking": { "priority": 9 } },
        { "id": "bday", "audience": { "birthday": {} }, "benefit": { "order_amount": 1 } },
        { "id": "loyal", "audience": { "segment": ["loyal"] }, "benefit": { "order_amount": 1 } },
        { "id": "member", "audience": "member", "benefit": { "order_amount": 1 },
            "limits": [{ "scope": "member", "measure": "uses", "max": 1 }] },
        { "id": "over", "benefit": { "order_amount": 1 }, "schedule": { "to": "2026-11-20" } },
        { "id": "bakery", "benefit": { "order_amount": 1 }, "conditions": { "all": [{ "zone": ["bakery"] }] } },
        { "id": "coded", "trigger": "code", "benefit": { "order_amount": 1 }, "schedule": { "to": "2026-12-31" } },
        { "id": "last", "benefit": { "order_amount": 1 }, "schedule": { "to": "2026-11-21" } },
    ]));
    let names = |shopper: &Shopper<'_>, max| {
        let offers = book.offers(shopper, max);
        offers.iter().map(|offer| offer.promotion.to_string()).collect::<Vec<String>>()
    };
    assert_eq!(names(&shopper(None), 10), ["all", "bakery", "last"]);
    let fresh = id(Zone::new("fresh"));
    assert_eq!(names(&Shopper { zone: Some(&fresh), ..shopper(None) }, 10), ["all", "last"]);

    let profile = Profile { birthday: "11-21".parse().ok(), ..Profile::default() };
    let mut member = member("m1", profile);
    let now = shopper(None).now;
    let coupon = |code: &str, expires| HeldCoupon {
        code: id(CouponCode::new(code)),
        promotion: id(PromotionId::new("coded")),
        expires,
    };
    member.ledger.coupons = vec![coupon("OLD", now.plus_ms(-1)), coupon("NEW", now.plus_ms(86_400_000))];
    let segments = [id(SegmentId::new("loyal"))];
    let known = Shopper { segments: &segments, ..shopper(Some(&member)) };
    assert_eq!(names(&known, 10), ["coded", "bday", "loyal", "member", "all", "bakery", "last"]);
    assert_eq!(names(&known, 3), ["coded", "bday", "loyal"]);
    let offers = book.offers(&known, 10);
    assert_eq!(offers[0].coupon.as_ref().map(CouponCode::as_str), Some("NEW"));
    assert_eq!(offers[0].last_day.map(|day| day.to_string()).as_deref(), Some("2026-11-22"));
    assert_eq!(offers[6].last_day.map(|day| day.to_string()).as_deref(), Some("2026-11-21"));
    assert_eq!(offers[1].reason.get(Lang::ZhCn), "祝您生日快乐");
    assert_eq!(offers[1].reason.get(Lang::En), "for your birthday");

    let mut used = member.clone();
    used.ledger.usage.insert(id(PromotionId::new("member")), Usage { uses: 1, ..Usage::default() });
    let known = Shopper { segments: &segments, ..shopper(Some(&used)) };
    assert!(!names(&known, 10).contains(&"member".to_owned()), "used up");
    assert!(book.audience_matches(&Audience::Segment(segments.to_vec()), &known));
    assert!(!book.audience_matches(&Audience::Member, &shopper(None)));
}
