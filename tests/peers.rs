//! Does our model say what other people's suites say? Cases of the neutral schema (`data/peer-cases/SCHEMA.md`) through
//! `Book::compile` and `Book::price`; `AISLED_PEER_CASES` names another file of cases.
//!
//! Only a case with the tag `tax`, `ambiguous_allocation` or `negative_line` may be left out, and only if it differs.

#[path = "peers/compare.rs"]
mod compare;
#[path = "peers/kinds.rs"]
mod kinds;
#[path = "peers/mapping.rs"]
mod mapping;

use std::env;
use std::fs;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::path::Path;

use serde_json::Value;

/// Tags of cases that an engine may leave out.
const MAY_BE_LEFT_OUT: [&str; 3] = ["tax", "ambiguous_allocation", "negative_line"];

#[derive(Default)]
struct Tally {
    passed: usize,
    excluded: usize,
    failed: Vec<String>,
}

fn run(text: &str) -> Tally {
    let mut tally = Tally::default();
    for line in text.lines().filter(|line| !line.trim().is_empty()) {
        let case: Value = serde_json::from_str(line).unwrap_or_default();
        let id = case["id"].as_str().unwrap_or("without id").to_owned();
        // Whatever a case holds, the others are still compared.
        let compared = catch_unwind(AssertUnwindSafe(|| match mapping::price(&case) {
            Ok(outcome) => compare::differences(&case, &outcome),
            Err(why) => vec![why],
        }));
        let differences = compared.unwrap_or_else(|_| vec!["it panics".to_owned()]);
        let tagged =
            |tag: &&str| case["features"].as_array().is_some_and(|tags| tags.iter().any(|t| t == tag));
        if differences.is_empty() {
            tally.passed += 1;
        } else if MAY_BE_LEFT_OUT.iter().any(tagged) {
            tally.excluded += 1;
        } else {
            tally.failed.push(format!("{id}: {}", differences.join("; ")));
        }
    }
    tally
}

fn told(tally: &Tally) -> String {
    let (failed, excluded) = (tally.failed.len(), tally.excluded);
    let mut text = format!("peer cases: PASS {} FAIL {failed} EXCLUDED {excluded}\n", tally.passed);
    for failure in &tally.failed {
        text.push_str(&format!("{failure}\n"));
    }
    text
}

fn data(name: &str) -> String {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/data/peer-cases").join(name);
    fs::read_to_string(path).expect("the cases are there")
}

#[test]
#[expect(clippy::print_stdout, reason = "the line that the release reads")]
fn do_we_price_as_other_peoples_suites_assert() {
    let text = match env::var("AISLED_PEER_CASES") {
        Ok(path) => fs::read_to_string(path).expect("the named file of cases can be read"),
        Err(_) => data("cases.jsonl"),
    };
    let tally = run(&text);
    print!("{}", told(&tally));
    assert!(tally.failed.is_empty(), "{}", told(&tally));
    assert!(tally.passed > 0, "there are cases");
}

/// Every kind, key and convention of the schema that the copied cases do not show, worked out by hand.
#[test]
fn do_we_price_the_rest_of_the_schema() {
    let tally = run(&data("ours.jsonl"));
    assert!(tally.failed.is_empty(), "{}", told(&tally));
    assert_eq!(tally.excluded, 0, "ours leave nothing out");
}

#[test]
fn what_becomes_of_a_case_that_nobody_can_read() {
    let odd = r#"{"id":"odd","promotions":[{"id":"p","kind":"raffle"}],"expected":{"total":1}}"#;
    let tally = run(&format!("not json\n[]\n{odd}\n"));
    assert_eq!((tally.passed, tally.excluded), (0, 0));
    assert!(tally.failed[0].starts_with("without id: "), "{:?}", tally.failed);
    assert!(tally.failed[2].contains("kind raffle is not known"), "{:?}", tally.failed);
}

#[test]
fn does_a_wrong_figure_fail() {
    let line =
        data("cases.jsonl").lines().find(|line| line.contains("kata09-005")).expect("it is there").to_owned();
    assert!(line.contains("\"total\": 130"));
    assert_eq!(run(&line).failed.len(), 0);
    assert_eq!(run(&line.replace("\"total\": 130", "\"total\": 131")).failed.len(), 1);
}
