//! The sample shop as `bench` needs it: with as many members and promotions as asked for, and baskets to price.
//!
//! Everything is made from the shop's own records and numbers, so that two runs measure the same thing. Members beyond the
//! sample's are copies under other ids and cards. Promotions beyond it each name one article that is in no basket: they are
//! active, and the same ones apply.

use std::collections::BTreeSet;
use std::sync::Arc;

use anyhow::{Context, Result, anyhow};
use serde_json::{Value, json};

use crate::bundle::document::{MemberRecord, Rules};
use crate::bundle::keys::SecretKey;
use crate::bundle::{Bundle, packed};
use crate::cli::demo::sample;
use crate::cli::tills::{Dice, Stock, Visit};
use crate::clock::{Clock as _, SystemClock};
use crate::domain::calendar::UnixMs;
use crate::domain::ids::{BundleRef, MemberId};
use crate::domain::member::{Token, TokenHash, TokenKind};
use crate::engine::decision::{Key, Known, Record};
use crate::pricing::model::{Promotion, Schedule, Trigger};
use crate::storage::store::Roll;

/// What every number drawn depends on.
const SEED: u64 = 7;

/// The sample shop.
pub(super) struct Shop {
    /// Everything but members and codes.
    pub(super) rules: Rules,
    /// Its members.
    pub(super) members: Vec<MemberRecord>,
}

impl Shop {
    /// Reads it.
    pub(super) fn sample() -> Result<Shop> {
        let signed = sample::shop(1, &key())?;
        Ok(Shop { rules: signed.rules, members: signed.members })
    }

    /// Quote requests' `data` with that many lines, some with a member: no codes, no points, nothing that runs out.
    pub(super) fn baskets(&self, count: usize, lines: std::ops::RangeInclusive<usize>) -> Vec<Value> {
        let stock = Stock::new(&self.rules, &self.members, &[], SEED);
        let mut dice = Dice::new(SEED, "baskets");
        let mut baskets = Vec::with_capacity(count);
        while baskets.len() < count {
            let Some(visit) = stock.visit(&mut dice) else { break };
            if lines.contains(&visit.lines.len()) {
                baskets.push(asked(&visit));
            }
        }
        baskets
    }

    /// One basket of that many lines, each of another article, without a member.
    pub(super) fn wide_basket(&self, lines: usize) -> Value {
        let step = (self.rules.catalogue.len() / lines).max(1);
        let line = |(number, item): (usize, &crate::domain::catalog::Item)| {
            let unit = match item.sold_by {
                crate::domain::catalog::SoldBy::Kilogram => ("weight_grams", 750),
                crate::domain::catalog::SoldBy::Piece => ("qty", 2),
            };
            json!({ "line": (number + 1).to_string(), "sku": item.sku, unit.0: unit.1 })
        };
        let items = self.rules.catalogue.iter().step_by(step).take(lines);
        json!({ "basket": { "lines": items.enumerate().map(line).collect::<Vec<_>>() } })
    }

    /// The rules with as many promotions: the first `kept` that depend on neither clock nor code, and then ones that each
    /// name one article outside of `basket`.
    pub(super) fn rules_with(&self, promotions: usize, kept: usize, basket: &Value) -> Result<Rules> {
        let mut rules = self.rules.clone();
        let steady = |promotion: &Promotion| {
            promotion.trigger == Trigger::Auto && promotion.schedule == Schedule::default()
        };
        if kept < rules.promotions.len() {
            let mut room = kept;
            rules.promotions.retain(|promotion| {
                let keep = room > 0 && steady(promotion);
                room -= usize::from(keep);
                keep
            });
            let left: BTreeSet<_> = rules.promotions.iter().map(|promotion| promotion.id.clone()).collect();
            rules.coupons.retain(|coupon| left.contains(&coupon.promotion));
        }
        let lines = basket["basket"]["lines"].as_array().map(Vec::as_slice).unwrap_or_default();
        let bought: BTreeSet<&str> = lines.iter().filter_map(|line| line["sku"].as_str()).collect();
        let others: Vec<_> = rules
            .catalogue
            .iter()
            .map(|item| item.sku.clone())
            .filter(|sku| !bought.contains(sku.as_str()))
            .collect();
        let names = ["member", "weekend", "brand", "clearance"];
        for number in rules.promotions.len()..promotions {
            let sku = others.get(number % others.len().max(1)).context("failed to find another article")?;
            let percent = format!("{}%", 5 + number % 20);
            let promotion = json!({
                "id": format!("bench-{}-{number}", names[number % names.len()]),
                "titles": { "zh-CN": format!("单品直降 {percent}"), "en": format!("{percent} off") },
                "qualifier": { "items": { "skus": [sku] } },
                "benefit": { "line_percent": percent },
                "stacking": { "group": "unit-price", "mode": "best_of_line", "priority": 90 },
            });
            rules.promotions.push(serde_json::from_value(promotion).context("failed to make a promotion")?);
        }
        Ok(rules)
    }

    /// A member by number: the sample's over and over, each under its own id and card.
    pub(super) fn member(&self, number: usize) -> MemberRecord {
        let sample = &self.members[number % self.members.len()];
        let id = MemberId::new(&format!("b{number}")).expect("a letter and digits are an id");
        MemberRecord { id, tokens: vec![card(number)], ..sample.clone() }
    }
}

/// The card of a made member.
pub(super) fn card(number: usize) -> Token {
    Token { kind: TokenKind::Card, value: format!("99{number:010}") }
}

fn asked(visit: &Visit) -> Value {
    let mut data = json!({ "basket": visit.basket() });
    if let Some(member) = &visit.member {
        data["member"] = json!({ "kind": member.kind, "value": member.value });
    }
    data
}

/// The key of this run; it signs nothing that leaves the machine.
pub(super) fn key() -> SecretKey {
    SecretKey::from_seed(&[7; 32])
}

/// Packs and signs version 1.
pub(super) fn pack(rules: &Rules, members: &[MemberRecord]) -> Result<Vec<u8>> {
    packed::pack(1, SystemClock.now(), rules, members, &[], &key())
        .map_err(|error| anyhow!("failed to pack the sample shop: {error}"))
}

/// Compiles rules under a made-up reference.
pub(super) fn compile(rules: Rules) -> Result<Arc<Bundle>> {
    let reference = BundleRef { version: 1, hash: "0123456789abcdef".into() };
    let bundle = Bundle::compile(reference, rules);
    Ok(Arc::new(bundle.map_err(|error| anyhow!("failed to compile the sample shop: {error}"))?))
}

/// Brings made members into the tables.
pub(super) struct MadeRoll {
    /// Whose copies they are.
    pub(super) shop: Arc<Shop>,
    /// How many.
    pub(super) members: usize,
}

impl Roll for MadeRoll {
    fn records(
        &self,
        bundle: &BundleRef,
        at: UnixMs,
        take: &mut dyn FnMut(Key, Record),
    ) -> std::result::Result<(), String> {
        let chain = &self.shop.rules.shop.chain;
        let mut add = |member: MemberRecord| {
            for token in &member.tokens {
                let hash: TokenHash = token.hash(chain);
                take(Key::Token(hash), Record::Token(member.id.clone()));
            }
            let (profile, points) = (member.profile, member.points);
            let known = Known {
                profile,
                points,
                as_of: at,
                listed: Some(bundle.version),
                withdrawn: false,
                consent_at: None,
            };
            take(Key::Member(member.id), Record::Member(Box::new(known)));
        };
        self.shop.members.iter().take(self.members).cloned().for_each(&mut add);
        (0..self.members.saturating_sub(self.shop.members.len()))
            .for_each(|number| add(self.shop.member(number)));
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn are_the_baskets_of_the_size_asked_for_and_the_same_each_time() {
        let shop = Shop::sample().expect("reads");
        let baskets = shop.baskets(40, 5..=10);
        assert_eq!(baskets, shop.baskets(40, 5..=10));
        let lines = |basket: &Value| basket["basket"]["lines"].as_array().map_or(0, Vec::len);
        assert!(baskets.len() == 40 && baskets.iter().all(|basket| (5..=10).contains(&lines(basket))));
        assert_eq!(lines(&shop.wide_basket(30)), 30);
    }

    #[test]
    fn do_rules_with_more_promotions_compile_and_leave_the_basket_alone() {
        let shop = Shop::sample().expect("reads");
        let basket = shop.wide_basket(30);
        let rules = shop.rules_with(100, 10, &basket).expect("made");
        assert_eq!(rules.promotions.len(), 100);
        let bought: Vec<&str> = basket["basket"]["lines"]
            .as_array()
            .expect("lines")
            .iter()
            .filter_map(|line| line["sku"].as_str())
            .collect();
        for promotion in &rules.promotions[10..] {
            assert!(promotion.qualifier.items.skus.iter().all(|sku| !bought.contains(&sku.as_str())));
        }
        compile(rules).expect("compiles");
    }
}
