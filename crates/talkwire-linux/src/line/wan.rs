//! `diagnostics.wan_connectivity`: link, address, gateway, names and web, each by itself, so that the first that fails is plain.

use super::ping::Pinger;
use super::web::{self, Fetched};
use crate::machine::Machine;
use crate::names::{ask, configured};
use crate::root::Root;
use crate::tool::{LinuxTool, cheap, limited};
use crate::{address, ports, program, route};
use serde_json::{Map, Value, json};
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};
use std::sync::Arc;
use std::time::Duration;

const OP: &str = "diagnostics.wan_connectivity";
const PROGRAM_TIME: Duration = Duration::from_secs(3);
const APART: Duration = Duration::from_millis(200);
const PATIENCE: Duration = Duration::from_millis(1500);
/// Bytes of the headers of IP and ICMP.
const HEADERS: u64 = 28;
/// A resolver that is reached by IPv6 only, asked when the machine has a global address.
const RESOLVER_V6: Ipv6Addr = Ipv6Addr::new(0x2606, 0x4700, 0x4700, 0, 0, 0, 0, 0x1111);

pub(crate) fn tool(machine: &Arc<Machine>) -> LinuxTool {
    if !machine.root.has("proc/net/route") {
        return LinuxTool::lacking(OP, "no_proc_net_route");
    }
    let machine = machine.clone();
    LinuxTool::new(OP, limited(cheap(6000), 2), move |_call| {
        let machine = machine.clone();
        async move { Ok(answer(&machine).await) }
    })
}

async fn answer(machine: &Machine) -> Value {
    let root = &machine.root;
    let mut fields = Map::new();
    let Some(way_out) = machine.way_out() else {
        fields.extend([("link".to_owned(), Value::Null), ("ip".into(), Value::Null), ("ip_kind".into(), json!("none"))]);
        fields.extend([("dns_ok".to_owned(), json!(false)), ("http".into(), json!("fail")), ("gateway_reachable".into(), json!(false))]);
        fields.extend([("first_fault".to_owned(), json!("no_way_out"))]);
        return Value::Object(fields);
    };
    let interface = way_out.interface.as_str();
    let link = ports::has_link(root, interface).unwrap_or(false);
    // A machine that was told its way out may have lost the route nevertheless.
    let has_route = route::way_out(root).flatten().is_some_and(|way| way.interface == interface);
    let own = address::all(root).await;
    let ip = own.iter().find(|address| address.interface == interface).map(|address| address.ip).filter(|_| link);
    let (gateway, dns, http, v6, mtu, manager) = tokio::join!(
        gateway(root, way_out.gateway.filter(|_| link)),
        dns(machine),
        web::fetch(machine),
        v6(machine),
        mtu(machine, interface),
        manager(root, interface)
    );
    let link_word = if link { "up" } else { "down" };
    fields.extend([("interface".to_owned(), json!(interface)), ("link".into(), json!(link_word)), ("ip".into(), json!(ip))]);
    fields.insert("ip_kind".into(), json!(ip.map_or("none", address::kind)));
    fields.extend(protocol(root, interface, &manager).map(|word| ("protocol".to_owned(), json!(word))));
    fields.insert("default_route".into(), json!(has_route));
    fields.extend([("gateway".to_owned(), json!(way_out.gateway)), ("gateway_reachable".into(), json!(gateway)), ("dns_ok".into(), json!(dns))]);
    fields.extend([("http".to_owned(), json!(http.word())), ("ipv6".into(), json!(v6))]);
    fields.extend(mtu.map(|ok| ("mtu_ok".to_owned(), json!(ok))));
    fields.extend(manager.uptime_s.map(|seconds| ("session_s".to_owned(), json!(seconds))));
    let parts = [
        (link, "link"),
        (ip.is_some(), "address"),
        (has_route || http == Fetched::Ok, "route"),
        (way_out.gateway.is_none() || gateway || http == Fetched::Ok, "gateway"),
        (dns, "names"),
        (http == Fetched::Ok, "web"),
    ];
    fields.insert("first_fault".into(), json!(parts.iter().find(|(ok, _)| !ok).map(|(_, part)| part)));
    Value::Object(fields)
}

/// Whether the gateway answers: to a ping, or at least to the question for its hardware address.
async fn gateway(root: &Root, gateway: Option<Ipv4Addr>) -> bool {
    let Some(ip) = gateway else { return false };
    if let Ok(pinger) = Pinger::open()
        && !pinger.series(ip, 4, APART, PATIENCE, 56).await.times_ms.is_empty()
    {
        return true;
    }
    let Some(program) = root.program("ip") else { return false };
    let args = ["-4", "neigh", "show", "to", &ip.to_string()].map(str::to_owned);
    program::run(&program, &args, PROGRAM_TIME).await.is_ok_and(|output| output.text.contains("REACHABLE"))
}

/// Whether any configured resolver resolves the name of a page, or of any known name.
async fn dns(machine: &Machine) -> bool {
    let pages = machine.surroundings.web.iter().filter_map(|text| web::Url::parse(text)).map(|url| url.host).filter(|host| host.parse::<IpAddr>().is_err());
    let names: Vec<String> = pages.chain(machine.surroundings.names.iter().cloned()).take(2).collect();
    let servers = configured(machine).await;
    let mut questions = Vec::new();
    for server in servers {
        questions.extend(names.iter().map(|name| ask(server, name, Duration::from_secs(3))));
    }
    crate::tool::all(questions).await.into_iter().flatten().any(|answered| answered.is_ok())
}

async fn v6(machine: &Machine) -> &'static str {
    if !address::has_global_v6(&machine.root) {
        return "off";
    }
    let name = machine.surroundings.names.first().map_or("example.com", String::as_str);
    for _ in 0..2 {
        if ask(RESOLVER_V6.into(), name, Duration::from_secs(2)).await.is_some() {
            return "ok";
        }
    }
    "broken"
}

/// Whether packets as large as the interface permits reach the world. None when small ones do not either.
async fn mtu(machine: &Machine, interface: &str) -> Option<bool> {
    let mtu = machine.root.whole(&format!("sys/class/net/{interface}/mtu")).filter(|mtu| (576..=1500).contains(mtu))?;
    let large = usize::try_from(mtu - HEADERS).ok()?;
    for target in machine.surroundings.public.iter().take(2) {
        let (small, whole) = (Pinger::open().ok()?, Pinger::open().ok()?);
        let (small, whole) = tokio::join!(small.series(*target, 4, APART, PATIENCE, 56), whole.series(*target, 4, APART, PATIENCE, large));
        if !small.times_ms.is_empty() {
            return Some(!whole.times_ms.is_empty());
        }
    }
    None
}

/// What the manager of the network says of an interface.
#[derive(Debug, Default, PartialEq)]
struct Manager {
    protocol: Option<String>,
    uptime_s: Option<u64>,
}

/// OpenWrt's netifd knows how an interface gets its address and for how long it has had it.
async fn manager(root: &Root, interface: &str) -> Manager {
    let Some(ubus) = root.program("ubus") else { return Manager::default() };
    let args = ["call", "network.interface", "dump"].map(str::to_owned);
    program::run(&ubus, &args, PROGRAM_TIME).await.ok().and_then(|output| parse_netifd(&output.text, interface)).unwrap_or_default()
}

fn parse_netifd(text: &str, interface: &str) -> Option<Manager> {
    let dump: Value = serde_json::from_str(text).ok()?;
    let is_it = |one: &&Value| one.get("l3_device").or(one.get("device")).and_then(Value::as_str) == Some(interface);
    // IPv4 and IPv6 are two interfaces of one device: the one with an IPv4 protocol counts.
    let all = dump.get("interface")?.as_array()?;
    let is_v4 = |one: &&Value| !one.get("proto").and_then(Value::as_str).unwrap_or_default().ends_with('6');
    let one = all.iter().filter(is_it).find(is_v4)?;
    let protocol = one.get("proto").and_then(Value::as_str).map(str::to_owned);
    Some(Manager { protocol, uptime_s: one.get("uptime").and_then(Value::as_u64) })
}

/// `pppoe`, `dhcp` or `static`, when it can be known.
fn protocol(root: &Root, interface: &str, manager: &Manager) -> Option<&'static str> {
    if let Some(word) = manager.protocol.as_deref().and_then(|word| ["pppoe", "dhcp", "static"].into_iter().find(|known| *known == word)) {
        return Some(word);
    }
    if interface.starts_with("ppp") {
        return Some("pppoe");
    }
    let leases = root.names("run/systemd/netif/leases");
    let number = root.word(&format!("sys/class/net/{interface}/ifindex"));
    if number.is_some_and(|number| leases.contains(&number)) || is_client_running(root, interface) {
        return Some("dhcp");
    }
    let text = root.text("etc/network/interfaces").unwrap_or_default();
    text.lines().find_map(|line| {
        let words: Vec<&str> = line.split_ascii_whitespace().collect();
        match words[..] {
            ["iface", name, "inet", method, ..] if name == interface => ["dhcp", "static"].into_iter().find(|known| *known == method),
            _ => None,
        }
    })
}

/// A DHCP client that was started for this interface.
fn is_client_running(root: &Root, interface: &str) -> bool {
    let processes = root.names("proc").into_iter().filter(|name| name.bytes().all(|byte| byte.is_ascii_digit()));
    let mut clients = processes.filter(|process| {
        let name = root.word(&format!("proc/{process}/comm")).unwrap_or_default();
        matches!(name.as_str(), "udhcpc" | "dhclient" | "dhcpcd")
    });
    clients.any(|process| root.text(&format!("proc/{process}/cmdline")).is_some_and(|line| line.split('\0').any(|word| word == interface)))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_manager_of_openwrt_is_understood() {
        let text = r#"{"interface":[{"interface":"wan6","l3_device":"wan","proto":"dhcpv6","uptime":5},{"interface":"wan","l3_device":"pppoe-wan","device":"wan","proto":"pppoe","uptime":86400},{"interface":"lan","device":"br-lan","proto":"static"}]}"#;
        assert_eq!(parse_netifd(text, "pppoe-wan"), Some(Manager { protocol: Some("pppoe".into()), uptime_s: Some(86_400) }));
        assert_eq!(parse_netifd(text, "wan"), None);
        assert_eq!(parse_netifd("; reboot", "wan"), None);
    }

    #[test]
    fn the_protocol_is_known_by_what_runs_or_is_written() {
        let folder = tempfile::tempdir().unwrap();
        let root = Root::new(folder.path());
        assert_eq!(protocol(&root, "ppp0", &Manager::default()), Some("pppoe"));
        assert_eq!(protocol(&root, "wan", &Manager::default()), None);
        std::fs::create_dir_all(folder.path().join("etc/network")).unwrap();
        std::fs::write(folder.path().join("etc/network/interfaces"), "auto wan\niface wan inet static\n  address 192.0.2.1\n").unwrap();
        assert_eq!(protocol(&root, "wan", &Manager::default()), Some("static"));
        std::fs::create_dir_all(folder.path().join("proc/77")).unwrap();
        std::fs::write(folder.path().join("proc/77/comm"), "udhcpc\n").unwrap();
        std::fs::write(folder.path().join("proc/77/cmdline"), "udhcpc\0-i\0wan\0").unwrap();
        assert_eq!(protocol(&root, "wan", &Manager::default()), Some("dhcp"));
        let told = Manager { protocol: Some("static".into()), uptime_s: None };
        assert_eq!(protocol(&root, "wan", &told), Some("static"));
    }
}
