//! What a decision is: what was asked, what was read, what was answered and what it changes.
//!
//! An `Entry` is one decision as the journal holds it, and it is enough by itself: `changes` rebuild the tables without
//! deciding again; `input` + `facts` + the bundle named decide again to the same `answer` (replay). Head office reads
//! the same bytes. Every key of the tables is a `Key`, every value a `Record`.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

use crate::domain::basket::TransactionKey;
use crate::domain::calendar::UnixMs;
use crate::domain::ids::{
    BundleRef, CouponCode, CouponId, DeviceId, Epoch, MemberId, PromotionId, RequestId, Seq, StoreId,
};
use crate::domain::member::{Member, TokenHash, Usage};
use crate::domain::receipt::SaleRecord;

use super::input::{Digest, Input};
use super::reply::Answer;

/// One decision, as written to the journal.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Entry {
    /// Its place.
    pub seq: Seq,
    /// The life of the box it was made in.
    pub epoch: Epoch,
    /// When it was made, by the box's clock.
    pub at: UnixMs,
    /// Under which rules; none before the first bundle.
    pub bundle: Option<BundleRef>,
    /// What was asked.
    pub input: Input,
    /// What was read to decide it.
    pub facts: Facts,
    /// What was answered.
    pub answer: Answer,
    /// What the tables hold from now on.
    pub changes: Vec<Change>,
}

/// Names one record of the tables.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Key {
    /// Whose token is it?
    Token(TokenHash),
    /// A member.
    Member(MemberId),
    /// A single-use code.
    Code(CouponCode),
    /// How a promotion was used in this shop.
    Usage(PromotionId),
    /// A sale.
    Sale(TransactionKey),
    /// The answer a device got.
    Request(DeviceId, RequestId),
    /// A whole decision, from the journal: read to return goods or to answer again, never changed.
    Decision(Seq),
}

/// What the tables hold under a key.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Record {
    /// The token's owner.
    Token(MemberId),
    /// The member.
    Member(Box<Member>),
    /// The code.
    Code(CodeState),
    /// Uses in this shop.
    Usage(Usage),
    /// The sale.
    Sale(SaleRecord),
    /// Where the answer is.
    Request(RequestRecord),
    /// The decision.
    Decision(Box<Entry>),
}

/// A single-use code.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct CodeState {
    /// Which coupon it is an instance of.
    pub coupon: CouponId,
    /// Whose it is, where it is personal.
    pub member: Option<MemberId>,
    /// Where it may be redeemed without asking.
    pub home: Option<StoreId>,
    /// Last moment it is good, where it was issued with one.
    pub expires: Option<UnixMs>,
    /// The sale that used it up.
    pub redeemed: Option<TransactionKey>,
}

/// What is kept of a request to answer its repetition.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct RequestRecord {
    /// Of its body.
    pub digest: Digest,
    /// The decision that answered it.
    pub decision: Seq,
    /// When.
    pub at: UnixMs,
}

/// A record that is new from this decision on; `None` removes it.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Change {
    /// Which.
    pub key: Key,
    /// What it holds now.
    pub record: Option<Record>,
}

impl Change {
    /// The record is this from now on.
    pub fn put(key: Key, record: Record) -> Change {
        Change { key, record: Some(record) }
    }
}

/// What was read for one decision: each key asked for, with what stood there (`None`: nothing).
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Facts(BTreeMap<Key, Option<Record>>);

impl Facts {
    /// Was this key loaded?
    pub fn knows(&self, key: &Key) -> bool {
        self.0.contains_key(key)
    }

    /// Adds what was loaded.
    pub fn add(&mut self, key: Key, record: Option<Record>) {
        self.0.insert(key, record);
    }

    /// What stands under a key; `None` if nothing does or it was not asked for.
    pub fn get(&self, key: &Key) -> Option<&Record> {
        self.0.get(key).and_then(Option::as_ref)
    }

    /// Whose token it is.
    pub fn owner(&self, token: TokenHash) -> Option<&MemberId> {
        match self.get(&Key::Token(token)) {
            Some(Record::Token(member)) => Some(member),
            _ => None,
        }
    }

    /// A member by id.
    pub fn member(&self, id: &MemberId) -> Option<&Member> {
        match self.get(&Key::Member(id.clone())) {
            Some(Record::Member(member)) => Some(member),
            _ => None,
        }
    }

    /// A single-use code.
    pub fn code(&self, code: &CouponCode) -> Option<&CodeState> {
        match self.get(&Key::Code(code.clone())) {
            Some(Record::Code(state)) => Some(state),
            _ => None,
        }
    }

    /// Uses of a promotion in this shop.
    pub fn usage(&self, promotion: &PromotionId) -> Usage {
        match self.get(&Key::Usage(promotion.clone())) {
            Some(Record::Usage(usage)) => *usage,
            _ => Usage::default(),
        }
    }

    /// A sale.
    pub fn sale(&self, key: &TransactionKey) -> Option<&SaleRecord> {
        match self.get(&Key::Sale(key.clone())) {
            Some(Record::Sale(sale)) => Some(sale),
            _ => None,
        }
    }

    /// What was kept of a request.
    pub fn request(&self, device: &DeviceId, id: &RequestId) -> Option<&RequestRecord> {
        match self.get(&Key::Request(device.clone(), id.clone())) {
            Some(Record::Request(record)) => Some(record),
            _ => None,
        }
    }

    /// A whole decision.
    pub fn decision(&self, seq: Seq) -> Option<&Entry> {
        match self.get(&Key::Decision(seq)) {
            Some(Record::Decision(entry)) => Some(entry),
            _ => None,
        }
    }
}

/// As a list of pairs: not every format has maps with structured keys. Decisions read are left out: they never change
/// and stand in the same journal, so a replay reads them there again.
impl Serialize for Facts {
    fn serialize<S: serde::Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_seq(self.0.iter().filter(|(key, _)| !matches!(key, Key::Decision(_))))
    }
}

impl<'de> Deserialize<'de> for Facts {
    fn deserialize<D: serde::Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let pairs = Vec::<(Key, Option<Record>)>::deserialize(deserializer)?;
        Ok(Facts(pairs.into_iter().collect()))
    }
}
