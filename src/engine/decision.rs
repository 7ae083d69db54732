//! What a decision is: what was asked, what was read, what was answered and what it changes.
//!
//! An `Entry` is one decision as the journal holds it, and it is enough by itself: `changes` rebuild the tables without
//! deciding again; `input` + `facts` + the bundle named decide again to the same `answer` (replay). Head office reads
//! the same bytes. Every key of the tables is a `Key`, every value a `Record`.

use std::collections::BTreeMap;
use std::sync::Arc;

use serde::{Deserialize, Serialize};

use crate::domain::basket::TransactionKey;
use crate::domain::calendar::{Day, UnixMs};
use crate::domain::history::{History, packed};
use crate::domain::ids::{
    BundleRef, CouponCode, CouponId, DeviceId, Epoch, MemberId, OrderId, PromotionId, QuoteId, RequestId,
    Seq, StoreId,
};
use crate::domain::lease::{Heard, Scope, Slices};
use crate::domain::member::{Ledger, Member, Profile, TokenHash, Usage};
use crate::domain::order::{self, Pickup, Shelf, Waiting};
use crate::domain::receipt::SaleRecord;
use crate::limits;
use crate::pricing::model::ReturnPolicy;
use crate::pricing::outcome::Priced;
use crate::pricing::{Lent, PresentedCode};

use super::input::{Digest, Input, QuoteBody};
use super::kept;
pub use super::kept::Encoder;
pub use super::marks::{Instead, Kind, Nobody, Numbers, Values};
use super::reply::{Answer, Refusal};

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
    /// What the tables hold from now on; shared with those who apply it, who need nothing else of the entry.
    pub changes: Arc<[Change]>,
}

/// An entry's bytes could not be read. Fits after "failed to".
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum EntryFault {
    /// Written by a newer version: install that version again.
    FormUnknown(u8),
    /// Not an entry of its form.
    Malformed(String),
}

impl std::fmt::Display for EntryFault {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            EntryFault::FormUnknown(form) => {
                write!(f, "read a decision: its form {form} is not known to this version")
            }
            EntryFault::Malformed(why) => write!(f, "read a decision: {why}"),
        }
    }
}

impl std::error::Error for EntryFault {}

impl Entry {
    /// The entry as the journal and head office hold it (`kept` has the forms).
    pub fn encode(&self) -> Vec<u8> {
        Encoder::default().encode(self).to_vec()
    }

    /// Does it fit where decisions are kept: a frame of the journal, and the reader's memory when unpacked? Only long
    /// baskets are tried, the others always do.
    pub fn fits(&self) -> bool {
        let lines = self.facts.quotes().map(|quote| quote.asked.basket.lines.len()).max().unwrap_or_default();
        let members = match &self.input {
            Input::Members(update) => update.members.len(),
            _ => 0,
        };
        lines.max(members) <= limits::ENTRY_LINES_ALWAYS_FIT || Encoder::default().fits(self)
    }

    /// The same decision as a refusal that changes nothing but the memory of the request.
    pub fn refused(mut self, refusal: Refusal) -> Entry {
        self.facts = Facts::default();
        self.answer = Err(refusal);
        let is_memory = |change: &&Change| matches!(change.key, Key::Request(..));
        self.changes = self.changes.iter().filter(is_memory).cloned().collect();
        self
    }

    /// Reads what `encode` wrote. Of what `Encoder::seal` wrote everything personal reads as forgotten.
    pub fn decode(bytes: &[u8]) -> Result<Entry, EntryFault> {
        kept::decode(bytes, &Nobody)
    }

    /// Reads what `encode` or `Encoder::seal` wrote, with the personal values that `values` knows.
    pub fn decode_with(bytes: &[u8], values: &dyn Values) -> Result<Entry, EntryFault> {
        kept::decode(bytes, values)
    }
}

/// Does a decision, as `Encoder::seal` wrote it, name the member of this number? Nothing where it was written as it is.
///
/// # Errors
/// See [`Entry::decode`].
pub fn mentions(bytes: &[u8], number: u32) -> Result<Option<bool>, EntryFault> {
    kept::mentions(bytes, number)
}

/// Do a decision's bytes hold numbers in the place of everything personal?
pub fn is_numbered(bytes: &[u8]) -> bool {
    kept::is_numbered(bytes)
}

/// Names one record of the tables.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Key {
    /// Whose token is it?
    Token(TokenHash),
    /// Head office's half of a member.
    Member(MemberId),
    /// The shop's half of a member.
    Ledger(MemberId),
    /// What the shop learned of a member who agreed to that.
    History(MemberId),
    /// A single-use code.
    Code(CouponCode),
    /// Which sale used a single-use code up.
    Redeemed(CouponCode),
    /// An open quote: in the engine's memory only, in the journal with the sale that settles it.
    Quote(QuoteId),
    /// How a promotion was used.
    Usage(UsageOf, PromotionId),
    /// A sale.
    Sale(TransactionKey),
    /// The answer a device got.
    Request(DeviceId, RequestId),
    /// A whole decision, from the journal: read to return goods or to answer again, never changed.
    Decision(Seq),
    /// The slices head office lent one life of the box of one limited thing: another life's are not its own (I10).
    Lease(Epoch, Scope),
    /// How far a life of the box has listened to head office's words about leases.
    Heard(Epoch),
    /// An order that is handed over here.
    Order(OrderId),
    /// The orders that wait under a code or member.
    Waiting(order::Shown),
    /// How many orders wait.
    Shelf,
}

impl Key {
    /// Everything that is known of a member.
    pub fn of_member(id: &MemberId) -> [Key; 3] {
        [Key::Member(id.clone()), Key::Ledger(id.clone()), Key::History(id.clone())]
    }

    /// Does it name a record of one of those that `gone` says?
    pub fn is_of(&self, gone: &dyn Fn(&MemberId) -> bool) -> bool {
        match self {
            Key::Member(id) | Key::Ledger(id) | Key::History(id) | Key::Lease(_, Scope::Pocket(id)) => {
                gone(id)
            }
            Key::Waiting(order::Shown::Member(id)) => gone(id),
            Key::Token(token) => *token == TokenHash::NOBODYS,
            _ => false,
        }
    }

    /// May what stands under it name further records that a decision reads?
    pub fn leads_on(&self) -> bool {
        match self {
            Key::Token(_) | Key::Code(_) | Key::Sale(_) | Key::Request(..) | Key::Decision(_) => true,
            Key::Order(_) | Key::Waiting(_) => true,
            Key::Shelf => false,
            Key::Member(_) | Key::Ledger(_) | Key::History(_) | Key::Redeemed(_) => false,
            Key::Quote(_) | Key::Usage(..) | Key::Lease(..) | Key::Heard(_) => false,
        }
    }
}

/// Whose uses of a promotion are counted.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum UsageOf {
    /// All of this shop.
    Shop,
    /// Of one device.
    Device(DeviceId),
    /// With one code that may be used often.
    Code(CouponCode),
}

/// What the tables hold under a key.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Record {
    /// The token's owner.
    Token(MemberId),
    /// Head office's half.
    Member(Box<Known>),
    /// The shop's half.
    Ledger(Box<Ledger>),
    /// What the shop learned.
    History(#[serde(with = "packed")] Arc<History>),
    /// The code.
    Code(IssuedCode),
    /// The sale that used the code up.
    Redeemed(TransactionKey),
    /// The quote.
    Quote(Box<Quote>),
    /// The uses.
    Usage(Usage),
    /// The sale.
    Sale(SaleRecord),
    /// Where the answer is.
    Request(RequestRecord),
    /// The decision.
    Decision(Box<Entry>),
    /// The slices.
    Slices(Slices),
    /// The last word taken.
    Heard(Heard),
    /// The order.
    Order(Box<Pickup>),
    /// Their numbers.
    Waiting(Waiting),
    /// How many.
    Shelf(Shelf),
}

/// Head office's half of a member, as last written by a bundle, a member update or an enrolment here.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Known {
    /// The profile.
    pub profile: Profile,
    /// Points when it was written: where the shop's half begins, once there is one.
    pub points: i64,
    /// When it was written; 1970 for a member enrolled here and not yet confirmed.
    pub as_of: UnixMs,
    /// The version of the bundle that listed the member last; none for one that no bundle brought.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub listed: Option<u64>,
    /// Left out of a newer bundle, or gone from the programme: a stranger to every offer, with points and sales kept.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub withdrawn: bool,
    /// When the member last said here what they agree to: what head office wrote before that does not change it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub consent_at: Option<UnixMs>,
}

impl Known {
    /// This half, written anew by head office; what the member said here since stays.
    pub fn written_anew(&self, new: Known) -> Known {
        if self.consent_at.is_none_or(|at| at <= new.as_of) {
            return new;
        }
        let consent = self.profile.consent;
        Known {
            withdrawn: new.withdrawn || !consent.programme,
            profile: Profile { consent, ..new.profile },
            consent_at: self.consent_at,
            ..new
        }
    }
}

/// A single-use code.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct IssuedCode {
    /// Which coupon it is an instance of.
    pub coupon: CouponId,
    /// Whose it is, where it is personal.
    pub member: Option<MemberId>,
    /// Where it may be redeemed without asking.
    pub home: Option<StoreId>,
    /// Last moment it is good, where it was issued with one.
    pub expires: Option<UnixMs>,
    /// The version of the bundle that listed it last; none for one issued here.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub listed: Option<u64>,
    /// How often head office has moved its home. Once it has, no bundle says any more where it is.
    #[serde(default, skip_serializing_if = "is_zero")]
    pub moved: u32,
}

fn is_zero(count: &u32) -> bool {
    *count == 0
}

impl IssuedCode {
    /// The same, good no more.
    pub fn out_of_time(self) -> IssuedCode {
        IssuedCode { expires: Some(UnixMs(limits::CODE_WITHDRAWN_MS)), ..self }
    }
}

impl Record {
    /// Does it name one of those that `gone` says?
    pub fn names(&self, gone: &dyn Fn(&MemberId) -> bool) -> bool {
        match self {
            Record::Token(id) => gone(id),
            Record::Code(code) => code.member.as_ref().is_some_and(gone),
            Record::Order(pickup) => pickup.order.member.as_ref().is_some_and(gone),
            Record::Sale(sale) => {
                let owner = sale.referred.as_ref().map(|referred| &referred.owner);
                let pockets = sale.drawn.iter().filter_map(|(scope, _)| scope.pocket());
                sale.member.iter().chain(owner).chain(pockets).any(gone)
            }
            _ => false,
        }
    }

    /// The record without those that `gone` says: nothing where it is theirs, a sale that nobody made where they made it, an
    /// order of nobody, which was paid for and is handed over by its code or number.
    pub fn without(self, gone: &dyn Fn(&MemberId) -> bool) -> Option<Record> {
        match self {
            Record::Sale(sale) if sale.member.as_ref().is_some_and(gone) => {
                let sale = SaleRecord { member: None, held: Vec::new(), ..sale };
                Record::Sale(sale).without(gone)
            }
            Record::Sale(mut sale) => {
                sale.referred.take_if(|referred| gone(&referred.owner));
                sale.drawn.retain(|(scope, _)| !scope.pocket().is_some_and(gone));
                Some(Record::Sale(sale))
            }
            Record::Order(pickup) if pickup.order.member.as_ref().is_some_and(gone) => {
                let order = pickup.order.clone().of_nobody();
                Some(Record::Order(Box::new(Pickup { order, ..*pickup })))
            }
            record => (!record.names(gone)).then_some(record),
        }
    }

    /// What becomes of this record when a bundle lists it anew: the fresher half of a member stays, and a code's home that
    /// was moved.
    pub fn listed_again(self, new: Record) -> Record {
        match (self, new) {
            (Record::Member(known), Record::Member(new)) if known.as_of > new.as_of => {
                let withdrawn = known.consent_at.is_some() && !known.profile.consent.programme;
                Record::Member(Box::new(Known { listed: new.listed, withdrawn, ..*known }))
            }
            (Record::Member(known), Record::Member(new)) => {
                Record::Member(Box::new(known.written_anew(*new)))
            }
            (Record::Code(known), Record::Code(new)) if known.moved > 0 => {
                Record::Code(IssuedCode { home: known.home, moved: known.moved, ..new })
            }
            (_, new) => new,
        }
    }

    /// What becomes of this record when the bundle `version`, which lists members as of `listed_at`, leaves it out though an
    /// earlier one listed it: a code is gone, or out of time where its home was moved, because a later list must not bring
    /// the old home back; a member is withdrawn, unless head office spoke of them after the bundle was signed. A bundle
    /// without members speaks of none. Nothing if it stays as it is.
    pub fn left_out(&self, version: u64, listed_at: Option<UnixMs>) -> Option<Option<Record>> {
        let is_left_out = |listed: Option<u64>| listed.is_some_and(|listed| listed < version);
        match self {
            Record::Code(code) if is_left_out(code.listed) && code.moved > 0 => {
                let over = code.clone().out_of_time();
                (over != *code).then_some(Some(Record::Code(over)))
            }
            Record::Code(code) if is_left_out(code.listed) => Some(None),
            Record::Member(known) if is_left_out(known.listed) && !known.withdrawn => {
                let known = listed_at.filter(|listed_at| known.as_of <= *listed_at).map(|_| known.clone())?;
                Some(Some(Record::Member(Box::new(Known { withdrawn: true, ..*known }))))
            }
            _ => None,
        }
    }
}

/// A priced basket: all that pricing saw and what it said. Enough to price again to the same figures.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Quote {
    /// Its id; a sale that came with a basket has one too, made on the spot.
    pub id: QuoteId,
    /// Who asked.
    pub device: DeviceId,
    /// When it was priced.
    pub made_at: UnixMs,
    /// The store's civil day at that moment, or when it was asked for if that is earlier: the day its uses count on.
    pub day: Day,
    /// Until when its commit is honoured.
    pub expires: UnixMs,
    /// Under which rules.
    pub bundle: BundleRef,
    /// What was asked.
    pub asked: QuoteBody,
    /// The member as pricing saw them, open quotes of the same member counted.
    pub member: Option<Member>,
    /// What each code gave a right to.
    pub codes: Vec<PresentedCode>,
    /// Uses in this shop as pricing saw them, open quotes counted.
    pub usage: BTreeMap<PromotionId, Usage>,
    /// Uses on this device as pricing saw them.
    pub device_usage: BTreeMap<PromotionId, Usage>,
    /// Whole hours without head office; nothing while the line is up or none is configured.
    pub offline_hours: Option<u32>,
    /// What head office lent, as pricing saw it; nothing where none is configured.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub lent: Option<Lent>,
    /// How units come back, by the promotions that applied; those that keep are left out.
    pub return_policies: BTreeMap<PromotionId, ReturnPolicy>,
    /// The figures, without the reasons of what did not apply: those are found again by pricing again.
    pub priced: Priced,
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

    /// What was asked for.
    pub fn keys(&self) -> impl Iterator<Item = &Key> {
        self.0.keys()
    }

    /// What stands under a key; `None` if nothing does or it was not asked for.
    pub fn get(&self, key: &Key) -> Option<&Record> {
        self.0.get(key).and_then(Option::as_ref)
    }

    /// What an entry holds of them. What was not there reads the same without its key; a decision never changes and stands
    /// in the same journal, so a replay reads it there again.
    pub fn only_kept(mut self) -> Facts {
        self.0.retain(|key, record| record.is_some() && !matches!(key, Key::Decision(_)));
        self
    }

    /// The quotes among what was read: a sale's entry has one, the one it settled.
    pub fn quotes(&self) -> impl Iterator<Item = &Quote> {
        self.0.values().filter_map(|record| match record {
            Some(Record::Quote(quote)) => Some(&**quote),
            _ => None,
        })
    }

    /// The quote of a sale's entry.
    pub(super) fn settled(&self) -> Option<&Quote> {
        self.quotes().next()
    }

    /// Everything but quotes and decisions.
    pub(super) fn others(&self) -> impl Iterator<Item = (&Key, &Option<Record>)> {
        self.0.iter().filter(|(key, _)| !matches!(key, Key::Quote(_) | Key::Decision(_)))
    }

    /// Uses counted of whom `of` says, those that are not zero.
    pub(super) fn uses(&self, of: &dyn Fn(&UsageOf) -> bool) -> BTreeMap<PromotionId, Usage> {
        let usage = self.0.iter().filter_map(|(key, record)| match (key, record) {
            (Key::Usage(whose, promotion), Some(Record::Usage(usage))) if of(whose) => {
                Some((promotion.clone(), *usage))
            }
            _ => None,
        });
        usage.filter(|(_, usage)| *usage != Usage::default()).collect()
    }

    /// Whose token it is.
    pub fn owner(&self, token: TokenHash) -> Option<&MemberId> {
        match self.get(&Key::Token(token)) {
            Some(Record::Token(member)) => Some(member),
            _ => None,
        }
    }

    /// Whoever shows this token, for offers: nobody where head office withdrew the member.
    pub fn shopper(&self, token: TokenHash) -> Option<Member> {
        let id = self.owner(token)?;
        self.known(id).filter(|known| !known.withdrawn).and_then(|_| self.member(id))
    }

    /// Head office's half of a member.
    pub fn known(&self, id: &MemberId) -> Option<&Known> {
        match self.get(&Key::Member(id.clone())) {
            Some(Record::Member(known)) => Some(known),
            _ => None,
        }
    }

    /// A member by id, both halves put together, withdrawn ones too: goods may come back.
    pub fn member(&self, id: &MemberId) -> Option<Member> {
        let known = self.known(id)?;
        let ledger = match self.get(&Key::Ledger(id.clone())) {
            Some(Record::Ledger(ledger)) => (**ledger).clone(),
            _ => Ledger::beginning(known.points, known.as_of),
        };
        let history = match self.get(&Key::History(id.clone())) {
            Some(Record::History(history)) if known.profile.consent.personal => Some(history.clone()),
            _ => None,
        };
        let (profile, profile_as_of) = (known.profile.clone(), known.as_of);
        Some(Member { id: id.clone(), profile, ledger, profile_as_of, history })
    }

    /// A single-use code.
    pub fn code(&self, code: &CouponCode) -> Option<&IssuedCode> {
        match self.get(&Key::Code(code.clone())) {
            Some(Record::Code(issued)) => Some(issued),
            _ => None,
        }
    }

    /// The sale that used a single-use code up.
    pub fn redeemed(&self, code: &CouponCode) -> Option<&TransactionKey> {
        match self.get(&Key::Redeemed(code.clone())) {
            Some(Record::Redeemed(sale)) => Some(sale),
            _ => None,
        }
    }

    /// Uses of a promotion.
    pub fn usage(&self, of: UsageOf, promotion: &PromotionId) -> Usage {
        match self.get(&Key::Usage(of, promotion.clone())) {
            Some(Record::Usage(usage)) => *usage,
            _ => Usage::default(),
        }
    }

    /// The slices a life of the box holds of something.
    pub fn slices(&self, epoch: Epoch, scope: &Scope) -> Slices {
        match self.get(&Key::Lease(epoch, scope.clone())) {
            Some(Record::Slices(slices)) => slices.clone(),
            _ => Slices::default(),
        }
    }

    /// How far a life of the box has listened.
    pub fn heard(&self, epoch: Epoch) -> Heard {
        match self.get(&Key::Heard(epoch)) {
            Some(Record::Heard(heard)) => *heard,
            _ => Heard::default(),
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
