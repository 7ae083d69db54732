//! Who may say what at head office's broker: a shop under its own topics, head office's own lines under all of them.
//!
//! Invariants: a shop's user name is its store id, and what it may publish and hear follows from that alone; over TLS its
//! certificate names that store; without a password or certificate to prove itself with, a shop is let in from loopback only; head
//! office's own user needs this run's secret, in plain text from this machine. A shop that may come in waits where too many come at once.

use std::collections::BTreeMap;
use std::future::Future;
use std::net::SocketAddr;
use std::pin::Pin;
use std::sync::{Arc, Mutex, PoisonError};

use mqtt5::broker::{AuthProvider, AuthResult};
use mqtt5::error::Result;
use mqtt5::packet::connect::ConnectPacket;
use mqtt5::types::ReasonCode;

use crate::clock::{Clock, Stopwatch};
use crate::domain::code::Code;
use crate::domain::ids::StoreId;
use crate::gate::{Caller, Complaints, tls};
use crate::limits;
use crate::upstream::wire;

use super::admission::Admission;
use super::partner;

/// Head office's own user: no store id, because of the underscore.
pub(super) const OFFICE_USER: &str = "_office";

type Boxed<'a, T> = Pin<Box<dyn Future<Output = T> + Send + 'a>>;

/// Decides for each connect, publish and subscription.
pub(super) struct Doorman {
    /// Of this run.
    secret: String,
    /// What every shop proves itself with, if anything.
    password: Option<String>,
    /// What each partner proves itself with; others are not let in.
    partners: BTreeMap<StoreId, String>,
    admission: Mutex<Admission>,
    clock: Arc<dyn Clock>,
    since: Stopwatch,
    complaints: Arc<Complaints>,
}

/// The doorman of one connection.
pub(super) struct Door {
    doorman: Arc<Doorman>,
    caller: Caller,
}

/// Takes the same time wherever the two differ.
fn same(given: &[u8], wanted: &[u8]) -> bool {
    given.len() == wanted.len() && given.iter().zip(wanted).fold(0, |sum, (a, b)| sum | (a ^ b)) == 0
}

impl Doorman {
    /// At the door of this run.
    pub(super) fn new(
        secret: String,
        password: Option<String>,
        clock: Arc<dyn Clock>,
        complaints: Arc<Complaints>,
    ) -> Doorman {
        let admission = Mutex::new(Admission::new(limits::HUB_ADMISSIONS_PER_SECOND));
        let since = Stopwatch::start(&*clock);
        let partners = BTreeMap::new();
        Doorman { secret, password, partners, admission, clock, since, complaints }
    }

    /// Lets these partners in, each with its password.
    pub(super) fn with_partners(self, partners: BTreeMap<StoreId, String>) -> Doorman {
        Doorman { partners, ..self }
    }

    /// The door of one more connection.
    pub(super) fn door(self: &Arc<Doorman>, caller: Caller) -> Door {
        Door { doorman: Arc::clone(self), caller }
    }

    fn has_room(&self, user: &str) -> bool {
        let mut admission = self.admission.lock().unwrap_or_else(PoisonError::into_inner);
        user == OFFICE_USER || admission.admits(self.since.elapsed_us(&*self.clock))
    }

    fn admits(&self, user: &str, password: Option<&[u8]>, caller: &Caller) -> bool {
        let given = password.unwrap_or_default();
        let is_local = !caller.is_tls && caller.from.ip().is_loopback();
        if user == OFFICE_USER {
            return is_local && same(given, self.secret.as_bytes());
        }
        if let Some(partner) = partner::of_user(user) {
            let wanted = self.partners.get(&partner);
            return wanted.is_some_and(|wanted| !wanted.is_empty() && same(given, wanted.as_bytes()));
        }
        let is_proven = match &self.password {
            Some(wanted) => same(given, wanted.as_bytes()),
            None => caller.is_tls || is_local,
        };
        // Over TLS every client shows a certificate; it must be this store's own.
        let is_named = !caller.is_tls
            || caller.certificate_der.as_ref().is_some_and(|certificate| tls::is_named(certificate, user));
        StoreId::new(user).is_ok() && is_proven && is_named
    }
}

impl AuthProvider for Door {
    fn authenticate<'a>(
        &'a self,
        packet: &'a ConnectPacket,
        from: SocketAddr,
    ) -> Boxed<'a, Result<AuthResult>> {
        let doorman = &self.doorman;
        let user = packet.username.clone().unwrap_or_default();
        let admitted =
            doorman.admits(&user, packet.password.as_deref(), &self.caller) && packet.will.is_none();
        Box::pin(std::future::ready(Ok(if admitted && !doorman.has_room(&user) {
            AuthResult::fail_with_reason(ReasonCode::ServerBusy, "many shops come at once; come again")
        } else if admitted {
            self.caller.is_known();
            AuthResult::success_with_user(user)
        } else {
            doorman.complaints.complain(Code::HubShop, &user, || format!("from {from}"));
            AuthResult::fail_with_reason(
                ReasonCode::BadUsernameOrPassword,
                "unknown store, or wrong password or certificate",
            )
        })))
    }

    fn authorize_publish<'a>(
        &'a self,
        _client: &str,
        user: Option<&'a str>,
        topic: &'a str,
    ) -> Boxed<'a, bool> {
        let allowed = match user {
            Some(OFFICE_USER) => true,
            Some(user) => match partner::of_user(user) {
                Some(own) => partner::parse(topic) == Some(own),
                None => wire::parse_up(topic).is_some_and(|(store, _)| store.as_str() == user),
            },
            None => false,
        };
        Box::pin(std::future::ready(allowed))
    }

    fn authorize_subscribe<'a>(
        &'a self,
        _client: &str,
        user: Option<&'a str>,
        filter: &'a str,
    ) -> Boxed<'a, bool> {
        let allowed = match user {
            Some(OFFICE_USER) => true,
            Some(user) => match partner::of_user(user) {
                Some(own) => filter == partner::reply_topic(&own),
                None => StoreId::new(user).is_ok_and(|store| filter == wire::down_filter(&store)),
            },
            None => false,
        };
        Box::pin(std::future::ready(allowed))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn does_a_shop_prove_itself_and_speak_for_itself_only() {
        let caller = |from: &str| Caller::from(from.parse().expect("an address"), false, None);
        let (near, far) = (&caller("127.0.0.1:9"), &caller("192.0.2.1:9"));
        let clock: Arc<dyn Clock> = Arc::new(crate::clock::SystemClock);
        let open = Doorman::new("s".into(), None, clock.clone(), Arc::default());
        assert!(open.admits("s1", None, near) && !open.admits("s1", None, far));
        assert!(!open.admits("", None, near) && !open.admits("a/b", None, near));
        let closed = Doorman::new("s".into(), Some("p".into()), clock, Arc::default());
        assert!(closed.admits("s1", Some(b"p"), far) && !closed.admits("s1", Some(b"q"), far));
        assert!(
            closed.admits(OFFICE_USER, Some(b"s"), near) && !closed.admits(OFFICE_USER, Some(b"p"), near)
        );
    }

    #[test]
    fn do_shops_that_come_at_once_take_turns_and_is_head_office_ever_kept_waiting() {
        let clock = crate::clock::ManualClock::new(crate::domain::calendar::UnixMs(0));
        let door = Doorman::new("s".into(), None, Arc::new(clock.clone()), Arc::default());
        let admitted = || (0..5_000).filter(|_| door.has_room("s1")).count() as u64;
        assert_eq!((admitted(), admitted()), (limits::HUB_ADMISSIONS_PER_SECOND, 0));
        assert!(door.has_room(OFFICE_USER));
        clock.advance_ms(1_000);
        assert_eq!(admitted(), limits::HUB_ADMISSIONS_PER_SECOND);
    }
}
