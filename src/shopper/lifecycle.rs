//! Where a member stands in the life of a customer: new, active, loyal, cooling, lapsed, lost.
//!
//! The measure is silence: days since the last visit over the days that usually pass between this member's visits. Who
//! shops every Saturday is cooling after three weeks; who comes twice a year is not. Before a member has a rhythm of their
//! own, the shop's stands in for it, weighted as so many intervals.
//!
//! Thresholds are data (`StageRules`): they rise from stage to stage, which `StageRules::check` sees to. The bounds are
//! included: a silence of exactly `cooling_silence` is still active.

use serde::{Deserialize, Serialize};

/// The stages, from the first visit to the last.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Stage {
    /// Came for the first time not long ago and has hardly been back.
    New,
    /// Comes as usual.
    Active,
    /// Comes as usual, often enough to be counted on.
    Loyal,
    /// Is overdue.
    Cooling,
    /// Has been away for long.
    Lapsed,
    /// Will hardly come back by themselves.
    Lost,
}

/// The thresholds.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct StageRules {
    /// A member is new up to so many days after the first visit, and
    pub new_days: u32,
    /// with at most so many visits.
    pub new_visits: u32,
    /// A member is loyal with so many visits or more.
    pub loyal_visits: u32,
    /// Silence above which a member is cooling, in usual intervals.
    pub cooling_silence: f64,
    /// Likewise, lapsed.
    pub lapsed_silence: f64,
    /// Likewise, lost.
    pub lost_silence: f64,
    /// Days that usually pass between two visits in this shop, and
    pub usual_days: f64,
    /// the number of a member's own intervals that weigh as much.
    pub usual_weight: f64,
}

impl Default for StageRules {
    /// For a grocer: people come about once a week.
    fn default() -> StageRules {
        StageRules {
            new_days: 30,
            new_visits: 2,
            loyal_visits: 12,
            cooling_silence: 2.0,
            lapsed_silence: 4.0,
            lost_silence: 8.0,
            usual_days: 10.0,
            usual_weight: 2.0,
        }
    }
}

/// When a member came, in days before today.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Visits {
    /// Days since the first visit.
    pub first_days_ago: u32,
    /// Days since the last one: at most as many.
    pub last_days_ago: u32,
    /// Days with a visit.
    pub count: u32,
}

impl StageRules {
    /// What is wrong with the thresholds, if anything: in words that name the field.
    pub fn check(&self) -> Option<&'static str> {
        let silences = [self.cooling_silence, self.lapsed_silence, self.lost_silence];
        if !silences.iter().all(|silence| silence.is_finite() && *silence > 0.0)
            || !silences.is_sorted_by(|a, b| a < b)
        {
            return Some("cooling_silence, lapsed_silence and lost_silence must be above 0 and rise");
        }
        if !(self.usual_days.is_finite() && self.usual_days > 0.0) {
            return Some("usual_days must be above 0");
        }
        if !(self.usual_weight.is_finite() && self.usual_weight > 0.0) {
            return Some("usual_weight must be above 0");
        }
        (self.loyal_visits <= self.new_visits).then_some("loyal_visits must be more than new_visits")
    }

    /// Days that usually pass between two of this member's visits.
    pub fn usual_days(&self, visits: &Visits) -> f64 {
        let span = f64::from(visits.first_days_ago.saturating_sub(visits.last_days_ago));
        let intervals = f64::from(visits.count.saturating_sub(1));
        (span + self.usual_days * self.usual_weight) / (intervals + self.usual_weight)
    }

    /// Days since the last visit, in usual intervals.
    pub fn silence(&self, visits: &Visits) -> f64 {
        f64::from(visits.last_days_ago) / self.usual_days(visits)
    }

    /// The member's stage; nothing for who never came.
    pub fn stage(&self, visits: &Visits) -> Option<Stage> {
        if visits.count == 0 {
            return None;
        }
        let silence = self.silence(visits);
        Some(if silence > self.lost_silence {
            Stage::Lost
        } else if silence > self.lapsed_silence {
            Stage::Lapsed
        } else if silence > self.cooling_silence {
            Stage::Cooling
        } else if visits.first_days_ago <= self.new_days && visits.count <= self.new_visits {
            Stage::New
        } else if visits.count >= self.loyal_visits {
            Stage::Loyal
        } else {
            Stage::Active
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// A life a line: days since the first visit, since the last one, visits; and the stage.
    const LIVES: &str = "\
        0   0   1 new        the first visit is today
        20  20  1 new        one visit, two usual intervals ago
        21  21  1 cooling    a day longer
        30  2   2 new        back once within a month
        31  2   2 active     the month is over
        30  2   3 active     back twice
        77  0  12 loyal      a dozen visits
        77  0  11 active     one less
        91  14 12 loyal      silent for two intervals of a week
        91  21 12 cooling    for three
        110 40 12 lapsed     for more than four
        150 80 12 lost       for more than eight
        730 90  9 active     comes four times a year: three months are no silence
        400 400 1 lost       once, a year ago
        0   0   0 -          never came";

    #[test]
    fn is_each_life_at_its_stage() {
        let rules = StageRules::default();
        for line in LIVES.lines() {
            let words: Vec<&str> = line.split_whitespace().collect();
            let number = |at: usize| words[at].parse::<u32>().expect("a number");
            let visits = Visits { first_days_ago: number(0), last_days_ago: number(1), count: number(2) };
            let stage =
                rules.stage(&visits).map_or("-".to_owned(), |stage| format!("{stage:?}").to_lowercase());
            assert_eq!(stage, words[3], "{line}: silence {}", rules.silence(&visits));
        }
    }

    #[test]
    fn does_silence_never_lead_back() {
        let rules = StageRules::default();
        let stages: Vec<Stage> = (0..500)
            .filter_map(|days| {
                rules.stage(&Visits { first_days_ago: 200 + days, last_days_ago: days, count: 20 })
            })
            .collect();
        assert!(stages.is_sorted() && stages[0] == Stage::Loyal && stages[499] == Stage::Lost);
    }

    #[test]
    fn are_thresholds_that_make_no_sense_named() {
        let rules = StageRules::default();
        assert_eq!(rules.check(), None);
        for (wrong, word) in [
            (StageRules { lapsed_silence: 2.0, ..rules }, "lapsed_silence"),
            (StageRules { lost_silence: f64::NAN, ..rules }, "lost_silence"),
            (StageRules { cooling_silence: 0.0, ..rules }, "cooling_silence"),
            (StageRules { usual_days: 0.0, ..rules }, "usual_days"),
            (StageRules { usual_weight: -1.0, ..rules }, "usual_weight"),
            (StageRules { loyal_visits: 2, ..rules }, "loyal_visits"),
        ] {
            assert!(wrong.check().is_some_and(|why| why.contains(word)), "{wrong:?}");
        }
    }
}
