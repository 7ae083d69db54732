//! What changed between two sets of rules, entry by entry, for a person who is about to publish one of them.
//!
//! Entries are matched by id (an article by its sku), so that moving one within its file is no change; the order of
//! promotions is one, because it decides which applies first. Values are shown as they are written in a JSON folder.

use std::collections::BTreeMap;
use std::fmt;

use serde::Serialize;
use serde_json::Value;
use sha2::{Digest, Sha256};

use super::document::{Rules, ShippedNetwork};
use crate::domain::text::hex;

/// One difference.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Difference {
    /// The kind of entry: `shop`, `item`, `promotion` and so on.
    pub kind: &'static str,
    /// Which entry; empty for the shop and the points programme.
    pub id: String,
    /// What happened to it.
    #[serde(flatten)]
    pub change: Change,
}

/// What happened to an entry.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case", tag = "change")]
pub enum Change {
    /// It is new.
    Added,
    /// It is gone.
    Removed,
    /// One of its fields differs.
    Changed {
        /// The field's path, for example `benefit.gift.qty`; empty for the order of entries.
        field: String,
        /// Its value before, nothing if it was absent.
        before: Option<Value>,
        /// Its value now, nothing if it is absent.
        now: Option<Value>,
    },
}

impl fmt::Display for Difference {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let name =
            if self.id.is_empty() { self.kind.to_owned() } else { format!("{} {}", self.kind, self.id) };
        let value = |value: &Option<Value>| value.as_ref().map_or("nothing".to_owned(), Value::to_string);
        match &self.change {
            Change::Added => write!(f, "+ {name}"),
            Change::Removed => write!(f, "- {name}"),
            Change::Changed { field, before, now } => {
                write!(f, "~ {name}: {field} {} -> {}", value(before), value(now))
            }
        }
    }
}

/// Every difference, kind by kind, entries in the order of ids.
pub fn differences(before: &Rules, now: &Rules) -> Vec<Difference> {
    let mut found = Vec::new();
    fields("shop", "", &as_value(&before.shop), &as_value(&now.shop), &mut found);
    fields("points", "", &as_value(&before.points), &as_value(&now.points), &mut found);
    entries("item", (&before.catalogue, &now.catalogue), |item| item.sku.to_string(), &mut found);
    entries("segment", (&before.segments, &now.segments), |segment| segment.id.to_string(), &mut found);
    entries("campaign", (&before.campaigns, &now.campaigns), |campaign| campaign.id.to_string(), &mut found);
    entries(
        "promotion",
        (&before.promotions, &now.promotions),
        |promotion| promotion.id.to_string(),
        &mut found,
    );
    let order = |rules: &Rules| -> Vec<Value> {
        rules.promotions.iter().map(|promotion| Value::String(promotion.id.to_string())).collect()
    };
    let common = |of: &Rules, other: &Rules| -> Value {
        let others = order(other);
        order(of).into_iter().filter(|id| others.contains(id)).collect()
    };
    let (was, is) = (common(before, now), common(now, before));
    if was != is {
        let change =
            Change::Changed { field: "order of application".into(), before: Some(was), now: Some(is) };
        found.push(Difference { kind: "promotions", id: String::new(), change });
    }
    entries("coupon", (&before.coupons, &now.coupons), |coupon| coupon.id.to_string(), &mut found);
    fields(
        "recommendations",
        "",
        &as_value(&before.recommendations),
        &as_value(&now.recommendations),
        &mut found,
    );
    entries("partner", (&before.partners, &now.partners), |partner| partner.id.to_string(), &mut found);
    let network = |rules: &Rules| rules.network.as_ref().map_or(Value::Null, summary);
    fields("network", "", &network(before), &network(now), &mut found);
    fields("care", "", &as_value(&before.care), &as_value(&now.care), &mut found);
    found
}

/// A network as a person can compare it: its file is only told apart.
fn summary(network: &ShippedNetwork) -> Value {
    let model = &network.model.0;
    serde_json::json!({ "items": network.items, "bytes": model.len(), "sha256": hex(&Sha256::digest(model)) })
}

fn as_value<T: Serialize>(value: &T) -> Value {
    serde_json::to_value(value).expect("authored types have text keys and no failing serializer")
}

fn entries<T: Serialize>(
    kind: &'static str,
    (before, now): (&[T], &[T]),
    id: impl Fn(&T) -> String,
    into: &mut Vec<Difference>,
) {
    let index = |entries: &[T]| -> BTreeMap<String, Value> {
        entries.iter().map(|entry| (id(entry), as_value(entry))).collect()
    };
    let (before, now) = (index(before), index(now));
    for (id, was) in &before {
        match now.get(id) {
            Some(is) => fields(kind, id, was, is, into),
            None => into.push(Difference { kind, id: id.clone(), change: Change::Removed }),
        }
    }
    let added = now.keys().filter(|id| !before.contains_key(*id));
    into.extend(added.map(|id| Difference { kind, id: id.clone(), change: Change::Added }));
}

fn fields(kind: &'static str, id: &str, before: &Value, now: &Value, into: &mut Vec<Difference>) {
    let mut changes = Vec::new();
    compare(String::new(), Some(before), Some(now), &mut changes);
    into.extend(changes.into_iter().map(|change| Difference { kind, id: id.to_owned(), change }));
}

fn compare(path: String, before: Option<&Value>, now: Option<&Value>, into: &mut Vec<Change>) {
    if before == now {
        return;
    }
    if let (Some(Value::Object(was)), Some(Value::Object(is))) = (before, now) {
        let keys: std::collections::BTreeSet<&String> = was.keys().chain(is.keys()).collect();
        for key in keys {
            let path = if path.is_empty() { key.clone() } else { format!("{path}.{key}") };
            compare(path, was.get(key), is.get(key), into);
        }
        return;
    }
    into.push(Change::Changed { field: path, before: before.cloned(), now: now.cloned() });
}
