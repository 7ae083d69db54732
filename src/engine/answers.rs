//! What members did after they were shown a campaign: collected from decisions beside the loop, to know how often it is
//! answered, by whom, and how fast its money goes.
//!
//! An answer is a sale within `ANSWER_DAYS` of being shown in which a promotion of the campaign applied. A row is closed when
//! that time is over, or when the member is shown the campaign on another day; closed rows hold no member. Whoever is
//! forgotten leaves with the same decision. What was shown is written down once a minute, so a sale may stand before it. Like `Advice` it is soft state: what it says puts offers in order and nothing else.
//!
//! Bounds: `limits::ANSWERS_MAX` closed rows, of all campaigns, the oldest leave; as many open ones, after which no more are
//! opened; `limits::ANSWER_CAMPAIGNS_MAX` campaigns.

use std::collections::{BTreeMap, VecDeque};

use crate::bundle::Bundle;
use crate::domain::calendar::{Day, UnixMs};
use crate::domain::history::{History, number_of};
use crate::domain::ids::{CampaignId, MemberId, PromotionId};
use crate::limits;
use crate::shopper::propensity::{FEATURES, features};
use crate::shopper::response::ResponseModel;
use crate::shopper::response::columns::Columns;

use super::decision::{Entry, Quote};
use super::input::{Input, Shown};
use super::reply::{Receipt, Reply};
use super::showing::campaigns_of;

type Features = [f64; FEATURES.len()];

/// Days within which a sale answers what was shown.
pub const ANSWER_DAYS: i32 = 14;
/// Days of a campaign's money that are looked at for what a day takes.
const DEMAND_DAYS: i32 = 7;

#[derive(Clone, Debug)]
struct Open {
    day: i32,
    features: Features,
    offers: Vec<PromotionId>,
    answered: bool,
}

#[derive(Clone, Debug)]
struct Closed {
    campaign: CampaignId,
    features: Features,
    answered: bool,
}

/// Collected answers.
#[derive(Default)]
pub struct Answers {
    open: BTreeMap<MemberId, BTreeMap<CampaignId, Open>>,
    opened: usize,
    closed: VecDeque<Closed>,
    spent: BTreeMap<CampaignId, BTreeMap<i32, i64>>,
    arms: BTreeMap<PromotionId, (u64, u64)>,
    /// What members bought under which promotions in the last minutes: what they were shown before may be written after it.
    bought: VecDeque<(UnixMs, MemberId, i32, Vec<PromotionId>)>,
}

impl Answers {
    /// Takes what one decision teaches.
    pub(super) fn fold(&mut self, entry: &Entry, bundle: &Bundle) {
        if let Input::Shown(shown) = &entry.input {
            let since = entry.at.plus_ms(-2 * limits::SHOWN_EVERY_MS);
            while self.bought.pop_front_if(|(at, ..)| *at < since).is_some() {}
            for one in shown {
                let member = entry.facts.member(&one.member);
                let history = member.as_ref().and_then(|member| member.history.as_deref());
                self.shown(one, history.unwrap_or(&History::default()), bundle);
                let since: Vec<_> = (self.bought.iter())
                    .filter(|(at, member, ..)| *at >= one.at && *member == one.member)
                    .map(|(_, _, day, applied)| (*day, applied.clone()))
                    .collect();
                for (day, applied) in since {
                    self.answered(&one.member, day, &applied, bundle);
                }
            }
        }
        if let Ok(Reply::Commit(receipt)) = &entry.answer
            && let Some(quote) = entry.facts.quotes().next().filter(|_| !receipt.training)
        {
            let applied: Vec<PromotionId> =
                receipt.figures.applied.iter().map(|applied| applied.promotion.clone()).collect();
            let day = number_of(quote.day);
            if let Some(member) = receipt.member.as_ref() {
                self.answered(member, day, &applied, bundle);
                if !applied.is_empty() && self.bought.len() < limits::SHOWN_WAITING_MAX {
                    self.bought.push_back((entry.at, member.clone(), day, applied));
                }
            }
            self.spent(receipt, quote, bundle);
        }
    }

    fn shown(&mut self, one: &Shown, history: &History, bundle: &Bundle) {
        let day = number_of(bundle.shop.time_zone.civil(one.at).day);
        for campaign in campaigns_of(bundle, one) {
            if bundle.showing(campaign).is_none() {
                continue;
            }
            let is_of = |offer: &&PromotionId| bundle.campaign_of(offer) == Some(campaign);
            let offers: Vec<PromotionId> = one.offers.iter().filter(is_of).cloned().collect();
            let rows = self.open.entry(one.member.clone()).or_default();
            match rows.get_mut(campaign) {
                Some(row) if row.day == day => {
                    row.offers.extend(offers);
                    row.offers.sort();
                    row.offers.dedup();
                    continue;
                }
                Some(_) => {}
                None if self.opened == limits::ANSWERS_MAX => continue,
                None => self.opened += 1,
            }
            let features = features(history, campaign, day);
            let row = Open { day, features, offers, answered: false };
            for offer in &row.offers {
                self.arms.entry(offer.clone()).or_default().0 += 1;
            }
            if let Some(before) = rows.insert(campaign.clone(), row) {
                self.close(campaign.clone(), before);
            }
        }
    }

    fn close(&mut self, campaign: CampaignId, Open { features, answered, .. }: Open) {
        self.closed.push_back(Closed { campaign, features, answered });
        if self.closed.len() > limits::ANSWERS_MAX {
            self.closed.pop_front();
        }
    }

    fn spent(&mut self, receipt: &Receipt, quote: &Quote, bundle: &Bundle) {
        let day = number_of(quote.day);
        for applied in &receipt.figures.applied {
            let Some(campaign) = bundle.campaign_of(&applied.promotion) else { continue };
            if self.spent.len() < limits::ANSWER_CAMPAIGNS_MAX || self.spent.contains_key(campaign) {
                *self.spent.entry(campaign.clone()).or_default().entry(day).or_default() += applied.amount.0;
            }
        }
    }

    /// A member bought under these promotions: what they were shown of their campaigns is answered.
    fn answered(&mut self, member: &MemberId, day: i32, applied: &[PromotionId], bundle: &Bundle) {
        let Some(rows) = self.open.get_mut(member) else { return };
        for promotion in applied {
            let row = bundle.campaign_of(promotion).and_then(|campaign| rows.get_mut(campaign));
            let Some(row) = row.filter(|row| (row.day..=row.day + ANSWER_DAYS).contains(&day)) else {
                continue;
            };
            if !row.answered && row.offers.contains(promotion) {
                self.arms.entry(promotion.clone()).or_default().1 += 1;
            }
            row.answered = true;
        }
    }

    pub(super) fn forget(&mut self, member: &MemberId) {
        self.opened -= self.open.remove(member).map_or(0, |rows| rows.len());
        self.bought.retain(|(_, buyer, ..)| buyer != member);
    }

    /// Rates, models and money, as of a day. Rows whose time is over are closed.
    pub(super) fn learned(&mut self, today: Day) -> Learned {
        let today = number_of(today);
        let mut over = Vec::new();
        for rows in self.open.values_mut() {
            over.extend(rows.extract_if(.., |_, row| row.day + ANSWER_DAYS < today));
        }
        self.open.retain(|_, rows| !rows.is_empty());
        self.opened -= over.len();
        over.into_iter().for_each(|(campaign, row)| self.close(campaign, row));
        let mut by_campaign: BTreeMap<&CampaignId, Vec<&Closed>> = BTreeMap::new();
        for row in &self.closed {
            by_campaign.entry(&row.campaign).or_default().push(row);
        }
        let known = |rows: &[&Closed]| {
            let answered = rows.iter().filter(|row| row.answered).count() as u64;
            Known { shown: rows.len() as u64, answered, model: model(rows) }
        };
        let campaigns = by_campaign.into_iter().map(|(campaign, rows)| (campaign.clone(), known(&rows)));
        Learned { campaigns: campaigns.collect(), spent: self.spent.clone(), arms: self.arms.clone() }
    }
}

fn model(rows: &[&Closed]) -> Option<ResponseModel> {
    if rows.len() < limits::ANSWER_ROWS_MIN {
        return None;
    }
    let column = |at: usize| rows.iter().map(|row| row.features[at]).collect();
    let columns = Columns::new(rows.len(), (0..FEATURES.len()).map(column).collect())?;
    let outcomes: Vec<f64> = rows.iter().map(|row| f64::from(u8::from(row.answered))).collect();
    ResponseModel::fit(FEATURES.map(str::to_owned).into(), &columns, &outcomes).ok()
}

/// What was learned of campaigns.
#[derive(Clone, Debug, Default)]
pub struct Learned {
    campaigns: BTreeMap<CampaignId, Known>,
    spent: BTreeMap<CampaignId, BTreeMap<i32, i64>>,
    arms: BTreeMap<PromotionId, (u64, u64)>,
}

#[derive(Clone, Debug)]
struct Known {
    shown: u64,
    answered: u64,
    model: Option<ResponseModel>,
}

impl Learned {
    /// Times shown and answered whose time is over.
    pub fn counts(&self, campaign: &CampaignId) -> (u64, u64) {
        self.campaigns.get(campaign).map_or((0, 0), |known| (known.shown, known.answered))
    }

    /// Times a promotion was shown, and answered so far.
    pub fn arm(&self, promotion: &PromotionId) -> (u64, u64) {
        self.arms.get(promotion).copied().unwrap_or_default()
    }

    /// What the shop's own model says of a member; nothing where there is none.
    pub fn probability(&self, campaign: &CampaignId, history: &History, day: i32) -> Option<f64> {
        let model = self.campaigns.get(campaign)?.model.as_ref()?;
        model.probability(&features(history, campaign, day)).ok()
    }

    /// What a campaign's promotions took off here so far, and the most that one of the last days took, in minor units.
    pub fn spent_of(&self, campaign: &CampaignId, today: Day) -> (i64, i64) {
        let Some(days) = self.spent.get(campaign) else { return (0, 0) };
        let today = number_of(today);
        let last = days.range(today - DEMAND_DAYS..).map(|(_, spent)| *spent).max();
        (days.values().sum(), last.unwrap_or(0))
    }

    /// Campaigns with a model of the shop's own.
    pub fn models(&self) -> usize {
        self.campaigns.values().filter(|known| known.model.is_some()).count()
    }
}
