//! Open quotes and what they hold: single-use codes, quotas and points that a commit will need.
//!
//! A quote holds what is scarce until it is settled, expires or is superseded. A device that prices the same basket
//! again (same member, same first line) supersedes its earlier quote: the earlier one can still be committed but holds
//! nothing, so a till that prices after each scan does not stand in its own way. Soft state, bounded per device and in
//! all; the oldest leaves first. Holds of a quote are never counted against quotes of the same basket.

use std::collections::{BTreeMap, VecDeque};
use std::sync::Arc;

use crate::bundle::Bundle;
use crate::domain::calendar::UnixMs;
use crate::domain::ids::{CouponCode, DeviceId, LineId, MemberId, PromotionId, QuoteId, RequestId, Sku};
use crate::domain::member::{TokenHash, Usage, Used};
use crate::limits;

use super::decision::Quote;
use super::input::{Digest, QuoteBody};
use super::reply::Answer;

/// A quote that can still be committed.
#[derive(Clone)]
pub struct OpenQuote {
    /// What was priced.
    pub quote: Arc<Quote>,
    /// The rules it was priced with, kept though a newer bundle may be active.
    pub bundle: Arc<Bundle>,
    holds: bool,
}

/// All open quotes of the shop.
pub struct OpenQuotes {
    prefix: String,
    made: u64,
    by_id: BTreeMap<QuoteId, OpenQuote>,
    by_age: VecDeque<(UnixMs, QuoteId)>,
    by_device: BTreeMap<DeviceId, OfDevice>,
    held: Holds,
}

/// One device's open quotes.
#[derive(Default)]
struct OfDevice {
    /// Oldest first.
    ids: VecDeque<QuoteId>,
    /// The one of each basket that holds what it needs. May name one that is closed.
    holding: BTreeMap<BasketName, QuoteId>,
}

/// What makes two requests of a device ones for the same basket: member, and line and article of the first line.
type BasketName = (Option<TokenHash>, Option<(LineId, Sku)>);

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

    /// Does this quote still hold what it needs, or was it superseded?
    pub fn holds(&self, id: &QuoteId) -> bool {
        self.by_id.get(id).is_some_and(|open| open.holds)
    }

    /// The id the next quote gets.
    pub fn next_id(&mut self) -> QuoteId {
        self.made += 1;
        QuoteId::new(&format!("{}-{:x}", self.prefix, self.made)).expect("hexadecimal with a dash is an id")
    }

    /// Releases what the device's earlier quote of the same basket holds, so that a new one may take it over.
    pub fn supersede(&mut self, device: &DeviceId, asked: &QuoteBody) {
        let Some(of_device) = self.by_device.get_mut(device) else { return };
        let Some(id) = of_device.holding.remove(&basket_name(asked)) else { return };
        if let Some(open) = self.by_id.get_mut(&id).filter(|open| open.holds) {
            open.holds = false;
            self.held.release(&open.quote);
        }
    }

    /// Opens a quote; it holds from now on.
    pub fn open(&mut self, quote: Arc<Quote>, bundle: Arc<Bundle>) {
        self.held.take(&quote);
        let of_device = self.by_device.entry(quote.device.clone()).or_default();
        of_device.ids.push_back(quote.id.clone());
        of_device.holding.insert(basket_name(&quote.asked), quote.id.clone());
        let pushed_out = (of_device.ids.len() > limits::DEVICE_QUOTES_MAX).then(|| of_device.ids[0].clone());
        self.by_age.push_back((quote.expires, quote.id.clone()));
        self.by_id.insert(quote.id.clone(), OpenQuote { quote, bundle, holds: true });
        if let Some(id) = pushed_out {
            self.close(&id);
        }
        while self.by_id.len() > limits::OPEN_QUOTES_MAX {
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

    /// Closes what has expired. Quotes expire in the order they were made, but for a changed `quote_seconds`.
    pub fn expire(&mut self, now: UnixMs) {
        while self.by_age.front().is_some_and(|(expires, _)| *expires < now) {
            let (_, id) = self.by_age.pop_front().expect("there is a first one");
            self.close(&id);
        }
    }

    fn close(&mut self, id: &QuoteId) {
        let Some(open) = self.by_id.remove(id) else { return };
        let Some(of_device) = self.by_device.get_mut(&open.quote.device) else { return };
        if open.holds {
            self.held.release(&open.quote);
            let name = basket_name(&open.quote.asked);
            if of_device.holding.get(&name) == Some(id) {
                of_device.holding.remove(&name);
            }
        }
        // Nearly always the oldest.
        if let Some(place) = of_device.ids.iter().position(|other| other == id) {
            of_device.ids.remove(place);
        }
        if of_device.ids.is_empty() {
            self.by_device.remove(&open.quote.device);
        }
    }

    /// How many open quotes hold this code.
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
    fn take(&mut self, quote: &Quote) {
        for code in codes(quote) {
            *self.codes.entry(code.clone()).or_default() += 1;
        }
        let on_device = self.device_usage.entry(quote.device.clone()).or_default();
        for (promotion, used) in uses(quote) {
            self.usage.entry(promotion.clone()).or_default().count(quote.day.number(), used);
            on_device.entry(promotion.clone()).or_default().count(quote.day.number(), used);
        }
        if let Some(member) = &quote.member {
            if quote.priced.points.spend > 0 {
                *self.points.entry(member.id.clone()).or_default() += quote.priced.points.spend;
            }
            let of_member = self.member_usage.entry(member.id.clone()).or_default();
            for (promotion, used) in uses(quote) {
                of_member.entry(promotion.clone()).or_default().count(quote.day.number(), used);
            }
        }
    }

    fn release(&mut self, quote: &Quote) {
        for code in codes(quote) {
            if let Some(count) = self.codes.get_mut(code) {
                *count -= 1;
                if *count == 0 {
                    self.codes.remove(code);
                }
            }
        }
        for (promotion, used) in uses(quote) {
            release_usage(&mut self.usage, promotion, quote.day.number(), used);
        }
        release_all(&mut self.device_usage, &quote.device, quote);
        if let Some(member) = &quote.member {
            if let Some(points) = self.points.get_mut(&member.id) {
                *points -= quote.priced.points.spend;
                if *points <= 0 {
                    self.points.remove(&member.id);
                }
            }
            release_all(&mut self.member_usage, &member.id, quote);
        }
    }
}

/// Releases what a quote holds of its member's or its device's own limits.
fn release_all<K: Ord>(held: &mut BTreeMap<K, BTreeMap<PromotionId, Usage>>, of: &K, quote: &Quote) {
    let Some(usage) = held.get_mut(of) else { return };
    for (promotion, used) in uses(quote) {
        release_usage(usage, promotion, quote.day.number(), used);
    }
    if usage.is_empty() {
        held.remove(of);
    }
}

fn release_usage(usage: &mut BTreeMap<PromotionId, Usage>, promotion: &PromotionId, day: i64, used: Used) {
    if let Some(held) = usage.get_mut(promotion) {
        held.take_back(day, used);
        if held.uses == 0 {
            usage.remove(promotion);
        }
    }
}

fn codes(quote: &Quote) -> impl Iterator<Item = &CouponCode> {
    quote.priced.applied.iter().filter_map(|applied| applied.coupon.as_ref())
}

/// What each applied promotion of a quote uses of its limits.
pub(super) fn uses(quote: &Quote) -> impl Iterator<Item = (&PromotionId, Used)> {
    quote.priced.applied.iter().map(|applied| {
        let used = Used { uses: 1, units: applied.units, money: applied.amount, points: applied.points };
        (&applied.promotion, used)
    })
}

fn basket_name(asked: &QuoteBody) -> BasketName {
    let first = asked.basket.lines.first();
    (asked.member, first.map(|line| (line.line.clone(), line.sku.clone())))
}

/// The last answers to reads, so that a repeated read gets the same answer.
#[derive(Default)]
pub struct ReadReplays {
    answers: BTreeMap<(DeviceId, RequestId), (Digest, Arc<Answer>)>,
    by_age: VecDeque<(DeviceId, RequestId)>,
}

impl ReadReplays {
    /// The answer a device got to an id.
    pub fn find(&self, device: &DeviceId, id: &RequestId) -> Option<&(Digest, Arc<Answer>)> {
        self.answers.get(&(device.clone(), id.clone()))
    }

    /// Keeps an answer; the oldest leaves.
    pub fn keep(&mut self, device: DeviceId, id: RequestId, digest: Digest, answer: Arc<Answer>) {
        let key = (device, id);
        self.by_age.push_back(key.clone());
        self.answers.insert(key, (digest, answer));
        if self.by_age.len() > limits::READ_REPLAYS_MAX {
            let oldest = self.by_age.pop_front().expect("longer than its bound");
            self.answers.remove(&oldest);
        }
    }
}
