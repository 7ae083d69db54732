//! What can happen to the engine: a device's checked request, or a word of head office.
//!
//! `devices::wire` makes a `Request` from bytes, `upstream` makes the others. Nothing here can be malformed any more:
//! ids are checked, counts are inside `limits`, tokens are hashes. The same types stand in the journal, because a
//! decision is replayed from them.

use serde::{Deserialize, Serialize};

use crate::domain::basket::{Basket, Charged, Tender, TransactionKey};
use crate::domain::calendar::{MonthDay, UnixMs};
use crate::domain::ids::{
    BundleRef, CampaignId, DeviceId, LineId, MemberId, OrderId, PromotionId, QuoteId, RequestId, Seq, Sku,
    Tag, Zone,
};
use crate::domain::lease::Word;
use crate::domain::member::{Consent, Profile, TokenHash};
use crate::domain::order::OrderWord;
use crate::domain::text::Lang;
pub use crate::pricing::model::Channel;

/// Something that happened.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Input {
    /// A device asks.
    Request(Box<Request>),
    /// Head office sent members.
    Members(MembersUpdate),
    /// A verified bundle becomes the active one.
    Activate(BundleRef),
    /// Head office says something about what it lent this box.
    Lease(Word),
    /// What members were shown since the last such decision.
    Shown(Vec<Shown>),
    /// Somebody is forgotten.
    Forget(Forgotten),
    /// Head office says how an order stands that is handed over here.
    Order(Box<OrderWord>),
}

/// Who is forgotten, as far as the journal may still say it: so that one can see that it was done.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Forgotten {
    /// The number under which decisions named the member; none where no decision did.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub number: Option<u32>,
}

/// What a member was shown at a scan.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Shown {
    /// Who; one who agreed to be learned of.
    pub member: MemberId,
    /// Where.
    pub device: DeviceId,
    /// When.
    pub at: UnixMs,
    /// Which offers, in order.
    pub offers: Vec<PromotionId>,
    /// Which articles were suggested, in order.
    pub suggested: Vec<Sku>,
    /// Campaigns whose offers were kept from them, to be compared with.
    #[serde(default)]
    pub held: Vec<CampaignId>,
    /// Campaigns whose care messages they saw.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub cared: Vec<CampaignId>,
}

/// A device's request, checked at the door.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Request {
    /// Who asks.
    pub device: DeviceId,
    /// The device's own key of this request.
    pub id: RequestId,
    /// Of the document but for what is personal in it: with that, tells a repetition from a reuse.
    pub digest: Digest,
    /// Of the body as sent. Nowhere on the disk: a phone number could be found out from it.
    #[serde(skip)]
    pub sent: Option<Digest>,
    /// When the device says it happened.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub at: Option<UnixMs>,
    /// What it asks.
    pub body: Body,
}

/// The first 16 bytes of a SHA-256.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Digest(pub [u8; 16]);

impl Digest {
    /// Of a whole hash.
    pub fn of(hash: &[u8; 32]) -> Digest {
        let (short, _) = hash.split_first_chunk().expect("32 bytes have a first 16");
        Digest(*short)
    }
}

/// The nine requests.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Body {
    /// A member shows up.
    Scan(Scan),
    /// What would this cost?
    Quote {
        /// What and for whom.
        asked: QuoteBody,
        /// Say also what goes with it.
        suggest: bool,
    },
    /// The sale happened.
    Commit(Commit),
    /// The sale did not happen after all.
    Void(TransactionKey),
    /// Goods come back.
    Return(Return),
    /// What the shopper thought of it.
    Feedback(Feedback),
    /// What a sensor or kiosk saw.
    Event(Event),
    /// A new member.
    Enroll(Enroll),
    /// What does the member hold?
    Wallet(TokenHash),
}

impl Body {
    /// Does answering it change what the shop knows?
    pub fn is_write(&self) -> bool {
        match self {
            Body::Scan(_) | Body::Quote { .. } | Body::Wallet(_) => false,
            Body::Commit(_) | Body::Void(_) | Body::Return(_) => true,
            Body::Feedback(_) | Body::Event(_) | Body::Enroll(_) => true,
        }
    }

    /// Does it say the same of persons? Yes to the body of somebody who was forgotten since.
    pub fn is_of_the_same(&self, first: &Body) -> bool {
        match (self, first) {
            (Body::Enroll(enroll), Body::Enroll(first)) => {
                let said = |enroll: &Enroll| (enroll.token, enroll.birthday, enroll.link);
                first.token == TokenHash::NOBODYS || said(enroll) == said(first)
            }
            (Body::Feedback(feedback), Body::Feedback(first)) => {
                first.text.is_none() || feedback.text == first.text
            }
            _ => {
                first.token().is_none_or(|token| token == TokenHash::NOBODYS) || self.token() == first.token()
            }
        }
    }

    /// The member's token it carries.
    pub fn token(&self) -> Option<TokenHash> {
        match self {
            Body::Scan(scan) => Some(scan.token),
            Body::Quote { asked, .. } => asked.member,
            Body::Commit(commit) => match &commit.sold {
                Sold::Quote(_) => None,
                Sold::Basket(quote) => quote.member,
            },
            Body::Event(event) => event.member,
            Body::Enroll(enroll) => Some(enroll.token),
            Body::Wallet(token) => Some(*token),
            Body::Void(_) | Body::Return(_) | Body::Feedback(_) => None,
        }
    }
}

/// A member shows up at a kiosk or till.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Scan {
    /// Who.
    pub token: TokenHash,
    /// Where.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub zone: Option<Zone>,
    /// The article they look at: alternatives to it are suggested.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub like: Option<Sku>,
    /// In which language to answer.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub lang: Option<Lang>,
}

/// A basket to price.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct QuoteBody {
    /// What and with which coupons, claims, points.
    pub basket: Basket,
    /// For whom.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub member: Option<TokenHash>,
    /// Through what it comes in.
    #[serde(default)]
    pub channel: Channel,
    /// A quote is priced as of this moment instead of now; with a sale it is only recorded.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub at: Option<UnixMs>,
    /// In which language titles are.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub lang: Option<Lang>,
}

/// A sale.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Commit {
    /// Its name for all time.
    pub transaction: TransactionKey,
    /// What was sold.
    pub sold: Sold,
    /// How it was paid.
    pub tenders: Vec<Tender>,
    /// Training: priced and kept, counts for nothing.
    pub training: bool,
    /// What the till charged while the daemon was away.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub charged: Option<Charged>,
}

/// What a sale is of.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Sold {
    /// A quote made before.
    Quote(QuoteId),
    /// A basket, priced now.
    Basket(QuoteBody),
}

/// Goods that come back.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Return {
    /// The sale they were bought in.
    pub original: TransactionKey,
    /// The return's own name.
    pub transaction: TransactionKey,
    /// Which lines, how many units of each.
    pub lines: Vec<(LineId, u32)>,
}

/// What the shopper thought of it.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Feedback {
    /// Of which sale.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub transaction: Option<TransactionKey>,
    /// 0 to 10.
    pub score: u8,
    /// On what.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub topic: Option<Tag>,
    /// In the shopper's words.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub text: Option<String>,
}

/// What a sensor or kiosk saw.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Event {
    /// What kind, for example browse, try_on, enquiry, shelf, door.
    pub kind: Tag,
    /// Of which article.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub sku: Option<Sku>,
    /// Where.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub zone: Option<Zone>,
    /// By whom.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub member: Option<TokenHash>,
    /// A mark the member gets.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub mark: Option<Marking>,
    /// A mark of this shop that the member loses.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub unmark: Option<Tag>,
    /// What the member agrees to from now on.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub consent: Option<Consent>,
    /// A further token of the member.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub link: Option<TokenHash>,
    /// The order that is handed over with it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub order: Option<OrderId>,
}

/// A mark that a device sets.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Marking {
    /// Which.
    pub tag: Tag,
    /// For how many days; for good without it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub days: Option<u32>,
}

/// A new member.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Enroll {
    /// What they will show.
    pub token: TokenHash,
    /// What they agreed to.
    pub consent: Consent,
    /// Month and day.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub birthday: Option<MonthDay>,
    /// What they will show as well.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub link: Option<TokenHash>,
}

/// Members as head office knows them now.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct MembersUpdate {
    /// When head office made it.
    pub as_of: UnixMs,
    /// This shop's decisions it has counted.
    pub settled_through: Seq,
    /// The members.
    pub members: Vec<MemberUpdate>,
}

/// One member as head office knows them now.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct MemberUpdate {
    /// Who.
    pub id: MemberId,
    /// What they may show, besides what is known already.
    pub tokens: Vec<TokenHash>,
    /// Head office's half; absent where only points changed.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub profile: Option<Profile>,
    /// Points, this shop's decisions through `settled_through` included.
    pub points: i64,
}
