//! Values of the configuration with a form of their own: keys, server addresses and places of secrets.
//!
//! Invariant: a secret is read when it is needed and never printed; an error never repeats what may be one.

use std::fmt;
use std::net::{IpAddr, Ipv6Addr};
use std::os::unix::fs::PermissionsExt as _;
use std::path::{Path, PathBuf};

use super::problem::ConfigError;
use super::{CREDENTIALS_VARIABLE, hex_bytes, read_bounded};
use crate::domain::code::Code;
use crate::limits;

/// A public ed25519 key, checked to be a point that cannot be forged for.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub struct TrustedKey(pub [u8; 32]);

impl TrustedKey {
    /// Reads `aisled-ed25519:` and 64 hexadecimal digits. The error fits after "failed to read a key:".
    pub fn parse(text: &str) -> Result<TrustedKey, String> {
        let digits = text.strip_prefix("aisled-ed25519:").ok_or("a key begins with aisled-ed25519:")?;
        let bytes = hex_bytes(digits).ok_or("a key ends with 64 hexadecimal digits")?;
        match ed25519_dalek::VerifyingKey::from_bytes(&bytes) {
            Ok(key) if !key.is_weak() => Ok(TrustedKey(bytes)),
            Ok(_) => Err("a weak key: anyone can sign for it".to_owned()),
            Err(_) => Err("no ed25519 key has these digits".to_owned()),
        }
    }
}

impl fmt::Display for TrustedKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("aisled-ed25519:")?;
        self.0.iter().try_for_each(|byte| write!(f, "{byte:02x}"))
    }
}

impl fmt::Debug for TrustedKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}

/// Where an MQTT server is: `mqtt://host:1883` or `mqtts://host:8883`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ServerUrl {
    /// Whether the connection is encrypted (`mqtts`).
    pub tls: bool,
    /// Host name or address, an IPv6 address without brackets.
    pub host: String,
    /// Port.
    pub port: u16,
}

impl ServerUrl {
    /// Reads a URL; without a port, MQTT's own. The error fits after "failed to read a URL:" and repeats no password.
    pub fn parse(text: &str) -> Result<ServerUrl, String> {
        let (tls, rest) = match (text.strip_prefix("mqtt://"), text.strip_prefix("mqtts://")) {
            (Some(rest), _) => (false, rest),
            (_, Some(rest)) => (true, rest),
            _ => return Err("does not begin with mqtt:// or mqtts://".to_owned()),
        };
        if rest.contains('@') {
            return Err("holds a user name or password; they have keys of their own".to_owned());
        }
        let port_default = if tls { 8883 } else { 1883 };
        let (host, port) = match rest.strip_prefix('[') {
            Some(rest) => {
                let (host, after) = rest.split_once(']').ok_or("lacks the closing bracket of an address")?;
                host.parse::<Ipv6Addr>().map_err(|_| "holds no IPv6 address in its brackets")?;
                match after.strip_prefix(':') {
                    None if after.is_empty() => (host, None),
                    None => return Err("goes on after the address".to_owned()),
                    Some(port) => (host, Some(port)),
                }
            }
            None => rest.split_once(':').map_or((rest, None), |(host, port)| (host, Some(port))),
        };
        let is_name = |byte: u8| byte.is_ascii_alphanumeric() || b"-._".contains(&byte);
        let host_fits = (1..=253).contains(&host.len());
        if !host_fits || !(rest.starts_with('[') || host.bytes().all(is_name)) {
            return Err("holds no host name, or more than host and port".to_owned());
        }
        let port = match port {
            None => port_default,
            Some(digits) => {
                digits.parse().ok().filter(|port| *port != 0).ok_or("the port is not 1 to 65535")?
            }
        };
        Ok(ServerUrl { tls, host: host.to_owned(), port })
    }

    /// Does the connection stay on this machine?
    pub fn is_loopback(&self) -> bool {
        self.host == "localhost" || self.host.parse::<IpAddr>().is_ok_and(|ip| ip.is_loopback())
    }
}

impl fmt::Display for ServerUrl {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let scheme = if self.tls { "mqtts" } else { "mqtt" };
        if self.host.contains(':') {
            write!(f, "{scheme}://[{}]:{}", self.host, self.port)
        } else {
            write!(f, "{scheme}://{}:{}", self.host, self.port)
        }
    }
}

/// Where a secret is. Read when it is needed, never kept in a `Config`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum SecretSource {
    /// In a file.
    File(PathBuf),
    /// In systemd's credential of this name.
    Credential(String),
}

impl SecretSource {
    /// Reads the secret, without the line end behind it. Fails if it cannot be read, is empty, longer than
    /// `SECRET_BYTES_MAX` or no UTF-8, or if others of this machine can read the file; `credentials_dir` is
    /// `Environment::credentials_dir`.
    pub fn read(&self, credentials_dir: Option<&Path>) -> Result<Secret, ConfigError> {
        let file = self.place(credentials_dir)?;
        let text = read_bounded(&file, limits::SECRET_BYTES_MAX)
            .and_then(|bytes| String::from_utf8(bytes).map_err(|_| std::io::Error::other("not UTF-8")))
            .map_err(|cause| ConfigError::unreadable(&file, &cause, Code::SecretUnreadable))?;
        // What systemd put into its own directory is the service's alone, by whatever means.
        if matches!(self, SecretSource::File(_)) {
            let mode = std::fs::metadata(&file).map(|metadata| metadata.permissions().mode() & 0o777);
            if let Ok(mode) = mode
                && mode & 0o027 != 0
            {
                let cause =
                    std::io::Error::other(format!("its mode is {mode:o}: others may read or change it"));
                return Err(ConfigError::unreadable(&file, &cause, Code::SecretOpen));
            }
        }
        let secret = text.strip_suffix('\n').unwrap_or(&text);
        let secret = secret.strip_suffix('\r').unwrap_or(secret);
        if secret.is_empty() {
            let cause = std::io::Error::other("it is empty");
            return Err(ConfigError::unreadable(&file, &cause, Code::SecretUnreadable));
        }
        Ok(Secret(secret.to_owned()))
    }

    /// Reads a certificate, which is no secret, of at most `PEM_BYTES_MAX`.
    pub fn read_public(&self, credentials_dir: Option<&Path>) -> Result<Vec<u8>, ConfigError> {
        let file = self.place(credentials_dir)?;
        read_bounded(&file, limits::PEM_BYTES_MAX)
            .map_err(|cause| ConfigError::unreadable(&file, &cause, Code::CertificateUnusable))
    }

    fn place(&self, credentials_dir: Option<&Path>) -> Result<PathBuf, ConfigError> {
        match (self, credentials_dir) {
            (SecretSource::File(file), _) => Ok(file.clone()),
            (SecretSource::Credential(name), Some(dir)) => Ok(dir.join(name)),
            (SecretSource::Credential(name), None) => {
                let file = PathBuf::from(format!("${CREDENTIALS_VARIABLE}/{name}"));
                let cause = std::io::Error::other("not started by systemd with credentials");
                Err(ConfigError::unreadable(&file, &cause, Code::SecretUnreadable))
            }
        }
    }
}

/// A secret in memory. Prints as dots.
#[derive(Clone, PartialEq, Eq)]
pub struct Secret(String);

impl Secret {
    /// The secret itself, for the one call that needs it.
    pub fn expose(&self) -> &str {
        &self.0
    }
}

impl fmt::Debug for Secret {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Secret(...)")
    }
}
