//! How often one user may connect, and how many connections it may hold.
//!
//! A 3.1.1 client whose publish is refused can only be disconnected, and common libraries reconnect and send the
//! same publish again, for ever. Two tills with one identity throw each other out in the same way. Both are held
//! to a pace per user instead of being allowed to take a core of the shop's box.
//!
//! Invariants: no clock is read: a tick, once a second, forgives `CONNECTS_FORGIVEN_PER_S` connects of each user. The map is
//! bounded by `PACED_USERS_MAX`; what does not fit shares one entry, so that made-up names cannot fill memory.

use std::collections::BTreeMap;
use std::time::Duration;

use crate::limits;

/// Name of the entry shared by users beyond the bound; no device id and no service user is empty.
const OVERFLOW: &str = "";

#[derive(Default)]
struct User {
    recent_connects: u32,
    connections: u32,
}

/// What to do with a connect.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Pace {
    /// Go on.
    Free,
    /// Go on after this long; the user connects in a loop.
    Slow(Duration),
    /// The user holds as many connections as one device may.
    TooMany,
}

/// Connects and connections of each user.
#[derive(Default)]
pub(super) struct Paces {
    users: BTreeMap<String, User>,
}

impl Paces {
    fn entry(&mut self, name: &str) -> &mut User {
        let known = self.users.contains_key(name) || self.users.len() < limits::PACED_USERS_MAX;
        self.users.entry(if known { name } else { OVERFLOW }.to_owned()).or_default()
    }

    /// Counts a connect of `name`, before it is known whether it is admitted.
    pub(super) fn connecting(&mut self, name: &str) -> Pace {
        let user = self.entry(name);
        user.recent_connects = user.recent_connects.saturating_add(1);
        if user.connections >= limits::CONNECTIONS_PER_DEVICE_MAX {
            return Pace::TooMany;
        }
        match user.recent_connects.saturating_sub(limits::CONNECT_BURST_MAX) {
            0 => Pace::Free,
            over => Pace::Slow(Duration::from_millis(
                (u64::from(over) * limits::CONNECT_DELAY_STEP_MS).min(limits::CONNECT_DELAY_MS_MAX),
            )),
        }
    }

    /// A connection of `name` stands.
    pub(super) fn connected(&mut self, name: &str) {
        self.entry(name).connections += 1;
    }

    /// A connection of `name` is gone.
    pub(super) fn disconnected(&mut self, name: &str) {
        let user = self.entry(name);
        user.connections = user.connections.saturating_sub(1);
    }

    /// A second has passed.
    pub(super) fn tick(&mut self) {
        for user in self.users.values_mut() {
            user.recent_connects = user.recent_connects.saturating_sub(limits::CONNECTS_FORGIVEN_PER_S);
        }
        self.users.retain(|_, user| user.recent_connects > 0 || user.connections > 0);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn is_a_loop_slowed_and_forgiven() {
        let mut paces = Paces::default();
        for _ in 0..limits::CONNECT_BURST_MAX {
            assert_eq!(paces.connecting("till-1"), Pace::Free);
        }
        assert_eq!(
            paces.connecting("till-1"),
            Pace::Slow(Duration::from_millis(limits::CONNECT_DELAY_STEP_MS))
        );
        assert_eq!(paces.connecting("till-2"), Pace::Free, "another device pays nothing");
        for _ in 0..10_000 {
            paces.connecting("till-1");
        }
        assert_eq!(
            paces.connecting("till-1"),
            Pace::Slow(Duration::from_millis(limits::CONNECT_DELAY_MS_MAX))
        );
        for _ in 0..10_100 / limits::CONNECTS_FORGIVEN_PER_S + 1 {
            paces.tick();
        }
        assert_eq!(paces.connecting("till-1"), Pace::Free);
    }

    #[test]
    fn can_one_device_take_every_connection() {
        let mut paces = Paces::default();
        for _ in 0..limits::CONNECTIONS_PER_DEVICE_MAX {
            paces.connected("till-1");
        }
        assert_eq!(paces.connecting("till-1"), Pace::TooMany);
        paces.disconnected("till-1");
        assert_eq!(paces.connecting("till-1"), Pace::Free);
    }

    #[test]
    fn can_made_up_names_fill_memory() {
        let mut paces = Paces::default();
        for n in 0..limits::PACED_USERS_MAX + 100 {
            paces.connecting(&format!("name-{n}"));
        }
        assert_eq!(paces.users.len(), limits::PACED_USERS_MAX + 1);
        for _ in 0..200 {
            paces.tick();
        }
        assert!(paces.users.is_empty());
    }
}
