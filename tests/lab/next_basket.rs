//! Is the next basket found, is nothing learnt from it, and is a bad line told?

use std::fmt::Write as _;
use std::path::Path;
use std::process::{Command, Output};

use serde_json::Value;

fn lab(file: &Path, json: bool) -> Output {
    let mut command = Command::new(env!("CARGO_BIN_EXE_aisled"));
    command.args(["lab", "next-basket"]).arg(file);
    if json {
        command.arg("--json");
    }
    command.output().expect("the program starts")
}

fn of(lines: &str) -> (tempfile::TempDir, std::path::PathBuf) {
    let dir = tempfile::tempdir().expect("a directory");
    let file = dir.path().join("baskets.jsonl");
    std::fs::write(&file, lines).expect("a file");
    (dir, file)
}

/// Twenty who always buy the same two things, of ten kinds.
fn regulars(target: impl Fn(usize) -> [String; 2]) -> String {
    let mut lines = String::new();
    for user in 0..20 {
        let (one, other) = (format!("a{}", user % 10), format!("b{}", user % 10));
        let basket = format!("[\"{one}\",\"{other}\"]");
        let [first, second] = target(user);
        writeln!(
            lines,
            "{{\"u\":\"u{user}\",\"h\":[{basket},{basket},{basket}],\"t\":[\"{first}\",\"{second}\"]}}"
        )
        .expect("a text grows");
    }
    lines
}

fn json(output: &Output) -> Value {
    serde_json::from_slice(&output.stdout).unwrap_or_else(|error| panic!("{error}: {output:?}"))
}

fn source<'a>(report: &'a Value, name: &str) -> &'a Value {
    let sources = report["sources"].as_array().expect("sources");
    sources.iter().find(|source| source["source"] == name).expect("the source")
}

#[test]
fn is_what_is_always_bought_found_and_half_of_it_measured_by_hand() {
    let (_dir, file) = of(&regulars(|user| [format!("a{}", user % 10), format!("b{}", user % 10)]));
    let output = lab(&file, true);
    assert_eq!(output.status.code(), Some(0), "{output:?}");
    let report = json(&output);
    assert_eq!(
        (&report["users"], &report["items"], &report["baskets"]),
        (&20.into(), &20.into(), &60.into())
    );
    for name in ["personal", "tifu-knn"] {
        let at_10 = &source(&report, name)["all"][0];
        for measure in ["recall", "ndcg", "ndcg_of_hits", "phr"] {
            assert_eq!(at_10[measure], 1.0, "{name} {measure}: {at_10}");
        }
    }
    assert_eq!(source(&report, "hybrid")["all"][0]["recall"], 1.0);
    assert_eq!(source(&report, "hybrid")["explore"][0]["users"], 0);

    let (_dir, file) = of(&regulars(|user| [format!("a{}", user % 10), "never-seen".to_owned()]));
    let report = json(&lab(&file, true));
    let personal = source(&report, "personal");
    assert_eq!(personal["all"][0]["recall"], 0.5);
    assert_eq!(personal["repeat"][0]["recall"], 1.0);
    assert_eq!(
        (&personal["explore"][0]["recall"], &personal["explore"][0]["users"]),
        (&0.0.into(), &20.into())
    );
}

/// What is fitted is the same whatever the targets are: two files that differ only in targets are told the same
/// figures about a third thing, how the weights were fitted; and lists against targets nobody could propose hit nothing.
#[test]
fn does_a_target_change_nothing_but_what_it_is_compared_with() {
    let first = regulars(|user| [format!("a{}", user % 10), format!("b{}", user % 10)]);
    // The same users twice, once with each other's targets: proposals are the same where hits of both files add up.
    let swapped = regulars(|user| [format!("a{}", (user + 1) % 10), format!("b{}", (user + 1) % 10)]);
    let ((_one, first), (_other, swapped)) = (of(&first), of(&swapped));
    let (first, swapped) = (json(&lab(&first, true)), json(&lab(&swapped, true)));
    assert_eq!(first["fitted"], swapped["fitted"]);
    // Two of the ten are the user's own, eight of the other eighteen are there by chance.
    let by_chance = source(&swapped, "personal")["all"][0]["recall"].as_f64().expect("a number");
    assert!(by_chance < 0.6, "a target is not proposed because it is one: {by_chance}");
    assert_eq!(source(&swapped, "personal")["repeat"][0]["users"], 0);
}

#[test]
fn are_the_same_figures_told_twice() {
    let (_dir, file) = of(&regulars(|user| [format!("a{}", user % 10), format!("b{}", (user + 3) % 10)]));
    let (one, other) = (json(&lab(&file, true)), json(&lab(&file, true)));
    assert_eq!(one["sources"], other["sources"]);
}

#[test]
fn is_a_bad_line_told_and_left_out() {
    let mut lines = regulars(|user| [format!("a{}", user % 10), format!("b{}", user % 10)]);
    lines += "not json\n\n{\"u\":1,\"h\":[[]],\"t\":[1]}\n{\"u\":2,\"h\":[[1]],\"t\":[]}\n{\"u\":3,\"h\":[[1.5]],\"t\":[1]}\n";
    lines += "{\"u\":4,\"h\":[[1,2,2]],\"t\":[2,2]}\n";
    let (_dir, file) = of(&lines);
    let output = lab(&file, false);
    assert_eq!(output.status.code(), Some(1), "{output:?}");
    let text = String::from_utf8(output.stdout).expect("UTF-8");
    for told in [
        ":21: left out: ",
        ":23: left out: no basket before the target",
        ":24: left out: nothing to find",
        ":25: left out: ",
    ] {
        assert!(text.contains(told), "{told:?} in {text}");
    }
    assert!(text.contains("21 users"), "{text}");
    for word in ["NDCG of hits", "PHR", "Recall repeat", "Recall explore", "hybrid", "at 20"] {
        assert!(text.contains(word), "{word} in {text}");
    }
}

#[test]
fn does_a_file_of_nothing_say_so() {
    let (_dir, file) = of("\n");
    let output = lab(&file, false);
    assert_eq!(output.status.code(), Some(1));
    assert!(String::from_utf8_lossy(&output.stderr).contains("failed to find a user"), "{output:?}");
    let missing = lab(Path::new("no/such/file"), false);
    assert!(String::from_utf8_lossy(&missing.stderr).contains("failed to read"), "{missing:?}");
}
