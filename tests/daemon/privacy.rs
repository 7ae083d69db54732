//! Is a member forgotten through the shop's own door, bundles and all, while others notice nothing?

use std::path::PathBuf;

use aisled::cli::Exit;
use aisled::cli::bundle::Surroundings;
use aisled::cli::privacy::{self, PrivacyArgs, PrivacyVerb};
use aisled::cli::replay::{self, ReplayArgs};
use aisled::domain::ids::MemberId;
use aisled::domain::member::{Token, TokenKind};
use serde_json::{Value, json};

use crate::rules;
use crate::shop::{Shop, card, cash, line, sale, until};
use crate::signed::{key, packed_with};
use crate::till::Till;
use crate::traces::{found, of_hash};

const MILK: &str = "6901234000017";
const GONE: (&str, &str, &str) = ("m-1001", "13800138001", "88001001");
const NAME: &str = "王女士";

fn id(text: &str) -> MemberId {
    MemberId::new(text).expect("an id")
}

fn args(verb: PrivacyVerb) -> PrivacyArgs {
    PrivacyArgs { verb, data: None, json: true }
}

/// The verb, as the shell runs it.
fn shell(shop: &Shop, verb: PrivacyVerb) -> (Exit, Value) {
    let mut out = Vec::new();
    let exit = privacy::run_by(&args(verb), shop.config.clone(), &mut out).expect("it runs");
    (exit, serde_json::from_slice(&out).expect("one JSON object"))
}

fn forget(shop: &Shop, member: &str) -> (Exit, Value) {
    shell(shop, PrivacyVerb::Forget { member: id(member) })
}

fn needles() -> Vec<Vec<u8>> {
    let (id, phone, card) = GONE;
    let chain = rules::authored().rules.shop.chain;
    let hash = |kind, value: &str| Token { kind, value: value.to_owned() }.hash(&chain);
    let plain = [id, phone, NAME, card].map(|text| text.as_bytes().to_vec());
    let hashes = [(TokenKind::Phone, phone), (TokenKind::Card, card), (TokenKind::Member, id)];
    plain
        .into_iter()
        .chain(hashes.into_iter().flat_map(|(kind, value)| of_hash(&hash(kind, value))))
        .collect()
}

async fn sell(till: &mut Till, seq: u64, member: &str) -> Value {
    let data = json!({
        "transaction": sale(seq),
        "basket": { "lines": [line("1", MILK, 2)] },
        "member": card(member),
        "tenders": cash(10_000_000),
    });
    till.ask("commit", data).await.data().clone()
}

async fn member_of(till: &mut Till, member: &str) -> Value {
    till.ask("scan", json!({ "token": card(member) })).await.data()["member"].clone()
}

fn replays(shop: &Shop) -> Value {
    let day = Some("2026-11-18".parse().expect("a day"));
    let args = ReplayArgs { decision: None, day, under: None, key: Vec::new(), json: true };
    let surroundings = Surroundings { trusted: vec![key().public()], ..Surroundings::default() };
    let mut out = Vec::new();
    let exit = replay::run(&args, shop.data(), &surroundings, &mut out).expect("it runs");
    assert_eq!(exit, Exit::Ok, "{}", String::from_utf8_lossy(&out));
    serde_json::from_slice(&out).expect("one JSON object")
}

/// Outlives the data directory, on purpose.
struct Beside(PathBuf);

impl Drop for Beside {
    fn drop(&mut self) {
        drop(std::fs::remove_file(&self.0));
    }
}

fn beside(shop: &Shop) -> Beside {
    let name = shop.data().file_name().expect("it has one").to_string_lossy().into_owned();
    Beside(shop.data().with_file_name(format!("{name}.forgotten")))
}

#[tokio::test]
async fn is_a_member_forgotten_while_the_shop_sells() {
    let mut shop = Shop::open().await;
    let beside = beside(&shop);
    let mut till = shop.till("till-1").await;
    for (seq, member) in [(1, GONE.2), (2, "2001"), (3, GONE.2), (4, "2002")] {
        sell(&mut till, seq, member).await;
    }
    till.ask("event", json!({ "kind": "try_on", "member": card(GONE.2) })).await.data();
    shop.put_refused("0.aisb", &packed_with(1, &aisled::bundle::keys::SecretKey::from_seed(&[9; 32]))).await;
    until("the inbox to be empty", || !shop.data().join("bundles/inbox/1.aisb").exists()).await;
    assert!(!found(shop.data(), &needles()).is_empty(), "they are found before");

    let (exit, told) = shell(&shop, PrivacyVerb::Export { member: id(GONE.0) });
    assert_eq!(exit, Exit::Ok, "{told:#}");
    let whats =
        told["decisions"].as_array().expect("a list").iter().map(|it| it["what"].as_str().expect("a word"));
    let whats: Vec<&str> = whats.filter(|what| *what != "shown").collect();
    assert_eq!(whats, ["purchase", "purchase", "event"], "{told:#}");
    assert_eq!((&told["profile"]["profile"]["name"], &told["ledger"]["visits"]), (&json!(NAME), &json!(2)));
    let (exit, told) = forget(&shop, "nobody-at-all");
    assert_eq!((exit, &told["code"]), (Exit::Finding, &json!("AIS-2115")), "{told}");

    let (exit, told) = forget(&shop, GONE.0);
    assert_eq!((exit, &told["forgotten"]), (Exit::Ok, &json!(true)), "{told}");
    assert_eq!((&told["bundles_rewritten"], &told["plain_decisions"]), (&json!([1]), &json!([])), "{told}");
    assert_eq!(found(shop.data(), &needles()), Vec::<String>::new());
    assert!(beside.0.exists(), "an older backup put back here forgets them again");
    assert_eq!(shell(&shop, PrivacyVerb::Retention).0, Exit::Ok);
    let acts = aisled::audit::last(shop.data(), 99).expect("it reads");
    let acts: Vec<(&str, &Value)> = (acts.iter().map(|act| (act.act.as_str(), &act.what)))
        .filter(|(act, _)| act.starts_with("privacy."))
        .collect();
    let by_number = json!({ "number": told["number"] });
    let forgotten = json!({ "number": told["number"], "decision": told["decision"] });
    assert!(told["number"].is_u64(), "{told}");
    let acted = [
        ("privacy.export", &by_number),
        ("privacy.forget", &json!({})),
        ("privacy.forget", &json!({})),
        ("privacy.forgotten", &forgotten),
        ("privacy.retention", &json!({})),
    ];
    assert_eq!(acts, acted, "whoever was not forgotten is not among the forgotten, and nobody is named");
    aisled::audit::verify(shop.data()).expect("it checks");
    let (exit, told) = forget(&shop, GONE.0);
    assert_eq!((exit, &told["already"]), (Exit::Ok, &json!(true)), "{told}");

    assert_eq!(member_of(&mut till, GONE.2).await, Value::Null);
    assert_eq!(member_of(&mut till, "2001").await["id"], "m-2001", "others are known");
    sell(&mut till, 5, GONE.2).await;
    till.ask("void", json!({ "transaction": sale(3) })).await.data();
    let report = replays(&shop);
    assert_eq!((&report["sales"], &report["refunds"]), (&json!(5), &json!(1)), "{report:#}");
    assert_eq!(report["different"], 0, "{report:#}");

    shop.restart().await;
    let mut till = shop.till("till-1").await;
    assert_eq!(member_of(&mut till, GONE.2).await, Value::Null);
    assert_eq!(sell(&mut till, 6, "2001").await["applied"], sell(&mut till, 7, "2001").await["applied"]);
    // Head office has not heard of it yet, and lists them again.
    shop.put("2.aisb", &packed_with(2, &key()));
    shop.follows(2).await;
    until("the inbox to be empty", || !shop.data().join("bundles/inbox/2.aisb").exists()).await;
    assert_eq!(member_of(&mut till, GONE.2).await, Value::Null);
    assert_eq!(member_of(&mut till, "2001").await["id"], "m-2001");
    assert_eq!(found(shop.data(), &needles()), Vec::<String>::new());
    shop.restart().await;
    assert_eq!(shop.status()["bundle"]["version"], 2, "its rules are read from what the box packed");
    shop.stop().await;
    assert_eq!(found(shop.data(), &needles()), Vec::<String>::new());
}

#[tokio::test]
async fn is_a_member_forgotten_where_no_daemon_runs() {
    let mut shop = Shop::open().await;
    let _beside = beside(&shop);
    let mut till = shop.till("till-1").await;
    sell(&mut till, 1, GONE.2).await;
    sell(&mut till, 2, "2001").await;
    until("the inbox to be empty", || !shop.data().join("bundles/inbox/1.aisb").exists()).await;
    shop.stop().await;
    let (exit, told) = shell(&shop, PrivacyVerb::Export { member: id(GONE.0) });
    assert_eq!((exit, &told["ledger"]["visits"]), (Exit::Ok, &json!(1)), "{told:#}");
    let (exit, told) = forget(&shop, GONE.0);
    assert_eq!((exit, &told["forgotten"]), (Exit::Ok, &json!(true)), "{told}");
    assert_eq!(found(shop.data(), &needles()), Vec::<String>::new());
    let (exit, told) = shell(&shop, PrivacyVerb::Export { member: id(GONE.0) });
    assert_eq!((exit, &told["code"]), (Exit::Finding, &json!("AIS-2115")), "{told}");
    shop.clock.advance_ms(1);
    shop.start().await;
    let mut till = shop.till("till-1").await;
    assert_eq!(member_of(&mut till, GONE.2).await, Value::Null);
    assert_eq!(member_of(&mut till, "2001").await["id"], "m-2001");
    assert_eq!(replays(&shop)["sales"], 2);
}

#[tokio::test]
async fn is_what_is_kept_said_with_its_reason() {
    let shop = Shop::open().await;
    let (exit, told) = shell(&shop, PrivacyVerb::Retention);
    assert_eq!(exit, Exit::Ok);
    let classes = told["retention"].as_array().expect("a list");
    for class in classes {
        let reasons = [&class["en"], &class["zh-CN"]];
        assert!(reasons.iter().all(|text| text.as_str().is_some_and(|text| text.len() > 30)), "{class}");
    }
    let days = |name: &str| {
        classes.iter().find(|class| class["class"] == name).expect("it is there")["days"].clone()
    };
    assert_eq!((days("sales"), days("learned")), (json!(400), json!(1_095)));
}
