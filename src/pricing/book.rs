//! The book: a bundle's promotions and catalogue, checked, compiled and indexed; what the engine prices with.
//!
//! Invariants: `rules` stand in the order of application (priority, highest first, then the order of the bundle, or,
//! where the best combination is looked for, the order of ids), and
//! a rule's position there is its number in this room; articles of the catalogue have the numbers below
//! `items.len()`, articles that only a set names the ones above. A book never changes: a new bundle is a new book.

use std::collections::BTreeMap;

use crate::domain::basket::Basket;
use crate::domain::calendar::StoreZone;
use crate::domain::catalog::Item;
use crate::domain::ids::{CouponId, PromotionId, Sku, Tag};
use crate::domain::money::Currency;

use super::check;
use super::conditions::Cond;
use super::index::Index;
use super::model::{
    Arithmetic, Audience, Benefit, LimitScope, PointsProgramme, PointsRate, PointsRedeem, Promotion,
    ResolutionMode, Stage,
};
use super::sets::{Names, Set};
use super::units;
use super::{PriceFault, Sale};

/// What a book is made from.
#[derive(Clone, Debug)]
pub struct BookRules {
    /// The shop's currency.
    pub currency: Currency,
    /// The shop's time zone.
    pub zone: StoreZone,
    /// How money is worked out.
    pub arithmetic: Arithmetic,
    /// How the set of promotions is found.
    pub resolution: ResolutionMode,
    /// The assortment.
    pub catalogue: Vec<Item>,
    /// In declared order.
    pub promotions: Vec<Promotion>,
    /// The points programme.
    pub points: PointsProgramme,
    /// Coupon definitions.
    pub coupons: Vec<CouponRule>,
}

/// A coupon definition, as far as pricing looks at it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct CouponRule {
    /// Its id.
    pub id: CouponId,
    /// What it is a right to; its trigger is `code`.
    pub promotion: PromotionId,
}

/// One thing wrong with the rules. All of them are reported at once.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct RuleFault {
    /// In which promotion; none for the catalogue, the coupons or the programme.
    pub promotion: Option<PromotionId>,
    /// Path of the field within it, for example `benefit.spend_and_save.tiers[1].spend`.
    pub field: String,
    /// What is wrong, with the value.
    pub message: String,
    /// What to write instead.
    pub remedy: String,
}

/// Fits after "failed to compile the rules:".
impl std::fmt::Display for RuleFault {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let owner = self.promotion.as_ref().map_or("the shop", |id| id.as_str());
        write!(f, "{owner}: {}: {}; {}", self.field, self.message, self.remedy)
    }
}

/// When in a sale a promotion's turn is.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum Phase {
    /// Changes shelf prices; not among the candidates of a sale.
    Shelf,
    /// Takes off units.
    Unit,
    /// Takes off the basket, adds gifts, issues coupons.
    Order,
    /// Turns points into money.
    Redeem,
    /// Gives points.
    Earn,
}

/// A promotion, compiled.
#[derive(Debug)]
pub(super) struct Rule {
    /// Its place among the rules.
    pub(super) number: u32,
    pub(super) promotion: Promotion,
    pub(super) phase: Phase,
    /// How it is resolved: as its stacking group, else as the bundle.
    pub(super) resolution: ResolutionMode,
    /// The qualifier's items.
    pub(super) set: Set,
    /// The units that receive, where the benefit names them.
    pub(super) get: Option<Set>,
    /// The sets of a combination.
    pub(super) parts: Vec<Set>,
    pub(super) condition: Cond,
}

/// An article, compiled.
#[derive(Debug)]
pub(super) struct Entry {
    pub(super) item: Item,
    pub(super) categories: Box<[u32]>,
    pub(super) brand: u32,
}

/// The programme, compiled.
#[derive(Debug)]
pub(super) struct Programme {
    pub(super) earn: Option<PointsRate>,
    pub(super) redeem: Option<PointsRedeem>,
    pub(super) except: Option<Set>,
}

/// Compiled, indexed promotions and catalogue. See the header.
#[derive(Debug)]
pub struct Book {
    pub(super) currency: Currency,
    pub(super) zone: StoreZone,
    pub(super) arithmetic: Arithmetic,
    pub(super) resolution: ResolutionMode,
    pub(super) programme: Programme,
    pub(super) names: Names,
    pub(super) rules: Vec<Rule>,
    pub(super) index: Index,
    /// Rules that change shelf prices, in order of application.
    pub(super) shelf: Vec<u32>,
    /// Rules in the order in which a scan shows them: the most personal first.
    pub(super) showing: Vec<u32>,
    items: Vec<Entry>,
    by_id: BTreeMap<PromotionId, u32>,
}

impl Book {
    /// Checks, compiles and indexes. Every fault is reported, in the order of the bundle.
    pub fn compile(rules: BookRules) -> Result<Book, Vec<RuleFault>> {
        let faults = check::faults(&rules);
        if !faults.is_empty() {
            return Err(faults);
        }
        let mut names = Names::default();
        let numbered: Vec<u32> =
            rules.catalogue.iter().map(|item| Names::number(&mut names.skus, &item.sku)).collect();
        debug_assert!(numbered.is_sorted(), "the catalogue's articles have the first numbers");
        let items = rules.catalogue.into_iter().map(|item| entry(item, &mut names)).collect();
        let mut promotions = rules.promotions;
        if rules.resolution == ResolutionMode::Best {
            promotions.sort_by(|a, b| a.id.cmp(&b.id));
        }
        promotions.sort_by_key(|promotion| std::cmp::Reverse(promotion.stacking.priority));
        let compiled: Vec<Rule> =
            (0..).zip(promotions).map(|(number, p)| compile_rule(number, p, &mut names)).collect();
        let by_id = (0..).zip(&compiled).map(|(number, rule)| (rule.promotion.id.clone(), number)).collect();
        let mut showing: Vec<u32> = (0..compiled.len() as u32).collect();
        showing.sort_by_key(|number| {
            std::cmp::Reverse(personal(&compiled[*number as usize].promotion.audience))
        });
        let programme = Programme {
            earn: rules.points.earn,
            redeem: rules.points.redeem,
            except: rules.points.except.as_ref().map(|set| Set::compile(set, &mut names)),
        };
        let index = Index::new(&compiled, &names);
        let on_shelf = |number: &u32| compiled[*number as usize].phase == Phase::Shelf;
        let shelf = (0..compiled.len() as u32).filter(on_shelf).collect();
        let book = Book {
            currency: rules.currency,
            zone: rules.zone,
            arithmetic: rules.arithmetic,
            resolution: rules.resolution,
            programme,
            names,
            rules: compiled,
            index,
            shelf,
            showing,
            items,
            by_id,
        };
        Ok(book.resolving(&BTreeMap::new()))
    }

    /// Some stacking groups are resolved otherwise than the bundle.
    pub fn resolving(mut self, groups: &BTreeMap<Tag, ResolutionMode>) -> Book {
        for rule in &mut self.rules {
            let group = rule.promotion.stacking.group.as_ref();
            rule.resolution = group.and_then(|group| groups.get(group)).copied().unwrap_or(self.resolution);
        }
        self
    }

    /// All articles of the catalogue.
    pub fn items(&self) -> impl Iterator<Item = &Item> {
        self.items.iter().map(|entry| &entry.item)
    }

    /// An article of the catalogue.
    pub fn item(&self, sku: &Sku) -> Option<&Item> {
        self.entry(sku).map(|entry| &entry.item)
    }

    /// A promotion of the book.
    pub fn promotion(&self, id: &PromotionId) -> Option<&Promotion> {
        self.number(id).map(|number| &self.rules[number as usize].promotion)
    }

    /// Promotions that could touch this basket and whose use in this shop, on this device or offline is bounded: for
    /// these the sale needs a `Usage`. In order of application; none for a basket that cannot be priced.
    pub fn limited(&self, basket: &Basket) -> Vec<PromotionId> {
        let counted = |promotion: &Promotion| {
            promotion.offline.exposure_max.is_some()
                || promotion.limits.iter().any(|limit| match limit.scope {
                    LimitScope::Store | LimitScope::StoreDay | LimitScope::Chain | LimitScope::Device => true,
                    LimitScope::Member | LimitScope::MemberDay | LimitScope::Code => false,
                })
        };
        self.touched(basket).filter(|p| counted(p)).map(|p| p.id.clone()).collect()
    }

    /// The coupons that a sale of these goods may issue.
    pub fn issuing(&self, basket: &Basket) -> Vec<CouponId> {
        self.touched(basket).filter_map(|p| p.benefit.issues()).map(|it| it.coupon.clone()).collect()
    }

    /// Active promotions that could touch this basket, in order of application; none if it cannot be priced.
    fn touched(&self, basket: &Basket) -> impl Iterator<Item = &Promotion> {
        let touching = units::goods(self, basket).map(|goods| self.index.touching(&goods));
        let numbers = touching.unwrap_or_default().into_iter();
        numbers.map(|number| &self.rules[number as usize].promotion).filter(|p| p.active)
    }

    /// Prices a sale: every figure, every unit's share, and a reason for every promotion that was asked.
    ///
    /// `UnknownSku` if a line has neither a catalogue article nor a price, `AmountTooLarge` outside `limits`.
    pub fn price(&self, sale: &Sale<'_>) -> Result<super::outcome::Priced, PriceFault> {
        super::answer::price(self, sale)
    }

    pub(super) fn entry(&self, sku: &Sku) -> Option<&Entry> {
        self.names.skus.get(sku).and_then(|number| self.items.get(*number as usize))
    }

    /// An article of the catalogue by its number.
    pub(super) fn numbered(&self, number: u32) -> Option<&Entry> {
        self.items.get(number as usize)
    }

    pub(super) fn number(&self, id: &PromotionId) -> Option<u32> {
        self.by_id.get(id).copied()
    }
}

fn entry(item: Item, names: &mut Names) -> Entry {
    let categories = item.categories.iter().map(|c| Names::number(&mut names.categories, c)).collect();
    let brand =
        item.brand.as_ref().map_or(super::sets::UNKNOWN, |brand| Names::number(&mut names.brands, brand));
    Entry { item, categories, brand }
}

fn compile_rule(number: u32, promotion: Promotion, names: &mut Names) -> Rule {
    let get = match &promotion.benefit {
        Benefit::BuyXGetY(buy) => buy.get_items.as_ref().map(|set| Set::compile(set, names)),
        Benefit::AddOn(add_on) => Some(Set::compile(&add_on.items, names)),
        _ => None,
    };
    let parts = match &promotion.benefit {
        Benefit::Combo(combo) => combo.parts.iter().map(|part| Set::compile(&part.items, names)).collect(),
        _ => Vec::new(),
    };
    Rule {
        number,
        parts,
        phase: phase(&promotion),
        resolution: ResolutionMode::default(),
        set: Set::compile(&promotion.qualifier.items, names),
        get,
        condition: Cond::compile(&promotion.conditions, names),
        promotion,
    }
}

fn phase(promotion: &Promotion) -> Phase {
    let natural = match &promotion.benefit {
        Benefit::LinePercent(_)
        | Benefit::LineAmount(_)
        | Benefit::LineFixedPrice(_)
        | Benefit::MemberPrice
        | Benefit::BuyXGetY(_)
        | Benefit::NthItem(_)
        | Benefit::Tiered(_)
        | Benefit::FirstAndFurther(_)
        | Benefit::Sets(_)
        | Benefit::Combo(_)
        | Benefit::Markdown(_) => Phase::Unit,
        Benefit::OrderPercent(_)
        | Benefit::OrderAmount(_)
        | Benefit::OrderFixedPrice(_)
        | Benefit::SpendAndSave(_)
        | Benefit::AddOn(_)
        | Benefit::Gift(_)
        | Benefit::IssueCoupon(_) => Phase::Order,
        Benefit::PointsRedeem(_) => Phase::Redeem,
        Benefit::PointsFixed(_)
        | Benefit::PointsRate(_)
        | Benefit::PointsPerUnit(_)
        | Benefit::PointsMultiplier(_) => Phase::Earn,
    };
    match promotion.stacking.stage {
        _ if natural == Phase::Earn => Phase::Earn,
        None => natural,
        Some(Stage::Shelf) => Phase::Shelf,
        Some(Stage::Unit) => Phase::Unit,
        Some(Stage::Order) => Phase::Order,
        Some(Stage::Reward) => Phase::Redeem,
    }
}

/// How closely an audience is drawn, for the order in which offers are shown.
pub(super) fn personal(audience: &Audience) -> u8 {
    match audience {
        Audience::Everyone => 0,
        Audience::Not(_) | Audience::Member => 1,
        Audience::Tier(_) | Audience::Tag(_) | Audience::Group(_) | Audience::Segment(_) => 2,
        Audience::FirstVisit
        | Audience::NthPurchase(_)
        | Audience::Drawn(_)
        | Audience::Birthday(_)
        | Audience::Is(_) => 3,
        Audience::Any(any) => any.iter().map(personal).min().unwrap_or(0),
        Audience::All(all) => all.iter().map(personal).max().unwrap_or(0),
    }
}
