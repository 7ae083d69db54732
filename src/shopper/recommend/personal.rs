//! What the shopper bought before: how often, how lately, at which interval.

use super::features::{Column, Table};
use super::history::Past;

/// What a basket further back weighs less: slowly and quickly fading.
const SLOW: f32 = 0.9;
const QUICK: f32 = 0.6;

/// Writes the personal columns of each item of `past` below `item_count` as a candidate. Answers the mean basket size and
/// the part of later baskets' lines that were bought before.
pub(super) fn write(past: Past<'_>, today: i32, item_count: usize, table: &mut Table) -> (f32, f32) {
    let baskets = past.len() as f32;
    let (mut lines, mut later, mut repeats) = (0.0, 0.0, 0.0);
    // Ordinal and day of each candidate's first basket, then its last day: candidates come in the order of the first.
    let mut seen: Vec<(f32, i32, i32)> = Vec::new();
    for (at, basket) in past.iter().enumerate() {
        let ago = (past.len() - 1 - at) as f32;
        let day = past.moment(at).day;
        let (slow, quick) = (SLOW.powf(ago), QUICK.powf(ago));
        lines += basket.len() as f32;
        for &item in basket.iter().filter(|&&item| (item as usize) < item_count) {
            let slot = table.add(item);
            if slot == seen.len() {
                seen.push((ago, day, day));
            } else {
                repeats += 1.0;
            }
            if at > 0 {
                later += 1.0;
            }
            seen[slot].2 = day;
            table.change(slot, Column::Count, |count| count + 1.0);
            table.change(slot, Column::Slow, |sum| sum + slow);
            table.change(slot, Column::Quick, |sum| sum + quick);
            table.change(slot, Column::Share, |sum| sum + 1.0 / (basket.len() as f32 * baskets));
            table.set(slot, Column::Ago, ago);
        }
    }
    for (slot, &(first_ago, first, last)) in seen.iter().enumerate() {
        let count = table.get(slot, Column::Count);
        table.set(slot, Column::Frequency, count / baskets);
        table.set(slot, Column::SinceFirst, count / (first_ago + 1.0));
        if count > 1.0 {
            // Twice in a day is an interval of half a day.
            let interval = ((last - first) as f32 / (count - 1.0)).max(0.5);
            table.set(slot, Column::Due, (today - last) as f32 / interval);
        }
    }
    (lines / baskets.max(1.0), repeats / f32::max(later, 1.0))
}

#[cfg(test)]
mod tests {
    use super::super::told::Told;
    use super::*;

    #[test]
    fn is_what_was_bought_told_as_often_lately_and_due() {
        let mut told = Told::of("anna: 0 milk tea | 4 milk | 8 milk bread");
        let mut table = Table::default();
        table.clear(3);
        let (size, repeats) = write(told.history.past(0, 0), 14, 3, &mut table);
        assert!((size - 5.0 / 3.0).abs() < 1e-6 && (repeats - 2.0 / 3.0).abs() < 1e-6, "{size} {repeats}");
        // item, column, number
        let table_of = [
            ("milk", Column::Count, 3.0),
            ("milk", Column::Frequency, 1.0),
            ("milk", Column::Ago, 0.0),
            ("milk", Column::Due, 6.0 / 4.0),
            ("milk", Column::Slow, 1.0 + 0.9 + 0.81),
            ("milk", Column::Quick, 1.0 + 0.6 + 0.36),
            ("milk", Column::Share, (0.5 + 1.0 + 0.5) / 3.0),
            ("tea", Column::Ago, 2.0),
            ("tea", Column::SinceFirst, 1.0 / 3.0),
            ("tea", Column::Due, -1.0),
            ("bread", Column::SinceFirst, 1.0),
        ];
        for (item, column, wanted) in table_of {
            let slot = table.add(told.item(item));
            assert!(
                (table.get(slot, column) - wanted).abs() < 1e-5,
                "{item} {column:?} {}",
                table.get(slot, column)
            );
        }
    }
}
