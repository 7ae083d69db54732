//! Promotions that can never apply, or never give anything: contradictory audiences and conditions, sets without an
//! article, thresholds above a cap, schedules without a day.
//!
//! Every judgement errs on the side of silence: a threshold is only held against a cap that looks at the same units, a
//! price only against the catalogue where nothing changes shelf prices. A catalogue without articles says nothing.

use crate::domain::calendar::Day;
use crate::domain::catalog::Item;
use crate::domain::money::Money;
use crate::pricing::model::{
    Audience, Base, Benefit, Condition, ItemSet, Promotion, Schedule, SetReward, Window,
};

use super::super::located::Step;
use super::{Adviser, Said, below, path};

/// Days of a schedule that are looked at one by one: nobody plans further.
const DAYS_LOOKED_AT: i64 = 3_660;

impl Adviser<'_> {
    /// Why it can never apply, with the part that says so.
    pub(super) fn never(&self, promotion: &Promotion) -> Option<Said> {
        let schedule = || {
            let at = |key: &'static str| path(&["schedule", key]);
            closed(&promotion.schedule).map(|(key, message)| (at(key), message.to_owned()))
        };
        let audience = || {
            let nobody = self.for_nobody(&promotion.audience);
            nobody.then(|| (path(&["audience"]), "nobody can be in this audience".to_owned()))
        };
        schedule()
            .or_else(audience)
            .or_else(|| self.condition(&promotion.conditions, &path(&["conditions"])))
            .or_else(|| self.empty(&promotion.qualifier.items, &path(&["qualifier", "items"])))
            .or_else(|| self.receives_nothing(promotion))
            .or_else(|| beyond_cap(promotion))
            .or_else(|| self.gives_nothing(promotion))
    }

    fn for_nobody(&self, audience: &Audience) -> bool {
        match audience {
            Audience::Segment(of) => of.iter().all(|segment| self.nobody.contains(segment)),
            Audience::Any(of) => of.iter().all(|part| self.for_nobody(part)),
            Audience::All(of) => of.iter().any(|part| self.for_nobody(part)) || exclude_each_other(of),
            Audience::Not(not) => super::takes_all(not),
            _ => false,
        }
    }

    /// Why a condition never holds.
    fn condition(&self, condition: &Condition, at: &[Step]) -> Option<Said> {
        match condition {
            Condition::All(of) => {
                let mut each = of.iter().enumerate();
                each.find_map(|(n, c)| self.condition(c, &below(at, [Step::Key("all"), Step::At(n)])))
                    .or_else(|| contradiction(of, at))
            }
            Condition::Any(of) => {
                let mut said = of
                    .iter()
                    .enumerate()
                    .map(|(n, c)| self.condition(c, &below(at, [Step::Key("any"), Step::At(n)])));
                let first = said.next()?;
                first.filter(|_| said.all(|other| other.is_some()))
            }
            Condition::Not(not) => always(not).then(|| {
                (
                    below(at, [Step::Key("not")]),
                    "what stands under `not` always holds, so this never does".into(),
                )
            }),
            Condition::Items(items) => {
                let at = below(at, [Step::Key("items")]);
                let asks =
                    items.qty_min.unwrap_or(0) > 0 || items.amount_min.is_some_and(|a| a.is_positive());
                let empty =
                    asks.then(|| self.empty(&items.items, &below(&at, [Step::Key("items")]))).flatten();
                empty.or_else(|| {
                    let dearest = self.dearest(&items.items)?;
                    let most = dearest.0.saturating_mul(i64::from(items.qty_max?));
                    let need = items.amount_min?;
                    (most < need.0).then(|| {
                        let message = format!(
                            "asks for {} and lets at most {} units count, which come to {most} at the most",
                            need.0,
                            items.qty_max.unwrap_or(0)
                        );
                        (below(&at, [Step::Key("amount_min")]), message)
                    })
                })
            }
            Condition::LineQty(line) => {
                self.empty(&line.items, &below(at, [Step::Key("line_qty"), Step::Key("items")]))
            }
            Condition::AllIn(set) => self.empty(set, &below(at, [Step::Key("all_in")])),
            Condition::Currency(code) => (*code != self.folder.shop.currency.code).then(|| {
                let ours = &self.folder.shop.currency.code;
                (below(at, [Step::Key("currency")]), format!("the shop's currency is {ours}, never {code}"))
            }),
            Condition::Channel(_) | Condition::Device(_) | Condition::Zone(_) => None,
        }
    }

    fn empty(&self, set: &ItemSet, at: &[Step]) -> Option<Said> {
        let none = !self.shelves.all.is_empty() && self.shelves.of(set, self.fixed_prices).is_empty();
        none.then(|| (at.to_vec(), "no article of the catalogue is in this set".to_owned()))
    }

    /// What the dearest article of a set costs, where the catalogue says so for certain.
    fn dearest(&self, set: &ItemSet) -> Option<Money> {
        let items = self.fixed_prices.then(|| self.shelves.of(set, true))?;
        items.iter().map(|item| item.price).max()
    }

    fn receives_nothing(&self, promotion: &Promotion) -> Option<Said> {
        match &promotion.benefit {
            Benefit::BuyXGetY(buy) => {
                let set = buy.get_items.as_ref()?;
                self.empty(set, &path(&["benefit", "buy_x_get_y", "get_items"]))
            }
            Benefit::AddOn(add_on) => self.empty(&add_on.items, &path(&["benefit", "add_on", "items"])),
            Benefit::Combo(combo) => combo.parts.iter().enumerate().find_map(|(n, part)| {
                let at = below(&path(&["benefit", "combo", "parts"]), [Step::At(n), Step::Key("items")]);
                self.empty(&part.items, &at)
            }),
            _ => None,
        }
    }

    /// A benefit that takes nothing off at today's prices.
    fn gives_nothing(&self, promotion: &Promotion) -> Option<Said> {
        let set = &promotion.qualifier.items;
        match &promotion.benefit {
            Benefit::LineFixedPrice(price) => {
                let dearest = self.dearest(set)?;
                (dearest <= *price).then(|| {
                    let message = format!("every article of the set costs {} or less already", dearest.0);
                    (path(&["benefit", "line_fixed_price"]), message)
                })
            }
            Benefit::MemberPrice => {
                let cheaper = |item: &&Item| item.member_price.is_some_and(|price| price < item.price);
                let any = self.shelves.of(set, true).iter().any(cheaper);
                let known = !self.shelves.all.is_empty() && self.fixed_prices;
                (known && !any).then(|| {
                    (path(&["benefit"]), "no article of the set has a lower member price".to_owned())
                })
            }
            Benefit::Sets(sets) => {
                let dearest = self.dearest(set)?;
                let useless = |give: &SetReward, units: u32| match give {
                    SetReward::Price(price) => dearest.times(units) <= *price,
                    SetReward::UnitPrice(price) => dearest <= *price,
                    SetReward::Percent(_) | SetReward::Amount(_) | SetReward::UnitAmount(_) => false,
                };
                sets.sizes.iter().all(|size| useless(&size.give, size.units)).then(|| {
                    let message = "a set costs no less than its units cost already".to_owned();
                    (path(&["benefit", "sets", "sizes"]), message)
                })
            }
            Benefit::PointsMultiplier(_) if self.folder.points.earn.is_none() => Some((
                path(&["benefit"]),
                "the programme gives no points that could be multiplied: points.toml has no `earn`"
                    .to_owned(),
            )),
            _ => {
                let floor = promotion.caps.floor_price?;
                let dearest = self.dearest(set)?;
                (dearest <= floor).then(|| {
                    let message = format!(
                        "no article of the set costs more than this floor; the dearest {}",
                        dearest.0
                    );
                    (path(&["caps", "floor_price"]), message)
                })
            }
        }
    }
}

/// Why a schedule has no minute, with the field that says so.
fn closed(schedule: &Schedule) -> Option<(&'static str, &'static str)> {
    let (Some(from), Some(to)) = (schedule.from, schedule.to) else { return None };
    let open = |day: &Day| {
        (schedule.weekdays.is_empty() || schedule.weekdays.contains(&day.weekday()))
            && (schedule.month_days.is_empty() || schedule.month_days.contains(&day.day_of_month()))
            && !schedule.except.contains(day)
    };
    let days = to.days_since(from).min(DAYS_LOOKED_AT);
    if !(0..=days).map(|days| from.plus_days(days)).any(|day| open(&day)) {
        let field =
            if schedule.weekdays.is_empty() && schedule.month_days.is_empty() { "except" } else { "to" };
        return Some((field, "none of its days lies between its first and its last"));
    }
    let one_day = from == to && schedule.windows.iter().all(|window| window.from < window.to);
    let opens = schedule.opens.map_or(0, |time| time.minutes());
    let closes = schedule.closes.map_or(24 * 60, |time| time.minutes());
    if one_day && opens > closes {
        return Some(("closes", "closes before it opens, on the one day that it runs"));
    }
    let meets = |w: &Window| w.from.minutes() <= closes && opens < w.to.minutes();
    let shut = one_day && !schedule.windows.is_empty() && !schedule.windows.iter().any(meets);
    shut.then_some(("windows", "none of its windows lies between opening and closing on its one day"))
}

fn needs_member(audience: &Audience) -> bool {
    match audience {
        Audience::Everyone | Audience::Not(_) => false,
        Audience::Any(of) => of.iter().all(needs_member),
        Audience::All(of) => of.iter().any(needs_member),
        _ => true,
    }
}

/// Do parts that must all hold exclude each other?
fn exclude_each_other(of: &[Audience]) -> bool {
    let negated = |part: &Audience| match part {
        Audience::Not(not) => of.contains(not) || **not == Audience::Member && of.iter().any(needs_member),
        _ => false,
    };
    let apart = |a: &Audience, b: &Audience| match (a, b) {
        (Audience::Tier(a), Audience::Tier(b)) => !a.iter().any(|tier| b.contains(tier)),
        (Audience::Is(a), Audience::Is(b)) => !a.iter().any(|member| b.contains(member)),
        (Audience::NthPurchase(a), Audience::NthPurchase(b)) => a != b,
        (Audience::FirstVisit, Audience::NthPurchase(n)) => *n > 1,
        (Audience::NthPurchase(n), Audience::FirstVisit) => *n > 1,
        _ => false,
    };
    of.iter().any(|a| negated(a) || of.iter().any(|b| apart(a, b)))
}

fn always(condition: &Condition) -> bool {
    match condition {
        Condition::All(of) => of.iter().all(always),
        Condition::Any(of) => of.iter().any(always),
        Condition::Items(items) => {
            let asks = items.qty_min.unwrap_or(0) > 0 || items.amount_min.is_some_and(|a| a.is_positive());
            !asks && items.qty_max.is_none() && items.amount_max.is_none()
        }
        _ => false,
    }
}

/// Two conditions that must both hold and cannot.
fn contradiction(of: &[Condition], at: &[Step]) -> Option<Said> {
    let apart = |a: &Condition, b: &Condition| match (a, b) {
        (Condition::Items(a), Condition::Items(b)) if a.items == b.items => {
            let qty = a.qty_min.zip(b.qty_max).is_some_and(|(min, max)| min > max);
            let amount = a.amount_min.zip(b.amount_max).is_some_and(|(min, max)| min > max);
            // What is left after promotions may be below the one and not above the other.
            qty || amount && (a.base == b.base || b.base == Base::List)
        }
        (Condition::Channel(a), Condition::Channel(b)) => !a.iter().any(|one| b.contains(one)),
        (Condition::Device(a), Condition::Device(b)) => !a.iter().any(|one| b.contains(one)),
        (Condition::Zone(a), Condition::Zone(b)) => !a.iter().any(|one| b.contains(one)),
        (Condition::Not(not), other) => **not == *other,
        _ => false,
    };
    of.iter().enumerate().find_map(|(n, one)| {
        let other = of.iter().position(|other| apart(one, other))?;
        let message = format!("can never hold together with number {} of the same list", other + 1);
        Some((below(at, [Step::Key("all"), Step::At(n)]), message))
    })
}

/// A threshold above what a condition on the whole basket lets through, or a set larger than the units it may reach.
fn beyond_cap(promotion: &Promotion) -> Option<Said> {
    let (units, amount) = needs(promotion);
    if let Some(((need, at), cap)) = units.clone().zip(promotion.caps.units)
        && need.1 > cap
    {
        let message = format!("needs {} units that receive, and caps.units lets {cap} receive", need.1);
        return Some((at, message));
    }
    for condition in tops(&promotion.conditions) {
        let Condition::Items(items) = condition else { continue };
        if items.items != ItemSet::default() {
            continue;
        }
        if let Some(((need, at), cap)) = units.clone().zip(items.qty_max)
            && need.0 > cap
        {
            let message =
                format!("needs {} units, and a condition lets at most {cap} be in the basket", need.0);
            return Some((at, message));
        }
        if let Some(((need, base, at), cap)) = amount.clone().zip(items.amount_max)
            && need > cap
            && (base == items.base || items.base == Base::List)
        {
            let message =
                format!("needs {}, and a condition lets the basket come to at most {}", need.0, cap.0);
            return Some((at, message));
        }
    }
    None
}

pub(super) fn tops(condition: &Condition) -> Vec<&Condition> {
    match condition {
        Condition::All(of) => of.iter().flat_map(tops).collect(),
        other => vec![other],
    }
}

/// Units in the basket and units that receive.
type UnitsNeeded = ((u32, u32), Vec<Step>);
/// Spent, how it is valued.
type SpentNeeded = (Money, Base, Vec<Step>);

/// The least that must be bought, with the field that says so.
fn needs(promotion: &Promotion) -> (Option<UnitsNeeded>, Option<SpentNeeded>) {
    let qualifier = &promotion.qualifier;
    let at = |kind: &'static str, field: &'static str| path(&["benefit", kind, field]);
    let units = match &promotion.benefit {
        Benefit::BuyXGetY(buy) => {
            Some(((buy.buy.saturating_add(buy.get), buy.get), at("buy_x_get_y", "get")))
        }
        Benefit::NthItem(nth) => Some(((nth.n, 1), at("nth_item", "n"))),
        Benefit::Sets(sets) => {
            sets.sizes.iter().map(|size| size.units).min().map(|least| ((least, least), at("sets", "sizes")))
        }
        Benefit::Combo(combo) => {
            let size = combo.parts.iter().map(|part| part.units).fold(0, u32::saturating_add);
            Some(((size, size), at("combo", "parts")))
        }
        _ => qualifier.qty_min.map(|qty| ((qty, 0), path(&["qualifier", "qty_min"]))),
    };
    let amount = match &promotion.benefit {
        Benefit::SpendAndSave(save) => {
            let first = save.tiers.first().map(|tier| (tier.spend, "tiers"));
            let every = save.every.as_ref().map(|every| (every.spend, "every"));
            first.or(every).map(|(spend, field)| (spend, save.base, at("spend_and_save", field)))
        }
        _ => qualifier.amount_min.map(|least| (least, qualifier.base, path(&["qualifier", "amount_min"]))),
    };
    (units, amount)
}
