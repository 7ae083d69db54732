//! `aisled lab response`: does it tell who answers, and does it name what is wrong with a file? What it reaches on the real
//! campaigns of The Complete Journey is judged where its data is; its measures are worked out by hand in
//! `shopper::response::measures`.

use std::fmt::Write as _;

use aisled::shopper::seeded::Seeded;

use super::{faults, file, lab, path};

/// Shoppers who answer the more often the more they did before; the last quarter is to judge by.
fn campaign(rows: usize) -> String {
    let mut seeded = Seeded::new(4);
    let mut text = "split,visits,Y,answered,spend,shop\n".to_owned();
    for row in 0..rows {
        let visits = (30.0 * seeded.unit().powi(2)).floor();
        let answered = (4.0 * seeded.unit().powi(3)).floor();
        let spend = visits * (20.0 + 30.0 * seeded.unit());
        let odds = -2.5 + 0.5 * visits.ln_1p() + 1.2 * answered.ln_1p();
        let y = u8::from(seeded.unit() < (1.0 + (-odds).exp()).recip());
        let split = if row < rows * 3 / 4 { "train" } else { "test" };
        let spend = if row % 5 == 0 { String::new() } else { format!("{spend:.2}") };
        writeln!(text, "{split},{visits},{y},{answered},{spend},12").expect("memory takes it");
    }
    text
}

#[test]
fn does_it_tell_who_answers_and_the_same_each_time() {
    let file = file(campaign(800));
    let said = lab(&["response", path(&file), "--json"]);
    let report = said.json();
    assert_eq!(said.code, Some(0), "{}", said.err);
    assert_eq!(
        (&report["rows"]["train"]["rows"], &report["rows"]["test"]["rows"]),
        (&600.into(), &200.into())
    );
    let of = |key: &str| report[key].as_f64().expect("a number");
    assert!(of("auc") > 0.62 && of("lift_at_10") > 1.2, "{report:#}");
    let base = &report["learners"]["base_rate"];
    assert_eq!(base["auc"], 0.5);
    assert!(of("pr_auc") > base["pr_auc"].as_f64().expect("a number"));
    assert!(of("log_loss") < base["log_loss"].as_f64().expect("a number"));
    let findings = report["findings"].as_array().expect("findings");
    assert_eq!(findings.len(), 1, "{findings:?}");
    assert_eq!(findings[0]["code"], "AIS-8008");
    assert_eq!(lab(&["response", path(&file), "--json"]).out, said.out);
    let table = lab(&["response", path(&file), "--ignore", "shop"]);
    assert!(table.out.contains("average precision") && !table.out.contains("AIS-"), "{}", table.out);
}

#[test]
fn is_each_row_that_cannot_count_named_by_line_and_column() {
    let bad = [
        ("train,inf,1,1,3.0,1\n", 2),
        ("train,1,2,1,3.0,1\n", 3),
        ("train,1,,1,3.0,1\n", 3),
        ("oops,1,1,1,3.0,1\n", 1),
        ("train,many,1,1,3.0,1\n", 2),
        ("train,1,1,1\n", 5),
        ("train,1,1,1,3.0,1,9\n", 7),
        ("train,1,1,NaN,3.0,1\n", 0),
    ];
    let (head, rows) =
        campaign(240).split_once('\n').map(|(head, rows)| (head.to_owned(), rows.to_owned())).expect("rows");
    for (row, column) in bad {
        let file = file(format!("{head}\n{row}{rows}"));
        let said = lab(&["response", path(&file), "--json"]);
        let expected: Vec<String> =
            (column > 0).then(|| format!("2:{column} AIS-8002")).into_iter().collect();
        assert_eq!(faults(&said.json()), expected, "{row}");
        assert_eq!(said.code, Some(i32::from(column > 0)), "{row}");
    }
    let worded = rows.replace(",12\n", ",north\n");
    let said = lab(&["response", path(&file(format!("{head}\n{worded}")))]);
    assert!(
        said.out.contains("2:6: column shop is text such as \"north\" and left out (AIS-8002)"),
        "{}",
        said.out
    );
}

#[test]
fn is_a_file_that_teaches_nothing_refused() {
    let rows = |y: &str, split: &str| format!("{y},{split},3\n").repeat(30);
    let files = [
        ("", "AIS-8001"),
        ("a,b\n1,2\n", "AIS-8001"),
        ("y,split\n1,train\n", "AIS-8001"),
        ("y,y,split,a\n", "AIS-8001"),
        ("y,split,a\n", "AIS-8004"),
        (&(String::from("y,split,a\n") + &rows("0", "train") + &rows("0", "test")), "AIS-8004"),
        (&(String::from("y,split,a\n") + &rows("0", "train") + &rows("1", "train")), "AIS-8004"),
        (
            &(String::from("y,split,a\n") + &rows("0", "train") + &rows("1", "train") + &rows("1", "test")),
            "AIS-8004",
        ),
    ];
    for (text, code) in files {
        let said = lab(&["response", path(&file(text))]);
        assert_eq!(said.code, Some(1), "{text}");
        assert!(said.err.contains(code), "{text}: {}", said.err);
    }
    // Nothing but the same row again and again: it runs, says so, and finds nothing.
    let same = String::from("y,split,a\n")
        + &rows("0", "train")
        + &rows("1", "train")
        + &rows("1", "test")
        + &rows("0", "test");
    let said = lab(&["response", path(&file(same)), "--json"]);
    let report = said.json();
    assert_eq!((said.code, &report["auc"]), (Some(0), &0.5.into()), "{report:#}");
    let codes: Vec<&str> =
        report["findings"].as_array().expect("findings").iter().filter_map(|f| f["code"].as_str()).collect();
    assert_eq!(codes, ["AIS-8008", "AIS-8009"]);
}
