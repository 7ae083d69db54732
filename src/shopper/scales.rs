//! What members are measured by, as the bundle states it: where fifths part, when a member cools, what is due, how often and
//! for how much people like them come back, who is alike.
//!
//! Nothing of it is guessed: what is not stated is not known, and predicates over it hold for nobody. `aisled segments scales`
//! works all of it out from a shop's own members, to be put into `shop.toml`.
//! Fractions are kept as millionths (`Decimal`), so that a bundle says the same on every machine and no NaN gets in.

use std::borrow::Cow;
use std::collections::BTreeMap;
use std::fmt;

use schemars::{JsonSchema, Schema, SchemaGenerator, json_schema};
use serde::de::Visitor;
use serde::{Deserialize, Deserializer, Serialize, Serializer};

use super::lifecycle::StageRules;
use super::repurchase::DueRules;
use super::value::bgnbd::BgNbd;
use super::value::spend::GammaGamma;
use crate::domain::ids::CategoryId;
use crate::limits;

/// What members are measured by.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
pub struct Scales {
    /// Where the fifths of the shop's members part; without it there are no `rfm` scores.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub rfm: Option<Cuts>,
    /// When members cool and lapse, in days; without it and `rhythm` there is no `lifecycle`.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub stages: Option<Stages>,
    /// The same by each member's own rhythm; goes before `stages`.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub rhythm: Option<Rhythm>,
    /// When a category is due again; without it nothing is `due`.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub due: Option<Due>,
    /// How members come and leave (BG/NBD); without it there is no `churn` and no `value`.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub lifetime: Option<Lifetime>,
    /// What they spend at a time (Gamma-Gamma); without it a member's own average stands in for it.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub spending: Option<Spending>,
    /// Groups of members that are alike; without it there is no `group`.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub groups: Option<Grouping>,
}

impl Scales {
    /// Is nothing stated?
    pub fn is_empty(&self) -> bool {
        *self == Scales::default()
    }

    /// What is wrong with it, by the field's name; nothing if it can be used.
    pub fn check(&self) -> Option<(&'static str, String)> {
        let rhythm = self.rhythm.and_then(|rhythm| Some(("rhythm", rhythm.rules().check()?.to_owned())));
        let due = self.due.as_ref().and_then(|due| Some(("due", due.rules().check()?.to_owned())));
        rhythm.or(due).or_else(|| Some(("groups", self.groups.as_ref()?.wrong()?)))
    }
}

/// Where fifths part, each list rising: a value is in the bin of as many cuts as are at or below it (as R's `rfm` has it).
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Cuts {
    /// Of days since the last visit.
    pub recency_days: [i64; 4],
    /// Of visits within 52 weeks.
    pub visits: [i64; 4],
    /// Of spend within 52 weeks, in minor units.
    pub spend: [i64; 4],
}

/// Days without a visit, rising.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Stages {
    /// A member of a single visit is `new` for so many days after it.
    pub new_days: u16,
    /// Up to so many days after a visit a member is `active`.
    pub active_days: u16,
    /// Up to so many `cooling`, then `lapsed`.
    pub cooling_days: u16,
}

/// Stages by silence: days since the last visit over the days that usually pass between this member's visits. `lifecycle` is
/// then `new`, `active`, `loyal`, `cooling`, `lapsed` or `lost`.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Rhythm {
    /// A member is `new` up to so many days after the first visit, and
    pub new_days: u16,
    /// with at most so many visits.
    pub new_visits: u16,
    /// A member is `loyal` with so many visits or more.
    pub loyal_visits: u16,
    /// Silence above which a member is `cooling`, in usual intervals.
    pub cooling: Decimal,
    /// Likewise, `lapsed`.
    pub lapsed: Decimal,
    /// Likewise, `lost`.
    pub lost: Decimal,
    /// Days that usually pass between two visits in this shop, and
    pub usual_days: Decimal,
    /// the number of a member's own intervals that weigh as much.
    pub usual_weight: Decimal,
}

impl Rhythm {
    pub(super) fn rules(&self) -> StageRules {
        StageRules {
            new_days: self.new_days.into(),
            new_visits: self.new_visits.into(),
            loyal_visits: self.loyal_visits.into(),
            cooling_silence: self.cooling.get(),
            lapsed_silence: self.lapsed.get(),
            lost_silence: self.lost.get(),
            usual_days: self.usual_days.get(),
            usual_weight: self.usual_weight.get(),
        }
    }
}

/// When a category is due again.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Due {
    /// From this part of the usual interval on, and
    pub from: Decimal,
    /// up to so many intervals: beyond, it is bought elsewhere.
    pub until: Decimal,
    /// A member's own intervals that the shop's usual one weighs as much as.
    pub usual_weight: Decimal,
    /// Days that usually pass between two purchases, by category; of others only a member's own intervals tell.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub usual_days: BTreeMap<CategoryId, Decimal>,
}

impl Due {
    pub(super) fn rules(&self) -> DueRules {
        DueRules { usual_weight: self.usual_weight.get(), from: self.from.get(), until: self.until.get() }
    }
}

/// BG/NBD, in weeks (`value::bgnbd`).
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Lifetime {
    /// Shape of the rates of purchase.
    pub r: Decimal,
    /// Their scale, in weeks.
    pub alpha: Decimal,
    /// Of the chance to leave, for leaving.
    pub a: Decimal,
    /// Of the chance to leave, against it.
    pub b: Decimal,
}

impl Lifetime {
    pub(super) fn model(&self) -> BgNbd {
        BgNbd { r: self.r.get(), alpha: self.alpha.get(), a: self.a.get(), b: self.b.get() }
    }
}

/// Gamma-Gamma, in minor units (`value::spend`).
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Spending {
    /// Shape within a customer.
    pub p: Decimal,
    /// Shape between customers.
    pub q: Decimal,
    /// Scale between customers, in minor units.
    pub gamma: Decimal,
}

impl Spending {
    pub(super) fn model(&self) -> GammaGamma {
        GammaGamma { p: self.p.get(), q: self.q.get(), gamma: self.gamma.get() }
    }
}

/// Centres of groups; a member is of the nearest one's, counted from 0.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Grouping {
    /// What members are compared by.
    pub features: Vec<Feature>,
    /// By feature, the difference that counts as one.
    pub deviations: Vec<Decimal>,
    /// The centres, each with a number for every feature.
    pub centres: Vec<Vec<i64>>,
}

impl Grouping {
    fn wrong(&self) -> Option<String> {
        let width = self.features.len();
        if width == 0 || width > limits::GROUP_FEATURES_MAX {
            return Some(format!("{width} features, it needs 1 to {}", limits::GROUP_FEATURES_MAX));
        }
        if self.deviations.len() != width {
            return Some(format!("{} deviations for {width} features", self.deviations.len()));
        }
        if self.centres.is_empty() || self.centres.len() > limits::GROUPS_MAX {
            return Some(format!("{} centres, it needs 1 to {}", self.centres.len(), limits::GROUPS_MAX));
        }
        let odd = self.centres.iter().position(|centre| centre.len() != width)?;
        Some(format!("centre {odd} has {} numbers for {width} features", self.centres[odd].len()))
    }

    /// The nearest centre, the first of equally near ones; nothing where there is none.
    pub fn nearest(&self, at: &[i64]) -> Option<usize> {
        let far = |centre: &[i64]| -> f64 {
            let parts = centre.iter().zip(at).zip(&self.deviations);
            parts.map(|((centre, at), unit)| ((at - centre) as f64 / unit.get()).powi(2)).sum()
        };
        let centres = self.centres.iter().enumerate().map(|(nth, centre)| (far(centre), nth));
        centres.min_by(|a, b| a.0.total_cmp(&b.0)).map(|(_, nth)| nth)
    }
}

/// What members are compared by.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum Feature {
    /// Days since the last visit.
    DaysSinceLast,
    /// Visits within 13 weeks.
    #[serde(rename = "visits_13w")]
    Visits13w,
    /// Visits within 52 weeks.
    #[serde(rename = "visits_52w")]
    Visits52w,
    /// Spend within 13 weeks, in minor units.
    #[serde(rename = "spend_13w")]
    Spend13w,
    /// Spend within 52 weeks, in minor units.
    #[serde(rename = "spend_52w")]
    Spend52w,
    /// Mean basket of 52 weeks, in minor units.
    BasketAverage,
}

const MILLION: f64 = 1_000_000.0;

/// A fraction above 0, at most a billion, kept as millionths.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Decimal(u64);

impl Decimal {
    /// The nearest millionth; nothing of what is not above 0 or more than a billion.
    pub fn of(value: f64) -> Option<Decimal> {
        let millionths = (value * MILLION).round();
        (1.0..=1e15).contains(&millionths).then_some(Decimal(millionths as u64))
    }

    /// As a number.
    pub fn get(self) -> f64 {
        self.0 as f64 / MILLION
    }
}

impl fmt::Display for Decimal {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}", self.get())
    }
}

impl Serialize for Decimal {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.serialize_f64(self.get())
    }
}

impl<'de> Deserialize<'de> for Decimal {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Decimal, D::Error> {
        struct Number;
        impl Visitor<'_> for Number {
            type Value = Decimal;
            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("a number above 0, at most a billion")
            }
            fn visit_f64<E: serde::de::Error>(self, value: f64) -> Result<Decimal, E> {
                let wrong = || E::custom(format!("{value} is not above 0, or more than a billion"));
                Decimal::of(value).ok_or_else(wrong)
            }
            fn visit_i64<E: serde::de::Error>(self, value: i64) -> Result<Decimal, E> {
                self.visit_f64(value as f64)
            }
            fn visit_u64<E: serde::de::Error>(self, value: u64) -> Result<Decimal, E> {
                self.visit_f64(value as f64)
            }
        }
        deserializer.deserialize_any(Number)
    }
}

impl JsonSchema for Decimal {
    fn schema_name() -> Cow<'static, str> {
        "Decimal".into()
    }

    fn json_schema(_: &mut SchemaGenerator) -> Schema {
        json_schema!({ "type": "number", "exclusiveMinimum": 0, "maximum": 1_000_000_000 })
    }
}

/// A fraction of either sign, at most a million, kept as millionths.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord)]
pub struct Millionths(pub i64);

impl Millionths {
    /// As a number.
    pub fn get(self) -> f64 {
        self.0 as f64 / MILLION
    }
}

impl Serialize for Millionths {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.serialize_f64(self.get())
    }
}

impl<'de> Deserialize<'de> for Millionths {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Millionths, D::Error> {
        struct Number;
        impl Visitor<'_> for Number {
            type Value = Millionths;
            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("a number between a million below and above 0")
            }
            fn visit_f64<E: serde::de::Error>(self, value: f64) -> Result<Millionths, E> {
                let is_sound = value.is_finite() && value.abs() <= MILLION;
                let wrong = || E::custom(format!("{value} is no number, or farther than a million from 0"));
                is_sound.then(|| Millionths((value * MILLION).round() as i64)).ok_or_else(wrong)
            }
            fn visit_i64<E: serde::de::Error>(self, value: i64) -> Result<Millionths, E> {
                self.visit_f64(value as f64)
            }
            fn visit_u64<E: serde::de::Error>(self, value: u64) -> Result<Millionths, E> {
                self.visit_f64(value as f64)
            }
        }
        deserializer.deserialize_any(Number)
    }
}

impl JsonSchema for Millionths {
    fn schema_name() -> Cow<'static, str> {
        "Millionths".into()
    }

    fn json_schema(_: &mut SchemaGenerator) -> Schema {
        json_schema!({ "type": "number", "minimum": -1_000_000, "maximum": 1_000_000 })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn which_numbers_may_a_model_hold() {
        let read = |text: &str| toml::from_str::<Lifetime>(text).map_err(|error| error.message().to_owned());
        let good = "r = 0.243\nalpha = 4\na = 0.793\nb = 2.426";
        let model = read(good).expect("four numbers");
        assert_eq!((model.r.get(), model.alpha.get()), (0.243, 4.0));
        let again = toml::to_string(&model).expect("it is written");
        assert_eq!(read(&again), Ok(model));
        for bad in ["nan", "inf", "-inf", "0", "-1.5", "1e300", "0.0000001"] {
            let fault = read(&good.replace("0.243", bad)).expect_err(bad);
            assert!(fault.contains("above 0"), "{bad}: {fault}");
        }
        assert!(read("r = 1\nalpha = 1\na = 1").expect_err("one is missing").contains('b'));
    }

    #[test]
    fn which_groups_have_a_wrong_shape() {
        let one = Decimal::of(1.0).expect("above 0");
        let grouping = |features: usize, deviations: usize, centres: &[usize]| Grouping {
            features: vec![Feature::Visits13w; features],
            deviations: vec![one; deviations],
            centres: centres.iter().map(|width| vec![0; *width]).collect(),
        };
        for (grouping, words) in [
            (grouping(0, 0, &[0]), "0 features"),
            (grouping(2, 1, &[2]), "1 deviations for 2 features"),
            (grouping(2, 2, &[]), "0 centres"),
            (grouping(2, 2, &[2, 3]), "centre 1 has 3 numbers for 2 features"),
        ] {
            let scales = Scales { groups: Some(grouping), ..Scales::default() };
            let (field, fault) = scales.check().expect("it is wrong");
            assert!(field == "groups" && fault.contains(words), "{fault}");
        }
        assert_eq!(Scales { groups: Some(grouping(2, 2, &[2, 2])), ..Scales::default() }.check(), None);
    }
}
