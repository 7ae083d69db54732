//! Moves the home of a single-use code from one shop to another: release, look at the journal, adopt.
//!
//! The old home is told `Release`; its journal, read here in order, shows whether it let go (the code stands there with its
//! new home) or not (redeemed, not known, not its home). Only then the new home is told `Adopt`. The log holds that a move
//! was asked for and every word; what became of them is in the journals alone.
//!
//! Invariants (I8):
//! - `Adopt` is made only while the newest life of the old home's box has let go in a decision that was read.
//! - An answer counts for the move whose word it answers, never for an earlier move between the same shops.
//! - A new life of a box that once gave a code up, or took it over, is told again: its tables may be of before.

use std::collections::{BTreeMap, BTreeSet};

use serde::Serialize;

use super::{Lender, Record};
use crate::domain::ids::{CouponCode, Epoch, StoreId};
use crate::domain::lease::{LeaseId, Say, Word};
use crate::engine::decision::{Entry, IssuedCode, Key, Record as Kept};
use crate::engine::input::Input;
use crate::limits;

/// What became of the wish to move a code.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Asked {
    /// It is logged, and done as the shops come by.
    Yes,
    /// Both shops are one.
    Same,
    /// A shop that never said hello.
    StoreUnknown,
    /// An earlier move of it is not done.
    OnItsWay,
    /// An earlier move took it to another shop than the one named.
    Elsewhere,
    /// `HUB_MOVES_MAX` codes were moved.
    Full,
}

/// How far a move is.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Stage {
    /// The old home has not answered: it is redeemed there or nowhere.
    Releasing,
    /// The old home has let go, the new one has not answered: it is redeemed nowhere.
    Adopting,
    /// The new home has it.
    Done,
    /// The old home keeps it: it redeemed it, does not know it, or is not its home.
    KeptByOld,
    /// The new home knows of a later move than this head office.
    RefusedByNew,
}

impl Stage {
    /// Did the code stay where it was?
    pub fn has_failed(self) -> bool {
        matches!(self, Stage::KeptByOld | Stage::RefusedByNew)
    }
}

/// One move, for people.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct MoveView {
    /// Which code.
    pub code: CouponCode,
    /// From.
    pub from: StoreId,
    /// To.
    pub to: StoreId,
    /// How far it is.
    pub stage: Stage,
}

#[derive(Clone, Debug)]
struct Move {
    from: StoreId,
    to: StoreId,
    /// The words of this move, and whether each is an `Adopt`.
    words: BTreeMap<(StoreId, Epoch, LeaseId), bool>,
    /// To whom nothing has to be said again.
    answered: BTreeSet<(StoreId, Epoch, bool)>,
    /// What the newest life of the old home that answered made of it: the code as it let it go, or nothing.
    left: Option<(Epoch, Option<IssuedCode>)>,
    /// Whether the new home took it.
    taken: Option<bool>,
    /// Former homes: a new life of theirs may not know that it is none.
    former: BTreeSet<StoreId>,
    /// Moves of this code that are known here, those of before included.
    count: u32,
}

impl Move {
    fn stage(&self) -> Stage {
        match (&self.left, self.taken) {
            (None, _) => Stage::Releasing,
            (Some((_, None)), _) => Stage::KeptByOld,
            (Some(_), None) => Stage::Adopting,
            (Some(_), Some(true)) => Stage::Done,
            (Some(_), Some(false)) => Stage::RefusedByNew,
        }
    }

    fn view(&self, code: &CouponCode) -> MoveView {
        let (from, to) = (self.from.clone(), self.to.clone());
        MoveView { code: code.clone(), from, to, stage: self.stage() }
    }

    /// What a life of a box has to hear; `newest` of the old home.
    fn owes(&self, code: &CouponCode, store: &StoreId, newest: Option<Epoch>) -> Option<Say> {
        let release = |to: &StoreId, nth| Say::Release { code: code.clone(), to: to.clone(), nth };
        let let_go = self.left.as_ref().and_then(|(epoch, issued)| Some((*epoch, issued.as_ref()?)));
        if *store == self.from {
            return (self.stage() != Stage::KeptByOld).then(|| release(&self.to, self.count + 1));
        }
        if *store == self.to
            && let Some((epoch, issued)) = let_go
        {
            let is_newest = newest.is_none_or(|newest| newest == epoch);
            return is_newest.then(|| Say::Adopt {
                code: code.clone(),
                coupon: issued.coupon.clone(),
                member: issued.member.clone(),
                expires: issued.expires,
                nth: issued.moved,
            });
        }
        let home = if let_go.is_some() { &self.to } else { &self.from };
        self.former.contains(store).then(|| release(home, self.count.max(1)))
    }
}

/// All moves that were ever asked for, the last one of each code.
#[derive(Clone, Debug, Default)]
pub(super) struct Homes {
    moves: BTreeMap<CouponCode, Move>,
    of_store: BTreeMap<StoreId, BTreeSet<CouponCode>>,
    /// Codes about which something new is to be said.
    due: BTreeSet<CouponCode>,
}

impl Homes {
    /// A move was asked for; it takes the place of one that is over.
    pub(super) fn begin(&mut self, code: &CouponCode, from: &StoreId, to: &StoreId) {
        let before = self.moves.remove(code);
        let mut former = before.as_ref().map(|before| before.former.clone()).unwrap_or_default();
        let mut count = before.as_ref().map_or(0, |before| before.count);
        if let Some(before) = before.filter(|before| before.stage() != Stage::KeptByOld) {
            former.insert(before.from);
            count += 1;
        }
        for store in former.iter().chain([from, to]) {
            self.of_store.entry(store.clone()).or_default().insert(code.clone());
        }
        let (from, to) = (from.clone(), to.clone());
        let (words, answered) = (BTreeMap::new(), BTreeSet::new());
        let it = Move { from, to, words, answered, left: None, taken: None, former, count };
        self.moves.insert(code.clone(), it);
        self.due.insert(code.clone());
    }

    /// A word was made.
    pub(super) fn said(&mut self, store: &StoreId, word: &Word) {
        let (code, adopts) = match &word.say {
            Say::Release { code, .. } => (code, false),
            Say::Adopt { code, .. } => (code, true),
            Say::Greet | Say::Grant { .. } | Say::TopUp { .. } | Say::Seal { .. } => return,
        };
        if let Some(it) = self.moves.get_mut(code) {
            it.words.insert((store.clone(), word.epoch, word.id), adopts);
        }
    }

    /// Reads what a box made of a word.
    pub(super) fn read(&mut self, store: &StoreId, epoch: Epoch, entry: &Entry) {
        let Input::Lease(word) = &entry.input else { return };
        let (Say::Release { code, .. } | Say::Adopt { code, .. }) = &word.say else { return };
        let Some(it) = self.moves.get_mut(code) else { return };
        let Some(adopts) = it.words.get(&(store.clone(), epoch, word.id)).copied() else { return };
        let issued = entry.changes.iter().find_map(|change| match (&change.key, &change.record) {
            (Key::Code(of), Some(Kept::Code(issued))) if of == code => Some(issued.clone()),
            _ => None,
        });
        it.answered.insert((store.clone(), epoch, adopts));
        if adopts {
            it.taken = Some(it.taken == Some(true) || issued.is_some());
        } else if *store == it.from {
            let before = it.left.as_ref().map(|(epoch, issued)| (*epoch, issued.is_some()));
            if before.is_none_or(|before| (epoch, issued.is_some()) > before) {
                it.left = Some((epoch, issued));
            }
        }
        self.due.insert(code.clone());
    }

    /// Moves that are not done.
    fn open(&self) -> impl Iterator<Item = MoveView> {
        let views = self.moves.iter().map(|(code, it)| it.view(code));
        views.filter(|view| view.stage != Stage::Done)
    }
}

impl Lender {
    /// A human has a code's home moved.
    pub fn move_code(&mut self, code: &CouponCode, from: &StoreId, to: &StoreId) -> Asked {
        if from == to {
            return Asked::Same;
        }
        if !self.lanes.contains_key(from) || !self.lanes.contains_key(to) {
            return Asked::StoreUnknown;
        }
        match self.homes.moves.get(code) {
            None if self.homes.moves.len() >= limits::HUB_MOVES_MAX => return Asked::Full,
            None => {}
            Some(before) => match before.stage() {
                Stage::Releasing | Stage::Adopting => return Asked::OnItsWay,
                Stage::Done if before.to != *from => return Asked::Elsewhere,
                Stage::Done | Stage::KeptByOld | Stage::RefusedByNew => {}
            },
        }
        let (from, to) = (from.clone(), to.clone());
        self.homes.begin(code, &from, &to);
        self.records.push(Record::Move { code: code.clone(), from, to });
        Asked::Yes
    }

    /// The last move of a code, done or not.
    pub fn move_of(&self, code: &CouponCode) -> Option<MoveView> {
        self.homes.moves.get(code).map(|it| it.view(code))
    }

    /// Moves that are not done, for people.
    pub fn moves(&self) -> Vec<MoveView> {
        self.homes.open().collect()
    }

    /// Says what follows from answers that were read.
    pub fn go_on_moving(&mut self) {
        for code in std::mem::take(&mut self.homes.due) {
            let Some(it) = self.homes.moves.get(&code) else { continue };
            for store in [it.from.clone(), it.to.clone()] {
                self.tell_home(&store, &code);
            }
        }
    }

    /// A box is here: says again what its newest life has not answered.
    pub(super) fn tell_homes(&mut self, store: &StoreId) {
        for code in self.homes.of_store.get(store).cloned().unwrap_or_default() {
            self.tell_home(store, &code);
        }
    }

    fn tell_home(&mut self, store: &StoreId, code: &CouponCode) {
        let Some(it) = self.homes.moves.get(code) else { return };
        let (Some(epoch), Some(say)) = (self.newest(store), it.owes(code, store, self.newest(&it.from)))
        else {
            return;
        };
        let adopts = matches!(say, Say::Adopt { .. });
        let is_answered = it.answered.contains(&(store.clone(), epoch, adopts));
        let is_coming = self.lane(store, epoch).is_some_and(|lane| {
            let is_it = |id: LeaseId| it.words.get(&(store.clone(), epoch, id)) == Some(&adopts);
            let own = lane.pending.iter().filter(|pending| pending.word.id.incarnation == self.incarnation);
            lane.written_off || own.into_iter().any(|pending| is_it(pending.word.id))
        });
        if !is_answered && !is_coming && it.words.len() < limits::HUB_MOVE_WORDS_MAX {
            self.say(store, epoch, say);
        }
    }
}
