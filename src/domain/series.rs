//! A series: numbers that the whole chain shares and that people read, as codes of a coupon or as numbers of members.
//!
//! ```text
//! number   prefix, serial, check                    NX 000123 G
//! serial   1 to `count`, in at least six digits
//! check    one of 31 letters and digits: the sum of each letter's value times a power of 3, modulo 31
//! ```
//! Head office lends a shop ranges of serials (`domain::lease`); which range is whose, it alone knows.
//!
//! Invariants: a serial is written in one way, and no two series write the same text, because a prefix holds letters only.
//! One wrong digit or two exchanged neighbours change the check, because 31 is prime and 3 is one of its primitive
//! roots. It tells a slip of the pen, not a forger: a code is good because its shop issued it, never because it checks.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::ids::Prefix;
use crate::limits;

const CHECKS: &[u8; 31] = b"23456789ABCDEFGHJKLMNPQRSTUVWXY";

/// Numbers of which each is given out once in the whole chain.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Series {
    /// What every number of it begins with: it names the series in every bundle to come.
    pub prefix: Prefix,
    /// How many numbers there are, 1 to 1,000,000,000. It may grow; what was given out stays given out.
    #[schemars(range(min = 1, max = limits::SERIES_NUMBERS_MAX))]
    pub count: i64,
}

impl Series {
    /// The number of a serial.
    pub fn number(&self, serial: i64) -> String {
        let number = format!("{}{serial:06}", self.prefix);
        format!("{number}{}", char::from(check(&number)))
    }

    /// Is this the number of a serial, of how many soever there are?
    pub fn writes(&self, text: &str) -> bool {
        let serial =
            text.strip_prefix(self.prefix.as_str()).and_then(|rest| rest.get(..rest.len().max(1) - 1));
        let serial = serial.and_then(|serial| serial.parse().ok()).filter(|serial| *serial > 0);
        serial.is_some_and(|serial| self.number(serial) == text)
    }
}

fn check(number: &str) -> u8 {
    let value =
        |letter: u8| u32::from(if letter.is_ascii_digit() { letter - b'0' } else { letter - b'A' + 10 });
    let (sum, _) = number
        .bytes()
        .fold((0, 1), |(sum, weight), letter| ((sum + value(letter) * weight) % 31, weight * 3 % 31));
    CHECKS[sum as usize]
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use super::*;

    fn series() -> Series {
        Series { prefix: Prefix::new("NX").expect("a prefix"), count: 5_000_000 }
    }

    #[test]
    fn how_is_a_serial_written() {
        let numbers = [1, 123, 1_000_000].map(|serial| series().number(serial));
        assert_eq!(numbers, ["NX000001H", "NX000123G", "NX10000009"]);
        assert!(numbers.iter().all(|number| series().writes(number)));
        for other in ["", "NX", "NX000123", "NX000123Y", "NX0000123G", "N000123G", "NX00012é", "NX-00001H"] {
            assert!(!series().writes(other), "{other}");
        }
        let many: BTreeSet<String> = (1..=2_000).map(|serial| series().number(serial)).collect();
        assert_eq!(many.len(), 2_000);
    }

    #[test]
    fn does_the_check_see_a_slip_of_the_pen() {
        for serial in [1, 123, 908_172, 1_000_000] {
            let number = series().number(serial);
            for place in 2..number.len() - 1 {
                for digit in b'0'..=b'9' {
                    let mut slip = number.clone().into_bytes();
                    slip[place] = digit;
                    let slip = String::from_utf8(slip).expect("ASCII");
                    assert!(slip == number || !series().writes(&slip), "{number}: {slip}");
                }
                let mut slip = number.clone().into_bytes();
                slip.swap(place, place - 1);
                let slip = String::from_utf8(slip).expect("ASCII");
                assert!(slip == number || !series().writes(&slip), "{number}: {slip}");
            }
        }
    }
}
