//! How the tables follow the journal: while the daemon runs, on a thread of their own, and at its start.
//!
//! Invariants: decisions are applied in order, in transactions that carry their last number; a bundle's members and codes
//! come in at the place where it became active. This thread alone writes the tables, so what it reads between two batches
//! is one moment: after `CHECKPOINT_EVERY_DECISIONS`, or in a burst `CHECKPOINT_LATE_TIMES` as many, it writes a checkpoint of it, copies the tables if they have grown
//! beyond reason (before it what has been kept long enough goes: `let_go`), and tells the commit thread how far the journal may go: what is durable at head office, and covered by the
//! oldest checkpoint, and past its days. A checkpoint that fails costs nothing but the room it would have given back.

use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::mpsc::Receiver;
use std::time::Duration;

use crate::domain::calendar::UnixMs;
use crate::domain::ids::{BundleRef, Epoch, Seq};
use crate::engine::decision::Record;
use crate::limits;

use super::checkpoint;
use super::disk::OsDisk;
use super::error::{Result, StorageError};
use super::journal::JournalView;
use super::keeper::Keeper;
use super::place::{Place, suspect};
use super::store::{Applying, Progress, Roll, Sizes};
use super::tables::{ActiveBundle, Batch, Tables, TablesFault};
use super::vault::Vault;

/// The thread that writes the tables.
pub(super) struct Follower {
    pub(super) place: Place,
    pub(super) epoch: Epoch,
    pub(super) tables: Tables,
    pub(super) queue: Receiver<Applying>,
    pub(super) hurry: Receiver<()>,
    pub(super) followed: Arc<AtomicU64>,
    pub(super) keeper: Keeper,
    pub(super) roll: Box<dyn Roll>,
    pub(super) tell: Arc<dyn Fn(Progress) + Send + Sync>,
    pub(super) request_days: usize,
    pub(super) cursor: Vec<u8>,
    /// The newest checkpoint, and the oldest that is kept.
    pub(super) covered: Covered,
    pub(super) sizes: Sizes,
    pub(super) vault: Vault,
}

impl Follower {
    pub(super) fn run(mut self) {
        while let Ok(first) = self.queue.recv() {
            // However it ends: told to hurry, waited long enough, or the commit thread is gone.
            self.hurry.recv_timeout(Duration::from_millis(limits::TABLES_FOLLOW_MS)).ok();
            let mut pending = vec![first];
            pending.extend(self.queue.try_iter().take(limits::TABLES_BEHIND_DECISIONS_MAX));
            if let Err(fault) = self.follow(&pending) {
                let error = self.place.suspect(fault);
                let code = error.code();
                tracing::error!(%error, code, "the tables failed; the next start rebuilds them from the journal");
                (self.tell)(Progress::Failed(format!("{error} ({code})")));
                return;
            }
        }
    }

    fn follow(&mut self, pending: &[Applying]) -> std::result::Result<(), TablesFault> {
        let Some(last) = pending.last() else { return Ok(()) };
        if self.keeper.leaves_disk() && !self.tables.is_memory() {
            self.leave_disk()?;
        }
        apply(&self.tables, pending, (&*self.roll, &self.vault), self.request_days)?;
        if pending.iter().any(|decision| decision.forgets) {
            self.forget()?;
        }
        self.followed.store(last.seq.0, Ordering::Release);
        (self.tell)(Progress::Followed(last.seq));
        let since = last.seq.0.saturating_sub(self.covered.newest.0);
        let is_quiet = pending.len() < limits::TABLES_BATCH_DECISIONS;
        let since = if self.tables.is_memory() { 0 } else { since };
        if is_checkpoint_due(since, self.sizes.checkpoint_every, is_quiet) {
            self.checkpoint()?;
        }
        if pending.len() >= limits::TABLES_BATCH_DECISIONS {
            // In a burst there is something more urgent to do; a quieter batch follows.
            return Ok(());
        }
        let before =
            self.tables.lived()?.forgets_before(last.seq, self.request_days, self.sizes.requests_kept);
        self.cursor = self.tables.sweep_requests(&self.cursor, before)?;
        self.keeper.may_go(Seq(before.0.saturating_sub(1)).min(self.covered.oldest));
        Ok(())
    }

    /// Writes the tables anew without those who were forgotten, and takes their names out of the vault. What keeps it from
    /// being done is told and tried again at the next start.
    fn forget(&mut self) -> std::result::Result<(), TablesFault> {
        match forget(&self.place, &self.tables, self.epoch, &self.vault) {
            Ok(covered) => {
                self.covered = covered;
                Ok(())
            }
            Err(StorageError::Tables { why }) => Err(TablesFault::Record(why)),
            Err(error) => {
                tracing::error!(%error, code = error.code(), "somebody is not forgotten yet; the next start tries again");
                Ok(())
            }
        }
    }

    /// Goes on with a copy in memory; those on the disk stay as they are and catch up when there is room again.
    fn leave_disk(&mut self) -> std::result::Result<(), TablesFault> {
        let copy = Tables::memory();
        let mut records = Vec::new();
        self.tables.each(|tree, key, value| {
            records.push((tree, key.to_vec(), value.to_vec()));
            match records.len() == limits::IMPORT_BATCH_RECORDS {
                true => copy.put(std::mem::take(&mut records)),
                false => Ok(()),
            }
        })?;
        copy.put(records)?;
        self.tables.switch(&copy);
        tracing::warn!(
            code = "AIS-5016",
            "the disk has no room: the tables go on in memory, the rest is the journal's"
        );
        Ok(())
    }

    /// An error is the tables' own: they are not to be used any more. What only kept the checkpoint from being written is
    /// told and tried again with the next.
    fn checkpoint(&mut self) -> std::result::Result<(), TablesFault> {
        let lived = self.tables.lived()?;
        let before = |days: u32| lived.made_before(usize::try_from(days).unwrap_or(usize::MAX));
        let orders = before(limits::ORDER_REMEMBERED_DAYS);
        let gone =
            self.tables.let_go(before(self.sizes.sale_days), before(self.sizes.profile_idle_days), orders)?;
        if gone > 0 {
            tracing::info!(gone, "what has been kept long enough is let go of");
        }
        let made = self.place.checkpoint(&self.tables, self.epoch).and_then(|(made, content)| {
            self.covered = Covered::of(&self.place)?;
            if self.place.is_bloated(&self.tables, &content)? {
                let before = self.tables.disk_bytes()?;
                self.place.compact(&self.tables, &made)?;
                tracing::info!(
                    before,
                    after = self.tables.disk_bytes()?,
                    "the tables are copied to give room back"
                );
            }
            tracing::info!(through = made.through.0, bytes = content.bytes, "the tables have a checkpoint");
            Ok(())
        });
        match made {
            Ok(()) => Ok(()),
            Err(StorageError::Tables { why }) => Err(TablesFault::Record(why)),
            Err(error) => {
                tracing::warn!(%error, code = error.code(), "no checkpoint of the tables; the journal keeps what it would cover");
                self.covered.newest = self.tables.applied()?;
                Ok(())
            }
        }
    }
}

/// A checkpoint waits for a quiet batch, but not for ever.
fn is_checkpoint_due(since: u64, every: u64, is_quiet: bool) -> bool {
    since >= every.saturating_mul(if is_quiet { 1 } else { limits::CHECKPOINT_LATE_TIMES })
}

/// How far checkpoints reach.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct Covered {
    pub(super) newest: Seq,
    pub(super) oldest: Seq,
}

impl Covered {
    pub(super) fn of(place: &Place) -> Result<Covered> {
        let kept = checkpoint::list(&OsDisk, &place.checkpoints())?;
        let through = |kept: Option<&checkpoint::Checkpoint>| kept.map_or(Seq(0), |kept| kept.through);
        Ok(Covered { newest: through(kept.last()), oldest: through(kept.first()) })
    }
}

/// See [`Follower::forget`]. Returns how far checkpoints reach then.
pub(super) fn forget(place: &Place, tables: &Tables, epoch: Epoch, vault: &Vault) -> Result<Covered> {
    let made = place.forget(tables, epoch, vault)?;
    vault.erase()?;
    Ok(Covered { newest: made.through, oldest: made.through })
}

/// Applies decisions in order. Members and codes of a bundle come in at the place where it became active.
fn apply(
    tables: &Tables,
    decisions: &[Applying],
    (roll, vault): (&dyn Roll, &Vault),
    request_days: usize,
) -> std::result::Result<(), TablesFault> {
    let mut batch = Batch::default();
    let (mut lived, mut tally) = (tables.lived()?, tables.tally()?);
    for Applying { seq, at, activation, changes, epoch, totals, forgets: _ } in decisions {
        if let Some(reference) = activation {
            // What was decided before stands before what the bundle brings.
            batch.lived(lived.clone());
            batch.tally(tally.clone());
            tables.apply(&std::mem::take(&mut batch))?;
            import(tables, reference, *at, (roll, vault))?;
            batch.activate(ActiveBundle { reference: reference.clone(), since: *at });
            tables.apply(&std::mem::take(&mut batch))?;
        }
        batch.add(*seq, changes);
        lived.pass(*seq, *at, request_days);
        tally.pass(*epoch, *seq, totals);
        if batch.decisions() == limits::TABLES_TRANSACTION_DECISIONS {
            batch.lived(lived.clone());
            batch.tally(tally.clone());
            tables.apply(&std::mem::take(&mut batch))?;
        }
    }
    batch.lived(lived);
    batch.tally(tally);
    tables.apply(&batch)?;
    tables.sync()
}

fn import(
    tables: &Tables,
    reference: &BundleRef,
    at: UnixMs,
    (roll, vault): (&dyn Roll, &Vault),
) -> std::result::Result<(), TablesFault> {
    let mut records = Vec::with_capacity(limits::IMPORT_BATCH_RECORDS);
    let (mut failed, mut listed_at) = (Ok(()), None);
    let outcome = roll.records(reference, at, &mut |key, record| {
        if let Record::Member(known) = &record {
            listed_at = Some(known.as_of);
        }
        if vault.may_come(&key, &record) {
            records.push((key, record));
        }
        if records.len() == limits::IMPORT_BATCH_RECORDS && failed.is_ok() {
            failed = tables.import(std::mem::take(&mut records), Record::listed_again);
        }
    });
    failed?;
    tables.import(records, Record::listed_again)?;
    match outcome {
        Ok(()) => tables.revise(|record| record.left_out(reference.version, listed_at))?,
        Err(why) => {
            tracing::error!(
                version = reference.version,
                why,
                "members of the bundle could not be read; those read stay"
            );
        }
    }
    tables.sync()
}

/// Brings the tables up to the journal. Returns how many decisions they lacked.
pub(super) fn catch_up(
    dir: &Path,
    (tables, applied): (&Tables, Seq),
    view: &JournalView,
    (roll, vault, request_days): (&dyn Roll, &Vault, usize),
) -> Result<u64> {
    let mut reader = view.reader(Seq(applied.0 + 1));
    let mut pending: Vec<Applying> = Vec::new();
    let mut count = 0;
    loop {
        match reader.next() {
            Ok(Some(raw)) => match vault.decode(raw.payload) {
                Ok(entry) => pending.push(Applying::of(&entry, vault)),
                Err(fault) => return Err(StorageError::Entry { seq: raw.seq, why: fault.to_string() }),
            },
            Ok(None) => break,
            Err(error @ (StorageError::Gap { .. } | StorageError::Pruned { .. })) => {
                tracing::error!(%error, code = error.code(), "decisions are missing; the tables go on behind them");
                if let StorageError::Pruned { first, .. } = error {
                    reader.seek(first);
                }
            }
            Err(error) => return Err(error),
        }
        if pending.len() == limits::TABLES_BATCH_DECISIONS {
            count += pending.len() as u64;
            apply(tables, &pending, (roll, vault), request_days).map_err(|fault| suspect(dir, fault))?;
            pending.clear();
        }
    }
    if !pending.is_empty() {
        count += pending.len() as u64;
        apply(tables, &pending, (roll, vault), request_days).map_err(|fault| suspect(dir, fault))?;
    }
    Ok(count)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::domain::ids::MemberId;
    use crate::domain::member::Profile;
    use crate::engine::decision::{IssuedCode, Key, Known};

    /// A bundle's members: who, and when it was signed.
    struct Listed(&'static [&'static str], i64);

    fn id(name: &str) -> MemberId {
        MemberId::new(name).expect("an id")
    }

    fn known(as_of: i64, listed: Option<u64>) -> Record {
        let profile = Profile { orders_elsewhere: 7, ..Profile::default() };
        Record::Member(Box::new(Known {
            profile,
            points: 9,
            as_of: UnixMs(as_of),
            listed,
            withdrawn: false,
            consent_at: None,
        }))
    }

    impl Roll for Listed {
        fn records(
            &self,
            bundle: &BundleRef,
            _: UnixMs,
            take: &mut dyn FnMut(Key, Record),
        ) -> std::result::Result<(), String> {
            let Listed(members, signed_at) = self;
            let one = |name: &&str| take(Key::Member(id(name)), known(*signed_at, Some(bundle.version)));
            members.iter().for_each(one);
            Ok(())
        }
    }

    #[test]
    fn does_a_checkpoint_wait_for_quiet_and_not_for_ever() {
        for (since, is_quiet, due) in
            [(99, true, false), (100, true, true), (799, false, false), (800, false, true)]
        {
            assert_eq!(is_checkpoint_due(since, 100, is_quiet), due, "{since}, quiet: {is_quiet}");
        }
        assert!(!is_checkpoint_due(u64::MAX - 1, u64::MAX, false), "a test's shop without checkpoints");
    }

    #[test]
    fn whose_word_of_a_member_is_the_newest() {
        let dir = tempfile::tempdir().expect("a directory for the test");
        let tables = Tables::open(dir.path(), limits::SLED_CACHE_BYTES).expect("opens");
        let vault = Vault::look(dir.path(), [7; 32]).expect("there is none");
        let arrive = |version, roll: Listed| {
            let reference = BundleRef { version, hash: Arc::from("0") };
            import(&tables, &reference, UnixMs(9_999), (&roll, &vault)).expect("it is read");
        };
        let tell = |name: &str, as_of, listed| {
            let change = [crate::engine::decision::Change::put(Key::Member(id(name)), known(as_of, listed))];
            let mut batch = Batch::default();
            batch.add(Seq(1), &change);
            tables.apply(&batch).expect("applies");
        };
        let state = |name: &str| match tables.get(&Key::Member(id(name))).expect("reads") {
            Some(Record::Member(known)) => (known.as_of.0, known.listed, known.withdrawn),
            other => panic!("{other:?}"),
        };
        arrive(1, Listed(&["kept", "told", "told-late", "left"], 100));
        tell("told", 150, Some(1));
        tell("told-late", 350, Some(1));
        tell("told-only", 150, None);
        tell("enrolled", 0, None);
        arrive(2, Listed(&["kept", "told"], 120));
        assert_eq!(state("kept"), (120, Some(2), false));
        assert_eq!(
            state("told"),
            (150, Some(2), false),
            "head office's later word stays; the list names them"
        );
        assert_eq!(state("left"), (100, Some(1), true));
        assert_eq!(
            state("told-late"),
            (350, Some(1), false),
            "head office spoke of them after it was signed"
        );
        arrive(3, Listed(&["left"], 300));
        assert_eq!(state("left"), (300, Some(3), false), "listed again");
        assert_eq!(state("told"), (150, Some(2), true), "the list is newer than the word");
        assert_eq!(state("told-late"), (350, Some(1), false));
        for (name, as_of) in [("told-only", 150), ("enrolled", 0)] {
            assert_eq!(state(name), (as_of, None, false), "{name}: no bundle brought them, none takes them");
        }
        arrive(4, Listed(&[], 400));
        assert_eq!(state("left"), (300, Some(3), false), "a bundle without members speaks of none");
    }

    #[test]
    fn does_a_later_bundle_bring_back_the_old_home_of_a_code() {
        let code = |home: &str, listed, moved| {
            let coupon = crate::domain::ids::CouponId::new("five").expect("an id");
            let home = crate::domain::ids::StoreId::new(home).expect("an id");
            Record::Code(IssuedCode { coupon, member: None, home: Some(home), expires: None, listed, moved })
        };
        let again = |known: Record| known.listed_again(code("s01", Some(7), 0));
        assert_eq!(again(code("s02", Some(6), 1)), code("s02", Some(7), 1), "moved");
        assert_eq!(again(code("s02", Some(6), 0)), code("s01", Some(7), 0), "listed elsewhere");
        assert_eq!(code("s02", Some(6), 0).left_out(7, None), Some(None));
        let gone = code("s02", Some(6), 1).left_out(7, None).expect("it changes").expect("it stays");
        assert_eq!(gone.left_out(8, None), None, "withdrawn once");
        match &gone {
            Record::Code(issued) => {
                assert!(issued.expires.is_some_and(|expires| expires < UnixMs(0)) && issued.moved == 1);
            }
            other => panic!("{other:?}"),
        }
        assert_eq!(again(gone), code("s02", Some(7), 1), "listed again, at its new home");
    }
}
