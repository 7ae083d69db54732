//! Who comes in and what they may do: the broker crate's questions, answered from `topic.rs` and the registry.
//!
//! Invariants: a user is what `authenticate` said and nothing else; without a user every answer is no. A refusal
//! is named (`gate::Complaints`) and answered after `REFUSAL_DELAY_MS`; the wait is inside the one task that
//! serves that connection, so nobody else feels it. Each connection has a `Door` of its own, which knows where it comes from and
//! what certificate it showed; what all share is the `Doorman`.

use std::collections::BTreeMap;
use std::net::SocketAddr;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use mqtt5::broker::events::{BrokerEventHandler, ClientConnectEvent, ClientDisconnectEvent};
use mqtt5::broker::{AuthProvider, AuthResult};
use mqtt5::error::Result;
use mqtt5::packet::connect::ConnectPacket;
use mqtt5::types::ReasonCode;

use crate::config::Role;
use crate::devices::topic::{Topics, is_id};
use crate::domain::code::Code;
use crate::gate::{Caller, Complaints};
use crate::limits;

use super::pace::{Pace, Paces};
use super::registry::{DeviceRegistry, Shown};
use super::{Boxed, ENGINE_USER};

/// Decides for each connect, publish and subscription.
pub(super) struct Doorman {
    topics: Topics,
    registry: Arc<dyn DeviceRegistry>,
    engine_secret: String,
    paces: Mutex<Paces>,
    /// Connections by user and client id; two while one takes the place of the other.
    connected: Mutex<BTreeMap<(String, String), u32>>,
    complaints: Arc<Complaints>,
    refusal_delay: Duration,
}

/// The doorman of one connection.
pub(super) struct Door {
    doorman: Arc<Doorman>,
    caller: Caller,
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
            Refusal::Credentials => "unknown device, or wrong password or certificate",
            Refusal::ClientId => "the client id is not the device id nor begins with it and a dot",
            Refusal::Session => "a lasting session needs the device id as client id",
            Refusal::Will => "the will is outside its own topics",
            Refusal::TooMany => "too many connections of this device",
        }
    }

    fn code(self) -> Code {
        match self {
            Refusal::NoUser | Refusal::Credentials => Code::DeviceRefused,
            Refusal::ClientId | Refusal::Session => Code::DeviceClientId,
            Refusal::Will => Code::DeviceTopic,
            Refusal::TooMany => Code::DeviceConnections,
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
    certificate: Option<[u8; 32]>,
    is_local: bool,
}

impl<'a> Connect<'a> {
    fn read(packet: &'a ConnectPacket, caller: &Caller) -> Connect<'a> {
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
            certificate: caller.certificate,
            is_local: !caller.is_tls && caller.from.ip().is_loopback(),
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

/// Compares without telling by its duration where the first difference is.
fn same_bytes(left: &[u8], right: &[u8]) -> bool {
    left.len() == right.len() && left.iter().zip(right).fold(0, |sum, (a, b)| sum | (a ^ b)) == 0
}

impl Doorman {
    pub(super) fn new(
        topics: Topics,
        registry: Arc<dyn DeviceRegistry>,
        engine_secret: String,
        complaints: Arc<Complaints>,
    ) -> Doorman {
        let (paces, connected) = (Mutex::default(), Mutex::default());
        let refusal_delay = Duration::from_millis(limits::REFUSAL_DELAY_MS);
        Doorman { topics, registry, engine_secret, paces, connected, complaints, refusal_delay }
    }

    /// With another wait before a refusal is told.
    pub(super) fn telling_after(self, refusal_delay: Duration) -> Doorman {
        Doorman { refusal_delay, ..self }
    }

    /// The door of one more connection.
    pub(super) fn door(self: &Arc<Doorman>, caller: Caller) -> Door {
        Door { doorman: Arc::clone(self), caller }
    }

    /// The client ids under which these devices are connected.
    pub(super) fn connections_of(&self, is_meant: impl Fn(&str) -> bool) -> Vec<String> {
        let connected = self.connected.lock().unwrap_or_else(PoisonError::into_inner);
        let meant = connected.keys().filter(|(user, _)| is_meant(user));
        meant.map(|(_, client_id)| client_id.clone()).collect()
    }

    /// The user a connect is admitted as.
    fn admit(&self, connect: &Connect<'_>) -> std::result::Result<String, Refusal> {
        let user = connect.user.ok_or(Refusal::NoUser)?;
        if user == ENGINE_USER {
            let proven =
                connect.password.is_some_and(|given| same_bytes(given, self.engine_secret.as_bytes()));
            return if proven && connect.is_local && !self.engine_secret.is_empty() {
                Ok(user.to_owned())
            } else {
                Err(Refusal::Credentials)
            };
        }
        let Connect { password, certificate, is_local, .. } = *connect;
        let role = if is_id(user) { self.registry.role(user) } else { None };
        let Some(role) =
            role.filter(|_| self.registry.admits(user, &Shown { password, certificate, is_local }))
        else {
            return Err(Refusal::Credentials);
        };
        if !client_id_is_of(user, connect.client_id) {
            return Err(Refusal::ClientId);
        }
        if connect.session_lasts && connect.client_id != user {
            return Err(Refusal::Session);
        }
        if connect.will_topic.is_some_and(|topic| !self.topics.device_may_publish(role, user, topic)) {
            return Err(Refusal::Will);
        }
        Ok(user.to_owned())
    }

    fn may_publish(&self, user: Option<&str>, topic: &str) -> bool {
        match user {
            Some(ENGINE_USER) => self.topics.engine_may_publish(topic),
            Some(device) => self.allows(device, |role| self.topics.device_may_publish(role, device, topic)),
            None => false,
        }
    }

    fn may_subscribe(&self, user: Option<&str>, filter: &str) -> bool {
        match user {
            Some(ENGINE_USER) => self.topics.engine_may_subscribe(filter),
            Some(device) => {
                self.allows(device, |role| self.topics.device_may_subscribe(role, device, filter))
            }
            None => false,
        }
    }

    fn allows(&self, device: &str, may: impl Fn(Role) -> bool) -> bool {
        self.registry.role(device).is_some_and(may)
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

impl AuthProvider for Door {
    fn authenticate<'a>(
        &'a self,
        packet: &'a ConnectPacket,
        from: SocketAddr,
    ) -> Boxed<'a, Result<AuthResult>> {
        Box::pin(async move {
            let doorman = &self.doorman;
            let connect = Connect::read(packet, &self.caller);
            let name = connect.user.unwrap_or_default();
            // The daemon is not paced: it backs off by itself, and a stranger who uses its name must not slow it.
            let pace =
                if name == ENGINE_USER { Pace::Free } else { doorman.paces(|paces| paces.connecting(name)) };
            if let Pace::Slow(wait) = pace {
                doorman.complaints.complain(Code::DeviceLoop, name, || {
                    format!("client {:?} from {from} waits {} ms", connect.client_id, wait.as_millis())
                });
                tokio::time::sleep(wait).await;
            }
            let admitted = doorman.admit(&connect).and_then(|user| match pace {
                Pace::TooMany => Err(Refusal::TooMany),
                Pace::Free | Pace::Slow(_) => Ok(user),
            });
            match admitted {
                Ok(user) => {
                    self.caller.is_known();
                    Ok(AuthResult::success_with_user(user))
                }
                Err(refusal) => {
                    doorman.complaints.complain(refusal.code(), name, || {
                        format!("{}; client {:?} from {from}", refusal.why(), connect.client_id)
                    });
                    tokio::time::sleep(doorman.refusal_delay).await;
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
        if self.doorman.may_publish(user, topic) {
            return Box::pin(std::future::ready(true));
        }
        self.doorman.complaints.complain(Code::DeviceTopic, user.unwrap_or_default(), || {
            format!("publish to {topic:?}; client {client_id:?}")
        });
        Box::pin(async move {
            tokio::time::sleep(self.doorman.refusal_delay).await;
            false
        })
    }

    fn authorize_subscribe<'a>(
        &'a self,
        client_id: &str,
        user: Option<&'a str>,
        filter: &'a str,
    ) -> Boxed<'a, bool> {
        let allowed = self.doorman.may_subscribe(user, filter);
        if !allowed {
            self.doorman.complaints.complain(Code::DeviceTopic, user.unwrap_or_default(), || {
                format!("subscription to {filter:?}; client {client_id:?}")
            });
        }
        Box::pin(std::future::ready(allowed))
    }
}

impl BrokerEventHandler for Doorman {
    fn on_client_connect<'a>(&'a self, event: ClientConnectEvent) -> Boxed<'a, ()> {
        if let Some(user) = event.user_id.as_deref() {
            self.paces(|paces| paces.connected(user));
            let mut connected = self.connected.lock().unwrap_or_else(PoisonError::into_inner);
            *connected.entry((user.to_owned(), event.client_id.as_ref().to_owned())).or_default() += 1;
        }
        Box::pin(std::future::ready(()))
    }

    fn on_client_disconnect<'a>(&'a self, event: ClientDisconnectEvent) -> Boxed<'a, ()> {
        if let Some(user) = event.user_id.as_deref() {
            self.paces(|paces| paces.disconnected(user));
            let mut connected = self.connected.lock().unwrap_or_else(PoisonError::into_inner);
            let key = (user.to_owned(), event.client_id.as_ref().to_owned());
            if let Some(count) = connected.get_mut(&key) {
                *count -= 1;
                if *count == 0 {
                    connected.remove(&key);
                }
            }
        }
        Box::pin(std::future::ready(()))
    }
}

#[cfg(test)]
mod tests {
    use super::super::{DeviceTable, OpenRegistry};
    use super::*;
    use crate::config::{DeviceLogin, SALT_BYTES};
    use crate::domain::ids::{DeviceId, StoreId};

    fn topics() -> Topics {
        Topics::new(&StoreId::new("s01").expect("an id"))
    }

    fn doorman() -> Doorman {
        let table = DeviceTable::default();
        for device in ["till-1", "till-1-2"] {
            let device = DeviceId::new(device).expect("an id");
            table.insert(DeviceLogin::with_password(device, b"secret", [1; SALT_BYTES]));
        }
        Doorman::new(topics(), Arc::new(table), "run".to_owned(), Arc::default())
    }

    fn till() -> Connect<'static> {
        Connect {
            user: Some("till-1"),
            password: Some(b"secret"),
            client_id: "till-1",
            session_lasts: false,
            will_topic: None,
            certificate: None,
            is_local: true,
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
        assert_eq!(doorman.admit(&Connect { is_local: false, ..engine }), Err(Refusal::Credentials));
        let nameless =
            Doorman::new(topics(), Arc::new(DeviceTable::default()), String::new(), Arc::default());
        let empty =
            Connect { user: Some(ENGINE_USER), password: Some(b""), client_id: ENGINE_USER, ..till() };
        assert_eq!(nameless.admit(&empty), Err(Refusal::Credentials));
    }

    #[test]
    fn is_everything_denied_without_a_user() {
        assert!(!doorman().may_publish(None, "aisle/1/s01/dev/till-1/status"));
        assert!(!doorman().may_subscribe(None, "aisle/1/s01/svc/engine/status"));
    }

    #[test]
    fn is_a_device_without_a_proof_let_in_from_the_network() {
        let open = Doorman::new(topics(), Arc::new(OpenRegistry), "run".to_owned(), Arc::default());
        assert!(open.admit(&Connect { password: None, ..till() }).is_ok());
        let far = Connect { password: None, is_local: false, ..till() };
        assert_eq!(open.admit(&far), Err(Refusal::Credentials));
    }

    #[test]
    fn has_a_removed_device_any_right_left() {
        let table = Arc::new(DeviceTable::default());
        let till = DeviceId::new("till-1").expect("an id");
        table.insert(DeviceLogin::with_password(till, b"secret", [1; SALT_BYTES]));
        let doorman = Doorman::new(topics(), table.clone(), "run".to_owned(), Arc::default());
        let own = "aisle/1/s01/dev/till-1/req/scan";
        assert!(doorman.may_publish(Some("till-1"), own));
        table.replace(Vec::new());
        assert!(!doorman.may_publish(Some("till-1"), own));
        assert!(!doorman.may_subscribe(Some("till-1"), "aisle/1/s01/svc/engine/status"));
    }
}
