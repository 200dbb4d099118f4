//! Tool names: the canonical ones of the documents, and the other dialects seen in the field (`PROTOCOL.md` §4).

/// Canonical names and their aliases.
const ALIASES: &[(&str, &[&str])] = &[
    ("device.status", &["status", "device_status", "get_status", "device.get_status"]),
    ("device.get_capabilities", &["get_capabilities", "device_get_capabilities"]),
    ("device.restart", &["restart", "reboot", "device.reboot", "system.restart", "system.reboot", "device_restart"]),
    ("system.restart_service", &["restart_service", "service.restart"]),
    ("system.get_logs", &["get_logs", "system_logs", "logs"]),
    ("system.get_hardware_info", &["get_hardware_info", "hardware_info", "get_system_info"]),
    ("network.speedtest_full", &["speed_test", "speedtest", "wifi.speedtest", "network.speedtest", "diagnostics.speed_test", "network.speed_test"]),
    ("network.interface_status", &["interface_status", "get_interfaces"]),
    ("network.trace_route", &["traceroute", "trace_route", "network.traceroute"]),
    ("diagnostics.wan_connectivity", &["wan_connectivity", "wan_test", "diagnostics.wan_test"]),
    ("diagnostics.latency_matrix", &["latency_test", "latency_matrix", "diagnostics.latency_test"]),
    ("topology.get_full", &["topology_get_full", "topology", "get_topology"]),
    ("clients.list", &["client_list", "clients_list", "get_clients"]),
    ("clients.health", &["client_health"]),
    ("wifi.get_environment", &["wifi_scan", "wifi.scan", "wifi.scan_channels", "wifi_scan_channels"]),
    ("wifi.basic_scan", &["wifi_basic_scan"]),
    ("wifi.signal_map", &["wifi_signal_strength_map", "signal_map"]),
    ("wifi.roaming_test", &["wifi.roam_probe", "wifi_roaming_test"]),
    ("wifi.set_channel", &["wifi_set_channel", "set_channel"]),
    ("wifi.set_power", &["wifi_set_power", "set_power", "set_tx_power"]),
    ("wifi.client_disconnect", &["wifi_client_disconnect", "client_disconnect"]),
    ("mesh.get_topology", &["mesh_topology"]),
    ("mesh.backhaul_test", &["backhaul_test"]),
    ("dhcpdns.get_config", &["dhcp_get_config"]),
    ("dhcpdns.scan_rogue", &["scan_rogue_dhcp", "dhcp_scan_rogue"]),
    ("dhcpdns.set", &["dhcp_set"]),
    ("name.resolve_test", &["dns_resolution", "dns_test"]),
    ("traffic.get_top_talkers", &["top_talkers", "get_top_talkers"]),
    ("traffic.get_stats", &["traffic_stats", "traffic_get_stats"]),
    ("dhcpdns.get_leases", &["dhcp_get_leases"]),
    ("wifi.get_interference_sources", &["interference_analysis", "wifi_analyze_interference"]),
    ("qos.get_status", &["qos_get_status"]),
    ("qos.apply_policy", &["qos_config", "qos_apply_policy"]),
];

/// The canonical name of an op; an unknown op is its own.
pub fn canonical(op: &str) -> &str {
    ALIASES.iter().find(|(name, aliases)| *name == op || aliases.contains(&op)).map_or(op, |(name, _)| name)
}

/// All names under which a device may know a tool, the canonical one first.
pub fn names(op: &str) -> Vec<&str> {
    let name = canonical(op);
    let aliases = ALIASES.iter().find(|(canonical, _)| *canonical == name).map_or(&[][..], |(_, aliases)| aliases);
    std::iter::once(name).chain(aliases.iter().copied()).collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::collections::BTreeSet;

    #[test]
    fn the_guide_s_short_names_mean_the_diagnostics_document_s_tools() {
        for alias in ["speed_test", "wifi.speedtest", "network.speedtest"] {
            assert_eq!(canonical(alias), "network.speedtest_full");
        }
        for alias in ["restart", "reboot", "device.reboot", "system.restart"] {
            assert_eq!(canonical(alias), "device.restart");
        }
        assert_eq!(canonical("wifi.get_environment"), "wifi.get_environment");
    }

    #[test]
    fn an_unknown_op_is_its_own() {
        assert_eq!(canonical("toaster.brown"), "toaster.brown");
        assert_eq!(names("toaster.brown"), ["toaster.brown"]);
    }

    #[test]
    fn every_name_belongs_to_one_tool() {
        let all: Vec<&str> = ALIASES.iter().flat_map(|(name, _)| names(name)).collect();
        assert_eq!(all.iter().collect::<BTreeSet<_>>().len(), all.len());
        for (name, _) in ALIASES {
            assert_eq!(names(name)[0], *name);
            assert!(names(name).into_iter().all(|alias| canonical(alias) == *name));
        }
    }
}
