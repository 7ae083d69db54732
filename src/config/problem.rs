//! What is wrong with a file, where, and what would be right: the form of every complaint about configuration.

use std::fmt;
use std::path::{Path, PathBuf};

use crate::domain::code::Code;

/// A place in a text, as editors count: both from 1, columns in characters.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Position {
    /// Line, from 1.
    pub line: usize,
    /// Column in characters, from 1.
    pub column: usize,
}

impl Position {
    /// The place of a byte offset; an offset beyond the end or within a character is the nearest place before it.
    pub fn of(text: &str, offset: usize) -> Position {
        let before = &text.as_bytes()[..offset.min(text.len())];
        let line_start = before.iter().rposition(|byte| *byte == b'\n').map_or(0, |newline| newline + 1);
        // Continuation bytes of UTF-8 do not begin a character.
        let characters = before[line_start..].iter().filter(|byte| **byte & 0xC0 != 0x80).count();
        let line = before.iter().filter(|byte| **byte == b'\n').count() + 1;
        Position { line, column: characters + 1 }
    }
}

/// One thing wrong with one file.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Problem {
    /// Which file.
    pub file: PathBuf,
    /// Where in it; `None` if it could not be read, or if something is missing from it.
    pub position: Option<Position>,
    /// The key, with its section; empty for a syntax error.
    pub key: String,
    /// The stable code; its page tells cause and remedy.
    pub code: Code,
    /// What is wrong: a lowercase fragment.
    pub message: String,
    /// What is allowed instead; empty if the message says it all.
    pub allowed: String,
}

impl fmt::Display for Problem {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}", self.file.display())?;
        if let Some(Position { line, column }) = self.position {
            write!(f, ":{line}:{column}")?;
        }
        write!(f, ": {}: ", self.code)?;
        if !self.key.is_empty() {
            write!(f, "{}: ", self.key)?;
        }
        f.write_str(&self.message)?;
        if !self.allowed.is_empty() {
            write!(f, "; allowed: {}", self.allowed)?;
        }
        Ok(())
    }
}

/// Everything wrong with a configuration, in the order of the file. Never empty.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ConfigError {
    /// The problems.
    pub problems: Vec<Problem>,
}

impl ConfigError {
    /// One problem that has no place in the file's text: it could not be read.
    pub(super) fn unreadable(file: &Path, cause: &std::io::Error, code: Code) -> ConfigError {
        ConfigError {
            problems: vec![Problem {
                file: file.to_owned(),
                position: None,
                key: String::new(),
                code,
                message: format!("cannot be read: {cause}"),
                allowed: String::new(),
            }],
        }
    }
}

/// A line for each problem.
impl fmt::Display for ConfigError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (index, problem) in self.problems.iter().enumerate() {
            if index > 0 {
                writeln!(f)?;
            }
            write!(f, "{problem}")?;
        }
        Ok(())
    }
}

impl std::error::Error for ConfigError {}

/// The word of `known` that `typed` was probably meant to be: at most a third of its letters, and at most three,
/// wrong, missing, added or swapped.
pub(super) fn nearest<'k>(typed: &str, known: impl IntoIterator<Item = &'k str>) -> Option<&'k str> {
    known
        .into_iter()
        .map(|word| (distance(typed, word), word))
        .filter(|(distance, word)| *distance <= (word.len() / 3).clamp(1, 3))
        .min()
        .map(|(_, word)| word)
}

/// Edits between two words (optimal string alignment). Words longer than a key are simply far apart.
fn distance(left: &str, right: &str) -> usize {
    const WORD_BYTES_MAX: usize = 64;
    let (left, right) = (left.as_bytes(), right.as_bytes());
    if left.len() > WORD_BYTES_MAX || right.len() > WORD_BYTES_MAX {
        return usize::MAX;
    }
    let mut before_last: Vec<usize> = Vec::new();
    let mut last: Vec<usize> = (0..=right.len()).collect();
    for (row, l) in left.iter().enumerate() {
        let mut next = vec![row + 1];
        for (column, r) in right.iter().enumerate() {
            let substituted = last[column] + usize::from(l != r);
            let mut best = substituted.min(last[column + 1] + 1).min(next[column] + 1);
            if row > 0 && column > 0 && *l == right[column - 1] && left[row - 1] == *r {
                best = best.min(before_last[column - 1] + 1);
            }
            next.push(best);
        }
        before_last = std::mem::replace(&mut last, next);
    }
    last[right.len()]
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn where_is_an_offset_as_an_editor_counts() {
        let at = |offset| {
            let Position { line, column } = Position::of("a\n店x\r\ny", offset);
            (line, column)
        };
        assert_eq!([at(0), at(2), at(5), at(8), at(99)], [(1, 1), (2, 1), (2, 2), (3, 1), (3, 2)]);
    }

    #[test]
    fn which_word_was_meant() {
        let known = ["listen", "level", "id", "data_dir"];
        for (typed, meant) in [
            ("lisen", Some("listen")),
            ("lsiten", Some("listen")),
            ("levle", Some("level")),
            ("data-dir", Some("data_dir")),
            ("di", Some("id")),
            ("banana", None),
            ("", None),
        ] {
            assert_eq!(nearest(typed, known), meant, "{typed}");
        }
        assert_eq!(nearest(&"x".repeat(100_000), known), None);
    }
}
