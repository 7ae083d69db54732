//! The devices file: which tills and kiosks may connect, and the proof of each one's password.
//!
//! A line is `DEVICE sha256:SALT:DIGEST`: 16 bytes of salt and SHA-256(salt, password) as hexadecimal. Passwords are drawn at
//! random by the program, so a fast salted hash is enough and a stolen file opens nothing. Empty lines and
//! lines that begin with `#` are skipped. Every bad line is reported, not the first only.

use std::collections::BTreeMap;
use std::path::Path;

use super::problem::{ConfigError, Position, Problem};
use super::{hex_bytes, read_text};
use crate::domain::code::Code;
use crate::domain::ids::DeviceId;
use crate::limits;

/// One device that may connect.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct DeviceLogin {
    /// Its id, which is its MQTT user name.
    pub device: DeviceId,
    /// What is hashed in front of the password.
    pub salt: [u8; 16],
    /// SHA-256 of salt and password.
    pub digest: [u8; 32],
}

impl DeviceLogin {
    /// Reads a devices file, at most `CONFIG_BYTES_MAX` and `DEVICES_MAX`.
    pub fn load(file: &Path) -> Result<Vec<DeviceLogin>, ConfigError> {
        DeviceLogin::parse(file, &read_text(file)?)
    }

    /// Reads the text of a devices file; `file` is named in problems. Sorted by device.
    pub fn parse(file: &Path, text: &str) -> Result<Vec<DeviceLogin>, ConfigError> {
        let mut logins = BTreeMap::new();
        let mut problems = Vec::new();
        for (index, line) in text.lines().enumerate() {
            if line.trim().is_empty() || line.trim_start().starts_with('#') {
                continue;
            }
            let refused = match read_line(line) {
                Err(refused) => Some(refused),
                Ok(_) if logins.len() >= limits::DEVICES_MAX => {
                    Some((1, format!("more than {} devices", limits::DEVICES_MAX)))
                }
                Ok(login) if logins.contains_key(&login.device) => {
                    Some((1, format!("{} was named before", login.device)))
                }
                Ok(login) => {
                    logins.insert(login.device.clone(), login);
                    None
                }
            };
            if let Some((column, message)) = refused {
                problems.push(Problem {
                    file: file.to_owned(),
                    position: Some(Position { line: index + 1, column }),
                    key: String::new(),
                    code: Code::DevicesFile,
                    message,
                    allowed: "DEVICE sha256:32-hex-digits:64-hex-digits, each device once".to_owned(),
                });
            }
        }
        if problems.is_empty() { Ok(logins.into_values().collect()) } else { Err(ConfigError { problems }) }
    }
}

/// One login, or the column and what is wrong there. A message never repeats what stands in place of a proof:
/// it may be a password.
fn read_line(line: &str) -> Result<DeviceLogin, (usize, String)> {
    let column_of = |part: &str| {
        let offset = part.as_ptr() as usize - line.as_ptr() as usize;
        line[..offset].chars().count() + 1
    };
    let mut words = line.split_whitespace();
    let name = words.next().unwrap_or_default();
    let device = DeviceId::new(name).map_err(|error| (column_of(name), error.to_string()))?;
    let Some(proof) = words.next() else {
        return Err((line.chars().count() + 1, "the proof of the password is missing".to_owned()));
    };
    if let Some(more) = words.next() {
        return Err((column_of(more), "more than a device and a proof".to_owned()));
    }
    let not_a_proof = || (column_of(proof), "not a proof of a password".to_owned());
    let (salt, digest) =
        proof.strip_prefix("sha256:").and_then(|rest| rest.split_once(':')).ok_or_else(not_a_proof)?;
    Ok(DeviceLogin {
        device,
        salt: hex_bytes(salt).ok_or_else(not_a_proof)?,
        digest: hex_bytes(digest).ok_or_else(not_a_proof)?,
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn which_lines_are_devices() {
        let (salt, digest) = ("0f".repeat(16), "A1".repeat(32));
        let text = format!("# tills\n\n till-2 sha256:{salt}:{digest}\ntill-1\tsha256:{salt}:{digest}\r\n");
        let logins = DeviceLogin::parse(Path::new("devices"), &text).expect("both lines are right");
        let names: Vec<&str> = logins.iter().map(|login| login.device.as_str()).collect();
        assert_eq!(names, ["till-1", "till-2"]);
        assert_eq!((logins[0].salt, logins[0].digest), ([0x0f; 16], [0xa1; 32]));
    }

    #[test]
    fn is_every_bad_line_named_and_no_password_repeated() {
        let proof = format!("sha256:{}:{}", "0f".repeat(16), "a1".repeat(32));
        let text = format!("ok {proof}\nTill {proof}\ntill-1\ntill-2 hunter2\nok {proof}\n till-3 {proof} x");
        let error = DeviceLogin::parse(Path::new("devices"), &text).expect_err("five lines are wrong");
        let places: Vec<(usize, usize)> = (error.problems.iter())
            .filter_map(|problem| problem.position.map(|at| (at.line, at.column)))
            .collect();
        assert_eq!(places, [(2, 1), (3, 7), (4, 8), (5, 1), (6, 10 + proof.len())]);
        assert!(!error.to_string().contains("hunter2"), "{error}");
    }
}
