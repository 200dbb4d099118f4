//! The leases that this machine gave, whoever keeps them: dnsmasq, Kea, odhcpd or ISC dhcpd.

use super::dnsmasq::{self, Dnsmasq};
use super::isc;
use crate::clients::leases::{self, Expiry, Lease};
use crate::root::Root;
use crate::text::clean;
use std::collections::BTreeMap;
use std::net::Ipv4Addr;
use talkwire_proto::id::mac_digits;

/// Where dnsmasq keeps its leases on Debian, OpenWrt and Fedora when it is not told another file.
const DNSMASQ: [&str; 3] = ["var/lib/misc/dnsmasq.leases", "tmp/dhcp.leases", "var/lib/dnsmasq/dnsmasq.leases"];
/// Where Kea keeps them: the newer lines, and what it tidied up before.
const KEA: [&str; 4] = ["var/lib/kea/kea-leases4.csv.2", "var/lib/kea/kea-leases4.csv", "var/lib/kea/dhcp4.leases", "tmp/kea-leases4.csv"];
/// Where ISC dhcpd keeps them on Debian, Fedora and by itself.
const ISC: [&str; 3] = ["var/lib/dhcp/dhcpd.leases", "var/lib/dhcpd/dhcpd.leases", "var/db/dhcpd.leases"];
const ODHCPD: [&str; 3] = ["tmp/hosts/odhcpd", "tmp/odhcpd.leases", "var/lib/odhcpd/dhcp.leases"];
const MOST: usize = 4096;
const NAME_CHARS: usize = 63;

/// All leases, at most one of an address.
pub(crate) fn leases(root: &Root) -> Vec<Lease> {
    leases_of(root, dnsmasq::find(root).as_ref())
}

pub(super) fn leases_of(root: &Root, dnsmasq: Option<&Dnsmasq>) -> Vec<Lease> {
    let told = dnsmasq.and_then(|found| found.lease_file.as_deref()).map(|file| file.trim_start_matches('/'));
    let text = match told {
        Some(file) => root.text(file),
        None => DNSMASQ.into_iter().find_map(|file| root.text(file)),
    };
    let mut found = text.map(|text| leases::parse(&text)).unwrap_or_default();
    found.extend(KEA.into_iter().filter_map(|file| root.text(file)).flat_map(|text| parse_kea(&text)));
    found.extend(ODHCPD.into_iter().find_map(|file| root.text(file)).map(|text| parse_odhcpd(&text)).unwrap_or_default());
    found.extend(ISC.into_iter().find_map(|file| root.text(file)).map(|text| isc::parse_leases(&text)).unwrap_or_default());
    let by_address: BTreeMap<Ipv4Addr, Lease> = found.into_iter().map(|lease| (lease.address, lease)).collect();
    by_address.into_values().take(MOST).collect()
}

/// Whether anybody on this machine keeps leases.
pub(crate) fn any_keeper(root: &Root) -> bool {
    DNSMASQ.iter().chain(&KEA).chain(&ODHCPD).chain(&ISC).any(|file| root.has(file))
}

/// `address,hwaddr,client_id,valid_lifetime,expire,subnet_id,fqdn_fwd,fqdn_rev,hostname,state,…`; a later line replaces an earlier one.
fn parse_kea(text: &str) -> Vec<Lease> {
    let mut lines = text.lines();
    let heads: Vec<&str> = lines.next().unwrap_or_default().split(',').collect();
    let place = |name: &str| heads.iter().position(|head| *head == name);
    let (Some(address), Some(mac), Some(expire)) = (place("address"), place("hwaddr"), place("expire")) else { return Vec::new() };
    let (hostname, state) = (place("hostname"), place("state"));
    let mut found = BTreeMap::new();
    for line in lines.take(4 * MOST) {
        let cells: Vec<&str> = line.split(',').collect();
        let cell = |place: usize| cells.get(place).copied().unwrap_or_default();
        let (Ok(ip), Some(mac), Ok(expires)) = (cell(address).parse::<Ipv4Addr>(), mac_digits(cell(mac)), cell(expire).parse::<u64>()) else { continue };
        // State 0 is given; declined and taken back ones are not.
        if state.is_some_and(|place| cell(place) != "0") {
            found.remove(&ip);
            continue;
        }
        let name = hostname.map(|place| clean(cell(place).trim_end_matches('.'), NAME_CHARS)).filter(|name| !name.is_empty());
        found.insert(ip, Lease { expiry: Expiry::At(expires), mac, address: ip, hostname: name });
    }
    found.into_values().collect()
}

/// `# interface id ipv4 hostname expiry assigned length address/bits`: only the lines of IPv4.
fn parse_odhcpd(text: &str) -> Vec<Lease> {
    let line = |line: &str| {
        let words: Vec<&str> = line.strip_prefix("# ")?.split_ascii_whitespace().collect();
        let [_, id, "ipv4", name, expiry, _, _, address, ..] = words[..] else { return None };
        let expiry = match expiry.parse::<i64>().ok()? {
            ..0 => Expiry::Never,
            unix_s => Expiry::At(unix_s.unsigned_abs()),
        };
        // The id of a client is its address, or ends in it.
        let mac = mac_digits(id).or_else(|| mac_digits(id.get(id.len().checked_sub(12)?..)?))?;
        let hostname = Some(clean(name, NAME_CHARS)).filter(|name| !name.is_empty() && name != "-");
        Some(Lease { expiry, mac, address: address.split('/').next()?.parse().ok()?, hostname })
    };
    text.lines().filter_map(line).take(MOST).collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn leases_of_kea_are_its_last_word() {
        let text = "address,hwaddr,client_id,valid_lifetime,expire,subnet_id,fqdn_fwd,fqdn_rev,hostname,state,user_context\n\
            192.168.1.101,02:00:00:00:a0:01,,3600,1772480000,1,0,0,old,0,\n\
            192.168.1.101,02:00:00:00:a0:01,,3600,1772483600,1,0,0,mei-laptop.,0,\n\
            192.168.1.102,02:00:00:00:a0:02,,3600,1772483600,1,0,0,,0,\n\
            192.168.1.102,02:00:00:00:a0:02,,3600,1772483600,1,0,0,,2,\n\
            broken,,\n";
        let first = Lease {
            expiry: Expiry::At(1_772_483_600),
            mac: "02000000a001".into(),
            address: Ipv4Addr::new(192, 168, 1, 101),
            hostname: Some("mei-laptop".into()),
        };
        assert_eq!(parse_kea(text), [first]);
        assert_eq!(parse_kea("no,such,file\n1,2,3"), []);
    }

    #[test]
    fn leases_of_odhcpd_are_its_lines_of_ipv4() {
        let text = "# br-lan 02000000a001 ipv4 mei-laptop 1772483600 65 32 192.168.1.101/32\n192.168.1.101\tmei-laptop\n# br-lan 0001000102000000a002 12 x -1 2 64 fd00::2/128\n# br-lan 0102000000a003 ipv4 - -1 66 32 192.168.1.102/32\n";
        let found = parse_odhcpd(text);
        assert_eq!((found.len(), found[0].mac.as_str(), found[0].hostname.as_deref()), (2, "02000000a001", Some("mei-laptop")));
        assert_eq!((found[1].mac.as_str(), found[1].expiry, &found[1].hostname), ("02000000a003", Expiry::Never, &None));
    }

    proptest! {
        #[test]
        fn no_text_breaks_it(text in "(address,hwaddr,expire\n)?([0-9.]{0,15},[0-9a-f:]{0,17},[0-9]{0,22}\n|# \\PC{0,50}\n){0,5}") {
            let _ = (parse_kea(&text), parse_odhcpd(&text));
        }
    }
}
