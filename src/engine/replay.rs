//! A past decision decided again, to the same bytes.
//!
//! A sale's entry holds the quote it settled: all that pricing saw. Pricing it again under the bundle it names must give
//! the figures it holds; with them the reasons of what did not apply are found again, which no entry carries.

use crate::bundle::Bundle;
use crate::pricing::PriceFault;
use crate::pricing::outcome::Priced;

use super::decision::{Entry, Quote};
use super::sale::price_again;

/// What pricing a past sale again gave.
pub struct Replayed<'a> {
    /// What the sale settled.
    pub quote: &'a Quote,
    /// The figures now, reasons included.
    pub priced: Priced,
    /// Are they the same, byte for byte, as the ones kept?
    pub same: bool,
}

/// Prices the sale of an entry again. `None` if the entry is not a sale; `bundle` must be the one the quote names.
pub fn replay<'a>(bundle: &Bundle, entry: &'a Entry) -> Option<Result<Replayed<'a>, PriceFault>> {
    let quote = entry.facts.quotes().next()?;
    Some(price_again(bundle, quote).map(|priced| {
        let bare = Priced { not_applied: Vec::new(), near: Vec::new(), ..priced.clone() };
        let bytes = |priced: &Priced| rmp_serde::to_vec_named(priced).unwrap_or_default();
        let same = bytes(&bare) == bytes(&quote.priced);
        Replayed { quote, priced, same }
    }))
}
