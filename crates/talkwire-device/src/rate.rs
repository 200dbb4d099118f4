//! How many messages may leave within any minute.

use std::collections::VecDeque;
use std::time::{Duration, Instant};

const MINUTE: Duration = Duration::from_secs(60);

/// The moments of the last messages of one class, at most as many as may leave in a minute.
#[derive(Debug)]
pub(crate) struct Window {
    per_minute: usize,
    left_at: VecDeque<Instant>,
}

impl Window {
    /// 0: no limit.
    pub(crate) fn new(per_minute: u32) -> Self {
        Self { per_minute: usize::try_from(per_minute).unwrap_or(usize::MAX), left_at: VecDeque::new() }
    }

    /// Takes a place for one message, or says when there is one.
    pub(crate) fn admit(&mut self, now: Instant) -> Result<(), Instant> {
        if self.per_minute == 0 {
            return Ok(());
        }
        while self.left_at.front().is_some_and(|at| now.saturating_duration_since(*at) >= MINUTE) {
            self.left_at.pop_front();
        }
        match self.left_at.front() {
            Some(first) if self.left_at.len() >= self.per_minute => Err(*first + MINUTE),
            _ => {
                self.left_at.push_back(now);
                Ok(())
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn the_sixty_first_message_of_a_minute_waits_for_the_first_to_be_a_minute_old() {
        let (mut window, start) = (Window::new(60), Instant::now());
        for n in 0..60 {
            assert_eq!(window.admit(start + Duration::from_millis(n)), Ok(()));
        }
        assert_eq!(window.admit(start + Duration::from_secs(59)), Err(start + MINUTE));
        assert_eq!(window.admit(start + MINUTE), Ok(()));
        assert_eq!(window.admit(start + MINUTE), Err(start + MINUTE + Duration::from_millis(1)));
        let mut free = Window::new(0);
        assert!((0..100_000).all(|_| free.admit(start).is_ok()));
    }

    proptest! {
        #[test]
        fn no_minute_ever_holds_more_than_allowed(limit in 1u32..20, gaps in prop::collection::vec(0u64..20_000, 1..200)) {
            let (mut window, start, mut now, mut passed) = (Window::new(limit), Instant::now(), 0u64, Vec::new());
            for gap in gaps {
                now += gap;
                if window.admit(start + Duration::from_millis(now)).is_ok() {
                    passed.push(now);
                }
            }
            for first in &passed {
                let minute = passed.iter().filter(|at| (*first..*first + 60_000).contains(at)).count();
                prop_assert!(minute <= limit as usize);
            }
        }
    }
}
