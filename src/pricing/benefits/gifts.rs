//! Units added to the basket.

use crate::domain::ids::Sku;
use crate::domain::money::Money;
use crate::limits;

use super::super::conditions;
use super::super::explain::Why;
use super::super::model::Gift;
use super::{Given, Proposal, Take, Turn, qualified};

impl<'a> Turn<'_, 'a> {
    pub(super) fn gift(&self, takes: &[Take], gift: &'a Gift) -> Result<Proposal<'a>, Why<'a>> {
        let set = &self.rule.set;
        let (qty, amount) =
            conditions::count(self.sitting, self.state, set, self.rule.promotion.qualifier.base);
        let (mut times, next) = self.again((gift.per_qty, gift.per_amount), (qty, amount))?;
        let each = gift.qty.saturating_mul(gift.choose);
        times = times.min(self.units_max().unwrap_or(u32::MAX).min(limits::BASKET_UNITS_MAX) / each);
        let gifts = self.given(gift, times)?;
        Ok(Proposal {
            marks: takes.iter().map(qualified).collect(),
            units: gifts.iter().map(|given| given.qty).sum(),
            gifts,
            times,
            next: next.filter(|_| times < self.times_max()),
            ..Proposal::default()
        })
    }

    /// The articles that are given: those the shopper chose, then the first of the list, none that is gone.
    pub(in super::super) fn given(&self, gift: &'a Gift, times: u32) -> Result<Vec<Given<'a>>, Why<'a>> {
        if times == 0 {
            return Err(Why::NothingOff);
        }
        let basket = self.sitting.sale.basket;
        let here = |sku: &&'a Sku| !basket.gone().contains(sku);
        let choice = basket.choices().iter().find(|choice| choice.promotion == self.rule.promotion.id);
        let wished = choice.map_or(&[][..], |choice| &choice.skus);
        let chosen = gift.choices.iter().filter(|sku| wished.contains(sku)).filter(here);
        let others = gift.choices.iter().filter(|sku| !wished.contains(sku)).filter(here);
        let given = chosen.chain(others).take(gift.choose as usize).map(|sku| Given {
            sku,
            qty: times * gift.qty,
            unit_price: gift.unit_price,
        });
        let given: Vec<Given<'a>> = given.collect();
        if given.is_empty() { Err(Why::GiftGone) } else { Ok(given) }
    }

    /// How often something is given for so many units, or for each full amount; once, or as claimed, without either. And
    /// what it takes for one time more.
    pub(super) fn again(
        &self,
        (per_qty, per_amount): (Option<u32>, Option<Money>),
        (qty, spent): (u32, Money),
    ) -> Result<(u32, Option<Why<'a>>), Why<'a>> {
        let set = &self.rule.set;
        let mut times = self.times_max();
        let mut next = None;
        if let Some(per) = per_qty {
            times = times.min(qty / per);
            next = Some(Why::Units { seen: qty, need: (qty / per + 1) * per, set });
        }
        if let Some(per) = per_amount {
            let full = spent.0.max(0) / per.0;
            times = times.min(u32::try_from(full).unwrap_or(u32::MAX));
            next = Some(Why::Spent { seen: spent, need: Money((full + 1) * per.0), set });
        }
        if per_qty.is_none() && per_amount.is_none() {
            times = times.min(self.candidate.claim.map_or(1, |claim| claim.times));
        }
        if times == 0 { Err(next.unwrap_or(Why::NothingOff)) } else { Ok((times, next)) }
    }
}
