//! `aisled lab uplift`: is a known difference found, and none where there is none? The coefficient itself is worked out by
//! hand in `shopper::uplift::qini`.

use std::fmt::Write as _;

use aisled::shopper::seeded::Seeded;

use super::{faults, file, lab, path};

/// An offer that moves those with a high `moved` by `effect`.
fn trial(rows: usize, effect: f64) -> String {
    let mut seeded = Seeded::new(8);
    let mut text = "treatment,buyer,moved,outcome\n".to_owned();
    for _ in 0..rows {
        let (buyer, moved) = (seeded.unit(), seeded.unit());
        let treated = seeded.unit() < 0.5;
        let rate = 0.1 + 0.2 * buyer + if treated && moved > 0.5 { effect } else { 0.0 };
        let (treated, outcome) = (u8::from(treated), u8::from(seeded.unit() < rate));
        writeln!(text, "{treated},{buyer:.4},{moved:.4},{outcome}").expect("memory takes it");
    }
    text
}

#[test]
fn is_a_known_difference_found_beyond_chance() {
    let file = file(trial(1_200, 0.4));
    let args = ["uplift", path(&file), "--splits", "3", "--test", "50", "--json"];
    let said = lab(&args);
    let report = said.json();
    assert_eq!(said.code, Some(0), "{}", said.err);
    let (found, chance) = (&report["qini"], &report["random"]);
    let of = |value: &serde_json::Value| value.as_f64().expect("a number");
    assert!(of(&found["mean"]) > 0.1 && of(&found["low"]) > of(&chance["mean"]), "{found} {chance}");
    let curve = report["curve"].as_array().expect("points");
    assert_eq!(curve.len(), 21);
    assert!(of(&curve[10]["gain"]) > of(&curve[10]["chance"]));
    assert_eq!(curve[20]["gain"], curve[20]["chance"]);
    assert!(report["formula"].as_str().is_some_and(|formula| formula.contains("Radcliffe")));
    assert_eq!(lab(&args).out, said.out);
}

#[test]
fn is_what_is_wrong_with_a_file_named() {
    let good = trial(600, 0.1);
    let broken = good.replacen("\n", "\n2,0.1,0.1,1\n1,0.1,0.1,\n1,inf,0.1,0\n", 1);
    let file_broken = file(broken);
    let args = ["uplift", path(&file_broken), "--splits", "1", "--json"];
    let said = lab(&args);
    assert_eq!(faults(&said.json()), ["2:1 AIS-8002", "3:4 AIS-8002", "4:2 AIS-8002"]);
    assert_eq!(said.code, Some(1));
    let one_arm = good.replace("\n0,", "\n1,");
    for (text, code) in [(one_arm.as_str(), "AIS-8004"), ("treatment,a\n1,2\n", "AIS-8001")] {
        let said = lab(&["uplift", path(&file(text))]);
        assert_eq!(said.code, Some(1));
        assert!(said.err.contains(code), "{}", said.err);
    }
}

#[test]
fn do_campaigns_looked_at_daily_keep_the_interval_s_word() {
    let said = lab(&["peeking", "--runs", "200", "--days", "20", "--daily", "60", "--json"]);
    assert_eq!(said.code, Some(0), "{}{}", said.out, said.err);
    assert!(said.json()["showed_an_effect"].as_f64().is_some_and(|share| share <= 0.05));
    assert_eq!(lab(&["peeking", "--rate", "1.5"]).code, Some(1));
}
