//! Does head office bear it when all shops of a chain come back in the same second?
//!
//! 5,000 real senders, the real ledger and the real pace of the door, in one thread under virtual time; between them a line
//! of 20 ms. What is counted are frames that head office has to work on, in each second.

use std::cmp::Reverse;
use std::collections::BinaryHeap;
use std::io::Write as _;

use aisled::domain::calendar::UnixMs;
use aisled::domain::ids::{Epoch, Seq, StoreId};
use aisled::hub::admission::Admission;
use aisled::hub::ledger::Ledger;
use aisled::limits;
use aisled::upstream::backlog::{Extent, Packed};
use aisled::upstream::machine::{Action, Machine, Now, Remembered, Trouble};
use aisled::upstream::wire::{Ack, Batch, Blob, Down, Item, PROTOCOL, State, Up};

const SHOPS: usize = 5_000;
/// 2,000 sales in the 14 hours that a shop is open.
const SALE_EVERY_MS: u64 = 14 * 3_600_000 / 2_000;
const LINE_MS: u64 = 20;
const MINUTE_MS: u64 = 60_000;

enum Event {
    Look(usize),
    Sale(usize),
    Knock(usize, u64),
    Up(usize, u64, Up),
    Down(usize, u64, Down),
}

struct Shop {
    machine: Machine,
    next: u64,
    /// Which connection: what belongs to an older one is lost.
    line: u64,
    look_at: u64,
    current_at: Option<u64>,
}

struct Chain {
    shops: Vec<Shop>,
    ledger: Ledger,
    door: Admission,
    away: bool,
    now: u64,
    due: BinaryHeap<Reverse<(u64, usize)>>,
    events: Vec<Option<Event>>,
    free: Vec<usize>,
    seed: u64,
    /// Frames, and knocks at the door that were in vain, by second.
    work: Vec<u64>,
    turned_away: Vec<u64>,
}

/// What a time was like.
#[derive(Debug)]
struct Busy {
    mean: u64,
    peak: u64,
}

impl Chain {
    fn new(per_second: u64) -> Chain {
        let now = Now { ticks_ms: 0, unix: UnixMs(0) };
        let extent = Extent { epoch: Epoch(1), first_epoch: Epoch(1), first: Seq(1), next: Seq(1) };
        let shop = |number: usize| {
            let store = StoreId::new(&format!("s{number}")).expect("an id");
            // Boxes differ by a random seed; these by one that is drawn here.
            let seed = (number as u64 + 1).wrapping_mul(0x9E37_79B9_7F4A_7C15);
            let machine = Machine::new(store, extent, Remembered::default(), seed, now);
            Shop { machine, next: 1, line: 0, look_at: u64::MAX, current_at: None }
        };
        let mut chain = Chain {
            shops: (0..SHOPS).map(shop).collect(),
            ledger: Ledger::new(1),
            door: Admission::new(per_second),
            away: false,
            now: 0,
            due: BinaryHeap::new(),
            events: Vec::new(),
            free: Vec::new(),
            seed: 1,
            work: Vec::new(),
            turned_away: Vec::new(),
        };
        for number in 0..SHOPS {
            chain.at(0, Event::Look(number));
            let first = chain.dice(2 * SALE_EVERY_MS);
            chain.at(first, Event::Sale(number));
        }
        chain
    }

    fn dice(&mut self, sides: u64) -> u64 {
        self.seed = self.seed.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        (self.seed >> 33) % sides
    }

    fn clock(&self) -> Now {
        Now { ticks_ms: self.now, unix: UnixMs(i64::try_from(self.now).expect("days")) }
    }

    fn at(&mut self, ms: u64, event: Event) {
        let place = self.free.pop().unwrap_or_else(|| {
            self.events.push(None);
            self.events.len() - 1
        });
        self.events[place] = Some(event);
        self.due.push(Reverse((ms, place)));
    }

    fn count(of: &mut Vec<u64>, now: u64) {
        let second = usize::try_from(now / 1_000).expect("days");
        of.resize(of.len().max(second + 1), 0);
        of[second] += 1;
    }

    fn run_until(&mut self, end: u64) {
        while let Some(Reverse((ms, place))) = self.due.peek().copied().filter(|due| due.0.0 < end) {
            self.due.pop();
            self.now = ms;
            self.free.push(place);
            match self.events[place].take().expect("each is due once") {
                Event::Look(shop) => {
                    self.shops[shop].look_at = u64::MAX;
                    let now = self.clock();
                    if self.shops[shop].machine.deadline_ms().is_some_and(|at| at <= ms) {
                        self.shops[shop].machine.tick(now);
                    }
                    self.act(shop);
                }
                Event::Sale(shop) => {
                    self.shops[shop].next += 1;
                    let (now, extent) = (self.clock(), self.extent(shop));
                    self.shops[shop].machine.backlog(extent, now);
                    self.act(shop);
                    let wait = 1 + self.dice(2 * SALE_EVERY_MS);
                    self.at(ms + wait, Event::Sale(shop));
                }
                Event::Knock(shop, line) => self.knock(shop, line),
                Event::Up(shop, line, frame) => self.hear(shop, line, frame),
                Event::Down(shop, line, frame) if line == self.shops[shop].line => {
                    let now = self.clock();
                    self.shops[shop].machine.received(frame, now);
                    self.act(shop);
                }
                Event::Down(..) => {}
            }
        }
        self.now = end;
    }

    fn extent(&self, shop: usize) -> Extent {
        let next = Seq(self.shops[shop].next);
        Extent { epoch: Epoch(1), first_epoch: Epoch(1), first: Seq(1), next }
    }

    fn knock(&mut self, shop: usize, line: u64) {
        let now = self.clock();
        let admitted = !self.away && self.door.admits(self.now * 1_000);
        let this = &mut self.shops[shop];
        if line != this.line {
            return;
        }
        match admitted {
            true => this.machine.connected(now),
            false => this.machine.lost(Trouble::Refused, "come again", now),
        }
        if !admitted && !self.away {
            Chain::count(&mut self.turned_away, self.now);
        }
        self.act(shop);
    }

    /// Head office works on a frame.
    fn hear(&mut self, shop: usize, line: u64, frame: Up) {
        if self.away || line != self.shops[shop].line {
            return;
        }
        Chain::count(&mut self.work, self.now);
        let store = self.shops[shop].machine.store().clone();
        let incarnation = self.ledger.incarnation();
        let answer = match frame {
            Up::Hello(hello) => {
                let (standing, _) = self.ledger.hello(&store, &hello).expect("there is room");
                let at = self.clock().unix;
                Down::State(State { v: PROTOCOL, nonce: hello.nonce, incarnation, standing, at, asked: 0 })
            }
            Up::Batch(batch) => {
                let item = |seq: u64| Item::new(seq.to_be_bytes().to_vec());
                let items = (batch.first.0..batch.first.0 + u64::from(batch.count)).map(item).collect();
                let again = self.ledger.apply(&store, &batch, items).again;
                let standing = self.ledger.standing(&store, batch.epoch, false);
                Down::Ack(Ack { v: PROTOCOL, incarnation, standing, again })
            }
            Up::Get(_) | Up::Ask(_) => return,
        };
        self.at(self.now + LINE_MS, Event::Down(shop, line, answer));
    }

    fn act(&mut self, shop: usize) {
        let now = self.clock();
        while let Some(action) = self.shops[shop].machine.poll() {
            let line = self.shops[shop].line;
            match action {
                Action::Connect => {
                    self.shops[shop].line += 1;
                    self.at(self.now + 2 * LINE_MS, Event::Knock(shop, line + 1));
                }
                Action::Disconnect => self.shops[shop].line += 1,
                Action::Send(frame) => self.at(self.now + LINE_MS, Event::Up(shop, line, frame)),
                Action::Pack(request) => {
                    let most = request.entries_max.min(limits::UPSTREAM_BATCH_ENTRIES_MAX) as u64;
                    let count = most.min(self.shops[shop].next - request.from.0);
                    let batch = Batch {
                        v: PROTOCOL,
                        epoch: Epoch(1),
                        from: request.from,
                        first: request.from,
                        count: u32::try_from(count).expect("a batch"),
                        body: Blob(Vec::new()),
                    };
                    let packed = Packed { batch, through: Seq(request.from.0 + count - 1) };
                    self.shops[shop].machine.packed(request.ticket, Ok(Some(packed)), now);
                }
                Action::Prune(_)
                | Action::Members(_)
                | Action::Words(_)
                | Action::Orders(_)
                | Action::Bundle(_) => {}
            }
        }
        let this = &mut self.shops[shop];
        let status = this.machine.remembered();
        if this.current_at.is_none() && !self.away && status.applied_through.0 + 1 == this.next {
            this.current_at = Some(self.now);
        }
        if let Some(at) =
            this.machine.deadline_ms().map(|at| at.max(self.now + 1)).filter(|at| *at < this.look_at)
        {
            this.look_at = at;
            self.at(at, Event::Look(shop));
        }
    }

    /// Head office is away for so long: every line breaks at once.
    fn outage(&mut self, ms: u64) {
        self.away = true;
        let now = self.clock();
        for shop in 0..SHOPS {
            self.shops[shop].machine.lost(Trouble::Tcp, "broken", now);
            self.shops[shop].line += 1;
            self.act(shop);
        }
        self.run_until(self.now + ms);
        self.away = false;
        self.shops.iter_mut().for_each(|shop| shop.current_at = None);
    }

    fn busy(&self, from: u64, to: u64) -> Busy {
        let seconds =
            usize::try_from(from / 1_000).expect("days")..usize::try_from(to / 1_000).expect("days");
        let of = &self.work[seconds];
        Busy {
            mean: of.iter().sum::<u64>() / of.len() as u64,
            peak: of.iter().copied().max().unwrap_or_default(),
        }
    }

    /// Ten minutes from now: the busiest second, and after how many the last shop was current.
    fn ten_minutes(&mut self, what: &str, steady: u64) -> (u64, Option<u64>) {
        let from = self.now;
        self.run_until(from + 10 * MINUTE_MS);
        let peak = self.busy(from, self.now).peak;
        let current = self.shops.iter().map(|shop| shop.current_at).collect::<Option<Vec<u64>>>();
        let last_s = current.and_then(|at| at.into_iter().max()).map(|at| at.saturating_sub(from) / 1_000);
        let turned = self.turned_away.iter().skip(usize::try_from(from / 1_000).expect("days"));
        let (most, all) = (turned.clone().max().copied().unwrap_or_default(), turned.sum::<u64>());
        drop(writeln!(
            std::io::stderr(),
            "{what}: peak {peak} frames a second ({:.2} of steady), all current after {last_s:?} s, \
             told to come again {all}, at most {most} a second",
            peak as f64 / steady.max(1) as f64
        ));
        (peak, last_s)
    }
}

#[test]
fn does_head_office_bear_the_return_of_5_000_shops() {
    let mut chain = Chain::new(limits::HUB_ADMISSIONS_PER_SECOND);
    chain.run_until(8 * MINUTE_MS);
    let ordinary = chain.busy(6 * MINUTE_MS, 8 * MINUTE_MS);
    drop(writeln!(std::io::stderr(), "{SHOPS} shops, steady: {ordinary:?} frames a second"));
    for (what, away_ms) in
        [("away for a second", 1_000), ("for ten", 10_000), ("for an hour", 60 * MINUTE_MS)]
    {
        chain.outage(away_ms);
        let (peak, current) = chain.ten_minutes(what, ordinary.mean);
        assert!(peak <= 2 * ordinary.mean, "{what}: {peak} frames in a second, {ordinary:?}");
        assert!(current.is_some(), "{what}: all are current within ten minutes");
    }
}

#[test]
fn would_it_without_a_pace_at_the_door() {
    let mut chain = Chain::new(1_000_000);
    chain.run_until(3 * MINUTE_MS);
    let ordinary = chain.busy(2 * MINUTE_MS, 3 * MINUTE_MS);
    chain.outage(1_000);
    let (peak, _) = chain.ten_minutes("without a pace, away for a second", ordinary.mean);
    assert!(peak > 4 * ordinary.mean, "then there is nothing to pace: {peak}, {ordinary:?}");
}
