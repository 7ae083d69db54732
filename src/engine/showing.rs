//! Which offers and care messages a member is shown at a scan, and in which order.
//!
//! Only who agreed to be known is chosen for: held back for comparison, bounded by caps, paced by a budget, ranked by what an
//! answer is worth and how likely it is, with one of a campaign's offers picked where it says so. Nobody else is written down, so
//! they see everything as it is declared. What a member holds a coupon for they see in any case. Prices do not depend on any
//! of this.
//!
//! Caps count what the member's history remembers (written with `Input::Shown`, once a minute) and what waits to be written.
//! Chance is drawn from member, campaign and day: the same member sees the same all day, on every box.

use std::collections::BTreeSet;

use crate::bundle::Bundle;
use crate::bundle::showing::Showing;
use crate::bundle::trials::Sight;
use crate::domain::calendar::Day;
use crate::domain::history::{History, number_of};
use crate::domain::ids::{CampaignId, MemberId};
use crate::domain::member::Member;
use crate::limits;
use crate::pricing::OpenOffer;
use crate::shopper::experiment::bucket;
use crate::shopper::field;
use crate::shopper::targeting::{self, BanditArm, Candidate};
use crate::shopper::traits::Traits;

use super::Turn;
use super::answers::Learned;
use super::decision::{Change, Facts, Key, Record};
use super::input::Shown;

/// The chance of an answer where nobody has answered yet: as of the usual coupon.
const ANSWERED_BEFORE_ALL: f64 = 0.05;
/// Times shown that this guess weighs as much as.
const BEFORE_ALL_WEIGHT: f64 = 20.0;

/// Chooses for one member at one scan.
pub(super) struct Chooser<'a> {
    turn: &'a Turn<'a>,
    member: &'a Member,
    today: Day,
    waiting: &'a [Shown],
    traits: Traits,
    learned: Option<&'a Learned>,
    held: BTreeSet<CampaignId>,
}

impl<'a> Chooser<'a> {
    /// For a member who agreed to be known. `waiting` was shown and is not written yet.
    pub(super) fn new(
        turn: &'a Turn<'a>,
        member: &'a Member,
        today: Day,
        waiting: &'a [Shown],
    ) -> Chooser<'a> {
        let traits = turn.bundle.segments.traits(member, today);
        let learned = turn.advice.map(|advice| advice.learned());
        Chooser { turn, member, today, waiting, traits, learned, held: BTreeSet::new() }
    }

    /// Campaigns that were kept from them, to be compared with.
    pub(super) fn held(self) -> Vec<CampaignId> {
        self.held.into_iter().collect()
    }

    /// Is the campaign shown to them now?
    pub(super) fn shows(&mut self, campaign: &CampaignId) -> bool {
        match self.turn.bundle.sight_of(campaign, &self.member.id) {
            Sight::Elsewhere => false,
            Sight::Held => {
                self.held.insert(campaign.clone());
                false
            }
            Sight::Shown => {
                self.turn.bundle.showing(campaign).is_none_or(|showing| self.allows(campaign, showing))
            }
        }
    }

    fn allows(&self, campaign: &CampaignId, showing: &Showing) -> bool {
        let today = number_of(self.today);
        if !showing.caps.is_none() {
            let known = self.member.history.as_deref().and_then(|history| history.shown_of(campaign));
            let (mut ever, mut days) =
                known.map_or((0, Vec::new()), |shown| (shown.ever as usize, shown.days.clone()));
            let bundle = self.turn.bundle;
            let of_them = self.waiting.iter().filter(|shown| shown.member == self.member.id);
            for shown in of_them.filter(|shown| campaigns_of(bundle, shown).contains(campaign)) {
                ever += 1;
                days.push(number_of(bundle.shop.time_zone.civil(shown.at).day));
            }
            if !showing.caps.allow(ever, &days, today) {
                return false;
            }
        }
        let (spent, demand) = self.learned.map_or((0, 0), |learned| learned.spent_of(campaign, self.today));
        showing.pace(spent, demand).is_none_or(|pace| {
            let drawn = format!("pace:{campaign}:{}", self.today);
            bucket(&self.turn.bundle.shop.chain, &drawn, self.member.id.as_str()) < pace.buckets(self.today)
        })
    }

    /// The offers they are shown, best first.
    pub(super) fn offers(&mut self, open: Vec<OpenOffer>) -> Vec<OpenOffer> {
        let bundle = self.turn.bundle;
        let mut open: Vec<OpenOffer> = open
            .into_iter()
            .filter(|open| {
                let campaign = bundle.campaign_of(&open.promotion);
                // Asked in any case: who is held out is told from who is not, whatever they hold.
                let shows = campaign.is_none_or(|campaign| self.shows(campaign));
                shows || open.coupon.is_some()
            })
            .collect();
        if bundle.chooses() {
            self.pick(&mut open);
            let candidates = open.into_iter().map(|offer| self.weighed(offer));
            let mut candidates: Vec<Candidate<OpenOffer>> = candidates.collect();
            // What they hold stands in front.
            let held = candidates.iter().take_while(|candidate| candidate.what.coupon.is_some()).count();
            targeting::rank(&mut candidates[held..]);
            open = candidates.into_iter().map(|candidate| candidate.what).collect();
        }
        open.truncate(limits::SCAN_OFFERS_MAX);
        open
    }

    /// Of the offers of a campaign that says so, leaves one.
    fn pick(&self, open: &mut Vec<OpenOffer>) {
        let bundle = self.turn.bundle;
        let campaigns: BTreeSet<&CampaignId> =
            open.iter().filter_map(|offer| bundle.campaign_of(&offer.promotion)).collect();
        for campaign in campaigns {
            let Some(pick) = bundle.showing(campaign).and_then(|showing| showing.pick) else { continue };
            let is_one = |offer: &OpenOffer| {
                offer.coupon.is_none() && bundle.campaign_of(&offer.promotion) == Some(campaign)
            };
            let ones: Vec<_> =
                open.iter().filter(|offer| is_one(offer)).map(|offer| offer.promotion.clone()).collect();
            if ones.len() < 2 || ones.len() > limits::EXPERIMENT_ARMS_MAX {
                continue;
            }
            let arms = ones.iter().map(|promotion| {
                let (shown, answered) = self.learned.map_or((0, 0), |learned| learned.arm(promotion));
                // Least shares of many arms together are never more than all.
                let least = pick.least.min(10_000 / u16::try_from(ones.len()).unwrap_or(u16::MAX));
                BanditArm { shown, answered, least, most: pick.most }
            });
            let arms: Vec<BanditArm> = arms.collect();
            let (purpose, of) = (format!("pick:{campaign}:{}", self.today), self.member.id.as_str());
            let seed = targeting::seed_of(&bundle.shop.chain, &purpose, of);
            let chosen = targeting::thompson(&arms, seed).map(|at| &ones[at]);
            open.retain(|offer| !is_one(offer) || Some(&offer.promotion) == chosen);
        }
    }

    fn weighed(&self, offer: OpenOffer) -> Candidate<OpenOffer> {
        let bundle = self.turn.bundle;
        let campaign = bundle.campaign_of(&offer.promotion);
        let Some((campaign, showing)) =
            campaign.and_then(|campaign| Some((campaign, bundle.showing(campaign)?)))
        else {
            return Candidate { what: offer, probability: 0.0, margin_minor: 0, weight_per_mille: 1_000 };
        };
        Candidate {
            what: offer,
            probability: self.probability(campaign, showing),
            margin_minor: showing.worth_minor,
            weight_per_mille: showing.weight_per_mille,
        }
    }

    /// Head office's model, else the shop's own, else how often the campaign is answered here.
    fn probability(&self, campaign: &CampaignId, showing: &Showing) -> f64 {
        if let Some(model) = &showing.propensity {
            return model.probability(&field::Sight::of(self.member, &self.traits, self.today));
        }
        let nothing = History::default();
        let history = self.member.history.as_deref().unwrap_or(&nothing);
        let own =
            self.learned.and_then(|learned| learned.probability(campaign, history, number_of(self.today)));
        own.unwrap_or_else(|| {
            let (shown, answered) = self.learned.map_or((0, 0), |learned| learned.counts(campaign));
            (answered as f64 + ANSWERED_BEFORE_ALL * BEFORE_ALL_WEIGHT) / (shown as f64 + BEFORE_ALL_WEIGHT)
        })
    }
}

/// The campaigns of what was shown, each once.
pub(super) fn campaigns_of<'a>(bundle: &'a Bundle, shown: &'a Shown) -> BTreeSet<&'a CampaignId> {
    shown.offers.iter().filter_map(|offer| bundle.campaign_of(offer)).chain(&shown.cared).collect()
}

fn counted<'a>(bundle: &'a Bundle, shown: &'a Shown) -> impl Iterator<Item = &'a CampaignId> {
    campaigns_of(bundle, shown).into_iter().filter(|campaign| bundle.showing(campaign).is_some())
}

/// What writing down what was shown reads.
pub(super) fn needs(bundle: &Bundle, shown: &[Shown]) -> Vec<Key> {
    let members: BTreeSet<&MemberId> =
        shown.iter().filter(|one| counted(bundle, one).next().is_some()).map(|one| &one.member).collect();
    members.into_iter().flat_map(Key::of_member).collect()
}

/// Counts what was shown in the histories of those who were, where a campaign says how it is shown.
pub(super) fn written(
    bundle: &Bundle,
    shown: &[Shown],
    facts: &Facts,
    seq: crate::domain::ids::Seq,
) -> Vec<Change> {
    let mut histories: std::collections::BTreeMap<&MemberId, History> = Default::default();
    for one in shown {
        let Some(member) = facts.member(&one.member).filter(|member| member.profile.consent.personal) else {
            continue;
        };
        let day = bundle.shop.time_zone.civil(one.at).day;
        for campaign in counted(bundle, one) {
            let history = histories.entry(&one.member).or_insert_with(|| {
                member.history.as_deref().cloned().unwrap_or_else(|| History::beginning(seq))
            });
            history.showed(campaign, day);
        }
    }
    let put = |(member, history): (&MemberId, History)| {
        Change::put(Key::History(member.clone()), Record::History(std::sync::Arc::new(history)))
    };
    histories.into_iter().map(put).collect()
}
