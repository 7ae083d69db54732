//! What the order phase could wish of the units: to be dearer, so that a threshold is reached.
//!
//! Promotions that look at the whole basket see of the units only what is left to pay of them. What they take off is
//! then a sum of steps and shares of that one amount, and so is what they would take off more if the units got less
//! off. A wish is a loss of the units for which that is more than the loss.

use crate::domain::money::{Money, Rounding};
use crate::limits;

use super::super::conditions::Cond;
use super::super::model::{Base, Benefit, Caps, Qualifier, Reward, RoundAt};
use super::super::resolution::{Candidate, Sitting};

/// A promotion of the order phase as a function of what is left to pay: its steps in rising order, each with what it
/// takes off from then on: an amount, and a share in parts per million of all that is left.
#[derive(Clone, Debug)]
pub(super) struct Curve {
    pub(super) group: Option<u32>,
    steps: Vec<(i64, i64, i64)>,
    /// May it be applied fewer times than it could?
    repeats: bool,
}

/// What a combination could still win.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Wish {
    /// The units must lose this much of what they got off at least, and at most that much.
    pub(super) least: i64,
    pub(super) most: i64,
    /// Nothing wins more.
    pub(super) gain: i64,
}

impl Curve {
    /// Nothing if the promotion looks at more than what is left of the whole basket.
    pub(super) fn of(
        sitting: &Sitting<'_>,
        candidate: &Candidate<'_>,
        group: Option<u32>,
        whole: Money,
    ) -> Option<Curve> {
        let promotion = &candidate.rule.promotion;
        let (set, caps) = (&candidate.rule.set, &promotion.caps);
        let every_good = sitting.goods.iter().all(|good| set.holds(good));
        let uncapped = Caps { applications: None, per_order: None, ..caps.clone() } == Caps::default();
        let plain = Qualifier { items: promotion.qualifier.items.clone(), ..Qualifier::default() };
        let by_line = sitting.book.arithmetic.round_at == RoundAt::Line;
        if !every_good
            || !uncapped
            || promotion.qualifier != plain
            || by_line
            || !steady(&candidate.rule.condition)
        {
            return None;
        }
        let base = promotion.stacking.base.unwrap_or(sitting.book.arithmetic.percent_base);
        let times = i64::from(caps.applications.unwrap_or(u32::MAX));
        let step = |from: i64, save: Reward| match save {
            Reward::Amount(amount) => (from, amount.0, 0),
            Reward::Percent(percent) => (from, 0, i64::from(percent.ppm())),
            Reward::Price(price) => (from.max(price.0), -price.0, 1_000_000),
        };
        let mut steps = match &promotion.benefit {
            Benefit::OrderPercent(percent) => vec![(0, 0, i64::from(percent.ppm()))],
            Benefit::OrderAmount(amount) => vec![(0, amount.0, 0)],
            Benefit::OrderFixedPrice(price) => vec![step(0, Reward::Price(*price))],
            Benefit::SpendAndSave(save) if save.base == Base::Running => match &save.every {
                Some(every) => {
                    let most = (whole.0 / every.spend.0).min(times);
                    if most > limits::BEST_CURVE_STEPS_MAX {
                        return None;
                    }
                    (1..=most).map(|n| (n * every.spend.0, n * every.save.0, 0)).collect()
                }
                None => save.tiers.iter().map(|tier| step(tier.spend.0, tier.save)).collect(),
            },
            _ => return None,
        };
        // A share of what was to pay before is none of what is left.
        if base == Base::List && steps.iter().any(|(.., share)| (1..1_000_000).contains(share)) {
            return None;
        }
        if let Some(cap) = caps.per_order {
            if steps.iter().any(|(.., share)| *share > 0) {
                return None;
            }
            steps.iter_mut().for_each(|step| step.1 = step.1.min(cap.0));
        }
        let repeats = matches!(&promotion.benefit, Benefit::SpendAndSave(save) if save.every.is_some());
        Some(Curve { group, steps, repeats })
    }

    /// What it takes off where exactly so much is left, and by how many steps.
    fn exactly(&self, left: i64, rounding: Rounding) -> (i64, usize) {
        let reached = self.steps.iter().take_while(|(from, ..)| *from <= left).count();
        let Some(at) = reached.checked_sub(1) else { return (0, 0) };
        let (_, amount, share) = self.steps[at];
        let share = if share > 0 { Money(left).ratio(share, 1_000_000, rounding).0 } else { 0 };
        ((amount + share).clamp(0, left), reached)
    }

    /// What it takes off at most where so much is left, and by how many steps.
    fn off(&self, left: i64) -> (i64, usize) {
        let reached = self.steps.iter().take_while(|(from, ..)| *from <= left).count();
        let Some(at) = reached.checked_sub(1) else { return (0, 0) };
        let (_, amount, share) = self.steps[at];
        ((amount + share_of(left, share)).clamp(0, left), reached)
    }
}

/// A share in parts per million, rounded up: it bounds.
fn share_of(amount: i64, ppm: i64) -> i64 {
    let share = (i128::from(amount.max(0)) * i128::from(ppm) + 999_999) / 1_000_000;
    i64::try_from(share).unwrap_or(i64::MAX)
}

/// Does the condition not depend on what earlier promotions left?
fn steady(condition: &Cond) -> bool {
    match condition {
        Cond::All(all) | Cond::Any(all) => all.iter().all(steady),
        Cond::Not(not) => steady(not),
        Cond::Items { amount_min, amount_max, base, .. } => {
            *base == Base::List || (amount_min.is_none() && amount_max.is_none())
        }
        Cond::LineQty { .. }
        | Cond::AllIn(_)
        | Cond::Channel(_)
        | Cond::Device(_)
        | Cond::Zone(_)
        | Cond::Currency(_) => true,
    }
}

/// What the order phase wishes where `left` is to pay for the units and the best known combination takes `known` off on
/// the order; nothing if units as they are are best. `Err` if there is too much to look at.
pub(super) fn wish(curves: &[Curve], left: i64, known: i64) -> Result<Option<Wish>, TooMuch> {
    let mut search = Search { curves, known, looked: 0, wish: None };
    search.from(0, Course { left, surely: left, ..Course::default() })?;
    Ok(search.wish)
}

/// The best of the order phase for an amount.
#[derive(Clone, Debug, Default)]
pub(super) struct Most {
    pub(super) off: i64,
    /// By curve that is chosen: its number, what it takes off, and how often it applies. None without need.
    pub(super) offs: Vec<(usize, i64, u32)>,
}

/// What the order phase takes off at most where exactly `left` is to pay for the units, of which none has a floor.
/// Counts what it looks at, and has `TooMuch` once that is more than `looks`.
pub(super) fn most(
    curves: &[Curve],
    left: i64,
    rounding: Rounding,
    looks: &mut u32,
) -> Result<Most, TooMuch> {
    let mut counting = Counting { curves, rounding, looks, chosen: Vec::new(), most: Most::default() };
    counting.from(0, left, 0, 0)?;
    Ok(counting.most)
}

struct Counting<'c> {
    curves: &'c [Curve],
    rounding: Rounding,
    looks: &'c mut u32,
    chosen: Vec<(usize, i64, u32)>,
    most: Most,
}

impl Counting<'_> {
    fn from(&mut self, at: usize, left: i64, groups: u64, off: i64) -> Result<(), TooMuch> {
        let Some(curve) = self.curves.get(at) else {
            if off > self.most.off {
                self.most.off = off;
                self.most.offs.clone_from(&self.chosen);
            }
            return Ok(());
        };
        *self.looks = self.looks.checked_sub(1).ok_or(TooMuch)?;
        let own = match curve.group {
            Some(group) => 1_u64.checked_shl(group).ok_or(TooMuch)?,
            None => 0,
        };
        self.from(at + 1, left, groups, off)?;
        if groups & own != 0 {
            return Ok(());
        }
        let (most, reached) = curve.exactly(left, self.rounding);
        // Fewer applications leave more for what comes later.
        let fewer = if curve.repeats && at + 1 < self.curves.len() { reached.saturating_sub(1) } else { 0 };
        for times in (1..=fewer).chain([reached]) {
            let own_off = if times == reached { most } else { curve.steps[times - 1].1 };
            if own_off > 0 {
                let applied = if curve.repeats { times as u32 } else { 1 };
                self.chosen.push((at, own_off, applied));
                self.from(at + 1, left - own_off, groups | own, off + own_off)?;
                self.chosen.pop();
            }
        }
        Ok(())
    }
}

/// More combinations or steps than are looked at.
#[derive(Clone, Copy, Debug)]
pub(super) struct TooMuch;

struct Search<'c> {
    curves: &'c [Curve],
    known: i64,
    looked: usize,
    wish: Option<Wish>,
}

#[derive(Clone, Default)]
struct Course {
    /// What is left at most, and at least: a share may be rounded either way.
    left: i64,
    surely: i64,
    off: i64,
    share: i64,
    /// Of how many promotions that share is. Each rounds its own.
    shares: i64,
    groups: Vec<u32>,
    /// By promotion chosen: how much more must be left for how much more off.
    more: Vec<Vec<(i64, i64)>>,
}

impl Search<'_> {
    fn from(&mut self, at: usize, course: Course) -> Result<(), TooMuch> {
        let Some(curve) = self.curves.get(at) else { return self.weigh(&course) };
        self.looked += 1;
        if self.looked > limits::BEST_COMBINATIONS_MAX {
            return Err(TooMuch);
        }
        let free = curve.group.is_none_or(|group| !course.groups.contains(&group));
        if free {
            let (off, most) = curve.off(course.left);
            let (certain, reached) = curve.off(course.surely);
            let more: Vec<(i64, i64)> = curve.steps[reached..]
                .iter()
                .map(|(from, ..)| ((from - course.left).max(1), curve.off(*from).0 - certain))
                .filter(|(_, more)| *more > 0)
                .collect();
            let shares = curve.steps.iter().map(|step| step.2).max().unwrap_or(0);
            if off > 0 || !more.is_empty() {
                let mut with = course.clone();
                with.left -= certain.min(off) - i64::from(shares > 0);
                with.surely -= off;
                with.off += off;
                with.share += shares;
                with.shares += i64::from(shares > 0);
                with.groups.extend(curve.group);
                with.more.push(more);
                self.from(at + 1, with)?;
            }
            // Fewer applications leave more for what comes later.
            let fewer = if curve.repeats && at + 1 < self.curves.len() { most.saturating_sub(1) } else { 0 };
            for (_, off, _) in &curve.steps[..fewer] {
                let mut with = course.clone();
                (with.left, with.surely, with.off) = (with.left - off, with.surely - off, with.off + off);
                with.groups.extend(curve.group);
                self.from(at + 1, with)?;
            }
        }
        self.from(at + 1, course)
    }

    /// At every step that could be reached: is what is won there more than what the units lose?
    fn weigh(&mut self, course: &Course) -> Result<(), TooMuch> {
        if course.share >= 1_000_000 {
            return Err(TooMuch);
        }
        let needs = course.more.iter().flatten().map(|(need, _)| *need);
        for need in needs {
            let won = |more: &Vec<(i64, i64)>| {
                more.iter().take_while(|(from, _)| *from <= need).last().map_or(0, |(_, more)| *more)
            };
            let steps: i64 = course.more.iter().map(won).sum();
            let share = share_of(need, course.share) + (course.shares - 1).max(0);
            let gain = course.off + steps + share - need - self.known;
            if gain > 0 {
                let more = (gain + course.shares).saturating_mul(1_000_000) / (1_000_000 - course.share);
                let most = need.saturating_add(more);
                let wish = self.wish.get_or_insert(Wish { least: need, most, gain });
                *wish = Wish {
                    least: wish.least.min(need),
                    most: wish.most.max(most),
                    gain: wish.gain.max(gain),
                };
            }
        }
        Ok(())
    }
}

/// What units and order come to at most, loss by loss of the units.
pub(super) struct Worths {
    pub(super) least: i64,
    pub(super) by_loss: Vec<i64>,
}

impl Worths {
    pub(super) fn last(&self) -> i64 {
        self.least + self.by_loss.len() as i64 - 1
    }

    /// The losses with which more than `known` could be taken off.
    pub(super) fn above(&self, known: i64) -> Option<Wish> {
        let above = || (self.least..).zip(&self.by_loss).filter(|(_, worth)| **worth > known);
        let (least, _) = above().next()?;
        let (most, _) = above().last()?;
        Some(Wish { least, most, gain: above().map(|(_, worth)| worth - known).max()? })
    }

    /// Of the losses that `found` holds the one that takes most off, if that is more than `known`.
    pub(super) fn best(&self, known: i64, found: impl Fn(i64) -> bool) -> Option<i64> {
        let above = (self.least..).zip(&self.by_loss).filter(|(loss, worth)| **worth > known && found(*loss));
        above.max_by_key(|(loss, worth)| (**worth, std::cmp::Reverse(*loss))).map(|(loss, _)| loss)
    }
}
