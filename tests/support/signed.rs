//! The tests' rules as a box gets them: packed and signed.

use aisled::bundle::keys::SecretKey;
use aisled::bundle::packed;
use aisled::domain::calendar::UnixMs;

use crate::rules;

/// The key the shop trusts.
pub(crate) fn key() -> SecretKey {
    SecretKey::from_seed(&[7; 32])
}

/// When the tests sign a version: before the day of the tests, each later than the one before.
pub(crate) fn signed_at(version: u64) -> UnixMs {
    UnixMs(1_794_888_000_000 + i64::try_from(version).expect("a small number") * 60_000)
}

/// The tests' rules as `version`, signed with `key`.
pub(crate) fn packed_with(version: u64, key: &SecretKey) -> Vec<u8> {
    let authored = rules::authored();
    packed::pack(version, signed_at(version), &authored.rules, &authored.members, &authored.codes, key)
        .expect("it packs")
}
