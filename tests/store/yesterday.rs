//! Is yesterday's data today's? A data directory as the version before wrote it (`tests/data/format-1.bin`, packed) is opened,
//! and what is of a later version is refused and left as it is.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

use aisled::domain::ids::Seq;
use aisled::limits;
use aisled::storage::store::Sizes;
use sha2::{Digest, Sha256};

use super::{Memory, work};

/// Files by their names below the data directory.
type Files = BTreeMap<String, Vec<u8>>;

const PACKED: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/tests/data/format-1.bin");
/// Of its decisions and of the records they made: it never changes.
const CONTENT: &str = "7fa9161bbbc2efd1857d57566a914ade8b0dd0c05d283d13390128c4fbaf13e5";

fn files(dir: &Path) -> Files {
    let mut found = Files::new();
    let mut folders = vec![dir.to_owned()];
    while let Some(folder) = folders.pop() {
        for entry in std::fs::read_dir(&folder).expect("it is there").flatten() {
            let path = entry.path();
            if path.is_dir() {
                folders.push(path);
            } else {
                let name = path.strip_prefix(dir).expect("it lies below").to_string_lossy().into_owned();
                found.insert(name, std::fs::read(&path).expect("it is there"));
            }
        }
    }
    found
}

pub(super) fn unpack(to: &Path) {
    let packed = std::fs::read(PACKED).expect("it is committed");
    let bytes = zstd::decode_all(packed.as_slice()).expect("it unpacks");
    let files: Files = rmp_serde::from_slice(&bytes).expect("it is a list of files");
    for (name, bytes) in files {
        let path: PathBuf = to.join(name);
        std::fs::create_dir_all(path.parent().expect("it has one")).expect("a folder");
        std::fs::write(path, bytes).expect("it is written");
    }
}

fn content(shop: &mut Memory, decisions: u64) -> String {
    let mut hash = Sha256::new();
    shop.sent.clear();
    for seq in 1..=decisions {
        let entry = shop.store.decision(Seq(seq)).expect("it can be read").expect("it is there");
        hash.update(entry.encode());
        shop.sent.push(entry);
    }
    hash.update(rmp_serde::to_vec(&shop.everything()).expect("plain data"));
    hash.finalize().iter().map(|byte| format!("{byte:02x}")).collect()
}

#[test]
#[ignore = "writes the file that the other tests read: once for each format"]
fn write_it() {
    let dir = tempfile::tempdir().expect("a directory for the test");
    let mut shop = Memory::open_sized(dir.path(), Sizes { ballast_bytes: 0, ..Sizes::default() }, 35);
    work(&mut shop, 1, 14);
    shop.wait_followed();
    shop.store.close();
    let mut files = files(dir.path());
    // The version before had no such file.
    files.retain(|name, _| name != "format" && name != "lock");
    let bytes = rmp_serde::to_vec(&files).expect("plain data");
    std::fs::write(PACKED, zstd::encode_all(bytes.as_slice(), 19).expect("it packs")).expect("it is written");
}

#[test]
fn is_a_directory_of_the_version_before_opened_as_it_stands_and_built_anew() {
    let dir = tempfile::tempdir().expect("a directory for the test");
    unpack(dir.path());
    for tables in ["as they stand", "built anew"] {
        if tables == "built anew" {
            std::fs::remove_dir_all(dir.path().join("tables")).expect("they are there");
        }
        let mut shop = Memory::open(dir.path());
        let expected = if tables == "built anew" { 23 } else { 0 };
        assert_eq!((shop.recovered.applied, &shop.recovered.tables_set_aside), (expected, &None), "{tables}");
        assert_eq!(content(&mut shop, 21), CONTENT, "{tables}");
        shop.store.close();
    }
    let format = std::fs::read_to_string(dir.path().join("format")).expect("it says its format now");
    assert_eq!(format, "aisled 3\n");
    let mut shop = Memory::open(dir.path());
    work(&mut shop, 1_000, 5);
    shop.wait_followed();
    shop.store.close();
}

#[test]
fn is_a_directory_of_a_later_version_refused_and_left_as_it_is() {
    let later = |file: &str, change: &dyn Fn(&mut Vec<u8>)| {
        let dir = tempfile::tempdir().expect("a directory for the test");
        let mut shop = Memory::open_with(dir.path(), 20);
        work(&mut shop, 1, 30);
        shop.wait_followed();
        shop.store.close();
        let mut before = files(dir.path());
        let name = before.keys().find(|name| name.contains(file)).expect("it is there").clone();
        let bytes = before.get_mut(&name).expect("it is there");
        change(bytes);
        std::fs::write(dir.path().join(&name), bytes).expect("it is written");
        let refused = Memory::try_open(dir.path(), Sizes::default(), limits::REPLAY_DAYS_MIN);
        assert_eq!(refused.err().expect("it is of a later version").code(), "AIS-5005", "{name}");
        let mut after = files(dir.path());
        for files in [&mut before, &mut after] {
            files.remove("lock");
        }
        assert!(before == after, "{name}: something was touched");
    };
    later("format", &|bytes| *bytes = b"aisled 4\n".to_vec());
    later(".checkpoint", &|bytes| {
        bytes[11] += 1;
        let sum = crc32c::crc32c(&bytes[..28]);
        bytes[28..32].copy_from_slice(&sum.to_be_bytes());
    });
    later(".journal", &|bytes| {
        bytes[8] += 1;
        let sum = crc32c::crc32c(&bytes[..60]);
        bytes[60..64].copy_from_slice(&sum.to_le_bytes());
    });
}
