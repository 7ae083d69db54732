//! The shell: one loop around the engine, ordered start and shutdown.
//!
//! ```text
//! broker's tasks <--lanes--> link --Happening-------> +------+ --Entry--> store's commit thread --Durable--+
//! control socket, head office, inbox --Command------> | loop | <-------------------------------------------+
//! wall and rising clock, one tick a second ---------> +------+ --answers, when durable--> link
//! ```
//! The loop is one task beside the broker's, on a runtime with two workers: a request goes from its device's connection
//! through the loop and back without a hop between threads, and while one worker decides, the other serves connections.
//! What the loop reads of the tables is in memory mostly. Start: store, active bundle, broker, link, then ready. Stop, in
//! reverse: say so, refuse new requests, let what is decided become durable and be spoken, farewell, close the store.
//! A failed disk ends the process at once, without farewell: nothing may be acknowledged any more.

mod advisor;
mod age;
mod bundles;
pub mod census;
mod console;
pub mod control;
pub mod desk;
mod disk;
mod doors;
mod labels;
mod opening;
mod outbox;
pub mod privacy;
pub mod roll;
mod scarce;
pub mod sightings;
mod told;

use std::net::SocketAddr;
use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use anyhow::{Context, Result, anyhow, bail};
use tokio::sync::{mpsc, oneshot, watch};

use crate::bundle::Bundle;
use crate::clock::Clock;
use crate::config::Config;
use crate::devices::broker::{BrokerError, Door, Running as RunningBroker};
use crate::devices::link::{Happening, Inbox, Outgoing};
use crate::devices::topic::{Topic, Topics};
use crate::devices::wire::status::{EngineState, EngineStatus, Presence as DevicePresence};
use crate::domain::calendar::UnixMs;
use crate::domain::ids::{BundleRef, DeviceId, MemberId, Seq};
use crate::engine::advice::Advice;
use crate::engine::decision::{Key, Record};
use crate::engine::input::{Input, MembersUpdate};
use crate::engine::{Engine, HeadOffice, Identity, Outcome};
use crate::limits;
use crate::storage::store::{Footing, Store};
use crate::upstream::link as head_office;
use crate::upstream::machine::Status as LineStatus;

use advisor::Advisor;
use age::Age;
use bundles::Shelf;
pub(crate) use bundles::{is_kept, trusted_of_kept};
use console::{Presence, Window};
use control::Ask;
use desk::Desk;
use disk::{DiskWatch, Verdict};
use doors::{FrontDoor, Sender, front_door, start_upstream};
use opening::{Reached, open_store, resume_bundle};
use privacy::Forgetting;
use roll::Roll;

/// Something for the loop from beside the devices.
pub enum Command {
    /// A question of the shell, and where the answer goes.
    Ask(Ask, oneshot::Sender<Vec<u8>>),
    /// Head office spoke.
    HeadOffice(head_office::Happening),
    /// What the shelf should say.
    Labels(Arc<[crate::engine::reply::Label]>),
    /// What to propose from now on.
    Advice(Box<Advice>),
    /// The inbox was looked through; what is new in it was verified, compiled and kept.
    Looked(Option<Arc<Bundle>>),
    /// What is done beside the loop so that members are forgotten has ended.
    Forgotten {
        /// All of it is done.
        whole: bool,
    },
}

/// A running daemon. Dropping it stops it in order too, as `stop` does, but nobody waits for the end or hears of an error.
pub struct Running {
    /// Where the embedded broker listens; nothing with a shop's own broker.
    pub addr: Option<SocketAddr>,
    /// Where it listens for devices on the network, if it does.
    pub tls_addr: Option<SocketAddr>,
    stop: watch::Sender<bool>,
    ended: watch::Receiver<Option<String>>,
    thread: Option<std::thread::JoinHandle<Result<()>>>,
}

impl Running {
    /// Waits until the daemon ends by itself: with its error.
    pub async fn ended(&mut self) -> String {
        match self.ended.wait_for(Option::is_some).await {
            Ok(cause) => cause.clone().unwrap_or_default(),
            Err(_) => "the daemon's thread is gone".to_owned(),
        }
    }

    /// Ordered shutdown: what is decided becomes durable and is spoken.
    pub fn stop(mut self) -> Result<()> {
        self.stop.send_replace(true);
        let thread = self.thread.take().context("failed to stop: stopped before")?;
        thread.join().map_err(|_| anyhow!("failed to stop cleanly: the daemon's thread panicked"))?
    }
}

/// Starts the daemon and returns once it answers (READY): store, rules if there are any, broker session.
pub fn start(config: Config, clock: Arc<dyn Clock>, credentials_dir: Option<PathBuf>) -> Result<Running> {
    let (stop, stopped) = watch::channel(false);
    let (end, ended) = watch::channel(None);
    let (ready, is_ready) = std::sync::mpsc::sync_channel(1);
    let body = move || {
        let outcome = run(config, clock, credentials_dir, stopped, ready);
        end.send_replace(Some(match &outcome {
            Ok(()) => "it was stopped".to_owned(),
            Err(error) => format!("{error:#}"),
        }));
        outcome
    };
    let thread = std::thread::Builder::new().name("engine".to_owned()).spawn(body);
    let thread = thread.context("failed to start the engine's thread")?;
    match is_ready.recv() {
        Ok((addr, tls_addr)) => Ok(Running { addr, tls_addr, stop, ended, thread: Some(thread) }),
        Err(_) => match thread.join() {
            Ok(Err(error)) => Err(error),
            Ok(Ok(())) => bail!("failed to start: it was stopped before it was ready"),
            Err(_) => bail!("failed to start: the engine's thread panicked"),
        },
    }
}

type Ready = std::sync::mpsc::SyncSender<(Option<SocketAddr>, Option<SocketAddr>)>;

fn run(
    config: Config,
    clock: Arc<dyn Clock>,
    credentials_dir: Option<PathBuf>,
    stopped: watch::Receiver<bool>,
    ready: Ready,
) -> Result<()> {
    let (progress, progressed) = watch::channel(Reached::default());
    let (store, shelf) = open_store(&config, progress)?;
    let around = tokio::runtime::Builder::new_multi_thread()
        .worker_threads(2)
        .thread_name("around")
        .enable_all()
        .build()
        .context("failed to start the runtime")?;
    let serving = around.spawn(serve(Setup {
        config,
        clock,
        credentials_dir,
        stopped,
        ready,
        store,
        shelf,
        progressed,
        around: around.handle().clone(),
    }));
    let outcome = around.block_on(serving);
    around.shutdown_timeout(Duration::from_millis(limits::STOP_MS_MAX));
    outcome.context("failed to keep the loop running")?
}

struct Setup {
    config: Config,
    clock: Arc<dyn Clock>,
    credentials_dir: Option<PathBuf>,
    stopped: watch::Receiver<bool>,
    ready: Ready,
    store: Store,
    shelf: Shelf,
    progressed: watch::Receiver<Reached>,
    around: tokio::runtime::Handle,
}

async fn serve(setup: Setup) -> Result<()> {
    let Setup {
        config,
        clock,
        credentials_dir,
        mut stopped,
        ready,
        mut store,
        shelf,
        mut progressed,
        around,
    } = setup;
    let topics = Topics::new(&config.store.id);
    let started = clock.now();
    let identity = store.identity().clone();
    let engine_identity =
        Identity { store: identity.store.clone(), epoch: identity.epoch, secret: identity.secret, started };
    let mut engine = Engine::new(engine_identity, store.next_seq());
    resume_bundle(&mut engine, &mut store, &shelf);

    let FrontDoor { mut broker, roll, link, mut inbox, watch } =
        front_door(&config, &topics, &identity, &clock, credentials_dir.as_deref(), &around).await?;
    let (commands, mut commanded) = mpsc::channel(limits::COMMANDS_MAX);
    let control = config.store.data_dir.join(control::SOCKET);
    let asked = commands.clone();
    let control = around.spawn(async move {
        if let Err(error) = control::serve(control, asked).await {
            tracing::warn!(error = format!("{error:#}"), "the shell cannot ask this daemon");
        }
    });
    let is_writable = store.footing() != Footing::ReadOnly;
    let sender = match is_writable {
        true => {
            start_upstream(&config, &store, &clock, credentials_dir.as_deref(), &commands, &around).await?
        }
        false => None,
    };
    let mut line = sender.as_ref().map(|sender| sender.upstream.status());

    let newest = store.active_bundle().map(|active| active.reference.clone());
    let waiting = if is_writable { shelf.take(newest.as_ref(), engine.bundle().is_some()) } else { None };
    let disk = DiskWatch::new(&store, &config.store.data_dir, config.storage.free_space_min_mb);
    let per_second = config.devices.requests_per_second_max;
    let kept = shelf.clone();
    let advisor = Advisor::start((&store.journal(), store.vault()), clock.clone(), commands.clone())?;
    let window = Window::open(&config, clock.clone(), (store.journal(), store.vault()), commands.clone())?;
    let desk = Desk::new(engine, store, topics, link, clock.clone(), per_second)
        .with_rules_of(Box::new(move |reference| kept.load_past(reference)));
    let mut shop = Shop {
        desk,
        shelf,
        clock,
        started,
        sender,
        looking: false,
        newest,
        told: Default::default(),
        words: Default::default(),
        arrived: None,
        coming: None,
        fed: Seq(0),
        present: Default::default(),
        disk,
        advisor,
        window,
        labels: labels::Labels::default(),
        shown_at: started,
        roll,
        door: broker.as_ref().map(RunningBroker::door),
        forgetting: Default::default(),
        finishing: false,
        age: Age::default(),
        data_dir: config.store.data_dir.clone(),
    };
    shop.look_at_disk();
    shop.line(line.as_ref().map(|line| line.borrow().clone()));
    shop.command(Command::Looked(waiting))?;
    if let Some(bundle) = shop.desk.engine.bundle() {
        told::tell_of_network(bundle);
        shop.advisor.bundle(bundle.clone());
        shop.window.iter().for_each(|window| window.rules(bundle.clone()));
    }
    if let (Some(sender), Some(bundle)) = (&shop.sender, shop.desk.engine.bundle()) {
        sender.upstream.bundle_active(bundle.reference.version);
    }
    let mut tick = tokio::time::interval(Duration::from_millis(limits::TICK_MS));
    tick.set_missed_tick_behavior(tokio::time::MissedTickBehavior::Skip);
    let (mut up, mut announced) = (false, false);
    let addr = broker.as_ref().map(RunningBroker::local_addr);
    let tls_addr = broker.as_ref().and_then(RunningBroker::tls_addr);
    let ended = loop {
        if up && !announced && shop.arrived.is_none() && shop.coming.is_none() {
            announced = true;
            ready.send((addr, tls_addr)).context("failed to say that the daemon is ready")?;
            notify(&[sd_notify::NotifyState::Ready]);
        }
        tokio::select! {
            biased;
            _ = stopped.wait_for(|stopped| *stopped) => break None,
            _ = tick.tick() => {
                if shop.look_at_disk() == Verdict::StartAnew {
                    break Some(anyhow!("failed to go on as it is: the disk has room again, start anew"));
                }
                shop.tick(&commands)?;
            }
            changed = progressed.changed() => {
                changed.context("failed to hear the store: its threads are gone")?;
                let reached = progressed.borrow_and_update().clone();
                if let Some(why) = reached.failed {
                    bail!("failed to make decisions durable: {why}");
                }
                shop.durable(reached.durable);
                shop.decide_own()?;
            }
            happening = inbox.next() => match happening {
                Some(Happening::Message(received)) => shop.received(received)?,
                Some(Happening::Up) => {
                    up = true;
                    shop.announce_now();
                }
                Some(Happening::Down(cause)) => tracing::warn!(cause, "the broker is away; devices are not heard"),
                None => bail!("failed to keep the link to the broker"),
            },
            cause = broker_ended(&mut broker) => bail!("failed to {cause}"),
            Some(command) = commanded.recv(), if shop.told.len() < limits::COMMANDS_MAX => shop.command(command)?,
            () = line_changed(&mut line) => shop.line(line.as_ref().map(|line| line.borrow().clone())),
        }
    };
    drop(commanded);
    tracing::info!("stopping: what is decided becomes durable and is spoken");
    notify(&[sd_notify::NotifyState::Stopping]);
    shop.finish(&mut inbox, &mut progressed).await?;
    control.abort();
    if let Some(watch) = watch {
        watch.abort();
    }
    let Shop { desk, sender, window, .. } = shop;
    if let Some(window) = window {
        around.spawn_blocking(|| window.close()).await.context("failed to close the console")?;
    }
    if let Some(sender) = sender {
        drop(sender.stop);
        sender.forward.await.context("failed to stop the sender")?.shutdown().await;
    }
    inbox.close().await;
    if let Some(broker) = broker {
        around.spawn(broker.shutdown()).await.context("failed to stop the broker")?;
    }
    tokio::task::spawn_blocking(move || desk.store.close()).await.context("failed to close the store")?;
    ended.map_or(Ok(()), Err)
}

async fn line_changed(line: &mut Option<watch::Receiver<LineStatus>>) {
    match line {
        Some(line) => {
            if line.changed().await.is_err() {
                std::future::pending().await
            }
        }
        None => std::future::pending().await,
    }
}

async fn broker_ended(broker: &mut Option<RunningBroker>) -> BrokerError {
    match broker {
        Some(broker) => broker.ended().await,
        None => std::future::pending().await,
    }
}

fn notify(states: &[sd_notify::NotifyState<'_>]) {
    if let Err(error) = sd_notify::notify(states) {
        tracing::debug!(%error, "the supervisor is not told");
    }
}

/// A bundle that is decided but not in force yet.
struct Coming {
    bundle: Arc<Bundle>,
    since: UnixMs,
    seq: Seq,
}

/// The loop's state.
struct Shop {
    desk: Desk,
    shelf: Shelf,
    clock: Arc<dyn Clock>,
    started: UnixMs,
    sender: Option<Sender>,
    looking: bool,
    /// The bundle the journal last made active, though its file may not be readable: no older one is ever taken.
    newest: Option<BundleRef>,
    /// Head office's members, in parts, that wait for room in the store. Head office tells them again after a stop.
    told: std::collections::VecDeque<MembersUpdate>,
    /// Head office's words about leases and orders, in order, that wait for room in the store. They come again until taken.
    words: std::collections::VecDeque<Input>,
    /// A bundle that waits for room to be decided; its file stays in the inbox meanwhile.
    arrived: Option<Arc<Bundle>>,
    coming: Option<Coming>,
    fed: Seq,
    present: std::collections::BTreeMap<DeviceId, Presence>,
    disk: DiskWatch,
    advisor: Advisor,
    window: Option<Window>,
    labels: labels::Labels,
    /// When what members were shown was decided last.
    shown_at: UnixMs,
    /// The embedded broker's devices, and its door.
    roll: Option<Arc<Roll>>,
    door: Option<Door>,
    /// Members whose forgetting is decided, until the tables are written anew.
    forgetting: Vec<Forgetting>,
    /// The rest of it is done beside the loop.
    finishing: bool,
    age: Age,
    data_dir: PathBuf,
}

impl Shop {
    fn received(&mut self, received: crate::devices::link::Received) -> Result<()> {
        if let Some(Topic::DeviceStatus { device }) = self.desk.topics().parse(&received.topic) {
            let status = crate::devices::wire::status::DeviceStatus::decode(&received.payload).ok();
            let online = status.as_ref().is_some_and(|status| status.state == DevicePresence::Online);
            if let Ok(device) = DeviceId::new(device) {
                self.labels.presence(&device, status.as_ref());
                if self.desk.watches.has(&device) {
                    self.desk.watches.saw(&device, sightings::presence(&received.payload, self.clock.now()));
                }
            }
            if let Ok(device) = DeviceId::new(device)
                && (self.present.len() < limits::DEVICES_MAX || self.present.contains_key(&device))
            {
                let (since, software) = (self.clock.now(), status.and_then(|status| status.software));
                self.present.insert(device, Presence { online, since, software });
            }
            return Ok(());
        }
        self.desk.message(received).map_err(storage_failed)
    }

    /// A bundle is in force once its members and codes are in the tables: before, they would be taken for strangers.
    fn bundle_arrived(&mut self) {
        let followed = self.desk.store.followed();
        let Some(Coming { bundle, since, .. }) = self.coming.take_if(|coming| coming.seq <= followed) else {
            return;
        };
        let reference = bundle.reference.clone();
        told::tell_of_network(&bundle);
        self.advisor.bundle(bundle.clone());
        self.window.iter().for_each(|window| window.rules(bundle.clone()));
        self.desk.engine.resume_bundle(bundle, since);
        tracing::info!(version = reference.version, hash = %reference.hash, "a bundle is active");
        if let Some(sender) = &self.sender {
            sender.upstream.bundle_active(reference.version);
        }
        self.announce_now();
    }

    fn durable(&mut self, durable: Seq) {
        self.bundle_arrived();
        self.desk.durable(durable);
        if let Some(sender) = &self.sender {
            sender.upstream.durable(Seq(durable.0 + 1));
        }
    }

    fn state(&self) -> EngineState {
        if self.desk.withholds() { EngineState::Degraded } else { EngineState::Ready }
    }

    fn announce_now(&mut self) {
        self.announce(self.state());
    }

    /// What is free decides what is spent; a change is announced.
    fn look_at_disk(&mut self) -> Verdict {
        let verdict = self.disk.look(&self.desk.store);
        let withholds = verdict != Verdict::Fine;
        if withholds != self.desk.withholds() {
            self.desk.withhold(withholds);
            let free_bytes = self.disk.free_bytes;
            match withholds {
                true => tracing::warn!(?free_bytes, code = "AIS-5016", "nothing scarce is spent from now on"),
                false => tracing::info!(?free_bytes, "everything is spent again as always"),
            }
            self.announce_now();
        }
        verdict
    }

    fn announce(&mut self, state: EngineState) {
        let identity = self.desk.store.identity();
        let mut status = EngineStatus::new(state, identity.store.clone(), identity.epoch, self.clock.now());
        status.bundle = self.desk.engine.bundle().map(|bundle| bundle.reference.clone());
        let topic = self.desk.topics().engine_status();
        let message = Outgoing { topic, payload: status.encode(), retain: true, ..Outgoing::default() };
        if let Err(error) = self.desk.link().publish(message) {
            tracing::debug!(%error, "the presence is not told");
        }
        let bundle = status
            .bundle
            .map_or_else(|| "no bundle".to_owned(), |bundle| format!("bundle {}", bundle.version));
        notify(&[sd_notify::NotifyState::Status(&format!("{state:?}, {bundle}"))]);
    }

    /// Members are counted in a thread of its own: it may take seconds.
    fn count_segments(&self, question: census::Question, answer: oneshot::Sender<Vec<u8>>) {
        let Some(bundle) = self.desk.engine.bundle().cloned() else {
            return reply(answer, &serde_json::json!({ "error": "no bundle is active" }));
        };
        let today = bundle.shop.time_zone.civil(self.clock.now()).day;
        let tables = self.desk.store.tables();
        tokio::task::spawn_blocking(move || {
            let told = census::answer(&tables, &bundle, today, &question);
            let told = told.unwrap_or_else(|error| serde_json::json!({ "error": format!("{error:#}") }));
            reply(answer, &told);
        });
    }

    fn command(&mut self, command: Command) -> Result<()> {
        match command {
            Command::Ask(Ask::Status, answer) => reply(answer, &self.status()),
            Command::Ask(Ask::Decision { seq }, answer) => {
                reply(answer, &self.desk.store.decision(seq).map_err(storage_failed)?);
            }
            Command::Ask(Ask::Segments { question }, answer) => self.count_segments(question, answer),
            Command::Ask(Ask::Enroll { device, role }, answer) => {
                let roll = self.roll.clone();
                tokio::task::spawn_blocking(move || reply(answer, &roll::told_code(roll, &device, role)));
            }
            Command::Ask(Ask::Request { op, payload }, answer) => {
                let shell = DeviceId::new("shell").expect("a constant id is valid");
                let payload = serde_json::to_vec(&payload).context("failed to write the request")?;
                self.desk.ask(&op, &shell, &payload, answer).map_err(storage_failed)?;
            }
            Command::Ask(Ask::Sale { transaction }, answer) => {
                let known = self.desk.store.load(&Key::Sale(transaction)).map_err(storage_failed)?;
                let known = known.and_then(|record| match record {
                    Record::Sale(sale) => Some(sale),
                    _ => None,
                });
                reply(answer, &known);
            }
            Command::Ask(Ask::Watch { device, after }, answer) => {
                let watched = self.desk.watches.told(&device, after, self.clock.ticks());
                let online = self.present.get(&device).is_some_and(|presence| presence.online);
                reply(answer, &watched.map(|watched| sightings::Watched { online, ..watched }));
            }
            Command::Ask(Ask::Import { device, op, payload }, answer) => {
                let payload = serde_json::to_vec(&payload).context("failed to write the request")?;
                self.desk.ask(&op, &device, &payload, answer).map_err(storage_failed)?;
            }
            Command::HeadOffice(head_office::Happening::Members(update)) => {
                for members in update.members.chunks(limits::MEMBERS_DECISION_MAX) {
                    self.told.push_back(MembersUpdate { members: members.to_vec(), ..update.clone() });
                }
                self.decide_own()?;
            }
            Command::HeadOffice(head_office::Happening::Words(words)) => {
                let room = limits::LEASE_WORDS_WAITING_MAX.saturating_sub(self.words.len());
                self.words.extend(words.into_iter().take(room));
                self.decide_own()?;
            }
            Command::HeadOffice(head_office::Happening::Bundle { version, path }) => {
                let place = self.shelf.inbox().join(format!("{version}.aisb"));
                if let Err(error) = std::fs::rename(&path, &place) {
                    tracing::error!(%error, path = %path.display(), "a bundle of head office is not taken");
                }
            }
            Command::Ask(Ask::Member { member }, answer) => {
                let tables = self.desk.store.tables();
                tokio::task::spawn_blocking(move || {
                    let told = privacy::known(&tables, &member);
                    reply(
                        answer,
                        &told.unwrap_or_else(|error| serde_json::json!({ "error": format!("{error:#}") })),
                    );
                });
            }
            Command::Ask(Ask::Forget { member }, answer) => self.forget(member, answer)?,
            Command::Forgotten { whole } => {
                self.finishing = false;
                if whole && self.forgetting.is_empty() {
                    self.desk.store.vault().forgetting_ended().map_err(storage_failed)?;
                }
            }
            Command::Labels(labels) => {
                let now = self.now_in_the_shop();
                self.labels.worked_out(&labels, &now, (self.desk.link(), self.desk.topics()));
            }
            Command::Advice(advice) => self.desk.engine.advise(advice),
            Command::Looked(None) => self.looking = false,
            Command::Looked(Some(bundle)) => {
                self.looking = false;
                self.arrived = Some(bundle);
                self.decide_own()?;
            }
        }
        Ok(())
    }

    /// See `privacy`: steps 1 and 2.
    fn forget(&mut self, member: MemberId, answer: oneshot::Sender<Vec<u8>>) -> Result<()> {
        if let Some(refused) = privacy::refusal(&mut self.desk.store, &member)? {
            reply(answer, &refused);
            return Ok(());
        }
        let (entry, number) = privacy::begin(&mut self.desk.engine, &self.desk.store, &member, &*self.clock)?;
        let seq = entry.seq;
        self.desk.commit(entry).map_err(storage_failed)?;
        self.forgetting.push(Forgetting { member, number, seq, answer: Some(answer) });
        Ok(())
    }

    /// See `privacy`: what is left once the tables are written anew, beside the loop.
    fn finish_forgetting(&mut self, commands: &mpsc::Sender<Command>) {
        let followed = self.desk.store.followed();
        if self.finishing || self.forgetting.is_empty() || self.forgetting.iter().any(|it| it.seq > followed)
        {
            return;
        }
        self.finishing = true;
        let (shelf, active, commands) = (self.shelf.clone(), self.newest.clone(), commands.clone());
        let journal = (self.desk.store.journal(), self.desk.store.vault());
        let decided = std::mem::take(&mut self.forgetting);
        tokio::task::spawn_blocking(move || {
            privacy::finish_all(&shelf, &journal, active.as_ref(), decided, &commands);
        });
    }

    /// Decides what no device asked for, as far as the store has room: nobody can be told to come again.
    fn decide_own(&mut self) -> Result<()> {
        while self.desk.store.has_room() {
            if let Some(bundle) = self.arrived.take() {
                self.activate(bundle)?;
            } else if let Some(part) = self.told.pop_front() {
                let decided = self.desk.decide(Input::Members(part)).map_err(storage_failed)?;
                if let Outcome::Decided(entry) = decided {
                    self.desk.commit(entry).map_err(storage_failed)?;
                }
            } else if let Some(word) = self.words.pop_front() {
                let decided = self.desk.decide(word).map_err(storage_failed)?;
                // Any other is passed over: heard before, or one before it was lost and both come again.
                if let Outcome::Decided(entry) = decided {
                    self.desk.commit(entry).map_err(storage_failed)?;
                }
            } else {
                break;
            }
        }
        Ok(())
    }

    fn activate(&mut self, bundle: Arc<Bundle>) -> Result<()> {
        let since = self.clock.now();
        if let Some((signed_at, _)) = self.shelf.times(&bundle.reference) {
            self.desk.engine.signed_at(signed_at);
        }
        let entry = self.desk.engine.decide_activation(&bundle, since);
        let seq = entry.seq;
        self.desk.commit(entry).map_err(storage_failed)?;
        self.audit(
            "bundle.activate",
            serde_json::json!({ "version": bundle.reference.version, "hash": bundle.reference.hash }),
        );
        if let Err(error) = self.shelf.mark_active(&bundle.reference) {
            tracing::warn!(error = format!("{error:#}"), "active.aisb does not name the active bundle");
        }
        self.newest = Some(bundle.reference.clone());
        self.coming = Some(Coming { bundle, since, seq });
        Ok(())
    }

    /// Writes down what the daemon does with the box, beside the loop. Selling does not wait for it, nor end where it cannot be.
    fn audit(&self, act: &'static str, what: serde_json::Value) {
        let (dir, at) = (self.data_dir.clone(), self.clock.now());
        tokio::task::spawn_blocking(move || {
            if let Err(error) = crate::audit::append(&dir, at, "daemon", act, what) {
                tracing::error!(%error, code = %error.code(), act, "an act is not in the audit log");
            }
        });
    }

    /// What members were shown becomes a decision once a minute: results are counted from it.
    fn tell_shown(&mut self) -> Result<()> {
        let now = self.clock.now();
        if now.ms_since(self.shown_at).abs() < limits::SHOWN_EVERY_MS || !self.desk.store.has_room() {
            return Ok(());
        }
        self.shown_at = now;
        if let Some(shown) = self.desk.engine.shown()
            && let Outcome::Decided(entry) = self.desk.decide(shown).map_err(storage_failed)?
        {
            self.desk.commit(entry).map_err(storage_failed)?;
        }
        Ok(())
    }

    fn line(&mut self, status: Option<LineStatus>) {
        let Some(status) = status else { return };
        let line = if status.connected { HeadOffice::Near } else { HeadOffice::DownSince(status.since) };
        self.desk.engine.head_office_is(line);
    }

    fn now_in_the_shop(&self) -> String {
        let now = self.clock.now();
        let bundle = self.desk.engine.bundle();
        bundle.map_or_else(|| now.to_string(), |bundle| bundle.shop.time_zone.format(now))
    }

    /// Once a second: what waits for room, the inbox, and the watchdog, which is fed only while decisions become durable.
    fn tick(&mut self, commands: &mpsc::Sender<Command>) -> Result<()> {
        self.decide_own()?;
        self.tell_shown()?;
        self.finish_forgetting(commands);
        self.desk.lanes.second();
        if let Some(window) = &self.window {
            window.show(self.picture());
        }
        let active = self.desk.engine.bundle().map(|bundle| bundle.reference.clone());
        self.age.look(&self.shelf, active.as_ref(), self.clock.now());
        let bundle = self.desk.engine.bundle();
        self.labels.tick(bundle, self.clock.now(), (self.desk.link(), self.desk.topics()), commands);
        if let Some(sender) = &self.sender {
            let wants = self.desk.engine.wants(self.clock.now());
            sender.upstream.wants(wants, Seq(self.desk.store.next_seq().0 - 1));
            if let Some(tally) = self.desk.store.tally() {
                sender.upstream.tally(tally);
            }
        }
        let durable = self.desk.store.durable();
        if durable > self.fed || durable.0 + 1 == self.desk.store.next_seq().0 {
            notify(&[sd_notify::NotifyState::Watchdog]);
        }
        self.fed = durable;
        let is_busy = self.desk.store.footing() == Footing::ReadOnly
            || self.looking
            || self.arrived.is_some()
            || self.coming.is_some();
        if is_busy || !bundles::waits(&self.shelf) {
            return Ok(());
        }
        self.looking = true;
        let (shelf, commands) = (self.shelf.clone(), commands.clone());
        let (newest, in_force) = (self.newest.clone(), self.desk.engine.bundle().is_some());
        tokio::task::spawn_blocking(move || {
            let taken = shelf.take(newest.as_ref(), in_force);
            if commands.blocking_send(Command::Looked(taken)).is_err() {
                tracing::info!("what waits in the inbox waits for the next start");
            }
        });
        Ok(())
    }

    /// New requests get 503; what is decided becomes durable and is spoken.
    async fn finish(&mut self, inbox: &mut Inbox, progressed: &mut watch::Receiver<Reached>) -> Result<()> {
        self.desk.stop();
        self.announce(EngineState::Stopping);
        let last = Seq(self.desk.store.next_seq().0 - 1);
        let deadline = tokio::time::sleep(Duration::from_millis(limits::STOP_MS_MAX));
        tokio::pin!(deadline);
        while self.desk.store.durable() < last {
            tokio::select! {
                changed = progressed.changed() => {
                    changed.context("failed to hear the store: its threads are gone")?;
                    let reached = progressed.borrow_and_update().clone();
                    if let Some(why) = reached.failed {
                        bail!("failed to make decisions durable: {why}");
                    }
                    self.durable(reached.durable);
                }
                happening = inbox.next() => if let Some(Happening::Message(received)) = happening {
                    self.received(received)?;
                },
                () = &mut deadline => bail!("failed to stop in time: the disk is too slow"),
            }
        }
        self.durable(last);
        self.announce(EngineState::Offline);
        Ok(())
    }
}

fn reply<T: serde::Serialize>(answer: oneshot::Sender<Vec<u8>>, document: &T) {
    let bytes = serde_json::to_vec(document)
        .unwrap_or_else(|error| format!("{{\"error\":\"{error}\"}}").into_bytes());
    if answer.send(bytes).is_err() {
        tracing::debug!("a shell left before its answer");
    }
}

fn storage_failed(error: crate::storage::error::StorageError) -> anyhow::Error {
    anyhow!("failed to {error} ({})", error.code())
}
