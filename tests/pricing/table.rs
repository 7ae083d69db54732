//! Our own tables (`tests/pricing/*.txt`), in the grammar of `aisled bundle test`: see `cli::bundle::tables`.
//!
//! Each case is also priced with its lines reversed and with each line split into single units: whatever the shopper
//! sees must stay the same.

use aisled::cli::bundle::tables::{Given, Ground, Kind, Table};
use aisled::domain::basket::{Basket, Line, Quantity};
use aisled::domain::calendar::UnixMs;
use aisled::domain::ids::{LineId, MemberId};
use aisled::domain::member::{Ledger, Member, Profile};
use aisled::domain::money::Money;
use aisled::domain::text::Lang;
use aisled::pricing::outcome::Priced;

/// A member nobody has bought anything with.
pub(crate) fn member(name: &str, profile: Profile) -> Member {
    let id = MemberId::new(name).expect("an id of the test");
    Member { id, profile, ledger: Ledger::default(), profile_as_of: UnixMs(0), history: None }
}

/// Prices every case of a table; how many there are, and what differs from the table, for people.
pub(crate) fn run(file: &str, text: &str) -> (usize, Vec<String>) {
    let tell = |finding: &aisled::cli::bundle::tables::Finding| {
        format!("{file}:{}: {}", finding.line, finding.tell(Lang::En))
    };
    let table = match Table::read(text, &Ground::bare()) {
        Ok(table) => table,
        Err(findings) => return (0, findings.iter().map(tell).collect()),
    };
    let mut differences = Vec::new();
    for case in &table.cases {
        let given = match table.given(case) {
            Ok(given) => given,
            Err(findings) => {
                assert!(findings.iter().all(|finding| finding.kind == Kind::Unreadable));
                differences.extend(findings.iter().map(tell));
                continue;
            }
        };
        let priced = price(&given, &given.basket);
        invariants(&priced);
        differences.extend(table.judge(case, &given, &priced).iter().map(tell));
        let told = |priced: &Priced| {
            let mut told = priced.clone();
            told.lines.clear();
            told
        };
        for (how, basket) in [("reversed", reversed(&given.basket)), ("split", split(&given.basket))] {
            let other = price(&given, &basket);
            invariants(&other);
            if told(&other) != told(&priced) {
                differences.push(format!(
                    "{file} {}: lines {how} give other figures\n{:#?}\n{:#?}",
                    case.title,
                    told(&priced),
                    told(&other)
                ));
            }
        }
    }
    (table.cases.len(), differences)
}

fn price(given: &Given, basket: &Basket) -> Priced {
    given.price(basket).expect("a basket of the table can be priced")
}

fn reversed(basket: &Basket) -> Basket {
    let mut basket = basket.clone();
    basket.lines.reverse();
    basket
}

fn split(basket: &Basket) -> Basket {
    let mut split = basket.clone();
    split.lines.clear();
    if let Some(notes) = &mut split.notes {
        notes.best_before.clear();
    }
    for line in &basket.lines {
        let units =
            if matches!(line.quantity, Quantity::Grams(_)) { 1 } else { line.quantity.units().min(30) };
        for unit in 1..=units {
            let rest = line.quantity.units() - (units - 1);
            let quantity = match line.quantity {
                Quantity::Units(_) => Quantity::Units(if unit == units { rest } else { 1 }),
                grams => grams,
            };
            let part = LineId::new(&format!("{}-{unit}", line.line)).expect("an id of the test");
            if let Some((_, day)) = basket.best_before().iter().find(|(dated, _)| *dated == line.line) {
                split.notes.get_or_insert_default().best_before.push((part.clone(), *day));
            }
            split.lines.push(Line { line: part, quantity, ..line.clone() });
        }
    }
    split
}

/// What must hold of every answer.
pub(crate) fn invariants(priced: &Priced) {
    sums(priced);
    let shares = priced.lines.iter().flat_map(|line| &line.shares);
    for share in shares {
        assert!(share.net.is_positive() || share.points == 0, "free units earn none");
    }
}

/// Do the figures add up? Points on gross prices are earned by units that an order's discount made free, too.
pub(crate) fn sums(priced: &Priced) {
    let gross: Money = priced.lines.iter().map(|line| line.gross).sum();
    assert_eq!(gross, priced.subtotal, "lines sum to the subtotal");
    let applied: Money = priced.applied.iter().map(|applied| applied.amount).sum();
    assert_eq!(applied, priced.discount_total, "what applied sums to the discount");
    let tokens: Money = priced.gifts.iter().map(|gift| gift.unit_price.times(gift.qty)).sum();
    let spent: Money = priced.lines.iter().map(|line| line.points_amount).sum();
    assert_eq!(spent, priced.points.spend_amount, "points turned into money");
    assert_eq!(priced.total, priced.subtotal - priced.discount_total - spent + tokens);
    let (mut earned, mut paid) = (0, 0);
    for line in &priced.lines {
        let discounts: Money = line.discounts.iter().map(|discount| discount.amount).sum();
        assert_eq!(line.net, line.gross - discounts - line.points_amount, "line {}", line.line);
        let shares: Money = line.shares.iter().map(|share| share.net.times(share.qty)).sum();
        assert_eq!(line.net, shares, "shares of line {}", line.line);
        assert_eq!(line.units, line.shares.iter().map(|share| share.qty).sum::<u32>());
        assert!(line.shares.iter().all(|share| share.net >= Money::ZERO), "no unit below zero");
        assert!(line.shares.is_sorted_by_key(|share| -share.net), "dearest first");
        earned += line.shares.iter().map(|share| share.points * i64::from(share.qty)).sum::<i64>();
        paid += line.shares.iter().map(|share| share.points_spent * i64::from(share.qty)).sum::<i64>();
    }
    assert_eq!((earned, paid), (priced.points.earn, priced.points.spend), "points of the units");
    let ledger: i64 = priced.points.lines.iter().map(|line| line.points).sum();
    assert_eq!(ledger, earned - paid, "points ledger");
}
