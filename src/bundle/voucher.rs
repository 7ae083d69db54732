//! A partner's voucher: a right that a mall, a bank or a brand prints and a shop honours without asking anybody.
//!
//! ```text
//! text     "PV1:" and, five bits a letter, 2-9 A-Z without I and O:  payload | ed25519 signature 64
//! payload  key id 8 | serial u64 | last day u16 (days since 1970-01-01) | kind u8 | what it gives
//!          kind 0: id of a promotion · kind 1: minor units u64
//! signed   "aisled voucher 1\n" | length of the chain's name u16 | the chain's name | payload
//! ```
//! Integers are big-endian; the text fits a QR code's alphanumeric mode. Invariants: a text reads in exactly one way (no
//! letter stands for another, unused bits are zero), so no second text spends one voucher again; a serial is used once
//! within its key, whatever else the voucher says, so `used_as` names it; nothing is believed before the signature has
//! verified under a key of the bundle (`Bundle::honours`); another chain's voucher does not verify here.

use std::fmt;

use crate::domain::calendar::Day;
use crate::domain::ids::{CouponCode, PromotionId};
use crate::domain::money::Money;
use crate::limits;

use super::keys::{KeyId, PublicKey, SecretKey};

/// How a voucher's text begins; no other code may.
pub const PREFIX: &str = "PV1:";
const LETTERS: &[u8; 32] = b"23456789ABCDEFGHJKLMNPQRSTUVWXYZ";
const CONTEXT: &[u8] = b"aisled voucher 1\n";
const SIGNATURE_BYTES: usize = 64;
const FIXED_BYTES: usize = 8 + 8 + 2 + 1;

/// What a partner signed.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Voucher {
    /// The key it was signed with; tells the partner.
    pub key: KeyId,
    /// Used once within the key.
    pub serial: u64,
    /// Last day it is good, to its end; 1970-01-01 to 2149-06-06.
    pub last_day: Day,
    /// What it gives.
    pub gives: Gives,
}

/// What a voucher gives.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Gives {
    /// Sets off a promotion whose trigger is `code`.
    Promotion(PromotionId),
    /// Pays so much, as a gift card would; what is not used is lost.
    Value(Money),
}

/// A text is not a whole voucher. Fits after "failed to read the voucher:".
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct NotAVoucher;

impl fmt::Display for NotAVoucher {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "it is not {PREFIX} and the letters of a whole voucher")
    }
}

impl std::error::Error for NotAVoucher {}

/// A voucher as read, not believed yet.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Signed {
    /// What it says.
    pub voucher: Voucher,
    signature: [u8; SIGNATURE_BYTES],
}

/// Is this code meant to be a voucher?
pub fn is_voucher(code: &CouponCode) -> bool {
    code.as_str().starts_with(PREFIX)
}

/// The name under which a code is held and used up: the code itself, or a voucher's key and serial.
pub fn used_as(code: &CouponCode) -> CouponCode {
    match is_voucher(code).then(|| Signed::read(code)) {
        Some(Ok(signed)) => signed.voucher.used_as(),
        _ => code.clone(),
    }
}

impl Voucher {
    /// Signs it for a chain; `key` is the partner's. Nothing if the day or the amount cannot be written.
    pub fn sign(&self, chain: &str, secret: &SecretKey) -> Option<CouponCode> {
        let mut bytes = self.payload()?;
        bytes.extend(secret.sign(&message(chain, &bytes)?));
        CouponCode::new(&format!("{PREFIX}{}", letters(&bytes))).ok()
    }

    /// The name under which it is used up.
    pub fn used_as(&self) -> CouponCode {
        CouponCode::new(&format!("PV1/{}/{}", self.key, self.serial)).expect("digits and letters are a code")
    }

    fn payload(&self) -> Option<Vec<u8>> {
        let mut bytes = self.key.0.to_vec();
        bytes.extend(self.serial.to_be_bytes());
        bytes.extend(u16::try_from(self.last_day.number()).ok()?.to_be_bytes());
        match &self.gives {
            Gives::Promotion(promotion) => {
                bytes.push(0);
                bytes.extend(promotion.as_str().as_bytes());
            }
            Gives::Value(value) => {
                bytes.push(1);
                bytes.extend(u64::try_from(value.0).ok()?.to_be_bytes());
            }
        }
        Some(bytes)
    }
}

impl Signed {
    /// Reads a code.
    ///
    /// # Errors
    /// It is damaged, cut short, or not a voucher at all.
    pub fn read(code: &CouponCode) -> Result<Signed, NotAVoucher> {
        let text = code.as_str().strip_prefix(PREFIX).ok_or(NotAVoucher)?;
        let bytes = unletters(text).ok_or(NotAVoucher)?;
        let (payload, signature) = bytes.split_last_chunk::<SIGNATURE_BYTES>().ok_or(NotAVoucher)?;
        let voucher = read_payload(payload).ok_or(NotAVoucher)?;
        Ok(Signed { voucher, signature: *signature })
    }

    /// Did the holder of this key sign it for this chain?
    pub fn is_of(&self, chain: &str, key: &PublicKey) -> bool {
        let message = self.voucher.payload().and_then(|payload| message(chain, &payload));
        message.is_some_and(|message| key.signed(&message, &self.signature))
    }
}

fn read_payload(payload: &[u8]) -> Option<Voucher> {
    let (fixed, gives) = payload.split_at_checked(FIXED_BYTES)?;
    let (key, rest) = fixed.split_first_chunk::<8>()?;
    let (serial, rest) = rest.split_first_chunk::<8>()?;
    let (day, kind) = rest.split_first_chunk::<2>()?;
    let gives = match kind {
        [0] => Gives::Promotion(PromotionId::new(std::str::from_utf8(gives).ok()?).ok()?),
        [1] => {
            let value = i64::try_from(u64::from_be_bytes(gives.try_into().ok()?)).ok()?;
            Gives::Value(Some(Money(value)).filter(|value| value.0 <= limits::AMOUNT_MINOR_MAX)?)
        }
        _ => return None,
    };
    let last_day = Day::new(1970, 1, 1)?.plus_days(i64::from(u16::from_be_bytes(*day)));
    Some(Voucher { key: KeyId(*key), serial: u64::from_be_bytes(*serial), last_day, gives })
}

fn message(chain: &str, payload: &[u8]) -> Option<Vec<u8>> {
    let length = u16::try_from(chain.len()).ok()?.to_be_bytes();
    Some([CONTEXT, &length, chain.as_bytes(), payload].concat())
}

fn letters(bytes: &[u8]) -> String {
    let mut text = String::with_capacity(bytes.len() * 8 / 5 + 1);
    let (mut held, mut bits) = (0_u32, 0_u32);
    for byte in bytes {
        held = held << 8 | u32::from(*byte);
        bits += 8;
        while bits >= 5 {
            bits -= 5;
            text.push(char::from(LETTERS[(held >> bits & 31) as usize]));
        }
    }
    if bits > 0 {
        text.push(char::from(LETTERS[(held << (5 - bits) & 31) as usize]));
    }
    text
}

/// Nothing for a letter that is none of ours, for unused bits that are not zero, and for a letter too many.
fn unletters(text: &str) -> Option<Vec<u8>> {
    let mut bytes = Vec::with_capacity(text.len() * 5 / 8);
    let (mut held, mut bits) = (0_u32, 0_u32);
    for letter in text.bytes() {
        let five = LETTERS.iter().position(|known| *known == letter)?;
        held = held << 5 | u32::try_from(five).ok()?;
        bits += 5;
        if bits >= 8 {
            bits -= 8;
            bytes.push((held >> bits & 255) as u8);
        }
    }
    (bits < 5 && held & ((1 << bits) - 1) == 0).then_some(bytes)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn key() -> SecretKey {
        SecretKey::from_seed(&[5; 32])
    }

    fn voucher(gives: Gives) -> Voucher {
        let last_day = "2026-12-31".parse().expect("a day");
        Voucher { key: key().public().id(), serial: 77, last_day, gives }
    }

    #[test]
    fn does_a_voucher_read_as_it_was_signed() {
        let longest = "p".repeat(limits::NAME_BYTES_MAX);
        for gives in [
            Gives::Promotion(PromotionId::new("mall-10").expect("an id")),
            Gives::Promotion(PromotionId::new(&longest).expect("an id")),
            Gives::Value(Money(5_000)),
        ] {
            let code = voucher(gives.clone()).sign("sunrise", &key()).expect("it is written");
            assert_eq!(
                CouponCode::normal(&code.as_str().to_lowercase()),
                Ok(code.clone()),
                "typed in small letters"
            );
            let read = Signed::read(&code).expect("a voucher");
            assert_eq!(read.voucher, voucher(gives));
            assert!(read.is_of("sunrise", &key().public()));
            assert!(!read.is_of("moonrise", &key().public()), "another chain's");
            assert!(!read.is_of("sunrise", &SecretKey::from_seed(&[6; 32]).public()), "another partner's");
        }
    }

    #[test]
    fn is_every_letter_of_a_voucher_covered() {
        let code = voucher(Gives::Value(Money(5_000))).sign("sunrise", &key()).expect("it is written");
        let text = code.as_str();
        for place in PREFIX.len()..text.len() {
            let other = if text.as_bytes()[place] == b'7' { "8" } else { "7" };
            let changed = [&text[..place], other, &text[place + 1..]].concat();
            let changed = CouponCode::new(&changed).expect("a code");
            let believed = Signed::read(&changed).is_ok_and(|read| read.is_of("sunrise", &key().public()));
            assert!(!believed, "letter {place}");
        }
        for text in ["PV1:", "PV1:2", "PV1:22222222", &text[..text.len() - 1], &format!("{text}2")] {
            let code = CouponCode::new(text).expect("a code");
            let believed = Signed::read(&code).is_ok_and(|read| read.is_of("sunrise", &key().public()));
            assert!(!believed, "{text}");
        }
    }

    #[test]
    fn under_which_name_is_a_code_used_up() {
        let same = [Gives::Value(Money(1)), Gives::Promotion(PromotionId::new("p").expect("an id"))];
        let names =
            same.map(|gives| used_as(&voucher(gives).sign("sunrise", &key()).expect("it is written")));
        assert_eq!(names[0], names[1], "a serial is used once, whatever it gives");
        for own in ["ONCE-01", "PV1:NOT-ONE"] {
            let own = CouponCode::new(own).expect("a code");
            assert_eq!(used_as(&own), own);
        }
    }
}
