//! The control socket: how the verbs of the shell reach a running daemon.
//!
//! `<data>/control.sock`, for the daemon's own user only. One JSON line in, one JSON line out, then the connection ends:
//! `{"ask":"status"}` · `{"ask":"decision","seq":N}` · `{"ask":"segments","question":{"of":"count"}}` · `{"ask":"enroll","device":"till-7"}` ·
//! `{"ask":"forget","member":"m-1"}` · `{"ask":"request","op":"quote","payload":{...}}`. A request goes
//! through the same door as a device's, as device `shell`.

use std::path::{Path, PathBuf};
use std::time::Duration;

use anyhow::{Context, Result, bail};
use serde::{Deserialize, Serialize};
use tokio::io::{AsyncBufReadExt, AsyncReadExt, AsyncWriteExt, BufReader};
use tokio::net::{UnixListener, UnixStream};
use tokio::sync::{mpsc, oneshot};

use crate::domain::basket::TransactionKey;
use crate::domain::ids::{DeviceId, MemberId, Seq};
use crate::limits;

use super::Command;
use super::census::Question;

/// Name of the socket in the data directory.
pub const SOCKET: &str = "control.sock";

/// What may be asked.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(tag = "ask", rename_all = "snake_case", deny_unknown_fields)]
pub enum Ask {
    /// How is the daemon?
    Status,
    /// A decision as it stands in the journal.
    Decision {
        /// Its place.
        seq: Seq,
    },
    /// Who is in which segment; counted over all members, which takes its time.
    Segments {
        /// What about them.
        question: Question,
    },
    /// A code with which a device may fetch its identity.
    Enroll {
        /// The device.
        device: DeviceId,
        /// What it is for; as before if it is known, else a till.
        role: Option<String>,
    },
    /// What the tables hold of a member; looked for in all of them, which takes its time.
    Member {
        /// Who.
        member: MemberId,
    },
    /// Forget a member. Answered once it is done, which takes its time.
    Forget {
        /// Who.
        member: MemberId,
    },
    /// What the tables hold of a sale or return.
    Sale {
        /// Its name.
        transaction: TransactionKey,
    },
    /// A sale, return or void of a device, told by a file: through the same door as the device's own.
    Import {
        /// The device.
        device: DeviceId,
        /// `commit`, `return` or `void`.
        op: String,
        /// Its document.
        payload: serde_json::Value,
    },
    /// What a device is seen to do, from `after` on; it is watched from the first question on.
    Watch {
        /// Which.
        device: DeviceId,
        /// The number of the first sighting to tell.
        after: u64,
    },
    /// A device's request.
    Request {
        /// Its operation.
        op: String,
        /// Its document.
        payload: serde_json::Value,
    },
}

/// Listens until the daemon's loop is gone. The socket is readable by this user only.
pub async fn serve(path: PathBuf, commands: mpsc::Sender<Command>) -> Result<()> {
    if path.exists() {
        std::fs::remove_file(&path).with_context(|| format!("failed to clear {}", path.display()))?;
    }
    let listener =
        UnixListener::bind(&path).with_context(|| format!("failed to listen on {}", path.display()))?;
    std::fs::set_permissions(&path, std::os::unix::fs::PermissionsExt::from_mode(0o600))
        .with_context(|| format!("failed to close {} to others", path.display()))?;
    while !commands.is_closed() {
        let (stream, _) = listener.accept().await.context("failed to accept on the control socket")?;
        let commands = commands.clone();
        tokio::spawn(async move {
            let patience = Duration::from_millis(limits::SEGMENTS_MS_MAX);
            match tokio::time::timeout(patience, answer(stream, commands)).await {
                Ok(Ok(())) => {}
                Ok(Err(error)) => tracing::debug!(error = format!("{error:#}"), "a shell's question failed"),
                Err(_) => tracing::debug!("a shell asked nothing in time"),
            }
        });
    }
    Ok(())
}

async fn answer(stream: UnixStream, commands: mpsc::Sender<Command>) -> Result<()> {
    let (read, mut write) = stream.into_split();
    let mut line = Vec::new();
    let bound = limits::CONTROL_LINE_BYTES_MAX as u64;
    BufReader::new(read.take(bound))
        .read_until(b'\n', &mut line)
        .await
        .context("failed to read the question")?;
    let ask: Ask = serde_json::from_slice(&line).context("failed to read the question")?;
    let (answer, answered) = oneshot::channel();
    commands.send(Command::Ask(ask, answer)).await.context("failed to reach the daemon's loop")?;
    let mut bytes = answered.await.context("failed to get an answer")?;
    bytes.push(b'\n');
    write.write_all(&bytes).await.context("failed to write the answer")
}

/// Asks a running daemon; `None` if none is running on this data directory.
pub fn ask(data_dir: &Path, ask: &Ask) -> Result<Option<serde_json::Value>> {
    use std::io::{BufRead, Read, Write};
    let path = data_dir.join(SOCKET);
    let Ok(mut stream) = std::os::unix::net::UnixStream::connect(&path) else { return Ok(None) };
    let patience = match ask {
        Ask::Segments { .. } | Ask::Member { .. } | Ask::Forget { .. } => limits::SEGMENTS_MS_MAX,
        Ask::Status | Ask::Decision { .. } | Ask::Enroll { .. } | Ask::Sale { .. } => limits::STOP_MS_MAX,
        Ask::Request { .. } | Ask::Import { .. } | Ask::Watch { .. } => limits::STOP_MS_MAX,
    };
    let patience = Some(Duration::from_millis(patience));
    stream.set_read_timeout(patience).context("failed to set a deadline")?;
    let mut line = serde_json::to_vec(ask).context("failed to write the question")?;
    line.push(b'\n');
    stream.write_all(&line).context("failed to ask the daemon")?;
    let mut answer = Vec::new();
    let bound = limits::ENTRY_BYTES_MAX as u64;
    std::io::BufReader::new(stream.take(bound))
        .read_until(b'\n', &mut answer)
        .context("failed to hear the daemon")?;
    if answer.is_empty() {
        bail!("failed to hear the daemon: it closed the connection without an answer");
    }
    serde_json::from_slice(&answer).map(Some).context("failed to read the daemon's answer")
}
