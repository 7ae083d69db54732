//! How a campaign is shown at a scan, ready to be asked: caps, worth, pace, the choice among its offers, a shipped model.
//!
//! What is wrong with it is found here once, for `aisled bundle check` (with its place) and for a box that opens a bundle.

use crate::domain::calendar::Day;
use crate::limits;
use crate::shopper::experiment::BUCKETS;
use crate::shopper::propensity::Propensity;
use crate::shopper::segment::Schema;
use crate::shopper::targeting::{Caps, Pace};

use super::document::{Campaign, Pick, Show};
use super::located::Step;

/// How a campaign is shown.
#[derive(Debug)]
pub struct Showing {
    /// How often at most.
    pub caps: Caps,
    /// What an answer is worth, in minor units.
    pub worth_minor: i64,
    /// Its weight.
    pub weight_per_mille: u32,
    /// Choose one of its offers.
    pub pick: Option<Pick>,
    /// How likely an answer is, where head office says.
    pub propensity: Option<Propensity>,
    pace: Option<(i64, Day, Day)>,
}

impl Showing {
    /// How many of the members see it on a day, where its budget is paced: so much was spent here, so much a day takes.
    pub fn pace(&self, spent_minor: i64, demand_minor: i64) -> Option<Pace> {
        let (budget_minor, from, to) = self.pace?;
        Some(Pace { budget_minor, spent_minor, demand_minor, from, to })
    }
}

/// A fault of `show`: the path below it, and what is wrong.
pub(super) type Fault = (Vec<Step>, String);

/// Reads how a campaign is shown; nothing where it says nothing of it.
///
/// # Errors
/// Everything that is wrong with it.
pub(super) fn showing(campaign: &Campaign, schema: &Schema) -> Result<Option<Showing>, Vec<Fault>> {
    let Some(Show { caps, worth, weight, pace, pick, response }) = &campaign.show else { return Ok(None) };
    let mut faults = Vec::new();
    let mut say = |field: &'static str, message: String| faults.push((vec![Step::Key(field)], message));
    if !caps.can_be_kept() {
        say("per_week", format!("at most {} times a day or week are remembered", limits::HISTORY_SHOWN_MAX));
    }
    if *weight > BUCKETS {
        say("weight", format!("is not 0 to {BUCKETS} thousandths"));
    }
    let days = campaign.from.zip(campaign.to);
    if pace.is_some_and(|pace| pace.0 < 0) || (pace.is_some() && days.is_none()) {
        say("pace", "a pace is not negative and needs the campaign's from and to".to_owned());
    }
    if pick.is_some_and(|pick| pick.most == 0 || pick.most > BUCKETS || pick.least > pick.most) {
        say("pick", format!("least is not above most, and most is 1 to {BUCKETS}"));
    }
    let propensity = response.as_ref().and_then(|response| {
        if response.weights.len() > limits::RESPONSE_FEATURES_MAX {
            let message =
                format!("{} weights, at most {}", response.weights.len(), limits::RESPONSE_FEATURES_MAX);
            faults.push((vec![Step::Key("response"), Step::Key("weights")], message));
            return None;
        }
        match Propensity::compile(schema, response.intercept, &response.weights) {
            Ok(model) => Some(model),
            Err((field, message)) => {
                let path = vec![Step::Key("response"), Step::Key("weights"), Step::Name(field.clone())];
                faults.push((path, format!("{field}: {message}")));
                None
            }
        }
    });
    if !faults.is_empty() {
        return Err(faults);
    }
    Ok(Some(Showing {
        caps: *caps,
        worth_minor: worth.0,
        // Nothing said is the usual weight.
        weight_per_mille: if *weight == 0 { 1_000 } else { u32::from(*weight) },
        pick: *pick,
        propensity,
        pace: pace.zip(days).map(|(pace, (from, to))| (pace.0, from, to)),
    }))
}
