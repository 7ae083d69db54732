//! Is every attack of `attacks.txt` refused, with its code.

use std::collections::BTreeMap;
use std::io::Cursor;

use aisled::bundle::document::Rules;
use aisled::bundle::keys::SecretKey;
use aisled::bundle::mandate::{Mandate, Seen};
use aisled::bundle::packed::{self, Admission, Terms};
use aisled::bundle::plan;
use aisled::domain::calendar::UnixMs;
use aisled::domain::code::Code;
use aisled::domain::ids::StoreId;

use crate::{SIGNED, example, forged, key, record, rules_section, zstd};

const TABLE: &str = include_str!("attacks.txt");
const DAY_MS: i64 = 86_400_000;
/// Where the key's id, the terms and the sections begin.
const KEY_AT: usize = 26;
const TERMS_AT: usize = 34;
const PLAIN_SECTIONS_AT: usize = 34;
const MANDATE_AT: usize = TERMS_AT + 8;

fn shop() -> StoreId {
    StoreId::new("sh-001").expect("an id")
}

/// Rules for our shop.
fn rules() -> Rules {
    let mut rules = example().rules;
    rules.shop.stores = vec![shop()];
    rules
}

fn plain_of(rules: &Rules, version: u64, key: &SecretKey) -> Vec<u8> {
    let example = example();
    packed::pack(version, SIGNED, rules, &example.members, &example.codes, key).expect("packs")
}

fn plain(version: u64, seed: u8) -> Vec<u8> {
    plain_of(&rules(), version, &key(seed))
}

/// Signed by `seed` under a mandate.
fn under(mandate: &Mandate, seed: u8) -> Vec<u8> {
    let (rules, example) = (rules(), example());
    let terms = Terms { mandate: Some(mandate), newer_by: Some(SIGNED.plus_ms(30 * DAY_MS)) };
    let parts = (&rules, &example.members, &example.codes);
    packed::pack_under(terms, 6, SIGNED, parts, &key(seed)).expect("packs")
}

fn mandate(by: u8, number: u64, signing: u8) -> Mandate {
    Mandate::sign(&key(by), number, SIGNED.plus_ms(DAY_MS), &key(signing).public())
}

fn mandated() -> Vec<u8> {
    under(&mandate(1, 5, 2), 2)
}

/// What the box does with a file: as `daemon::bundles` admits it. Nothing is what it takes.
fn box_refuses(file: &[u8]) -> Option<Code> {
    let (trusted, store) = ([key(1).public()], shop());
    let admission = Admission { trusted: &trusted, floor: 5, store: Some(&store) };
    let read = || {
        let mut opened = packed::open(Cursor::new(file), &admission)?;
        opened.members()?.try_for_each(|member| member.map(drop))?;
        opened.codes()?.try_for_each(|code| code.map(drop))?;
        Ok::<_, packed::BundleError>(opened)
    };
    let opened = match read() {
        Ok(opened) => opened,
        Err(error) => return Some(error.code()),
    };
    let mut seen = Seen::default();
    seen.remember(&mandate(1, 5, 2));
    if opened.mandate.as_ref().is_some_and(|mandate| !seen.takes(mandate)) {
        return Some(Code::BundleMandateOlder);
    }
    let active = packed::reference(Cursor::new(plain(5, 1))).expect("it reads");
    plan(Some(&active), &opened.reference).code()
}

fn changed(mut file: Vec<u8>, at: usize) -> Vec<u8> {
    file[at] ^= 1;
    file
}

/// Where the packed bytes of a section begin.
fn section_at(file: &[u8], index: usize) -> usize {
    let length = |index: usize| {
        let at = PLAIN_SECTIONS_AT + 56 * index;
        usize::try_from(u64::from_be_bytes(file[at..at + 8].try_into().expect("8 bytes"))).expect("it fits")
    };
    PLAIN_SECTIONS_AT + 3 * 56 + (0..index).map(length).sum::<usize>()
}

fn attack(name: &str) -> Vec<u8> {
    let (old, whole) = (plain(6, 1), mandated());
    let set = |mut file: Vec<u8>, at: usize, bytes: &[u8]| {
        file[at..at + bytes.len()].copy_from_slice(bytes);
        file
    };
    let cut = |file: &[u8], length: usize| file[..length].to_vec();
    let good = || rules_section(&rules());
    let empty = || (zstd(b""), 0, 0);
    let zeros = || zstd(&vec![0; 100 * 1024 * 1024]);
    match name {
        "flipped-rules" => changed(old.clone(), section_at(&old, 0) + 20),
        "flipped-members" => changed(old.clone(), section_at(&old, 1) + 20),
        "flipped-codes" => changed(old.clone(), section_at(&old, 2) + 12),
        "raised-version" => set(old, 10, &9_u64.to_be_bytes()),
        "later-date" => set(old, 18, &SIGNED.plus_ms(DAY_MS).0.to_be_bytes()),
        "later-promise" => set(whole, TERMS_AT, &SIGNED.plus_ms(900 * DAY_MS).0.to_be_bytes()),
        "dropped-promise" => set(whole, TERMS_AT, &[0; 8]),
        "members-of-another" => {
            let mut other = rules();
            other.shop.stores.push(StoreId::new("sh-009").expect("an id"));
            let other = plain_of(&other, 6, &key(1));
            let (from, to) = (section_at(&other, 1), section_at(&old, 1));
            let length = section_at(&old, 2) - to;
            let mut file = set(old, to, &other[from..from + length]);
            file[to + length / 2] ^= 0x80;
            file
        }
        "empty-signature" => {
            let at = old.len() - 64;
            set(old, at, &[0; 64])
        }
        "signature-of-another" => {
            let (other, at) = (plain(7, 1), old.len() - 64);
            set(old, at, &other[other.len() - 64..])
        }
        "foreign-key" => plain(6, 9),
        "foreign-key-renamed" => set(plain(6, 9), KEY_AT, &key(1).public().id().0),
        "signer-without-mandate" => plain(6, 2),
        "cut-header" => cut(&old, 60),
        "cut-terms" => cut(&whole, MANDATE_AT + 50),
        "cut-section" => cut(&old, section_at(&old, 1) + 5),
        "cut-signature" => cut(&old, old.len() - 1),
        "appended" => [old.as_slice(), b"more"].concat(),
        "rollback" => plain(4, 1),
        "same-version" => {
            let mut other = rules();
            other.shop.stores.push(StoreId::new("sh-009").expect("an id"));
            plain_of(&other, 5, &key(1))
        }
        "other-shop" => {
            let mut other = rules();
            other.shop.stores = vec![StoreId::new("sh-002").expect("an id")];
            plain_of(&other, 6, &key(1))
        }
        "other-format" => set(old, 8, &9_u16.to_be_bytes()),
        "format-downgrade" => {
            // Its mandate is read as what the sections promise: more than there can be.
            let file = set(whole, 8, &2_u16.to_be_bytes());
            set(file, TERMS_AT, &[0; 24])
        }
        "format-upgrade" => set(old, 8, &3_u16.to_be_bytes()),
        "not-a-bundle" => b"PK\x03\x04 and so on".to_vec(),
        "empty-file" => Vec::new(),
        "ratio-bomb" => forged([good(), (zeros(), 100 << 20, 1_000), empty()]),
        "size-bomb" => forged([good(), (zeros(), 2 << 30, 1_000), empty()]),
        "quiet-bomb" => forged([good(), (zeros(), 1_000, 10), empty()]),
        "overlong" => set(old, PLAIN_SECTIONS_AT, &u64::MAX.to_be_bytes()),
        "not-packed" => forged([good(), (b"not zstd".to_vec(), 8, 1), empty()]),
        "deep" => {
            let deep = record(&[0x91; 20_000]);
            forged([good(), (zstd(&deep), deep.len() as u64, 1), empty()])
        }
        "mandate-of-stranger" => under(&mandate(9, 6, 2), 2),
        "mandate-changed" => changed(whole, MANDATE_AT + 15),
        "mandate-prolonged" => changed(whole, MANDATE_AT + 18),
        "mandate-redirected" => set(under(&mandate(1, 5, 2), 3), MANDATE_AT + 24, &public_bytes(3)),
        "mandate-for-another" => under(&mandate(1, 6, 3), 2),
        "mandate-of-itself" => {
            let own = mandate(2, 6, 2);
            set(under(&own, 2), MANDATE_AT, &key(1).public().id().0)
        }
        "mandate-ended" => {
            let ended = Mandate::sign(&key(1), 6, SIGNED.plus_ms(-1), &key(2).public());
            under(&ended, 2)
        }
        "mandate-weak" => {
            // The point of order one: every message is signed for it.
            let mut weak = [0; 32];
            weak[0] = 1;
            set(whole, MANDATE_AT + 24, &weak)
        }
        "mandate-replaced" => under(&mandate(1, 4, 2), 2),
        "mandate-twice" => under(&mandate(1, 5, 3), 3),
        other => panic!("{other} is not written"),
    }
}

fn public_bytes(seed: u8) -> Vec<u8> {
    let text = key(seed).public().to_string();
    let digits = text.strip_prefix("aisled-ed25519:").expect("its form");
    (0..32).map(|at| u8::from_str_radix(&digits[2 * at..2 * at + 2], 16).expect("digits")).collect()
}

#[test]
fn is_every_attack_refused_with_its_code() {
    let mut otherwise = BTreeMap::new();
    let mut count = 0;
    for line in TABLE.lines().filter(|line| !line.starts_with('#') && !line.is_empty()) {
        let mut words = line.split_whitespace();
        let (name, code) = (words.next().expect("a name"), words.next().expect("a code"));
        let wanted = Code::parse(code).expect("a code there is");
        let refused = box_refuses(&attack(name));
        if refused != Some(wanted) {
            otherwise.insert(name, (refused.map(|code| code.to_string()), code));
        }
        count += 1;
    }
    assert!(otherwise.is_empty(), "refused otherwise: {otherwise:?}");
    assert!(count >= 25, "{count} attacks");
}

#[test]
fn does_the_box_take_what_is_right() {
    for (what, file) in [
        ("a newer one of the trusted key", plain(6, 1)),
        ("the active one again", plain(5, 1)),
        ("one under the mandate that was seen", mandated()),
        ("one under the next mandate, of another key", under(&mandate(1, 6, 3), 3)),
    ] {
        assert_eq!(box_refuses(&file), None, "{what}");
    }
    let opened = packed::open(
        Cursor::new(mandated()),
        &Admission { trusted: &[key(1).public()], floor: 0, store: None },
    );
    assert_eq!(opened.expect("it is right").newer_by, Some(SIGNED.plus_ms(30 * DAY_MS)));
    let times = packed::times(Cursor::new(plain(5, 1))).expect("it reads");
    assert_eq!(times, (UnixMs(SIGNED.0), None), "what promises nothing stays in the old format");
}
