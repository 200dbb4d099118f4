//! The little that the broker itself reads and writes of MQTT packets: frames, topics, answers.

use crate::config::Limits;
use crate::gate::{ProtocolVersion, PublishRefusal};
use bytes::{BufMut, Bytes, BytesMut};

pub(crate) const CONNECT: u8 = 1;
pub(crate) const CONNACK: u8 = 2;
pub(crate) const PUBLISH: u8 = 3;
pub(crate) const PUBACK: u8 = 4;
pub(crate) const PUBREC: u8 = 5;
pub(crate) const PUBREL: u8 = 6;
pub(crate) const PUBCOMP: u8 = 7;
pub(crate) const SUBSCRIBE: u8 = 8;
pub(crate) const UNSUBSCRIBE: u8 = 10;
pub(crate) const UNSUBACK: u8 = 11;
pub(crate) const PINGREQ: u8 = 12;
pub(crate) const PINGRESP: u8 = 13;
pub(crate) const DISCONNECT: u8 = 14;

pub(crate) const PING: Bytes = Bytes::from_static(&[PINGREQ << 4, 0]);

/// The reasons that the broker itself gives.
pub(crate) mod reason {
    pub(crate) const MALFORMED: u8 = 0x81;
    pub(crate) const PROTOCOL_ERROR: u8 = 0x82;
    pub(crate) const CLIENT_ID_INVALID: u8 = 0x85;
    pub(crate) const UNSUPPORTED_VERSION: u8 = 0x84;
    pub(crate) const TAKEN_OVER: u8 = 0x8E;
    pub(crate) const TOPIC_INVALID: u8 = 0x90;
    pub(crate) const TOPIC_ALIAS_INVALID: u8 = 0x94;
    pub(crate) const PACKET_TOO_LARGE: u8 = 0x95;
    pub(crate) const ADMINISTRATIVE: u8 = 0x98;
}

/// Where a packet ends and its body begins.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Frame {
    pub(crate) body: usize,
    pub(crate) end: usize,
}

/// Reads the fixed header at the front of `bytes`: `None` while it is incomplete, a reason code when it is wrong.
pub(crate) fn frame(bytes: &[u8], max_bytes: usize) -> Result<Option<Frame>, u8> {
    let mut length = 0usize;
    for (index, byte) in bytes.iter().skip(1).take(4).enumerate() {
        length |= usize::from(byte & 0x7F) << (7 * index);
        if byte & 0x80 == 0 {
            if *byte == 0 && index > 0 {
                return Err(reason::MALFORMED);
            }
            let body = index + 2;
            let end = body + length;
            if end > max_bytes {
                return Err(reason::PACKET_TOO_LARGE);
            }
            return Ok(Some(Frame { body, end }));
        }
    }
    if bytes.len() > 4 {
        return Err(reason::MALFORMED);
    }
    Ok(None)
}

/// The topic of a whole PUBLISH packet.
pub(crate) fn publish_topic(packet: &[u8], frame: Frame) -> Option<&str> {
    let body = packet.get(frame.body..frame.end)?;
    let length = usize::from(u16::from_be_bytes([*body.first()?, *body.get(1)?]));
    std::str::from_utf8(body.get(2..2 + length)?).ok()
}

/// The packet identifier of an acknowledgement.
pub(crate) fn packet_id(packet: &[u8]) -> Option<u16> {
    Some(u16::from_be_bytes([*packet.get(2)?, *packet.get(3)?]))
}

/// Whether the requests of an MQTT 3.1.1 SUBSCRIBE ask for a quality that exists; the engine overlooks other bits.
pub(crate) fn asks_for_known_qualities(body: &[u8]) -> bool {
    let mut rest = body.get(2..).unwrap_or_default();
    while let [high, low, after @ ..] = rest {
        let length = usize::from(u16::from_be_bytes([*high, *low]));
        match after.get(length) {
            Some(0..=2) => rest = &after[length + 1..],
            _ => return false,
        }
    }
    rest.is_empty()
}

/// Whether a topic that a client names is within the limits; wildcards are not looked at.
pub(crate) fn topic_fits(topic: &str, limits: &Limits) -> bool {
    !topic.is_empty() && topic.len() <= limits.max_topic_bytes && topic.split('/').count() <= limits.max_topic_levels
}

/// An empty publish that makes the engine keep the books for one that is handled here.
pub(crate) fn stub(qos: u8, packet_id: Option<u16>, version: ProtocolVersion) -> Bytes {
    let mut out = BytesMut::with_capacity(8);
    let length = 3 + packet_id.map_or(0, |_| 2) + u8::from(version == ProtocolVersion::V5);
    out.put_slice(&[(PUBLISH << 4) | (qos << 1), length, 0, 1, b'_']);
    if let Some(id) = packet_id {
        out.put_u16(id);
    }
    if version == ProtocolVersion::V5 {
        out.put_u8(0);
    }
    out.freeze()
}

/// PUBACK, PUBREC or PUBCOMP in its shortest form.
pub(crate) fn ack(kind: u8, id: u16) -> Bytes {
    let [high, low] = id.to_be_bytes();
    Bytes::copy_from_slice(&[kind << 4, 2, high, low])
}

/// PUBACK or PUBREC with a reason, MQTT 5 only.
pub(crate) fn refusal(qos: u8, id: u16, refusal: PublishRefusal) -> [u8; 5] {
    let kind = if qos == 1 { PUBACK } else { PUBREC };
    let [high, low] = id.to_be_bytes();
    [kind << 4, 3, high, low, refusal_code(refusal)]
}

fn refusal_code(refusal: PublishRefusal) -> u8 {
    match refusal {
        PublishRefusal::NotAuthorized => 0x87,
        PublishRefusal::QuotaExceeded => 0x97,
        PublishRefusal::TopicInvalid => 0x90,
        PublishRefusal::PayloadInvalid => 0x99,
    }
}

/// DISCONNECT with a reason, MQTT 5 only.
pub(crate) fn disconnect(reason: u8) -> [u8; 3] {
    [DISCONNECT << 4, 1, reason]
}

/// CONNACK that turns the client away.
pub(crate) fn connack_refusal(version: ProtocolVersion, reason: u8) -> Bytes {
    match version {
        ProtocolVersion::V5 => Bytes::copy_from_slice(&[CONNACK << 4, 3, 0, reason, 0]),
        ProtocolVersion::V311 => {
            let code = match reason {
                reason::UNSUPPORTED_VERSION => 1,
                reason::CLIENT_ID_INVALID => 2,
                _ => 5,
            };
            Bytes::copy_from_slice(&[CONNACK << 4, 2, 0, code])
        }
    }
}

/// A message's expiry in whole seconds, at least one: zero would be none at all for some brokers.
pub(crate) fn expiry_seconds(time: std::time::Duration) -> u32 {
    u32::try_from(time.as_millis().div_ceil(1_000)).unwrap_or(u32::MAX).max(1)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_header_is_read_as_soon_as_it_is_complete() {
        assert_eq!(frame(&[0x30], 100), Ok(None));
        assert_eq!(frame(&[0x30, 0x80], 100), Ok(None));
        assert_eq!(frame(&[0x30, 5], 100), Ok(Some(Frame { body: 2, end: 7 })));
        let two = Frame { body: 3, end: 131 };
        assert_eq!(frame(&[0x30, 0x80, 1], 200), Ok(Some(two)));
    }

    #[test]
    fn lengths_that_are_overlong_not_minimal_or_too_large_are_told_apart() {
        assert_eq!(frame(&[0x30, 0xFF, 0xFF, 0xFF, 0xFF], 100), Err(reason::MALFORMED));
        assert_eq!(frame(&[0x30, 0x80, 0x00], 100), Err(reason::MALFORMED));
        assert_eq!(frame(&[0x30, 0xFF, 0xFF, 0xFF, 0x7F], 100), Err(reason::PACKET_TOO_LARGE));
        assert_eq!(frame(&[0x30, 99], 100), Err(reason::PACKET_TOO_LARGE));
    }

    #[test]
    fn old_subscriptions_ask_for_0_1_or_2() {
        assert!(asks_for_known_qualities(&[0, 1, 0, 1, b'a', 2, 0, 0, 0]));
        for wrong in [&[0, 1, 0, 1, b'a', 3][..], &[0, 1, 0, 1, b'a'], &[0, 1, 0], &[0, 1, 0, 9, b'a', 0]] {
            assert!(!asks_for_known_qualities(wrong), "{wrong:?}");
        }
    }

    #[test]
    fn a_stub_is_a_publish_of_the_same_quality_and_identifier() {
        assert_eq!(&stub(0, None, ProtocolVersion::V311)[..], &[0x30, 3, 0, 1, b'_']);
        assert_eq!(&stub(2, Some(0x0102), ProtocolVersion::V5)[..], &[0x34, 6, 0, 1, b'_', 1, 2, 0]);
    }

    #[test]
    fn topics_are_measured_in_bytes_and_levels() {
        let limits = Limits::default();
        assert!(topic_fits("聊天/房间", &limits));
        assert!(topic_fits(&"a".repeat(200), &limits));
        assert!(!topic_fits(&"a".repeat(201), &limits));
        assert!(!topic_fits(&"间".repeat(67), &limits));
        assert!(topic_fits(&vec!["a"; 32].join("/"), &limits));
        assert!(!topic_fits(&vec!["a"; 33].join("/"), &limits));
        assert!(!topic_fits("", &limits));
    }
}
