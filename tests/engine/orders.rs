//! Is an order that was paid online handed over once, whatever is lost, said twice or comes late? A table (`orders.txt`) of what the
//! online shop, head office's real lender, a real engine and its tills do. After each step the books are held against each
//! other: what waits stands under its code and member and is counted, and nothing else does.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use aisled::bundle::Bundle;
use aisled::domain::calendar::UnixMs;
use aisled::domain::ids::{Epoch, MemberId, OrderId, Seq, StoreId};
use aisled::domain::order::{Order, OrderLine, OrderState, OrderWord, Shown};
use aisled::engine::decision::{Entry, Facts, Key, Record};
use aisled::engine::input::Input;
use aisled::engine::reply::Reply;
use aisled::engine::{Engine, Outcome};
use aisled::hub::lender::{self, Lender};
use aisled::hub::partner::{self, Known};
use serde_json::{Value, json};

use crate::counter::{self, Counter, Done, NOON};
use crate::rules;

const DAY_MS: i64 = 86_400_000;

fn s01() -> StoreId {
    StoreId::new("s01").expect("an id")
}

struct World {
    bundle: Arc<Bundle>,
    counter: Counter,
    epoch: Epoch,
    tables: BTreeMap<Key, Record>,
    backup: BTreeMap<Key, Record>,
    journal: Vec<Entry>,
    /// So many of them head office has read.
    read: usize,
    /// What a lost box had not sent.
    unsent: Vec<Entry>,
    lender: Lender,
    log: Vec<lender::Record>,
    said: Vec<OrderWord>,
}

impl World {
    fn new() -> World {
        let authored = rules::authored();
        let bundle = counter::bundle(&authored);
        let tables: BTreeMap<Key, Record> = counter::records(&authored, NOON).into_iter().collect();
        let mut world = World {
            counter: Counter::new(bundle.clone(), Seq(1)),
            bundle,
            epoch: Epoch(1),
            backup: tables.clone(),
            tables,
            journal: Vec::new(),
            read: 0,
            unsent: Vec::new(),
            lender: Lender::new(1, false),
            log: Vec::new(),
            said: Vec::new(),
        };
        world.hello();
        world
    }

    fn now(&self) -> UnixMs {
        self.counter.now
    }

    fn hello(&mut self) {
        self.lender.hello(&s01(), self.epoch, self.now());
        self.log.extend(self.lender.take_records());
        self.lender.committed();
    }

    fn decided(&mut self, entry: &Entry) {
        // As it stands in the journal, and comes up.
        let entry = Entry::decode(&entry.encode()).expect("it was just written");
        for change in entry.changes.iter() {
            match &change.record {
                Some(record) => self.tables.insert(change.key.clone(), record.clone()),
                None => self.tables.remove(&change.key),
            };
        }
        self.journal.push(entry);
        self.check();
    }

    fn hear(&mut self, word: OrderWord) {
        let (input, mut facts) = (Input::Order(Box::new(word)), Facts::default());
        load(&self.counter.engine, &input, &mut facts, &self.tables);
        if let Outcome::Decided(entry) = self.counter.engine.handle(input, facts, self.counter.now) {
            self.decided(&entry);
        }
    }

    /// Words to the shop: how many.
    fn down(&mut self) -> usize {
        self.hello();
        let frames = self.lender.order_frames(self.now());
        let words: Vec<OrderWord> = frames.into_iter().flat_map(|(_, frame)| frame.orders).collect();
        self.said.extend(words.clone());
        let count = words.len();
        words.into_iter().for_each(|word| self.hear(word));
        count
    }

    fn up(&mut self) {
        for entry in &self.journal[self.read..] {
            self.lender.entry(&s01(), entry.epoch, entry.seq, entry);
        }
        self.read = self.journal.len();
    }

    /// Until both sides rest.
    fn line(&mut self) {
        self.counter.now = self.now().plus_ms(aisled::limits::ORDER_RESEND_MS);
        for _ in 0..8 {
            self.up();
            if self.down() == 0 {
                return self.up();
            }
        }
        panic!("it never rests");
    }

    /// What waits stands under its code and member and is counted, and nothing else does.
    fn check(&self) {
        let (mut listed, mut shown, mut waiting, mut shelf) = (BTreeSet::new(), BTreeSet::new(), 0, 0);
        for (key, record) in &self.tables {
            match (key, record) {
                (Key::Order(id), Record::Order(pickup)) if pickup.state == OrderState::Waiting => {
                    waiting += 1;
                    shown.extend(pickup.code.map(|mark| (Shown::Code(mark), id.clone())));
                    shown.extend(pickup.order.member.clone().map(|id_of| (Shown::Member(id_of), id.clone())));
                }
                (Key::Waiting(by), Record::Waiting(ids)) => {
                    listed.extend(ids.0.iter().map(|(id, _)| (by.clone(), id.clone())));
                }
                (Key::Shelf, Record::Shelf(of)) => shelf = of.waiting(),
                _ => {}
            }
        }
        assert_eq!(listed, shown);
        assert_eq!(shelf, waiting);
    }

    fn partner(&mut self, who: &str, request: Value) -> String {
        let (nobodys, chain) = (|_: &MemberId| None, self.bundle.shop.chain.clone());
        let known = Known { points: &nobodys, chain: Some(&chain), now: self.now() };
        let who = StoreId::new(if who == "office" { "online" } else { who }).expect("an id");
        let payload = request.to_string();
        let told = partner::answer(&mut self.lender, &known, &who, payload.as_bytes());
        self.log.extend(self.lender.take_records());
        self.lender.committed();
        match told["code"].as_str() {
            Some(code) => format!("{code} {}", told["detail"].as_str().expect("a detail")),
            None => {
                let data = &told["data"];
                let flags = ["after_cancel", "twice"].into_iter().filter(|flag| data[*flag] == true);
                let words =
                    ["stage", "device", "refusal"].into_iter().filter_map(|field| data[field].as_str());
                words.chain(flags).collect::<Vec<_>>().join(" ")
            }
        }
    }

    fn place(&mut self, who: &str, id: &str, words: &[&str]) -> String {
        let of = |name: &str| words.iter().find_map(|word| word.strip_prefix(name)?.strip_prefix('='));
        let days =
            |text: &str| text.strip_suffix('d').and_then(|days| days.parse::<i64>().ok()).expect("days");
        let lines: u32 = of("lines").map_or(1, |lines| lines.parse().expect("a number"));
        let lines: Vec<Value> = (1..=lines).map(|n| json!({ "sku": format!("sku-{n}"), "qty": n })).collect();
        let until = NOON.plus_ms(days(of("until").unwrap_or("7d")) * DAY_MS);
        let placed = NOON.plus_ms(if until < NOON { -7 * DAY_MS } else { 0 });
        let mut order = json!({
            "order": id, "store": of("store").unwrap_or("s01"), "lines": lines, "ready": words.contains(&"ready"),
            "placed": placed.to_string(), "until": until.to_string(),
        });
        for field in ["code", "member"] {
            if let Some(text) = of(field) {
                order[field] = json!(text);
            }
        }
        self.partner(who, json!({ "v": 1, "id": format!("placing.{id}"), "order": order }))
    }

    fn till(&mut self, device: &str, op: &str, data: &Value) -> String {
        let tables = self.tables.clone();
        let answer = match self.counter.ask(&mut |key| tables.get(key).cloned(), device, op, data) {
            Done::Answered(answer) => answer,
            Done::Decided(entry) => {
                self.decided(&entry);
                entry.answer
            }
        };
        match answer {
            Err(refusal) => format!("{} {}", refusal.code, refusal.detail),
            Ok(Reply::Scan(scan)) if scan.pickups.is_empty() => "nothing".to_owned(),
            Ok(Reply::Scan(scan)) => {
                let told = scan.pickups.iter().map(|pickup| format!("{} {}", pickup.order, pickup.state));
                told.collect::<Vec<_>>().join(", ")
            }
            Ok(_) => "handed over".to_owned(),
        }
    }

    /// A new life of the box over these tables.
    fn begin(&mut self, tables: BTreeMap<Key, Record>) {
        let now = self.now();
        self.epoch = Epoch(self.epoch.0 + 1);
        self.tables = tables;
        self.unsent = self.journal.split_off(self.read);
        self.counter = Counter::living(self.bundle.clone(), Seq(1), self.epoch);
        self.counter.now = now;
    }

    fn office_starts(&mut self, incarnation: u64) {
        self.lender = Lender::new(incarnation, false);
        for record in &self.log {
            assert!(self.lender.replay(record));
        }
        self.read = 0;
        self.up();
        self.lender.replayed();
        self.hello();
    }

    fn act(&mut self, words: &[&str]) -> String {
        match *words {
            ["line"] => self.line(),
            ["down"] => drop(self.down()),
            ["up"] => self.up(),
            // What was said when it was placed comes now.
            ["down", "late"] => {
                let now = self.now();
                self.counter.now = NOON;
                let frames = self.lender.order_frames(NOON);
                self.counter.now = now;
                frames.into_iter().flat_map(|(_, frame)| frame.orders).for_each(|word| self.hear(word));
            }
            ["again"] => self.said.clone().into_iter().for_each(|word| self.hear(word)),
            ["wait", days] => {
                let days: i64 = days.trim_end_matches('d').parse().expect("days");
                self.counter.now = self.now().plus_ms(days * DAY_MS);
            }
            ["box", "backup"] => self.backup = self.tables.clone(),
            ["box", "restored"] => self.begin(self.backup.clone()),
            ["box", "lost"] => {
                let authored = rules::authored();
                self.begin(counter::records(&authored, NOON).into_iter().collect());
            }
            ["late"] => {
                for entry in std::mem::take(&mut self.unsent) {
                    self.lender.entry(&s01(), entry.epoch, entry.seq, &entry);
                }
            }
            ["office", "starts"] => self.office_starts(1),
            ["office", "forgets"] => {
                self.log.clear();
                self.office_starts(2);
            }
            ["stray", id, store] => self.hear(OrderWord {
                incarnation: 1,
                nth: 1,
                order: Order {
                    id: OrderId::new(id).expect("an id"),
                    store: StoreId::new(store).expect("an id"),
                    member: None,
                    lines: vec![OrderLine {
                        sku: aisled::domain::ids::Sku::new("x").expect("an id"),
                        qty: 1,
                        title: None,
                    }],
                    ready: true,
                    placed: NOON,
                    until: NOON.plus_ms(DAY_MS),
                },
                code: None,
                state: OrderState::Waiting,
            }),
            ["fill", count, shown] => {
                for n in 1..=count.parse().expect("a number") {
                    assert_eq!(self.place("office", &format!("F-{n}"), &[shown]), "placed");
                }
            }
            ["forget", member] => {
                let member = MemberId::new(member).expect("an id");
                let entry = self.counter.engine.forget(&member, None, self.counter.now);
                self.tables.retain(|key, _| !key.is_of(&|id| *id == member));
                let gone = |id: &MemberId| *id == member;
                let tables = std::mem::take(&mut self.tables).into_iter();
                self.tables =
                    tables.filter_map(|(key, record)| Some((key, record.without(&gone)?))).collect();
                self.decided(&entry);
            }
            [who, "place", id, ref words @ ..] => return self.place(who, id, words),
            [who, "cancel", id] => {
                let id = json!({ "order": id });
                return self.partner(who, json!({ "v": 1, "id": "cancelling", "cancel": id }));
            }
            [who, "ask", id] => {
                return self.partner(who, json!({ "v": 1, "id": "asking-0", "ask": { "order": id } }));
            }
            [till, "scan", code] => {
                return self.till(till, "scan", &json!({ "token": { "kind": "qr", "value": code } }));
            }
            [till, "card", card] => {
                return self.till(till, "scan", &json!({ "token": { "kind": "card", "value": card } }));
            }
            [till, "pick_up", id] => {
                return self.till(till, "event", &json!({ "kind": "pick_up", "order": id }));
            }
            ref other => panic!("nobody knows how to {other:?}"),
        }
        String::new()
    }
}

fn load(engine: &Engine, input: &Input, facts: &mut Facts, tables: &BTreeMap<Key, Record>) {
    loop {
        let keys = engine.needs(input, facts);
        if keys.is_empty() {
            return;
        }
        keys.into_iter().for_each(|key| facts.add(key.clone(), tables.get(&key).cloned()));
    }
}

#[test]
fn what_becomes_of_orders_by_the_table() {
    let (mut world, mut about, mut scenarios) = (World::new(), "", 0);
    for (at, line) in include_str!("orders.txt").lines().enumerate() {
        let line = line.trim();
        if let Some(title) = line.strip_prefix("== ") {
            (world, about, scenarios) = (World::new(), title, scenarios + 1);
            continue;
        }
        if line.is_empty() || line.starts_with('#') {
            continue;
        }
        let (does, expected) = line.split_once("=>").unwrap_or((line, ""));
        let came = world.act(&does.split_whitespace().collect::<Vec<_>>());
        let expected = expected.trim();
        let is_so = match expected.split_once(' ') {
            Some((code, part)) if code.starts_with("AIS-") => came.starts_with(code) && came.contains(part),
            None if expected.starts_with("AIS-") => came.starts_with(expected),
            _ => came == expected,
        };
        assert!(is_so, "line {}, {about}:\n{line}\ncame: {came}", at + 1);
    }
    assert!(scenarios >= 20, "{scenarios}");
}
