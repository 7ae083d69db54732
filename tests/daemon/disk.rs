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

/// `None` if the daemon ended meanwhile.
async fn till(daemon: &Daemon, run: &str) -> Option<Till> {
    let till = Till::connect(daemon.addr, "till-1", Dialect::Five, Format::Json, run).await;
    let mut presence = till.presence.clone();
    let told = presence.wait_for(|document| document["bundle"]["version"] == 1);
    let is_told = soon("the bundle in force", told).await.is_ok();
    is_told.then_some(till)
}

fn set_aside(data: &Path) -> usize {
    let entries = std::fs::read_dir(data).expect("the data directory").flatten();
    entries.filter(|entry| entry.file_name().to_string_lossy().contains("damaged")).count()
}

/// A shop whose supervisor starts its daemon again whenever it ends.
struct Premises {
    config: PathBuf,
    daemon: Option<Daemon>,
    till: Till,
    starts: u32,
    acknowledged: Vec<u64>,
}

impl Premises {
    async fn open(config: PathBuf) -> Premises {
        let daemon = Daemon::start(&config).expect("it starts");
        let till = till(&daemon, "run-0").await.expect("it goes on");
        Premises { config, daemon: Some(daemon), till, starts: 1, acknowledged: Vec::new() }
    }

    /// Waits for the daemon's end by itself, and starts it again.
    async fn start_again(&mut self) -> String {
        let daemon = self.daemon.take().expect("it ran");
        let ended = tokio::task::spawn_blocking(move || daemon.ended()).await.expect("no panic");
        assert_eq!(ended.code, Some(1), "the supervisor is to start it again: {}", ended.said);
        let daemon = Daemon::start(&self.config).unwrap_or_else(|ended| panic!("{ended:?}"));
        self.starts += 1;
        match till(&daemon, &format!("run-{}", self.starts)).await {
            Some(till) => self.till = till,
            None => panic!("{:?} after {}", daemon.ended(), ended.said),
        }
        self.daemon = Some(daemon);
        ended.said
    }

    /// Sends a sale until it has an answer, whatever becomes of the daemon meanwhile. Returns the answer's status and code.
    async fn sell(&mut self, number: u64) -> (u64, serde_json::Value) {
        loop {
            let id = format!("sale-number-{number}");
            let payload = self.till.envelope(&id, &commit(number));
            match self.till.try_send("commit", &id, &payload).await {
                Some(reply) => {
                    if reply.status() == 200 {
                        self.acknowledged.push(number);
                    }
                    return (reply.status(), reply.0);
                }
                None => {
                    let said = self.start_again().await;
                    assert!(said.contains("AIS-5002"), "{said}");
                }
            }
        }
    }

    async fn wait_for_state(&mut self, state: &str) {
        loop {
            let mut presence = self.till.presence.clone();
            if soon(state, presence.wait_for(|document| document["state"] == state)).await.is_ok() {
                return;
            }
            self.start_again().await;
        }
    }

    async fn are_all_there(&mut self) {
        for number in self.acknowledged.clone() {
            let again = self.till.ask_as("commit", &format!("sale-number-{number}"), &commit(number)).await;
            assert!(again.replayed(), "sale {number}: {}", again.0);
        }
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn does_the_shop_sell_on_a_disk_that_fills_up() {
    let dir = tempfile::tempdir().expect("a directory for the test");
    let Some(disk) = Mount::new(dir.path(), 160) else { return };
    let data = disk.0.join("data");
    let mut shop = Premises::open(prepare(dir.path(), &data)).await;
    assert_eq!(shop.sell(0).await.0, 200);
    assert!(data.join("ballast").exists());
    shop.wait_for_state("ready").await;

    disk.fill();
    for number in 1..=40 {
        let (status, reply) = shop.sell(number).await;
        assert_eq!(status, 200, "{reply}");
    }
    shop.wait_for_state("degraded").await;
    assert!(!data.join("ballast").exists(), "the ballast is the journal's now");
    let (status, reply) = shop.sell(41).await;
    assert_eq!((status, &reply["degraded"]), (200, &json!(true)), "{reply}");
    let scarce = json!({
        "basket": { "lines": [line("1", CIGARETTES, 1)] }, "member": card("2001"), "coupons": ["ONCE-01"],
    });
    assert_eq!(shop.till.ask("quote", scarce.clone()).await.refusal(), (503, "AIS-5016"));
    let points = json!({
        "basket": { "lines": [line("1", CIGARETTES, 1)] }, "member": card("2001"), "points": { "spend": "max" },
    });
    assert_eq!(shop.till.ask("quote", points).await.refusal(), (503, "AIS-5016"));

    // What the ballast gave is taken by somebody else: now nothing can be written, and prices are still told.
    std::fs::rename(disk.0.join("filler"), disk.0.join("filler-1")).expect("it is there");
    disk.fill();
    let mut number = 42;
    let refused = loop {
        let (status, reply) = shop.sell(number).await;
        match status {
            200 => number += 1,
            _ => break reply,
        }
        assert!(number < 20_000, "the disk is not full");
    };
    assert_eq!((&refused["status"], &refused["code"]), (&json!(503), &json!("AIS-5002")), "{refused}");
    let asked = json!({ "basket": { "lines": [line("1", CIGARETTES, 1)] } });
    assert_eq!(shop.till.ask("quote", asked).await.data()["total"], 2_300);
    shop.are_all_there().await;

    disk.free();
    std::fs::remove_file(disk.0.join("filler-1")).expect("it is there");
    let said = shop.start_again().await;
    assert!(said.contains("has room again"), "{said}");
    // However many were refused, the log of one life names each thing once.
    let times = |code: &str| said.lines().filter(|line| line.contains(code)).count();
    assert!(times("AIS-5016") == 1 && times("AIS-5002") <= 1, "{said}");
    shop.wait_for_state("ready").await;
    assert!(data.join("ballast").exists());
    shop.are_all_there().await;
    assert_eq!(shop.sell(number).await.0, 200, "the one that was refused can be made now");
    assert_eq!(shop.till.ask("quote", scarce).await.data()["coupons"][0]["outcome"], "applied");
    assert!(set_aside(&data) <= 1, "the tables are made anew once at most");
    shop.daemon.take().expect("it runs").kill();
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn is_anything_lost_when_the_disk_is_read_only() {
    let dir = tempfile::tempdir().expect("a directory for the test");
    let Some(disk) = Mount::new(dir.path(), 160) else { return };
    let data = disk.0.join("data");
    let mut shop = Premises::open(prepare(dir.path(), &data)).await;
    assert_eq!(shop.sell(0).await.0, 200);
    shop.daemon.take().expect("it runs").kill();
    disk.remount("ro");
    let daemon = Daemon::start(&shop.config).unwrap_or_else(|ended| panic!("{ended:?}"));
    shop.till = till(&daemon, "read-only").await.expect("it goes on");
    shop.daemon = Some(daemon);
    shop.wait_for_state("degraded").await;
    let asked = json!({ "basket": { "lines": [line("1", CIGARETTES, 1)] }, "member": card("2001") });
    let priced = shop.till.ask("quote", asked).await;
    assert_eq!((&priced.data()["total"], &priced.0["degraded"]), (&json!(2_300), &json!(true)));
    assert_eq!(shop.till.ask("commit", commit(1)).await.refusal(), (503, "AIS-5003"));
    let second =
        Daemon::start(&shop.config).err().expect("the directory is taken, though it can only be read");
    assert!(second.said.contains("AIS-5006"), "{}", second.said);
    disk.remount("rw");
    let said = shop.start_again().await;
    assert!(said.contains("has room again"), "{said}");
    shop.wait_for_state("ready").await;
    shop.are_all_there().await;
    assert_eq!(shop.sell(1).await.0, 200);
    assert_eq!(set_aside(&data), 0);
    let daemon = shop.daemon.take().expect("it runs");
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
