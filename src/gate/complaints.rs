//! Names what is refused, once, and counts the rest: a hostile network cannot fill the log, and nothing is refused unseen.
//!
//! Invariants: of one kind of refusal of one caller, the first of a minute is logged with its cause, and how many followed is
//! logged when the minute is over. What is kept is bounded by `COMPLAINTS_MAX`; what does not fit shares a line for each code.

use std::collections::BTreeMap;
use std::sync::{Mutex, PoisonError};

use crate::domain::code::Code;
use crate::domain::text::Lang;
use crate::limits;

/// What was refused.
#[derive(Default)]
pub struct Complaints(Mutex<Known>);

#[derive(Default)]
struct Known {
    /// Of this minute: how often, by code and caller.
    lately: BTreeMap<(Code, String), u64>,
    /// Since the start.
    ever: BTreeMap<Code, u64>,
}

impl Complaints {
    /// Something of `who` (an address, a device; from the wire, so bounded and printable) was refused.
    pub fn complain(&self, code: Code, who: &str, what: impl FnOnce() -> String) {
        let who: String = who.chars().take(64).flat_map(char::escape_default).collect();
        let count = {
            let mut known = self.0.lock().unwrap_or_else(PoisonError::into_inner);
            *known.ever.entry(code).or_default() += 1;
            let is_full = known.lately.len() >= limits::COMPLAINTS_MAX;
            let key = (code, who.clone());
            let key = if is_full && !known.lately.contains_key(&key) { (code, String::new()) } else { key };
            let count = known.lately.entry(key).or_default();
            *count += 1;
            *count
        };
        if count == 1 {
            let (title, why) = (code.title(Lang::En), what());
            tracing::warn!(%code, who, why, "refused: {title}");
        }
    }

    /// A minute is over.
    pub fn tick(&self) {
        let lately = std::mem::take(&mut self.0.lock().unwrap_or_else(PoisonError::into_inner).lately);
        for ((code, who), count) in lately.into_iter().filter(|(_, count)| *count > 1) {
            tracing::warn!(%code, who, times = count - 1, "refused again and again: {}", code.title(Lang::En));
        }
    }

    /// How often each was refused since the start.
    pub fn counts(&self) -> BTreeMap<Code, u64> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).ever.clone()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn is_each_refusal_named_once_in_a_minute_and_counted_always() {
        let complaints = Complaints::default();
        let mut told = 0;
        let mut twice = || {
            for _ in 0..2 {
                complaints.complain(Code::GateFull, "till-1", || {
                    told += 1;
                    String::new()
                });
            }
        };
        twice();
        complaints.tick();
        twice();
        assert_eq!(told, 2, "one in each minute");
        assert_eq!(complaints.counts(), BTreeMap::from([(Code::GateFull, 4)]));
    }

    #[test]
    fn can_made_up_callers_fill_memory() {
        let complaints = Complaints::default();
        for n in 0..3 * limits::COMPLAINTS_MAX {
            complaints.complain(Code::GateFull, &n.to_string(), String::new);
        }
        let lately = complaints.0.lock().expect("nobody panicked").lately.len();
        assert_eq!(lately, limits::COMPLAINTS_MAX + 1);
    }
}
