//! Groups of members that are alike: k-means on standardised features.
//!
//! Starts are drawn as k-means++ does (Arthur and Vassilvitskii 2007), groups are moved as Lloyd does (1982) until nobody
//! changes sides. Each feature is brought to mean 0 and deviation 1 first, so that yuan do not outweigh visits; a feature
//! that is the same for everybody says nothing and counts nothing. A group that runs empty takes over the member farthest
//! from its centre.
//!
//! The seed is an argument: equal inputs give equal groups. Groups are numbered by falling size, then by centre, so that
//! "group 0" means the same from run to run. Invariants: no group is empty, every member is in one.

use crate::limits;

use super::seeded::Seeded;

/// Why there are no groups.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum GroupsFault {
    /// No group, more than `limits::GROUPS_MAX`, or more groups than there are different members.
    Count,
    /// No feature, more than `limits::GROUP_FEATURES_MAX`, or members with differently many.
    Features,
    /// A feature of this member is no finite number.
    NotFinite(usize),
}

/// The groups found.
#[derive(Clone, Debug, PartialEq)]
pub struct Groups {
    /// The group of each member, in the order they were given.
    pub of_member: Vec<usize>,
    /// The mean of each group, in the features' own units.
    pub centres: Vec<Vec<f64>>,
    /// Members of each group.
    pub sizes: Vec<usize>,
    /// The sum of squared distances to the centres, in standardised units: smaller is tighter.
    pub spread: f64,
    /// Whether the groups had settled when the rounds were over.
    pub is_settled: bool,
}

/// Finds `count` groups of members, given their features.
///
/// # Errors
/// See `GroupsFault`.
pub fn groups(members: &[Vec<f64>], count: usize, seed: u64) -> Result<Groups, GroupsFault> {
    let features = members.first().map_or(0, Vec::len);
    if features == 0 || features > limits::GROUP_FEATURES_MAX || members.iter().any(|m| m.len() != features) {
        return Err(GroupsFault::Features);
    }
    if let Some(member) = members.iter().position(|member| member.iter().any(|value| !value.is_finite())) {
        return Err(GroupsFault::NotFinite(member));
    }
    if count == 0 || count > limits::GROUPS_MAX || count > members.len() {
        return Err(GroupsFault::Count);
    }
    let points = standardised(members, features);
    let mut centres = starts(&points, count, Seeded::new(seed)).ok_or(GroupsFault::Count)?;
    let mut of_member = vec![0; points.len()];
    let mut is_settled = false;
    for _ in 0..limits::GROUP_ROUNDS_MAX {
        let mut moved = assign(&points, &centres, &mut of_member);
        moved |= fill_empty(&points, &centres, &mut of_member);
        centres = means(&points, &of_member, count);
        if !moved {
            is_settled = true;
            break;
        }
    }
    let spread = points.iter().zip(&of_member).map(|(point, group)| distance(point, &centres[*group])).sum();
    let mut groups = Groups { of_member, centres: Vec::new(), sizes: vec![0; count], spread, is_settled };
    groups.of_member.iter().for_each(|group| groups.sizes[*group] += 1);
    groups.centres = means(members, &groups.of_member, count);
    Ok(groups.in_order())
}

impl Groups {
    /// Numbers the groups by falling size, then by centre.
    fn in_order(self) -> Groups {
        let mut order: Vec<usize> = (0..self.sizes.len()).collect();
        order.sort_by(|a, b| {
            let centres = self.centres[*a].iter().zip(&self.centres[*b]);
            let by_centre = centres.map(|(a, b)| a.total_cmp(b)).find(|order| order.is_ne());
            self.sizes[*b].cmp(&self.sizes[*a]).then(by_centre.unwrap_or(std::cmp::Ordering::Equal))
        });
        let mut place = vec![0; order.len()];
        order.iter().enumerate().for_each(|(new, old)| place[*old] = new);
        Groups {
            of_member: self.of_member.iter().map(|old| place[*old]).collect(),
            centres: order.iter().map(|old| self.centres[*old].clone()).collect(),
            sizes: order.iter().map(|old| self.sizes[*old]).collect(),
            ..self
        }
    }
}

fn standardised(members: &[Vec<f64>], features: usize) -> Vec<Vec<f64>> {
    let count = members.len() as f64;
    let mut points = members.to_vec();
    for feature in 0..features {
        // Each is divided before it is added, so that no sum of large values overflows.
        let mean = members.iter().map(|member| member[feature] / count).sum::<f64>();
        let largest = members.iter().map(|member| (member[feature] - mean).abs()).fold(0.0, f64::max);
        let square = |member: &Vec<f64>| ((member[feature] - mean) / largest).powi(2) / count;
        let deviation = largest * members.iter().map(square).sum::<f64>().sqrt();
        let usable = deviation.is_finite() && deviation > 0.0;
        for point in &mut points {
            point[feature] = if usable { (point[feature] - mean) / deviation } else { 0.0 };
        }
    }
    points
}

fn distance(a: &[f64], b: &[f64]) -> f64 {
    a.iter().zip(b).map(|(a, b)| (a - b) * (a - b)).sum()
}

/// Members drawn as centres, each with a chance by its squared distance to those before; nothing if fewer differ.
fn starts(points: &[Vec<f64>], count: usize, mut seeded: Seeded) -> Option<Vec<Vec<f64>>> {
    let first = ((seeded.unit() * points.len() as f64) as usize).min(points.len() - 1);
    let mut centres = vec![points[first].clone()];
    let mut nearest: Vec<f64> = points.iter().map(|point| distance(point, &centres[0])).collect();
    while centres.len() < count {
        let total: f64 = nearest.iter().sum();
        let mut left = seeded.unit() * total;
        // Where rounding leaves a rest, the last member that is apart is drawn.
        let apart = nearest.iter().rposition(|near| *near > 0.0)?;
        let drawn = nearest[..apart].iter().position(|near| {
            left -= near;
            *near > 0.0 && left < 0.0
        });
        let centre = points[drawn.unwrap_or(apart)].clone();
        for (near, point) in nearest.iter_mut().zip(points) {
            *near = near.min(distance(point, &centre));
        }
        centres.push(centre);
    }
    Some(centres)
}

/// Puts each member into the group of the nearest centre, the first of equally near ones; whether any moved.
fn assign(points: &[Vec<f64>], centres: &[Vec<f64>], of_member: &mut [usize]) -> bool {
    let mut moved = false;
    for (point, group) in points.iter().zip(of_member) {
        let mut best = (0, f64::INFINITY);
        for (index, centre) in centres.iter().enumerate() {
            let far = distance(point, centre);
            if far < best.1 {
                best = (index, far);
            }
        }
        moved |= *group != best.0;
        *group = best.0;
    }
    moved
}

/// Gives each empty group the member farthest from its centre that does not leave another one empty; whether any moved.
fn fill_empty(points: &[Vec<f64>], centres: &[Vec<f64>], of_member: &mut [usize]) -> bool {
    let mut sizes = vec![0_usize; centres.len()];
    of_member.iter().for_each(|group| sizes[*group] += 1);
    let mut moved = false;
    while let Some(empty) = sizes.iter().position(|size| *size == 0) {
        let far = |member: &usize| distance(&points[*member], &centres[of_member[*member]]);
        let spare = (0..points.len()).filter(|member| sizes[of_member[*member]] > 1);
        let Some(member) = spare.max_by(|a, b| far(a).total_cmp(&far(b)).then(b.cmp(a))) else { break };
        sizes[of_member[member]] -= 1;
        sizes[empty] += 1;
        of_member[member] = empty;
        moved = true;
    }
    moved
}

fn means(points: &[Vec<f64>], of_member: &[usize], count: usize) -> Vec<Vec<f64>> {
    let mut sizes = vec![0_usize; count];
    of_member.iter().for_each(|group| sizes[*group] += 1);
    let mut means = vec![vec![0.0; points[0].len()]; count];
    for (point, group) in points.iter().zip(of_member) {
        for (mean, value) in means[*group].iter_mut().zip(point) {
            *mean += value / sizes[*group] as f64;
        }
    }
    means
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    /// Three clouds: few visits and little money, many visits, much money. Money is in fen, a thousand times the visits.
    fn clouds() -> Vec<Vec<f64>> {
        let around = [(2.0, 5_000.0, 30), (40.0, 20_000.0, 20), (8.0, 200_000.0, 10)];
        let mut seeded = Seeded::new(7);
        (around.iter())
            .flat_map(|(visits, money, count)| {
                let cloud: Vec<Vec<f64>> = (0..*count)
                    .map(|_| vec![visits + 2.0 * seeded.unit(), money * (1.0 + 0.1 * seeded.unit())])
                    .collect();
                cloud
            })
            .collect()
    }

    #[test]
    fn are_clouds_told_apart_from_any_seed() {
        let members = clouds();
        for seed in 0..50 {
            let found = groups(&members, 3, seed).expect("three clouds");
            assert!(found.is_settled);
            if found.sizes == [30, 20, 10] {
                assert!((found.centres[1][0] - 41.0).abs() < 1.0, "in own units: {found:?}");
                let expected = std::iter::repeat_n(0, 30).chain(std::iter::repeat_n(1, 20)).chain([2; 10]);
                assert!(found.of_member.iter().copied().eq(expected));
            } else {
                // A draw that starts twice in one cloud ends in a worse optimum, as k-means may.
                assert!(found.spread > groups(&members, 3, 0).expect("three clouds").spread, "{seed}");
            }
        }
        assert_eq!(groups(&members, 3, 0).expect("groups").sizes, [30, 20, 10]);
    }

    #[test]
    fn does_a_feature_that_all_share_say_nothing() {
        let with: Vec<Vec<f64>> = clouds()
            .into_iter()
            .map(|mut member| {
                member.push(1e300);
                member
            })
            .collect();
        let of_member = |members: &[Vec<f64>]| groups(members, 3, 5).expect("groups").of_member;
        assert_eq!(of_member(&with), of_member(&clouds()));
    }

    /// Lloyd's rounds empty a group now and then: here both centres but the first are nobody's.
    #[test]
    fn does_an_empty_group_take_over_who_stands_apart() {
        let points: Vec<Vec<f64>> = [0.0, 1.0, 9.0, 5.0].iter().map(|at| vec![*at]).collect();
        let mut of_member = [0; 4];
        assert!(fill_empty(&points, &[vec![0.0], vec![50.0], vec![60.0]], &mut of_member));
        assert_eq!(of_member, [0, 0, 1, 2]);
        assert!(!fill_empty(&points, &[vec![0.0], vec![50.0], vec![60.0]], &mut of_member));
    }

    #[test]
    fn is_what_makes_no_groups_named() {
        let members = clouds();
        assert_eq!(groups(&members, 0, 1), Err(GroupsFault::Count));
        assert_eq!(groups(&members, limits::GROUPS_MAX + 1, 1), Err(GroupsFault::Count));
        assert_eq!(groups(&vec![vec![1.0]; 9], 2, 1), Err(GroupsFault::Count));
        assert_eq!(groups(&[], 1, 1), Err(GroupsFault::Features));
        assert_eq!(groups(&[vec![1.0], vec![1.0, 2.0]], 1, 1), Err(GroupsFault::Features));
        assert_eq!(groups(&[vec![1.0], vec![f64::NAN]], 1, 1), Err(GroupsFault::NotFinite(1)));
        assert_eq!(groups(&vec![vec![1.0]; 9], 1, 1).expect("one group").sizes, [9]);
    }

    proptest! {
        #[test]
        fn is_everybody_in_a_group_and_no_group_empty(
            members in prop::collection::vec(prop::collection::vec(-5_i8..5, 2), 1..40), count in 1_usize..6, seed: u64,
        ) {
            let members: Vec<Vec<f64>> =
                members.iter().map(|member| member.iter().copied().map(f64::from).collect()).collect();
            match groups(&members, count, seed) {
                Ok(found) => {
                    prop_assert!(found.sizes.iter().all(|size| *size > 0));
                    prop_assert_eq!(found.sizes.iter().sum::<usize>(), members.len());
                    prop_assert!(found.sizes.is_sorted_by(|a, b| a >= b));
                    prop_assert_eq!(&found, &groups(&members, count, seed).expect("again"));
                }
                Err(fault) => {
                    let mut different = members.clone();
                    different.sort_by(|a, b| a.partial_cmp(b).expect("finite"));
                    different.dedup();
                    prop_assert_eq!(fault, GroupsFault::Count);
                    prop_assert!(different.len() < count);
                }
            }
        }
    }
}
