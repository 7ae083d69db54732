//! The tables: a view of the journal in sled, for looking things up. Never the truth.
//!
//! Layout: one sled tree per kind of record, numbered (`TREES`), numbers never reused; keys big-endian; a value is a
//! version byte, MessagePack (`Record::write`) and a CRC-32C. Tree 0 holds `applied`: the last decision the tables
//! include, written in the same transaction as what it changed; and how long the shop has `lived` through it.
//!
//! sled 0.34's `flush` does not call fsync on Linux, so batches are multi-tree transactions, followed by one `flush` and
//! one `sync_data` of our own on `db` (measured in design 4-durability: 30 of 30 power cuts survived, 9 of 30 without).
//! A batch is applied with its keys coalesced: what a later decision of the batch overwrites is not written at all.
//! On a disk that sled cannot open the same records stand in memory (backend.rs).
//! A panic inside sled counts as "the tables do not open" and is answered by rebuilding them.

mod backend;

use std::borrow::Cow;
use std::collections::BTreeMap;
use std::fmt;
use std::path::Path;
use std::sync::{Arc, PoisonError, RwLock};

use serde::{Deserialize, Serialize};

use crate::domain::calendar::UnixMs;
use crate::domain::ids::{BundleRef, CouponCode, MemberId, Seq};
use crate::domain::lease::Scope;
use crate::domain::member::{Member, TokenHash};
use crate::domain::order::{Shown, Waiting};
use crate::domain::tally::Tally;
use crate::engine::decision::{Change, Facts, Key, Record, UsageOf};
use crate::limits;

use super::age::Lived;
use super::vault::Vault;
use backend::{Backend, Write};

const RECORD_VERSION: u8 = 1;

/// Tree numbers: 0 meta, 1 token, 2 member, 3 ledger, 4 code, 5 redeemed, 6 usage, 7 sale, 8 request, 9 lease, 10 history,
/// 11 order, 12 what orders are found by.
const TREES: [&str; 13] = ["0", "1", "2", "3", "4", "5", "6", "7", "8", "9", "10", "11", "12"];
const META: usize = 0;
const TOKENS: usize = 1;
const MEMBERS: usize = 2;
const LEDGERS: usize = 3;
const CODES: usize = 4;
const SALES: usize = 7;
const REQUESTS: usize = 8;
const LEASES: usize = 9;
const HISTORIES: usize = 10;
const ORDERS: usize = 11;
const WAITING: usize = 12;
/// Where what an order is found by begins with this, a member's id follows.
const BY_MEMBER: u8 = 1;
/// Where the key of a lease, behind its epoch, says of what it is.
const LEASE_KIND: usize = 8;
/// A member's points.
const POCKET: u8 = 4;
const APPLIED: &[u8] = b"applied";
const ACTIVE: &[u8] = b"active";
const LIVED: &[u8] = b"lived";
const TALLY: &[u8] = b"tally";

/// The tables could not do something. They are set aside and rebuilt; the journal has everything.
#[derive(Debug)]
pub enum TablesFault {
    /// The disk is full or read-only: nothing is wrong with the tables.
    Disk(std::io::Error),
    /// sled said no, or panicked.
    Sled(String),
    /// A record does not check: bytes were flipped, or a newer version wrote it.
    Record(String),
}

impl fmt::Display for TablesFault {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            TablesFault::Disk(error) => write!(f, "use the tables: {error}"),
            TablesFault::Sled(why) => write!(f, "use the tables: {why}"),
            TablesFault::Record(why) => write!(f, "read a record of the tables: {why}"),
        }
    }
}

impl std::error::Error for TablesFault {}

impl From<sled::Error> for TablesFault {
    fn from(error: sled::Error) -> TablesFault {
        use std::io::ErrorKind::{QuotaExceeded, ReadOnlyFilesystem, StorageFull};
        match error {
            sled::Error::Io(error)
                if matches!(error.kind(), StorageFull | QuotaExceeded | ReadOnlyFilesystem) =>
            {
                TablesFault::Disk(error)
            }
            error => TablesFault::Sled(error.to_string()),
        }
    }
}

/// The bundle the journal last made active, and when.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct ActiveBundle {
    /// Which.
    pub reference: BundleRef,
    /// Since when.
    pub since: UnixMs,
}

/// The open tables. Clones share them, and move with them when they are switched to a copy.
#[derive(Clone)]
pub struct Tables {
    open: Arc<RwLock<Arc<Backend>>>,
}

/// Some members, and where the next ones are.
pub struct MembersPage {
    /// In the order of their ids.
    pub members: Vec<Member>,
    /// Where to go on; nothing after the last.
    pub next: Option<Vec<u8>>,
}

/// What a batch of decisions changes: the last record of each key, and what became active. Records are written down only
/// when the batch is applied, so that what a later decision overwrites costs nothing.
#[derive(Default)]
pub struct Batch<'a> {
    changes: BTreeMap<(usize, Vec<u8>), Option<&'a Record>>,
    active: Option<ActiveBundle>,
    lived: Option<Lived>,
    tally: Option<Tally>,
    through: Seq,
    decisions: usize,
}

impl<'a> Batch<'a> {
    /// Adds a decision's changes.
    pub fn add(&mut self, seq: Seq, changes: &'a [Change]) {
        for change in changes {
            if let Some((tree, key)) = place(&change.key) {
                self.changes.insert((tree, key), change.record.as_ref());
            }
        }
        self.through = self.through.max(seq);
        self.decisions += 1;
    }

    /// How many were added.
    pub fn decisions(&self) -> usize {
        self.decisions
    }

    /// How long the shop has lived through the decisions added.
    pub fn lived(&mut self, lived: Lived) {
        self.lived = Some(lived);
    }

    /// What the decisions added come to, with those before.
    pub fn tally(&mut self, tally: Tally) {
        self.tally = Some(tally);
    }

    /// A bundle became active.
    pub fn activate(&mut self, active: ActiveBundle) {
        self.active = Some(active);
    }
}

impl Tables {
    /// Opens or makes the tables in `dir`. A panic of sled is an error like any other.
    pub fn open(dir: &Path, cache_bytes: u64) -> Result<Tables, TablesFault> {
        Ok(Tables::over(Backend::sled(dir, cache_bytes)?))
    }

    /// Empty tables in memory, for a disk that sled cannot open.
    pub fn memory() -> Tables {
        Tables::over(Backend::memory())
    }

    fn over(backend: Backend) -> Tables {
        Tables { open: Arc::new(RwLock::new(Arc::new(backend))) }
    }

    /// Are they gone with the process?
    pub fn is_memory(&self) -> bool {
        self.now().is_memory()
    }

    fn now(&self) -> Arc<Backend> {
        self.open.read().unwrap_or_else(PoisonError::into_inner).clone()
    }

    /// Goes on with `copy`, here and in every clone. The former tables are closed when it returns: who reads them holds on to
    /// them for one read at a time.
    pub(super) fn switch(&self, copy: &Tables) {
        let copy = copy.now();
        let former = std::mem::replace(&mut *self.open.write().unwrap_or_else(PoisonError::into_inner), copy);
        while Arc::strong_count(&former) > 1 {
            std::thread::yield_now();
        }
    }

    /// Bytes the tables take on the disk.
    pub(super) fn disk_bytes(&self) -> Result<u64, TablesFault> {
        self.now().bytes()
    }

    /// Hands over every record as it stands, checked: tree, key, value. What is known of the whole comes last. Only the
    /// one thread that writes the tables gets one moment's content.
    pub fn each<E: From<TablesFault>>(
        &self,
        mut take: impl FnMut(u8, &[u8], &[u8]) -> Result<(), E>,
    ) -> Result<(), E> {
        for tree in (0..TREES.len()).rev() {
            let number = u8::try_from(tree).expect("trees are few");
            self.walk(tree, |key, value| {
                if tree != META || key != APPLIED {
                    body_of(value)?;
                }
                take(number, key, value)
            })?;
        }
        Ok(())
    }

    /// A record as `each` hands it over, without those who were forgotten: as it was, another, or nothing.
    pub(super) fn of_the_living<'v>(
        vault: &Vault,
        tree: u8,
        key: &[u8],
        value: &'v [u8],
    ) -> Result<Option<Cow<'v, [u8]>>, TablesFault> {
        let gone = |id: &[u8]| {
            let id = std::str::from_utf8(id).ok().and_then(|id| MemberId::new(id).ok());
            id.is_some_and(|id| vault.is_forgotten(&id))
        };
        match usize::from(tree) {
            MEMBERS | LEDGERS | HISTORIES => Ok((!gone(key)).then_some(Cow::Borrowed(value))),
            LEASES if key.get(LEASE_KIND) == Some(&POCKET) => {
                Ok((!gone(&key[LEASE_KIND + 1..])).then_some(Cow::Borrowed(value)))
            }
            WAITING if key.first() == Some(&BY_MEMBER) => {
                Ok((!gone(&key[1..])).then_some(Cow::Borrowed(value)))
            }
            TOKENS | CODES | SALES | ORDERS => {
                let record: Record = decode(value)?;
                match vault.of_the_living(&record) {
                    Some(same) if same == record => Ok(Some(Cow::Borrowed(value))),
                    Some(other) => Ok(Some(Cow::Owned(encode(&other)))),
                    None => Ok(None),
                }
            }
            _ => Ok(Some(Cow::Borrowed(value))),
        }
    }

    /// Puts records in as they stand; for tables that nobody uses yet.
    pub fn put(&self, records: Vec<(u8, Vec<u8>, Vec<u8>)>) -> Result<(), TablesFault> {
        let mut writes = Vec::with_capacity(records.len());
        for (tree, key, value) in records {
            let tree = usize::from(tree);
            if tree >= TREES.len() {
                return Err(TablesFault::Record(format!("tree {tree} is not known to this build")));
            }
            writes.push((tree, sled::IVec::from(key), Some(sled::IVec::from(value))));
        }
        self.now().put(writes)
    }

    /// The last decision the tables include.
    pub fn applied(&self) -> Result<Seq, TablesFault> {
        let Some(bytes) = self.now().get(META, APPLIED)? else { return Ok(Seq(0)) };
        let bytes: [u8; 8] = bytes
            .as_ref()
            .try_into()
            .map_err(|_| TablesFault::Record("`applied` is not a number".to_owned()))?;
        Ok(Seq(u64::from_be_bytes(bytes)))
    }

    /// The bundle last made active.
    pub fn active(&self) -> Result<Option<ActiveBundle>, TablesFault> {
        self.now().get(META, ACTIVE)?.map(|bytes| decode(&bytes)).transpose()
    }

    /// How long the shop has lived through the decisions the tables include.
    pub fn lived(&self) -> Result<Lived, TablesFault> {
        Ok(self.now().get(META, LIVED)?.map(|bytes| decode(&bytes)).transpose()?.unwrap_or_default())
    }

    /// What the decisions the tables include come to.
    pub fn tally(&self) -> Result<Tally, TablesFault> {
        Ok(self.now().get(META, TALLY)?.map(|bytes| decode(&bytes)).transpose()?.unwrap_or_default())
    }

    /// What stands under a key. `Key::Quote` and `Key::Decision` are not in the tables.
    pub fn get(&self, key: &Key) -> Result<Option<Record>, TablesFault> {
        let Some((tree, key)) = place(key) else { return Ok(None) };
        self.now().get(tree, &key)?.map(|bytes| decode(&bytes)).transpose()
    }

    /// Applies a batch in one transaction. It is durable after `sync`; what a crash leaves is whole transactions.
    pub fn apply(&self, batch: &Batch<'_>) -> Result<(), TablesFault> {
        // Written down before the transaction: readers wait while it lasts.
        let written = batch.changes.iter().map(|((tree, key), record)| {
            let record = record.map(|record| sled::IVec::from(encode(record)));
            (*tree, sled::IVec::from(key.as_slice()), record)
        });
        let mut written: Vec<Write> = written.collect();
        let mut whole = |key: &[u8], value: Vec<u8>| written.push((META, key.into(), Some(value.into())));
        if let Some(active) = &batch.active {
            whole(ACTIVE, encode_named(active));
        }
        if let Some(lived) = &batch.lived {
            whole(LIVED, encode_named(lived));
        }
        if let Some(tally) = &batch.tally {
            whole(TALLY, encode_named(tally));
        }
        if batch.through > Seq(0) {
            whole(APPLIED, batch.through.0.to_be_bytes().to_vec());
        }
        self.now().transact(&written)
    }

    /// Brings in records of a bundle (its members and codes), which no decision holds. `meet` says what becomes of one
    /// that is there already: known, new.
    pub fn import(
        &self,
        records: Vec<(Key, Record)>,
        meet: impl Fn(Record, Record) -> Record,
    ) -> Result<(), TablesFault> {
        let mut writes = Vec::with_capacity(records.len());
        for (key, record) in records {
            let Some((tree, bytes)) = place(&key) else { continue };
            let known = self.get(&key)?;
            let was_learned_of =
                matches!(&known, Some(Record::Member(known)) if known.profile.consent.personal);
            let record = match known {
                Some(known) => meet(known, record),
                None => record,
            };
            // Consent taken back elsewhere: what was learned goes with the list that says so.
            if was_learned_of && matches!(&record, Record::Member(now) if !now.profile.consent.personal) {
                writes.push((HISTORIES, sled::IVec::from(bytes.as_slice()), None));
            }
            writes.push((tree, sled::IVec::from(bytes), Some(sled::IVec::from(encode(&record)))));
        }
        self.now().put(writes)
    }

    /// Goes through all members and single-use codes. `change` says what becomes of each: nothing, gone, or another.
    pub fn revise(&self, change: impl Fn(&Record) -> Option<Option<Record>>) -> Result<(), TablesFault> {
        for tree in [MEMBERS, CODES] {
            self.walk(tree, |key, value| {
                let Some(record) = change(&decode(value)?) else { return Ok(()) };
                let value = record.map(|record| sled::IVec::from(encode(&record)));
                self.now().put(vec![(tree, sled::IVec::from(key), value)])
            })?;
        }
        Ok(())
    }

    /// A member by id, as the tables hold them.
    pub fn member(&self, id: &MemberId) -> Result<Option<Member>, TablesFault> {
        let mut facts = Facts::default();
        for key in Key::of_member(id) {
            let record = self.get(&key)?;
            facts.add(key, record);
        }
        Ok(facts.known(id).filter(|known| !known.withdrawn).and_then(|_| facts.member(id)))
    }

    /// The tokens and personal single-use codes of a member, found by looking through all of them.
    pub fn held_by(&self, id: &MemberId) -> Result<(Vec<TokenHash>, Vec<CouponCode>), TablesFault> {
        let (mut tokens, mut codes) = (Vec::new(), Vec::new());
        self.walk(TOKENS, |key, value| {
            if let (Record::Token(owner), Ok(hash)) = (decode::<Record>(value)?, key.try_into())
                && owner == *id
            {
                tokens.push(TokenHash(hash));
            }
            Ok::<(), TablesFault>(())
        })?;
        self.walk(CODES, |key, value| {
            if let Record::Code(issued) = decode::<Record>(value)?
                && issued.member.as_ref() == Some(id)
            {
                codes.extend(std::str::from_utf8(key).ok().and_then(|code| CouponCode::new(code).ok()));
            }
            Ok::<(), TablesFault>(())
        })?;
        Ok((tokens, codes))
    }

    /// Members from a place on, a page of them; those withdrawn are left out.
    pub fn members(&self, from: &[u8], most: usize) -> Result<MembersPage, TablesFault> {
        let page = self.now().page(MEMBERS, from, most)?;
        let next = page.last().filter(|_| page.len() == most).map(|(last, _)| behind(last));
        let mut members = Vec::with_capacity(page.len());
        for (key, _) in &page {
            let id = std::str::from_utf8(key).ok().and_then(|id| MemberId::new(id).ok());
            let id = id.ok_or_else(|| TablesFault::Record("a member's key is no id".to_owned()))?;
            members.extend(self.member(&id)?);
        }
        Ok(MembersPage { members, next })
    }

    /// Lets go of sales decided before `sales`, of what was learned of members last seen before `seen`, and of orders that last
    /// changed before `orders`. Returns how many records those were.
    pub(super) fn let_go(&self, sales: Seq, seen: Seq, orders: Seq) -> Result<usize, TablesFault> {
        let mut count = 0;
        for tree in [SALES, HISTORIES, ORDERS, WAITING] {
            self.walk(tree, |key, value| {
                let is_old = match decode(value)? {
                    Record::Sale(sale) => sale.taken_back.unwrap_or(sale.decision) < sales,
                    Record::History(history) => history.last_decision() < seen,
                    Record::Order(pickup) => pickup.decision < orders,
                    Record::Waiting(waiting) => !self.is_any_there(&waiting)?,
                    _ => false,
                };
                if is_old {
                    count += 1;
                    self.now().put(vec![(tree, sled::IVec::from(key), None)])?;
                }
                Ok::<(), TablesFault>(())
            })?;
        }
        Ok(count)
    }

    fn is_any_there(&self, waiting: &Waiting) -> Result<bool, TablesFault> {
        for (id, _) in &waiting.0 {
            if self.now().get(ORDERS, id.as_str().as_bytes())?.is_some() {
                return Ok(true);
            }
        }
        Ok(false)
    }

    /// Makes everything so far durable.
    pub fn sync(&self) -> Result<(), TablesFault> {
        self.now().sync()
    }

    /// Forgets request records of decisions before `before`, a few at a time, beginning behind `cursor`. Returns where to
    /// go on.
    pub fn sweep_requests(&self, cursor: &[u8], before: Seq) -> Result<Vec<u8>, TablesFault> {
        let page = self.now().page(REQUESTS, cursor, limits::SWEEP_RECORDS)?;
        let last = page.last().map(|(key, _)| behind(key)).unwrap_or_default();
        let is_old = |value: &[u8]| matches!(decode::<Record>(value), Ok(Record::Request(record)) if record.decision < before);
        let old = page.into_iter().filter(|(_, value)| is_old(value));
        self.now().put(old.map(|(key, _)| (REQUESTS, key, None)).collect())?;
        Ok(last)
    }

    /// Every record of a tree, a page at a time.
    fn walk<E: From<TablesFault>>(
        &self,
        tree: usize,
        mut take: impl FnMut(&[u8], &[u8]) -> Result<(), E>,
    ) -> Result<(), E> {
        let mut from = Vec::new();
        loop {
            let page = self.now().page(tree, &from, limits::SWEEP_RECORDS)?;
            for (key, value) in &page {
                take(key, value)?;
            }
            match page.last() {
                Some((last, _)) if page.len() == limits::SWEEP_RECORDS => from = behind(last),
                _ => return Ok(()),
            }
        }
    }
}

/// The first key after this one.
fn behind(key: &[u8]) -> Vec<u8> {
    [key, &[0]].concat()
}

/// Tree number and key bytes.
fn place(key: &Key) -> Option<(usize, Vec<u8>)> {
    Some(match key {
        Key::Token(hash) => (TOKENS, hash.0.to_vec()),
        Key::Member(id) => (MEMBERS, id.as_str().as_bytes().to_vec()),
        Key::Ledger(id) => (LEDGERS, id.as_str().as_bytes().to_vec()),
        Key::History(id) => (HISTORIES, id.as_str().as_bytes().to_vec()),
        Key::Code(code) => (CODES, code.as_str().as_bytes().to_vec()),
        Key::Redeemed(code) => (5, code.as_str().as_bytes().to_vec()),
        Key::Usage(of, promotion) => {
            let mut bytes = match of {
                UsageOf::Shop => vec![0],
                UsageOf::Device(device) => [&[1], device.as_str().as_bytes()].concat(),
                UsageOf::Code(code) => [&[2], code.as_str().as_bytes()].concat(),
            };
            bytes.push(0);
            bytes.extend(promotion.as_str().as_bytes());
            (6, bytes)
        }
        Key::Sale(sale) => {
            let mut bytes = sale.device.as_str().as_bytes().to_vec();
            bytes.push(0);
            bytes.extend(sale.business_day.number().to_be_bytes());
            bytes.extend(sale.seq.to_be_bytes());
            (SALES, bytes)
        }
        Key::Request(device, id) => {
            let mut bytes = device.as_str().as_bytes().to_vec();
            bytes.push(0);
            bytes.extend(id.as_str().as_bytes());
            (REQUESTS, bytes)
        }
        Key::Lease(epoch, scope) => {
            let (kind, of) = match scope {
                Scope::Uses(promotion) => (0, promotion.as_str()),
                Scope::Units(promotion) => (1, promotion.as_str()),
                Scope::Money(promotion) => (2, promotion.as_str()),
                Scope::Points(promotion) => (3, promotion.as_str()),
                Scope::Pocket(member) => (POCKET, member.as_str()),
                Scope::Overdraft => (5, ""),
                Scope::Risk => (6, ""),
                Scope::Series(prefix) => (7, prefix.as_str()),
            };
            (LEASES, [&epoch.0.to_be_bytes()[..], &[kind], of.as_bytes()].concat())
        }
        Key::Heard(epoch) => (LEASES, [&epoch.0.to_be_bytes()[..], &[255]].concat()),
        Key::Order(id) => (ORDERS, id.as_str().as_bytes().to_vec()),
        Key::Waiting(Shown::Code(mark)) => (WAITING, [&[0], &mark.0[..]].concat()),
        Key::Waiting(Shown::Member(id)) => (WAITING, [&[BY_MEMBER], id.as_str().as_bytes()].concat()),
        Key::Shelf => (WAITING, vec![255]),
        Key::Quote(_) | Key::Decision(_) => return None,
    })
}

fn encode_named<T: Serialize>(value: &T) -> Vec<u8> {
    sealed(|bytes| {
        rmp_serde::encode::write_named(bytes, value).expect("plain data can always be written");
    })
}

fn encode(record: &Record) -> Vec<u8> {
    sealed(|bytes| record.write(bytes))
}

fn sealed(write: impl FnOnce(&mut Vec<u8>)) -> Vec<u8> {
    let mut bytes = Vec::with_capacity(limits::RECORD_BYTES_USUAL);
    bytes.push(RECORD_VERSION);
    write(&mut bytes);
    let sum = crc32c::crc32c(&bytes);
    bytes.extend(sum.to_be_bytes());
    bytes
}

fn decode<T: for<'de> Deserialize<'de>>(bytes: &[u8]) -> Result<T, TablesFault> {
    rmp_serde::from_slice(body_of(bytes)?).map_err(|e| TablesFault::Record(e.to_string()))
}

/// What stands between version and checksum, if both are right.
fn body_of(bytes: &[u8]) -> Result<&[u8], TablesFault> {
    let fault = |why: &str| TablesFault::Record(why.to_owned());
    let (rest, sum) = bytes.split_last_chunk::<4>().ok_or_else(|| fault("it is too short"))?;
    if crc32c::crc32c(rest) != u32::from_be_bytes(*sum) {
        return Err(fault("its checksum does not match"));
    }
    match rest.split_first() {
        Some((&RECORD_VERSION, body)) => Ok(body),
        Some((version, _)) => {
            Err(TablesFault::Record(format!("its version {version} is not known to this build")))
        }
        None => Err(fault("it is empty")),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::domain::ids::PromotionId;
    use crate::domain::member::{Usage, Used};

    fn usage(uses: u32) -> Record {
        let mut usage = Usage::default();
        usage.count(20_000, Used { uses, ..Used::default() });
        Record::Usage(usage)
    }

    fn key(text: &str) -> Key {
        Key::Usage(UsageOf::Shop, PromotionId::new(text).expect("valid"))
    }

    #[test]
    fn is_a_batch_there_after_opening_again() {
        let dir = tempfile::tempdir().expect("a directory for the test");
        {
            let tables = Tables::open(dir.path(), limits::SLED_CACHE_BYTES).expect("opens");
            let mut batch = Batch::default();
            let first = [Change::put(key("a"), usage(1)), Change::put(key("b"), usage(1))];
            let second = [Change::put(key("a"), usage(2)), Change { key: key("b"), record: None }];
            batch.add(Seq(1), &first);
            batch.add(Seq(2), &second);
            tables.apply(&batch).expect("applies");
            tables.sync().expect("syncs");
        }
        // sled's threads hold on to its lock a little longer than its handles are there.
        let is_locked = |opened: &Result<Tables, TablesFault>| matches!(opened, Err(TablesFault::Sled(why)) if why.contains("could not acquire lock"));
        let mut tries = (0..100_000).map(|_| {
            std::thread::yield_now();
            Tables::open(dir.path(), limits::SLED_CACHE_BYTES)
        });
        let tables = tries.find(|opened| !is_locked(opened)).expect("the lock is let go").expect("opens");
        assert_eq!(tables.applied().expect("reads"), Seq(2));
        assert_eq!(tables.get(&key("a")).expect("reads"), Some(usage(2)));
        assert_eq!(tables.get(&key("b")).expect("reads"), None);
    }

    #[test]
    fn is_a_flipped_byte_of_a_record_ever_served() {
        let bytes = encode(&usage(3));
        for at in 0..bytes.len() {
            let mut flipped = bytes.clone();
            flipped[at] ^= 0x40;
            assert!(decode::<Record>(&flipped).is_err(), "byte {at}");
        }
        assert_eq!(decode::<Record>(&bytes).expect("reads"), usage(3));
    }

    #[test]
    fn is_a_file_that_is_no_database_ever_taken_for_tables() {
        let dir = tempfile::tempdir().expect("a directory for the test");
        std::fs::write(dir.path().join("db"), b"not a database").expect("writes");
        std::fs::write(dir.path().join("conf"), b"nonsense").expect("writes");
        let applied = Tables::open(dir.path(), limits::SLED_CACHE_BYTES).and_then(|tables| tables.applied());
        assert!(matches!(applied, Err(_) | Ok(Seq(0))), "an error, or nothing applied: both mean a rebuild");
    }
}
