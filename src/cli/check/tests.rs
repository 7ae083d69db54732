//! Boxes in every state, looked at: which probe finds what, with which code.

use super::*;
use crate::clock::ManualClock;

const KEY: &str = "aisled-ed25519:d75a980182b10ab7d54bfed3c964073a0ee172f3daa62325af021a68f707511a";

struct ShopBox {
    dir: tempfile::TempDir,
    now: UnixMs,
    running: bool,
    known: Known,
}

impl ShopBox {
    fn new() -> ShopBox {
        let dir = tempfile::tempdir().expect("there is a temporary directory");
        ShopBox { dir, now: UnixMs(limits::CLOCK_UNIX_MS_MIN), running: false, known: Known::default() }
    }

    fn path(&self, name: &str) -> PathBuf {
        self.dir.path().join(name)
    }

    /// Runs the check on a file with `more` in it; gives its report.
    fn report(&self, more: &str) -> (Exit, serde_json::Value) {
        let (exit, out) = self.told(more, (true, Lang::En));
        (exit, serde_json::from_str(&out).expect("it is JSON"))
    }

    fn told(&self, more: &str, (json, lang): (bool, Lang)) -> (Exit, String) {
        let file = self.path("aisled.toml");
        let text = format!("store.data_dir = {:?}\n{more}", self.dir.path());
        fs::write(&file, text).expect("it can be written");
        let clock = ManualClock::new(self.now);
        let environment = Environment::default();
        let around = Surroundings {
            environment: &environment,
            clock: Arc::new(clock),
            known: &|_| self.known.clone(),
        };
        let mut out = Vec::new();
        let args = CheckArgs { json, running: self.running };
        let exit = run(args, Some(&file), (&around, lang), &mut out).expect("memory takes it");
        (exit, String::from_utf8(out).expect("it is text"))
    }

    /// The findings' names and codes.
    fn check(&self, more: &str) -> (Exit, Vec<(String, String)>) {
        let (exit, report) = self.report(more);
        let found = (report["probes"].as_array().into_iter().flatten())
            .filter(|probe| probe["outcome"] != "ok")
            .map(|probe| {
                assert!(!probe["remedy"].as_str().unwrap_or_default().is_empty(), "{probe}");
                let text = |name: &str| probe[name].as_str().unwrap_or_default().to_owned();
                (text("name"), text("code"))
            })
            .collect();
        (exit, found)
    }

    /// What a box that is ready has: a key, a bundle and a free port.
    fn make_ready(&self) -> String {
        fs::create_dir_all(self.path("bundles")).expect("it can be made");
        fs::write(self.path(ACTIVE_BUNDLE), "bundle").expect("it can be written");
        format!("broker.listen = \"127.0.0.1:0\"\nbundle.trusted_keys = [\"{KEY}\"]\n")
    }
}

fn codes(found: &[(String, String)]) -> Vec<&str> {
    found.iter().map(|(_, code)| code.as_str()).collect()
}

#[test]
fn is_a_ready_box_well() {
    let ready = ShopBox::new();
    let config = ready.make_ready();
    assert_eq!(ready.check(&config), (Exit::Ok, Vec::new()));
    let left: Vec<_> = fs::read_dir(ready.dir.path()).expect("it is there").flatten().collect();
    assert_eq!(left.len(), 2, "the check leaves nothing behind: {left:?}");
}

#[test]
fn what_does_a_box_out_of_the_carton_lack() {
    let (exit, found) = ShopBox::new().check("broker.listen = \"127.0.0.1:0\"");
    assert_eq!((exit, codes(&found)), (Exit::Finding, vec!["AIS-4103", "AIS-2903"]));
}

#[test]
fn is_a_bundle_that_waits_for_the_daemon_told() {
    use crate::bundle::authoring::{self, Authored};
    use crate::bundle::keys::SecretKey;
    let files = crate::cli::bundle::EXAMPLE.iter();
    let files = files.map(|(name, text)| ((*name).to_owned(), text.as_bytes().to_vec()));
    let Authored { rules, members, codes } = authoring::read(files.collect::<Vec<_>>()).expect("it is right");
    let pack = |version, seed| {
        let key = SecretKey::from_seed(&[seed; 32]);
        packed::pack(version, UnixMs(0), &rules, &members, &codes, &key).expect("it packs")
    };
    let waiting = ShopBox::new();
    let inbox = waiting.path(INBOX);
    fs::create_dir_all(&inbox).expect("it can be made");
    let key = SecretKey::from_seed(&[1; 32]).public();
    let config = format!("broker.listen = \"127.0.0.1:0\"\nbundle.trusted_keys = [\"{key}\"]\n");
    let seen = || {
        let (exit, report) = waiting.report(&config);
        let probes = report["probes"].as_array().expect("a list").clone();
        let probe = probes.into_iter().find(|probe| probe["name"] == "bundle").expect("it is looked at");
        let text = |name: &str| probe[name].as_str().unwrap_or_default().to_owned();
        (exit, text("code"), text("cause"))
    };
    assert_eq!(seen().1, "AIS-2903", "nothing waits");
    fs::write(inbox.join("2.aisb"), pack(2, 1)).expect("it can be written");
    let (exit, _, cause) = seen();
    assert!(exit == Exit::Ok && cause.contains("version 2 waits") && cause.contains("verified"), "{cause}");
    fs::write(inbox.join("3.aisb"), pack(3, 9)).expect("it can be written");
    let (exit, code, cause) = seen();
    assert_eq!((exit, code.as_str()), (Exit::Finding, "AIS-3003"), "a key nobody trusts: {cause}");
    assert!(cause.contains("3.aisb") && cause.contains("version 2 waits"), "{cause}");
    fs::rename(inbox.join("2.aisb"), waiting.path(ACTIVE_BUNDLE)).expect("the daemon took it");
    fs::write(inbox.join("3.aisb"), pack(1, 1)).expect("it can be written");
    assert_eq!(seen().1, "AIS-3005", "older than the active one");
    fs::write(inbox.join("3.aisb"), pack(3, 1)).expect("it can be written");
    let (exit, _, cause) = seen();
    assert!(exit == Exit::Ok && cause.contains("version 3 waits"), "{cause}");
}

#[test]
fn is_a_broken_configuration_told_before_anything_is_probed() {
    assert_eq!(ShopBox::new().check("log.level = 3"), (Exit::Usage, Vec::new()));
}

#[test]
fn is_a_taken_port_named() {
    let taken = TcpListener::bind("127.0.0.1:0").expect("there is a free port");
    let ready = ShopBox::new();
    let config =
        ready.make_ready().replace("127.0.0.1:0", &taken.local_addr().expect("it is bound").to_string());
    assert_eq!(codes(&ready.check(&config).1), ["AIS-4104"]);
}

#[test]
fn are_head_office_and_broker_reached_or_named() {
    // What answers each CONNECT with this CONNACK, or hangs up.
    fn answering(code: Option<u8>) -> u16 {
        use std::io::Read;
        let open = TcpListener::bind("127.0.0.1:0").expect("there is a free port");
        let port = open.local_addr().expect("it is bound").port();
        std::thread::spawn(move || {
            for stream in open.incoming() {
                let mut stream = stream.expect("a connection");
                let said = stream.read(&mut [0; 256]).expect("it hears");
                if said > 0
                    && let Some(code) = code
                {
                    stream.write_all(&[0x20, 3, 0, code, 0]).expect("it is heard");
                }
            }
        });
        port
    }
    let gone = TcpListener::bind("127.0.0.1:0").expect("there is a free port");
    let nobody = gone.local_addr().expect("it is bound").port();
    drop(gone);
    let port = answering(Some(0));
    let ready = ShopBox::new();
    let own = ready.make_ready();
    let config = format!("{own}store.id = \"s\"\nhead_office.url = \"mqtt://127.0.0.1:{port}\"\n");
    assert_eq!(ready.check(&config), (Exit::Ok, Vec::new()));
    let outside = format!("{config}broker.mode = \"external\"\nbroker.url = \"mqtt://127.0.0.1:{port}\"\n");
    assert_eq!(ready.check(&outside), (Exit::Ok, Vec::new()));
    let other = |port_now: u16| outside.replace(&format!(":{port}"), &format!(":{port_now}"));
    assert_eq!(codes(&ready.check(&other(nobody)).1), ["AIS-4105", "AIS-4107"]);
    for (code, named) in [
        (Some(0x86), ["AIS-4111", "AIS-6006"]),
        (Some(0x87), ["AIS-4111", "AIS-6006"]),
        (Some(0x88), ["AIS-4111", "AIS-6005"]),
        (None, ["AIS-4105", "AIS-6002"]),
    ] {
        assert_eq!(codes(&ready.check(&other(answering(code))).1), named, "{code:?}");
    }
    let (_, report) = ready.report(&other(answering(Some(0x86))));
    let keys: Vec<&serde_json::Value> =
        report["probes"].as_array().expect("a list").iter().map(|probe| &probe["key"]).collect();
    assert!(keys.contains(&&serde_json::json!("head_office.username")), "{keys:?}");
    assert!(keys.contains(&&serde_json::json!("broker.username")), "{keys:?}");
    // A label of 64 letters is refused by the resolver itself: no name server is asked. And a name that is reserved for nobody.
    for name in [format!("{}.invalid", "x".repeat(64)), "office.invalid".to_owned()] {
        let unknown = config.replace(&format!("127.0.0.1:{port}"), &name);
        assert_eq!(codes(&ready.check(&unknown).1), ["AIS-4108", "AIS-4106"], "{name}");
    }
}

#[test]
fn are_missing_passwords_and_bad_devices_named() {
    let ready = ShopBox::new();
    let own = ready.make_ready();
    fs::write(ready.path("tills"), "till-1 open sesame\n").expect("it can be written");
    let config = format!("{own}broker.devices_file = \"tills\"\n");
    assert_eq!(codes(&ready.check(&config).1), ["AIS-4009"]);
    let office = "store.id = \"s\"\nhead_office.url = \"mqtt://127.0.0.1:1\"\nhead_office.username = \"s\"\n";
    let config = format!("{own}{office}head_office.password_file = \"none\"\n");
    assert_eq!(codes(&ready.check(&config).1), ["AIS-4010", "AIS-4107"]);
}

#[test]
fn is_everything_said_in_chinese_too() {
    let mut ready = ShopBox::new();
    let config = ready.make_ready();
    fs::write(ready.path("devices"), "till-1 open sesame\n").expect("it can be written");
    ready.known.last_decision = Some(ready.now.plus_ms(DAY_MS));
    let (exit, text) = ready.told(&config, (false, Lang::ZhCn));
    assert_eq!(exit, Exit::Finding, "{text}");
    for said in ["正常  配置", "可写入", "未运行", "1 个密钥", "上一条决策作出于", "项有问题"]
    {
        assert!(text.contains(said), "{said}: {text}");
    }
    // Every sentence of a daemon that runs and is hindered: what is a path or an address alone is the same in both.
    fs::remove_file(ready.path("devices")).expect("it is there");
    ready.running = true;
    ready.known.store =
        Some(Store { footing: "JournalOnly".to_owned(), code: Some(Code::Degraded), durable: 7 });
    ready.known.network = Some((Code::ModelShape, "use the network: it is empty".to_owned()));
    ready.known.head_office_ahead_ms = Some(-2_000);
    ready.known.last_decision = None;
    let report = |lang| -> serde_json::Value {
        let (_, text) = ready.told(&config, (true, lang));
        serde_json::from_str(&text).expect("JSON")
    };
    let (english, chinese) = (report(Lang::En), report(Lang::ZhCn));
    let probes = |report: &serde_json::Value| report["probes"].as_array().cloned().unwrap_or_default();
    for (english, chinese) in probes(&english).iter().zip(&probes(&chinese)) {
        assert_eq!(english["name"], chinese["name"]);
        assert_ne!(english["title"], chinese["title"]);
        assert!(english["cause"] != chinese["cause"] || english["name"] == "config", "{chinese}");
    }
}

#[test]
fn is_a_clock_of_1970_named() {
    let mut ready = ShopBox::new();
    let config = ready.make_ready();
    ready.now = UnixMs(0);
    assert_eq!(codes(&ready.check(&config).1), ["AIS-4109"]);
    ready.now = UnixMs(limits::CLOCK_UNIX_MS_MIN);
    ready.known.last_decision = Some(ready.now.plus_ms(limits::CHECK_CLOCK_BACK_MS));
    assert_eq!(codes(&ready.check(&config).1), Vec::<&str>::new(), "a correction of minutes");
    ready.known.last_decision = Some(ready.now.plus_ms(limits::CHECK_CLOCK_BACK_MS + 1));
    assert_eq!(codes(&ready.check(&config).1), ["AIS-4109"], "backwards");
    ready.known = Known { head_office_ahead_ms: Some(-600_000), ..Known::default() };
    assert_eq!(codes(&ready.check(&config).1), ["AIS-6004"], "far from head office's");
}

#[test]
fn is_each_device_told_and_one_whose_certificate_ends_named() {
    let mut ready = ShopBox::new();
    let config = ready.make_ready();
    let id = |name: &str| crate::domain::ids::DeviceId::new(name).expect("an id");
    let today = ready.now.0 / DAY_MS;
    let day = |days: i64| crate::domain::calendar::Day::from_number(today + days);
    let line = |name: &str, days: i64| format!("{name} cert:{} until={}\n", "a1".repeat(32), day(days));
    let notice = limits::CERTIFICATE_NOTICE_DAYS;
    let text = [line("a", -1), line("b", 0), line("c", notice - 1), line("d", notice)].concat();
    fs::write(ready.path("devices"), text).expect("it can be written");
    let found = ready.check(&config);
    let named = ["device a", "device b", "device c"].map(|name| (name.to_owned(), "AIS-7215".to_owned()));
    assert_eq!(found, (Exit::Finding, named.to_vec()));
    let since = ready.now;
    ready.known.present = [(id("d"), Presence { online: true, since })].into();
    let (_, report) = ready.report(&config);
    let told = report["probes"].as_array().expect("a list");
    let told = told.iter().find(|probe| probe["name"] == "device d").expect("it is told");
    let cause = told["cause"].as_str().unwrap_or_default();
    assert!(cause.starts_with("there since 2026-01-01") && cause.contains("good until"), "{cause}");
}

#[test]
fn is_a_bundle_that_is_older_than_promised_named() {
    use crate::bundle::authoring::{self, Authored};
    use crate::bundle::keys::SecretKey;
    let files = crate::cli::bundle::EXAMPLE.iter();
    let files = files.map(|(name, text)| ((*name).to_owned(), text.as_bytes().to_vec()));
    let Authored { rules, members, codes: single } =
        authoring::read(files.collect::<Vec<_>>()).expect("it is right");
    let mut ready = ShopBox::new();
    let config = ready.make_ready();
    let by = ready.now.plus_ms(DAY_MS);
    let terms = packed::Terms { mandate: None, newer_by: Some(by) };
    let key = SecretKey::from_seed(&[1; 32]);
    let bytes = packed::pack_under(terms, 1, ready.now, (&rules, &members, &single), &key);
    fs::write(ready.path(ACTIVE_BUNDLE), bytes.expect("it packs")).expect("it can be written");
    ready.now = by;
    assert_eq!(ready.check(&config).1, Vec::new());
    ready.now = by.plus_ms(1);
    assert_eq!(codes(&ready.check(&config).1), ["AIS-3014"]);
    ready.now = UnixMs(limits::CLOCK_UNIX_MS_MIN);
    let later = ready.now.plus_ms(limits::CLOCK_BEHIND_MS_MAX + 1);
    let bytes = packed::pack(2, later, &rules, &members, &single, &key).expect("it packs");
    fs::write(ready.path(ACTIVE_BUNDLE), bytes).expect("it can be written");
    assert_eq!(codes(&ready.check(&config).1), ["AIS-4109"], "signed after now");
}

#[test]
fn are_a_missing_directory_and_a_full_disk_named() {
    let dir = tempfile::tempdir().expect("there is a temporary directory");
    assert_eq!(probe_data_dir(&dir.path().join("none")).code, Some(Code::DataDirUnusable));
    let file = dir.path().join("file");
    fs::write(&file, "").expect("it can be written");
    assert_eq!(probe_data_dir(&file).code, Some(Code::DataDirUnusable));
    assert_eq!(probe_free_space(&dir.path().join("to/be/made"), 0).outcome, Outcome::Ok);
    assert_eq!(probe_free_space(dir.path(), u32::MAX).code, Some(Code::DiskSpaceLow));
}

#[test]
fn who_holds_the_lock() {
    use rustix::fs::{FlockOperation, flock};
    let mut ready = ShopBox::new();
    let config = ready.make_ready();
    ready.running = true;
    assert_eq!(ready.check(&config).0, Exit::NotRunning, "no lock file");
    let lock = fs::File::create(ready.path(LOCK_FILE)).expect("it can be made");
    assert_eq!(lock_holder(ready.dir.path()), None, "a file without a lock on it");
    flock(&lock, FlockOperation::NonBlockingLockExclusive).expect("nobody else has it");
    assert_eq!(lock_holder(ready.dir.path()), Some(Holder { pid: std::process::id() }));
    drop(lock);
    assert_eq!(lock_holder(ready.dir.path()), None, "let go");
}

#[test]
fn which_line_of_the_kernels_list_is_the_lock() {
    let locks = "1: POSIX  ADVISORY  WRITE 11 fe:00:77 0 EOF\n2: FLOCK  ADVISORY  WRITE 12 fe:00:78 0 EOF\n\
                 3: -> FLOCK  ADVISORY  WRITE 13 fe:00:77 0 EOF\n4: FLOCK  ADVISORY  READ 14 fe:00:77 0 EOF\n\
                 5: FLOCK  ADVISORY  WRITE 15 fe:00:77 0 EOF\n";
    let device = rustix::fs::makedev(0xfe, 0);
    assert_eq!(holder_in(locks, device, 77), Some(Holder { pid: 15 }));
    assert_eq!(holder_in(locks, device, 79), None);
}
