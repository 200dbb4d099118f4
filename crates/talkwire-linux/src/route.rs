//! The way out: the IPv4 default route of `/proc/net/route`.

use crate::root::Root;
use std::net::Ipv4Addr;

const UP: u16 = 0x1;
const GATEWAY: u16 = 0x2;

/// A default route.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct WayOut {
    pub(crate) interface: String,
    /// None on a line that needs none, such as PPP.
    pub(crate) gateway: Option<Ipv4Addr>,
}

/// The default route that is used: the one with the least metric.
pub(crate) fn parse_way_out(text: &str) -> Option<WayOut> {
    let routes = text.lines().skip(1).filter_map(|line| {
        let columns: Vec<&str> = line.split_ascii_whitespace().collect();
        let [interface, destination, gateway, flags, _, _, metric, mask, ..] = columns[..] else { return None };
        let flags = u16::from_str_radix(flags, 16).ok().filter(|flags| flags & UP != 0)?;
        let is_default = u32::from_str_radix(destination, 16).ok()? == 0 && u32::from_str_radix(mask, 16).ok()? == 0;
        // The kernel prints the address as the number that its bytes make in memory.
        let address = Ipv4Addr::from(u32::from_str_radix(gateway, 16).ok()?.to_ne_bytes());
        let gateway = (flags & GATEWAY != 0 && !address.is_unspecified()).then_some(address);
        is_default.then_some((metric.parse::<u32>().ok()?, WayOut { interface: interface.to_owned(), gateway }))
    });
    routes.min_by_key(|(metric, _)| *metric).map(|(_, way)| way)
}

/// The default route. The outer `None`: the machine does not show its routes.
pub(crate) fn way_out(root: &Root) -> Option<Option<WayOut>> {
    Some(parse_way_out(&root.text("proc/net/route")?))
}

/// Which interface an address is reached over, and whether it is a neighbour there; None when no route leads to it.
pub(crate) fn reached_over(root: &Root, ip: Ipv4Addr) -> Option<(String, bool)> {
    let text = root.text("proc/net/route")?;
    let routes = text.lines().skip(1).filter_map(|line| {
        let columns: Vec<&str> = line.split_ascii_whitespace().collect();
        let [name, destination, gateway, flags, _, _, metric, mask, ..] = columns[..] else { return None };
        let address = |text: &str| u32::from_str_radix(text, 16).ok().map(|number| u32::from(Ipv4Addr::from(number.to_ne_bytes())));
        u16::from_str_radix(flags, 16).ok().filter(|flags| flags & UP != 0)?;
        let (net, gateway, mask) = (address(destination)?, address(gateway)?, address(mask)?);
        (u32::from(ip) & mask == net).then_some((mask, std::cmp::Reverse(metric.parse::<u32>().ok()?), name.to_owned(), gateway == 0))
    });
    routes.max().map(|(_, _, name, neighbour)| (name, neighbour))
}

/// Whether the direct route to an address goes over an interface.
pub(crate) fn leads_to(root: &Root, interface: &str, ip: Ipv4Addr) -> bool {
    let text = root.text("proc/net/route").unwrap_or_default();
    text.lines().skip(1).any(|line| {
        let columns: Vec<&str> = line.split_ascii_whitespace().collect();
        let [name, destination, gateway, _, _, _, _, mask, ..] = columns[..] else { return false };
        let number = |text: &str| u32::from_str_radix(text, 16).ok().map(|number| u32::from(Ipv4Addr::from(number.to_ne_bytes())));
        let (Some(net), Some(0), Some(mask)) = (number(destination), number(gateway), number(mask)) else { return false };
        name == interface && mask != 0 && u32::from(ip) & mask == net
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    const HEAD: &str = "Iface\tDestination\tGateway \tFlags\tRefCnt\tUse\tMetric\tMask\t\tMTU\tWindow\tIRTT\n";

    fn hex(address: [u8; 4]) -> String {
        format!("{:08X}", u32::from_ne_bytes(address))
    }

    #[test]
    fn the_route_with_the_least_metric_is_the_way_out() {
        let (near, far) = (hex([192, 0, 2, 1]), hex([198, 51, 100, 1]));
        let text = format!(
            "{HEAD}lte0\t00000000\t{far}\t0003\t0\t0\t700\t00000000\t0\t0\t0\nwan\t00000000\t{near}\t0003\t0\t0\t10\t00000000\t0\t0\t0\nlan\t0001A8C0\t00000000\t0001\t0\t0\t0\t00FFFFFF\t0\t0\t0\n"
        );
        assert_eq!(parse_way_out(&text), Some(WayOut { interface: "wan".into(), gateway: Some(Ipv4Addr::new(192, 0, 2, 1)) }));
    }

    #[test]
    fn the_narrowest_route_tells_over_what_an_address_is_reached() {
        let (net, mask, gateway) = (hex([192, 168, 1, 0]), hex([255, 255, 255, 0]), hex([192, 0, 2, 1]));
        let folder = tempfile::tempdir().unwrap();
        std::fs::create_dir_all(folder.path().join("proc/net")).unwrap();
        let text = format!("{HEAD}wan\t00000000\t{gateway}\t0003\t0\t0\t10\t00000000\t0\t0\t0\nlan\t{net}\t00000000\t0001\t0\t0\t0\t{mask}\t0\t0\t0\n");
        std::fs::write(folder.path().join("proc/net/route"), text).unwrap();
        let root = Root::new(folder.path());
        assert_eq!(reached_over(&root, Ipv4Addr::new(192, 168, 1, 9)), Some(("lan".into(), true)));
        assert_eq!(reached_over(&root, Ipv4Addr::new(203, 0, 113, 9)), Some(("wan".into(), false)));
    }

    #[test]
    fn a_route_that_is_down_or_broken_is_none() {
        assert_eq!(parse_way_out(&format!("{HEAD}ppp0\t00000000\t00000000\t0001\t0\t0\t0\t00000000\t0\t0\t0\n")).unwrap().gateway, None);
        for line in [
            "wan\t00000000\t01020304\t0002\t0\t0\t0\t00000000",
            "wan\t00000000\tzz\t0003\t0\t0\t0\t00000000",
            "wan\t0000",
            "",
            "wan\t00000000\t01020304\t0003\t0\t0\t-1\t00000000",
        ] {
            assert_eq!(parse_way_out(&format!("{HEAD}{line}\n")), None, "{line}");
        }
    }

    proptest! {
        #[test]
        fn no_text_breaks_it(text in "([a-z0-9\\t ]{0,60}\n|\\PC{0,30}\n){0,5}") {
            let _ = parse_way_out(&text);
        }
    }
}
