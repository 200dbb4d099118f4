//! The cases: what is broken, what a person types, and what must be said.

use super::break_it;
use super::network::Network;
use anyhow::Result;

/// A case.
pub struct Case {
    /// Its name on the command line.
    pub name: &'static str,
    /// What is broken, in a line.
    pub broken: &'static str,
    /// What is typed.
    pub complaint: &'static str,
    /// The cause that must be named; none: that nothing is wrong.
    pub cause: Option<&'static str>,
    /// Whether it, or a test of it, fills a line of 100 Mbit/s, which takes most of a processor.
    pub fills_the_line: bool,
    /// Whether it runs only when it is asked for by name, because it was not named rightly often enough yet.
    pub on_request: bool,
    /// Breaks it.
    pub act: fn(&mut Network) -> Result<()>,
}

/// All cases.
pub const CASES: [Case; 11] = [
    Case {
        name: "healthy",
        broken: "nothing (control)",
        complaint: "The internet does not work",
        cause: None,
        fills_the_line: false,
        on_request: false,
        act: break_it::nothing,
    },
    Case {
        name: "healthy_speed",
        broken: "nothing (control, asked about speed)",
        complaint: "網路好慢",
        cause: None,
        fills_the_line: true,
        on_request: false,
        act: break_it::nothing,
    },
    Case {
        name: "wan_down",
        broken: "the cable of the uplink is pulled",
        complaint: "家裡完全不能上網",
        cause: Some("wan_cable_out"),
        fills_the_line: false,
        on_request: false,
        act: break_it::pull_the_line,
    },
    Case {
        name: "dns_dead",
        broken: "the provider's name server is dead",
        complaint: "LINE 收得到訊息但網頁全部打不開",
        cause: Some("dns_resolver_down"),
        fills_the_line: false,
        on_request: false,
        act: break_it::kill_the_resolver,
    },
    Case {
        name: "second_dhcp",
        broken: "an old router hands out addresses too",
        complaint: "Some PCs have internet, some don't, and it changes when they reconnect",
        cause: Some("rogue_dhcp_server"),
        fills_the_line: false,
        on_request: false,
        act: break_it::second_server,
    },
    Case {
        name: "pool_exhausted",
        broken: "visitors hold every address",
        complaint: "Guests' phones stick at obtaining IP address while ours are fine",
        cause: Some("dhcp_pool_exhausted"),
        fills_the_line: false,
        on_request: false,
        act: break_it::use_up_the_pool,
    },
    Case {
        name: "bandwidth_limited",
        broken: "the provider lets through 10 of 100 Mbit/s",
        complaint: "这几天网速变得很慢",
        cause: Some("isp_quota_throttle"),
        fills_the_line: false,
        on_request: false,
        act: break_it::throttle,
    },
    Case {
        name: "client_floods",
        broken: "one client fills the line with downloads",
        complaint: "Everything is so slow since this morning",
        cause: Some("own_bandwidth_hog"),
        fills_the_line: true,
        on_request: false,
        act: break_it::flood,
    },
    Case {
        name: "route_blackholed",
        broken: "packets disappear behind the provider's first router",
        complaint: "Wi-Fi is connected but nothing loads",
        cause: Some("isp_outage_upstream"),
        fills_the_line: false,
        on_request: false,
        act: break_it::blackhole,
    },
    Case {
        name: "default_route_lost",
        broken: "the router has lost its default route",
        complaint: "Every device is connected, but there is no internet on any of them",
        cause: Some("router_no_default_route"),
        fills_the_line: false,
        on_request: false,
        act: break_it::lose_the_route,
    },
    Case {
        name: "upload_flood",
        broken: "one client uploads all it can through a modem with a deep queue",
        complaint: "視訊會議一直卡，聲音斷斷續續",
        cause: Some("upload_bufferbloat"),
        fills_the_line: true,
        on_request: true,
        act: break_it::upload,
    },
];

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_case_has_a_name_of_its_own_and_names_a_cause_of_the_catalogue() {
        let causes = include_str!("../../../catalog/causes.toml");
        for (at, case) in CASES.iter().enumerate() {
            assert!(CASES[..at].iter().all(|other| other.name != case.name), "{}", case.name);
            if let Some(cause) = case.cause {
                assert!(causes.contains(&format!("cause = \"{cause}\"")), "{cause}");
            }
        }
    }
}
