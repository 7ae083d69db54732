//! Are the tables ever more than a view: lost, rotten, too old or too large, they come back from checkpoint and journal,
//! and the journal keeps what that takes.

use std::path::{Path, PathBuf};

use aisled::domain::ids::Seq;
use aisled::engine::decision::{Entry, Key};
use aisled::storage::checkpoint::{self, Checkpoint};
use aisled::storage::disk::OsDisk;
use aisled::storage::store::Sizes;
use serde_json::json;

use super::privacy::copy;
use super::{Memory, Stored, commit, sale, work};

const EVERY: u64 = 40;

/// So that a test's few sales fill segments.
fn small() -> Sizes {
    Sizes { checkpoint_every: EVERY, segment_bytes: 16 * 1024, requests_kept: 0, ..Sizes::default() }
}

fn checkpoints(dir: &Path) -> Vec<Checkpoint> {
    checkpoint::list(&OsDisk, &dir.join("checkpoints")).expect("they can be listed")
}

fn tables(dir: &Path) -> PathBuf {
    let named = std::fs::read_to_string(dir.join("tables.current")).unwrap_or_else(|_| "tables".to_owned());
    dir.join(named.trim())
}

/// A shop that has worked long enough for two checkpoints, and what it decided.
fn shop_with_checkpoints(dir: &Path) -> (Vec<Entry>, Vec<super::Stored>) {
    let mut shop = Memory::open_with(dir, EVERY);
    for round in 0..6 {
        work(&mut shop, 1 + round * 1_000, 30);
        shop.wait_followed();
    }
    let (sent, everything) = (shop.sent.clone(), shop.everything());
    shop.store.close();
    assert_eq!(checkpoints(dir).len(), 2, "the newest two are kept");
    (sent, everything)
}

#[test]
fn are_lost_tables_built_from_the_checkpoint_and_only_the_rest_of_the_journal() {
    let dir = tempfile::tempdir().expect("a directory for the test");
    let (mut sent, mut before) = shop_with_checkpoints(dir.path());
    for harm in
        ["deleted", "emptied", "scribbled", "suspected", "named wrongly", "older than the checkpoints"]
    {
        let place = tables(dir.path());
        match harm {
            "deleted" => std::fs::remove_dir_all(&place).expect("they are there"),
            "emptied" => std::fs::write(place.join("db"), b"").expect("it is written"),
            "scribbled" => std::fs::write(place.join("conf"), b"size: many").expect("it is written"),
            "suspected" => std::fs::write(dir.path().join("tables.suspect"), b"?").expect("it is written"),
            "named wrongly" => {
                std::fs::write(dir.path().join("tables.current"), [0xff, 0xfe]).expect("it is written")
            }
            _ => {
                let other = tempfile::tempdir().expect("a directory for the test");
                let mut young = Memory::open(other.path());
                work(&mut young, 1, 3);
                young.store.close();
                std::fs::remove_dir_all(&place).expect("they are there");
                std::fs::rename(other.path().join("tables"), &place).expect("they are moved");
            }
        }
        let newest = checkpoints(dir.path()).last().expect("two").through;
        let mut again = Memory::open_with(dir.path(), EVERY);
        assert_eq!(again.recovered.built_from, Some(newest), "{harm}");
        assert_eq!(
            again.recovered.applied,
            sent.len() as u64 - newest.0,
            "{harm}: only what the checkpoint lacks"
        );
        again.sent = sent.clone();
        assert_eq!(again.everything(), before, "{harm}");
        assert_eq!(again.store.active_bundle().map(|active| active.reference.version), Some(1), "{harm}");
        work(&mut again, 1_000 * sent.len() as u64, 2);
        again.wait_followed();
        (sent, before) = (again.sent.clone(), again.everything());
        again.store.close();
        let again = Memory::open_with(dir.path(), EVERY);
        assert_eq!((again.recovered.built_from, again.recovered.applied), (None, 0), "{harm}: built once");
        again.store.close();
    }
}

#[test]
fn is_anything_lost_when_tables_and_checkpoints_are() {
    let dir = tempfile::tempdir().expect("a directory for the test");
    let (sent, before) = shop_with_checkpoints(dir.path());
    for rotten in 1..=2 {
        std::fs::remove_dir_all(tables(dir.path())).expect("they are there");
        let kept = checkpoints(dir.path());
        let victim = kept.iter().rev().nth(rotten - 1).expect("two");
        let mut bytes = std::fs::read(&victim.path).expect("it is there");
        let middle = bytes.len() / 2;
        bytes[middle] ^= 1;
        std::fs::write(&victim.path, bytes).expect("it is written");
        let mut again = Memory::open_with(dir.path(), u64::MAX);
        let from = if rotten == 1 { kept[0].through } else { Seq(0) };
        assert_eq!(again.recovered.built_from, Some(from));
        again.sent = sent.clone();
        assert_eq!(again.everything(), before, "{rotten} rotten");
        again.store.close();
    }
}

#[test]
fn are_swollen_tables_copied_and_do_they_hold_the_same() {
    let dir = tempfile::tempdir().expect("a directory for the test");
    let mut shop = Memory::open_with(dir.path(), u64::MAX);
    work(&mut shop, 1, 30);
    shop.wait_followed();
    let (mut sent, mut before) = (shop.sent.clone(), shop.everything());
    shop.store.close();
    // Nothing that the tables hold, and far more than it on the disk.
    {
        let swollen = sled::open(dir.path().join("tables")).expect("it opens");
        for number in 0..12_000_u32 {
            swollen.insert(number.to_be_bytes(), vec![number as u8; 8_000]).expect("it is put in");
        }
        swollen.flush().expect("it is written");
    }
    let bytes = |place: &Path| std::fs::metadata(place.join("db")).expect("it is there").len();
    let swollen = bytes(&tables(dir.path()));
    let mut again = Memory::open_with(dir.path(), EVERY);
    again.sent.append(&mut sent);
    work(&mut again, 5_000, 40);
    again.wait_followed();
    work(&mut again, 6_000, 2);
    again.wait_followed();
    before.extend(again.everything());
    let (sent, after) = (again.sent.clone(), again.everything());
    again.store.close();
    let place = tables(dir.path());
    assert_eq!(place.file_name().expect("a name"), "tables-1", "they were switched while the shop sold");
    assert!(bytes(&place) * 8 < swollen, "{} of {swollen}", bytes(&place));
    let mut last = Memory::open_with(dir.path(), EVERY);
    assert_eq!(last.recovered.built_from, None);
    last.sent = sent;
    assert_eq!(last.everything(), after);
    assert!(!dir.path().join("tables").exists(), "the former ones are gone");
    last.store.close();
}

#[test]
fn is_a_copy_of_the_tables_that_was_cut_off_at_any_step_no_harm() {
    let root = tempfile::tempdir().expect("a directory for the test");
    let (before, after) = (root.path().join("before"), root.path().join("after"));
    let mut shop = Memory::open_with(&before, u64::MAX);
    work(&mut shop, 1, 30);
    shop.wait_followed();
    let (sent, stood) = (shop.sent.clone(), shop.everything());
    shop.store.close();
    copy(&before, &after);
    {
        let swollen = sled::open(after.join("tables")).expect("it opens");
        for number in 0..12_000_u32 {
            swollen.insert(number.to_be_bytes(), vec![number as u8; 8_000]).expect("it is put in");
        }
        swollen.flush().expect("it is written");
    }
    let mut shop = Memory::open_with(&after, EVERY);
    shop.sent.clone_from(&sent);
    work(&mut shop, 5_000, 40);
    shop.wait_followed();
    work(&mut shop, 6_000, 2);
    shop.wait_followed();
    let (sent_then, stands) = (shop.sent.clone(), shop.everything());
    shop.store.close();
    let named = std::fs::read_to_string(after.join("tables.current")).expect("it names the copy");
    let (draft, new) = ("tables.current.new", after.join(named.trim()));
    assert_eq!(named, "tables-1\n", "they were copied once");
    let files: Vec<_> =
        std::fs::read_dir(&new).expect("a folder").flatten().filter(|it| it.path().is_file()).collect();
    let mut cuts = 0;
    let mut is_whole = |base: &Path, in_use: &str, sent: &[Entry], stands: &[Stored], cut: &dyn Fn(&Path)| {
        cuts += 1;
        let dir = root.path().join(format!("cut-{cuts}"));
        copy(base, &dir);
        cut(&dir);
        let mut again = Memory::open_with(&dir, u64::MAX);
        assert_eq!(
            (again.recovered.built_from, &again.recovered.tables_set_aside),
            (None, &None),
            "cut {cuts}"
        );
        again.sent = sent.to_vec();
        assert!(again.everything() == stands, "cut {cuts}");
        again.store.close();
        let names = std::fs::read_dir(&dir).expect("a folder").flatten();
        let names = names.filter_map(|entry| entry.file_name().into_string().ok());
        let tables: Vec<String> =
            names.filter(|name| name.starts_with("tables") && dir.join(name).is_dir()).collect();
        assert_eq!(tables, [in_use], "cut {cuts}: only what is in use stays");
        std::fs::remove_dir_all(&dir).expect("it is there");
    };
    // The copy is not named yet: begun, with each of its files cut, whole, and while the name is written.
    is_whole(&before, "tables", &sent, &stood, &|dir| {
        std::fs::create_dir(dir.join("tables-1")).expect("a folder")
    });
    for file in &files {
        is_whole(&before, "tables", &sent, &stood, &|dir| {
            copy(&new, &dir.join("tables-1"));
            let path = dir.join("tables-1").join(file.file_name());
            let bytes = std::fs::read(&path).expect("it was copied");
            std::fs::write(&path, &bytes[..bytes.len() / 2]).expect("it is cut");
        });
    }
    for written in 0..=named.len() {
        is_whole(&before, "tables", &sent, &stood, &|dir| {
            copy(&new, &dir.join("tables-1"));
            std::fs::write(dir.join(draft), &named[..written]).expect("it is written");
        });
    }
    // It is named: the former ones are still there, or half gone.
    let former = |dir: &Path| copy(&before.join("tables"), &dir.join("tables"));
    is_whole(&after, "tables-1", &sent_then, &stands, &former);
    is_whole(&after, "tables-1", &sent_then, &stands, &|dir| {
        former(dir);
        std::fs::remove_file(dir.join("tables/db")).expect("it was there");
    });
    is_whole(&after, "tables-1", &sent_then, &stands, &|dir| {
        std::fs::create_dir(dir.join("tables")).expect("a folder")
    });
}

#[test]
fn what_goes_from_the_journal_and_when() {
    let dir = tempfile::tempdir().expect("a directory for the test");
    let day_ms = 86_400_000;
    let mut shop = Memory::open_sized(dir.path(), small(), 4);
    let mut number = 0;
    let mut day = |shop: &mut Memory| {
        number += 1_000;
        shop.counter.now = shop.counter.now.plus_ms(day_ms);
        work(shop, number, 30);
        shop.wait_followed();
    };
    (0..10).for_each(|_| day(&mut shop));
    assert_eq!(shop.store.journal().first(), Seq(1), "head office has not spoken");
    let word = Seq(shop.store.next_seq().0 / 2);
    shop.store.keeper().durable_at_head_office(word);
    day(&mut shop);
    day(&mut shop);
    shop.wait_upkeep();
    let first = shop.store.journal().first();
    assert!(first > Seq(1), "segments went");
    assert!(first <= Seq(word.0 + 1), "what head office does not hold stays: {first:?} {word:?}");
    let all = Seq(shop.store.next_seq().0 - 1);
    shop.store.keeper().durable_at_head_office(all);
    day(&mut shop);
    day(&mut shop);
    shop.wait_upkeep();
    let first = shop.store.journal().first();
    let oldest = checkpoints(dir.path())[0].through;
    assert!(first <= Seq(oldest.0 + 1), "what no checkpoint covers stays");
    let four_days_ago = shop.sent.iter().rev().find(|entry| shop.counter.now.ms_since(entry.at) > 4 * day_ms);
    let past = four_days_ago.expect("ten days have passed").seq;
    assert!(first <= Seq(past.0 + 1), "what is not past its days stays: {first:?} {past:?}");
    // Requests are forgotten little by little, so that those of an older checkpoint may be more.
    let kept = |shop: &mut Memory| {
        let mut records = shop.everything();
        records.retain(|(key, _)| !matches!(key, Key::Request(..)));
        records
    };
    let (sent, before) = (shop.sent.clone(), kept(&mut shop));
    shop.store.close();
    // With the beginning of the journal gone, the tables still come back whole.
    std::fs::remove_dir_all(tables(dir.path())).expect("they are there");
    let mut again = Memory::open_sized(dir.path(), small(), 4);
    assert!(again.recovered.built_from.expect("anew") > Seq(0));
    again.sent = sent;
    assert!(kept(&mut again) == before);
    again.store.close();
}

#[test]
fn is_damage_of_a_running_journal_contained_and_told() {
    let dir = tempfile::tempdir().expect("a directory for the test");
    let mut shop = Memory::open(dir.path());
    for seq in 1..=30 {
        shop.decide("till-1", "commit", &commit(seq));
        shop.wait_followed();
    }
    let segment = dir.path().join("journal").join(format!("{:020}.journal", 1));
    let mut bytes = std::fs::read(&segment).expect("it is there");
    let at = bytes.iter().rposition(|byte| *byte != 0).expect("it is not empty") / 2;
    bytes[at] ^= 1;
    std::fs::write(&segment, bytes).expect("it is written");
    let lost: Vec<u64> =
        (1..=31).filter(|seq| shop.store.decision(Seq(*seq)).expect("no failure").is_none()).collect();
    assert!(!lost.is_empty(), "a byte that does not check is not served");
    shop.wait_upkeep();
    let missing = shop.store.keeper().missing();
    assert_eq!(missing.len(), 1);
    assert_eq!(lost, (missing[0].from.0..=missing[0].to.0).collect::<Vec<_>>(), "it is said exactly");
    shop.decide("till-1", "commit", &commit(99));
    let answer = shop.ask("till-1", "void", &json!({ "transaction": sale(1) }));
    assert!(matches!(answer, super::Done::Decided(_)));
    shop.wait_followed();
    let others: Vec<u64> = (1..=31).filter(|seq| !lost.contains(seq)).collect();
    for seq in others {
        assert!(shop.store.decision(Seq(seq)).expect("no failure").is_some(), "{seq}");
    }
    shop.store.close();
    let again = Memory::open(dir.path());
    assert_eq!(again.recovered.journal.quarantined.len(), 0, "it is met once");
    assert_eq!(again.store.keeper().missing(), missing, "and still told");
    again.store.close();
}

/// Bytes that a directory takes on its disk.
fn taken(dir: &Path) -> u64 {
    use std::os::unix::fs::MetadataExt as _;
    let entries = std::fs::read_dir(dir).expect("a directory").flatten();
    let size = |entry: std::fs::DirEntry| match entry.metadata().expect("it is there") {
        found if found.is_dir() => taken(&entry.path()),
        found => found.blocks() * 512,
    };
    entries.map(size).sum()
}

/// Times are figures only; the disk is asserted: `cargo test --release --test store how_long -- --ignored --nocapture`.
#[test]
#[ignore = "minutes; it prints figures"]
fn how_long_does_a_rebuild_of_thirty_days_take() {
    use std::io::Write as _;
    let dir = tempfile::tempdir().expect("a directory for the test");
    let mut shop = Memory::open(dir.path());
    for day in 0..30 {
        shop.counter.now = shop.counter.now.plus_ms(86_400_000);
        for sale in 0..2_000 {
            shop.decide("till-1", "commit", &commit(1 + day * 10_000 + sale));
            shop.sent.clear();
            while !shop.store.has_room() {
                shop.wait(|news| matches!(news, super::Progress::Followed(_)));
            }
        }
        shop.wait_followed();
    }
    shop.store.close();
    let bytes = taken(dir.path());
    let told =
        format!("a month without head office, 60,000 sales: {} MiB on disk, ballast included\n", bytes >> 20);
    std::io::stderr().write_all(told.as_bytes()).expect("it is told");
    assert!(bytes <= 2 << 30, "{bytes}");
    let took = |what: &str| {
        let watch = aisled::clock::Stopwatch::start(&aisled::clock::SystemClock);
        let shop = Memory::open_with(dir.path(), u64::MAX);
        let elapsed = watch.elapsed(&aisled::clock::SystemClock);
        let line = format!(
            "{what}: {} ms, from checkpoint {:?} and {} decisions\n",
            elapsed.as_millis(),
            shop.recovered.built_from,
            shop.recovered.applied
        );
        std::io::stderr().write_all(line.as_bytes()).expect("it is told");
        shop.store.close();
    };
    took("whole");
    std::fs::remove_dir_all(tables(dir.path())).expect("they are there");
    took("tables gone");
    std::fs::remove_dir_all(tables(dir.path())).expect("they are there");
    std::fs::remove_dir_all(dir.path().join("checkpoints")).expect("they are there");
    took("tables and checkpoints gone");
}
