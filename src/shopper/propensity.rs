//! How likely a member answers what they are shown: by a model that head office ships, or by what this shop's own answers say.
//!
//! A shipped model speaks of fields by the names segments use. A model of the shop's own is a `ResponseModel` over
//! `features`, which look at a member as of the day before: what they buy on the day they are shown something must not tell
//! whether they answered it. Neither decides what anything costs; both only put offers in order.

use super::field::{Field, Kind, Sight, Value};
use super::parser;
use super::scales::Millionths;
use super::segment::Schema;
use crate::domain::history::{History, Sum};
use crate::domain::ids::CampaignId;

/// A shipped model, ready to be asked.
#[derive(Clone, Debug, PartialEq)]
pub struct Propensity {
    intercept: f64,
    parts: Box<[(Field, f64)]>,
}

impl Propensity {
    /// A model of these fields.
    ///
    /// # Errors
    /// The first field that is not known, or is neither a number nor a flag: its name and what is wrong.
    pub fn compile<'a>(
        schema: &Schema,
        intercept: Millionths,
        weights: impl IntoIterator<Item = (&'a String, &'a Millionths)>,
    ) -> Result<Propensity, (String, String)> {
        let part = |(name, weight): (&String, &Millionths)| {
            let field = parser::field(name, schema).map_err(|fault| (name.clone(), fault.message))?;
            match field.kind() {
                Kind::Number | Kind::Flag => Ok((field, weight.get())),
                other => Err((name.clone(), format!("is {}, a model takes numbers and flags", other.name()))),
            }
        };
        let parts = weights.into_iter().map(part).collect::<Result<Vec<_>, _>>()?;
        Ok(Propensity { intercept: intercept.get(), parts: parts.into() })
    }

    /// The chance of an answer.
    pub fn probability(&self, sight: &Sight<'_>) -> f64 {
        let value = |field: &Field| match field.of(sight) {
            Value::Number(number) => number as f64,
            Value::Flag(flag) => f64::from(u8::from(flag)),
            _ => 0.0,
        };
        let sum: f64 = self.parts.iter().map(|(field, weight)| weight * value(field)).sum();
        1.0 / (1.0 + (-self.intercept - sum).exp())
    }
}

/// What a shop's own models look at.
pub const FEATURES: [&str; 8] = [
    "days_since_last",
    "visits_4w",
    "visits_13w",
    "visits_52w",
    "spend_13w",
    "basket_average",
    "times_shown",
    "days_since_shown",
];

/// The member's features for a campaign, as of the end of the day before `day`; NaN where nobody knows.
pub fn features(history: &History, campaign: &CampaignId, day: i32) -> [f64; FEATURES.len()] {
    let mut windows = [(28, Sum::default()), (91, Sum::default()), (364, Sum::default())];
    let mut last = None;
    let days = history.days.iter().map(|sum| (sum.day, sum.sum));
    let visits = history.visits.iter().map(|visit| (visit.day, Sum { visits: 1, spend: visit.spend }));
    for (at, sum) in days.chain(visits).filter(|(at, _)| *at < day) {
        last = last.max(Some(at));
        for (_, window) in windows.iter_mut().filter(|(days, _)| at >= day - days) {
            window.visits = window.visits.saturating_add(sum.visits);
            window.spend.0 = window.spend.0.saturating_add(sum.spend.0);
        }
    }
    let shown = history.shown_of(campaign).map_or(&[][..], |shown| &shown.days);
    let before = || shown.iter().filter(|at| **at < day);
    let ago = |at: Option<i32>| at.map_or(f64::NAN, |at| f64::from(day) - f64::from(at));
    let [of_4w, of_13w, of_52w] = windows.map(|(_, sum)| sum);
    let average = if of_52w.visits > 0 { of_52w.spend.0 as f64 / f64::from(of_52w.visits) } else { f64::NAN };
    [
        ago(last),
        f64::from(of_4w.visits),
        f64::from(of_13w.visits),
        f64::from(of_52w.visits),
        of_13w.spend.0 as f64,
        average,
        before().count() as f64,
        ago(before().copied().max()),
    ]
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use super::*;
    use crate::domain::basket::Channel;
    use crate::domain::calendar::{Day, UnixMs};
    use crate::domain::history::Bought;
    use crate::domain::ids::{MemberId, Seq};
    use crate::domain::member::{Ledger, Member, Profile};
    use crate::domain::money::Money;
    use crate::shopper::traits::Traits;

    fn day(number: i64) -> Day {
        Day::from_number(20_000 + number)
    }

    fn history(days: &[i64]) -> History {
        let mut history = History::beginning(Seq(1));
        for (seq, at) in (1..).zip(days) {
            let (decision, channel, spend) = (Seq(seq), Channel::Till, Money(1_000));
            history.bought(&Bought { decision, day: day(*at), channel, spend, lines: &[] });
        }
        history
    }

    #[test]
    fn does_what_is_bought_today_tell_whether_they_answer_today() {
        let campaign = CampaignId::new("winter").expect("an id");
        let (mut before, mut after) = (history(&[0, 80, 95]), history(&[0, 80, 95, 100, 101]));
        for history in [&mut before, &mut after] {
            history.showed(&campaign, day(90));
        }
        after.showed(&campaign, day(100));
        let row = features(&before, &campaign, 20_100);
        assert_eq!(row, [5.0, 2.0, 2.0, 3.0, 2_000.0, 1_000.0, 1.0, 10.0]);
        assert_eq!(features(&after, &campaign, 20_100), row);
        let nobody = features(&History::default(), &campaign, 20_100);
        assert!(nobody[0].is_nan() && nobody[5].is_nan() && nobody[7].is_nan() && nobody[3] == 0.0);
    }

    #[test]
    fn what_does_a_shipped_model_say_and_which_is_refused() {
        let schema = Schema::default();
        let compile = |weights: &[(&str, f64)]| {
            let weights: Vec<(String, Millionths)> = weights
                .iter()
                .map(|(name, weight)| ((*name).to_owned(), Millionths((weight * 1e6) as i64)))
                .collect();
            let pairs = weights.iter().map(|(name, weight)| (name, weight));
            Propensity::compile(&schema, Millionths(-1_000_000), pairs)
        };
        let model = compile(&[("visits", 0.5), ("consent.personal", 1.0), ("days_since_joined", 9.0)])
            .expect("right");
        let mut profile = Profile::default();
        profile.consent.personal = true;
        let ledger = Ledger { visits: 2, ..Ledger::default() };
        let id = MemberId::new("m").expect("an id");
        let member = Member { id, profile, ledger, profile_as_of: UnixMs(0), history: None };
        let traits = Traits::of(&member, day(0), &Arc::default());
        let said = model.probability(&Sight::of(&member, &traits, day(0)));
        assert!((said - 1.0 / (1.0 + (-1.0_f64).exp())).abs() < 1e-12, "{said}");
        for (field, words) in
            [("vists", "no field is called vists"), ("tier", "is text"), ("visits > 3", "expected the end")]
        {
            let (name, fault) = compile(&[(field, 1.0)]).expect_err("wrong");
            assert!(name == field && fault.contains(words), "{fault}");
        }
    }
}
