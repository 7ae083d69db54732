//! In which ways a promotion that uses units up could be applied: every group of units that makes one application, with
//! exactly what that application takes off.
//!
//! Only promotions whose applications are worth the same whatever else is applied have columns: each unit receives its
//! own discount, or each complete group of a fixed size does. What others make (a percentage rounded over a line, a cap
//! per line, a threshold in money) is one thing that is applied or not, and is judged by pricing it.

use crate::domain::money::{Money, Percent};
use crate::limits;

use super::super::benefits::{Give, Take, Turn, units_of};
use super::super::model::{Benefit, BuyXGetY, Per, Pick, Reward, RoundAt, SetReward, SetSize, UnitSort};
use super::packing::{Owner, Packing};

/// A group: its units by good, payers and receivers.
struct Groups {
    size: u32,
    /// Which of the group's units receive, the dearest being number 0.
    receive: std::ops::Range<u32>,
    /// Are groups made of one article only?
    same_sku: bool,
}

/// Adds a promotion's columns for its units `takes` of an untouched basket. Goods are resources by number. Nothing is
/// added, and said so, for a promotion that has none or too many.
pub(super) fn add(packing: &mut Packing, turn: &Turn<'_, '_>, takes: &[Take], group: Option<u32>) -> bool {
    let promotion = &turn.rule.promotion;
    let caps = &promotion.caps;
    let bounded = turn.units_max().is_some() || caps.units_per_line.is_some();
    let trades_rules = bounded && (promotion.qualifier.qty_min.is_some() || caps.pick != UnitSort::Dearest);
    if caps.per_line.is_some() || promotion.qualifier.amount_min.is_some() || trades_rules {
        return false;
    }
    let owner = packing.owners.len() as u32;
    let rule = Owner {
        group,
        cap: caps.per_order.map_or(i64::MAX, |cap| cap.0),
        limit: match turn.allowance.money_left() {
            limit if caps.per_order.is_some_and(|cap| cap.0 <= limit) => i64::MAX,
            limit => limit,
        },
        least: promotion.qualifier.qty_min.unwrap_or(0),
    };
    let mut making = Making { first: packing.columns.len(), packing, owner, capacity: Vec::new() };
    let made = match &promotion.benefit {
        Benefit::LinePercent(percent) => making.singles(turn, takes, Give::Percent(*percent)),
        Benefit::LineAmount(amount) if amount.per == Per::Unit => {
            making.singles(turn, takes, Give::Amount(amount.amount))
        }
        Benefit::LineFixedPrice(price) => making.singles(turn, takes, Give::Price(*price)),
        Benefit::MemberPrice => making.singles(turn, takes, Give::MemberPrice),
        Benefit::NthItem(nth)
            if (nth.sort, nth.pick, nth.nth, nth.across)
                == (UnitSort::Dearest, UnitSort::Cheapest, 1, false) =>
        {
            let groups = Groups { size: nth.n, receive: nth.n - 1..nth.n, same_sku: nth.same_sku };
            making.groups(turn, takes, &groups, nth.reward)
        }
        Benefit::Sets(sets) => match sets.sizes.as_slice() {
            [size] => making.sets(turn, takes, *size, sets.same_sku),
            // Of several sizes the largest goes first, whatever was meant for the others.
            _ => false,
        },
        Benefit::BuyXGetY(buy) => making.buy_and_get(turn, takes, buy),
        _ => false,
    };
    let first = making.first;
    if made {
        packing.owners.push(rule);
    } else {
        packing.forget(first);
    }
    made
}

struct Making<'p> {
    packing: &'p mut Packing,
    owner: u32,
    first: usize,
    /// What one application takes of what the promotion may give only so often.
    capacity: Vec<(u32, u32)>,
}

/// Is such a reward of a unit the same whichever units receive with it?
fn on_its_own(give: Give, round_at: RoundAt) -> bool {
    round_at == RoundAt::Unit || !matches!(give, Give::Percent(percent) if percent != Percent::FULL)
}

impl Making<'_> {
    fn resource(&mut self, stock: u32) -> u32 {
        self.packing.stock.push(stock);
        self.packing.weight.push(0);
        self.packing.stock.len() as u32 - 1
    }

    /// Off each unit of these, or nothing if that depends on the others.
    fn off(&self, turn: &Turn<'_, '_>, takes: &[Take], give: Give) -> Option<Vec<i64>> {
        let round_at = turn.sitting.book.arithmetic.round_at;
        if !on_its_own(give, round_at) {
            return None;
        }
        let each: Vec<Take> = takes.iter().map(|take| Take { qty: 1, ..*take }).collect();
        let marks = turn.give(&each, give, RoundAt::Unit);
        Some(marks.iter().map(|mark| mark.amount.0).collect())
    }

    fn singles(&mut self, turn: &Turn<'_, '_>, takes: &[Take], give: Give) -> bool {
        let Some(off) = self.off(turn, takes, give) else { return false };
        if let Some(most) = turn.units_max() {
            let resource = self.resource(most);
            self.capacity.push((resource, 1));
        }
        let per_line = turn.rule.promotion.caps.units_per_line;
        for (take, off) in takes.iter().zip(off) {
            let mut uses = vec![(take.good, 1)];
            uses.extend(per_line.map(|most| (self.resource(most), 1)));
            uses.extend(&self.capacity);
            if off > 0 || turn.rule.promotion.qualifier.qty_min.is_some() {
                self.packing.add(self.owner, off, &uses);
            }
        }
        self.few()
    }

    fn few(&self) -> bool {
        let made = self.packing.columns.len();
        made - self.first <= limits::BEST_COLUMNS_OF_ONE_MAX && made <= limits::BEST_COLUMNS_MAX
    }

    fn buy_and_get(&mut self, turn: &Turn<'_, '_>, takes: &[Take], buy: &BuyXGetY) -> bool {
        // Sorted anew, groups whose dearest receive are other groups.
        if buy.partial || (turn.rule.get.is_none() && buy.pick == Pick::Dearest) {
            return false;
        }
        let Some(get) = &turn.rule.get else {
            let receive = buy.buy..buy.buy + buy.get;
            let groups = Groups { size: buy.buy + buy.get, receive, same_sku: false };
            return self.groups(turn, takes, &groups, buy.reward);
        };
        let Ok(others) = units_of(turn.sitting, turn.state, turn.rule, get) else { return false };
        if others.iter().any(|other| takes.iter().any(|take| take.good == other.good)) {
            return false;
        }
        let Some(off) = self.off(turn, &others, Give::from(buy.reward)) else { return false };
        self.bounded(turn, buy.get);
        let mut payers = Vec::new();
        let mut all = true;
        multisets(takes, buy.buy, &mut |units| {
            payers.push(units.to_vec());
            payers.len() <= limits::BEST_COLUMNS_OF_ONE_MAX
        });
        multisets(&others, buy.get, &mut |units| {
            let value: i64 = units.iter().map(|(at, n)| off[*at] * i64::from(*n)).sum();
            let receivers: Vec<(u32, u32)> = units.iter().map(|(at, n)| (others[*at].good, *n)).collect();
            for payers in &payers {
                let mut uses: Vec<(u32, u32)> = payers.iter().map(|(at, n)| (takes[*at].good, *n)).collect();
                uses.extend(&receivers);
                uses.extend(&self.capacity);
                if value > 0 {
                    self.packing.add(self.owner, value, &uses);
                }
            }
            all = self.few();
            all
        });
        all && payers.len() <= limits::BEST_COLUMNS_OF_ONE_MAX
    }

    /// How many applications, and how many units that receive.
    fn bounded(&mut self, turn: &Turn<'_, '_>, get: u32) {
        if turn.times_max() < u32::MAX {
            let resource = self.resource(turn.times_max());
            self.capacity.push((resource, 1));
        }
        if let Some(units) = turn.units_max() {
            let resource = self.resource(units);
            self.capacity.push((resource, get));
        }
    }

    fn groups(&mut self, turn: &Turn<'_, '_>, takes: &[Take], groups: &Groups, reward: Reward) -> bool {
        let Some(off) = self.off(turn, takes, Give::from(reward)) else { return false };
        self.bounded(turn, groups.receive.end - groups.receive.start);
        self.pools(turn, takes, groups.size, groups.same_sku, &mut |pool, group| {
            let (mut value, mut place) = (0, 0);
            for (at, n) in group {
                let received = (place..place + n).filter(|place| groups.receive.contains(place)).count();
                value += off[pool[*at]] * received as i64;
                place += n;
            }
            value
        })
    }

    fn sets(&mut self, turn: &Turn<'_, '_>, takes: &[Take], size: SetSize, same_sku: bool) -> bool {
        // What a whole set gets is bounded by what its units may get at most.
        let each = match size.give {
            SetReward::Price(_) | SetReward::Amount(_) => Give::Price(Money::ZERO),
            SetReward::UnitPrice(price) => Give::Price(price),
            SetReward::UnitAmount(amount) => Give::Amount(amount),
            SetReward::Percent(percent) => Give::Percent(percent),
        };
        let Some(off) = self.off(turn, takes, each) else { return false };
        self.bounded(turn, size.units);
        self.pools(turn, takes, size.units, same_sku, &mut |pool, group| {
            let sum =
                |of: &dyn Fn(usize) -> i64| group.iter().map(|(at, n)| of(pool[*at]) * i64::from(*n)).sum();
            let (worth, most): (i64, i64) = (sum(&|at| takes[at].net.0), sum(&|at| off[at]));
            match size.give {
                SetReward::Price(price) => (worth - price.0).min(most),
                SetReward::Amount(amount) => amount.0.min(most),
                SetReward::UnitPrice(_) | SetReward::UnitAmount(_) | SetReward::Percent(_) => most,
            }
        })
    }

    /// A column for each group of units, worth what `worth` says: of all units together, or article by article. Units
    /// stand dearest first.
    fn pools(
        &mut self,
        turn: &Turn<'_, '_>,
        takes: &[Take],
        size: u32,
        same_sku: bool,
        worth: &mut dyn FnMut(&[usize], Group<'_>) -> i64,
    ) -> bool {
        let sku = |take: &Take| turn.sitting.goods[take.good as usize].sku;
        let mut order: Vec<usize> = (0..takes.len()).collect();
        order.sort_by_key(|at| std::cmp::Reverse(takes[*at].net));
        if same_sku {
            order.sort_by(|a, b| sku(&takes[*a]).cmp(sku(&takes[*b])));
        }
        let same = |a: &usize, b: &usize| !same_sku || sku(&takes[*a]) == sku(&takes[*b]);
        let mut all = true;
        for pool in order.chunk_by(same) {
            let units: Vec<Take> = pool.iter().map(|at| takes[*at]).collect();
            multisets(&units, size, &mut |group| {
                let value = worth(pool, group);
                if value > 0 {
                    let mut uses: Vec<(u32, u32)> =
                        group.iter().map(|(at, n)| (units[*at].good, *n)).collect();
                    uses.extend(&self.capacity);
                    self.packing.add(self.owner, value, &uses);
                }
                all = self.few();
                all
            });
        }
        all
    }
}

/// Units of one group: (place, units), places rising.
type Group<'g> = &'g [(usize, u32)];

/// Every choice of `size` units out of these, until `told` has enough.
fn multisets(takes: &[Take], size: u32, told: &mut dyn FnMut(Group<'_>) -> bool) {
    fn from(
        takes: &[Take],
        at: usize,
        size: u32,
        chosen: &mut Vec<(usize, u32)>,
        told: &mut dyn FnMut(Group<'_>) -> bool,
    ) -> bool {
        if size == 0 {
            return told(chosen);
        }
        let mut rest: u64 = takes[at..].iter().map(|take| u64::from(take.qty)).sum();
        for next in at..takes.len() {
            if rest < u64::from(size) {
                break;
            }
            rest -= u64::from(takes[next].qty);
            for units in (1..=size.min(takes[next].qty)).rev() {
                chosen.push((next, units));
                let more = from(takes, next + 1, size - units, chosen, told);
                chosen.pop();
                if !more {
                    return false;
                }
            }
        }
        true
    }
    if takes.iter().map(|take| u64::from(take.qty)).sum::<u64>() >= u64::from(size) {
        from(takes, 0, size, &mut Vec::new(), told);
    }
}
