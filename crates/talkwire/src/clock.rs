//! The one clock of the house: wall time at the start, carried on by the monotonic clock, so that a jump moves no deadline.

use std::time::{Instant, SystemTime, UNIX_EPOCH};

/// Tells Unix milliseconds that never run backwards.
#[derive(Debug, Clone, Copy)]
pub struct Clock {
    start_ms: i64,
    started: Instant,
}

impl Clock {
    /// Reads the wall clock once.
    pub fn start() -> Self {
        let since_epoch = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
        Self { start_ms: since_epoch.as_millis() as i64, started: Instant::now() }
    }

    /// Unix milliseconds now.
    pub fn now_ms(&self) -> i64 {
        self.start_ms + self.started.elapsed().as_millis() as i64
    }

    /// When the house was started, in Unix milliseconds.
    pub fn start_ms(&self) -> i64 {
        self.start_ms
    }
}
