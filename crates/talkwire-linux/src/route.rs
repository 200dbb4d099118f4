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

/// A route of `/proc/net/route` that is up.
struct Route {
    interface: String,
    destination: Ipv4Addr,
    mask: Ipv4Addr,
    /// None for neighbours and lines that need none.
    gateway: Option<Ipv4Addr>,
    metric: u32,
}

impl Route {
    fn covers(&self, ip: Ipv4Addr) -> bool {
        ip & self.mask == self.destination
    }
}

fn parse_routes(text: &str) -> Vec<Route> {
    // The kernel prints an address as the number that its bytes make in memory.
    let address = |text: &str| u32::from_str_radix(text, 16).ok().map(|number| Ipv4Addr::from(number.to_ne_bytes()));
    let route = |line: &str| {
        let columns: Vec<&str> = line.split_ascii_whitespace().collect();
        let [interface, destination, gateway, flags, _, _, metric, mask, ..] = columns[..] else { return None };
        let flags = u16::from_str_radix(flags, 16).ok().filter(|flags| flags & UP != 0)?;
        let gateway = Some(address(gateway)?).filter(|gateway| flags & GATEWAY != 0 && !gateway.is_unspecified());
        Some(Route { interface: interface.to_owned(), destination: address(destination)?, mask: address(mask)?, gateway, metric: metric.parse().ok()? })
    };
    text.lines().skip(1).filter_map(route).collect()
}

/// The default route that is used: the one with the least metric.
pub(crate) fn parse_way_out(text: &str) -> Option<WayOut> {
    let defaults = parse_routes(text).into_iter().filter(|route| route.destination.is_unspecified() && route.mask.is_unspecified());
    defaults.min_by_key(|route| route.metric).map(|route| WayOut { interface: route.interface, gateway: route.gateway })
}

/// The default route. The outer `None`: the machine does not show its routes.
pub(crate) fn way_out(root: &Root) -> Option<Option<WayOut>> {
    Some(parse_way_out(&root.text("proc/net/route")?))
}

/// Which interface an address is reached over, and whether it is a neighbour there; None when no route leads to it.
pub(crate) fn reached_over(root: &Root, ip: Ipv4Addr) -> Option<(String, bool)> {
    let routes = parse_routes(&root.text("proc/net/route")?).into_iter().filter(|route| route.covers(ip));
    routes.max_by_key(|route| (route.mask, std::cmp::Reverse(route.metric))).map(|route| (route.interface, route.gateway.is_none()))
}

/// Whether the direct route to an address goes over an interface.
pub(crate) fn leads_to(root: &Root, interface: &str, ip: Ipv4Addr) -> bool {
    let routes = parse_routes(&root.text("proc/net/route").unwrap_or_default());
    routes.iter().any(|route| route.interface == interface && route.gateway.is_none() && !route.mask.is_unspecified() && route.covers(ip))
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
