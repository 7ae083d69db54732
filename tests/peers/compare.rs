//! What a case asserts against what our book answered: only keys that the source asserts, each of them strictly.

use std::collections::BTreeMap;

use aisled::domain::money::Money;
use aisled::pricing::outcome::{CouponOutcome, CouponResult, Priced, PricedLine, Reason};
use serde_json::Value;

use super::kinds::EARNED;
use super::mapping::{Outcome, POINT, list, parts_of, text, texts};

struct Compare<'a> {
    case: &'a Value,
    outcome: &'a Outcome,
    found: Vec<String>,
}

/// What differs; nothing if the case passes.
pub(crate) fn differences(case: &Value, outcome: &Outcome) -> Vec<String> {
    let mut compare = Compare { case, outcome, found: Vec::new() };
    let Some(expected) = case["expected"].as_object() else { return vec!["it expects nothing".to_owned()] };
    for (key, value) in expected {
        compare.key(key, value);
    }
    compare.found
}

fn off_by_unit(line: &PricedLine) -> Vec<i64> {
    let units = i64::from(line.units.max(1));
    let shelf = line.gross.0 / units;
    let each = line.shares.iter().flat_map(|share| vec![shelf - share.net.0; share.qty as usize]);
    sorted(each.collect())
}

fn sorted(mut all: Vec<i64>) -> Vec<i64> {
    all.sort_unstable();
    all
}

fn numbers(value: &Value) -> Vec<i64> {
    sorted(list(value).iter().filter_map(Value::as_i64).collect())
}

impl Compare<'_> {
    fn priced(&self) -> &Priced {
        &self.outcome.priced
    }

    fn same<T: PartialEq + std::fmt::Debug>(&mut self, what: &str, ours: T, theirs: T) {
        if ours != theirs {
            self.found.push(format!("{what} {ours:?} instead of {theirs:?}"));
        }
    }

    fn key(&mut self, key: &str, value: &Value) {
        let paid_by_cards: Money = self.priced().gift_cards.iter().map(|card| card.used).sum();
        match key {
            "total" => {
                let total = self.priced().total - paid_by_cards;
                self.same("total", total.0, value.as_i64().unwrap_or(i64::MIN));
            }
            "discount_total" => {
                let off = self.priced().discount_total.0;
                self.same("discount_total", off, value.as_i64().unwrap_or(i64::MIN));
            }
            "lines" => list(value).iter().for_each(|line| self.line(line)),
            "line_totals_multiset" => {
                let totals = sorted(self.priced().lines.iter().map(|line| line.net.0).collect());
                self.same(key, totals, numbers(value));
            }
            "line_discounts_multiset" => {
                let off = sorted(self.priced().lines.iter().map(|line| (line.gross - line.net).0).collect());
                self.same(key, off, numbers(value));
            }
            "discount_by_promotion" => {
                for (id, amount) in value.as_object().into_iter().flatten() {
                    let off = self.off_by(id);
                    self.same(&format!("discount of {id}"), off, amount.as_i64().unwrap_or(i64::MIN));
                }
            }
            "applied" => self.applied(&texts(value)),
            "not_applied" => {
                let applied = self.all_applied();
                for id in texts(value) {
                    let is_applied = self.ids_of(&id).iter().any(|part| applied.contains(part));
                    self.same(&format!("{id} applied"), is_applied, false);
                }
            }
            "applied_per_line" => self.applied_per_line(value),
            "rejected" => self.rejected(value),
            "gifts" => self.gifts(value),
            "free_units" => self.free_units(value),
            "points" => self.points(value),
            "gift_cards" => self.gift_cards(value),
            _ => self.found.push(format!("{key} is not compared")),
        }
    }

    fn line(&mut self, expected: &Value) {
        let name = text(&expected["line"]);
        let lines = &self.outcome.priced.lines;
        let Some(line) = lines.iter().find(|line| self.outcome.names.text(line.line.as_str()) == name) else {
            self.found.push(format!("{name} is not there"));
            return;
        };
        let off = (line.gross - line.net).0;
        for (key, value) in expected.as_object().into_iter().flatten() {
            let what = format!("{name} {key}");
            let number = value.as_i64().unwrap_or(i64::MIN);
            match key.as_str() {
                "line" | "sku" | "qty" => {}
                "discount" => self.same(&what, off, number),
                "total" => self.same(&what, line.net.0, number),
                "unit_price" => {
                    let prices: Vec<i64> = line.shares.iter().map(|share| share.net.0).collect();
                    if prices.iter().any(|price| *price != number) {
                        self.same(&what, prices, vec![number]);
                    }
                }
                "unit_discounts" => self.same(&what, off_by_unit(line), numbers(value)),
                "discount_percent" => {
                    let percent = parts_of(value, 100).unwrap_or(i64::MIN);
                    let ours =
                        if line.gross.0 == 0 { 0 } else { (off * 10_000 + line.gross.0 / 2) / line.gross.0 };
                    self.same(&what, ours, percent);
                }
                _ => self.found.push(format!("{what} is not compared")),
            }
        }
    }

    /// Ids of a promotion, and of its parts where it is a parent.
    fn ids_of(&self, id: &str) -> Vec<String> {
        let parts = list(&self.case["promotions"]).iter();
        let parts = parts.filter(|p| text(&p["id"]) == id || p["parent"].as_str() == Some(id));
        parts.map(|p| text(&p["id"])).collect()
    }

    fn off_by(&self, id: &str) -> i64 {
        let ids = self.ids_of(id);
        let named = |ours: &str| ids.contains(&self.outcome.names.text(ours));
        let priced = self.priced();
        let cart = priced.applied.iter().filter(|a| named(a.promotion.as_str())).map(|a| a.amount);
        let shelf =
            priced.shelf.iter().filter(|c| named(c.promotion.as_str())).map(|c| c.amount.times(c.qty));
        cart.chain(shelf).sum::<Money>().0
    }

    fn all_applied(&self) -> Vec<String> {
        let priced = self.priced();
        let cart = priced.applied.iter().map(|applied| &applied.promotion);
        let ids = cart.chain(priced.shelf.iter().map(|change| &change.promotion));
        let mut ids: Vec<String> = ids.map(|id| self.outcome.names.text(id.as_str())).collect();
        ids.retain(|id| id != EARNED);
        ids.sort();
        ids.dedup();
        ids
    }

    /// Exactly these applied; points earned are no discount and need not be told.
    fn applied(&mut self, expected: &[String]) {
        let applied = self.all_applied();
        let missing: Vec<&String> =
            expected.iter().filter(|id| !self.ids_of(id).iter().any(|part| applied.contains(part))).collect();
        let told = |id: &String| {
            let said = list(&self.case["promotions"]).iter().find(|p| text(&p["id"]) == *id);
            let parent = said.and_then(|p| p["parent"].as_str());
            expected.contains(id)
                || parent.is_some_and(|parent| expected.iter().any(|e| e == parent))
                || said.is_some_and(|p| p["kind"] == "points_earn")
        };
        let more: Vec<&String> = applied.iter().filter(|id| !told(id)).collect();
        if !missing.is_empty() || !more.is_empty() {
            self.found.push(format!("applied without {missing:?} and with {more:?}"));
        }
    }

    fn applied_per_line(&mut self, value: &Value) {
        let pairs: Vec<(String, Vec<String>)> = match value {
            Value::Object(lines) => lines.iter().map(|(line, ids)| (line.clone(), texts(ids))).collect(),
            Value::Array(lines) => {
                let ids = |l: &Value| {
                    let lists = l.as_object().into_iter().flatten().map(|(_, value)| value);
                    lists.filter(|value| value.is_array()).flat_map(texts).collect()
                };
                lines.iter().map(|l| (text(&l["line"]), ids(l))).collect()
            }
            _ => Vec::new(),
        };
        for (name, mut expected) in pairs {
            let lines = self.priced().lines.iter();
            let lines = lines.filter(|line| self.outcome.names.text(line.line.as_str()) == name);
            let ids = lines
                .flat_map(|line| &line.discounts)
                .map(|off| self.outcome.names.text(off.promotion.as_str()));
            let mut ids: Vec<String> = ids.collect();
            ids.sort();
            ids.dedup();
            expected.sort();
            self.same(&format!("applied on {name}"), ids, expected);
        }
    }

    /// A code is refused or not: strictly. Why: loosely.
    fn rejected(&mut self, value: &Value) {
        let mut expected: BTreeMap<String, String> = BTreeMap::new();
        for code in list(value) {
            let named = if code.is_string() { text(code) } else { text(&code["code"]) };
            expected.insert(named, code["reason"].as_str().unwrap_or_default().to_owned());
        }
        let mut ours: BTreeMap<String, Vec<&CouponResult>> = BTreeMap::new();
        for (code, result) in self.outcome.codes.iter().zip(&self.outcome.priced.coupons) {
            ours.entry(code.clone()).or_default().push(result);
        }
        let stays =
            |results: &Vec<&CouponResult>| results.iter().all(|r| r.outcome != CouponOutcome::Applied);
        let refused: BTreeMap<&String, Option<Reason>> = ours
            .iter()
            .filter(|(_, results)| stays(results))
            .map(|(code, results)| (code, results.iter().find_map(|result| result.reason)))
            .collect();
        let mut found = Vec::new();
        for (code, reason) in &expected {
            match refused.get(code) {
                None => found.push(format!("code {code} is not refused")),
                Some(ours) if !fits(*ours, reason) => {
                    found.push(format!("code {code} is refused for {ours:?} instead of {reason}"));
                }
                Some(_) => {}
            }
        }
        if self.case["rejections_unasserted"].is_null() {
            // A good code whose promotion finds nothing to take off is no refused one.
            let more = refused
                .iter()
                .filter(|(code, why)| !expected.contains_key(**code) && **why != Some(Reason::NothingOff));
            found.extend(more.map(|(code, why)| format!("code {code} is refused for {why:?}")));
        }
        self.found.extend(found);
    }

    fn gifts(&mut self, value: &Value) {
        let mut ours: BTreeMap<String, u64> = BTreeMap::new();
        let mut prices: BTreeMap<String, i64> = BTreeMap::new();
        for gift in &self.outcome.priced.gifts {
            let sku = self.outcome.names.text(gift.sku.as_str());
            *ours.entry(sku.clone()).or_default() += u64::from(gift.qty);
            prices.insert(sku, gift.unit_price.0);
        }
        let mut expected: BTreeMap<String, u64> = BTreeMap::new();
        for gift in list(value) {
            let sku = text(&gift["sku"]);
            *expected.entry(sku.clone()).or_default() += gift["qty"].as_u64().unwrap_or(1);
            if let Some(price) = gift["unit_price"].as_i64() {
                self.same(&format!("price of gift {sku}"), prices.get(&sku).copied(), Some(price));
            }
        }
        expected.retain(|_, qty| *qty > 0);
        self.same("gifts", ours, expected);
    }

    fn free_units(&mut self, value: &Value) {
        let sku_of: BTreeMap<String, String> =
            list(&self.case["basket"]).iter().map(|line| (text(&line["line"]), text(&line["sku"]))).collect();
        let mut ours: BTreeMap<String, u64> = BTreeMap::new();
        for line in &self.outcome.priced.lines {
            let free: u32 =
                line.shares.iter().filter(|share| share.net == Money::ZERO).map(|share| share.qty).sum();
            let sku = sku_of.get(&self.outcome.names.text(line.line.as_str())).cloned().unwrap_or_default();
            *ours.entry(sku).or_default() += u64::from(free);
        }
        ours.retain(|_, qty| *qty > 0);
        let mut expected: BTreeMap<String, u64> = BTreeMap::new();
        for free in list(value) {
            *expected.entry(text(&free["sku"])).or_default() += free["qty"].as_u64().unwrap_or(1);
        }
        expected.retain(|_, qty| *qty > 0);
        self.same("free units", ours, expected);
    }

    fn points(&mut self, value: &Value) {
        let points = &self.outcome.priced.points;
        let (earn, spend, balance) = (points.earn, points.spend, points.balance_after.unwrap_or(0));
        for (key, expected) in value.as_object().into_iter().flatten() {
            let ours = match key.as_str() {
                "earned" => earn,
                "spent" => spend,
                "balance" => balance,
                _ => {
                    self.found.push(format!("points {key} are not compared"));
                    continue;
                }
            };
            // Fractions are kept; beyond two decimals as far as the source writes.
            let decimals =
                text(expected).split_once('.').map_or(0, |(_, fraction)| fraction.len().clamp(2, 4));
            let step = POINT / 10_i64.pow(decimals as u32);
            let whole = if decimals == 0 { ours } else { ours / step * step };
            self.same(&format!("points {key}"), whole, parts_of(expected, POINT).unwrap_or(i64::MIN));
        }
    }

    fn gift_cards(&mut self, value: &Value) {
        for expected in list(value) {
            let code = text(&expected["code"]);
            let cards = &self.outcome.priced.gift_cards;
            let card = cards.iter().find(|card| self.outcome.names.text(card.code.as_str()) == code);
            let (used, balance) = card.map_or((0, 0), |card| (card.used.0, card.balance.0));
            for (key, ours) in [("used", used), ("balance", balance)] {
                if let Some(theirs) = expected[key].as_i64() {
                    self.same(&format!("{key} of card {code}"), ours, theirs);
                }
            }
        }
    }
}

/// Is ours one of the reasons that a suite may give this name to?
fn fits(ours: Option<Reason>, theirs: &str) -> bool {
    use Reason as R;
    let Some(ours) = ours else { return theirs.is_empty() };
    match theirs {
        "unknown" => ours == R::CodeUnknown,
        "expired" => ours == R::Expired,
        "not_started" => ours == R::NotStarted,
        "inactive" => ours == R::Inactive,
        "usage_limit" => matches!(ours, R::LimitStore | R::LimitChain | R::LimitCode | R::CodeUsed),
        "usage_limit_member" => matches!(ours, R::LimitMember | R::NoMember),
        "another_order_discount_applied" => matches!(ours, R::LostTo | R::NothingOff | R::UnitsTaken),
        // Sources word the rest as they like.
        _ => true,
    }
}
