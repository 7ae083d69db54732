//! What does the shop learn of a member, who may be learned of, and does what comes back leave nothing behind?

use std::collections::BTreeMap;

use aisled::domain::code::Code;
use aisled::domain::history::History;
use aisled::domain::ids::{MemberId, SegmentId, Seq, Tag};
use aisled::domain::member::{Token, TokenKind};
use aisled::domain::money::Money;
use aisled::engine::decision::{Key, Record};
use aisled::engine::reply::{Noted, Refusal, Reply, ScanReply};
use proptest::prelude::*;
use serde_json::{Value, json};

use super::{SKUS, World, rules};

/// The tests' rules with a segment of those who came twice within 13 weeks, and a word for them.
fn world() -> World {
    let mut authored = rules::authored();
    let segment =
        |id: &str, when: &str| serde_json::from_value(json!({ "id": id, "when": when })).expect("a segment");
    authored.rules.segments.push(segment("regular", "visits_13w >= 2 && days_since_last <= 7"));
    authored.rules.segments.push(segment("taster", "\"tried-tea\" in tags && coupons.used == 0"));
    authored.rules.care.push(
        serde_json::from_value(json!({
            "kind": "notice", "audience": { "segment": ["regular"] }, "texts": { "en": "you again" }
        }))
        .expect("a care message"),
    );
    World::new(&authored)
}

fn card(number: u32) -> Value {
    json!({ "kind": "card", "value": number.to_string() })
}

fn id(number: u32) -> MemberId {
    MemberId::new(&format!("m-{number}")).expect("an id")
}

fn basket(member: u32, lines: &[(usize, u32)]) -> Value {
    let lines: Vec<Value> = (lines.iter().enumerate())
        .map(|(n, (sku, qty))| json!({ "line": n.to_string(), "sku": SKUS[*sku], "qty": qty }))
        .collect();
    json!({ "basket": { "lines": lines }, "member": card(member) })
}

impl World {
    fn history(&self, number: u32) -> Option<&History> {
        match self.records.get(&Key::History(id(number))) {
            Some(Record::History(history)) => Some(history),
            _ => None,
        }
    }

    fn sold(&mut self, member: u32, lines: &[(usize, u32)]) -> Value {
        self.sell(basket(member, lines)).0
    }

    fn voids(&mut self, number: &Value) {
        assert!(matches!(self.ask("void", &json!({ "transaction": number })), Ok(Reply::Refund(_))));
    }

    fn scanned(&mut self, member: u32) -> ScanReply {
        match self.ask("scan", &json!({ "token": card(member), "locale": "en" })) {
            Ok(Reply::Scan(reply)) => *reply,
            other => panic!("no scan: {other:?}"),
        }
    }

    fn noted(&mut self, op: &str, data: &Value) -> Noted {
        match self.ask(op, data) {
            Ok(Reply::Noted(noted)) => noted,
            other => panic!("not noted: {other:?}"),
        }
    }

    fn refused(&mut self, op: &str, data: &Value) -> Code {
        match self.ask(op, data) {
            Err(Refusal { code, .. }) => code,
            other => panic!("not refused: {other:?}"),
        }
    }
}

#[test]
fn is_a_sale_learned_of_seen_by_a_segment_and_by_a_scan() {
    let mut world = world();
    world.sold(2_001, &[(0, 1)]);
    assert!(world.scanned(2_001).care.iter().all(|care| care.text != "you again"));
    world.sold(2_001, &[(0, 2), (1, 1)]);
    let history = world.history(2_001).expect("they agreed");
    assert_eq!((history.visits.len(), history.total().visits), (2, 2));
    assert!(!history.categories.is_empty());
    assert_eq!(history.moves.entered, [SegmentId::new("regular").expect("an id")]);
    assert!(world.scanned(2_001).care.iter().any(|care| care.text == "you again"));
    let third = world.sold(2_001, &[(0, 1)]);
    assert!(world.history(2_001).expect("still").moves.entered.is_empty(), "they were in already");
    world.voids(&third);
    assert_eq!(world.history(2_001).expect("still").visits.len(), 2);
}

#[test]
fn is_anybody_learned_of_who_did_not_agree() {
    let mut world = world();
    let token = json!({ "kind": "phone", "value": "13800138000" });
    let data = json!({ "token": token, "consent": { "programme": true, "personal": false } });
    let Ok(Reply::Enroll(enrolled)) = world.ask("enroll", &data) else { panic!("not enrolled") };
    let mut sale = basket(1, &[(0, 1)]);
    sale["member"] = token.clone();
    let (number, _) = world.sell(sale);
    let kept = |world: &World| world.records.contains_key(&Key::History(enrolled.member.clone()));
    assert!(!kept(&world));
    assert_eq!(
        world.refused("event", &json!({ "kind": "note", "member": token, "mark": { "tag": "vip" } })),
        Code::ConsentNeeded
    );
    let agrees = |personal: bool| json!({ "kind": "consent", "member": token, "consent": { "programme": true, "personal": personal } });
    world.noted("event", &agrees(true));
    assert!(kept(&world), "from now on they are");
    world.voids(&number);
    let Some(Record::History(history)) = world.records.get(&Key::History(enrolled.member.clone())) else {
        panic!("kept")
    };
    assert_eq!(history.total().visits, 0, "a sale from before was never in it");
    world.noted("event", &agrees(false));
    assert!(!kept(&world), "forgotten in the same decision");
    let leaves =
        json!({ "kind": "consent", "member": token, "consent": { "programme": false, "personal": false } });
    world.noted("event", &leaves);
    let data = json!({ "token": token, "locale": "en" });
    let Ok(Reply::Scan(reply)) = world.ask("scan", &data) else { panic!("no scan") };
    assert_eq!(reply.member, None, "a stranger who left the programme");
}

#[test]
fn whose_is_a_further_token() {
    let mut world = world();
    let chain = world.bundle.shop.chain.clone();
    let phone = json!({ "kind": "phone", "value": "13900139000" });
    let link = |member: u32| json!({ "kind": "link", "member": card(member), "link": phone });
    world.noted("event", &link(2_001));
    world.noted("event", &link(2_001));
    let hash = Token { kind: TokenKind::Phone, value: "13900139000".into() }.hash(&chain);
    assert_eq!(world.records.get(&Key::Token(hash)), Some(&Record::Token(id(2_001))));
    let Some(Record::Ledger(ledger)) = world.records.get(&Key::Ledger(id(2_001))) else { panic!("a ledger") };
    assert_eq!(ledger.linked, 1, "the same again is nothing new");
    assert_eq!(world.refused("event", &link(2_002)), Code::TokenTaken);
    let stranger = json!({ "kind": "link", "member": card(9_999), "link": { "kind": "qr", "value": "q" } });
    assert_eq!(world.refused("event", &stranger), Code::MemberNeeded);
    let enroll =
        json!({ "token": { "kind": "qr", "value": "new" }, "consent": { "programme": true }, "link": phone });
    assert_eq!(world.refused("enroll", &enroll), Code::TokenTaken);
    for n in 1..16 {
        let link = json!({ "kind": "qr", "value": format!("further-{n}") });
        world.noted("event", &json!({ "kind": "link", "member": card(2_001), "link": link }));
    }
    let one_more =
        json!({ "kind": "link", "member": card(2_001), "link": { "kind": "qr", "value": "one-more" } });
    assert_eq!(world.refused("event", &one_more), Code::TooManyTokens);
}

#[test]
fn is_a_mark_seen_by_segments_until_it_ends() {
    let mut world = world();
    world.sold(2_001, &[(0, 1)]);
    world.noted(
        "event",
        &json!({ "kind": "tasting", "member": card(2_001), "mark": { "tag": "tried-tea", "days": 3 } }),
    );
    let history = world.history(2_001).expect("they agreed");
    assert_eq!(history.moves.entered, [SegmentId::new("taster").expect("an id")]);
    assert_eq!((history.marks[0].source.as_str(), history.seen[0].count), ("till-1", 1));
    world.counter.now = world.counter.now.plus_ms(4 * 86_400_000);
    world.noted("event", &json!({ "kind": "door", "member": card(2_001) }));
    assert!(
        world.history(2_001).expect("still").moves.left.is_empty(),
        "time alone moved them, no decision did"
    );
    world.noted("event", &json!({ "kind": "door", "member": card(2_001), "unmark": "tried-tea" }));
    assert!(world.history(2_001).expect("still").marks.is_empty());
}

#[test]
fn is_what_cannot_be_believed_counted() {
    let mut world = world();
    world.sold(2_001, &[(0, 1)]);
    let odd =
        world.noted("event", &json!({ "kind": "browse", "sku": "no-such-thing", "member": card(2_001) }));
    assert_eq!(odd.remarks.iter().map(|remark| remark.code).collect::<Vec<_>>(), [Code::UnknownSku]);
    let nobody = world.noted("event", &json!({ "kind": "browse", "member": card(9_999) }));
    assert_eq!(nobody.remarks[0].code, Code::TokenUnknown);
    let key = json!({ "device": "till-1", "business_day": "2026-11-18", "seq": 99 });
    let lost = world.noted("feedback", &json!({ "transaction": key, "score": 1 }));
    assert_eq!(lost.remarks[0].code, Code::UnknownTransaction);
    let kind = Tag::new("browse").expect("a tag");
    assert_eq!(
        world
            .history(2_001)
            .expect("they agreed")
            .seen
            .iter()
            .find(|seen| seen.kind == kind)
            .map(|seen| seen.count),
        Some(1)
    );
    for (at, is_believed) in [
        ("2026-11-18T11:00:00+08:00", true),
        ("2026-11-18T13:00:00+08:00", false),
        ("2026-09-01T12:00:00+08:00", false),
    ] {
        let before = world.history(2_001).expect("still").clone();
        let noted = match world.ask_at("event", &json!({ "kind": "browse", "member": card(2_001) }), at) {
            Ok(Reply::Noted(noted)) => noted,
            other => panic!("{other:?}"),
        };
        assert_eq!(
            noted.remarks.iter().all(|remark| remark.code != Code::TimeNotBelieved),
            is_believed,
            "{at}"
        );
        let after = world.history(2_001).expect("still");
        assert_eq!(before.seen != after.seen, is_believed, "{at}");
    }
}

#[test]
fn whose_score_is_it() {
    let mut world = world();
    let number = world.sold(2_001, &[(0, 1)]);
    let mut key = number.clone();
    key["device"] = json!("till-1");
    for score in [9, 4] {
        assert!(world.noted("feedback", &json!({ "transaction": key, "score": score })).remarks.is_empty());
    }
    let scores = world.history(2_001).expect("they agreed").feedback;
    assert_eq!((scores.count, scores.sum, scores.last), (2, 13, 4));
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 24, ..ProptestConfig::default() })]

    #[test]
    fn is_a_history_with_voids_that_of_the_sales_that_stand(
        sales in prop::collection::vec((0..3_u32, prop::collection::vec((0..SKUS.len(), 1..4_u32), 1..4), any::<bool>()), 1..9),
        late: bool,
    ) {
        let (mut with, mut without) = (world(), world());
        let (mut to_void, mut stand) = (Vec::new(), BTreeMap::new());
        for (member, lines, voided) in &sales {
            let member = 2_001 + member;
            let data = basket(member, lines);
            let (number, receipt) = with.sell(data);
            match (voided, late) {
                (false, _) => {
                    without.sold(member, lines);
                    let sum: &mut (u32, Money) = stand.entry(member).or_default();
                    *sum = (sum.0 + 1, sum.1 + receipt.figures.total);
                }
                (true, false) => with.voids(&number),
                (true, true) => to_void.push(number),
            }
        }
        to_void.iter().for_each(|number| with.voids(number));
        for member in 2_001..2_004 {
            let total = with.history(member).map(History::total).unwrap_or_default();
            let (visits, spend) = stand.get(&member).copied().unwrap_or_default();
            prop_assert_eq!((total.visits, total.spend), (visits, spend));
            if late {
                // What is voided late may have used up an offer: the sales after it are priced otherwise without it.
                continue;
            }
            let [with, without] = [&with, &without].map(|world| world.history(member).cloned().map(|mut history| {
                // Which decisions they were is another matter.
                history.visits.iter_mut().for_each(|visit| visit.decision = Seq(0));
                (history.coupons, history.visits, history.categories, history.days, history.older)
            }));
            prop_assert_eq!(with.unwrap_or_default(), without.unwrap_or_default());
        }
    }
}
