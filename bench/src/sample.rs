//! Samples of a latency, and what they say: quantiles and medians.

use std::time::Duration;

/// Latencies in microseconds, in any order.
#[derive(Debug, Clone, Default)]
pub struct Samples(Vec<u32>);

impl Samples {
    /// Adds one.
    pub fn push(&mut self, latency: Duration) {
        self.0.push(u32::try_from(latency.as_micros()).unwrap_or(u32::MAX));
    }

    /// Adds those of another thread.
    pub fn extend(&mut self, other: Self) {
        self.0.extend(other.0);
    }

    /// How many there are.
    pub fn len(&self) -> usize {
        self.0.len()
    }

    /// The value that the part `q` of all samples does not exceed, in milliseconds; 0 without samples.
    pub fn quantile_ms(&mut self, q: f64) -> f64 {
        if self.0.is_empty() {
            return 0.0;
        }
        self.0.sort_unstable();
        let at = ((self.0.len() as f64 * q).ceil() as usize).clamp(1, self.0.len());
        f64::from(self.0[at - 1]) / 1_000.0
    }
}

/// The middle one; of an even number, the mean of the two in the middle.
pub fn median(values: &[f64]) -> f64 {
    let mut sorted = values.to_vec();
    sorted.sort_unstable_by(f64::total_cmp);
    match sorted.len() {
        0 => 0.0,
        n if n % 2 == 1 => sorted[n / 2],
        n => f64::midpoint(sorted[n / 2 - 1], sorted[n / 2]),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_quantile_is_the_smallest_value_that_enough_samples_do_not_exceed() {
        let mut samples = Samples::default();
        (1..=100).rev().for_each(|ms| samples.push(Duration::from_millis(ms)));
        assert_eq!((samples.quantile_ms(0.5), samples.quantile_ms(0.99), samples.quantile_ms(1.0)), (50.0, 99.0, 100.0));
        assert_eq!(Samples::default().quantile_ms(0.5), 0.0);
    }

    #[test]
    fn the_median_of_an_even_number_lies_between() {
        assert_eq!((median(&[3.0, 1.0, 2.0]), median(&[4.0, 1.0, 2.0, 3.0]), median(&[])), (2.0, 2.5, 0.0));
    }
}
