//! What there is only so much of: codes, quotas and points, held by open quotes and given back by voids.

use serde_json::{Value, json};

use crate::shop::{Shop, card, cash, line, sale};
use crate::till::Till;

const MILK: &str = "6901234000017";
const OIL: &str = "6901234000048";
const TISSUES: &str = "6901234000086";
const CAKE: &str = "6901234000093";
const SPINACH: &str = "6901234000062";
const CIGARETTES: &str = "6901234000109";

fn with_code(sku: &str, code: &str) -> Value {
    json!({ "basket": { "lines": [line("1", sku, 1)] }, "coupons": [code] })
}

async fn quote(till: &mut Till, asked: Value) -> Value {
    till.ask("quote", asked).await.data().clone()
}

fn paying(seq: u64, quote: &Value) -> Value {
    json!({ "transaction": sale(seq), "quote": quote["quote"], "tenders": cash(1_000_000) })
}

fn applied(document: &Value, promotion: &str) -> bool {
    document["applied"].as_array().expect("a list").iter().any(|one| one["promotion"] == promotion)
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn is_a_single_use_code_used_once_and_given_back_by_a_void() {
    let mut shop = Shop::open().await;
    let mut till = shop.till("till-1").await;
    let first = quote(&mut till, with_code(CIGARETTES, " once-01 ")).await;
    assert_eq!(first["coupons"][0]["outcome"], "applied");
    assert_eq!(first["total"], 1_800);
    let receipt = till.ask("commit", paying(1, &first)).await.data().clone();
    assert_eq!(receipt["coupons_burned"], json!(["ONCE-01"]));
    shop.restart().await;
    let mut till = shop.till("till-1").await;
    let second = quote(&mut till, with_code(CIGARETTES, "ONCE-01")).await;
    assert_eq!(
        second["coupons"][0],
        json!({ "code": "ONCE-01", "outcome": "refused", "reason": "code_used", "problem": "AIS-2102" })
    );
    assert_eq!(second["total"], 2_300);
    let voided = till.ask("void", json!({ "transaction": sale(1) })).await.data().clone();
    assert_eq!(voided["coupons_returned"], json!(["ONCE-01"]));
    shop.restart().await;
    let mut till = shop.till("till-1").await;
    let third = quote(&mut till, with_code(CIGARETTES, "ONCE-01")).await;
    assert_eq!(third["total"], 1_800);
    assert_eq!(till.ask("commit", paying(2, &third)).await.data()["coupons_burned"], json!(["ONCE-01"]));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_is_said_of_codes_that_are_no_right() {
    let shop = Shop::open().await;
    let mut till = shop.till("till-1").await;
    for (code, reason, problem) in [
        ("OLD10", "expired", "AIS-2106"),
        ("NO-SUCH", "code_unknown", "AIS-2101"),
        ("CB-7Q2M-0002", "code_not_yours", "AIS-2103"),
        ("CB-7Q2M-0001", "code_not_yours", "AIS-2103"),
    ] {
        let asked = quote(&mut till, with_code(OIL, code)).await;
        assert_eq!(
            asked["coupons"],
            json!([{ "code": code, "outcome": "refused", "reason": reason, "problem": problem }]),
            "{code}"
        );
    }
    let mut theirs = with_code(OIL, "CB-7Q2M-0001");
    theirs["member"] = card("88001001");
    let elsewhere = quote(&mut till, theirs).await;
    assert_eq!(elsewhere["coupons"][0]["reason"], "code_elsewhere", "its home is another shop: {elsewhere}");
    let mut own = with_code(OIL, "CB-7Q2M-0002");
    own["member"] = json!({ "kind": "phone", "value": "13800138002" });
    assert!(applied(&quote(&mut till, own).await, "come-back-10"));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn is_a_code_of_many_uses_good_for_so_many() {
    let shop = Shop::open().await;
    let mut till = shop.till("till-1").await;
    for seq in 1..=3 {
        let mut asked = with_code(CIGARETTES, "FLYER3");
        asked["transaction"] = sale(seq);
        asked["tenders"] = cash(2_300);
        assert_eq!(till.ask("commit", asked).await.data()["total"], 2_000);
    }
    let fourth = quote(&mut till, with_code(CIGARETTES, "FLYER3")).await;
    assert!(!applied(&fourth, "flyer-three"), "{fourth}");
    assert_eq!(fourth["coupons"][0]["outcome"], "not_applied", "{fourth}");
    till.ask("void", json!({ "transaction": sale(2) })).await.data();
    let mut other = shop.till("till-2").await;
    let held = quote(&mut other, with_code(CIGARETTES, "FLYER3")).await;
    assert!(applied(&held, "flyer-three"));
    let mut third = shop.till("till-3").await;
    assert!(
        !applied(&quote(&mut third, with_code(CIGARETTES, "FLYER3")).await, "flyer-three"),
        "the last one is held"
    );
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn is_a_code_held_by_an_open_quote_and_free_when_it_ends() {
    let shop = Shop::open().await;
    let (mut a, mut b) = (shop.till("till-a").await, shop.till("till-b").await);
    assert!(applied(&quote(&mut a, with_code(CIGARETTES, "ONCE-02")).await, "once-five"));
    let refused =
        json!([{ "code": "ONCE-02", "outcome": "refused", "reason": "code_held", "problem": "AIS-2104" }]);
    assert_eq!(quote(&mut b, with_code(CIGARETTES, "ONCE-02")).await["coupons"], refused);
    let direct = json!({
        "transaction": sale(1),
        "basket": { "lines": [line("1", CIGARETTES, 1)] },
        "coupons": ["ONCE-02"],
        "tenders": cash(2_300),
    });
    let beside = b.ask("commit", direct).await.data().clone();
    assert_eq!(
        (&beside["total"], &beside["coupons_burned"]),
        (&json!(2_300), &json!([])),
        "a sale beside it"
    );

    let changed = json!({ "basket": { "lines": [line("1", CIGARETTES, 1), line("2", MILK, 1)] }, "coupons": ["ONCE-02"] });
    let again = quote(&mut a, changed).await;
    assert!(applied(&again, "once-five"), "the same basket, one more article: its own hold is no obstacle");
    let elsewhere = quote(&mut a, json!({ "basket": { "lines": [line("9", OIL, 1)] } })).await;
    a.ask("commit", paying(2, &elsewhere)).await.data();
    assert_eq!(
        quote(&mut b, with_code(CIGARETTES, "ONCE-02")).await["coupons"],
        refused,
        "another sale frees nothing"
    );

    shop.clock.advance_ms(300_000);
    let other = quote(&mut b, with_code(OIL, "ONCE-02")).await;
    assert_eq!(other["coupons"], refused, "honoured to its last moment");
    shop.clock.advance_ms(1);
    let freed = quote(&mut b, with_code(MILK, "ONCE-02")).await;
    assert!(!applied(&freed, "long-gone"));
    assert_eq!(freed["coupons"][0]["outcome"], "applied", "{freed}");
    assert_eq!(a.ask("commit", paying(3, &again)).await.refusal(), (410, "AIS-2004"), "the expired one");
    b.ask("commit", paying(2, &freed)).await.data();
    assert_eq!(quote(&mut a, with_code(CIGARETTES, "ONCE-02")).await["coupons"][0]["reason"], "code_used");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn are_quotas_kept_over_open_quotes_sales_and_restarts() {
    let mut shop = Shop::open().await;
    let mut till = shop.till("till-1").await;
    // Each basket is another member's: two of one shopper at one till would be one basket.
    let tissues = |who: usize| json!({ "basket": { "lines": [line("1", TISSUES, 1)] }, "member": card(&format!("200{who}")) });
    let mut open = Vec::new();
    for n in 0..5 {
        open.push(quote(&mut till, tissues(n + 1)).await);
        assert!(applied(&open[n], "first-five"));
    }
    assert!(!applied(&quote(&mut till, tissues(6)).await, "first-five"), "five are held");
    for (seq, quoted) in open.iter().enumerate().take(4) {
        let receipt = till.ask("commit", paying(seq as u64, quoted)).await;
        assert!(applied(receipt.data(), "first-five"));
    }
    shop.restart().await;
    let mut till = shop.till("till-1").await;
    let fifth = quote(&mut till, tissues(5)).await;
    assert!(applied(&fifth, "first-five"), "an open quote does not outlive a restart; sales do");
    assert!(!applied(&quote(&mut till, tissues(6)).await, "first-five"));
    till.ask("commit", paying(4, &fifth)).await.data();
    till.ask("void", json!({ "transaction": sale(0) })).await.data();
    assert!(applied(&quote(&mut till, tissues(7)).await, "first-five"), "what was voided is there again");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn are_the_limits_of_a_member_and_of_a_till_kept_over_open_quotes() {
    let shop = Shop::open().await;
    let mut till = shop.till("till-1").await;
    let spinach = || json!({ "basket": { "lines": [line("1", SPINACH, 1)] }, "member": card("2005") });
    let mut beside = shop.till("till-2").await;
    let mut third = shop.till("till-3").await;
    let one = quote(&mut till, spinach()).await;
    let two = quote(&mut beside, spinach()).await;
    assert!(applied(&one, "spinach-twice") && applied(&two, "spinach-twice"));
    assert!(!applied(&quote(&mut third, spinach()).await, "spinach-twice"), "both of the member's are held");
    for (till, quoted) in [(&mut till, &one), (&mut beside, &two)] {
        assert!(applied(till.ask("commit", paying(10, quoted)).await.data(), "spinach-twice"));
    }
    assert!(!applied(&quote(&mut third, spinach()).await, "spinach-twice"), "both are used up");

    // Baskets that share less than half of their articles are not the same basket.
    let cake = |id: &str| {
        let others: &[&str] = match id {
            "1" => &[OIL, MILK],
            "2" => &[SPINACH, TISSUES],
            _ => &[],
        };
        let mut lines = vec![line("1", CAKE, 1)];
        lines.extend(others.iter().enumerate().map(|(at, sku)| line(&format!("{}", at + 2), sku, 1)));
        json!({ "basket": { "lines": lines } })
    };
    let (one, two) = (quote(&mut till, cake("1")).await, quote(&mut till, cake("2")).await);
    assert!(applied(&one, "cake-per-till") && applied(&two, "cake-per-till"));
    for (seq, quoted) in [(20, &one), (21, &two)] {
        assert!(applied(till.ask("commit", paying(seq, quoted)).await.data(), "cake-per-till"));
    }
    assert!(!applied(&quote(&mut till, cake("3")).await, "cake-per-till"), "both of the till's are used up");
    assert!(applied(&quote(&mut beside, cake("1")).await, "cake-per-till"), "another till has its own");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn is_a_limit_per_day_kept_though_a_till_lives_in_the_future() {
    let shop = Shop::open().await;
    let mut till = shop.till("till-1").await;
    let points = |id: &str| json!({ "basket": { "lines": [line(id, CIGARETTES, 1), line("m", MILK, 1)] }, "member": card("2008") });
    let first = quote(&mut till, points("1")).await;
    assert!(applied(&first, "fifty-points-a-day"), "{first}");
    till.ask("commit", paying(1, &first)).await.data();
    let mut ahead = points("2");
    ahead["at"] = json!("2027-06-01T12:00:00+08:00");
    let ahead = quote(&mut till, ahead).await;
    assert_eq!(till.ask("commit", paying(2, &ahead)).await.refusal(), (410, "AIS-2004"), "it is not June");
    assert!(!applied(&quote(&mut till, points("3")).await, "fifty-points-a-day"), "today's was used");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn is_a_superseded_quote_good_for_what_another_one_holds() {
    let shop = Shop::open().await;
    let mut till = shop.till("till-1").await;
    let points = json!({ "basket": { "lines": [line("1", MILK, 1)] }, "member": card("2009") });
    let first = quote(&mut till, points.clone()).await;
    let second = quote(&mut till, points.clone()).await;
    assert!(applied(&first, "fifty-points-a-day") && applied(&second, "fifty-points-a-day"));
    let honoured = till.ask("commit", paying(1, &first)).await.data().clone();
    assert_eq!(honoured["points"], first["points"], "the earlier one of the two is as good");
    assert_eq!(till.ask("commit", paying(2, &second)).await.refusal(), (410, "AIS-2004"), "both are not");
    let third = quote(&mut till, points.clone()).await;
    quote(&mut till, points).await;
    let receipt = till.ask("commit", paying(3, &third)).await.data().clone();
    assert_eq!(
        (&receipt["total"], &receipt["member"]),
        (&json!(320), &json!("m-2009")),
        "nothing scarce: it is honoured"
    );
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn are_points_held_while_a_quote_wants_to_spend_them() {
    let shop = Shop::open().await;
    let (mut a, mut b) = (shop.till("till-a").await, shop.till("till-b").await);
    let asked = json!({
        "basket": { "lines": [line("1", OIL, 1)] },
        "member": card("2006"),
        "points": { "spend": 800 },
    });
    let first = quote(&mut a, asked.clone()).await;
    assert_eq!(first["points"]["spend"], 800);
    assert_eq!(quote(&mut b, asked.clone()).await["points"]["spend"], 0, "of 1,000, 800 are held");
    let mut rest = asked;
    rest["points"]["spend"] = json!("max");
    let second = quote(&mut b, rest).await;
    assert_eq!(second["points"]["spend"], 200, "{second}");
    let done = [a.ask("commit", paying(1, &first)).await, b.ask("commit", paying(1, &second)).await];
    let spent: i64 =
        done.iter().map(|reply| reply.data()["points"]["spend"].as_i64().expect("a number")).sum();
    assert_eq!(spent, 1_000);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn is_a_coupon_for_the_next_visit_the_members_own_and_withdrawn_with_its_sale() {
    let mut shop = Shop::open().await;
    let mut till = shop.till("till-1").await;
    let big = |id: &str| json!({ "basket": { "lines": [line(id, OIL, 2)] }, "member": card("2007") });
    let quoted = quote(&mut till, big("1")).await;
    let receipt = till.ask("commit", paying(1, &quoted)).await.data().clone();
    let code = receipt["coupons_issued"][0]["code"].as_str().expect("a coupon").to_owned();
    shop.restart().await;
    let mut till = shop.till("till-1").await;
    let wallet = till.ask("wallet", json!({ "member": card("2007") })).await.data().clone();
    assert_eq!(wallet["coupons"][0]["code"], code);
    let stranger = quote(&mut till, with_code(CIGARETTES, &code)).await;
    assert_eq!(stranger["coupons"][0]["reason"], "code_not_yours");
    let mut own = with_code(CIGARETTES, &code);
    own["member"] = card("2007");
    let used = quote(&mut till, own).await;
    assert_eq!(used["coupons"][0]["outcome"], "applied", "{used}");
    let voided = till.ask("void", json!({ "transaction": sale(1) })).await.data().clone();
    assert_eq!(voided["coupons_withdrawn"], json!([code]));
    let wallet = till.ask("wallet", json!({ "member": card("2007") })).await.data().clone();
    assert_eq!(wallet["coupons"], json!([]));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn does_a_cancelled_sale_count_where_its_limit_says_so() {
    let shop = Shop::open().await;
    let mut till = shop.till("till-1").await;
    let asked = json!({
        "basket": { "lines": [line("1", CIGARETTES, 1)] },
        "member": card("2003"),
        "claims": [{ "promotion": "claim-for-good", "times": 1 }, { "promotion": "claim-once", "times": 1 }],
    });
    let first = quote(&mut till, asked.clone()).await;
    assert!(applied(&first, "claim-for-good") && applied(&first, "claim-once"), "{first}");
    till.ask("commit", paying(1, &first)).await.data();
    let between = quote(&mut till, asked.clone()).await;
    assert!(!applied(&between, "claim-for-good") && !applied(&between, "claim-once"), "{between}");
    till.ask("void", json!({ "transaction": sale(1) })).await.data();
    let after = quote(&mut till, asked).await;
    assert!(!applied(&after, "claim-for-good") && applied(&after, "claim-once"), "{after}");
    let why = after["not_applied"]
        .as_array()
        .expect("a list")
        .iter()
        .find(|one| one["promotion"] == "claim-for-good");
    assert_eq!(why.expect("it was asked for")["reason"], "limit_member");
}
