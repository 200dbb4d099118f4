//! `topology.query_interfaces` and `topology.query_bridge_table`: the tables of the kernel as they are.

use crate::machine::Machine;
use crate::root::Root;
use crate::tool::{LinuxTool, cheap};
use crate::{address, args, bridge, ports};
use serde_json::{Value, json};
use std::net::Ipv4Addr;
use std::sync::Arc;
use talkwire_device::{Args, ToolError};

const INTERFACES: &str = "topology.query_interfaces";
const BRIDGES: &str = "topology.query_bridge_table";
/// Routes and learned addresses of one answer.
const MOST: usize = 512;

pub(super) fn interfaces_tool(machine: &Arc<Machine>) -> LinuxTool {
    if !machine.root.has("sys/class/net") {
        return LinuxTool::lacking(INTERFACES, "no_sys_class_net");
    }
    let machine = machine.clone();
    LinuxTool::new(INTERFACES, cheap(200), move |call| {
        let machine = machine.clone();
        async move { interfaces(&machine, &call.args).await }
    })
}

async fn interfaces(machine: &Machine, args: &Args) -> Result<Value, ToolError> {
    let root = &machine.root;
    let filter = args::interfaces(args, "interface_filter")?;
    let include_routing = args::flag(args, "include_routing")?.unwrap_or(false);
    let wanted = |name: &str| filter.as_ref().is_none_or(|names| names.iter().any(|one| one == name));
    let own = address::all(root).await;
    let rows: Vec<Value> = ports::rows(machine)
        .into_iter()
        .filter(|row| row["interface"].as_str().is_some_and(wanted))
        .map(|mut row| {
            let addresses = own.iter().filter(|address| row["interface"] == address.interface.as_str());
            let addresses: Vec<Value> =
                addresses.map(|address| json!({"ip_address": address.ip, "prefix": address.prefix, "subnet": address.subnet()})).collect();
            row["addresses"] = json!(addresses);
            row
        })
        .collect();
    let mut result = json!({"total": rows.len(), "interfaces": rows});
    if include_routing {
        result["routes"] = json!(routes(root).into_iter().filter(|route| route["interface"].as_str().is_some_and(wanted)).take(MOST).collect::<Vec<_>>());
    }
    Ok(result)
}

fn routes(root: &Root) -> Vec<Value> {
    let ip = |text: &str| u32::from_str_radix(text, 16).ok().map(|number| Ipv4Addr::from(number.to_ne_bytes()));
    let text = root.text("proc/net/route").unwrap_or_default();
    let row = |line: &str| {
        let columns: Vec<&str> = line.split_ascii_whitespace().collect();
        let [interface, destination, gateway, _, _, _, metric, mask, ..] = columns[..] else { return None };
        let gateway = ip(gateway)?;
        let prefix = u32::from(ip(mask)?).leading_ones();
        Some(json!({"interface": interface, "destination": format!("{}/{prefix}", ip(destination)?), "gateway": (!gateway.is_unspecified()).then_some(gateway),
            "metric": metric.parse::<u32>().ok()?}))
    };
    text.lines().skip(1).filter_map(row).collect()
}

pub(super) fn bridges_tool(machine: &Arc<Machine>) -> LinuxTool {
    if bridge::bridges(&machine.root).is_empty() {
        return LinuxTool::lacking(BRIDGES, "no_bridge");
    }
    let machine = machine.clone();
    LinuxTool::reading(BRIDGES, cheap(100), move |args| bridge_table(&machine.root, args))
}

fn bridge_table(root: &Root, args: &Args) -> Result<Value, ToolError> {
    let name = args::interface(args, "bridge_name")?;
    let ages = args::flag(args, "include_aging_info")?.unwrap_or(false);
    let bridges = bridge::bridges(root);
    if let Some(name) = name.as_ref().filter(|name| !bridges.contains(name)) {
        return Err(ToolError::invalid_args(format!("this machine has no bridge {name}, but {}", bridges.join(", "))));
    }
    let rows = bridges.into_iter().filter(|bridge| name.as_ref().is_none_or(|name| name == bridge)).map(|bridge| {
        let ports = bridge::ports(root, &bridge);
        let learned = bridge::learned(root, &bridge);
        let total = learned.len();
        let entries: Vec<Value> = learned
            .into_iter()
            .take(MOST)
            .map(|entry| {
                let port = ports.iter().find(|(number, _)| *number == entry.port).map(|(_, name)| name);
                let mut row = json!({"mac_address": entry.mac, "port": port, "local": entry.is_local});
                if ages {
                    row["age_s"] = json!(entry.age_s);
                }
                row
            })
            .collect();
        json!({"bridge": bridge, "ports": ports.iter().map(|(_, name)| name).collect::<Vec<_>>(), "entries": entries, "total": total})
    });
    Ok(json!({"bridges": rows.collect::<Vec<_>>()}))
}
