//! What the tools' answers say, typed and named: the evidence that conditions, texts and measurements speak of.
//!
//! The names follow the field guide of home network faults: `env` (one item per radio), `cl` (per client), `cspd` (speed test of a
//! client), `hws` (hardware and log of each device), `mh` (mesh nodes), `rooms`; `spd`, `wan`, `dhcp`, `tt`, `hw`, `log`, `tr`, `qos`,
//! `plan`, `told`, `site` once; `lat`, `dns`, `port` by target. What a device did not say, or said in an odd way, is absent.

mod clients;
pub mod expected;
mod join;
mod line;
mod machine;
mod mesh;
mod names;
mod radio;
mod read;

use crate::mind::site::Site;
use std::collections::BTreeMap;
use talkwire_core::session::{IntentView, Step, StepStatus};

pub use read::clean;

/// One thing known.
#[derive(Debug, Clone, PartialEq)]
pub enum Datum {
    /// A figure, in the unit of its name's definition.
    Number(f64),
    /// A word or a device's text, capped and stripped.
    Text(String),
    /// Yes or no.
    Flag(bool),
}

/// One thing known and where from.
#[derive(Debug, Clone, PartialEq)]
pub struct Fact {
    /// What; of several samples the median.
    pub datum: Datum,
    /// The single samples of a figure.
    pub samples: Vec<f64>,
    /// The step that measured it; empty when somebody told it.
    pub trace_id: String,
    /// The device that measured it.
    pub device_id: String,
}

/// What is known of one radio, client, device or target.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct Item {
    facts: BTreeMap<&'static str, Fact>,
}

/// Where a fact comes from.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Source<'a> {
    pub trace_id: &'a str,
    pub device_id: &'a str,
    pub device_name: &'a str,
    pub from_router: bool,
}

impl Item {
    /// A fact.
    pub fn fact(&self, name: &str) -> Option<&Fact> {
        self.facts.get(name)
    }

    /// A figure.
    pub fn number(&self, name: &str) -> Option<f64> {
        match self.facts.get(name)?.datum {
            Datum::Number(x) => Some(x),
            _ => None,
        }
    }

    /// A text.
    pub fn text(&self, name: &str) -> Option<&str> {
        match &self.facts.get(name)?.datum {
            Datum::Text(text) => Some(text),
            _ => None,
        }
    }

    /// All facts by name.
    pub fn facts(&self) -> impl Iterator<Item = (&'static str, &Fact)> {
        self.facts.iter().map(|(name, fact)| (*name, fact))
    }

    pub(crate) fn add(&mut self, name: &'static str, number: Option<f64>, source: Source<'_>) {
        let Some(number) = number.filter(|x| x.is_finite()) else { return };
        let fact = self.facts.entry(name).or_insert_with(|| Fact::new(Datum::Number(number), source));
        fact.samples.push(number);
        fact.datum = Datum::Number(median(&fact.samples).unwrap_or(number));
    }

    pub(crate) fn say(&mut self, name: &'static str, text: Option<String>, source: Source<'_>) {
        if let Some(text) = text {
            self.facts.insert(name, Fact::new(Datum::Text(text), source));
        }
    }

    pub(crate) fn flag(&mut self, name: &'static str, flag: Option<bool>, source: Source<'_>) {
        if let Some(flag) = flag {
            self.facts.insert(name, Fact::new(Datum::Flag(flag), source));
        }
    }

    /// A fact made from others: it keeps the source of `from`.
    pub(crate) fn derive(&mut self, name: &'static str, datum: Datum, from: &Fact) {
        if matches!(datum, Datum::Number(x) if !x.is_finite()) {
            return;
        }
        self.facts.insert(name, Fact { datum, samples: Vec::new(), trace_id: from.trace_id.clone(), device_id: from.device_id.clone() });
    }
}

impl Fact {
    fn new(datum: Datum, source: Source<'_>) -> Self {
        Self { datum, samples: Vec::new(), trace_id: source.trace_id.into(), device_id: source.device_id.into() }
    }

    /// The value as JSON.
    pub fn json(&self) -> serde_json::Value {
        match &self.datum {
            Datum::Number(x) if x.fract() == 0.0 && x.abs() < 1e15 => serde_json::json!(*x as i64),
            Datum::Number(x) => serde_json::json!((x * 100.0).round() / 100.0),
            Datum::Text(text) => serde_json::json!(text),
            Datum::Flag(flag) => serde_json::json!(flag),
        }
    }
}

/// How a section is laid out.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Layout {
    /// `spd.dn`.
    One,
    /// `lat.isp.med`: an item per target.
    Named,
    /// A list of items, walked with `for_each`.
    Many,
}

/// Every section with its layout and the names of its facts. Flow files that speak of others are refused.
pub const SECTIONS: &[(&str, Layout, &[&str])] = &[
    ("wan", Layout::One, &["link", "ip", "ip_addr", "proto", "route", "gw_ok", "dns_ok", "http", "v6", "mtu_ok", "session_s"]),
    ("spd", Layout::One, &["dn", "up", "idle", "ld_dn", "ld_up", "jit", "loss", "line", "line_up", "ratio", "bloat_dn", "bloat_up", "n", "spread"]),
    (
        "dhcp",
        Layout::One,
        &[
            "used",
            "pool_size",
            "pool_used",
            "lease_s",
            "range",
            "wider",
            "subnet",
            "gateway",
            "rogue",
            "rogue_ip",
            "rogue_port",
            "rogue_foreign",
            "dns_servers",
            "lost",
            "lost_names",
        ],
    ),
    ("tt", Layout::One, &["dn", "up", "top_dn", "top_up", "top_share", "top_name", "top_mac", "n", "second_name"]),
    ("hw", Layout::One, &["cpu", "core_max", "mem", "temp", "uptime_s", "boots_7d", "conn", "load_core"]),
    ("log", Layout::One, machine::TAGS),
    ("tr", Layout::One, &["private_hops", "last_ok", "loss_from", "reached"]),
    ("qos", Layout::One, &["on", "policy", "cap_dn", "cap_up", "offload"]),
    ("plan", Layout::One, &["dn", "up"]),
    ("told", Layout::One, &["when", "where", "who", "device", "application", "changed", "intent"]),
    ("site", Layout::One, &["aps", "agents", "weak", "roam_seen"]),
    ("lat", Layout::Named, &["med", "p95", "jit", "loss", "n"]),
    ("dns", Layout::Named, &["ok", "worst_ok", "ms", "p95", "dead", "best", "second", "n"]),
    ("port", Layout::Named, &["mbps", "duplex", "crc_ppm", "flaps_h", "status"]),
    (
        "env",
        Layout::Many,
        &[
            "id",
            "dev",
            "dev_name",
            "iface",
            "band",
            "ch",
            "width",
            "util",
            "util_ext",
            "util_own",
            "noise",
            "nbr_same",
            "nbr_adj",
            "nbr_all",
            "nbr_max",
            "nonwifi",
            "txp",
            "dfs",
            "dfs_n",
            "n",
            "best_ch",
            "best_util",
            "best_gain",
            "calm_ch",
            "calm_nbr",
            "safe_ch",
            "clients",
            "retry",
            "slow_phy",
            "slow_name",
            "slow_mbps",
            "phy",
            "near_rssi",
            "near_n",
            "agent",
            "agent_name",
            "cspd",
            "cspd_expected",
            "rssi_dl",
            "top_txp",
        ],
    ),
    (
        "cl",
        Layout::Many,
        &[
            "id",
            "name",
            "ap",
            "ap_name",
            "iface",
            "band",
            "rssi",
            "rssi_dl",
            "snr",
            "phy_dn",
            "phy_up",
            "gen",
            "nss",
            "width",
            "cap5",
            "ip",
            "wired",
            "room",
            "kind",
            "retry",
            "disc_h",
            "reason",
            "psave",
            "chain_diff",
            "alt_rssi",
            "alt_ap",
            "alt_name",
            "alt_gain",
            "gap_ms",
            "per_h",
            "ro_loss",
            "lat_med",
            "lat_p95",
            "lat_jit",
            "lat_loss",
            "cspd",
            "expected",
            "agent",
            "told",
            "told_kind",
            "tt_dn",
            "tt_up",
            "foreign",
            "nolease",
            "has5",
            "n",
        ],
    ),
    ("cspd", Layout::Many, &["id", "name", "dn", "up", "idle", "ld_dn", "ld_up", "loss", "ap", "ap_name", "band", "n", "expected"]),
    (
        "hws",
        Layout::Many,
        &[
            "id",
            "name",
            "role",
            "cpu",
            "core_max",
            "mem",
            "temp",
            "uptime_s",
            "boots_7d",
            "conn",
            "thermal",
            "radar",
            "oom",
            "panic",
            "fw_crash",
            "boot",
            "hot_iface",
            "hot_txp",
            "hot_band",
            "dfs_iface",
            "dfs_ch",
            "safe_ch",
        ],
    ),
    (
        "mh",
        Layout::Many,
        &["id", "name", "kind", "hops", "rssi", "phy", "mbps", "ms", "loss", "shared", "parent", "alt_rssi", "alt_parent", "flaps_d", "online", "bad_n"],
    ),
    ("rooms", Layout::Many, &["id", "rssi", "snr", "best_ap", "best_name", "band", "rssi_2g", "rssi_5g", "told"]),
];

/// All evidence of a session.
#[derive(Debug, Clone, Default)]
pub struct Evidence {
    /// Sections with one item; present even when empty.
    pub one: BTreeMap<&'static str, Item>,
    /// Sections by target; present even when empty.
    pub named: BTreeMap<&'static str, BTreeMap<String, Item>>,
    /// Lists; absent when nobody measured.
    pub many: BTreeMap<&'static str, BTreeMap<String, Item>>,
    /// Busy share by channel of each radio, for the choice of a channel and for a chart.
    pub channels: BTreeMap<String, BTreeMap<u16, ChannelView>>,
    /// Who uses the line, for a chart: name and Mbps of the last answer.
    pub talkers: Vec<(String, f64)>,
}

/// What a scan says of one channel.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct ChannelView {
    /// Percent busy with others, sample by sample.
    pub busy: Vec<f64>,
    /// Networks on it, at most.
    pub neighbours: f64,
    /// Whether radar must be watched for.
    pub dfs: bool,
}

impl Evidence {
    /// Reads the completed steps among `steps`.
    pub fn of<'a>(steps: impl IntoIterator<Item = &'a Step>, site: &Site<'_>, intent: &IntentView, request: &str) -> Self {
        let mut evidence = Self::default();
        for (name, layout, _) in SECTIONS {
            match layout {
                Layout::One => drop(evidence.one.insert(name, Item::default())),
                Layout::Named => drop(evidence.named.insert(name, BTreeMap::new())),
                Layout::Many => {}
            }
        }
        for step in steps {
            if step.status == StepStatus::Completed
                && let Some(result) = step.result.as_ref().and_then(serde_json::Value::as_object)
            {
                evidence.read(step, result, site);
            }
        }
        join::join(&mut evidence, site, intent, request);
        evidence
    }

    fn read(&mut self, step: &Step, result: &serde_json::Map<String, serde_json::Value>, site: &Site<'_>) {
        let device_id = step.device_id.as_str();
        let source = Source { trace_id: &step.trace_id, device_id, device_name: &step.device_name, from_router: site.router_id() == Some(device_id) };
        let row = read::Row(result);
        match talkwire_proto::op::canonical(&step.tool) {
            "diagnostics.wan_connectivity" => line::wan(self, row, source),
            "network.speedtest_full" => line::speed(self, row, source),
            "network.interface_status" => line::ports(self, row, source),
            "network.trace_route" => line::trace(self, row, source),
            "diagnostics.latency_matrix" => line::latency(self, row, source),
            "traffic.get_top_talkers" => line::talkers(self, row, source),
            "qos.get_status" => line::qos(self, row, source),
            "wifi.get_environment" | "wifi.basic_scan" => radio::environment(self, row, source),
            "clients.list" => clients::list(self, row, source),
            "clients.health" => clients::health(self, row, source),
            "wifi.roaming_test" => clients::roaming(self, row, source),
            "dhcpdns.get_config" => names::config(self, row, source),
            "dhcpdns.scan_rogue" => names::rogue(self, row, source),
            "name.resolve_test" => names::resolve(self, row, source),
            "system.get_hardware_info" => machine::hardware(self, row, source, step.key.starts_with("load@")),
            "device.status" => machine::status(self, row, source),
            "system.get_logs" => machine::logs(self, row, source),
            "mesh.get_topology" => mesh::topology(self, row, source),
            "mesh.backhaul_test" => mesh::backhaul(self, row, source),
            "wifi.signal_map" => mesh::rooms(self, row, source),
            _ => {}
        }
    }

    /// The item of a list.
    pub(crate) fn item(&mut self, section: &'static str, key: &str) -> &mut Item {
        self.many.entry(section).or_default().entry(key.to_owned()).or_default()
    }

    pub(crate) fn single(&mut self, section: &'static str) -> &mut Item {
        self.one.entry(section).or_default()
    }

    pub(crate) fn target(&mut self, section: &'static str, key: &str) -> &mut Item {
        self.named.entry(section).or_default().entry(key.to_owned()).or_default()
    }

    /// A fact by name: `spd.dn`, `lat.isp.med`, or `it.util_ext` of the item given.
    pub fn find<'a>(&'a self, name: &str, it: Option<&'a Item>) -> Option<&'a Fact> {
        let mut parts = name.split('.');
        let (section, first, second) = (parts.next()?, parts.next()?, parts.next());
        match second {
            None if section == "it" => it?.fact(first),
            None => self.one.get(section)?.fact(first),
            Some(field) => self.named.get(section)?.get(first)?.fact(field),
        }
    }

    /// Whether a section, a target or a fact is there.
    pub fn has(&self, name: &str, it: Option<&Item>) -> bool {
        if name.contains('.') {
            return self.find(name, it).is_some()
                || name.split_once('.').is_some_and(|(section, key)| self.named.get(section).is_some_and(|items| items.contains_key(key)));
        }
        self.many.contains_key(name) || self.one.get(name).is_some_and(|item| item.facts.keys().next().is_some())
    }
}

/// The middle value; of an even count the mean of the two in the middle.
pub fn median(values: &[f64]) -> Option<f64> {
    let mut sorted: Vec<f64> = values.iter().copied().filter(|x| x.is_finite()).collect();
    sorted.sort_by(f64::total_cmp);
    let middle = sorted.len() / 2;
    match sorted.len() {
        0 => None,
        n if n % 2 == 1 => Some(sorted[middle]),
        _ => Some((sorted[middle - 1] + sorted[middle]) / 2.0),
    }
}
