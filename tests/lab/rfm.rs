//! `aisled lab rfm`: quantile RFM as in R. That the package's own published example comes out (ten segment counts) is
//! judged where its data is; these files are small enough to follow by hand.

use super::{assert_near, faults, file, lab, path};

/// Ten customers: number n ordered n times, last on day n of January, for 10 n each time.
fn ladder() -> String {
    let mut text = "revenue,customer_id,note,order_date\n".to_owned();
    for n in 1..=10 {
        for order in 1..=n {
            text += &format!("{},\"Customer, {n}\",x,2026-01-{order:02}\n", 10 * n);
        }
    }
    text
}

#[test]
fn are_a_ladder_of_customers_scored_as_r_scores_them() {
    let file = file(ladder());
    let said = lab(&["rfm", path(&file), "--as-of", "2026-01-31", "--json"]);
    let report = said.json();
    assert_eq!(said.code, Some(0), "{}", said.err);
    assert_eq!(report["counts"]["rows"], 55);
    // By hand: orders are 1 to 10, so their quantiles are 2.8, 4.6, 6.4, 8.2 and a cut is one more; days are 21 to 30.
    for (index, cut) in [3.8, 5.6, 7.4, 9.2].into_iter().enumerate() {
        assert_near(&report["cuts"]["orders"][index], cut, 1e-9, "a cut of orders");
        assert_near(&report["cuts"]["recency_days"][index], cut + 20.0, 1e-9, "a cut of days");
    }
    let customers = report["customers"].as_array().expect("customers");
    let score = |n: usize| {
        let name = format!("Customer, {n}");
        customers.iter().find(|customer| customer["customer_id"] == name.as_str()).expect("there").clone()
    };
    for (n, frequency, recency) in
        [(1, 1, 1), (3, 1, 2), (4, 2, 3), (5, 2, 3), (6, 3, 4), (7, 3, 4), (8, 4, 5), (9, 4, 5), (10, 5, 5)]
    {
        let customer = score(n);
        let found = (customer["frequency"].as_u64(), customer["recency"].as_u64());
        assert_eq!(found, (Some(frequency), Some(recency)), "{customer}");
        assert_eq!(customer["revenue"], 10.0 * (n * n) as f64);
    }
    assert_eq!(score(10)["segment"], "Champions");
    assert_eq!(score(1)["segment"], "Lost");
    let segments = report["segments"].as_array().expect("segments");
    assert_eq!(segments.len(), 11, "ten and the others");
    let total: u64 = segments.iter().filter_map(|segment| segment["customers"].as_u64()).sum();
    assert_eq!(total, 10);
}

#[test]
fn is_a_wrong_row_named_and_the_rest_counted() {
    let file = file(
        b"customer_id,order_date,revenue\na,2026-01-01,10\n,2026-01-01,1\nb,2026-02-30,1\nb,2026-01-02,ten\nb,2026-01-02,NaN\n\
          b,2026-01-02\nb\xff,2026-01-02,1\nb,2026-01-03 10:00:00,-5.5\nc,2027-01-01,1\n",
    );
    let said = lab(&["rfm", path(&file), "--as-of", "2026-01-31", "--json"]);
    let report = said.json();
    assert_eq!(said.code, Some(1));
    assert_eq!(
        faults(&report),
        ["3:1 AIS-8002", "4:2 AIS-8002", "5:3 AIS-8002", "6:3 AIS-8002", "7:3 AIS-8002", "8:1 AIS-8002"]
    );
    assert_eq!(report["counts"]["customers"], 3);
    assert_eq!(report["counts"]["dated_after"], 1);
    let said = lab(&["rfm", path(&file), "--as-of", "2026-01-31"]);
    assert!(said.out.contains(":4:2: order_date is \"2026-02-30\""), "{}", said.out);
    assert!(said.out.contains("1 orders are dated after 2026-01-31"), "{}", said.out);
}

#[test]
fn is_a_file_without_orders_said_to_be_one() {
    let file = file("customer_id,order_date,revenue\n");
    let said = lab(&["rfm", path(&file), "--as-of", "2026-01-31"]);
    assert_eq!(said.code, Some(1));
    assert!(said.err.contains("AIS-8004"), "{}", said.err);
}
