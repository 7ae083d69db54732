//! The relaxed packing: what columns could be worth at most if they could be taken in part, and what each unit is worth then.

use super::super::cut::Cut;
use super::super::relaxation::{Relaxation, Relaxed};
use super::Packing;

/// What the relaxed packing counts.
pub(super) enum Row<'d> {
    Resource(u32),
    Cut(&'d Cut),
}

/// The relaxed packing of these columns.
pub(super) fn relaxed(packing: &Packing, live: &[u32], rows: &[Row<'_>]) -> Relaxed {
    let stock = rows.iter().map(|row| match row {
        Row::Resource(r) => packing.stock[*r as usize],
        Row::Cut(cut) => cut.left / cut.size,
    });
    let mut row_of = vec![0; packing.stock.len()];
    for (at, row) in (0..).zip(rows) {
        if let Row::Resource(r) = row {
            row_of[*r as usize] = at;
        }
    }
    let mut relaxation = Relaxation::new(stock);
    for column in live {
        let uses = packing.uses(*column);
        let of_cut = |(at, row): (u32, &Row<'_>)| match row {
            Row::Resource(_) => None,
            Row::Cut(cut) => Some((at, cut.groups(uses))).filter(|(_, n)| *n > 0),
        };
        let resources = uses.iter().map(|(r, n)| (row_of[*r as usize], *n));
        let cuts = (0..).zip(rows).filter_map(of_cut);
        relaxation.add(packing.columns[*column as usize].value, resources.chain(cuts));
    }
    relaxation.solved()
}
