//! The paths of 802.11s, as `iw dev mesh0 mpath dump` prints them.

use super::Node;
use crate::args::is_interface;
use talkwire_proto::id::mac_digits;

/// Columns are found by their names, as newer versions have more of them.
pub(super) fn parse(text: &str) -> Vec<Node> {
    let mut lines = text.lines();
    // Two names consist of two words.
    let head = lines.next().unwrap_or_default().replace("DEST ADDR", "DEST").replace("NEXT HOP", "NEXT");
    let names: Vec<&str> = head.split_ascii_whitespace().collect();
    let place = |name: &str| names.iter().position(|known| *known == name);
    let (Some(dest), Some(next), Some(iface), hops) = (place("DEST"), place("NEXT"), place("IFACE"), place("HOP_COUNT")) else { return Vec::new() };
    let row = |line: &str| {
        let cells: Vec<&str> = line.split_ascii_whitespace().collect();
        let mac = |place: usize| mac_digits(cells.get(place)?);
        let next = mac(next).filter(|mac| mac != "000000000000")?;
        let interface = cells.get(iface).filter(|name| is_interface(name))?;
        let hops = hops.and_then(|place| cells.get(place)?.parse().ok()).filter(|hops| (1..=64).contains(hops));
        Some(Node { mac: mac(dest)?, next, interface: (*interface).into(), hops, ..Node::default() })
    };
    lines.filter_map(row).collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn paths_are_read_and_those_without_a_next_hop_are_none() {
        let text = "DEST ADDR         NEXT HOP          IFACE\tSN\tMETRIC\tQLEN\tEXPTIME\tDTIM\tDRET\tFLAGS\tHOP_COUNT\tPATH_CHANGE\n02:00:00:00:00:03 02:00:00:00:00:03 mesh0\t5\t66\t0\t4000\t100\t0\t0x5\t1\t1\n02:00:00:00:00:04 02:00:00:00:00:03 mesh0\t6\t132\t0\t4000\t100\t0\t0x5\t2\t1\n02:00:00:00:00:05 00:00:00:00:00:00 mesh0\t0\t0\t0\t0\t0\t0\t0x0\t0\t0\n";
        let found = parse(text);
        assert_eq!(
            found.iter().map(|node| (node.mac.as_str(), node.is_direct(), node.hops)).collect::<Vec<_>>(),
            [("020000000003", true, Some(1)), ("020000000004", false, Some(2))]
        );
        assert_eq!(parse("command failed"), []);
    }

    proptest! {
        #[test]
        fn no_text_breaks_it(text in "(DEST ADDR NEXT HOP IFACE HOP_COUNT\n)?([0-9a-f:]{0,17} [0-9a-f:]{0,17} [a-z0-9/]{0,9} [0-9]{0,12}\n|\\PC{0,30}\n){0,5}") {
            let _ = parse(&text);
        }
    }
}
