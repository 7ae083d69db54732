//! Topics as a type: the one place where a topic of the contract is parsed or built.
//!
//! Layout, below the root `aisle/1/{store}/`:
//!
//! ```text
//! dev/{device}/req/{op}        a device asks
//! dev/{device}/rep/{instance}  the daemon answers
//! dev/{device}/evt/{kind}      the daemon pushes
//! dev/{device}/status          presence of a device (retained, its last will)
//! svc/engine/status            presence and discovery of the daemon (retained, its last will)
//! ```
//!
//! Invariants: every variable level is an id, `[a-z0-9-]{1,32}`, so no id can hold a separator or a wildcard;
//! `parse(build(topic)) == topic`; anything else does not parse. Parsing borrows from its input and allocates
//! nothing, because it runs for each packet, hostile ones too.
//!
//! The rights of a device follow from its topics, so they are here as well: what a device may publish, what it
//! may subscribe to, and whether a response topic is its own.

use std::fmt;

use crate::config::Role;
use crate::domain::ids::{DeviceId, Instance, StoreId};
use crate::limits;

/// First levels of every topic: product and version of the contract.
const PREFIX: &str = "aisle/1/";

/// What a device asks for: the last level of a request topic.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Op {
    /// A member shows up.
    Scan,
    /// What a basket would cost.
    Quote,
    /// A sale happened.
    Commit,
    /// A sale is undone.
    Void,
    /// Goods come back.
    Return,
    /// A shopper's opinion.
    Feedback,
    /// Something happened at a shelf or door.
    Event,
    /// A new member.
    Enroll,
    /// What a member holds.
    Wallet,
}

impl Op {
    /// All nine, in the contract's order.
    pub const ALL: [Op; 9] = [
        Op::Scan,
        Op::Quote,
        Op::Commit,
        Op::Void,
        Op::Return,
        Op::Feedback,
        Op::Event,
        Op::Enroll,
        Op::Wallet,
    ];

    /// The level as it stands in the topic.
    pub fn as_str(self) -> &'static str {
        match self {
            Op::Scan => "scan",
            Op::Quote => "quote",
            Op::Commit => "commit",
            Op::Void => "void",
            Op::Return => "return",
            Op::Feedback => "feedback",
            Op::Event => "event",
            Op::Enroll => "enroll",
            Op::Wallet => "wallet",
        }
    }

    /// The operation a level names; `None` for a well-formed level that is no operation (the daemon answers 404).
    pub fn from_level(level: &str) -> Option<Op> {
        Op::ALL.into_iter().find(|op| op.as_str() == level)
    }
}

/// A topic of one store, its ids borrowed from whoever holds the text.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Topic<'a> {
    /// `dev/{device}/req/{op}`; `op` is an id, not yet an [`Op`]: an unknown one deserves an answer.
    Request {
        /// Who asks.
        device: &'a str,
        /// What is asked, see [`Op::from_level`].
        op: &'a str,
    },
    /// `dev/{device}/rep/{instance}`.
    Reply {
        /// Who is answered.
        device: &'a str,
        /// Which program of the device; `v3` for one that speaks MQTT 3.1.1.
        instance: &'a str,
    },
    /// `dev/{device}/evt/{kind}`.
    Event {
        /// Who is told.
        device: &'a str,
        /// What about.
        kind: &'a str,
    },
    /// `dev/{device}/status`.
    DeviceStatus {
        /// Whose presence.
        device: &'a str,
    },
    /// `svc/engine/status`.
    EngineStatus,
}

/// Reply instance of a device that speaks MQTT 3.1.1 and so cannot name a response topic.
pub const INSTANCE_V3: &str = "v3";

/// A text that was to become part of a topic is not an id.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct InvalidLevel;

impl fmt::Display for InvalidLevel {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("build a topic: a level is text matching ^[a-z0-9-]{1,32}$")
    }
}

impl std::error::Error for InvalidLevel {}

/// Whether a text may stand as a variable level of a topic: what `DeviceId` takes, told without making one.
pub fn is_id(text: &str) -> bool {
    (1..=limits::ID_BYTES_MAX).contains(&text.len())
        && text.bytes().all(|byte| byte.is_ascii_lowercase() || byte.is_ascii_digit() || byte == b'-')
}

/// Operations that only a till has: they change what was sold.
pub const SELLING: [Op; 3] = [Op::Commit, Op::Void, Op::Return];

/// Whether a role may ask for an operation; one that nobody knows is answered with 404 to whoever may ask at all.
fn may_ask(role: Role, op: &str) -> bool {
    match role {
        Role::Till => true,
        Role::Kiosk => !Op::from_level(op).is_some_and(|op| SELLING.contains(&op)),
        Role::Monitor => false,
    }
}

/// The topics of one store.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Topics {
    root: String,
}

impl Topics {
    /// The topics of `store`.
    pub fn new(store: &StoreId) -> Topics {
        Topics { root: format!("{PREFIX}{store}/") }
    }

    /// What every topic of the store begins with, up to and with the slash.
    pub fn root(&self) -> &str {
        &self.root
    }

    /// Where a program of a device hears its replies.
    pub fn reply(&self, device: &DeviceId, instance: &Instance) -> String {
        format!("{}dev/{device}/rep/{instance}", self.root)
    }

    /// Reads a topic of this store; `None` if it is not one.
    pub fn parse<'a>(&self, text: &'a str) -> Option<Topic<'a>> {
        let below = text.strip_prefix(self.root.as_str())?;
        let Some(below) = below.strip_prefix("dev/") else {
            return (below == "svc/engine/status").then_some(Topic::EngineStatus);
        };
        let (device, below) = below.split_once('/')?;
        if !is_id(device) {
            return None;
        }
        let Some((branch, last)) = below.split_once('/') else {
            return (below == "status").then_some(Topic::DeviceStatus { device });
        };
        if !is_id(last) {
            return None;
        }
        match branch {
            "req" => Some(Topic::Request { device, op: last }),
            "rep" => Some(Topic::Reply { device, instance: last }),
            "evt" => Some(Topic::Event { device, kind: last }),
            _ => None,
        }
    }

    /// Writes a topic of this store; refuses a level that is not an id.
    pub fn build(&self, topic: Topic<'_>) -> Result<String, InvalidLevel> {
        let root = &self.root;
        let (device, branch, last) = match topic {
            Topic::Request { device, op } => (device, "req", op),
            Topic::Reply { device, instance } => (device, "rep", instance),
            Topic::Event { device, kind } => (device, "evt", kind),
            Topic::DeviceStatus { device } if is_id(device) => {
                return Ok(format!("{root}dev/{device}/status"));
            }
            Topic::DeviceStatus { .. } => return Err(InvalidLevel),
            Topic::EngineStatus => return Ok(format!("{root}svc/engine/status")),
        };
        if !is_id(device) || !is_id(last) {
            return Err(InvalidLevel);
        }
        Ok(format!("{root}dev/{device}/{branch}/{last}"))
    }

    /// Filter under which the daemon hears every request of the store.
    pub fn requests_filter(&self) -> String {
        format!("{}dev/+/req/+", self.root)
    }

    /// Filter under which the daemon hears the presence of every device.
    pub fn statuses_filter(&self) -> String {
        format!("{}dev/+/status", self.root)
    }

    /// Topic of the daemon's own presence.
    pub fn engine_status(&self) -> String {
        format!("{}svc/engine/status", self.root)
    }

    /// Filter under which `device` hears its replies.
    pub fn replies_filter(&self, device: &DeviceId) -> String {
        format!("{}dev/{device}/rep/+", self.root)
    }

    /// Whether `device` may publish to `topic`: its own status, and those of its own requests that its role has.
    pub fn device_may_publish(&self, role: Role, device: &str, topic: &str) -> bool {
        match self.parse(topic) {
            Some(Topic::Request { device: of, op }) => of == device && may_ask(role, op),
            Some(Topic::DeviceStatus { device: of }) => of == device,
            _ => false,
        }
    }

    /// Whether `device` may subscribe to `filter`: below its own `rep/` and `evt/` (one level, `+` or `#`) and
    /// the daemon's status; a monitor also to the presence of all. A shared subscription (`$share/...`) is refused, since it does
    /// not begin with the root.
    pub fn device_may_subscribe(&self, role: Role, device: &str, filter: &str) -> bool {
        let Some(below) = filter.strip_prefix(self.root.as_str()) else {
            return false;
        };
        if below == "svc/engine/status" || (role == Role::Monitor && below == "dev/+/status") {
            return true;
        }
        let own = below
            .strip_prefix("dev/")
            .and_then(|rest| rest.strip_prefix(device))
            .and_then(|rest| rest.strip_prefix('/'));
        match own.and_then(|rest| rest.split_once('/')) {
            Some(("rep" | "evt", last)) => last == "#" || last == "+" || is_id(last),
            _ => false,
        }
    }

    /// Whether the daemon may publish to `topic`: replies, events, and its own status.
    pub fn engine_may_publish(&self, topic: &str) -> bool {
        matches!(self.parse(topic), Some(Topic::Reply { .. } | Topic::Event { .. } | Topic::EngineStatus))
    }

    /// Whether the daemon may subscribe to `filter`: exactly what it needs.
    pub fn engine_may_subscribe(&self, filter: &str) -> bool {
        filter == self.requests_filter() || filter == self.statuses_filter()
    }

    /// Whether a response topic may be answered for a request of `device`: it lies under the sender's own `rep/`.
    /// The broker cannot see this: the daemon, who may publish to every device, would be the confused deputy.
    pub fn response_is_own(&self, device: &str, response_topic: &str) -> bool {
        matches!(self.parse(response_topic), Some(Topic::Reply { device: of, .. }) if of == device)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn shop() -> Topics {
        Topics::new(&StoreId::new("s01").expect("an id"))
    }

    fn id() -> impl Strategy<Value = String> {
        "[a-z0-9-]{1,32}"
    }

    proptest! {
        #[test]
        fn does_each_topic_read_back_as_it_was_built(store in id(), device in id(), last in id(), kind in 0..5) {
            let topics = Topics::new(&StoreId::new(&store).expect("an id"));
            let topic = match kind {
                0 => Topic::Request { device: &device, op: &last },
                1 => Topic::Reply { device: &device, instance: &last },
                2 => Topic::Event { device: &device, kind: &last },
                3 => Topic::DeviceStatus { device: &device },
                _ => Topic::EngineStatus,
            };
            let text = topics.build(topic).expect("all levels are ids");
            prop_assert_eq!(topics.parse(&text), Some(topic));
        }

        #[test]
        fn is_a_level_what_the_domain_calls_an_id(text in ".{0,34}|[a-z0-9-]{0,34}") {
            prop_assert_eq!(is_id(&text), DeviceId::new(&text).is_ok());
        }

        #[test]
        fn is_every_text_that_parses_exactly_what_would_be_built(
            text in "(aisle/1/s01/)?(dev|svc|[a-z#+$/]{0,3})/[a-zA-Z0-9+#/$-]{0,34}/(req|rep|evt|status)?/?[a-z+#/-]{0,34}"
        ) {
            let topics = shop();
            if let Some(topic) = topics.parse(&text) {
                prop_assert_eq!(topics.build(topic), Ok(text.clone()));
            }
        }

        #[test]
        fn may_a_device_ever_reach_the_tree_of_another(mine in id(), other in id(), last in "[a-z0-9+#-]{1,5}") {
            prop_assume!(mine != other);
            let topics = shop();
            for (branch, role) in ["req", "rep", "evt", "status"].into_iter().flat_map(|branch| Role::ALL.map(|role| (branch, role))) {
                let text = format!("aisle/1/s01/dev/{other}/{branch}/{last}");
                prop_assert!(!topics.device_may_publish(role, &mine, &text));
                prop_assert!(!topics.device_may_subscribe(role, &mine, &text));
                prop_assert!(!topics.response_is_own(&mine, &text));
            }
        }
    }

    #[test]
    fn are_hostile_ids_refused_everywhere() {
        for hostile in ["", "a/b", "+", "#", "a+", "$share", "A", "a b", "a\0", "é", &"a".repeat(33)] {
            assert!(!is_id(hostile) && DeviceId::new(hostile).is_err(), "{hostile:?}");
            let topics = shop();
            assert_eq!(topics.build(Topic::DeviceStatus { device: hostile }), Err(InvalidLevel));
            assert_eq!(topics.build(Topic::Reply { device: hostile, instance: "x" }), Err(InvalidLevel));
            assert_eq!(topics.build(Topic::Reply { device: "till-1", instance: hostile }), Err(InvalidLevel));
            assert_eq!(topics.parse(&format!("aisle/1/s01/dev/{hostile}/status")), None, "{hostile:?}");
            assert_eq!(topics.parse(&format!("aisle/1/s01/dev/till-1/req/{hostile}")), None, "{hostile:?}");
        }
    }

    #[test]
    fn does_another_store_or_version_parse() {
        for text in [
            "aisle/1/s02/svc/engine/status",
            "aisle/2/s01/svc/engine/status",
            "aisle/1/s01/svc/engine/status/",
            "/aisle/1/s01/svc/engine/status",
        ] {
            assert_eq!(shop().parse(text), None, "{text}");
        }
    }

    #[test]
    fn what_may_a_device_write() {
        let topics = shop();
        for allowed in ["dev/till-1/req/quote", "dev/till-1/req/unknown-op", "dev/till-1/status"] {
            assert!(
                topics.device_may_publish(Role::Till, "till-1", &format!("aisle/1/s01/{allowed}")),
                "{allowed}"
            );
        }
        for denied in [
            "dev/till-1/rep/a",
            "dev/till-1/evt/a",
            "dev/till-2/req/quote",
            "dev/till-11/req/quote",
            "svc/engine/status",
            "dev/till-1/req/a/b",
        ] {
            assert!(
                !topics.device_may_publish(Role::Till, "till-1", &format!("aisle/1/s01/{denied}")),
                "{denied}"
            );
        }
        assert!(!topics.device_may_publish(Role::Till, "till-1", "$SYS/x"));
    }

    #[test]
    fn what_may_a_device_hear() {
        let topics = shop();
        for allowed in [
            "dev/till-1/rep/#",
            "dev/till-1/rep/+",
            "dev/till-1/rep/v3",
            "dev/till-1/evt/#",
            "svc/engine/status",
        ] {
            assert!(
                topics.device_may_subscribe(Role::Till, "till-1", &format!("aisle/1/s01/{allowed}")),
                "{allowed}"
            );
        }
        for denied in [
            "#",
            "dev/#",
            "dev/+/rep/#",
            "dev/till-1/#",
            "dev/till-1/req/#",
            "dev/till-1/rep/a/#",
            "dev/till-2/rep/#",
            "dev/till-1/rep/",
            "svc/#",
        ] {
            assert!(
                !topics.device_may_subscribe(Role::Till, "till-1", &format!("aisle/1/s01/{denied}")),
                "{denied}"
            );
        }
        for denied in [
            "#",
            "+/#",
            "$share/x/#",
            "$share/x/aisle/1/s01/dev/till-1/rep/#",
            "$SYS/#",
            "aisle/1/+/dev/till-1/rep/#",
        ] {
            assert!(!topics.device_may_subscribe(Role::Till, "till-1", denied), "{denied}");
        }
    }

    #[test]
    fn what_may_the_daemon_do() {
        let topics = shop();
        assert!(topics.engine_may_subscribe(&topics.requests_filter()));
        assert!(topics.engine_may_subscribe(&topics.statuses_filter()));
        assert!(!topics.engine_may_subscribe("#"));
        assert!(topics.engine_may_publish("aisle/1/s01/dev/till-1/rep/v3"));
        assert!(topics.engine_may_publish(&topics.engine_status()));
        assert!(!topics.engine_may_publish("aisle/1/s01/dev/till-1/req/quote"));
    }

    #[test]
    fn does_each_operation_read_back() {
        for op in Op::ALL {
            assert_eq!(Op::from_level(op.as_str()), Some(op));
        }
        assert_eq!(Op::from_level("Scan"), None);
    }
}
