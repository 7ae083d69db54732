//! Measures of a campaign from its tally, each with a 95 % interval where there is one.
//!
//! Shares: Wilson's score interval (1927). Means: normal, on the spread between sales. Increments: see `results`.

use serde::Serialize;

use super::{DayTally, MemberTally, Sums, Tally};
use crate::domain::calendar::Day;
use crate::limits;
use crate::shopper::experiment::lift::{Look, Outcomes, Reading, Verdict};
use crate::shopper::experiment::seasonal::{self, Daily};

/// A part of a whole, with its interval.
#[derive(Clone, Copy, Debug, PartialEq, Serialize)]
pub struct Share {
    /// 0 to 1.
    pub value: f64,
    /// Lower end.
    pub low: f64,
    /// Upper end.
    pub high: f64,
    /// Of how many.
    pub of: i64,
}

/// A figure with its interval.
#[derive(Clone, Copy, Debug, PartialEq, Serialize)]
pub struct Range {
    /// The figure.
    pub value: f64,
    /// Lower end.
    pub low: f64,
    /// Upper end.
    pub high: f64,
}

/// What an increment was measured against.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Basis {
    /// Members who were held out.
    Holdout,
    /// The days before: other things changed too.
    Before,
}

/// What a campaign did. Amounts are in minor units; what cannot be told is absent.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct Measures {
    /// Members who were shown it.
    pub reach: u64,
    /// Members held out.
    pub held_out: u64,
    /// Members who used it.
    pub participants: u64,
    /// Of its days' sales, those with it.
    pub participation: Option<Share>,
    /// Of those shown it, those who used it on that day or later.
    pub conversion: Option<Share>,
    /// Sales with it.
    pub baskets: i64,
    /// Paid in them.
    pub net_minor: i64,
    /// A sale with it, on average.
    pub average_basket: Option<Range>,
    /// A sale of its days without it.
    pub average_other_basket: Option<Range>,
    /// What its promotions took off.
    pub cost_minor: i64,
    /// What the increments were measured against.
    pub basis: Option<Basis>,
    /// What was sold that would not have been.
    pub incremental_sales: Option<Range>,
    /// The same of margins, discounts already off.
    pub incremental_margin: Option<Range>,
    /// Incremental margin, discounts off, by what they cost.
    pub roi: Option<Range>,
    /// Without enough data: about so many days more; absent where it cannot be told or is not needed.
    pub days_more: Option<u32>,
    /// Of members who used it, those who came again within `RESULTS_AFTER_DAYS` of the first time.
    pub repurchase: Option<Share>,
    /// Of members who used it, those who bought in `RESULTS_AFTER_DAYS` after its end.
    pub retention: Option<Share>,
    /// Mean score, 0 to 10.
    pub satisfaction: Option<Range>,
    /// Sales of its days whose costs are not known: margins leave them out.
    pub margins_unknown: i64,
    /// Happenings too far from it, and of more members than are told apart.
    pub not_counted: u64,
}

const Z: f64 = 1.959_963_985;

fn share(part: i64, of: i64) -> Option<Share> {
    if of <= 0 || part < 0 || part > of {
        return None;
    }
    let (p, n) = (part as f64 / of as f64, of as f64);
    let centre = (p + Z * Z / (2.0 * n)) / (1.0 + Z * Z / n);
    let half = Z / (1.0 + Z * Z / n) * (p * (1.0 - p) / n + Z * Z / (4.0 * n * n)).sqrt();
    Some(Share { value: p, low: (centre - half).max(0.0), high: (centre + half).min(1.0), of })
}

fn mean(count: i64, sum: f64, squares: f64) -> Option<Range> {
    if count < 1 {
        return None;
    }
    let n = count as f64;
    let value = sum / n;
    let variance = if count < 2 { f64::INFINITY } else { ((squares - sum * value) / (n - 1.0)).max(0.0) };
    let half = if variance.is_finite() { Z * (variance / n).sqrt() } else { value.abs() };
    Some(Range { value, low: value - half, high: value + half })
}

fn basket(sums: &Sums) -> Option<Range> {
    mean(sums.baskets, sums.net_minor as f64, sums.net_squares as f64)
}

impl Sums {
    fn plus(self, other: Sums) -> Sums {
        Sums {
            baskets: self.baskets + other.baskets,
            net_minor: self.net_minor + other.net_minor,
            net_squares: self.net_squares + other.net_squares,
        }
    }
}

impl MemberTally {
    fn first_use(&self) -> Option<Day> {
        self.days.iter().find(|(_, day)| day.used > 0).map(|(day, _)| *day)
    }

    /// Came on one of the days from the first to the last of these?
    fn came(&self, from: Day, to: Day) -> bool {
        from <= to && self.days.range(from..=to).any(|(_, day)| day.baskets > 0)
    }
}

/// An increment, what it was measured against, and how long until there is one.
type Increment = (Option<Range>, Option<u32>);

impl Tally {
    /// What can be said as of a business day.
    pub fn measures(&self, as_of: Day) -> Measures {
        let mut whole = DayTally::default();
        for day in self.days.range(self.from..=self.to).map(|(_, day)| day) {
            whole.with = whole.with.plus(day.with);
            whole.without = whole.without.plus(day.without);
            whole.discount_minor += day.discount_minor;
            whole.margins_unknown += day.margins_unknown;
        }
        let scores = self.days.values().fold((0, 0, 0), |(count, sum, squares), day| {
            let (more, score, square) =
                (i64::from(day.scores), u64::from(day.score_sum), u64::from(day.score_squares));
            (count + more, sum + score, squares + square)
        });
        let of_members =
            |is: &dyn Fn(&MemberTally) -> bool| self.members.values().filter(|member| is(member)).count();
        let shown = of_members(&|member| matches!(member.shown, Some((_, false))));
        let held_out = of_members(&|member| matches!(member.shown, Some((_, true))));
        let converted = of_members(&|member| match member.shown {
            Some((day, false)) => member.days.range(day..).any(|(_, day)| day.used > 0),
            _ => false,
        });
        let basis = self.basis(held_out);
        let (incremental_sales, days_more) = self.increment(basis, as_of, false);
        let known = whole.margins_unknown == 0;
        let (incremental_margin, _) = if known { self.increment(basis, as_of, true) } else { (None, None) };
        let cost = whole.discount_minor as f64;
        let by_cost = |range: Range| Range {
            value: range.value / cost,
            low: range.low / cost,
            high: range.high / cost,
        };
        Measures {
            reach: shown as u64,
            held_out: held_out as u64,
            participants: of_members(&|member| member.first_use().is_some()) as u64,
            participation: share(whole.with.baskets, whole.with.baskets + whole.without.baskets),
            conversion: share(converted as i64, shown as i64),
            baskets: whole.with.baskets,
            net_minor: whole.with.net_minor,
            average_basket: basket(&whole.with),
            average_other_basket: basket(&whole.without),
            cost_minor: whole.discount_minor,
            basis,
            incremental_sales,
            incremental_margin,
            roi: incremental_margin.filter(|_| cost > 0.0).map(by_cost),
            days_more,
            repurchase: self.repurchase(as_of),
            retention: self.retention(as_of),
            satisfaction: mean(scores.0, scores.1 as f64, scores.2 as f64),
            margins_unknown: whole.margins_unknown,
            not_counted: self.outside + self.untold,
        }
    }

    fn basis(&self, held_out: usize) -> Option<Basis> {
        let has_before = self.days.range(..self.from).count() >= limits::SEASONAL_DAYS_MIN;
        if held_out > 0 { Some(Basis::Holdout) } else { has_before.then_some(Basis::Before) }
    }

    fn increment(&self, basis: Option<Basis>, as_of: Day, margins: bool) -> Increment {
        match basis {
            None => (None, None),
            Some(Basis::Before) => (self.beyond_before(as_of, margins), None),
            Some(Basis::Holdout) => self.beyond_held_out(as_of, margins),
        }
    }

    /// Outcomes of members whose days since exposure are over.
    fn beyond_held_out(&self, as_of: Day, margins: bool) -> Increment {
        let mut arms = [Outcomes::default(); 2];
        for member in self.members.values() {
            let Some((from, held_out)) = member.shown else { continue };
            let last = from.plus_days(limits::RESULTS_OUTCOME_DAYS - 1);
            if last <= as_of {
                let days = member.days.range(from..=last).map(|(_, day)| day);
                let outcome = days.map(|day| if margins { day.margin_minor } else { day.net_minor }).sum();
                arms[usize::from(held_out)].add(outcome);
            }
        }
        let days = u32::try_from(as_of.days_since(self.from) + 1).unwrap_or(1);
        let Look { lift, verdict } = Reading::default().look(&arms[0], &arms[1], days);
        let sold = arms[0].sum as f64;
        // Of what was sold, the part that would not have been without: l / (1 + l).
        let part = |lift: f64| sold * lift / (1.0 + lift);
        let range =
            lift.map(|lift| Range { value: part(lift.lift), low: part(lift.low), high: part(lift.high) });
        let more = match verdict {
            Verdict::NotYet(more) => more,
            Verdict::Effect | Verdict::NothingWorth => None,
        };
        (range, more)
    }

    fn beyond_before(&self, as_of: Day, margins: bool) -> Option<Range> {
        let daily = |(day, tally): (&Day, &DayTally)| {
            let net = (tally.with.net_minor + tally.without.net_minor) as f64;
            let value = if margins { tally.margin_minor as f64 } else { net };
            Daily { day: day.days_since(self.from), value }
        };
        let last = self.to.min(as_of);
        if last < self.from {
            return None;
        }
        let before: Vec<Daily> = self.days.range(..self.from).map(daily).collect();
        let during: Vec<Daily> = self.days.range(self.from..=last).map(daily).collect();
        let change = seasonal::compare(&before, &during)?;
        let value = change.actual - change.expected;
        Some(Range { value, low: value - change.half_width, high: value + change.half_width })
    }

    fn repurchase(&self, as_of: Day) -> Option<Share> {
        let firsts = self.members.values().filter_map(|member| Some((member, member.first_use()?)));
        let over = firsts.filter(|(_, first)| first.plus_days(limits::RESULTS_AFTER_DAYS) <= as_of);
        let came = over.map(|(member, first)| {
            member.came(first.plus_days(1), first.plus_days(limits::RESULTS_AFTER_DAYS))
        });
        let (again, of) = came.fold((0, 0), |(again, of), came| (again + i64::from(came), of + 1));
        share(again, of)
    }

    fn retention(&self, as_of: Day) -> Option<Share> {
        let end = self.to.plus_days(limits::RESULTS_AFTER_DAYS);
        if as_of < end {
            return None;
        }
        let users = self.members.values().filter(|member| member.first_use().is_some());
        let came = users.map(|member| member.came(self.to.plus_days(1), end));
        let (stayed, of) = came.fold((0, 0), |(stayed, of), came| (stayed + i64::from(came), of + 1));
        share(stayed, of)
    }
}

#[cfg(test)]
mod tests {
    use super::super::{Bought, Happening};
    use super::*;
    use crate::domain::ids::MemberId;
    use crate::shopper::seeded::Seeded;

    fn day(number: i64) -> Day {
        Day::new(2026, 3, 2).expect("a day").plus_days(number)
    }

    fn members() -> Vec<MemberId> {
        (0..3_000).map(|at| MemberId::new(&format!("m{at}")).expect("an id")).collect()
    }

    /// Half of the members are shown it from the first day on and spend a fifth more for it.
    fn happenings<'a>(members: &'a [MemberId], seeded: &mut Seeded) -> Vec<Happening<'a>> {
        let mut all = Vec::new();
        for (at, member) in members.iter().enumerate() {
            let held_out = at % 2 == 1;
            for again in [0, 2] {
                all.push(Happening::Shown { day: day(at as i64 % 7 + again), member, held_out });
            }
            for visit in 0..4 {
                let net_minor = 1_000 + (2_000.0 * seeded.unit()) as i64 + if held_out { 0 } else { 400 };
                let used = !held_out && visit == 0;
                all.push(Happening::Sold(Bought {
                    day: day(at as i64 % 7 + 3 * visit),
                    member: Some(member),
                    net_minor,
                    margin_minor: Some(net_minor / 4),
                    discount_minor: if used { 100 } else { 0 },
                    used,
                }));
            }
        }
        all.push(Happening::Scored { day: day(3), score: 8 });
        all.push(Happening::Scored { day: day(4), score: 6 });
        all
    }

    fn tally(happenings: &[Happening<'_>]) -> Tally {
        let mut tally = Tally::new(day(0), day(13)).expect("two weeks");
        happenings.iter().for_each(|happening| tally.fold(happening));
        tally
    }

    #[test]
    fn what_did_it_do() {
        let members = members();
        let measures = tally(&happenings(&members, &mut Seeded::new(2))).measures(day(60));
        assert_eq!((measures.reach, measures.held_out, measures.participants), (1_500, 1_500, 1_500));
        assert_eq!((measures.baskets, measures.cost_minor), (1_500, 150_000));
        assert_eq!(measures.conversion.map(|share| share.value), Some(1.0));
        assert_eq!(measures.basis, Some(Basis::Holdout));
        // 400 more on each of 4 visits of 1,500 members, a quarter of it margin.
        let sales = measures.incremental_sales.expect("enough members");
        assert!(sales.low < 2_400_000.0 && 2_400_000.0 < sales.high && sales.low > 1_900_000.0, "{sales:?}");
        let roi = measures.roi.expect("it cost something");
        assert!((roi.value - 4.0).abs() < 0.6, "{roi:?}");
        assert_eq!(measures.repurchase.map(|share| share.value), Some(1.0));
        assert!(measures.retention.is_some_and(|share| share.value < 0.5));
        assert_eq!(measures.satisfaction.map(|score| score.value), Some(7.0));
    }

    #[test]
    fn does_what_comes_late_or_in_another_order_join_its_day() {
        let members = members();
        let mut seeded = Seeded::new(2);
        let all = happenings(&members, &mut seeded);
        let mut mixed = all.clone();
        seeded.shuffle(&mut mixed);
        assert_eq!(tally(&all), tally(&mixed));
    }

    #[test]
    fn does_what_comes_back_leave_no_trace() {
        let members = members();
        let all = happenings(&members, &mut Seeded::new(2));
        let sold = all.iter().filter_map(|happening| match happening {
            Happening::Sold(bought) => Some(*bought),
            _ => None,
        });
        let mut back = tally(&all);
        for bought in sold {
            back.fold(&Happening::TakenBack { back: bought, whole: true });
        }
        let measures = back.measures(day(60));
        assert_eq!((measures.baskets, measures.net_minor, measures.cost_minor), (0, 0, 0));
        assert_eq!(
            (measures.participants, measures.incremental_sales, measures.participation),
            (0, None, None)
        );
    }

    #[test]
    fn is_a_campaign_without_holdout_measured_against_the_days_before() {
        let mut all = Vec::new();
        let mut seeded = Seeded::new(5);
        for number in -56i64..14 {
            let extra = if number >= 0 { 20_000 } else { 0 };
            let net_minor =
                100_000 + 5_000 * (number.rem_euclid(7)) + extra + (3_000.0 * seeded.normal()) as i64;
            let bought = Bought {
                day: day(number),
                member: None,
                net_minor,
                margin_minor: None,
                discount_minor: 0,
                used: extra > 0,
            };
            all.push(Happening::Sold(bought));
        }
        all.push(Happening::Scored { day: day(400), score: 1 });
        let measures = tally(&all).measures(day(20));
        assert_eq!(measures.basis, Some(Basis::Before));
        let sales = measures.incremental_sales.expect("eight weeks before");
        assert!(sales.low < 280_000.0 && 280_000.0 < sales.high && sales.low > 200_000.0, "{sales:?}");
        assert_eq!(
            (measures.incremental_margin, measures.margins_unknown, measures.not_counted),
            (None, 14, 1)
        );
    }

    #[test]
    fn are_the_intervals_those_of_the_tables() {
        let half = share(5, 10).expect("some");
        assert!((half.low - 0.2366).abs() < 1e-3 && (half.high - 0.7634).abs() < 1e-3, "{half:?}");
        assert_eq!(share(0, 0), None);
        assert_eq!((Tally::new(day(1), day(0)), Tally::new(day(0), day(9_999))), (None, None));
    }
}
