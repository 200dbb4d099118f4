//! Tools about addresses and names.

use super::At;
use super::instrument::{quantile, tenth};
use crate::error::ToolFault;
use crate::file::Fault;
use crate::house::{House, LeaseFrom};
use serde_json::{Map, Value, json};

const PUBLIC: [&str; 2] = ["1.1.1.1", "8.8.8.8"];

impl House {
    pub(super) fn dhcp_config(&mut self, args: &Map<String, Value>) -> Value {
        let (used, size) = (self.pool_used(), self.pool_size());
        let mut config = json!({
            "dhcp_range": self.range_text(),
            "subnet": format!("{}.0/24", self.pool.subnet),
            "gateway": format!("{}.1", self.pool.subnet),
            "lease_s": self.pool.lease_s,
            "pool_size": size,
            "pool_used": used,
            "pool_used_percent": tenth(100.0 * used as f64 / size.max(1) as f64),
            "dns_servers": self.dns_servers,
        });
        if args.get("include_leases").and_then(Value::as_bool).unwrap_or(false) {
            let lease = f64::from(self.pool.lease_s);
            config["leases"] = self
                .clients
                .iter()
                .enumerate()
                .filter(|(_, client)| client.lease == LeaseFrom::Router)
                .map(|(index, client)| {
                    let age = (self.now() + 977.0 * index as f64).rem_euclid(lease / 2.0);
                    json!({"ip_address": client.address, "client_mac": client.file.mac, "hostname": client.file.name,
                        "expires_s": (lease - age).round() as i64})
                })
                .collect();
        }
        config
    }

    pub(super) fn range_text(&self) -> String {
        let pool = &self.pool;
        format!("{0}.{1}-{0}.{2}", pool.subnet, pool.first, pool.last)
    }

    pub(super) fn scan_rogue(&mut self) -> Value {
        let found: Vec<Value> = match self.rogue() {
            Some(Fault::RogueDhcp { ip_address, mac_address, port, .. }) => {
                let net = ip_address.rsplit_once('.').map_or("0.0.0", |(net, _)| net);
                vec![json!({"ip_address": ip_address, "mac_address": mac_address, "offered_gateway": ip_address,
                    "offered_subnet": format!("{net}.0/24"), "port": port})]
            }
            _ => Vec::new(),
        };
        json!({"rogue_dhcp_detected": !found.is_empty(), "servers_seen": 1 + found.len(), "rogue_servers": found})
    }

    /// Does a resolver answer (given that packets reach it)?
    pub(crate) fn resolver_alive(&self, server: &str) -> bool {
        !self.active_faults().any(|fault| match fault {
            Fault::DnsDown { servers } if servers.is_empty() => self.file.dns.servers.iter().any(|known| known == server),
            Fault::DnsDown { servers } => servers.iter().any(|known| known == server),
            _ => false,
        })
    }

    pub(super) fn resolve_test(&mut self, at: At, args: &Map<String, Value>) -> Result<Value, ToolFault> {
        let count = args.get("count").and_then(Value::as_u64).unwrap_or(20).clamp(1, 200) as usize;
        let extra = match args.get("dns_servers") {
            None | Some(Value::Null) => Vec::new(),
            Some(Value::Array(list)) => list.iter().filter_map(Value::as_str).map(String::from).collect(),
            Some(_) => return Err(ToolFault::args("dns_servers must be a list of addresses")),
        };
        let others: Vec<String> = PUBLIC.iter().map(|server| (*server).to_string()).chain(extra).filter(|server| !self.dns_servers.contains(server)).collect();
        let asked: Vec<(String, &str)> =
            self.dns_servers.clone().into_iter().map(|server| (server, "configured")).chain(others.into_iter().map(|server| (server, "public"))).collect();
        let slow = self.active_faults().map(|fault| if let Fault::DnsSlow { factor } = fault { *factor } else { 1.0 }).fold(1.0, f64::max);
        let (first_ms, first_loss) = self.way_to_router(at);
        let line = self.line();
        let outside = line.reachable && !matches!(at, At::Agent(client) if self.clients[client].lease != LeaseFrom::Router);
        let mut servers = Vec::new();
        for (server, kind) in asked {
            let up = outside && self.resolver_alive(&server);
            let near = if kind == "configured" { 5.0 * slow } else { 8.0 };
            let mut times = Vec::new();
            for _ in 0..count {
                // A resolver asks again once, so a name fails only if both questions are lost.
                let lost = (line.loss + first_loss).min(1.0).powi(2);
                if !up || self.random.chance(lost) {
                    continue;
                }
                let cold = if self.random.chance(0.4) { self.random.lognormal(60.0, 0.8) } else { 0.0 };
                let factor = if kind == "configured" { slow } else { 1.0 };
                times.push(first_ms + near + self.random.between(0.0, 8.0) + cold * factor);
            }
            servers.push(json!({"server": server, "kind": kind, "ok_percent": tenth(100.0 * times.len() as f64 / count as f64),
                "median_ms": quantile(&mut times, 0.5), "p95_ms": quantile(&mut times, 0.95)}));
        }
        Ok(json!({"servers": servers, "count": count}))
    }
}
