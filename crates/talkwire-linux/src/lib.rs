//! The hands: tools of a real Linux machine, read from `/proc`, `/sys` and its logs, and the agent that carries them.
//!
//! Everything here looks and changes nothing. What the machine does not know is absent from a result, never guessed; a tool
//! that it cannot have at all is declared `supported: false` with the reason. All files are read below a [`Root`], so that a
//! folder with recorded files can stand for a machine.
//!
//! | op | read from | remarks |
//! |---|---|---|
//! | `device.status` | `/proc/{stat,uptime,meminfo,loadavg,net/route}`, thermal zones | `health` is `warning` from 95 % CPU, 95 % memory or 90 °C on |
//! | `system.get_hardware_info` | the same, conntrack, DMI or device tree | two samples of `/proc/stat`, half a second apart |
//! | `network.interface_status` | `/sys/class/net` | `role: "wan"` marks the way out; rates cover the last hour as far as it was watched |
//! | `system.get_logs` | `journalctl`, else `dmesg` | without a shell, with a time-out and bounds |
//! | `clients.list` | `/proc/net/arp`, leases of dnsmasq | IPv4 neighbours, without the gateway |
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
mod machine;
mod settings;
mod tool;

mod clients;
mod hardware;
mod line;
mod logs;
mod names;
mod ports;
mod status;
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
mod program;
mod root;
mod text;

pub use agent::{builder, builder_with, builder_within, run, run_on, run_with};
pub use error::LinuxError;
pub use machine::{tools, tools_within};
pub use root::Root;
pub use settings::{Settings, SettingsError};
pub use surroundings::Surroundings;
pub use tool::LinuxTool;
