//! The same devices and rights for a Mosquitto that the shop runs: its password file, its ACL file, and the lines that name both.
//!
//! Invariants: default deny: a user who stands in neither file may do nothing; what a device may do is what `Topics` says, which
//! the matrix test holds against both brokers. Mosquitto's rights know no client ids: `use_username_as_clientid` keeps a device from
//! taking over the session of another, and so allows one connection to a device.
//! Written against Mosquitto 2.0: a password is `$7$ROUNDS$SALT$DIGEST` (PBKDF2-HMAC-SHA-512, base64).

use std::fmt::Write as _;

use crate::config::{DeviceLogin, PasswordProof, Role};
use crate::devices::topic::{SELLING, Topics};
use crate::domain::ids::DeviceId;

/// The three files.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Files {
    /// `password_file`.
    pub passwords: String,
    /// `acl_file`.
    pub rights: String,
    /// For the configuration, behind the listener.
    pub settings: String,
}

/// Writes the files for these devices and the daemon, who is `engine` there. Fails with the devices whose proof Mosquitto does not
/// take.
pub fn files(
    topics: &Topics,
    logins: &[DeviceLogin],
    engine: (&str, &PasswordProof),
    places: (&str, &str),
) -> Result<Files, Vec<DeviceId>> {
    let root = topics.root();
    let mut passwords = String::new();
    let mut rights = format!(
        "# Written by aisled devices acl; who is not named here may do nothing.\n\nuser {}\n\
         topic read {root}dev/+/req/+\ntopic read {root}dev/+/status\ntopic write {root}dev/+/rep/+\n\
         topic write {root}dev/+/evt/+\ntopic write {root}svc/engine/status\n",
        engine.0
    );
    let mut without = Vec::new();
    let mut password = |user: &str, proof: &PasswordProof| match proof {
        PasswordProof::Pbkdf2 { rounds, salt, digest } => {
            passwords.push_str(&format!("{user}:$7${rounds}${}${}\n", base64(salt), base64(digest)));
            true
        }
        PasswordProof::Sha256 { .. } => false,
    };
    password(engine.0, engine.1);
    for login in logins {
        let device = &login.device;
        if !login.password.as_ref().is_some_and(|proof| password(device.as_str(), proof)) {
            without.push(device.clone());
            continue;
        }
        let own = format!("{root}dev/{device}/");
        writeln!(rights, "\nuser {device}").expect("a text takes every line");
        let mut right = |line: String| {
            writeln!(rights, "topic {line}").expect("a text takes every line");
        };
        right(format!("read {own}rep/+"));
        right(format!("read {own}evt/+"));
        right(format!("write {own}status"));
        right(format!("read {root}svc/engine/status"));
        match login.role {
            Role::Till => right(format!("write {own}req/+")),
            Role::Kiosk => {
                right(format!("write {own}req/+"));
                SELLING.iter().for_each(|op| right(format!("deny {own}req/{}", op.as_str())));
            }
            Role::Monitor => right(format!("read {root}dev/+/status")),
        }
    }
    if !without.is_empty() {
        return Err(without);
    }
    let settings = format!(
        "allow_anonymous false\npassword_file {}\nacl_file {}\nuse_username_as_clientid true\n\
         set_tcp_nodelay true\nmax_packet_size 266240\nmax_inflight_messages 512\n",
        places.0, places.1
    );
    Ok(Files { passwords, rights, settings })
}

/// RFC 4648, with padding.
fn base64(bytes: &[u8]) -> String {
    const LETTERS: &[u8; 64] = b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";
    let mut text = String::new();
    for three in bytes.chunks(3) {
        let at = |index: usize| u32::from(three.get(index).copied().unwrap_or(0));
        let bits = at(0) << 16 | at(1) << 8 | at(2);
        for place in 0..4 {
            let letter = char::from(LETTERS[(bits >> (18 - 6 * place) & 63) as usize]);
            text.push(if place <= three.len() { letter } else { '=' });
        }
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::config::SALT_BYTES;
    use crate::domain::ids::StoreId;

    #[test]
    fn is_base64_as_everybody_writes_it() {
        for (bytes, text) in
            [("", ""), ("f", "Zg=="), ("fo", "Zm8="), ("foo", "Zm9v"), ("foobar", "Zm9vYmFy")]
        {
            assert_eq!(base64(bytes.as_bytes()), text);
        }
    }

    #[test]
    fn does_every_device_get_its_rights_and_one_without_a_proof_its_name() {
        let topics = Topics::new(&StoreId::new("s01").expect("an id"));
        let till = |name: &str| {
            DeviceLogin::with_password(DeviceId::new(name).expect("an id"), b"x", [1; SALT_BYTES])
        };
        let kiosk = DeviceLogin { role: Role::Kiosk, ..till("kiosk-1") };
        let engine = PasswordProof::new(b"e", [2; SALT_BYTES]);
        let engine = ("_engine", &engine);
        let files = files(&topics, &[till("till-1"), kiosk], engine, ("p", "a")).expect("all have a proof");
        assert_eq!(files.passwords.lines().count(), 3);
        assert!(files.passwords.contains("\ntill-1:$7$1000$AQEBAQEBAQEBAQEB$"), "{}", files.passwords);
        assert!(
            files.rights.contains("user kiosk-1\n")
                && files.rights.contains("deny aisle/1/s01/dev/kiosk-1/req/void")
        );
        let bare = DeviceLogin { password: None, certificate: Some([1; 32]), ..till("till-9") };
        assert_eq!(
            super::files(&topics, std::slice::from_ref(&bare), engine, ("p", "a")),
            Err(vec![bare.device])
        );
    }
}
