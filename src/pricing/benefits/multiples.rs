//! Benefits for several units together: every n-th unit, complete sets for a price.
//!
//! Both sort the units first and then go along them once; equal units of a run are taken together, so that 2,000 of them
//! cost as much as one. Only an n-th item with a sort of its own looks at single units.

use std::cmp::Reverse;

use crate::domain::money::{Money, Percent};

use super::super::allocation::{Part, spread};
use super::super::explain::Why;
use super::super::model::{Base, BuyXGetY, Combo, NthItem, Pick, SetReward, SetSize, Sets, UnitSort};
use super::super::sets::Set;
use super::super::units::Mark;
use super::{Give, Proposal, Take, Turn, measure, qualified};

impl<'a> Turn<'_, 'a> {
    /// Sorts units; equal ones keep the canonical order.
    fn sorted(&self, takes: &[Take], sort: UnitSort, same_sku: bool) -> Vec<Take> {
        let mut takes = takes.to_vec();
        match sort {
            UnitSort::Dearest => takes.sort_by_key(|take| Reverse(take.net)),
            UnitSort::Cheapest => takes.sort_by_key(|take| take.net),
            UnitSort::Listed => {}
        }
        if same_sku {
            takes.sort_by(|a, b| self.good(a).sku.cmp(self.good(b).sku));
        }
        takes
    }

    pub(super) fn nth_item(&self, takes: &[Take], nth: &NthItem) -> Result<Proposal<'a>, Why<'a>> {
        if (nth.sort, nth.pick, nth.nth, nth.across) == (UnitSort::Dearest, UnitSort::Cheapest, 1, false) {
            let buy = BuyXGetY {
                buy: nth.n - 1,
                get: 1,
                get_items: None,
                reward: nth.reward,
                pick: Pick::Cheapest,
                partial: false,
            };
            return self.groups(takes.to_vec(), &buy, nth.same_sku);
        }
        let sorted = self.sorted(takes, nth.sort, nth.same_sku);
        let most = self.times_max().min(self.units_max().unwrap_or(u32::MAX));
        let (mut receiving, mut used) = (Vec::new(), Vec::new());
        let (mut times, mut missing) = (0, nth.n);
        for pool in sorted.chunk_by(|a, b| !nth.same_sku || self.good(a).sku == self.good(b).sku) {
            let units: Vec<&Take> =
                pool.iter().flat_map(|take| std::iter::repeat_n(take, take.qty as usize)).collect();
            let groups: Vec<&[&Take]> = units.chunks_exact(nth.n as usize).collect();
            missing = missing.min(nth.n - (units.len() % nth.n as usize) as u32);
            let skip = nth.nth as usize - 1;
            let mut chosen: Vec<&Take> = if nth.across {
                let mut all: Vec<&Take> = groups.concat();
                order(&mut all, nth.pick);
                all.into_iter().skip(skip * groups.len()).take(groups.len()).collect()
            } else {
                groups.iter().map(|group| nth_of(group, nth.pick, skip)).collect()
            };
            chosen.truncate((most - times) as usize);
            times += chosen.len() as u32;
            let mut reached = groups.concat();
            chosen.sort_by_key(|take| take.run);
            reached.sort_by_key(|take| take.run);
            let one = |take: &&Take| Take { qty: 1, ..**take };
            receiving.extend(together(chosen.iter().map(one)));
            used.extend(together(reached.iter().map(one)));
        }
        let (seen, _) = measure(takes, Base::List);
        let next = Why::Units { seen, need: seen.saturating_add(missing), set: &self.rule.set };
        if times == 0 {
            return Err(next);
        }
        for take in &mut used {
            let received = receiving.iter().filter(|other: &&Take| other.run == take.run);
            take.qty -= received.map(|other| other.qty).sum::<u32>();
        }
        self.rewarded(receiving, used, nth.reward, times, (times < most).then_some(next))
    }

    /// Complete sets, the largest size first, along the sorted units.
    pub(super) fn sets(&self, takes: &[Take], sets: &Sets) -> Result<Proposal<'a>, Why<'a>> {
        let sorted = self.sorted(takes, sets.sort, sets.same_sku);
        let mut sizes = sets.sizes.clone();
        sizes.sort_by_key(|size| Reverse(size.units));
        let least = sizes.last().map_or(1, |size| size.units);
        let (mut left, mut units_left) = (self.times_max(), self.units_max().unwrap_or(u32::MAX));
        let (mut marks, mut times, mut missing) = (Vec::with_capacity(sorted.len()), 0, u32::MAX);
        let mut enough = false;
        for pool in sorted.chunk_by(|a, b| !sets.same_sku || self.good(a).sku == self.good(b).sku) {
            let mut pool = pool.to_vec();
            pool.reverse();
            let mut rest: u32 = pool.iter().map(|take| take.qty).sum();
            enough |= rest >= least;
            for size in &sizes {
                let wanted = (rest / size.units).min(left).min(units_left / size.units);
                let made = self.make_sets(&mut pool, *size, wanted, &mut marks);
                rest -= made * size.units;
                units_left -= made * size.units;
                left -= made;
                times += made;
            }
            missing = missing.min(least - rest.min(least - 1));
        }
        let (seen, _) = measure(takes, Base::List);
        let next = Why::Units { seen, need: seen.saturating_add(missing), set: &self.rule.set };
        if times == 0 {
            return Err(if enough { Why::NothingOff } else { next });
        }
        marks.sort_by_key(|mark: &Mark| mark.run);
        let next = (left > 0 && units_left >= least).then_some(next);
        Ok(Proposal { next, ..self.finish(marks, times)? })
    }

    /// Combinations of different articles, one after the other; each takes the dearest units that are left of each part.
    pub(super) fn combo(&self, takes: &[Take], combo: &Combo) -> Result<Proposal<'a>, Why<'a>> {
        let mut left = self.sorted(takes, UnitSort::Dearest, false);
        let parts = || self.rule.parts.iter().zip(&combo.parts);
        let size: u32 = combo.parts.iter().map(|part| part.units).sum();
        let most = self.times_max().min(self.units_max().unwrap_or(u32::MAX) / size.max(1));
        let (mut marks, mut times) = (Vec::with_capacity(takes.len()), 0);
        let mut missing = None;
        while times < most {
            let mut set: Vec<Take> = Vec::with_capacity(combo.parts.len());
            for (items, part) in parts() {
                let mut wanted = part.units;
                for take in left.iter_mut().filter(|take| items.holds(self.good(take))) {
                    let qty = take.qty.min(wanted);
                    (take.qty, wanted) = (take.qty - qty, wanted - qty);
                    if qty > 0 {
                        set.push(Take { qty, ..*take });
                    }
                }
                if wanted > 0 {
                    let (seen, _) = measure(&self.of(takes, items), Base::List);
                    missing = Some(Why::Units { seen, need: seen + wanted, set: items });
                    break;
                }
            }
            if missing.is_some() {
                break;
            }
            set.sort_by_key(|take| take.run);
            let set = together(set.into_iter());
            let before = marks.len();
            self.on_set(&set, combo.give, &mut marks);
            if !marks[before..].iter().any(|mark: &Mark| mark.amount.is_positive()) {
                marks.truncate(before);
                break;
            }
            times += 1;
        }
        if times == 0 {
            return Err(missing.unwrap_or(Why::NothingOff));
        }
        marks.sort_by_key(|mark| mark.run);
        Ok(Proposal { next: missing, ..self.finish(marks, times)? })
    }

    fn of(&self, takes: &[Take], items: &Set) -> Vec<Take> {
        takes.iter().filter(|take| items.holds(self.good(take))).copied().collect()
    }

    /// What one set receives.
    fn on_set(&self, set: &[Take], give: SetReward, marks: &mut Vec<Mark>) {
        let round_at = self.sitting.book.arithmetic.round_at;
        let worth: Money = set.iter().map(|take| take.net.times(take.qty)).sum();
        match give {
            SetReward::Price(price) => self.alike(set, (worth - price).max(Money::ZERO), 1, marks),
            SetReward::Amount(amount) => self.alike(set, amount, 1, marks),
            SetReward::UnitPrice(price) => marks.extend(self.give(set, Give::Price(price), round_at)),
            SetReward::UnitAmount(amount) => marks.extend(self.give(set, Give::Amount(amount), round_at)),
            SetReward::Percent(off) => marks.extend(self.give(set, Give::Percent(off), round_at)),
        }
    }

    /// Makes up to `wanted` sets of one size from the units at the end of `pool`; stops at the first that is no cheaper
    /// than its units. Says how many were made.
    fn make_sets(&self, pool: &mut Vec<Take>, size: SetSize, wanted: u32, marks: &mut Vec<Mark>) -> u32 {
        let mut made = 0;
        let mut percent: Option<(Percent, Vec<Take>)> = None;
        while made < wanted {
            let (set, alike) = next_set(pool, size.units, wanted - made);
            let worth: Money = set.iter().map(|take| take.net.times(take.qty)).sum();
            let gives = match size.give {
                SetReward::Price(price) => worth > price,
                SetReward::UnitPrice(price) => set.iter().any(|take| take.net > price),
                SetReward::Percent(_) | SetReward::Amount(_) | SetReward::UnitAmount(_) => {
                    worth.is_positive()
                }
            };
            if !gives {
                break;
            }
            made += alike;
            take_off(pool, size.units * alike);
            let mut all: Vec<Take> = set.iter().map(|take| Take { qty: take.qty * alike, ..*take }).collect();
            all.sort_by_key(|take| take.run);
            match size.give {
                SetReward::Price(price) => self.alike(&set, worth - price, alike, marks),
                SetReward::Amount(amount) => self.alike(&set, amount, alike, marks),
                SetReward::UnitPrice(price) => {
                    marks.extend(self.give(&all, Give::Price(price), self.sitting.book.arithmetic.round_at));
                }
                SetReward::UnitAmount(amount) => {
                    marks.extend(self.give(
                        &all,
                        Give::Amount(amount),
                        self.sitting.book.arithmetic.round_at,
                    ));
                }
                SetReward::Percent(off) => percent.get_or_insert((off, Vec::new())).1.extend(all),
            }
        }
        if let Some((off, mut takes)) = percent {
            takes.sort_by_key(|take| take.run);
            marks.extend(self.give(
                &together(takes.into_iter()),
                Give::Percent(off),
                self.sitting.book.arithmetic.round_at,
            ));
        }
        made
    }

    /// One amount off each of several equal sets.
    fn alike(&self, set: &[Take], amount: Money, sets: u32, marks: &mut Vec<Mark>) {
        let mut set = set.to_vec();
        set.sort_by_key(|take| take.run);
        let parts: Vec<Part> = set.iter().map(|take| self.part(take, take.net)).collect();
        let one = spread(amount, &parts, None, self.sitting.book.arithmetic.leftover);
        for take in &set {
            let marked: u32 = one.iter().filter(|mark| mark.run == take.run).map(|mark| mark.qty).sum();
            if marked < take.qty {
                marks.push(qualified(&Take { qty: (take.qty - marked) * sets, ..*take }));
            }
        }
        marks.extend(one.into_iter().map(|mark| Mark { qty: mark.qty * sets, ..mark }));
    }
}

/// The next set at the end of `pool`, and how many equal ones follow each other, at most `most`.
fn next_set(pool: &[Take], units: u32, most: u32) -> (Vec<Take>, u32) {
    let mut set = Vec::new();
    let mut wanted = units;
    for take in pool.iter().rev() {
        let qty = take.qty.min(wanted);
        set.push(Take { qty, ..*take });
        wanted -= qty;
        if wanted == 0 {
            break;
        }
    }
    let alike = match (set.as_slice(), pool.last()) {
        ([_], Some(last)) => (last.qty / units).min(most),
        _ => 1,
    };
    (set, alike)
}

/// Takes units off the end of a pool.
fn take_off(pool: &mut Vec<Take>, mut units: u32) {
    while units > 0 {
        let Some(last) = pool.last_mut() else { return };
        let qty = last.qty.min(units);
        last.qty -= qty;
        units -= qty;
        if last.qty == 0 {
            pool.pop();
        }
    }
}

/// Puts units of the same run together that stand beside each other.
fn together(takes: impl Iterator<Item = Take>) -> Vec<Take> {
    let mut all: Vec<Take> = Vec::new();
    for take in takes {
        match all.last_mut() {
            Some(last) if last.run == take.run => last.qty += take.qty,
            _ => all.push(take),
        }
    }
    all
}

/// The unit at `place` of a group so sorted.
fn nth_of<'t>(group: &[&'t Take], sort: UnitSort, place: usize) -> &'t Take {
    let mut group = group.to_vec();
    order(&mut group, sort);
    group[place]
}

fn order(units: &mut [&Take], sort: UnitSort) {
    match sort {
        UnitSort::Dearest => units.sort_by_key(|take| Reverse(take.net)),
        UnitSort::Cheapest => units.sort_by_key(|take| take.net),
        UnitSort::Listed => units.sort_by_key(|take| take.run),
    }
}
