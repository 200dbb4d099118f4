//! `name.resolve_test`: the same names at each configured resolver and at a few others, to tell a bad resolver from a bad line.

use super::{Answered, ask, configured};
use crate::args;
use crate::figures::{loss_percent, quantile};
use crate::machine::Machine;
use crate::tool::{LinuxTool, all, cheap, limited};
use serde_json::{Value, json};
use std::net::IpAddr;
use std::sync::Arc;
use std::time::Duration;
use talkwire_device::{Args, ToolError};

const OP: &str = "name.resolve_test";
const COUNT: u64 = 20;
/// A question is asked again once; then the name counts as not resolved.
const TRIES: usize = 2;
const PATIENCE: Duration = Duration::from_millis(1500);
/// Names are asked in so many groups, one after the other, so that a silent server costs at most this many times the patience.
const ROUNDS: usize = 5;

pub(crate) fn tool(machine: &Arc<Machine>) -> LinuxTool {
    let machine = machine.clone();
    LinuxTool::new(OP, limited(cheap(8000), 2), move |call| {
        let machine = machine.clone();
        async move { answer(&machine, &call.args).await }
    })
}

async fn answer(machine: &Machine, args: &Args) -> Result<Value, ToolError> {
    let count = usize::try_from(args::whole(args, "count", 1..=100)?.unwrap_or(COUNT)).unwrap_or(100);
    let names = args::hosts(args, "hostnames")?.unwrap_or_else(|| machine.surroundings.names.clone());
    let further = args::addresses(args, "dns_servers")?.unwrap_or_default();
    if names.is_empty() {
        return Err(ToolError::invalid_args("args.hostnames is needed, as no names are configured"));
    }
    let own = configured(machine).await;
    let others = machine.surroundings.resolvers.iter().copied().chain(further).filter(|ip| !own.contains(ip)).collect::<Vec<_>>();
    let mut servers: Vec<(IpAddr, &str)> = own.iter().map(|ip| (*ip, "configured")).collect();
    for ip in others {
        if !servers.iter().any(|(known, _)| *known == ip) && servers.len() < 16 {
            servers.push((ip, "public"));
        }
    }
    let names: Vec<&str> = names.iter().map(String::as_str).cycle().take(count).collect();
    let rows = servers.into_iter().map(|(server, kind)| test(server, kind, &names)).collect();
    Ok(json!({"servers": all(rows).await, "count": count}))
}

async fn test(server: IpAddr, kind: &str, names: &[&str]) -> Value {
    let mut answers: Vec<Option<Answered>> = Vec::with_capacity(names.len());
    for group in names.chunks(names.len().div_ceil(ROUNDS)) {
        answers.extend(all(group.iter().map(|name| twice(server, name)).collect()).await);
    }
    let resolved = answers.iter().flatten().filter(|answered| answered.is_ok());
    let times_ms: Vec<f64> = resolved.map(|answered| answered.time.as_secs_f64() * 1000.0).collect();
    let mut row = json!({
        "server": server, "kind": kind, "ok_percent": 100.0 - loss_percent(names.len(), times_ms.len()),
        "median_ms": quantile(&times_ms, 0.5), "p95_ms": quantile(&times_ms, 0.95),
    });
    let refused = answers.iter().flatten().filter(|answered| !answered.is_ok()).count();
    if refused > 0 {
        // It is there, but does not resolve: another fault than silence.
        row["answered_without_result"] = json!(refused);
    }
    row
}

async fn twice(server: IpAddr, name: &str) -> Option<Answered> {
    let mut waited = Duration::ZERO;
    for _ in 0..TRIES {
        if let Some(mut answered) = ask(server, name, PATIENCE).await {
            answered.time += waited;
            return Some(answered);
        }
        waited += PATIENCE;
    }
    None
}
