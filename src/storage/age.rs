//! How old requests are: in days this shop has lived, so that no reading of a clock can make it forget one early.
//!
//! The time between two decisions counts as the box's clock says it, but never backwards and never more than
//! `REQUEST_AGE_STEP_MS_MAX`; a clock that was plainly never set says nothing. Each full day leaves a mark: the decision
//! that began it. A request may be forgotten when its decision stands before the mark of `days` days ago and is not among
//! the newest `REQUESTS_KEPT_MIN`. Wrong clocks make the memory longer, not shorter, but for a day at each jump ahead.

use std::collections::VecDeque;

use serde::{Deserialize, Serialize};

use crate::domain::calendar::{DAY_MS, UnixMs};
use crate::domain::ids::Seq;
use crate::limits;

/// The days lived, as far back as requests are remembered.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Lived {
    /// The clock at the last decision, where it said anything.
    at: Option<UnixMs>,
    /// Milliseconds of the day that is not full yet.
    rest_ms: i64,
    /// The first decision after each full day, oldest first; one more than the days that matter.
    marks: VecDeque<Seq>,
    /// The first decision of each seventh of the days before those, oldest first: for what is kept for years.
    #[serde(default)]
    weeks: VecDeque<Seq>,
    /// Days since the last of those.
    #[serde(default)]
    days_since_week: u8,
}

impl Lived {
    /// A decision was made; `days` is how long requests are remembered.
    pub fn pass(&mut self, seq: Seq, at: UnixMs, days: usize) {
        if !(limits::CLOCK_UNIX_MS_MIN..=limits::CLOCK_UNIX_MS_MAX).contains(&at.0) {
            return;
        }
        let passed = self.at.map_or(0, |before| at.ms_since(before));
        self.at = Some(at);
        self.rest_ms += passed.clamp(0, limits::REQUEST_AGE_STEP_MS_MAX);
        if self.rest_ms >= DAY_MS {
            self.rest_ms -= DAY_MS;
            self.marks.push_back(seq);
        }
        while self.marks.len() > days + 1 {
            let Some(mark) = self.marks.pop_front() else { return };
            self.days_since_week += 1;
            if self.days_since_week == 7 {
                self.days_since_week = 0;
                self.weeks.push_back(mark);
            }
            while self.weeks.len() > limits::LIVED_WEEKS_MAX {
                self.weeks.pop_front();
            }
        }
    }

    /// Decisions before this one were made more than `days` days ago, or up to a week more; none where they are not more than
    /// requests are remembered for.
    pub fn made_before(&self, days: usize) -> Seq {
        let newer = self.marks.len() + usize::from(self.days_since_week);
        let weeks = days.saturating_sub(newer).div_ceil(7);
        let place = self.weeks.len().checked_sub(weeks + 1);
        place.and_then(|place| self.weeks.get(place)).copied().unwrap_or_default()
    }

    /// Requests of decisions before this one may be forgotten; `last` is the newest decision, of which the newest `kept`
    /// always stay (`REQUESTS_KEPT_MIN`).
    pub fn forgets_before(&self, last: Seq, days: usize, kept: u64) -> Seq {
        let marked = self.marks.front().filter(|_| self.marks.len() > days).copied().unwrap_or_default();
        marked.min(Seq(last.0.saturating_sub(kept)))
    }
}

const _: () = assert!(limits::REQUEST_AGE_STEP_MS_MAX <= DAY_MS);

#[cfg(test)]
mod tests {
    use super::*;

    const START: i64 = limits::CLOCK_UNIX_MS_MIN;
    const HOUR_MS: i64 = 3_600_000;
    /// So busy that the newest decisions are soon not all there are.
    const EACH_HOUR: u64 = 10_000;

    /// Hours of work by a clock that shows `clock(hour)`; the decision up to which is forgotten.
    fn forgotten(hours: u64, days: usize, clock: impl Fn(u64) -> i64) -> u64 {
        let mut lived = Lived::default();
        for hour in 0..hours {
            let at = UnixMs(clock(hour));
            lived.pass(Seq(1 + hour * EACH_HOUR), at, days);
            lived.pass(Seq((1 + hour) * EACH_HOUR), at, days);
        }
        lived.forgets_before(Seq(hours * EACH_HOUR), days, limits::REQUESTS_KEPT_MIN).0
    }

    fn right(hour: u64) -> i64 {
        START + hour as i64 * HOUR_MS
    }

    #[test]
    fn is_a_request_forgotten_after_its_days_and_not_before() {
        assert_eq!(forgotten(35 * 24, 35, right), 0);
        for days in [36, 40, 100] {
            let forgotten = forgotten(days * 24 + 1, 35, right) / EACH_HOUR / 24;
            assert!((days - 36..=days - 35).contains(&forgotten), "after {days} days: {forgotten}");
        }
    }

    #[test]
    fn is_what_is_kept_for_years_kept_so_long_and_a_week_more_at_most() {
        let mut lived = Lived::default();
        for day in 0..1_000_u64 {
            lived.pass(Seq(day), UnixMs(right(day * 24)), 35);
            for years in [100, 400, 900] {
                let kept = day - lived.made_before(years as usize).0;
                let most = (years + 8).max(if day < years + 8 { day } else { 0 });
                assert!(kept >= years.min(day) && kept <= most, "day {day}, {years} days: {kept} are kept");
            }
        }
    }

    #[test]
    fn what_do_clocks_that_jump_make_it_forget() {
        let ahead = |hour: u64| right(hour) + if hour > 100 { 400 * DAY_MS } else { 0 };
        assert_eq!(forgotten(30 * 24, 35, ahead), 0, "a year ahead is a day");
        let back = |hour: u64| right(hour) - if hour > 100 { 400 * DAY_MS } else { 0 };
        assert_eq!(forgotten(34 * 24, 35, |hour| back(hour) + 500 * DAY_MS), 0);
        let no_battery = |hour: u64| if hour % 24 < 2 { hour as i64 } else { right(hour) };
        assert_eq!(forgotten(35 * 24, 35, no_battery), 0, "1970 each morning says nothing");
        let at_night = |hour: u64| right(hour / 12 * 24 + hour % 12);
        assert!(forgotten(40 * 12, 35, at_night) > 0, "nights count though nothing is sold");
    }

    #[test]
    fn are_the_newest_decisions_ever_forgotten() {
        let mut lived = Lived::default();
        for day in 0..100 {
            lived.pass(Seq(day as u64 + 1), UnixMs(START + day * DAY_MS), 35);
        }
        assert_eq!(
            lived.forgets_before(Seq(100), 35, limits::REQUESTS_KEPT_MIN),
            Seq(0),
            "a quiet shop keeps them all"
        );
        let flapping = |hour: u64| right(hour) + if hour.is_multiple_of(2) { 400 * DAY_MS } else { 0 };
        let kept = 100 * EACH_HOUR - forgotten(100, 35, flapping);
        assert!(kept >= limits::REQUESTS_KEPT_MIN, "whatever clocks say: {kept}");
    }
}
