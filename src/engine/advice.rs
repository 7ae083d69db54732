//! What the shop's own sales say one could propose: baskets collected from decisions, and the model made of them.
//!
//! ```text
//! Baskets  folds every decision, beside the loop --advice(), seconds--> Advice  asked at a scan, and at a quote that wants it
//! ```
//! Only members the shop may learn of (`consent.personal`) are collected: a sale teaches where it changed its member's
//! history, and whoever is forgotten is gone with the same decision. A voided sale was never a basket. An `Advice`
//! knows the sales up to the moment it was made; the basket in hand it is told. It is soft state: nothing that is decided
//! depends on it, so a replay does not need it.
//!
//! Bounds: `ADVICE_BASKETS_OF_MEMBER_MAX` newest baskets of each member, `ADVICE_LINES_MAX` lines in all (the members whose last
//! basket is the oldest go first), `ADVICE_ITEMS_MAX` articles (later ones are not proposed before the next start).

use std::cell::RefCell;
use std::collections::{BTreeMap, VecDeque};

use serde::Serialize;

use crate::bundle::Bundle;
use crate::domain::calendar::{Day, UnixMs};
use crate::domain::history::number_of;
use crate::domain::ids::{MemberId, Seq, Sku};
use crate::domain::member::Member;
use crate::domain::text::Lang;
use crate::limits;
use crate::shopper::recommend::{self, Content, Model, Moment, Params, Scratch, View};

use super::answers::{Answers, Learned};
use super::decision::{Entry, Key, Record};
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
}

impl Baskets {
    /// Takes what one decision teaches.
    pub fn fold(&mut self, entry: &Entry, bundle: &Bundle) {
        self.answers.fold(entry, bundle);
        let mut learned_of = None;
        for change in entry.changes.iter() {
            match (&change.key, &change.record) {
                (Key::History(member), None) => self.forget(member),
                (Key::History(member), Some(Record::History(_))) if !member.is_nobody() => {
                    learned_of = Some(member);
                }
                _ => {}
            }
        }
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
        let model = Model::build(&history, &[], None, Params::shop());
        let (numbers, skus) = (self.numbers.clone(), self.skus.clone());
        let learned = self.answers.learned(today);
        Advice { counts: self.counts(), model, history, members, numbers, skus, content, learned }
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
    scratch: RefCell<Scratch>,
}

/// For whom, and what is known of the moment.
pub(super) struct Asked<'a> {
    /// Who; their past speaks only where they agreed to that.
    pub(super) member: Option<&'a Member>,
    /// What is in the basket.
    pub(super) basket: &'a mut dyn Iterator<Item = &'a Sku>,
    /// Now.
    pub(super) now: UnixMs,
    /// In which language to say why.
    pub(super) lang: Lang,
}

impl Adviser {
    pub(super) fn new(advice: Box<Advice>) -> Adviser {
        Adviser { advice, scratch: RefCell::default() }
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
        let Asked { member, basket, now, lang } = asked;
        let Advice { model, history, members, numbers, .. } = &*self.advice;
        let basket: Vec<Number> = basket.filter_map(|sku| numbers.get(sku).copied()).collect();
        let now = moment(bundle, now);
        let member = member
            .filter(|member| member.profile.consent.personal)
            .and_then(|member| members.get(&member.id).copied());
        let past = history.past(member.unwrap_or(recommend::Member::MAX), 0);
        let view = View { member, past, basket: &basket, now, segment: None };
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
