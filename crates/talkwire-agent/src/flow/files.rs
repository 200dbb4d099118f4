//! The files that are built in: causes, the library's parts, one file per flow.

/// Name and text of each.
pub(crate) const BUILTIN: &[(&str, &str)] = &[
    ("causes.toml", include_str!("../../../../catalog/causes.toml")),
    ("flows/steps.toml", include_str!("../../../../catalog/flows/steps.toml")),
    ("flows/line.toml", include_str!("../../../../catalog/flows/line.toml")),
    ("flows/names.toml", include_str!("../../../../catalog/flows/names.toml")),
    ("flows/machine.toml", include_str!("../../../../catalog/flows/machine.toml")),
    ("flows/radio.toml", include_str!("../../../../catalog/flows/radio.toml")),
    ("flows/clients.toml", include_str!("../../../../catalog/flows/clients.toml")),
    ("flows/mesh.toml", include_str!("../../../../catalog/flows/mesh.toml")),
    ("flows/no_internet.toml", include_str!("../../../../catalog/flows/no_internet.toml")),
    ("flows/slow_speed.toml", include_str!("../../../../catalog/flows/slow_speed.toml")),
    ("flows/unstable_disconnect.toml", include_str!("../../../../catalog/flows/unstable_disconnect.toml")),
    ("flows/weak_signal_coverage.toml", include_str!("../../../../catalog/flows/weak_signal_coverage.toml")),
    ("flows/realtime_latency.toml", include_str!("../../../../catalog/flows/realtime_latency.toml")),
    ("flows/device_specific_issue.toml", include_str!("../../../../catalog/flows/device_specific_issue.toml")),
    ("flows/roaming_issue.toml", include_str!("../../../../catalog/flows/roaming_issue.toml")),
    ("flows/mesh_backhaul_issue.toml", include_str!("../../../../catalog/flows/mesh_backhaul_issue.toml")),
    ("flows/dhcp_dns_issue_advanced.toml", include_str!("../../../../catalog/flows/dhcp_dns_issue_advanced.toml")),
];
