//! What a till charged while the daemon was away: it stands, and what the rules say stands beside it.
//!
//! The quote of a charged sale keeps the rules' figures, so it is priced again to the same bytes. What is settled (the
//! receipt, the frozen shares that a return refunds, the member's ledger) is this room's: subtotal, discounts and uses
//! of limits are the rules', the nets are what was charged, and the difference is a figure of its own, for each line and
//! for the sale: a line's `net = gross - discounts - points as money + difference`, `total = rules' total + difference`.
//! Points by a rate follow the money, over the whole sale; points a promotion gives as a fixed number stay.

use crate::bundle::Bundle;
use crate::domain::basket::{Basket, Charged};
use crate::domain::money::{Leftover, Money, allocate};
use crate::domain::points::PointsReason;
use crate::limits;
use crate::pricing::model::Benefit;
use crate::pricing::outcome::{Priced, PricedLine, UnitShare};

use super::reply::ChargedView;

/// Gives each line of an article that is not in the catalogue the price the till charged. False if there was none.
pub(super) fn name_prices(basket: &mut Basket, bundle: &Bundle, charged: &Charged) -> bool {
    let mut named = false;
    for line in &mut basket.lines {
        if line.unit_price.is_none() && bundle.book.item(&line.sku).is_none() {
            let net =
                charged.lines.iter().find(|(id, _)| *id == line.line).map_or(Money::ZERO, |(_, net)| *net);
            line.unit_price = Some(Money(net.0 / i64::from(line.quantity.units())));
            named = true;
        }
    }
    named
}

/// The figures of a sale as charged. Its total is shared over the lines by the nets the till told (else by the rules'),
/// and so over each unit. The nets are weights only: a refund can never come to more than the total that was paid.
pub(super) fn as_charged(bundle: &Bundle, by_rules: &Priced, charged: &Charged) -> (Priced, ChargedView) {
    let mut settled = by_rules.clone();
    let difference = charged.total - by_rules.total;
    if difference != Money::ZERO || !charged.lines.is_empty() {
        let told =
            |line: &PricedLine| charged.lines.iter().find(|(id, _)| *id == line.line).map(|(_, net)| *net);
        let weights = settled.lines.iter().map(|line| told(line).unwrap_or(line.net).0.max(0));
        let nets = spread(charged.total.0, &weights.collect::<Vec<i64>>());
        for (line, net) in settled.lines.iter_mut().zip(nets) {
            line.net = net;
        }
        settled.total = charged.total;
        scale_points(bundle, &mut settled, by_rules.total);
        share_again(&mut settled);
        pay_again(&mut settled);
    }
    let told: Money = charged.lines.iter().map(|(_, net)| *net).sum();
    let adds_up = charged.lines.is_empty() || told == charged.total;
    let flagged = difference != Money::ZERO || !adds_up;
    (settled, ChargedView { total: charged.total, by_rules: by_rules.total, difference, flagged })
}

/// Points earned by a rate, in proportion to what was charged; a fraction is cut once for each line of the ledger.
fn scale_points(bundle: &Bundle, settled: &mut Priced, by_rules: Money) {
    let is_by_rate = |promotion: &Option<_>| match promotion {
        None => true,
        Some(id) => bundle.book.promotion(id).is_some_and(|promotion| {
            matches!(promotion.benefit, Benefit::PointsRate(_) | Benefit::PointsMultiplier(_))
        }),
    };
    let points = &mut settled.points;
    if by_rules.is_positive() {
        let earned = points.lines.iter_mut().filter(|line| line.reason == PointsReason::Earn);
        for line in earned.filter(|line| is_by_rate(&line.promotion)) {
            let exact = i128::from(line.points) * i128::from(settled.total.0.max(0)) / i128::from(by_rules.0);
            line.points = i64::try_from(exact).unwrap_or(limits::POINTS_MAX).min(limits::POINTS_MAX);
        }
        points.lines.retain(|line| line.points != 0);
    }
    let earned = points.lines.iter().filter(|line| line.reason == PointsReason::Earn);
    points.earn = earned.map(|line| line.points).sum();
}

/// The frozen share of each unit: of its line's net, and of the sale's points.
fn share_again(settled: &mut Priced) {
    let runs = |line: &PricedLine| line.shares.clone();
    let units = |runs: Vec<UnitShare>| -> Vec<UnitShare> {
        let each = |run: UnitShare| std::iter::repeat_n(run.clone(), run.qty as usize);
        runs.into_iter().flat_map(each).collect()
    };
    let lines: Vec<Vec<UnitShare>> = settled.lines.iter().map(|line| units(runs(line))).collect();
    let weights: Vec<i64> = lines.iter().flatten().map(|unit| unit.points.max(0)).collect();
    let mut points = spread(settled.points.earn, &weights).into_iter();
    for (line, units) in settled.lines.iter_mut().zip(lines) {
        let weights: Vec<i64> = units.iter().map(|unit| unit.net.0.max(0)).collect();
        let nets = spread(line.net.0, &weights);
        line.shares = Vec::new();
        for ((unit, net), points) in units.into_iter().zip(nets).zip(points.by_ref()) {
            let unit = UnitShare { qty: 1, net, points: points.0, ..unit };
            match line.shares.last_mut() {
                Some(run) if *run == (UnitShare { qty: run.qty, ..unit.clone() }) => run.qty += 1,
                _ => line.shares.push(unit),
            }
        }
    }
}

/// Gift cards pay what was charged, in order of presentation.
fn pay_again(settled: &mut Priced) {
    let mut left = settled.total.max(Money::ZERO);
    for card in &mut settled.gift_cards {
        let held = card.used + card.balance;
        card.used = held.min(left).max(Money::ZERO);
        card.balance = held - card.used;
        left -= card.used;
    }
}

fn spread(amount: i64, weights: &[i64]) -> Vec<Money> {
    allocate(Money(amount.max(0)), weights, Leftover::LargestRemainder)
}
