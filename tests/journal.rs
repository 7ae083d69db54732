//! Does the journal keep what it acknowledged, and only that, through power cuts, failing disks and flipped bytes?
//!
//! Everything runs on the emulated disk, from seeds; a failing case prints the seed and the operation. The bodies of the
//! fuzz targets, of which one reads journals, run here too.

#[path = "support/fuzz_bodies.rs"]
mod fuzz_bodies;

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use aisled::domain::ids::{Epoch, Seq};
use aisled::storage::disk::{Disk, DiskOp, Fault, FaultKind, MemDisk, OsDisk};
use aisled::storage::error::StorageError;
use aisled::storage::journal::{Gap, Journal, JournalOptions, OpenReport, Reader, Verify};
use proptest::prelude::*;

const DIR: &str = "/journal";
const EPOCH: Epoch = Epoch(4);

fn options() -> JournalOptions {
    JournalOptions { segment_bytes: 2_048, ahead_bytes: 1_024, ..JournalOptions::new(EPOCH, 11) }
}

fn try_open(disk: &MemDisk) -> Result<(Journal, OpenReport), StorageError> {
    Journal::open(Arc::new(disk.clone()), Path::new(DIR), options())
}

fn open(disk: &MemDisk) -> (Journal, OpenReport) {
    try_open(disk).expect("the journal opens")
}

/// A payload that is like no other.
fn payload(tag: u64, bytes: usize) -> Vec<u8> {
    tag.to_le_bytes()
        .iter()
        .copied()
        .cycle()
        .map(|byte| byte | 1)
        .take(bytes)
        .chain(tag.to_le_bytes())
        .collect()
}

type Entries = BTreeMap<u64, Vec<u8>>;

/// All that a reader gives from `from`, and the gaps it names.
fn read_from(mut reader: Reader) -> (Entries, Vec<Gap>) {
    let (mut entries, mut gaps) = (Entries::new(), Vec::new());
    loop {
        match reader.next() {
            Ok(Some(entry)) => {
                assert!(
                    entries.insert(entry.seq.0, entry.payload.to_vec()).is_none(),
                    "{} came twice",
                    entry.seq.0
                );
            }
            Ok(None) => return (entries, gaps),
            Err(StorageError::Gap { from, to }) => gaps.push(Gap { from, to }),
            Err(error) => panic!("reading failed: {error}"),
        }
    }
}

fn read(journal: &Journal) -> (Entries, Vec<Gap>) {
    read_from(journal.reader(journal.view().first()))
}

fn files(disk: &MemDisk) -> Vec<PathBuf> {
    let names = disk.list(Path::new(DIR)).expect("the directory is there");
    names.iter().map(|name| Path::new(DIR).join(name)).collect()
}

/// What the journal promised so far.
#[derive(Default)]
struct Promise {
    acknowledged: Entries,
    /// A group whose append failed: all of it or nothing of it may turn up.
    limbo: Vec<(u64, Vec<u8>)>,
    tag: u64,
    pruned: u64,
}

impl Promise {
    fn append(&mut self, journal: &mut Journal, sizes: &[usize]) -> Result<(), StorageError> {
        let group: Vec<Vec<u8>> =
            sizes.iter().zip(self.tag..).map(|(bytes, tag)| payload(tag, *bytes)).collect();
        self.tag += sizes.len() as u64;
        let first = journal.next_seq().0;
        let numbered: Vec<_> = (first..).zip(group.iter().cloned()).collect();
        match journal.append(&group) {
            Ok(range) => {
                assert_eq!((range.first.0, range.last.0), (first, first + group.len() as u64 - 1));
                self.acknowledged.extend(numbered);
                Ok(())
            }
            Err(error) => {
                if !matches!(error, StorageError::Poisoned) {
                    self.limbo = numbered;
                }
                assert_eq!(
                    journal.append(&[b"x"]).expect_err("a poisoned journal refuses").code(),
                    "AIS-5004"
                );
                Err(error)
            }
        }
    }

    fn prune(&mut self, journal: &mut Journal, through: u64) {
        if let Ok(pruned) = journal.prune(Seq(through)) {
            assert!(pruned.first.0 <= through.max(self.pruned) + 1, "prune went beyond what it was told");
        }
        self.pruned = self.pruned.max(through);
    }

    /// Holds an opened journal to the promise and takes up what turned up of the limbo.
    fn check(&mut self, journal: &Journal) {
        let (entries, gaps) = read(journal);
        let first = journal.view().first().0;
        assert!(first <= self.pruned + 1, "more is gone than was pruned: begins at {first}");
        for (seq, payload) in self.acknowledged.range(first..) {
            assert_eq!(entries.get(seq), Some(payload), "acknowledged decision {seq} is not there");
        }
        let limbo = std::mem::take(&mut self.limbo);
        let came = limbo.iter().filter(|(seq, payload)| entries.get(seq) == Some(payload)).count();
        assert!(came == 0 || came == limbo.len(), "{came} of {} of a group came back", limbo.len());
        if came > 0 {
            self.acknowledged.extend(limbo);
        }
        for (seq, payload) in &entries {
            assert_eq!(self.acknowledged.get(seq), Some(payload), "decision {seq} was never made");
        }
        let mut due = first;
        for seq in entries.keys() {
            if *seq != due {
                assert!(
                    gaps.contains(&Gap { from: Seq(due), to: Seq(seq - 1) }),
                    "an unnamed hole before {seq}"
                );
            }
            due = seq + 1;
        }
        assert!(journal.next_seq().0 >= due);
    }
}

/// The same day's work every time: groups of all shapes over several segments, a prune, a reopening.
fn work(disk: &MemDisk, promise: &mut Promise) -> Result<(), StorageError> {
    let mut journal = try_open(disk)?.0;
    promise.check(&journal);
    promise.append(&mut journal, &[10])?;
    promise.append(&mut journal, &[300, 0, 40])?;
    promise.append(&mut journal, &[900])?;
    promise.append(&mut journal, &[5; 30])?;
    drop(journal);
    let mut journal = try_open(disk)?.0;
    promise.check(&journal);
    promise.append(&mut journal, &[700, 700])?;
    let through = journal.next_seq().0 / 2;
    promise.prune(&mut journal, through);
    promise.append(&mut journal, &[1, 2, 3])
}

#[test]
fn is_every_acknowledged_decision_there_after_a_power_cut_at_any_operation() {
    let whole = MemDisk::new(0);
    work(&whole, &mut Promise::default()).expect("nothing fails");
    for nth in 1..=whole.changes() + 1 {
        for seed in 0..24 {
            let disk = MemDisk::new(seed * 1_000 + nth);
            disk.fail(Fault { op: None, nth, kind: FaultKind::Io, sticky: true });
            let mut promise = Promise::default();
            let _ = work(&disk, &mut promise);
            disk.crash();
            work(&disk, &mut promise).unwrap_or_else(|error| panic!("operation {nth}, seed {seed}: {error}"));
            disk.crash();
            promise.check(&open(&disk).0);
        }
    }
}

#[test]
fn is_every_acknowledged_decision_there_after_one_operation_failed_without_a_power_cut() {
    let whole = MemDisk::new(0);
    work(&whole, &mut Promise::default()).expect("nothing fails");
    for nth in 1..=whole.changes() {
        for (seed, kind) in [(1, FaultKind::Io), (2, FaultKind::NoSpace), (3, FaultKind::Io)] {
            let disk = MemDisk::new(seed * 1_000 + nth);
            disk.fail(Fault { op: None, nth, kind, sticky: false });
            let mut promise = Promise::default();
            let _ = work(&disk, &mut promise);
            // The supervisor restarts the daemon on the same page cache; the power goes only later.
            work(&disk, &mut promise).unwrap_or_else(|error| panic!("operation {nth}, seed {seed}: {error}"));
            disk.crash();
            promise.check(&open(&disk).0);
        }
    }
}

#[derive(Clone, Debug)]
enum Step {
    Append(Vec<usize>),
    Prune(u64),
    Reopen,
    Crash,
    Fail(u64, bool),
}

fn steps() -> impl Strategy<Value = Vec<Step>> {
    let step = prop_oneof![
        6 => prop::collection::vec(0_usize..700, 1..6).prop_map(Step::Append),
        1 => (0_u64..20).prop_map(Step::Prune),
        1 => Just(Step::Reopen),
        2 => Just(Step::Crash),
        2 => (1_u64..8, any::<bool>()).prop_map(|(nth, sticky)| Step::Fail(nth, sticky)),
    ];
    prop::collection::vec(step, 1..40)
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 300, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn does_any_story_of_cuts_faults_and_restarts_keep_the_promise(seed in any::<u64>(), steps in steps()) {
        let disk = MemDisk::new(seed);
        let mut promise = Promise::default();
        let mut journal = Some(open(&disk).0);
        for step in steps {
            match (step, journal.as_mut()) {
                (Step::Append(sizes), Some(open)) => {
                    if promise.append(open, &sizes).is_err() {
                        journal = None;
                    }
                }
                (Step::Prune(through), Some(open)) => {
                    let through = through.min(open.next_seq().0 - 1);
                    promise.prune(open, through);
                }
                (Step::Fail(nth, sticky), _) => disk.fail(Fault { op: None, nth, kind: FaultKind::Io, sticky }),
                (Step::Crash, _) => {
                    disk.crash();
                    journal = None;
                }
                (Step::Append(_) | Step::Prune(_) | Step::Reopen, _) => journal = None,
            }
            if journal.is_none() {
                journal = try_open(&disk).ok().map(|(journal, _)| journal);
                if let Some(open) = &journal {
                    promise.check(open);
                }
            }
        }
        disk.crash();
        promise.check(&open(&disk).0);
    }
}

/// Three groups in two segments; the frames' extents by file, with their decisions.
fn small() -> (MemDisk, Entries) {
    let disk = MemDisk::new(5);
    let mut promise = Promise::default();
    let mut journal = open(&disk).0;
    promise.append(&mut journal, &[30, 40]).expect("appended");
    promise.append(&mut journal, &[700, 800]).expect("appended");
    promise.append(&mut journal, &[20]).expect("appended");
    promise.append(&mut journal, &[600, 1]).expect("appended");
    promise.append(&mut journal, &[90]).expect("appended");
    drop(journal);
    assert!(files(&disk).len() >= 2, "more than one segment");
    (disk, promise.acknowledged)
}

#[test]
fn is_a_flipped_byte_always_seen_and_never_served() {
    let (disk, all) = small();
    let groups: [&[u64]; 5] = [&[1, 2], &[3, 4], &[5], &[6, 7], &[8]];
    for path in files(&disk) {
        let bytes = disk.bytes(&path).expect("the file is there");
        let written = bytes.iter().rposition(|byte| *byte != 0).expect("not empty") + 1;
        for at in 0..bytes.len() {
            for mask in [0x01, 0x80, bytes[at].max(1)] {
                let bad = disk.fork(at as u64);
                bad.rot(&path, |bytes| bytes[at] ^= mask);
                let (mut journal, report) = open(&bad);
                let (entries, gaps) = read(&journal);
                let what = format!("{} byte {at} mask {mask:#x}: {report:?}", path.display());
                let missing: Vec<u64> =
                    all.keys().copied().filter(|seq| !entries.contains_key(seq)).collect();
                assert!(entries.iter().all(|(seq, payload)| all.get(seq) == Some(payload)), "served: {what}");
                assert!(
                    missing.is_empty() || groups.contains(&missing.as_slice()),
                    "lost {missing:?}: {what}"
                );
                if at < written {
                    assert_eq!(report.quarantined.len(), 1, "not set aside: {what}");
                    assert!(bad.bytes(&report.quarantined[0].moved_to).is_some(), "not kept: {what}");
                } else {
                    assert_eq!(missing, [0_u64; 0], "{what}");
                    assert!(report.cut.is_some() || !report.quarantined.is_empty(), "not seen: {what}");
                }
                for seq in &missing {
                    let named = |gaps: &[Gap]| gaps.iter().any(|gap| (gap.from.0..=gap.to.0).contains(seq));
                    assert!(named(&report.gaps), "an unnamed hole at {seq}: {what}");
                    assert!(
                        named(&gaps) || entries.keys().all(|there| there < seq),
                        "read over {seq}: {what}"
                    );
                }
                let range = journal.append(&[b"after"]).expect("goes on");
                assert!(range.first.0 > 8, "a number was given out twice: {what}");
                drop(journal);
                let (journal, again) = open(&bad);
                assert!(again.quarantined.is_empty() && again.cut.is_none(), "again: {what}: {again:?}");
                assert_eq!(again.gaps, report.gaps, "{what}");
                let (entries, _) = read(&journal);
                assert_eq!(entries.len(), all.len() - missing.len() + 1, "{what}");
            }
        }
    }
}

#[test]
fn does_a_power_cut_while_damage_is_set_aside_lose_nothing_intact() {
    let (disk, all) = small();
    let path = files(&disk).remove(0);
    let rot = |disk: &MemDisk| disk.rot(&path, |bytes| bytes[300] ^= 4);
    let whole = disk.fork(0);
    rot(&whole);
    let expected = read(&open(&whole).0).0;
    assert_eq!(expected.len(), all.len() - 2);
    for nth in 1..=whole.changes() {
        for seed in 0..16 {
            let bad = disk.fork(seed);
            rot(&bad);
            bad.fail(Fault { op: None, nth, kind: FaultKind::Io, sticky: true });
            let _ = try_open(&bad);
            bad.crash();
            let (journal, report) = open(&bad);
            assert_eq!(read(&journal).0, expected, "operation {nth}, seed {seed}");
            assert_eq!(report.gaps, [Gap { from: Seq(3), to: Seq(4) }], "operation {nth}, seed {seed}");
        }
    }
}

#[test]
fn is_damage_found_by_a_reader_set_aside_while_the_journal_runs() {
    let (disk, all) = small();
    for path in files(&disk) {
        let bad = disk.fork(1);
        let (mut journal, _) = open(&bad);
        bad.rot(&path, |bytes| bytes[140] ^= 4);
        let mut reader = journal.reader(Seq(1));
        let (mut seen, mut lost, mut repaired) = (0, 0, 0);
        loop {
            match reader.next() {
                Ok(Some(entry)) => {
                    assert_eq!(all.get(&entry.seq.0).map(Vec::as_slice), Some(entry.payload));
                    seen += 1;
                }
                Ok(None) => break,
                Err(StorageError::Damaged { seq, .. }) => {
                    assert!(journal.repair(seq).expect("set aside").is_some());
                    repaired += 1;
                }
                Err(StorageError::Gap { from, to }) => lost += to.0 - from.0 + 1,
                Err(error) => panic!("{error}"),
            }
        }
        assert_eq!((repaired, seen + lost), (1, 8), "{}", path.display());
        assert!(lost > 0);
        journal.append(&[b"on"]).expect("goes on");
        drop(journal);
        assert!(open(&bad).1.quarantined.is_empty());
    }
}

#[test]
fn can_a_payload_that_holds_a_frame_pass_for_one() {
    let (disk, _) = small();
    let stolen = disk.bytes(&files(&disk)[0]).expect("there")[64..].to_vec();
    let fresh = MemDisk::new(9);
    let mut journal = Journal::open(
        Arc::new(fresh.clone()),
        Path::new(DIR),
        JournalOptions { seed: 12, segment_bytes: 1 << 20, ..options() },
    )
    .expect("opens")
    .0;
    journal.append(&[b"first"]).expect("appended");
    // 60 bytes after its length the payload stands where a frame may begin.
    let decoy = [vec![7; 60], stolen].concat();
    journal.append(&[decoy]).expect("appended");
    drop(journal);
    let path = files(&fresh).remove(0);
    fresh.rot(&path, |bytes| bytes[192 + 80] ^= 1);
    let (journal, report) = open(&fresh);
    assert_eq!(report.quarantined.len(), 1);
    assert_eq!(read(&journal).0.into_keys().collect::<Vec<_>>(), [1]);
}

#[test]
fn is_a_whole_frame_of_another_story_taken_into_this_one() {
    let write = |tags: [u64; 3]| {
        let disk = MemDisk::new(1);
        let (mut journal, _) = open(&disk);
        for tag in tags {
            journal.append(&[payload(tag, 100)]).expect("appended");
        }
        disk
    };
    let (ours, theirs) = (write([1, 2, 3]), write([7, 8, 9]));
    let path = files(&ours).remove(0);
    let foreign = theirs.bytes(&path).expect("there");
    // Same salt, same numbers, CRCs in order: only the chain tells.
    ours.rot(&path, |bytes| bytes[256..448].copy_from_slice(&foreign[256..448]));
    let (journal, report) = open(&ours);
    assert_eq!(report.quarantined.len(), 1, "{report:?}");
    assert_eq!(read(&journal).0, Entries::from([(1, payload(1, 100)), (3, payload(3, 100))]));
}

#[test]
fn is_an_empty_directory_a_new_journal_and_a_second_opening_a_quiet_one() {
    let disk = MemDisk::new(1);
    let (journal, report) = open(&disk);
    assert_eq!(report, OpenReport { created: true, ..OpenReport::default() });
    assert_eq!((journal.next_seq(), journal.view().durable()), (Seq(1), Seq(0)));
    drop(journal);
    let changes = disk.changes();
    assert_eq!(open(&disk).1, OpenReport::default());
    assert!(disk.changes() - changes <= 3, "a clean opening writes nothing but syncs");
}

#[test]
fn is_a_truncated_segment_header_set_aside() {
    for kept in [0, 1, 63] {
        let (disk, _) = small();
        let path = files(&disk).pop().expect("a last segment");
        disk.rot(&path, |bytes| bytes.truncate(kept));
        let (journal, report) = open(&disk);
        assert_eq!((report.quarantined.len(), report.gaps.len()), (1, 1), "{report:?}");
        assert!(journal.next_seq().0 > 8, "a number was given out twice");
    }
}

#[test]
fn is_a_segment_of_a_later_version_left_alone() {
    let (disk, _) = small();
    let path = files(&disk).pop().expect("a last segment");
    disk.rot(&path, |bytes| {
        bytes[8] = 2;
        let crc = crc32c::crc32c(&bytes[..60]);
        bytes[60..64].copy_from_slice(&crc.to_le_bytes());
        // Damage elsewhere must not be touched either.
        bytes[200] ^= 1;
    });
    let before: Vec<_> = files(&disk).iter().map(|path| disk.bytes(path)).collect();
    let error = try_open(&disk).expect_err("refused");
    assert_eq!(error.code(), "AIS-5005");
    assert!(error.to_string().contains("format version 2"), "{error}");
    assert_eq!(files(&disk).iter().map(|path| disk.bytes(path)).collect::<Vec<_>>(), before);
}

#[test]
fn is_a_journal_of_a_later_epoch_refused() {
    let (disk, _) = small();
    let older = JournalOptions { epoch: Epoch(3), ..options() };
    let error = Journal::open(Arc::new(disk.clone()), Path::new(DIR), older).expect_err("refused");
    assert_eq!(error.code(), "AIS-5012");
    let newer = JournalOptions { epoch: Epoch(5), ..options() };
    let (mut journal, _) = Journal::open(Arc::new(disk.clone()), Path::new(DIR), newer).expect("opens");
    journal.append(&[b"new life"]).expect("appended");
    let mut reader = journal.reader(Seq(9));
    assert_eq!(reader.next().expect("read").map(|entry| (entry.seq, entry.epoch)), Some((Seq(9), Epoch(5))));
    drop(journal);
    assert_eq!(try_open(&disk).expect_err("refused").code(), "AIS-5012");
}

#[test]
fn does_the_word_of_the_tables_uncover_an_end_that_is_gone_without_a_trace() {
    let (disk, _) = small();
    let known = JournalOptions { known: Seq(10), ..options() };
    let (journal, report) = Journal::open(Arc::new(disk.clone()), Path::new(DIR), known).expect("opens");
    let last = Seq(journal.next_seq().0 - 1);
    assert_eq!(report.gaps, [Gap { from: Seq(9), to: last }]);
    assert!(last > Seq(10));
    drop(journal);
    assert_eq!(open(&disk).1.gaps, [Gap { from: Seq(9), to: last }]);
}

#[test]
fn does_prune_remove_whole_segments_and_nothing_above_its_bound() {
    let (disk, all) = small();
    let (mut journal, _) = open(&disk);
    let mut behind = journal.reader(Seq(1));
    behind.next().expect("read");
    for through in 0..=20 {
        let pruned = journal.prune(Seq(through)).expect("pruned");
        assert!(pruned.first.0 <= through + 1);
        let (entries, gaps) = read(&journal);
        assert_eq!(entries, all.range(pruned.first.0..).map(|(seq, bytes)| (*seq, bytes.clone())).collect());
        assert!(gaps.is_empty());
    }
    assert_eq!(files(&disk).len(), 1, "the active segment stays");
    let first = journal.view().first();
    assert!(
        matches!(journal.reader(Seq(1)).next(), Err(StorageError::Pruned { asked: Seq(1), first: f }) if f == first)
    );
    drop(journal);
    assert!(open(&disk).1.gaps.is_empty());
}

#[test]
fn does_a_prune_that_failed_leave_a_hole() {
    let (disk, _) = small();
    let (mut journal, _) = open(&disk);
    disk.fail(Fault { op: Some(DiskOp::Remove), nth: 1, kind: FaultKind::Io, sticky: false });
    assert_eq!(journal.prune(Seq(20)).expect_err("the disk fails").code(), "AIS-5001");
    assert_eq!(journal.prune(Seq(20)).expect_err("in doubt").code(), "AIS-5004");
    drop(journal);
    assert!(open(&disk).1.gaps.is_empty());
}

#[test]
fn does_a_reader_find_any_decision_and_go_on_at_the_live_end() {
    for verify in [Verify::All, Verify::Tail] {
        let (disk, all) = small();
        let options = JournalOptions { verify, ..options() };
        let (mut journal, _) = Journal::open(Arc::new(disk.clone()), Path::new(DIR), options).expect("opens");
        for from in 0..=8_u64 {
            assert_eq!(
                read_from(journal.reader(Seq(from))).0,
                all.range(from..).map(|(s, b)| (*s, b.clone())).collect()
            );
        }
        let end = journal.next_seq();
        let mut reader = journal.reader(end);
        for round in 0..20 {
            assert_eq!(reader.next().expect("the live end"), None);
            journal.append(&[payload(round, 500)]).expect("appended");
            let entry = reader.next().expect("read").expect("an entry");
            assert_eq!((entry.seq.0, entry.payload), (end.0 + round, payload(round, 500).as_slice()));
        }
    }
}

#[test]
fn does_a_reader_beside_the_writer_see_every_decision_once_and_only_durable_ones() {
    const DECISIONS: u64 = 2_000;
    let dir = tempfile::tempdir().expect("a temporary directory");
    let options = JournalOptions { segment_bytes: 16 * 1024, ..JournalOptions::new(EPOCH, 1) };
    let (mut journal, _) =
        Journal::open(Arc::new(OsDisk), &dir.path().join("journal"), options).expect("opens");
    let view = journal.view();
    let reader = std::thread::spawn(move || {
        let mut reader = view.reader(Seq(1));
        let mut next = 1;
        while next <= DECISIONS {
            match reader.next().expect("readable") {
                Some(entry) => {
                    assert_eq!((entry.seq.0, entry.payload), (next, payload(next, 20).as_slice()));
                    assert!(entry.seq <= view.durable());
                    next += 1;
                }
                None => std::thread::yield_now(),
            }
        }
    });
    let mut tag = 1;
    while tag <= DECISIONS {
        let group: Vec<_> = (tag..=DECISIONS).take(20).map(|tag| payload(tag, 20)).collect();
        tag += group.len() as u64;
        journal.append(&group).expect("appended");
    }
    reader.join().expect("the reader saw everything");
}

#[test]
fn are_groups_that_no_frame_can_hold_refused_without_harm() {
    let disk = MemDisk::new(1);
    let (mut journal, _) = open(&disk);
    let none: [&[u8]; 0] = [];
    assert_eq!(journal.append(&none).expect_err("refused").code(), "AIS-5008");
    assert_eq!(journal.append(&[b"x"; 257]).expect_err("refused").code(), "AIS-5008");
    assert_eq!(journal.append(&[vec![0; 256 * 1024]]).expect_err("refused").code(), "AIS-5007");
    let large = vec![vec![3; 100 * 1024]; 3];
    assert_eq!(aisled::storage::journal::prefix_that_fits(&large), 2);
    journal.append(&large[..2]).expect("two fit");
    assert_eq!(journal.next_seq(), Seq(3));
}

#[test]
fn is_a_full_disk_named_and_what_was_acknowledged_kept() {
    let disk = MemDisk::new(3);
    let mut promise = Promise::default();
    let (mut journal, _) = open(&disk);
    disk.set_capacity(Some(4_000));
    let error = loop {
        if let Err(error) = promise.append(&mut journal, &[200]) {
            break error;
        }
    };
    assert!(error.is_full(), "{error}");
    assert!(
        error.to_string().starts_with("write /journal/") || error.to_string().starts_with("create"),
        "{error}"
    );
    drop(journal);
    // Full as it is, it opens and reads.
    promise.check(&open(&disk).0);
    disk.set_capacity(None);
    let (mut journal, _) = open(&disk);
    promise.append(&mut journal, &[200]).expect("space again");
}

#[test]
fn does_a_read_only_disk_still_show_what_is_surely_durable() {
    let (disk, all) = small();
    disk.set_read_only(true);
    let (mut journal, _) = open(&disk);
    let (entries, _) = read(&journal);
    assert_eq!(entries, all.range(..8).map(|(seq, bytes)| (*seq, bytes.clone())).collect());
    assert!(journal.append(&[b"x"]).expect_err("read-only").is_read_only());
    disk.set_read_only(false);
    assert_eq!(read(&open(&disk).0).0, all);
}

#[test]
fn is_a_frame_that_a_failed_sync_left_in_memory_only_made_durable_at_open() {
    for seed in 0..64 {
        let disk = MemDisk::new(seed);
        let mut promise = Promise::default();
        let (mut journal, _) = open(&disk);
        promise.append(&mut journal, &[200]).expect("appended");
        disk.fail(Fault { op: Some(DiskOp::SyncData), nth: 1, kind: FaultKind::Io, sticky: false });
        promise.append(&mut journal, &[600, 600]).expect_err("the sync fails");
        drop(journal);
        // The page cache still has it, so it is served from now on: then it must also survive.
        let (journal, _) = open(&disk);
        promise.check(&journal);
        assert_eq!(promise.acknowledged.len(), 3);
        drop(journal);
        disk.crash();
        promise.check(&open(&disk).0);
    }
}

#[test]
fn is_a_frame_torn_over_an_older_torn_one_still_a_torn_tail() {
    for seed in 0..512 {
        let disk = MemDisk::new(seed);
        let mut promise = Promise::default();
        let fails =
            |nth| disk.fail(Fault { op: Some(DiskOp::SyncData), nth, kind: FaultKind::Io, sticky: false });
        let (mut journal, _) = open(&disk);
        promise.append(&mut journal, &[200]).expect("appended");
        // Torn on the platter by a power cut; its blanking fails to reach the platter, though memory shows it.
        for cut_short in [[900], [700]] {
            fails(1);
            promise.append(&mut journal, &cut_short).expect_err("the sync fails");
            drop(journal);
            disk.crash();
            fails(1);
            drop(try_open(&disk).expect_err("the sync fails again"));
            let (again, report) = open(&disk);
            assert!(report.quarantined.is_empty() && report.gaps.is_empty(), "seed {seed}: {report:?}");
            promise.check(&again);
            journal = again;
        }
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(96))]
    #[test]
    fn do_arbitrary_bytes_harm_any_reader(bytes in prop::collection::vec(any::<u8>(), 0..1_500)) {
        for (target, _) in fuzz_bodies::BODIES {
            fuzz_bodies::run(target, &bytes);
        }
    }
}

#[test]
fn is_every_fuzz_target_one_that_runs_here_too() {
    let manifest = std::fs::read_to_string("fuzz/Cargo.toml").expect("the targets are declared");
    let manifest: toml::Table = manifest.parse().expect("TOML");
    let bins = manifest["bin"].as_array().expect("there are some");
    let declared: Vec<&str> = bins.iter().filter_map(|bin| bin["name"].as_str()).collect();
    assert_eq!(declared, fuzz_bodies::BODIES.map(|(name, _)| name));
    let mut files: Vec<String> = (std::fs::read_dir("fuzz/targets").expect("they are there").flatten())
        .map(|entry| entry.file_name().to_string_lossy().into_owned())
        .collect();
    files.sort();
    let mut expected: Vec<String> = declared.iter().map(|name| format!("{name}.rs")).collect();
    expected.sort();
    assert_eq!(files, expected);
}
