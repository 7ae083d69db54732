//! The language segments are written in: a subset of CEL's syntax, as a predicate over a member and a civil day.
//!
//! ```text
//! any     = all { "||" all }             operand = field | integer | "text" | true | false | "[" literals "]"
//! all     = one { "&&" one }             field   = tier | tags | groups | points | visits | spend | orders
//! one     = "!" one | "(" any ")"                | days_since_last | days_since_joined | birthday_in_days
//!         | operand [ relation operand ]         | consent.personal | consent.programme | attr.name | attr["name"]
//! relation = "==" | "!=" | "<" | "<=" | ">" | ">=" | "in"
//! ```
//!
//! Invariants: what `compile` accepts has a type, so evaluation cannot fail; a predicate is bounded in bytes and in
//! depth, so compiling and evaluating are too. A value nobody knows (no tier, never visited, attribute absent)
//! satisfies no relation; `a != b` is exactly `!(a == b)`, so it holds for an unknown value. Amounts are in minor
//! units; `birthday_in_days` is negative after the birthday, -182 to 183.

use std::fmt;

use crate::domain::calendar::Day;
use crate::domain::ids::Tag;
use crate::domain::member::{Attribute, Member};
use crate::limits;

use super::parser;
use super::segment::{AttributeKind, Schema};

/// A predicate does not compile. Fits after "failed to compile the predicate:".
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct PredicateFault {
    /// Character of the predicate at which it is wrong, from 1.
    pub column: u32,
    /// What is wrong there and what would be right.
    pub message: String,
}

impl fmt::Display for PredicateFault {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "column {}: {}", self.column, self.message)
    }
}

/// A compiled predicate.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Predicate {
    source: Box<str>,
    root: Node,
}

#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Node {
    All(Box<[Node]>),
    Any(Box<[Node]>),
    Not(Box<Node>),
    Leaf(Box<Leaf>),
}

/// `left relation right`; a bare flag is `flag Is true`. `start..end` is the leaf's text in the source, in bytes.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Leaf {
    pub(super) start: u16,
    pub(super) end: u16,
    pub(super) left: Operand,
    pub(super) relation: Relation,
    pub(super) right: Operand,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Relation {
    /// A flag standing alone.
    Is,
    Equal,
    NotEqual,
    Less,
    LessOrEqual,
    Greater,
    GreaterOrEqual,
    In,
}

#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Operand {
    Field(Field),
    Number(i64),
    Word(Box<str>),
    Flag(bool),
    Numbers(Box<[i64]>),
    Words(Box<[Box<str>]>),
    NothingListed,
}

#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Field {
    Tier,
    Tags,
    Groups,
    Points,
    Visits,
    Spend,
    Orders,
    DaysSinceLast,
    DaysSinceJoined,
    BirthdayInDays,
    ConsentPersonal,
    ConsentProgramme,
    Attribute(Tag, AttributeKind),
}

pub(super) const FIELDS: &[(&str, Field)] = &[
    ("tier", Field::Tier),
    ("tags", Field::Tags),
    ("groups", Field::Groups),
    ("points", Field::Points),
    ("visits", Field::Visits),
    ("spend", Field::Spend),
    ("orders", Field::Orders),
    ("days_since_last", Field::DaysSinceLast),
    ("days_since_joined", Field::DaysSinceJoined),
    ("birthday_in_days", Field::BirthdayInDays),
    ("consent.personal", Field::ConsentPersonal),
    ("consent.programme", Field::ConsentProgramme),
];

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Kind {
    Number,
    Word,
    Flag,
    Numbers,
    Words,
    /// `[]`: a list of anything.
    Nothing,
}

impl Kind {
    pub(super) fn name(self) -> &'static str {
        match self {
            Kind::Number => "a whole number",
            Kind::Word => "text",
            Kind::Flag => "true or false",
            Kind::Numbers => "a list of whole numbers",
            Kind::Words => "a list of texts",
            Kind::Nothing => "an empty list",
        }
    }
}

impl Field {
    pub(super) fn kind(&self) -> Kind {
        match self {
            Field::Tier => Kind::Word,
            Field::Tags | Field::Groups => Kind::Words,
            Field::Points | Field::Visits | Field::Spend | Field::Orders => Kind::Number,
            Field::DaysSinceLast | Field::DaysSinceJoined | Field::BirthdayInDays => Kind::Number,
            Field::ConsentPersonal | Field::ConsentProgramme => Kind::Flag,
            Field::Attribute(_, AttributeKind::Flag) => Kind::Flag,
            Field::Attribute(_, AttributeKind::Number) => Kind::Number,
            Field::Attribute(_, AttributeKind::Word) => Kind::Word,
        }
    }

    fn name(&self) -> String {
        match self {
            Field::Attribute(name, _) => format!("attr.{name}"),
            field => FIELDS
                .iter()
                .find(|(_, known)| known == field)
                .map_or_else(String::new, |(name, _)| (*name).to_owned()),
        }
    }

    fn of<'m>(&self, member: &'m Member, today: Day) -> Value<'m> {
        let known = |days: Option<i64>| days.map_or(Value::Unknown, Value::Number);
        let (profile, ledger) = (&member.profile, &member.ledger);
        match self {
            Field::Tier => profile.tier.as_ref().map_or(Value::Unknown, |tier| Value::Word(tier.as_str())),
            Field::Tags => Value::Tags(&profile.tags),
            Field::Groups => Value::Tags(&profile.groups),
            Field::Points => Value::Number(ledger.points.balance()),
            Field::Visits => Value::Number(i64::from(ledger.visits)),
            Field::Spend => Value::Number(ledger.spend.0),
            Field::Orders => Value::Number(i64::from(member.orders())),
            Field::DaysSinceLast => known(ledger.last_visit.map(|day| today.days_since(day))),
            Field::DaysSinceJoined => known(profile.joined.map(|day| today.days_since(day))),
            Field::BirthdayInDays => known(profile.birthday.map(|day| day.days_from(today))),
            Field::ConsentPersonal => Value::Flag(profile.consent.personal),
            Field::ConsentProgramme => Value::Flag(profile.consent.programme),
            Field::Attribute(name, kind) => match (profile.attributes.get(name), kind) {
                (Some(Attribute::Flag(flag)), AttributeKind::Flag) => Value::Flag(*flag),
                (Some(Attribute::Number(number)), AttributeKind::Number) => Value::Number(*number),
                (Some(Attribute::Word(word)), AttributeKind::Word) => Value::Word(word),
                _ => Value::Unknown,
            },
        }
    }
}

#[derive(Clone, Copy, PartialEq)]
enum Value<'a> {
    Unknown,
    Number(i64),
    Word(&'a str),
    Flag(bool),
    Numbers(&'a [i64]),
    Words(&'a [Box<str>]),
    Tags(&'a [Tag]),
}

impl fmt::Display for Value<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let list = |f: &mut fmt::Formatter<'_>, words: &mut dyn Iterator<Item = &str>| {
            f.write_str("[")?;
            for (index, word) in words.enumerate() {
                write!(f, "{}{word:?}", if index == 0 { "" } else { ", " })?;
            }
            f.write_str("]")
        };
        match self {
            Value::Unknown => f.write_str("unknown"),
            Value::Number(number) => write!(f, "{number}"),
            Value::Word(word) => write!(f, "{word:?}"),
            Value::Flag(flag) => write!(f, "{flag}"),
            Value::Numbers(numbers) => write!(f, "{numbers:?}"),
            Value::Words(words) => list(f, &mut words.iter().map(|word| &**word)),
            Value::Tags(tags) => list(f, &mut tags.iter().map(Tag::as_str)),
        }
    }
}

impl Operand {
    pub(super) fn kind(&self) -> Kind {
        match self {
            Operand::Field(field) => field.kind(),
            Operand::Number(_) => Kind::Number,
            Operand::Word(_) => Kind::Word,
            Operand::Flag(_) => Kind::Flag,
            Operand::Numbers(_) => Kind::Numbers,
            Operand::Words(_) => Kind::Words,
            Operand::NothingListed => Kind::Nothing,
        }
    }

    fn value<'m>(&'m self, member: &'m Member, today: Day) -> Value<'m> {
        match self {
            Operand::Field(field) => field.of(member, today),
            Operand::Number(number) => Value::Number(*number),
            Operand::Word(word) => Value::Word(word),
            Operand::Flag(flag) => Value::Flag(*flag),
            Operand::Numbers(numbers) => Value::Numbers(numbers),
            Operand::Words(words) => Value::Words(words),
            Operand::NothingListed => Value::Numbers(&[]),
        }
    }
}

impl Leaf {
    fn holds(&self, member: &Member, today: Day) -> bool {
        let (left, right) = (self.left.value(member, today), self.right.value(member, today));
        let known = left != Value::Unknown && right != Value::Unknown;
        let order = match (left, right) {
            (Value::Number(left), Value::Number(right)) => Some(left.cmp(&right)),
            _ => None,
        };
        match self.relation {
            Relation::Is | Relation::Equal => known && left == right,
            Relation::NotEqual => !(known && left == right),
            Relation::Less => order.is_some_and(|order| order.is_lt()),
            Relation::LessOrEqual => order.is_some_and(|order| order.is_le()),
            Relation::Greater => order.is_some_and(|order| order.is_gt()),
            Relation::GreaterOrEqual => order.is_some_and(|order| order.is_ge()),
            Relation::In => match (left, right) {
                (Value::Number(number), Value::Numbers(numbers)) => numbers.contains(&number),
                (Value::Word(word), Value::Words(words)) => words.iter().any(|one| &**one == word),
                (Value::Word(word), Value::Tags(tags)) => tags.iter().any(|tag| tag.as_str() == word),
                _ => false,
            },
        }
    }
}

/// A leaf that keeps a member out of a segment, with the values seen.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct FailedLeaf {
    /// The leaf as written, for example `points >= 1000`.
    pub leaf: String,
    /// Character of the predicate where it begins, from 1.
    pub column: u32,
    /// It holds but must not: it stands under `!`.
    pub under_not: bool,
    /// What each field in it was: (`points`, `640`); `unknown` where nobody knows.
    pub seen: Vec<(String, String)>,
}

impl Predicate {
    /// Reads and type-checks a predicate.
    ///
    /// # Errors
    /// The first fault in reading order: not in the language, larger or deeper than `limits` allow, an unknown field,
    /// tier or attribute, or types that do not go together.
    pub fn compile(source: &str, schema: &Schema) -> Result<Predicate, PredicateFault> {
        if source.len() > limits::PREDICATE_BYTES_MAX {
            let message = format!(
                "is {} bytes long, a predicate has at most {}",
                source.len(),
                limits::PREDICATE_BYTES_MAX
            );
            return Err(PredicateFault { column: 1, message });
        }
        Ok(Predicate { source: source.into(), root: parser::parse(source, schema)? })
    }

    /// Does it hold for this member on this day?
    pub fn holds(&self, member: &Member, today: Day) -> bool {
        holds(&self.root, member, today)
    }

    /// The leaves that keep it from holding, in reading order: the first failing part of an `&&`, every part of an
    /// `||`. Empty if it holds.
    pub fn failed(&self, member: &Member, today: Day) -> Vec<FailedLeaf> {
        let mut leaves = Vec::new();
        self.blame(&self.root, true, (member, today), &mut leaves);
        leaves
    }

    /// The predicate as written.
    pub fn source(&self) -> &str {
        &self.source
    }

    pub(super) fn root(&self) -> &Node {
        &self.root
    }

    /// Names the leaves because of which `node` is not `wanted`.
    fn blame(&self, node: &Node, wanted: bool, of: (&Member, Day), into: &mut Vec<FailedLeaf>) {
        if holds(node, of.0, of.1) == wanted {
            return;
        }
        match (node, wanted) {
            (Node::All(nodes), true) | (Node::Any(nodes), false) => {
                if let Some(node) = nodes.iter().find(|node| holds(node, of.0, of.1) != wanted) {
                    self.blame(node, wanted, of, into);
                }
            }
            (Node::All(nodes), false) | (Node::Any(nodes), true) => {
                nodes.iter().for_each(|node| self.blame(node, wanted, of, into));
            }
            (Node::Not(node), _) => self.blame(node, !wanted, of, into),
            (Node::Leaf(leaf), _) => into.push(self.failed_leaf(leaf, !wanted, of)),
        }
    }

    fn failed_leaf(&self, leaf: &Leaf, under_not: bool, (member, today): (&Member, Day)) -> FailedLeaf {
        let (start, end) = (usize::from(leaf.start), usize::from(leaf.end));
        let seen = [&leaf.left, &leaf.right].into_iter().filter_map(|operand| match operand {
            Operand::Field(field) => Some((field.name(), field.of(member, today).to_string())),
            _ => None,
        });
        FailedLeaf {
            leaf: self.source[start..end].to_owned(),
            column: column_of(&self.source, start),
            under_not,
            seen: seen.collect(),
        }
    }
}

fn holds(node: &Node, member: &Member, today: Day) -> bool {
    match node {
        Node::All(nodes) => nodes.iter().all(|node| holds(node, member, today)),
        Node::Any(nodes) => nodes.iter().any(|node| holds(node, member, today)),
        Node::Not(node) => !holds(node, member, today),
        Node::Leaf(leaf) => leaf.holds(member, today),
    }
}

pub(super) fn column_of(source: &str, byte: usize) -> u32 {
    u32::try_from(source[..byte].chars().count() + 1).unwrap_or(u32::MAX)
}
