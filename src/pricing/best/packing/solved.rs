//! What is asked of a packing: the best, the best of nearly the same, and every one that is nearly as good.

use crate::limits;

use super::{Choice, Dive, FINE, Judge, Packed, Packing, Prices};

impl Packing {
    /// The best packing, as far as `steps` reach; of equal ones that of the fewest owners, as far as `ties` reach.
    pub(in super::super) fn best(&self, steps: &mut u32, ties: u32) -> Packed {
        let all: Vec<u32> = (0..self.columns.len() as u32).collect();
        let mut best = Packed::default();
        let mut prices = Prices { units: vec![0; self.stock.len()], groups: Vec::new() };
        for part in self.parts(&all) {
            let mut dive = Dive::shared(self, &part);
            best.add(dive.best(&part, steps, ties));
            prices.units.iter_mut().zip(&dive.price).for_each(|(price, of)| *price += of);
            prices.groups.append(&mut dive.cuts);
        }
        best.choice.sort_unstable();
        best.prices = prices;
        best
    }

    /// The best packing, begun with prices and a packing, the best there was before there were more units of `more` and
    /// `new` columns. Only parts that hold these are packed anew. Ties are left as they are. Nothing if no best packing
    /// has a column that is `wanted`: a column whose slack is more than the bound is above a known packing is in none.
    pub(in super::super) fn best_from(
        &self,
        (prices, begun): (&Prices, &Choice),
        more: u32,
        new: &dyn Fn(u32) -> bool,
        wanted: &dyn Fn(u32) -> bool,
        steps: &mut u32,
    ) -> Option<Packed> {
        let all: Vec<u32> = (0..self.columns.len() as u32).collect();
        let mut dive = Dive::new(self, &all);
        dive.begin(prices, &all);
        for (column, times) in begun {
            let times = dive.fits(*column).min(*times);
            if times > 0 {
                dive.take(*column, times);
            }
        }
        dive.greedy(&all);
        let mut live = all;
        dive.narrow(&mut live, 0);
        if !live.iter().any(|column| wanted(*column)) {
            return None;
        }
        live.extend(begun.iter().map(|(column, _)| *column));
        live.sort_unstable();
        live.dedup();
        let touches = |c: &u32| new(*c) || self.uses(*c).iter().any(|(r, _)| *r == more);
        let (touched, others): (Vec<Vec<u32>>, Vec<Vec<u32>>) =
            self.parts(&live).into_iter().partition(|part| part.iter().any(touches));
        let mut dives: Vec<(Dive<'_>, &Vec<u32>)> =
            touched.iter().map(|part| (dive.again(part), part)).collect();
        let could = |(dive, part): &(Dive<'_>, &Vec<u32>)| {
            part.iter()
                .any(|column| wanted(*column) && dive.slack[*column as usize] <= dive.bound - dive.best)
        };
        if !dives.iter().any(could) {
            return None;
        }
        let mut split = Packed::default();
        for (dive, part) in &mut dives {
            let mut few = limits::BEST_AGAIN_STEPS_MAX.min(*steps);
            let before = few;
            let proved = dive.search(&mut few, 0);
            *steps -= before - few;
            split.add(if proved { dive.packed(true) } else { Dive::shared(self, part).best(part, steps, 0) });
        }
        for part in &others {
            let stands = self.within(begun, part);
            split.value += self.worth(&stands);
            split.choice.extend(stands);
        }
        let found = dive.packed(false);
        Some(if split.value >= found.value { split } else { found })
    }

    /// What a choice has of a part.
    pub(super) fn within(&self, choice: &Choice, part: &[u32]) -> Choice {
        choice.iter().filter(|(column, _)| part.binary_search(column).is_ok()).copied().collect()
    }

    /// What a choice takes off.
    pub(super) fn worth(&self, choice: &Choice) -> i64 {
        self.given(choice).iter().map(|(_, off, _)| off).sum()
    }

    /// By owner chosen: what it takes off, and how many applications it has.
    pub(in super::super) fn given(&self, choice: &Choice) -> Vec<(u32, i64, u32)> {
        let mut given: Vec<(u32, i64, u32)> = Vec::with_capacity(choice.len());
        for (column, times) in choice {
            let of = &self.columns[*column as usize];
            let off = of.value * i64::from(*times);
            match given.iter_mut().find(|(owner, ..)| *owner == of.owner) {
                Some((_, amount, applied)) => (*amount, *applied) = (*amount + off, *applied + times),
                None => given.push((of.owner, off, *times)),
            }
        }
        given.iter_mut().for_each(|(owner, off, _)| *off = (*off).min(self.owners[*owner as usize].cap));
        given
    }

    /// Every packing that is worth between `least` and `most` less than `best`, the best there is, one after the other.
    /// `judge` is told each, may use up steps itself, and answers what may be of interest from then on. Says whether all
    /// were seen.
    ///
    /// Where `by_amount`, packings that leave the same units and are worth the same are told once.
    pub(in super::super) fn each(
        &self,
        best: i64,
        window: (i64, i64),
        by_amount: bool,
        steps: &mut u32,
        judge: &mut Judge<'_>,
    ) -> bool {
        let all: Vec<u32> = (0..self.columns.len() as u32).collect();
        let mut dive = Dive::new(self, &all);
        dive.share(&all);
        dive.arrange(&all);
        dive.best = best * FINE;
        dive.tighten(&all, window.1.saturating_mul(FINE));
        dive.seen = dive.seen.filter(|_| by_amount);
        if let Some(seen) = &mut dive.seen {
            seen.every_loss = true;
        }
        // The bound may lie above the best; what is lost is counted from there.
        let beyond = dive.bound - dive.best;
        let fine = |amount: i64| amount.saturating_mul(FINE).saturating_add(beyond);
        let mut least = fine(window.0);
        dive.allowed = fine(window.1);
        dive.walk(0, 0, steps, &mut |dive, steps| {
            if dive.loss >= least {
                let choice: Choice = dive.taken.iter().copied().filter(|(_, times)| *times > 0).collect();
                let next = judge(&choice, steps);
                (least, dive.allowed) = (fine(next.0), fine(next.1));
            }
        })
    }
}
