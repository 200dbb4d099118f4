//! One seeded source of chance per house, so that every run can be repeated.

/// A small generator (xoshiro256++ seeded by splitmix64).
#[derive(Debug, Clone)]
pub struct Random {
    words: [u64; 4],
}

impl Random {
    /// A source that always gives the same sequence for the same seed.
    pub fn new(seed: u64) -> Self {
        let mut state = seed;
        let words = std::array::from_fn(|_| {
            state = state.wrapping_add(0x9e37_79b9_7f4a_7c15);
            mix(state)
        });
        Self { words }
    }

    /// The next 64 random bits.
    pub fn bits(&mut self) -> u64 {
        let [a, b, c, d] = self.words;
        let out = a.wrapping_add(d).rotate_left(23).wrapping_add(a);
        let shifted = b << 17;
        let c = c ^ a;
        let d = d ^ b;
        self.words = [a ^ d, b ^ c, c ^ shifted, d.rotate_left(45)];
        out
    }

    /// Uniform in `0..1`.
    pub fn unit(&mut self) -> f64 {
        to_unit(self.bits())
    }

    /// Uniform between two values.
    pub fn between(&mut self, low: f64, high: f64) -> f64 {
        low + (high - low) * self.unit()
    }

    /// True with probability `p`.
    pub fn chance(&mut self, p: f64) -> bool {
        self.unit() < p
    }

    /// A normal draw.
    pub fn normal(&mut self, mean: f64, deviation: f64) -> f64 {
        mean + deviation * gauss(self.unit(), self.unit())
    }

    /// A lognormal draw with the given median.
    pub fn lognormal(&mut self, median: f64, sigma: f64) -> f64 {
        median * self.normal(0.0, sigma).exp()
    }

    /// An exponential draw with the given mean.
    pub fn exponential(&mut self, mean: f64) -> f64 {
        -mean * (1.0 - self.unit()).max(1e-12).ln()
    }
}

/// A number that depends on the seed and the parts alone, for properties that are fixed for a house.
pub fn fixed(seed: u64, parts: &[u64]) -> u64 {
    parts.iter().fold(mix(seed ^ 0x51_7c_c1_b7), |hash, part| mix(hash ^ part.wrapping_mul(0x9e37_79b9_7f4a_7c15)))
}

/// Like [`fixed`], uniform in `0..1`.
pub fn fixed_unit(seed: u64, parts: &[u64]) -> f64 {
    to_unit(fixed(seed, parts))
}

/// Like [`fixed`], a standard normal draw cut at ±2.
pub fn fixed_normal(seed: u64, parts: &[u64]) -> f64 {
    let hash = fixed(seed, parts);
    gauss(to_unit(hash), to_unit(mix(hash))).clamp(-2.0, 2.0)
}

/// A stable key of a text, for [`fixed`].
pub fn key(text: &str) -> u64 {
    text.bytes().fold(0xcbf2_9ce4_8422_2325, |hash, byte| (hash ^ u64::from(byte)).wrapping_mul(0x0100_0000_01b3))
}

fn mix(value: u64) -> u64 {
    let value = (value ^ (value >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
    let value = (value ^ (value >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
    value ^ (value >> 31)
}

fn to_unit(bits: u64) -> f64 {
    (bits >> 11) as f64 / (1u64 << 53) as f64
}

fn gauss(a: f64, b: f64) -> f64 {
    (-2.0 * a.max(1e-12).ln()).sqrt() * (std::f64::consts::TAU * b).cos()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn same_seed_gives_the_same_sequence() {
        let draw = |seed| {
            let mut random = Random::new(seed);
            (0..8).map(|_| random.bits()).collect::<Vec<_>>()
        };
        assert_eq!(draw(7), draw(7));
        assert_ne!(draw(7), draw(8));
    }

    #[test]
    fn draws_have_the_asked_mean_and_spread() {
        let mut random = Random::new(1);
        let draws: Vec<f64> = (0..20_000).map(|_| random.normal(5.0, 2.0)).collect();
        let mean = draws.iter().sum::<f64>() / draws.len() as f64;
        let variance = draws.iter().map(|d| (d - mean).powi(2)).sum::<f64>() / draws.len() as f64;
        assert!((mean - 5.0).abs() < 0.05, "{mean}");
        assert!((variance.sqrt() - 2.0).abs() < 0.05, "{variance}");
    }
}
