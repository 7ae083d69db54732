//! Is what the chain shares spent only inside what head office lent: by quotes, sales, voids, and codes of other shops?

#[path = "support/counter.rs"]
mod counter;
#[path = "support/rules.rs"]
mod rules;

use std::collections::BTreeMap;

use aisled::bundle::authoring::Authored;
use aisled::bundle::document::CodeRecord;
use aisled::domain::calendar::UnixMs;
use aisled::domain::ids::{CouponCode, CouponId, Epoch, MemberId, Prefix, PromotionId, Seq, StoreId};
use aisled::domain::lease::{LeaseId, Say, Scope, Slice, Slices, Word};
use aisled::domain::series::Series;
use aisled::engine::decision::{Entry, Facts, Key, Record};
use aisled::engine::input::Input;
use aisled::engine::replay::replay;
use aisled::engine::reply::{Answer, QuoteReply, Refusal, Reply};
use aisled::engine::{HeadOffice, Outcome};
use aisled::pricing::outcome::{CouponOutcome, Reason};
use counter::{Counter, Done, NOON};
use serde_json::{Value, json};

const RICE: &str = "6901234000017";
const FLASH: &str = r#"
id = "flash"
titles = { zh-CN = "限时抢购", en = "Flash sale" }
qualifier = { items = { skus = ["6901234000017"] } }
benefit = { line_amount = { amount = 100 } }
limits = [{ scope = "chain", measure = "money", max = 100000 }, { scope = "chain", measure = "uses", max = 500 }]
offline = { mode = "leased" }
"#;

struct Shop {
    authored: Authored,
    counter: Counter,
    records: BTreeMap<Key, Record>,
    entries: Vec<Entry>,
    heard: u64,
    sold: u64,
}

impl Shop {
    fn new(head_office: HeadOffice) -> Shop {
        Shop::with(head_office, false)
    }

    fn with(head_office: HeadOffice, pockets: bool) -> Shop {
        let mut authored = rules::authored();
        authored.rules.shop.leases.pockets = pockets;
        Shop::under(authored, head_office)
    }

    fn under(mut authored: Authored, head_office: HeadOffice) -> Shop {
        authored.rules.promotions.push(toml::from_str(FLASH).expect("a promotion"));
        authored.codes.push(CodeRecord {
            code: CouponCode::new("AWAY-01").expect("a code"),
            coupon: CouponId::new("once-five").expect("a coupon"),
            member: None,
            home: Some(StoreId::new("s02").expect("a store")),
        });
        authored.codes.push(CodeRecord {
            code: CouponCode::new("HOME-01").expect("a code"),
            coupon: CouponId::new("once-five").expect("a coupon"),
            member: None,
            home: Some(StoreId::new("s01").expect("a store")),
        });
        let mut counter = Counter::new(counter::bundle(&authored), Seq(1));
        counter.engine.head_office_is(head_office);
        let records = counter::records(&authored, NOON).into_iter().collect();
        Shop { authored, counter, records, entries: Vec::new(), heard: 0, sold: 0 }
    }

    fn keep(&mut self, entry: Entry) -> Answer {
        for change in entry.changes.iter() {
            match &change.record {
                Some(record) => self.records.insert(change.key.clone(), record.clone()),
                None => self.records.remove(&change.key),
            };
        }
        assert_eq!(
            Entry::decode(&entry.encode()).as_ref(),
            Ok(&entry),
            "what the journal holds is the entry"
        );
        let answer = entry.answer.clone();
        self.entries.push(entry);
        answer
    }

    fn ask(&mut self, till: &str, op: &str, data: &Value) -> Answer {
        let records = &self.records;
        let known: BTreeMap<Seq, Entry> =
            self.entries.iter().map(|entry| (entry.seq, entry.clone())).collect();
        let mut load = |key: &Key| match key {
            Key::Decision(seq) => known.get(seq).map(|entry| Record::Decision(Box::new(entry.clone()))),
            _ => records.get(key).cloned(),
        };
        match self.counter.ask(&mut load, till, op, data) {
            Done::Answered(answer) => answer,
            Done::Decided(entry) => self.keep(*entry),
        }
    }

    /// Head office says the next thing. Was it taken?
    fn hear(&mut self, say: Say) -> bool {
        self.heard += 1;
        let id = LeaseId { incarnation: 1, number: self.heard };
        self.hear_word(Word { id, epoch: Epoch(1), say })
    }

    fn hear_word(&mut self, word: Word) -> bool {
        let input = Input::Lease(word);
        let mut facts = Facts::default();
        for key in self.counter.engine.needs(&input, &facts) {
            let record = self.records.get(&key).cloned();
            facts.add(key, record);
        }
        match self.counter.engine.handle(input, facts, self.counter.now) {
            Outcome::Decided(entry) => self.keep(*entry).is_ok(),
            Outcome::Passed => false,
            other => panic!("{other:?}"),
        }
    }

    fn lend(&mut self, scope: Scope, amount: i64) {
        assert!(self.hear(Say::Grant { scope, amount, expires: NOON.plus_ms(3_600_000), first: None }));
    }

    fn slices(&self, scope: &Scope) -> Vec<Slice> {
        match self.records.get(&Key::Lease(Epoch(1), scope.clone())) {
            Some(Record::Slices(Slices(slices))) => slices.clone(),
            _ => Vec::new(),
        }
    }

    fn used(&self, scope: &Scope) -> i64 {
        self.slices(scope).iter().map(|slice| slice.used).sum()
    }

    fn quote(&mut self, till: &str, data: &Value) -> Box<QuoteReply> {
        match self.ask(till, "quote", data) {
            Ok(Reply::Quote(quote)) => quote,
            other => panic!("{data}: {other:?}"),
        }
    }

    fn settle(&mut self, till: &str, quote: &QuoteReply) -> Result<u64, Refusal> {
        self.sold += 1;
        let data = json!({
            "transaction": { "business_day": "2026-11-18", "seq": self.sold }, "quote": quote.quote,
            "tenders": [{ "kind": "cash", "amount": quote.figures.total }],
        });
        self.ask(till, "commit", &data).map(|_| self.sold)
    }
}

fn money() -> Scope {
    Scope::Money(PromotionId::new("flash").expect("an id"))
}

fn uses() -> Scope {
    Scope::Uses(PromotionId::new("flash").expect("an id"))
}

fn rice(qty: u32) -> Value {
    json!({ "basket": { "lines": [{ "line": "1", "sku": RICE, "qty": qty }] } })
}

fn flash(quote: &QuoteReply) -> i64 {
    let applied = quote.figures.applied.iter().find(|applied| applied.promotion.as_str() == "flash");
    applied.map_or(0, |applied| applied.amount.0)
}

fn why_not(quote: &QuoteReply) -> (Reason, String) {
    let not = quote.figures.not_applied.iter().find(|not| not.promotion.as_str() == "flash");
    not.map(|not| (not.reason, not.detail.clone())).expect("it says why")
}

#[test]
fn is_a_shop_without_head_office_the_whole_chain() {
    let mut shop = Shop::new(HeadOffice::Absent);
    assert_eq!(flash(&shop.quote("till-1", &rice(2))), 200);
}

#[test]
fn is_nothing_spent_that_was_not_lent_and_all_of_it_that_was() {
    let mut shop = Shop::new(HeadOffice::DownSince(UnixMs(NOON.0 - 30 * 86_400_000)));
    let quote = shop.quote("till-1", &rice(1));
    assert_eq!((flash(&quote), why_not(&quote).0), (0, Reason::LimitChain), "nothing at all is lent of it");
    shop.lend(money(), 500);
    shop.lend(uses(), 10);
    let first = shop.quote("till-1", &rice(3));
    assert_eq!(flash(&first), 300, "a month without a line");
    let second = shop.quote("till-2", &rice(3));
    let (reason, detail) = why_not(&second);
    assert_eq!((flash(&second), reason), (0, Reason::LimitChain), "the first quote holds 300 of 500");
    assert!(detail.contains("2.00"), "{detail}");
    let sale = shop.settle("till-1", &first).expect("it is sold");
    assert_eq!((shop.used(&money()), shop.used(&uses())), (300, 1));
    let last = shop.entries.last().expect("a sale");
    let bundle = shop.counter.engine.bundle().expect("rules").clone();
    assert!(
        replay(&bundle, last).expect("a sale").expect("it is priced").same,
        "the slice is part of what it saw"
    );
    let void = json!({ "transaction": { "business_day": "2026-11-18", "seq": sale } });
    shop.ask("till-1", "void", &void).expect("it is voided");
    assert_eq!((shop.used(&money()), shop.used(&uses())), (0, 0), "what did not happen was not spent");
    assert_eq!(flash(&shop.quote("till-2", &rice(5))), 500);
}

#[test]
fn may_a_slice_be_spent_after_its_seal_or_its_end() {
    let mut shop = Shop::new(HeadOffice::Near);
    shop.lend(money(), 500);
    shop.lend(uses(), 10);
    let sealed = shop.quote("till-1", &rice(1));
    let lease = shop.slices(&money())[0].lease;
    assert!(shop.hear(Say::Seal { scope: money(), lease }));
    assert_eq!(shop.settle("till-1", &sealed).expect_err("its slice is gone").code.status(), 410);
    assert_eq!((shop.used(&money()), shop.used(&uses())), (0, 0), "a refused sale draws nothing");
    assert_eq!(flash(&shop.quote("till-1", &rice(1))), 0);
    shop.lend(money(), 500);
    let sold = shop.quote("till-1", &rice(1));
    let sale = shop.settle("till-1", &sold).expect("it is sold");
    let lease = shop.slices(&money())[0].lease;
    assert!(shop.hear(Say::Seal { scope: money(), lease }));
    shop.ask("till-1", "void", &json!({ "transaction": { "business_day": "2026-11-18", "seq": sale } }))
        .expect("it is voided");
    assert_eq!((shop.used(&money()), shop.used(&uses())), (100, 0), "a sealed figure is final");
    shop.lend(money(), 500);
    let quote = shop.quote("till-1", &rice(1));
    assert_eq!(flash(&quote), 100);
    shop.counter.now = NOON.plus_ms(3_600_001);
    assert_eq!(flash(&shop.quote("till-2", &rice(1))), 0, "expired");
}

#[test]
fn is_a_word_taken_twice_or_out_of_turn() {
    let mut shop = Shop::new(HeadOffice::Near);
    let grant = |number, amount| Word {
        id: LeaseId { incarnation: 1, number },
        epoch: Epoch(1),
        say: Say::Grant { scope: money(), amount, expires: NOON.plus_ms(1_000), first: None },
    };
    assert!(!shop.hear_word(grant(2, 7)), "the first is missing");
    assert!(shop.hear_word(grant(1, 5)));
    assert!(!shop.hear_word(grant(1, 5)), "heard before");
    assert!(!shop.hear_word(Word { epoch: Epoch(2), ..grant(2, 7) }), "another life's");
    assert!(shop.hear_word(grant(2, 7)));
    assert!(shop.hear_word(Word { id: LeaseId { incarnation: 3, number: 1 }, ..grant(1, 9) }));
    assert!(!shop.hear_word(grant(3, 1)), "head office was restored since");
    let amounts: Vec<i64> = shop.slices(&money()).iter().map(|slice| slice.amount).collect();
    assert_eq!(amounts, [5, 7, 9]);
}

#[test]
fn is_a_code_of_another_shop_good_only_for_what_may_be_risked() {
    let mut shop = Shop::new(HeadOffice::Near);
    let mut asked = rice(3);
    asked["coupons"] = json!(["AWAY-01"]);
    let outcome = |quote: &QuoteReply| (quote.figures.coupons[0].outcome, quote.figures.coupons[0].reason);
    let refused = (CouponOutcome::Refused, Some(Reason::CodeElsewhere));
    assert_eq!(outcome(&shop.quote("till-1", &asked)), refused);
    shop.lend(Scope::Risk, 499);
    assert_ne!(outcome(&shop.quote("till-1", &asked)).0, CouponOutcome::Applied, "it takes 5.00 off");
    shop.lend(Scope::Risk, 1);
    let quote = shop.quote("till-1", &asked);
    assert_eq!(outcome(&quote), (CouponOutcome::Applied, None));
    shop.settle("till-1", &quote).expect("it is sold");
    assert_eq!(shop.used(&Scope::Risk), 500);
    let again = outcome(&shop.quote("till-1", &asked));
    assert_eq!(again, (CouponOutcome::Refused, Some(Reason::CodeUsed)));
}

fn release(to: &str, nth: u32) -> Say {
    let code = CouponCode::new("HOME-01").expect("a code");
    Say::Release { code, to: StoreId::new(to).expect("a store"), nth }
}

fn adopt(code: &str, nth: u32) -> Say {
    let coupon = CouponId::new("once-five").expect("a coupon");
    Say::Adopt { code: CouponCode::new(code).expect("a code"), coupon, member: None, expires: None, nth }
}

/// Where a code's home is and how often it was moved, as this shop has it.
fn home(shop: &Shop, code: &str) -> (String, u32) {
    match shop.records.get(&Key::Code(CouponCode::new(code).expect("a code"))) {
        Some(Record::Code(issued)) => {
            (issued.home.as_ref().expect("it has a home").as_str().to_owned(), issued.moved)
        }
        other => panic!("{other:?}"),
    }
}

fn with_code(code: &str) -> Value {
    let mut asked = rice(3);
    asked["coupons"] = json!([code]);
    asked
}

fn of_code(quote: &QuoteReply) -> (CouponOutcome, Option<Reason>) {
    (quote.figures.coupons[0].outcome, quote.figures.coupons[0].reason)
}

#[test]
fn is_a_code_that_was_given_up_redeemed_here_by_an_open_quote_or_a_new_one() {
    for head_office in [HeadOffice::Near, HeadOffice::Absent] {
        let mut shop = Shop::new(head_office);
        let held = shop.quote("till-1", &with_code("HOME-01"));
        assert_eq!(of_code(&held), (CouponOutcome::Applied, None));
        assert!(shop.hear(release("s02", 1)));
        assert_eq!(home(&shop, "HOME-01"), ("s02".to_owned(), 1));
        let refused = shop.settle("till-1", &held).expect_err("another shop may redeem it now");
        assert_eq!(refused.code.number(), 2018, "{refused:?}");
        let again = shop.quote("till-1", &with_code("HOME-01"));
        assert_eq!(of_code(&again), (CouponOutcome::Refused, Some(Reason::CodeElsewhere)));
        let last = shop.entries.iter().find(|entry| matches!(entry.input, Input::Lease(_)));
        assert_eq!(last.expect("it was heard").changes.len(), 2, "the code stands with the word");
    }
}

#[test]
fn is_a_code_adopted_once_and_good_without_risk_from_then_on() {
    let mut shop = Shop::new(HeadOffice::Near);
    assert_eq!(of_code(&shop.quote("till-1", &with_code("AWAY-01"))).1, Some(Reason::CodeElsewhere));
    assert!(shop.hear(adopt("AWAY-01", 1)) && shop.hear(adopt("NEW-01", 3)));
    for (at, code) in ["AWAY-01", "NEW-01"].into_iter().enumerate() {
        let quote = shop.quote("till-1", &with_code(code));
        assert_eq!(of_code(&quote), (CouponOutcome::Applied, None), "{code}");
        let sold = shop.settle("till-1", &quote).expect("it is sold");
        assert_eq!(sold, at as u64 + 1);
        assert!(shop.hear(adopt(code, 3)));
        assert_eq!(of_code(&shop.quote("till-1", &with_code(code))).1, Some(Reason::CodeUsed), "{code}");
    }
}

#[test]
fn is_a_code_kept_that_was_redeemed_or_is_another_shops() {
    let mut shop = Shop::new(HeadOffice::Near);
    let quote = shop.quote("till-1", &with_code("HOME-01"));
    shop.settle("till-1", &quote).expect("it is sold");
    assert!(shop.hear(release("s02", 1)));
    assert_eq!(home(&shop, "HOME-01"), ("s01".to_owned(), 0));
    let heard = shop.entries.last().expect("the word was heard");
    assert_eq!(heard.changes.len(), 1, "and nothing came of it");
}

#[test]
fn do_words_that_come_late_or_twice_give_a_code_a_second_home() {
    let mut shop = Shop::new(HeadOffice::Near);
    assert!(shop.hear(release("s02", 1)) && shop.hear(release("s02", 1)));
    assert_eq!(home(&shop, "HOME-01"), ("s02".to_owned(), 1), "said again, done once");
    assert!(shop.hear(adopt("HOME-01", 1)));
    assert_eq!(home(&shop, "HOME-01"), ("s02".to_owned(), 1), "an older move than the one known");
    assert!(shop.hear(adopt("HOME-01", 2)));
    assert_eq!(home(&shop, "HOME-01"), ("s01".to_owned(), 2), "it came home");
    assert!(shop.hear(release("s03", 3)) && shop.hear(release("s02", 4)));
    assert_eq!(home(&shop, "HOME-01"), ("s03".to_owned(), 3), "given up to one, not to another");
    assert!(shop.hear(adopt("HOME-01", 2)));
    assert_eq!(home(&shop, "HOME-01"), ("s03".to_owned(), 3), "a head office that forgot the last move");
}

#[test]
fn does_a_shop_ask_for_what_it_runs_out_of() {
    let mut shop = Shop::new(HeadOffice::Near);
    assert!(shop.counter.engine.wants(NOON).is_empty());
    shop.quote("till-1", &rice(1));
    let wants = shop.counter.engine.wants(NOON);
    let of =
        |scope: &Scope| wants.iter().find(|want| want.scope == *scope).map(|want| (want.left, want.need));
    assert_eq!((of(&money()), of(&uses())), (Some((0, 100_000 / 64)), Some((0, 500 / 64))));
    shop.lend(money(), 2_000);
    shop.lend(uses(), 10);
    assert!(shop.counter.engine.wants(NOON).is_empty(), "enough is there");
}

#[test]
fn are_points_spent_out_of_the_pocket_and_then_overdrawn() {
    let member = || MemberId::new("m-1001").expect("an id");
    let (pocket, card) = (Scope::Pocket(member()), json!({ "kind": "card", "value": "88001001" }));
    let mut asked = rice(3);
    asked["member"] = card.clone();
    asked["points"] = json!({ "spend": "max" });
    let all = Shop::new(HeadOffice::Near).quote("till-1", &asked).figures.points.spend;
    assert!(all > 300, "{all} points");
    let mut shop = Shop::with(HeadOffice::Near, true);
    assert_eq!(shop.quote("till-1", &asked).figures.points.spend, 0, "nothing is lent");
    let wants = shop.counter.engine.wants(NOON);
    let want = wants.iter().find(|want| want.scope == pocket).expect("the pocket is wanted");
    assert!(want.left == 0 && want.need >= all, "{want:?}");
    shop.lend(pocket.clone(), 200);
    shop.lend(Scope::Overdraft, 100);
    asked["points"] = json!({ "spend": 300 });
    let quote = shop.quote("till-1", &asked);
    assert_eq!(quote.figures.points.spend, 300);
    asked["basket"]["lines"][0]["qty"] = json!(4);
    assert_eq!(shop.quote("till-2", &asked).figures.points.spend, 0, "held");
    match shop.ask("till-2", "scan", &json!({ "token": card })) {
        Ok(Reply::Scan(scan)) => assert_eq!(scan.member.expect("known").points.spendable, 300),
        other => panic!("{other:?}"),
    }
    let sale = shop.settle("till-1", &quote).expect("it is sold");
    assert_eq!((shop.used(&pocket), shop.used(&Scope::Overdraft)), (200, 100));
    shop.ask("till-1", "void", &json!({ "transaction": { "business_day": "2026-11-18", "seq": sale } }))
        .expect("it is voided");
    assert_eq!((shop.used(&pocket), shop.used(&Scope::Overdraft)), (0, 0));
}

#[test]
fn does_a_new_life_of_the_box_spend_what_was_lent_to_the_old_one() {
    let mut shop = Shop::new(HeadOffice::Near);
    shop.lend(money(), 500);
    shop.lend(uses(), 10);
    assert_eq!(flash(&shop.quote("till-1", &rice(1))), 100);
    let authored = shop.authored.clone();
    shop.counter = Counter::living(counter::bundle(&authored), Seq(3), Epoch(2));
    shop.counter.engine.head_office_is(HeadOffice::Near);
    assert_eq!(flash(&shop.quote("till-1", &rice(1))), 0, "its tables were copied or restored");
    let say = Say::Grant { scope: money(), amount: 500, expires: NOON.plus_ms(1_000), first: None };
    assert!(shop.hear_word(Word { id: LeaseId { incarnation: 1, number: 1 }, epoch: Epoch(2), say }));
    assert_eq!(shop.slices(&money())[0].used, 0);
}

/// What is done, and what is given out. A check letter is `?`; `own` is what the shop makes by itself.
const NUMBERED: &str = "
    sell              none of NX is left
    lend NX 41 2
    sell              NX000041?
    sell              NX000042?
    sell              none of NX is left
    void 1
    sell              none of NX is left
    lend NX 90 1
    sell              NX000090?
    reward            none of NX is left
    lend NX 7 1
    reward            NX000007?
    enroll            own, none of MB is left
    lend MB 1000000 2
    enroll            MB1000000?
    seal MB
    enroll            own, none of MB is left
";

impl Shop {
    fn numbered(head_office: HeadOffice) -> Shop {
        let mut authored = rules::authored();
        let series = |prefix: &str, count| Series { prefix: Prefix::new(prefix).expect("a prefix"), count };
        let next = authored.rules.coupons.iter_mut().find(|coupon| coupon.id.as_str() == "next-five");
        next.expect("it is there").series = Some(series("NX", 640));
        authored.rules.shop.leases.members = Some(series("MB", 2_000_000));
        authored.codes.push(CodeRecord {
            code: CouponCode::new("FRIEND-01").expect("a code"),
            coupon: CouponId::new("friend").expect("a coupon"),
            member: Some(MemberId::new("m-1001").expect("an id")),
            home: None,
        });
        Shop::under(authored, head_office)
    }

    /// A sale of oil to a member; what it issued, or what it says.
    fn sell(&mut self, member: &Value, coupons: &Value) -> Answer {
        self.sold += 1;
        let data = json!({
            "transaction": { "business_day": "2026-11-18", "seq": self.sold },
            "basket": { "lines": [{ "line": "1", "sku": "6901234000048", "qty": 2 }] },
            "member": member, "coupons": coupons, "tenders": [{ "kind": "cash", "amount": 100_000 }],
        });
        self.ask("till-1", "commit", &data)
    }

    fn enroll(&mut self) -> Answer {
        self.sold += 1;
        let token = json!({ "kind": "card", "value": format!("7700{:04}", self.sold) });
        self.ask("till-1", "enroll", &json!({ "token": token, "consent": { "programme": true } }))
    }

    /// One line of a table: what it gave out.
    fn line(&mut self, what: &[&str]) -> String {
        let card = |value: &str| json!({ "kind": "card", "value": value });
        let series = |prefix: &str| Scope::Series(Prefix::new(prefix).expect("a prefix"));
        let number = |text: &str| text.parse().expect("a number");
        let (answer, own) = match what {
            ["sell"] => (self.sell(&card("88001001"), &json!([])), false),
            // Somebody new brings a friend's code: of both coupons the friend's comes last.
            ["reward"] => {
                let new = self.sold + 1;
                assert!(self.enroll().is_ok());
                let mut of_friend = rice(3);
                of_friend["transaction"] = json!({ "business_day": "2026-11-18", "seq": 1_000 + new });
                of_friend["member"] = card(&format!("7700{new:04}"));
                of_friend["coupons"] = json!(["FRIEND-01"]);
                of_friend["tenders"] = json!([{ "kind": "cash", "amount": 100_000 }]);
                (self.ask("till-1", "commit", &of_friend), false)
            }
            ["enroll"] => (self.enroll(), true),
            ["void", sale] => {
                let sale = json!({ "business_day": "2026-11-18", "seq": number(sale) });
                assert!(self.ask("till-1", "void", &json!({ "transaction": sale })).is_ok());
                return String::new();
            }
            ["lend", prefix, first, amount] => {
                let (scope, expires) = (series(prefix), NOON.plus_ms(3_600_000));
                let (amount, first) = (number(amount), Some(number(first)));
                assert!(self.hear(Say::Grant { scope, amount, expires, first }));
                return String::new();
            }
            ["seal", prefix] => {
                let (scope, lease) = (series(prefix), self.slices(&series(prefix))[0].lease);
                assert!(self.hear(Say::Seal { scope, lease }));
                return String::new();
            }
            other => panic!("{other:?}"),
        };
        let (given, remarks): (Vec<String>, _) = match answer.expect("it is done") {
            Reply::Commit(receipt) => {
                let entry = self.entries.last().expect("it was decided");
                let rewarded =
                    entry.changes.iter().filter_map(|change| match (&change.key, &change.record) {
                        (Key::Code(code), Some(Record::Code(_))) => Some(code.as_str().to_owned()),
                        _ => None,
                    });
                assert!(
                    receipt
                        .coupons_issued
                        .iter()
                        .all(|it| rewarded.clone().any(|code| code == it.code.as_str()))
                );
                let bundle = self.counter.engine.bundle().expect("rules");
                assert!(replay(bundle, entry).expect("a sale").expect("it is priced").same);
                (rewarded.clone().collect(), receipt.remarks.clone())
            }
            Reply::Enroll(enrolled) => (vec![enrolled.member.as_str().to_owned()], enrolled.remarks),
            other => panic!("{other:?}"),
        };
        let shown = given.iter().map(|number| match number.get(..2) {
            Some("NX" | "MB") => format!("{}?", &number[..number.len() - 1]),
            _ if own => "own".to_owned(),
            _ => number.clone(),
        });
        let missing = remarks.iter().map(|remark| {
            assert_eq!(remark.code.number(), 2024, "{remark:?}");
            let prefix = remark.detail.split("no number of ").nth(1).expect("it names it");
            format!("none of {} is left", &prefix[..2])
        });
        shown.chain(missing).collect::<Vec<_>>().join(", ")
    }
}

#[test]
fn is_a_number_given_out_once_and_does_the_sale_go_on_without() {
    let mut shop = Shop::numbered(HeadOffice::DownSince(UnixMs(NOON.0 - 86_400_000)));
    for line in NUMBERED.lines().map(str::trim).filter(|line| !line.is_empty()) {
        let (what, expected) = line.split_once("  ").unwrap_or((line, ""));
        let what: Vec<&str> = what.split_whitespace().collect();
        assert_eq!(shop.line(&what), expected.trim(), "{line}");
    }
    let wants = shop.counter.engine.wants(NOON);
    let scope = Scope::Series(Prefix::new("NX").expect("a prefix"));
    let want = wants.iter().find(|want| want.scope == scope).expect("it ran out of it");
    assert!(want.left == 0 && want.need >= 640 / 64, "{want:?}");
}

#[test]
fn does_a_shop_without_head_office_issue_codes_that_nobody_can_guess() {
    let mut shop = Shop::numbered(HeadOffice::Absent);
    let given = shop.line(&["sell"]);
    assert!(given.len() == 12 && !given.starts_with("NX"), "{given}");
    assert_eq!(shop.line(&["enroll"]), "own");
}
