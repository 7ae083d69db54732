//! Walks a TOML text key by key and collects every problem instead of stopping at the first.
//!
//! The calls that take keys are the list of known keys: what nobody took is unknown, and the nearest taken one is
//! suggested. A value that is refused is replaced by its default, so that reading goes on; whoever asks for the result sees
//! the problems first. Each key taken leaves a `Setting`, which is what `config show` prints.

use std::collections::BTreeSet;
use std::ops::RangeInclusive;
use std::path::Path;

use toml::Spanned;
use toml::de::{DeTable, DeValue};

use super::problem::{ConfigError, Position, Problem, nearest};
use super::{Origin, Setting};
use crate::domain::code::Code;
use crate::limits;

/// Words that end the name of a key which would hold a secret itself.
const SECRET_WORDS: &[&str] =
    &["password", "passwd", "secret", "passphrase", "private_key", "api_key", "token"];

/// One reading of one file.
pub(super) struct Reader<'t> {
    file: &'t Path,
    text: &'t str,
    root: DeTable<'t>,
    known_sections: Vec<&'static str>,
    problems: Vec<Problem>,
    /// Are there more than `CONFIG_PROBLEMS_MAX`? The rest is not looked at closely, so that a file that is no
    /// configuration at all is told so at once.
    has_more: bool,
    settings: Vec<Setting>,
}

impl<'t> Reader<'t> {
    /// Parses the text; what is not TOML is a problem for each place, and the rest is read all the same.
    pub(super) fn new(file: &'t Path, text: &'t str) -> Reader<'t> {
        let (root, errors) = DeTable::parse_recoverable(text);
        let mut reader = Reader {
            file,
            text,
            root: root.into_inner(),
            known_sections: Vec::new(),
            problems: Vec::new(),
            has_more: false,
            settings: Vec::new(),
        };
        for error in errors {
            let offset = error.span().map_or(0, |span| span.start);
            reader.push_at(offset, "", Code::ConfigSyntax, error.message().replace('\n', ", "), "");
        }
        reader
    }

    /// Takes a section; a missing one is empty. Call `Section::finish` when every key of it was taken.
    pub(super) fn section(&mut self, name: &'static str) -> Section<'_, 't> {
        self.known_sections.push(name);
        let table = match self.root.remove(name) {
            None => DeTable::new(),
            Some(value) => {
                let offset = value.span().start;
                match value.into_inner() {
                    DeValue::Table(table) => table,
                    other => {
                        let message = format!("is {}", kind_of(&other));
                        self.push_at(
                            offset,
                            name,
                            Code::ConfigWrongType,
                            message,
                            &format!("a section, [{name}]"),
                        );
                        DeTable::new()
                    }
                }
            }
        };
        Section { reader: self, name, table, known: Vec::new() }
    }

    /// A problem between keys, put where `key` is written, or nowhere if it is not.
    pub(super) fn contradiction(&mut self, key: &str, code: Code, message: &str, allowed: &str) {
        let position = self.settings.iter().find(|setting| setting.key == key).and_then(|setting| {
            match setting.origin {
                Origin::File(position) => Some(position),
                Origin::Default | Origin::Environment(_) => None,
            }
        });
        self.push(position, key, code, message.to_owned(), allowed);
    }

    /// Replaces a setting by what the environment says.
    pub(super) fn overridden(&mut self, key: &str, value: String, variable: &'static str) {
        for setting in self.settings.iter_mut().filter(|setting| setting.key == key) {
            setting.value.clone_from(&value);
            setting.origin = Origin::Environment(variable);
        }
    }

    /// Was the key written by anyone, and not just defaulted?
    pub(super) fn is_set(&self, key: &str) -> bool {
        self.settings.iter().any(|setting| setting.key == key && setting.origin != Origin::Default)
    }

    /// Is something wrong with the key already?
    pub(super) fn is_refused(&self, key: &str) -> bool {
        self.problems.iter().any(|problem| problem.key == key)
    }

    /// Names what nobody took, and gives the settings if nothing is wrong.
    pub(super) fn finish(mut self) -> Result<Vec<Setting>, ConfigError> {
        for (name, value) in std::mem::take(&mut self.root) {
            let offset = name.span().start;
            let name = name.into_inner();
            let what = if matches!(value.get_ref(), DeValue::Table(_)) { "section" } else { "key" };
            self.unknown(offset, &name, &name, what, self.known_sections.clone());
        }
        // A line that is no TOML leaves debris behind; one complaint about it is enough.
        let broken: BTreeSet<usize> = (self.problems.iter())
            .filter(|problem| problem.code == Code::ConfigSyntax)
            .filter_map(|problem| problem.position.map(|position| position.line))
            .collect();
        self.problems.retain(|problem| {
            problem.code == Code::ConfigSyntax
                || !problem.position.is_some_and(|at| broken.contains(&at.line))
        });
        self.problems.sort_by(|a, b| (a.position, &a.key).cmp(&(b.position, &b.key)));
        self.problems.dedup();
        if self.has_more {
            let (file, code) = (self.file.to_owned(), self.problems[0].code);
            let message = "there is more, which is not told".to_owned();
            let (key, allowed) = (String::new(), String::new());
            self.problems.push(Problem { file, position: None, key, code, message, allowed });
        }
        if self.problems.is_empty() {
            Ok(self.settings)
        } else {
            Err(ConfigError { problems: self.problems })
        }
    }

    fn unknown(&mut self, offset: usize, key: &str, typed: &str, what: &str, known: Vec<&'static str>) {
        if self.is_full() {
            self.has_more = true;
            return;
        }
        let is_secret = SECRET_WORDS.iter().any(|word| typed.to_ascii_lowercase().ends_with(word));
        if is_secret && what == "key" {
            let allowed = "a key that ends in _file and names a file or \"credential:NAME\"";
            self.push_at(offset, key, Code::SecretInConfig, "would hold a secret itself".to_owned(), allowed);
            return;
        }
        let message = match nearest(typed, known.iter().copied()) {
            Some(word) => format!("unknown {what}, perhaps {word}"),
            None => format!("unknown {what}"),
        };
        self.push_at(offset, key, Code::ConfigUnknownKey, message, &known.join(", "));
    }

    fn is_full(&self) -> bool {
        self.problems.len() >= limits::CONFIG_PROBLEMS_MAX
    }

    fn push_at(&mut self, offset: usize, key: &str, code: Code, message: String, allowed: &str) {
        // Finding the place reads the text up to it, so it is not done for what is not told.
        let position = (!self.is_full()).then(|| Position::of(self.text, offset));
        self.push(position, key, code, message, allowed);
    }

    fn push(&mut self, position: Option<Position>, key: &str, code: Code, message: String, allowed: &str) {
        if self.is_full() {
            self.has_more = true;
            return;
        }
        self.problems.push(Problem {
            file: self.file.to_owned(),
            position,
            key: key.to_owned(),
            code,
            message,
            allowed: allowed.to_owned(),
        });
    }
}

/// One section while its keys are taken.
pub(super) struct Section<'r, 't> {
    reader: &'r mut Reader<'t>,
    name: &'static str,
    table: DeTable<'t>,
    known: Vec<&'static str>,
}

/// Why a value is refused: of another type, or of the right type and not allowed.
enum Refused {
    Type,
    Value(String),
}

impl Section<'_, '_> {
    /// Takes a key that holds a text; `read` says what it means.
    pub(super) fn text<T>(
        &mut self,
        key: &'static str,
        default: &str,
        allowed: &str,
        read: impl Fn(&str) -> Result<T, String>,
    ) -> T {
        let read_value = |value: &DeValue<'_>| match value {
            DeValue::String(text) => read(text).map_err(Refused::Value),
            _ => Err(Refused::Type),
        };
        let shown = literal(default);
        self.take(key, allowed, &shown, read_value)
            .unwrap_or_else(|| read(default).expect("a default of our own is allowed"))
    }

    /// Takes a key that holds one of a few words.
    pub(super) fn word<T: Copy>(&mut self, key: &'static str, default: &str, words: &[(&str, T)]) -> T {
        let quoted: Vec<String> = words.iter().map(|(word, _)| literal(word)).collect();
        self.text(key, default, &quoted.join(" or "), |text| {
            match words.iter().find(|(word, _)| *word == text) {
                Some((_, meaning)) => Ok(*meaning),
                None => Err(match nearest(text, words.iter().map(|(word, _)| *word)) {
                    Some(word) => format!("{} is not one of them, perhaps {word}", literal(text)),
                    None => format!("{} is not one of them", literal(text)),
                }),
            }
        })
    }

    /// Takes a key that holds a whole number within a range.
    pub(super) fn number(&mut self, key: &'static str, default: u32, range: RangeInclusive<u32>) -> u32 {
        let allowed = format!("a whole number {} to {}", range.start(), range.end());
        let read = |value: &DeValue<'_>| match value {
            DeValue::Integer(number) => u32::from_str_radix(number.as_str(), number.radix())
                .ok()
                .filter(|number| range.contains(number))
                .ok_or_else(|| Refused::Value(format!("{number} is outside the range"))),
            _ => Err(Refused::Type),
        };
        self.take(key, &allowed, &default.to_string(), read).unwrap_or(default)
    }

    /// Takes a key that is true or false.
    pub(super) fn boolean(&mut self, key: &'static str, default: bool) -> bool {
        let read = |value: &DeValue<'_>| value.as_bool().ok_or(Refused::Type);
        self.take(key, "true or false", &default.to_string(), read).unwrap_or(default)
    }

    /// Takes a key that holds a list of texts, empty by default; every bad entry is a problem of its own.
    pub(super) fn texts<T>(
        &mut self,
        key: &'static str,
        entries_max: usize,
        allowed: &str,
        read: impl Fn(&str) -> Result<T, String>,
    ) -> Vec<T> {
        let mut bad = Vec::new();
        let read_entries = |value: &DeValue<'_>| {
            let entries = value.as_array().ok_or(Refused::Type)?;
            if entries.len() > entries_max {
                return Err(Refused::Value(format!(
                    "holds {} entries, at most {entries_max}",
                    entries.len()
                )));
            }
            let mut good = Vec::new();
            for entry in entries.iter() {
                match entry.get_ref() {
                    DeValue::String(text) => match read(text) {
                        Ok(meaning) => good.push(meaning),
                        Err(message) => bad.push((entry.span().start, Code::ConfigValue, message)),
                    },
                    other => bad.push((
                        entry.span().start,
                        Code::ConfigWrongType,
                        format!("an entry is {}", kind_of(other)),
                    )),
                }
            }
            Ok(good)
        };
        let entries = self.take(key, allowed, "[]", read_entries).unwrap_or_default();
        for (offset, code, message) in bad {
            self.reader.push_at(offset, &format!("{}.{key}", self.name), code, message, allowed);
        }
        entries
    }

    fn take<T>(
        &mut self,
        key: &'static str,
        allowed: &str,
        default: &str,
        read: impl FnOnce(&DeValue<'_>) -> Result<T, Refused>,
    ) -> Option<T> {
        self.known.push(key);
        let full_key = format!("{}.{key}", self.name);
        let value = self.table.remove(key);
        let (shown, origin) = match &value {
            None => (default.to_owned(), Origin::Default),
            Some(value) => {
                let at = Position::of(self.reader.text, value.span().start);
                (shown(value, self.reader.text), Origin::File(at))
            }
        };
        self.reader.settings.push(Setting { key: full_key.clone(), value: shown, origin });
        let (value, Origin::File(at)) = (value?, origin) else { return None };
        match read(value.get_ref()) {
            Ok(meaning) => Some(meaning),
            Err(Refused::Type) => {
                let message = format!("is {}", kind_of(value.get_ref()));
                self.reader.push(Some(at), &full_key, Code::ConfigWrongType, message, allowed);
                None
            }
            Err(Refused::Value(message)) => {
                self.reader.push(Some(at), &full_key, Code::ConfigValue, message, allowed);
                None
            }
        }
    }

    /// Names the keys that nobody took.
    pub(super) fn finish(self) {
        for (key, _) in self.table {
            let offset = key.span().start;
            let key = key.into_inner();
            let full_key = format!("{}.{key}", self.name);
            self.reader.unknown(offset, &full_key, &key, "key", self.known.clone());
        }
    }
}

/// A text as TOML writes it.
pub(super) fn literal(text: &str) -> String {
    toml::Value::from(text).to_string()
}

/// A value as the file writes it, on one line.
fn shown(value: &Spanned<DeValue<'_>>, text: &str) -> String {
    let written = text.get(value.span()).unwrap_or_default();
    written.split('\n').map(str::trim).collect::<Vec<_>>().join(" ")
}

fn kind_of(value: &DeValue<'_>) -> &'static str {
    match value {
        DeValue::String(_) => "a text",
        DeValue::Integer(_) => "a whole number",
        DeValue::Float(_) => "a decimal number",
        DeValue::Boolean(_) => "true or false",
        DeValue::Datetime(_) => "a time",
        DeValue::Array(_) => "a list",
        DeValue::Table(_) => "a section",
    }
}
