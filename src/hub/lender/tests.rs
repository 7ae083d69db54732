//! The lender against shops that take, spend and forget nothing, over a line that loses, repeats and reorders.
//!
//! `World` is one head office with its log and backup, and every box of every store in arbitrary interleavings. After
//! each step the truth over all boxes is compared with the budget. Each `Wrong` must be noticed by some seed.

mod kept;

use super::*;
use crate::bundle::terms::Budget;
use crate::domain::ids::Prefix;
use crate::domain::lease::Slice;

const BUDGET: i64 = 1_000;
const DAY: i64 = 86_400_000;

fn store(number: u64) -> StoreId {
    StoreId::new(&format!("s{number}")).expect("a store id")
}

fn scope() -> Scope {
    Scope::Uses(PromotionId::new("flash").expect("an id"))
}

fn series() -> Scope {
    Scope::Series(Prefix::new("NX").expect("a prefix"))
}

fn terms() -> Terms {
    let budget = Budget { max: BUDGET, until: None };
    let sets_off =
        BTreeMap::from([(Prefix::new("NX").expect("a prefix"), PromotionId::new("next").expect("an id"))]);
    Terms { budgets: BTreeMap::from([(scope(), budget), (series(), budget)]), sets_off, ..Terms::default() }
}

/// One decision as its journal tells it.
#[derive(Clone, Debug)]
struct Told {
    scope: Scope,
    heard: Option<Heard>,
    slices: Option<Slices>,
}

/// One life of a box.
#[derive(Clone, Debug, Default)]
struct Till {
    heard: Heard,
    slices: Slices,
    /// Finals of slices that were sealed.
    finals: i64,
    journal: Vec<Told>,
    asked: u64,
    /// What it spends are numbers of a series.
    is_numbered: bool,
    given: Vec<i64>,
}

impl Till {
    fn scope(&self) -> Scope {
        if self.is_numbered { series() } else { scope() }
    }

    fn hear(&mut self, word: &Word) {
        if !self.heard.is_next(word.id) {
            return;
        }
        self.heard.last = word.id;
        let mut told = Told { scope: self.scope(), heard: Some(self.heard), slices: None };
        if word.say.scope().is_some() {
            let open: Vec<LeaseId> = self.open().map(|slice| slice.lease).collect();
            self.slices.follow(word.id, &word.say);
            let sealed = |slice: &&Slice| slice.sealed && open.contains(&slice.lease);
            self.finals += self.slices.0.iter().filter(sealed).map(|slice| slice.used).sum::<i64>();
            told.slices = Some(self.slices.clone());
        }
        self.journal.push(told);
    }

    fn open(&self) -> impl Iterator<Item = &Slice> {
        self.slices.0.iter().filter(|slice| !slice.sealed)
    }

    fn spend(&mut self, amount: i64, now: UnixMs) {
        if self.is_numbered {
            self.given.extend((0..amount / 4).map_while(|_| self.slices.take(now)));
        } else {
            let amount = amount.min(self.slices.left(now));
            assert_eq!(self.slices.spend(amount, now), 0);
        }
        self.journal.push(Told { scope: self.scope(), heard: None, slices: Some(self.slices.clone()) });
    }

    fn spent(&self) -> i64 {
        self.finals + self.open().map(|slice| slice.used).sum::<i64>()
    }

    fn burden(&self) -> i64 {
        self.finals + self.open().map(|slice| slice.amount).sum::<i64>()
    }
}

/// How far head office has read: which entries of each box, in its order.
type Reads = Vec<(StoreId, Epoch, u64)>;

struct World {
    seed: u64,
    random: u64,
    wrong: Option<Wrong>,
    has_backup: bool,
    now: UnixMs,
    lender: Lender,
    log: Vec<Record>,
    reads: Reads,
    backup: (Vec<Record>, Reads),
    tills: BTreeMap<(StoreId, Epoch), Till>,
    up: Vec<(StoreId, Ask)>,
    down: Vec<(StoreId, Words)>,
    withheld: BTreeSet<(StoreId, Epoch, u64)>,
    restores: bool,
    /// Of 40 entries.
    withholds: u64,
}

impl World {
    fn new(seed: u64, wrong: Option<Wrong>) -> World {
        let has_backup = seed.is_multiple_of(2) || wrong == Some(Wrong::NaiveRestore);
        let mut lender = Lender::new(1, has_backup).with_wrong(wrong);
        lender.set_terms(Some(terms()));
        let mut world = World {
            seed,
            random: seed,
            wrong,
            has_backup,
            now: UnixMs(1_000 * DAY),
            lender,
            log: Vec::new(),
            reads: Vec::new(),
            backup: (Vec::new(), Vec::new()),
            tills: BTreeMap::new(),
            up: Vec::new(),
            down: Vec::new(),
            withheld: BTreeSet::new(),
            restores: has_backup,
            withholds: [0, 1, 8, 20][usize::try_from(seed / 2 % 4).expect("small")],
        };
        for number in 0..4 {
            world.tills.insert((store(number), Epoch(1)), world.new_till());
            world.lender.hello(&store(number), Epoch(1), UnixMs(0));
        }
        world
    }

    /// Every third world is one of numbers.
    fn new_till(&self) -> Till {
        Till { is_numbered: self.seed % 3 == 1, ..Till::default() }
    }

    fn draw(&mut self, below: u64) -> u64 {
        self.random = self.random.wrapping_add(0x9E37_79B9_7F4A_7C15);
        let mut z = self.random;
        z = (z ^ (z >> 30)).wrapping_mul(0xBF58_476D_1CE4_E5B9);
        z = (z ^ (z >> 27)).wrapping_mul(0x94D0_49BB_1331_11EB);
        (z ^ (z >> 31)) % below
    }

    fn any_till(&mut self) -> (StoreId, Epoch) {
        let at = self.draw(self.tills.len() as u64);
        self.tills.keys().nth(usize::try_from(at).expect("small")).cloned().expect("there is one")
    }

    fn commit(&mut self) {
        self.log.extend(self.lender.take_records());
        self.lender.committed();
        let words = self.lender.words(self.now);
        self.down.extend(words);
    }

    fn applied(&self, (of, epoch): &(StoreId, Epoch)) -> Vec<u64> {
        self.reads.iter().filter(|(s, e, _)| s == of && e == epoch).map(|(_, _, seq)| *seq).collect()
    }

    /// Head office reads the next entry of a box, one it had skipped, or passes one by.
    fn read(&mut self, till: &(StoreId, Epoch), withhold: bool) {
        let is_of = |key: &&(StoreId, Epoch, u64)| (&key.0, &key.1) == (&till.0, &till.1);
        let late = self.withheld.iter().find(is_of).cloned();
        let applied = self.applied(till);
        let skipped = self.withheld.iter().filter(|(s, e, _)| (s, e) == (&till.0, &till.1));
        let next = applied.iter().chain(skipped.map(|(_, _, seq)| seq)).max().map_or(1, |seq| seq + 1);
        let seq = match late {
            Some((_, _, seq)) if !withhold && self.draw(3) == 0 => seq,
            _ => next,
        };
        let Some(told) = self.tills[till].journal.get(usize::try_from(seq).expect("small") - 1).cloned()
        else {
            return;
        };
        let key = (till.0.clone(), till.1, seq);
        if withhold {
            self.withheld.insert(key);
            self.lender.unread(&till.0, till.1);
        } else {
            self.withheld.remove(&key);
            replay_entry(&mut self.lender, &key, &told);
            self.reads.push(key);
        }
        let whole = !self.withheld.iter().any(|(s, e, _)| (s, e) == (&till.0, &till.1));
        self.lender.line(&till.0, till.1, Seq(next.max(seq)), whole);
    }

    fn restore(&mut self) {
        let incarnation = match self.wrong {
            Some(Wrong::NaiveRestore) => 1,
            _ => self.lender.incarnation() + 1,
        };
        (self.log, self.reads) = self.backup.clone();
        self.withheld.clear();
        for till in self.tills.keys().cloned().collect::<Vec<_>>() {
            let read = self.applied(&till);
            let skipped = (1..read.iter().max().copied().unwrap_or(0)).filter(|seq| !read.contains(seq));
            self.withheld.extend(skipped.map(|seq| (till.0.clone(), till.1, seq)));
        }
        self.lender = self.again(incarnation);
        for till in self.tills.keys().cloned().collect::<Vec<_>>() {
            self.lender.hello(&till.0, till.1, self.now);
        }
    }

    /// What log and journals say.
    fn again(&self, incarnation: u64) -> Lender {
        let mut lender = Lender::new(incarnation, self.has_backup).with_wrong(self.wrong);
        assert!(self.log.iter().all(|record| lender.replay(record)));
        let mut through: BTreeMap<(StoreId, Epoch), u64> = BTreeMap::new();
        for key @ (of, epoch, seq) in &self.reads {
            let till = (of.clone(), *epoch);
            let told = &self.tills[&till].journal[usize::try_from(*seq).expect("small") - 1];
            if *seq != through.get(&till).copied().unwrap_or(0) + 1 {
                lender.unread(of, *epoch);
            }
            replay_entry(&mut lender, key, told);
            let far = through.entry(till.clone()).or_default();
            *far = (*far).max(*seq);
            let whole = !self.withheld.iter().any(|(s, e, _)| (s, e) == (&till.0, &till.1));
            lender.line(of, *epoch, Seq(*far), whole);
        }
        lender.replayed();
        lender.set_terms(Some(terms()));
        lender
    }

    fn step(&mut self) {
        match self.draw(24) {
            0..=4 => {
                let till = self.any_till();
                let need = i64::try_from(self.draw(1_000)).expect("small");
                let incarnation = self.lender.incarnation();
                let at = self.tills.get_mut(&till).expect("it exists");
                at.asked += 1;
                let (number, as_of) = (at.asked, Seq(at.journal.len() as u64));
                let wants = vec![Want { scope: at.scope(), left: at.slices.left(self.now), need }];
                let ask = Ask { v: PROTOCOL, epoch: till.1, incarnation, number, as_of, wants };
                self.up.push((till.0, ask));
            }
            5..=8 if !self.up.is_empty() => {
                let at = usize::try_from(self.draw(self.up.len() as u64)).expect("small");
                let (of, ask) = self.up[at].clone();
                self.lender.ask(&of, &ask, self.now, &|_| None);
                if self.draw(3) > 0 {
                    self.up.remove(at);
                }
            }
            9..=11 if !self.down.is_empty() => {
                let at = usize::try_from(self.draw(self.down.len() as u64)).expect("small");
                let (of, words) = self.down[at].clone();
                let till = self.tills.get_mut(&(of, words.epoch)).expect("words are for a box that was here");
                words.words.iter().for_each(|word| till.hear(word));
                if self.draw(3) > 0 {
                    self.down.remove(at);
                }
            }
            12..=14 => {
                let till = self.any_till();
                let amount = i64::try_from(self.draw(200)).expect("small");
                // Its clock may be anything.
                let skew = (i64::try_from(self.draw(21)).expect("small") - 10) * DAY;
                let now = self.now.plus_ms(skew);
                self.tills.get_mut(&till).expect("it exists").spend(amount, now);
            }
            15..=18 => {
                let till = self.any_till();
                for _ in 0..self.draw(5) {
                    let withhold = self.draw(40) < self.withholds;
                    self.read(&till, withhold);
                }
            }
            19 => self.commit(),
            20 => {
                self.commit();
                if self.wrong.is_none() && self.draw(2) == 0 {
                    self.log = self.lender.fold(std::mem::take(&mut self.log));
                }
                self.backup = (self.log.clone(), self.reads.clone());
                self.lender.covered();
            }
            21 => {
                self.now = self.now.plus_ms(i64::try_from(self.draw(4)).expect("small") * DAY);
                self.lender.tick(self.now);
            }
            22 => {
                let till = self.any_till();
                match self.draw(4) {
                    0 if self.tills.len() < 8 => {
                        let newest = self.tills.keys().filter(|(of, _)| *of == till.0).count() as u64 + 1;
                        let new = self.new_till();
                        self.tills.insert((till.0.clone(), Epoch(newest)), new);
                        self.lender.hello(&till.0, Epoch(newest), self.now);
                    }
                    1 if self.draw(4) == 0 => {
                        self.lender.write_off(&till.0, till.1);
                    }
                    _ => self.lender.hello(&till.0, till.1, self.now),
                }
            }
            _ if self.restores && self.draw(12) == 0 => self.restore(),
            _ => {}
        }
    }

    /// Every fault stops: all is said, heard and read.
    fn calm(&mut self) {
        self.down.clear();
        self.withholds = 0;
        for _ in 0..6 {
            for till in self.tills.keys().cloned().collect::<Vec<_>>() {
                self.lender.hello(&till.0, till.1, self.now);
            }
            self.commit();
            self.lender.covered();
            let words = self.lender.words(self.now);
            self.down.extend(words);
            for (of, words) in std::mem::take(&mut self.down) {
                let till = self.tills.get_mut(&(of, words.epoch)).expect("words are for a box that was here");
                words.words.iter().for_each(|word| till.hear(word));
            }
            for till in self.tills.keys().cloned().collect::<Vec<_>>() {
                let all = self.tills[&till].journal.len();
                while self.applied(&till).len() < all {
                    self.read(&till, false);
                }
            }
        }
    }

    fn truth(&self) -> Result<(), String> {
        let breaches = self.lender.check();
        if !breaches.is_empty() {
            return Err(format!("{breaches:?}"));
        }
        let spent: i64 = self.tills.values().map(Till::spent).sum();
        let burden: i64 = self.tills.values().map(Till::burden).sum();
        if burden > BUDGET {
            return Err(format!("{spent} spent, {burden} lent or spent of {BUDGET}"));
        }
        let mut given: Vec<i64> = self.tills.values().flat_map(|till| till.given.iter().copied()).collect();
        let count = given.len();
        given.sort_unstable();
        given.dedup();
        let is_of_series = |serial: &i64| (1..=BUDGET).contains(serial);
        if given.len() < count || !given.iter().all(is_of_series) {
            return Err(format!("{} numbers were given out, {count} times", given.len()));
        }
        Ok(())
    }
}

fn replay_entry(lender: &mut Lender, (of, epoch, seq): &(StoreId, Epoch, u64), told: &Told) {
    let held: Vec<_> = told.slices.iter().map(|slices| (&told.scope, Some(slices))).collect();
    lender.read(of, *epoch, Seq(*seq), told.heard, &held);
}

/// Steps until the truth is broken.
fn run(seed: u64, wrong: Option<Wrong>, steps: u32) -> Result<World, String> {
    let mut world = World::new(seed, wrong);
    for step in 0..steps {
        world.step();
        world.truth().map_err(|broken| format!("seed {seed}, step {step}: {broken}"))?;
        assert!(
            !world.lender.is_outdone() || wrong.is_some(),
            "seed {seed}: nothing was said that no backup holds"
        );
    }
    Ok(world)
}

#[test]
fn is_no_more_lent_than_there_is_whatever_happens() {
    let mut spent = 0;
    for seed in 0..150 {
        match run(seed, None, 600) {
            Ok(mut world) => {
                spent += world.tills.values().map(Till::spent).sum::<i64>();
                world.calm();
                let burden: i64 = world.tills.values().map(Till::burden).sum();
                let of = world.tills.values().next().expect("there are four").scope();
                let sum = world.lender.sums.get(&of).copied().unwrap_or_default().all();
                assert_eq!(sum, burden, "seed {seed}: at rest the lender knows what is true");
                assert_eq!(world.truth(), Ok(()), "seed {seed}");
            }
            Err(broken) => panic!("{broken}"),
        }
    }
    assert!(
        spent > 150 * BUDGET / 3,
        "a lender that lends nothing breaks nothing: {spent} of {}",
        150 * BUDGET
    );
}

/// Four shops want together more than there is, each while it holds less than half of what it wants, and nobody spends.
#[test]
fn do_shops_that_want_more_than_there_is_come_to_rest_with_something_each() {
    for need in [300, 600, BUDGET] {
        come_to_rest(need);
    }
}

fn come_to_rest(need: i64) {
    let mut world = World::new(1, None);
    let mut words = 0;
    for round in 0..240 {
        world.now = world.now.plus_ms(limits::LEASE_RECALL_MS);
        for (of, till) in &mut world.tills {
            till.asked += 1;
            let left = till.slices.left(world.now);
            let want = (left < need / 2).then(|| Want { scope: scope(), left, need });
            let wants: Vec<Want> = want.into_iter().collect();
            let (epoch, as_of) = (of.1, Seq(till.journal.len() as u64));
            let ask = Ask { v: PROTOCOL, epoch, incarnation: 1, number: till.asked, as_of, wants };
            world.lender.ask(&of.0, &ask, world.now, &|_| None);
        }
        let before: usize = world.tills.values().map(|till| till.journal.len()).sum();
        world.calm();
        let heard = world.tills.values().map(|till| till.journal.len()).sum::<usize>() - before;
        assert!(round < 60 || heard == 0, "{need}, round {round}: {heard} more words, {words} before");
        words += heard;
    }
    let each: Vec<i64> = world.tills.values().map(|till| till.slices.left(world.now)).collect();
    assert!(each.iter().all(|left| *left >= BUDGET / 16), "{need}: {each:?}");
    assert!(words < 4 * 32, "{need}: {words} words");
}

#[test]
fn is_each_mistake_noticed() {
    for wrong in [
        Wrong::ReclaimAtExpiry,
        Wrong::NoRequestFloor,
        Wrong::NaiveRestore,
        Wrong::GrantTwice,
        Wrong::LendNumbersAgain,
    ] {
        let caught = (0..300).find(|seed| run(*seed, Some(wrong), 600).is_err());
        assert!(caught.is_some(), "{wrong:?} went unnoticed");
    }
}

/// What has to be the same.
fn essence(lender: &Lender) -> Vec<(StoreId, Epoch, Lane)> {
    let lanes =
        lender.lanes.iter().flat_map(|(of, lanes)| lanes.iter().map(move |(epoch, lane)| (of, epoch, lane)));
    let essential = |lane: &Lane| {
        let mut lane = lane.clone();
        (lane.said, lane.said_at, lane.floor, lane.applied) = (0, None, 0, Seq(0));
        lane.answered = LeaseId::default();
        lane.pending.iter_mut().for_each(|pending| pending.place = 0);
        // Entries that came late count otherwise, and only delay when something comes home.
        lane.holds.values_mut().for_each(|hold| hold.prolonged = 0);
        lane
    };
    lanes.map(|(of, epoch, lane)| (of.clone(), *epoch, essential(lane))).collect()
}

#[test]
fn does_the_log_make_the_same_lender_again() {
    for seed in 0..100 {
        let mut world = World::new(seed, None);
        for _ in 0..300 {
            world.step();
        }
        for till in world.tills.keys().cloned().collect::<Vec<_>>() {
            while world.withheld.iter().any(|(of, epoch, _)| (of, epoch) == (&till.0, &till.1)) {
                world.read(&till, false);
            }
        }
        world.commit();
        let again = world.again(world.lender.incarnation());
        assert_eq!(essence(&again), essence(&world.lender), "seed {seed}");
        assert_eq!(again.sums, world.lender.sums, "seed {seed}");
    }
}

/// A head office and one box that hear each other at once.
struct Near {
    lender: Lender,
    till: Till,
    read: u64,
}

impl Near {
    fn new(has_backup: bool) -> Near {
        let mut lender = Lender::new(1, has_backup);
        lender.set_terms(Some(terms()));
        lender.hello(&store(1), Epoch(1), UnixMs(0));
        Near { lender, till: Till::default(), read: 0 }
    }

    fn ask(&mut self, need: i64, now: UnixMs) -> Served {
        self.till.asked += 1;
        let wants = vec![Want { scope: self.till.scope(), left: 0, need }];
        let incarnation = self.lender.incarnation();
        let (number, as_of) = (self.till.asked, Seq(self.read));
        let ask = Ask { v: PROTOCOL, epoch: Epoch(1), incarnation, number, as_of, wants };
        self.lender.ask(&store(1), &ask, now, &|_| None)
    }

    /// Everything said is heard and read; how many words that were.
    fn exchange(&mut self, now: UnixMs) -> usize {
        self.lender.take_records();
        self.lender.committed();
        let frames = self.lender.words(now);
        let words: Vec<Word> = frames.into_iter().flat_map(|(_, words)| words.words).collect();
        words.iter().for_each(|word| self.till.hear(word));
        self.read_all();
        words.len()
    }

    fn read_all(&mut self) {
        while let Some(told) = self.till.journal.get(usize::try_from(self.read).expect("small")).cloned() {
            self.read += 1;
            replay_entry(&mut self.lender, &(store(1), Epoch(1), self.read), &told);
        }
        self.lender.line(&store(1), Epoch(1), Seq(self.read), true);
    }

    fn lent(&self) -> (i64, i64) {
        let view = self.lender.view();
        (view[0].lent, view[0].closed)
    }
}

#[test]
fn is_a_shop_lent_what_it_needs_topped_up_and_closed_by_its_seal_alone() {
    let now = UnixMs(0);
    let mut near = Near::new(false);
    assert_eq!((near.ask(300, now), near.exchange(now)), (Served::Yes, 1));
    near.till.spend(200, now);
    near.read_all();
    assert_eq!((near.ask(300, now), near.exchange(now)), (Served::Yes, 1));
    assert_eq!((near.till.slices.0.len(), near.till.slices.left(now)), (1, 300), "one slice, topped up");
    assert_eq!((near.ask(300, now), near.exchange(now)), (Served::Yes, 0), "it has what it needs");
    let later = UnixMs(40 * 3_600_000);
    near.lender.hello(&store(1), Epoch(1), later);
    near.lender.hello(&store(1), Epoch(1), later);
    assert_eq!(
        (near.exchange(later), near.till.slices.0[0].expires),
        (1, later.plus_ms(3 * DAY)),
        "good for longer"
    );
    assert_eq!(near.lent(), (500, 0));
    let much_later = UnixMs(400 * 3_600_000);
    near.lender.tick(much_later);
    assert_eq!(near.lent(), (500, 0), "expiry gives nothing back");
    near.lender.drain(&PromotionId::new("flash").expect("an id"));
    near.lender.tick(much_later);
    assert_eq!((near.exchange(much_later), near.lent()), (1, (0, 200)), "its seal does");
    assert_eq!(
        (near.ask(300, now), near.exchange(now)),
        (Served::Yes, 0),
        "nothing more of what was called back"
    );
}

#[test]
fn does_a_word_wait_for_the_backup_and_come_again_until_it_is_heard() {
    let now = UnixMs(0);
    let mut near = Near::new(true);
    near.ask(100, now);
    near.lender.take_records();
    assert!(near.lender.words(now).is_empty(), "not on disk");
    near.lender.committed();
    assert!(near.lender.words(now).is_empty(), "not in the backup");
    near.lender.covered();
    assert_eq!(near.lender.words(now).len(), 1);
    assert!(near.lender.words(now).is_empty(), "once");
    near.lender.tick(UnixMs(limits::LEASE_RESEND_MS));
    assert_eq!(near.lender.words(now).len(), 1, "nobody answered");
    near.lender.hello(&store(1), Epoch(1), UnixMs(0));
    let words = near.lender.words(now);
    for _ in 0..3 {
        words.iter().flat_map(|(_, words)| &words.words).for_each(|word| near.till.hear(word));
    }
    near.read_all();
    assert_eq!((near.till.journal.len(), near.lent()), (1, (100, 0)), "heard often, taken once");
    near.lender.hello(&store(1), Epoch(1), UnixMs(0));
    assert!(near.lender.words(now).is_empty(), "answered");
}

#[test]
fn is_an_older_life_lent_nothing_and_told_to_seal() {
    let now = UnixMs(0);
    let mut near = Near::new(false);
    near.ask(300, now);
    near.exchange(now);
    near.till.spend(120, now);
    near.lender.hello(&store(1), Epoch(2), UnixMs(0));
    assert_eq!(near.ask(900, now), Served::Foreign);
    assert_eq!(near.lent(), (300, 0), "still lent in full");
    let mut given_up = near.lender.clone();
    assert!(given_up.write_off(&store(1), Epoch(1)) && !given_up.write_off(&store(1), Epoch(1)));
    assert_eq!((given_up.view()[0].lent, given_up.view()[0].closed), (0, 300), "unknown is spent");
    assert_eq!((near.exchange(now), near.lent()), (1, (0, 120)), "it came back");
}

#[test]
fn does_a_blind_head_office_lend_nothing_until_every_box_was_heard() {
    let now = UnixMs(0);
    let mut near = Near::new(false);
    near.ask(300, now);
    near.exchange(now);
    // A copy by hand of a moment before anything was lent.
    let mut lender = Lender::new(1, false);
    lender.set_terms(Some(terms()));
    lender.hello(&store(1), Epoch(1), UnixMs(0));
    lender.hello(&store(2), Epoch(1), UnixMs(0));
    near.lender = lender;
    near.lender.renewed(2, true);
    near.read = 0;
    let late = Word {
        id: LeaseId { incarnation: 1, number: 2 },
        epoch: Epoch(1),
        say: Say::Grant { scope: scope(), amount: 400, expires: UnixMs(DAY), first: None },
    };
    near.lender.hello(&store(1), Epoch(1), UnixMs(0));
    near.read_all();
    assert_eq!(near.ask(700, now), Served::Yes);
    assert_eq!(near.exchange(now), 1, "a greeting and nothing else");
    near.till.hear(&late);
    assert_eq!(near.till.slices.left(now), 300, "an older word comes too late");
    assert_eq!((near.ask(700, now), near.exchange(now)), (Served::Yes, 0), "the other box is not heard");
    assert!(near.lender.write_off(&store(2), Epoch(1)));
    assert_eq!((near.ask(700, now), near.exchange(now)), (Served::Yes, 1));
    assert!(near.lender.check().is_empty());
    assert_eq!(near.lent().0, 650, "300 were known again from the journal, half of the rest was lent");
}

#[test]
fn does_who_has_too_much_give_back_to_who_has_nothing() {
    let now = UnixMs(0);
    let mut near = Near::new(false);
    for _ in 0..12 {
        near.ask(BUDGET, now);
        near.exchange(now);
    }
    assert_eq!(near.till.slices.left(now), BUDGET);
    near.ask(10, now);
    near.lender.hello(&store(2), Epoch(1), UnixMs(0));
    let wants = vec![Want { scope: scope(), left: 0, need: 50 }];
    let mut ask = Ask { v: PROTOCOL, epoch: Epoch(1), incarnation: 1, number: 1, as_of: Seq(0), wants };
    assert_eq!(near.lender.ask(&store(2), &ask, now, &|_| None), Served::Yes);
    assert_eq!(near.exchange(now), 1, "a seal to the first");
    assert_eq!(near.lent(), (0, 0));
    ask.number = 2;
    near.lender.ask(&store(2), &ask, now, &|_| None);
    assert_eq!(near.lent(), (50, 0));
}

#[test]
fn is_a_pocket_no_deeper_than_the_balance() {
    let now = UnixMs(0);
    let member = MemberId::new("m1").expect("an id");
    let pocket = Scope::Pocket(member);
    let mut lender = Lender::new(1, false);
    lender.set_terms(Some(Terms { pockets: true, ..Terms::default() }));
    lender.hello(&store(1), Epoch(1), UnixMs(0));
    let ask = |number| {
        let wants = vec![Want { scope: pocket.clone(), left: 0, need: 1_000 }];
        Ask { v: PROTOCOL, epoch: Epoch(1), incarnation: 1, number, as_of: Seq(0), wants }
    };
    let lent: Vec<i64> = (1..=20)
        .map(|number| {
            lender.ask(&store(1), &ask(number), now, &|_| Some(90));
            lender.view()[0].lent
        })
        .collect();
    assert_eq!(
        (lent[0], &lent[1..3]),
        (45, &[90, 90][..]),
        "a half is kept for another shop, and then nothing"
    );
    // 30 are spent: the balance falls with the same entry.
    let slice = Slice {
        lease: LeaseId { incarnation: 1, number: 1 },
        amount: 90,
        used: 30,
        expires: now,
        sealed: false,
        first: None,
    };
    let heard = Heard { last: LeaseId { incarnation: 1, number: 9 } };
    lender.read(&store(1), Epoch(1), Seq(1), Some(heard), &[(&pocket, Some(&Slices(vec![slice])))]);
    let before = lender.view()[0].lent;
    lender.ask(&store(1), &ask(21), now, &|_| Some(60));
    assert_eq!(lender.view()[0].lent, before, "nothing is left to lend");
    assert!(lender.check().is_empty());
}

#[test]
fn does_a_pocket_that_nobody_opens_come_home() {
    let pocket = Scope::Pocket(MemberId::new("m1").expect("an id"));
    let budget = Budget { max: BUDGET, until: None };
    let terms = Terms { pockets: true, budgets: BTreeMap::from([(scope(), budget)]), ..Terms::default() };
    let good_ms = i64::from(terms.outage_hours) * 3_600_000;
    let mut lender = Lender::new(1, false);
    lender.set_terms(Some(terms));
    lender.hello(&store(1), Epoch(1), UnixMs(0));
    let wants = [&pocket, &scope()].map(|scope| Want { scope: scope.clone(), left: 0, need: 40 });
    let ask =
        Ask { v: PROTOCOL, epoch: Epoch(1), incarnation: 1, number: 1, as_of: Seq(0), wants: wants.into() };
    lender.ask(&store(1), &ask, UnixMs(0), &|_| Some(40));
    let mut held: BTreeMap<Scope, Slices> = BTreeMap::new();
    let (mut read, mut now, mut sealed) = (0, UnixMs(0), None);
    for round in 0..40 {
        now = now.plus_ms(good_ms / limits::LEASE_PROLONG_PART + 1);
        lender.hello(&store(1), Epoch(1), now);
        lender.take_records();
        lender.committed();
        for word in lender.words(now).into_iter().flat_map(|(_, words)| words.words) {
            let scope = word.say.scope().expect("each is about one").clone();
            let slices = held.entry(scope.clone()).or_default();
            slices.follow(word.id, &word.say);
            if let Say::Seal { scope, .. } = &word.say {
                assert_eq!(scope, &pocket, "what the whole chain shares stays where it is");
                sealed.get_or_insert(round);
            }
            read += 1;
            let heard = Some(Heard { last: word.id });
            lender.read(&store(1), Epoch(1), Seq(read), heard, &[(&scope, Some(&*slices))]);
        }
    }
    let idle = now.ms_since(UnixMs(0)) / 40 * i64::from(sealed.expect("it came home"));
    assert!((limits::LEASE_WANT_MS / 2..2 * limits::LEASE_WANT_MS).contains(&idle), "after {idle} ms");
    assert_eq!(lender.view().iter().map(|view| view.lent).sum::<i64>(), 40, "the other is lent still");
}

#[test]
fn does_a_slice_that_vanished_unread_count_until_its_seal_is_read() {
    let now = UnixMs(0);
    let mut near = Near::new(false);
    near.ask(300, now);
    near.lender.take_records();
    near.lender.committed();
    let words = near.lender.words(now);
    words.iter().flat_map(|(_, words)| &words.words).for_each(|word| near.till.hear(word));
    near.till.spend(120, now);
    let lease = near.till.slices.0[0].lease;
    let next = LeaseId { number: 2, ..lease };
    near.till.hear(&Word { id: next, epoch: Epoch(1), say: Say::Seal { scope: scope(), lease } });
    near.till.spend(0, now);
    near.till.slices = Slices::default();
    near.till.spend(0, now);
    // Its last entry is read, those before are withheld; then they come.
    let read = |near: &mut Near, seq: u64| {
        let told = near.till.journal[usize::try_from(seq).expect("small") - 1].clone();
        replay_entry(&mut near.lender, &(store(1), Epoch(1), seq), &told);
        near.lent()
    };
    near.lender.unread(&store(1), Epoch(1));
    assert_eq!(read(&mut near, 5), (300, 0), "not known to be heard");
    near.till.journal.push(Told {
        scope: scope(),
        heard: Some(Heard { last: next }),
        slices: Some(Slices::default()),
    });
    assert_eq!(read(&mut near, 6), (300, 0), "heard, and gone unread");
    assert_eq!(read(&mut near, 2), (300, 0), "not final");
    assert_eq!(read(&mut near, 3), (0, 120), "its seal");
}
