//! Does the lab find in files what is published of them, and say what is wrong with a file? The program itself, a module a
//! verb.

#[path = "lab/next_basket.rs"]
mod next_basket;
#[path = "lab/response.rs"]
mod response;
#[path = "lab/rfm.rs"]
mod rfm;
#[path = "lab/rules.rs"]
mod rules;
#[path = "lab/uplift.rs"]
mod uplift;
#[path = "lab/value.rs"]
mod value;

use std::io::Write as _;
use std::process::Command;

use serde_json::Value;

/// What the program said.
struct Said {
    code: Option<i32>,
    out: String,
    err: String,
}

impl Said {
    fn json(&self) -> Value {
        serde_json::from_str(&self.out).unwrap_or_else(|error| panic!("{error}: {}{}", self.out, self.err))
    }
}

fn lab(args: &[&str]) -> Said {
    let output =
        Command::new(env!("CARGO_BIN_EXE_aisled")).arg("lab").args(args).output().expect("the program runs");
    let text = |bytes: Vec<u8>| String::from_utf8(bytes).expect("text");
    Said { code: output.status.code(), out: text(output.stdout), err: text(output.stderr) }
}

/// A file that holds this; gone when it is dropped.
fn file(text: impl AsRef<[u8]>) -> tempfile::NamedTempFile {
    let mut file = tempfile::NamedTempFile::new().expect("a file");
    file.write_all(text.as_ref()).expect("written");
    file
}

fn path(file: &tempfile::NamedTempFile) -> &str {
    file.path().to_str().expect("a path of text")
}

/// The faults of a report as `line:column code`.
fn faults(report: &Value) -> Vec<String> {
    let listed = report["faults"]["listed"].as_array().expect("faults");
    let line = |fault: &Value| {
        format!("{}:{} {}", fault["line"], fault["column"], fault["code"].as_str().expect("a code"))
    };
    listed.iter().map(line).collect()
}

fn assert_near(found: &Value, expected: f64, within: f64, what: &str) {
    let found = found.as_f64().unwrap_or_else(|| panic!("{what} is a number, not {found}"));
    assert!((found - expected).abs() <= within, "{what} is {found}, not {expected}");
}

#[test]
fn is_a_file_that_is_not_there_or_no_table_named() {
    let baskets = file("milk,bread\n");
    for (args, words) in [
        (vec!["rfm", "/nowhere.csv", "--as-of", "2026-01-01"], "failed to open /nowhere.csv"),
        (vec!["rfm", path(&baskets), "--as-of", "2026-01-01"], "column customer_id"),
        (vec!["value", path(&baskets)], "column id"),
    ] {
        let said = lab(&args);
        assert_eq!(said.code, Some(1), "{}{}", said.out, said.err);
        assert!(said.err.contains(words), "{}", said.err);
    }
    for args in [
        vec!["rfm", path(&baskets)],
        vec!["rfm", path(&baskets), "--as-of", "yesterday"],
        vec!["rules", path(&baskets), "--support", "0", "--confidence", "0.5"],
        vec!["rules", path(&baskets), "--support", "0.1", "--confidence", "1.1"],
        vec!["rules", path(&baskets), "--support", "NaN", "--confidence", "0.5"],
        vec!["rules", path(&baskets), "--support", "0.1", "--confidence", "0.5", "--min-len", "11"],
        vec!["value", path(&baskets), "--discount-monthly", "-1"],
    ] {
        assert_eq!(lab(&args).code, Some(2), "{args:?}");
    }
}
