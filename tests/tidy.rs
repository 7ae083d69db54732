//! The law of the house: who may import whom, what the core may not hold, and what no file may hold.
//!
//! The checks are functions from a path and a text to findings, so that the tests below can show on wrong
//! snippets that each of them can fail; the last tests apply them to every tracked file. To run them alone:
//! `cargo test --test tidy`.

#[path = "tidy/source.rs"]
mod source;

use std::collections::BTreeSet;
use std::path::Path;
use std::process::Command;

use source::{Token, UsedPath, paths, reads, tokens};

/// What one room may use.
struct Room {
    name: &'static str,
    /// Paths of this crate, by prefix; `None` is everything.
    may_use: Option<&'static [&'static str]>,
    /// External crates it never uses, on top of what purity forbids.
    never: &'static [&'static str],
    /// No clock, file, socket, thread, async function, random number or randomly hashed map.
    is_pure: bool,
    /// No floating point at all.
    is_integer: bool,
}

impl Room {
    const fn pure(name: &'static str, may_use: &'static [&'static str]) -> Room {
        Room { name, may_use: Some(may_use), never: &[], is_pure: true, is_integer: false }
    }

    const fn shell(name: &'static str, may_use: &'static [&'static str]) -> Room {
        Room { name, may_use: Some(may_use), never: &[], is_pure: false, is_integer: false }
    }

    const fn top(name: &'static str) -> Room {
        Room { name, may_use: None, never: &[], is_pure: false, is_integer: false }
    }
}

/// The arrows, pointing down. `domain` uses `limits`, because its types are checked against bounds when they are made;
/// therefore `limits` uses nothing.
const ROOMS: &[Room] = &[
    Room { never: &["tracing", "serde_json"], is_integer: true, ..Room::pure("domain", &["limits"]) },
    Room::pure("limits", &[]),
    Room::shell("clock", &["domain"]),
    Room::shell("chance", &[]),
    Room::shell("config", &["domain", "limits"]),
    Room { is_integer: true, ..Room::pure("pricing", &["domain", "limits"]) },
    Room::pure("shopper", &["domain", "limits"]),
    // A bundle that is ready to be asked holds the compiled book, segments, who is held out, how campaigns are shown and head
    // office's network, nothing else of those rooms.
    Room::pure(
        "bundle",
        &[
            "domain",
            "pricing::model",
            "pricing::Book",
            "pricing::BookRules",
            "pricing::CouponRule",
            "shopper::segment",
            "shopper::scales",
            "shopper::experiment",
            "shopper::propensity",
            "shopper::recommend::network",
            "shopper::targeting",
            "limits",
        ],
    ),
    Room::pure("engine", &["domain", "pricing", "shopper", "bundle", "limits"]),
    // A decision holds the input it answers.
    Room::shell("storage", &["domain", "engine::decision", "engine::input", "bundle", "chance", "limits"]),
    Room::shell("audit", &["domain", "config::private", "limits"]),
    Room::shell("gate", &["domain", "config::private", "clock", "limits"]),
    Room::shell(
        "devices",
        &["domain", "engine::input", "engine::reply", "config", "gate", "clock", "chance", "limits"],
    ),
    // What goes up is the engine's entry, what comes down its input: both ends read the same types. Their shells take
    // the clock as an argument.
    Room::shell(
        "upstream",
        &["domain", "bundle", "config", "gate::tls", "limits", "clock", "engine::input", "storage::journal"],
    ),
    Room::shell(
        "hub",
        &[
            "domain",
            "bundle",
            "upstream::wire",
            "gate",
            "limits",
            "clock",
            "chance",
            "engine::decision",
            "engine::input",
            "engine::reply",
        ],
    ),
    // It is handed a snapshot and a trait by the daemon: no room that decides or writes. Who signs in stands in the audit log,
    // and what it serves over TLS, and how refusals are named, is the gate's.
    Room::shell("console", &["domain", "config", "limits", "clock", "chance", "audit", "gate"]),
    Room {
        never: &["tokio"],
        ..Room::shell(
            "simulation",
            &[
                "domain",
                "limits",
                "pricing",
                "shopper",
                "bundle",
                "engine",
                "storage",
                "devices::wire",
                "upstream",
                "hub::compare",
                "hub::fold",
                "hub::ledger",
                "hub::lender",
            ],
        )
    },
    Room::top("daemon"),
    Room::top("cli"),
    Room::top("main"),
    Room::top("lib"),
];

/// Only these may use anyhow: elsewhere an error is a type.
const ANYHOW_ROOMS: &[&str] = &["daemon", "cli", "main"];

/// The seam to what reads ONNX: elsewhere its types are our own.
const NETWORK_SEAM: &str = "src/shopper/recommend/network";

/// Where a room of integers may use floating point all the same: it proposes prices that are checked in integers.
const FLOATING: &[&str] = &["src/pricing/best/relaxation.rs"];

/// What purity forbids: prefixes of paths, and words anywhere in one.
const IMPURE_PATHS: &[&[&str]] = &[
    &["std", "fs"],
    &["std", "net"],
    &["std", "os"],
    &["std", "thread"],
    &["std", "process"],
    &["std", "env"],
    &["std", "sync", "mpsc"],
];
const IMPURE_WORDS: &[&str] = &[
    "tokio",
    "async",
    "await",
    "SystemTime",
    "Instant",
    "rand",
    "rustix",
    "HashMap",
    "HashSet",
    "RandomState",
    "DefaultHasher",
];

/// Longest file in lines; longer ones are listed with the reason why they stay whole.
const LINES_MAX: usize = 800;
const LONG_FILES: &[(&str, &str)] = &[
    ("src/limits.rs", "every bound of the program stands in one place"),
    ("src/domain/code.rs", "every code of the program stands in one table"),
];

/// What stands at the top of the repository, and nothing else.
const TOP_LEVEL: &[&str] = &[
    ".ci",
    ".clippy.toml",
    ".gitignore",
    "Cargo.lock",
    "Cargo.toml",
    "LICENSE",
    "README.md",
    "benches",
    "config",
    "deny.toml",
    "examples",
    "fuzz",
    "rust-toolchain.toml",
    "rustfmt.toml",
    "src",
    "systemd",
    "tests",
];

/// Names that say nothing: of files, modules and, as an ending, of types.
const EMPTY_NAMES: &[&str] =
    &["util", "utils", "common", "helper", "helpers", "types", "manager", "managers", "misc"];
const EMPTY_ENDINGS: &[&str] = &["Util", "Utils", "Helper", "Helpers", "Manager"];

/// Cut in two, so that this file may hold them.
const MACHINE_PATHS: &[&str] = &[concat!("/wo", "rk/"), concat!("/ro", "ot/"), concat!("/ho", "me/")];
const REGISTRY_HOSTS: &[&str] = &[
    concat!("crates", ".io"),
    concat!("py", "pi.org"),
    concat!("pythonhosted", ".org"),
    concat!("npm", "js.org"),
    concat!("proxy.", "golang.org"),
    concat!("rs", "proxy"),
    concat!("arti", "factory"),
    concat!("//mirr", "or"),
];
/// How Cargo.lock names the public registry, on every machine.
const LOCK_SOURCE: &str = concat!("registry+https://github.com/rust-lang/crates", ".io-index");

/// One breach: where, and of what.
#[derive(Debug, PartialEq, Eq)]
struct Finding {
    file: String,
    line: usize,
    breach: String,
}

fn finding(file: &str, line: usize, breach: impl Into<String>) -> Finding {
    Finding { file: file.to_owned(), line, breach: breach.into() }
}

/// `src/engine/input.rs` is `["engine", "input"]`, `src/lib.rs` nothing.
fn module_of(file: &str) -> Vec<String> {
    let parts = file.trim_start_matches("src/").trim_end_matches(".rs").trim_end_matches("/mod");
    let parts = parts.split('/').map(str::to_owned);
    parts.filter(|part| !matches!(&**part, "lib" | "main")).collect()
}

/// Applies every rule for one Rust file of `src/` or `tests/`.
fn check_rust(file: &str, text: &str) -> Vec<Finding> {
    let tokens = tokens(text);
    let mut found = check_form(file, text);
    found.extend(check_words(file, &tokens));
    if file.starts_with("src/") {
        let name =
            file.trim_start_matches("src/").split('/').next().unwrap_or_default().trim_end_matches(".rs");
        match ROOMS.iter().find(|room| room.name == name) {
            None => found.push(finding(file, 1, format!("{name} is no room of the house"))),
            Some(room) => {
                let paths = paths(&tokens, &module_of(file));
                found.extend(check_arrows(room, file, &paths));
                found.extend(check_purity(room, file, &tokens, &paths));
            }
        }
    }
    found
}

fn check_arrows(room: &Room, file: &str, paths: &[UsedPath]) -> Vec<Finding> {
    let mut found = Vec::new();
    for path in paths {
        let words: Vec<&str> = path.words.iter().map(String::as_str).collect();
        let breach = match words[..] {
            ["crate", other, ..] if other != room.name && other != "*" => {
                let inner = words[1..].join("::");
                let is_below =
                    |allowed: &&str| inner == **allowed || inner.starts_with(&format!("{allowed}::"));
                let is_allowed = room.may_use.is_none_or(|allowed| allowed.iter().any(is_below));
                // A macro of the crate is at its root and no room.
                let is_room = ROOMS.iter().any(|room| room.name == other);
                (!is_allowed && is_room).then(|| format!("{} may not use {inner}", room.name))
            }
            ["crate", "*"] => Some("the whole crate is imported: name the room".to_owned()),
            ["anyhow", ..] if !ANYHOW_ROOMS.contains(&room.name) => {
                Some(format!("anyhow lives only in {}", ANYHOW_ROOMS.join(", ")))
            }
            ["tract_onnx", ..] if !file.starts_with(NETWORK_SEAM) => {
                Some(format!("tract lives only behind {NETWORK_SEAM}"))
            }
            [first, ..] if room.never.contains(&first) && !path.in_test => {
                Some(format!("{} never uses {first}", room.name))
            }
            _ => None,
        };
        found.extend(breach.map(|breach| finding(file, path.line, breach)));
    }
    found
}

fn check_purity(room: &Room, file: &str, tokens: &[Token], paths: &[UsedPath]) -> Vec<Finding> {
    let mut found = Vec::new();
    for path in paths.iter().filter(|path| room.is_pure && !path.in_test) {
        let starts = |prefix: &&&[&str]| {
            path.words.iter().zip(**prefix).filter(|(a, b)| a == *b).count() == prefix.len()
        };
        let impure = IMPURE_PATHS.iter().find(starts).map(|prefix| prefix.join("::"));
        let word = IMPURE_WORDS.iter().find(|word| path.words.iter().any(|used| used == *word));
        if let Some(what) = impure.or(word.map(|word| (*word).to_owned())) {
            found.push(finding(file, path.line, format!("{what} in {}, which is pure", room.name)));
        }
    }
    let is_integer = room.is_integer && !FLOATING.contains(&file);
    for token in tokens.iter().filter(|token| is_integer && !token.in_test) {
        let is_number = token.text.starts_with(|first: char| first.is_ascii_digit());
        let is_float = matches!(&*token.text, "f32" | "f64")
            || is_number
                && (token.text.contains('.') || token.text.ends_with("f64") || token.text.ends_with("f32"));
        if is_float && !token.text.starts_with("0x") {
            found.push(finding(file, token.line, format!("{} in {}, where money is", token.text, room.name)));
        }
    }
    found
}

/// Header and length.
fn check_form(file: &str, text: &str) -> Vec<Finding> {
    let mut found = Vec::new();
    let header = text.lines().find(|line| !line.is_empty()).unwrap_or_default();
    if !header.starts_with("//! ") {
        found.push(finding(file, 1, "no header (//!) that says what this is"));
    }
    let lines = text.lines().count();
    let is_listed = LONG_FILES.iter().any(|(listed, reason)| *listed == file && !reason.is_empty());
    if lines > LINES_MAX && !is_listed {
        found.push(finding(file, LINES_MAX, format!("{lines} lines: split it, or list it with the reason")));
    }
    if lines <= LINES_MAX && is_listed {
        found.push(finding(file, lines, "is listed as long and is not"));
    }
    found
}

/// Words that no Rust file holds.
fn check_words(file: &str, tokens: &[Token]) -> Vec<Finding> {
    let mut found = Vec::new();
    for part in file.trim_end_matches(".rs").split('/') {
        if EMPTY_NAMES.contains(&part) {
            found.push(finding(file, 1, format!("{part} is a name that says nothing")));
        }
    }
    for (index, token) in tokens.iter().enumerate() {
        let next = tokens.get(index + 1).map_or("", |token| token.text.as_str());
        let breach = match &*token.text {
            word @ ("todo" | "unimplemented") if next == "!" => Some(format!("{word}!")),
            "mod" if EMPTY_NAMES.contains(&next) => Some(format!("{next} is a name that says nothing")),
            "struct" | "enum" | "trait" | "type"
                if EMPTY_ENDINGS.iter().any(|ending| next.ends_with(ending)) =>
            {
                Some(format!("{next} is a name that says nothing"))
            }
            "#" => attribute_breach(tokens, index),
            _ => None,
        };
        found.extend(breach.map(|breach| finding(file, token.line, breach)));
    }
    found
}

fn attribute_breach(tokens: &[Token], index: usize) -> Option<String> {
    let start = index + 1 + usize::from(reads(tokens, index + 1, &["!"]));
    if !reads(tokens, start, &["["]) {
        return None;
    }
    let mut depth = 0_usize;
    let end = (start..tokens.len()).find(|index| {
        match &*tokens[*index].text {
            "[" | "(" => depth += 1,
            "]" | ")" => depth -= 1,
            _ => {}
        }
        depth == 0
    })?;
    let words: Vec<&str> = tokens[start + 1..end].iter().map(|token| token.text.as_str()).collect();
    let calls = |name: &str| words.windows(2).any(|pair| pair == [name, "("]);
    if calls("allow") {
        return Some("#[allow]: use #[expect] with a reason".to_owned());
    }
    if calls("expect") && !words.contains(&"reason") {
        return Some("#[expect] without a reason".to_owned());
    }
    (words == ["ignore"]).then(|| "#[ignore] without a reason".to_owned())
}

/// What no tracked text holds: hosts of registries and paths of one machine.
fn check_text(file: &str, text: &str) -> Vec<Finding> {
    let mut found = Vec::new();
    for (index, line) in text.lines().enumerate() {
        let line = if file == "Cargo.lock" { line.replace(LOCK_SOURCE, "") } else { line.to_owned() };
        for banned in MACHINE_PATHS.iter().chain(REGISTRY_HOSTS) {
            if line.contains(banned) {
                found.push(finding(file, index + 1, format!("holds {banned}")));
            }
        }
    }
    found
}

/// Every bound has a doc comment that says why, and nothing but bounds is there.
fn check_limits(file: &str, text: &str) -> Vec<Finding> {
    let lines: Vec<&str> = text.lines().collect();
    (lines.iter().enumerate())
        .filter(|(_, line)| line.starts_with("pub const "))
        .filter(|(index, _)| !index.checked_sub(1).is_some_and(|above| lines[above].starts_with("/// ")))
        .map(|(index, line)| finding(file, index + 1, format!("no reason above {line}")))
        .collect()
}

fn check_top_level<'f>(files: impl Iterator<Item = &'f str>) -> Vec<Finding> {
    let entries: BTreeSet<&str> = files.filter_map(|file| file.split('/').next()).collect();
    (entries.into_iter().filter(|entry| !TOP_LEVEL.contains(entry)))
        .map(|entry| finding(entry, 0, "does not belong at the top of the repository"))
        .collect()
}

/// Every tracked file with its bytes; without git (a source archive), every file but what a build makes.
fn tracked() -> Vec<(String, Vec<u8>)> {
    let listed =
        Command::new("git").args(["ls-files", "-z"]).output().ok().filter(|output| output.status.success());
    let names: Vec<String> = match listed {
        Some(output) if !output.stdout.is_empty() => {
            String::from_utf8_lossy(&output.stdout).split_terminator('\0').map(str::to_owned).collect()
        }
        _ => walk(Path::new(".")),
    };
    assert!(names.iter().any(|name| name == "src/limits.rs"), "the repository is found: {names:?}");
    // A file that is tracked and just deleted is no file.
    names.into_iter().filter_map(|name| std::fs::read(&name).ok().map(|bytes| (name, bytes))).collect()
}

fn walk(dir: &Path) -> Vec<String> {
    let mut names = Vec::new();
    for entry in std::fs::read_dir(dir).into_iter().flatten().flatten() {
        let (path, name) = (entry.path(), entry.file_name());
        if path.is_dir() && name != "target" && name != ".git" {
            names.extend(walk(&path));
        } else if path.is_file() && name != ".git" {
            names.push(path.to_string_lossy().trim_start_matches("./").to_owned());
        }
    }
    names
}

fn assert_none(found: &[Finding]) {
    let lines: Vec<String> = found
        .iter()
        .map(|finding| format!("{}:{}: {}", finding.file, finding.line, finding.breach))
        .collect();
    assert!(found.is_empty(), "{} breaches\n{}", lines.len(), lines.join("\n"));
}

#[test]
fn does_every_rust_file_keep_the_law() {
    let files = tracked();
    let rust = files.iter().filter(|(name, _)| name.ends_with(".rs"));
    let found: Vec<Finding> =
        rust.flat_map(|(name, bytes)| check_rust(name, &String::from_utf8_lossy(bytes))).collect();
    assert_none(&found);
}

#[test]
fn is_no_machine_or_registry_named_in_a_tracked_file() {
    let files = tracked();
    let texts = files.iter().filter_map(|(name, bytes)| Some((name, std::str::from_utf8(bytes).ok()?)));
    assert_none(&texts.flat_map(|(name, text)| check_text(name, text)).collect::<Vec<_>>());
}

#[test]
fn does_every_bound_say_why() {
    let text = std::fs::read_to_string("src/limits.rs").expect("the bounds are there");
    assert!(text.contains("pub const "), "there are bounds");
    assert_none(&check_limits("src/limits.rs", &text));
}

#[test]
fn does_only_what_belongs_stand_at_the_top() {
    let files = tracked();
    assert_none(&check_top_level(files.iter().map(|(name, _)| name.as_str())));
    for (listed, _) in LONG_FILES {
        assert!(files.iter().any(|(name, _)| name == listed), "{listed} is listed as long and is gone");
    }
}

/// The law itself on trial: each of these is one breach.
#[test]
fn is_each_breach_seen() {
    for (file, code, breach) in [
        ("src/domain/a.rs", "use crate::pricing::model;", "domain may not use pricing::model"),
        ("src/domain/a.rs", "fn f() { crate::engine::go() }", "domain may not use engine::go"),
        ("src/domain/a.rs", "use super::super::engine::Input;", "domain may not use engine::Input"),
        ("src/domain/mod.rs", "use super::clock;", "domain may not use clock"),
        ("src/clock.rs", "use super::engine::X;", "clock may not use engine::X"),
        ("src/clock.rs", "mod a { use super::super::engine::X; }", "clock may not use engine::X"),
        ("src/clock.rs", "use super::*;", "the whole crate is imported: name the room"),
        (
            "src/bundle/a.rs",
            "use crate::pricing::{model::M, outcome::O};",
            "bundle may not use pricing::outcome::O",
        ),
        ("src/bundle/a.rs", "use crate::pricing;", "bundle may not use pricing"),
        ("src/bundle/a.rs", "use crate::pricing::modelling::M;", "bundle may not use pricing::modelling::M"),
        ("src/engine/a.rs", "use crate::{domain::code, storage::{self}};", "engine may not use storage"),
        ("src/engine/a.rs", "pub use crate::config as c;", "engine may not use config"),
        ("src/pricing/a.rs", "fn f(x: &crate::shopper::S) {}", "pricing may not use shopper::S"),
        ("src/devices/a.rs", "use crate::storage::journal::J;", "devices may not use storage::journal::J"),
        ("src/upstream/a.rs", "use crate::storage::tables::T;", "upstream may not use storage::tables::T"),
        (
            "src/storage/a.rs",
            "#[cfg(test)] mod t { use crate::upstream::U; }",
            "storage may not use upstream::U",
        ),
        ("src/domain/a.rs", "use serde_json::Value;", "domain never uses serde_json"),
        ("src/simulation/a.rs", "fn f() { tokio::spawn(x) }", "simulation never uses tokio"),
        ("src/storage/a.rs", "use anyhow::Context;", "anyhow lives only in daemon, cli, main"),
        (
            "src/bundle/a.rs",
            "use tract_onnx::prelude::Tensor;",
            "tract lives only behind src/shopper/recommend/network",
        ),
        ("src/attic/a.rs", "", "attic is no room of the house"),
        ("src/engine/a.rs", "use std::{fmt, fs::File};", "std::fs in engine, which is pure"),
        ("src/engine/a.rs", "fn f() { std::thread::yield_now() }", "std::thread in engine, which is pure"),
        ("src/engine/a.rs", "async fn f() {}", "async in engine, which is pure"),
        ("src/bundle/a.rs", "use std::time::SystemTime;", "SystemTime in bundle, which is pure"),
        ("src/shopper/a.rs", "fn f(m: HashMap<u8, u8>) {}", "HashMap in shopper, which is pure"),
        ("src/pricing/a.rs", "use std::net::IpAddr;", "std::net in pricing, which is pure"),
        ("src/pricing/a.rs", "fn f(x: f64) {}", "f64 in pricing, where money is"),
        ("src/domain/a.rs", "const X: u8 = 1.5 as u8;", "1.5 in domain, where money is"),
        ("src/domain/a.rs", "const X: u8 = 2f32 as u8;", "2f32 in domain, where money is"),
        ("src/hub/utils.rs", "", "utils is a name that says nothing"),
        ("src/hub/a.rs", "mod helpers {}", "helpers is a name that says nothing"),
        ("tests/common/mod.rs", "", "common is a name that says nothing"),
        ("src/hub/a.rs", "struct StoreManager;", "StoreManager is a name that says nothing"),
        ("src/hub/a.rs", "fn f() { todo!() }", "todo!"),
        ("tests/a.rs", "fn f() { unimplemented!(\"x\") }", "unimplemented!"),
        ("src/hub/a.rs", "#![allow(dead_code)]", "#[allow]: use #[expect] with a reason"),
        ("src/hub/a.rs", "#[cfg_attr(test, allow(x))] fn f() {}", "#[allow]: use #[expect] with a reason"),
        ("src/hub/a.rs", "#[expect(dead_code)] fn f() {}", "#[expect] without a reason"),
        ("tests/a.rs", "#[test] #[ignore] fn f() {}", "#[ignore] without a reason"),
    ] {
        let found = check_rust(file, &format!("//! A header.\n{code}\n"));
        let breaches: Vec<&str> = found.iter().map(|finding| finding.breach.as_str()).collect();
        assert_eq!(breaches, [breach], "{file}: {code}");
        assert!(found.iter().all(|finding| finding.line <= 2), "{found:?}");
    }
}

#[test]
fn is_what_the_law_allows_left_alone() {
    for (file, code) in [
        ("src/domain/a.rs", "use super::ids::Sku; use crate::limits; // crate::engine, f64, todo!()"),
        ("src/domain/a.rs", "/* crate::engine /* async */ HashMap */ const T: &str = \"crate::engine 1.5\";"),
        (
            "src/domain/a.rs",
            "const T: &str = r#\"use \"crate::engine\" \"#; const C: char = '\"'; fn f<'a>(x: &'a u8) {}",
        ),
        (
            "src/domain/a.rs",
            "const C: [char; 2] = ['\\'', '{']; const R: std::ops::Range<u8> = 0..5; const T: u8 = x.0.1;",
        ),
        (
            "src/domain/a.rs",
            "#[cfg(test)]\nmod tests { use super::*; use std::fs; const X: f64 = 1.5; fn f() { serde_json::x() } }",
        ),
        ("src/domain/a.rs", "#[cfg(test)]\nuse std::fs;\nfn f() {}"),
        ("src/domain/mod.rs", "pub mod money; pub(crate) fn f() {} fn g() { self::money::f() }"),
        ("src/bundle/a.rs", "use crate::pricing::model::{self, M}; use crate::domain::code;"),
        ("src/engine/mod.rs", "use crate::bundle::document as d; pub(in crate::engine) fn f() {}"),
        (
            "src/storage/a.rs",
            "use crate::engine::decision::Decision; use std::fs::File; fn f() { crate::my_macro!() }",
        ),
        ("src/cli/a.rs", "use anyhow::Context; use crate::storage::journal::J;"),
        ("src/main.rs", "use aisled::cli; use anyhow::Result;"),
        (
            "src/hub/a.rs",
            "#[expect(dead_code, reason = \"x\")] fn f() { x.expect(\"y\") } #[ignore = \"why\"] fn g() {}",
        ),
        ("tests/a.rs", "use aisled::engine; use std::fs;"),
    ] {
        assert_eq!(check_rust(file, &format!("//! A header.\n{code}\n")), [], "{file}: {code}");
    }
}

#[test]
fn are_header_length_and_place_seen() {
    let breaches = |found: Vec<Finding>| found.into_iter().map(|finding| finding.breach).collect::<Vec<_>>();
    assert_eq!(
        breaches(check_rust("src/hub/a.rs", "// no header\n")),
        ["no header (//!) that says what this is"]
    );
    assert_eq!(breaches(check_rust("src/hub/a.rs", "")), ["no header (//!) that says what this is"]);
    let long = format!("//! A header.\n{}", "\n".repeat(LINES_MAX));
    assert_eq!(
        breaches(check_rust("src/hub/a.rs", &long)),
        ["801 lines: split it, or list it with the reason"]
    );
    assert_eq!(breaches(check_top_level(["notes.md", "src/lib.rs"].into_iter())).len(), 1);
}

#[test]
fn are_machines_registries_and_reasonless_bounds_seen() {
    for banned in MACHINE_PATHS.iter().chain(REGISTRY_HOSTS) {
        assert_eq!(check_text("README.md", &format!("one\ntwo {banned}x\n")).len(), 1, "{banned}");
    }
    assert_eq!(check_text("Cargo.lock", &format!("source = \"{LOCK_SOURCE}\"\n")), []);
    assert_eq!(check_text("README.md", LOCK_SOURCE).len(), 1);
    let found = check_limits("src/limits.rs", "/// Why.\npub const A: u8 = 1;\npub const B: u8 = 2;\n");
    assert_eq!(found.iter().map(|finding| finding.line).collect::<Vec<_>>(), [3]);
}
