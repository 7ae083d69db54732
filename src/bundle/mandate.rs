//! Two keys: one that boxes trust and that stays in a safe, and one that signs bundles, named by a mandate of the first.
//!
//! ```text
//! mandate, 120 bytes: id of the trusted key 8 | number u64 | until i64 (milliseconds since 1970, UTC) | signing key 32 | signature 64
//! signature of the trusted key over: "aisled mandate 1\n" | everything before it
//! as text: "aisled-mandate:" and 240 hexadecimal digits
//! ```
//! The mandate travels in each bundle that its key signs. A new signing key needs a mandate with a higher number, and nothing else: no
//! configuration of any box changes. A box that has seen the new one takes no bundle of the old one any more, so that a key that
//! was lost is worth nothing as soon as the next bundle is out.
//!
//! Invariants: integers are big-endian; a mandate that does not verify is none; the signing key is not weak; a bundle is signed before
//! its mandate ends (by the signer's clock; boxes' clocks judge nothing here).

use std::collections::BTreeMap;
use std::fmt;
use std::str::FromStr;

use serde::{Deserialize, Serialize};

use crate::domain::calendar::UnixMs;

use super::keys::{KeyId, NotAKey, PublicKey, SecretKey};
use crate::domain::text::hex;

/// Bytes of a mandate.
pub const MANDATE_BYTES: usize = 8 + 8 + 8 + 32 + 64;
const SIGNED_BYTES: usize = MANDATE_BYTES - 64;
const CONTEXT: &[u8] = b"aisled mandate 1\n";
const PREFIX: &str = "aisled-mandate:";

/// What a trusted key says about a signing key.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Mandate {
    bytes: [u8; MANDATE_BYTES],
    /// Who says it.
    pub by: KeyId,
    /// Goes up with each of its mandates.
    pub number: u64,
    /// Bundles signed later are not taken.
    pub until: UnixMs,
    /// The key that may sign.
    pub signing: PublicKey,
}

impl Mandate {
    /// Made by the holder of the trusted key.
    pub fn sign(trusted: &SecretKey, number: u64, until: UnixMs, signing: &PublicKey) -> Mandate {
        let mut bytes = Vec::with_capacity(MANDATE_BYTES);
        bytes.extend(trusted.public().id().0);
        bytes.extend(number.to_be_bytes());
        bytes.extend(until.0.to_be_bytes());
        bytes.extend(signing.to_bytes());
        bytes.extend(trusted.sign(&[CONTEXT, &bytes].concat()));
        let bytes = bytes.try_into().expect("MANDATE_BYTES is the sum of its fields");
        Mandate { bytes, by: trusted.public().id(), number, until, signing: signing.clone() }
    }

    /// Reads a mandate that nobody has verified yet.
    pub(super) fn read(bytes: [u8; MANDATE_BYTES]) -> Option<Mandate> {
        let number = |from: usize| bytes[from..from + 8].try_into().expect("8 bytes");
        let key: [u8; 32] = bytes[24..56].try_into().expect("32 bytes");
        Some(Mandate {
            bytes,
            by: KeyId(number(0)),
            number: u64::from_be_bytes(number(8)),
            until: UnixMs(i64::from_be_bytes(number(16))),
            signing: PublicKey::of_bytes(&key)?,
        })
    }

    pub(super) fn bytes(&self) -> &[u8; MANDATE_BYTES] {
        &self.bytes
    }

    /// Did this trusted key say so?
    pub(super) fn is_of(&self, trusted: &PublicKey) -> bool {
        let signature = self.bytes[SIGNED_BYTES..].try_into().expect("64 bytes");
        trusted.id() == self.by && trusted.signed(&[CONTEXT, &self.bytes[..SIGNED_BYTES]].concat(), signature)
    }
}

impl fmt::Display for Mandate {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{PREFIX}{}", hex(&self.bytes))
    }
}

impl FromStr for Mandate {
    type Err = NotAKey;
    fn from_str(text: &str) -> Result<Mandate, NotAKey> {
        let digits = text.trim().strip_prefix(PREFIX).ok_or(NotAKey)?;
        if digits.len() != 2 * MANDATE_BYTES || !digits.bytes().all(|byte| byte.is_ascii_hexdigit()) {
            return Err(NotAKey);
        }
        let mut bytes = [0; MANDATE_BYTES];
        for (index, byte) in bytes.iter_mut().enumerate() {
            *byte = u8::from_str_radix(&digits[2 * index..2 * index + 2], 16).map_err(|_| NotAKey)?;
        }
        Mandate::read(bytes).ok_or(NotAKey)
    }
}

/// The newest mandate a box has seen of each trusted key: its number, and whom it names.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(transparent)]
pub struct Seen(pub BTreeMap<KeyId, (u64, KeyId)>);

impl Seen {
    /// Is this mandate as new as any that was seen, and the same where it has the same number?
    pub fn takes(&self, mandate: &Mandate) -> bool {
        self.0.get(&mandate.by).is_none_or(|(number, signing)| {
            mandate.number > *number || (mandate.number == *number && mandate.signing.id() == *signing)
        })
    }

    /// From now on. Returns whether it is news.
    pub fn remember(&mut self, mandate: &Mandate) -> bool {
        let news = (mandate.number, mandate.signing.id());
        self.takes(mandate) && self.0.insert(mandate.by, news) != Some(news)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn does_a_mandate_read_as_it_was_written_and_only_as_it_was() {
        let (trusted, signing) = (SecretKey::from_seed(&[1; 32]), SecretKey::from_seed(&[2; 32]).public());
        let mandate = Mandate::sign(&trusted, 7, UnixMs(9), &signing);
        assert_eq!(mandate.to_string().parse(), Ok(mandate.clone()));
        assert!(mandate.is_of(&trusted.public()) && !mandate.is_of(&signing));
        for at in 0..MANDATE_BYTES {
            let mut bytes = mandate.bytes;
            bytes[at] ^= 1;
            assert!(
                Mandate::read(bytes).is_none_or(|changed| !changed.is_of(&trusted.public())),
                "byte {at}"
            );
        }
    }

    #[test]
    fn which_mandates_does_a_box_that_has_seen_one_take() {
        let trusted = SecretKey::from_seed(&[1; 32]);
        let with = |number, seed| {
            Mandate::sign(&trusted, number, UnixMs(9), &SecretKey::from_seed(&[seed; 32]).public())
        };
        let mut seen = Seen::default();
        assert!(seen.remember(&with(5, 2)) && !seen.remember(&with(5, 2)));
        assert!(!seen.takes(&with(4, 2)) && !seen.takes(&with(5, 3)) && seen.takes(&with(6, 3)));
        assert!(!seen.remember(&with(4, 3)));
        let other = Mandate::sign(&SecretKey::from_seed(&[9; 32]), 1, UnixMs(9), &trusted.public());
        assert!(seen.takes(&other), "another trusted key counts by itself");
    }
}
