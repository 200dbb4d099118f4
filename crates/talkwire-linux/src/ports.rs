//! `network.interface_status`: every interface of `/sys/class/net`.

mod history;

use crate::machine::Machine;
use crate::root::Root;
use crate::tool::{LinuxTool, cheap};
pub(crate) use history::{Counts, History};
use serde_json::{Map, Value, json};
use std::collections::BTreeMap;
use std::sync::Arc;
use talkwire_proto::id::mac_digits;

const OP: &str = "network.interface_status";
const FOLDER: &str = "sys/class/net";
/// Most interfaces of one answer: a machine with many containers has hundreds.
const MOST: usize = 256;
const IFF_UP: u64 = 1;

pub(crate) fn tool(machine: &Arc<Machine>) -> LinuxTool {
    if !machine.root.has(FOLDER) {
        return LinuxTool::lacking(OP, "no_sys_class_net");
    }
    let machine = machine.clone();
    LinuxTool::reading(OP, cheap(100), move |_args| Ok(answer(&machine)))
}

fn answer(machine: &Machine) -> Value {
    let total = names(&machine.root).len();
    json!({"interfaces": rows(machine), "total": total})
}

/// All interfaces, each with what is known of it.
pub(crate) fn rows(machine: &Machine) -> Vec<Value> {
    let (root, counts) = (&machine.root, counts(&machine.root));
    let uptime_s = crate::cpu::uptime_s(root);
    let way_out = machine.way_out();
    let (mut history, now) = (machine.ports(), machine.now());
    history.note(now, counts.clone());
    let names = all(root);
    let interfaces = names.iter().map(|name| {
        let mut fields = describe(root, name);
        if way_out.as_ref().is_some_and(|way| way.interface == *name) {
            fields.insert("role".into(), json!("wan"));
        }
        if let Some(counts) = counts.get(name) {
            let rates = history.rates(now, name, *counts, uptime_s);
            fields.extend(rates.crc_ppm.map(|ppm| ("crc_ppm".into(), json!(ppm))));
            fields.extend(rates.flaps_per_hour.map(|flaps| ("flaps_per_hour".into(), json!(flaps))));
        }
        Value::Object(fields)
    });
    interfaces.collect()
}

/// The interfaces; `bonding_masters` and its like are files and none.
pub(crate) fn names(root: &Root) -> Vec<String> {
    root.names(FOLDER).into_iter().filter(|name| root.has(&format!("{FOLDER}/{name}/operstate"))).collect()
}

fn describe(root: &Root, name: &str) -> Map<String, Value> {
    let file = |file: &str| format!("{FOLDER}/{name}/{file}");
    let operstate = root.word(&file("operstate"));
    // Reading the carrier of an interface that is switched off is an error of the kernel's, and so absent.
    let carrier = root.whole(&file("carrier")).map(|carrier| carrier == 1);
    let up = match operstate.as_deref() {
        Some("up") => true,
        Some("unknown") => carrier == Some(true),
        _ => false,
    };
    let enabled = root.word(&file("flags")).and_then(|flags| parse_hex(&flags)).map(|flags| flags & IFF_UP != 0);
    // -1 and 4294967295 are what drivers say that do not know.
    let speed = root.whole(&file("speed")).filter(|mbps| (1..u64::from(u32::MAX)).contains(mbps));
    let duplex = root.word(&file("duplex")).filter(|word| word == "full" || word == "half");
    let known = [
        ("interface", Some(json!(name))),
        ("type", Some(json!(kind(root, name)))),
        ("status", Some(json!(if up { "up" } else { "down" }))),
        ("operstate", operstate.map(|word| json!(word))),
        ("enabled", enabled.map(|flag| json!(flag))),
        ("carrier", carrier.map(|flag| json!(flag))),
        ("speed_mbps", speed.map(|mbps| json!(mbps))),
        ("duplex", duplex.map(|word| json!(word))),
        ("mtu", root.whole(&file("mtu")).map(|bytes| json!(bytes))),
        ("mac_address", mac_of(root, name).map(|mac| json!(mac))),
    ];
    let counters = ["rx_bytes", "tx_bytes", "rx_packets", "tx_packets", "rx_errors", "tx_errors", "rx_dropped", "tx_dropped"];
    let counters = counters.into_iter().map(|counter| (counter, root.whole(&file(&format!("statistics/{counter}"))).map(|count| json!(count))));
    known.into_iter().chain(counters).filter_map(|(name, value)| Some((name.to_owned(), value?))).collect()
}

fn parse_hex(text: &str) -> Option<u64> {
    u64::from_str_radix(text.strip_prefix("0x")?, 16).ok()
}

/// `ethernet` and `wifi` are real ports; all else is made by software, or is the loopback.
pub(crate) fn kind(root: &Root, name: &str) -> &'static str {
    let has = |file: &str| root.has(&format!("{FOLDER}/{name}/{file}"));
    let hardware = root.whole(&format!("{FOLDER}/{name}/type"));
    let uevent = root.text(&format!("{FOLDER}/{name}/uevent")).unwrap_or_default();
    let made_as = uevent.lines().find_map(|line| line.strip_prefix("DEVTYPE=")).unwrap_or_default();
    match (hardware, made_as) {
        (Some(772), _) => "loopback",
        _ if has("phy80211") || has("wireless") || made_as == "wlan" => "wifi",
        _ if has("bridge") => "bridge",
        _ if has("bonding") => "bond",
        (_, "vlan") => "vlan",
        (_, "wwan") => "cellular",
        (Some(512), _) => "ppp",
        (Some(1), _) if has("device") => "ethernet",
        (Some(1), _) => "virtual",
        _ => "tunnel",
    }
}

/// Whether clients of the interface are on Wi-Fi.
pub(crate) fn is_wifi(root: &Root, name: &str) -> bool {
    kind(root, name) == "wifi"
}

/// `ethernet` and `wifi`, as far as the machine has such ports.
pub(crate) fn features(root: &Root) -> Vec<String> {
    let kinds: Vec<_> = names(root).iter().map(|name| kind(root, name)).collect();
    ["ethernet", "wifi"].into_iter().filter(|kind| kinds.contains(kind)).map(str::to_owned).collect()
}

/// Refuses the name of an interface that the machine does not have.
pub(crate) fn must_be(root: &Root, name: &str) -> Result<(), talkwire_device::ToolError> {
    match root.has(&format!("{FOLDER}/{name}/operstate")) {
        true => Ok(()),
        false => Err(talkwire_device::ToolError::invalid_args(format!("this machine has no interface {name}; network.interface_status lists them"))),
    }
}

/// What went through an interface so far: received and sent bytes.
pub(crate) fn bytes_through(root: &Root, name: &str) -> Option<(u64, u64)> {
    let count = |file: &str| root.whole(&format!("{FOLDER}/{name}/statistics/{file}"));
    Some((count("rx_bytes")?, count("tx_bytes")?))
}

/// Whether the cable, or what stands for it, is there. None when the interface is not.
pub(crate) fn has_link(root: &Root, name: &str) -> Option<bool> {
    let operstate = root.word(&format!("{FOLDER}/{name}/operstate"))?;
    let carrier = root.whole(&format!("{FOLDER}/{name}/carrier"));
    Some(matches!(operstate.as_str(), "up") || (operstate == "unknown" && carrier == Some(1)))
}

/// The interfaces of the machine.
pub(crate) fn all(root: &Root) -> Vec<String> {
    let mut names = names(root);
    names.truncate(MOST);
    names
}

/// The MAC address of an interface.
pub(crate) fn mac_of(root: &Root, name: &str) -> Option<String> {
    mac_digits(&root.word(&format!("{FOLDER}/{name}/address"))?).filter(|mac| mac != "000000000000")
}

/// The counters whose rates are told.
pub(crate) fn counts(root: &Root) -> BTreeMap<String, Counts> {
    let count = |name: &str| {
        let whole = |file: &str| root.whole(&format!("{FOLDER}/{name}/{file}"));
        // Every loss of the link is followed by one return, except the last; older kernels count both in one.
        let returns = whole("carrier_up_count").or_else(|| whole("carrier_changes").map(|changes| changes / 2));
        Counts { returns, crc: whole("statistics/rx_crc_errors"), packets: whole("statistics/rx_packets") }
    };
    names(root).into_iter().take(MOST).map(|name| (name.clone(), count(&name))).collect()
}
