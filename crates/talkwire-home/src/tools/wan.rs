//! Tools about the way out: connectivity, latency by segment, route, traffic, shaper.

use super::At;
use super::instrument::{Pings, tenth};
use crate::error::ToolFault;
use crate::file::LineKind;
use crate::house::{House, LeaseFrom};
use serde_json::{Map, Value, json};

const PUBLIC: [(&str, f64); 3] = [("1.1.1.1", 2.0), ("8.8.8.8", 4.0), ("9.9.9.9", 6.0)];
const CLIENT_TARGETS: usize = 12;

impl House {
    pub(super) fn protocol(&self) -> &'static str {
        if self.file.plan.kind == LineKind::Pppoe { "pppoe" } else { "dhcp" }
    }

    pub(super) fn wan_connectivity(&mut self) -> Value {
        let line = self.line();
        let address = line.address.then(|| self.session.address.clone());
        let kind = match &address {
            None => "none",
            Some(address) if address.starts_with("100.") => "cgnat",
            Some(_) => "public",
        };
        let dns_ok = line.reachable && self.dns_servers.iter().any(|server| self.resolver_alive(server));
        let session = if line.address { (self.now() - self.session.since).max(0.0) as i64 } else { 0 };
        json!({
            "link": if line.link { "up" } else { "down" },
            "ip": address,
            "ip_kind": kind,
            "protocol": self.protocol(),
            "gateway_reachable": line.address && line.last_hop.is_none_or(|hop| hop >= 2),
            "dns_ok": dns_ok,
            "http": if dns_ok { "ok" } else { "fail" },
            "ipv6": "off",
            "mtu_ok": line.reachable,
            "session_s": session,
        })
    }

    pub(super) fn latency_matrix(&mut self, at: At, args: &Map<String, Value>) -> Result<Value, ToolFault> {
        let count = args.get("count").and_then(Value::as_u64).unwrap_or(100).clamp(5, 1000) as usize;
        let kinds: Option<Vec<&str>> = match args.get("targets") {
            None | Some(Value::Null) => None,
            Some(Value::Array(list)) => Some(list.iter().filter_map(Value::as_str).collect()),
            Some(_) => return Err(ToolFault::args("targets must be a list of client, router, isp, public")),
        };
        let wanted = |kind: &str| kinds.as_ref().is_none_or(|kinds| kinds.contains(&kind));
        let mut targets = Vec::new();
        if let At::Node(node) = at
            && wanted("client")
        {
            let mine: Vec<usize> = (0..self.clients.len())
                .filter(|client| self.clients[*client].link.is_some_and(|(at, _)| node == 0 || at == node))
                .take(CLIENT_TARGETS)
                .collect();
            for client in mine {
                let (hop_ms, loss) = self.hop(client);
                let busy = self.loads.client_down[client] + self.loads.client_up[client] > 0.3;
                let asleep = self.noise && self.clients[client].file.kind.sleeps() && !busy;
                let (base_ms, jitter_ms) = if asleep { (hop_ms + 40.0, 45.0) } else { (hop_ms, 0.4 + 0.3 * hop_ms) };
                let row = self.ping(&Pings { base_ms, jitter_ms, loss, count });
                targets.push(target("client", &self.clients[client].file.name, row));
            }
        }
        let (first_ms, first_loss) = self.way_to_router(at);
        if at != At::Node(0) && wanted("router") {
            let row = self.ping(&Pings { base_ms: first_ms, jitter_ms: 0.2 + 0.3 * first_ms, loss: first_loss, count });
            let name = self.nodes[0].name.clone();
            targets.push(target("router", &name, row));
        }
        let line = self.line();
        let isp_up = line.address && line.last_hop.is_none_or(|hop| hop >= 2);
        let world = self.world_ms();
        let jitter = self.file.plan.jitter_ms;
        let loss = |up: bool| if up { 1.0 - (1.0 - first_loss) * (1.0 - line.loss) } else { 1.0 };
        let outside = match at {
            At::Agent(client) => self.clients[client].lease == LeaseFrom::Router,
            At::Node(_) => true,
        };
        if wanted("isp") {
            let near = 0.6 * self.file.plan.idle_ms;
            let base_ms = first_ms + world - self.file.plan.idle_ms + near;
            let row = self.ping(&Pings { base_ms, jitter_ms: jitter + 0.2 * first_ms, loss: loss(isp_up && outside), count });
            targets.push(target("isp", "isp-gateway", row));
        }
        if wanted("public") {
            for (name, further) in PUBLIC {
                let base_ms = first_ms + world + further;
                let up = line.reachable && outside;
                let row = self.ping(&Pings { base_ms, jitter_ms: jitter + 0.2 * first_ms, loss: loss(up), count });
                targets.push(target("public", name, row));
            }
        }
        Ok(json!({"targets": targets, "count": count}))
    }

    /// Delay and loss between a device and the router.
    pub(super) fn way_to_router(&self, at: At) -> (f64, f64) {
        let processor = self.cpu_delay_ms(0);
        match at {
            At::Node(0) => (0.0, 0.0),
            At::Node(node) if self.backhaul(node, 0).is_some() => (2.5 + processor, 0.0005),
            At::Node(_) => (0.5 + processor, 0.0),
            At::Agent(client) => {
                let (ms, loss) = self.hop(client);
                (ms + processor, loss)
            }
        }
    }

    pub(super) fn trace_route(&mut self, at: At, args: &Map<String, Value>) -> Result<Value, ToolFault> {
        let target = args.get("target").and_then(Value::as_str).unwrap_or("1.1.1.1");
        if target.is_empty() || target.len() > 253 {
            return Err(ToolFault::args("target must be an address or a name"));
        }
        let most = args.get("max_hops").and_then(Value::as_u64).unwrap_or(15).clamp(1, 30) as usize;
        let line = self.line();
        let mut path = vec![format!("{}.1", self.pool.subnet)];
        if at == At::Node(0) {
            path.clear();
        }
        let inside = path.len();
        path.extend(["10.20.0.1", "203.0.113.1", "198.51.100.17", "198.51.100.34", target].map(String::from));
        let outside_up = line.address && !matches!(at, At::Agent(client) if self.clients[client].lease != LeaseFrom::Router);
        let answering = match (outside_up, line.last_hop) {
            (false, _) => inside,
            (true, Some(hop)) => (inside + hop.max(1)).min(path.len() - 1),
            (true, None) => path.len(),
        };
        let (first_ms, _) = self.way_to_router(at);
        let mut hops = Vec::new();
        for (index, address) in path.iter().enumerate().take(most) {
            let private = address.starts_with("10.") || address.starts_with(&self.pool.subnet);
            if index >= answering {
                hops.push(json!({"hop": index + 1, "address": Value::Null, "rtt_ms": Value::Null, "loss_percent": 100, "private": false}));
                continue;
            }
            let middle = index > inside && index + 1 < path.len();
            let lies = self.noise && middle && self.random.chance(0.1);
            let loss = if lies { self.random.between(10.0, 60.0).round() } else { tenth(100.0 * if index >= inside { line.loss } else { 0.0 }) };
            let far = if index < inside { 0.0 } else { self.world_ms() * (0.5 + 0.15 * (index - inside) as f64) };
            hops.push(json!({"hop": index + 1, "address": address, "rtt_ms": tenth(first_ms.max(0.3) + far + self.error(0.4).abs()),
                "loss_percent": loss, "private": private}));
        }
        let private_hops = path.iter().take_while(|address| address.starts_with("10.") || address.starts_with(&self.pool.subnet)).count();
        let reached = answering == path.len() && most >= path.len();
        let loss_from = if !reached {
            json!(answering + 1)
        } else if line.loss >= 0.005 {
            json!(inside + 1)
        } else {
            Value::Null
        };
        Ok(json!({"target": target, "reached": reached, "hops": hops, "private_hops": private_hops,
            "last_ok": answering.min(most), "loss_from": loss_from}))
    }

    pub(super) fn top_talkers(&mut self, args: &Map<String, Value>) -> Result<Value, ToolFault> {
        let most = args.get("top_n").or_else(|| args.get("top_count")).and_then(Value::as_u64).unwrap_or(10).clamp(1, 100) as usize;
        let (down, up): (f64, f64) = (self.trace.down.iter().sum(), self.trace.up.iter().sum());
        let share = |own_down: f64, own_up: f64| {
            let line = &self.file.plan;
            let (own, all) = if down / line.down_mbps >= up / line.up_mbps { (own_down, down) } else { (own_up, up) };
            if all < 0.05 { 0 } else { (100.0 * own / all).round() as i64 }
        };
        let mut talkers: Vec<(f64, Value)> = (0..self.clients.len())
            .map(|client| {
                let (own_down, own_up) = (self.trace.down[client], self.trace.up[client]);
                let file = &self.clients[client].file;
                let row = json!({"client_mac": file.mac, "hostname": file.name, "down_mbps": tenth(own_down), "up_mbps": tenth(own_up),
                    "share_percent": share(own_down, own_up)});
                (own_down + own_up, row)
            })
            .filter(|(sum, _)| *sum >= 0.05)
            .collect();
        talkers.sort_by(|a, b| b.0.total_cmp(&a.0));
        let talkers: Vec<Value> = talkers.into_iter().take(most).map(|(_, row)| row).collect();
        Ok(json!({"total_down_mbps": tenth(down), "total_up_mbps": tenth(up), "window_s": 30, "talkers": talkers}))
    }

    pub(super) fn qos_status(&mut self) -> Value {
        json!({"enabled": self.shaper.enabled, "policy_name": self.shaper.policy, "cap_down_mbps": self.shaper.cap_down,
            "cap_up_mbps": self.shaper.cap_up, "hardware_offload": !self.shaper.enabled, "rules": self.shaper.rules})
    }
}

fn target(kind: &str, name: &str, row: Value) -> Value {
    let mut whole = json!({"target": kind, "name": name});
    if let (Value::Object(whole), Value::Object(row)) = (&mut whole, row) {
        whole.extend(row);
    }
    whole
}
