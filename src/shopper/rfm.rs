//! Quantile RFM: how recently, how often and for how much each customer bought, in fifths of the shop's own customers.
//!
//! Does what the R package `rfm` 0.3.0 does (Hebbali, github rsquaredacademy/rfm: `R/rfm-table-transaction.R` for totals
//! and scores, `R/utils.R` for the cuts, `R/rfm-segment.R` for segments), so that an analyst's figures are the shop's:
//!
//! - cuts of a measure: its quantiles at 1/5 to 4/5 (R's type 7: linear between order statistics), each plus 1
//! - the bin of a value: how many cuts are at or below it; equal values are therefore always in one bin
//! - scores 1 to 5: the bin for orders and revenue, backwards for recency (few days are good)
//! - a segment is a box of scores, bounds included; the first box that holds the scores names it, else `OTHERS`
//!
//! Invariants: every customer has three scores, also where all are alike. Sums of revenue are compensated, because R adds
//! in 80 bits and a cut may fall on a sum.

use serde::Serialize;

/// Bins of each measure: R's default.
pub const BINS: usize = 5;
/// The segment of scores that no box holds.
pub const OTHERS: &str = "Others";

/// A sum of many floats whose rounding error stays that of one addition (Neumaier 1974).
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub struct Sum {
    sum: f64,
    lost: f64,
}

impl Sum {
    /// Adds one value.
    pub fn add(&mut self, value: f64) {
        let sum = self.sum + value;
        self.lost +=
            if self.sum.abs() >= value.abs() { (self.sum - sum) + value } else { (value - sum) + self.sum };
        self.sum = sum;
    }

    /// What was added so far.
    pub fn value(self) -> f64 {
        self.sum + self.lost
    }
}

/// What is known of one customer on the day of the analysis.
#[derive(Clone, Copy, Debug, PartialEq, Serialize)]
pub struct Totals {
    /// Days since the last order; negative if it is dated after the day of the analysis.
    pub recency_days: i64,
    /// Orders.
    pub orders: u64,
    /// Revenue of all orders, in the file's own unit; finite.
    pub revenue: f64,
}

/// Where the bins of each measure part, in rising order.
#[derive(Clone, Copy, Debug, PartialEq, Serialize)]
pub struct Cuts {
    /// In days.
    pub recency_days: [f64; BINS - 1],
    /// In orders.
    pub orders: [f64; BINS - 1],
    /// In the unit of the revenue.
    pub revenue: [f64; BINS - 1],
}

/// From 1 (poor) to `BINS` (good).
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize)]
pub struct Scores {
    /// How recently.
    pub recency: u8,
    /// How often.
    pub frequency: u8,
    /// For how much.
    pub monetary: u8,
}

impl Cuts {
    /// The cuts of these customers; nothing if there are none.
    pub fn of(customers: &[Totals]) -> Option<Cuts> {
        Some(Cuts {
            recency_days: cuts(customers.iter().map(|totals| totals.recency_days as f64))?,
            orders: cuts(customers.iter().map(|totals| totals.orders as f64))?,
            revenue: cuts(customers.iter().map(|totals| totals.revenue))?,
        })
    }

    /// The scores of one customer.
    pub fn scores(&self, totals: &Totals) -> Scores {
        Scores {
            recency: BINS as u8 - bin(&self.recency_days, totals.recency_days as f64),
            frequency: 1 + bin(&self.orders, totals.orders as f64),
            monetary: 1 + bin(&self.revenue, totals.revenue),
        }
    }
}

fn cuts(values: impl Iterator<Item = f64>) -> Option<[f64; BINS - 1]> {
    let mut sorted: Vec<f64> = values.collect();
    sorted.sort_by(f64::total_cmp);
    let mut cuts = [0.0; BINS - 1];
    for (index, cut) in cuts.iter_mut().enumerate() {
        // R's `seq(0, 1, length.out = 6)` multiplies, so that 3/5 is not the nearest float.
        let probability = (index + 1) as f64 * (1.0 / BINS as f64);
        *cut = quantile(&sorted, probability)? + 1.0;
    }
    Some(cuts)
}

/// How many cuts are at or below the value: 0 to `BINS` - 1.
fn bin(cuts: &[f64; BINS - 1], value: f64) -> u8 {
    cuts.iter().map(|cut| u8::from(value >= *cut)).sum()
}

/// R's quantile of type 7 (Hyndman and Fan 1996, definition 7) of sorted values; nothing if there are none.
pub fn quantile(sorted: &[f64], probability: f64) -> Option<f64> {
    let last = sorted.len().checked_sub(1)?;
    let index = last as f64 * probability;
    let below = (index.floor() as usize).min(last);
    let above = (index.ceil() as usize).min(last);
    let (low, high, part) = (sorted[below], sorted[above], index - below as f64);
    // As in R: without a part, or between equals, the value itself and no arithmetic.
    Some(if part > 0.0 && low < high { (1.0 - part) * low + part * high } else { low })
}

/// A named box of scores.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
pub struct SegmentBox {
    /// What it is called.
    pub name: &'static str,
    /// Lowest and highest score, included.
    pub recency: (u8, u8),
    /// Likewise.
    pub frequency: (u8, u8),
    /// Likewise.
    pub monetary: (u8, u8),
}

/// The ten boxes of the package's documentation (`?rfm_segment`), in the order in which they are tried.
pub const SEGMENTS: [SegmentBox; 10] = [
    segment_box("Champions", (5, 5), (5, 5), (5, 5)),
    segment_box("Potential Loyalist", (3, 5), (3, 5), (2, 5)),
    segment_box("Loyal Customers", (2, 4), (2, 4), (2, 4)),
    segment_box("Promising", (3, 4), (1, 3), (3, 5)),
    segment_box("New Customers", (4, 5), (1, 3), (1, 5)),
    segment_box("Can't Lose Them", (1, 2), (3, 4), (4, 5)),
    segment_box("At Risk", (1, 2), (2, 5), (4, 5)),
    segment_box("Need Attention", (1, 3), (3, 5), (3, 5)),
    segment_box("About To Sleep", (2, 3), (1, 3), (1, 4)),
    segment_box("Lost", (1, 1), (1, 5), (1, 5)),
];

const fn segment_box(
    name: &'static str,
    recency: (u8, u8),
    frequency: (u8, u8),
    monetary: (u8, u8),
) -> SegmentBox {
    SegmentBox { name, recency, frequency, monetary }
}

/// Where in `SEGMENTS` the scores belong; its length stands for `OTHERS`.
pub fn segment_of(scores: Scores) -> usize {
    let within = |(low, high): (u8, u8), score: u8| (low..=high).contains(&score);
    (SEGMENTS.iter())
        .position(|segment| {
            within(segment.recency, scores.recency)
                && within(segment.frequency, scores.frequency)
                && within(segment.monetary, scores.monetary)
        })
        .unwrap_or(SEGMENTS.len())
}

/// The name that belongs to an answer of `segment_of`.
pub fn segment_name(segment: usize) -> &'static str {
    SEGMENTS.get(segment).map_or(OTHERS, |segment| segment.name)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn totals(recency_days: i64, orders: u64, revenue: f64) -> Totals {
        Totals { recency_days, orders, revenue }
    }

    /// By hand from the definition; R gives the same: `quantile(c(1, 3, 3, 10), c(.2, .4, .6, .8))`.
    #[test]
    fn are_quantiles_those_of_r() {
        let sorted = [1.0, 3.0, 3.0, 10.0];
        for (probability, expected) in
            [(0.0, 1.0), (0.2, 2.2), (0.4, 3.0), (0.6, 3.0), (0.8, 5.8), (1.0, 10.0)]
        {
            let found = quantile(&sorted, probability).expect("there are values");
            assert!((found - expected).abs() < 1e-12, "{probability}: {found}, not {expected}");
        }
        assert_eq!(quantile(&[], 0.5), None);
        assert_eq!(quantile(&[7.0], 0.8), Some(7.0));
    }

    /// A cut is the quantile plus 1, and a value on a cut is in the bin above it.
    #[test]
    fn is_a_value_on_a_cut_above_it() {
        let customers: Vec<Totals> = (1..=6).map(|n| totals(n, n as u64, n as f64)).collect();
        let cuts = Cuts::of(&customers).expect("there are customers");
        for (cut, expected) in cuts.revenue.iter().zip([3.0, 4.0, 5.0, 6.0]) {
            assert!((cut - expected).abs() < 1e-12, "{cuts:?}");
        }
        let scores: Vec<u8> = customers.iter().map(|totals| cuts.scores(totals).monetary).collect();
        assert_eq!(scores[..2], [1, 1]);
        assert_eq!(scores[5], 5, "{scores:?}");
        let backwards: Vec<u8> = customers.iter().map(|totals| cuts.scores(totals).recency).collect();
        assert!(backwards.iter().zip(&scores).all(|(r, m)| r + m == 6), "{backwards:?} {scores:?}");
    }

    #[test]
    fn has_everybody_scores_where_all_are_alike() {
        let customers = [totals(10, 1, 5.0); 4];
        let cuts = Cuts::of(&customers).expect("there are customers");
        assert_eq!(cuts.scores(&customers[0]), Scores { recency: 5, frequency: 1, monetary: 1 });
        assert_eq!(Cuts::of(&[]), None);
    }

    /// Boxes overlap: the first one counts. `555` is in Champions and in Potential Loyalist.
    #[test]
    fn does_the_first_box_that_holds_the_scores_name_them() {
        for (scores, name) in [
            ("555", "Champions"),
            ("554", "Potential Loyalist"),
            ("332", "Potential Loyalist"),
            ("222", "Loyal Customers"),
            ("424", "Loyal Customers"),
            ("415", "Promising"),
            ("511", "New Customers"),
            ("244", "Loyal Customers"),
            ("245", "Can't Lose Them"),
            ("134", "Can't Lose Them"),
            ("125", "At Risk"),
            ("133", "Need Attention"),
            ("311", "About To Sleep"),
            ("111", "Lost"),
            ("215", "Others"),
        ] {
            let digit = |at: usize| scores.as_bytes()[at] - b'0';
            let scores = Scores { recency: digit(0), frequency: digit(1), monetary: digit(2) };
            assert_eq!(segment_name(segment_of(scores)), name, "{scores:?}");
        }
    }

    #[test]
    fn does_a_sum_lose_nothing() {
        let mut sum = Sum::default();
        for value in [1e16, 1.0, 1.0, -1e16] {
            sum.add(value);
        }
        assert_eq!(sum.value(), 2.0);
    }
}
