//! `aisled run`: the daemon in the foreground, until a signal.
//!
//! Exit codes: 0 stopped by a signal, 1 it failed while running (the supervisor restarts it), 2 it could not start.

use std::collections::BTreeMap;
use std::path::Path;
use std::sync::Arc;

use anyhow::{Context, Result, anyhow};
use tokio::signal::unix::{SignalKind, signal};
use tracing_subscriber::layer::SubscriberExt as _;
use tracing_subscriber::util::SubscriberInitExt as _;

use super::Exit;
use crate::audit;
use crate::clock::{Clock as _, SystemClock};
use crate::config::{Config, Environment, Log, LogFormat, Setting, private};
use crate::daemon;

/// Runs until SIGTERM or SIGINT.
pub fn run(file: Option<&Path>, environment: &Environment, out: &mut dyn std::io::Write) -> Result<Exit> {
    let loaded = match Config::load(file, environment) {
        Ok(loaded) => loaded,
        Err(error) => return Ok(super::config::write_error(&error, false, out)?),
    };
    start_log(loaded.config.log);
    let (data_dir, settings) = (loaded.config.store.data_dir.clone(), loaded.settings);
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
    if let Err(error) = audit_settings(&data_dir, &settings) {
        tracing::error!(
            error = format!("{error:#}"),
            "what changed in the configuration is not in the audit log"
        );
    }
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

/// Below the data directory: the configuration of the last start.
const SEEN_FILE: &str = "config.seen";

/// Writes down which keys of the configuration are otherwise than at the last start; no secret stands in one.
fn audit_settings(data_dir: &Path, settings: &[Setting]) -> Result<()> {
    let now: BTreeMap<&str, &str> =
        settings.iter().map(|setting| (setting.key.as_str(), setting.value.as_str())).collect();
    let file = data_dir.join(SEEN_FILE);
    let seen: Option<BTreeMap<String, String>> =
        std::fs::read(&file).ok().and_then(|bytes| serde_json::from_slice(&bytes).ok());
    if let Some(seen) = &seen {
        let keys = now.keys().copied().chain(seen.keys().map(String::as_str));
        let changed: BTreeMap<&str, [Option<&str>; 2]> = keys
            .map(|key| (key, [seen.get(key).map(String::as_str), now.get(key).copied()]))
            .filter(|(_, [before, after])| before != after)
            .collect();
        if changed.is_empty() {
            return Ok(());
        }
        let what = serde_json::json!(changed);
        audit::append(data_dir, SystemClock.now(), "daemon", "config.change", what)
            .map_err(|error| anyhow!("failed to {error} ({})", error.code()))?;
    }
    let bytes = serde_json::to_vec(&now).context("failed to write down the configuration")?;
    private::place(&file, &bytes).with_context(|| format!("failed to write {}", file.display()))
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

#[cfg(test)]
mod tests {
    use crate::config::Origin;

    use super::*;

    #[test]
    fn is_a_changed_key_written_down_once() {
        let dir = tempfile::tempdir().expect("a directory");
        let with = |value: &str| {
            let (key, value) = ("broker.listen".to_owned(), value.to_owned());
            vec![Setting { key, value, origin: Origin::Default }]
        };
        for value in ["a", "a", "b", "b"] {
            audit_settings(dir.path(), &with(value)).expect("it is written");
        }
        let acts = audit::last(dir.path(), 9).expect("it reads");
        assert_eq!(acts.len(), 1);
        assert_eq!(acts[0].what, serde_json::json!({ "broker.listen": ["a", "b"] }));
    }
}
