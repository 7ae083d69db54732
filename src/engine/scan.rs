//! Scan and wallet: who is it, what is open to them, what do they hold.
//!
//! An unknown token is not an error: the shopper sees what everybody may see.

use crate::domain::calendar::{DAY_MS, UnixMs};
use crate::domain::ids::{CampaignId, SegmentId, Sku};
use crate::domain::member::{Member, TokenHash};
use crate::domain::text::Lang;
use crate::limits;
use crate::pricing::{OpenOffer, Shopper};

use super::advice::Asked;
use super::input::{Scan, Shown};
use super::reply::{
    Care, IssuedCoupon, MemberView, Offer, PointsView, Reply, ScanReply, Suggestion, WalletReply,
};
use super::showing::Chooser;
use super::{Turn, leases, orders};

/// Days before its end within which a coupon is said to run out soon.
const EXPIRING_SOON_MS: i64 = 7 * DAY_MS;

/// Answers `scan`, with the campaigns whose offers are kept from the member. `waiting` was shown and is not written down yet.
pub(super) fn scan(turn: &Turn<'_>, scan: &Scan, waiting: &[Shown]) -> (Reply, Vec<CampaignId>) {
    let member = turn.facts.shopper(scan.token);
    let lang = turn.lang(scan.lang, member.as_ref().and_then(|member| member.profile.lang));
    let day = turn.bundle.shop.time_zone.civil(turn.now).day;
    let segments: Vec<SegmentId> =
        member.as_ref().map(|member| turn.bundle.segments.of(member, day)).unwrap_or_default();
    let shopper =
        Shopper { member: member.as_ref(), segments: &segments, now: turn.now, zone: scan.zone.as_ref() };
    let book = &turn.bundle.book;
    // A referral code is held to be handed on.
    let for_others = |open: &OpenOffer| open.coupon.is_some() && turn.bundle.refers(&open.promotion);
    let open = book.offers(&shopper, limits::SCAN_OFFERS_LOOKED_AT_MAX).into_iter();
    let mut open: Vec<OpenOffer> = open.filter(|open| !for_others(open)).collect();
    let agreed = member.as_ref().filter(|member| member.profile.consent.personal);
    let mut chooser = agreed.map(|member| Chooser::new(turn, member, day, waiting));
    match &mut chooser {
        Some(chooser) => open = chooser.offers(open),
        None => open.truncate(limits::SCAN_OFFERS_MAX),
    }
    let care = care(turn, &shopper, lang, chooser.as_mut());
    let offers = open.into_iter().map(|open| {
        let promotion = book.promotion(&open.promotion);
        let words = |texts: Option<&crate::domain::text::Texts>| {
            texts.map(|t| t.get(lang).to_owned()).unwrap_or_default()
        };
        Offer {
            title: words(promotion.map(|p| &p.titles)),
            text: words(promotion.map(|p| &p.texts)),
            promotion: open.promotion,
            coupon: open.coupon,
            expires: open.last_day.map(|day| day.to_string()),
            reason: open.reason.get(lang).to_owned(),
        }
    });
    let reply = Reply::Scan(Box::new(ScanReply {
        offers: offers.collect(),
        recommendations: match &scan.like {
            Some(sku) => alternatives(turn, sku, lang),
            None => suggestions(turn, &shopper, lang),
        },
        care,
        data_age: turn.data_age(member.as_ref().map(|member| member.profile_as_of)),
        member: member.as_ref().map(|member| view(turn, member)),
        pickups: orders::pickups(turn, scan.token),
    }));
    (reply, chooser.map(Chooser::held).unwrap_or_default())
}

/// Answers `wallet`.
pub(super) fn wallet(turn: &Turn<'_>, token: TokenHash) -> Reply {
    let member = turn.facts.shopper(token);
    let lang = turn.lang(None, member.as_ref().and_then(|member| member.profile.lang));
    let held: Vec<_> = member
        .iter()
        .flat_map(|member| &member.ledger.coupons)
        .filter(|coupon| coupon.expires >= turn.now)
        .collect();
    let soon = turn.now.plus_ms(EXPIRING_SOON_MS);
    let expiring = held.iter().filter(|coupon| coupon.expires <= soon).map(|coupon| coupon.code.clone());
    let coupons = held.iter().map(|coupon| IssuedCoupon {
        code: coupon.code.clone(),
        promotion: coupon.promotion.clone(),
        title: turn.bundle.book.promotion(&coupon.promotion).map_or("", |p| p.titles.get(lang)).to_owned(),
        expires: turn.stamp(coupon.expires),
    });
    Reply::Wallet(WalletReply {
        coupons: coupons.collect(),
        expiring_soon: expiring.collect(),
        data_age: turn.data_age(member.as_ref().map(|member| member.profile_as_of)),
        member: member.as_ref().map(|member| view(turn, member)),
    })
}

fn view(turn: &Turn<'_>, member: &Member) -> MemberView {
    let points = &member.ledger.points;
    let as_of: UnixMs = points.as_of;
    MemberView {
        id: member.id.clone(),
        name: member.profile.name.clone(),
        tier: member.profile.tier.clone(),
        points: PointsView {
            balance: points.balance(),
            spendable: leases::pocket(turn, &member.id)
                .map_or(points.spendable(), |lent| points.spendable().min(lent)),
            as_of: turn.stamp(as_of),
        },
    }
}

fn alternatives(turn: &Turn<'_>, sku: &Sku, lang: Lang) -> Vec<Suggestion> {
    let most = limits::SCAN_SUGGESTIONS_MAX;
    turn.advice.map_or_else(Vec::new, |advice| advice.instead(turn.bundle, sku, lang, most))
}

/// Head office's lists and the shop's own model take turns; what one leaves is the other's.
fn suggestions(turn: &Turn<'_>, shopper: &Shopper<'_>, lang: Lang) -> Vec<Suggestion> {
    let (member, segments) = (shopper.member, shopper.segments);
    let asked = Asked { member, segments, basket: &mut std::iter::empty(), now: turn.now, lang };
    let own = turn
        .advice
        .map_or_else(Vec::new, |advice| advice.propose(turn.bundle, asked, limits::SCAN_SUGGESTIONS_MAX));
    let listed = listed(turn, shopper, lang);
    let mut turns = [listed.into_iter(), own.into_iter()];
    let mut mixed: Vec<Suggestion> = Vec::new();
    let mut turn_of = 0;
    while mixed.len() < limits::SCAN_SUGGESTIONS_MAX {
        let Some(next) = turns[turn_of].next().or_else(|| turns[1 - turn_of].next()) else { break };
        turn_of = 1 - turn_of;
        if mixed.iter().all(|known| known.sku != next.sku) {
            // The order says which is better; the score does not contradict it.
            let score = mixed.last().map_or(next.score, |last| last.score.min(next.score));
            mixed.push(Suggestion { score, ..next });
        }
    }
    mixed
}

fn listed(turn: &Turn<'_>, shopper: &Shopper<'_>, lang: Lang) -> Vec<Suggestion> {
    let mut suggestions: Vec<Suggestion> = Vec::new();
    let lists = turn.bundle.recommendations.iter();
    for list in lists.filter(|list| turn.bundle.book.audience_matches(&list.audience, shopper)) {
        for item in &list.items {
            if suggestions.len() == limits::SCAN_SUGGESTIONS_MAX {
                return suggestions;
            }
            if suggestions.iter().all(|known| known.sku != item.sku) {
                let because = item.because.get(lang).to_owned();
                suggestions.push(Suggestion { sku: item.sku.clone(), score: item.score, because });
            }
        }
    }
    suggestions
}

fn care(
    turn: &Turn<'_>,
    shopper: &Shopper<'_>,
    lang: Lang,
    mut chooser: Option<&mut Chooser<'_>>,
) -> Vec<Care> {
    let name = shopper.member.map_or("", |member| member.profile.name.as_str());
    let messages = turn.bundle.care.iter();
    messages
        .filter(|message| turn.bundle.book.audience_matches(&message.audience, shopper))
        .filter(|message| match (&message.campaign, &mut chooser) {
            (Some(campaign), Some(chooser)) => chooser.shows(campaign),
            _ => true,
        })
        .map(|message| Care {
            kind: message.kind,
            text: message.texts.get(lang).replace("{name}", name),
            campaign: message.campaign.clone(),
        })
        .take(limits::SCAN_CARE_MAX)
        .collect()
}
