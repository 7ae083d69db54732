//! Which promotions apply where stacking groups are resolved differently: some in declared order, others for the best.
//!
//! A promotion resolved in `sequence` applies at its turn whenever it gives something. One resolved in `best` applies at its
//! turn or is left out, whichever is better for the shopper. Everything else is as in `sequence`: the same turns, the same
//! code, so a figure means the same in all modes.
//!
//! The search leaves out what `best` over everything leaves out, then tries all choices where few are free (`MIXED_FREE_MAX`),
//! else changes one at a time while that gains (at most `MIXED_TRIES_MAX` tries). Nothing may beat `best` over everything: an
//! order that must be kept only takes choices away. So the result is proved where it reaches that; or where all choices
//! were tried and there was nothing to choose but in or out (`is_once`); else the gap to it is told. Never worse than the
//! declared order. The least to pay wins, then fewest promotions, then what comes first.

use crate::domain::money::Money;
use crate::limits;

use super::best::{Proof, best};
use super::book::Phase;
use super::explain::Why;
use super::model::{Benefit, Promotion, ResolutionMode};
use super::resolution::{Resolved, Sitting, sequence_without};

struct Search<'s, 'a> {
    sitting: &'s Sitting<'a>,
    last: Phase,
    found: Option<(Resolved<'a>, Vec<usize>)>,
    tries: usize,
}

/// Does the sale hold promotions that are resolved so?
pub(super) fn wants(sitting: &Sitting<'_>, mode: ResolutionMode) -> bool {
    positions(sitting, mode).next().is_some()
}

fn positions<'s>(sitting: &'s Sitting<'_>, mode: ResolutionMode) -> impl Iterator<Item = usize> + 's {
    let open = sitting.candidates.iter().enumerate().filter(move |(_, candidate)| {
        candidate.closed.is_none()
            && candidate.rule.phase <= Phase::Order
            && candidate.rule.resolution == mode
    });
    open.map(|(position, _)| position)
}

/// Resolves through phase `last`; `best` over everything may take so many steps.
pub(super) fn mixed<'a>(sitting: &Sitting<'a>, last: Phase, steps: u32) -> (Resolved<'a>, Proof) {
    let (relaxed, proof, _) = best(sitting, last, steps);
    let most = relaxed.discount() + proof.gap;
    let free: Vec<usize> = positions(sitting, ResolutionMode::Best).collect();
    let mut search = Search { sitting, last, found: None, tries: limits::MIXED_TRIES_MAX };
    search.try_without(&[]);
    let left_out = |position: &usize| !relaxed.applied.iter().any(|done| done.candidate == *position);
    search.try_without(&free.iter().copied().filter(left_out).collect::<Vec<usize>>());
    let few = free.len() <= limits::MIXED_FREE_MAX;
    if search.total() < most {
        if few {
            for choice in 0..1_u32 << free.len() {
                let out = (0..).zip(&free).filter(|(bit, _)| choice >> bit & 1 == 1);
                search.try_without(&out.map(|(_, position)| *position).collect::<Vec<usize>>());
            }
        } else {
            search.climb(&free);
        }
    }
    let once = free.iter().all(|position| is_once(&sitting.candidates[*position].rule.promotion));
    let gap = if few && once { Money::ZERO } else { (most - search.total()).max(Money::ZERO) };
    (search.finish(), Proof { proved: gap == Money::ZERO, gap })
}

impl<'a> Search<'_, 'a> {
    fn total(&self) -> Money {
        self.found.as_ref().map_or(Money::ZERO, |(resolved, _)| resolved.discount())
    }

    /// Is it better without these?
    fn try_without(&mut self, out: &[usize]) -> bool {
        let resolved = sequence_without(self.sitting, out, self.last);
        let rank = |resolved: &Resolved<'_>| (-resolved.discount(), resolved.applied.len());
        let better = self.found.as_ref().is_none_or(|(found, _)| rank(&resolved) < rank(found));
        if better {
            self.found = Some((resolved, out.to_vec()));
        }
        better
    }

    /// Changes one choice after the other while that gains.
    fn climb(&mut self, free: &[usize]) {
        let mut gained = true;
        while gained {
            gained = false;
            for position in free {
                if self.tries == 0 {
                    return;
                }
                self.tries -= 1;
                let mut out = self.found.as_ref().map(|(_, out)| out.clone()).unwrap_or_default();
                match out.iter().position(|known| known == position) {
                    Some(at) => drop(out.remove(at)),
                    None => out.push(*position),
                }
                gained |= self.try_without(&out);
            }
        }
    }

    /// The best found, with what each promotion that was left out would have done.
    fn finish(mut self) -> Resolved<'a> {
        let Some((mut resolved, mut out)) = self.found.take() else {
            return sequence_without(self.sitting, &[], self.last);
        };
        for position in out.clone() {
            let others: Vec<usize> = out.iter().copied().filter(|other| *other != position).collect();
            let with = sequence_without(self.sitting, &others, self.last);
            if with.discount() == resolved.discount() && with.applied.len() == resolved.applied.len() {
                // It gives nothing anyway, for a reason of its own.
                (resolved, out) = (with, others);
            }
        }
        for position in &out {
            let others: Vec<usize> = out.iter().copied().filter(|other| other != position).collect();
            let by = resolved.discount() - sequence_without(self.sitting, &others, self.last).discount();
            let rule = |candidate: usize| self.sitting.candidates[candidate].rule;
            let group = &rule(*position).promotion.stacking.group;
            let winner = resolved.applied.iter().max_by_key(|done| {
                let other = rule(done.candidate);
                let grouped = group.is_some() && other.promotion.stacking.group == *group;
                (grouped, done.proposal.amount, std::cmp::Reverse(other.number))
            });
            let Some(winner) = winner.map(|done| &rule(done.candidate).promotion.id) else { continue };
            let why = Why::LostTo { winner, by: Some(by.max(Money::ZERO)) };
            if let Some(missed) = resolved.missed.iter_mut().find(|(missed, _)| missed == position) {
                missed.1 = why;
            }
        }
        resolved
    }
}

/// Is there nothing to choose about it but whether it applies?
fn is_once(promotion: &Promotion) -> bool {
    let benefit = match &promotion.benefit {
        Benefit::SpendAndSave(save) => save.every.is_none(),
        Benefit::LinePercent(_)
        | Benefit::LineAmount(_)
        | Benefit::LineFixedPrice(_)
        | Benefit::MemberPrice
        | Benefit::OrderPercent(_)
        | Benefit::OrderAmount(_)
        | Benefit::OrderFixedPrice(_) => true,
        _ => false,
    };
    benefit && !promotion.qualifier.consumes
}
