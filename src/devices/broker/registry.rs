//! Who the devices of a shop are: names and proofs of their passwords.
//!
//! Invariant: a password is never kept, only a salted SHA-256 of it. A fast hash is right here because device
//! passwords are made by `aisled devices add` from 128 random bits, never chosen by a person: there is no
//! dictionary to try, and a connect must not cost a till 100 ms.

use std::collections::BTreeMap;
use std::sync::{PoisonError, RwLock};

use sha2::{Digest, Sha256};

use crate::domain::ids::DeviceId;

/// Bytes of the salt in front of a hashed password.
const SALT_BYTES: usize = 16;

/// Says whether a device may connect. Called for each connect, so it must not block.
pub trait DeviceRegistry: Send + Sync {
    /// Whether `device` (already known to be an id) proves itself with `password`.
    fn admits(&self, device: &str, password: Option<&[u8]>) -> bool;

    /// Whether any device may connect without proof. Such a registry is served on loopback only.
    fn is_open(&self) -> bool {
        false
    }
}

/// Admits every device id without a password: for `demo`, on loopback only.
#[derive(Clone, Copy, Debug, Default)]
pub struct OpenRegistry;

impl DeviceRegistry for OpenRegistry {
    fn admits(&self, _device: &str, _password: Option<&[u8]>) -> bool {
        true
    }

    fn is_open(&self) -> bool {
        true
    }
}

/// Proof of one device's password.
#[derive(Clone, Copy, PartialEq, Eq)]
pub struct PasswordProof {
    salt: [u8; SALT_BYTES],
    digest: [u8; 32],
}

impl PasswordProof {
    /// Makes a proof from a password and a salt drawn by the caller.
    pub fn new(password: &[u8], salt: [u8; SALT_BYTES]) -> PasswordProof {
        PasswordProof { salt, digest: digest(&salt, password) }
    }

    /// The proof as a devices file holds it: salt, and the SHA-256 of salt and password.
    pub fn of(salt: [u8; SALT_BYTES], digest: [u8; 32]) -> PasswordProof {
        PasswordProof { salt, digest }
    }

    fn matches(&self, password: &[u8]) -> bool {
        same_bytes(&self.digest, &digest(&self.salt, password))
    }
}

fn digest(salt: &[u8], password: &[u8]) -> [u8; 32] {
    let mut hasher = Sha256::new();
    hasher.update(salt);
    hasher.update(password);
    hasher.finalize().into()
}

/// Compares without telling by its duration where the first difference is.
pub(super) fn same_bytes(left: &[u8], right: &[u8]) -> bool {
    left.len() == right.len() && left.iter().zip(right).fold(0, |sum, (a, b)| sum | (a ^ b)) == 0
}

/// The devices of a shop with their proofs; may change while the broker runs.
#[derive(Default)]
pub struct DeviceTable {
    devices: RwLock<BTreeMap<DeviceId, PasswordProof>>,
}

impl DeviceTable {
    /// Adds a device or rotates its password.
    pub fn insert(&self, device: DeviceId, proof: PasswordProof) {
        self.devices.write().unwrap_or_else(PoisonError::into_inner).insert(device, proof);
    }

    /// Removes a device; it is refused from its next connect on. Returns whether it was there.
    pub fn remove(&self, device: &DeviceId) -> bool {
        self.devices.write().unwrap_or_else(PoisonError::into_inner).remove(device).is_some()
    }
}

impl DeviceRegistry for DeviceTable {
    fn admits(&self, device: &str, password: Option<&[u8]>) -> bool {
        let devices = self.devices.read().unwrap_or_else(PoisonError::into_inner);
        match (devices.get(device), password) {
            (Some(proof), Some(password)) => proof.matches(password),
            _ => false,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn who_is_admitted() {
        let table = DeviceTable::default();
        let till = DeviceId::new("till-1").expect("an id");
        table.insert(till.clone(), PasswordProof::new(b"secret", [7; SALT_BYTES]));
        assert!(table.admits("till-1", Some(b"secret")));
        assert!(!table.admits("till-1", Some(b"Secret")));
        assert!(!table.admits("till-1", Some(b"")));
        assert!(!table.admits("till-1", None));
        assert!(!table.admits("till-2", Some(b"secret")));
        assert!(table.remove(&till));
        assert!(!table.admits("till-1", Some(b"secret")));
    }

    #[test]
    fn does_the_salt_tell_equal_passwords_apart() {
        assert!(PasswordProof::new(b"x", [0; SALT_BYTES]) != PasswordProof::new(b"x", [1; SALT_BYTES]));
    }
}
