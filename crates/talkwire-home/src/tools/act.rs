//! The Acts: what changes at once, and what it costs the clients.

use super::At;
use crate::error::ToolFault;
use crate::file::Fault;
use crate::file::people::ClientKind;
use crate::house::House;
use crate::physics::region::{needs_radar_watch, radar_watch_s};
use serde_json::{Map, Value, json};
use std::net::Ipv4Addr;

/// A restart of the WAN session ends an outage with this probability.
const NEW_SESSION_HELPS: f64 = 0.15;

impl House {
    pub(super) fn act(&mut self, at: At, op: &str, args: &Map<String, Value>) -> Result<Value, ToolFault> {
        let At::Node(node) = at else {
            return Err(ToolFault::new("E_UNKNOWN_OP", format!("this device has no tool {op}")));
        };
        let done = match op {
            "wifi.set_channel" => self.set_channel(node, args)?,
            "wifi.set_power" => self.set_power(node, args)?,
            "wifi.client_disconnect" => self.client_disconnect(node, args)?,
            "qos.apply_policy" => self.apply_policy(args)?,
            "dhcpdns.set" => self.set_dhcpdns(args)?,
            "system.restart_service" => self.restart_service(node, args)?,
            "device.restart" => {
                let down = self.restart(node, "asked");
                json!({"restarting": true, "downtime_s": down.round()})
            }
            _ => return Err(ToolFault::new("E_UNKNOWN_OP", format!("this device has no tool {op}"))),
        };
        self.refresh_air();
        self.loads = self.divide();
        Ok(done)
    }

    fn set_channel(&mut self, node: usize, args: &Map<String, Value>) -> Result<Value, ToolFault> {
        let radio = self.radio_of(node, args)?;
        let asked = args.get("channel").and_then(Value::as_u64).ok_or_else(|| ToolFault::args("channel must be a number"))?;
        let own = self.nodes[node].radios[radio].clone();
        let region = self.file.site.region;
        let channel = u16::try_from(asked).unwrap_or(0);
        if !region.allows(own.band, channel) {
            return Err(ToolFault::args(format!("channel {asked} is not allowed at {} here", own.band.name())));
        }
        let now = self.now();
        if own.closed.iter().any(|(closed, until)| *closed == channel && *until > now) {
            return Err(ToolFault::args(format!("channel {channel} is closed by radar for up to half an hour")));
        }
        let dfs = needs_radar_watch(own.band, channel);
        let downtime = match (channel == own.channel, dfs) {
            (true, _) => 0.0,
            (false, true) => radar_watch_s(channel) + self.random.between(1.0, 3.0),
            (false, false) => self.random.between(0.5, 2.0),
        };
        let state = &mut self.nodes[node].radios[radio];
        state.channel = channel;
        state.silent_until = now + downtime;
        state.power_dbm = state.power_dbm.min(region.limit_dbm(own.band, channel));
        let mine = self.joined(node, radio);
        if channel != own.channel {
            self.move_clients(&mine);
            self.log(node, "info", "hostapd", format!("{}: channel {} -> {channel}", own.interface, own.channel));
        }
        Ok(json!({"interface": own.interface, "band": own.band.name(), "channel": channel, "previous_channel": own.channel,
            "width_mhz": own.width_mhz, "dfs": dfs, "downtime_s": downtime.ceil(), "clients_affected": mine.len()}))
    }

    fn joined(&self, node: usize, radio: usize) -> Vec<usize> {
        (0..self.clients.len()).filter(|client| self.clients[*client].link == Some((node, radio))).collect()
    }

    /// After an announced change most clients follow at once, the others come back after a while.
    fn move_clients(&mut self, clients: &[usize]) {
        for client in clients {
            let simple = matches!(self.clients[*client].file.kind, ClientKind::Iot | ClientKind::Camera);
            let lost = !self.clients[*client].file.agent && self.random.chance(if simple { 0.9 } else { 0.15 });
            if lost {
                let away = self.random.between(3.0, 30.0);
                self.drop_client(*client, "channel_change", away);
            }
        }
    }

    fn set_power(&mut self, node: usize, args: &Map<String, Value>) -> Result<Value, ToolFault> {
        let radio = self.radio_of(node, args)?;
        let asked = args.get("power_dbm").and_then(Value::as_f64).ok_or_else(|| ToolFault::args("power_dbm must be a number"))?;
        if !(0.0..=36.0).contains(&asked) {
            return Err(ToolFault::args("power_dbm must be 0 to 36"));
        }
        let own = self.nodes[node].radios[radio].clone();
        let limit = self.file.site.region.limit_dbm(own.band, own.channel);
        let power = asked.min(limit);
        let downtime = if self.random.chance(0.3) { self.random.between(3.0, 8.0) } else { 0.0 };
        let silent = self.now() + downtime;
        let state = &mut self.nodes[node].radios[radio];
        state.power_dbm = power;
        state.silent_until = state.silent_until.max(silent);
        Ok(json!({"interface": own.interface, "band": own.band.name(), "power_dbm": power, "previous_power_dbm": own.power_dbm,
            "requested_dbm": asked, "limit_dbm": limit, "downtime_s": downtime.ceil()}))
    }

    fn client_disconnect(&mut self, node: usize, args: &Map<String, Value>) -> Result<Value, ToolFault> {
        let mac = args.get("client_mac").ok_or_else(|| ToolFault::args("client_mac is missing"))?;
        let client = self.client_of(At::Node(node), mac)?;
        let Some((at, radio)) = self.clients[client].link else {
            return Err(ToolFault::new("E_NOT_FOUND", "this client is not on Wi-Fi now"));
        };
        let phone = !matches!(self.clients[client].file.kind, ClientKind::Iot | ClientKind::Camera | ClientKind::Tv);
        let away = if phone { self.random.between(1.0, 5.0) } else { self.random.between(5.0, 30.0) };
        let now = self.now();
        self.drop_client(client, "kicked", away);
        self.clients[client].refused = Some((at, now + 30.0));
        let target = self.best_radio(client, None, Some(at)).filter(|_| self.random.chance(0.85));
        let (new_node, new_radio) = target.map_or((at, radio), |(node, radio, _)| (node, radio));
        self.clients[client].last_node = Some(new_node);
        let fresh = self.rogue().is_none();
        self.take_address(client, fresh);
        let state = &mut self.clients[client];
        if away <= 5.0 {
            state.link = Some((new_node, new_radio));
        }
        Ok(json!({"client_mac": state.file.mac, "reconnected": away <= 5.0, "downtime_s": away.ceil(),
            "previous_ap": self.nodes[at].id, "new_ap": self.nodes[new_node].id, "ip_address": state.address}))
    }

    fn apply_policy(&mut self, args: &Map<String, Value>) -> Result<Value, ToolFault> {
        let name = args.get("policy_name").and_then(Value::as_str).ok_or_else(|| ToolFault::args("policy_name is missing"))?;
        let rules = match args.get("rules") {
            None | Some(Value::Null) => Vec::new(),
            Some(Value::Array(rules)) if rules.iter().all(Value::is_object) && rules.len() <= 32 => rules.clone(),
            Some(_) => return Err(ToolFault::args("rules must be a list of at most 32 objects")),
        };
        let all = rules.iter().find(|rule| rule.get("category").and_then(Value::as_str) == Some("all"));
        let limit = all.and_then(|rule| rule.get("bandwidth_limit_mbps").or_else(|| rule.get("bandwidth_limit"))).and_then(Value::as_f64);
        let cap = |key: &str| args.get(key).and_then(Value::as_f64);
        let (asked_down, asked_up) = (cap("cap_down_mbps").or(limit), cap("cap_up_mbps"));
        if [asked_down, asked_up].into_iter().flatten().any(|cap| !(0.1..=100_000.0).contains(&cap)) {
            return Err(ToolFault::args("a cap must be at least 0.1 Mbps"));
        }
        let on = name != "off";
        let plan = &self.file.plan;
        let (down, up) = (0.9 * plan.down_mbps * self.delivered.min(1.0), 0.9 * plan.up_mbps * self.delivered.min(1.0));
        let shaper = &mut self.shaper;
        shaper.enabled = on;
        shaper.policy = on.then(|| name.chars().take(64).collect());
        shaper.cap_down = on.then(|| super::instrument::tenth(asked_down.unwrap_or(down)));
        shaper.cap_up = on.then(|| super::instrument::tenth(asked_up.unwrap_or(up)));
        shaper.rules = if on { rules } else { Vec::new() };
        let mut status = self.qos_status();
        status["downtime_s"] = json!(2);
        Ok(status)
    }

    fn set_dhcpdns(&mut self, args: &Map<String, Value>) -> Result<Value, ToolFault> {
        let servers = match args.get("dns_servers") {
            None | Some(Value::Null) => None,
            Some(list) => Some(addresses(list)?),
        };
        let range = match args.get("dhcp_range") {
            None | Some(Value::Null) => None,
            Some(text) => Some(self.parse_range(text)?),
        };
        let lease = args.get("lease_s").or_else(|| args.get("lease_time")).and_then(Value::as_u64);
        if lease.is_some_and(|lease| !(120..=31_536_000).contains(&lease)) {
            return Err(ToolFault::args("lease_s must be 120 seconds to a year"));
        }
        let disable = args.get("disable_other_dhcp").and_then(Value::as_bool);
        if servers.is_none() && range.is_none() && lease.is_none() && disable.is_none() {
            return Err(ToolFault::args("give at least one of dns_servers, dhcp_range, lease_s, disable_other_dhcp"));
        }
        if let Some(servers) = servers {
            self.dns_servers = servers;
        }
        if let Some((first, last)) = range {
            (self.pool.first, self.pool.last) = (first, last);
        }
        if let Some(lease) = lease {
            self.pool.lease_s = lease as u32;
        }
        let mut disabled = None;
        if let Some(disable) = disable {
            let blockable = self.active_faults().find_map(|fault| match fault {
                Fault::RogueDhcp { blockable, .. } => Some(*blockable),
                _ => None,
            });
            self.pool.block_others = disable;
            disabled = disable.then(|| blockable.unwrap_or(true));
        }
        let affected = self.clients.iter().filter(|client| client.lease == crate::house::LeaseFrom::Router).count();
        Ok(json!({"dns_servers": self.dns_servers, "dhcp_range": self.range_text(), "lease_s": self.pool.lease_s,
            "other_dhcp_disabled": disabled, "affected_clients": affected, "downtime_s": 2}))
    }

    pub(super) fn parse_range(&self, text: &Value) -> Result<(u8, u8), ToolFault> {
        let wrong = || ToolFault::args(format!("dhcp_range must look like {0}.100-{0}.249", self.pool.subnet));
        let (first, last) = text.as_str().and_then(|text| text.split_once('-')).ok_or_else(wrong)?;
        let host = |text: &str| {
            let address: Ipv4Addr = text.trim().parse().ok()?;
            text.trim().starts_with(&format!("{}.", self.pool.subnet)).then_some(address.octets()[3])
        };
        match (host(first), host(last)) {
            (Some(first), Some(last)) if first >= 2 && first <= last && last <= 254 => Ok((first, last)),
            _ => Err(wrong()),
        }
    }

    fn restart_service(&mut self, node: usize, args: &Map<String, Value>) -> Result<Value, ToolFault> {
        let service = args.get("service").and_then(Value::as_str).ok_or_else(|| ToolFault::args("service is missing"))?;
        let now = self.now();
        let downtime = match service {
            "wifi" => {
                let downtime = self.random.between(5.0, 20.0);
                for radio in 0..self.nodes[node].radios.len() {
                    self.nodes[node].radios[radio].silent_until = now + downtime;
                    for client in self.joined(node, radio) {
                        let away = downtime + self.random.between(1.0, 10.0);
                        self.drop_client(client, "ap_restart", away);
                    }
                }
                downtime
            }
            "dns" | "dhcp" | "dnsmasq" => {
                self.nodes[node].memory_percent = self.nodes[node].memory_percent.min(55.0);
                self.random.between(1.0, 3.0)
            }
            "wan" if node == 0 => {
                self.new_session();
                let helps = self.random.chance(NEW_SESSION_HELPS);
                for trouble in self.troubles.iter_mut().filter(|trouble| trouble.active && helps) {
                    if matches!(trouble.fault, Fault::IspOutage { .. }) {
                        trouble.eased_until = now + 86_400.0;
                    }
                }
                self.session.down_until - now
            }
            _ => return Err(ToolFault::args("service must be wifi, dns, dhcp or (on the router) wan")),
        };
        self.log(node, "info", "system", format!("service {service} restarted"));
        Ok(json!({"service": service, "status": "running", "downtime_s": downtime.ceil()}))
    }
}

fn addresses(list: &Value) -> Result<Vec<String>, ToolFault> {
    let wrong = || ToolFault::args("dns_servers must be a list of 1 to 4 addresses");
    let list = list.as_array().filter(|list| (1..=4).contains(&list.len())).ok_or_else(wrong)?;
    list.iter()
        .map(|server| {
            let text = server.as_str().ok_or_else(wrong)?;
            text.parse::<std::net::IpAddr>().map_err(|_| wrong())?;
            Ok(text.to_string())
        })
        .collect()
}
