//! The certificate that the console is served with: read when it opens, and anew when its files change.
//!
//! Invariants: files that cannot be read, or do not belong together, change nothing: what was served is served on, and the log
//! says so once for each state of the files; who is connected stays connected, the next connection meets the new one.

use std::os::unix::fs::MetadataExt as _;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use tokio_rustls::TlsAcceptor;

use super::server::ConsoleError;
use crate::clock::Clock;
use crate::config::private;
use crate::domain::code::Code;
use crate::gate::tls::{self, Own, Served};
use crate::limits;

/// What is to be known of both files to see that they are others.
type Stamp = [Option<(u64, i64, i64, u64)>; 2];

/// Certificate chain and key, PEM.
pub(super) struct Certificate {
    files: (PathBuf, PathBuf),
    stamp: Stamp,
    served: Served,
    clock: Arc<dyn Clock>,
}

impl Certificate {
    /// Reads it.
    ///
    /// # Errors
    /// A file cannot be read, or the two do not belong together.
    pub(super) fn open(
        files: (PathBuf, PathBuf),
        clock: Arc<dyn Clock>,
    ) -> Result<Certificate, ConsoleError> {
        let stamp = stamp(&files);
        let served = Served::new(read(&files, &clock)?);
        Ok(Certificate { files, stamp, served, clock })
    }

    /// Takes over files that changed.
    pub(super) fn look(&mut self) {
        let stamp = stamp(&self.files);
        if stamp == self.stamp {
            return;
        }
        self.stamp = stamp;
        match read(&self.files, &self.clock) {
            Ok(config) => {
                self.served.replace(config);
                tracing::info!(file = %self.files.0.display(), "the console has another certificate");
            }
            Err(error) => {
                tracing::error!(%error, code = %error.code, "the console keeps the certificate it had");
            }
        }
    }

    /// For the next connection.
    pub(super) fn acceptor(&self) -> TlsAcceptor {
        TlsAcceptor::from(self.served.now())
    }
}

fn stamp((chain, key): &(PathBuf, PathBuf)) -> Stamp {
    [chain, key].map(|file| {
        let metadata = std::fs::metadata(file).ok()?;
        Some((metadata.ino(), metadata.mtime(), metadata.mtime_nsec(), metadata.len()))
    })
}

/// TLS 1.3 with this pair.
fn read(
    (chain, key): &(PathBuf, PathBuf),
    clock: &Arc<dyn Clock>,
) -> Result<rustls::ServerConfig, ConsoleError> {
    let failed = |file: &Path, why: &dyn std::fmt::Display| ConsoleError {
        code: Code::ConsoleCertificate,
        detail: format!("read {}: {why}", file.display()),
    };
    let text =
        |file: &PathBuf| private::read(file, limits::PEM_BYTES_MAX).map_err(|error| failed(file, &error));
    let own = Own::of_pem(&text(chain)?, &text(key)?).map_err(|error| failed(chain, &error))?;
    let mut config = tls::page(own, Arc::clone(clock)).map_err(|error| failed(chain, &error))?;
    config.alpn_protocols = vec![b"http/1.1".to_vec()];
    Ok(config)
}
