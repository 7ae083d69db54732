//! Who is not shown a campaign: the plan of experiments that a bundle's campaigns make together.
//!
//! A campaign with a holdout or a place in a layer is one experiment with one arm; one without a layer has a layer of its own,
//! named like it. The salt is the chain's name: every shop draws the same. What is held back is showing, at a scan; what a basket
//! costs is the same for everybody, so that nobody pays more for being compared with.

use super::document::Campaign;
use crate::shopper::experiment::{Arm, Assigned, BUCKETS, Experiment, Layer, Plan};

impl Campaign {
    /// Is it held back from anybody?
    pub(super) fn is_trial(&self) -> bool {
        self.holdout > 0 || self.layer.is_some()
    }

    fn experiment(&self) -> Experiment {
        let (from, to) = self.layer.as_ref().map_or((0, BUCKETS), |part| (part.from, part.to));
        let arms = vec![Arm { id: "shown".to_owned(), weight: 1 }];
        Experiment { id: self.id.to_string(), from, to, holdout: self.holdout, arms }
    }
}

/// The plan of a bundle's campaigns; not checked yet.
pub(super) fn plan(chain: &str, campaigns: &[Campaign]) -> Plan {
    let mut layers: Vec<Layer> = Vec::new();
    for campaign in campaigns.iter().filter(|campaign| campaign.is_trial()) {
        let id = campaign.layer.as_ref().map_or_else(|| campaign.id.to_string(), |part| part.id.to_string());
        match layers.iter_mut().find(|layer| layer.id == id) {
            Some(layer) => layer.experiments.push(campaign.experiment()),
            None => layers.push(Layer { id, experiments: vec![campaign.experiment()] }),
        }
    }
    Plan { salt: chain.to_owned(), holdout: 0, layers }
}

/// What a member sees of a campaign.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Sight {
    /// Its offers.
    Shown,
    /// Nothing, to be compared with.
    Held,
    /// Nothing: they are another campaign's of the layer.
    Elsewhere,
}

/// What a member sees of a campaign; one that is no experiment is shown to all.
pub(super) fn sight(plan: &Plan, campaign: &str, member: &str) -> Sight {
    match plan.assign(campaign, member) {
        None | Some(Assigned::Arm(_)) => Sight::Shown,
        Some(Assigned::HeldOut) => Sight::Held,
        Some(Assigned::KeptBack | Assigned::Elsewhere) => Sight::Elsewhere,
    }
}
