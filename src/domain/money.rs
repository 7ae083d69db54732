//! Money, percentages and the one place where either is rounded.
//!
//! `Money` is an integer count of the currency's minor units (fen for CNY); it is never a float and never
//! changes currency. `Percent` is an integer count of parts per million, so 12.5 % is 125,000 and 33.3333 % is
//! exact to the ppm. A product of the two is formed in `i128` and rounded once, by a `Rounding` that the bundle
//! states. `allocate` splits an amount over weights so that the parts always sum to the whole.

use std::fmt;
use std::iter::Sum;
use std::ops::{Add, AddAssign, Neg, Sub, SubAssign};

use schemars::JsonSchema;
use serde::{Deserialize, Deserializer, Serialize, Serializer};

/// An amount in minor units of the shop's currency. Bounded at the door, so sums of a basket cannot overflow;
/// the release profile keeps overflow checks on all the same.
#[derive(
    Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize, JsonSchema,
)]
#[serde(transparent)]
pub struct Money(pub i64);

impl Money {
    /// Nothing.
    pub const ZERO: Money = Money(0);

    /// The amount times a count of units.
    pub fn times(self, count: u32) -> Money {
        Money(self.0 * i64::from(count))
    }

    /// The smaller of two amounts.
    pub fn min(self, other: Money) -> Money {
        Money(self.0.min(other.0))
    }

    /// The larger of two amounts.
    pub fn max(self, other: Money) -> Money {
        Money(self.0.max(other.0))
    }

    /// Is this more than nothing?
    pub fn is_positive(self) -> bool {
        self.0 > 0
    }

    /// `self * numerator / denominator`, rounded once. `denominator` must be positive.
    pub fn ratio(self, numerator: i64, denominator: i64, rounding: Rounding) -> Money {
        Money(rounding.divide(i128::from(self.0) * i128::from(numerator), i128::from(denominator)))
    }
}

impl Add for Money {
    type Output = Money;
    fn add(self, other: Money) -> Money {
        Money(self.0 + other.0)
    }
}

impl Sub for Money {
    type Output = Money;
    fn sub(self, other: Money) -> Money {
        Money(self.0 - other.0)
    }
}

impl Neg for Money {
    type Output = Money;
    fn neg(self) -> Money {
        Money(-self.0)
    }
}

impl AddAssign for Money {
    fn add_assign(&mut self, other: Money) {
        self.0 += other.0;
    }
}

impl SubAssign for Money {
    fn sub_assign(&mut self, other: Money) {
        self.0 -= other.0;
    }
}

impl Sum for Money {
    fn sum<I: Iterator<Item = Money>>(amounts: I) -> Money {
        amounts.fold(Money::ZERO, Add::add)
    }
}

/// Which way a half goes. Stated once by the bundle.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum Rounding {
    /// 0.5 becomes 1 (away from zero).
    #[default]
    HalfUp,
    /// 0.5 becomes 0 (towards zero).
    HalfDown,
    /// 0.5 goes to the even neighbour.
    HalfEven,
}

impl Rounding {
    /// `numerator / denominator` to the nearest integer; `denominator` must be positive. Symmetric about zero.
    pub fn divide(self, numerator: i128, denominator: i128) -> i64 {
        assert!(denominator > 0, "a rounding division needs a positive denominator");
        let (whole, rest) = (numerator.abs() / denominator, numerator.abs() % denominator);
        let up = match (2 * rest).cmp(&denominator) {
            std::cmp::Ordering::Less => false,
            std::cmp::Ordering::Greater => true,
            std::cmp::Ordering::Equal => match self {
                Rounding::HalfUp => true,
                Rounding::HalfDown => false,
                Rounding::HalfEven => whole % 2 == 1,
            },
        };
        let magnitude =
            i64::try_from(whole + i128::from(up)).expect("amounts are bounded by limits at the door");
        if numerator < 0 { -magnitude } else { magnitude }
    }
}

/// Parts per million of an amount taken off it. At most 100 %.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord)]
pub struct Percent(u32);

/// A percentage as text was not one. Fits after "failed to read a percentage:".
#[derive(Debug, PartialEq, Eq)]
pub struct NotAPercent;

impl fmt::Display for NotAPercent {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(
            f,
            "a percentage is a whole number 0 to 100, or text such as \"12.5%\" (at most 4 decimals), or \"8.5折\" (pay 85 %)"
        )
    }
}

impl Percent {
    /// Everything off.
    pub const FULL: Percent = Percent(1_000_000);

    /// From parts per million; at most 1,000,000.
    pub fn from_ppm(ppm: u32) -> Result<Percent, NotAPercent> {
        if ppm <= 1_000_000 { Ok(Percent(ppm)) } else { Err(NotAPercent) }
    }

    /// Parts per million, 0 to 1,000,000.
    pub fn ppm(self) -> u32 {
        self.0
    }

    /// This share of an amount, rounded once.
    pub fn of(self, amount: Money, rounding: Rounding) -> Money {
        amount.ratio(i64::from(self.0), 1_000_000, rounding)
    }

    /// Reads "15", "12.5", "12.5%" (taken off) or "8.5折" (tenths that remain to pay).
    pub fn parse(text: &str) -> Result<Percent, NotAPercent> {
        let text = text.trim();
        if let Some(tenths) = text.strip_suffix('折') {
            let paid = decimal_to_ppm(tenths.trim(), 100_000)?;
            return Percent::from_ppm(1_000_000_u32.checked_sub(paid).ok_or(NotAPercent)?);
        }
        Percent::from_ppm(decimal_to_ppm(text.strip_suffix('%').unwrap_or(text).trim(), 10_000)?)
    }
}

/// A decimal such as "12.5" times `unit`, exactly; more decimals than `unit` has zeros is an error.
fn decimal_to_ppm(text: &str, unit: u32) -> Result<u32, NotAPercent> {
    let (whole, fraction) = text.split_once('.').unwrap_or((text, ""));
    let digits = |s: &str| s.bytes().all(|b| b.is_ascii_digit());
    if whole.is_empty() || whole.len() > 3 || !digits(whole) || !digits(fraction) {
        return Err(NotAPercent);
    }
    let mut ppm = whole.parse::<u32>().map_err(|_| NotAPercent)?.checked_mul(unit).ok_or(NotAPercent)?;
    let mut place = unit;
    for digit in fraction.bytes() {
        if !place.is_multiple_of(10) {
            return Err(NotAPercent);
        }
        place /= 10;
        ppm += u32::from(digit - b'0') * place;
    }
    Ok(ppm)
}

impl fmt::Display for Percent {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let (whole, rest) = (self.0 / 10_000, self.0 % 10_000);
        if rest == 0 {
            write!(f, "{whole}%")
        } else {
            write!(f, "{whole}.{}%", format!("{rest:04}").trim_end_matches('0'))
        }
    }
}

impl Serialize for Percent {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(self)
    }
}

impl<'de> Deserialize<'de> for Percent {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct Visitor;
        impl serde::de::Visitor<'_> for Visitor {
            type Value = Percent;
            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                fmt::Display::fmt(&NotAPercent, f)
            }
            fn visit_i64<E: serde::de::Error>(self, percent: i64) -> Result<Percent, E> {
                self.visit_u64(u64::try_from(percent).map_err(|_| E::custom(NotAPercent))?)
            }
            fn visit_u64<E: serde::de::Error>(self, percent: u64) -> Result<Percent, E> {
                let percent = u32::try_from(percent)
                    .ok()
                    .filter(|p| *p <= 100)
                    .ok_or_else(|| E::custom(NotAPercent))?;
                Ok(Percent(percent * 10_000))
            }
            fn visit_str<E: serde::de::Error>(self, text: &str) -> Result<Percent, E> {
                Percent::parse(text).map_err(E::custom)
            }
        }
        deserializer.deserialize_any(Visitor)
    }
}

impl JsonSchema for Percent {
    fn schema_name() -> std::borrow::Cow<'static, str> {
        "Percent".into()
    }
    fn json_schema(_: &mut schemars::SchemaGenerator) -> schemars::Schema {
        schemars::json_schema!({
            "description": "taken off: a whole number 0 to 100, or text such as \"12.5%\", or \"8.5折\" (pay 85 %)",
            "anyOf": [
                { "type": "integer", "minimum": 0, "maximum": 100 },
                { "type": "string", "pattern": "^[0-9]{1,3}(\\.[0-9]{1,4})?\\s*(%|折)?$" }
            ]
        })
    }
}

/// The shop's currency: an ISO 4217 code and how many decimals its minor unit has.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Currency {
    /// ISO 4217 code, for example `CNY`.
    #[schemars(regex(pattern = r"^[A-Z]{3}$"))]
    pub code: String,
    /// Decimals of the minor unit: 2 for CNY, 0 for JPY.
    #[serde(default = "two")]
    pub minor_units: u8,
}

fn two() -> u8 {
    2
}

impl Currency {
    /// The amount as people write it, for example `12.50`.
    pub fn format(&self, amount: Money) -> String {
        let scale = 10_u64.pow(u32::from(self.minor_units));
        let sign = if amount.0 < 0 { "-" } else { "" };
        let magnitude = amount.0.unsigned_abs();
        match self.minor_units {
            0 => format!("{sign}{magnitude}"),
            n => format!("{sign}{}.{:0width$}", magnitude / scale, magnitude % scale, width = usize::from(n)),
        }
    }
}

/// How the cents are given out that a proportional split leaves over. Stated once by the bundle.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum Leftover {
    /// One each to the parts with the largest remainder (ties: the earlier part).
    #[default]
    LargestRemainder,
    /// One each from the first part on.
    First,
    /// Shares are rounded, a half towards zero; what is then missing or too much is given to or taken from the parts,
    /// one each, from the first on.
    RoundThenFirst,
}

/// Splits `amount` (not negative) over `weights` in proportion. The parts always sum to `amount`; with all weights
/// zero the split is by equal weights; with no weights there are no parts.
pub fn allocate(amount: Money, weights: &[i64], leftover: Leftover) -> Vec<Money> {
    assert!(amount.0 >= 0, "only amounts that are not negative are allocated");
    let total: i128 = weights.iter().map(|w| i128::from(*w)).sum();
    let weight = |w: i64| if total == 0 { 1 } else { i128::from(w) };
    let total = if total == 0 { weights.len() as i128 } else { total };
    let mut remainders = Vec::with_capacity(weights.len());
    let mut parts: Vec<Money> = Vec::with_capacity(weights.len());
    for (index, w) in weights.iter().enumerate() {
        let exact = i128::from(amount.0) * weight(*w);
        parts.push(Money(i64::try_from(exact / total).expect("a part is not larger than the whole")));
        remainders.push((exact % total, index));
    }
    let mut left = amount - parts.iter().copied().sum();
    if leftover == Leftover::LargestRemainder {
        remainders.sort_by(|a, b| b.0.cmp(&a.0).then(a.1.cmp(&b.1)));
    }
    for (remainder, index) in remainders {
        if left == Money::ZERO {
            break;
        }
        if leftover == Leftover::First
            && weights[index] == 0
            && remainder == 0
            && total != weights.len() as i128
        {
            continue;
        }
        parts[index] += Money(1);
        left -= Money(1);
    }
    parts
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn which_way_does_a_half_go() {
        let halves = |r: Rounding| [r.divide(5, 2), r.divide(7, 2), r.divide(-5, 2)];
        assert_eq!(halves(Rounding::HalfUp), [3, 4, -3]);
        assert_eq!(halves(Rounding::HalfDown), [2, 3, -2]);
        assert_eq!(halves(Rounding::HalfEven), [2, 4, -2]);
    }

    #[test]
    fn how_may_a_percentage_be_written() {
        for (text, ppm) in
            [("15", 150_000), ("12.5%", 125_000), ("8.5折", 150_000), ("9折", 100_000), ("33.3333%", 333_333)]
        {
            assert_eq!(Percent::parse(text).map(Percent::ppm), Ok(ppm), "{text}");
        }
        for text in ["", "-1", "101", "1.23456", "11折", "x", "1e2", "."] {
            assert_eq!(Percent::parse(text), Err(NotAPercent), "{text}");
        }
        assert_eq!(Percent::parse("12.5%").map(|p| p.to_string()), Ok("12.5%".to_owned()));
    }

    #[test]
    fn how_do_people_write_an_amount() {
        let yuan = Currency { code: "CNY".into(), minor_units: 2 };
        assert_eq!([yuan.format(Money(1250)), yuan.format(Money(-5))], ["12.50", "-0.05"]);
        assert_eq!(Currency { code: "JPY".into(), minor_units: 0 }.format(Money(7)), "7");
    }

    proptest! {
        #[test]
        fn do_the_parts_sum_to_the_whole(amount in 0_i64..10_000_000, weights in prop::collection::vec(0_i64..100_000, 1..40), first: bool) {
            let leftover = if first { Leftover::First } else { Leftover::LargestRemainder };
            let parts = allocate(Money(amount), &weights, leftover);
            prop_assert_eq!(parts.iter().copied().sum::<Money>(), Money(amount));
            let total: i64 = weights.iter().sum();
            for (part, weight) in parts.iter().zip(&weights) {
                if total > 0 {
                    let exact = i128::from(amount) * i128::from(*weight);
                    prop_assert!((i128::from(part.0) * i128::from(total) - exact).abs() <= i128::from(total));
                }
            }
        }
    }
}
