//! `aisled run`: the daemon in the foreground, until a signal.
//!
//! Exit codes: 0 stopped by a signal, 1 it failed while running (the supervisor restarts it), 2 it could not start.

use std::path::Path;
use std::sync::Arc;

use anyhow::{Context, Result};
use tokio::signal::unix::{SignalKind, signal};
use tracing_subscriber::layer::SubscriberExt as _;
use tracing_subscriber::util::SubscriberInitExt as _;

use super::Exit;
use crate::clock::SystemClock;
use crate::config::{Config, Environment, Log, LogFormat};
use crate::daemon;

/// Runs until SIGTERM or SIGINT.
pub fn run(file: Option<&Path>, environment: &Environment, out: &mut dyn std::io::Write) -> Result<Exit> {
    let loaded = match Config::load(file, environment) {
        Ok(loaded) => loaded,
        Err(error) => return Ok(super::config::write_error(&error, false, out)?),
    };
    start_log(loaded.config.log);
    let store = loaded.config.store.id.clone();
    let mut running =
        match daemon::start(loaded.config, Arc::new(SystemClock), environment.credentials_dir.clone()) {
            Ok(running) => running,
            Err(error) => {
                tracing::error!(error = format!("{error:#}"), "the daemon did not start");
                writeln!(out, "{error:#}")?;
                return Ok(Exit::Usage);
            }
        };
    match running.addr {
        Some(addr) => tracing::info!(%store, %addr, "ready: devices may connect"),
        None => tracing::info!(%store, "ready: devices are heard through the shop's broker"),
    }
    let signals = tokio::runtime::Builder::new_current_thread().enable_all().build();
    let signals = signals.context("failed to start the runtime for signals")?;
    let asked = signals.block_on(async {
        let mut terminate = signal(SignalKind::terminate()).context("failed to listen for SIGTERM")?;
        let mut interrupt = signal(SignalKind::interrupt()).context("failed to listen for SIGINT")?;
        Ok::<bool, anyhow::Error>(tokio::select! {
            _ = terminate.recv() => true,
            _ = interrupt.recv() => true,
            cause = running.ended() => {
                tracing::error!(cause, "the daemon ended");
                false
            }
        })
    })?;
    if !asked {
        return Ok(Exit::Finding);
    }
    running.stop()?;
    tracing::info!("stopped: everything decided is durable");
    Ok(Exit::Ok)
}

/// Is standard error systemd's journal? It says so by the device and number of the socket (systemd.exec(5)).
fn is_journal() -> bool {
    let told = std::env::var("JOURNAL_STREAM").ok();
    let own =
        rustix::fs::fstat(std::io::stderr()).ok().map(|stat| format!("{}:{}", stat.st_dev, stat.st_ino));
    told.is_some() && told == own
}

/// Starts the log on standard error. `AISLED_LOG` may name levels per module, for a support case. Where standard error is
/// systemd's journal, fields go there as fields (AISLED_CODE, AISLED_DEVICE, AISLED_SEQ), for `journalctl AISLED_CODE=...`.
pub fn start_log(log: Log) {
    let level = log.level.as_str();
    let filter =
        std::env::var("AISLED_LOG").unwrap_or_else(|_| format!("{level},mqtt5=warn,rumqttc=warn,sled=warn"));
    let filter = tracing_subscriber::EnvFilter::new(filter);
    if is_journal()
        && let Ok(journal) = tracing_journald::layer()
    {
        let journal =
            journal.with_field_prefix(Some("AISLED".to_owned())).with_syslog_identifier("aisled".to_owned());
        if let Err(error) = tracing_subscriber::registry().with(filter).with(journal).try_init() {
            tracing::debug!(%error, "the log was started before");
        }
        return;
    }
    let builder =
        tracing_subscriber::fmt().with_env_filter(filter).with_writer(std::io::stderr).with_target(false);
    let started = match log.format {
        LogFormat::Journald => builder.without_time().with_ansi(false).try_init(),
        LogFormat::Text => builder.with_ansi(std::io::IsTerminal::is_terminal(&std::io::stderr())).try_init(),
    };
    if let Err(error) = started {
        tracing::debug!(error, "the log was started before");
    }
}
