//! When somebody sets the box's clock: back to 1970 as a dead battery does, a year ahead, and right again.

use aisled::domain::calendar::UnixMs;
use serde_json::{Value, json};

use crate::shop::{NOON, Shop, card, cash, line, sale};
use crate::till::{Dialect, Till};
use aisled::devices::wire::Format;

const MILK: &str = "6901234000017";
const SPINACH: &str = "6901234000062";
const HOUR_MS: i64 = 3_600_000;
const YEAR_MS: i64 = 365 * 24 * HOUR_MS;

fn basket() -> Value {
    json!({ "basket": { "lines": [line("1", MILK, 2), line("2", SPINACH, 1)] }, "member": card("2003") })
}

fn commit(seq: u64) -> Value {
    let mut asked = basket();
    asked["transaction"] = sale(seq);
    asked["tenders"] = cash(1_000_000);
    asked
}

/// Which of the offers with a schedule a basket gets now: dairy from November to February, fresh food from eight to ten.
async fn open(till: &mut Till) -> (bool, bool) {
    let quoted = till.ask("quote", basket()).await.data().clone();
    let has =
        |id: &str| quoted["applied"].as_array().expect("a list").iter().any(|one| one["promotion"] == id);
    (has("dairy-second-half"), has("fresh-evening"))
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn does_the_shop_sell_whatever_its_clock_says_and_forget_nothing() {
    let mut shop = Shop::open().await;
    let evening = NOON.plus_ms(9 * HOUR_MS);
    let steps = [
        ("noon", NOON, (true, false)),
        ("the evening", evening, (true, true)),
        ("1970", UnixMs(0), (false, false)),
        ("the evening again", evening.plus_ms(1), (true, true)),
        ("a year ahead", evening.plus_ms(YEAR_MS), (false, true)),
        ("right", evening.plus_ms(2), (true, true)),
    ];
    let mut answered: Vec<(String, Value, Value)> = Vec::new();
    // The whole journey twice: with one daemon throughout, and with one that starts under each clock.
    for (round, restarts) in [false, true].into_iter().enumerate() {
        for (nth, (when, at, windows)) in (0..).zip(steps) {
            shop.clock.set(at.plus_ms(10 * round as i64));
            if restarts {
                shop.restart().await;
            }
            let run = format!("{round}-{nth}");
            let mut till = Till::connect(shop.addr(), "till-1", Dialect::Five, Format::Json, &run).await;
            shop.follows(1).await;
            assert_eq!(open(&mut till).await, windows, "{when}");
            let seq = round as u64 * 100 + nth + 1;
            let id = format!("till-1.sale.{seq}");
            let receipt = till.ask_as("commit", &id, &commit(seq)).await;
            assert!(!receipt.replayed(), "{when}");
            let remarks = receipt.data()["remarks"].as_array().cloned().unwrap_or_default();
            let doubted = remarks.iter().any(|remark| remark["code"] == "AIS-2025");
            assert_eq!(doubted, ["1970", "a year ahead"].contains(&when), "{when}: {remarks:?}");
            answered.push((id, commit(seq), receipt.data().clone()));
            for (id, asked, receipt) in &answered {
                let again = till.ask_as("commit", id, asked).await;
                assert!(again.replayed(), "{when}: {id} is forgotten: {}", again.0);
                assert_eq!(again.data(), receipt, "{when}");
            }
            let mut other = commit(1);
            other["basket"]["lines"][0]["qty"] = json!(5);
            assert_eq!(
                till.ask("commit", other).await.refusal(),
                (409, "AIS-2003"),
                "{when}: its number is taken"
            );
        }
    }
}
