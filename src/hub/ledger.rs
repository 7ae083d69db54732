//! Who has sent what: each (store, epoch, seq) once, in order, without gaps.
//!
//! A `Line` is one epoch of one store: its first number and a mark for each one since. `apply` says what is new about a
//! batch as `Record`s, which `files` appends; `replay` makes the same ledger from the records again.
//!
//! Invariants:
//! - A batch that does not begin at or before the next expected number is refused ("again"): no gap by accident. Numbers
//!   that the shop declares gone are recorded as such and counted.
//! - The same key with another hash is a conflict for the quarantine and changes nothing.
//! - A new epoch begins at 1 (a spare box), or where an older epoch of the same store ends (a journal that goes on).
//! - `durable_through` rises only by `covered`. The incarnation never goes down, and rises when a shop knows more of
//!   this head office than it does itself: then it was restored from a copy and nobody told it.

use std::collections::{BTreeMap, BTreeSet};

use crate::domain::calendar::UnixMs;
use crate::domain::ids::{Epoch, Seq, StoreId};
use crate::limits;
use crate::upstream::wire::{Batch, EntryHash, Hello, Item, Standing};

/// What a batch adds to a line; the unit of the log.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Record {
    /// An entry with its bytes: the next one, or one that was withheld or thought gone.
    Entry {
        /// Its place.
        seq: Seq,
        /// Of its bytes.
        hash: EntryHash,
        /// The journal's bytes.
        bytes: Vec<u8>,
    },
    /// The next entry, by its hash: the shop parked it.
    Withheld {
        /// Its place.
        seq: Seq,
        /// Of the bytes the shop holds.
        hash: EntryHash,
    },
    /// The shop's journal does not hold these numbers any more.
    Hole {
        /// The first.
        from: Seq,
        /// The last.
        through: Seq,
    },
}

/// What came under a key that was taken.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Conflict {
    /// The key.
    pub seq: Seq,
    /// The other hash.
    pub hash: EntryHash,
    /// The other bytes, where they came.
    pub bytes: Vec<u8>,
}

/// What became of a batch.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Outcome {
    /// New; to be written before anything is answered.
    pub records: Vec<Record>,
    /// To be kept for a human.
    pub conflicts: Vec<Conflict>,
    /// Entries that were there already.
    pub duplicates: u64,
    /// It does not follow: the shop is to send again.
    pub again: bool,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Mark {
    Entry(EntryHash),
    Withheld(EntryHash),
}

/// One epoch of one store.
#[derive(Clone, Debug)]
struct Line {
    base: Seq,
    /// The epoch this one goes on from, in the same journal.
    after: Option<Epoch>,
    next: Seq,
    /// What is there; a number before `next` that is not here is a hole, so that declaring a huge one costs nothing.
    marks: BTreeMap<Seq, Mark>,
    durable_through: Seq,
    withheld: BTreeSet<Seq>,
    parked: BTreeSet<Seq>,
    lost: u64,
}

impl Line {
    fn new(base: Seq, after: Option<Epoch>) -> Line {
        Line {
            base,
            after,
            next: base,
            marks: BTreeMap::new(),
            durable_through: Seq(0),
            withheld: BTreeSet::new(),
            parked: BTreeSet::new(),
            lost: 0,
        }
    }

    fn next(&self) -> Seq {
        self.next
    }

    /// Takes one item at its place; a record if it is news.
    fn take(&mut self, seq: Seq, item: Item, outcome: &mut Outcome) {
        if seq < self.base {
            // Of the epoch before, or of nobody: not this line's to judge.
            outcome.duplicates += 1;
            return;
        }
        let record = match (self.marks.get(&seq).copied(), item.bytes) {
            (None, Some(bytes)) => Record::Entry { seq, hash: item.hash, bytes },
            (None, None) => Record::Withheld { seq, hash: item.hash },
            (Some(Mark::Withheld(hash)), Some(bytes)) if hash == item.hash => {
                Record::Entry { seq, hash, bytes }
            }
            (Some(Mark::Entry(hash) | Mark::Withheld(hash)), bytes) if hash != item.hash => {
                let bytes = bytes.unwrap_or_default();
                outcome.conflicts.push(Conflict { seq, hash: item.hash, bytes });
                return;
            }
            (Some(_), _) => {
                outcome.duplicates += 1;
                return;
            }
        };
        self.book(&record);
        outcome.records.push(record);
    }

    /// Follows a record; false if it does not belong here.
    fn book(&mut self, record: &Record) -> bool {
        let (seq, mark) = match record {
            Record::Hole { from, through } => {
                if *from != self.next() || through < from {
                    return false;
                }
                self.lost += through.0 - from.0 + 1;
                self.next = Seq(through.0 + 1);
                return true;
            }
            Record::Entry { seq, hash, .. } => (*seq, Mark::Entry(*hash)),
            Record::Withheld { seq, hash } => (*seq, Mark::Withheld(*hash)),
        };
        match self.marks.get(&seq) {
            Some(Mark::Entry(_)) => return false,
            Some(Mark::Withheld(_)) => {}
            None if seq == self.next => self.next = Seq(seq.0 + 1),
            None if (self.base..self.next).contains(&seq) => self.lost -= 1,
            None => return false,
        }
        self.marks.insert(seq, mark);
        match mark {
            Mark::Withheld(_) => self.withheld.insert(seq),
            _ => self.withheld.remove(&seq),
        };
        true
    }
}

/// One line, for people.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct LineView {
    /// The epoch.
    pub epoch: Epoch,
    /// Applied.
    pub applied_through: Seq,
    /// Covered by the backup.
    pub durable_through: Seq,
    /// Numbers the shop's journal lost.
    pub lost: u64,
    /// Kept, not understood.
    pub parked: u64,
    /// Known by hash only.
    pub withheld: u64,
}

/// All stores' lines.
#[derive(Clone, Debug, Default)]
pub struct Ledger {
    incarnation: u64,
    stores: BTreeMap<StoreId, BTreeMap<Epoch, Line>>,
}

/// The incarnation of a head office that begins at `now` from a backup of incarnation `backed`: two of the same backup
/// differ, so that no shop takes what the one said for the other's word.
pub fn restored(backed: u64, now: UnixMs) -> u64 {
    (backed + 1).max(u64::try_from(now.0 / 1_000).unwrap_or_default())
}

impl Ledger {
    /// An empty ledger of this incarnation, at least 1.
    pub fn new(incarnation: u64) -> Ledger {
        Ledger { incarnation: incarnation.max(1), stores: BTreeMap::new() }
    }

    /// Which life of head office's data this is.
    pub fn incarnation(&self) -> u64 {
        self.incarnation
    }

    /// Becomes another incarnation, because something else than a hello shows that data was lost; to be written down
    /// before it is said.
    pub fn renew(&mut self) -> u64 {
        self.incarnation += 1;
        self.incarnation
    }

    /// The stores that ever sent something, or said hello.
    pub fn stores(&self) -> impl Iterator<Item = &StoreId> {
        self.stores.keys()
    }

    /// A store's lines, oldest epoch first.
    pub fn lines(&self, store: &StoreId) -> Vec<LineView> {
        let lines = self.stores.get(store).into_iter().flatten();
        lines
            .map(|(epoch, line)| LineView {
                epoch: *epoch,
                applied_through: Seq(line.next().0 - 1),
                durable_through: line.durable_through,
                lost: line.lost,
                parked: line.parked.len() as u64,
                withheld: line.withheld.len() as u64,
            })
            .collect()
    }

    /// How far a line was read, and whether nothing of it is withheld, lost or not understood.
    pub fn read_through(&self, store: &StoreId, epoch: Epoch) -> Option<(Seq, bool)> {
        let line = self.stores.get(store)?.get(&epoch)?;
        let whole = line.withheld.is_empty() && line.parked.is_empty() && line.lost == 0;
        Some((Seq(line.next().0 - 1), whole))
    }

    /// A shop is here: `None` if there is no room for it. True if this head office became another incarnation, which is
    /// to be written down before it is said.
    pub fn hello(&mut self, store: &StoreId, hello: &Hello) -> Option<(Standing, bool)> {
        if !self.stores.contains_key(store) {
            if self.stores.len() >= limits::HUB_STORES_MAX {
                return None;
            }
            self.stores.insert(store.clone(), BTreeMap::new());
        }
        // A journal that begins at 1 and has one epoch is a box of its own; any other goes on from an older epoch.
        let alone = hello.first_epoch == hello.epoch && hello.first == Seq(1);
        let standing = self.standing(store, hello.epoch, !alone);
        let knows_more =
            hello.incarnation == self.incarnation && hello.applied_through > standing.applied_through;
        let renewed = hello.incarnation > self.incarnation || knows_more;
        if renewed {
            self.incarnation = self.incarnation.max(hello.incarnation) + 1;
        }
        Some((standing, renewed))
    }

    /// What there is of the journal that is in `epoch` now. `goes_on`: without a line for the epoch, what an older one has.
    pub fn standing(&self, store: &StoreId, epoch: Epoch, goes_on: bool) -> Standing {
        let mut standing = Standing { epoch, ..Standing::default() };
        let Some(lines) = self.stores.get(store) else { return standing };
        let older = || lines.range(..epoch).next_back().filter(|_| goes_on).map(|(older, _)| *older);
        let mut at = if lines.contains_key(&epoch) { Some(epoch) } else { older() };
        let mut newest = true;
        while let Some((line, of)) = at.and_then(|of| Some((lines.get(&of)?, of))) {
            if std::mem::take(&mut newest) {
                standing.applied_through = Seq(line.next().0 - 1);
            }
            if standing.durable_through == Seq(0) {
                standing.durable_through = line.durable_through;
            }
            standing.parked.extend(&line.parked);
            standing.withheld.extend(&line.withheld);
            at = line.after.filter(|after| *after < of);
        }
        for seqs in [&mut standing.parked, &mut standing.withheld] {
            seqs.sort_unstable();
            seqs.truncate(limits::UPSTREAM_PARKED_MAX);
        }
        standing
    }

    /// What is new about a batch whose unpacked entries are `items`.
    pub fn apply(&mut self, store: &StoreId, batch: &Batch, items: Vec<Item>) -> Outcome {
        let mut outcome = Outcome::default();
        let Some(line) = self.line_for(store, batch.epoch, batch.from) else {
            outcome.again = true;
            return outcome;
        };
        let next = line.next();
        let last = Seq(batch.first.0 + items.len() as u64 - 1);
        if batch.from > next {
            outcome.again = true;
            return outcome;
        }
        if batch.first > next {
            let hole = Record::Hole { from: next, through: Seq(batch.first.0 - 1) };
            line.book(&hole);
            outcome.records.push(hole);
        }
        for (seq, item) in (batch.first.0..=last.0).map(Seq).zip(items) {
            line.take(seq, item, &mut outcome);
        }
        outcome
    }

    /// The line of an epoch, begun if it may begin at `from`.
    fn line_for(&mut self, store: &StoreId, epoch: Epoch, from: Seq) -> Option<&mut Line> {
        if !self.stores.contains_key(store) && self.stores.len() >= limits::HUB_STORES_MAX {
            return None;
        }
        let lines = self.stores.entry(store.clone()).or_default();
        if !lines.contains_key(&epoch) {
            let older = lines.range(..epoch).next_back().map(|(older, line)| (*older, line.next()));
            let after = match older {
                Some((older, next)) if next == from && from > Seq(1) => Some(older),
                _ if from == Seq(1) => None,
                _ => return None,
            };
            if lines.len() >= limits::HUB_EPOCHS_MAX {
                return None;
            }
            lines.insert(epoch, Line::new(from, after));
        }
        lines.get_mut(&epoch)
    }

    /// Follows the log: a line as it was begun.
    pub fn replay_line(&mut self, store: &StoreId, epoch: Epoch, base: Seq) {
        let lines = self.stores.entry(store.clone()).or_default();
        let older = lines.range(..epoch).next_back();
        let after = older.filter(|(_, line)| base > Seq(1) && line.next() == base).map(|(older, _)| *older);
        lines.insert(epoch, Line::new(base, after));
    }

    /// Follows the log: one record; false if it does not belong there.
    pub fn replay(&mut self, store: &StoreId, epoch: Epoch, record: &Record) -> bool {
        let line = self.stores.get_mut(store).and_then(|lines| lines.get_mut(&epoch));
        line.is_some_and(|line| line.book(record))
    }

    /// Where a line began; what its log's header says.
    pub fn base(&self, store: &StoreId, epoch: Epoch) -> Option<Seq> {
        Some(self.stores.get(store)?.get(&epoch)?.base)
    }

    /// An entry is kept and not understood.
    pub fn park(&mut self, store: &StoreId, epoch: Epoch, seq: Seq) {
        if let Some(line) = self.stores.get_mut(store).and_then(|lines| lines.get_mut(&epoch)) {
            line.parked.insert(seq);
        }
    }

    /// Everything applied on this line is in the backup now.
    pub fn backed_up(&mut self, store: &StoreId, epoch: Epoch) {
        self.covered(store, epoch, Seq(u64::MAX));
    }

    /// What is applied on this line is in the backup through here.
    pub fn covered(&mut self, store: &StoreId, epoch: Epoch, through: Seq) {
        if let Some(line) = self.stores.get_mut(store).and_then(|lines| lines.get_mut(&epoch)) {
            line.durable_through = line.durable_through.max(through.min(Seq(line.next().0 - 1)));
        }
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;
    use crate::upstream::wire::{Blob, PROTOCOL};

    fn store() -> StoreId {
        StoreId::new("s1").expect("a store id")
    }

    fn entry(seq: u64) -> Item {
        Item::new(format!("entry {seq}").into_bytes())
    }

    fn send(ledger: &mut Ledger, epoch: u64, from: u64, items: &[(u64, Item)]) -> Outcome {
        let first = Seq(items[0].0);
        let count = items.len() as u32;
        let batch =
            Batch { v: PROTOCOL, epoch: Epoch(epoch), from: Seq(from), first, count, body: Blob::default() };
        ledger.apply(&store(), &batch, items.iter().map(|(_, item)| item.clone()).collect())
    }

    fn run(seqs: std::ops::RangeInclusive<u64>) -> Vec<(u64, Item)> {
        seqs.map(|seq| (seq, entry(seq))).collect()
    }

    fn hello(epoch: u64, first_epoch: u64, first: u64, incarnation: u64, applied: u64) -> Hello {
        Hello {
            v: PROTOCOL,
            nonce: 0,
            epoch: Epoch(epoch),
            first_epoch: Epoch(first_epoch),
            first: Seq(first),
            next: Seq(1_000),
            incarnation,
            applied_through: Seq(applied),
            bundle: None,
            program: String::new(),
            tally: None,
        }
    }

    fn applied(ledger: &Ledger, epoch: u64) -> u64 {
        ledger.standing(&store(), Epoch(epoch), false).applied_through.0
    }

    #[test]
    fn is_a_gap_refused_and_a_declared_hole_counted() {
        let mut ledger = Ledger::new(1);
        assert_eq!(send(&mut ledger, 1, 1, &run(1..=3)).records.len(), 3);
        let gap = send(&mut ledger, 1, 5, &run(5..=6));
        assert!(gap.again && gap.records.is_empty());
        assert_eq!(applied(&ledger, 1), 3);
        let hole = send(&mut ledger, 1, 4, &run(6..=7));
        assert_eq!(hole.records[0], Record::Hole { from: Seq(4), through: Seq(5) });
        assert_eq!((applied(&ledger, 1), ledger.lines(&store())[0].lost), (7, 2));
        send(&mut ledger, 1, 4, &run(4..=4));
        assert_eq!(ledger.lines(&store())[0].lost, 1, "what turns up again is taken");
        let far = 1 << 60;
        send(&mut ledger, 1, 8, &[(far, entry(far))]);
        assert_eq!(ledger.lines(&store())[0].lost, far - 8 + 1, "a huge hole is a number, not memory");
    }

    #[test]
    fn is_another_hash_under_the_same_key_set_aside() {
        let mut ledger = Ledger::new(1);
        send(&mut ledger, 1, 1, &run(1..=3));
        let forged = send(&mut ledger, 1, 2, &[(2, entry(99)), (3, entry(3)), (4, entry(4))]);
        assert_eq!(forged.conflicts.iter().map(|c| c.seq.0).collect::<Vec<_>>(), [2]);
        assert_eq!((forged.duplicates, forged.records.len(), applied(&ledger, 1)), (1, 1, 4));
    }

    #[test]
    fn does_a_parked_entry_hold_its_place_until_its_bytes_come() {
        let mut ledger = Ledger::new(1);
        let withheld = Item { bytes: None, ..entry(2) };
        send(&mut ledger, 1, 1, &[(1, entry(1)), (2, withheld.clone()), (3, entry(3))]);
        assert_eq!(ledger.standing(&store(), Epoch(1), false).withheld, [Seq(2)]);
        assert_eq!(send(&mut ledger, 1, 2, &[(2, withheld)]).duplicates, 1);
        assert_eq!(
            send(&mut ledger, 1, 2, &[(2, entry(9))]).conflicts.len(),
            1,
            "other bytes are not its bytes"
        );
        assert_eq!(send(&mut ledger, 1, 2, &run(2..=2)).records.len(), 1);
        assert!(ledger.standing(&store(), Epoch(1), false).withheld.is_empty());
    }

    #[test]
    fn does_a_spare_box_begin_anew_and_a_journal_that_goes_on_not() {
        let mut ledger = Ledger::new(1);
        send(&mut ledger, 1, 1, &run(1..=5));
        ledger.backed_up(&store(), Epoch(1));
        let (spare, _) = ledger.hello(&store(), &hello(2, 2, 1, 1, 0)).expect("a place");
        assert_eq!(spare.applied_through, Seq(0));
        let (same, _) = ledger.hello(&store(), &hello(3, 1, 1, 1, 5)).expect("a place");
        assert_eq!((same.applied_through, same.durable_through), (Seq(5), Seq(5)));
        assert!(send(&mut ledger, 3, 7, &run(7..=7)).again, "an epoch does not begin in a gap");
        assert_eq!(send(&mut ledger, 3, 6, &run(6..=7)).records.len(), 2);
        let went_on = ledger.standing(&store(), Epoch(3), false);
        assert_eq!((went_on.applied_through, went_on.durable_through), (Seq(7), Seq(5)));
        assert_eq!(
            send(&mut ledger, 2, 1, &run(1..=2)).records.len(),
            2,
            "the spare box has numbers of its own"
        );
    }

    #[test]
    fn does_head_office_notice_that_it_was_restored() {
        let mut ledger = Ledger::new(4);
        send(&mut ledger, 1, 1, &run(1..=5));
        assert_eq!(ledger.hello(&store(), &hello(1, 1, 1, 4, 5)).map(|(_, renewed)| renewed), Some(false));
        assert_eq!(ledger.hello(&store(), &hello(1, 1, 1, 3, 900)).map(|(_, renewed)| renewed), Some(false));
        assert_eq!(ledger.hello(&store(), &hello(1, 1, 1, 4, 6)).map(|(_, renewed)| renewed), Some(true));
        assert_eq!(ledger.incarnation(), 5);
        ledger.hello(&store(), &hello(1, 1, 1, 9, 0));
        assert_eq!(ledger.incarnation(), 10, "above whatever a shop has heard");
    }

    proptest! {
        /// Any cut of the journal into batches, in any order, with repetitions: once, in order, and the log says the same.
        #[test]
        fn is_each_entry_applied_once_in_order(cuts in proptest::collection::vec((1_u64..30, 1_u64..6), 1..120)) {
            let mut ledger = Ledger::new(1);
            let mut log = Vec::new();
            for (from, count) in cuts {
                let outcome = send(&mut ledger, 1, from, &run(from..=from + count - 1));
                prop_assert!(outcome.conflicts.is_empty());
                log.extend(outcome.records);
            }
            let seqs: Vec<u64> = log.iter().map(|record| match record {
                Record::Entry { seq, .. } | Record::Withheld { seq, .. } => seq.0,
                Record::Hole { .. } => 0,
            }).collect();
            prop_assert_eq!(&seqs, &(1..=applied(&ledger, 1)).collect::<Vec<_>>());
            let mut again = Ledger::new(1);
            again.replay_line(&store(), Epoch(1), Seq(1));
            prop_assert!(log.iter().all(|record| again.replay(&store(), Epoch(1), record)));
            prop_assert_eq!(again.lines(&store())[0].applied_through, Seq(applied(&ledger, 1)));
        }
    }
}
