//! What a device says of itself, and how it connects.

use serde_json::{Map, Value};
use std::path::{Path, PathBuf};
use std::time::Duration;
use talkwire_link::{Backoff, Password, Tls};
use talkwire_proto::state::Health;
use talkwire_proto::{DeviceKey, FernetKey, GroupId, limits};

/// Where the broker is, and how to be let in.
///
/// ```
/// use talkwire_device::{Broker, Tls};
/// let near = Broker::open("127.0.0.1", 1883);
/// let named = Broker::open("192.0.2.7", 1883).login("router-1", "secret");
/// let mutual = Broker::tls("mqtt.example.net", 8883, Tls::ca("ca.crt").identity("client.crt", "client.key"));
/// let token = Broker::tls("mqtt.example.net", 8883, Tls::system()).token_file("/run/talkwire/token");
/// ```
#[derive(Debug, Clone)]
pub struct Broker {
    /// Name or address.
    pub host: String,
    /// TCP port.
    pub port: u16,
    /// User name, when the broker asks for one. With a password and no name, the client id is the name.
    pub username: Option<String>,
    /// Password or token, when the broker asks for one.
    pub password: Option<Password>,
    /// A file whose first line is the password or token, instead of `password`. It is read at every connect.
    pub password_file: Option<PathBuf>,
    /// Whether and how the connection is protected; `None`: plain TCP.
    pub tls: Option<Tls>,
}

impl Broker {
    /// A broker without TLS that asks for no password.
    pub fn open(host: impl Into<String>, port: u16) -> Self {
        Self { host: host.into(), port, username: None, password: None, password_file: None, tls: None }
    }

    /// A broker behind TLS; with a client certificate in `tls`, mutual TLS. Needs the feature `tls`.
    pub fn tls(host: impl Into<String>, port: u16, tls: Tls) -> Self {
        Self { tls: Some(tls), ..Self::open(host, port) }
    }

    /// Says this name and password.
    #[must_use]
    pub fn login(self, username: impl Into<String>, password: impl Into<Password>) -> Self {
        Self { username: Some(username.into()), password: Some(password.into()), ..self }
    }

    /// Shows this token as the password.
    #[must_use]
    pub fn token(self, token: impl Into<Password>) -> Self {
        Self { password: Some(token.into()), ..self }
    }

    /// Shows the token in this file as the password; it is read at every connect, so that it can be renewed.
    #[must_use]
    pub fn token_file(self, file: impl Into<PathBuf>) -> Self {
        Self { password_file: Some(file.into()), ..self }
    }
}

/// Where messages wait for the broker, and how many.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct OutboxConfig {
    /// Where.
    pub place: OutboxPlace,
    /// How many messages at most. One more, and the oldest is dropped and counted: telemetry first, and other messages only when
    /// there is no telemetry. Default: 10,000.
    pub max_messages: usize,
    /// How many bytes of topics and payloads at most. Default: 16 MiB.
    pub max_bytes: usize,
}

impl Default for OutboxConfig {
    fn default() -> Self {
        Self { place: OutboxPlace::DataDir, max_messages: 10_000, max_bytes: 16 * 1024 * 1024 }
    }
}

/// Where messages wait for the broker.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub enum OutboxPlace {
    /// `outbox.db` in [`DeviceConfig::data_dir`]; in memory when built without the feature `outbox`.
    #[default]
    DataDir,
    /// This file. Needs the feature `outbox`.
    File(PathBuf),
    /// In memory: lost when the process ends.
    Memory,
}

impl OutboxConfig {
    /// The file; `None`: in memory.
    pub(crate) fn file(&self, data_dir: &Path) -> Option<PathBuf> {
        match &self.place {
            OutboxPlace::DataDir if cfg!(feature = "outbox") => Some(data_dir.join("outbox.db")),
            OutboxPlace::File(file) => Some(file.clone()),
            _ => None,
        }
    }
}

/// How many messages of each class may leave within any minute; 0: as many as come. What comes faster waits in the outbox, and no
/// class waits for another.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Rates {
    /// Telemetry. Default: 60.
    pub telemetry: u32,
    /// Events. Default: 60.
    pub events: u32,
    /// Topology, diagnostics and capability updates. Default: 60.
    pub reports: u32,
    /// The state; of what comes faster, the latest is said. Default: 60.
    pub state: u32,
    /// Answers to commands. Default: 0, since whoever asks more than the device should answer must ask less.
    pub answers: u32,
}

impl Default for Rates {
    fn default() -> Self {
        Self { telemetry: 60, events: 60, reports: 60, state: 60, answers: 0 }
    }
}

impl Rates {
    /// No limits.
    pub fn unlimited() -> Self {
        Self { telemetry: 0, events: 0, reports: 0, state: 0, answers: 0 }
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
    /// Figures, with the names of `spec/rtk-integration-guide.md`, phase 3. The SDK adds `uptime_s` (of the
    /// process, unless it is among these), `connection_status`, `last_command_ts` and `diagnostics`.
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
    /// Where messages wait for the broker, and how many.
    pub outbox: OutboxConfig,
    /// How many messages may leave each minute.
    pub rates: Rates,
    /// Encrypts what the device says and opens what it is told (`PROTOCOL.md` §5); commands in clear are then refused. Needs the
    /// feature `fernet`. A compatibility option: TLS protects more.
    pub fernet_key: Option<FernetKey>,
    /// What `attr` says.
    pub attributes: Attributes,
    /// Groups whose commands the device takes.
    pub groups: Vec<GroupId>,
    /// Whether Act tools run without a change set, and so without protection. Default: no.
    pub allow_unguarded_acts: bool,
    /// How often the tools are asked anew whether the machine has what they need (`support` of [`crate::Tool`] and [`crate::Act`]);
    /// `None`: only at the start. Default: 60 s. One that is called while it is lacking, or that says that something is missing, is asked
    /// at once.
    pub support_period: Option<Duration>,
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
            outbox: OutboxConfig::default(),
            rates: Rates::default(),
            fernet_key: None,
            attributes: Attributes::default(),
            groups: Vec::new(),
            allow_unguarded_acts: false,
            support_period: Some(Duration::from_secs(60)),
            command_timeout: Duration::from_secs(60),
            max_message_bytes: limits::MESSAGE_BYTES,
        }
    }
}
