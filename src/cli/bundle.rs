//! `aisled bundle`: writing, checking, signing and installing the rules a shop runs on.
//!
//! The only place where bundles meet the disk: folders are read whole and handed to `bundle::authoring`, files are
//! opened and handed to `bundle::packed`. Invariants: nothing is written that was not verified; a file appears under
//! its name only when it is whole and durable (temporary file, fsync, rename, fsync of the directory); an installed
//! version is never below one that is there. Findings and refusals are printed with their code and remedy and end
//! with `Exit::Finding`; an `Err` is a failed operation.

use std::collections::BTreeMap;
use std::fs::{self, File, OpenOptions};
use std::io::{BufReader, Read, Write};
use std::os::unix::fs::OpenOptionsExt;
use std::path::{Path, PathBuf};

use anyhow::{Context, Result, bail};
use clap::{Args, Subcommand};
use serde_json::json;

pub mod mandate;
pub mod rollback;
mod sample;
pub mod simulate;
pub mod tables;
mod trial;
pub mod voucher;

use super::Exit;
use crate::bundle::authoring::{self, Advised, Authored, Finding, Severity};
use crate::bundle::diff;
use crate::bundle::document::{CodeRecord, MemberRecord, Rules};
use crate::bundle::keys::{PublicKey, SecretKey};
use crate::bundle::packed::{self, Admission, BundleError, Opened};
use crate::bundle::{Bundle, Plan, plan};
use crate::chance;
use crate::clock::{Clock as _, SystemClock};
use crate::domain::code::Code;
use crate::domain::ids::{BundleRef, StoreId};
use crate::domain::text::Lang;
use crate::limits;

/// Below the data directory: where verified bundles wait for the daemon, as `<version>.aisb`.
pub const INBOX: &str = "bundles/inbox";
/// Below the data directory: the bundle the daemon runs on.
pub const ACTIVE: &str = "bundles/active.aisb";
/// How the name of a packed bundle ends.
pub const EXTENSION: &str = "aisb";

/// The folder `init` writes: (path inside the folder, text).
pub const EXAMPLE: &[(&str, &str)] = &[
    ("README.md", include_str!("../../config/bundle-example/README.md")),
    ("shop.toml", include_str!("../../config/bundle-example/shop.toml")),
    ("catalogue.toml", include_str!("../../config/bundle-example/catalogue.toml")),
    ("members.json", include_str!("../../config/bundle-example/members.json")),
    ("segments.toml", include_str!("../../config/bundle-example/segments.toml")),
    ("campaigns.toml", include_str!("../../config/bundle-example/campaigns.toml")),
    ("promotions.toml", include_str!("../../config/bundle-example/promotions.toml")),
    ("coupons.toml", include_str!("../../config/bundle-example/coupons.toml")),
    ("codes.json", include_str!("../../config/bundle-example/codes.json")),
    ("points.toml", include_str!("../../config/bundle-example/points.toml")),
    ("recommendations.toml", include_str!("../../config/bundle-example/recommendations.toml")),
    ("care.toml", include_str!("../../config/bundle-example/care.toml")),
    ("tests/offers.txt", include_str!("../../config/bundle-example/tests/offers.txt")),
];

/// Arguments of `bundle`.
#[derive(Args, Clone, Debug)]
pub struct BundleArgs {
    /// What to do
    #[command(subcommand)]
    pub verb: BundleVerb,
}

/// What to do with bundles.
#[derive(Subcommand, Clone, Debug)]
pub enum BundleVerb {
    /// Write a small commented example folder to start from
    Init {
        /// Where: a directory that is empty or not there yet
        dir: PathBuf,
    },
    /// Put a sample shop on a box that has no rules yet, to try it
    Sample,
    /// Check a folder or a signed file; every mistake at once, with file, line and column
    Check {
        /// A folder, or a signed file
        path: PathBuf,
        /// For a signed file: public key to trust, as text or in a file; beside the configured ones
        #[arg(long)]
        key: Vec<String>,
        /// Print one JSON object
        #[arg(long)]
        json: bool,
    },
    /// Make a key to sign with: FILE (secret, mode 0600) and FILE.pub
    Keygen {
        /// Where the secret key goes; must not be there yet
        file: PathBuf,
    },
    /// Check, pack and sign a folder
    Sign {
        /// The folder
        dir: PathBuf,
        /// File of the secret key
        #[arg(long)]
        key: PathBuf,
        /// Goes up with each publication; a box never takes a lower one than it had
        #[arg(long, value_parser = clap::value_parser!(u64).range(1..))]
        version: u64,
        /// Where the signed file goes
        #[arg(short, long)]
        output: PathBuf,
        /// Under what terms
        #[command(flatten)]
        terms: mandate::TermsArgs,
    },
    /// With the key that boxes trust, name the key that signs bundles from now on
    Mandate(mandate::MandateArgs),
    /// Verify a signed file and read all of it
    Verify {
        /// The signed file
        file: PathBuf,
        /// Public key to trust, as text or in a file; beside the configured ones
        #[arg(long)]
        key: Vec<String>,
        /// Refuse it unless it is meant for this shop
        #[arg(long)]
        store: Option<String>,
    },
    /// What changed from A to B, promotion by promotion; each a folder or a signed file
    Diff {
        /// Before
        before: PathBuf,
        /// Now
        now: PathBuf,
        /// For signed files: public key to trust, as text or in a file; beside the configured ones
        #[arg(long)]
        key: Vec<String>,
        /// Print one JSON object
        #[arg(long)]
        json: bool,
    },
    /// Verify a signed file and hand it to the daemon of this box
    Install {
        /// The signed file
        file: PathBuf,
        /// The daemon's data directory
        #[arg(long)]
        data: PathBuf,
        /// Public key to trust, as text or in a file; beside the configured ones
        #[arg(long)]
        key: Vec<String>,
    },
    /// Sign the rules of a former version anew, under a higher one; without a key, say how
    Rollback(rollback::RollbackArgs),
    /// Price the cases of text tables under a folder's rules and compare
    Test {
        /// The folder
        dir: PathBuf,
        /// Tables; by default those of the folder: tests/*.txt
        tables: Vec<PathBuf>,
        /// Print one JSON object
        #[arg(long)]
        json: bool,
    },
    /// Price recorded baskets under new rules and under those in force: reach, cost, margin, conflicts, changed totals
    Simulate(simulate::SimulateArgs),
    /// Sign a partner's vouchers, or look into one
    Voucher {
        /// What to do
        #[command(subcommand)]
        verb: voucher::VoucherVerb,
    },
    /// Print the JSON Schemas of a folder's files
    Schema {
        /// Which file, for example promotions; without it an object of all
        name: Option<String>,
    },
}

/// What the verb needs to know of this box; nothing for head office.
#[derive(Clone, Debug, Default)]
pub struct Surroundings {
    /// The configured keys.
    pub trusted: Vec<PublicKey>,
    /// Which shop this is.
    pub store: Option<StoreId>,
    /// The configuration that was read, if there is a file.
    pub config_file: Option<PathBuf>,
    /// Where its daemon keeps its data.
    pub data_dir: Option<PathBuf>,
    /// The language of remedies.
    pub lang: Lang,
}

/// Runs the verb and prints to `out`.
///
/// # Errors
/// A failed operation: a file that cannot be read or written, an argument that is no key or id.
pub fn run(args: &BundleArgs, surroundings: &Surroundings, out: &mut dyn Write) -> Result<Exit> {
    let mut verb = Verb { surroundings, out };
    match &args.verb {
        BundleVerb::Init { dir } => verb.init(dir),
        BundleVerb::Sample => sample::run(surroundings, verb.out),
        BundleVerb::Check { path, key, json } => verb.check(path, key, *json),
        BundleVerb::Keygen { file } => verb.keygen(file),
        BundleVerb::Sign { dir, key, version, output, terms } => {
            verb.sign(dir, (key, terms), *version, output)
        }
        BundleVerb::Mandate(args) => mandate::run(args, verb.out),
        BundleVerb::Verify { file, key, store } => verb.verify(file, key, store.as_deref()),
        BundleVerb::Diff { before, now, key, json } => verb.diff(before, now, key, *json),
        BundleVerb::Install { file, data, key } => verb.install(file, data, key),
        BundleVerb::Rollback(args) => rollback::run(args, surroundings, verb.out),
        BundleVerb::Test { dir, tables, json } => match read_folder(dir)? {
            Ok(authored) => trial::run(dir, authored, (tables, *json), surroundings.lang, verb.out),
            Err(findings) => verb.refuse(dir, &Refused::Findings(findings)),
        },
        BundleVerb::Simulate(args) => simulate::run(args, surroundings, verb.out),
        BundleVerb::Voucher { verb: what } => voucher::run(what, surroundings.lang, verb.out),
        BundleVerb::Schema { name } => verb.schema(name.as_deref()),
    }
}

struct Verb<'a> {
    surroundings: &'a Surroundings,
    out: &'a mut dyn Write,
}

/// What a signed file or a folder holds, without its members.
struct Contents {
    reference: Option<BundleRef>,
    rules: Rules,
    members: u64,
    codes: u64,
    /// Of a folder: what is allowed and most likely not meant.
    warnings: Vec<Finding>,
}

/// A folder or a signed file, all of it in memory: for verbs that try rules out.
pub(super) struct Whole {
    /// Of a signed file.
    pub(super) reference: Option<BundleRef>,
    pub(super) rules: Rules,
    pub(super) members: Vec<MemberRecord>,
    pub(super) codes: Vec<CodeRecord>,
}

/// Reads a folder or a signed file whole. What is wrong with it is printed, and there is nothing.
///
/// # Errors
/// A failed operation: a file that cannot be read, an argument that is no key.
pub(super) fn open_rules(
    path: &Path,
    keys: &[String],
    surroundings: &Surroundings,
    out: &mut dyn Write,
) -> Result<Option<Whole>> {
    let mut verb = Verb { surroundings, out };
    let whole = if path.is_dir() {
        read_folder(path)?.map_err(Refused::Findings).map(|authored| {
            let Authored { rules, members, codes } = authored;
            Whole { reference: None, rules, members, codes }
        })
    } else {
        let mut trusted = surroundings.trusted.clone();
        for key in keys {
            trusted.push(public_key(key)?);
        }
        let file = File::open(path).with_context(|| format!("failed to open {}", path.display()))?;
        let admission = Admission { trusted: &trusted, floor: 0, store: None };
        packed::open(BufReader::new(file), &admission)
            .and_then(|mut opened| {
                let members = opened.members()?.collect::<Result<Vec<MemberRecord>, _>>()?;
                let codes = opened.codes()?.collect::<Result<Vec<CodeRecord>, _>>()?;
                Ok(Whole { reference: Some(opened.reference), rules: opened.rules, members, codes })
            })
            .map_err(Refused::from)
    };
    match whole {
        Ok(whole) => Ok(Some(whole)),
        Err(refused) => {
            verb.refuse(path, &refused)?;
            Ok(None)
        }
    }
}

/// Why there are no contents.
enum Refused {
    Findings(Vec<Finding>),
    Bundle(Code, String),
}

impl From<BundleError> for Refused {
    fn from(error: BundleError) -> Refused {
        Refused::Bundle(error.code(), error.to_string())
    }
}

impl Verb<'_> {
    fn init(&mut self, dir: &Path) -> Result<Exit> {
        fs::create_dir_all(dir).with_context(|| format!("failed to make {}", dir.display()))?;
        let mut present = fs::read_dir(dir).with_context(|| format!("failed to list {}", dir.display()))?;
        if present.next().is_some() {
            bail!("{} is not empty; nothing was written", dir.display());
        }
        for (name, text) in EXAMPLE {
            let path = dir.join(name);
            let folder = path.parent().unwrap_or(dir);
            fs::create_dir_all(folder).with_context(|| format!("failed to make {}", folder.display()))?;
            write_whole(&path, text.as_bytes(), 0o644)?;
        }
        writeln!(self.out, "{}: {} files", dir.display(), EXAMPLE.len())?;
        writeln!(self.out, "next: aisled bundle check {}", dir.display())?;
        writeln!(self.out, "then: aisled bundle test {}", dir.display())?;
        Ok(Exit::Ok)
    }

    fn check(&mut self, path: &Path, keys: &[String], json: bool) -> Result<Exit> {
        let contents = self.contents(path, keys, None)?;
        if json {
            let object = match &contents {
                Ok(contents) => {
                    let findings = self.located_json(&contents.warnings);
                    json!({ "ok": true, "findings": findings, "counts": counts(contents) })
                }
                Err(refused) => json!({ "ok": false, "findings": self.findings_json(refused) }),
            };
            writeln!(self.out, "{object:#}")?;
            return Ok(if contents.is_ok() { Exit::Ok } else { Exit::Finding });
        }
        match contents {
            Ok(contents) => {
                let text: Vec<String> =
                    counts(&contents).iter().map(|(name, count)| format!("{count} {name}")).collect();
                self.located(path, &contents.warnings)?;
                let warned = match contents.warnings.len() {
                    0 => String::new(),
                    count => format!(", {count} warnings"),
                };
                writeln!(self.out, "{}: ok, {}{warned}", path.display(), text.join(", "))?;
                Ok(Exit::Ok)
            }
            Err(refused) => self.refuse(path, &refused),
        }
    }

    fn keygen(&mut self, file: &Path) -> Result<Exit> {
        let seed = chance::bytes().context("failed to make a key")?;
        let secret = SecretKey::from_seed(&seed);
        let mut options = OpenOptions::new();
        let mut opened = options
            .write(true)
            .create_new(true)
            .mode(0o600)
            .open(file)
            .with_context(|| format!("failed to make {}", file.display()))?;
        writeln!(opened, "{}", secret.to_hex())?;
        opened.sync_all().with_context(|| format!("failed to write {}", file.display()))?;
        let public = with_suffix(file, ".pub");
        write_whole(&public, format!("{}\n", secret.public()).as_bytes(), 0o644)?;
        writeln!(self.out, "{}", secret.public())?;
        writeln!(self.out, "secret in {} (keep it), public in {}", file.display(), public.display())?;
        Ok(Exit::Ok)
    }

    fn sign(
        &mut self,
        dir: &Path,
        (key, terms): (&Path, &mandate::TermsArgs),
        version: u64,
        output: &Path,
    ) -> Result<Exit> {
        let (authored, warnings) = match read_and_advise(dir)? {
            Ok(read) => read,
            Err(findings) => return self.refuse(dir, &Refused::Findings(findings)),
        };
        self.located(dir, &warnings)?;
        let secret = read_secret(key)?;
        let Authored { rules, members, codes } = authored;
        let now = SystemClock.now();
        let given = terms.mandate()?;
        let under = terms.terms(given.as_ref(), now);
        let packed = packed::pack_under(under, version, now, (&rules, &members, &codes), &secret);
        let packed = match packed {
            Ok(packed) => packed,
            Err(error) => return self.refuse(dir, &error.into()),
        };
        drop((members, codes));
        // Opened as a box opens it, so that nothing is signed that boxes refuse.
        let trusted = match &terms.trusted {
            Some(key) => vec![mandate::read_key(key)?],
            None => vec![secret.public()],
        };
        let admission = Admission { trusted: &trusted, floor: version, store: None };
        let contents = packed::open(std::io::Cursor::new(&packed), &admission).map_err(Refused::from);
        let contents = match contents.and_then(|mut opened| read_through(&mut opened)) {
            Ok(contents) => contents,
            Err(refused) => return self.refuse(output, &refused),
        };
        write_whole(output, &packed, 0o644)?;
        let hash = contents.reference.map(|reference| reference.hash).unwrap_or_default();
        writeln!(
            self.out,
            "{}: version {version}, hash {hash}, {} bytes, {} members, {} codes, signed with {}",
            output.display(),
            packed.len(),
            contents.members,
            contents.codes,
            secret.public()
        )?;
        Ok(Exit::Ok)
    }

    fn verify(&mut self, file: &Path, keys: &[String], store: Option<&str>) -> Result<Exit> {
        let store = store.map(StoreId::new).transpose().context("failed to read --store")?;
        match self.open_file(file, keys, 0, store.as_ref())? {
            Ok((contents, _)) => {
                let hash =
                    contents.reference.as_ref().map(|reference| reference.hash.as_ref()).unwrap_or_default();
                let version = contents.reference.as_ref().map_or(0, |reference| reference.version);
                writeln!(self.out, "{}: verified, version {version}, hash {hash}", file.display())?;
                for (name, count) in counts(&contents) {
                    writeln!(self.out, "  {count} {name}")?;
                }
                Ok(Exit::Ok)
            }
            Err(refused) => self.refuse(file, &refused),
        }
    }

    fn diff(&mut self, before: &Path, now: &Path, keys: &[String], json: bool) -> Result<Exit> {
        let mut both = Vec::with_capacity(2);
        for path in [before, now] {
            match self.contents(path, keys, None)? {
                Ok(contents) => both.push(contents),
                Err(refused) => return self.refuse(path, &refused),
            }
        }
        let differences = diff::differences(&both[0].rules, &both[1].rules);
        let moved = [("members", both[0].members, both[1].members), ("codes", both[0].codes, both[1].codes)];
        if json {
            let counted: BTreeMap<&str, [u64; 2]> =
                moved.iter().map(|(name, was, is)| (*name, [*was, *is])).collect();
            writeln!(self.out, "{:#}", json!({ "differences": differences, "counts": counted }))?;
            return Ok(Exit::Ok);
        }
        for difference in &differences {
            writeln!(self.out, "{difference}")?;
        }
        for (name, was, is) in moved.iter().filter(|(_, was, is)| was != is) {
            writeln!(self.out, "~ {name}: {was} -> {is}")?;
        }
        if differences.is_empty() {
            writeln!(self.out, "the rules are the same")?;
        }
        Ok(Exit::Ok)
    }

    fn install(&mut self, file: &Path, data: &Path, keys: &[String]) -> Result<Exit> {
        let current = newest(data)?;
        let floor = current.as_ref().map_or(0, |current| current.version);
        let store = self.surroundings.store.clone();
        let (contents, bytes) = match self.open_file(file, keys, floor, store.as_ref())? {
            Ok(opened) => opened,
            Err(refused) => return self.refuse(file, &refused),
        };
        let next = contents.reference.context("failed to name the verified bundle")?;
        let plan = plan(current.as_ref(), &next);
        if let Some(code) = plan.code() {
            let message = format!("version {} is installed already with other content", next.version);
            return self.refuse(file, &Refused::Bundle(code, message));
        }
        if plan == Plan::Same {
            writeln!(self.out, "version {} (hash {}) is installed already", next.version, next.hash)?;
            return Ok(Exit::Ok);
        }
        super::audit::written(data, "bundle.install", serde_json::json!(next))?;
        let place = put_into_inbox(data, next.version, &bytes)?;
        writeln!(self.out, "version {} (hash {}) waits in {}", next.version, next.hash, place.display())?;
        Ok(Exit::Ok)
    }

    fn schema(&mut self, name: Option<&str>) -> Result<Exit> {
        let schemas = authoring::schemas();
        let Some(name) = name else {
            let all: BTreeMap<&str, &schemars::Schema> =
                schemas.iter().map(|(name, schema)| (*name, schema)).collect();
            writeln!(self.out, "{}", serde_json::to_string_pretty(&all)?)?;
            return Ok(Exit::Ok);
        };
        match schemas.iter().find(|(known, _)| *known == name) {
            Some((_, schema)) => {
                writeln!(self.out, "{}", serde_json::to_string_pretty(schema)?)?;
                Ok(Exit::Ok)
            }
            None => {
                let known: Vec<&str> = schemas.iter().map(|(name, _)| *name).collect();
                writeln!(self.out, "no file is called {name}; there are {}", known.join(", "))?;
                Ok(Exit::Usage)
            }
        }
    }

    fn contents(
        &self,
        path: &Path,
        keys: &[String],
        store: Option<&StoreId>,
    ) -> Result<Result<Contents, Refused>> {
        if !path.is_dir() {
            return Ok(self.open_file(path, keys, 0, store)?.map(|(contents, _)| contents));
        }
        Ok(read_and_advise(path)?.map_err(Refused::Findings).map(|(authored, warnings)| Contents {
            reference: None,
            warnings,
            members: authored.members.len() as u64,
            codes: authored.codes.len() as u64,
            rules: authored.rules,
        }))
    }

    /// A signed file, verified and read to its end, with its bytes.
    fn open_file(
        &self,
        file: &Path,
        keys: &[String],
        floor: u64,
        store: Option<&StoreId>,
    ) -> Result<Result<(Contents, Vec<u8>), Refused>> {
        let mut trusted = self.surroundings.trusted.clone();
        for key in keys {
            trusted.push(public_key(key)?);
        }
        let mut opened = File::open(file).with_context(|| format!("failed to open {}", file.display()))?;
        let mut bytes = Vec::new();
        let limit = limits::BUNDLE_BYTES_MAX + 1;
        let read = (&mut opened).take(limit).read_to_end(&mut bytes);
        read.with_context(|| format!("failed to read {}", file.display()))?;
        let admission = Admission { trusted: &trusted, floor, store };
        let contents = packed::open(std::io::Cursor::new(&bytes), &admission).map_err(Refused::from);
        Ok(contents.and_then(|mut opened| read_through(&mut opened)).map(|contents| (contents, bytes)))
    }

    fn findings_json(&self, refused: &Refused) -> serde_json::Value {
        let lang = self.surroundings.lang;
        match refused {
            Refused::Findings(findings) => self.located_json(findings),
            Refused::Bundle(code, message) => {
                json!([{ "code": code, "message": message, "remedy": code.remedy(lang) }])
            }
        }
    }

    fn located_json(&self, findings: &[Finding]) -> serde_json::Value {
        let lang = self.surroundings.lang;
        let one = |finding: &Finding| {
            json!({
                "file": finding.file, "line": finding.line, "column": finding.column, "code": finding.code,
                "severity": finding.severity(), "message": finding.message, "remedy": finding.code.remedy(lang),
            })
        };
        findings.iter().map(one).collect()
    }

    /// Findings line by line, then the page of each code in a line.
    fn located(&mut self, path: &Path, findings: &[Finding]) -> Result<()> {
        let lang = self.surroundings.lang;
        let mut codes: Vec<Code> = findings.iter().map(|finding| finding.code).collect();
        codes.sort();
        codes.dedup();
        for finding in findings {
            let file = path.join(&finding.file);
            writeln!(self.out, "{}{}", file.display(), position(finding))?;
        }
        if !findings.is_empty() {
            writeln!(self.out)?;
        }
        for code in codes {
            writeln!(self.out, "{code} {}: {}", code.title(lang), code.remedy(lang))?;
        }
        Ok(())
    }

    fn refuse(&mut self, path: &Path, refused: &Refused) -> Result<Exit> {
        let lang = self.surroundings.lang;
        match refused {
            Refused::Findings(findings) => {
                self.located(path, findings)?;
                writeln!(self.out, "{} findings", findings.len())?;
            }
            Refused::Bundle(code, message) => {
                writeln!(self.out, "{}: {code} {}: {message}", path.display(), code.title(lang))?;
                writeln!(self.out, "{}", code.remedy(lang))?;
            }
        }
        Ok(Exit::Finding)
    }
}

fn position(finding: &Finding) -> String {
    let Finding { line, column, code, message, .. } = finding;
    let warning = if finding.severity() == Severity::Warning { "warning " } else { "" };
    match line {
        0 => format!(": {warning}{code} {message}"),
        _ => format!(":{line}:{column}: {warning}{code} {message}"),
    }
}

fn counts(contents: &Contents) -> Vec<(&'static str, u64)> {
    let rules = &contents.rules;
    vec![
        ("articles", rules.catalogue.len() as u64),
        ("promotions", rules.promotions.len() as u64),
        ("segments", rules.segments.len() as u64),
        ("coupons", rules.coupons.len() as u64),
        ("members", contents.members),
        ("codes", contents.codes),
    ]
}

/// Reads every record and compiles the rules, so that what follows cannot fail on the box.
fn read_through<R: Read + std::io::Seek>(opened: &mut Opened<R>) -> Result<Contents, Refused> {
    let (mut members, mut codes) = (0, 0);
    for member in opened.members()? {
        let _: MemberRecord = member?;
        members += 1;
    }
    for code in opened.codes()? {
        let _: CodeRecord = code?;
        codes += 1;
    }
    let (reference, rules) = (opened.reference.clone(), opened.rules.clone());
    if let Err(error) = Bundle::compile(reference.clone(), rules.clone()) {
        return Err(Refused::Bundle(error.code(), error.to_string()));
    }
    Ok(Contents { reference: Some(reference), rules, members, codes, warnings: Vec::new() })
}

fn read_secret(key: &Path) -> Result<SecretKey> {
    let text = fs::read_to_string(key).with_context(|| format!("failed to read {}", key.display()))?;
    text.parse().with_context(|| format!("failed to read {}", key.display()))
}

/// Reads and checks a folder: the files in it and in its directories, hidden ones left out.
fn read_folder(dir: &Path) -> Result<Result<Authored, Vec<Finding>>> {
    Ok(read_and_advise(dir)?.map(|(authored, _)| authored))
}

/// The same, with what is allowed and most likely not meant.
fn read_and_advise(dir: &Path) -> Result<Result<Advised, Vec<Finding>>> {
    let mut files = Vec::new();
    let mut rest = vec![(dir.to_owned(), String::new())];
    while let Some((directory, prefix)) = rest.pop() {
        let entries =
            fs::read_dir(&directory).with_context(|| format!("failed to list {}", directory.display()))?;
        for entry in entries {
            let entry = entry.with_context(|| format!("failed to list {}", directory.display()))?;
            let Ok(name) = entry.file_name().into_string() else { continue };
            let authored = [".toml", ".json", ".onnx"].iter().any(|ending| name.ends_with(ending));
            let path = format!("{prefix}{name}");
            let kind = entry.file_type().with_context(|| format!("failed to look at {path}"))?;
            if name.starts_with('.') {
                continue;
            }
            if kind.is_dir() && prefix.is_empty() {
                rest.push((entry.path(), format!("{path}/")));
            } else if authored && !kind.is_dir() {
                let bytes = read_authored(&entry.path()).with_context(|| format!("failed to read {path}"))?;
                files.push((path, bytes));
            }
        }
    }
    Ok(authoring::read_and_advise(files))
}

/// A file of a folder. Of a network one byte more than it may have: who checks it sees that it is too large.
fn read_authored(path: &Path) -> std::io::Result<Vec<u8>> {
    let network = path.extension().is_some_and(|extension| extension == "onnx");
    let most = if network { limits::RECOMMEND_NETWORK_BYTES_MAX as u64 + 1 } else { u64::MAX };
    let mut bytes = Vec::new();
    File::open(path)?.take(most).read_to_end(&mut bytes)?;
    Ok(bytes)
}

/// A public key as text, or the file that holds one.
pub(super) fn public_key(text: &str) -> Result<PublicKey> {
    if let Ok(key) = text.parse() {
        return Ok(key);
    }
    let read =
        fs::read_to_string(text).with_context(|| format!("{text} is neither a public key nor a file"))?;
    read.parse().with_context(|| format!("failed to read the public key in {text}"))
}

/// The highest bundle a data directory holds: waiting in the inbox, or active.
fn newest(data: &Path) -> Result<Option<BundleRef>> {
    let mut candidates = vec![data.join(ACTIVE)];
    let inbox = data.join(INBOX);
    if inbox.is_dir() {
        for entry in fs::read_dir(&inbox).with_context(|| format!("failed to list {}", inbox.display()))? {
            let path = entry.with_context(|| format!("failed to list {}", inbox.display()))?.path();
            if path.extension().is_some_and(|extension| extension == EXTENSION) {
                candidates.push(path);
            }
        }
    }
    let mut newest: Option<BundleRef> = None;
    for path in candidates.iter().filter(|path| path.is_file()) {
        let opened = File::open(path).with_context(|| format!("failed to open {}", path.display()))?;
        // A file that does not name itself is the daemon's to set aside; it says nothing about versions.
        if let Ok(reference) = packed::reference(BufReader::new(opened))
            && newest.as_ref().is_none_or(|newest| newest.version < reference.version)
        {
            newest = Some(reference);
        }
    }
    Ok(newest)
}

fn with_suffix(path: &Path, suffix: &str) -> PathBuf {
    let mut name = path.as_os_str().to_owned();
    name.push(suffix);
    PathBuf::from(name)
}

/// Puts a verified bundle where the daemon looks for newer ones.
fn put_into_inbox(data: &Path, version: u64, packed: &[u8]) -> Result<PathBuf> {
    let inbox = data.join(INBOX);
    fs::create_dir_all(&inbox).with_context(|| format!("failed to make {}", inbox.display()))?;
    let place = inbox.join(format!("{version}.{EXTENSION}"));
    write_whole(&place, packed, 0o640)?;
    give_to_owner_of(data, &[&data.join("bundles"), &inbox, &place])?;
    Ok(place)
}

/// Writes a file so that it is there whole or not at all, also after a power cut.
fn write_whole(path: &Path, bytes: &[u8], mode: u32) -> Result<()> {
    let write = || -> std::io::Result<()> {
        let temporary = with_suffix(path, ".part");
        let mut options = OpenOptions::new();
        let mut file = options.write(true).create(true).truncate(true).mode(mode).open(&temporary)?;
        file.write_all(bytes)?;
        file.sync_all()?;
        fs::rename(&temporary, path)?;
        let directory = path.parent().filter(|parent| !parent.as_os_str().is_empty());
        File::open(directory.unwrap_or(Path::new(".")))?.sync_all()
    };
    write().with_context(|| format!("failed to write {}", path.display()))
}

/// Gives what root installed to whoever owns the data directory, so that the daemon may read and move it.
fn give_to_owner_of(data: &Path, paths: &[&Path]) -> Result<()> {
    use std::os::unix::fs::{MetadataExt, chown};
    let owner = fs::metadata(data).with_context(|| format!("failed to look at {}", data.display()))?;
    for path in paths {
        let metadata = fs::metadata(path).with_context(|| format!("failed to look at {}", path.display()))?;
        if (metadata.uid(), metadata.gid()) != (owner.uid(), owner.gid()) {
            chown(path, Some(owner.uid()), Some(owner.gid()))
                .with_context(|| format!("failed to give {} to the daemon", path.display()))?;
        }
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn is_a_network_of_a_terabyte_refused_without_being_read() {
        let folder = tempfile::tempdir().expect("a directory");
        let write =
            |name: &str, text: &str| fs::write(folder.path().join(name), text).expect("it is written");
        write("shop.toml", include_str!("../../config/bundle-example/shop.toml"));
        write("network.json", r#"{ "item": [ { "sku": "a" } ] }"#);
        let network = File::create(folder.path().join("network.onnx")).expect("it is made");
        network.set_len(1 << 40).expect("nothing of it is on the disk");
        let findings = read_folder(folder.path()).expect("it can be read").expect_err("it is too large");
        assert!(findings.iter().any(|finding| finding.code == Code::ModelTooLarge), "{findings:?}");
    }
}
