//! `aisled check`: is this box ready to sell, and if not, what to do about it?
//!
//! Each probe answers ok, warn or fail with a code, a cause, the key that mends it and the code's remedy. Invariants:
//! a probe changes nothing that a running daemon could notice (the lock is looked up in the kernel's list, never
//! tried; the only file written is a trial one, removed at once) and ends within `CHECK_CONNECT_TIMEOUT_MS` per address,
//! name resolution within the resolver's own patience. A daemon that is not running is no finding, unless
//! `--running` asks for it: the check is for before the first start too.

use std::fmt::Write as _;
use std::fs;
use std::io::{BufReader, Write};
use std::net::{SocketAddr, TcpListener, TcpStream, ToSocketAddrs};
use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};
use std::time::Duration;

use clap::Args;
use serde::Serialize;

use super::Exit;
use super::bundle::{EXTENSION, INBOX};
use super::config::write_error;
use crate::bundle::keys::PublicKey;
use crate::bundle::packed::{self, Admission};
use crate::clock::Clock;
use crate::config::{Broker, Config, DeviceLogin, Environment, Loaded, Login, ServerUrl};
use crate::domain::calendar::UnixMs;
use crate::domain::code::Code;
use crate::domain::text::Lang;
use crate::limits;
use crate::storage::lock::LOCK_FILE;

/// Arguments of `check`.
#[derive(Args, Clone, Copy, Debug, Default)]
pub struct CheckArgs {
    /// Print one JSON object
    #[arg(long)]
    pub json: bool,
    /// Exit with 3 unless the daemon is running
    #[arg(long)]
    pub running: bool,
}

/// What a probe found.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Outcome {
    /// As it should be.
    Ok,
    /// Selling goes on, but someone should look.
    Warn,
    /// The daemon would not start, or not do its work.
    Fail,
}

/// One probe's answer.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Probe {
    /// What was looked at.
    pub name: &'static str,
    /// What was found.
    pub outcome: Outcome,
    /// The stable code of a finding.
    pub code: Option<Code>,
    /// What was seen.
    pub cause: String,
    /// The key that mends it, `section.key`; empty if none does.
    pub key: &'static str,
    /// What to do about a finding.
    pub remedy: String,
}

impl Probe {
    /// As it should be.
    pub fn ok(name: &'static str, seen: impl Into<String>) -> Probe {
        Probe { name, outcome: Outcome::Ok, code: None, cause: seen.into(), key: "", remedy: String::new() }
    }

    /// A finding; the remedy is the code's.
    pub fn finding(
        name: &'static str,
        outcome: Outcome,
        code: Code,
        key: &'static str,
        cause: impl Into<String>,
    ) -> Probe {
        let remedy = code.remedy(Lang::En).to_owned();
        Probe { name, outcome, code: Some(code), cause: cause.into(), key, remedy }
    }

    fn in_language(self, lang: Lang) -> Probe {
        match self.code {
            Some(code) => Probe { remedy: code.remedy(lang).to_owned(), ..self },
            None => self,
        }
    }
}

/// Looks at the active bundle's file under this configuration: a sentence about it, or a code and a cause.
pub type BundleProbe = dyn Fn(&Path, &Config) -> Result<String, (Code, String)>;

/// What the check needs from elsewhere.
pub struct Surroundings<'a> {
    /// This process's environment.
    pub environment: &'a Environment,
    /// The clock.
    pub clock: &'a dyn Clock,
    /// The language of remedies.
    pub lang: Lang,
    /// Looks at the active bundle; `bundle_is_there` looks for its file only.
    pub bundle: &'a BundleProbe,
}

/// The active bundle, below the data directory.
pub const ACTIVE_BUNDLE: &str = "bundles/active.aisb";

/// The plainest look at a bundle: is there a file?
pub fn bundle_is_there(file: &Path, _config: &Config) -> Result<String, (Code, String)> {
    match fs::metadata(file) {
        Ok(metadata) if metadata.is_file() => Ok(format!("{}, {} bytes", file.display(), metadata.len())),
        Ok(_) => Err((Code::NoBundle, format!("{} is no file", file.display()))),
        Err(cause) => Err((Code::NoBundle, format!("{}: {cause}", file.display()))),
    }
}

/// Runs every probe and prints what they found. `file` is the program's `--config`.
pub fn run(
    args: CheckArgs,
    file: Option<&Path>,
    around: &Surroundings<'_>,
    out: &mut dyn Write,
) -> std::io::Result<Exit> {
    let loaded = match Config::load(file, around.environment) {
        Ok(loaded) => loaded,
        Err(error) => return write_error(&error, args.json, out),
    };
    let holder = lock_holder(&loaded.config.store.data_dir);
    let probes: Vec<Probe> =
        probes(&loaded, holder, around).into_iter().map(|probe| probe.in_language(around.lang)).collect();
    let worst = probes.iter().map(|probe| probe.outcome).max().unwrap_or(Outcome::Ok);
    let running = holder.is_some();
    if args.json {
        let report = serde_json::json!({ "outcome": worst, "running": running, "probes": probes });
        writeln!(out, "{report:#}")?;
    } else {
        out.write_all(text(&probes).as_bytes())?;
    }
    Ok(match worst {
        _ if args.running && !running => Exit::NotRunning,
        Outcome::Ok => Exit::Ok,
        Outcome::Warn | Outcome::Fail => Exit::Finding,
    })
}

/// Every probe, in the order in which one rests on another.
fn probes(loaded: &Loaded, holder: Option<Holder>, around: &Surroundings<'_>) -> Vec<Probe> {
    let mut probes = vec![probe_config(loaded)];
    probes.extend(probes_of(&loaded.config, holder, around));
    probes
}

/// Every probe of a configuration that was read.
pub(crate) fn probes_of(config: &Config, holder: Option<Holder>, around: &Surroundings<'_>) -> Vec<Probe> {
    let data_dir = &config.store.data_dir;
    let mut probes = vec![probe_data_dir(data_dir)];
    probes.push(probe_free_space(data_dir, config.storage.free_space_min_mb));
    probes.push(match holder {
        Some(Holder { pid }) => Probe::ok("daemon", format!("running as process {pid}")),
        None => Probe::ok("daemon", "not running"),
    });
    probes.push(probe_trusted_keys(config));
    probes.push(probe_bundle(config, holder.is_some(), around.bundle));
    probes.extend(probe_secrets(config, around.environment.credentials_dir.as_deref()));
    probes.push(probe_broker(&config.broker, holder.is_some()));
    probes.extend(probe_devices_file(&config.broker));
    if let Some(office) = &config.head_office {
        probes.extend(probe_head_office(&office.url));
    }
    probes.push(probe_clock(around.clock.now()));
    probes
}

fn probe_config(loaded: &Loaded) -> Probe {
    match &loaded.file {
        Some(file) => Probe::ok("config", file.display().to_string()),
        None => Probe::ok("config", "no file: all defaults"),
    }
}

fn probe_data_dir(dir: &Path) -> Probe {
    let unusable = |cause: String| {
        Probe::finding("data directory", Outcome::Fail, Code::DataDirUnusable, "store.data_dir", cause)
    };
    match fs::metadata(dir) {
        Err(cause) => return unusable(format!("{}: {cause}", dir.display())),
        Ok(metadata) if !metadata.is_dir() => return unusable(format!("{} is no directory", dir.display())),
        Ok(_) => {}
    }
    // Permission bits do not tell of read-only mounts, quotas or a full disk; a byte on the disk does.
    let trial = tempfile::Builder::new().prefix(".check-").tempfile_in(dir).and_then(|mut file| {
        file.write_all(b"x")?;
        file.as_file().sync_data()
    });
    match trial {
        Ok(()) => Probe::ok("data directory", format!("{} can be written", dir.display())),
        Err(cause) => unusable(format!("{} cannot be written: {cause}", dir.display())),
    }
}

fn probe_free_space(dir: &Path, free_min_mb: u32) -> Probe {
    let name = "free space";
    // A directory that is still to be made will lie on the disk of the nearest one above it.
    let there = dir.ancestors().find(|dir| dir.exists()).unwrap_or(dir);
    match rustix::fs::statvfs(there) {
        Err(cause) => Probe::finding(
            name,
            Outcome::Warn,
            Code::DataDirUnusable,
            "store.data_dir",
            format!("{}: {cause}", dir.display()),
        ),
        Ok(stat) => {
            let free_mb = stat.f_bavail.saturating_mul(stat.f_frsize) / (1024 * 1024);
            let seen = format!("{free_mb} MiB free, at least {free_min_mb} wanted");
            if free_mb >= u64::from(free_min_mb) {
                Probe::ok(name, seen)
            } else {
                Probe::finding(name, Outcome::Warn, Code::DiskSpaceLow, "storage.free_space_min_mb", seen)
            }
        }
    }
}

/// Who holds the lock of a data directory.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Holder {
    /// Its process id.
    pub pid: u32,
}

/// Who holds the lock of this data directory, from the kernel's list of locks; `None` if nobody does. Trying the lock would
/// tell as well, but a daemon that starts in that moment would be turned away.
pub fn lock_holder(data_dir: &Path) -> Option<Holder> {
    let metadata = fs::metadata(data_dir.join(LOCK_FILE)).ok()?;
    let locks = fs::read_to_string("/proc/locks").ok()?;
    holder_in(&locks, metadata.dev(), metadata.ino())
}

/// Finds an exclusive flock of a file in the text of `/proc/locks`, whose lines are
/// `1: FLOCK  ADVISORY  WRITE 4242 fe:00:131074 0 EOF` (device in hexadecimal, inode in decimal).
fn holder_in(locks: &str, device: u64, inode: u64) -> Option<Holder> {
    let wanted = format!("{:02x}:{:02x}:{inode}", rustix::fs::major(device), rustix::fs::minor(device));
    locks.lines().find_map(|line| {
        let mut words = line.split_whitespace().skip(1);
        // A line with an arrow is a process that waits for the lock.
        let holds = words.next() == Some("FLOCK") && words.next().is_some() && words.next() == Some("WRITE");
        let pid = words.next()?.parse().ok()?;
        (holds && words.next() == Some(&wanted)).then_some(Holder { pid })
    })
}

fn probe_trusted_keys(config: &Config) -> Probe {
    match config.bundle.trusted_keys.len() {
        0 => Probe::finding(
            "trusted keys",
            Outcome::Fail,
            Code::NoTrustedKey,
            "bundle.trusted_keys",
            "there is none: no bundle would be taken",
        ),
        1 => Probe::ok("trusted keys", "1 key"),
        count => Probe::ok("trusted keys", format!("{count} keys")),
    }
}

/// The active bundle, and what `bundle install` left for the daemon: a box that is about to take one is ready.
fn probe_bundle(config: &Config, is_running: bool, active: &BundleProbe) -> Probe {
    let file = config.store.data_dir.join(ACTIVE_BUNDLE);
    let active = active(&file, config);
    let floor = fs::File::open(&file).ok().and_then(|file| packed::reference(BufReader::new(file)).ok());
    let (waiting, refused) = inbox(config, floor.map_or(0, |reference| reference.version));
    let when = if is_running { "takes it within a second" } else { "takes it when it starts" };
    let waits =
        waiting.map(|version| format!("version {version} waits in the inbox, verified; the daemon {when}"));
    let is_ready = active.is_ok() || waits.is_some();
    let (seen, missing) = match active {
        Ok(seen) => (Some(seen), None),
        Err(missing) => (None, Some(missing)),
    };
    if let Some((code, cause)) = refused {
        let outcome = if is_ready { Outcome::Warn } else { Outcome::Fail };
        let cause: Vec<String> = [Some(cause), waits].into_iter().flatten().collect();
        return Probe::finding("bundle", outcome, code, "", cause.join("; "));
    }
    match missing {
        Some((code, cause)) if !is_ready => Probe::finding("bundle", Outcome::Fail, code, "", cause),
        _ => Probe::ok("bundle", [seen, waits].into_iter().flatten().collect::<Vec<_>>().join("; ")),
    }
}

/// What waits for the daemon: the newest version it would take, and why it would refuse the last of the others.
fn inbox(config: &Config, floor: u64) -> (Option<u64>, Option<(Code, String)>) {
    let keys = config.bundle.trusted_keys.iter().filter_map(|key| key.to_string().parse().ok());
    let trusted: Vec<PublicKey> = keys.collect();
    let admission = Admission { trusted: &trusted, floor, store: Some(&config.store.id) };
    let entries = fs::read_dir(config.store.data_dir.join(INBOX)).into_iter().flatten().flatten();
    let is_bundle = |path: &PathBuf| path.extension().is_some_and(|extension| extension == EXTENSION);
    let mut files: Vec<PathBuf> = entries.map(|entry| entry.path()).filter(is_bundle).collect();
    files.sort();
    let (mut newest, mut refused) = (None, None);
    for file in files {
        let opened = fs::File::open(&file).map_err(packed::BundleError::from);
        match opened.and_then(|file| packed::open(BufReader::new(file), &admission)) {
            Ok(opened) => newest = newest.max(Some(opened.reference.version)),
            Err(error) => {
                let cause = format!("{} waits in the inbox and would be refused: {error}", file.display());
                refused = Some((error.code(), cause));
            }
        }
    }
    (newest, refused)
}

fn probe_secrets(config: &Config, credentials_dir: Option<&Path>) -> Vec<Probe> {
    let broker_login = match &config.broker {
        Broker::External { login, .. } => login.as_ref(),
        Broker::Embedded { .. } => None,
    };
    let office_login = config.head_office.as_ref().and_then(|office| office.login.as_ref());
    let probe = |name, key, login: &Login| match login.password.read(credentials_dir) {
        Ok(_) => Probe::ok(name, "can be read"),
        Err(error) => Probe::finding(name, Outcome::Fail, Code::SecretUnreadable, key, error.to_string()),
    };
    let broker = broker_login.map(|login| probe("broker password", "broker.password_file", login));
    let office = office_login.map(|login| probe("head office password", "head_office.password_file", login));
    broker.into_iter().chain(office).collect()
}

fn probe_devices_file(broker: &Broker) -> Option<Probe> {
    let Broker::Embedded { devices_file: Some(file), .. } = broker else { return None };
    Some(match DeviceLogin::load(file) {
        Ok(logins) => Probe::ok("devices", format!("{} in {}", logins.len(), file.display())),
        Err(error) => Probe::finding(
            "devices",
            Outcome::Fail,
            error.problems[0].code,
            "broker.devices_file",
            error.to_string().replace('\n', "; "),
        ),
    })
}

/// The broker must answer if it should run by now; an embedded one of a daemon that is not running needs its port free.
fn probe_broker(broker: &Broker, is_running: bool) -> Probe {
    match broker {
        Broker::Embedded { listen, .. } if !is_running => match TcpListener::bind(listen) {
            Ok(_) => Probe::ok("broker", format!("{listen} is free")),
            Err(cause) => Probe::finding(
                "broker",
                Outcome::Fail,
                Code::BrokerPortTaken,
                "broker.listen",
                format!("{listen}: {cause}"),
            ),
        },
        Broker::Embedded { listen, .. } => match connect(&[*listen]) {
            Ok(address) => Probe::ok("broker", format!("{address} answers")),
            Err(cause) => {
                Probe::finding("broker", Outcome::Fail, Code::BrokerNotReached, "broker.listen", cause)
            }
        },
        Broker::External { url, .. } => match resolve(url).and_then(|addresses| connect(&addresses)) {
            Ok(address) => Probe::ok("broker", format!("{url} answers at {address}")),
            Err(cause) => Probe::finding(
                "broker",
                Outcome::Fail,
                Code::BrokerNotReached,
                "broker.url",
                format!("{url}: {cause}"),
            ),
        },
    }
}

/// Selling never waits for head office, so nothing here is worse than a warning.
fn probe_head_office(url: &ServerUrl) -> Vec<Probe> {
    let (name, key) = ("head office", "head_office.url");
    let finding = |code, cause| Probe::finding(name, Outcome::Warn, code, key, cause);
    let mut probes = Vec::new();
    if !url.tls && !url.is_loopback() {
        probes.push(finding(Code::PlainTextToHeadOffice, url.to_string()));
    }
    probes.push(match resolve(url) {
        Err(cause) => finding(Code::HeadOfficeNameUnknown, format!("{}: {cause}", url.host)),
        Ok(addresses) => match connect(&addresses) {
            Ok(address) => Probe::ok(name, format!("{url} answers at {address}")),
            Err(cause) => finding(Code::HeadOfficeUnreachable, format!("{url}: {cause}")),
        },
    });
    probes
}

fn resolve(url: &ServerUrl) -> Result<Vec<SocketAddr>, String> {
    let addresses: Vec<SocketAddr> =
        (url.host.as_str(), url.port).to_socket_addrs().map_err(|cause| cause.to_string())?.collect();
    if addresses.is_empty() { Err("the name has no address".to_owned()) } else { Ok(addresses) }
}

/// The first address that takes a connection, or why the last did not.
fn connect(addresses: &[SocketAddr]) -> Result<SocketAddr, String> {
    let timeout = Duration::from_millis(limits::CHECK_CONNECT_TIMEOUT_MS);
    let mut failed = String::new();
    for address in addresses.iter().take(limits::CHECK_ADDRESSES_MAX) {
        match TcpStream::connect_timeout(address, timeout) {
            Ok(_) => return Ok(*address),
            Err(cause) => failed = format!("{address}: {cause}"),
        }
    }
    Err(failed)
}

fn probe_clock(now: UnixMs) -> Probe {
    if (limits::CLOCK_UNIX_MS_MIN..=limits::CLOCK_UNIX_MS_MAX).contains(&now.0) {
        Probe::ok("clock", now.to_string())
    } else {
        Probe::finding("clock", Outcome::Fail, Code::ClockWrong, "", now.to_string())
    }
}

fn text(probes: &[Probe]) -> String {
    let mut text = String::new();
    for probe in probes {
        let mark = match probe.outcome {
            Outcome::Ok => "ok  ",
            Outcome::Warn => "warn",
            Outcome::Fail => "FAIL",
        };
        writeln!(text, "{mark}  {:<20} {}", probe.name, probe.cause).expect("memory takes it");
        if let Some(code) = probe.code {
            let key = if probe.key.is_empty() { String::new() } else { format!(" [{}]", probe.key) };
            writeln!(text, "      {code}{key}: {}", probe.remedy).expect("memory takes it");
        }
    }
    let findings = probes.iter().filter(|probe| probe.outcome != Outcome::Ok).count();
    match findings {
        0 => writeln!(text, "all {} probes are well", probes.len()),
        _ => writeln!(text, "{findings} of {} probes found something", probes.len()),
    }
    .expect("memory takes it");
    text
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::clock::ManualClock;

    const KEY: &str = "aisled-ed25519:d75a980182b10ab7d54bfed3c964073a0ee172f3daa62325af021a68f707511a";

    struct ShopBox {
        dir: tempfile::TempDir,
        now: UnixMs,
        running: bool,
    }

    impl ShopBox {
        fn new() -> ShopBox {
            let dir = tempfile::tempdir().expect("there is a temporary directory");
            ShopBox { dir, now: UnixMs(limits::CLOCK_UNIX_MS_MIN), running: false }
        }

        fn path(&self, name: &str) -> PathBuf {
            self.dir.path().join(name)
        }

        /// Runs the check on a file with `more` in it; gives its report.
        fn report(&self, more: &str) -> (Exit, serde_json::Value) {
            let file = self.path("aisled.toml");
            let text = format!("store.data_dir = {:?}\n{more}", self.dir.path());
            fs::write(&file, text).expect("it can be written");
            let clock = ManualClock::new(self.now);
            let environment = Environment::default();
            let around = Surroundings {
                environment: &environment,
                clock: &clock,
                lang: Lang::En,
                bundle: &bundle_is_there,
            };
            let mut out = Vec::new();
            let args = CheckArgs { json: true, running: self.running };
            let exit = run(args, Some(&file), &around, &mut out).expect("memory takes it");
            (exit, serde_json::from_slice(&out).expect("it is JSON"))
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
        let Authored { rules, members, codes } =
            authoring::read(files.collect::<Vec<_>>()).expect("it is right");
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
        assert!(
            exit == Exit::Ok && cause.contains("version 2 waits") && cause.contains("verified"),
            "{cause}"
        );
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
        let open = TcpListener::bind("127.0.0.1:0").expect("there is a free port");
        let port = open.local_addr().expect("it is bound").port();
        let ready = ShopBox::new();
        let own = ready.make_ready();
        let config = format!("{own}store.id = \"s\"\nhead_office.url = \"mqtt://127.0.0.1:{port}\"\n");
        assert_eq!(ready.check(&config), (Exit::Ok, Vec::new()));
        let outside =
            format!("{config}broker.mode = \"external\"\nbroker.url = \"mqtt://127.0.0.1:{port}\"\n");
        assert_eq!(ready.check(&outside), (Exit::Ok, Vec::new()));
        drop(open);
        assert_eq!(codes(&ready.check(&config).1), ["AIS-4107"]);
        assert_eq!(codes(&ready.check(&outside).1), ["AIS-4105", "AIS-4107"]);
        // A label of 64 letters is refused by the resolver itself: no name server is asked.
        let unknown = config.replace(&format!("127.0.0.1:{port}"), &format!("{}.invalid", "x".repeat(64)));
        assert_eq!(codes(&ready.check(&unknown).1), ["AIS-4108", "AIS-4106"]);
    }

    #[test]
    fn are_missing_passwords_and_bad_devices_named() {
        let ready = ShopBox::new();
        let own = ready.make_ready();
        fs::write(ready.path("devices"), "till-1 open sesame\n").expect("it can be written");
        let config = format!("{own}broker.devices_file = \"devices\"\n");
        assert_eq!(codes(&ready.check(&config).1), ["AIS-4009"]);
        let office =
            "store.id = \"s\"\nhead_office.url = \"mqtt://127.0.0.1:1\"\nhead_office.username = \"s\"\n";
        let config = format!("{own}{office}head_office.password_file = \"none\"\n");
        assert_eq!(codes(&ready.check(&config).1), ["AIS-4010", "AIS-4107"]);
    }

    #[test]
    fn is_a_clock_of_1970_named() {
        let mut ready = ShopBox::new();
        let config = ready.make_ready();
        ready.now = UnixMs(0);
        assert_eq!(codes(&ready.check(&config).1), ["AIS-4109"]);
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
}
