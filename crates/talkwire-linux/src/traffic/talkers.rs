//! `traffic.get_top_talkers`: who uses the line, by two readings of the kernel's table of connections.

use super::conntrack::{self, Flows};
use crate::machine::Machine;
use crate::text::tenth;
use crate::tool::{LinuxTool, cheap, limited};
use crate::{address, args, clients, ports};
use serde_json::{Value, json};
use std::collections::BTreeMap;
use std::net::Ipv4Addr;
use std::sync::Arc;
use std::time::Duration;
use talkwire_device::{Args, ToolError};
use tokio::time::Instant;

const OP: &str = "traffic.get_top_talkers";
const TALKERS: u64 = 10;
const WINDOW_S: u64 = 4;
/// Longer does not fit into the catalogue's 20 s.
const MOST_WINDOW_S: u64 = 15;
/// Less than this in both directions is nobody's load.
const LEAST_MBPS: f64 = 0.05;

pub(crate) fn tool(machine: &Arc<Machine>) -> LinuxTool {
    if !machine.root.has("sys/class/net") {
        return LinuxTool::lacking(OP, "no_sys_class_net");
    }
    let mut support = limited(cheap(WINDOW_S * 1000), 2);
    support.limitations.insert("max_window_s".into(), json!(MOST_WINDOW_S));
    let machine = machine.clone();
    LinuxTool::new(OP, support, move |call| {
        let machine = machine.clone();
        async move { answer(&machine, &call.args).await }
    })
}

/// Received and sent bytes of a client, as the client sees it.
type Load = (u64, u64);

async fn answer(machine: &Machine, args: &Args) -> Result<Value, ToolError> {
    let root = &machine.root;
    let most = args::whole(args, "top_n", 1..=50)?.unwrap_or(TALKERS);
    let window = Duration::from_secs(args::whole(args, "window_s", 1..=600)?.unwrap_or(WINDOW_S).min(MOST_WINDOW_S));
    let wan = machine.way_out().map(|way| way.interface);
    let through = || wan.as_deref().and_then(|name| ports::bytes_through(root, name));
    let (began, first, before) = (Instant::now(), through(), table(machine).await?);
    tokio::time::sleep(window).await;
    let (seconds, second, after) = (began.elapsed().as_secs_f64(), through(), table(machine).await?);
    let own = address::all(root).await;
    let inside: Vec<address::Address> = own.iter().filter(|address| Some(&address.interface) != wan.as_ref()).cloned().collect();
    let loads = loads(&before, &after, &own, &inside);
    let mbps = |bytes: u64| bytes as f64 * 8.0 / 1e6 / seconds;
    let sum = loads.values().fold((0, 0), |(down, up), load| (down + load.0, up + load.1));
    // The port counts everything, with what the table does not show; but what is received there is what the home loads down.
    let line = first.zip(second).map(|(first, second)| (second.0.saturating_sub(first.0), second.1.saturating_sub(first.1)));
    let total = line.unwrap_or(sum);
    let (down, up) = (mbps(total.0), mbps(total.1));
    let missing = missing(machine, &after);
    let mut result = json!({
        "total_down_mbps": tenth(down), "total_up_mbps": tenth(up), "window_s": tenth(seconds), "source": if missing.is_none() { "conntrack" } else { "interface_counters" },
        "talkers": rows(machine, &loads, most, &mbps, (down, up)), "connections": after.len(),
        "offloaded_connections": after.values().filter(|flow| flow.is_offloaded).count(),
    });
    if let Some((word, hint)) = missing {
        result["missing"] = json!({"reason": word, "hint": hint});
    }
    Ok(result)
}

/// The table may be long; it is read away from the threads that must not wait.
async fn table(machine: &Machine) -> Result<Flows, ToolError> {
    let root = machine.root.clone();
    tokio::task::spawn_blocking(move || conntrack::read(&root)).await.map_err(|_| ToolError::failed("reading the table of connections broke off"))
}

/// Why nothing can be said of single clients.
fn missing(machine: &Machine, flows: &Flows) -> Option<(&'static str, &'static str)> {
    if !conntrack::is_there(&machine.root) {
        return Some(("no_conntrack_table", "load nf_conntrack with CONFIG_NF_CONNTRACK_PROCFS, or run this on the machine that routes"));
    }
    let counted = flows.values().any(|flow| flow.bytes.is_some());
    match conntrack::counts(&machine.root) {
        Some(false) if !counted => {
            Some(("no_conntrack_accounting", "set net.netfilter.nf_conntrack_acct = 1; it counts for connections that begin afterwards"))
        }
        _ => None,
    }
}

/// The load of each address inside. What the machine itself sends or receives is nobody's.
fn loads(before: &Flows, after: &Flows, own: &[address::Address], inside: &[address::Address]) -> BTreeMap<Ipv4Addr, Load> {
    let is_own = |ip: Ipv4Addr| own.iter().any(|address| address.ip == ip);
    let is_inside = |ip: Ipv4Addr| !is_own(ip) && inside.iter().any(|address| address.covers(ip));
    let mut loads: BTreeMap<Ipv4Addr, Load> = BTreeMap::new();
    for (key, flow, sent, answered) in conntrack::between(before, after) {
        // From one client to another, or to the machine, does not load the line.
        let (from_inside, to_inside) = (is_inside(key.from), is_inside(flow.answers));
        if from_inside && !to_inside && !is_own(flow.answers) {
            let load = loads.entry(key.from).or_default();
            *load = (load.0 + answered, load.1 + sent);
        } else if to_inside && !from_inside && !is_own(key.from) {
            let load = loads.entry(flow.answers).or_default();
            *load = (load.0 + sent, load.1 + answered);
        }
    }
    loads
}

fn rows(machine: &Machine, loads: &BTreeMap<Ipv4Addr, Load>, most: u64, mbps: &impl Fn(u64) -> f64, (down, up): (f64, f64)) -> Vec<Value> {
    let known = clients::by_address(&machine.root);
    let plan = &machine.surroundings;
    // The direction that is fuller counts; without a plan the one with more in it.
    let weight = |mbps: f64, plan: Option<f64>| mbps / plan.filter(|plan| *plan > 0.0).unwrap_or(1.0);
    let by_down = match (plan.plan_down_mbps, plan.plan_up_mbps) {
        (Some(_), Some(_)) => weight(down, plan.plan_down_mbps) >= weight(up, plan.plan_up_mbps),
        _ => down >= up,
    };
    let mut rows: Vec<(f64, Value)> = loads
        .iter()
        .map(|(ip, load)| {
            let (own_down, own_up) = (mbps(load.0), mbps(load.1));
            let (own, all) = if by_down { (own_down, down) } else { (own_up, up) };
            let share = if all < LEAST_MBPS { 0.0 } else { (100.0 * own / all).min(100.0) };
            let (mac, name) = known.get(ip).map_or((None, None), |(mac, name)| (Some(mac), name.as_ref()));
            let name = name.cloned().unwrap_or_else(|| ip.to_string());
            let row = json!({"client_mac": mac, "hostname": name, "ip_address": ip, "down_mbps": tenth(own_down), "up_mbps": tenth(own_up),
                "share_percent": share.round()});
            (own_down + own_up, row)
        })
        .filter(|(sum, _)| *sum >= LEAST_MBPS)
        .collect();
    rows.sort_by(|a, b| b.0.total_cmp(&a.0));
    rows.into_iter().take(usize::try_from(most).unwrap_or(50)).map(|(_, row)| row).collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::root::Root;

    #[tokio::test]
    async fn a_client_that_loads_the_line_is_named_and_the_machine_itself_is_not() {
        let folder = tempfile::tempdir().unwrap();
        let write = |file: &str, text: &str| {
            let path = folder.path().join(file);
            std::fs::create_dir_all(path.parent().unwrap()).unwrap();
            std::fs::write(path, text).unwrap();
        };
        let line = |client: &str, sent: u64, answered: u64| {
            format!(
                "ipv4 2 tcp 6 9 ESTABLISHED src={client} dst=203.0.113.80 sport=1 dport=80 packets=1 bytes={sent} src=203.0.113.80 dst=203.0.113.9 sport=80 dport=1 packets=1 bytes={answered} use=1\n"
            )
        };
        let forwarded = "ipv4 2 udp 17 9 src=198.51.100.7 dst=203.0.113.9 sport=9 dport=9 packets=1 bytes=0 src=192.168.1.102 dst=198.51.100.7 sport=9 dport=9 packets=1 bytes=0\n";
        write("proc/net/nf_conntrack", &(line("192.168.1.101", 0, 0) + &line("203.0.113.9", 0, 0) + forwarded));
        write("proc/sys/net/netfilter/nf_conntrack_acct", "1\n");
        write("tmp/dhcp.leases", "0 02:00:00:00:a0:01 192.168.1.101 game-pc *\n");
        for (file, text) in [("operstate", "up"), ("statistics/rx_bytes", "0"), ("statistics/tx_bytes", "0")] {
            write(&format!("sys/class/net/wan/{file}"), text);
        }
        let hex = |bytes: [u8; 4]| format!("{:08X}", u32::from_ne_bytes(bytes));
        write(
            "proc/net/route",
            &format!(
                "Iface\nwan\t00000000\t{}\t0003\t0\t0\t0\t00000000\nwan\t{}\t00000000\t1\t0\t0\t0\t{}\nlan\t{}\t00000000\t1\t0\t0\t0\t{}\n",
                hex([203, 0, 113, 1]),
                hex([203, 0, 113, 0]),
                hex([255, 255, 255, 0]),
                hex([192, 168, 1, 0]),
                hex([255, 255, 255, 0])
            ),
        );
        write("proc/net/fib_trie", "|-- 203.0.113.9\n/32 host LOCAL\n|-- 192.168.1.1\n/32 host LOCAL\n");
        let machine = Machine::new(Root::new(folder.path()));
        let later = async {
            tokio::time::sleep(Duration::from_millis(300)).await;
            write(
                "proc/net/nf_conntrack",
                &(line("192.168.1.101", 100_000, 9_000_000) + &line("203.0.113.9", 0, 5_000_000) + &forwarded.replacen("bytes=0", "bytes=500000", 1)),
            );
            write("sys/class/net/wan/statistics/rx_bytes", "10000000");
        };
        let args = Args(json!({"window_s": 1}).as_object().unwrap().clone());
        let (answer, ()) = tokio::join!(answer(&machine, &args), later);
        let answer = answer.unwrap();
        let talkers = answer["talkers"].as_array().unwrap();
        assert_eq!(talkers.iter().map(|row| &row["hostname"]).collect::<Vec<_>>(), [&json!("game-pc"), &json!("192.168.1.102")], "{answer}");
        assert_eq!((&talkers[0]["client_mac"], &talkers[0]["share_percent"]), (&json!("02000000a001"), &json!(90.0)));
        assert_eq!((&answer["source"], answer.get("missing")), (&json!("conntrack"), None));

        write("proc/sys/net/netfilter/nf_conntrack_acct", "0\n");
        write("proc/net/nf_conntrack", "");
        let answer = super::answer(&machine, &args).await.unwrap();
        assert_eq!(answer["missing"]["reason"], "no_conntrack_accounting");
        assert_eq!((&answer["talkers"], &answer["source"]), (&json!([]), &json!("interface_counters")));
    }
}
