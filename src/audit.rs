//! Who did what to this box: acts of administration, one JSON line each, every line bound to the one before it.
//!
//! ```text
//! audit.log            the present file      {"seq":7,"at":"...","who":"uid 0","act":"device.add","what":{...},"prev":"<64 hex>"}
//! audit-<seq>.log      earlier ones, by the number of their first act; the oldest go, the chain goes on
//! audit.head           the number and hash of the last act
//! ```
//! `prev` is the SHA-256 of the line before, without its line end; the first act's is all zeros. An act is synced before it counts as
//! written, and what must be audited is done only after that. `verify` finds an act that was changed, taken out or put in between,
//! and one cut off at the end, because the head knows better. Whoever may write all of these files can make a new chain: each act
//! and its hash go to the log as well, which the system keeps under another user.
//!
//! Invariants: one writer at a time, by a lock; a torn last line was never acknowledged and is cut; numbers have no gaps; after damage
//! the chain goes on from what the head says, so that the damage stays visible for ever.

use std::fmt;
use std::fs::{self, File, OpenOptions};
use std::io::{self, BufRead, BufReader, Write};
use std::path::{Path, PathBuf};

use serde::{Deserialize, Serialize};
use serde_json::Value;
use sha2::{Digest, Sha256};

use crate::config::private;
use crate::domain::calendar::UnixMs;
use crate::domain::code::Code;
use crate::domain::text::hex;
use crate::limits;

/// Name of the present file in the data directory.
pub const AUDIT_FILE: &str = "audit.log";
const HEAD_FILE: &str = "audit.head";
/// Before the first act.
const BEGINNING: &str = "0000000000000000000000000000000000000000000000000000000000000000";

/// One act.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Act {
    /// Its number, from 1.
    pub seq: u64,
    /// When, in milliseconds since 1970, by the box's clock.
    pub at: UnixMs,
    /// Who: a user of the machine, a user of the console, head office, the daemon.
    pub who: String,
    /// What was done: `device.add`, `bundle.activate`.
    pub act: String,
    /// With what; never a secret.
    pub what: Value,
    /// The hash of the act before it.
    pub prev: String,
}

#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct Head {
    seq: u64,
    hash: String,
}

impl Default for Head {
    fn default() -> Head {
        Head { seq: 0, hash: BEGINNING.to_owned() }
    }
}

/// Why an act is not written, or the log does not check. Fits after "failed to".
#[derive(Debug)]
pub enum AuditError {
    /// The disk's.
    Disk(PathBuf, io::Error),
    /// An act is larger than `AUDIT_LINE_BYTES_MAX`.
    TooLarge,
    /// The log was changed.
    Broken {
        /// The number of the act at which it shows.
        seq: u64,
        /// What is wrong there.
        what: String,
    },
}

impl AuditError {
    /// Its page.
    pub fn code(&self) -> Code {
        match self {
            AuditError::Disk(..) | AuditError::TooLarge => Code::AuditUnwritable,
            AuditError::Broken { .. } => Code::AuditBroken,
        }
    }
}

impl fmt::Display for AuditError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            AuditError::Disk(path, error) => write!(f, "write the audit log {}: {error}", path.display()),
            AuditError::TooLarge => f.write_str("write the audit log: the act is too large"),
            AuditError::Broken { seq, what } => write!(f, "verify the audit log at act {seq}: {what}"),
        }
    }
}

impl std::error::Error for AuditError {}

/// What a log that checks holds.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Checked {
    /// The oldest act that is kept; 1 if none was dropped.
    pub first: u64,
    /// The last one; 0 if there is none.
    pub last: u64,
    /// The hash of the last one: compare it with the system's journal.
    pub hash: String,
}

/// The user of the machine who runs this program, as the log names them.
pub fn machine_user() -> String {
    let uid = rustix::process::getuid().as_raw();
    match std::env::var("SUDO_UID").ok().and_then(|uid| uid.parse::<u32>().ok()) {
        Some(real) => format!("uid {uid} for uid {real}"),
        None => format!("uid {uid}"),
    }
}

/// Writes down an act, durable when this returns.
///
/// # Errors
/// The disk's. Do not do what could not be written down.
pub fn append(dir: &Path, at: UnixMs, who: &str, act: &str, what: Value) -> Result<Act, AuditError> {
    let path = dir.join(AUDIT_FILE);
    let failed = |error| AuditError::Disk(path.clone(), error);
    let lock = private::lock_beside(&path).map_err(failed)?;
    let head = recover(dir).map_err(failed)?;
    let act = Act {
        seq: head.seq + 1,
        at,
        who: who.chars().take(limits::NAME_BYTES_MAX).collect(),
        act: act.to_owned(),
        what,
        prev: head.hash,
    };
    let line = serde_json::to_string(&act).map_err(|error| failed(error.into()))?;
    if line.len() > limits::AUDIT_LINE_BYTES_MAX {
        return Err(AuditError::TooLarge);
    }
    turn_over(dir, act.seq).map_err(failed)?;
    let mut options = OpenOptions::new();
    std::os::unix::fs::OpenOptionsExt::mode(options.append(true).create(true), 0o600);
    let mut file = options.open(&path).map_err(failed)?;
    private::as_its_directory(&file, &path).map_err(failed)?;
    file.write_all(format!("{line}\n").as_bytes()).map_err(failed)?;
    file.sync_all().map_err(failed)?;
    let head = Head { seq: act.seq, hash: hash(&line) };
    keep_head(dir, &head).map_err(failed)?;
    tracing::info!(audit = act.seq, hash = head.hash, who = act.who, act = act.act, what = %act.what, "audited");
    drop(lock);
    Ok(act)
}

/// Looks through every act that is kept.
///
/// # Errors
/// `Broken` names the first place; `Disk` if a file cannot be read.
pub fn verify(dir: &Path) -> Result<Checked, AuditError> {
    walk(dir, &mut |_| {})
}

/// The last acts, the newest last, at most so many; whether they check is `verify`'s question.
///
/// # Errors
/// A file cannot be read.
pub fn last(dir: &Path, count: usize) -> Result<Vec<Act>, AuditError> {
    let mut acts = std::collections::VecDeque::new();
    for file in files(dir).map_err(|error| AuditError::Disk(dir.to_owned(), error))? {
        for line in lines(&file).map_err(|error| AuditError::Disk(file.clone(), error))? {
            if let Ok(act) = serde_json::from_str::<Act>(&line) {
                acts.push_back(act);
                if acts.len() > count {
                    acts.pop_front();
                }
            }
        }
    }
    Ok(acts.into())
}

fn walk(dir: &Path, seen: &mut dyn FnMut(Act)) -> Result<Checked, AuditError> {
    let mut at: Option<Head> = None;
    let mut first = 0;
    let files = files(dir).map_err(|error| AuditError::Disk(dir.to_owned(), error))?;
    // The oldest file goes only when there are too many; a crash may come between that and the first act of the newest.
    let has_dropped = files.len() + 1 >= limits::AUDIT_FILES_MAX;
    for file in files {
        for line in lines(&file).map_err(|error| AuditError::Disk(file.clone(), error))? {
            let seq = at.as_ref().map_or(1, |at| at.seq + 1);
            let broken = |what: &str| AuditError::Broken { seq, what: what.to_owned() };
            let act: Act = serde_json::from_str(&line).map_err(|_| broken("the line is no act"))?;
            match &at {
                Some(at) if act.seq != at.seq + 1 => {
                    return Err(broken(&format!("act {} follows act {}", act.seq, at.seq)));
                }
                Some(at) if act.prev != at.hash => return Err(broken("the act before it was changed")),
                Some(_) => {}
                None if act.seq == 1 && act.prev != BEGINNING => {
                    return Err(broken("it is not the first act"));
                }
                None if act.seq > 1 && !has_dropped => {
                    return Err(broken(&format!("the acts before act {} are gone", act.seq)));
                }
                None => first = act.seq,
            }
            at = Some(Head { seq: act.seq, hash: hash(&line) });
            seen(act);
        }
    }
    let at = at.unwrap_or_default();
    let head = read_head(dir).map_err(|error| AuditError::Disk(dir.join(HEAD_FILE), error))?;
    let broken = |what: String| AuditError::Broken { seq: at.seq + 1, what };
    match head {
        None if at.seq > 0 => Err(broken("audit.head is missing".to_owned())),
        // A crash between an act and its head leaves one act more; it was never acknowledged, and is no sign of anything.
        Some(head) if head.seq + 1 == at.seq => Ok(Checked { first, last: at.seq, hash: at.hash }),
        Some(head) if head != at => {
            Err(broken(format!("acts through {} were written, the log ends at {}", head.seq, at.seq)))
        }
        Some(_) | None => Ok(Checked { first, last: at.seq, hash: at.hash }),
    }
}

/// Where the chain goes on: the head, or one act behind it. A torn line is cut.
fn recover(dir: &Path) -> io::Result<Head> {
    let path = dir.join(AUDIT_FILE);
    let known = read_head(dir)?;
    let Ok(bytes) = fs::read(&path) else { return Ok(known.unwrap_or_default()) };
    let whole = bytes.iter().rposition(|byte| *byte == b'\n').map_or(0, |end| end + 1);
    if whole < bytes.len() {
        OpenOptions::new().write(true).open(&path)?.set_len(whole as u64)?;
    }
    let text = String::from_utf8_lossy(&bytes[..whole]);
    let last = text.lines().next_back().and_then(|line| {
        let act: Act = serde_json::from_str(line).ok()?;
        Some((act, hash(line)))
    });
    Ok(match (known, last) {
        (Some(known), Some((act, hash))) if act.seq == known.seq + 1 && act.prev == known.hash => {
            Head { seq: act.seq, hash }
        }
        (Some(known), last) => {
            if last.as_ref().is_none_or(|(act, hash)| act.seq != known.seq || *hash != known.hash)
                && whole > 0
            {
                tracing::error!(code = %Code::AuditBroken, "the audit log was changed; it goes on behind the damage");
            }
            known
        }
        (None, Some((act, hash))) => {
            tracing::error!(code = %Code::AuditBroken, "audit.head is missing; the log goes on from its last act");
            Head { seq: act.seq, hash }
        }
        (None, None) => Head::default(),
    })
}

/// A file that is long enough gets its number, and those that are too many go.
fn turn_over(dir: &Path, next: u64) -> io::Result<()> {
    let path = dir.join(AUDIT_FILE);
    match fs::metadata(&path) {
        Ok(metadata) if metadata.len() >= limits::AUDIT_BYTES_MAX => {}
        _ => return Ok(()),
    }
    number_it(dir, next)
}

fn number_it(dir: &Path, next: u64) -> io::Result<()> {
    let path = dir.join(AUDIT_FILE);
    let first = lines(&path)?.first().and_then(|line| serde_json::from_str::<Act>(line).ok());
    let first = first.map_or(next, |act| act.seq);
    fs::rename(&path, dir.join(format!("audit-{first:012}.log")))?;
    let kept = files(dir)?;
    for old in kept.iter().take((kept.len() + 1).saturating_sub(limits::AUDIT_FILES_MAX)) {
        fs::remove_file(old)?;
    }
    File::open(dir)?.sync_all()
}

/// Every file, the oldest first.
fn files(dir: &Path) -> io::Result<Vec<PathBuf>> {
    let mut files = Vec::new();
    let entries = match fs::read_dir(dir) {
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(files),
        entries => entries?,
    };
    for entry in entries {
        let path = entry?.path();
        let name = path.file_name().and_then(|name| name.to_str()).unwrap_or_default();
        if name.strip_prefix("audit-").and_then(|rest| rest.strip_suffix(".log")).is_some() {
            files.push(path);
        }
    }
    files.sort();
    files.extend(Some(dir.join(AUDIT_FILE)).filter(|file| file.exists()));
    Ok(files)
}

/// The whole lines of a file.
fn lines(file: &Path) -> io::Result<Vec<String>> {
    let mut reader = BufReader::new(File::open(file)?);
    let mut lines = Vec::new();
    let mut line = Vec::new();
    while reader.read_until(b'\n', &mut line)? > 0 {
        if line.pop() == Some(b'\n') {
            lines.push(String::from_utf8_lossy(&line).into_owned());
        }
        line.clear();
    }
    Ok(lines)
}

fn read_head(dir: &Path) -> io::Result<Option<Head>> {
    match fs::read(dir.join(HEAD_FILE)) {
        Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(None),
        Err(error) => Err(error),
        Ok(bytes) => Ok(serde_json::from_slice(&bytes).ok()),
    }
}

fn keep_head(dir: &Path, head: &Head) -> io::Result<()> {
    private::place(&dir.join(HEAD_FILE), &serde_json::to_vec(head).map_err(io::Error::from)?)
}

fn hash(line: &str) -> String {
    hex(&Sha256::digest(line.as_bytes()))
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    fn log_of(count: u64) -> tempfile::TempDir {
        let dir = tempfile::tempdir().expect("a directory");
        for n in 1..=count {
            let act = append(
                dir.path(),
                UnixMs(0),
                "uid 0",
                "device.add",
                json!({ "device": format!("till-{n}") }),
            );
            assert_eq!(act.expect("it is written").seq, n);
        }
        dir
    }

    fn broken_at(dir: &Path) -> u64 {
        match verify(dir) {
            Err(AuditError::Broken { seq, .. }) => seq,
            other => panic!("it checks: {other:?}"),
        }
    }

    #[test]
    fn does_a_log_check_and_tell_its_last_acts() {
        let dir = log_of(5);
        let checked = verify(dir.path()).expect("it checks");
        assert_eq!((checked.first, checked.last), (1, 5));
        let last = last(dir.path(), 2).expect("it reads");
        assert_eq!(last.iter().map(|act| act.seq).collect::<Vec<_>>(), [4, 5]);
        let empty = tempfile::tempdir().expect("a directory");
        assert_eq!(verify(empty.path()).expect("nothing checks too").last, 0);
    }

    #[test]
    fn is_an_act_that_was_changed_taken_out_or_cut_off_named() {
        type Change = fn(&str) -> String;
        let changes: &[(&str, Change, u64)] = &[
            ("changed", |text| text.replace("till-2", "till-9"), 3),
            ("the last one changed", |text| text.replace("till-4", "till-9"), 5),
            ("taken out", |text| lines_but(text, 2), 3),
            ("the first taken out", |text| lines_but(text, 0), 1),
            ("cut off", |text| lines_but(text, 3), 4),
            ("emptied", |_| String::new(), 1),
            ("no act", |text| text.replace("{\"seq\":3", "{\"seq\":x"), 3),
            (
                "swapped",
                |text| text.replace("till-2", "x").replace("till-3", "till-2").replace("\"x\"", "\"till-3\""),
                3,
            ),
        ];
        for (what, change, seq) in changes {
            let dir = log_of(4);
            let file = dir.path().join(AUDIT_FILE);
            let text = fs::read_to_string(&file).expect("it reads");
            fs::write(&file, change(&text)).expect("it is changed");
            assert_eq!(broken_at(dir.path()), *seq, "{what}");
            append(dir.path(), UnixMs(1), "uid 0", "device.add", json!({})).expect("it goes on");
            assert!(verify(dir.path()).is_err(), "{what}: the damage is gone with the next act");
        }
        let dir = log_of(2);
        fs::remove_file(dir.path().join(HEAD_FILE)).expect("it is there");
        assert_eq!(broken_at(dir.path()), 3);
    }

    fn lines_but(text: &str, leave_out: usize) -> String {
        let kept = text.lines().enumerate().filter(|(index, _)| *index != leave_out);
        kept.map(|(_, line)| format!("{line}\n")).collect()
    }

    #[test]
    fn is_a_torn_act_cut_and_one_without_its_head_kept() {
        let dir = log_of(2);
        let file = dir.path().join(AUDIT_FILE);
        let mut open = OpenOptions::new().append(true).open(&file).expect("it is there");
        open.write_all(b"{\"seq\":3,").expect("it is torn");
        assert_eq!(append(dir.path(), UnixMs(0), "uid 0", "x", json!({})).expect("written").seq, 3);
        let before = fs::read(dir.path().join(HEAD_FILE)).expect("it is there");
        append(dir.path(), UnixMs(0), "uid 0", "x", json!({})).expect("written");
        fs::write(dir.path().join(HEAD_FILE), before).expect("the crash came before the head");
        assert_eq!(verify(dir.path()).expect("no damage").last, 4);
        assert_eq!(append(dir.path(), UnixMs(0), "uid 0", "x", json!({})).expect("written").seq, 5);
        assert_eq!(verify(dir.path()).expect("it checks").last, 5);
    }

    #[test]
    fn is_the_chain_carried_into_the_next_file_and_the_number_of_files_bounded() {
        let dir = log_of(1);
        for n in 0..limits::AUDIT_FILES_MAX as u64 + 3 {
            number_it(dir.path(), n + 2).expect("it turns over");
            append(dir.path(), UnixMs(0), "uid 0", "x", json!({})).expect("written");
        }
        let checked = verify(dir.path()).expect("it checks over all files");
        assert!(checked.first > 1, "the oldest went");
        assert_eq!(files(dir.path()).expect("it lists").len(), limits::AUDIT_FILES_MAX);
    }
}
