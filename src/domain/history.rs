//! What this shop has learned of a member by itself: their visits, what they bought of, and what they said.
//!
//! Kept only for members who agreed to `consent.personal`; points, coupons and limits stand in the `Ledger` and need none.
//!
//! ```text
//! visits      the newest sales in detail: day, channel, spend, and what of it went to which category
//! days        sums of the days before those, the newest ones   older   the sum of everything before
//! categories  those the visits name, sorted; a visit names one by its place
//! ```
//! Everything else (windows, shares, intervals, recency) is worked out from these when it is asked for, so a sale that is
//! taken back is taken out of them and nothing has to be undone: what remains is what would be there had it never been
//! rung up, exactly while the visits are not more than `HISTORY_VISITS_MAX`, and to the day's sums beyond that.
//! Nothing here ages by a clock: a box whose clock jumps ahead a year forgets nothing.
//!
//! Invariants: `visits` by (day, decision), `days` by day and none of them later than any visit that was folded after it;
//! `categories` holds exactly what visits name; every list inside its bound of `limits`. A category is where an article
//! stands last; at most `HISTORY_PARTS_MAX` of a visit are kept, the dearest.

pub mod packed;

use serde::Serialize;

use super::basket::Channel;
use super::calendar::Day;
use super::ids::{CampaignId, CategoryId, DeviceId, SegmentId, Seq, Tag};
use super::money::Money;
use crate::limits;

/// The shop's own knowledge of one member.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize)]
pub struct History {
    /// The first decision it counts: a sale before that was never in it.
    pub since: Seq,
    /// The newest sales.
    pub visits: Vec<Visit>,
    /// Sums of days whose visits are not kept one by one.
    pub days: Vec<DaySum>,
    /// Sum of everything before those.
    pub older: Sum,
    /// What the visits' parts are of.
    pub categories: Vec<CategoryId>,
    /// Lines of articles that nobody knows: their money is in `spend`, in no category.
    pub unknown_lines: u32,
    /// Coupons.
    pub coupons: CouponCounts,
    /// What they said.
    pub feedback: Scores,
    /// What was seen of them, by kind.
    pub seen: Vec<Seen>,
    /// Marks set here.
    pub marks: Vec<Mark>,
    /// Which segments the last decision moved them into and out of.
    pub moves: Moves,
    /// How often campaigns that have caps were shown to them.
    pub shown: Vec<Shown>,
    /// Details that left for want of room (AIS-2023): categories, parts of a sale, kinds of events, marks. Sums lose nothing.
    pub dropped: u32,
}

/// A sale.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Visit {
    /// The decision that committed it.
    pub decision: Seq,
    /// Its civil day, as days since 1970-01-01.
    pub day: i32,
    /// Through what it came in.
    pub channel: Channel,
    /// What was paid and not given back.
    pub spend: Money,
    /// Of which category (its place in `categories`) how much, by place.
    pub parts: Vec<(u8, Money)>,
}

/// Visits and what was paid.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize)]
pub struct Sum {
    /// How many.
    pub visits: u32,
    /// What was paid and not given back.
    pub spend: Money,
}

/// The sum of one day.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
pub struct DaySum {
    /// Days since 1970-01-01.
    pub day: i32,
    /// Of that day.
    pub sum: Sum,
}

/// What became of coupons.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize)]
pub struct CouponCounts {
    /// Given for a next visit.
    pub issued: u32,
    /// Used up.
    pub used: u32,
    /// Left the wallet unused because their time was over.
    pub expired: u32,
}

/// Scores of feedback.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize)]
pub struct Scores {
    /// How many.
    pub count: u32,
    /// Their sum.
    pub sum: u32,
    /// The last one, 0 to 10.
    pub last: u8,
    /// Its day, as days since 1970-01-01.
    pub last_day: i32,
}

/// Events of one kind.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Seen {
    /// Which kind.
    pub kind: Tag,
    /// How many.
    pub count: u32,
    /// The day of the last, as days since 1970-01-01.
    pub last_day: i32,
}

/// A mark that this shop set.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Mark {
    /// The mark.
    pub tag: Tag,
    /// Who set it.
    pub source: DeviceId,
    /// The last day it holds, as days since 1970-01-01; for good without one.
    pub until: Option<i32>,
}

/// How often a campaign was shown.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Shown {
    /// Which.
    pub campaign: CampaignId,
    /// Times ever.
    pub ever: u32,
    /// The days of the newest times, rising, a day as often as it was shown on it; at most `limits::HISTORY_SHOWN_MAX`.
    pub days: Vec<i32>,
}

/// Segments entered and left with one decision.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize)]
pub struct Moves {
    /// By which.
    pub decision: Seq,
    /// Not in before, in after; at most `limits::HISTORY_MOVES_MAX`.
    pub entered: Vec<SegmentId>,
    /// In before, not in after; as many.
    pub left: Vec<SegmentId>,
}

/// A sale as it is learned from.
#[derive(Clone, Copy, Debug)]
pub struct Bought<'a> {
    /// The decision that commits it.
    pub decision: Seq,
    /// Its civil day.
    pub day: Day,
    /// Through what it came in.
    pub channel: Channel,
    /// What was paid.
    pub spend: Money,
    /// What of it went to which category, line by line; none where nobody knows the article.
    pub lines: &'a [(Option<CategoryId>, Money)],
}

/// Goods of a sale that come back.
#[derive(Clone, Copy, Debug)]
pub struct Returned<'a> {
    /// The decision that committed the sale.
    pub decision: Seq,
    /// The sale's civil day.
    pub day: Day,
    /// What is given back now; with the last unit, all that was left of what was paid.
    pub spend: Money,
    /// What of it went to which category.
    pub lines: &'a [(Option<CategoryId>, Money)],
    /// With this, the whole sale has come back.
    pub whole: bool,
}

/// A day as it is kept here: days since 1970-01-01.
pub fn number_of(day: Day) -> i32 {
    i32::try_from(day.number()).expect("the calendar ends in the year 9999")
}

impl History {
    /// The newest decision it knows of.
    pub fn last_decision(&self) -> Seq {
        let visits = self.visits.iter().map(|visit| visit.decision);
        visits.chain([self.since, self.moves.decision]).max().unwrap_or_default()
    }

    /// The history of a member who is known from decision `since` on.
    pub fn beginning(since: Seq) -> History {
        History { since, ..History::default() }
    }

    /// A sale is counted.
    pub fn bought(&mut self, sale: &Bought<'_>) {
        let known = |(category, spend): &(Option<CategoryId>, Money)| Some((category.clone()?, *spend));
        let mut parts: Vec<(CategoryId, Money)> = Vec::new();
        for (category, spend) in sale.lines.iter().filter_map(known) {
            match parts.iter_mut().find(|(of, _)| *of == category) {
                Some((_, sum)) => *sum += spend,
                None => parts.push((category, spend)),
            }
        }
        let unknown = sale.lines.iter().filter(|(category, _)| category.is_none()).count();
        self.unknown_lines = self.unknown_lines.saturating_add(u32::try_from(unknown).unwrap_or(u32::MAX));
        parts.sort_by(|a, b| (b.1, &a.0).cmp(&(a.1, &b.0)));
        self.drop_many(parts.len().saturating_sub(limits::HISTORY_PARTS_MAX));
        parts.truncate(limits::HISTORY_PARTS_MAX);
        // Sorted, so that a category put in later does not move one already placed.
        parts.sort();
        parts.iter().for_each(|(category, _)| self.make_place(category, &parts));
        let place = |category: &CategoryId| self.categories.binary_search(category).ok();
        let parts =
            parts.iter().filter_map(|(category, spend)| Some((u8::try_from(place(category)?).ok()?, *spend)));
        let (decision, day) = (sale.decision, number_of(sale.day));
        let visit = Visit { decision, day, channel: sale.channel, spend: sale.spend, parts: parts.collect() };
        let at = self.visits.partition_point(|known| (known.day, known.decision) <= (day, decision));
        self.visits.insert(at, visit);
        self.fold();
    }

    /// Goods of a sale come back: its part is taken out. A sale that was never counted changes nothing.
    pub fn returned(&mut self, back: &Returned<'_>) {
        if back.decision < self.since {
            return;
        }
        let less = |spend: &mut Money| *spend = (*spend - back.spend).max(Money::ZERO);
        if let Some(at) = self.visits.iter().position(|visit| visit.decision == back.decision) {
            if back.whole {
                self.visits.remove(at);
                self.forget_unnamed();
                return;
            }
            let visit = &mut self.visits[at];
            less(&mut visit.spend);
            for (category, spend) in back.lines {
                let place =
                    category.as_ref().and_then(|category| self.categories.binary_search(category).ok());
                let part = visit.parts.iter_mut().find(|(of, _)| Some(usize::from(*of)) == place);
                if let Some((_, sum)) = part {
                    *sum = (*sum - *spend).max(Money::ZERO);
                }
            }
            return;
        }
        let day = number_of(back.day);
        let found = self.days.binary_search_by_key(&day, |sum| sum.day);
        let sum = found.map_or(&mut self.older, |at| &mut self.days[at].sum);
        less(&mut sum.spend);
        sum.visits = sum.visits.saturating_sub(u32::from(back.whole));
        self.days.retain(|day| day.sum.visits > 0);
    }

    /// The shopper said how it was.
    pub fn rated(&mut self, score: u8, day: Day) {
        let scores = &mut self.feedback;
        scores.count = scores.count.saturating_add(1);
        scores.sum = scores.sum.saturating_add(u32::from(score));
        let day = number_of(day);
        if scores.count == 1 || day >= scores.last_day {
            (scores.last, scores.last_day) = (score, day);
        }
    }

    /// Something was seen of them. Of more kinds than are kept, the one seen longest ago leaves.
    pub fn saw(&mut self, kind: &Tag, day: Day) {
        let day = number_of(day);
        if let Some(seen) = self.seen.iter_mut().find(|seen| seen.kind == *kind) {
            seen.count = seen.count.saturating_add(1);
            seen.last_day = seen.last_day.max(day);
            return;
        }
        if self.seen.len() >= limits::HISTORY_KINDS_MAX {
            let oldest = self.seen.iter().enumerate().min_by_key(|(_, seen)| seen.last_day).map(|(at, _)| at);
            self.seen.remove(oldest.expect("as many as the bound"));
            self.drop_many(1);
        }
        self.seen.push(Seen { kind: kind.clone(), count: 1, last_day: day });
    }

    /// A mark is set, or set anew. Those whose time is over go; of more than are kept, the one set first.
    pub fn mark(&mut self, mark: Mark, today: Day) {
        let today = number_of(today);
        self.marks.retain(|known| known.tag != mark.tag && known.until.is_none_or(|until| until >= today));
        if self.marks.len() >= limits::MEMBER_TAGS_MAX {
            self.marks.remove(0);
            self.drop_many(1);
        }
        self.marks.push(mark);
    }

    /// A mark is taken away. True if it was there.
    pub fn unmark(&mut self, tag: &Tag) -> bool {
        let before = self.marks.len();
        self.marks.retain(|mark| mark.tag != *tag);
        self.marks.len() < before
    }

    fn drop_many(&mut self, details: usize) {
        self.dropped = self.dropped.saturating_add(u32::try_from(details).unwrap_or(u32::MAX));
    }

    /// A campaign with caps was shown to them.
    pub fn showed(&mut self, campaign: &CampaignId, day: Day) {
        let day = number_of(day);
        let known = self.shown.iter().position(|shown| shown.campaign == *campaign);
        let at = known.unwrap_or_else(|| {
            if self.shown.len() >= limits::HISTORY_CAMPAIGNS_MAX {
                let last = |shown: &Shown| shown.days.last().copied();
                let oldest = (0..self.shown.len()).min_by_key(|at| last(&self.shown[*at]));
                self.shown.remove(oldest.expect("as many as the bound"));
                self.drop_many(1);
            }
            self.shown.push(Shown { campaign: campaign.clone(), ever: 0, days: Vec::new() });
            self.shown.len() - 1
        });
        let shown = &mut self.shown[at];
        shown.ever = shown.ever.saturating_add(1);
        let place = shown.days.partition_point(|known| *known <= day);
        shown.days.insert(place, day);
        let surplus = shown.days.len().saturating_sub(limits::HISTORY_SHOWN_MAX);
        shown.days.drain(..surplus);
    }

    /// How often a campaign with caps was shown to them.
    pub fn shown_of(&self, campaign: &CampaignId) -> Option<&Shown> {
        self.shown.iter().find(|shown| shown.campaign == *campaign)
    }

    /// Does this shop's mark hold on a day?
    pub fn is_marked(&self, tag: &str, today: i32) -> bool {
        self.marks
            .iter()
            .any(|mark| mark.tag.as_str() == tag && mark.until.is_none_or(|until| until >= today))
    }

    /// Visits and spend of the `days` days that end with `today`.
    pub fn within(&self, today: Day, days: i32) -> Sum {
        let today = number_of(today);
        let is_in = |day: i32| day <= today && day > today - days;
        let mut sum = Sum::default();
        for visit in self.visits.iter().rev().filter(|visit| is_in(visit.day)) {
            sum.add(Sum { visits: 1, spend: visit.spend });
        }
        self.days.iter().filter(|day| is_in(day.day)).for_each(|day| sum.add(day.sum));
        sum
    }

    /// The day of the newest sale that is kept, as days since 1970-01-01.
    pub fn newest(&self) -> Option<i32> {
        let visit = self.visits.last().map(|visit| visit.day);
        visit.max(self.days.last().map(|day| day.day))
    }

    /// Everything ever counted and not taken back.
    pub fn total(&self) -> Sum {
        let mut sum = self.older;
        self.visits.iter().for_each(|visit| sum.add(Sum { visits: 1, spend: visit.spend }));
        self.days.iter().for_each(|day| sum.add(day.sum));
        sum
    }

    /// The days a category was bought on, oldest first, each once.
    pub fn days_of(&self, category: &str) -> impl Iterator<Item = i32> {
        let place = self.categories.binary_search_by(|known| known.as_str().cmp(category)).ok();
        let mut before = None;
        self.visits.iter().filter_map(move |visit| {
            let has = visit.parts.iter().any(|(of, _)| Some(usize::from(*of)) == place);
            (has && before.replace(visit.day) != Some(visit.day)).then_some(visit.day)
        })
    }

    /// What of the kept visits' spend went to a category: its money, and all of it.
    pub fn share_of(&self, category: &str) -> (Money, Money) {
        let place = self.categories.binary_search_by(|known| known.as_str().cmp(category)).ok();
        let parts = self.visits.iter().flat_map(|visit| &visit.parts);
        let of = parts.filter(|(of, _)| Some(usize::from(*of)) == place).map(|(_, spend)| *spend).sum();
        (of, self.visits.iter().map(|visit| visit.spend).sum())
    }

    /// Sees to it that a category has a place, making one where there is none: of more than are kept, the one bought
    /// longest ago leaves the visits, unless this sale has it too.
    fn make_place(&mut self, category: &CategoryId, kept: &[(CategoryId, Money)]) {
        let Err(mut at) = self.categories.binary_search(category) else { return };
        if self.categories.len() >= limits::HISTORY_CATEGORIES_MAX {
            let last = |place: usize| {
                let has = |visit: &&Visit| visit.parts.iter().any(|(of, _)| usize::from(*of) == place);
                self.visits.iter().rev().find(has).map(|visit| visit.day)
            };
            let free = (0..self.categories.len())
                .filter(|place| !kept.iter().any(|(of, _)| *of == self.categories[*place]))
                .min_by_key(|place| last(*place));
            self.drop_many(1);
            let Some(place) = free else { return };
            self.remove_category(place);
            at -= usize::from(place < at);
        }
        for (of, _) in self.visits.iter_mut().flat_map(|visit| &mut visit.parts) {
            *of += u8::from(usize::from(*of) >= at);
        }
        self.categories.insert(at, category.clone());
    }

    fn remove_category(&mut self, place: usize) {
        self.categories.remove(place);
        for visit in &mut self.visits {
            visit.parts.retain(|(of, _)| usize::from(*of) != place);
            visit.parts.iter_mut().for_each(|(of, _)| *of -= u8::from(usize::from(*of) > place));
        }
    }

    fn forget_unnamed(&mut self) {
        let mut named = [false; limits::HISTORY_CATEGORIES_MAX];
        for (of, _) in self.visits.iter().flat_map(|visit| &visit.parts) {
            named[usize::from(*of)] = true;
        }
        let unnamed = (0..self.categories.len()).rev().filter(|place| !named[*place]);
        unnamed.for_each(|place| self.remove_category(place));
    }

    /// The oldest of too many visits become sums of their days, the oldest of too many days one sum.
    fn fold(&mut self) {
        let surplus = self.visits.len().saturating_sub(limits::HISTORY_VISITS_MAX);
        if surplus == 0 {
            return;
        }
        for visit in self.visits.drain(..surplus) {
            let sum = Sum { visits: 1, spend: visit.spend };
            match self.days.binary_search_by_key(&visit.day, |day| day.day) {
                Ok(at) => self.days[at].sum.add(sum),
                Err(at) => self.days.insert(at, DaySum { day: visit.day, sum }),
            }
        }
        let surplus = self.days.len().saturating_sub(limits::HISTORY_DAYS_MAX);
        for day in self.days.drain(..surplus) {
            self.older.add(day.sum);
        }
        self.forget_unnamed();
    }
}

impl Sum {
    fn add(&mut self, other: Sum) {
        self.visits = self.visits.saturating_add(other.visits);
        self.spend = Money(self.spend.0.saturating_add(other.spend.0));
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn day(number: i64) -> Day {
        "1970-01-01".parse::<Day>().expect("a day").plus_days(20_000 + number)
    }

    fn category(number: u8) -> CategoryId {
        CategoryId::new(&format!("c{number:02}")).expect("an id")
    }

    /// A sale: its day, and what of which category, 0 an article nobody knows.
    type Told = (i64, Vec<(u8, i64)>);

    fn sold(history: &mut History, seq: u64, (at, lines): &Told) {
        let lines: Vec<_> =
            lines.iter().map(|(of, spend)| ((*of > 0).then(|| category(*of)), Money(*spend))).collect();
        let spend = lines.iter().map(|(_, spend)| *spend).sum();
        let (decision, channel) = (Seq(seq), Channel::Till);
        history.bought(&Bought { decision, day: day(*at), channel, spend, lines: &lines });
    }

    fn back(history: &mut History, seq: u64, told: &Told, whole: bool) {
        let spend = Money(told.1.iter().map(|(_, spend)| *spend).sum());
        let decision = Seq(seq);
        history.returned(&Returned { decision, day: day(told.0), spend, lines: &[], whole });
    }

    fn sales(most: usize) -> impl Strategy<Value = Vec<(Told, bool)>> {
        let lines = prop::collection::vec((0_u8..9, 1_i64..5_000), 1..6);
        prop::collection::vec(((0_i64..400, lines), any::<bool>()), 0..most)
    }

    #[test]
    fn what_is_learned_of_a_member() {
        let mut history = History::beginning(Seq(1));
        for (seq, told) in [
            (1, (0, vec![(1, 500), (2, 300)])),
            (2, (10, vec![(1, 400), (0, 100)])),
            (3, (31, vec![(1, 600)])),
            (4, (31, vec![(2, 100)])),
        ] {
            sold(&mut history, seq, &told);
        }
        assert_eq!(history.within(day(31), 28), Sum { visits: 3, spend: Money(1_200) });
        assert_eq!(history.within(day(31), 91), Sum { visits: 4, spend: Money(2_000) });
        assert_eq!(history.within(day(5), 91).visits, 1, "what is to come is in no window");
        assert_eq!(history.days_of("c01").map(|day| day - 20_000).collect::<Vec<_>>(), [0, 10, 31]);
        assert_eq!(history.share_of("c01"), (Money(1_500), Money(2_000)));
        assert_eq!(history.share_of("nobody's"), (Money(0), Money(2_000)));
        assert_eq!((history.unknown_lines, history.newest()), (1, Some(20_031)));
    }

    #[test]
    fn is_a_sale_from_before_ever_taken_out() {
        let mut history = History::beginning(Seq(10));
        let told = (5, vec![(1, 500)]);
        sold(&mut history, 10, &told);
        let before = history.clone();
        back(&mut history, 9, &told, true);
        assert_eq!(history, before, "it was rung up before anything was learned");
    }

    #[test]
    fn how_large_does_a_member_with_a_hundred_thousand_lines_become() {
        let mut history = History::beginning(Seq(1));
        for seq in 1..3_400_u64 {
            let place = u8::try_from(seq % 90).expect("small");
            let lines: Vec<(u8, i64)> = (0..30).map(|nth| ((place + nth) % 90, 1_000_000)).collect();
            sold(&mut history, seq, &(i64::try_from(seq).expect("small"), lines));
            let (tag, today) = (Tag::new(&format!("tag-{seq}")).expect("a tag"), day(0));
            history.saw(&tag, today);
            let campaign = CampaignId::new(&format!("campaign-{}", seq % 40)).expect("an id");
            history.showed(&campaign, day(i64::try_from(seq / 9).expect("small")));
            let source = DeviceId::new("kiosk-1").expect("an id");
            history.mark(Mark { tag, source, until: None }, today);
        }
        assert_eq!(history.visits.len(), limits::HISTORY_VISITS_MAX);
        assert_eq!(history.days.len(), limits::HISTORY_DAYS_MAX);
        assert!(history.categories.len() <= limits::HISTORY_CATEGORIES_MAX);
        assert_eq!(
            (history.seen.len(), history.marks.len()),
            (limits::HISTORY_KINDS_MAX, limits::MEMBER_TAGS_MAX)
        );
        assert_eq!(history.shown.len(), limits::HISTORY_CAMPAIGNS_MAX);
        assert!(history.shown.iter().all(|shown| shown.days.len() <= limits::HISTORY_SHOWN_MAX));
        // 18 of 30 categories of each sale, kinds and marks beyond their bound: each said to be gone.
        assert!(history.dropped > 3_399 * 18, "{}", history.dropped);
        assert_eq!(history.total(), Sum { visits: 3_399, spend: Money(3_399 * 30_000_000) });
        assert!(packed::write(&history).len() < 16 * 1024, "{}", packed::write(&history).len());
    }

    #[test]
    fn until_when_does_a_mark_hold() {
        let mut history = History::default();
        let set = |until| Mark {
            tag: Tag::new("tried").expect("a tag"),
            source: DeviceId::new("kiosk-1").expect("an id"),
            until,
        };
        history.mark(set(Some(20_003)), day(0));
        assert!(history.is_marked("tried", 20_003) && !history.is_marked("tried", 20_004));
        history.mark(set(None), day(9));
        assert!(history.is_marked("tried", 30_000) && history.marks.len() == 1);
        assert!(history.unmark(&Tag::new("tried").expect("a tag")) && history.marks.is_empty());
    }

    proptest! {
        #[test]
        fn is_what_was_voided_as_if_it_had_never_been(sales in sales(40), late: bool) {
            let (mut with, mut without) = (History::beginning(Seq(1)), History::beginning(Seq(1)));
            for (seq, (told, voided)) in (1..).zip(&sales) {
                sold(&mut with, seq, told);
                if *voided && !late {
                    back(&mut with, seq, told, true);
                }
                if !voided {
                    sold(&mut without, seq, told);
                }
            }
            for (seq, (told, _)) in (1..).zip(&sales).filter(|(_, (_, voided))| *voided && late) {
                back(&mut with, seq, told, true);
            }
            with.unknown_lines = without.unknown_lines;
            with.dropped = without.dropped;
            prop_assert_eq!(with, without);
        }

        #[test]
        fn are_sums_exact_beyond_what_is_kept_in_detail(sales in sales(160), today in 0_i64..400) {
            let mut history = History::beginning(Seq(1));
            for (seq, (told, _)) in (1..).zip(&sales) {
                sold(&mut history, seq, told);
            }
            for (seq, (told, _)) in (1..).zip(&sales).filter(|(_, (_, voided))| *voided) {
                back(&mut history, seq, told, true);
            }
            for days in [28, 91, 364, 10_000] {
                let is_in = |at: i64| at <= today && at > today - days;
                let stand = sales.iter().filter(|((at, _), voided)| !voided && is_in(*at));
                let spends = stand.map(|((_, lines), _)| lines.iter().map(|(_, spend)| *spend).sum::<i64>());
                let (visits, spend) = spends.fold((0, 0), |(n, sum), spend| (n + 1, sum + spend));
                let days = i32::try_from(days).expect("small");
                prop_assert_eq!(history.within(day(today), days), Sum { visits, spend: Money(spend) });
            }
        }

        #[test]
        fn is_what_comes_back_in_parts_gone_in_the_end(sales in sales(20), spend in 1_i64..9_000) {
            let mut history = History::beginning(Seq(1));
            for (seq, (told, _)) in (1..).zip(&sales) {
                sold(&mut history, seq, told);
            }
            let before = history.clone();
            let told = (200, vec![(1, spend), (30, spend)]);
            sold(&mut history, 900, &told);
            let lines = [(Some(category(1)), Money(spend))];
            history.returned(&Returned { decision: Seq(900), day: day(200), spend: Money(spend), lines: &lines, whole: false });
            prop_assert_eq!(history.total().spend, before.total().spend + Money(spend));
            prop_assert_eq!(history.share_of("c01").0, before.share_of("c01").0);
            back(&mut history, 900, &told, true);
            prop_assert_eq!(history, before);
        }

        #[test]
        fn is_what_is_read_what_was_written(sales in sales(120), cut in 0_usize..4_000) {
            let mut history = History::beginning(Seq(7));
            for (seq, (told, _)) in (7..).zip(&sales) {
                sold(&mut history, seq, told);
                history.saw(&Tag::new("browse").expect("a tag"), day(told.0));
                history.rated(9, day(told.0));
            }
            let source = DeviceId::new("kiosk-1").expect("an id");
            history.mark(Mark { tag: Tag::new("organic").expect("a tag"), source, until: Some(-3) }, day(-9));
            history.moves = Moves { decision: Seq(9), entered: vec![SegmentId::new("loyal").expect("an id")], left: vec![] };
            let plain = packed::write(&history);
            prop_assert_eq!(packed::read(&plain), Ok(history.clone()));
            let campaign = CampaignId::new("winter").expect("an id");
            sales.iter().for_each(|(told, _)| history.showed(&campaign, day(told.0)));
            let bytes = packed::write(&history);
            prop_assert_eq!((plain[0], bytes[0]), (1, if sales.is_empty() { 1 } else { 2 }), "the older form where it says all");
            prop_assert_eq!(packed::read(&bytes), Ok(history));
            if cut < bytes.len() {
                prop_assert!(packed::read(&bytes[..cut]).is_err());
            }
        }
    }
}
