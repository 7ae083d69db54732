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
use crate::domain::ids::{Tag, TierId};
use crate::domain::member::{Attribute, Member};
use crate::limits;

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
enum Node {
    All(Box<[Node]>),
    Any(Box<[Node]>),
    Not(Box<Node>),
    Leaf(Box<Leaf>),
}

/// `left relation right`; a bare flag is `flag Is true`. `start..end` is the leaf's text in the source, in bytes.
#[derive(Clone, Debug, PartialEq, Eq)]
struct Leaf {
    start: u16,
    end: u16,
    left: Operand,
    relation: Relation,
    right: Operand,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Relation {
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
enum Operand {
    Field(Field),
    Number(i64),
    Word(Box<str>),
    Flag(bool),
    Numbers(Box<[i64]>),
    Words(Box<[Box<str>]>),
    NothingListed,
}

#[derive(Clone, Debug, PartialEq, Eq)]
enum Field {
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

const FIELDS: &[(&str, Field)] = &[
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
enum Kind {
    Number,
    Word,
    Flag,
    Numbers,
    Words,
    /// `[]`: a list of anything.
    Nothing,
}

impl Kind {
    fn name(self) -> &'static str {
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
    fn kind(&self) -> Kind {
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
    fn kind(&self) -> Kind {
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
        let tokens = tokens(source)?;
        let mut parser = Parser { source, tokens: &tokens, next: 0, depth: 0, schema };
        let root = parser.any()?;
        match parser.peek() {
            Some(_) => Err(parser.fault_here("expected &&, || or the end")),
            None => Ok(Predicate { source: source.into(), root }),
        }
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

fn column_of(source: &str, byte: usize) -> u32 {
    u32::try_from(source[..byte].chars().count() + 1).unwrap_or(u32::MAX)
}

#[derive(Clone, Debug, PartialEq)]
enum Lexeme {
    /// A field's name, dots included, or a keyword.
    Name(String),
    Number(i64),
    Text(String),
    Symbol(&'static str),
}

struct Token {
    start: usize,
    end: usize,
    lexeme: Lexeme,
}

/// Longer ones first.
const SYMBOLS: &[&str] = &["&&", "||", "==", "!=", "<=", ">=", "<", ">", "!", "(", ")", "[", "]", ",", "."];

fn tokens(source: &str) -> Result<Vec<Token>, PredicateFault> {
    let fault = |byte: usize, message: String| PredicateFault { column: column_of(source, byte), message };
    let mut tokens = Vec::new();
    let mut start = 0;
    while let Some(first) = source[start..].chars().next() {
        let rest = &source[start..];
        let run = |fits: fn(char) -> bool| rest.find(|c| !fits(c)).unwrap_or(rest.len());
        let (length, lexeme) = if first.is_whitespace() {
            start += first.len_utf8();
            continue;
        } else if first.is_ascii_alphabetic() || first == '_' {
            let length = run(|c| c.is_ascii_alphanumeric() || c == '_');
            (length, Lexeme::Name(rest[..length].to_owned()))
        } else if first.is_ascii_digit() || first == '-' {
            let length = 1 + rest[1..].find(|c: char| !c.is_ascii_digit()).unwrap_or(rest.len() - 1);
            let number = rest[..length].parse();
            (length, Lexeme::Number(number.map_err(|_| fault(start, "expected a whole number".into()))?))
        } else if first == '"' || first == '\'' {
            let (length, text) = text(rest, first).map_err(|(at, message)| fault(start + at, message))?;
            (length, Lexeme::Text(text))
        } else if let Some(symbol) = SYMBOLS.iter().find(|symbol| rest.starts_with(**symbol)) {
            (symbol.len(), Lexeme::Symbol(symbol))
        } else {
            let hint = match first {
                '=' => "; equality is written ==",
                '&' | '|' => "; and is written &&, or ||",
                _ => "",
            };
            return Err(fault(start, format!("{first:?} has no meaning here{hint}")));
        };
        tokens.push(Token { start, end: start + length, lexeme });
        start += length;
    }
    Ok(tokens)
}

/// The quoted text at the start of `rest`: its length with the quotes, and what it says.
fn text(rest: &str, quote: char) -> Result<(usize, String), (usize, String)> {
    let mut said = String::new();
    let mut characters = rest.char_indices().skip(1);
    while let Some((at, character)) = characters.next() {
        match character {
            '\\' => match characters.next() {
                Some((_, escaped @ ('\\' | '"' | '\''))) => said.push(escaped),
                _ => return Err((at, r#"only \\, \" and \' may follow a backslash"#.into())),
            },
            end if end == quote => return Ok((at + 1, said)),
            other => said.push(other),
        }
    }
    Err((0, "the text has no closing quote".into()))
}

struct Parser<'a> {
    source: &'a str,
    tokens: &'a [Token],
    next: usize,
    depth: usize,
    schema: &'a Schema,
}

type Parsed<T> = Result<T, PredicateFault>;

impl Parser<'_> {
    fn peek(&self) -> Option<&Lexeme> {
        self.tokens.get(self.next).map(|token| &token.lexeme)
    }

    fn start(&self) -> usize {
        self.tokens.get(self.next).map_or(self.source.len(), |token| token.start)
    }

    fn eat(&mut self, symbol: &str) -> bool {
        let eaten = matches!(self.peek(), Some(Lexeme::Symbol(next)) if *next == symbol);
        self.next += usize::from(eaten);
        eaten
    }

    fn fault(&self, byte: usize, message: impl Into<String>) -> PredicateFault {
        PredicateFault { column: column_of(self.source, byte), message: message.into() }
    }

    fn fault_here(&self, message: impl Into<String>) -> PredicateFault {
        self.fault(self.start(), message)
    }

    fn any(&mut self) -> Parsed<Node> {
        let mut nodes = vec![self.all()?];
        while self.eat("||") {
            nodes.push(self.all()?);
        }
        Ok(if nodes.len() == 1 { nodes.remove(0) } else { Node::Any(nodes.into()) })
    }

    fn all(&mut self) -> Parsed<Node> {
        let mut nodes = vec![self.one()?];
        while self.eat("&&") {
            nodes.push(self.one()?);
        }
        Ok(if nodes.len() == 1 { nodes.remove(0) } else { Node::All(nodes.into()) })
    }

    fn one(&mut self) -> Parsed<Node> {
        let start = self.start();
        self.depth += 1;
        if self.depth > limits::PREDICATE_DEPTH_MAX {
            return Err(
                self.fault(start, format!("is nested deeper than {} levels", limits::PREDICATE_DEPTH_MAX))
            );
        }
        let node = if self.eat("!") {
            let grouped = matches!(self.peek(), Some(Lexeme::Symbol("(" | "!")));
            let inner = self.one()?;
            let related = matches!(&inner, Node::Leaf(leaf) if leaf.relation != Relation::Is);
            if related && !grouped {
                return Err(self.fault(start, "put parentheses around what ! denies: !(a == b)"));
            }
            Node::Not(Box::new(inner))
        } else if self.eat("(") {
            let inner = self.any()?;
            if !self.eat(")") {
                return Err(self.fault_here("expected )"));
            }
            inner
        } else {
            Node::Leaf(Box::new(self.leaf()?))
        };
        self.depth -= 1;
        Ok(node)
    }
    fn leaf(&mut self) -> Parsed<Leaf> {
        let start = self.start();
        let left = self.operand()?;
        let (relation, right) = match self.relation() {
            None if left.kind() == Kind::Flag => (Relation::Is, Operand::Flag(true)),
            None => {
                let message = format!("is {}, which needs a relation such as ==", left.kind().name());
                return Err(self.fault(start, message));
            }
            Some(relation) => {
                let right_start = self.start();
                let right = self.operand()?;
                self.check_types(&left, relation, &right, right_start)?;
                (relation, right)
            }
        };
        for (side, other) in [(&left, &right), (&right, &left)] {
            if *side == Operand::Field(Field::Tier) {
                self.check_tiers(other, start)?;
            }
        }
        let end = self.tokens[self.next - 1].end;
        let place = |byte| u16::try_from(byte).expect("a predicate is bounded by PREDICATE_BYTES_MAX");
        Ok(Leaf { start: place(start), end: place(end), left, relation, right })
    }

    fn relation(&mut self) -> Option<Relation> {
        let relation = match self.peek()? {
            Lexeme::Symbol("==") => Relation::Equal,
            Lexeme::Symbol("!=") => Relation::NotEqual,
            Lexeme::Symbol("<") => Relation::Less,
            Lexeme::Symbol("<=") => Relation::LessOrEqual,
            Lexeme::Symbol(">") => Relation::Greater,
            Lexeme::Symbol(">=") => Relation::GreaterOrEqual,
            Lexeme::Name(name) if name == "in" => Relation::In,
            _ => return None,
        };
        self.next += 1;
        Some(relation)
    }

    fn check_types(&self, left: &Operand, relation: Relation, right: &Operand, at: usize) -> Parsed<()> {
        let (left, right) = (left.kind(), right.kind());
        let fits = match relation {
            Relation::Is | Relation::Equal | Relation::NotEqual => {
                left == right && matches!(left, Kind::Number | Kind::Word | Kind::Flag)
            }
            Relation::Less | Relation::LessOrEqual | Relation::Greater | Relation::GreaterOrEqual => {
                left == Kind::Number && right == Kind::Number
            }
            Relation::In => matches!(
                (left, right),
                (Kind::Number, Kind::Numbers | Kind::Nothing) | (Kind::Word, Kind::Words | Kind::Nothing)
            ),
        };
        if fits {
            return Ok(());
        }
        let words = match relation {
            Relation::Is | Relation::Equal | Relation::NotEqual => "cannot be compared with",
            Relation::In => "cannot be looked for in",
            _ => "has no order with",
        };
        Err(self.fault(at, format!("{} {words} {}", left.name(), right.name())))
    }

    /// Words compared with a tier must be tiers of the programme, where the shop declares any.
    fn check_tiers(&self, words: &Operand, at: usize) -> Parsed<()> {
        let words: &[Box<str>] = match words {
            Operand::Word(word) => std::slice::from_ref(word),
            Operand::Words(words) => words,
            _ => &[],
        };
        let declared = &self.schema.tiers;
        match words.iter().find(|word| !declared.iter().any(|tier| tier.as_str() == &***word)) {
            Some(word) if !declared.is_empty() => {
                let known: Vec<&str> = declared.iter().map(TierId::as_str).collect();
                let message = format!("no tier is called {word:?}; the shop has {}", known.join(", "));
                Err(self.fault(at, message))
            }
            _ => Ok(()),
        }
    }

    fn operand(&mut self) -> Parsed<Operand> {
        let start = self.start();
        if self.eat("[") {
            return self.list();
        }
        let Some(lexeme) = self.peek().cloned() else {
            return Err(self.fault(start, "expected a field or a value, found the end"));
        };
        self.next += 1;
        match lexeme {
            Lexeme::Number(number) => Ok(Operand::Number(number)),
            Lexeme::Text(text) => Ok(Operand::Word(text.into())),
            Lexeme::Name(name) if name == "true" || name == "false" => Ok(Operand::Flag(name == "true")),
            Lexeme::Name(name) => self.field(name, start).map(Operand::Field),
            Lexeme::Symbol(symbol) => {
                Err(self.fault(start, format!("expected a field or a value, found {symbol}")))
            }
        }
    }

    fn list(&mut self) -> Parsed<Operand> {
        let (mut numbers, mut words) = (Vec::new(), Vec::new());
        while !self.eat("]") {
            if !(numbers.is_empty() && words.is_empty()) && !self.eat(",") {
                return Err(self.fault_here("expected , or ]"));
            }
            match self.peek() {
                Some(Lexeme::Number(number)) if words.is_empty() => numbers.push(*number),
                Some(Lexeme::Text(text)) if numbers.is_empty() => words.push(Box::from(text.as_str())),
                _ => return Err(self.fault_here("a list holds whole numbers only, or texts only")),
            }
            self.next += 1;
        }
        Ok(match (numbers.is_empty(), words.is_empty()) {
            (true, true) => Operand::NothingListed,
            (false, _) => Operand::Numbers(numbers.into()),
            (true, false) => Operand::Words(words.into()),
        })
    }

    fn field(&mut self, first: String, start: usize) -> Parsed<Field> {
        if first == "attr" {
            return self.attribute();
        }
        let mut name = first;
        while self.eat(".") {
            name.push('.');
            if let Some(Lexeme::Name(part)) = self.peek() {
                name.push_str(part);
                self.next += 1;
            }
        }
        FIELDS.iter().find(|(known, _)| *known == name).map(|(_, field)| field.clone()).ok_or_else(|| {
            let known: Vec<&str> = FIELDS.iter().map(|(name, _)| *name).collect();
            self.fault(
                start,
                format!("no field is called {name}; there are {} and attr.<name>", known.join(", ")),
            )
        })
    }

    /// `attr.name`, or `attr["name"]` for a name that is no identifier.
    fn attribute(&mut self) -> Parsed<Field> {
        let bracketed = !self.eat(".");
        if bracketed && !self.eat("[") {
            return Err(self.fault_here("an attribute is written attr.name or attr[\"name\"]"));
        }
        let start = self.start();
        let name = match self.peek() {
            Some(Lexeme::Name(name)) if !bracketed => Tag::new(name),
            Some(Lexeme::Text(name)) if bracketed => Tag::new(name),
            _ => return Err(self.fault(start, "expected the attribute's name")),
        };
        self.next += 1;
        if bracketed && !self.eat("]") {
            return Err(self.fault_here("expected ]"));
        }
        let name = name.map_err(|error| self.fault(start, error.to_string()))?;
        match self.schema.attributes.get(&name) {
            Some(kind) => Ok(Field::Attribute(name, *kind)),
            None => Err(self.fault(start, format!("the shop declares no attribute {name}"))),
        }
    }
}
