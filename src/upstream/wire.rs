//! What shop and head office say to each other: frames over MQTT 5, QoS 1, MessagePack with named fields, version 1.
//!
//! Layout: `aisle/1/{store}/up/{hello|batch|get|ask}` from the shop, `aisle/1/{store}/down/{state|ack|offer|chunk|members|words|orders}`
//! to it;
//! `offer` is retained. The body of a batch is zstd over entries `[flag u8][hash 16][length u32 LE][bytes]`; the
//! bytes are the journal's, unopened.
//!
//! Invariants:
//! - Whatever arrives, decoding returns: never a panic, never more memory than `UPSTREAM_FRAME_BYTES_MAX` plus, for a batch,
//!   `UPSTREAM_BATCH_RAW_BYTES_MAX`. A version other than ours is refused; an unknown field of ours is passed over,
//!   so that head office may learn first.
//! - A batch is of one epoch, its entries contiguous from `first`. It stands for `from..=through`; `from < first` says that
//!   the numbers between do not exist in the shop's journal any more (damage, reported and never silent).
//! - An entry is named by (store, epoch, seq) and known by its hash: the first 16 bytes of SHA-256 over its bytes.

use std::fmt;

use serde::de::DeserializeOwned;
use serde::{Deserialize, Deserializer, Serialize, Serializer};
use sha2::{Digest, Sha256};

use crate::domain::calendar::UnixMs;
use crate::domain::ids::{Epoch, Seq, StoreId};
use crate::domain::lease::{Want, Word};
use crate::domain::order::OrderWord;
use crate::domain::tally::Tally;
use crate::engine::input::MembersUpdate;
use crate::limits;

/// The version of these frames.
pub const PROTOCOL: u16 = 1;

const ROOT: &str = "aisle/1/";
const ENTRY_HEAD_BYTES: usize = 1 + 16 + 4;

/// Why a frame was not understood. Fits after "failed to".
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum WireError {
    /// More bytes than a frame may have.
    TooLarge(usize),
    /// Not the MessagePack of this frame.
    Malformed(String),
    /// Another version of the protocol: one side is to be updated.
    Version(u16),
    /// A count or length beyond its bound.
    Bound(&'static str),
    /// The body of a batch is not what its envelope says.
    Body(&'static str),
    /// An entry's bytes do not have its hash: damaged on the way or at rest.
    Hash(Seq),
}

impl fmt::Display for WireError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            WireError::TooLarge(bytes) => {
                write!(f, "read a frame of {bytes} bytes: at most {}", limits::UPSTREAM_FRAME_BYTES_MAX)
            }
            WireError::Malformed(cause) => write!(f, "read a frame: {cause}"),
            WireError::Version(version) => {
                write!(f, "read a frame of version {version}: version {PROTOCOL} is spoken here")
            }
            WireError::Bound(what) => write!(f, "read a frame: {what} is out of bounds"),
            WireError::Body(what) => write!(f, "read a batch: {what}"),
            WireError::Hash(seq) => write!(f, "read a batch: entry {} does not have its hash", seq.0),
        }
    }
}

impl std::error::Error for WireError {}

/// Bytes as MessagePack's binary type.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Blob(pub Vec<u8>);

impl Serialize for Blob {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.serialize_bytes(&self.0)
    }
}

impl<'de> Deserialize<'de> for Blob {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct Visitor;
        impl serde::de::Visitor<'_> for Visitor {
            type Value = Blob;
            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("bytes")
            }
            fn visit_bytes<E: serde::de::Error>(self, bytes: &[u8]) -> Result<Blob, E> {
                Ok(Blob(bytes.to_vec()))
            }
            fn visit_byte_buf<E: serde::de::Error>(self, bytes: Vec<u8>) -> Result<Blob, E> {
                Ok(Blob(bytes))
            }
        }
        deserializer.deserialize_bytes(Visitor)
    }
}

/// What an entry is known by.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct EntryHash(pub [u8; 16]);

impl EntryHash {
    /// Of an entry's bytes.
    pub fn of(bytes: &[u8]) -> EntryHash {
        let mut hash = [0; 16];
        hash.copy_from_slice(&Sha256::digest(bytes)[..16]);
        EntryHash(hash)
    }
}

/// The shop is here. Sent at each connect, when its bundle changes, and each minute.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Hello {
    /// `PROTOCOL`.
    pub v: u16,
    /// Echoed in the answer, so that an answer to an older hello is not taken for this one's.
    pub nonce: u64,
    /// The epoch of new entries.
    pub epoch: Epoch,
    /// The epoch of the oldest entry held: below `epoch` where one journal went on through several.
    pub first_epoch: Epoch,
    /// The oldest entry held.
    pub first: Seq,
    /// One past the newest durable entry.
    pub next: Seq,
    /// The incarnation of head office last heard of; 0 for none.
    pub incarnation: u64,
    /// What that incarnation said it had applied.
    pub applied_through: Seq,
    /// The version of the active bundle.
    pub bundle: Option<u64>,
    /// The program's version.
    pub program: String,
    /// What this shop counts in its journal, for head office to hold against what it counts itself.
    #[serde(default)]
    pub tally: Option<Tally>,
}

/// Head office's answer to a hello.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct State {
    /// `PROTOCOL`.
    pub v: u16,
    /// The hello's.
    pub nonce: u64,
    /// Rises when head office's data was restored.
    pub incarnation: u64,
    /// What it has of this journal.
    pub standing: Standing,
    /// Its clock.
    pub at: UnixMs,
    /// The highest number of a request for slices that it served, of this life of the box.
    #[serde(default)]
    pub asked: u64,
}

/// What head office has of one journal.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Standing {
    /// The journal, by an epoch of it.
    pub epoch: Epoch,
    /// Applied, in order, without gaps.
    pub applied_through: Seq,
    /// Covered by its backup: what the shop may forget.
    pub durable_through: Seq,
    /// Kept but not understood: parked at head office for a human. The lowest ones.
    pub parked: Vec<Seq>,
    /// Known by hash only, because the shop parked them. The lowest ones.
    pub withheld: Vec<Seq>,
}

/// Journal entries.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Batch {
    /// `PROTOCOL`.
    pub v: u16,
    /// Of all its entries.
    pub epoch: Epoch,
    /// Where what this batch stands for begins.
    pub from: Seq,
    /// Its first entry.
    pub first: Seq,
    /// How many entries, 1 to `UPSTREAM_BATCH_ENTRIES_MAX`.
    pub count: u32,
    /// The entries, packed.
    pub body: Blob,
}

/// Head office committed something.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Ack {
    /// `PROTOCOL`.
    pub v: u16,
    /// Whose word it is.
    pub incarnation: u64,
    /// What it has.
    pub standing: Standing,
    /// A batch came that does not follow: send again from `applied_through` + 1.
    pub again: bool,
}

/// A bundle can be had. Retained.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Offer {
    /// `PROTOCOL`.
    pub v: u16,
    /// Its version.
    pub version: u64,
    /// SHA-256 of its bytes, 32 bytes. Tells a broken download; who may be trusted is the bundle room's to say.
    pub hash: Blob,
    /// How many bytes.
    pub size: u64,
}

/// The shop asks for a piece of a bundle.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Get {
    /// `PROTOCOL`.
    pub v: u16,
    /// Which bundle.
    pub version: u64,
    /// From which byte.
    pub offset: u64,
}

/// A piece of a bundle.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Chunk {
    /// `PROTOCOL`.
    pub v: u16,
    /// Which bundle.
    pub version: u64,
    /// Of its first byte.
    pub offset: u64,
    /// 1 to `UPSTREAM_CHUNK_BYTES_MAX` bytes.
    pub bytes: Blob,
}

/// Members as head office knows them now.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Members {
    /// `PROTOCOL`.
    pub v: u16,
    /// Whose word it is.
    pub incarnation: u64,
    /// The journal that `update.settled_through` counts in.
    pub epoch: Epoch,
    /// What the engine is told.
    pub update: MembersUpdate,
}

/// What a shop would like to hold of limited things: a level, in place of what it said before. Head office serves it
/// once, if its number is above those it served, and once it has read the journal through `as_of`.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Ask {
    /// `PROTOCOL`.
    pub v: u16,
    /// The life of the box that asks.
    pub epoch: Epoch,
    /// The incarnation of head office it asks.
    pub incarnation: u64,
    /// Rises with every request of this life to this incarnation, restarts of the daemon included.
    pub number: u64,
    /// Its journal as the request counts it.
    pub as_of: Seq,
    /// At most `LEASE_WANTS_MAX`.
    pub wants: Vec<Want>,
}

/// Words about leases: all of one life of the box, of one incarnation, numbers rising.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Words {
    /// `PROTOCOL`.
    pub v: u16,
    /// Whose words they are.
    pub incarnation: u64,
    /// To which life of the box.
    pub epoch: Epoch,
    /// 1 to `LEASE_WORDS_MAX`.
    pub words: Vec<Word>,
}

/// Orders that are handed over in the shop, each as it stands.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Orders {
    /// `PROTOCOL`.
    pub v: u16,
    /// Whose words they are.
    pub incarnation: u64,
    /// To which life of the box.
    pub epoch: Epoch,
    /// 1 to `ORDERS_TOLD_MAX`.
    pub orders: Vec<OrderWord>,
}

/// A frame from a shop.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Up {
    /// The shop is here.
    Hello(Hello),
    /// Entries.
    Batch(Batch),
    /// A piece of a bundle, please.
    Get(Get),
    /// Slices, please.
    Ask(Ask),
}

/// A frame to a shop.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Down {
    /// Answer to a hello.
    State(State),
    /// Answer to a batch, or a backup was made.
    Ack(Ack),
    /// A bundle.
    Offer(Offer),
    /// A piece of it.
    Chunk(Chunk),
    /// Members.
    Members(Members),
    /// About leases.
    Words(Words),
    /// About orders to hand over.
    Orders(Orders),
}

/// What a shop sends, by the last part of the topic.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum UpKind {
    /// `hello`
    Hello,
    /// `batch`
    Batch,
    /// `get`
    Get,
    /// `ask`
    Ask,
}

/// What head office sends, by the last part of the topic.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum DownKind {
    /// `state`
    State,
    /// `ack`
    Ack,
    /// `offer`
    Offer,
    /// `chunk`
    Chunk,
    /// `members`
    Members,
    /// `words`
    Words,
    /// `orders`
    Orders,
}

/// What head office subscribes to.
pub const UP_FILTER: &str = "aisle/1/+/up/+";

/// What a shop subscribes to.
pub fn down_filter(store: &StoreId) -> String {
    format!("{ROOT}{store}/down/+")
}

/// Which shop's which frame a topic carries.
pub fn parse_up(topic: &str) -> Option<(StoreId, UpKind)> {
    let (store, rest) = topic.strip_prefix(ROOT)?.split_once('/')?;
    let kind = match rest {
        "up/hello" => UpKind::Hello,
        "up/batch" => UpKind::Batch,
        "up/get" => UpKind::Get,
        "up/ask" => UpKind::Ask,
        _ => return None,
    };
    Some((StoreId::new(store).ok()?, kind))
}

/// Which frame to `store` a topic carries.
pub fn parse_down(topic: &str, store: &StoreId) -> Option<DownKind> {
    match topic.strip_prefix(ROOT)?.strip_prefix(store.as_str())?.strip_prefix("/down/")? {
        "state" => Some(DownKind::State),
        "ack" => Some(DownKind::Ack),
        "offer" => Some(DownKind::Offer),
        "chunk" => Some(DownKind::Chunk),
        "members" => Some(DownKind::Members),
        "words" => Some(DownKind::Words),
        "orders" => Some(DownKind::Orders),
        _ => None,
    }
}

/// Is it one of ours and inside its bounds?
trait Frame: DeserializeOwned {
    fn check(&self) -> Result<(), WireError>;
    fn version(&self) -> u16;
}

macro_rules! frame {
    ($name:ty, |$frame:ident| $check:expr) => {
        impl Frame for $name {
            fn check(&self) -> Result<(), WireError> {
                let $frame = self;
                $check
            }
            fn version(&self) -> u16 {
                self.v
            }
        }
    };
}

fn within(fits: bool, what: &'static str) -> Result<(), WireError> {
    if fits { Ok(()) } else { Err(WireError::Bound(what)) }
}

fn check_standing(standing: &Standing) -> Result<(), WireError> {
    within(standing.parked.len() <= limits::UPSTREAM_PARKED_MAX, "parked")?;
    within(standing.withheld.len() <= limits::UPSTREAM_PARKED_MAX, "withheld")?;
    within(standing.applied_through.0 < u64::MAX / 2, "applied_through")?;
    within(standing.durable_through <= standing.applied_through, "durable_through")
}

frame!(Hello, |hello| {
    within(hello.program.len() <= limits::UPSTREAM_PROGRAM_BYTES_MAX, "program")?;
    within(hello.first_epoch <= hello.epoch, "first_epoch")?;
    within(hello.incarnation < u64::MAX / 2, "incarnation")?;
    within(hello.next.0 < u64::MAX / 2, "next")?;
    within(hello.first.0 >= 1 && hello.first <= hello.next, "first")
});
frame!(State, |state| {
    within(state.asked < u64::MAX / 2, "asked")?;
    check_standing(&state.standing)
});
frame!(Batch, |batch| {
    within((1..=limits::UPSTREAM_BATCH_ENTRIES_MAX).contains(&(batch.count as usize)), "count")?;
    within(batch.first.0 < u64::MAX / 2, "first")?;
    within(batch.from.0 >= 1 && batch.from <= batch.first, "from")
});
frame!(Ack, |ack| check_standing(&ack.standing));
frame!(Offer, |offer| {
    within(offer.hash.0.len() == 32, "hash")?;
    within((1..=limits::UPSTREAM_BUNDLE_BYTES_MAX).contains(&offer.size), "size")
});
frame!(Get, |_get| Ok(()));
frame!(Chunk, |chunk| {
    within((1..=limits::UPSTREAM_CHUNK_BYTES_MAX).contains(&chunk.bytes.0.len()), "bytes")?;
    within(chunk.offset <= limits::UPSTREAM_BUNDLE_BYTES_MAX, "offset")
});
frame!(Members, |members| {
    within(members.update.members.len() <= limits::UPSTREAM_MEMBERS_MAX, "members")?;
    within(members.update.members.iter().all(|m| m.tokens.len() <= limits::UPSTREAM_TOKENS_MAX), "tokens")?;
    within(members.update.members.iter().all(|m| m.points.abs() <= limits::POINTS_MAX), "points")
});
frame!(Ask, |ask| {
    within(ask.wants.len() <= limits::LEASE_WANTS_MAX, "wants")?;
    within((1..u64::MAX / 2).contains(&ask.number), "number")?;
    within(ask.as_of.0 < u64::MAX / 2, "as_of")
});
frame!(Words, |words| {
    within((1..=limits::LEASE_WORDS_MAX).contains(&words.words.len()), "words")?;
    within(words.incarnation < u64::MAX / 2, "incarnation")?;
    let ours = |word: &Word| word.epoch == words.epoch && word.id.incarnation == words.incarnation;
    within(words.words.iter().all(ours), "epoch and incarnation")?;
    within(words.words.iter().all(|word| (1..u64::MAX / 2).contains(&word.id.number)), "number")?;
    within(words.words.is_sorted_by(|one, next| one.id < next.id), "order")?;
    within(words.words.iter().all(|word| word.say.lends() <= limits::LEASE_BUDGET_MAX), "amount")
});

frame!(Orders, |orders| {
    within((1..=limits::ORDERS_TOLD_MAX).contains(&orders.orders.len()), "orders")?;
    within(orders.incarnation < u64::MAX / 2, "incarnation")?;
    within(orders.orders.iter().all(|word| word.incarnation == orders.incarnation), "incarnation")?;
    within(orders.orders.iter().all(|word| (1..u32::MAX / 2).contains(&word.nth)), "nth")?;
    within(orders.orders.iter().all(|word| word.order.is_bounded()), "order")
});

/// Only what tells the version: the rest of another version's frame may look like anything.
#[derive(Deserialize)]
struct Versioned {
    v: u16,
}

fn read<T: Frame>(bytes: &[u8]) -> Result<T, WireError> {
    if bytes.len() > limits::UPSTREAM_FRAME_BYTES_MAX {
        return Err(WireError::TooLarge(bytes.len()));
    }
    let frame: T =
        rmp_serde::from_slice(bytes).map_err(|error| match rmp_serde::from_slice::<Versioned>(bytes) {
            Ok(Versioned { v }) if v != PROTOCOL => WireError::Version(v),
            _ => WireError::Malformed(error.to_string()),
        })?;
    if frame.version() != PROTOCOL {
        return Err(WireError::Version(frame.version()));
    }
    frame.check()?;
    Ok(frame)
}

fn written(frame: &impl Serialize) -> Vec<u8> {
    rmp_serde::to_vec_named(frame)
        .expect("a frame has string keys and known lengths, and memory does not fail")
}

impl Up {
    /// Where it is published.
    pub fn topic(&self, store: &StoreId) -> String {
        let kind = match self {
            Up::Hello(_) => "hello",
            Up::Batch(_) => "batch",
            Up::Get(_) => "get",
            Up::Ask(_) => "ask",
        };
        format!("{ROOT}{store}/up/{kind}")
    }

    /// Its bytes.
    pub fn encode(&self) -> Vec<u8> {
        match self {
            Up::Hello(frame) => written(frame),
            Up::Batch(frame) => written(frame),
            Up::Get(frame) => written(frame),
            Up::Ask(frame) => written(frame),
        }
    }

    /// Reads the frame of a topic's kind.
    pub fn decode(kind: UpKind, bytes: &[u8]) -> Result<Up, WireError> {
        Ok(match kind {
            UpKind::Hello => Up::Hello(read(bytes)?),
            UpKind::Batch => Up::Batch(read(bytes)?),
            UpKind::Get => Up::Get(read(bytes)?),
            UpKind::Ask => Up::Ask(read(bytes)?),
        })
    }
}

impl Down {
    /// Where it is published.
    pub fn topic(&self, store: &StoreId) -> String {
        let kind = match self {
            Down::State(_) => "state",
            Down::Ack(_) => "ack",
            Down::Offer(_) => "offer",
            Down::Chunk(_) => "chunk",
            Down::Members(_) => "members",
            Down::Words(_) => "words",
            Down::Orders(_) => "orders",
        };
        format!("{ROOT}{store}/down/{kind}")
    }

    /// Does the broker keep it for shops that connect later?
    pub fn is_retained(&self) -> bool {
        matches!(self, Down::Offer(_))
    }

    /// Its bytes.
    pub fn encode(&self) -> Vec<u8> {
        match self {
            Down::State(frame) => written(frame),
            Down::Ack(frame) => written(frame),
            Down::Offer(frame) => written(frame),
            Down::Chunk(frame) => written(frame),
            Down::Members(frame) => written(frame),
            Down::Words(frame) => written(frame),
            Down::Orders(frame) => written(frame),
        }
    }

    /// Reads the frame of a topic's kind.
    pub fn decode(kind: DownKind, bytes: &[u8]) -> Result<Down, WireError> {
        Ok(match kind {
            DownKind::State => Down::State(read(bytes)?),
            DownKind::Ack => Down::Ack(read(bytes)?),
            DownKind::Offer => Down::Offer(read(bytes)?),
            DownKind::Chunk => Down::Chunk(read(bytes)?),
            DownKind::Members => Down::Members(read(bytes)?),
            DownKind::Words => Down::Words(read(bytes)?),
            DownKind::Orders => Down::Orders(read(bytes)?),
        })
    }
}

/// One entry of a batch.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Item {
    /// Of the journal's bytes.
    pub hash: EntryHash,
    /// The journal's bytes; `None` where the shop parked the entry.
    pub bytes: Option<Vec<u8>>,
}

impl Item {
    /// An entry with its bytes.
    pub fn new(bytes: Vec<u8>) -> Item {
        Item { hash: EntryHash::of(&bytes), bytes: Some(bytes) }
    }

    /// The same entry without its bytes.
    pub fn withheld(bytes: &[u8]) -> Item {
        Item { hash: EntryHash::of(bytes), bytes: None }
    }

    fn packed_bytes(&self) -> usize {
        ENTRY_HEAD_BYTES + self.bytes.as_ref().map_or(0, Vec::len)
    }
}

/// Packs batches. What zstd works in is kept from one to the next: most hold one entry, and making it costs more than that.
pub struct Packer(zstd::bulk::Compressor<'static>);

impl Default for Packer {
    fn default() -> Packer {
        Packer(zstd::bulk::Compressor::new(3).expect("level 3 is one of zstd's"))
    }
}

impl Packer {
    /// Packs as many of `items` as fit one batch, at least one; returns the body and how many it holds.
    /// `items` is not empty and each has at most `FRAME_PAYLOAD_BYTES_MAX` bytes.
    pub fn pack(&mut self, items: &[Item]) -> Result<(Blob, usize), WireError> {
        let mut count = 0;
        let mut raw_bytes = 0;
        for item in items.iter().take(limits::UPSTREAM_BATCH_ENTRIES_MAX) {
            raw_bytes += item.packed_bytes();
            if raw_bytes > limits::UPSTREAM_BATCH_RAW_BYTES_MAX {
                break;
            }
            count += 1;
        }
        if count == 0 {
            return Err(WireError::Bound("entry"));
        }
        loop {
            let mut raw = Vec::with_capacity(raw_bytes.min(limits::UPSTREAM_BATCH_RAW_BYTES_MAX));
            for item in &items[..count] {
                let bytes = item.bytes.as_deref();
                raw.push(u8::from(bytes.is_none()));
                raw.extend_from_slice(&item.hash.0);
                raw.extend_from_slice(&(bytes.map_or(0, <[u8]>::len) as u32).to_le_bytes());
                raw.extend_from_slice(bytes.unwrap_or_default());
            }
            let body = self.0.compress(&raw).map_err(|_| WireError::Body("it does not compress"))?;
            if body.len() <= limits::UPSTREAM_BATCH_BYTES_MAX || count == 1 {
                return Ok((Blob(body), count));
            }
            // As many as should fit at this ratio, less a tenth; always fewer, so that it ends.
            let fitting = count * (limits::UPSTREAM_BATCH_BYTES_MAX * 9 / 10) / body.len();
            count = fitting.clamp(1, count - 1);
        }
    }
}

/// Unpacks batches, with what zstd works in kept as in `Packer`.
#[derive(Default)]
pub struct Unpacker(zstd::bulk::Decompressor<'static>);

impl fmt::Debug for Unpacker {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Unpacker")
    }
}

impl Unpacker {
    /// The entries of a batch, each checked against its hash.
    pub fn unpack(&mut self, batch: &Batch) -> Result<Vec<Item>, WireError> {
        let body = batch.body.0.as_slice();
        let most = limits::UPSTREAM_BATCH_RAW_BYTES_MAX;
        // What `Packer` writes says how large it becomes: no more room is made than that.
        let room = match zstd::zstd_safe::get_frame_content_size(body) {
            Ok(Some(bytes)) if bytes > most as u64 => return Err(WireError::Bound("body")),
            Ok(Some(bytes)) => usize::try_from(bytes).unwrap_or(most),
            Ok(None) => most,
            Err(_) => return Err(WireError::Body("it does not decompress")),
        };
        let raw = self.0.decompress(body, room);
        items(&raw.map_err(|_| WireError::Body("it does not decompress"))?, batch)
    }
}

fn items(raw: &[u8], batch: &Batch) -> Result<Vec<Item>, WireError> {
    let mut rest = raw;
    let mut items = Vec::with_capacity(batch.count as usize);
    for index in 0..u64::from(batch.count) {
        let Some((head, after)) = rest.split_first_chunk::<ENTRY_HEAD_BYTES>() else {
            return Err(WireError::Body("it ends early"));
        };
        let mut hash = [0; 16];
        hash.copy_from_slice(&head[1..17]);
        let length = u32::from_le_bytes([head[17], head[18], head[19], head[20]]) as usize;
        if length > limits::FRAME_PAYLOAD_BYTES_MAX {
            return Err(WireError::Bound("entry"));
        }
        let Some((bytes, after)) = after.split_at_checked(length) else {
            return Err(WireError::Body("it ends early"));
        };
        rest = after;
        let hash = EntryHash(hash);
        match head[0] {
            0 if EntryHash::of(bytes) == hash => items.push(Item { hash, bytes: Some(bytes.to_vec()) }),
            0 => return Err(WireError::Hash(Seq(batch.first.0 + index))),
            1 if bytes.is_empty() => items.push(Item { hash, bytes: None }),
            _ => return Err(WireError::Body("a flag is unknown")),
        }
    }
    if rest.is_empty() { Ok(items) } else { Err(WireError::Body("it holds more than it says")) }
}

#[cfg(test)]
mod tests;
