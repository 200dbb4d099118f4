//! Messages that wait for the broker, in order and with a bound.

use bytes::Bytes;
use std::collections::VecDeque;
use std::sync::{Mutex, MutexGuard, PoisonError};
use tokio::sync::Notify;
use tokio::time::Instant;

/// Most messages that wait; beyond it the oldest goes.
const MOST: usize = 10_000;

/// A message on its way out.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Outgoing {
    pub(super) topic: String,
    pub(super) payload: Bytes,
    pub(super) qos: u8,
    pub(super) retain: bool,
    /// When it is of no use any more.
    pub(super) until: Option<Instant>,
    /// Under which number the house keeps it.
    pub(super) kept: Option<u64>,
}

#[derive(Default)]
pub(super) struct Backlog {
    waiting: Mutex<VecDeque<Outgoing>>,
    filled: Notify,
}

impl Backlog {
    fn lock(&self) -> MutexGuard<'_, VecDeque<Outgoing>> {
        self.waiting.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Puts one behind the others; the oldest when that had to go for it.
    pub(super) fn push(&self, message: Outgoing) -> Option<Outgoing> {
        let mut waiting = self.lock();
        let dropped = if waiting.len() < MOST { None } else { waiting.pop_front() };
        waiting.push_back(message);
        drop(waiting);
        self.filled.notify_one();
        dropped
    }

    pub(super) fn pop(&self) -> Option<Outgoing> {
        let now = Instant::now();
        let mut waiting = self.lock();
        while waiting.front().is_some_and(|message| message.until.is_some_and(|until| until <= now)) {
            waiting.pop_front();
        }
        waiting.pop_front()
    }

    pub(super) fn len(&self) -> usize {
        self.lock().len()
    }

    /// Resolves when something was pushed since the last time.
    pub(super) async fn filled(&self) {
        self.filled.notified().await;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_oldest_goes_when_too_many_wait() {
        let backlog = Backlog::default();
        let message = |n: usize| Outgoing { topic: n.to_string(), payload: Bytes::new(), qos: 1, retain: false, until: None, kept: None };
        assert!((0..MOST).all(|n| backlog.push(message(n)).is_none()));
        assert_eq!(backlog.push(message(MOST)), Some(message(0)));
        assert_eq!((backlog.len(), backlog.pop().map(|first| first.topic)), (MOST, Some("1".into())));
    }
}
