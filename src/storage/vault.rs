//! The vault: the only place where the journal's numbers have names. Who is taken out of it is forgotten.
//!
//! Layout, beside the journal: `names` and `names.copy`, the same in both, a line for each personal value that a decision held (JSON, a tab, CRC-32C in
//! hexadecimal; the first line says which number is next), appended to; `forgotten`, a line for each forgotten member, which
//! only tells them again (`Mark`), and a copy of it beside the directory where one can be written; `forgetting`, there while a forgetting is not at its end.
//!
//! Invariants:
//! - The journal holds numbers where a decision names a member, a token of one, or another personal value (`engine::marks`
//!   says which). A number is never given twice. A line of `names` is synced before the frame that uses its number.
//! - A value belongs to the member it was said of; `erase` writes `names` anew without the forgotten ones and all that is
//!   theirs, by rename. From then on their decisions are nobody's, and still balance.
//! - A forgotten id never gets a number again and never comes back into the tables, whoever names it: a bundle, head office,
//!   an open quote, a backup. The same person enrols anew under another id.
//! - A token that is no member's is written as a keyed hash: nobody gets the phone number out of it by trying all of them.
//! - `names` is as true as the journal is and cannot be made from anything else, hence the copy: a line counts where it checks
//!   in either; where both are gone beside a journal that needs them, no start is taken. A torn end was never used.
//!
//! Why numbers and not a cipher: there is nothing to break later, entries grow smaller instead of larger, and what is deleted
//! is the value itself. What remains of somebody forgotten is what their baskets cost, in decisions that name nobody, which
//! the same number ties together. Tables, checkpoints and kept bundles hold ids as they are: each is a view that a forgetting
//! writes anew and whose former self it removes (`follow`, `place`, the daemon's shelf).

use std::collections::{BTreeMap, BTreeSet};
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use serde::{Deserialize, Serialize};
use sha2::{Digest, Sha256};

use crate::domain::ids::{MemberId, Seq};
use crate::domain::member::TokenHash;
use crate::domain::text::hex;
use crate::engine::decision::{
    self, Change, Encoder, Entry, EntryFault, Instead, Key, Kind, Numbers, Record, Values,
};
use crate::limits;

use super::disk::{Disk, DiskFile, OsDisk};
use super::error::{Result, StorageError};
use super::identity;
use super::journal::FormatVersion;

/// The file of names, and its copy.
pub const NAMES: [&str; 2] = ["names", "names.copy"];
/// The file that tells forgotten members again.
pub const FORGOTTEN_FILE: &str = "forgotten";
/// There while a forgetting is not at its end.
const FORGETTING_FILE: &str = "forgetting";

/// Tells a forgotten member again, and says nothing else: keyed with the box's secret.
type Mark = [u8; 16];

/// Personal values by their numbers. Clones share them.
#[derive(Clone)]
pub struct Vault(Arc<Mutex<Inner>>);

struct Inner {
    dir: PathBuf,
    secret: [u8; 32],
    /// `names` and its copy; none where nothing is written.
    files: Vec<Arc<dyn DiskFile>>,
    /// Where they go on.
    end: u64,
    /// There were none.
    is_new: bool,
    /// They are the same and whole.
    is_even: bool,
    /// Before this decision the journal names members as they are: an older version wrote it.
    since: Seq,
    next: u32,
    rows: BTreeMap<u32, Row>,
    /// Of members and of tokens.
    numbers: [BTreeMap<Arc<[u8]>, u32>; 2],
    /// Of what many may have, by whose it is.
    said: BTreeMap<(u32, Kind, Arc<[u8]>), u32>,
    forgotten: BTreeSet<Mark>,
    fresh: Vec<u8>,
    /// Everything of those who were forgotten is gone.
    erased: bool,
}

/// One of the two files as it was found.
struct Found {
    bytes: Vec<u8>,
    lines: Vec<Line>,
    version: Option<u32>,
    /// Lines that do not check.
    damaged: u32,
}

impl Found {
    fn of(bytes: Vec<u8>) -> Found {
        let (mut lines, mut damaged) = (Vec::new(), 0);
        let whole = bytes.iter().rposition(|byte| *byte == b'\n').map_or(0, |last| last + 1);
        for line in bytes[..whole].split(|byte| *byte == b'\n').filter(|line| !line.is_empty()) {
            match checked(line) {
                Some(line) => lines.push(line),
                None => damaged += 1,
            }
        }
        let version = match lines.first() {
            Some(Line::Vault { version, .. }) => Some(*version),
            _ => None,
        };
        Found { bytes, lines, version, damaged }
    }

    fn is_whole(&self) -> bool {
        self.damaged == 0 && self.bytes.last() == Some(&b'\n')
    }
}

struct Row {
    kind: Kind,
    /// The number of the member it belongs to; a member's own is their own.
    owner: u32,
    value: Arc<[u8]>,
}

/// A line of `names`.
#[derive(Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
enum Line {
    /// The first one.
    Vault {
        version: u32,
        since: Seq,
        next: u32,
    },
    Member(u32, MemberId),
    Token(u32, u32, TokenHash),
    Other(u32, u32, Other),
}

/// A value that is neither; texts stand as they are, so that whoever looks for one in the file finds it.
#[derive(Serialize, Deserialize)]
enum Other {
    Text(String),
    OptionalText(String),
    Bytes(u8, Vec<u8>),
}

const VERSION: u32 = 1;

impl Vault {
    /// Opens the vault of a data directory whose journal ends with the decision `newest`, or begins it behind that. A torn last
    /// line is cut.
    ///
    /// # Errors
    /// The disk's; `Identity` where the journal holds numbers and their names are gone: nobody is taken for somebody else.
    pub(super) fn open(dir: &Path, secret: [u8; 32], newest: Option<(Seq, &[u8])>) -> Result<Vault> {
        let mut inner = Inner::read(dir, secret)?;
        if inner.is_new {
            if newest.is_some_and(|(_, bytes)| decision::is_numbered(bytes)) {
                let why = "it is missing, but the journal needs it; restore it from a backup".to_owned();
                return Err(StorageError::Identity { path: dir.join(NAMES[0]), why });
            }
            inner.since = newest.map_or(Seq(1), |(last, _)| Seq(last.0 + 1));
        }
        inner.go_on()?;
        let drafts = OsDisk.list(dir)?;
        for draft in [NAMES[0], NAMES[1], FORGOTTEN_FILE].map(draft_of) {
            if drafts.contains(&draft) {
                OsDisk.remove(&dir.join(draft))?;
            }
        }
        Ok(Vault(Arc::new(Mutex::new(inner))))
    }

    /// The vault of a data directory, for reading beside a running daemon: after the journal, of which it then knows all.
    pub fn beside(dir: &Path) -> Result<Vault> {
        // The secret only tells who was forgotten: their names are gone anyway.
        let secret = identity::read(dir).map_or([0; 32], |known| known.secret);
        Vault::look(dir, secret)
    }

    /// Reads the vault of a data directory where nothing can be written.
    pub(super) fn look(dir: &Path, secret: [u8; 32]) -> Result<Vault> {
        let inner = Inner::read(dir, secret)?;
        Ok(Vault(Arc::new(Mutex::new(inner))))
    }

    fn inner(&self) -> MutexGuard<'_, Inner> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// A decision as the journal is to hold it, and whether `sync` must come before it: it gave new numbers.
    pub(super) fn seal(&self, encoder: &mut Encoder, entry: &Entry) -> Result<(Arc<[u8]>, bool)> {
        let mut inner = self.inner();
        let of = inner.meet(entry);
        let bytes = Arc::from(encoder.seal(entry, &mut Sealing { inner: &mut inner, of }));
        Ok((bytes, inner.append()?))
    }

    /// Makes the numbers given so far durable.
    pub(super) fn sync(&self) -> Result<()> {
        let files = self.inner().files.clone();
        files.iter().try_for_each(|file| file.sync_data())
    }

    /// A decision of the journal, with the names that are known.
    ///
    /// # Errors
    /// See [`Entry::decode`].
    pub fn decode(&self, bytes: &[u8]) -> std::result::Result<Entry, EntryFault> {
        Entry::decode_with(bytes, self)
    }

    /// A decision's bytes as head office reads them: with names in the place of numbers.
    ///
    /// # Errors
    /// See [`Entry::decode`].
    pub fn named(&self, bytes: &[u8]) -> std::result::Result<Vec<u8>, EntryFault> {
        Encoder::default().name(bytes, self).map(<[u8]>::to_vec)
    }

    /// The decision, if it names this member: read only where it must be.
    ///
    /// # Errors
    /// See [`Entry::decode`].
    pub fn decode_if_of(
        &self,
        bytes: &[u8],
        id: &MemberId,
    ) -> std::result::Result<Option<Entry>, EntryFault> {
        // Without a number there is none to look for: 0 is whoever was forgotten, and the highest is never given.
        match decision::mentions(bytes, self.number_of(id).unwrap_or(u32::MAX))? {
            Some(false) => Ok(None),
            Some(true) => self.decode(bytes).map(Some),
            None => {
                let entry = self.decode(bytes)?;
                let text = serde_json::to_string(&entry).expect("plain data can always be written");
                Ok(text.contains(&format!("\"{id}\"")).then_some(entry))
            }
        }
    }

    /// Before this decision the journal names members as they are.
    pub fn since(&self) -> Seq {
        self.inner().since
    }

    /// The number of a member, if a decision ever named them and they are not forgotten.
    pub fn number_of(&self, id: &MemberId) -> Option<u32> {
        self.inner().number(Kind::Member, 0, &message_pack(id))
    }

    /// Was anybody forgotten?
    pub fn forgets(&self) -> bool {
        !self.inner().forgotten.is_empty()
    }

    /// Has the vault no name any more of those who were forgotten since it was opened?
    pub fn is_erased(&self) -> bool {
        self.inner().erased
    }

    /// Was this member forgotten?
    pub fn is_forgotten(&self, id: &MemberId) -> bool {
        self.inner().is_forgotten(id)
    }

    /// Is a forgetting not at its end?
    pub fn is_forgetting(&self) -> bool {
        self.inner().dir.join(FORGETTING_FILE).exists()
    }

    /// From now on this member is a forgotten one, and the work of it is to be done, if need be by the next start.
    pub fn bury(&self, id: &MemberId) -> Result<()> {
        let mut inner = self.inner();
        inner.begin_forgetting()?;
        let mark = inner.mark(id);
        inner.erased = false;
        if inner.forgotten.insert(mark)
            && let Err(error) = inner.write_forgotten()
        {
            inner.forgotten.remove(&mark);
            return Err(error);
        }
        inner.give_no_more();
        Ok(())
    }

    /// Takes the names of all who were forgotten out of the vault.
    pub(super) fn erase(&self) -> Result<()> {
        self.inner().erase()
    }

    /// The forgetting is at its end.
    pub fn forgetting_ended(&self) -> Result<()> {
        let inner = self.inner();
        let marker = inner.dir.join(FORGETTING_FILE);
        if !marker.exists() {
            return Ok(());
        }
        OsDisk.remove(&marker)?;
        OsDisk.sync_dir(&inner.dir)
    }

    /// What the tables may take of a change: nothing where it is of somebody forgotten, and their name in no other.
    pub(super) fn without_forgotten(&self, changes: &Arc<[Change]>) -> Arc<[Change]> {
        let inner = self.inner();
        let is_gone = |id: &MemberId| inner.is_forgotten(id);
        let touched = |change: &Change| {
            change.key.is_of(&is_gone) || change.record.as_ref().is_some_and(|it| it.names(&is_gone))
        };
        if !changes.iter().any(touched) {
            return changes.clone();
        }
        let kept = changes.iter().filter_map(|change| match touched(change) {
            false => Some(change.clone()),
            // What removes a record of theirs still does.
            true if change.record.is_none() => Some(change.clone()),
            true => {
                let record = change.record.clone().filter(|_| !change.key.is_of(&is_gone));
                record
                    .and_then(|record| record.without(&is_gone))
                    .map(|record| Change::put(change.key.clone(), record))
            }
        });
        kept.collect()
    }

    /// A record without those who were forgotten; nothing if it was theirs.
    pub(super) fn of_the_living(&self, record: &Record) -> Option<Record> {
        let inner = self.inner();
        record.clone().without(&|id| inner.is_forgotten(id))
    }

    /// May a bundle bring this in? Nothing of somebody forgotten.
    pub(super) fn may_come(&self, key: &Key, record: &Record) -> bool {
        let inner = self.inner();
        let is_gone = |id: &MemberId| inner.is_forgotten(id);
        !key.is_of(&is_gone) && !record.names(&is_gone)
    }
}

impl Values for Vault {
    fn value(&self, kind: Kind, number: u32, out: &mut Vec<u8>) -> bool {
        let inner = self.inner();
        let Some(row) = inner.rows.get(&number).filter(|row| row.kind == kind) else { return false };
        out.extend(row.value.iter());
        true
    }
}

/// One decision's numbers: `of` is whose values come next; none while nobody was named.
struct Sealing<'a> {
    inner: &'a mut Inner,
    of: Option<u32>,
}

impl Numbers for Sealing<'_> {
    fn instead(&mut self, kind: Kind, value: &[u8]) -> Instead {
        match kind {
            Kind::Member => {
                let number = self.inner.number_or_new(Kind::Member, 0, value);
                self.of = Some(number);
                Instead::Number(number)
            }
            Kind::Token => match self.inner.number(Kind::Token, 0, value) {
                Some(number) => {
                    self.of = self.inner.rows.get(&number).map(|row| row.owner);
                    Instead::Number(number)
                }
                None => {
                    // What a stranger says of themselves is of no use later.
                    self.of = Some(0);
                    Instead::Keyed(self.inner.keyed(b"aisled stranger 1", value))
                }
            },
            Kind::Option | Kind::Text | Kind::Map => match self.of {
                None => Instead::Itself,
                Some(0) => Instead::Number(0),
                Some(owner) => Instead::Number(self.inner.number_or_new(kind, owner, value)),
            },
        }
    }
}

impl Inner {
    fn read(dir: &Path, secret: [u8; 32]) -> Result<Inner> {
        let mut inner = Inner {
            dir: dir.to_owned(),
            secret,
            files: Vec::new(),
            end: 0,
            is_new: true,
            is_even: false,
            since: Seq(1),
            next: 1,
            rows: BTreeMap::new(),
            numbers: [BTreeMap::new(), BTreeMap::new()],
            said: BTreeMap::new(),
            forgotten: BTreeSet::new(),
            fresh: Vec::new(),
            erased: true,
        };
        inner.forgotten = read_forgotten(&dir.join(FORGOTTEN_FILE))?;
        let mut found = Vec::new();
        for name in NAMES {
            if let Some(bytes) = read_whole(&dir.join(name))? {
                found.push(Found::of(bytes));
            }
        }
        if found.is_empty() {
            return Ok(inner);
        }
        let path = dir.join(NAMES[0]);
        let version = found.iter().filter_map(|found| found.version).max();
        match version {
            Some(VERSION) => {}
            Some(version) => {
                let (found, known) = (FormatVersion(version), FormatVersion(VERSION));
                return Err(StorageError::VersionUnknown { path, found, known });
            }
            None => {
                let why = "its first line does not check, nor that of its copy; restore it from a backup"
                    .to_owned();
                return Err(StorageError::Identity { path, why });
            }
        }
        inner.is_even =
            found.len() == NAMES.len() && found.iter().all(|it| it.bytes == found[0].bytes && it.is_whole());
        if !inner.is_even {
            tracing::warn!(path = %path.display(), code = "AIS-5021", "the names and their copy differ: what either has is taken");
        }
        // A number whose line is damaged in both is not given to somebody else.
        let damaged = found.iter().map(|found| found.damaged).min().unwrap_or_default();
        // What has suffered most goes first: of a line that was said twice the last one counts.
        found.sort_by_key(|found| std::cmp::Reverse(found.damaged));
        for found in found {
            inner.end = found.bytes.len() as u64;
            found.lines.into_iter().for_each(|line| inner.take(line));
        }
        inner.next += damaged;
        inner.is_new = false;
        inner.give_no_more();
        Ok(inner)
    }

    /// Opens both files for what comes, written anew where they are not the same.
    fn go_on(&mut self) -> Result<()> {
        if !self.is_even {
            return self.write_anew();
        }
        let dir = &self.dir;
        self.files = NAMES.iter().map(|name| OsDisk.open_write(&dir.join(name))).collect::<Result<_>>()?;
        Ok(())
    }

    /// The members among the rows who were forgotten.
    fn gone(&self) -> BTreeSet<u32> {
        let gone = |(number, row): (&u32, &Row)| {
            let id = (row.kind == Kind::Member).then(|| rmp_serde::from_slice(&row.value).ok()).flatten();
            id.is_some_and(|id: MemberId| self.is_forgotten(&id)).then_some(*number)
        };
        match self.forgotten.is_empty() {
            true => BTreeSet::new(),
            false => self.rows.iter().filter_map(gone).collect(),
        }
    }

    /// Numbers of forgotten members are known until they are erased, and given no more: what is decided from now on is
    /// nobody's at once, for head office too.
    fn give_no_more(&mut self) {
        let gone = self.gone();
        let rows = &self.rows;
        let is_theirs = |number: &u32| rows.get(number).is_none_or(|row| gone.contains(&row.owner));
        for numbers in &mut self.numbers {
            numbers.retain(|_, number| !is_theirs(number));
        }
        self.said.retain(|_, number| !is_theirs(number));
    }

    fn take(&mut self, line: Line) {
        let (number, kind, owner, value) = match line {
            Line::Vault { version: _, since, next } => {
                self.since = since;
                self.next = self.next.max(next);
                return;
            }
            Line::Member(number, id) => (number, Kind::Member, number, message_pack(&id)),
            Line::Token(number, owner, hash) => (number, Kind::Token, owner, message_pack(&hash)),
            Line::Other(number, owner, other) => {
                let (kind, value) = match other {
                    Other::Text(text) => (Kind::Text, message_pack(&text)),
                    Other::OptionalText(text) => (Kind::Option, message_pack(&text)),
                    Other::Bytes(kind, value) if kind == Kind::Map as u8 => (Kind::Map, value),
                    Other::Bytes(_, value) => (Kind::Option, value),
                };
                (number, kind, owner, value)
            }
        };
        self.keep(number, Row { kind, owner, value: value.into() });
    }

    fn keep(&mut self, number: u32, row: Row) {
        self.next = self.next.max(number.saturating_add(1));
        match row.kind {
            Kind::Member => self.numbers[0].insert(row.value.clone(), number),
            Kind::Token => self.numbers[1].insert(row.value.clone(), number),
            kind => self.said.insert((row.owner, kind, row.value.clone()), number),
        };
        self.rows.insert(number, row);
    }

    /// `owner`: whose it is, for values that many may have.
    fn number(&self, kind: Kind, owner: u32, value: &[u8]) -> Option<u32> {
        match kind {
            Kind::Member => self.numbers[0].get(value).copied(),
            Kind::Token => self.numbers[1].get(value).copied(),
            kind => self.said.get(&(owner, kind, Arc::from(value))).copied(),
        }
    }

    fn number_or_new(&mut self, kind: Kind, owner: u32, value: &[u8]) -> u32 {
        if let Some(number) = self.number(kind, owner, value) {
            return number;
        }
        let is_forgotten = kind == Kind::Member
            && rmp_serde::from_slice(value).is_ok_and(|id: MemberId| self.is_forgotten(&id));
        if is_forgotten {
            return 0;
        }
        let number = self.next;
        let owner = if kind == Kind::Member { number } else { owner };
        self.add(number, Row { kind, owner, value: value.into() });
        number
    }

    fn add(&mut self, number: u32, row: Row) {
        write_line(&mut self.fresh, &line_of(number, &row));
        self.keep(number, row);
    }

    /// Learns whose the tokens of a decision are, and returns who its member is.
    fn meet(&mut self, entry: &Entry) -> Option<u32> {
        let read = entry.facts.keys().map(|key| (key, entry.facts.get(key)));
        let changed = entry.changes.iter().map(|change| (&change.key, change.record.as_ref()));
        let mut of = None;
        for (key, record) in read.chain(changed) {
            match (key, record) {
                (Key::Token(hash), Some(Record::Token(id))) => {
                    let owner = self.number_or_new(Kind::Member, 0, &message_pack(id));
                    let value = message_pack(hash);
                    match self.number(Kind::Token, 0, &value) {
                        Some(number) if self.rows.get(&number).is_some_and(|row| row.owner == owner) => {}
                        _ if owner == 0 => {}
                        known => {
                            let number = known.unwrap_or(self.next);
                            self.add(number, Row { kind: Kind::Token, owner, value: value.into() });
                        }
                    }
                }
                (Key::Member(id), _) if of.is_none() => {
                    of = Some(self.number_or_new(Kind::Member, 0, &message_pack(id)));
                }
                _ => {}
            }
        }
        of
    }

    /// Writes down what was given a number. True if there was anything.
    fn append(&mut self) -> Result<bool> {
        if self.fresh.is_empty() {
            return Ok(false);
        }
        for file in &self.files {
            file.write_at(self.end, &self.fresh)?;
        }
        self.end += self.fresh.len() as u64;
        self.fresh.clear();
        Ok(true)
    }

    fn erase(&mut self) -> Result<()> {
        self.give_no_more();
        let gone = self.gone();
        self.rows.retain(|_, row| !gone.contains(&row.owner));
        self.fresh.clear();
        self.write_anew()?;
        self.erased = true;
        Ok(())
    }

    fn write_anew(&mut self) -> Result<()> {
        let mut bytes = Vec::new();
        write_line(&mut bytes, &Line::Vault { version: VERSION, since: self.since, next: self.next });
        for (number, row) in &self.rows {
            write_line(&mut bytes, &line_of(*number, row));
        }
        self.files.clear();
        for name in NAMES {
            replace(&self.dir, name, &bytes)?;
            self.files.push(OsDisk.open_write(&self.dir.join(name))?);
        }
        self.end = bytes.len() as u64;
        Ok(())
    }

    fn begin_forgetting(&self) -> Result<()> {
        let marker = self.dir.join(FORGETTING_FILE);
        if marker.exists() {
            return Ok(());
        }
        OsDisk.create(&marker)?.sync_data()?;
        OsDisk.sync_dir(&self.dir)
    }

    fn write_forgotten(&self) -> Result<()> {
        let lines: String = self.forgotten.iter().map(|mark| hex(mark) + "\n").collect();
        replace(&self.dir, FORGOTTEN_FILE, lines.as_bytes())?;
        let copy = copy_beside(&self.dir);
        let copy =
            copy.as_deref().and_then(|copy| Some((copy.parent()?, copy.file_name()?.to_string_lossy())));
        if let Some((dir, name)) = copy
            && let Err(error) = replace(dir, &name, lines.as_bytes())
        {
            tracing::warn!(%error, "no copy of who was forgotten beside the data: keep the file `forgotten` with the backups");
        }
        Ok(())
    }

    fn is_forgotten(&self, id: &MemberId) -> bool {
        id.is_nobody() || (!self.forgotten.is_empty() && self.forgotten.contains(&self.mark(id)))
    }

    fn mark(&self, id: &MemberId) -> Mark {
        self.keyed(b"aisled forgotten 1", id.as_str().as_bytes())
    }

    /// Half of a SHA-256 that begins with a secret of fixed length: nothing can be appended to what was hashed.
    fn keyed(&self, purpose: &[u8], value: &[u8]) -> [u8; 16] {
        let hash =
            Sha256::new().chain_update(self.secret).chain_update(purpose).chain_update(value).finalize();
        let mut half = [0; 16];
        half.copy_from_slice(&hash[..16]);
        half
    }
}

fn message_pack<T: Serialize + ?Sized>(value: &T) -> Vec<u8> {
    rmp_serde::to_vec(value).expect("plain data can always be written")
}

fn line_of(number: u32, row: &Row) -> Line {
    let text = || rmp_serde::from_slice::<String>(&row.value);
    match row.kind {
        Kind::Member => match text().ok().and_then(|id| MemberId::new(&id).ok()) {
            Some(id) => Line::Member(number, id),
            None => Line::Other(number, row.owner, Other::Bytes(row.kind as u8, row.value.to_vec())),
        },
        Kind::Token => match rmp_serde::from_slice(&row.value) {
            Ok(hash) => Line::Token(number, row.owner, hash),
            Err(_) => Line::Other(number, row.owner, Other::Bytes(row.kind as u8, row.value.to_vec())),
        },
        Kind::Text | Kind::Option | Kind::Map => {
            let other = match (text(), row.kind) {
                (Ok(text), Kind::Text) => Other::Text(text),
                (Ok(text), Kind::Option) => Other::OptionalText(text),
                (_, kind) => Other::Bytes(kind as u8, row.value.to_vec()),
            };
            Line::Other(number, row.owner, other)
        }
    }
}

fn write_line(out: &mut Vec<u8>, line: &Line) {
    let begin = out.len();
    serde_json::to_writer(&mut *out, line).expect("plain data can always be written");
    let sum = crc32c::crc32c(&out[begin..]);
    out.extend(format!("\t{sum:08x}\n").as_bytes());
}

fn checked(line: &[u8]) -> Option<Line> {
    let (text, sum) = line.split_at_checked(line.len().checked_sub(9)?)?;
    let digits = std::str::from_utf8(sum.strip_prefix(b"\t")?).ok()?;
    let is_whole = u32::from_str_radix(digits, 16).ok()? == crc32c::crc32c(text);
    if is_whole { serde_json::from_slice(text).ok() } else { None }
}

/// The marks in a `forgotten` file; none if it is not there. A line that is no mark is passed over.
fn read_forgotten(path: &Path) -> Result<BTreeSet<Mark>> {
    let bytes = read_whole(path)?.unwrap_or_default();
    Ok(bytes.split(|byte| *byte == b'\n').filter_map(unhex).collect())
}

/// Has the next start of a directory that was just restored forget again whoever is known to have been forgotten: there, in
/// the copy beside it, and in `also`, a data directory or its file.
pub(super) fn remember_forgotten(dir: &Path, also: Option<&Path>) -> Result<()> {
    let also = also.map(|from| if from.is_dir() { from.join(FORGOTTEN_FILE) } else { from.to_owned() });
    let mut marks = read_forgotten(&dir.join(FORGOTTEN_FILE))?;
    for from in copy_beside(dir).into_iter().chain(also) {
        marks.extend(read_forgotten(&from)?);
    }
    if marks.is_empty() {
        return Ok(());
    }
    let lines = marks.iter().map(|mark| hex(mark) + "\n");
    replace(dir, FORGOTTEN_FILE, lines.collect::<String>().as_bytes())?;
    replace(dir, FORGETTING_FILE, &[])
}

/// Where a copy of `forgotten` outlives the data directory, so that an older backup brings nobody back.
fn copy_beside(dir: &Path) -> Option<PathBuf> {
    let name = dir.file_name()?.to_string_lossy();
    Some(dir.with_file_name(format!("{name}.{FORGOTTEN_FILE}")))
}

fn read_whole(path: &Path) -> Result<Option<Vec<u8>>> {
    let file = match OsDisk.open_read(path) {
        Ok(file) => file,
        Err(error) if error.is_absent() => return Ok(None),
        Err(error) => return Err(error),
    };
    let (mut bytes, mut window) = (Vec::new(), vec![0; limits::SCAN_WINDOW_BYTES]);
    loop {
        match file.read_at(bytes.len() as u64, &mut window)? {
            0 => return Ok(Some(bytes)),
            got => bytes.extend(&window[..got]),
        }
    }
}

fn draft_of(name: &str) -> String {
    format!("{name}.draft")
}

/// Replaces a file whole.
fn replace(dir: &Path, name: &str, bytes: &[u8]) -> Result<()> {
    let draft = draft_of(name);
    if OsDisk.list(dir)?.contains(&draft) {
        OsDisk.remove(&dir.join(&draft))?;
    }
    let file = OsDisk.create(&dir.join(&draft))?;
    file.write_at(0, bytes)?;
    file.sync_data()?;
    OsDisk.rename(&dir.join(&draft), &dir.join(name))?;
    OsDisk.sync_dir(dir)
}

fn unhex(line: &[u8]) -> Option<Mark> {
    let digits = std::str::from_utf8(line).ok().filter(|digits| digits.len() == 32 && digits.is_ascii())?;
    let mut mark = Mark::default();
    for (at, byte) in mark.iter_mut().enumerate() {
        *byte = u8::from_str_radix(&digits[2 * at..2 * at + 2], 16).ok()?;
    }
    Some(mark)
}
