//! The two services as processes of their own: the daemon as `aisled run`, the echo as a hidden verb of this program.
//!
//! Both have the same shape: the embedded broker on a runtime with two workers, the service on a thread of its own with its
//! own link. The echo ends when its standard input is closed, so that none is left behind whatever becomes of the bench.

use std::io::{BufRead, BufReader, Read, Write};
use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::sync::mpsc::{Receiver, channel};
use std::time::Duration;

use anyhow::{Context, Result, anyhow, bail};
use tokio::sync::oneshot;

use super::shop;
use crate::cli::bundle::INBOX;
use crate::clock::{Stopwatch, SystemClock};
use crate::daemon::control::{self, Ask};
use crate::devices::broker::{BrokerConfig, EmbeddedBroker, engine_secret};
use crate::devices::echo::echo_service_with;
use crate::devices::link::LinkConfig;
use crate::devices::topic::Topics;
use crate::domain::ids::StoreId;

/// How long a child may take to do what it is asked, a large bundle included.
const PATIENCE: Duration = Duration::from_secs(300);
/// Between two looks at what a child is doing.
const LOOK_EVERY: Duration = Duration::from_millis(20);

/// The shop of the bench.
pub(super) fn store() -> StoreId {
    StoreId::new("bench").expect("a constant id is valid")
}

/// A child process; it is killed when this is dropped.
struct Process {
    child: Child,
    lines: Receiver<String>,
}

impl Drop for Process {
    fn drop(&mut self) {
        // It may have ended by itself; either way it is waited for.
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

impl Process {
    /// Starts it and hears both of its outputs.
    fn start(command: &mut Command) -> Result<Process> {
        command.stdout(Stdio::piped()).stderr(Stdio::piped());
        let mut child = command.spawn().context("failed to start this program again")?;
        let (tell, lines) = channel();
        let (out, err) = (child.stdout.take(), child.stderr.take());
        let sources: [Option<Box<dyn Read + Send>>; 2] =
            [out.map(|out| Box::new(out) as Box<_>), err.map(|err| Box::new(err) as Box<_>)];
        for source in sources.into_iter().flatten() {
            let tell = tell.clone();
            std::thread::Builder::new()
                .name("child".to_owned())
                .spawn(move || {
                    for line in BufReader::new(source).lines().map_while(std::io::Result::ok) {
                        // Nobody listens any more: the pipe is still drained, so that the child does not block.
                        let _ = tell.send(line);
                    }
                })
                .context("failed to start a thread")?;
        }
        Ok(Process { child, lines })
    }

    /// The first line that holds `wanted`; what came before it stands in the error if the child ends first.
    fn line(&self, wanted: &str) -> Result<String> {
        let mut seen = Vec::new();
        let watch = Stopwatch::start(&SystemClock);
        while watch.elapsed(&SystemClock) < PATIENCE {
            match self.lines.recv_timeout(PATIENCE) {
                Ok(line) if line.contains(wanted) => return Ok(line),
                Ok(line) => seen.push(line),
                Err(_) => break,
            }
        }
        bail!("failed to hear \"{wanted}\" from a child; it said: {}", seen.join(" | "))
    }

    /// Nanoseconds of processor time its threads have used so far; 0 where the system does not say.
    fn cpu_ns(&self) -> u64 {
        let Ok(tasks) = std::fs::read_dir(format!("/proc/{}/task", self.child.id())) else { return 0 };
        let stats = tasks.flatten().map(|task| std::fs::read_to_string(task.path().join("schedstat")));
        stats.flatten().filter_map(|stat| stat.split_whitespace().next()?.parse::<u64>().ok()).sum()
    }

    /// Waits a moment, hearing what the child says.
    fn moment(&self) {
        // A line or none: it is only the wait that matters.
        let _ = self.lines.recv_timeout(LOOK_EVERY);
    }
}

/// A running daemon.
pub(super) struct Daemon {
    process: Process,
    /// Where its broker listens.
    pub(super) addr: SocketAddr,
    /// Microseconds from the start of the process until it was ready.
    pub(super) ready_us: u64,
    data_dir: PathBuf,
}

impl Daemon {
    /// Where its web pages are.
    pub(super) fn console(&self) -> Result<SocketAddr> {
        let status =
            control::ask(&self.data_dir, &Ask::Status)?.context("failed to ask the daemon: it is gone")?;
        let addr = status["console"].as_str().and_then(|addr| addr.parse().ok());
        addr.context("failed to find the console: it does not listen")
    }

    /// Puts a packed bundle into a new data directory below `dir`, for [`Daemon::start`].
    pub(super) fn prepare(dir: &Path, packed: &[u8]) -> Result<()> {
        let inbox = dir.join("data").join(INBOX);
        std::fs::create_dir_all(&inbox).with_context(|| format!("failed to make {}", inbox.display()))?;
        std::fs::write(inbox.join("1.aisb"), packed).context("failed to write the bundle")?;
        let config = format!(
            "[store]\nid = \"{}\"\ndata_dir = '{}'\n[broker]\nlisten = \"127.0.0.1:0\"\n[bundle]\n\
             trusted_keys = [\"{}\"]\n[log]\nformat = \"journald\"\n[devices]\nrequests_per_second_max = 100000\n\
             [console]\nlisten = \"127.0.0.1:0\"\n",
            store(),
            dir.join("data").display(),
            shop::key().public()
        );
        std::fs::write(dir.join("aisled.toml"), config).context("failed to write the configuration")
    }

    /// Starts `aisled run` on a prepared directory and waits until it is ready.
    pub(super) fn start(dir: &Path) -> Result<Daemon> {
        let program = std::env::current_exe().context("failed to find this program")?;
        let mut command = Command::new(program);
        command.arg("--config").arg(dir.join("aisled.toml")).arg("run");
        command.stdin(Stdio::null());
        for name in ["AISLED_CONFIG", "AISLED_DATA_DIR", "AISLED_LOG", "NOTIFY_SOCKET"] {
            command.env_remove(name);
        }
        let watch = Stopwatch::start(&SystemClock);
        let process = Process::start(&mut command)?;
        let line = process.line("ready: devices may connect")?;
        let ready_us = watch.elapsed_us(&SystemClock);
        let addr = line
            .split_whitespace()
            .find_map(|word| word.strip_prefix("addr="))
            .and_then(|addr| addr.parse().ok())
            .ok_or_else(|| anyhow!("failed to read where the daemon listens: {line}"))?;
        Ok(Daemon { process, addr, ready_us, data_dir: dir.join("data") })
    }

    /// Waits until a bundle is active and the tables follow.
    pub(super) fn until_active(&self) -> Result<()> {
        let watch = Stopwatch::start(&SystemClock);
        while watch.elapsed(&SystemClock) < PATIENCE {
            if let Some(status) = control::ask(&self.data_dir, &Ask::Status)? {
                let number = |path: &str| status.pointer(path).and_then(serde_json::Value::as_u64);
                let follows = number("/journal/followed") >= number("/journal/durable");
                if status.pointer("/bundle/version").is_some()
                    && number("/journal/durable") > Some(0)
                    && follows
                {
                    return Ok(());
                }
            }
            self.process.moment();
        }
        bail!("failed to see the bundle become active")
    }

    /// A figure of `/proc/<pid>/status` in KiB, for example `VmRSS`; `None` where the system has none.
    pub(super) fn memory_kib(&self, name: &str) -> Option<u64> {
        let status = std::fs::read_to_string(format!("/proc/{}/status", self.process.child.id())).ok()?;
        let line = status.lines().find(|line| line.starts_with(name))?;
        line.split_whitespace().nth(1)?.parse().ok()
    }

    /// Nanoseconds of processor time it has used so far.
    pub(super) fn cpu_ns(&self) -> u64 {
        self.process.cpu_ns()
    }

    /// Stops it in order.
    pub(super) fn stop(mut self) -> Result<()> {
        let pid = i32::try_from(self.process.child.id()).ok().and_then(rustix::process::Pid::from_raw);
        let pid = pid.context("failed to name the daemon's process")?;
        rustix::process::kill_process(pid, rustix::process::Signal::TERM)
            .context("failed to stop the daemon")?;
        self.process.child.wait().context("failed to wait for the daemon")?;
        Ok(())
    }
}

/// A running echo service.
pub(super) struct Echo {
    process: Process,
    /// Where its broker listens.
    pub(super) addr: SocketAddr,
}

impl Echo {
    /// Starts it.
    pub(super) fn start() -> Result<Echo> {
        let program = std::env::current_exe().context("failed to find this program")?;
        let mut command = Command::new(program);
        command.args(["bench", "--serve-echo"]);
        command.stdin(Stdio::piped());
        let process = Process::start(&mut command)?;
        let line = process.line("echo ")?;
        let addr = line.strip_prefix("echo ").and_then(|addr| addr.parse().ok());
        Ok(Echo { addr: addr.ok_or_else(|| anyhow!("failed to read where the echo is: {line}"))?, process })
    }

    /// Nanoseconds of processor time it has used so far.
    pub(super) fn cpu_ns(&self) -> u64 {
        self.process.cpu_ns()
    }
}

/// The size of the answer that a request asks the echo for: the first four bytes of its correlation data; 0 is its own payload.
pub(super) fn wanted_bytes(correlation: Option<&[u8]>) -> usize {
    let bytes = correlation.and_then(|data| data.first_chunk::<4>());
    bytes.map_or(0, |bytes| u32::from_be_bytes(*bytes) as usize)
}

/// The hidden verb: broker and echo, until standard input ends. Says `echo ADDRESS` when it answers.
pub(super) fn serve_echo(out: &mut dyn Write) -> Result<()> {
    let around = tokio::runtime::Builder::new_multi_thread().worker_threads(2).enable_all().build();
    let around = around.context("failed to start the broker's runtime")?;
    let topics = Topics::new(&store());
    let secret = engine_secret().map_err(|error| anyhow!("failed to {error}"))?;
    let broker = BrokerConfig::open_on_loopback(topics.clone(), secret.clone());
    let broker =
        around.block_on(EmbeddedBroker::start(broker)).map_err(|error| anyhow!("failed to {error}"))?;
    let addr = broker.local_addr();
    let link = LinkConfig::embedded(addr, &topics, &secret, b"{}");
    let (ready, is_ready) = oneshot::channel();
    std::thread::Builder::new()
        .name("echo".to_owned())
        .spawn(move || {
            let own = tokio::runtime::Builder::new_current_thread().enable_all().build();
            let own = own.map_err(|error| error.to_string())?;
            let answer = |message: &mut crate::devices::link::Received| match wanted_bytes(
                message.correlation_data.as_deref(),
            ) {
                0 => std::mem::take(&mut message.payload),
                bytes => vec![b' '; bytes],
            };
            own.block_on(echo_service_with(link, &topics, ready, answer)).map_err(|error| error.to_string())
        })
        .context("failed to start the echo's thread")?;
    is_ready.blocking_recv().context("failed to start the echo")?;
    writeln!(out, "echo {addr}")?;
    out.flush()?;
    let mut rest = Vec::new();
    std::io::stdin().read_to_end(&mut rest).context("failed to wait for the end of the bench")?;
    drop(broker);
    around.shutdown_background();
    Ok(())
}
