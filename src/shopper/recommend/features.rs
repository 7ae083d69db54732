//! The items worth a thought for one shopper, and the numbers each source says about them.
//!
//! ```text
//! candidate   what was bought before, and each other source's best
//! row         one number a column; nothing where a source is silent, `NEVER` baskets ago for what was never bought,
//!             `UNKNOWN` where there is no interval yet
//! ```
//! The rows are what trees are grown on and what they score. Never a candidate: what is in the basket.

use super::history::{Item, Member, Past};
use super::model::{Params, Shipped};
use super::neighbours::{Asking, Neighbours};
use super::pairs::Pairs;
use super::personal;
use super::popular::Popular;
use super::tally::Tally;

/// What is known of a shopper when a proposal is wanted.
#[derive(Clone, Copy, Debug)]
pub struct View<'a> {
    /// The member, where the model was built with this member: never a neighbour of itself.
    pub member: Option<Member>,
    /// All baskets so far, also those after the model was built; items the model has not seen are passed over.
    pub past: Past<'a>,
    /// What is in the basket now, in any order.
    pub basket: &'a [Item],
    /// Today's day and hour.
    pub now: super::history::Moment,
    /// The segment, by the numbers the model was built with.
    pub segment: Option<u16>,
}

/// A number of a row.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Column {
    /// Baskets with it.
    Count,
    /// The same as a part of all.
    Frequency,
    /// Baskets with it, slowly fading with each basket since.
    Slow,
    /// The same, quickly fading.
    Quick,
    /// Baskets since it was bought; 0 is the last one.
    Ago,
    /// Days since it was bought, in its mean intervals: from 1 it is due.
    Due,
    /// Mean part of a basket.
    Share,
    /// Baskets with it, of those since it was first bought.
    SinceFirst,
    /// Its weight in the shopper's taste.
    Taste,
    /// Mean weight in the tastes of neighbours.
    Neighbours,
    /// The same, each weighed by the square of its likeness.
    Alike,
    /// The same of neighbours by the last few baskets, weighed by likeness.
    AlikeLately,
    /// Sum of what goes with all that was bought, by the same members.
    SameMember,
    /// The highest of these.
    SameMemberBest,
    /// What goes with the basket, or with the last one where it is empty.
    SameBasket,
    /// What comes in the basket after.
    BasketAfter,
    /// Baskets with it for each member.
    Popular,
    /// The same, lately.
    PopularLately,
    /// The latter to the former.
    Trend,
    /// Of those who bought it, the part that bought it again.
    Again,
    /// The part that bought it again at once.
    NextAgain,
    /// Mean size of the baskets it is in.
    BasketSize,
    /// Head office's factors.
    Factors,
    /// Head office's network.
    Network,
    /// The shopper's baskets.
    Baskets,
    /// Their mean size.
    OwnSize,
    /// The size of the last one.
    LastSize,
    /// The part of the shopper's lines that were bought before.
    Repeats,
    /// Different items bought.
    Distinct,
    /// Items in the basket.
    Begun,
}

/// Columns of a row.
pub const WIDTH: usize = Column::Begun as usize + 1;
/// Baskets ago of what was never bought: more than any past has that tells.
const NEVER: f32 = 9_999.0;
/// The interval of what was not bought twice.
const UNKNOWN: f32 = -1.0;

/// Candidates and their rows.
#[derive(Clone, Debug, Default)]
pub struct Table {
    /// The slot of each item and one, or nothing.
    slots: Vec<u32>,
    items: Vec<Item>,
    values: Vec<f32>,
}

impl Table {
    pub(super) fn clear(&mut self, item_count: usize) {
        for &item in &self.items {
            self.slots[item as usize] = 0;
        }
        self.items.clear();
        self.values.clear();
        if self.slots.len() < item_count {
            self.slots.resize(item_count, 0);
        }
    }

    /// The candidate's slot; a new one has an empty row.
    pub(super) fn add(&mut self, item: Item) -> usize {
        let slot = &mut self.slots[item as usize];
        if *slot == 0 {
            self.items.push(item);
            *slot = self.items.len() as u32;
            let start = self.values.len();
            self.values.resize(start + WIDTH, 0.0);
            self.values[start + Column::Ago as usize] = NEVER;
            self.values[start + Column::Due as usize] = UNKNOWN;
        }
        *slot as usize - 1
    }

    pub(super) fn get(&self, slot: usize, column: Column) -> f32 {
        self.values[slot * WIDTH + column as usize]
    }

    pub(super) fn set(&mut self, slot: usize, column: Column, value: f32) {
        self.values[slot * WIDTH + column as usize] = value;
    }

    pub(super) fn change(&mut self, slot: usize, column: Column, by: impl Fn(f32) -> f32) {
        let value = &mut self.values[slot * WIDTH + column as usize];
        *value = by(*value);
    }

    /// The candidates, by slot.
    #[must_use]
    pub fn items(&self) -> &[Item] {
        &self.items
    }

    /// The highest number of a column among what was never bought.
    pub(super) fn highest_new(&self, column: Column) -> f32 {
        let rows = self.values.chunks_exact(WIDTH);
        let new = rows.filter(|row| row[Column::Count as usize] == 0.0);
        new.map(|row| row[column as usize]).fold(f32::MIN_POSITIVE, f32::max)
    }

    /// A candidate's row.
    #[must_use]
    pub fn row(&self, slot: usize) -> &[f32] {
        &self.values[slot * WIDTH..(slot + 1) * WIDTH]
    }

    fn remove(&mut self, items: &[Item]) {
        for &item in items {
            let Some(slot) = self.slots.get(item as usize).and_then(|slot| slot.checked_sub(1)) else {
                continue;
            };
            let (slot, last) = (slot as usize, self.items.len() - 1);
            self.items.swap_remove(slot);
            self.values.copy_within(last * WIDTH.., slot * WIDTH);
            self.values.truncate(last * WIDTH);
            self.slots[item as usize] = 0;
            if let Some(&moved) = self.items.get(slot) {
                self.slots[moved as usize] = slot as u32 + 1;
            }
        }
    }
}

/// Everything the sources know.
#[derive(Clone, Debug)]
pub struct Sources {
    pub(super) taste: Neighbours,
    pub(super) lately: Neighbours,
    pub(super) same_member: Pairs,
    pub(super) same_basket: Pairs,
    pub(super) basket_after: Pairs,
    pub(super) popular: Popular,
    pub(super) shipped: Shipped,
}

/// Space to think in, kept between questions: answers never depend on what was in it.
#[derive(Clone, Debug, Default)]
pub struct Scratch {
    /// The candidates of the last question.
    pub table: Table,
    pub(super) asking: Asking,
    neighbours: Tally,
    alike: Tally,
    alike_lately: Tally,
    same_member: Tally,
    same_member_best: Tally,
    same_basket: Tally,
    basket_after: Tally,
    factors: Tally,
    network: Tally,
    best: Vec<(Item, f32)>,
}

impl Sources {
    pub(super) fn item_count(&self) -> usize {
        self.popular.ever.len()
    }

    /// Fills the table with the candidates for a shopper.
    pub(super) fn write(&self, view: &View<'_>, params: &Params, scratch: &mut Scratch) {
        let items = self.item_count();
        scratch.table.clear(items);
        let (own_size, repeats) = personal::write(view.past, view.now.day, items, &mut scratch.table);
        let distinct = scratch.table.items.len() as f32;
        self.ask_neighbours(view, params, scratch);
        self.ask_pairs(view, scratch);
        self.ask_head_office(view, scratch);
        let few = params.candidates;
        let Scratch { table, best, .. } = scratch;
        for (tally, few) in [
            (&scratch.neighbours, few),
            (&scratch.alike, few),
            (&scratch.alike_lately, few),
            (&scratch.same_member, few / 2),
            (&scratch.same_basket, few / 2),
            (&scratch.basket_after, few / 2),
            (&scratch.factors, few / 2),
            (&scratch.network, few / 2),
        ] {
            tally.top(few, best);
            for &(item, _) in best.iter() {
                table.add(item);
            }
        }
        for &item in self.popular.best.iter().take(few / 2) {
            table.add(item);
        }
        table.remove(view.basket);
        let shopper = [
            (Column::Baskets, view.past.len() as f32),
            (Column::OwnSize, own_size),
            (Column::LastSize, view.past.ago(0).map_or(0, <[Item]>::len) as f32),
            (Column::Repeats, repeats),
            (Column::Distinct, distinct),
            (Column::Begun, view.basket.len() as f32),
        ];
        for slot in 0..table.items.len() {
            let item = table.items[slot];
            let at = item as usize;
            let popular = &self.popular;
            let said = [
                (Column::Taste, scratch.asking.own.get(item)),
                (Column::Neighbours, scratch.neighbours.get(item)),
                (Column::Alike, scratch.alike.get(item)),
                (Column::AlikeLately, scratch.alike_lately.get(item)),
                (Column::SameMember, scratch.same_member.get(item)),
                (Column::SameMemberBest, scratch.same_member_best.get(item)),
                (Column::SameBasket, scratch.same_basket.get(item)),
                (Column::BasketAfter, scratch.basket_after.get(item)),
                (Column::Factors, scratch.factors.get(item)),
                (Column::Network, scratch.network.get(item)),
                (Column::Popular, popular.ever[at]),
                (Column::PopularLately, popular.lately[at]),
                (Column::Trend, popular.lately[at] / popular.ever[at].max(f32::MIN_POSITIVE)),
                (Column::Again, popular.again[at]),
                (Column::NextAgain, popular.next[at]),
                (Column::BasketSize, popular.basket_size[at]),
            ];
            for (column, value) in said.into_iter().chain(shopper) {
                table.set(slot, column, value);
            }
        }
    }

    fn ask_neighbours(&self, view: &View<'_>, params: &Params, scratch: &mut Scratch) {
        let items = self.item_count();
        let Scratch { asking, neighbours, alike, alike_lately, .. } = scratch;
        for tally in [&mut *neighbours, alike, alike_lately] {
            tally.clear(items);
        }
        self.lately.like(view.past, view.member, params.neighbours_lately, params.entries_max, asking);
        let whole = asking.like.iter().map(|&(_, cosine)| cosine).sum::<f32>().max(f32::MIN_POSITIVE);
        for &(member, cosine) in asking.like.iter() {
            for &(item, weight) in self.lately.taste_of(member) {
                alike_lately.add(item, weight * cosine / whole);
            }
        }
        // Last, so that the taste left behind is the slow one.
        self.taste.like(view.past, view.member, params.neighbours, params.entries_max, asking);
        let whole =
            asking.like.iter().map(|&(_, cosine)| cosine * cosine).sum::<f32>().max(f32::MIN_POSITIVE);
        let each = 1.0 / asking.like.len().max(1) as f32;
        for &(member, cosine) in asking.like.iter() {
            for &(item, weight) in self.taste.taste_of(member) {
                neighbours.add(item, weight * each);
                alike.add(item, weight * cosine * cosine / whole);
            }
        }
    }

    fn ask_pairs(&self, view: &View<'_>, scratch: &mut Scratch) {
        let items = self.item_count();
        let Scratch { asking, same_member, same_member_best, same_basket, basket_after, .. } = scratch;
        for tally in [&mut *same_member, same_member_best, same_basket, basket_after] {
            tally.clear(items);
        }
        let last = view.past.ago(0).unwrap_or(&[]);
        let seeds = if view.basket.is_empty() { last } else { view.basket };
        for &seed in seeds {
            for other in self.same_basket.of(seed) {
                same_basket.add(other.item, other.weight);
            }
        }
        for &seed in last {
            for other in self.basket_after.of(seed) {
                basket_after.add(other.item, other.weight);
            }
        }
        for &seed in asking.own.touched() {
            let weight = asking.own.get(seed);
            for other in self.same_member.of(seed) {
                same_member.add(other.item, weight * other.weight);
                same_member_best.raise(other.item, other.weight);
            }
        }
    }

    fn ask_head_office(&self, view: &View<'_>, scratch: &mut Scratch) {
        let items = self.item_count();
        scratch.factors.clear(items);
        scratch.network.clear(items);
        if let (Some(factors), Some(member)) = (&self.shipped.factors, view.member) {
            factors.score(member, items, &mut scratch.factors);
        }
        if let Some(network) = &self.shipped.network {
            network.score(view.past, items, &mut scratch.network);
        }
    }
}
