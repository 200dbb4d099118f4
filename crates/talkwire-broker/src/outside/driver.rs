//! The loop that keeps the connection: connects, falls back to the older protocol, waits between attempts.

use super::backlog::Outgoing;
use super::line;
use super::{Shared, count};
use crate::gate::ProtocolVersion;
use std::collections::VecDeque;
use std::sync::Arc;
use std::time::{Duration, SystemTime, UNIX_EPOCH};

const SHORTEST: Duration = Duration::from_millis(250);
const LONGEST: Duration = Duration::from_secs(30);
/// A connection that held this long counts as a good one.
const STEADY: Duration = Duration::from_secs(5);
/// So many short connections in a row that ended with the same message in flight: the broker does not want it.
const POISONOUS: u32 = 5;

/// What outlives a connection.
#[derive(Default)]
pub(super) struct Memory {
    /// Sent and not acknowledged, oldest first.
    pub(super) in_flight: VecDeque<(u16, Outgoing)>,
    /// The identifier given last.
    pub(super) last_id: u16,
}

impl Memory {
    /// An identifier that nothing in flight has.
    pub(super) fn next_id(&mut self) -> u16 {
        loop {
            self.last_id = self.last_id.wrapping_add(1).max(1);
            if self.in_flight.iter().all(|(id, _)| *id != self.last_id) {
                return self.last_id;
            }
        }
    }
}

/// How a connection ended.
#[derive(Debug, Default)]
pub(super) struct Ended {
    pub(super) why: String,
    /// The broker let us in.
    pub(super) greeted: bool,
    /// It ended as it does when the broker does not speak this version.
    pub(super) foreign_version: bool,
    /// The broker acknowledged something.
    pub(super) acknowledged: bool,
    /// For how long messages went both ways.
    pub(super) lasted: Duration,
    /// We said goodbye.
    pub(super) stopped: bool,
}

pub(super) async fn drive(shared: Arc<Shared>) {
    let mut memory = Memory::default();
    let (mut version, mut settled) = (ProtocolVersion::V5, false);
    let (mut failures, mut short, mut last_why) = (0u32, 0u32, String::new());
    let mut stop = shared.stop.subscribe();
    loop {
        let ended = line::run(&shared, &mut memory, version).await;
        if ended.stopped || *stop.borrow() {
            shared.tell(|status| (status.connected, status.why) = (false, "stopped".into()));
            return;
        }
        if ended.greeted {
            settled = true;
        }
        if ended.foreign_version && !settled {
            version = if version == ProtocolVersion::V5 { ProtocolVersion::V311 } else { ProtocolVersion::V5 };
        }
        failures = if ended.lasted >= STEADY { 1 } else { failures.saturating_add(1) };
        short = if ended.greeted && ended.lasted < STEADY && !ended.acknowledged && !memory.in_flight.is_empty() { short + 1 } else { 0 };
        if short >= POISONOUS
            && let Some((_, message)) = memory.in_flight.pop_front()
        {
            short = 0;
            count(&shared.counters.refused);
            shared.gone(message.kept);
            tracing::error!(
                topic = message.topic,
                "E_BROKER_REFUSED: the broker ends the connection whenever this message is sent; it is given up. Allow the topic in the broker's access rules"
            );
        }
        if ended.why != last_why {
            tracing::warn!(broker = shared.config.name, why = ended.why, "E_BROKER_AWAY: the broker is not connected; it is tried again");
            last_why.clone_from(&ended.why);
        }
        if ended.greeted {
            last_why.clear();
        }
        shared.tell(|status| (status.connected, status.why) = (false, ended.why.clone()));
        shared.inbox.down(&ended.why);
        tokio::select! {
            () = tokio::time::sleep(pause(failures)) => {}
            _ = stop.wait_for(|stop| *stop) => {}
        }
    }
}

/// Twice as long after each failure, and between half and all of it, so that not everybody comes back at once.
fn pause(failures: u32) -> Duration {
    let doubled = SHORTEST.saturating_mul(1u32.checked_shl(failures.saturating_sub(1).min(16)).unwrap_or(u32::MAX)).min(LONGEST);
    let chance = SystemTime::now().duration_since(UNIX_EPOCH).map_or(0.5, |since| f64::from(since.subsec_nanos() % 1_000_000) / 1e6);
    doubled.mul_f64(0.5 + 0.5 * chance)
}

#[cfg(test)]
mod tests {
    use super::*;
    use bytes::Bytes;

    #[test]
    fn pauses_grow_to_a_bound() {
        assert!((SHORTEST / 2..=SHORTEST).contains(&pause(1)));
        assert!((LONGEST / 2..=LONGEST).contains(&pause(40)));
    }

    #[test]
    fn identifiers_in_flight_are_not_given_again() {
        let mut memory = Memory { last_id: u16::MAX - 1, ..Memory::default() };
        let message = Outgoing { topic: "t".into(), payload: Bytes::new(), qos: 1, retain: false, until: None, kept: None };
        memory.in_flight.push_back((1, message));
        assert_eq!((memory.next_id(), memory.next_id()), (u16::MAX, 2));
    }
}
