//! Tools about clients: who is there, how well, and where each could be.

use super::At;
use super::instrument::tenth;
use crate::error::ToolFault;
use crate::house::{House, Link};
use crate::physics::path::Band;
use crate::physics::rate;
use serde_json::{Map, Value, json};

impl House {
    /// The client that an argument names, as seen from a device.
    pub(super) fn client_of(&self, at: At, mac: &Value) -> Result<usize, ToolFault> {
        let mac = mac.as_str().ok_or_else(|| ToolFault::args("client_mac must be a text"))?;
        let plain = mac.replace([':', '-'], "").to_lowercase();
        self.client_index(&plain)
            .filter(|client| match at {
                At::Node(node) => self.sees(node, *client) || self.clients[*client].last_node == Some(node),
                At::Agent(own) => own == *client,
            })
            .ok_or_else(|| ToolFault::new("E_NOT_FOUND", format!("no client {mac} here, see clients.list")))
    }

    fn sees(&self, node: usize, client: usize) -> bool {
        node == 0 || self.clients[client].link.is_some_and(|(at, _)| at == node)
    }

    fn asked(&self, node: usize, args: &Map<String, Value>) -> Result<Vec<usize>, ToolFault> {
        if let Some(mac) = args.get("client_mac") {
            return Ok(vec![self.client_of(At::Node(node), mac)?]);
        }
        Ok((0..self.clients.len())
            .filter(|client| self.sees(node, *client))
            .filter(|client| self.clients[*client].file.wired || self.clients[*client].link.is_some())
            .collect())
    }

    fn unit_error(&mut self, client: usize) -> f64 {
        if !self.noise {
            return 0.0;
        }
        let offset = 1.5 * crate::random::fixed_normal(self.seed, &[crate::random::key(&self.clients[client].file.mac), 3]);
        offset + self.error(1.5)
    }

    pub(super) fn clients_list(&mut self, node: usize, args: &Map<String, Value>) -> Result<Value, ToolFault> {
        let asked = self.asked(node, args)?;
        let clients: Vec<Value> = asked.into_iter().map(|client| self.client_row(client)).collect();
        Ok(json!({"total": clients.len(), "clients": clients}))
    }

    fn client_row(&mut self, client: usize) -> Value {
        let link = self.link_of(client);
        let error = self.unit_error(client).round();
        let busy = self.trace.down.get(client).copied().unwrap_or(0.0) + self.trace.up.get(client).copied().unwrap_or(0.0);
        let dozes = self.noise && busy < 0.05 && self.random.chance(0.5);
        let state = &self.clients[client];
        let mut row = json!({"client_mac": state.file.mac, "hostname": state.file.name, "ip_address": state.address,
            "connection": if state.file.wired { "ethernet" } else { "wifi" }, "supports_5ghz": state.file.supports_5ghz,
            "kind": state.file.kind.name(), "room": state.file.room});
        let radio = match (state.link, link) {
            (Some((node, radio)), Some(link)) => {
                let at = &self.nodes[node];
                let own = &at.radios[radio];
                let width = if own.band == Band::Ghz2 { own.width_mhz.min(40) } else { own.width_mhz.min(state.file.width_mhz) };
                let phy = |chosen: Option<rate::Rate>| if dozes { 24.0 } else { tenth(chosen.map_or(0.0, |rate| rate.phy_mbps)) };
                json!({"ap": at.id, "ap_name": at.name, "interface": own.interface, "band": own.band.name(),
                    "rssi_dbm": (link.rssi_ul + error) as i64, "snr_db": (link.rssi_ul + error - self.airs[node][radio].noise_dbm).round() as i64,
                    "phy_down_mbps": phy(link.down), "phy_up_mbps": phy(link.up), "generation": state.file.generation.name(),
                    "streams": state.file.streams, "width_mhz": width})
            }
            _ => json!({"ap": self.nodes[0].id, "ap_name": self.nodes[0].name, "interface": "lan1", "band": Value::Null,
                "rssi_dbm": Value::Null, "snr_db": Value::Null, "phy_down_mbps": Value::Null, "phy_up_mbps": Value::Null,
                "generation": Value::Null, "streams": Value::Null, "width_mhz": Value::Null}),
        };
        extend(&mut row, radio);
        row
    }

    pub(super) fn clients_health(&mut self, node: usize, args: &Map<String, Value>) -> Result<Value, ToolFault> {
        let asked = self.asked(node, args)?;
        let now = self.now();
        let mut clients = Vec::new();
        for client in asked {
            let (Some((at, radio)), Some(link)) = (self.clients[client].link, self.link_of(client)) else { continue };
            let error = self.unit_error(client).round();
            let reads = [self.read_dbm(link.rssi_ul - 1.0), self.read_dbm(link.rssi_ul - 2.0)];
            let retry = (100.0 * link.retry + self.error(2.0)).round().clamp(0.0, 100.0);
            let state = &self.clients[client];
            let drops = state.drops.iter().filter(|at| now - **at < 3600.0).count();
            clients.push(json!({"client_mac": state.file.mac, "hostname": state.file.name, "ap": self.nodes[at].id,
                "ap_name": self.nodes[at].name, "band": self.nodes[at].radios[radio].band.name(),
                "rssi_dbm": (link.rssi_ul + error) as i64,
                "rssi_dl_dbm": if state.file.kind.roaming().is_some() { json!((link.rssi_dl + error) as i64) } else { Value::Null },
                "snr_db": (link.rssi_ul + error - self.airs[at][radio].noise_dbm).round() as i64,
                "retry_percent": retry, "disconnects_per_hour": drops as f64, "last_reason": state.last_reason,
                "power_save": state.file.kind.sleeps(), "chains_dbm": reads}));
        }
        Ok(json!({"total": clients.len(), "clients": clients}))
    }

    pub(super) fn roaming_test(&mut self, node: usize, args: &Map<String, Value>) -> Result<Value, ToolFault> {
        let asked = self.asked(node, args)?;
        let mut clients = Vec::new();
        for client in asked {
            let (Some((at, _)), Some(link)) = (self.clients[client].link, self.link_of(client)) else { continue };
            let error = self.unit_error(client).round();
            let other = self.best_radio(client, None, Some(at)).map(|(other, radio, _)| {
                let level = self.link(&self.receiver(client), other, radio).rssi_ul;
                (other, (level + error) as i64)
            });
            let gap = if self.noise { self.random.between(80.0, 300.0) } else { 190.0 };
            let state = &self.clients[client];
            let roams = state.roams.iter().filter(|at| self.now() - **at < 3600.0).count();
            clients.push(json!({"client_mac": state.file.mac, "hostname": state.file.name,
                "current_ap": self.nodes[at].id, "current_ap_name": self.nodes[at].name, "current_rssi_dbm": (link.rssi_ul + error) as i64,
                "alternative_ap": other.map(|(other, _)| self.nodes[other].id.clone()),
                "alternative_ap_name": other.map(|(other, _)| self.nodes[other].name.clone()),
                "alternative_rssi_dbm": other.map(|(_, level)| level), "roams_per_hour": roams as f64,
                "gap_ms": gap.round(), "loss_percent": tenth(100.0 * rate::residual_loss(link.retry) + Link::down_part(&link)),
                "kvr": ["k"]}));
        }
        Ok(json!({"total": clients.len(), "clients": clients}))
    }
}

impl Link {
    /// Extra loss of a link so weak that even the lowest rate fails, in percent.
    pub(crate) fn down_part(link: &Link) -> f64 {
        if link.down.is_none() || link.up.is_none() { 50.0 } else { 0.0 }
    }
}

fn extend(row: &mut Value, more: Value) {
    if let (Value::Object(row), Value::Object(more)) = (row, more) {
        row.extend(more);
    }
}
