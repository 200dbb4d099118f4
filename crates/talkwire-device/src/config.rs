//! What a device says of itself, and how it connects.

use serde_json::{Map, Value};
use std::path::PathBuf;
use std::time::Duration;
use talkwire_link::{Backoff, Password};
use talkwire_proto::state::Health;
use talkwire_proto::{DeviceKey, GroupId, limits};

/// Where the broker is.
#[derive(Debug, Clone)]
pub struct Broker {
    /// Name or address.
    pub host: String,
    /// TCP port.
    pub port: u16,
    /// User name, when the broker asks for one.
    pub username: Option<String>,
    /// Password, when the broker asks for one.
    pub password: Option<Password>,
}

impl Broker {
    /// A broker that asks for no password.
    pub fn open(host: impl Into<String>, port: u16) -> Self {
        Self { host: host.into(), port, username: None, password: None }
    }
}

/// The fields of `attr` that the author knows (`spec/rtk-integration-guide.md`, phase 2). What is `None` is not said.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct Attributes {
    /// The name that people use.
    pub name: Option<String>,
    /// Who made it.
    pub manufacturer: Option<String>,
    /// Which one it is.
    pub model: Option<String>,
    /// Version of its software.
    pub firmware_version: Option<String>,
    /// Version of its hardware.
    pub hardware_version: Option<String>,
    /// Number on the label.
    pub serial_number: Option<String>,
    /// Its MAC address; when it is not given and the device id is one, that one is said.
    pub mac_address: Option<String>,
    /// Plain words such as `wifi`, `ethernet`.
    pub features: Vec<String>,
    /// Any further fields.
    pub extra: Map<String, Value>,
}

/// How a device is: its health and the figures that belong to it, for example `cpu_usage` (percent).
#[derive(Debug, Clone, PartialEq)]
pub struct StateReport {
    /// How it is.
    pub health: Health,
    /// Figures, with the names of `spec/rtk-integration-guide.md`, phase 3. The SDK adds `uptime_s`, `connection_status`,
    /// `last_command_ts` and `diagnostics`.
    pub figures: Map<String, Value>,
}

impl Default for StateReport {
    fn default() -> Self {
        Self { health: Health::Ok, figures: Map::new() }
    }
}

/// Everything about a device that is not a tool.
#[derive(Debug, Clone)]
pub struct DeviceConfig {
    /// Tenant, site and device id.
    pub key: DeviceKey,
    /// For example `router`, `access_point`, `sensor`.
    pub device_type: String,
    /// Where the broker is.
    pub broker: Broker,
    /// MQTT client id. Default: `{device_type}-{device_id}`.
    pub client_id: String,
    /// Where the change journal lives. Each device needs a folder of its own, on a disk that survives a restart.
    pub data_dir: PathBuf,
    /// How often the state is said when it does not change. Default: 300 s.
    pub state_period: Duration,
    /// How often the connection is proved alive. Default: 60 s.
    pub keep_alive: Duration,
    /// How long to wait between attempts to connect. Default: 1 s to 120 s.
    pub backoff: Backoff,
    /// What `attr` says.
    pub attributes: Attributes,
    /// Groups whose commands the device takes.
    pub groups: Vec<GroupId>,
    /// Whether Act tools run without a change set, and so without protection. Default: no.
    pub allow_unguarded_acts: bool,
    /// How long a command may run that does not say it. Default: 60 s.
    pub command_timeout: Duration,
    /// Largest message that the device sends, in bytes. Default: 256 KiB.
    pub max_message_bytes: usize,
}

impl DeviceConfig {
    /// A device with the defaults. Its data goes to `./talkwire-data/{device_id}`.
    pub fn new(key: DeviceKey, device_type: impl Into<String>, broker: Broker) -> Self {
        let device_type = device_type.into();
        Self {
            client_id: format!("{device_type}-{}", key.device_id),
            data_dir: PathBuf::from("talkwire-data").join(key.device_id.as_str()),
            key,
            device_type,
            broker,
            state_period: Duration::from_secs(300),
            keep_alive: Duration::from_secs(60),
            backoff: Backoff::default(),
            attributes: Attributes::default(),
            groups: Vec::new(),
            allow_unguarded_acts: false,
            command_timeout: Duration::from_secs(60),
            max_message_bytes: limits::MESSAGE_BYTES,
        }
    }
}
