//! Connections of the console: bounded in number, in bytes and in time, each served by hyper and the router.
//!
//! A head that does not come within `CONSOLE_HEAD_MS_MAX`, a body that does not come within `CONSOLE_BODY_MS_MAX`, or a
//! connection older than `CONSOLE_CONNECTION_MS_MAX` ends; a live page's browser comes back by itself. With a certificate
//! the same is spoken under TLS 1.3; the handshake has a time of its own.

use std::collections::BTreeMap;
use std::net::{IpAddr, SocketAddr};
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use axum::Router;
use axum::extract::Request;
use hyper::body::Incoming;
use hyper::service::service_fn;
use hyper_util::rt::{TokioIo, TokioTimer};
use rustls::pki_types::pem::PemObject as _;
use rustls::pki_types::{CertificateDer, PrivateKeyDer};
use tokio::io::{AsyncRead, AsyncWrite};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::{OwnedSemaphorePermit, Semaphore, watch};
use tokio::time::{sleep, timeout};
use tokio_rustls::TlsAcceptor;
use tower::Service as _;

use super::door::Peer;
use super::routes;
use super::shop::Shop;
use crate::clock::Clock;
use crate::domain::code::Code;
use crate::limits;

/// How the console is opened.
pub struct ConsoleConfig<'a> {
    /// Where it listens.
    pub listen: SocketAddr,
    /// Names beside addresses and `localhost` under which it may be asked.
    pub hosts: Vec<String>,
    /// Certificate chain and key, PEM; with them TLS is spoken.
    pub tls: Option<(PathBuf, PathBuf)>,
    /// Are metrics told to other machines, too?
    pub metrics_for_all: bool,
    /// Where the file of users is.
    pub data_dir: &'a Path,
}

/// Why the console is not there. Selling goes on without it.
#[derive(Debug)]
pub struct ConsoleError {
    /// Its page.
    pub code: Code,
    /// What was seen: a lowercase fragment after "failed to".
    pub detail: String,
}

impl std::fmt::Display for ConsoleError {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "{} ({})", self.detail, self.code)
    }
}

impl std::error::Error for ConsoleError {}

/// Serves until `stop` turns true. An address that is taken is tried again; `bound` hears where it listens.
pub async fn serve(
    config: ConsoleConfig<'_>,
    shop: Arc<dyn Shop>,
    clock: Arc<dyn Clock>,
    bound: impl FnOnce(SocketAddr),
    mut stop: watch::Receiver<bool>,
) {
    let router = routes::router(&config, shop, clock, stop.clone());
    let acceptor = match config.tls.as_ref().map(|(chain, key)| acceptor(chain, key)).transpose() {
        Ok(acceptor) => acceptor,
        Err(error) => {
            tracing::error!(%error, code = %error.code, "the console stays closed; selling goes on without it");
            return;
        }
    };
    let listener = tokio::select! {
        listener = listen(config.listen) => listener,
        _ = stop.wait_for(|stop| *stop) => return,
    };
    if let Ok(address) = listener.local_addr() {
        tracing::info!(%address, "the console is open");
        bound(address);
    }
    let all = Arc::new(Semaphore::new(limits::CONSOLE_CONNECTIONS_MAX));
    let addresses = Addresses::default();
    loop {
        let accepted = tokio::select! {
            accepted = listener.accept() => accepted,
            _ = stop.wait_for(|stop| *stop) => return,
        };
        let (stream, peer) = match accepted {
            Ok(accepted) => accepted,
            Err(error) => {
                tracing::debug!(%error, "a connection of the console is not taken");
                sleep(Duration::from_millis(limits::CONSOLE_REFUSAL_DELAY_MS)).await;
                continue;
            }
        };
        // One too many is closed at once: the others are served.
        let Ok(permit) = Arc::clone(&all).try_acquire_owned() else { continue };
        let Some(place) = addresses.enter(peer.ip()) else { continue };
        tokio::spawn(connection(stream, peer.ip(), router.clone(), acceptor.clone(), (permit, place)));
    }
}

async fn listen(address: SocketAddr) -> TcpListener {
    let mut told = false;
    loop {
        match TcpListener::bind(address).await {
            Ok(listener) => return listener,
            Err(error) if !told => {
                let code = Code::ConsoleCannotListen;
                tracing::warn!(%address, %error, %code, "the console cannot listen; selling goes on without it");
                told = true;
            }
            Err(_) => {}
        }
        sleep(Duration::from_millis(limits::CONSOLE_LISTEN_AGAIN_MS)).await;
    }
}

async fn connection(
    stream: TcpStream,
    peer: IpAddr,
    router: Router,
    acceptor: Option<TlsAcceptor>,
    places: (OwnedSemaphorePermit, Place),
) {
    if let Err(error) = stream.set_nodelay(true) {
        tracing::debug!(%error, "a connection of the console is slower than it could be");
    }
    match acceptor {
        None => speak(stream, peer, router).await,
        Some(acceptor) => {
            let shaken = Duration::from_millis(limits::CONSOLE_HANDSHAKE_MS_MAX);
            match timeout(shaken, acceptor.accept(stream)).await {
                Ok(Ok(stream)) => speak(stream, peer, router).await,
                Ok(Err(error)) => tracing::debug!(%error, "a browser and the console do not agree on TLS"),
                Err(_) => tracing::debug!("a browser does not say who it is in time"),
            }
        }
    }
    drop(places);
}

/// TLS 1.3 with this certificate.
fn acceptor(chain: &Path, key: &Path) -> Result<TlsAcceptor, ConsoleError> {
    let failed = |file: &Path, why: String| ConsoleError {
        code: Code::ConsoleCertificate,
        detail: format!("read {}: {why}", file.display()),
    };
    let certificates = CertificateDer::pem_file_iter(chain).and_then(Iterator::collect::<Result<Vec<_>, _>>);
    let certificates = certificates.map_err(|error| failed(chain, error.to_string()))?;
    let secret = PrivateKeyDer::from_pem_file(key).map_err(|error| failed(key, error.to_string()))?;
    let provider = Arc::new(rustls::crypto::ring::default_provider());
    let mut config = rustls::ServerConfig::builder_with_provider(provider)
        .with_protocol_versions(&[&rustls::version::TLS13])
        .and_then(|builder| builder.with_no_client_auth().with_single_cert(certificates, secret))
        .map_err(|error| failed(chain, error.to_string()))?;
    config.alpn_protocols = vec![b"http/1.1".to_vec()];
    Ok(TlsAcceptor::from(Arc::new(config)))
}

async fn speak(stream: impl AsyncRead + AsyncWrite + Unpin + 'static, peer: IpAddr, router: Router) {
    let service = service_fn(move |mut request: hyper::Request<Incoming>| {
        request.extensions_mut().insert(Peer(peer));
        let request: Request = request.map(axum::body::Body::new);
        router.clone().call(request)
    });
    let connection = hyper::server::conn::http1::Builder::new()
        .timer(TokioTimer::new())
        .header_read_timeout(Duration::from_millis(limits::CONSOLE_HEAD_MS_MAX))
        .max_buf_size(limits::CONSOLE_HEAD_BYTES_MAX)
        .serve_connection(TokioIo::new(stream), service);
    let mut connection = std::pin::pin!(connection);
    let lifetime = Duration::from_millis(limits::CONSOLE_CONNECTION_MS_MAX);
    let ended = match timeout(lifetime, connection.as_mut()).await {
        Ok(ended) => ended,
        Err(_) => {
            connection.as_mut().graceful_shutdown();
            let farewell = Duration::from_millis(limits::CONSOLE_BODY_MS_MAX);
            timeout(farewell, connection.as_mut()).await.unwrap_or(Ok(()))
        }
    };
    if let Err(error) = ended {
        tracing::debug!(%error, "a connection of the console ended");
    }
}

/// How many connections each address has.
#[derive(Clone, Default)]
struct Addresses(Arc<Mutex<BTreeMap<IpAddr, usize>>>);

/// One connection's place among those of its address.
struct Place(Addresses, IpAddr);

impl Addresses {
    fn enter(&self, address: IpAddr) -> Option<Place> {
        let mut held = self.0.lock().unwrap_or_else(std::sync::PoisonError::into_inner);
        let held = held.entry(address).or_default();
        if *held >= limits::CONSOLE_CONNECTIONS_PER_ADDRESS_MAX {
            return None;
        }
        *held += 1;
        Some(Place(self.clone(), address))
    }
}

impl Drop for Place {
    fn drop(&mut self) {
        let mut held = self.0.0.lock().unwrap_or_else(std::sync::PoisonError::into_inner);
        if let Some(count) = held.get_mut(&self.1) {
            *count -= 1;
            if *count == 0 {
                held.remove(&self.1);
            }
        }
    }
}
