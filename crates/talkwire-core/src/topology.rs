//! Topology: what devices say of the network around them, each thing with who said it and when.
//!
//! It is hearsay. Nothing in it becomes a device, a right or a target of a command, and what a device says of itself stands over what
//! others say of it. It is bounded for each source and each site, kept in memory alone, and said anew by whoever is there. Nothing here
//! walks along links, so no cycle can be walked for ever.

use crate::device::Device;
use serde::Serialize;
use serde_json::Value;
use std::collections::{BTreeMap, BTreeSet};
use talkwire_proto::id::mac_digits;
use talkwire_proto::text::shown;
use talkwire_proto::topology::Topology;
use talkwire_proto::{DeviceId, DeviceKey, Site, Tenant};

/// Most things that one device may say it sees.
pub const NODES: usize = 512;
/// Most links that one device may tell of.
pub const LINKS: usize = 1_024;
/// Most things that all devices of a site together may tell of.
pub const SITE_NODES: usize = 8 * NODES;
/// Most links that all devices of a site together may tell of.
pub const SITE_LINKS: usize = 8 * LINKS;
/// What was told so long ago makes room for what is told now, in milliseconds.
const OLD_MS: i64 = 24 * 3_600_000;
/// Longest name of a thing, in characters.
const ID_CHARS: usize = 64;
/// Longest word for a kind or a medium, in characters.
const WORD_CHARS: usize = 32;

/// How much of what a device told was not kept.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize)]
pub struct LeftOut {
    /// Things over the bound, or without a name.
    pub nodes: u64,
    /// Links over the bound, without two ends, or from a thing to itself.
    pub links: u64,
}

/// All that devices told, by who told it.
#[derive(Debug, Clone, Default)]
pub struct Hearsay {
    sources: BTreeMap<DeviceKey, BTreeMap<String, Told>>,
}

/// What a device told under one of the topics.
#[derive(Debug, Clone, Default)]
struct Told {
    at_ms: i64,
    nodes: Vec<Node>,
    links: Vec<Link>,
    left_out: LeftOut,
}

#[derive(Debug, Clone)]
struct Node {
    id: String,
    mac: Option<String>,
    name: Option<String>,
    kind: Option<String>,
}

#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
struct Link {
    from: String,
    to: String,
    medium: Option<String>,
}

/// Who said something.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Saying {
    /// The device that said it.
    pub device_id: DeviceId,
    /// When it arrived, in Unix milliseconds.
    pub at_ms: i64,
    /// How it calls the thing.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub name: Option<String>,
    /// What it takes the thing for, or by what it takes the link to be made.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub kind: Option<String>,
}

/// A thing that somebody says is there.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct NodeView {
    /// Its id as said; a MAC address as twelve lower-case digits.
    pub id: String,
    /// Its name: that which the device gives itself when it is one of ours, else the first that somebody says.
    pub name: String,
    /// The device of ours that has this id or MAC address by its own words.
    pub device: Option<DeviceId>,
    /// Whether somebody says of it the MAC address of another device of ours.
    pub disputed: bool,
    /// Who says so.
    pub said_by: Vec<Saying>,
}

/// A link that somebody says is there.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct LinkView {
    /// One end, as said.
    pub from: String,
    /// The other end, as said.
    pub to: String,
    /// Who says so.
    pub said_by: Vec<Saying>,
}

/// How much of what one device told is not in the view.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Missing {
    /// The device.
    pub device_id: DeviceId,
    /// How much.
    #[serde(flatten)]
    pub left_out: LeftOut,
}

/// All that is said of a site.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize)]
pub struct View {
    /// Things, by id.
    pub nodes: Vec<NodeView>,
    /// Links, by their ends.
    pub links: Vec<LinkView>,
    /// What was left out, by who told it.
    pub left_out: Vec<Missing>,
}

impl Hearsay {
    /// Takes what a device told under `topology/{part}`; it replaces what it told there before. Of what is too much, the first is kept.
    pub fn take(&mut self, now_ms: i64, key: &DeviceKey, part: &str, topology: &Topology) -> LeftOut {
        self.sources.retain(|_, parts| {
            parts.retain(|_, told| now_ms - told.at_ms < OLD_MS);
            !parts.is_empty()
        });
        if let Some(parts) = self.sources.get_mut(key) {
            parts.remove(part);
        }
        let (mut room_nodes, mut room_links) = (SITE_NODES, SITE_LINKS);
        for (source, parts) in self.of_site(&key.tenant, &key.site) {
            let (nodes, links) = parts.values().fold((0, 0), |(nodes, links), told| (nodes + told.nodes.len(), links + told.links.len()));
            room_nodes = room_nodes.saturating_sub(nodes);
            room_links = room_links.saturating_sub(links);
            if source == key {
                room_nodes = room_nodes.min(NODES.saturating_sub(nodes));
                room_links = room_links.min(LINKS.saturating_sub(links));
            }
        }
        let told = Told::read(now_ms, topology, room_nodes.min(NODES), room_links.min(LINKS));
        let left_out = told.left_out;
        self.sources.entry(key.clone()).or_default().insert(part.into(), told);
        left_out
    }

    fn of_site<'a>(&'a self, tenant: &'a Tenant, site: &'a Site) -> impl Iterator<Item = (&'a DeviceKey, &'a BTreeMap<String, Told>)> {
        self.sources.iter().filter(move |(key, _)| key.tenant == *tenant && key.site == *site)
    }

    /// All that is said of a site; `devices` are those of ours there, and what they say of themselves.
    pub fn view<'a>(&self, tenant: &Tenant, site: &Site, devices: impl Iterator<Item = &'a Device>) -> View {
        let ours: Vec<&Device> = devices.filter(|device| device.key.tenant == *tenant && device.key.site == *site).collect();
        let mut by_name: BTreeMap<String, &Device> = BTreeMap::new();
        for device in &ours {
            if let Some(mac) = device.attr.get("mac_address").and_then(Value::as_str).and_then(mac_digits) {
                by_name.entry(mac).or_insert(device);
            }
        }
        // Under which id it speaks is proven by its topic; a MAC address is only its word.
        by_name.extend(ours.iter().map(|device| (plain_id(device.key.device_id.as_str()), *device)));
        let (mut nodes, mut links) = (BTreeMap::<&str, NodeView>::new(), BTreeMap::<(&str, &str), LinkView>::new());
        let mut missing = Vec::new();
        for (key, parts) in self.of_site(tenant, site) {
            let mut left_out = LeftOut::default();
            for told in parts.values() {
                left_out.nodes += told.left_out.nodes;
                left_out.links += told.left_out.links;
                let saying = |name: &Option<String>, kind: &Option<String>| Saying {
                    device_id: key.device_id.clone(),
                    at_ms: told.at_ms,
                    name: name.clone(),
                    kind: kind.clone(),
                };
                for node in &told.nodes {
                    let device = by_name.get(&node.id).copied();
                    let view = nodes.entry(&node.id).or_insert_with(|| NodeView {
                        id: node.id.clone(),
                        name: device.map(|device| device.name.clone()).or(node.name.clone()).unwrap_or_else(|| node.id.clone()),
                        device: device.map(|device| device.key.device_id.clone()),
                        disputed: false,
                        said_by: Vec::new(),
                    });
                    let others = node.mac.as_ref().and_then(|mac| by_name.get(mac)).map(|device| &device.key.device_id);
                    view.disputed |= others.is_some() && others != view.device.as_ref();
                    view.said_by.push(saying(&node.name, &node.kind));
                }
                for link in &told.links {
                    let view = LinkView { from: link.from.clone(), to: link.to.clone(), said_by: Vec::new() };
                    links.entry((&link.from, &link.to)).or_insert(view).said_by.push(saying(&None, &link.medium));
                }
            }
            if left_out != LeftOut::default() {
                missing.push(Missing { device_id: key.device_id.clone(), left_out });
            }
        }
        View { nodes: nodes.into_values().collect(), links: links.into_values().collect(), left_out: missing }
    }
}

impl Told {
    fn read(at_ms: i64, topology: &Topology, most_nodes: usize, most_links: usize) -> Self {
        let mut told = Self { at_ms, ..Self::default() };
        let mut seen = BTreeSet::new();
        for item in &topology.discovered_devices {
            let Some(id) = text(item, &["device_id", "mac_address", "mac", "id", "ip_address", "ip"], ID_CHARS).map(|id| plain_id(&id)) else {
                told.left_out.nodes += 1;
                continue;
            };
            if seen.contains(&id) {
                continue;
            }
            if told.nodes.len() >= most_nodes {
                told.left_out.nodes += 1;
                continue;
            }
            let mac = text(item, &["mac_address", "mac"], ID_CHARS).and_then(|mac| mac_digits(&mac)).filter(|mac| *mac != id);
            let (name, kind) = (text(item, &["name", "hostname"], ID_CHARS), text(item, &["device_type", "type", "role"], WORD_CHARS));
            seen.insert(id.clone());
            told.nodes.push(Node { id, mac, name, kind });
        }
        let mut seen = BTreeSet::new();
        for item in &topology.connections {
            let end = |names: &[&str]| text(item, names, ID_CHARS).map(|id| plain_id(&id));
            let ends = end(&["from_device", "from_device_id", "from", "source"]).zip(end(&["to_device", "to_device_id", "to", "target"]));
            let Some((from, to)) = ends.filter(|(from, to)| from != to) else {
                told.left_out.links += 1;
                continue;
            };
            let link = Link { from, to, medium: text(item, &["connection_type", "medium", "type"], WORD_CHARS) };
            if seen.contains(&link) {
                continue;
            }
            if told.links.len() >= most_links {
                told.left_out.links += 1;
                continue;
            }
            seen.insert(link.clone());
            told.links.push(link);
        }
        told
    }
}

/// The first of these fields that has words, on one line, without what hides or misleads.
fn text(item: &Value, names: &[&str], most: usize) -> Option<String> {
    let texts = names.iter().filter_map(|name| item.get(name).and_then(Value::as_str));
    texts.map(|text| shown(text, most)).find(|text| !text.is_empty())
}

/// The same id in the same letters, however it was written.
fn plain_id(id: &str) -> String {
    mac_digits(id).unwrap_or_else(|| id.to_owned())
}
