//! Can people who are no programmers write tables, and are they told what is wrong in them? And what do recorded
//! baskets say of new rules?

use std::fs;
use std::path::{Path, PathBuf};

use aisled::cli::Exit;
use aisled::cli::bundle::simulate::SimulateArgs;
use aisled::cli::bundle::{self, BundleArgs, BundleVerb, Surroundings};
use aisled::domain::text::Lang;
use serde_json::Value;

fn run(verb: BundleVerb, lang: Lang) -> (Exit, String) {
    let surroundings = Surroundings { lang, ..Surroundings::default() };
    let mut out = Vec::new();
    let exit = bundle::run(&BundleArgs { verb }, &surroundings, &mut out).expect("the verb runs");
    (exit, String::from_utf8(out).expect("text"))
}

fn sample() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("config/sample-shop")
}

fn tried(dir: &Path, table: &str, lang: Lang) -> (Exit, Vec<String>) {
    let path = dir.join("table.txt");
    fs::write(&path, table).expect("it is written");
    let test = BundleVerb::Test { dir: sample(), tables: vec![path.clone()], json: false };
    let (exit, text) = run(test, lang);
    let place = format!("{}:", path.display());
    (exit, text.lines().map(|line| line.trim_start_matches(&place).to_owned()).collect())
}

#[test]
fn do_the_tables_that_come_with_us_hold() {
    let desk = tempfile::tempdir().expect("a directory");
    let folder = desk.path().join("folder");
    assert_eq!(run(BundleVerb::Init { dir: folder.clone() }, Lang::En).0, Exit::Ok);
    for (dir, cases) in [(folder, 4), (sample(), 15)] {
        let (exit, text) = run(BundleVerb::Test { dir, tables: Vec::new(), json: true }, Lang::En);
        let report: Value = serde_json::from_str(&text).expect("one JSON object");
        assert_eq!((exit, &report["ok"]), (Exit::Ok, &Value::Bool(true)), "{text}");
        assert!(report["cases"].as_u64() >= Some(cases), "{text}");
    }
}

#[test]
fn is_a_difference_told_with_its_line_in_both_languages() {
    let desk = tempfile::tempdir().expect("a directory");
    let table = "case two yogurts\n  basket 2 牧野 原味酸奶\n  expect line 1 16.48\n  expect off 5.00\n";
    let (exit, lines) = tried(desk.path(), table, Lang::En);
    assert_eq!(exit, Exit::Finding);
    assert_eq!(lines[0], "4: two yogurts: expected off 5.00, found 5.50");
    assert_eq!(lines[1], "1 cases: 1 differences, 0 lines that cannot be read");
    let (_, lines) = tried(desk.path(), table, Lang::ZhCn);
    assert!(lines[0].starts_with("4: two yogurts: 预期 off 5.00，实际 5.50"), "{lines:?}");
}

#[test]
fn is_what_cannot_be_read_told_with_what_may_stand_there() {
    let desk = tempfile::tempdir().expect("a directory");
    let wrong = [
        ("basket two milk", "3: c: found \"two milk\", expected how many of what"),
        ("basket 2 no-such-thing", "3: c: found \"no-such-thing\", expected an article by its sku or name"),
        ("basket 2 酸奶", "have it in their name, such as"),
        ("baskett 2 821083", "expected a line that begins with one of basket, member"),
        ("member nobody", "found \"nobody\", expected a member of the folder, or key=value"),
        ("member tier", "found \"tier\", expected a member of the folder, or key=value"),
        ("at yesterday", "found \"yesterday\", expected a day and a time, such as 2026-11-21 12:00"),
        ("with no-such-offer", "found \"no-such-offer\", expected the id of an offer that there is"),
        ("claim no-such-offer", "found \"no-such-offer\", expected the id of an offer that there is"),
        ("expect totl 3.00", "found \"totl 3.00\", expected one of total, off, line"),
        ("expect total 3.0", "found \"3.0\", expected an amount such as 12.50"),
        ("expect no member-price becuse", "found \"becuse\", expected a valid name"),
        ("expect refund 3.00", "expected a line that begins with return above it"),
        ("card GC", "found \"GC\", expected card CODE balance"),
    ];
    for (line, told) in wrong {
        let basket = if line.starts_with("basket ") { "" } else { "  basket 1 821083\n" };
        let table = format!("# notes\ncase c\n  {line}\n{basket}  expect total 11.99\n");
        let (exit, lines) = tried(desk.path(), &table, Lang::En);
        assert_eq!(exit, Exit::Finding, "{line}");
        assert!(lines.iter().any(|said| said.starts_with("3: ") && said.contains(told)), "{line}: {lines:?}");
        let (_, lines) = tried(desk.path(), &table, Lang::ZhCn);
        assert!(
            lines.iter().any(|said| said.starts_with("3: ") && said.contains("应为")),
            "{line}: {lines:?}"
        );
    }
    for (table, told) in [
        ("cases\n", "1: found \"cases\", expected one of the sections case"),
        ("  basket 1 821083\n", "1: found \"basket 1 821083\", expected a section first"),
        (
            "case empty\n  basket 1 821083\n",
            "1: found \"empty\", expected at least one line that begins with expect",
        ),
        (
            "offer x a title\n  benefitt = 3\ncase c\n",
            "1: found \"x\", expected the form of the bundle's files",
        ),
        (
            "goods\n  thing without a price\ncase c\n",
            "2: found \"thing without a price\", expected an article: sku",
        ),
    ] {
        let (exit, lines) = tried(desk.path(), table, Lang::En);
        assert!(exit == Exit::Finding && lines[0].starts_with(told), "{table}: {lines:?}");
    }
}

#[test]
fn can_an_offer_be_tried_before_it_is_written_into_the_folder() {
    let desk = tempfile::tempdir().expect("a directory");
    let table = "offer try-eggs 试 / try\n  qualifier = { items = { skus = [\"821083\"] } }\n  \
                 benefit = { line_amount = { amount = 199 } }\ncase c\n  with try-eggs\n  basket 1 821083\n  expect total 10.00\n";
    assert_eq!(tried(desk.path(), table, Lang::En).0, Exit::Ok);
}

fn simulated(against: &Path, new: &Path, baskets: &Path) -> Value {
    let once = || {
        let args = SimulateArgs {
            new: new.to_owned(),
            against: Some(against.to_owned()),
            baskets: baskets.display().to_string(),
            days: 0..7,
            first_day: "2026-11-01".parse().expect("a day"),
            data: None,
            key: Vec::new(),
            json: true,
        };
        let (exit, text) = run(BundleVerb::Simulate(args), Lang::En);
        assert_eq!(exit, Exit::Ok, "{text}");
        text
    };
    let text = once();
    assert_eq!(text, once(), "the same input, the same bytes");
    serde_json::from_str(&text).expect("one JSON object")
}

/// The sample shop with one text of one file replaced.
fn changed(desk: &Path, file: &str, from: &str, to: &str) -> PathBuf {
    let new = desk.join("new");
    fs::create_dir_all(new.join("promotions")).expect("a folder");
    for folder in ["", "promotions"] {
        for entry in fs::read_dir(sample().join(folder)).expect("a folder") {
            let path = entry.expect("an entry").path();
            if path.is_file() {
                let name = path.file_name().expect("a name");
                fs::copy(&path, new.join(folder).join(name)).expect("it is copied");
            }
        }
    }
    let path = new.join(file);
    let text = fs::read_to_string(&path).expect("a file");
    assert!(text.contains(from), "{from}");
    fs::write(&path, text.replace(from, to)).expect("it is written");
    new
}

#[test]
fn what_do_recorded_baskets_say_of_a_changed_offer() {
    let desk = tempfile::tempdir().expect("a directory");
    let new = changed(
        desk.path(),
        "promotions/40-baskets.toml",
        "save = { amount = 800 }",
        "save = { amount = 1200 }",
    );
    let baskets = desk.path().join("baskets.jsonl");
    let lines = [
        r#"{"at":"2026-11-19T12:00:00+08:00","member":"hh13","lines":[{"sku":"821083","qty":2}]}"#,
        r#"{"at":"2026-11-19T12:01:00+08:00","member":"hh14","lines":[{"sku":"848319","qty":2}],"coupons":["TEA8"]}"#,
        r#"{"at":"2026-11-19T12:02:00+08:00","lines":[{"sku":"no-such-article","qty":1}]}"#,
        r#"{"at":"2026-11-19T12:03:00+08:00","lines":[{"sku":"847270","weight_grams":640,"unit_price":699}]}"#,
    ];
    fs::write(&baskets, lines.join("\n")).expect("it is written");
    let report = simulated(&sample(), &new, &baskets);
    let figures = &report["baskets"];
    assert_eq!(
        (&figures["read"], &figures["priced"], &figures["unpriced"]),
        (&4.into(), &3.into(), &1.into())
    );
    let changes = &report["changes"];
    assert_eq!((&changes["cheaper"], &changes["cheaper_minor"]), (&1.into(), &(-400).into()), "{report:#}");
    let largest = &changes["largest"][0];
    assert_eq!((&largest["basket"], &largest["difference_minor"]), (&"2".into(), &(-400).into()));
    let because = &largest["because"][0];
    assert_eq!(
        (&because["promotion"], &because["before_minor"], &because["after_minor"]),
        (&"spend-99-199-399".into(), &800.into(), &1200.into())
    );
    let tea = &report["promotions"]["coupon-tea-8"]["after"];
    assert_eq!((&tea["baskets"], &tea["discount_minor"]), (&1.into(), &800.into()), "{report:#}");
}

#[test]
fn is_a_quota_used_up_in_a_simulation_as_it_is_in_a_shop() {
    let desk = tempfile::tempdir().expect("a directory");
    let baskets = desk.path().join("baskets.jsonl");
    let line = |minute: u32, day: u32| {
        format!(
            "{{\"at\":\"2026-11-{day}T10:{minute:02}:00+08:00\",\"member\":\"hh13\",\"lines\":[{{\"sku\":\"821083\",\"qty\":2}}]}}\n"
        )
    };
    fs::write(&baskets, [line(1, 19), line(2, 19), line(3, 20)].concat()).expect("it is written");
    let report = simulated(&sample(), &sample(), &baskets);
    let eggs = &report["promotions"]["flash-eggs"]["after"];
    assert_eq!(
        (&eggs["baskets"], &eggs["units"]),
        (&2.into(), &4.into()),
        "two a member and day: {report:#}"
    );
    assert_eq!(report["changes"]["same"], 3);
}

#[test]
fn can_a_grocers_real_baskets_be_simulated() {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/data/complete-journey");
    let desk = tempfile::tempdir().expect("a directory");
    let new =
        changed(desk.path(), "promotions/30-several-units.toml", "buy = 2, get = 1", "buy = 1, get = 1");
    let report = simulated(&sample(), &new, &folder);
    assert_eq!(report["baskets"]["priced"], 313);
    let juice = &report["promotions"]["buy2-get1-juice"];
    assert!(
        juice["after"]["discount_minor"].as_i64() > juice["before"]["discount_minor"].as_i64(),
        "{juice:#}"
    );
    assert!(report["below_cost"].as_array().is_some_and(|list| !list.is_empty()));
    assert!(report["conflicts"].as_array().is_some_and(|list| !list.is_empty()));
    assert_eq!(report["changes"]["dearer"], 0);
}
