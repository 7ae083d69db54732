//! New rules while the shop sells: taken if they are right, refused by name if not, and never in the middle of a sale.

use aisled::bundle::authoring::Authored;
use aisled::bundle::keys::SecretKey;
use aisled::bundle::packed;
use serde_json::{Value, json};

use crate::rules;
use crate::shop::{Shop, card, cash, line, sale, until};
use crate::signed::{key, packed_with, signed_at};

const CIGARETTES: &str = "6901234000109";

/// The same rules with cigarettes at another price.
fn dearer(version: u64, price: i64) -> Vec<u8> {
    let mut authored = rules::authored();
    for item in authored.rules.catalogue.iter_mut().filter(|item| item.sku.as_str() == CIGARETTES) {
        item.price = aisled::domain::money::Money(price);
    }
    packed_of(version, &authored)
}

fn packed_of(version: u64, authored: &Authored) -> Vec<u8> {
    let Authored { rules, members, codes } = authored;
    packed::pack(version, signed_at(version), rules, members, codes, &key()).expect("it packs")
}

fn basket() -> Value {
    json!({ "basket": { "lines": [line("1", CIGARETTES, 1)] } })
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn does_a_quote_keep_its_rules_when_newer_ones_come() {
    let mut shop = Shop::open().await;
    let mut till = shop.till("till-1").await;
    let old = till.ask("quote", basket()).await.data().clone();
    shop.put("2.aisb", &dearer(2, 2_500));
    shop.follows(2).await;
    let new = till.ask("quote", basket()).await.data().clone();
    assert_eq!((&old["total"], &new["total"]), (&json!(2_300), &json!(2_500)));
    assert_eq!((&old["bundle"]["version"], &new["bundle"]["version"]), (&json!(1), &json!(2)));
    let asked = json!({ "transaction": sale(1), "quote": old["quote"], "tenders": cash(2_300) });
    let receipt = till.ask("commit", asked.clone()).await.data().clone();
    assert_eq!((&receipt["total"], &receipt["bundle"]), (&json!(2_300), &old["bundle"]));
    let mut presence = till.presence.clone();
    let told = presence.wait_for(|document| document["bundle"]["version"] == 2);
    crate::till::soon("the presence", told).await.expect("it is told");

    shop.restart().await;
    assert_eq!(shop.status()["bundle"]["version"], 2, "across a restart");
    let mut till = shop.till("till-1").await;
    assert_eq!(till.ask("quote", basket()).await.data()["total"], 2_500);
    assert_eq!(till.ask("commit", asked).await.data(), &receipt);
    let back = json!({ "original": sale(1), "transaction": sale(2), "lines": [{ "line": "1", "qty": 1 }] });
    assert_eq!(till.ask("return", back).await.data()["refund"], 2_300, "for what it was sold");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn is_a_bundle_that_is_not_right_refused_while_the_shop_sells_on() {
    let mut shop = Shop::open().await;
    let mut till = shop.till("till-1").await;
    shop.put("5.aisb", &packed_with(5, &key()));
    shop.follows(5).await;
    let good = dearer(6, 9_900);
    let mut flipped = good.clone();
    let middle = flipped.len() / 2;
    flipped[middle] ^= 1;
    let mut unsigned = good.clone();
    let end = unsigned.len();
    unsigned[end - 64..].fill(0);
    let mut promises = good.clone();
    promises[34..42].copy_from_slice(&u64::MAX.to_be_bytes());
    for (name, bytes) in [
        ("older.aisb", packed_with(4, &key())),
        ("clash.aisb", dearer(5, 9_900)),
        ("foreign.aisb", packed_with(6, &SecretKey::from_seed(&[8; 32]))),
        ("flipped.aisb", flipped),
        ("unsigned.aisb", unsigned),
        ("cut.aisb", good[..good.len() - 1].to_vec()),
        ("longer.aisb", [&good[..], b"!"].concat()),
        ("promises.aisb", promises),
        ("empty.aisb", Vec::new()),
        ("text.aisb", b"[shop]\nname = \"not packed\"".repeat(20)),
    ] {
        shop.put_refused(name, &bytes).await;
        let quote = till.ask("quote", basket()).await.data().clone();
        assert_eq!((&quote["total"], &quote["bundle"]["version"]), (&json!(2_300), &json!(5)), "{name}");
    }
    shop.put("same.aisb", &packed_with(5, &key()));
    until("the bundle already active to be put away", || {
        !shop.data().join("bundles/inbox/same.aisb").exists()
    })
    .await;
    shop.restart().await;
    assert_eq!(shop.status()["bundle"]["version"], 5);
    shop.put("6.aisb", &good);
    shop.follows(6).await;
    let mut till = shop.till("till-1").await;
    assert_eq!(till.ask("quote", basket()).await.data()["total"], 9_900, "the right one is taken");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn does_the_version_go_down_when_the_active_file_is_damaged() {
    let mut shop = Shop::open().await;
    shop.put("5.aisb", &packed_with(5, &key()));
    shop.follows(5).await;
    until("the inbox to be empty", || !shop.data().join("bundles/inbox/5.aisb").exists()).await;
    let hash = shop.status()["bundle"]["hash"].as_str().expect("a hash").to_owned();
    shop.stop().await;
    let kept = shop.data().join(format!("bundles/5-{hash}.aisb"));
    let mut bytes = std::fs::read(&kept).expect("it is kept");
    bytes[300] ^= 1;
    std::fs::remove_file(&kept).expect("it is there");
    std::fs::write(&kept, bytes).expect("it is written");
    shop.clock.advance_ms(1);
    shop.start().await;
    shop.put_refused("4.aisb", &packed_with(4, &key())).await;
    let mut till = shop.till("till-1").await;
    let asked = json!({ "transaction": sale(1), "basket": { "lines": [line("1", CIGARETTES, 1)] }, "tenders": cash(2_300) });
    assert_eq!(
        till.ask("commit", asked).await.refusal(),
        (503, "AIS-2903"),
        "no rules are better than wrong ones"
    );
    shop.put("5.aisb", &packed_with(5, &key()));
    shop.follows(5).await;
    assert_eq!(till.ask("quote", basket()).await.data()["total"], 2_300, "installed again, it is mended");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn is_a_bundle_lost_when_the_daemon_stops_before_it_is_known() {
    let mut shop = Shop::open().await;
    shop.put("2.aisb", &dearer(2, 2_500));
    shop.restart().await;
    shop.follows(2).await;
    until("the inbox to be empty", || !shop.data().join("bundles/inbox/2.aisb").exists()).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_a_shop_without_rules_says() {
    let mut shop = Shop::open().await;
    shop.stop().await;
    let dir = tempfile::tempdir().expect("a directory for the test");
    shop.config.store.data_dir = dir.path().to_owned();
    shop.start().await;
    let mut till = shop.till("till-1").await;
    for (op, data) in [
        ("quote", basket()),
        ("scan", json!({ "token": { "kind": "card", "value": "1" } })),
        ("void", json!({ "transaction": sale(1) })),
    ] {
        assert_eq!(till.ask(op, data).await.refusal(), (503, "AIS-2903"), "{op}");
    }
    shop.put("1.aisb", &packed_with(1, &key()));
    shop.follows(1).await;
    assert_eq!(till.ask("quote", basket()).await.data()["total"], 2_300);
    shop.stop().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_becomes_of_members_and_codes_that_newer_rules_leave_out() {
    let mut shop = Shop::open().await;
    let mut till = shop.till("till-1").await;
    let sold = json!({
        "transaction": sale(1), "basket": { "lines": [line("1", CIGARETTES, 1)] }, "member": card("2005"), "tenders": cash(2_300),
    });
    let points = till.ask("commit", sold).await.data()["points"]["balance_after"].clone();
    let enrolled = json!({ "token": card("new"), "consent": { "programme": true, "personal": true } });
    till.ask("enroll", enrolled).await.data();

    let mut fewer = rules::authored();
    fewer.members.retain(|member| member.id.as_str() != "m-2005");
    fewer.codes.retain(|code| code.code.as_str() != "ONCE-02");
    shop.put("2.aisb", &packed_of(2, &fewer));
    shop.follows(2).await;
    let scan = |token: &str| json!({ "token": card(token) });
    let member = |reply: &Value| reply["member"]["id"].clone();
    assert_eq!(till.ask("scan", scan("2005")).await.data()["member"], Value::Null, "no offers of a member");
    assert_eq!(member(till.ask("scan", scan("2006")).await.data()), "m-2006");
    assert_ne!(
        member(till.ask("scan", scan("new")).await.data()),
        Value::Null,
        "enrolled here: not the bundle's"
    );
    let of_code =
        |code: &str| json!({ "basket": { "lines": [line("1", CIGARETTES, 1)] }, "coupons": [code] });
    let kept = till.ask("quote", of_code("ONCE-01")).await.data()["coupons"][0].clone();
    let dropped = till.ask("quote", of_code("ONCE-02")).await.data()["coupons"][0].clone();
    assert_eq!((&kept["outcome"], &dropped["reason"]), (&json!("applied"), &json!("code_unknown")));

    let again = json!({ "token": card("2005"), "consent": { "programme": true, "personal": false } });
    assert_eq!(till.ask("enroll", again).await.data()["member"], "m-2005", "who they were");
    let back = till.ask("scan", scan("2005")).await.data()["member"].clone();
    assert_eq!(back["points"]["balance"], points, "with points and history");
    let mut nobody = rules::authored();
    nobody.members.clear();
    shop.put("3.aisb", &packed_of(3, &nobody));
    shop.follows(3).await;
    assert_eq!(member(till.ask("scan", scan("2006")).await.data()), "m-2006", "rules alone withdraw nobody");
    shop.put("4.aisb", &packed_of(4, &fewer));
    shop.follows(4).await;
    assert_eq!(member(till.ask("scan", scan("2005")).await.data()), "m-2005", "enrolled here by now");

    let mut one = rules::authored();
    one.members.retain(|member| member.id.as_str() == "m-2005");
    shop.put("5.aisb", &packed_of(5, &one));
    shop.follows(5).await;
    shop.put("6.aisb", &packed_of(6, &fewer));
    shop.follows(6).await;
    assert_eq!(
        till.ask("scan", scan("2005")).await.data()["member"],
        Value::Null,
        "listed and left out again"
    );
    let void = till.ask("void", json!({ "transaction": sale(1) })).await.data().clone();
    assert_eq!(void["points_balance_after"], 1_000, "what was bought still comes back");
    shop.restart().await;
    let mut till = shop.till("till-1").await;
    assert_eq!(till.ask("scan", scan("2005")).await.data()["member"], Value::Null);
}
