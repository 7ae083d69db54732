//! A file of numbers with a few key columns: what the learners of the lab read.
//!
//! Key columns are found by name; every other column is a feature, unless it is to be ignored. A feature that is empty,
//! `NA`, `NaN`, `null` or `none` is missing, which is something to learn from; `true` and `false` are 1 and 0. A row with an
//! infinite number, or with text in a column of numbers, is left out and told with line and column; a column without any
//! number is left out and told once.

use std::fs::File;
use std::path::Path;

use anyhow::{Context, Result, bail};

use super::table::{Fault, Faults, Finding};
use crate::domain::code::Code;
use crate::limits;

/// What a file holds, by row in its order.
pub(super) struct Numbers<K> {
    /// The features' names.
    pub(super) names: Vec<String>,
    /// The features, by column; NaN where missing.
    pub(super) columns: Vec<Vec<f64>>,
    /// What the key columns of each row say.
    pub(super) keys: Vec<K>,
    /// Rows left out.
    pub(super) faults: Faults,
    /// What else is to be said.
    pub(super) findings: Vec<Finding>,
}

/// A number of a key column.
pub(super) fn number(text: &str) -> Result<f64, String> {
    match cell(text) {
        Cell::Number(number) => Ok(number),
        Cell::Missing => Err("is missing".to_owned()),
        Cell::Infinite => Err(format!("is {text}, not a finite number")),
        Cell::Text => Err(format!("is {text:?}, not a number")),
    }
}

/// A key column that says yes or no: 1, 0, true or false.
pub(super) fn yes(text: &str) -> Result<bool, String> {
    match number(text)? {
        0.0 => Ok(false),
        1.0 => Ok(true),
        _ => Err(format!("is {text}, neither 0 nor 1")),
    }
}

enum Cell {
    Number(f64),
    Missing,
    Infinite,
    Text,
}

fn cell(text: &str) -> Cell {
    let is = |words: &[&str]| words.iter().any(|word| text.eq_ignore_ascii_case(word));
    if is(&["", "na", "nan", "-nan", "null", "none"]) {
        return Cell::Missing;
    }
    if is(&["true"]) {
        return Cell::Number(1.0);
    }
    if is(&["false"]) {
        return Cell::Number(0.0);
    }
    match text.parse::<f64>() {
        Ok(number) if number.is_finite() => Cell::Number(number),
        Ok(_) => Cell::Infinite,
        Err(_) => Cell::Text,
    }
}

/// A cell with text, until it is known whether its column has numbers.
struct Worded {
    row: usize,
    feature: usize,
    line: u64,
    text: String,
}

struct Places {
    keys: Vec<usize>,
    /// Column and name.
    features: Vec<(usize, String)>,
}

fn places(header: &csv::StringRecord, path: &Path, keys: &[&str], ignored: &[String]) -> Result<Places> {
    // Excel writes a byte order mark.
    let names: Vec<&str> = header.iter().map(|name| name.trim_start_matches('\u{feff}')).collect();
    for (column, name) in names.iter().enumerate() {
        if names[..column].contains(name) {
            bail!(
                "failed to tell columns of {}:1:{} apart: {name:?} is there twice ({})",
                path.display(),
                column + 1,
                Code::LabColumns
            );
        }
    }
    let of = |key: &str| names.iter().position(|name| name.eq_ignore_ascii_case(key));
    let mut found = Vec::with_capacity(keys.len());
    for key in keys {
        let Some(column) = of(key) else {
            let all = keys.join(", ");
            bail!(
                "failed to find column {key} in {}:1: its first line must name {all} ({})",
                path.display(),
                Code::LabColumns
            );
        };
        found.push(column);
    }
    for name in ignored {
        if of(name).is_none() {
            bail!(
                "failed to ignore column {name}: {}:1 does not name it ({})",
                path.display(),
                Code::LabColumns
            );
        }
    }
    let is_feature = |(column, name): &(usize, &&str)| {
        !found.contains(column) && !ignored.iter().any(|ignored| ignored.eq_ignore_ascii_case(name))
    };
    let features = names
        .iter()
        .enumerate()
        .filter(is_feature)
        .map(|(column, name)| (column, (*name).to_owned()))
        .collect();
    Ok(Places { keys: found, features })
}

/// Reads a file. `parse` gets the texts of the key columns and says what they mean, or which is wrong and how.
///
/// # Errors
/// The file cannot be read, lacks a key column, has no feature, or more numbers than an analysis holds.
pub(super) fn read<K>(
    path: &Path,
    keys: &[&str],
    ignored: &[String],
    parse: impl Fn(&[&str]) -> Result<K, (usize, String)>,
) -> Result<Numbers<K>> {
    let file = File::open(path).with_context(|| format!("failed to open {}", path.display()))?;
    let mut reader = csv::ReaderBuilder::new().flexible(true).trim(csv::Trim::All).from_reader(file);
    let header = reader.headers().with_context(|| format!("failed to read {}", path.display()))?.clone();
    let Places { keys: key_columns, features } = places(&header, path, keys, ignored)?;
    if features.is_empty() {
        bail!("failed to find a column to learn from in {}:1 ({})", path.display(), Code::LabColumns);
    }
    let mut found = Numbers {
        names: features.iter().map(|(_, name)| name.clone()).collect(),
        columns: vec![Vec::new(); features.len()],
        keys: Vec::new(),
        faults: Faults::default(),
        findings: Vec::new(),
    };
    let mut worded: Vec<Worded> = Vec::new();
    let mut numbers = vec![0usize; features.len()];
    let mut record = csv::ByteRecord::new();
    while reader
        .read_byte_record(&mut record)
        .with_context(|| format!("failed to read {}", path.display()))?
    {
        let line = record.position().map_or(0, csv::Position::line);
        let mut fault = |column: usize, message: String| {
            let name = header.get(column).unwrap_or_default();
            let message = format!("{name} {message}");
            found.faults.add(Fault { line, column: column + 1, code: Code::LabValue, message });
        };
        if record.len() != header.len() {
            fault(
                record.len().min(header.len()),
                format!(
                    "is where the row differs from the first line: it has {} columns, not {}",
                    record.len(),
                    header.len()
                ),
            );
            continue;
        }
        let Ok(row) = csv::StringRecord::from_byte_record(record.clone()) else {
            let bad = record.iter().position(|field| std::str::from_utf8(field).is_err()).unwrap_or_default();
            fault(bad, "is not UTF-8".to_owned());
            continue;
        };
        let texts: Vec<&str> = key_columns.iter().map(|column| &row[*column]).collect();
        let key = match parse(&texts) {
            Ok(key) => key,
            Err((key, message)) => {
                fault(key_columns[key], message);
                continue;
            }
        };
        if let Some((column, _)) =
            features.iter().find(|(column, _)| matches!(cell(&row[*column]), Cell::Infinite))
        {
            fault(*column, format!("is {}, not a finite number", &row[*column]));
            continue;
        }
        if (found.keys.len() + 1) * features.len() > limits::LAB_CELLS_MAX {
            bail!(
                "failed to hold {}: it has more than {} numbers ({})",
                path.display(),
                limits::LAB_CELLS_MAX,
                Code::LabTooMuch
            );
        }
        for (feature, (column, _)) in features.iter().enumerate() {
            let value = match cell(&row[*column]) {
                Cell::Number(number) => {
                    numbers[feature] += 1;
                    number
                }
                Cell::Text => {
                    let text: String = row[*column].chars().take(limits::DETAIL_KEY_BYTES_MAX).collect();
                    worded.push(Worded { row: found.keys.len(), feature, line, text });
                    f64::NAN
                }
                Cell::Missing | Cell::Infinite => f64::NAN,
            };
            found.columns[feature].push(value);
        }
        found.keys.push(key);
    }
    settle(&mut found, worded, &numbers, &features);
    Ok(found)
}

/// Rows with text in a column of numbers leave, and columns of text.
fn settle<K>(found: &mut Numbers<K>, worded: Vec<Worded>, numbers: &[usize], features: &[(usize, String)]) {
    let mut leaves = vec![false; found.keys.len()];
    let mut told = vec![false; features.len()];
    for Worded { row, feature, line, text } in worded {
        let (column, name) = &features[feature];
        let place = (line, column + 1);
        if numbers[feature] > 0 {
            leaves[row] = true;
            let message = format!("{name} is {text:?}, not a number");
            found.faults.add(Fault { line: place.0, column: place.1, code: Code::LabValue, message });
        } else if !told[feature] {
            told[feature] = true;
            let message =
                format!("{}:{}: column {name} is text such as {text:?} and left out", place.0, place.1);
            found.findings.push(Finding { code: Code::LabValue, message });
        }
    }
    let keeps = |row: &mut usize| {
        *row += 1;
        !leaves[*row - 1]
    };
    let mut row = 0;
    found.keys.retain(|_| keeps(&mut row));
    for column in &mut found.columns {
        let mut row = 0;
        column.retain(|_| keeps(&mut row));
    }
    let mut feature = 0;
    found.columns.retain(|_| {
        feature += 1;
        !told[feature - 1]
    });
    let mut feature = 0;
    found.names.retain(|_| {
        feature += 1;
        !told[feature - 1]
    });
}

impl<K> Numbers<K> {
    /// Tells of columns that hold one value in the rows to learn from. They stay where they are: learners see it too.
    pub(super) fn tell_constants(&mut self, learned: &[u32]) {
        for (name, column) in self.names.iter().zip(&self.columns) {
            let mut seen = learned.iter().map(|row| column[*row as usize].to_bits());
            let first = seen.next();
            if seen.all(|value| Some(value) == first) {
                let value = first.map_or(f64::NAN, f64::from_bits);
                let what = if value.is_nan() { "holds no number".to_owned() } else { format!("is {value}") };
                let message = format!("column {name} {what} in every row to learn from, and says nothing");
                self.findings.push(Finding { code: Code::LabConstant, message });
            }
        }
    }

    /// Tells if most rows are the same as another: all features, and the key by `bits`.
    pub(super) fn tell_duplicates(&mut self, bits: impl Fn(&K) -> u64) {
        let mut hashes: Vec<u64> = self.keys.iter().map(bits).collect();
        for column in &self.columns {
            for (hash, value) in hashes.iter_mut().zip(column) {
                *hash = (hash.rotate_left(7) ^ value.to_bits()).wrapping_mul(0x9e37_79b9_7f4a_7c15);
                *hash ^= *hash >> 29;
            }
        }
        hashes.sort_unstable();
        let rows = hashes.len();
        hashes.dedup();
        let repeated = rows - hashes.len();
        if repeated as f64 > limits::LAB_DUPLICATES_TOLD * rows as f64 {
            let message = format!("{repeated} of {rows} rows are the same as another");
            self.findings.push(Finding { code: Code::LabDuplicates, message });
        }
    }
}
