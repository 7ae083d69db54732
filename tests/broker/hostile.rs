//! Does the shop sell on while somebody is hostile: too many connections, silent ones, stolen names, loops, removed devices.

use std::io::{ErrorKind, Read as _, Write as _};
use std::net::{SocketAddr, TcpStream};
use std::sync::Arc;
use std::time::Duration;

use aisled::config::{DeviceLogin, SALT_BYTES};
use aisled::devices::broker::{BrokerConfig, DeviceTable, EmbeddedBroker, Running};
use aisled::domain::code::Code;
use aisled::domain::ids::DeviceId;
use aisled::gate::Bounds;

use crate::raw::{Hello, Raw, Said};
use crate::topics;

fn id(text: &str) -> DeviceId {
    DeviceId::new(text).expect("an id")
}

fn till(name: &str) -> DeviceLogin {
    DeviceLogin::with_password(id(name), b"secret", [3; SALT_BYTES])
}

async fn open(bounds: Bounds) -> (Running, Arc<DeviceTable>) {
    let table = Arc::new(DeviceTable::default());
    table.replace(vec![till("till-1"), till("till-2")]);
    let config = BrokerConfig {
        registry: table.clone(),
        bounds,
        ..BrokerConfig::open_on_loopback(topics(), "run".to_owned())
    };
    (EmbeddedBroker::start(config).await.expect("a free port"), table)
}

fn hello(name: &str) -> Hello<'_> {
    Hello { client_id: name, user: Some(name), password: Some("secret"), will: None }
}

fn connected(addr: SocketAddr, name: &str) -> Raw {
    let mut raw = Raw::tcp(addr);
    assert_eq!(raw.connect(&hello(name)), Some(0), "{name} is let in");
    raw
}

fn count(broker: &Running, code: Code) -> u64 {
    broker.door().refusals().get(&code).copied().unwrap_or(0)
}

/// Does the other end close this connection, and not merely keep silent?
fn is_closed(stream: &mut TcpStream) -> bool {
    stream.set_read_timeout(Some(Duration::from_secs(20))).expect("a socket");
    match stream.read(&mut [0]) {
        Ok(count) => count == 0,
        Err(error) => error.kind() == std::io::ErrorKind::ConnectionReset,
    }
}

/// Is what it publishes taken? Nobody need hear it.
fn sells(till: &mut Raw) -> bool {
    matches!(till.publish("aisle/1/s01/dev/till-1/req/scan", "x", false), Some(0 | 0x10))
}

/// Opens `tries` silent connections at a broker that takes fewer; a till that is in sells on.
async fn besiege(bounds: Bounds, tries: usize) -> u64 {
    let (broker, _table) = open(bounds).await;
    let addr = broker.local_addr();
    let besieged = tokio::task::spawn_blocking(move || {
        let mut till = connected(addr, "till-1");
        let mut held = Vec::new();
        for n in 0..tries {
            held.push(TcpStream::connect(addr).expect("the system's queue takes it"));
            if n % 64 == 0 {
                assert!(sells(&mut till), "after {n}");
            }
        }
        // Those beyond the bound are closed at once; the last one is among them.
        assert!(is_closed(held.last_mut().expect("there are some")));
        assert!(sells(&mut till));
        drop(held);
        // When they are gone, the next one is let in.
        for _ in 0..2_000 {
            let mut raw = Raw::tcp(addr);
            if raw.connect(&hello("till-2")) == Some(0) {
                return;
            }
            std::thread::yield_now();
        }
        panic!("nobody is let in any more");
    });
    besieged.await.expect("the till sells on");
    count(&broker, Code::GateFull)
}

#[tokio::test(flavor = "multi_thread")]
async fn does_a_till_sell_on_while_strangers_take_every_place() {
    let (patience, introduction) = (Duration::from_secs(60), Duration::from_secs(60));
    let strangers = Bounds { connections: 64, strangers: 16, strangers_each: 16, patience, introduction };
    assert!(besiege(strangers, 200).await >= 184, "each beyond the bound is counted");
    let all = Bounds { connections: 16, strangers: 64, strangers_each: 64, patience, introduction };
    assert!(besiege(all, 200).await >= 185);
}

#[tokio::test(flavor = "multi_thread")]
#[ignore = "opens 10,000 sockets: cargo test --test broker -- --ignored"]
async fn does_a_till_sell_on_beside_ten_thousand_connections() {
    let files = rustix::process::Resource::Nofile;
    let limit = rustix::process::getrlimit(files);
    let wanted = rustix::process::Rlimit { current: Some(12_000), maximum: limit.maximum };
    rustix::process::setrlimit(files, wanted).expect("the system allows 12,000 files");
    let patience = Duration::from_secs(60);
    assert!(
        besiege(Bounds { patience, introduction: patience, ..Bounds::of_a_shop() }, 10_000).await >= 9_000
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn is_a_silent_connection_closed_and_named() {
    let bounds = Bounds { patience: Duration::from_millis(50), ..Bounds::of_a_shop() };
    let (broker, _table) = open(bounds).await;
    let addr = broker.local_addr();
    let closed = tokio::task::spawn_blocking(move || {
        let mut silent = TcpStream::connect(addr).expect("it listens");
        is_closed(&mut silent)
    });
    assert!(closed.await.expect("no panic"));
    assert_eq!(count(&broker, Code::GateSilent), 1);
}

/// A slow-loris: each byte of its CONNECT comes late, and never the last one.
#[tokio::test(flavor = "multi_thread")]
async fn is_a_hello_that_drips_closed_and_named_while_a_till_sells_on() {
    let bounds = Bounds { introduction: Duration::from_millis(400), ..Bounds::of_a_shop() };
    let (broker, _table) = open(bounds).await;
    let addr = broker.local_addr();
    let dripped = tokio::task::spawn_blocking(move || {
        let mut till = connected(addr, "till-1");
        let mut slow = TcpStream::connect(addr).expect("it listens");
        // How long a byte waits for the next: nothing is ever heard until the end.
        slow.set_read_timeout(Some(Duration::from_millis(20))).expect("a socket");
        let hello =
            [&[0x10, 0xff, 0x7f, 0, 4][..], b"MQTT", &[5, 0xc2, 0, 10, 0, 0x3f, 0xff], &[b'x'; 16_000]];
        let mut sent = 0;
        for byte in hello.concat() {
            let is_cut = slow.write_all(&[byte]).is_err();
            let heard = slow.read(&mut [0]);
            if is_cut
                || matches!(heard, Ok(0))
                || heard.is_err_and(|error| error.kind() == ErrorKind::ConnectionReset)
            {
                break;
            }
            sent += 1;
        }
        (sent, sells(&mut till), connected(addr, "till-2").ping())
    });
    let (sent, sells, comes_in) = dripped.await.expect("no panic");
    assert!((1..1_000).contains(&sent), "{sent} bytes were taken");
    assert!(sells && comes_in, "the others notice nothing, and whoever is known stays");
    assert_eq!(count(&broker, Code::GateSilent), 1);
}

#[tokio::test(flavor = "multi_thread")]
async fn is_a_device_that_uses_the_name_or_client_id_of_another_named() {
    let (broker, _table) = open(Bounds::of_a_shop()).await;
    let addr = broker.local_addr();
    let answers = tokio::task::spawn_blocking(move || {
        let mut held = connected(addr, "till-2");
        let stolen_id = Raw::tcp(addr).connect(&Hello { client_id: "till-2", ..hello("till-1") });
        let stolen_name = Raw::tcp(addr).connect(&Hello { password: Some("guess"), ..hello("till-2") });
        (stolen_id, stolen_name, held.ping())
    });
    assert_eq!(answers.await.expect("no panic"), (Some(0x85), Some(0x86), true));
    assert_eq!((count(&broker, Code::DeviceClientId), count(&broker, Code::DeviceRefused)), (1, 1));
}

#[tokio::test(flavor = "multi_thread")]
async fn is_a_device_that_resends_a_refused_publish_slowed_and_named() {
    let (broker, _table) = open(Bounds::of_a_shop()).await;
    let addr = broker.local_addr();
    let answers = tokio::task::spawn_blocking(move || {
        let mut till = connected(addr, "till-1");
        [(); 3].map(|()| till.publish("aisle/1/s01/dev/till-2/req/commit", "forged", false))
    });
    // Each answer comes after `REFUSAL_DELAY_MS`; a library that connects anew for each is held to `pace`.
    assert_eq!(answers.await.expect("no panic"), [Some(0x87); 3]);
    assert_eq!(count(&broker, Code::DeviceTopic), 3);
}

#[tokio::test(flavor = "multi_thread")]
async fn is_a_removed_device_shown_out_and_its_neighbour_not() {
    let (broker, table) = open(Bounds::of_a_shop()).await;
    let addr = broker.local_addr();
    let both = tokio::task::spawn_blocking(move || (connected(addr, "till-1"), connected(addr, "till-2")));
    let (mut removed, mut stays) = both.await.expect("no panic");
    let changed = table.replace(vec![till("till-2")]);
    broker.door().show_out(&changed).await;
    let after = tokio::task::spawn_blocking(move || {
        let said = removed.hear();
        let again = Raw::tcp(addr).connect(&hello("till-1"));
        (matches!(said, Said::Gone | Said::Goodbye(_)), again, stays.ping())
    });
    assert_eq!(after.await.expect("no panic"), (true, Some(0x86), true));
}
