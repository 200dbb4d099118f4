//! The machine's own IPv4 addresses, by `ip -o addr`, else from the kernel's table of routes.

use crate::program;
use crate::root::Root;
use std::net::{Ipv4Addr, Ipv6Addr};
use std::time::Duration;

const TIME: Duration = Duration::from_secs(3);
const MOST: usize = 512;

/// One address of an interface.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Address {
    pub(crate) interface: String,
    pub(crate) ip: Ipv4Addr,
    /// Bits of the network.
    pub(crate) prefix: u8,
}

impl Address {
    /// Whether another address is in the same network.
    pub(crate) fn covers(&self, other: Ipv4Addr) -> bool {
        self.prefix < 32 && network(self.ip, self.prefix) == network(other, self.prefix)
    }

    /// `192.168.1.0/24`
    pub(crate) fn subnet(&self) -> String {
        format!("{}/{}", network(self.ip, self.prefix), self.prefix)
    }
}

/// The first address of a network.
pub(crate) fn network(ip: Ipv4Addr, prefix: u8) -> Ipv4Addr {
    Ipv4Addr::from(u32::from(ip) & mask(prefix))
}

pub(crate) fn mask(prefix: u8) -> u32 {
    u32::MAX.checked_shl(32 - u32::from(prefix.min(32))).unwrap_or(0)
}

/// `private`, `cgnat`, `linklocal` or `public`.
pub(crate) fn kind(ip: Ipv4Addr) -> &'static str {
    match ip.octets() {
        [169, 254, ..] => "linklocal",
        [100, second, ..] if (64..128).contains(&second) => "cgnat",
        _ if ip.is_private() || ip.is_loopback() || ip.is_unspecified() => "private",
        _ => "public",
    }
}

/// All addresses but those of the loopback.
pub(crate) async fn all(root: &Root) -> Vec<Address> {
    if let Some(ip) = root.program("ip")
        && let Ok(output) = program::run(&ip, &["-o", "-4", "addr", "show"].map(str::to_owned), TIME).await
    {
        return parse_ip(&output.text);
    }
    let table = root.text("proc/net/fib_trie").unwrap_or_default();
    from_routes(&local_addresses(&table), &root.text("proc/net/route").unwrap_or_default())
}

/// Lines such as `2: eth0    inet 192.0.2.1/24 brd … scope global eth0`; of a point-to-point line `inet 10.0.0.2 peer 10.0.0.1/32`.
fn parse_ip(text: &str) -> Vec<Address> {
    let line = |line: &str| {
        let mut words = line.split_ascii_whitespace().skip(1);
        let interface = words.next()?.trim_end_matches(':').split('@').next()?.to_owned();
        let net = words.find(|word| *word == "inet").and_then(|_| words.next())?;
        let (ip, prefix) = net.split_once('/').unwrap_or((net, "32"));
        let ip: Ipv4Addr = ip.parse().ok()?;
        (!ip.is_loopback()).then_some(Address { interface, ip, prefix: prefix.parse().ok().filter(|bits| *bits <= 32)? })
    };
    text.lines().filter_map(line).take(MOST).collect()
}

/// The addresses of `/proc/net/fib_trie` that are the machine's own.
fn local_addresses(text: &str) -> Vec<Ipv4Addr> {
    let (mut last, mut found) = (None, Vec::new());
    for line in text.lines() {
        let line = line.trim_start();
        if let Some(address) = line.strip_prefix("|-- ") {
            last = address.trim().parse::<Ipv4Addr>().ok();
        } else if line.starts_with("/32 host LOCAL") {
            found.extend(last.filter(|ip| !ip.is_loopback()));
        }
    }
    found.sort_unstable();
    found.dedup();
    found.truncate(MOST);
    found
}

/// Gives each address the interface of the narrowest direct route that covers it.
fn from_routes(own: &[Ipv4Addr], routes: &str) -> Vec<Address> {
    let hex = |text: &str| u32::from_str_radix(text, 16).ok().map(|number| Ipv4Addr::from(number.to_ne_bytes()));
    let direct: Vec<Address> = routes
        .lines()
        .skip(1)
        .filter_map(|line| {
            let columns: Vec<&str> = line.split_ascii_whitespace().collect();
            let [interface, destination, gateway, _, _, _, _, mask, ..] = columns[..] else { return None };
            let prefix = u32::from(hex(mask)?).leading_ones() as u8;
            (hex(gateway)?.is_unspecified() && prefix > 0).then_some(Address { interface: interface.to_owned(), ip: hex(destination)?, prefix })
        })
        .collect();
    let place = |ip: &Ipv4Addr| {
        let route = direct.iter().filter(|route| route.covers(*ip)).max_by_key(|route| route.prefix)?;
        Some(Address { interface: route.interface.clone(), ip: *ip, prefix: route.prefix })
    };
    own.iter().filter_map(place).collect()
}

/// Whether any interface has a global IPv6 address.
pub(crate) fn has_global_v6(root: &Root) -> bool {
    let text = root.text("proc/net/if_inet6").unwrap_or_default();
    text.lines().any(|line| {
        let mut words = line.split_ascii_whitespace();
        let address = words.next().and_then(|digits| u128::from_str_radix(digits, 16).ok()).map(Ipv6Addr::from);
        let scope = words.nth(2);
        // Addresses of fc00::/7 have the global scope as well, but lead nowhere outside.
        scope == Some("00") && address.is_some_and(|ip| ip.segments()[0] & 0xfe00 != 0xfc00)
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn address(interface: &str, ip: [u8; 4], prefix: u8) -> Address {
        Address { interface: interface.into(), ip: ip.into(), prefix }
    }

    #[test]
    fn addresses_are_read_from_the_program() {
        let text = "1: lo    inet 127.0.0.1/8 scope host lo\\  valid_lft forever\n3: wan@if7    inet 192.0.2.1/24 brd 192.0.2.255 scope global wan\\ x\n4: ppp0    inet 100.64.0.9 peer 100.64.0.1/32 scope global ppp0\n5: x inet 1.2.3/24\nrubbish\n";
        assert_eq!(parse_ip(text), [address("wan", [192, 0, 2, 1], 24), address("ppp0", [100, 64, 0, 9], 32)]);
    }

    #[test]
    fn without_the_program_the_routes_tell_where_an_address_is() {
        let trie = "Main:\n  +-- 0.0.0.0/0 3 0 5\n     |-- 127.0.0.1\n        /32 host LOCAL\n     |-- 192.168.1.0\n        /24 link UNICAST\n     |-- 192.168.1.1\n        /32 host LOCAL\nLocal:\n     |-- 192.168.1.1\n        /32 host LOCAL\n     |-- 192.168.1.255\n        /32 link BROADCAST\n";
        let hex = |bytes: [u8; 4]| format!("{:08X}", u32::from_ne_bytes(bytes));
        let routes = format!(
            "Iface\tDestination\nwan\t00000000\t{}\t0003\t0\t0\t0\t00000000\nbr-lan\t{}\t00000000\t0001\t0\t0\t0\t{}\n",
            hex([192, 0, 2, 1]),
            hex([192, 168, 1, 0]),
            hex([255, 255, 255, 0])
        );
        let found = from_routes(&local_addresses(trie), &routes);
        assert_eq!(found, [address("br-lan", [192, 168, 1, 1], 24)]);
        assert_eq!((found[0].subnet().as_str(), found[0].covers([192, 168, 1, 77].into())), ("192.168.1.0/24", true));
        assert_eq!(from_routes(&local_addresses("|-- x\n/32 host LOCAL"), "a\nb c"), []);
    }

    #[test]
    fn kinds_of_addresses() {
        for (ip, wanted) in [
            ([10, 0, 0, 1], "private"),
            ([100, 64, 0, 1], "cgnat"),
            ([100, 128, 0, 1], "public"),
            ([169, 254, 7, 7], "linklocal"),
            ([203, 0, 113, 9], "public"),
        ] {
            assert_eq!(kind(ip.into()), wanted);
        }
    }
}
