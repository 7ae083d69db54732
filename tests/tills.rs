//! Do simulated tills keep the contract: a fleet of both protocols and formats against a shop that is only just one: it
//! adds prices up, remembers what it answered, and now and then loses a request.

use std::collections::BTreeMap;
use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use aisled::cli::journey::{Journey, bundle_of};
use aisled::cli::tills::{self, Fleet, Patience, Source, Stock, Tally, Visit};
use aisled::clock::SystemClock;
use aisled::devices::broker::{BrokerConfig, EmbeddedBroker, Running, engine_secret};
use aisled::devices::link::{Happening, Inbox, Link, LinkConfig, Outgoing, Received};
use aisled::devices::topic::{INSTANCE_V3, Topic, Topics};
use aisled::devices::wire;
use aisled::domain::calendar::Day;
use aisled::domain::ids::{DeviceId, StoreId};
use serde_json::{Value, json};
use tokio::sync::{Mutex, mpsc, watch};

const DEADLINE: Duration = Duration::from_secs(60);
/// What made-up shoppers ask for.
const OPS: [&str; 5] = ["scan", "quote", "commit", "wallet", "event"];

fn store() -> StoreId {
    StoreId::new("s01").expect("an id")
}

fn day() -> Day {
    "2026-03-01".parse().expect("valid")
}

fn week() -> Journey {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/data/complete-journey");
    Journey::open(&folder, 0..7).expect("the extract in the repository")
}

fn read(payload: &[u8]) -> Value {
    match payload.first() {
        Some(b'{') => serde_json::from_slice(payload).expect("JSON"),
        _ => rmp_serde::from_slice(payload).expect("MessagePack"),
    }
}

fn write(like: &[u8], reply: &Value) -> Vec<u8> {
    match like.first() {
        Some(b'{') => serde_json::to_vec(reply).expect("JSON"),
        _ => rmp_serde::to_vec_named(reply).expect("MessagePack"),
    }
}

/// The shop that is only just one.
struct Shop {
    link: Link,
    topics: Topics,
    /// Request and answer by device and id.
    answered: BTreeMap<(String, String), (Vec<u8>, Value)>,
    /// Totals by device, business day and number.
    sales: BTreeMap<(String, String, u64), i64>,
    quotes: BTreeMap<String, i64>,
    heard: u64,
    lost: u64,
    sold: watch::Sender<usize>,
    /// Each so many requests, one that was not heard before is lost.
    loses_each: u64,
    /// Does it forget what it answered? Then a repeated sale happens twice.
    forgets: bool,
}

impl Shop {
    fn hear(&mut self, message: Received) {
        let Some(Topic::Request { device, op }) = self.topics.parse(&message.topic) else { return };
        let (device, op) = (device.to_owned(), op.to_owned());
        let (id_of, content_type) = (DeviceId::new(&device).expect("an id"), message.content_type.as_deref());
        let taken = wire::decode(&op, &id_of, &message.payload, content_type, "chain");
        assert!(taken.is_ok(), "the daemon would not take this {op}: {taken:?}");
        let request = read(&message.payload);
        let id = request["id"].as_str().expect("an id").to_owned();
        let key = (device.clone(), id.clone());
        let before = if self.forgets { None } else { self.answered.get(&key) };
        let (answer, replayed) = match before {
            Some((bytes, answer)) => {
                assert_eq!(*bytes, message.payload, "the same id with other bytes");
                (answer.clone(), true)
            }
            None => {
                self.heard += 1;
                if self.loses_each > 0 && self.heard.is_multiple_of(self.loses_each) {
                    self.lost += 1;
                    return;
                }
                (self.decide(&device, &op, &id, &request["data"]), false)
            }
        };
        self.answered.insert(key, (message.payload.clone(), answer.clone()));
        let mut reply = json!({ "v": 1, "re": id });
        for (key, value) in answer.as_object().expect("an object") {
            reply[key] = value.clone();
        }
        if replayed {
            reply["replayed"] = json!(true);
        }
        let own = Topic::Reply { device: &device, instance: INSTANCE_V3 };
        let topic = message.response_topic.unwrap_or_else(|| self.topics.build(own).expect("an id"));
        assert!(self.topics.response_is_own(&device, &topic), "{topic}");
        let payload = write(&message.payload, &reply);
        let correlation_data = message.correlation_data;
        let outgoing = Outgoing { topic, payload, correlation_data, ..Outgoing::default() };
        self.link.publish(outgoing).expect("the broker of the test takes it");
    }

    fn decide(&mut self, device: &str, op: &str, id: &str, data: &Value) -> Value {
        let total = |basket: &Value| -> i64 {
            let worth =
                |line: &Value| line["unit_price"].as_i64().unwrap_or(0) * line["qty"].as_i64().unwrap_or(1);
            basket["lines"].as_array().expect("lines").iter().map(worth).sum()
        };
        match op {
            "quote" => {
                let total = total(&data["basket"]);
                self.quotes.insert(id.to_owned(), total);
                json!({ "status": 200, "data": { "quote": id, "total": total } })
            }
            "commit" => {
                let seq = data["transaction"]["seq"].as_u64().expect("a number");
                let day = data["transaction"]["business_day"].as_str().expect("a day");
                let total = match data["quote"].as_str() {
                    Some(quote) => self.quotes[quote],
                    None => total(&data["basket"]),
                };
                let paid: i64 = data["tenders"]
                    .as_array()
                    .expect("payments")
                    .iter()
                    .map(|t| t["amount"].as_i64().expect("an amount"))
                    .sum();
                assert!(paid >= total, "{paid} paid of {total}");
                let first = self.sales.insert((device.to_owned(), day.to_owned(), seq), total).is_none();
                assert!(first || self.forgets, "a sale happened twice");
                self.sold.send_replace(self.sales.len());
                json!({ "status": 200, "data": { "decision": format!("d{}", self.heard), "total": total, "discount_total": 0 } })
            }
            "void" => json!({ "status": 422, "code": "AIS-2006", "title": "x", "detail": "not today" }),
            _ => json!({ "status": 200, "data": {} }),
        }
    }

    async fn serve(mut self, mut inbox: Inbox, mut done: watch::Receiver<bool>) -> Shop {
        loop {
            tokio::select! {
                happening = inbox.next() => match happening {
                    Some(Happening::Message(message)) => self.hear(message),
                    Some(_) => {}
                    None => return self,
                },
                _ = done.wait_for(|done| *done) => return self,
            }
        }
    }
}

/// A broker, and a shop that hears.
async fn open(loses_each: u64, forgets: bool) -> (Running, Shop, Inbox) {
    let (topics, secret) = (Topics::new(&store()), engine_secret().expect("random bytes"));
    let config = BrokerConfig::open_on_loopback(topics.clone(), secret.clone());
    let broker = EmbeddedBroker::start(config).await.expect("a free port");
    let (link, mut inbox) =
        Link::start(LinkConfig::embedded(broker.local_addr(), &topics, &secret, b"offline"));
    assert_eq!(inbox.next().await, Some(Happening::Up));
    let shop = Shop {
        link,
        topics,
        answered: BTreeMap::new(),
        sales: BTreeMap::new(),
        quotes: BTreeMap::new(),
        heard: 0,
        lost: 0,
        sold: watch::Sender::new(0),
        loses_each,
        forgets,
    };
    (broker, shop, inbox)
}

fn fleet(broker: &Running, source: Source, tally: &Arc<Tally>) -> Fleet {
    Fleet {
        broker: (broker.local_addr().ip().to_string(), broker.local_addr().port()),
        store: store(),
        devices: Fleet::devices(6, 2),
        source,
        business_day: day(),
        seq_from: 1,
        run: "test".to_owned(),
        seed: 7,
        think_ms: (0, 0),
        patience: Patience { answer_ms: 300, give_up_ms: 60_000 },
        repeats_per_mille: 200,
        clock: Arc::new(SystemClock),
        tally: Arc::clone(tally),
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn is_every_real_basket_sold_once_though_requests_are_lost() {
    let (broker, shop, inbox) = open(40, false).await;
    let (done, is_done) = watch::channel(false);
    let shop = tokio::spawn(shop.serve(inbox, is_done.clone()));
    let week = week();
    let (sender, receiver) = mpsc::channel(16);
    let tally = Arc::new(Tally::default());
    let fleet = fleet(&broker, Source::Visits(Arc::new(Mutex::new(receiver))), &tally);
    let run = tokio::spawn(tills::run(fleet, is_done));
    for basket in &week.baskets {
        sender.send(Visit::of_basket(basket, day())).await.expect("tills that listen");
    }
    drop(sender);
    tokio::time::timeout(DEADLINE, run).await.expect("an end in time").expect("no panic").expect("a fleet");
    done.send_replace(true);
    let shop = shop.await.expect("no panic");

    let figures = tally.figures();
    assert!(figures.adds_up(), "{figures:?}");
    let gross: i64 = week.baskets.iter().flat_map(|basket| &basket.lines).map(|line| line.gross.0).sum();
    assert_eq!(figures.sales, week.baskets.len() as u64);
    assert_eq!(figures.sales_minor, gross.unsigned_abs());
    assert_eq!((figures.silences, figures.refusals, figures.unreadable, figures.miscorrelated), (0, 0, 0, 0));
    assert!(shop.lost > 0 && figures.resends >= shop.lost, "{} lost, {figures:?}", shop.lost);
    assert!(figures.duplicates_sent > 0, "{figures:?}");
    assert_eq!(figures.duplicates_sent, figures.duplicates_replayed);
    let sold: Vec<i64> = tally.sales().iter().map(|sale| sale.total).collect();
    assert_eq!(sold.len(), shop.sales.len());
    assert_eq!(sold.iter().sum::<i64>(), shop.sales.values().sum::<i64>());
    assert!(tally.uncertain().is_empty());
    assert!(!tally.latencies(Some("commit")).is_empty());
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn does_a_fleet_of_made_up_shoppers_stop_when_told_with_figures_that_add_up() {
    let (broker, shop, inbox) = open(0, false).await;
    let (done, is_done) = watch::channel(false);
    let mut sold = shop.sold.subscribe();
    let shop = tokio::spawn(shop.serve(inbox, is_done));
    let (mut rules, members, codes) = bundle_of(&week(), day());
    // The shop of this test knows no prices but the till's.
    rules.promotions.clear();
    let tally = Arc::new(Tally::default());
    let stock = Arc::new(Stock::new(&rules, &members, &codes, 7));
    let (stop, is_stopped) = watch::channel(false);
    let run = tokio::spawn(tills::run(fleet(&broker, Source::Stock(stock), &tally), is_stopped));
    // What shoppers ask is drawn, and how often they come is up to the machine: all of it was asked when it ends.
    let asked = || OPS.iter().all(|op| !tally.latencies(Some(op)).is_empty());
    let enough = tokio::time::timeout(DEADLINE, sold.wait_for(|sold| *sold >= 150 && asked())).await;
    enough.expect("150 sales and each request in time").expect("a shop");
    stop.send_replace(true);
    tokio::time::timeout(DEADLINE, run).await.expect("an end in time").expect("no panic").expect("a fleet");
    done.send_replace(true);
    let shop = shop.await.expect("no panic");

    let figures = tally.figures();
    assert!(figures.adds_up(), "{figures:?}");
    assert_eq!(figures.sales, shop.sales.len() as u64);
    assert_eq!(figures.refusals, tally.refused_by_code().values().sum::<u64>());
    assert_eq!(figures.up, 0);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn is_a_shop_that_forgets_its_answers_found_out() {
    let (broker, shop, inbox) = open(0, true).await;
    let (done, is_done) = watch::channel(false);
    let shop = tokio::spawn(shop.serve(inbox, is_done.clone()));
    let (sender, receiver) = mpsc::channel(16);
    let tally = Arc::new(Tally::default());
    let fleet = fleet(&broker, Source::Visits(Arc::new(Mutex::new(receiver))), &tally);
    let run = tokio::spawn(tills::run(fleet, is_done));
    for basket in week().baskets.iter().take(60) {
        sender.send(Visit::of_basket(basket, day())).await.expect("tills that listen");
    }
    drop(sender);
    tokio::time::timeout(DEADLINE, run).await.expect("an end in time").expect("no panic").expect("a fleet");
    done.send_replace(true);
    shop.await.expect("no panic");
    let figures = tally.figures();
    assert!(figures.adds_up() && figures.duplicates_sent > 0, "{figures:?}");
    assert_eq!(figures.duplicates_differing, figures.duplicates_sent);
}
