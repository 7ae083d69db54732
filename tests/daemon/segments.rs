//! Does the daemon say who is in which segment, and tell a till when somebody moves?

use std::io::Write as _;

use aisled::cli::Exit;
use aisled::cli::segments::{self, About, SegmentsArgs};
use aisled::domain::ids::{MemberId, SegmentId};
use serde_json::{Value, json};

use crate::rules::authored;
use crate::shop::{Shop, card, cash, line, sale, until};
use crate::signed::{key, signed_at};

const MILK: &str = "6901234000017";
const OIL: &str = "6901234000048";

/// The shop with two more segments: whoever came twice, and of them those who mostly buy food.
async fn shop() -> Shop {
    let shop = Shop::open().await;
    let mut authored = authored();
    for (id, when) in [("regular", "visits_13w >= 2"), ("eater", "visits_13w >= 2 && share['food'] > 50")] {
        let segment = json!({ "id": id, "when": when });
        authored.rules.segments.push(serde_json::from_value(segment).expect("a segment"));
    }
    let packed = aisled::bundle::packed::pack(
        2,
        signed_at(2),
        &authored.rules,
        &authored.members,
        &authored.codes,
        &key(),
    );
    shop.put("2.aisb", &packed.expect("it packs"));
    shop.follows(2).await;
    shop
}

fn asked(shop: &Shop, about: About, json: bool) -> (Exit, String) {
    let mut out = Vec::new();
    let exit = segments::run(&SegmentsArgs { about, json }, shop.data(), &mut out).expect("it is told");
    out.flush().expect("memory");
    (exit, String::from_utf8(out).expect("text"))
}

fn told(shop: &Shop, about: About) -> Value {
    let (exit, text) = asked(shop, about, true);
    assert_eq!(exit, Exit::Ok, "{text}");
    serde_json::from_str(&text).expect("one JSON object")
}

fn id(text: &str) -> SegmentId {
    SegmentId::new(text).expect("an id")
}

#[tokio::test]
async fn who_is_in_which_segment_and_why_not() {
    let shop = shop().await;
    let mut till = shop.till("till-1").await;
    for (seq, member, sku) in
        [(1, "2001", MILK), (2, "2001", MILK), (3, "2002", OIL), (4, "2002", OIL), (5, "2003", OIL)]
    {
        let asked = json!({
            "transaction": sale(seq), "basket": { "lines": [line("1", sku, 1)] }, "member": card(member),
            "tenders": cash(1_000_000),
        });
        till.ask("commit", asked).await.data();
    }
    let settled = |shop: &Shop| {
        let journal = shop.status()["journal"].clone();
        journal["followed"].as_u64().map(|followed| followed + 1) == journal["next"].as_u64()
    };
    until("the tables", || settled(&shop)).await;
    let counts = told(&shop, About::Count);
    let of = |id: &str| {
        let all = counts["segments"].as_array().expect("segments");
        all.iter().find(|segment| segment["segment"] == id).map(|segment| segment["members"].clone())
    };
    assert_eq!((of("regular"), of("eater")), (Some(json!(2)), Some(json!(2))), "{counts:#}");
    assert!(counts["members"].as_u64() > counts["learned_of"].as_u64(), "{counts:#}");
    assert_eq!(counts["learned_of"], 3);
    let who = told(&shop, About::Who { segment: id("regular"), limit: 1 });
    assert_eq!((&who["members"], who["ids"].as_array().map(Vec::len)), (&json!(2), Some(1)), "{who:#}");
    let overlap = told(&shop, About::Overlap { a: id("regular"), b: id("eater") });
    assert_eq!(
        [&overlap["in_a"], &overlap["in_b"], &overlap["in_both"]],
        [2, 2, 2].map(|n| json!(n)).each_ref()
    );
    let m2003 = MemberId::new("m-2003").expect("an id");
    let why = told(&shop, About::Why { segment: id("eater"), member: m2003.clone() });
    assert_eq!(
        (&why["inside"], &why["failed"][0]["leaf"]),
        (&json!(false), &json!("visits_13w >= 2")),
        "{why:#}"
    );
    assert_eq!(why["failed"][0]["en"], "visits_13w >= 2 does not hold: visits_13w is 1");
    assert_eq!(counts["dirty"], json!({ "unknown_lines": 0, "details_dropped": 0 }));
    let scales = told(&shop, About::Scales { groups: 2 });
    assert_eq!(
        (&scales["learned_of"], scales["scales"]["groups"]["centres"].as_array().map(Vec::len)),
        (&json!(3), Some(2))
    );
    let written: toml::Value =
        toml::from_str(scales["toml"].as_str().expect("text")).expect("TOML for shop.toml");
    assert!(written["scales"]["rfm"]["visits"].is_array(), "{scales:#}");
    let (exit, text) = asked(&shop, About::List, false);
    let place = |id: &str| text.lines().position(|line| line.trim_end().ends_with(&format!("  {id}")));
    assert_eq!(exit, Exit::Ok);
    assert!(place("regular").is_some() && place("drifting-away").is_none(), "those with members: {text}");
    let (exit, text) = asked(&shop, About::Who { segment: id("no-such"), limit: 9 }, false);
    assert!(exit == Exit::Finding && text.contains("no segment no-such"), "{text}");
    let nobody = MemberId::new("m-nobody").expect("an id");
    let (exit, text) = asked(&shop, About::Why { segment: id("regular"), member: nobody }, false);
    assert!(exit == Exit::Finding && text.contains("nobody is known here"), "{text}");
}

#[tokio::test]
async fn is_a_till_told_when_its_sale_moves_a_member() {
    let shop = shop().await;
    let mut till = shop.till("till-1").await;
    for seq in [1, 2] {
        let asked = json!({
            "transaction": sale(seq), "basket": { "lines": [line("1", MILK, 1)] }, "member": card("2001"),
            "tenders": cash(1_000_000),
        });
        till.ask("commit", asked).await.data();
    }
    let void = json!({ "transaction": sale(2) });
    let moved = till.hear().await.expect("the connection holds");
    let push: Value = serde_json::from_slice(&moved.payload).expect("JSON");
    assert!(moved.topic.ends_with("/dev/till-1/evt/segments"), "{}", moved.topic);
    assert_eq!(push["data"]["member"], "m-2001");
    assert_eq!(push["data"]["entered"], json!(["eater", "regular"]), "{push}");
    assert_eq!(push["data"]["left"], json!([]));
    assert!(push["data"]["decision"].as_str().expect("a reference").starts_with("s01/"), "{push}");
    till.ask("void", void).await.data();
    let back: Value = serde_json::from_slice(&till.hear().await.expect("it holds").payload).expect("JSON");
    assert_eq!(back["data"]["left"], json!(["eater", "regular"]), "{back}");
    assert_eq!(shop.status()["counts"]["pushes"], 2);
}
