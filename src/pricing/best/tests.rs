//! Does the budget of steps bound the work, and only the work? And does `near` tell the same from what was kept as from
//! the whole basket resolved again? A basket made to be hard: many sets of four that share
//! their goods, none much better than the others, so that the relaxed packing says little about whole ones.

use std::collections::BTreeMap;

use serde_json::{Value, json};

use super::super::book::{Book, BookRules, Phase};
use super::super::model::{Arithmetic, Channel, PointsProgramme, Promotion, ResolutionMode};
use super::super::near::near;
use super::super::outcome::Near;
use super::super::resolution::{Sitting, sequence};
use super::super::{Sale, Shopper};
use super::{Proof, Search, best};
use crate::domain::basket::Basket;
use crate::domain::calendar::{StoreZone, UnixMs};
use crate::domain::ids::DeviceId;
use crate::domain::money::{Currency, Money};
use crate::limits;

const GOODS: u64 = 40;
const OFFERS: u64 = 60;

fn made<T: serde::de::DeserializeOwned>(value: Value) -> T {
    serde_json::from_value(value).expect("what the test writes can be read")
}

/// Numbers of a seed, each below a bound.
struct Drawn(u64);

impl Drawn {
    fn below(&mut self, bound: u64) -> u64 {
        self.0 = self.0.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        (self.0 >> 33) % bound
    }
}

/// Told the hard basket with its promotions.
fn hard(told: impl FnOnce(&Sitting<'_>)) {
    let mut drawn = Drawn(7);
    let prices: Vec<u64> = (0..GOODS).map(|_| 1_000 + drawn.below(1_000)).collect();
    let offer = |number: u64| {
        let skus: Vec<String> = (0..8).map(|_| format!("s{:02}", drawn.below(GOODS))).collect();
        made(json!({ "id": format!("p{number:02}"), "titles": { "en": "four for a price" },
            "qualifier": { "items": { "skus": skus }, "consumes": true },
            "benefit": { "sets": { "sizes": [{ "units": 4, "give": { "price": 2_000 + drawn.below(1_200) } }] } } }))
    };
    let promotions = (0..OFFERS).map(offer).collect();
    sitting(&prices, promotions, told);
}

/// Told a small basket on which many promotions miss a unit or two, and one takes a share of the order.
fn small(seed: u64, told: impl FnOnce(&Sitting<'_>)) {
    let mut drawn = Drawn(seed);
    let prices: Vec<u64> = (0..10).map(|_| 1_000 + drawn.below(90_000)).collect();
    let offer = |number: u64| {
        let skus: Vec<String> = (0..3).map(|_| format!("s{:02}", drawn.below(10))).collect();
        let benefit = match drawn.below(4) {
            0 => json!({ "line_amount": { "amount": 1 + drawn.below(9_000) } }),
            1 => {
                json!({ "nth_item": { "n": 2 + drawn.below(2), "reward": { "percent": 31 + drawn.below(60) } } })
            }
            2 => json!({ "buy_x_get_y": { "buy": 2 + drawn.below(2), "get": 1 } }),
            _ => {
                json!({ "sets": { "sizes": [{ "units": 3 + drawn.below(2), "give": { "price": 20_000 + drawn.below(40_000) } }] } })
            }
        };
        made(json!({ "id": format!("p{number:02}"), "titles": { "en": "an offer" }, "benefit": benefit,
            "qualifier": { "items": { "skus": skus }, "consumes": true } }))
    };
    let mut promotions: Vec<Promotion> = (0..14).map(offer).collect();
    let share = json!({ "id": "v", "titles": { "en": "on the order" }, "benefit": { "order_percent": 7 } });
    promotions.push(made(share));
    sitting(&prices, promotions, told);
}

/// Told a basket of one unit each at these prices.
fn sitting(prices: &[u64], promotions: Vec<Promotion>, told: impl FnOnce(&Sitting<'_>)) {
    let item = |(good, price): (usize, &u64)| made(json!({ "sku": format!("s{good:02}"), "price": price }));
    let catalogue = prices.iter().enumerate().map(item).collect();
    let book = Book::compile(BookRules {
        currency: Currency { code: "CNY".into(), minor_units: 2 },
        zone: StoreZone::new("Asia/Shanghai").expect("compiled in"),
        arithmetic: Arithmetic::default(),
        resolution: ResolutionMode::Best,
        catalogue,
        promotions,
        points: PointsProgramme::default(),
        coupons: Vec::new(),
    })
    .expect("rules of the test");
    let line = |good: usize| json!({ "line": format!("{good}"), "sku": format!("s{good:02}"), "quantity": { "units": 1 } });
    let basket: Basket = made(json!({ "lines": (0..prices.len()).map(line).collect::<Vec<Value>>() }));
    let (device, usage) = (DeviceId::new("till-1").expect("an id"), BTreeMap::new());
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
    told(&Sitting::new(&book, &sale).expect("a basket of the test can be priced"));
}

/// Steps that are left of a budget.
fn left(sitting: &Sitting<'_>, steps: u32) -> u32 {
    let mut search = Search::new(sitting, Phase::Earn, steps);
    search.prepare();
    search.together();
    search.steps
}

#[test]
fn does_a_hard_basket_stop_at_the_bound() {
    hard(|sitting| {
        let (resolved, proof, _) = best(sitting, Phase::Earn, limits::BEST_STEPS_MAX);
        assert!(!proof.proved && proof.gap.is_positive(), "{proof:?}");
        assert_eq!(left(sitting, limits::BEST_STEPS_MAX), 0, "all steps are taken, and none more");
        assert!(resolved.discount() >= sequence(sitting, Phase::Earn).discount());
    });
}

#[test]
fn does_every_budget_say_the_same_twice_and_no_less_than_the_declared_order() {
    hard(|sitting| {
        let declared = sequence(sitting, Phase::Earn).discount();
        let said = |steps: u32| {
            let (resolved, proof, _) = best(sitting, Phase::Earn, steps);
            let applied: Vec<(usize, Money)> =
                resolved.applied.iter().map(|done| (done.candidate, done.proposal.amount)).collect();
            (resolved.discount(), proof, applied)
        };
        let mut before = Money::ZERO;
        for steps in [0, 1, 100, 5_000, 20_000] {
            let (off, proof, applied) = said(steps);
            assert_eq!(said(steps), (off, proof, applied));
            assert_eq!(left(sitting, steps), 0, "of {steps}");
            assert!(off >= declared, "{off:?} in {steps} steps, {declared:?} in declared order");
            assert!(off >= before, "{off:?} in {steps} steps, {before:?} in fewer");
            let Proof { proved, gap } = proof;
            assert!(!proved && gap.is_positive(), "{proof:?}");
            before = off;
        }
    });
}

/// The brake is not on where it is not needed.
#[test]
fn does_an_easy_basket_leave_most_of_the_steps() {
    hard(|sitting| {
        let mut easy = sitting.clone();
        easy.candidates.truncate(3);
        let (_, proof, _) = best(&easy, Phase::Earn, limits::BEST_STEPS_MAX);
        assert!(proof.proved, "{proof:?}");
        assert!(left(&easy, limits::BEST_STEPS_MAX) > limits::BEST_STEPS_MAX / 2);
    });
}

#[test]
fn does_near_tell_the_same_as_the_whole_basket_resolved_again() {
    let (mut both, mut one) = (0, 0);
    for seed in 0..150 {
        small(seed, |sitting| {
            let (resolved, _, again) = best(sitting, Phase::Earn, limits::BEST_STEPS_MAX);
            let Some(again) = again else { return };
            let kept = near(sitting, &resolved, Some(&again));
            let whole = near(sitting, &resolved, None);
            let same = |a: &&Near, b: &Near| a.promotion == b.promotion && a.add == b.add;
            for found in &kept {
                match whole.iter().find(|other| same(other, found)) {
                    Some(other) => assert_eq!(found.gain, other.gain, "{found:?} of seed {seed}"),
                    None => one += 1,
                }
            }
            one += whole.iter().filter(|other| !kept.iter().any(|found| same(&found, other))).count();
            both += kept.len();
        });
    }
    // Equally good combinations may name one promotion or another.
    assert!(both > 100 && one * 20 <= both, "{both} told, {one} by one only");
}
