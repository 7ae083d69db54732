//! What each fuzz target does with arbitrary bytes. `fuzz/targets/` calls one of them under libFuzzer, on nightly;
//! `tests/journal.rs` calls all of them as properties, on stable. A panic is a finding.
//!
//! Bytes that must be whole to get past a check sum are bent copies of good ones: the input then says which bytes change.

use std::collections::BTreeMap;
use std::io::Cursor;
use std::path::{Path, PathBuf};
use std::sync::{Arc, OnceLock};

use aisled::bundle::authoring;
use aisled::bundle::keys::SecretKey;
use aisled::bundle::packed::{self, Admission};
use aisled::bundle::terms::{Budget, Terms};
use aisled::bundle::voucher::Signed;
use aisled::devices::topic::{Op, Topics};
use aisled::devices::wire;
use aisled::domain::calendar::UnixMs;
use aisled::domain::ids::{CouponCode, DeviceId, Epoch, Prefix, Seq, StoreId};
use aisled::domain::lease::{Heard, Scope, Slices, Want, Word};
use aisled::domain::text::Lang;
use aisled::engine::decision::{Change, Entry, Facts, Key, Record};
use aisled::engine::input::Input;
use aisled::engine::reply::{Noted, Reply};
use aisled::hub::lender::Lender;
use aisled::storage::disk::{Disk, MemDisk};
use aisled::storage::journal::{Journal, JournalOptions, Verify};
use aisled::upstream::wire::{self as line, Ask, Down, DownKind, PROTOCOL, Unpacker, Up, UpKind};

/// What a target does with an input.
pub(crate) type Body = fn(&[u8]);

/// Every target by its name.
pub(crate) const BODIES: [(&str, Body); 6] = [
    ("wire_request", wire_request),
    ("topics", topics),
    ("bundle_reader", bundle_reader),
    ("sync_frames", sync_frames),
    ("journal_reader", journal_reader),
    ("lease_machine", lease_machine),
];

/// Runs one of them.
pub(crate) fn run(name: &str, bytes: &[u8]) {
    let body = BODIES.iter().find(|(known, _)| *known == name).expect("a target has a body");
    (body.1)(bytes);
}

/// An input as it is used up; zeros when it has ended.
struct Bytes<'a>(&'a [u8]);

impl Bytes<'_> {
    fn byte(&mut self) -> u8 {
        let Some((first, rest)) = self.0.split_first() else { return 0 };
        self.0 = rest;
        *first
    }

    fn number(&mut self) -> usize {
        usize::from(self.byte()) << 8 | usize::from(self.byte())
    }

    /// Changes some bytes of `good`, cuts it or adds to it.
    fn bend(&mut self, good: &mut Vec<u8>) {
        for _ in 0..self.byte() % 8 {
            let (place, byte) = (self.number() << 4 | usize::from(self.byte() & 15), self.byte());
            if !good.is_empty() {
                let place = place % good.len();
                good[place] ^= byte;
            }
        }
        match self.byte() % 8 {
            0 => good.truncate(self.number().min(good.len())),
            1 => good.extend_from_slice(&self.0[..self.0.len().min(64)]),
            _ => {}
        }
    }
}

/// The front door: any operation, any content type, any payload.
fn wire_request(bytes: &[u8]) {
    let mut bytes = Bytes(bytes);
    let (op, kind) = (usize::from(bytes.byte()) % 10, bytes.byte() % 3);
    let op = Op::ALL.get(op).map_or("other", |op| op.as_str());
    let content_type = [None, Some("application/json"), Some("application/msgpack")][usize::from(kind)];
    let device = DeviceId::new("till-1").expect("an id");
    let decode = || wire::decode(op, &device, bytes.0, content_type, "sunrise");
    match decode() {
        Ok((format, request)) => assert_eq!(decode().ok(), Some((format, request)), "read in one way"),
        Err(refused) => assert!(refused.encode(Lang::En).len() <= 4_096, "a problem is a short document"),
    }
}

/// Topics of devices and of head office's line.
fn topics(bytes: &[u8]) {
    let text = String::from_utf8_lossy(bytes);
    let store = StoreId::new("s01").expect("an id");
    let topics = Topics::new(&store);
    for text in [text.to_string(), format!("{}{text}", topics.root()), format!("{}/{text}", topics.root())] {
        if let Some(topic) = topics.parse(&text) {
            assert_eq!(topics.build(topic).as_ref(), Ok(&text), "one topic, one text");
        }
        let _ = topics.response_is_own("till-1", &text);
        let _ = (topics.engine_may_publish(&text), topics.engine_may_subscribe(&text));
        let _ = (line::parse_up(&text), line::parse_down(&text, &store));
    }
}

/// A small signed bundle and its key.
fn bundle() -> &'static (Vec<u8>, SecretKey) {
    static BUNDLE: OnceLock<(Vec<u8>, SecretKey)> = OnceLock::new();
    BUNDLE.get_or_init(|| {
        let shop = "chain = \"sunrise\"\ncurrency = { code = \"CNY\" }\ntime_zone = \"Asia/Shanghai\"\n";
        let files = vec![("shop.toml".to_owned(), shop.as_bytes().to_vec())];
        let authored = authoring::read(files).expect("a shop alone is a bundle");
        let key = SecretKey::from_seed(&[9; 32]);
        let packed = packed::pack(3, UnixMs(1), &authored.rules, &authored.members, &authored.codes, &key);
        (packed.expect("it packs"), key)
    })
}

/// A bundle's file, a folder's file, a partner's voucher.
fn bundle_reader(bytes: &[u8]) {
    let (good, key) = bundle();
    let mut bent = good.clone();
    Bytes(bytes).bend(&mut bent);
    for file in [bytes, &bent] {
        let trusted = [key.public()];
        let admission = Admission { trusted: &trusted, floor: 0, store: None };
        if let Ok(mut opened) = packed::open(Cursor::new(file), &admission) {
            assert!(file == good.as_slice(), "what was bent is not signed");
            assert!(opened.members().is_ok_and(|mut members| members.all(|member| member.is_ok())));
        }
        let _ = (packed::rules(Cursor::new(file)).is_ok(), packed::reference(Cursor::new(file)).is_ok());
        let _ = packed::times(Cursor::new(file)).is_ok();
    }
    for name in ["shop.toml", "promotions.toml", "coupons.json"] {
        let _ = authoring::read(vec![(name.to_owned(), bytes.to_vec())]).is_ok();
    }
    if let Ok(code) = CouponCode::normal(&String::from_utf8_lossy(bytes)) {
        let _ = Signed::read(&code);
    }
}

/// Frames between shop and head office, and the entries in them.
fn sync_frames(bytes: &[u8]) {
    let mut bytes = Bytes(bytes);
    let kind = usize::from(bytes.byte());
    let up = [UpKind::Hello, UpKind::Batch, UpKind::Get, UpKind::Ask][kind % 4];
    if let Ok(frame) = Up::decode(up, bytes.0) {
        assert_eq!(Up::decode(up, &frame.encode()).as_ref(), Ok(&frame), "read as it was written");
        if let Up::Batch(batch) = &frame {
            let items = Unpacker::default().unpack(batch).unwrap_or_default();
            assert!(items.len() <= batch.count as usize);
        }
    }
    let down = [
        DownKind::State,
        DownKind::Ack,
        DownKind::Offer,
        DownKind::Chunk,
        DownKind::Members,
        DownKind::Words,
        DownKind::Orders,
    ][kind % 7];
    if let Ok(frame) = Down::decode(down, bytes.0) {
        assert_eq!(Down::decode(down, &frame.encode()).as_ref(), Ok(&frame), "read as it was written");
    }
    if let Ok(entry) = Entry::decode(bytes.0) {
        assert_eq!(Entry::decode(&entry.encode()).as_ref(), Ok(&entry), "read as it was written");
    }
}

const JOURNAL: &str = "/journal";

fn options() -> JournalOptions {
    JournalOptions { segment_bytes: 1_024, ahead_bytes: 512, ..JournalOptions::new(Epoch(4), 11) }
}

/// A journal of a few segments, one of them bent: it opens and reads what it says is there, in order.
fn journal_reader(bytes: &[u8]) {
    let mut bytes = Bytes(bytes);
    let disk = MemDisk::new(7);
    let dir = Path::new(JOURNAL);
    let (mut journal, _) = Journal::open(Arc::new(disk.clone()), dir, options()).expect("an empty disk");
    for entry in 0..12_u8 {
        journal.append(&[vec![entry; 150 + usize::from(entry)]]).expect("the disk is whole");
    }
    drop(journal);
    let names = disk.list(dir).expect("it is there");
    let files: Vec<PathBuf> = names.iter().map(|name| dir.join(name)).collect();
    let which = usize::from(bytes.byte()) % files.len();
    let replaces = bytes.byte().is_multiple_of(16);
    disk.rot(
        &files[which],
        |content| if replaces { *content = bytes.0.to_vec() } else { bytes.bend(content) },
    );
    let verify = if replaces { Verify::Tail } else { Verify::All };
    let opened = Journal::open(Arc::new(disk), dir, JournalOptions { verify, ..options() });
    let Ok((journal, _)) = opened else { return };
    let (mut reader, mut last) = (journal.reader(journal.view().first()), Seq(0));
    for _ in 0..64 {
        match reader.next() {
            Ok(Some(entry)) => {
                assert!(entry.seq > last, "in order");
                last = entry.seq;
            }
            Ok(None) => return,
            Err(_) => {}
        }
    }
}

/// One box of a chain that is lent something.
#[derive(Clone, Debug, Default)]
struct Box {
    heard: Heard,
    slices: BTreeMap<Scope, Slices>,
    journal: Vec<Entry>,
    read: usize,
    asked: u64,
    given: Vec<i64>,
}

fn entry(seq: u64, epoch: Epoch, input: Input, changes: Vec<Change>) -> Entry {
    Entry {
        seq: Seq(seq),
        epoch,
        at: UnixMs(0),
        bundle: None,
        input,
        facts: Facts::default(),
        answer: Ok(Reply::Noted(Noted::of(String::new()))),
        changes: changes.into(),
    }
}

impl Box {
    fn tell(&mut self, epoch: Epoch, scope: Option<&Scope>, heard: bool) {
        let lease = |scope: &Scope| {
            let slices = self.slices.get(scope).cloned().unwrap_or_default();
            Change::put(Key::Lease(epoch, scope.clone()), Record::Slices(slices))
        };
        let heard = heard.then(|| Change::put(Key::Heard(epoch), Record::Heard(self.heard)));
        let changes = heard.into_iter().chain(scope.map(lease)).collect();
        let seq = self.journal.len() as u64 + 1;
        self.journal.push(entry(seq, epoch, Input::Shown(Vec::new()), changes));
    }

    fn hear(&mut self, word: &Word) {
        if self.heard.is_next(word.id) {
            self.heard.last = word.id;
            let scope = word.say.scope();
            if let Some(scope) = scope {
                self.slices.entry(scope.clone()).or_default().follow(word.id, &word.say);
            }
            self.tell(word.epoch, scope, true);
        }
    }
}

const BUDGET: i64 = 200;

/// Head office and its boxes do anything in any order: no more is lent than there is, and no number twice.
fn lease_machine(bytes: &[u8]) {
    let mut bytes = Bytes(bytes);
    let scopes = [Scope::Risk, Scope::Series(Prefix::new("NX").expect("a prefix"))];
    let budgets = scopes.iter().map(|scope| (scope.clone(), Budget { max: BUDGET, until: None })).collect();
    let mut lender = Lender::new(1, false);
    lender.set_terms(Some(Terms { budgets, outage_hours: 1, ..Terms::default() }));
    let mut boxes: BTreeMap<(StoreId, Epoch), Box> = BTreeMap::new();
    let (mut now, mut down) = (UnixMs(0), Vec::new());
    for _ in 0..400 {
        if bytes.0.is_empty() {
            break;
        }
        let (what, who, much) = (bytes.byte() % 10, bytes.byte(), i64::from(bytes.byte()));
        let store = StoreId::new(&format!("s{}", who % 3)).expect("an id");
        let epoch = Epoch(1 + u64::from(who / 128));
        let key = (store.clone(), epoch);
        let scope = &scopes[usize::from(who / 4 % 2)];
        if !boxes.contains_key(&key) {
            lender.hello(&store, epoch, now);
        }
        let at = boxes.entry(key).or_default();
        match what {
            0 | 1 => {
                at.asked += 1;
                let wants = vec![Want { scope: scope.clone(), left: 0, need: much * 2 }];
                let as_of = Seq(at.read as u64);
                let ask = Ask { v: PROTOCOL, epoch, incarnation: 1, number: at.asked, as_of, wants };
                lender.ask(&store, &ask, now, &|_| None);
            }
            2 => {
                lender.take_records();
                lender.committed();
                down.extend(lender.words(now));
            }
            3 | 4 if !down.is_empty() => {
                let (to, words) = down[usize::from(who) % down.len()].clone();
                if let Some(at) = boxes.get_mut(&(to, words.epoch)) {
                    words.words.iter().for_each(|word| at.hear(word));
                }
            }
            5 => {
                let slices = at.slices.entry(scope.clone()).or_default();
                match scope {
                    Scope::Series(_) => at.given.extend((0..much / 8).map_while(|_| slices.take(now))),
                    _ => assert!((0..=much).contains(&slices.spend(much, now))),
                }
                at.tell(epoch, Some(scope), false);
            }
            6 | 7 => {
                for _ in 0..much % 8 {
                    let Some(entry) = at.journal.get(at.read) else { break };
                    at.read += 1;
                    lender.entry(&store, epoch, entry.seq, entry);
                    lender.line(&store, epoch, entry.seq, true);
                }
            }
            8 => {
                now = now.plus_ms((much - 64) * 600_000);
                lender.tick(now);
            }
            _ if who.is_multiple_of(7) => drop(lender.write_off(&store, epoch)),
            _ => lender.hello(&store, epoch, now),
        }
        let found = lender.check();
        assert!(found.is_empty(), "{found:?}");
    }
    let mut given: Vec<i64> = boxes.values().flat_map(|at| at.given.iter().copied()).collect();
    let count = given.len();
    given.sort_unstable();
    given.dedup();
    assert!(given.len() == count && given.iter().all(|serial| (1..=BUDGET).contains(serial)), "{given:?}");
}
