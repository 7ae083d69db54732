//! Does `aisled check` walk to head office step by step and name what stands in the way: a real head office with each kind of
//! certificate, a shop with each kind of proof.

use std::path::Path;
use std::sync::Arc;

use aisled::cli::Exit;
use aisled::cli::check::{CheckArgs, Known, Surroundings, run};
use aisled::clock::{Clock, ManualClock, SystemClock};
use aisled::config::Environment;
use aisled::domain::calendar::UnixMs;
use aisled::domain::text::Lang;
use aisled::hub::server::{Hub, HubConfig};
use serde_json::Value;

use crate::certificates::{NOW, authority, client, office, server};
use crate::{anywhere, clock};

/// The head-office probes of `aisled check --json` on a shop `s1` with `more` in its configuration: name, code, key, remedy.
async fn checked(dir: &Path, more: &str, at: Arc<dyn Clock>, lang: Lang) -> (Exit, Vec<[String; 4]>) {
    let file = dir.join("aisled.toml");
    let text =
        format!("store.id = \"s1\"\nstore.data_dir = {dir:?}\nbroker.listen = \"127.0.0.1:0\"\n{more}");
    std::fs::write(&file, text).expect("it is written");
    let looked = tokio::task::spawn_blocking(move || {
        let environment = Environment::default();
        let known = &|_: &aisled::config::Config| Known::default();
        let around = Surroundings { environment: &environment, clock: at, known };
        let mut out = Vec::new();
        let args = CheckArgs { json: true, running: false };
        let exit = run(args, Some(&file), (&around, lang), &mut out).expect("memory takes it");
        (exit, serde_json::from_slice::<Value>(&out).expect("JSON"))
    });
    let (exit, report) = looked.await.expect("no panic");
    let probes = report["probes"].as_array().unwrap_or_else(|| panic!("{report}")).iter();
    let word = |probe: &Value, key: &str| probe[key].as_str().unwrap_or_default().to_owned();
    let probes = probes.map(|probe| ["name", "code", "key", "remedy"].map(|key| word(probe, key)));
    (exit, probes.filter(|[name, ..]| name.starts_with("head office")).collect())
}

fn put(dir: &Path, name: &str, bytes: &[u8]) {
    use std::os::unix::fs::PermissionsExt as _;
    std::fs::write(dir.join(name), bytes).expect("it is written");
    let mode = std::fs::Permissions::from_mode(0o600);
    std::fs::set_permissions(dir.join(name), mode).expect("it is ours");
}

fn system() -> Arc<dyn Clock> {
    Arc::new(SystemClock)
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn is_each_step_to_head_office_named_with_its_code_and_key() {
    let (chain, foreign) = (authority(), authority());
    let good = || server(&chain, "localhost", NOW);
    let shows = || client(&chain, "s1", NOW);
    let in_1970: Arc<dyn Clock> = Arc::new(ManualClock::new(UnixMs(0)));
    let cases = [
        ("well", good(), shows(), system(), "", ""),
        ("foreign", server(&foreign, "localhost", NOW), shows(), system(), "AIS-6003", "head_office.ca_file"),
        (
            "another name",
            server(&chain, "elsewhere.example", NOW),
            shows(),
            system(),
            "AIS-6010",
            "head_office.url",
        ),
        (
            "ended",
            server(&chain, "localhost", (2020, 2021)),
            shows(),
            system(),
            "AIS-6011",
            "head_office.url",
        ),
        ("not begun", server(&chain, "localhost", (2900, 3000)), shows(), system(), "AIS-6004", ""),
        ("a clock of 1970", good(), shows(), in_1970, "AIS-6004", ""),
        (
            "a foreign shop",
            good(),
            client(&foreign, "s1", NOW),
            system(),
            "AIS-6012",
            "head_office.cert_file",
        ),
        ("another shop", good(), client(&chain, "s2", NOW), system(), "AIS-6006", "head_office.username"),
    ];
    for (what, certificate, (own, key), at, code, mend) in cases {
        let office = office(certificate, &chain).await;
        let dir = tempfile::tempdir().expect("a directory");
        for (name, bytes) in
            [("ca.pem", chain.pem().as_bytes()), ("own.pem", own.as_slice()), ("own.key", key.as_slice())]
        {
            put(dir.path(), name, bytes);
        }
        let port = office.running.addr().port();
        let config = format!(
            "[head_office]\nurl = \"mqtts://localhost:{port}\"\nca_file = \"ca.pem\"\ncert_file = \"own.pem\"\nkey_file = \"own.key\"\n"
        );
        let (exit, probes) = checked(dir.path(), &config, at, Lang::ZhCn).await;
        assert_eq!(exit, Exit::Finding, "the box has no rules yet");
        let found: Vec<[&str; 2]> = (probes.iter())
            .filter(|[_, code, ..]| !code.is_empty())
            .map(|[_, code, key, _]| [code.as_str(), key.as_str()])
            .collect();
        let wanted = if code.is_empty() { Vec::new() } else { vec![[code, mend]] };
        assert_eq!(found, wanted, "{what}: {probes:?}");
        for [name, code, _, remedy] in probes.iter().filter(|[_, code, ..]| !code.is_empty()) {
            assert!(remedy.chars().any(|letter| letter > '\u{4e00}'), "{name} {code}: {remedy}");
        }
        if code.is_empty() {
            let names: Vec<&str> = probes.iter().map(|[name, ..]| name.as_str()).collect();
            let steps = ["head office name", "head office", "head office certificate", "head office login"];
            assert_eq!(names, steps, "each is told");
        }
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn is_a_head_office_that_is_nowhere_or_refuses_the_password_named() {
    let data = tempfile::tempdir().expect("a directory");
    let hub = HubConfig {
        password: Some("right".to_owned()),
        ..HubConfig::new(anywhere(), data.path().to_owned())
    };
    let hub = Hub::start(hub, clock()).await.expect("head office starts");
    let here = format!("mqtt://{}", hub.addr());
    let nobody = {
        let taken = std::net::TcpListener::bind("127.0.0.1:0").expect("a free port");
        format!("mqtt://{}", taken.local_addr().expect("it is bound"))
    };
    for (url, password, code, key) in [
        (here.as_str(), "right", "", ""),
        (here.as_str(), "wrong", "AIS-6006", "head_office.username"),
        (nobody.as_str(), "right", "AIS-4107", "head_office.url"),
    ] {
        let dir = tempfile::tempdir().expect("a directory");
        put(dir.path(), "password", password.as_bytes());
        let config =
            format!("[head_office]\nurl = \"{url}\"\nusername = \"s1\"\npassword_file = \"password\"\n");
        let (_, probes) = checked(dir.path(), &config, system(), Lang::En).await;
        let last = probes.last().expect("it is looked at");
        assert_eq!([last[1].as_str(), last[2].as_str()], [code, key], "{url} with {password}: {probes:?}");
    }
    let dir = tempfile::tempdir().expect("a directory");
    let config = "[head_office]\nurl = \"mqtts://head-office.invalid\"\n";
    let (_, probes) = checked(dir.path(), config, system(), Lang::En).await;
    assert_eq!(probes.len(), 1, "nothing behind the name is tried: {probes:?}");
    assert_eq!(probes[0][..3], ["head office name", "AIS-4106", "head_office.url"].map(str::to_owned));
}
