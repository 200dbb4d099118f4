//! Tools about the mesh: who hangs on whom, and what the way back carries.

use super::instrument::tenth;
use crate::error::ToolFault;
use crate::file::Backhaul;
use crate::house::House;
use serde_json::{Map, Value, json};

impl House {
    pub(super) fn mesh_topology(&mut self) -> Value {
        let mut nodes = Vec::new();
        for node in 1..self.nodes.len() {
            let link = self.backhaul(node, 0);
            let error = self.error(1.5);
            let parent = link.map_or(0, |link| link.parent);
            let state = &self.nodes[node];
            let radio = matches!(state.backhaul, Backhaul::Radio { .. });
            nodes.push(json!({
                "device_id": state.id, "name": state.name, "parent_id": self.nodes[parent].id,
                "kind": if radio { "radio" } else { "eth" }, "hops": self.hops(node),
                "rssi_dbm": link.map(|link| (link.rssi_dbm + error).round() as i64),
                "phy_mbps": link.map(|link| tenth(link.phy_mbps)), "shared": link.is_some_and(|link| link.shared),
                "alternative_parent_id": Value::Null, "alternative_rssi_dbm": Value::Null,
                "flaps_per_day": 0, "online": state.running(self.now()),
            }));
        }
        json!({"root": self.nodes[0].id, "nodes": nodes})
    }

    fn hops(&self, node: usize) -> usize {
        let mut at = node;
        let mut hops = 0;
        while at != 0 && hops < 5 {
            at = self.backhaul(at, 0).map_or(0, |link| link.parent);
            hops += 1;
        }
        hops
    }

    pub(super) fn backhaul_test(&mut self, args: &Map<String, Value>) -> Result<Value, ToolFault> {
        let only = match args.get("node_id").and_then(Value::as_str) {
            None => None,
            Some(id) => {
                Some(self.node_index(id).filter(|node| *node > 0).ok_or_else(|| ToolFault::args(format!("there is no node {id}, see mesh.get_topology")))?)
            }
        };
        let mut nodes = Vec::new();
        for node in (1..self.nodes.len()).filter(|node| only.is_none_or(|only| only == *node)) {
            let link = self.backhaul(node, 0);
            let (kind, mbps, base) = match (&self.nodes[node].backhaul, link) {
                (Backhaul::Radio { .. }, Some(link)) => ("radio", link.tcp_mbps, 2.0),
                (Backhaul::Radio { .. }, None) => ("radio", 0.0, 0.0),
                (Backhaul::Eth { mbps }, _) => ("eth", mbps * 0.941, 0.4),
            };
            let measured = self.read_mbps(mbps, if kind == "eth" { 0.01 } else { 0.08 });
            let state = &self.nodes[node];
            let (id, name) = (state.id.clone(), state.name.clone());
            let weak = link.is_some_and(|link| link.rssi_dbm < -80.0);
            nodes.push(json!({"device_id": id, "name": name, "kind": kind, "throughput_mbps": measured,
                "latency_ms": tenth(base + self.error(0.3).abs()), "loss_percent": if weak { 1.0 } else { 0.0 }}));
        }
        Ok(json!({"nodes": nodes}))
    }
}
