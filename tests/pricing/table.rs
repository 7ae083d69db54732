//! Business rules as text: reads a table of `tests/pricing`, prices its cases and compares.
//!
//! A table is goods, offers and cases. Words after `#` are for people. Prices in goods and cases are in yuan as people
//! write them; offers are in the bundle's own authoring form (TOML, minor units).
//!
//! ```text
//! shop rounding = "half_up"                        arithmetic of the bundle, TOML, optional; more of it indented
//! points earn = { points = 1, per_amount = 100 }   programme of the bundle, likewise
//! goods
//!   milk 牛奶 / milk 12.50 member 11.00 list 15.00 floor 5.00 kg in dairy,fresh brand sunny mark season=spring
//! offer half 第二件半价 / second one at half price
//!   benefit = { nth_item = { n = 2, reward = { percent = 50 } } }
//! case 两盒牛奶 / two milks
//!   with half                                      offers of the case; all if not said
//!   basket 2 milk, 500g apple, 1 tea @ 9.90        lines 1, 2, 3
//!   member tier=gold points=500 orders=3 birthday=11-21 tag=vip group=staff segment=loyal id=m1
//!   at 2026-11-21 12:00 | zone fresh | channel kiosk | device till-2 | offline 30
//!   code SAVE=half | code OLD!code_used | claim half 2 | spend 500 | spend max | card GC 20.00
//!   before 1 2026-11-23 | choose gifts tea,mug | gone mug
//!   used half here uses=3 | used half today units=5 | used half member money=3.00 | used half member-today uses=1
//!   used half device uses=1 | used half code uses=1
//!   expect total 18.75 | expect off 6.25 | expect half 6.25 | expect half 6.25 x 1 units 1
//!   expect line 1 18.75 | expect shares 1 1 x 12.50, 1 x 6.25 | expect order half, vip
//!   expect no vip audience "tier is silver, needs gold" | expect lost a to b by 1.00
//!   expect gift tea 1 | expect issue tenoff 30 | expect earn 12 | expect spend 500 for 5.00 | expect short too_few_points
//!   expect card GC 10.00 left 10.00 | expect code SAVE applied | expect code OLD refused code_used
//!   expect near half 1 milk gain 6.25 | expect near full 12.00 gain 20.00 | expect nothing near
//! ```
//!
//! Each case is also priced with its lines reversed and with each line split into single units: whatever the shopper
//! sees must stay the same.

use std::collections::BTreeMap;
use std::fmt::Write as _;

use aisled::domain::basket::{Basket, Choice, Claim, GiftCard, Line, Notes, PointsWish, Quantity};
use aisled::domain::calendar::{StoreZone, UnixMs};
use aisled::domain::catalog::{Item, SoldBy};
use aisled::domain::ids::{CouponCode, DeviceId, LineId, MemberId, PromotionId, SegmentId, Sku};
use aisled::domain::member::{Ledger, Member, Profile, Usage};
use aisled::domain::money::{Currency, Money};
use aisled::domain::text::{Lang, Texts};
use aisled::pricing::model::{
    Arithmetic, Benefit, Channel, PointsProgramme, PointsReward, Promotion, ResolutionMode,
};
use aisled::pricing::outcome::{Addition, CouponOutcome, Priced, Reason};
use aisled::pricing::{Book, BookRules, CouponRule, PresentedCode, Sale, Shopper};

/// A member nobody has bought anything with.
pub(crate) fn member(name: &str, profile: Profile) -> Member {
    Member { id: id(MemberId::new(name)), profile, ledger: Ledger::default(), profile_as_of: UnixMs(0) }
}

/// A table, read.
pub(crate) struct Table {
    goods: Vec<Item>,
    offers: Vec<Promotion>,
    arithmetic: Arithmetic,
    points: PointsProgramme,
    cases: Vec<Case>,
}

#[derive(Default)]
struct Case {
    title: String,
    lines: Vec<(usize, String)>,
}

fn id<T, E: std::fmt::Debug>(made: Result<T, E>) -> T {
    made.expect("an id of the table")
}

fn yuan(text: &str) -> Money {
    let (whole, cents) = text.split_once('.').unwrap_or((text, "00"));
    assert_eq!(cents.len(), 2, "{text} is an amount with two decimals");
    let number = |t: &str| t.parse::<i64>().unwrap_or_else(|_| panic!("{text:?} is an amount in yuan"));
    Money(number(whole) * 100 + number(cents))
}

fn names(text: &str) -> Texts {
    let (zh, en) = text.split_once(" / ").unwrap_or((text, text));
    Texts::both(zh.trim(), en.trim())
}

fn good(line: &str) -> Item {
    let mut words = line.split_whitespace();
    let sku = words.next().expect("a sku");
    let mut title = Vec::new();
    let price = loop {
        let word = words.next().unwrap_or_else(|| panic!("{line:?} has a price"));
        if word.contains('.') && word.bytes().all(|b| b.is_ascii_digit() || b == b'.') {
            break yuan(word);
        }
        title.push(word);
    };
    let mut item = Item {
        sku: id(Sku::new(sku)),
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
    while let Some(word) = words.next() {
        if word == "kg" {
            item.sold_by = SoldBy::Kilogram;
            continue;
        }
        let value = words.next().unwrap_or_else(|| panic!("{word} of {line:?} has a value"));
        match word {
            "member" => item.member_price = Some(yuan(value)),
            "list" => item.list_price = Some(yuan(value)),
            "floor" => item.floor_price = Some(yuan(value)),
            "in" => item.categories = value.split(',').map(|c| serde(&format!("{c:?}"))).collect(),
            "brand" => item.brand = Some(serde(&format!("{value:?}"))),
            "mark" => {
                let (key, value) = value.split_once('=').expect("mark key=value");
                item.attributes.insert(serde(&format!("{key:?}")), serde(&format!("{value:?}")));
            }
            _ => panic!("{word} of {line:?} is not known"),
        }
    }
    item
}

fn serde<T: serde::de::DeserializeOwned>(json: &str) -> T {
    serde_json::from_str(json).unwrap_or_else(|error| panic!("{json}: {error}"))
}

fn offer(heading: &str, body: &str) -> Promotion {
    let (name, title) = heading.split_once(' ').expect("offer id title");
    let mut table: toml::Table = body.parse().unwrap_or_else(|error| panic!("offer {name}: {error}"));
    table.insert("id".into(), name.into());
    let titles = names(title);
    let titles = [("zh-CN", Lang::ZhCn), ("en", Lang::En)]
        .map(|(tag, lang)| (tag.to_owned(), titles.get(lang).into()));
    table.insert("titles".into(), toml::Value::Table(titles.into_iter().collect()));
    table.try_into().unwrap_or_else(|error| panic!("offer {name}: {error}"))
}

impl Table {
    pub(crate) fn read(text: &str) -> Table {
        let mut table = Table {
            goods: Vec::new(),
            offers: Vec::new(),
            arithmetic: Arithmetic::default(),
            points: PointsProgramme::default(),
            cases: Vec::new(),
        };
        let mut lines = text.lines().enumerate().map(|(number, line)| {
            let line = line.split_once(" #").map_or(line, |(before, _)| before).trim_end();
            (number + 1, if line.starts_with('#') { "" } else { line })
        });
        let mut section = String::new();
        let mut body = String::new();
        let end = |table: &mut Table, section: &str, body: &str| {
            let (kind, heading) = section.split_once(' ').unwrap_or((section, ""));
            match kind {
                "offer" => table.offers.push(offer(heading, body)),
                "goods" => table.goods = body.lines().map(good).collect(),
                "" | "case" => {}
                "shop" => {
                    table.arithmetic = toml::from_str(&format!("{heading}\n{body}")).expect("arithmetic")
                }
                "points" => {
                    table.points = toml::from_str(&format!("{heading}\n{body}")).expect("a programme")
                }
                _ => panic!("{section:?} is not a section"),
            }
        };
        for (number, line) in lines.by_ref() {
            if line.is_empty() {
                continue;
            }
            if let Some(inner) = line.strip_prefix("  ") {
                match section.starts_with("case ") {
                    true => {
                        let case = table.cases.last_mut().expect("a case");
                        case.lines.extend(inner.split(" | ").map(|part| (number, part.trim().to_owned())));
                    }
                    false => writeln!(body, "{inner}").expect("text grows"),
                }
                continue;
            }
            end(&mut table, &section, &body);
            body.clear();
            section = line.to_owned();
            if let Some(title) = line.strip_prefix("case ") {
                table.cases.push(Case { title: title.to_owned(), lines: Vec::new() });
            }
        }
        end(&mut table, &section, &body);
        table
    }

    /// Prices every case; what differs from the table, for people.
    pub(crate) fn run(&self, file: &str) -> (usize, Vec<String>) {
        let mut differences = Vec::new();
        for case in &self.cases {
            let given = Given::read(self, case);
            let priced = given.price(&given.basket);
            invariants(&priced);
            for (number, line) in &case.lines {
                if let Some(expected) = line.strip_prefix("expect ")
                    && let Err(found) = compare(expected, &priced)
                {
                    differences.push(format!("{file}:{number} {}: expected {expected}, {found}", case.title));
                }
            }
            let told = |priced: &Priced| {
                let mut told = priced.clone();
                told.lines.clear();
                told
            };
            for (how, basket) in [("reversed", reversed(&given.basket)), ("split", split(&given.basket))] {
                let other = given.price(&basket);
                invariants(&other);
                if told(&other) != told(&priced) {
                    differences.push(format!(
                        "{file} {}: lines {how} give other figures\n{:#?}\n{:#?}",
                        case.title,
                        told(&priced),
                        told(&other)
                    ));
                }
            }
        }
        (self.cases.len(), differences)
    }
}

fn reversed(basket: &Basket) -> Basket {
    let mut basket = basket.clone();
    basket.lines.reverse();
    basket
}

fn split(basket: &Basket) -> Basket {
    let mut split = basket.clone();
    split.lines.clear();
    if let Some(notes) = &mut split.notes {
        notes.best_before.clear();
    }
    for line in &basket.lines {
        let units =
            if matches!(line.quantity, Quantity::Grams(_)) { 1 } else { line.quantity.units().min(30) };
        for unit in 1..=units {
            let rest = line.quantity.units() - (units - 1);
            let quantity = match line.quantity {
                Quantity::Units(_) => Quantity::Units(if unit == units { rest } else { 1 }),
                grams => grams,
            };
            let part = id(LineId::new(&format!("{}-{unit}", line.line)));
            if let Some((_, day)) = basket.best_before().iter().find(|(dated, _)| *dated == line.line) {
                split.notes.get_or_insert_default().best_before.push((part.clone(), *day));
            }
            split.lines.push(Line { line: part, quantity, ..line.clone() });
        }
    }
    split
}

/// What must hold of every answer.
pub(crate) fn invariants(priced: &Priced) {
    sums(priced);
    let shares = priced.lines.iter().flat_map(|line| &line.shares);
    for share in shares {
        assert!(share.net.is_positive() || share.points == 0, "free units earn none");
    }
}

/// Do the figures add up? Points on gross prices are earned by units that an order's discount made free, too.
pub(crate) fn sums(priced: &Priced) {
    let gross: Money = priced.lines.iter().map(|line| line.gross).sum();
    assert_eq!(gross, priced.subtotal, "lines sum to the subtotal");
    let applied: Money = priced.applied.iter().map(|applied| applied.amount).sum();
    assert_eq!(applied, priced.discount_total, "what applied sums to the discount");
    let tokens: Money = priced.gifts.iter().map(|gift| gift.unit_price.times(gift.qty)).sum();
    let spent: Money = priced.lines.iter().map(|line| line.points_amount).sum();
    assert_eq!(spent, priced.points.spend_amount, "points turned into money");
    assert_eq!(priced.total, priced.subtotal - priced.discount_total - spent + tokens);
    let (mut earned, mut paid) = (0, 0);
    for line in &priced.lines {
        let discounts: Money = line.discounts.iter().map(|discount| discount.amount).sum();
        assert_eq!(line.net, line.gross - discounts - line.points_amount, "line {}", line.line);
        let shares: Money = line.shares.iter().map(|share| share.net.times(share.qty)).sum();
        assert_eq!(line.net, shares, "shares of line {}", line.line);
        assert_eq!(line.units, line.shares.iter().map(|share| share.qty).sum::<u32>());
        assert!(line.shares.iter().all(|share| share.net >= Money::ZERO), "no unit below zero");
        assert!(line.shares.is_sorted_by_key(|share| -share.net), "dearest first");
        earned += line.shares.iter().map(|share| share.points * i64::from(share.qty)).sum::<i64>();
        paid += line.shares.iter().map(|share| share.points_spent * i64::from(share.qty)).sum::<i64>();
    }
    assert_eq!((earned, paid), (priced.points.earn, priced.points.spend), "points of the units");
    let ledger: i64 = priced.points.lines.iter().map(|line| line.points).sum();
    assert_eq!(ledger, earned - paid, "points ledger");
}

struct Given {
    book: Book,
    basket: Basket,
    member: Option<Member>,
    segments: Vec<SegmentId>,
    now: UnixMs,
    device: DeviceId,
    channel: Channel,
    codes: Vec<PresentedCode>,
    usage: BTreeMap<PromotionId, Usage>,
    device_usage: BTreeMap<PromotionId, Usage>,
    offline_hours: Option<u32>,
}

impl Given {
    fn read(table: &Table, case: &Case) -> Given {
        let all = || table.offers.iter().map(|offer| offer.id.to_string()).collect::<Vec<String>>();
        let word = |key: &str| case.lines.iter().find_map(|(_, line)| line.strip_prefix(key).map(str::trim));
        let with = word("with ").map_or_else(all, |names| names.split(", ").map(str::to_owned).collect());
        let offer = |name: &String| {
            let found = table.offers.iter().find(|offer| offer.id.as_str() == name);
            found.unwrap_or_else(|| panic!("{}: no offer is called {name}", case.title)).clone()
        };
        let promotions: Vec<Promotion> = with.iter().map(offer).collect();
        let coupons = promotions.iter().filter_map(|p| match &p.benefit {
            Benefit::IssueCoupon(issue) | Benefit::PointsRedeem(PointsReward { coupon: Some(issue), .. }) => {
                Some(CouponRule { id: issue.coupon.clone(), promotion: id(PromotionId::new("next-visit")) })
            }
            _ => None,
        });
        let coupons: Vec<CouponRule> = coupons.collect();
        let mut promotions = promotions;
        if !coupons.is_empty() {
            promotions.push(self::offer(
                "next-visit 下次 / next visit",
                "trigger='code'\nbenefit={order_amount=1000}",
            ));
        }
        let zone = StoreZone::new("Asia/Shanghai").expect("compiled in");
        let at = word("at ").unwrap_or("2026-11-21 12:00").replace(' ', "T");
        let now = UnixMs::parse_rfc3339(&format!("{at}:00+08:00")).expect("a time of the table");
        let book = Book::compile(BookRules {
            currency: Currency { code: "CNY".into(), minor_units: 2 },
            zone,
            arithmetic: table.arithmetic,
            resolution: ResolutionMode::Sequence,
            catalogue: table.goods.clone(),
            promotions,
            points: table.points.clone(),
            coupons,
        });
        let book = book.unwrap_or_else(|faults| panic!("{}: {faults:#?}", case.title));
        let mut given = Given {
            book,
            basket: Basket::default(),
            member: None,
            segments: Vec::new(),
            now,
            device: id(DeviceId::new(word("device ").unwrap_or("till-1"))),
            channel: word("channel ").map_or(Channel::Till, |name| serde(&format!("{name:?}"))),
            codes: Vec::new(),
            usage: BTreeMap::new(),
            device_usage: BTreeMap::new(),
            offline_hours: word("offline ").map(|hours| hours.parse().expect("hours")),
        };
        given.basket.zone = word("zone ").map(|zone| serde(&format!("{zone:?}")));
        // The member first: what was used needs one.
        for first in [true, false] {
            for (_, line) in case.lines.iter().filter(|(_, line)| line.starts_with("member") == first) {
                let (key, rest) = line.split_once(' ').unwrap_or((line, ""));
                given.word(key, rest.trim());
            }
        }
        given
    }

    fn word(&mut self, key: &str, rest: &str) {
        match key {
            "with" | "expect" | "at" | "zone" | "channel" | "device" | "offline" => {}
            "basket" => {
                self.basket.lines =
                    rest.split(", ").enumerate().map(|(i, line)| basket_line(i + 1, line)).collect()
            }
            "member" => self.member(rest),
            "code" => {
                let (code, right) = match rest.split_once('=') {
                    Some((code, promotion)) => (code, Ok(id(PromotionId::new(promotion)))),
                    None => {
                        let (code, reason) = rest.split_once('!').expect("code X=offer or X!reason");
                        (code, Err(serde::<Reason>(&format!("{reason:?}"))))
                    }
                };
                self.codes.push(PresentedCode {
                    code: id(CouponCode::normal(code)),
                    right,
                    used: Usage::default(),
                });
            }
            "claim" => {
                let (promotion, times) = rest.split_once(' ').unwrap_or((rest, "1"));
                let times = times.parse().expect("times of a claim");
                self.basket.claims.push(Claim { promotion: id(PromotionId::new(promotion)), times });
            }
            "spend" => {
                self.basket.points = Some(match rest {
                    "max" => PointsWish::Max,
                    points => PointsWish::Spend(points.parse().expect("points to spend")),
                });
            }
            "card" => {
                let (code, balance) = rest.split_once(' ').expect("card CODE balance");
                self.basket
                    .gift_cards
                    .push(GiftCard { code: id(CouponCode::normal(code)), balance: yuan(balance) });
            }
            "used" => self.used(rest),
            "before" => {
                let (line, day) = rest.split_once(' ').expect("before LINE DAY");
                self.notes().best_before.push((id(LineId::new(line)), id(day.parse())));
            }
            "choose" => {
                let (promotion, skus) = rest.split_once(' ').expect("choose OFFER SKU,SKU");
                let skus = skus.split(',').map(|sku| id(Sku::new(sku))).collect();
                self.notes().choices.push(Choice { promotion: id(PromotionId::new(promotion)), skus });
            }
            "gone" => self.notes().gone.extend(rest.split(',').map(|sku| id(Sku::new(sku)))),
            _ => panic!("{key} {rest} is not known"),
        }
    }

    fn notes(&mut self) -> &mut Notes {
        self.basket.notes.get_or_insert_default()
    }

    fn member(&mut self, rest: &str) {
        let mut member = member("m1", Profile::default());
        for part in rest.split_whitespace() {
            let (key, value) = part.split_once('=').expect("member key=value");
            let quoted = format!("{value:?}");
            match key {
                "id" => member.id = serde(&quoted),
                "tier" => member.profile.tier = Some(serde(&quoted)),
                "tag" => member.profile.tags.push(serde(&quoted)),
                "group" => member.profile.groups.push(serde(&quoted)),
                "birthday" => member.profile.birthday = Some(value.parse().expect("a birthday")),
                "orders" => member.ledger.visits = value.parse().expect("orders"),
                "points" => member.ledger.points.settled = value.parse().expect("points"),
                "segment" => self.segments.push(serde(&quoted)),
                _ => panic!("{key} of a member is not known"),
            }
        }
        self.segments.sort();
        self.member = Some(member);
    }

    fn used(&mut self, rest: &str) {
        let words: Vec<&str> = rest.split_whitespace().collect();
        let [promotion, by, what @ ..] = words.as_slice() else { panic!("used offer where what: {rest}") };
        let promotion = id(PromotionId::new(promotion));
        let usage = match *by {
            "here" | "today" => self.usage.entry(promotion).or_default(),
            "device" => self.device_usage.entry(promotion).or_default(),
            "member" | "member-today" => {
                let member = self.member.as_mut().expect("a member used it");
                member.ledger.usage.entry(promotion).or_default()
            }
            "code" => {
                let code = self.codes.iter_mut().find(|code| code.right.as_ref() == Ok(&promotion));
                &mut code.expect("the code stands before").used
            }
            _ => panic!("used {by} is not known"),
        };
        let today = id("2026-11-21".parse::<aisled::domain::calendar::Day>()).number();
        usage.day = if ["today", "member-today", "device"].contains(by) { today } else { today - 1 };
        for part in what {
            let (key, value) = part.split_once('=').expect("used key=value");
            let number = || value.parse::<u32>().expect("a number");
            match key {
                "uses" => (usage.uses, usage.uses_on_day) = (number(), number()),
                "units" => (usage.units, usage.units_on_day) = (number(), number()),
                "points" => (usage.points, usage.points_on_day) = (number().into(), number().into()),
                "money" => (usage.money, usage.money_on_day) = (yuan(value), yuan(value)),
                _ => panic!("used {key} is not known"),
            }
        }
    }

    fn price(&self, basket: &Basket) -> Priced {
        let sale = Sale {
            basket,
            shopper: Shopper {
                member: self.member.as_ref(),
                segments: &self.segments,
                now: self.now,
                zone: None,
            },
            codes: &self.codes,
            device: &self.device,
            channel: self.channel,
            usage: &self.usage,
            device_usage: &self.device_usage,
            offline_hours: self.offline_hours,
        };
        self.book.price(&sale).expect("a basket of the table can be priced")
    }
}

fn basket_line(number: usize, text: &str) -> Line {
    let (text, price) = match text.split_once(" @ ") {
        Some((text, price)) => (text, Some(yuan(price.trim()))),
        None => (text, None),
    };
    let (quantity, sku) = text.trim().split_once(' ').unwrap_or_else(|| panic!("{text:?} is qty sku"));
    let quantity = match quantity.strip_suffix('g') {
        Some(grams) => Quantity::Grams(grams.parse().expect("grams")),
        None => Quantity::Units(quantity.parse().expect("units")),
    };
    Line { line: id(LineId::new(&number.to_string())), sku: id(Sku::new(sku)), quantity, unit_price: price }
}

fn compare(expected: &str, priced: &Priced) -> Result<(), String> {
    let (expected, quoted) = match expected.split_once('"') {
        Some((before, quoted)) => (before, Some(quoted.trim_end_matches('"'))),
        None => (expected, None),
    };
    let words: Vec<&str> = expected.split_whitespace().collect();
    let same = |found: String, wanted: String| {
        if found == wanted { Ok(()) } else { Err(format!("found {found}")) }
    };
    let number = |word: &str| word.parse::<i64>().expect("a number of the table");
    match words.as_slice() {
        ["total", amount] => same(show(priced.total), show(yuan(amount))),
        ["off", amount] => same(show(priced.discount_total), show(yuan(amount))),
        ["line", line, amount] => {
            let found = priced.lines.iter().find(|l| l.line.as_str() == *line);
            same(found.map_or("no such line".into(), |l| show(l.net)), show(yuan(amount)))
        }
        ["shares", line, ..] => {
            let shares = priced.lines.iter().filter(|l| l.line.as_str() == *line).flat_map(|l| &l.shares);
            let found: Vec<String> = shares.map(|s| format!("{} x {}", s.qty, show(s.net))).collect();
            same(found.join(", "), words[2..].join(" "))
        }
        ["earns", line, ..] => {
            let shares = priced.lines.iter().filter(|l| l.line.as_str() == *line).flat_map(|l| &l.shares);
            let found: Vec<String> = shares.map(|s| format!("{} x {}", s.qty, s.points)).collect();
            same(found.join(", "), words[2..].join(" "))
        }
        ["order", ..] => {
            let found: Vec<&str> = priced.applied.iter().map(|a| a.promotion.as_str()).collect();
            same(found.join(", "), words[1..].join(" "))
        }
        ["nothing", "applied"] => same(priced.applied.len().to_string(), "0".into()),
        ["nothing", "near"] => same(format!("{:?}", priced.near), "[]".into()),
        ["no", promotion, reason] => {
            let found = priced.not_applied.iter().find(|n| n.promotion.as_str() == *promotion);
            let Some(found) = found else { return Err(format!("found no reason for {promotion}")) };
            same(format!("{:?}", found.reason), format!("{:?}", serde::<Reason>(&format!("{reason:?}"))))?;
            match quoted {
                Some(text) if ![Lang::En, Lang::ZhCn].iter().any(|lang| found.detail.get(*lang) == text) => {
                    Err(format!("found {:?}", found.detail.0.values().collect::<Vec<_>>()))
                }
                _ => Ok(()),
            }
        }
        ["silent", promotion] => {
            let found = priced.not_applied.iter().find(|n| n.promotion.as_str() == *promotion);
            same(format!("{found:?}"), "None".into())
        }
        ["lost", promotion, "to", winner, by @ ..] => {
            let found = priced.not_applied.iter().find(|n| n.promotion.as_str() == *promotion);
            let found = found.and_then(|n| Some((n.loses_to.as_ref()?.to_string(), n.by)));
            let by = by.get(1).map(|amount| yuan(amount));
            same(format!("{found:?}"), format!("{:?}", Some(((*winner).to_owned(), by))))
        }
        ["gift", sku, qty] => {
            let found: u32 = priced.gifts.iter().filter(|g| g.sku.as_str() == *sku).map(|g| g.qty).sum();
            same(found.to_string(), (*qty).to_owned())
        }
        ["issue", coupon, days] => {
            let found: Vec<String> =
                priced.issues.iter().map(|i| format!("{} {}", i.coupon, i.valid_days)).collect();
            same(found.join(", "), format!("{coupon} {days}"))
        }
        ["earn", points] => same(priced.points.earn.to_string(), number(points).to_string()),
        ["balance", points] => {
            same(format!("{:?}", priced.points.balance_after), format!("{:?}", Some(number(points))))
        }
        ["spend", points, "for", amount] => same(
            format!("{} for {}", priced.points.spend, show(priced.points.spend_amount)),
            format!("{points} for {amount}"),
        ),
        ["short", reason] => same(
            format!("{:?}", priced.points.short),
            format!("{:?}", Some(serde::<Reason>(&format!("{reason:?}")))),
        ),
        ["card", code, used, "left", left] => {
            let found = priced.gift_cards.iter().find(|card| card.code.as_str() == *code);
            same(
                found.map_or("none".into(), |c| format!("{} left {}", show(c.used), show(c.balance))),
                format!("{used} left {left}"),
            )
        }
        ["code", code, outcome, reason @ ..] => {
            let found = priced.coupons.iter().find(|c| c.code.as_str() == *code);
            let wanted: CouponOutcome = serde(&format!("{outcome:?}"));
            let reason: Option<Reason> = reason.first().map(|reason| serde(&format!("{reason:?}")));
            same(
                format!("{:?}", found.map(|c| (c.outcome, c.reason))),
                format!("{:?}", Some((wanted, reason))),
            )
        }
        ["near", promotion, add @ .., "gain", gain] => {
            let show_near = |n: &aisled::pricing::outcome::Near| match &n.add {
                Addition::Amount { amount } => format!("{} gain {}", show(*amount), show(n.gain)),
                Addition::Units { sku, qty } => format!("{qty} {sku} gain {}", show(n.gain)),
                other => format!("{other:?} gain {}", show(n.gain)),
            };
            let found = priced.near.iter().find(|n| n.promotion.as_str() == *promotion).map(show_near);
            same(found.unwrap_or("nothing near".into()), format!("{} gain {gain}", add.join(" ")))
        }
        [promotion, amount] if amount.contains('.') => {
            same(show(applied(priced, promotion).0), show(yuan(amount)))
        }
        [promotion, amount, "x", times, "units", units] => {
            let (found, found_times, found_units) = applied(priced, promotion);
            same(
                format!("{} x {found_times} units {found_units}", show(found)),
                format!("{amount} x {times} units {units}"),
            )
        }
        _ => panic!("expect {expected} is not known"),
    }
}

fn applied(priced: &Priced, promotion: &str) -> (Money, u32, u32) {
    let found = priced.applied.iter().find(|applied| applied.promotion.as_str() == promotion);
    found.map_or((Money::ZERO, 0, 0), |applied| (applied.amount, applied.times, applied.units))
}

fn show(amount: Money) -> String {
    Currency { code: "CNY".into(), minor_units: 2 }.format(amount)
}
