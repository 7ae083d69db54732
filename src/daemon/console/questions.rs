//! Answers to what the console asks beyond its picture, each the document that the verb of the same name prints.
//!
//! Called from threads that may wait, one question at a time of each weight. The journal is read behind the writer; sales by
//! hour are kept as they were counted, so that each look reads only what is new.

use std::collections::{BTreeMap, BTreeSet, VecDeque};
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, PoisonError};

use serde_json::{Map, Value, json};
use tokio::sync::{mpsc, oneshot, watch};

use crate::bundle::Bundle;
use crate::cli::replay::KeptRules;
use crate::cli::{campaigns, check, outbox};
use crate::clock::Clock;
use crate::config::{Broker, Config, DeviceLogin, Environment};
use crate::console::{Question, Shop, Snapshot, Trouble};
use crate::domain::calendar::Day;
use crate::domain::code::Code;
use crate::domain::ids::{BundleRef, PromotionId, SegmentId, Seq, Sku};
use crate::domain::text::Lang;
use crate::engine::decision::Entry;
use crate::engine::input::{Body, Input};
use crate::engine::replay;
use crate::engine::reply::Reply;
use crate::limits;
use crate::storage::error::StorageError;
use crate::storage::journal::JournalView;
use crate::storage::vault::Vault;

use super::super::Command;
use super::super::census;
use super::super::control::Ask;
use super::super::roll;

/// Sales and their money in each hour of a day.
type Hours = [(u64, i64); 24];

/// Sales by hour, as far as they were counted.
#[derive(Default)]
struct Counted {
    next: Seq,
    days: BTreeMap<Day, Hours>,
}

/// Answers from the journal, the files and, for quotes and counts of members, the loop.
pub(super) struct Answers {
    config: Config,
    clock: Arc<dyn Clock>,
    journal: JournalView,
    vault: Vault,
    commands: mpsc::Sender<Command>,
    snapshots: watch::Receiver<Arc<Snapshot>>,
    rules: watch::Receiver<Option<Arc<Bundle>>>,
    hours: Mutex<Counted>,
    asked: AtomicU64,
}

fn trouble(code: Code, detail: impl Into<String>) -> Trouble {
    Trouble { code, detail: detail.into() }
}

fn unread(error: &StorageError) -> Trouble {
    let code = Code::parse(error.code()).unwrap_or(Code::ConsoleCannotCount);
    trouble(code, format!("failed to {error}"))
}

impl Shop for Answers {
    fn snapshots(&self) -> watch::Receiver<Arc<Snapshot>> {
        self.snapshots.clone()
    }

    fn ask(&self, question: &Question) -> Result<Value, Trouble> {
        match question {
            Question::Decision(reference) => self.decision(reference),
            Question::Recent => self.recent(),
            Question::Campaigns => self.campaigns(),
            Question::Segments => self.segments(census::Question::Count),
            Question::Who(id) => {
                let most = limits::CONSOLE_WHO_MAX;
                self.segments(census::Question::Who { segment: segment(id)?, most })
            }
            Question::Overlap(a, b) => {
                self.segments(census::Question::Overlap { a: segment(a)?, b: segment(b)? })
            }
            Question::Hours => self.sales_by_hour(),
            Question::Quote(data) => self.quote(data),
            Question::Check => Ok(self.check()),
            Question::Identities => self.identities(),
        }
    }
}

fn segment(id: &str) -> Result<SegmentId, Trouble> {
    SegmentId::new(id).map_err(|fault| trouble(Code::ConsoleBadForm, fault.to_string()))
}

impl Answers {
    pub(super) fn new(
        config: Config,
        clock: Arc<dyn Clock>,
        (journal, vault): (JournalView, Vault),
        commands: mpsc::Sender<Command>,
        snapshots: watch::Receiver<Arc<Snapshot>>,
        rules: watch::Receiver<Option<Arc<Bundle>>>,
    ) -> Answers {
        let (hours, asked) = (Mutex::default(), AtomicU64::new(0));
        Answers { config, clock, journal, vault, commands, snapshots, rules, hours, asked }
    }

    /// Those in force, without reading them again.
    fn kept_rules(&self) -> KeptRules {
        let keys = self.config.bundle.trusted_keys.iter().filter_map(|key| key.to_string().parse().ok());
        let mut rules = KeptRules::new(&self.config.store.data_dir, keys.collect());
        if let Some(bundle) = self.rules.borrow().clone() {
            rules.know(bundle);
        }
        rules
    }

    /// Each entry from `from` on, holes passed over; bytes that cannot be read are handed over as `None`.
    fn each(&self, from: Seq, mut take: impl FnMut(Seq, Option<Entry>)) -> Result<(), Trouble> {
        let mut reader = self.journal.reader(from.max(self.journal.first()));
        loop {
            match reader.next() {
                Ok(Some(raw)) => take(raw.seq, self.vault.decode(raw.payload).ok()),
                Ok(None) => return Ok(()),
                Err(StorageError::Gap { .. } | StorageError::Pruned { .. }) => {}
                Err(error) => return Err(unread(&error)),
            }
        }
    }

    fn recent(&self) -> Result<Value, Trouble> {
        let from = Seq(self.journal.durable().0.saturating_sub(limits::CONSOLE_RECENT_LOOK));
        let mut rows = VecDeque::new();
        self.each(from, |seq, entry| {
            let Some(entry) = entry else { return };
            if !matches!(entry.input, Input::Request(_) | Input::Activate(_)) {
                return;
            }
            if rows.len() >= limits::CONSOLE_ROWS_MAX {
                rows.pop_back();
            }
            rows.push_front(json!({
                "seq": seq, "at": entry.at, "what": outbox::word(&entry), "device": device(&entry),
                "total": total(&entry), "code": entry.answer.as_ref().err().map(|refusal| refusal.code),
            }));
        })?;
        Ok(json!({ "decisions": rows }))
    }

    fn decision(&self, reference: &str) -> Result<Value, Trouble> {
        let none = || trouble(Code::ConsoleNoDecision, reference.to_owned());
        let mut parts = reference.rsplit('/');
        let number =
            parts.next().and_then(|number| number.trim().replace(['\u{202f}', ' '], "").parse().ok());
        let seq = Seq(number.ok_or_else(none)?);
        let (epoch, store) = (parts.next(), parts.next());
        if seq < self.journal.first() || seq > self.journal.durable() {
            return Err(none());
        }
        let entry = match self.journal.reader(seq).next() {
            Ok(Some(raw)) if raw.seq == seq => self
                .vault
                .decode(raw.payload)
                .map_err(|fault| trouble(Code::ConsoleCannotCount, format!("failed to {fault}")))?,
            Ok(_) | Err(StorageError::Gap { .. } | StorageError::Pruned { .. }) => return Err(none()),
            Err(error) => return Err(unread(&error)),
        };
        let own = self.config.store.id.as_str();
        let is_another = epoch.is_some_and(|epoch| epoch != entry.epoch.0.to_string())
            || store.is_some_and(|store| store != own);
        if is_another {
            return Err(none());
        }
        Ok(self.explained(&entry))
    }

    fn explained(&self, entry: &Entry) -> Value {
        let mut rules = self.kept_rules();
        let mut told = json!({
            "name": format!("{}/{}/{}", self.config.store.id, entry.epoch.0, entry.seq.0),
            "seq": entry.seq, "at": entry.at, "what": outbox::word(entry), "device": device(entry),
            "rules": entry.bundle.as_ref().map(|bundle| format!("{} ({})", bundle.version, bundle.hash)),
        });
        match &entry.answer {
            Err(refusal) => {
                (told["code"], told["detail"]) = (json!(refusal.code), json!(refusal.detail));
            }
            Ok(Reply::Commit(receipt)) => {
                let of = &receipt.transaction;
                told["transaction"] = json!(format!("{} · {}", of.business_day, of.seq));
                told["member"] = json!(receipt.member);
                told["figures"] = json!(receipt.figures);
            }
            Ok(Reply::Refund(refund)) => {
                let of = &refund.original;
                told["transaction"] = json!(format!("{} · {}", of.business_day, of.seq));
                told["refund"] = json!(refund);
            }
            Ok(_) => {}
        }
        if let Some(quote) = entry.facts.quotes().next() {
            self.priced_again(entry, &quote.bundle, &mut rules, &mut told);
        }
        told
    }

    /// The reasons, which no entry keeps, found again under the rules of the sale.
    fn priced_again(&self, entry: &Entry, of: &BundleRef, rules: &mut KeptRules, told: &mut Value) {
        let bundle = match rules.find(of) {
            Ok(bundle) => bundle,
            Err(why) => {
                told["trouble"] = json!(why);
                return;
            }
        };
        told["rules"] = json!(format!("{} ({})", of.version, of.hash));
        match replay::replay(&bundle, entry) {
            Some(Ok(again)) => {
                told["same"] = json!(again.same);
                told["figures"] = json!(again.priced);
                told["names"] = names(&bundle, &told["figures"]);
            }
            Some(Err(fault)) => told["trouble"] = json!(fault.to_string()),
            None => {}
        }
    }

    fn campaigns(&self) -> Result<Value, Trouble> {
        let mut rules = self.kept_rules();
        let most = limits::CONSOLE_RESULTS_SALES_MAX;
        let results = campaigns::results(&self.config.store.data_dir, &mut rules, most);
        let mut results = results.map_err(|error| trouble(Code::ConsoleCannotCount, format!("{error:#}")))?;
        let mut names = BTreeMap::new();
        for campaign in rules.known().flat_map(|bundle| &bundle.campaigns) {
            names.insert(campaign.id.as_str(), &campaign.names);
        }
        for one in results["campaigns"].as_array_mut().into_iter().flatten() {
            let own = one["campaign"].as_str().and_then(|id| names.get(id)).map(|names| json!(names));
            one["names"] = own.unwrap_or_default();
        }
        Ok(results)
    }

    fn command(&self, ask: Ask) -> Result<Value, Trouble> {
        let (answer, answered) = oneshot::channel();
        let busy = |_| trouble(Code::ConsoleBusy, "the daemon stops");
        self.commands.blocking_send(Command::Ask(ask, answer)).map_err(|_| busy(()))?;
        let bytes = answered.blocking_recv().map_err(|_| busy(()))?;
        serde_json::from_slice(&bytes).map_err(|error| trouble(Code::ConsoleCannotCount, error.to_string()))
    }

    fn segments(&self, question: census::Question) -> Result<Value, Trouble> {
        let told = self.command(Ask::Segments { question })?;
        match told.get("error").and_then(Value::as_str) {
            Some(error) => Err(trouble(Code::ConsoleCannotCount, error)),
            None => Ok(told),
        }
    }

    fn quote(&self, data: &Value) -> Result<Value, Trouble> {
        let nth = self.asked.fetch_add(1, Ordering::Relaxed);
        let id = format!("console-{}-{nth}", self.clock.now().0);
        let payload = json!({ "v": 1, "id": id, "data": data });
        let reply = self.command(Ask::Request { op: "quote".to_owned(), payload })?;
        let mut reply = reply;
        // A reply's lines name no article; the basket's do, by the same line.
        let asked = data.pointer("/basket/lines").and_then(Value::as_array);
        let sku_of =
            |line: &Value| asked?.iter().find(|asked| asked["line"] == line["line"])?.get("sku").cloned();
        let lines = reply.pointer_mut("/data/lines").and_then(Value::as_array_mut);
        for line in lines.into_iter().flatten() {
            if let Some(sku) = sku_of(line) {
                line["sku"] = sku;
            }
        }
        let bundle = self.rules.borrow().clone();
        let names = bundle.map(|bundle| names(&bundle, &reply)).unwrap_or_default();
        Ok(json!({ "reply": reply, "names": names }))
    }

    fn check(&self) -> Value {
        let environment = Environment::of_process();
        let around = check::Surroundings {
            environment: &environment,
            clock: Arc::clone(&self.clock),
            known: &|_| self.known(),
        };
        let holder = Some(check::Holder { pid: std::process::id() });
        let probes = check::probes_of(&self.config, holder, &around);
        let told = |lang| probes.iter().map(|probe| probe.told(lang)).collect::<Vec<_>>();
        json!({ "en": told(Lang::En), "zh-CN": told(Lang::ZhCn) })
    }

    /// What a verb of the shell would ask the daemon for.
    fn known(&self) -> check::Known {
        let shown = self.snapshots.borrow().clone();
        let present = shown.devices.iter().map(|device| {
            (device.id.clone(), check::Presence { online: device.online, since: device.since })
        });
        check::Known {
            last_decision: check::last_decision(&self.journal, &self.vault),
            head_office_ahead_ms: shown.head_office.as_ref().and_then(|line| line.clock_ahead_ms),
            present: present.collect(),
            store: Some(check::Store {
                footing: if shown.disk.whole { "Whole" } else { "not whole" }.to_owned(),
                code: shown.disk.code,
                durable: shown.journal.durable,
            }),
            network: shown.network.clone(),
        }
    }

    fn identities(&self) -> Result<Value, Trouble> {
        let (mode, devices) = match &self.config.broker {
            Broker::External { .. } => ("external", Vec::new()),
            Broker::Embedded { devices_file, open_on_loopback, .. } => {
                let file = roll::devices_file(devices_file.as_ref(), &self.config.store.data_dir);
                let logins = if file.exists() { DeviceLogin::load(&file) } else { Ok(Vec::new()) };
                let logins = logins.map_err(|error| trouble(Code::DevicesFile, error.to_string()))?;
                let mode = if *open_on_loopback && logins.is_empty() { "open" } else { "named" };
                let devices = logins.into_iter().map(|login| {
                    let until = login.certificate_until.map(|day| day.to_string());
                    json!({ "device": login.device, "password": login.password.is_some(), "until": until })
                });
                (mode, devices.collect())
            }
        };
        Ok(json!({ "mode": mode, "devices": devices }))
    }

    fn sales_by_hour(&self) -> Result<Value, Trouble> {
        let zone = self.snapshots.borrow().time_zone.clone();
        let Some(zone) = zone else { return Ok(json!({})) };
        let today = zone.civil(self.clock.now()).day;
        let first = today.plus_days(1 - limits::CONSOLE_HOURS_DAYS);
        let mut counted = self.hours.lock().unwrap_or_else(PoisonError::into_inner);
        let Counted { next, days } = &mut *counted;
        self.each(*next, |seq, entry| {
            *next = Seq(seq.0 + 1);
            let Some(entry) = entry else { return };
            let (Input::Request(request), Ok(Reply::Commit(receipt))) = (&entry.input, &entry.answer) else {
                return;
            };
            if receipt.training {
                return;
            }
            // A sale rung up while the daemon was away counts at its own hour.
            let civil = zone.civil(request.at.unwrap_or(entry.at));
            if civil.day < first || civil.day > today {
                return;
            }
            let hour = &mut days.entry(civil.day).or_insert([(0, 0); 24])[usize::from(civil.minute / 60)];
            (hour.0, hour.1) = (hour.0 + 1, hour.1 + receipt.figures.total.0);
        })?;
        days.retain(|day, _| *day >= first);
        let (mut sales, mut net) = ([[0_u64; 24]; 7], [[0_i64; 24]; 7]);
        for (day, hours) in days.iter() {
            // Day 0 of the calendar, 1970-01-01, was a Thursday.
            let weekday = usize::try_from((day.number() + 3).rem_euclid(7)).unwrap_or_default();
            for (hour, (count, minor)) in hours.iter().enumerate() {
                sales[weekday][hour] += count;
                net[weekday][hour] += minor;
            }
        }
        Ok(json!({ "from": first, "to": today, "sales": sales, "net_minor": net }))
    }
}

fn device(entry: &Entry) -> Option<String> {
    match &entry.input {
        Input::Request(request) => Some(request.device.to_string()),
        _ => None,
    }
}

/// What a decision moved, as far as it is money: a sale's total, what was paid back.
fn total(entry: &Entry) -> Option<i64> {
    match (&entry.input, &entry.answer) {
        (Input::Request(request), Ok(Reply::Commit(receipt))) if matches!(request.body, Body::Commit(_)) => {
            Some(receipt.figures.total.0)
        }
        (_, Ok(Reply::Refund(refund))) => Some(-refund.refund.0),
        _ => None,
    }
}

/// What people call the promotions and articles that a document of figures names.
fn names(bundle: &Bundle, figures: &Value) -> Value {
    let mut ids = BTreeSet::new();
    named(figures, &mut ids);
    let (mut promotions, mut articles) = (Map::new(), Map::new());
    for (kind, id) in ids {
        if kind == "sku" {
            let item = Sku::new(id).ok().and_then(|sku| bundle.book.item(&sku));
            if let Some(item) = item {
                articles.insert(id.to_owned(), json!(item.names));
            }
        } else if let Some(of) = PromotionId::new(id).ok().and_then(|id| bundle.book.promotion(&id)) {
            promotions.insert(id.to_owned(), json!(of.titles));
        }
    }
    json!({ "promotions": promotions, "articles": articles })
}

/// Every `sku`, `promotion`, `loses_to` and `set` of a document.
fn named<'v>(value: &'v Value, ids: &mut BTreeSet<(&'static str, &'v str)>) {
    const KEYS: [&str; 4] = ["sku", "promotion", "loses_to", "set"];
    match value {
        Value::Array(list) => list.iter().for_each(|value| named(value, ids)),
        Value::Object(object) => {
            for (key, value) in object {
                match (KEYS.iter().find(|known| *known == key), value.as_str()) {
                    (Some(key), Some(id)) => drop(ids.insert((*key, id))),
                    _ => named(value, ids),
                }
            }
        }
        _ => {}
    }
}
