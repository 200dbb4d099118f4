//! Deliveries of a broker that is not ours: which message was stored already, however it comes again.

use sha2::{Digest, Sha256};
use std::collections::{HashMap, VecDeque};
use talkwire_proto::Inbound;

/// So many deliveries are remembered, here and in the store.
pub const WINDOW: usize = 65_536;
/// A device's time further from arrival than this says nothing of when it spoke, in milliseconds: the longest time that
/// the brokers we know keep a session.
const BELIEVED_MS: i64 = 7 * 24 * 3_600_000;

/// A message as a broker handed it over.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Delivery {
    /// Its packet identifier; 0 at QoS 0.
    pub packet_id: u16,
    /// Whether the broker says that it handed it over before.
    pub again: bool,
    /// Of topic and payload.
    pub fingerprint: u128,
}

/// A delivery that is stored: a row of the window.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Delivered {
    /// Counts up; the row's place is `n` modulo [`WINDOW`].
    pub n: u64,
    /// Its packet identifier; 0 once the session is gone in which it meant something.
    pub packet_id: u16,
    /// Of topic and payload.
    pub fingerprint: u128,
}

/// Half of the SHA-256 of topic and payload.
pub fn fingerprint(topic: &str, payload: &[u8]) -> u128 {
    let mut bytes = Vec::with_capacity(topic.len() + payload.len() + 1);
    bytes.extend_from_slice(topic.as_bytes());
    bytes.push(0);
    bytes.extend_from_slice(payload);
    Sha256::digest(&bytes).iter().take(16).fold(0, |sum, byte| (sum << 8) | u128::from(*byte))
}

/// Whether equal bytes on the same topic can only be the same message: the device says when it spoke, to the millisecond.
pub fn names_its_instant(inbound: &Inbound, now_ms: i64) -> bool {
    matches!(inbound, Inbound::Device(_, envelope, _) if envelope.ts_ms.is_some_and(|ts| (now_ms - ts).abs() <= BELIEVED_MS))
}

/// The deliveries of late.
#[derive(Debug, Default)]
pub struct Window {
    rows: VecDeque<Delivered>,
    prints: HashMap<u128, u32>,
    packets: HashMap<u16, u128>,
    next: u64,
}

impl Window {
    /// What the store remembered, oldest first.
    pub fn restore(rows: impl IntoIterator<Item = Delivered>) -> Self {
        let mut window = Self::default();
        for row in rows {
            window.next = row.n;
            window.push(row.packet_id, row.fingerprint);
        }
        window
    }

    /// Whether this delivery is one that is stored already.
    ///
    /// A message that names its instant is known by its bytes. Any other is known only when the broker says that it comes
    /// again, and under the packet identifier that it had: the same words twice may be meant twice.
    pub fn knows(&self, delivery: &Delivery, names_its_instant: bool) -> bool {
        let again = delivery.again && delivery.packet_id != 0 && self.packets.get(&delivery.packet_id) == Some(&delivery.fingerprint);
        again || (names_its_instant && self.prints.contains_key(&delivery.fingerprint))
    }

    /// Remembers a delivery; the row is to be stored together with the message.
    pub fn remember(&mut self, delivery: &Delivery) -> Delivered {
        self.push(delivery.packet_id, delivery.fingerprint)
    }

    /// The broker began a new session: packet identifiers start over.
    pub fn begin_session(&mut self) {
        self.packets.clear();
    }

    fn push(&mut self, packet_id: u16, fingerprint: u128) -> Delivered {
        let row = Delivered { n: self.next, packet_id, fingerprint };
        self.next += 1;
        if self.rows.len() >= WINDOW
            && let Some(oldest) = self.rows.pop_front()
        {
            if let Some(count) = self.prints.get_mut(&oldest.fingerprint) {
                *count -= 1;
                if *count == 0 {
                    self.prints.remove(&oldest.fingerprint);
                }
            }
            if self.packets.get(&oldest.packet_id) == Some(&oldest.fingerprint) {
                self.packets.remove(&oldest.packet_id);
            }
        }
        *self.prints.entry(fingerprint).or_default() += 1;
        if packet_id != 0 {
            self.packets.insert(packet_id, fingerprint);
        }
        self.rows.push_back(row);
        row
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const NOW_MS: i64 = 1_753_527_913_675;

    fn inbound(topic: &str, payload: &str) -> Inbound {
        Inbound::decode(topic, payload.as_bytes(), NOW_MS, 10_000).unwrap()
    }

    fn delivery(packet_id: u16, again: bool, text: &str) -> Delivery {
        Delivery { packet_id, again, fingerprint: fingerprint("t", text.as_bytes()) }
    }

    #[test]
    fn a_message_that_names_its_instant_is_known_by_its_bytes() {
        let mut window = Window::default();
        let first = delivery(7, false, "a");
        assert!(!window.knows(&first, true));
        window.remember(&first);
        // After a crash the broker hands it over as new, under another identifier.
        assert!(window.knows(&delivery(9, false, "a"), true));
        assert!(!window.knows(&delivery(9, false, "b"), true));
    }

    #[test]
    fn the_same_words_twice_are_two_messages_unless_the_broker_says_again() {
        let mut window = Window::default();
        window.remember(&delivery(7, false, "ok"));
        assert!(!window.knows(&delivery(8, false, "ok"), false), "said a second time");
        assert!(!window.knows(&delivery(8, true, "ok"), false), "handed over before, but never stored");
        assert!(window.knows(&delivery(7, true, "ok"), false), "handed over before and stored");
        window.begin_session();
        assert!(!window.knows(&delivery(7, true, "ok"), false), "another session's identifier");
    }

    #[test]
    fn the_window_is_bounded_and_comes_back_from_the_store() {
        let mut window = Window::default();
        let rows: Vec<_> = (0..WINDOW + 10).map(|n| window.remember(&delivery((n % 100) as u16 + 1, false, &n.to_string()))).collect();
        assert_eq!(window.rows.len(), WINDOW);
        assert!(!window.knows(&delivery(0, false, "9"), true) && window.knows(&delivery(0, false, "10"), true));
        let again = Window::restore(rows[10..].to_vec());
        assert_eq!((again.next, again.prints.len()), (window.next, window.prints.len()));
        assert!(again.knows(&delivery(0, false, "10"), true));
    }

    #[test]
    fn only_a_believable_clock_names_an_instant() {
        let topic = "rtk/v1/home/lab/aabbccddeeff/evt/system.error";
        let at = |ts: i64| inbound(topic, &format!(r#"{{"schema":"evt.system.error/1.0","ts":{ts},"data":{{}}}}"#));
        assert!(names_its_instant(&at(NOW_MS - 5_000), NOW_MS));
        assert!(!names_its_instant(&at(1), NOW_MS), "a clock that was never set");
        assert!(!names_its_instant(&inbound("chatroom/messages/in", r#"{"client_id":"a","username":"A","message":"ok"}"#), NOW_MS));
    }
}
