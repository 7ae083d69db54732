//! Is a single-use code at home in one shop at a time? Moves of a code between real engines and a real lender, over a line that loses, repeats and reorders.
//!
//! After each step the truth is asked for: no code may be redeemable without risk in two shops.

use std::collections::BTreeMap;

use aisled::domain::basket::TransactionKey;
use aisled::domain::calendar::{Day, UnixMs};
use aisled::domain::ids::{CouponCode, CouponId, DeviceId, Epoch, Seq, StoreId};
use aisled::domain::lease::{Say, Word};
use aisled::engine::decision::{Entry, Facts, IssuedCode, Key, Record as Kept};
use aisled::engine::input::Input;
use aisled::engine::{Engine, Identity, Outcome};
use aisled::hub::lender::homes::{Asked, Stage};
use aisled::hub::lender::{Lender, Record};
use aisled::upstream::wire::Words;

const NOW: UnixMs = UnixMs(1_000);

fn store(number: u64) -> StoreId {
    StoreId::new(&format!("s{number}")).expect("a store id")
}

fn code() -> CouponCode {
    CouponCode::new("C-1").expect("a code")
}

/// One box: its tables and its journal.
struct Shop {
    own: StoreId,
    tables: BTreeMap<Key, Kept>,
    journal: Vec<Entry>,
}

impl Shop {
    /// `code` is at home in the first.
    fn new(number: u64) -> Shop {
        let coupon = CouponId::new("five").expect("an id");
        let issued = IssuedCode {
            coupon,
            member: None,
            home: Some(store(1)),
            expires: None,
            listed: Some(1),
            moved: 0,
        };
        let tables = BTreeMap::from([(Key::Code(code()), Kept::Code(issued))]);
        Shop { own: store(number), tables, journal: Vec::new() }
    }

    fn hear(&mut self, word: &Word) {
        let seq = Seq(self.journal.len() as u64 + 1);
        let identity = Identity { store: self.own.clone(), epoch: Epoch(1), secret: [0; 32], started: NOW };
        let mut engine = Engine::new(identity, seq);
        let (input, mut facts) = (Input::Lease(word.clone()), Facts::default());
        for key in engine.needs(&input, &facts) {
            let record = self.tables.get(&key).cloned();
            facts.add(key, record);
        }
        let Outcome::Decided(entry) = engine.handle(input, facts, NOW) else { return };
        for change in entry.changes.iter() {
            match &change.record {
                Some(record) => self.tables.insert(change.key.clone(), record.clone()),
                None => self.tables.remove(&change.key),
            };
        }
        self.journal.push(*entry);
    }

    fn redeem(&mut self) {
        let sale = TransactionKey {
            device: DeviceId::new("till-1").expect("an id"),
            business_day: Day::new(2026, 11, 18).expect("a day"),
            seq: 1,
        };
        self.tables.insert(Key::Redeemed(code()), Kept::Redeemed(sale));
    }

    fn is_home(&self) -> bool {
        match self.tables.get(&Key::Code(code())) {
            Some(Kept::Code(issued)) => issued.home.as_ref() == Some(&self.own),
            _ => false,
        }
    }
}

/// Head office with its log, what it has read of each journal, and what is on the line.
struct World {
    random: u64,
    lender: Lender,
    log: Vec<Record>,
    reads: Vec<(StoreId, usize)>,
    shops: BTreeMap<StoreId, Shop>,
    line: Vec<(StoreId, Words)>,
}

impl World {
    fn new(seed: u64) -> World {
        let shops: BTreeMap<StoreId, Shop> = (1..=3).map(|n| (store(n), Shop::new(n))).collect();
        let mut world = World {
            random: seed,
            lender: Lender::new(1, false),
            log: Vec::new(),
            reads: Vec::new(),
            shops,
            line: Vec::new(),
        };
        world.hello();
        world
    }

    fn draw(&mut self, below: u64) -> u64 {
        self.random = self.random.wrapping_add(0x9E37_79B9_7F4A_7C15);
        let mut z = self.random;
        z = (z ^ (z >> 30)).wrapping_mul(0xBF58_476D_1CE4_E5B9);
        z = (z ^ (z >> 27)).wrapping_mul(0x94D0_49BB_1331_11EB);
        (z ^ (z >> 31)) % below
    }

    fn hello(&mut self) {
        for of in self.shops.keys().cloned().collect::<Vec<_>>() {
            self.lender.hello(&of, Epoch(1), NOW);
        }
        self.commit();
    }

    fn commit(&mut self) {
        self.log.extend(self.lender.take_records());
        self.lender.committed();
        self.line.extend(self.lender.words(NOW));
    }

    /// Delivers something that is on the line, whichever; once or not for the last time.
    fn deliver(&mut self, keep: bool) {
        if self.line.is_empty() {
            return;
        }
        let at = usize::try_from(self.draw(self.line.len() as u64)).expect("small");
        let (of, words) = self.line[at].clone();
        words.words.iter().for_each(|word| self.shops.get_mut(&of).expect("a shop").hear(word));
        if !keep {
            self.line.remove(at);
        }
    }

    fn read_of(&self, of: &StoreId) -> usize {
        self.reads.iter().filter(|(store, _)| store == of).count()
    }

    /// Head office reads the next entry of each shop.
    fn read(&mut self) {
        for of in self.shops.keys().cloned().collect::<Vec<_>>() {
            let at = self.read_of(&of);
            if let Some(entry) = self.shops[&of].journal.get(at) {
                self.lender.entry(&of, Epoch(1), entry.seq, entry);
                self.lender.line(&of, Epoch(1), entry.seq, true);
                self.reads.push((of, at));
            }
        }
        self.lender.go_on_moving();
        self.commit();
    }

    /// Head office starts anew from so much of its log and of what it had read.
    fn restart(&mut self, log: usize, reads: usize, incarnation: u64) {
        self.log.truncate(log);
        self.reads.truncate(reads);
        let mut lender = Lender::new(incarnation, false);
        assert!(self.log.iter().all(|record| lender.replay(record)));
        for of in self.shops.keys() {
            for (_, at) in self.reads.iter().filter(|(store, _)| store == of) {
                let entry = &self.shops[of].journal[*at];
                lender.entry(of, Epoch(1), entry.seq, entry);
                lender.line(of, Epoch(1), entry.seq, true);
            }
        }
        lender.replayed();
        self.lender = lender;
        self.hello();
    }

    fn is_at_one_home(&self) {
        let homes: Vec<&StoreId> =
            self.shops.values().filter(|shop| shop.is_home()).map(|shop| &shop.own).collect();
        assert!(homes.len() <= 1, "{homes:?}");
    }

    fn settle(&mut self) {
        for _ in 0..200 {
            self.hello();
            while !self.line.is_empty() {
                self.deliver(false);
            }
            self.read();
        }
    }
}

#[test]
fn is_a_code_adopted_only_after_its_release_was_read() {
    let mut world = World::new(1);
    assert_eq!(world.lender.move_code(&code(), &store(1), &store(2)), Asked::Yes);
    assert_eq!(world.lender.move_code(&code(), &store(1), &store(3)), Asked::OnItsWay);
    world.lender.tick(NOW);
    world.commit();
    assert_eq!(world.line.len(), 1);
    world.deliver(false);
    world.hello();
    let said = world.line.iter().flat_map(|(_, words)| &words.words);
    assert!(said.into_iter().all(|word| matches!(word.say, Say::Release { .. })), "nobody has read it");
    assert!(!world.shops[&store(1)].is_home(), "it let go");
    world.line.clear();
    assert_eq!(world.lender.moves()[0].stage, Stage::Releasing);
    world.read();
    assert_eq!((world.line.len(), world.lender.moves()[0].stage), (1, Stage::Adopting));
    world.deliver(false);
    world.read();
    assert!(world.shops[&store(2)].is_home() && world.lender.moves().is_empty());
    assert_eq!(world.lender.move_code(&code(), &store(1), &store(3)), Asked::Elsewhere);
    assert_eq!(world.lender.move_code(&code(), &store(2), &store(2)), Asked::Same);
    assert_eq!(world.lender.move_code(&code(), &store(2), &store(9)), Asked::StoreUnknown);
}

#[test]
fn does_a_code_that_was_redeemed_stay_and_may_its_move_be_asked_for_again() {
    let mut world = World::new(1);
    world.shops.get_mut(&store(1)).expect("a shop").redeem();
    assert_eq!(world.lender.move_code(&code(), &store(1), &store(2)), Asked::Yes);
    world.settle();
    assert_eq!(world.lender.moves()[0].stage, Stage::KeptByOld);
    assert!(world.shops[&store(1)].is_home());
    world.shops.get_mut(&store(1)).expect("a shop").tables.remove(&Key::Redeemed(code()));
    assert_eq!(world.lender.move_code(&code(), &store(1), &store(2)), Asked::Yes, "its sale was voided");
    world.settle();
    assert!(world.shops[&store(2)].is_home() && world.lender.moves().is_empty());
    let (log, reads) = (world.log.len(), world.reads.len());
    world.restart(log, reads, 1);
    assert!(world.lender.moves().is_empty() && world.line.is_empty(), "log and journals say the same");
}

#[test]
fn is_there_ever_a_second_home_whatever_is_lost_repeated_or_restored() {
    let (mut moved, mut restored) = (0_u64, 0_u64);
    for seed in 0..300 {
        let mut world = World::new(seed);
        for _ in 0..120 {
            match world.draw(12) {
                0 => {
                    let (from, to) = (store(world.draw(3) + 1), store(world.draw(3) + 1));
                    let asked = world.lender.move_code(&code(), &from, &to);
                    moved += u64::from(asked == Asked::Yes);
                    world.lender.tick(NOW);
                    world.commit();
                }
                1 => {
                    let (log, reads) = (world.log.len(), world.reads.len());
                    world.restart(log, reads, world.lender.incarnation());
                }
                2 if world.draw(4) == 0 => {
                    // An older copy: it may have forgotten moves, words and answers.
                    let log = world.draw(world.log.len() as u64 + 1);
                    let reads = world.draw(world.reads.len() as u64 + 1);
                    let incarnation = world.lender.incarnation() + 1;
                    let small = |n| usize::try_from(n).expect("small");
                    world.restart(small(log), small(reads), incarnation);
                    restored += 1;
                }
                3 => {
                    world.line.pop();
                }
                4 => world.hello(),
                5..=8 => {
                    let keep = world.draw(3) == 0;
                    world.deliver(keep);
                }
                _ => world.read(),
            }
            world.is_at_one_home();
        }
        world.settle();
        world.is_at_one_home();
        let stuck = world
            .lender
            .moves()
            .into_iter()
            .find(|it| matches!(it.stage, Stage::Releasing | Stage::Adopting));
        assert_eq!(stuck, None, "seed {seed}: every move ends when the line does not");
    }
    assert!(moved > 500 && restored > 100, "{moved} moves, {restored} restores");
}

#[test]
fn is_a_new_life_of_the_old_home_told_again() {
    let mut world = World::new(1);
    world.lender.move_code(&code(), &store(1), &store(2));
    world.settle();
    assert!(world.lender.moves().is_empty());
    world.lender.hello(&store(1), Epoch(2), NOW);
    world.commit();
    let said: Vec<&Word> = world.line.iter().flat_map(|(_, words)| &words.words).collect();
    assert!(
        matches!(said.as_slice(), [Word { epoch: Epoch(2), say: Say::Release { .. }, .. }]),
        "its tables may be of before: {said:?}"
    );
}
