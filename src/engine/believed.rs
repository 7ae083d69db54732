//! Can the box's clock be believed?
//!
//! There is one word from outside that the box can trust: when its rules were signed. Decisions follow it, each no earlier than a
//! day before the newest believed one, and no later than half a year after it. A clock that shows another time is wrong, or was
//! wrong before: selling goes on, windows of time hold by the clock as it is, and every decision made under it says so
//! (AIS-2025), for people and for head office, which counts them.
//!
//! Invariants: nothing is decided otherwise because of it. A time that is not believed moves nothing, so that a year ahead is not
//! the new truth; rules signed anew are, and mend what was believed wrongly.

use crate::domain::calendar::UnixMs;
use crate::domain::code::Code;
use crate::limits;

use super::decision::Entry;
use super::reply::{Answer, Remark, Reply};

#[derive(Clone, Copy, Debug, Default)]
pub(super) struct Believed {
    /// The newest time that is believed; nothing until somebody said one, and then nothing is doubted.
    newest: Option<UnixMs>,
}

impl Believed {
    /// Rules of this moment are the active ones.
    pub(super) fn signed(&mut self, at: UnixMs) {
        self.newest = Some(at);
    }

    /// A decision stands in the journal.
    pub(super) fn made(&mut self, at: UnixMs) {
        if let Some(newest) = self.newest.filter(|newest| is_near(*newest, at)) {
            self.newest = Some(newest.max(at));
        }
    }

    /// Says of an answer that it was given under a clock that shows this.
    pub(super) fn mark(&self, answer: &mut Answer, now: UnixMs) {
        let Some(newest) = self.newest.filter(|newest| !is_near(*newest, now)) else { return };
        let minutes = now.ms_since(newest) / 60_000;
        let detail = match minutes {
            ..0 => format!("the clock is {} minutes behind what was signed or decided before", -minutes),
            _ => format!("the clock is {minutes} minutes ahead of all that was signed or decided before"),
        };
        if let Some(remarks) = answer.as_mut().ok().and_then(Reply::remarks_mut) {
            remarks.push(Remark::new(Code::ClockDoubted, detail));
        }
    }
}

fn is_near(newest: UnixMs, at: UnixMs) -> bool {
    (-limits::CLOCK_BEHIND_MS_MAX..=limits::CLOCK_AHEAD_MS_MAX).contains(&at.ms_since(newest))
}

impl Entry {
    /// Was it decided under a clock that was not believed?
    pub fn is_of_doubted_time(&self) -> bool {
        let remarks = self.answer.as_ref().ok().and_then(Reply::remarks).unwrap_or_default();
        remarks.iter().any(|remark| remark.code == Code::ClockDoubted)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::domain::calendar::DAY_MS;
    use crate::engine::reply::Noted;

    fn is_doubted(believed: &Believed, day: i64) -> bool {
        let mut answer: Answer = Ok(Reply::Noted(Noted::of(String::new())));
        believed.mark(&mut answer, UnixMs(day * DAY_MS));
        answer.is_ok_and(|reply| reply.remarks().is_some_and(|remarks| !remarks.is_empty()))
    }

    #[test]
    fn which_times_are_believed() {
        let mut believed = Believed::default();
        assert!(!is_doubted(&believed, 0), "nobody said when it is");
        believed.signed(UnixMs(1_000 * DAY_MS));
        for (day, doubted) in
            [(0, true), (998, true), (999, false), (1_001, false), (1_180, false), (1_365, true)]
        {
            assert_eq!(is_doubted(&believed, day), doubted, "day {day}");
        }
        believed.made(UnixMs(1_100 * DAY_MS));
        believed.made(UnixMs(1_500 * DAY_MS));
        believed.made(UnixMs(0));
        for (day, doubted) in [(1_000, true), (1_099, false), (1_101, false), (1_500, true)] {
            assert_eq!(is_doubted(&believed, day), doubted, "day {day}");
        }
        believed.signed(UnixMs(1_020 * DAY_MS));
        assert!(!is_doubted(&believed, 1_025), "rules signed anew say when it is");
    }
}
