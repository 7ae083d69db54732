//! People like you: what members with a similar taste buy (TIFU-KNN: Hu and others 2020, "Modeling Personalized Item
//! Frequency Information for Next-basket Recommendation").
//!
//! A member's taste is a weight for each item. Baskets are grouped from the last one backwards; a basket weighs `within`
//! to the power of its place in its group times `between` to the power of its group's. Similar is the cosine of two
//! tastes, found over inverted lists: item -> members who bought it. A question looks at so many entries of those lists
//! at most, from the shopper's rarest items up: rare things tell people apart, and a shop's size does not slow an answer.
//! A buyer's weight keeps the upper half of its bits, six bytes an entry: likeness within a part in 512 finds the same
//! neighbours. Tastes stay exact: what they add up to is told, and coarse sums cost hits among what is bought again.

use super::history::{History, Item, Member, Past};
use super::tally::{Tally, top_of};

/// How tastes fade.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Fading {
    /// Baskets of a group, at least 1.
    pub group: usize,
    /// What each basket further back in its group weighs less, 0 to 1.
    pub within: f32,
    /// What each group further back weighs less, 0 to 1.
    pub between: f32,
    /// How much rare items count more in likeness: the power of `ln(members / buyers)`; 0 is not at all.
    pub rarity: f32,
}

/// Weights below this say nothing; leaving them out keeps a long past short.
const WEIGHT_MIN: f32 = 1e-3;

/// Weighs each item a member bought into `taste`, which is cleared. Items from `item_count` up are left out.
pub fn taste(past: Past<'_>, fading: Fading, item_count: usize, taste: &mut Tally) {
    taste.clear(item_count);
    let groups = past.len().div_ceil(fading.group).max(1);
    let share = 1.0 / (groups * fading.group) as f32;
    for (ago, basket) in past.iter().rev().enumerate() {
        let (group, place) = (ago / fading.group, ago % fading.group);
        let faded = fading.within.powi(place as i32) * fading.between.powi(group as i32);
        if faded < WEIGHT_MIN {
            break;
        }
        for &item in basket.iter().filter(|&&item| (item as usize) < item_count) {
            taste.add(item, share * faded);
        }
    }
}

/// Scratch space of a question.
#[derive(Clone, Debug, Default)]
pub struct Asking {
    /// The shopper's taste.
    pub own: Tally,
    /// Who is alike, with the cosine, most alike first.
    pub like: Vec<(Member, f32)>,
    alike: Tally,
    rarest: Vec<Item>,
}

/// Each item's buyers, with its weight in a taste of length one.
#[derive(Clone, Debug)]
struct Buyers {
    ends: Vec<u32>,
    members: Vec<Member>,
    weights: Vec<Weight>,
}

impl Buyers {
    fn of(&self, item: Item) -> impl Iterator<Item = (Member, f32)> {
        let (from, to) = (self.ends[item as usize] as usize, self.ends[item as usize + 1] as usize);
        let weights = self.weights[from..to].iter().map(|weight| weight.get());
        self.members[from..to].iter().copied().zip(weights)
    }

    fn count(&self, item: Item) -> usize {
        (self.ends[item as usize + 1] - self.ends[item as usize]) as usize
    }

    fn bytes(&self) -> usize {
        size_of_val(&self.ends[..]) + size_of_val(&self.members[..]) + size_of_val(&self.weights[..])
    }
}

/// A weight not below nothing, in the upper half of its bits; its sign would be the highest and is left out.
#[derive(Clone, Copy, Debug, Default)]
struct Weight(u16);

impl Weight {
    fn of(weight: f32) -> Weight {
        Weight(((weight.max(0.0).to_bits() + (1 << 14)) >> 15) as u16)
    }

    fn get(self) -> f32 {
        f32::from_bits(u32::from(self.0) << 15)
    }
}

/// Every member's taste, and who bought what.
#[derive(Clone, Debug)]
pub struct Neighbours {
    fading: Fading,
    ends: Vec<u32>,
    tastes: Vec<(Item, f32)>,
    buyers: Buyers,
    rarity: Vec<f32>,
}

impl Neighbours {
    /// Weighs every member's taste, without the last `held` baskets.
    #[must_use]
    pub fn build(history: &History, held: usize, fading: Fading) -> Neighbours {
        let item_count = history.item_count();
        let (mut ends, mut tastes) = (vec![0], Vec::new());
        let mut tally = Tally::default();
        for (_, past) in history.pasts(held) {
            taste(past, fading, item_count, &mut tally);
            let from = tastes.len();
            tastes.extend(tally.touched().iter().map(|&item| (item, tally.get(item))));
            tastes[from..].sort_unstable_by_key(|&(item, _)| item);
            ends.push(tastes.len() as u32);
        }
        // What is kept for long holds no room to grow.
        tastes.shrink_to_fit();
        let mut buyer_ends = vec![0u32; item_count + 1];
        for &(item, _) in &tastes {
            buyer_ends[item as usize + 1] += 1;
        }
        let members = history.members() as f32 + 1.0;
        let rare = |buyers: u32| (members / (buyers as f32 + 1.0)).ln().max(WEIGHT_MIN).powf(fading.rarity);
        let rarity: Vec<f32> = buyer_ends[1..].iter().map(|&buyers| rare(buyers)).collect();
        for item in 0..item_count {
            buyer_ends[item + 1] += buyer_ends[item];
        }
        let mut at = buyer_ends.clone();
        let entries = tastes.len();
        let mut buyers =
            Buyers { ends: buyer_ends, members: vec![0; entries], weights: vec![Weight::default(); entries] };
        for member in 0..history.members() {
            let taste = &tastes[ends[member] as usize..ends[member + 1] as usize];
            let length = length(taste.iter().map(|&(item, weight)| weight * rarity[item as usize]));
            for &(item, weight) in taste {
                let slot = &mut at[item as usize];
                buyers.members[*slot as usize] = member as Member;
                buyers.weights[*slot as usize] = Weight::of(weight * rarity[item as usize] / length);
                *slot += 1;
            }
        }
        Neighbours { fading, ends, tastes, buyers, rarity }
    }

    /// The `count` members most like this past, without `but`, into `asking.like`; the taste into `asking.own`. Looks at
    /// `entries_max` entries of the lists, and at all of the last list it begins.
    pub fn like(
        &self,
        past: Past<'_>,
        but: Option<Member>,
        count: usize,
        entries_max: usize,
        asking: &mut Asking,
    ) {
        let Asking { own, like, alike, rarest } = asking;
        taste(past, self.fading, self.rarity.len(), own);
        alike.clear(self.ends.len() - 1);
        let length = length(own.touched().iter().map(|&item| own.get(item) * self.rarity[item as usize]));
        rarest.clear();
        rarest.extend_from_slice(own.touched());
        rarest.sort_unstable_by_key(|&item| (self.buyers.count(item), item));
        let mut entries = 0;
        for &item in rarest.iter() {
            if entries >= entries_max {
                break;
            }
            let weight = own.get(item) * self.rarity[item as usize] / length;
            for (member, theirs) in self.buyers.of(item) {
                alike.add(member, weight * theirs);
            }
            entries += self.buyers.count(item);
        }
        let others = alike.touched().iter().filter(|&&member| Some(member) != but);
        top_of(others.map(|&member| (member, alike.get(member))), count, like);
    }

    /// The taste of a member.
    #[must_use]
    pub fn taste_of(&self, member: Member) -> &[(Item, f32)] {
        &self.tastes[self.ends[member as usize] as usize..self.ends[member as usize + 1] as usize]
    }

    /// Bytes held.
    #[must_use]
    pub fn bytes(&self) -> usize {
        size_of_val(&self.ends[..])
            + size_of_val(&self.tastes[..])
            + self.buyers.bytes()
            + size_of_val(&self.rarity[..])
    }
}

fn length(weights: impl Iterator<Item = f32>) -> f32 {
    weights.map(|weight| weight * weight).sum::<f32>().sqrt().max(f32::MIN_POSITIVE)
}

#[cfg(test)]
mod tests {
    use super::super::told::Told;
    use super::*;

    const EVEN: Fading = Fading { group: 1, within: 1.0, between: 1.0, rarity: 0.0 };

    #[test]
    fn does_a_taste_fade_by_place_and_group() {
        let mut told = Told::of("anna: a | b | c | a");
        let fading = Fading { group: 2, within: 0.5, between: 0.1, rarity: 0.0 };
        let mut found = Tally::default();
        taste(told.history.past(0, 0), fading, 3, &mut found);
        // Two groups of two: shares of a quarter; from the last: a 1, c 0.5, b 0.1, a 0.05.
        let wanted = [("a", 1.05), ("c", 0.5), ("b", 0.1)];
        for (name, weight) in wanted {
            assert!((found.get(told.item(name)) - weight / 4.0).abs() < 1e-6, "{name} {found:?}");
        }
    }

    #[test]
    fn are_those_with_the_same_taste_nearest_and_never_oneself() {
        let told = Told::of(
            "anna: tea jam | tea
             bert: tea jam
             carl: tea beer
             dora: beer",
        );
        let neighbours = Neighbours::build(&told.history, 0, EVEN);
        let mut asking = Asking::default();
        let anna = told.member("anna");
        neighbours.like(told.history.past(anna, 0), Some(anna), 9, usize::MAX, &mut asking);
        let order: Vec<Member> = asking.like.iter().map(|&(member, _)| member).collect();
        assert_eq!(order, [told.member("bert"), told.member("carl")]);
        // anna is (2, 1)/2 in tea and jam, bert (1, 1).
        assert!((asking.like[0].1 - 3.0 / 10f32.sqrt()).abs() < 4e-3, "{asking:?}");
        // Looking at one entry is looking at the rarest item's list: jam.
        neighbours.like(told.history.past(anna, 0), Some(anna), 9, 1, &mut asking);
        assert_eq!(asking.like.len(), 1, "{asking:?}");
    }

    #[test]
    fn is_a_stored_weight_within_a_part_in_512() {
        for weight in [0.0, 1e-30, 1e-3, 0.1, 1.0 / 3.0, 0.999_999, 1.0, 17.3] {
            let kept = Weight::of(weight).get();
            assert!((kept - weight).abs() <= weight / 512.0, "{weight} {kept}");
        }
    }
}
