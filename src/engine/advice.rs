//! What the shop's own sales say one could propose: baskets collected from decisions, and the model made of them.
//!
//! ```text
//! Baskets  folds every decision, beside the loop --advice(), seconds--> Advice  asked at a scan, and at a quote that wants it
//! ```
//! Only members the shop may learn of (`consent.personal`) are collected: a sale teaches where it changed its member's
//! history, and whoever is forgotten is gone with the same decision. A voided sale was never a basket. An `Advice`
//! knows the sales up to the moment it was made; those since then (`lately`), the member's segments and the basket in hand it
//! is told. Of a member's segments the one with the fewest members counts, as it says the most. It is soft state: nothing that is decided
//! depends on it, so a replay does not need it.
//!
//! Bounds: `ADVICE_BASKETS_OF_MEMBER_MAX` newest baskets of each member, `ADVICE_LINES_MAX` lines in all (the members whose last
//! basket is the oldest go first), `ADVICE_ITEMS_MAX` articles (later ones are not proposed before the next start).

use std::cell::RefCell;
use std::collections::{BTreeMap, BTreeSet, VecDeque};

use serde::Serialize;

use crate::bundle::Bundle;
use crate::domain::calendar::{Day, UnixMs};
use crate::domain::history::number_of;
use crate::domain::ids::{MemberId, SegmentId, Seq, Sku};
use crate::domain::member::Member;
use crate::domain::text::Lang;
use crate::limits;
use crate::shopper::recommend::{
    self, Content, Factors, Model, Moment, Params, Scratch, Shipped, View, Wired,
};

use super::answers::{Answers, Learned};
use super::decision::{Entry, Key, Record};
use super::lately::Lately;
use super::replay;
use super::reply::{Reply, Suggestion};

type Number = recommend::Item;

/// Highest score of a suggestion.
const SCORE_MAX: u16 = 1_000;

/// A basket as it is learned from.
struct Basket {
    decision: Seq,
    time: Moment,
    items: Box<[Number]>,
}

/// The baskets of the shop's members.
#[derive(Default)]
pub struct Baskets {
    numbers: BTreeMap<Sku, Number>,
    skus: Vec<Sku>,
    members: BTreeMap<MemberId, VecDeque<Basket>>,
    lines: usize,
    answers: Answers,
    /// Of each member, at their last sale.
    segments: BTreeMap<MemberId, Box<[SegmentId]>>,
    through: Seq,
}

impl Baskets {
    /// Takes what one decision teaches.
    pub fn fold(&mut self, entry: &Entry, bundle: &Bundle) {
        self.through = entry.seq;
        self.answers.fold(entry, bundle);
        let learned_of = learned_of(entry, |member| self.forget(member));
        if let (Some(sale), Some(member)) = (replay::voided(entry), learned_of) {
            self.take_back(member, sale);
        }
        let (Ok(Reply::Commit(receipt)), Some(member)) = (&entry.answer, learned_of) else { return };
        let Some(quote) = entry.facts.quotes().next().filter(|_| !receipt.training) else { return };
        let time = moment(bundle, quote.made_at);
        let mut items: Vec<Number> = Vec::with_capacity(quote.asked.basket.lines.len());
        for line in &quote.asked.basket.lines {
            items.extend(self.number(&line.sku));
        }
        if let Some(buyer) = &quote.member {
            let mut segments = bundle.segments.of(buyer, quote.day);
            segments.truncate(limits::ADVICE_SEGMENTS_OF_MEMBER_MAX);
            self.segments.insert(member.clone(), segments.into());
        }
        self.add(member.clone(), Basket { decision: entry.seq, time, items: items.into() });
    }

    fn number(&mut self, sku: &Sku) -> Option<Number> {
        if let Some(number) = self.numbers.get(sku) {
            return Some(*number);
        }
        if self.skus.len() == limits::ADVICE_ITEMS_MAX {
            return None;
        }
        let number = Number::try_from(self.skus.len()).expect("items are bounded");
        self.skus.push(sku.clone());
        self.numbers.insert(sku.clone(), number);
        Some(number)
    }

    fn add(&mut self, member: MemberId, basket: Basket) {
        self.lines += basket.items.len();
        let baskets = self.members.entry(member).or_default();
        // Late news stands where it belongs in time.
        let place = baskets.partition_point(|known| known.time <= basket.time);
        baskets.insert(place, basket);
        if baskets.len() > limits::ADVICE_BASKETS_OF_MEMBER_MAX
            && let Some(oldest) = baskets.pop_front()
        {
            self.lines -= oldest.items.len();
        }
        if self.lines > limits::ADVICE_LINES_MAX {
            self.make_room();
        }
    }

    /// Lets the members go who have been away longest, until a tenth of the room is free.
    fn make_room(&mut self) {
        let last =
            |baskets: &VecDeque<Basket>| baskets.back().map_or(Moment::default(), |basket| basket.time);
        let mut order: Vec<(Moment, MemberId)> =
            self.members.iter().map(|(member, baskets)| (last(baskets), member.clone())).collect();
        order.sort();
        for (_, member) in order {
            if self.lines <= limits::ADVICE_LINES_MAX / 10 * 9 {
                break;
            }
            self.forget(&member);
        }
    }

    fn forget(&mut self, member: &MemberId) {
        self.answers.forget(member);
        self.segments.remove(member);
        for basket in self.members.remove(member).into_iter().flatten() {
            self.lines -= basket.items.len();
        }
    }

    fn take_back(&mut self, member: &MemberId, sale: Seq) {
        let Some(baskets) = self.members.get_mut(member) else { return };
        let Some(place) = baskets.iter().position(|basket| basket.decision == sale) else { return };
        let back = baskets.remove(place);
        self.lines -= back.map_or(0, |basket| basket.items.len());
    }

    /// What was learned of campaigns, as of a day.
    pub fn learned(&mut self, today: Day) -> Learned {
        self.answers.learned(today)
    }

    /// How much is collected.
    pub fn counts(&self) -> Counts {
        let baskets = self.members.values().map(VecDeque::len).sum();
        Counts { members: self.members.len(), baskets, lines: self.lines }
    }

    /// Makes the model as of a day: seconds of one core for a large shop, in proportion to `ADVICE_LINES_MAX` at most.
    pub fn advice(&mut self, bundle: &Bundle, today: Day) -> Advice {
        let mut history = recommend::History::default();
        let mut members = BTreeMap::new();
        for (member, baskets) in &self.members {
            let number = history.push(baskets.iter().map(|basket| (basket.time, &*basket.items)));
            members.insert(member.clone(), number);
        }
        let mut categories = BTreeMap::new();
        let attributes = self.skus.iter().map(|sku| {
            let item = bundle.book.item(sku);
            let category = item.and_then(|item| item.categories.last()).map(|category| {
                let next = u32::try_from(categories.len()).expect("items are bounded");
                *categories.entry(category).or_insert(next)
            });
            recommend::Attributes { category, price_minor: item.map_or(0, |item| item.price.0) }
        });
        let content = Content::new(attributes.collect());
        let segments = self.segment_numbers();
        let of_member = |member: &MemberId| {
            let own = self.segments.get(member)?.iter().filter_map(|segment| segments.get(segment));
            own.min().copied()
        };
        let by_member: Vec<Option<u16>> = self.members.keys().map(of_member).collect();
        let shipped = Shipped { factors: self.factors(bundle), network: self.network(bundle) };
        let model = Model::build(&history, &by_member, shipped, Params::shop());
        let (numbers, skus) = (self.numbers.clone(), self.skus.clone());
        let learned = self.answers.learned(today);
        let (counts, through) = (self.counts(), self.through);
        Advice { counts, through, segments, model, history, members, numbers, skus, content, learned }
    }

    /// Segments with enough members, numbered from the one with the fewest.
    fn segment_numbers(&self) -> BTreeMap<SegmentId, u16> {
        let mut counts: BTreeMap<&SegmentId, usize> = BTreeMap::new();
        for segment in self.segments.values().flatten() {
            *counts.entry(segment).or_default() += 1;
        }
        let mut order: Vec<(usize, &SegmentId)> =
            counts.into_iter().map(|(segment, count)| (count, segment)).collect();
        order.retain(|(count, _)| *count >= limits::ADVICE_SEGMENT_MEMBERS_MIN);
        order.sort();
        (0..).zip(order).map(|(number, (_, segment))| (segment.clone(), number)).collect()
    }

    /// Head office's factors of what is sold here; each member is the mean of what they bought. Nothing without them.
    fn factors(&self, bundle: &Bundle) -> Option<Factors> {
        let rank = bundle.factors.values().next()?.len();
        let mut items = vec![0.0_f32; rank * self.skus.len()];
        for (row, sku) in items.chunks_exact_mut(rank).zip(&self.skus) {
            if let Some(numbers) = bundle.factors.get(sku) {
                row.copy_from_slice(numbers);
            }
        }
        let mut members = vec![0.0_f32; rank * self.members.len()];
        for (row, baskets) in members.chunks_exact_mut(rank).zip(self.members.values()) {
            let bought: BTreeSet<Number> =
                baskets.iter().flat_map(|basket| basket.items.iter().copied()).collect();
            for item in &bought {
                let at = *item as usize * rank;
                row.iter_mut()
                    .zip(&items[at..at + rank])
                    .for_each(|(sum, number)| *sum += number / bought.len() as f32);
            }
        }
        let (member_count, item_count) = (self.members.len(), self.skus.len());
        let factors = Factors::new(rank, (members, member_count), (items, item_count));
        Some(factors.expect("the bundle was checked, and means of numbers below a million are finite"))
    }

    /// Head office's network, in this shop's numbers; nothing without one, or with one of no use.
    fn network(&self, bundle: &Bundle) -> Option<Wired> {
        let columns = bundle.network.as_ref()?.as_ref().ok()?;
        let items = columns.items.iter().map(|sku| self.numbers.get(sku).copied());
        Some(Wired::new(columns.network.clone(), items))
    }
}

/// What a model was made from.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
pub struct Counts {
    /// Members with a basket.
    pub members: usize,
    /// Their baskets.
    pub baskets: usize,
    /// Their lines.
    pub lines: usize,
}

/// The model with the names its numbers stand for, ready to be asked.
pub struct Advice {
    counts: Counts,
    /// The last decision it knows.
    through: Seq,
    segments: BTreeMap<SegmentId, u16>,
    model: Model,
    history: recommend::History,
    members: BTreeMap<MemberId, recommend::Member>,
    numbers: BTreeMap<Sku, Number>,
    skus: Vec<Sku>,
    content: Content,
    learned: Learned,
}

/// The model at hand, with the memory that asking it takes.
pub(crate) struct Adviser {
    advice: Box<Advice>,
    lately: Lately,
    scratch: RefCell<Scratch>,
}

/// For whom, and what is known of the moment.
pub(super) struct Asked<'a> {
    /// Who; their past speaks only where they agreed to that.
    pub(super) member: Option<&'a Member>,
    /// The segments they are in.
    pub(super) segments: &'a [SegmentId],
    /// What is in the basket.
    pub(super) basket: &'a mut dyn Iterator<Item = &'a Sku>,
    /// Now.
    pub(super) now: UnixMs,
    /// In which language to say why.
    pub(super) lang: Lang,
}

impl Adviser {
    /// Takes over from the one before, with the sales that the new model does not know yet.
    pub(super) fn new(advice: Box<Advice>, before: Option<Adviser>) -> Adviser {
        let mut lately = before.map(|before| before.lately).unwrap_or_default();
        lately.known_through(advice.through);
        Adviser { advice, lately, scratch: RefCell::default() }
    }

    /// A decision was made: what it teaches until the next model.
    pub(super) fn hear(&mut self, entry: &Entry, bundle: &Bundle) {
        let learned_of = learned_of(entry, |member| self.lately.forget(member));
        let Some(member) = learned_of else { return };
        if let Some(sale) = replay::voided(entry) {
            self.lately.voided(member, sale);
        }
        if let Ok(Reply::Commit(receipt)) = &entry.answer
            && let Some(quote) = entry.facts.quotes().next().filter(|_| !receipt.training)
        {
            let lines = quote.asked.basket.lines.iter();
            let items = lines.filter_map(|line| self.advice.numbers.get(&line.sku).copied()).collect();
            self.lately.sold(member, entry.seq, (moment(bundle, quote.made_at), items));
        }
    }

    pub(super) fn counts(&self) -> Counts {
        self.advice.counts
    }

    /// What was learned of campaigns.
    pub(super) fn learned(&self) -> &Learned {
        &self.advice.learned
    }

    /// Articles of the bundle's assortment to propose, best first, at most `most`.
    pub(super) fn propose(&self, bundle: &Bundle, asked: Asked<'_>, most: usize) -> Vec<Suggestion> {
        let Asked { member, segments, basket, now, lang } = asked;
        let Advice { model, history, members, numbers, .. } = &*self.advice;
        let basket: Vec<Number> = basket.filter_map(|sku| numbers.get(sku).copied()).collect();
        let now = moment(bundle, now);
        let agreed = member.filter(|member| member.profile.consent.personal);
        let member = agreed.and_then(|member| members.get(&member.id).copied());
        let past = history.past(member.unwrap_or(recommend::Member::MAX), 0);
        let mut since = agreed.into_iter().flat_map(|member| self.lately.of(&member.id)).peekable();
        let live = since.peek().is_some().then(|| {
            let mut live = recommend::History::default();
            let known = (0..past.len()).map(|at| (past.moment(at), past.basket(at)));
            live.push(known.chain(since));
            live
        });
        let past = live.as_ref().map_or(past, |live| live.past(0, 0));
        let known = segments.iter().filter_map(|segment| self.advice.segments.get(segment));
        // What people of a segment buy is told to whoever is in it by what they agreed to.
        let segment = known.min().copied().filter(|_| agreed.is_some());
        let view = View { member, past, basket: &basket, now, segment };
        // What left the assortment is passed over below.
        let wanted = most.saturating_mul(2);
        let proposals = model.recommend(&view, wanted, &mut self.scratch.borrow_mut());
        self.advice.suggestions(bundle, proposals, lang, most)
    }

    /// What could stand in for an article: of its category, near in price.
    pub(super) fn instead(&self, bundle: &Bundle, sku: &Sku, lang: Lang, most: usize) -> Vec<Suggestion> {
        let Advice { model, numbers, content, .. } = &*self.advice;
        let Some(&item) = numbers.get(sku) else { return Vec::new() };
        let wanted = most.saturating_mul(2);
        let proposals = content.alternatives(item, &[], Some(model), wanted);
        self.advice.suggestions(bundle, proposals, lang, most)
    }
}

impl Advice {
    fn suggestions(
        &self,
        bundle: &Bundle,
        proposals: Vec<recommend::Proposal>,
        lang: Lang,
        most: usize,
    ) -> Vec<Suggestion> {
        let name = |item: Number| {
            let sku = self.skus.get(item as usize)?;
            Some((sku, bundle.book.item(sku)?.names.get(lang)))
        };
        let sold =
            proposals.into_iter().filter_map(|proposal| Some((name(proposal.item)?.0, proposal.reason)));
        let step = SCORE_MAX / u16::try_from(most.max(1)).unwrap_or(SCORE_MAX);
        let ranked = sold.take(most).zip(0..);
        ranked
            .map(|((sku, reason), place)| Suggestion {
                sku: sku.clone(),
                score: SCORE_MAX - step * place,
                because: because(reason, lang, |item| name(item).map(|(_, name)| name)),
            })
            .collect()
    }
}

/// Whose history a decision changed; `forget` is told whose it took away.
fn learned_of(entry: &Entry, mut forget: impl FnMut(&MemberId)) -> Option<&MemberId> {
    let mut learned_of = None;
    for change in entry.changes.iter() {
        match (&change.key, &change.record) {
            (Key::History(member), None) => forget(member),
            (Key::History(member), Some(Record::History(_))) if !member.is_nobody() => {
                learned_of = Some(member);
            }
            _ => {}
        }
    }
    learned_of
}

/// The shop's civil day and hour.
fn moment(bundle: &Bundle, at: UnixMs) -> Moment {
    let civil = bundle.shop.time_zone.civil(at);
    let hour = u8::try_from(civil.minute / 60).expect("a day has 24 hours");
    Moment { day: number_of(civil.day), hour }
}

/// Why, in a shopper's words.
fn because<'a>(reason: recommend::Reason, lang: Lang, name: impl Fn(Number) -> Option<&'a str>) -> String {
    use recommend::Reason as Why;
    let with = |item: Number, zh_cn: &str, en: &str, else_zh_cn: &str, else_en: &str| match (
        lang,
        name(item).filter(|name| !name.is_empty()),
    ) {
        (Lang::ZhCn, Some(name)) => format!("{zh_cn}{name}"),
        (Lang::En, Some(name)) => format!("{en} {name}"),
        (Lang::ZhCn, None) => else_zh_cn.to_owned(),
        (Lang::En, None) => else_en.to_owned(),
    };
    let plain = |zh_cn: &str, en: &str| match lang {
        Lang::ZhCn => zh_cn.to_owned(),
        Lang::En => en.to_owned(),
    };
    match reason {
        Why::BoughtOften(_) => plain("您常买", "you buy it often"),
        Why::Due => plain("该补货了", "about time for it again"),
        Why::GoesWith(item) => with(item, "搭配", "goes with", "与您买的相配", "goes with what you buy"),
        Why::PeopleLikeYou => plain("口味相近的会员也买", "bought by members with a taste like yours"),
        Why::PopularAtHour(_) => plain("这个时段热卖", "sells well at this hour"),
        Why::PopularInSegment(_) | Why::Popular => plain("本店热卖", "sells well in this shop"),
        Why::SimilarTo(item) => with(item, "可替代", "instead of", "同类商品", "of the same kind"),
        Why::HeadOffice => plain("为您推荐", "picked for you"),
    }
}
