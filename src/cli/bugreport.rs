//! `aisled bugreport`: one file for whoever mends the program, with nothing in it that is a shopper's or a secret.
//!
//! A gzipped tar of a few texts: versions, the configuration in force without names and secrets, status, the check, sizes of
//! files, the last lines of the log. Whatever is not ours to choose (the log) is reduced to words: every value of a field
//! that is not listed, and every word with a digit in it, is struck out. What is not there is said, not a failure.

use std::fmt::Write as _;
use std::io::Write;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

use anyhow::{Context, Result};
use clap::Args;
use flate2::Compression;
use flate2::write::GzEncoder;
use serde_json::{Value, json};

use super::Exit;
use super::check;
use crate::clock::{Clock as _, SystemClock};
use crate::config::{Config, Environment};
use crate::daemon::control::{self, Ask};
use crate::domain::text::Lang;
use crate::limits;

/// Arguments of `bugreport`.
#[derive(Args, Clone, Debug)]
pub struct BugreportArgs {
    /// Where to write it
    #[arg(short, long, value_name = "FILE.tar.gz", default_value = "aisled-bugreport.tar.gz")]
    pub output: PathBuf,
    /// A log file whose last lines go along; without it, systemd's journal is asked
    #[arg(long, value_name = "FILE")]
    pub log: Option<PathBuf>,
}

/// Writes the report.
///
/// # Errors
/// The file cannot be written.
pub fn run(
    args: &BugreportArgs,
    file: Option<&Path>,
    environment: &Environment,
    out: &mut dyn Write,
) -> Result<Exit> {
    let parts = parts(args, file, environment);
    let target = &args.output;
    let failed = || format!("failed to write {}", target.display());
    let draft = std::fs::File::create(target).with_context(failed)?;
    let mut tar = tar::Builder::new(GzEncoder::new(draft, Compression::default()));
    for (name, text) in &parts {
        let mut header = tar::Header::new_gnu();
        header.set_size(text.len() as u64);
        header.set_mode(0o600);
        header.set_mtime(SystemClock.now().0.max(0).unsigned_abs() / 1_000);
        header.set_cksum();
        let path = format!("aisled-bugreport/{name}");
        tar.append_data(&mut header, path, text.as_bytes()).with_context(failed)?;
    }
    let draft = tar.into_inner().and_then(GzEncoder::finish).with_context(failed)?;
    draft.sync_all().with_context(failed)?;
    let names: Vec<&str> = parts.iter().map(|(name, _)| *name).collect();
    writeln!(out, "{}: {}", target.display(), names.join(", "))?;
    writeln!(out, "no member, phone number, code or secret is in it; look before you send it")?;
    Ok(Exit::Ok)
}

fn parts(
    args: &BugreportArgs,
    file: Option<&Path>,
    environment: &Environment,
) -> Vec<(&'static str, String)> {
    let mut parts = vec![("versions.txt", versions())];
    let mut accounts = Vec::new();
    match Config::load(file, environment) {
        Err(error) => parts.push(("config.txt", format!("failed to read it:\n{error}\n"))),
        Ok(loaded) => {
            let mut text = String::new();
            let named = loaded.settings.iter().filter(|setting| setting.key.ends_with(".username"));
            accounts.extend(named.map(|setting| setting.value.trim_matches('"').to_owned()));
            for setting in &loaded.settings {
                let told = if is_named(&setting.key) && setting.value != "\"\"" {
                    "\"…\""
                } else {
                    &setting.value
                };
                writeln!(text, "{} = {told}  # {:?}", setting.key, setting.origin).expect("memory takes it");
            }
            parts.push(("config.txt", text));
            let config = &loaded.config;
            parts.push(("status.json", status(&config.store.data_dir)));
            let around = check::Surroundings {
                environment,
                clock: std::sync::Arc::new(SystemClock),
                known: &check::Known::of,
            };
            let holder = check::lock_holder(&config.store.data_dir);
            let probes = check::probes_of(config, holder, &around);
            let told: Vec<_> = probes.iter().map(|probe| probe.told(Lang::En)).collect();
            parts.push(("check.json", format!("{:#}\n", json!(told))));
            parts.push(("sizes.txt", sizes(&config.store.data_dir)));
        }
    }
    parts.push(("log.txt", log(args.log.as_deref())));
    // An account's name may be a plain word of a message.
    accounts.retain(|account| !account.is_empty());
    for (_, text) in &mut parts {
        accounts.iter().for_each(|account| *text = text.replace(account.as_str(), "…"));
    }
    parts
}

/// Keys whose values are names of people, accounts or secrets.
fn is_named(key: &str) -> bool {
    let last = key.rsplit('.').next().unwrap_or(key);
    matches!(last, "username" | "password_file" | "key_file")
}

fn versions() -> String {
    let read = |path: &str| std::fs::read_to_string(path).unwrap_or_default();
    let name = read("/etc/os-release");
    let name =
        name.lines().find_map(|line| line.strip_prefix("PRETTY_NAME=")).unwrap_or("unknown").to_owned();
    let memory = read("/proc/meminfo");
    let memory =
        memory.lines().find(|line| line.starts_with("MemTotal")).unwrap_or("MemTotal: unknown").to_owned();
    let kernel = rustix::system::uname();
    let processors = std::thread::available_parallelism().map_or(0, std::num::NonZero::get);
    format!(
        "aisled {}\nsystem {name}\nkernel {} {}\nprocessors {processors}\n{memory}\nat {}\n",
        env!("CARGO_PKG_VERSION"),
        kernel.release().to_string_lossy(),
        kernel.machine().to_string_lossy(),
        SystemClock.now()
    )
}

fn status(data_dir: &Path) -> String {
    match control::ask(data_dir, &Ask::Status) {
        Ok(Some(mut status)) => {
            // Its text comes from the other end of a line: it may say anything.
            if let Some(detail) = status.pointer_mut("/head_office/last_error/detail") {
                *detail = Value::from(scrubbed(detail.as_str().unwrap_or_default()));
            }
            format!("{status:#}\n")
        }
        Ok(None) => "no daemon runs\n".to_owned(),
        Err(error) => format!("{error:#}\n"),
    }
}

/// Every file below the data directory with its bytes, as far as the bound goes.
fn sizes(data_dir: &Path) -> String {
    let mut text = String::new();
    match rustix::fs::statvfs(data_dir) {
        Ok(of) => writeln!(
            text,
            "disk: {} MiB free of {}",
            of.f_bavail.saturating_mul(of.f_frsize) >> 20,
            of.f_blocks.saturating_mul(of.f_frsize) >> 20
        ),
        Err(error) => writeln!(text, "disk: {error}"),
    }
    .expect("memory takes it");
    let (mut waiting, mut lines) = (vec![data_dir.to_owned()], Vec::new());
    while let Some(dir) = waiting.pop() {
        for entry in std::fs::read_dir(&dir).into_iter().flatten().flatten() {
            if lines.len() >= limits::BUGREPORT_FILES_MAX {
                break;
            }
            let Ok(metadata) = entry.metadata() else { continue };
            let path = entry.path();
            if metadata.is_dir() {
                waiting.push(path);
            } else {
                let name = path.strip_prefix(data_dir).unwrap_or(&path).display().to_string();
                lines.push(format!("{:>14}  {name}", metadata.len()));
            }
        }
    }
    lines.sort();
    writeln!(text, "{}", lines.join("\n")).expect("memory takes it");
    text
}

fn log(file: Option<&Path>) -> String {
    let text = match file {
        Some(file) => {
            std::fs::read(file).map_err(|error| format!("failed to read {}: {error}", file.display()))
        }
        None => Command::new("journalctl")
            .args([
                "--unit",
                "aisled",
                "--lines",
                &limits::BUGREPORT_LOG_LINES.to_string(),
                "--no-pager",
                "--output",
                "short-iso",
            ])
            .stdin(Stdio::null())
            .stderr(Stdio::null())
            .output()
            .map(|output| output.stdout)
            .map_err(|error| format!("failed to ask systemd's journal: {error}")),
    };
    match text {
        Ok(bytes) => {
            let text = String::from_utf8_lossy(&bytes);
            let lines: Vec<&str> = text.lines().collect();
            let last = lines.len().saturating_sub(limits::BUGREPORT_LOG_LINES);
            lines[last..].iter().map(|line| format!("{}\n", scrubbed(line))).collect()
        }
        Err(why) => format!("{why}\n"),
    }
}

/// Fields of the log whose values are ours: numbers of decisions, codes, sizes.
const KEPT: &[&str] = &[
    "code",
    "seq",
    "next",
    "applied",
    "version",
    "hash",
    "free_bytes",
    "footing",
    "epoch",
    "former",
    "times",
    "op",
    "store",
    "status",
];

/// A line of a log with its words and without what may be somebody's: values of fields that are not listed, and every word
/// that holds a digit, a quote or an at sign, but for the time it begins with and stable codes.
fn scrubbed(line: &str) -> String {
    // Colours of a terminal are no words.
    let mut plain = String::with_capacity(line.len());
    let mut is_colour = false;
    for c in line.chars() {
        match c {
            '\u{1b}' => is_colour = true,
            'm' if is_colour => is_colour = false,
            _ if is_colour => {}
            c => plain.push(c),
        }
    }
    let words = plain.split_whitespace().take(limits::BUGREPORT_LINE_WORDS).enumerate().map(|(nth, word)| {
        let is_code = word.trim_matches(|c: char| !c.is_ascii_alphanumeric()).strip_prefix("AIS-").is_some();
        let is_time = nth == 0 && word.len() >= 19 && word.as_bytes().get(4) == Some(&b'-');
        match word.split_once('=') {
            Some((key, value)) if KEPT.contains(&key) => {
                let value: String = value
                    .chars()
                    .filter(|c| c.is_ascii_alphanumeric() || "-._\"()".contains(*c))
                    .take(64)
                    .collect();
                format!("{key}={value}")
            }
            Some((key, _)) if key.chars().all(|c| c.is_ascii_alphabetic() || c == '_') => format!("{key}=…"),
            _ if is_code || is_time => word.to_owned(),
            _ if word.chars().all(|c| c.is_ascii_alphabetic() || "-_:;,.()[]'/".contains(c)) => {
                word.to_owned()
            }
            _ => "…".to_owned(),
        }
    });
    words.collect::<Vec<_>>().join(" ")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_left_of_a_line_of_the_log() {
        for (line, left) in [
            (
                "2026-11-22T10:00:00.123Z  WARN a sign-in failed peer=10.0.0.7 code=AIS-7505",
                "2026-11-22T10:00:00.123Z WARN a sign-in failed peer=… code=AIS-7505",
            ),
            (
                "\u{1b}[32m INFO\u{1b}[0m member=m-1001 phone 13800138000 seq=17",
                "INFO member=… phone … seq=17",
            ),
            ("ERROR 张伟 said \"x\" to a@b.example (AIS-2104)", "ERROR … said … to … (AIS-2104)"),
            ("INFO code=ab\u{7}c;rm", "INFO code=abcrm"),
        ] {
            assert_eq!(scrubbed(line), left);
        }
    }
}
