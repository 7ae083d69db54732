//! What goes wrong in one simulated world, and how often: a swarm, drawn anew for each seed.
//!
//! A world with every fault all the time explores little: crashes hide what only a long quiet outage shows. So each class of
//! fault is absent from about every third world, rare in another third and frequent in the rest.

use super::random::Random;

const MINUTE_MS: u64 = 60_000;
const HOUR_MS: u64 = 60 * MINUTE_MS;
const DAY_MS: u64 = 24 * HOUR_MS;

/// The kinds of mishaps that befall one shop.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum Mishap {
    /// The daemon is killed.
    Kill,
    /// The box loses power.
    PowerCut,
    /// It dies in the midst of a write, a few disk operations from now.
    DieWriting,
    /// A sync fails: the daemon must stop acknowledging.
    SyncError,
    /// The tables are gone; the journal has everything.
    TablesDestroyed,
    /// The line to head office parts for a while.
    Parted,
    /// The line to head office parts for days.
    LongOutage,
    /// The shop's own network parts: tills do not reach the box.
    ShopParted,
    /// The box's clock jumps.
    Clock,
    /// The box dies for good and a spare takes its place, as a new epoch with nothing.
    Spare,
    /// A box that was replaced comes back.
    Zombie,
    /// The box's disk is copied, and the copy runs too.
    Clone,
    /// Somebody installs a bundle by hand, older ones too.
    Bundle,
    /// Many shoppers at once.
    Burst,
}

/// Each mishap with its mean time between two of them in one shop, in hours, where it is frequent.
const SHOP: [(Mishap, u64); 14] = [
    (Mishap::Kill, 20),
    (Mishap::PowerCut, 24),
    (Mishap::DieWriting, 24),
    (Mishap::SyncError, 48),
    (Mishap::TablesDestroyed, 72),
    (Mishap::Parted, 10),
    (Mishap::LongOutage, 120),
    (Mishap::ShopParted, 24),
    (Mishap::Clock, 60),
    (Mishap::Spare, 160),
    (Mishap::Zombie, 120),
    (Mishap::Clone, 300),
    (Mishap::Bundle, 60),
    (Mishap::Burst, 48),
];

/// The rates of one world.
#[derive(Clone, Debug)]
pub(super) struct Weather {
    /// Mean milliseconds between two mishaps of a kind in one shop; those absent are not here.
    pub(super) shop: Vec<(Mishap, u64)>,
    /// Of 1,000 messages within a shop, how many are lost, and how many come twice.
    pub(super) tills: Loss,
    /// The same on the line to head office.
    pub(super) line: Loss,
    /// Mean milliseconds between two crashes of head office; 0 for none.
    pub(super) office_crash_ms: u64,
    /// Mean milliseconds between two restores of head office from its backup; 0 for none.
    pub(super) restore_ms: u64,
    /// Milliseconds between two backups of head office.
    pub(super) backup_ms: u64,
    /// Milliseconds between two new bundles of head office; 0 for none.
    pub(super) publish_ms: u64,
    /// Milliseconds a sync takes at most.
    pub(super) sync_ms: u64,
    /// Milliseconds after which the tables follow at most.
    pub(super) follow_ms: u64,
}

/// How a network treats messages.
#[derive(Clone, Copy, Debug)]
pub(super) struct Loss {
    /// Lost, of 1,000.
    pub(super) lost: u64,
    /// Delivered twice, of 1,000.
    pub(super) twice: u64,
    /// Longest usual way, in milliseconds.
    pub(super) delay_ms: u64,
    /// So much later, of 1,000: messages overtake each other.
    pub(super) late: u64,
}

impl Loss {
    fn draw(random: &mut Random) -> Loss {
        let rate = |random: &mut Random, worst: u64| match random.below(3) {
            0 => 0,
            1 => random.below(worst / 10 + 1),
            _ => random.below(worst + 1),
        };
        Loss {
            lost: rate(random, 250),
            twice: rate(random, 250),
            delay_ms: 1 + rate(random, 800),
            late: rate(random, 150),
        }
    }

    /// Nothing is lost any more.
    fn calm() -> Loss {
        Loss { lost: 0, twice: 0, delay_ms: 20, late: 0 }
    }
}

impl Weather {
    /// What this world is to bear.
    pub(super) fn draw(random: &mut Random) -> Weather {
        let mut sometimes = |mean_ms: u64| match random.below(3) {
            0 => 0,
            1 => mean_ms * 5,
            _ => mean_ms,
        };
        let shop = SHOP.iter().map(|(mishap, hours)| (*mishap, sometimes(hours * HOUR_MS)));
        let shop = shop.filter(|(_, mean)| *mean > 0).collect();
        let (office_crash_ms, restore_ms) = (sometimes(2 * DAY_MS), sometimes(5 * DAY_MS));
        let publish_ms = sometimes(2 * DAY_MS);
        Weather {
            shop,
            tills: Loss::draw(random),
            line: Loss::draw(random),
            office_crash_ms,
            restore_ms,
            backup_ms: random.between(HOUR_MS, DAY_MS),
            publish_ms,
            sync_ms: if random.chance(200) { 5_000 } else { 20 },
            follow_ms: if random.chance(300) { HOUR_MS } else { 2_000 },
        }
    }

    /// The same world when nothing goes wrong any more.
    pub(super) fn calm(&self) -> Weather {
        Weather {
            shop: Vec::new(),
            tills: Loss::calm(),
            line: Loss::calm(),
            office_crash_ms: 0,
            restore_ms: 0,
            backup_ms: 10 * MINUTE_MS,
            publish_ms: 0,
            sync_ms: 20,
            follow_ms: 2_000,
        }
    }
}
