//! `aisled run` as a process of its own, on a directory of the test and on any free port.

use std::io::{BufRead, BufReader, Read};
use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};

use crate::signed::{key, packed_with};

/// A process of the test: none outlives it.
struct Process(Child);

impl Drop for Process {
    fn drop(&mut self) {
        // Both fail only where it has ended and was waited for.
        drop(self.0.kill());
        drop(self.0.wait());
    }
}

/// A running daemon. It is killed when this is dropped.
pub(crate) struct Daemon {
    pub(crate) addr: SocketAddr,
    process: Process,
    log: std::thread::JoinHandle<String>,
}

/// How a daemon ended.
#[derive(Debug)]
pub(crate) struct Ended {
    /// Nothing if it was killed.
    pub(crate) code: Option<i32>,
    /// Everything it said on both outputs.
    pub(crate) said: String,
}

/// Writes the configuration of shop `s01` over `data`, with version 1 of the rules waiting in the inbox.
pub(crate) fn prepare(dir: &Path, data: &Path) -> PathBuf {
    let file = dir.join("aisled.toml");
    let text = format!(
        "[store]\nid = \"s01\"\ndata_dir = \"{}\"\n[broker]\nlisten = \"127.0.0.1:0\"\n\
         [bundle]\ntrusted_keys = [\"{}\"]\n[devices]\nrequests_per_second_max = 100000\n\
         [storage]\nfree_space_min_mb = 64\n",
        data.display(),
        key().public()
    );
    std::fs::write(&file, text).expect("the configuration is written");
    let inbox = data.join("bundles/inbox");
    std::fs::create_dir_all(&inbox).expect("a folder");
    std::fs::write(inbox.join("1.aisb"), packed_with(1, &key())).expect("the bundle is written");
    file
}

pub(crate) fn aisled() -> Command {
    let mut command = Command::new(env!("CARGO_BIN_EXE_aisled"));
    for variable in
        ["AISLED_CONFIG", "AISLED_DATA_DIR", "AISLED_LOG", "CREDENTIALS_DIRECTORY", "NOTIFY_SOCKET"]
    {
        command.env_remove(variable);
    }
    command.stdin(Stdio::null());
    command
}

impl Daemon {
    /// Starts a daemon and waits until it is ready, or tells how it ended before.
    pub(crate) fn start(config: &Path) -> Result<Daemon, Ended> {
        let mut command = aisled();
        command.args(["run", "--config"]).arg(config).stdout(Stdio::piped()).stderr(Stdio::piped());
        let mut process = Process(command.spawn().expect("the program starts"));
        let mut log = BufReader::new(process.0.stderr.take().expect("it is piped"));
        let mut said = String::new();
        loop {
            let mut line = String::new();
            if log.read_line(&mut line).expect("the log is text") == 0 {
                process.0.stdout.take().expect("it is piped").read_to_string(&mut said).expect("text");
                let code = process.0.wait().expect("it has ended").code();
                return Err(Ended { code, said });
            }
            said.push_str(&line);
            let addr = line.split_once(" addr=").and_then(|(_, rest)| rest.split_whitespace().next());
            if let Some(addr) = addr.filter(|_| line.contains("ready")) {
                let addr = addr.parse().unwrap_or_else(|error| panic!("{line}: {error}"));
                let log = std::thread::spawn(move || {
                    let mut rest = said;
                    drop(log.read_to_string(&mut rest));
                    rest
                });
                return Ok(Daemon { addr, process, log });
            }
        }
    }

    /// SIGKILL, without a word before.
    pub(crate) fn kill(mut self) {
        self.process.0.kill().expect("it can be killed");
        self.process.0.wait().expect("it has ended");
        self.log.join().expect("the log is read");
    }

    /// SIGTERM: an ordered stop.
    pub(crate) fn stop(self) -> Ended {
        let pid = rustix::process::Pid::from_child(&self.process.0);
        rustix::process::kill_process(pid, rustix::process::Signal::TERM).expect("it runs");
        self.ended()
    }

    /// Waits until it ends by itself.
    pub(crate) fn ended(mut self) -> Ended {
        let code = self.process.0.wait().expect("it has ended").code();
        Ended { code, said: self.log.join().expect("the log is read") }
    }
}
