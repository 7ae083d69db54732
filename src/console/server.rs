//! Connections of the console: bounded in number, in bytes and in time, each served by hyper and the router.
//!
//! A head that does not come within `CONSOLE_HEAD_MS_MAX`, a body that does not come within `CONSOLE_BODY_MS_MAX`, or a
//! connection older than `CONSOLE_CONNECTION_MS_MAX` ends; a live page's browser comes back by itself. With a certificate
//! the same is spoken under TLS 1.3; the handshake has a time of its own, a certificate that was renewed is served from the
//! next connection on, and whoever speaks plain HTTP there is told so.

use std::collections::BTreeMap;
use std::net::{IpAddr, SocketAddr};
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use axum::Router;
use axum::extract::Request;
use hyper::body::Incoming;
use hyper::service::service_fn;
use hyper_util::rt::{TokioIo, TokioTimer};
use tokio::io::{AsyncBufReadExt as _, AsyncRead, AsyncWrite, AsyncWriteExt as _, BufReader};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::{OwnedSemaphorePermit, Semaphore, watch};
use tokio::time::{interval, sleep, timeout};
use tokio_rustls::TlsAcceptor;
use tokio_rustls::server::TlsStream;
use tower::Service as _;

use super::certificate::Certificate;
use super::door::Peer;
use super::routes;
use super::shop::Shop;
use crate::clock::Clock;
use crate::domain::code::Code;
use crate::domain::text::Lang;
use crate::gate::Complaints;
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
    let complaints = Arc::new(Complaints::default());
    let router = routes::router(&config, shop, clock.clone(), Arc::clone(&complaints), stop.clone());
    let mut certificate = tokio::select! {
        certificate = certificate(config.tls, clock) => certificate,
        _ = stop.wait_for(|stop| *stop) => return,
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
    let mut looks = interval(Duration::from_millis(limits::CONSOLE_CERTIFICATE_LOOK_MS));
    let mut minutes = interval(Duration::from_millis(limits::COMPLAINTS_EVERY_MS));
    loop {
        let accepted = tokio::select! {
            accepted = listener.accept() => accepted,
            _ = looks.tick() => {
                if let Some(certificate) = &mut certificate {
                    certificate.look();
                }
                continue;
            }
            _ = minutes.tick() => {
                complaints.tick();
                continue;
            }
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
        let places = Arc::clone(&all).try_acquire_owned().ok().zip(addresses.enter(peer.ip()));
        let Some(places) = places else {
            complaints
                .complain(Code::GateFull, &peer.ip().to_string(), || "the console's are taken".to_owned());
            continue;
        };
        let acceptor = certificate.as_ref().map(Certificate::acceptor);
        tokio::spawn(connection(
            stream,
            peer.ip(),
            router.clone(),
            acceptor,
            Arc::clone(&complaints),
            places,
        ));
    }
}

/// Reads the certificate, if there is to be one; files that do not serve are looked at again.
async fn certificate(files: Option<(PathBuf, PathBuf)>, clock: Arc<dyn Clock>) -> Option<Certificate> {
    let files = files?;
    let mut told = false;
    loop {
        match Certificate::open(files.clone(), Arc::clone(&clock)) {
            Ok(certificate) => return Some(certificate),
            Err(error) if !told => {
                tracing::error!(%error, code = %error.code, "the console stays closed; selling goes on without it");
                told = true;
            }
            Err(_) => {}
        }
        sleep(Duration::from_millis(limits::CONSOLE_LISTEN_AGAIN_MS)).await;
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
    complaints: Arc<Complaints>,
    places: (OwnedSemaphorePermit, Place),
) {
    if let Err(error) = stream.set_nodelay(true) {
        tracing::debug!(%error, "a connection of the console is slower than it could be");
    }
    match acceptor {
        None => speak(stream, peer, router, &complaints).await,
        Some(acceptor) => {
            let shaken = Duration::from_millis(limits::CONSOLE_HANDSHAKE_MS_MAX);
            match timeout(shaken, encrypted(stream, acceptor)).await {
                Ok(Ok(Some(stream))) => speak(stream, peer, router, &complaints).await,
                Ok(Ok(None)) => tracing::debug!("a browser spoke plain HTTP to the console's encrypted port"),
                Ok(Err(error)) => tracing::debug!(%error, "a browser and the console do not agree on TLS"),
                Err(_) => complaints
                    .complain(Code::GateSilent, &peer.to_string(), || "no handshake in time".to_owned()),
            }
        }
    }
    drop(places);
}

/// The handshake; nothing where the other end speaks plain HTTP, which is told so and believed nothing.
async fn encrypted(
    mut stream: TcpStream,
    acceptor: TlsAcceptor,
) -> std::io::Result<Option<TlsStream<TcpStream>>> {
    let mut first = [0];
    if stream.peek(&mut first).await? == 0 || !first[0].is_ascii_alphabetic() {
        return acceptor.accept(stream).await.map(Some);
    }
    let code = Code::ConsolePlainText;
    let said =
        [Lang::En, Lang::ZhCn].map(|lang| format!("{code} {}\n{}\n", code.title(lang), code.remedy(lang)));
    let said = said.concat();
    let head = format!(
        "HTTP/1.1 {} Bad Request\r\nContent-Type: text/plain; charset=utf-8\r\nContent-Length: {}\r\n\
         Cache-Control: no-store\r\nConnection: close\r\n\r\n",
        code.status(),
        said.len()
    );
    stream.write_all(format!("{head}{said}").as_bytes()).await?;
    crate::gate::hear_out(stream).await;
    Ok(None)
}

async fn speak(
    stream: impl AsyncRead + AsyncWrite + Unpin + 'static,
    peer: IpAddr,
    router: Router,
    complaints: &Complaints,
) {
    let mut stream = BufReader::new(stream);
    // Browsers open connections ahead and leave them alone: that is no siege. A head that was begun and never ends is.
    let head = Duration::from_millis(limits::CONSOLE_HEAD_MS_MAX);
    if !matches!(timeout(head, stream.fill_buf()).await, Ok(Ok(bytes)) if !bytes.is_empty()) {
        return;
    }
    let has_asked = Arc::new(AtomicBool::new(false));
    let asked = Arc::clone(&has_asked);
    let service = service_fn(move |mut request: hyper::Request<Incoming>| {
        asked.store(true, Ordering::Relaxed);
        request.extensions_mut().insert(Peer(peer));
        let request: Request = request.map(axum::body::Body::new);
        router.clone().call(request)
    });
    let connection = hyper::server::conn::http1::Builder::new()
        .timer(TokioTimer::new())
        .header_read_timeout(head)
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
        if error.is_timeout() && !has_asked.load(Ordering::Relaxed) {
            complaints
                .complain(Code::GateSilent, &peer.to_string(), || "no whole request in time".to_owned());
        }
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
