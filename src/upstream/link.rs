//! The thin shell around the sender: rumqttc for the line, one thread for the disk, files for what is remembered.
//!
//! ```text
//! commit thread --durable(next)--> +------+ --Pack, Prune, files--> reading thread (Backlog)
//! line (one rumqttc per connect) <-> | loop | <-- Packed, Extent, parked --'
//!                                   +------+ --Happening--> daemon (members, bundles)
//! ```
//! Invariants: `machine` decides, this does; the disk is touched on the reading thread only; each connection is a client of
//! its own, so nothing queued for a dead one is ever sent late; nobody in the shop waits for this loop.
//!
//! Written against rumqttc 0.25.1: nodelay is ours to set, subscriptions are ours to repeat, errors come without their cause
//! named (so the name is looked up first), and its queue is emptied with the session; the journal is the queue.

use std::collections::{BTreeSet, VecDeque};
use std::fmt;
use std::path::PathBuf;
use std::sync::Arc;
use std::thread;
use std::time::Duration;

use rumqttc::v5::mqttbytes::QoS;
use rumqttc::v5::mqttbytes::v5::{ConnectProperties, ConnectReturnCode, Packet, SubscribeReasonCode};
use rumqttc::v5::{AsyncClient, ConnectionError, Event, EventLoop, MqttOptions, StateError};
use rumqttc::{NetworkOptions, TlsConfiguration, Transport};
use tokio::net::lookup_host;
use tokio::sync::{mpsc, oneshot, watch};
use tokio::task::JoinHandle;
use tokio::time::{sleep_until, timeout};

use crate::clock::{Clock, Ticks};
use crate::domain::ids::{Seq, StoreId};
use crate::domain::lease::Want;
use crate::domain::tally::Tally;
use crate::engine::input::{Input, MembersUpdate};
use crate::gate::tls::{self, Refused};
use crate::limits;

use super::backlog::{self, Backlog, BacklogError, Extent, PackRequest, Packed};
use super::download::Piece;
use super::files::{self, ParkFile, StateFile};
use super::machine::{Action, Machine, Now, Remembered, Status, Trouble};
use super::wire::{self, Down, DownKind, Packer};

/// How to reach head office.
#[derive(Clone)]
pub struct UpstreamConfig {
    /// Which shop this is.
    pub store: StoreId,
    /// Host name or address of head office's broker.
    pub host: String,
    /// Its port.
    pub port: u16,
    /// User name and password; without them the store id is the user name.
    pub login: Option<(String, String)>,
    /// Whom the line believes and who we are, where it is encrypted.
    pub tls: Option<Arc<rustls::ClientConfig>>,
    /// Where `upstream.json`, `outbox.json` and bundles on their way are; exists already.
    pub dir: PathBuf,
}

/// Why there is no sender. Fits after "failed to".
#[derive(Debug)]
pub enum UpstreamError {
    /// The journal does not say how far it reaches.
    Journal(BacklogError),
    /// The system gives no thread.
    Thread(std::io::Error),
}

impl fmt::Display for UpstreamError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            UpstreamError::Journal(error) => write!(f, "read the journal for head office: {error}"),
            UpstreamError::Thread(error) => write!(f, "start the reading thread: {error}"),
        }
    }
}

impl std::error::Error for UpstreamError {}

/// What head office sent for the daemon.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Happening {
    /// For the engine, as `Input::Members`.
    Members(MembersUpdate),
    /// For the engine, in this order: about leases, or about orders.
    Words(Vec<Input>),
    /// A bundle is in this file, whole and unverified; then call `bundle_active`.
    Bundle {
        /// As offered.
        version: u64,
        /// Where.
        path: PathBuf,
    },
}

/// What the daemon keeps current: how far the journal is durable, the bundle, what is wanted, what is counted.
type Levels = (
    watch::Receiver<Seq>,
    watch::Receiver<Option<u64>>,
    watch::Receiver<(Vec<Want>, Seq)>,
    watch::Receiver<Tally>,
);

/// The sender's handle. Cloneable; never waits.
#[derive(Clone, Debug)]
pub struct Upstream {
    durable: watch::Sender<Seq>,
    bundle: watch::Sender<Option<u64>>,
    wants: watch::Sender<(Vec<Want>, Seq)>,
    tally: watch::Sender<Tally>,
    status: watch::Receiver<Status>,
}

impl Upstream {
    /// The journal is durable before `next` (exclusive). Call after each group.
    pub fn durable(&self, next: Seq) {
        self.durable.send_if_modified(|known| {
            let grown = next > *known;
            *known = (*known).max(next);
            grown
        });
    }

    /// The daemon runs on this bundle now.
    pub fn bundle_active(&self, version: u64) {
        self.bundle.send_replace(Some(version));
    }

    /// What this shop would like to hold of limited things, counted with every decision through `as_of`. Call as often
    /// as it changes.
    pub fn wants(&self, wants: Vec<Want>, as_of: Seq) {
        self.wants.send_if_modified(|known| {
            let changed = known.0 != wants;
            *known = (wants, as_of);
            changed
        });
    }

    /// What this shop counts in its journal. Call as often as it changes.
    pub fn tally(&self, tally: Tally) {
        self.tally.send_if_modified(|known| {
            let changed = *known != tally;
            *known = tally;
            changed
        });
    }

    /// How the line is, kept current.
    pub fn status(&self) -> watch::Receiver<Status> {
        self.status.clone()
    }
}

/// What head office sends, and the way to end the sender. Dropping it ends the sender too.
#[derive(Debug)]
pub struct Inbox {
    happenings: mpsc::Receiver<Happening>,
    stop: Option<oneshot::Sender<()>>,
    task: JoinHandle<()>,
    reader: Option<thread::JoinHandle<()>>,
}

impl Inbox {
    /// The next happening; `None` after the sender ended. Cancel-safe.
    pub async fn next(&mut self) -> Option<Happening> {
        self.happenings.recv().await
    }

    /// Ends the sender: what is remembered is written, the line closed, the journal let go.
    pub async fn shutdown(mut self) {
        drop(self.stop.take());
        self.happenings.close();
        if (&mut self.task).await.is_err() {
            tracing::warn!("the sender to head office had ended by itself");
        }
        let reader = self.reader.take();
        let joined = tokio::task::spawn_blocking(move || reader.is_none_or(|reader| reader.join().is_ok()));
        if !joined.await.unwrap_or(false) {
            tracing::warn!("the thread that reads the journal for head office had panicked");
        }
    }
}

/// Starts sending `backlog`. `seed` decides the jitter: anything that differs between boxes. Needs a tokio runtime.
pub async fn start(
    config: UpstreamConfig,
    mut backlog: impl Backlog,
    clock: Arc<dyn Clock>,
    seed: u64,
) -> Result<(Upstream, Inbox), UpstreamError> {
    let dir = config.dir.clone();
    let store = config.store.clone();
    let opened = tokio::task::spawn_blocking(move || {
        let extent = backlog.extent().map_err(UpstreamError::Journal)?;
        Ok((backlog, extent, StateFile::remembered(&dir, &store)))
    });
    let (backlog, extent, remembered) =
        opened.await.unwrap_or_else(|panic| Err(UpstreamError::Journal(BacklogError(panic.to_string()))))?;
    let origin = clock.ticks();
    let now = Now { ticks_ms: 0, unix: clock.now() };
    let machine = Machine::new(config.store.clone(), extent, remembered, seed, now);
    let (durable, durable_seen) = watch::channel(extent.next);
    let (bundle, bundle_seen) = watch::channel(None);
    let (wants, wants_seen) = watch::channel((Vec::new(), Seq(0)));
    let (tally, tally_seen) = watch::channel(Tally::default());
    let (status_sender, status) = watch::channel(machine.status(now));
    let (work, to_do) = mpsc::channel(limits::UPSTREAM_EVENTS_MAX);
    let (done, results) = mpsc::channel(limits::UPSTREAM_EVENTS_MAX);
    let (events_sender, events) = mpsc::channel(limits::UPSTREAM_EVENTS_MAX);
    let (happenings_sender, happenings) = mpsc::channel(limits::UPSTREAM_EVENTS_MAX);
    let (stop, stopped) = oneshot::channel();
    let reader = Reader {
        backlog: Box::new(backlog),
        packer: Packer::default(),
        dir: config.dir.clone(),
        parked: BTreeSet::new(),
    };
    let reader = thread::Builder::new()
        .name("upstream-reader".into())
        .spawn(move || reader.run(to_do, &done))
        .map_err(UpstreamError::Thread)?;
    let shell = Shell {
        config,
        machine,
        clock,
        origin,
        extent,
        work,
        results,
        events: events_sender,
        heard: events,
        line: None,
        connects: 0,
        happenings: happenings_sender,
        waiting: VecDeque::new(),
        status: status_sender,
        written: (Remembered::default(), 0),
        looking: false,
    };
    let task = tokio::spawn(shell.run((durable_seen, bundle_seen, wants_seen, tally_seen), stopped));
    Ok((
        Upstream { durable, bundle, wants, tally, status },
        Inbox { happenings, stop: Some(stop), task, reader: Some(reader) },
    ))
}

/// For the reading thread.
enum Work {
    Extent,
    Pack(PackRequest),
    Prune(Seq),
    Write(Box<StateFile>, bool),
    LookAtParked,
    Bundle(Piece),
}

/// From the reading thread.
enum Done {
    Extent(Result<Extent, BacklogError>),
    Packed(u64, Result<Option<Packed>, BacklogError>),
    Parked(Option<BTreeSet<Seq>>),
    Bundle(u64, PathBuf),
}

struct Reader {
    backlog: Box<dyn Backlog>,
    packer: Packer,
    dir: PathBuf,
    parked: BTreeSet<Seq>,
}

impl Reader {
    fn run(mut self, mut to_do: mpsc::Receiver<Work>, done: &mpsc::Sender<Done>) {
        while let Some(work) = to_do.blocking_recv() {
            if let Some(result) = self.work(work)
                && done.blocking_send(result).is_err()
            {
                return;
            }
        }
    }

    fn work(&mut self, work: Work) -> Option<Done> {
        match work {
            Work::Extent => Some(Done::Extent(self.backlog.extent())),
            Work::Pack(request) => {
                let packed = backlog::pack(&mut self.packer, &mut *self.backlog, &request);
                Some(Done::Packed(request.ticket, packed))
            }
            Work::Prune(through) => match self.backlog.prune(through) {
                Ok(()) => Some(Done::Extent(self.backlog.extent())),
                Err(error) => {
                    tracing::warn!(%error, through = through.0, "the journal could not be pruned");
                    None
                }
            },
            Work::Write(state, durable) => {
                if let Err(error) = state.write(&self.dir, durable) {
                    tracing::warn!(%error, "what head office said could not be written down");
                }
                None
            }
            Work::LookAtParked => {
                let parked = match ParkFile::read(&self.dir) {
                    Ok(file) => file.parked,
                    Err(error) => {
                        tracing::warn!(%error, "outbox.json cannot be read; what was parked stays parked");
                        self.parked.clone()
                    }
                };
                let changed = parked != self.parked;
                self.parked = parked;
                Some(Done::Parked(changed.then(|| self.parked.clone())))
            }
            Work::Bundle(piece) => self.bundle(piece),
        }
    }

    fn bundle(&mut self, piece: Piece) -> Option<Done> {
        let result = match piece {
            Piece::Keep { version, offset, bytes } => {
                files::keep_piece(&self.dir, version, offset, &bytes).map(|()| None)
            }
            Piece::Complete { version } => {
                files::complete_bundle(&self.dir, version).map(|path| Some(Done::Bundle(version, path)))
            }
            Piece::Broken { version } => {
                tracing::warn!(version, "the bundle arrived broken and is fetched again later");
                Ok(None)
            }
        };
        result.unwrap_or_else(|error| {
            tracing::warn!(%error, "a bundle on its way could not be kept");
            None
        })
    }
}

/// From a line, with the number of its connection.
type Heard = (u64, LineEvent);

enum LineEvent {
    Up,
    Down(Trouble, String),
    Frame(DownKind, Vec<u8>),
}

struct Line {
    client: AsyncClient,
    task: JoinHandle<()>,
}

impl Drop for Line {
    fn drop(&mut self) {
        self.task.abort();
    }
}

struct Shell {
    config: UpstreamConfig,
    machine: Machine,
    clock: Arc<dyn Clock>,
    origin: Ticks,
    extent: Extent,
    work: mpsc::Sender<Work>,
    results: mpsc::Receiver<Done>,
    events: mpsc::Sender<Heard>,
    heard: mpsc::Receiver<Heard>,
    line: Option<Line>,
    connects: u64,
    happenings: mpsc::Sender<Happening>,
    waiting: VecDeque<Happening>,
    status: watch::Sender<Status>,
    /// What the state file says, and when it was written.
    written: (Remembered, u64),
    looking: bool,
}

impl Shell {
    fn now(&self) -> Now {
        let ticks = self.clock.ticks().since(self.origin).as_millis();
        Now { ticks_ms: u64::try_from(ticks).unwrap_or(u64::MAX), unix: self.clock.now() }
    }

    async fn run(
        mut self,
        (mut durable, mut bundle, mut wants, mut tally): Levels,
        mut stop: oneshot::Receiver<()>,
    ) {
        let mut files = tokio::time::interval(Duration::from_millis(limits::UPSTREAM_FILES_EVERY_MS));
        files.set_missed_tick_behavior(tokio::time::MissedTickBehavior::Delay);
        let happenings = self.happenings.clone();
        self.machine.tick(self.now());
        loop {
            self.act().await;
            let due =
                self.machine.deadline_ms().unwrap_or(limits::UPSTREAM_HELLO_EVERY_MS + self.now().ticks_ms);
            let due = self.origin.plus(Duration::from_millis(due)).instant().into();
            let now = |shell: &Shell| shell.now();
            tokio::select! {
                _ = &mut stop => break,
                Some((connect, event)) = self.heard.recv() => self.on_line(connect, event),
                Some(done) = self.results.recv() => self.on_done(done),
                Ok(()) = durable.changed() => {
                    self.extent.next = *durable.borrow_and_update();
                    let now = now(&self);
                    self.machine.backlog(self.extent, now);
                }
                Ok(()) = bundle.changed() => {
                    let version = *bundle.borrow_and_update();
                    let now = now(&self);
                    if let Some(version) = version {
                        self.machine.bundle_active(version, now);
                    }
                }
                Ok(()) = wants.changed() => {
                    let (wants, as_of) = wants.borrow_and_update().clone();
                    let now = now(&self);
                    self.machine.set_wants(wants, as_of, now);
                }
                Ok(()) = tally.changed() => {
                    let tally = tally.borrow_and_update().clone();
                    self.machine.set_tally(tally);
                }
                permit = happenings.reserve(), if !self.waiting.is_empty() => match permit {
                    Ok(permit) => {
                        if let Some(happening) = self.waiting.pop_front() {
                            permit.send(happening);
                        }
                    }
                    Err(_) => break,
                },
                _ = files.tick() => self.look_after_files().await,
                () = sleep_until(due) => {
                    let now = now(&self);
                    self.machine.tick(now);
                }
            }
        }
        self.keep_state(false).await;
        if let Some(line) = self.line.take() {
            // Gone already is as good.
            let _ = line.client.try_disconnect();
        }
    }

    /// Does what the machine names.
    async fn act(&mut self) {
        while let Some(action) = self.machine.poll() {
            match action {
                Action::Connect => {
                    self.connects += 1;
                    self.do_work(Work::Extent).await;
                    let (client, events) =
                        AsyncClient::new(options(&self.config, self.extent), limits::UPSTREAM_EVENTS_MAX);
                    let converse = Converse {
                        config: self.config.clone(),
                        client: client.clone(),
                        connect: self.connects,
                        heard: self.events.clone(),
                    };
                    self.line = Some(Line { client, task: tokio::spawn(converse.run(events)) });
                }
                Action::Disconnect => self.line = None,
                Action::Send(frame) => {
                    let topic = frame.topic(&self.config.store);
                    let sent = self.line.as_ref().map(|line| {
                        line.client.try_publish(topic, QoS::AtLeastOnce, false, frame.encode()).is_ok()
                    });
                    if sent == Some(false) {
                        let now = self.now();
                        self.machine.lost(Trouble::Tcp, "the line takes nothing any more", now);
                    }
                }
                Action::Pack(request) => self.do_work(Work::Pack(request)).await,
                Action::Prune(through) => self.do_work(Work::Prune(through)).await,
                Action::Members(update) => self.tell(Happening::Members(*update)),
                Action::Words(words) => {
                    self.tell(Happening::Words(words.into_iter().map(Input::Lease).collect()));
                }
                Action::Orders(orders) => {
                    let orders = orders.into_iter().map(|order| Input::Order(Box::new(order)));
                    self.tell(Happening::Words(orders.collect()));
                }
                Action::Bundle(piece) => self.do_work(Work::Bundle(piece)).await,
            }
        }
        if self.machine.remembered().incarnation != self.written.0.incarnation {
            self.keep_state(true).await;
        }
        let status = self.machine.status(self.now());
        self.status.send_if_modified(|known| {
            let changed = *known != status;
            *known = status;
            changed
        });
    }

    fn tell(&mut self, happening: Happening) {
        if self.waiting.len() >= limits::UPSTREAM_EVENTS_MAX {
            // Members, words and orders are told again at the next hello; a bundle is offered again after a restart.
            self.waiting.pop_front();
        }
        self.waiting.push_back(happening);
    }

    async fn do_work(&mut self, work: Work) {
        if self.work.send(work).await.is_err() {
            let now = self.now();
            self.machine.lost(Trouble::Journal, "the reading thread has ended", now);
        }
    }

    async fn look_after_files(&mut self) {
        if !self.looking {
            self.looking = true;
            self.do_work(Work::LookAtParked).await;
        }
        self.keep_state(false).await;
    }

    async fn keep_state(&mut self, durable: bool) {
        let now = self.now();
        let remembered = self.machine.remembered();
        let state = StateFile {
            store: self.config.store.clone(),
            written: now.unix,
            status: self.machine.status(now),
        };
        self.written = (remembered, now.ticks_ms);
        self.do_work(Work::Write(Box::new(state), durable)).await;
    }

    fn on_line(&mut self, connect: u64, event: LineEvent) {
        if connect != self.connects || self.line.is_none() {
            return;
        }
        let now = self.now();
        match event {
            LineEvent::Up => self.machine.connected(now),
            LineEvent::Down(trouble, detail) => self.machine.lost(trouble, detail, now),
            LineEvent::Frame(kind, bytes) => match Down::decode(kind, &bytes) {
                Ok(frame) => self.machine.received(frame, now),
                Err(error) => tracing::warn!(%error, "a frame of head office was not understood and dropped"),
            },
        }
    }

    fn on_done(&mut self, done: Done) {
        let now = self.now();
        match done {
            Done::Extent(Ok(extent)) => {
                // The watch may be ahead of the disk's answer, never behind what is durable.
                self.extent = Extent { next: extent.next.max(self.extent.next), ..extent };
                self.machine.backlog(self.extent, now);
            }
            Done::Extent(Err(error)) => tracing::warn!(%error, "the journal does not say how far it reaches"),
            Done::Packed(ticket, result) => self.machine.packed(ticket, result, now),
            Done::Parked(parked) => {
                self.looking = false;
                if let Some(parked) = parked {
                    self.machine.set_parked(parked, now);
                }
            }
            Done::Bundle(version, path) => self.tell(Happening::Bundle { version, path }),
        }
    }
}

/// Our bounds in rumqttc's words. The client id names the epoch, so that a spare box does not throw out the old one.
fn options(config: &UpstreamConfig, extent: Extent) -> MqttOptions {
    let mut network = NetworkOptions::new();
    network.set_tcp_nodelay(true);
    network.set_connection_timeout(limits::UPSTREAM_CONNECT_S_MAX);
    let mut properties = ConnectProperties::new();
    properties.receive_maximum = Some(limits::UPSTREAM_INFLIGHT_MAX);
    properties.max_packet_size = u32::try_from(limits::UPSTREAM_PACKET_BYTES_MAX).ok();
    let client_id = format!("{}.{}", config.store, extent.epoch.0);
    let mut options = MqttOptions::new(client_id, &config.host, config.port);
    let (user, password) = config.login.clone().unwrap_or((config.store.to_string(), String::new()));
    options
        .set_network_options(network)
        .set_keep_alive(Duration::from_secs(limits::UPSTREAM_KEEP_ALIVE_S))
        .set_connection_timeout(limits::UPSTREAM_CONNECT_S_MAX)
        .set_clean_start(true)
        .set_credentials(user, password)
        .set_connect_properties(properties)
        .set_outgoing_inflight_upper_limit(limits::UPSTREAM_INFLIGHT_MAX);
    if let Some(tls) = &config.tls {
        options.set_transport(Transport::tls_with_config(TlsConfiguration::Rustls(Arc::clone(tls))));
    }
    options
}

/// One connection, from looking up the name to its end.
struct Converse {
    config: UpstreamConfig,
    client: AsyncClient,
    connect: u64,
    heard: mpsc::Sender<Heard>,
}

impl Converse {
    async fn run(self, events: EventLoop) {
        let (trouble, detail) = self.until_it_ends(events).await;
        // The shell has gone, or goes on with this as the reason.
        let _ = self.heard.send((self.connect, LineEvent::Down(trouble, detail))).await;
    }

    async fn until_it_ends(&self, mut events: EventLoop) -> (Trouble, String) {
        let bound = Duration::from_secs(limits::UPSTREAM_CONNECT_S_MAX);
        match timeout(bound, lookup_host((self.config.host.as_str(), self.config.port))).await {
            Ok(Ok(mut addresses)) => {
                if addresses.next().is_none() {
                    return (Trouble::Dns, format!("{} has no address", self.config.host));
                }
            }
            Ok(Err(error)) => return (Trouble::Dns, format!("{}: {error}", self.config.host)),
            Err(_) => {
                return (Trouble::Dns, format!("{}: no answer from the name service", self.config.host));
            }
        }
        loop {
            let event = match events.poll().await {
                Ok(Event::Incoming(packet)) => packet,
                Ok(Event::Outgoing(_)) => continue,
                Err(error) => return named(&error),
            };
            let happened = match event {
                Packet::ConnAck(_) => {
                    let filter = wire::down_filter(&self.config.store);
                    if self.client.try_subscribe(filter, QoS::AtLeastOnce).is_err() {
                        return (Trouble::Tcp, "the line takes no subscription".into());
                    }
                    continue;
                }
                Packet::SubAck(ack) => match ack.return_codes.first() {
                    Some(SubscribeReasonCode::Success(_)) => LineEvent::Up,
                    refused => return (Trouble::Auth, format!("may not hear its own topics: {refused:?}")),
                },
                Packet::Publish(publish) => {
                    let topic = std::str::from_utf8(&publish.topic).ok();
                    match topic.and_then(|topic| wire::parse_down(topic, &self.config.store)) {
                        Some(kind) => LineEvent::Frame(kind, publish.payload.into()),
                        None => continue,
                    }
                }
                Packet::Disconnect(goodbye) => {
                    return (Trouble::Refused, format!("the broker said goodbye: {:?}", goodbye.reason_code));
                }
                _ => continue,
            };
            if self.heard.send((self.connect, happened)).await.is_err() {
                return (Trouble::Tcp, "the sender has ended".into());
            }
        }
    }
}

/// What a person can act on.
fn named(error: &ConnectionError) -> (Trouble, String) {
    use ConnectReturnCode::{BadAuthenticationMethod, BadUserNamePassword, Banned, NotAuthorized};
    // What breaks a connection that stood is carried where no `source` leads to it.
    let carried = match error {
        ConnectionError::MqttState(StateError::Deserialization(inner)) => tls::refused(inner),
        ConnectionError::MqttState(StateError::Io(inner)) => tls::refused(inner),
        other => tls::refused(other),
    };
    if let Some((refused, why)) = carried {
        return (of_tls(refused), why);
    }
    match error {
        ConnectionError::ConnectionRefused(
            code @ (BadUserNamePassword | NotAuthorized | Banned | BadAuthenticationMethod),
        ) => (Trouble::Auth, format!("the broker refuses user name or password: {code:?}")),
        ConnectionError::ConnectionRefused(code) => {
            (Trouble::Refused, format!("the broker refuses the connection: {code:?}"))
        }
        ConnectionError::NotConnAck(_) => (Trouble::Refused, "what answers is not an MQTT 5 broker".into()),
        ConnectionError::Timeout(_) => (Trouble::Tcp, "no answer in time".into()),
        ConnectionError::Tls(error) => (Trouble::Tls, error.to_string()),
        ConnectionError::Io(error) => (Trouble::Tcp, error.to_string()),
        ConnectionError::MqttState(StateError::OutgoingPacketTooLarge { pkt_size, max }) => {
            (Trouble::Refused, format!("the broker takes packets of {max} bytes, one of {pkt_size} is due"))
        }
        ConnectionError::MqttState(StateError::Io(error)) => (Trouble::Tcp, error.to_string()),
        other => (Trouble::Tcp, other.to_string()),
    }
}

fn of_tls(refused: Refused) -> Trouble {
    match refused {
        Refused::Foreign | Refused::Other => Trouble::Tls,
        Refused::Name => Trouble::Name,
        Refused::Expired => Trouble::Expired,
        // Head office's certificate is in use elsewhere: a clock that has not reached it is a box whose battery died.
        Refused::NotYet => Trouble::Clock,
        Refused::Own => Trouble::Certificate,
    }
}

#[cfg(test)]
mod tests {
    use rustls::CertificateError;

    use super::*;

    #[test]
    fn is_each_cause_named_and_not_called_offline() {
        let io = |kind: std::io::ErrorKind| ConnectionError::Io(std::io::Error::from(kind));
        let tls = |why| ConnectionError::Io(std::io::Error::other(rustls::Error::InvalidCertificate(why)));
        let alert = rustls::Error::AlertReceived(rustls::AlertDescription::CertificateRequired);
        for (error, trouble) in [
            (ConnectionError::ConnectionRefused(ConnectReturnCode::BadUserNamePassword), Trouble::Auth),
            (ConnectionError::ConnectionRefused(ConnectReturnCode::ServerBusy), Trouble::Refused),
            (io(std::io::ErrorKind::ConnectionRefused), Trouble::Tcp),
            (tls(CertificateError::Expired), Trouble::Expired),
            (tls(CertificateError::NotValidYet), Trouble::Clock),
            (tls(CertificateError::UnknownIssuer), Trouble::Tls),
            (tls(CertificateError::BadSignature), Trouble::Tls),
            (tls(CertificateError::NotValidForName), Trouble::Name),
            (ConnectionError::MqttState(StateError::Io(std::io::Error::other(alert))), Trouble::Certificate),
        ] {
            assert_eq!(named(&error).0, trouble, "{error}");
        }
    }
}
