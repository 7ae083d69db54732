//! Reads a predicate: text to tokens, tokens to a typed tree, by recursive descent along the grammar in `predicate`.
//!
//! Invariants: the source is at most `limits::PREDICATE_BYTES_MAX` long, so a place in it fits `u16`; recursion is
//! bounded by `limits::PREDICATE_DEPTH_MAX`; every leaf that leaves here has sides whose types go together, tiers the
//! shop has and attributes it declares. A fault names the first wrong place, in characters from 1.

use crate::domain::ids::{CategoryId, InvalidId, Tag, TierId};
use crate::limits;

use super::field::{Categories, FAMILIES, FIELDS, Field, Kind};
use super::predicate::{Leaf, Node, Operand, PredicateFault, Relation, column_of};
use super::rfm;
use super::segment::Schema;

/// The tree of a predicate that is not longer than `limits::PREDICATE_BYTES_MAX`.
pub(super) fn parse(source: &str, schema: &Schema) -> Result<Node, PredicateFault> {
    let tokens = tokens(source)?;
    let mut parser = Parser { source, tokens: &tokens, next: 0, depth: 0, schema };
    let root = parser.any()?;
    match parser.peek() {
        Some(_) => Err(parser.fault_here("expected &&, || or the end")),
        None => Ok(root),
    }
}

/// The field that this names.
pub(super) fn field(source: &str, schema: &Schema) -> Result<Field, PredicateFault> {
    let tokens = tokens(source)?;
    let mut parser = Parser { source, tokens: &tokens, next: 0, depth: 0, schema };
    match parser.operand()? {
        Operand::Field(field) if parser.peek().is_none() => Ok(field),
        Operand::Field(_) => Err(parser.fault_here("expected the end behind the field")),
        _ => Err(parser.fault(0, "expected a field")),
    }
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
            if *side == Operand::Field(Field::RfmSegment) {
                self.check_boxes(other, start)?;
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

    /// Words compared with `rfm.segment` must be names of its boxes.
    fn check_boxes(&self, words: &Operand, at: usize) -> Parsed<()> {
        let known = || rfm::SEGMENTS.iter().map(|named| named.name).chain([rfm::OTHERS]);
        match words.words().iter().find(|word| known().all(|name| name != &***word)) {
            Some(word) => {
                let known: Vec<&str> = known().collect();
                Err(self.fault(
                    at,
                    format!("no segment of rfm is called {word:?}; there are {}", known.join(", ")),
                ))
            }
            None => Ok(()),
        }
    }

    /// Words compared with a tier must be tiers of the programme, where the shop declares any.
    fn check_tiers(&self, words: &Operand, at: usize) -> Parsed<()> {
        let declared = &self.schema.tiers;
        match words.words().iter().find(|word| !declared.iter().any(|tier| tier.as_str() == &***word)) {
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
            let first = numbers.is_empty() && words.is_empty();
            if !(first || self.eat(",")) {
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
        let is_keyed = matches!(self.peek(), Some(Lexeme::Symbol("[")));
        if first == "attr" || (is_keyed && FAMILIES.contains(&first.as_str())) {
            return self.of_family(&first);
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
                format!(
                    "no field is called {name}; there are {}, attr.<name>, share[\"category\"], interval[..], \
                     days_since[..], due[..] and events[\"kind\"]",
                    known.join(", ")
                ),
            )
        })
    }

    /// A category of the assortment, where one is known, with those below it.
    fn categories(&self, key: &str, start: usize) -> Parsed<Categories> {
        let name = CategoryId::new(key).map_err(|error| self.fault(start, error.to_string()))?;
        let known = &self.schema.categories;
        match known.get(&name) {
            Some(leaves) => Ok(Categories { leaves: leaves.iter().cloned().collect(), name }),
            None if known.is_empty() => Ok(Categories { leaves: [name.clone()].into(), name }),
            None => {
                let near = known.keys().min_by_key(|other| distance(key, other.as_str()));
                let hint = near.map(|near| format!("; did you mean {near}?")).unwrap_or_default();
                Err(self.fault(start, format!("no article is of category {key}{hint}")))
            }
        }
    }

    /// `attr.name`, or `attr["name"]` for a name that is no identifier; the other families take a text only.
    fn of_family(&mut self, family: &str) -> Parsed<Field> {
        let bracketed = !self.eat(".");
        if bracketed && !self.eat("[") {
            return Err(self.fault_here("an attribute is written attr.name or attr[\"name\"]"));
        }
        let start = self.start();
        let key = match self.peek() {
            Some(Lexeme::Name(name)) if !bracketed => name.clone(),
            Some(Lexeme::Text(name)) if bracketed => name.clone(),
            _ => return Err(self.fault(start, format!("expected the name in quotes: {family}[\"name\"]"))),
        };
        self.next += 1;
        if bracketed && !self.eat("]") {
            return Err(self.fault_here("expected ]"));
        }
        let wrong = |error: InvalidId| self.fault(start, error.to_string());
        match family {
            "share" => self.categories(&key, start).map(Field::Share),
            "interval" => self.categories(&key, start).map(Field::Interval),
            "days_since" => self.categories(&key, start).map(Field::DaysSince),
            "due" => self.categories(&key, start).map(Field::Due),
            "events" => Tag::new(&key).map(Field::Events).map_err(wrong),
            _ => {
                let name = Tag::new(&key).map_err(wrong)?;
                match self.schema.attributes.get(&name) {
                    Some(kind) => Ok(Field::Attribute(name, *kind)),
                    None => Err(self.fault(start, format!("the shop declares no attribute {name}"))),
                }
            }
        }
    }
}

/// Letters to put in, take out or change (Levenshtein 1966).
fn distance(a: &str, b: &str) -> usize {
    let b: Vec<char> = b.chars().collect();
    let mut row: Vec<usize> = (0..=b.len()).collect();
    for (nth, letter) in a.chars().enumerate() {
        let mut before = std::mem::replace(&mut row[0], nth + 1);
        for (at, other) in b.iter().enumerate() {
            let change = before + usize::from(letter != *other);
            before = row[at + 1];
            row[at + 1] = change.min(before + 1).min(row[at] + 1);
        }
    }
    row[b.len()]
}
