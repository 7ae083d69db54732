//! What a file may hold that tells who somebody is, and which files below a directory hold it.

use std::path::Path;

use aisled::domain::member::TokenHash;

const ZSTD: [u8; 4] = [0x28, 0xb5, 0x2f, 0xfd];

/// A token's plain hash in each way that it may be written.
pub(crate) fn of_hash(hash: &TokenHash) -> [Vec<u8>; 4] {
    let hex: String = hash.0.iter().map(|byte| format!("{byte:02x}")).collect();
    [
        hash.0.to_vec(),
        rmp_serde::to_vec(hash).expect("plain data"),
        serde_json::to_vec(hash).expect("plain data"),
        hex.into_bytes(),
    ]
}

/// The files below `dir` that hold one of them, as they are or in what is packed in them.
pub(crate) fn found(dir: &Path, needles: &[Vec<u8>]) -> Vec<String> {
    let holds = |bytes: &[u8]| {
        needles.iter().any(|needle| bytes.windows(needle.len()).any(|window| window == needle.as_slice()))
    };
    let mut files = Vec::new();
    let mut folders = vec![dir.to_owned()];
    while let Some(folder) = folders.pop() {
        for entry in std::fs::read_dir(&folder).expect("it is there").flatten() {
            let path = entry.path();
            if path.is_dir() {
                folders.push(path);
                continue;
            }
            // The ballast is nothing but its size.
            let Some(bytes) = std::fs::read(&path).ok().filter(|_| !path.ends_with("ballast")) else {
                continue;
            };
            let frames = bytes.windows(4).enumerate().filter(|(_, window)| *window == ZSTD).map(|(at, _)| at);
            let unpacked = frames.filter_map(|at| {
                let mut whole = Vec::new();
                let mut reader = zstd::stream::read::Decoder::new(&bytes[at..]).ok()?.single_frame();
                // What looked like a frame and is none ends somewhere.
                drop(std::io::copy(&mut reader, &mut whole));
                Some(whole)
            });
            if holds(&bytes) || unpacked.into_iter().any(|whole| holds(&whole)) {
                let name = path.strip_prefix(dir).expect("it lies below");
                files.push(name.to_string_lossy().into_owned());
            }
        }
    }
    files.sort();
    files
}
