//! Who is not shown a campaign: the plan of experiments that a bundle's campaigns make together.
//!
//! A campaign with a holdout or a place in a layer is one experiment with one arm; one without a layer has a layer of its own,
//! named like it. `shop.holdout` keeps members back from every campaign, those included that are no experiment. The salt is the chain's name: every shop draws the same. What is held back is showing, at a scan; what a basket
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
pub(super) fn plan(chain: &str, holdout: u16, campaigns: &[Campaign]) -> Plan {
    let mut layers: Vec<Layer> = Vec::new();
    for campaign in campaigns.iter().filter(|campaign| campaign.is_trial()) {
        let id = campaign.layer.as_ref().map_or_else(|| campaign.id.to_string(), |part| part.id.to_string());
        match layers.iter_mut().find(|layer| layer.id == id) {
            Some(layer) => layer.experiments.push(campaign.experiment()),
            None => layers.push(Layer { id, experiments: vec![campaign.experiment()] }),
        }
    }
    Plan { salt: chain.to_owned(), holdout, layers }
}

/// What a member sees of a campaign.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Sight {
    /// Its offers.
    Shown,
    /// Nothing, to be compared with.
    Held,
    /// Nothing: they are another campaign's of the layer, or kept back from every campaign.
    Elsewhere,
}

/// What a member sees of a campaign; one that is no experiment is shown to all who are not kept back from everything.
pub(super) fn sight(plan: &Plan, campaign: &str, member: &str) -> Sight {
    if plan.keeps_back(member) {
        return Sight::Elsewhere;
    }
    match plan.assign(campaign, member) {
        None | Some(Assigned::Arm(_)) => Sight::Shown,
        Some(Assigned::HeldOut) => Sight::Held,
        Some(Assigned::KeptBack | Assigned::Elsewhere) => Sight::Elsewhere,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::bundle::document::LayerPart;
    use crate::domain::ids::{CampaignId, Tag};

    fn campaign(id: &str, holdout: u16, part: Option<(u16, u16)>) -> Campaign {
        let id = CampaignId::new(id).expect("an id");
        let layer = |(from, to)| LayerPart { id: Tag::new("seasons").expect("a tag"), from, to };
        let (names, owner) = Default::default();
        Campaign {
            id,
            names,
            from: None,
            to: None,
            owner,
            budget: None,
            holdout,
            layer: part.map(layer),
            show: None,
        }
    }

    #[test]
    fn is_each_member_shown_one_campaign_of_a_layer_at_most_and_what_is_no_experiment_always() {
        let halves = [campaign("tea", 2_000, Some((0, 5_000))), campaign("milk", 0, Some((5_000, 10_000)))];
        let campaigns =
            [halves.as_slice(), &[campaign("all", 0, None), campaign("some", 1_000, None)]].concat();
        let kept_back = super::plan("sunrise", 2_000, &campaigns);
        let plan = plan("sunrise", 0, &campaigns);
        assert_eq!(plan.check(), Ok(()));
        let (mut counts, mut kept) = ([0; 4], 0);
        for member in (0..10_000).map(|member| format!("m-{member}")) {
            let see = |campaign| sight(&plan, campaign, &member);
            let sees = |campaign| sight(&kept_back, campaign, &member);
            let is_kept_back = kept_back.keeps_back(&member);
            kept += u32::from(is_kept_back);
            for campaign in ["tea", "milk", "all", "some"] {
                assert_eq!(
                    sees(campaign),
                    if is_kept_back { Sight::Elsewhere } else { see(campaign) },
                    "{member}"
                );
            }
            assert_eq!(see("all"), Sight::Shown);
            assert_ne!(see("tea") == Sight::Elsewhere, see("milk") == Sight::Elsewhere, "{member}");
            counts[0] += u32::from(see("tea") == Sight::Shown);
            counts[1] += u32::from(see("tea") == Sight::Held);
            counts[2] += u32::from(see("milk") == Sight::Shown);
            counts[3] += u32::from(see("some") == Sight::Held);
        }
        for (count, expected) in
            counts.into_iter().zip([4_000.0, 1_000.0, 5_000.0, 1_000.0]).chain([(kept, 2_000.0)])
        {
            assert!((f64::from(count) - expected).abs() < 4.0 * f64::sqrt(expected), "{counts:?}");
        }
    }
}
