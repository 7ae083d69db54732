//! The index against the interpreter, one predicate after the other, on predicates and members nobody thought of.

use std::sync::Arc;

use proptest::prelude::*;
use proptest::strategy::ValueTree as _;

use super::*;
use crate::domain::basket::Channel;
use crate::domain::calendar::{Day, UnixMs};
use crate::domain::history::{Bought, History, Mark};
use crate::domain::ids::{CategoryId, DeviceId, MemberId, SegmentId, Seq, Tag, TierId};
use crate::domain::member::{Attribute, Consent, Ledger, Member, Profile};
use crate::domain::money::Money;
use crate::limits;
use crate::shopper::field::Categories;
use crate::shopper::scales::{Decimal, Due, Feature, Grouping, Lifetime, Spending};
use crate::shopper::segment::{AttributeKind, Hierarchy, Scales, Schema, Segments};
use crate::shopper::traits::{Cuts, Stages};

const TODAY: i64 = 20_778;

fn id_of(category: &str) -> CategoryId {
    CategoryId::new(category).expect("an id")
}

fn tag(text: &str) -> Tag {
    Tag::new(text).expect("a tag")
}

/// CDNOW's rates of coming and going, and two groups.
fn models() -> Scales {
    let of = |value: f64| Decimal::of(value).expect("above 0");
    Scales {
        due: Some(Due { from: of(0.9), until: of(3.0), usual_weight: of(2.0), usual_days: [].into() }),
        lifetime: Some(Lifetime { r: of(0.243), alpha: of(4.414), a: of(0.793), b: of(2.426) }),
        spending: Some(Spending { p: of(6.25), q: of(3.74), gamma: of(1_544.0) }),
        groups: Some(Grouping {
            features: vec![Feature::Visits52w, Feature::Spend52w],
            deviations: vec![of(5.0), of(4_000.0)],
            centres: vec![vec![3, 2_000], vec![20, 30_000]],
        }),
        ..Scales::default()
    }
}

pub(crate) fn schema() -> Schema {
    let kinds =
        [("baby", AttributeKind::Flag), ("score", AttributeKind::Number), ("city", AttributeKind::Word)];
    let cuts =
        Cuts { recency_days: [7, 21, 60, 120], visits: [2, 5, 10, 25], spend: [1_000, 3_000, 8_000, 20_000] };
    let stages = Stages { new_days: 30, active_days: 35, cooling_days: 90 };
    Schema {
        tiers: Vec::new(),
        attributes: kinds.map(|(name, kind)| (tag(name), kind)).into(),
        scales: Scales { rfm: Some(cuts), stages: Some(stages), ..models() },
        categories: Hierarchy::new(),
    }
}

/// Leaves of each kind of field, with values around those members have.
fn leaves() -> impl Strategy<Value = String> {
    let relation = || prop::sample::select(vec!["==", "!=", "<", "<=", ">", ">="]);
    let numbers = vec![
        "points",
        "visits",
        "spend",
        "days_since_last",
        "visits_4w",
        "visits_13w",
        "spend_13w",
        "spend_52w",
        "rfm.r",
        "rfm.f",
        "rfm.m",
        "share[\"c1\"]",
        "interval[\"c1\"]",
        "days_since[\"c2\"]",
        "events['browse']",
        "attr.score",
        "coupons.used",
        "feedback.last",
        "basket_average",
        "churn",
        "value.visits_13w",
        "value.spend_13w",
        "group",
    ];
    let value = prop_oneof![-1_i64..8, 0_i64..120, 0_i64..20_000, Just(i64::MAX), Just(i64::MIN)];
    let number = prop::sample::select(numbers);
    let words = prop::sample::select(vec!["tier", "lifecycle", "channel", "attr.city"]);
    let word =
        || prop::sample::select(vec!["gold", "silver", "active", "lapsed", "till", "Shanghai", "", "z"]);
    let listed = prop::collection::vec(word(), 0..4);
    let tags = prop::sample::select(vec!["a", "b", "c", "d", "mark"]);
    let (number_list, in_numbers) = (prop::collection::vec(-1_i64..9, 0..4), number.clone());
    prop_oneof![
        6 => (number.clone(), relation(), value.clone()).prop_map(|(f, r, v)| format!("{f} {r} {v}")),
        2 => (number.clone(), relation(), value).prop_map(|(f, r, v)| format!("{v} {r} {f}")),
        1 => (in_numbers, number_list).prop_map(|(f, list)| format!("{f} in {list:?}")),
        2 => (words.clone(), any::<bool>(), word())
            .prop_map(|(f, same, w)| format!("{f} {} {w:?}", if same { "==" } else { "!=" })),
        2 => (words, listed).prop_map(|(f, list)| format!("{f} in {list:?}")),
        4 => (tags.clone(), any::<bool>())
            .prop_map(|(t, groups)| format!("{t:?} in {}", if groups { "groups" } else { "tags" })),
        1 => prop::sample::select(vec![
            "true", "false", "due['c1']", "rfm.segment in ['Champions', \"Can't Lose Them\", 'Lost']", "rfm.segment != 'Others'", "consent.personal", "attr.baby", "attr.baby == false", "visits > orders",
            "days_since[\"c1\"] >= interval[\"c1\"]", "tier in tags", "3 < 4", "visits in []",
        ]).prop_map(str::to_owned),
    ]
}

pub(crate) fn predicates() -> impl Strategy<Value = String> {
    leaves().prop_recursive(4, 20, 4, |inner| {
        let some = prop::collection::vec(inner.clone(), 1..5);
        let joined = |with: &'static str| {
            move |parts: Vec<String>| {
                parts.iter().map(|part| format!("({part})")).collect::<Vec<_>>().join(with)
            }
        };
        prop_oneof![
            3 => some.clone().prop_map(joined(" && ")),
            2 => some.prop_map(joined(" || ")),
            1 => inner.prop_map(|part| format!("!({part})")),
        ]
    })
}

pub(crate) fn members() -> impl Strategy<Value = Member> {
    let sales = prop::collection::vec((0_i64..400, 1_usize..4, 1_i64..4_000), 0..40);
    let word = || prop::sample::select(vec!["gold", "silver", "Shanghai", "other"]);
    let tags = || prop::sample::subsequence(vec!["a", "b", "c", "d", "e"], 0..5);
    let profile =
        (prop::option::of(word()), tags(), tags(), prop::option::of(word()), prop::option::of(0_i64..9));
    let flags = (any::<bool>(), any::<bool>(), prop::option::of(any::<bool>()));
    (sales, profile, flags, 0_i64..12, 0_u32..9).prop_map(
        |(sales, profile, (personal, marked, baby), points, visits)| {
            let (tier, tags, groups, city, score) = profile;
            let attributes = [
                baby.map(|baby| (tag("baby"), Attribute::Flag(baby))),
                city.map(|city| (tag("city"), Attribute::Word(city.to_owned()))),
                score.map(|score| (tag("score"), Attribute::Number(score))),
            ];
            let profile = Profile {
                tier: tier.map(|tier| TierId::new(tier).expect("an id")),
                tags: tags.into_iter().map(tag).collect(),
                groups: groups.into_iter().map(tag).collect(),
                attributes: attributes.into_iter().flatten().collect(),
                consent: Consent { programme: true, personal },
                ..Profile::default()
            };
            let mut history = History::beginning(Seq(1));
            for (seq, (ago, parts, spend)) in (1..).zip(&sales) {
                let part =
                    |nth: usize| (Some(CategoryId::new(&format!("c{nth}")).expect("an id")), Money(*spend));
                let lines: Vec<_> = (0..*parts).map(part).collect();
                let day = Day::from_number(TODAY - ago);
                let spend = Money(spend * i64::try_from(*parts).expect("few"));
                let channel = if seq % 3 == 0 { Channel::Kiosk } else { Channel::Till };
                history.bought(&Bought { decision: Seq(seq), day, channel, spend, lines: &lines });
                history.saw(&tag("browse"), day);
            }
            let today = Day::from_number(TODAY);
            if marked {
                let source = DeviceId::new("kiosk-1").expect("an id");
                let until = Some(i32::try_from(TODAY + points - 6).expect("a day"));
                history.mark(Mark { tag: tag("mark"), source, until }, Day::from_number(TODAY - 9));
                history.rated(u8::try_from(points.min(10)).expect("0 to 10"), today);
            }
            let mut ledger = Ledger { visits, ..Ledger::default() };
            ledger.points.settled = points;
            ledger.last_visit = sales.iter().map(|(ago, ..)| Day::from_number(TODAY - ago)).max();
            let history = personal.then(|| Arc::new(history));
            let id = MemberId::new("m").expect("an id");
            Member { id, profile, ledger, profile_as_of: UnixMs(0), history }
        },
    )
}

/// Every predicate by the interpreter, one by one.
fn slowly(segments: &Segments, member: &Member, today: Day) -> Vec<SegmentId> {
    let traits = segments.traits(member, today);
    let sight = Sight::of(member, &traits, today);
    let holds = |id: &&SegmentId| segments.get(id).expect("it is there").holds(&sight);
    segments.ids().filter(holds).cloned().collect()
}

fn compiled(sources: &[String]) -> Segments {
    let named: Vec<(SegmentId, &str)> = sources
        .iter()
        .enumerate()
        .map(|(nth, source)| (SegmentId::new(&format!("s{nth:05}")).expect("an id"), source.as_str()))
        .collect();
    Segments::compile(&schema(), &named).unwrap_or_else(|faults| panic!("{faults:?}"))
}

#[test]
fn is_a_predicate_that_cannot_be_taken_apart_still_answered() {
    let long: Vec<String> = (0..9).map(|n| format!("(visits == {n} || points == {n})")).collect();
    let sources = [long.join(" && "), format!("!({})", long.join(" && ")), "visits < 3".to_owned()];
    let segments = compiled(&sources);
    let mut runner = proptest::test_runner::TestRunner::deterministic();
    for _ in 0..50 {
        let member = members().new_tree(&mut runner).expect("a member").current();
        let today = Day::from_number(TODAY);
        assert_eq!(segments.of(&member, today), slowly(&segments, &member, today));
    }
}

#[test]
fn may_a_predicate_say_the_same_twice() {
    let sources = [
        "visits > orders && visits > orders",
        "visits > orders && !(visits > orders)",
        "visits > 3 && visits > 3 && !(visits <= 3)",
        "'a' in tags && 'a' in tags",
        "'a' in tags && !('a' in tags)",
        "tier == 'gold' && tier in ['gold'] && tier != 'silver'",
        "attr.baby && attr.baby == true",
        "share['c1'] >= 0 && share['c1'] < 101 || share['c1'] > 100",
    ];
    let segments = compiled(&sources.map(str::to_owned));
    let mut runner = proptest::test_runner::TestRunner::deterministic();
    for _ in 0..100 {
        let member = members().new_tree(&mut runner).expect("a member").current();
        let today = Day::from_number(TODAY);
        assert_eq!(segments.of(&member, today), slowly(&segments, &member, today));
    }
}

#[test]
fn are_thousands_of_segments_answered_as_one_by_one() {
    let mut runner = proptest::test_runner::TestRunner::deterministic();
    let draw = |runner: &mut _| predicates().new_tree(runner).expect("a predicate").current();
    let mut sources: Vec<String> = (0..3_000).map(|_| draw(&mut runner)).collect();
    // One field with more places than rows, and so many columns that they are kept as rows.
    sources.extend((0..2_000).map(|n| format!("spend_52w >= {} && points != {}", n * 7, n % 5)));
    sources.retain(|source| source.len() <= limits::PREDICATE_BYTES_MAX);
    let segments = compiled(&sources);
    let today = Day::from_number(TODAY);
    for _ in 0..40 {
        let member = members().new_tree(&mut runner).expect("a member").current();
        assert_eq!(segments.of(&member, today), slowly(&segments, &member, today), "{member:?}");
    }
}

proptest! {
    #[test]
    fn does_the_index_say_what_each_predicate_says(
        sources in prop::collection::vec(predicates(), 1..70), some in prop::collection::vec(members(), 1..4),
    ) {
        prop_assume!(sources.iter().all(|source| source.len() <= limits::PREDICATE_BYTES_MAX));
        let segments = compiled(&sources);
        let today = Day::from_number(TODAY);
        for member in &some {
            prop_assert_eq!(segments.of(member, today), slowly(&segments, member, today));
        }
    }

    #[test]
    fn what_follows_from_a_history(member in members()) {
        let segments = compiled(&["true".to_owned()]);
        let today = Day::from_number(TODAY);
        let traits = segments.traits(&member, today);
        let sight = Sight::of(&member, &traits, today);
        let read = |field: &Field| match field.of(&sight) {
            Value::Number(number) => Some(number),
            _ => None,
        };
        let Some(history) = &member.history else {
            for field in ["visits_13w", "rfm.r", "share['c1']", "coupons.used", "events['browse']"] {
                let leaf = Predicate::compile(&format!("{field} == {field} || {field} != 0 && {field} >= 0"), &schema());
                prop_assert!(!leaf.expect("right").holds(&sight), "{} of somebody not learned of", field);
            }
            return Ok(());
        };
        let name = CategoryId::new("c1").expect("an id");
        let c1 = Categories { leaves: [name.clone()].into(), name };
        let (of, all) = history.share_of("c1");
        prop_assert_eq!(read(&Field::Share(c1.clone())), Some(if all.0 == 0 { 0 } else { of.0 * 100 / all.0 }));
        let days: Vec<i64> = history.days_of("c1").map(i64::from).collect();
        let gaps = days.windows(2).map(|pair| pair[1] - pair[0]);
        let (count, sum) = gaps.fold((0, 0), |(count, sum), gap| (count + 1, sum + gap));
        prop_assert_eq!(read(&Field::Interval(c1.clone())), (count >= 2).then(|| (2 * sum + count) / (2 * count)));
        prop_assert_eq!(read(&Field::DaysSince(c1)), days.last().map(|day| TODAY - day));
        let wide = Schema { categories: [(id_of("all"), [id_of("c0"), id_of("c1"), id_of("c9")].into())].into(), ..schema() };
        let bought: BTreeSet<i32> = history.days_of("c0").chain(history.days_of("c1")).collect();
        let share = history.share_of("c0").0.0 + history.share_of("c1").0.0;
        let percent = if all.0 == 0 { 0 } else { share * 100 / all.0 };
        let mut told = format!("share['all'] == {percent}");
        if let Some(last) = bought.last() {
            told += &format!(" && days_since['all'] == {}", TODAY - i64::from(*last));
        }
        if bought.len() >= 3 {
            let (gaps, first) = (i64::try_from(bought.len()).expect("few") - 1, bought.first().expect("three"));
            told += &format!(" && interval['all'] == {}", (i64::from(bought.last().expect("three") - first) + gaps / 2) / gaps);
        }
        let both = Segments::compile(&wide, &[(SegmentId::new("s").expect("an id"), &told)]).expect("right");
        prop_assert!(!both.of(&member, today).is_empty(), "{}: {:?}", told, both.why(&SegmentId::new("s").expect("an id"), &member, today));
        for (name, days) in [("visits_4w", 28), ("visits_13w", 91), ("visits_52w", 364)] {
            let told = history.within(today, days);
            let text = format!("{name} == {} && {} == {}", told.visits, name.replace("visits", "spend"), told.spend.0);
            prop_assert!(Predicate::compile(&text, &schema()).expect("right").holds(&sight), "{}", text);
        }
    }
}
