//! The time: a clock on the wall for telling, and one that only goes forward for waiting.

use std::time::{Duration, Instant, SystemTime, UNIX_EPOCH};

/// One moment on both clocks.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Now {
    /// Since the process started; never jumps.
    pub(crate) steady: Duration,
    /// Unix milliseconds; may jump when somebody sets the clock.
    pub(crate) unix_ms: i64,
}

/// Where the time comes from; tests bring their own.
pub(crate) trait Clock: Send + Sync {
    fn now(&self) -> Now;
}

/// The machine's clocks.
#[derive(Debug)]
pub(crate) struct SystemClock(Instant);

impl SystemClock {
    pub(crate) fn start() -> Self {
        Self(Instant::now())
    }
}

impl Clock for SystemClock {
    fn now(&self) -> Now {
        Now { steady: self.0.elapsed(), unix_ms: unix_ms() }
    }
}

/// The wall clock, in Unix milliseconds.
pub(crate) fn unix_ms() -> i64 {
    SystemTime::now().duration_since(UNIX_EPOCH).map_or(0, |since| i64::try_from(since.as_millis()).unwrap_or(i64::MAX))
}
