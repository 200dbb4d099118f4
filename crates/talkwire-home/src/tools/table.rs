//! The table of tools: who has which, how long each takes and how much it costs.

use crate::house::Role;
use serde::Serialize;

/// What a tool may do.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "lowercase")]
pub enum Class {
    /// Looks.
    Read,
    /// Measures, with a passing effect.
    Test,
    /// Changes.
    Act,
}

/// One tool of a device.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Tool {
    /// Its operation name.
    pub op: &'static str,
    /// Other names for the same.
    pub aliases: &'static [&'static str],
    /// What it may do.
    pub class: Class,
    /// Usual time to the answer in milliseconds.
    pub response_ms: u32,
    /// `low`, `medium` or `high`.
    pub resource_usage: &'static str,
    /// Can what it changes be put back?
    pub rollback: bool,
}

const R: u8 = 1;
const A: u8 = 2;
const N: u8 = 4;
const C: u8 = 8;
const ALL: u8 = R | A | N | C;
const RADIO: u8 = R | A | N;

type Row = (&'static str, &'static [&'static str], Class, u8, u32, &'static str, bool);

const ROWS: &[Row] = &[
    ("device.status", &[], Class::Read, ALL, 300, "low", false),
    ("device.get_capabilities", &[], Class::Read, ALL, 200, "low", false),
    ("system.get_hardware_info", &[], Class::Read, ALL, 600, "low", false),
    ("system.get_logs", &[], Class::Read, ALL, 1200, "low", false),
    ("network.interface_status", &[], Class::Read, ALL, 500, "low", false),
    ("topology.get_full", &[], Class::Read, R, 2500, "low", false),
    ("clients.list", &[], Class::Read, RADIO, 1500, "low", false),
    ("clients.health", &[], Class::Read, RADIO, 2000, "low", false),
    ("wifi.get_environment", &["wifi.basic_scan"], Class::Read, RADIO, 4000, "low", false),
    ("wifi.signal_map", &[], Class::Read, R, 3000, "low", false),
    ("mesh.get_topology", &[], Class::Read, R, 1500, "low", false),
    ("traffic.get_top_talkers", &[], Class::Read, R, 1000, "low", false),
    ("qos.get_status", &[], Class::Read, R, 400, "low", false),
    ("dhcpdns.get_config", &[], Class::Read, R, 500, "low", false),
    ("dhcpdns.scan_rogue", &[], Class::Test, R, 10_000, "medium", false),
    ("name.resolve_test", &[], Class::Test, R | C, 8000, "low", false),
    ("diagnostics.wan_connectivity", &[], Class::Test, R, 6000, "low", false),
    ("diagnostics.latency_matrix", &[], Class::Test, ALL, 12_000, "medium", false),
    ("network.trace_route", &[], Class::Test, R | C, 6000, "low", false),
    ("network.speedtest_full", &["network.speedtest", "speed_test"], Class::Test, R | C, 30_000, "high", false),
    ("mesh.backhaul_test", &[], Class::Test, R, 15_000, "high", false),
    ("wifi.roaming_test", &[], Class::Test, R, 10_000, "medium", false),
    ("wifi.set_channel", &[], Class::Act, RADIO, 4000, "medium", true),
    ("wifi.set_power", &[], Class::Act, RADIO, 2500, "low", true),
    ("wifi.client_disconnect", &[], Class::Act, RADIO, 1500, "low", false),
    ("qos.apply_policy", &[], Class::Act, R, 2500, "low", true),
    ("dhcpdns.set", &[], Class::Act, R, 2500, "low", true),
    ("system.restart_service", &[], Class::Act, RADIO, 4000, "medium", false),
    ("device.restart", &["restart", "system.restart"], Class::Act, RADIO, 1000, "high", false),
];

/// The tools of a role.
pub(crate) fn of(role: Role) -> Vec<Tool> {
    let bit = match role {
        Role::Router => R,
        Role::AccessPoint => A,
        Role::MeshNode => N,
        Role::Agent => C,
    };
    ROWS.iter()
        .filter(|row| row.3 & bit != 0)
        .map(|(op, aliases, class, _, response_ms, resource_usage, rollback)| Tool {
            op,
            aliases,
            class: *class,
            response_ms: *response_ms,
            resource_usage,
            rollback: *rollback,
        })
        .collect()
}
