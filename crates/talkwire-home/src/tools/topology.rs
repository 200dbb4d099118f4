//! The map of the home: devices and the links between them.

use crate::file::Backhaul;
use crate::house::{House, Role};
use serde_json::{Value, json};

impl House {
    /// The map of the home, as `topology.get_full` tells it.
    pub(crate) fn topology(&mut self) -> Value {
        let mut devices = Vec::new();
        let mut connections = Vec::new();
        for (index, node) in self.nodes.iter().enumerate() {
            let (kind, role) = match node.role {
                Role::Router => ("router", "gateway"),
                Role::MeshNode => ("mesh_node", "access_point"),
                _ => ("ap", "access_point"),
            };
            devices.push(json!({"device_id": node.id, "mac_address": node.id, "name": node.name, "hostname": node.name,
                "device_type": kind, "role": role, "ip_address": format!("{}.{}", self.pool.subnet, index + 1),
                "room": node.room, "online": node.running(self.now())}));
            match &node.backhaul {
                _ if index == 0 => {}
                Backhaul::Eth { mbps } => connections.push(json!({"from_device": self.nodes[0].id, "to_device": node.id,
                    "connection_type": "ethernet", "bandwidth_mbps": mbps, "quality_score": 1.0, "rssi_dbm": Value::Null})),
                Backhaul::Radio { band, .. } => {
                    if let Some(link) = self.backhaul(index, 0) {
                        connections.push(json!({"from_device": self.nodes[link.parent].id, "to_device": node.id,
                            "connection_type": "wifi", "bandwidth_mbps": link.phy_mbps.round(), "quality_score": quality(link.rssi_dbm),
                            "band": band.name(), "rssi_dbm": link.rssi_dbm.round() as i64}));
                    }
                }
            }
        }
        for index in 0..self.clients.len() {
            let client = &self.clients[index];
            let online = client.file.wired || client.link.is_some();
            devices.push(json!({"device_id": client.file.mac, "mac_address": client.file.mac, "name": client.file.name,
                "hostname": client.file.name, "device_type": client.file.kind.name(), "role": "client",
                "ip_address": client.address, "room": client.file.room, "online": online}));
            if client.file.wired {
                connections.push(json!({"from_device": self.nodes[0].id, "to_device": client.file.mac, "connection_type": "ethernet",
                    "bandwidth_mbps": 1000, "quality_score": 1.0, "rssi_dbm": Value::Null}));
            } else if let (Some((node, radio)), Some(link)) = (client.link, self.link_of(index)) {
                connections.push(json!({"from_device": self.nodes[node].id, "to_device": client.file.mac, "connection_type": "wifi",
                    "bandwidth_mbps": link.down.map_or(0.0, |rate| rate.phy_mbps).round(), "quality_score": quality(link.rssi_ul),
                    "band": self.nodes[node].radios[radio].band.name(), "rssi_dbm": link.rssi_ul.round() as i64}));
            }
        }
        let external = self.line().address.then(|| self.session.address.clone());
        json!({
            "metadata": {"tenant": self.file.site.tenant, "site": self.file.site.site,
                "device_count": devices.len(), "connection_count": connections.len()},
            "devices": devices,
            "connections": connections,
            "gateway": {"device_id": self.nodes[0].id, "ip_address": format!("{}.1", self.pool.subnet), "external_ip": external,
                "connection_type": self.protocol()},
        })
    }
}

/// 1 from -50 dBm, 0 from -90 dBm.
fn quality(rssi_dbm: f64) -> f64 {
    (((rssi_dbm + 90.0) / 40.0).clamp(0.0, 1.0) * 100.0).round() / 100.0
}
