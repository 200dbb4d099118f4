//! `traffic.get_stats`: how much goes through each port, and by which protocols.

use super::conntrack;
use crate::machine::Machine;
use crate::text::tenth;
use crate::tool::{LinuxTool, cheap, limited};
use crate::{args, ports};
use serde_json::{Value, json};
use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;
use talkwire_device::{Args, ToolError};
use tokio::time::Instant;

const OP: &str = "traffic.get_stats";
const WINDOW_S: u64 = 2;
const MOST_WINDOW_S: u64 = 10;

pub(crate) fn tool(machine: &Arc<Machine>) -> LinuxTool {
    if !machine.root.has("sys/class/net") {
        return LinuxTool::lacking(OP, "no_sys_class_net");
    }
    let machine = machine.clone();
    LinuxTool::new(OP, limited(cheap(WINDOW_S * 1000), 2), move |call| {
        let machine = machine.clone();
        async move { answer(&machine, &call.args).await }
    })
}

async fn answer(machine: &Machine, args: &Args) -> Result<Value, ToolError> {
    let root = &machine.root;
    let window = Duration::from_secs(args::whole(args, "window_s", 1..=600)?.unwrap_or(WINDOW_S).min(MOST_WINDOW_S));
    let read = || -> BTreeMap<String, (u64, u64)> {
        ports::all(root).into_iter().filter_map(|name| Some((name.clone(), ports::bytes_through(root, &name)?))).collect()
    };
    let (began, before) = (Instant::now(), read());
    tokio::time::sleep(window).await;
    let (seconds, after) = (began.elapsed().as_secs_f64(), read());
    let wan = machine.way_out().map(|way| way.interface);
    let mbps = |bytes: u64| tenth(bytes as f64 * 8.0 / 1e6 / seconds);
    let rows = after.iter().map(|(name, (rx, tx))| {
        let (rx_before, tx_before) = before.get(name).copied().unwrap_or((*rx, *tx));
        let mut row = json!({"interface": name, "rx_mbps": mbps(rx.saturating_sub(rx_before)), "tx_mbps": mbps(tx.saturating_sub(tx_before)), "rx_bytes": rx, "tx_bytes": tx});
        if Some(name) == wan.as_ref() {
            row["role"] = json!("wan");
        }
        row
    });
    let mut result = json!({"window_s": tenth(seconds), "interfaces": rows.collect::<Vec<_>>()});
    if conntrack::is_there(root) {
        let flows = conntrack::read(root);
        let mut protocols: BTreeMap<&str, usize> = BTreeMap::new();
        for key in flows.keys() {
            *protocols.entry(key.protocol.as_str()).or_default() += 1;
        }
        result["connections"] = json!(flows.len());
        result["connections_by_protocol"] = json!(protocols);
    } else {
        result["missing"] = json!({"reason": "no_conntrack_table", "hint": "connections are counted on a machine that routes with nf_conntrack"});
    }
    Ok(result)
}
