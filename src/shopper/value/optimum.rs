//! The maximum of a smooth function of a few parameters, found the same way each time.
//!
//! From every start the simplex of Nelder and Mead (1965) walks uphill, which needs no derivatives and shrugs off places
//! where the function is not defined. The best end is then climbed with Newton's method on numerical derivatives, damped as
//! Levenberg and Marquardt do, which settles the digits the simplex leaves open and proves the top: the Hessian there is
//! negative definite and what a further step could gain is below `GAIN_MIN`.
//!
//! Parameters are logarithms: a fit of positive quantities has no borders, its units are factors, and `EDGE` bounds how far
//! a parameter may run. No random number, no clock: equal inputs give equal bits.

use serde::Serialize;

/// Farthest a parameter may go, as a logarithm to e: a factor of 3,000 from what is usual. Beyond, likelihoods are flat.
const EDGE: f64 = 8.0;
/// From here on a parameter has run off: the rest is what the simplex needs to turn round.
const RAN_OFF: f64 = 7.0;
/// Of the logarithm of a likelihood: far below what any reader looks at, far above what rounding leaves.
const GAIN_MIN: f64 = 1e-7;
/// How far apart the corners of the simplex may be when it stops: Newton's method is quicker from there on.
const SIMPLEX_SPREAD: f64 = 1e-2;
/// Rounds of the simplex from one start, steps of Newton's method after it, and tries for one step.
const SIMPLEX_ROUNDS: usize = 400;
const NEWTON_STEPS: usize = 40;
const NEWTON_TRIES: usize = 30;
/// Steps of the numerical derivatives, as logarithms: first and second.
const FIRST: f64 = 1e-4;
const SECOND: f64 = 1e-3;

/// How a search ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Outcome {
    /// At a maximum.
    Converged,
    /// A parameter ran to the end of the range that is searched: the function rises on and on.
    RanOff,
    /// Nothing more is to be gained and yet it is no top: the function is flat there, or not smooth.
    Flat,
}

/// Where a search ended.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Optimum<const N: usize> {
    /// The parameters.
    pub at: [f64; N],
    /// The function there.
    pub value: f64,
    /// How it ended.
    pub outcome: Outcome,
}

/// Climbs `function` from each of the starts. Where it is not finite it counts as low as can be.
pub fn maximise<const N: usize>(function: impl Fn(&[f64; N]) -> f64, starts: &[[f64; N]]) -> Optimum<N> {
    let bounded = |at: &[f64; N]| inside(&function, at);
    let mut best = ([0.0; N], f64::NEG_INFINITY);
    for start in starts {
        let end = simplex(&bounded, start);
        if end.1 > best.1 {
            best = end;
        }
    }
    newton(&bounded, best)
}

fn inside<const N: usize>(function: &impl Fn(&[f64; N]) -> f64, at: &[f64; N]) -> f64 {
    let value = if at.iter().all(|p| p.abs() <= EDGE) { function(at) } else { f64::NEG_INFINITY };
    if value.is_nan() { f64::NEG_INFINITY } else { value }
}

/// The same for a function that is dear: climbs `thinned`, which is much like it, from every start, and `function` from there.
/// Where that leads to no maximum, from every start after all.
pub fn maximise_by<const N: usize>(
    function: impl Fn(&[f64; N]) -> f64,
    thinned: impl Fn(&[f64; N]) -> f64,
    starts: &[[f64; N]],
) -> Optimum<N> {
    let near = maximise(thinned, starts);
    if near.outcome == Outcome::Converged {
        let bounded = |at: &[f64; N]| inside(&function, at);
        let found = newton(&bounded, (near.at, bounded(&near.at)));
        if found.outcome == Outcome::Converged {
            return found;
        }
    }
    maximise(function, starts)
}

fn simplex<const N: usize>(function: &impl Fn(&[f64; N]) -> f64, start: &[f64; N]) -> ([f64; N], f64) {
    let mut corners: Vec<([f64; N], f64)> = Vec::with_capacity(N + 1);
    corners.push((*start, function(start)));
    for index in 0..N {
        let mut corner = *start;
        corner[index] += 0.5;
        corners.push((corner, function(&corner)));
    }
    for _ in 0..SIMPLEX_ROUNDS {
        corners.sort_by(|a, b| b.1.total_cmp(&a.1));
        let (best, worst) = (corners[0].1, corners[N]);
        if best - worst.1 < SIMPLEX_SPREAD {
            break;
        }
        let mut centre = [0.0; N];
        for (corner, _) in &corners[..N] {
            for (sum, p) in centre.iter_mut().zip(corner) {
                *sum += p / N as f64;
            }
        }
        let towards = |factor: f64| {
            let mut point = centre;
            for (p, w) in point.iter_mut().zip(&worst.0) {
                *p += factor * (*p - w);
            }
            (point, function(&point))
        };
        let reflected = towards(1.0);
        let replacement = if reflected.1 > best {
            let expanded = towards(2.0);
            if expanded.1 > reflected.1 { expanded } else { reflected }
        } else if reflected.1 > corners[N - 1].1 {
            reflected
        } else {
            let contracted = towards(if reflected.1 > worst.1 { 0.5 } else { -0.5 });
            if contracted.1 > worst.1.max(reflected.1) {
                contracted
            } else {
                let first = corners[0].0;
                for corner in &mut corners[1..] {
                    for (p, f) in corner.0.iter_mut().zip(&first) {
                        *p = f + 0.5 * (*p - f);
                    }
                    corner.1 = function(&corner.0);
                }
                continue;
            }
        };
        corners[N] = replacement;
    }
    corners.sort_by(|a, b| b.1.total_cmp(&a.1));
    corners[0]
}

fn newton<const N: usize>(function: &impl Fn(&[f64; N]) -> f64, start: ([f64; N], f64)) -> Optimum<N> {
    let (mut at, mut value) = start;
    let mut damping = 0.0;
    for _ in 0..NEWTON_STEPS {
        if at.iter().any(|p| p.abs() > RAN_OFF) {
            return Optimum { at, value, outcome: Outcome::RanOff };
        }
        let (gradient, hessian) = derivatives(function, &at, value);
        if solve(&hessian, &gradient, 0.0).is_some_and(|(_, gain)| gain < GAIN_MIN) {
            return Optimum { at, value, outcome: Outcome::Converged };
        }
        let size = (0..N).map(|i| hessian[i][i].abs()).fold(1e-3, f64::max);
        let mut moved = None;
        for _ in 0..NEWTON_TRIES {
            if let Some((step, gain)) = solve(&hessian, &gradient, damping) {
                if gain < GAIN_MIN {
                    break;
                }
                let mut next = at;
                for (p, s) in next.iter_mut().zip(&step) {
                    *p += s.clamp(-1.0, 1.0);
                }
                let reached = function(&next);
                if reached > value {
                    moved = Some((next, reached));
                    break;
                }
            }
            damping = if damping == 0.0 { size * 1e-6 } else { damping * 10.0 };
        }
        let Some(next) = moved else { break };
        (at, value) = next;
        damping = if damping < size * 1e-6 { 0.0 } else { damping / 10.0 };
    }
    Optimum { at, value, outcome: Outcome::Flat }
}

/// Central differences: gradient and Hessian.
fn derivatives<const N: usize>(
    function: &impl Fn(&[f64; N]) -> f64,
    at: &[f64; N],
    value: f64,
) -> ([f64; N], [[f64; N]; N]) {
    let moved = |steps: &[(usize, f64)]| {
        let mut point = *at;
        for (index, step) in steps {
            point[*index] += step;
        }
        function(&point)
    };
    let (mut gradient, mut hessian) = ([0.0; N], [[0.0; N]; N]);
    for i in 0..N {
        gradient[i] = (moved(&[(i, FIRST)]) - moved(&[(i, -FIRST)])) / (2.0 * FIRST);
        hessian[i][i] = (moved(&[(i, SECOND)]) - 2.0 * value + moved(&[(i, -SECOND)])) / (SECOND * SECOND);
        let mixed = |j: usize| {
            let corner = |a: f64, b: f64| moved(&[(i, a * SECOND), (j, b * SECOND)]);
            (corner(1.0, 1.0) - corner(1.0, -1.0) - corner(-1.0, 1.0) + corner(-1.0, -1.0))
                / (4.0 * SECOND * SECOND)
        };
        let row: Vec<f64> = (0..i).map(mixed).collect();
        for (j, second) in row.into_iter().enumerate() {
            hessian[i][j] = second;
            hessian[j][i] = second;
        }
    }
    (gradient, hessian)
}

/// The step (damping I - H)^-1 g by Cholesky's decomposition, and what the model of second order gains with it; nothing if
/// the matrix is not positive definite.
fn solve<const N: usize>(
    hessian: &[[f64; N]; N],
    gradient: &[f64; N],
    damping: f64,
) -> Option<([f64; N], f64)> {
    let mut lower = [[0.0; N]; N];
    for i in 0..N {
        for j in 0..=i {
            let own = if i == j { damping } else { 0.0 };
            let rest: f64 = (0..j).map(|k| lower[i][k] * lower[j][k]).sum();
            let left = own - hessian[i][j] - rest;
            if i == j {
                // Below this the direction is flat: second differences of rounding errors are of that size.
                if left.is_nan() || left <= 1e-4 {
                    return None;
                }
                lower[i][i] = f64::sqrt(left);
            } else {
                lower[i][j] = left / lower[j][j];
            }
        }
    }
    let mut step = *gradient;
    for i in 0..N {
        let rest: f64 = (0..i).map(|k| lower[i][k] * step[k]).sum();
        step[i] = (step[i] - rest) / lower[i][i];
    }
    for i in (0..N).rev() {
        let rest: f64 = (i + 1..N).map(|k| lower[k][i] * step[k]).sum();
        step[i] = (step[i] - rest) / lower[i][i];
    }
    let gain = step.iter().zip(gradient).map(|(s, g)| s * g).sum::<f64>() / 2.0;
    gain.is_finite().then_some((step, gain))
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The valley of Rosenbrock (1960), upside down: its top is at (1, 1).
    #[test]
    fn is_the_top_of_a_bent_ridge_found() {
        let ridge = |at: &[f64; 2]| -100.0 * (at[1] - at[0] * at[0]).powi(2) - (1.0 - at[0]).powi(2);
        let optimum = maximise(ridge, &[[-1.2, 1.0]]);
        assert_eq!(optimum.outcome, Outcome::Converged);
        assert!(optimum.at.iter().all(|p| (p - 1.0).abs() < 1e-4), "{optimum:?}");
    }

    #[test]
    fn is_the_top_found_by_way_of_something_like_it() {
        let ridge = |at: &[f64; 2], top: f64| -(at[0] - top).powi(2) - 10.0 * (at[1] - at[0].powi(2)).powi(2);
        let starts = [[0.0, 0.0]];
        let found = maximise_by(|at| ridge(at, 1.0), |at| ridge(at, 1.1), &starts);
        let plain = maximise(|at| ridge(at, 1.0), &starts);
        assert_eq!((found.outcome, plain.outcome), (Outcome::Converged, Outcome::Converged));
        assert!(found.at.iter().zip(&plain.at).all(|(a, b)| (a - b).abs() < 1e-3), "{found:?} {plain:?}");
        let endless = |at: &[f64; 2]| -at[0].powi(2) - (-at[1]).exp();
        assert_eq!(maximise_by(endless, |at| ridge(at, 1.0), &starts).outcome, Outcome::RanOff);
    }

    #[test]
    fn is_the_higher_of_two_tops_taken() {
        let hills = |at: &[f64; 1]| (-(at[0] - 3.0).powi(2)).exp() + 2.0 * (-(at[0] + 3.0).powi(2)).exp();
        let optimum = maximise(hills, &[[2.0], [-2.0]]);
        assert!((optimum.at[0] + 3.0).abs() < 1e-6, "{optimum:?}");
    }

    #[test]
    fn is_a_function_without_a_top_said() {
        let endless = |at: &[f64; 2]| -at[0].powi(2) - (-at[1]).exp();
        assert_eq!(maximise(endless, &[[1.0, 0.0]]).outcome, Outcome::RanOff);
        assert_eq!(maximise(|at: &[f64; 2]| -at[0].powi(2), &[[1.0, 0.0]]).outcome, Outcome::Flat);
        assert_eq!(maximise(|_: &[f64; 2]| f64::NAN, &[[1.0, 0.0]]).outcome, Outcome::Flat);
    }
}
