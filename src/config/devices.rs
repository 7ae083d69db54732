//! The devices file: which tills and kiosks may connect, what each may do, and the proof of who it is.
//!
//! A line is `DEVICE [role=ROLE] PROOF...`, in any order behind the device; at least one proof:
//! ```text
//! pbkdf2:ROUNDS:SALT:DIGEST   PBKDF2-HMAC-SHA-512, 12 and 64 bytes as hexadecimal: Mosquitto takes the same proof
//! sha256:SALT:DIGEST          SHA-256(salt, password), 16 and 32 bytes: of earlier versions; Mosquitto does not take it
//! cert:DIGEST                 SHA-256 of the client certificate (DER), 32 bytes
//! until=DAY                   the certificate's last day, for whoever renews it
//! ```
//! Passwords are drawn at random by the program, 128 bits of them, so there is no dictionary to try: a memory-hard hash would
//! protect nothing and let any stranger make the box spend 20 ms and 19 MiB on each wrong guess. Empty lines and
//! lines that begin with `#` are skipped and do not survive a change by the program. Every bad line is reported, not the first only.
//!
//! Invariants: the file is replaced as a whole (written beside, synced, renamed), with mode 0600 and the owner of its directory,
//! so that a change made as root is read by the daemon; whoever changes it holds the lock beside it.

use std::collections::BTreeMap;
use std::fmt;
use std::num::NonZeroU32;
use std::path::Path;

use ring::pbkdf2;
use sha2::{Digest, Sha256};

use super::problem::{ConfigError, Position, Problem};
use super::{hex_bytes, private, read_text};
use crate::domain::calendar::Day;
use crate::domain::code::Code;
use crate::domain::ids::DeviceId;
use crate::domain::text::hex;
use crate::limits;

/// Name of the file in the data directory, where no other is configured.
pub const DEVICES_FILE: &str = "devices";

/// Bytes of the salt of a PBKDF2 proof: as many as `mosquitto_passwd` draws.
pub const SALT_BYTES: usize = 12;

/// What a device is for, from which its rights follow.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord)]
pub enum Role {
    /// Every operation.
    #[default]
    Till,
    /// Every operation but those that sell: commit, void and return.
    Kiosk,
    /// Hears the presence of all devices; asks nothing.
    Monitor,
}

impl Role {
    /// All of them.
    pub const ALL: [Role; 3] = [Role::Till, Role::Kiosk, Role::Monitor];

    /// The word in the file.
    pub fn as_str(self) -> &'static str {
        match self {
            Role::Till => "till",
            Role::Kiosk => "kiosk",
            Role::Monitor => "monitor",
        }
    }

    /// The role of a word.
    pub fn parse(word: &str) -> Option<Role> {
        Role::ALL.into_iter().find(|role| role.as_str() == word)
    }
}

impl fmt::Display for Role {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

/// Proof of one device's password.
#[derive(Clone, Copy, PartialEq, Eq)]
pub enum PasswordProof {
    /// PBKDF2 with HMAC-SHA-512.
    Pbkdf2 {
        /// How often it is hashed.
        rounds: NonZeroU32,
        /// What is hashed in front.
        salt: [u8; SALT_BYTES],
        /// The result.
        digest: [u8; 64],
    },
    /// SHA-256 of salt and password.
    Sha256 {
        /// What is hashed in front.
        salt: [u8; 16],
        /// The result.
        digest: [u8; 32],
    },
}

impl PasswordProof {
    /// Makes a proof from a password and a salt drawn by the caller.
    pub fn new(password: &[u8], salt: [u8; SALT_BYTES]) -> PasswordProof {
        let rounds = limits::DEVICE_HASH_ROUNDS;
        let mut digest = [0; 64];
        pbkdf2::derive(pbkdf2::PBKDF2_HMAC_SHA512, rounds, &salt, password, &mut digest);
        PasswordProof::Pbkdf2 { rounds, salt, digest }
    }

    /// Whether this is the password. Takes as long wherever the two differ.
    pub fn matches(&self, password: &[u8]) -> bool {
        match self {
            PasswordProof::Pbkdf2 { rounds, salt, digest } => {
                pbkdf2::verify(pbkdf2::PBKDF2_HMAC_SHA512, *rounds, salt, password, digest).is_ok()
            }
            PasswordProof::Sha256 { salt, digest } => {
                let given: [u8; 32] =
                    Sha256::new().chain_update(salt).chain_update(password).finalize().into();
                given.iter().zip(digest).fold(0, |sum, (a, b)| sum | (a ^ b)) == 0
            }
        }
    }

    fn parse(word: &str) -> Option<PasswordProof> {
        let mut parts = word.split(':');
        let proof = match parts.next()? {
            "pbkdf2" => PasswordProof::Pbkdf2 {
                rounds: parts
                    .next()?
                    .parse()
                    .ok()
                    .filter(|rounds| *rounds <= limits::DEVICE_HASH_ROUNDS_MAX)?,
                salt: hex_bytes(parts.next()?)?,
                digest: hex_bytes(parts.next()?)?,
            },
            "sha256" => {
                PasswordProof::Sha256 { salt: hex_bytes(parts.next()?)?, digest: hex_bytes(parts.next()?)? }
            }
            _ => return None,
        };
        parts.next().is_none().then_some(proof)
    }
}

impl fmt::Display for PasswordProof {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            PasswordProof::Pbkdf2 { rounds, salt, digest } => {
                write!(f, "pbkdf2:{rounds}:{}:{}", hex(salt), hex(digest))
            }
            PasswordProof::Sha256 { salt, digest } => write!(f, "sha256:{}:{}", hex(salt), hex(digest)),
        }
    }
}

/// A proof stays out of logs.
impl fmt::Debug for PasswordProof {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("PasswordProof(...)")
    }
}

/// One device that may connect.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct DeviceLogin {
    /// Its id, which is its MQTT user name.
    pub device: DeviceId,
    /// What it is for.
    pub role: Role,
    /// The proof of its password, if it has one.
    pub password: Option<PasswordProof>,
    /// SHA-256 of its client certificate, if it has one.
    pub certificate: Option<[u8; 32]>,
    /// The last day of that certificate, where it is known.
    pub certificate_until: Option<Day>,
}

impl fmt::Display for DeviceLogin {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} role={}", self.device, self.role)?;
        if let Some(password) = &self.password {
            write!(f, " {password}")?;
        }
        self.certificate.as_ref().map_or(Ok(()), |digest| write!(f, " cert:{}", hex(digest)))?;
        self.certificate_until.map_or(Ok(()), |day| write!(f, " until={day}"))
    }
}

impl DeviceLogin {
    /// A till with this password, salted with what the caller drew.
    pub fn with_password(device: DeviceId, password: &[u8], salt: [u8; SALT_BYTES]) -> DeviceLogin {
        let password = Some(PasswordProof::new(password, salt));
        let role = Role::default();
        DeviceLogin { device, role, password, certificate: None, certificate_until: None }
    }

    /// Reads a devices file, at most `CONFIG_BYTES_MAX` and `DEVICES_MAX`.
    pub fn load(file: &Path) -> Result<Vec<DeviceLogin>, ConfigError> {
        DeviceLogin::parse(file, &read_text(file)?)
    }

    /// Reads a devices file; one that is not there holds no device.
    pub fn load_if_there(file: &Path) -> Result<Vec<DeviceLogin>, ConfigError> {
        if file.exists() { DeviceLogin::load(file) } else { Ok(Vec::new()) }
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
                    allowed: "DEVICE role=ROLE PROOF, as `aisled devices add` writes it, each device once"
                        .to_owned(),
                });
            }
        }
        if problems.is_empty() { Ok(logins.into_values().collect()) } else { Err(ConfigError { problems }) }
    }

    /// Changes a devices file as a whole, alone: `change` gets the devices by id. What it answers with an error for is not
    /// written. A file that is not there is made.
    ///
    /// # Errors
    /// Its own, or that the file cannot be read (`DevicesFile`, `ConfigUnreadable`) or written (`DevicesUnwritable`).
    pub fn change<T, E: From<ConfigError>>(
        file: &Path,
        change: impl FnOnce(&mut BTreeMap<DeviceId, DeviceLogin>) -> Result<T, E>,
    ) -> Result<T, E> {
        let unwritable =
            |cause: std::io::Error| ConfigError::unreadable(file, &cause, Code::DevicesUnwritable);
        let lock = private::lock_beside(file).map_err(unwritable)?;
        let logins = DeviceLogin::load_if_there(file)?;
        let mut logins = logins.into_iter().map(|login| (login.device.clone(), login)).collect();
        let done = change(&mut logins)?;
        let mut text = String::from("# Written by `aisled devices`: DEVICE role=ROLE PROOF...\n");
        for login in logins.values() {
            text.push_str(&login.to_string());
            text.push('\n');
        }
        private::place(file, text.as_bytes()).map_err(unwritable)?;
        drop(lock);
        Ok(done)
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
    let mut login = DeviceLogin {
        device,
        role: Role::default(),
        password: None,
        certificate: None,
        certificate_until: None,
    };
    let mut has_role = false;
    for word in words {
        let twice = || (column_of(word), "the same kind of word stands twice".to_owned());
        if let Some(role) = word.strip_prefix("role=") {
            login.role = Role::parse(role)
                .ok_or_else(|| (column_of(word), "no role: till, kiosk or monitor".to_owned()))?;
            if std::mem::replace(&mut has_role, true) {
                return Err(twice());
            }
        } else if let Some(day) = word.strip_prefix("until=") {
            let day = day.parse().map_err(|error: &str| (column_of(word), error.to_owned()))?;
            if login.certificate_until.replace(day).is_some() {
                return Err(twice());
            }
        } else if let Some(digest) = word.strip_prefix("cert:").and_then(hex_bytes) {
            if login.certificate.replace(digest).is_some() {
                return Err(twice());
            }
        } else {
            let proof = PasswordProof::parse(word)
                .ok_or_else(|| (column_of(word), "neither a proof nor a role".to_owned()))?;
            if login.password.replace(proof).is_some() {
                return Err(twice());
            }
        }
    }
    if login.password.is_none() && login.certificate.is_none() {
        return Err((line.chars().count() + 1, "the proof of the device is missing".to_owned()));
    }
    Ok(login)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn which_lines_are_devices() {
        let (salt, digest) = ("0f".repeat(16), "A1".repeat(32));
        let text = format!(
            "# tills\n\n till-2 role=kiosk cert:{digest} sha256:{salt}:{digest}\ntill-1\tsha256:{salt}:{digest}\r\n"
        );
        let logins = DeviceLogin::parse(Path::new("devices"), &text).expect("both lines are right");
        let names: Vec<&str> = logins.iter().map(|login| login.device.as_str()).collect();
        assert_eq!(names, ["till-1", "till-2"]);
        let proof = PasswordProof::Sha256 { salt: [0x0f; 16], digest: [0xa1; 32] };
        assert_eq!((logins[0].role, logins[0].password), (Role::Till, Some(proof)));
        assert_eq!((logins[1].role, logins[1].certificate), (Role::Kiosk, Some([0xa1; 32])));
    }

    #[test]
    fn is_every_bad_line_named_and_no_password_repeated() {
        let proof = format!("sha256:{}:{}", "0f".repeat(16), "a1".repeat(32));
        let text = format!(
            "ok {proof}\nTill {proof}\ntill-1\ntill-2 hunter2\nok {proof}\n till-3 {proof} x\n\
             till-4 role=boss {proof}\ntill-5 {proof} {proof}\ntill-6 role=kiosk"
        );
        let error = DeviceLogin::parse(Path::new("devices"), &text).expect_err("eight lines are wrong");
        let places: Vec<(usize, usize)> = (error.problems.iter())
            .filter_map(|problem| problem.position.map(|at| (at.line, at.column)))
            .collect();
        let behind = 9 + proof.len();
        assert_eq!(places, [(2, 1), (3, 7), (4, 8), (5, 1), (6, behind + 1), (7, 8), (8, behind), (9, 18)]);
        assert!(!error.to_string().contains("hunter2"), "{error}");
    }

    #[test]
    fn does_a_changed_file_read_as_it_was_written_and_is_it_private() {
        use std::os::unix::fs::PermissionsExt;
        let dir = tempfile::tempdir().expect("a directory");
        let file = dir.path().join(DEVICES_FILE);
        let till = DeviceId::new("till-1").expect("an id");
        let login = DeviceLogin::with_password(till.clone(), b"secret", [7; SALT_BYTES]);
        let kept = DeviceLogin { role: Role::Monitor, certificate: Some([9; 32]), ..login };
        let kept = DeviceLogin { certificate_until: "2027-12-20".parse().ok(), ..kept };
        let put =
            |logins: &mut BTreeMap<_, _>| Ok::<_, ConfigError>(logins.insert(till.clone(), kept.clone()));
        assert_eq!(DeviceLogin::change(&file, put).expect("it is written"), None);
        assert_eq!(DeviceLogin::load(&file).expect("it reads"), std::slice::from_ref(&kept));
        assert_eq!(std::fs::metadata(&file).expect("it is there").permissions().mode() & 0o777, 0o600);
        let refused = DeviceLogin::change(&file, |logins| {
            logins.clear();
            Err::<(), _>(ConfigError::unreadable(&file, &std::io::Error::other("no"), Code::DevicesFile))
        });
        assert!(refused.is_err());
        assert_eq!(
            DeviceLogin::load(&file).expect("it reads"),
            std::slice::from_ref(&kept),
            "a refused change changes nothing"
        );
        let proof = kept.password.expect("it has one");
        assert!(proof.matches(b"secret") && !proof.matches(b"Secret") && !proof.matches(b""));
    }

    #[test]
    fn does_the_salt_tell_equal_passwords_apart() {
        assert!(PasswordProof::new(b"x", [0; SALT_BYTES]) != PasswordProof::new(b"x", [1; SALT_BYTES]));
    }
}
