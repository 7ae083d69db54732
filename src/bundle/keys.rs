//! The keys bundles are signed with: ed25519, written as text.
//!
//! A public key is `aisled-ed25519:` and 64 hexadecimal digits; a secret key is its 32-byte seed as 64 hexadecimal
//! digits and never printed. Seeds come from the caller: this room has no random numbers.

use crate::domain::text::hex;
use std::fmt;
use std::str::FromStr;

use ed25519_dalek::{Signature, Signer, SigningKey, VerifyingKey};
use schemars::JsonSchema;
use serde::{Deserialize, Deserializer, Serialize, Serializer};
use sha2::{Digest, Sha256};

/// How a public key begins.
const PREFIX: &str = "aisled-ed25519:";

/// A text is not a key. Fits after "failed to read the key:".
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct NotAKey;

impl fmt::Display for NotAKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "a public key is {PREFIX} and 64 hexadecimal digits, a secret key 64 hexadecimal digits")
    }
}

impl std::error::Error for NotAKey {}

/// Names a public key: the first 8 bytes of its SHA-256.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub struct KeyId(pub [u8; 8]);

impl fmt::Display for KeyId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&hex(&self.0))
    }
}

impl Serialize for KeyId {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(self)
    }
}

impl<'de> Deserialize<'de> for KeyId {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let text = String::deserialize(deserializer)?;
        let digits = (text.len() == 16).then(|| u64::from_str_radix(&text, 16).ok()).flatten();
        digits.map(|id| KeyId(id.to_be_bytes())).ok_or_else(|| serde::de::Error::custom("no id of a key"))
    }
}

impl fmt::Debug for KeyId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "KeyId({self})")
    }
}

/// A key a box trusts.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct PublicKey(VerifyingKey);

impl PublicKey {
    /// Its name.
    pub fn id(&self) -> KeyId {
        let digest: [u8; 32] = Sha256::digest(self.0.as_bytes()).into();
        let mut id = [0; 8];
        id.copy_from_slice(&digest[..8]);
        KeyId(id)
    }

    /// A key of its 32 bytes, unless it is weak.
    pub(super) fn of_bytes(bytes: &[u8; 32]) -> Option<PublicKey> {
        VerifyingKey::from_bytes(bytes).ok().filter(|key| !key.is_weak()).map(PublicKey)
    }

    /// Its 32 bytes.
    pub(super) fn to_bytes(&self) -> [u8; 32] {
        self.0.to_bytes()
    }

    /// Did the holder of the secret key sign this message? Refuses the malleable forms plain ed25519 allows.
    pub(super) fn signed(&self, message: &[u8], signature: &[u8; 64]) -> bool {
        self.0.verify_strict(message, &Signature::from_bytes(signature)).is_ok()
    }
}

impl fmt::Display for PublicKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{PREFIX}{}", hex(self.0.as_bytes()))
    }
}

impl FromStr for PublicKey {
    type Err = NotAKey;
    fn from_str(text: &str) -> Result<PublicKey, NotAKey> {
        let bytes = unhex(text.trim().strip_prefix(PREFIX).ok_or(NotAKey)?).ok_or(NotAKey)?;
        let key = VerifyingKey::from_bytes(&bytes).map_err(|_| NotAKey)?;
        if key.is_weak() { Err(NotAKey) } else { Ok(PublicKey(key)) }
    }
}

impl Serialize for PublicKey {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(self)
    }
}

impl<'de> Deserialize<'de> for PublicKey {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        String::deserialize(deserializer)?.parse().map_err(serde::de::Error::custom)
    }
}

impl JsonSchema for PublicKey {
    fn schema_name() -> std::borrow::Cow<'static, str> {
        "PublicKey".into()
    }
    fn json_schema(_: &mut schemars::SchemaGenerator) -> schemars::Schema {
        schemars::json_schema!({
            "description": "An ed25519 public key, as `aisled bundle keygen` writes it.",
            "type": "string",
            "pattern": "^aisled-ed25519:[0-9a-fA-F]{64}$"
        })
    }
}

/// A key bundles are signed with.
pub struct SecretKey(SigningKey);

impl SecretKey {
    /// From 32 random bytes.
    pub fn from_seed(seed: &[u8; 32]) -> SecretKey {
        SecretKey(SigningKey::from_bytes(seed))
    }

    /// The key boxes must trust.
    pub fn public(&self) -> PublicKey {
        PublicKey(self.0.verifying_key())
    }

    /// What its file holds. Keep it out of logs.
    pub fn to_hex(&self) -> String {
        hex(self.0.as_bytes())
    }

    pub(super) fn sign(&self, message: &[u8]) -> [u8; 64] {
        self.0.sign(message).to_bytes()
    }
}

/// The secret itself stays out of logs.
impl fmt::Debug for SecretKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "SecretKey({})", self.public().id())
    }
}

impl FromStr for SecretKey {
    type Err = NotAKey;
    fn from_str(text: &str) -> Result<SecretKey, NotAKey> {
        unhex(text.trim()).map(|seed| SecretKey::from_seed(&seed)).ok_or(NotAKey)
    }
}

fn unhex(text: &str) -> Option<[u8; 32]> {
    if text.len() != 64 || !text.bytes().all(|b| b.is_ascii_hexdigit()) {
        return None;
    }
    let mut bytes = [0; 32];
    for (index, byte) in bytes.iter_mut().enumerate() {
        *byte = u8::from_str_radix(&text[2 * index..2 * index + 2], 16).ok()?;
    }
    Some(bytes)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn does_a_key_read_as_it_is_written() {
        let secret = SecretKey::from_seed(&[7; 32]);
        let public = secret.public();
        assert_eq!(public.to_string().parse(), Ok(public.clone()));
        let again: SecretKey = secret.to_hex().parse().expect("written by to_hex");
        assert_eq!(again.public(), public);
        assert!(!format!("{secret:?}").contains(&secret.to_hex()), "no secret in a log");
    }

    #[test]
    fn which_texts_are_no_keys() {
        let zero = format!("{PREFIX}{}", "0".repeat(64));
        for text in ["", "aisled-ed25519:", &"0".repeat(64), &zero, &format!("{PREFIX}{}", "g".repeat(64))] {
            assert_eq!(text.parse::<PublicKey>(), Err(NotAKey), "{text}");
        }
        assert!("+f".repeat(32).parse::<SecretKey>().is_err());
    }
}
