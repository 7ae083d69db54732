//! When the box itself is wrong: a full or read-only disk, a second daemon, a configuration with errors.

use std::io::Write;
use std::path::{Path, PathBuf};
use std::process::Command;

use aisled::devices::wire::Format;
use serde_json::json;

use crate::child::{Daemon, aisled, prepare};
use crate::shop::{Shop, card, cash, line, sale};
use crate::till::{Dialect, Till, soon};

const CIGARETTES: &str = "6901234000109";

/// A file system in memory, of a size, on a directory of the test.
struct Mount(PathBuf);

impl Mount {
    /// Nothing, with the reason printed, where this user may not mount.
    fn new(dir: &Path, megabytes: u32) -> Option<Mount> {
        let place = dir.join("disk");
        std::fs::create_dir(&place).expect("a directory");
        let mounted = Command::new("mount")
            .args(["-t", "tmpfs", "-o", &format!("size={megabytes}m"), "tmpfs"])
            .arg(&place)
            .output();
        let why = match mounted {
            Ok(output) if output.status.success() => return Some(Mount(place)),
            Ok(output) => String::from_utf8_lossy(&output.stderr).trim().to_owned(),
            Err(error) => error.to_string(),
        };
        drop(writeln!(std::io::stderr(), "skipped: a small disk needs the right to mount one: {why}"));
        None
    }

    fn remount(&self, how: &str) {
        let done = Command::new("mount").args(["-o", &format!("remount,{how}")]).arg(&self.0).status();
        assert!(done.expect("mount runs").success());
    }

    /// Takes every free byte.
    fn fill(&self) {
        let mut file = std::fs::File::create(self.0.join("filler")).expect("there is room for a file");
        let mut block = vec![1; 64 * 1024];
        while !block.is_empty() {
            match file.write(&block) {
                Ok(written) if written > 0 => {}
                Ok(_) | Err(_) => block.truncate(block.len() / 2),
            }
        }
    }

    /// Gives so many bytes back.
    fn leave(&self, bytes: u64) {
        let file = std::fs::File::options().write(true).open(self.0.join("filler")).expect("it is there");
        let length = file.metadata().expect("it has a length").len();
        file.set_len(length - bytes).expect("it gets shorter");
    }

    fn free(&self) {
        std::fs::remove_file(self.0.join("filler")).expect("it is there");
    }
}

impl Drop for Mount {
    fn drop(&mut self) {
        drop(Command::new("umount").arg("-l").arg(&self.0).status());
    }
}

fn commit(seq: u64) -> serde_json::Value {
    json!({
        "transaction": sale(seq),
        "basket": { "lines": [line("1", CIGARETTES, 1)] },
        "member": card("2001"),
        "tenders": cash(2_300),
    })
}

async fn till(daemon: &Daemon, run: &str) -> Till {
    let till = Till::connect(daemon.addr, "till-1", Dialect::Five, Format::Json, run).await;
    let mut presence = till.presence.clone();
    let told = presence.wait_for(|document| document["bundle"]["version"] == 1);
    drop(soon("the bundle in force", told).await.expect("it is told"));
    till
}

fn set_aside(data: &Path) -> usize {
    let entries = std::fs::read_dir(data).expect("the data directory").flatten();
    entries.filter(|entry| entry.file_name().to_string_lossy().contains("damaged")).count()
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn is_anything_lost_when_the_disk_is_full() {
    let dir = tempfile::tempdir().expect("a directory for the test");
    let Some(disk) = Mount::new(dir.path(), 48) else { return };
    let data = disk.0.join("data");
    let config = prepare(dir.path(), &data);
    let daemon = Daemon::start(&config).expect("it starts");
    let mut first = till(&daemon, "first").await;
    first.ask_as("commit", "sale-number-0", &commit(0)).await.data();
    disk.fill();
    let mut acknowledged = 1;
    loop {
        let payload = first.envelope(&format!("sale-number-{acknowledged}"), &commit(acknowledged));
        match first.try_send("commit", &format!("sale-number-{acknowledged}"), &payload).await {
            Some(reply) => assert_eq!(reply.status(), 200, "{}", reply.0),
            None => break,
        }
        acknowledged += 1;
        assert!(acknowledged < 20_000, "the disk is not full");
    }
    let ended = tokio::task::spawn_blocking(move || daemon.ended()).await.expect("no panic");
    assert_eq!(ended.code, Some(1), "the supervisor is to start it again: {}", ended.said);
    assert!(ended.said.contains("AIS-5002"), "{}", ended.said);

    for more in [0, 4 * 1024, 60 * 1024, 300 * 1024] {
        disk.leave(more);
        let refused = Daemon::start(&config).err().expect("there is no room to start");
        assert_eq!(refused.code, Some(2), "{}", refused.said);
        assert!(refused.said.contains("AIS-5002"), "{}", refused.said);
    }
    disk.free();
    let daemon = Daemon::start(&config).expect("there is room again");
    let mut second = till(&daemon, "second").await;
    for number in 0..acknowledged {
        let again = second.ask_as("commit", &format!("sale-number-{number}"), &commit(number)).await;
        assert!(again.replayed(), "sale {number} of {acknowledged}: {}", again.0);
    }
    let open = second.ask_as("commit", &format!("sale-number-{acknowledged}"), &commit(acknowledged)).await;
    assert_eq!(open.status(), 200, "the one without an answer can be made now: {}", open.0);
    // sled may have been cut off in the middle of a write: then its tables are made anew, but once and not at each start.
    assert!(set_aside(&data) <= 1);
    daemon.kill();
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn is_anything_lost_when_the_disk_is_read_only() {
    let dir = tempfile::tempdir().expect("a directory for the test");
    let Some(disk) = Mount::new(dir.path(), 48) else { return };
    let data = disk.0.join("data");
    let config = prepare(dir.path(), &data);
    let daemon = Daemon::start(&config).expect("it starts");
    let mut first = till(&daemon, "first").await;
    first.ask_as("commit", "sale-number-0", &commit(0)).await.data();
    daemon.kill();
    disk.remount("ro");
    let refused = Daemon::start(&config).err().expect("nothing can be written");
    assert_eq!(refused.code, Some(2), "{}", refused.said);
    assert!(refused.said.contains("AIS-5003"), "{}", refused.said);
    disk.remount("rw");
    let daemon = Daemon::start(&config).expect("it can be written again");
    let mut second = till(&daemon, "second").await;
    assert!(second.ask_as("commit", "sale-number-0", &commit(0)).await.replayed());
    assert_eq!(set_aside(&data), 0);
    let stopped = tokio::task::spawn_blocking(move || daemon.stop()).await.expect("no panic");
    assert_eq!(stopped.code, Some(0), "{}", stopped.said);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn does_a_second_daemon_on_the_same_directory_start() {
    let shop = Shop::open().await;
    let mut till = shop.till("till-1").await;
    let dir = tempfile::tempdir().expect("a directory for the test");
    let config = prepare(dir.path(), shop.data());
    let refused = Daemon::start(&config).err().expect("the directory is taken");
    assert_eq!(refused.code, Some(2), "{}", refused.said);
    assert!(refused.said.contains("AIS-5006"), "{}", refused.said);
    assert!(refused.said.contains(&std::process::id().to_string()), "it names the holder: {}", refused.said);
    assert_eq!(till.ask("commit", commit(1)).await.data()["total"], 2_300, "the first goes on");
    assert_eq!(shop.status()["pid"], std::process::id(), "and its control socket is its own");
}

#[test]
fn are_all_errors_of_a_configuration_told_at_once() {
    let dir = tempfile::tempdir().expect("a directory for the test");
    let file = dir.path().join("aisled.toml");
    let text = "[store]\nid = \"Shop 1\"\ndta_dir = \"/data\"\n[broker]\nmode = \"embeded\"\n\
                [storage]\njournal_retention_days = 7\n[log]\nlevel = 3\n";
    std::fs::write(&file, text).expect("it is written");
    let validate = aisled().args(["config", "validate"]).arg(&file).output().expect("it runs");
    let run = aisled().args(["run", "--config"]).arg(&file).output().expect("it runs");
    for (name, output) in [("validate", validate), ("run", run)] {
        let said = String::from_utf8_lossy(&[output.stdout, output.stderr].concat()).into_owned();
        assert!(output.status.code().is_some_and(|code| code > 0), "{name}: {said}");
        for place in ["2:6: AIS-4005", "3:1: AIS-4003", "5:8: AIS-4005", "7:26: AIS-4005", "9:9: AIS-4004"] {
            assert!(said.contains(place), "{name} does not tell {place}:\n{said}");
        }
    }
}
