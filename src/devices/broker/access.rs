//! Who comes in and what they may do: the broker crate's questions, answered from `topic.rs` and the registry.
//!
//! Invariants: a user is what `authenticate` said and nothing else; without a user every answer is no. A refusal
//! is logged with the user's name and answered after `REFUSAL_DELAY_MS`; the wait is inside the one task that
//! serves that connection, so nobody else feels it.

use std::net::SocketAddr;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use mqtt5::broker::events::{BrokerEventHandler, ClientConnectEvent, ClientDisconnectEvent};
use mqtt5::broker::{AuthProvider, AuthResult};
use mqtt5::error::Result;
use mqtt5::packet::connect::ConnectPacket;
use mqtt5::types::ReasonCode;

use crate::devices::topic::{Topics, is_id};
use crate::limits;

use super::pace::{Pace, Paces};
use super::registry::{DeviceRegistry, same_bytes};
use super::{Boxed, ENGINE_USER};

/// Decides for each connect, publish and subscription.
pub(super) struct Doorman {
    topics: Topics,
    registry: Arc<dyn DeviceRegistry>,
    engine_secret: String,
    paces: Mutex<Paces>,
}

/// Why a connect is refused, in the words of the log.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Refusal {
    NoUser,
    Credentials,
    ClientId,
    Session,
    Will,
    TooMany,
}

impl Refusal {
    fn why(self) -> &'static str {
        match self {
            Refusal::NoUser => "no user name",
            Refusal::Credentials => "unknown device or wrong password",
            Refusal::ClientId => "the client id is not the device id nor begins with it and a dot",
            Refusal::Session => "a lasting session needs the device id as client id",
            Refusal::Will => "the will is outside its own topics",
            Refusal::TooMany => "too many connections of this device",
        }
    }

    fn reason_code(self) -> ReasonCode {
        match self {
            Refusal::NoUser | Refusal::Credentials => ReasonCode::BadUsernameOrPassword,
            Refusal::ClientId | Refusal::Session => ReasonCode::ClientIdentifierNotValid,
            Refusal::Will => ReasonCode::NotAuthorized,
            Refusal::TooMany => ReasonCode::QuotaExceeded,
        }
    }
}

/// What of a CONNECT matters here.
struct Connect<'a> {
    user: Option<&'a str>,
    password: Option<&'a [u8]>,
    client_id: &'a str,
    session_lasts: bool,
    will_topic: Option<&'a str>,
    from_loopback: bool,
}

impl<'a> Connect<'a> {
    fn read(packet: &'a ConnectPacket, from: SocketAddr) -> Connect<'a> {
        let session_lasts = match packet.protocol_version {
            5 => packet.properties.get_session_expiry_interval().unwrap_or(0) > 0,
            _ => !packet.clean_start,
        };
        Connect {
            user: packet.username.as_deref(),
            password: packet.password.as_deref(),
            client_id: &packet.client_id,
            session_lasts,
            will_topic: packet.will.as_ref().map(|will| will.topic.as_str()),
            from_loopback: from.ip().is_loopback(),
        }
    }
}

/// Whether the broker made up the client id itself: `auto-` and 128 bits, longer than any device id.
fn named_by_broker(client_id: &str) -> bool {
    client_id.strip_prefix("auto-").is_some_and(|rest| rest.len() == 32 && is_id(rest))
}

/// Whether a client id can only be of this device; the dot is in no id, so `till-1` cannot pose as `till-1-2`.
fn client_id_is_of(device: &str, client_id: &str) -> bool {
    named_by_broker(client_id)
        || client_id.strip_prefix(device).is_some_and(|rest| rest.is_empty() || rest.starts_with('.'))
}

impl Doorman {
    pub(super) fn new(topics: Topics, registry: Arc<dyn DeviceRegistry>, engine_secret: String) -> Doorman {
        Doorman { topics, registry, engine_secret, paces: Mutex::default() }
    }

    /// The user a connect is admitted as.
    fn admit(&self, connect: &Connect<'_>) -> std::result::Result<String, Refusal> {
        let user = connect.user.ok_or(Refusal::NoUser)?;
        if user == ENGINE_USER {
            let proven =
                connect.password.is_some_and(|given| same_bytes(given, self.engine_secret.as_bytes()));
            return if proven && connect.from_loopback && !self.engine_secret.is_empty() {
                Ok(user.to_owned())
            } else {
                Err(Refusal::Credentials)
            };
        }
        if !is_id(user) || !self.registry.admits(user, connect.password) {
            return Err(Refusal::Credentials);
        }
        if self.registry.is_open() && !connect.from_loopback {
            return Err(Refusal::Credentials);
        }
        if !client_id_is_of(user, connect.client_id) {
            return Err(Refusal::ClientId);
        }
        if connect.session_lasts && connect.client_id != user {
            return Err(Refusal::Session);
        }
        if connect.will_topic.is_some_and(|topic| !self.topics.device_may_publish(user, topic)) {
            return Err(Refusal::Will);
        }
        Ok(user.to_owned())
    }

    fn may_publish(&self, user: Option<&str>, topic: &str) -> bool {
        match user {
            Some(ENGINE_USER) => self.topics.engine_may_publish(topic),
            Some(device) => self.topics.device_may_publish(device, topic),
            None => false,
        }
    }

    fn may_subscribe(&self, user: Option<&str>, filter: &str) -> bool {
        match user {
            Some(ENGINE_USER) => self.topics.engine_may_subscribe(filter),
            Some(device) => self.topics.device_may_subscribe(device, filter),
            None => false,
        }
    }

    fn paces<T>(&self, act: impl FnOnce(&mut Paces) -> T) -> T {
        act(&mut self.paces.lock().unwrap_or_else(PoisonError::into_inner))
    }

    /// Forgives connects as time goes by; runs as long as the broker.
    pub(super) async fn tick_each_second(self: Arc<Doorman>) {
        let mut seconds = tokio::time::interval(Duration::from_secs(1));
        seconds.set_missed_tick_behavior(tokio::time::MissedTickBehavior::Delay);
        loop {
            seconds.tick().await;
            self.paces(Paces::tick);
        }
    }
}

/// A name from the wire as it may stand in a log: bounded and printable.
fn shown(name: &str) -> String {
    name.chars().take(64).flat_map(char::escape_default).collect()
}

async fn before_refusing() {
    tokio::time::sleep(Duration::from_millis(limits::REFUSAL_DELAY_MS)).await;
}

impl AuthProvider for Doorman {
    fn authenticate<'a>(
        &'a self,
        packet: &'a ConnectPacket,
        from: SocketAddr,
    ) -> Boxed<'a, Result<AuthResult>> {
        Box::pin(async move {
            let connect = Connect::read(packet, from);
            let name = connect.user.unwrap_or_default();
            // The daemon is not paced: it backs off by itself, and a stranger who uses its name must not slow it.
            let pace =
                if name == ENGINE_USER { Pace::Free } else { self.paces(|paces| paces.connecting(name)) };
            if let Pace::Slow(wait) = pace {
                tracing::warn!(
                    user = shown(name),
                    client = shown(connect.client_id),
                    wait_ms = u64::try_from(wait.as_millis()).unwrap_or(u64::MAX),
                    "connects in a loop and is slowed down"
                );
                tokio::time::sleep(wait).await;
            }
            let admitted = self.admit(&connect).and_then(|user| match pace {
                Pace::TooMany => Err(Refusal::TooMany),
                Pace::Free | Pace::Slow(_) => Ok(user),
            });
            match admitted {
                Ok(user) => Ok(AuthResult::success_with_user(user)),
                Err(refusal) => {
                    tracing::warn!(
                        user = shown(name),
                        client = shown(connect.client_id),
                        %from,
                        why = refusal.why(),
                        "connect refused"
                    );
                    before_refusing().await;
                    Ok(AuthResult::fail_with_reason(refusal.reason_code(), refusal.why()))
                }
            }
        })
    }

    fn authorize_publish<'a>(
        &'a self,
        client_id: &str,
        user: Option<&'a str>,
        topic: &'a str,
    ) -> Boxed<'a, bool> {
        if self.may_publish(user, topic) {
            return Box::pin(std::future::ready(true));
        }
        tracing::warn!(
            user = user.map(shown),
            client = shown(client_id),
            topic = shown(topic),
            "publish refused: not a topic of this device"
        );
        Box::pin(async {
            before_refusing().await;
            false
        })
    }

    fn authorize_subscribe<'a>(
        &'a self,
        client_id: &str,
        user: Option<&'a str>,
        filter: &'a str,
    ) -> Boxed<'a, bool> {
        let allowed = self.may_subscribe(user, filter);
        if !allowed {
            tracing::warn!(
                user = user.map(shown),
                client = shown(client_id),
                filter = shown(filter),
                "subscription refused: not a topic of this device"
            );
        }
        Box::pin(std::future::ready(allowed))
    }
}

impl BrokerEventHandler for Doorman {
    fn on_client_connect<'a>(&'a self, event: ClientConnectEvent) -> Boxed<'a, ()> {
        if let Some(user) = event.user_id.as_deref() {
            self.paces(|paces| paces.connected(user));
        }
        Box::pin(std::future::ready(()))
    }

    fn on_client_disconnect<'a>(&'a self, event: ClientDisconnectEvent) -> Boxed<'a, ()> {
        if let Some(user) = event.user_id.as_deref() {
            self.paces(|paces| paces.disconnected(user));
        }
        Box::pin(std::future::ready(()))
    }
}

#[cfg(test)]
mod tests {
    use super::super::{DeviceTable, PasswordProof};
    use super::*;
    use crate::domain::ids::{DeviceId, StoreId};

    fn topics() -> Topics {
        Topics::new(&StoreId::new("s01").expect("an id"))
    }

    fn doorman() -> Doorman {
        let table = DeviceTable::default();
        for device in ["till-1", "till-1-2"] {
            table.insert(DeviceId::new(device).expect("an id"), PasswordProof::new(b"secret", [1; 16]));
        }
        Doorman::new(topics(), Arc::new(table), "run".to_owned())
    }

    fn till() -> Connect<'static> {
        Connect {
            user: Some("till-1"),
            password: Some(b"secret"),
            client_id: "till-1",
            session_lasts: false,
            will_topic: None,
            from_loopback: true,
        }
    }

    #[test]
    fn who_is_let_in() {
        let doorman = doorman();
        assert_eq!(doorman.admit(&till()), Ok("till-1".to_owned()));
        assert_eq!(doorman.admit(&Connect { user: None, ..till() }), Err(Refusal::NoUser));
        assert_eq!(doorman.admit(&Connect { password: None, ..till() }), Err(Refusal::Credentials));
        assert_eq!(doorman.admit(&Connect { password: Some(b"x"), ..till() }), Err(Refusal::Credentials));
        for user in ["till-9", "", "#", "till/1", "_engine", "_other"] {
            assert_eq!(
                doorman.admit(&Connect { user: Some(user), ..till() }),
                Err(Refusal::Credentials),
                "{user}"
            );
        }
    }

    #[test]
    fn can_a_device_take_over_the_session_of_another() {
        let doorman = doorman();
        for own in ["till-1", "till-1.app", &format!("auto-{:032x}", 7)] {
            assert!(doorman.admit(&Connect { client_id: own, ..till() }).is_ok(), "{own}");
        }
        for other in ["till-1-2", "till-1-2.app", "_engine", "", "auto-1", "till-", "x"] {
            assert_eq!(
                doorman.admit(&Connect { client_id: other, ..till() }),
                Err(Refusal::ClientId),
                "{other}"
            );
        }
    }

    #[test]
    fn may_sessions_pile_up() {
        let doorman = doorman();
        assert!(doorman.admit(&Connect { session_lasts: true, ..till() }).is_ok());
        let under_another_name = Connect { session_lasts: true, client_id: "till-1.app", ..till() };
        assert_eq!(doorman.admit(&under_another_name), Err(Refusal::Session));
    }

    #[test]
    fn may_a_will_speak_for_another() {
        let doorman = doorman();
        let own = Connect { will_topic: Some("aisle/1/s01/dev/till-1/status"), ..till() };
        assert!(doorman.admit(&own).is_ok());
        for other in [
            "aisle/1/s01/dev/till-1-2/status",
            "aisle/1/s01/svc/engine/status",
            "aisle/1/s01/dev/till-1/rep/a",
            "x",
        ] {
            assert_eq!(
                doorman.admit(&Connect { will_topic: Some(other), ..till() }),
                Err(Refusal::Will),
                "{other}"
            );
        }
    }

    #[test]
    fn is_the_daemon_known_by_its_secret_and_place() {
        let doorman = doorman();
        let engine =
            Connect { user: Some(ENGINE_USER), password: Some(b"run"), client_id: ENGINE_USER, ..till() };
        assert!(doorman.admit(&engine).is_ok());
        assert_eq!(doorman.admit(&Connect { from_loopback: false, ..engine }), Err(Refusal::Credentials));
        let nameless = Doorman::new(topics(), Arc::new(DeviceTable::default()), String::new());
        let empty =
            Connect { user: Some(ENGINE_USER), password: Some(b""), client_id: ENGINE_USER, ..till() };
        assert_eq!(nameless.admit(&empty), Err(Refusal::Credentials));
    }

    #[test]
    fn is_everything_denied_without_a_user() {
        assert!(!doorman().may_publish(None, "aisle/1/s01/dev/till-1/status"));
        assert!(!doorman().may_subscribe(None, "aisle/1/s01/svc/engine/status"));
    }
}
