//! Which units were left before in a search, and with what loss: two ways to the same units differ in nothing else.
//!
//! Open addressing, bounded; what finds no place is followed again, which costs time and nothing else. The units left of
//! each good are the digits of one number, so two states are the same if and only if their keys are.

use crate::limits;

/// What was seen. See the header.
pub(super) struct Seen {
    /// By resource: what one unit of it counts in the key.
    digit: Vec<u64>,
    slots: Vec<(u64, i64)>,
    filled: usize,
    /// Does every loss count as a way of its own?
    pub(super) every_loss: bool,
}

impl Seen {
    /// Nothing if the units left do not fit a key.
    pub(super) fn new(stock: &[u32], order: &[u32]) -> Option<Seen> {
        let mut digit = vec![0; stock.len()];
        let mut radix = 1_u64;
        for resource in order {
            digit[*resource as usize] = radix;
            radix = radix.checked_mul(u64::from(stock[*resource as usize]) + 1)?;
        }
        Some(Seen { digit, slots: Vec::new(), filled: 0, every_loss: false })
    }

    /// Were these units never left with so little loss?
    pub(super) fn first(&mut self, left: &[u32], loss: i64) -> bool {
        let key = 1 + left.iter().zip(&self.digit).map(|(left, digit)| u64::from(*left) * digit).sum::<u64>();
        if self.filled * 2 >= self.slots.len() && self.slots.len() < limits::BEST_SEEN_MAX {
            let before = std::mem::take(&mut self.slots);
            self.slots = vec![(0, 0); (before.len() * 4).max(256)];
            before.into_iter().filter(|slot| slot.0 > 0).for_each(|slot| {
                let place = self.place(slot.0, slot.1);
                self.slots[place] = slot;
            });
        }
        let place = self.place(key, loss);
        let slot = &mut self.slots[place];
        if slot.0 == key {
            let first = !self.every_loss && loss < slot.1;
            slot.1 = slot.1.min(loss);
            return first;
        }
        if self.filled * 8 < self.slots.len() * 7 {
            self.slots[place] = (key, loss);
            self.filled += 1;
        }
        true
    }

    /// Where the key stands or would stand. There is always a free slot.
    fn place(&self, key: u64, loss: i64) -> usize {
        let mask = self.slots.len() - 1;
        let told = if self.every_loss { key ^ (loss as u64).rotate_left(40) } else { key };
        let mut at = (told.wrapping_mul(0x9E37_79B9_7F4A_7C15) >> 32) as usize & mask;
        let same = |slot: &(u64, i64)| slot.0 == key && (!self.every_loss || slot.1 == loss);
        while self.slots[at].0 != 0 && !same(&self.slots[at]) {
            at = (at + 1) & mask;
        }
        at
    }
}
