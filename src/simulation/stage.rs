//! What everybody in a simulated world shares: its clock, its chance, what is to happen, the judge and the counts.
//!
//! Time is milliseconds since the world began and only rises; a box adds its own error to it. What happens is an `Event`,
//! taken in order of time and, at the same time, of when it was foreseen. The trace is a hash over all that happened.

use std::cmp::Ordering;
use std::collections::BinaryHeap;
use std::rc::Rc;

use sha2::{Digest as _, Sha256};

use crate::domain::calendar::UnixMs;
use crate::domain::text::hex;
use crate::upstream::machine::Now;
use crate::upstream::wire::{DownKind, UpKind};

use super::judge::Judge;
use super::pickups::Desire;
use super::random::Random;
use super::rules::ChainRules;
use super::weather::{Loss, Mishap, Weather};
use super::wrong::Wrong;

/// Something that is to happen. Boxes and tills are named by number, a run of a box or of head office by its life: what was
/// foreseen for an earlier life does not happen.
#[derive(Clone, Debug)]
pub(super) enum Event {
    /// A shopper comes to a shop.
    Visit { shop: usize },
    /// A till has waited long enough for an answer.
    Patience { till: usize, try_no: u64 },
    /// A request arrives at a box.
    Asked { of: usize, till: usize, op: &'static str, bytes: Rc<[u8]> },
    /// An answer arrives at a till.
    Answered { till: usize, bytes: Rc<[u8]> },
    /// A box's disk is done with the group before.
    Synced { of: usize, life: u64 },
    /// A box's tables follow.
    Follow { of: usize, life: u64 },
    /// A box's sender wants to look at the time.
    Tick { of: usize, life: u64 },
    /// A box's attempt to reach head office ends.
    Connected { of: usize, life: u64, line: u64 },
    /// A frame arrives at head office.
    Up { of: usize, office: u64, kind: UpKind, bytes: Rc<[u8]> },
    /// A frame arrives at a box.
    Down { of: usize, line: u64, kind: DownKind, bytes: Rc<[u8]> },
    /// A box starts.
    Start { of: usize },
    /// Something befalls a shop.
    Mishap { shop: usize, which: Mishap },
    /// A network that was parted is whole again.
    Mended { shop: usize, line: bool },
    /// Head office's disk is done.
    OfficeSynced { life: u64 },
    /// Head office tells members' points.
    OfficeTells { life: u64 },
    /// Head office makes a backup.
    OfficeBackup,
    /// Head office stops, for good or to be restored.
    OfficeCrash { restore: bool },
    /// Head office starts.
    OfficeStart { restore: bool },
    /// Head office has a new bundle.
    Publish,
    /// Somebody buys online, and picks it up in a shop.
    Order,
}

struct Foreseen {
    at: u64,
    nth: u64,
    event: Event,
}

impl PartialEq for Foreseen {
    fn eq(&self, other: &Foreseen) -> bool {
        self.cmp(other) == Ordering::Equal
    }
}

impl Eq for Foreseen {}

impl PartialOrd for Foreseen {
    fn partial_cmp(&self, other: &Foreseen) -> Option<Ordering> {
        Some(self.cmp(other))
    }
}

impl Ord for Foreseen {
    /// The soonest is the greatest: that is what a heap gives first.
    fn cmp(&self, other: &Foreseen) -> Ordering {
        (other.at, other.nth).cmp(&(self.at, self.nth))
    }
}

/// What was counted in one world.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, serde::Serialize)]
pub struct Counts {
    /// Things that happened.
    pub events: u64,
    /// Decisions made durable.
    pub decisions: u64,
    /// Of them, sales.
    pub sales: u64,
    /// Requests that tills sent, repetitions included.
    pub requests: u64,
    /// Answers that were an earlier one again.
    pub replayed: u64,
    /// Daemons killed.
    pub kills: u64,
    /// Power cuts.
    pub power_cuts: u64,
    /// Disks that failed an operation.
    pub disk_errors: u64,
    /// Tables that were lost and rebuilt.
    pub tables_lost: u64,
    /// Starts of boxes.
    pub starts: u64,
    /// Journal segments forgotten.
    pub segments_pruned: u64,
    /// Boxes that died for good and were replaced.
    pub spares: u64,
    /// Replaced boxes that came back.
    pub zombies: u64,
    /// Disks that were copied.
    pub clones: u64,
    /// Clocks that jumped.
    pub clock_jumps: u64,
    /// Times a network parted.
    pub partings: u64,
    /// Messages lost.
    pub messages_lost: u64,
    /// Messages delivered twice.
    pub messages_twice: u64,
    /// Messages delivered.
    pub messages: u64,
    /// Crashes of head office.
    pub office_crashes: u64,
    /// Restores of head office from its backup.
    pub restores: u64,
    /// Backups of head office.
    pub backups: u64,
    /// Bundles that became active in a shop.
    pub activations: u64,
    /// Bundles that a box refused.
    pub bundles_refused: u64,
    /// Times a shop and head office held what they count against each other, and it was the same.
    pub compared: u64,
    /// Words about leases that head office said.
    pub words: u64,
    /// Decisions under a clock that was not believed, which they say.
    pub doubted: u64,
    /// Single-use codes redeemed twice, which the risk lent bounds, or the loss of a box.
    pub redeemed_twice: u64,
    /// Orders paid online that were handed over.
    pub picked_up: u64,
}

impl Counts {
    /// Adds another world's.
    pub fn add(&mut self, other: &Counts) {
        let Counts {
            events,
            decisions,
            sales,
            requests,
            replayed,
            kills,
            power_cuts,
            disk_errors,
            tables_lost,
            starts,
            segments_pruned,
            spares,
            zombies,
            clones,
            clock_jumps,
            partings,
            messages_lost,
            messages_twice,
            messages,
            office_crashes,
            restores,
            backups,
            activations,
            bundles_refused,
            compared,
            words,
            doubted,
            redeemed_twice,
            picked_up,
        } = other;
        for (mine, theirs) in [
            (&mut self.events, events),
            (&mut self.decisions, decisions),
            (&mut self.sales, sales),
            (&mut self.requests, requests),
            (&mut self.replayed, replayed),
            (&mut self.kills, kills),
            (&mut self.power_cuts, power_cuts),
            (&mut self.disk_errors, disk_errors),
            (&mut self.tables_lost, tables_lost),
            (&mut self.starts, starts),
            (&mut self.segments_pruned, segments_pruned),
            (&mut self.spares, spares),
            (&mut self.zombies, zombies),
            (&mut self.clones, clones),
            (&mut self.clock_jumps, clock_jumps),
            (&mut self.partings, partings),
            (&mut self.messages_lost, messages_lost),
            (&mut self.messages_twice, messages_twice),
            (&mut self.messages, messages),
            (&mut self.office_crashes, office_crashes),
            (&mut self.restores, restores),
            (&mut self.backups, backups),
            (&mut self.activations, activations),
            (&mut self.bundles_refused, bundles_refused),
            (&mut self.compared, compared),
            (&mut self.words, words),
            (&mut self.doubted, doubted),
            (&mut self.redeemed_twice, redeemed_twice),
            (&mut self.picked_up, picked_up),
        ] {
            *mine += theirs;
        }
    }
}

/// The shared part of a world.
pub(super) struct Stage<'r> {
    /// Milliseconds since the world began.
    pub(super) now_ms: u64,
    /// The true time when it began.
    pub(super) began: UnixMs,
    /// Chance.
    pub(super) random: Random,
    /// What goes wrong.
    pub(super) weather: Weather,
    /// The wrong behaviour that is switched on.
    pub(super) wrong: Option<Wrong>,
    /// The chain's rules.
    pub(super) rules: &'r ChainRules,
    /// How many shops there are.
    pub(super) shops: usize,
    /// The model.
    pub(super) judge: Judge,
    /// What was counted.
    pub(super) counts: Counts,
    /// The life of head office: what is sent to an earlier one does not arrive.
    pub(super) office: u64,
    /// Where the tills of each shop turn to.
    pub(super) desks: Vec<Desk>,
    /// What was bought online.
    pub(super) desire: Desire,
    queue: BinaryHeap<Foreseen>,
    foreseen: u64,
    trace: Sha256,
}

/// Where the tills of a shop turn to.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct Desk {
    /// The shop's box.
    pub(super) of: usize,
    /// A second box that runs under its name.
    pub(super) also: Option<usize>,
    /// The shop's own network is parted.
    pub(super) is_parted: bool,
}

impl<'r> Stage<'r> {
    /// An empty stage.
    pub(super) fn new(
        seed: u64,
        began: UnixMs,
        (rules, shops): (&'r ChainRules, usize),
        wrong: Option<Wrong>,
    ) -> Stage<'r> {
        let mut random = Random::new(seed);
        let weather = Weather::draw(&mut random);
        Stage {
            now_ms: 0,
            began,
            random,
            weather,
            wrong,
            rules,
            shops,
            judge: Judge::new(seed, rules.terms(), began),
            counts: Counts::default(),
            office: 1,
            desks: Vec::new(),
            desire: Desire::default(),
            queue: BinaryHeap::new(),
            foreseen: 0,
            trace: Sha256::new(),
        }
    }

    /// Is this the wrong behaviour that is switched on?
    pub(super) fn is(&self, wrong: Wrong) -> bool {
        self.wrong == Some(wrong)
    }

    /// The true time.
    pub(super) fn unix(&self) -> UnixMs {
        self.began.plus_ms(i64::try_from(self.now_ms).unwrap_or(i64::MAX))
    }

    /// Both clocks of a box whose wall clock is off by so much.
    pub(super) fn clocks(&self, off_ms: i64) -> Now {
        Now { ticks_ms: self.now_ms, unix: self.unix().plus_ms(off_ms) }
    }

    /// Foresees an event.
    pub(super) fn after(&mut self, wait_ms: u64, event: Event) {
        self.at(self.now_ms + wait_ms, event);
    }

    /// Foresees an event at a time.
    pub(super) fn at(&mut self, at: u64, event: Event) {
        self.foreseen += 1;
        self.queue.push(Foreseen { at, nth: self.foreseen, event });
    }

    /// The next event, if it is due by `until_ms`; time goes on to it.
    pub(super) fn next(&mut self, until_ms: u64) -> Option<Event> {
        if self.queue.peek().is_none_or(|next| next.at > until_ms) {
            self.now_ms = self.now_ms.max(until_ms);
            return None;
        }
        let Foreseen { at, event, .. } = self.queue.pop()?;
        self.now_ms = self.now_ms.max(at);
        self.judge.step += 1;
        self.counts.events += 1;
        Some(event)
    }

    /// Sends a message over a network: it may be lost, doubled, late. `make` says what its arrival is.
    pub(super) fn send(&mut self, loss: Loss, make: impl Fn() -> Event) {
        if self.random.chance(loss.lost) {
            self.counts.messages_lost += 1;
            return;
        }
        let copies = 1 + u64::from(self.random.chance(loss.twice));
        self.counts.messages_twice += copies - 1;
        for _ in 0..copies {
            let late = if self.random.chance(loss.late) { self.random.below(60_000) } else { 0 };
            let wait = 1 + self.random.below(loss.delay_ms) + late;
            self.counts.messages += 1;
            self.after(wait, make());
        }
    }

    /// Sends a request of a till to its shop's box, or to the second one for every other till.
    pub(super) fn ask(&mut self, shop: usize, till: usize, op: &'static str, bytes: &Rc<[u8]>) {
        let desk = self.desks[shop];
        if desk.is_parted {
            self.counts.messages_lost += 1;
            return;
        }
        let of = desk.also.filter(|_| till % 2 == 1).unwrap_or(desk.of);
        let loss = self.weather.tills;
        self.send(loss, || Event::Asked { of, till, op, bytes: bytes.clone() });
    }

    /// Writes into the trace what happened, to whom, with what.
    pub(super) fn trace(&mut self, what: u8, whom: usize, with: u64) {
        let mut line = [0_u8; 25];
        line[0] = what;
        line[1..9].copy_from_slice(&self.now_ms.to_be_bytes());
        line[9..17].copy_from_slice(&(whom as u64).to_be_bytes());
        line[17..25].copy_from_slice(&with.to_be_bytes());
        self.trace.update(line);
    }

    /// The hash over all that happened.
    pub(super) fn traced(&self) -> String {
        hex(&self.trace.clone().finalize())
    }
}
