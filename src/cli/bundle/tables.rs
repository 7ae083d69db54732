//! Business rules as text: reads a table of cases (given, basket, expect), prices them and compares.
//!
//! One grammar for two readers: marketing people, whose tables stand beside the rules they try (`tests/*.txt` of a bundle's
//! folder, run by `aisled bundle test`), and our own suite (`tests/pricing/*.txt`), whose tables bring their own goods and
//! offers. Words after `#` are for people. Amounts are as people write them; offers are in the bundle's own authoring form
//! (TOML, minor units).
//!
//! ```text
//! at 2026-11-21 12:00                              when, for all cases; by default this Saturday noon
//! shop rounding = "half_up"                        arithmetic of the bundle, resolution, group_resolution; TOML, optional
//! points earn = { points = 1, per_amount = 100 }   programme of the bundle, likewise
//! goods                                            beside what the folder's catalogue has
//!   milk 牛奶 / milk 12.50 member 11.00 list 15.00 floor 5.00 cost 8.00 kg in dairy,fresh brand sunny mark season=spring
//! offer half 第二件半价 / second one at half price
//!   benefit = { nth_item = { n = 2, reward = { percent = 50 } } }
//! case 两盒牛奶 / two milks
//!   with half                                      offers of the case; all if not said
//!   basket 2 milk, 500g apple, 1 tea @ 9.90        lines 1, 2, 3; an article by sku, by name, or by a part only it has
//!   member hh13 | member tier=gold points=500 orders=3 birthday=11-21 tag=vip group=staff segment=loyal id=m1
//!   at 2026-11-21 12:00 | zone fresh | channel kiosk | device till-2 | offline 30
//!   code FRESH10 | code SAVE=half | code OLD!code_used | claim half 2 | spend 500 | spend max | card GC 20.00
//!   before 1 2026-11-23 | choose gifts tea,mug | gone mug
//!   used half here uses=3 | used half today units=5 | used half member money=3.00 | used half member-today uses=1
//!   used half device uses=1 | used half code uses=1
//!   expect total 18.75 | expect off 6.25 | expect half 6.25 | expect half 6.25 x 1 units 1
//!   expect line 1 18.75 | expect shares 1 1 x 12.50, 1 x 6.25 | expect order half, vip
//!   expect no vip audience "tier is silver, needs gold" | expect lost a to b by 1.00 | expect silent vip
//!   expect gift tea 1 | expect issue tenoff 30 | expect earn 12 | expect spend 500 for 5.00 | expect short too_few_points
//!   expect card GC 10.00 left 10.00 | expect code SAVE applied | expect code OLD refused code_used
//!   expect near half 1 milk gain 6.25 | expect near full 12.00 gain 20.00 | expect nothing near
//!   return 1 milk, 1 line 3, 1 gift 1              goods come back, after the returns above; then, of this return:
//!   expect refund 6.25 | expect left 1 1 | expect taken 12 | expect given 500 | expect blocked half | expect whole
//! ```

mod expect;
mod given;

pub use given::Given;

use std::collections::BTreeMap;
use std::fmt::Write as _;

use serde::Serialize;
use serde::de::DeserializeOwned;

use crate::bundle::authoring::Authored;
use crate::bundle::document::{CodeRecord, Coupon, MemberRecord, Shop};
use crate::domain::catalog::{Item, SoldBy};
use crate::domain::ids::{CouponCode, MemberId, Sku};
use crate::domain::money::{Currency, Money};
use crate::domain::text::{Lang, Texts};
use crate::pricing::model::{PointsProgramme, Promotion};
use crate::pricing::outcome::Priced;
use crate::shopper::segment::Segments;

/// When cases happen that do not say: a Saturday at noon, the same on every day somebody runs them.
const AT: &str = "2026-11-21 12:00";

/// What a table's cases stand on.
#[derive(Clone, Debug)]
pub struct Ground {
    /// The shop's settings.
    pub shop: Shop,
    /// The assortment.
    pub catalogue: Vec<Item>,
    /// In declared order.
    pub promotions: Vec<Promotion>,
    /// The programme.
    pub points: PointsProgramme,
    /// Coupon definitions.
    pub coupons: Vec<Coupon>,
    /// Who may be named as a member.
    pub members: BTreeMap<MemberId, MemberRecord>,
    /// Single-use codes, in their normal form.
    pub codes: BTreeMap<CouponCode, CodeRecord>,
    /// Who is in which segment; nothing but what a case says, where none are declared.
    pub segments: Option<Segments>,
}

impl Ground {
    /// A bundle's folder.
    pub fn of(authored: Authored) -> Ground {
        let Authored { rules, members, codes } = authored;
        let sources: Vec<_> =
            rules.segments.iter().map(|segment| (segment.id.clone(), segment.when.as_str())).collect();
        let normal = |code: &CodeRecord| CouponCode::normal(code.code.as_str()).ok();
        Ground {
            segments: Segments::compile(&rules.shop.schema(&rules.catalogue), &sources).ok(),
            shop: rules.shop,
            catalogue: rules.catalogue,
            promotions: rules.promotions,
            points: rules.points,
            coupons: rules.coupons,
            members: members.into_iter().map(|member| (member.id.clone(), member)).collect(),
            codes: codes.into_iter().filter_map(|code| Some((normal(&code)?, code))).collect(),
        }
    }

    /// A shop that has nothing: its tables bring all they need.
    pub fn bare() -> Ground {
        let shop = "chain = 'tables'\ncurrency = { code = 'CNY' }\ntime_zone = 'Asia/Shanghai'";
        Ground {
            shop: toml::from_str(shop).expect("a constant shop is valid"),
            catalogue: Vec::new(),
            promotions: Vec::new(),
            points: PointsProgramme::default(),
            coupons: Vec::new(),
            members: BTreeMap::new(),
            codes: BTreeMap::new(),
            segments: None,
        }
    }
}

/// What is wrong at a line: found and expected, in both languages.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Finding {
    /// From 1.
    pub line: usize,
    /// Of the case; empty outside of cases.
    pub case: String,
    /// Is the table to be mended, or do rules and table differ?
    pub kind: Kind,
    /// What stands there, or what came out.
    pub found: String,
    /// What may stand there, or what was to come out.
    pub expected: Texts,
}

/// What kind of finding.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Kind {
    /// The table cannot be read here.
    Unreadable,
    /// The rules do not do what the table expects.
    Different,
}

impl Finding {
    /// For people, after `file:line: `.
    pub fn tell(&self, lang: Lang) -> String {
        let Finding { found, case, .. } = self;
        let expected = self.expected.get(lang);
        let case = if case.is_empty() { String::new() } else { format!("{case}: ") };
        match (self.kind, lang) {
            (Kind::Different, Lang::En) => format!("{case}expected {expected}, found {found}"),
            (Kind::Different, Lang::ZhCn) => format!("{case}预期 {expected}，实际 {found}"),
            (Kind::Unreadable, Lang::En) => format!("{case}found {found:?}, expected {expected}"),
            (Kind::Unreadable, Lang::ZhCn) => format!("{case}写的是“{found}”，应为{expected}"),
        }
    }
}

/// What stands there, and what may; a `Finding` once it has its line.
#[derive(Clone, Debug)]
pub struct Wrong {
    found: String,
    expected: Texts,
}

pub(crate) fn wrong(found: &str, zh_cn: &str, en: &str) -> Wrong {
    Wrong { found: found.to_owned(), expected: Texts::both(zh_cn, en) }
}

impl Wrong {
    fn at(self, line: usize, case: &str) -> Finding {
        let Wrong { found, expected } = self;
        Finding { line, case: case.to_owned(), kind: Kind::Unreadable, found, expected }
    }
}

/// A table, read.
pub struct Table {
    ground: Ground,
    at: String,
    /// In the order of the file.
    pub cases: Vec<Case>,
}

/// A case: what is given, what is done, what is expected, line by line.
#[derive(Clone, Debug, Default)]
pub struct Case {
    /// What people call it.
    pub title: String,
    /// Where it stands, from 1.
    pub line: usize,
    lines: Vec<(usize, String)>,
}

impl Table {
    /// Reads a table that stands on `ground`.
    ///
    /// # Errors
    /// Everything that cannot be read, by line.
    pub fn read(text: &str, ground: &Ground) -> Result<Table, Vec<Finding>> {
        let mut table = Table { ground: ground.clone(), at: AT.to_owned(), cases: Vec::new() };
        let mut findings = Vec::new();
        let mut section = Section::default();
        for (number, line) in (1..).zip(text.lines()) {
            let line = line.split_once(" #").map_or(line, |(before, _)| before).trim_end();
            if line.is_empty() || line.starts_with('#') {
                continue;
            }
            if let Some(inner) = line.strip_prefix("  ").or_else(|| line.strip_prefix('\t')) {
                match (table.cases.last_mut(), section.heading.starts_with("case ")) {
                    (Some(case), true) => {
                        case.lines.extend(inner.split(" | ").map(|part| (number, part.trim().to_owned())));
                    }
                    _ => section.body.push((number, inner.to_owned())),
                }
                continue;
            }
            table.end(std::mem::take(&mut section), &mut findings);
            section = Section { line: number, heading: line.to_owned(), body: Vec::new() };
            if let Some(title) = line.strip_prefix("case ") {
                let title = title.trim().to_owned();
                table.cases.push(Case { title, line: number, lines: Vec::new() });
            }
        }
        table.end(section, &mut findings);
        if findings.is_empty() { Ok(table) } else { Err(findings) }
    }

    fn end(&mut self, section: Section, findings: &mut Vec<Finding>) {
        let (kind, heading) = section.heading.split_once(' ').unwrap_or((&section.heading, ""));
        let toml = || {
            let mut text = format!("{heading}\n");
            section.body.iter().for_each(|(_, line)| writeln!(text, "{line}").expect("text grows"));
            text
        };
        let mut note = |line: usize, wrong: Wrong| findings.push(wrong.at(line, ""));
        match kind {
            "" | "case" => {
                if let Some((line, text)) = section.body.first().filter(|_| kind.is_empty()) {
                    note(*line, wrong(text, "先写小节名称，例如 case", "a section first, such as case"));
                }
            }
            "at" => self.at = heading.trim().to_owned(),
            "goods" => {
                for (line, text) in &section.body {
                    match good(text, &self.ground.shop.currency) {
                        Ok(item) => self.ground.catalogue.push(item),
                        Err(wrong) => note(*line, wrong),
                    }
                }
            }
            "offer" => match offer(heading, &section.body) {
                Ok(offer) => {
                    self.ground.promotions.retain(|known| known.id != offer.id);
                    self.ground.promotions.push(offer);
                }
                Err(wrong) => note(section.line, wrong),
            },
            "shop" => match shop(&mut self.ground.shop, &toml()) {
                Ok(()) => {}
                Err(error) => note(section.line, toml_fault(heading, &error)),
            },
            "points" => match toml::from_str(&toml()) {
                Ok(points) => self.ground.points = points,
                Err(error) => note(section.line, toml_fault(heading, &error)),
            },
            _ => {
                let sections = "case, goods, offer, shop, points, at";
                let zh_cn = format!("小节 {sections} 之一；其内容缩进两格");
                let en = format!("one of the sections {sections}, their lines indented by two");
                note(section.line, wrong(&section.heading, &zh_cn, &en));
            }
        }
    }

    /// What a case stands on, ready to be priced.
    ///
    /// # Errors
    /// Everything of it that cannot be read.
    pub fn given(&self, case: &Case) -> Result<Given, Vec<Finding>> {
        Given::read(&self.ground, &self.at, case)
    }

    /// Prices every case; every finding, by line.
    pub fn run(&self) -> Vec<Finding> {
        let mut findings = Vec::new();
        for case in &self.cases {
            match self.given(case) {
                Ok(given) => {
                    let priced = given.price(&given.basket);
                    match priced {
                        Ok(priced) => findings.extend(self.judge(case, &given, &priced)),
                        Err(wrong) => findings.push(wrong.at(case.line, &case.title)),
                    }
                }
                Err(faults) => findings.extend(faults),
            }
        }
        findings
    }

    /// Compares a case with what came out, its returns with it.
    pub fn judge(&self, case: &Case, given: &Given, priced: &Priced) -> Vec<Finding> {
        let mut findings = Vec::new();
        let mut expects = 0;
        let mut seen = expect::Seen::new(given, priced);
        for (line, text) in &case.lines {
            let judged = if let Some(expected) = text.strip_prefix("expect ") {
                expects += 1;
                seen.compare(expected.trim()).map_err(|miss| (Some(expected), miss))
            } else if let Some(back) = text.strip_prefix("return ") {
                seen.give_back(back.trim()).map_err(|wrong| (None, expect::Miss::Wrong(wrong)))
            } else {
                Ok(())
            };
            match judged {
                Ok(()) => {}
                Err((_, expect::Miss::Wrong(wrong))) => findings.push(wrong.at(*line, &case.title)),
                Err((expected, expect::Miss::Found(found))) => findings.push(Finding {
                    line: *line,
                    case: case.title.clone(),
                    kind: Kind::Different,
                    found,
                    expected: Texts::both(expected.unwrap_or_default(), expected.unwrap_or_default()),
                }),
            }
        }
        if expects == 0 {
            let wrong = wrong(&case.title, "至少一行 expect", "at least one line that begins with expect");
            findings.push(wrong.at(case.line, ""));
        }
        findings
    }
}

#[derive(Default)]
struct Section {
    line: usize,
    heading: String,
    body: Vec<(usize, String)>,
}

fn toml_fault(found: &str, error: &toml::de::Error) -> Wrong {
    let why = error.message();
    wrong(found, &format!("与规则文件相同的写法 ({why})"), &format!("the form of the bundle's files ({why})"))
}

/// An amount as people write it: whole, or with all decimals of the currency.
fn shop(shop: &mut Shop, text: &str) -> Result<(), toml::de::Error> {
    let mut fields: toml::Table = toml::from_str(text)?;
    if let Some(mode) = fields.remove("resolution") {
        shop.resolution = mode.try_into()?;
    }
    if let Some(groups) = fields.remove("group_resolution") {
        shop.group_resolution = groups.try_into()?;
    }
    shop.arithmetic = fields.try_into()?;
    Ok(())
}

pub(crate) fn amount(text: &str, currency: &Currency) -> Result<Money, Wrong> {
    let decimals = usize::from(currency.minor_units);
    let (whole, part) = text.split_once('.').unwrap_or((text, ""));
    let digits = |text: &str| text.bytes().all(|byte| byte.is_ascii_digit());
    let read = (!whole.is_empty() && digits(whole) && digits(part))
        .then(|| format!("{whole}{part:0<decimals$}"))
        .filter(|_| part.is_empty() && !text.ends_with('.') || part.len() == decimals)
        .and_then(|number| number.parse().ok());
    let example = currency.format(Money(1250));
    read.map(Money)
        .ok_or_else(|| wrong(text, &format!("金额，例如 {example}"), &format!("an amount such as {example}")))
}

/// A whole number.
pub(crate) fn number<T: std::str::FromStr>(text: &str) -> Result<T, Wrong> {
    text.parse().map_err(|_| wrong(text, "整数", "a whole number"))
}

/// A word of a closed list, or an id.
pub(crate) fn word<T: DeserializeOwned>(text: &str) -> Result<T, Wrong> {
    serde_json::from_value(serde_json::Value::String(text.to_owned())).map_err(|error| {
        let why = error.to_string();
        wrong(text, &format!("有效的名称 ({why})"), &format!("a valid name ({why})"))
    })
}

fn names(text: &str) -> Texts {
    let (zh, en) = text.split_once(" / ").unwrap_or((text, text));
    Texts::both(zh.trim(), en.trim())
}

fn good(line: &str, currency: &Currency) -> Result<Item, Wrong> {
    let form = || wrong(line, "商品：编码 名称 价格", "an article: sku, names, price");
    let mut words = line.split_whitespace();
    let sku: Sku = word(words.next().ok_or_else(form)?)?;
    let mut title = Vec::new();
    let price = loop {
        let word = words.next().ok_or_else(form)?;
        if word.contains('.') && word.bytes().all(|b| b.is_ascii_digit() || b == b'.') {
            break amount(word, currency)?;
        }
        title.push(word);
    };
    let mut item = Item {
        sku,
        names: names(&title.join(" ")),
        price,
        list_price: None,
        member_price: None,
        floor_price: None,
        cost: None,
        sold_by: SoldBy::Piece,
        categories: Vec::new(),
        brand: None,
        attributes: BTreeMap::new(),
    };
    while let Some(key) = words.next() {
        if key == "kg" {
            item.sold_by = SoldBy::Kilogram;
            continue;
        }
        let value = words.next().ok_or_else(form)?;
        match key {
            "member" => item.member_price = Some(amount(value, currency)?),
            "list" => item.list_price = Some(amount(value, currency)?),
            "floor" => item.floor_price = Some(amount(value, currency)?),
            "cost" => item.cost = Some(amount(value, currency)?),
            "in" => item.categories = value.split(',').map(word).collect::<Result<_, _>>()?,
            "brand" => item.brand = Some(word(value)?),
            "mark" => {
                let (key, value) =
                    value.split_once('=').ok_or_else(|| wrong(value, "mark 键=值", "mark key=value"))?;
                item.attributes.insert(word(key)?, word(value)?);
            }
            _ => {
                let words = "member, list, floor, cost, kg, in, brand, mark";
                return Err(wrong(key, &format!("{words} 之一"), &format!("one of {words}")));
            }
        }
    }
    Ok(item)
}

fn offer(heading: &str, body: &[(usize, String)]) -> Result<Promotion, Wrong> {
    let form = || wrong(heading, "offer 编号 名称", "offer, an id and a title");
    let (name, title) = heading.split_once(' ').ok_or_else(form)?;
    let text: String = body.iter().map(|(_, line)| format!("{line}\n")).collect();
    let mut table: toml::Table = text.parse().map_err(|error| toml_fault(name, &error))?;
    table.insert("id".into(), name.into());
    let titles = names(title);
    let titles =
        [Lang::ZhCn, Lang::En].map(|lang| (lang.tag().to_owned(), toml::Value::from(titles.get(lang))));
    table.insert("titles".into(), toml::Value::Table(titles.into_iter().collect()));
    table.try_into().map_err(|error| toml_fault(name, &error))
}
