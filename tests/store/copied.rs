//! Does a copy of a box's disk spend what head office had lent to the original?

use aisled::domain::calendar::UnixMs;
use aisled::domain::ids::Epoch;
use aisled::domain::lease::{LeaseId, Say, Scope, Word};
use aisled::engine::Outcome;
use aisled::engine::decision::{Facts, Key, Record};
use aisled::engine::input::Input;
use serde_json::json;

use super::{Memory, NOON};

const LENT: i64 = 700;

/// Head office lends this life of the box something; false if the word is not for it.
fn lend(shop: &mut Memory, epoch: Epoch) -> bool {
    let say = Say::Grant { scope: Scope::Risk, amount: LENT, expires: UnixMs(i64::MAX), first: None };
    let input = Input::Lease(Word { id: LeaseId { incarnation: 1, number: 1 }, epoch, say });
    let mut facts = Facts::default();
    for key in shop.counter.engine.needs(&input, &facts) {
        let record = shop.store.load(&key).expect("it can be read");
        facts.add(key, record);
    }
    match shop.counter.engine.handle(input, facts, NOON) {
        Outcome::Decided(entry) => {
            shop.commit(entry);
            true
        }
        _ => false,
    }
}

fn left(shop: &mut Memory, epoch: Epoch) -> i64 {
    match shop.store.load(&Key::Lease(epoch, Scope::Risk)).expect("it can be read") {
        Some(Record::Slices(slices)) => slices.left(NOON),
        _ => 0,
    }
}

#[test]
fn does_a_copied_disk_begin_a_new_life_without_its_slices() {
    let dir = tempfile::tempdir().expect("a directory for the test");
    let (old, new) = (Epoch(1), Epoch(2));
    let mut shop = Memory::open_on(dir.path(), Some("machine a"));
    assert!(lend(&mut shop, old));
    assert_eq!(left(&mut shop, old), LENT);
    shop.wait_followed();
    shop.store.close();
    let mut same = Memory::open_on(dir.path(), Some("machine a"));
    assert_eq!((same.store.identity().epoch, same.recovered.copied_from), (old, None));
    assert_eq!(left(&mut same, old), LENT);
    let next = same.store.next_seq();
    same.store.close();

    let mut copy = Memory::open_on(dir.path(), Some("machine b"));
    assert_eq!((copy.store.identity().epoch, copy.recovered.copied_from), (new, Some(old)));
    assert_eq!(copy.store.next_seq(), next, "the journal goes on");
    assert_eq!(left(&mut copy, new), 0, "nothing was lent to the new life");
    assert!(!lend(&mut copy, old), "what is said to the old life is not for it");
    assert!(lend(&mut copy, new));
    let sold = copy.decide("till-1", "event", &json!({ "kind": "door" }));
    copy.wait_followed();
    let tally = copy.store.tally().expect("the tables can say");
    assert_eq!((tally.epoch, tally.first, tally.through), (new, next, sold), "a new life counts anew");
    copy.store.close();
    let again = Memory::open_on(dir.path(), None);
    assert_eq!(
        (again.store.identity().epoch, again.recovered.copied_from),
        (new, None),
        "not told, not asked"
    );
}
