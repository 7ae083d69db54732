//! Whose rules does the box believe, and does it notice that somebody keeps newer ones from it.

use aisled::bundle::authoring::Authored;
use aisled::bundle::keys::SecretKey;
use aisled::bundle::mandate::Mandate;
use aisled::bundle::packed::{self, Terms};
use aisled::domain::calendar::UnixMs;
use serde_json::{Value, json};

use crate::rules;
use crate::shop::{NOON, Shop, line, until};
use crate::signed::{key, signed_at};

const DAY_MS: i64 = 86_400_000;

fn packed_under(terms: Terms<'_>, version: u64, key: &SecretKey) -> Vec<u8> {
    let Authored { rules, members, codes } = rules::authored();
    packed::pack_under(terms, version, signed_at(version), (&rules, &members, &codes), key).expect("it packs")
}

fn basket() -> Value {
    json!({ "basket": { "lines": [line("1", "6901234000109", 1)] } })
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn is_it_noticed_that_updates_are_withheld_and_does_the_shop_sell_on() {
    let shop = Shop::open().await;
    let terms = Terms { newer_by: Some(NOON.plus_ms(DAY_MS)), mandate: None };
    shop.put("2.aisb", &packed_under(terms, 2, &key()));
    shop.follows(2).await;
    until("the promise of newer rules", || !shop.status()["bundle_age"]["newer_by"].is_null()).await;
    assert_eq!(shop.status()["bundle_age"]["code"], Value::Null, "they are as promised");
    shop.clock.advance_ms(2 * 86_400_000);
    let age = shop.status()["bundle_age"].clone();
    assert_eq!(age["code"], json!("AIS-3014"), "{age}");
    assert!(age["age_s"].as_i64().is_some_and(|age| age > 2 * 86_400), "{age}");
    let mut till = shop.till("till-1").await;
    assert_eq!(till.ask("quote", basket()).await.data()["total"], 2_300, "selling goes on");
    shop.clock.set(UnixMs(0));
    assert_eq!(till.ask("quote", basket()).await.data()["total"], 2_300, "in 1970 too");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn is_a_signing_key_worth_nothing_once_the_next_one_has_signed() {
    let mut shop = Shop::open().await;
    let (first, second) = (SecretKey::from_seed(&[21; 32]), SecretKey::from_seed(&[22; 32]));
    let until_when = NOON.plus_ms(400 * DAY_MS);
    let of_first = Mandate::sign(&key(), 1, until_when, &first.public());
    let of_second = Mandate::sign(&key(), 2, until_when, &second.public());
    let under = |mandate| Terms { mandate: Some(mandate), newer_by: None };
    shop.put_refused("alone.aisb", &packed_under(Terms::default(), 2, &first)).await;
    shop.put("2.aisb", &packed_under(under(&of_first), 2, &first));
    shop.follows(2).await;
    shop.put("3.aisb", &packed_under(under(&of_second), 3, &second));
    shop.follows(3).await;
    shop.put_refused("4.aisb", &packed_under(under(&of_first), 4, &first)).await;
    shop.restart().await;
    shop.put_refused("5.aisb", &packed_under(under(&of_first), 5, &first)).await;
    assert_eq!(shop.status()["bundle"]["version"], 3);
    shop.put("6.aisb", &packed_under(Terms::default(), 6, &key()));
    shop.follows(6).await;
}
