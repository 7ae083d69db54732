//! Conditions, compiled, and the leaf of one that failed with the value it saw.
//!
//! A condition looks at all units of the sale, also those that earlier promotions used up; amounts are shelf prices or
//! what earlier promotions left, as its base says. A "line" is all units of one article at one price.

use crate::domain::ids::{DeviceId, Zone};
use crate::domain::money::Money;

use super::explain::Why;
use super::model::{Base, Channel, Condition};
use super::resolution::Sitting;
use super::sets::{Names, Set};
use super::units::State;

/// A `Condition`, compiled.
#[derive(Debug)]
pub(super) enum Cond {
    All(Vec<Cond>),
    Any(Vec<Cond>),
    Not(Box<Cond>),
    Items {
        set: Set,
        qty_min: Option<u32>,
        qty_max: Option<u32>,
        amount_min: Option<Money>,
        amount_max: Option<Money>,
        base: Base,
    },
    LineQty {
        set: Set,
        qty_min: u32,
    },
    AllIn(Set),
    Channel(Vec<Channel>),
    Device(Vec<DeviceId>),
    Zone(Vec<Zone>),
    Currency(String),
}

/// How many units of a set there are, and what they are worth.
pub(super) fn count(sitting: &Sitting<'_>, state: &State, set: &Set, base: Base) -> (u32, Money) {
    let (mut qty, mut amount) = (0, Money::ZERO);
    for runs in state.runs.chunk_by(|a, b| a.good == b.good) {
        let good = &sitting.goods[runs[0].good as usize];
        if set.holds(good) {
            for run in runs {
                qty += run.qty;
                amount += if base == Base::List { good.price } else { run.net }.times(run.qty);
            }
        }
    }
    (qty, amount)
}

impl Cond {
    /// Compiles a condition.
    pub(super) fn compile(condition: &Condition, names: &mut Names) -> Cond {
        match condition {
            Condition::All(all) => Cond::All(all.iter().map(|c| Cond::compile(c, names)).collect()),
            Condition::Any(any) => Cond::Any(any.iter().map(|c| Cond::compile(c, names)).collect()),
            Condition::Not(not) => Cond::Not(Box::new(Cond::compile(not, names))),
            Condition::Items(items) => Cond::Items {
                set: Set::compile(&items.items, names),
                qty_min: items.qty_min,
                qty_max: items.qty_max,
                amount_min: items.amount_min,
                amount_max: items.amount_max,
                base: items.base,
            },
            Condition::LineQty(line) => {
                Cond::LineQty { set: Set::compile(&line.items, names), qty_min: line.qty_min }
            }
            Condition::AllIn(set) => Cond::AllIn(Set::compile(set, names)),
            Condition::Channel(channels) => Cond::Channel(channels.clone()),
            Condition::Device(devices) => Cond::Device(devices.clone()),
            Condition::Zone(zones) => Cond::Zone(zones.clone()),
            Condition::Currency(code) => Cond::Currency(code.clone()),
        }
    }

    /// The leaf that fails, with what it saw; nothing if the condition holds.
    pub(super) fn failed<'a>(&'a self, sitting: &Sitting<'a>, state: &State) -> Option<Why<'a>> {
        let unless = |holds: bool, seen: i64| (!holds).then_some(Why::Condition { leaf: self, seen });
        match self {
            Cond::All(all) => all.iter().find_map(|c| c.failed(sitting, state)),
            Cond::Any(any) => {
                let mut first = None;
                for condition in any {
                    let failed = condition.failed(sitting, state)?;
                    first.get_or_insert(failed);
                }
                Some(first.unwrap_or(Why::Condition { leaf: self, seen: 0 }))
            }
            Cond::Not(not) => unless(not.failed(sitting, state).is_some(), 0),
            Cond::Items { set, qty_min, qty_max, amount_min, amount_max, base } => {
                let (qty, amount) = count(sitting, state, set, *base);
                if let Some(need) = qty_min.filter(|need| qty < *need) {
                    return Some(Why::Units { seen: qty, need, set });
                }
                if let Some(need) = amount_min.filter(|need| amount < *need) {
                    return Some(Why::Spent { seen: amount, need, set });
                }
                if let Some(most) = qty_max.filter(|most| qty > *most) {
                    return Some(Why::TooManyUnits { seen: qty, most });
                }
                let most = amount_max.filter(|most| amount > *most)?;
                Some(Why::TooMuchSpent { seen: amount, most })
            }
            Cond::LineQty { set, qty_min } => {
                let goods = sitting.goods.iter().filter(|good| set.holds(good));
                let most = goods.map(|good| good.qty).max().unwrap_or(0);
                unless(most >= *qty_min, i64::from(most))
            }
            Cond::AllIn(set) => {
                let others = sitting.goods.iter().filter(|good| !set.holds(good)).map(|good| good.qty);
                let others: u32 = others.sum();
                unless(others == 0, i64::from(others))
            }
            Cond::Channel(channels) => unless(channels.contains(&sitting.sale.channel), 0),
            Cond::Device(devices) => unless(devices.contains(sitting.sale.device), 0),
            Cond::Zone(zones) => {
                unless(sitting.sale.basket.zone.as_ref().is_some_and(|zone| zones.contains(zone)), 0)
            }
            Cond::Currency(code) => unless(*code == sitting.book.currency.code, 0),
        }
    }
}
