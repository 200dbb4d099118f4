//! `mesh.get_topology`, `mesh.get_backhaul` and `mesh.backhaul_test`: the neighbours of a mesh, by batman-adv or 802.11s.

mod batman;
mod meter;
mod paths;

use crate::machine::Machine;
use crate::program;
use crate::radio::station::Station;
use crate::radio::{self, Iw};
use crate::root::Root;
use crate::tool::{LinuxTool, cheap};
use serde_json::{Map, Value, json};
use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;
use talkwire_device::ToolError;

const OP: &str = "mesh.get_topology";
const BACKHAUL: &str = "mesh.get_backhaul";
const TIME: Duration = Duration::from_secs(4);
const MOST: usize = 128;

/// What makes the mesh.
#[derive(Debug, Clone, PartialEq, Eq)]
enum Kind {
    /// The interface of batman-adv, for example `bat0`.
    Batman(String),
    /// 802.11s; its interfaces are told by `iw`.
    Paths,
}

/// A way to another node.
#[derive(Debug, Clone, PartialEq, Default)]
struct Node {
    mac: String,
    /// The neighbour through which it is reached.
    next: String,
    /// The port towards that neighbour.
    interface: String,
    hops: Option<u32>,
    /// 0–255, as batman IV rates a way.
    quality: Option<u32>,
    mbps: Option<f64>,
    last_seen_ms: Option<u64>,
}

impl Node {
    fn is_direct(&self) -> bool {
        self.mac == self.next
    }
}

pub(crate) fn tools(machine: &Arc<Machine>) -> Vec<LinuxTool> {
    vec![tool(machine, OP, false), tool(machine, BACKHAUL, true), meter::tool(machine)]
}

fn tool(machine: &Arc<Machine>, op: &'static str, backhaul: bool) -> LinuxTool {
    let kind = match kind(&machine.root) {
        Ok(kind) => kind,
        Err(reason) => return LinuxTool::lacking(op, reason),
    };
    let machine = machine.clone();
    LinuxTool::new(op, cheap(1500), move |call| {
        let (machine, kind) = (machine.clone(), kind.clone());
        async move {
            let only = crate::args::mac(&call.args, "node_id")?;
            let mut nodes = nodes(&machine.root, &kind).await?;
            nodes.truncate(MOST);
            let stations = stations(&machine.root, &nodes).await;
            let own = own_id(&machine);
            Ok(if backhaul { links(&machine.root, &nodes, &stations, only.as_deref()) } else { topology(&machine.root, &nodes, &stations, &own) })
        }
    })
}

fn kind(root: &Root) -> Result<Kind, &'static str> {
    let interface = root.names("sys/class/net").into_iter().find(|name| root.has(&format!("sys/class/net/{name}/mesh")));
    match interface {
        Some(name) if root.program("batctl").is_some() => Ok(Kind::Batman(name)),
        Some(_) => Err("no_batctl"),
        None if radio::lacks(root).is_none() => Ok(Kind::Paths),
        None => Err("no_mesh"),
    }
}

fn own_id(machine: &Machine) -> String {
    let mac = || machine.way_out().and_then(|way| crate::ports::mac_of(&machine.root, &way.interface));
    machine.identity.as_ref().map(|(id, _)| id.clone()).or_else(mac).unwrap_or_else(|| "self".into())
}

async fn nodes(root: &Root, kind: &Kind) -> Result<Vec<Node>, ToolError> {
    match kind {
        Kind::Batman(interface) => {
            let batctl = root.program("batctl").ok_or_else(|| ToolError::not_available("no_batctl", "the program batctl is gone"))?;
            let args = ["meshif", interface, "originators_json"].map(str::to_owned);
            batman::parse(&program::run(&batctl, &args, TIME).await?.text)
        }
        Kind::Paths => {
            let iw = Iw::find(root).ok_or_else(|| ToolError::not_available("no_iw", "the program iw is gone"))?;
            let meshes: Vec<String> =
                iw.interfaces().await?.into_iter().filter(|interface| interface.kind == "mesh point").map(|interface| interface.name).collect();
            if meshes.is_empty() {
                return Err(ToolError::not_available("no_mesh", "no interface of this machine belongs to a mesh"));
            }
            let mut found = Vec::new();
            for name in meshes {
                found.extend(paths::parse(&iw.mesh_paths(&name).await?));
            }
            Ok(found)
        }
    }
}

/// What the radios say of the neighbours.
async fn stations(root: &Root, nodes: &[Node]) -> BTreeMap<String, Station> {
    let Some(iw) = Iw::find(root) else { return BTreeMap::new() };
    let mut ports: Vec<&str> = nodes.iter().map(|node| node.interface.as_str()).collect();
    ports.sort_unstable();
    ports.dedup();
    let mut found = BTreeMap::new();
    for port in ports.into_iter().filter(|port| crate::ports::is_wifi(root, port)) {
        found.extend(iw.stations(port).await.into_iter().map(|station| (station.mac.clone(), station)));
    }
    found
}

fn topology(root: &Root, nodes: &[Node], stations: &BTreeMap<String, Station>, own: &str) -> Value {
    let rows = nodes.iter().map(|node| {
        let station = stations.get(&node.next).filter(|_| node.is_direct());
        let by_radio = crate::ports::is_wifi(root, &node.interface);
        let known = [
            ("device_id", Some(json!(node.mac))),
            ("name", Some(json!(node.mac))),
            ("parent_id", Some(if node.is_direct() { json!(own) } else { json!(node.next) })),
            ("kind", Some(json!(if by_radio { "radio" } else { "eth" }))),
            ("hops", node.hops.or(node.is_direct().then_some(1)).map(|hops| json!(hops))),
            ("rssi_dbm", Some(json!(station.and_then(|station| station.rssi_dbm)))),
            ("phy_mbps", Some(json!(station.and_then(|station| station.down.mbps).or(node.mbps)))),
            ("quality_percent", node.quality.map(|quality| json!((100.0 * f64::from(quality) / 255.0).round()))),
            ("online", Some(json!(true))),
        ];
        Value::Object(known.into_iter().filter_map(|(name, value)| Some((name.to_owned(), value?))).collect::<Map<_, _>>())
    });
    json!({"root": own, "nodes": rows.collect::<Vec<_>>()})
}

fn links(root: &Root, nodes: &[Node], stations: &BTreeMap<String, Station>, only: Option<&str>) -> Value {
    let direct = nodes.iter().filter(|node| node.is_direct() && only.is_none_or(|only| only == node.mac));
    let rows = direct.map(|node| {
        let station = stations.get(&node.mac);
        let known = [
            ("device_id", Some(json!(node.mac))),
            ("interface", Some(json!(node.interface))),
            ("kind", Some(json!(if crate::ports::is_wifi(root, &node.interface) { "radio" } else { "eth" }))),
            ("rssi_dbm", station.and_then(|station| station.rssi_dbm).map(|dbm| json!(dbm))),
            ("phy_down_mbps", station.and_then(|station| station.down.mbps).map(|mbps| json!(mbps))),
            ("phy_up_mbps", station.and_then(|station| station.up.mbps).map(|mbps| json!(mbps))),
            ("retry_percent", station.and_then(Station::retry_percent).map(|percent| json!(percent))),
            ("link", station.and_then(|station| station.mesh_link.as_ref()).map(|word| json!(word))),
            ("expected_mbps", node.mbps.map(|mbps| json!(mbps))),
            ("quality_percent", node.quality.map(|quality| json!((100.0 * f64::from(quality) / 255.0).round()))),
            ("last_seen_ms", node.last_seen_ms.map(|ms| json!(ms))),
        ];
        Value::Object(known.into_iter().filter_map(|(name, value)| Some((name.to_owned(), value?))).collect::<Map<_, _>>())
    });
    let links: Vec<Value> = rows.collect();
    json!({"total": links.len(), "links": links})
}
