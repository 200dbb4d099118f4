//! How long to wait before the next attempt: twice as long each time, with jitter, within bounds.

use std::hash::{BuildHasher, RandomState};
use std::time::Duration;

/// Bounds of the waiting time between attempts.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Backoff {
    /// Never shorter than this; at most twice as long after the first failure.
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
    /// The waiting time after `failures` failures in a row: at least half and at most all of `min · 2^failures`, capped by `max`.
    /// `chance` from 0 to 1 chooses within.
    pub fn wait(&self, failures: u32, chance: f64) -> Duration {
        let doubled = self.min.saturating_mul(1u32 << failures.clamp(1, 31)).min(self.max.max(self.min));
        doubled.mul_f64(0.5 + 0.5 * chance.clamp(0.0, 1.0)).max(self.min)
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
        assert_eq!(backoff.wait(1, 0.0), Duration::from_secs(1));
        assert_eq!(backoff.wait(1, 1.0), Duration::from_secs(2));
        assert_eq!(backoff.wait(4, 1.0), Duration::from_secs(16));
        assert_eq!(backoff.wait(60, 0.0), Duration::from_secs(60));
        assert_eq!(backoff.wait(60, 1.0), Duration::from_secs(120));
        assert_ne!(backoff.jittered(9), backoff.jittered(9));
        let waits = (0..500).map(|failures| backoff.jittered(failures));
        assert!(waits.into_iter().all(|wait| (backoff.min..=backoff.max).contains(&wait)));
    }
}
