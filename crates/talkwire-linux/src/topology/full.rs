//! `topology.get_full`: this machine, its clients, its gateway, and what connects them.

use crate::machine::Machine;
use crate::text::tenth;
use crate::tool::{LinuxTool, cheap};
use crate::{address, args, bridge, clients, ports};
use serde_json::{Value, json};
use std::sync::Arc;
use talkwire_device::{Args, ToolError};
use talkwire_proto::id::mac_digits;

const OP: &str = "topology.get_full";

pub(super) fn tool(machine: &Arc<Machine>) -> LinuxTool {
    if !machine.root.has("proc/net/arp") {
        return LinuxTool::lacking(OP, "no_neighbour_table");
    }
    let machine = machine.clone();
    LinuxTool::new(OP, cheap(500), move |call| {
        let machine = machine.clone();
        async move { answer(&machine, &call.args).await }
    })
}

async fn answer(machine: &Machine, args: &Args) -> Result<Value, ToolError> {
    let root = &machine.root;
    let include_offline = args::flag(args, "include_offline")?.unwrap_or(false);
    let own = address::all(root).await;
    let way_out = machine.way_out();
    let is_router = machine.is_router().await;
    let wan = way_out.as_ref().map(|way| way.interface.clone());
    let home = own.iter().find(|address| Some(&address.interface) != wan.as_ref()).or(own.first());
    let mac = home.or(own.first()).and_then(|address| ports::mac_of(root, &address.interface));
    let (id, name) = machine.identity.clone().unwrap_or_else(|| {
        let id = mac.clone().unwrap_or_else(|| "self".into());
        (id.clone(), root.word("proc/sys/kernel/hostname").unwrap_or(id))
    });
    let (kind, role) = if is_router { ("router", "gateway") } else { ("linux", "access_point") };
    let mut devices = vec![json!({"device_id": id, "mac_address": mac, "name": name, "hostname": name, "device_type": kind, "role": role,
        "ip_address": home.map(|address| address.ip), "online": true})];
    let mut connections = Vec::new();
    let rows = clients::rows(machine, None, include_offline).await?;
    for row in &rows {
        let online = row["online"] == true;
        devices.push(json!({"device_id": row["client_mac"], "mac_address": row["client_mac"], "name": row.get("hostname").unwrap_or(&row["client_mac"]),
            "hostname": row.get("hostname"), "device_type": "client", "role": "client", "ip_address": row.get("ip_address"), "online": online}));
        if online {
            connections.push(connection(machine, &id, row));
        }
    }
    let gateway = way_out.as_ref().and_then(|way| way.gateway);
    let upstream = gateway.and_then(|ip| clients::by_address(root).remove(&ip).map(|(mac, _)| (ip, mac)));
    if let Some((ip, mac)) = &upstream {
        let role = if is_router { "provider" } else { "gateway" };
        devices.push(json!({"device_id": mac, "mac_address": mac, "name": ip, "device_type": "router", "role": role, "ip_address": ip, "online": true}));
        let speed = wan.as_deref().and_then(|name| root.whole(&format!("sys/class/net/{name}/speed")));
        connections.push(json!({"from_device": mac, "to_device": id, "connection_type": "ethernet", "bandwidth_mbps": speed, "interface": wan}));
    }
    let external = own.iter().find(|address| Some(&address.interface) == wan.as_ref()).map(|address| address.ip);
    let gateway = match is_router {
        true => json!({"device_id": id, "ip_address": home.map(|address| address.ip), "external_ip": external}),
        false => json!({"device_id": upstream.map(|(_, mac)| mac), "ip_address": gateway, "external_ip": Value::Null}),
    };
    Ok(
        json!({"metadata": {"device_count": devices.len(), "connection_count": connections.len(), "seen_from": id}, "devices": devices, "connections": connections,
        "gateway": gateway}),
    )
}

fn connection(machine: &Machine, from: &str, row: &Value) -> Value {
    let root = &machine.root;
    let mac = row["client_mac"].as_str().and_then(mac_digits).unwrap_or_default();
    let interface = row.get("interface").and_then(Value::as_str).unwrap_or_default();
    if row.get("connection").and_then(Value::as_str) == Some("wifi") {
        let rssi = row.get("rssi_dbm").and_then(Value::as_f64);
        // 1 from -50 dBm, 0 from -90 dBm.
        let quality = rssi.map(|dbm| tenth(10.0 * ((dbm + 90.0) / 40.0).clamp(0.0, 1.0)) / 10.0);
        return json!({"from_device": from, "to_device": mac, "connection_type": "wifi", "bandwidth_mbps": row.get("phy_down_mbps"), "quality_score": quality,
            "rssi_dbm": rssi, "interface": interface});
    }
    let port = bridge::port_of(root, interface, &mac).unwrap_or_else(|| interface.to_owned());
    let speed = root.whole(&format!("sys/class/net/{port}/speed")).filter(|mbps| (1..u64::from(u32::MAX)).contains(mbps));
    json!({"from_device": from, "to_device": mac, "connection_type": "ethernet", "bandwidth_mbps": speed, "rssi_dbm": Value::Null, "interface": interface, "port": port})
}
