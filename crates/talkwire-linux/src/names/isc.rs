//! ISC dhcpd: the leases that it gave (dhcpd.leases(5)) and the pool of its configuration (dhcpd.conf(5)).

use super::dnsmasq::Pool;
use crate::clients::leases::{Expiry, Lease};
use crate::text::clean;
use std::collections::BTreeMap;
use std::net::Ipv4Addr;
use talkwire_proto::envelope::iso_millis;
use talkwire_proto::id::mac_digits;

const MOST: usize = 4096;
const NAME_CHARS: usize = 63;
/// What dhcpd gives when nothing is said.
const USUAL_LEASE_S: u64 = 43_200;

/// Blocks `lease ADDRESS { … }`; a later one replaces an earlier one of the same address, and only active ones count.
pub(super) fn parse_leases(text: &str) -> Vec<Lease> {
    let mut found = BTreeMap::new();
    let mut open: Option<Block> = None;
    for line in text.lines().map(str::trim) {
        if let Some(address) = line.strip_prefix("lease ").and_then(|rest| rest.strip_suffix('{')).and_then(|text| text.trim().parse().ok()) {
            open = Some(Block { address, mac: None, expiry: None, hostname: None, is_active: true });
        } else if line == "}" {
            let Some(block) = open.take() else { continue };
            match block.lease() {
                Some(lease) => drop(found.insert(lease.address, lease)),
                None => drop(found.remove(&block.address)),
            }
            if found.len() > 4 * MOST {
                break;
            }
        } else if let Some(block) = &mut open {
            block.read(line.trim_end_matches(';'));
        }
    }
    found.into_values().take(MOST).collect()
}

struct Block {
    address: Ipv4Addr,
    mac: Option<String>,
    expiry: Option<Expiry>,
    hostname: Option<String>,
    is_active: bool,
}

impl Block {
    fn read(&mut self, line: &str) {
        let words: Vec<&str> = line.split_ascii_whitespace().collect();
        match words[..] {
            ["ends", "never"] => self.expiry = Some(Expiry::Never),
            ["ends", "epoch", seconds, ..] => self.expiry = seconds.trim_end_matches(';').parse().ok().map(Expiry::At),
            // Day of the week, date, time; always UTC.
            ["ends", _, date, time] => self.expiry = unix_seconds(date, time).map(Expiry::At),
            ["binding", "state", state] => self.is_active = state == "active",
            ["hardware", "ethernet", mac] => self.mac = mac_digits(mac),
            ["client-hostname", ..] => {
                let name = line.trim_start_matches("client-hostname").trim().trim_matches('"');
                self.hostname = Some(clean(name, NAME_CHARS)).filter(|name| !name.is_empty());
            }
            _ => {}
        }
    }

    fn lease(&self) -> Option<Lease> {
        let (mac, expiry) = (self.mac.clone().filter(|_| self.is_active)?, self.expiry?);
        Some(Lease { expiry, mac, address: self.address, hostname: self.hostname.clone() })
    }
}

/// `2026/11/19` and `12:00:00`, in UTC.
fn unix_seconds(date: &str, time: &str) -> Option<u64> {
    iso_millis(&format!("{}T{time}Z", date.replace('/', "-"))).and_then(|ms| u64::try_from(ms / 1000).ok())
}

/// The settings that a home has: one or several `range FIRST LAST;`, with the options of the file around them.
#[derive(Debug, Default, PartialEq)]
pub(super) struct Settings {
    pub(super) pools: Vec<Pool>,
    pub(super) router: Option<Ipv4Addr>,
    pub(super) offered: Vec<Ipv4Addr>,
}

/// Reads the statements of the configuration one after the other, wherever in it they stand; the mask and time in force count for a range.
pub(super) fn parse_settings(text: &str) -> Settings {
    let plain: String = text.lines().map(|line| line.split('#').next().unwrap_or_default()).collect::<Vec<_>>().join(" ");
    let (mut settings, mut netmask, mut lease_s) = (Settings::default(), None, USUAL_LEASE_S);
    let addresses = |words: &[&str]| words.iter().filter_map(|word| word.trim_matches(',').parse().ok()).collect::<Vec<Ipv4Addr>>();
    for statement in plain.split([';', '{', '}']) {
        let words: Vec<&str> = statement.split_ascii_whitespace().collect();
        match words[..] {
            ["subnet", _, "netmask", mask] => netmask = mask.parse().ok(),
            ["default-lease-time", seconds] => lease_s = seconds.parse().unwrap_or(lease_s),
            ["range", ref ends @ ..] => {
                let ends = addresses(ends);
                if let (Some(first), Some(last)) = (ends.first(), ends.last()) {
                    settings.pools.push(Pool { first: *first, last: *last, netmask, lease_s: Some(lease_s) });
                }
            }
            ["option", "routers", ref routers @ ..] => settings.router = settings.router.or(addresses(routers).first().copied()),
            ["option", "domain-name-servers", ref servers @ ..] if settings.offered.is_empty() => settings.offered = addresses(servers),
            _ => {}
        }
    }
    settings
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn only_the_last_word_on_an_active_lease_counts() {
        let text = "# The format of this file is documented in the dhcpd.leases(5) manual page.\nauthoring-byte-order little-endian;\n\n\
            lease 192.168.1.10 {\n  starts 4 2026/11/19 10:00:00;\n  ends 4 2026/11/19 12:00:00;\n  binding state active;\n  next binding state free;\n  hardware ethernet 02:00:00:00:a0:01;\n  client-hostname \"mei laptop\";\n}\n\
            lease 192.168.1.11 {\n  ends never;\n  binding state active;\n  hardware ethernet 02:00:00:00:a0:02;\n}\n\
            lease 192.168.1.12 {\n  ends epoch 1795000000; # Thu Nov 19\n  binding state active;\n  hardware ethernet 02:00:00:00:a0:03;\n}\n\
            lease 192.168.1.11 {\n  ends 4 2026/11/19 12:00:00;\n  binding state free;\n  hardware ethernet 02:00:00:00:a0:02;\n}\nlease x {\n}\n";
        let found = parse_leases(text);
        let first = Lease {
            expiry: Expiry::At(1_795_089_600),
            mac: "02000000a001".into(),
            address: Ipv4Addr::new(192, 168, 1, 10),
            hostname: Some("mei laptop".into()),
        };
        assert_eq!((found.len(), &found[0], found[1].expiry), (2, &first, Expiry::At(1_795_000_000)));
    }

    #[test]
    fn the_pool_of_a_home_is_read() {
        let text = "default-lease-time 3600; # an hour\noption domain-name-servers 192.0.2.53, 9.9.9.9;\nsubnet 192.168.1.0 netmask 255.255.255.0 {\n  range 192.168.1.100 192.168.1.149;\n  option routers 192.168.1.1;\n}\n";
        let settings = parse_settings(text);
        assert_eq!((settings.router, settings.offered.len()), (Some(Ipv4Addr::new(192, 168, 1, 1)), 2));
        let pool = &settings.pools[0];
        assert_eq!((pool.last, pool.netmask, pool.lease_s), (Ipv4Addr::new(192, 168, 1, 149), Some(Ipv4Addr::new(255, 255, 255, 0)), Some(3600)));
        assert_eq!(parse_settings("; reboot { range x y }"), Settings::default());
    }

    proptest! {
        #[test]
        fn no_text_breaks_it(text in "(lease [0-9.]{0,15} \\{\n|ends \\PC{0,20};\n|hardware ethernet [0-9a-f:]{0,17};\n|range [0-9. ]{0,30};|\\}\n|\\PC{0,30}\n){0,8}") {
            let _ = (parse_leases(&text), parse_settings(&text));
        }
    }
}
