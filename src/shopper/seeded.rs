//! Chance from a seed: SplitMix64 and the few distributions that learners and trials draw from.
//!
//! Invariant: the same seed gives the same draws on every machine, as far as its `ln`, `sqrt` and `cos` agree. Never for
//! secrets. Source of the generator: Steele, Lea and Flood, "Fast splittable pseudorandom number generators" (2014).

/// A stream of draws.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Seeded(u64);

impl Seeded {
    /// The stream of a seed.
    pub fn new(seed: u64) -> Seeded {
        Seeded(seed)
    }

    /// The next 64 bits.
    pub fn bits(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut mixed = self.0;
        mixed = (mixed ^ (mixed >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        mixed ^ (mixed >> 31)
    }

    /// Evenly from `[0, 1)`, on 53 bits.
    pub fn unit(&mut self) -> f64 {
        (self.bits() >> 11) as f64 / (1u64 << 53) as f64
    }

    /// Evenly from `0..below`; 0 where `below` is 0. Its bias is below 2^-32 for what fits 32 bits.
    pub fn below(&mut self, below: usize) -> usize {
        ((u128::from(self.bits()) * below as u128) >> 64) as usize
    }

    /// From the standard normal distribution (Box and Muller 1958).
    pub fn normal(&mut self) -> f64 {
        let radius = (-2.0 * (1.0 - self.unit()).ln()).sqrt();
        radius * (std::f64::consts::TAU * self.unit()).cos()
    }

    /// From Gamma(shape, 1) with shape at least 1 (Marsaglia and Tsang 2000).
    fn gamma(&mut self, shape: f64) -> f64 {
        let d = shape - 1.0 / 3.0;
        let c = (9.0 * d).sqrt().recip();
        loop {
            let normal = self.normal();
            let cube = (1.0 + c * normal).powi(3);
            if cube > 0.0 && (1.0 - self.unit()).ln() < 0.5 * normal * normal + d * (1.0 - cube + cube.ln()) {
                return d * cube;
            }
        }
    }

    /// From Beta(a, b) with both at least 1.
    pub fn beta(&mut self, a: f64, b: f64) -> f64 {
        let (first, second) = (self.gamma(a), self.gamma(b));
        first / (first + second)
    }

    /// Puts a list into a random order (Fisher and Yates).
    pub fn shuffle<T>(&mut self, list: &mut [T]) {
        for last in (1..list.len()).rev() {
            list.swap(last, self.below(last + 1));
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn is_the_stream_that_of_its_paper() {
        let mut seeded = Seeded::new(1_234_567);
        let drawn: Vec<u64> = (0..3).map(|_| seeded.bits()).collect();
        assert_eq!(drawn, [6_457_827_717_110_365_317, 3_203_168_211_198_807_973, 9_817_491_932_198_370_423]);
    }

    #[test]
    fn do_the_draws_have_their_means() {
        let mut seeded = Seeded::new(7);
        let mut mean = |draw: &mut dyn FnMut(&mut Seeded) -> f64| {
            (0..20_000).map(|_| draw(&mut seeded)).sum::<f64>() / 20_000.0
        };
        assert!((mean(&mut |s| s.unit()) - 0.5).abs() < 0.01);
        assert!(mean(&mut |s| s.normal()).abs() < 0.03);
        assert!((mean(&mut |s| s.normal().powi(2)) - 1.0).abs() < 0.03);
        assert!((mean(&mut |s| s.beta(3.0, 9.0)) - 0.25).abs() < 0.01);
    }
}
