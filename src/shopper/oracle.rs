//! The language of segments against an interpreter of CEL (crate `cel`, which only the tests know): do predicates that both
//! take mean the same?
//!
//! Members are handed to CEL as plain values; what nobody knows is left out. Where CEL says yes or no, the two must agree; where
//! it gives up, the predicate must speak of something that is not known. `DIFFERENCES` lists on purpose what is read otherwise.

use std::collections::BTreeMap;
use std::sync::Arc;

use cel::objects::{Key, Map, Value as Cel};
use cel::{Context, Program};
use proptest::prelude::*;

use super::field::{Categories, FIELDS, Field, Sight, Value};
use super::index::tests::{members, predicates, schema};
use super::predicate::Predicate;
use super::traits::Traits;
use crate::domain::calendar::Day;
use crate::domain::ids::{CategoryId, Tag};
use crate::domain::member::Member;

const TODAY: i64 = 20_778;

/// What CEL makes of a value; nothing of one that nobody knows.
fn plain(value: Value<'_>) -> Option<Cel> {
    match value {
        Value::Unknown => None,
        Value::Number(number) => Some(Cel::from(number)),
        Value::Word(word) => Some(Cel::from(word)),
        Value::Flag(flag) => Some(Cel::from(flag)),
        Value::Numbers(_) | Value::Words(_) => unreachable!("no field is a list of literals"),
        tags @ Value::Tags { .. } => Some(Cel::from(tags.tags().map(Cel::from).collect::<Vec<Cel>>())),
    }
}

/// Every field that predicates may speak of, by its path.
fn fields() -> Vec<(Vec<String>, Field)> {
    let plain = FIELDS.iter().map(|(name, field)| {
        let path: Vec<String> = name.split('.').map(str::to_owned).collect();
        (path, field.clone())
    });
    let attributes = schema().attributes.into_iter().map(|(name, kind)| {
        let path = vec!["attr".to_owned(), name.as_str().to_owned()];
        (path, Field::Attribute(name, kind))
    });
    let keyed = ["c1", "c2"].into_iter().flat_map(|key| {
        let name = CategoryId::new(key).expect("an id");
        let of = Categories { leaves: [name.clone()].into(), name };
        [
            ("share", Field::Share(of.clone())),
            ("interval", Field::Interval(of.clone())),
            ("due", Field::Due(of.clone())),
            ("days_since", Field::DaysSince(of)),
        ]
        .map(|(family, field)| (vec![family.to_owned(), key.to_owned()], field))
    });
    let browse =
        (vec!["events".to_owned(), "browse".to_owned()], Field::Events(Tag::new("browse").expect("a tag")));
    plain.chain(attributes).chain(keyed).chain([browse]).collect()
}

/// The member as CEL sees them, and whether everything is known of them.
fn context(sight: &Sight<'_>) -> (Context<'static, 'static>, bool) {
    let mut context = Context::default();
    let mut families: BTreeMap<String, BTreeMap<String, Cel>> = BTreeMap::new();
    let mut is_known = true;
    for (path, field) in fields() {
        let value = plain(field.of(sight));
        is_known &= value.is_some();
        match path.as_slice() {
            [name] => {
                value.into_iter().for_each(|value| context.add_variable_from_value(name.clone(), value))
            }
            [family, name] => {
                families.entry(family.clone()).or_default().extend(value.map(|value| (name.clone(), value)))
            }
            _ => unreachable!("a field has one dot at most"),
        }
    }
    for (family, fields) in families {
        let map = Arc::new(fields.into_iter().map(|(name, value)| (Key::from(name), value)).collect());
        context.add_variable_from_value(family, Cel::Map(Map { map }));
    }
    (context, is_known)
}

/// What both say of a member; `Err` where CEL does not take it, with its word.
fn both(source: &str, member: &Member) -> (Result<bool, String>, Result<bool, String>, bool) {
    let schema = schema();
    let today = Day::from_number(TODAY);
    let traits = Traits::of(member, today, &Arc::new(schema.scales.clone()));
    let sight = Sight::of(member, &traits, today);
    let ours =
        Predicate::compile(source, &schema).map(|ours| ours.holds(&sight)).map_err(|fault| fault.message);
    let (context, is_known) = context(&sight);
    let theirs =
        Program::compile(source).map_err(|fault| fault.to_string()).and_then(|program| {
            match program.execute(&context) {
                Ok(Cel::Bool(holds)) => Ok(holds),
                Ok(other) => Err(format!("{other:?}")),
                Err(fault) => Err(fault.to_string()),
            }
        });
    (ours, theirs, is_known)
}

/// Written, what we say, what CEL says of a member of whom only visits (3), points (5), the tag `a` and the missing tier are
/// said; nothing where it is not taken. And why.
const DIFFERENCES: [(&str, Option<bool>, Option<bool>, &str); 15] = [
    ("tier == 'gold'", Some(false), None, "what nobody knows satisfies nothing; CEL knows no such name"),
    ("tier != 'gold'", Some(true), None, "a != b is exactly !(a == b)"),
    ("attr.score < 3", Some(false), None, "a field of a map that is not there"),
    ("!consent.personal == true", None, Some(true), "! before a relation must have parentheses"),
    ("'a' < 'b'", None, Some(true), "words have no order"),
    ("points > 1.5", None, Some(true), "whole numbers only"),
    ("points + 1 > 5", None, Some(true), "no arithmetic: it could overflow"),
    ("visits > 2 ? true : false", None, Some(true), "no choice"),
    ("tags.exists(t, t == 'a')", None, Some(true), "no loops: a predicate is bounded by its length"),
    ("size(tags) == 1", None, Some(true), "no functions"),
    ("points == '5'", None, Some(false), "types that cannot be equal are a mistake, told when it is written"),
    ("points in [5, 'a']", None, Some(true), "a list is of one type"),
    ("['a', 'b'] == tags", None, Some(false), "lists are looked into only"),
    ("'\\x61' in tags", None, Some(true), "only \\\\, \\\" and \\' are escapes"),
    ("points > 3 // many", None, Some(true), "no comments"),
];

fn nobody() -> Member {
    let mut member = Member {
        id: crate::domain::ids::MemberId::new("m").expect("an id"),
        profile: crate::domain::member::Profile::default(),
        ledger: crate::domain::member::Ledger::default(),
        profile_as_of: crate::domain::calendar::UnixMs(0),
        history: None,
    };
    member.profile.tags = vec![Tag::new("a").expect("a tag")];
    member.ledger.visits = 3;
    member.ledger.points.settled = 5;
    member
}

#[test]
fn where_does_the_language_differ_from_cel() {
    for (source, ours, theirs, why) in DIFFERENCES {
        let (we, they, _) = both(source, &nobody());
        assert_eq!((we.clone().ok(), they.clone().ok()), (ours, theirs), "{source}: {why}: {we:?} {they:?}");
    }
}

#[test]
fn are_most_predicates_judged_by_both() {
    let mut runner = proptest::test_runner::TestRunner::deterministic();
    let (mut judged, mut holds, all) = (0, 0, 400);
    for _ in 0..all {
        let of = |runner: &mut _| -> (String, Member) {
            use proptest::strategy::ValueTree as _;
            (predicates(), members()).new_tree(runner).expect("one").current()
        };
        let (source, member) = of(&mut runner);
        if let (Ok(ours), Ok(_), _) = both(&source, &member) {
            judged += 1;
            holds += usize::from(ours);
        }
    }
    // Else agreement would say little.
    assert!(
        judged > all / 2 && holds > judged / 5 && holds < judged * 4 / 5,
        "{judged} judged, {holds} hold"
    );
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 1_024, ..ProptestConfig::default() })]

    #[test]
    fn does_a_predicate_mean_what_it_means_in_cel(source in predicates(), member in members()) {
        let (ours, theirs, is_known) = both(&source, &member);
        prop_assert!(ours.is_ok(), "{source}: {ours:?}");
        match theirs {
            Ok(theirs) => prop_assert_eq!(ours, Ok(theirs), "{}", source),
            Err(why) => prop_assert!(!is_known, "{source}: {why}"),
        }
    }
}
