//! Is whoever plays with the box refused with a code, named once in the log however often they try, while a till sells on: the
//! whole program as a process, its broker and its console.

use std::io::{Read as _, Write as _};
use std::net::{SocketAddr, TcpStream};
use std::time::Duration;

use aisled::config::{DeviceLogin, SALT_BYTES};
use aisled::daemon::control::{self, Ask};
use aisled::domain::ids::DeviceId;
use serde_json::json;

use crate::child::{Daemon, prepare};
use crate::raw::{Hello, Raw, Said};
use crate::shop::line;

const TRIES: usize = 3;

fn hello<'a>(client_id: &'a str, user: &'a str, password: &'a str) -> Hello<'a> {
    Hello { client_id, user: Some(user), password: Some(password), will: None }
}

fn ask(addr: SocketAddr, request: &str) -> String {
    let mut stream = TcpStream::connect(addr).expect("it listens");
    stream.set_read_timeout(Some(Duration::from_secs(20))).expect("a socket");
    stream.write_all(request.as_bytes()).expect("it hears");
    let mut said = String::new();
    stream.read_to_string(&mut said).expect("it answers and ends in order");
    said
}

/// A basket priced, with texts in a language that may not exist.
fn quote(till: &mut Raw, id: &str, locale: &str) -> String {
    let basket = json!({ "lines": [line("1", "6901234000109", 1)] });
    let asked = json!({ "v": 1, "id": id, "data": { "basket": basket, "locale": locale } });
    assert_eq!(till.publish("aisle/1/s01/dev/till-1/req/quote", &asked.to_string(), false), Some(0));
    loop {
        match till.hear() {
            Said::Message { payload, .. } => return String::from_utf8(payload).expect("JSON"),
            Said::Gone | Said::Goodbye(_) => panic!("the till is shown out"),
            _ => {}
        }
    }
}

#[test]
fn is_each_foe_refused_and_named_once_while_a_till_sells() {
    let dir = tempfile::tempdir().expect("a directory");
    let data = dir.path().join("data");
    let config = prepare(dir.path(), &data);
    let till =
        DeviceLogin::with_password(DeviceId::new("till-1").expect("an id"), b"secret", [3; SALT_BYTES]);
    let file = dir.path().join("tills");
    std::fs::write(&file, format!("{till}\n")).expect("it is written");
    let text = std::fs::read_to_string(&config).expect("it is there");
    let devices = format!("[broker]\ndevices_file = \"{}\"\n", file.display());
    let text = format!("{}[console]\nlisten = \"127.0.0.1:0\"\n", text.replace("[broker]\n", &devices));
    std::fs::write(&config, text).expect("it is written");
    let daemon = Daemon::start(&config).expect("it starts");
    let status = || control::ask(&data, &Ask::Status).expect("it answers").expect("it runs");
    let console = (0..20_000).find_map(|_| {
        std::thread::yield_now();
        status()["console"].as_str().and_then(|addr| addr.parse::<SocketAddr>().ok())
    });
    let console = console.expect("the console is open");

    let mut till = Raw::tcp(daemon.addr);
    assert_eq!(till.connect(&hello("till-1", "till-1", "secret")), Some(0));
    assert_eq!(till.subscribe("aisle/1/s01/dev/till-1/rep/+"), Some(1));
    let priced = |till: &mut Raw, id: &str| {
        let said = quote(till, id, "zh-CN");
        assert!(said.contains("\"status\":200") && said.contains("\"total\":2300"), "{said}");
    };
    priced(&mut till, "till-1.before");

    let rebinding = "GET / HTTP/1.1\r\nHost: shop.evil.example\r\nConnection: close\r\n\r\n";
    let foreign = format!(
        "POST /logout HTTP/1.1\r\nHost: {console}\r\nOrigin: http://evil.example\r\nContent-Length: 0\r\nConnection: close\r\n\r\n"
    );
    for nth in 0..TRIES {
        let stolen = Raw::tcp(daemon.addr).connect(&hello("till-1", "till-1", "guess"));
        assert_eq!(stolen, Some(0x86), "another's name");
        let stolen = Raw::tcp(daemon.addr).connect(&hello("till-2", "till-1", "secret"));
        assert_eq!(stolen, Some(0x85), "another's client id");
        assert_eq!(till.publish("aisle/1/s01/dev/till-2/req/commit", "{}", false), Some(0x87));
        assert!(ask(console, rebinding).starts_with("HTTP/1.1 421"), "another name that points here");
        assert!(ask(console, &foreign).starts_with("HTTP/1.1 403"), "a page of another site");
        priced(&mut till, &format!("till-1.during-{nth}"));
    }
    // Heads that are begun and never end.
    let slow: Vec<TcpStream> = std::iter::repeat_with(|| {
        let mut stream = TcpStream::connect(console).expect("it listens");
        stream.set_read_timeout(Some(Duration::from_secs(20))).expect("a socket");
        stream.write_all(b"GET / HTTP/1.1\r\nX-Slow: ").expect("it hears");
        stream
    })
    .take(TRIES)
    .collect();
    for mut stream in slow {
        // Closed in order or reset, but closed.
        let ended = stream.read(&mut [0; 256]);
        assert!(!ended.is_err_and(|error| error.kind() == std::io::ErrorKind::WouldBlock), "it is held");
    }
    // A language nobody has is no fault: the shop's own is spoken.
    let (nobodys, own) = (quote(&mut till, "till-1.nobodys", "tlh-KX"), quote(&mut till, "till-1.own", ""));
    let without_id = |said: &str| {
        let mut said: serde_json::Value = serde_json::from_str(said).expect("JSON");
        assert_eq!(said["status"], 200, "{said}");
        for name in ["quote", "expires"] {
            said["data"][name].take();
        }
        said["data"].take()
    };
    assert_eq!(without_id(&nobodys), without_id(&own));

    let refused = status()["refused"].clone();
    for code in ["AIS-7201", "AIS-7202", "AIS-7203"] {
        assert_eq!(refused[code], json!(TRIES), "{code} in {refused}");
    }
    let ended = daemon.stop();
    assert_eq!(ended.code, Some(0), "{}", ended.said);
    for code in ["AIS-7201", "AIS-7202", "AIS-7203", "AIS-7207", "AIS-7501", "AIS-7502"] {
        let lines: Vec<&str> = ended.said.lines().filter(|line| line.contains(code)).collect();
        assert_eq!(lines.len(), 1, "{code}: {lines:#?}");
    }
    assert!(!ended.said.contains("secret") && !ended.said.contains("guess"), "{}", ended.said);
}
