//! `diagnostics.latency_matrix`: delay and loss to clients, router, provider and the world, all at the same time.

use super::ping::{self, Pinger, Series};
use crate::figures::{jitter, loss_percent, quantile};
use crate::machine::Machine;
use crate::tool::{LinuxTool, limited, medium};
use crate::{args, clients};
use serde_json::{Value, json};
use std::net::Ipv4Addr;
use std::sync::Arc;
use std::time::Duration;
use talkwire_device::{Args, ToolError};

const OP: &str = "diagnostics.latency_matrix";
const KINDS: [&str; 4] = ["client", "router", "isp", "public"];
const COUNT: u64 = 100;
/// Pings of one target are no closer together; gateways answer only so many a second.
const APART: Duration = Duration::from_millis(100);
/// All pings of one target are sent within this time, so that the whole fits into the catalogue's 30 s.
const SENDING: Duration = Duration::from_secs(20);
const PATIENCE: Duration = Duration::from_millis(1500);
const CLIENTS: usize = 12;
const PAYLOAD: usize = 56;

pub(crate) fn tool(machine: &Arc<Machine>) -> LinuxTool {
    if !ping::permitted() {
        return LinuxTool::lacking(OP, "no_permission_for_icmp");
    }
    let machine = machine.clone();
    LinuxTool::new(OP, limited(medium(12_000), 2), move |call| {
        let machine = machine.clone();
        async move { answer(&machine, &call.args).await }
    })
}

struct Target {
    kind: &'static str,
    name: String,
    ip: Ipv4Addr,
}

async fn answer(machine: &Machine, args: &Args) -> Result<Value, ToolError> {
    let count = args::whole(args, "count", 1..=1000)?.unwrap_or(COUNT);
    let kinds = args::words(args, "targets", &KINDS)?;
    let wanted = |kind: &str| kinds.as_ref().is_none_or(|kinds| kinds.contains(&kind));
    let targets = targets(machine, &wanted).await;
    let apart = APART.min(SENDING / u32::try_from(count).unwrap_or(u32::MAX));
    let count = u16::try_from(count).unwrap_or(u16::MAX);
    let measured = targets.into_iter().map(|target| measure(target, count, apart)).collect();
    Ok(json!({"targets": crate::tool::all(measured).await, "count": count}))
}

async fn measure(target: Target, count: u16, apart: Duration) -> Value {
    let series = match Pinger::open() {
        Ok(pinger) => pinger.series(target.ip, count, apart, PATIENCE, PAYLOAD).await,
        Err(_) => Series { sent: usize::from(count), times_ms: Vec::new() },
    };
    row(&target, &series)
}

async fn targets(machine: &Machine, wanted: &impl Fn(&str) -> bool) -> Vec<Target> {
    let way_out = machine.way_out();
    let gateway = way_out.as_ref().and_then(|way| way.gateway);
    let is_router = machine.is_router().await;
    let mut targets = Vec::new();
    if wanted("client") {
        let clients = clients::reachable(machine).into_iter().take(CLIENTS);
        targets.extend(clients.map(|(name, ip)| Target { kind: "client", name, ip }));
    }
    match gateway {
        Some(ip) if is_router && wanted("isp") => targets.push(Target { kind: "isp", name: "isp-gateway".into(), ip }),
        Some(ip) if !is_router && wanted("router") => targets.push(Target { kind: "router", name: "router".into(), ip }),
        _ => {}
    }
    if !is_router && wanted("isp") {
        // Behind the router, the provider's first hop is the second one on the way.
        let beyond = match machine.surroundings.public.first() {
            Some(target) => super::trace::hop(*target, 2).await,
            None => None,
        };
        targets.extend(beyond.map(|ip| Target { kind: "isp", name: "isp-gateway".into(), ip }));
    }
    if wanted("public") {
        targets.extend(machine.surroundings.public.iter().take(8).map(|ip| Target { kind: "public", name: ip.to_string(), ip: *ip }));
    }
    targets
}

fn row(target: &Target, series: &Series) -> Value {
    json!({
        "target": target.kind, "name": target.name, "address": target.ip,
        "median_ms": quantile(&series.times_ms, 0.5), "p95_ms": quantile(&series.times_ms, 0.95), "jitter_ms": jitter(&series.times_ms),
        "loss_percent": loss_percent(series.sent, series.times_ms.len()),
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_target_that_never_answered_has_null_times_and_loses_all() {
        let target = Target { kind: "public", name: "1.1.1.1".into(), ip: Ipv4Addr::new(1, 1, 1, 1) };
        let silent = row(&target, &Series { sent: 5, times_ms: Vec::new() });
        assert_eq!((&silent["median_ms"], &silent["jitter_ms"], &silent["loss_percent"]), (&Value::Null, &Value::Null, &json!(100.0)));
        let heard = row(&target, &Series { sent: 4, times_ms: vec![1.0, 3.0, 2.0] });
        assert_eq!((&heard["median_ms"], &heard["jitter_ms"], &heard["loss_percent"]), (&json!(2.0), &json!(1.5), &json!(25.0)));
    }
}
