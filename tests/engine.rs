//! Does the shop's arithmetic hold whatever tills do: random days of quotes, sales, voids and returns, judged by sums.

#[path = "support/counter.rs"]
mod counter;
#[path = "engine/orders.rs"]
mod orders;
#[path = "support/rules.rs"]
mod rules;

use std::collections::BTreeMap;
use std::sync::Arc;

use aisled::bundle::Bundle;
use aisled::domain::ids::{MemberId, PromotionId, Seq};
use aisled::engine::decision::{Entry, Key, Record, UsageOf};
use aisled::engine::replay::replay;
use aisled::engine::reply::{Answer, Receipt, Refund, Reply};
use counter::{Counter, Done, NOON};
use proptest::prelude::*;
use proptest::strategy::ValueTree as _;
use serde_json::{Value, json};

const SKUS: [&str; 6] =
    ["6901234000017", "6901234000048", "6901234000062", "6901234000079", "6901234000086", "6901234000093"];
const CODES: [&str; 5] = ["ONCE-01", "ONCE-02", "FLYER3", "OLD10", "CB-7Q2M-0002"];

/// What a till does next.
#[derive(Clone, Debug)]
enum Step {
    /// Prices a basket.
    Quote(Asked),
    /// Sells the n-th open quote of those known, old or new.
    Settle(usize),
    /// Sells a basket at once.
    Sell(Asked),
    /// Voids the n-th sale.
    Void(usize),
    /// Returns units of a line of the n-th sale.
    Return(usize, usize, u32),
    /// Time passes, in seconds.
    Wait(u32),
}

#[derive(Clone, Debug)]
struct Asked {
    till: u8,
    member: Option<u8>,
    lines: Vec<(usize, u32)>,
    code: Option<usize>,
    points: Option<i64>,
}

impl Asked {
    fn data(&self) -> Value {
        let lines: Vec<Value> = (self.lines.iter().enumerate())
            .map(|(n, (sku, qty))| json!({ "line": n.to_string(), "sku": SKUS[*sku], "qty": qty }))
            .collect();
        let mut data = json!({ "basket": { "lines": lines } });
        if let Some(member) = self.member {
            data["member"] = json!({ "kind": "card", "value": (2001 + u32::from(member)).to_string() });
        }
        if let Some(code) = self.code {
            data["coupons"] = json!([CODES[code]]);
        }
        if let (Some(points), Some(_)) = (self.points, self.member) {
            data["points"] = if points == 0 { json!({ "spend": "max" }) } else { json!({ "spend": points }) };
        }
        data
    }
}

fn asked() -> impl Strategy<Value = Asked> {
    let lines = prop::collection::vec((0..SKUS.len(), 1..5_u32), 1..4);
    let member = prop::option::weighted(0.7, 0..3_u8);
    let code = prop::option::weighted(0.4, 0..CODES.len());
    let points = prop::option::weighted(0.3, prop_oneof![Just(0), 100..900_i64]);
    (0..3_u8, member, lines, code, points).prop_map(|(till, member, lines, code, points)| Asked {
        till,
        member,
        lines,
        code,
        points,
    })
}

fn step() -> impl Strategy<Value = Step> {
    prop_oneof![
        4 => asked().prop_map(Step::Quote),
        4 => (0..12_usize).prop_map(Step::Settle),
        3 => asked().prop_map(Step::Sell),
        2 => (0..20_usize).prop_map(Step::Void),
        3 => (0..20_usize, 0..3_usize, 1..4_u32).prop_map(|(sale, line, qty)| Step::Return(sale, line, qty)),
        1 => (1..90_000_u32).prop_map(Step::Wait),
    ]
}

/// A sale and what has come back of it.
struct Sold {
    till: u8,
    seq: u64,
    receipt: Receipt,
    back: Vec<Refund>,
    over: bool,
}

/// The shop's memory as plain maps, and what a bookkeeper would note beside it.
struct World {
    bundle: Arc<Bundle>,
    counter: Counter,
    records: BTreeMap<Key, Record>,
    entries: BTreeMap<Seq, Entry>,
    quotes: Vec<(u8, String)>,
    sales: Vec<Sold>,
    numbers: u64,
    points: BTreeMap<MemberId, i64>,
}

impl World {
    fn new() -> World {
        let authored = rules::authored();
        let bundle = counter::bundle(&authored);
        World {
            counter: Counter::new(bundle.clone(), Seq(1)),
            bundle,
            records: counter::records(&authored, NOON).into_iter().collect(),
            entries: BTreeMap::new(),
            quotes: Vec::new(),
            sales: Vec::new(),
            numbers: 0,
            points: authored.members.iter().map(|member| (member.id.clone(), member.points)).collect(),
        }
    }

    fn ask(&mut self, till: u8, op: &str, data: &Value) -> Answer {
        let (records, entries) = (&self.records, &self.entries);
        let mut load = |key: &Key| match key {
            Key::Decision(seq) => entries.get(seq).map(|entry| Record::Decision(Box::new(entry.clone()))),
            key => records.get(key).cloned(),
        };
        match self.counter.ask(&mut load, &format!("till-{till}"), op, data) {
            Done::Answered(answer) => answer,
            Done::Decided(entry) => {
                let bytes = entry.encode();
                let read = Entry::decode(&bytes).expect("it reads what it writes");
                assert_eq!(read, *entry, "nothing is lost or added by writing it down");
                // What a till charged alone may not be what its quote says.
                let is_sale = matches!(&read.answer, Ok(Reply::Commit(receipt)) if receipt.charged.is_none());
                assert!(
                    !is_sale || matches!(bytes[0], 3 | 4),
                    "a sale is written once, not line by line thrice"
                );
                if read.seq <= Seq(3) {
                    let named = rmp_serde::to_vec_named(&*entry).expect("plain data");
                    let plain = Entry::decode(&[&[1], named.as_slice()].concat());
                    assert_eq!(plain.as_ref(), Ok(&read), "the form of before is still read");
                    let cut = (0..bytes.len()).step_by(7).map(|at| Entry::decode(&bytes[..at]));
                    assert!(cut.into_iter().all(|read| read.is_err()), "half a decision is none");
                }
                let entry = read;
                for change in entry.changes.iter() {
                    match &change.record {
                        Some(record) => self.records.insert(change.key.clone(), record.clone()),
                        None => self.records.remove(&change.key),
                    };
                }
                if let Some(replayed) = replay(&self.bundle, &entry) {
                    assert!(replayed.expect("it prices").same, "a sale replays to the same bytes: {entry:?}");
                }
                let answer = entry.answer.clone();
                self.entries.insert(entry.seq, entry);
                answer
            }
        }
    }

    /// Other rules are in force from now on.
    fn activate(&mut self, authored: &aisled::bundle::authoring::Authored) {
        self.bundle = counter::bundle(authored);
        let entry = self.counter.engine.activate(self.bundle.clone(), self.counter.now);
        self.entries.insert(entry.seq, *entry);
    }

    fn number(&mut self) -> Value {
        self.numbers += 1;
        json!({ "business_day": "2026-11-18", "seq": self.numbers })
    }

    fn sell(&mut self, till: u8, mut data: Value) {
        data["transaction"] = self.number();
        data["tenders"] = json!([{ "kind": "cash", "amount": 10_000_000 }]);
        let seq = self.numbers;
        if let Ok(Reply::Commit(receipt)) = self.ask(till, "commit", &data) {
            if let Some(member) = &receipt.member {
                let moved: i64 = receipt.points_ledger.iter().map(|line| line.points).sum();
                *self.points.get_mut(member).expect("a member of the test") += moved;
            }
            self.sales.push(Sold { till, seq, receipt: *receipt, back: Vec::new(), over: false });
        }
    }

    fn give_back(&mut self, nth: usize, refund: Refund) {
        let sold = &mut self.sales[nth];
        if let Some(member) = &sold.receipt.member {
            let moved: i64 = refund.points_ledger.iter().map(|line| line.points).sum();
            *self.points.get_mut(member).expect("a member of the test") += moved;
        }
        sold.over |= refund.whole;
        sold.back.push(refund);
    }

    fn void(&mut self, nth: usize) {
        let Some(sold) = self.sales.get(nth) else { return };
        let data = json!({ "transaction": { "business_day": "2026-11-18", "seq": sold.seq } });
        if let Ok(Reply::Refund(refund)) = self.ask(sold.till, "void", &data) {
            assert!(refund.whole);
            self.give_back(nth, *refund);
        }
    }

    fn return_some(&mut self, nth: usize, lines: &[(String, u32)]) -> bool {
        let Some(sold) = self.sales.get(nth) else { return false };
        let (till, seq) = (sold.till, sold.seq);
        let lines: Vec<Value> = lines.iter().map(|(line, qty)| json!({ "line": line, "qty": qty })).collect();
        let data = json!({
            "original": { "business_day": "2026-11-18", "seq": seq },
            "transaction": self.number(),
            "lines": lines,
        });
        let Ok(Reply::Refund(refund)) = self.ask(till, "return", &data) else { return false };
        self.give_back(nth, *refund);
        true
    }

    fn step(&mut self, step: &Step) {
        match step {
            Step::Quote(asked) => {
                if let Ok(Reply::Quote(quote)) = self.ask(asked.till, "quote", &asked.data()) {
                    self.quotes.push((asked.till, quote.quote.as_str().to_owned()));
                }
            }
            Step::Settle(nth) => {
                if let Some((till, quote)) = self.quotes.iter().rev().nth(*nth).cloned() {
                    self.sell(till, json!({ "quote": quote }));
                }
            }
            Step::Sell(asked) => self.sell(asked.till, asked.data()),
            Step::Void(nth) => self.void(*nth),
            Step::Return(nth, line, qty) => {
                self.return_some(*nth, &[(line.to_string(), *qty)]);
            }
            Step::Wait(seconds) => self.counter.now = self.counter.now.plus_ms(i64::from(*seconds) * 1_000),
        }
    }

    fn uses(&self, of: UsageOf, promotion: &str) -> (u32, u32) {
        let key = Key::Usage(of, PromotionId::new(promotion).expect("an id"));
        match self.records.get(&key) {
            Some(Record::Usage(usage)) => (usage.uses, usage.uses_on_day),
            _ => (0, 0),
        }
    }

    /// How many sales that still stand applied a promotion.
    fn standing(&self, promotion: &str, of: impl Fn(&Sold) -> bool) -> u32 {
        let applied =
            |sold: &&Sold| sold.receipt.figures.applied.iter().any(|one| one.promotion.as_str() == promotion);
        let count = self.sales.iter().filter(|sold| !sold.over && of(sold)).filter(applied).count();
        u32::try_from(count).expect("a short day")
    }

    fn check(&self) {
        for (member, points) in &self.points {
            let balance = match self.records.get(&Key::Ledger(member.clone())) {
                Some(Record::Ledger(ledger)) => {
                    let usage = |promotion: &str| {
                        ledger
                            .usage
                            .get(&PromotionId::new(promotion).expect("an id"))
                            .copied()
                            .unwrap_or_default()
                    };
                    let spinach = usage("spinach-twice").uses;
                    assert!(spinach <= 2, "{member}: {spinach}");
                    assert_eq!(
                        spinach,
                        self.standing("spinach-twice", |sold| sold.receipt.member.as_ref() == Some(member))
                    );
                    assert!(usage("fifty-points-a-day").uses_on_day <= 1, "{member}");
                    ledger.points.balance()
                }
                _ => continue,
            };
            assert_eq!(balance, *points, "{member}: the ledger is the sum of its lines");
        }
        let (five, _) = self.uses(UsageOf::Shop, "first-five");
        assert!(five <= 5, "{five}");
        assert_eq!(five, self.standing("first-five", |_| true));
        for till in 0..3 {
            let device = aisled::domain::ids::DeviceId::new(&format!("till-{till}")).expect("an id");
            let (_, today) = self.uses(UsageOf::Device(device), "cake-per-till");
            assert!(today <= 2, "till-{till}: {today}");
        }
        let flyer = aisled::domain::ids::CouponCode::new("FLYER3").expect("a code");
        assert!(self.uses(UsageOf::Code(flyer), "flyer-three").0 <= 3);
        let mut burned = BTreeMap::new();
        for code in self.sales.iter().filter(|sold| !sold.over).flat_map(|sold| &sold.receipt.coupons_burned)
        {
            *burned.entry(code.as_str()).or_insert(0) += 1;
        }
        assert!(burned.values().all(|times| *times == 1), "{burned:?}");
        for sold in &self.sales {
            let back: i64 = sold.back.iter().map(|refund| refund.refund.0).sum();
            let paid = sold.receipt.figures.total.0;
            assert!((0..=paid).contains(&back), "sale {}: {back} of {paid}", sold.seq);
            if sold.over {
                assert_eq!(back, paid, "sale {} came back whole", sold.seq);
            }
            let units: i64 = (sold.receipt.units.iter().flat_map(|line| &line.shares))
                .map(|share| i64::from(share.qty) * share.net.0)
                .sum();
            assert_eq!(units, paid, "frozen shares add up");
        }
    }

    /// Everything comes back: as if nothing had been bought.
    fn undo_everything(&mut self) {
        for nth in 0..self.sales.len() {
            if self.sales[nth].over {
                continue;
            }
            self.void(nth);
            if self.sales[nth].over {
                continue;
            }
            let mut left: BTreeMap<String, u32> = BTreeMap::new();
            for line in &self.sales[nth].receipt.units {
                let units: u32 = line.shares.iter().map(|share| share.qty).sum();
                left.insert(line.line.as_str().to_owned(), units);
            }
            for line in self.sales[nth].back.iter().flat_map(|refund| &refund.lines) {
                *left.get_mut(line.line.as_str()).expect("a line of the sale") -= line.qty;
            }
            let rest: Vec<(String, u32)> = left.into_iter().filter(|(_, qty)| *qty > 0).collect();
            assert!(
                self.return_some(nth, &rest),
                "the rest of sale {} comes back: {rest:?}",
                self.sales[nth].seq
            );
        }
        self.check();
        assert!(self.sales.iter().all(|sold| sold.over));
        for (member, points) in &self.points {
            let began = if member.as_str() == "m-1001" {
                2_350
            } else if member.as_str() == "m-1002" {
                120
            } else {
                1_000
            };
            assert_eq!(*points, began, "{member}: buying and returning gains nothing");
        }
        for key in self.records.keys() {
            assert!(!matches!(key, Key::Redeemed(_)), "{key:?} is good again");
        }
    }
}

proptest! {
    #![proptest_config(ProptestConfig { failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn do_points_limits_codes_and_money_add_up(steps in prop::collection::vec(step(), 1..60)) {
        let mut world = World::new();
        for step in &steps {
            world.step(step);
            world.check();
        }
        world.undo_everything();
    }
}

/// Milk and an offer once a day, for a member.
fn once_a_day(card: &str) -> Value {
    json!({
        "basket": { "lines": [{ "line": "1", "sku": SKUS[0], "qty": 2 }] },
        "member": { "kind": "card", "value": card },
    })
}

fn applied(answer: &Answer, promotion: &str) -> bool {
    let figures = match answer {
        Ok(Reply::Quote(quote)) => &quote.figures,
        Ok(Reply::Commit(receipt)) => &receipt.figures,
        other => panic!("no figures: {other:?}"),
    };
    figures.applied.iter().any(|one| one.promotion.as_str() == promotion)
}

fn refused(answer: &Answer) -> &'static str {
    match answer {
        Err(refusal) => refusal.code.title(aisled::domain::text::Lang::En),
        Ok(reply) => panic!("it is not refused: {reply:?}"),
    }
}

#[test]
fn is_a_limit_per_day_kept_though_a_till_says_it_is_another_day() {
    let daily = "fifty-points-a-day";
    let mut world = World::new();
    let sell = |world: &mut World, mut data: Value| {
        data["transaction"] = world.number();
        data["tenders"] = json!([{ "kind": "cash", "amount": 100_000 }]);
        world.ask(1, "commit", &data)
    };
    assert!(applied(&sell(&mut world, once_a_day("2001")), daily));
    for at in ["2026-11-16T12:00:00+08:00", "2026-11-17T12:00:00+08:00", "2026-11-19T12:00:00+08:00"] {
        let mut dated = once_a_day("2001");
        dated["at"] = json!(at);
        assert!(!applied(&sell(&mut world, dated.clone()), daily), "a sale is of the day it arrives: {at}");
        let look = world.ask(1, "quote", &dated);
        assert!(applied(&look, daily), "a quote of another moment tells that moment's price: {at}");
        let Ok(Reply::Quote(quote)) = look else { panic!("a quote") };
        let sold = sell(&mut world, json!({ "quote": quote.quote }));
        assert_eq!(refused(&sold), "quote expired", "it is not sold now for that moment's price: {at}");
    }
    let mut same = once_a_day("2001");
    same["at"] = json!("2026-11-17T12:00:00+08:00");
    same["member"] = Value::Null;
    let Ok(Reply::Quote(quote)) = world.ask(1, "quote", &same) else { panic!("a quote") };
    let Ok(Reply::Commit(sold)) = sell(&mut world, json!({ "quote": quote.quote })) else {
        panic!("the same now")
    };
    assert_eq!(sold.figures.total, quote.figures.total);
    let mut late = once_a_day("2002");
    late["charged"] = json!({ "total": 480, "at": "2026-11-16T12:00:00+08:00" });
    assert!(applied(&sell(&mut world, late), daily), "what was paid during an outage is priced as of then");
}

#[test]
fn does_the_record_of_a_charged_sale_add_up() {
    // By the rules 480 of 700: a member's price, half off the second, 4 points by the rate and 50 for the day.
    for (total, rate_points) in [(480, 4), (700, 5), (240, 2), (0, 0)] {
        let mut world = World::new();
        let mut late = once_a_day("2002");
        late["gift_cards"] = json!([{ "code": "GIFT-1", "balance": 300 }]);
        late["charged"] = json!({ "total": total, "at": "2026-11-16T12:00:00+08:00" });
        late["transaction"] = world.number();
        late["tenders"] = json!([]);
        let Ok(Reply::Commit(sold)) = world.ask(1, "commit", &late) else { panic!("it is never refused") };
        let charged = sold.charged.as_ref().expect("it says what was charged");
        assert_eq!((charged.by_rules.0, charged.difference.0), (480, total - 480));
        let figures = &sold.figures;
        assert_eq!((figures.subtotal.0, figures.discount_total.0, figures.total.0), (700, 220, total));
        assert_eq!(figures.total, figures.subtotal - figures.discount_total + charged.difference);
        for line in &figures.lines {
            let off: i64 = line.discounts.iter().map(|discount| discount.amount.0).sum();
            assert_eq!(line.net.0, line.gross.0 - off + line.difference.0, "{total}");
        }
        let shares = || sold.units.iter().flat_map(|line| &line.shares);
        assert_eq!(shares().map(|share| share.net.0 * i64::from(share.qty)).sum::<i64>(), total);
        assert_eq!(figures.points.earn, 50 + rate_points, "points by a rate follow the money: {total}");
        assert_eq!(
            shares().map(|share| share.points * i64::from(share.qty)).sum::<i64>(),
            figures.points.earn
        );
        assert_eq!(sold.points_ledger.iter().map(|line| line.points).sum::<i64>(), figures.points.earn);
        assert_eq!(figures.points.balance_after, Some(1_050 + rate_points));
        assert_eq!(figures.gift_cards[0].used.0, total.min(300));
        let back = json!({ "transaction": late["transaction"] });
        let Ok(Reply::Refund(back)) = world.ask(1, "void", &back) else { panic!("it is taken back") };
        assert_eq!((back.refund.0, back.points_balance_after), (total, Some(1_000)));
    }
}

fn sale_of(world: &mut World, sku: &str, qty: u32, card: &str, codes: &[&str]) -> (Value, Receipt) {
    let number = world.number();
    let data = json!({
        "transaction": number,
        "basket": { "lines": [{ "line": "1", "sku": sku, "qty": qty }] },
        "member": { "kind": "card", "value": card },
        "coupons": codes,
        "tenders": [{ "kind": "cash", "amount": 10_000_000 }],
    });
    match world.ask(1, "commit", &data) {
        Ok(Reply::Commit(receipt)) => (number, *receipt),
        other => panic!("no sale: {other:?}"),
    }
}

fn refund_of(answer: Answer) -> Refund {
    match answer {
        Ok(Reply::Refund(refund)) => *refund,
        other => panic!("no refund: {other:?}"),
    }
}

fn wallet_of(world: &mut World, card: &str) -> Vec<String> {
    let data = json!({ "member": { "kind": "card", "value": card } });
    match world.ask(1, "wallet", &data) {
        Ok(Reply::Wallet(wallet)) => {
            wallet.coupons.iter().map(|coupon| coupon.code.as_str().to_owned()).collect()
        }
        other => panic!("no wallet: {other:?}"),
    }
}

/// Oil for more than 200: it brings a coupon for the next visit.
const OIL: &str = "6901234000048";

#[test]
fn is_a_returned_coupon_back_in_the_wallet() {
    let mut world = World::new();
    let (first, receipt) = sale_of(&mut world, OIL, 2, "2007", &[]);
    let code = receipt.coupons_issued[0].code.as_str().to_owned();
    assert_eq!(wallet_of(&mut world, "2007"), [code.as_str()]);
    let (second, receipt) = sale_of(&mut world, SKUS[3], 2, "2007", &[&code]);
    assert_eq!(receipt.coupons_burned.len(), 1);
    assert!(wallet_of(&mut world, "2007").is_empty());
    let back = refund_of(world.ask(1, "void", &json!({ "transaction": second })));
    assert_eq!(back.coupons_returned.len(), 1);
    assert_eq!(wallet_of(&mut world, "2007"), [code.as_str()], "good again, and theirs to see");
    let (third, _) = sale_of(&mut world, SKUS[3], 2, "2007", &[&code]);
    refund_of(world.ask(1, "void", &json!({ "transaction": first })));
    let back = refund_of(world.ask(1, "void", &json!({ "transaction": third })));
    assert!(back.coupons_returned.is_empty(), "withdrawn with the sale that issued it");
    assert!(wallet_of(&mut world, "2007").is_empty());
    let (_, receipt) = sale_of(&mut world, OIL, 2, "2008", &[]);
    let code = receipt.coupons_issued[0].code.as_str().to_owned();
    let (late, _) = sale_of(&mut world, SKUS[3], 2, "2008", &[&code]);
    world.counter.now = world.counter.now.plus_ms(40 * 86_400_000);
    let back = refund_of(world.ask(1, "void", &json!({ "transaction": late })));
    assert!(back.coupons_returned.is_empty() && wallet_of(&mut world, "2008").is_empty(), "it has run out");
}

#[test]
fn does_a_return_give_back_the_uses_its_sale_took_whatever_is_limited_now() {
    let limited = rules::authored();
    let mut free = limited.clone();
    for promotion in &mut free.rules.promotions {
        promotion.limits.clear();
    }
    let spinach = PromotionId::new("spinach-twice").expect("an id");
    let mut world = World::new();
    let counted = |world: &World| {
        let member = MemberId::new("m-2003").expect("an id");
        let of_member = match world.records.get(&Key::Ledger(member)) {
            Some(Record::Ledger(ledger)) => ledger.usage.get(&spinach).map_or(0, |usage| usage.uses),
            _ => 0,
        };
        let device = UsageOf::Device(aisled::domain::ids::DeviceId::new("till-1").expect("an id"));
        (world.uses(UsageOf::Shop, "first-five").0, of_member, world.uses(device, "cake-per-till").0)
    };
    let all = |world: &mut World| {
        let sold = ["6901234000086", "6901234000062", "6901234000093"];
        sold.map(|sku| sale_of(world, sku, 1, "2003", &[]).0)
    };
    let took = all(&mut world);
    assert_eq!(counted(&world), (1, 1, 1));
    world.activate(&free);
    let took_nothing = all(&mut world);
    for sale in took {
        refund_of(world.ask(1, "void", &json!({ "transaction": sale })));
    }
    assert_eq!(counted(&world), (0, 0, 0), "taken under limits that are gone");
    world.activate(&limited);
    all(&mut world);
    for sale in took_nothing {
        refund_of(world.ask(1, "void", &json!({ "transaction": sale })));
    }
    assert_eq!(counted(&world), (1, 1, 1), "what was not taken is not given back");
}

#[test]
fn does_a_second_return_hear_which_decision_was_the_first() {
    let mut world = World::new();
    let (original, _) = sale_of(&mut world, SKUS[3], 2, "2003", &[]);
    let number = world.number();
    let back = |number: &Value| json!({ "original": original, "transaction": number, "lines": [{ "line": "1", "qty": 2 }] });
    let first = refund_of(world.ask(1, "return", &back(&number)));
    let again = world.ask(1, "return", &back(&number));
    assert_eq!(refused(&again), "transaction exists with other content", "under a new id");
    let other = world.number();
    let other = world.ask(1, "return", &back(&other));
    let void = world.ask(1, "void", &json!({ "transaction": original }));
    let (voided, _) = sale_of(&mut world, SKUS[3], 2, "2003", &[]);
    let voided = json!({ "transaction": voided });
    let done = refund_of(world.ask(1, "void", &voided));
    let twice = world.ask(1, "void", &voided);
    for (answer, decision) in [(again, &first), (other, &first), (void, &first), (twice, &done)] {
        let Err(refusal) = answer else { panic!("done twice") };
        assert!(refusal.detail.contains(&decision.decision), "{refusal:?} names {}", decision.decision);
    }
}

#[test]
fn does_a_random_day_sell_anything() {
    let mut runner = proptest::test_runner::TestRunner::deterministic();
    let (mut sales, mut back, mut coupons) = (0, 0, 0);
    for _ in 0..20 {
        let steps = prop::collection::vec(step(), 60).new_tree(&mut runner).expect("a day").current();
        let mut world = World::new();
        steps.iter().for_each(|step| world.step(step));
        sales += world.sales.len();
        back += world.sales.iter().map(|sold| sold.back.len()).sum::<usize>();
        coupons += world.sales.iter().map(|sold| sold.receipt.coupons_burned.len()).sum::<usize>();
    }
    assert!(sales > 200 && back > 50 && coupons > 10, "{sales} sales, {back} returns, {coupons} codes");
}
