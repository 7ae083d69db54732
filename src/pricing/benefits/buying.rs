//! Benefits for buying something else: buy X get Y of one set or of another, add-on prices.

use std::cmp::Reverse;

use super::super::explain::Why;
use super::super::model::{AddOn, Base, BuyXGetY, Pick, Reward, UnitSort};
use super::super::sets::Set;
use super::{Proposal, Take, Turn, keep_first, measure, qualified, units_of};

impl<'a> Turn<'_, 'a> {
    pub(super) fn buy_and_get(&self, takes: &[Take], buy: &BuyXGetY) -> Result<Proposal<'a>, Why<'a>> {
        match &self.rule.get {
            None => self.groups(takes.to_vec(), buy, false),
            Some(get) => self.other_set(takes, buy, get),
        }
    }

    /// Groups of `buy + get` units of one set, dearest units first; within each group the cheapest (or dearest) receive.
    pub(super) fn groups(
        &self,
        mut takes: Vec<Take>,
        buy: &BuyXGetY,
        same_sku: bool,
    ) -> Result<Proposal<'a>, Why<'a>> {
        let size = buy.buy + buy.get;
        let sku = |take: &Take| self.good(take).sku;
        takes.sort_by_key(|take| Reverse(take.net));
        if same_sku {
            takes.sort_by(|a, b| sku(a).cmp(sku(b)));
        }
        let mut left = match self.units_max() {
            Some(units) => self.times_max().min(units / buy.get),
            None => self.times_max(),
        };
        let first = match buy.pick {
            Pick::Cheapest => buy.buy,
            Pick::Dearest => 0,
        };
        let (mut receiving, mut used, mut times) = (Vec::new(), Vec::new(), 0);
        let mut missing = u32::MAX;
        for pool in takes.chunk_by(|a, b| !same_sku || sku(a) == sku(b)) {
            let units: u32 = pool.iter().map(|take| take.qty).sum();
            let groups = (units / size).min(left);
            let rest = units - groups * size;
            let part = buy.partial && groups < left && rest > buy.buy && buy.pick == Pick::Cheapest;
            let end = if part { units } else { groups * size };
            missing = missing.min(size - rest.min(size - 1));
            times += groups + u32::from(part);
            left -= groups + u32::from(part);
            // How many of the first `n` units receive: `get` of each full group, then those beyond `first`.
            let among = |n: u32| n / size * buy.get + (n % size).saturating_sub(first).min(buy.get);
            let mut start = 0;
            for take in pool {
                let stop = (start + take.qty).min(end);
                if start < stop {
                    let get = among(stop) - among(start);
                    receiving.push(Take { qty: get, ..*take });
                    used.push(Take { qty: stop - start - get, ..*take });
                }
                start += take.qty;
            }
        }
        if times == 0 {
            let (seen, _) = measure(&takes, Base::List);
            let short = Why::Units { seen, need: seen.saturating_add(missing), set: &self.rule.set };
            return Err(if missing <= size && left > 0 { short } else { Why::NothingOff });
        }
        let (seen, _) = measure(&takes, Base::List);
        let next = (left > 0).then_some(Why::Units { seen, need: seen + missing, set: &self.rule.set });
        self.rewarded(receiving, used, buy.reward, times, next)
    }

    /// `buy` units of one set for `get` units of another; a unit in both serves as one of them only.
    pub(super) fn other_set(
        &self,
        takes: &[Take],
        buy: &BuyXGetY,
        get: &'a Set,
    ) -> Result<Proposal<'a>, Why<'a>> {
        let others = units_of(self.sitting, self.state, self.rule, get)?;
        let in_both = |take: &Take| get.holds(self.good(take));
        let (bought, _) = measure(takes, Base::List);
        let (offered, _) = measure(&others, Base::List);
        let both: u32 = takes.iter().filter(|take| in_both(take)).map(|take| take.qty).sum();
        let (only_buy, only_get) = (bought - both, offered - both);
        let receivers = |times: u32| {
            let wanted = times.saturating_mul(buy.get);
            if buy.partial { wanted.min(offered) } else { wanted }
        };
        let fits = |times: u32| {
            let from_both = (times.saturating_mul(buy.buy)).saturating_sub(only_buy);
            from_both.saturating_add(receivers(times).saturating_sub(only_get)) <= both
                && receivers(times) > receivers(times - 1)
        };
        let most = (bought / buy.buy).min(offered.div_ceil(buy.get)).min(self.times_max());
        let most = self.units_max().map_or(most, |units| most.min(units / buy.get));
        let mut times = most;
        while times > 0 && !fits(times) {
            times -= 1;
        }
        if times == 0 {
            return Err(if bought < buy.buy {
                Why::Units { seen: bought, need: buy.buy, set: &self.rule.set }
            } else if offered < buy.get {
                Why::Units { seen: offered, need: buy.get, set: get }
            } else {
                let need = bought + (buy.buy + buy.get).saturating_sub(bought).max(1);
                Why::Units { seen: bought, need, set: &self.rule.set }
            });
        }
        let need_buy = times * buy.buy;
        let mut from_both = both - need_buy.saturating_sub(only_buy);
        let mut wanted = receivers(times);
        let mut choice = others;
        choice.sort_by_key(|take| match buy.pick {
            Pick::Cheapest => take.net,
            Pick::Dearest => -take.net,
        });
        let buys = |run: u32| takes.iter().any(|take| take.run == run);
        let mut receiving = Vec::new();
        for take in &choice {
            let shared = buys(take.run);
            let qty = take.qty.min(wanted).min(if shared { from_both } else { u32::MAX });
            wanted -= qty;
            if shared {
                from_both -= qty;
            }
            receiving.push(Take { qty, ..*take });
        }
        let mut payers = takes.to_vec();
        payers.sort_by_key(|take| Reverse(take.net));
        let (mut used, mut wanted) = (Vec::new(), need_buy);
        // Units that cannot receive pay first, so that the shared ones are left to those that must.
        for only_buys in [true, false] {
            for take in payers.iter().filter(|take| in_both(take) != only_buys) {
                let gets: u32 = receiving.iter().filter(|r| r.run == take.run).map(|r| r.qty).sum();
                let qty = (take.qty - gets).min(wanted);
                wanted -= qty;
                used.push(Take { qty, ..*take });
            }
        }
        self.rewarded(receiving, used, buy.reward, times, None)
    }

    /// Some units receive a reward, others were used to qualify.
    pub(super) fn rewarded(
        &self,
        mut receiving: Vec<Take>,
        used: Vec<Take>,
        reward: Reward,
        times: u32,
        next: Option<Why<'a>>,
    ) -> Result<Proposal<'a>, Why<'a>> {
        receiving.retain(|take| take.qty > 0);
        receiving.sort_unstable_by_key(|take| take.run);
        let marks = self.give(&receiving, reward.into(), self.sitting.book.arithmetic.round_at);
        let mut proposal = self.finish(marks, times)?;
        proposal.marks.extend(used.iter().filter(|take| take.qty > 0).map(qualified));
        proposal.marks.sort_by_key(|mark| mark.run);
        proposal.next = next;
        Ok(proposal)
    }

    /// Units of `add_on.items` cheaper, so many for each qualifying unit or amount; dearest first.
    pub(super) fn add_on(&self, takes: &[Take], add_on: &AddOn) -> Result<Proposal<'a>, Why<'a>> {
        let get = self.rule.get.as_ref().expect("an add-on's items are compiled");
        let offered = units_of(self.sitting, self.state, self.rule, get)?;
        let bought: Vec<Take> = takes.iter().filter(|take| !get.holds(self.good(take))).copied().collect();
        let (qty, spent) = measure(&bought, self.rule.promotion.qualifier.base);
        let (times, next) = self.again((add_on.per_qty, add_on.per_amount), (qty, spent))?;
        let (all, _) = measure(&offered, Base::List);
        let wanted = times.saturating_mul(add_on.units).min(self.units_max().unwrap_or(u32::MAX));
        let mut receiving = offered;
        keep_first(&mut receiving, wanted, UnitSort::Dearest);
        let times = wanted.min(all).div_ceil(add_on.units);
        // More units may come cheaper only if there are more of them than receive now.
        let next = next.filter(|_| all > wanted && times < self.times_max());
        self.rewarded(receiving, bought, add_on.reward, times, next)
    }
}
