//! Open quotes and what they hold: single-use codes, quotas and points that a commit will need.
//!
//! A quote holds what is scarce until it is settled, expires or is superseded. A till prices after each scan, and must not
//! stand in its own way: a new quote supersedes the device's earlier ones of the same running basket. Those can still be
//! committed but hold nothing.
//!
//! The contract names no basket, and a device may have several at once (parked ones, a gateway of many self-checkouts), so
//! the latest quote cannot simply take over from all before it. Two quotes of one device are of the same basket if
//! - both have a member: when it is the same one, whatever the lines are; a shopper stands at one basket;
//! - else, when a member was added or taken away or there is none: when they share a single-use code, or more than half
//!   of the articles of the one that has fewer. Lines count by article: tills number them anew when one is taken out.
//!
//! Taken for the same though they are not (two parked baskets of one article, nobody known): the earlier one is still
//! honoured while what it needs is there. Taken for different ones though they are the same (every article exchanged at
//! once): the hold lasts until it expires.
//!
//! What supersedes takes effect only if its request succeeds (`conclude`): a refused one leaves every hold as it was.
//!
//! Quotes are kept as bytes (`kept`), bounded per device, in all, and in bytes; the oldest leaves first. Soft state.

use std::collections::{BTreeMap, BTreeSet, VecDeque};
use std::mem::size_of;
use std::sync::Arc;

use crate::bundle::Bundle;
use crate::bundle::voucher::used_as;
use crate::domain::calendar::UnixMs;
use crate::domain::ids::{CouponCode, DeviceId, MemberId, PromotionId, QuoteId, RequestId};
use crate::domain::member::{TokenHash, Usage, Used};
use crate::limits;

use super::codes;
use super::decision::{Key, Quote};
use super::input::{Digest, QuoteBody};
use super::kept::Kept;
use super::reply::Answer;

/// A quote that can still be committed.
pub struct OpenQuote {
    /// Who asked.
    pub device: DeviceId,
    /// The rules it was priced with, kept though a newer bundle may be active.
    pub bundle: Arc<Bundle>,
    /// What pricing it read; settling it reads the same.
    pub reads: Box<[Key]>,
    kept: Kept,
    /// What is scarce in it; nothing for most quotes.
    scarce: Option<Box<Scarce>>,
    holds: bool,
}

impl OpenQuote {
    /// What was priced.
    pub fn quote(&self) -> Quote {
        self.kept.quote()
    }

    fn bytes(&self) -> usize {
        let held = self.scarce.as_ref().map_or(0, |scarce| {
            size_of::<Scarce>()
                + size_of::<(PromotionId, Used)>() * scarce.uses.len()
                + 4 * scarce.articles.len()
        });
        size_of::<OpenQuote>() + self.kept.len() + size_of::<Key>() * self.reads.len() + held
    }
}

/// What a quote holds, and what tells its basket.
struct Scarce {
    day: i64,
    uses: Vec<(PromotionId, Used)>,
    /// Under the names by which they are used up.
    codes: Vec<CouponCode>,
    /// Those of its codes that only one sale can use, as presented.
    single_use: Vec<CouponCode>,
    member: Option<MemberId>,
    points: i64,
    token: Option<TokenHash>,
    articles: Articles,
}

/// The articles of a basket, each as a checksum: in order, once each.
type Articles = Vec<u32>;

impl Scarce {
    /// Nothing if the quote needs nothing that could run out.
    fn of(quote: &Quote, bundle: &Bundle) -> Option<Box<Scarce>> {
        let is_limited = |id: &PromotionId| {
            let promotion = bundle.book.promotion(id);
            promotion.is_some_and(|rule| !rule.limits.is_empty() || rule.offline.exposure_max.is_some())
        };
        let uses = uses(quote).filter(|(promotion, _)| is_limited(promotion));
        let codes = codes::effective(quote);
        let scarce = Scarce {
            day: quote.day.number(),
            uses: uses.map(|(promotion, used)| (promotion.clone(), used)).collect(),
            codes: codes.map(used_as).collect(),
            single_use: codes::effective(quote)
                .filter(|code| bundle.generic(code).is_none())
                .cloned()
                .collect(),
            member: quote.member.as_ref().map(|member| member.id.clone()),
            points: quote.priced.points.spend,
            token: quote.asked.member,
            articles: Articles::new(),
        };
        let is_nothing = scarce.uses.is_empty() && scarce.codes.is_empty() && scarce.points <= 0;
        (!is_nothing).then(|| Box::new(Scarce { articles: articles(&quote.asked), ..scarce }))
    }

    /// Is what is asked now the same basket some moments later?
    fn goes_on_as(&self, asked: &QuoteBody, wanted: &Articles) -> bool {
        if let (Some(before), Some(now)) = (self.token, asked.member) {
            return before == now;
        }
        let common = self.articles.iter().filter(|article| wanted.binary_search(article).is_ok()).count();
        common * 2 > self.articles.len().min(wanted.len())
            || asked.basket.coupons.iter().any(|code| self.single_use.contains(code))
    }
}

fn articles(asked: &QuoteBody) -> Articles {
    let articles = asked.basket.lines.iter().map(|line| crc32c::crc32c(line.sku.as_str().as_bytes()));
    articles.collect::<BTreeSet<u32>>().into_iter().collect()
}

/// All open quotes of the shop.
pub struct OpenQuotes {
    prefix: String,
    made: u64,
    by_id: BTreeMap<QuoteId, OpenQuote>,
    by_age: VecDeque<(UnixMs, QuoteId)>,
    by_device: BTreeMap<DeviceId, OfDevice>,
    held: Holds,
    bytes: usize,
    /// Superseded by the request that is being decided.
    superseded: Vec<QuoteId>,
}

/// One device's open quotes, oldest first.
#[derive(Default)]
struct OfDevice {
    ids: VecDeque<QuoteId>,
    /// Those of them that hold something.
    holding: Vec<QuoteId>,
}

#[derive(Default)]
struct Holds {
    codes: BTreeMap<CouponCode, u32>,
    usage: BTreeMap<PromotionId, Usage>,
    points: BTreeMap<MemberId, i64>,
    device_usage: BTreeMap<DeviceId, BTreeMap<PromotionId, Usage>>,
    member_usage: BTreeMap<MemberId, BTreeMap<PromotionId, Usage>>,
}

impl OpenQuotes {
    /// No quotes yet; `started` sets the ids of this start apart from those of others.
    pub fn new(started: UnixMs) -> OpenQuotes {
        OpenQuotes {
            prefix: format!("q{:x}", started.0),
            made: 0,
            by_id: BTreeMap::new(),
            by_age: VecDeque::new(),
            by_device: BTreeMap::new(),
            held: Holds::default(),
            bytes: 0,
            superseded: Vec::new(),
        }
    }

    /// How many are open.
    pub fn len(&self) -> usize {
        self.by_id.len()
    }

    /// Is none open?
    pub fn is_empty(&self) -> bool {
        self.by_id.is_empty()
    }

    /// An open quote.
    pub fn get(&self, id: &QuoteId) -> Option<&OpenQuote> {
        self.by_id.get(id)
    }

    /// Was it superseded by a later quote of the same basket?
    pub fn is_superseded(&self, id: &QuoteId) -> bool {
        self.by_id.get(id).is_some_and(|open| open.scarce.is_some() && !open.holds)
    }

    /// The id the next quote gets.
    pub fn next_id(&mut self) -> QuoteId {
        self.made += 1;
        QuoteId::new(&format!("{}-{:x}", self.prefix, self.made)).expect("hexadecimal with a dash is an id")
    }

    /// Releases what the device's earlier quotes of the same basket hold, so that the request being decided may take it
    /// over; for good once it is concluded.
    pub fn supersede(&mut self, device: &DeviceId, asked: &QuoteBody) {
        let Some(of_device) = self.by_device.get_mut(device).filter(|of| !of.holding.is_empty()) else {
            return;
        };
        let wanted = articles(asked);
        let (by_id, held, superseded) = (&mut self.by_id, &mut self.held, &mut self.superseded);
        of_device.holding.retain(|id| {
            let Some(open) = by_id.get_mut(id) else { return false };
            match &open.scarce {
                Some(scarce) if scarce.goes_on_as(asked, &wanted) => {
                    held.release(device, scarce);
                    open.holds = false;
                    superseded.push(id.clone());
                    false
                }
                _ => true,
            }
        });
    }

    /// The request is decided. If it was refused, what it had superseded holds again.
    pub fn conclude(&mut self, done: bool) {
        for id in std::mem::take(&mut self.superseded) {
            let Some(open) = self.by_id.get_mut(&id).filter(|_| !done) else { continue };
            if let Some(scarce) = &open.scarce {
                self.held.take(&open.device, scarce);
                open.holds = true;
                self.by_device.entry(open.device.clone()).or_default().holding.push(id);
            }
        }
    }

    /// Opens a quote; it holds from now on.
    pub fn open(&mut self, quote: &Quote, bundle: Arc<Bundle>, reads: Box<[Key]>) {
        let scarce = Scarce::of(quote, &bundle);
        let of_device = self.by_device.entry(quote.device.clone()).or_default();
        of_device.ids.push_back(quote.id.clone());
        if let Some(scarce) = &scarce {
            self.held.take(&quote.device, scarce);
            of_device.holding.push(quote.id.clone());
        }
        let pushed_out = (of_device.ids.len() > limits::DEVICE_QUOTES_MAX).then(|| of_device.ids[0].clone());
        self.by_age.push_back((quote.expires, quote.id.clone()));
        let holds = scarce.is_some();
        let (device, kept) = (quote.device.clone(), Kept::keep(quote));
        let open = OpenQuote { device, bundle, reads, kept, scarce, holds };
        self.bytes += open.bytes();
        self.by_id.insert(quote.id.clone(), open);
        if let Some(id) = pushed_out {
            self.close(&id);
        }
        while self.by_id.len() > limits::OPEN_QUOTES_MAX || self.bytes > limits::OPEN_QUOTES_BYTES_MAX {
            let (_, id) = self.by_age.pop_front().expect("every open quote has its age");
            self.close(&id);
        }
        // Closed quotes leave their age behind; they count for nothing and are cleared now and then.
        if self.by_age.len() > 2 * limits::OPEN_QUOTES_MAX {
            self.by_age.retain(|(_, id)| self.by_id.contains_key(id));
        }
    }

    /// The quote became a sale.
    pub fn settle(&mut self, id: &QuoteId) {
        self.close(id);
    }

    /// Closes what is open of a member who is forgotten: their till asks anew.
    pub fn forget(&mut self, member: &MemberId) {
        let key = Key::Member(member.clone());
        let theirs = self.by_id.iter().filter(|(_, open)| open.reads.contains(&key));
        let theirs: Vec<QuoteId> = theirs.map(|(id, _)| id.clone()).collect();
        theirs.iter().for_each(|id| self.close(id));
    }

    /// Closes what has expired. Quotes expire in the order they were made, but for a changed `quote_seconds`.
    pub fn expire(&mut self, now: UnixMs) {
        while self.by_age.front().is_some_and(|(expires, _)| *expires < now) {
            let (_, id) = self.by_age.pop_front().expect("there is a first one");
            self.close(&id);
        }
    }

    fn close(&mut self, id: &QuoteId) {
        let Some(open) = self.by_id.remove(id) else { return };
        self.bytes -= open.bytes();
        if let Some(scarce) = open.scarce.as_ref().filter(|_| open.holds) {
            self.held.release(&open.device, scarce);
        }
        let Some(of_device) = self.by_device.get_mut(&open.device) else { return };
        of_device.holding.retain(|other| other != id);
        // Nearly always the oldest.
        if let Some(place) = of_device.ids.iter().position(|other| other == id) {
            of_device.ids.remove(place);
        }
        if of_device.ids.is_empty() {
            self.by_device.remove(&open.device);
        }
    }

    /// How many open quotes hold this code, under the name by which it is used up.
    pub fn holding_code(&self, code: &CouponCode) -> u32 {
        self.held.codes.get(code).copied().unwrap_or_default()
    }

    /// What open quotes hold of a promotion in this shop.
    pub fn held_usage(&self, promotion: &PromotionId) -> Option<&Usage> {
        self.held.usage.get(promotion)
    }

    /// What open quotes of a device hold of a promotion.
    pub fn held_on_device(&self, device: &DeviceId, promotion: &PromotionId) -> Option<&Usage> {
        self.held.device_usage.get(device).and_then(|held| held.get(promotion))
    }

    /// What open quotes hold of a member's points.
    pub fn held_points(&self, member: &MemberId) -> i64 {
        self.held.points.get(member).copied().unwrap_or_default()
    }

    /// What open quotes hold of a member's own limits.
    pub fn held_by_member(&self, member: &MemberId) -> Option<&BTreeMap<PromotionId, Usage>> {
        self.held.member_usage.get(member)
    }
}

impl Holds {
    fn take(&mut self, device: &DeviceId, scarce: &Scarce) {
        for code in &scarce.codes {
            *self.codes.entry(code.clone()).or_default() += 1;
        }
        let count = |usage: &mut BTreeMap<PromotionId, Usage>| {
            for (promotion, used) in &scarce.uses {
                usage.entry(promotion.clone()).or_default().count(scarce.day, *used);
            }
        };
        count(&mut self.usage);
        if !scarce.uses.is_empty() {
            count(self.device_usage.entry(device.clone()).or_default());
        }
        if let Some(member) = &scarce.member {
            if scarce.points > 0 {
                *self.points.entry(member.clone()).or_default() += scarce.points;
            }
            if !scarce.uses.is_empty() {
                count(self.member_usage.entry(member.clone()).or_default());
            }
        }
    }

    fn release(&mut self, device: &DeviceId, scarce: &Scarce) {
        for code in &scarce.codes {
            if let Some(count) = self.codes.get_mut(code) {
                *count -= 1;
                if *count == 0 {
                    self.codes.remove(code);
                }
            }
        }
        release_usage(&mut self.usage, scarce);
        release_all(&mut self.device_usage, device, scarce);
        if let Some(member) = &scarce.member {
            if let Some(points) = self.points.get_mut(member) {
                *points -= scarce.points;
                if *points <= 0 {
                    self.points.remove(member);
                }
            }
            release_all(&mut self.member_usage, member, scarce);
        }
    }
}

/// Releases what a quote holds of its member's or its device's own limits.
fn release_all<K: Ord>(held: &mut BTreeMap<K, BTreeMap<PromotionId, Usage>>, of: &K, scarce: &Scarce) {
    let Some(usage) = held.get_mut(of) else { return };
    release_usage(usage, scarce);
    if usage.is_empty() {
        held.remove(of);
    }
}

fn release_usage(usage: &mut BTreeMap<PromotionId, Usage>, scarce: &Scarce) {
    for (promotion, used) in &scarce.uses {
        if let Some(held) = usage.get_mut(promotion) {
            held.take_back(scarce.day, *used);
            if held.uses == 0 {
                usage.remove(promotion);
            }
        }
    }
}

/// What each applied promotion of a quote uses of its limits.
pub(super) fn uses(quote: &Quote) -> impl Iterator<Item = (&PromotionId, Used)> {
    quote.priced.applied.iter().map(|applied| {
        let used = Used { uses: 1, units: applied.units, money: applied.amount, points: applied.points };
        (&applied.promotion, used)
    })
}

/// How a read was answered.
pub enum FirstAnswer {
    /// With this quote, by rules active since then: the answer is found again from it while it is open.
    Quoted {
        /// The quote.
        id: QuoteId,
        /// When.
        at: UnixMs,
        /// Since when its rules were active.
        since: UnixMs,
    },
    /// With this, as bytes.
    Said(Box<[u8]>),
}

impl FirstAnswer {
    /// An answer that is kept whole.
    pub fn said(answer: &Answer) -> FirstAnswer {
        let bytes = rmp_serde::to_vec_named(answer).expect("plain data can always be written");
        FirstAnswer::Said(bytes.into_boxed_slice())
    }

    fn bytes(&self) -> usize {
        match self {
            FirstAnswer::Said(bytes) => bytes.len(),
            FirstAnswer::Quoted { .. } => 0,
        }
    }
}

/// The last answers to reads, so that a repeated read gets the same answer.
#[derive(Default)]
pub struct ReadReplays {
    answers: BTreeMap<(DeviceId, RequestId), (Option<Digest>, FirstAnswer)>,
    by_age: VecDeque<(DeviceId, RequestId)>,
    bytes: usize,
}

impl ReadReplays {
    /// The answer a device got to an id.
    pub fn find(&self, device: &DeviceId, id: &RequestId) -> Option<&(Option<Digest>, FirstAnswer)> {
        self.answers.get(&(device.clone(), id.clone()))
    }

    /// Keeps an answer; the oldest leaves.
    pub fn keep(&mut self, device: DeviceId, id: RequestId, sent: Option<Digest>, answer: FirstAnswer) {
        let key = (device, id);
        self.bytes += answer.bytes();
        match self.answers.insert(key.clone(), (sent, answer)) {
            Some((_, before)) => self.bytes -= before.bytes(),
            None => self.by_age.push_back(key),
        }
        while self.by_age.len() > limits::READ_REPLAYS_MAX || self.bytes > limits::READ_REPLAYS_BYTES_MAX {
            let oldest = self.by_age.pop_front().expect("what has bytes has an age");
            if let Some((_, gone)) = self.answers.remove(&oldest) {
                self.bytes -= gone.bytes();
            }
        }
    }
}
