//! Is the combination that `best` finds the best there is? Told by a slow, obvious model: every unit of a small basket
//! is given to every promotion in turn, or to none, every order promotion is applied or skipped, and the least to pay
//! wins. The model knows nothing of columns, bounds or searches, and works out money by itself.

use std::collections::BTreeMap;

use aisled::domain::basket::{Basket, Line, Quantity};
use aisled::domain::calendar::{StoreZone, UnixMs};
use aisled::domain::catalog::Item;
use aisled::domain::ids::{DeviceId, LineId, Sku, Tag};
use aisled::domain::money::Currency;
use aisled::pricing::model::{Arithmetic, Channel, PointsProgramme, Promotion, ResolutionMode};
use aisled::pricing::outcome::{Addition, Priced};
use aisled::pricing::{Book, BookRules, Sale, Shopper};
use proptest::prelude::*;
use proptest::test_runner::{Config, TestRunner};
use serde_json::{Value, json};

/// Articles of the small shop.
pub(super) const GOODS: usize = 4;

#[derive(Clone, Debug)]
enum Gives {
    Percent(i64),
    Amount(i64),
    Price(i64),
    /// So many units a group, the cheapest of which gets a percentage off.
    Nth(usize, i64),
    /// Buy, get, percentage off what is got.
    Buy(usize, usize, i64),
    /// Buy of the set, get one of another article at a percentage off.
    Other(usize, usize, i64),
    /// So many units for a price.
    Set(usize, i64),
}

#[derive(Clone, Debug)]
struct OnUnits {
    gives: Gives,
    set: Vec<usize>,
    times: Option<usize>,
    least: Option<usize>,
    cap: Option<i64>,
    grouped: bool,
}

#[derive(Clone, Debug)]
enum OnOrder {
    Percent(i64),
    /// From so much on, so much off.
    Step(i64, i64),
    /// Again for each so much.
    Every(i64, i64),
}

#[derive(Clone, Debug)]
pub(super) struct Small {
    pub(super) prices: Vec<i64>,
    pub(super) units: Vec<usize>,
    on_units: Vec<OnUnits>,
    /// What it looks at: everything, or some articles (the first promotion of the order phase only).
    orders: Vec<(OnOrder, Option<Vec<usize>>, bool)>,
}

pub(super) fn half_up(amount: i64, percent: i64) -> i64 {
    (amount * percent + 50) / 100
}

/// What a promotion takes off these units, or nothing if it cannot stand on them.
fn off(offer: &OnUnits, prices: &[i64], goods: &[usize]) -> Option<i64> {
    let most = offer.times.unwrap_or(usize::MAX);
    let mut costs: Vec<i64> = goods.iter().map(|good| prices[*good]).collect();
    costs.sort_unstable_by(|a, b| b.cmp(a));
    if offer.least.is_some_and(|least| goods.len() < least) {
        return None;
    }
    let groups = |size: usize, get: usize, percent: i64| -> i64 {
        let full = costs.chunks_exact(size).take(most);
        full.flat_map(|group| &group[size - get..]).map(|cost| half_up(*cost, percent)).sum()
    };
    let off = match offer.gives {
        Gives::Percent(percent) => costs.iter().map(|cost| half_up(*cost, percent)).sum(),
        Gives::Amount(amount) => costs.iter().map(|cost| amount.min(*cost)).sum(),
        Gives::Price(price) => costs.iter().map(|cost| (cost - price).max(0)).sum(),
        Gives::Nth(n, percent) => groups(n, 1, percent),
        Gives::Buy(buy, get, percent) => groups(buy + get, get, percent),
        Gives::Other(buy, other, percent) => {
            let got = goods.iter().filter(|good| **good == other).count();
            let times = ((goods.len() - got) / buy).min(got).min(most);
            half_up(prices[other], percent) * times as i64
        }
        Gives::Set(size, price) => {
            let full = costs.chunks_exact(size).take(most);
            full.map(|set| (set.iter().sum::<i64>() - price).max(0)).sum()
        }
    };
    Some(off.min(offer.cap.unwrap_or(i64::MAX)))
}

/// The most that can be taken off, by trying everything.
fn most(shop: &Small) -> i64 {
    let units: Vec<usize> = shop.units.iter().enumerate().flat_map(|(good, n)| vec![good; *n]).collect();
    let mut given = vec![Vec::new(); shop.on_units.len()];
    every(shop, &units, &mut given)
}

fn every(shop: &Small, units: &[usize], given: &mut Vec<Vec<usize>>) -> i64 {
    let Some((unit, rest)) = units.split_first() else { return settled(shop, given) };
    let mut best = every(shop, rest, given);
    for offer in 0..shop.on_units.len() {
        let on = &shop.on_units[offer];
        let receives = matches!(on.gives, Gives::Other(_, other, _) if other == *unit);
        if on.set.contains(unit) || receives {
            given[offer].push(*unit);
            best = best.max(every(shop, rest, given));
            given[offer].pop();
        }
    }
    best
}

fn settled(shop: &Small, given: &[Vec<usize>]) -> i64 {
    let (mut total, mut grouped) = (0, 0);
    let mut left: Vec<i64> = (0..GOODS).map(|good| shop.prices[good] * shop.units[good] as i64).collect();
    for (offer, goods) in shop.on_units.iter().zip(given) {
        if goods.is_empty() {
            continue;
        }
        let Some(off) = off(offer, &shop.prices, goods) else { return 0 };
        grouped += usize::from(offer.grouped && off > 0);
        total += off;
        // A promotion of the order phase that looks at some articles only needs to know what is left of them.
        for (good, left) in left.iter_mut().enumerate() {
            let alone = goods.iter().filter(|g| **g == good).count();
            *left -= share(offer, &shop.prices, goods, good, alone);
        }
    }
    let all: i64 = (0..GOODS).map(|good| shop.prices[good] * shop.units[good] as i64).sum();
    if grouped > 1 { 0 } else { total + orders(shop, all - total, &left) }
}

/// What a promotion takes off the units of one article.
fn share(offer: &OnUnits, prices: &[i64], goods: &[usize], good: usize, units: usize) -> i64 {
    let most = offer.times.unwrap_or(usize::MAX);
    let mut sorted = goods.to_vec();
    sorted.sort_by_key(|g| std::cmp::Reverse(prices[*g]));
    let groups = |size: usize, get: usize, percent: i64| -> i64 {
        let full = sorted.chunks_exact(size).take(most).flat_map(|group| &group[size - get..]);
        full.filter(|g| **g == good).map(|g| half_up(prices[*g], percent)).sum()
    };
    match offer.gives {
        Gives::Percent(percent) => half_up(prices[good], percent) * units as i64,
        Gives::Amount(amount) => amount.min(prices[good]) * units as i64,
        Gives::Price(price) => (prices[good] - price).max(0) * units as i64,
        Gives::Nth(n, percent) => groups(n, 1, percent),
        Gives::Buy(buy, get, percent) => groups(buy + get, get, percent),
        Gives::Other(_, other, _) if other == good => off(offer, prices, goods).unwrap_or(0),
        Gives::Other(..) | Gives::Set(..) => 0,
    }
}

fn orders(shop: &Small, units_left: i64, left: &[i64]) -> i64 {
    from_order(shop, 0, units_left, left, false)
}

/// The most the order promotions from one on take off: each skipped, or applied as often as it may be or less often.
fn from_order(shop: &Small, at: usize, all: i64, left: &[i64], grouped: bool) -> i64 {
    let Some((order, set, group)) = shop.orders.get(at) else { return 0 };
    let mut best = from_order(shop, at + 1, all, left, grouped);
    let seen = set.as_ref().map_or(all, |set| set.iter().map(|good| left[*good]).sum());
    let offs: Vec<i64> = match order {
        OnOrder::Percent(percent) => vec![half_up(seen, *percent)],
        OnOrder::Step(from, save) => vec![if seen >= *from { *save } else { 0 }],
        OnOrder::Every(each, save) => (1..=seen / each).map(|times| times * save).collect(),
    };
    for off in offs.into_iter().map(|off| off.min(seen)).filter(|off| *off > 0) {
        if !(*group && grouped) {
            best = best.max(off + from_order(shop, at + 1, all - off, left, grouped || *group));
        }
    }
    best
}

pub(super) fn small() -> impl Strategy<Value = Small> {
    let set = || {
        prop::collection::btree_set(0..GOODS, 1..=GOODS).prop_map(|set| set.into_iter().collect::<Vec<_>>())
    };
    let percent = || prop_oneof![Just(100_i64), Just(50), 1..100_i64];
    let gives = prop_oneof![
        percent().prop_map(Gives::Percent),
        (1..900_i64).prop_map(Gives::Amount),
        (1..2_000_i64).prop_map(Gives::Price),
        (2..4_usize, percent()).prop_map(|(n, p)| Gives::Nth(n, p)),
        (1..3_usize, 1..3_usize, percent()).prop_map(|(b, g, p)| Gives::Buy(b, g, p)),
        (1..3_usize, 0..GOODS, percent()).prop_map(|(b, o, p)| Gives::Other(b, o, p)),
        (2..4_usize, 1..5_000_i64).prop_map(|(n, price)| Gives::Set(n, price)),
    ];
    let few = |most: usize| prop::option::weighted(0.2, 1..most);
    let on_units = (
        gives,
        set(),
        few(3),
        few(4),
        prop::option::weighted(0.15, 100..2_000_i64),
        prop::bool::weighted(0.25),
    )
        .prop_map(|(gives, mut set, times, least, cap, grouped)| {
            let group = matches!(gives, Gives::Nth(..) | Gives::Buy(..) | Gives::Other(..) | Gives::Set(..));
            if let Gives::Other(_, other, _) = gives {
                set.retain(|good| *good != other);
                if set.is_empty() {
                    set.push((other + 1) % GOODS);
                }
            }
            // Units to qualify are asked of single units, times of groups.
            OnUnits {
                gives,
                set,
                times: times.filter(|_| group),
                least: least.filter(|_| !group),
                cap: cap.filter(|_| !group),
                grouped,
            }
        });
    let order = prop_oneof![
        (1..40_i64).prop_map(OnOrder::Percent),
        (500..6_000_i64, 50..1_500_i64).prop_map(|(from, save)| OnOrder::Step(from, save.min(from))),
        (500..3_000_i64, 50..400_i64).prop_map(|(each, save)| OnOrder::Every(each, save)),
    ];
    let orders =
        prop::collection::vec((order, prop::option::weighted(0.3, set()), prop::bool::weighted(0.4)), 0..4);
    let prices = prop::collection::vec(prop_oneof![1..3_000_i64, (1..30_i64).prop_map(|p| p * 100)], GOODS);
    let units = prop::collection::vec(0..3_usize, GOODS);
    (prices, units, prop::collection::vec(on_units, 0..4), orders).prop_map(
        |(prices, mut units, mut on_units, mut orders)| {
            // Six units in all keep the model's work bounded.
            while units.iter().sum::<usize>() > 6 {
                let most = (0..GOODS).max_by_key(|good| units[*good]).expect("some good");
                units[most] -= 1;
            }
            orders.iter_mut().skip(1).for_each(|order| order.1 = None);
            // On which units a capped discount or a set's falls matters to what looks at some of them; the model does not know.
            if orders.first().is_some_and(|order| order.1.is_some()) {
                on_units.iter_mut().for_each(|offer: &mut OnUnits| offer.cap = None);
                on_units.retain(|offer| !matches!(offer.gives, Gives::Set(..)));
            }
            Small { prices, units, on_units, orders }
        },
    )
}

fn skus(set: &[usize]) -> Value {
    json!({ "skus": set.iter().map(|good| format!("g{good}")).collect::<Vec<String>>() })
}

impl Small {
    pub(super) fn promotions(&self) -> Vec<Promotion> {
        let on_units = self.on_units.iter().enumerate().map(|(at, offer)| {
            let percent = |p: &i64| json!({ "percent": p });
            let benefit = match &offer.gives {
                Gives::Percent(p) => json!({ "line_percent": p }),
                Gives::Amount(a) => json!({ "line_amount": { "amount": a } }),
                Gives::Price(p) => json!({ "line_fixed_price": p }),
                Gives::Nth(n, p) => json!({ "nth_item": { "n": n, "reward": percent(p) } }),
                Gives::Buy(b, g, p) => json!({ "buy_x_get_y": { "buy": b, "get": g, "reward": percent(p) } }),
                Gives::Other(b, o, p) => {
                    json!({ "buy_x_get_y": { "buy": b, "get": 1, "get_items": skus(&[*o]), "reward": percent(p) } })
                }
                Gives::Set(n, price) => json!({ "sets": { "sizes": [{ "units": n, "give": { "price": price } }] } }),
            };
            let stacking = if offer.grouped { json!({ "group": "u", "mode": "best_of" }) } else { json!({}) };
            json!({ "id": format!("u{at}"), "titles": { "en": "on units" }, "benefit": benefit, "stacking": stacking,
                "qualifier": { "items": skus(&offer.set), "consumes": true, "qty_min": offer.least },
                "caps": { "applications": offer.times, "per_order": offer.cap } })
        });
        let orders = self.orders.iter().enumerate().map(|(at, (order, set, grouped))| {
            let benefit = match order {
                OnOrder::Percent(p) => json!({ "order_percent": p }),
                OnOrder::Step(from, save) => {
                    json!({ "spend_and_save": { "tiers": [{ "spend": from, "save": { "amount": save } }] } })
                }
                OnOrder::Every(each, save) => {
                    json!({ "spend_and_save": { "every": { "spend": each, "save": save } } })
                }
            };
            let stacking = if *grouped { json!({ "group": "o", "mode": "best_of" }) } else { json!({}) };
            let items = set.as_ref().map_or(json!({}), |set| skus(set));
            json!({ "id": format!("v{at}"), "titles": { "en": "on the order" }, "benefit": benefit,
                "stacking": stacking, "qualifier": { "items": items } })
        });
        on_units.chain(orders).map(|offer| serde_json::from_value(offer).expect("an offer")).collect()
    }

    pub(super) fn priced(
        &self,
        resolution: ResolutionMode,
        promotions: Vec<Promotion>,
        backwards: bool,
    ) -> Priced {
        self.priced_by(resolution, &BTreeMap::new(), promotions, backwards)
    }

    /// With stacking groups that are resolved otherwise.
    pub(super) fn priced_by(
        &self,
        resolution: ResolutionMode,
        groups: &BTreeMap<Tag, ResolutionMode>,
        promotions: Vec<Promotion>,
        backwards: bool,
    ) -> Priced {
        let item = |good: usize| -> Item {
            let item = json!({ "sku": format!("g{good}"), "price": self.prices[good] });
            serde_json::from_value(item).expect("an article")
        };
        let book = Book::compile(BookRules {
            currency: Currency { code: "CNY".into(), minor_units: 2 },
            zone: StoreZone::new("Asia/Shanghai").expect("compiled in"),
            arithmetic: Arithmetic::default(),
            resolution,
            catalogue: (0..GOODS).map(item).collect(),
            promotions,
            points: PointsProgramme::default(),
            coupons: Vec::new(),
        })
        .expect("rules of the test")
        .resolving(groups);
        let line = |(at, good): (usize, usize)| Line {
            line: LineId::new(&format!("{at}")).expect("an id"),
            sku: Sku::new(&format!("g{good}")).expect("an id"),
            quantity: Quantity::Units(1),
            unit_price: None,
        };
        let units = self.units.iter().enumerate().flat_map(|(good, n)| vec![good; *n]);
        let mut units: Vec<usize> = units.collect();
        if backwards {
            units.reverse();
        }
        let basket = Basket { lines: units.into_iter().enumerate().map(line).collect(), ..Basket::default() };
        let device = DeviceId::new("till-1").expect("an id");
        let usage = BTreeMap::new();
        let sale = Sale {
            basket: &basket,
            shopper: Shopper { member: None, segments: &[], now: UnixMs(1_700_000_000_000), zone: None },
            codes: &[],
            device: &device,
            channel: Channel::Till,
            usage: &usage,
            device_usage: &usage,
            offline_hours: None,
            lent: None,
        };
        book.price(&sale).expect("a basket of the test can be priced")
    }
}

/// How many baskets: `AISLED_BEST_CASES`, for the 20,000 that the promise speaks of.
pub(super) fn cases(default: u32) -> u32 {
    std::env::var("AISLED_BEST_CASES").ok().and_then(|cases| cases.parse().ok()).unwrap_or(default)
}

fn check(cases: u32, test: impl Fn(Small) -> Result<(), TestCaseError>) {
    check_all(cases, &small(), test);
}

/// Runs a property over drawn values.
pub(super) fn check_all<S: Strategy>(
    cases: u32,
    drawn: &S,
    test: impl Fn(S::Value) -> Result<(), TestCaseError>,
) {
    let config = Config { cases, failure_persistence: None, ..Config::default() };
    if let Err(failure) = TestRunner::new(config).run(drawn, test) {
        panic!("{failure}");
    }
}

/// What the reply says that nothing is better than: the total less the gap, if there is one.
fn at_best(priced: &Priced) -> i64 {
    priced.total.0 - priced.resolution.gap.0
}

/// Is it the most that can be taken off where that is said to be proved, and within the gap where it is not?
fn agrees(priced: &Priced, shop: &Small) -> Result<(), TestCaseError> {
    let (found, most, proof) = (priced.discount_total.0, most(shop), &priced.resolution);
    prop_assert!(found <= most, "{found} found, {most} at most: {:?}", priced.applied);
    let missed = most - found;
    let said = priced.total.0 - at_best(priced);
    prop_assert!(missed <= said, "{missed} missed, {said} said to be missed: {proof:?} {:?}", priced.applied);
    prop_assert_eq!(proof.proved, said == 0);
    Ok(())
}

#[test]
fn is_the_best_combination_the_best_of_all() {
    let cases = cases(400);
    let unproved = std::cell::Cell::new(0);
    check(cases, |shop| {
        let priced = shop.priced(ResolutionMode::Best, shop.promotions(), false);
        unproved.set(unproved.get() + u32::from(!priced.resolution.proved));
        agrees(&priced, &shop)
    });
    // Steps are bounded, so a basket may be left with a gap; about one of 10,000 is.
    assert!(unproved.get() <= 3 + cases / 1_000, "{} of {cases} not proved", unproved.get());
}

#[test]
fn is_it_ever_worse_than_promotions_in_some_order() {
    check(cases(400), |shop| {
        let best = at_best(&shop.priced(ResolutionMode::Best, shop.promotions(), false));
        let mut promotions = shop.promotions();
        let on_units = shop.on_units.len();
        for _ in 0..on_units {
            promotions[..on_units].rotate_left(1);
            let sequence = shop.priced(ResolutionMode::Sequence, promotions.clone(), false).total.0;
            prop_assert!(best <= sequence, "{best:?} in best, {sequence:?} in {promotions:?}");
        }
        Ok(())
    });
}

#[test]
fn does_a_capped_promotion_use_up_what_the_cap_leaves_nothing_for() {
    let on_units = |gives: Gives, set: &[usize], least: Option<usize>, cap: Option<i64>| OnUnits {
        gives,
        set: set.to_vec(),
        times: None,
        least,
        cap,
        grouped: false,
    };
    let shop = Small {
        prices: vec![1, 2200, 1, 100],
        units: vec![0, 1, 0, 1],
        on_units: vec![
            on_units(Gives::Amount(100), &[1, 3], Some(2), Some(1)),
            on_units(Gives::Percent(50), &[3], None, None),
        ],
        orders: Vec::new(),
    };
    let sequence = shop.priced(ResolutionMode::Sequence, shop.promotions(), false);
    assert_eq!(sequence.discount_total.0, 1, "{:?}", sequence.applied);
    let best = shop.priced(ResolutionMode::Best, shop.promotions(), false);
    assert_eq!((best.discount_total.0, most(&shop)), (50, 50), "{:?}", best.applied);
}

#[test]
fn does_the_order_of_lines_or_promotions_change_it() {
    check(cases(400), |shop| {
        let mut promotions = shop.promotions();
        promotions.reverse();
        let one = shop.priced(ResolutionMode::Best, shop.promotions(), false);
        let other = shop.priced(ResolutionMode::Best, promotions, true);
        prop_assert_eq!(
            (one.total, &one.applied, &one.not_applied),
            (other.total, &other.applied, &other.not_applied)
        );
        Ok(())
    });
}

#[test]
fn does_anybody_pay_more_because_one_more_promotion_is_open_to_them() {
    check(cases(400), |shop| {
        let all = at_best(&shop.priced(ResolutionMode::Best, shop.promotions(), false));
        for left_out in 0..shop.promotions().len() {
            let mut fewer = shop.promotions();
            fewer.remove(left_out);
            let without = shop.priced(ResolutionMode::Best, fewer, false).total.0;
            prop_assert!(all <= without, "{all:?} with all, {without:?} without number {left_out}");
        }
        Ok(())
    });
}

#[test]
fn does_one_thing_more_cost_more_than_its_price() {
    check(cases(400), |shop| {
        let before = shop.priced(ResolutionMode::Best, shop.promotions(), false).total.0;
        for good in 0..GOODS {
            let mut more = shop.clone();
            more.units[good] += 1;
            let after = at_best(&more.priced(ResolutionMode::Best, shop.promotions(), false));
            prop_assert!(
                after <= before + shop.prices[good],
                "{before} before, {after} with one more of {good}"
            );
        }
        Ok(())
    });
}

#[test]
fn does_an_addition_gain_at_least_what_is_said() {
    let told = std::cell::Cell::new(0);
    check(cases(400), |shop| {
        let before = shop.priced(ResolutionMode::Best, shop.promotions(), false);
        for near in &before.near {
            let Addition::Units { sku, qty } = &near.add else { continue };
            let good: usize = sku.as_str().trim_start_matches('g').parse().expect("an article of the test");
            let mut more = shop.clone();
            more.units[good] += *qty as usize;
            let after = more.priced(ResolutionMode::Best, shop.promotions(), false);
            // What is promised is found with fewer steps, and must be there where more are taken.
            let gain = after.discount_total - before.discount_total;
            let gap = after.total.0 - at_best(&after);
            prop_assert!(near.gain.0 <= gain.0 + gap, "{:?} is promised, {gain:?} gained", near);
            agrees(&after, &more)?;
            told.set(told.get() + 1);
        }
        Ok(())
    });
    assert!(told.get() > 0, "no addition was told");
}

#[test]
fn is_a_basket_cheaper_when_it_is_split() {
    check(cases(400), |mut shop| {
        // What is given once a basket is given twice for two; the rest must not be.
        shop.on_units.iter_mut().for_each(|offer| (offer.times, offer.cap) = (None, None));
        shop.orders.retain(|(order, set, _)| matches!(order, OnOrder::Every(..)) && set.is_none());
        shop.orders.truncate(1);
        // Groups are made of the dearest units first. Of several articles that takes most off the units, and may leave a
        // little less than the next step of the order needs; baskets that hold one dear and one cheap unit each make
        // dearer pairs, lose on the units and win the step. So no step is looked at beside such groups.
        let sorted = |offer: &OnUnits| {
            matches!(offer.gives, Gives::Nth(..) | Gives::Buy(..) | Gives::Set(..)) && offer.set.len() > 1
        };
        if shop.on_units.iter().any(sorted) {
            shop.orders.clear();
        }
        shop.on_units.iter_mut().for_each(|offer| offer.grouped = false);
        let (mut one, mut other) = (shop.clone(), shop.clone());
        for good in 0..GOODS {
            one.units[good] = shop.units[good] / 2;
            other.units[good] = shop.units[good] - one.units[good];
        }
        let priced = |shop: &Small| shop.priced(ResolutionMode::Best, shop.promotions(), false);
        prop_assert!(at_best(&priced(&shop)) <= priced(&one).total.0 + priced(&other).total.0);
        Ok(())
    });
}
