//! `aisled check`: is this box ready to sell, and if not, what to do about it?
//!
//! Each probe answers ok, warn or fail with a code, a cause, the key that mends it and the code's remedy. Invariants:
//! a probe changes nothing that a running daemon could notice (the lock is looked up in the kernel's list, never
//! tried; the only file written is a trial one, removed at once) and every step of one that waits for others has a bound in
//! `limits`. A daemon that is not running is no finding, unless `--running` asks for it: the check is for before the first
//! start too.
//!
//! Layout: here the box itself · `line` the way to another broker, step by step · `known` what only the daemon and its journal know.

mod known;
mod line;

use std::borrow::Cow;
use std::fmt::Write as _;
use std::fs;
use std::io::{BufReader, Write};
use std::net::{SocketAddr, TcpListener};
use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use clap::Args;
use serde::Serialize;

use super::Exit;
use super::bundle::{EXTENSION, INBOX};
use super::config::write_error;
use crate::bundle::keys::PublicKey;
use crate::bundle::packed::{self, Admission};
use crate::clock::Clock;
use crate::config::{Broker, Config, DeviceLogin, Environment, HeadOffice, Loaded, Login};
use crate::daemon::roll::devices_file;
use crate::domain::calendar::{DAY_MS, UnixMs};
use crate::domain::code::Code;
use crate::domain::text::Lang;
use crate::limits;
use crate::storage::lock::LOCK_FILE;

pub use known::{Known, Presence, Store, last_decision};

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
    pub name: Cow<'static, str>,
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
    pub fn ok(name: impl Into<Cow<'static, str>>, seen: impl Into<String>) -> Probe {
        let (name, cause) = (name.into(), seen.into());
        Probe { name, outcome: Outcome::Ok, code: None, cause, key: "", remedy: String::new() }
    }

    /// A finding; the remedy is the code's.
    pub fn finding(
        name: impl Into<Cow<'static, str>>,
        outcome: Outcome,
        code: Code,
        key: &'static str,
        cause: impl Into<String>,
    ) -> Probe {
        let remedy = code.remedy(Lang::En).to_owned();
        Probe { name: name.into(), outcome, code: Some(code), cause: cause.into(), key, remedy }
    }

    fn in_language(self, lang: Lang) -> Probe {
        match self.code {
            Some(code) => Probe { remedy: code.remedy(lang).to_owned(), ..self },
            None => self,
        }
    }
}

/// When a bundle was signed, and by when a newer one is promised.
type Times = (UnixMs, Option<UnixMs>);

/// Looks at the active bundle's file under this configuration: a sentence about it, or a code and a cause.
pub type BundleProbe = dyn Fn(&Path, &Config) -> Result<String, (Code, String)>;

/// What the check needs from elsewhere.
pub struct Surroundings<'a> {
    /// This process's environment.
    pub environment: &'a Environment,
    /// The clock.
    pub clock: Arc<dyn Clock>,
    /// The language of remedies.
    pub lang: Lang,
    /// Looks at the active bundle; `bundle_is_there` looks for its file only.
    pub bundle: &'a BundleProbe,
    /// What the daemon and its journal know; `Known::of` asks them.
    pub known: &'a dyn Fn(&Config) -> Known,
}

/// The active bundle, below the data directory.
pub use super::bundle::ACTIVE as ACTIVE_BUNDLE;

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
    let known = (around.known)(config);
    let now = around.clock.now();
    let active = fs::File::open(data_dir.join(ACTIVE_BUNDLE)).ok();
    let times = active.and_then(|file| packed::times(BufReader::new(file)).ok());
    let mut probes = vec![probe_data_dir(data_dir)];
    probes.push(probe_free_space(data_dir, config.storage.free_space_min_mb));
    probes.push(match holder {
        Some(Holder { pid }) => Probe::ok("daemon", format!("running as process {pid}")),
        None => Probe::ok("daemon", "not running"),
    });
    probes.push(probe_store(holder.is_some(), &known));
    probes.push(probe_trusted_keys(config));
    probes.push(probe_bundle(config, holder.is_some(), around.bundle, (times, now)));
    probes.extend(known.network.clone().map(|(code, cause)| {
        Probe::finding(
            "network",
            Outcome::Warn,
            code,
            "",
            format!("failed to {cause}; proposals are made without it"),
        )
    }));
    probes.extend(probe_secrets(config, around.environment.credentials_dir.as_deref()));
    probes.extend(probe_broker(config, holder.is_some(), around));
    probes.extend(probe_devices(config, &known, now));
    if let Some(office) = &config.head_office {
        probes.extend(probe_head_office(config, office, around));
    }
    probes.push(probe_clock(&known, (times, now)));
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

/// Journal and tables, as the daemon that has them open tells.
fn probe_store(is_running: bool, known: &Known) -> Probe {
    let seen = |store: &Store| {
        format!("{}, durable through decision {}", store.footing.to_lowercase(), store.durable)
    };
    match (&known.store, is_running) {
        (Some(store), _) => match store.code {
            None => Probe::ok("store", seen(store)),
            Some(code) => Probe::finding("store", Outcome::Warn, code, "store.data_dir", seen(store)),
        },
        (None, true) => {
            let cause = "the daemon holds the lock and does not answer: it starts, stops or hangs";
            Probe::finding("store", Outcome::Warn, Code::Busy, "store.data_dir", cause)
        }
        (None, false) => Probe::ok("store", "closed: nobody has it open"),
    }
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
fn probe_bundle(
    config: &Config,
    is_running: bool,
    active: &BundleProbe,
    (times, now): (Option<Times>, UnixMs),
) -> Probe {
    let file = config.store.data_dir.join(ACTIVE_BUNDLE);
    let active = active(&file, config).map(|seen| match times {
        Some((at, _)) => format!("{seen}, signed {at}, {} days ago", now.ms_since(at) / DAY_MS),
        None => seen,
    });
    let stale = times.and_then(|(_, newer_by)| newer_by.filter(|by| now > *by));
    let (waiting, refused) = inbox(config, &file);
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
    if let (Some(by), Some(seen), None) = (stale, &seen, &waits) {
        let cause = format!("{seen}; head office promised a newer one by {by}");
        return Probe::finding("bundle", Outcome::Warn, Code::BundleStale, "head_office.url", cause);
    }
    match missing {
        Some((code, cause)) if !is_ready => Probe::finding("bundle", Outcome::Fail, code, "", cause),
        _ => Probe::ok("bundle", [seen, waits].into_iter().flatten().collect::<Vec<_>>().join("; ")),
    }
}

/// What waits for the daemon: the newest version it would take, and why it would refuse the last of the others.
fn inbox(config: &Config, active: &Path) -> (Option<u64>, Option<(Code, String)>) {
    let entries = fs::read_dir(config.store.data_dir.join(INBOX)).into_iter().flatten().flatten();
    let is_bundle = |path: &PathBuf| path.extension().is_some_and(|extension| extension == EXTENSION);
    let mut files: Vec<PathBuf> = entries.map(|entry| entry.path()).filter(is_bundle).collect();
    files.sort();
    if files.is_empty() {
        return (None, None);
    }
    let keys = config.bundle.trusted_keys.iter().filter_map(|key| key.to_string().parse().ok());
    let trusted: Vec<PublicKey> = keys.collect();
    let floor = fs::File::open(active).ok().and_then(|file| packed::reference(BufReader::new(file)).ok());
    let floor = floor.map_or(0, |reference| reference.version);
    let admission = Admission { trusted: &trusted, floor, store: Some(&config.store.id) };
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

/// The devices file, and each device of it: when it was seen, and until when its certificate is good.
fn probe_devices(config: &Config, known: &Known, now: UnixMs) -> Vec<Probe> {
    let Broker::Embedded { devices_file: configured, .. } = &config.broker else { return Vec::new() };
    let file = devices_file(configured.as_ref(), &config.store.data_dir);
    if configured.is_none() && !file.exists() {
        return Vec::new();
    }
    let logins = match DeviceLogin::load(&file) {
        Ok(logins) => logins,
        Err(error) => {
            let cause = error.to_string().replace('\n', "; ");
            let code = error.problems.first().map_or(Code::DevicesFile, |problem| problem.code);
            return vec![Probe::finding("devices", Outcome::Fail, code, "broker.devices_file", cause)];
        }
    };
    let mut probes = vec![Probe::ok("devices", format!("{} in {}", logins.len(), file.display()))];
    for login in logins {
        let name = format!("device {}", login.device);
        let seen = match (known.present.get(&login.device), known.store.is_some()) {
            (Some(Presence { online: true, since }), _) => format!("there since {since}"),
            (Some(Presence { online: false, since }), _) => format!("away since {since}"),
            (None, true) => "not seen since the daemon started".to_owned(),
            (None, false) => "seen by a running daemon only".to_owned(),
        };
        let days = login.certificate_until.map(|until| (until, until.number() - now.0.div_euclid(DAY_MS)));
        probes.push(match days {
            Some((until, days)) if days < limits::CERTIFICATE_NOTICE_DAYS => {
                let end = if days < 0 { "ended" } else { "ends" };
                let cause = format!("{seen}; its certificate {end} on {until}");
                Probe::finding(name, Outcome::Warn, Code::DeviceCertificateEnds, "broker.devices_file", cause)
            }
            Some((until, _)) => Probe::ok(name, format!("{seen}; its certificate is good until {until}")),
            None => Probe::ok(name, seen),
        });
    }
    probes
}

/// The broker must answer if it should run by now; an embedded one of a daemon that is not running needs its ports free.
fn probe_broker(config: &Config, is_running: bool, around: &Surroundings<'_>) -> Vec<Probe> {
    let (listen, encrypted) = match &config.broker {
        Broker::Embedded { listen, tls, .. } => (listen, tls.as_ref().map(|tls| tls.listen)),
        Broker::External { url, login, tls } => {
            let credentials_dir = around.environment.credentials_dir.as_deref();
            let line = line::Line {
                words: &line::BROKER,
                url,
                tls,
                login: match login {
                    None => Some((String::new(), String::new())),
                    Some(login) => secret(login, credentials_dir),
                },
                client_id: format!("aisled-check-{}", config.store.id),
                clock: Arc::clone(&around.clock),
                credentials_dir,
            };
            return line.probes();
        }
    };
    let mut probes = vec![probe_port("broker", "broker.listen", *listen, is_running)];
    probes.extend(
        encrypted.map(|listen| probe_port("broker over TLS", "broker.listen_tls", listen, is_running)),
    );
    probes
}

fn probe_port(name: &'static str, key: &'static str, listen: SocketAddr, is_running: bool) -> Probe {
    if is_running {
        return match line::connect(&[listen]) {
            Ok((_, address)) => Probe::ok(name, format!("{address} answers")),
            Err(cause) => Probe::finding(name, Outcome::Fail, Code::BrokerNotReached, key, cause),
        };
    }
    match TcpListener::bind(listen) {
        Ok(_) => Probe::ok(name, format!("{listen} is free")),
        Err(cause) => {
            Probe::finding(name, Outcome::Fail, Code::BrokerPortTaken, key, format!("{listen}: {cause}"))
        }
    }
}

/// User name and password, where the password can be read; where not, the probe of the secret says so.
fn secret(login: &Login, credentials_dir: Option<&Path>) -> Option<(String, String)> {
    let secret = login.password.read(credentials_dir).ok()?;
    Some((login.username.clone(), secret.expose().to_owned()))
}

fn probe_head_office(config: &Config, office: &HeadOffice, around: &Surroundings<'_>) -> Vec<Probe> {
    let HeadOffice { url, login, tls } = office;
    let mut probes = Vec::new();
    if !url.tls && !url.is_loopback() {
        let [key, ..] = line::HEAD_OFFICE.keys;
        let code = Code::PlainTextToHeadOffice;
        probes.push(Probe::finding("head office", Outcome::Warn, code, key, url.to_string()));
    }
    let credentials_dir = around.environment.credentials_dir.as_deref();
    let line = line::Line {
        words: &line::HEAD_OFFICE,
        url,
        tls,
        // As the sender does: without a login, the store's id is the user name.
        login: match login {
            None => Some((config.store.id.to_string(), String::new())),
            Some(login) => secret(login, credentials_dir),
        },
        client_id: format!("{}.check", config.store.id),
        clock: Arc::clone(&around.clock),
        credentials_dir,
    };
    probes.extend(line.probes());
    probes
}

/// The clock, judged by whatever cannot be later than now, and by head office's.
fn probe_clock(known: &Known, (times, now): (Option<Times>, UnixMs)) -> Probe {
    let wrong =
        |outcome, code, why: String| Probe::finding("clock", outcome, code, "", format!("{now}: {why}"));
    if !(limits::CLOCK_UNIX_MS_MIN..=limits::CLOCK_UNIX_MS_MAX).contains(&now.0) {
        return wrong(Outcome::Fail, Code::ClockWrong, "no box runs this program then".to_owned());
    }
    if let Some(last) = known.last_decision.filter(|last| now.ms_since(*last) < -limits::CHECK_CLOCK_BACK_MS)
    {
        return wrong(Outcome::Warn, Code::ClockWrong, format!("the last decision was made at {last}"));
    }
    if let Some(at) = times.map(|(at, _)| at).filter(|at| now.ms_since(*at) < -limits::CLOCK_BEHIND_MS_MAX) {
        return wrong(Outcome::Warn, Code::ClockWrong, format!("the rules were signed at {at}"));
    }
    let gross = i64::try_from(limits::UPSTREAM_CLOCK_OFF_MS_MAX).unwrap_or(i64::MAX);
    match known.head_office_ahead_ms {
        Some(ahead) if ahead.saturating_abs() > gross => {
            let why = format!("head office's clock is {} s ahead of it", ahead / 1_000);
            wrong(Outcome::Warn, Code::HeadOfficeClock, why)
        }
        Some(ahead) => Probe::ok("clock", format!("{now}, head office's is {} s ahead", ahead / 1_000)),
        None => Probe::ok("clock", now.to_string()),
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
        writeln!(text, "{mark}  {:<24} {}", probe.name, probe.cause).expect("memory takes it");
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
mod tests;
