//! The two messages of DHCP that a scan needs: the DISCOVER that is sent and the OFFER that comes back (RFC 2131).

use std::net::Ipv4Addr;

const REQUEST: u8 = 1;
const REPLY: u8 = 2;
const ETHERNET: u8 = 1;
const COOKIE: [u8; 4] = [99, 130, 83, 99];
/// "Answer to everybody": the machine has no address of that server's yet.
const BROADCAST: u16 = 0x8000;
const DISCOVER: u8 = 1;
const OFFER: u8 = 2;
/// Where the options begin.
const OPTIONS: usize = 240;

/// What a server offers.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub(super) struct Offer {
    pub(super) server: Option<Ipv4Addr>,
    pub(super) address: Option<Ipv4Addr>,
    pub(super) gateway: Option<Ipv4Addr>,
    pub(super) netmask: Option<Ipv4Addr>,
    pub(super) resolvers: Vec<Ipv4Addr>,
    pub(super) lease_s: Option<u32>,
}

/// A question for an address. Nothing is taken: no REQUEST follows.
pub(super) fn discover(transaction: u32, mac: [u8; 6]) -> Vec<u8> {
    let mut message = vec![REQUEST, ETHERNET, 6, 0];
    message.extend(transaction.to_be_bytes());
    message.extend([0, 0]);
    message.extend(BROADCAST.to_be_bytes());
    message.extend([0; 16]);
    message.extend(mac);
    message.resize(236, 0);
    message.extend(COOKIE);
    // The kind, and that mask, gateway and resolvers are wanted.
    message.extend([53, 1, DISCOVER, 55, 3, 1, 3, 6, 255]);
    message.resize(300, 0);
    message
}

/// An offer to this question.
pub(super) fn parse(message: &[u8], transaction: u32, mac: [u8; 6]) -> Option<Offer> {
    let ours = message.get(4..8)? == transaction.to_be_bytes() && message.get(28..34)? == mac;
    if *message.first()? != REPLY || !ours || message.get(236..OPTIONS)? != COOKIE {
        return None;
    }
    let address = ip(message.get(16..20)?).filter(|ip| !ip.is_unspecified());
    let (mut offer, mut kind, mut rest) = (Offer { address, ..Offer::default() }, None, message.get(OPTIONS..)?);
    while let [code, tail @ ..] = rest {
        match code {
            0 => rest = tail,
            255 => break,
            code => {
                let [length, tail @ ..] = tail else { break };
                let Some(data) = tail.get(..usize::from(*length)) else { break };
                match code {
                    53 => kind = data.first().copied(),
                    54 => offer.server = ip(data),
                    1 => offer.netmask = ip(data),
                    3 => offer.gateway = ip(data),
                    6 => offer.resolvers = data.chunks_exact(4).filter_map(ip).take(4).collect(),
                    51 => offer.lease_s = data.try_into().ok().map(u32::from_be_bytes),
                    _ => {}
                }
                rest = tail.get(usize::from(*length)..).unwrap_or_default();
            }
        }
    }
    (kind == Some(OFFER)).then_some(offer)
}

fn ip(bytes: &[u8]) -> Option<Ipv4Addr> {
    Some(Ipv4Addr::from(<[u8; 4]>::try_from(bytes.get(..4)?).ok()?))
}

/// The message inside a whole Ethernet frame to the port of DHCP clients, who sent it, and from which address.
pub(super) fn unwrap_frame(frame: &[u8]) -> Option<(&[u8], [u8; 6], Ipv4Addr)> {
    let sender: [u8; 6] = frame.get(6..12)?.try_into().ok()?;
    let packet = frame.get(14..).filter(|_| frame.get(12..14) == Some(&[8, 0]))?;
    let head = usize::from(*packet.first()? & 0xf) * 4;
    let is_udp = *packet.get(9)? == 17;
    let datagram = packet.get(head..)?;
    let to_client = datagram.get(2..4)? == 68_u16.to_be_bytes();
    (is_udp && to_client).then_some((datagram.get(8..)?, sender, ip(packet.get(12..16)?)?))
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    const MAC: [u8; 6] = [2, 0, 0, 0, 0, 1];

    fn offer(options: &[u8]) -> Vec<u8> {
        let mut message = discover(7, MAC);
        message[0] = REPLY;
        message[16..20].copy_from_slice(&[192, 168, 77, 50]);
        message.truncate(OPTIONS);
        message.extend(options);
        message
    }

    #[test]
    fn an_offer_is_read() {
        let message = offer(&[
            0, 53, 1, 2, 54, 4, 192, 168, 77, 1, 1, 4, 255, 255, 255, 0, 3, 4, 192, 168, 77, 1, 6, 8, 9, 9, 9, 9, 1, 1, 1, 1, 51, 4, 0, 0, 14, 16, 255, 3,
        ]);
        let found = parse(&message, 7, MAC).unwrap();
        assert_eq!((found.server, found.address), (Some(Ipv4Addr::new(192, 168, 77, 1)), Some(Ipv4Addr::new(192, 168, 77, 50))));
        assert_eq!((found.resolvers.len(), found.lease_s, found.netmask), (2, Some(3600), Some(Ipv4Addr::new(255, 255, 255, 0))));
    }

    #[test]
    fn what_is_no_offer_to_us_is_none() {
        let good = offer(&[53, 1, 2, 255]);
        assert!(parse(&good, 7, MAC).is_some());
        assert_eq!(parse(&good, 8, MAC), None);
        assert_eq!(parse(&good, 7, [9; 6]), None);
        assert_eq!(parse(&offer(&[53, 1, 5, 255]), 7, MAC), None, "an acknowledgement");
        assert_eq!(parse(&discover(7, MAC), 7, MAC), None, "our own question");
    }

    #[test]
    fn a_question_has_the_least_length_and_asks_for_an_answer_to_all() {
        let message = discover(0x0102_0304, MAC);
        assert_eq!((message.len(), &message[4..8], &message[10..12], &message[28..34]), (300, &[1, 2, 3, 4][..], &[0x80, 0][..], &MAC[..]));
    }

    proptest! {
        #[test]
        fn no_bytes_break_it(tail in proptest::collection::vec(any::<u8>(), 0..60)) {
            let _ = parse(&offer(&tail), 7, MAC);
            let _ = (parse(&tail, 7, MAC), unwrap_frame(&tail));
        }
    }
}
