//! The kernel's table of connections, with the bytes of each when it counts them.

use crate::root::Root;
use std::collections::HashMap;
use std::net::Ipv4Addr;

const FILE: &str = "proc/net/nf_conntrack";
/// A busy router has tens of thousands of connections of 200 bytes each.
const FILE_BYTES: u64 = 16 * 1024 * 1024;

/// Who speaks with whom: protocol, and source and destination as the first packet had them.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub(super) struct Key {
    pub(super) protocol: String,
    pub(super) from: Ipv4Addr,
    pub(super) to: Ipv4Addr,
    ports: (u16, u16),
}

/// One connection.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Flow {
    /// Who answers: behind a translated address it is the one inside.
    pub(super) answers: Ipv4Addr,
    /// Bytes of those who began and of those who answered; none when the kernel does not count.
    pub(super) bytes: Option<(u64, u64)>,
    /// It is handled past the kernel's usual way, so that its bytes may not be counted.
    pub(super) is_offloaded: bool,
}

pub(super) type Flows = HashMap<Key, Flow>;

/// Whether the table can be read.
pub(super) fn is_there(root: &Root) -> bool {
    root.long(FILE, 1).is_some()
}

/// Whether bytes are counted for new connections.
pub(super) fn counts(root: &Root) -> Option<bool> {
    root.whole("proc/sys/net/netfilter/nf_conntrack_acct").map(|flag| flag == 1)
}

pub(super) fn read(root: &Root) -> Flows {
    let bytes = root.long(FILE, FILE_BYTES).unwrap_or_default();
    parse(&String::from_utf8_lossy(&bytes))
}

fn parse(text: &str) -> Flows {
    text.lines().filter_map(parse_line).collect()
}

/// `ipv4 2 tcp 6 431999 ESTABLISHED src=… dst=… sport=… dport=… packets=… bytes=… src=… dst=… … [ASSURED] …`
fn parse_line(line: &str) -> Option<(Key, Flow)> {
    let mut words = line.split_ascii_whitespace();
    if words.next()? != "ipv4" {
        return None;
    }
    let protocol = words.nth(1)?.to_owned();
    let (mut src, mut dst, mut ports, mut bytes) = (Vec::new(), Vec::new(), Vec::new(), Vec::new());
    for word in words.clone() {
        match word.split_once('=') {
            Some(("src", value)) => src.push(value.parse::<Ipv4Addr>().ok()?),
            Some(("dst", value)) => dst.push(value.parse::<Ipv4Addr>().ok()?),
            Some(("sport" | "dport" | "id", value)) => ports.push(value.parse::<u16>().ok()?),
            Some(("bytes", value)) => bytes.push(value.parse::<u64>().ok()?),
            _ => {}
        }
    }
    let ([from, answers, ..], [to, ..]) = (src.as_slice(), dst.as_slice()) else { return None };
    let ports = (ports.first().copied().unwrap_or_default(), ports.get(1).copied().unwrap_or_default());
    let bytes = if let [sent, answered] = bytes[..] { Some((sent, answered)) } else { None };
    let is_offloaded = words.any(|word| word == "[OFFLOAD]" || word == "[HW_OFFLOAD]");
    Some((Key { protocol, from: *from, to: *to, ports }, Flow { answers: *answers, bytes, is_offloaded }))
}

/// What went through each connection between two readings. One that is new since then counts whole; one that ended is not seen.
pub(super) fn between<'a>(before: &'a Flows, after: &'a Flows) -> impl Iterator<Item = (&'a Key, &'a Flow, u64, u64)> {
    after.iter().filter_map(|(key, flow)| {
        let (sent, answered) = flow.bytes?;
        let (sent_before, answered_before) = match before.get(key) {
            // The same ports used again begin at nothing.
            Some(Flow { bytes: Some((a, b)), .. }) if *a <= sent && *b <= answered => (*a, *b),
            Some(Flow { bytes: None, .. }) => return None,
            _ => (0, 0),
        };
        Some((key, flow, sent - sent_before, answered - answered_before))
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    const TCP: &str = "ipv4     2 tcp      6 431999 ESTABLISHED src=192.168.1.101 dst=203.0.113.80 sport=40000 dport=443 packets=10 bytes=1000 src=203.0.113.80 dst=203.0.113.9 sport=443 dport=40000 packets=20 bytes=90000 [ASSURED] mark=0 zone=0 use=2";

    #[test]
    fn a_connection_is_read_with_its_bytes() {
        let (key, flow) = parse_line(TCP).unwrap();
        assert_eq!((key.protocol.as_str(), key.from, key.ports), ("tcp", Ipv4Addr::new(192, 168, 1, 101), (40_000, 443)));
        assert_eq!(flow, Flow { answers: Ipv4Addr::new(203, 0, 113, 80), bytes: Some((1000, 90_000)), is_offloaded: false });
    }

    #[test]
    fn without_counting_there_are_no_bytes_and_offloaded_ones_are_marked() {
        let line = "ipv4 2 udp 17 src=192.168.1.101 dst=8.8.8.8 sport=5 dport=53 src=8.8.8.8 dst=203.0.113.9 sport=53 dport=5 [OFFLOAD] mark=0";
        assert_eq!(parse_line(line).unwrap().1, Flow { answers: Ipv4Addr::new(8, 8, 8, 8), bytes: None, is_offloaded: true });
        for broken in ["", "ipv6 10 tcp 6", "ipv4 2 tcp 6 src=x dst=1.1.1.1", "ipv4 2 tcp src=1.1.1.1 dst=2.2.2.2"] {
            assert_eq!(parse_line(broken), None, "{broken}");
        }
    }

    #[test]
    fn what_went_through_between_two_readings() {
        let (before, after) = (parse(TCP), parse(&TCP.replace("bytes=1000", "bytes=1500").replace("bytes=90000", "bytes=190000")));
        let moved = |before: &Flows, after: &Flows| between(before, after).map(|(_, _, sent, answered)| (sent, answered)).collect::<Vec<_>>();
        assert_eq!(moved(&before, &after), [(500, 100_000)]);
        assert_eq!(moved(&Flows::new(), &after), [(1500, 190_000)]);
        assert_eq!(moved(&after, &before), [(1000, 90_000)], "the ports were used again");
    }

    proptest! {
        #[test]
        fn no_text_breaks_it(text in "(ipv4 2 tcp 6 (src=[0-9.]{0,15} |dst=[0-9.]{0,15} |bytes=[0-9]{0,21} |sport=[0-9]{0,6} ){0,8}\n|\\PC{0,40}\n){0,4}") {
            let flows = parse(&text);
            prop_assert!(between(&flows, &flows).all(|(_, _, sent, answered)| sent == 0 && answered == 0));
        }
    }
}
