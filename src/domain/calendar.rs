//! The shop's civil time: every day, window and birthday is read off the store's own wall clock.
//!
//! An instant (`UnixMs`) is an argument everywhere; `StoreZone::civil` turns it into the store's date, weekday and
//! minute. Zones come from the table compiled into the binary, so that a replay on another machine sees the same
//! offsets. An end date means the end of that day. 29 February birthdays are kept on 28 February in common years.

use std::fmt;
use std::str::FromStr;

use jiff::civil::{Date, Time, Weekday as JiffWeekday};
use jiff::tz::TimeZone;
use schemars::JsonSchema;
use serde::{Deserialize, Deserializer, Serialize, Serializer};

/// Milliseconds in a day of 24 hours: of UTC, not of a shop whose clocks are changed.
pub const DAY_MS: i64 = 86_400_000;

/// Milliseconds since 1970-01-01T00:00:00Z, without leap seconds.
#[derive(
    Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize, JsonSchema,
)]
#[serde(transparent)]
pub struct UnixMs(pub i64);

impl UnixMs {
    /// This instant and so many milliseconds more.
    pub fn plus_ms(self, ms: i64) -> UnixMs {
        UnixMs(self.0.saturating_add(ms))
    }

    /// Whole milliseconds from `earlier` to this; negative if it is later.
    pub fn ms_since(self, earlier: UnixMs) -> i64 {
        self.0.saturating_sub(earlier.0)
    }

    /// Reads RFC 3339 with an offset, for example `2026-11-21T10:00:00+08:00`.
    pub fn parse_rfc3339(text: &str) -> Option<UnixMs> {
        jiff::Timestamp::from_str(text).ok().map(|at| UnixMs(at.as_millisecond()))
    }
}

/// RFC 3339 in UTC, to the millisecond.
impl fmt::Display for UnixMs {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match jiff::Timestamp::from_millisecond(self.0) {
            Ok(at) => write!(f, "{at:.3}"),
            Err(_) => write!(f, "{} ms", self.0),
        }
    }
}

/// A civil day, `2026-11-21`.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Day(Date);

impl Day {
    /// A day from its parts; `None` if there is no such day.
    pub fn new(year: i16, month: i8, day: i8) -> Option<Day> {
        Date::new(year, month, day).ok().map(Day)
    }

    /// Days from `earlier` to this one; negative if it is later.
    pub fn days_since(self, earlier: Day) -> i64 {
        self.number() - earlier.number()
    }

    /// So many days later (or earlier); clamps at the ends of the calendar.
    pub fn plus_days(self, days: i64) -> Day {
        Day(self.0.saturating_add(jiff::Span::new().days(days.clamp(-3_000_000, 3_000_000))))
    }

    /// Days since 1970-01-01.
    pub fn number(self) -> i64 {
        let epoch = jiff::civil::date(1970, 1, 1);
        i64::from(epoch.until(self.0).expect("days between two dates always fit").get_days())
    }

    /// The day so many days after 1970-01-01; clamps at the ends of the calendar.
    pub fn from_number(number: i64) -> Day {
        Day(jiff::civil::date(1970, 1, 1)).plus_days(number)
    }

    /// Month and day of the month.
    pub fn month_day(self) -> MonthDay {
        MonthDay { month: self.0.month(), day: self.0.day() }
    }

    /// Day of the month, 1 to 31.
    pub fn day_of_month(self) -> u8 {
        self.0.day().unsigned_abs()
    }

    /// Its weekday.
    pub fn weekday(self) -> Weekday {
        Weekday::from(self.0.weekday())
    }
}

impl FromStr for Day {
    type Err = &'static str;
    fn from_str(text: &str) -> Result<Day, &'static str> {
        let shape = text.len() == 10 && text.as_bytes()[4] == b'-';
        if !shape {
            return Err("a day is written YYYY-MM-DD");
        }
        text.parse().map(Day).map_err(|_| "a day is written YYYY-MM-DD and must exist")
    }
}

impl fmt::Display for Day {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(&self.0, f)
    }
}

/// Month and day, `MM-DD`: a birthday, without the year nobody needs.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct MonthDay {
    month: i8,
    day: i8,
}

impl MonthDay {
    /// Days from `today` to this date's nearest occurrence: negative if it has just been. -182 to 183.
    pub fn days_from(self, today: Day) -> i64 {
        let year = today.0.year();
        [year - 1, year, year + 1]
            .into_iter()
            .filter_map(|y| self.in_year(y))
            .map(|occurrence| occurrence.days_since(today))
            .min_by_key(|days| days.abs())
            .unwrap_or(i64::MAX)
    }

    /// Month of the year, 1 to 12.
    pub fn month(self) -> u8 {
        self.month.unsigned_abs()
    }

    fn in_year(self, year: i16) -> Option<Day> {
        Day::new(year, self.month, self.day).or_else(|| Day::new(year, 2, 28))
    }
}

impl FromStr for MonthDay {
    type Err = &'static str;
    fn from_str(text: &str) -> Result<MonthDay, &'static str> {
        let error = "a month and day is written MM-DD and must exist";
        let (month, day) = text.split_once('-').ok_or(error)?;
        if month.len() != 2 || day.len() != 2 {
            return Err(error);
        }
        let (month, day) = (month.parse().map_err(|_| error)?, day.parse().map_err(|_| error)?);
        Date::new(2024, month, day).map_err(|_| error)?;
        Ok(MonthDay { month, day })
    }
}

impl fmt::Display for MonthDay {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{:02}-{:02}", self.month, self.day)
    }
}

/// Minutes since midnight, `HH:MM`; 24:00 is the end of the day.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct TimeOfDay(u16);

impl TimeOfDay {
    /// Minutes since midnight, 0 to 1440.
    pub fn minutes(self) -> u16 {
        self.0
    }
}

impl FromStr for TimeOfDay {
    type Err = &'static str;
    fn from_str(text: &str) -> Result<TimeOfDay, &'static str> {
        let error = "a time of day is written HH:MM, 00:00 to 24:00";
        let (hours, minutes) = text.split_once(':').ok_or(error)?;
        if hours.len() != 2 || minutes.len() != 2 {
            return Err(error);
        }
        let (hours, minutes): (u16, u16) =
            (hours.parse().map_err(|_| error)?, minutes.parse().map_err(|_| error)?);
        let total = hours * 60 + minutes;
        if minutes < 60 && total <= 24 * 60 { Ok(TimeOfDay(total)) } else { Err(error) }
    }
}

impl fmt::Display for TimeOfDay {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{:02}:{:02}", self.0 / 60, self.0 % 60)
    }
}

macro_rules! as_text {
    ($($name:ident, $pattern:literal, $example:literal;)+) => {$(
        impl Serialize for $name {
            fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
                serializer.collect_str(self)
            }
        }
        impl<'de> Deserialize<'de> for $name {
            fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
                struct Visitor;
                impl serde::de::Visitor<'_> for Visitor {
                    type Value = $name;
                    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                        f.write_str(concat!("text such as ", $example))
                    }
                    fn visit_str<E: serde::de::Error>(self, text: &str) -> Result<$name, E> {
                        text.parse().map_err(E::custom)
                    }
                }
                deserializer.deserialize_str(Visitor)
            }
        }
        impl JsonSchema for $name {
            fn schema_name() -> std::borrow::Cow<'static, str> {
                stringify!($name).into()
            }
            fn json_schema(_: &mut schemars::SchemaGenerator) -> schemars::Schema {
                schemars::json_schema!({ "type": "string", "pattern": $pattern, "examples": [$example] })
            }
        }
    )+};
}

as_text! {
    Day, r"^[0-9]{4}-[0-9]{2}-[0-9]{2}$", "2026-11-21";
    MonthDay, r"^[0-9]{2}-[0-9]{2}$", "08-15";
    TimeOfDay, r"^[0-9]{2}:[0-9]{2}$", "18:30";
}

/// A day of the week.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum Weekday {
    /// 星期一
    Mon,
    /// 星期二
    Tue,
    /// 星期三
    Wed,
    /// 星期四
    Thu,
    /// 星期五
    Fri,
    /// 星期六
    Sat,
    /// 星期日
    Sun,
}

impl From<JiffWeekday> for Weekday {
    fn from(day: JiffWeekday) -> Weekday {
        match day {
            JiffWeekday::Monday => Weekday::Mon,
            JiffWeekday::Tuesday => Weekday::Tue,
            JiffWeekday::Wednesday => Weekday::Wed,
            JiffWeekday::Thursday => Weekday::Thu,
            JiffWeekday::Friday => Weekday::Fri,
            JiffWeekday::Saturday => Weekday::Sat,
            JiffWeekday::Sunday => Weekday::Sun,
        }
    }
}

/// What the shop's wall clock and calendar show.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct CivilTime {
    /// The civil day.
    pub day: Day,
    /// Minutes since midnight, 0 to 1439.
    pub minute: u16,
}

/// The store's IANA time zone.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct StoreZone {
    name: String,
    zone: TimeZone,
}

impl StoreZone {
    /// A zone by its IANA name, for example `Asia/Shanghai`; `None` if the compiled table does not hold it.
    pub fn new(name: &str) -> Option<StoreZone> {
        let zone = TimeZone::get(name).ok()?;
        Some(StoreZone { name: name.to_owned(), zone })
    }

    /// Its IANA name.
    pub fn name(&self) -> &str {
        &self.name
    }

    /// The wall clock at an instant; an instant outside the calendar reads as its nearest end.
    pub fn civil(&self, at: UnixMs) -> CivilTime {
        let bounded = at.0.clamp(
            jiff::Timestamp::MIN.as_millisecond() + DAY_MS,
            jiff::Timestamp::MAX.as_millisecond() - DAY_MS,
        );
        let at = jiff::Timestamp::from_millisecond(bounded).expect("clamped to the range of a timestamp");
        let wall = self.zone.to_datetime(at);
        let minute = u16::from(wall.hour().unsigned_abs()) * 60 + u16::from(wall.minute().unsigned_abs());
        CivilTime { day: Day(wall.date()), minute }
    }

    /// The instant at which a day begins here.
    pub fn start_of(&self, day: Day) -> UnixMs {
        self.at(day, TimeOfDay(0))
    }

    /// The instant of a wall-clock time on a day (the first one where it happens twice, the end of the gap where it is skipped).
    pub fn at(&self, day: Day, time: TimeOfDay) -> UnixMs {
        let (day, minutes) = if time.0 == 24 * 60 { (day.plus_days(1), 0) } else { (day, time.0) };
        let wall = Time::constant((minutes / 60) as i8, (minutes % 60) as i8, 0, 0);
        let zoned = self.zone.to_zoned(day.0.to_datetime(wall));
        UnixMs(zoned.map_or(i64::MAX, |z| z.timestamp().as_millisecond()))
    }

    /// RFC 3339 with the store's offset, to the second.
    pub fn format(&self, at: UnixMs) -> String {
        match jiff::Timestamp::from_millisecond(at.0) {
            Ok(stamp) => self.zone.to_offset(stamp).to_timestamp(jiff::civil::DateTime::ZERO).map_or_else(
                |_| at.to_string(),
                |_| stamp.display_with_offset(self.zone.to_offset(stamp)).to_string(),
            ),
            Err(_) => at.to_string(),
        }
    }
}

impl Serialize for StoreZone {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.serialize_str(&self.name)
    }
}

impl<'de> Deserialize<'de> for StoreZone {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let name = String::deserialize(deserializer)?;
        StoreZone::new(&name).ok_or_else(|| {
            serde::de::Error::custom(format_args!(
                "no time zone is called {name:?}; use an IANA name such as Asia/Shanghai"
            ))
        })
    }
}

impl JsonSchema for StoreZone {
    fn schema_name() -> std::borrow::Cow<'static, str> {
        "StoreZone".into()
    }
    fn json_schema(_: &mut schemars::SchemaGenerator) -> schemars::Schema {
        schemars::json_schema!({ "type": "string", "description": "IANA time zone", "examples": ["Asia/Shanghai"] })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn day(text: &str) -> Day {
        text.parse().expect("a day of the test")
    }

    #[test]
    fn which_day_is_it_in_the_shop() {
        let shanghai = StoreZone::new("Asia/Shanghai").expect("compiled in");
        let at = UnixMs::parse_rfc3339("2026-11-21T23:30:00Z").expect("valid");
        let civil = shanghai.civil(at);
        assert_eq!((civil.day, civil.minute), (day("2026-11-22"), 7 * 60 + 30));
        assert_eq!(civil.day.weekday(), Weekday::Sun);
        assert_eq!(shanghai.format(at), "2026-11-22T07:30:00+08:00");
    }

    #[test]
    fn what_happens_at_daylight_saving() {
        let chicago = StoreZone::new("America/Chicago").expect("compiled in");
        let skipped = chicago.at(day("2027-03-14"), "02:30".parse().expect("valid"));
        assert_eq!(chicago.format(skipped), "2027-03-14T03:30:00-05:00");
        let length = chicago.start_of(day("2027-03-15")).ms_since(chicago.start_of(day("2027-03-14")));
        assert_eq!(length, 23 * 3_600_000);
        assert_eq!(
            chicago.at(day("2027-03-14"), "24:00".parse().expect("valid")),
            chicago.start_of(day("2027-03-15"))
        );
    }

    #[test]
    fn how_far_is_a_birthday() {
        let leap: MonthDay = "02-29".parse().expect("valid");
        assert_eq!(leap.days_from(day("2027-02-27")), 1);
        let new_year: MonthDay = "01-01".parse().expect("valid");
        assert_eq!(new_year.days_from(day("2026-12-30")), 2);
        assert_eq!(new_year.days_from(day("2027-01-03")), -2);
    }

    #[test]
    fn which_days_and_times_are_refused() {
        for text in ["2026-02-30", "2026-1-01", "", "20261121", "2026-11-21T00"] {
            assert!(text.parse::<Day>().is_err(), "{text}");
        }
        for text in ["24:01", "7:00", "12:60", "x"] {
            assert!(text.parse::<TimeOfDay>().is_err(), "{text}");
        }
        assert!("02-30".parse::<MonthDay>().is_err());
    }

    #[test]
    fn does_an_absurd_clock_still_have_a_day() {
        let zone = StoreZone::new("Asia/Shanghai").expect("compiled in");
        assert_eq!(zone.civil(UnixMs(0)).day, day("1970-01-01"));
        zone.civil(UnixMs(i64::MAX));
        zone.civil(UnixMs(i64::MIN));
    }
}
