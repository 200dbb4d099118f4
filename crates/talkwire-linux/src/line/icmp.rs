//! ICMP messages: an echo request as it is sent, and what comes back.

use std::net::Ipv4Addr;

const ECHO_REPLY: u8 = 0;
const UNREACHABLE: u8 = 3;
const ECHO: u8 = 8;
const TIME_EXCEEDED: u8 = 11;

/// What an incoming message says about one of our requests.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Said {
    /// The target answered.
    Reply,
    /// A router on the way gave the packet up, since it was too old.
    Expired,
    /// Somebody says that the target cannot be reached.
    Unreachable,
}

/// One incoming message.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Incoming {
    pub(super) said: Said,
    pub(super) id: u16,
    pub(super) seq: u16,
}

/// An echo request with a checksum and `payload` further bytes.
pub(super) fn echo(id: u16, seq: u16, payload: usize) -> Vec<u8> {
    let mut packet = vec![ECHO, 0, 0, 0];
    packet.extend(id.to_be_bytes());
    packet.extend(seq.to_be_bytes());
    packet.resize(8 + payload, 0x54);
    let sum = checksum(&packet);
    packet[2..4].copy_from_slice(&sum.to_be_bytes());
    packet
}

/// The checksum of the internet protocols (RFC 1071).
pub(crate) fn checksum(bytes: &[u8]) -> u16 {
    let mut sum: u32 = bytes.chunks(2).map(|pair| u32::from(u16::from_be_bytes([pair[0], pair.get(1).copied().unwrap_or(0)]))).sum();
    while sum > 0xffff {
        sum = (sum & 0xffff) + (sum >> 16);
    }
    !(sum as u16)
}

/// Reads a message that a raw socket (with the IP header) or a ping socket (without) received.
pub(super) fn parse(bytes: &[u8], with_header: bool) -> Option<Incoming> {
    let message = if with_header { after_header(bytes)? } else { bytes };
    let word = |bytes: &[u8], at: usize| Some(u16::from_be_bytes([*bytes.get(at)?, *bytes.get(at + 1)?]));
    match *message.first()? {
        ECHO_REPLY => Some(Incoming { said: Said::Reply, id: word(message, 4)?, seq: word(message, 6)? }),
        kind @ (TIME_EXCEEDED | UNREACHABLE) => {
            // The head of our own packet comes back inside.
            let ours = after_header(message.get(8..)?)?;
            let said = if kind == TIME_EXCEEDED { Said::Expired } else { Said::Unreachable };
            (*ours.first()? == ECHO).then_some(Incoming { said, id: word(ours, 4)?, seq: word(ours, 6)? })
        }
        _ => None,
    }
}

fn after_header(packet: &[u8]) -> Option<&[u8]> {
    let first = *packet.first()?;
    (first >> 4 == 4).then(|| packet.get(usize::from(first & 0xf) * 4..)).flatten()
}

/// Whether an address belongs to no network of the internet.
pub(super) fn is_private(ip: Ipv4Addr) -> bool {
    crate::address::kind(ip) != "public"
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn with_header(message: &[u8]) -> Vec<u8> {
        let mut packet = vec![0x45];
        packet.resize(20, 0);
        packet.extend(message);
        packet
    }

    #[test]
    fn a_request_sums_to_zero_and_its_answer_is_known_again() {
        let mut packet = echo(7, 300, 5);
        assert_eq!((packet.len(), checksum(&packet)), (13, 0));
        packet[0] = ECHO_REPLY;
        assert_eq!(parse(&packet, false), Some(Incoming { said: Said::Reply, id: 7, seq: 300 }));
        assert_eq!(parse(&with_header(&packet), true), parse(&packet, false));
    }

    #[test]
    fn what_a_router_gives_up_names_our_request() {
        let mut message = vec![TIME_EXCEEDED, 0, 0, 0, 0, 0, 0, 0];
        message.extend(with_header(&echo(9, 2, 0)));
        assert_eq!(parse(&with_header(&message), true), Some(Incoming { said: Said::Expired, id: 9, seq: 2 }));
        message[0] = UNREACHABLE;
        assert_eq!(parse(&message, false).map(|incoming| incoming.said), Some(Said::Unreachable));
        assert_eq!(parse(&echo(1, 1, 0), false), None, "somebody pings us");
    }

    proptest! {
        #[test]
        fn no_bytes_break_it(bytes in proptest::collection::vec(any::<u8>(), 0..80), header in any::<bool>()) {
            let _ = parse(&bytes, header);
        }
    }
}
