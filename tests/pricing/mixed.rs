//! Where stacking groups are resolved differently: is what is told the best of all choices? Told by slow, obvious models.
//!
//! One works out money by itself: promotions that apply once, each in or out where its group is for the best, in where it is
//! in order. The other knows promotions of every kind, and prices the basket in order without each choice of those that may
//! be left out.

use std::collections::BTreeMap;

use aisled::domain::ids::Tag;
use aisled::pricing::model::{Promotion, ResolutionMode, StackingMode};
use aisled::pricing::outcome::Priced;
use proptest::prelude::*;
use proptest::test_runner::TestCaseError;
use serde_json::json;

use super::best::{GOODS, Small, cases, check_all, half_up, small};

/// A promotion that applies once.
#[derive(Clone, Debug)]
enum Once {
    /// Percentage off each unit of some articles, as it stands.
    Percent(Vec<usize>, i64),
    Amount(Vec<usize>, i64),
    /// On the order: from so much on, so much off; a percentage.
    Step(i64, i64),
    Share(i64),
}

#[derive(Clone, Debug)]
struct Mix {
    shop: Small,
    /// In declared order of their phase, each with whether its group is for the best.
    offers: Vec<(Once, bool)>,
}

fn tag(name: &str) -> Tag {
    serde_json::from_value(json!(name)).expect("a tag")
}

/// Of the group `free` the best, all else in order.
fn groups() -> BTreeMap<Tag, ResolutionMode> {
    BTreeMap::from([(tag("free"), ResolutionMode::Best)])
}

impl Mix {
    fn promotions(&self) -> Vec<Promotion> {
        let skus = |set: &[usize]| {
            let skus: Vec<String> = set.iter().map(|good| format!("g{good}")).collect();
            json!({ "items": { "skus": skus } })
        };
        let made = |(at, (once, free)): (usize, &(Once, bool))| {
            let (qualifier, benefit) = match once {
                Once::Percent(set, percent) => (skus(set), json!({ "line_percent": percent })),
                Once::Amount(set, amount) => (skus(set), json!({ "line_amount": { "amount": amount } })),
                Once::Step(from, save) => (
                    json!({}),
                    json!({ "spend_and_save": { "tiers": [{ "spend": from, "save": { "amount": save } }] } }),
                ),
                Once::Share(percent) => (json!({}), json!({ "order_percent": percent })),
            };
            let stacking = json!({ "group": if *free { "free" } else { "fixed" } });
            serde_json::from_value(json!({ "id": format!("p{at}"), "titles": { "en": "an offer" },
                "qualifier": qualifier, "benefit": benefit, "stacking": stacking }))
            .expect("an offer")
        };
        self.offers.iter().enumerate().map(made).collect()
    }

    /// What is taken off if these are left out.
    fn off(&self, out: u32) -> i64 {
        let mut prices = self.shop.prices.clone();
        let sum = |prices: &[i64]| -> i64 {
            prices.iter().zip(&self.shop.units).map(|(price, units)| price * *units as i64).sum()
        };
        let whole = sum(&prices);
        let stands = |at: usize| out >> at & 1 == 0;
        for (_, (once, _)) in self.offers.iter().enumerate().filter(|(at, _)| stands(*at)) {
            for (good, price) in prices.iter_mut().enumerate() {
                match once {
                    Once::Percent(set, percent) if set.contains(&good) => {
                        *price -= half_up(*price, *percent);
                    }
                    Once::Amount(set, amount) if set.contains(&good) => {
                        *price -= (*price).min(*amount);
                    }
                    _ => {}
                }
            }
        }
        let mut left = sum(&prices);
        for (_, (once, _)) in self.offers.iter().enumerate().filter(|(at, _)| stands(*at)) {
            left -= match once {
                Once::Step(from, save) if left >= *from => left.min(*save),
                Once::Share(percent) => half_up(left, *percent),
                _ => 0,
            };
        }
        whole - left
    }

    /// The most that any choice takes off.
    fn most(&self) -> i64 {
        let fixed =
            (0..).zip(&self.offers).filter(|(_, (_, free))| !free).fold(0, |bits, (at, _)| bits | 1 << at);
        (0..1_u32 << self.offers.len())
            .filter(|out| out & fixed == 0)
            .map(|out| self.off(out))
            .max()
            .unwrap_or(0)
    }
}

fn mix() -> impl Strategy<Value = Mix> {
    let set = || {
        prop::collection::btree_set(0..GOODS, 1..=GOODS).prop_map(|set| set.into_iter().collect::<Vec<_>>())
    };
    let once = prop_oneof![
        (set(), 1..=100_i64).prop_map(|(set, percent)| Once::Percent(set, percent)),
        (set(), 1..900_i64).prop_map(|(set, amount)| Once::Amount(set, amount)),
        (500..6_000_i64, 50..1_500_i64).prop_map(|(from, save)| Once::Step(from, save.min(from))),
        (1..40_i64).prop_map(Once::Share),
    ];
    (small(), prop::collection::vec((once, prop::bool::weighted(0.6)), 1..9))
        .prop_map(|(shop, offers)| Mix { shop, offers })
}

/// Is it the most where that is said to be proved, and within the gap where it is not; never less than in declared order?
fn agrees(priced: &Priced, most: i64, declared: i64) -> Result<(), TestCaseError> {
    let (found, proof) = (priced.discount_total.0, &priced.resolution);
    prop_assert!(found <= most, "{found} found, {most} at most: {:?}", priced.applied);
    prop_assert!(
        most - found <= proof.gap.0,
        "{most} at most, {found} found: {proof:?} {:?}",
        priced.applied
    );
    prop_assert!(found >= declared, "{found} found, {declared} in declared order");
    prop_assert_eq!(proof.proved, proof.gap.0 == 0);
    Ok(())
}

#[test]
fn is_a_choice_between_groups_the_best_of_all_choices() {
    let told = std::cell::Cell::new((0, 0));
    check_all(cases(400), &mix(), |mix| {
        let priced = mix.shop.priced_by(ResolutionMode::Sequence, &groups(), mix.promotions(), false);
        let free = mix.offers.iter().filter(|(_, free)| *free).count();
        let (proved, all) = told.get();
        told.set((proved + u32::from(priced.resolution.proved), all + 1));
        if free <= aisled::limits::MIXED_FREE_MAX {
            prop_assert_eq!(priced.discount_total.0, mix.most(), "{:?}", priced.applied);
        }
        agrees(&priced, mix.most(), mix.off(0))
    });
    let (proved, all) = told.get();
    assert!(proved * 10 >= all * 9, "{proved} of {all} proved");
}

#[test]
fn is_a_choice_of_promotions_that_use_units_up_as_good_as_every_order_without_some() {
    check_all(cases(400), &(small(), any::<u8>()), |(shop, free)| {
        let mut promotions = shop.promotions();
        let count = promotions.len();
        let is_free = |at: usize| at < count && free >> (at % 8) & 1 == 1;
        for (at, promotion) in promotions.iter_mut().enumerate() {
            promotion.stacking.mode = StackingMode::Stack;
            promotion.stacking.group = Some(tag(if is_free(at) { "free" } else { "fixed" }));
        }
        // Something in order must touch every basket: without it all of a basket would be for the best.
        let last = json!({ "id": "w", "titles": { "en": "in order" }, "benefit": { "order_amount": 1 } });
        promotions.push(serde_json::from_value(last).expect("an offer"));
        let priced = shop.priced_by(ResolutionMode::Sequence, &groups(), promotions.clone(), false);
        let without = |out: u32| {
            let stays = |at: usize| !is_free(at) || out >> at & 1 == 0;
            let kept = promotions.iter().enumerate().filter(|(at, _)| stays(*at)).map(|(_, p)| p.clone());
            shop.priced(ResolutionMode::Sequence, kept.collect(), false).discount_total.0
        };
        let most = (0..1_u32 << promotions.len()).map(&without).max().unwrap_or(0);
        agrees(&priced, most, without(0))
    });
}
