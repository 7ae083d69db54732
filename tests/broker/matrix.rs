//! Is everything denied that is not allowed, by both brokers: `matrix.txt`, line by line, cell by cell.
//!
//! Nothing waits for what must not come: whether something is heard is told by a mark that comes behind it, from the same
//! publisher, to a topic that may be heard.

use std::net::SocketAddr;
use std::process::{Child, Command, Stdio};
use std::sync::Arc;
use std::time::Duration;

use aisled::config::{DeviceLogin, PasswordProof, Role, SALT_BYTES};
use aisled::devices::broker::{BrokerConfig, DeviceTable, EmbeddedBroker, mosquitto};
use aisled::domain::ids::DeviceId;

use crate::raw::{Hello, Raw, Said};
use crate::topics;

const TABLE: &str = include_str!("matrix.txt");
const ROOT: &str = "aisle/1/s01";
const OTHER: &str = "till-2";
const ENGINE: &str = "_engine";

/// Column, name, password: a device's password is `secret-` and its name.
const WHO: [(&str, Option<&str>, Option<&str>); 6] = [
    ("till", Some("till-1"), Some("secret-till-1")),
    ("kiosk", Some("kiosk-1"), Some("secret-kiosk-1")),
    ("monitor", Some("monitor-1"), Some("secret-monitor-1")),
    ("unproven", Some("till-1"), Some("secret-till-2")),
    ("anonymous", None, None),
    ("office", Some("head-office"), Some("secret-head-office")),
];

fn logins() -> Vec<DeviceLogin> {
    let device = |name: &str, role| {
        let (id, password) = (DeviceId::new(name).expect("an id"), format!("secret-{name}"));
        DeviceLogin { role, ..DeviceLogin::with_password(id, password.as_bytes(), [4; SALT_BYTES]) }
    };
    vec![
        device("kiosk-1", Role::Kiosk),
        device("monitor-1", Role::Monitor),
        device("till-1", Role::Till),
        device("till-2", Role::Till),
    ]
}

/// A broker under test.
struct Broker {
    addr: SocketAddr,
    is_mosquitto: bool,
}

impl Broker {
    fn client(&self, name: &str) -> Raw {
        let mut raw = Raw::tcp(self.addr);
        let password = format!("secret-{name}");
        let hello = Hello { client_id: name, user: Some(name), password: Some(&password), will: None };
        assert_eq!(raw.connect(&hello), Some(0), "{name} is let in");
        raw
    }

    /// Whoever may publish there: the device itself, or the daemon.
    fn publisher(&self, topic: &str) -> Raw {
        let device = topic.strip_prefix(&format!("{ROOT}/dev/")).and_then(|rest| rest.split_once('/'));
        match device {
            Some((device, below)) if below.starts_with("req/") || below == "status" => self.client(device),
            _ => self.client(ENGINE),
        }
    }

    /// Whoever hears it: the daemon, or the device itself.
    fn listener(&self, topic: &str) -> Raw {
        let mut listener = match topic {
            _ if topic.contains("/req/") || topic.ends_with("/status") && topic.contains("/dev/") => {
                self.client(ENGINE)
            }
            _ => self.client(OTHER),
        };
        let filter = match topic {
            _ if topic.contains("/req/") => format!("{ROOT}/dev/+/req/+"),
            _ if topic.contains("/dev/") && topic.ends_with("/status") => format!("{ROOT}/dev/+/status"),
            _ => topic.to_owned(),
        };
        assert_eq!(listener.subscribe(&filter), Some(1), "{filter}");
        listener
    }

    fn connect(&self, who: (Option<&str>, Option<&str>), will: Option<&str>) -> Option<Raw> {
        let mut raw = Raw::tcp(self.addr);
        let client_id = who.0.unwrap_or("nobody");
        let code = raw.connect(&Hello { client_id, user: who.0, password: who.1, will });
        (code == Some(0)).then_some(raw)
    }

    /// Does it happen?
    fn tries(&self, action: &str, what: &str, who: (Option<&str>, Option<&str>)) -> bool {
        match action {
            "publish" | "retain" => {
                let Some(mut raw) = self.connect(who, None) else { return false };
                // No matching subscribers is as good as success.
                matches!(raw.publish(what, "x", action == "retain"), Some(0 | 0x10))
            }
            "hear" => {
                let (filter, topic) = what.split_once(" <- ").expect("hear FILTER <- TOPIC");
                let Some(mut raw) = self.connect(who, None) else { return false };
                let Some(me) = who.0 else { return false };
                if raw.subscribe(filter).is_none_or(|code| code >= 0x80) {
                    return false;
                }
                assert_eq!(raw.subscribe(&format!("{ROOT}/dev/{me}/evt/mark")), Some(1));
                // The retained presence of the daemon, if the filter is for it, is not what is probed.
                assert!(
                    matches!(self.publisher(topic).publish(topic, "probe", false), Some(0 | 0x10)),
                    "{topic}"
                );
                let mark = format!("{ROOT}/dev/{me}/evt/mark");
                assert!(matches!(self.client(ENGINE).publish(&mark, "mark", false), Some(0 | 0x10)));
                loop {
                    match raw.hear() {
                        Said::Message { payload, .. } if payload == b"probe" => return true,
                        Said::Message { payload, .. } if payload == b"mark" => return false,
                        Said::Gone | Said::Goodbye(_) => panic!("lost the connection while hearing {filter}"),
                        _ => {}
                    }
                }
            }
            "will" => {
                let mut listener = self.listener(what);
                let Some(raw) = self.connect(who, Some(what)) else { return false };
                raw.leave_with_will();
                // The mark goes to the same topic, from who may: it comes behind the will.
                assert!(matches!(self.publisher_of_mark(what).publish(what, "mark", false), Some(0 | 0x10)));
                loop {
                    match listener.hear() {
                        Said::Message { topic, payload } if topic == what && payload == b"will" => {
                            return true;
                        }
                        Said::Message { topic, payload } if topic == what && payload == b"mark" => {
                            return false;
                        }
                        Said::Gone | Said::Goodbye(_) => panic!("the listener lost its connection"),
                        _ => {}
                    }
                }
            }
            "displace" => {
                let mut held = self.client(what);
                let mut raw = Raw::tcp(self.addr);
                let _ = raw.connect(&Hello { client_id: what, user: who.0, password: who.1, will: None });
                !held.ping()
            }
            other => panic!("no such action: {other}"),
        }
    }

    fn publisher_of_mark(&self, topic: &str) -> Raw {
        self.publisher(topic)
    }
}

fn lines() -> Vec<&'static str> {
    let lines: Vec<&str> =
        TABLE.lines().filter(|line| !line.starts_with('#') && !line.trim().is_empty()).collect();
    assert!(lines.len() >= 50, "the table is read");
    lines
}

/// Asks for every cell of some lines; the cells that are otherwise.
fn ask(broker: &Broker, lines: &[&str]) -> Vec<String> {
    let mut otherwise = Vec::new();
    for line in lines {
        let words: Vec<&str> = line.split_whitespace().collect();
        let (what, verdicts) = words[1..].split_at(words.len() - 1 - WHO.len());
        for ((column, name, password), verdict) in WHO.into_iter().zip(verdicts) {
            let wanted = match *verdict {
                "yes" => true,
                "no" => false,
                "mosq" => broker.is_mosquitto,
                other => panic!("{line}: {other} is no verdict"),
            };
            let me = name.unwrap_or("nobody");
            let what = what.join(" ").replace("{s}", ROOT).replace("{me}", me).replace("{other}", OTHER);
            if broker.tries(words[0], &what, (name, password)) != wanted {
                otherwise.push(format!("{} {what}: {column} should be {verdict}", words[0]));
            }
        }
    }
    otherwise
}

#[tokio::test(flavor = "multi_thread")]
async fn does_the_embedded_broker_deny_what_is_not_allowed() {
    let mut asked = tokio::task::JoinSet::new();
    // A broker for a few lines each: whoever connects for all of them would be slowed down as a loop.
    for lines in lines().chunks(8).map(<[&str]>::to_vec) {
        let table = DeviceTable::default();
        table.replace(logins());
        let config = BrokerConfig {
            registry: Arc::new(table),
            refusal_delay: Duration::ZERO,
            ..BrokerConfig::open_on_loopback(topics(), format!("secret-{ENGINE}"))
        };
        let broker = EmbeddedBroker::start(config).await.expect("a free port");
        asked.spawn_blocking(move || {
            let otherwise = ask(&Broker { addr: broker.local_addr(), is_mosquitto: false }, &lines);
            drop(broker);
            otherwise
        });
    }
    let otherwise: Vec<String> = asked.join_all().await.into_iter().flatten().collect();
    assert!(otherwise.is_empty(), "{otherwise:#?}");
}

struct Mosquitto {
    child: Child,
    _dir: tempfile::TempDir,
}

impl Drop for Mosquitto {
    fn drop(&mut self) {
        // Both fail only where it has ended and was waited for.
        drop(self.child.kill());
        drop(self.child.wait());
    }
}

/// A Mosquitto with the files that `aisled devices acl` writes; nothing where none is installed.
fn start_mosquitto() -> Option<(Mosquitto, SocketAddr)> {
    let dir = tempfile::tempdir().expect("a directory");
    let place = |name: &str| dir.path().join(name);
    let engine = PasswordProof::new(format!("secret-{ENGINE}").as_bytes(), [9; SALT_BYTES]);
    let places = [place("passwords"), place("acl")].map(|path| path.display().to_string());
    let files = mosquitto::files(&topics(), &logins(), (ENGINE, &engine), (&places[0], &places[1]));
    let files = files.expect("every device has a proof that Mosquitto takes");
    let free = std::net::TcpListener::bind("127.0.0.1:0").and_then(|free| free.local_addr()).expect("a port");
    // As root it would become another user, who cannot read a test's files.
    let settings = format!("user root\nlistener {} 127.0.0.1\n{}", free.port(), files.settings);
    std::fs::write(place("passwords"), files.passwords).expect("it is written");
    std::fs::write(place("acl"), files.rights).expect("it is written");
    std::fs::write(place("mosquitto.conf"), settings).expect("it is written");
    let mut command = Command::new("mosquitto");
    command.arg("-c").arg(place("mosquitto.conf")).stdout(Stdio::null()).stderr(Stdio::null());
    let child = command.spawn().ok()?;
    let mosquitto = Mosquitto { child, _dir: dir };
    for _ in 0..2_000 {
        if std::net::TcpStream::connect(free).is_ok() {
            return Some((mosquitto, free));
        }
        std::thread::yield_now();
        let (_sender, never) = std::sync::mpsc::channel::<()>();
        let _ = never.recv_timeout(Duration::from_millis(10));
    }
    panic!("Mosquitto does not listen");
}

#[test]
fn does_mosquitto_deny_the_same_with_the_files_we_write() {
    let Some((_mosquitto, addr)) = start_mosquitto() else {
        // CI installs one; a developer's machine need not.
        assert!(std::env::var_os("CI").is_none(), "no mosquitto on this machine");
        return;
    };
    let otherwise = ask(&Broker { addr, is_mosquitto: true }, &lines());
    assert!(otherwise.is_empty(), "{otherwise:#?}");
}
