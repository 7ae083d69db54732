//! What only a running daemon and its journal know: devices, the line to head office, how far decisions are durable, and when the
//! last one was made.

use std::collections::BTreeMap;

use serde::Deserialize;
use serde_json::Value;

use crate::config::Config;
use crate::daemon::control::{self, Ask};
use crate::domain::calendar::UnixMs;
use crate::domain::code::Code;
use crate::domain::ids::DeviceId;
use crate::storage::journal::JournalView;
use crate::storage::vault::Vault;

use crate::cli::replay;

/// What a device last said of itself.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Presence {
    /// It is there.
    pub online: bool,
    /// Since when it is, or is not.
    pub since: UnixMs,
}

/// How journal and tables are.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Store {
    /// `Whole`, or what is missing.
    pub footing: String,
    /// What hinders it.
    pub code: Option<Code>,
    /// The last durable decision.
    pub durable: u64,
}

/// What is known beside the files of the configuration; nothing where nobody could be asked.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Known {
    /// When the last decision was made.
    pub last_decision: Option<UnixMs>,
    /// By how many milliseconds head office's clock is ahead of this one.
    pub head_office_ahead_ms: Option<i64>,
    /// Devices that told their presence.
    pub present: BTreeMap<DeviceId, Presence>,
    /// Of a running daemon.
    pub store: Option<Store>,
    /// Why head office's network is of no use to it.
    pub network: Option<(Code, String)>,
}

#[derive(Deserialize)]
struct Told {
    device: DeviceId,
    online: bool,
    since: UnixMs,
}

impl Known {
    /// Asks the daemon of this data directory, if one runs, and its journal, if there is one.
    pub fn of(config: &Config) -> Known {
        let data_dir = &config.store.data_dir;
        let last_decision =
            replay::journal(data_dir).ok().and_then(|(view, vault)| last_decision(&view, &vault));
        let status = control::ask(data_dir, &Ask::Status).ok().flatten();
        Known { last_decision, ..status.map(|status| Known::told(&status)).unwrap_or_default() }
    }

    /// From the answer to `aisled status`.
    fn told(status: &Value) -> Known {
        let devices = serde_json::from_value::<Vec<Told>>(status["devices"].clone()).unwrap_or_default();
        let present =
            devices.into_iter().map(|Told { device, online, since }| (device, Presence { online, since }));
        let disk = &status["disk"];
        Known {
            last_decision: None,
            head_office_ahead_ms: status["head_office"]["clock_ahead_ms"].as_i64(),
            present: present.collect(),
            network: status["network"]["code"]
                .as_str()
                .and_then(Code::parse)
                .map(|code| (code, status["network"]["cause"].as_str().unwrap_or_default().to_owned())),
            store: disk["footing"].as_str().map(|footing| Store {
                footing: footing.to_owned(),
                code: disk["code"].as_str().and_then(Code::parse),
                durable: status["journal"]["durable"].as_u64().unwrap_or_default(),
            }),
        }
    }
}

/// When the last durable decision was made, by the clock of that moment.
pub fn last_decision(view: &JournalView, vault: &Vault) -> Option<UnixMs> {
    let mut reader = view.reader(view.durable());
    let raw = reader.next().ok()??;
    Some(vault.decode(raw.payload).ok()?.at)
}
