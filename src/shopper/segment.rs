//! A bundle's segments: named predicates over the member, compiled once and asked at every scan and quote.
//!
//! `Segments` is immutable. `of` answers from the index (`index`), as each predicate by itself would; in the order of ids, whatever order they were written in; `why` names the
//! part of a predicate that keeps a member out, with the value seen.

use std::collections::{BTreeMap, BTreeSet};
use std::fmt;
use std::sync::Arc;

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::domain::calendar::Day;
use crate::domain::ids::{CategoryId, SegmentId, Tag, TierId};
use crate::domain::member::Member;
use crate::domain::text::Texts;
use crate::limits;

use super::field::Sight;
use super::index::{Bits, Index};
use super::predicate::{FailedLeaf, Predicate, PredicateFault};
pub use super::scales::Scales;
use super::traits::Traits;

/// What a member's attribute holds.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum AttributeKind {
    /// Yes or no.
    Flag,
    /// A whole number.
    Number,
    /// A word.
    Word,
}

/// What predicates may speak of beside the fields every member has.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Schema {
    /// The programme's tiers; any tier if empty.
    pub tiers: Vec<TierId>,
    /// The attributes head office computes, by name.
    pub attributes: BTreeMap<Tag, AttributeKind>,
    /// What members are measured by.
    pub scales: Scales,
    /// By category, those of it that histories hold; without any no category is looked up.
    pub categories: Hierarchy,
}

/// Categories with those below them that articles stand in last, themselves included where some do.
pub type Hierarchy = BTreeMap<CategoryId, BTreeSet<CategoryId>>;

/// What these articles say of their categories: each list goes from the widest to the narrowest.
pub fn hierarchy<'a>(articles: impl Iterator<Item = &'a [CategoryId]>) -> Hierarchy {
    let mut known = Hierarchy::new();
    for categories in articles {
        let Some(leaf) = categories.last() else { continue };
        for category in categories {
            let leaves = known.entry(category.clone()).or_default();
            if !leaves.contains(leaf) {
                leaves.insert(leaf.clone());
            }
        }
    }
    known
}

/// A segment does not compile.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct SegmentFault {
    /// Which.
    pub segment: SegmentId,
    /// Character of its predicate, from 1.
    pub column: u32,
    /// What is wrong there.
    pub message: String,
}

impl fmt::Display for SegmentFault {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "segment {}, column {}: {}", self.segment, self.column, self.message)
    }
}

/// Why a member is not in a segment.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Why {
    /// The member is in it.
    Inside,
    /// The bundle has no such segment.
    Unknown,
    /// Kept out by these leaves, in reading order.
    Outside(Vec<FailedLeaf>),
}

/// The compiled segments of a bundle.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Segments {
    /// By id.
    compiled: Box<[(SegmentId, Predicate)]>,
    index: Index,
    scales: Arc<Scales>,
}

impl Segments {
    /// Compiles every segment.
    ///
    /// # Errors
    /// Every segment that does not compile, repeats an id, or is beyond `limits::BUNDLE_SEGMENTS_MAX`, in the order
    /// given.
    pub fn compile(schema: &Schema, sources: &[(SegmentId, &str)]) -> Result<Segments, Vec<SegmentFault>> {
        let mut compiled = Vec::with_capacity(sources.len().min(limits::BUNDLE_SEGMENTS_MAX));
        let mut faults = Vec::new();
        let mut seen = BTreeSet::new();
        for (index, (segment, source)) in sources.iter().enumerate() {
            let fault = |column, message: String| SegmentFault { segment: segment.clone(), column, message };
            if index >= limits::BUNDLE_SEGMENTS_MAX {
                let message = format!("a bundle has at most {} segments", limits::BUNDLE_SEGMENTS_MAX);
                faults.push(fault(1, message));
                break;
            }
            if !seen.insert(segment) {
                faults.push(fault(1, "stands here a second time".into()));
                continue;
            }
            match Predicate::compile(source, schema) {
                Ok(predicate) => compiled.push((segment.clone(), predicate)),
                Err(PredicateFault { column, message }) => faults.push(fault(column, message)),
            }
        }
        compiled.sort_by(|a, b| a.0.cmp(&b.0));
        if !faults.is_empty() {
            return Err(faults);
        }
        let index = Index::of(compiled.iter().map(|(_, predicate)| predicate));
        Ok(Segments { compiled: compiled.into(), index, scales: Arc::new(schema.scales.clone()) })
    }

    /// The segments a member is in on a day, sorted.
    pub fn of(&self, member: &Member, today: Day) -> Vec<SegmentId> {
        if self.compiled.is_empty() {
            return Vec::new();
        }
        let traits = self.traits(member, today);
        let bits = self.bits(&Sight::of(member, &traits, today));
        bits.ones().map(|nth| self.compiled[nth].0.clone()).collect()
    }

    /// What follows from a member's history, by the scales of these segments.
    pub fn traits(&self, member: &Member, today: Day) -> Traits {
        Traits::of(member, today, &self.scales)
    }

    /// The segments a member is in, a bit for each in the order of ids.
    pub fn bits(&self, sight: &Sight<'_>) -> Bits {
        self.index.of_member(sight)
    }

    /// Every segment, in the order of ids.
    pub fn ids(&self) -> impl Iterator<Item = &SegmentId> {
        self.compiled.iter().map(|(id, _)| id)
    }

    /// Bytes the index takes.
    pub fn index_bytes(&self) -> usize {
        self.index.bytes()
    }

    /// Is the member in it, and if not, because of what?
    pub fn why(&self, segment: &SegmentId, member: &Member, today: Day) -> Why {
        match self.get(segment) {
            None => Why::Unknown,
            Some(predicate) => match predicate.failed(&Sight::of(member, &self.traits(member, today), today))
            {
                leaves if leaves.is_empty() => Why::Inside,
                leaves => Why::Outside(leaves),
            },
        }
    }

    /// The predicate of a segment.
    pub fn get(&self, segment: &SegmentId) -> Option<&Predicate> {
        let place = self.compiled.binary_search_by(|(id, _)| id.cmp(segment)).ok()?;
        Some(&self.compiled[place].1)
    }

    /// How many there are.
    pub fn len(&self) -> usize {
        self.compiled.len()
    }

    /// Are there none?
    pub fn is_empty(&self) -> bool {
        self.compiled.is_empty()
    }
}

impl FailedLeaf {
    /// For people: `points >= 1000 does not hold: points is 640`.
    pub fn texts(&self) -> Texts {
        let (en, zh) = if self.under_not {
            ("holds but must not", "成立，但要求不成立")
        } else {
            ("does not hold", "不成立")
        };
        let seen = |is: &str, and: &str| {
            let parts: Vec<String> =
                self.seen.iter().map(|(field, value)| format!("{field}{is}{value}")).collect();
            parts.join(and)
        };
        Texts::both(
            &format!("{} {zh}：{}", self.leaf, seen(" 为 ", "，")),
            &format!("{} {en}: {}", self.leaf, seen(" is ", ", ")),
        )
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::domain::calendar::UnixMs;
    use crate::domain::ids::MemberId;
    use crate::domain::member::{Attribute, Ledger, Profile};
    use crate::domain::money::Money;
    use crate::domain::text::Lang;
    use proptest::prelude::*;

    fn day(text: &str) -> Day {
        text.parse().expect("a day")
    }

    fn id(text: &str) -> SegmentId {
        SegmentId::new(text).expect("an id")
    }

    fn tag(text: &str) -> Tag {
        Tag::new(text).expect("a tag")
    }

    fn schema() -> Schema {
        let tiers = ["silver", "gold"].map(|tier| TierId::new(tier).expect("an id")).into();
        let kinds = [AttributeKind::Flag, AttributeKind::Number, AttributeKind::Word];
        let attributes = ["baby", "rfm.m", "city"].map(tag).into_iter().zip(kinds).collect();
        let food = ["food", "dairy"].map(|name| CategoryId::new(name).expect("an id"));
        let categories = hierarchy([food.as_slice()].into_iter());
        Schema { tiers, attributes, categories, ..Schema::default() }
    }

    fn member() -> Member {
        let profile = Profile {
            tier: Some(TierId::new("gold").expect("an id")),
            tags: vec![tag("organic")],
            birthday: Some("11-24".parse().expect("a birthday")),
            attributes: [(tag("rfm.m"), Attribute::Number(4))].into(),
            orders_elsewhere: 7,
            ..Profile::default()
        };
        let id = MemberId::new("m").expect("an id");
        let mut member =
            Member { id, profile, ledger: Ledger::default(), profile_as_of: UnixMs(0), history: None };
        member.ledger.visits = 3;
        member.ledger.spend = Money(12_300);
        member.ledger.last_visit = Some(day("2026-11-01"));
        member.ledger.points.settled = 640;
        member
    }

    fn segments(when: &str) -> Result<Segments, (u32, String)> {
        let compiled = Segments::compile(&schema(), &[(id("s"), when)]);
        compiled.map_err(|faults| (faults[0].column, faults[0].message.clone()))
    }

    fn holds(when: &str) -> bool {
        let segments = segments(when).unwrap_or_else(|fault| panic!("{when}: {fault:?}"));
        !segments.of(&member(), day("2026-11-21")).is_empty()
    }

    #[test]
    fn what_can_be_said_of_a_member() {
        for when in [
            r#"tier in ["gold", 'silver']"#,
            r#"tier == "gold" && "organic" in tags && !("staff" in groups)"#,
            "points >= 640 && points < 641 && visits == 3 && spend > 12299 && orders == 10",
            "days_since_last == 20 && birthday_in_days == 3",
            r#"attr["rfm.m"] >= 4 && !attr.baby"#,
            "!consent.personal && consent.programme == false",
            "orders in [9, 10] && !(orders in [])",
            "-1 < points",
            "true || points > 1 && false",
            "!(true && false) && !!true",
        ] {
            assert!(holds(when), "{when}");
        }
    }

    #[test]
    fn does_what_nobody_knows_satisfy_anything() {
        assert!(!holds(r#"attr.city == "Shanghai" || attr.city in ["Shanghai", "unknown"]"#));
        assert!(!holds("attr.city == attr.city"), "two unknown values are not the same");
        assert!(holds(r#"attr.city != "Shanghai""#), "!= is exactly the denial of ==");
        assert!(!holds("days_since_joined >= 0 || days_since_joined < 0 || attr.baby || attr.baby == false"));
    }

    #[test]
    fn where_is_a_predicate_wrong() {
        for (when, column, words) in [
            ("", 1, "found the end"),
            ("points >= ", 11, "found the end"),
            ("points => 3", 8, "equality is written =="),
            ("points & 3", 8, "and is written &&"),
            ("points >= \"3\"", 11, "a whole number has no order with text"),
            ("tier == 3", 9, "text cannot be compared with a whole number"),
            ("tags == tags", 9, "cannot be compared"),
            ("points in tags", 11, "cannot be looked for in"),
            ("points", 1, "needs a relation"),
            ("pionts > 3", 1, "no field is called pionts"),
            ("consent.other", 1, "no field is called consent.other"),
            ("attr.size == 3", 6, "declares no attribute size"),
            ("attr == 3", 6, "attr.name"),
            ("tier == \"bronze\"", 1, "no tier is called \"bronze\"; the shop has silver, gold"),
            ("!points > 3", 1, "put parentheses"),
            ("!tier == \"gold\"", 1, "put parentheses"),
            ("(points > 3", 12, "expected )"),
            ("points > 3 points", 12, "expected &&"),
            ("points > 99999999999999999999", 10, "whole number"),
            ("points > 3 && tier == \"gold", 23, "no closing quote"),
            ("orders in [1, \"a\"]", 15, "only"),
            ("\"日本\" in tags && ü", 17, "has no meaning here"),
            ("rfm.segment == \"Champion\"", 1, "no segment of rfm is called \"Champion\""),
            (
                "visits > 3 && share[\"dairi\"] > 3",
                21,
                "no article is of category dairi; did you mean dairy?",
            ),
            ("due[3]", 5, "expected the name in quotes"),
        ] {
            let (at, message) = segments(when).expect_err(when);
            assert!(at == column && message.contains(words), "{when}: {at} {message}");
        }
    }

    #[test]
    fn is_a_predicate_bounded() {
        let deep = |levels: usize| "(".repeat(levels) + "true" + &")".repeat(levels);
        assert!(segments(&deep(limits::PREDICATE_DEPTH_MAX - 1)).is_ok());
        assert!(segments(&deep(100_000)).expect_err("too long").1.contains("bytes long"));
        for levels in ["(", "!", "!("].map(|one| one.repeat(1_000)) {
            let (column, message) = segments(&levels).expect_err("a thousand levels");
            let deepest = u32::try_from(limits::PREDICATE_DEPTH_MAX + 1).expect("small");
            assert!(
                column == deepest && message.contains("nested deeper than 32 levels"),
                "{column}: {message}"
            );
        }
        assert!(segments(&deep(limits::PREDICATE_DEPTH_MAX)).expect_err("too deep").1.contains("deeper"));
        assert!(segments(&"!".repeat(2_000)).expect_err("too deep").1.contains("deeper"));
        assert!(segments(&"true||".repeat(1_000)).expect_err("too long").1.contains("bytes long"));
        let many = vec![(id("s"), "true"); limits::BUNDLE_SEGMENTS_MAX + 5];
        assert!(Segments::compile(&schema(), &many).is_err());
    }

    #[test]
    fn in_which_order_are_segments_named() {
        let sources =
            [("c", "true"), ("a", "points > 0"), ("b", "false")].map(|(name, when)| (id(name), when));
        let segments = Segments::compile(&schema(), &sources).expect("right");
        assert_eq!(segments.of(&member(), day("2026-11-21")), [id("a"), id("c")]);
        let twice = Segments::compile(&schema(), &[(id("a"), "true"), (id("a"), "pionts"), (id("b"), "x")]);
        let faults = twice.expect_err("one twice, one wrong");
        let named: Vec<&str> = faults.iter().map(|fault| fault.segment.as_str()).collect();
        assert_eq!(named, ["a", "b"], "every fault at once");
    }

    #[test]
    fn why_is_a_member_not_in_a_segment() {
        let why = |when: &str| segments(when).expect("right").why(&id("s"), &member(), day("2026-11-21"));
        assert_eq!(why("points > 0"), Why::Inside);
        let when = r#"tier == "gold" && points >= 1000 && visits > 100"#;
        let Why::Outside(leaves) = why(when) else { panic!("outside") };
        assert_eq!((leaves.len(), leaves[0].column), (1, 19));
        assert_eq!(leaves[0].texts().get(Lang::En), "points >= 1000 does not hold: points is 640");
        let Why::Outside(leaves) = why(r#"!("organic" in tags || visits > 9) || attr.baby"#) else {
            panic!("outside")
        };
        let texts: Vec<String> = leaves.iter().map(|leaf| leaf.texts().get(Lang::En).to_owned()).collect();
        assert_eq!(
            texts,
            [
                r#""organic" in tags holds but must not: tags is ["organic"]"#,
                "attr.baby does not hold: attr.baby is unknown",
            ]
        );
        assert_eq!(
            segments("true").expect("right").why(&id("x"), &member(), day("2026-11-21")),
            Why::Unknown
        );
    }

    type Reading = fn(&Member) -> i64;

    /// A predicate as text, and what it says of a member, told without any of the code above.
    #[derive(Clone, Debug)]
    struct Said {
        text: String,
        holds: Reading,
        than: i64,
    }

    #[derive(Clone, Debug)]
    enum Tree {
        Leaf(Said, &'static str),
        Tagged(&'static str),
        And(Box<Tree>, Box<Tree>),
        Or(Box<Tree>, Box<Tree>),
        Not(Box<Tree>),
    }

    impl Tree {
        fn text(&self) -> String {
            match self {
                Tree::Leaf(said, relation) => format!("{}{relation}{}", said.text, said.than),
                Tree::Tagged(tag) => format!("'{tag}' in tags"),
                Tree::And(a, b) => format!("({}) && ({})", a.text(), b.text()),
                Tree::Or(a, b) => format!("({} || {})", a.text(), b.text()),
                Tree::Not(of) => format!("!({})", of.text()),
            }
        }

        fn holds(&self, member: &Member) -> bool {
            match self {
                Tree::Leaf(said, relation) => {
                    let (left, right) = ((said.holds)(member), said.than);
                    match *relation {
                        "==" => left == right,
                        " != " => left != right,
                        "<" => left < right,
                        " <= " => left <= right,
                        ">" => left > right,
                        _ => left >= right,
                    }
                }
                Tree::Tagged(tag) => member.profile.tags.iter().any(|held| held.as_str() == *tag),
                Tree::And(a, b) => a.holds(member) && b.holds(member),
                Tree::Or(a, b) => a.holds(member) || b.holds(member),
                Tree::Not(of) => !of.holds(member),
            }
        }
    }

    fn trees() -> impl Strategy<Value = Tree> {
        let fields: [(&str, Reading); 3] = [
            ("points", |member| member.ledger.points.settled),
            ("visits", |member| i64::from(member.ledger.visits)),
            ("spend", |member| member.ledger.spend.0),
        ];
        let relation = prop::sample::select(vec!["==", " != ", "<", " <= ", ">", ">="]);
        let leaf = (prop::sample::select(fields.to_vec()), -1_i64..4, relation).prop_map(
            |((name, holds), than, relation)| Tree::Leaf(Said { text: name.into(), holds, than }, relation),
        );
        let tagged = prop::sample::select(vec!["a", "b"]).prop_map(Tree::Tagged);
        prop_oneof![leaf, tagged].prop_recursive(4, 24, 2, |inner| {
            let two = (inner.clone(), inner.clone());
            prop_oneof![
                two.clone().prop_map(|(a, b)| Tree::And(a.into(), b.into())),
                two.prop_map(|(a, b)| Tree::Or(a.into(), b.into())),
                inner.prop_map(|of| Tree::Not(of.into())),
            ]
        })
    }

    proptest! {
        #[test]
        fn does_a_predicate_mean_what_it_plainly_says(
            tree in trees(), points in -1_i64..4, visits in 0_u32..4, spend in 0_i64..4, a: bool, b: bool,
        ) {
            let mut member = member();
            member.ledger.points.settled = points;
            member.ledger.visits = visits;
            member.ledger.spend = Money(spend);
            member.profile.tags = [(a, "a"), (b, "b")].iter().filter(|(on, _)| *on).map(|(_, name)| tag(name)).collect();
            let segments = segments(&tree.text()).expect("a tree's text is a predicate");
            let today = day("2026-11-21");
            prop_assert_eq!(!segments.of(&member, today).is_empty(), tree.holds(&member), "{}", tree.text());
            let inside = segments.why(&id("s"), &member, today) == Why::Inside;
            prop_assert_eq!(inside, tree.holds(&member), "no leaf is blamed exactly where it holds");
        }

        #[test]
        fn does_any_text_panic(text in "[-a-z0-9 .&|!=<>()\\[\\],'\"日]{0,40}") {
            let _ = segments(&text);
        }
    }
}
