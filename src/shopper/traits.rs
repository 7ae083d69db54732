//! What follows from a member's history on one day: windows, scores, shares, intervals; worked out once, in one pass.
//!
//! `Scales` is what figures are measured by, as the bundle states it: where the fifths of recency, frequency and money part,
//! and after how many days without a visit a member cools and lapses. Nothing of it is guessed: without cuts there are no
//! scores, without stages there is no life cycle.
//! A window of four weeks is the 28 days that end today. A share is of the spend of the visits kept one by one; an interval is
//! the mean of days between purchases of a category, from three purchases on.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::domain::basket::Channel;
use crate::domain::calendar::Day;
use crate::domain::history::{History, Sum, Visit, number_of};
use crate::domain::member::Member;
use crate::limits;

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

/// What members are measured by.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
pub struct Scales {
    /// Where the fifths of the shop's members part; without it there are no `rfm` scores.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub rfm: Option<Cuts>,
    /// When members cool and lapse; without it there is no `lifecycle`.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub stages: Option<Stages>,
}

impl Scales {
    /// Is nothing stated?
    pub fn is_empty(&self) -> bool {
        *self == Scales::default()
    }
}

/// Where fifths part, each list rising: a value is in the bin of as many cuts as are at or below it (as R's `rfm` has it).
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Cuts {
    /// Of days since the last visit.
    pub recency_days: [i64; 4],
    /// Of visits within 52 weeks.
    pub visits: [i64; 4],
    /// Of spend within 52 weeks, in minor units.
    pub spend: [i64; 4],
}

/// Days without a visit, rising.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Stages {
    /// A member of a single visit is `new` for so many days after it.
    pub new_days: u16,
    /// Up to so many days after a visit a member is `active`.
    pub active_days: u16,
    /// Up to so many `cooling`, then `lapsed`.
    pub cooling_days: u16,
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
    pub fn of(member: &Member, today: Day, scales: &Scales) -> Traits {
        let day = number_of(today);
        let last = member.ledger.last_visit;
        let mut traits = Traits {
            today: day,
            days_since_last: last.map(|last| i64::from(day) - i64::from(number_of(last))),
            basket_average: None,
            rfm: None,
            lifecycle: None,
            channel: None,
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
        traits.lifecycle = scales.stages.zip(traits.days_since_last).map(|(stages, days)| match days {
            days if member.orders() == 1 && days <= stages.new_days.into() => "new",
            days if days <= stages.active_days.into() => "active",
            days if days <= stages.cooling_days.into() => "cooling",
            _ => "lapsed",
        });
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
}
