//! What a ranking loses: how each score should move so that what was bought climbs to the top.
//!
//! LambdaMART (Burges 2010, "From RankNet to LambdaRank to LambdaMART"): for each bought and not bought item of a shopper,
//! the slope of the pair's logistic loss times what swapping the two would change of NDCG. The ideal is the full one, so
//! that each shopper counts alike whatever the size of the basket; ranks from `cut` on are worth nothing.

use crate::shopper::trees::Slope;

/// Rows of numbers with what came of each.
#[derive(Clone, Debug, Default)]
pub struct Rows {
    /// Numbers of a row.
    pub width: usize,
    /// Row after row.
    pub values: Vec<f32>,
    /// Was it bought? One for each row.
    pub labels: Vec<bool>,
    /// Where each shopper's rows end.
    pub groups: Vec<u32>,
}

/// Ranks whose order counts. Twice the list that is shown: an item just below still learns to climb.
const CUT: usize = 20;
/// Hits a perfect list has at most.
const LIST: usize = 10;
/// Curvature of a row no pair says anything about.
const CURVE_MIN: f64 = 1e-6;

/// Sets the slopes of all rows at these scores.
pub fn slopes(rows: &Rows, scores: &[f64], into: &mut [Slope]) {
    into.fill(Slope { slope: 0.0, curve: CURVE_MIN });
    let mut order: Vec<u32> = Vec::new();
    let mut bought: Vec<usize> = Vec::new();
    let mut from = 0;
    for &to in &rows.groups {
        order.clear();
        order.extend(from..to);
        from = to;
        let score = |row: u32| scores[row as usize];
        order.sort_unstable_by(|&left, &right| score(right).total_cmp(&score(left)).then(left.cmp(&right)));
        bought.clear();
        bought.extend((0..order.len()).filter(|&rank| rows.labels[order[rank] as usize]));
        let ideal: f32 = (0..bought.len().min(LIST)).map(worth).sum();
        for &high in &bought {
            let one = order[high] as usize;
            // Below the cut only a swap with an item above it changes anything.
            let reach = if high < CUT { order.len() } else { order.len().min(CUT) };
            for (rank, &other) in order[..reach].iter().enumerate() {
                let other = other as usize;
                if rows.labels[other] {
                    continue;
                }
                let change = (worth(high) - worth(rank)).abs() / ideal;
                let wrong = 1.0 / (1.0 + ((scores[one] - scores[other]) as f32).exp());
                let slope = f64::from(change * wrong);
                let curve = f64::from(change * wrong * (1.0 - wrong));
                into[one].slope -= slope;
                into[other].slope += slope;
                into[one].curve += curve;
                into[other].curve += curve;
            }
        }
    }
}

/// What a hit at this rank, from 0, is worth.
fn worth(rank: usize) -> f32 {
    if rank < CUT { 1.0 / (rank as f32 + 2.0).log2() } else { 0.0 }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn rows(labels: &[bool]) -> Rows {
        Rows {
            width: 1,
            values: vec![0.0; labels.len()],
            labels: labels.to_vec(),
            groups: vec![labels.len() as u32],
        }
    }

    #[test]
    fn does_what_was_bought_climb_and_the_rest_sink() {
        let rows = rows(&[false, true, false]);
        let mut slopes_of = vec![Slope::default(); 3];
        slopes(&rows, &[1.0, 0.0, -1.0], &mut slopes_of);
        assert!(slopes_of[1].slope < 0.0 && slopes_of[0].slope > 0.0 && slopes_of[2].slope > 0.0);
        // The swap with the item above gains more than the one with the item below.
        assert!(slopes_of[0].slope > slopes_of[2].slope);
        let sum: f64 = slopes_of.iter().map(|slope| slope.slope).sum();
        assert!(sum.abs() < 1e-6, "{slopes_of:?}");
    }

    #[test]
    fn does_a_pair_weigh_what_its_swap_changes() {
        let mut slopes_of = vec![Slope::default(); 2];
        slopes(&rows(&[false, true]), &[0.0, 0.0], &mut slopes_of);
        // Ranks 0 and 1 are worth 1 and 1/log2(3), the ideal is 1, and equal scores are half wrong.
        let change = 1.0 - 1.0 / 3.0f64.log2();
        assert!((slopes_of[0].slope - change / 2.0).abs() < 1e-6, "{slopes_of:?}");
        assert!((slopes_of[1].curve - CURVE_MIN - change / 4.0).abs() < 1e-6, "{slopes_of:?}");
    }

    #[test]
    fn does_a_shopper_who_bought_nothing_say_nothing() {
        let mut slopes_of = vec![Slope::default(); 2];
        slopes(&rows(&[false, false]), &[0.0, 1.0], &mut slopes_of);
        assert!(slopes_of.iter().all(|slope| slope.slope == 0.0));
    }
}
