//! What the link reports, in a queue of bounded length that never holds the connection up.

use crate::message::Message;
use std::collections::VecDeque;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use tokio::sync::Notify;

/// What happened on the link.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum LinkEvent {
    /// Connected, and every subscription is granted.
    Up {
        /// Whether the broker had kept the session of the connection before.
        session_present: bool,
    },
    /// The connection is lost, or could not be made. The link goes on trying.
    Down {
        /// The reason, in words.
        why: String,
    },
    /// A message arrived.
    Message(Message),
    /// Messages were dropped since the last event, because nobody read fast enough.
    Missed {
        /// How many.
        count: u64,
    },
}

/// The reading end of the queue.
///
/// When [`crate::LinkConfig::event_queue`] messages wait, further ones are dropped, counted, and reported as one
/// [`LinkEvent::Missed`] in their place. `Up` and `Down` are never dropped: when the queue is full, only the latest stays.
#[derive(Debug)]
pub struct Events(pub(crate) Arc<EventQueue>);

impl Events {
    /// The next event; `None` once the link is closed and everything is read.
    pub async fn next(&mut self) -> Option<LinkEvent> {
        loop {
            let woken = self.0.notify.notified();
            {
                let mut state = self.0.lock();
                if let Some(event) = state.waiting.pop_front() {
                    return Some(event);
                }
                if state.missed > 0 {
                    return Some(LinkEvent::Missed { count: std::mem::take(&mut state.missed) });
                }
                if state.closed {
                    return None;
                }
            }
            woken.await;
        }
    }
}

#[derive(Debug)]
pub(crate) struct EventQueue {
    capacity: usize,
    state: Mutex<Queue>,
    notify: Notify,
}

#[derive(Debug, Default)]
struct Queue {
    waiting: VecDeque<LinkEvent>,
    missed: u64,
    closed: bool,
}

impl EventQueue {
    pub(crate) fn new(capacity: usize) -> Self {
        Self { capacity, state: Mutex::default(), notify: Notify::new() }
    }

    fn lock(&self) -> MutexGuard<'_, Queue> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    pub(crate) fn push(&self, event: LinkEvent) {
        let mut state = self.lock();
        if state.waiting.len() >= self.capacity {
            if matches!(event, LinkEvent::Message(_)) {
                state.missed += 1;
                return;
            }
            state.waiting.retain(|event| matches!(event, LinkEvent::Message(_) | LinkEvent::Missed { .. }));
        }
        if state.missed > 0 && matches!(event, LinkEvent::Message(_)) && state.waiting.len() + 1 < self.capacity {
            let count = std::mem::take(&mut state.missed);
            state.waiting.push_back(LinkEvent::Missed { count });
        }
        state.waiting.push_back(event);
        drop(state);
        self.notify.notify_one();
    }

    pub(crate) fn close(&self) {
        self.lock().closed = true;
        self.notify.notify_one();
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::message::Qos;

    fn message(text: &str) -> LinkEvent {
        LinkEvent::Message(Message { topic: text.into(), payload: "x".into(), qos: Qos::AtMostOnce, retain: false })
    }

    #[tokio::test]
    async fn a_full_queue_drops_messages_and_counts_them_but_keeps_the_latest_state() {
        let queue = Arc::new(EventQueue::new(2));
        let mut events = Events(queue.clone());
        for text in ["a", "b", "c", "d"] {
            queue.push(message(text));
        }
        for _ in 0..100 {
            queue.push(LinkEvent::Down { why: "gone".into() });
            queue.push(LinkEvent::Up { session_present: true });
        }
        queue.close();
        assert_eq!(events.next().await, Some(message("a")));
        assert_eq!(events.next().await, Some(message("b")));
        assert_eq!(events.next().await, Some(LinkEvent::Up { session_present: true }));
        assert_eq!(events.next().await, Some(LinkEvent::Missed { count: 2 }));
        assert_eq!(events.next().await, None);
    }
}
