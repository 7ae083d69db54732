//! One promotion of the neutral schema as promotions of ours: trigger, validity, conditions, limits, stacking, benefit.

use aisled::domain::calendar::{StoreZone, UnixMs};
use serde_json::{Value, json};

use super::mapping::{Names, POINT, list, parts_of, text, texts};

/// Points that the case says the order earns, without saying by what, come from a promotion of this name.
pub(crate) const EARNED: &str = "earned-this-order";

/// The claims of a case: each reward once, in the order of its first claim.
pub(crate) fn claims(case: &Value, names: &mut Names) -> Value {
    let mut claims: Vec<(String, u64)> = Vec::new();
    for claim in list(&case["claims"]) {
        let id = names.id("p", &text(&claim["promotion"]));
        let times = claim["times"].as_u64().unwrap_or(1);
        match claims.iter_mut().find(|(other, _)| *other == id) {
            Some((_, so_far)) => *so_far += times,
            None => claims.push((id, times)),
        }
    }
    claims.into_iter().map(|(id, times)| json!({ "promotion": id, "times": times })).collect()
}

/// A promotion of the case as ours.
pub(crate) fn promotions(
    case: &Value,
    said: &Value,
    zone: &StoreZone,
    names: &mut Names,
) -> Result<Vec<Value>, String> {
    let mut ours = json!({
        "id": names.id("p", &text(&said["id"])),
        "titles": { "en": "a peer's" },
        "trigger": said["trigger"].as_str().unwrap_or("auto"),
        "active": said["active"].as_bool().unwrap_or(true),
        "qualifier": { "items": names.set(&said["target"])? },
        "caps": {},
    });
    let mut all = Vec::new();
    if let Some(parent) = said["parent"].as_str() {
        ours["offer"] = json!(names.id("offer", parent));
    }
    if !case["now"].is_null() {
        ours["schedule"] = schedule(said, zone)?;
    }
    who_and_what(said, &mut ours, names)?;
    limits(case, said, &mut ours);
    stacking(case, said, &mut ours, names);
    match benefit(said, &mut ours, names)? {
        Some(benefit) => ours["benefit"] = benefit,
        None => {
            // It takes nothing off: the same as a promotion that is switched off.
            ours["active"] = json!(false);
            ours["benefit"] = json!({ "order_amount": 1 });
        }
    }
    let earned = &said["params"]["earned_this_order"];
    if !earned.is_null() {
        all.push(json!({ "id": names.id("p", EARNED), "titles": { "en": "earned" },
            "benefit": { "points_fixed": parts_of(earned, POINT)? } }));
    }
    all.insert(0, ours);
    Ok(all)
}

fn schedule(said: &Value, zone: &StoreZone) -> Result<Value, String> {
    let mut schedule = json!({});
    for (key, day, minute) in [("valid_from", "from", "opens"), ("valid_to", "to", "closes")] {
        let Some(at) = said[key].as_str() else { continue };
        if at.len() == "2024-06-15".len() {
            schedule[day] = json!(at);
            continue;
        }
        let instant = UnixMs::parse_rfc3339(at).ok_or_else(|| format!("{key} {at} is not a time"))?;
        let civil = zone.civil(instant);
        schedule[day] = json!(civil.day);
        schedule[minute] = json!(format!("{:02}:{:02}", civil.minute / 60, civil.minute % 60));
    }
    Ok(schedule)
}

fn who_and_what(said: &Value, ours: &mut Value, names: &mut Names) -> Result<(), String> {
    let (mut who, mut what) = (Vec::new(), Vec::new());
    for condition in list(&said["conditions"]) {
        let kind = text(&condition["type"]);
        let items = |set: Value, key: &str, of: &Value| json!({ "items": { "items": set, key: of } });
        let (amount, qty) = (&condition["amount"], &condition["qty"]);
        match kind.as_str() {
            "order_total_min" => what.push(items(json!({}), "amount_min", amount)),
            "order_total_max" => what.push(items(json!({}), "amount_max", amount)),
            "order_qty_min" => what.push(items(json!({}), "qty_min", qty)),
            "order_qty_max" => what.push(items(json!({}), "qty_max", qty)),
            "line_qty_min" => {
                let set = names.set(&condition["match"])?;
                what.push(json!({ "line_qty": { "items": set, "qty_min": qty } }));
            }
            "items_qty_min" => what.push(items(names.set(&condition["match"])?, "qty_min", qty)),
            "items_qty_max" => what.push(items(names.set(&condition["match"])?, "qty_max", qty)),
            "items_total_min" | "items_total_max" => {
                let key = if kind == "items_total_min" { "amount_min" } else { "amount_max" };
                let mut condition = items(names.set(&condition["match"])?, key, amount);
                condition["items"]["base"] = json!("list");
                what.push(condition);
            }
            "contains" => what.push(items(names.set(&condition["match"])?, "qty_min", &json!(1))),
            "all_lines_match" => what.push(json!({ "all_in": names.set(&condition["match"])? })),
            "member_group_in" => {
                let groups: Vec<String> =
                    texts(&condition["groups"]).iter().map(|group| names.id("group", group)).collect();
                who.push(json!({ "group": groups }));
            }
            "member_order_number" => who.push(json!({ "nth_purchase": condition["n"] })),
            "member_is" => who.push(json!({ "is": [names.id("member", &text(&condition["id"]))] })),
            "store_currency" => what.push(json!({ "currency": condition["currency"] })),
            _ => return Err(format!("condition {kind} is not known")),
        }
    }
    match &said["member_bound"] {
        Value::Bool(true) => who.push(json!("member")),
        Value::String(member) => who.push(json!({ "is": [names.id("member", member)] })),
        _ => {}
    }
    ours["audience"] = json!({ "all": who });
    ours["conditions"] = json!({ "all": what });
    Ok(())
}

/// Uses so far that count. Where those of cancelled orders do not, as many as the member cancelled are taken off, and all
/// where the case does not say how many: it names them for nothing else.
pub(crate) fn used(case: &Value, limits: &Value, key: &str) -> u64 {
    let used = limits[key].as_u64().unwrap_or(0);
    if limits["count_cancelled"] != false {
        return used;
    }
    used.saturating_sub(case["member"]["cancelled_orders"].as_u64().unwrap_or(used))
}

fn limits(case: &Value, said: &Value, ours: &mut Value) {
    let limits = &said["limits"];
    let mut over_many = Vec::new();
    let mut bound = |scope: &str, measure: &str, max: &Value| {
        if let Some(max) = max.as_i64() {
            over_many.push(json!({ "scope": scope, "measure": measure, "max": max.max(1) }));
        }
    };
    bound("store", "uses", &limits["usage_limit"]);
    bound("store", "money", &limits["budget_amount"]);
    let per_member = limits["usage_limit_per_member"].as_u64();
    let used = used(case, limits, "used_by_member");
    // Nobody known has used nothing yet.
    if !case["member"].is_null() || per_member.is_some_and(|most| used >= most) {
        bound("member", "uses", &limits["usage_limit_per_member"]);
    }
    ours["limits"] = json!(over_many);
    for (theirs, own) in
        [("max_discount", "per_order"), ("max_units", "units"), ("max_units_per_line", "units_per_line")]
    {
        if !limits[theirs].is_null() {
            ours["caps"][own] = limits[theirs].clone();
        }
    }
    match limits["pick"].as_str() {
        Some("cheapest") => ours["caps"]["pick"] = json!("cheapest"),
        Some("basket_order" | "first" | "listed") => ours["caps"]["pick"] = json!("listed"),
        _ => {}
    }
}

fn stacking(case: &Value, said: &Value, ours: &mut Value, names: &mut Names) {
    let is = |key: &str| said[key].as_bool() == Some(true);
    let mut stacking = json!({ "priority": said["priority"].as_i64().unwrap_or(0) });
    let kind = text(&said["kind"]);
    if kind != "points_earn" {
        let stage = match said["layer"].as_str() {
            Some("catalog") => "shelf",
            _ if said["trigger"] == "claim" || kind == "points_redeem" => "reward",
            _ => "unit",
        };
        stacking["stage"] = json!(stage);
    }
    if let Some(group) = said["stacking"]["best_of"].as_str() {
        stacking["group"] = json!(names.id("best", group));
        let by_line = said["stacking"]["best_scope"] == "line";
        stacking["mode"] = json!(if by_line { "best_of_line" } else { "best_of" });
    }
    // Siblings are one promotion: the last of them stops what comes later.
    let mut later = list(&case["promotions"]).iter().skip_while(|other| other["id"] != said["id"]).skip(1);
    let siblings_follow = !said["parent"].is_null() && later.any(|p| p["parent"] == said["parent"]);
    if is("stop_further") && !siblings_follow {
        stacking["mode"] = json!("stop_further");
    }
    if is("exclusive") && stacking["stage"] == "shelf" {
        // Alone on the shelf: before the others, which then skip what it reached.
        stacking["mode"] = json!("stop_further");
        stacking["priority"] = json!(said["priority"].as_i64().unwrap_or(0) + 1_000_000);
    } else if is("exclusive") {
        stacking["mode"] = json!("exclusive");
    }
    // A percentage of the original price is one of the unit's price; an order's is of what the units left.
    if kind == "order_percent" && case["conventions"]["round_at"] == "unit" {
        stacking["base"] = json!("running");
    }
    ours["stacking"] = stacking;
}

fn percent(value: &Value) -> Result<Option<Value>, String> {
    let ppm = parts_of(value, 10_000)?.clamp(0, 1_000_000);
    let written = format!("{}.{:04}%", ppm / 10_000, ppm % 10_000);
    Ok((ppm > 0).then(|| json!(written)))
}

fn amount(value: &Value) -> Option<Value> {
    value.as_i64().filter(|amount| *amount > 0).map(|amount| json!(amount))
}

fn sort(value: &Value, fallback: &str) -> String {
    match value.as_str() {
        Some("price_asc" | "cheapest") => "cheapest",
        Some("price_desc" | "most_expensive" | "dearest") => "dearest",
        Some(_) => "listed",
        None => fallback,
    }
    .to_owned()
}

/// What it gives, with the caps and the set that belong to it; nothing if it takes nothing off.
fn benefit(said: &Value, ours: &mut Value, names: &mut Names) -> Result<Option<Value>, String> {
    let (value, params) = (&said["value"], &said["params"]);
    let kind = text(&said["kind"]);
    let off = || if value["percent"].is_null() { Ok(None) } else { percent(&value["percent"]) };
    let wrapped = |kind: &str, of: Option<Value>| of.map(|of| json!({ kind: of }));
    Ok(match kind.as_str() {
        "line_percent" => wrapped("line_percent", off()?),
        "line_amount" => amount(&value["amount"]).map(|amount| {
            json!({ "line_amount": { "amount": amount, "per": value["per"].as_str().unwrap_or("unit") } })
        }),
        "line_fixed_price" => Some(json!({ "line_fixed_price": value["fixed_price"] })),
        "order_percent" => wrapped("order_percent", off()?),
        "order_amount" => wrapped("order_amount", amount(&value["amount"])),
        "order_fixed_price" => Some(json!({ "order_fixed_price": value["fixed_price"] })),
        "cheapest_percent" | "cheapest_amount" => {
            ours["caps"]["pick"] = json!("cheapest");
            if ours["caps"]["units"].is_null() {
                ours["caps"]["units"] = json!(1);
            }
            let each = amount(&value["amount"]).map(|amount| json!({ "amount": amount, "per": "unit" }));
            if kind == "cheapest_percent" { wrapped("line_percent", off()?) } else { wrapped("line_amount", each) }
        }
        "tiered_percent" | "tiered_amount" => tiered(params)?,
        "buy_x_get_y" => Some(buy_x_get_y(params, ours, names)?),
        "gift" => {
            let per = &params["per"];
            ours["qualifier"]["items"] = names.set(&per["match"])?;
            let mut gift = gift(&params["gift"], names);
            if !per.is_null() {
                gift["per_qty"] = json!(per["qty"].as_u64().unwrap_or(1));
            }
            if params["repeat"].as_bool() != Some(true) {
                ours["caps"]["applications"] = json!(1);
            }
            applications(params, &["max_applications"], ours);
            Some(json!({ "gift": gift }))
        }
        "mix_and_match_price" => {
            applications(params, &["max_sets", "max_applications"], ours);
            ours["qualifier"]["consumes"] = json!(true);
            let size = |tier: &Value| json!({ "units": tier["qty"], "give": { "price": tier["price"] } });
            let sizes: Vec<Value> = list(&params["tiers"]).iter().map(size).collect();
            Some(json!({ "sets": { "sizes": sizes, "sort": "dearest" } }))
        }
        "bundle_price" => sets(params, ours, Some(json!({ "price": value["fixed_price"] })), "listed"),
        "set_unit_price" => sets(params, ours, Some(json!({ "unit_price": value["fixed_price"] })), "listed"),
        "set_percent" => sets(params, ours, wrapped("percent", off()?), "listed"),
        "set_amount" => sets(params, ours, wrapped("amount", amount(&value["amount"])), "listed"),
        "quantity_group_percent" => sets(params, ours, wrapped("percent", off()?), "listed"),
        "quantity_group_amount" => {
            sets(params, ours, wrapped("unit_amount", amount(&value["amount"])), "listed")
        }
        "nth_item_percent" => {
            applications(params, &["max_uses"], ours);
            off()?.map(|off| {
                json!({ "nth_item": { "n": params["group_size"], "nth": params["nth"].as_u64().unwrap_or(1),
                    "sort": sort(&params["group_sort"], "listed"), "pick": sort(&params["pick_sort"], "listed"),
                    "across": params["picker"] == "across", "reward": { "percent": off } } })
            })
        }
        "nth_item_amount" => {
            let of = |key: &str| params[key].as_i64().unwrap_or(0).max(0);
            let mut amounts = json!({ "first": of("first_item"), "further": of("additional_item") });
            if of("max_items") > 0 {
                amounts["units"] = params["max_items"].clone();
            }
            let any = of("first_item") + of("additional_item") > 0;
            any.then(|| json!({ "first_and_further": amounts }))
        }
        "points_earn" => Some(points_earn(params, names)?),
        "points_redeem" => Some(points_redeem(params, ours, names)?),
        _ => return Err(format!("kind {kind} is not known")),
    })
}

fn applications(params: &Value, keys: &[&str], ours: &mut Value) {
    for key in keys {
        if params[*key].as_u64().is_some_and(|most| most > 0) {
            ours["caps"]["applications"] = params[*key].clone();
        }
    }
}

fn sets(params: &Value, ours: &mut Value, give: Option<Value>, fallback: &str) -> Option<Value> {
    applications(params, &["max_sets", "max_uses"], ours);
    let sort = sort(&params["group_sort"], fallback);
    give.map(|give| json!({ "sets": { "sizes": [{ "units": params["group_size"], "give": give }], "sort": sort } }))
}

fn tiered(params: &Value) -> Result<Option<Value>, String> {
    let by = match params["measure"].as_str() {
        Some("line_total") | None => "line_amount",
        Some("order_total") => "order_amount",
        Some("eligible_qty") => "items_units",
        Some(other) => return Err(format!("measure {other} is not known")),
    };
    let mut tiers = Vec::new();
    for tier in list(&params["tiers"]) {
        let give = match (&tier["percent"], &tier["amount"]) {
            (Value::Null, off) => amount(off).map(|off| json!({ "amount": off })),
            (off, _) => percent(off)?.map(|off| json!({ "percent": off })),
        };
        // A step that gives nothing still ends the one before it.
        let give = give.unwrap_or(json!({ "price": 100_000_000_000_i64 }));
        tiers.push(json!({ "from": tier["min"].as_u64().unwrap_or(0), "give": give }));
    }
    tiers.sort_by_key(|tier| tier["from"].as_u64());
    Ok((!tiers.is_empty()).then(|| json!({ "tiered": { "by": by, "tiers": tiers } })))
}

fn buy_x_get_y(params: &Value, ours: &mut Value, names: &mut Names) -> Result<Value, String> {
    let (buy, get) = (&params["buy"], &params["get"]);
    ours["qualifier"]["items"] = names.set(&buy["match"])?;
    // What is bought for more of the same is used up; what is bought for something else is not.
    ours["qualifier"]["consumes"] = json!(params["same_pool"].as_bool() == Some(true));
    applications(params, &["max_applications"], ours);
    let mut benefit = json!({
        "buy": buy["qty"].as_u64().unwrap_or(1),
        "get": get["qty"].as_u64().unwrap_or(1),
        "pick": if params["pick"] == "most_expensive" { "dearest" } else { "cheapest" },
        "partial": params["partial_get"].as_bool().unwrap_or(false),
    });
    if params["same_pool"].as_bool() != Some(true) {
        benefit["get_items"] = names.set(&get["match"])?;
    }
    if let Some(off) = amount(&params["reward"]["amount"]) {
        benefit["reward"] = json!({ "amount": off });
    } else if !params["reward"]["percent"].is_null() {
        benefit["reward"] = json!({ "percent": percent(&params["reward"]["percent"])? });
    }
    Ok(json!({ "buy_x_get_y": benefit }))
}

fn gift(said: &Value, names: &mut Names) -> Value {
    json!({ "choices": [names.id("sku", &text(&said["sku"]))], "qty": said["qty"].as_u64().unwrap_or(1),
        "unit_price": said["unit_price"].as_i64().unwrap_or(0) })
}

fn points_earn(params: &Value, names: &mut Names) -> Result<Value, String> {
    if !params["per_unit"].is_null() {
        return Ok(json!({ "points_per_unit": parts_of(&params["per_unit"], POINT)? }));
    }
    if !params["per_order"].is_null() {
        return Ok(json!({ "points_fixed": parts_of(&params["per_order"], POINT)? }));
    }
    let basis = match params["basis"].as_str() {
        None | Some("net") => json!("net"),
        Some("gross_of_discounts") => json!("gross"),
        Some("gross_of_order_level") => {
            let ids: Vec<String> = texts(&params["reducing"]).iter().map(|id| names.id("p", id)).collect();
            json!({ "reduced_by": ids })
        }
        Some(other) => return Err(format!("basis {other} is not known")),
    };
    Ok(json!({ "points_rate": { "points": parts_of(&params["points"], POINT)?,
        "per_amount": params["per_amount"], "basis": basis, "fractions": true } }))
}

fn points_redeem(params: &Value, ours: &mut Value, names: &mut Names) -> Result<Value, String> {
    let reward = &params["reward"];
    ours["trigger"] = json!("claim");
    let mut benefit = json!({ "points": parts_of(&params["cost"], POINT)? });
    let is = |key: &str| params[key].as_bool() == Some(true) || reward[key].as_bool() == Some(true);
    benefit["use_all"] = json!(is("use_all"));
    benefit["with_earned"] = json!(is("spend_points_of_this_order"));
    if let Some(most) = amount(&params["max"]) {
        ours["caps"]["per_order"] = most;
    }
    if let Some(off) = amount(&reward["amount"]) {
        benefit["amount"] = off;
        benefit["partial"] = json!("all");
    } else if !reward["amount_per_point"].is_null() {
        let worth = parts_of(&reward["amount_per_point"], POINT)?;
        // As many multiples together as come to whole minor units.
        let exact = parts_of(&params["cost"], worth)?;
        let together = (1..=POINT).find(|times| exact * times % POINT == 0).unwrap_or(1);
        benefit["points"] = json!(parts_of(&params["cost"], POINT)? * together);
        benefit["amount"] = json!(exact * together / POINT);
        benefit["partial"] = json!("share");
        benefit["repeat"] = json!(true);
    } else if !reward["gift"].is_null() {
        benefit["gift"] = gift(&reward["gift"], names);
    } else if !reward["free_units"].is_null() {
        let free = &reward["free_units"];
        ours["qualifier"]["items"] = names.set(&free["match"])?;
        benefit["free_units"] = json!(free["qty"].as_u64().unwrap_or(1));
        ours["caps"]["pick"] = json!(sort(&free["pick"], "cheapest"));
    } else if !reward["cheapest_percent"].is_null() {
        benefit["percent"] = json!(percent(&reward["cheapest_percent"])?);
        ours["caps"]["pick"] = json!("cheapest");
        ours["caps"]["units"] = json!(1);
    } else if !reward["percent"].is_null() {
        benefit["percent"] = json!(percent(&reward["percent"])?);
    } else {
        return Err(format!("reward {reward} is not known"));
    }
    Ok(json!({ "points_redeem": benefit }))
}
