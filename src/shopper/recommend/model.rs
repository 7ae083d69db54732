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

use super::factors::Factors;
use super::features::{Column, Scratch, Sources, View, WIDTH};
use super::history::{History, Item, Member};
use super::neighbours::{Fading, Neighbours};
use super::pairs::{Bounds, Pairs, Unit};
use super::popular::Popular;
use super::ranks::{self, Rows};
use super::tally::top;
use crate::limits::{
    RECOMMEND_CANDIDATES, RECOMMEND_ENTRIES_MAX, RECOMMEND_ITEMS_OF_MEMBER_MAX, RECOMMEND_PAIRS_COUNTED_MAX,
    RECOMMEND_PAIRS_KEPT, RECOMMEND_ROUNDS_MAX, RECOMMEND_ROWS_MAX, RECOMMEND_TRAINED_ON_MAX,
};
use crate::shopper::trees::{Binned, Growth, Trees};

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
    /// Head office's model says so.
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

/// A model, ready to be asked.
#[derive(Clone, Debug)]
pub struct Model {
    params: Params,
    sources: Sources,
    trees: Trees,
    fitted: Fitted,
}

impl Model {
    /// Builds sources and fits weights. `segments` names each member's segment, by number. Head office's `factors` should
    /// have been fitted on days before each member's last basket here, or they seem better than they are.
    #[must_use]
    pub fn build(
        history: &History,
        segments: &[Option<u16>],
        factors: Option<Factors>,
        params: Params,
    ) -> Model {
        let (trees, fitted) = fit(history, factors.as_ref(), &params);
        let sources = sources(history, 0, segments, factors, &params);
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
                reason: self.reason(view, item, scratch.table.row(slot), &tops),
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

    fn reason(&self, view: &View<'_>, item: Item, row: &[f32], tops: &Tops) -> Reason {
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
            (of(Column::Factors) / tops.factors, Said::Factors),
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
            Said::Members => best_seed(&self.sources.same_member, view.past.iter().flatten(), item),
            Said::Factors => Some(Reason::HeadOffice),
        }
        .unwrap_or(Reason::Popular)
    }

    /// Fills up with what is known without a past.
    fn climb_down(&self, view: &View<'_>, k: usize, proposals: &mut Vec<Proposal>) {
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
    Factors,
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
struct Tops {
    same_basket: f32,
    alike: f32,
    same_member: f32,
    factors: f32,
}

impl Tops {
    fn of(scratch: &Scratch) -> Tops {
        let table = &scratch.table;
        let highest = |column: Column| {
            let new = (0..table.items().len()).filter(|&slot| table.get(slot, Column::Count) == 0.0);
            new.map(|slot| table.get(slot, column)).fold(f32::MIN_POSITIVE, f32::max)
        };
        Tops {
            same_basket: highest(Column::SameBasket),
            alike: highest(Column::Alike),
            same_member: highest(Column::SameMember),
            factors: highest(Column::Factors),
        }
    }
}

fn sources(
    history: &History,
    held: usize,
    segments: &[Option<u16>],
    factors: Option<Factors>,
    params: &Params,
) -> Sources {
    let slow = Fading { group: 7, within: 0.9, between: 0.7, rarity: 0.0 };
    let quick = Fading { group: 1, within: 1.0, between: 0.4, rarity: 0.5 };
    let (counted_max, kept) = (params.pairs_counted_max, params.pairs_kept);
    let pairs = |unit, items_max| Pairs::count(history, held, unit, Bounds { items_max, counted_max, kept });
    // A basket's items beyond so many say little about each other, and cost their square.
    let items_of_basket = params.items_of_member_max.div_ceil(2).min(50);
    Sources {
        taste: Neighbours::build(history, held, slow),
        lately: Neighbours::build(history, held, quick),
        same_member: pairs(Unit::Member, params.items_of_member_max),
        same_basket: pairs(Unit::Basket, items_of_basket),
        basket_after: pairs(Unit::Step, items_of_basket),
        popular: Popular::count(history, held, params.half_life_days, segments, 2 * params.candidates),
        factors,
    }
}

/// Grows trees on baskets that the sources have not seen.
fn fit(history: &History, factors: Option<&Factors>, params: &Params) -> (Trees, Fitted) {
    let members = history.members();
    let rounds = (params.trained_on_max / members.max(1)).clamp(1, RECOMMEND_ROUNDS_MAX);
    // Every so manieth member, so that a large shop costs no more than a small one.
    let stride = (members * rounds).div_ceil(params.trained_on_max).max(1);
    let mut fitted = Fitted { rounds, ..Fitted::default() };
    let mut rows = Rows { width: WIDTH, ..Rows::default() };
    let mut scratch = Scratch::default();
    let expected = members.div_ceil(stride) * rounds * params.candidates * 3;
    let mut thin = Thin { kept: params.rows_max.min(expected.max(1)), of: expected.max(1), due: 0 };
    for held in 1..=rounds {
        let sources = sources(history, held, &[], factors.cloned(), params);
        for member in (0..members as Member).step_by(stride) {
            let (past, wanted) = (history.past(member, held), history.past(member, held - 1));
            let (Some(wanted), Some(now)) = (wanted.ago(0), wanted.latest()) else { continue };
            if past.is_empty() {
                continue;
            }
            // Every other member is met in the middle of the basket.
            let is_begun = params.begun && (member as usize / stride + held) % 2 == 1;
            let basket: Vec<Item> = wanted.iter().copied().filter(|item| is_begun && item % 2 == 0).collect();
            let view = View { member: Some(member), past, basket: &basket, now, segment: None };
            sources.write(&view, params, &mut scratch);
            push(&mut rows, &scratch, wanted, &mut thin, &mut fitted);
            fitted.wanted += wanted.len() - basket.len();
        }
    }
    fitted.rows = rows.labels.len();
    let every: Vec<u32> = (0..rows.labels.len() as u32).collect();
    let value = |row: usize, column: usize| f64::from(rows.values[row * WIDTH + column]);
    let binned = Binned::of(WIDTH, every.len(), &every, value);
    let slopes = |scores: &[f64], into: &mut [_]| ranks::slopes(&rows, scores, into);
    let trees = Trees::follow(&binned, &every, 0.0, &params.growth, slopes);
    (trees, fitted)
}

/// Lets `kept` of `of` through, evenly.
struct Thin {
    kept: usize,
    of: usize,
    due: usize,
}

impl Thin {
    fn lets_through(&mut self) -> bool {
        self.due += self.kept;
        let lets = self.due >= self.of;
        if lets {
            self.due -= self.of;
        }
        lets
    }
}

fn push(rows: &mut Rows, scratch: &Scratch, wanted: &[Item], thin: &mut Thin, fitted: &mut Fitted) {
    let table = &scratch.table;
    let is_wanted = |item: &Item| wanted.binary_search(item).is_ok();
    let reached = table.items().iter().filter(|item| is_wanted(item)).count();
    // Where nothing can be found there is nothing to learn.
    if reached == 0 {
        return;
    }
    for (slot, item) in table.items().iter().enumerate() {
        let label = is_wanted(item);
        if label || thin.lets_through() {
            rows.labels.push(label);
            rows.values.extend_from_slice(table.row(slot));
        }
    }
    rows.groups.push(rows.labels.len() as u32);
    fitted.baskets += 1;
    fitted.reached += reached;
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::super::history::Moment;
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
        Model::build(&told.history, segments, None, Params { begun: false, ..Params::shop() })
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
        let model = Model::build(&told.history, &[], Some(factors), Params::shop());
        let found = proposals(&told, &model, "t3", &[], 30);
        let nuts = found.iter().find(|proposal| proposal.item as usize == nuts).expect("nuts");
        assert_eq!(nuts.reason, Reason::HeadOffice);
    }

    #[test]
    fn does_an_empty_shop_propose_nothing() {
        let model = Model::build(&History::default(), &[], None, Params::shop());
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
        let model = Model::build(&history, &[], None, Params::shop());
        let view =
            View { member: Some(0), past: history.past(0, 0), basket: &[], now: at(1_000), segment: None };
        assert_eq!(model.recommend(&view, 10, &mut Scratch::default()).len(), 10);
    }

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(8))]

        /// Weights and sources of round one must not have seen the last basket: with the last baskets of everybody
        /// replaced, what the sources of that round say stays the same.
        #[test]
        fn do_held_out_sources_know_nothing_of_what_they_are_tried_on(
            pasts in prop::collection::vec(prop::collection::vec(prop::collection::vec(0u32..12, 1..4), 2..5), 3..8),
            lasts in prop::collection::vec(prop::collection::vec(0u32..12, 1..4), 8),
        ) {
            let build = |replaced: bool| {
                let mut history = History::default();
                for (baskets, last) in pasts.iter().zip(&lasts) {
                    let mut baskets = baskets.clone();
                    if replaced {
                        baskets.pop();
                        baskets.push(last.clone());
                    }
                    // Every item is known in both, so that the tables are of one size.
                    baskets.insert(0, (0..12).collect());
                    history.push(baskets.iter().enumerate().map(|(day, items)| (Moment { day: day as i32, hour: 0 }, items.as_slice())));
                }
                history
            };
            let rows = |history: &History| {
                let params = Params::shop();
                let sources = sources(history, 1, &[], None, &params);
                let mut scratch = Scratch::default();
                let mut all: Vec<(Vec<Item>, Vec<u32>)> = Vec::new();
                for (member, past) in history.pasts(1) {
                    let now = Moment { day: 99, hour: 0 };
                    sources.write(&View { member: Some(member), past, basket: &[], now, segment: None }, &params, &mut scratch);
                    let table = &scratch.table;
                    let bits = (0..table.items().len()).flat_map(|slot| table.row(slot).iter().map(|value| value.to_bits()));
                    all.push((table.items().to_vec(), bits.collect()));
                }
                all
            };
            prop_assert_eq!(rows(&build(false)), rows(&build(true)));
        }
    }
}
