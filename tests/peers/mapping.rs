//! From a case of the neutral schema to a book and a sale: names, catalogue, member, codes, usage.
//!
//! Every line gets an article of its own, numbered in the order of the basket, and the book lists by article: so "line"
//! and "the order of the basket" mean what they mean in the case, whatever sku stands on two lines. All cart promotions
//! stand in one stage, because the order of a case's list is the order of application; claims come after them.

use std::collections::BTreeMap;

use aisled::domain::calendar::{StoreZone, UnixMs};
use aisled::domain::ids::{CouponCode, DeviceId, PromotionId};
use aisled::domain::member::{Ledger, Member, Usage};
use aisled::domain::money::Money;
use aisled::pricing::model::{Arithmetic, Channel, PointsProgramme, Promotion, ResolutionMode};
use aisled::pricing::outcome::{Priced, Reason};
use aisled::pricing::{Book, BookRules, PresentedCode, Sale, Shopper};
use serde_json::{Value, json};

use super::kinds;

/// Points are counted in these parts, so that fractions are kept.
pub(crate) const POINT: i64 = 10_000;

/// What our book answered, and what its names stand for.
pub(crate) struct Outcome {
    pub(crate) priced: Priced,
    pub(crate) names: Names,
    /// Our codes, by position in `Priced::coupons`, with the case's text.
    pub(crate) codes: Vec<String>,
}

/// The case's texts by our ids: our alphabets are narrower than other people's.
#[derive(Default)]
pub(crate) struct Names {
    /// By kind and text.
    ids: BTreeMap<(&'static str, String), String>,
    /// Articles of lines by the case's sku.
    articles: BTreeMap<String, Vec<String>>,
}

impl Names {
    pub(crate) fn id(&mut self, kind: &'static str, text: &str) -> String {
        let next = format!("{kind}{:03}", self.ids.len());
        self.ids.entry((kind, text.to_owned())).or_insert(next).clone()
    }

    pub(crate) fn text(&self, id: &str) -> String {
        let found = self.ids.iter().find(|(_, ours)| *ours == id);
        found.map_or_else(|| id.to_owned(), |((_, text), _)| text.clone())
    }

    /// All articles that stand for a sku.
    fn articles(&mut self, sku: &str) -> Vec<String> {
        let own = self.id("sku", sku);
        let mut all = self.articles.get(sku).cloned().unwrap_or_default();
        all.push(own);
        all
    }

    /// A matcher as an item set.
    pub(crate) fn set(&mut self, matcher: &Value) -> Result<Value, String> {
        let mut set = json!({});
        let Some(keys) = matcher.as_object() else { return Ok(set) };
        for (key, value) in keys {
            match key.as_str() {
                "all" => {}
                "none" => set["none"] = json!(value.as_bool().unwrap_or(true)),
                "skus" => {
                    let skus: Vec<String> = texts(value).iter().flat_map(|sku| self.articles(sku)).collect();
                    if skus.is_empty() {
                        set["none"] = json!(true);
                    }
                    set["skus"] = json!(skus);
                }
                "categories" => {
                    let names: Vec<String> = texts(value).iter().map(|name| self.id("cat", name)).collect();
                    if names.is_empty() {
                        set["none"] = json!(true);
                    }
                    set["categories"] = json!(names);
                }
                "unit_price_min" | "unit_price_max" => {
                    if !value.is_null() {
                        set[key] = value.clone();
                    }
                }
                "exclude_discounted" => {
                    if value.as_bool() == Some(true) {
                        set["reduced"] = json!("deny");
                    }
                }
                _ => return Err(format!("matcher {key} is not known")),
            }
        }
        Ok(set)
    }
}

pub(crate) fn texts(value: &Value) -> Vec<String> {
    match value {
        Value::String(text) => vec![text.clone()],
        Value::Array(all) => all.iter().map(text).collect(),
        _ => Vec::new(),
    }
}

/// A text, or a number as text.
pub(crate) fn text(value: &Value) -> String {
    value.as_str().map_or_else(|| value.to_string(), str::to_owned)
}

pub(crate) fn list(value: &Value) -> &[Value] {
    value.as_array().map_or(&[], Vec::as_slice)
}

/// A decimal such as 0.1 or "10.5" times `parts`, cut.
pub(crate) fn parts_of(value: &Value, parts: i64) -> Result<i64, String> {
    let written = text(value);
    let written = written.trim_end_matches('%').trim();
    let (whole, fraction) = written.split_once('.').unwrap_or((written, ""));
    let digits = format!("{whole}{fraction}");
    let number: i128 = digits.parse().map_err(|_| format!("{written} is not a decimal"))?;
    let scale = 10_i128.pow(fraction.len() as u32);
    i64::try_from(number * i128::from(parts) / scale).map_err(|_| format!("{written} is too large"))
}

fn made<T: serde::de::DeserializeOwned>(value: Value, what: &str) -> Result<T, String> {
    serde_json::from_value(value.clone()).map_err(|error| format!("{what} {value}: {error}"))
}

fn catalogue(case: &Value, names: &mut Names) -> Vec<Value> {
    let mut items = Vec::new();
    let by_sku: BTreeMap<String, &Value> =
        list(&case["catalog"]).iter().map(|i| (text(&i["sku"]), i)).collect();
    let mut item = |ours: &str, entry: &Value, names: &mut Names| {
        let categories: Vec<String> =
            texts(&entry["categories"]).iter().map(|c| names.id("cat", c)).collect();
        let price = entry["price"].as_i64().unwrap_or(0).max(0);
        let mut item = json!({ "sku": ours, "price": price, "categories": categories });
        item["list_price"] =
            entry.get("list_price").filter(|p| !p.is_null()).cloned().unwrap_or(json!(price));
        if let Some(floor) = entry.get("min_price").filter(|floor| !floor.is_null()) {
            item["floor_price"] = floor.clone();
        }
        items.push(item);
    };
    for (number, line) in list(&case["basket"]).iter().enumerate() {
        let sku = text(&line["sku"]);
        let ours = format!("line{number:04}");
        let fallback = json!({ "price": line["unit_price"] });
        item(&ours, by_sku.get(&sku).copied().unwrap_or(&fallback), names);
        names.articles.entry(sku).or_default().push(ours);
    }
    let gifts = list(&case["promotions"]).iter().flat_map(|promotion| {
        let params = &promotion["params"];
        [&params["gift"]["sku"], &params["reward"]["gift"]["sku"]]
    });
    let mut skus: Vec<String> = by_sku.keys().cloned().collect();
    skus.extend(gifts.filter_map(Value::as_str).map(str::to_owned));
    skus.sort();
    skus.dedup();
    for sku in skus {
        let ours = names.id("sku", &sku);
        item(&ours, by_sku.get(&sku).copied().unwrap_or(&json!({ "price": 0 })), names);
    }
    items
}

fn arithmetic(case: &Value) -> Result<Arithmetic, String> {
    let conventions = &case["conventions"];
    let said = |key: &str, fallback: &str| conventions[key].as_str().unwrap_or(fallback).to_owned();
    let leftover = match said("allocation", "largest_remainder").as_str() {
        "largest_remainder" => "largest_remainder",
        // Shares that find no room are shared again always; who shares so rounds as below.
        "capped_proportional" => "round_then_first",
        "first" => "first",
        "round_then_first" => "round_then_first",
        other => return Err(format!("allocation {other} is not known")),
    };
    let base = match said("percent_base", "remaining").as_str() {
        "remaining" => "running",
        "original" => "list",
        other => return Err(format!("percent_base {other} is not known")),
    };
    let arithmetic = json!({ "rounding": said("rounding", "half_up"), "round_at": said("round_at", "unit"),
        "percent_base": base, "leftover": leftover, "listing": "article" });
    made(arithmetic, "arithmetic")
}

fn member(case: &Value, names: &mut Names, promotions: &[Value]) -> Result<Option<Member>, String> {
    let said = &case["member"];
    let asks = |promotion: &Value| {
        list(&promotion["conditions"]).iter().any(|c| text(&c["type"]).starts_with("member"))
            || !promotion["member_bound"].is_null()
    };
    let gives_points = promotions.iter().any(|p| text(&p["kind"]).starts_with("points"));
    if said.is_null() && (!gives_points || promotions.iter().any(asks)) {
        return Ok(None);
    }
    let groups: Vec<String> = texts(&said["groups"]).iter().map(|group| names.id("group", group)).collect();
    let id = names.id("member", &text(&said["id"]));
    let mut ledger = Ledger {
        visits: said["completed_orders"].as_u64().unwrap_or(0) as u32,
        voided: said["cancelled_orders"].as_u64().unwrap_or(0) as u32,
        ..Ledger::default()
    };
    if !said["points"].is_null() {
        ledger.points.settled = parts_of(&said["points"], POINT)?;
    }
    for promotion in promotions {
        let limits = &promotion["limits"];
        let used = kinds::used(case, limits, "used_by_member") as u32;
        let none_allowed = limits["usage_limit_per_member"].as_u64() == Some(0);
        let usage = Usage { uses: used.max(u32::from(none_allowed)), ..Usage::default() };
        ledger.usage.insert(made(json!(names.id("p", &text(&promotion["id"]))), "id")?, usage);
    }
    let profile = made(json!({ "groups": groups }), "profile")?;
    Ok(Some(Member { id: made(json!(id), "id")?, profile, ledger, profile_as_of: UnixMs(0), history: None }))
}

/// Which promotions a presented text sets off: letters count, unless the case is about that.
fn set_off<'c>(case: &Value, promotions: &'c [Value], code: &str) -> Vec<&'c Value> {
    let either = list(&case["features"]).iter().any(|tag| tag == "case_insensitive");
    let same = |promotion: &&Value| {
        let own = promotion["code"].as_str().unwrap_or_default();
        promotion["trigger"] == "code" && (own == code || (either && own.eq_ignore_ascii_case(code)))
    };
    promotions.iter().filter(same).collect()
}

/// Prices a case with our book.
pub(crate) fn price(case: &Value) -> Result<Outcome, String> {
    let outcome = price_once(case)?;
    match stands_alone_for_nothing(case, &outcome)? {
        Some(alone) => price_once(&alone),
        None => Ok(outcome),
    }
}

/// With others an exclusive promotion stands alone as soon as its conditions hold; with us only if it gives something,
/// because a shopper should not lose a discount to nothing. So one whose conditions hold and that gives nothing has the
/// others switched off here. Whether they hold is asked of our book, with one minor unit off in its place.
fn stands_alone_for_nothing(case: &Value, outcome: &Outcome) -> Result<Option<Value>, String> {
    let promotions = list(&case["promotions"]);
    let is_exclusive = |p: &&Value| p["exclusive"] == true && p["layer"] != "catalog";
    let applied = |outcome: &Outcome, id: &Value| {
        let mut ids = outcome.priced.applied.iter().map(|applied| applied.promotion.as_str());
        ids.any(|ours| outcome.names.text(ours) == text(id))
    };
    let mut exclusive: Vec<&Value> = promotions.iter().filter(is_exclusive).collect();
    if exclusive.iter().any(|p| applied(outcome, &p["id"])) {
        return Ok(None);
    }
    exclusive.sort_by_key(|p| std::cmp::Reverse(p["priority"].as_i64().unwrap_or(0)));
    for promotion in exclusive {
        let mut asked = case.clone();
        for other in asked["promotions"].as_array_mut().into_iter().flatten() {
            if other["id"] == promotion["id"] {
                (other["kind"], other["value"]) = (json!("order_amount"), json!({ "amount": 1 }));
                (other["target"], other["params"]) = (Value::Null, Value::Null);
            }
        }
        if !applied(&price_once(&asked)?, &promotion["id"]) {
            continue;
        }
        let mut alone = case.clone();
        for other in alone["promotions"].as_array_mut().into_iter().flatten() {
            let sibling = !promotion["parent"].is_null() && other["parent"] == promotion["parent"];
            if other["id"] != promotion["id"] && !sibling && other["layer"] != "catalog" {
                other["active"] = json!(false);
            }
        }
        return Ok(Some(alone));
    }
    Ok(None)
}

fn price_once(case: &Value) -> Result<Outcome, String> {
    let mut names = Names::default();
    let promotions = list(&case["promotions"]);
    let zone = StoreZone::new("UTC").ok_or("no zone")?;
    let catalogue = catalogue(case, &mut names);
    let mut ours: Vec<Value> = Vec::new();
    for promotion in promotions {
        ours.extend(kinds::promotions(case, promotion, &zone, &mut names)?);
    }
    let rules = BookRules {
        currency: made(
            json!({ "code": case["currency"].as_str().unwrap_or("USD"),
                "minor_units": case["minor_units"].as_u64().unwrap_or(2) }),
            "currency",
        )?,
        zone: zone.clone(),
        arithmetic: arithmetic(case)?,
        resolution: ResolutionMode::Sequence,
        catalogue: catalogue.into_iter().map(|item| made(item, "article")).collect::<Result<_, _>>()?,
        promotions: ours
            .into_iter()
            .map(|promotion| made::<Promotion>(promotion, "promotion"))
            .collect::<Result<_, _>>()?,
        points: PointsProgramme::default(),
        coupons: Vec::new(),
    };
    let book = Book::compile(rules)
        .map_err(|faults| faults.iter().map(ToString::to_string).collect::<Vec<String>>().join(", "))?;
    let member = member(case, &mut names, promotions)?;
    let mut usage: BTreeMap<PromotionId, Usage> = BTreeMap::new();
    for promotion in promotions {
        let limits = &promotion["limits"];
        let none_allowed = limits["usage_limit"].as_u64() == Some(0);
        usage.insert(
            made(json!(names.id("p", &text(&promotion["id"]))), "id")?,
            Usage {
                uses: (kinds::used(case, limits, "used") as u32).max(u32::from(none_allowed)),
                money: Money(limits["budget_used"].as_i64().unwrap_or(0)),
                ..Usage::default()
            },
        );
    }
    let (mut codes, mut presented) = (Vec::new(), Vec::new());
    for coupon in list(&case["coupons"]) {
        let code = if coupon.is_object() { text(&coupon["code"]) } else { text(coupon) };
        if codes.contains(&code) {
            continue;
        }
        let ours: CouponCode = made(json!(names.id("CODE", &code)), "code")?;
        let mut rights = Vec::new();
        for promotion in set_off(case, promotions, &code) {
            rights.push(Ok(made(json!(names.id("p", &text(&promotion["id"]))), "id")?));
        }
        if rights.is_empty() {
            rights.push(Err(Reason::CodeUnknown));
        }
        for right in rights {
            presented.push(PresentedCode { code: ours.clone(), right, used: Usage::default() });
            codes.push(code.clone());
        }
    }
    let mut basket = json!({ "lines": [], "claims": kinds::claims(case, &mut names), "gift_cards": [] });
    let lines: Vec<Value> = list(&case["basket"])
        .iter()
        .enumerate()
        .map(|(number, line)| {
            json!({ "line": names.id("l", &text(&line["line"])), "sku": format!("line{number:04}"),
            "quantity": { "units": line["qty"] }, "unit_price": line["unit_price"] })
        })
        .collect();
    basket["lines"] = json!(lines);
    let cards: Vec<Value> = list(&case["gift_cards"])
        .iter()
        .map(|card| json!({ "code": names.id("CARD", &text(&card["code"])), "balance": card["balance"] }))
        .collect();
    basket["gift_cards"] = json!(cards);
    let basket = made(basket, "basket")?;
    let now = case["now"].as_str().and_then(UnixMs::parse_rfc3339).unwrap_or(UnixMs(1_718_452_800_000));
    let device = DeviceId::new("till-1").map_err(|error| error.to_string())?;
    let sale = Sale {
        basket: &basket,
        shopper: Shopper { member: member.as_ref(), segments: &[], now, zone: None },
        codes: &presented,
        device: &device,
        channel: Channel::Till,
        usage: &usage,
        device_usage: &BTreeMap::new(),
        offline_hours: None,
        lent: None,
    };
    let priced = book.price(&sale).map_err(|fault| fault.to_string())?;
    Ok(Outcome { priced, names, codes })
}
