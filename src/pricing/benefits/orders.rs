//! Benefits on the whole order: one amount for all its units, spread over them; spend and save.

use crate::domain::money::Money;

use super::super::allocation::{Part, spread};
use super::super::explain::Why;
use super::super::model::{Base, Reward, SpendAndSave};
use super::{Proposal, Take, Turn, measure};

impl<'a> Turn<'_, 'a> {
    /// One amount off all units together.
    pub(super) fn on_order(
        &self,
        takes: &[Take],
        amount: Money,
        times: u32,
        next: Option<Why<'a>>,
    ) -> Result<Proposal<'a>, Why<'a>> {
        let parts: Vec<Part> = self.receiving(takes).iter().map(|take| self.part(take, take.net)).collect();
        let leftover = self.sitting.book.arithmetic.leftover;
        let marks = spread(amount.max(Money::ZERO), &parts, self.rule.promotion.caps.per_line, leftover);
        Ok(Proposal { next, ..self.finish(marks, times)? })
    }

    pub(super) fn spend_and_save(
        &self,
        takes: &[Take],
        save: &SpendAndSave,
    ) -> Result<Proposal<'a>, Why<'a>> {
        let set = &self.rule.set;
        let (_, spent) = measure(takes, save.base);
        if let Some(every) = &save.every {
            let full = u32::try_from(spent.0.max(0) / every.spend.0).unwrap_or(u32::MAX);
            let times = full.min(self.times_max());
            let need = Money(every.spend.0 * (i64::from(times) + 1));
            let next = Why::Spent { seen: spent, need, set };
            if times == 0 {
                return Err(next);
            }
            let next = (times < self.times_max()).then_some(next);
            return self.on_order(takes, Money(every.save.0.saturating_mul(i64::from(times))), times, next);
        }
        let reached = save.tiers.iter().take_while(|tier| tier.spend <= spent).count();
        let next = save.tiers.get(reached).map(|tier| Why::Spent { seen: spent, need: tier.spend, set });
        let Some(tier) = reached.checked_sub(1).map(|index| save.tiers[index]) else {
            return Err(next.unwrap_or(Why::NothingOff));
        };
        match tier.save {
            Reward::Percent(percent) => Ok(Proposal { next, ..self.order_percent(takes, percent)? }),
            Reward::Amount(amount) => self.on_order(takes, amount, 1, next),
            Reward::Price(price) => {
                let (_, paid) = measure(takes, Base::Running);
                self.on_order(takes, paid - price, 1, next)
            }
        }
    }
}
