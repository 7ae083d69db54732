//! The scales that a shop's own members suggest: cuts of RFM, rates of coming and leaving, spending, what is due, groups.
//!
//! Members are taken one by one; what could not be fitted (too few members, nobody came back, all alike) is left out. The
//! result is for `shop.toml`: what a segment says changes only with a bundle, so that a sale evaluated again says the same.
//! Bounds: `limits::SCALES_MEMBERS_MAX` members are looked at, and so many intervals of each category as `repurchase` takes.

use std::collections::BTreeMap;

use super::groups;
use super::repurchase::usual_interval;
use super::rfm::{self, Totals};
use super::scales::{Cuts, Decimal, Due, Feature, Grouping, Lifetime, Scales, Spending};
use super::traits::Traits;
use super::value::bgnbd::BgNbd;
use super::value::optimum::Outcome;
use super::value::spend::{GammaGamma, Spend};
use super::value::{self, Sample};
use crate::domain::history::History;
use crate::domain::ids::CategoryId;
use crate::limits;

/// What groups are made by.
const FEATURES: [Feature; 3] = [Feature::DaysSinceLast, Feature::Visits52w, Feature::Spend52w];
/// Draws the first centres: any number does, the same gives the same groups.
const SEED: u64 = 1;

/// Members looked at so far.
#[derive(Debug, Default)]
pub struct Sampled {
    groups: usize,
    rows: Vec<[i64; FEATURES.len()]>,
    lives: Vec<value::History>,
    spends: Vec<Spend>,
    days: BTreeMap<CategoryId, Vec<Vec<i64>>>,
}

impl Sampled {
    /// Of nobody yet; so many groups are wanted.
    pub fn new(groups: usize) -> Sampled {
        Sampled { groups, ..Sampled::default() }
    }

    /// Takes a member.
    pub fn take(&mut self, traits: &Traits, history: &History) {
        if self.rows.len() == limits::SCALES_MEMBERS_MAX {
            return;
        }
        let row = FEATURES.map(|feature| traits.feature(feature));
        let Ok(row) = <[i64; FEATURES.len()]>::try_from(row.into_iter().flatten().collect::<Vec<_>>()) else {
            return;
        };
        self.rows.push(row);
        if let Some(life) = traits.life(history) {
            self.lives.push(life);
            let average =
                traits.feature(Feature::BasketAverage).filter(|average| *average > 0 && life.repeats > 0);
            self.spends
                .extend(average.map(|average| Spend { repeats: life.repeats, average: average as f64 }));
        }
        for category in &history.categories {
            let days: Vec<i64> = history.days_of(category.as_str()).map(i64::from).collect();
            if days.len() > 1 {
                self.days.entry(category.clone()).or_default().push(days);
            }
        }
    }

    /// What they suggest.
    pub fn scales(&self) -> Scales {
        Scales {
            rfm: self.cuts(),
            lifetime: self.lifetime(),
            spending: self.spending(),
            due: self.due(),
            groups: self.grouping(),
            ..Scales::default()
        }
    }

    fn cuts(&self) -> Option<Cuts> {
        let totals: Vec<Totals> = (self.rows.iter())
            .map(|[recency_days, visits, spend]| Totals {
                recency_days: *recency_days,
                orders: u64::try_from(*visits).unwrap_or(0),
                revenue: *spend as f64,
            })
            .collect();
        let cuts = rfm::Cuts::of(&totals)?;
        // A whole number is at or above a cut where it is at or above the next whole one.
        let whole = |cuts: [f64; 4]| cuts.map(|cut| cut.ceil() as i64);
        Some(Cuts {
            recency_days: whole(cuts.recency_days),
            visits: whole(cuts.orders),
            spend: whole(cuts.revenue),
        })
    }

    fn lifetime(&self) -> Option<Lifetime> {
        let fit = BgNbd::fit(&Sample::of(&self.lives)?);
        let BgNbd { r, alpha, a, b } = fit.model;
        let of = Decimal::of;
        (fit.outcome == Outcome::Converged).then_some(())?;
        Some(Lifetime { r: of(r)?, alpha: of(alpha)?, a: of(a)?, b: of(b)? })
    }

    fn spending(&self) -> Option<Spending> {
        let fit = GammaGamma::fit(&self.spends)?;
        let of = Decimal::of;
        (fit.outcome == Outcome::Converged).then_some(())?;
        Some(Spending { p: of(fit.model.p)?, q: of(fit.model.q)?, gamma: of(fit.model.gamma)? })
    }

    fn due(&self) -> Option<Due> {
        let usual = |days: &Vec<Vec<i64>>| Decimal::of(usual_interval(days.iter().map(Vec::as_slice))?);
        let usual_days: BTreeMap<CategoryId, Decimal> =
            self.days.iter().filter_map(|(category, days)| Some((category.clone(), usual(days)?))).collect();
        let of = |value| Decimal::of(value).expect("a constant above 0");
        (!usual_days.is_empty()).then(|| Due {
            from: of(0.9),
            until: of(3.0),
            usual_weight: of(2.0),
            usual_days,
        })
    }

    fn grouping(&self) -> Option<Grouping> {
        let members: Vec<Vec<f64>> =
            self.rows.iter().map(|row| row.map(|number| number as f64).into()).collect();
        let found = groups::groups(&members, self.groups, SEED).ok()?;
        let deviation = |at: usize| {
            let count = members.len() as f64;
            let mean = members.iter().map(|row| row[at]).sum::<f64>() / count;
            let variance = members.iter().map(|row| (row[at] - mean).powi(2)).sum::<f64>() / count;
            // What is the same for all says nothing, whatever it is measured by.
            if variance > 0.0 { Decimal::of(variance.sqrt()) } else { Decimal::of(1.0) }
        };
        let deviations = (0..FEATURES.len()).map(deviation).collect::<Option<Vec<_>>>()?;
        let whole = |centre: &Vec<f64>| centre.iter().map(|number| number.round() as i64).collect();
        Some(Grouping {
            features: FEATURES.into(),
            deviations,
            centres: found.centres.iter().map(whole).collect(),
        })
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;
    use proptest::strategy::ValueTree as _;
    use proptest::test_runner::TestRunner;

    use super::*;
    use crate::domain::calendar::Day;
    use crate::shopper::index::tests::{members, schema};
    use crate::shopper::segment::{Schema, Segments};

    #[test]
    fn do_a_shops_own_scales_measure_its_members() {
        let today = Day::from_number(20_778);
        let mut runner = TestRunner::deterministic();
        let people: Vec<_> =
            (0..300).map(|_| members().new_tree(&mut runner).expect("one").current()).collect();
        let segments = Segments::compile(&Schema::default(), &[]).expect("none");
        let mut sample = Sampled::new(3);
        for member in &people {
            if let Some(history) = &member.history {
                sample.take(&segments.traits(member, today), history);
            }
        }
        let scales = sample.scales();
        assert_eq!(scales.check(), None);
        assert!(scales.rfm.is_some() && scales.groups.is_some() && scales.due.is_some(), "{scales:?}");
        let text = toml::to_string(&scales).expect("it is written");
        assert_eq!(toml::from_str::<Scales>(&text).expect("and read"), scales);
        // Each fifth has members, and so has each group.
        let measured = Schema { scales, ..schema() };
        let holds = |when: &str| {
            let id = crate::domain::ids::SegmentId::new("s").expect("an id");
            let segments = Segments::compile(&measured, &[(id, when)]).expect(when);
            people.iter().filter(|member| !segments.of(member, today).is_empty()).count()
        };
        for score in 1..=5 {
            assert!(holds(&format!("rfm.r == {score}")) > 10, "{score}");
        }
        for group in 0..3 {
            assert!(holds(&format!("group == {group}")) > 0, "{group}");
        }
    }

    #[test]
    fn do_nobody_and_one_member_suggest_anything_that_is_wrong() {
        assert!(Sampled::new(3).scales().is_empty());
        let mut runner = TestRunner::deterministic();
        let segments = Segments::compile(&Schema::default(), &[]).expect("none");
        let mut sample = Sampled::new(3);
        let member = members().prop_filter("learned of", |member| member.history.is_some());
        let member = member.new_tree(&mut runner).expect("one").current();
        let history = member.history.as_deref().expect("learned of");
        sample.take(&segments.traits(&member, Day::from_number(20_778)), history);
        assert_eq!(sample.scales().check(), None);
    }
}
