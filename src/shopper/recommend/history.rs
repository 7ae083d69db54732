//! What members bought: baskets in the order they were bought, in one flat table.
//!
//! ```text
//! members  [0, 2, 5, ..]        first basket of each member, one more at the end
//! baskets  [0, 3, 4, 9, ..]     first item of each basket, one more at the end
//! times    [(day, hour), ..]    when each basket was bought
//! items    [7, 3, 9, 7, ..]     each basket sorted, without repetition
//! ```
//! Items and members are numbers from 0 without gaps, given by whoever feeds the table. A `Past` is one member's part of
//! it, or less: `History::past(member, held)` leaves the last `held` baskets out, so that what is fitted is tried on
//! baskets it has not seen.

/// An item, numbered from 0 without gaps.
pub type Item = u32;
/// A member, numbered from 0 without gaps.
pub type Member = u32;

/// When a basket was bought.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord)]
pub struct Moment {
    /// Days since any day, the same for all members.
    pub day: i32,
    /// Hour of that day, 0 to 23.
    pub hour: u8,
}

/// The baskets of all members, oldest first.
#[derive(Clone, Debug)]
pub struct History {
    members: Vec<u32>,
    baskets: Vec<u32>,
    times: Vec<Moment>,
    items: Vec<Item>,
    item_count: usize,
}

impl Default for History {
    fn default() -> History {
        History { members: vec![0], baskets: vec![0], times: Vec::new(), items: Vec::new(), item_count: 0 }
    }
}

impl History {
    /// Adds the next member's baskets, oldest first; empty ones are dropped. Answers the member's number.
    pub fn push<'a>(&mut self, baskets: impl IntoIterator<Item = (Moment, &'a [Item])>) -> Member {
        for (time, items) in baskets {
            let start = self.items.len();
            self.items.extend_from_slice(items);
            self.items[start..].sort_unstable();
            let mut kept = start;
            for at in start..self.items.len() {
                if kept == start || self.items[kept - 1] != self.items[at] {
                    self.items[kept] = self.items[at];
                    kept += 1;
                }
            }
            self.items.truncate(kept);
            if kept > start {
                self.item_count = self.item_count.max(self.items[kept - 1] as usize + 1);
                self.baskets.push(u32::try_from(kept).expect("a shop's lines fit in 32 bits"));
                self.times.push(time);
            }
        }
        self.members.push(u32::try_from(self.times.len()).expect("a shop's baskets fit in 32 bits"));
        u32::try_from(self.members.len() - 2).expect("a shop's members fit in 32 bits")
    }

    /// How many members there are.
    #[must_use]
    pub fn members(&self) -> usize {
        self.members.len() - 1
    }

    /// One more than the highest item.
    #[must_use]
    pub fn item_count(&self) -> usize {
        self.item_count
    }

    /// How many baskets there are.
    #[must_use]
    pub fn baskets(&self) -> usize {
        self.times.len()
    }

    /// How many lines (an item in a basket) there are.
    #[must_use]
    pub fn lines(&self) -> usize {
        self.items.len()
    }

    /// What a member bought without the last `held` baskets; empty for a member nobody knows.
    #[must_use]
    pub fn past(&self, member: Member, held: usize) -> Past<'_> {
        let member = member as usize;
        if member >= self.members() {
            return Past { ends: &[0], times: &[], items: &self.items };
        }
        let (from, to) = (self.members[member] as usize, self.members[member + 1] as usize);
        let to = to.saturating_sub(held).max(from);
        Past { ends: &self.baskets[from..=to], times: &self.times[from..to], items: &self.items }
    }

    /// Every member's past without the last `held` baskets, in order.
    pub fn pasts(&self, held: usize) -> impl Iterator<Item = (Member, Past<'_>)> {
        (0..self.members() as Member).map(move |member| (member, self.past(member, held)))
    }
}

/// One member's baskets, oldest first.
#[derive(Clone, Copy, Debug)]
pub struct Past<'a> {
    ends: &'a [u32],
    times: &'a [Moment],
    items: &'a [Item],
}

impl<'a> Past<'a> {
    /// How many baskets there are.
    #[must_use]
    pub fn len(&self) -> usize {
        self.times.len()
    }

    /// Was nothing ever bought?
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.times.is_empty()
    }

    /// The basket with this number, from 0, the oldest.
    #[must_use]
    pub fn basket(&self, at: usize) -> &'a [Item] {
        &self.items[self.ends[at] as usize..self.ends[at + 1] as usize]
    }

    /// The moment of the basket with this number.
    #[must_use]
    pub fn moment(&self, at: usize) -> Moment {
        self.times[at]
    }

    /// The basket bought `ago` baskets before the last one: 0 is the last.
    #[must_use]
    pub fn ago(&self, ago: usize) -> Option<&'a [Item]> {
        (ago < self.len()).then(|| self.basket(self.len() - 1 - ago))
    }

    /// The moment of the last basket.
    #[must_use]
    pub fn latest(&self) -> Option<Moment> {
        self.times.last().copied()
    }

    /// All baskets, oldest first.
    pub fn iter(&self) -> impl DoubleEndedIterator<Item = &'a [Item]> + ExactSizeIterator + use<'a> {
        let past = *self;
        (0..past.len()).map(move |at| past.basket(at))
    }
}

#[cfg(test)]
mod tests {
    use super::super::told::Told;
    use super::*;

    #[test]
    fn are_baskets_sorted_without_repetition_and_empty_ones_dropped() {
        let mut history = History::default();
        let at = Moment { day: 4, hour: 9 };
        history.push([(at, &[5, 1, 5, 3][..]), (at, &[]), (at, &[2])]);
        history.push([]);
        let past = history.past(0, 0);
        assert_eq!((past.len(), past.basket(0), past.ago(0)), (2, &[1, 3, 5][..], Some(&[2][..])));
        assert!(history.past(1, 0).is_empty() && history.past(99, 0).is_empty());
        assert_eq!((history.members(), history.item_count(), history.lines()), (2, 6, 4));
    }

    #[test]
    fn does_a_past_without_its_last_baskets_show_nothing_of_them() {
        let told = Told::of("anna: a | b | c\nbert: d");
        let seen = |member, held| told.called(told.history.past(member, held).iter().flatten().copied());
        assert_eq!([seen(0, 0), seen(0, 1), seen(0, 2), seen(0, 9)], ["a b c", "a b", "a", ""]);
        assert_eq!([seen(1, 0), seen(1, 1)], ["d", ""]);
    }
}
