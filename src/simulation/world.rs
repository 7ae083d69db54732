//! One simulated world: shops with their boxes and tills, head office, the networks between them, and what befalls them.
//!
//! ```text
//! visits, mishaps --queue--> tills --network--> stations --network--> office
//!                              ^------------------'  ^------------------'       each told to the judge
//! ```
//! A world runs its days, then the faults stop, everything that can run is started, and after `CALM_MS` everything must
//! have come together (I7, I13, I15).

use crate::domain::calendar::{StoreZone, UnixMs};
use crate::domain::ids::Epoch;

use super::judge::Violation;
use super::office::Office;
use super::pickups;
use super::rules::{self, ChainRules};
use super::stage::{Counts, Desk, Event, Stage};
use super::station::{Station, Stop};
use super::till::Till;
use super::weather::Mishap;
use super::wrong::Wrong;

const HOUR_MS: u64 = 3_600_000;
const DAY_MS: u64 = 24 * HOUR_MS;
/// Tills in a shop.
const TILLS: usize = 3;
/// Shoppers a day in a shop.
const VISITS_PER_DAY: u64 = 9;
/// Shoppers of a burst.
const BURST: u64 = 12;
/// Within this time after the faults stopped everything has come together: the longest wait of a sender is 5 minutes, and
/// it may have to wait several times.
const CALM_MS: u64 = 3 * HOUR_MS;
/// What a box decides in this last part of the calm may still be on its way: slices are made good for longer for ever.
const ON_ITS_WAY_MS: u64 = HOUR_MS / 2;
/// When worlds begin, noon in the shop's zone: three days before the clocks go back, three days before they go forward, or
/// in between. 2026-10-22, 2027-03-25, 2026-12-01.
const BEGINNINGS: [i64; 3] = [1_792_663_200_000, 1_805_968_800_000, 1_796_122_800_000];

/// What a world is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Plan {
    /// How many shops.
    pub shops: usize,
    /// For how many days.
    pub days: u64,
    /// The wrong behaviour switched on.
    pub wrong: Option<Wrong>,
}

/// What came of a world.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Ended {
    /// What was counted.
    pub counts: Counts,
    /// What was found: the first of them.
    pub violations: Vec<Violation>,
    /// How many were found.
    pub found: u64,
    /// The hash over all that happened.
    pub trace: String,
}

struct World<'r> {
    stage: Stage<'r>,
    stations: Vec<Station>,
    tills: Vec<Till>,
    office: Office<'r>,
    /// Boxes that were replaced, by shop.
    buried: Vec<Vec<usize>>,
    epochs: Vec<Epoch>,
    is_calm: bool,
}

/// Runs one world to its end; after each of its days `day_over` is told.
pub fn run(seed: u64, plan: Plan, rules: &ChainRules, day_over: &dyn Fn()) -> Ended {
    let mut world = World::new(seed, plan, rules);
    let until = plan.days * DAY_MS;
    world.begin(plan.days);
    for day in 1..=plan.days {
        world.run_until(day * DAY_MS);
        day_over();
    }
    world.calm_down();
    world.run_until(until + CALM_MS - ON_ITS_WAY_MS);
    world.stage.judge.due_at_head_office();
    world.run_until(until + CALM_MS);
    world.audit();
    let trace = world.stage.traced();
    let judge = world.stage.judge;
    let (words, redeemed_twice) = (judge.words(), judge.redeemed_twice);
    let (doubted, picked_up) = (judge.doubted, judge.picked_up());
    let counts = Counts { words, doubted, redeemed_twice, picked_up, ..world.stage.counts };
    Ended { counts, violations: judge.violations, found: judge.found, trace }
}

impl<'r> World<'r> {
    fn new(seed: u64, plan: Plan, rules: &'r ChainRules) -> World<'r> {
        let which = usize::try_from(seed % BEGINNINGS.len() as u64).unwrap_or(0);
        let began = UnixMs(BEGINNINGS[which]);
        let stage = Stage::new(seed, began, (rules, plan.shops), plan.wrong);
        let mut world = World {
            stage,
            stations: Vec::new(),
            tills: Vec::new(),
            office: Office::new(plan.wrong, rules),
            buried: vec![Vec::new(); plan.shops],
            epochs: vec![Epoch(1); plan.shops],
            is_calm: false,
        };
        let zone = StoreZone::new("Europe/Berlin").expect("the zone of the rules");
        for shop in 0..plan.shops {
            let of = world.add_box(shop, Epoch(1));
            world.stage.desks.push(Desk { of, ..Desk::default() });
            for nth in 0..TILLS {
                let number = world.tills.len();
                world.tills.push(Till::new(number, shop, nth, zone.clone()));
            }
        }
        world
    }

    fn add_box(&mut self, shop: usize, epoch: Epoch) -> usize {
        let of = self.stations.len();
        self.stage.judge.new_box(&rules::store_id(shop), epoch);
        self.stations.push(Station::new(of, (shop, epoch), &mut self.stage));
        of
    }

    /// Foresees what comes from outside.
    fn begin(&mut self, days: u64) {
        for shop in 0..self.epochs.len() {
            let wait = self.stage.random.below(60_000);
            self.stage.after(wait, Event::Start { of: shop });
            self.next_visit(shop);
            for (which, mean) in self.stage.weather.shop.clone() {
                let wait = self.stage.random.around(mean);
                self.foresee_mishap(shop, which, wait, days * DAY_MS);
            }
        }
        let weather = self.stage.weather.clone();
        self.stage.after(weather.backup_ms, Event::OfficeBackup);
        for (mean, event) in [
            (weather.office_crash_ms, Event::OfficeCrash { restore: false }),
            (weather.restore_ms, Event::OfficeCrash { restore: true }),
            (weather.publish_ms, Event::Publish),
            (pickups::EVERY_MS, Event::Order),
        ] {
            self.again(mean, event);
        }
    }

    fn foresee_mishap(&mut self, shop: usize, which: Mishap, wait: u64, until: u64) {
        if self.stage.now_ms + wait < until {
            self.stage.after(wait, Event::Mishap { shop, which });
        }
    }

    /// Foresees the next of what comes again and again.
    fn again(&mut self, mean_ms: u64, event: Event) {
        if mean_ms > 0 && !self.is_calm {
            let wait = 60_000 + self.stage.random.around(mean_ms);
            self.stage.after(wait, event);
        }
    }

    /// Shoppers come by day, between eight and eight.
    fn next_visit(&mut self, shop: usize) {
        let mut wait = self.stage.random.around(DAY_MS / 2 / VISITS_PER_DAY);
        // Worlds begin at noon.
        let of_day = (self.stage.now_ms + wait + DAY_MS / 2) % DAY_MS;
        if !(8 * HOUR_MS..20 * HOUR_MS).contains(&of_day) {
            wait += DAY_MS / 2;
        }
        self.stage.after(wait, Event::Visit { shop });
    }

    fn run_until(&mut self, until_ms: u64) {
        while let Some(event) = self.stage.next(until_ms) {
            self.happen(event);
        }
    }

    fn happen(&mut self, event: Event) {
        let World { stage, stations, tills, office, .. } = self;
        match event {
            Event::Visit { shop } => {
                if self.is_calm {
                    return;
                }
                let till = shop * TILLS + usize::try_from(stage.random.below(TILLS as u64)).unwrap_or(0);
                tills[till].visit(stage);
                self.next_visit(shop);
            }
            Event::Patience { till, try_no } => tills[till].impatient(try_no, stage),
            Event::Asked { of, till, op, bytes } => {
                stations[of].asked(till, &tills[till].device, (op, &bytes), stage);
            }
            Event::Answered { till, bytes } => {
                let store = rules::store_id(tills[till].shop);
                tills[till].answered(&store, &bytes, stage);
            }
            Event::Synced { of, life } => stations[of].synced(life, stage),
            Event::Follow { of, life } => stations[of].follow(life, stage),
            Event::Tick { of, life } => stations[of].ticked(life, stage),
            Event::Connected { of, life, line } => {
                let is_there = office.is_up() && !stations[of].is_parted;
                if is_there && stations[of].life == life {
                    office.joined(&stations[of].store, of, line);
                }
                stations[of].connected((life, line), is_there, stage);
            }
            Event::Up { of, office: life, kind, bytes } => {
                if office.is_up() && office.life == life {
                    office.received(&stations[of], kind, &bytes, stage);
                }
            }
            Event::Down { of, line, kind, bytes } => stations[of].heard(line, kind, &bytes, stage),
            Event::Start { of } => stations[of].start(stage),
            Event::Mishap { shop, which } => {
                self.befall(shop, which);
                let mean =
                    self.stage.weather.shop.iter().find(|(kind, _)| *kind == which).map(|(_, mean)| *mean);
                self.again(mean.unwrap_or(0), Event::Mishap { shop, which });
            }
            Event::Mended { shop, line } => self.mend(shop, line),
            Event::OfficeSynced { life } => office.synced(life, stage),
            Event::OfficeTells { life } => office.tell(life, stage),
            Event::OfficeBackup => {
                office.back_up(stage);
                let wait = stage.weather.backup_ms;
                stage.after(wait, Event::OfficeBackup);
            }
            Event::OfficeCrash { restore } => {
                self.crash_office(restore);
                let weather = &self.stage.weather;
                let mean = if restore { weather.restore_ms } else { weather.office_crash_ms };
                self.again(mean, Event::OfficeCrash { restore });
            }
            Event::OfficeStart { restore } => {
                if !office.is_up() {
                    office.start(restore, stage);
                    stage.office = office.life;
                }
            }
            Event::Publish => {
                office.publish(stage);
                let mean = stage.weather.publish_ms;
                self.again(mean, Event::Publish);
            }
            Event::Order => {
                if !self.is_calm {
                    office.order(stage);
                }
                self.again(pickups::EVERY_MS, Event::Order);
            }
        }
    }

    fn crash_office(&mut self, restore: bool) {
        if !self.office.is_up() || self.is_calm {
            return;
        }
        self.stage.counts.office_crashes += 1;
        self.office.crash(&mut self.stage);
        for station in &mut self.stations {
            station.cut_off(&mut self.stage);
        }
        let away = if self.stage.random.chance(800) { 10 * 60_000 } else { 2 * DAY_MS };
        let wait = 1_000 + self.stage.random.below(away);
        self.stage.after(wait, Event::OfficeStart { restore });
    }

    fn befall(&mut self, shop: usize, which: Mishap) {
        if self.is_calm {
            return;
        }
        let of = self.stage.desks[shop].of;
        self.stage.trace(10, shop, which as u64);
        let is_up = self.stations[of].is_up();
        let World { stage, stations, .. } = self;
        let station = &mut stations[of];
        match which {
            Mishap::Kill if is_up => self.lay_low(of, Stop::Killed),
            Mishap::PowerCut if is_up => self.lay_low(of, Stop::PowerCut),
            Mishap::DieWriting => station.doom(stage),
            Mishap::SyncError => station.fail_sync(stage),
            Mishap::TablesDestroyed => {
                station.lose_tables(stage);
                self.office.left(&rules::store_id(shop), of);
            }
            Mishap::Parted => self.part(shop, 6 * HOUR_MS),
            Mishap::LongOutage => self.part(shop, 5 * DAY_MS),
            Mishap::ShopParted => {
                stage.counts.partings += 1;
                stage.desks[shop].is_parted = true;
                let wait = stage.random.below(2 * HOUR_MS);
                stage.after(wait, Event::Mended { shop, line: false });
            }
            Mishap::Clock => {
                stage.counts.clock_jumps += 1;
                let true_ms = stage.unix().0;
                station.off_ms = match stage.random.below(6) {
                    0 => -true_ms,
                    1 => 365 * DAY_MS as i64,
                    2 => HOUR_MS as i64,
                    3 => -(HOUR_MS as i64),
                    4 => -(3 * DAY_MS as i64),
                    _ => 0,
                };
            }
            Mishap::Spare => self.replace(shop),
            Mishap::Zombie => self.raise(shop),
            Mishap::Clone => self.clone_box(shop),
            Mishap::Bundle => {
                let version = stage.random.between(1, rules::VERSIONS);
                station.install(version, stage);
            }
            Mishap::Burst => {
                for _ in 0..BURST {
                    let till = shop * TILLS + usize::try_from(stage.random.below(TILLS as u64)).unwrap_or(0);
                    self.tills[till].visit(stage);
                }
            }
            Mishap::Kill | Mishap::PowerCut => {}
        }
    }

    fn lay_low(&mut self, of: usize, stop: Stop) {
        self.stations[of].die(stop, &mut self.stage);
        let store = self.stations[of].store.clone();
        self.office.left(&store, of);
    }

    fn part(&mut self, shop: usize, longest_ms: u64) {
        let of = self.stage.desks[shop].of;
        self.stage.counts.partings += 1;
        self.stations[of].is_parted = true;
        self.stations[of].cut_off(&mut self.stage);
        let store = self.stations[of].store.clone();
        self.office.left(&store, of);
        let wait = 1_000 + self.stage.random.below(longest_ms);
        self.stage.after(wait, Event::Mended { shop, line: true });
    }

    fn mend(&mut self, shop: usize, line: bool) {
        if line {
            for station in self.stations.iter_mut().filter(|station| station.shop == shop) {
                station.is_parted = false;
            }
        } else {
            self.stage.desks[shop].is_parted = false;
        }
    }

    /// The box dies for good: a spare takes its place, as a new epoch with nothing.
    fn replace(&mut self, shop: usize) {
        self.stage.counts.spares += 1;
        let old = self.stage.desks[shop].of;
        self.stations[old].bury(&mut self.stage);
        let store = self.stations[old].store.clone();
        self.office.left(&store, old);
        self.buried[shop].push(old);
        self.epochs[shop].0 += 1;
        let of = self.add_box(shop, self.epochs[shop]);
        if self.stage.is(Wrong::SpareCopiesLeases) {
            let (lost, spare) = self.stations.split_at_mut(of);
            spare[0].take_leases(&lost[old]);
        }
        self.stage.desks[shop].of = of;
        self.stage.after(1_000, Event::Start { of });
    }

    /// A replaced box comes back: it drains, no till turns to it.
    fn raise(&mut self, shop: usize) {
        let Some(of) = self.buried[shop].pop() else { return };
        self.stage.counts.zombies += 1;
        self.stations[of].unbury(&mut self.stage);
    }

    /// The disk is copied while the box is down, and both run: every other till turns to the copy.
    fn clone_box(&mut self, shop: usize) {
        if self.stage.desks[shop].also.is_some() {
            return;
        }
        self.stage.counts.clones += 1;
        let old = self.stage.desks[shop].of;
        if self.stations[old].is_up() {
            self.lay_low(old, Stop::Killed);
        }
        let of = self.stations.len();
        let copy = self.stations[old].cloned(of, &mut self.stage);
        self.stage.judge.new_clone(old);
        self.stations.push(copy);
        self.stage.desks[shop].also = Some(of);
        self.stage.after(5_000, Event::Start { of });
    }

    /// No more faults, no more shoppers; what can run, runs.
    fn calm_down(&mut self) {
        self.is_calm = true;
        self.stage.weather = self.stage.weather.calm();
        if !self.office.is_up() {
            self.stage.after(1_000, Event::OfficeStart { restore: false });
        }
        self.stage.after(20 * 60_000, Event::OfficeBackup);
        for shop in 0..self.epochs.len() {
            self.mend(shop, true);
            self.mend(shop, false);
        }
        for station in &mut self.stations {
            station.heal();
            if !station.is_up() {
                self.stage.after(1_000, Event::Start { of: station.of });
            }
        }
    }

    /// Everything has come together.
    fn audit(&mut self) {
        let World { stage, stations, office, .. } = self;
        if !office.is_up() {
            stage.judge.accuse("I15", "head office does not run though the faults stopped".to_owned());
        }
        for station in stations.iter_mut().filter(|station| !station.is_gone) {
            if station.is_up() {
                stage.judge.drained(station.of);
                station.audit(stage);
            } else {
                stage
                    .judge
                    .accuse("I15", format!("{}: it does not run though the faults stopped", station.store));
            }
        }
        for shop in 0..self.epochs.len() {
            let store = rules::store_id(shop);
            stage.judge.books(&store, &office.fold().totals(&store));
        }
        stage.judge.hand_overs(&office.hand_overs());
        let is_whole = stations.iter().all(|station| !station.is_gone);
        stage.judge.lending(&office.lending(), &office.breaches(), is_whole);
        for (member, due) in stage.judge.points_due() {
            let balance = office.fold().balance(&member);
            if balance != Some(due) {
                let text = format!("{member}: {balance:?} points at head office, {due} by the journals");
                stage.judge.accuse("I7", text);
            }
        }
    }
}
