//! The best packing: which applications to choose where each takes units, and no unit may be taken twice. Exact.
//!
//! A column is one application: its owner (a promotion), its value and the units it takes of each resource. Resources
//! are goods, and what an owner may give only so often. The bound is a price for each unit, such that no column is
//! worth more than the units it takes: then no packing is worth more than all units together. What a choice falls short
//! of the bound is its loss; a column's slack is the loss of choosing it, a unit's price the loss of leaving it. The
//! search dives over columns by slack and turns back where the loss reaches that of the best packing found, so a tight
//! bound ends it at the first dive. What makes the bound tight:
//! - prices come from the relaxed packing (`relaxation`), rounded up to parts of a minor unit;
//! - five units hold two pairs and no half: sets of which that matters have a price of their own for each full group
//!   (Chvatal-Gomory cuts);
//! - a column whose slack is more than the bound is above the best known packing is in no better one, and what is left
//!   may fall into parts that are packed one by one;
//! - two ways to the same units left differ only in their loss, so the worse is not followed.
//!
//! Invariants: work is counted in steps, never in time; columns are tried in a fixed order (slack, then the order they
//! were given in), so equal packings are told apart by fewer owners, as far as the steps for ties reach, and then by
//! that order.

mod relaxed;
mod solved;

use std::cmp::Reverse;

use crate::limits;

use super::cut::Cut;
use super::seen::Seen;
use relaxed::{Row, relaxed};

/// One application, as often as it fits.
#[derive(Clone, Copy, Debug)]
pub(super) struct Column {
    pub(super) owner: u32,
    /// What it takes off; nothing for a unit that only helps its owner to enough units.
    pub(super) value: i64,
    first: u32,
    len: u32,
}

/// What holds for all applications of one promotion together.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Owner {
    /// At most one owner of a group is chosen.
    pub(super) group: Option<u32>,
    /// Beyond this they take nothing more off.
    pub(super) cap: i64,
    /// Beyond this they are not chosen.
    pub(super) limit: i64,
    /// Chosen with at least so many units, or not at all.
    pub(super) least: u32,
}

impl Owner {
    /// No rule but its columns.
    pub(super) const PLAIN: Owner = Owner { group: None, cap: i64::MAX, limit: i64::MAX, least: 0 };
}

/// What could be chosen.
#[derive(Clone, Debug, Default)]
pub(super) struct Packing {
    /// Units there are of each resource.
    pub(super) stock: Vec<u32>,
    /// What a unit of each resource costs: how the first bound shares a column's value. Zero for what is not a good.
    pub(super) weight: Vec<i64>,
    pub(super) owners: Vec<Owner>,
    pub(super) columns: Vec<Column>,
    uses: Vec<(u32, u32)>,
}

/// How many times each column is chosen, by number; columns that are not are left out.
pub(super) type Choice = Vec<(u32, u32)>;

/// The best packing found.
#[derive(Clone, Debug, Default)]
pub(super) struct Packed {
    pub(super) choice: Choice,
    pub(super) value: i64,
    /// No packing is worth more.
    pub(super) bound: i64,
    pub(super) prices: Prices,
}

/// What units, by resource, and full groups were worth at last, for a search of nearly the same.
#[derive(Clone, Debug, Default)]
pub(super) struct Prices {
    units: Vec<i64>,
    groups: Vec<Cut>,
}

impl Packed {
    fn add(&mut self, other: Packed) {
        self.value += other.value;
        self.bound += other.bound;
        self.choice.extend(other.choice);
    }
}

/// Losses are counted in parts of a minor unit, so that rounding a price up costs next to nothing.
const FINE: i64 = 16;

impl Packing {
    /// Adds a column; what it takes stands in `uses`: goods before what is not a good, each once.
    pub(super) fn add(&mut self, owner: u32, value: i64, uses: &[(u32, u32)]) {
        let first = self.uses.len() as u32;
        self.uses.extend_from_slice(uses);
        self.columns.push(Column { owner, value, first, len: uses.len() as u32 });
    }

    /// Takes columns back, from one on.
    pub(super) fn forget(&mut self, first: usize) {
        if let Some(column) = self.columns.get(first) {
            self.uses.truncate(column.first as usize);
        }
        self.columns.truncate(first);
    }

    /// Without columns that the best packing never needs: of two that take the same the one that is worth less, and
    /// groups that are worth no more than their units one by one. Also which columns these were.
    pub(super) fn reduced(&self) -> (Packing, Vec<u32>) {
        let plain = |column: &Column| self.owners[column.owner as usize] == Owner::PLAIN;
        let mut single = vec![0; self.stock.len()];
        for (number, column) in (0..).zip(&self.columns) {
            if let ([(good, 1)], true) = (self.uses(number), plain(column)) {
                single[*good as usize] = column.value.max(single[*good as usize]);
            }
        }
        let mut order: Vec<u32> = (0..self.columns.len() as u32).collect();
        let value = |number: u32| self.columns[number as usize].value;
        order.sort_by(|a, b| self.uses(*a).cmp(self.uses(*b)).then_with(|| value(*b).cmp(&value(*a))));
        let mut kept: Vec<u32> = Vec::with_capacity(order.len());
        for same in order.chunk_by(|a, b| self.uses(*a) == self.uses(*b)) {
            let worth =
                self.uses(same[0]).iter().map(|(r, n)| single[*r as usize] * i64::from(*n)).sum::<i64>();
            let beats = |number: &u32| {
                let column = &self.columns[*number as usize];
                let alone = matches!(self.uses(*number), [(_, 1)]);
                self.owners[column.owner as usize].least > 0 || alone || column.value > worth
            };
            let first = same.iter().position(|number| plain(&self.columns[*number as usize]));
            let most = first.map(|at| value(same[at]));
            kept.extend(same.iter().filter(|number| beats(number)).filter(|number| {
                let owner = &self.owners[self.columns[**number as usize].owner as usize];
                owner.least > 0 || most.is_none_or(|most| value(**number) >= most)
            }));
        }
        kept.sort_unstable();
        let mut packing = Packing {
            stock: self.stock.clone(),
            weight: self.weight.clone(),
            owners: self.owners.clone(),
            ..Packing::default()
        };
        for number in &kept {
            let column = self.columns[*number as usize];
            packing.add(column.owner, column.value, self.uses(*number));
        }
        (packing, kept)
    }

    /// What a column takes of which resource.
    pub(super) fn uses(&self, column: u32) -> &[(u32, u32)] {
        let column = &self.columns[column as usize];
        &self.uses[column.first as usize..(column.first + column.len) as usize]
    }

    /// Columns by the part they belong to.
    fn parts(&self, columns: &[u32]) -> Vec<Vec<u32>> {
        let (resources, owners) = (self.stock.len() as u32, self.owners.len() as u32);
        // Resources, then owners, then groups, joined where a column or a rule ties them.
        let mut root: Vec<u32> = (0..resources + owners + self.groups()).collect();
        for number in columns {
            let (column, uses) = (&self.columns[*number as usize], self.uses(*number));
            for (resource, _) in &uses[1..] {
                join(&mut root, uses[0].0, *resource);
            }
            let owner = self.owners[column.owner as usize];
            if owner != Owner::PLAIN {
                join(&mut root, uses[0].0, resources + column.owner);
            }
            if let Some(group) = owner.group {
                join(&mut root, uses[0].0, resources + owners + group);
            }
        }
        let mut place: Vec<u32> = vec![NOBODY; root.len()];
        let mut parts: Vec<Vec<u32>> = Vec::new();
        for number in columns {
            let at = find(&mut root, self.uses(*number)[0].0) as usize;
            if place[at] == NOBODY {
                place[at] = parts.len() as u32;
                parts.push(Vec::new());
            }
            parts[place[at] as usize].push(*number);
        }
        parts
    }

    /// How many owners a choice has.
    fn owners_of(&self, choice: &Choice) -> u32 {
        let mut owners: Vec<u32> = choice.iter().map(|(c, _)| self.columns[*c as usize].owner).collect();
        owners.sort_unstable();
        owners.dedup();
        owners.len() as u32
    }

    fn groups(&self) -> u32 {
        self.owners.iter().filter_map(|owner| owner.group).max().map_or(0, |most| most + 1)
    }
}

/// Told a packing and the steps left; answers between what losses packings are of interest from then on.
pub(super) type Judge<'j> = dyn FnMut(&Choice, &mut u32) -> (i64, i64) + 'j;

fn find(root: &mut [u32], mut at: u32) -> u32 {
    while root[at as usize] != at {
        root[at as usize] = root[root[at as usize] as usize];
        at = root[at as usize];
    }
    at
}

fn join(root: &mut [u32], a: u32, b: u32) {
    let (a, b) = (find(root, a), find(root, b));
    root[a.max(b) as usize] = a.min(b);
}

/// `value * weight / all`, rounded up.
fn share_up(value: i64, weight: i64, all: i64) -> i64 {
    match value.checked_mul(weight).and_then(|product| product.checked_add(all - 1)) {
        Some(product) => product / all,
        None => value,
    }
}

const NOBODY: u32 = u32::MAX;

/// The search of one part.
struct Dive<'p> {
    packing: &'p Packing,
    /// The part's goods, dearest price first.
    order: Vec<u32>,
    /// By resource: its columns, least slack first.
    through: Vec<Vec<u32>>,
    /// By resource: the price of a unit, in fine parts as all that follow.
    price: Vec<i64>,
    cuts: Vec<Cut>,
    /// By column.
    slack: Vec<i64>,
    /// What the units are worth together.
    bound: i64,
    left: Vec<u32>,
    /// By owner: money off (whole) and units taken so far.
    given: Vec<i64>,
    units: Vec<u32>,
    /// By group: the owner chosen.
    standing: Vec<u32>,
    owners: u32,
    loss: i64,
    /// No packing that loses more is of interest.
    allowed: i64,
    /// Nor one that has so many owners.
    owners_max: u32,
    taken: Vec<(u32, u32)>,
    best: i64,
    choice: Choice,
    /// The least loss with which the same units were left, where nothing else tells two ways apart.
    seen: Option<Seen>,
}

impl<'p> Dive<'p> {
    fn new(packing: &'p Packing, part: &[u32]) -> Dive<'p> {
        let resources = packing.stock.len();
        let mut dive = Dive {
            packing,
            order: Vec::new(),
            through: vec![Vec::new(); resources],
            price: vec![0; resources],
            cuts: Vec::new(),
            slack: vec![0; packing.columns.len()],
            bound: 0,
            left: packing.stock.clone(),
            given: vec![0; packing.owners.len()],
            units: vec![0; packing.owners.len()],
            standing: vec![NOBODY; packing.groups() as usize],
            owners: 0,
            loss: 0,
            allowed: i64::MAX,
            owners_max: u32::MAX,
            taken: Vec::new(),
            best: 0,
            choice: Vec::new(),
            seen: None,
        };
        dive.keep(part);
        dive
    }

    /// With each column's value shared over its units, and a first packing.
    fn shared(packing: &'p Packing, part: &[u32]) -> Dive<'p> {
        let mut dive = Dive::new(packing, part);
        dive.share(part);
        dive.arrange(part);
        dive.greedy(part);
        dive
    }

    /// Takes prices over, as far as they hold.
    fn begin(&mut self, prices: &Prices, part: &[u32]) {
        self.price.iter_mut().zip(&prices.units).for_each(|(price, of)| *price = *of);
        self.cuts.clone_from(&prices.groups);
        for cut in &mut self.cuts {
            cut.holds.resize(self.packing.stock.len(), false);
            let held = self.packing.stock.iter().zip(&cut.holds).filter(|(_, held)| **held);
            cut.left = held.map(|(stock, _)| stock).sum();
        }
        self.weigh(part);
        self.settle(part);
        self.arrange(part);
    }

    /// A part at the prices that stand, with what the best known packing has of it.
    fn again(&self, part: &[u32]) -> Dive<'p> {
        let mut dive = Dive::new(self.packing, part);
        for resource in dive.used() {
            dive.price[resource as usize] = self.price[resource as usize];
        }
        // Of a set that reaches beyond the part the full groups that its units in the part make.
        for cut in &self.cuts {
            let mut own = cut.clone();
            own.holds.iter_mut().zip(&dive.through).for_each(|(held, columns)| *held &= !columns.is_empty());
            let held = self.packing.stock.iter().zip(&own.holds).filter(|(_, held)| **held);
            own.left = held.map(|(stock, _)| stock).sum();
            if own.left >= own.size {
                dive.cuts.push(own);
            }
        }
        part.iter().for_each(|column| dive.slack[*column as usize] = self.slack[*column as usize]);
        dive.choice = self.packing.within(&self.choice, part);
        dive.best = self.packing.worth(&dive.choice) * FINE;
        dive.arrange(part);
        dive
    }

    /// The best packing of a part whose prices and first packing stand.
    fn best(&mut self, part: &[u32], steps: &mut u32, ties: u32) -> Packed {
        if self.promising() {
            let live = self.tighten(part, 0);
            let parts = self.packing.parts(&live);
            if self.promising() && parts.len() > 1 {
                let mut split = Packed::default();
                for part in &parts {
                    split.add(Dive::shared(self.packing, part).best(part, steps, ties));
                }
                let found = self.packed(true);
                split.bound = split.bound.max(found.value);
                return if split.value > found.value {
                    split
                } else {
                    Packed { bound: split.bound, ..found }
                };
            }
        }
        let proved = self.search(steps, ties);
        self.packed(proved)
    }

    /// Only these columns count from now on.
    fn keep(&mut self, part: &[u32]) {
        self.through.iter_mut().for_each(Vec::clear);
        for column in part {
            for (resource, _) in self.packing.uses(*column) {
                self.through[*resource as usize].push(*column);
            }
        }
        let used = |r: &u32| !self.through[*r as usize].is_empty() && self.packing.weight[*r as usize] > 0;
        self.order = (0..self.packing.stock.len() as u32).filter(used).collect();
    }

    fn used(&self) -> Vec<u32> {
        (0..self.through.len() as u32).filter(|r| !self.through[*r as usize].is_empty()).collect()
    }

    fn value(&self, column: u32) -> i64 {
        self.packing.columns[column as usize].value * FINE
    }

    /// Each column's value shared over its units by weight, then each price lowered as far as its columns allow.
    fn share(&mut self, part: &[u32]) {
        let packing = self.packing;
        for column in part {
            let uses = packing.uses(*column);
            let all: i64 = uses.iter().map(|(r, n)| packing.weight[*r as usize] * i64::from(*n)).sum();
            for (resource, _) in uses {
                let share = share_up(self.value(*column), packing.weight[*resource as usize], all.max(1));
                let price = &mut self.price[*resource as usize];
                *price = (*price).max(share);
            }
        }
        self.weigh(part);
        let mut resources = self.used();
        resources.sort_by_key(|r| (Reverse(packing.stock[*r as usize]), packing.weight[*r as usize], *r));
        resources.iter().for_each(|resource| self.lower(*resource));
    }

    /// What each column falls short of the price of what it takes.
    fn weigh(&mut self, part: &[u32]) {
        for column in part {
            let uses = self.packing.uses(*column);
            let units: i64 = uses.iter().map(|(r, n)| self.price[*r as usize] * i64::from(*n)).sum();
            let groups: i64 = self.cuts.iter().map(|cut| cut.price * i64::from(cut.groups(uses))).sum();
            self.slack[*column as usize] = units + groups - self.value(*column);
        }
    }

    /// Raises prices where a column is worth more than what it takes, then lowers all as far as they go.
    fn settle(&mut self, part: &[u32]) {
        for column in part {
            let (resource, n) = self.packing.uses(*column)[0];
            let short = -self.slack[*column as usize];
            if short > 0 {
                self.shift(resource, (short + i64::from(n) - 1) / i64::from(n));
            }
        }
        self.used().iter().for_each(|resource| self.lower(*resource));
    }

    /// Lowers a price as far as the slack of its columns allows.
    fn lower(&mut self, resource: u32) {
        let lower = self.through[resource as usize]
            .iter()
            .map(|number| self.slack[*number as usize] / taken_of(self.packing, *number, resource))
            .fold(self.price[resource as usize], i64::min);
        if lower > 0 {
            self.shift(resource, -lower);
        }
    }

    fn shift(&mut self, resource: u32, by: i64) {
        self.price[resource as usize] += by;
        for number in &self.through[resource as usize] {
            self.slack[*number as usize] += by * taken_of(self.packing, *number, resource);
        }
    }

    /// Puts columns and goods in the order of the search, and sums the bound.
    fn arrange(&mut self, part: &[u32]) {
        let (price, slack) = (&self.price, &self.slack);
        self.through
            .iter_mut()
            .for_each(|columns| columns.sort_unstable_by_key(|c| (slack[*c as usize], *c)));
        self.order.sort_unstable_by_key(|resource| (Reverse(price[*resource as usize]), *resource));
        self.sum();
        let plain =
            |c: &u32| self.packing.owners[self.packing.columns[*c as usize].owner as usize] == Owner::PLAIN;
        let only_goods = self.used().len() == self.order.len();
        self.seen = (only_goods && part.iter().all(plain))
            .then(|| Seen::new(&self.packing.stock, &self.order))
            .flatten();
    }

    /// What all units are worth at these prices.
    fn sum(&mut self) {
        let stock = self.price.iter().zip(&self.packing.stock).zip(&self.through);
        let used = stock.filter(|(_, columns)| !columns.is_empty());
        let units: i64 = used.map(|((price, n), _)| price * i64::from(*n)).sum();
        let groups = self.cuts.iter().map(|cut| cut.price * i64::from(cut.left / cut.size));
        self.bound = units + groups.sum::<i64>();
    }

    /// Could there be a packing that is worth a minor unit more than the best known?
    fn promising(&self) -> bool {
        self.bound - self.best >= FINE
    }

    fn packed(&self, proved: bool) -> Packed {
        let value = self.best / FINE;
        let bound = if proved { value } else { (self.bound / FINE).max(value) };
        Packed { choice: self.choice.clone(), value, bound, prices: Prices::default() }
    }

    /// Better prices: without cuts, then with those that the relaxed packing breaks. Answers the columns that a packing
    /// could have that is as good as the best known, or worse by at most `window`.
    fn tighten(&mut self, part: &[u32], window: i64) -> Vec<u32> {
        let mut live = part.to_vec();
        let mut broken: Vec<Cut> = Vec::new();
        for round in 0..=limits::BEST_CUT_ROUNDS_MAX {
            self.narrow(&mut live, window);
            self.keep(&live);
            let used = self.used();
            let before = (self.price.clone(), self.bound, self.cuts.clone());
            self.cuts.append(&mut broken);
            self.cuts.truncate(limits::BEST_CUTS_MAX);
            let rows: Vec<Row<'_>> =
                used.iter().map(|r| Row::Resource(*r)).chain(self.cuts.iter().map(Row::Cut)).collect();
            let relaxed = relaxed(self.packing, &live, &rows);
            let prices = relaxed.prices(FINE);
            let solved = live.clone();
            self.price.fill(0);
            used.iter().zip(&prices).for_each(|(r, price)| self.price[*r as usize] = *price);
            self.cuts.iter_mut().zip(&prices[used.len()..]).for_each(|(cut, price)| cut.price = *price);
            self.cuts.retain(|cut| cut.price > 0);
            self.weigh(&live);
            self.settle(&live);
            self.sum();
            if self.bound > before.1 {
                (self.price, self.bound, self.cuts) = before;
                self.weigh(&live);
            }
            if window == 0 {
                self.narrow(&mut live, 0);
                self.greedy(&live);
            }
            if round == limits::BEST_CUT_ROUNDS_MAX || !self.promising() {
                break;
            }
            self.narrow(&mut live, window);
            broken = self.candidates(&live);
            broken.retain(|cut| {
                !self.cuts.iter().any(|known| known.size == cut.size && known.holds == cut.holds)
                    && relaxed
                        .exceeds(cut.left / cut.size, |at| cut.groups(self.packing.uses(solved[at as usize])))
            });
            if broken.is_empty() {
                break;
            }
        }
        self.narrow(&mut live, window);
        self.keep(&live);
        self.arrange(&live);
        live
    }

    /// Without columns that no packing of interest has.
    fn narrow(&self, live: &mut Vec<u32>, window: i64) {
        let gap = (self.bound - self.best).saturating_add(window);
        live.retain(|column| self.slack[*column as usize] <= gap);
    }

    /// Sets of which some units are over when full groups are made: each owner's goods, and each of them alone.
    fn candidates(&self, live: &[u32]) -> Vec<Cut> {
        let mut sets: Vec<(u32, Vec<u32>)> = Vec::new();
        let mut by_owner: Vec<u32> = live.to_vec();
        by_owner.sort_by_key(|c| (self.packing.columns[*c as usize].owner, *c));
        let goods = |c: &u32| {
            let packing = self.packing;
            packing.uses(*c).iter().copied().filter(|(r, _)| packing.weight[*r as usize] > 0)
        };
        for columns in by_owner.chunk_by(|a, b| {
            self.packing.columns[*a as usize].owner == self.packing.columns[*b as usize].owner
        }) {
            let size = columns.iter().map(|c| goods(c).map(|(_, n)| n).sum::<u32>()).max().unwrap_or(0);
            if size < 2 {
                continue;
            }
            let mut set: Vec<u32> = columns.iter().flat_map(|c| goods(c).map(|(r, _)| r)).collect();
            set.sort_unstable();
            set.dedup();
            sets.extend(set.iter().map(|r| (size, vec![*r])));
            sets.push((size, set));
        }
        sets.sort();
        sets.dedup();
        let cut = |(size, set): (u32, Vec<u32>)| {
            let left: u32 = set.iter().map(|r| self.packing.stock[*r as usize]).sum();
            let mut holds = vec![false; self.packing.stock.len()];
            set.iter().for_each(|r| holds[*r as usize] = true);
            (!left.is_multiple_of(size)).then_some(Cut { size, holds, price: 0, left })
        };
        sets.into_iter().filter_map(cut).collect()
    }

    /// How often a column still fits.
    fn fits(&self, column: u32) -> u32 {
        let of = &self.packing.columns[column as usize];
        let owner = &self.packing.owners[of.owner as usize];
        if owner.group.is_some_and(|g| ![NOBODY, of.owner].contains(&self.standing[g as usize])) {
            return 0;
        }
        let stock = self.packing.uses(column).iter().map(|(r, n)| self.left[*r as usize] / n).min();
        let money = match owner.limit {
            i64::MAX => u32::MAX,
            limit => u32::try_from((limit - self.given[of.owner as usize]) / of.value.max(1)).unwrap_or(0),
        };
        stock.unwrap_or(0).min(money)
    }

    fn take(&mut self, column: u32, times: u32) {
        let of = self.packing.columns[column as usize];
        let (owner, rule) = (of.owner as usize, &self.packing.owners[of.owner as usize]);
        if self.units[owner] == 0 {
            self.owners += 1;
            if let Some(group) = rule.group {
                self.standing[group as usize] = of.owner;
            }
        }
        for (resource, n) in self.packing.uses(column) {
            let resource = *resource as usize;
            self.left[resource] -= n * times;
            self.loss += self.price[resource] * i64::from(n * times);
            for cut in self.cuts.iter_mut().filter(|cut| cut.holds[resource]) {
                self.loss += cut.less(n * times);
            }
            if self.packing.weight[resource] > 0 {
                self.units[owner] += n * times;
            }
        }
        let given = self.given[owner];
        self.given[owner] += of.value * i64::from(times);
        self.loss -= (self.given[owner].min(rule.cap) - given.min(rule.cap)) * FINE;
        self.taken.push((column, times));
    }

    fn untake(&mut self) {
        let Some((column, times)) = self.taken.pop() else { return };
        let of = self.packing.columns[column as usize];
        let (owner, rule) = (of.owner as usize, &self.packing.owners[of.owner as usize]);
        for (resource, n) in self.packing.uses(column) {
            let resource = *resource as usize;
            self.left[resource] += n * times;
            self.loss -= self.price[resource] * i64::from(n * times);
            for cut in self.cuts.iter_mut().filter(|cut| cut.holds[resource]) {
                self.loss -= cut.more(n * times);
            }
            if self.packing.weight[resource] > 0 {
                self.units[owner] -= n * times;
            }
        }
        let given = self.given[owner];
        self.given[owner] -= of.value * i64::from(times);
        self.loss += (given.min(rule.cap) - self.given[owner].min(rule.cap)) * FINE;
        if self.units[owner] == 0 {
            self.owners -= 1;
            if let Some(group) = rule.group {
                self.standing[group as usize] = NOBODY;
            }
        }
    }

    /// What is left of a good stays: answers how much, to be put back.
    fn leave(&mut self, resource: usize) -> u32 {
        let rest = std::mem::take(&mut self.left[resource]);
        self.loss += self.price[resource] * i64::from(rest);
        for cut in self.cuts.iter_mut().filter(|cut| cut.holds[resource]) {
            self.loss += cut.less(rest);
        }
        rest
    }

    fn put_back(&mut self, resource: usize, rest: u32) {
        self.left[resource] = rest;
        self.loss -= self.price[resource] * i64::from(rest);
        for cut in self.cuts.iter_mut().filter(|cut| cut.holds[resource]) {
            self.loss -= cut.more(rest);
        }
    }

    /// Columns by slack, as often as they fit: a first packing to beat.
    fn greedy(&mut self, of: &[u32]) {
        let mut columns = of.to_vec();
        columns.sort_unstable_by_key(|c| (self.slack[*c as usize], Reverse(self.value(*c)), *c));
        for column in columns {
            let times = self.fits(column);
            if times > 0 {
                self.take(column, times);
            }
        }
        let goods = self.order.clone();
        let rests: Vec<u32> = goods.iter().map(|r| self.leave(*r as usize)).collect();
        self.allowed = self.bound - self.best - 1;
        self.leaf(&mut 1, &mut |dive, _| dive.record());
        goods.iter().zip(rests).for_each(|(r, rest)| self.put_back(*r as usize, rest));
        while !self.taken.is_empty() {
            self.untake();
        }
    }

    /// Looks for a better packing than the best known, then for an equal one of fewer owners. Says whether the best is
    /// proved.
    fn search(&mut self, steps: &mut u32, ties: u32) -> bool {
        self.allowed = self.bound - self.best - FINE;
        let proved = self.walk(0, 0, steps, &mut |dive, _| dive.record());
        if proved {
            self.allowed = self.bound - self.best;
            self.seen = None;
            let mut few = ties.min(*steps);
            let before = few;
            self.owners_max = self.packing.owners_of(&self.choice);
            self.walk(0, 0, &mut few, &mut |dive, _| {
                dive.choice = dive.taken.clone();
                dive.owners_max = dive.owners;
            });
            *steps -= before - few;
        }
        proved
    }

    fn record(&mut self) {
        self.best = self.bound - self.loss;
        self.allowed = self.loss - FINE;
        self.choice = self.taken.clone();
    }

    fn hopeless(&self, slack: i64) -> bool {
        self.loss + slack > self.allowed || self.owners >= self.owners_max
    }

    /// Goods from `at` on, columns of the first of them from `from` on. Says whether all was seen.
    fn walk(&mut self, mut at: usize, mut from: usize, steps: &mut u32, told: &mut Told<'_, 'p>) -> bool {
        if self.hopeless(0) {
            return true;
        }
        let Some(fewer) = steps.checked_sub(1) else { return false };
        *steps = fewer;
        while at < self.order.len() && self.left[self.order[at] as usize] == 0 {
            (at, from) = (at + 1, 0);
        }
        let Some(resource) = self.order.get(at).map(|r| *r as usize) else {
            self.leaf(steps, told);
            return true;
        };
        if from == 0
            && let Some(seen) = &mut self.seen
            && !seen.first(&self.left, self.loss)
        {
            return true;
        }
        for place in from..self.through[resource].len() {
            let column = self.through[resource][place];
            let slack = self.slack[column as usize];
            if self.hopeless(slack) {
                break;
            }
            if place % 16 == 15 {
                *steps = steps.saturating_sub(1);
            }
            let affordable = (self.allowed - self.loss).checked_div(slack).unwrap_or(i64::MAX);
            let most = self.fits(column).min(u32::try_from(affordable).unwrap_or(u32::MAX));
            for times in (1..=most).rev() {
                self.take(column, times);
                let seen = self.walk(at, place + 1, steps, told);
                self.untake();
                if !seen {
                    return false;
                }
            }
        }
        let rest = self.leave(resource);
        let seen = self.walk(at + 1, 0, steps, told);
        self.put_back(resource, rest);
        seen
    }

    /// What is not a good and was not used up is lost too; an owner with too few units makes the packing void.
    fn leaf(&mut self, steps: &mut u32, told: &mut Told<'_, 'p>) {
        let void = |(owner, rule): (usize, &Owner)| (1..rule.least).contains(&self.units[owner]);
        if self.packing.owners.iter().enumerate().any(void) {
            return;
        }
        let spare = |r: usize| {
            let counted = self.packing.weight[r] == 0 && !self.through[r].is_empty();
            if counted { self.price[r] * i64::from(self.left[r]) } else { 0 }
        };
        let lost: i64 = (0..self.left.len()).map(spare).sum();
        self.loss += lost;
        if !self.hopeless(0) {
            told(self, steps);
        }
        self.loss -= lost;
    }
}

type Told<'t, 'p> = dyn FnMut(&mut Dive<'p>, &mut u32) + 't;

fn taken_of(packing: &Packing, column: u32, resource: u32) -> i64 {
    packing.uses(column).iter().find(|(r, _)| *r == resource).map_or(1, |(_, n)| i64::from(*n))
}
