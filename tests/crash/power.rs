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

use crate::child::{Daemon, prepare};
use crate::ordeal;

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

    fn mount(&self) -> Result<(), String> {
        // Nothing is to become durable by waiting.
        run("mount", &["-t", "ext4", "-o", "loop,commit=300"], &[&self.image, &self.place])
    }

    fn cut(&self) -> Result<(), String> {
        run("perl", &["-e", SHUTDOWN], &[&self.place])
    }

    fn unmount(&self) -> Result<(), String> {
        run("umount", &[], &[&self.place])
    }
}

impl Drop for Loopback {
    fn drop(&mut self) {
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
