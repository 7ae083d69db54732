//! Is the sample shop of `aisled demo` a whole one, and is the shop that `drive` makes of real baskets one as well?

use std::path::Path;

use aisled::bundle::authoring::{self, Authored, Finding};
use aisled::cli::journey::{Journey, bundle_of};
use aisled::domain::calendar::{Day, UnixMs};
use aisled::domain::member::{Ledger, Member};
use aisled::domain::text::{Lang, Texts};
use aisled::pricing::model::{Audience, Benefit, Trigger};
use aisled::shopper::segment::Segments;
use serde_json::{Value, json};

fn files(folder: &Path, below: &str) -> Vec<(String, Vec<u8>)> {
    let mut found = Vec::new();
    for entry in std::fs::read_dir(folder).expect("a folder") {
        let path = entry.expect("an entry").path();
        let name = format!("{below}{}", path.file_name().expect("a name").to_string_lossy());
        if path.is_dir() {
            found.extend(files(&path, &format!("{name}/")));
        } else {
            found.push((name, std::fs::read(&path).expect("a file")));
        }
    }
    found
}

fn read(files: Vec<(String, Vec<u8>)>) -> Authored {
    authoring::read(files).unwrap_or_else(|findings: Vec<Finding>| {
        panic!("{}", findings.iter().map(ToString::to_string).collect::<Vec<_>>().join("\n"))
    })
}

fn sample() -> Authored {
    read(files(&Path::new(env!("CARGO_MANIFEST_DIR")).join("config/sample-shop"), ""))
}

fn both(texts: &Texts) -> bool {
    [Lang::ZhCn, Lang::En].iter().all(|lang| texts.0.get(lang).is_some_and(|text| !text.is_empty()))
}

#[test]
fn is_the_sample_shop_one_a_bundle_can_be_made_of() {
    let Authored { rules, members, codes } = sample();
    assert!((450..=550).contains(&rules.catalogue.len()), "{}", rules.catalogue.len());
    assert_eq!(members.len(), 2_000);
    assert!(rules.promotions.len() >= 40);
    assert!(codes.len() >= 500);
    let bytes: usize = files(&Path::new(env!("CARGO_MANIFEST_DIR")).join("config/sample-shop"), "")
        .iter()
        .map(|(_, bytes)| bytes.len())
        .sum();
    assert!(bytes < 1_000_000, "{bytes} bytes");
}

#[test]
fn does_it_show_every_mechanic() {
    let promotions = sample().rules.promotions;
    let name = |benefit: &Benefit| match serde_json::to_value(benefit).expect("a benefit has a JSON form") {
        Value::String(name) => name,
        Value::Object(one) => one.keys().next().expect("one key").clone(),
        other => panic!("{other}"),
    };
    let mut shown: Vec<String> = promotions.iter().map(|promotion| name(&promotion.benefit)).collect();
    shown.sort();
    shown.dedup();
    let all = [
        "buy_x_get_y",
        "gift",
        "issue_coupon",
        "line_amount",
        "line_fixed_price",
        "line_percent",
        "member_price",
        "nth_item",
        "order_amount",
        "order_percent",
        "points_fixed",
        "points_multiplier",
        "points_rate",
        "points_redeem",
        "spend_and_save",
    ];
    assert_eq!(shown, all);
    for trigger in [Trigger::Auto, Trigger::Code, Trigger::Claim] {
        assert!(promotions.iter().any(|promotion| promotion.trigger == trigger), "{trigger:?}");
    }
    assert!(promotions.iter().any(|promotion| matches!(promotion.audience, Audience::Birthday(_))));
    assert!(promotions.iter().any(|promotion| promotion.audience == Audience::FirstVisit));
}

#[test]
fn is_every_text_there_in_both_languages() {
    let rules = sample().rules;
    let optional = |texts: &Texts| texts.0.is_empty() || both(texts);
    assert!(both(&rules.shop.names) && rules.shop.tiers.iter().all(|tier| both(&tier.names)));
    for item in &rules.catalogue {
        assert!(both(&item.names), "{}", item.sku);
    }
    for promotion in &rules.promotions {
        assert!(both(&promotion.titles) && optional(&promotion.texts), "{}", promotion.id);
    }
    assert!(rules.segments.iter().all(|segment| both(&segment.names)));
    assert!(rules.campaigns.iter().all(|campaign| both(&campaign.names)));
    assert!(rules.care.iter().all(|message| both(&message.texts)));
    assert!(rules.recommendations.iter().flat_map(|list| &list.items).all(|item| both(&item.because)));
}

#[test]
fn do_the_prices_of_an_article_make_sense() {
    for item in sample().rules.catalogue {
        let sku = &item.sku;
        assert!(item.price.is_positive(), "{sku}");
        assert!(item.cost.is_some_and(|cost| cost.is_positive() && cost < item.price), "{sku}");
        assert!(item.list_price.is_none_or(|list| list > item.price), "{sku}");
        assert!(
            item.member_price.is_none_or(|member| member < item.price && Some(member) > item.cost),
            "{sku}"
        );
        assert!(
            item.floor_price.is_none_or(|floor| floor <= item.price && Some(floor) >= item.cost),
            "{sku}"
        );
        assert_eq!(item.categories.len(), 2, "{sku}: root and leaf");
    }
}

#[test]
fn is_somebody_in_every_segment_that_needs_no_visit() {
    let Authored { rules, members, .. } = sample();
    let sources: Vec<_> =
        rules.segments.iter().map(|segment| (segment.id.clone(), segment.when.as_str())).collect();
    let segments = Segments::compile(&rules.shop.schema(&rules.catalogue), &sources)
        .expect("checked by the folder's reader");
    let today: Day = "2026-06-15".parse().expect("valid");
    let mut counts = std::collections::BTreeMap::new();
    for record in members {
        let (id, profile) = (record.id, record.profile);
        let member =
            Member { id, profile, ledger: Ledger::default(), profile_as_of: UnixMs(0), history: None };
        for segment in segments.of(&member, today) {
            *counts.entry(segment.to_string()).or_insert(0) += 1;
        }
    }
    for segment in &rules.segments {
        let count = counts.get(segment.id.as_str()).copied().unwrap_or(0);
        // Points stand in the shop's ledger, which a profile alone does not have.
        let needs_ledger = segment.when.contains("points");
        assert!(needs_ledger || (1..2_000).contains(&count), "{}: {count}", segment.id);
    }
}

#[test]
fn is_the_shop_made_of_real_baskets_one_a_bundle_can_be_made_of() {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/data/complete-journey");
    let journey = Journey::open(&folder, 0..7).expect("the extract in the repository");
    let (rules, members, codes) = bundle_of(&journey, "2026-03-01".parse().expect("valid"));
    let file = |name: &str, value: Value| (name.to_owned(), value.to_string().into_bytes());
    let again = read(vec![
        file("shop.json", json!(rules.shop)),
        file("catalogue.json", json!({ "item": rules.catalogue })),
        file("campaigns.json", json!({ "campaign": rules.campaigns })),
        file("promotions.json", json!({ "promotion": rules.promotions })),
        file("coupons.json", json!({ "coupon": rules.coupons })),
        file("points.json", json!(rules.points)),
        file("members.json", json!({ "member": members })),
    ]);
    assert_eq!(again, Authored { rules, members, codes });
}
