//! The devices of the shop while the daemon runs: the file and what is read from it, enrolment, the box's certificate.
//!
//! ```text
//! aisled devices add, rotate, remove --> <data>/devices --(looked at each second)--> table --> broker's door, show out
//! aisled devices enroll --control socket--> code --(15 minutes)--> POST /enroll --> <data>/devices, audit.log
//! <data>/tls --(looked at each hour)--> certificate, renewed before its end and served from the next connection on
//! ```
//! Invariants: a file that cannot be read changes nothing: the devices that are known stay known, and the log names the lines;
//! a change of the file is in force within two seconds; an identity is given only after its audit line is on the disk.

use std::os::unix::fs::MetadataExt as _;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use anyhow::{Context as _, Result, anyhow};
use serde_json::{Value, json};

use crate::audit;
use crate::chance;
use crate::clock::{Clock, Ticks};
use crate::config::{BrokerTls, ConfigError, DeviceLogin, Role, SALT_BYTES};
use crate::devices::broker::enrol::{Codes, Enrolling, code_of};
use crate::devices::broker::{DeviceRegistry as _, DeviceTable, Door};
use crate::domain::code::Code;
use crate::domain::ids::{DeviceId, StoreId};
use crate::domain::text::hex;
use crate::gate::authority::{Authority, own_names};
use crate::gate::tls::{self, Served};
use crate::limits;

/// Random bytes from the system.
pub fn random<const N: usize>() -> Result<[u8; N]> {
    chance::bytes().map_err(|error| anyhow!("failed to draw random bytes: {error} ({})", Code::NoRandomness))
}

/// A new password of 128 bits for a device: as text, and the salt of its proof.
pub fn new_password() -> Result<(String, [u8; SALT_BYTES])> {
    Ok((hex(&random::<16>()?), random()?))
}

/// What is to be known of a file to see that it is another one.
type Stamp = Option<(u64, i64, i64, u64)>;

/// The devices of a running daemon.
pub(super) struct Roll {
    file: PathBuf,
    data_dir: PathBuf,
    store: StoreId,
    clock: Arc<dyn Clock>,
    pub(super) table: Arc<DeviceTable>,
    stamp: Mutex<Stamp>,
    codes: Mutex<Codes>,
    encrypted: Option<Encrypted>,
}

/// The encrypted port's.
struct Encrypted {
    authority: Authority,
    names: Vec<String>,
    served: Arc<Served>,
    looked: Mutex<Ticks>,
}

impl Roll {
    /// Reads the devices, and with an encrypted port the shop's authority, which is made if there is none.
    pub(super) fn open(
        (file, data_dir, store): (PathBuf, &Path, &StoreId),
        admits_strangers: bool,
        tls: Option<&BrokerTls>,
        clock: Arc<dyn Clock>,
    ) -> Result<Roll> {
        let table = if admits_strangers { DeviceTable::open_to_strangers() } else { DeviceTable::default() };
        let stamp = stamp_of(&file);
        let logins = DeviceLogin::load_if_there(&file);
        table.replace(logins.map_err(|error| anyhow!("failed to read devices: {error}"))?);
        let encrypted = tls.map(|tls| Encrypted::open(tls, data_dir, store, &clock)).transpose()?;
        Ok(Roll {
            file,
            data_dir: data_dir.to_owned(),
            store: store.clone(),
            clock,
            table: Arc::new(table),
            stamp: Mutex::new(stamp),
            codes: Mutex::default(),
            encrypted,
        })
    }

    /// What the encrypted port serves.
    pub(super) fn served(&self) -> Option<Arc<Served>> {
        self.encrypted.as_ref().map(|encrypted| Arc::clone(&encrypted.served))
    }

    /// Looks at file and certificate for as long as the broker runs.
    pub(super) async fn watch(self: Arc<Roll>, door: Door) {
        let mut seconds = tokio::time::interval(Duration::from_secs(1));
        seconds.set_missed_tick_behavior(tokio::time::MissedTickBehavior::Delay);
        loop {
            seconds.tick().await;
            let roll = Arc::clone(&self);
            let looked = tokio::task::spawn_blocking(move || {
                roll.look_at_certificate();
                roll.look_at_file()
            });
            match looked.await {
                Ok(changed) if !changed.is_empty() => {
                    tracing::info!(devices = ?changed, "devices changed: they show who they are anew");
                    door.show_out(&changed).await;
                }
                Ok(_) => {}
                Err(error) => tracing::error!(%error, "the devices file is not looked at"),
            }
        }
    }

    /// Takes over a file that changed; who must go.
    fn look_at_file(&self) -> Vec<DeviceId> {
        let mut known = self.stamp.lock().unwrap_or_else(PoisonError::into_inner);
        let stamp = stamp_of(&self.file);
        if stamp == *known {
            return Vec::new();
        }
        *known = stamp;
        match DeviceLogin::load_if_there(&self.file) {
            Ok(logins) => self.table.replace(logins),
            Err(error) => {
                let code = error.problems.first().map(|problem| problem.code.to_string());
                tracing::error!(%error, code, "the devices file is not taken; who was known stays known");
                Vec::new()
            }
        }
    }

    fn look_at_certificate(&self) {
        let Some(encrypted) = &self.encrypted else { return };
        let mut looked = encrypted.looked.lock().unwrap_or_else(PoisonError::into_inner);
        let now = self.clock.ticks();
        if now.since(*looked) < Duration::from_secs(3_600) {
            return;
        }
        *looked = now;
        match encrypted.authority.configuration(&encrypted.names, &self.clock) {
            Ok(config) => encrypted.served.replace(config),
            Err(error) => {
                tracing::error!(%error, code = %error.code(), "the box's certificate is not renewed")
            }
        }
    }

    /// Gives a code with which `device` may fetch its identity, once.
    pub(super) fn give_code(&self, device: &DeviceId, role: Option<Role>) -> Result<Value> {
        let Some(encrypted) = &self.encrypted else {
            return Ok(
                json!({ "code": Code::EnrolClosed, "error": Code::EnrolClosed.title(crate::domain::text::Lang::En) }),
            );
        };
        let role = role.or_else(|| self.table.role(device.as_str())).unwrap_or_default();
        let code = code_of(random()?);
        audit::append(
            &self.data_dir,
            self.clock.now(),
            &audit::machine_user(),
            "device.code",
            json!({ "device": device, "role": role.as_str() }),
        )
        .map_err(|error| anyhow!("failed to {error} ({})", error.code()))?;
        let mut codes = self.codes.lock().unwrap_or_else(PoisonError::into_inner);
        codes.give(device.clone(), role, &code, self.clock.ticks());
        Ok(json!({
            "device": device,
            "role": role.as_str(),
            "enrolment_code": code,
            "minutes": limits::ENROL_CODE_MS / 60_000,
            "fingerprint": hex(&encrypted.authority.fingerprint()),
        }))
    }
}

impl Encrypted {
    fn open(tls: &BrokerTls, data_dir: &Path, store: &StoreId, clock: &Arc<dyn Clock>) -> Result<Encrypted> {
        let failed = |error: tls::TlsError| anyhow!("failed to {error} ({})", error.code());
        let authority = match Authority::load(data_dir).map_err(failed)? {
            Some(authority) => authority,
            None => {
                let made = Authority::create(data_dir, store, clock.now()).map_err(failed)?;
                let what = json!({ "name": made.name(), "fingerprint": hex(&made.fingerprint()) });
                audit::append(data_dir, clock.now(), "daemon", "authority.make", what)
                    .map_err(|error| anyhow!("failed to {error} ({})", error.code()))?;
                made
            }
        };
        let mut names = own_names(tls.listen);
        names.extend(tls.names.iter().cloned());
        let served = Arc::new(Served::new(authority.configuration(&names, clock).map_err(failed)?));
        let looked = Mutex::new(clock.ticks());
        Ok(Encrypted { authority, names, served, looked })
    }
}

impl Enrolling for Roll {
    fn authority(&self) -> String {
        self.encrypted.as_ref().map(|encrypted| encrypted.authority.pem().to_owned()).unwrap_or_default()
    }

    fn enrol(&self, device: &str, code: &str) -> Result<Value, Code> {
        let role = {
            let mut codes = self.codes.lock().unwrap_or_else(PoisonError::into_inner);
            codes.redeem(device, code, self.clock.ticks()).ok_or(Code::EnrolCode)?
        };
        let device = DeviceId::new(device).map_err(|_| Code::EnrolRequest)?;
        let (password, salt) = new_password().map_err(|_| Code::NoRandomness)?;
        let login =
            DeviceLogin { role, ..DeviceLogin::with_password(device.clone(), password.as_bytes(), salt) };
        let what = json!({ "device": device, "role": role.as_str() });
        audit::append(&self.data_dir, self.clock.now(), "device", "device.enroll", what).map_err(
            |error| {
                tracing::error!(%error, "a device is not enrolled");
                error.code()
            },
        )?;
        put(&self.file, login).map_err(|error| {
            tracing::error!(%error, "a device is not enrolled");
            error.problems.first().map_or(Code::DevicesUnwritable, |problem| problem.code)
        })?;
        // The device connects at once: it need not wait until the file is looked at.
        self.look_at_file();
        Ok(json!({
            "device": device,
            "username": device,
            "password": password,
            "role": role.as_str(),
            "store": self.store,
            "ca": self.authority(),
        }))
    }
}

/// What a shell is told that asks for a code. Takes the disk's time: a code is written down before it is told.
pub(super) fn told_code(roll: Option<Arc<Roll>>, device: &DeviceId, role: Option<String>) -> Value {
    let Some(roll) = roll else {
        return json!({ "code": Code::EnrolClosed, "error": "the shop runs its own broker" });
    };
    let given = roll.give_code(device, role.as_deref().and_then(Role::parse));
    given.unwrap_or_else(|error| json!({ "error": format!("{error:#}") }))
}

/// Puts one device into the file; a shop that is full says so.
pub(super) fn put(file: &Path, login: DeviceLogin) -> Result<(), ConfigError> {
    DeviceLogin::change(file, |logins| {
        logins.insert(login.device.clone(), login);
        Ok(())
    })
}

fn stamp_of(file: &Path) -> Stamp {
    let metadata = std::fs::metadata(file).ok()?;
    Some((metadata.ino(), metadata.mtime(), metadata.mtime_nsec(), metadata.len()))
}

/// The devices file of a configuration.
pub fn devices_file(configured: Option<&PathBuf>, data_dir: &Path) -> PathBuf {
    configured.cloned().unwrap_or_else(|| data_dir.join(crate::config::DEVICES_FILE))
}

/// Asks a daemon that may not be there: for `aisled devices enroll`.
pub fn ask_for_code(data_dir: &Path, device: &DeviceId, role: Option<Role>) -> Result<Option<Value>> {
    let ask = super::control::Ask::Enroll {
        device: device.clone(),
        role: role.map(|role| role.as_str().to_owned()),
    };
    super::control::ask(data_dir, &ask).context("failed to ask the daemon for a code")
}
