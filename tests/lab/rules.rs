//! `aisled lab rules`: association rules as in arules. That Groceries gives its published 5,668 and 463 rules is judged where
//! its data is; a slow count of random baskets stands beside the miner in `shopper::rules`.

use super::{assert_near, faults, file, lab, path};

/// The example of `?apriori`: with its defaults (support .1, confidence .8) arules finds these.
const EXAMPLE: &str = "a,b,c\na,b\na,b,d\nc,e\na,b,d,e\n";

#[test]
fn are_the_rules_of_the_documentation_found() {
    let file = file(EXAMPLE);
    let args = ["rules", path(&file), "--support", "0.1", "--confidence", "0.8", "--json"];
    let said = lab(&args);
    assert_eq!(said.code, Some(0), "{}", said.err);
    let report = said.json();
    let rules = report["rules"].as_array().expect("rules");
    let named: Vec<String> = (rules.iter())
        .map(|rule| {
            let left: Vec<&str> =
                rule["lhs"].as_array().expect("items").iter().filter_map(|item| item.as_str()).collect();
            format!("{}>{}", left.join(""), rule["rhs"].as_str().expect("an item"))
        })
        .collect();
    // By hand: {} => {a} and {} => {b} are in 4 of 5 baskets.
    for rule in [">a", ">b", "a>b", "b>a", "d>a", "d>b", "ad>b", "abe>d", "ae>d"] {
        assert!(named.contains(&rule.to_owned()), "{rule} in {named:?}");
    }
    assert!(!named.contains(&"c>a".to_owned()), "{named:?}");
    assert_eq!(report["rules_total"], rules.len());
    let first = rules.iter().position(|rule| rule["lhs"].as_array().is_some_and(Vec::is_empty)).expect("one");
    assert_near(&rules[first]["lift"], 1.0, 1e-12, "the lift of every basket");
    assert_near(&rules[first]["coverage"], 1.0, 1e-12, "the coverage of every basket");
    let without = lab(&[&args[..], &["--min-len", "2"]].concat()).json();
    assert_eq!(without["rules_total"], rules.len() - 2);
}

#[test]
fn are_quotes_doubles_and_empty_lines_read_as_r_reads_them() {
    let file = file("\u{feff}\"milk, whole\",bread,bread\r\n\r\n bread , \"milk, whole\"\n,,tea\n");
    let args = ["rules", path(&file), "--support", "0.5", "--confidence", "0.5"];
    let said = lab(&args);
    assert_eq!(said.code, Some(0), "{}", said.err);
    assert!(said.out.starts_with("4 baskets (1 empty), 3 items; 0 rows left out\n"), "{}", said.out);
    assert!(said.out.contains("{bread} => {milk, whole}"), "{}", said.out);
    let report = lab(&[&args[..], &["--json"]].concat()).json();
    assert_eq!(report["count_min"], 2);
    assert_eq!(report["rules_total"], 4);
}

#[test]
fn is_a_wrong_basket_named_and_the_rest_counted() {
    let mut text = b"milk,bread\n\"milk,bread\ntea,\xff\n".to_vec();
    text.extend(b"x".repeat(100_000));
    text.extend(b"\nmilk\n");
    let file = file(text);
    let said = lab(&["rules", path(&file), "--support", "0.1", "--confidence", "0.5", "--json"]);
    let report = said.json();
    assert_eq!(said.code, Some(1));
    assert_eq!(faults(&report), ["2:1 AIS-8002", "3:2 AIS-8002", "4:1 AIS-8002"]);
    assert_eq!(report["baskets"], 2);
    let empty = super::file("");
    let said = lab(&["rules", path(&empty), "--support", "0.1", "--confidence", "0.5"]);
    assert!(said.err.contains("AIS-8004"), "{}", said.err);
}
