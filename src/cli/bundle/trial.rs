//! `aisled bundle test`: the tables of a folder, priced under its rules.
//!
//! Exit codes: 0 every case comes out as written, 1 one does not or a table cannot be read.

use std::fs;
use std::io::Write;
use std::path::{Path, PathBuf};

use anyhow::{Context, Result, bail};
use serde_json::json;

use super::tables::{Finding, Ground, Kind, Table};
use crate::bundle::authoring::Authored;
use crate::cli::Exit;
use crate::domain::text::Lang;
use crate::limits;

/// Where a folder keeps its tables, and how their names end.
const FOLDER: &str = "tests";
const EXTENSION: &str = "txt";

/// Runs the tables, by default all of the folder's.
///
/// # Errors
/// A table that cannot be opened, or none at all.
pub(super) fn run(
    dir: &Path,
    authored: Authored,
    (tables, json): (&[PathBuf], bool),
    lang: Lang,
    out: &mut dyn Write,
) -> Result<Exit> {
    let ground = Ground::of(authored);
    let tables = if tables.is_empty() { tables_of(dir)? } else { tables.to_vec() };
    if tables.is_empty() {
        bail!("failed to find tables: {} holds no *.{EXTENSION}", dir.join(FOLDER).display());
    }
    let (mut cases, mut findings) = (0, Vec::new());
    for path in tables {
        let failed = || format!("failed to read {}", path.display());
        let bytes = fs::metadata(&path).with_context(failed)?.len();
        if bytes > limits::AUTHORING_FILE_BYTES_MAX as u64 {
            bail!("{}: {bytes} bytes, at most {}", failed(), limits::AUTHORING_FILE_BYTES_MAX);
        }
        let text = fs::read_to_string(&path).with_context(failed)?;
        let found = match Table::read(&text, &ground) {
            Ok(table) => {
                cases += table.cases.len();
                table.run()
            }
            Err(findings) => findings,
        };
        findings.extend(found.into_iter().map(|finding| (path.clone(), finding)));
    }
    report(cases, &findings, (lang, json), out)?;
    Ok(if findings.is_empty() { Exit::Ok } else { Exit::Finding })
}

fn tables_of(dir: &Path) -> Result<Vec<PathBuf>> {
    let folder = dir.join(FOLDER);
    if !folder.is_dir() {
        return Ok(Vec::new());
    }
    let entries = fs::read_dir(&folder).with_context(|| format!("failed to list {}", folder.display()))?;
    let paths: std::io::Result<Vec<PathBuf>> = entries.map(|entry| Ok(entry?.path())).collect();
    let mut paths = paths.with_context(|| format!("failed to list {}", folder.display()))?;
    paths.retain(|path| path.extension().is_some_and(|ending| ending == EXTENSION));
    paths.sort();
    Ok(paths)
}

fn report(
    cases: usize,
    findings: &[(PathBuf, Finding)],
    (lang, json): (Lang, bool),
    out: &mut dyn Write,
) -> Result<()> {
    if json {
        let listed: Vec<_> = findings
            .iter()
            .map(|(path, finding)| {
                json!({
                    "file": path, "line": finding.line, "case": finding.case, "kind": finding.kind,
                    "found": finding.found, "expected": finding.expected, "message": finding.tell(lang),
                })
            })
            .collect();
        let object = json!({ "ok": findings.is_empty(), "cases": cases, "findings": listed });
        writeln!(out, "{object:#}")?;
        return Ok(());
    }
    for (path, finding) in findings {
        writeln!(out, "{}:{}: {}", path.display(), finding.line, finding.tell(lang))?;
    }
    let different = findings.iter().filter(|(_, finding)| finding.kind == Kind::Different).count();
    let unreadable = findings.len() - different;
    match lang {
        Lang::En => {
            writeln!(out, "{cases} cases: {different} differences, {unreadable} lines that cannot be read")?;
        }
        Lang::ZhCn => writeln!(out, "{cases} 个用例：{different} 处不符，{unreadable} 行无法识别")?,
    }
    Ok(())
}
