//! `aisled hub`: the reference head office, and what it has of each shop.
//!
//! Runs in the foreground until a signal; `status` reads the data directory and needs no running head office, so what it
//! shows of a running one is what was on disk at that moment.

use std::fs::{self, File};
use std::io::Write;
use std::net::SocketAddr;
use std::path::PathBuf;
use std::sync::Arc;

use anyhow::{Context, Result, anyhow};
use clap::{Args, Subcommand};
use tokio::signal::unix::{SignalKind, signal};

use super::Exit;
use crate::bundle::packed;
use crate::clock::{Clock as _, SystemClock};
use crate::config::SecretSource;
use crate::domain::calendar::{StoreZone, UnixMs};
use crate::domain::code::Code;
use crate::domain::ids::{CouponCode, Epoch, PromotionId, StoreId};
use crate::domain::tally::Totals;
use crate::hub::files::{amend, inspect};
use crate::hub::lender::homes::{Asked, Stage};
use crate::hub::lender::orders::OrderView;
use crate::hub::office::Snapshot;
use crate::hub::server::{Hub, HubConfig, HubError, HubTls};

/// Arguments of `hub`.
#[derive(Args, Clone, Debug)]
#[command(args_conflicts_with_subcommands = true, subcommand_negates_reqs = true)]
pub struct HubArgs {
    /// What to do instead of running it
    #[command(subcommand)]
    pub verb: Option<HubVerb>,
    /// Where shops connect
    #[arg(long, value_name = "ADDRESS", default_value = "127.0.0.1:1884")]
    pub listen: SocketAddr,
    /// Where its data is; made if missing
    #[arg(long, value_name = "DIR", required = true)]
    pub data: Option<PathBuf>,
    /// A signed bundle to offer to every shop
    #[arg(long, value_name = "FILE")]
    pub bundle: Option<PathBuf>,
    /// Copy the logs here every few seconds; shops then forget only what was copied
    #[arg(long, value_name = "DIR")]
    pub backup: Option<PathBuf>,
    /// File of the password shops prove themselves with; needed beyond loopback
    #[arg(long, value_name = "FILE")]
    pub password_file: Option<PathBuf>,
    /// Its certificate in PEM: shops connect over TLS 1.3 and show a certificate with their store id as DNS name
    #[arg(long, value_name = "FILE", requires_all = ["key", "client_ca"])]
    pub cert: Option<PathBuf>,
    /// The key of the certificate (mode 0600)
    #[arg(long, value_name = "FILE", requires = "cert")]
    pub key: Option<PathBuf>,
    /// Who signs the shops' certificates
    #[arg(long, value_name = "FILE", requires = "cert")]
    pub client_ca: Option<PathBuf>,
    /// File of the online shops that may have codes moved: on each line a store id and its password
    #[arg(long, value_name = "FILE")]
    pub partners_file: Option<PathBuf>,
}

/// What to do instead of running it.
#[derive(Subcommand, Clone, Debug)]
pub enum HubVerb {
    /// What head office has of each shop
    Status {
        /// Where its data is
        #[arg(long, value_name = "DIR")]
        data: PathBuf,
        /// Print one JSON object
        #[arg(long)]
        json: bool,
    },
    /// Give up a box that is lost: what it holds of limited things counts as spent
    WriteOff {
        /// Where head office's data is; head office must not run
        #[arg(long, value_name = "DIR")]
        data: PathBuf,
        /// The store
        #[arg(long, value_name = "STORE")]
        store: String,
        /// The life of its box, as `status` shows it
        #[arg(long, value_name = "NUMBER")]
        epoch: u64,
    },
    /// Call back everything that is lent of a promotion, for good
    Drain {
        /// Where head office's data is; head office must not run
        #[arg(long, value_name = "DIR")]
        data: PathBuf,
        /// The promotion
        #[arg(long, value_name = "ID")]
        promotion: String,
    },
    /// Give a single-use code another home: once the old one has let go, it is redeemed at the new one
    MoveCode {
        /// Where head office's data is; head office must not run
        #[arg(long, value_name = "DIR")]
        data: PathBuf,
        /// The code
        #[arg(long, value_name = "CODE")]
        code: String,
        /// The store that is its home
        #[arg(long, value_name = "STORE")]
        from: String,
        /// The store that is to be
        #[arg(long, value_name = "STORE")]
        to: String,
    },
}

/// Runs head office until SIGTERM or SIGINT, or shows what it has.
pub fn run(args: &HubArgs, out: &mut dyn Write) -> Result<Exit> {
    match &args.verb {
        Some(HubVerb::Status { data, json }) => {
            let loaded = inspect(data).map_err(|error| named(&error.into()))?;
            return show(&Snapshot::of(&loaded), *json, out);
        }
        Some(HubVerb::WriteOff { data, store, epoch }) => {
            let id = StoreId::new(store).map_err(|error| anyhow!("failed to read --store: {error}"))?;
            let is_known = amend(data, SystemClock.now(), |lender| lender.write_off(&id, Epoch(*epoch)))
                .map_err(|error| named(&error.into()))?;
            let done = if is_known { "is written off" } else { "is not known, or was written off before" };
            writeln!(out, "{store}, epoch {epoch}, {done}")?;
            return Ok(if is_known { Exit::Ok } else { Exit::Finding });
        }
        Some(HubVerb::Drain { data, promotion }) => {
            let id = PromotionId::new(promotion)
                .map_err(|error| anyhow!("failed to read --promotion: {error}"))?;
            amend(data, SystemClock.now(), |lender| lender.drain(&id))
                .map_err(|error| named(&error.into()))?;
            writeln!(out, "{promotion} is called back as shops come by")?;
            return Ok(Exit::Ok);
        }
        Some(HubVerb::MoveCode { data, code, from, to }) => {
            let id = CouponCode::normal(code).map_err(|error| anyhow!("failed to read --code: {error}"))?;
            let old = StoreId::new(from).map_err(|error| anyhow!("failed to read --from: {error}"))?;
            let new = StoreId::new(to).map_err(|error| anyhow!("failed to read --to: {error}"))?;
            let asked = amend(data, SystemClock.now(), |lender| lender.move_code(&id, &old, &new))
                .map_err(|error| named(&error.into()))?;
            let said = match asked {
                Asked::Yes => "moves once its old home has let go: see aisled hub status",
                Asked::Same => "stays: both shops are one",
                Asked::StoreUnknown => "stays: one of the shops never said hello",
                Asked::OnItsWay => "is on its way already",
                Asked::Elsewhere => "stays: its home is another shop since an earlier move",
                Asked::Full => "stays: too many codes were moved",
            };
            writeln!(out, "{id} {said}")?;
            return Ok(if asked == Asked::Yes { Exit::Ok } else { Exit::Finding });
        }
        None => {}
    }
    let config = config(args)?;
    // A second subscriber is the caller's: its log is as good.
    let _ = tracing_subscriber::fmt()
        .with_writer(std::io::stderr)
        .with_env_filter(tracing_subscriber::EnvFilter::new("warn,aisled=info"))
        .try_init();
    let runtime = tokio::runtime::Runtime::new().context("failed to start the runtime")?;
    runtime.block_on(async {
        let mut terminate = signal(SignalKind::terminate()).context("failed to listen for SIGTERM")?;
        let mut interrupt = signal(SignalKind::interrupt()).context("failed to listen for SIGINT")?;
        let started = Hub::start(config, Arc::new(SystemClock)).await;
        let mut running = started.map_err(|error| named(&error))?;
        writeln!(out, "head office listens on {}", running.addr())?;
        out.flush()?;
        tokio::select! {
            error = running.ended() => return Err(named(&error)),
            _ = terminate.recv() => {}
            _ = interrupt.recv() => {}
        }
        running.shutdown().await;
        Ok(Exit::Ok)
    })
}

fn named(error: &HubError) -> anyhow::Error {
    anyhow!("failed to {error} ({})", error.code())
}

fn config(args: &HubArgs) -> Result<HubConfig> {
    let data = args.data.clone().context("failed to read the arguments: --data is missing")?;
    let mut config = HubConfig::new(args.listen, data);
    config.backup.clone_from(&args.backup);
    if let Some(path) = &args.bundle {
        let read = File::open(path)
            .map_err(|error| error.to_string())
            .and_then(|file| packed::reference(file).map_err(|error| error.to_string()));
        let reference =
            read.map_err(|cause| named(&HubError::Bundle(path.clone(), std::io::Error::other(cause))))?;
        config.bundle = Some((path.clone(), reference.version));
    }
    let secret = |path: &PathBuf| {
        let secret = SecretSource::File(path.clone()).read(None);
        secret.map_err(|error| anyhow!("failed to read a secret: {error}"))
    };
    if let Some(path) = &args.password_file {
        config.password = Some(secret(path)?.expose().to_owned());
    }
    if let (Some(chain), Some(key), Some(authority)) = (&args.cert, &args.key, &args.client_ca) {
        let read =
            |path: &PathBuf| fs::read(path).with_context(|| format!("failed to read {}", path.display()));
        let key = secret(key)?.expose().as_bytes().to_vec();
        config.tls = Some(HubTls { chain: read(chain)?, key, authority: read(authority)? });
    }
    if let Some(path) = &args.partners_file {
        let secret = secret(path)?;
        let text = secret.expose();
        for line in text.lines().map(str::trim).filter(|line| !line.is_empty() && !line.starts_with('#')) {
            let (id, password) = line.split_once(char::is_whitespace).unwrap_or((line, ""));
            let id =
                StoreId::new(id).map_err(|error| anyhow!("failed to read {}: {error}", path.display()))?;
            anyhow::ensure!(
                !password.trim().is_empty(),
                "failed to read {}: {id} has no password",
                path.display()
            );
            config.partners.insert(id, password.trim().to_owned());
        }
    }
    Ok(config)
}

fn show(snapshot: &Snapshot, json: bool, out: &mut dyn Write) -> Result<Exit> {
    if json {
        writeln!(out, "{}", serde_json::to_string_pretty(snapshot)?)?;
        return Ok(Exit::Ok);
    }
    writeln!(out, "incarnation {}, {} stores", snapshot.incarnation, snapshot.stores.len())?;
    let mut attention = false;
    for view in &snapshot.stores {
        let bundle = view.bundle_reported.map_or("none".to_owned(), |version| version.to_string());
        writeln!(
            out,
            "{}: epoch {}, applied {}, durable {}, sales {}, refunds {}, net {}, bundle {bundle}, last seen {}",
            view.store,
            view.epoch.0,
            view.applied_through.0,
            view.durable_through.0,
            view.totals.sales,
            view.totals.refunds,
            view.net_total_minor,
            view.last_seen.map_or("never".to_owned(), utc),
        )?;
        let findings = [
            ("quarantined", view.quarantined),
            ("parked", view.parked),
            ("withheld", view.withheld),
            ("decided under a doubtful clock", view.totals.doubted),
            ("lost", view.lost),
        ];
        for (what, count) in findings.into_iter().filter(|(_, count)| *count > 0) {
            attention = true;
            writeln!(out, "  {what}: {count}")?;
        }
        if let Some(found) = &view.differs {
            attention = true;
            let of = |totals: &Totals| {
                let Totals { entries, sales, refunds, .. } = totals;
                format!(
                    "{entries} entries, {sales} sales, {refunds} refunds, net {}",
                    totals.net_total_minor()
                )
            };
            writeln!(
                out,
                "  counts otherwise through {} of epoch {}: {} ({}), head office {}",
                found.through.0,
                found.epoch.0,
                of(&found.shop),
                Code::HubCounts,
                of(&found.here)
            )?;
        }
    }
    for view in &snapshot.leases {
        let budget = view.budget.map_or("none".to_owned(), |budget| budget.to_string());
        let scope = serde_json::to_string(&view.scope)?;
        writeln!(
            out,
            "{scope}: budget {budget}, lent {}, spent {}, closed {}, ghosts {}, holders {}",
            view.lent, view.spent, view.closed, view.ghosts, view.holders
        )?;
    }
    for view in &snapshot.moves {
        let how = match view.stage {
            Stage::Releasing => "waits for its old home to let go",
            Stage::Adopting => "waits for its new home to take it",
            Stage::Done => "is done",
            Stage::KeptByOld => "stays: its old home redeemed it, does not know it or is not its home",
            Stage::RefusedByNew => "stays: its new home knows of a later move",
        };
        let is_refused = matches!(view.stage, Stage::KeptByOld | Stage::RefusedByNew);
        let code = if is_refused { format!(" ({})", Code::HubMove) } else { String::new() };
        attention |= is_refused;
        writeln!(out, "{}: the move from {} to {} {how}{code}", view.code, view.from, view.to)?;
    }
    for OrderView { order, store, at, decision, after_cancel, twice, refusal, .. } in &snapshot.orders {
        let by = decision.as_deref().unwrap_or("no decision");
        let when = at.as_deref().unwrap_or("no time");
        let what = match (refusal, after_cancel, twice) {
            (Some(code), ..) => format!("is not taken by the shop ({code})"),
            (None, _, true) => format!("was handed over more than once, first at {when} in {by}"),
            (None, true, false) => {
                format!("was handed over at {when} in {by}, before the shop heard that it was cancelled")
            }
            (None, false, false) => continue,
        };
        writeln!(out, "order {order} of {store} {what}")?;
    }
    for (store, epoch) in &snapshot.unknown {
        attention = true;
        writeln!(
            out,
            "{store}, epoch {}: nothing is lent to anybody until it is heard or written off",
            epoch.0
        )?;
    }
    for breach in &snapshot.breaches {
        attention = true;
        writeln!(out, "broken: {}", serde_json::to_string(breach)?)?;
    }
    Ok(if attention { Exit::Finding } else { Exit::Ok })
}

fn utc(at: UnixMs) -> String {
    StoreZone::new("UTC").map_or_else(|| at.0.to_string(), |zone| zone.format(at))
}

#[cfg(test)]
mod tests {
    use clap::Parser;

    use super::*;

    #[derive(Parser)]
    struct Whole {
        #[command(flatten)]
        args: HubArgs,
    }

    #[test]
    fn does_running_need_data_and_status_say_what_is_there() {
        assert!(Whole::try_parse_from(["hub"]).is_err());
        let run = Whole::try_parse_from(["hub", "--data", "d"]).expect("parses").args;
        assert_eq!(run.listen.port(), 1884);
        let data = tempfile::tempdir().expect("a directory");
        let dir = data.path().to_str().expect("text");
        let status = Whole::try_parse_from(["hub", "status", "--data", dir, "--json"]).expect("parses").args;
        let mut out = Vec::new();
        let missing = super::run(&status, &mut out).expect_err("nothing is there").to_string();
        assert!(missing.contains("AIS-6101"), "{missing}");
        crate::hub::files::Files::open(data.path(), false, UnixMs(0)).expect("makes it");
        assert_eq!(super::run(&status, &mut out).expect("reads"), Exit::Ok);
        let shown: serde_json::Value = serde_json::from_slice(&out).expect("JSON");
        assert_eq!(shown["incarnation"], 1);
        let verb = |words: &[&str]| {
            let args =
                Whole::try_parse_from([&["hub"], words, &["--data", dir]].concat()).expect("parses").args;
            let mut out = Vec::new();
            super::run(&args, &mut out).expect("is done")
        };
        assert_eq!(verb(&["write-off", "--store", "s1", "--epoch", "1"]), Exit::Finding, "nobody knows it");
        assert_eq!(verb(&["drain", "--promotion", "flash"]), Exit::Ok);
        assert_eq!(verb(&["move-code", "--code", "c-1", "--from", "s1", "--to", "s2"]), Exit::Finding);
    }
}
