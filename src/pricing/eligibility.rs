//! Is a promotion open to this shopper, now, here? A column of early returns in a fixed precedence.
//!
//! Precedence: switched off, schedule, trigger, offline policy, audience. What depends on the basket comes later
//! (`conditions`, `benefits`). Days and minutes are the store's; a window past midnight belongs to the day it begins
//! on, with all of that day's dates and weekdays.

use crate::domain::calendar::{Day, StoreZone, UnixMs, Weekday};
use crate::domain::member::Member;

use sha2::{Digest, Sha256};

use super::explain::Why;
use super::model::{
    Audience, BirthdayWindow, Draw, LimitScope, OfflineMode, Promotion, Schedule, WhenStale, Window,
};
use super::outcome::Reason;
use super::{Sale, Shopper};

/// The store's clock and calendar at one instant.
#[derive(Clone, Copy, Debug)]
pub(super) struct Moment {
    pub(super) today: Day,
    pub(super) yesterday: Day,
    /// Days since 1970-01-01, to compare with `Usage::day`.
    pub(super) number: i64,
    pub(super) minute: u16,
    weekdays: [Weekday; 2],
    month_days: [u8; 2],
}

impl Moment {
    pub(super) fn new(zone: &StoreZone, now: UnixMs) -> Moment {
        let civil = zone.civil(now);
        let (today, yesterday) = (civil.day, civil.day.plus_days(-1));
        Moment {
            today,
            yesterday,
            number: today.number(),
            minute: civil.minute,
            weekdays: [today.weekday(), yesterday.weekday()],
            month_days: [today.day_of_month(), yesterday.day_of_month()],
        }
    }
}

const MINUTES_OF_A_DAY: u16 = 24 * 60;

fn runs_past_midnight(window: &Window) -> bool {
    window.to < window.from
}

impl Schedule {
    /// Why it is closed at an instant, by the store's wall clock; nothing if it is open.
    pub fn closed(&self, zone: &StoreZone, at: UnixMs) -> Option<Reason> {
        schedule_closed(self, &Moment::new(zone, at)).map(|why| why.reason())
    }
}

/// Why a schedule is closed; nothing if it is open.
pub(super) fn schedule_closed<'a>(schedule: &'a Schedule, moment: &Moment) -> Option<Why<'a>> {
    if schedule.windows.is_empty() {
        return day_closed(schedule, moment, 0);
    }
    let today = day_closed(schedule, moment, 0);
    let in_todays = |w: &Window| {
        moment.minute >= w.from.minutes() && (runs_past_midnight(w) || moment.minute < w.to.minutes())
    };
    if today.is_none() && schedule.windows.iter().any(in_todays) {
        return None;
    }
    let in_yesterdays = |w: &Window| runs_past_midnight(w) && moment.minute < w.to.minutes();
    if schedule.windows.iter().any(in_yesterdays) && day_closed(schedule, moment, 1).is_none() {
        return None;
    }
    today.or(Some(Why::Schedule(schedule)))
}

/// Why a schedule's days leave out today (`back` 0) or yesterday (`back` 1).
fn day_closed<'a>(schedule: &'a Schedule, moment: &Moment, back: usize) -> Option<Why<'a>> {
    let day = if back == 0 { moment.today } else { moment.yesterday };
    if let Some(from) = schedule.from.filter(|from| day < *from) {
        return Some(Why::NotStarted(from));
    }
    if let Some(to) = schedule.to.filter(|to| day > *to) {
        return Some(Why::Expired(to));
    }
    let minute = if back == 0 { moment.minute } else { moment.minute + MINUTES_OF_A_DAY };
    if let Some(from) = schedule.from.filter(|from| day == *from)
        && schedule.opens.is_some_and(|opens| minute < opens.minutes())
    {
        return Some(Why::NotStarted(from));
    }
    if let Some(to) = schedule.to.filter(|to| day == *to)
        && schedule.closes.is_some_and(|closes| minute > closes.minutes())
    {
        return Some(Why::Expired(to));
    }
    let on_weekday = schedule.weekdays.is_empty() || schedule.weekdays.contains(&moment.weekdays[back]);
    let on_month_day =
        schedule.month_days.is_empty() || schedule.month_days.contains(&moment.month_days[back]);
    let open = on_weekday && on_month_day && !schedule.except.contains(&day);
    (!open).then_some(Why::Schedule(schedule))
}

/// Why a promotion does not run without a line; nothing if it does, or the line is up.
pub(super) fn offline_closed<'a>(promotion: &Promotion, sale: &Sale<'_>) -> Option<Why<'a>> {
    let (hours, policy) = (sale.offline_hours?, &promotion.offline);
    let stale = policy.stale_after_hours.is_some_and(|after| hours >= after);
    let closed = match policy.mode {
        OfflineMode::Always => stale && policy.when_stale == WhenStale::Deny,
        // Inside what was lent of its chain-wide limit nothing can be overspent, however old anything is.
        OfflineMode::Leased => {
            sale.lent.is_none() || !promotion.limits.iter().any(|limit| limit.scope == LimitScope::Chain)
        }
        OfflineMode::Never => true,
    };
    closed.then_some(Why::Offline { hours })
}

/// The leaf of an audience that leaves this shopper out; nothing if the shopper is in it.
pub(super) fn left_out<'a>(
    audience: &'a Audience,
    shopper: &Shopper<'_>,
    moment: &Moment,
) -> Option<Why<'a>> {
    match audience {
        Audience::Everyone => return None,
        Audience::All(all) => return all.iter().find_map(|a| left_out(a, shopper, moment)),
        Audience::Any(any) => {
            let mut first = None;
            for audience in any {
                let out = left_out(audience, shopper, moment)?;
                first.get_or_insert(out);
            }
            return Some(first.unwrap_or(Why::Audience(audience)));
        }
        Audience::Not(not) => {
            return left_out(not, shopper, moment).is_none().then_some(Why::Audience(audience));
        }
        _ => {}
    }
    let Some(member) = shopper.member else { return Some(Why::NoMember) };
    let profile = &member.profile;
    let within = match audience {
        Audience::Everyone | Audience::Member | Audience::All(_) | Audience::Any(_) | Audience::Not(_) => {
            true
        }
        Audience::Segment(segments) => segments.iter().any(|s| shopper.segments.binary_search(s).is_ok()),
        Audience::Tier(tiers) => profile.tier.as_ref().is_some_and(|tier| tiers.contains(tier)),
        Audience::Tag(tags) => profile.tags.iter().any(|tag| tags.contains(tag)),
        Audience::Group(groups) => profile.groups.iter().any(|group| groups.contains(group)),
        Audience::Is(members) => members.contains(&member.id),
        Audience::Birthday(window) => {
            profile.birthday.is_some_and(|birthday| near_birthday(window, birthday, moment.today))
        }
        Audience::FirstVisit => member.orders() == 0,
        Audience::NthPurchase(n) => member.orders().checked_add(1) == Some(*n),
        Audience::Drawn(draw) => wins(draw, member),
    };
    (!within).then_some(Why::Audience(audience))
}

/// The draw's number for this member's visit, of 2^64, stands in the winning part.
fn wins(draw: &Draw, member: &Member) -> bool {
    let visit = member.orders().saturating_add(1).to_be_bytes();
    let mut hasher = Sha256::new();
    for part in [b"aisled draw 1".as_slice(), draw.seed.as_bytes(), member.id.as_str().as_bytes(), &visit] {
        hasher.update((part.len() as u64).to_be_bytes());
        hasher.update(part);
    }
    let hash: [u8; 32] = hasher.finalize().into();
    let number = hash.iter().take(8).fold(0_u64, |number, byte| number << 8 | u64::from(*byte));
    (u128::from(number) * u128::from(draw.of)) >> 64 < u128::from(draw.wins)
}

fn near_birthday(window: &BirthdayWindow, birthday: crate::domain::calendar::MonthDay, today: Day) -> bool {
    let until = birthday.days_from(today);
    let in_days = -i64::from(window.days_after) <= until && until <= i64::from(window.days_before);
    in_days || (window.whole_month && birthday.month() == today.month_day().month())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn moment(at: &str) -> Moment {
        let zone = StoreZone::new("Asia/Shanghai").expect("compiled in");
        Moment::new(&zone, UnixMs::parse_rfc3339(at).expect("valid"))
    }

    fn schedule(toml: &str) -> Schedule {
        toml::from_str(toml).expect("a schedule of the test")
    }

    #[test]
    fn to_which_day_does_a_window_past_midnight_belong() {
        let friday_night = schedule("weekdays=['fri']\nwindows=[{from='22:00',to='02:00'}]");
        let open = |at: &str| schedule_closed(&friday_night, &moment(at)).is_none();
        assert!(!open("2026-11-20T21:59:59+08:00"));
        assert!(open("2026-11-20T22:00:00+08:00"));
        assert!(open("2026-11-21T01:59:59+08:00"), "still Friday's");
        assert!(!open("2026-11-21T02:00:00+08:00"));
        assert!(!open("2026-11-20T01:00:00+08:00"), "Thursday's");
        assert!(!open("2026-11-21T22:30:00+08:00"), "Saturday's");
    }

    #[test]
    fn does_the_last_day_last_to_its_end() {
        let november = schedule("from='2026-11-01'\nto='2026-11-30'");
        let open = |at: &str| schedule_closed(&november, &moment(at)).is_none();
        assert!(!open("2026-10-31T23:59:59+08:00"));
        assert!(open("2026-11-01T00:00:00+08:00"));
        assert!(open("2026-11-30T23:59:59+08:00"));
        assert!(!open("2026-12-01T00:00:00+08:00"));
        let last_night = schedule("from='2026-11-01'\nto='2026-11-30'\nwindows=[{from='22:00',to='02:00'}]");
        assert!(schedule_closed(&last_night, &moment("2026-12-01T01:00:00+08:00")).is_none());
        assert!(schedule_closed(&last_night, &moment("2026-11-01T01:00:00+08:00")).is_some());
    }

    #[test]
    fn from_which_minute_to_which_does_a_campaign_run() {
        let eleven = schedule(
            "from='2026-11-01'\nto='2026-11-11'\nopens='20:00'\ncloses='22:30'\nwindows=[{from='18:00',to='01:00'}]",
        );
        let open = |at: &str| schedule_closed(&eleven, &moment(at)).is_none();
        assert!(!open("2026-11-01T19:59:59+08:00"));
        assert!(open("2026-11-01T20:00:00+08:00") && open("2026-11-02T00:30:00+08:00"));
        assert!(open("2026-11-02T18:00:00+08:00"), "only the first day opens late");
        assert!(open("2026-11-11T22:30:59+08:00"), "to the end of the minute");
        assert!(!open("2026-11-11T22:31:00+08:00") && !open("2026-11-12T00:30:00+08:00"));
    }

    #[test]
    fn does_a_draw_win_as_often_as_it_says_and_never_twice_differently() {
        let draw = Draw { seed: "gala".into(), wins: 1, of: 20 };
        let member = |number: u32, visits: u32| Member {
            id: crate::domain::ids::MemberId::new(&format!("m{number}")).expect("an id"),
            profile: crate::domain::member::Profile::default(),
            ledger: crate::domain::member::Ledger { visits, ..Default::default() },
            profile_as_of: UnixMs(0),
            history: None,
        };
        let won =
            |visits: u32| (0..20_000).filter(|n| wins(&draw, &member(*n, visits))).collect::<Vec<u32>>();
        let first = won(0);
        assert!((900..1_100).contains(&first.len()), "{} of 20000 at 1 in 20", first.len());
        assert_eq!(first, won(0), "asking again draws nothing new");
        assert_ne!(first, won(1), "the next visit does");
        // Found by another program, so that an auditor's own program finds the same.
        assert!(first.contains(&19), "{:?}", &first[..5]);
    }

    #[test]
    fn does_a_birthday_run_over_the_new_year() {
        let window = BirthdayWindow { days_before: 3, days_after: 3, whole_month: false };
        let near = |at: &str| near_birthday(&window, "01-01".parse().expect("valid"), moment(at).today);
        assert!(near("2026-12-29T12:00:00+08:00") && near("2027-01-04T12:00:00+08:00"));
        assert!(!near("2026-12-28T12:00:00+08:00") && !near("2027-01-05T12:00:00+08:00"));
        let month = BirthdayWindow { whole_month: true, ..BirthdayWindow::default() };
        let birthday = "02-29".parse().expect("valid");
        assert!(near_birthday(&month, birthday, moment("2027-02-01T08:00:00+08:00").today));
        assert!(!near_birthday(&month, birthday, moment("2027-03-01T08:00:00+08:00").today));
    }
}
