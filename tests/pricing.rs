//! Does pricing do what the shop's tables say? Tables are `tests/pricing/*.txt`; `cli::bundle::tables` tells how to write one.

#[path = "pricing/best.rs"]
mod best;
#[path = "pricing/book.rs"]
mod book;
#[path = "pricing/mixed.rs"]
mod mixed;
#[path = "pricing/monotone.rs"]
mod monotone;
#[path = "pricing/properties.rs"]
mod properties;
#[path = "pricing/speed.rs"]
mod speed;
#[path = "pricing/table.rs"]
mod table;

use std::fs;
use std::path::Path;

#[test]
fn do_prices_follow_the_tables() {
    let (mut cases, mut differences) = (0, Vec::new());
    for (name, text) in tables() {
        let (count, different) = table::run(&name, &text);
        cases += count;
        differences.extend(different);
    }
    assert!(
        differences.is_empty(),
        "{} of {cases} cases differ:\n{}",
        differences.len(),
        differences.join("\n")
    );
    assert!(cases >= 210, "the tables hold {cases} cases");
}

#[test]
fn do_the_tables_cover_every_kind() {
    let text: String = tables().into_iter().map(|(_, text)| text).collect();
    let kinds = "line_percent line_amount line_fixed_price member_price order_percent order_amount \
        order_fixed_price spend_and_save every tiers buy_x_get_y get_items partial pick nth_item same_sku gift per_qty \
        per_amount points_fixed points_rate points_multiplier points_redeem issue_coupon per_unit per_line per_order \
        floor_price applications units units_per_line store store_day chain member member_day code device uses money \
        points exclusive best_of best_of_line stop_further consumes priority base weekdays month_days windows except \
        from to segment tier tag group is birthday first_visit nth_purchase any all not items line_qty all_in channel \
        zone currency never leased stale_after_hours exposure_max half_even half_down round_at percent_base leftover \
        claim reduced attributes brands unit_price_min share_max tiered items_units items_amount line_units line_amount \
        order_amount first_and_further further sets unit_price unit_amount combo add_on markdown closing nth across choose gone \
        shelf stage offer opens closes points_per_unit basis gross gross_of_order reduced_by fractions free_units coupon \
        repeat use_all with_earned drawn listing article round_then_first listed";
    for kind in kinds.split_whitespace() {
        let named = |c: char| !(c.is_ascii_alphanumeric() || c == '_');
        assert!(text.split(named).any(|word| word == kind), "no table shows {kind}");
    }
}

fn tables() -> Vec<(String, String)> {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/pricing");
    let files = fs::read_dir(folder).expect("the tables are there");
    let mut paths: Vec<_> = files.map(|entry| entry.expect("a readable folder").path()).collect();
    paths.retain(|path| path.extension().is_some_and(|ending| ending == "txt"));
    paths.sort();
    let read = |path: std::path::PathBuf| {
        let name = path.file_name().unwrap_or_default().to_string_lossy().into_owned();
        (name, fs::read_to_string(&path).expect("a readable table"))
    };
    paths.into_iter().map(read).collect()
}
