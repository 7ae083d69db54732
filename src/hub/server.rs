//! The shell of head office: an embedded broker, two lines to it, one writer thread.
//!
//! ```text
//! shops --> broker --> ears (rumqttc) --queue--> writer thread (Office, files) --queue--> mouth (rumqttc) --> broker --> shops
//! ```
//! Ears and mouth are two clients, so that a full queue holds the ears back and never the mouth: no circle to deadlock in.
//! Shops beyond this machine come over TLS 1.3 where certificates are given; then every shop shows one that names its store.
//!
//! Invariants: a group is whatever waits when the last sync returns, at most `HUB_GROUP_MAX` frames; an error of the disk
//! ends head office at once, with nothing acknowledged that is not on disk; `shutdown` returns when port and lock are free.

use std::collections::BTreeMap;
use std::fmt;
use std::net::SocketAddr;
use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use mqtt5::broker::BrokerConfig;
use mqtt5::broker::config::{StorageBackend, StorageConfig};
use rumqttc::NetworkOptions;
use rumqttc::v5::mqttbytes::QoS;
use rumqttc::v5::mqttbytes::v5::{ConnectProperties, Packet};
use rumqttc::v5::{AsyncClient, Event, EventLoop, MqttOptions};
use tokio::net::TcpListener;
use tokio::sync::{mpsc, oneshot, watch};
use tokio::task::JoinHandle;
use tokio::time::{interval, timeout};

use crate::chance;
use crate::clock::Clock;
use crate::domain::code::Code;
use crate::domain::ids::{MemberId, StoreId};
use crate::domain::text::hex;
use crate::gate::tls::{self, Clients, Own, Served, TlsError};
use crate::gate::{Bounds, Closing, Complaints, Gate, Listening, Porter};
use crate::limits;
use crate::upstream::wire::{self, Down, UpKind};

use super::doorman::{Doorman, OFFICE_USER};
use super::files::FilesError;
use super::office::{Office, Published, Snapshot};
use super::partner;

/// What head office needs.
#[derive(Clone, Debug)]
pub struct HubConfig {
    /// Where to listen; port 0 takes a free one. Beyond loopback only with a password.
    pub listen: SocketAddr,
    /// Where its data is; made if missing.
    pub data: PathBuf,
    /// A packed bundle to offer, and its version.
    pub bundle: Option<(PathBuf, u64)>,
    /// Where to copy the logs to, every few seconds; shops may then forget only what was copied.
    pub backup: Option<PathBuf>,
    /// What shops prove themselves with.
    pub password: Option<String>,
    /// Certificates: with them `listen` is encrypted, and shops must show one of their own.
    pub tls: Option<HubTls>,
    /// Online shops that may ask for codes to be moved, each with its password.
    pub partners: BTreeMap<StoreId, String>,
}

/// Head office's certificates, in PEM.
#[derive(Clone)]
pub struct HubTls {
    /// Its own.
    pub chain: Vec<u8>,
    /// The key of it.
    pub key: Vec<u8>,
    /// Who signs the shops' certificates: each names its store id as a DNS name.
    pub authority: Vec<u8>,
}

/// A key stays out of logs.
impl fmt::Debug for HubTls {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("HubTls(...)")
    }
}

impl HubConfig {
    /// Head office on loopback without bundle, backup or password.
    pub fn new(listen: SocketAddr, data: PathBuf) -> HubConfig {
        let partners = BTreeMap::new();
        HubConfig { listen, data, bundle: None, backup: None, password: None, tls: None, partners }
    }
}

/// Why head office does not run. Fits after "failed to".
#[derive(Debug)]
pub enum HubError {
    /// Its data cannot be used.
    Files(FilesError),
    /// The bundle to offer cannot be read.
    Bundle(PathBuf, std::io::Error),
    /// Beyond loopback without a password.
    Open(SocketAddr),
    /// The address cannot be bound.
    Bind(SocketAddr, String),
    /// The certificates do not serve.
    Tls(TlsError),
    /// Broker or writer did not come up, or ended.
    Ended(String),
}

impl HubError {
    /// The stable code of the error.
    pub fn code(&self) -> Code {
        match self {
            HubError::Files(FilesError::Locked(_)) => Code::HubRunning,
            HubError::Files(_) => Code::HubData,
            HubError::Bundle(..) => Code::HubBundle,
            HubError::Open(_) | HubError::Bind(..) => Code::HubListen,
            HubError::Tls(error) => error.code(),
            HubError::Ended(_) => Code::HubEnded,
        }
    }
}

impl fmt::Display for HubError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            HubError::Files(error) => error.fmt(f),
            HubError::Bundle(path, error) => write!(f, "read the bundle {}: {error}", path.display()),
            HubError::Open(listen) => {
                write!(f, "listen on {listen}: beyond loopback shops need certificates or a password")
            }
            HubError::Tls(error) => error.fmt(f),
            HubError::Bind(listen, cause) => write!(f, "listen on {listen}: {cause}"),
            HubError::Ended(cause) => write!(f, "keep head office running: {cause}"),
        }
    }
}

impl std::error::Error for HubError {}

impl From<FilesError> for HubError {
    fn from(error: FilesError) -> HubError {
        HubError::Files(error)
    }
}

enum Job {
    Frame(StoreId, UpKind, Vec<u8>),
    Partner(StoreId, Vec<u8>),
    Members,
    Backup(Option<oneshot::Sender<()>>),
    Snapshot(oneshot::Sender<Snapshot>),
    Balance(MemberId, oneshot::Sender<Option<i64>>),
}

/// Starts head offices.
pub struct Hub;

/// A head office that shops can reach. Dropping it stops it without waiting.
pub struct Running {
    addr: SocketAddr,
    gate: Option<(Gate, Closing)>,
    listening: Option<Listening>,
    tasks: Vec<JoinHandle<()>>,
    jobs: mpsc::Sender<Job>,
    writer: JoinHandle<Result<(), HubError>>,
    commits: watch::Receiver<u64>,
}

impl Hub {
    /// Opens the data, binds, and returns once shops can connect and are heard. Needs a tokio runtime.
    pub async fn start(config: HubConfig, clock: Arc<dyn Clock>) -> Result<Running, HubError> {
        let listen = config.listen;
        if !listen.ip().is_loopback() && config.password.is_none() && config.tls.is_none() {
            return Err(HubError::Open(listen));
        }
        let data = config.data.clone();
        let (bundle, backup) = (config.bundle.clone(), config.backup.clone());
        let now = clock.now();
        let opened = tokio::task::spawn_blocking(move || -> Result<Office, HubError> {
            let bundle = match bundle {
                Some((path, version)) => {
                    Some(Published::open(&path, version).map_err(|error| HubError::Bundle(path, error))?)
                }
                None => None,
            };
            Ok(Office::open(&data, bundle, backup, now)?)
        });
        let office = opened.await.map_err(|panic| HubError::Ended(panic.to_string()))??;
        let secret = secret().map_err(|error| HubError::Ended(error.to_string()))?;
        let served = config.tls.map(|tls| {
            let own = Own::of_pem(&tls.chain, &tls.key)?;
            tls::server(own, &tls.authority, Clients::Must, clock.clone())
        });
        let served = served.transpose().map_err(HubError::Tls)?.map(|config| Arc::new(Served::new(config)));
        let complaints = Arc::new(Complaints::default());
        let doorman = Doorman::new(secret.clone(), config.password, clock.clone(), complaints.clone())
            .with_partners(config.partners);
        let doorman = Arc::new(doorman);
        let bind = async |listen: SocketAddr| {
            let failed = |error: std::io::Error| HubError::Bind(listen, error.to_string());
            let listener = TcpListener::bind(listen).await.map_err(failed)?;
            let addr = listener.local_addr().map_err(failed)?;
            Ok::<_, HubError>((listener, addr))
        };
        let (listener, addr) = bind(listen).await?;
        // Head office's own lines need no certificate: they come in plain text, from this machine, with this run's secret.
        let mut listeners = vec![(listener, served.clone())];
        let mut inner = addr;
        if served.is_some() {
            let (plain, addr) = bind(SocketAddr::from(([127, 0, 0, 1], 0))).await?;
            listeners.push((plain, None));
            inner = addr;
        }
        let opened = Gate::open(settings(), bounds(), complaints).await.map_err(HubError::Ended)?;
        let porter: Porter = Arc::new(move |caller| Arc::new(doorman.door(caller)) as Arc<_>);
        let listening = opened.0.listen(listeners, porter, None);
        let (jobs, queue) = mpsc::channel(limits::HUB_QUEUE_MAX);
        let (say, to_say) = mpsc::channel(limits::HUB_QUEUE_MAX);
        let (committed, commits) = watch::channel(0);
        let writer = tokio::task::spawn_blocking(move || write(office, queue, &say, &committed, &*clock));
        let mut running = Running {
            addr,
            gate: Some(opened),
            listening: Some(listening),
            tasks: Vec::new(),
            jobs,
            writer,
            commits,
        };
        let start = async {
            let (heard, ears_up) = oneshot::channel();
            running.tasks.push(tokio::spawn(ears(line(inner, "ears", &secret), running.jobs.clone(), heard)));
            running.tasks.push(tokio::spawn(mouth(line(inner, "mouth", &secret), to_say)));
            running.tasks.push(tokio::spawn(reminders(running.jobs.clone(), config.backup.is_some())));
            ears_up.await.map_err(|_| HubError::Ended("head office's own line broke".into()))
        };
        match timeout(Duration::from_millis(limits::HUB_START_STOP_MS_MAX), start).await {
            Ok(started) => started?,
            Err(_) => return Err(HubError::Ended("it did not come up in time".into())),
        }
        Ok(running)
    }
}

impl Running {
    /// Where it listens, with the port the system chose if 0 was asked for.
    pub fn addr(&self) -> SocketAddr {
        self.addr
    }

    /// Changes after each group that was committed: wait on it instead of asking again and again.
    pub fn commits(&self) -> watch::Receiver<u64> {
        self.commits.clone()
    }

    /// What it has of each store.
    pub async fn snapshot(&self) -> Result<Snapshot, HubError> {
        let (reply, answer) = oneshot::channel();
        self.ask(Job::Snapshot(reply), answer).await
    }

    /// A member's points, if they are known here.
    pub async fn balance(&self, member: MemberId) -> Result<Option<i64>, HubError> {
        let (reply, answer) = oneshot::channel();
        self.ask(Job::Balance(member, reply), answer).await
    }

    /// Runs the backup now; shops hear what they may forget.
    pub async fn back_up(&self) -> Result<(), HubError> {
        let (reply, answer) = oneshot::channel();
        self.ask(Job::Backup(Some(reply)), answer).await
    }

    async fn ask<T>(&self, job: Job, answer: oneshot::Receiver<T>) -> Result<T, HubError> {
        let ended = || HubError::Ended("its writer has stopped".into());
        self.jobs.send(job).await.map_err(|_| ended())?;
        answer.await.map_err(|_| ended())
    }

    /// Waits until it ends by itself, which it should not. Cancel-safe.
    pub async fn ended(&mut self) -> HubError {
        tokio::select! {
            writer = &mut self.writer => match writer {
                Ok(Ok(())) => HubError::Ended("its writer has stopped".into()),
                Ok(Err(error)) => error,
                Err(panic) => HubError::Ended(panic.to_string()),
            },
            why = listening_ended(&mut self.listening) => HubError::Ended(format!("its broker has stopped: {why}")),
        }
    }

    /// Stops: the line first, then the writer, so that port, data and lock are free when it returns.
    pub async fn shutdown(mut self) {
        drop(self.listening.take());
        let bound = Duration::from_millis(limits::HUB_START_STOP_MS_MAX);
        if let Some((gate, mut closing)) = self.gate.take() {
            drop(gate);
            if timeout(bound, closing.closed()).await.is_err() {
                tracing::warn!("head office's broker did not stop in time and is abandoned");
            }
        }
        for task in std::mem::take(&mut self.tasks) {
            task.abort();
            // Aborted is what was asked for.
            let _ = task.await;
        }
        let (closed, _) = mpsc::channel(1);
        drop(std::mem::replace(&mut self.jobs, closed));
        if timeout(bound, &mut self.writer).await.is_err() {
            tracing::warn!("head office's writer did not stop in time and is abandoned");
        }
    }
}

impl Drop for Running {
    fn drop(&mut self) {
        self.tasks.iter().for_each(JoinHandle::abort);
    }
}

async fn listening_ended(listening: &mut Option<Listening>) -> String {
    match listening {
        Some(listening) => listening.ended().await,
        None => std::future::pending().await,
    }
}

/// Every shop may come at once, over one address translated by its provider: the pace is the doorman's.
fn bounds() -> Bounds {
    let connections = limits::HUB_STORES_MAX + 16;
    Bounds { connections, strangers: connections, strangers_each: connections, ..Bounds::of_a_shop() }
}

fn secret() -> std::io::Result<String> {
    Ok(hex(&chance::bytes::<16>()?))
}

/// Our bounds in the broker crate's words.
fn settings() -> BrokerConfig {
    let storage = StorageConfig::new()
        .with_backend(StorageBackend::Memory)
        .with_max_queued_messages_per_client(limits::HUB_QUEUE_MAX)
        .with_cleanup_interval(Duration::from_secs(60));
    let mut settings = BrokerConfig::new()
        .with_max_packet_size(limits::UPSTREAM_PACKET_BYTES_MAX)
        .with_max_subscriptions_per_client(4)
        .with_max_retained_messages(limits::HUB_STORES_MAX)
        .with_max_retained_message_size(1_024)
        .with_client_channel_capacity(limits::HUB_QUEUE_MAX)
        .with_max_outbound_inflight(limits::UPSTREAM_INFLIGHT_MAX)
        .with_server_receive_maximum(limits::UPSTREAM_INFLIGHT_MAX)
        .with_sys_topics_enabled(false)
        .with_storage(storage);
    settings.shared_subscription_available = false;
    settings
}

fn line(addr: SocketAddr, name: &str, secret: &str) -> (AsyncClient, EventLoop) {
    let mut network = NetworkOptions::new();
    network.set_tcp_nodelay(true);
    let mut properties = ConnectProperties::new();
    properties.receive_maximum = Some(limits::UPSTREAM_INFLIGHT_MAX);
    properties.max_packet_size = u32::try_from(limits::UPSTREAM_PACKET_BYTES_MAX + 4_096).ok();
    let mut options = MqttOptions::new(format!("{OFFICE_USER}.{name}"), addr.ip().to_string(), addr.port());
    options
        .set_network_options(network)
        .set_keep_alive(Duration::from_secs(limits::UPSTREAM_KEEP_ALIVE_S))
        .set_clean_start(true)
        .set_credentials(OFFICE_USER, secret)
        .set_connect_properties(properties)
        .set_outgoing_inflight_upper_limit(limits::UPSTREAM_INFLIGHT_MAX);
    AsyncClient::new(options, limits::HUB_QUEUE_MAX)
}

/// Hears the shops. Says on `heard` when it is subscribed.
async fn ears(
    (client, mut events): (AsyncClient, EventLoop),
    jobs: mpsc::Sender<Job>,
    heard: oneshot::Sender<()>,
) {
    let mut heard = Some(heard);
    loop {
        match events.poll().await {
            Ok(Event::Incoming(Packet::ConnAck(_))) => {
                // A line of our own to our own broker with an empty queue: there is room.
                let _ = client.try_subscribe(partner::REQUESTS, QoS::AtLeastOnce);
                let _ = client.try_subscribe(wire::UP_FILTER, QoS::AtLeastOnce);
            }
            Ok(Event::Incoming(Packet::SubAck(_))) => {
                let _ = heard.take().map(|heard| heard.send(()));
            }
            Ok(Event::Incoming(Packet::Publish(publish))) => {
                let Ok(topic) = std::str::from_utf8(&publish.topic) else { continue };
                let shop = wire::parse_up(topic);
                let partner = partner::parse(topic);
                let payload = publish.payload.into();
                let job = match (shop, partner) {
                    (Some((store, kind)), _) => Some(Job::Frame(store, kind, payload)),
                    (None, Some(partner)) => Some(Job::Partner(partner, payload)),
                    (None, None) => None,
                };
                if let Some(job) = job
                    && jobs.send(job).await.is_err()
                {
                    return;
                }
            }
            Ok(_) => {}
            Err(error) => {
                tracing::warn!(%error, "head office's own ears broke and connect again");
                tokio::time::sleep(Duration::from_millis(limits::UPSTREAM_BACKOFF_MS_MIN)).await;
            }
        }
    }
}

/// What head office says.
enum Said {
    /// To a shop.
    Shop(StoreId, Down),
    /// To a partner.
    Partner(StoreId, serde_json::Value),
}

/// Speaks to shops and partners.
async fn mouth((client, mut events): (AsyncClient, EventLoop), mut to_say: mpsc::Receiver<Said>) {
    let speak = async {
        while let Some(said) = to_say.recv().await {
            let (topic, retained, payload) = match said {
                Said::Shop(store, frame) => (frame.topic(&store), frame.is_retained(), frame.encode()),
                Said::Partner(partner, answer) => {
                    (partner::reply_topic(&partner), false, answer.to_string().into_bytes())
                }
            };
            if client.publish(topic, QoS::AtLeastOnce, retained, payload).await.is_err() {
                return;
            }
        }
    };
    let serve = async {
        loop {
            if let Err(error) = events.poll().await {
                tracing::warn!(%error, "head office's own mouth broke and connects again");
                tokio::time::sleep(Duration::from_millis(limits::UPSTREAM_BACKOFF_MS_MIN)).await;
            }
        }
    };
    tokio::select! {
        () = speak => {}
        () = serve => {}
    }
}

async fn reminders(jobs: mpsc::Sender<Job>, backup: bool) {
    let mut members = interval(Duration::from_millis(limits::HUB_MEMBERS_WAIT_MS));
    let mut backups = interval(Duration::from_millis(limits::HUB_BACKUP_EVERY_MS));
    loop {
        let job = tokio::select! {
            _ = members.tick() => Job::Members,
            _ = backups.tick(), if backup => Job::Backup(None),
        };
        if jobs.send(job).await.is_err() {
            return;
        }
    }
}

/// The writer thread: groups of frames around one sync.
fn write(
    mut office: Office,
    mut queue: mpsc::Receiver<Job>,
    say: &mpsc::Sender<Said>,
    committed: &watch::Sender<u64>,
    clock: &dyn Clock,
) -> Result<(), HubError> {
    let tell = |answers: Vec<(StoreId, Down)>| {
        for (store, answer) in answers {
            // The mouth is gone only when head office stops; shops ask again.
            let _ = say.blocking_send(Said::Shop(store, answer));
        }
    };
    tell(office.offers());
    while let Some(first) = queue.blocking_recv() {
        let mut next = Some(first);
        let mut frames = 0;
        let mut asked = Vec::new();
        let mut balances = Vec::new();
        let mut backups = Vec::new();
        let mut members = false;
        let mut partners = Vec::new();
        while let Some(job) = next.take() {
            match job {
                Job::Frame(store, kind, bytes) => {
                    office.handle(store, kind, &bytes, clock.now())?;
                    frames += 1;
                }
                Job::Partner(partner, bytes) => {
                    let answer = office.partner(&partner, &bytes, clock.now());
                    partners.push(Said::Partner(partner, answer));
                    frames += 1;
                }
                Job::Members => {
                    members = true;
                    office.tick(clock.now());
                }
                Job::Backup(reply) => backups.push(reply),
                Job::Snapshot(reply) => asked.push(reply),
                Job::Balance(member, reply) => balances.push((member, reply)),
            }
            if frames < limits::HUB_GROUP_MAX {
                next = queue.try_recv().ok();
            }
        }
        tell(office.commit()?);
        let news = office.partner_news().into_iter();
        for answer in partners.into_iter().chain(news.map(|(partner, news)| Said::Partner(partner, news))) {
            // The same: partners ask again.
            let _ = say.blocking_send(answer);
        }
        if !backups.is_empty() {
            tell(office.back_up()?);
            for reply in backups.into_iter().flatten() {
                // Whoever asked may have gone.
                let _ = reply.send(());
            }
        }
        if members {
            tell(office.tell_members(clock.now()));
        }
        for reply in asked {
            let _ = reply.send(office.snapshot());
        }
        for (member, reply) in balances {
            let _ = reply.send(office.balance(&member));
        }
        committed.send_modify(|count| *count += 1);
    }
    Ok(())
}
