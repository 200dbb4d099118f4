//! `clients.list`: who is on the network, by the neighbour table, the leases and the radios.

pub(crate) mod arp;
pub(crate) mod leases;

mod health;

use crate::machine::Machine;
use crate::names::given;
use crate::root::Root;
use crate::tool::{LinuxTool, cheap};
use crate::{args, ports, radio, route};
use arp::Neighbour;
pub(crate) use health::tool as health_tool;
use leases::{Expiry, Lease};
use serde_json::{Map, Value, json};
use std::collections::BTreeMap;
use std::net::Ipv4Addr;
use std::sync::Arc;
use std::time::{SystemTime, UNIX_EPOCH};
use talkwire_device::ToolError;

const OP: &str = "clients.list";
const ARP: &str = "proc/net/arp";
/// Most clients of one answer; `total` counts all.
const MOST: usize = 512;

pub(crate) fn tool(machine: &Arc<Machine>) -> LinuxTool {
    if !machine.root.has(ARP) {
        return LinuxTool::lacking(OP, "no_neighbour_table");
    }
    let machine = machine.clone();
    LinuxTool::new(OP, cheap(200), move |call| {
        let machine = machine.clone();
        async move {
            let wanted = args::mac(&call.args, "client_mac")?;
            let include_offline = args::flag(&call.args, "include_offline")?.unwrap_or(false);
            let mut rows = rows(&machine, wanted, include_offline).await?;
            let total = rows.len();
            rows.truncate(MOST);
            Ok(json!({"clients": rows, "total": total}))
        }
    })
}

/// One client, by its MAC address.
#[derive(Debug, Default, PartialEq)]
struct Client {
    addresses: Vec<Ipv4Addr>,
    interface: Option<String>,
    lease: Option<Lease>,
}

/// The clients, each with what is known of it.
///
/// # Errors
/// `E_CLIENT_NOT_FOUND` when the one that is wanted is not there.
pub(crate) async fn rows(machine: &Machine, wanted: Option<String>, include_offline: bool) -> Result<Vec<Value>, ToolError> {
    let root = &machine.root;
    let neighbours = root.text(ARP).map(|text| arp::parse(&text)).ok_or_else(|| ToolError::failed("the neighbour table cannot be read"))?;
    let now_s = SystemTime::now().duration_since(UNIX_EPOCH).map_or(0, |since| since.as_secs());
    let radio = radio::clients(root).await;
    let mut clients = gather(here(root, neighbours), given::leases(root));
    for (mac, (interface, _)) in &radio {
        clients.entry(mac.clone()).or_default().interface.get_or_insert_with(|| interface.name.clone());
    }
    clients.retain(|mac, client| wanted.as_ref().is_none_or(|wanted| wanted == mac) && (client.interface.is_some() || include_offline));
    match wanted {
        Some(mac) if clients.is_empty() => {
            let missing = ToolError::failed(format!("no client {mac} is seen from here now"));
            Err(ToolError { code: "E_CLIENT_NOT_FOUND".into(), ..missing })
        }
        _ => Ok(clients
            .iter()
            .map(|(mac, client)| {
                let mut row = row(root, mac, client, now_s);
                if let (Some((interface, station)), Some(fields)) = (radio.get(mac), row.as_object_mut()) {
                    fields.extend(health::wireless(machine, interface, station));
                }
                row
            })
            .collect()),
    }
}

/// The neighbours that are clients: not the gateway, and on a machine that routes between interfaces not those beyond the way out.
fn here(root: &Root, mut neighbours: Vec<Neighbour>) -> Vec<Neighbour> {
    let Some(way_out) = route::way_out(root).flatten() else { return neighbours };
    neighbours.retain(|neighbour| Some(neighbour.address) != way_out.gateway);
    let routes = root.whole("proc/sys/net/ipv4/ip_forward") == Some(1);
    // An access point that bridges has forwarding on as well, but all its neighbours are on the one bridge.
    if routes && neighbours.iter().any(|neighbour| neighbour.interface != way_out.interface) {
        neighbours.retain(|neighbour| neighbour.interface != way_out.interface);
    }
    neighbours
}

/// Names and addresses of the clients that were heard lately.
pub(crate) fn reachable(machine: &Machine) -> Vec<(String, Ipv4Addr)> {
    let root = &machine.root;
    let neighbours = root.text(ARP).map(|text| arp::parse(&text)).unwrap_or_default();
    let clients = gather(here(root, neighbours), given::leases(root));
    let named = clients.into_values().filter_map(|client| {
        let address = *client.addresses.first()?;
        let name = client.lease.and_then(|lease| lease.hostname).unwrap_or_else(|| address.to_string());
        Some((name, address))
    });
    named.collect()
}

/// Who has which address: by neighbour table and leases, with MAC address and name.
pub(crate) fn by_address(root: &Root) -> BTreeMap<Ipv4Addr, (String, Option<String>)> {
    let mut found = BTreeMap::new();
    for (mac, client) in gather(root.text(ARP).map(|text| arp::parse(&text)).unwrap_or_default(), given::leases(root)) {
        let name = client.lease.as_ref().and_then(|lease| lease.hostname.clone());
        for address in client.addresses.iter().chain(client.lease.as_ref().map(|lease| &lease.address)) {
            found.entry(*address).or_insert((mac.clone(), name.clone()));
        }
    }
    found
}

fn gather(neighbours: Vec<Neighbour>, leases: Vec<Lease>) -> BTreeMap<String, Client> {
    let mut clients: BTreeMap<String, Client> = BTreeMap::new();
    for Neighbour { address, mac, interface } in neighbours {
        let client = clients.entry(mac).or_default();
        client.addresses.push(address);
        client.interface.get_or_insert(interface);
    }
    for lease in leases {
        let client = clients.entry(lease.mac.clone()).or_default();
        client.lease = Some(lease);
    }
    clients
}

fn row(root: &Root, mac: &str, client: &Client, now_s: u64) -> Value {
    let lease = client.lease.as_ref();
    let leased = lease.map(|lease| lease.address);
    let address = leased.filter(|leased| client.addresses.is_empty() || client.addresses.contains(leased)).or(client.addresses.first().copied());
    let expires_s = lease.and_then(|lease| if let Expiry::At(unix_s) = lease.expiry { Some(unix_s.saturating_sub(now_s)) } else { None });
    let wifi = client.interface.as_ref().is_some_and(|interface| ports::is_wifi(root, interface));
    let known = [
        ("client_mac", Some(json!(mac))),
        ("hostname", lease.and_then(|lease| lease.hostname.as_ref()).map(|name| json!(name))),
        ("ip_address", address.map(|address| json!(address))),
        ("ip_addresses", (client.addresses.len() > 1).then(|| json!(client.addresses.iter().take(8).collect::<Vec<_>>()))),
        ("online", Some(json!(client.interface.is_some()))),
        ("interface", client.interface.as_ref().map(|name| json!(name))),
        // Behind a cable there may be an access point, so only the radio is certain.
        ("connection", wifi.then(|| json!("wifi"))),
        ("lease_expires_s", expires_s.map(|seconds| json!(seconds))),
    ];
    Value::Object(known.into_iter().filter_map(|(name, value)| Some((name.to_owned(), value?))).collect::<Map<_, _>>())
}
