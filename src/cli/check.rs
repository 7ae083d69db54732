//! `aisled check`: is this box ready to sell, and if not, what to do about it?
//!
//! Each probe answers ok, warn or fail with a code, a cause, the key that mends it and the code's remedy. Invariants:
//! a probe changes nothing that a running daemon could notice (the lock is looked up in the kernel's list, never
//! tried; the only file written is a trial one, removed at once) and every step of one that waits for others has a bound in
//! `limits`. A daemon that is not running is no finding, unless `--running` asks for it: the check is for before the first
//! start too.
//!
//! Layout: here the box itself · `probe` an answer, in both languages · `line` the way to another broker, step by step · `known` what only the daemon and its journal know.

mod known;
mod line;
mod probe;

use std::fs;
use std::io::{BufReader, Write};
use std::net::{SocketAddr, TcpListener};
use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use clap::Args;

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
pub use probe::{Outcome, Probe, Told};
use probe::{Seen, text};

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

/// When a bundle was signed, and by when a newer one is promised.
type Times = (UnixMs, Option<UnixMs>);

/// What the check needs from elsewhere.
pub struct Surroundings<'a> {
    /// This process's environment.
    pub environment: &'a Environment,
    /// The clock.
    pub clock: Arc<dyn Clock>,
    /// What the daemon and its journal know; `Known::of` asks them.
    pub known: &'a dyn Fn(&Config) -> Known,
}

/// The active bundle, below the data directory.
pub use super::bundle::ACTIVE as ACTIVE_BUNDLE;

/// Runs every probe and prints what they found. `file` is the program's `--config`.
pub fn run(
    args: CheckArgs,
    file: Option<&Path>,
    (around, lang): (&Surroundings<'_>, Lang),
    out: &mut dyn Write,
) -> std::io::Result<Exit> {
    let loaded = match Config::load(file, around.environment) {
        Ok(loaded) => loaded,
        Err(error) => return write_error(&error, args.json, out),
    };
    let holder = lock_holder(&loaded.config.store.data_dir);
    let probes = probes(&loaded, holder, around);
    let worst = probes.iter().map(|probe| probe.outcome).max().unwrap_or(Outcome::Ok);
    let running = holder.is_some();
    if args.json {
        let told: Vec<Told<'_>> = probes.iter().map(|probe| probe.told(lang)).collect();
        let report = serde_json::json!({ "outcome": worst, "running": running, "probes": told });
        writeln!(out, "{report:#}")?;
    } else {
        out.write_all(text(&probes, lang).as_bytes())?;
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
        Some(Holder { pid }) => {
            Probe::ok("daemon", Seen::of(["running as process {}", "运行中，进程 {}"], &[&pid]))
        }
        None => Probe::ok("daemon", ["not running", "未运行"]),
    });
    probes.push(probe_store(holder.is_some(), &known));
    probes.push(probe_trusted_keys(config));
    probes.push(probe_bundle(config, holder.is_some(), (times, now)));
    probes.extend(known.network.clone().map(|(code, cause)| {
        Probe::finding(
            "network",
            Outcome::Warn,
            code,
            "",
            Seen::of(
                ["failed to {}; proposals are made without it", "网络不可用：{}；推荐照常进行，不使用该网络"],
                &[&cause],
            ),
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
        Some(file) => Probe::ok("config", Seen::quoted(file.display())),
        None => Probe::ok("config", ["no file: all defaults", "没有配置文件：全部使用默认值"]),
    }
}

fn probe_data_dir(dir: &Path) -> Probe {
    let unusable = |cause: Seen| {
        Probe::finding("data directory", Outcome::Fail, Code::DataDirUnusable, "store.data_dir", cause)
    };
    match fs::metadata(dir) {
        Err(cause) => return unusable(Seen::quoted(format_args!("{}: {cause}", dir.display()))),
        Ok(metadata) if !metadata.is_dir() => {
            return unusable(Seen::of(["{} is no directory", "{} 不是目录"], &[&dir.display()]));
        }
        Ok(_) => {}
    }
    // Permission bits do not tell of read-only mounts, quotas or a full disk; a byte on the disk does.
    let trial = tempfile::Builder::new().prefix(".check-").tempfile_in(dir).and_then(|mut file| {
        file.write_all(b"x")?;
        file.as_file().sync_data()
    });
    match trial {
        Ok(()) => {
            Probe::ok("data directory", Seen::of(["{} can be written", "{} 可写入"], &[&dir.display()]))
        }
        Err(cause) => {
            unusable(Seen::of(["{} cannot be written: {}", "{} 无法写入：{}"], &[&dir.display(), &cause]))
        }
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
            Seen::quoted(format_args!("{}: {cause}", dir.display())),
        ),
        Ok(stat) => {
            let free_mb = stat.f_bavail.saturating_mul(stat.f_frsize) / (1024 * 1024);
            let both = ["{} MiB free, at least {} wanted", "剩余 {} MiB，至少需要 {}"];
            let seen = Seen::of(both, &[&free_mb, &free_min_mb]);
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
        let both = match store.footing.as_str() {
            "Whole" => ["whole, durable through decision {}", "完整，已落盘至决策 {}"],
            "JournalOnly" => [
                "journal only, the tables are in memory; durable through decision {}",
                "仅日志，数据表在内存中；已落盘至决策 {}",
            ],
            _ => ["read-only, durable through decision {}", "只读，已落盘至决策 {}"],
        };
        Seen::of(both, &[&store.durable])
    };
    match (&known.store, is_running) {
        (Some(store), _) => match store.code {
            None => Probe::ok("store", seen(store)),
            Some(code) => Probe::finding("store", Outcome::Warn, code, "store.data_dir", seen(store)),
        },
        (None, true) => {
            let cause = [
                "the daemon holds the lock and does not answer: it starts, stops or hangs",
                "服务持有锁但没有应答：正在启动、停止或已停滞",
            ];
            Probe::finding("store", Outcome::Warn, Code::Busy, "store.data_dir", cause)
        }
        (None, false) => Probe::ok("store", ["closed: nobody has it open", "已关闭：没有程序打开"]),
    }
}

fn probe_trusted_keys(config: &Config) -> Probe {
    match config.bundle.trusted_keys.len() {
        0 => Probe::finding(
            "trusted keys",
            Outcome::Fail,
            Code::NoTrustedKey,
            "bundle.trusted_keys",
            ["there is none: no bundle would be taken", "一个也没有：不会接受任何规则包"],
        ),
        1 => Probe::ok("trusted keys", ["1 key", "1 个密钥"]),
        count => Probe::ok("trusted keys", Seen::of(["{} keys", "{} 个密钥"], &[&count])),
    }
}

/// The active bundle, and what `bundle install` left for the daemon: a box that is about to take one is ready.
fn probe_bundle(config: &Config, is_running: bool, (times, now): (Option<Times>, UnixMs)) -> Probe {
    let file = config.store.data_dir.join(ACTIVE_BUNDLE);
    let active = bundle_is_there(&file).map(|bytes| match times {
        Some((at, _)) => {
            let both = ["{}, {} bytes, signed {}, {} days ago", "{}，{} 字节，签名于 {}，{} 天前"];
            Seen::of(both, &[&file.display(), &bytes, &at, &(now.ms_since(at) / DAY_MS)])
        }
        None => Seen::of(["{}, {} bytes", "{}，{} 字节"], &[&file.display(), &bytes]),
    });
    let stale = times.and_then(|(_, newer_by)| newer_by.filter(|by| now > *by));
    let (waiting, refused) = inbox(config, &file);
    let waits = waiting.map(|version| {
        let both = match is_running {
            true => [
                "version {} waits in the inbox, verified; the daemon takes it within a second",
                "版本 {} 在收件箱中，已验证；服务将在一秒内启用",
            ],
            false => [
                "version {} waits in the inbox, verified; the daemon takes it when it starts",
                "版本 {} 在收件箱中，已验证；服务启动时启用",
            ],
        };
        Seen::of(both, &[&version])
    });
    let is_ready = active.is_ok() || waits.is_some();
    let (seen, missing) = match active {
        Ok(seen) => (Some(seen), None),
        Err(missing) => (None, Some(missing)),
    };
    if let Some((code, cause)) = refused {
        let outcome = if is_ready { Outcome::Warn } else { Outcome::Fail };
        let cause = waits.into_iter().fold(cause, Seen::and);
        return Probe::finding("bundle", outcome, code, "", cause);
    }
    if let (Some(by), Some(seen), None) = (stale, &seen, &waits) {
        let promised = ["head office promised a newer one by {}", "总部曾承诺在 {} 之前提供新版本"];
        let cause = seen.clone().and(Seen::of(promised, &[&by]));
        return Probe::finding("bundle", Outcome::Warn, Code::BundleStale, "head_office.url", cause);
    }
    match (missing, [seen, waits].into_iter().flatten().reduce(Seen::and)) {
        (_, Some(seen)) => Probe::ok("bundle", seen),
        (cause, None) => {
            let cause = cause.unwrap_or_else(|| Seen::quoted(file.display()));
            Probe::finding("bundle", Outcome::Fail, Code::NoBundle, "", cause)
        }
    }
}

/// The size of the active bundle's file.
fn bundle_is_there(file: &Path) -> Result<u64, Seen> {
    match fs::metadata(file) {
        Ok(metadata) if metadata.is_file() => Ok(metadata.len()),
        Ok(_) => Err(Seen::of(["{} is no file", "{} 不是文件"], &[&file.display()])),
        Err(cause) => Err(Seen::quoted(format_args!("{}: {cause}", file.display()))),
    }
}

/// What waits for the daemon: the newest version it would take, and why it would refuse the last of the others.
fn inbox(config: &Config, active: &Path) -> (Option<u64>, Option<(Code, Seen)>) {
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
                let both = ["{} waits in the inbox and would be refused: {}", "{} 在收件箱中，将被拒绝：{}"];
                refused = Some((error.code(), Seen::of(both, &[&file.display(), &error])));
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
        Ok(_) => Probe::ok(name, ["can be read", "可读取"]),
        Err(error) => Probe::finding(name, Outcome::Fail, Code::SecretUnreadable, key, Seen::quoted(error)),
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
            let cause = Seen::quoted(cause);
            return vec![Probe::finding("devices", Outcome::Fail, code, "broker.devices_file", cause)];
        }
    };
    let there = Seen::of(["{} in {}", "{} 台，见 {}"], &[&logins.len(), &file.display()]);
    let mut probes = vec![Probe::ok("devices", there)];
    for login in logins {
        let name = format!("device {}", login.device);
        let seen = match (known.present.get(&login.device), known.store.is_some()) {
            (Some(Presence { online: true, since }), _) => {
                Seen::of(["there since {}", "自 {} 起在线"], &[since])
            }
            (Some(Presence { online: false, since }), _) => {
                Seen::of(["away since {}", "自 {} 起离线"], &[since])
            }
            (None, true) => ["not seen since the daemon started", "服务启动后未见"].into(),
            (None, false) => ["seen by a running daemon only", "服务运行时才能看到"].into(),
        };
        let days = login.certificate_until.map(|until| (until, until.number() - now.0.div_euclid(DAY_MS)));
        probes.push(match days {
            Some((until, days)) if days < limits::CERTIFICATE_NOTICE_DAYS => {
                let both = match days < 0 {
                    true => ["its certificate ended on {}", "证书已于 {} 到期"],
                    false => ["its certificate ends on {}", "证书将于 {} 到期"],
                };
                let cause = seen.and(Seen::of(both, &[&until]));
                Probe::finding(name, Outcome::Warn, Code::DeviceCertificateEnds, "broker.devices_file", cause)
            }
            Some((until, _)) => {
                let both = ["its certificate is good until {}", "证书有效期至 {}"];
                Probe::ok(name, seen.and(Seen::of(both, &[&until])))
            }
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
            Ok((_, address)) => Probe::ok(name, Seen::of(["{} answers", "{} 有应答"], &[&address])),
            Err(cause) => {
                Probe::finding(name, Outcome::Fail, Code::BrokerNotReached, key, Seen::quoted(cause))
            }
        };
    }
    match TcpListener::bind(listen) {
        Ok(_) => Probe::ok(name, Seen::of(["{} is free", "{} 空闲"], &[&listen])),
        Err(cause) => {
            let cause = Seen::quoted(format_args!("{listen}: {cause}"));
            Probe::finding(name, Outcome::Fail, Code::BrokerPortTaken, key, cause)
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
        probes.push(Probe::finding("head office", Outcome::Warn, code, key, Seen::quoted(url)));
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
    let wrong = |outcome, code, why: Seen| Probe::finding("clock", outcome, code, "", why);
    if !(limits::CLOCK_UNIX_MS_MIN..=limits::CLOCK_UNIX_MS_MAX).contains(&now.0) {
        let why = ["{}: no box runs this program then", "{}：本程序不可能在此时运行"];
        return wrong(Outcome::Fail, Code::ClockWrong, Seen::of(why, &[&now]));
    }
    if let Some(last) = known.last_decision.filter(|last| now.ms_since(*last) < -limits::CHECK_CLOCK_BACK_MS)
    {
        let why = ["{}: the last decision was made at {}", "{}：上一条决策作出于 {}"];
        return wrong(Outcome::Warn, Code::ClockWrong, Seen::of(why, &[&now, &last]));
    }
    if let Some(at) = times.map(|(at, _)| at).filter(|at| now.ms_since(*at) < -limits::CLOCK_BEHIND_MS_MAX) {
        let why = ["{}: the rules were signed at {}", "{}：规则包签名于 {}"];
        return wrong(Outcome::Warn, Code::ClockWrong, Seen::of(why, &[&now, &at]));
    }
    let gross = i64::try_from(limits::UPSTREAM_CLOCK_OFF_MS_MAX).unwrap_or(i64::MAX);
    match known.head_office_ahead_ms {
        Some(ahead) if ahead.saturating_abs() > gross => {
            let why = match ahead > 0 {
                true => ["{}: head office's clock is {} s ahead of it", "{}：总部时钟快 {} 秒"],
                false => ["{}: head office's clock is {} s behind it", "{}：总部时钟慢 {} 秒"],
            };
            let off_s = ahead.saturating_abs() / 1_000;
            wrong(Outcome::Warn, Code::HeadOfficeClock, Seen::of(why, &[&now, &off_s]))
        }
        Some(ahead) => {
            let seen = ["{}, head office's is within {} s of it", "{}，与总部时钟相差 {} 秒以内"];
            Probe::ok("clock", Seen::of(seen, &[&now, &(ahead.saturating_abs() / 1_000 + 1)]))
        }
        None => Probe::ok("clock", Seen::quoted(now)),
    }
}

#[cfg(test)]
mod tests;
