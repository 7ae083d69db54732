//! Memory and start-up: a daemon process with a chain's members and promotions, started on a data directory where its bundle is
//! active already.

use std::path::Path;
use std::sync::Arc;

use anyhow::{Context, Result};
use serde::Serialize;
use serde_json::{Value, json};

use super::child::Daemon;
use super::figures::{Goal, median, rounded};
use super::load::{Ask, Devices};
use super::quote::DEVICES;
use super::shop::{self, Shop};
use super::{Extent, progress};
use crate::devices::topic::Op;

/// Starts measured.
const STARTS: usize = 3;

/// What was measured.
#[derive(Serialize)]
pub(super) struct Memory {
    members: usize,
    promotions: usize,
    bundle_bytes: usize,
    /// Median time from the start of the process to readiness, in milliseconds.
    ready_ms: f64,
    /// Resident when ready, in MiB.
    resident_ready_mib: f64,
    /// Resident after a load of sales to members drawn evenly, in MiB.
    resident_sales_mib: f64,
    /// Resident after a load of quotes nobody settles, until every device has as many open as it may, in MiB.
    resident_quotes_mib: f64,
    /// The most that was ever resident since that start, in MiB.
    resident_peak_mib: f64,
    /// The most that was ever resident while the bundle was taken in, in MiB.
    resident_import_peak_mib: f64,
    sales: u64,
    quotes: u64,
}

impl Memory {
    /// The bounds of the specification.
    pub(super) fn goals(&self) -> Vec<Goal> {
        vec![
            Goal::at_most(
                "resident MiB when ready, 200k members, 1k promotions",
                self.resident_ready_mib,
                64.0,
            ),
            Goal::at_most(
                "resident MiB after sales, 200k members, 1k promotions",
                self.resident_sales_mib,
                64.0,
            ),
            Goal::at_most("ready ms, 200k members, 1k promotions", self.ready_ms, 1_000.0),
        ]
    }

    /// For people.
    pub(super) fn lines(&self) -> Vec<String> {
        vec![format!(
            "memory, {} members and {} promotions: ready in {} ms; resident {} MiB when ready, {} MiB after {} sales, \
             {} MiB after {} quotes nobody settled, {} MiB at its peak ({} MiB while the bundle was taken in)",
            self.members,
            self.promotions,
            self.ready_ms,
            self.resident_ready_mib,
            self.resident_sales_mib,
            self.sales,
            self.resident_quotes_mib,
            self.quotes,
            self.resident_peak_mib,
            self.resident_import_peak_mib
        )]
    }
}

fn mib(daemon: &Daemon, name: &str) -> Result<f64> {
    let kib = daemon.memory_kib(name).context("failed to read the daemon's memory: no /proc here")?;
    Ok(rounded(kib as f64 / 1_024.0))
}

/// Measures.
pub(super) fn measure(dir: &Path, shop: &Shop, extent: Extent) -> Result<Memory> {
    progress(&format!("memory: packing {} members", extent.memory_members));
    let dir = dir.join("memory");
    let rules = shop.rules_with(extent.memory_promotions, usize::MAX, &Value::Null)?;
    let bundle_bytes = {
        let members: Vec<_> = (0..extent.memory_members).map(|number| shop.member(number)).collect();
        let packed = shop::pack(&rules, &members)?;
        Daemon::prepare(&dir, &packed)?;
        packed.len()
    };
    progress("memory: the daemon takes the bundle in");
    let daemon = Daemon::start(&dir)?;
    daemon.until_active()?;
    let resident_import_peak_mib = mib(&daemon, "VmHWM")?;
    daemon.stop()?;
    let mut ready = Vec::new();
    for _ in 1..STARTS {
        let daemon = Daemon::start(&dir)?;
        ready.push(daemon.ready_us as f64 / 1_000.0);
        daemon.stop()?;
    }
    progress("memory: sales and quotes for members drawn evenly");
    let daemon = Daemon::start(&dir)?;
    ready.push(daemon.ready_us as f64 / 1_000.0);
    let resident_ready_mib = mib(&daemon, "VmRSS")?;
    let baskets = shop.baskets(200, 5..=10);
    let bodies = (0..extent.memory_members).step_by((extent.memory_members / 20_000).max(1)).map(|number| {
        let mut basket = baskets[number % baskets.len()].clone();
        let card = shop::card(number);
        basket["member"] = json!({ "kind": card.kind, "value": card.value });
        basket["tenders"] = json!([{ "kind": "cash", "amount": 100_000_000 }]);
        basket
    });
    let sales: Vec<Value> = bodies.collect();
    let quotes = sales.iter().cloned().map(|mut sale| {
        sale.as_object_mut().map(|sale| sale.remove("tenders"));
        sale.to_string()
    });
    let quotes: Arc<[String]> = quotes.collect();
    let sales: Arc<[String]> = sales.iter().map(Value::to_string).collect();
    let ask = |op, bodies: &Arc<[String]>| Ask {
        op,
        bodies: bodies.clone(),
        answer_bytes: Arc::from([]),
        at_once: 2,
        every: None,
        checked: true,
        time: extent.round * 2,
    };
    let runtime = tokio::runtime::Builder::new_multi_thread().worker_threads(2).enable_all().build();
    let runtime = runtime.context("failed to start the devices' runtime")?;
    let devices = runtime.block_on(Devices::connect(daemon.addr, DEVICES))?;
    let sold = runtime.block_on(devices.round(ask(Op::Commit, &sales)))?;
    let resident_sales_mib = mib(&daemon, "VmRSS")?;
    let quoted = runtime.block_on(devices.round(ask(Op::Quote, &quotes)))?;
    let memory = Memory {
        members: extent.memory_members,
        promotions: extent.memory_promotions,
        bundle_bytes,
        ready_ms: rounded(median(ready)),
        resident_ready_mib,
        resident_sales_mib,
        resident_quotes_mib: mib(&daemon, "VmRSS")?,
        resident_peak_mib: mib(&daemon, "VmHWM")?,
        resident_import_peak_mib,
        sales: sold.latencies.len(),
        quotes: quoted.latencies.len(),
    };
    drop(devices);
    runtime.shutdown_background();
    daemon.stop()?;
    Ok(memory)
}
