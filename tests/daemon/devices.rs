//! Does a device get its identity, use it, and lose it, while the daemon sells: from the shell, over the encrypted port, without a
//! restart.

use std::io::{Read as _, Write as _};
use std::net::{SocketAddr, TcpStream};
use std::os::unix::fs::PermissionsExt as _;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use aisled::cli::Exit;
use aisled::cli::backup::{BackupArgs, RestoreArgs};
use aisled::cli::{audit, backup, devices};
use aisled::clock::{Clock, SystemClock};
use aisled::config::{Broker, BrokerTls, Environment};
use aisled::daemon::control::Ask;
use aisled::domain::ids::DeviceId;
use aisled::gate::tls;
use clap::Parser;
use rustls::pki_types::ServerName;
use rustls::{ClientConfig, ClientConnection, StreamOwned};
use serde_json::{Value, json};

use crate::raw::{Hello, Raw, Said};
use crate::shop::{Shop, until};

#[derive(Parser)]
struct Devices {
    #[command(flatten)]
    args: devices::DevicesArgs,
}

#[derive(Parser)]
struct Audit {
    #[command(flatten)]
    args: audit::AuditArgs,
}

/// A shop on whose network devices prove who they are, and the shell beside it.
struct Desk {
    shop: Shop,
    file: PathBuf,
}

async fn open() -> Desk {
    let mut shop = Shop::open().await;
    shop.stop().await;
    let any: SocketAddr = "127.0.0.1:0".parse().expect("an address");
    shop.config.broker = Broker::Embedded {
        listen: any,
        open_on_loopback: false,
        devices_file: None,
        tls: Some(BrokerTls { listen: any, names: Vec::new() }),
    };
    shop.clock.advance_ms(1);
    shop.start().await;
    let file = shop.data().join("aisled.toml");
    let text = format!("[store]\nid = \"s01\"\ndata_dir = \"{}\"\n", shop.data().display());
    std::fs::write(&file, text).expect("it is written");
    Desk { shop, file }
}

impl Desk {
    /// What a verb says, whatever comes of it.
    fn devices(&self, words: &[&str]) -> Result<(Exit, String), String> {
        let args = Devices::try_parse_from([&["devices"], words].concat()).expect("it parses").args;
        let mut out = Vec::new();
        let exit = devices::run(&args, Some(&self.file), &Environment::default(), &mut out);
        let exit = exit.map_err(|error| format!("{error:#}"))?;
        Ok((exit, String::from_utf8(out).expect("text")))
    }

    fn json(&self, words: &[&str]) -> Value {
        let (exit, said) = self.devices(&[words, &["--json"]].concat()).expect("it works");
        assert_eq!(exit, Exit::Ok, "{said}");
        serde_json::from_str(&said).expect("one JSON value")
    }

    fn audit(&self, words: &[&str]) -> (Exit, String) {
        let args = Audit::try_parse_from([&["audit"], words].concat()).expect("it parses").args;
        let mut out = Vec::new();
        let exit = audit::run(&args, self.shop.data(), &mut out).expect("it reads");
        (exit, String::from_utf8(out).expect("text"))
    }

    fn tls_addr(&self) -> SocketAddr {
        self.shop.running.as_ref().and_then(|running| running.tls_addr).expect("it listens")
    }

    /// Believes the shop's authority, as shown on the box.
    fn believing(&self) -> ClientConfig {
        let shown = self.json(&["ca", "show"]);
        let clock: Arc<dyn Clock> = Arc::new(self.shop.clock.clone());
        let pem = shown["pem"].as_str().expect("a text");
        tls::client(pem.as_bytes(), None, clock).expect("an authority")
    }

    fn encrypted(&self) -> StreamOwned<ClientConnection, TcpStream> {
        let socket = TcpStream::connect(self.tls_addr()).expect("it listens");
        socket.set_read_timeout(Some(Duration::from_secs(20))).expect("a socket");
        let name = ServerName::try_from("localhost").expect("a name");
        let session = ClientConnection::new(Arc::new(self.believing()), name).expect("a configuration");
        StreamOwned::new(session, socket)
    }

    /// One HTTP request over the encrypted port: status and body.
    fn http(&self, request: &str) -> (String, String) {
        let mut stream = self.encrypted();
        stream.write_all(request.as_bytes()).expect("it is sent");
        let mut answer = String::new();
        stream.read_to_string(&mut answer).expect("it answers and ends in order");
        let (head, body) = answer.split_once("\r\n\r\n").expect("a head and a body");
        (head.lines().next().unwrap_or_default().to_owned(), body.to_owned())
    }

    fn enrol(&self, device: &str, code: &str) -> (String, Value) {
        let body = json!({ "device": device, "code": code }).to_string();
        let request = format!(
            "POST /enroll HTTP/1.1\r\nHost: localhost\r\nContent-Length: {}\r\n\r\n{body}",
            body.len()
        );
        let (status, body) = self.http(&request);
        (status, serde_json::from_str(&body).expect("a document"))
    }

    fn connects(&self, device: &str, password: &str) -> Option<Raw> {
        let mut raw = Raw::tcp(self.shop.addr());
        let hello = Hello { client_id: device, user: Some(device), password: Some(password), will: None };
        (raw.connect(&hello) == Some(0)).then_some(raw)
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn does_a_device_come_and_go_without_a_restart() {
    let desk = open().await;
    let added = desk.json(&["add", "till-1"]);
    let password = added["password"].as_str().expect("it is shown").to_owned();
    let mut held = None;
    until("the new device to be let in", || {
        held = desk.connects("till-1", &password);
        held.is_some()
    })
    .await;
    let refused = desk.devices(&["add", "till-1"]).expect_err("it is known");
    assert!(refused.contains("AIS-7212"), "{refused}");
    let list = desk.json(&["list"]);
    assert_eq!(
        list,
        json!([{ "device": "till-1", "role": "till", "password": true, "certificate": null, "certificate_until": null, "mosquitto": true }])
    );
    let rotated = desk.json(&["rotate", "till-1"]);
    let mut held = held.expect("it is in");
    let said = tokio::task::spawn_blocking(move || held.hear()).await.expect("no panic");
    assert!(matches!(said, Said::Gone | Said::Goodbye(_)), "the old proof is shown out: {said:?}");
    assert!(desk.connects("till-1", &password).is_none());
    let password = rotated["password"].as_str().expect("it is shown").to_owned();
    let mut held = desk.connects("till-1", &password).expect("the new proof holds");
    desk.devices(&["remove", "till-1"]).expect("it is known");
    let said = tokio::task::spawn_blocking(move || held.hear()).await.expect("no panic");
    assert!(matches!(said, Said::Gone | Said::Goodbye(_)), "{said:?}");
    assert!(desk.connects("till-1", &password).is_none());
    assert!(desk.devices(&["rotate", "till-1"]).expect_err("it is gone").contains("AIS-7211"));
    let (exit, acts) = desk.audit(&["show"]);
    assert_eq!(exit, Exit::Ok);
    for act in ["bundle.activate", "authority.make", "device.add", "device.rotate", "device.remove"] {
        assert!(acts.contains(act), "{act} is not in\n{acts}");
    }
    assert!(!acts.contains(&password), "no secret is written down");
    assert_eq!(desk.audit(&["verify"]).0, Exit::Ok);
    let refused = desk.shop.status()["refused"]["AIS-7201"].as_u64();
    assert!(refused.is_some_and(|count| count >= 2), "refusals are counted: {refused:?}");
}

#[tokio::test(flavor = "multi_thread")]
async fn does_a_code_become_an_identity_once() {
    let desk = open().await;
    let given = desk.json(&["enroll", "kiosk-7", "--role", "kiosk"]);
    let code = given["enrolment_code"].as_str().expect("a code").to_owned();
    let (status, pem) = desk.http("GET /ca.pem HTTP/1.1\r\nHost: localhost\r\n\r\n");
    assert_eq!(status, "HTTP/1.1 200 OK");
    let certificate = &tls::certificates(pem.as_bytes()).expect("a certificate")[0];
    let fingerprint: String =
        tls::fingerprint(certificate).iter().map(|byte| format!("{byte:02x}")).collect();
    assert_eq!(given["fingerprint"], json!(fingerprint));
    assert_eq!(desk.enrol("till-8", &code).1["code"], json!("AIS-7221"), "of another device");
    let (status, identity) = desk.enrol("kiosk-7", &code.to_lowercase());
    assert_eq!(status, "HTTP/1.1 200 OK", "{identity}");
    assert_eq!((&identity["role"], &identity["store"]), (&json!("kiosk"), &json!("s01")));
    assert_eq!(desk.enrol("kiosk-7", &code).1["code"], json!("AIS-7221"), "a second time");
    let password = identity["password"].as_str().expect("a password").to_owned();
    let mut kiosk = Raw::over(desk.encrypted());
    let hello = Hello { client_id: "kiosk-7", user: Some("kiosk-7"), password: Some(&password), will: None };
    assert_eq!(kiosk.connect(&hello), Some(0), "at once, over the encrypted port");
    assert_eq!(kiosk.publish("aisle/1/s01/dev/kiosk-7/req/commit", "{}", false), Some(0x87), "it is a kiosk");
    assert_eq!(kiosk.publish("aisle/1/s01/dev/kiosk-7/req/scan", "{}", false), Some(0));
    assert_eq!(kiosk.subscribe("aisle/1/s01/dev/kiosk-7/evt/+"), Some(1));
    assert!(kiosk.ping());
    kiosk.leave_with_will();
    assert!(desk.audit(&["show"]).1.contains("device.enroll"));
    let (status, problem) = desk.http("GET /favicon.ico HTTP/1.1\r\nHost: localhost\r\n\r\n");
    assert!(status.contains("400") && problem.contains("AIS-7223"), "{status} {problem}");
}

/// Every file and folder below, with its mode.
fn modes(dir: &Path) -> Vec<(PathBuf, u32)> {
    let mut found = Vec::new();
    for entry in std::fs::read_dir(dir).expect("it is there").flatten() {
        let metadata = entry.metadata().expect("it is there");
        found.push((entry.path(), metadata.permissions().mode() & 0o777));
        if metadata.is_dir() {
            found.extend(modes(&entry.path()));
        }
    }
    found
}

#[tokio::test(flavor = "multi_thread")]
async fn do_tills_connect_to_a_spare_box_with_what_they_have() {
    let mut desk = open().await;
    // Certificates of devices are made by the machine's clock.
    desk.shop.clock.set(SystemClock.now());
    let proofs = tempfile::tempdir().expect("a directory");
    let proofs_dir = proofs.path().display().to_string();
    let password = desk.json(&["add", "till-1"])["password"].as_str().expect("it is shown").to_owned();
    desk.json(&["add", "kiosk-1", "--role", "kiosk", "--certificate", &proofs_dir]);
    let listed = desk.json(&["list"]);
    let until = listed[0]["certificate_until"].as_str().expect("a day");
    assert!(until.parse::<aisled::domain::calendar::Day>().is_ok(), "{listed}");
    aisled::console::Users::new(desk.shop.data())
        .add("ada", aisled::console::Role::Admin, desk.shop.clock.now())
        .expect("is added");
    let pem = |name: &str| std::fs::read(proofs.path().join(name)).expect("it is there");
    let trust = desk.json(&["ca", "show"])["pem"].as_str().expect("a text").to_owned();

    let elsewhere = tempfile::tempdir().expect("a directory");
    let (kept, spare) = (elsewhere.path().join("backup"), elsewhere.path().join("spare"));
    let (mut out, args) = (Vec::new(), BackupArgs { to: kept.clone(), json: false });
    let exit = backup::take(&args, desk.shop.data(), &mut out).expect("it is taken while it sells");
    let said = String::from_utf8(out).expect("text");
    assert_eq!(exit, Exit::Ok, "{said}");
    assert!(said.contains("devices    in it; keys of the shop's authority in it"), "{said}");
    for (path, mode) in modes(&kept) {
        assert_eq!(mode, if path.is_dir() { 0o700 } else { 0o600 }, "{}", path.display());
    }
    desk.shop.stop().await;
    let args = RestoreArgs { from: kept, check: false, epoch: None, forgotten: None, json: false };
    let exit = backup::restore(&args, &spare, &mut Vec::new()).expect("it is put back");
    assert_eq!(exit, Exit::Ok);
    std::fs::remove_dir_all(desk.shop.data()).expect("the old box is gone");

    desk.shop.config.store.data_dir = spare;
    desk.shop.clock.advance_ms(1);
    desk.shop.start().await;
    assert!(desk.connects("till-1", &password).is_some(), "with its password");
    let own = tls::Own::of_pem(&pem("kiosk-1.pem"), &pem("kiosk-1.key")).expect("a pair");
    let clock: Arc<dyn Clock> = Arc::new(desk.shop.clock.clone());
    let config = tls::client(trust.as_bytes(), Some(own), clock).expect("an authority");
    let socket = TcpStream::connect(desk.tls_addr()).expect("it listens");
    let name = ServerName::try_from("localhost").expect("a name");
    let session = ClientConnection::new(Arc::new(config), name).expect("a configuration");
    let mut kiosk = Raw::over(StreamOwned::new(session, socket));
    let hello = Hello { client_id: "kiosk-1", user: Some("kiosk-1"), password: None, will: None };
    assert_eq!(kiosk.connect(&hello), Some(0), "with its certificate, believing the authority it knows");
    let (exit, acts) = desk.audit(&["show"]);
    assert_eq!(exit, Exit::Ok);
    for act in ["device.add", "backup.take", "restore"] {
        // The backup's own act was written after its files.
        assert_eq!(acts.contains(act), act != "backup.take", "{act} in\n{acts}");
    }
    assert_eq!(desk.audit(&["verify"]).0, Exit::Ok, "the chain goes on");
    let users = aisled::console::Users::new(desk.shop.data()).list().expect("it reads");
    assert_eq!(users.len(), 1);
}

#[tokio::test(flavor = "multi_thread")]
async fn can_a_device_enrol_where_nothing_is_encrypted() {
    let shop = Shop::open().await;
    let device = DeviceId::new("till-1").expect("an id");
    let refused = shop.ask(&Ask::Enroll { device, role: None });
    assert_eq!(refused["code"], json!("AIS-7222"), "{refused}");
}
