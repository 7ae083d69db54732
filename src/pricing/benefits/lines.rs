//! Benefits on lines and units of their own: amounts, tiers, first and further units, markdowns.

use crate::domain::money::Money;

use super::super::allocation::{Part, spread};
use super::super::explain::Why;
use super::super::model::{
    Base, FirstAndFurther, LineAmount, Markdown, Per, Reward, RoundAt, TierMeasure, Tiered,
};
use super::super::units::Mark;
use super::{Give, Proposal, Take, Turn, measure};

impl<'a> Turn<'_, 'a> {
    pub(super) fn line_amount(&self, takes: &[Take], amount: &LineAmount) -> Result<Proposal<'a>, Why<'a>> {
        let receiving = self.receiving(takes);
        let parts = || receiving.iter().map(|take| self.part(take, take.net)).collect::<Vec<Part>>();
        let leftover = self.sitting.book.arithmetic.leftover;
        let marks = match amount.per {
            Per::Unit => self.give(&receiving, Give::Amount(amount.amount), RoundAt::Unit),
            Per::Line => {
                let spread = |parts: &[Part]| spread(amount.amount, parts, None, leftover);
                parts().chunk_by(|a, b| a.good == b.good).flat_map(spread).collect()
            }
            Per::Group => spread(amount.amount, &parts(), None, leftover),
        };
        self.finish(marks, 1)
    }

    /// The tier that the line, the units or the basket reach, on each line.
    pub(super) fn tiered(&self, takes: &[Take], tiered: &Tiered) -> Result<Proposal<'a>, Why<'a>> {
        let set = &self.rule.set;
        let receiving = self.receiving(takes);
        let of = |takes: &[Take]| measure(takes, self.rule.promotion.qualifier.base);
        let (qty, amount) = of(takes);
        let seen = match tiered.by {
            TierMeasure::LineAmount | TierMeasure::LineUnits => None,
            TierMeasure::ItemsAmount => Some(amount.0),
            TierMeasure::ItemsUnits => Some(i64::from(qty)),
            TierMeasure::OrderAmount => {
                Some(self.state.runs.iter().map(|run| run.net.times(run.qty)).sum::<Money>().0)
            }
        };
        let reached = |seen: i64| {
            tiered
                .tiers
                .iter()
                .take_while(|tier| i64::try_from(tier.from).is_ok_and(|from| from <= seen))
                .count()
        };
        let mut marks = Vec::with_capacity(receiving.len());
        if let Some(seen) = seen {
            let tiers = reached(seen);
            let next = tiered.tiers.get(tiers).map(|tier| match tiered.by {
                TierMeasure::ItemsUnits => {
                    Why::Units { seen: qty, need: u32::try_from(tier.from).unwrap_or(u32::MAX), set }
                }
                _ => Why::Spent {
                    seen: Money(seen),
                    need: Money(i64::try_from(tier.from).unwrap_or(i64::MAX)),
                    set,
                },
            });
            let Some(tier) = tiers.checked_sub(1).map(|index| tiered.tiers[index]) else {
                return Err(next.unwrap_or(Why::NothingOff));
            };
            self.on_lines(&receiving, tier.give, &mut marks);
            return Ok(Proposal { next, ..self.finish(marks, 1)? });
        }
        let mut most = (0, Money::ZERO);
        for line in receiving.chunk_by(|a, b| a.good == b.good) {
            let whole = takes.iter().filter(|take| take.good == line[0].good).copied().collect::<Vec<Take>>();
            let (qty, amount) = of(&whole);
            most = (most.0.max(qty), most.1.max(amount));
            let seen = if tiered.by == TierMeasure::LineUnits { i64::from(qty) } else { amount.0 };
            if let Some(tier) = reached(seen).checked_sub(1).map(|index| tiered.tiers[index]) {
                self.on_lines(line, tier.give, &mut marks);
            }
        }
        if marks.is_empty()
            && let Some(tier) = tiered.tiers.first()
        {
            let need = i64::try_from(tier.from).unwrap_or(i64::MAX);
            return Err(if tiered.by == TierMeasure::LineUnits {
                Why::Units { seen: most.0, need: u32::try_from(need).unwrap_or(u32::MAX), set }
            } else {
                Why::Spent { seen: most.1, need: Money(need), set }
            });
        }
        self.finish(marks, 1)
    }

    /// An amount once on each line, a percentage or a price on each unit.
    fn on_lines(&self, takes: &[Take], reward: Reward, marks: &mut Vec<Mark>) {
        match reward {
            Reward::Percent(_) | Reward::Price(_) => {
                marks.extend(self.give(takes, reward.into(), self.sitting.book.arithmetic.round_at));
            }
            Reward::Amount(amount) => {
                for line in takes.chunk_by(|a, b| a.good == b.good) {
                    self.spread_on(line, amount, marks);
                }
            }
        }
    }

    /// Spreads one amount over some units.
    pub(super) fn spread_on(&self, takes: &[Take], amount: Money, marks: &mut Vec<Mark>) {
        let parts: Vec<Part> = takes.iter().map(|take| self.part(take, take.net)).collect();
        marks.extend(spread(amount, &parts, None, self.sitting.book.arithmetic.leftover));
    }

    /// One amount for the first unit of each line, another for each further one; spread over the line.
    pub(super) fn first_and_further(
        &self,
        takes: &[Take],
        amounts: &FirstAndFurther,
    ) -> Result<Proposal<'a>, Why<'a>> {
        let receiving = self.receiving(takes);
        let mut marks = Vec::with_capacity(receiving.len());
        for line in receiving.chunk_by(|a, b| a.good == b.good) {
            let (qty, _) = measure(line, Base::List);
            let counted = qty.min(amounts.units.unwrap_or(qty));
            if let Some(further) = counted.checked_sub(1) {
                self.spread_on(line, amounts.first + amounts.further.times(further), &mut marks);
            }
        }
        self.finish(marks, 1)
    }

    /// The step that the time left has come to: to each unit's best-before day, or to closing.
    pub(super) fn markdown(&self, takes: &[Take], markdown: &Markdown) -> Result<Proposal<'a>, Why<'a>> {
        let moment = &self.sitting.moment;
        let receiving = self.receiving(takes);
        let mut marks = Vec::with_capacity(receiving.len());
        let mut least: Option<u32> = None;
        for line in receiving.chunk_by(|a, b| a.good == b.good) {
            let left = match markdown.closing {
                Some(closing) => u32::from(closing.minutes()).checked_sub(u32::from(moment.minute)),
                None => self
                    .good(&line[0])
                    .best_before
                    .map(|day| u32::try_from(day.days_since(moment.today)).unwrap_or(0)),
            };
            let Some(left) = left else { continue };
            least = Some(least.map_or(left, |least| least.min(left)));
            if let Some(step) = markdown.steps.iter().rev().find(|step| left <= step.left) {
                marks.extend(self.give(line, Give::Percent(step.off), self.sitting.book.arithmetic.round_at));
            }
        }
        match markdown.steps.first() {
            Some(step) if marks.is_empty() => {
                Err(Why::TooEarly { left: least, need: step.left, days: markdown.closing.is_none() })
            }
            _ => self.finish(marks, 1),
        }
    }
}
