//! The same basket with one thing more: what the shopper gets at least, found from what was found without it.
//!
//! Only promotions whose set holds the good are looked at anew; the others' columns stand. The search begins with the
//! prices of units and the packing that were best before, so most columns are out at once. What the order phase takes
//! off is worked out as a function of what is left to pay (`wishes`). So no combination is priced: that is permitted
//! only where all of it is known to be exact (`Again::of`); elsewhere nothing is answered, and the basket is resolved.
//!
//! Answered is a combination that stands, so no promise is more than a new quote gives; that a new quote loses something
//! on the units to reach a threshold of the order is not looked for, so it may give more.

use crate::domain::ids::Tag;
use crate::domain::money::Money;
use crate::limits;

use super::super::book::Phase;
use super::super::model::{Condition, StackingMode};
use super::super::resolution::Sitting;
use super::super::units::State;
use super::packing::{Choice, Packing, Prices};
use super::wishes::{self, Curve};
use super::{Search, Stake, place};

/// What is kept of a search.
pub(in super::super) struct Again<'a> {
    /// Reduced, with what was chosen and what units were worth.
    packing: Packing,
    choice: Choice,
    prices: Prices,
    value: i64,
    stakes: Vec<Stake>,
    groups: Vec<&'a Tag>,
}

/// Position among the candidates, money off, applications.
type Gives = (usize, Money, u32);

/// What the shopper would get.
pub(in super::super) struct After {
    /// Off in all, at least.
    pub(in super::super) off: Money,
    /// By promotion that gives something.
    pub(in super::super) given: Vec<(usize, Money, u32)>,
}

impl<'a> Again<'a> {
    /// Of a search whose result is as it was packed; nothing if another basket could behave in ways not covered here.
    pub(super) fn of(
        search: &Search<'_, 'a>,
        packing: Packing,
        choice: Choice,
        value: i64,
        prices: Prices,
    ) -> Option<Again<'a>> {
        let covered = search.sitting.candidates.iter().all(|candidate| {
            let promotion = &candidate.rule.promotion;
            let order_mode = matches!(promotion.stacking.mode, StackingMode::Stack | StackingMode::BestOf);
            candidate.rule.phase == Phase::Earn
                || candidate.closed.is_some()
                || (candidate.rule.phase <= Phase::Order
                    && order_mode
                    && promotion.offer.is_none()
                    && promotion.limits.is_empty()
                    && promotion.conditions == Condition::default())
        });
        let covered = covered
            && search.sitting.book.shelf.is_empty()
            && search.stakes.iter().all(|stake| stake.by_unit)
            && !search.sitting.goods.iter().any(|good| good.floor.is_positive());
        covered.then(|| Again {
            packing,
            choice,
            prices,
            value,
            stakes: search.stakes.clone(),
            groups: search.groups.clone(),
        })
    }

    /// The best found with more of the good at `more`, in the sitting that holds it, as far as the promotions at the
    /// positions `asked` have part in it: if none has, what they are given is nothing. Nothing if that is not covered.
    pub(in super::super) fn with(
        &self,
        before: &Sitting<'a>,
        with: &Sitting<'a>,
        more: usize,
        asked: &[usize],
    ) -> Option<After> {
        let (good, grown) = (&with.goods[more], with.goods.len() - before.goods.len());
        if with.candidates.len() != before.candidates.len() || good.floor.is_positive() {
            return None;
        }
        let touched: Vec<bool> = with
            .candidates
            .iter()
            .map(|candidate| {
                let rule = candidate.rule;
                candidate.rule.phase == Phase::Unit
                    && candidate.closed.is_none()
                    && (rule.set.holds(good) || rule.get.as_ref().is_some_and(|get| get.holds(good)))
            })
            .collect();
        let curves = curves(with)?;
        let whole: i64 = with.goods.iter().map(|good| good.price.times(good.qty).0).sum();
        let mut search = Search::new(with, Phase::Order, limits::BEST_NEAR_STEPS_MAX);
        let (value, mut given) = if touched.contains(&true) {
            if grown > 0 {
                return None;
            }
            match self.packed(&mut search, &touched, more, asked)? {
                Some(packed) => packed,
                None => return Some(After { off: Money(self.value), given: Vec::new() }),
            }
        } else {
            (self.value, given(&self.packing, &self.choice, &self.stakes))
        };
        let rounding = with.book.arithmetic.rounding;
        let only: Vec<Curve> = curves.iter().map(|(_, curve)| curve.clone()).collect();
        let mut looks = limits::BEST_NEAR_STEPS_MAX;
        let most = wishes::most(&only, whole - value, rounding, &mut looks).ok()?;
        given.extend(most.offs.iter().map(|(at, off, times)| (curves[*at].0, Money(*off), *times)));
        Some(After { off: Money(value + most.off), given })
    }

    /// The best packing of the units, and what each promotion gives in it; nothing within if none has `asked` in it.
    fn packed(
        &self,
        search: &mut Search<'_, 'a>,
        touched: &[bool],
        more: usize,
        asked: &[usize],
    ) -> Option<Option<(i64, Vec<Gives>)>> {
        let (sitting, mut steps) = (search.sitting, search.steps);
        let packing = &mut search.packing;
        packing.stock.clone_from(&self.packing.stock);
        packing.weight.clone_from(&self.packing.weight);
        packing.owners.clone_from(&self.packing.owners);
        packing.stock.iter_mut().zip(&sitting.goods).for_each(|(stock, good)| *stock = good.qty);
        // By column of before: its number now.
        let mut number: Vec<Option<u32>> = Vec::with_capacity(self.packing.columns.len());
        for (column, of) in (0..).zip(&self.packing.columns) {
            let stands = !touched[self.stakes[of.owner as usize].position];
            number.push(stands.then_some(packing.columns.len() as u32));
            if stands {
                packing.add(of.owner, of.value, self.packing.uses(column));
            }
        }
        search.stakes.clone_from(&self.stakes);
        search.groups.clone_from(&self.groups);
        let untouched = State::new(&sitting.goods);
        let mut anew = vec![None; touched.len()];
        for position in (0..touched.len()).filter(|position| touched[*position]) {
            let group = search.best_of(position).map(|group| place(&mut search.groups, group));
            let first = search.packing.columns.len() as u32;
            if search.columns(&untouched, position, 0, group) {
                search.stakes.push(Stake { position, by_unit: true });
                anew[position] = Some(first..search.packing.columns.len() as u32);
            } else if search.open(&untouched, position) {
                return None;
            }
        }
        let goods = sitting.goods.len() as u32;
        let begun = self.choice.iter().filter_map(|(column, times)| {
            let now = number[*column as usize].or_else(|| {
                let of = |packing: &Packing, column: u32| {
                    let value = packing.columns[column as usize].value;
                    (
                        value,
                        packing
                            .uses(column)
                            .iter()
                            .take_while(|(r, _)| *r < goods)
                            .copied()
                            .collect::<Vec<_>>(),
                    )
                };
                let same = of(&self.packing, *column);
                let owner = self.packing.columns[*column as usize].owner;
                let mut own = anew[self.stakes[owner as usize].position].clone()?;
                own.find(|column| of(&search.packing, *column) == same)
            });
            Some((now?, *times))
        });
        let begun: Choice = begun.collect();
        let had: Vec<usize> = self.stakes.iter().map(|stake| stake.position).collect();
        let packing = &search.packing;
        let new = |column: u32| {
            let owner = packing.columns[column as usize].owner as usize;
            owner >= had.len() && !had.contains(&search.stakes[owner].position)
        };
        let all = asked.iter().any(|position| sitting.candidates[*position].rule.phase != Phase::Unit);
        let wanted = |column: u32| {
            let owner = packing.columns[column as usize].owner as usize;
            all || asked.contains(&search.stakes[owner].position)
        };
        let packed = packing.best_from((&self.prices, &begun), more as u32, &new, &wanted, &mut steps);
        Some(packed.map(|packed| (packed.value, given(&search.packing, &packed.choice, &search.stakes))))
    }
}

fn given(packing: &Packing, choice: &Choice, stakes: &[Stake]) -> Vec<Gives> {
    let given = packing.given(choice);
    given.iter().map(|(owner, off, times)| (stakes[*owner as usize].position, Money(*off), *times)).collect()
}

/// All promotions of the order phase, with their positions; nothing if some look at more than what is left.
fn curves(sitting: &Sitting<'_>) -> Option<Vec<(usize, Curve)>> {
    let whole = sitting.goods.iter().map(|good| good.price.times(good.qty)).sum();
    let mut groups = Vec::new();
    let mut curves = Vec::new();
    for (position, candidate) in sitting.candidates.iter().enumerate() {
        let stacking = &candidate.rule.promotion.stacking;
        let group = stacking.group.as_ref().filter(|_| stacking.mode == StackingMode::BestOf);
        if candidate.rule.phase == Phase::Order && candidate.closed.is_none() {
            let group = group.map(|group| place(&mut groups, group));
            curves.push((position, Curve::of(sitting, candidate, group, whole)?));
        }
    }
    let in_units = |candidate: &super::Candidate<'_>| {
        let stacking = &candidate.rule.promotion.stacking;
        candidate.rule.phase == Phase::Unit
            && stacking.group.as_ref().is_some_and(|group| groups.contains(&group))
    };
    (!sitting.candidates.iter().any(in_units)).then_some(curves)
}
