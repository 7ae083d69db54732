//! When to tell head office what this shop would like to hold, pure.
//!
//! Invariants: a request says everything wanted, in place of the one before; its number rises, across restarts too, because
//! head office says in its answer to a hello which it served last; it leaves only when head office has read the journal
//! that it speaks of; at most one in `LEASE_ASK_MS_MIN`, at least one in `LEASE_ASK_EVERY_MS` while something is wanted.

use crate::domain::ids::{Epoch, Seq};
use crate::domain::lease::Want;
use crate::limits;

use super::wire::{Ask, PROTOCOL};

/// What is wanted, with the journal it was counted in.
type Level = (Vec<Want>, Seq);

#[derive(Debug, Default)]
pub(super) struct Asking {
    level: Option<Level>,
    /// Waits for head office to have read so far.
    leaving: Option<Level>,
    /// Said last.
    said: Vec<Want>,
    said_at_ms: Option<u64>,
    number: u64,
}

impl Asking {
    /// What is wanted now, counted with every decision through `as_of`.
    pub(super) fn set(&mut self, mut wants: Vec<Want>, as_of: Seq) {
        wants.truncate(limits::LEASE_WANTS_MAX);
        match &mut self.level {
            Some((known, _)) if *known == wants => {}
            level => *level = Some((wants, as_of)),
        }
    }

    /// Connected anew: head office served requests through `served`.
    pub(super) fn line_up(&mut self, served: u64) {
        self.number = self.number.max(served);
        (self.leaving, self.said_at_ms) = (None, None);
    }

    /// When a request is due, in ticks.
    pub(super) fn deadline_ms(&self) -> Option<u64> {
        let (wants, _) = self.level.as_ref().filter(|_| self.leaving.is_none())?;
        if wants.is_empty() && self.said.is_empty() {
            return None;
        }
        let wait = if *wants == self.said { limits::LEASE_ASK_EVERY_MS } else { limits::LEASE_ASK_MS_MIN };
        Some(self.said_at_ms.map_or(0, |at| at + wait))
    }

    /// The request to send now, if any.
    pub(super) fn ask(
        &mut self,
        now_ms: u64,
        applied: Seq,
        (epoch, incarnation): (Epoch, u64),
    ) -> Option<Ask> {
        if self.deadline_ms().is_some_and(|due| due <= now_ms) {
            self.leaving.clone_from(&self.level);
        }
        let (wants, as_of) = self.leaving.take_if(|(_, as_of)| *as_of <= applied)?;
        self.number += 1;
        (self.said, self.said_at_ms) = (wants.clone(), Some(now_ms));
        Some(Ask { v: PROTOCOL, epoch, incarnation, number: self.number, as_of, wants })
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::domain::lease::Scope;

    fn wants(need: i64) -> Vec<Want> {
        vec![Want { scope: Scope::Risk, left: 0, need }]
    }

    fn ask(asking: &mut Asking, now_ms: u64, applied: u64) -> Option<(u64, i64)> {
        let ask = asking.ask(now_ms, Seq(applied), (Epoch(1), 1))?;
        Some((ask.number, ask.wants.first().map_or(0, |want| want.need)))
    }

    #[test]
    fn is_a_request_made_when_it_can_be_served_and_no_oftener_than_it_helps() {
        let mut asking = Asking::default();
        assert_eq!(ask(&mut asking, 0, 0), None, "nobody said what is wanted");
        asking.set(wants(5), Seq(3));
        assert_eq!(ask(&mut asking, 10, 2), None, "head office has not read so far");
        asking.set(wants(6), Seq(9));
        assert_eq!(ask(&mut asking, 20, 3), Some((1, 5)), "a busy shop does not put itself off for ever");
        assert_eq!(ask(&mut asking, 30, 9), None);
        assert_eq!(ask(&mut asking, 20 + limits::LEASE_ASK_MS_MIN, 9), Some((2, 6)));
        let said = 20 + limits::LEASE_ASK_MS_MIN;
        assert_eq!(asking.deadline_ms(), Some(said + limits::LEASE_ASK_EVERY_MS));
        asking.line_up(70);
        assert_eq!(
            ask(&mut asking, said + 1, 9),
            Some((71, 6)),
            "after a restart it goes on above what was served"
        );
        asking.set(Vec::new(), Seq(9));
        assert_eq!(ask(&mut asking, said + 1 + limits::LEASE_ASK_MS_MIN, 9), Some((72, 0)));
        assert_eq!(asking.deadline_ms(), None, "wanting nothing is said once");
    }
}
