//! What a promotion gives: the closed list of mechanics, each with the fields a bundle writes for it.
//!
//! Few and general: a percentage, an amount or a price is a `Reward` wherever it stands; which units receive is said by
//! sets, sorts and picks. Amounts are minor units. Ranges are `check`'s matter.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::domain::calendar::TimeOfDay;
use crate::domain::ids::{CouponId, PromotionId, Sku};
use crate::domain::money::{Money, Percent};

use super::{Base, ItemSet};

/// What a promotion gives.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum Benefit {
    /// A percentage off each unit (打折).
    LinePercent(Percent),
    /// An amount off.
    LineAmount(LineAmount),
    /// Each unit at this price (一口价, 限时抢购).
    LineFixedPrice(Money),
    /// Each unit at the catalogue's member price (会员价).
    MemberPrice,
    /// A percentage off the basket.
    OrderPercent(Percent),
    /// An amount off the basket.
    OrderAmount(Money),
    /// The basket for this price.
    OrderFixedPrice(Money),
    /// Spend so much, save so much: single, tiered, or again for each so much (满减, 每满减).
    SpendAndSave(SpendAndSave),
    /// Buy some units, get others cheaper (买赠, 买一送一).
    BuyXGetY(BuyXGetY),
    /// Every n-th unit cheaper (第二件半价).
    NthItem(NthItem),
    /// The more of it, the cheaper each line: by what a line or the basket comes to, or by units (阶梯价).
    Tiered(Tiered),
    /// So much off the first unit of each line, so much off each further one.
    FirstAndFurther(FirstAndFurther),
    /// Complete sets of units for a price or cheaper: mix and match, multibuy (任选N件X元, 组合价).
    Sets(Sets),
    /// Different articles together for a price or cheaper (套餐, 搭配价).
    Combo(Combo),
    /// An article of the basket cheaper for what else is bought (加价购).
    AddOn(AddOn),
    /// Less the nearer the end: of the shelf life, or of the trading day (临期, 晚市折扣).
    Markdown(Markdown),
    /// Units added to the basket (赠品).
    Gift(Gift),
    /// So many points for the sale, beside the programme's rate.
    PointsFixed(u32),
    /// So many points for each full amount spent on the units.
    PointsRate(PointsOffer),
    /// So many points for each unit that is paid for.
    PointsPerUnit(u32),
    /// The programme's points on these units times this many hundredths: 200 is double points.
    PointsMultiplier(u32),
    /// Points turned into money off, goods or a coupon.
    PointsRedeem(PointsReward),
    /// A coupon for the next visit.
    IssueCoupon(IssueCoupon),
}

impl Benefit {
    /// The coupon it issues.
    pub fn issues(&self) -> Option<&IssueCoupon> {
        match self {
            Benefit::IssueCoupon(issue) => Some(issue),
            Benefit::PointsRedeem(reward) => reward.coupon.as_ref(),
            _ => None,
        }
    }

    /// The gift it gives.
    pub fn gift(&self) -> Option<&Gift> {
        match self {
            Benefit::Gift(gift) => Some(gift),
            Benefit::PointsRedeem(reward) => reward.gift.as_ref(),
            _ => None,
        }
    }
}

/// An amount off units.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct LineAmount {
    /// How much, in minor units; never more than what is left of the unit.
    pub amount: Money,
    /// Off what.
    #[serde(default)]
    pub per: Per,
}

/// What an amount is given on.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum Per {
    /// Each unit.
    #[default]
    Unit,
    /// Each line once.
    Line,
    /// All matching lines together once, spread over them.
    Group,
}

/// Money or percentage off.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum Reward {
    /// A percentage off; 100 is free.
    Percent(Percent),
    /// An amount off.
    Amount(Money),
    /// Instead sold at this price.
    Price(Money),
}

/// Spend-and-save. Exactly one of `tiers` and `every` is given.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
pub struct SpendAndSave {
    /// The highest tier reached counts.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub tiers: Vec<SpendTier>,
    /// Again for each full amount.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub every: Option<SpendEvery>,
    /// Spent before or after earlier promotions.
    pub base: Base,
}

/// One step of a spend-and-save.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct SpendTier {
    /// From this amount on, inclusive.
    pub spend: Money,
    /// What is given.
    pub save: Reward,
}

/// Save so much for each full so much.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct SpendEvery {
    /// Each full amount.
    pub spend: Money,
    /// Gives this.
    pub save: Money,
}

/// Buy some, get others cheaper; the received units are in the basket already.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct BuyXGetY {
    /// Units to buy, from the promotion's qualifier items.
    pub buy: u32,
    /// Units that receive the reward.
    pub get: u32,
    /// Which units receive; without a set, units of the same set as those bought.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub get_items: Option<ItemSet>,
    /// What they receive; free if not said.
    #[serde(default = "free")]
    pub reward: Reward,
    /// Which units receive where more could.
    #[serde(default)]
    pub pick: Pick,
    /// Does an incomplete group already receive its units beyond `buy`?
    #[serde(default)]
    pub partial: bool,
}

fn free() -> Reward {
    Reward::Percent(Percent::FULL)
}

/// Which of several units.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum Pick {
    /// The cheapest.
    #[default]
    Cheapest,
    /// The dearest.
    Dearest,
}

/// Each n-th unit of a set cheaper: units are sorted and cut into complete groups of `n`, one of each group receives.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct NthItem {
    /// Units of one group: 2 for 第二件半价.
    pub n: u32,
    /// What it receives.
    pub reward: Reward,
    /// Are groups made of units of one article only?
    #[serde(default)]
    pub same_sku: bool,
    /// How units are sorted before they are cut into groups.
    #[serde(default)]
    pub sort: UnitSort,
    /// How a group is sorted before the one that receives is counted out.
    #[serde(default = "cheapest")]
    pub pick: UnitSort,
    /// Which of a group, so sorted, receives; 1 is the first.
    #[serde(default = "super::one")]
    pub nth: u32,
    /// Instead of one of each group: of all units of complete groups, sorted by `pick`, the `nth` block of as many units
    /// as there are groups.
    #[serde(default)]
    pub across: bool,
}

fn cheapest() -> UnitSort {
    UnitSort::Cheapest
}

/// In which order units are taken.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum UnitSort {
    /// The dearest first.
    #[default]
    Dearest,
    /// The cheapest first.
    Cheapest,
    /// In the canonical order of the basket, which `Arithmetic::listing` states.
    Listed,
}

/// The more, the cheaper.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Tiered {
    /// What is measured.
    pub by: TierMeasure,
    /// From the lowest to the highest; the highest reached counts.
    pub tiers: Vec<Tier>,
}

/// What chooses a tier.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum TierMeasure {
    /// What each line comes to now, in minor units: each line has its own tier.
    LineAmount,
    /// How many units each line holds: each line has its own tier.
    LineUnits,
    /// What the qualifier's units come to now.
    ItemsAmount,
    /// How many units the qualifier holds.
    ItemsUnits,
    /// What the whole basket comes to now.
    OrderAmount,
}

/// One step of a tiered promotion.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Tier {
    /// From so much or so many on, inclusive.
    pub from: u64,
    /// What is given: an amount once on each line, a percentage or price on each unit.
    pub give: Reward,
}

/// An amount for the first unit of a line, another for each further one.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct FirstAndFurther {
    /// Off the first, in minor units.
    pub first: Money,
    /// Off each further one.
    pub further: Money,
    /// Units of a line that count at most.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub units: Option<u32>,
}

/// Complete sets of units. Larger sets are made first; a set that would cost more than its units is not made.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Sets {
    /// Sizes, each with what it gives.
    pub sizes: Vec<SetSize>,
    /// Which units make a set first.
    #[serde(default)]
    pub sort: UnitSort,
    /// Are sets made of units of one article only?
    #[serde(default)]
    pub same_sku: bool,
}

/// A size of set.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct SetSize {
    /// Units of one set.
    pub units: u32,
    /// What it gives.
    pub give: SetReward,
}

/// What a set of units receives.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum SetReward {
    /// The set for this price, in minor units.
    Price(Money),
    /// A percentage off its units.
    Percent(Percent),
    /// An amount off the set.
    Amount(Money),
    /// Each of its units at this price.
    UnitPrice(Money),
    /// An amount off each of its units.
    UnitAmount(Money),
}

/// So many units of each of several sets make a combination; dearest units first, as often as it comes together. A unit
/// of two sets stands for the first of them.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Combo {
    /// What belongs to one.
    pub parts: Vec<ComboPart>,
    /// What it receives.
    pub give: SetReward,
}

/// One part of a combination.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct ComboPart {
    /// Which units; they are taken within the qualifier's items.
    pub items: ItemSet,
    /// How many.
    #[serde(default = "super::one")]
    pub units: u32,
}

/// Articles at a better price beside a purchase; the qualifier's items are what must be bought.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct AddOn {
    /// Which articles of the basket may be had so; what they cost does not count towards `per_amount`.
    pub items: ItemSet,
    /// What each receives.
    pub reward: Reward,
    /// Units each time.
    #[serde(default = "super::one")]
    pub units: u32,
    /// Again for each so many units of the qualifier's items.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub per_qty: Option<u32>,
    /// Again for each full amount spent on the qualifier's items.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub per_amount: Option<Money>,
}

/// The less time is left, the more is taken off. The floor is the article's and `caps.floor_price`.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Markdown {
    /// Time to what: to the unit's own best-before day, or to the close of trading at this minute.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub closing: Option<TimeOfDay>,
    /// From the most time left to the least; the last that is reached counts.
    pub steps: Vec<MarkdownStep>,
}

/// One step of a markdown.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct MarkdownStep {
    /// With at most this left: days to the best-before day (0 is that day), or minutes to closing.
    pub left: u32,
    /// Taken off.
    pub off: Percent,
}

/// Units added to the basket.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Gift {
    /// Articles to choose from; without a choice by the shopper the first ones that the till has count.
    pub choices: Vec<Sku>,
    /// Different articles given each time.
    #[serde(default = "super::one")]
    pub choose: u32,
    /// Units of each given each time.
    #[serde(default = "super::one")]
    pub qty: u32,
    /// Price of a given unit: nothing, or a token price.
    #[serde(default)]
    pub unit_price: Money,
    /// Given once for each so many units of the qualifier's items; once in all without.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub per_qty: Option<u32>,
    /// Given once for each full amount of the qualifier's items.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub per_amount: Option<Money>,
}

/// Points for money spent, as a promotion gives them.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct PointsOffer {
    /// So many points.
    pub points: u32,
    /// For each full amount in minor units.
    pub per_amount: Money,
    /// On which amount; units that cost nothing in the end never earn.
    #[serde(default)]
    pub basis: PointsBasis,
    /// Also for part of an amount, in proportion, rounded down to one point.
    #[serde(default)]
    pub fractions: bool,
}

/// On which amount points are earned.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum PointsBasis {
    /// What the units are paid with, after everything.
    #[default]
    Net,
    /// Shelf prices.
    Gross,
    /// Shelf prices less what promotions on units took off: order promotions do not lower it.
    GrossOfOrder,
    /// Shelf prices less what these promotions took off.
    ReducedBy(Vec<PromotionId>),
}

/// Points for money spent.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct PointsRate {
    /// So many points.
    pub points: u32,
    /// For each full amount in minor units.
    pub per_amount: Money,
}

/// Points turned into money off: whole multiples of `points` only.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct PointsRedeem {
    /// So many points.
    pub points: u32,
    /// Take this much off the basket.
    pub amount: Money,
    /// At most this share of what is to pay.
    #[serde(default = "whole")]
    pub share_max: Percent,
}

fn whole() -> Percent {
    Percent::FULL
}

/// What points are given for when a shopper claims it. Exactly one of `amount`, `percent`, `free_units`, `gift` and
/// `coupon` is given.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
pub struct PointsReward {
    /// So many points, each time.
    pub points: u32,
    /// Take this much off the qualifier's units.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub amount: Option<Money>,
    /// Take this share off the qualifier's units; with `caps.units` and `caps.pick` off the cheapest one.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub percent: Option<Percent>,
    /// Make so many of the qualifier's units free.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub free_units: Option<u32>,
    /// Add these units.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub gift: Option<Gift>,
    /// Issue this coupon.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub coupon: Option<IssueCoupon>,
    /// At most this share of what is to pay, for `amount`.
    #[serde(default = "whole")]
    pub share_max: Percent,
    /// Where `amount` is more than what is left to pay: take what is left. `all` costs the full points all the same,
    /// `share` only the points for what is taken.
    pub partial: Partial,
    /// As often as the points allow, however often it is claimed.
    pub repeat: bool,
    /// Take all points there are: `amount` in proportion to them, not in whole multiples.
    pub use_all: bool,
    /// May points be spent that this very sale earns?
    pub with_earned: bool,
}

/// What happens where points are worth more than what is left to pay.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum Partial {
    /// Only whole multiples that fit.
    #[default]
    No,
    /// The last multiple takes what is left and costs its full points.
    All,
    /// The last multiple takes what is left and costs points for that, rounded up.
    Share,
}

/// A coupon given with a sale for a later one.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct IssueCoupon {
    /// Which coupon definition.
    pub coupon: CouponId,
    /// Days it is good for, the day of issue not counted.
    pub valid_days: u16,
}
