//! All segments of a bundle at once: predicates taken apart into bitmaps, one bit for each way to be in a segment.
//!
//! ```text
//! column   one conjunction of a segment's disjunctive form. Columns 0..n are the first of each segment, in their order;
//!          further ones follow, and `owners` says whose they are
//! axis     a field with the places where any predicate changes its mind about it: numbers, or words by their place.
//!          dense: a row of bits for the stretches between places, at most `SEGMENT_ROWS_MAX` of them, and the flips in between
//!          sparse, where few columns look at it: for each stretch the columns that fail
//! tags     "x" in tags: beside the row of whoever has no tag, the columns that name each tag are looked at again
//! ```
//! One member is the conjunction of a row of each axis: no work is done twice for segments that say the same thing, and
//! segments that hold are the bits left. What has no such form (a field compared with a field, a predicate whose
//! disjunctive form is longer than `SEGMENT_CLAUSES_MAX`) is an axis of its own that the interpreter reads.
//! Invariant: a bit is set exactly where `Predicate::holds` holds; the tests compare the two.

use std::collections::{BTreeMap, BTreeSet};

use crate::domain::ids::CategoryId;
use crate::limits;

use super::field::{Field, HabitField, Kind, Sight, Value};
use super::predicate::{Leaf, Node, Operand, Predicate, Relation};

/// An axis that fewer than one column in so many looks at keeps columns instead of rows.
const SPARSE_PART: usize = 256;

/// The compiled index. Without segments it holds nothing.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(super) struct Index {
    segments: usize,
    words: usize,
    /// Whose the columns beyond the segments are.
    owners: Box<[u32]>,
    /// Columns that hold of whoever has no tag that is named, as far as tags go.
    base: Box<[u64]>,
    axes: Box<[Axis]>,
    tags: Tags,
    /// Categories that predicates name, sorted: looked up once for a member.
    categories: Box<[CategoryId]>,
}

#[derive(Clone, Debug, PartialEq, Eq)]
struct Axis {
    reading: Reading,
    /// Where stretches begin, rising; the first stretch lies before all of them.
    places: Box<[i64]>,
    held: Held,
    /// The columns that fail where the value is not known.
    unknown: Box<[u32]>,
}

#[derive(Clone, Debug, PartialEq, Eq)]
enum Held {
    /// `step` stretches from one row to the next; the columns that flip at each place, by where those of a place begin.
    Dense { step: usize, rows: Box<[u64]>, flips: Box<[u32]>, starts: Box<[u32]> },
    /// The columns that fail in each stretch, by where those of a stretch begin.
    Sparse { fail: Box<[u32]>, starts: Box<[u32]> },
}

/// How an axis reads a member.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
enum Reading {
    Number(Field),
    /// The same of a category, by its place in the index's.
    Habit(HabitField, usize),
    Flag(Field),
    /// By place among the words that predicates name, sorted; any other word is behind them.
    Word(Field, Box<[Box<str>]>),
    /// 1 if the n-th of the interpreted parts holds.
    Interpreted(Box<Part>),
}

#[derive(Clone, Debug, PartialEq, Eq)]
struct Part(usize, Node);

impl PartialOrd for Part {
    fn partial_cmp(&self, other: &Part) -> Option<std::cmp::Ordering> {
        Some(self.cmp(other))
    }
}

impl Ord for Part {
    fn cmp(&self, other: &Part) -> std::cmp::Ordering {
        self.0.cmp(&other.0)
    }
}

#[derive(Clone, Debug, Default, PartialEq, Eq)]
struct Tags {
    /// By field and tag, sorted.
    named: Box<[Named]>,
    rules: Box<[TagRule]>,
    /// What rules want, one behind the other: twice a place in `named`, and one more where the tag must be there.
    wants: Box<[u32]>,
}

/// Who asks for a tag.
#[derive(Clone, Debug, PartialEq, Eq)]
struct Named {
    field: Field,
    tag: Box<str>,
    /// Columns that ask for this tag only: to be there, or not to be.
    there: Box<[u32]>,
    absent: Box<[u32]>,
    /// Rules that ask for more.
    rules: Box<[u32]>,
}

/// What a column asks of several tags: where that stands in `wants`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct TagRule {
    column: u32,
    from: u32,
    to: u32,
}

/// A tag of a field, and whether it has to be there.
type Wanted<'p> = (&'p Field, &'p str, bool);

/// A leaf and what it has to be.
type Literal<'p> = (&'p Leaf, bool);

/// The segments a member is in, a bit for each.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Bits(Vec<u64>);

impl Bits {
    /// Is the n-th set?
    pub fn has(&self, nth: usize) -> bool {
        self.0.get(nth / 64).is_some_and(|word| word >> (nth % 64) & 1 == 1)
    }

    /// Those that are set, rising.
    pub fn ones(&self) -> impl Iterator<Item = usize> {
        self.0.iter().enumerate().flat_map(|(at, word)| ones(at, *word))
    }
}

fn ones(at: usize, mut word: u64) -> impl Iterator<Item = usize> {
    std::iter::from_fn(move || {
        let bit = word.trailing_zeros();
        (bit < 64).then(|| {
            word &= word - 1;
            at * 64 + bit as usize
        })
    })
}

/// What one column asks, sorted by what is read.
#[derive(Default)]
struct Asked<'p> {
    numbers: BTreeMap<&'p Field, Vec<Literal<'p>>>,
    flags: BTreeMap<&'p Field, Vec<Literal<'p>>>,
    words: BTreeMap<&'p Field, Vec<Literal<'p>>>,
    tags: Vec<Wanted<'p>>,
    interpreted: BTreeMap<usize, Vec<bool>>,
}

impl Index {
    /// Takes predicates apart, in their order.
    pub(super) fn of<'p>(predicates: impl Iterator<Item = &'p Predicate>) -> Index {
        let mut parts: Vec<Node> = Vec::new();
        let (mut columns, mut further, mut owners) = (Vec::new(), Vec::new(), Vec::new());
        for (nth, predicate) in predicates.enumerate() {
            let room = limits::SEGMENT_COLUMNS_MAX - owners.len();
            let taken_apart = clauses(predicate.root(), true).filter(|clauses| clauses.len() <= room);
            let mut clauses: Vec<Option<Asked<'p>>> = match taken_apart {
                Some(clauses) => clauses.iter().map(|clause| Asked::of(clause, &mut parts)).collect(),
                None => {
                    parts.push(predicate.root().clone());
                    let interpreted = [(parts.len() - 1, vec![true])].into();
                    vec![Some(Asked { interpreted, ..Asked::default() })]
                }
            };
            // What can never hold needs no column, but every segment has its first.
            clauses.retain(Option::is_some);
            let mut clauses = clauses.into_iter();
            columns.push(clauses.next().flatten());
            for clause in clauses {
                owners.push(u32::try_from(nth).expect("segments are bounded"));
                further.push(clause);
            }
        }
        let segments = columns.len();
        columns.extend(further);
        Index::built(segments, &columns, owners, &parts)
    }

    fn built(segments: usize, columns: &[Option<Asked<'_>>], owners: Vec<u32>, parts: &[Node]) -> Index {
        let words = columns.len().div_ceil(64);
        let mut base = vec![0_u64; words];
        let mut makers: BTreeMap<Reading, Maker> = BTreeMap::new();
        let mut tags = TagMaker::default();
        let vocabulary = vocabulary(columns);
        let fields = columns.iter().flatten().flat_map(|asked| asked.numbers.keys());
        let named: BTreeSet<&CategoryId> = fields.filter_map(|field| Some(field.habit()?.1)).collect();
        let categories: Box<[CategoryId]> = named.into_iter().cloned().collect();
        for (column, asked) in columns.iter().enumerate() {
            let Some(asked) = asked else { continue };
            let number = u32::try_from(column).expect("columns are bounded");
            if tags.holds_without(number, asked) {
                base[column / 64] |= 1 << (column % 64);
            }
            for (field, literals) in &asked.numbers {
                let reading = match field.habit() {
                    Some((habit, category)) => {
                        let place =
                            categories.binary_search(category).expect("gathered from the same columns");
                        Reading::Habit(habit, place)
                    }
                    None => Reading::Number((*field).clone()),
                };
                let maker = makers.entry(reading).or_default();
                maker.column(number, &numbers_of(literals), &|at| {
                    all(literals, at.map_or(Value::Unknown, Value::Number))
                });
            }
            for (field, literals) in &asked.flags {
                let maker = makers.entry(Reading::Flag((*field).clone())).or_default();
                maker.column(number, &[1], &|at| {
                    all(literals, at.map_or(Value::Unknown, |at| Value::Flag(at >= 1)))
                });
            }
            for (field, literals) in &asked.words {
                let known = &vocabulary[*field];
                let maker = makers.entry(Reading::Word((*field).clone(), known.clone())).or_default();
                let word = |at: i64| usize::try_from(at).ok().and_then(|at| known.get(at));
                // A flag is no word at all: it stands for every word that no predicate names.
                let value = |at: i64| word(at).map_or(Value::Flag(false), |word| Value::Word(word));
                maker.column(number, &places_of(literals, known), &|at| {
                    all(literals, at.map_or(Value::Unknown, value))
                });
            }
            for (part, wants) in &asked.interpreted {
                let reading = Reading::Interpreted(Box::new(Part(*part, parts[*part].clone())));
                let holds = |at: Option<i64>| wants.iter().all(|wanted| (at == Some(1)) == *wanted);
                makers.entry(reading).or_default().column(number, &[1], &holds);
            }
        }
        let axes = makers.into_iter().map(|(reading, maker)| maker.axis(reading, words));
        Index {
            segments,
            words,
            owners: owners.into(),
            base: base.into(),
            axes: axes.collect(),
            tags: tags.done(),
            categories,
        }
    }

    /// The segments a member is in.
    pub(super) fn of_member(&self, sight: &Sight<'_>) -> Bits {
        let mut held = self.base.to_vec();
        self.tags.apply(sight, &mut held);
        let mut row = Vec::new();
        let places = sight.places_of(&self.categories);
        for axis in &self.axes {
            axis.apply((sight, &places), &mut held, &mut row);
        }
        for at in self.segments / 64..held.len() {
            for column in ones(at, held[at]).filter(|column| *column >= self.segments) {
                let owner = self.owners[column - self.segments] as usize;
                held[owner / 64] |= 1 << (owner % 64);
            }
        }
        held.truncate(self.segments.div_ceil(64));
        if let (Some(last), 1..) = (held.last_mut(), self.segments % 64) {
            *last &= (1 << (self.segments % 64)) - 1;
        }
        Bits(held)
    }

    /// Bytes the bitmaps take.
    pub(super) fn bytes(&self) -> usize {
        let of_axis = |axis: &Axis| {
            let held = match &axis.held {
                Held::Dense { rows, flips, starts, .. } => 8 * rows.len() + 4 * (flips.len() + starts.len()),
                Held::Sparse { fail, starts } => 4 * (fail.len() + starts.len()),
            };
            held + 8 * axis.places.len() + 4 * axis.unknown.len()
        };
        let rules = size_of_val(&*self.tags.rules) + size_of_val(&*self.tags.wants);
        let named = self.tags.named.iter().map(|one| {
            size_of::<Named>() + one.tag.len() + 4 * (one.there.len() + one.absent.len() + one.rules.len())
        });
        let named = named.sum::<usize>();
        self.axes.iter().map(of_axis).sum::<usize>()
            + 8 * self.base.len()
            + 4 * self.owners.len()
            + rules
            + named
    }
}

/// Does everything asked of one field hold of this value?
fn all(literals: &[Literal<'_>], value: Value<'_>) -> bool {
    literals.iter().all(|(leaf, wanted)| leaf.holds_of(value) == *wanted)
}

impl<'p> Asked<'p> {
    /// Sorts a conjunction; nothing if it can never hold.
    fn of(clause: &[Literal<'p>], parts: &mut Vec<Node>) -> Option<Asked<'p>> {
        let mut asked = Asked::default();
        for (leaf, wanted) in clause {
            let one = match (&leaf.left, &leaf.right) {
                (Operand::Field(_), Operand::Field(_)) => None,
                (Operand::Field(field), _) | (_, Operand::Field(field)) => Some(field),
                _ => match leaf.holds_of(Value::Unknown) == *wanted {
                    true => continue,
                    false => return None,
                },
            };
            let tag = match (&leaf.left, leaf.relation, &leaf.right) {
                (Operand::Word(tag), Relation::In, Operand::Field(field)) => Some((field, &**tag)),
                _ => None,
            };
            match (tag, one, one.map(Field::kind)) {
                (Some((field, tag)), ..) => asked.tags.push((field, tag, *wanted)),
                (_, Some(field), Some(Kind::Number)) => {
                    asked.numbers.entry(field).or_default().push((leaf, *wanted))
                }
                (_, Some(field), Some(Kind::Word)) => {
                    asked.words.entry(field).or_default().push((leaf, *wanted))
                }
                (_, Some(field), Some(Kind::Flag)) => {
                    asked.flags.entry(field).or_default().push((leaf, *wanted))
                }
                _ => {
                    let known = parts
                        .iter()
                        .position(|part| matches!(part, Node::Leaf(known) if known.says_as(leaf)));
                    let part = known.unwrap_or_else(|| {
                        parts.push(Node::Leaf(Box::new((*leaf).clone())));
                        parts.len() - 1
                    });
                    asked.interpreted.entry(part).or_default().push(*wanted);
                }
            }
        }
        Some(asked)
    }
}

/// The disjunctive form of a node, or of its denial; nothing where it would be too long.
fn clauses(node: &Node, wanted: bool) -> Option<Vec<Vec<Literal<'_>>>> {
    match (node, wanted) {
        (Node::Not(inner), _) => clauses(inner, !wanted),
        (Node::Leaf(leaf), _) => Some(vec![vec![(&**leaf, wanted)]]),
        (Node::Any(nodes), true) | (Node::All(nodes), false) => {
            let mut any = Vec::new();
            for node in nodes {
                any.extend(clauses(node, wanted)?);
                if any.len() > limits::SEGMENT_CLAUSES_MAX {
                    return None;
                }
            }
            Some(any)
        }
        (Node::All(nodes), true) | (Node::Any(nodes), false) => {
            let mut all: Vec<Vec<Literal<'_>>> = vec![Vec::new()];
            for node in nodes {
                let more = clauses(node, wanted)?;
                if all.len() * more.len() > limits::SEGMENT_CLAUSES_MAX {
                    return None;
                }
                all = all
                    .iter()
                    .flat_map(|one| more.iter().map(|more| [one.as_slice(), more].concat()))
                    .collect();
            }
            Some(all)
        }
    }
}

fn words_of(leaf: &Leaf) -> impl Iterator<Item = &Box<str>> {
    [&leaf.left, &leaf.right].into_iter().flat_map(|operand| operand.words())
}

/// The words that predicates name of each field, sorted.
fn vocabulary<'p>(columns: &[Option<Asked<'p>>]) -> BTreeMap<&'p Field, Box<[Box<str>]>> {
    let mut words: BTreeMap<&Field, Vec<Box<str>>> = BTreeMap::new();
    for (field, literals) in columns.iter().flatten().flat_map(|asked| &asked.words) {
        let named = words.entry(field).or_default();
        named.extend(literals.iter().flat_map(|(leaf, _)| words_of(leaf)).cloned());
    }
    let sorted = words.into_iter().map(|(field, mut words)| {
        words.sort();
        words.dedup();
        (field, words.into_boxed_slice())
    });
    sorted.collect()
}

/// Where a column may change its mind about a number.
fn numbers_of(literals: &[Literal<'_>]) -> Vec<i64> {
    let operands = literals.iter().flat_map(|(leaf, _)| [&leaf.left, &leaf.right]);
    let numbers = operands.flat_map(|operand| match operand {
        Operand::Number(number) => std::slice::from_ref(number),
        Operand::Numbers(numbers) => numbers,
        _ => &[],
    });
    numbers.flat_map(|number| [Some(*number), number.checked_add(1)]).flatten().collect()
}

/// Where a column may change its mind about a word's place.
fn places_of(literals: &[Literal<'_>], known: &[Box<str>]) -> Vec<i64> {
    let words = literals.iter().flat_map(|(leaf, _)| words_of(leaf));
    let place = |word: &str| {
        let place = known.binary_search_by(|one| (**one).cmp(word)).ok()?;
        i64::try_from(place).ok()
    };
    words.filter_map(|word| place(word)).flat_map(|place| [place, place + 1]).collect()
}

/// An axis in the making.
#[derive(Default)]
struct Maker {
    /// Columns that look at it, and those of them that fail before all places, and of an unknown value.
    columns: Vec<u32>,
    fail_first: Vec<u32>,
    unknown: Vec<u32>,
    flips: BTreeMap<i64, Vec<u32>>,
}

impl Maker {
    /// A column: where it may change its mind, and what it says of a value.
    fn column(&mut self, column: u32, places: &[i64], holds: &dyn Fn(Option<i64>) -> bool) {
        self.columns.push(column);
        if !holds(None) {
            self.unknown.push(column);
        }
        let mut places = places.to_vec();
        places.sort_unstable();
        places.dedup();
        // The least number is no place: there is nothing before it.
        places.retain(|place| *place != i64::MIN);
        let mut before = holds(Some(i64::MIN));
        if !before {
            self.fail_first.push(column);
        }
        for place in places {
            let now = holds(Some(place));
            if now != before {
                self.flips.entry(place).or_default().push(column);
                before = now;
            }
        }
    }

    fn axis(self, reading: Reading, words: usize) -> Axis {
        let places: Box<[i64]> = self.flips.keys().copied().collect();
        let mut row = vec![u64::MAX; words];
        let flip = |row: &mut [u64], column: &u32| row[*column as usize / 64] ^= 1 << (column % 64);
        self.fail_first.iter().for_each(|column| flip(&mut row, column));
        let is_sparse = self.columns.len() * SPARSE_PART < words * 64;
        let held = if is_sparse {
            let (mut fail, mut starts) = (Vec::new(), vec![0]);
            let mut stretch = |row: &[u64]| {
                let fails = |column: &&u32| row[**column as usize / 64] >> (**column % 64) & 1 == 0;
                fail.extend(self.columns.iter().filter(fails).copied());
                starts.push(u32::try_from(fail.len()).expect("columns and places are bounded"));
            };
            stretch(&row);
            for columns in self.flips.values() {
                columns.iter().for_each(|column| flip(&mut row, column));
                stretch(&row);
            }
            Held::Sparse { fail: fail.into(), starts: starts.into() }
        } else {
            let step = (places.len() + 1).div_ceil(limits::SEGMENT_ROWS_MAX);
            let (mut rows, mut flips, mut starts) = (row.clone(), Vec::new(), vec![0]);
            for (nth, columns) in (1..).zip(self.flips.values()) {
                columns.iter().for_each(|column| flip(&mut row, column));
                flips.extend(columns);
                starts.push(u32::try_from(flips.len()).expect("columns and places are bounded"));
                if nth % step == 0 {
                    rows.extend(&row);
                }
            }
            Held::Dense { step, rows: rows.into(), flips: flips.into(), starts: starts.into() }
        };
        Axis { reading, places, held, unknown: self.unknown.into() }
    }
}

impl Axis {
    fn apply(&self, (sight, places): (&Sight<'_>, &[Option<u8>]), held: &mut [u64], copy: &mut Vec<u64>) {
        let clear = |held: &mut [u64], columns: &[u32]| {
            columns.iter().for_each(|column| held[*column as usize / 64] &= !(1 << (column % 64)));
        };
        let Some(value) = self.reading.of(sight, places) else { return clear(held, &self.unknown) };
        let stretch = self.places.partition_point(|place| *place <= value);
        let span = |starts: &[u32], from: usize, to: usize| starts[from] as usize..starts[to] as usize;
        match &self.held {
            Held::Sparse { fail, starts } => clear(held, &fail[span(starts, stretch, stretch + 1)]),
            Held::Dense { step, rows, flips, starts } => {
                let words = held.len();
                let nearest = stretch / step;
                let mut row = &rows[nearest * words..(nearest + 1) * words];
                let between = &flips[span(starts, nearest * step, stretch)];
                if !between.is_empty() {
                    copy.clear();
                    copy.extend(row);
                    between.iter().for_each(|column| copy[*column as usize / 64] ^= 1 << (column % 64));
                    row = copy;
                }
                held.iter_mut().zip(row).for_each(|(held, row)| *held &= row);
            }
        }
    }
}

impl Reading {
    /// Where on its axis a member is; nothing where nobody knows.
    fn of(&self, sight: &Sight<'_>, places: &[Option<u8>]) -> Option<i64> {
        match self {
            Reading::Habit(habit, category) => sight.habit(*habit, places[*category]),
            Reading::Number(field) | Reading::Flag(field) => match field.of(sight) {
                Value::Number(number) => Some(number),
                Value::Flag(flag) => Some(i64::from(flag)),
                _ => None,
            },
            Reading::Word(field, known) => match field.of(sight) {
                Value::Word(word) => {
                    let place = known.binary_search_by(|known| (**known).cmp(word)).unwrap_or(known.len());
                    i64::try_from(place).ok()
                }
                _ => None,
            },
            Reading::Interpreted(part) => Some(i64::from(part.1.holds(sight))),
        }
    }
}

#[derive(Default)]
struct TagMaker<'p> {
    named: BTreeMap<(&'p Field, &'p str), [Vec<u32>; 3]>,
    rules: Vec<(u32, Vec<Wanted<'p>>)>,
}

impl<'p> TagMaker<'p> {
    /// Does a column hold of whoever has none of the tags, as far as tags go?
    fn holds_without(&mut self, column: u32, asked: &Asked<'p>) -> bool {
        if let [(field, tag, wanted)] = asked.tags[..] {
            self.named.entry((field, tag)).or_default()[usize::from(!wanted)].push(column);
            return !wanted;
        }
        let rule = u32::try_from(self.rules.len()).expect("columns are bounded");
        for (field, tag, _) in &asked.tags {
            let rules = &mut self.named.entry((field, tag)).or_default()[2];
            if rules.last() != Some(&rule) {
                rules.push(rule);
            }
        }
        if !asked.tags.is_empty() {
            self.rules.push((column, asked.tags.clone()));
        }
        asked.tags.iter().all(|(_, _, wanted)| !wanted)
    }

    fn done(self) -> Tags {
        let places: BTreeMap<_, u32> = self.named.keys().copied().zip(0..).collect();
        let (mut rules, mut all) = (Vec::new(), Vec::new());
        let length = |wants: &Vec<u32>| u32::try_from(wants.len()).expect("columns are bounded");
        for (column, wants) in &self.rules {
            let from = length(&all);
            let want = |(field, tag, wanted): &_| 2 * places[&(*field, *tag)] + u32::from(*wanted);
            all.extend(wants.iter().map(want));
            rules.push(TagRule { column: *column, from, to: length(&all) });
        }
        let named = self.named.into_iter().map(|((field, tag), [there, absent, rules])| Named {
            field: field.clone(),
            tag: tag.into(),
            there: there.into(),
            absent: absent.into(),
            rules: rules.into(),
        });
        Tags { named: named.collect(), rules: rules.into(), wants: all.into() }
    }
}

impl Tags {
    /// Columns that name one of the member's tags are looked at again.
    fn apply(&self, sight: &Sight<'_>, held: &mut [u64]) {
        if self.named.is_empty() {
            return;
        }
        let mut present: Vec<u32> = Vec::new();
        for field in [&Field::Tags, &Field::Groups] {
            let place = |tag: &str| {
                self.named.binary_search_by(|known| (&known.field, &*known.tag).cmp(&(field, tag))).ok()
            };
            present.extend(
                field.of(sight).tags().filter_map(place).filter_map(|place| u32::try_from(place).ok()),
            );
        }
        let mut is_there = vec![false; self.named.len()];
        present.iter().for_each(|tag| is_there[*tag as usize] = true);
        let mut set = |column: u32, holds: bool| {
            let (word, bit) = (&mut held[column as usize / 64], 1 << (column % 64));
            *word = if holds { *word | bit } else { *word & !bit };
        };
        for tag in &present {
            let Named { there, absent, rules, .. } = &self.named[*tag as usize];
            there.iter().for_each(|column| set(*column, true));
            absent.iter().for_each(|column| set(*column, false));
            for rule in rules {
                let TagRule { column, from, to } = self.rules[*rule as usize];
                let mut wants = self.wants[from as usize..to as usize].iter();
                set(column, wants.all(|want| is_there[*want as usize / 2] == (want % 2 == 1)));
            }
        }
    }
}

#[cfg(test)]
pub(super) mod tests;
