//! Bytes that change on the disk: is any of them ever served, does the shop ever fail to come back, and is what was lost told?

use std::path::{Path, PathBuf};

use aisled::domain::ids::Seq;
use aisled::engine::decision::Entry;
use aisled::storage::journal::Gap;

use super::{Memory, Stored, work};

const EVERY: u64 = 40;
/// Cases at a time.
const WORKERS: u64 = 8;

/// How many files are damaged: more with `AISLED_DAMAGES`.
fn cases() -> u64 {
    std::env::var("AISLED_DAMAGES").ok().and_then(|cases| cases.parse().ok()).unwrap_or(48)
}

fn copy(from: &Path, to: &Path) {
    let copied = std::process::Command::new("cp").arg("-r").arg(from).arg(to).status();
    assert!(copied.expect("cp runs").success());
}

fn below(dir: &Path) -> Vec<PathBuf> {
    let mut found = Vec::new();
    for entry in std::fs::read_dir(dir).expect("it is there").flatten() {
        match entry.path().is_dir() {
            true => found.extend(below(&entry.path())),
            false => found.push(entry.path()),
        }
    }
    found.sort();
    found
}

/// One step of an old generator: which byte, and what becomes of it.
fn next(random: &mut u64) -> u64 {
    *random = random.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
    *random >> 20
}

/// Damages one file at one place; false if it has nothing to damage.
fn harm(file: &Path, random: &mut u64) -> bool {
    let mut bytes = std::fs::read(file).expect("it is there");
    // Zeros that nobody has written yet are damaged too, but not as often as there are many.
    let written = bytes.iter().rposition(|byte| *byte != 0).map_or(0, |last| last + 1);
    if written == 0 {
        return false;
    }
    let at = (next(random) as usize) % written;
    match next(random) % 4 {
        0 | 1 => bytes[at] ^= 1 << (next(random) % 8),
        2 => bytes[at..written.min(at + 600)].iter_mut().for_each(|byte| *byte = !*byte),
        _ => bytes[at..written.min(at + 4_096)]
            .iter_mut()
            .enumerate()
            .for_each(|(n, byte)| *byte = n as u8 | 1),
    }
    std::fs::write(file, bytes).expect("it is written");
    true
}

#[test]
fn is_a_changed_byte_ever_served_and_does_the_shop_always_come_back() {
    let dir = tempfile::tempdir().expect("a directory for the test");
    let whole = dir.path().join("whole");
    let mut shop = Memory::open_with(&whole, EVERY);
    for round in 0..5 {
        work(&mut shop, 1 + round * 1_000, 12);
        shop.wait_followed();
    }
    let (sent, before): (_, Vec<Stored>) = (shop.sent.clone(), shop.everything());
    shop.store.close();
    let skipped = ["lock", "ballast", "identity.json", "format"];
    let files = below(&whole);
    let victims: Vec<&PathBuf> =
        files.iter().filter(|file| !skipped.iter().any(|name| file.ends_with(name))).collect();
    assert!(victims.len() >= 4, "journal, tables and two checkpoints: {victims:?}");
    // Most of a case is waiting for the tables to follow.
    std::thread::scope(|scope| {
        for worker in 0..WORKERS {
            let hurt = dir.path().join(format!("hurt-{worker}"));
            let (whole, victims, sent, before) = (&whole, &victims, &sent, &before);
            scope.spawn(move || {
                for case in (worker..cases()).step_by(WORKERS as usize) {
                    let victim = victims[case as usize % victims.len()];
                    let name = victim.strip_prefix(whole).expect("it lies below");
                    copy(whole, &hurt);
                    let mut random = 7 + case;
                    if harm(&hurt.join(name), &mut random) {
                        is_contained(&hurt, (name, case), sent, before);
                    }
                    std::fs::remove_dir_all(&hurt).expect("it is there");
                }
            });
        }
    });
}

/// Twice it comes back, serves nothing that was not written and tells what is gone, and goes on working.
fn is_contained(hurt: &Path, (name, case): (&Path, u64), sent: &[Entry], before: &[Stored]) {
    let what = format!("case {case}: {}", name.display());
    let mut expected = before.to_vec();
    for start in 1..=2 {
        let mut again = Memory::open_with(hurt, EVERY);
        let missing = again.store.keeper().missing();
        for entry in sent {
            match again.store.decision(entry.seq).expect("no failure") {
                Some(read) => assert_eq!(read.encode(), entry.encode(), "{what}"),
                None => assert!(is_among(&missing, entry.seq), "{what}: {:?} is gone untold", entry.seq),
            }
        }
        let is_journal = name.starts_with("journal");
        assert!(is_journal || missing.is_empty(), "{what}");
        again.sent = sent.to_vec();
        assert!(again.everything() == expected, "{what}, start {start}: the records are others");
        work(&mut again, 100_000 * start, 2);
        again.wait_followed();
        again.sent = sent.to_vec();
        expected = again.everything();
        again.store.close();
    }
}

fn is_among(missing: &[Gap], seq: Seq) -> bool {
    missing.iter().any(|gap| (gap.from..=gap.to).contains(&seq))
}
