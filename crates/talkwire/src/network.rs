//! A place's network as its devices tell it: nodes and links with who said so, and what changed from one picture to the next.
//!
//! What a device says of others is drawn, never believed: it changes no identity and no access, and who is connected here speaks for itself.

mod changes;
mod words;

use serde::Serialize;
use serde_json::{Value, json};
use std::collections::{BTreeMap, BTreeSet};
use talkwire_core::device::Device;
use talkwire_proto::event::Severity;
use words::{Seen, SeenLink};

/// Most nodes of a drawn place.
const MOST_NODES: usize = 2_000;
/// Most links of a drawn place.
const MOST_LINKS: usize = 4_000;

/// A device's picture of the network, or a part of one.
#[derive(Debug, Clone)]
pub struct Report {
    /// The device that drew it.
    pub source: String,
    /// `update`, `discovery`, `connections` or `neighbors`.
    pub part: String,
    /// Arrival, in Unix milliseconds.
    pub at_ms: i64,
    /// The message.
    pub data: Value,
}

/// An event that may have moved somebody.
#[derive(Debug, Clone)]
pub struct Told {
    /// The device that told it.
    pub source: String,
    /// Its dotted name.
    pub event_type: String,
    /// How much it matters.
    pub severity: Severity,
    /// Arrival, in Unix milliseconds.
    pub at_ms: i64,
    /// Its data.
    pub data: Value,
}

/// What is known of one place.
#[derive(Debug, Default)]
pub struct Place {
    /// The devices that are connected here.
    pub known: Vec<Device>,
    /// Their pictures.
    pub reports: Vec<Report>,
    /// Their events.
    pub events: Vec<Told>,
}

#[derive(Debug, Clone, Serialize)]
struct Node {
    device_id: String,
    /// Whether the device itself speaks with this server.
    known: bool,
    #[serde(flatten)]
    seen: Seen,
    /// Its own health, when it speaks with us.
    health: Option<Value>,
    sources: BTreeSet<String>,
}

#[derive(Debug, Clone, Serialize)]
struct Link {
    #[serde(flatten)]
    seen: SeenLink,
    at_ms: i64,
    sources: BTreeSet<String>,
}

/// What is needed of a device to draw it.
pub fn slim(device: &Device) -> Device {
    let mut slim = device.clone();
    slim.tools.clear();
    slim.features.clear();
    (slim.attr, slim.state) = (words::only_uplink(&device.attr), words::only_uplink(&device.state));
    slim
}

/// Whether other devices may hang on this one, by its type.
pub fn carries(device: &Device) -> bool {
    ["router", "gateway", "access_point", "ap", "mesh", "switch", "linux"].iter().any(|word| device.device_type.contains(word))
}

/// The place as its last pictures show it, and what changed since `from_ms`.
pub fn draw(place: &Place, from_ms: i64) -> Value {
    let mut nodes: BTreeMap<String, Node> = place.known.iter().map(|device| (device.key.device_id.as_str().to_owned(), own(device))).collect();
    let mut links: BTreeMap<(String, String), Link> = BTreeMap::new();
    let mut is_cut = nodes.len() > MOST_NODES;
    for report in last(&place.reports) {
        for seen in words::nodes(&report.data) {
            let Some(id) = seen.0 else { continue };
            if nodes.len() >= MOST_NODES && !nodes.contains_key(&id) {
                is_cut = true;
                continue;
            }
            let node =
                nodes.entry(id.clone()).or_insert_with(|| Node { device_id: id, known: false, seen: Seen::default(), health: None, sources: BTreeSet::new() });
            node.seen.complete(seen.1);
            node.sources.insert(report.source.clone());
        }
        for seen in words::links(&report.data) {
            let ends = ordered(&seen);
            if links.len() >= MOST_LINKS && !links.contains_key(&ends) {
                is_cut = true;
                continue;
            }
            // The pictures come newest first: an older one adds its voice, not its figures.
            let link = links.entry(ends).or_insert_with(|| Link { seen, at_ms: report.at_ms, sources: BTreeSet::new() });
            link.sources.insert(report.source.clone());
        }
    }
    for device in &place.known {
        let id = device.key.device_id.as_str();
        let has_way_up = links.values().any(|link| link.seen.to == id);
        if let Some(seen) = words::uplink(device).filter(|_| !has_way_up) {
            let link = Link { seen, at_ms: device.last_seen_ms, sources: BTreeSet::from([id.to_owned()]) };
            links.entry(ordered(&link.seen)).or_insert(link);
        }
    }
    // An end that nobody described is drawn all the same: the link was told.
    for id in links.values().flat_map(|link| [link.seen.from.clone(), link.seen.to.clone()]).collect::<BTreeSet<_>>() {
        if nodes.len() < MOST_NODES {
            nodes.entry(id.clone()).or_insert_with(|| Node { device_id: id, known: false, seen: Seen::default(), health: None, sources: BTreeSet::new() });
        }
    }
    let shown: BTreeSet<String> = nodes.keys().cloned().collect();
    links.retain(|(one, other), _| shown.contains(one) && shown.contains(other));
    json!({
        "nodes": nodes.into_values().collect::<Vec<_>>(),
        "links": links.into_values().collect::<Vec<_>>(),
        "changes": changes::of(place, from_ms),
        "cut": is_cut,
    })
}

fn own(device: &Device) -> Node {
    Node {
        device_id: device.key.device_id.as_str().to_owned(),
        known: true,
        seen: Seen { name: Some(device.name.clone()), device_type: Some(device.device_type.clone()), online: Some(device.online), ..Seen::default() },
        health: Some(json!(device.health)),
        sources: BTreeSet::from([device.key.device_id.as_str().to_owned()]),
    }
}

fn ordered(link: &SeenLink) -> (String, String) {
    let (one, other) = (link.from.clone(), link.to.clone());
    if one <= other { (one, other) } else { (other, one) }
}

/// The last picture of each part from each device, newest first.
fn last(reports: &[Report]) -> Vec<&Report> {
    let mut newest: BTreeMap<(&str, &str), &Report> = BTreeMap::new();
    for report in reports {
        let place = newest.entry((&report.source, &report.part)).or_insert(report);
        if report.at_ms > place.at_ms {
            *place = report;
        }
    }
    let mut found: Vec<&Report> = newest.into_values().collect();
    found.sort_by(|one, other| other.at_ms.cmp(&one.at_ms).then_with(|| one.source.cmp(&other.source)));
    found
}

#[cfg(test)]
mod tests {
    use super::*;

    pub(super) fn report(source: &str, at_ms: i64, ap_of_phone: &str) -> Report {
        let data = json!({"schema": "topology.update/1.0", "ts": 1,
            "discovered_devices": [{"mac_address": "02:00:00:00:00:01", "name": "router", "role": "gateway"}, {"mac_address": "020000000002", "role": "access_point"},
                {"mac_address": "02000000a001", "hostname": "phone\u{202e}", "role": "client", "online": true}],
            "connections": [{"from_device": "020000000001", "to_device": "020000000002", "connection_type": "ethernet", "bandwidth_mbps": 1000},
                {"from_device": ap_of_phone, "to_device": "02000000a001", "connection_type": "wifi", "band": "5GHz", "rssi_dbm": -61, "quality_score": 0.72}]});
        Report { source: source.into(), part: "update".into(), at_ms, data }
    }

    fn known(id: &str, name: &str) -> Device {
        Device { name: name.into(), device_type: "ap".into(), ..Device::unknown(format!("home/flat/{id}").parse().unwrap(), 5) }
    }

    #[test]
    fn nodes_and_links_say_who_told_them_and_a_device_here_speaks_for_itself() {
        let mut lie = report("020000000002", 20, "020000000002");
        lie.data["discovered_devices"][1] = json!({"mac_address": "020000000002", "name": "not its name", "role": "access_point", "room": "hall"});
        let place = Place { known: vec![known("020000000002", "ap-hall")], reports: vec![report("020000000001", 10, "020000000002"), lie], events: vec![] };
        let drawn = draw(&place, 0);
        let nodes = drawn["nodes"].as_array().unwrap();
        assert_eq!(nodes.len(), 3, "{drawn}");
        let ap = nodes.iter().find(|node| node["device_id"] == "020000000002").unwrap();
        assert_eq!((&ap["name"], &ap["known"], &ap["role"], &ap["room"]), (&json!("ap-hall"), &json!(true), &json!("access_point"), &json!("hall")));
        let phone = nodes.iter().find(|node| node["device_id"] == "02000000a001").unwrap();
        assert_eq!((&phone["name"], &phone["known"], &phone["sources"]), (&json!("phone"), &json!(false), &json!(["020000000001", "020000000002"])));
        let links = drawn["links"].as_array().unwrap();
        assert_eq!(links.len(), 2);
        let air = links.iter().find(|link| link["kind"] == "wifi").unwrap();
        assert_eq!((&air["band"], &air["rssi_dbm"], &air["quality"], &air["at_ms"]), (&json!("5GHz"), &json!(-61.0), &json!(0.72), &json!(20)));
        assert_eq!(air["sources"].as_array().unwrap().len(), 2);
    }

    #[test]
    fn a_way_up_that_only_the_device_tells_is_a_link_and_its_other_end_a_node() {
        let mut ap = known("020000000002", "ap-hall");
        ap.state = json!({"health": "ok", "uplink": {"device_id": "02:00:00:00:00:01", "rssi_dbm": -58, "medium": "wireless"}});
        let drawn = draw(&Place { known: vec![ap], ..Place::default() }, 0);
        assert_eq!(drawn["links"][0]["from"], "020000000001");
        assert_eq!((&drawn["links"][0]["rssi_dbm"], &drawn["links"][0]["kind"]), (&json!(-58.0), &json!("wifi")));
        assert_eq!(drawn["nodes"].as_array().unwrap().len(), 2);
    }

    #[test]
    fn a_picture_of_a_million_is_cut_and_says_so() {
        let many: Vec<_> = (0..5_000).map(|n| json!({"mac_address": format!("02{n:010x}"), "role": "client"})).collect();
        let links: Vec<_> = (0..9_000).map(|n| json!({"from_device": "020000000001", "to_device": format!("02{n:010x}")})).collect();
        let data = json!({"discovered_devices": many, "connections": links});
        let drawn = draw(&Place { reports: vec![Report { source: "a".into(), part: "update".into(), at_ms: 1, data }], ..Place::default() }, 0);
        assert_eq!((drawn["nodes"].as_array().unwrap().len(), &drawn["cut"]), (MOST_NODES, &json!(true)));
        assert!(drawn["links"].as_array().unwrap().len() <= MOST_LINKS);
        let odd = json!({"discovered_devices": [1, null, {}, {"mac_address": ["x"]}], "connections": [{"from_device": "a", "to_device": "a"}, {"from_device": "a"}, "x"]});
        let drawn = draw(&Place { reports: vec![Report { source: "a".into(), part: "update".into(), at_ms: 1, data: odd }], ..Place::default() }, 0);
        assert_eq!((&drawn["nodes"], &drawn["links"], &drawn["cut"]), (&json!([]), &json!([]), &json!(false)));
    }
}
