//! Why an item is proposed, and the ladder for whoever has no past, or too short a one: what goes with the basket, the
//! segment, the hour, the shop.

use super::features::{Column, Scratch, Sources, View};
use super::history::Item;
use super::model::{Model, Proposal, Reason};
use super::pairs::Pairs;
use super::tally::top;

impl Model {
    /// The source that speaks loudest for an item of the table. `own` are the shopper's items.
    pub(super) fn reason(
        &self,
        view: &View<'_>,
        own: &[Item],
        item: Item,
        row: &[f32],
        tops: &Tops,
    ) -> Reason {
        let of = |column: Column| row[column as usize];
        if of(Column::Count) > 0.0 {
            let is_due = of(Column::Count) > 2.0 && of(Column::Due) >= 1.0;
            return if is_due { Reason::Due } else { Reason::BoughtOften(of(Column::Count) as u32) };
        }
        // The source in which the item stands highest, measured by the source's best new item.
        let mut chosen = (0.0, Said::Nobody);
        for (share, said) in [
            (of(Column::SameBasket) / tops.same_basket, Said::Basket),
            (of(Column::Alike) / tops.alike, Said::Neighbours),
            (of(Column::SameMember) / tops.same_member, Said::Members),
            (of(Column::Factors) / tops.factors, Said::HeadOffice),
            (of(Column::Network) / tops.network, Said::HeadOffice),
        ] {
            if share > chosen.0 {
                chosen = (share, said);
            }
        }
        let last = view.past.ago(0).unwrap_or(&[]);
        let seeds = if view.basket.is_empty() { last } else { view.basket };
        match chosen.1 {
            Said::Nobody => None,
            Said::Basket => best_seed(&self.sources.same_basket, seeds, item),
            Said::Neighbours => Some(Reason::PeopleLikeYou),
            Said::Members => best_seed(&self.sources.same_member, own, item),
            Said::HeadOffice => Some(Reason::HeadOffice),
        }
        .unwrap_or(Reason::Popular)
    }

    /// Fills up with what is known without a past.
    pub(super) fn climb_down(&self, view: &View<'_>, k: usize, proposals: &mut Vec<Proposal>) {
        if proposals.len() >= k {
            return;
        }
        let Sources { popular, same_basket, .. } = &self.sources;
        let mut with: Vec<(Item, f32)> = Vec::new();
        for &seed in view.basket {
            with.extend(same_basket.of(seed).iter().map(|other| (other.item, other.weight)));
        }
        with.sort_unstable_by_key(|&(item, _)| item);
        let mut with: Vec<(Item, f32)> = with
            .chunk_by(|left, right| left.0 == right.0)
            .map(|same| (same[0].0, same.iter().map(|&(_, weight)| weight).sum()))
            .collect();
        top(&mut with, k + view.basket.len());
        let with =
            with.into_iter().filter_map(|(item, _)| Some((item, best_seed(same_basket, view.basket, item)?)));
        let segment = view.segment.into_iter().flat_map(|segment| {
            let reason = Reason::PopularInSegment(segment);
            popular.in_segment(segment).iter().map(move |&item| (item, reason))
        });
        let hour = view.now.hour;
        let at_hour = popular.at_hour(hour).iter().map(|&item| (item, Reason::PopularAtHour(hour)));
        let shop = popular.best.iter().map(|&item| (item, Reason::Popular));
        // Below whatever stands above it.
        let mut score = proposals.last().map_or(0.0, |last| last.score.min(0.0));
        for (item, reason) in with.chain(segment).chain(at_hour).chain(shop) {
            if proposals.len() >= k {
                break;
            }
            if !view.basket.contains(&item) && !proposals.iter().any(|proposal| proposal.item == item) {
                score -= 1.0;
                proposals.push(Proposal { item, score, reason });
            }
        }
    }
}

/// Which source speaks for a new item.
enum Said {
    Nobody,
    Basket,
    Neighbours,
    Members,
    HeadOffice,
}

/// The seed an item goes with most.
fn best_seed<'a>(pairs: &Pairs, seeds: impl IntoIterator<Item = &'a Item>, item: Item) -> Option<Reason> {
    let mut best: Option<(f32, Item)> = None;
    for &seed in seeds {
        let weight = pairs.weight(seed, item);
        if weight > best.map_or(0.0, |(highest, _)| highest) {
            best = Some((weight, seed));
        }
    }
    best.map(|(_, seed)| Reason::GoesWith(seed))
}

/// The highest each source says about an item that was never bought.
pub(super) struct Tops {
    same_basket: f32,
    alike: f32,
    same_member: f32,
    factors: f32,
    network: f32,
}

impl Tops {
    pub(super) fn of(scratch: &Scratch) -> Tops {
        let highest = |column| scratch.table.highest_new(column);
        Tops {
            same_basket: highest(Column::SameBasket),
            alike: highest(Column::Alike),
            same_member: highest(Column::SameMember),
            factors: highest(Column::Factors),
            network: highest(Column::Network),
        }
    }
}
