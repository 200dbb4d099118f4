//! The leases that dnsmasq gave, from its file.

use crate::text::clean;
use std::net::Ipv4Addr;
use talkwire_proto::id::mac_digits;

const MOST: usize = 4096;
const NAME_CHARS: usize = 63;

/// Until when a lease holds.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Expiry {
    /// For ever.
    Never,
    /// Until this Unix second.
    At(u64),
}

/// One IPv4 lease.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Lease {
    pub(crate) expiry: Expiry,
    pub(crate) mac: String,
    pub(crate) address: Ipv4Addr,
    pub(crate) hostname: Option<String>,
}

/// Lines of `expiry mac address name client-id`. From the line `duid` on they are of IPv6 and name no MAC address.
pub(crate) fn parse(text: &str) -> Vec<Lease> {
    text.lines().take_while(|line| !line.starts_with("duid ")).filter_map(parse_line).take(MOST).collect()
}

fn parse_line(line: &str) -> Option<Lease> {
    let mut words = line.split_ascii_whitespace();
    let expiry = match words.next()?.parse().ok()? {
        0 => Expiry::Never,
        unix_s => Expiry::At(unix_s),
    };
    // Networks other than Ethernet put their number before the address: `06-02:00:…`.
    let mac = words.next()?;
    let mac = mac_digits(mac).or_else(|| mac_digits(mac.split_once('-')?.1))?;
    let address = words.next()?.parse().ok()?;
    let hostname = words.next().filter(|name| *name != "*").map(|name| clean(name, NAME_CHARS)).filter(|name| !name.is_empty());
    Some(Lease { expiry, mac, address, hostname })
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn leases_are_read_up_to_those_of_ipv6() {
        let text = "1772483400 02:00:00:00:a0:01 192.168.1.101 mei-laptop 01:02:00:00:00:a0:01\n0 02:00:00:00:a0:02 192.168.1.102 * *\nduid 00:01:00:01\n1772483400 7 fd00::1 02:00:00:00:a0:03 00:01\n";
        let leases = parse(text);
        let first = Lease {
            expiry: Expiry::At(1_772_483_400),
            mac: "02000000a001".into(),
            address: Ipv4Addr::new(192, 168, 1, 101),
            hostname: Some("mei-laptop".into()),
        };
        assert_eq!(leases[0], first);
        assert_eq!((leases[1].expiry, &leases[1].hostname, leases.len()), (Expiry::Never, &None, 2));
    }

    #[test]
    fn a_host_name_cannot_carry_commands_for_a_terminal() {
        assert_eq!(parse("1 02:00:00:00:a0:01 10.0.0.2 \u{1b}[2Jx\u{202e}y *\n")[0].hostname.as_deref(), Some("[2Jxy"));
    }

    #[test]
    fn broken_lines_are_left_out() {
        for line in [
            "",
            "x 02:00:00:00:a0:01 10.0.0.2 n",
            "1 02:00 10.0.0.2 n",
            "1 02:00:00:00:a0:01 10.0.0 n",
            "-1 02:00:00:00:a0:01 10.0.0.2 n",
            "1 02:00:00:00:a0:01",
        ] {
            assert_eq!(parse(line), [], "{line}");
        }
    }

    proptest! {
        #[test]
        fn no_text_breaks_it(text in "([0-9]{0,21} [0-9a-f:-]{0,20} [0-9.]{0,15} \\PC{0,80}\n|\\PC{0,60}\n){0,6}") {
            for lease in parse(&text) {
                prop_assert!(lease.hostname.is_none_or(|name| name.chars().count() <= NAME_CHARS));
            }
        }
    }
}
