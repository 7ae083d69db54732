//! The bundle a shop runs on: compiled and indexed once, immutable, shared by every quote made with it.
//!
//! `Bundle::compile` takes `Rules` apart: the catalogue and the promotions move into what prices baskets, nothing is
//! kept twice. `plan` says what to do with another bundle, from the two references alone, so that no clock, file or
//! order of arrival can bring an older one back.

use std::collections::BTreeMap;
use std::fmt;
use std::sync::Arc;

use crate::domain::calendar::Day;
use crate::domain::catalog::Item;
use crate::domain::code::Code;
use crate::domain::ids::{BundleRef, CampaignId, CouponCode, CouponId, MemberId, PromotionId, Sku};
use crate::domain::series::Series;
use crate::limits;
use crate::pricing::model::{PointsProgramme, Promotion};
use crate::pricing::{Book, BookRules, CouponRule};
use crate::shopper::experiment;
use crate::shopper::recommend::network::{Network, NetworkFault};
use crate::shopper::segment::{Schema, Segments};

use super::document::{
    Campaign, CareMessage, Coupon, ItemFactors, Partner, PartnerKey, RecommendationList, Rules, Segment,
    ShippedNetwork, Shop,
};
use super::keys::KeyId;
use super::showing::{self, Showing};
use super::trials::{self, Sight};
use super::voucher::{Gives, Signed};

/// A verified bundle holds rules that do not compile. Fits after "failed to compile the bundle:".
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct CompileError {
    /// Everything that is wrong, one line each. `aisled bundle check` finds all of it before signing.
    pub faults: Vec<String>,
}

impl CompileError {
    /// Its page.
    pub fn code(&self) -> Code {
        Code::BundleMalformed
    }
}

impl fmt::Display for CompileError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.faults.join("; "))
    }
}

impl std::error::Error for CompileError {}

/// The rules of a shop, ready to be asked.
#[derive(Debug)]
pub struct Bundle {
    /// Which bundle this is.
    pub reference: BundleRef,
    /// The shop's settings.
    pub shop: Shop,
    /// Who is in which segment.
    pub segments: Segments,
    gives_numbers: bool,
    /// The assortment, the promotions and the points programme, as they price baskets.
    pub book: Book,
    /// Campaigns, in declared order.
    pub campaigns: Vec<Campaign>,
    /// Head office's factors of articles: as many numbers for each.
    pub factors: BTreeMap<Sku, Box<[f32]>>,
    /// Head office's network, or why it is of no use here: then the shop proposes without it.
    pub network: Option<Result<Columns, NetworkFault>>,
    /// Suggestions, in declared order.
    pub recommendations: Vec<RecommendationList>,
    /// Care messages, in declared order.
    pub care: Vec<CareMessage>,
    /// Who is not shown which campaign.
    trials: experiment::Plan,
    /// How campaigns are shown that say so.
    showing: BTreeMap<CampaignId, Showing>,
    coupons: BTreeMap<CouponId, Coupon>,
    generic: BTreeMap<CouponCode, CouponId>,
    partners: Vec<Partner>,
    /// Whose key it is: places in `partners` and its keys.
    partner_keys: BTreeMap<KeyId, (usize, usize)>,
}

/// A network and the article of each of its columns.
#[derive(Debug)]
pub struct Columns {
    /// The network.
    pub network: Arc<Network>,
    /// As many as it has columns.
    pub items: Vec<Sku>,
}

/// Why a partner's voucher is no good here.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum VoucherFault {
    /// The text is damaged or cut short.
    Malformed,
    /// No partner signs with its key.
    KeyUnknown,
    /// Its partner did not sign this.
    SignatureBad,
    /// Its key is not taken on this day, or its partner may not issue what it gives.
    NotAllowed,
    /// Its last day is over.
    Expired,
}

impl Bundle {
    /// Compiles and indexes rules.
    ///
    /// # Errors
    /// Every segment and promotion that does not compile.
    pub fn compile(reference: BundleRef, rules: Rules) -> Result<Bundle, CompileError> {
        if let Some((field, fault)) = rules.shop.scales.check() {
            return Err(CompileError { faults: vec![format!("scales.{field}: {fault}")] });
        }
        let schema = rules.shop.schema(&rules.catalogue);
        let segments = compile_segments(&schema, &rules.segments)?;
        let mut showing = BTreeMap::new();
        for campaign in &rules.campaigns {
            let wrong = |faults: Vec<_>| CompileError {
                faults: faults
                    .into_iter()
                    .map(|(_, fault)| format!("campaign {}: {fault}", campaign.id))
                    .collect(),
            };
            showing.extend(
                showing::showing(campaign, &schema).map_err(wrong)?.map(|shown| (campaign.id.clone(), shown)),
            );
        }
        let book = book_rules(&rules.shop, &rules.coupons, rules.catalogue, rules.promotions, rules.points);
        let book = Book::compile(book)
            .map_err(|faults| CompileError { faults: faults.iter().map(ToString::to_string).collect() })?
            .resolving(&rules.shop.group_resolution);
        let trials = trials::plan(&rules.shop.chain, rules.shop.holdout, &rules.campaigns);
        trials.check().map_err(|fault| CompileError { faults: vec![fault.to_string()] })?;
        let generic = rules.coupons.iter().filter_map(|coupon| {
            let code = CouponCode::normal(coupon.code.as_ref()?.as_str()).ok()?;
            Some((code, coupon.id.clone()))
        });
        let keys = |(place, partner): (usize, &Partner)| -> Vec<(KeyId, (usize, usize))> {
            partner.keys.iter().enumerate().map(|(nth, key)| (key.public.id(), (place, nth))).collect()
        };
        Ok(Bundle {
            reference,
            segments,
            gives_numbers: rules.coupons.iter().any(|coupon| coupon.series.is_some()),
            factors: factors(rules.factors)?,
            network: rules.network.map(columns),
            trials,
            showing,
            partner_keys: rules.partners.iter().enumerate().flat_map(keys).collect(),
            partners: rules.partners,
            generic: generic.collect(),
            coupons: rules.coupons.into_iter().map(|coupon| (coupon.id.clone(), coupon)).collect(),
            shop: rules.shop,
            book,
            campaigns: rules.campaigns,
            recommendations: rules.recommendations,
            care: rules.care,
        })
    }

    /// What a member sees of a promotion's campaign; one of no campaign is shown to all.
    pub fn sight(&self, promotion: &PromotionId, member: &MemberId) -> (Sight, Option<&CampaignId>) {
        let campaign = self.campaign_of(promotion);
        let sight = campaign.map(|campaign| self.sight_of(campaign, member));
        (sight.unwrap_or(Sight::Shown), campaign)
    }

    /// What a member sees of a campaign.
    pub fn sight_of(&self, campaign: &CampaignId, member: &MemberId) -> Sight {
        trials::sight(&self.trials, campaign.as_str(), member.as_str())
    }

    /// The campaign a promotion belongs to.
    pub fn campaign_of(&self, promotion: &PromotionId) -> Option<&CampaignId> {
        self.book.promotion(promotion).and_then(|promotion| promotion.campaign.as_ref())
    }

    /// How a campaign is shown, where it says so.
    pub fn showing(&self, campaign: &CampaignId) -> Option<&Showing> {
        self.showing.get(campaign)
    }

    /// Does any campaign say how it is shown?
    pub fn chooses(&self) -> bool {
        !self.showing.is_empty()
    }

    /// A coupon definition.
    pub fn coupon(&self, id: &CouponId) -> Option<&Coupon> {
        self.coupons.get(id)
    }

    /// Is the promotion what referral codes give to those they are handed to?
    pub fn refers(&self, promotion: &PromotionId) -> bool {
        self.coupons.values().any(|coupon| coupon.referral.is_some() && coupon.promotion == *promotion)
    }

    /// Every coupon definition, by id.
    pub fn coupons(&self) -> impl Iterator<Item = &Coupon> {
        self.coupons.values()
    }

    /// Is there a coupon whose codes are numbers of a series?
    pub fn gives_numbers(&self) -> bool {
        self.gives_numbers
    }

    /// Every series whose numbers head office lends.
    pub fn series(&self) -> impl Iterator<Item = &Series> {
        self.coupons().filter_map(|coupon| coupon.series.as_ref()).chain(&self.shop.leases.members)
    }

    /// What a partner's voucher gives on a civil day of the store.
    ///
    /// # Errors
    /// The first thing that is wrong with it, in the order of `VoucherFault`.
    pub fn honours(&self, code: &CouponCode, today: Day) -> Result<Gives, VoucherFault> {
        let signed = Signed::read(code).map_err(|_| VoucherFault::Malformed)?;
        let place = self.partner_keys.get(&signed.voucher.key).ok_or(VoucherFault::KeyUnknown)?;
        let partner = &self.partners[place.0];
        let PartnerKey { public, from, to } = &partner.keys[place.1];
        if !signed.is_of(&self.shop.chain, public) {
            return Err(VoucherFault::SignatureBad);
        }
        let gives = signed.voucher.gives;
        let may_issue = match &gives {
            Gives::Promotion(promotion) => partner.promotions.contains(promotion),
            Gives::Value(value) => partner.value_max.is_some_and(|most| *value <= most),
        };
        if !may_issue || from.is_some_and(|from| today < from) || to.is_some_and(|to| today > to) {
            return Err(VoucherFault::NotAllowed);
        }
        if today > signed.voucher.last_day {
            return Err(VoucherFault::Expired);
        }
        Ok(gives)
    }

    /// The coupon of a code everybody may use; `code` in its normal form.
    pub fn generic(&self, code: &CouponCode) -> Option<&Coupon> {
        self.coupons.get(self.generic.get(code)?)
    }
}

/// What the book of a bundle is made from.
pub(super) fn book_rules(
    shop: &Shop,
    coupons: &[Coupon],
    catalogue: Vec<Item>,
    promotions: Vec<Promotion>,
    points: PointsProgramme,
) -> BookRules {
    let coupons = coupons
        .iter()
        .map(|coupon| CouponRule { id: coupon.id.clone(), promotion: coupon.promotion.clone() });
    BookRules {
        currency: shop.currency.clone(),
        zone: shop.time_zone.clone(),
        arithmetic: shop.arithmetic,
        resolution: shop.resolution,
        catalogue,
        promotions,
        points,
        coupons: coupons.collect(),
    }
}

fn factors(shipped: Vec<ItemFactors>) -> Result<BTreeMap<Sku, Box<[f32]>>, CompileError> {
    let rank = shipped.first().map_or(0, |item| item.numbers.len());
    let is_odd =
        |item: &&ItemFactors| item.numbers.len() != rank || !(1..=limits::RECOMMEND_RANK_MAX).contains(&rank);
    if let Some(odd) = shipped.iter().find(is_odd) {
        let fault =
            format!("factors of {}: {} numbers, the first article has {rank}", odd.sku, odd.numbers.len());
        return Err(CompileError { faults: vec![fault] });
    }
    let numbers =
        |item: ItemFactors| (item.sku, item.numbers.iter().map(|number| number.get() as f32).collect());
    Ok(shipped.into_iter().map(numbers).collect())
}

/// A network that is of no use costs a shop some of its proposals, and never its rules.
fn columns(ShippedNetwork { items, model }: ShippedNetwork) -> Result<Columns, NetworkFault> {
    let network = Arc::new(Network::read(&model.0, items.len())?);
    Ok(Columns { network, items })
}

fn compile_segments(schema: &Schema, segments: &[Segment]) -> Result<Segments, CompileError> {
    let sources: Vec<_> =
        segments.iter().map(|segment| (segment.id.clone(), segment.when.as_str())).collect();
    Segments::compile(schema, &sources)
        .map_err(|faults| CompileError { faults: faults.iter().map(ToString::to_string).collect() })
}

/// What to do with a verified bundle.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Plan {
    /// Make it the active one.
    Activate,
    /// It is the active one.
    Same,
    /// Refuse it: older than the active one.
    Older,
    /// Refuse it: another bundle of the active one's version.
    Clash,
}

impl Plan {
    /// The page of a refusal.
    pub fn code(self) -> Option<Code> {
        match self {
            Plan::Activate | Plan::Same => None,
            Plan::Older => Some(Code::BundleOlder),
            Plan::Clash => Some(Code::BundleClash),
        }
    }
}

/// What to do with `next` on a box that runs on `current`.
pub fn plan(current: Option<&BundleRef>, next: &BundleRef) -> Plan {
    match current {
        None => Plan::Activate,
        Some(current) if next.version > current.version => Plan::Activate,
        Some(current) if next.version < current.version => Plan::Older,
        Some(current) if next.hash == current.hash => Plan::Same,
        Some(_) => Plan::Clash,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn can_a_version_go_down() {
        let bundle = |version, hash: &str| BundleRef { version, hash: hash.into() };
        let current = bundle(7, "a");
        assert_eq!(plan(None, &bundle(1, "x")), Plan::Activate);
        assert_eq!(plan(Some(&current), &bundle(8, "a")), Plan::Activate);
        assert_eq!(plan(Some(&current), &bundle(7, "a")), Plan::Same);
        assert_eq!(plan(Some(&current), &bundle(7, "b")), Plan::Clash);
        assert_eq!(plan(Some(&current), &bundle(6, "a")), Plan::Older);
    }
}
