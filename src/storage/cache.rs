//! Records of the tables read lately, as they stand there: a member at the till is priced after each scan.
//!
//! Invariants: what is kept is what the tables hold. A decision that changes a record lets it go at once (from then on the
//! overlay answers, and after it the tables are read again), and while a bundle brings in members and codes nothing is
//! kept. Absence is kept too: most promotions were never used. At most `READ_CACHE_RECORDS_MAX` records, of the kinds that
//! are read again; one that was not read since the hand came by last leaves first (CLOCK).

use std::collections::{BTreeMap, VecDeque};

use crate::domain::ids::Seq;
use crate::engine::decision::{Change, Key, Record};
use crate::limits;

#[derive(Default)]
pub(super) struct ReadCache {
    records: BTreeMap<Key, Kept>,
    hand: VecDeque<Key>,
    closed_until: Seq,
}

struct Kept {
    record: Option<Record>,
    is_read: bool,
}

impl ReadCache {
    /// What stands under a key: kept, or as `read` finds it. `followed` is the last decision the tables hold.
    pub(super) fn load<E>(
        &mut self,
        key: &Key,
        followed: Seq,
        read: impl FnOnce() -> Result<Option<Record>, E>,
    ) -> Result<Option<Record>, E> {
        if followed < self.closed_until || !is_read_again(key) {
            return read();
        }
        if let Some(kept) = self.records.get_mut(key) {
            kept.is_read = true;
            return Ok(kept.record.clone());
        }
        let record = read()?;
        self.make_room();
        self.hand.push_back(key.clone());
        self.records.insert(key.clone(), Kept { record: record.clone(), is_read: false });
        Ok(record)
    }

    /// A decision changes these records.
    pub(super) fn changed(&mut self, changes: &[Change]) {
        for change in changes {
            // Its place at the hand stays, and is cleared when the hand comes by.
            self.records.remove(&change.key);
        }
    }

    /// A bundle comes in with decision `seq`: records may change until the tables hold it.
    pub(super) fn close_until(&mut self, seq: Seq) {
        self.records.clear();
        self.hand.clear();
        self.closed_until = seq;
    }

    fn make_room(&mut self) {
        while self.hand.len() >= limits::READ_CACHE_RECORDS_MAX {
            let Some(key) = self.hand.pop_front() else { return };
            match self.records.get_mut(&key) {
                Some(kept) if kept.is_read => {
                    kept.is_read = false;
                    self.hand.push_back(key);
                }
                Some(_) => {
                    self.records.remove(&key);
                }
                None => {}
            }
        }
    }
}

/// Requests, sales and decisions are read once, if at all.
fn is_read_again(key: &Key) -> bool {
    match key {
        Key::Token(_) | Key::Member(_) | Key::Ledger(_) | Key::History(_) | Key::Usage(..) => true,
        Key::Code(_) | Key::Redeemed(_) | Key::Lease(..) | Key::Heard(_) => true,
        Key::Quote(_) | Key::Sale(_) | Key::Request(..) | Key::Decision(_) => false,
        Key::Order(_) | Key::Waiting(_) | Key::Shelf => false,
    }
}

#[cfg(test)]
mod tests {
    use std::convert::Infallible;

    use super::*;
    use crate::domain::ids::{CouponCode, MemberId};
    use crate::domain::member::TokenHash;

    fn key(number: usize) -> Key {
        Key::Redeemed(CouponCode::new(&format!("C{number:06}")).expect("valid"))
    }

    fn owner(name: &str) -> Option<Record> {
        Some(Record::Token(MemberId::new(name).expect("valid")))
    }

    fn load(cache: &mut ReadCache, key: &Key, tables: Option<Record>) -> Option<Record> {
        cache.load::<Infallible>(key, Seq(9), || Ok(tables)).expect("nothing can fail")
    }

    #[test]
    fn is_a_changed_record_ever_served_from_before() {
        let (mut cache, key) = (ReadCache::default(), Key::Token(TokenHash([7; 32])));
        assert_eq!(load(&mut cache, &key, owner("m1")), owner("m1"));
        assert_eq!(load(&mut cache, &key, owner("m2")), owner("m1"), "it is kept");
        cache.changed(&[Change { key: key.clone(), record: None }]);
        assert_eq!(load(&mut cache, &key, owner("m2")), owner("m2"));
    }

    #[test]
    fn is_anything_kept_while_a_bundle_comes_in() {
        let (mut cache, key) = (ReadCache::default(), key(1));
        assert_eq!(load(&mut cache, &key, None), None);
        cache.close_until(Seq(10));
        assert_eq!(load(&mut cache, &key, owner("m1")), owner("m1"));
        assert_eq!(load(&mut cache, &key, owner("m2")), owner("m2"));
        cache.closed_until = Seq(9);
        assert_eq!(load(&mut cache, &key, owner("m3")), owner("m3"), "nothing of the meantime was kept");
        assert_eq!(load(&mut cache, &key, None), owner("m3"));
    }

    #[test]
    fn is_the_bound_held_and_what_is_read_again_kept() {
        let mut cache = ReadCache::default();
        for number in 0..3 * limits::READ_CACHE_RECORDS_MAX {
            load(&mut cache, &key(number), None);
            load(&mut cache, &key(0), None);
            if number % 2 == 1 {
                cache.changed(&[Change { key: key(number), record: None }]);
            }
        }
        assert!(cache.hand.len() <= limits::READ_CACHE_RECORDS_MAX);
        assert!(cache.records.len() <= cache.hand.len());
        assert_eq!(load(&mut cache, &key(0), owner("m1")), None, "it was read all the time");
        assert_eq!(load(&mut cache, &key(2), owner("m1")), owner("m1"), "it was not");
    }
}
