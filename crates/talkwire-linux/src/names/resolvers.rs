//! The resolvers that the machine and its clients use.

use super::dnsmasq::{self, Dnsmasq};
use crate::machine::Machine;
use crate::root::Root;
use std::net::IpAddr;

const OWN: &str = "etc/resolv.conf";
/// Where the resolvers of the line stand when the machine asks itself: systemd, OpenWrt, older OpenWrt.
const UPSTREAM: [&str; 3] = ["run/systemd/resolve/resolv.conf", "tmp/resolv.conf.d/resolv.conf.auto", "tmp/resolv.conf.auto"];
const MOST: usize = 6;

/// The resolvers that are configured: the machine's forwarder first, when it has one, then those that it asks, then the machine's own.
pub(crate) async fn configured(machine: &Machine) -> Vec<IpAddr> {
    let root = &machine.root;
    let forwarder = dnsmasq::find(root).filter(|found| found.is_running && !found.no_names);
    let own = servers(&root.text(OWN).unwrap_or_default());
    let mut found = Vec::new();
    if let Some(dnsmasq) = &forwarder {
        found.extend(forwarder_address(machine, dnsmasq).await);
        found.extend(upstream(root, dnsmasq));
    } else if own.iter().all(IpAddr::is_loopback) {
        found.extend(own.clone());
        found.extend(UPSTREAM.into_iter().find_map(|file| root.text(file)).map(|text| servers(&text)).unwrap_or_default());
    }
    // Loopback addresses of the machine are the forwarder, which is there by its other address.
    found.extend(own.into_iter().filter(|ip| forwarder.is_none() || !ip.is_loopback()));
    let mut seen = Vec::new();
    for ip in found {
        if !seen.contains(&ip) {
            seen.push(ip);
        }
    }
    seen.truncate(MOST);
    seen
}

/// The resolvers that a dnsmasq asks.
pub(super) fn upstream(root: &Root, dnsmasq: &Dnsmasq) -> Vec<IpAddr> {
    let mut found = dnsmasq.servers.clone();
    if !dnsmasq.no_resolv {
        let file = dnsmasq.resolv_file.as_deref().unwrap_or(OWN).trim_start_matches('/');
        found.extend(servers(&root.text(file).unwrap_or_default()).into_iter().filter(|ip| !ip.is_loopback()));
    }
    found.dedup();
    found
}

/// Where the clients reach the forwarder.
async fn forwarder_address(machine: &Machine, dnsmasq: &Dnsmasq) -> Option<IpAddr> {
    let own = crate::address::all(&machine.root).await;
    let inside = own.iter().find(|address| dnsmasq.pools.iter().any(|pool| address.covers(pool.first))).map(|address| address.ip);
    Some(inside.or(dnsmasq.listen.first().copied()).unwrap_or(std::net::Ipv4Addr::LOCALHOST).into())
}

fn servers(text: &str) -> Vec<IpAddr> {
    text.lines().filter_map(|line| line.trim().strip_prefix("nameserver")?.trim().parse().ok()).take(MOST).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn resolvers_are_read() {
        let text = "# x\nnameserver 192.0.2.53\n nameserver\t2001:db8::1 \nnameserver fe80::1%eth0\nsearch lan\nnameserver ; reboot\n";
        assert_eq!(servers(text), ["192.0.2.53".parse::<IpAddr>().unwrap(), "2001:db8::1".parse().unwrap()]);
    }

    #[test]
    fn what_a_forwarder_asks_is_what_it_was_told() {
        let root = Root::new("/nowhere");
        let dnsmasq = Dnsmasq { servers: vec!["192.0.2.53".parse().unwrap()], ..Dnsmasq::default() };
        assert_eq!(upstream(&root, &dnsmasq), dnsmasq.servers);
    }
}
