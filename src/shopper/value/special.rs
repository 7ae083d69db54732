//! Special functions: the logarithm of the gamma function and two hypergeometric series, for real arguments.
//!
//! `ln_gamma` is libm's (FreeBSD's msun, errors below 2 ulp for positive arguments). The series here are summed where all
//! terms (after the first) have one sign, so that nothing cancels; a series that has not settled within `TERMS_MAX` terms
//! is NaN, which the models answer as "unlikely" while they are fitted and as no figure afterwards.

/// Terms of a series or fraction: what 2F1 needs at 0.9999.
const TERMS_MAX: u32 = 400_000;
/// Where a sum has settled: half of the last digit.
const SETTLED: f64 = f64::EPSILON / 2.0;

/// ln Γ(x) for x above 0.
pub(super) fn ln_gamma(x: f64) -> f64 {
    libm::lgamma(x)
}

/// Gauss's 2F1(a, b; c; z) for 0 <= z < 1 by its series; NaN where `c` is 0 or a negative whole number.
pub(super) fn hypergeometric(a: f64, b: f64, c: f64, z: f64) -> f64 {
    let (mut sum, mut term) = (1.0, 1.0);
    for n in 0..TERMS_MAX {
        let n = f64::from(n);
        let ratio = (a + n) * (b + n) / ((c + n) * (n + 1.0)) * z;
        term *= ratio;
        sum += term;
        // Terms may rise before they fall: settled only where they fall.
        if term.abs() <= SETTLED * sum.abs() && ratio.abs() < 1.0 {
            return sum;
        }
    }
    f64::NAN
}

/// 2F1(1, b; c; z) for b > 0, c > b and 0 <= z < 1 by Gauss's continued fraction, which settles where the series crawls.
///
/// DLMF 15.7.1 with one parameter 1; evaluated by Lentz's method as in Numerical Recipes, section 5.2. All partial
/// numerators are negative and smaller than 1, so no denominator vanishes.
pub(super) fn hypergeometric_one(b: f64, c: f64, z: f64) -> f64 {
    if z == 0.0 {
        return 1.0;
    }
    const TINY: f64 = 1e-300;
    let (mut fraction, mut up, mut down) = (1.0, 1.0, 0.0);
    for n in 1..TERMS_MAX {
        let half = f64::from(n / 2);
        let size = if n % 2 == 1 {
            (b + half) * (c - 1.0 + half) / ((c + f64::from(n) - 2.0) * (c + f64::from(n) - 1.0))
        } else {
            half * (c - b + half - 1.0) / ((c + f64::from(n) - 2.0) * (c + f64::from(n) - 1.0))
        };
        let numerator = -size * z;
        down = 1.0 + numerator * down;
        down = if down == 0.0 { 1.0 / TINY } else { 1.0 / down };
        up = 1.0 + numerator / up;
        if up == 0.0 {
            up = TINY;
        }
        fraction *= up * down;
        if (up * down - 1.0).abs() <= f64::EPSILON {
            return 1.0 / fraction;
        }
    }
    f64::NAN
}

/// ln(exp(a) + exp(b)) without overflow.
pub(super) fn ln_add(a: f64, b: f64) -> f64 {
    let (low, high) = if a < b { (a, b) } else { (b, a) };
    if high == f64::NEG_INFINITY { high } else { high + (low - high).exp().ln_1p() }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn assert_close(found: f64, expected: f64, what: &str) {
        assert!((found / expected - 1.0).abs() < 1e-13, "{what}: {found:e}, not {expected:e}");
    }

    /// Closed forms: 2F1(1, 1; 2; z) = -ln(1 - z)/z, 2F1(a, b; b; z) = (1 - z)^-a, 2F1(1/2, 1; 3/2; z²) = artanh(z)/z.
    #[test]
    fn are_the_series_those_of_closed_forms() {
        for z in [1e-9, 0.1, 0.5, 0.9, 0.99] {
            let ln = -f64::ln_1p(-z) / z;
            assert_close(hypergeometric(1.0, 1.0, 2.0, z), ln, "ln by series");
            assert_close(hypergeometric_one(1.0, 2.0, z), ln, "ln by fraction");
            assert_close(hypergeometric(2.5, 0.7, 0.7, z), (1.0 - z).powf(-2.5), "power");
            let artanh = z.atanh() / z;
            assert_close(hypergeometric_one(0.5, 1.5, z * z), artanh, "artanh");
        }
        // Thousands of factors close to 1: their rounding errors add up.
        let z = 0.999_999_f64;
        let ln = -f64::ln_1p(-z) / z;
        assert!((hypergeometric_one(1.0, 2.0, z) / ln - 1.0).abs() < 1e-11);
    }

    /// Euler's transformation must not matter: the two ways are independent of each other.
    #[test]
    fn do_series_and_fraction_agree() {
        for (b, c) in [(0.553, 2.16), (30.5, 31.9), (1.606, 12.2), (400.25, 401.0)] {
            for z in [0.001, 0.3, 0.77, 0.95] {
                let series = hypergeometric(1.0, b, c, z);
                assert_close(hypergeometric_one(b, c, z), series, &format!("{b} {c} {z}"));
                let euler = (1.0 - z).powf(c - 1.0 - b) * hypergeometric(c - 1.0, c - b, c, z);
                assert!((euler / series - 1.0).abs() < 1e-11, "{b} {c} {z}: {euler}, not {series}");
            }
        }
    }

    #[test]
    fn is_the_gamma_function_that_of_factorials() {
        let mut factorial = 1.0_f64;
        for n in 1..=20 {
            factorial *= f64::from(n);
            assert!((ln_gamma(f64::from(n) + 1.0) - factorial.ln()).abs() < 1e-13 * factorial.ln().max(1.0));
        }
        assert_close(ln_gamma(0.5), std::f64::consts::PI.sqrt().ln(), "a half");
    }

    #[test]
    fn does_no_sum_overflow() {
        assert_close(ln_add(1e4, 1e4), 1e4 + std::f64::consts::LN_2, "equal");
        assert_eq!(ln_add(f64::NEG_INFINITY, -3.0), -3.0);
        assert_eq!(ln_add(f64::NEG_INFINITY, f64::NEG_INFINITY), f64::NEG_INFINITY);
    }
}
