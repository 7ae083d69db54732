//! What follows from a member's history on one day: windows, scores, shares, intervals, rhythm, what models expect.
//!
//! Windows and habits are worked out once, in one pass; what takes a model (`churn`, `value`, `group`, `due`) only where it is
//! asked for, by the `Scales` of the bundle. So every predicate speaks of today, nothing waits for a nightly run, and a sale
//! evaluated again sees the same.
//! A window of four weeks is the 28 days that end today. A share is of the spend of the visits kept one by one; an interval is
//! the mean of days between purchases of a category, from three purchases on. Several categories are one where a predicate
//! names what they belong to.

use std::sync::Arc;

use crate::domain::basket::Channel;
use crate::domain::calendar::Day;
use crate::domain::history::{History, Sum, Visit, number_of};
use crate::domain::ids::CategoryId;
use crate::domain::member::Member;
use crate::limits;

use super::lifecycle::{Stage, Visits};
use super::rfm;
use super::scales::Feature;
pub use super::scales::{Cuts, Scales, Stages};
use super::value;
use super::value::spend::Spend;

/// The last so many weeks, today included.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum Window {
    Weeks4,
    Weeks13,
    Weeks52,
}

const WINDOW_DAYS: [i32; 3] = [28, 91, 364];

/// Days bought on that make an interval: with fewer there is hardly a habit.
const INTERVAL_DAYS_MIN: u32 = 3;

/// Weeks that `value` looks ahead.
const VALUE_WEEKS: f64 = value::HORIZONS_WEEKS[0];

fn name_of(stage: Stage) -> &'static str {
    match stage {
        Stage::New => "new",
        Stage::Active => "active",
        Stage::Loyal => "loyal",
        Stage::Cooling => "cooling",
        Stage::Lapsed => "lapsed",
        Stage::Lost => "lost",
    }
}

/// The nearest whole number; nothing of what is no number, or larger than any amount.
fn whole(value: f64) -> Option<i64> {
    (value.is_finite() && value.abs() < 9e15).then(|| value.round() as i64)
}

/// The days any of these categories was bought on, rising, each once.
fn days_of(history: &History, places: &[u8]) -> impl Iterator<Item = i32> {
    let mut before = None;
    let has = |visit: &Visit| visit.parts.iter().any(|(of, _)| places.contains(of));
    history.visits.iter().filter_map(move |visit| {
        (has(visit) && before.replace(visit.day) != Some(visit.day)).then_some(visit.day)
    })
}

/// What follows from a history on one day.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Traits {
    pub(super) today: i32,
    pub(super) days_since_last: Option<i64>,
    pub(super) basket_average: Option<i64>,
    /// Recency, frequency, money: 1 to 5, 5 the best.
    pub(super) rfm: Option<[i64; 3]>,
    pub(super) lifecycle: Option<&'static str>,
    pub(super) channel: Option<&'static str>,
    scales: Arc<Scales>,
    windows: Option<[Sum; 3]>,
    /// All that the kept visits spent.
    spend: i64,
    /// By place in the history's categories.
    habits: Vec<Habit>,
}

#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
struct Habit {
    spend: i64,
    days: u32,
    first: i32,
    last: i32,
}

impl Traits {
    /// Of a member on a civil day of the shop.
    pub fn of(member: &Member, today: Day, scales: &Arc<Scales>) -> Traits {
        let day = number_of(today);
        let last = member.ledger.last_visit;
        let mut traits = Traits {
            today: day,
            days_since_last: last.map(|last| i64::from(day) - i64::from(number_of(last))),
            basket_average: None,
            rfm: None,
            lifecycle: None,
            channel: None,
            scales: scales.clone(),
            windows: None,
            spend: 0,
            habits: Vec::new(),
        };
        let Some(history) = member.history.as_deref() else { return traits };
        traits.look_back(history);
        let windows = traits.windows.unwrap_or_default();
        let year = windows[Window::Weeks52 as usize];
        traits.basket_average = (year.visits > 0).then(|| year.spend.0 / i64::from(year.visits));
        traits.rfm = scales.rfm.zip(traits.days_since_last).map(|(cuts, days)| {
            let at_or_below =
                |cuts: [i64; 4], value: i64| cuts.iter().filter(|cut| **cut <= value).count() as i64;
            [
                5 - at_or_below(cuts.recency_days, days),
                1 + at_or_below(cuts.visits, year.visits.into()),
                1 + at_or_below(cuts.spend, year.spend.0),
            ]
        });
        traits.lifecycle = match scales.rhythm {
            Some(rhythm) => {
                traits.visits(history).and_then(|visits| rhythm.rules().stage(&visits)).map(name_of)
            }
            None => scales.stages.zip(traits.days_since_last).map(|(stages, days)| match days {
                days if member.orders() == 1 && days <= stages.new_days.into() => "new",
                days if days <= stages.active_days.into() => "active",
                days if days <= stages.cooling_days.into() => "cooling",
                _ => "lapsed",
            }),
        };
        traits
    }

    /// Windows, habits and channel, in one pass over the visits.
    fn look_back(&mut self, history: &History) {
        let mut windows = [Sum::default(); 3];
        let mut channels = [0_u32; 3];
        let mut habits = vec![Habit::default(); limits::HISTORY_CATEGORIES_MAX.min(history.categories.len())];
        let mut add = |day: i32, sum: Sum| {
            for (window, days) in windows.iter_mut().zip(WINDOW_DAYS) {
                if day <= self.today && day > self.today - days {
                    window.visits = window.visits.saturating_add(sum.visits);
                    window.spend.0 = window.spend.0.saturating_add(sum.spend.0);
                }
            }
        };
        history.days.iter().for_each(|day| add(day.day, day.sum));
        for Visit { day, channel, spend, parts, .. } in &history.visits {
            add(*day, Sum { visits: 1, spend: *spend });
            channels[*channel as usize] += 1;
            self.spend = self.spend.saturating_add(spend.0);
            for (of, spend) in parts {
                let Some(habit) = habits.get_mut(usize::from(*of)) else { continue };
                habit.spend = habit.spend.saturating_add(spend.0);
                if habit.days == 0 {
                    habit.first = *day;
                }
                if habit.days == 0 || habit.last != *day {
                    habit.days += 1;
                    habit.last = *day;
                }
            }
        }
        self.windows = Some(windows);
        self.habits = habits;
        let names = [(Channel::Till, "till"), (Channel::Kiosk, "kiosk"), (Channel::Online, "online")];
        let most = names.iter().rev().max_by_key(|(channel, _)| channels[*channel as usize]);
        self.channel = most.filter(|(channel, _)| channels[*channel as usize] > 0).map(|(_, name)| *name);
    }

    /// Visits and spend of a window; nothing where nothing is learned.
    pub(super) fn within(&self, window: Window) -> Option<Sum> {
        self.windows.map(|windows| windows[window as usize])
    }

    fn habit(&self, place: Option<u8>) -> Option<&Habit> {
        self.habits.get(usize::from(place?))
    }

    /// What of 100 spent went to a category (by its place in the history), rounded down.
    pub(super) fn share_percent(&self, place: Option<u8>) -> i64 {
        let of = self.habit(place).map_or(0, |habit| habit.spend);
        if self.spend == 0 {
            return 0;
        }
        // Beyond nine quadrillion of a currency's smallest unit the last digits do not matter.
        let percent =
            of.checked_mul(100).map_or_else(|| of / (self.spend / 100).max(1), |of| of / self.spend);
        percent.clamp(0, 100)
    }

    /// Mean days between purchases of a category, rounded.
    pub(super) fn interval_days(&self, place: Option<u8>) -> Option<i64> {
        let habit = self.habit(place).filter(|habit| habit.days >= INTERVAL_DAYS_MIN)?;
        let gaps = i64::from(habit.days - 1);
        Some((i64::from(habit.last) - i64::from(habit.first) + gaps / 2) / gaps)
    }

    /// Days since a category was last bought.
    pub(super) fn days_since(&self, place: Option<u8>) -> Option<i64> {
        let habit = self.habit(place).filter(|habit| habit.days > 0)?;
        Some(i64::from(self.today) - i64::from(habit.last))
    }

    /// What several categories make together, as if they were one.
    pub(super) fn together(&self, history: &History, places: &[u8]) -> Traits {
        let mut all = Habit { spend: 0, ..Habit::default() };
        all.spend = places.iter().filter_map(|place| self.habit(Some(*place))).map(|habit| habit.spend).sum();
        for day in days_of(history, places) {
            all.first = if all.days == 0 { day } else { all.first };
            (all.days, all.last) = (all.days + 1, day);
        }
        Traits { habits: vec![all], ..self.clone() }
    }

    /// Is any of these categories due?
    pub(super) fn is_due(&self, history: &History, category: &CategoryId, places: &[u8]) -> Option<bool> {
        let due = self.scales.due.as_ref()?;
        let days: Vec<i64> = days_of(history, places).map(i64::from).collect();
        let usual = due.usual_days.get(category).map(|days| days.get());
        Some(due.rules().rhythm(&days, usual, self.today.into()).is_some_and(|rhythm| rhythm.is_due))
    }

    /// The name of the box their scores are in.
    pub(super) fn rfm_segment(&self) -> Option<&'static str> {
        let [recency, frequency, monetary] = self.rfm?.map(|score| u8::try_from(score).expect("1 to 5"));
        Some(rfm::segment_name(rfm::segment_of(rfm::Scores { recency, frequency, monetary })))
    }

    /// The chance that they come no more, in per cent, rounded.
    pub(super) fn churn_percent(&self, history: &History) -> Option<i64> {
        let risk = self.scales.lifetime?.model().churn_risk(&self.life(history)?);
        whole(100.0 * risk)
    }

    /// Visits expected within 13 weeks, in hundredths, rounded.
    pub(super) fn visits_to_come(&self, history: &History) -> Option<i64> {
        whole(100.0 * self.expected(history)?)
    }

    /// What they are expected to spend within 13 weeks, in minor units, rounded.
    pub(super) fn spend_to_come(&self, history: &History) -> Option<i64> {
        let visits = self.expected(history)?;
        let average = self.basket_average.filter(|average| *average > 0)? as f64;
        let at_a_time = self.scales.spending.map_or(average, |spending| {
            let repeats = self.life(history).map_or(0, |life| life.repeats);
            spending.model().average((repeats > 0).then_some(Spend { repeats, average }))
        });
        whole(visits * at_a_time)
    }

    fn expected(&self, history: &History) -> Option<f64> {
        Some(self.scales.lifetime?.model().purchases(&self.life(history)?, VALUE_WEEKS))
    }

    /// The group whose centre is nearest.
    pub(super) fn group(&self) -> Option<i64> {
        let grouping = self.scales.groups.as_ref()?;
        let at =
            grouping.features.iter().map(|feature| self.feature(*feature)).collect::<Option<Vec<i64>>>()?;
        grouping.nearest(&at).and_then(|nth| i64::try_from(nth).ok())
    }

    /// What groups of members are made by; nothing where it is not known.
    pub fn feature(&self, feature: Feature) -> Option<i64> {
        let within = |window| self.within(window);
        match feature {
            Feature::DaysSinceLast => self.days_since_last,
            Feature::Visits13w => within(Window::Weeks13).map(|sum| sum.visits.into()),
            Feature::Visits52w => within(Window::Weeks52).map(|sum| sum.visits.into()),
            Feature::Spend13w => within(Window::Weeks13).map(|sum| sum.spend.0),
            Feature::Spend52w => within(Window::Weeks52).map(|sum| sum.spend.0),
            Feature::BasketAverage => self.basket_average,
        }
    }

    /// The days they came, as lifetime models want them: those kept one by one and by their sums.
    pub fn life(&self, history: &History) -> Option<value::History> {
        let visits = self.visits(history)?;
        let weeks = |days: u32| f64::from(days) / 7.0;
        let last = visits.first_days_ago - visits.last_days_ago;
        value::History::new(f64::from(visits.count - 1), weeks(last), weeks(visits.first_days_ago)).ok()
    }

    /// Days with a visit, up to today; nothing where there is none.
    fn visits(&self, history: &History) -> Option<Visits> {
        let mut days =
            history.days.iter().map(|day| day.day).chain(history.visits.iter().map(|visit| visit.day));
        let (mut first, mut last, mut count) = (i32::MAX, i32::MIN, 0_u32);
        // Sums of days stand before the visits that are kept; only late news of one may stand between them.
        days.by_ref().filter(|day| *day <= self.today).for_each(|day| {
            count += u32::from(day != last);
            (first, last) = (first.min(day), last.max(day));
        });
        let ago = |day: i32| u32::try_from(i64::from(self.today) - i64::from(day)).ok();
        (count > 0).then_some(())?;
        let count = if first == last { 1 } else { count };
        Some(Visits { first_days_ago: ago(first)?, last_days_ago: ago(last)?, count })
    }
}
