//! Engine and store in this process, as the daemon's desk has them, without the wire: for what is measured below it.

use std::path::Path;
use std::sync::Arc;
use std::sync::mpsc::{Receiver, channel};
use std::time::Duration;

use anyhow::{Context, Result, anyhow, bail};

use super::child::store;
use crate::bundle::Bundle;
use crate::clock::{Clock, SystemClock};
use crate::devices::wire;
use crate::domain::ids::{DeviceId, Seq};
use crate::engine::decision::{Entry, Facts, Key};
use crate::engine::input::Input;
use crate::engine::reply::Reply;
use crate::engine::{Engine, Identity, Outcome};
use crate::limits;
use crate::storage::store::{Progress, Roll, Store, StoreOptions};

/// How long the disk may take for one thing, a million members included.
const PATIENCE: Duration = Duration::from_secs(1_200);

/// The engine over its store.
pub(super) struct Inside {
    /// The decisions.
    pub(super) engine: Engine,
    /// Their memory.
    pub(super) store: Store,
    news: Receiver<Progress>,
    bundle: Arc<Bundle>,
    device: DeviceId,
    requests: u64,
}

impl Inside {
    /// Opens a new store in `dir` and makes `bundle` active there, its members from `roll` in the tables.
    pub(super) fn open(dir: &Path, bundle: Arc<Bundle>, roll: Box<dyn Roll>) -> Result<Inside> {
        let (tell, news) = channel();
        let (store, _) = Store::open(StoreOptions {
            dir: dir.to_owned(),
            store: store(),
            machine: None,
            cache_bytes: limits::SLED_CACHE_BYTES,
            request_days: limits::REPLAY_DAYS_MIN,
            sizes: crate::storage::store::Sizes::default(),
            roll,
            tell: Box::new(move |news| {
                // Once the bench listens no more, nobody needs to know.
                let _ = tell.send(news);
            }),
        })
        .map_err(|error| anyhow!("failed to {error}"))?;
        let identity = store.identity().clone();
        let identity = Identity {
            store: identity.store,
            epoch: identity.epoch,
            secret: identity.secret,
            started: SystemClock.now(),
        };
        let engine = Engine::new(identity, store.next_seq());
        let device = DeviceId::new("till-1").expect("a constant id is valid");
        let mut inside = Inside { engine, store, news, bundle, device, requests: 0 };
        let entry = inside.engine.activate(inside.bundle.clone(), SystemClock.now());
        let seq = entry.seq;
        inside.commit(&entry)?;
        inside.until(|news| matches!(news, Progress::Followed(followed) if *followed >= seq))?;
        Ok(inside)
    }

    /// A request as it would have come over the wire.
    pub(super) fn request(&mut self, op: &str, data: &str) -> Result<Input> {
        self.requests += 1;
        let payload = format!("{{\"v\":1,\"id\":\"bench.{:08}\",\"data\":{data}}}", self.requests);
        let chain = &self.bundle.shop.chain;
        let decoded = wire::decode(op, &self.device, payload.as_bytes(), None, chain);
        let (_, request) =
            decoded.map_err(|refused| anyhow!("failed to read a request: {}", refused.refusal.detail))?;
        Ok(Input::Request(Box::new(request)))
    }

    /// Loads what the engine needs and lets it decide.
    pub(super) fn decide(&mut self, input: Input) -> Result<Outcome> {
        let mut facts = Facts::default();
        for _ in 0..limits::FACT_ROUNDS_MAX {
            let keys = self.engine.needs(&input, &facts);
            let is_last = !keys.iter().any(Key::leads_on);
            for key in keys {
                let record = self.store.load(&key).map_err(|error| anyhow!("failed to {error}"))?;
                facts.add(key, record);
            }
            if is_last {
                break;
            }
        }
        Ok(self.engine.handle(input, facts, SystemClock.now()))
    }

    /// Prices a basket and returns the input that sells it, paid in cash.
    pub(super) fn sale(&mut self, basket: &str) -> Result<Input> {
        let input = self.request("quote", basket)?;
        let (quote, total) = match self.decide(input)? {
            Outcome::Read(answer) => match &*answer {
                Ok(Reply::Quote(quote)) => (quote.quote.clone(), quote.figures.total.0),
                other => bail!("failed to price a basket: {other:?}"),
            },
            other => bail!("failed to price a basket: {other:?}"),
        };
        let tenders = if total > 0 {
            serde_json::json!([{ "kind": "cash", "amount": total }])
        } else {
            serde_json::json!([])
        };
        let data = serde_json::json!({
            "transaction": { "business_day": "2026-03-01", "seq": self.requests },
            "quote": quote,
            "tenders": tenders,
        });
        self.request("commit", &data.to_string())
    }

    /// A sale decided.
    pub(super) fn decided(&mut self, sale: Input) -> Result<Box<Entry>> {
        match self.decide(sale)? {
            Outcome::Decided(entry) => match &entry.answer {
                Ok(_) => Ok(entry),
                Err(refusal) => bail!("failed to sell a basket: {}", refusal.detail),
            },
            other => bail!("failed to sell a basket: {other:?}"),
        }
    }

    /// Sends a decision to the disk.
    pub(super) fn commit(&mut self, entry: &Entry) -> Result<()> {
        self.store.commit(entry).map_err(|error| anyhow!("failed to {error}"))
    }

    /// Waits until everything through `seq` is durable.
    pub(super) fn until_durable(&self, seq: Seq) -> Result<()> {
        self.until(|news| matches!(news, Progress::Durable(durable) if *durable >= seq))
    }

    /// Waits until the tables hold everything through `seq`.
    pub(super) fn until_followed(&self, seq: Seq) -> Result<()> {
        if self.store.followed() >= seq {
            return Ok(());
        }
        self.until(|news| matches!(news, Progress::Followed(followed) if *followed >= seq))
    }

    fn until(&self, wanted: impl Fn(&Progress) -> bool) -> Result<()> {
        loop {
            let news = self.news.recv_timeout(PATIENCE).context("failed to hear the store in time")?;
            if let Progress::Failed(why) = news {
                bail!("failed to make decisions durable: {why}");
            }
            if wanted(&news) {
                return Ok(());
            }
        }
    }
}
