//! Tools about the device itself: status, capabilities, hardware, logs, interfaces.

use super::{At, Class, table};
use crate::house::House;
use serde_json::{Map, Value, json};

impl House {
    pub(super) fn device_status(&mut self, at: At) -> Value {
        let state = self.state_of(at);
        json!({
            "health": state.health,
            "uptime_s": state.uptime_s,
            "uptime": state.uptime_s,
            "cpu_usage": state.cpu_usage,
            "memory_usage": state.memory_usage,
            "temperature_c": state.temperature_c,
            "network_status": state.connection_status,
        })
    }

    /// The `capabilities` object of a device, in the form of the diagnostics document.
    pub(crate) fn capabilities(&self, at: At) -> Value {
        let mut tools = Map::new();
        for tool in table::of(self.role(at)) {
            for name in std::iter::once(&tool.op).chain(tool.aliases) {
                let mut entry = json!({"supported": true, "version": "1.0", "class": tool.class,
                    "response_time_ms": tool.response_ms, "resource_usage": tool.resource_usage});
                if tool.op == "network.speedtest_full" {
                    entry["limitations"] = json!({"max_duration": 60, "concurrent_limit": 1});
                }
                if tool.class == Class::Act {
                    let permission = if tool.op == "device.restart" { "admin" } else { "config_change" };
                    entry["permissions"] = json!([permission]);
                    entry["rollback_supported"] = json!(tool.rollback);
                }
                tools.insert((*name).to_string(), entry);
            }
        }
        json!({"device_type": self.role(at).device_type(), "llm_integration": {"supported": true, "version": "1.0"}, "tools": tools})
    }

    pub(super) fn hardware_info(&mut self, at: At) -> Value {
        let now = self.now();
        match at {
            At::Agent(client) => json!({"model": self.clients[client].file.kind.name(), "cpu_percent": 14, "core_max_percent": 31,
                "memory_percent": 58, "temperature_c": Value::Null, "uptime_s": (now + 30_000.0) as i64, "boots_7d": 1, "conntrack_percent": Value::Null}),
            At::Node(node) => {
                let wobble = self.error(1.0);
                let state = &self.nodes[node];
                let core = state.core_max_percent;
                let boots = state.boots.iter().filter(|at| now - **at < 7.0 * 86_400.0).count()
                    + usize::from((0.0..7.0 * 86_400.0).contains(&(now - self.first_start(node))));
                let connections = 2.0 + 0.5 * self.clients.len() as f64 + self.loads.wan_down / 20.0;
                json!({
                    "model": state.model,
                    "cpu_percent": (3.0 + core / state.machine.cores() + wobble).clamp(1.0, 100.0).round() as i64,
                    "core_max_percent": core.round() as i64,
                    "memory_percent": state.memory_percent.round() as i64,
                    "temperature_c": state.thermometer.then(|| (state.die_c + wobble).round() as i64),
                    "uptime_s": (now - state.up_since).max(0.0) as i64,
                    "boots_7d": boots,
                    "conntrack_percent": connections.round().min(100.0) as i64,
                })
            }
        }
    }

    /// When the device was started before the house began.
    fn first_start(&self, node: usize) -> f64 {
        let days = self.file.nodes().nth(node).map_or(0.0, |file| file.uptime_days);
        -days * 86_400.0
    }

    pub(super) fn logs(&mut self, at: At, args: &Map<String, Value>) -> Value {
        let limit = args.get("limit").and_then(Value::as_u64).unwrap_or(200) as usize;
        let since = args.get("since_s").and_then(Value::as_f64).map_or(f64::NEG_INFINITY, |span| self.now() - span);
        let level = args.get("level").and_then(Value::as_str);
        let At::Node(node) = at else {
            return json!({"entries": [], "total": 0});
        };
        let lines: Vec<_> = self.nodes[node].log.iter().filter(|line| line.at_s >= since && level.is_none_or(|level| level == line.level)).collect();
        let entries: Vec<Value> = lines
            .iter()
            .skip(lines.len().saturating_sub(limit))
            .map(|line| json!({"ts": self.clock.unix_ms(line.at_s), "level": line.level, "source": line.source, "message": line.message}))
            .collect();
        json!({"total": entries.len(), "entries": entries})
    }

    pub(super) fn interface_status(&mut self, at: At) -> Value {
        let now = self.now();
        let mut interfaces = Vec::new();
        match at {
            At::Agent(client) => {
                let state = &self.clients[client];
                let wired = state.file.wired;
                let (name, kind) = if wired { ("eth0", "ethernet") } else { ("wlan0", "wifi") };
                interfaces.push(json!({"interface": name, "type": kind, "status": "up", "ip_address": state.address,
                    "speed_mbps": if wired { json!(1000) } else { Value::Null }}));
            }
            At::Node(node) => {
                let (port, speed, up, flaps) = if node == 0 {
                    let line = self.line();
                    let flaps = self.session.flaps.iter().filter(|at| now - **at < 3600.0).count();
                    ("wan", line.port_mbps, line.link, flaps)
                } else {
                    let speed = match &self.nodes[node].backhaul {
                        crate::file::Backhaul::Eth { mbps } => *mbps,
                        crate::file::Backhaul::Radio { .. } => 0.0,
                    };
                    ("eth0", speed, speed > 0.0, 0)
                };
                interfaces.push(json!({"interface": port, "type": "ethernet", "status": if up { "up" } else { "down" },
                    "speed_mbps": if up { speed } else { 0.0 }, "duplex": "full", "crc_ppm": 0.0, "flaps_per_hour": flaps}));
                if node == 0 {
                    interfaces.push(json!({"interface": "lan1", "type": "ethernet", "status": "up", "speed_mbps": 1000.0,
                        "duplex": "full", "crc_ppm": 0.0, "flaps_per_hour": 0}));
                }
                for (index, radio) in self.nodes[node].radios.iter().enumerate() {
                    let status = if self.radio_on(node, index) { "up" } else { "down" };
                    interfaces.push(json!({"interface": radio.interface, "type": "wifi", "status": status, "band": radio.band.name(),
                        "channel": radio.channel, "width_mhz": radio.width_mhz, "tx_power_dbm": radio.power_dbm.round() as i64}));
                }
            }
        }
        json!({"interfaces": interfaces})
    }
}
