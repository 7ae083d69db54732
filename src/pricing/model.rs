//! What a promotion is: data from closed enums, never code.
//!
//! The same types are the authoring form (TOML or JSON in a bundle's folder), the packed form and what the JSON
//! Schema is made from. A new kind of promotion is a new variant of `Benefit` (or of `Audience` or `Condition`);
//! the shape around it stays. Money is in minor units, times are the store's civil time, an end date means the end
//! of that day. Vocabulary after OMG retail data models and the commerce APIs (see design/3-promotions).

use std::collections::BTreeMap;

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::domain::calendar::{Day, TimeOfDay, Weekday};
use crate::domain::ids::{
    BrandId, CampaignId, CategoryId, CouponId, DeviceId, MemberId, PromotionId, SegmentId, Sku, Tag, TierId,
    Zone,
};
use crate::domain::money::{Leftover, Money, Percent, Rounding};
use crate::domain::text::Texts;

/// An offer the shopper sees.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Promotion {
    /// Unique in the bundle; also the last tie-break of every choice.
    pub id: PromotionId,
    /// The campaign that plans and pays for it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub campaign: Option<CampaignId>,
    /// Counts up with each change of its rules.
    #[serde(default = "one")]
    pub version: u32,
    /// What shopper and receipt read.
    pub titles: Texts,
    /// One sentence more, for kiosks.
    #[serde(default)]
    pub texts: Texts,
    /// Switched off promotions stay in the bundle and say so when asked.
    #[serde(default = "yes")]
    pub active: bool,
    /// When.
    #[serde(default)]
    pub schedule: Schedule,
    /// For whom.
    #[serde(default)]
    pub audience: Audience,
    /// What must be true of the sale.
    #[serde(default)]
    pub conditions: Condition,
    /// Which units count and receive: the benefit's own sets are taken within this one.
    #[serde(default)]
    pub qualifier: Qualifier,
    /// What it gives.
    pub benefit: Benefit,
    /// How much at most.
    #[serde(default)]
    pub caps: Caps,
    /// How often at most.
    #[serde(default)]
    pub limits: Vec<Limit>,
    /// Beside which others.
    #[serde(default)]
    pub stacking: Stacking,
    /// What happens when goods come back.
    #[serde(default)]
    pub returns: ReturnPolicy,
    /// What happens without a line to head office.
    #[serde(default)]
    pub offline: OfflinePolicy,
    /// What sets it off.
    #[serde(default)]
    pub trigger: Trigger,
    /// Promotions with the same mark here are the actions of one offer: conditions that held when the first of them
    /// was applied hold for the others, and an exclusive one does not shut out the rest of its offer.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub offer: Option<Tag>,
}

fn one() -> u32 {
    1
}

fn yes() -> bool {
    true
}

/// What sets a promotion off.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum Trigger {
    /// Whenever its conditions hold.
    #[default]
    Auto,
    /// A coupon presented.
    Code,
    /// A reward chosen by shopper or cashier.
    Claim,
}

/// When a promotion runs, by the store's wall clock. Empty means always.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
pub struct Schedule {
    /// First day.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub from: Option<Day>,
    /// Last day, to its end.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub to: Option<Day>,
    /// Only on these weekdays; none means every day.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub weekdays: Vec<Weekday>,
    /// Only on these days of the month, for member days (会员日); none means every day.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub month_days: Vec<u8>,
    /// Only in these windows; none means all day. A window past midnight belongs to the day it begins on.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub windows: Vec<Window>,
    /// Not on these days.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub except: Vec<Day>,
    /// On the first day from this minute on; from midnight without.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub opens: Option<TimeOfDay>,
    /// On the last day to the end of this minute; to midnight without.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub closes: Option<TimeOfDay>,
}

/// A part of a day: `from` included, `to` excluded; `to` before `from` runs past midnight.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Window {
    /// First minute.
    pub from: TimeOfDay,
    /// First minute after it.
    pub to: TimeOfDay,
}

/// For whom a promotion is.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum Audience {
    /// Everybody.
    #[default]
    Everyone,
    /// Any known member.
    Member,
    /// Members in one of these segments.
    Segment(Vec<SegmentId>),
    /// Members of one of these tiers.
    Tier(Vec<TierId>),
    /// Members with one of these tags.
    Tag(Vec<Tag>),
    /// Members of one of these groups.
    Group(Vec<Tag>),
    /// These members.
    Is(Vec<MemberId>),
    /// Members around their birthday.
    Birthday(BirthdayWindow),
    /// Members who never bought here or elsewhere.
    FirstVisit,
    /// Members whose n-th completed order this would be.
    NthPurchase(u32),
    /// Members who win an instant draw on this visit; how many prizes there are is a limit's matter.
    Drawn(Draw),
    /// One of several audiences.
    Any(Vec<Audience>),
    /// Each of several audiences.
    All(Vec<Audience>),
    /// Everybody else.
    Not(Box<Audience>),
}

/// An instant draw that anybody can check afterwards. The SHA-256 of the seed, the member and the number of the visit
/// decides, so asking for a price again, or adding an article, draws nothing new. Publish the seed's own SHA-256 before
/// the campaign and the seed after it.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Draw {
    /// A secret text, one for each draw.
    pub seed: String,
    /// So many visits win on average,
    pub wins: u32,
    /// of so many.
    pub of: u32,
}

/// Days around a birthday.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
pub struct BirthdayWindow {
    /// Days before it on which the offer already runs.
    pub days_before: u16,
    /// Days after it on which the offer still runs.
    pub days_after: u16,
    /// Instead: the whole month of the birthday.
    pub whole_month: bool,
}

/// On which amounts a condition or a benefit looks.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum Base {
    /// Shelf prices, before any promotion.
    List,
    /// What earlier promotions left.
    #[default]
    Running,
}

/// Something that must be true of the sale.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum Condition {
    /// Each of them; none is true.
    All(Vec<Condition>),
    /// One of them.
    Any(Vec<Condition>),
    /// Not this.
    Not(Box<Condition>),
    /// Units of a set: how many, worth how much.
    Items(ItemsCondition),
    /// Some single line of a set holds so many units.
    LineQty(LineQtyCondition),
    /// Every unit of the basket is in the set.
    AllIn(ItemSet),
    /// The sale comes through one of these channels.
    Channel(Vec<Channel>),
    /// The sale is rung up on one of these devices.
    Device(Vec<DeviceId>),
    /// The sale is rung up in one of these zones.
    Zone(Vec<Zone>),
    /// The store's currency is this ISO 4217 code.
    Currency(String),
}

impl Default for Condition {
    fn default() -> Condition {
        Condition::All(Vec::new())
    }
}

/// Units of a set, counted and valued; an absent bound does not bind.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
pub struct ItemsCondition {
    /// Which units; the whole basket if empty.
    pub items: ItemSet,
    /// At least so many units.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub qty_min: Option<u32>,
    /// At most so many units.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub qty_max: Option<u32>,
    /// Worth at least this, inclusive.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub amount_min: Option<Money>,
    /// Worth at most this, inclusive.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub amount_max: Option<Money>,
    /// Valued before or after earlier promotions.
    pub base: Base,
}

/// Some line of a set with so many units.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct LineQtyCondition {
    /// Which lines.
    #[serde(default)]
    pub items: ItemSet,
    /// Units the line needs.
    pub qty_min: u32,
}

/// Through what a sale comes in.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum Channel {
    /// A staffed till.
    #[default]
    Till,
    /// Self-service.
    Kiosk,
    /// An order from the chain's shop on the net, picked up here.
    Online,
}

/// A set of units: every list that is given must match (a list matches by any of its entries).
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
pub struct ItemSet {
    /// These articles.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub skus: Vec<Sku>,
    /// In one of these categories, at any level.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub categories: Vec<CategoryId>,
    /// Of one of these brands.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub brands: Vec<BrandId>,
    /// With all of these marks, each by any of its values.
    #[serde(skip_serializing_if = "BTreeMap::is_empty")]
    pub attributes: BTreeMap<Tag, Vec<Tag>>,
    /// Shelf price at least this.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub unit_price_min: Option<Money>,
    /// Shelf price at most this.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub unit_price_max: Option<Money>,
    /// Units whose shelf price is already below their list price: count them or not.
    #[serde(skip_serializing_if = "is_allow")]
    pub reduced: Reduced,
    /// But none of these.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub except: Option<Box<ItemSet>>,
    /// No unit at all, whatever else is said.
    #[serde(skip_serializing_if = "std::ops::Not::not")]
    pub none: bool,
}

fn is_allow(reduced: &Reduced) -> bool {
    *reduced == Reduced::Allow
}

/// Whether already reduced units count.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum Reduced {
    /// They count.
    #[default]
    Allow,
    /// They do not.
    Deny,
}

/// Which units count towards the promotion and receive it.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
pub struct Qualifier {
    /// Units that receive the benefit (and, where the benefit names no set of its own, that qualify for it).
    pub items: ItemSet,
    /// At least so many such units.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub qty_min: Option<u32>,
    /// Such units worth at least this, inclusive.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub amount_min: Option<Money>,
    /// Valued before or after earlier promotions.
    pub base: Base,
    /// Are units that made it qualify used up for other promotions that consume?
    pub consumes: bool,
}

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
    #[serde(default = "one")]
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

/// Articles at a better price beside a purchase; the qualifier's items are what must be bought.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct AddOn {
    /// Which articles of the basket may be had so; what they cost does not count towards `per_amount`.
    pub items: ItemSet,
    /// What each receives.
    pub reward: Reward,
    /// Units each time.
    #[serde(default = "one")]
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
    #[serde(default = "one")]
    pub choose: u32,
    /// Units of each given each time.
    #[serde(default = "one")]
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

/// How much a promotion gives at most, within one sale.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
pub struct Caps {
    /// Off one unit.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub per_unit: Option<Money>,
    /// Off one line.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub per_line: Option<Money>,
    /// Off the basket.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub per_order: Option<Money>,
    /// No unit below this price through it.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub floor_price: Option<Money>,
    /// Applications: sets, groups, full amounts, multiples.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub applications: Option<u32>,
    /// Units that receive.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub units: Option<u32>,
    /// Units that receive on one line.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub units_per_line: Option<u32>,
    /// Which units receive first where `units` binds: the dearest are best for the shopper; the cheapest one that still
    /// costs anything with `units = 1` is 最低价商品.
    pub pick: UnitSort,
}

/// A bound over many sales.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Limit {
    /// Over what it counts.
    pub scope: LimitScope,
    /// What it counts.
    pub measure: LimitMeasure,
    /// How much at most.
    pub max: i64,
}

/// Over what a limit counts.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum LimitScope {
    /// This shop, ever.
    Store,
    /// This shop, each civil day (限时抢购 with a daily quantity).
    StoreDay,
    /// The whole chain: spent offline only inside a lease.
    Chain,
    /// One member, ever.
    Member,
    /// One member, each civil day.
    MemberDay,
    /// One code, ever.
    Code,
    /// One device, each civil day.
    Device,
}

/// What a limit counts.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum LimitMeasure {
    /// Sales it was applied in.
    Uses,
    /// Units that received.
    Units,
    /// Money taken off, in minor units.
    Money,
    /// Points given.
    Points,
}

/// Beside which other promotions it may stand.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
pub struct Stacking {
    /// Promotions of one group are weighed against each other; without a group against none.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub group: Option<Tag>,
    /// How.
    pub mode: StackingMode,
    /// A second percentage is taken of the list price or of what is left.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub base: Option<Base>,
    /// Higher first; then the order of the bundle.
    pub priority: i32,
    /// When its turn is, where that is not what its kind says. Points earned always come last.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub stage: Option<Stage>,
}

/// When in a sale a promotion's turn is.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum Stage {
    /// Before the basket: it changes the shelf price of every unit, and all later promotions take that for the price.
    Shelf,
    /// With the promotions on units.
    Unit,
    /// With the promotions on the order.
    Order,
    /// With the rewards claimed.
    Reward,
}

/// How promotions of a group stand beside each other.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum StackingMode {
    /// Beside all others.
    #[default]
    Stack,
    /// Alone in the whole sale: if it applies, no other does (不与其他优惠同享).
    Exclusive,
    /// The one of its group that takes most off the sale.
    BestOf,
    /// The one of its group that takes most off, decided for each line.
    BestOfLine,
    /// Later promotions skip the units it reached.
    StopFurther,
}

/// What happens to a promotion when goods it touched come back.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum ReturnPolicy {
    /// The frozen share of the unit is refunded, the rest keeps its discount.
    #[default]
    Keep,
    /// What the rest would have cost under the rules of the sale is taken from the refund.
    ReEvaluate,
    /// What the promotion gave on the rest is taken from the refund.
    ClawBack,
    /// Only all of it may come back.
    BlockPartial,
}

/// What a promotion may do without a line to head office.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
pub struct OfflinePolicy {
    /// Whether it runs.
    pub mode: OfflineMode,
    /// Money off at most while offline, in minor units.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub exposure_max: Option<Money>,
    /// Hours without head office after which what it relies on is stale.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub stale_after_hours: Option<u32>,
    /// What then.
    pub when_stale: WhenStale,
}

/// Whether a promotion runs offline.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum OfflineMode {
    /// Always.
    #[default]
    Always,
    /// Inside a lease.
    Leased,
    /// Not.
    Never,
}

/// What a stale promotion does.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum WhenStale {
    /// Runs on.
    #[default]
    Allow,
    /// Does not apply.
    Deny,
}

/// How money is worked out: stated once by the bundle.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
pub struct Arithmetic {
    /// Where a half goes.
    pub rounding: Rounding,
    /// On what a discount is rounded.
    pub round_at: RoundAt,
    /// What a second percentage is taken of.
    pub percent_base: Base,
    /// Who gets leftover cents.
    pub leftover: Leftover,
    /// The canonical order of the basket: decides ties, and who is first. Never the order of its lines.
    pub listing: Listing,
}

/// The canonical order of a basket's articles.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum Listing {
    /// By shelf price, dearest first; then by article.
    #[default]
    Dearest,
    /// By article number.
    Article,
}

/// On what a discount is rounded.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum RoundAt {
    /// Each unit.
    #[default]
    Unit,
    /// Each line.
    Line,
    /// The promotion's total.
    Total,
}

/// How the set of promotions that apply is found.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum ResolutionMode {
    /// In declared order: priority, then list order.
    #[default]
    Sequence,
    /// The combination best for the shopper, proved.
    Best,
}

/// The points programme's own rules.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
pub struct PointsProgramme {
    /// What every member earns on what they pay; none means nothing.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub earn: Option<PointsRate>,
    /// What points are worth when spent on a basket; none means they cannot be.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub redeem: Option<PointsRedeem>,
    /// Units that neither earn nor are paid with points, for example tobacco.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub except: Option<ItemSet>,
}
