//! Does an open quote keep its word and stand in nobody's way: not in its own till's, not after a refusal, not twice?

#[path = "support/counter.rs"]
mod counter;
#[path = "support/rules.rs"]
mod rules;

use std::collections::BTreeMap;

use aisled::devices::wire;
use aisled::domain::ids::{DeviceId, Seq};
use aisled::engine::Outcome;
use aisled::engine::decision::{Facts, Key, Record};
use aisled::engine::input::Input;
use aisled::engine::reply::{Answer, QuoteReply, Reply};
use aisled::limits;
use aisled::pricing::outcome::CouponOutcome;
use counter::{Counter, Done, NOON};
use serde_json::{Value, json};

const TISSUES: &str = "6901234000086";
const SPINACH: &str = "6901234000062";
const CAKE: &str = "6901234000093";

struct Shop {
    counter: Counter,
    records: BTreeMap<Key, Record>,
}

impl Shop {
    fn new() -> Shop {
        let authored = rules::authored();
        Shop {
            counter: Counter::new(counter::bundle(&authored), Seq(1)),
            records: counter::records(&authored, NOON).into_iter().collect(),
        }
    }

    fn ask(&mut self, till: &str, op: &str, data: &Value) -> Answer {
        let records = &self.records;
        match self.counter.ask(&mut |key| records.get(key).cloned(), till, op, data) {
            Done::Answered(answer) => answer,
            Done::Decided(entry) => {
                for change in entry.changes.iter() {
                    if let Some(record) = &change.record {
                        self.records.insert(change.key.clone(), record.clone());
                    }
                }
                entry.answer
            }
        }
    }

    fn quote(&mut self, till: &str, data: &Value) -> Box<QuoteReply> {
        match self.ask(till, "quote", data) {
            Ok(Reply::Quote(quote)) => quote,
            other => panic!("{data}: {other:?}"),
        }
    }

    /// Did the only code of a basket apply?
    fn applies(&mut self, till: &str, data: &Value) -> bool {
        self.quote(till, data).figures.coupons[0].outcome == CouponOutcome::Applied
    }
}

/// Lines named 1, 2 and so on as they stand.
fn basket(skus: &[&str]) -> Value {
    let lines: Vec<Value> = (skus.iter().enumerate())
        .map(|(n, sku)| json!({ "line": (n + 1).to_string(), "sku": sku, "qty": 1, "unit_price": 2_000 }))
        .collect();
    json!({ "basket": { "lines": lines } })
}

fn with(mut data: Value, more: &Value) -> Value {
    for (key, value) in more.as_object().expect("fields") {
        data[key] = value.clone();
    }
    data
}

fn once() -> Value {
    json!({ "coupons": ["ONCE-01"] })
}

#[test]
fn does_a_till_that_prices_after_each_scan_stand_in_its_own_way() {
    let mut shop = Shop::new();
    let card = json!({ "member": { "kind": "card", "value": "2001" } });
    let steps = [
        basket(&[TISSUES]),
        basket(&[TISSUES, SPINACH]),
        with(basket(&[TISSUES, SPINACH]), &card),
        with(basket(&[TISSUES, SPINACH, CAKE]), &card),
        // The first line is taken out, and the till numbers the others anew.
        with(basket(&[SPINACH, CAKE]), &card),
        // The wrong card: none, then another.
        basket(&[SPINACH, CAKE]),
        with(basket(&[SPINACH, CAKE]), &json!({ "member": { "kind": "card", "value": "2002" } })),
    ];
    for step in steps {
        assert!(shop.applies("till-1", &with(step.clone(), &once())), "{step}");
    }
    assert!(!shop.applies("till-2", &with(basket(&[TISSUES]), &once())), "the last one holds it");
}

#[test]
fn does_a_parked_basket_keep_what_it_was_promised() {
    let mut shop = Shop::new();
    let parked = shop.quote("till-1", &with(basket(&[TISSUES, CAKE]), &once()));
    shop.quote("till-1", &basket(&[SPINACH]));
    shop.quote(
        "till-1",
        &with(basket(&[TISSUES]), &json!({ "member": { "kind": "card", "value": "2003" } })),
    );
    // The third has one of its articles, and is of somebody known: it went on as that basket, without the code.
    assert!(shop.applies("till-2", &with(basket(&[CAKE]), &once())));
    let mut shop = Shop::new();
    shop.quote("till-1", &with(basket(&[TISSUES, CAKE]), &once()));
    shop.quote("till-1", &basket(&[SPINACH]));
    assert!(!shop.applies("till-2", &with(basket(&[CAKE]), &once())), "another basket took nothing over");
    let sold = shop.ask("till-1", "commit", &settle(&parked, 1));
    assert!(matches!(sold, Ok(Reply::Commit(_))), "{sold:?}");
}

fn settle(quote: &QuoteReply, seq: u64) -> Value {
    json!({
        "transaction": { "business_day": "2026-11-18", "seq": seq },
        "quote": quote.quote,
        "tenders": [{ "kind": "cash", "amount": quote.figures.total }],
    })
}

#[test]
fn does_a_refused_commit_take_a_hold_away() {
    let mut shop = Shop::new();
    let first = shop.quote("till-1", &with(basket(&[TISSUES]), &once()));
    let second = shop.quote("till-1", &with(basket(&[TISSUES, CAKE]), &once()));
    let unpaid = with(settle(&first, 1), &json!({ "tenders": [] }));
    assert!(shop.ask("till-1", "commit", &unpaid).is_err(), "nobody paid");
    assert!(!shop.applies("till-2", &with(basket(&[CAKE]), &once())), "the successor holds it still");
    let basket_unpaid = json!({ "transaction": { "business_day": "2026-11-18", "seq": 2 }, "tenders": [] });
    let basket_unpaid = with(with(basket(&[TISSUES, CAKE]), &once()), &basket_unpaid);
    assert!(shop.ask("till-1", "commit", &basket_unpaid).is_err(), "nobody paid");
    let unknown = json!({ "basket": { "lines": [{ "line": "1", "sku": TISSUES, "qty": 1 }, { "line": "2", "sku": "unheard-of", "qty": 1 }] } });
    assert!(shop.ask("till-1", "quote", &with(unknown, &once())).is_err(), "an unknown article");
    assert!(!shop.applies("till-2", &with(basket(&[CAKE]), &once())), "and still");
    let sold = shop.ask("till-1", "commit", &settle(&second, 3));
    assert!(matches!(sold, Ok(Reply::Commit(_))), "{sold:?}");
    let again = shop.ask("till-1", "commit", &settle(&first, 4));
    assert!(again.is_err(), "its code is used: {again:?}");
}

#[test]
fn does_a_repeated_quote_get_its_first_answer() {
    let mut shop = Shop::new();
    let data = with(
        with(basket(&[TISSUES, CAKE, SPINACH]), &once()),
        &json!({ "member": { "kind": "card", "value": "2001" }, "points": { "spend": "max" } }),
    );
    let payload = json!({ "v": 1, "id": "the-same-again", "data": data }).to_string().into_bytes();
    let chain = shop.counter.engine.bundle().expect("it is active").shop.chain.clone();
    let device = DeviceId::new("till-1").expect("an id");
    let mut ask = |seconds: i64| {
        let (_, request) = wire::decode("quote", &device, &payload, None, &chain).expect("it reads");
        let input = Input::Request(Box::new(request));
        let mut facts = Facts::default();
        loop {
            let keys = shop.counter.engine.needs(&input, &facts);
            if keys.is_empty() {
                break;
            }
            for key in keys {
                let record = shop.records.get(&key).cloned();
                facts.add(key, record);
            }
        }
        shop.counter.engine.handle(input, facts, NOON.plus_ms(seconds * 1_000))
    };
    let Outcome::Read(first) = ask(3) else { panic!("it is a read") };
    assert!(matches!(&*first, Ok(Reply::Quote(quote)) if !quote.figures.not_applied.is_empty()), "{first:?}");
    let Outcome::Again { answer, after: None } = ask(9) else { panic!("it was answered before") };
    assert_eq!(answer, first);
}

#[test]
fn are_open_quotes_bounded_by_their_bytes() {
    let mut shop = Shop::new();
    let lines: Vec<Value> = (0..400)
        .map(|n| json!({ "line": n.to_string(), "sku": format!("article-{n:04}"), "qty": 1, "unit_price": 100 }))
        .collect();
    let wide = json!({ "basket": { "lines": lines } });
    let mut open = 0;
    for n in 0..limits::OPEN_QUOTES_MAX {
        shop.quote(&format!("till-{}", n % 40), &wide);
        let now = shop.counter.engine.open_quotes();
        if now <= open {
            // One that large takes some ten KiB.
            assert!((200..2_000).contains(&now), "{now}");
            return;
        }
        open = now;
    }
    panic!("{open} wide quotes are open");
}
