//! Who the devices of a shop are, while the broker runs: identities that may change under it.
//!
//! Invariants: a device that is known proves itself with its password or its certificate, wherever it comes from; one that is not
//! known is let in only where the shop says so, and only in plain text from this machine. What is asked about a device is answered
//! from the table as it is now: a device that was removed has no rights from that moment, connected or not.

use std::collections::BTreeMap;
use std::sync::{PoisonError, RwLock};

use crate::config::{DeviceLogin, Role};
use crate::domain::ids::DeviceId;

/// What a device shows of itself.
#[derive(Clone, Copy, Debug, Default)]
pub struct Shown<'a> {
    /// Its password.
    pub password: Option<&'a [u8]>,
    /// SHA-256 of its client certificate, signed by the shop's authority.
    pub certificate: Option<[u8; 32]>,
    /// Whether it comes in plain text, which is from this machine.
    pub is_local: bool,
}

/// Says whether a device may connect, and as what. Called for each connect and publish, so it must not block.
pub trait DeviceRegistry: Send + Sync {
    /// Whether `device` (already known to be an id) is who it says.
    fn admits(&self, device: &str, shown: &Shown<'_>) -> bool;

    /// What a device is for; nothing if it is not known (any more).
    fn role(&self, device: &str) -> Option<Role>;
}

/// Admits every device id without a proof, from this machine: for `demo` and tests.
#[derive(Clone, Copy, Debug, Default)]
pub struct OpenRegistry;

impl DeviceRegistry for OpenRegistry {
    fn admits(&self, _device: &str, shown: &Shown<'_>) -> bool {
        shown.is_local
    }

    fn role(&self, _device: &str) -> Option<Role> {
        Some(Role::Till)
    }
}

/// The devices of a shop with their proofs; may change while the broker runs.
#[derive(Default)]
pub struct DeviceTable {
    devices: RwLock<BTreeMap<DeviceId, DeviceLogin>>,
    admits_strangers: bool,
}

impl DeviceTable {
    /// A table in which devices that are not known may come in from this machine, as tills, without a proof.
    pub fn open_to_strangers() -> DeviceTable {
        DeviceTable { admits_strangers: true, ..DeviceTable::default() }
    }

    /// Adds a device, or changes what is known of it.
    pub fn insert(&self, login: DeviceLogin) {
        self.devices.write().unwrap_or_else(PoisonError::into_inner).insert(login.device.clone(), login);
    }

    /// Takes over a whole file. Returns the devices that are gone or that prove themselves otherwise now: their connections
    /// are to be ended.
    pub fn replace(&self, logins: Vec<DeviceLogin>) -> Vec<DeviceId> {
        let mut devices = self.devices.write().unwrap_or_else(PoisonError::into_inner);
        let new: BTreeMap<DeviceId, DeviceLogin> =
            logins.into_iter().map(|login| (login.device.clone(), login)).collect();
        let old = std::mem::replace(&mut *devices, new);
        let mut changed: Vec<DeviceId> = (old.iter())
            .filter(|(device, login)| devices.get(*device) != Some(login))
            .map(|(device, _)| device.clone())
            .collect();
        // A stranger under the name of a device that is known from now on has shown nothing.
        changed.extend(devices.keys().filter(|device| !old.contains_key(*device)).cloned());
        changed
    }
}

impl DeviceRegistry for DeviceTable {
    fn admits(&self, device: &str, shown: &Shown<'_>) -> bool {
        // The proof takes a millisecond: not under the lock.
        let login = self.devices.read().unwrap_or_else(PoisonError::into_inner).get(device).cloned();
        let Some(login) = login else { return self.admits_strangers && shown.is_local };
        let certificate = login.certificate.is_some() && login.certificate == shown.certificate;
        certificate
            || match (&login.password, shown.password) {
                (Some(proof), Some(password)) => proof.matches(password),
                _ => false,
            }
    }

    fn role(&self, device: &str) -> Option<Role> {
        let devices = self.devices.read().unwrap_or_else(PoisonError::into_inner);
        let stranger = self.admits_strangers.then_some(Role::Till);
        devices.get(device).map(|login| login.role).or(stranger)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn id(text: &str) -> DeviceId {
        DeviceId::new(text).expect("an id")
    }

    fn till(name: &str) -> DeviceLogin {
        DeviceLogin::with_password(id(name), b"secret", [7; crate::config::SALT_BYTES])
    }

    fn with(password: Option<&[u8]>) -> Shown<'_> {
        Shown { password, certificate: None, is_local: true }
    }

    #[test]
    fn who_is_admitted() {
        let table = DeviceTable::default();
        table.insert(DeviceLogin { certificate: Some([5; 32]), ..till("till-1") });
        assert!(table.admits("till-1", &with(Some(b"secret"))));
        assert!(table.admits("till-1", &Shown { certificate: Some([5; 32]), ..Shown::default() }));
        for (device, shown) in [
            ("till-1", with(Some(b"Secret"))),
            ("till-1", with(Some(b""))),
            ("till-1", with(None)),
            ("till-1", Shown { certificate: Some([6; 32]), ..with(Some(b"x")) }),
            ("till-2", with(Some(b"secret"))),
            ("till-2", Shown { certificate: Some([5; 32]), ..Shown::default() }),
        ] {
            assert!(!table.admits(device, &shown), "{device} {shown:?}");
        }
    }

    #[test]
    fn may_a_stranger_take_the_name_of_a_known_device() {
        let table = DeviceTable::open_to_strangers();
        assert!(table.admits("till-1", &with(None)));
        assert!(!table.admits("till-1", &Shown::default()), "from the network nobody is let in unproven");
        assert_eq!(table.replace(vec![till("till-1")]), [id("till-1")], "who is in under that name must go");
        assert!(!table.admits("till-1", &with(None)) && table.admits("till-2", &with(None)));
    }

    #[test]
    fn who_must_go_when_the_file_changes() {
        let table = DeviceTable::default();
        assert_eq!(table.replace(vec![till("a"), till("b"), till("c")]), [id("a"), id("b"), id("c")]);
        let kiosk = DeviceLogin { role: Role::Kiosk, ..till("b") };
        assert_eq!(table.replace(vec![till("a"), kiosk]), [id("b"), id("c")]);
        assert_eq!((table.role("b"), table.role("c")), (Some(Role::Kiosk), None));
    }
}
