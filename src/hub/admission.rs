//! How many shops head office lets in at once. Pure: the time is given.
//!
//! When head office comes back, every shop hears it in the same second. Each that is let in says hello and sends what has
//! gathered, so that letting all of them in at once is many times the work of an ordinary second. Whoever is not let in
//! waits by its own jittered, doubling back-off, which spreads them.
//!
//! Invariant: in any second at most `per_second` and those that nobody took in the second before.

/// The pace. Kept as the moment at which the places given so far are paid for.
#[derive(Clone, Copy, Debug)]
pub struct Admission {
    per_second: u64,
    paid_at_us: u64,
}

impl Admission {
    /// So many a second, and as many at once after a quiet second. At least one.
    pub fn new(per_second: u64) -> Admission {
        Admission { per_second: per_second.max(1), paid_at_us: 0 }
    }

    /// May one more come in? `now_us`: rising microseconds from any origin.
    pub fn admits(&mut self, now_us: u64) -> bool {
        const SECOND_US: u64 = 1_000_000;
        let place_us = SECOND_US / self.per_second;
        let paid_at_us = self.paid_at_us.max(now_us) + place_us;
        let admits = paid_at_us - now_us <= SECOND_US;
        if admits {
            self.paid_at_us = paid_at_us;
        }
        admits
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn how_many_come_in_when_all_want_to() {
        let mut admission = Admission::new(50);
        let mut admitted =
            |second: u64| (0..1_000).filter(|ms| admission.admits(second * 1_000_000 + ms * 1_000)).count();
        assert_eq!(
            (admitted(0), admitted(1), admitted(2)),
            (99, 50, 50),
            "a quiet second before, then the pace"
        );
        assert_eq!(admitted(9), 99);
    }
}
