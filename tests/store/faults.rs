//! One operation of the disk fails, each in turn, once or from then on, with and without the power going: is what was
//! acknowledged there, and nothing half? Journal, checkpoints, tables and pruning together, on the emulated disk.

use std::collections::BTreeMap;
use std::path::Path;
use std::sync::Arc;

use aisled::domain::ids::{Epoch, PromotionId, Seq};
use aisled::domain::member::{Usage, Used};
use aisled::engine::decision::{Change, Key, Record, UsageOf};
use aisled::storage::checkpoint;
use aisled::storage::disk::{Disk, Fault, FaultKind, MemDisk};
use aisled::storage::error::StorageError;
use aisled::storage::journal::{Journal, JournalOptions};
use aisled::storage::space::Space;
use aisled::storage::tables::{Batch, Tables};

const DATA: &str = "/data";
const EPOCH: Epoch = Epoch(1);
/// Counters that decisions write, in turn.
const COUNTERS: u64 = 7;
const GROUPS: u64 = 50;

/// The slow and obvious shop: what was promised, and what may or may not have happened.
#[derive(Default)]
struct Model {
    acknowledged: BTreeMap<u64, Vec<u8>>,
    limbo: Vec<(u64, Vec<u8>)>,
    groups: u64,
    may_go: u64,
    /// Two failures can leave a frame that was never acknowledged looking as though it had been: it is set aside and told,
    /// a false alarm that loses nothing. One failure never does.
    may_alarm: bool,
}

fn payload(seq: u64) -> Vec<u8> {
    [seq.to_be_bytes().as_slice(), &vec![seq as u8 | 1; 40 + seq as usize % 90]].concat()
}

fn changes(seq: u64) -> [Change; 1] {
    let mut usage = Usage::default();
    usage.count(20_000, Used { uses: seq as u32, ..Used::default() });
    [Change::put(key(seq), Record::Usage(usage))]
}

fn key(seq: u64) -> Key {
    let name = format!("counter-{}", seq % COUNTERS);
    Key::Usage(UsageOf::Shop, PromotionId::new(&name).expect("an id"))
}

/// A start: tables from the newest checkpoint, the journal from there on, all of it held to the model.
fn start(disk: &MemDisk, model: &mut Model) -> Result<(Journal, Tables), StorageError> {
    let data = Path::new(DATA);
    disk.create_dir_all(data)?;
    disk.sync_dir(Path::new("/"))?;
    Space::new(Arc::new(disk.clone()), data, 4_096).take_ballast()?;
    let tables = Tables::memory();
    if let Some(good) = checkpoint::newest_good(disk, &data.join("checkpoints"))? {
        checkpoint::read(disk, &good.path, |tree, key, value| {
            Ok(tables.put(vec![(tree, key.to_vec(), value.to_vec())])?)
        })?;
        assert_eq!(tables.applied()?, good.through);
    }
    let mut options = JournalOptions::new(EPOCH, 5);
    (options.segment_bytes, options.ahead_bytes, options.known) = (2_048, 512, tables.applied()?);
    let (journal, report) = Journal::open(Arc::new(disk.clone()), &data.join("journal"), options.clone())?;
    assert!(model.may_alarm || (report.gaps.is_empty() && report.quarantined.is_empty()), "{report:?}");
    if journal.view().durable().0 + 1 < journal.next_seq().0 && report.gaps.is_empty() {
        // The disk let nothing be settled: as the store does, this start is none.
        return Err(StorageError::Poisoned);
    }
    let mut reader = journal.reader(journal.view().first());
    let first = reader.position().0;
    assert!(first <= model.may_go + 1, "more was pruned than may go");
    assert!(first <= tables.applied()?.0 + 1, "the journal begins behind the checkpoint");
    let mut present = BTreeMap::new();
    loop {
        match reader.next() {
            Ok(Some(entry)) => drop(present.insert(entry.seq.0, entry.payload.to_vec())),
            Ok(None) => break,
            Err(StorageError::Gap { .. }) if model.may_alarm => {}
            Err(error) => return Err(error),
        }
    }
    let limbo = std::mem::take(&mut model.limbo);
    let came = limbo.iter().filter(|(seq, bytes)| present.get(seq) == Some(bytes)).count();
    assert!(came == 0 || came == limbo.len(), "half a group: {came} of {}", limbo.len());
    if came > 0 {
        model.acknowledged.extend(limbo);
    }
    let expected: BTreeMap<u64, Vec<u8>> =
        model.acknowledged.range(first..).map(|(seq, bytes)| (*seq, bytes.clone())).collect();
    assert!(present == expected, "the journal is not what was acknowledged");
    for seq in present.keys().filter(|seq| Seq(**seq) > options.known) {
        follow(&tables, *seq)?;
    }
    let last: BTreeMap<u64, u64> = model.acknowledged.keys().map(|seq| (seq % COUNTERS, *seq)).collect();
    for seq in last.values() {
        assert_eq!(tables.get(&key(*seq))?, changes(*seq)[0].record, "the tables are of another journal");
    }
    Ok((journal, tables))
}

fn follow(tables: &Tables, seq: u64) -> Result<(), StorageError> {
    let changes = changes(seq);
    let mut batch = Batch::default();
    batch.add(Seq(seq), &changes);
    Ok(tables.apply(&batch)?)
}

/// A day's work: groups, now and then a checkpoint, pruning, a restart in the middle.
fn work(disk: &MemDisk, model: &mut Model) -> Result<(), StorageError> {
    let (mut journal, mut tables) = start(disk, model)?;
    let until = model.groups + GROUPS;
    while model.groups < until {
        model.groups += 1;
        let first = journal.next_seq().0;
        let group: Vec<(u64, Vec<u8>)> =
            (first..first + 1 + model.groups % 3).map(|seq| (seq, payload(seq))).collect();
        let bytes: Vec<&[u8]> = group.iter().map(|(_, bytes)| bytes.as_slice()).collect();
        if let Err(error) = journal.append(&bytes) {
            model.limbo = group;
            return Err(error);
        }
        for (seq, _) in &group {
            follow(&tables, *seq)?;
        }
        model.acknowledged.extend(group);
        if model.groups.is_multiple_of(9) {
            let dir = Path::new(DATA).join("checkpoints");
            let through = tables.applied()?;
            let mut writer = checkpoint::Writer::begin(disk, &dir, through, EPOCH)?;
            tables.each(|tree, key, value| writer.add(tree, key, value))?;
            writer.finish()?;
            let oldest = checkpoint::list(disk, &dir)?.first().map_or(Seq(0), |oldest| oldest.through);
            // Asked for is as good as done: a failure may come behind the removal.
            model.may_go = oldest.0;
            journal.prune(oldest)?;
        }
        if model.groups.is_multiple_of(25) {
            drop(journal);
            (journal, tables) = start(disk, model)?;
        }
    }
    Ok(())
}

#[test]
fn is_what_was_acknowledged_there_after_any_operation_failed() {
    let whole = MemDisk::new(0);
    work(&whole, &mut Model::default()).expect("nothing fails");
    let operations = whole.changes();
    assert!(operations >= 200, "{operations}");
    for nth in 1..=operations {
        for (variant, kind) in
            [FaultKind::Io, FaultKind::NoSpace, FaultKind::ReadOnly].into_iter().enumerate()
        {
            for (sticky, cut) in [(false, false), (false, true), (true, false), (true, true)] {
                let disk = MemDisk::new(nth * 100 + variant as u64);
                let mut model = Model::default();
                disk.fail(Fault { op: None, nth, kind, sticky });
                let first = work(&disk, &mut model);
                if sticky {
                    // The supervisor tries again on the same disk, in vain.
                    assert!(first.is_err());
                    let _ = work(&disk, &mut model);
                }
                disk.heal();
                if cut {
                    disk.crash();
                }
                work(&disk, &mut model).unwrap_or_else(|error| {
                    panic!("operation {nth} {kind:?} sticky {sticky} cut {cut}: {error}")
                });
                disk.crash();
                start(&disk, &mut model).expect("it comes back once more");
            }
        }
    }
}

#[test]
fn is_a_second_failure_while_it_recovers_survived() {
    let whole = MemDisk::new(0);
    work(&whole, &mut Model::default()).expect("nothing fails");
    for nth in (1..=whole.changes()).step_by(5) {
        for second in 1..=12 {
            let disk = MemDisk::new(nth * 31 + second);
            let mut model = Model { may_alarm: true, ..Model::default() };
            disk.fail(Fault { op: None, nth, kind: FaultKind::Io, sticky: false });
            let _ = work(&disk, &mut model);
            disk.crash();
            disk.fail(Fault { op: None, nth: second, kind: FaultKind::Io, sticky: true });
            let _ = work(&disk, &mut model);
            disk.crash();
            work(&disk, &mut model).unwrap_or_else(|error| panic!("operations {nth}, {second}: {error}"));
        }
    }
}
