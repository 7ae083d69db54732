//! Is a backup the shop, all of it, and does it come back as another life and never over one that is there?

use std::path::{Path, PathBuf};

use aisled::domain::ids::{Epoch, Seq};
use aisled::storage::backup;

use super::{Memory, work};

const EVERY: u64 = 40;

fn files(dir: &Path) -> Vec<PathBuf> {
    let mut found = Vec::new();
    for entry in std::fs::read_dir(dir).expect("it is there").flatten() {
        match entry.path().is_dir() {
            true => found.extend(files(&entry.path())),
            false => found.push(entry.path()),
        }
    }
    found.sort();
    found
}

#[test]
fn does_a_shop_come_back_from_a_backup_taken_while_it_sold() {
    let dir = tempfile::tempdir().expect("a directory for the test");
    let (data, kept) = (dir.path().join("data"), dir.path().join("backup"));
    let mut shop = Memory::open_with(&data, EVERY);
    for round in 0..4 {
        work(&mut shop, 1 + round * 1_000, 20);
        shop.wait_followed();
    }
    let taken = backup::take(&data, &kept).expect("it is taken beside a running store");
    assert_eq!(taken.through, Seq(shop.store.next_seq().0 - 1));
    assert!(taken.checkpoint > Seq(0) && taken.missing.is_empty());
    let (sent, before) = (shop.sent.clone(), shop.everything());
    work(&mut shop, 9_000, 5);
    assert_eq!(backup::check(&kept).expect("it checks"), taken, "what is sold later does not touch it");
    let running = backup::restore(&kept, &data, None, None).expect_err("a daemon is at work there");
    assert_eq!(running.code(), "AIS-5006");
    shop.store.close();
    let over = backup::restore(&kept, &data, None, None).expect_err("there is data");
    assert_eq!(over.code(), "AIS-5019");

    let new = dir.path().join("new");
    let (_, epoch) = backup::restore(&kept, &new, None, None).expect("it is put back");
    assert_eq!(epoch, Epoch(2));
    let mut again = Memory::open_with(&new, EVERY);
    assert_eq!(again.store.identity().epoch, Epoch(2));
    assert_eq!(again.recovered.built_from, Some(taken.checkpoint));
    again.sent = sent.clone();
    assert!(again.everything() == before, "the records are the same");
    for entry in &sent {
        let read = again.store.decision(entry.seq).expect("it can be read").expect("it is there");
        assert_eq!(read.encode(), entry.encode());
    }
    work(&mut again, 9_000, 5);
    again.wait_followed();
    again.store.close();
    assert_eq!(backup::restore(&kept, &new, None, None).expect_err("there is data").code(), "AIS-5019");
    assert_eq!(backup::take(&data, &kept).expect_err("it is not empty").code(), "AIS-5019");
    let same = backup::restore(&kept, &dir.path().join("other"), Some(Epoch(1)), None);
    assert_eq!(same.expect_err("the same life twice").code(), "AIS-5018");
}

#[test]
fn is_a_changed_or_missing_file_of_a_backup_ever_put_back() {
    let dir = tempfile::tempdir().expect("a directory for the test");
    let (data, kept) = (dir.path().join("data"), dir.path().join("backup"));
    let mut shop = Memory::open_with(&data, EVERY);
    work(&mut shop, 1, 60);
    shop.wait_followed();
    shop.store.close();
    backup::take(&data, &kept).expect("it is taken");
    for file in files(&kept) {
        let whole = std::fs::read(&file).expect("it is there");
        for at in (0..whole.len()).step_by(1 + whole.len() / 6) {
            let mut bytes = whole.clone();
            bytes[at] ^= 4;
            std::fs::write(&file, bytes).expect("it is written");
            assert!(backup::check(&kept).is_err(), "{} byte {at}", file.display());
        }
        std::fs::remove_file(&file).expect("it is there");
        let place = dir.path().join("new");
        assert!(backup::restore(&kept, &place, None, None).is_err(), "{} is missing", file.display());
        assert!(!place.exists(), "nothing is written before all is read");
        std::fs::write(&file, whole).expect("it is written");
    }
    backup::check(&kept).expect("it is whole again");
}
