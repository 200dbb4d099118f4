//! One class of letters on its way: in order, a few at a time, again from the first unacknowledged one after a lost session.

use super::Shared;
use crate::counters::{Counters, add};
use crate::letter::{Class, Letter};
use std::collections::{BTreeMap, VecDeque};
use std::sync::Arc;
use std::time::{Duration, Instant};
use talkwire_link::{Backoff, LinkError, Qos};
use tokio::sync::mpsc::UnboundedSender;

/// How many letters of a class may wait for their acknowledgement at once.
pub(super) const FLYING: usize = 64;
/// How many bytes of letters are read ahead at once.
pub(super) const BYTES: usize = 1 << 20;
/// How long a broker that has no room is left alone. Not long: whoever waits for an answer must not wait for the pause as well.
const NO_ROOM: Backoff = Backoff { min: Duration::from_secs(1), max: Duration::from_secs(3) };

/// What became of a letter.
pub(super) struct Fate {
    pub(super) class: Class,
    number: u64,
    round: u64,
    topic: String,
    result: Result<(), LinkError>,
}

pub(super) struct Lane {
    pub(super) class: Class,
    /// The last number that was read from the outbox.
    read_to: u64,
    ready: VecDeque<(u64, Letter)>,
    flying: BTreeMap<u64, ()>,
    /// The connection over which they fly.
    connection: u64,
    /// Rises each time that the lane starts again; what is heard of earlier rounds moves nothing.
    round: u64,
    failures: u32,
    rest_until: Option<Instant>,
}

impl Lane {
    pub(super) fn new(class: Class) -> Self {
        Self { class, read_to: 0, ready: VecDeque::new(), flying: BTreeMap::new(), connection: 0, round: 0, failures: 0, rest_until: None }
    }

    pub(super) fn after(&self) -> u64 {
        self.read_to
    }

    /// Whether it could send more than it has read.
    pub(super) fn wants(&self, now: Instant) -> bool {
        self.ready.is_empty() && self.flying.len() < FLYING && self.rest_until.is_none_or(|until| until <= now)
    }

    /// The letters that were read and are not done with.
    pub(super) fn under_way(&self) -> impl Iterator<Item = u64> {
        self.flying.keys().copied().chain(self.ready.iter().map(|(number, _)| *number))
    }

    pub(super) fn load(&mut self, letters: Vec<(u64, Letter)>) {
        if let Some((last, _)) = letters.last() {
            self.read_to = self.read_to.max(*last);
        }
        self.ready.extend(letters);
    }

    /// Sends what may leave. Returns when more may.
    pub(super) fn send(&mut self, shared: &Arc<Shared>, fates: &UnboundedSender<Fate>, now: Instant) -> Option<Instant> {
        if let Some(until) = self.rest_until.filter(|until| *until > now) {
            return Some(until);
        }
        self.rest_until = None;
        let connection = shared.link.connection();
        if connection != self.connection && !self.flying.is_empty() {
            // What flew when the connection was lost is either delivered in the resumed session or comes back: only then is it known
            // which letter is next.
            return None;
        }
        self.connection = connection;
        while self.flying.len() < FLYING {
            let (number, letter) = self.ready.front()?;
            if let Err(free_at) = shared.windows()[self.class.number()].admit(now) {
                return Some(free_at);
            }
            let Some(handle) = shared.publish(letter, Qos::AtLeastOnce, connection) else {
                let rest = now + NO_ROOM.min;
                self.rest_until = Some(rest);
                return Some(rest);
            };
            let (class, number, round, topic, fates) = (self.class, *number, self.round, letter.topic.clone(), fates.clone());
            tokio::spawn(async move {
                let result = handle.await;
                // Nobody hears it when the device has stopped.
                let _ = fates.send(Fate { class, number, round, topic, result });
            });
            self.flying.insert(number, ());
            self.ready.pop_front();
        }
        None
    }

    /// Hears what became of a letter, and says its number when it is done with.
    pub(super) fn learn(&mut self, fate: Fate, now: Instant, counters: &Counters) -> Option<u64> {
        let Fate { number, round, topic, result, .. } = fate;
        match result {
            Ok(()) => {
                self.failures = 0;
                self.forget(number);
                Some(number)
            }
            Err(error @ (LinkError::Refused(_) | LinkError::TooLarge { .. } | LinkError::Topic(_) | LinkError::Config(_))) => {
                add(&counters.unsent, 1);
                tracing::warn!(%error, topic, "the broker does not take the message; it is dropped");
                self.forget(number);
                Some(number)
            }
            Err(_) if round != self.round => None,
            Err(error) => {
                if matches!(error, LinkError::NoRoom | LinkError::Full(_)) {
                    self.failures = self.failures.saturating_add(1);
                    self.rest_until = Some(now + NO_ROOM.jittered(self.failures));
                    tracing::info!(%error, "messages of this kind wait");
                }
                self.start_again();
                None
            }
        }
    }

    fn forget(&mut self, number: u64) {
        self.flying.remove(&number);
        self.ready.retain(|(ready, _)| *ready != number);
    }

    /// Everything unacknowledged is read and sent again, in order.
    fn start_again(&mut self) {
        let first = self.flying.keys().next().copied().into_iter().chain(self.ready.front().map(|(number, _)| *number)).min();
        self.read_to = first.map_or(self.read_to, |first| first - 1);
        self.flying.clear();
        self.ready.clear();
        self.round += 1;
    }
}
