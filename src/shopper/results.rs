//! What a campaign did: whole numbers folded one happening at a time, and measures with intervals from them.
//!
//! A happening belongs to its business day, whenever it comes: what a till sends after a week offline joins the day it was
//! sold on, and any order of the same happenings gives the same tally. Days count from `RESULTS_BEFORE_DAYS` before the
//! campaign, to compare with, to `RESULTS_AFTER_DAYS` after it, to see who stays; others are only counted. A member's
//! days are kept apart because an outcome is what was bought in `RESULTS_OUTCOME_DAYS` from the day of exposure.
//!
//! What is incremental: where members were kept back, treated against them (`experiment::lift`); where none were, the shop's
//! days against what the days before foretell (`experiment::seasonal`), which is weaker and says so.

mod measures;

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

pub use measures::{Basis, Measures, Range, Share};

use crate::domain::calendar::Day;
use crate::domain::ids::MemberId;
use crate::limits;

/// What was bought, or comes back, with one sale.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Bought<'a> {
    /// The business day of the sale.
    pub day: Day,
    /// Who.
    pub member: Option<&'a MemberId>,
    /// Paid, in minor units.
    pub net_minor: i64,
    /// Paid less what the goods cost; none where a cost is not known.
    pub margin_minor: Option<i64>,
    /// What the campaign's promotions took off.
    pub discount_minor: i64,
    /// Did one of its promotions apply?
    pub used: bool,
}

/// Something that counts for a campaign.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Happening<'a> {
    /// A member was shown it, or held out at a moment when they would have been.
    Shown {
        /// When.
        day: Day,
        /// Who.
        member: &'a MemberId,
        /// The control.
        held_out: bool,
    },
    /// A sale, with or without it: each of the shop's.
    Sold(Bought<'a>),
    /// All or part of a sale came back; the figures are what came back, `used` where all of it did.
    TakenBack {
        /// Of the sale.
        back: Bought<'a>,
        /// The whole sale: it counts no more.
        whole: bool,
    },
    /// What a shopper thought of a sale with it, 0 to 10.
    Scored {
        /// The business day of the sale.
        day: Day,
        /// How well.
        score: u8,
    },
}

/// Sums of one day: less what came back.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Sums {
    /// Sales.
    pub baskets: i64,
    /// Paid, in minor units.
    pub net_minor: i64,
    /// Its squares by sale, for intervals; what comes back in part leaves them.
    pub net_squares: i128,
}

impl Sums {
    fn count(&mut self, net_minor: i64, sign: i64, whole: bool) {
        self.net_minor += sign * net_minor;
        if whole {
            self.baskets += sign;
            self.net_squares += i128::from(sign) * i128::from(net_minor) * i128::from(net_minor);
        }
    }
}

/// One business day.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct DayTally {
    /// Sales with a promotion of the campaign.
    pub with: Sums,
    /// Other sales.
    pub without: Sums,
    /// Paid less cost, of sales whose costs are known.
    pub margin_minor: i64,
    /// Sales whose costs are not known.
    pub margins_unknown: i64,
    /// What the campaign's promotions took off.
    pub discount_minor: i64,
    /// Scores given.
    pub scores: u32,
    /// Their sum.
    pub score_sum: u32,
    /// The sum of their squares.
    pub score_squares: u32,
}

/// One day of one member.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
struct MemberDay {
    baskets: i32,
    used: i32,
    net_minor: i64,
    margin_minor: i64,
}

/// One member.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
struct MemberTally {
    /// The first day of exposure, and whether held out: of two on one day, the one that was shown.
    shown: Option<(Day, bool)>,
    days: BTreeMap<Day, MemberDay>,
}

/// All of one campaign.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Tally {
    from: Day,
    to: Day,
    days: BTreeMap<Day, DayTally>,
    members: BTreeMap<MemberId, MemberTally>,
    /// Happenings of days that are too far from the campaign.
    outside: u64,
    /// Happenings of members beyond `RESULTS_MEMBERS_MAX`.
    untold: u64,
}

impl Tally {
    /// Of a campaign with these first and last days; `None` where they are no range or longer than `RESULTS_DAYS_MAX`.
    pub fn new(from: Day, to: Day) -> Option<Tally> {
        let days = to.days_since(from) + 1;
        let fits = (1..=limits::RESULTS_DAYS_MAX).contains(&days);
        fits.then(|| Tally {
            from,
            to,
            days: BTreeMap::new(),
            members: BTreeMap::new(),
            outside: 0,
            untold: 0,
        })
    }

    /// Day by day, for a chart or a file.
    pub fn days(&self) -> impl Iterator<Item = (Day, &DayTally)> {
        self.days.iter().map(|(day, tally)| (*day, tally))
    }

    /// Counts one happening.
    pub fn fold(&mut self, happening: &Happening<'_>) {
        let day = match happening {
            Happening::Shown { day, .. } | Happening::Scored { day, .. } => *day,
            Happening::Sold(bought) | Happening::TakenBack { back: bought, .. } => bought.day,
        };
        let before = self.from.days_since(day) > limits::RESULTS_BEFORE_DAYS;
        if before || day.days_since(self.to) > limits::RESULTS_AFTER_DAYS {
            self.outside += 1;
            return;
        }
        match happening {
            Happening::Shown { member, held_out, .. } => {
                if let Some(tally) = self.member(member) {
                    let new = (day, *held_out);
                    tally.shown = Some(tally.shown.map_or(new, |known| known.min(new)));
                }
            }
            Happening::Sold(bought) => self.count(bought, 1, true),
            Happening::TakenBack { back, whole } => self.count(back, -1, *whole),
            Happening::Scored { score, .. } => {
                let tally = self.days.entry(day).or_default();
                let score = u32::from(*score);
                tally.scores += 1;
                tally.score_sum += score;
                tally.score_squares += score * score;
            }
        }
    }

    fn count(&mut self, bought: &Bought<'_>, sign: i64, whole: bool) {
        let tally = self.days.entry(bought.day).or_default();
        let sums = if bought.used { &mut tally.with } else { &mut tally.without };
        sums.count(bought.net_minor, sign, whole);
        tally.discount_minor += sign * bought.discount_minor;
        tally.margin_minor += sign * bought.margin_minor.unwrap_or_default();
        tally.margins_unknown += sign * i64::from(whole && bought.margin_minor.is_none());
        let Some(member) = bought.member else { return };
        let Some(tally) = self.member(member) else { return };
        let day = tally.days.entry(bought.day).or_default();
        let sales = if whole { i32::from(sign > 0) - i32::from(sign < 0) } else { 0 };
        day.baskets += sales;
        day.used += if bought.used { sales } else { 0 };
        day.net_minor += sign * bought.net_minor;
        day.margin_minor += sign * bought.margin_minor.unwrap_or_default();
    }

    fn member(&mut self, member: &MemberId) -> Option<&mut MemberTally> {
        if self.members.len() >= limits::RESULTS_MEMBERS_MAX && !self.members.contains_key(member) {
            self.untold += 1;
            return None;
        }
        Some(self.members.entry(member.clone()).or_default())
    }
}
