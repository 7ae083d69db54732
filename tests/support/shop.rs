//! A daemon in this process over a directory of its own, with signed rules in its inbox and a clock that a test moves.

use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use aisled::clock::ManualClock;
use aisled::config::{Broker, Config, TrustedKey};
use aisled::daemon;
use aisled::devices::wire::Format;
use aisled::domain::calendar::UnixMs;
use aisled::domain::ids::StoreId;
use serde_json::{Value, json};

use crate::signed::{key, packed_with};
use crate::till::{DEADLINE, Dialect, Till, soon};

/// Wednesday 2026-11-18, noon in Shanghai: no window of the example bundle is open.
pub(crate) const NOON: UnixMs = UnixMs(1_794_974_400_000);

/// A configuration of shop `s01` over `dir`, on any free port. The clock of the tests stands still, so pacing is off.
pub(crate) fn config(dir: &Path) -> Config {
    let mut config = Config::default();
    config.store.id = StoreId::new("s01").expect("an id");
    config.store.data_dir = dir.to_owned();
    config.broker = Broker::Embedded {
        listen: "127.0.0.1:0".parse().expect("an address"),
        open_on_loopback: true,
        devices_file: None,
        tls: None,
    };
    config.bundle.trusted_keys =
        vec![TrustedKey::parse(&key().public().to_string()).expect("a key the configuration takes")];
    config.devices.requests_per_second_max = 100_000;
    config.console = None;
    config
}

/// Polls what has no event of its own.
pub(crate) async fn until(what: &str, mut is: impl FnMut() -> bool) {
    soon(what, async {
        let mut often = tokio::time::interval(Duration::from_millis(10));
        while !is() {
            often.tick().await;
        }
    })
    .await;
}

pub(crate) struct Shop {
    pub(crate) clock: ManualClock,
    pub(crate) config: Config,
    pub(crate) running: Option<daemon::Running>,
    pub(crate) starts: u32,
    _dir: tempfile::TempDir,
}

impl Shop {
    /// A shop with version 1 of the rules in force.
    pub(crate) async fn open() -> Shop {
        let dir = tempfile::tempdir().expect("a directory for the test");
        let config = config(dir.path());
        let mut shop = Shop { clock: ManualClock::new(NOON), config, running: None, starts: 0, _dir: dir };
        shop.put("1.aisb", &packed_with(1, &key()));
        shop.start().await;
        shop.follows(1).await;
        shop
    }

    pub(crate) fn data(&self) -> &Path {
        &self.config.store.data_dir
    }

    fn bundles(&self) -> PathBuf {
        self.data().join("bundles")
    }

    /// Puts a file into the inbox, whole.
    pub(crate) fn put(&self, name: &str, bytes: &[u8]) {
        std::fs::create_dir_all(self.bundles().join("inbox")).expect("a folder");
        let draft = self.bundles().join("draft");
        std::fs::write(&draft, bytes).expect("it is written");
        std::fs::rename(&draft, self.bundles().join("inbox").join(name)).expect("it is put there");
    }

    pub(crate) fn refused(&self, name: &str) -> PathBuf {
        self.bundles().join("refused").join(name)
    }

    /// Puts a bundle into the inbox that must be refused, and waits until it is.
    pub(crate) async fn put_refused(&self, name: &str, bytes: &[u8]) {
        self.put(name, bytes);
        until("the bundle's refusal", || self.refused(name).exists()).await;
    }

    pub(crate) fn ask(&self, ask: &daemon::control::Ask) -> Value {
        daemon::control::ask(self.data(), ask).expect("the daemon answers").expect("a daemon runs here")
    }

    pub(crate) fn status(&self) -> Value {
        self.ask(&daemon::control::Ask::Status)
    }

    /// Waits until bundle `version` is active and its members are in the tables.
    pub(crate) async fn follows(&self, version: u64) {
        until("the bundle in force", || {
            let status = self.status();
            let followed = status["journal"]["followed"].as_u64().expect("a number");
            status["bundle"]["version"] == json!(version)
                && followed + 1 == status["journal"]["next"].as_u64().expect("a number")
        })
        .await;
    }

    pub(crate) async fn start(&mut self) {
        let (config, clock) = (self.config.clone(), Arc::new(self.clock.clone()));
        let started = tokio::task::spawn_blocking(move || daemon::start(config, clock, None));
        self.running = Some(started.await.expect("no panic").expect("the daemon starts"));
        self.starts += 1;
        until("the control socket", || {
            let socket = self.data().join(daemon::control::SOCKET);
            std::os::unix::net::UnixStream::connect(socket).is_ok()
        })
        .await;
    }

    pub(crate) async fn stop(&mut self) {
        let running = self.running.take().expect("it runs");
        let stopped = tokio::task::spawn_blocking(move || running.stop());
        tokio::time::timeout(DEADLINE, stopped).await.expect("in time").expect("no panic").expect("in order");
    }

    /// Stops in order and starts again; a box does not start twice in the same millisecond.
    pub(crate) async fn restart(&mut self) {
        self.stop().await;
        self.clock.advance_ms(1);
        self.start().await;
    }

    pub(crate) fn addr(&self) -> SocketAddr {
        self.running.as_ref().and_then(|running| running.addr).expect("the embedded broker listens")
    }

    /// A till that speaks MQTT 5 and JSON.
    pub(crate) async fn till(&self, device: &str) -> Till {
        self.till_of(device, Dialect::Five, Format::Json).await
    }

    pub(crate) async fn till_of(&self, device: &str, dialect: Dialect, format: Format) -> Till {
        Till::connect(self.addr(), device, dialect, format, &format!("r{}", self.starts)).await
    }
}

/// One line of a basket.
pub(crate) fn line(id: &str, sku: &str, qty: i64) -> Value {
    json!({ "line": id, "sku": sku, "qty": qty })
}

pub(crate) fn card(value: &str) -> Value {
    json!({ "kind": "card", "value": value })
}

/// A sale's number on the day of the tests.
pub(crate) fn sale(seq: u64) -> Value {
    json!({ "business_day": "2026-11-18", "seq": seq })
}

/// Enough money in cash.
pub(crate) fn cash(amount: i64) -> Value {
    json!([{ "kind": "cash", "amount": amount }])
}
