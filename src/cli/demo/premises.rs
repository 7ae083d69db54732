//! What `demo` and `drive` build in a temporary directory: a shop's daemon, and a head office that can go away.
//!
//! Invariants: the daemon runs in this process, or as a process of its own where it is to be killed; either way it is
//! started from the same configuration file and reached over loopback only. Ports are taken below the range from which
//! systems number outgoing connections, so that a port left by a killed daemon is there when it comes back.

use std::net::{Ipv4Addr, SocketAddr, TcpListener};
use std::path::{Path, PathBuf};
use std::process::Stdio;
use std::sync::Arc;
use std::time::Duration;

use anyhow::{Context, Result, anyhow, bail};
use serde_json::Value;
use tokio::process::{Child, Command};
use tokio::time::{sleep, timeout};

use crate::bundle::keys::SecretKey;
use crate::chance;
use crate::cli::tills::Dice;
use crate::clock::{Clock, Stopwatch, SystemClock};
use crate::config::{Config, Environment};
use crate::console::{Role, Users};
use crate::daemon;
use crate::daemon::control::{self, Ask};
use crate::domain::ids::StoreId;
use crate::hub::office::Snapshot;
use crate::hub::server::{self, Hub, HubConfig};
use crate::limits;

/// A loopback address that was free a moment ago.
pub(crate) fn free_address() -> Result<SocketAddr> {
    let mut dice = Dice::new(u64::from_be_bytes(chance::bytes().context("failed to choose a port")?), "port");
    for _ in 0..limits::DEMO_PORT_TRIES_MAX {
        let offset = u16::try_from(dice.below(limits::DEMO_PORTS)).context("failed to draw a port")?;
        let address = SocketAddr::from((Ipv4Addr::LOCALHOST, limits::DEMO_PORT_FIRST + offset));
        if TcpListener::bind(address).is_ok() {
            return Ok(address);
        }
    }
    bail!("failed to find a free port on loopback");
}

const CONSOLE_CLOSED: &str = "[console]\nlisten = \"\"\n";

enum Daemon {
    Stopped,
    Here(daemon::Running),
    Child(Child),
}

/// A shop: its data, its configuration and its daemon.
pub(crate) struct Shop {
    /// Where devices connect.
    pub(crate) addr: SocketAddr,
    /// Its data.
    pub(crate) data: PathBuf,
    /// Which shop.
    pub(crate) store: StoreId,
    file: PathBuf,
    log: PathBuf,
    daemon: Daemon,
}

impl Shop {
    /// Writes configuration and bundle below `dir`; nothing runs yet.
    pub(crate) fn prepare(
        dir: &Path,
        key: &SecretKey,
        packed: &[u8],
        head_office: Option<SocketAddr>,
    ) -> Result<Shop> {
        let (addr, data, file) = (free_address()?, dir.join("shop"), dir.join("aisled.toml"));
        let inbox = data.join("bundles/inbox");
        std::fs::create_dir_all(&inbox).with_context(|| format!("failed to make {}", inbox.display()))?;
        std::fs::write(inbox.join("1.aisb"), packed).context("failed to put the bundle into the inbox")?;
        let head_office =
            head_office.map(|addr| format!("[head_office]\nurl = \"mqtt://{addr}\"\n")).unwrap_or_default();
        let text = format!(
            "[store]\nid = \"s01\"\ndata_dir = {:?}\n[broker]\nlisten = \"{addr}\"\n[bundle]\n\
             trusted_keys = [\"{}\"]\n[devices]\nrequests_per_second_max = {}\n{CONSOLE_CLOSED}{head_office}",
            data.display().to_string(),
            key.public(),
            limits::DEMO_REQUESTS_PER_SECOND_MAX,
        );
        std::fs::write(&file, text).with_context(|| format!("failed to write {}", file.display()))?;
        let store = StoreId::new("s01").context("failed to name the shop")?;
        Ok(Shop { addr, data, store, file, log: dir.join("aisled.log"), daemon: Daemon::Stopped })
    }

    /// From the next start on the web pages are at a free address, and `name` may sign in with the code this answers.
    pub(crate) fn open_console(&mut self, name: &str) -> Result<(SocketAddr, String)> {
        let addr = free_address()?;
        let text = std::fs::read_to_string(&self.file).context("failed to read the shop's configuration")?;
        let text = text.replace(CONSOLE_CLOSED, &format!("[console]\nlisten = \"{addr}\"\n"));
        std::fs::write(&self.file, text).context("failed to write the shop's configuration")?;
        let code = Users::new(&self.data).add(name, Role::Admin, SystemClock.now());
        Ok((addr, code.map_err(|error| anyhow!("failed to {error}"))?))
    }

    /// Starts the daemon in this process and waits until it has rules.
    pub(crate) async fn start_here(&mut self) -> Result<()> {
        let loaded = Config::load(Some(&self.file), &Environment::default())
            .map_err(|error| anyhow!("failed to read the shop's configuration: {error}"))?;
        let start = move || daemon::start(loaded.config, Arc::new(SystemClock), None);
        let running = tokio::task::spawn_blocking(start).await.context("failed to start the daemon")??;
        self.daemon = Daemon::Here(running);
        self.has_rules().await
    }

    /// Starts the daemon as a process of its own, `aisled run`, and waits until it has rules.
    pub(crate) async fn start_child(&mut self) -> Result<()> {
        let program = std::env::current_exe().context("failed to find this program")?;
        let log = std::fs::OpenOptions::new().create(true).append(true).open(&self.log);
        let log = log.with_context(|| format!("failed to open {}", self.log.display()))?;
        let child = Command::new(program)
            .arg("run")
            .arg("--config")
            .arg(&self.file)
            .stdin(Stdio::null())
            .stdout(Stdio::null())
            .stderr(log)
            .kill_on_drop(true)
            .spawn()
            .context("failed to start the daemon's process")?;
        self.daemon = Daemon::Child(child);
        self.has_rules().await
    }

    /// Kills the daemon's process in the middle of whatever it does (SIGKILL); one in this process cannot be.
    pub(crate) async fn kill(&mut self) -> Result<()> {
        let Daemon::Child(child) = &mut self.daemon else { bail!("failed to kill: it is no process") };
        if let Some(status) = child.try_wait().context("failed to look at the daemon's process")? {
            bail!("failed to keep the daemon running: it ended by itself with {status}{}", self.last_words());
        }
        child.kill().await.context("failed to kill the daemon's process")?;
        self.daemon = Daemon::Stopped;
        Ok(())
    }

    /// What the daemon says of itself; nothing while it does not run.
    pub(crate) async fn status(data: PathBuf) -> Option<Value> {
        let asked = tokio::task::spawn_blocking(move || control::ask(&data, &Ask::Status));
        asked.await.ok()?.ok()?
    }

    /// Stops the daemon in order.
    pub(crate) async fn stop(&mut self) -> Result<()> {
        match std::mem::replace(&mut self.daemon, Daemon::Stopped) {
            Daemon::Stopped => Ok(()),
            Daemon::Here(running) => {
                tokio::task::spawn_blocking(|| running.stop()).await.context("failed to stop the daemon")?
            }
            Daemon::Child(mut child) => {
                let pid = child.id().and_then(|id| i32::try_from(id).ok());
                let pid =
                    pid.and_then(rustix::process::Pid::from_raw).context("failed to stop: it is gone")?;
                rustix::process::kill_process(pid, rustix::process::Signal::TERM)
                    .context("failed to ask the daemon to stop")?;
                let bound = Duration::from_millis(2 * limits::STOP_MS_MAX);
                let status = timeout(bound, child.wait()).await.context("failed to stop in time")?;
                let status = status.context("failed to wait for the daemon")?;
                if !status.success() {
                    bail!("failed to stop the daemon in order: {status}{}", self.last_words());
                }
                Ok(())
            }
        }
    }

    async fn has_rules(&mut self) -> Result<()> {
        let watch = Stopwatch::start(&SystemClock);
        let bound = Duration::from_millis(limits::DEMO_START_MS_MAX);
        while watch.elapsed(&SystemClock) < bound {
            // The first decision is the bundle's; its members are known once the tables have followed it.
            let knows = |status: Value| {
                !status["bundle"].is_null() && status["journal"]["followed"].as_u64().unwrap_or_default() > 0
            };
            if Self::status(self.data.clone()).await.is_some_and(knows) {
                return Ok(());
            }
            if let Daemon::Child(child) = &mut self.daemon
                && let Some(status) = child.try_wait().context("failed to look at the daemon's process")?
            {
                bail!("failed to start the daemon: it ended with {status}{}", self.last_words());
            }
            sleep(Duration::from_millis(limits::DEMO_LOOK_MS)).await;
        }
        bail!("failed to start the daemon: no rules are active in time{}", self.last_words());
    }

    /// The end of the log of a daemon that is a process of its own.
    fn last_words(&self) -> String {
        let log = std::fs::read_to_string(&self.log).unwrap_or_default();
        let lines: Vec<&str> = log.lines().rev().take(5).collect();
        lines.iter().rev().map(|line| format!("\n  {line}")).collect()
    }
}

/// A head office that can go away and return: its data stay.
pub(crate) struct HeadOffice {
    /// Its data.
    pub(crate) data: PathBuf,
    config: HubConfig,
    running: Option<server::Running>,
    last: Snapshot,
}

impl HeadOffice {
    /// Not there yet.
    pub(crate) fn prepare(dir: &Path, addr: SocketAddr) -> HeadOffice {
        let data = dir.join("head-office");
        let config = HubConfig::new(addr, data.clone());
        HeadOffice { data, config, running: None, last: Snapshot::default() }
    }

    /// Publishes a bundle from the next time it is there.
    pub(crate) fn publish(&mut self, path: PathBuf, version: u64) {
        self.config.bundle = Some((path, version));
    }

    /// Is there.
    pub(crate) async fn open(&mut self, clock: Arc<dyn Clock>) -> Result<()> {
        let started = Hub::start(self.config.clone(), clock).await;
        self.running = Some(started.map_err(|error| anyhow!("failed to {error}"))?);
        Ok(())
    }

    /// Goes away.
    pub(crate) async fn close(&mut self) {
        if let Some(running) = self.running.take() {
            running.shutdown().await;
        }
    }

    /// What it has, or had when it was last there.
    pub(crate) async fn snapshot(&mut self) -> &Snapshot {
        if let Some(running) = &self.running
            && let Ok(snapshot) = running.snapshot().await
        {
            self.last = snapshot;
        }
        &self.last
    }
}
