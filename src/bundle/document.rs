//! The bundle's document: everything a shop's rules are, as typed data.
//!
//! One set of types serves the authoring form (a folder of TOML or JSON files, `authoring`), the packed form
//! (`packed`) and the published JSON Schema. `Rules` is small and always in memory; members and single-use codes are
//! records by the hundred thousand and go to the tables, a line at a time.

use std::collections::BTreeMap;
use std::fmt;

use schemars::JsonSchema;
use serde::de::Visitor;
use serde::{Deserialize, Deserializer, Serialize, Serializer};

use crate::domain::calendar::{Day, StoreZone};
use crate::domain::catalog::Item;
use crate::domain::ids::{
    CampaignId, CouponCode, CouponId, MemberId, PromotionId, SegmentId, Sku, StoreId, Tag, TierId,
};
use crate::domain::member::{Profile, Token};
use crate::domain::money::{Currency, Money};
use crate::domain::series::Series;
use crate::domain::text::{Lang, Texts, hex};
use crate::limits;
use crate::pricing::model::{
    Arithmetic, Audience, IssueCoupon, PointsProgramme, Promotion, ResolutionMode, Schedule,
};
use crate::shopper::scales::Millionths;
use crate::shopper::segment::{AttributeKind, Scales, Schema, hierarchy};
use crate::shopper::targeting::Caps;

use super::keys::PublicKey;

/// Everything but members and codes.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Rules {
    /// The shop's settings.
    pub shop: Shop,
    /// The assortment.
    pub catalogue: Vec<Item>,
    /// Named predicates over the member.
    pub segments: Vec<Segment>,
    /// Campaigns.
    pub campaigns: Vec<Campaign>,
    /// Offers, in declared order.
    pub promotions: Vec<Promotion>,
    /// Coupon definitions.
    pub coupons: Vec<Coupon>,
    /// The points programme.
    pub points: PointsProgramme,
    /// What to suggest to whom.
    pub recommendations: Vec<RecommendationList>,
    /// Care messages at a scan.
    pub care: Vec<CareMessage>,
    /// Partners whose vouchers are taken.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub partners: Vec<Partner>,
    /// Head office's factors of articles.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub factors: Vec<ItemFactors>,
    /// Head office's network.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub network: Option<ShippedNetwork>,
}

/// What a factorisation fitted by head office says of an article: numbers, as many for each article. A member is taken to be
/// the mean of what they bought, so nothing of members is shipped and whoever is new is served as well.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct ItemFactors {
    /// The article.
    pub sku: Sku,
    /// Its numbers, 1 to 64.
    #[schemars(length(min = 1, max = limits::RECOMMEND_RANK_MAX))]
    pub numbers: Vec<Millionths>,
}

/// A network fitted by head office: an ONNX model (`shopper::recommend::network`) and the articles of its columns.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct ShippedNetwork {
    /// The article of each column.
    pub items: Vec<Sku>,
    /// The model's file.
    pub model: Blob,
}

/// The article of the next column of head office's network: first entry, first column.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct NetworkItem {
    /// The article.
    pub sku: Sku,
}

/// Bytes: as they are where programs read, as hexadecimal digits where people do.
#[derive(Clone, PartialEq, Eq)]
pub struct Blob(pub Vec<u8>);

impl fmt::Debug for Blob {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} bytes", self.0.len())
    }
}

impl Serialize for Blob {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        match serializer.is_human_readable() {
            true => serializer.serialize_str(&hex(&self.0)),
            false => serializer.serialize_bytes(&self.0),
        }
    }
}

impl<'de> Deserialize<'de> for Blob {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Blob, D::Error> {
        struct Bytes;
        impl Visitor<'_> for Bytes {
            type Value = Blob;
            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("bytes, or their hexadecimal digits")
            }
            fn visit_bytes<E: serde::de::Error>(self, bytes: &[u8]) -> Result<Blob, E> {
                Ok(Blob(bytes.to_vec()))
            }
            fn visit_str<E: serde::de::Error>(self, digits: &str) -> Result<Blob, E> {
                let pairs = digits.as_bytes().chunks(2).map(|pair| {
                    let pair = std::str::from_utf8(pair).ok().filter(|pair| pair.len() == 2)?;
                    u8::from_str_radix(pair, 16).ok()
                });
                let bytes: Option<Vec<u8>> = pairs.collect();
                bytes.map(Blob).ok_or_else(|| E::custom("there are not two hexadecimal digits for each byte"))
            }
        }
        match deserializer.is_human_readable() {
            true => deserializer.deserialize_str(Bytes),
            false => deserializer.deserialize_bytes(Bytes),
        }
    }
}

/// `shop.toml`
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Shop {
    /// The chain; part of each token's hash.
    pub chain: String,
    /// What people call the shop or chain.
    #[serde(default)]
    pub names: Texts,
    /// The shops this bundle is for; every shop if empty.
    #[serde(default)]
    pub stores: Vec<StoreId>,
    /// Its currency.
    pub currency: Currency,
    /// Its IANA time zone.
    pub time_zone: StoreZone,
    /// The language texts fall back to.
    #[serde(default)]
    pub lang: Lang,
    /// How money is worked out.
    #[serde(default)]
    pub arithmetic: Arithmetic,
    /// How the set of promotions is found.
    #[serde(default)]
    pub resolution: ResolutionMode,
    /// Stacking groups that are resolved otherwise.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub group_resolution: BTreeMap<Tag, ResolutionMode>,
    /// Seconds a quote is honoured, 10 to 3,600.
    #[serde(default = "quote_seconds")]
    #[schemars(range(min = 10, max = 3600))]
    pub quote_seconds: u32,
    /// The programme's tiers, lowest first; where none are declared any tier may be named.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub tiers: Vec<Tier>,
    /// The attributes head office computes for members, with what each holds.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub attributes: BTreeMap<Tag, AttributeKind>,
    /// What members are measured by: `rfm` and `lifecycle` of segments.
    #[serde(default, skip_serializing_if = "Scales::is_empty")]
    pub scales: Scales,
    /// Of 10,000 members who agreed to be known, how many are shown no campaign at all, in any shop of the chain.
    #[serde(default, skip_serializing_if = "is_zero")]
    #[schemars(range(max = 10000))]
    pub holdout: u16,
    /// What head office lends to shops, beside the chain-wide limits of promotions.
    #[serde(default, skip_serializing_if = "Leases::is_default")]
    pub leases: Leases,
}

/// What head office lends: spent without a line only inside what was lent before.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
pub struct Leases {
    /// Money off, in minor units, that all shops together may give for single-use codes whose home is another shop.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub risk_budget: Option<Money>,
    /// Points that members may spend, in all shops together, beyond what is lent of their own.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub overdraft: Option<i64>,
    /// Hours without a line to head office for which a slice is good, 1 to 2,160.
    #[schemars(range(min = 1, max = 2160))]
    pub outage_hours: u32,
    /// May a member's points be lent to the shop where they are spent?
    pub pockets: bool,
    /// Numbers of the members whom shops enrol; without it, or where none is left, an id that the shop makes.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub members: Option<Series>,
}

impl Default for Leases {
    fn default() -> Leases {
        Leases {
            risk_budget: None,
            overdraft: None,
            outage_hours: limits::LEASE_OUTAGE_HOURS,
            pockets: false,
            members: None,
        }
    }
}

impl Leases {
    fn is_default(&self) -> bool {
        *self == Leases::default()
    }
}

impl Shop {
    /// What segments' predicates may speak of, with these articles.
    pub fn schema<'a>(&self, catalogue: impl IntoIterator<Item = &'a Item>) -> Schema {
        let tiers = self.tiers.iter().map(|tier| tier.id.clone()).collect();
        let categories = hierarchy(catalogue.into_iter().map(|item| item.categories.as_slice()));
        Schema { tiers, attributes: self.attributes.clone(), scales: self.scales.clone(), categories }
    }
}

/// A rank in the members' programme.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Tier {
    /// Its id.
    pub id: TierId,
    /// What people read.
    #[serde(default)]
    pub names: Texts,
}

fn quote_seconds() -> u32 {
    300
}

/// A named predicate over the member.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Segment {
    /// Its id.
    pub id: SegmentId,
    /// What people read.
    #[serde(default)]
    pub names: Texts,
    /// The predicate, for example `tier in ["gold", "platinum"] && days_since_last > 21`.
    pub when: String,
}

/// A planning container of promotions.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Campaign {
    /// Its id.
    pub id: CampaignId,
    /// What people read.
    #[serde(default)]
    pub names: Texts,
    /// First day.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub from: Option<Day>,
    /// Last day, to its end.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub to: Option<Day>,
    /// Who answers for it.
    #[serde(default)]
    pub owner: String,
    /// Money it may cost the chain, in minor units.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub budget: Option<Money>,
    /// Of 10,000 members who agreed to be known, how many are not shown its offers at a scan, so that its results can be compared;
    /// baskets cost them the same.
    #[serde(default, skip_serializing_if = "is_zero")]
    #[schemars(range(max = 10000))]
    pub holdout: u16,
    /// Its part of a layer, whose campaigns are shown to different members; to all without one.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub layer: Option<LayerPart>,
    /// How its offers and care messages are chosen for members who agreed to be known; as they are declared without it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub show: Option<Show>,
}

/// How often, to whom and in which order a campaign is shown at a scan. What a basket costs does not depend on it.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
pub struct Show {
    /// At most so often to one member, counted in this shop.
    #[serde(flatten)]
    pub caps: Caps,
    /// What an answer is worth, its cost taken off, in minor units: offers are put in the order of this times the chance of an
    /// answer.
    pub worth: Money,
    /// Weight of that in thousandths, 1 to 10,000; 1,000 where nothing is said.
    #[schemars(range(max = 10000))]
    pub weight: u16,
    /// Money that discounts of its promotions may come to in each shop from its first day to its last, in minor units: as it runs
    /// ahead of the days, fewer members are shown it.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub pace: Option<Money>,
    /// Of its offers that are open to a member show one, the one answered most, inside these bounds.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub pick: Option<Pick>,
    /// How likely an answer is; without it the shop fits a model on its own answers as soon as it has enough.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub response: Option<Response>,
}

/// Bounds of a choice among a campaign's offers, which are the same for each of them.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Pick {
    /// Of 10,000 choices at least so many, however badly it did.
    #[schemars(range(max = 10000))]
    pub least: u16,
    /// Of 10,000 choices at most so many, however well it did.
    #[schemars(range(min = 1, max = 10000))]
    pub most: u16,
}

fn is_zero_weight(weight: &Millionths) -> bool {
    weight.0 == 0
}

/// A logistic model that head office ships: the chance of an answer is 1 / (1 + e^-x), x the intercept and the sum of fields
/// times weights. A flag counts 1; what nobody knows counts 0.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
pub struct Response {
    /// Where nothing is known.
    #[serde(skip_serializing_if = "is_zero_weight")]
    pub intercept: Millionths,
    /// By field, as segments name them: numbers and flags.
    pub weights: BTreeMap<String, Millionths>,
}

fn is_zero(share: &u16) -> bool {
    *share == 0
}

/// Which members of a layer are a campaign's: every member has a number from 0 to 9,999 in each layer.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct LayerPart {
    /// The layer.
    pub id: Tag,
    /// The first number.
    pub from: u16,
    /// The first number that is not its own any more, up to 10,000.
    #[schemars(range(max = 10000))]
    pub to: u16,
}

/// A right to a promotion: the definition. Single-use instances stand in `codes`.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Coupon {
    /// Its id.
    pub id: CouponId,
    /// The promotion it sets off (whose trigger is `code`).
    pub promotion: PromotionId,
    /// A code everybody may use; none where each coupon has a code of its own.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub code: Option<CouponCode>,
    /// When its codes are good, beside the promotion's own schedule.
    #[serde(default)]
    pub schedule: Schedule,
    /// Only for the member it was given to?
    #[serde(default)]
    pub personal: bool,
    /// Its codes are members' own, to be handed on: only others may use them, and the owner gains too.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub referral: Option<Referral>,
    /// Codes that shops issue of it are numbers of this series, lent to them by head office; without it nobody can guess them.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub series: Option<Series>,
}

impl Rules {
    /// Every series that is lent, with the promotion its numbers set off.
    pub fn series(&self) -> impl Iterator<Item = (&Series, Option<&PromotionId>)> {
        let coupons = self.coupons.iter();
        let codes = coupons.filter_map(|coupon| Some((coupon.series.as_ref()?, Some(&coupon.promotion))));
        codes.chain(self.shop.leases.members.iter().map(|series| (series, None)))
    }
}

/// What a referral code gives its owner. Whoever presents it gets the coupon's promotion; how often one code serves is a
/// limit of that promotion: `{ scope = "code", measure = "uses", max = 10 }`.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Referral {
    /// Points, for each sale.
    #[serde(default)]
    pub points: u32,
    /// A coupon for the owner's next visit, for each sale.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub coupon: Option<IssueCoupon>,
    /// Only for members who never bought here or elsewhere.
    #[serde(default = "yes")]
    pub new_only: bool,
}

fn yes() -> bool {
    true
}

/// A mall, bank or brand whose printed vouchers are honoured: each is signed, verified on the box, and used once.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Partner {
    /// Its id.
    pub id: Tag,
    /// What people read.
    #[serde(default)]
    pub names: Texts,
    /// The keys it signs with; a key left out is believed no more.
    pub keys: Vec<PartnerKey>,
    /// The promotions its vouchers may set off (whose trigger is `code`).
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub promotions: Vec<PromotionId>,
    /// Money one of its vouchers may pay at most, in minor units; without it none of its vouchers pays.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub value_max: Option<Money>,
}

/// A key of a partner.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct PartnerKey {
    /// Its public half; the vouchers name it by the first 8 bytes of its SHA-256.
    pub public: PublicKey,
    /// First day its vouchers are taken.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub from: Option<Day>,
    /// Last day its vouchers are taken, to its end.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub to: Option<Day>,
}

/// A single-use code.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct CodeRecord {
    /// What is presented.
    pub code: CouponCode,
    /// Which coupon it is an instance of.
    pub coupon: CouponId,
    /// Whose it is, where it is personal.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub member: Option<MemberId>,
    /// The shop where it may be redeemed without asking head office; any that holds this bundle if none.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub home: Option<StoreId>,
}

/// A member as head office ships one.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct MemberRecord {
    /// Pseudonymous id.
    pub id: MemberId,
    /// What the member may show; stored as hashes.
    #[serde(default)]
    pub tokens: Vec<Token>,
    /// Points when the bundle was signed.
    #[serde(default)]
    pub points: i64,
    /// Everything else head office knows.
    #[serde(default)]
    pub profile: Profile,
}

/// What to suggest to whom: locally cached recommendations.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct RecommendationList {
    /// For whom; the first list that matches is shown first.
    #[serde(default)]
    pub audience: Audience,
    /// What.
    pub items: Vec<Recommended>,
}

/// One suggestion.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Recommended {
    /// Which article.
    pub sku: Sku,
    /// 0 to 1,000; higher first.
    #[schemars(range(max = 1000))]
    pub score: u16,
    /// Why, in a few words.
    #[serde(default)]
    pub because: Texts,
}

/// A care message at a scan.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct CareMessage {
    /// What kind, for the kiosk's picture.
    pub kind: CareKind,
    /// Its campaign, whose results count it, whose caps bound it and whose held out members do not see it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub campaign: Option<CampaignId>,
    /// For whom and when.
    #[serde(default)]
    pub audience: Audience,
    /// `{name}` is replaced by the member's name.
    pub texts: Texts,
}

/// What kind of care.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum CareKind {
    /// Around the birthday.
    Birthday,
    /// A first visit.
    Welcome,
    /// Back after a long time.
    WelcomeBack,
    /// Something the member buys often is due.
    DueToRebuy,
    /// Points or coupons run out soon.
    Expiring,
    /// Any other.
    Notice,
}
