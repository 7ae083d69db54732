//! Does the interval keep its word? Campaigns with a known effect, looked at every day, from seeds.

use super::lift::{Outcomes, Reading, Verdict};
use crate::limits;
use crate::shopper::seeded::Seeded;

/// What the members of a simulated campaign do.
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum Outcome {
    /// Buy, with this probability where nothing is offered.
    Buy(f64),
    /// Six in ten spend nothing, the others a log-normal amount with a long tail.
    Spend,
}

/// Campaigns to simulate.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Campaigns {
    /// How many; the seeds count from 0.
    pub runs: u32,
    /// Days of each, each with a look.
    pub days: u32,
    /// New members a day in each arm.
    pub daily: u32,
    /// What they do.
    pub outcome: Outcome,
    /// The lift there is.
    pub lift: f64,
}

/// What the looks showed.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub struct Peeked {
    /// Campaigns of which some look showed an effect.
    pub shown: u32,
    /// Campaigns of which some look had an interval without the true lift.
    pub missed: u32,
    /// Over those that showed one, the day it did: the sum.
    pub days_to_show: u64,
}

impl Campaigns {
    /// Runs and reads them all.
    pub fn peek(&self, reading: &Reading) -> Peeked {
        let mut peeked = Peeked::default();
        for run in 0..self.runs {
            self.run(u64::from(run), reading, &mut peeked);
        }
        peeked
    }

    fn run(&self, seed: u64, reading: &Reading, peeked: &mut Peeked) {
        let mut seeded = Seeded::new(seed);
        let (mut treated, mut control) = (Outcomes::default(), Outcomes::default());
        let (mut shown_on, mut is_missed) = (None, false);
        for day in 1..=self.days {
            for _ in 0..self.daily {
                treated.add(self.draw(&mut seeded, 1.0 + self.lift));
                control.add(self.draw(&mut seeded, 1.0));
            }
            let look = reading.look(&treated, &control, day);
            is_missed |= look.lift.is_some_and(|found| self.lift < found.low || self.lift > found.high);
            if look.verdict == Verdict::Effect {
                shown_on = shown_on.or(Some(day));
            }
        }
        peeked.shown += u32::from(shown_on.is_some());
        peeked.missed += u32::from(is_missed);
        peeked.days_to_show += u64::from(shown_on.unwrap_or_default());
    }

    fn draw(&self, seeded: &mut Seeded, times: f64) -> i64 {
        match self.outcome {
            Outcome::Buy(rate) => i64::from(seeded.unit() < rate * times),
            Outcome::Spend if seeded.unit() < 0.6 => 0,
            Outcome::Spend => (limits::PEEKING_SPEND_MINOR * times * (0.8 * seeded.normal()).exp()) as i64,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn peeked(runs: u32, (days, daily): (u32, u32), outcome: Outcome, lift: f64) -> Peeked {
        Campaigns { runs, days, daily, outcome, lift }.peek(&Reading::default())
    }

    #[test]
    fn do_campaigns_without_effect_that_are_peeked_at_daily_stay_silent() {
        let bought = peeked(2_000, (40, 60), Outcome::Buy(0.1), 0.0);
        assert_eq!(bought.shown, bought.missed);
        assert!(bought.shown <= 100, "{} of 2,000 showed an effect", bought.shown);
        let spent = peeked(2_000, (20, 30), Outcome::Spend, 0.0);
        assert!(spent.shown <= 100, "{} of 2,000 showed an effect on spend", spent.shown);
    }

    #[test]
    fn are_known_effects_found_and_covered_at_every_look() {
        for (outcome, lift, size) in [(Outcome::Buy(0.1), 0.3, (50, 150)), (Outcome::Spend, 0.25, (50, 60))] {
            let Peeked { shown, missed, .. } = peeked(300, size, outcome, lift);
            assert!(missed <= 15, "{outcome:?}: {missed} of 300 left the true lift out");
            assert!(shown >= 270, "{outcome:?}: {shown} of 300 found");
        }
    }
}
