//! What everybody buys: in the shop, lately, at an hour, in a segment; and how often an item is bought again.

use super::history::{History, Item};
use super::tally::top;

/// An item's buyers that count as much as the shop's average when its own rate of being bought again is told.
const PRIOR: f32 = 5.0;
/// Hours of a day.
const HOURS: usize = 24;

/// Counts over everybody, as parts of the members.
#[derive(Clone, Debug)]
pub struct Popular {
    /// Baskets with the item for each member.
    pub ever: Vec<f32>,
    /// The same, each basket half as heavy every half-life back from the latest day.
    pub lately: Vec<f32>,
    /// Of those who bought it, the part that bought it more than once.
    pub again: Vec<f32>,
    /// Of the baskets with it, the part whose next basket has it too.
    pub next: Vec<f32>,
    /// Mean size of the baskets with it.
    pub basket_size: Vec<f32>,
    /// Highest `lately` first.
    pub best: Vec<Item>,
    hours: Vec<Vec<Item>>,
    segments: Vec<Vec<Item>>,
}

impl Popular {
    /// Counts without the last `held` baskets; `segments` names each member's segment, by number, and may be shorter
    /// than there are members. Lists hold `kept` items.
    #[must_use]
    pub fn count(
        history: &History,
        held: usize,
        half_life_days: f32,
        segments: &[Option<u16>],
        kept: usize,
    ) -> Popular {
        let items = history.item_count();
        let zeros = || vec![0.0f32; items];
        let (mut ever, mut lately, mut sizes) = (zeros(), zeros(), zeros());
        let (mut buyers, mut again, mut before, mut next) = (zeros(), zeros(), zeros(), zeros());
        let latest = history.pasts(held).filter_map(|(_, past)| past.latest()).max().unwrap_or_default().day;
        let mut by_hour = vec![Vec::new(); HOURS];
        let mut by_segment: Vec<Vec<Item>> = Vec::new();
        let mut own: Vec<Item> = Vec::new();
        for (member, past) in history.pasts(held) {
            own.clear();
            for (at, basket) in past.iter().enumerate() {
                let moment = past.moment(at);
                let faded = 0.5f32.powf((latest - moment.day) as f32 / half_life_days);
                for &item in basket {
                    ever[item as usize] += 1.0;
                    lately[item as usize] += faded;
                    sizes[item as usize] += basket.len() as f32;
                }
                by_hour[usize::from(moment.hour) % HOURS].extend_from_slice(basket);
                own.extend_from_slice(basket);
                if at + 1 < past.len() {
                    let after = past.basket(at + 1);
                    for &item in basket {
                        before[item as usize] += 1.0;
                        next[item as usize] += f32::from(u8::from(after.binary_search(&item).is_ok()));
                    }
                }
            }
            if let Some(segment) = segments.get(member as usize).copied().flatten() {
                let segment = usize::from(segment);
                if by_segment.len() <= segment {
                    by_segment.resize(segment + 1, Vec::new());
                }
                by_segment[segment].extend_from_slice(&own);
            }
            own.sort_unstable();
            for same in own.chunk_by(|left, right| left == right) {
                buyers[same[0] as usize] += 1.0;
                again[same[0] as usize] += f32::from(u8::from(same.len() > 1));
            }
        }
        shrink(&mut again, &buyers);
        shrink(&mut next, &before);
        for (size, count) in sizes.iter_mut().zip(&ever) {
            *size /= count.max(1.0);
        }
        let members = history.members().max(1) as f32;
        for share in ever.iter_mut().chain(lately.iter_mut()) {
            *share /= members;
        }
        let mut order: Vec<(Item, f32)> =
            (0..).zip(lately.iter().copied()).filter(|&(_, share)| share > 0.0).collect();
        top(&mut order, kept);
        Popular {
            ever,
            lately,
            again,
            next,
            basket_size: sizes,
            best: order.into_iter().map(|(item, _)| item).collect(),
            hours: by_hour.into_iter().map(|lines| most(lines, kept)).collect(),
            segments: by_segment.into_iter().map(|lines| most(lines, kept)).collect(),
        }
    }

    /// What sells at an hour, 0 to 23, best first.
    #[must_use]
    pub fn at_hour(&self, hour: u8) -> &[Item] {
        self.hours.get(usize::from(hour)).map_or(&[], Vec::as_slice)
    }

    /// What a segment buys, best first; nothing for one without members.
    #[must_use]
    pub fn in_segment(&self, segment: u16) -> &[Item] {
        self.segments.get(usize::from(segment)).map_or(&[], Vec::as_slice)
    }
}

/// Makes counts parts of `of`, pulled towards the part over all.
fn shrink(counts: &mut [f32], of: &[f32]) {
    let whole: f32 = of.iter().sum();
    let prior = counts.iter().sum::<f32>() / whole.max(1.0);
    for (count, of) in counts.iter_mut().zip(of) {
        *count = (*count + PRIOR * prior) / (of + PRIOR);
    }
}

/// The items with most lines, most first; ties go to the lower item.
fn most(mut lines: Vec<Item>, kept: usize) -> Vec<Item> {
    lines.sort_unstable();
    let mut counts: Vec<(Item, f32)> =
        lines.chunk_by(|left, right| left == right).map(|same| (same[0], same.len() as f32)).collect();
    top(&mut counts, kept);
    counts.into_iter().map(|(item, _)| item).collect()
}

#[cfg(test)]
mod tests {
    use super::super::told::Told;
    use super::*;

    #[test]
    fn is_what_sells_told_by_time_hour_and_segment() {
        let mut told = Told::of(
            "anna: 0@8 rolls tea | 10@18 beer
             bert: 0@8 rolls | 1@8 rolls tea
             carl: 10@18 beer crisps",
        );
        let popular = Popular::count(&told.history, 0, 5.0, &[Some(1), Some(1), Some(0)], 10);
        let called = |items: &[Item]| told.called(items.iter().copied());
        assert_eq!(called(popular.at_hour(8)), "rolls tea");
        assert_eq!(called(popular.at_hour(18)), "beer crisps");
        assert_eq!(called(popular.at_hour(3)) + &called(popular.at_hour(99)), "");
        assert_eq!(called(popular.in_segment(1)), "rolls tea beer");
        assert_eq!(called(popular.in_segment(7)), "");
        assert_eq!(called(&popular.best[..2]), "beer crisps", "two half-lives ago counts a quarter");
        let (rolls, tea) = (told.item("rolls") as usize, told.item("tea") as usize);
        assert!((popular.ever[rolls] - 1.0).abs() < 1e-6);
        assert!((popular.lately[rolls] - (0.25 + 0.25 + 0.5f32.powf(1.8)) / 3.0).abs() < 1e-6);
        // Of seven buyers of anything one bought again; rolls: 1 of 2, pulled towards 1/7 by five.
        assert!((popular.again[rolls] - (1.0 + PRIOR / 7.0) / 7.0).abs() < 1e-6, "{:?}", popular.again);
        assert!((popular.basket_size[tea] - 2.0).abs() < 1e-6);
    }
}
