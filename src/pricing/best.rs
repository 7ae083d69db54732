//! Which promotions apply: in `best`, the combination that is best for the shopper, and the proof that none is better.
//!
//! Phases are fixed. In the unit phase it is chosen which promotions apply, how often and, for those that use units up,
//! on which units; in the order phase which apply. Chosen ones compound in declared order (priority, then id), by the
//! same code as in `sequence`, so that a figure means the same in both modes. Exclusive promotions stand alone or not at
//! all, of a best-of group one stands at most; neither is ever traded.
//!
//! ```text
//! units:  every way to apply what uses units up -> columns -> packing (exact) --.
//! orders: on what the units left, each applied or skipped, with a bound         +--> priced by Course -> the best so far
//! proof:  the packing is proved, and the order phase cannot want units dearer --'
//!         else every packing within the window that could still win is priced, as far as the steps reach
//! ```
//!
//! Why the first packing is mostly the best: on what is left of the units every promotion of the order phase takes off at
//! most what it would take off dearer units, and leaves no less to pay for them, unless a threshold is reached only by
//! dearer units or it looks at some of the discounted goods only. Those cases are told apart by asking each promotion
//! twice: on the untouched basket and on what the packing left; and where all look at the whole basket, what they could
//! win is worked out as a function of one amount (`wishes`), and packings that lose just so much are tried first
//! (`losses`). Shares are rounded, so what could be won is counted a minor unit wider for each.
//!
//! Proved is only what this argument covers. Beside a promotion of another kind (whose worth next to others is known by
//! pricing alone: sets of several sizes, combos, tiers, what stops others, more than `BEST_ORDERS_MAX` on the order, limits
//! that others could bring it under) the search goes the same way, the declared order is tried too, the better of the two
//! stands, and the reply says that it is not proved and by how much a better one could win at most.
//!
//! What was found is kept for `near`, which asks for the same basket with one thing more (`again`).
//!
//! Order of preference: least to pay, then fewest promotions (as far as the steps for ties reach), then ids. Points are not
//! traded against money. What stacks beside everything in the unit phase is applied wherever it gives something.

mod again;
mod columns;
mod cut;
mod kinds;
mod losses;
mod packing;
mod relaxation;
mod seen;
#[cfg(test)]
mod tests;
mod wishes;

use crate::domain::ids::Tag;
use crate::domain::money::Money;
use crate::limits;

use super::benefits::{Proposal, Turn, propose, units_of};
use super::book::Phase;
use super::explain::Why;
use super::model::{Caps, RoundAt, StackingMode};
use super::resolution::{Candidate, Course, Done, Resolved, Sitting, sequence};
use super::units::{Good, State};
use super::usage;
pub(super) use again::{After, Again};
use kinds::{Reach, is_of_order, rate, stacks_plainly};
use losses::Losses;
use packing::{Choice, Owner, Packing};
use wishes::{Curve, TooMuch, Wish, Worths};

/// How certain a resolution is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Proof {
    /// Is no permitted combination better?
    pub(super) proved: bool,
    /// If not: by how much one could be better at most.
    pub(super) gap: Money,
}

/// What a promotion would give on the untouched basket.
enum Prospect<'a> {
    Closed(Why<'a>),
    Open(Proposal<'a>),
}

/// Whose columns an owner's are: the position of its candidate, and whether it uses units up one by one.
#[derive(Clone, Copy)]
struct Stake {
    position: usize,
    by_unit: bool,
}

struct Found<'s, 'a> {
    course: Course<'s, 'a>,
    total: Money,
    /// The exclusive promotion that stands alone.
    alone: Option<usize>,
}

struct Search<'s, 'a> {
    sitting: &'s Sitting<'a>,
    last: Phase,
    prospects: Vec<Prospect<'a>>,
    stakes: Vec<Stake>,
    /// Groups of the unit phase, by number.
    groups: Vec<&'a Tag>,
    packing: Packing,
    /// By good: could some promotion use it up, unit by unit?
    contended: Vec<bool>,
    /// Goods that promotions touch in ways whose discounts do not simply add up.
    tangled: bool,
    /// Is there a promotion whose worth beside others is known by pricing only? Then nothing is proved.
    doubtful: bool,
    /// Positions of the order phase that are open.
    orders: Vec<usize>,
    found: Option<Found<'s, 'a>>,
    /// What is kept for the same basket with one thing more.
    again: Option<Again<'a>>,
    steps: u32,
}

/// Resolves for the best combination through phase `last`, within so many steps. Why the others gave nothing stands
/// there for phase `Earn`, the last; nobody asks before.
pub(super) fn best<'a>(
    sitting: &Sitting<'a>,
    last: Phase,
    steps: u32,
) -> (Resolved<'a>, Proof, Option<Again<'a>>) {
    let mut search = Search::new(sitting, last, steps);
    search.prepare();
    let bound = if search.packing.stock.len() > limits::BEST_RESOURCES_MAX {
        search.doubtful = true;
        Money::ZERO
    } else {
        search.together()
    };
    search.alone();
    if !search.doubtful {
        let again = search.again.take();
        let (resolved, proof) = search.finish(bound);
        if proof.proved {
            return (resolved, proof, again);
        }
        let declared = sequence(sitting, last);
        let more = declared.discount() - resolved.discount();
        if more.is_positive() {
            return (declared, Proof { gap: (proof.gap - more).max(Money(1)), ..proof }, None);
        }
        return (resolved, proof, again);
    }
    // What cannot be proved is at least never worse than the declared order.
    let (total, bound) = (search.total(), bound.max(search.at_best()));
    let declared = sequence(sitting, last);
    if search.found.is_none() || declared.discount() > total {
        let gap = (bound - declared.discount()).max(Money(1));
        return (declared, Proof { proved: false, gap }, None);
    }
    let (resolved, proof) = search.finish(bound);
    (resolved, Proof { proved: false, gap: proof.gap.max(Money(1)) }, None)
}

impl<'s, 'a> Search<'s, 'a> {
    fn new(sitting: &'s Sitting<'a>, last: Phase, steps: u32) -> Search<'s, 'a> {
        Search {
            sitting,
            last,
            prospects: Vec::with_capacity(sitting.candidates.len()),
            stakes: Vec::new(),
            groups: Vec::new(),
            packing: Packing::default(),
            contended: Vec::new(),
            tangled: false,
            doubtful: false,
            orders: Vec::new(),
            found: None,
            again: None,
            steps,
        }
    }

    fn mode(&self, position: usize) -> StackingMode {
        self.sitting.candidates[position].rule.promotion.stacking.mode
    }

    /// The group in which at most one promotion stands, where the one at a position is weighed so.
    fn best_of(&self, position: usize) -> Option<&'a Tag> {
        let stacking = &self.sitting.candidates[position].rule.promotion.stacking;
        stacking.group.as_ref().filter(|_| stacking.mode == StackingMode::BestOf)
    }

    fn phase(&self, position: usize) -> Phase {
        self.sitting.candidates[position].rule.phase
    }

    /// Asks every promotion what it would give on the untouched basket, and makes columns of the unit phase.
    fn prepare(&mut self) {
        let sitting = self.sitting;
        let untouched = State::new(&sitting.goods);
        let spendable = sitting.sale.spendable();
        self.packing.stock = sitting.goods.iter().map(|good| good.qty).collect();
        self.packing.weight = sitting.goods.iter().map(|good| good.price.0.max(1)).collect();
        self.contended = vec![false; sitting.goods.len()];
        // By good: touched as a whole; touched as a whole by one that is chosen against others.
        let mut touched = vec![(false, false); sitting.goods.len()];
        for (position, candidate) in sitting.candidates.iter().enumerate() {
            let mut prospect = match candidate.closed {
                Some(why) => Prospect::Closed(why),
                None if candidate.rule.phase > Phase::Order => Prospect::Open(Proposal::default()),
                None => match propose(sitting, &untouched, candidate, spendable) {
                    Ok(proposal) => Prospect::Open(proposal),
                    Err(why) => {
                        // It may open once others have taken something off, unless it is used up.
                        let opens = matches!(
                            why,
                            Why::Limit { .. }
                                | Why::Offline { .. }
                                | Why::TooMuchSpent { .. }
                                | Why::Condition { .. }
                        );
                        self.doubtful |=
                            opens && usage::allowance(sitting, candidate.rule, candidate).is_ok();
                        Prospect::Closed(why)
                    }
                },
            };
            if let Prospect::Open(proposal) = &mut prospect
                && self.mode(position) != StackingMode::Exclusive
            {
                match candidate.rule.phase {
                    Phase::Unit => {
                        let group = self.best_of(position).map(|group| place(&mut self.groups, group));
                        let first = self.packing.columns.len();
                        let by_unit = self.columns(&untouched, position, spendable, group);
                        if by_unit {
                            proposal.marks = Vec::new(); // columns stand for the units
                            let columns = first as u32..self.packing.columns.len() as u32;
                            for (resource, _) in columns.flat_map(|column| self.packing.uses(column)) {
                                self.contended
                                    .get_mut(*resource as usize)
                                    .into_iter()
                                    .for_each(|c| *c = true);
                            }
                        } else {
                            self.doubtful |= !stacks_plainly(&candidate.rule.promotion);
                            self.whole(proposal.amount, group);
                            let chosen = group.is_some() || self.mode(position) != StackingMode::Stack;
                            for mark in proposal.marks.iter().filter(|mark| mark.amount.is_positive()) {
                                let good = &mut touched[mark.good as usize];
                                self.tangled |= good.1 || (good.0 && chosen);
                                *good = (true, good.1 || chosen);
                            }
                        }
                        self.stakes.push(Stake { position, by_unit });
                    }
                    Phase::Order => {
                        let promotion = &candidate.rule.promotion;
                        let units = promotion.qualifier.consumes
                            || promotion.stacking.mode == StackingMode::StopFurther;
                        self.doubtful |= units || !is_of_order(&promotion.benefit);
                        self.orders.push(position);
                    }
                    Phase::Shelf | Phase::Redeem | Phase::Earn => {}
                }
            }
            self.prospects.push(prospect);
        }
        self.doubtful |= self.orders.len() > limits::BEST_ORDERS_MAX;
        self.tangled |= touched.iter().zip(&self.contended).any(|((whole, _), by_unit)| *whole && *by_unit);
    }

    /// Would it give something on the untouched basket?
    fn open(&self, untouched: &State, position: usize) -> bool {
        propose(self.sitting, untouched, &self.sitting.candidates[position], 0).is_ok()
    }

    fn columns(&mut self, untouched: &State, position: usize, spendable: i64, group: Option<u32>) -> bool {
        let candidate = &self.sitting.candidates[position];
        let rule = candidate.rule;
        let weighed = matches!(rule.promotion.stacking.mode, StackingMode::Stack | StackingMode::BestOf);
        if !rule.promotion.qualifier.consumes || !weighed {
            return false;
        }
        let Ok(takes) = units_of(self.sitting, untouched, rule, &rule.set) else { return false };
        let Ok(allowance) = usage::allowance(self.sitting, rule, candidate) else { return false };
        let turn = Turn {
            sitting: self.sitting,
            state: untouched,
            rule,
            candidate: *candidate,
            allowance,
            spendable,
        };
        columns::add(&mut self.packing, &turn, &takes, group)
    }

    /// A promotion that is applied or not: one column on a good of its own.
    fn whole(&mut self, amount: Money, group: Option<u32>) {
        let owner = self.packing.owners.len() as u32;
        self.packing.owners.push(Owner { group, ..Owner::PLAIN });
        self.packing.stock.push(1);
        self.packing.weight.push(1);
        if amount.is_positive() {
            self.packing.add(owner, amount.0, &[(self.packing.stock.len() as u32 - 1, 1)]);
        }
    }

    /// The best of all combinations without an exclusive promotion. Answers what none of them takes off more than.
    fn together(&mut self) -> Money {
        let packing = std::mem::take(&mut self.packing);
        let (reduced, kept) = packing.reduced();
        let mut packed = reduced.best(&mut self.steps, limits::BEST_TIES_MAX);
        let choice = packed.choice.iter().map(|(column, times)| (kept[*column as usize], *times)).collect();
        let trial = self.price(&packing, &choice);
        let as_packed = trial.kept_word && !self.tangled && (trial.units.0 == packed.value || self.stacked());
        let curves = if as_packed && trial.units.0 == packed.value { self.curves() } else { None };
        let wish = match &curves {
            Some(curves) => wishes::wish(curves, trial.left, self.total().0 - trial.units.0),
            None => Err(TooMuch),
        };
        if self.last == Phase::Earn && curves.is_some() {
            let prices = std::mem::take(&mut packed.prices);
            self.again = Again::of(self, reduced, packed.choice, packed.value, prices);
        }
        let worths = match (&curves, wish) {
            (Some(curves), Ok(Some(wish))) => self.worths(curves, &trial, wish),
            _ => None,
        };
        if let Some(worths) = &worths {
            self.lose(&Losses::of(&packing, &choice, worths.last()), worths);
        }
        let promised = self.promised(&trial, packed.bound);
        let window = |search: &Self| match (&worths, &curves) {
            (Some(worths), _) => worths.above(search.total().0),
            (None, Some(curves)) => {
                match wishes::wish(curves, trial.left, search.total().0 - trial.units.0) {
                    Ok(wish) => wish,
                    Err(TooMuch) => search.promise(&promised, as_packed),
                }
            }
            (None, None) => search.promise(&promised, as_packed),
        };
        let unproved = packed.bound - packed.value;
        let Some(wish) = window(self) else { return self.total() + Money(unproved) };
        let (mut steps, mut cut_short) = (self.steps, false);
        let all = packing.each(
            packed.value,
            (wish.least, wish.most),
            curves.is_some(),
            &mut steps,
            &mut |choice, steps| {
                let doubtful = self.doubtful;
                self.steps = steps.saturating_sub(limits::BEST_TRIAL_STEPS);
                if self.steps > 0 {
                    self.price(&packing, choice);
                }
                *steps = self.steps;
                if *steps == 0 {
                    // A combination that was not looked at to its end leaves a gap, no doubt.
                    (self.doubtful, cut_short) = (doubtful, true);
                }
                window(self).map_or((i64::MAX / 2, -1), |wish| (wish.least, wish.most))
            },
        );
        self.steps = steps;
        let open = if all && !cut_short { 0 } else { window(self).map_or(0, |wish| wish.gain) };
        self.total() + Money(open + unproved)
    }

    /// What a combination that is not the best of the units could still win, as far as that is known without curves.
    fn promise(&self, promised: &Promised, as_packed: bool) -> Option<Wish> {
        if as_packed && promised.settled {
            return None;
        }
        let gain = promised.total - self.total().0;
        let rest = 1_000_000 - promised.rate.min(999_999);
        // A share of what is lost comes back, and each share is rounded.
        let most = (gain + promised.shares).saturating_mul(1_000_000).saturating_sub(1) / rest;
        (gain > 0).then_some(Wish { least: 0, most, gain })
    }

    /// What units and order come to for each loss that is wished; nothing if that is too much to look at.
    fn worths(&mut self, curves: &[Curve], trial: &Trial, wish: Wish) -> Option<Worths> {
        let floors = self.sitting.goods.iter().any(|good| good.floor.is_positive());
        if floors || wish.most - wish.least >= limits::BEST_LOSS_MAX as i64 {
            return None;
        }
        let rounding = self.sitting.book.arithmetic.rounding;
        let most = wish.most.min(trial.units.0);
        let half = self.steps / 2;
        let mut looks = self.steps - half;
        let worth = |loss: i64| {
            let order = wishes::most(curves, trial.left + loss, rounding, &mut looks)?.off;
            Ok(trial.units.0 - loss + order)
        };
        let worths: Result<Vec<i64>, TooMuch> = (wish.least..=most).map(worth).collect();
        self.steps = half + looks;
        Some(Worths { least: wish.least, by_loss: worths.ok()? })
    }

    /// Prices packings that lose what is wished, best first, while one that was found could be better.
    fn lose(&mut self, losses: &Losses<'_>, worths: &Worths) {
        for _ in 0..limits::BEST_LOSS_TRIALS_MAX {
            let Some(loss) = worths.best(self.total().0, |loss| losses.holds(loss)) else { return };
            let Some(choice) = losses.losing(loss) else { return };
            let Some(fewer) = self.steps.checked_sub(limits::BEST_TRIAL_STEPS).filter(|fewer| *fewer > 0)
            else {
                return;
            };
            self.steps = fewer;
            let before = self.total();
            self.price(losses.packing(), &choice);
            if self.total() == before {
                return;
            }
        }
    }

    fn total(&self) -> Money {
        self.found.as_ref().map_or(Money::ZERO, |found| found.total)
    }

    /// The promotions of the order phase as functions of what is left to pay; nothing if some look at more.
    fn curves(&self) -> Option<Vec<Curve>> {
        let whole = self.sitting.goods.iter().map(|good| good.price.times(good.qty)).sum();
        let mut groups = Vec::new();
        let mut curve = |position: &usize| {
            let candidate = &self.sitting.candidates[*position];
            let alone = [StackingMode::Stack, StackingMode::BestOf].contains(&self.mode(*position));
            let group = self.best_of(*position).map(|group| place(&mut groups, group));
            let gives =
                matches!(&self.prospects[*position], Prospect::Open(given) if given.amount.is_positive());
            match (gives, alone) {
                (false, true) => Some(None),
                (true, true) => Curve::of(self.sitting, candidate, group, whole).map(Some),
                _ => None,
            }
        };
        let curves: Option<Vec<Option<Curve>>> = self.orders.iter().map(&mut curve).collect();
        let in_units =
            |stake: &Stake| self.best_of(stake.position).is_some_and(|group| groups.contains(&group));
        if self.stakes.iter().any(in_units) {
            return None;
        }
        Some(curves?.into_iter().flatten().collect())
    }

    /// Do discounts of the unit phase only stack, so that applying all of them is best?
    fn stacked(&self) -> bool {
        self.sitting.book.arithmetic.round_at == RoundAt::Unit
    }

    /// Prices a choice of the unit phase with the best of the order phase.
    fn price(&mut self, packing: &Packing, choice: &Choice) -> Trial {
        let mut kept: Vec<(u32, u32, u32)> = Vec::new();
        let mut chosen = vec![false; self.sitting.candidates.len()];
        for (column, times) in choice {
            let stake = self.stakes[packing.columns[*column as usize].owner as usize];
            chosen[stake.position] = true;
            if stake.by_unit {
                let number = self.sitting.candidates[stake.position].number;
                let goods =
                    packing.uses(*column).iter().filter(|(r, _)| (*r as usize) < self.sitting.goods.len());
                kept.extend(goods.map(|(good, n)| (*good, number, n * times)));
            }
        }
        // Goods that promotions contend for and nobody was given are kept from all of them.
        kept.extend(
            (0..).zip(&self.contended).filter(|(_, contended)| **contended).map(|(good, _)| (good, 0, 0)),
        );
        kept.sort_unstable();
        kept.dedup_by(|later, first| {
            let same = (later.0, later.1) == (first.0, first.1);
            if same {
                first.2 += later.2;
            }
            same
        });
        let mut course = Course::keeping(self.sitting, &kept, self.last);
        let mut kept_word = true;
        for position in (0..chosen.len()).filter(|position| chosen[*position]) {
            match course.given(position) {
                Ok(proposal) => course.apply(position, proposal),
                Err(_) => kept_word = false,
            }
        }
        let units = course.done.discount();
        let left = course.done.state.runs.iter().map(|run| run.net.times(run.qty)).sum::<Money>().0;
        let most = self.most(&course);
        self.order(course, 0, &most);
        Trial { units, left, kept_word, most }
    }

    /// What each promotion of the order phase takes off at most on what is left.
    fn most(&self, course: &Course<'s, 'a>) -> Vec<Money> {
        let most = |position: &usize| {
            let candidate = &self.sitting.candidates[*position];
            match propose(self.sitting, &course.done.state, candidate, course.spendable) {
                Ok(proposal) => proposal.amount,
                Err(_) => Money::ZERO,
            }
        };
        self.orders.iter().map(most).collect()
    }

    /// What the promotion takes off that stands for this one's group.
    fn standing(&self, applied: &[Done<'a>], position: usize) -> Option<Money> {
        let group = self.best_of(position)?;
        let same = |done: &&Done<'a>| self.best_of(done.candidate) == Some(group);
        applied.iter().find(same).map(|done| done.proposal.amount)
    }

    /// Promotions of the order phase from the one at `at` on, each applied or skipped.
    fn order(&mut self, mut course: Course<'s, 'a>, at: usize, most: &[Money]) {
        for next in at..self.orders.len() {
            let position = self.orders[next];
            if self.standing(&course.done.applied, position).is_some() {
                continue;
            }
            self.steps = self.steps.saturating_sub(limits::BEST_ORDER_STEPS);
            let Ok(proposal) = course.given(position) else { continue };
            self.doubtful |= self.steps == 0;
            if proposal.amount.is_positive() && self.steps > 0 && next < limits::BEST_ORDERS_MAX {
                let so_far = course.done.discount();
                let later = self.at_most(&course.done.applied, next + 1, most);
                if later > proposal.amount || (later.is_positive() && proposal.times > 1) {
                    let (times, amount) = (proposal.times, proposal.amount);
                    let mut with = course.clone();
                    with.apply(position, proposal);
                    self.order(with, next + 1, most);
                    // Fewer applications, and none, leave more for what comes later.
                    for times in (1..times).rev() {
                        if so_far + amount + later <= self.total() || self.steps == 0 {
                            break;
                        }
                        self.steps = self.steps.saturating_sub(limits::BEST_ORDER_STEPS);
                        let Ok(fewer) = course.given_times(position, times) else { break };
                        if so_far + fewer.amount + later <= self.total() {
                            break;
                        }
                        let mut with = course.clone();
                        with.apply(position, fewer);
                        self.order(with, next + 1, most);
                    }
                    if so_far + later <= self.total() {
                        return;
                    }
                    continue;
                }
            }
            course.apply(position, proposal);
        }
        let total = course.done.discount();
        let better = |found: &Found<'s, 'a>| {
            let fewer = course.done.applied.len() < found.course.done.applied.len();
            total > found.total || (total == found.total && fewer)
        };
        if self.found.as_ref().is_none_or(better) {
            self.found = Some(Found { course, total, alone: None });
        }
    }

    /// What promotions of the order phase from one on take off at most together: of a group the most of any.
    fn at_most(&self, applied: &[Done<'a>], from: usize, most: &[Money]) -> Money {
        let mut sum = Money::ZERO;
        for at in from..self.orders.len() {
            let group = self.best_of(self.orders[at]);
            let beaten = |other: usize| {
                self.best_of(self.orders[other]) == group
                    && (most[other], std::cmp::Reverse(other)) > (most[at], std::cmp::Reverse(at))
            };
            let counts = group.is_none()
                || !(self.standing(applied, self.orders[at]).is_some()
                    || (from..self.orders.len()).any(beaten));
            if counts {
                sum += most[at];
            }
        }
        sum
    }

    /// What units and orders together cannot exceed, and whether the order phase could want units dearer.
    ///
    /// It could where some promotion reaches less at its turn than it would on the untouched basket.
    fn promised(&self, trial: &Trial, units: i64) -> Promised {
        let mut discounted = self.contended.clone();
        for stake in self.stakes.iter().filter(|stake| !stake.by_unit) {
            if let Prospect::Open(proposal) = &self.prospects[stake.position] {
                let off = proposal.marks.iter().filter(|mark| mark.amount.is_positive());
                off.for_each(|mark| discounted[mark.good as usize] = true);
            }
        }
        let (mut promised, mut most) =
            (Promised { total: units, rate: 0, shares: 0, settled: true }, Vec::new());
        for (position, now) in self.orders.iter().zip(&trial.most) {
            let candidate = &self.sitting.candidates[*position];
            let Prospect::Open(before) = &self.prospects[*position] else { continue };
            let share = rate(&candidate.rule.promotion.benefit);
            let reached = |good: usize| candidate.rule.set.holds(&self.sitting.goods[good]);
            let some = (0..discounted.len()).any(|good| discounted[good] && reached(good));
            let all = (0..discounted.len()).all(|good| !discounted[good] || reached(good));
            let by_line = self.sitting.book.arithmetic.round_at == RoundAt::Line;
            let floors = self.sitting.goods.iter().any(|good| good.floor.is_positive());
            let plain = candidate.rule.promotion.caps == Caps::default() && !floors;
            let even = !some || *now == before.amount || (all && !by_line && plain);
            let stands = self.shares_group(*position);
            let settled = even && !stands && self.reached(*position, *now) == Reach::of(before);
            promised.settled &= settled;
            if some && share > 0 {
                promised.rate += share;
                promised.shares += if by_line { self.sitting.goods.len() as i64 } else { 1 };
            }
            most.push(if settled { *now } else { before.amount });
        }
        promised.total += self.at_most(&[], 0, &most).0;
        promised
    }

    /// Could one of the unit phase stand for the group of this one?
    fn shares_group(&self, position: usize) -> bool {
        let stacking = |position: usize| &self.sitting.candidates[position].rule.promotion.stacking;
        let own = stacking(position);
        own.group.is_some() && self.stakes.iter().any(|stake| stacking(stake.position).group == own.group)
    }

    /// What no combination takes off more than, whatever stands beside what.
    fn at_best(&self) -> Money {
        let whole: Money = self.sitting.goods.iter().map(|good| good.price.times(good.qty)).sum();
        let given = |prospect: &Prospect<'a>| match prospect {
            Prospect::Open(proposal) => proposal.amount,
            Prospect::Closed(_) => Money::ZERO,
        };
        whole.min(self.prospects.iter().map(given).sum::<Money>()).max(self.total())
    }

    /// How far a promotion of the order phase reached at its turn; where one of its group that gives as much stands, how
    /// far it would at the end; nowhere if it was left out for the sake of others.
    fn reached(&self, position: usize, most: Money) -> Reach {
        let Some(found) = &self.found else { return Reach::default() };
        let done = &found.course.done;
        match done.applied.iter().find(|done| done.candidate == position) {
            Some(done) => Reach::of(&done.proposal),
            None if self.standing(&done.applied, position).is_none_or(|stands| most > stands) => {
                Reach::default()
            }
            None => {
                let candidate = &self.sitting.candidates[position];
                let last = propose(self.sitting, &done.state, candidate, found.course.spendable);
                last.map_or(Reach::default(), |proposal| Reach::of(&proposal))
            }
        }
    }

    /// Each exclusive promotion alone.
    fn alone(&mut self) {
        for position in 0..self.sitting.candidates.len() {
            if self.mode(position) != StackingMode::Exclusive || self.phase(position) > Phase::Order {
                continue;
            }
            let Prospect::Open(_) = self.prospects[position] else { continue };
            let mut course = Course::keeping(self.sitting, &[], self.last);
            for other in 0..self.sitting.candidates.len() {
                if course.stands_with(position, other)
                    && matches!(self.prospects[other], Prospect::Open(_))
                    && self.phase(other) <= Phase::Order
                    && let Ok(proposal) = course.given(other)
                {
                    course.apply(other, proposal);
                }
            }
            if course.done.applied.iter().any(|done| done.candidate == position) {
                let total = course.done.discount();
                let better =
                    |found: &Found<'s, 'a>| total > found.total || found.course.done.applied.is_empty();
                if self.found.as_ref().is_none_or(better) {
                    self.found = Some(Found { course, total, alone: Some(position) });
                }
            }
        }
    }

    /// Points and reasons.
    fn finish(mut self, bound: Money) -> (Resolved<'a>, Proof) {
        let found = self.found.take();
        let Found { mut course, total, alone } = found.unwrap_or_else(|| Found {
            course: Course::keeping(self.sitting, &[], self.last),
            total: Money::ZERO,
            alone: None,
        });
        let gap = (bound - total).max(Money::ZERO);
        let applied = |position: usize, course: &Course<'s, 'a>| {
            course.done.applied.iter().any(|done| done.candidate == position)
        };
        let reach = if self.last == Phase::Earn { self.reach() } else { Vec::new() };
        let mut first = self.sitting.candidates.len();
        for position in 0..self.sitting.candidates.len() {
            if self.phase(position) > Phase::Order {
                first = first.min(position);
                continue;
            }
            if self.last == Phase::Earn && !applied(position, &course) {
                let why = self.why(&course, position, alone, &reach);
                course.done.missed.push((position, why));
            }
        }
        if alone.is_none()
            && let Some(done) = course.done.applied.first()
        {
            let winner = &self.sitting.candidates[done.candidate].rule.promotion.id;
            for position in first..self.sitting.candidates.len() {
                if self.mode(position) == StackingMode::Exclusive {
                    course.not_alone.insert(position, Why::LostTo { winner, by: None });
                }
            }
        }
        if self.last > Phase::Order {
            course.from(first, alone);
        }
        (course.done, Proof { proved: gap == Money::ZERO, gap })
    }

    /// By promotion of the unit phase: the goods in its set, a bit each.
    fn reach(&self) -> Vec<Vec<u64>> {
        let of = |candidate: &Candidate<'a>| -> Vec<u64> {
            if candidate.rule.phase != Phase::Unit || candidate.closed.is_some() {
                return Vec::new();
            }
            let word = |goods: &[Good<'a>]| {
                let held = (0_u32..).zip(goods).filter(|(_, good)| candidate.rule.set.holds(good));
                held.fold(0, |word, (at, _)| word | 1 << at)
            };
            self.sitting.goods.chunks(64).map(word).collect()
        };
        self.sitting.candidates.iter().map(of).collect()
    }

    /// Why a promotion that was not chosen gives nothing: what would keep it from giving anything by itself; or which
    /// stands in its place, and how much more that takes off.
    fn why(
        &self,
        course: &Course<'s, 'a>,
        position: usize,
        alone: Option<usize>,
        reach: &[Vec<u64>],
    ) -> Why<'a> {
        let proposal = match &self.prospects[position] {
            Prospect::Closed(why) => return *why,
            Prospect::Open(proposal) => proposal,
        };
        let rule = |position: usize| self.sitting.candidates[position].rule;
        let (own, group) = (rule(position), &rule(position).promotion.stacking.group);
        let rival = |candidate: usize| {
            let other = rule(candidate);
            let grouped = group.is_some() && other.promotion.stacking.group == *group;
            let exclusive = own.promotion.stacking.mode == StackingMode::Exclusive;
            let contends = reach[position].iter().zip(&reach[candidate]).any(|(a, b)| a & b != 0);
            Some(candidate) == alone || grouped || exclusive || contends
        };
        let rivals = course.done.applied.iter().filter(|done| rival(done.candidate));
        let winner = rivals.max_by(|a, b| {
            let id = |candidate: usize| &rule(candidate).promotion.id;
            let amount = a.proposal.amount.cmp(&b.proposal.amount);
            amount.then_with(|| id(b.candidate).cmp(id(a.candidate)))
        });
        match winner {
            Some(done) => {
                let by = done.proposal.amount - proposal.amount;
                Why::LostTo { winner: &rule(done.candidate).promotion.id, by: by.is_positive().then_some(by) }
            }
            None => propose(
                self.sitting,
                &course.done.state,
                &self.sitting.candidates[position],
                course.spendable,
            )
            .err()
            .unwrap_or(Why::NothingOff),
        }
    }
}

/// What units and orders cannot exceed together.
struct Promised {
    total: i64,
    /// What the order phase takes off of each further unit of money left, in parts per million.
    rate: i64,
    /// How many amounts that is rounded to.
    shares: i64,
    /// Would dearer units change nothing but the amounts that follow from them?
    settled: bool,
}

/// A choice of the unit phase, priced.
struct Trial {
    /// What the units got off.
    units: Money,
    /// What is left to pay for them.
    left: i64,
    /// Did every promotion that was chosen give something?
    kept_word: bool,
    /// What the order phase takes off then, promotion by promotion.
    most: Vec<Money>,
}

fn place<'a>(groups: &mut Vec<&'a Tag>, group: &'a Tag) -> u32 {
    let at = groups.iter().position(|known| *known == group).unwrap_or_else(|| {
        groups.push(group);
        groups.len() - 1
    });
    at as u32
}
