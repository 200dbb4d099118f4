//! Addresses and names of OpenWrt: `/etc/config/dhcp` through `uci`, then dnsmasq anew.

use super::{Hands, Told, Wish, parse_lease};
use crate::settings::Service;
use serde_json::{Map, Value, json};
use std::net::Ipv4Addr;
use talkwire_device::ToolError;

const SERVER: &str = "dhcp.@dnsmasq[0].server";
const NORESOLV: &str = "dhcp.@dnsmasq[0].noresolv";
const START: &str = "dhcp.lan.start";
const LIMIT: &str = "dhcp.lan.limit";
const LEASE: &str = "dhcp.lan.leasetime";
/// What a section holds, in this order.
const KEYS: [&str; 5] = [SERVER, NORESOLV, START, LIMIT, LEASE];

async fn option(hands: &Hands, key: &str) -> Option<String> {
    // With -q a missing option is a failure without words.
    let said = hands.programs.run("uci", &["-q", "get", key]).await.ok()?;
    Some(said.trim().to_owned()).filter(|text| !text.is_empty())
}

/// The first address of the LAN's network.
async fn network(hands: &Hands) -> Result<u32, ToolError> {
    let unknown = || ToolError::failed("uci does not say the address of the network lan");
    let text = option(hands, "network.lan.ipaddr").await.ok_or_else(unknown)?;
    let text = text.split_whitespace().next().unwrap_or_default();
    let (address, mask) = match text.split_once('/') {
        Some((address, bits)) => {
            (address, u32::MAX.checked_shl(32 - bits.parse::<u32>().ok().filter(|bits| (8..=30).contains(bits)).ok_or_else(unknown)?).ok_or_else(unknown)?)
        }
        None => {
            let mask = option(hands, "network.lan.netmask").await.unwrap_or_else(|| "255.255.255.0".into());
            (text, u32::from(mask.parse::<Ipv4Addr>().map_err(|_| unknown())?))
        }
    };
    Ok(u32::from(address.parse::<Ipv4Addr>().map_err(|_| unknown())?) & mask)
}

async fn options(hands: &Hands) -> Map<String, Value> {
    let mut options = Map::new();
    for key in KEYS {
        options.insert(key.into(), json!(option(hands, key).await));
    }
    options
}

fn told(options: &Map<String, Value>, network: u32) -> Told {
    let text = |key: &str| options.get(key).and_then(Value::as_str);
    let number = |key: &str| text(key).and_then(|text| text.parse::<u32>().ok());
    let range = number(START).zip(number(LIMIT)).and_then(|(start, limit)| {
        let first = network.checked_add(start)?;
        Some((Ipv4Addr::from(first), Ipv4Addr::from(first.checked_add(limit.checked_sub(1)?)?)))
    });
    let dns_servers = text(SERVER).unwrap_or_default().split_whitespace().filter(|server| !server.starts_with('/')).map(str::to_owned).collect();
    Told { dns_servers, range, lease_s: text(LEASE).and_then(parse_lease) }
}

fn with(options: &Map<String, Value>, network: u32, wish: &Wish) -> Result<Map<String, Value>, ToolError> {
    let mut options = options.clone();
    if let Some(servers) = &wish.dns_servers {
        let special =
            options.get(SERVER).and_then(Value::as_str).unwrap_or_default().split_whitespace().filter(|server| server.starts_with('/')).map(str::to_owned);
        let list: Vec<String> = special.chain(servers.iter().map(ToString::to_string)).collect();
        options.insert(SERVER.into(), json!(list.join(" ")));
        options.insert(NORESOLV.into(), json!("1"));
    }
    if let Some((first, last)) = wish.range {
        let (first, last) = (u32::from(first), u32::from(last));
        let start = first.checked_sub(network).filter(|start| *start > 0 && *start < 1 << 16);
        let start = start
            .ok_or_else(|| ToolError::invalid_args(format!("args.dhcp_range must lie in the network of lan, which begins at {}", Ipv4Addr::from(network))))?;
        options.insert(START.into(), json!(start.to_string()));
        options.insert(LIMIT.into(), json!((last - first + 1).to_string()));
    }
    if let Some(seconds) = wish.lease_s {
        options.insert(LEASE.into(), json!(seconds.to_string()));
    }
    Ok(options)
}

fn section_of(options: Map<String, Value>, network: u32) -> Value {
    told(&options, network).section(("uci", Value::Object(options)))
}

pub(super) async fn section(hands: &Hands) -> Result<Value, ToolError> {
    let network = network(hands).await?;
    Ok(section_of(options(hands).await, network))
}

pub(super) async fn preview(hands: &Hands, wish: &Wish) -> Result<Value, ToolError> {
    let network = network(hands).await?;
    Ok(section_of(with(&options(hands).await, network, wish)?, network))
}

async fn put(hands: &Hands, now: &Map<String, Value>, wanted: &Map<String, Value>) -> Result<(), ToolError> {
    for key in KEYS {
        let value = wanted.get(key).and_then(Value::as_str);
        if now.get(key).and_then(Value::as_str) == value {
            continue;
        }
        if key == SERVER || value.is_none() {
            // Taking away what is not there is a failure of uci's, and none of ours.
            hands.programs.run("uci", &["-q", "delete", key]).await.unwrap_or_default();
        }
        match value {
            Some(list) if key == SERVER => {
                for server in list.split_whitespace() {
                    hands.programs.run("uci", &["add_list", &format!("{key}={server}")]).await?;
                }
            }
            Some(value) => hands.programs.run("uci", &["set", &format!("{key}={value}")]).await.map(|_| ())?,
            None => {}
        }
    }
    hands.programs.run("uci", &["commit", "dhcp"]).await?;
    hands.restart("dnsmasq", &Service::Unit("dnsmasq".into()), true).await.map(|_| ())
}

pub(super) async fn apply(hands: &Hands, wish: &Wish) -> Result<Value, ToolError> {
    let (network, now) = (network(hands).await?, options(hands).await);
    put(hands, &now, &with(&now, network, wish)?).await?;
    section(hands).await
}

pub(super) async fn restore(hands: &Hands, previous: &Value) -> Result<Value, ToolError> {
    let unknown = || ToolError::failed("the captured section does not hold the options of uci");
    let wanted = previous.get("uci").and_then(Value::as_object).ok_or_else(unknown)?;
    // They go onto a command line, each behind its key and in one word.
    if wanted.values().any(|value| value.as_str().is_some_and(|text| text.chars().any(char::is_control))) {
        return Err(unknown());
    }
    put(hands, &options(hands).await, wanted).await?;
    section(hands).await
}

#[cfg(test)]
mod tests {
    use super::super::super::recorded::{Tape, args, hands};
    use super::super::SetDhcpDns;
    use super::*;
    use crate::root::Root;
    use crate::settings::Settings;
    use talkwire_device::Act;

    fn machine() -> tempfile::TempDir {
        let folder = tempfile::tempdir().unwrap();
        std::fs::create_dir_all(folder.path().join("etc/config")).unwrap();
        std::fs::create_dir_all(folder.path().join("sbin/procd")).unwrap();
        std::fs::write(folder.path().join("etc/config/dhcp"), "config dnsmasq\n").unwrap();
        folder
    }

    /// What uci answers when it is asked for everything.
    fn asked<'a>(server: &'a str, noresolv: &'a str, start: &'a str, limit: &'a str) -> [(&'a str, &'a str); 5] {
        let or_none = |text: &'a str| if text.is_empty() { "!uci failed (exit status: 1): " } else { text };
        [
            ("uci -q get dhcp.@dnsmasq[0].server", or_none(server)),
            ("uci -q get dhcp.@dnsmasq[0].noresolv", or_none(noresolv)),
            ("uci -q get dhcp.lan.start", start),
            ("uci -q get dhcp.lan.limit", limit),
            ("uci -q get dhcp.lan.leasetime", "12h\n"),
        ]
    }

    #[tokio::test]
    async fn options_are_set_committed_read_back_and_put_back() {
        let lan = [("uci -q get network.lan.ipaddr", "192.168.1.1\n"), ("uci -q get network.lan.netmask", "255.255.255.0\n")];
        let (before, after) = (asked("", "", "100", "10"), asked("9.9.9.9 1.1.1.1", "1", "20", "231"));
        let again = [("uci commit dhcp", ""), ("/etc/init.d/dnsmasq restart", ""), ("/etc/init.d/dnsmasq running", "")];
        let set = [
            ("uci -q delete dhcp.@dnsmasq[0].server", "!uci failed (exit status: 1): "),
            ("uci add_list dhcp.@dnsmasq[0].server=9.9.9.9", ""),
            ("uci add_list dhcp.@dnsmasq[0].server=1.1.1.1", ""),
            ("uci set dhcp.@dnsmasq[0].noresolv=1", ""),
            ("uci set dhcp.lan.start=20", ""),
            ("uci set dhcp.lan.limit=231", ""),
        ];
        let back = [
            ("uci -q delete dhcp.@dnsmasq[0].server", ""),
            ("uci -q delete dhcp.@dnsmasq[0].noresolv", ""),
            ("uci set dhcp.lan.start=100", ""),
            ("uci set dhcp.lan.limit=10", ""),
        ];
        let tape = [&lan[..], &before, &lan, &before, &set, &again, &lan, &after, &after, &back, &again, &lan, &before].concat();
        let tape = Tape::new(&["uci", "ubus"], &tape);
        let machine = machine();
        let act = SetDhcpDns(hands(&tape, &Root::new(machine.path()), Settings::default()));
        assert!(act.support().supported);
        let call = args(json!({"dns_servers": ["9.9.9.9", "1.1.1.1"], "dhcp_range": "192.168.1.20-192.168.1.250"}));
        let captured = act.capture(&call).await.unwrap();
        assert_eq!(
            (&captured["dhcp_range"], &captured["dns_servers"], &captured["lease_s"]),
            (&json!("192.168.1.100-192.168.1.109"), &json!([]), &json!(43_200))
        );
        let applied = act.apply(&call).await.unwrap();
        assert_eq!((&applied.section["dhcp_range"], &applied.section["dns_servers"]), (&json!("192.168.1.20-192.168.1.250"), &json!(["9.9.9.9", "1.1.1.1"])));
        assert_eq!(act.restore(&captured).await.unwrap(), captured);
        tape.assert_played();
    }
}
