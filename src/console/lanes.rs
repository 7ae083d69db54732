//! Each device's last requests, their pace and how long they took: kept by the desk, shown by the console.
//!
//! Bounded: `LANES_MAX` devices, the longest silent one leaves first; `LANE_TIMES` durations and a minute of seconds each.
//! A duration runs from hearing a request to handing its answer to the broker, the disk included.

use std::collections::{BTreeMap, VecDeque};

use crate::domain::calendar::UnixMs;
use crate::domain::code::Code;
use crate::domain::ids::DeviceId;
use crate::limits;

/// A request on its way to its answer.
#[derive(Clone, Debug)]
pub struct Visit {
    /// Who asks.
    pub device: DeviceId,
    /// What: the contract's word, `other` for one it does not know.
    pub op: &'static str,
}

/// One answered request.
#[derive(Clone, Debug)]
pub struct Last {
    /// When it was answered.
    pub at: UnixMs,
    /// What.
    pub op: &'static str,
    /// How long it took, in microseconds.
    pub us: u32,
    /// The refusal, if it was one.
    pub code: Option<Code>,
}

/// One device.
#[derive(Clone, Debug)]
pub struct Lane {
    /// Which.
    pub device: DeviceId,
    /// Answers since the start.
    pub answers: u64,
    /// Of them refusals.
    pub refusals: u64,
    /// The newest requests, newest first.
    pub last: VecDeque<Last>,
    /// How long the newest took, in microseconds, in no order.
    times_us: VecDeque<u32>,
    /// Answers in each second of the last minute; the last one is still running.
    per_second: VecDeque<u16>,
}

impl Lane {
    fn new(device: DeviceId) -> Lane {
        Lane {
            device,
            answers: 0,
            refusals: 0,
            last: VecDeque::with_capacity(limits::LANE_LAST),
            times_us: VecDeque::with_capacity(limits::LANE_TIMES),
            per_second: std::iter::repeat_n(0, limits::LANE_SECONDS).collect(),
        }
    }

    /// Answers in each second of the last minute, oldest first.
    pub fn seconds(&self) -> impl Iterator<Item = u16> + '_ {
        self.per_second.iter().copied()
    }

    /// Answers in the last minute.
    pub fn per_minute(&self) -> u32 {
        self.seconds().map(u32::from).sum()
    }

    /// The slowest of a hundred among the newest requests, in microseconds (nearest rank).
    pub fn p99_us(&self) -> Option<u32> {
        let mut times: Vec<u32> = self.times_us.iter().copied().collect();
        times.sort_unstable();
        let rank = (times.len() * 99).div_ceil(100);
        rank.checked_sub(1).and_then(|place| times.get(place).copied())
    }
}

/// What was answered of one operation since the start.
#[derive(Clone, Copy, Debug)]
pub struct Operation {
    /// The contract's word.
    pub op: &'static str,
    /// Answers that give what was asked.
    pub answered: u64,
    /// Refusals.
    pub refused: u64,
    /// Answers by how long they took: up to each of `LATENCY_BOUNDS_US`, then longer.
    pub buckets: [u64; limits::LATENCY_BOUNDS_US.len() + 1],
    /// All durations together, in microseconds.
    pub sum_us: u64,
}

/// All devices.
#[derive(Clone, Debug, Default)]
pub struct Lanes {
    lanes: BTreeMap<DeviceId, Lane>,
    operations: Vec<Operation>,
}

impl Lanes {
    /// A request was answered `us` microseconds after it was heard.
    pub fn answered(&mut self, visit: &Visit, at: UnixMs, us: u32, code: Option<Code>) {
        self.count(visit.op, us, code.is_some());
        if !self.lanes.contains_key(&visit.device) {
            if self.lanes.len() >= limits::LANES_MAX {
                let silent = |lane: &&Lane| lane.last.front().map_or(i64::MIN, |last| last.at.0);
                let longest = self.lanes.values().min_by_key(silent).map(|lane| lane.device.clone());
                longest.and_then(|device| self.lanes.remove(&device));
            }
            self.lanes.insert(visit.device.clone(), Lane::new(visit.device.clone()));
        }
        let Some(lane) = self.lanes.get_mut(&visit.device) else { return };
        lane.answers += 1;
        lane.refusals += u64::from(code.is_some());
        keep(&mut lane.last, limits::LANE_LAST, Last { at, op: visit.op, us, code });
        keep(&mut lane.times_us, limits::LANE_TIMES, us);
        if let Some(second) = lane.per_second.back_mut() {
            *second = second.saturating_add(1);
        }
    }

    fn count(&mut self, op: &'static str, us: u32, refused: bool) {
        let place = self.operations.iter().position(|of| of.op == op).unwrap_or_else(|| {
            let buckets = [0; limits::LATENCY_BOUNDS_US.len() + 1];
            self.operations.push(Operation { op, answered: 0, refused: 0, buckets, sum_us: 0 });
            self.operations.len() - 1
        });
        let of = &mut self.operations[place];
        of.answered += u64::from(!refused);
        of.refused += u64::from(refused);
        of.buckets[limits::LATENCY_BOUNDS_US.partition_point(|bound| *bound < us)] += 1;
        of.sum_us += u64::from(us);
    }

    /// A second has passed.
    pub fn second(&mut self) {
        for lane in self.lanes.values_mut() {
            lane.per_second.pop_front();
            lane.per_second.push_back(0);
        }
    }

    /// Each device, in order.
    pub fn lanes(&self) -> Vec<Lane> {
        self.lanes.values().cloned().collect()
    }

    /// Each operation that was asked for.
    pub fn operations(&self) -> Vec<Operation> {
        self.operations.clone()
    }
}

fn keep<T>(newest_first: &mut VecDeque<T>, most: usize, item: T) {
    if newest_first.len() >= most {
        newest_first.pop_back();
    }
    newest_first.push_front(item);
}

#[cfg(test)]
mod tests {
    use super::*;

    fn visit(device: &str) -> Visit {
        Visit { device: DeviceId::new(device).expect("an id"), op: "quote" }
    }

    #[test]
    fn what_does_a_lane_remember() {
        let mut lanes = Lanes::default();
        for us in 1..=200 {
            lanes.answered(&visit("till-1"), UnixMs(i64::from(us)), us, (us == 200).then_some(Code::Busy));
        }
        lanes.second();
        lanes.answered(&visit("till-1"), UnixMs(300), 7, None);
        let all = lanes.lanes();
        let lane = &all[0];
        assert_eq!((lane.answers, lane.refusals, lane.per_minute()), (201, 1, 201));
        assert_eq!(lane.last.front().map(|last| last.us), Some(7), "newest first");
        assert_eq!(lane.last.len(), limits::LANE_LAST);
        assert_eq!(lane.p99_us(), Some(199), "of the newest 128: 74 to 200 and 7");
        assert_eq!(lane.seconds().last(), Some(1));
        for _ in 0..limits::LANE_SECONDS {
            lanes.second();
        }
        assert_eq!(lanes.lanes()[0].per_minute(), 0, "a minute later nobody asks");
        let quote = lanes.operations()[0];
        assert_eq!((quote.answered, quote.refused, quote.buckets.iter().sum::<u64>()), (200, 1, 201));
    }

    #[test]
    fn who_leaves_when_there_are_too_many() {
        let mut lanes = Lanes::default();
        for nth in 0..=limits::LANES_MAX {
            lanes.answered(&visit(&format!("d{nth}")), UnixMs(nth as i64), 1, None);
        }
        let left = lanes.lanes();
        assert_eq!(left.len(), limits::LANES_MAX);
        assert!(left.iter().all(|lane| lane.device.as_str() != "d0"), "the longest silent");
    }
}
