//! The tests' rules as a box gets them: packed and signed.

use aisled::bundle::keys::SecretKey;
use aisled::bundle::packed;

use crate::rules;

/// The key the shop trusts.
pub(crate) fn key() -> SecretKey {
    SecretKey::from_seed(&[7; 32])
}

/// The tests' rules as `version`, signed with `key`.
pub(crate) fn packed_with(version: u64, key: &SecretKey) -> Vec<u8> {
    let authored = rules::authored();
    packed::pack(version, &authored.rules, &authored.members, &authored.codes, key).expect("it packs")
}
