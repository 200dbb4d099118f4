//! The hands: tools of a real Linux machine, read from `/proc`, `/sys` and its logs, and the agent that carries them.
//!
//! What the machine does not know is absent from a result, never guessed; a tool that it cannot have at all is declared
//! `supported: false` with the reason. What changes something is an Act, with what was there before in the journal. All files are read below a [`Root`], so that a
//! folder with recorded files can stand for a machine.
//!
//! | op | read from | remarks |
//! |---|---|---|
//! | `device.status` | `/proc/{stat,uptime,meminfo,loadavg,net/route}`, thermal zones | `health` is `warning` from 95 % CPU, 95 % memory or 90 °C on |
//! | `system.get_hardware_info` | the same, conntrack, DMI or device tree | two samples of `/proc/stat`, half a second apart |
//! | `network.interface_status` | `/sys/class/net` | `role: "wan"` marks the way out; rates cover the last hour as far as it was watched |
//! | `system.get_logs` | `journalctl`, else `logread`, else `/var/log/messages` or `syslog`, else `dmesg`; dnsmasq's own file | without a shell, with a time-out and bounds |
//! | `clients.list`, `clients.health` | `/proc/net/arp`, leases of dnsmasq, Kea, odhcpd, ISC dhcpd; `iw` or `hostapd_cli`; `ip neigh` | IPv4 neighbours, without the gateway |
//! | `topology.get_full`, `topology.query_*` | the same, `/sys/class/net/*/brforward`, routes | seen from this machine |
//! | `dhcpdns.get_config`, `dhcpdns.get_leases` | the running dnsmasq's command line and files, else Kea's | the pool, how full it is, the resolvers that are asked |
//! | `traffic.get_top_talkers`, `traffic.get_stats` | `/proc/net/nf_conntrack` twice, counters of the ports | single clients only with `nf_conntrack_acct`; else it says what is missing |
//! | `qos.get_status` | `tc` | caps by tbf, htb, hfsc, cake, police |
//! | `wifi.get_environment`, `wifi.get_interference_sources` | `iw`: survey before and after a scan | an access point leaves its channel for moments |
//! | `mesh.get_topology`, `mesh.get_backhaul` | `batctl`, or 802.11s by `iw` | |
//!
//! Tests (they send something, and disturb for a moment at most):
//!
//! | op | how | needs |
//! |---|---|---|
//! | `diagnostics.wan_connectivity` | link, address, ping of the gateway, names, a web page, large packets | |
//! | `diagnostics.latency_matrix` | pings to clients, router, provider, world at the same time | CAP_NET_RAW, or a group in `net.ipv4.ping_group_range` |
//! | `network.trace_route` | pings that may go one hop, two hops, … | CAP_NET_RAW |
//! | `name.resolve_test` | own questions to each configured resolver and to others | |
//! | `dhcpdns.scan_rogue` | real DISCOVERs, whose offers are collected and never taken | CAP_NET_RAW, CAP_NET_BIND_SERVICE |
//! | `network.speedtest_full` | several connections to the controller's `/api/v1/speedtest` | a reachable [`Surroundings::speed_server`] |
//!
//! Acts (only inside a change set; [`Settings`] say what they may touch, `docs/device-linux.md` what they put back):
//!
//! | op | through |
//! |---|---|
//! | `wifi.set_channel`, `wifi.client_disconnect` | the control socket of hostapd; `uci` and `ubus` on OpenWrt |
//! | `wifi.set_power` | `iw`; `uci` on OpenWrt |
//! | `qos.apply_policy` | `tc` |
//! | `dhcpdns.set` | a drop-in file of dnsmasq; `uci` on OpenWrt |
//! | `system.restart_service` | systemd, procd, or programs of the configuration |
//!
//! # A complete agent
//! ```no_run
//! use talkwire_device::{Broker, DeviceConfig};
//!
//! #[tokio::main]
//! async fn main() -> Result<(), Box<dyn std::error::Error>> {
//!     let config = DeviceConfig::new("acme/office/router-1".parse()?, "router", Broker::open("127.0.0.1", 1883));
//!     let running = talkwire_linux::run(config).await?;
//!     running.online().await;
//!     tokio::signal::ctrl_c().await?;
//!     running.shutdown().await;
//!     Ok(())
//! }
//! ```
//!
//! # What a machine can do
//! ```
//! use talkwire_device::Tool;
//! for tool in talkwire_linux::tools(&talkwire_linux::Root::default()) {
//!     println!("{}: {}", tool.op(), tool.support().reason.unwrap_or_else(|| "supported".into()));
//! }
//! ```

mod agent;
mod error;
mod exec;
mod hands;
mod identity;
mod live;
mod machine;
mod maker;
mod settings;
mod tool;

mod clients;
mod hardware;
mod line;
mod logs;
mod mesh;
mod names;
mod ports;
mod radio;
mod status;
mod topology;
mod traffic;

mod address;
mod bridge;
mod cpu;
mod figures;
mod heat;
mod memory;
mod route;
mod surroundings;
mod target;

mod args;
mod permission;
mod program;
mod root;
mod text;

pub use agent::{builder, builder_with, builder_within, run, run_on, run_with};
pub use error::LinuxError;
pub use exec::ExecClass;
pub use machine::{tools, tools_within};
pub use root::Root;
pub use settings::{Settings, SettingsError};
pub use surroundings::Surroundings;
pub use tool::LinuxTool;
