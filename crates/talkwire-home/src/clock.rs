//! The clock of a house: seconds since the start, time of day and day of week.

/// 2026-03-02 00:00 UTC, a Monday: where the calendar of a house begins unless it is told otherwise.
const MONDAY_MS: i64 = 1_772_409_600_000;

/// Simulated time.
#[derive(Debug, Clone)]
pub struct Clock {
    elapsed_s: f64,
    start_day_s: f64,
    weekday: u8,
    epoch_ms: i64,
}

impl Clock {
    /// A clock whose zero is this second of this day (0 = Monday), and which stands `history_s` before it.
    pub fn new(start_day_s: f64, weekday: u8, history_s: f64) -> Self {
        let epoch_ms = MONDAY_MS + i64::from(weekday) * 86_400_000 + (start_day_s * 1e3) as i64;
        Self { elapsed_s: -history_s, start_day_s, weekday, epoch_ms }
    }

    /// Seconds since the start; below zero in the hours before it, which a new house lives through.
    pub fn elapsed_s(&self) -> f64 {
        self.elapsed_s
    }

    /// Seconds after midnight.
    pub fn day_s(&self) -> f64 {
        (self.start_day_s + self.elapsed_s).rem_euclid(86_400.0)
    }

    /// Hour of day, 0..24.
    pub fn hour(&self) -> f64 {
        self.day_s() / 3600.0
    }

    /// Is it Saturday or Sunday?
    pub fn weekend(&self) -> bool {
        let days = ((self.start_day_s + self.elapsed_s) / 86_400.0).floor() as i64;
        (i64::from(self.weekday) + days).rem_euclid(7) >= 5
    }

    /// Unix milliseconds of a moment `at_s` seconds after the start.
    pub fn unix_ms(&self, at_s: f64) -> i64 {
        self.epoch_ms + (at_s * 1e3) as i64
    }

    /// Lets the present moment be this Unix time.
    pub fn set_unix_ms(&mut self, now_ms: i64) {
        self.epoch_ms = now_ms - (self.elapsed_s * 1e3) as i64;
    }

    pub(crate) fn pass(&mut self, seconds: f64) {
        self.elapsed_s += seconds;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn days_turn_and_weekends_come() {
        let mut clock = Clock::new(23.0 * 3600.0, 4, 0.0);
        assert!(!clock.weekend());
        clock.pass(2.0 * 3600.0);
        assert!((clock.hour() - 1.0).abs() < 1e-9);
        assert!(clock.weekend());
    }
}
