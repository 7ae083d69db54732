//! Does the encrypted port let in who it should, and nobody else: TLS 1.3, the shop's own authority, passwords and certificates.

use std::io::{Read as _, Write as _};
use std::net::{SocketAddr, TcpStream};
use std::sync::Arc;
use std::time::Duration;

use aisled::clock::{Clock, ManualClock};
use aisled::config::{DeviceLogin, SALT_BYTES};
use aisled::devices::broker::{BrokerConfig, DeviceTable, EmbeddedBroker, Running};
use aisled::domain::calendar::UnixMs;
use aisled::domain::code::Code;
use aisled::domain::ids::{DeviceId, StoreId};
use aisled::gate::authority::{Authority, Issued};
use aisled::gate::tls::{self, Own, Refused, Served};
use rustls::client::ResolvesClientCert;
use rustls::pki_types::pem::PemObject as _;
use rustls::pki_types::{PrivateKeyDer, ServerName, UnixTime};
use rustls::sign::CertifiedKey;
use rustls::time_provider::TimeProvider;
use rustls::{ClientConfig, ClientConnection, SignatureScheme, StreamOwned};

use crate::raw::{Hello, Raw};
use crate::topics;

/// 2026-11-18.
const NOW: UnixMs = UnixMs(1_794_974_400_000);
const DAY_MS: i64 = 86_400_000;

fn clock(now: UnixMs) -> Arc<dyn Clock> {
    Arc::new(ManualClock::new(now))
}

struct Shop {
    broker: Running,
    authority: Authority,
    table: Arc<DeviceTable>,
    _dir: tempfile::TempDir,
}

/// A shop with an encrypted port. `till-1` has the password `secret`.
async fn open() -> Shop {
    open_at(NOW).await
}

/// The same, judging certificates by another clock than the one its own was made by.
async fn open_at(judged: UnixMs) -> Shop {
    let dir = tempfile::tempdir().expect("a directory");
    let authority =
        Authority::create(dir.path(), &StoreId::new("s01").expect("an id"), NOW).expect("it is made");
    let names = ["localhost".to_owned(), "127.0.0.1".to_owned()];
    let served = {
        let (own, _) = authority.server(&names, NOW, false).expect("it is made");
        let pem = authority.pem().as_bytes();
        Arc::new(Served::new(tls::server(own, pem, tls::Clients::May, clock(judged)).expect("it serves")))
    };
    let table = Arc::new(DeviceTable::open_to_strangers());
    let till = DeviceId::new("till-1").expect("an id");
    table.insert(DeviceLogin::with_password(till, b"secret", [3; SALT_BYTES]));
    let config = BrokerConfig {
        registry: table.clone(),
        tls: Some(("127.0.0.1:0".parse().expect("an address"), served)),
        ..BrokerConfig::open_on_loopback(topics(), "run".to_owned())
    };
    let broker = EmbeddedBroker::start(config).await.expect("free ports");
    Shop { broker, authority, table, _dir: dir }
}

impl Shop {
    fn addr(&self) -> SocketAddr {
        self.broker.tls_addr().expect("it listens")
    }

    fn trusting(&self, own: Option<&Issued>, now: UnixMs) -> ClientConfig {
        let own =
            own.map(|issued| Own::of_pem(issued.chain.as_bytes(), issued.key.as_bytes()).expect("a pair"));
        tls::client(self.authority.pem().as_bytes(), own, clock(now)).expect("an authority")
    }

    fn refusals(&self, code: Code) -> u64 {
        self.broker.door().refusals().get(&code).copied().unwrap_or(0)
    }

    /// Waits until so many are counted: whoever is refused may know it before the count does.
    async fn counts(&self, code: Code, wanted: u64) {
        let counted = async {
            while self.refusals(code) < wanted {
                tokio::task::yield_now().await;
            }
        };
        tokio::time::timeout(Duration::from_secs(20), counted).await.expect("it is counted");
        assert_eq!(self.refusals(code), wanted);
    }
}

/// A connection whose handshake is complete, or what refused it.
fn handshake(
    addr: SocketAddr,
    config: ClientConfig,
    name: &str,
) -> std::io::Result<StreamOwned<ClientConnection, TcpStream>> {
    let name = ServerName::try_from(name.to_owned()).expect("a name");
    let mut socket = TcpStream::connect(addr)?;
    socket.set_read_timeout(Some(Duration::from_secs(20)))?;
    let mut session = ClientConnection::new(Arc::new(config), name).expect("a configuration");
    while session.is_handshaking() {
        session.complete_io(&mut socket)?;
    }
    Ok(StreamOwned::new(session, socket))
}

const TILL: Hello<'_> =
    Hello { client_id: "till-1", user: Some("till-1"), password: Some("secret"), will: None };

/// The answer to a CONNECT over TLS; nothing where the connection ended instead.
fn connect(addr: SocketAddr, config: ClientConfig, hello: &Hello<'_>) -> Option<u8> {
    Raw::over(handshake(addr, config, "localhost").ok()?).connect(hello)
}

#[tokio::test(flavor = "multi_thread")]
async fn who_comes_in_over_the_network() {
    let shop = open().await;
    let addr = shop.addr();
    let own = shop.authority.for_device("kiosk-1", NOW).expect("it is made");
    let lost = shop.authority.for_device("kiosk-1", NOW).expect("it is made");
    let kiosk = DeviceId::new("kiosk-1").expect("an id");
    let certificate = Some(own.fingerprint);
    shop.table.insert(DeviceLogin {
        password: None,
        certificate,
        ..DeviceLogin::with_password(kiosk, b"", [0; SALT_BYTES])
    });
    let as_kiosk = Hello { client_id: "kiosk-1", user: Some("kiosk-1"), password: None, will: None };
    let tried = [
        ("a password", shop.trusting(None, NOW), TILL, Some(0)),
        (
            "a wrong password",
            shop.trusting(None, NOW),
            Hello { password: Some("Secret"), ..TILL },
            Some(0x86),
        ),
        ("no password", shop.trusting(None, NOW), Hello { password: None, ..TILL }, Some(0x86)),
        ("a certificate", shop.trusting(Some(&own), NOW), as_kiosk.clone(), Some(0)),
        ("a certificate that was replaced", shop.trusting(Some(&lost), NOW), as_kiosk.clone(), Some(0x86)),
        (
            "another's certificate",
            shop.trusting(Some(&own), NOW),
            Hello { password: None, ..TILL },
            Some(0x86),
        ),
        (
            "a stranger",
            shop.trusting(None, NOW),
            Hello { client_id: "x", user: Some("x"), password: None, will: None },
            Some(0x86),
        ),
        (
            "the daemon's name",
            shop.trusting(None, NOW),
            Hello { client_id: "_engine", user: Some("_engine"), password: Some("run"), will: None },
            Some(0x86),
        ),
    ];
    let answers = tokio::task::spawn_blocking(move || {
        tried.map(|(what, config, hello, wanted)| (what, connect(addr, config, &hello), wanted))
    });
    for (what, code, wanted) in answers.await.expect("no panic") {
        assert_eq!(code, wanted, "{what}");
    }
    assert_eq!(shop.refusals(Code::DeviceRefused), 6);
}

#[tokio::test(flavor = "multi_thread")]
async fn which_certificates_of_devices_are_refused_in_the_handshake() {
    let shop = open().await;
    let addr = shop.addr();
    let elsewhere = tempfile::tempdir().expect("a directory");
    let store = StoreId::new("s01").expect("an id");
    let foreign = Authority::create(elsewhere.path(), &store, NOW).expect("it is made");
    let foreign = foreign.for_device("till-1", NOW).expect("it is made");
    let to_come = shop.authority.for_device("till-1", NOW.plus_ms(10 * DAY_MS)).expect("it is made");
    let mut forged = shop.authority.for_device("till-1", NOW).expect("it is made");
    let other_key = shop.authority.for_device("till-1", NOW).expect("it is made");
    // A certificate somebody else has the key of: the pair is refused before it is used.
    forged.key = other_key.key;
    assert!(
        Own::of_pem(forged.chain.as_bytes(), forged.key.as_bytes()).is_ok_and(|own| tls::client(
            shop.authority.pem().as_bytes(),
            Some(own),
            clock(NOW)
        )
        .is_err())
    );
    let configs: Vec<ClientConfig> =
        [&foreign, &to_come].map(|issued| shop.trusting(Some(issued), NOW)).into();
    let answers = tokio::task::spawn_blocking(move || {
        configs.into_iter().map(|config| connect(addr, config, &TILL)).collect::<Vec<_>>()
    });
    assert_eq!(answers.await.expect("no panic"), [None, None]);
    shop.counts(Code::GateTls, 2).await;
}

#[derive(Debug)]
struct Now;

impl TimeProvider for Now {
    fn current_time(&self) -> Option<UnixTime> {
        Some(UnixTime::since_unix_epoch(Duration::from_millis(NOW.0.unsigned_abs())))
    }
}

/// Shows a certificate that was seen on the network, and signs with a key of its own.
#[derive(Debug)]
struct Replaying(Arc<CertifiedKey>);

impl ResolvesClientCert for Replaying {
    fn resolve(&self, _: &[&[u8]], _: &[SignatureScheme]) -> Option<Arc<CertifiedKey>> {
        Some(Arc::clone(&self.0))
    }

    fn has_certs(&self) -> bool {
        true
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn is_a_certificate_replayed_without_its_key_refused() {
    let shop = open().await;
    let addr = shop.addr();
    let seen = shop.authority.for_device("kiosk-1", NOW).expect("it is made");
    let own = shop.authority.for_device("thief", NOW).expect("it is made");
    let kiosk = DeviceId::new("kiosk-1").expect("an id");
    shop.table.insert(DeviceLogin {
        password: None,
        certificate: Some(seen.fingerprint),
        ..DeviceLogin::with_password(kiosk, b"", [0; SALT_BYTES])
    });
    let with_key_of = |key: &Issued| {
        let chain = tls::certificates(seen.chain.as_bytes()).expect("it reads");
        let key = PrivateKeyDer::from_pem_slice(key.key.as_bytes()).expect("it reads");
        let key = rustls::crypto::ring::sign::any_supported_type(&key).expect("it signs");
        let mut roots = rustls::RootCertStore::empty();
        let [authority] = &tls::certificates(shop.authority.pem().as_bytes()).expect("it reads")[..] else {
            panic!("one authority")
        };
        roots.add(authority.clone()).expect("it is an authority");
        let provider = Arc::new(rustls::crypto::ring::default_provider());
        ClientConfig::builder_with_details(provider, Arc::new(Now))
            .with_protocol_versions(&[&rustls::version::TLS13])
            .expect("TLS 1.3")
            .with_root_certificates(roots)
            .with_client_cert_resolver(Arc::new(Replaying(Arc::new(CertifiedKey::new(chain, key)))))
    };
    let as_kiosk = Hello { client_id: "kiosk-1", user: Some("kiosk-1"), password: None, will: None };
    let configs = [with_key_of(&own), with_key_of(&seen)];
    let answers = tokio::task::spawn_blocking(move || configs.map(|config| connect(addr, config, &as_kiosk)));
    assert_eq!(answers.await.expect("no panic"), [None, Some(0)], "only with its own key");
    shop.counts(Code::GateTls, 1).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn is_a_certificate_of_a_device_that_has_ended_refused() {
    let shop = open_at(NOW.plus_ms(500 * DAY_MS)).await;
    let addr = shop.addr();
    let ended = shop.authority.for_device("till-1", NOW).expect("it is made");
    let config = shop.trusting(Some(&ended), NOW);
    let answer = tokio::task::spawn_blocking(move || connect(addr, config, &TILL));
    assert_eq!(answer.await.expect("no panic"), None);
    shop.counts(Code::GateTls, 1).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn what_does_a_device_refuse() {
    let shop = open().await;
    let addr = shop.addr();
    let elsewhere = tempfile::tempdir().expect("a directory");
    let foreign =
        Authority::create(elsewhere.path(), &StoreId::new("s01").expect("an id"), NOW).expect("it is made");
    let trusting = |now| shop.trusting(None, now);
    let tried = [
        ("localhost", trusting(NOW), None),
        ("127.0.0.1", trusting(NOW), None),
        ("other.example", trusting(NOW), Some(Refused::Name)),
        ("localhost", trusting(UnixMs(0)), Some(Refused::NotYet)),
        ("localhost", trusting(NOW.plus_ms(400 * DAY_MS)), Some(Refused::Expired)),
        (
            "localhost",
            tls::client(foreign.pem().as_bytes(), None, clock(NOW)).expect("an authority"),
            Some(Refused::Foreign),
        ),
    ];
    let answers = tokio::task::spawn_blocking(move || {
        tried.map(|(name, config, wanted)| {
            let refused = handshake(addr, config, name).err().map(|error| tls::refused(&error));
            (name, refused.map(|refused| refused.expect("a matter of TLS").0), wanted)
        })
    });
    for (name, refused, wanted) in answers.await.expect("no panic") {
        assert_eq!(refused, wanted, "{name}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn is_an_older_tls_or_plain_text_answered() {
    let shop = open().await;
    let addr = shop.addr();
    let mut roots = rustls::RootCertStore::empty();
    for certificate in tls::certificates(shop.authority.pem().as_bytes()).expect("it is one") {
        roots.add(certificate).expect("an authority");
    }
    let provider = Arc::new(rustls::crypto::ring::default_provider());
    let older = ClientConfig::builder_with_provider(provider)
        .with_protocol_versions(&[&rustls::version::TLS12])
        .expect("TLS 1.2")
        .with_root_certificates(roots)
        .with_no_client_auth();
    let answers = tokio::task::spawn_blocking(move || {
        let older = handshake(addr, older, "localhost").is_ok();
        (older, Raw::tcp(addr).connect(&TILL))
    });
    assert_eq!(answers.await.expect("no panic"), (false, None));
    shop.counts(Code::GateTls, 2).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn is_http_answered_where_nobody_enrols() {
    let shop = open().await;
    let (addr, config) = (shop.addr(), shop.trusting(None, NOW));
    let answer = tokio::task::spawn_blocking(move || {
        let mut stream = handshake(addr, config, "localhost").expect("it is trusted");
        stream.write_all(b"GET / HTTP/1.1\r\n\r\n").expect("it is sent");
        let mut bytes = Vec::new();
        // A connection that is cut is as good as one that ends.
        let _ = stream.read_to_end(&mut bytes);
        bytes
    });
    assert!(answer.await.expect("no panic").is_empty());
}

#[test]
fn is_the_boxs_certificate_made_anew_before_its_end_and_never_by_a_wrong_clock() {
    let dir = tempfile::tempdir().expect("a directory");
    let store = StoreId::new("s01").expect("an id");
    // Made with a dead battery: the authority is good all the same.
    let authority = Authority::create(dir.path(), &store, UnixMs(0)).expect("it is made");
    let again = Authority::load(dir.path()).expect("it reads").expect("it is there");
    assert_eq!(again.fingerprint(), authority.fingerprint());
    let names = ["box.shop".to_owned()];
    let until = |names: &[String], now| again.server(names, now, false).expect("it is made").1.until;
    let first = until(&names, NOW);
    assert_eq!(until(&names, NOW.plus_ms(300 * DAY_MS)), first, "it is good");
    assert_eq!(until(&names, UnixMs(0)), first, "a clock of 1970 renews nothing");
    let second = until(&names, NOW.plus_ms(340 * DAY_MS));
    assert!(second > first, "two months before its end");
    let more = ["box.shop".to_owned(), "192.0.2.7".to_owned()];
    assert!(until(&more, NOW.plus_ms(341 * DAY_MS)) > second, "for another name");
}
