//! What a bundle lets head office lend: the chain-wide limits of its promotions and the shop's `[leases]`.
//!
//! Invariant: a promotion that is switched off has no budget, one with a last day has it to that day's end; of two limits
//! of one measure the smaller counts.

use std::collections::BTreeMap;

use crate::domain::calendar::UnixMs;
use crate::domain::ids::{Prefix, PromotionId};
use crate::domain::lease::Scope;
use crate::limits;
use crate::pricing::model::{Limit, LimitMeasure, LimitScope, Promotion};

use super::document::Rules;

/// A limited thing of the chain.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Budget {
    /// How much there is in all, from 0 to `LEASE_BUDGET_MAX`.
    pub max: i64,
    /// After this moment it is called back.
    pub until: Option<UnixMs>,
}

/// Everything head office may lend, and how.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Terms {
    /// By scope, members' pockets left out.
    pub budgets: BTreeMap<Scope, Budget>,
    /// For how long a slice is good.
    pub outage_hours: u32,
    /// May a member's points be lent to a shop?
    pub pockets: bool,
    /// Which promotion a series' numbers set off: when it is called back, so are they.
    pub sets_off: BTreeMap<Prefix, PromotionId>,
}

impl Default for Terms {
    fn default() -> Terms {
        Terms {
            budgets: BTreeMap::new(),
            outage_hours: limits::LEASE_OUTAGE_HOURS,
            pockets: false,
            sets_off: BTreeMap::new(),
        }
    }
}

/// The chain-wide limits of a promotion, each with the scope it is lent by: to head office and to the shop the same.
pub fn scopes(promotion: &Promotion) -> impl Iterator<Item = (&Limit, Scope)> {
    let chain = promotion.limits.iter().filter(|limit| limit.scope == LimitScope::Chain);
    chain.map(|limit| {
        let id = promotion.id.clone();
        let scope = match limit.measure {
            LimitMeasure::Uses => Scope::Uses(id),
            LimitMeasure::Units => Scope::Units(id),
            LimitMeasure::Money => Scope::Money(id),
            LimitMeasure::Points => Scope::Points(id),
        };
        (limit, scope)
    })
}

impl Terms {
    /// What these rules say.
    pub fn of(rules: &Rules) -> Terms {
        let leases = &rules.shop.leases;
        let mut terms =
            Terms { outage_hours: leases.outage_hours, pockets: leases.pockets, ..Terms::default() };
        for promotion in rules.promotions.iter().filter(|promotion| promotion.active) {
            terms.limits_of(promotion, rules);
        }
        let money = leases.risk_budget.map(|budget| (Scope::Risk, budget.0));
        let points = leases.overdraft.map(|points| (Scope::Overdraft, points));
        for (scope, max) in money.into_iter().chain(points) {
            terms.add(scope, Budget { max, until: None });
        }
        for (series, promotion) in rules.series() {
            let prefix = &series.prefix;
            terms.add(Scope::Series(prefix.clone()), Budget { max: series.count, until: None });
            terms.sets_off.extend(promotion.map(|promotion| (prefix.clone(), promotion.clone())));
        }
        terms
    }

    fn limits_of(&mut self, promotion: &Promotion, rules: &Rules) {
        let last = promotion.schedule.to;
        let until = last.map(|day| rules.shop.time_zone.start_of(day.plus_days(1)));
        for (limit, scope) in scopes(promotion) {
            self.add(scope, Budget { max: limit.max, until });
        }
    }

    fn add(&mut self, scope: Scope, budget: Budget) {
        let max = budget.max.clamp(0, limits::LEASE_BUDGET_MAX);
        let known = self.budgets.entry(scope).or_insert(Budget { max, ..budget });
        known.max = known.max.min(max);
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::bundle::authoring;
    use crate::domain::calendar::Day;
    use crate::domain::ids::PromotionId;

    #[test]
    fn does_a_bundle_say_what_may_be_lent() {
        let shop = include_bytes!("../../config/bundle-example/shop.toml").to_vec();
        let promotion = |id: &str| {
            format!(
                "[[promotion]]\nid = \"{id}\"\ntitles = {{ en = \"Offer\" }}\nbenefit = {{ line_fixed_price = 3290 }}\n"
            )
        };
        let promotions = format!("{}{}", promotion("a"), promotion("b")).into_bytes();
        let files = vec![("shop.toml".into(), shop), ("promotions.toml".into(), promotions)];
        let mut rules = authoring::read(files).expect("the folder reads").rules;
        let limit = |measure: &str, max: i64| {
            serde_json::from_value(serde_json::json!({"scope": "chain", "measure": measure, "max": max}))
                .expect("a limit")
        };
        let promotion = &mut rules.promotions[0];
        let id: PromotionId = promotion.id.clone();
        promotion.limits = vec![limit("uses", 9), limit("uses", 7), limit("money", 500)];
        promotion.schedule.to = Day::new(2026, 11, 30);
        rules.promotions[1].limits = vec![limit("units", 5)];
        rules.promotions[1].active = false;
        let terms = Terms::of(&rules);
        let uses = terms.budgets[&Scope::Uses(id.clone())];
        let until = rules.shop.time_zone.start_of(Day::new(2026, 12, 1).expect("a day"));
        assert_eq!((uses.max, uses.until), (7, Some(until)));
        assert_eq!(terms.budgets[&Scope::Money(id)].max, 500);
        assert!(!terms.budgets.keys().any(|scope| matches!(scope, Scope::Units(_))));
        assert_eq!((terms.outage_hours, terms.pockets), (limits::LEASE_OUTAGE_HOURS, false));
    }
}
