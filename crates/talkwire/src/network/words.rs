//! The words of a picture: devices and links under the names that the field uses for them.

use serde::Serialize;
use serde_json::Value;
use talkwire_core::device::Device;
use talkwire_proto::id::mac_digits;
use talkwire_proto::text::shown;

/// Longest name or id that is drawn, in characters.
const MOST_CHARS: usize = 64;
/// Where the lists of a message may stand.
const BODIES: [&str; 3] = ["payload", "data", "content"];

/// Where a device tells what it hangs on.
const UPLINK: [&str; 6] = ["uplink", "parent", "upstream", "backhaul", "uplink_device_id", "parent_device_id"];

/// What a picture says of one device.
#[derive(Debug, Clone, Default, PartialEq, Serialize)]
pub(super) struct Seen {
    pub name: Option<String>,
    pub device_type: Option<String>,
    /// `gateway`, `access_point`, `client`, `provider`, …
    pub role: Option<String>,
    pub ip_address: Option<String>,
    pub room: Option<String>,
    pub online: Option<bool>,
}

impl Seen {
    /// Takes from another voice what is still missing.
    pub fn complete(&mut self, other: Seen) {
        let Seen { name, device_type, role, ip_address, room, online } = other;
        self.name = self.name.take().or(name);
        self.device_type = self.device_type.take().or(device_type);
        self.role = self.role.take().or(role);
        self.ip_address = self.ip_address.take().or(ip_address);
        self.room = self.room.take().or(room);
        self.online = self.online.or(online);
    }
}

/// What a picture says of one link; `from` is nearer to the internet.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub(super) struct SeenLink {
    pub from: String,
    pub to: String,
    /// `ethernet`, `wifi`, or the device's own word.
    pub kind: Option<String>,
    pub band: Option<String>,
    pub rate_mbps: Option<f64>,
    pub rssi_dbm: Option<f64>,
    /// From 0, useless, to 1.
    pub quality: Option<f64>,
    pub interface: Option<String>,
}

/// The devices of a message, with their ids.
pub(super) fn nodes(data: &Value) -> impl Iterator<Item = (Option<String>, Seen)> {
    list(data, &["discovered_devices", "devices"]).iter().map(|item| {
        let seen = Seen {
            name: word(item, &["name", "hostname"]),
            device_type: word(item, &["device_type", "type"]),
            role: word(item, &["role"]),
            ip_address: word(item, &["ip_address", "ip"]),
            room: word(item, &["room", "location"]),
            online: item.get("online").and_then(Value::as_bool),
        };
        (id(item, &["device_id", "mac_address", "mac", "id"]), seen)
    })
}

/// The links of a message that have two ends.
pub(super) fn links(data: &Value) -> impl Iterator<Item = SeenLink> {
    list(data, &["connections", "links"]).iter().filter_map(|item| {
        let (from, to) = (id(item, &["from_device", "from", "from_device_id"])?, id(item, &["to_device", "to", "to_device_id"])?);
        (from != to).then(|| link(item, from, to))
    })
}

/// The changes that a message tells itself.
pub(super) fn told(data: &Value) -> &[Value] {
    list(data, &["changes"])
}

/// A device's way up as its state or identity tells it: an id, or an object with an id, a medium and figures.
pub(super) fn uplink(device: &Device) -> Option<SeenLink> {
    let own = device.key.device_id.as_str();
    [&device.state, &device.attr].into_iter().find_map(|told| {
        UPLINK.iter().find_map(|field| {
            let value = told.get(field)?;
            let from = value.as_str().and_then(named).or_else(|| id(value, &["device_id", "to", "id"]))?;
            (from != own).then(|| link(value, from, own.to_owned()))
        })
    })
}

/// Of what a device told, that by which its way up is known.
pub(super) fn only_uplink(told: &Value) -> Value {
    UPLINK.iter().filter_map(|field| Some(((*field).to_owned(), told.get(field)?.clone()))).collect::<serde_json::Map<_, _>>().into()
}

/// A client's address in an event, and where it went.
pub(super) fn roam(data: &Value) -> Option<(String, Option<String>, String)> {
    let client = id(data, &["client_mac", "mac_address", "mac", "client", "station"])?;
    let to = id(data, &["to_ap", "new_ap", "to_bssid", "to"])?;
    Some((client, id(data, &["from_ap", "old_ap", "from_bssid", "from"]), to))
}

fn link(item: &Value, from: String, to: String) -> SeenLink {
    let rssi_dbm = figure(item, &["rssi_dbm", "rssi", "signal_dbm"]);
    let kind = word(item, &["connection_type", "kind", "medium", "type", "link_type"]).map(|kind| match kind.to_ascii_lowercase().as_str() {
        "eth" | "ethernet" | "wired" | "lan" | "cable" => "ethernet".to_owned(),
        "wifi" | "wi-fi" | "wireless" | "wlan" | "radio" => "wifi".to_owned(),
        _ => kind,
    });
    let band = word(item, &["band"]);
    // 1 from -50 dBm, 0 from -90 dBm: the words people know for a signal.
    let of_signal = rssi_dbm.map(|dbm| ((dbm + 90.0) / 40.0).clamp(0.0, 1.0));
    SeenLink {
        from,
        to,
        kind: kind.or_else(|| (rssi_dbm.is_some() || band.is_some()).then(|| "wifi".into())),
        band,
        rate_mbps: figure(item, &["bandwidth_mbps", "rate_mbps", "phy_down_mbps", "speed_mbps"]),
        rssi_dbm,
        quality: figure(item, &["quality_score", "quality"]).filter(|score| (0.0..=1.0).contains(score)).or(of_signal),
        interface: word(item, &["interface"]),
    }
}

fn list<'a>(data: &'a Value, names: &[&str]) -> &'a [Value] {
    let bodies = std::iter::once(data).chain(BODIES.iter().filter_map(|name| data.get(name)));
    let mut lists = bodies.flat_map(|body| names.iter().filter_map(|name| body.get(name).and_then(Value::as_array)));
    lists.next().map_or(&[], Vec::as_slice)
}

fn id(item: &Value, names: &[&str]) -> Option<String> {
    names.iter().find_map(|name| item.get(name).and_then(Value::as_str).and_then(named))
}

/// An id in the form that topics use.
fn named(text: &str) -> Option<String> {
    let text = mac_digits(text.trim()).unwrap_or_else(|| shown(text, MOST_CHARS));
    (!text.is_empty()).then_some(text)
}

fn word(item: &Value, names: &[&str]) -> Option<String> {
    names.iter().find_map(|name| item.get(name).and_then(Value::as_str).map(|text| shown(text, MOST_CHARS)).filter(|text| !text.is_empty()))
}

fn figure(item: &Value, names: &[&str]) -> Option<f64> {
    names.iter().find_map(|name| item.get(name).and_then(Value::as_f64))
}
