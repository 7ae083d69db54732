//! Is the sample shop of `aisled demo` a whole one: does each file read as the types it is for, and does everything
//! that one file names stand in another?

use std::collections::BTreeSet;
use std::path::{Path, PathBuf};

use aisled::bundle::document::{
    Campaign, CareMessage, CodeRecord, Coupon, MemberRecord, RecommendationList, Segment, Shop,
};
use aisled::domain::catalog::Item;
use aisled::domain::text::{Lang, Texts};
use aisled::pricing::model::{Audience, Benefit, ItemSet, PointsProgramme, Promotion, Trigger};
use serde::Deserialize;
use serde::de::DeserializeOwned;

macro_rules! files {
    ($($file:ident { $key:ident: $kind:ty })+) => {$(
        #[derive(Deserialize)]
        #[serde(deny_unknown_fields)]
        struct $file { $key: Vec<$kind> }
    )+};
}

files! {
    Catalogue { item: Item }
    Members { member: MemberRecord }
    Codes { code: CodeRecord }
    Promotions { promotion: Promotion }
    Segments { segment: Segment }
    Campaigns { campaign: Campaign }
    Coupons { coupon: Coupon }
    Recommendations { recommendation: RecommendationList }
    Care { care: CareMessage }
}

fn folder() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("config/sample-shop")
}

fn text(name: &str) -> String {
    std::fs::read_to_string(folder().join(name)).unwrap_or_else(|error| panic!("{name}: {error}"))
}

fn toml_file<T: DeserializeOwned>(name: &str) -> T {
    toml::from_str(&text(name)).unwrap_or_else(|error| panic!("{name}: {error}"))
}

fn json_file<T: DeserializeOwned>(name: &str) -> T {
    serde_json::from_str(&text(name)).unwrap_or_else(|error| panic!("{name}: {error}"))
}

fn promotions() -> Vec<Promotion> {
    let mut names: Vec<String> = std::fs::read_dir(folder().join("promotions"))
        .expect("the folder of promotions")
        .map(|entry| entry.expect("an entry").file_name().to_string_lossy().into_owned())
        .collect();
    names.sort();
    names.iter().flat_map(|name| toml_file::<Promotions>(&format!("promotions/{name}")).promotion).collect()
}

fn both(texts: &Texts) -> bool {
    [Lang::ZhCn, Lang::En].iter().all(|lang| texts.0.get(lang).is_some_and(|text| !text.is_empty()))
}

fn item_sets(promotion: &Promotion) -> Vec<&ItemSet> {
    let mut sets = vec![&promotion.qualifier.items];
    if let Benefit::BuyXGetY(benefit) = &promotion.benefit {
        sets.extend(&benefit.get_items);
    }
    let excepted: Vec<&ItemSet> = sets.iter().filter_map(|set| set.except.as_deref()).collect();
    sets.extend(excepted);
    sets
}

fn segments_of(audience: &Audience, found: &mut BTreeSet<String>) {
    match audience {
        Audience::Segment(ids) => found.extend(ids.iter().map(ToString::to_string)),
        Audience::Any(several) | Audience::All(several) => {
            several.iter().for_each(|one| segments_of(one, found));
        }
        Audience::Not(one) => segments_of(one, found),
        _ => {}
    }
}

#[test]
fn how_large_is_the_sample_shop() {
    let (items, members) =
        (json_file::<Catalogue>("catalogue.json").item, json_file::<Members>("members.json").member);
    assert!((450..=550).contains(&items.len()), "{}", items.len());
    assert_eq!(members.len(), 2_000);
    assert!(promotions().len() >= 40);
    toml_file::<Shop>("shop.toml");
    toml_file::<PointsProgramme>("points.toml");
}

#[test]
fn is_every_text_there_in_both_languages() {
    for item in json_file::<Catalogue>("catalogue.json").item {
        assert!(both(&item.names), "{}", item.sku);
    }
    for promotion in promotions() {
        assert!(both(&promotion.titles), "{}", promotion.id);
        assert!(promotion.texts.0.is_empty() || both(&promotion.texts), "{}", promotion.id);
    }
    assert!(toml_file::<Segments>("segments.toml").segment.iter().all(|segment| both(&segment.names)));
    assert!(toml_file::<Campaigns>("campaigns.toml").campaign.iter().all(|campaign| both(&campaign.names)));
    assert!(toml_file::<Care>("care.toml").care.iter().all(|message| both(&message.texts)));
    let lists = toml_file::<Recommendations>("recommendations.toml").recommendation;
    assert!(lists.iter().flat_map(|list| &list.items).all(|item| both(&item.because)));
}

#[test]
fn does_every_named_thing_exist_once() {
    fn once(what: &str, ids: impl IntoIterator<Item = String>) -> BTreeSet<String> {
        let mut seen = BTreeSet::new();
        for id in ids {
            assert!(seen.insert(id.clone()), "{what} {id} stands there twice");
        }
        seen
    }
    let items = json_file::<Catalogue>("catalogue.json").item;
    let members = json_file::<Members>("members.json").member;
    let codes = json_file::<Codes>("codes.json").code;
    let (promotions, coupons) = (promotions(), toml_file::<Coupons>("coupons.toml").coupon);
    let lists = toml_file::<Recommendations>("recommendations.toml").recommendation;
    let messages = toml_file::<Care>("care.toml").care;

    let skus = once("article", items.iter().map(|item| item.sku.to_string()));
    let categories: BTreeSet<&str> =
        items.iter().flat_map(|item| &item.categories).map(|id| id.as_str()).collect();
    let member_ids = once("member", members.iter().map(|member| member.id.to_string()));
    once("token", members.iter().flat_map(|member| &member.tokens).map(|token| token.value.clone()));
    once("code", codes.iter().map(|code| code.code.to_string()));
    let promotion_ids = once("promotion", promotions.iter().map(|promotion| promotion.id.to_string()));
    let coupon_ids = once("coupon", coupons.iter().map(|coupon| coupon.id.to_string()));
    let segments = once(
        "segment",
        toml_file::<Segments>("segments.toml").segment.iter().map(|segment| segment.id.to_string()),
    );
    let campaigns = once(
        "campaign",
        toml_file::<Campaigns>("campaigns.toml").campaign.iter().map(|campaign| campaign.id.to_string()),
    );

    let mut named_segments = BTreeSet::new();
    for promotion in &promotions {
        segments_of(&promotion.audience, &mut named_segments);
        assert!(
            promotion.campaign.as_ref().is_some_and(|id| campaigns.contains(id.as_str())),
            "{}",
            promotion.id
        );
        for set in item_sets(promotion) {
            assert!(set.skus.iter().all(|sku| skus.contains(sku.as_str())), "{}", promotion.id);
            assert!(set.categories.iter().all(|id| categories.contains(id.as_str())), "{}", promotion.id);
        }
        if let Benefit::Gift(gift) = &promotion.benefit {
            assert!(gift.choices.iter().all(|sku| skus.contains(sku.as_str())), "{}", promotion.id);
        }
        if let Benefit::IssueCoupon(issue) = &promotion.benefit {
            assert!(coupon_ids.contains(issue.coupon.as_str()), "{}", promotion.id);
        }
    }
    for list in &lists {
        segments_of(&list.audience, &mut named_segments);
        assert!(list.items.iter().all(|item| skus.contains(item.sku.as_str())));
    }
    messages.iter().for_each(|message| segments_of(&message.audience, &mut named_segments));
    assert_eq!(named_segments.difference(&segments).collect::<Vec<_>>(), Vec::<&String>::new());

    for coupon in &coupons {
        assert!(promotion_ids.contains(coupon.promotion.as_str()), "{}", coupon.id);
        let promotion = promotions.iter().find(|one| one.id == coupon.promotion).expect("just seen");
        assert_eq!(promotion.trigger, Trigger::Code, "{}", coupon.id);
    }
    for code in &codes {
        assert!(coupon_ids.contains(code.coupon.as_str()), "{}", code.code);
        assert!(code.member.as_ref().is_none_or(|id| member_ids.contains(id.as_str())), "{}", code.code);
    }
}

#[test]
fn do_the_prices_of_an_article_make_sense() {
    for item in json_file::<Catalogue>("catalogue.json").item {
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
