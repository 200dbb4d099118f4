//! What a device of the house says about itself without being asked: card, state, telemetry.

use crate::house::{House, Role};
use crate::tools::At;
use serde_json::{Value, json};

/// Who a device is.
#[derive(Debug, Clone, PartialEq)]
pub struct Card {
    /// 12 lower-case hex digits.
    pub device_id: String,
    /// Name in the home.
    pub name: String,
    /// `router`, `access_point`, `mesh_node` or `client`.
    pub device_type: &'static str,
    /// Maker.
    pub manufacturer: &'static str,
    /// Model.
    pub model: String,
    /// Version of the software.
    pub firmware_version: &'static str,
    /// The room it stands in.
    pub room: String,
    /// The `capabilities` object with all tools.
    pub capabilities: Value,
}

/// How a device is.
#[derive(Debug, Clone, PartialEq)]
pub struct State {
    /// `ok`, `warning` or `error`.
    pub health: &'static str,
    /// Seconds since the start.
    pub uptime_s: i64,
    /// Processor load in percent.
    pub cpu_usage: f64,
    /// Used memory in percent.
    pub memory_usage: f64,
    /// Temperature of the chip, if it has a thermometer.
    pub temperature_c: Option<f64>,
    /// `connected` when packets reach the world.
    pub connection_status: &'static str,
}

/// One measured value.
#[derive(Debug, Clone, PartialEq)]
pub struct Metric {
    /// Its name, such as `cpu_usage`.
    pub name: &'static str,
    /// The value.
    pub value: f64,
    /// Its unit, such as `%`.
    pub unit: &'static str,
}

impl House {
    /// The cards of all devices: the router, access points, mesh nodes, then client agents.
    pub fn devices(&self) -> Vec<Card> {
        let nodes = (0..self.nodes.len()).map(At::Node);
        let agents = (0..self.clients.len()).filter(|client| self.clients[*client].file.agent).map(At::Agent);
        nodes.chain(agents).map(|at| self.card(at)).collect()
    }

    fn card(&self, at: At) -> Card {
        let (device_id, name, model, room) = match at {
            At::Node(node) => {
                let node = &self.nodes[node];
                (node.id.clone(), node.name.clone(), node.model.clone(), node.room.clone())
            }
            At::Agent(client) => {
                let file = &self.clients[client].file;
                (file.mac.clone(), file.name.clone(), file.kind.name().to_string(), file.room.clone())
            }
        };
        Card {
            device_id,
            name,
            device_type: self.role(at).device_type(),
            manufacturer: "Talkwire",
            model,
            firmware_version: env!("CARGO_PKG_VERSION"),
            room,
            capabilities: self.capabilities(at),
        }
    }

    /// Can the device be reached inside the home now? A restarting router cannot, nor a laptop without its Wi-Fi.
    pub fn reachable(&self, device_id: &str) -> bool {
        self.find(device_id).is_some_and(|at| self.at_running(at))
    }

    /// The state of a device.
    pub fn state(&self, device_id: &str) -> Option<State> {
        self.find(device_id).map(|at| self.state_of(at))
    }

    pub(crate) fn state_of(&self, at: At) -> State {
        let connection_status = if self.line().reachable { "connected" } else { "disconnected" };
        match at {
            At::Node(node) => {
                let state = &self.nodes[node];
                let health = match (state.die_c, state.memory_percent) {
                    (c, m) if c >= 100.0 || m >= 95.0 => "error",
                    (c, m) if c >= 92.0 || m >= 85.0 => "warning",
                    _ => "ok",
                };
                State {
                    health,
                    uptime_s: (self.now() - state.up_since).max(0.0) as i64,
                    cpu_usage: (3.0 + state.core_max_percent / state.machine.cores()).min(100.0).round(),
                    memory_usage: state.memory_percent.round(),
                    temperature_c: state.thermometer.then(|| state.die_c.round()),
                    connection_status,
                }
            }
            At::Agent(client) => {
                let joined = self.at_running(At::Agent(client));
                State {
                    health: "ok",
                    uptime_s: (self.now() + 30_000.0) as i64,
                    cpu_usage: 14.0,
                    memory_usage: 58.0,
                    temperature_c: None,
                    connection_status: if joined { connection_status } else { "disconnected" },
                }
            }
        }
    }

    /// What a device measures all the time.
    pub fn telemetry(&self, device_id: &str) -> Vec<Metric> {
        let Some(at) = self.find(device_id).filter(|at| self.at_running(*at)) else {
            return Vec::new();
        };
        let state = self.state_of(at);
        let metric = |name, value: f64, unit| Metric { name, value: (value * 10.0).round() / 10.0, unit };
        let mut metrics = vec![metric("cpu_usage", state.cpu_usage, "%"), metric("memory_usage", state.memory_usage, "%")];
        metrics.extend(state.temperature_c.map(|c| metric("temperature", c, "celsius")));
        match at {
            At::Node(node) => {
                if self.role(at) == Role::Router {
                    metrics.push(metric("network_throughput", self.loads.wan_down, "mbps"));
                    metrics.push(metric("upload_throughput", self.loads.wan_up, "mbps"));
                }
                let joined = self.clients.iter().filter(|client| client.link.is_some_and(|(at, _)| at == node)).count();
                metrics.push(metric("wifi_clients", joined as f64, "clients"));
                let busy = self.airs[node].iter().zip(&self.loads.air_own[node]).map(|(air, own)| (air.external + own).min(1.0)).fold(0.0, f64::max);
                metrics.push(metric("wifi.channel_utilization", 100.0 * busy, "%"));
            }
            At::Agent(client) => {
                if let Some(link) = self.link_of(client) {
                    metrics.push(metric("wifi.rssi", link.rssi_dl, "dbm"));
                }
            }
        }
        metrics
    }

    /// Where messages of this home go: tenant and site.
    pub fn address(&self) -> (&str, &str) {
        (&self.file.site.tenant, &self.file.site.site)
    }
}

impl Card {
    /// The `attr` payload without schema and time.
    pub fn attributes(&self) -> Value {
        json!({
            "device_id": self.device_id, "device_type": self.device_type, "manufacturer": self.manufacturer, "model": self.model,
            "firmware_version": self.firmware_version, "mac_address": self.device_id, "name": self.name, "location": self.room,
            "capabilities": self.capabilities,
        })
    }
}
