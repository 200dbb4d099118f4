//! How long to wait before the next attempt: twice as long each time, with jitter, within bounds.

use std::hash::{BuildHasher, RandomState};
use std::time::Duration;

/// Bounds of the waiting time between attempts.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Backoff {
    /// Around this long after the first failure.
    pub min: Duration,
    /// Never longer than this.
    pub max: Duration,
}

impl Default for Backoff {
    fn default() -> Self {
        Self { min: Duration::from_secs(1), max: Duration::from_secs(120) }
    }
}

impl Backoff {
    /// The waiting time after `failures` failures in a row, at least half and at most all of `min · 2^(failures − 1)`, capped by
    /// `max`. `chance` from 0 to 1 chooses within.
    pub fn wait(&self, failures: u32, chance: f64) -> Duration {
        let doubled = self.min.saturating_mul(1u32.checked_shl(failures.saturating_sub(1).min(31)).unwrap_or(u32::MAX));
        doubled.min(self.max).mul_f64(0.5 + 0.5 * chance.clamp(0.0, 1.0))
    }

    /// [`Backoff::wait`] with a random choice, so that a thousand devices do not all come back in the same second.
    pub fn jittered(&self, failures: u32) -> Duration {
        self.wait(failures, (RandomState::new().hash_one(failures) >> 11) as f64 / (1u64 << 53) as f64)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn waiting_doubles_up_to_the_cap_and_spreads() {
        let backoff = Backoff::default();
        assert_eq!(backoff.wait(1, 1.0), Duration::from_secs(1));
        assert_eq!(backoff.wait(1, 0.0), Duration::from_millis(500));
        assert_eq!(backoff.wait(4, 1.0), Duration::from_secs(8));
        assert_eq!(backoff.wait(60, 1.0), Duration::from_secs(120));
        assert_ne!(backoff.jittered(9), backoff.jittered(9));
    }
}
