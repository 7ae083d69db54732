//! The authoring form: a folder of TOML or JSON files, read and checked as a whole.
//!
//! ```text
//! shop.toml            the shop's settings              coupons.toml          [[coupon]]
//! catalogue.toml       [[item]]                         codes.json            [[code]]    single-use codes
//! members.json         [[member]]                       points.toml           the points programme
//! segments.toml        [[segment]]                      recommendations.toml  [[recommendation]]
//! campaigns.toml       [[campaign]]                     care.toml             [[care]]
//! partners.toml        [[partner]]                      factors.json          [[item]]    a factorisation's articles
//! network.onnx         head office's network            network.json          [[item]]    the articles of its columns
//! promotions.toml and promotions/*.toml  [[promotion]], in the order of paths, then of the file
//! ```
//! Each may be `.json` instead; only the shop is required. `read` does no I/O and reports every fault of every file
//! at once, each with file, line and column (both from 1, columns in characters). Files that are neither TOML nor
//! JSON nor ONNX are somebody's notes and are passed over. What entries say about each other is `check`'s matter.

use std::fmt;

use schemars::JsonSchema;
use serde::de::DeserializeOwned;
use serde::{Deserialize, Serialize};

use crate::domain::catalog::Item;
use crate::domain::code::Code;
use crate::limits;
use crate::pricing::model::{PointsProgramme, Promotion};
use crate::shopper::recommend::network::Network;

use super::check;
use super::document::{
    Blob, Campaign, CareMessage, CodeRecord, Coupon, ItemFactors, MemberRecord, NetworkItem, Partner,
    RecommendationList, Rules, Segment, ShippedNetwork, Shop,
};
use super::located::{self, Fault, Node, Step};
use super::warnings;

/// A folder, read.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Authored {
    /// Everything but members and codes.
    pub rules: Rules,
    /// Members, in the order written.
    pub members: Vec<MemberRecord>,
    /// Single-use codes, in the order written.
    pub codes: Vec<CodeRecord>,
}

/// A folder without faults, and warnings about it.
pub type Advised = (Authored, Vec<Finding>);

/// Something wrong in a folder.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize)]
pub struct Finding {
    /// Path inside the folder.
    pub file: String,
    /// From 1; 0 where the file itself is meant.
    pub line: u32,
    /// From 1, in characters; 0 where the file itself is meant.
    pub column: u32,
    /// Its page.
    pub code: Code,
    /// What is wrong there and what would be right.
    pub message: String,
}

/// Whether a bundle can be made of it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Severity {
    /// Nothing is signed before it is mended.
    Error,
    /// Somebody should look; it may be meant.
    Warning,
}

impl Finding {
    /// Told by its code: 32xx advise.
    pub fn severity(&self) -> Severity {
        if self.code.number() / 100 == 32 { Severity::Warning } else { Severity::Error }
    }
}

impl fmt::Display for Finding {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}:{}:{}: {} {}", self.file, self.line, self.column, self.code, self.message)
    }
}

macro_rules! list_files {
    ($($(#[$doc:meta])+ $name:ident, $field:ident, $key:literal, $entry:ty;)+) => {$(
        $(#[$doc])+
        #[derive(Debug, Default, Deserialize, JsonSchema)]
        #[serde(deny_unknown_fields)]
        pub struct $name {
            /// The entries.
            #[serde(default, rename = $key)]
            pub $field: Vec<$entry>,
        }

        impl ListFile for $name {
            type Entry = $entry;
            const KEY: &'static str = $key;
            fn entries(self) -> Vec<$entry> {
                self.$field
            }
        }
    )+};
}

/// A file that is a list of entries under one key.
trait ListFile: DeserializeOwned {
    type Entry: DeserializeOwned;
    const KEY: &'static str;
    fn entries(self) -> Vec<Self::Entry>;
}

list_files! {
    /// `catalogue.toml`
    CatalogueFile, items, "item", Item;
    /// `members.json`
    MembersFile, members, "member", MemberRecord;
    /// `segments.toml`
    SegmentsFile, segments, "segment", Segment;
    /// `campaigns.toml`
    CampaignsFile, campaigns, "campaign", Campaign;
    /// `promotions.toml`, `promotions/*.toml`
    PromotionsFile, promotions, "promotion", Promotion;
    /// `coupons.toml`
    CouponsFile, coupons, "coupon", Coupon;
    /// `codes.json`
    CodesFile, codes, "code", CodeRecord;
    /// `recommendations.toml`
    RecommendationsFile, recommendations, "recommendation", RecommendationList;
    /// `care.toml`
    CareFile, care, "care", CareMessage;
    /// `partners.toml`
    PartnersFile, partners, "partner", Partner;
    /// `factors.json`
    FactorsFile, factors, "item", ItemFactors;
    /// `network.json`
    NetworkFile, items, "item", NetworkItem;
}

/// What a file of the folder holds.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
enum Holds {
    Shop,
    Catalogue,
    Members,
    Segments,
    Campaigns,
    Promotions,
    Coupons,
    Codes,
    Points,
    Recommendations,
    Care,
    Partners,
    Factors,
    Network,
}

/// The one file that is no text.
const NETWORK: &str = "network.onnx";

const NAMES: &[(&str, Holds)] = &[
    ("shop", Holds::Shop),
    ("catalogue", Holds::Catalogue),
    ("members", Holds::Members),
    ("segments", Holds::Segments),
    ("campaigns", Holds::Campaigns),
    ("promotions", Holds::Promotions),
    ("coupons", Holds::Coupons),
    ("codes", Holds::Codes),
    ("points", Holds::Points),
    ("recommendations", Holds::Recommendations),
    ("care", Holds::Care),
    ("partners", Holds::Partners),
    ("factors", Holds::Factors),
    ("network", Holds::Network),
];

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Form {
    Toml,
    Json,
}

/// An authored file with its text, to turn spans into lines and columns.
pub(super) struct Source {
    path: String,
    text: String,
    form: Form,
}

impl Source {
    /// The tree, for a file that has been read without faults before; `None` if it holds one.
    fn tree(&self) -> Option<Node> {
        match self.form {
            Form::Toml => located::from_toml(&self.text).ok(),
            Form::Json => located::from_json(&self.text).ok(),
        }
    }

    fn finding(&self, byte: usize, code: Code, message: String) -> Finding {
        let (line, column) = line_and_column(&self.text, byte);
        Finding { file: self.path.clone(), line, column, code, message }
    }
}

fn line_and_column(text: &str, byte: usize) -> (u32, u32) {
    let mut byte = byte.min(text.len());
    while !text.is_char_boundary(byte) {
        byte -= 1;
    }
    let before = &text[..byte];
    let line = before.bytes().filter(|b| *b == b'\n').count() + 1;
    let column = before.rsplit('\n').next().unwrap_or_default().chars().count() + 1;
    (u32::try_from(line).unwrap_or(u32::MAX), u32::try_from(column).unwrap_or(u32::MAX))
}

/// Entries of one kind, each with the place it was written at.
pub(super) struct Entries<T> {
    /// What was written.
    pub(super) values: Vec<T>,
    /// For each: the file and its place in the file's list.
    places: Vec<(usize, usize)>,
    key: &'static str,
}

impl<T> Entries<T> {
    fn none(key: &'static str) -> Entries<T> {
        Entries { values: Vec::new(), places: Vec::new(), key }
    }

    /// Where a part of an entry was written.
    pub(super) fn place(&self, index: usize, path: Vec<Step>) -> Place {
        let (file, nth) = self.places[index];
        let steps = [Step::Key(self.key), Step::At(nth)].into_iter().chain(path).collect();
        Place { file, steps, column: None }
    }
}

/// A part of a file; found in its text only if there is something to say about it.
#[derive(Clone, Debug)]
pub(super) struct Place {
    file: usize,
    steps: Vec<Step>,
    /// Character inside the text that stands there, from 1.
    column: Option<u32>,
}

impl Place {
    /// Is it the same part of the same file?
    pub(super) fn is_same(&self, other: &Place) -> bool {
        self.file == other.file && self.steps == other.steps
    }

    /// A character inside the text that stands at this place.
    pub(super) fn inside(mut self, column: u32) -> Place {
        self.column = Some(column);
        self
    }
}

/// Something `check` has to say.
pub(super) struct Remark {
    pub(super) place: Place,
    pub(super) code: Code,
    pub(super) message: String,
}

/// Everything that was written, with its places.
pub(super) struct Folder {
    pub(super) shop: Shop,
    shop_file: usize,
    pub(super) points: PointsProgramme,
    points_file: usize,
    pub(super) items: Entries<Item>,
    pub(super) members: Entries<MemberRecord>,
    pub(super) segments: Entries<Segment>,
    pub(super) campaigns: Entries<Campaign>,
    pub(super) promotions: Entries<Promotion>,
    pub(super) coupons: Entries<Coupon>,
    pub(super) codes: Entries<CodeRecord>,
    pub(super) recommendations: Entries<RecommendationList>,
    pub(super) care: Entries<CareMessage>,
    pub(super) partners: Entries<Partner>,
    pub(super) factors: Entries<ItemFactors>,
    pub(super) network: Entries<NetworkItem>,
}

impl Folder {
    /// A part of the shop's settings.
    pub(super) fn shop_place(&self, path: Vec<Step>) -> Place {
        Place { file: self.shop_file, steps: path, column: None }
    }

    /// A part of the points programme.
    pub(super) fn points_place(&self, path: Vec<Step>) -> Place {
        Place { file: self.points_file, steps: path, column: None }
    }
}

/// Reads and checks a folder: its files as (path inside the folder, bytes), in any order.
///
/// # Errors
/// Every finding, by file and position; at most `limits::AUTHORING_FINDINGS_MAX`.
pub fn read(files: Vec<(String, Vec<u8>)>) -> Result<Authored, Vec<Finding>> {
    read_and_advise(files).map(|(authored, _)| authored)
}

/// Reads and checks a folder, and says beside it what is allowed and most likely not meant.
///
/// # Errors
/// As `read`; advice is only given on a folder without faults.
pub fn read_and_advise(files: Vec<(String, Vec<u8>)>) -> Result<Advised, Vec<Finding>> {
    let mut files = files;
    files.sort_by(|a, b| a.0.cmp(&b.0));
    let mut reading = Reading { sources: Vec::new(), findings: Vec::new() };
    let mut holds = Vec::new();
    let mut model = None;
    for (path, bytes) in files {
        if path == NETWORK {
            model = Some(bytes);
            continue;
        }
        match kind(&path) {
            Ok(Some((what, form))) => {
                if let Some(text) = reading.text(&path, bytes) {
                    holds.push(what);
                    reading.sources.push(Source { path, text, form });
                }
            }
            Ok(None) => {}
            Err(message) => reading.about_file(path, Code::AuthoringFileUnknown, message),
        }
    }
    let shop = reading.single::<Shop>(&holds, Holds::Shop);
    if shop.is_none() && !holds.contains(&Holds::Shop) && reading.findings.is_empty() {
        let message = "is not in the folder; it is the one file a bundle cannot do without".to_owned();
        reading.about_file("shop.toml".into(), Code::AuthoringFileMissing, message);
    }
    let points = reading.single::<PointsProgramme>(&holds, Holds::Points);
    let (items, members) = (
        reading.list::<CatalogueFile>(&holds, Holds::Catalogue),
        reading.list::<MembersFile>(&holds, Holds::Members),
    );
    let segments = reading.list::<SegmentsFile>(&holds, Holds::Segments);
    let campaigns = reading.list::<CampaignsFile>(&holds, Holds::Campaigns);
    let promotions = reading.list::<PromotionsFile>(&holds, Holds::Promotions);
    let coupons = reading.list::<CouponsFile>(&holds, Holds::Coupons);
    let codes = reading.list::<CodesFile>(&holds, Holds::Codes);
    let recommendations = reading.list::<RecommendationsFile>(&holds, Holds::Recommendations);
    let care = reading.list::<CareFile>(&holds, Holds::Care);
    let partners = reading.list::<PartnersFile>(&holds, Holds::Partners);
    let factors = reading.list::<FactorsFile>(&holds, Holds::Factors);
    let network = reading.list::<NetworkFile>(&holds, Holds::Network);
    let Some((shop, shop_file)) = shop else {
        return Err(reading.finish());
    };
    let (points, points_file) = points.unwrap_or((PointsProgramme::default(), shop_file));
    let folder = Folder {
        shop,
        shop_file,
        points,
        points_file,
        items,
        members,
        segments,
        campaigns,
        promotions,
        coupons,
        codes,
        recommendations,
        care,
        partners,
        factors,
        network,
    };
    // An entry that could not be read is missing for all that refer to it; saying so would hide the cause.
    let whole = reading.findings.is_empty();
    let remarks = check::remarks(&folder, whole);
    reading.note(remarks);
    if holds.contains(&Holds::Network) != model.is_some() {
        let (there, missing) =
            if model.is_some() { (NETWORK, "network.json") } else { ("network.json", NETWORK) };
        let message = format!("is not in the folder, and {there} is of no use without it");
        reading.about_file(missing.to_owned(), Code::AuthoringFileMissing, message);
    } else if let Some(model) = model.as_ref().filter(|_| whole)
        && let Err(fault) = Network::read(model, folder.network.values.len())
    {
        reading.about_file(NETWORK.to_owned(), fault.code(), fault.to_string());
    }
    if !reading.findings.is_empty() {
        return Err(reading.finish());
    }
    reading.note(warnings::remarks(&folder));
    let rules = Rules {
        shop: folder.shop,
        catalogue: folder.items.values,
        segments: folder.segments.values,
        campaigns: folder.campaigns.values,
        promotions: folder.promotions.values,
        coupons: folder.coupons.values,
        points: folder.points,
        recommendations: folder.recommendations.values,
        care: folder.care.values,
        partners: folder.partners.values,
        factors: folder.factors.values,
        network: model.map(|model| ShippedNetwork {
            items: folder.network.values.into_iter().map(|item| item.sku).collect(),
            model: Blob(model),
        }),
    };
    let authored = Authored { rules, members: folder.members.values, codes: folder.codes.values };
    Ok((authored, reading.finish()))
}

/// What a path of the folder holds; nothing if it is not ours to read.
fn kind(path: &str) -> Result<Option<(Holds, Form)>, String> {
    if path.split('/').any(|part| part.starts_with('.')) {
        return Ok(None);
    }
    if path.ends_with(".onnx") {
        return Err(format!("a model is called {NETWORK}"));
    }
    let Some((stem, form)) = path
        .strip_suffix(".toml")
        .map(|stem| (stem, Form::Toml))
        .or_else(|| path.strip_suffix(".json").map(|stem| (stem, Form::Json)))
    else {
        return Ok(None);
    };
    let name = stem.strip_prefix("promotions/").map_or(stem, |_| "promotions");
    match NAMES.iter().find(|(known, _)| *known == name) {
        Some((_, holds)) => Ok(Some((*holds, form))),
        None => {
            let known: Vec<&str> = NAMES.iter().map(|(name, _)| *name).collect();
            Err(format!("no file is called that; there are {} and promotions/*", known.join(", ")))
        }
    }
}

struct Reading {
    sources: Vec<Source>,
    findings: Vec<Finding>,
}

impl Reading {
    fn about_file(&mut self, file: String, code: Code, message: String) {
        self.findings.push(Finding { file, line: 0, column: 0, code, message });
    }

    fn text(&mut self, path: &str, bytes: Vec<u8>) -> Option<String> {
        if bytes.len() > limits::AUTHORING_FILE_BYTES_MAX {
            let message = format!("has {} bytes, at most {}", bytes.len(), limits::AUTHORING_FILE_BYTES_MAX);
            self.about_file(path.to_owned(), Code::AuthoringRange, message);
            return None;
        }
        match String::from_utf8(bytes) {
            Ok(text) => Some(text),
            Err(error) => {
                let good = error.utf8_error().valid_up_to();
                let text = String::from_utf8_lossy(&error.as_bytes()[..good]).into_owned();
                let (line, column) = line_and_column(&text, good);
                let message = "is not UTF-8 from here on".to_owned();
                let file = path.to_owned();
                self.findings.push(Finding { file, line, column, code: Code::AuthoringSyntax, message });
                None
            }
        }
    }

    /// The value of a whole file, straight from JSON or through the tree with every fault.
    fn file<T, J: DeserializeOwned>(
        &mut self,
        file: usize,
        straight: impl FnOnce(J) -> T,
        read: impl FnOnce(&Node) -> Result<T, Vec<Fault>>,
    ) -> Option<T> {
        let source = &self.sources[file];
        let tree = match source.form {
            Form::Json => match serde_json::from_str(&source.text) {
                Ok(value) => return Some(straight(value)),
                Err(_) => located::from_json(&source.text),
            },
            Form::Toml => located::from_toml(&source.text),
        };
        let (code, faults) = match tree.as_ref().map(read) {
            Ok(Ok(value)) => return Some(value),
            Ok(Err(faults)) => (Code::AuthoringField, faults),
            Err(faults) => (Code::AuthoringSyntax, faults.clone()),
        };
        let findings = faults.into_iter().map(|fault| source.finding(fault.span.start, code, fault.message));
        self.findings.extend(findings);
        None
    }

    fn of(&self, holds: &[Holds], what: Holds) -> Vec<usize> {
        (0..self.sources.len()).filter(|file| holds[*file] == what).collect()
    }

    fn single<T: DeserializeOwned>(&mut self, holds: &[Holds], what: Holds) -> Option<(T, usize)> {
        let files = self.of(holds, what);
        for file in files.iter().skip(1) {
            let (path, other) = (self.sources[*file].path.clone(), &self.sources[files[0]].path);
            let message = format!("the folder holds {other} already");
            self.about_file(path, Code::AuthoringDuplicate, message);
        }
        let file = *files.first()?;
        self.file(file, |value| value, located::read).map(|value| (value, file))
    }

    fn list<F: ListFile>(&mut self, holds: &[Holds], what: Holds) -> Entries<F::Entry> {
        let mut entries = Entries::none(F::KEY);
        for file in self.of(holds, what) {
            let read = |root: &Node| located::read_list(root, F::KEY);
            let values = self.file(file, F::entries, read).unwrap_or_default();
            entries.places.extend((0..values.len()).map(|nth| (file, nth)));
            entries.values.extend(values);
        }
        entries
    }

    /// Finds the places of remarks; a file's tree is made once.
    fn note(&mut self, mut remarks: Vec<Remark>) {
        remarks.sort_by_key(|remark| remark.place.file);
        let mut tree: Option<(usize, Option<Node>)> = None;
        for Remark { place, code, message } in remarks.into_iter().take(limits::AUTHORING_FINDINGS_MAX) {
            let source = &self.sources[place.file];
            if tree.as_ref().is_none_or(|(file, _)| *file != place.file) {
                tree = Some((place.file, source.tree()));
            }
            let span = match &tree {
                Some((_, Some(root))) => root.part(&place.steps).span.clone(),
                _ => 0..0,
            };
            let within = place.column.map_or(0, |column| inside(&source.text[span.clone()], column));
            self.findings.push(source.finding(span.start + within, code, message));
        }
    }

    fn finish(mut self) -> Vec<Finding> {
        self.findings.sort();
        self.findings.dedup();
        self.findings.truncate(limits::AUTHORING_FINDINGS_MAX);
        self.findings
    }
}

/// Bytes from the start of a quoted text to its character `column`; 0 where escapes make that uncertain.
fn inside(quoted: &str, column: u32) -> usize {
    let quotes = quoted.bytes().take_while(|b| matches!(b, b'"' | b'\'')).count();
    let quotes = if quotes >= 6 || quotes == 2 { quotes / 2 } else { quotes };
    if quoted.starts_with('"') && quoted.contains('\\') {
        return 0;
    }
    let newline = if quotes == 3 { quoted[3..].starts_with('\n') } else { false };
    let start = quotes + usize::from(newline);
    let nth = usize::try_from(column).unwrap_or(usize::MAX).saturating_sub(1);
    start + quoted[start..].char_indices().nth(nth).map_or(0, |(byte, _)| byte)
}

/// The published JSON Schemas: (file name without ending, schema).
pub fn schemas() -> Vec<(&'static str, schemars::Schema)> {
    vec![
        ("shop", schemars::schema_for!(Shop)),
        ("catalogue", schemars::schema_for!(CatalogueFile)),
        ("members", schemars::schema_for!(MembersFile)),
        ("segments", schemars::schema_for!(SegmentsFile)),
        ("campaigns", schemars::schema_for!(CampaignsFile)),
        ("promotions", schemars::schema_for!(PromotionsFile)),
        ("coupons", schemars::schema_for!(CouponsFile)),
        ("codes", schemars::schema_for!(CodesFile)),
        ("points", schemars::schema_for!(PointsProgramme)),
        ("recommendations", schemars::schema_for!(RecommendationsFile)),
        ("care", schemars::schema_for!(CareFile)),
        ("partners", schemars::schema_for!(PartnersFile)),
        ("factors", schemars::schema_for!(FactorsFile)),
        ("network", schemars::schema_for!(NetworkFile)),
    ]
}
