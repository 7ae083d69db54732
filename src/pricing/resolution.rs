//! Which promotions apply: in `sequence`, each at its turn, on what the ones before left.
//!
//! Order: phase (units, order, points into money, points), within a phase claims last and in the order of claiming, then
//! priority, then the order of the bundle. Modes:
//! - exclusive: the first exclusive promotion (by priority, then order) that would give anything applies alone;
//! - best of: at the turn of the first of its group that gives anything all of the group are weighed on what is left then, and the one that
//!   takes most off (then: gives most points, then: smallest id) stands; should it give nothing at its own later turn,
//!   the sale is resolved again without it;
//! - best of line: the same, article by article, among those of one phase;
//! - stop further: later promotions neither count nor reach the units it marked.

use std::collections::BTreeMap;

use crate::domain::ids::Tag;
use crate::domain::money::Money;

use super::benefits::{Proposal, propose};
use super::book::{Book, Phase, Rule};
use super::eligibility::{self, Moment};
use super::explain::Why;
use super::model::{StackingMode, Trigger};
use super::points::{self, Programme};
use super::shelf::{self, Shelf};
use super::units::{Good, State};
use super::{PriceFault, Sale, units};

/// One sale being priced: what does not change while promotions are tried.
#[derive(Clone)]
pub(super) struct Sitting<'a> {
    pub(super) book: &'a Book,
    pub(super) sale: &'a Sale<'a>,
    pub(super) moment: Moment,
    pub(super) goods: Vec<Good<'a>>,
    /// In order of application; without promotions on the shelf.
    pub(super) candidates: Vec<Candidate<'a>>,
    /// What promotions on the shelf did to the goods' prices.
    pub(super) shelf: Shelf<'a>,
}

/// How often a reward was claimed, and as which claim.
#[derive(Clone, Copy, Debug)]
pub(super) struct Claimed {
    pub(super) position: usize,
    pub(super) times: u32,
}

/// A promotion that could touch the sale, or that was asked for.
#[derive(Clone, Copy, Debug)]
pub(super) struct Candidate<'a> {
    /// Its number in the book.
    pub(super) number: u32,
    pub(super) rule: &'a Rule,
    /// Which of the sale's codes set it off.
    pub(super) code: Option<usize>,
    pub(super) claim: Option<Claimed>,
    /// Why it is closed whatever is in the basket.
    pub(super) closed: Option<Why<'a>>,
}

/// A promotion that applied.
#[derive(Clone, Debug)]
pub(super) struct Done<'a> {
    /// Position among the candidates.
    pub(super) candidate: usize,
    pub(super) proposal: Proposal<'a>,
}

/// How a sale was resolved.
#[derive(Clone, Debug)]
pub(super) struct Resolved<'a> {
    pub(super) state: State,
    /// In order of application.
    pub(super) applied: Vec<Done<'a>>,
    /// By position among the candidates.
    pub(super) missed: Vec<(usize, Why<'a>)>,
    pub(super) programme: Programme,
}

impl Resolved<'_> {
    /// All that promotions took off.
    pub(super) fn discount(&self) -> Money {
        self.applied.iter().map(|done| done.proposal.amount).sum()
    }
}

impl<'a> Sitting<'a> {
    pub(super) fn new(book: &'a Book, sale: &'a Sale<'a>) -> Result<Sitting<'a>, PriceFault> {
        let goods = units::goods(book, sale.basket)?;
        let moment = Moment::new(&book.zone, sale.shopper.now);
        let candidates = candidates(book, sale, &moment, &goods);
        let mut sitting = Sitting { book, sale, moment, goods, candidates, shelf: Shelf::default() };
        shelf::reprice(&mut sitting);
        Ok(sitting)
    }

    /// The same sale with more of one good, and the place of that.
    pub(super) fn with(&self, more: Good<'a>) -> (Sitting<'a>, usize) {
        let mut with = self.clone();
        let same = |good: &Good<'a>| {
            let plain = good.grams.is_none() && good.best_before == more.best_before;
            more.only_in.is_none() && good.sku == more.sku && good.listed == more.listed && plain
        };
        let at = match with.goods.iter().position(same) {
            Some(at) => {
                with.goods[at].qty += more.qty;
                at
            }
            None => {
                // An article that was not there may bring promotions that nothing touched before.
                let new = more.only_in.is_none();
                let at = units::insert(&mut with.goods, more, self.book.arithmetic.listing);
                if new {
                    with.candidates = candidates(self.book, self.sale, &self.moment, &with.goods);
                }
                at
            }
        };
        shelf::reprice(&mut with);
        (with, at)
    }
}

fn candidates<'a>(
    book: &'a Book,
    sale: &'a Sale<'a>,
    moment: &Moment,
    goods: &[Good<'a>],
) -> Vec<Candidate<'a>> {
    let mut numbers = book.index.touching(goods);
    let mut asked: Vec<u32> = Vec::new();
    asked.extend(sale.codes.iter().filter_map(|code| code.promotion()).filter_map(|p| book.number(p)));
    asked.extend(sale.basket.claims.iter().filter_map(|claim| book.number(&claim.promotion)));
    numbers.retain(|number| book.rules[*number as usize].promotion.active || asked.contains(number));
    numbers.extend(asked);
    numbers.retain(|number| book.rules[*number as usize].phase != Phase::Shelf);
    numbers.sort_unstable();
    numbers.dedup();
    let mut candidates: Vec<Candidate<'a>> =
        numbers.into_iter().map(|number| candidate(book, sale, moment, number)).collect();
    candidates.sort_by_key(|c| (c.rule.phase, c.claim.map(|claim| claim.position), c.number));
    candidates
}

pub(super) fn candidate<'a>(
    book: &'a Book,
    sale: &'a Sale<'a>,
    moment: &Moment,
    number: u32,
) -> Candidate<'a> {
    let rule = &book.rules[number as usize];
    let promotion = &rule.promotion;
    let code = match promotion.trigger {
        Trigger::Code => sale.codes.iter().position(|code| code.promotion() == Some(&promotion.id)),
        Trigger::Auto | Trigger::Claim => None,
    };
    let claim = match promotion.trigger {
        Trigger::Claim => sale
            .basket
            .claims
            .iter()
            .position(|claim| claim.promotion == promotion.id)
            .map(|position| Claimed { position, times: sale.basket.claims[position].times }),
        Trigger::Auto | Trigger::Code => None,
    };
    let trigger = match promotion.trigger {
        Trigger::Code if code.is_none() => Some(Why::NoCode),
        Trigger::Claim if claim.is_none() => Some(Why::NotClaimed),
        Trigger::Auto | Trigger::Code | Trigger::Claim => None,
    };
    let closed = if !promotion.active {
        Some(Why::Inactive)
    } else {
        eligibility::schedule_closed(&promotion.schedule, moment)
            .or(trigger)
            .or_else(|| eligibility::offline_closed(promotion, sale))
            .or_else(|| eligibility::left_out(&promotion.audience, &sale.shopper, moment))
    };
    Candidate { number, rule, code, claim, closed }
}

/// Resolves in declared order, through phase `last`.
pub(super) fn sequence<'a>(sitting: &Sitting<'a>, last: Phase) -> Resolved<'a> {
    sequence_without(sitting, &[], last)
}

/// The same, without the candidates at some positions.
pub(super) fn sequence_without<'a>(sitting: &Sitting<'a>, out: &[usize], last: Phase) -> Resolved<'a> {
    let mut barred: Vec<(usize, Why<'a>)> = out.iter().map(|position| (*position, Why::NothingOff)).collect();
    loop {
        let mut course = Course::new(sitting, &barred, last);
        course.run();
        match course.failed_winner {
            // Each round bars one more candidate of a group, so there are no more rounds than candidates.
            Some((winner, why)) => barred.push((winner, why)),
            None => return course.done,
        }
    }
}

/// The verdict on one group.
#[derive(Clone)]
enum Verdict {
    /// This one stands.
    One(usize),
    /// These stand, good by good: with what the winner gave.
    ByGood(Vec<Option<(usize, Money)>>),
}

/// Promotions applied one after the other.
#[derive(Clone)]
pub(super) struct Course<'s, 'a> {
    sitting: &'s Sitting<'a>,
    barred: &'s [(usize, Why<'a>)],
    last: Phase,
    verdicts: BTreeMap<(&'a Tag, Option<Phase>), Verdict>,
    lost_by: BTreeMap<usize, Money>,
    /// Why an exclusive promotion does not stand alone; it never stands beside others.
    pub(super) not_alone: BTreeMap<usize, Why<'a>>,
    failed_winner: Option<(usize, Why<'a>)>,
    pub(super) spendable: i64,
    pub(super) done: Resolved<'a>,
}

impl<'s, 'a> Course<'s, 'a> {
    /// A course on units that are kept for promotions that consume, see `State::keeping`.
    pub(super) fn keeping(sitting: &'s Sitting<'a>, kept: &[(u32, u32, u32)], last: Phase) -> Course<'s, 'a> {
        let mut course = Course::new(sitting, &[], last);
        course.done.state = State::keeping(&sitting.goods, kept);
        course
    }

    /// What the promotion at a position gives now, line by line where its group is weighed so.
    pub(super) fn given(&mut self, position: usize) -> Result<Proposal<'a>, Why<'a>> {
        let stacking = &self.sitting.candidates[position].rule.promotion.stacking;
        match &stacking.group {
            Some(group) if stacking.mode == StackingMode::BestOfLine => self.best_of_line(position, group),
            _ => self.propose(&self.sitting.candidates[position]),
        }
    }

    /// What it gives if it is applied so many times at most.
    pub(super) fn given_times(&self, position: usize, times: u32) -> Result<Proposal<'a>, Why<'a>> {
        let candidate = self.sitting.candidates[position];
        let times = candidate.claim.map_or(times, |claim| claim.times.min(times));
        self.propose(&Candidate { claim: Some(Claimed { position, times }), ..candidate })
    }

    fn new(sitting: &'s Sitting<'a>, barred: &'s [(usize, Why<'a>)], last: Phase) -> Course<'s, 'a> {
        let done = Resolved {
            state: State::new(&sitting.goods),
            applied: Vec::new(),
            missed: Vec::new(),
            programme: Programme::default(),
        };
        Course {
            sitting,
            barred,
            last,
            verdicts: BTreeMap::new(),
            lost_by: BTreeMap::new(),
            not_alone: BTreeMap::new(),
            failed_winner: None,
            spendable: sitting.sale.spendable(),
            done,
        }
    }

    fn run(&mut self) {
        let alone = self.exclusive();
        self.from(0, alone);
    }

    /// The turns from a position on, to the end.
    pub(super) fn from(&mut self, first: usize, alone: Option<usize>) {
        let (mut wished, mut earned) = (false, false);
        for position in first..self.sitting.candidates.len() {
            let candidate = &self.sitting.candidates[position];
            if candidate.rule.phase > self.last {
                return;
            }
            if candidate.rule.phase == Phase::Earn && !wished {
                wished = true;
                self.grant_wish();
            }
            if candidate.rule.phase == Phase::Earn && !earned {
                earned = true;
                self.earn_programme();
            }
            let turn = match (candidate.closed.or(self.not_alone.get(&position).copied()), alone) {
                (Some(why), _) => Err(why),
                (None, Some(winner)) if !self.stands_with(winner, position) => {
                    Err(self.lost_to(winner, None))
                }
                (None, _) => self.turn(position),
            };
            match turn {
                Ok(proposal) => self.apply(position, proposal),
                Err(why) => self.done.missed.push((position, why)),
            }
        }
        if self.last == Phase::Earn && !wished {
            self.grant_wish();
        }
        if self.last == Phase::Earn && !earned {
            self.earn_programme();
        }
    }

    /// Is it the exclusive promotion itself, or another action of its offer?
    pub(super) fn stands_with(&self, winner: usize, position: usize) -> bool {
        let offer = |position: usize| &self.sitting.candidates[position].rule.promotion.offer;
        winner == position || (offer(winner).is_some() && offer(winner) == offer(position))
    }

    fn grant_wish(&mut self) {
        self.done.programme = points::grant_wish(self.sitting, &mut self.done.state, self.spendable);
        self.spendable -= self.done.programme.spent;
    }

    fn earn_programme(&mut self) {
        self.done.programme.earned = points::earn_programme(self.sitting, &mut self.done.state);
    }

    /// The exclusive promotion that stands alone, by position.
    fn exclusive(&mut self) -> Option<usize> {
        let exclusive = |c: &Candidate<'a>| {
            c.closed.is_none() && c.rule.promotion.stacking.mode == StackingMode::Exclusive
        };
        let candidates = self.sitting.candidates.iter().enumerate();
        let stays = |position: usize| !self.barred.iter().any(|(barred, _)| *barred == position);
        let mut inclined: Vec<(usize, &Candidate<'a>)> =
            candidates.filter(|(position, c)| exclusive(c) && stays(*position)).collect();
        inclined.sort_by_key(|(_, candidate)| candidate.number);
        for (position, candidate) in inclined {
            match self.propose(candidate) {
                Ok(_) => return Some(position),
                Err(why) => self.not_alone.insert(position, why),
            };
        }
        None
    }

    fn propose(&self, candidate: &Candidate<'a>) -> Result<Proposal<'a>, Why<'a>> {
        propose(self.sitting, &self.done.state, candidate, self.spendable)
    }

    fn turn(&mut self, position: usize) -> Result<Proposal<'a>, Why<'a>> {
        let candidate = &self.sitting.candidates[position];
        let stacking = &candidate.rule.promotion.stacking;
        if let Some((_, why)) = self.barred.iter().find(|(barred, _)| *barred == position) {
            return Err(*why);
        }
        let Some(group) = &stacking.group else { return self.propose(candidate) };
        match stacking.mode {
            StackingMode::Stack | StackingMode::Exclusive | StackingMode::StopFurther => {
                self.propose(candidate)
            }
            StackingMode::BestOf => self.best_of(position, group),
            StackingMode::BestOfLine => self.best_of_line(position, group),
        }
    }

    /// The open candidates of a group that are weighed in this mode, with what each would give now.
    fn weigh(
        &self,
        group: &Tag,
        mode: StackingMode,
        phase: Option<Phase>,
    ) -> Vec<(usize, Result<Proposal<'a>, Why<'a>>)> {
        let belongs = |position: usize, c: &Candidate<'a>| {
            let stacking = &c.rule.promotion.stacking;
            c.closed.is_none()
                && stacking.mode == mode
                && stacking.group.as_ref() == Some(group)
                && phase.is_none_or(|phase| c.rule.phase == phase)
                && !self.barred.iter().any(|(barred, _)| *barred == position)
        };
        let candidates = self.sitting.candidates.iter().enumerate();
        candidates.filter(|(position, c)| belongs(*position, c)).map(|(p, c)| (p, self.propose(c))).collect()
    }

    fn id(&self, position: usize) -> &'a crate::domain::ids::PromotionId {
        &self.sitting.candidates[position].rule.promotion.id
    }

    fn best_of(&mut self, position: usize, group: &'a Tag) -> Result<Proposal<'a>, Why<'a>> {
        let key = (group, None);
        let winner = match self.verdicts.get(&key) {
            Some(Verdict::One(winner)) => *winner,
            // Nothing is weighed before the first of the group that gives anything.
            _ => {
                self.propose(&self.sitting.candidates[position])?;
                self.weigh_group(group)
            }
        };
        let proposal = self.propose(&self.sitting.candidates[position]);
        match self.lost_by.get(&position) {
            _ if winner == position => {
                if let Err(why) = proposal {
                    self.failed_winner = self.failed_winner.or(Some((position, why)));
                }
                proposal
            }
            Some(by) => Err(self.lost_to(winner, Some(*by))),
            // What keeps it from giving anything says more than who would have won.
            None => Err(proposal.err().unwrap_or_else(|| self.lost_to(winner, None))),
        }
    }

    /// Decides a group, notes who lost by how much, and names the winner. Something of the group gives something.
    fn weigh_group(&mut self, group: &'a Tag) -> usize {
        let weighed = self.weigh(group, StackingMode::BestOf, None);
        let given = weighed.iter().filter_map(|(at, p)| p.as_ref().ok().map(|p| (*at, p.amount, p.points)));
        let best = given
            .clone()
            .min_by_key(|(at, amount, points)| (std::cmp::Reverse((*amount, *points)), self.id(*at)));
        let (winner, most, _) = best.expect("the candidate whose turn it is gives something");
        self.lost_by.extend(given.filter(|(at, ..)| *at != winner).map(|(at, less, _)| (at, most - less)));
        self.verdicts.insert((group, None), Verdict::One(winner));
        winner
    }

    fn best_of_line(&mut self, position: usize, group: &'a Tag) -> Result<Proposal<'a>, Why<'a>> {
        let candidate = &self.sitting.candidates[position];
        let key = (group, Some(candidate.rule.phase));
        if !self.verdicts.contains_key(&key) {
            let weighed = self.weigh(group, StackingMode::BestOfLine, Some(candidate.rule.phase));
            let mut best: Vec<Option<(usize, Money)>> = vec![None; self.sitting.goods.len()];
            for (at, proposal) in weighed {
                let Ok(proposal) = proposal else { continue };
                for marks in proposal.marks.chunk_by(|a, b| a.good == b.good) {
                    let amount: Money = marks.iter().map(|mark| mark.amount.times(mark.qty)).sum();
                    let better = best[marks[0].good as usize].is_none_or(|(winner, most)| {
                        amount > most || (amount == most && self.id(at) < self.id(winner))
                    });
                    if better && amount.is_positive() {
                        best[marks[0].good as usize] = Some((at, amount));
                    }
                }
            }
            self.verdicts.insert(key, Verdict::ByGood(best));
        }
        let mut proposal = self.propose(candidate)?;
        let Some(Verdict::ByGood(best)) = self.verdicts.get(&key) else { return Ok(proposal) };
        let mut winner = None;
        proposal.marks.retain(|mark| match best[mark.good as usize] {
            Some((at, _)) if at == position => true,
            Some((at, amount)) => {
                winner.get_or_insert((at, amount - mark.amount.times(mark.qty)));
                false
            }
            None => false,
        });
        proposal.amount = proposal.marks.iter().map(|mark| mark.amount.times(mark.qty)).sum();
        // What other lines would have been paid with stays with the member.
        proposal.spend = proposal.marks.iter().map(|mark| mark.spent * i64::from(mark.qty)).sum();
        let received = proposal.marks.iter().filter(|mark| mark.amount.is_positive());
        proposal.units = received.map(|mark| mark.qty).sum();
        match winner {
            Some((at, by)) if !proposal.amount.is_positive() => {
                Err(self.lost_to(at, Some(by.max(Money::ZERO))))
            }
            _ if !proposal.amount.is_positive() => Err(Why::NothingOff),
            _ => Ok(proposal),
        }
    }

    fn lost_to(&self, winner: usize, by: Option<Money>) -> Why<'a> {
        Why::LostTo { winner: self.id(winner), by }
    }

    pub(super) fn apply(&mut self, position: usize, mut proposal: Proposal<'a>) {
        let rule = self.sitting.candidates[position].rule;
        let stop = rule.promotion.stacking.mode == StackingMode::StopFurther;
        let take = rule.promotion.qualifier.consumes;
        if !stop && !take {
            proposal.marks.retain(|mark| mark.amount.is_positive() || mark.points > 0 || mark.spent > 0);
        }
        if !proposal.marks.is_empty() {
            let number = self.sitting.candidates[position].number;
            self.done.state.apply(number, &proposal.marks, stop, take);
        }
        self.spendable -= proposal.spend;
        proposal.marks = Vec::new();
        self.done.applied.push(Done { candidate: position, proposal });
    }
}
