//! The basket as pricing sees it: goods (all units of one article at one price) and runs of equal units.
//!
//! Invariants: goods are in canonical order (by default price descending, then sku, then weight), whatever the order of the lines
//! and however the device split equal lines; a rule's "line" is a good, so no discount depends on the splitting.
//! Runs of one good are neighbours, in the order of the goods; the quantities of a good's runs sum to the good's; no
//! run's `net` is negative. A run's discounts are a list in `State::history` that runs share until they part, so that
//! 2,000 equal units cost as much as one.

use std::cmp::Reverse;
use std::collections::BTreeMap;

use crate::domain::basket::{Basket, Quantity};
use crate::domain::calendar::Day;
use crate::domain::catalog::{Item, SoldBy};
use crate::domain::ids::{LineId, Sku};
use crate::domain::money::{Money, Rounding};
use crate::limits;

use super::PriceFault;
use super::book::Book;
use super::model::Listing;
use super::sets::UNKNOWN;

/// All units of one article at one price.
#[derive(Clone, Debug)]
pub(super) struct Good<'a> {
    pub(super) sku: &'a Sku,
    pub(super) sku_number: u32,
    pub(super) categories: &'a [u32],
    pub(super) brand: u32,
    pub(super) item: Option<&'a Item>,
    /// Shelf price, per piece or per kilogram, as promotions on the shelf left it.
    pub(super) shelf: Money,
    /// What one unit costs at the shelf price.
    pub(super) price: Money,
    /// What one unit cost before promotions on the shelf.
    pub(super) listed: Money,
    /// Units.
    pub(super) qty: u32,
    /// Weight of each unit, where it is weighed.
    pub(super) grams: Option<u32>,
    /// Is the shelf price below the list price?
    pub(super) reduced: bool,
    /// No promotion takes a unit below this.
    pub(super) floor: Money,
    /// What a unit costs a member, where that is said.
    pub(super) member_price: Option<Money>,
    /// Last day it is at its best, where the line says so.
    pub(super) best_before: Option<Day>,
    /// Which lines of the basket, by line id, with their units.
    pub(super) lines: Vec<(u32, u32)>,
    /// A made-up unit that belongs to this set (by number) and to sets of everything only.
    pub(super) only_in: Option<u32>,
}

type Place<'g> = (Option<Reverse<Money>>, &'g Sku, Option<Reverse<Money>>, Option<u32>, Option<Day>);

impl Good<'_> {
    /// A price per piece or per kilogram, for one unit of this.
    pub(super) fn unit_amount(&self, price: Money, rounding: Rounding) -> Money {
        match self.grams {
            Some(grams) => Quantity::Grams(grams).unit_amount(price, rounding),
            None => price,
        }
    }

    /// Its place in the canonical order.
    fn order(&self, listing: Listing) -> Place<'_> {
        let dearest = Some(Reverse(self.listed));
        match listing {
            Listing::Dearest => (dearest, self.sku, None, self.grams, self.best_before),
            Listing::Article => (None, self.sku, dearest, self.grams, self.best_before),
        }
    }
}

/// Groups the lines of a basket into goods, in canonical order.
pub(super) fn goods<'a>(book: &'a Book, basket: &'a Basket) -> Result<Vec<Good<'a>>, PriceFault> {
    let mut single = Vec::with_capacity(basket.lines.len());
    let mut units = 0_u32;
    let dated: BTreeMap<&LineId, Day> = basket.best_before().iter().map(|(line, day)| (line, *day)).collect();
    for (index, line) in basket.lines.iter().enumerate() {
        let entry = book.entry(&line.sku);
        let shelf = match (line.unit_price, entry) {
            (Some(price), _) => price,
            (None, Some(entry)) => entry.item.price,
            (None, None) => {
                return Err(PriceFault::UnknownSku { line: line.line.clone(), sku: line.sku.clone() });
            }
        };
        let rounding = book.arithmetic.rounding;
        let in_range = |price: Money| (0..=limits::UNIT_PRICE_MINOR_MAX).contains(&price.0);
        let price = line.quantity.unit_amount(shelf, rounding);
        units = units.saturating_add(line.quantity.units());
        if !in_range(shelf) || !in_range(price) || units > limits::BASKET_UNITS_MAX {
            return Err(PriceFault::AmountTooLarge { line: line.line.clone() });
        }
        let item = entry.map(|entry| &entry.item);
        let scaled = |price: Money| line.quantity.unit_amount(price, rounding);
        single.push(Good {
            sku: &line.sku,
            sku_number: book.names.skus.get(&line.sku).copied().unwrap_or(UNKNOWN),
            categories: entry.map_or(&[], |entry| &entry.categories),
            brand: entry.map_or(UNKNOWN, |entry| entry.brand),
            item,
            shelf,
            price,
            listed: price,
            qty: line.quantity.units(),
            grams: match line.quantity {
                Quantity::Units(_) => None,
                Quantity::Grams(grams) => Some(grams),
            },
            reduced: item.is_some_and(|item| item.is_reduced(shelf)),
            floor: item.and_then(|item| item.floor_price).map_or(Money::ZERO, scaled).max(Money::ZERO),
            member_price: item.and_then(|item| item.member_price).map(scaled),
            best_before: dated.get(&line.line).copied(),
            lines: vec![(index as u32, line.quantity.units())],
            only_in: None,
        });
    }
    let id = |good: &Good<'_>| -> &'a LineId { &basket.lines[good.lines[0].0 as usize].line };
    let listing = book.arithmetic.listing;
    single.sort_by(|a, b| a.order(listing).cmp(&b.order(listing)).then_with(|| id(a).cmp(id(b))));
    let mut goods: Vec<Good<'a>> = Vec::with_capacity(single.len());
    for good in single {
        match goods.last_mut() {
            Some(last) if last.order(listing) == good.order(listing) && last.shelf == good.shelf => {
                last.qty += good.qty;
                last.lines.extend(good.lines);
            }
            _ => goods.push(good),
        }
    }
    Ok(goods)
}

/// One piece of a catalogue's article, by number; nothing for what is sold by weight or not in the catalogue.
pub(super) fn of_catalogue(book: &Book, number: u32) -> Option<Good<'_>> {
    let entry = book.numbered(number).filter(|entry| entry.item.sold_by == SoldBy::Piece)?;
    Some(Good {
        sku: &entry.item.sku,
        sku_number: number,
        categories: &entry.categories,
        brand: entry.brand,
        item: Some(&entry.item),
        shelf: entry.item.price,
        price: entry.item.price,
        listed: entry.item.price,
        qty: 1,
        grams: None,
        reduced: entry.item.is_reduced(entry.item.price),
        floor: entry.item.floor_price.unwrap_or_default().max(Money::ZERO),
        member_price: entry.item.member_price,
        best_before: None,
        lines: Vec::new(),
        only_in: None,
    })
}

/// Puts one more good among the others, at its canonical place, and says which that is.
pub(super) fn insert<'a>(goods: &mut Vec<Good<'a>>, good: Good<'a>, listing: Listing) -> usize {
    let place = goods.partition_point(|other| other.order(listing) <= good.order(listing));
    goods.insert(place, good);
    place
}

/// Points turned into money by the programme stand in the history under this number.
pub(super) const PROGRAMME: u32 = u32::MAX;
const NOTHING: u32 = u32::MAX;

/// Units of one good in one state.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Run {
    pub(super) good: u32,
    pub(super) qty: u32,
    /// What each unit costs now.
    pub(super) net: Money,
    /// Points each earned.
    pub(super) earned: i64,
    /// Points each was paid with.
    pub(super) spent: i64,
    history: u32,
    /// Later promotions skip it.
    pub(super) stopped: bool,
    /// Used up for promotions that consume.
    pub(super) taken: bool,
    /// Which promotion that consumes may use it, by number; `ANYBODY` while nothing was planned.
    pub(super) kept: u32,
}

/// Kept for no promotion in particular.
pub(super) const ANYBODY: u32 = u32::MAX;
/// Kept from every promotion that consumes.
pub(super) const NOBODY: u32 = u32::MAX - 1;

impl Run {
    /// The units of this run that a mark reaches, as it leaves them.
    fn marked(&self, mark: &Mark, promotion: u32, history: &mut Vec<Step>, flags: (bool, bool)) -> Run {
        assert!(mark.amount <= self.net, "no unit goes below zero");
        let mut part = *self;
        part.qty = mark.qty;
        part.net -= mark.amount;
        part.earned += mark.points;
        part.spent += mark.spent;
        part.stopped |= flags.0;
        part.taken |= flags.1;
        if mark.amount.is_positive() {
            part.history = history.len() as u32;
            history.push(Step { before: self.history, promotion, amount: mark.amount });
        }
        part
    }
}

#[derive(Clone, Copy, Debug)]
struct Step {
    before: u32,
    promotion: u32,
    amount: Money,
}

/// What a promotion does to some units of a run; marks stand in the order of runs.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) struct Mark {
    pub(super) run: u32,
    pub(super) good: u32,
    pub(super) qty: u32,
    /// Taken off each unit; nothing for a unit that only qualified.
    pub(super) amount: Money,
    /// Points each earns.
    pub(super) points: i64,
    /// Points each is paid with.
    pub(super) spent: i64,
}

/// All units, as promotions so far left them.
#[derive(Clone, Debug)]
pub(super) struct State {
    pub(super) runs: Vec<Run>,
    history: Vec<Step>,
}

impl State {
    /// Nothing applied yet.
    pub(super) fn new(goods: &[Good<'_>]) -> State {
        let run = |(good, of): (usize, &Good<'_>)| Run {
            good: good as u32,
            qty: of.qty,
            net: of.price,
            earned: 0,
            spent: 0,
            history: NOTHING,
            stopped: false,
            taken: false,
            kept: ANYBODY,
        };
        State { runs: goods.iter().enumerate().map(run).collect(), history: Vec::new() }
    }

    /// Nothing applied yet, and units kept for promotions that consume: (good, promotion, units), sorted by good. Of a
    /// good named there the rest is kept from all of them.
    pub(super) fn keeping(goods: &[Good<'_>], kept: &[(u32, u32, u32)]) -> State {
        let mut state = State::new(goods);
        let mut runs = Vec::with_capacity(goods.len() + kept.len());
        let mut kept = kept.iter().peekable();
        for run in &state.runs {
            let (mut left, mut named) = (run.qty, false);
            while let Some((_, promotion, qty)) = kept.next_if(|(good, ..)| *good == run.good) {
                named = true;
                if *qty > 0 {
                    runs.push(Run { qty: *qty, kept: *promotion, ..*run });
                    left -= qty;
                }
            }
            if left > 0 {
                runs.push(Run { qty: left, kept: if named { NOBODY } else { ANYBODY }, ..*run });
            }
        }
        state.runs = runs;
        state
    }

    /// Does to the units what the marks say. `stop` and `take` are set on every marked unit.
    pub(super) fn apply(&mut self, promotion: u32, marks: &[Mark], stop: bool, take: bool) {
        debug_assert!(marks.is_sorted_by_key(|mark| mark.run), "marks stand in the order of runs");
        self.history.reserve(marks.len());
        let whole = marks.iter().all(|mark| mark.qty == self.runs[mark.run as usize].qty);
        if whole {
            for mark in marks {
                let run = &mut self.runs[mark.run as usize];
                *run = run.marked(mark, promotion, &mut self.history, (stop, take));
            }
            return;
        }
        let mut next = Vec::with_capacity(self.runs.len() + marks.len());
        let mut marks = marks.iter().peekable();
        for (index, run) in self.runs.iter().enumerate() {
            let mut left = run.qty;
            while let Some(mark) = marks.next_if(|mark| mark.run as usize == index) {
                assert!(mark.qty <= left, "a promotion reaches no more units than there are");
                left -= mark.qty;
                next.push(run.marked(mark, promotion, &mut self.history, (stop, take)));
            }
            if left > 0 {
                next.push(Run { qty: left, ..*run });
            }
        }
        self.runs = next;
    }

    /// The promotions that took something off so far, once for each time.
    pub(super) fn applied(&self) -> impl Iterator<Item = u32> {
        self.history.iter().map(|step| step.promotion).filter(|number| *number != PROGRAMME)
    }

    /// What was taken off each unit of a run, in the order of application.
    pub(super) fn discounts(&self, run: &Run) -> Vec<Off> {
        let mut steps = Vec::new();
        let mut at = run.history;
        while at != NOTHING {
            let step = self.history[at as usize];
            steps.push(Off { step: at, promotion: step.promotion, amount: step.amount });
            at = step.before;
        }
        steps.reverse();
        steps
    }
}

/// What one promotion took off.
#[derive(Clone, Copy, Debug)]
pub(super) struct Off {
    /// Grows in the order of application.
    pub(super) step: u32,
    pub(super) promotion: u32,
    pub(super) amount: Money,
}
