//! Files with named columns (CSV, RFC 4180), read a row at a time; and faults, told the same way by every verb.
//!
//! Columns are found by their names in the first line, wherever they stand; others are not looked at. A fault has the line
//! of the file and the number of the column, both from 1. Faults are listed up to a bound and counted beyond it.

use std::fmt;
use std::fs::File;
use std::io::Write;
use std::path::Path;

use anyhow::{Context, Result, bail};
use serde::{Serialize, Serializer};

use crate::domain::calendar::Day;
use crate::domain::code::Code;
use crate::limits;

/// What is wrong with a place of a file.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub(super) struct Fault {
    /// From 1.
    pub(super) line: u64,
    /// Number of the column, from 1.
    pub(super) column: usize,
    /// What kind of fault.
    pub(super) code: Code,
    /// What is wrong there.
    pub(super) message: String,
}

impl fmt::Display for Fault {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}:{}: {} ({})", self.line, self.column, self.message, self.code)
    }
}

/// The faults of one file.
#[derive(Clone, Debug, Default, Serialize)]
pub(super) struct Faults {
    /// All of them.
    total: u64,
    /// The first ones.
    listed: Vec<Fault>,
}

impl Faults {
    pub(super) fn add(&mut self, fault: Fault) {
        self.total += 1;
        if self.listed.len() < limits::LAB_FAULTS_LISTED_MAX {
            self.listed.push(fault);
        }
    }

    pub(super) fn total(&self) -> u64 {
        self.total
    }

    pub(super) fn print(&self, file: &Path, out: &mut dyn Write) -> Result<()> {
        for fault in &self.listed {
            writeln!(out, "{}:{fault}", file.display())?;
        }
        let untold = self.total - self.listed.len() as u64;
        if untold > 0 {
            writeln!(out, "{}: {untold} faults more", file.display())?;
        }
        Ok(())
    }
}

/// What no row is to blame for.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub(super) struct Finding {
    pub(super) code: Code,
    pub(super) message: String,
}

impl fmt::Display for Finding {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} ({})", self.message, self.code)
    }
}

/// A long list that is made while it is written.
pub(super) struct Lazily<F>(pub(super) F);

impl<T: Serialize, I: Iterator<Item = T>, F: Fn() -> I> Serialize for Lazily<F> {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_seq((self.0)())
    }
}

/// Prints one JSON object. An output that is closed stays recognisable as such.
pub(super) fn print_json(object: &impl Serialize, out: &mut dyn Write) -> Result<()> {
    serde_json::to_writer_pretty(&mut *out, object).map_err(std::io::Error::from)?;
    Ok(writeln!(out)?)
}

/// A file with named columns.
pub(super) struct Table {
    reader: csv::Reader<File>,
    names: &'static [&'static str],
    /// Where each named column stands; only those after `needed` may be missing.
    places: Vec<Option<usize>>,
    record: csv::ByteRecord,
}

/// One row of it.
pub(super) struct Row<'a> {
    names: &'static [&'static str],
    places: &'a [Option<usize>],
    record: &'a csv::ByteRecord,
}

impl Table {
    /// Opens a file that must have the first `needed` of these columns and may have the others.
    ///
    /// # Errors
    /// The file cannot be read, or lacks a column.
    pub(super) fn open(path: &Path, names: &'static [&'static str], needed: usize) -> Result<Table> {
        let file = File::open(path).with_context(|| format!("failed to open {}", path.display()))?;
        let mut reader = csv::ReaderBuilder::new().flexible(true).trim(csv::Trim::All).from_reader(file);
        let header = reader.byte_headers().with_context(|| format!("failed to read {}", path.display()))?;
        // Excel writes a byte order mark.
        let plain = |field: &[u8]| field.strip_prefix(b"\xef\xbb\xbf").unwrap_or(field).to_vec();
        let header: Vec<Vec<u8>> = header.iter().map(plain).collect();
        let places: Vec<Option<usize>> = (names.iter())
            .map(|name| header.iter().position(|field| field.eq_ignore_ascii_case(name.as_bytes())))
            .collect();
        for (name, place) in names.iter().zip(&places).take(needed) {
            if place.is_none() {
                bail!(
                    "failed to find column {name} in {}:1: its first line must name {} ({})",
                    path.display(),
                    names[..needed].join(", "),
                    Code::LabColumns
                );
            }
        }
        Ok(Table { reader, names, places, record: csv::ByteRecord::new() })
    }

    /// Whether the file has this column.
    pub(super) fn has(&self, column: usize) -> bool {
        self.places[column].is_some()
    }

    /// The next row; nothing at the end.
    ///
    /// # Errors
    /// The file cannot be read.
    pub(super) fn next(&mut self) -> Result<Option<Row<'_>>> {
        let found = self.reader.read_byte_record(&mut self.record).context("failed to read a row")?;
        Ok(found.then_some(Row { names: self.names, places: &self.places, record: &self.record }))
    }
}

impl Row<'_> {
    /// A fault of this column.
    pub(super) fn fault(&self, column: usize, code: Code, message: impl fmt::Display) -> Fault {
        let line = self.record.position().map_or(0, csv::Position::line);
        let place = self.places[column].map_or(self.record.len(), |place| place) + 1;
        Fault { line, column: place, code, message: format!("{} {message}", self.names[column]) }
    }

    /// The text of a column, not empty and not too long.
    pub(super) fn text(&self, column: usize) -> Result<&str, Fault> {
        let bad = |message| Err(self.fault(column, Code::LabValue, message));
        match self.places[column].and_then(|place| self.record.get(place)) {
            None => bad("is missing: the row has fewer columns"),
            Some([]) => bad("is empty"),
            Some(bytes) if bytes.len() > limits::LAB_NAME_BYTES_MAX => bad("is too long"),
            Some(bytes) => std::str::from_utf8(bytes).or_else(|_| bad("is not UTF-8")),
        }
    }

    /// The number of a column: finite.
    pub(super) fn number(&self, column: usize) -> Result<f64, Fault> {
        let text = self.text(column)?;
        match text.parse::<f64>() {
            Ok(number) if number.is_finite() => Ok(number),
            Ok(_) => Err(self.fault(column, Code::LabValue, format_args!("is {text}, not a finite number"))),
            Err(_) => Err(self.fault(column, Code::LabValue, format_args!("is {text:?}, not a number"))),
        }
    }

    /// The day of a column; a time of day after it is not looked at.
    pub(super) fn day(&self, column: usize) -> Result<Day, Fault> {
        let text = self.text(column)?;
        let day = match text.as_bytes().get(10) {
            Some(b'T' | b' ') => text.get(..10).unwrap_or(text),
            _ => text,
        };
        day.parse().map_err(|why| self.fault(column, Code::LabValue, format_args!("is {text:?}: {why}")))
    }
}
