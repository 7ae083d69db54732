//! A grocer's real baskets: reads "The Complete Journey" (84.51°/dunnhumby) and makes a shop of it.
//!
//! Layout: a folder of `cj_*.csv.gz` (columns in tests/data/complete-journey/SOURCE.md), the whole half year or an
//! extract. Day 0 is 2017-01-01; `base` maps it to any day, and campaigns move along.
//!
//! Invariants:
//! - Every line of the chosen days is either in a basket or counted in `Skipped`; every redemption is on a basket or
//!   counted. Nothing is dropped silently, so that counts reconcile to the source.
//! - Money is read as decimal text, never through a float. The source holds three values such as `1.776357e-15`:
//!   residues of its own float arithmetic around nothing, read as nothing.
//! - A line's `gross` is what its units cost on the shelf: `sales_value + retail_disc + coupon_match_disc`. It need not
//!   divide by the quantity, so a till rings it up as at most two lines (`TillLine`) that sum to it.
//! - Fuel is sold in thousandths of a gallon, thousands of them to a line: it is rung up as one unit at its gross.
//!
//! A redemption names a household, a coupon and a day, but no basket: `attach` picks the basket of that day that
//! speaks most for it. `shop` makes the rules, members and coupons such a shop would have had.

use std::collections::{BTreeMap, BTreeSet};
use std::io::Read;
use std::ops::Range;
use std::path::Path;

use anyhow::{Context, bail};
use serde::Deserialize;

use crate::domain::calendar::{Day, StoreZone, TimeOfDay};
use crate::domain::member::{Token, TokenKind};
use crate::domain::money::Money;
use crate::limits;

mod shop;

pub use shop::bundle_of;

/// Where the source's shops are.
const ZONE: &str = "America/New_York";

/// The baskets of some days, with what belongs to them.
#[derive(Debug)]
pub struct Journey {
    /// In the order they were rung up: day, minute, number.
    pub baskets: Vec<Basket>,
    /// What was not taken over, and why.
    pub skipped: Skipped,
    days: Range<u16>,
    articles: BTreeMap<u32, Article>,
    offers: BTreeMap<String, Offer>,
    campaigns: BTreeMap<u16, CampaignDays>,
    targets: BTreeMap<u32, BTreeSet<u16>>,
}

/// One basket.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Basket {
    /// The source's number of it.
    pub number: u32,
    /// Who bought.
    pub household: u32,
    /// Days since 2017-01-01.
    pub day: u16,
    /// Minutes since midnight.
    pub minute: u16,
    /// At least one.
    pub lines: Vec<Line>,
    /// Coupons redeemed with it: their codes, each once.
    pub coupons: Vec<String>,
}

/// One line of a basket, in cents.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Line {
    /// Which article.
    pub product: u32,
    /// Units; 1 for a line of fuel.
    pub quantity: u32,
    /// On the shelf, for all units.
    pub gross: Money,
    /// Taken off by the shop's own offers at the time.
    pub retail_disc: Money,
    /// Taken off by a manufacturer's coupon at the time.
    pub coupon_disc: Money,
}

/// A line as a till rings it up: `quantity` units at one price.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct TillLine {
    /// Units, at least 1.
    pub quantity: u32,
    /// Each of them.
    pub unit_price: Money,
}

impl Line {
    /// The line as at most two whose prices are whole cents and whose sum is the gross.
    pub fn rung_up(&self) -> Vec<TillLine> {
        let units = i64::from(self.quantity);
        let (price, dearer) = (self.gross.0 / units, self.gross.0 % units);
        let dearer = u32::try_from(dearer).expect("a rest is smaller than the quantity");
        [(self.quantity - dearer, price), (dearer, price + 1)]
            .into_iter()
            .filter(|(quantity, _)| *quantity > 0)
            .map(|(quantity, price)| TillLine { quantity, unit_price: Money(price) })
            .collect()
    }
}

/// What of the chosen days was not taken over.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Skipped {
    /// Lines read, skipped ones included.
    pub lines_read: u64,
    /// Lines without quantity.
    pub lines_no_quantity: u64,
    /// Lines worth nothing even before discounts.
    pub lines_no_value: u64,
    /// Lines of more units than a till takes (`limits::LINE_UNITS_MAX`).
    pub lines_too_many: u64,
    /// Baskets that held no other lines.
    pub baskets_empty: u64,
    /// Redemptions read.
    pub redemptions_read: u64,
    /// Redemptions on a day on which the household bought nothing.
    pub redemptions_without_basket: u64,
    /// Further redemptions of a coupon that its basket already holds.
    pub redemptions_repeated: u64,
    /// Articles bought that the product table does not know; they are sold without a category.
    pub articles_unknown: u64,
}

impl Skipped {
    /// Lines that stand in no basket.
    pub fn lines(&self) -> u64 {
        self.lines_no_quantity + self.lines_no_value + self.lines_too_many
    }
}

#[derive(Debug, Default)]
struct Article {
    names: String,
    department: String,
    category: String,
    brand: String,
    fuel: bool,
    /// Shelf price of a unit in each line of the chosen days, and the price with the shop's card.
    prices: Vec<(Money, Money)>,
}

/// A coupon: which campaigns sent it, and on what it is good.
#[derive(Debug, Default)]
struct Offer {
    campaigns: BTreeSet<u16>,
    products: BTreeSet<u32>,
    /// What it took off, line by line.
    seen: Vec<Money>,
    redeemed: bool,
}

#[derive(Clone, Copy, Debug)]
struct CampaignDays {
    start: Day,
    end: Day,
}

#[derive(Deserialize)]
struct TransactionRow {
    household_id: u32,
    b: u32,
    day: u16,
    min: u16,
    product_id: u32,
    quantity: u32,
    sales_value: String,
    retail_disc: String,
    coupon_disc: String,
    coupon_match_disc: String,
}

#[derive(Deserialize)]
struct ProductRow {
    product_id: u32,
    department: String,
    brand: String,
    product_category: String,
    product_type: String,
    package_size: String,
}

#[derive(Deserialize)]
struct CouponRow {
    coupon_upc: String,
    product_id: u32,
    campaign_id: u16,
}

#[derive(Deserialize)]
struct RedemptionRow {
    household_id: u32,
    coupon_upc: String,
    redemption_date: String,
}

#[derive(Deserialize)]
struct CampaignRow {
    campaign_id: u16,
    household_id: u32,
}

#[derive(Deserialize)]
struct CampaignDaysRow {
    campaign_id: u16,
    start_date: String,
    end_date: String,
}

/// The source's day 0.
fn source_day_zero() -> Day {
    Day::new(2017, 1, 1).expect("a day of the calendar")
}

impl Journey {
    /// Reads the baskets of `days` (the end not included) from a folder.
    ///
    /// # Errors
    /// A file is missing, is not gzip or CSV with the named columns, or holds money that is no whole number of cents.
    pub fn open(folder: &Path, days: Range<u16>) -> anyhow::Result<Journey> {
        let mut journey = Journey {
            baskets: Vec::new(),
            skipped: Skipped::default(),
            days,
            articles: BTreeMap::new(),
            offers: BTreeMap::new(),
            campaigns: BTreeMap::new(),
            targets: BTreeMap::new(),
        };
        let known = read_products(folder)?;
        journey.read_transactions(folder, known)?;
        journey.read_campaigns(folder)?;
        journey.read_coupons(folder)?;
        journey.attach_redemptions(folder)?;
        Ok(journey)
    }

    /// The days it holds baskets of.
    pub fn days(&self) -> Range<u16> {
        self.days.clone()
    }

    /// The households that bought something, sorted.
    pub fn households(&self) -> BTreeSet<u32> {
        self.baskets.iter().map(|basket| basket.household).collect()
    }

    /// When a basket was rung up, RFC 3339, with day 0 of the source on `base`.
    pub fn at(basket: &Basket, base: Day) -> String {
        let time: TimeOfDay = format!("{:02}:{:02}", basket.minute / 60 % 24, basket.minute % 60)
            .parse()
            .expect("hours and minutes in their ranges");
        let zone = zone();
        zone.format(zone.at(Journey::business_day(basket, base), time))
    }

    /// The day on which a basket was rung up, with day 0 of the source on `base`.
    pub fn business_day(basket: &Basket, base: Day) -> Day {
        base.plus_days(i64::from(basket.day))
    }

    fn read_transactions(&mut self, folder: &Path, mut known: BTreeMap<u32, Article>) -> anyhow::Result<()> {
        let mut baskets: BTreeMap<(u16, u16, u32), Basket> = BTreeMap::new();
        let mut files = 0;
        for name in ["cj_transactions_q1", "cj_transactions_q2"] {
            if !path(folder, name).exists() {
                continue;
            }
            files += 1;
            for row in rows::<TransactionRow>(folder, name)? {
                let row = row?;
                if !self.days.contains(&row.day) {
                    continue;
                }
                self.skipped.lines_read += 1;
                let key = (row.day, row.min, row.b);
                let basket = baskets.entry(key).or_insert_with(|| Basket {
                    number: row.b,
                    household: row.household_id,
                    day: row.day,
                    minute: row.min,
                    lines: Vec::new(),
                    coupons: Vec::new(),
                });
                let fuel = known.get(&row.product_id).is_some_and(|article| article.fuel)
                    || self.articles.get(&row.product_id).is_some_and(|article| article.fuel);
                let line =
                    read_line(&row, fuel).with_context(|| format!("read basket {} of {name}", row.b))?;
                if line.quantity == 0 {
                    self.skipped.lines_no_quantity += 1;
                } else if line.gross.0 <= 0 {
                    self.skipped.lines_no_value += 1;
                } else if line.quantity > limits::LINE_UNITS_MAX {
                    self.skipped.lines_too_many += 1;
                } else {
                    let units = i64::from(line.quantity);
                    let card = Money(((line.gross - line.retail_disc).0 / units).max(0));
                    let article = self.articles.entry(line.product).or_insert_with(|| {
                        known.remove(&line.product).unwrap_or_else(|| {
                            self.skipped.articles_unknown += 1;
                            Article::default()
                        })
                    });
                    article.prices.push((Money(line.gross.0 / units), card));
                    basket.lines.push(line);
                }
            }
        }
        if files == 0 {
            bail!("read {}: it holds neither cj_transactions_q1.csv.gz nor _q2", folder.display());
        }
        let read = baskets.len();
        self.baskets = baskets.into_values().filter(|basket| !basket.lines.is_empty()).collect();
        self.skipped.baskets_empty = (read - self.baskets.len()) as u64;
        Ok(())
    }

    fn read_campaigns(&mut self, folder: &Path) -> anyhow::Result<()> {
        let day = |text: &str| text.parse::<Day>().map_err(|error| anyhow::anyhow!("read {text:?}: {error}"));
        for row in rows::<CampaignDaysRow>(folder, "cj_campaign_descriptions")? {
            let row = row?;
            let days = CampaignDays { start: day(&row.start_date)?, end: day(&row.end_date)? };
            self.campaigns.insert(row.campaign_id, days);
        }
        for row in rows::<CampaignRow>(folder, "cj_campaigns")? {
            let row = row?;
            self.targets.entry(row.household_id).or_default().insert(row.campaign_id);
        }
        Ok(())
    }

    fn read_coupons(&mut self, folder: &Path) -> anyhow::Result<()> {
        for row in rows::<CouponRow>(folder, "cj_coupons")? {
            let row = row?;
            let offer = self.offers.entry(row.coupon_upc).or_default();
            offer.campaigns.insert(row.campaign_id);
            offer.products.insert(row.product_id);
        }
        Ok(())
    }

    fn attach_redemptions(&mut self, folder: &Path) -> anyhow::Result<()> {
        let mut by_household: BTreeMap<(u32, u16), Vec<usize>> = BTreeMap::new();
        for (index, basket) in self.baskets.iter().enumerate() {
            by_household.entry((basket.household, basket.day)).or_default().push(index);
        }
        for row in rows::<RedemptionRow>(folder, "cj_coupon_redemptions")? {
            let row = row?;
            let date: Day =
                row.redemption_date.parse().map_err(|error| anyhow::anyhow!("read a redemption: {error}"))?;
            let Ok(day) = u16::try_from(date.days_since(source_day_zero())) else {
                continue;
            };
            if !self.days.contains(&day) {
                continue;
            }
            self.skipped.redemptions_read += 1;
            let offer = self.offers.entry(row.coupon_upc.clone()).or_default();
            offer.redeemed = true;
            let candidates = by_household.get(&(row.household_id, day)).map_or(&[][..], Vec::as_slice);
            let Some(index) = attach(offer, candidates, &self.baskets) else {
                self.skipped.redemptions_without_basket += 1;
                continue;
            };
            let basket = &mut self.baskets[index];
            if basket.coupons.contains(&row.coupon_upc) {
                self.skipped.redemptions_repeated += 1;
                continue;
            }
            let seen = basket.lines.iter().filter(|line| offer.products.contains(&line.product));
            offer.seen.extend(seen.map(|line| line.coupon_disc).filter(|money| money.is_positive()));
            basket.coupons.push(row.coupon_upc);
        }
        Ok(())
    }
}

/// The basket of the day that speaks most for a redemption: a discount on one of the coupon's articles, else one of its
/// articles, else any coupon's discount; the later one of equals.
fn attach(offer: &Offer, candidates: &[usize], baskets: &[Basket]) -> Option<usize> {
    candidates.iter().copied().max_by_key(|index| {
        let lines = &baskets[*index].lines;
        let own = |line: &&Line| offer.products.contains(&line.product);
        let discounted = |line: &Line| line.coupon_disc.is_positive();
        let (any_own, any_discounted) = (lines.iter().any(|line| own(&line)), lines.iter().any(discounted));
        (lines.iter().filter(own).any(discounted), any_own, any_discounted)
    })
}

fn read_products(folder: &Path) -> anyhow::Result<BTreeMap<u32, Article>> {
    let mut articles = BTreeMap::new();
    for row in rows::<ProductRow>(folder, "cj_products")? {
        let row = row?;
        let parts = [row.product_type.trim(), row.package_size.trim()];
        let article = Article {
            names: parts.iter().filter(|part| !part.is_empty()).copied().collect::<Vec<_>>().join(", "),
            fuel: row.product_type.starts_with("GASOLINE"),
            department: row.department,
            category: row.product_category,
            brand: row.brand,
            prices: Vec::new(),
        };
        articles.insert(row.product_id, article);
    }
    Ok(articles)
}

fn read_line(row: &TransactionRow, fuel: bool) -> anyhow::Result<Line> {
    let paid = cents(&row.sales_value)?;
    let retail_disc = cents(&row.retail_disc)?;
    let matched = cents(&row.coupon_match_disc)?;
    Ok(Line {
        product: row.product_id,
        quantity: if fuel { row.quantity.min(1) } else { row.quantity },
        gross: paid + retail_disc + matched,
        retail_disc,
        coupon_disc: cents(&row.coupon_disc)? + matched,
    })
}

fn path(folder: &Path, name: &str) -> std::path::PathBuf {
    folder.join(format!("{name}.csv.gz"))
}

/// The rows of one file.
fn rows<T: for<'de> Deserialize<'de>>(
    folder: &Path,
    name: &str,
) -> anyhow::Result<impl Iterator<Item = anyhow::Result<T>>> {
    let path = path(folder, name);
    let file = std::fs::File::open(&path).with_context(|| format!("open {}", path.display()))?;
    let text = flate2::read::GzDecoder::new(std::io::BufReader::new(file));
    let reader = csv::Reader::from_reader(Box::new(text) as Box<dyn Read>);
    Ok(reader.into_deserialize().map(move |row| row.with_context(|| format!("read {}", path.display()))))
}

/// Reads dollars such as `12.5` as cents. What is finer than a cent is an error, unless it is a float's residue around
/// nothing, below a millionth of a cent.
fn cents(text: &str) -> anyhow::Result<Money> {
    let wrong = || anyhow::anyhow!("read {text:?} as dollars and cents");
    let (mantissa, exponent) = text.split_once(['e', 'E']).unwrap_or((text, "0"));
    let exponent: i32 = exponent.parse().map_err(|_| wrong())?;
    let (negative, digits) = mantissa.strip_prefix('-').map_or((false, mantissa), |rest| (true, rest));
    let (whole, fraction) = digits.split_once('.').unwrap_or((digits, ""));
    let all = format!("{whole}{fraction}");
    if whole.is_empty() || all.len() > 17 || !all.bytes().all(|byte| byte.is_ascii_digit()) {
        return Err(wrong());
    }
    let value: i64 = all.parse().map_err(|_| wrong())?;
    // value * 10^scale cents
    let scale = exponent + 2 - i32::try_from(fraction.len()).map_err(|_| wrong())?;
    let power = 10_i128.checked_pow(scale.unsigned_abs());
    let magnitude = match power {
        Some(power) if scale >= 0 => {
            value.checked_mul(i64::try_from(power).map_err(|_| wrong())?).ok_or_else(wrong)?
        }
        None if scale >= 0 => return Err(wrong()),
        Some(power) if i128::from(value) % power == 0 => {
            i64::try_from(i128::from(value) / power).map_err(|_| wrong())?
        }
        // Ten to the 39th and more of at most 17 digits is a residue too.
        Some(power) if i128::from(value) >= power / 1_000_000 => return Err(wrong()),
        Some(_) | None => 0,
    };
    Ok(Money(if negative { -magnitude } else { magnitude }))
}

/// The card a household shows, in the drive as in the sample shop.
pub fn household_card(household: u32) -> Token {
    Token { kind: TokenKind::Card, value: format!("8800000{household:05}") }
}

fn zone() -> StoreZone {
    StoreZone::new(ZONE).expect("the compiled table holds it")
}

#[cfg(test)]
mod tests {
    use super::*;

    fn week() -> Journey {
        let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/data/complete-journey");
        Journey::open(&folder, 0..7).expect("the extract in the repository")
    }

    #[test]
    fn how_is_money_read() {
        for (text, minor) in
            [("0.5", 50), ("12.34", 1234), ("3", 300), ("-1.5", -150), ("1.20", 120), ("1e1", 1000)]
        {
            assert_eq!(cents(text).expect(text), Money(minor), "{text}");
        }
        for residue in ["1.776357e-15", "1.38778e-16", "-4.440892e-16", "0.0"] {
            assert_eq!(cents(residue).expect(residue), Money(0), "{residue}");
        }
        for wrong in ["", "x", "1.234", ".5", "1e99", "1.2.3", "99999999999999999999"] {
            assert!(cents(wrong).is_err(), "{wrong}");
        }
    }

    #[test]
    fn does_a_rung_up_line_sum_to_its_gross() {
        for (quantity, gross) in [(1, 299), (2, 299), (3, 100), (7, 3), (2, 200)] {
            let line = Line {
                product: 1,
                quantity,
                gross: Money(gross),
                retail_disc: Money(0),
                coupon_disc: Money(0),
            };
            let rung = line.rung_up();
            assert!(rung.len() <= 2, "{rung:?}");
            assert_eq!(
                rung.iter().map(|part| part.unit_price.times(part.quantity)).sum::<Money>(),
                line.gross
            );
            assert_eq!(rung.iter().map(|part| part.quantity).sum::<u32>(), quantity);
        }
    }

    #[test]
    fn is_every_line_of_the_week_accounted_for() {
        let week = week();
        let kept: usize = week.baskets.iter().map(|basket| basket.lines.len()).sum();
        assert_eq!(week.skipped.lines_read, 3004);
        assert_eq!(kept as u64 + week.skipped.lines(), week.skipped.lines_read);
        assert_eq!(week.baskets.len() as u64 + week.skipped.baskets_empty, 314);
        let attached: usize = week.baskets.iter().map(|basket| basket.coupons.len()).sum();
        let lost = week.skipped.redemptions_without_basket + week.skipped.redemptions_repeated;
        assert_eq!((week.skipped.redemptions_read, attached as u64 + lost), (5, 5));
        assert!(week.baskets.is_sorted_by_key(|basket| (basket.day, basket.minute, basket.number)));
    }
}
