//! `clients.health`: how well each client is connected, by the radios and by the kernel's table of neighbours.

use super::rows;
use crate::args;
use crate::machine::Machine;
use crate::program;
use crate::radio::station::Station;
use crate::radio::{self, Interface};
use crate::root::Root;
use crate::tool::{LinuxTool, cheap};
use serde_json::{Map, Value, json};
use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;
use talkwire_proto::id::mac_digits;

const OP: &str = "clients.health";
const TIME: Duration = Duration::from_secs(3);
const MOST: usize = 512;
/// States of a neighbour, the best first.
const STATES: [&str; 7] = ["PERMANENT", "REACHABLE", "DELAY", "PROBE", "STALE", "INCOMPLETE", "FAILED"];

pub(crate) fn tool(machine: &Arc<Machine>) -> LinuxTool {
    if !machine.root.has(super::ARP) {
        return LinuxTool::lacking(OP, "no_neighbour_table");
    }
    let mut support = cheap(600);
    if radio::lacks(&machine.root).is_some() && machine.root.program("hostapd_cli").is_none() {
        support.limitations.insert("radio".into(), json!("not_seen"));
    }
    let machine = machine.clone();
    LinuxTool::new(OP, support, move |call| {
        let machine = machine.clone();
        async move {
            let wanted = args::mac(&call.args, "client_mac")?;
            let mut rows = rows(&machine, wanted, false).await?;
            let (states, radio) = (states(&machine.root).await, radio::clients(&machine.root).await);
            for row in &mut rows {
                let Some(mac) = row["client_mac"].as_str().map(str::to_owned) else { continue };
                if let Some(state) = states.get(&mac) {
                    row["neighbour_state"] = json!(state.to_ascii_lowercase());
                }
                if let (Some((_, station)), Some(fields)) = (radio.get(&mac), row.as_object_mut()) {
                    fields.extend(quality(station));
                }
            }
            let total = rows.len();
            rows.truncate(MOST);
            Ok(json!({"clients": rows, "total": total}))
        }
    })
}

/// What an access point knows of the client's place in the air.
pub(super) fn wireless(machine: &Machine, interface: &Interface, station: &Station) -> Map<String, Value> {
    let own = machine.identity.as_ref();
    let best = |pick: fn(&crate::radio::station::Rate) -> Option<Value>| pick(&station.down).or_else(|| pick(&station.up));
    let known = [
        ("connection", Some(json!("wifi"))),
        ("interface", Some(json!(interface.name))),
        ("ap", own.map(|(id, _)| json!(id))),
        ("ap_name", own.map(|(_, name)| json!(name))),
        ("band", interface.band().map(|band| json!(band.name()))),
        ("rssi_dbm", station.rssi_dbm.map(|dbm| json!(dbm))),
        ("snr_db", station.snr_db().map(|db| json!(db))),
        ("phy_down_mbps", station.down.mbps.map(|mbps| json!(mbps))),
        ("phy_up_mbps", station.up.mbps.map(|mbps| json!(mbps))),
        ("generation", best(|rate| rate.generation.map(|word| json!(word)))),
        ("streams", best(|rate| rate.streams.map(|streams| json!(streams)))),
        ("width_mhz", best(|rate| rate.width_mhz.map(|mhz| json!(mhz)))),
    ];
    known.into_iter().filter_map(|(name, value)| Some((name.to_owned(), value?))).collect()
}

/// What it knows of how well the client gets through.
fn quality(station: &Station) -> Map<String, Value> {
    let known = [
        ("retry_percent", station.retry_percent().map(|percent| json!(percent))),
        ("chains_dbm", (!station.chains_dbm.is_empty()).then(|| json!(station.chains_dbm))),
        ("failed_packets", station.tx_failed.map(|count| json!(count))),
        ("connected_s", station.connected_s.map(|seconds| json!(seconds))),
        ("inactive_ms", station.inactive_ms.map(|ms| json!(ms))),
    ];
    known.into_iter().filter_map(|(name, value)| Some((name.to_owned(), value?))).collect()
}

/// How the kernel stands with each neighbour, by MAC address.
async fn states(root: &Root) -> BTreeMap<String, &'static str> {
    let Some(ip) = root.program("ip") else { return BTreeMap::new() };
    let args = ["-4", "neigh", "show"].map(str::to_owned);
    program::run(&ip, &args, TIME).await.map(|output| parse(&output.text)).unwrap_or_default()
}

/// `192.168.1.101 dev br-lan lladdr 02:00:00:00:a0:01 REACHABLE`; of several addresses of one client the best counts.
fn parse(text: &str) -> BTreeMap<String, &'static str> {
    let mut found: BTreeMap<String, usize> = BTreeMap::new();
    for line in text.lines() {
        let words: Vec<&str> = line.split_ascii_whitespace().collect();
        let mac = words.iter().position(|word| *word == "lladdr").and_then(|place| mac_digits(words.get(place + 1)?));
        let state = words.last().and_then(|word| STATES.iter().position(|state| state == word));
        if let (Some(mac), Some(state)) = (mac, state) {
            let best = found.entry(mac).or_insert(state);
            *best = (*best).min(state);
        }
    }
    found.into_iter().filter_map(|(mac, state)| Some((mac, *STATES.get(state)?))).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_best_state_of_a_client_counts() {
        let text = "192.168.1.55 dev br-lan lladdr 02:00:00:00:a0:01 STALE\n192.168.1.101 dev br-lan lladdr 02:00:00:00:a0:01 REACHABLE\n192.168.1.9 dev br-lan FAILED\nnonsense\n";
        assert_eq!(parse(text), BTreeMap::from([("02000000a001".to_owned(), "REACHABLE")]));
    }
}
