//! Connections into a broker of ours: accepted, bounded, encrypted or not, and handed to the broker crate one by one.
//!
//! ```text
//! socket --> Gate --(TLS 1.3, client certificate)--> first byte --> MQTT: the crate's handler, with a door of its own
//!                                                              `--> GET, POST: whoever answers HTTP here
//! ```
//! The crate's own listeners are not used: they count a connection only once it has said who it is, serve TLS 1.2, do not
//! tell the certificate to whoever decides about rights, and spin where the system gives no more sockets.
//!
//! Invariants:
//! - Two bounds: connections in all, and those that have not said who they are yet (in all, and for each address of the network).
//!   What is beyond them is closed at once and named, once a minute.
//! - Whoever is silent is closed, and whoever speaks a byte at a time: `GATE_PATIENCE_MS` for the handshake, the same for the first
//!   byte, `GATE_INTRODUCTION_MS` for the whole CONNECT behind it.
//! - What is decided about a connection, is decided by a provider made for it, which knows its address and certificate.
//!
//! Layout: `complaints` names what is refused without filling the log · `tls` configurations, and what a refusal of TLS
//! means · `authority` the shop's own authority and the certificates it signs.

pub mod authority;
mod complaints;
pub mod tls;

use std::collections::BTreeMap;
use std::future::Future;
use std::net::{IpAddr, SocketAddr};
use std::pin::Pin;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use mqtt5::broker::client_handler::ClientHandler;
use mqtt5::broker::router::MessageRouter;
use mqtt5::broker::storage::StorageBackend as _;
use mqtt5::broker::sys_topics::BrokerStats;
use mqtt5::broker::tls_acceptor::TlsStreamWrapper;
use mqtt5::broker::transport::BrokerTransport;
use mqtt5::broker::{AuthProvider, BrokerConfig, DynamicStorage, MqttBroker, ResourceMonitor};
use tokio::io::{AsyncBufReadExt as _, AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::{OwnedSemaphorePermit, Semaphore, broadcast, mpsc};
use tokio::task::JoinSet;
use tokio::time::{interval, sleep, timeout};
use tokio_rustls::TlsAcceptor;
use tokio_rustls::server::TlsStream;

use crate::domain::code::Code;
use crate::limits;

pub use complaints::Complaints;
use tls::Served;

/// How much a gate takes.
#[derive(Clone, Copy, Debug)]
pub struct Bounds {
    /// Connections in all.
    pub connections: usize,
    /// Of these, such that have not said who they are.
    pub strangers: usize,
    /// Of these, from one address of the network.
    pub strangers_each: usize,
    /// For the handshake, and again for the first byte.
    pub patience: Duration,
    /// From the first byte on, until whoever it is has said who they are.
    pub introduction: Duration,
}

impl Bounds {
    /// A shop's.
    pub fn of_a_shop() -> Bounds {
        Bounds {
            connections: limits::BROKER_CONNECTIONS_MAX,
            strangers: limits::BROKER_STRANGERS_MAX,
            strangers_each: limits::BROKER_STRANGERS_EACH_MAX,
            patience: Duration::from_millis(limits::GATE_PATIENCE_MS),
            introduction: Duration::from_millis(limits::GATE_INTRODUCTION_MS),
        }
    }
}

/// Who connects, as far as the gate knows.
#[derive(Clone)]
pub struct Caller {
    /// From where.
    pub from: SocketAddr,
    /// Whether the connection is encrypted.
    pub is_tls: bool,
    /// SHA-256 of the client certificate, which an authority configured here has signed.
    pub certificate: Option<[u8; 32]>,
    /// The names of it, in DER of the whole certificate: ask `tls::is_named`.
    pub certificate_der: Option<Arc<[u8]>>,
    place: Arc<Place>,
}

impl Caller {
    /// It has said who it is: its place among the strangers is free again.
    pub fn is_known(&self) {
        drop(self.place.0.lock().unwrap_or_else(PoisonError::into_inner).take());
    }

    /// A caller without a gate, for tests of whoever decides.
    #[cfg(test)]
    pub(crate) fn from(from: SocketAddr, is_tls: bool, certificate: Option<[u8; 32]>) -> Caller {
        let place = Arc::new(Place(Mutex::new(None)));
        Caller { from, is_tls, certificate, certificate_der: None, place }
    }
}

/// A place among the strangers, given back when they are known or gone.
struct Place(Mutex<Option<(OwnedSemaphorePermit, Each)>>);

impl Place {
    fn is_given_back(&self) -> bool {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).is_none()
    }
}

/// Counts the strangers of one address.
struct Each(Arc<Mutex<BTreeMap<IpAddr, usize>>>, IpAddr);

impl Drop for Each {
    fn drop(&mut self) {
        let mut counts = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(count) = counts.get_mut(&self.1) {
            *count -= 1;
            if *count == 0 {
                counts.remove(&self.1);
            }
        }
    }
}

/// Answers HTTP that comes to the encrypted port; ends when the connection may be closed.
pub type Http =
    Arc<dyn Fn(TlsStream<TcpStream>, SocketAddr) -> Pin<Box<dyn Future<Output = ()> + Send>> + Send + Sync>;

/// Makes the provider that decides about one connection.
pub type Porter = Arc<dyn Fn(Caller) -> Arc<dyn AuthProvider> + Send + Sync>;

/// The inside of a broker, and its open connections. Cloneable; all clones are one gate.
#[derive(Clone)]
pub struct Gate {
    config: Arc<BrokerConfig>,
    router: Arc<MessageRouter>,
    storage: Option<Arc<DynamicStorage>>,
    stats: Arc<BrokerStats>,
    monitor: Arc<ResourceMonitor>,
    stop: broadcast::Sender<()>,
    bounds: Bounds,
    connections: Arc<Semaphore>,
    strangers: Arc<Semaphore>,
    each: Arc<Mutex<BTreeMap<IpAddr, usize>>>,
    complaints: Arc<Complaints>,
    /// Held by each connection: when all are gone, a stop is complete.
    open: mpsc::Sender<()>,
}

/// Waits for the connections of a stopped gate.
pub struct Closing(mpsc::Receiver<()>);

/// A gate that listens. Dropping it stops accepting and says goodbye to every connection.
pub struct Listening {
    tasks: JoinSet<()>,
    stop: broadcast::Sender<()>,
}

impl Listening {
    /// Waits until one of its tasks ends by itself, which none should: why. Cancel-safe.
    pub async fn ended(&mut self) -> String {
        match self.tasks.join_next().await {
            Some(Err(panic)) => panic.to_string(),
            Some(Ok(())) | None => "it stopped accepting connections".to_owned(),
        }
    }
}

impl Drop for Listening {
    fn drop(&mut self) {
        self.tasks.abort_all();
        // Nobody listens where nobody is connected.
        let _ = self.stop.send(());
    }
}

impl Gate {
    /// A broker without listeners, from the crate's settings; what binds is the caller's.
    ///
    /// # Errors
    /// The crate's, as text: settings that contradict each other.
    pub async fn open(
        mut settings: BrokerConfig,
        bounds: Bounds,
        complaints: Arc<Complaints>,
    ) -> Result<(Gate, Closing), String> {
        // The crate binds before it lets anybody have its parts: the socket closes with the shell of the broker, unserved.
        settings.bind_addresses = vec![SocketAddr::from(([127, 0, 0, 1], 0))];
        settings.max_clients = bounds.connections;
        let shell = MqttBroker::with_config(settings.clone()).await.map_err(|error| error.to_string())?;
        let (router, storage) = (shell.router(), shell.storage());
        let expiry = u32::try_from(settings.session_expiry_interval.as_secs()).unwrap_or(u32::MAX);
        let opening = async {
            router.recover_sessions(expiry).await?;
            router.initialize().await
        };
        opening.await.map_err(|error| error.to_string())?;
        let (open, closing) = mpsc::channel(1);
        let gate = Gate {
            router,
            storage,
            stats: shell.stats(),
            monitor: shell.resource_monitor(),
            config: Arc::new(settings),
            stop: broadcast::channel(1).0,
            bounds,
            connections: Arc::new(Semaphore::new(bounds.connections)),
            strangers: Arc::new(Semaphore::new(bounds.strangers)),
            each: Arc::default(),
            complaints,
            open,
        };
        Ok((gate, Closing(closing)))
    }

    /// The broker's own post office.
    pub fn router(&self) -> Arc<MessageRouter> {
        Arc::clone(&self.router)
    }

    /// Accepts on bound listeners, each plain or with what it serves over TLS, and looks after sessions that expire.
    pub fn listen(
        &self,
        listeners: Vec<(TcpListener, Option<Arc<Served>>)>,
        porter: Porter,
        http: Option<Http>,
    ) -> Listening {
        let mut tasks = JoinSet::new();
        tasks.spawn(self.clone().look_after());
        for (listener, served) in listeners {
            let gate = self.clone();
            tasks.spawn(gate.accept(listener, served, Arc::clone(&porter), http.clone()));
        }
        Listening { tasks, stop: self.stop.clone() }
    }

    async fn look_after(self) {
        let mut sweeps = interval(self.config.storage_config.cleanup_interval);
        let mut complaints = interval(Duration::from_millis(limits::COMPLAINTS_EVERY_MS));
        loop {
            tokio::select! {
                _ = sweeps.tick() => {
                    if let Some(storage) = &self.storage
                        && let Err(error) = storage.cleanup_expired().await
                    {
                        tracing::warn!(%error, "expired sessions of the broker are not cleared");
                    }
                    self.router.sweep_sessions().await;
                    self.monitor.cleanup_expired_windows().await;
                }
                _ = complaints.tick() => self.complaints.tick(),
            }
        }
    }

    async fn accept(
        self,
        listener: TcpListener,
        served: Option<Arc<Served>>,
        porter: Porter,
        http: Option<Http>,
    ) {
        loop {
            let (stream, from) = match listener.accept().await {
                Ok(accepted) => accepted,
                Err(error) => {
                    self.complaints.complain(Code::GateFull, "", || error.to_string());
                    sleep(Duration::from_millis(limits::ACCEPT_AGAIN_MS)).await;
                    continue;
                }
            };
            let Some((connection, place)) = self.room_for(from) else { continue };
            let (gate, served, porter) = (self.clone(), served.clone(), Arc::clone(&porter));
            let http = http.clone();
            tokio::spawn(async move {
                let caller = Caller {
                    from,
                    is_tls: served.is_some(),
                    certificate: None,
                    certificate_der: None,
                    place: Arc::new(place),
                };
                gate.meet(stream, caller, served, porter, http).await;
                drop(connection);
            });
        }
    }

    /// A place for one more connection, or nothing and a complaint.
    fn room_for(&self, from: SocketAddr) -> Option<(OwnedSemaphorePermit, Place)> {
        let full = |what: &str| {
            self.complaints.complain(Code::GateFull, &from.ip().to_string(), || what.to_owned());
        };
        let Ok(connection) = Arc::clone(&self.connections).try_acquire_owned() else {
            full("every connection the box has is taken");
            return None;
        };
        let Ok(stranger) = Arc::clone(&self.strangers).try_acquire_owned() else {
            full("too many connections have not said who they are");
            return None;
        };
        {
            let mut counts = self.each.lock().unwrap_or_else(PoisonError::into_inner);
            let count = counts.entry(from.ip()).or_default();
            // The box's own programs share one address: their bound is the whole.
            if *count >= self.bounds.strangers_each && !from.ip().is_loopback() {
                drop(counts);
                full("too many connections of this address have not said who they are");
                return None;
            }
            *count += 1;
        }
        let each = Each(Arc::clone(&self.each), from.ip());
        Some((connection, Place(Mutex::new(Some((stranger, each))))))
    }

    async fn meet(
        self,
        stream: TcpStream,
        mut caller: Caller,
        served: Option<Arc<Served>>,
        porter: Porter,
        http: Option<Http>,
    ) {
        let from = caller.from;
        let complain = |code, what: String| {
            self.complaints.complain(code, &from.ip().to_string(), || what);
        };
        if let Err(error) = stream.set_nodelay(true) {
            tracing::debug!(%error, %from, "a connection keeps its delay");
        }
        let patience = self.bounds.patience;
        let Some(served) = served else {
            return match timeout(patience, stream.peek(&mut [0])).await {
                Ok(Ok(1)) => self.serve(BrokerTransport::tcp(stream), caller, porter).await,
                Ok(_) => {}
                Err(_) => complain(Code::GateSilent, "no byte in time".to_owned()),
            };
        };
        let accepting = TlsAcceptor::from(served.now()).accept(stream).into_fallible();
        let mut stream = match timeout(patience, accepting).await {
            Ok(Ok(stream)) => stream,
            Ok(Err((error, stream))) => {
                // A port scan, a health check: it left before it said anything.
                if error.kind() != std::io::ErrorKind::UnexpectedEof {
                    complain(Code::GateTls, tls::refusal_of(&error));
                    let _ = timeout(patience, hear_out(stream)).await;
                }
                return;
            }
            Err(_) => return complain(Code::GateSilent, "no handshake in time".to_owned()),
        };
        if let Some(certificate) = stream.get_ref().1.peer_certificates().and_then(|chain| chain.first()) {
            caller.certificate = Some(tls::fingerprint(certificate));
            caller.certificate_der = Some(Arc::from(certificate.as_ref()));
        }
        let first = match timeout(patience, stream.fill_buf()).await {
            Ok(Ok(bytes)) => bytes.first().copied(),
            Ok(Err(error)) => return complain(Code::GateTls, tls::refusal_of(&error)),
            Err(_) => return complain(Code::GateSilent, "no byte in time".to_owned()),
        };
        match (first, http) {
            (None, _) => {}
            (Some(b'G' | b'P'), Some(http)) => http(stream, from).await,
            (Some(_), _) => {
                let transport = BrokerTransport::tls(TlsStreamWrapper::new(stream));
                self.serve(transport, caller, porter).await;
            }
        }
    }

    async fn serve(self, transport: BrokerTransport, caller: Caller, porter: Porter) {
        let (from, place) = (caller.from, Arc::clone(&caller.place));
        let handler = ClientHandler::new(
            transport,
            from,
            Arc::clone(&self.config),
            Arc::clone(&self.router),
            porter(caller),
            self.storage.clone(),
            Arc::clone(&self.stats),
            Arc::clone(&self.monitor),
            self.stop.subscribe(),
        );
        let (open, complaints) = (self.open.clone(), Arc::clone(&self.complaints));
        let introduction = self.bounds.introduction;
        // Nothing of this gate but what the connection needs: a stop waits for `open` only.
        drop(self);
        let stays_unknown = async {
            sleep(introduction).await;
            if place.is_given_back() {
                std::future::pending().await
            }
        };
        tokio::select! {
            ended = handler.run() => if let Err(error) = ended
                && !error.is_normal_disconnect()
            {
                tracing::debug!(%error, %from, "a connection ended");
            },
            () = stays_unknown => {
                let who = from.ip().to_string();
                complaints.complain(Code::GateSilent, &who, || "no whole CONNECT in time".to_owned());
            }
        }
        drop(open);
    }
}

/// Lets whoever was refused say the rest: a connection closed before that is reset, and why it was refused is lost on the way.
pub async fn hear_out(mut stream: TcpStream) {
    let mut rest = [0; 1024];
    if stream.shutdown().await.is_ok() {
        for _ in 0..16 {
            if !matches!(stream.read(&mut rest).await, Ok(1..)) {
                return;
            }
        }
    }
}

impl Closing {
    /// Waits until every connection and every clone of the gate is gone.
    pub async fn closed(&mut self) {
        while self.0.recv().await.is_some() {}
    }
}
