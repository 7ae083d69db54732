//! A till and the shoppers who come to it: requests of the contract, repeated under the same id until they are answered.
//!
//! A till has one request on its way. It believes what it is told: what a shopper was told is what the judge is asked about.
//! It gives up after `TRIES_MAX` tries, as a cashier would; then nobody knows what became of the request.

use std::collections::VecDeque;
use std::rc::Rc;

use serde::Deserialize;

use crate::domain::calendar::StoreZone;
use crate::domain::ids::{DeviceId, Epoch, Seq, StoreId};

use super::rules;
use super::stage::{Event, Stage};

/// Tries of one request.
const TRIES_MAX: u64 = 24;
/// First wait for an answer, in milliseconds; it doubles up to the last.
const PATIENCE_MS: u64 = 2_000;
const PATIENCE_MS_MAX: u64 = 600_000;
/// Sales a till can still void or take back.
const RECENT_MAX: usize = 6;

/// One till.
pub(super) struct Till {
    /// Its number.
    pub(super) number: usize,
    /// Its shop's number.
    pub(super) shop: usize,
    /// Its name in the shop.
    pub(super) device: DeviceId,
    asking: Option<Asking>,
    next_id: u64,
    next_sale: u64,
    recent: VecDeque<Recent>,
    /// What is to be sold once the quote is there.
    wanted: Option<String>,
    zone: StoreZone,
}

struct Asking {
    op: &'static str,
    bytes: Rc<[u8]>,
    id: String,
    tries: u64,
    sale: Option<Recent>,
}

#[derive(Clone)]
struct Recent {
    day: String,
    seq: u64,
    units: u64,
}

#[derive(Deserialize)]
struct Heard {
    re: Option<String>,
    status: u16,
    #[serde(default)]
    retry_after_ms: Option<u32>,
    #[serde(default)]
    data: Option<Told>,
}

#[derive(Deserialize)]
struct Told {
    #[serde(default)]
    quote: Option<String>,
    #[serde(default)]
    decision: Option<String>,
    #[serde(default)]
    total: Option<i64>,
    #[serde(default)]
    refund: Option<i64>,
}

impl Till {
    /// A till of a shop.
    pub(super) fn new(number: usize, shop: usize, nth: usize, zone: StoreZone) -> Till {
        Till {
            number,
            shop,
            device: DeviceId::new(&format!("till-{nth}")).expect("a device id"),
            asking: None,
            next_id: 1,
            next_sale: 1,
            recent: VecDeque::new(),
            wanted: None,
            zone,
        }
    }

    /// Is nobody served here?
    pub(super) fn is_free(&self) -> bool {
        self.asking.is_none()
    }

    /// A shopper comes.
    pub(super) fn visit(&mut self, stage: &mut Stage<'_>) {
        if !self.is_free() {
            return;
        }
        match stage.random.below(100) {
            0..35 => self.sell(stage),
            35..60 => {
                let basket = self.basket(stage);
                self.wanted = Some(basket.clone());
                self.ask("quote", &format!("{{{basket}}}"), None, stage);
            }
            60..70 => {
                let card = card(stage.random.between(1, rules::MEMBERS));
                self.ask("scan", &format!("{{\"token\":{card}}}"), None, stage);
            }
            70..78 => self.void(stage),
            78..86 => self.give_back(stage),
            86..90 => {
                let card = card(rules::MEMBERS + 1 + stage.random.below(40));
                let data = format!("{{\"token\":{card},\"consent\":{{\"programme\":true}}}}");
                self.ask("enroll", &data, None, stage);
            }
            90..92 => self.ask("feedback", "{\"score\":7}", None, stage),
            92..97 => self.pick_up(stage),
            _ => self.ask("event", "{\"kind\":\"door\"}", None, stage),
        }
    }

    fn pick_up(&mut self, stage: &mut Stage<'_>) {
        let Some(order) = stage.desire.of_shop(self.shop, &mut stage.random) else { return self.sell(stage) };
        let data = format!("{{\"kind\":\"pick_up\",\"order\":\"{order}\"}}");
        self.ask("event", &data, None, stage);
    }

    fn sell(&mut self, stage: &mut Stage<'_>) {
        let basket = self.basket(stage);
        self.commit(&basket, stage);
    }

    fn commit(&mut self, what: &str, stage: &mut Stage<'_>) {
        let sale = self.number(stage);
        let data = format!(
            "{{\"transaction\":{},{what},\"tenders\":[{{\"kind\":\"cash\",\"amount\":1000000}}]}}",
            transaction(&sale)
        );
        self.ask("commit", &data, Some(sale), stage);
    }

    fn void(&mut self, stage: &mut Stage<'_>) {
        let Some(place) = self.some_sale(stage) else { return self.sell(stage) };
        let sale = self.recent[place].clone();
        if stage.random.chance(800) {
            self.recent.remove(place);
        }
        self.ask("void", &format!("{{\"transaction\":{}}}", transaction(&sale)), None, stage);
    }

    fn give_back(&mut self, stage: &mut Stage<'_>) {
        let Some(place) = self.some_sale(stage) else { return self.sell(stage) };
        let original = self.recent[place].clone();
        let own = self.number(stage);
        let qty = stage.random.between(1, original.units);
        let data = format!(
            "{{\"original\":{},\"transaction\":{},\"lines\":[{{\"line\":\"1\",\"qty\":{qty}}}]}}",
            transaction(&original),
            transaction(&own)
        );
        self.ask("return", &data, None, stage);
    }

    fn some_sale(&self, stage: &mut Stage<'_>) -> Option<usize> {
        let count = self.recent.len();
        (count > 0).then(|| usize::try_from(stage.random.below(count as u64)).unwrap_or(0))
    }

    fn number(&mut self, stage: &Stage<'_>) -> Recent {
        let day = self.zone.civil(stage.unix()).day.to_string();
        self.next_sale += 1;
        Recent { day, seq: self.next_sale, units: 1 }
    }

    /// The fields of a basket: lines, and perhaps a member, a code, points to spend.
    fn basket(&mut self, stage: &mut Stage<'_>) -> String {
        let random = &mut stage.random;
        let lines = random.between(1, 3);
        let mut text = String::from("\"basket\":{\"lines\":[");
        for line in 1..=lines {
            if line > 1 {
                text.push(',');
            }
            let (article, qty) = (random.between(1, rules::ARTICLES), random.between(1, 3));
            text.push_str(&format!("{{\"line\":\"{line}\",\"sku\":\"a-{article}\",\"qty\":{qty}}}"));
        }
        text.push_str("]}");
        if random.chance(600) {
            let member = card(random.between(1, rules::MEMBERS));
            text.push_str(&format!(",\"member\":{member}"));
            if random.chance(300) {
                text.push_str(",\"points\":{\"spend\":\"max\"}");
            }
        }
        if random.chance(250) {
            let home = if random.chance(800) { self.shop } else { (self.shop + 1) % stage.shops.max(1) };
            let code = rules::code(home, random.below(rules::CODES_PER_SHOP));
            text.push_str(&format!(",\"coupons\":[\"{code}\"]"));
        }
        text
    }

    fn ask(&mut self, op: &'static str, data: &str, sale: Option<Recent>, stage: &mut Stage<'_>) {
        self.next_id += 1;
        let id = format!("{}.request.{:06}", self.device, self.next_id);
        let bytes = Rc::from(format!("{{\"v\":1,\"id\":\"{id}\",\"data\":{data}}}").into_bytes());
        self.asking = Some(Asking { op, bytes, id, tries: 0, sale });
        self.send(stage);
    }

    fn send(&mut self, stage: &mut Stage<'_>) {
        let (number, id) = (self.number, self.next_id);
        let Some(asking) = &mut self.asking else { return };
        asking.tries += 1;
        stage.counts.requests += 1;
        let wait = (PATIENCE_MS << asking.tries.min(20)).min(PATIENCE_MS_MAX);
        stage.after(wait, Event::Patience { till: number, try_no: id * 1_000 + asking.tries });
        let (op, bytes) = (asking.op, asking.bytes.clone());
        stage.ask(self.shop, number, op, &bytes);
    }

    /// An answer is overdue.
    pub(super) fn impatient(&mut self, try_no: u64, stage: &mut Stage<'_>) {
        let Some(asking) = &self.asking else { return };
        if try_no != self.next_id * 1_000 + asking.tries {
            return;
        }
        if asking.tries >= TRIES_MAX {
            self.asking = None;
            self.wanted = None;
            return;
        }
        self.send(stage);
    }

    /// An answer arrives.
    pub(super) fn answered(&mut self, store: &StoreId, bytes: &[u8], stage: &mut Stage<'_>) {
        let Ok(heard) = serde_json::from_slice::<Heard>(bytes) else {
            stage.judge.accuse("wire", format!("{store}: an answer cannot be read"));
            return;
        };
        // What was told counts, whether the till still listens or not.
        if let Some(told) = heard.data.as_ref().filter(|_| heard.status == 200)
            && let Some((epoch, seq)) = told.decision.as_deref().and_then(reference)
        {
            stage.judge.believed(store, epoch, seq, told.total.or(told.refund));
        }
        let is_mine = self.asking.as_ref().is_some_and(|asking| heard.re.as_deref() == Some(&asking.id));
        if !is_mine {
            return;
        }
        if let Some(wait) = heard.retry_after_ms.filter(|_| heard.status >= 500) {
            let Some(asking) = &self.asking else { return };
            let try_no = self.next_id * 1_000 + asking.tries;
            stage.after(u64::from(wait), Event::Patience { till: self.number, try_no });
            return;
        }
        let Some(asking) = self.asking.take() else { return };
        let wanted = self.wanted.take();
        match (asking.op, heard.status) {
            ("commit", 200) => {
                self.recent.extend(asking.sale);
                if self.recent.len() > RECENT_MAX {
                    self.recent.pop_front();
                }
            }
            ("quote", 200) => {
                let quote = heard.data.and_then(|told| told.quote);
                if let (Some(quote), true) = (quote, stage.random.chance(850)) {
                    self.wanted = wanted;
                    self.commit(&format!("\"quote\":\"{quote}\""), stage);
                }
            }
            // The box knows nothing of the quote any more: the goods are sold all the same.
            ("commit", 410) => {
                if let Some(basket) = wanted {
                    self.commit(&basket, stage);
                }
            }
            _ => {}
        }
    }
}

/// Which decision an answer names: store, epoch, place.
fn reference(text: &str) -> Option<(Epoch, Seq)> {
    let mut parts = text.split('/').skip(1);
    let epoch = parts.next()?.parse().ok()?;
    let seq = parts.next()?.parse().ok()?;
    Some((Epoch(epoch), Seq(seq)))
}

fn card(number: u64) -> String {
    format!("{{\"kind\":\"card\",\"value\":\"c-{number}\"}}")
}

fn transaction(sale: &Recent) -> String {
    format!("{{\"business_day\":\"{}\",\"seq\":{}}}", sale.day, sale.seq)
}
