//! The IPv4 neighbours of `/proc/net/arp`.

use crate::text::clean;
use std::net::Ipv4Addr;
use talkwire_proto::id::mac_digits;

/// The neighbour answered: its hardware address is known.
const COMPLETE: u32 = 0x2;
const MOST: usize = 4096;
/// The longest name that the kernel gives an interface.
const NAME_CHARS: usize = 15;

/// Somebody who answered on an interface.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Neighbour {
    pub(crate) address: Ipv4Addr,
    pub(crate) mac: String,
    pub(crate) interface: String,
}

/// The complete entries; the first line is the heading.
pub(crate) fn parse(text: &str) -> Vec<Neighbour> {
    text.lines().skip(1).filter_map(parse_line).take(MOST).collect()
}

fn parse_line(line: &str) -> Option<Neighbour> {
    let mut columns = line.split_ascii_whitespace();
    let address = columns.next()?.parse().ok()?;
    let flags = u32::from_str_radix(columns.nth(1)?.strip_prefix("0x")?, 16).ok()?;
    let mac = mac_digits(columns.next()?).filter(|mac| mac != "000000000000")?;
    let interface = clean(columns.nth(1)?, NAME_CHARS);
    (flags & COMPLETE != 0 && !interface.is_empty()).then_some(Neighbour { address, mac, interface })
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    const HEAD: &str = "IP address       HW type     Flags       HW address            Mask     Device\n";

    #[test]
    fn those_who_answered_are_neighbours() {
        let text = format!(
            "{HEAD}192.168.1.101    0x1         0x2         02:00:00:00:A0:01     *        br-lan\n192.168.1.102    0x1         0x0         00:00:00:00:00:00     *        br-lan\n192.168.1.9      0x1         0x6         02:00:00:00:a0:09     *        br-lan\n"
        );
        let neighbours = parse(&text);
        assert_eq!(neighbours[0], Neighbour { address: Ipv4Addr::new(192, 168, 1, 101), mac: "02000000a001".into(), interface: "br-lan".into() });
        assert_eq!(neighbours.len(), 2, "an entry without an answer is nobody, a permanent one is somebody");
    }

    #[test]
    fn broken_lines_are_left_out() {
        for line in [
            "",
            "300.1.1.1 0x1 0x2 02:00:00:00:a0:01 * eth0",
            "1.1.1.1 0x1 2 02:00:00:00:a0:01 * eth0",
            "1.1.1.1 0x1 0x2 02:00 * eth0",
            "1.1.1.1 0x1 0x2 02:00:00:00:a0:01 *",
        ] {
            assert_eq!(parse(&format!("{HEAD}{line}\n")), [], "{line}");
        }
    }

    proptest! {
        #[test]
        fn no_text_breaks_it(text in "([0-9.]{0,12} 0x1 0x[0-9a-f]{0,9} [0-9a-f:]{0,18} \\* \\PC{0,20}\n|\\PC{0,60}\n){0,6}") {
            for neighbour in parse(&text) {
                prop_assert_eq!(neighbour.mac.len(), 12);
            }
        }
    }
}
