//! The model: sources built on a history, trees that weigh them, and the answer to "what next".
//!
//! ```text
//! build   round r = 1..: sources without the last r baskets -> rows for each member's basket before those
//!         trees on the rows of all rounds; then sources on the whole history
//! ask     candidates -> rows -> trees -> the best k with reasons; too few: down the ladder
//! ladder  member (or a begun basket of one) > what goes with the basket > segment > hour > shop
//! ```
//! Invariant: what is scored was never seen by what scores it while weights are fitted: a round's sources hold neither the
//! wanted basket nor any later one of anybody.

use super::ask::Tops;
use super::factors::Factors;
use super::features::{Column, Scratch, Sources, View};
use super::fit::{fit, sources};
use super::history::{History, Item};
use super::network::Wired;
use super::tally::top;
use crate::limits::{
    RECOMMEND_CANDIDATES, RECOMMEND_ENTRIES_MAX, RECOMMEND_ITEMS_OF_MEMBER_MAX, RECOMMEND_PAIRS_COUNTED_MAX,
    RECOMMEND_PAIRS_KEPT, RECOMMEND_ROWS_MAX, RECOMMEND_TRAINED_ON_MAX,
};
use crate::shopper::trees::{Growth, Trees};

/// How much is looked at. What weighs how much is no parameter: it is fitted.
#[derive(Clone, Copy, Debug)]
pub struct Params {
    /// Neighbours by taste.
    pub neighbours: usize,
    /// Neighbours by the last few baskets.
    pub neighbours_lately: usize,
    /// Entries of inverted lists one question looks at.
    pub entries_max: usize,
    /// Candidates of each source of people; half as many of each other.
    pub candidates: usize,
    /// Items of a member that pairs are counted over.
    pub items_of_member_max: usize,
    /// Pairs counted over all members, and over all baskets.
    pub pairs_counted_max: usize,
    /// Others kept for each item.
    pub pairs_kept: usize,
    /// Days after which popularity counts half.
    pub half_life_days: f32,
    /// Members whose baskets weights are fitted on, times rounds.
    pub trained_on_max: usize,
    /// Rows that trees are grown on; of more, unsold ones are left out evenly.
    pub rows_max: usize,
    /// Are weights also fitted on begun baskets, as a till sees them?
    pub begun: bool,
    /// The trees.
    pub growth: Growth,
}

/// Trees that were as good as larger ones on four months of baskets, and cost a third.
const GROWTH: Growth = Growth {
    rounds: 80,
    leaves: 15,
    depth: u32::MAX,
    step: 0.12,
    row_share: 1.0,
    column_share: 1.0,
    leaf_rows_min: 50,
    ridge: 0.1,
    seed: 1,
};

impl Params {
    /// For a file of baskets without times: a basket a day, whole baskets wanted, time to look at everything.
    #[must_use]
    pub fn lab() -> Params {
        Params {
            neighbours: 300,
            neighbours_lately: 100,
            entries_max: usize::MAX,
            candidates: 100,
            items_of_member_max: 200,
            pairs_counted_max: usize::MAX,
            pairs_kept: 100,
            half_life_days: 1.0,
            trained_on_max: 40_000,
            rows_max: RECOMMEND_ROWS_MAX,
            begun: false,
            growth: GROWTH,
        }
    }

    /// For a shop: an answer within a scan, a build within seconds.
    #[must_use]
    pub fn shop() -> Params {
        Params {
            neighbours: 100,
            neighbours_lately: 50,
            entries_max: RECOMMEND_ENTRIES_MAX,
            candidates: RECOMMEND_CANDIDATES,
            items_of_member_max: RECOMMEND_ITEMS_OF_MEMBER_MAX,
            pairs_counted_max: RECOMMEND_PAIRS_COUNTED_MAX,
            pairs_kept: RECOMMEND_PAIRS_KEPT,
            half_life_days: 14.0,
            trained_on_max: RECOMMEND_TRAINED_ON_MAX,
            rows_max: RECOMMEND_ROWS_MAX / 8,
            begun: true,
            growth: Growth { rounds: 60, ..GROWTH },
        }
    }
}

/// Why an item is proposed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Reason {
    /// The shopper bought it in so many baskets.
    BoughtOften(u32),
    /// The shopper's own interval has passed.
    Due,
    /// It goes with this item of the basket, or of earlier ones.
    GoesWith(Item),
    /// Members with a similar taste buy it.
    PeopleLikeYou,
    /// It sells at this hour.
    PopularAtHour(u8),
    /// The shopper's segment buys it.
    PopularInSegment(u16),
    /// It sells in the shop.
    Popular,
    /// An alternative to this item: it is alike.
    SimilarTo(Item),
    /// Head office's factorisation or network says so.
    HeadOffice,
}

/// An item to propose.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Proposal {
    /// Which.
    pub item: Item,
    /// Comparable within one answer only; higher is better.
    pub score: f32,
    /// Why.
    pub reason: Reason,
}

/// One source alone, to compare the hybrid with.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Source {
    /// How often the shopper bought it, fading; ties by popularity.
    Personal,
    /// TIFU-KNN: 0.7 of the own taste, 0.3 of the neighbours' (the paper's weights for grocers).
    TifuKnn,
    /// Neighbours alone.
    Neighbours,
    /// Item-item collaborative filtering.
    SameMember,
    /// Association with the basket, or the last one.
    SameBasket,
    /// What comes in the basket after.
    BasketAfter,
    /// Popularity over all time.
    Popular,
    /// Popularity lately.
    PopularLately,
    /// All, weighed by the trees.
    Hybrid,
}

impl Source {
    /// Every source, the hybrid last.
    pub const ALL: [Source; 9] = [
        Source::Personal,
        Source::TifuKnn,
        Source::Neighbours,
        Source::SameMember,
        Source::SameBasket,
        Source::BasketAfter,
        Source::Popular,
        Source::PopularLately,
        Source::Hybrid,
    ];

    /// What it is called in a table.
    #[must_use]
    pub fn name(self) -> &'static str {
        match self {
            Source::Personal => "personal",
            Source::TifuKnn => "tifu-knn",
            Source::Neighbours => "neighbours",
            Source::SameMember => "item-item",
            Source::SameBasket => "association",
            Source::BasketAfter => "basket-after",
            Source::Popular => "popular",
            Source::PopularLately => "popular-lately",
            Source::Hybrid => "hybrid",
        }
    }
}

/// What fitting the weights looked at.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Fitted {
    /// Rounds of held-out baskets.
    pub rounds: usize,
    /// Baskets that were to be found.
    pub baskets: usize,
    /// Rows the trees were grown on.
    pub rows: usize,
    /// Items of those baskets, and how many of them were candidates.
    pub wanted: usize,
    /// See `wanted`.
    pub reached: usize,
}

/// What head office fitted and the bundle ships.
#[derive(Clone, Debug, Default)]
pub struct Shipped {
    /// Its matrix factorisation.
    pub factors: Option<Factors>,
    /// Its network.
    pub network: Option<Wired>,
}

/// A model, ready to be asked.
#[derive(Clone, Debug)]
pub struct Model {
    params: Params,
    pub(super) sources: Sources,
    trees: Trees,
    fitted: Fitted,
}

impl Model {
    /// Builds sources and fits weights. `segments` names each member's segment, by number. What head office ships should
    /// have been fitted on days before each member's last basket here, or they seem better than they are.
    #[must_use]
    pub fn build(history: &History, segments: &[Option<u16>], shipped: Shipped, params: Params) -> Model {
        let (trees, fitted) = fit(history, &shipped, &params);
        let sources = sources(history, 0, segments, shipped, &params);
        Model { params, sources, trees, fitted }
    }

    /// What fitting looked at.
    #[must_use]
    pub fn fitted(&self) -> Fitted {
        self.fitted
    }

    /// Items the model knows are numbered below this.
    #[must_use]
    pub fn item_count(&self) -> usize {
        self.sources.item_count()
    }

    /// Bytes held, trees and popularity aside.
    #[must_use]
    pub fn bytes(&self) -> usize {
        let Sources { taste, lately, same_member, same_basket, basket_after, .. } = &self.sources;
        taste.bytes() + lately.bytes() + same_member.bytes() + same_basket.bytes() + basket_after.bytes()
    }

    /// Which items to propose, best first, at most `k`; none of them in the basket.
    pub fn recommend(&self, view: &View<'_>, k: usize, scratch: &mut Scratch) -> Vec<Proposal> {
        let mut proposals = Vec::with_capacity(k);
        if !view.past.is_empty() {
            self.sources.write(view, &self.params, scratch);
            let ranked = self.ranked(Source::Hybrid, k, scratch);
            let tops = Tops::of(scratch);
            proposals.extend(ranked.into_iter().map(|(item, score, slot)| Proposal {
                item,
                score,
                reason: self.reason(view, scratch.asking.own.touched(), item, scratch.table.row(slot), &tops),
            }));
        }
        self.climb_down(view, k, &mut proposals);
        proposals
    }

    /// What one source alone would propose from the same candidates, best first, at most `k`.
    pub fn by_source(&self, view: &View<'_>, source: Source, k: usize, scratch: &mut Scratch) -> Vec<Item> {
        self.sources.write(view, &self.params, scratch);
        self.ranked(source, k, scratch).into_iter().map(|(item, _, _)| item).collect()
    }

    /// What each of `Source::ALL` would propose, in that order.
    pub fn by_every_source(&self, view: &View<'_>, k: usize, scratch: &mut Scratch) -> Vec<Vec<Item>> {
        self.sources.write(view, &self.params, scratch);
        let ranked = Source::ALL.iter().map(|&source| self.ranked(source, k, scratch));
        ranked.map(|ranked| ranked.into_iter().map(|(item, _, _)| item).collect()).collect()
    }

    /// How much one item goes with another, by the baskets they share: the rule of an association.
    #[must_use]
    pub fn rule(&self, one: Item, other: Item) -> Option<super::pairs::Rule> {
        self.sources.same_basket.rule(one, other)
    }

    /// What the same members buy, without what they buy together with it: 0 to 1.
    #[must_use]
    pub fn instead(&self, one: Item, other: Item) -> f32 {
        (self.sources.same_member.weight(one, other) - self.sources.same_basket.weight(one, other)).max(0.0)
    }

    /// The best candidates in the table with score and slot.
    fn ranked(&self, source: Source, k: usize, scratch: &Scratch) -> Vec<(Item, f32, usize)> {
        let table = &scratch.table;
        let mut scored: Vec<(u32, f32)> = (0..table.items().len())
            .map(|slot| (slot as u32, self.score(source, table.row(slot))))
            .filter(|&(_, score)| source == Source::Hybrid || score > 0.0)
            .collect();
        // Ties go to the item met first: the own ones, oldest first.
        top(&mut scored, k);
        let found =
            scored.into_iter().map(|(slot, score)| (table.items()[slot as usize], score, slot as usize));
        found.collect()
    }

    fn score(&self, source: Source, row: &[f32]) -> f32 {
        let of = |column: Column| row[column as usize];
        match source {
            Source::Personal => of(Column::Slow) + of(Column::PopularLately) * 1e-3,
            Source::TifuKnn => 0.7 * of(Column::Taste) + 0.3 * of(Column::Neighbours),
            Source::Neighbours => of(Column::Alike),
            Source::SameMember => of(Column::SameMember),
            Source::SameBasket => of(Column::SameBasket),
            Source::BasketAfter => of(Column::BasketAfter),
            Source::Popular => of(Column::Popular),
            Source::PopularLately => of(Column::PopularLately),
            Source::Hybrid => self.trees.margin(row),
        }
    }
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use super::super::history::Moment;
    use super::super::network::Network;
    use super::super::told::Told;
    use super::*;

    /// Twelve tea drinkers and twelve beer drinkers, each with something of their own.
    fn shop() -> Told {
        let mut text = String::new();
        for number in 0..12 {
            text += &format!(
                "t{number}: 0@9 tea jam own{number} | 2@9 tea biscuit | 4@9 tea jam | 6@9 tea biscuit own{number}\n"
            );
            text += &format!(
                "b{number}: 0@18 beer crisps | 2@18 beer | 4@18 beer nuts | 6@18 beer crisps nuts\n"
            );
        }
        text += "new: 6@9 jam own1";
        Told::of(&text)
    }

    fn built(told: &Told, segments: &[Option<u16>]) -> Model {
        Model::build(&told.history, segments, Shipped::default(), Params { begun: false, ..Params::shop() })
    }

    fn proposals(told: &Told, model: &Model, member: &str, basket: &[Item], k: usize) -> Vec<Proposal> {
        let member = told.member(member);
        let now = Moment { day: 8, hour: 9 };
        let view =
            View { member: Some(member), past: told.history.past(member, 0), basket, now, segment: None };
        model.recommend(&view, k, &mut Scratch::default())
    }

    #[test]
    fn does_a_shopper_get_the_own_things_first_and_then_those_of_people_alike() {
        let told = shop();
        let model = built(&told, &[]);
        let found = proposals(&told, &model, "t3", &[], 4);
        let names = told.called(found.iter().map(|proposal| proposal.item));
        assert!(["tea", "jam", "biscuit"].iter().all(|name| names.contains(name)), "{found:?} {names}");
        let tea = found.iter().find(|proposal| told.names[proposal.item as usize] == "tea").expect("tea");
        assert_eq!(tea.reason, Reason::Due, "every second day, and two days ago");
        assert!(found.windows(2).all(|two| two[0].score >= two[1].score), "{found:?}");
        let new = proposals(&told, &model, "new", &[], 4);
        assert!(told.called(new.iter().map(|proposal| proposal.item)).contains("tea"), "{new:?}");
        let tea = new.iter().find(|proposal| told.names[proposal.item as usize] == "tea").expect("tea");
        assert!(matches!(tea.reason, Reason::GoesWith(_) | Reason::PeopleLikeYou), "{new:?}");
    }

    #[test]
    fn is_what_lies_in_the_basket_never_proposed() {
        let mut told = shop();
        let model = built(&told, &[]);
        let basket = [told.item("tea"), told.item("beer"), 9_999];
        for member in ["t3", "b3", "new"] {
            let found = proposals(&told, &model, member, &basket, 30);
            assert!(found.iter().all(|proposal| !basket.contains(&proposal.item)), "{found:?}");
            let mut items: Vec<Item> = found.iter().map(|proposal| proposal.item).collect();
            items.sort_unstable();
            items.dedup();
            assert_eq!(items.len(), found.len(), "nothing twice");
        }
    }

    #[test]
    fn does_a_stranger_climb_down_basket_segment_hour_shop() {
        let mut told = shop();
        let segments: Vec<Option<u16>> = (0..told.history.members()).map(|at| Some(at as u16 % 2)).collect();
        let model = built(&told, &segments);
        let beer = told.item("beer");
        let nobody = told.history.past(9_999, 0);
        let first = |basket: &[Item], segment, hour| {
            let view = View { member: None, past: nobody, basket, now: Moment { day: 8, hour }, segment };
            model.recommend(&view, 3, &mut Scratch::default())[0]
        };
        // basket, segment, hour: what is proposed first, and why
        let (crisps, tea) = (
            told.names.iter().position(|name| name == "crisps"),
            told.names.iter().position(|name| name == "tea"),
        );
        let goes = first(&[beer], Some(0), 9);
        assert_eq!((Some(goes.item as usize), goes.reason), (crisps, Reason::GoesWith(beer)));
        let segment = first(&[], Some(0), 18);
        assert_eq!((Some(segment.item as usize), segment.reason), (tea, Reason::PopularInSegment(0)));
        let hour = first(&[], None, 18);
        assert_eq!((hour.item, hour.reason), (beer, Reason::PopularAtHour(18)));
        assert_eq!(first(&[], Some(77), 3).reason, Reason::Popular);
    }

    #[test]
    fn does_an_item_or_a_basket_after_the_model_was_built_do_no_harm() {
        let told = shop();
        let model = built(&told, &[]);
        let mut later = History::default();
        let at = Moment { day: 8, hour: 9 };
        later.push([(at, &[0, 1][..]), (at, &[500_000, 2])]);
        let view = View { member: None, past: later.past(0, 0), basket: &[700_000], now: at, segment: None };
        assert_eq!(model.recommend(&view, 5, &mut Scratch::default()).len(), 5);
    }

    #[test]
    fn are_head_offices_factors_a_source_and_named() {
        let told = shop();
        let (members, items) = (told.history.members(), told.history.item_count());
        let nuts = told.names.iter().position(|name| name == "nuts").expect("nuts");
        let factors = (0..items).map(|item| f32::from(u8::from(item == nuts))).collect();
        let factors = Factors::new(1, (vec![1.0; members], members), (factors, items)).expect("a good shape");
        let shipped = Shipped { factors: Some(factors), ..Shipped::default() };
        let model = Model::build(&told.history, &[], shipped, Params::shop());
        let found = proposals(&told, &model, "t3", &[], 30);
        let nuts = found.iter().find(|proposal| proposal.item as usize == nuts).expect("nuts");
        assert_eq!(nuts.reason, Reason::HeadOffice);
    }

    #[test]
    fn is_head_offices_network_a_source_and_named() {
        let told = shop();
        let nuts = told.names.iter().position(|name| name == "nuts").expect("nuts");
        let jam = told.names.iter().position(|name| name == "jam").expect("jam");
        // Whoever bought what the first column is gets what the second one is.
        let bytes = super::super::network::onnx::layer(&[-50.0, 50.0, 0.0, 0.0], &[0.0, 0.0]);
        let network = Network::read(&bytes, 2).expect("a good network");
        let wired = Wired::new(Arc::new(network), [Some(jam as Item), Some(nuts as Item)]);
        let shipped = Shipped { network: Some(wired), ..Shipped::default() };
        let model = Model::build(&told.history, &[], shipped, Params::shop());
        let found = proposals(&told, &model, "t3", &[], 30);
        let nuts = found.iter().find(|proposal| proposal.item as usize == nuts).expect("nuts");
        assert_eq!(nuts.reason, Reason::HeadOffice);
    }

    #[test]
    fn does_an_empty_shop_propose_nothing() {
        let model = Model::build(&History::default(), &[], Shipped::default(), Params::shop());
        let nobody = History::default();
        let view = View {
            member: None,
            past: nobody.past(0, 0),
            basket: &[3],
            now: Moment::default(),
            segment: None,
        };
        assert!(model.recommend(&view, 5, &mut Scratch::default()).is_empty());
    }

    #[test]
    fn is_a_member_with_a_hundred_thousand_lines_answered() {
        let mut history = History::default();
        let at = |day| Moment { day, hour: 9 };
        let baskets: Vec<Vec<Item>> =
            (0..1_000).map(|basket| (0..100).map(|item| (basket * 7 + item) % 5_000).collect()).collect();
        history.push(baskets.iter().enumerate().map(|(day, items)| (at(day as i32), items.as_slice())));
        history.push([(at(0), &[1, 2, 3][..]), (at(1), &[1, 2])]);
        let model = Model::build(&history, &[], Shipped::default(), Params::shop());
        let view =
            View { member: Some(0), past: history.past(0, 0), basket: &[], now: at(1_000), segment: None };
        assert_eq!(model.recommend(&view, 10, &mut Scratch::default()).len(), 10);
    }
}
