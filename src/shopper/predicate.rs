//! The language segments are written in: a subset of CEL's syntax, as a predicate over a member and a civil day.
//!
//! ```text
//! any     = all { "||" all }             operand = field | integer | "text" | true | false | "[" literals "]"
//! all     = one { "&&" one }             field   = name | family "." key | family "[" "text" "]"
//! one     = "!" one | "(" any ")"
//!         | operand [ relation operand ]
//! relation = "==" | "!=" | "<" | "<=" | ">" | ">=" | "in"
//!
//! known of every member                  learned here, of those who agreed to consent.personal
//!   tier                     text          visits_4w  visits_13w  visits_52w      number, today included
//!   tags  groups             texts         spend_4w  spend_13w  spend_52w         minor units
//!   points  visits  spend    numbers       basket_average                         of 52 weeks, minor units
//!   orders                   number        rfm.r  rfm.f  rfm.m                    1 to 5; needs shop.scales.rfm
//!   days_since_last          number        rfm.segment  text: R's names           needs shop.scales.rfm
//!   days_since_joined        number        lifecycle    text                      needs scales.stages or .rhythm
//!   birthday_in_days         number        churn        per cent                  needs scales.lifetime
//!   consent.personal         flag          value.visits_13w  hundredths           needs scales.lifetime
//!   consent.programme        flag          value.spend_13w   minor units          needs scales.lifetime
//!   attr.name, attr["name"]  as declared   group        number, from 0            needs scales.groups
//!                                          channel                                till kiosk online: the usual one
//!                                          share["category"]                      percent of the spend of their visits
//!                                          interval["category"]                   mean days between purchases
//!                                          days_since["category"]                 since the last purchase
//!                                          due["category"]   flag                 needs scales.due
//!                                          coupons.issued  .used  .expired        numbers
//!                                          feedback.last  feedback.average        0 to 10; tenths, 0 to 100
//!                                          events["kind"]                         number
//! ```
//!
//! Invariants: what `compile` accepts has a type, so evaluation cannot fail; a predicate is bounded in bytes and in
//! depth, so compiling and evaluating are too. A value nobody knows (no tier, never visited, attribute absent)
//! satisfies no relation; `a != b` is exactly `!(a == b)`, so it holds for an unknown value. Amounts are in minor
//! units; `birthday_in_days` is negative after the birthday, -182 to 183.

use std::fmt;

use crate::limits;

use super::field::{Field, Kind, Sight, Value};
use super::parser;
use super::segment::Schema;

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

impl Operand {
    /// The words it holds, if it is no field.
    pub(super) fn words(&self) -> &[Box<str>] {
        match self {
            Operand::Word(word) => std::slice::from_ref(word),
            Operand::Words(words) => words,
            _ => &[],
        }
    }

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

    fn value<'m>(&'m self, sight: &Sight<'m>) -> Value<'m> {
        match self {
            Operand::Field(field) => field.of(sight),
            constant => constant.constant(),
        }
    }

    /// Its value, if it is no field.
    fn constant(&self) -> Value<'_> {
        match self {
            Operand::Field(_) => Value::Unknown,
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
    fn holds(&self, sight: &Sight<'_>) -> bool {
        self.relates(self.left.value(sight), self.right.value(sight))
    }

    /// Does it hold where the one field in it has this value?
    pub(super) fn holds_of<'v>(&'v self, value: Value<'v>) -> bool {
        let side = |operand| match operand {
            &Operand::Field(_) => value,
            constant => constant.constant(),
        };
        self.relates(side(&self.left), side(&self.right))
    }

    /// Does it say the same, wherever it stands?
    pub(super) fn says_as(&self, other: &Leaf) -> bool {
        (&self.left, self.relation, &self.right) == (&other.left, other.relation, &other.right)
    }

    fn relates(&self, left: Value<'_>, right: Value<'_>) -> bool {
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
                (Value::Word(word), tags @ Value::Tags { .. }) => tags.tags().any(|tag| tag == word),
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
    pub fn holds(&self, sight: &Sight<'_>) -> bool {
        self.root.holds(sight)
    }

    /// The leaves that keep it from holding, in reading order: the first failing part of an `&&`, every part of an
    /// `||`. Empty if it holds.
    pub fn failed(&self, sight: &Sight<'_>) -> Vec<FailedLeaf> {
        let mut leaves = Vec::new();
        self.blame(&self.root, true, sight, &mut leaves);
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
    fn blame(&self, node: &Node, wanted: bool, of: &Sight<'_>, into: &mut Vec<FailedLeaf>) {
        if node.holds(of) == wanted {
            return;
        }
        match (node, wanted) {
            (Node::All(nodes), true) | (Node::Any(nodes), false) => {
                if let Some(node) = nodes.iter().find(|node| node.holds(of) != wanted) {
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

    fn failed_leaf(&self, leaf: &Leaf, under_not: bool, sight: &Sight<'_>) -> FailedLeaf {
        let (start, end) = (usize::from(leaf.start), usize::from(leaf.end));
        let seen = [&leaf.left, &leaf.right].into_iter().filter_map(|operand| match operand {
            Operand::Field(field) => Some((field.name(), field.of(sight).to_string())),
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

impl Node {
    pub(super) fn holds(&self, sight: &Sight<'_>) -> bool {
        match self {
            Node::All(nodes) => nodes.iter().all(|node| node.holds(sight)),
            Node::Any(nodes) => nodes.iter().any(|node| node.holds(sight)),
            Node::Not(node) => !node.holds(sight),
            Node::Leaf(leaf) => leaf.holds(sight),
        }
    }
}

pub(super) fn column_of(source: &str, byte: usize) -> u32 {
    u32::try_from(source[..byte].chars().count() + 1).unwrap_or(u32::MAX)
}
