//! The only place that reads time.
//!
//! Two clocks that must not be mixed up: `now` is the wall's time, which people set and which jumps both ways, good for
//! schedules and receipts; `ticks` only ever rises, good for deadlines and measurements, and means nothing
//! outside this process. The pure rooms get `UnixMs` as an argument; the shell asks a `Clock` once per event.
//!
//! `SystemClock` is the machine's; `ManualClock` stands still until a test moves it, its wall and its ticks apart.

use std::sync::atomic::{AtomicI64, AtomicU64, Ordering};
use std::sync::{Arc, OnceLock};
use std::time::{Duration, Instant, SystemTime};

use crate::domain::calendar::UnixMs;

/// Where time comes from.
pub trait Clock: Send + Sync {
    /// The wall's time. May jump either way.
    fn now(&self) -> UnixMs;

    /// Time that only rises.
    fn ticks(&self) -> Ticks;
}

/// The machine's clocks.
#[derive(Clone, Copy, Debug, Default)]
pub struct SystemClock;

impl Clock for SystemClock {
    #[expect(clippy::disallowed_methods, reason = "this is the one place that reads the wall's time")]
    fn now(&self) -> UnixMs {
        let now = SystemTime::now();
        let ms = |distance: Duration| i64::try_from(distance.as_millis()).unwrap_or(i64::MAX);
        match now.duration_since(SystemTime::UNIX_EPOCH) {
            Ok(since) => UnixMs(ms(since)),
            Err(before) => UnixMs(-ms(before.duration())),
        }
    }

    fn ticks(&self) -> Ticks {
        Ticks(instant_now())
    }
}

#[expect(clippy::disallowed_methods, reason = "this is the one place that reads the rising clock")]
fn instant_now() -> Instant {
    Instant::now()
}

/// A point of rising time, to the nanosecond. Comparable within this process only.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Ticks(Instant);

impl Ticks {
    /// The time from `earlier` to this; nothing if it is later.
    pub fn since(self, earlier: Ticks) -> Duration {
        self.0.saturating_duration_since(earlier.0)
    }

    /// So much later: a deadline. A wait too long to count is a year.
    pub fn plus(self, wait: Duration) -> Ticks {
        const YEAR: Duration = Duration::from_secs(365 * 24 * 3600);
        Ticks(self.0.checked_add(wait).unwrap_or_else(|| self.0 + YEAR))
    }

    /// The same point for timers of the standard library and tokio (`sleep_until(ticks.instant().into())`).
    pub fn instant(self) -> Instant {
        self.0
    }
}

/// Measures from when it was made.
#[derive(Clone, Copy, Debug)]
pub struct Stopwatch(Ticks);

impl Stopwatch {
    /// Starts measuring.
    pub fn start(clock: &dyn Clock) -> Stopwatch {
        Stopwatch(clock.ticks())
    }

    /// Time since the start.
    pub fn elapsed(self, clock: &dyn Clock) -> Duration {
        clock.ticks().since(self.0)
    }

    /// Whole microseconds since the start.
    pub fn elapsed_us(self, clock: &dyn Clock) -> u64 {
        u64::try_from(self.elapsed(clock).as_micros()).unwrap_or(u64::MAX)
    }
}

/// A clock that stands still until it is moved. Copies move together.
#[derive(Clone, Debug)]
pub struct ManualClock {
    now_ms: Arc<AtomicI64>,
    risen_ms: Arc<AtomicU64>,
}

impl ManualClock {
    /// A clock whose wall shows `now`.
    pub fn new(now: UnixMs) -> ManualClock {
        ManualClock { now_ms: Arc::new(AtomicI64::new(now.0)), risen_ms: Arc::new(AtomicU64::new(0)) }
    }

    /// Lets so many milliseconds pass: on the wall and in ticks.
    pub fn advance_ms(&self, ms: u32) {
        self.now_ms.fetch_add(i64::from(ms), Ordering::SeqCst);
        self.risen_ms.fetch_add(u64::from(ms), Ordering::SeqCst);
    }

    /// Somebody sets the wall clock; ticks do not notice.
    pub fn set(&self, now: UnixMs) {
        self.now_ms.store(now.0, Ordering::SeqCst);
    }
}

impl Clock for ManualClock {
    fn now(&self) -> UnixMs {
        UnixMs(self.now_ms.load(Ordering::SeqCst))
    }

    fn ticks(&self) -> Ticks {
        // An Instant cannot be made from a number: all manual clocks count from one reading.
        static ORIGIN: OnceLock<Instant> = OnceLock::new();
        let origin = *ORIGIN.get_or_init(instant_now);
        Ticks(origin + Duration::from_millis(self.risen_ms.load(Ordering::SeqCst)))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn does_a_set_wall_clock_leave_ticks_alone() {
        let clock = ManualClock::new(UnixMs(1_000));
        let watch = Stopwatch::start(&clock);
        clock.set(UnixMs(-5));
        assert_eq!((clock.now(), watch.elapsed_us(&clock)), (UnixMs(-5), 0));
        clock.clone().advance_ms(7);
        assert_eq!((clock.now(), watch.elapsed_us(&clock)), (UnixMs(2), 7_000));
    }

    #[test]
    fn does_a_deadline_come_after_its_start_and_never_overflow() {
        let clock = ManualClock::new(UnixMs(0));
        let start = clock.ticks();
        assert!(start.plus(Duration::MAX) > start);
        assert_eq!(start.plus(Duration::from_millis(3)).since(start), Duration::from_millis(3));
        assert_eq!(start.since(start.plus(Duration::from_millis(3))), Duration::ZERO);
    }

    #[test]
    fn does_the_system_clock_rise() {
        let first = SystemClock.ticks();
        assert!(SystemClock.ticks() >= first);
    }
}
