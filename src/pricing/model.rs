//! What a promotion is: data from closed enums, never code.
//!
//! The same types are the authoring form (TOML or JSON in a bundle's folder), the packed form and what the JSON
//! Schema is made from. A new kind of promotion is a new variant of `Benefit` (or of `Audience` or `Condition`);
//! the shape around it stays. Money is in minor units, times are the store's civil time, an end date means the end
//! of that day. Vocabulary after OMG retail data models and the commerce APIs (see design/3-promotions).

mod benefit;

use std::collections::BTreeMap;

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

pub use crate::domain::basket::Channel;
use crate::domain::calendar::{Day, TimeOfDay, Weekday};
use crate::domain::ids::{
    BrandId, CampaignId, CategoryId, DeviceId, MemberId, PromotionId, SegmentId, Sku, Tag, TierId, Zone,
};
use crate::domain::money::{Leftover, Money, Rounding};
use crate::domain::text::Texts;

pub use benefit::{
    AddOn, Benefit, BuyXGetY, Combo, ComboPart, FirstAndFurther, Gift, IssueCoupon, LineAmount, Markdown,
    MarkdownStep, NthItem, Partial, Per, Pick, PointsBasis, PointsOffer, PointsRate, PointsRedeem,
    PointsReward, Reward, SetReward, SetSize, Sets, SpendAndSave, SpendEvery, SpendTier, Tier, TierMeasure,
    Tiered, UnitSort,
};

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
    /// What a sale used stays used though all of it is voided or comes back. Limits over the same count (of this shop, of
    /// the member) must agree.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub count_cancelled: bool,
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

impl LimitScope {
    /// Is there one count for both?
    pub fn shares_count(self, other: LimitScope) -> bool {
        let count = |scope| match scope {
            LimitScope::Store | LimitScope::StoreDay | LimitScope::Chain => 0,
            LimitScope::Member | LimitScope::MemberDay => 1,
            LimitScope::Code => 2,
            LimitScope::Device => 3,
        };
        count(self) == count(other)
    }
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
    /// Only all units it reached may come back; what made it hold not without them.
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
