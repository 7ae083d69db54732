//! `aisled lab value`: the published fits of CDNOW, and files that no model fits.

use std::path::Path;

use super::{assert_near, faults, file, lab, path};

/// Fader, Hardie and Lee 2005; Fader and Hardie 2005; Fader and Hardie 2013. Theirs is Pareto/NBD's -9594.98 on days; weeks
/// of two decimals, as the file has them, are worth .003.
#[test]
fn are_the_published_fits_of_cdnow_reached() {
    let cdnow = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/data/cdnow/customers.csv");
    let cdnow = cdnow.to_str().expect("a path of text");
    let said = lab(&["value", cdnow, "--json"]);
    assert_eq!(said.code, Some(0), "{}", said.err);
    let report = said.json();
    let fits = &report["fits"];
    for (model, figure, expected, within) in [
        ("bg_nbd", "r", 0.243, 5e-4),
        ("bg_nbd", "alpha", 4.414, 6e-4),
        ("bg_nbd", "a", 0.793, 5e-4),
        ("bg_nbd", "b", 2.426, 5e-4),
        ("bg_nbd", "log_likelihood", -9582.4, 0.05),
        ("pareto_nbd", "r", 0.553, 5e-4),
        ("pareto_nbd", "alpha", 10.578, 1e-3),
        ("pareto_nbd", "s", 0.606, 5e-4),
        ("pareto_nbd", "beta", 11.669, 2e-3),
        ("pareto_nbd", "log_likelihood", -9594.98, 0.01),
        ("gamma_gamma", "p", 6.25, 5e-3),
        ("gamma_gamma", "q", 3.74, 5e-3),
        ("gamma_gamma", "gamma", 15.44, 1e-2),
        ("gamma_gamma", "log_likelihood", -4055.92, 5e-3),
    ] {
        assert_near(&fits[model][figure], expected, within, &format!("{figure} of {model}"));
        assert_eq!(fits[model]["outcome"], "converged");
    }
    assert_eq!(report["counts"]["customers_with_spend"], 946);
    // Of the Gamma-Gamma note: customer 1 spends 24.66 at a time.
    let first = &report["customers"][0];
    assert_eq!(first["id"], "1");
    assert_near(&first["average_spend"], 24.66, 0.005, "the spend of customer 1");
    assert_near(&first["bg_nbd"]["p_alive"], 0.7266, 5e-4, "P(alive) of customer 1");
    assert_near(&first["naive"][0], 1.0, 0.1, "the last 13 weeks of customer 1");
    let risk = first["bg_nbd"]["churn_risk"].as_f64().expect("a risk");
    assert_near(&first["bg_nbd"]["p_alive"], 1.0 - risk, 1e-12, "the rest to the risk");
    let half = &report["all_customers"];
    for way in ["naive", "bg_nbd", "pareto_nbd"] {
        // 1,882 repeat purchases came in the 39 weeks after.
        let [_, b, c] = [0, 1, 2].map(|at| half[way]["purchases"][at].as_f64().expect("a number"));
        assert!(b < 1_882.0 && 1_882.0 < c, "{way}: {b} in 26 weeks, {c} in 52");
    }
    assert_eq!(lab(&["value", cdnow, "--json"]).out, said.out, "the same file gives the same bytes");
}

#[test]
fn is_each_impossible_row_named_and_the_rest_counted() {
    let file = file(
        "T,id,x,t_x,zbar\n10,a,NaN,0,0\n10,b,-1,0,0\n10,c,1.5,2,3\n10,d,0,2,0\n10,e,2,0,3\n10,f,2,11,3\nx,g,2,1,3\n10,h,2,1,0\n\
         10,i,2,1,-3\n10,j,2\n10,,2,1,3\n0,k,0,0,0\n-1,l,0,0,0\n10,m,2,inf,3\n",
    );
    let said = lab(&["value", path(&file), "--json"]);
    let report = said.json();
    assert_eq!(said.code, Some(1));
    assert_eq!(
        faults(&report),
        [
            "2:3 AIS-8002",
            "3:3 AIS-8002",
            "4:3 AIS-8002",
            "5:4 AIS-8003",
            "6:4 AIS-8003",
            "7:4 AIS-8003",
            "8:1 AIS-8002",
            "9:5 AIS-8003",
            "10:5 AIS-8002",
            "11:4 AIS-8002",
            "12:2 AIS-8002",
            "14:1 AIS-8002",
            "15:4 AIS-8002"
        ]
    );
    assert_eq!(report["counts"]["customers"], 1, "who first came on the last day counts");
    assert_eq!(report["findings"][0]["code"], "AIS-8004");
    assert_eq!(report["fits"]["bg_nbd"], serde_json::Value::Null);
}

#[test]
fn is_a_file_that_no_model_fits_said_to_be_one() {
    let rows = |row: &dyn Fn(u32) -> String| {
        (0..40).fold("id,x,t_x,T,zbar\n".to_owned(), |text, n| format!("{text}{n},{}\n", row(n)))
    };
    let nobody = file(rows(&|_| "0,0,30,0".to_owned()));
    let alike = file(rows(&|_| "3,20,30,5".to_owned()));
    for (file, codes) in [(&nobody, vec!["AIS-8005"]), (&alike, vec!["AIS-8006", "AIS-8006", "AIS-8005"])] {
        let said = lab(&["value", path(file), "--json"]);
        let report = said.json();
        assert_eq!(said.code, Some(1));
        let found: Vec<&str> = (report["findings"].as_array().expect("findings").iter())
            .filter_map(|finding| finding["code"].as_str())
            .collect();
        assert_eq!(found, codes, "{}", report["findings"]);
        let fits = report["fits"].as_object().expect("fits");
        assert!(fits.values().all(|fit| fit["outcome"] != "converged"), "{fits:?}");
        assert_eq!(report["customers"].as_array().map(Vec::len), Some(40), "the baseline stands");
    }
}
