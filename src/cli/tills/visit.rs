//! What a shopper does: made up from a shop's own goods and members, or taken from real baskets.
//!
//! A `Visit` is complete before the first request goes out, so that the same seed gives the same visits whatever the
//! network does. Single-use codes are dealt out once over the whole fleet, in order; now and then one is presented again
//! on purpose, to be refused.

use std::sync::atomic::{AtomicUsize, Ordering};

use serde_json::{Value, json};

use crate::bundle::document::{CodeRecord, MemberRecord, Rules};
use crate::cli::journey::{self, Basket, Journey};
use crate::domain::calendar::Day;
use crate::domain::catalog::{Item, SoldBy};
use crate::domain::member::{Token, TokenKind};
use crate::pricing::model::Trigger;

use super::Dice;

/// Most lines of a made-up basket.
const LINES_MAX: u64 = 12;

/// What a shopper does.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Visit {
    /// What they show to be known.
    pub member: Option<Token>,
    /// What they buy; at least one.
    pub lines: Vec<VisitLine>,
    /// Codes they present.
    pub coupons: Vec<String>,
    /// Rewards they choose: promotion and times.
    pub claims: Vec<(String, u32)>,
    /// Do they spend as many points as they may?
    pub spend_points: bool,
    /// When, RFC 3339, if not now: prices are asked and the sale is dated as of then.
    pub at: Option<String>,
    /// The till's business day, if not the fleet's.
    pub business_day: Option<Day>,
    /// Is the member scanned before the goods?
    pub scan: bool,
    /// Is the basket quoted before it is paid? Without a quote the sale is committed with its basket.
    pub quote: bool,
    /// What comes after the sale.
    pub after: After,
}

/// One line of goods.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct VisitLine {
    /// As scanned.
    pub sku: String,
    /// How much.
    pub amount: Amount,
    /// The till's price, in minor units; the catalogue's if none.
    pub unit_price: Option<i64>,
    /// What the line costs at most, in minor units: what a till asks for when it has no quote.
    pub worth_minor: i64,
}

/// How much of an article.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Amount {
    /// Pieces.
    Units(u32),
    /// Grams.
    Grams(u32),
}

/// What comes after a sale.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum After {
    /// Nothing.
    #[default]
    Nothing,
    /// The cashier undoes it.
    Void,
    /// One unit of the first line comes back.
    Return,
    /// The shopper says what they think: 0 to 10.
    Feedback(u8),
}

impl Visit {
    /// The lines as the contract writes them; line ids count from 1.
    pub fn basket(&self) -> Value {
        let line = |(index, line): (usize, &VisitLine)| {
            let mut value = json!({ "line": (index + 1).to_string(), "sku": line.sku });
            match line.amount {
                Amount::Units(units) => value["qty"] = json!(units),
                Amount::Grams(grams) => value["weight_grams"] = json!(grams),
            }
            if let Some(price) = line.unit_price {
                value["unit_price"] = json!(price);
            }
            value
        };
        json!({ "lines": self.lines.iter().enumerate().map(line).collect::<Vec<_>>() })
    }

    /// A real basket, rung up by a till that sends its own prices and dates it with day 0 of the source on `base`.
    pub fn of_basket(basket: &Basket, base: Day) -> Visit {
        let lines = basket.lines.iter().flat_map(|line| {
            line.rung_up().into_iter().map(|part| VisitLine {
                sku: line.product.to_string(),
                amount: Amount::Units(part.quantity),
                unit_price: Some(part.unit_price.0),
                worth_minor: part.unit_price.times(part.quantity).0,
            })
        });
        Visit {
            member: Some(journey::household_card(basket.household)),
            lines: lines.collect(),
            coupons: basket.coupons.clone(),
            claims: Vec::new(),
            spend_points: false,
            at: Some(Journey::at(basket, base)),
            business_day: Some(Journey::business_day(basket, base)),
            scan: true,
            quote: true,
            after: After::Nothing,
        }
    }
}

/// What made-up shoppers choose from.
#[derive(Debug)]
pub struct Stock {
    goods: Vec<Good>,
    members: Vec<Token>,
    generic_codes: Vec<String>,
    single_codes: Vec<(String, Option<Token>)>,
    claims: Vec<String>,
    single_codes_dealt: AtomicUsize,
}

#[derive(Debug)]
struct Good {
    sku: String,
    price_minor: i64,
    by_weight: bool,
}

impl Stock {
    /// What a bundle offers; nothing can be bought from an empty catalogue. The order in which goods are popular depends
    /// on the seed.
    pub fn new(rules: &Rules, members: &[MemberRecord], codes: &[CodeRecord], seed: u64) -> Stock {
        let mut dice = Dice::new(seed, "stock");
        let good = |item: &Item| Good {
            sku: item.sku.to_string(),
            price_minor: item.price.0,
            by_weight: item.sold_by == SoldBy::Kilogram,
        };
        let mut goods: Vec<(u64, Good)> =
            rules.catalogue.iter().map(|item| (dice.draw(), good(item))).collect();
        goods.sort_by_key(|(order, _)| *order);
        let token_of = |id: &str| {
            let member = members.iter().find(|member| member.id.as_str() == id)?;
            member.tokens.first().cloned()
        };
        let single = |code: &CodeRecord| {
            let owner = code.member.as_ref().and_then(|id| token_of(id.as_str()));
            (code.code.to_string(), owner)
        };
        let claimed = rules.promotions.iter().filter(|promotion| promotion.trigger == Trigger::Claim);
        Stock {
            goods: goods.into_iter().map(|(_, good)| good).collect(),
            members: members.iter().flat_map(|member| member.tokens.iter().cloned()).collect(),
            generic_codes: rules
                .coupons
                .iter()
                .filter_map(|of| of.code.as_ref())
                .map(ToString::to_string)
                .collect(),
            single_codes: codes.iter().map(single).collect(),
            claims: claimed.map(|promotion| promotion.id.to_string()).collect(),
            single_codes_dealt: AtomicUsize::new(0),
        }
    }

    /// Somebody the shop knows; `None` if it knows nobody.
    pub fn member(&self, dice: &mut Dice) -> Option<Token> {
        dice.pick_popular(&self.members).cloned()
    }

    /// Somebody the shop does not know yet: a phone number that belongs to nobody.
    pub fn stranger(&self, run: &str, dice: &mut Dice) -> Token {
        Token { kind: TokenKind::Qr, value: format!("stranger-{run}-{}", dice.draw()) }
    }

    /// Something on the shelf; `None` if there is nothing.
    pub fn sku(&self, dice: &mut Dice) -> Option<String> {
        dice.pick_popular(&self.goods).map(|good| good.sku.clone())
    }

    /// The next visit; `None` where there is nothing to buy.
    pub fn visit(&self, dice: &mut Dice) -> Option<Visit> {
        let wanted = 1 + dice.below(LINES_MAX) * dice.below(LINES_MAX) / LINES_MAX;
        let lines: Vec<VisitLine> = (0..wanted).filter_map(|_| self.line(dice)).collect();
        if lines.is_empty() {
            return None;
        }
        let mut member = if dice.per_mille(800) { self.member(dice) } else { None };
        let mut coupons = Vec::new();
        if dice.per_mille(120) {
            coupons.extend(dice.pick(&self.generic_codes).cloned());
        }
        if dice.per_mille(80)
            && let Some((code, owner)) = self.single_code(dice)
        {
            coupons.push(code.clone());
            member = owner.clone().or(member);
        }
        let claims = match dice.pick(&self.claims) {
            Some(claim) if member.is_some() && dice.per_mille(40) => vec![(claim.clone(), 1)],
            _ => Vec::new(),
        };
        let after = match dice.below(100) {
            0..2 => After::Void,
            2..5 => After::Return,
            5..9 => After::Feedback(u8::try_from(dice.below(11)).expect("0 to 10")),
            _ => After::Nothing,
        };
        Some(Visit {
            spend_points: member.is_some() && dice.per_mille(60),
            scan: member.is_some() && dice.per_mille(900),
            quote: dice.per_mille(930),
            member,
            lines,
            coupons,
            claims,
            at: None,
            business_day: None,
            after,
        })
    }

    fn line(&self, dice: &mut Dice) -> Option<VisitLine> {
        let good = dice.pick_popular(&self.goods)?;
        let (amount, worth_minor) = if good.by_weight {
            let grams = u32::try_from(150 + dice.below(2_350)).expect("at most 2,500");
            (Amount::Grams(grams), good.price_minor * i64::from(grams) / 1_000 + 1)
        } else {
            let units = match dice.below(10) {
                0..6 => 1,
                6..9 => 2,
                _ => 3,
            };
            (Amount::Units(units), good.price_minor * i64::from(units))
        };
        // Most tills leave the price to the catalogue.
        let unit_price = dice.per_mille(200).then_some(good.price_minor);
        Some(VisitLine { sku: good.sku.clone(), amount, unit_price, worth_minor })
    }

    /// The next single-use code nobody got yet, or in one of twenty cases one that was dealt before.
    fn single_code(&self, dice: &mut Dice) -> Option<&(String, Option<Token>)> {
        let dealt = self.single_codes_dealt.load(Ordering::Acquire).min(self.single_codes.len());
        if dealt > 0 && dice.per_mille(50) {
            return dice.pick(&self.single_codes[..dealt]);
        }
        self.single_codes.get(self.single_codes_dealt.fetch_add(1, Ordering::AcqRel))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::path::Path;

    fn week() -> Journey {
        let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/data/complete-journey");
        Journey::open(&folder, 0..7).expect("the extract in the repository")
    }

    fn day() -> Day {
        "2026-03-01".parse().expect("valid")
    }

    #[test]
    fn does_a_real_basket_cost_at_the_till_what_it_cost_in_the_shop() {
        for basket in &week().baskets {
            let visit = Visit::of_basket(basket, day());
            let gross: i64 = basket.lines.iter().map(|line| line.gross.0).sum();
            assert_eq!(visit.lines.iter().map(|line| line.worth_minor).sum::<i64>(), gross);
            let lines = visit.basket()["lines"].as_array().map(Vec::len);
            assert_eq!(lines, Some(visit.lines.len()));
        }
    }

    #[test]
    fn are_the_visits_of_a_seed_the_same_and_all_of_goods_on_the_shelf() {
        let (rules, members, codes) = journey::bundle_of(&week(), day());
        let visits = |seed| {
            let stock = Stock::new(&rules, &members, &codes, seed);
            let mut dice = Dice::new(seed, "till-01");
            (0..200).filter_map(|_| stock.visit(&mut dice)).collect::<Vec<_>>()
        };
        let first = visits(1);
        assert_eq!(first.len(), 200);
        assert_eq!(first, visits(1));
        assert_ne!(first, visits(2));
        assert!(first.iter().flat_map(|visit| &visit.lines).all(|line| line.worth_minor > 0));
        assert!(first.iter().any(|visit| visit.member.is_none()) && first.iter().any(|visit| visit.scan));
    }

    #[test]
    fn does_an_empty_shop_have_visits() {
        let (mut rules, ..) = journey::bundle_of(&week(), day());
        rules.catalogue.clear();
        assert_eq!(Stock::new(&rules, &[], &[], 1).visit(&mut Dice::new(1, "till-01")), None);
    }
}
