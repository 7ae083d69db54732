//! What is allowed in a folder and most likely not meant: warnings, each with its place.
//!
//! ```text
//! never     can never apply, or never gives anything (`never`)      AIS-3202
//! monotone  who joins, shows a coupon or buys more pays more        AIS-3201
//! overlap   the same benefit twice at the same time                 AIS-3203
//! cost      below what the shop pays, in the worst basket (`cost`)  AIS-3204
//! codes     no code of it can reach a shopper                       AIS-3205
//! ```
//! Said only of a folder without faults, so that references lead somewhere. A warning is certain or stays unsaid: what
//! cannot be told from the rules and the catalogue alone is `bundle simulate`'s matter. One promotion gets at most one
//! warning of a kind; switched off ones get none.

mod cost;
mod never;

use std::collections::{BTreeMap, BTreeSet};

use crate::domain::catalog::Item;
use crate::domain::code::Code;
use crate::domain::ids::{CategoryId, CouponId, PromotionId, SegmentId, Sku};
use crate::domain::money::Money;
use crate::limits;
use crate::pricing::model::{
    Audience, Benefit, BuyXGetY, Condition, ItemSet, Per, Pick, Promotion, Reduced, ResolutionMode, Reward,
    Schedule, SetReward, SetSize, Sets, StackingMode, Stage, Trigger, UnitSort, Window,
};
use crate::shopper::segment::Segments;

use super::authoring::{Folder, Place, Remark};
use super::located::Step;

type Path = Vec<Step>;

/// What is wrong, and with which part of the promotion.
type Said = (Path, String);

fn path(keys: &[&'static str]) -> Path {
    keys.iter().map(|key| Step::Key(key)).collect()
}

fn below(path: &[Step], steps: impl IntoIterator<Item = Step>) -> Path {
    path.iter().cloned().chain(steps).collect()
}

struct Adviser<'f> {
    folder: &'f Folder,
    shelves: Shelves<'f>,
    /// Segments nobody can be in.
    nobody: BTreeSet<&'f SegmentId>,
    /// Do shelf prices stay as the catalogue says them?
    fixed_prices: bool,
    remarks: Vec<Remark>,
}

/// Every warning about a folder that has no faults.
pub(super) fn remarks(folder: &Folder) -> Vec<Remark> {
    let schema = folder.shop.schema(&folder.items.values);
    let segments = &folder.segments.values;
    let sources: Vec<(SegmentId, &str)> = segments.iter().map(|s| (s.id.clone(), s.when.as_str())).collect();
    let compiled = Segments::compile(&schema, &sources);
    let never = |id: &SegmentId| {
        compiled.as_ref().is_ok_and(|all| all.get(id).is_some_and(|predicate| predicate.never_holds()))
    };
    let shelf = |p: &Promotion| p.active && p.stacking.stage == Some(Stage::Shelf);
    let mut adviser = Adviser {
        folder,
        shelves: Shelves::new(&folder.items.values),
        nobody: segments.iter().map(|segment| &segment.id).filter(|id| never(id)).collect(),
        fixed_prices: !folder.promotions.values.iter().any(shelf),
        remarks: Vec::new(),
    };
    for (index, segment) in segments.iter().enumerate() {
        if adviser.nobody.contains(&segment.id) {
            let place = folder.segments.place(index, path(&["when"]));
            let message = format!("nobody can be in segment {}: its conditions contradict", segment.id);
            adviser.say(Code::AdviceNever, place, message);
        }
    }
    for (index, promotion) in folder.promotions.values.iter().enumerate().filter(|(_, p)| p.active) {
        let never = adviser.never(promotion);
        let mut said = Vec::new();
        if never.is_none() {
            said.push((Code::AdviceMonotone, adviser.monotone(promotion)));
            said.push((Code::AdviceBelowCost, adviser.below_cost(promotion)));
        }
        said.push((Code::AdviceNever, never));
        for (code, said) in said {
            if let Some((path, message)) = said {
                adviser.say(code, folder.promotions.place(index, path), message);
            }
        }
    }
    adviser.overlaps();
    adviser.codes();
    adviser.remarks.truncate(limits::AUTHORING_FINDINGS_MAX);
    adviser.remarks
}

/// The catalogue by what sets name, so that a set looks at no more articles than it must.
struct Shelves<'f> {
    all: &'f [Item],
    by_sku: BTreeMap<&'f Sku, &'f Item>,
    by_category: BTreeMap<&'f CategoryId, Vec<&'f Item>>,
}

impl<'f> Shelves<'f> {
    fn new(all: &'f [Item]) -> Shelves<'f> {
        let mut by_category: BTreeMap<&CategoryId, Vec<&Item>> = BTreeMap::new();
        for item in all {
            item.categories.iter().for_each(|category| by_category.entry(category).or_default().push(item));
        }
        Shelves { all, by_sku: all.iter().map(|item| (&item.sku, item)).collect(), by_category }
    }

    /// The articles in a set. With `prices` their prices of the catalogue count too.
    fn of(&self, set: &ItemSet, prices: bool) -> Vec<&'f Item> {
        let candidates: Vec<&Item> = if !set.skus.is_empty() {
            set.skus.iter().filter_map(|sku| self.by_sku.get(sku).copied()).collect()
        } else if !set.categories.is_empty() {
            set.categories
                .iter()
                .filter_map(|category| self.by_category.get(category))
                .flatten()
                .copied()
                .collect()
        } else {
            self.all.iter().collect()
        };
        candidates.into_iter().filter(|item| holds(set, item, prices)).collect()
    }
}

/// Is an article in the set, its `skus` aside?
fn holds(set: &ItemSet, item: &Item, prices: bool) -> bool {
    let any_of = |list_is_empty: bool, found: bool| list_is_empty || found;
    let excepted = |except: &ItemSet| {
        any_of(except.skus.is_empty(), except.skus.contains(&item.sku)) && holds(except, item, prices)
    };
    !set.none
        && any_of(set.categories.is_empty(), item.categories.iter().any(|c| set.categories.contains(c)))
        && any_of(set.brands.is_empty(), item.brand.as_ref().is_some_and(|brand| set.brands.contains(brand)))
        && set
            .attributes
            .iter()
            .all(|(mark, values)| item.attributes.get(mark).is_some_and(|value| values.contains(value)))
        && (!prices
            || set.unit_price_min.is_none_or(|min| item.price >= min)
                && set.unit_price_max.is_none_or(|max| item.price <= max)
                && !(set.reduced == Reduced::Deny && item.is_reduced(item.price)))
        && !set.except.as_ref().is_some_and(|except| excepted(except))
}

/// Does it hold for somebody nobody knows?
fn takes_strangers(audience: &Audience) -> bool {
    match audience {
        Audience::Everyone => true,
        Audience::Any(of) => of.iter().any(takes_strangers),
        Audience::All(of) => of.iter().all(takes_strangers),
        Audience::Not(not) => !takes_strangers(not),
        _ => false,
    }
}

fn takes_all(audience: &Audience) -> bool {
    match audience {
        Audience::Everyone => true,
        Audience::Any(of) => of.iter().any(takes_all),
        Audience::All(of) => of.iter().all(takes_all),
        _ => false,
    }
}

/// The leaf of a condition that one thing more can break.
fn breaks(condition: &Condition, positive: bool, at: &[Step]) -> Option<Said> {
    let each = |of: &[Condition], name: &'static str| {
        let mut of = of.iter().enumerate();
        of.find_map(|(n, c)| breaks(c, positive, &below(at, [Step::Key(name), Step::At(n)])))
    };
    let leaf = |name: &'static str, key: Option<&'static str>, why: &str| {
        let steps = [Some(Step::Key(name)), key.map(Step::Key)];
        Some((below(at, steps.into_iter().flatten()), why.to_owned()))
    };
    match (condition, positive) {
        (Condition::All(of), _) => each(of, "all"),
        (Condition::Any(of), _) => each(of, "any"),
        (Condition::Not(not), _) => breaks(not, !positive, &below(at, [Step::Key("not")])),
        (Condition::Items(items), true) if items.qty_max.is_some() => {
            leaf("items", Some("qty_max"), "one unit more than this and the whole offer is gone")
        }
        (Condition::Items(items), true) if items.amount_max.is_some() => {
            leaf("items", Some("amount_max"), "whoever spends a little more than this loses the whole offer")
        }
        (Condition::Items(items), false) if items.qty_min.or(items.amount_min.map(|_| 1)).is_some() => {
            leaf("items", None, "under `not`: whoever buys enough of these loses the whole offer")
        }
        (Condition::LineQty(_), false) => {
            leaf("line_qty", None, "under `not`: whoever buys enough of one article loses the whole offer")
        }
        (Condition::AllIn(_), true) => {
            leaf("all_in", None, "one article from elsewhere in the basket and the whole offer is gone")
        }
        _ => None,
    }
}

/// The step of a spend-and-save or a tier that gives less than the one before it.
fn gives_less(benefit: &Benefit) -> Option<Said> {
    let less = |before: &Reward, now: &Reward| match (before, now) {
        (Reward::Percent(before), Reward::Percent(now)) => now < before,
        (Reward::Amount(before), Reward::Amount(now)) => now < before,
        (Reward::Price(before), Reward::Price(now)) => now > before,
        // What a percentage or a price comes to against an amount depends on what is bought.
        _ => true,
    };
    let (kind, rewards, field): (_, Vec<&Reward>, _) = match benefit {
        Benefit::SpendAndSave(save) => {
            ("spend_and_save", save.tiers.iter().map(|tier| &tier.save).collect(), "save")
        }
        Benefit::Sets(sets) => return larger_gives_less(sets),
        Benefit::Tiered(tiered) => ("tiered", tiered.tiers.iter().map(|tier| &tier.give).collect(), "give"),
        _ => return None,
    };
    let at = rewards.windows(2).position(|pair| less(pair[0], pair[1]))? + 1;
    let steps = [Step::Key("tiers"), Step::At(at), Step::Key(field)];
    let message =
        "this step gives less, or other, than the one before it: whoever reaches it may pay more".to_owned();
    Some((below(&path(&["benefit", kind]), steps), message))
}

/// A larger set that gives less for its units than a smaller one; it is made first all the same.
fn larger_gives_less(sets: &Sets) -> Option<Said> {
    let mut sizes: Vec<(usize, &SetSize)> = sets.sizes.iter().enumerate().collect();
    sizes.sort_by_key(|(_, size)| size.units);
    let less = |small: &SetSize, large: &SetSize| {
        let (few, many) = (i64::from(small.units), i64::from(large.units));
        match (small.give, large.give) {
            (SetReward::Percent(small), SetReward::Percent(large)) => large < small,
            (SetReward::UnitAmount(small), SetReward::UnitAmount(large)) => large < small,
            (SetReward::UnitPrice(small), SetReward::UnitPrice(large)) => large > small,
            (SetReward::Price(small), SetReward::Price(large)) => large.0 * few > small.0 * many,
            (SetReward::Amount(small), SetReward::Amount(large)) => large.0 * few < small.0 * many,
            _ => true,
        }
    };
    let (at, _) = sizes.windows(2).find(|pair| less(pair[0].1, pair[1].1)).map(|pair| pair[1])?;
    let message =
        "this size is made before a smaller one that gives more, or other, for its units".to_owned();
    Some((below(&path(&["benefit", "sets", "sizes"]), [Step::At(at)]), message))
}

/// Are there days on which both run? Hours and weekdays count too.
fn meet(a: &Schedule, b: &Schedule) -> bool {
    let apart = |from: Option<_>, to: Option<_>| from.zip(to).is_some_and(|(from, to)| from > to);
    if apart(a.from, b.to) || apart(b.from, a.to) {
        return false;
    }
    let share = |a: &[_], b: &[_]| a.is_empty() || b.is_empty() || a.iter().any(|day| b.contains(day));
    let days = |a: &[u8], b: &[u8]| a.is_empty() || b.is_empty() || a.iter().any(|day| b.contains(day));
    let hours = a.windows.is_empty()
        || b.windows.is_empty()
        || a.windows.iter().any(|one| {
            let wraps = |w: &Window| w.to < w.from;
            b.windows.iter().any(|two| wraps(one) || wraps(two) || (one.from < two.to && two.from < one.to))
        });
    share(&a.weekdays, &b.weekdays) && days(&a.month_days, &b.month_days) && hours
}

/// Is the condition about where the sale is, so that two offers may be meant for two places?
fn about_place(condition: &Condition) -> bool {
    match condition {
        Condition::All(of) | Condition::Any(of) => of.iter().any(about_place),
        Condition::Not(not) => about_place(not),
        Condition::Channel(_) | Condition::Device(_) | Condition::Zone(_) => true,
        _ => false,
    }
}

impl Adviser<'_> {
    fn say(&mut self, code: Code, place: Place, message: String) {
        self.remarks.push(Remark { place, code, message });
    }

    /// Where somebody pays more because they joined, presented a coupon or bought one thing more.
    fn monotone(&self, promotion: &Promotion) -> Option<Said> {
        if takes_strangers(&promotion.audience) && !takes_all(&promotion.audience) {
            let message = "whoever is not known gets it and a member may not: joining can cost money";
            return Some((path(&["audience"]), message.to_owned()));
        }
        let on_shelf = promotion.stacking.stage == Some(Stage::Shelf);
        if on_shelf && !takes_all(&promotion.audience) {
            let denies = |p: &&Promotion| p.active && p.qualifier.items.reduced == Reduced::Deny;
            if let Some(other) = self.folder.promotions.values.iter().find(denies) {
                let message = format!(
                    "whoever gets this shelf price loses {}, which leaves reduced goods out",
                    other.id
                );
                return Some((path(&["audience"]), message));
            }
        }
        let broken = breaks(&promotion.conditions, true, &path(&["conditions"]));
        broken
            .or_else(|| gives_less(&promotion.benefit))
            .or_else(|| self.gives_to_cheaper(promotion))
            .or_else(|| self.shuts_out(promotion))
    }

    /// Where a unit more is given less than another was given before.
    fn gives_to_cheaper(&self, promotion: &Promotion) -> Option<Said> {
        let caps = &promotion.caps;
        let by_line = caps.per_line.is_some()
            || match &promotion.benefit {
                Benefit::LineAmount(amount) => amount.per == Per::Line,
                Benefit::Tiered(tiered) => {
                    tiered.tiers.iter().any(|tier| matches!(tier.give, Reward::Amount(_)))
                }
                Benefit::FirstAndFurther(_) => true,
                _ => false,
            };
        let several = || self.shelves.of(&promotion.qualifier.items, self.fixed_prices).len() > 1;
        let groups = matches!(
            promotion.benefit,
            Benefit::Combo(_) | Benefit::Sets(_) | Benefit::NthItem(_) | Benefit::BuyXGetY(_)
        );
        let (counted, field) = match (caps.units, caps.per_line) {
            (Some(_), _) => (by_line, "units"),
            (None, capped) => (groups && capped.is_some(), "per_line"),
        };
        if counted && several() {
            let message =
                "units are counted and lines get something: more units of one line leave other lines out";
            return Some((path(&["caps", field]), message.to_owned()));
        }
        let (path, set) = match &promotion.benefit {
            Benefit::Sets(sets) if sets.sort != UnitSort::Dearest => {
                (path(&["benefit", "sets", "sort"]), &promotion.qualifier.items)
            }
            Benefit::NthItem(nth)
                if (nth.sort, nth.pick, nth.nth, nth.across)
                    != (UnitSort::Dearest, UnitSort::Cheapest, 1, false) =>
            {
                (path(&["benefit", "nth_item"]), &promotion.qualifier.items)
            }
            // A unit of both sets that received may have to pay once more groups come together.
            Benefit::BuyXGetY(BuyXGetY { get_items: Some(get), pick, .. })
                if *pick == Pick::Cheapest || self.overlap(get, &promotion.qualifier.items) =>
            {
                (path(&["benefit", "buy_x_get_y", "get_items"]), get)
            }
            _ if caps.pick != UnitSort::Dearest && caps.units.is_some() => {
                (path(&["caps", "pick"]), &promotion.qualifier.items)
            }
            _ => return None,
        };
        let prices = self.shelves.of(set, self.fixed_prices).into_iter().map(|item| item.price);
        let prices: BTreeSet<Money> = prices.collect();
        let message =
            "not the dearest units receive: a cheaper one more in the basket takes it from a dearer one";
        (prices.len() > 1 || !self.fixed_prices).then(|| (path, message.to_owned()))
    }

    fn overlap(&self, one: &ItemSet, other: &ItemSet) -> bool {
        let of = |set: &ItemSet| -> BTreeSet<&Sku> {
            self.shelves.of(set, self.fixed_prices).into_iter().map(|item| &item.sku).collect()
        };
        !of(one).is_disjoint(&of(other))
    }

    /// In declared order what stands alone does so even where the others would have given more.
    fn shuts_out(&self, promotion: &Promotion) -> Option<Said> {
        let others = self.folder.promotions.values.iter();
        let mut others = others.filter(|other| {
            let sibling = promotion.offer.is_some() && other.offer == promotion.offer;
            other.active && other.id != promotion.id && !sibling
        });
        let shuts = matches!(promotion.stacking.mode, StackingMode::Exclusive | StackingMode::StopFurther);
        // Shelf prices follow the declared order always.
        let in_order = self.folder.shop.resolution == ResolutionMode::Sequence
            || promotion.stacking.stage == Some(Stage::Shelf);
        if !in_order || !shuts || others.next().is_none() {
            return None;
        }
        let who = match promotion.trigger {
            Trigger::Code => "whoever presents its code",
            Trigger::Claim => "whoever claims it",
            Trigger::Auto => "whoever comes to meet it",
        };
        let message =
            format!("{who} gets it in place of others that may take more off: it stands in declared order");
        Some((path(&["stacking", "mode"]), message))
    }

    /// Two offers of one kind on the same goods for the same people at the same time, with nothing between them.
    fn overlaps(&mut self) {
        let promotions = &self.folder.promotions;
        let mut alike: BTreeMap<String, Vec<usize>> = BTreeMap::new();
        for (index, promotion) in promotions.values.iter().enumerate() {
            if promotion.active && promotion.trigger == Trigger::Auto {
                alike.entry(what_and_for_whom(promotion)).or_default().push(index);
            }
        }
        for indices in alike.values() {
            for (nth, later) in indices.iter().enumerate() {
                let now = &promotions.values[*later];
                let both = |before: &&usize| double(&promotions.values[**before], now);
                if let Some(before) = indices[..nth].iter().find(both) {
                    let message = format!(
                        "gives the same kind of benefit on the same goods at the same time as {}, and both apply",
                        promotions.values[*before].id
                    );
                    self.say(Code::AdviceOverlap, promotions.place(*later, path(&["id"])), message);
                }
            }
        }
    }

    /// Codes that nobody can ever hold: none is written, and no offer that anybody can have issues one.
    fn codes(&mut self) {
        let folder = self.folder;
        let promotions = &folder.promotions;
        let mut held: BTreeSet<&CouponId> = folder.codes.values.iter().map(|record| &record.coupon).collect();
        let public = folder.coupons.values.iter().filter(|coupon| coupon.code.is_some());
        held.extend(public.map(|coupon| &coupon.id));
        let issues = |promotion: &'_ Promotion| match &promotion.benefit {
            Benefit::IssueCoupon(issue) => Some(issue.coupon.clone()),
            Benefit::PointsRedeem(redeem) => redeem.coupon.as_ref().map(|issue| issue.coupon.clone()),
            _ => None,
        };
        let mut reach: BTreeSet<CouponId> = held.into_iter().cloned().collect();
        let set_off = |reach: &BTreeSet<CouponId>, id: &PromotionId| {
            folder.coupons.values.iter().any(|coupon| coupon.promotion == *id && reach.contains(&coupon.id))
        };
        loop {
            let open = promotions.values.iter().filter(|p| p.active);
            let open = open.filter(|p| p.trigger != Trigger::Code || set_off(&reach, &p.id));
            let more: Vec<CouponId> = open.filter_map(issues).filter(|id| !reach.contains(id)).collect();
            if more.is_empty() {
                break;
            }
            reach.extend(more);
        }
        for (index, coupon) in folder.coupons.values.iter().enumerate() {
            let Some(promotion) = promotions.values.iter().find(|p| p.id == coupon.promotion) else {
                continue;
            };
            let place = |key| folder.coupons.place(index, path(&[key]));
            if !promotion.active {
                continue;
            }
            if !meet(&coupon.schedule, &promotion.schedule) {
                let message = format!("its codes are good at no time at which {} runs", promotion.id);
                self.say(Code::AdviceNever, place("schedule"), message);
            }
            if reach.contains(&coupon.id) {
                continue;
            }
            let mut issuers =
                promotions.values.iter().filter(|p| p.active && issues(p).as_ref() == Some(&coupon.id));
            let message = match issuers.next() {
                None => "has no code of its own, codes.json none for it, and no offer issues it".to_owned(),
                Some(issuer) => format!(
                    "only {} issues it, which itself waits for a coupon that nobody can hold before",
                    issuer.id
                ),
            };
            self.say(Code::AdviceNoCode, place("id"), message);
        }
    }
}

/// What must be equal for two offers to look like one written twice.
fn what_and_for_whom(promotion: &Promotion) -> String {
    let kind = match serde_json::to_value(&promotion.benefit) {
        Ok(serde_json::Value::Object(fields)) => fields.into_iter().map(|(kind, of)| {
            let get = of.get("get_items").or(of.get("items")).or(of.get("parts")).cloned();
            (kind, get)
        }),
        other => return format!("{other:?}"),
    };
    let kind: Vec<_> = kind.collect();
    format!(
        "{kind:?} {:?} {:?} {:?}",
        promotion.qualifier.items, promotion.audience, promotion.stacking.stage
    )
}

/// Do both apply to the same basket, although nothing says that they should?
fn double(before: &Promotion, now: &Promotion) -> bool {
    let (a, b) = (&before.stacking, &now.stacking);
    let weighed = |mode| matches!(mode, StackingMode::BestOf | StackingMode::BestOfLine);
    let apart = a.group.is_some() && a.group == b.group && weighed(a.mode) && weighed(b.mode)
        || [a.mode, b.mode].contains(&StackingMode::Exclusive)
        || a.mode == StackingMode::StopFurther
        || before.qualifier.consumes && now.qualifier.consumes
        || before.offer.is_some() && before.offer == now.offer;
    let elsewhere = before.conditions != now.conditions
        && (about_place(&before.conditions) || about_place(&now.conditions));
    // Points and coupons add up on purpose more often than not.
    let money = !matches!(
        now.benefit,
        Benefit::PointsFixed(_)
            | Benefit::PointsRate(_)
            | Benefit::PointsPerUnit(_)
            | Benefit::PointsMultiplier(_)
            | Benefit::PointsRedeem(_)
            | Benefit::IssueCoupon(_)
            | Benefit::Gift(_)
    );
    money && !apart && !elsewhere && meet(&before.schedule, &now.schedule)
}
