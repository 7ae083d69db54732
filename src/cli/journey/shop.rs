//! A shop made of a journey: what its articles cost, who its members are, what its coupons give.
//!
//! Everything comes from the baskets of the chosen days and the tables beside them; nothing is invented but the points
//! programme. Days move along with the day that stands for the source's first one.

use std::collections::BTreeMap;

use crate::bundle::document::{Campaign, CodeRecord, Coupon, MemberRecord, Rules, Shop};
use crate::domain::calendar::Day;
use crate::domain::catalog::{Item, SoldBy};
use crate::domain::ids::{
    BrandId, CampaignId, CategoryId, CouponCode, CouponId, MemberId, PromotionId, Sku, Tag,
};
use crate::domain::member::{Consent, Profile};
use crate::domain::money::{Currency, Money};
use crate::domain::text::{Lang, Texts};
use crate::limits;
use crate::pricing::model::{
    Arithmetic, Audience, Benefit, Condition, ItemSet, LineAmount, Per, PointsProgramme, PointsRate,
    Promotion, Qualifier, ResolutionMode, Schedule, Stacking, StackingMode, Trigger,
};

use super::{Article, Journey, Offer, household_card, source_day_zero, zone};

/// What a coupon takes off where no line of the chosen days shows it: the most frequent value of the source, in cents.
const COUPON_MINOR_DEFAULT: i64 = 100;

/// Articles a coupon's promotion names; a coupon on more is one on the whole basket.
const COUPON_SKUS_MAX: usize = 500;

fn slug(text: &str) -> String {
    let mut slug = String::new();
    for byte in text.bytes().take(limits::NAME_BYTES_MAX / 2) {
        match byte.to_ascii_lowercase() {
            letter if letter.is_ascii_alphanumeric() => slug.push(char::from(letter)),
            _ if slug.ends_with('-') || slug.is_empty() => {}
            _ => slug.push('-'),
        }
    }
    slug.trim_end_matches('-').to_owned()
}

fn median(mut values: Vec<Money>) -> Option<Money> {
    values.sort_unstable();
    values.get(values.len() / 2).copied()
}

/// A shop of the journey's articles, households and coupons, with day 0 of the source on `base`: rules, members and
/// (no) single-use codes, as an installed bundle holds them.
///
/// - Price: the median shelf price of a unit. Member price: the median price with the shop's card, where at least half of
///   the article's lines had one; a promotion gives it to members.
/// - Members: households with a basket, in the groups of the campaigns that wrote to them.
/// - Coupons: those of campaigns that run in the journey's days and are good on an article bought in them, and all that were
///   redeemed. Each takes off what it was seen to take off.
pub fn bundle_of(journey: &Journey, base: Day) -> (Rules, Vec<MemberRecord>, Vec<CodeRecord>) {
    let shift = base.days_since(source_day_zero());
    let mut promotions = vec![card_price()];
    let mut coupons = Vec::new();
    for (upc, offer) in &journey.offers {
        if let Some((coupon, promotion)) = coupon_of(journey, upc, offer, shift) {
            promotions.push(promotion);
            coupons.push(coupon);
        }
    }
    let campaigns = journey.campaigns.iter().map(|(number, days)| Campaign {
        id: CampaignId::new(&campaign_name(*number)).expect("digits and letters"),
        names: Texts::both(&format!("营销活动 {number}"), &format!("Campaign {number}")),
        from: Some(days.start.plus_days(shift)),
        to: Some(days.end.plus_days(shift)),
        owner: String::new(),
        budget: None,
        holdout: 0,
        layer: None,
        show: None,
    });
    let rules = Rules {
        shop: Shop {
            chain: "complete-journey".to_owned(),
            names: Texts::both("完整旅程", "The Complete Journey"),
            stores: Vec::new(),
            currency: Currency { code: "USD".to_owned(), minor_units: 2 },
            time_zone: zone(),
            lang: Lang::En,
            arithmetic: Arithmetic::default(),
            resolution: ResolutionMode::Sequence,
            group_resolution: BTreeMap::new(),
            quote_seconds: 300,
            tiers: Vec::new(),
            attributes: BTreeMap::new(),
            scales: Default::default(),
            holdout: 0,
            leases: Default::default(),
        },
        catalogue: journey.articles.iter().map(|(product, article)| item_of(*product, article)).collect(),
        segments: Vec::new(),
        campaigns: campaigns.collect(),
        promotions,
        coupons,
        points: PointsProgramme {
            earn: Some(PointsRate { points: 1, per_amount: Money(100) }),
            ..PointsProgramme::default()
        },
        recommendations: Vec::new(),
        care: Vec::new(),
        factors: Vec::new(),
        network: None,
        partners: Vec::new(),
    };
    let members = journey.households().into_iter().map(|household| member_of(journey, household)).collect();
    (rules, members, Vec::new())
}

fn campaign_name(number: u16) -> String {
    format!("campaign-{number}")
}

fn item_of(product: u32, article: &Article) -> Item {
    let price = median(article.prices.iter().map(|(shelf, _)| *shelf).collect()).unwrap_or_default();
    let reduced: Vec<Money> =
        article.prices.iter().filter(|(shelf, card)| card < shelf).map(|(_, card)| *card).collect();
    let member_price = if reduced.len() * 2 >= article.prices.len() { median(reduced) } else { None }
        .filter(|card| *card < price);
    let category = |text: String| CategoryId::new(&text).ok();
    let (root, leaf) = (slug(&article.department), slug(&article.category));
    let categories = match (root.is_empty(), leaf.is_empty()) {
        (true, _) => Vec::new(),
        (false, true) => vec![category(root)],
        (false, false) => vec![category(root.clone()), category(format!("{root:.31}/{leaf:.31}"))],
    };
    Item {
        sku: Sku::new(&product.to_string()).expect("digits"),
        names: Texts([(Lang::En, article.names.clone())].into()),
        price,
        list_price: None,
        member_price,
        floor_price: None,
        cost: None,
        sold_by: SoldBy::Piece,
        categories: categories.into_iter().flatten().collect(),
        brand: BrandId::new(&slug(&article.brand)).ok(),
        attributes: BTreeMap::new(),
    }
}

fn member_of(journey: &Journey, household: u32) -> MemberRecord {
    let groups = journey.targets.get(&household).into_iter().flatten();
    MemberRecord {
        id: MemberId::new(&format!("hh{household}")).expect("digits and letters"),
        tokens: vec![household_card(household)],
        points: 0,
        profile: Profile {
            name: format!("Household {household}"),
            groups: groups
                .take(limits::MEMBER_TAGS_MAX)
                .filter_map(|number| Tag::new(&campaign_name(*number)).ok())
                .collect(),
            lang: Some(Lang::En),
            consent: Consent { programme: true, personal: true },
            ..Profile::default()
        },
    }
}

/// A promotion with nothing said but what it is.
fn plain(id: &str, titles: Texts, benefit: Benefit) -> Promotion {
    Promotion {
        id: PromotionId::new(id).expect("digits, letters and dashes"),
        campaign: None,
        version: 1,
        titles,
        texts: Texts::default(),
        active: true,
        schedule: Schedule::default(),
        audience: Audience::Everyone,
        conditions: Condition::default(),
        qualifier: Qualifier::default(),
        benefit,
        caps: Default::default(),
        limits: Vec::new(),
        stacking: Stacking::default(),
        returns: Default::default(),
        offline: Default::default(),
        trigger: Trigger::Auto,
        offer: None,
    }
}

fn card_price() -> Promotion {
    Promotion {
        audience: Audience::Member,
        stacking: Stacking { mode: StackingMode::Stack, priority: 100, ..Stacking::default() },
        ..plain("card-price", Texts::both("会员价", "Card price"), Benefit::MemberPrice)
    }
}

fn coupon_of(journey: &Journey, upc: &str, offer: &Offer, shift: i64) -> Option<(Coupon, Promotion)> {
    let first = source_day_zero().plus_days(i64::from(journey.days.start));
    let last = source_day_zero().plus_days(i64::from(journey.days.end) - 1);
    let runs = offer.campaigns.iter().filter_map(|number| journey.campaigns.get(number));
    let runs_now = runs.clone().any(|days| days.start <= last && days.end >= first);
    let bought: Vec<Sku> = offer
        .products
        .iter()
        .filter(|product| journey.articles.contains_key(product))
        .filter_map(|product| Sku::new(&product.to_string()).ok())
        .collect();
    if !offer.redeemed && (!runs_now || bought.is_empty()) {
        return None;
    }
    let (code, id) = (CouponCode::normal(upc).ok()?, CouponId::new(upc).ok()?);
    let groups = offer
        .campaigns
        .iter()
        .filter_map(|number| Tag::new(&campaign_name(*number)).ok())
        .collect::<Vec<_>>();
    let whole_basket = bought.is_empty() || bought.len() > COUPON_SKUS_MAX;
    let amount = median(offer.seen.clone()).unwrap_or(Money(COUPON_MINOR_DEFAULT));
    let titles = Texts::both(&format!("优惠券 {upc}"), &format!("Coupon {upc}"));
    let promotion = Promotion {
        campaign: offer
            .campaigns
            .iter()
            .next()
            .and_then(|number| CampaignId::new(&campaign_name(*number)).ok()),
        schedule: Schedule {
            from: runs.clone().map(|days| days.start.plus_days(shift)).min(),
            to: runs.map(|days| days.end.plus_days(shift)).max(),
            ..Schedule::default()
        },
        audience: if groups.is_empty() { Audience::Member } else { Audience::Group(groups) },
        qualifier: Qualifier {
            items: ItemSet { skus: if whole_basket { Vec::new() } else { bought }, ..ItemSet::default() },
            ..Qualifier::default()
        },
        trigger: Trigger::Code,
        ..plain(&format!("coupon-{upc}"), titles, Benefit::LineAmount(LineAmount { amount, per: Per::Group }))
    };
    let coupon = Coupon {
        id,
        promotion: promotion.id.clone(),
        code: Some(code),
        schedule: Schedule::default(),
        personal: false,
        referral: None,
        series: None,
    };
    Some((coupon, promotion))
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::collections::BTreeSet;
    use std::path::Path;

    fn week() -> Journey {
        let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/data/complete-journey");
        Journey::open(&folder, 0..7).expect("the extract in the repository")
    }

    #[test]
    fn does_the_shop_sell_what_the_baskets_hold_and_know_who_buys() {
        let week = week();
        let base: Day = "2026-03-01".parse().expect("valid");
        let (rules, members, codes) = bundle_of(&week, base);
        let skus: BTreeSet<&str> = rules.catalogue.iter().map(|item| item.sku.as_str()).collect();
        let ids: BTreeSet<&str> = members.iter().map(|member| member.id.as_str()).collect();
        let good: BTreeSet<&str> =
            rules.coupons.iter().filter_map(|coupon| coupon.code.as_ref().map(CouponCode::as_str)).collect();
        for basket in &week.baskets {
            assert!(ids.contains(format!("hh{}", basket.household).as_str()));
            for line in &basket.lines {
                assert!(skus.contains(line.product.to_string().as_str()), "{}", line.product);
            }
            for coupon in &basket.coupons {
                assert!(good.contains(coupon.as_str()), "{coupon}");
            }
        }
        assert!(codes.is_empty());
        assert!(rules.catalogue.iter().all(|item| item.price.is_positive()));
    }

    #[test]
    fn is_a_redeemed_coupon_open_to_its_household_on_its_day() {
        let week = week();
        let base: Day = "2026-03-01".parse().expect("valid");
        let (rules, members, _) = bundle_of(&week, base);
        let mut redeemed = 0;
        for basket in &week.baskets {
            for upc in &basket.coupons {
                redeemed += 1;
                let id = format!("coupon-{upc}");
                let promotion = rules.promotions.iter().find(|p| p.id.as_str() == id).expect("of the coupon");
                let day = Journey::business_day(basket, base);
                assert!(promotion.schedule.from.is_some_and(|from| from <= day));
                assert!(promotion.schedule.to.is_some_and(|to| to >= day));
                let Audience::Group(groups) = &promotion.audience else { panic!("{:?}", promotion.audience) };
                let name = format!("hh{}", basket.household);
                let member = members.iter().find(|m| m.id.as_str() == name).expect("of the basket");
                assert!(
                    groups.iter().any(|group| member.profile.groups.contains(group)),
                    "{name} {groups:?}"
                );
            }
        }
        assert!(redeemed > 0);
        assert!(Journey::at(&week.baskets[0], base).starts_with("2026-03-01T"));
    }
}
