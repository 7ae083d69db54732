//! Predicates that hold for nobody, told from their text alone: mistakes of whoever wrote the segment.
//!
//! Not a decision procedure, on purpose: it knows literals, bounds on one number, and one word that would have to be
//! two. What it calls never is never; what it does not see through is left alone.

use super::field::Field;
use super::predicate::{Leaf, Node, Operand, Predicate, Relation};

impl Predicate {
    /// Can it be seen that it holds for no member on any day?
    pub fn never_holds(&self) -> bool {
        self.root().never()
    }
}

impl Node {
    fn never(&self) -> bool {
        match self {
            Node::Any(nodes) => nodes.iter().all(Node::never),
            Node::All(nodes) => nodes.iter().any(Node::never) || contradict(nodes),
            Node::Not(node) => node.always(),
            Node::Leaf(leaf) => leaf.literal() == Some(false),
        }
    }

    fn always(&self) -> bool {
        match self {
            Node::Any(nodes) => nodes.iter().any(Node::always),
            Node::All(nodes) => nodes.iter().all(Node::always),
            Node::Not(node) => node.never(),
            Node::Leaf(leaf) => leaf.literal() == Some(true),
        }
    }
}

impl Leaf {
    /// What it says where no field stands in it.
    fn literal(&self) -> Option<bool> {
        let order = match (&self.left, &self.right) {
            (Operand::Flag(left), Operand::Flag(right)) => left.cmp(right),
            (Operand::Number(left), Operand::Number(right)) => left.cmp(right),
            (_, Operand::NothingListed) if self.relation == Relation::In => return Some(false),
            _ => return None,
        };
        Some(match self.relation {
            Relation::Is | Relation::Equal => order.is_eq(),
            Relation::NotEqual => order.is_ne(),
            Relation::Less => order.is_lt(),
            Relation::LessOrEqual => order.is_le(),
            Relation::Greater => order.is_gt(),
            Relation::GreaterOrEqual => order.is_ge(),
            Relation::In => return None,
        })
    }

    /// The numbers it lets its field have, both ends included.
    fn numbers(&self) -> Option<(&Field, i64, i64)> {
        let (Operand::Field(field), Operand::Number(bound)) = (&self.left, &self.right) else { return None };
        let (least, most) = match self.relation {
            Relation::Equal => (*bound, *bound),
            Relation::Less => (i64::MIN, bound.saturating_sub(1)),
            Relation::LessOrEqual => (i64::MIN, *bound),
            Relation::Greater => (bound.saturating_add(1), i64::MAX),
            Relation::GreaterOrEqual => (*bound, i64::MAX),
            Relation::Is | Relation::NotEqual | Relation::In => return None,
        };
        Some((field, least, most))
    }

    /// The words it lets its field be.
    fn words(&self) -> Option<(&Field, Vec<&str>)> {
        match (&self.left, self.relation, &self.right) {
            (Operand::Field(field), Relation::Equal, Operand::Word(word)) => Some((field, vec![word])),
            (Operand::Field(field), Relation::In, Operand::Words(words)) => {
                Some((field, words.iter().map(|word| &**word).collect()))
            }
            _ => None,
        }
    }
}

/// Do two leaves that must both hold leave nothing to a field? A node beside its own negation does as well.
fn contradict(nodes: &[Node]) -> bool {
    let leaves = || {
        nodes.iter().filter_map(|node| match node {
            Node::Leaf(leaf) => Some(&**leaf),
            _ => None,
        })
    };
    let same = |a: &Node, b: &Node| match (a, b) {
        (Node::Leaf(a), Node::Leaf(b)) => (&a.left, a.relation, &a.right) == (&b.left, b.relation, &b.right),
        (a, b) => a == b,
    };
    let negated = |node: &Node| matches!(node, Node::Not(not) if nodes.iter().any(|other| same(other, not)));
    nodes.iter().any(negated)
        || leaves().any(|leaf| {
            let numbers = leaf.numbers().is_some_and(|(field, least, most)| {
                let others = leaves().filter_map(Leaf::numbers).filter(|(other, ..)| *other == field);
                let (least, most) = others.fold((least, most), |(l, m), (_, o, p)| (l.max(o), m.min(p)));
                least > most
            });
            let words = leaf.words().is_some_and(|(field, words)| {
                let mut others = leaves().filter_map(Leaf::words).filter(|(other, _)| *other == field);
                others.any(|(_, other)| !words.iter().any(|word| other.contains(word)))
            });
            numbers || words
        })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::shopper::segment::Schema;

    #[test]
    fn which_predicates_hold_for_nobody() {
        for (when, never) in [
            ("visits > 3", false),
            ("visits > 3 && visits < 5", false),
            ("visits > 3 && visits < 4", true),
            ("tier == \"gold\" && tier == \"silver\"", true),
            ("tier in [\"gold\", \"silver\"] && tier == \"silver\"", false),
            ("\"a\" in tags && \"b\" in tags", false),
            ("tier == \"gold\" || (visits >= 2 && visits <= 1)", false),
            ("(visits >= 9 && visits <= 1) || false", true),
            ("!(visits >= 9 || true)", true),
            ("consent.personal && !consent.personal", true),
            ("tier in []", true),
            ("points != 3", false),
        ] {
            let predicate = Predicate::compile(when, &Schema::default()).expect("it compiles");
            assert_eq!(predicate.never_holds(), never, "{when}");
        }
    }
}
