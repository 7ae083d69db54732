//! Who is signed in, and who fails to: all in memory, so that a restart signs everybody out.
//!
//! Invariants: a session is known by the hash of its token only; it ends after a shift, or when nobody uses it. Wrong
//! passwords make their name and their address wait, longer each time, whether the name exists or not; a wait is refused
//! before any password is looked at.

use std::collections::{BTreeMap, BTreeSet};
use std::net::IpAddr;

use sha2::{Digest, Sha256};

use super::users::{Role, User, UserError, random};
use crate::domain::calendar::UnixMs;
use crate::domain::text::hex;
use crate::limits;

/// Somebody who is signed in.
#[derive(Clone, Debug)]
pub(super) struct Session {
    pub(super) name: String,
    pub(super) role: Role,
    /// What each form of theirs must bring back.
    pub(super) csrf: String,
    since: UnixMs,
    seen: UnixMs,
}

/// Everybody who is signed in.
#[derive(Debug, Default)]
pub(super) struct Sessions {
    sessions: BTreeMap<[u8; 32], Session>,
    failures: BTreeMap<Failing, (u32, UnixMs)>,
    /// Who was told to wait since they last failed.
    told: BTreeSet<Failing>,
}

#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
enum Failing {
    Address(IpAddr),
    Name(String),
}

/// A secret that a browser keeps: 32 random bytes in hexadecimal.
pub(super) fn secret() -> Result<String, UserError> {
    Ok(hex(&random::<32>()?))
}

fn hash(token: &str) -> [u8; 32] {
    Sha256::digest(token.as_bytes()).into()
}

impl Sessions {
    /// Signs somebody in: the token their browser keeps.
    pub(super) fn open(&mut self, user: &User, now: UnixMs) -> Result<String, UserError> {
        let (token, csrf) = (secret()?, secret()?);
        self.sessions.retain(|_, session| session.is_alive(now));
        if self.sessions.len() >= limits::CONSOLE_SESSIONS_MAX {
            let oldest = self.sessions.iter().min_by_key(|(_, session)| session.seen).map(|(hash, _)| *hash);
            oldest.and_then(|hash| self.sessions.remove(&hash));
        }
        let session = Session { name: user.name.clone(), role: user.role, csrf, since: now, seen: now };
        self.sessions.insert(hash(&token), session);
        Ok(token)
    }

    /// Whose token this is.
    pub(super) fn find(&mut self, token: &str, now: UnixMs) -> Option<Session> {
        let key = hash(token);
        let session = self.sessions.get_mut(&key)?;
        if !session.is_alive(now) {
            self.sessions.remove(&key);
            return None;
        }
        session.seen = session.seen.max(now);
        Some(session.clone())
    }

    /// Signs out.
    pub(super) fn close(&mut self, token: &str) {
        self.sessions.remove(&hash(token));
    }

    /// Signs a user out everywhere; how many sessions that ended.
    pub(super) fn close_all(&mut self, name: &str) -> usize {
        let before = self.sessions.len();
        self.sessions.retain(|_, session| session.name != name);
        before - self.sessions.len()
    }

    /// Sessions by user.
    pub(super) fn count(&self, name: &str, now: UnixMs) -> usize {
        self.sessions.values().filter(|session| session.name == name && session.is_alive(now)).count()
    }

    /// Milliseconds that this address must wait before it may try this name.
    pub(super) fn wait_ms(&self, address: IpAddr, name: &str, now: UnixMs) -> Option<i64> {
        let keys = [Failing::Address(address), Failing::Name(name.to_owned())];
        keys.iter().filter_map(|key| self.left_ms(key, now)).max()
    }

    fn left_ms(&self, key: &Failing, now: UnixMs) -> Option<i64> {
        let (failures, at) = self.failures.get(key)?;
        let further = failures.checked_sub(limits::CONSOLE_FAILURES_FREE)?;
        let wait = limits::CONSOLE_FAILURE_WAIT_MS.saturating_mul(1 << further.min(20));
        let left = wait.min(limits::CONSOLE_FAILURE_WAIT_MS_MAX) - now.ms_since(*at);
        // A clock that was set back must not lock anybody out for longer than the longest wait.
        (left > 0).then_some(left.min(limits::CONSOLE_FAILURE_WAIT_MS_MAX))
    }

    /// Whether who waits here is told so for the first time in this wait.
    pub(super) fn is_told_first(&mut self, address: IpAddr, name: &str, now: UnixMs) -> bool {
        let mut first = false;
        for key in [Failing::Address(address), Failing::Name(name.to_owned())] {
            if self.left_ms(&key, now).is_some() {
                first |= self.told.insert(key);
            }
        }
        first
    }

    /// A wrong password.
    pub(super) fn failed(&mut self, address: IpAddr, name: &str, now: UnixMs) {
        for key in [Failing::Address(address), Failing::Name(name.to_owned())] {
            let long_ago = |at: UnixMs| now.ms_since(at).abs() > limits::CONSOLE_FAILURE_WAIT_MS_MAX;
            if self.failures.len() >= limits::CONSOLE_PACED_MAX && !self.failures.contains_key(&key) {
                self.failures.retain(|_, (_, at)| !long_ago(*at));
                // Full of the living: the one with the fewest failures is forgotten.
                if self.failures.len() >= limits::CONSOLE_PACED_MAX {
                    let least = self.failures.iter().min_by_key(|(_, of)| **of).map(|(key, _)| key.clone());
                    least.and_then(|key| self.failures.remove(&key));
                }
                let failures = &self.failures;
                self.told.retain(|key| failures.contains_key(key));
            }
            let entry = self.failures.entry(key.clone()).or_insert((0, now));
            let before = if long_ago(entry.1) { 0 } else { entry.0 };
            *entry = (before.saturating_add(1), now);
            self.told.remove(&key);
        }
    }

    /// A try that was no failure after all. A right password forgives its name everything; its address, which may try many
    /// names, this one try only.
    pub(super) fn forgive(&mut self, address: IpAddr, name: &str, proved: bool) {
        for key in [Failing::Address(address), Failing::Name(name.to_owned())] {
            let is_name = matches!(key, Failing::Name(_));
            if let Some((failures, _)) = self.failures.get_mut(&key) {
                *failures = if proved && is_name { 0 } else { failures.saturating_sub(1) };
                if *failures == 0 {
                    self.failures.remove(&key);
                    self.told.remove(&key);
                }
            }
        }
    }
}

impl Session {
    fn is_alive(&self, now: UnixMs) -> bool {
        now.ms_since(self.since).abs() <= limits::CONSOLE_SESSION_MS
            && now.ms_since(self.seen).abs() <= limits::CONSOLE_SESSION_IDLE_MS
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const HERE: IpAddr = IpAddr::V4(std::net::Ipv4Addr::LOCALHOST);
    const THERE: IpAddr = IpAddr::V6(std::net::Ipv6Addr::LOCALHOST);

    fn user(name: &str) -> User {
        let text = format!("{{\"name\":\"{name}\",\"role\":\"viewer\"}}");
        serde_json::from_str(&text).expect("a user")
    }

    #[test]
    fn how_long_is_a_session_good() {
        let mut sessions = Sessions::default();
        let token = sessions.open(&user("lin"), UnixMs(0)).expect("opens");
        assert!(sessions.find("other", UnixMs(0)).is_none());
        let mut now = UnixMs(0);
        while now.0 + limits::CONSOLE_SESSION_IDLE_MS <= limits::CONSOLE_SESSION_MS {
            now = now.plus_ms(limits::CONSOLE_SESSION_IDLE_MS);
            assert_eq!(sessions.find(&token, now).map(|session| session.name), Some("lin".to_owned()));
        }
        assert!(sessions.find(&token, now.plus_ms(1_000)).is_none(), "after a shift");
        let token = sessions.open(&user("lin"), now).expect("opens");
        assert!(sessions.find(&token, now.plus_ms(limits::CONSOLE_SESSION_IDLE_MS + 1)).is_none(), "idle");
        let token = sessions.open(&user("lin"), now).expect("opens");
        assert!(sessions.find(&token, UnixMs(0)).is_none(), "a clock of 1970");
        let first = sessions.open(&user("tao"), now).expect("opens");
        let second = sessions.open(&user("tao"), now).expect("opens");
        sessions.close(&first);
        assert_eq!((sessions.count("tao", now), sessions.close_all("tao")), (1, 1));
        assert!(sessions.find(&second, now).is_none());
    }

    #[test]
    fn who_waits_after_wrong_passwords() {
        let mut sessions = Sessions::default();
        for _ in 0..limits::CONSOLE_FAILURES_FREE {
            assert_eq!(sessions.wait_ms(HERE, "lin", UnixMs(0)), None);
            sessions.failed(HERE, "lin", UnixMs(0));
        }
        assert_eq!(sessions.wait_ms(HERE, "lin", UnixMs(0)), Some(limits::CONSOLE_FAILURE_WAIT_MS));
        assert!(sessions.is_told_first(HERE, "lin", UnixMs(0)), "once for each wait");
        assert!(
            !sessions.is_told_first(HERE, "lin", UnixMs(0)) && !sessions.is_told_first(HERE, "x", UnixMs(0))
        );
        assert!(sessions.wait_ms(THERE, "lin", UnixMs(0)).is_some(), "the name waits from everywhere");
        assert!(sessions.wait_ms(HERE, "tao", UnixMs(0)).is_some(), "the address waits for every name");
        assert_eq!(sessions.wait_ms(THERE, "tao", UnixMs(0)), None);
        assert_eq!(sessions.wait_ms(HERE, "lin", UnixMs(limits::CONSOLE_FAILURE_WAIT_MS)), None);
        for _ in 0..40 {
            sessions.failed(HERE, "lin", UnixMs(0));
        }
        assert!(sessions.is_told_first(HERE, "lin", UnixMs(0)), "the next wait");
        let longest = limits::CONSOLE_FAILURE_WAIT_MS_MAX;
        assert_eq!(sessions.wait_ms(HERE, "lin", UnixMs(0)), Some(longest));
        assert_eq!(sessions.wait_ms(HERE, "lin", UnixMs(-9 * longest)), Some(longest), "a clock set back");
        sessions.failed(HERE, "lin", UnixMs(2 * longest));
        sessions.forgive(HERE, "lin", true);
        assert!(sessions.failures.is_empty(), "a right one");
        sessions.failed(HERE, "lin", UnixMs(2 * longest));
        assert_eq!(sessions.wait_ms(HERE, "lin", UnixMs(2 * longest)), None, "forgiven meanwhile");
    }

    #[test]
    fn is_what_is_remembered_bounded() {
        let mut sessions = Sessions::default();
        for nth in 0..2 * limits::CONSOLE_PACED_MAX {
            sessions.failed(HERE, &format!("u{nth}"), UnixMs(nth as i64));
        }
        assert!(sessions.failures.len() <= limits::CONSOLE_PACED_MAX);
        assert!(sessions.told.len() <= limits::CONSOLE_PACED_MAX);
        assert!(sessions.wait_ms(HERE, "x", UnixMs(0)).is_some(), "the address that tries names is kept");
        for _ in 0..=limits::CONSOLE_SESSIONS_MAX {
            sessions.open(&user("lin"), UnixMs(0)).expect("opens");
        }
        assert_eq!(sessions.sessions.len(), limits::CONSOLE_SESSIONS_MAX);
    }
}
