//! How old the rules are, and whether somebody keeps newer ones from this box.
//!
//! A bundle may promise a newer one by a date (`bundle::packed`, signed). When that has passed, head office sent none or somebody
//! withholds it: named once, with the age, and shown in the status; selling goes on. A clock that shows a time before the rules were
//! signed is named as what it is: no promise can be judged by it.

use serde_json::{Value, json};

use crate::domain::calendar::{DAY_MS, UnixMs};
use crate::domain::code::Code;
use crate::domain::ids::BundleRef;
use crate::limits;

use super::bundles::Shelf;

/// The active bundle's times, as far as they are known.
#[derive(Default)]
pub(super) struct Age(Option<Known>);

struct Known {
    reference: BundleRef,
    signed_at: UnixMs,
    newer_by: Option<UnixMs>,
    told: bool,
}

impl Known {
    fn finding(&self, now: UnixMs) -> Option<Code> {
        if now.ms_since(self.signed_at) < -limits::CLOCK_BEHIND_MS_MAX {
            return Some(Code::ClockWrong);
        }
        self.newer_by.filter(|by| now > *by).map(|_| Code::BundleStale)
    }
}

impl Age {
    /// Looks at the active bundle's age; called each second, reads the file once for each bundle.
    pub(super) fn look(&mut self, shelf: &Shelf, active: Option<&BundleRef>, now: UnixMs) {
        let Some(active) = active else { return };
        if self.0.as_ref().is_none_or(|known| known.reference != *active) {
            let (signed_at, newer_by) = shelf.times(active).unwrap_or((UnixMs(0), None));
            self.0 = Some(Known { reference: active.clone(), signed_at, newer_by, told: false });
        }
        if let Some(known) = &mut self.0
            && let Some(code) = known.finding(now).filter(|_| !known.told)
        {
            known.told = true;
            let age_days = now.ms_since(known.signed_at) / DAY_MS;
            let version = known.reference.version;
            tracing::warn!(%code, version, age_days, "{}", code.title(crate::domain::text::Lang::En));
        }
    }

    /// For the status.
    pub(super) fn status(&self, now: UnixMs) -> Value {
        let Some(known) = &self.0 else { return Value::Null };
        json!({
            "signed_at": known.signed_at,
            "newer_by": known.newer_by,
            "age_s": now.ms_since(known.signed_at) / 1_000,
            "code": known.finding(now),
        })
    }
}
