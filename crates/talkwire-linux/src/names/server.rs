//! The address server of this machine and its settings: dnsmasq, else Kea, else ISC dhcpd.

use super::dnsmasq::{self, Dnsmasq, Pool};
use super::isc;
use crate::root::Root;
use serde_json::Value;
use std::net::Ipv4Addr;

const KEA: &str = "etc/kea/kea-dhcp4.conf";
const ISC: [&str; 2] = ["etc/dhcp/dhcpd.conf", "etc/dhcpd.conf"];

/// What gives addresses here.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Server {
    pub(super) kind: &'static str,
    pub(super) pools: Vec<Pool>,
    pub(super) router: Option<Ipv4Addr>,
    /// The resolvers that clients are told, when it is not the machine itself.
    pub(super) offered: Vec<Ipv4Addr>,
    pub(super) dnsmasq: Option<Dnsmasq>,
}

pub(super) fn find(root: &Root) -> Option<Server> {
    let dnsmasq = dnsmasq::find(root);
    match dnsmasq {
        Some(dnsmasq) if !dnsmasq.pools.is_empty() => {
            Some(Server { kind: "dnsmasq", pools: dnsmasq.pools.clone(), router: dnsmasq.router, offered: dnsmasq.offered.clone(), dnsmasq: Some(dnsmasq) })
        }
        other => {
            let kea = root.text(KEA).and_then(|text| serde_json::from_str(&without_comments(&text)).ok());
            let kea = kea.and_then(|value| parse_kea(&value));
            kea.or_else(|| isc(root)).map(|server| Server { dnsmasq: other, ..server })
        }
    }
}

fn isc(root: &Root) -> Option<Server> {
    let isc::Settings { pools, router, offered } = ISC.into_iter().find_map(|file| root.text(file)).map(|text| isc::parse_settings(&text))?;
    (!pools.is_empty()).then_some(Server { kind: "isc", pools, router, offered, dnsmasq: None })
}

fn parse_kea(value: &Value) -> Option<Server> {
    let dhcp = value.get("Dhcp4")?;
    let time = |value: &Value| value.get("valid-lifetime").and_then(Value::as_u64);
    let (mut pools, mut router, mut offered) = (Vec::new(), None, option(dhcp, "domain-name-servers"));
    for subnet in dhcp.get("subnet4").and_then(Value::as_array).into_iter().flatten() {
        let prefix = subnet.get("subnet").and_then(Value::as_str).and_then(|net| net.split_once('/')?.1.parse::<u8>().ok());
        let netmask = prefix.map(|bits| Ipv4Addr::from(crate::address::mask(bits)));
        let lease_s = time(subnet).or_else(|| time(dhcp)).or(Some(7200));
        for pool in subnet.get("pools").and_then(Value::as_array).into_iter().flatten() {
            let Some((first, last)) = pool.get("pool").and_then(Value::as_str).and_then(|text| text.split_once('-')) else { continue };
            let (Ok(first), Ok(last)) = (first.trim().parse(), last.trim().parse()) else { continue };
            pools.push(Pool { first, last, netmask, lease_s });
        }
        router = router.or(option(subnet, "routers").first().copied());
        if offered.is_empty() {
            offered = option(subnet, "domain-name-servers");
        }
    }
    (!pools.is_empty()).then_some(Server { kind: "kea", pools, router, offered, dnsmasq: None })
}

fn option(of: &Value, name: &str) -> Vec<Ipv4Addr> {
    let options = of.get("option-data").and_then(Value::as_array).into_iter().flatten();
    let found = options.filter(|option| option.get("name").and_then(Value::as_str) == Some(name)).find_map(|option| option.get("data")?.as_str());
    found.unwrap_or_default().split(',').filter_map(|text| text.trim().parse().ok()).collect()
}

/// Kea permits `//`, `#` and `/* */` in its JSON.
fn without_comments(text: &str) -> String {
    let (mut plain, mut chars, mut in_text) = (String::with_capacity(text.len()), text.chars().peekable(), false);
    while let Some(c) = chars.next() {
        match (c, chars.peek()) {
            ('\\', Some(_)) if in_text => {
                plain.push(c);
                plain.extend(chars.next());
                continue;
            }
            ('"', _) => in_text = !in_text,
            ('#', _) | ('/', Some('/')) if !in_text => {
                while chars.next_if(|c| *c != '\n').is_some() {}
                continue;
            }
            ('/', Some('*')) if !in_text => {
                let mut last = ' ';
                for c in chars.by_ref() {
                    if last == '*' && c == '/' {
                        break;
                    }
                    last = c;
                }
                continue;
            }
            _ => {}
        }
        plain.push(c);
    }
    plain
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn the_settings_of_kea_are_read() {
        let text = r#"{ // the "server"
            "Dhcp4": { "valid-lifetime": 4000, # seconds
              "option-data": [{"name": "domain-name-servers", "data": "192.0.2.53, 9.9.9.9"}],
              "subnet4": [{"subnet": "192.168.1.0/24", /* a pool */ "pools": [{"pool": "192.168.1.100 - 192.168.1.149"}],
                "option-data": [{"name": "routers", "data": "192.168.1.1"}, {"name": "x", "data": "http://y"}]}] } }"#;
        let server = parse_kea(&serde_json::from_str(&without_comments(text)).unwrap()).unwrap();
        assert_eq!((server.kind, server.router, server.offered.len()), ("kea", Some(Ipv4Addr::new(192, 168, 1, 1)), 2));
        let pool = &server.pools[0];
        assert_eq!((pool.last, pool.netmask, pool.lease_s), (Ipv4Addr::new(192, 168, 1, 149), Some(Ipv4Addr::new(255, 255, 255, 0)), Some(4000)));
        assert_eq!(parse_kea(&Value::Null), None);
    }

    proptest! {
        #[test]
        fn no_text_breaks_it(text in "[\"/*#\\\\a{}\n ]{0,40}") {
            let _ = without_comments(&text);
        }
    }
}
