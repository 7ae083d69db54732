//! aisled.toml as an operator meets it: is the manual true, is every error named at once and in its place, and do
//! secrets stay out?

use std::path::{Path, PathBuf};

use aisled::config::{
    Broker, Config, ConfigError, DATA_DIR_VARIABLE, Environment, Loaded, Origin, SecretSource, ServerUrl,
    TrustedKey,
};
use aisled::domain::code::Code;

/// RFC 8032, test 1: a real public key.
const KEY: &str = "aisled-ed25519:d75a980182b10ab7d54bfed3c964073a0ee172f3daa62325af021a68f707511a";

fn parse(text: &str) -> Result<Loaded, ConfigError> {
    Config::parse(Path::new("/etc/aisled/aisled.toml"), text, &Environment::default())
}

fn config(text: &str) -> Config {
    parse(text).map(|loaded| loaded.config).unwrap_or_else(|error| panic!("{text}\n{error}"))
}

/// Line, column, code and key of each problem.
fn problems(text: &str) -> Vec<(usize, usize, Code, String)> {
    let error = parse(text).expect_err("something is wrong");
    (error.problems.into_iter())
        .map(|problem| {
            let (line, column) = problem.position.map_or((0, 0), |at| (at.line, at.column));
            (line, column, problem.code, problem.key)
        })
        .collect()
}

fn commented_in() -> String {
    let line = |line: &str| match line.strip_prefix('#') {
        Some(setting) if setting.starts_with(|first: char| first.is_ascii_lowercase()) => setting.to_owned(),
        _ => line.to_owned(),
    };
    Config::default_text().lines().map(line).collect::<Vec<_>>().join("\n")
}

#[test]
fn are_the_manuals_values_the_built_in_defaults() {
    assert_eq!(config(&commented_in()), Config::default());
    assert_eq!(config(Config::default_text()), Config::default());
    assert_eq!(config(""), Config::default());
}

#[test]
fn which_paths_may_be_relative_as_the_manual_says() {
    let manual = Config::default_text();
    let says =
        "Paths are relative to this file unless they begin with /; only\n# store.data_dir must begin with /";
    assert!(manual.contains(says), "the manual says which");
    assert_eq!(
        problems("[store]\ndata_dir = \"data\""),
        [(2, 12, Code::ConfigValue, "store.data_dir".to_owned())]
    );
    let devices = "[broker]\nopen_on_loopback = false\ndevices_file = \"devices\"";
    let Broker::Embedded { devices_file, .. } = config(devices).broker else {
        panic!("the daemon's own broker")
    };
    assert_eq!(devices_file, Some(PathBuf::from("/etc/aisled/devices")));
}

#[test]
fn does_the_manual_hold_every_key_once_with_its_default() {
    let written = parse(&commented_in()).expect("the manual is right").settings;
    let built_in = parse("").expect("the empty file is right").settings;
    assert_eq!(written.len(), built_in.len());
    for (written, built_in) in written.iter().zip(&built_in) {
        assert!(matches!(written.origin, Origin::File(_)), "{} is not in the manual", written.key);
        assert_eq!((&written.key, &written.value), (&built_in.key, &built_in.value));
    }
}

#[test]
fn is_every_key_of_the_manual_explained_in_both_languages() {
    let mut explained = String::new();
    for line in Config::default_text().lines() {
        if line.is_empty() {
            explained.clear();
        } else if let Some(words) = line.strip_prefix("# ") {
            explained.push_str(words);
        } else if let Some(setting) = line.strip_prefix('#').filter(|rest| !rest.is_empty()) {
            assert!(explained.contains("Default"), "{setting}: no default told");
            assert!(explained.chars().any(|c| ('一'..='龥').contains(&c)), "{setting}: no Chinese");
        }
    }
}

#[test]
fn where_may_the_console_listen() {
    let console = |text: &str| config(&format!("[console]\n{text}")).console;
    assert_eq!(console("").map(|console| console.listen.to_string()).as_deref(), Some("127.0.0.1:8780"));
    assert_eq!(console("listen = \"\""), None);
    let tls = "listen = \"0.0.0.0:8780\"\ncertificate_file = \"c.pem\"\nkey_file = \"/k.pem\"\nhosts = [\"Shop.Example\"]";
    let open = console(tls).expect("with a certificate it may be seen");
    assert_eq!(open.tls, Some((PathBuf::from("/etc/aisled/c.pem"), PathBuf::from("/k.pem"))));
    assert_eq!(open.hosts, ["shop.example"]);
    let found = |text: &str| {
        problems(&format!("[console]\n{text}"))
            .into_iter()
            .map(|(.., code, key)| (code, key))
            .collect::<Vec<_>>()
    };
    assert_eq!(found("listen = \"0.0.0.0:8780\""), [(Code::ListenNotLoopback, "console.listen".to_owned())]);
    assert_eq!(found("key_file = \"k\""), [(Code::KeysContradict, "console.key_file".to_owned())]);
    assert_eq!(found("hosts = [\"http://x\"]")[0].0, Code::ConfigValue);
}

#[test]
fn are_five_errors_reported_as_five() {
    let text = "\
[store]
id = \"Shop 1\"
dta_dir = \"/data\"
[broker]
mode = \"embeded\"
[storage]
journal_retention_days = 7
[log]
level = 3
";
    assert_eq!(
        problems(text),
        [
            (2, 6, Code::ConfigValue, "store.id".to_owned()),
            (3, 1, Code::ConfigUnknownKey, "store.dta_dir".to_owned()),
            (5, 8, Code::ConfigValue, "broker.mode".to_owned()),
            (7, 26, Code::ConfigValue, "storage.journal_retention_days".to_owned()),
            (9, 9, Code::ConfigWrongType, "log.level".to_owned()),
        ]
    );
    let message = parse(text).expect_err("five are wrong").to_string();
    for part in [
        "/etc/aisled/aisled.toml:3:1: AIS-4003: store.dta_dir: unknown key, perhaps data_dir; allowed: id, data_dir",
        "is not one of them, perhaps embedded;",
        "allowed: a whole number 35 to 3650",
        "\"error\" or \"warn\" or \"info\" or \"debug\" or \"trace\"",
    ] {
        assert!(message.contains(part), "{part:?} is missing in\n{message}");
    }
}

#[test]
fn does_a_line_that_is_no_toml_hide_the_other_errors() {
    let found = problems(
        "[store]\nid = shop 1\ndata_dir = \"data\"\n[brokr]\nx = 1\n[log]\nlevel = \"info\"\nlevel = \"warn\"\n",
    );
    let codes: Vec<(usize, Code)> = found.iter().map(|(line, _, code, _)| (*line, *code)).collect();
    for expected in [
        (2, Code::ConfigSyntax),
        (3, Code::ConfigValue),
        (4, Code::ConfigUnknownKey),
        (8, Code::ConfigSyntax),
    ] {
        assert!(codes.contains(&expected), "{expected:?} is missing in {codes:?}");
    }
    assert!(
        codes.iter().filter(|(line, _)| *line == 2).all(|(_, code)| *code == Code::ConfigSyntax),
        "{codes:?}"
    );
}

#[test]
fn is_a_file_of_nothing_but_errors_told_in_bounds() {
    let bad_values: String = (0..5_000).map(|n| format!("x{n} = \n")).collect();
    let unknown_keys: String = (0..5_000).map(|n| format!("x{n} = {n}\n")).collect();
    let deep = format!("a = {}", "[".repeat(100_000));
    for (text, untold) in
        [(bad_values, "there is more"), (unknown_keys, "there is more"), (deep, "recursion")]
    {
        let error = parse(&text).expect_err("it is no configuration");
        assert!(error.problems.len() <= 201, "{}", error.problems.len());
        assert!(error.to_string().contains(untold), "{}", &error.to_string()[..200]);
    }
}

#[test]
fn is_a_column_counted_in_characters() {
    assert_eq!(problems("[log] # 日志\nx.店 = 1 \n\"级别\" = 1\n").len(), 2);
    let [(line, column, ..)] = &problems("log = { level = \"info\", format = \"日\", 级 = 1 }\n")[..]
    else {
        panic!("a bare key in Chinese is one syntax error, and what follows on its line is not told");
    };
    assert_eq!((*line, *column), (1, 39));
}

#[test]
fn which_words_are_refused_as_secrets() {
    let text = "[head_office]\npassword = \"hunter2\"\napi_token = \"hunter2\"\nurl = \"mqtts://shop:hunter2@head\"\n";
    let error = parse(text).expect_err("secrets have no place here");
    let codes: Vec<Code> = error.problems.iter().map(|problem| problem.code).collect();
    assert_eq!(codes, [Code::SecretInConfig, Code::SecretInConfig, Code::ConfigValue]);
    assert!(!error.to_string().contains("hunter2"), "{error}");
}

#[test]
fn which_keys_contradict_each_other() {
    let office = "[store]\nid = \"s\"\n[head_office]\nurl = \"mqtts://head\"\n";
    for (text, code, key) in [
        ("[broker]\nlisten = \"0.0.0.0:1883\"", Code::ListenNotLoopback, "broker.listen"),
        (
            "[broker]\nmode = \"external\"\nurl = \"mqtt://b\"\nlisten_tls = \"0.0.0.0:8883\"",
            Code::KeysContradict,
            "broker.listen_tls",
        ),
        (
            "[broker]\nmode = \"external\"\nurl = \"mqtt://b\"\nca_file = \"ca.pem\"",
            Code::KeysContradict,
            "broker.ca_file",
        ),
        (&format!("{office}cert_file = \"a.pem\""), Code::KeysContradict, "head_office.cert_file"),
        ("[broker]\nmode = \"external\"", Code::ConfigKeyMissing, "broker.url"),
        ("[broker]\nmode = \"external\"\nurl = \"\"", Code::ConfigKeyMissing, "broker.url"),
        ("[broker]\nurl = \"mqtt://localhost\"", Code::KeysContradict, "broker.url"),
        ("[broker]\nusername = \"a\"", Code::KeysContradict, "broker.username"),
        ("[broker]\nusername = \"a\"\npassword_file = \"p\"", Code::KeysContradict, "broker.username"),
        (
            "[broker]\nmode = \"external\"\nurl = \"mqtt://b\"\ndevices_file = \"d\"",
            Code::KeysContradict,
            "broker.devices_file",
        ),
        (
            "[head_office]\nusername = \"a\"\npassword_file = \"p\"",
            Code::KeysContradict,
            "head_office.username",
        ),
        ("[head_office]\nurl = \"mqtts://head\"", Code::ConfigKeyMissing, "store.id"),
        (&format!("{office}password_file = \"p\""), Code::KeysContradict, "head_office.password_file"),
    ] {
        let found: Vec<(Code, String)> =
            problems(text).into_iter().map(|(_, _, code, key)| (code, key)).collect();
        assert_eq!(found, [(code, key.to_owned())], "{text}");
    }
    assert!(config(office).head_office.is_some());
}

#[test]
fn does_one_refused_value_bring_no_second_complaint() {
    for text in [
        "[broker]\nmode = \"externl\"\nurl = \"mqtt://b\"",
        "[broker]\nmode = \"external\"\nurl = \"http://b\"",
        "[head_office]\nurl = \"head\"\nusername = \"a\"\npassword_file = \"p\"",
        "[broker]\nmode = \"external\"\nurl = \"mqtt://b\"\nusername = \"a\"\npassword_file = \"credential:../x\"",
        "store = 1",
        "[storage]\nsled_cache_mb = -1",
        "[storage]\nsled_cache_mb = 1.5",
        "[storage]\nsled_cache_mb = 99999999999999999999",
        "[store]\ndata_dir = \"data\"",
        "[[broker]]\nmode = \"embedded\"",
    ] {
        assert_eq!(problems(text).len(), 1, "{text}: {:?}", problems(text));
    }
}

#[test]
fn what_does_a_full_file_mean() {
    let text = format!(
        "[store]\nid = \"sh-021\"\ndata_dir = \"/srv/aisled\"
[broker]\nmode = \"external\"\nurl = \"mqtt://[::1]:1884\"\nusername = \"aisled\"\npassword_file = \"broker.password\"
[head_office]\nurl = \"mqtts://head-office.example\"\nusername = \"sh-021\"\npassword_file = \"credential:head-office-password\"
[bundle]\ntrusted_keys = [\n  \"{KEY}\", # current\n]
[storage]\nsled_cache_mb = 0x20
[devices]\nrequests_per_second_max = 1_000\n"
    );
    let config = config(&text);
    assert_eq!((config.store.id.as_str(), config.store.data_dir), ("sh-021", PathBuf::from("/srv/aisled")));
    let Broker::External { url, login: Some(login), .. } = config.broker else {
        panic!("the broker is external")
    };
    assert_eq!(url.to_string(), "mqtt://[::1]:1884");
    assert!(url.is_loopback());
    assert_eq!(login.password, SecretSource::File(PathBuf::from("/etc/aisled/broker.password")));
    let office = config.head_office.expect("there is a head office");
    assert_eq!(office.url, ServerUrl { tls: true, host: "head-office.example".to_owned(), port: 8883 });
    assert_eq!(
        office.login.map(|login| login.password),
        Some(SecretSource::Credential("head-office-password".to_owned()))
    );
    assert_eq!(config.bundle.trusted_keys.iter().map(TrustedKey::to_string).collect::<Vec<_>>(), [KEY]);
    assert_eq!((config.storage.sled_cache_mb, config.devices.requests_per_second_max), (32, 1_000));
}

#[test]
fn which_addresses_and_keys_are_refused() {
    for url in [
        "head",
        "http://head",
        "mqtt://",
        "mqtt://:1",
        "mqtt://a:0",
        "mqtt://a:65536",
        "mqtt://a/b",
        "mqtt://a b",
        "mqtt://[::1",
        "mqtt://[x]",
        "mqtt://[::1]x",
        "mqtt://u@h",
        "mqtt://a:1:2",
    ] {
        assert!(ServerUrl::parse(url).is_err(), "{url}");
    }
    let identity = format!("aisled-ed25519:01{}", "0".repeat(62));
    for key in [&KEY[1..], &KEY[..KEY.len() - 1], &KEY.replace('d', "x"), &identity, ""] {
        assert!(TrustedKey::parse(key).is_err(), "{key}");
    }
    let text = format!("[bundle]\ntrusted_keys = [\"{KEY}\", \"x\", 3, \"aisled-ed25519:00\"]");
    let places: Vec<usize> = problems(&text).iter().map(|(_, column, ..)| *column).collect();
    assert_eq!(places.len(), 3, "each bad entry is a problem of its own: {places:?}");
}

#[test]
fn what_may_the_environment_say() {
    let environment = Environment { data_dir: Some(PathBuf::from("/tmp/x")), ..Environment::default() };
    let loaded = Config::parse(Path::new("a.toml"), "[store]\ndata_dir = \"/srv\"", &environment)
        .expect("it is right");
    assert_eq!(loaded.config.store.data_dir, Path::new("/tmp/x"));
    let setting =
        loaded.settings.iter().find(|setting| setting.key == "store.data_dir").expect("it is a key");
    assert_eq!((&*setting.value, setting.origin), ("\"/tmp/x\"", Origin::Environment(DATA_DIR_VARIABLE)));
    let relative = Environment { data_dir: Some(PathBuf::from("x")), ..Environment::default() };
    assert!(Config::parse(Path::new("a.toml"), "", &relative).is_err());
}

#[test]
fn which_file_is_read() {
    let dir = tempfile::tempdir().expect("there is a temporary directory");
    let file = dir.path().join("a.toml");
    let named = Environment { config: Some(file.clone()), ..Environment::default() };
    let codes = |result: Result<Loaded, ConfigError>| {
        result.map_err(|error| error.problems.iter().map(|problem| problem.code).collect::<Vec<_>>())
    };
    assert_eq!(
        codes(Config::load(None, &named)),
        Err(vec![Code::ConfigUnreadable]),
        "a named file must be there"
    );
    std::fs::write(&file, "[store]\nid = \"here\"\n").expect("it can be written");
    assert_eq!(
        Config::load(None, &named).map(|loaded| loaded.config.store.id.to_string()),
        Ok("here".to_owned())
    );
    let other = dir.path().join("b.toml");
    std::fs::write(&other, "[store]\nid = \"there\"\n").expect("it can be written");
    let loaded = Config::load(Some(&other), &named).expect("the argument goes before the environment");
    assert_eq!((loaded.config.store.id.as_str(), loaded.file.as_deref()), ("there", Some(other.as_path())));
    assert_eq!(
        codes(Config::load(Some(dir.path()), &named)),
        Err(vec![Code::ConfigUnreadable]),
        "a directory"
    );
    std::fs::write(&file, vec![b'#'; 1024 * 1024 + 1]).expect("it can be written");
    assert_eq!(codes(Config::load(None, &named)), Err(vec![Code::ConfigUnreadable]), "a file too long");
}

#[test]
fn is_a_file_in_another_encoding_named_with_its_place() {
    let dir = tempfile::tempdir().expect("there is a temporary directory");
    let file = dir.path().join("gbk.toml");
    std::fs::write(&file, b"[store]\nid = \"a\" # \xc3\xc5\xb5\xea\n").expect("it can be written");
    let error = Config::load(Some(&file), &Environment::default()).expect_err("GBK is not UTF-8");
    assert!(error.to_string().contains("gbk.toml:2:12: AIS-4002: is not UTF-8"), "{error}");
}

#[test]
fn where_do_secrets_come_from_and_do_they_print() {
    let dir = tempfile::tempdir().expect("there is a temporary directory");
    std::fs::write(dir.path().join("p"), "hunter2 \r\n").expect("it can be written");
    std::fs::write(dir.path().join("empty"), "\n").expect("it can be written");
    let is_open_to = |name: &str, mode| {
        let mode = std::os::unix::fs::PermissionsExt::from_mode(mode);
        std::fs::set_permissions(dir.path().join(name), mode).expect("it is ours");
    };
    is_open_to("p", 0o600);
    is_open_to("empty", 0o600);
    let secret = |source: SecretSource, dir| source.read(dir).map(|secret| secret.expose().to_owned());
    let file = SecretSource::File(dir.path().join("p"));
    assert_eq!(secret(file.clone(), None).as_deref(), Ok("hunter2 "), "only the line end is not part of it");
    let credential = SecretSource::Credential("p".to_owned());
    assert_eq!(secret(credential.clone(), Some(dir.path())).as_deref(), Ok("hunter2 "));
    for (source, at) in [
        (credential, None),
        (SecretSource::File(dir.path().join("empty")), None),
        (SecretSource::File(dir.path().join("none")), None),
    ] {
        let error = source.read(at).expect_err("there is no secret");
        assert_eq!(error.problems[0].code, Code::SecretUnreadable, "{error}");
    }
    assert!(!format!("{:?}", file.read(None)).contains("hunter2"));
    for (mode, is_refused) in [(0o644, true), (0o604, true), (0o660, true), (0o640, false), (0o400, false)] {
        is_open_to("p", mode);
        let code = file.read(None).err().map(|error| error.problems[0].code);
        assert_eq!(code, is_refused.then_some(Code::SecretOpen), "{mode:o}");
    }
}
