//! `dhcpdns.get_config` and `dhcpdns.get_leases`: the pool of addresses, how full it is, and which resolvers are asked.

use super::given::{self, leases_of};
use super::server::{self, Server};
use super::{configured, resolvers};
use crate::clients::leases::{Expiry, Lease};
use crate::machine::Machine;
use crate::text::tenth;
use crate::tool::{LinuxTool, cheap};
use crate::{address, args, ports};
use serde_json::{Map, Value, json};
use std::net::{IpAddr, Ipv4Addr};
use std::sync::Arc;
use std::time::{SystemTime, UNIX_EPOCH};
use talkwire_device::{Args, ToolError};

const OP: &str = "dhcpdns.get_config";
/// Most leases of one answer; `total` counts all.
const MOST: usize = 512;

pub(crate) fn tool(machine: &Arc<Machine>) -> LinuxTool {
    let machine = machine.clone();
    LinuxTool::new(OP, cheap(500), move |call| {
        let machine = machine.clone();
        async move {
            let include_leases = args::flag(&call.args, "include_leases")?.unwrap_or(false);
            Ok(answer(&machine, include_leases).await)
        }
    })
}

/// The leases, under one of the names that they have.
pub(crate) fn leases_tool(machine: &Arc<Machine>, op: &'static str) -> LinuxTool {
    if server::find(&machine.root).is_none() && !given::any_keeper(&machine.root) {
        return LinuxTool::lacking(op, "no_address_server");
    }
    let machine = machine.clone();
    LinuxTool::reading(op, cheap(200), move |args| leases_answer(&machine, args))
}

async fn answer(machine: &Machine, include_leases: bool) -> Value {
    let root = &machine.root;
    let server = server::find(root);
    let own = address::all(root).await;
    let dnsmasq = server.as_ref().and_then(|server| server.dnsmasq.clone()).or_else(|| super::dnsmasq::find(root));
    let forwarded = dnsmasq.as_ref().filter(|found| !found.no_names).map(|found| resolvers::upstream(root, found)).filter(|list| !list.is_empty());
    let resolvers = match forwarded {
        Some(list) => list,
        None => configured(machine).await,
    };
    let mut fields = Map::new();
    fields.insert("dns_servers".into(), json!(resolvers));
    let Some(server) = server else {
        fields.insert("dhcp_server".into(), json!("none"));
        fields.insert("gateway".into(), json!(machine.way_out().and_then(|way| way.gateway)));
        return Value::Object(fields);
    };
    fields.insert("dhcp_server".into(), json!(server.kind));
    // The pool of the network at home: the first that one of our addresses lies in, else the first.
    let home = server.pools.iter().find(|pool| own.iter().any(|address| address.covers(pool.first))).or(server.pools.first());
    let leases = leases_of(root, server.dnsmasq.as_ref());
    if let Some(pool) = home {
        let here = own.iter().find(|address| address.covers(pool.first));
        let prefix = pool.netmask.map(|mask| u32::from(mask).leading_ones() as u8).or(here.map(|address| address.prefix)).unwrap_or(24);
        let (size, used) = (u64::from(u32::from(pool.last) - u32::from(pool.first)) + 1, used(pool.first, pool.last, &leases, now_s()));
        let gateway = server.router.or(here.map(|address| address.ip));
        let offered: Vec<IpAddr> =
            server.offered.iter().copied().map(IpAddr::from).chain(gateway.filter(|_| server.offered.is_empty()).map(IpAddr::from)).collect();
        fields.insert("dhcp_range".into(), json!(format!("{}-{}", pool.first, pool.last)));
        fields.insert("subnet".into(), json!(format!("{}/{prefix}", address::network(pool.first, prefix))));
        fields.insert("gateway".into(), json!(gateway));
        fields.insert("lease_s".into(), json!(pool.lease_s));
        fields.insert("pool_size".into(), json!(size));
        fields.insert("pool_used".into(), json!(used));
        fields.insert("pool_used_percent".into(), json!(tenth(100.0 * used as f64 / size as f64)));
        fields.insert("dns_offered".into(), json!(offered));
        if server.pools.len() > 1 {
            fields.insert("pools".into(), server.pools.iter().take(16).map(|pool| json!(format!("{}-{}", pool.first, pool.last))).collect());
        }
    }
    if include_leases {
        fields.insert("leases".into(), leases.iter().take(MOST).map(|lease| row(lease, now_s())).collect());
    }
    Value::Object(fields)
}

fn now_s() -> u64 {
    SystemTime::now().duration_since(UNIX_EPOCH).map_or(0, |since| since.as_secs())
}

fn is_open(lease: &Lease, now_s: u64) -> bool {
    match lease.expiry {
        Expiry::Never => true,
        Expiry::At(unix_s) => unix_s > now_s,
    }
}

/// Addresses of the pool that are given now.
fn used(first: Ipv4Addr, last: Ipv4Addr, leases: &[Lease], now_s: u64) -> usize {
    leases.iter().filter(|lease| (first..=last).contains(&lease.address) && is_open(lease, now_s)).count()
}

fn row(lease: &Lease, now_s: u64) -> Value {
    let mut row = json!({"ip_address": lease.address, "client_mac": lease.mac, "hostname": lease.hostname});
    row["expires_s"] = match lease.expiry {
        Expiry::Never => Value::Null,
        Expiry::At(unix_s) => json!(unix_s.saturating_sub(now_s)),
    };
    row
}

fn leases_answer(machine: &Machine, args: &Args) -> Result<Value, ToolError> {
    let mac = args::mac(args, "client_mac")?;
    let expired = args::flag(args, "include_expired")?.unwrap_or(false);
    let interface = args::interface(args, "interface")?;
    if let Some(name) = &interface {
        ports::must_be(&machine.root, name)?;
    }
    let now_s = now_s();
    let on_it = |lease: &Lease| interface.as_ref().is_none_or(|name| crate::route::leads_to(&machine.root, name, lease.address));
    let mut leases = given::leases(&machine.root);
    leases.retain(|lease| (expired || is_open(lease, now_s)) && mac.as_ref().is_none_or(|mac| *mac == lease.mac) && on_it(lease));
    let rows: Vec<Value> = leases.iter().take(MOST).map(|lease| row(lease, now_s)).collect();
    Ok(json!({"leases": rows, "total": leases.len()}))
}

/// Whether this machine gives addresses itself.
pub(super) fn serves(server: Option<&Server>) -> bool {
    server.is_some_and(|server| server.dnsmasq.as_ref().is_none_or(|dnsmasq| dnsmasq.is_running))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_open_leases_of_the_pool_count() {
        let lease = |last: u8, expiry: Expiry| Lease { expiry, mac: "02000000a001".into(), address: Ipv4Addr::new(192, 168, 1, last), hostname: None };
        let leases = [lease(100, Expiry::At(50)), lease(101, Expiry::At(150)), lease(102, Expiry::Never), lease(10, Expiry::Never)];
        assert_eq!(used(Ipv4Addr::new(192, 168, 1, 100), Ipv4Addr::new(192, 168, 1, 149), &leases, 100), 2);
    }
}
