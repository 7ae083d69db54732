//! Commits: decisions made durable through the store's own threads, against a raw append and `fdatasync` of the same bytes
//! in the same directory, in turns.
//!
//! Latency: one sale at a time, from the moment the engine is asked until the store says durable, and the store's part of it
//! alone; raw, the same bytes appended and synced. Rate: sales that were decided before are handed over as fast as the store
//! takes them, never more than two groups ahead of the disk; raw, the same bytes in groups of the same size. Tables follow
//! in both. sled alone commits the same bytes with one flush and sync each.

use std::fs::{File, OpenOptions};
use std::io::Write;
use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use anyhow::{Context, Result, anyhow};
use serde::Serialize;
use serde_json::Value;

use super::figures::{Goal, Latency, Pair, Ratio, histogram, rounded};
use super::inside::Inside;
use super::shop::{self, MadeRoll, Shop};
use super::{Extent, progress};
use crate::clock::{Clock, Stopwatch, SystemClock};
use crate::domain::ids::Seq;
use crate::engine::decision::{Entry, Key, Record};

/// Decisions in one group of the burst.
const GROUP: usize = 64;
/// Decisions handed over and not yet durable: one group on its way to the disk, one waiting.
const AHEAD: u64 = 2 * GROUP as u64;
/// Sales decided in advance, which the burst hands over again and again under new names.
const POOL: usize = 4 * GROUP;
/// Sales of one round of the latency measurement.
const SALES: usize = 100;

/// What was measured.
#[derive(Serialize)]
pub(super) struct Commits {
    entry_bytes: u64,
    /// From asking the engine to durable.
    sale_p50: Ratio,
    sale_p99: Ratio,
    /// The store's part.
    store_p50: Ratio,
    burst_rate: Ratio,
    burst_seconds: f64,
    burst_group: f64,
    /// One insert, flush and sync of sled at a time.
    sled_alone_p50: Ratio,
}

impl Commits {
    /// The ratios of the specification.
    pub(super) fn goals(&self) -> Vec<Goal> {
        vec![
            Goal::at_most("commit p50 / raw append+fdatasync p50", self.sale_p50.ratio, 3.0),
            Goal::at_least("durable burst rate / raw rate, groups of 64", self.burst_rate.ratio, 0.4),
        ]
    }

    /// For people.
    pub(super) fn lines(&self) -> Vec<String> {
        let mut lines = vec![format!(
            "commit, decisions of {} bytes; burst of {} s, {:.1} decisions a group",
            self.entry_bytes, self.burst_seconds, self.burst_group
        )];
        let ratios = [
            ("decide and commit, p50", &self.sale_p50),
            ("decide and commit, p99", &self.sale_p99),
            ("store alone, p50", &self.store_p50),
            ("durable rate", &self.burst_rate),
            ("sled alone, p50", &self.sled_alone_p50),
        ];
        lines.extend(ratios.map(|(name, ratio)| super::ratio_line(name, ratio)));
        lines
    }
}

/// A file that is appended to and synced: what nothing durable can beat.
struct Raw {
    file: File,
}

impl Raw {
    fn make(dir: &Path) -> Result<Raw> {
        let file = OpenOptions::new().create(true).append(true).open(dir.join("raw"));
        Ok(Raw { file: file.context("failed to make the raw file")? })
    }

    fn append(&mut self, bytes: &[u8]) -> Result<()> {
        self.file.write_all(bytes).context("failed to append")?;
        self.file.sync_data().context("failed to sync")
    }
}

/// Measures.
pub(super) fn measure(dir: &Path, shop: &Arc<Shop>, extent: Extent) -> Result<Commits> {
    let roll = Box::new(MadeRoll { shop: shop.clone(), members: shop.members.len() });
    let mut inside = Inside::open(&dir.join("commit"), shop::compile(shop.rules.clone())?, roll)?;
    let mut raw = Raw::make(&dir.join("commit"))?;
    let baskets: Vec<String> = shop.baskets(200, 5..=10).iter().map(Value::to_string).collect();
    let mut next = baskets.iter().cycle();
    let mut basket = || next.next().context("failed to make a basket");
    let (mut sale_p50, mut sale_p99, mut store_p50, mut sled_p50) = (vec![], vec![], vec![], vec![]);
    let mut entry_bytes = 0;
    let alone = sled::Config::new().path(dir.join("sled")).open().context("failed to open sled")?;
    // Its flush does not sync on Linux: it is made to keep its word, as the tables are.
    let alone_file =
        OpenOptions::new().write(true).open(dir.join("sled/db")).context("failed to open sled")?;
    for round in 0..=extent.rounds {
        progress(&format!("commit: round {round} of {}", extent.rounds));
        let (mut whole, mut store, mut theirs, mut sled) =
            (histogram(), histogram(), histogram(), histogram());
        let mut written = Vec::with_capacity(SALES);
        for _ in 0..SALES {
            let sale = inside.sale(basket()?)?;
            let watch = Stopwatch::start(&SystemClock);
            let entry = inside.decided(sale)?;
            let decided = watch.elapsed(&SystemClock);
            let watch = Stopwatch::start(&SystemClock);
            inside.commit(&entry)?;
            inside.until_durable(entry.seq)?;
            let durable = watch.elapsed(&SystemClock);
            whole.saturating_record(nanos(decided + durable));
            store.saturating_record(nanos(durable));
            written.push(entry.encode());
        }
        for bytes in &written {
            let watch = Stopwatch::start(&SystemClock);
            raw.append(bytes)?;
            theirs.saturating_record(nanos(watch.elapsed(&SystemClock)));
        }
        for (number, bytes) in written.iter().enumerate().take(SALES / 4) {
            let watch = Stopwatch::start(&SystemClock);
            alone.insert(number.to_be_bytes(), bytes.as_slice()).context("failed to insert into sled")?;
            alone.flush().context("failed to flush sled")?;
            alone_file.sync_data().context("failed to sync sled")?;
            sled.saturating_record(nanos(watch.elapsed(&SystemClock)));
        }
        entry_bytes = written.iter().map(Vec::len).sum::<usize>() as u64 / SALES as u64;
        if round == 0 {
            continue;
        }
        let (whole, store, theirs, sled) =
            (Latency::of(&whole), Latency::of(&store), Latency::of(&theirs), Latency::of(&sled));
        sale_p50.push(Pair { ours: whole.p50_us, theirs: theirs.p50_us });
        sale_p99.push(Pair { ours: whole.p99_us, theirs: theirs.p99_us });
        store_p50.push(Pair { ours: store.p50_us, theirs: theirs.p50_us });
        sled_p50.push(Pair { ours: sled.p50_us, theirs: theirs.p50_us });
    }
    let mut pool = (0..POOL)
        .map(|_| {
            let sale = inside.sale(basket()?)?;
            let entry = inside.decided(sale)?;
            inside.commit(&entry)?;
            Ok(entry)
        })
        .collect::<Result<Vec<_>>>()?;
    inside.until_followed(Seq(inside.store.next_seq().0 - 1))?;
    let groups: Vec<Vec<u8>> =
        pool.chunks(GROUP).map(|group| group.iter().flat_map(|entry| entry.encode()).collect()).collect();
    let (mut rates, mut sizes) = (Vec::new(), Vec::new());
    for round in 1..=extent.rounds {
        progress(&format!("commit: burst {round} of {}", extent.rounds));
        let (ours, group) = burst(&mut inside, &mut pool, extent.burst)?;
        inside.until_followed(Seq(inside.store.next_seq().0 - 1))?;
        let theirs = raw_burst(&mut raw, &groups, extent.burst)?;
        rates.push(Pair { ours, theirs });
        sizes.push(group);
    }
    inside.store.close();
    let raw_name = "raw append+fdatasync of the same bytes, same directory";
    Ok(Commits {
        entry_bytes,
        sale_p50: Ratio::of(&sale_p50, "us", raw_name),
        sale_p99: Ratio::of(&sale_p99, "us", raw_name),
        store_p50: Ratio::of(&store_p50, "us", raw_name),
        burst_rate: Ratio::of(&rates, "decisions/s", "raw append+fdatasync in groups of 64, same directory"),
        burst_seconds: extent.burst.as_secs_f64(),
        burst_group: rounded(super::figures::median(sizes)),
        sled_alone_p50: Ratio::of(&sled_p50, "us", raw_name),
    })
}

fn nanos(time: Duration) -> u64 {
    u64::try_from(time.as_nanos()).unwrap_or(u64::MAX)
}

/// Hands over decisions for so long; durable decisions a second, and how many one sync made durable on average.
fn burst(inside: &mut Inside, pool: &mut [Box<Entry>], time: Duration) -> Result<(f64, f64)> {
    let first = inside.store.next_seq().0;
    let start = SystemClock.ticks();
    let deadline = start.plus(time);
    let mut numbers = (0..pool.len()).cycle();
    let mut syncs = 0_u64;
    let mut durable = first - 1;
    while SystemClock.ticks() < deadline {
        while inside.store.next_seq().0 - 1 - durable < AHEAD {
            let index = numbers.next().context("failed to have sales")?;
            let seq = inside.store.next_seq();
            rename(&mut pool[index], seq)?;
            inside.commit(&pool[index])?;
        }
        inside.until_durable(Seq(durable + 1))?;
        durable = inside.store.durable().0.max(durable + 1);
        syncs += 1;
    }
    let elapsed = SystemClock.ticks().since(start).as_secs_f64();
    Ok((rounded((durable - first + 1) as f64 / elapsed), (durable - first + 1) as f64 / syncs.max(1) as f64))
}

/// The same sale under a place, a request id and a number of its own, so that the tables have as much to do as with real ones.
fn rename(entry: &mut Entry, seq: Seq) -> Result<()> {
    entry.seq = seq;
    let mut changes = entry.changes.to_vec();
    for change in &mut changes {
        match (&mut change.key, &mut change.record) {
            (Key::Request(_, id), Some(Record::Request(request))) => {
                *id = crate::domain::ids::RequestId::new(&format!("burst.{:010}", seq.0))
                    .map_err(|_| anyhow!("failed to make a request id"))?;
                request.decision = seq;
            }
            (Key::Sale(sale), Some(Record::Sale(record))) => {
                sale.seq = 1_000_000_000 + seq.0;
                record.decision = seq;
            }
            _ => {}
        }
    }
    entry.changes = changes.into();
    Ok(())
}

fn raw_burst(raw: &mut Raw, groups: &[Vec<u8>], time: Duration) -> Result<f64> {
    let start = SystemClock.ticks();
    let deadline = start.plus(time);
    let mut count = 0_u64;
    for group in groups.iter().cycle() {
        raw.append(group)?;
        count += GROUP as u64;
        if SystemClock.ticks() >= deadline {
            break;
        }
    }
    Ok(rounded(count as f64 / SystemClock.ticks().since(start).as_secs_f64()))
}
