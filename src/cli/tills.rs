//! Simulated tills and kiosks that speak the contract over real MQTT: what `demo` and `drive` load a daemon with.
//!
//! ```text
//! Stock (a shop's goods, members, codes) --seed--> Visit --.
//! Journey (real baskets) ------------------------> Visit --+--> script --> device --MQTT 5 or 3.1.1--> broker
//!                                                               tally <-- every request, reply, sale
//! ```
//!
//! - `device`: one MQTT client: requests under an id, repeated with the same bytes until they are answered
//! - `visit`: what a shopper does, made up from a seed or taken from real baskets
//! - `script`: what a till or kiosk sends for it
//! - `tally`: counters that may be read while the fleet runs
//!
//! Invariants: nothing here knows the engine; it sends what design/2-contract says and reads JSON. What a device
//! decides depends on the seed, its id and the answers only. A fleet that is
//! told to stop finishes the visits it has begun, so that its figures add up.

pub mod device;
pub mod script;
pub mod tally;
pub mod visit;

use std::sync::Arc;

use anyhow::Context;
use tokio::sync::{Mutex, mpsc, watch};
use tokio::task::JoinSet;

use crate::clock::Clock;
use crate::domain::calendar::Day;
use crate::domain::ids::{DeviceId, StoreId};

pub use device::{Answer, Device, DeviceConfig, Dialect, Exchange, Format, Patience, Sent};
pub use tally::{Counts, Figures, SaleRecord, Tally};
pub use visit::{After, Stock, Visit, VisitLine};

/// What a device of the fleet is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Role {
    /// Scans, quotes, sells, sometimes voids, takes back and repeats itself.
    Till,
    /// Scans, shows wallets, enrolls, reports what it sees.
    Kiosk,
}

/// One device of the fleet.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct DeviceSpec {
    /// Who it is: client id, user name and topics.
    pub id: DeviceId,
    /// What it does.
    pub role: Role,
    /// Which MQTT it speaks.
    pub dialect: Dialect,
    /// In what it writes.
    pub format: Format,
    /// Its password, where the broker asks for one.
    pub password: Option<String>,
}

/// Where visits come from.
#[derive(Clone)]
pub enum Source {
    /// Made up, without end, until the fleet is stopped.
    Stock(Arc<Stock>),
    /// Sent by the caller; each goes to the next free till, and the fleet ends when the sender is dropped. Kiosks have
    /// nothing to do then.
    Visits(Arc<Mutex<mpsc::Receiver<Visit>>>),
}

/// Devices, and what they are to do.
#[derive(Clone)]
pub struct Fleet {
    /// Host and port of the broker.
    pub broker: (String, u16),
    /// Which shop.
    pub store: StoreId,
    /// The devices.
    pub devices: Vec<DeviceSpec>,
    /// Where their visits come from.
    pub source: Source,
    /// The tills' business day, where a visit has none of its own.
    pub business_day: Day,
    /// The first receipt number of each till.
    pub seq_from: u64,
    /// Part of every request id, so that two runs on one daemon do not share ids: 1 to 16 of `[a-z0-9]`.
    pub run: String,
    /// What made-up visits and accidents depend on.
    pub seed: u64,
    /// Milliseconds between two visits of a device, at least and at most; `(0, 0)` for as fast as it goes.
    pub think_ms: (u32, u32),
    /// How long a device waits.
    pub patience: Patience,
    /// Of 1,000 sales, how many are sent a second time after they were answered.
    pub repeats_per_mille: u32,
    /// What latencies and patience are measured with.
    pub clock: Arc<dyn Clock>,
    /// What happened; keep a clone to read it while the fleet runs.
    pub tally: Arc<Tally>,
}

impl Fleet {
    /// Tills `till-01`..., of which each fourth is an old one (MQTT 3.1.1) and each third writes MessagePack, and kiosks
    /// `kiosk-01`....
    pub fn devices(tills: u32, kiosks: u32) -> Vec<DeviceSpec> {
        let spec = |kind: &str, number: u32, role| DeviceSpec {
            id: DeviceId::new(&format!("{kind}-{number:02}")).expect("letters, digits and a dash"),
            role,
            dialect: if number.is_multiple_of(4) { Dialect::Mqtt311 } else { Dialect::Mqtt5 },
            format: if number.is_multiple_of(3) { Format::MessagePack } else { Format::Json },
            password: None,
        };
        let tills = (1..=tills).map(|number| spec("till", number, Role::Till));
        tills.chain((1..=kiosks).map(|number| spec("kiosk", number, Role::Kiosk))).collect()
    }

    /// The configuration of one device's client.
    pub fn config_of(&self, spec: &DeviceSpec) -> DeviceConfig {
        DeviceConfig {
            broker: self.broker.clone(),
            store: self.store.clone(),
            device: spec.id.clone(),
            password: spec.password.clone(),
            dialect: spec.dialect,
            format: spec.format,
            run: self.run.clone(),
            patience: self.patience,
        }
    }
}

/// Runs a fleet until `stop` turns true, its source ends or its devices have all given up; devices connect at once and
/// keep connecting while the broker is away.
///
/// # Errors
/// A device's task panicked, or an id makes no topic.
pub async fn run(fleet: Fleet, stop: watch::Receiver<bool>) -> anyhow::Result<()> {
    let mut devices = JoinSet::new();
    for spec in fleet.devices.clone() {
        let device =
            Device::connect(fleet.config_of(&spec), Arc::clone(&fleet.tally), Arc::clone(&fleet.clock))
                .with_context(|| format!("start {}", spec.id))?;
        devices.spawn(script::run(fleet.clone(), spec, device, stop.clone()));
    }
    while let Some(ended) = devices.join_next().await {
        ended.context("run a simulated device")?;
    }
    Ok(())
}

/// A generator of numbers that depend on the seed only (splitmix64, public domain, Sebastiano Vigna 2015).
#[derive(Clone, Debug)]
pub struct Dice(u64);

impl Dice {
    /// The numbers of one purpose of a seed.
    pub fn new(seed: u64, purpose: &str) -> Dice {
        let mixed = purpose.bytes().fold(seed ^ 0xcbf2_9ce4_8422_2325, |hash, byte| {
            (hash ^ u64::from(byte)).wrapping_mul(0x0000_0100_0000_01b3)
        });
        Dice(mixed)
    }

    /// The next number.
    pub fn draw(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut mixed = self.0;
        mixed = (mixed ^ (mixed >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        mixed ^ (mixed >> 31)
    }

    /// A number below `bound`, which must not be 0.
    pub fn below(&mut self, bound: u64) -> u64 {
        assert!(bound > 0, "nothing is below 0");
        let wide = u128::from(self.draw()) * u128::from(bound);
        u64::try_from(wide >> 64).expect("a product of two 64-bit numbers without its lower half")
    }

    /// True in so many of 1,000 cases.
    pub fn per_mille(&mut self, share: u32) -> bool {
        self.below(1_000) < u64::from(share)
    }

    /// One of several; `None` of none.
    pub fn pick<'a, T>(&mut self, several: &'a [T]) -> Option<&'a T> {
        let count = several.len() as u64;
        if count == 0 { None } else { several.get(usize::try_from(self.below(count)).ok()?) }
    }

    /// One of several, the first ones far more often: every other draw falls on the first quarter.
    pub fn pick_popular<'a, T>(&mut self, several: &'a [T]) -> Option<&'a T> {
        let count = several.len() as u64;
        if count == 0 {
            return None;
        }
        let (a, b) = (self.below(count), self.below(count));
        several.get(usize::try_from(a * b / count).ok()?)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn does_a_seed_give_the_same_numbers_and_another_purpose_others() {
        let draws = |seed, purpose| {
            let mut dice = Dice::new(seed, purpose);
            [dice.draw(), dice.draw(), dice.below(100)]
        };
        assert_eq!(draws(7, "till-01"), draws(7, "till-01"));
        assert_ne!(draws(7, "till-01"), draws(7, "till-02"));
        assert_ne!(draws(7, "till-01"), draws(8, "till-01"));
    }

    #[test]
    fn are_draws_in_their_bounds_and_not_all_the_same() {
        let mut dice = Dice::new(1, "bounds");
        let several: Vec<u64> = (0..100).collect();
        let popular: Vec<u64> = (0..1_000).filter_map(|_| dice.pick_popular(&several).copied()).collect();
        assert!(popular.iter().filter(|one| **one < 25).count() > 450, "the first quarter is popular");
        assert!(popular.iter().any(|one| *one > 75), "the last quarter is bought too");
        assert!((0..1_000).all(|_| dice.below(3) < 3));
        assert_eq!(dice.pick::<u64>(&[]), None);
        assert!(!dice.per_mille(0) && dice.per_mille(1_000));
    }

    #[test]
    fn does_a_fleet_speak_both_protocols_and_both_formats() {
        let devices = Fleet::devices(12, 2);
        assert_eq!(devices.len(), 14);
        for (dialect, format) in [
            (Dialect::Mqtt5, Format::Json),
            (Dialect::Mqtt5, Format::MessagePack),
            (Dialect::Mqtt311, Format::Json),
            (Dialect::Mqtt311, Format::MessagePack),
        ] {
            assert!(devices.iter().any(|one| one.dialect == dialect && one.format == format));
        }
    }
}
