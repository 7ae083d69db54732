//! Warnings of `bundle check` as tables: a folder, and what is said of it where (`advice.txt`).

use aisled::bundle::authoring::{self, Severity};

use super::{SHOP, folder};

const TABLE: &str = include_str!("advice.txt");

const CATALOGUE: &str = r#"[[item]]
sku = "rice"
price = 6000
cost = 4000
categories = ["food"]
[[item]]
sku = "milk"
price = 1000
cost = 600
categories = ["food", "dairy"]
[[item]]
sku = "soap"
price = 800
cost = 750
categories = ["home"]
[[item]]
sku = "cake"
price = 3000
"#;

/// What is said of one case, as its lines say it.
fn said(case: &str) -> Vec<(String, String)> {
    let mut files =
        vec![("shop.toml", format!("{SHOP}resolution = \"best\"\n")), ("catalogue.toml", CATALOGUE.into())];
    let mut name = "promotions.toml";
    for line in case.lines().filter(|line| !line.starts_with("=>")) {
        if let Some(other) = line.strip_prefix("--- ") {
            name = other;
            continue;
        }
        if name == "shop.toml" {
            files[0].1 = format!("{SHOP}{line}\n");
            continue;
        }
        match files.iter_mut().find(|(known, _)| *known == name) {
            Some((_, text)) => text.push_str(&format!("{line}\n")),
            None => files.push((name, format!("{line}\n"))),
        }
    }
    let files: Vec<(&str, &str)> = files.iter().map(|(name, text)| (*name, text.as_str())).collect();
    let (_, findings) = authoring::read_and_advise(folder(&files)).expect("the folder has no faults");
    assert!(findings.iter().all(|finding| finding.severity() == Severity::Warning));
    let line = |f: &authoring::Finding| format!("{}:{}:{} {}", f.file, f.line, f.column, f.code);
    findings.iter().map(|finding| (line(finding), finding.message.clone())).collect()
}

#[test]
fn what_does_a_check_warn_of_and_where() {
    let mut differences = Vec::new();
    let mut cases = 0;
    for case in TABLE.split("\ncase ").skip(1) {
        let (title, case) = case.split_once('\n').expect("a case has a title");
        cases += 1;
        let expected: Vec<&str> = case.lines().filter_map(|line| line.strip_prefix("=> ")).collect();
        assert!(!expected.is_empty(), "{title} expects nothing");
        let said = said(case);
        let same = expected == ["nothing"] && said.is_empty()
            || expected.len() == said.len()
                && expected.iter().zip(&said).all(|(expected, (place, message))| {
                    expected.strip_prefix(place.as_str()).is_some_and(|words| message.contains(words.trim()))
                });
        if !same {
            differences.push(format!("{title}: {said:#?}"));
        }
    }
    assert!(cases > 20, "the table was read");
    assert!(differences.is_empty(), "{}", differences.join("\n"));
}

#[test]
fn are_the_bundles_we_ship_free_of_warnings() {
    let (_, findings) = authoring::read_and_advise(folder(super::EXAMPLE)).expect("the example is right");
    let findings: Vec<String> = findings.iter().map(ToString::to_string).collect();
    assert!(findings.is_empty(), "{findings:#?}");
}
