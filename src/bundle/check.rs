//! What a folder's entries say about each other: unique ids, references that lead somewhere, values in range.
//!
//! One column of checks per kind of entry, the kinds with most entries last, so that their faults hide no others. Every remark names the part of the entry it is
//! about, so that it becomes a file, line and column. A reference is only judged where everything that could be meant
//! was read (`whole`): else the faults of one file would be reported again by every file that refers to it.

use std::collections::{BTreeMap, BTreeSet};
use std::fmt::Display;

use crate::domain::calendar::Day;
use crate::domain::code::Code;
use crate::domain::ids::{
    BrandId, CategoryId, CouponCode, CouponId, Prefix, PromotionId, SegmentId, Sku, TierId,
};
use crate::domain::member::{Attribute, TokenHash};
use crate::domain::money::Money;
use crate::domain::series::Series;
use crate::domain::text::Texts;
use crate::limits;
use crate::pricing::Book;
use crate::pricing::model::{Audience, Benefit, BuyXGetY, Condition, ItemSet, Promotion, Schedule, Trigger};
use crate::shopper::experiment::{BUCKETS, PlanFault};
use crate::shopper::segment::{AttributeKind, Segments};

use super::active::book_rules;
use super::authoring::{Entries, Folder, Place, Remark};
use super::document::Campaign;
use super::located::Step;
use super::{showing, trials, voucher};

type Path = Vec<Step>;

fn key(key: &'static str) -> Path {
    vec![Step::Key(key)]
}

fn then(path: &[Step], steps: impl IntoIterator<Item = Step>) -> Path {
    path.iter().cloned().chain(steps).collect()
}

/// What may be referred to.
struct Known<'f> {
    skus: BTreeSet<&'f Sku>,
    categories: BTreeSet<&'f CategoryId>,
    brands: BTreeSet<&'f BrandId>,
    segments: BTreeSet<&'f SegmentId>,
    tiers: BTreeSet<&'f TierId>,
    promotions: BTreeMap<&'f PromotionId, &'f Promotion>,
    coupons: BTreeSet<&'f CouponId>,
}

struct Checker<'f> {
    folder: &'f Folder,
    known: Known<'f>,
    whole: bool,
    remarks: Vec<Remark>,
}

/// Everything wrong with a folder whose entries each read well.
pub(super) fn remarks(folder: &Folder, whole: bool) -> Vec<Remark> {
    let items = &folder.items.values;
    let known = Known {
        skus: items.iter().map(|item| &item.sku).collect(),
        categories: items.iter().flat_map(|item| &item.categories).collect(),
        brands: items.iter().filter_map(|item| item.brand.as_ref()).collect(),
        segments: folder.segments.values.iter().map(|segment| &segment.id).collect(),
        tiers: folder.shop.tiers.iter().map(|tier| &tier.id).collect(),
        promotions: folder.promotions.values.iter().map(|promotion| (&promotion.id, promotion)).collect(),
        coupons: folder.coupons.values.iter().map(|coupon| &coupon.id).collect(),
    };
    let mut checker = Checker { folder, known, whole, remarks: Vec::new() };
    checker.shop();
    checker.items();
    checker.segments();
    checker.campaigns();
    checker.promotions();
    checker.coupons();
    checker.partners();
    checker.points();
    checker.suggestions();
    checker.factors();
    checker.network();
    checker.rules();
    checker.codes();
    checker.members();
    checker.remarks
}

impl<'f> Checker<'f> {
    fn say(&mut self, code: Code, place: Place, message: impl Into<String>) {
        if self.remarks.len() < limits::AUTHORING_FINDINGS_MAX {
            self.remarks.push(Remark { place, code, message: message.into() });
        }
    }

    fn range(&mut self, fits: bool, place: impl FnOnce() -> Place, message: impl FnOnce() -> String) {
        if !fits {
            self.say(Code::AuthoringRange, place(), message());
        }
    }

    /// Says that `what` refers to nothing, unless what it could mean was not read.
    fn reference(&mut self, found: bool, place: impl FnOnce() -> Place, what: &str, name: &dyn Display) {
        if !found && self.whole {
            self.say(Code::AuthoringReference, place(), format!("no {what} is called {name}"));
        }
    }

    fn unique<T, K: Ord + Display>(&mut self, entries: &Entries<T>, path: &[Step], id: impl Fn(&T) -> K) {
        let mut seen = BTreeSet::new();
        for (index, entry) in entries.values.iter().enumerate() {
            let id = id(entry);
            if seen.contains(&id) {
                let place = entries.place(index, path.to_vec());
                self.say(Code::AuthoringDuplicate, place, format!("{id} stands here a second time"));
            }
            seen.insert(id);
        }
    }

    fn price(&mut self, price: Option<Money>, place: impl FnOnce() -> Place) {
        if let Some(price) = price {
            let fits = (0..=limits::UNIT_PRICE_MINOR_MAX).contains(&price.0);
            self.range(fits, place, || {
                format!(
                    "{} is not a price from 0 to {} in minor units",
                    price.0,
                    limits::UNIT_PRICE_MINOR_MAX
                )
            });
        }
    }

    fn days(&mut self, from: Option<Day>, to: Option<Day>, place: impl FnOnce() -> Place) {
        if let (Some(from), Some(to)) = (from, to) {
            self.range(from <= to, place, || format!("ends on {to}, before it begins on {from}"));
        }
    }

    fn schedule(&mut self, schedule: &Schedule, at: &dyn Fn(Path) -> Place, path: &[Step]) {
        self.days(schedule.from, schedule.to, || at(then(path, key("to"))));
        for (index, day) in schedule.month_days.iter().enumerate() {
            self.range(
                (1..=31).contains(day),
                || at(then(path, [Step::Key("month_days"), Step::At(index)])),
                || format!("{day} is not a day of a month"),
            );
        }
        for (index, window) in schedule.windows.iter().enumerate() {
            self.range(
                window.from != window.to && window.from.minutes() < 24 * 60,
                || at(then(path, [Step::Key("windows"), Step::At(index)])),
                || "a window begins before 24:00 and ends at another time than it begins".into(),
            );
        }
    }

    fn shop(&mut self) {
        let folder = self.folder;
        let shop = &folder.shop;
        self.range(
            !shop.chain.is_empty(),
            || folder.shop_place(key("chain")),
            || "the chain needs a name; it is part of each token's hash and must never change".into(),
        );
        let code = &shop.currency.code;
        self.range(
            code.len() == 3 && code.bytes().all(|b| b.is_ascii_uppercase()),
            || folder.shop_place(vec![Step::Key("currency"), Step::Key("code")]),
            || format!("{code:?} is not an ISO 4217 code such as CNY"),
        );
        self.range(
            shop.currency.minor_units <= 4,
            || folder.shop_place(vec![Step::Key("currency"), Step::Key("minor_units")]),
            || "a currency has at most 4 decimals".into(),
        );
        let seconds = limits::QUOTE_SECONDS_MIN..=limits::QUOTE_SECONDS_MAX;
        self.range(
            seconds.contains(&shop.quote_seconds),
            || folder.shop_place(key("quote_seconds")),
            || format!("is not {} to {} seconds", seconds.start(), seconds.end()),
        );
        let leases = |field| vec![Step::Key("leases"), Step::Key(field)];
        let hours = 1..=limits::LEASE_OUTAGE_HOURS_MAX;
        self.range(
            hours.contains(&shop.leases.outage_hours),
            || folder.shop_place(leases("outage_hours")),
            || format!("is not {} to {} hours", hours.start(), hours.end()),
        );
        let money = shop.leases.risk_budget.map(|budget| budget.0);
        for (field, budget) in [("risk_budget", money), ("overdraft", shop.leases.overdraft)] {
            self.range(
                budget.is_none_or(|budget| (0..=limits::LEASE_BUDGET_MAX).contains(&budget)),
                || folder.shop_place(leases(field)),
                || format!("is not 0 to {}", limits::LEASE_BUDGET_MAX),
            );
        }
        if let Some(series) = &shop.leases.members {
            let place = |field| vec![Step::Key("leases"), Step::Key("members"), Step::Key(field)];
            self.series_count(series, || folder.shop_place(place("count")));
        }
        self.range(
            shop.holdout <= BUCKETS,
            || folder.shop_place(key("holdout")),
            || format!("is not 0 to {BUCKETS}"),
        );
        if let Some((field, fault)) = shop.scales.check() {
            let place = folder.shop_place(vec![Step::Key("scales"), Step::Key(field)]);
            self.say(Code::AuthoringRange, place, fault);
        }
        let groups: BTreeSet<_> = folder
            .promotions
            .values
            .iter()
            .filter_map(|promotion| promotion.stacking.group.as_ref())
            .collect();
        for group in shop.group_resolution.keys() {
            let place =
                || folder.shop_place(vec![Step::Key("group_resolution"), Step::Name(group.to_string())]);
            self.reference(groups.contains(group), place, "stacking group of any promotion", group);
        }
        let mut seen = BTreeSet::new();
        for (index, tier) in shop.tiers.iter().enumerate() {
            if !seen.insert(&tier.id) {
                let place = folder.shop_place(vec![Step::Key("tiers"), Step::At(index), Step::Key("id")]);
                self.say(Code::AuthoringDuplicate, place, format!("{} stands here a second time", tier.id));
            }
        }
    }

    fn items(&mut self) {
        let items = &self.folder.items;
        self.unique(items, &key("sku"), |item| item.sku.clone());
        for (index, item) in items.values.iter().enumerate() {
            self.price(item.cost, || items.place(index, key("cost")));
        }
    }

    fn segments(&mut self) {
        let segments = &self.folder.segments;
        self.unique(segments, &key("id"), |segment| segment.id.clone());
        let schema = self.folder.shop.schema(&self.folder.items.values);
        for (index, segment) in segments.values.iter().enumerate().take(limits::BUNDLE_SEGMENTS_MAX) {
            let source = [(segment.id.clone(), segment.when.as_str())];
            for fault in Segments::compile(&schema, &source).err().unwrap_or_default() {
                let place = segments.place(index, key("when")).inside(fault.column);
                self.say(Code::AuthoringPredicate, place, fault.message);
            }
        }
        if segments.values.len() > limits::BUNDLE_SEGMENTS_MAX {
            let place = segments.place(limits::BUNDLE_SEGMENTS_MAX, Vec::new());
            let message = format!("a bundle has at most {} segments", limits::BUNDLE_SEGMENTS_MAX);
            self.say(Code::AuthoringRange, place, message);
        }
    }

    fn factors(&mut self) {
        let factors = &self.folder.factors;
        self.unique(factors, &key("sku"), |item| item.sku.clone());
        let rank = factors.values.first().map_or(0, |item| item.numbers.len());
        for (index, item) in factors.values.iter().enumerate() {
            let found = self.known.skus.contains(&item.sku);
            self.reference(found, || factors.place(index, key("sku")), "article of the catalogue", &item.sku);
            let has = item.numbers.len();
            self.range(
                has == rank && (1..=limits::RECOMMEND_RANK_MAX).contains(&has),
                || factors.place(index, key("numbers")),
                || {
                    format!(
                        "{has} numbers; the first article has {rank}, and 1 to {} are taken",
                        limits::RECOMMEND_RANK_MAX
                    )
                },
            );
        }
    }

    fn network(&mut self) {
        let items = &self.folder.network;
        self.unique(items, &key("sku"), |item| item.sku.clone());
        for (index, item) in items.values.iter().enumerate() {
            let found = self.known.skus.contains(&item.sku);
            self.reference(found, || items.place(index, key("sku")), "article of the catalogue", &item.sku);
        }
    }

    fn campaigns(&mut self) {
        let campaigns = &self.folder.campaigns;
        self.unique(campaigns, &key("id"), |campaign| campaign.id.clone());
        for (index, campaign) in campaigns.values.iter().enumerate() {
            self.days(campaign.from, campaign.to, || campaigns.place(index, key("to")));
            self.range(
                campaign.budget.is_none_or(|budget| budget >= Money::ZERO),
                || campaigns.place(index, key("budget")),
                || "a budget is not negative".into(),
            );
        }
        let schema = self.folder.shop.schema(&self.folder.items.values);
        for (index, campaign) in campaigns.values.iter().enumerate() {
            for (path, fault) in showing::showing(campaign, &schema).err().unwrap_or_default() {
                let place = campaigns.place(index, [key("show"), path].concat());
                self.say(Code::AuthoringRange, place, fault);
            }
        }
        let plan = trials::plan(&self.folder.shop.chain, self.folder.shop.holdout, &campaigns.values);
        // A name that is there twice was told above.
        let (wrong, field) = match plan.check() {
            Ok(()) | Err(PlanFault::Name(_)) => return,
            Err(fault @ PlanFault::TooMany(_)) => (fault, None),
            Err(fault) => (fault, Some("layer")),
        };
        let of = |campaign: &Campaign| match &wrong {
            PlanFault::Range(id) | PlanFault::Overlap(_, id) | PlanFault::Arms(id) => {
                campaign.id.as_str() == id
            }
            _ => campaign.is_trial(),
        };
        let Some(index) = campaigns.values.iter().rposition(of) else { return };
        let field = field.filter(|_| campaigns.values[index].holdout <= BUCKETS).unwrap_or("holdout");
        self.say(wrong.code(), campaigns.place(index, key(field)), format!("failed to {wrong}"));
    }

    fn promotions(&mut self) {
        let folder = self.folder;
        let promotions = &folder.promotions;
        self.unique(promotions, &key("id"), |promotion| promotion.id.clone());
        let campaigns: BTreeSet<_> = folder.campaigns.values.iter().map(|campaign| &campaign.id).collect();
        let by_voucher = folder.partners.values.iter().flat_map(|partner| &partner.promotions);
        let by_coupon = folder.coupons.values.iter().map(|coupon| &coupon.promotion);
        let by_code: BTreeSet<_> = by_coupon.chain(by_voucher).collect();
        for (index, promotion) in promotions.values.iter().enumerate() {
            let at = |path: Path| promotions.place(index, path);
            if let Some(campaign) = &promotion.campaign {
                self.reference(campaigns.contains(campaign), || at(key("campaign")), "campaign", campaign);
            }
            self.audience(&promotion.audience, &at, &key("audience"));
            self.condition(&promotion.conditions, &at, &key("conditions"));
            self.item_set(&promotion.qualifier.items, &at, &[Step::Key("qualifier"), Step::Key("items")]);
            let receiving = match &promotion.benefit {
                Benefit::BuyXGetY(BuyXGetY { get_items: Some(items), .. }) => {
                    Some((items, "buy_x_get_y", "get_items"))
                }
                Benefit::AddOn(add_on) => Some((&add_on.items, "add_on", "items")),
                _ => None,
            };
            if let Some((items, kind, field)) = receiving {
                let path = [Step::Key("benefit"), Step::Key(kind), Step::Key(field)];
                self.item_set(items, &at, &path);
            }
            if let Benefit::Combo(combo) = &promotion.benefit {
                let parts = then(&[Step::Key("benefit"), Step::Key("combo")], key("parts"));
                for (number, part) in combo.parts.iter().enumerate() {
                    let path = then(&parts, [Step::At(number), Step::Key("items")]);
                    self.item_set(&part.items, &at, &path);
                }
            }
            let orphan =
                promotion.trigger == Trigger::Code && promotion.active && !by_code.contains(&promotion.id);
            if orphan && self.whole {
                let message = "is set off by a code, but no coupon or partner names it";
                self.say(Code::AuthoringReference, at(key("trigger")), message);
            }
        }
    }

    fn skus(&mut self, skus: &[Sku], at: &dyn Fn(Path) -> Place, path: &[Step]) {
        for (index, sku) in skus.iter().enumerate() {
            let found = self.known.skus.contains(sku);
            self.reference(found, || at(then(path, [Step::At(index)])), "article of the catalogue", sku);
        }
    }

    fn item_set(&mut self, set: &ItemSet, at: &dyn Fn(Path) -> Place, path: &[Step]) {
        self.skus(&set.skus, at, &then(path, key("skus")));
        for (index, category) in set.categories.iter().enumerate() {
            let found = self.known.categories.contains(category);
            let path = then(path, [Step::Key("categories"), Step::At(index)]);
            self.reference(found, || at(path), "category of any article", category);
        }
        for (index, brand) in set.brands.iter().enumerate() {
            let found = self.known.brands.contains(brand);
            let path = then(path, [Step::Key("brands"), Step::At(index)]);
            self.reference(found, || at(path), "brand of any article", brand);
        }
        if let Some(except) = &set.except {
            self.item_set(except, at, &then(path, key("except")));
        }
    }

    fn condition(&mut self, condition: &Condition, at: &dyn Fn(Path) -> Place, path: &[Step]) {
        match condition {
            Condition::All(parts) | Condition::Any(parts) => {
                let name = if matches!(condition, Condition::All(_)) { "all" } else { "any" };
                for (index, part) in parts.iter().enumerate() {
                    self.condition(part, at, &then(path, [Step::Key(name), Step::At(index)]));
                }
            }
            Condition::Not(part) => self.condition(part, at, &then(path, key("not"))),
            Condition::Items(items) => {
                self.item_set(&items.items, at, &then(path, [Step::Key("items"), Step::Key("items")]));
            }
            Condition::LineQty(line) => {
                self.item_set(&line.items, at, &then(path, [Step::Key("line_qty"), Step::Key("items")]));
            }
            Condition::AllIn(set) => self.item_set(set, at, &then(path, key("all_in"))),
            Condition::Channel(_) | Condition::Device(_) | Condition::Zone(_) | Condition::Currency(_) => {}
        }
    }

    fn audience(&mut self, audience: &Audience, at: &dyn Fn(Path) -> Place, path: &[Step]) {
        match audience {
            Audience::Segment(segments) => {
                for (index, segment) in segments.iter().enumerate() {
                    let found = self.known.segments.contains(segment);
                    let path = then(path, [Step::Key("segment"), Step::At(index)]);
                    self.reference(found, || at(path), "segment", segment);
                }
            }
            Audience::Tier(tiers) => {
                for (index, tier) in tiers.iter().enumerate() {
                    self.tier(tier, || at(then(path, [Step::Key("tier"), Step::At(index)])));
                }
            }
            Audience::Any(parts) | Audience::All(parts) => {
                let name = if matches!(audience, Audience::All(_)) { "all" } else { "any" };
                for (index, part) in parts.iter().enumerate() {
                    self.audience(part, at, &then(path, [Step::Key(name), Step::At(index)]));
                }
            }
            Audience::Not(part) => self.audience(part, at, &then(path, key("not"))),
            Audience::Everyone | Audience::Member | Audience::FirstVisit | Audience::NthPurchase(_) => {}
            Audience::Drawn(_) => {}
            Audience::Tag(_) | Audience::Group(_) | Audience::Is(_) | Audience::Birthday(_) => {}
        }
    }

    fn tier(&mut self, tier: &TierId, place: impl FnOnce() -> Place) {
        let found = self.known.tiers.is_empty() || self.known.tiers.contains(tier);
        self.reference(found, place, "tier of shop.toml", tier);
    }

    /// A code may only set off a promotion that waits for one.
    fn by_code(&mut self, id: &PromotionId, place: impl FnOnce() -> Place) {
        match self.known.promotions.get(id) {
            None => self.reference(false, place, "promotion", id),
            Some(promotion) if promotion.trigger != Trigger::Code => {
                let message = format!("promotion {id} is not set off by a code; set its trigger = \"code\"");
                self.say(Code::AuthoringReference, place(), message);
            }
            Some(_) => {}
        }
    }

    fn partners(&mut self) {
        let partners = &self.folder.partners;
        self.unique(partners, &key("id"), |partner| partner.id.clone());
        let mut seen = BTreeSet::new();
        for (index, partner) in partners.values.iter().enumerate() {
            let at = |path: Path| partners.place(index, path);
            self.range(!partner.keys.is_empty(), || at(key("keys")), || "a partner signs with a key".into());
            for (nth, own) in partner.keys.iter().enumerate() {
                let path = [Step::Key("keys"), Step::At(nth)];
                if !seen.insert(own.public.id()) {
                    let place = at(then(&path, key("public")));
                    self.say(Code::AuthoringDuplicate, place, "this key stands here a second time");
                }
                self.days(own.from, own.to, || at(then(&path, key("to"))));
            }
            for (nth, promotion) in partner.promotions.iter().enumerate() {
                self.by_code(promotion, || at(vec![Step::Key("promotions"), Step::At(nth)]));
            }
            self.range(
                partner.value_max.is_none_or(|most| (1..=limits::AMOUNT_MINOR_MAX).contains(&most.0)),
                || at(key("value_max")),
                || format!("is not 1 to {} in minor units", limits::AMOUNT_MINOR_MAX),
            );
            self.range(
                !partner.promotions.is_empty() || partner.value_max.is_some(),
                || at(key("id")),
                || "its vouchers may neither set off promotions nor pay; say which, or how much".into(),
            );
        }
    }

    /// Codes of the folder leave the form of vouchers to partners.
    fn own_code(&mut self, code: &CouponCode, place: impl FnOnce() -> Place) {
        self.range(
            !voucher::is_voucher(code) && code.as_str().len() <= limits::NAME_BYTES_MAX,
            place,
            || {
                let most = limits::NAME_BYTES_MAX;
                format!("a code has at most {most} letters and does not begin with {}", voucher::PREFIX)
            },
        );
    }

    fn series_count(&mut self, series: &Series, place: impl FnOnce() -> Place) {
        let counts = 1..=limits::SERIES_NUMBERS_MAX;
        let message = || format!("a series has 1 to {} numbers", counts.end());
        self.range(counts.contains(&series.count), place, message);
    }

    fn coupons(&mut self) {
        let coupons = &self.folder.coupons;
        self.unique(coupons, &key("id"), |coupon| coupon.id.clone());
        let mut seen = BTreeSet::new();
        let mut prefixes: BTreeSet<&Prefix> =
            self.folder.shop.leases.members.iter().map(|series| &series.prefix).collect();
        for (index, coupon) in coupons.values.iter().enumerate() {
            let at = |path: Path| coupons.place(index, path);
            self.by_code(&coupon.promotion, || at(key("promotion")));
            self.schedule(&coupon.schedule, &at, &key("schedule"));
            if let Some(referral) = &coupon.referral {
                let at = |field| at(vec![Step::Key("referral"), Step::Key(field)]);
                let message = "its codes are members' own; leave out code and personal".to_owned();
                let place = || coupons.place(index, key("referral"));
                self.range(coupon.code.is_none() && !coupon.personal, place, || message);
                let fits = i64::from(referral.points) <= limits::POINTS_MAX;
                self.range(fits, || at("points"), || format!("points are at most {}", limits::POINTS_MAX));
                if let Some(issue) = &referral.coupon {
                    let found = self.known.coupons.contains(&issue.coupon);
                    self.reference(found, || at("coupon"), "coupon", &issue.coupon);
                }
            }
            if let Some(series) = &coupon.series {
                let at = |field| at(vec![Step::Key("series"), Step::Key(field)]);
                self.series_count(series, || at("count"));
                if !prefixes.insert(&series.prefix) {
                    let message = format!("another series begins with {} too", series.prefix);
                    self.say(Code::AuthoringDuplicate, at("prefix"), message);
                }
                let place = || coupons.place(index, key("series"));
                let message = "everybody's code is not issued: leave out code or series";
                self.range(coupon.code.is_none(), place, || message.into());
                let spends = |p: &&Promotion| matches!(p.benefit, Benefit::PointsRedeem(_));
                let mut bought = self.folder.promotions.values.iter().filter(spends);
                let by = bought.find(|p| p.benefit.issues().is_some_and(|issue| issue.coupon == coupon.id));
                let message = || {
                    let by = by.map_or("", |by| by.id.as_str());
                    format!("points buy it by {by}, and it cannot be issued where no number is left")
                };
                self.range(by.is_none(), place, message);
            }
            let Some(code) = coupon.code.as_ref().map(normal) else { continue };
            self.own_code(&code, || at(key("code")));
            if !seen.insert(code.clone()) {
                let message = format!("code {code} stands here a second time");
                self.say(Code::AuthoringDuplicate, at(key("code")), message);
            }
        }
    }

    fn codes(&mut self) {
        let codes = &self.folder.codes;
        let mut seen: BTreeSet<CouponCode> =
            self.folder.coupons.values.iter().filter_map(|coupon| coupon.code.as_ref()).map(normal).collect();
        let coupons = self.folder.coupons.values.iter();
        let referring: BTreeSet<&CouponId> =
            coupons.filter(|coupon| coupon.referral.is_some()).map(|coupon| &coupon.id).collect();
        for (index, record) in codes.values.iter().enumerate() {
            self.range(
                record.member.is_some() || !referring.contains(&record.coupon),
                || codes.place(index, key("coupon")),
                || "a referral code is a member's own; say whose by member".into(),
            );
            let found = self.known.coupons.contains(&record.coupon);
            self.reference(found, || codes.place(index, key("coupon")), "coupon", &record.coupon);
            let code = normal(&record.code);
            self.own_code(&code, || codes.place(index, key("code")));
            if seen.contains(&code) {
                let message = format!("code {code} stands here a second time");
                self.say(Code::AuthoringDuplicate, codes.place(index, key("code")), message);
            }
            seen.insert(code);
        }
    }

    fn members(&mut self) {
        let folder = self.folder;
        let members = &folder.members;
        self.unique(members, &key("id"), |member| member.id.clone());
        let mut tokens: BTreeSet<TokenHash> = BTreeSet::new();
        for (index, member) in members.values.iter().enumerate() {
            let profile = |field| vec![Step::Key("profile"), Step::Key(field)];
            for (nth, token) in member.tokens.iter().enumerate() {
                let at = || members.place(index, vec![Step::Key("tokens"), Step::At(nth)]);
                self.range((1..=128).contains(&token.value.len()), at, || {
                    "a token has 1 to 128 bytes".into()
                });
                if !tokens.insert(token.hash(&folder.shop.chain)) {
                    self.say(Code::AuthoringDuplicate, at(), "this token belongs to another entry already");
                }
            }
            self.range(
                member.points.unsigned_abs() <= limits::POINTS_MAX.unsigned_abs(),
                || members.place(index, key("points")),
                || format!("points are at most {}", limits::POINTS_MAX),
            );
            for (field, tags) in [("tags", &member.profile.tags), ("groups", &member.profile.groups)] {
                self.range(
                    tags.len() <= limits::MEMBER_TAGS_MAX,
                    || members.place(index, profile(field)),
                    || format!("a member has at most {} of them", limits::MEMBER_TAGS_MAX),
                );
            }
            if let Some(tier) = &member.profile.tier {
                self.tier(tier, || members.place(index, profile("tier")));
            }
            for (name, value) in &member.profile.attributes {
                let declared = folder.shop.attributes.get(name);
                let fits = matches!(
                    (declared, value),
                    (Some(AttributeKind::Flag), Attribute::Flag(_))
                        | (Some(AttributeKind::Number), Attribute::Number(_))
                        | (Some(AttributeKind::Word), Attribute::Word(_))
                );
                if !fits {
                    let mut path = profile("attributes");
                    path.push(Step::Name(name.to_string()));
                    let message = match declared {
                        None => format!("shop.toml declares no attribute {name}"),
                        Some(kind) => format!("shop.toml declares {name} as a {kind:?}").to_lowercase(),
                    };
                    self.say(Code::AuthoringReference, members.place(index, path), message);
                }
            }
        }
    }

    /// What pricing finds wrong with the promotions, the catalogue and the programme, where nothing was said yet.
    fn rules(&mut self) {
        let folder = self.folder;
        let rules = book_rules(
            &folder.shop,
            &folder.coupons.values,
            folder.items.values.clone(),
            folder.promotions.values.clone(),
            folder.points.clone(),
        );
        for fault in Book::compile(rules).err().unwrap_or_default() {
            let mut steps = steps(&fault.field);
            let place = match &fault.promotion {
                // `unique` names the second of two entries.
                Some(_) if fault.field == "id" => continue,
                Some(id) => match folder.promotions.values.iter().position(|promotion| promotion.id == *id) {
                    Some(index) => folder.promotions.place(index, steps),
                    None => continue,
                },
                None => match (steps.remove(0), steps.first()) {
                    (Step::Name(list), Some(Step::At(index))) if list == "catalogue" => {
                        folder.items.place(*index, steps.split_off(1))
                    }
                    (Step::Name(list), Some(Step::At(index))) if list == "coupons" => {
                        folder.coupons.place(*index, steps.split_off(1))
                    }
                    (Step::Name(file), _) if file == "points" => folder.points_place(steps),
                    (first, _) => folder.shop_place([vec![first], steps].concat()),
                },
            };
            let refers = [".coupon", ".promotion"].iter().any(|end| fault.field.ends_with(end))
                || fault.field.contains(".choices[");
            let said = self.remarks.iter().any(|remark| remark.place.is_same(&place));
            if !said && (self.whole || !refers) {
                self.say(Code::AuthoringRule, place, format!("{}; {}", fault.message, fault.remedy));
            }
        }
    }

    fn points(&mut self) {
        let folder = self.folder;
        if let Some(except) = &folder.points.except {
            self.item_set(except, &|path| folder.points_place(path), &key("except"));
        }
    }

    fn suggestions(&mut self) {
        let folder = self.folder;
        let lists = &folder.recommendations;
        for (index, list) in lists.values.iter().enumerate() {
            self.audience(&list.audience, &|path| lists.place(index, path), &key("audience"));
            for (nth, item) in list.items.iter().enumerate() {
                let at =
                    |field| lists.place(index, vec![Step::Key("items"), Step::At(nth), Step::Key(field)]);
                let found = self.known.skus.contains(&item.sku);
                self.reference(found, || at("sku"), "article of the catalogue", &item.sku);
                self.range(item.score <= 1_000, || at("score"), || "a score is 0 to 1000".into());
            }
        }
        let care = &folder.care;
        for (index, message) in care.values.iter().enumerate() {
            self.audience(&message.audience, &|path| care.place(index, path), &key("audience"));
            if let Some(campaign) = &message.campaign {
                let found = self.folder.campaigns.values.iter().any(|known| known.id == *campaign);
                self.reference(found, || care.place(index, key("campaign")), "campaign", campaign);
            }
            let blank = is_blank(&message.texts);
            self.range(!blank, || care.place(index, key("texts")), || "needs a text to show".into());
        }
    }
}

/// The steps of a path such as `benefit.gift.choices[1]`.
fn steps(path: &str) -> Path {
    let parts = path.split(['.', '[']).filter(|part| !part.is_empty());
    parts
        .map(|part| match part.strip_suffix(']').and_then(|index| index.parse().ok()) {
            Some(index) => Step::At(index),
            None => Step::Name(part.to_owned()),
        })
        .collect()
}

fn is_blank(texts: &Texts) -> bool {
    texts.0.values().all(|text| text.trim().is_empty())
}

/// The code as compared.
fn normal(code: &CouponCode) -> CouponCode {
    CouponCode::normal(code.as_str()).unwrap_or_else(|_| code.clone())
}
