//! Quotes: round trips through the daemon against a bare echo over the same kind of broker, in turns.
//!
//! Four kinds of round follow each other: the daemon, the echo that answers with its own payload, the daemon again, the
//! echo that answers with as many bytes as the daemon did. First at a pace, which gives both sides the same load: that is
//! where latencies are compared. Then with several requests of each device always on their way: the highest rate. There
//! latency is only the rate's inverse (Little's law), and is told for completeness.

use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use anyhow::{Context, Result};
use serde::Serialize;
use serde_json::Value;

use super::child::{Daemon, Echo};
use super::figures::{Goal, Latency, Pair, Ratio};
use super::load::{Ask, Devices, Round};
use super::shop::{self, Shop};
use super::{Extent, progress};
use crate::devices::topic::Op;

/// Devices on each side.
pub(super) const DEVICES: usize = 50;
/// Time between two requests of one device at a pace: fifty tills that price a basket after each scan ask less often.
const EVERY: Duration = Duration::from_millis(100);
/// Requests of one device on their way at once, where the highest rate is looked for. With all devices it stays below what
/// the daemon's link holds unacknowledged.
const AT_ONCE: usize = 8;
/// Different baskets.
const BASKETS: usize = 200;

/// What was measured.
#[derive(Serialize)]
pub(super) struct Quotes {
    devices: usize,
    baskets: &'static str,
    request_bytes: u64,
    reply_bytes: u64,
    /// At the pace.
    daemon: Latency,
    requests_per_second: f64,
    p50_to_echo: Ratio,
    p99_to_echo: Ratio,
    rate_to_echo: Ratio,
    p50_to_echo_same_size: Ratio,
    p99_to_echo_same_size: Ratio,
    rate_to_echo_same_size: Ratio,
    /// Latency where the highest rate is measured.
    flooded_p50_to_echo: Ratio,
    /// Processor time of the service with its broker for one request, at the highest rate: what `rate_to_echo` rests on,
    /// and steadier than it where the machine has other work.
    cpu_us_to_echo: Ratio,
    cpu_us_to_echo_same_size: Ratio,
    /// Durable commits through the same door, for information.
    commit_over_mqtt: CommitOverMqtt,
}

/// Commits of baskets through the whole daemon.
#[derive(Serialize)]
struct CommitOverMqtt {
    one_device: Latency,
    all_devices: Latency,
    per_second: f64,
}

impl Quotes {
    /// The ratios of the specification.
    pub(super) fn goals(&self) -> Vec<Goal> {
        vec![
            Goal::at_most("quote p50 / echo p50", self.p50_to_echo.ratio, 1.3),
            Goal::at_most("quote p99 / echo p99", self.p99_to_echo.ratio, 1.5),
            Goal::at_least("quote rate / echo rate", self.rate_to_echo.ratio, 0.8),
            Goal::at_most("quote p50 / same-size echo p50", self.p50_to_echo_same_size.ratio, 1.3),
            Goal::at_most("quote p99 / same-size echo p99", self.p99_to_echo_same_size.ratio, 1.5),
            Goal::at_least("quote rate / same-size echo rate", self.rate_to_echo_same_size.ratio, 0.8),
        ]
    }

    /// For people.
    pub(super) fn lines(&self) -> Vec<String> {
        let mut lines = vec![format!(
            "quote, {DEVICES} devices, {} requests a second, {}: request {} bytes, reply {} bytes; p50 {} us, p99 {} us",
            self.requests_per_second,
            self.baskets,
            self.request_bytes,
            self.reply_bytes,
            self.daemon.p50_us,
            self.daemon.p99_us
        )];
        let ratios = [
            ("p50", &self.p50_to_echo),
            ("p99", &self.p99_to_echo),
            ("highest rate", &self.rate_to_echo),
            ("p50", &self.p50_to_echo_same_size),
            ("p99", &self.p99_to_echo_same_size),
            ("highest rate", &self.rate_to_echo_same_size),
            ("p50 at the highest rate", &self.flooded_p50_to_echo),
            ("processor time at the highest rate", &self.cpu_us_to_echo),
            ("processor time at the highest rate", &self.cpu_us_to_echo_same_size),
        ];
        lines.extend(ratios.map(|(name, ratio)| super::ratio_line(name, ratio)));
        let commit = &self.commit_over_mqtt;
        lines.push(format!(
            "  durable commit over MQTT: one device p50 {} us, p99 {} us; {DEVICES} devices p50 {} us, p99 {} us, {:.0}/s",
            commit.one_device.p50_us,
            commit.one_device.p99_us,
            commit.all_devices.p50_us,
            commit.all_devices.p99_us,
            commit.per_second
        ));
        lines
    }
}

/// A round, and what it cost the service.
struct Measured {
    round: Round,
    cpu_us: f64,
}

impl Measured {
    fn new(round: Round, cpu_ns: u64) -> Measured {
        let cpu_us = cpu_ns as f64 / 1_000.0 / round.latencies.len().max(1) as f64;
        Measured { round, cpu_us }
    }
}

struct Sides<'a> {
    daemon: Devices,
    echo: Devices,
    daemon_process: &'a Daemon,
    echo_process: &'a Echo,
    bodies: Arc<[String]>,
    sizes: Arc<[u32]>,
}

impl Sides<'_> {
    fn ask(&self, every: Option<Duration>, time: Duration) -> Ask {
        Ask {
            op: Op::Quote,
            bodies: self.bodies.clone(),
            answer_bytes: Arc::from([]),
            at_once: AT_ONCE,
            every,
            checked: false,
            time,
        }
    }

    async fn daemon(&self, every: Option<Duration>, time: Duration) -> Result<Measured> {
        let before = self.daemon_process.cpu_ns();
        let round = self.daemon.round(Ask { checked: true, ..self.ask(every, time) }).await?;
        Ok(Measured::new(round, self.daemon_process.cpu_ns() - before))
    }

    async fn echo(&self, every: Option<Duration>, time: Duration, same_size: bool) -> Result<Measured> {
        let ask = self.ask(every, time);
        let ask = if same_size { Ask { answer_bytes: self.sizes.clone(), ..ask } } else { ask };
        let before = self.echo_process.cpu_ns();
        let round = self.echo.round(ask).await?;
        Ok(Measured::new(round, self.echo_process.cpu_ns() - before))
    }

    /// One round of each; (daemon, echo) pairs for the plain and the same-size echo.
    async fn turn(&self, every: Option<Duration>, time: Duration) -> Result<[(Measured, Measured); 2]> {
        let plain = (self.daemon(every, time).await?, self.echo(every, time, false).await?);
        let sized = (self.daemon(every, time).await?, self.echo(every, time, true).await?);
        Ok([plain, sized])
    }
}

/// Measures.
pub(super) fn measure(dir: &Path, shop: &Shop, extent: Extent) -> Result<Quotes> {
    let dir = dir.join("quote");
    Daemon::prepare(&dir, &shop::pack(&shop.rules, &shop.members)?)?;
    let daemon = Daemon::start(&dir)?;
    daemon.until_active()?;
    let echo = Echo::start()?;
    let runtime = tokio::runtime::Builder::new_multi_thread().worker_threads(2).enable_all().build();
    let runtime = runtime.context("failed to start the devices' runtime")?;
    let quotes = runtime.block_on(rounds(&daemon, &echo, shop, extent))?;
    runtime.shutdown_background();
    daemon.stop()?;
    Ok(quotes)
}

async fn rounds(daemon: &Daemon, echo: &Echo, shop: &Shop, extent: Extent) -> Result<Quotes> {
    let baskets = shop.baskets(BASKETS, 5..=10);
    let mut sides = Sides {
        daemon: Devices::connect(daemon.addr, DEVICES).await?,
        echo: Devices::connect(echo.addr, DEVICES).await?,
        daemon_process: daemon,
        echo_process: echo,
        bodies: baskets.iter().map(Value::to_string).collect(),
        sizes: Arc::from([]),
    };
    progress("quote: warming up");
    let warm = sides.daemon(None, extent.round).await?.round;
    sides.sizes = warm.answers.clone().into();
    sides.echo(None, extent.round, true).await?;
    let (mut slow, mut fast) = (Vec::new(), Vec::new());
    for round in 1..=extent.rounds {
        progress(&format!("quote: round {round} of {}", extent.rounds));
        slow.push(sides.turn(Some(EVERY), extent.round).await?);
        fast.push(sides.turn(None, extent.round).await?);
    }
    let pairs =
        |rounds: &[[(Measured, Measured); 2]], side: usize, of: &dyn Fn(&Measured) -> f64| -> Vec<Pair> {
            rounds.iter().map(|pair| Pair { ours: of(&pair[side].0), theirs: of(&pair[side].1) }).collect()
        };
    let p50 = |of: &Measured| Latency::of(&of.round.latencies).p50_us;
    let p99 = |of: &Measured| Latency::of(&of.round.latencies).p99_us;
    let rate = |of: &Measured| of.round.per_second;
    let cpu = |of: &Measured| of.cpu_us;
    let (plain, sized) =
        ("an echo of the request, same broker", "an echo with a reply of the same size, same broker");
    let mut all = super::figures::histogram();
    for (ours, _) in slow.iter().flatten() {
        all.add(&ours.round.latencies).context("failed to add up")?;
    }
    let quotes = Quotes {
        devices: DEVICES,
        baskets: "sample shop, 5 to 10 lines, MQTT 5 and JSON",
        request_bytes: warm.request_bytes,
        reply_bytes: warm.answer_bytes,
        daemon: Latency::of(&all),
        requests_per_second: DEVICES as f64 / EVERY.as_secs_f64(),
        p50_to_echo: Ratio::of(&pairs(&slow, 0, &p50), "us", plain),
        p99_to_echo: Ratio::of(&pairs(&slow, 0, &p99), "us", plain),
        rate_to_echo: Ratio::of(&pairs(&fast, 0, &rate), "1/s", plain),
        p50_to_echo_same_size: Ratio::of(&pairs(&slow, 1, &p50), "us", sized),
        p99_to_echo_same_size: Ratio::of(&pairs(&slow, 1, &p99), "us", sized),
        rate_to_echo_same_size: Ratio::of(&pairs(&fast, 1, &rate), "1/s", sized),
        flooded_p50_to_echo: Ratio::of(&pairs(&fast, 0, &p50), "us", plain),
        cpu_us_to_echo: Ratio::of(&pairs(&fast, 0, &cpu), "us", plain),
        cpu_us_to_echo_same_size: Ratio::of(&pairs(&fast, 1, &cpu), "us", sized),
        commit_over_mqtt: commits(&sides, daemon, &baskets, extent).await?,
    };
    Ok(quotes)
}

async fn commits(
    sides: &Sides<'_>,
    daemon: &Daemon,
    baskets: &[Value],
    extent: Extent,
) -> Result<CommitOverMqtt> {
    progress("commit over MQTT");
    let bodies: Arc<[String]> = baskets
        .iter()
        .map(|basket| {
            let mut basket = basket.clone();
            basket["tenders"] = serde_json::json!([{ "kind": "cash", "amount": 100_000_000 }]);
            basket.to_string()
        })
        .collect();
    let ask = |time| Ask {
        op: Op::Commit,
        bodies: bodies.clone(),
        at_once: 1,
        checked: true,
        ..sides.ask(None, time)
    };
    let all = sides.daemon.round(ask(extent.round)).await?;
    let alone = Devices::connect_from(daemon.addr, DEVICES + 1, 1).await?;
    let one = alone.round(ask(extent.round)).await?;
    Ok(CommitOverMqtt {
        one_device: Latency::of(&one.latencies),
        all_devices: Latency::of(&all.latencies),
        per_second: super::figures::rounded(all.per_second),
    })
}
