//! `dhcpdns.set`: resolvers, range and lease time of the address server: a drop-in file of dnsmasq, or UCI on OpenWrt.

mod file;
mod uci;

use super::Hands;
use super::support;
use crate::args;
use serde_json::{Map, Value, json};
use std::net::{IpAddr, Ipv4Addr};
use talkwire_device::{Act, Applied, Args, ToolError, ToolSupport};

pub(super) const OP: &str = "dhcpdns.set";
const SERVERS: usize = 4;

/// Changes addresses and names.
pub(super) struct SetDhcpDns(pub(super) Hands);

/// What is asked; what is none stays.
#[derive(Debug, Clone, PartialEq, Default)]
struct Wish {
    dns_servers: Option<Vec<IpAddr>>,
    range: Option<(Ipv4Addr, Ipv4Addr)>,
    lease_s: Option<u64>,
}

impl Wish {
    fn read(args: &Args) -> Result<Self, ToolError> {
        let wish = Self { dns_servers: servers(args)?, range: range(args)?, lease_s: args::whole(args, "lease_s", 120..=31_536_000)? };
        match args::flag(args, "disable_other_dhcp")? {
            Some(true) => {
                return Err(ToolError::not_available(
                    "cannot_block_dhcp",
                    "this machine cannot block foreign DHCP servers, as they answer on the switch before it could; find the server with dhcpdns.scan_rogue, then unplug it or switch off its DHCP (access point mode), or block it at the switch (DHCP snooping)",
                ));
            }
            None if wish == Self::default() => return Err(ToolError::invalid_args("give at least one of args.dns_servers, args.dhcp_range, args.lease_s")),
            _ => {}
        }
        Ok(wish)
    }
}

fn servers(args: &Args) -> Result<Option<Vec<IpAddr>>, ToolError> {
    let wrong = || ToolError::invalid_args(format!("args.dns_servers must be a list of 1-{SERVERS} IP addresses"));
    let Some(value) = args.get("dns_servers").filter(|value| !value.is_null()) else { return Ok(None) };
    let list = value.as_array().filter(|list| (1..=SERVERS).contains(&list.len())).ok_or_else(wrong)?;
    list.iter().map(|server| server.as_str().and_then(|text| text.parse().ok()).ok_or_else(wrong)).collect::<Result<_, _>>().map(Some)
}

fn range(args: &Args) -> Result<Option<(Ipv4Addr, Ipv4Addr)>, ToolError> {
    let wrong = || ToolError::invalid_args("args.dhcp_range must look like 192.168.1.20-192.168.1.250, the first address first");
    let Some(value) = args.get("dhcp_range").filter(|value| !value.is_null()) else { return Ok(None) };
    let (first, last) = value.as_str().and_then(|text| text.split_once('-')).ok_or_else(wrong)?;
    let address = |text: &str| text.trim().parse::<Ipv4Addr>().map_err(|_| wrong());
    let (first, last) = (address(first)?, address(last)?);
    // A range spans at most a /16, so that a slip of the pen does not hand out half of the world.
    if first > last || first.is_unspecified() || u32::from(last) - u32::from(first) >= 1 << 16 { Err(wrong()) } else { Ok(Some((first, last))) }
}

/// What the address server is set to, as far as the configuration says it.
#[derive(Debug, Clone, PartialEq, Default)]
struct Told {
    dns_servers: Vec<String>,
    range: Option<(Ipv4Addr, Ipv4Addr)>,
    lease_s: Option<u64>,
}

impl Told {
    fn section(&self, own: (&str, Value)) -> Value {
        let range = self.range.map(|(first, last)| format!("{first}-{last}"));
        json!({"dns_servers": self.dns_servers, "dhcp_range": range, "lease_s": self.lease_s, "disable_other_dhcp": false, own.0: own.1})
    }
}

/// Seconds of a lease time such as `12h`, `45m`, `3600`.
fn parse_lease(text: &str) -> Option<u64> {
    let digits = text.trim_end_matches(|c: char| c.is_ascii_alphabetic());
    let unit = match &text[digits.len()..] {
        "" | "s" => 1,
        "m" => 60,
        "h" => 3600,
        "d" => 86_400,
        "w" => 604_800,
        _ => return None,
    };
    digits.parse::<u64>().ok()?.checked_mul(unit)
}

impl SetDhcpDns {
    fn uses_uci(&self) -> bool {
        self.0.is_openwrt() && self.0.root.has("etc/config/dhcp")
    }
}

impl Act for SetDhcpDns {
    fn op(&self) -> &str {
        OP
    }

    fn support(&self) -> ToolSupport {
        let lacks = match () {
            () if self.uses_uci() => None,
            () if !self.0.programs.has("dnsmasq") => Some("no_dnsmasq"),
            () => (!self.0.can_reload_dnsmasq()).then_some("no_service_manager"),
        };
        let mut support = support(2500, lacks);
        support.limitations.insert("disable_other_dhcp".into(), json!(false));
        support
    }

    async fn check(&self, args: &Args) -> Result<Value, ToolError> {
        let wish = Wish::read(args)?;
        match self.uses_uci() {
            true => uci::preview(&self.0, &wish).await,
            false => file::preview(&self.0, &wish),
        }
    }

    async fn capture(&self, _: &Args) -> Result<Value, ToolError> {
        match self.uses_uci() {
            true => uci::section(&self.0).await,
            false => file::section(&self.0),
        }
    }

    async fn apply(&self, args: &Args) -> Result<Applied, ToolError> {
        let wish = Wish::read(args)?;
        let section = match self.uses_uci() {
            true => uci::apply(&self.0, &wish).await?,
            false => file::apply(&self.0, &wish).await?,
        };
        let mut result: Map<String, Value> =
            ["dns_servers", "dhcp_range", "lease_s"].into_iter().map(|name| (name.to_owned(), section[name].clone())).collect();
        result.insert("downtime_s".into(), json!(2));
        Ok(Applied { result, section })
    }

    async fn restore(&self, previous: &Value) -> Result<Value, ToolError> {
        match self.uses_uci() {
            true => uci::restore(&self.0, previous).await,
            false => file::restore(&self.0, previous).await,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::super::recorded::args;
    use super::*;
    use talkwire_device::Code;

    #[test]
    fn what_cannot_be_meant_is_refused() {
        for (call, hint) in [
            (json!({}), "at least one"),
            (json!({"dns_servers": []}), "dns_servers"),
            (json!({"dns_servers": ["; reboot"]}), "dns_servers"),
            (json!({"dns_servers": ["9.9.9.9\nserver=1.1.1.1"]}), "dns_servers"),
            (json!({"dhcp_range": "192.168.1.9"}), "dhcp_range"),
            (json!({"dhcp_range": "192.168.1.9-192.168.1.2"}), "dhcp_range"),
            (json!({"dhcp_range": "1.0.0.0-200.0.0.0"}), "dhcp_range"),
            (json!({"dhcp_range": "../../etc/passwd"}), "dhcp_range"),
            (json!({"lease_s": 5}), "lease_s"),
        ] {
            let error = Wish::read(&args(call.clone())).unwrap_err();
            assert!(error.is(Code::InvalidArgs) && error.message.contains(hint), "{call}: {error}");
        }
        let error = Wish::read(&args(json!({"disable_other_dhcp": true}))).unwrap_err();
        assert!(error.is(Code::LlmToolNotAvailable) && error.message.contains("scan_rogue"), "{error}");
    }

    #[test]
    fn lease_times_are_read_in_every_unit() {
        assert_eq!(["12h", "45m", "3600", "2d", "1w", "90s"].map(parse_lease), [43_200, 2_700, 3_600, 172_800, 604_800, 90].map(Some));
        assert_eq!((parse_lease("infinite"), parse_lease("")), (None, None));
    }
}
