//! Is anything lost when the power goes in the middle of the daemon's work?
//!
//! The data lie on an ext4 of their own, in a file on a loop device. EXT4_IOC_SHUTDOWN without a log flush takes the disk away
//! at any moment: what was not synced is gone, as with the power. The daemon must stop by itself, then the disk is unmounted,
//! mounted, checked and opened. The device itself keeps what it was given: a disk that lies about a sync is not in here.
//! `AISLED_POWER_CUTS` (default 3): how often. Where this user may not mount, it says so, and what remains are the emulated
//! cuts at every operation, in `--test journal` and `--test store`.

use std::io::Write as _;
use std::path::{Path, PathBuf};
use std::process::Command;

use aisled::devices::wire::Format;
use aisled::limits;
use serde_json::json;

use crate::child::{Daemon, prepare};
use crate::ordeal;
use crate::till::{Dialect, Reply, Till, soon};

/// Sparse: as much of it is taken as was ever written.
const IMAGE_BYTES: u64 = 2 * 1024 * 1024 * 1024;
/// Takes the file system away that holds the open directory; 2 is EXT4_GOING_FLAGS_NOLOGFLUSH. In a language every Linux box
/// has, so that no unsafe code is here.
const SHUTDOWN: &str = r#"open(my $disk, "<", $ARGV[0]) or die "$!";
my $how = pack("I", 2); ioctl($disk, 0x8004587d, $how) or die "$!";"#;

/// A disk of its own in a file. Nothing of it stays mounted.
struct Loopback {
    image: PathBuf,
    place: PathBuf,
}

fn run(program: &str, arguments: &[&str], path: &[&Path]) -> Result<(), String> {
    match Command::new(program).args(arguments).args(path).output() {
        Ok(output) if output.status.success() => Ok(()),
        Ok(output) => Err(format!("{program}: {}", String::from_utf8_lossy(&output.stderr).trim())),
        Err(error) => Err(format!("{program}: {error}")),
    }
}

impl Loopback {
    fn new(dir: &Path) -> Result<Loopback, String> {
        let (image, place) = (dir.join("disk.img"), dir.join("disk"));
        std::fs::create_dir(&place).expect("a directory");
        let file = std::fs::File::create(&image).expect("a file");
        file.set_len(IMAGE_BYTES).expect("a sparse file");
        run(
            "mkfs.ext4",
            &["-q", "-F", "-N", "4096", "-E", "lazy_itable_init=0,lazy_journal_init=0"],
            &[&image],
        )?;
        let disk = Loopback { image, place };
        disk.mount()?;
        // Is the disk one that can be taken away?
        disk.cut()?;
        disk.unmount()?;
        disk.mount()?;
        Ok(disk)
    }

    /// Nothing, loudly, where this user may not mount.
    fn if_allowed(dir: &Path) -> Option<Loopback> {
        Loopback::new(dir)
            .inspect_err(|why| {
                let mut told = std::io::stderr();
                drop(writeln!(told, "A REAL DISK IS SKIPPED, root with loop devices is needed: {why}"));
                drop(writeln!(told, "emulated cuts at every operation: --test journal, --test store"));
            })
            .ok()
    }

    fn mount(&self) -> Result<(), String> {
        // Nothing is to become durable by waiting.
        run("mount", &["-t", "ext4", "-o", "loop,commit=300"], &[&self.image, &self.place])
    }

    fn cut(&self) -> Result<(), String> {
        run("perl", &["-e", SHUTDOWN], &[&self.place])
    }

    /// Nothing is written until it thaws: a disk that has come to a stand.
    fn freeze(&self, how: &str) {
        run("fsfreeze", &[how], &[&self.place]).expect("it may be frozen");
    }

    fn unmount(&self) -> Result<(), String> {
        run("umount", &[], &[&self.place])
    }
}

impl Drop for Loopback {
    fn drop(&mut self) {
        // Fails unless a test failed on a frozen disk.
        drop(run("fsfreeze", &["-u"], &[&self.place]));
        drop(run("umount", &["-l"], &[&self.place]));
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn is_every_acknowledged_sale_there_once_however_often_the_power_goes() {
    let cuts = ordeal::times("AISLED_POWER_CUTS", 3);
    let dir = tempfile::tempdir().expect("a directory for the test");
    let disk = match Loopback::new(dir.path()) {
        Ok(disk) => disk,
        Err(why) => {
            let mut told = std::io::stderr();
            drop(writeln!(
                told,
                "POWER CUTS ON A REAL DISK SKIPPED, root with loop devices is needed: {why}"
            ));
            drop(writeln!(told, "emulated ones at every operation: --test journal, --test store"));
            return;
        }
    };
    let data = disk.place.join("data");
    let config = prepare(dir.path(), &data);
    let cut = |_: &mut Option<Daemon>| disk.cut().expect("the power goes");
    let mend = |daemon: Option<Daemon>| {
        let ended = daemon.expect("it ran").ended();
        assert_eq!(ended.code, Some(1), "a daemon without its disk stops by itself: {}", ended.said);
        disk.unmount().expect("nothing holds the disk");
        disk.mount().expect("the disk comes back");
    };
    let figures = ordeal::endure((&config, &data), cuts, cut, mend).await;
    drop(writeln!(std::io::stderr(), "power cuts: {figures}"));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn are_requests_refused_in_bounds_while_the_disk_stands_still_and_taken_when_it_goes_on() {
    const TILLS: usize = 8;
    /// More in all than may wait for the disk.
    const EACH: usize = 200;
    const _: () = assert!(TILLS * EACH > limits::COMMIT_QUEUE_MAX + limits::GROUP_DECISIONS_MAX);
    let dir = tempfile::tempdir().expect("a directory for the test");
    let Some(disk) = Loopback::if_allowed(dir.path()) else { return };
    let daemon = Daemon::start(&prepare(dir.path(), &disk.place.join("data"))).expect("it starts");
    let mut tills = Vec::new();
    for number in 0..TILLS {
        let mut till =
            Till::connect(daemon.addr, &format!("till-{number}"), Dialect::Five, Format::Json, "r").await;
        till.ask("event", json!({ "kind": "door" })).await.data();
        tills.push(till);
    }
    disk.freeze("-f");
    for till in &mut tills {
        for _ in 0..EACH {
            let id = till.new_id();
            till.send("event", till.envelope(&id, &json!({ "kind": "door" })));
        }
    }
    // Whoever has no room hears it at once, while the disk stands; whatever was taken waits.
    let (mut refused, mut done) = (0, 0);
    let (told, mut answers) = tokio::sync::mpsc::unbounded_channel();
    for mut till in tills {
        let told = told.clone();
        tokio::spawn(async move {
            while let Some(heard) = till.hear().await {
                // Nobody counts any more at the end of the test.
                let _ = told.send(Reply::read(&heard.payload));
            }
        });
    }
    let all = TILLS * EACH;
    while refused == 0 || refused + limits::COMMIT_QUEUE_MAX < all {
        let answer = soon("a refusal", answers.recv()).await.expect("tills hear");
        assert_eq!(answer.status(), 503, "nothing is acknowledged that is not on the disk: {}", answer.0);
        refused += 1;
    }
    disk.freeze("-u");
    while done + refused < all {
        let answer = soon("an answer", answers.recv()).await.expect("tills hear");
        match answer.status() {
            200 => done += 1,
            503 => refused += 1,
            other => panic!("{other}: {}", answer.0),
        }
    }
    assert!(done <= limits::COMMIT_QUEUE_MAX + limits::GROUP_DECISIONS_MAX, "{done} waited");
    assert!(done >= limits::COMMIT_QUEUE_MAX / 2, "{done} waited");
    let mut after = Till::connect(daemon.addr, "till-9", Dialect::Five, Format::Json, "r").await;
    after.ask("event", json!({ "kind": "door" })).await.data();
    drop(writeln!(std::io::stderr(), "slow disk: {done} waited for it, {refused} were told to come again"));
    assert_eq!(daemon.stop().code, Some(0));
}
