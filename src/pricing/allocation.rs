//! Splitting an amount over units: parts always sum to the whole, and no part is larger than its room.
//!
//! In three levels, so that what stands on the receipt is exact to the cent at the level people read: over goods in
//! proportion to weight, within a good over its runs, within a run over its units (the first ones get the leftover).
//! Where a part's share is larger than its room it gets its room, and the rest is split over the others again
//! (water-filling). Leftover minor units go to the largest remainders or to the first, as the bundle states; ties are
//! broken by canonical order.

use crate::domain::money::{Leftover, Money};

use super::units::Mark;

/// Some units of one run that could receive.
#[derive(Clone, Copy, Debug)]
pub(super) struct Part {
    pub(super) run: u32,
    pub(super) good: u32,
    pub(super) qty: u32,
    /// In proportion to what, per unit. Not negative.
    pub(super) weight: i64,
    /// At most this, per unit. Not negative.
    pub(super) room: i64,
}

/// `a * b / c` rounded down, and the remainder, without overflow. All not negative, `c` positive.
fn split(a: i64, b: i64, c: i64) -> (i64, i64) {
    match a.checked_mul(b) {
        Some(product) => (product / c, product % c),
        None => {
            let (product, c) = (i128::from(a) * i128::from(b), i128::from(c));
            let narrow = |n: i128| i64::try_from(n).expect("a part is not larger than the whole");
            (narrow(product / c), narrow(product % c))
        }
    }
}

/// Parts of a split that needs no memory of its own: most goods stand in few runs.
const FEW: usize = 8;

/// Splits `total` over `(weight, room)` pairs into `shares`, one for each. The shares sum to the smaller of `total` and
/// all room together. With all weights zero the rooms are the weights.
pub(super) fn share_out(total: i64, parts: &[(i64, i64)], leftover: Leftover, shares: &mut [i64]) {
    let room: i64 = parts.iter().map(|part| part.1).sum();
    let all: i64 = parts.iter().map(|part| part.0).sum();
    if total >= room {
        shares.iter_mut().zip(parts).for_each(|(share, part)| *share = part.1);
        return;
    }
    shares.fill(0);
    if total <= 0 {
        return;
    }
    if parts.len() > FEW {
        let mut remainders = vec![(0, 0); parts.len()];
        if !share_roomy(total, all, parts, leftover, (shares, &mut remainders)) {
            share_tight(total, parts, leftover, shares);
        }
    } else if !share_roomy(total, all, parts, leftover, (shares, &mut [(0, 0); FEW][..parts.len()])) {
        share_tight(total, parts, leftover, shares);
    }
}

/// The usual case: every part has room for its share. Otherwise says so and leaves the shares to be worked out again.
fn share_roomy(
    total: i64,
    all: i64,
    parts: &[(i64, i64)],
    leftover: Leftover,
    (shares, remainders): (&mut [i64], &mut [(i64, u32)]),
) -> bool {
    if all == 0 {
        return false;
    }
    let mut left = total;
    for (index, (weight, room)) in parts.iter().enumerate() {
        let (mut share, rest) = split(total, *weight, all);
        if leftover == Leftover::RoundThenFirst && rest > all - rest {
            share += 1;
        }
        if share >= *room && *weight > 0 {
            return false;
        }
        shares[index] = share;
        remainders[index] = (rest, index as u32);
        left -= share;
    }
    if leftover == Leftover::LargestRemainder && (1..remainders.len() as i64).contains(&left) {
        remainders.select_nth_unstable_by(left as usize, |a, b| b.0.cmp(&a.0).then(a.1.cmp(&b.1)));
    }
    for (_, index) in remainders {
        let share = &mut shares[*index as usize];
        if left > 0 && parts[*index as usize].0 > 0 {
            *share += 1;
            left -= 1;
        } else if left < 0 && *share > 0 {
            *share -= 1;
            left += 1;
        }
    }
    left == 0
}

/// Some part has less room than its share: it gets its room, the others share the rest again.
fn share_tight(total: i64, parts: &[(i64, i64)], leftover: Leftover, shares: &mut [i64]) {
    shares.fill(0);
    let mut left = total;
    let weightless = parts.iter().all(|part| part.0 == 0);
    let weight = |part: &(i64, i64)| if weightless { part.1 } else { part.0 };
    let mut open: Vec<usize> =
        (0..parts.len()).filter(|i| weight(&parts[*i]) > 0 && parts[*i].1 > 0).collect();
    let mut remainders: Vec<(i64, usize)> = Vec::with_capacity(open.len());
    while !open.is_empty() {
        let all: i64 = open.iter().map(|i| weight(&parts[*i])).sum();
        let before = open.len();
        let (mut given, amount) = (0, left);
        remainders.clear();
        open.retain(|i| {
            let (mut share, rest) = split(amount, weight(&parts[*i]), all);
            if leftover == Leftover::RoundThenFirst && rest > all - rest {
                share += 1;
            }
            let full = share >= parts[*i].1;
            if full {
                shares[*i] = parts[*i].1;
                given += parts[*i].1;
            } else {
                shares[*i] = share;
                remainders.push((rest, *i));
            }
            !full
        });
        left -= given;
        if open.len() == before {
            left -= open.iter().map(|i| shares[*i]).sum::<i64>();
            break;
        }
    }
    if leftover == Leftover::LargestRemainder {
        remainders.sort_by(|a, b| b.0.cmp(&a.0).then(a.1.cmp(&b.1)));
    }
    // Every open part is below its room, and fewer cents than open parts are left, unless weights were missing.
    for (_, index) in remainders {
        if left > 0 {
            shares[index] += 1;
            left -= 1;
        } else if left < 0 && shares[index] > 0 {
            shares[index] -= 1;
            left += 1;
        }
    }
    for (index, part) in parts.iter().enumerate() {
        let more = left.min(part.1 - shares[index]);
        shares[index] += more;
        left -= more;
    }
}

/// Splits `total` over units as marks in the order of `parts` (which stand in the order of runs), without a mark for
/// goods that get nothing. `per_good` bounds what one good gets.
pub(super) fn spread(total: Money, parts: &[Part], per_good: Option<Money>, leftover: Leftover) -> Vec<Mark> {
    let mut marks = Vec::with_capacity(parts.len() + parts.len() / 2);
    let good_ends = || parts.chunk_by(|a, b| a.good == b.good);
    let whole = |part: &Part| {
        let qty = i64::from(part.qty);
        (part.weight * qty, part.room * qty)
    };
    let goods: Vec<(i64, i64)> = good_ends()
        .map(|of| {
            let (weight, room) = of.iter().map(whole).fold((0, 0), |a, b| (a.0 + b.0, a.1 + b.1));
            (weight, per_good.map_or(room, |most| room.min(most.0)))
        })
        .collect();
    let mut shares = vec![0; goods.len()];
    share_out(total.0, &goods, leftover, &mut shares);
    for (of, amount) in good_ends().zip(shares) {
        if amount == 0 {
            continue;
        }
        match of {
            [part] => spread_units(part, amount, &mut marks),
            few if few.len() <= FEW => {
                let (mut runs, mut shares) = ([(0, 0); FEW], [0; FEW]);
                runs.iter_mut().zip(few).for_each(|(run, part)| *run = whole(part));
                share_out(amount, &runs[..few.len()], leftover, &mut shares[..few.len()]);
                few.iter().zip(shares).for_each(|(part, amount)| spread_units(part, amount, &mut marks));
            }
            many => {
                let runs: Vec<(i64, i64)> = many.iter().map(whole).collect();
                let mut shares = vec![0; runs.len()];
                share_out(amount, &runs, leftover, &mut shares);
                many.iter().zip(shares).for_each(|(part, amount)| spread_units(part, amount, &mut marks));
            }
        }
    }
    marks
}

/// One amount over the equal units of a run.
fn spread_units(part: &Part, amount: i64, marks: &mut Vec<Mark>) {
    let qty = i64::from(part.qty);
    let (each, more) = (amount / qty, (amount % qty) as u32);
    let mut mark = |qty: u32, amount: i64| {
        if qty > 0 {
            marks.push(Mark {
                run: part.run,
                good: part.good,
                qty,
                amount: Money(amount),
                ..Mark::default()
            });
        }
    };
    mark(more, each + 1);
    mark(part.qty - more, each);
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn shared(total: i64, parts: &[(i64, i64)], leftover: Leftover) -> Vec<i64> {
        let mut shares = vec![0; parts.len()];
        share_out(total, parts, leftover, &mut shares);
        shares
    }

    #[test]
    fn who_gets_the_leftover_cents() {
        let three = [(1, 100), (1, 100), (1, 100)];
        assert_eq!(shared(100, &three, Leftover::LargestRemainder), [34, 33, 33]);
        let uneven = [(299, 999), (101, 999), (200, 999)];
        assert_eq!(shared(100, &uneven, Leftover::LargestRemainder), [50, 17, 33]);
        assert_eq!(shared(101, &uneven, Leftover::First), [51, 17, 33]);
    }

    #[test]
    fn who_pays_what_rounding_gave_too_much_or_too_little() {
        let round = Leftover::RoundThenFirst;
        assert_eq!(shared(300, &[(4300, 4300), (1400, 1400), (2300, 2300)], round), [162, 52, 86]);
        assert_eq!(shared(20, &[(1, 99), (1, 99), (1, 99)], round), [6, 7, 7], "7 each is one too much");
        assert_eq!(shared(10, &[(1, 99), (1, 99), (1, 99)], round), [4, 3, 3]);
        assert_eq!(shared(1, &[(1, 9), (1, 9)], round), [1, 0], "a half goes towards zero");
    }

    #[test]
    fn where_does_a_share_go_that_finds_no_room() {
        assert_eq!(shared(90, &[(1, 10), (1, 100), (1, 100)], Leftover::LargestRemainder), [10, 40, 40]);
        assert_eq!(shared(90, &[(1, 10), (1, 20)], Leftover::First), [10, 20]);
        assert_eq!(shared(5, &[(0, 3), (0, 9)], Leftover::LargestRemainder), [1, 4]);
    }

    proptest! {
        #[test]
        fn do_parts_sum_to_the_whole_within_their_rooms(
            total in 0_i64..1_000_000,
            parts in prop::collection::vec((0_i64..100_000, 0_i64..300_000), 1..30),
            leftover in prop::sample::select(vec![Leftover::First, Leftover::LargestRemainder, Leftover::RoundThenFirst]),
        ) {
            let shares = shared(total, &parts, leftover);
            let room: i64 = parts.iter().map(|p| p.1).sum();
            prop_assert_eq!(shares.iter().sum::<i64>(), total.min(room));
            for (share, part) in shares.iter().zip(&parts) {
                prop_assert!(*share >= 0 && *share <= part.1);
            }
        }
    }
}
